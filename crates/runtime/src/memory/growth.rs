//! How far a linear memory may grow: by its declaration, by its reservation and by the store's
//! limit.

use trampette_artifact::metadata::Memory;

/// The length in bytes of a memory of `old` bytes that grows by `delta` pages, if it may and
/// `limit` allows it. Its component has so many slabs.
pub(crate) fn grown(
    declared: &Memory,
    slabs: usize,
    old: u64,
    delta: u64,
    limit: u64,
) -> Option<u64> {
    let page = declared.page_size_log2;
    let maximum = declared
        .maximum
        .and_then(|pages| pages.checked_mul(1 << page))
        .unwrap_or(u64::MAX)
        .min(declared.longest(slabs))
        .min(limit);
    delta
        .checked_mul(1 << page)
        .and_then(|bytes| bytes.checked_add(old))
        .filter(|new| *new == old || *new <= maximum)
}
