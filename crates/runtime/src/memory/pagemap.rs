//! Which pages of a private mapping were written: the kernel's `PAGEMAP_SCAN` (Linux 6.7).

use rustix::mm::{Advice, MapFlags, ProtFlags};
use std::fs::File;
use std::os::fd::AsRawFd;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, Ordering};

/// `ioctl` number of `PAGEMAP_SCAN`.
const PAGEMAP_SCAN: libc::c_ulong = 0xc060_6610;
const PAGE_IS_FILE: u64 = 1 << 2;
const PAGE_IS_PRESENT: u64 = 1 << 3;
const PAGE_IS_SWAPPED: u64 = 1 << 4;
const PAGE_IS_PFNZERO: u64 = 1 << 5;

/// A run of pages (`struct page_region`).
#[repr(C)]
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Pages {
    /// First address.
    pub start: u64,
    /// One past the last.
    pub end: u64,
    categories: u64,
}

/// `struct pm_scan_arg`.
#[repr(C)]
#[derive(Default)]
struct ScanArguments {
    size: u64,
    flags: u64,
    start: u64,
    end: u64,
    walk_end: u64,
    vec: u64,
    vec_len: u64,
    max_pages: u64,
    category_inverted: u64,
    category_mask: u64,
    category_anyof_mask: u64,
    return_mask: u64,
}

/// This process's `/proc/self/pagemap`.
struct Pagemap {
    file: File,
    /// Not 0 in the process that opened the file, which shows the memory of that one also in a
    /// child: in a page that the kernel clears when a process forks, in whatever way. So telling
    /// takes no system call.
    process: &'static AtomicU8,
}

fn pagemap() -> Option<&'static File> {
    static PAGEMAP: OnceLock<Option<Pagemap>> = OnceLock::new();
    let open = || {
        let file = File::open("/proc/self/pagemap").ok()?;
        let page = crate::memory::mapping::page_size();
        let protection = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a new page of zeros that is never unmapped.
        let process = unsafe {
            let page_of_zeros = rustix::mm::mmap_anonymous(
                std::ptr::null_mut(),
                page,
                protection,
                MapFlags::PRIVATE,
            )
            .ok()?;
            rustix::mm::madvise(page_of_zeros, page, Advice::LinuxWipeOnFork).ok()?;
            AtomicU8::from_ptr(page_of_zeros.cast())
        };
        process.store(1, Ordering::Relaxed);
        Some(Pagemap { file, process })
    };
    let pagemap = PAGEMAP.get_or_init(open).as_ref()?;
    (pagemap.process.load(Ordering::Relaxed) != 0).then_some(&pagemap.file)
}

/// Finds the pages between two page addresses that were written since they were mapped privately
/// (also if they are swapped out now): `runs` gets them in order, in place of what is there. How
/// many there are; `None` if the kernel cannot tell, or there are more than `max_pages`.
pub(crate) fn written(
    start: usize,
    end: usize,
    max_pages: usize,
    runs: &mut Vec<Pages>,
) -> Option<usize> {
    /// Room for runs that each scan finds at least.
    const ROOM: usize = 32;
    let pagemap = pagemap()?;
    let page_size = crate::memory::mapping::page_size();
    runs.clear();
    let (mut start, mut count) = (start, 0);
    loop {
        runs.reserve(ROOM);
        let known = runs.len();
        // One more, to see that there are too many.
        let max_pages_now = max_pages - count + 1;
        let scanned = scan(pagemap, start, end, max_pages_now, runs)?;
        if scanned <= start && start < end {
            return None;
        }
        start = scanned;
        let found = runs[known..].iter().map(|run| run.end - run.start);
        count += found.sum::<u64>() as usize / page_size;
        if count > max_pages {
            return None;
        }
        if start == end {
            return Some(count);
        }
    }
}

/// Adds runs to `runs` until that is full, or `max_pages` are found. Where the scan has ended.
fn scan(
    pagemap: &File,
    start: usize,
    end: usize,
    max_pages: usize,
    runs: &mut Vec<Pages>,
) -> Option<usize> {
    let room = runs.spare_capacity_mut();
    let mut arguments = ScanArguments {
        size: size_of::<ScanArguments>() as u64,
        start: start as u64,
        end: end as u64,
        vec: room.as_mut_ptr() as u64,
        vec_len: room.len() as u64,
        max_pages: max_pages as u64,
        category_inverted: PAGE_IS_FILE | PAGE_IS_PFNZERO,
        category_mask: PAGE_IS_FILE | PAGE_IS_PFNZERO,
        category_anyof_mask: PAGE_IS_PRESENT | PAGE_IS_SWAPPED,
        return_mask: PAGE_IS_PRESENT | PAGE_IS_SWAPPED,
        ..ScanArguments::default()
    };
    // SAFETY: the arguments and the room that they name are valid for the call.
    let count = unsafe { libc::ioctl(pagemap.as_raw_fd(), PAGEMAP_SCAN, &mut arguments) };
    let count = usize::try_from(count).ok()?;
    // SAFETY: the kernel has written so many, not more than there is room for.
    unsafe { runs.set_len(runs.len() + count) };
    Some(arguments.walk_end as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_pages_are_found() {
        let page = crate::memory::mapping::page_size();
        let protection = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a new mapping of 8 pages, used only here.
        let start = unsafe {
            let flags = MapFlags::PRIVATE;
            let start =
                rustix::mm::mmap_anonymous(std::ptr::null_mut(), 8 * page, protection, flags)
                    .unwrap()
                    .cast::<u8>();
            start.add(2 * page).write(1);
            start.add(3 * page).write(1);
            start.add(6 * page).write(1);
            // Reading maps the zero page, which is not written.
            assert_eq!(start.add(5 * page).read_volatile(), 0);
            start
        };
        let address = start.addr();
        let mut runs = Vec::new();
        // Older kernels cannot tell.
        if let Some(count) = written(address, address + 8 * page, 3, &mut runs) {
            let found: Vec<_> = runs
                .iter()
                .map(|run| {
                    let number = |at: u64| (at as usize - address) / page;
                    number(run.start)..number(run.end)
                })
                .collect();
            assert_eq!((count, found), (3, vec![2..4, 6..7]));
            assert!(written(address, address + 8 * page, 2, &mut runs).is_none());
        }
    }

    #[test]
    fn many_runs_are_all_found() {
        let page = crate::memory::mapping::page_size();
        for pages in [1, 31, 32, 33, 500] {
            let size = 2 * pages * page;
            // SAFETY: a new mapping, used only here; every second page is written.
            let start = unsafe {
                let flags = MapFlags::PRIVATE;
                let protection = ProtFlags::READ | ProtFlags::WRITE;
                let start =
                    rustix::mm::mmap_anonymous(std::ptr::null_mut(), size, protection, flags)
                        .unwrap()
                        .cast::<u8>();
                (0..pages).for_each(|number| start.add(2 * number * page).write(1));
                start.addr()
            };
            let mut runs = Vec::new();
            // Older kernels cannot tell.
            if let Some(count) = written(start, start + size, pages, &mut runs) {
                assert_eq!((count, runs.len()), (pages, pages));
                let starts = runs.iter().map(|run| run.start as usize - start);
                assert!(starts.eq((0..pages).map(|number| 2 * number * page)));
                assert!(written(start, start + size, pages - 1, &mut runs).is_none());
            }
        }
    }

    #[test]
    fn a_child_does_not_scan_its_parent() {
        if pagemap().is_none() {
            return;
        }
        // SAFETY: the child only looks at a page, and ends.
        let child = unsafe { libc::fork() };
        if child == 0 {
            let code = i32::from(pagemap().is_some());
            // SAFETY: ends the process.
            unsafe { libc::_exit(code) };
        }
        let mut status = -1;
        // SAFETY: waits for the child of before.
        assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
        assert_eq!(status, 0, "the child used its parent's file");
    }
}
