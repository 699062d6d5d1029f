//! Block sizes of the structured kernels. They divide work between threads and never influence bits.

/// Elements a block of a copy, cast, fill or gather moves: some 5 to 20 microseconds of work, well above the 0.2 a
/// spinning helper needs to claim it.
pub const MOVE_BLOCK: usize = 1 << 15;

/// Side of the square tile a transposing copy goes through: one cache line of 4-byte elements.
pub const TRANSPOSE_TILE: usize = 16;

/// Source elements below which a scatter is one block.
pub const SCATTER_SERIAL: usize = 1 << 15;

/// Most destination ranges a scatter is divided into: each range reads the whole index list again.
pub const SCATTER_RANGES: usize = 16;

/// Elements a block of random numbers draws: about 10 microseconds of normals. A multiple of 64, the words of a group.
pub const RANDOM_BLOCK: usize = 1 << 13;
