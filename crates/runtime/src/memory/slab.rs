//! Slabs: the address space of a component instance (`trampette_artifact::layout` has the picture).
//!
//! All slabs of an instance are one reservation. A [`SlabSet`] is such a reservation with the
//! initial image mapped; sets go back to their component's [`Pool`] when an instance is dropped,
//! and are reset first (few written pages are restored in place and stay resident), so that nothing
//! of one instance is visible to the next.

use crate::memory::mapping::round_to_pages;
use crate::memory::pagemap::{self, Pages};
use anyhow::{Context, Result, bail};
use rustix::mm::{Advice, MapFlags, MprotectFlags, ProtFlags};
use std::ffi::c_void;
use std::os::fd::OwnedFd;
use std::ptr::{NonNull, null_mut};
use std::sync::{Mutex, MutexGuard, PoisonError};
use trampette_artifact::ids::SlabId;
use trampette_artifact::layout::{MEMORY_GUARD, ROOT_DISTANCE, RootHeader, SLAB_STRIDE};
use trampette_artifact::metadata::{Extent, Memory, Metadata};

/// Reservations start at multiples of this, so that context and memory join inside one page-table
/// range of this size.
const RESERVATION_ALIGNMENT: usize = 2 << 20;
/// Written pages that a slab of a kept set keeps resident; beyond, all are given back. To write a
/// page again costs about a fourth of a page fault and the copy that comes with it.
pub(crate) const KEPT_PAGES: usize = 4096;
/// About how many pages all kept sets of a component keep resident.
const KEPT_PAGES_OF_A_COMPONENT: usize = 4 * KEPT_PAGES;
/// Sets that a component keeps for its next instances.
const POOL_SIZE: usize = 64;

/// Initial length in bytes of a memory; `None` if it overflows.
pub(crate) fn memory_bytes(memory: &Memory) -> Option<u64> {
    memory.minimum.checked_mul(1 << memory.page_size_log2)
}

/// What every slab set of a component looks like.
pub(crate) struct SlabPlan {
    slabs: Vec<OneSlab>,
    /// Bytes to reserve.
    size: usize,
}

/// One slab of the plan. Sizes are whole host pages.
struct OneSlab {
    root_bytes: usize,
    /// From the start of the context (or of an extent below it) to the context pointer.
    context_bytes: usize,
    /// Accessible at first.
    memory_bytes: usize,
    /// Address space of its memory and the guard behind; none without memory.
    reserved: u64,
    /// Whether there is anything to reset.
    written: bool,
    extents: Vec<Extent>,
}

impl SlabPlan {
    /// The plan of a component; its metadata was validated.
    pub(crate) fn new(metadata: &Metadata) -> SlabPlan {
        let slabs: Vec<_> = metadata
            .slabs
            .iter()
            .enumerate()
            .map(|(index, slab)| {
                let root = match index {
                    0 => metadata.root.size() as usize,
                    _ => size_of::<RootHeader>(),
                };
                let lowest = slab.extents.iter().map(|e| e.target).min().unwrap_or(0);
                let memory = slab.memory.map(|id| &metadata.memories[id]);
                let memory_bytes = memory.and_then(memory_bytes).unwrap_or(0);
                OneSlab {
                    root_bytes: round_to_pages(root),
                    context_bytes: round_to_pages(
                        (slab.context_size as usize).max(-lowest.min(0) as usize),
                    ),
                    memory_bytes: round_to_pages(memory_bytes as usize),
                    reserved: memory.map_or(0, |memory| {
                        memory.reservation(metadata.slabs.len()) + MEMORY_GUARD
                    }),
                    written: slab.written,
                    extents: slab.extents.clone(),
                }
            })
            .collect();
        let above = slabs.last().map_or(0, |slab| slab.reserved);
        let size = (slabs.len() as u64 - 1) * SLAB_STRIDE + ROOT_DISTANCE + above;
        SlabPlan {
            slabs,
            size: size as usize,
        }
    }

    /// Number of slabs.
    pub(crate) fn len(&self) -> usize {
        self.slabs.len()
    }
}

/// The mapped slabs of one component instance.
pub(crate) struct SlabSet {
    reservation: Reservation,
    /// Written pages that are resident, while it is kept.
    kept_pages: usize,
}

/// Address space of our own; given back on drop.
pub(crate) struct Reservation {
    start: *mut u8,
    size: usize,
}

impl Reservation {
    /// Inaccessible address space of at least `size` bytes.
    pub(crate) fn new(size: usize) -> Result<Reservation> {
        let size = round_to_pages(size);
        let slack = size + RESERVATION_ALIGNMENT;
        let flags = MapFlags::PRIVATE | MapFlags::NORESERVE;
        // SAFETY: a new inaccessible mapping at an address of the kernel's choice.
        let mapped =
            unsafe { rustix::mm::mmap_anonymous(null_mut(), slack, ProtFlags::empty(), flags) };
        let mapped = mapped
            .with_context(|| format!("cannot reserve {size:#x} bytes of address space"))?
            .cast::<u8>();
        let before = mapped.align_offset(RESERVATION_ALIGNMENT);
        // SAFETY: both pieces are inside what was just mapped and are not used.
        unsafe {
            if before > 0 {
                let _ = rustix::mm::munmap(mapped.cast(), before);
            }
            let after = slack - before - size;
            if after > 0 {
                let _ = rustix::mm::munmap(mapped.add(before + size).cast(), after);
            }
            Ok(Reservation {
                start: mapped.add(before),
                size,
            })
        }
    }

    /// Its lowest address.
    pub(crate) fn start(&self) -> NonNull<u8> {
        NonNull::new(self.start).expect("the kernel does not map address 0")
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        // SAFETY: mapped by `new`; nothing that refers to it outlives this. Failure would only
        // leak.
        let _ = unsafe { rustix::mm::munmap(self.start.cast(), self.size) };
    }
}

// SAFETY: the memory belongs to the set alone.
unsafe impl Send for SlabSet {}

impl SlabSet {
    /// Reserves address space and maps the initial image.
    pub(crate) fn map(plan: &SlabPlan, file: &OwnedFd) -> Result<SlabSet> {
        let set = SlabSet {
            reservation: Reservation::new(plan.size)?,
            kept_pages: 0,
        };
        for (index, slab) in plan.slabs.iter().enumerate() {
            let id = SlabId::new(index);
            set.map_slab(id, slab, file)
                .with_context(|| format!("cannot map {id}"))?;
        }
        Ok(set)
    }

    fn map_slab(&self, id: SlabId, slab: &OneSlab, file: &OwnedFd) -> Result<()> {
        let context = self.context(id).as_ptr();
        let read_write = MprotectFlags::READ | MprotectFlags::WRITE;
        // SAFETY: all ranges are inside the reservation, by the plan; nothing uses them yet.
        unsafe {
            let root = self.root(id).as_ptr().cast();
            rustix::mm::mprotect(root, slab.root_bytes, read_write)?;
            let start = context.sub(slab.context_bytes).cast();
            let length = slab.context_bytes + slab.memory_bytes;
            rustix::mm::mprotect(start, length, read_write)?;
            for extent in &slab.extents {
                let address = context.offset(extent.target as isize).cast();
                let protection = ProtFlags::READ | ProtFlags::WRITE;
                let flags = MapFlags::PRIVATE | MapFlags::FIXED;
                let length = round_to_pages(extent.length as usize);
                rustix::mm::mmap(address, length, protection, flags, file, extent.file_offset)
                    .context("cannot map an extent of the image")?;
            }
        }
        Ok(())
    }

    /// The address of a slab's root.
    #[inline]
    pub(crate) fn root(&self, id: SlabId) -> NonNull<u8> {
        // SAFETY: inside the reservation.
        let root = unsafe {
            self.reservation
                .start
                .add(id.index() * SLAB_STRIDE as usize)
        };
        NonNull::new(root).expect("the kernel does not map address 0")
    }

    /// A slab's context pointer, which is also the base of its memory.
    #[inline]
    pub(crate) fn context(&self, id: SlabId) -> NonNull<u8> {
        // SAFETY: inside the reservation, or one past its end for a last slab without memory.
        unsafe { self.root(id).add(ROOT_DISTANCE as usize) }
    }

    /// Whether `address` is in the memory of any slab or the guard after it.
    pub(crate) fn in_memory_or_guard(&self, plan: &SlabPlan, address: usize) -> bool {
        let Some(offset) = address.checked_sub(self.reservation.start.addr()) else {
            return false;
        };
        // The last one may be longer than the others.
        let index = (offset / SLAB_STRIDE as usize).min(plan.slabs.len() - 1);
        let within = (offset - index * SLAB_STRIDE as usize) as u64;
        let range = ROOT_DISTANCE..ROOT_DISTANCE + plan.slabs[index].reserved;
        range.contains(&within)
    }

    /// Makes a memory's bytes from `old` to `new` accessible; both are lengths in bytes within its
    /// reservation.
    pub(crate) fn grow_memory(
        &self,
        plan: &SlabPlan,
        slab: SlabId,
        old: u64,
        new: u64,
    ) -> Result<()> {
        let start = round_to_pages(old as usize);
        let end = round_to_pages(new as usize);
        let reserved = plan.slabs[slab.index()].reserved;
        if new.saturating_add(MEMORY_GUARD) > reserved || end < start {
            bail!("the memory does not fit its reservation");
        }
        if end > start {
            // SAFETY: inside the slab's memory, beyond what is in use.
            unsafe {
                let address = self.context(slab).add(start).as_ptr().cast::<c_void>();
                let flags = MprotectFlags::READ | MprotectFlags::WRITE;
                rustix::mm::mprotect(address, end - start, flags)?;
            }
        }
        Ok(())
    }

    /// Makes contexts and memories what [`SlabSet::map`] made. Roots, and the fields of contexts
    /// that the runtime keeps, may stay as they are: whoever takes the set writes all of them
    /// before guest code runs. `file` is the artifact's first byte, mapped. At most `most_pages`
    /// stay resident.
    fn reset(&mut self, plan: &SlabPlan, file: *const u8, most_pages: usize) -> Result<()> {
        self.kept_pages = 0;
        let mut runs = Vec::new();
        let slabs = plan.slabs.iter().enumerate();
        for (index, slab) in slabs.filter(|(_, slab)| slab.written) {
            let id = SlabId::new(index);
            let context = self.context(id).as_ptr();
            let header = self.root(id).cast::<RootHeader>().as_ptr();
            // SAFETY: all ranges are inside the reservation; no instance uses the set any more.
            unsafe {
                let current = round_to_pages((&raw const (*header).memory_length).read() as usize);
                let grown = current.saturating_sub(slab.memory_bytes);
                let start = context.sub(slab.context_bytes);
                let length = slab.context_bytes + slab.memory_bytes + grown;
                let (first, end) = (start.addr(), start.addr() + length);
                let most_pages = KEPT_PAGES.min(most_pages - self.kept_pages);
                match pagemap::written(first, end, most_pages, &mut runs) {
                    Some(count) => {
                        for run in &runs {
                            restore(slab, context, run, file);
                        }
                        self.kept_pages += count;
                    }
                    // Private pages of the image become the file's again, others zero.
                    None => rustix::mm::madvise(start.cast(), length, Advice::LinuxDontNeed)?,
                }
                if grown > 0 {
                    // Its pages stay: a memory that grows again finds them without faults.
                    let grown_part = context.add(slab.memory_bytes).cast::<c_void>();
                    rustix::mm::mprotect(grown_part, grown, MprotectFlags::empty())?;
                }
            }
        }
        Ok(())
    }
}

/// Writes the initial contents of a run of pages of a slab, which stay resident.
///
/// # Safety
/// The run is inside the slab's accessible context and memory, and `file` is the artifact as it was
/// when the slab was mapped.
unsafe fn restore(slab: &OneSlab, context: *mut u8, run: &Pages, file: *const u8) {
    let offset = |address: u64| address as i64 - context.addr() as i64;
    let (mut at, end) = (offset(run.start), offset(run.end));
    let zero = |from: i64, to: i64| {
        if from < to {
            // SAFETY: inside the run.
            unsafe {
                context
                    .offset(from as isize)
                    .write_bytes(0, (to - from) as usize)
            };
        }
    };
    for extent in &slab.extents {
        let extent_end = extent.target + round_to_pages(extent.length as usize) as i64;
        let (from, to) = (at.max(extent.target), end.min(extent_end));
        if from >= to {
            continue;
        }
        zero(at, from);
        // SAFETY: whole pages of the extent, which the file's mapping has as well: beyond the
        // file's end, the last page is zero in both.
        unsafe {
            let source = file.add(extent.file_offset as usize + (from - extent.target) as usize);
            let target = context.offset(from as isize);
            target.copy_from_nonoverlapping(source, (to - from) as usize);
        }
        at = to;
    }
    zero(at, end);
}

/// Warm slab sets of one component.
#[derive(Default)]
pub(crate) struct Pool {
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    sets: Vec<SlabSet>,
    /// Pages that are resident because of them.
    pages: usize,
}

impl Kept {
    /// How many pages one more set may keep, if there is room for one.
    fn room(&self) -> Option<usize> {
        let has_room = self.sets.len() < POOL_SIZE;
        has_room.then(|| KEPT_PAGES_OF_A_COMPONENT.saturating_sub(self.pages))
    }
}

impl Pool {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        // Nothing panics while it is locked.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A pristine set: the one that was used last, or a new one.
    pub(crate) fn take(&self, plan: &SlabPlan, file: &OwnedFd) -> Result<SlabSet> {
        let mut kept = self.kept();
        if let Some(set) = kept.sets.pop() {
            kept.pages -= set.kept_pages;
            return Ok(set);
        }
        drop(kept);
        SlabSet::map(plan, file)
    }

    /// Resets a set and keeps it, or gives it back to the system.
    pub(crate) fn put(&self, mut set: SlabSet, plan: &SlabPlan, file: *const u8) {
        let Some(room) = self.kept().room() else {
            return;
        };
        if set.reset(plan, file, room).is_err() {
            return;
        }
        let mut kept = self.kept();
        if kept.room().is_some() {
            kept.pages += set.kept_pages;
            kept.sets.push(set);
        }
    }
}
