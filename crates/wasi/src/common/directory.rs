//! Listing directories.

use crate::common::budget::Held;
use crate::common::descriptor::{FsResult, OpenDirectory};
use crate::p2::bindings::wasi::filesystem::types::{DescriptorType, DirectoryEntry};
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags};
use rustix::io::Errno;
use std::ffi::CString;

/// A directory that is being read: nothing but the part that the system gave last is in memory.
pub(crate) struct Listing {
    dir: Dir,
    _held: Held,
}

/// An entry of a directory, `.` and `..` among them.
pub(crate) struct Entry {
    /// Any bytes but 0 and `/`.
    pub(crate) name: CString,
    pub(crate) kind: DescriptorType,
    pub(crate) inode: u64,
    /// Where to go on after it (see [`Listing::seek`]).
    pub(crate) next: i64,
}

impl Listing {
    pub(crate) fn open(directory: &OpenDirectory) -> FsResult<Listing> {
        let held = directory.budget.take()?;
        // A file descriptor of its own, which has a position of its own.
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(&directory.dir, ".", flags, Mode::empty())?;
        Ok(Listing {
            dir: Dir::new(fd)?,
            _held: held,
        })
    }

    /// Goes on after the entry that had this number as [`Entry::next`].
    pub(crate) fn seek(&mut self, next: i64) -> FsResult<()> {
        Ok(self.dir.seek(next)?)
    }

    pub(crate) fn next(&mut self) -> FsResult<Option<Entry>> {
        let Some(entry) = self.dir.read() else {
            return Ok(None);
        };
        let entry = entry?;
        let kind = match entry.file_type() {
            // Some filesystems do not say.
            FileType::Unknown => {
                let flags = AtFlags::SYMLINK_NOFOLLOW;
                let stat = rustix::fs::statat(self.dir.fd()?, entry.file_name(), flags);
                stat.map(|stat| FileType::from_raw_mode(stat.st_mode))
                    .unwrap_or(FileType::Unknown)
            }
            known => known,
        };
        Ok(Some(Entry {
            name: entry.file_name().to_owned(),
            kind: kind.into(),
            inode: entry.ino(),
            next: entry.offset(),
        }))
    }
}

/// `directory-entry-stream`: the entries, without `.` and `..`. Names that are not UTF-8 are left
/// out: WASI 0.2 has no way to spell them, and no call would find them.
pub struct DirectoryEntryStream(Listing);

impl DirectoryEntryStream {
    pub(crate) fn open(directory: &OpenDirectory) -> FsResult<DirectoryEntryStream> {
        Ok(DirectoryEntryStream(Listing::open(directory)?))
    }

    /// The next entry, or `None` at the end.
    ///
    /// # Errors
    /// If the system cannot read the directory.
    pub fn next_entry(&mut self) -> FsResult<Option<DirectoryEntry>> {
        while let Some(entry) = self.0.next()? {
            if let Ok(name) = entry.name.into_string()
                && name != "."
                && name != ".."
            {
                let type_ = entry.kind;
                return Ok(Some(DirectoryEntry { type_, name }));
            }
        }
        Ok(None)
    }
}

/// What a position that the guest made up is worth.
pub(crate) fn position(cookie: u64) -> Result<i64, Errno> {
    i64::try_from(cookie).map_err(|_| Errno::INVAL)
}
