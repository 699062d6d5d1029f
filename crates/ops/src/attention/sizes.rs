//! Tuned sizes of attention's tiles. They follow from shapes alone, for they decide in what order gradients add up.

/// Queries of a tile: enough for a product's micro-kernels (48 lanes to 64 are one panel), few enough that a causal mask
/// leaves little of a tile unseen.
pub(super) const TILE_QUERIES: usize = 64;

/// Queries of a tile at least, however many keys there are.
pub(super) const TILE_QUERIES_MIN: usize = 16;

/// Bytes of a tile's scores that a core's second-level cache has room for beside a second matrix of that size and the
/// operands.
pub(super) const TILE_BYTES: usize = 128 * 1024;

/// Queries of a tile over that many keys of that size.
pub(super) fn tile_queries(keys: usize, size: usize) -> usize {
    let row = keys.max(1).saturating_mul(size);
    (TILE_BYTES / row).clamp(TILE_QUERIES_MIN, TILE_QUERIES)
}
