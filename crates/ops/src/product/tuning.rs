//! Tuned constants of the products, each with the measurement behind it (`cargo bench -p retrograde-ops --bench product`).

/// Most terms of an element that are added in registers before the sum goes to memory.
///
/// It fixes bits: an element is the sum of its pieces' sums, and the pieces follow from k alone. 512 terms of the
/// broadcast operand's six columns are 12 KiB of L1.
pub const PIECE: usize = 512;

/// Bytes of the lane operand that a group of panels may take, so that a piece of it stays in L2 while every column
/// tile passes over it.
pub const LANE_GROUP_BYTES: usize = 512 * 1024;

/// Bytes of packed broadcast operand at a time, beside the group of panels in L2.
pub const BROADCAST_CHUNK_BYTES: usize = 128 * 1024;

/// Column tiles that must reuse a panel before packing it pays although the kernels could read it in place.
pub const PACK_LANES_MIN_TILES: usize = 8;

/// Columns up to which threads share out lanes, each packing its own, instead of columns, all using one packed operand:
/// packing takes a tenth of a product of 64 columns, and a phase of its own that all threads wait for.
pub const PACK_APART_MAX_COLUMNS: usize = 128;

/// Lanes from which a broadcast operand whose terms collide in L1 is packed. AVX-512, `1024 x n x 512` with A
/// transposed (terms 4 KiB apart), GFLOP/s in place and packed: 124 and 83 for 64 lanes, 125 and 152 for 256, 122 and
/// 146 for 512. With terms 2 KiB apart, or 64 terms, in place is ahead (167 to 158, 191 to 162).
pub const PACK_COLLIDING_MIN_LANES: usize = 256;

/// Bytes between terms that fall on the same few sets of an L1 of 8 to 12 ways.
pub const COLLIDING_STRIDE: usize = 4096;

/// Terms of which enough stay in L1 although they collide.
pub const COLLIDING_TERMS: usize = 128;

/// Lanes from which a broadcast operand with a k stride is packed at levels whose panels are a single packet. AVX2,
/// `m x n x k` with A transposed, GFLOP/s in place and packed: 784 x 256 x 64 87 and 94, 784 x 512 x 512 75 and 90,
/// 1024 x 512 x 512 (terms 4 KiB apart) 41 and 90.
pub const PACK_STRIDED_MIN_LANES: usize = 128;

/// Multiply-adds a block has at least: some 10 us of one core, against 0.2 us to claim it.
pub const BLOCK_MIN_TERMS: usize = 500_000;

/// What an element of the result counts for besides its multiply-adds: writing 64 bytes to L2 takes as long as some 16
/// terms of 16 lanes. Without it the product of 10 centroids by 10,000 points of 8 dimensions was a single block.
pub const STORE_TERMS: usize = 16;

/// Elements of the result up to which threads share out terms where there are too few outputs to share out: the sums of
/// pieces are then no more than a sixteenth of what the operands take (64 by 64), and less for fewer. `f64`, one thread and
/// two, in us: 16 x 16 x 100,000 1,327 and 649, 3 x 20 x 50,000 368 and 173, 10 x 8 x 10,000 30 and 21; 64 x 64 x 10,000,
/// 10 MB of operands, 1,051 and 1,029.
pub const TERM_PARTS_MAX_OUTPUTS: usize = 4096;

/// Elements of the matrix that a block of a matrix-vector product reads at least.
pub const VECTOR_BLOCK_MIN_TERMS: usize = 64 * 1024;

/// Outputs of a matrix-vector product in progress at a time: with their partial sums 16 KiB of L1.
pub const VECTOR_OUTPUTS: usize = 128;

/// Bytes of a line of the matrix that a block of a product of short columns with a vector reads at least, or pieces are
/// shared out instead: 10,000 x 100 of `f64`, transposed, in eight strips of 96 to 104 bytes.
pub const VECTOR_STRIP_MIN_BYTES: usize = 1024;

/// Length of the pieces that k is cut into: of equal length but for the last, and a multiple of 16.
pub const fn piece(k: usize) -> usize {
    if k <= PIECE {
        return if k == 0 { 1 } else { k };
    }
    k.div_ceil(k.div_ceil(PIECE)).next_multiple_of(16)
}
