//! The store's bump arena: native memory for values on their way from the guest to the host.
//!
//! Marks nest: what was allocated after a mark is freed by a reset to it, all at once. Chunks are
//! ordinary heap memory; addresses stay valid until the reset.

use std::alloc::{Layout, alloc, dealloc};
use std::ptr::NonNull;

const FIRST_CHUNK: usize = 4 << 10;
const LARGEST_REGULAR_CHUNK: usize = 1 << 20;
const CHUNK_ALIGN: usize = 16;
/// Marks are `chunk index << POSITION_BITS | bytes used in that chunk`.
const POSITION_BITS: u32 = 44;

struct Chunk {
    start: NonNull<u8>,
    size: usize,
}

impl Chunk {
    fn new(size: usize) -> Option<Chunk> {
        let layout = Layout::from_size_align(size, CHUNK_ALIGN).ok()?;
        // SAFETY: chunks are never empty.
        let start = NonNull::new(unsafe { alloc(layout) })?;
        Some(Chunk { start, size })
    }
}

impl Drop for Chunk {
    fn drop(&mut self) {
        let layout = Layout::from_size_align(self.size, CHUNK_ALIGN).expect("checked when made");
        // SAFETY: allocated with this layout.
        unsafe { dealloc(self.start.as_ptr(), layout) }
    }
}

/// A bump arena with a limit.
#[derive(Default)]
pub(crate) struct Arena {
    chunks: Vec<Chunk>,
    /// Bytes used in the last chunk.
    used: usize,
    /// Bytes of all chunks.
    reserved: u64,
}

impl Arena {
    /// `size` bytes aligned to `align`, a power of two, uninitialised; `None` if all chunks
    /// together would exceed `limit` bytes or the host has no memory. A size of 0 gives a dangling
    /// but aligned address.
    pub(crate) fn allocate(&mut self, size: u64, align: u64, limit: u64) -> Option<NonNull<u8>> {
        let size = usize::try_from(size).ok()?;
        let align = usize::try_from(align).ok()?.max(1);
        if !align.is_power_of_two() || align > 4096 {
            return None;
        }
        if size == 0 {
            return NonNull::new(std::ptr::without_provenance_mut(align));
        }
        if let Some(address) = self.bump(size, align) {
            return Some(address);
        }
        let regular = match self.chunks.last() {
            Some(last) => last.size.saturating_mul(2).min(LARGEST_REGULAR_CHUNK),
            None => FIRST_CHUNK,
        };
        let needed = size.checked_add(align)?;
        let mut chunk_size = regular.max(needed);
        if self.reserved.checked_add(chunk_size as u64)? > limit {
            // The last piece below the limit may be smaller than a regular chunk.
            chunk_size = needed;
            if self.reserved.checked_add(needed as u64)? > limit {
                return None;
            }
        }
        if chunk_size as u64 >= 1 << POSITION_BITS {
            return None;
        }
        self.chunks.push(Chunk::new(chunk_size)?);
        self.reserved += chunk_size as u64;
        self.used = 0;
        self.bump(size, align)
    }

    fn bump(&mut self, size: usize, align: usize) -> Option<NonNull<u8>> {
        let chunk = self.chunks.last()?;
        let start = chunk.start.addr().get();
        let aligned = (start + self.used).checked_next_multiple_of(align)?;
        let offset = aligned - start;
        let end = offset.checked_add(size)?;
        if end > chunk.size {
            return None;
        }
        self.used = end;
        // SAFETY: inside the chunk.
        Some(unsafe { chunk.start.add(offset) })
    }

    /// The current position.
    #[inline]
    pub(crate) fn mark(&self) -> u64 {
        (self.chunks.len() as u64) << POSITION_BITS | self.used as u64
    }

    /// Frees what was allocated since `mark` was taken. A mark that the arena never gave out, or
    /// that lies ahead, frees nothing or everything, but never gives out memory twice that is in
    /// use.
    pub(crate) fn reset(&mut self, mark: u64) {
        let count = (mark >> POSITION_BITS) as usize;
        let used = (mark & ((1 << POSITION_BITS) - 1)) as usize;
        if count == 0 {
            // Keep the first chunk: the next call needs it again.
            self.truncate(1);
            self.used = 0;
        } else if count < self.chunks.len() {
            self.truncate(count);
            self.used = used.min(self.chunks[count - 1].size);
        } else if count == self.chunks.len() {
            self.used = self.used.min(used);
        }
    }

    fn truncate(&mut self, count: usize) {
        while self.chunks.len() > count {
            let chunk = self.chunks.pop().expect("longer than count");
            self.reserved -= chunk.size as u64;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn allocations_are_aligned_and_nest() {
        let mut arena = Arena::default();
        let outer = arena.mark();
        let a = arena.allocate(3, 1, 1 << 20).unwrap();
        let b = arena.allocate(8, 8, 1 << 20).unwrap();
        assert_eq!(b.addr().get() % 8, 0);
        let inner = arena.mark();
        let big = arena.allocate(100_000, 16, 1 << 20).unwrap();
        // SAFETY: just allocated.
        unsafe { big.write_bytes(7, 100_000) };
        arena.reset(inner);
        // SAFETY: just behind an allocation of 8 bytes.
        let behind = unsafe { b.add(8) };
        assert_eq!(arena.allocate(8, 8, 1 << 20).unwrap(), behind);
        arena.reset(outer);
        assert_eq!(arena.allocate(3, 1, 1 << 20).unwrap(), a);
    }

    #[test]
    fn the_limit_holds() {
        let mut arena = Arena::default();
        assert!(arena.allocate(u64::MAX, 8, u64::MAX).is_none());
        assert!(arena.allocate(5000, 8, 4999).is_none());
        assert!(arena.allocate(4000, 8, 8192).is_some());
        assert!(arena.allocate(4000, 8, 8192).is_some());
        assert!(arena.allocate(4000, 8, 8192).is_none());
    }
}
