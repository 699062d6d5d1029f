//! Every tuned constant of the kernels, each with the measurement behind it.

/// Elements a reduction adds before its partial result joins the pairwise tree. Fixed: it defines the bits of a sum.
pub const CHUNK: usize = 1024;

/// Partial rows that a sum over rows aims at: enough for every core to have several, few enough that combining them
/// costs little beside producing them.
pub const ROW_CHUNKS: usize = 64;

/// Rows that are added into one partial row, in order; bounds of the choice that [`ROW_CHUNKS`] makes. Fixed by the
/// number of rows alone: it defines bits.
pub const ROWS_A_CHUNK: std::ops::RangeInclusive<usize> = 16..=1024;

/// Elements of a fused group's space that a thread claims at a time at most: few enough that the last thread to finish is
/// not far behind.
pub const BLOCK_ELEMENTS: std::num::NonZeroUsize = std::num::NonZeroUsize::new(32 << 10).unwrap();

/// Blocks that a thread should have of a phase, if they are no shorter than [`BLOCK_NS`]: so many that threads which do
/// not run equally fast finish together.
pub const BLOCKS_A_THREAD: usize = 4;

/// Nanoseconds of work that a block should have at least: claiming one and beginning its first tile take 0.2 us. Adam's
/// update of 32,768 weights took 59 us as one block, 28 on two threads as eight.
pub const BLOCK_NS: f64 = 4000.0;

/// The share of a cache, as a fraction, that a tile's slots may take: the rest is for memory streaming through.
pub const TILE_CACHE_SHARE: (usize, usize) = (3, 4);

/// Packets of each slot in a tile that fits the first-level cache. Below the lower bound the second level is taken
/// instead: dispatching a micro-op costs 4 ns, as much as ten packets of an addition in L1. Black-Scholes with Greeks (21
/// slots, 1M options, two threads) takes, with 48 KiB of L1 (Sapphire Rapids), 3.3 ms with 8 packets, 2.7 with 16, 2.5
/// with 24, 2.5 with 32, 2.7 with 56.
pub const TILE_PACKETS_L1: std::ops::RangeInclusive<usize> = 24..=64;

/// Packets of each slot in a tile that fits the second-level cache only: enough to amortise dispatch (see above).
pub const TILE_PACKETS_L2: usize = 56;
