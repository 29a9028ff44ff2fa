//! Mapping of an artifact's file, and the sealed copies that trusted loading maps.

use anyhow::{Context, Result, ensure};
use rustix::fs::{MemfdFlags, SealFlags};
use rustix::mm::{MapFlags, MprotectFlags, ProtFlags};
use std::ffi::c_void;
use std::fs::File;
use std::ops::Range;
use std::os::fd::{AsFd, OwnedFd};
use std::ptr::null_mut;
use std::sync::OnceLock;
use trampette_artifact::layout::PAGE_ALIGNMENT;

/// The host's page size in bytes.
#[inline]
pub(crate) fn page_size() -> usize {
    static SIZE: OnceLock<usize> = OnceLock::new();
    *SIZE.get_or_init(|| {
        // SAFETY: no preconditions.
        let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
        usize::try_from(size).expect("the page size is positive")
    })
}

/// Rounds up to whole host pages.
#[inline]
pub(crate) fn round_to_pages(bytes: usize) -> usize {
    // Cheaper than to divide.
    let below = page_size() - 1;
    (bytes + below) & !below
}

/// A file in memory, written by `write` and then sealed: nobody can change or resize it any more.
pub(crate) fn sealed_copy(write: impl FnOnce(&mut File) -> Result<()>) -> Result<OwnedFd> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let fd =
        rustix::fs::memfd_create("trampette", flags).context("cannot make a file in memory")?;
    let mut file = File::from(fd);
    write(&mut file).context("cannot write to a file in memory")?;
    let seals = SealFlags::WRITE | SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL;
    rustix::fs::fcntl_add_seals(&file, seals).context("cannot seal a file in memory")?;
    Ok(file.into())
}

/// An artifact's file, mapped privately as a whole: byte `n` of the file is at `base + n`.
pub(crate) struct FileMapping {
    file: OwnedFd,
    base: *mut u8,
    length: usize,
}

impl FileMapping {
    pub(crate) fn new(file: OwnedFd) -> Result<FileMapping> {
        let size = rustix::fs::fstat(file.as_fd())
            .context("cannot find the artifact's size")?
            .st_size;
        let length = usize::try_from(size).context("the artifact is too large")?;
        ensure!(
            page_size() as u64 <= PAGE_ALIGNMENT,
            "this system has pages of {} bytes; artifacts are laid out for {PAGE_ALIGNMENT}",
            page_size()
        );
        if length == 0 {
            // Nothing can be mapped; whoever reads the headers says so.
            return Ok(FileMapping {
                file,
                base: std::ptr::NonNull::dangling().as_ptr(),
                length,
            });
        }
        // SAFETY: a new mapping at an address of the kernel's choice.
        let base = unsafe {
            let flags = MapFlags::PRIVATE;
            rustix::mm::mmap(null_mut(), length, ProtFlags::READ, flags, &file, 0)
        }
        .context("cannot map the artifact")?;
        Ok(FileMapping {
            file,
            base: base.cast(),
            length,
        })
    }

    /// The file.
    pub(crate) fn file(&self) -> &OwnedFd {
        &self.file
    }

    /// Where the file's first byte is.
    pub(crate) fn base(&self) -> usize {
        self.base.expose_provenance()
    }

    /// The file's contents.
    pub(crate) fn file_bytes(&self) -> &[u8] {
        // SAFETY: mapped readable, and (see the loaders' contracts) nobody changes the file.
        unsafe { std::slice::from_raw_parts(self.base, self.length) }
    }

    fn protect(&self, range: &Range<usize>, flags: MprotectFlags) -> Result<()> {
        let start = range.start / page_size() * page_size();
        let length = round_to_pages(range.end) - start;
        // SAFETY: pages of this mapping, whose use the callers know.
        unsafe { rustix::mm::mprotect(self.base.add(start).cast::<c_void>(), length, flags) }
            .context("cannot set the protection of the artifact's pages")
    }

    /// Makes the pages of a part of the file executable.
    pub(crate) fn make_executable(&mut self, range: Range<usize>) -> Result<()> {
        if range.is_empty() {
            return Ok(());
        }
        self.protect(&range, MprotectFlags::READ | MprotectFlags::EXEC)
    }

    /// Whether a page of the file begins at `offset`, and none of `text` is in it.
    pub(crate) fn is_page_outside(&self, offset: usize, text: &Range<usize>) -> bool {
        let size = page_size();
        let text = text.start / size * size..round_to_pages(text.end);
        offset.is_multiple_of(size)
            && offset < self.length
            && (offset + size <= text.start || text.end <= offset)
    }

    /// Maps the first page of another file, read-only, in the place of the page at `offset`, which
    /// was checked ([`FileMapping::is_page_outside`]).
    pub(crate) fn replace_page(&mut self, offset: usize, page: &OwnedFd) -> Result<()> {
        let size = page_size();
        // SAFETY: a page of this mapping, which nothing refers to: `&mut self` excludes readers.
        unsafe {
            let place = self.base.add(offset).cast::<c_void>();
            let flags = MapFlags::PRIVATE | MapFlags::FIXED;
            rustix::mm::mmap(place, size, ProtFlags::READ, flags, page, 0)
        }
        .context("cannot map the table of builtins")?;
        Ok(())
    }
}

impl Drop for FileMapping {
    fn drop(&mut self) {
        if self.length == 0 {
            return;
        }
        // SAFETY: mapped by `new`; nothing that refers to it outlives this. Failure would only
        // leak.
        let _ = unsafe { rustix::mm::munmap(self.base.cast(), self.length) };
    }
}
