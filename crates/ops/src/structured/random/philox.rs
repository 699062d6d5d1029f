//! Philox4x32-10, the counter-based generator of Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as
//! 1, 2, 3" (SC 2011): ten rounds of multiplication and exclusive or turn any counter into four random words.

const MULTIPLIERS: [u64; 2] = [0xd251_1f53, 0xcd9e_8d57];
/// What each round adds to the key: the golden ratio and `sqrt(3) - 1`, in 32 bits.
const WEYL: [u32; 2] = [0x9e37_79b9, 0xbb67_ae85];
const ROUNDS: usize = 10;

/// The four words of one counter.
pub fn philox(counter: [u32; 4], key: [u32; 2]) -> [u32; 4] {
    rounds::<1>(counter.map(|word| [u64::from(word)]), key).map(|[word]| word as u32)
}

/// The words of `N` counters; the lowest 32 bits of each `u64` count, the others are arbitrary on entry and exit. (So
/// the product's low half need not be cut off, and a packed 32 x 32 -> 64 multiplication is all a round's half takes.)
#[inline(always)]
pub(super) fn rounds<const N: usize>(mut c: [[u64; N]; 4], mut key: [u32; 2]) -> [[u64; N]; 4] {
    for _ in 0..ROUNDS {
        let [k0, k1] = key.map(u64::from);
        for i in 0..N {
            let a = (c[0][i] & 0xffff_ffff) * MULTIPLIERS[0];
            let b = (c[2][i] & 0xffff_ffff) * MULTIPLIERS[1];
            c[0][i] = (b >> 32) ^ c[1][i] ^ k0;
            c[1][i] = b;
            c[2][i] = (a >> 32) ^ c[3][i] ^ k1;
            c[3][i] = a;
        }
        key = [key[0].wrapping_add(WEYL[0]), key[1].wrapping_add(WEYL[1])];
    }
    c
}

#[cfg(test)]
mod tests {
    use super::philox;

    /// The known answers the authors publish with their library (`kat_vectors` of Random123).
    #[test]
    fn known_answers() {
        assert_eq!(
            philox([0; 4], [0; 2]),
            [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8]
        );
        assert_eq!(
            philox([u32::MAX; 4], [u32::MAX; 2]),
            [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd]
        );
        assert_eq!(
            philox(
                [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344],
                [0xa4093822, 0x299f31d0]
            ),
            [0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1]
        );
    }
}
