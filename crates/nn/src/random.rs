//! Random numbers of the host: few, sequential, for initial values and shuffling.

/// `SplitMix64` (Steele, Lea and Flood, 2014): 64 bits of state, every seed as good as any other.
#[derive(Clone, Debug)]
pub(crate) struct SplitMix(u64);

impl SplitMix {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Uniform in `[0, 1)`, all 53 bits of it.
    pub(crate) fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 * 2f64.powi(-53)
    }

    /// Standard normal, by Box and Muller; the pair's other half is not used, so that a draw is a pure function of
    /// the state.
    pub(crate) fn normal(&mut self) -> f64 {
        // 1 - u is in (0, 1]: its logarithm is finite.
        let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.unit()).cos()
    }

    /// Uniform in `0..n`, without bias: draws from the incomplete last stretch of multiples of `n` are repeated.
    pub(crate) fn below(&mut self, n: u64) -> u64 {
        let limit = u64::MAX - u64::MAX % n;
        loop {
            let x = self.bits();
            if x < limit {
                return x % n;
            }
        }
    }

    /// All orders equally likely (Fisher and Yates).
    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            items.swap(i, self.below(i as u64 + 1) as usize);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_are_those_of_the_published_generator() {
        // First outputs of splitmix64.c (Vigna) for seed 1234567.
        let mut r = SplitMix::new(1234567);
        assert_eq!(
            [r.bits(), r.bits(), r.bits()],
            [
                6457827717110365317,
                3203168211198807973,
                9817491932198370423
            ]
        );
    }

    #[test]
    fn shuffles_are_permutations_and_reach_every_order() {
        let mut r = SplitMix::new(3);
        let mut seen = std::collections::HashMap::new();
        for _ in 0..6000 {
            let mut order = [0, 1, 2];
            r.shuffle(&mut order);
            *seen.entry(order).or_insert(0) += 1;
        }
        assert_eq!(seen.len(), 6);
        // 1000 expected of each, standard deviation 29.
        assert!(seen.values().all(|&n| (850..1150).contains(&n)), "{seen:?}");
    }
}
