//! What can be done with paths below an open directory, confined to it.
//!
//! Lookups are those of `beneath.rs`, which resolve `..`, absolute paths and symbolic links
//! without ever leaving the directory. What changes an entry opens the directory that holds it in
//! the same way, and hands the last component to the system as it was given ([`Place`]): so slashes
//! behind it mean what they mean natively. The system does not follow a last component then: where
//! it would, a lookup comes first.

use crate::common::beneath::{self, Follow};
use crate::common::descriptor::{Descriptor, FsResult, timestamps};
use crate::p2::bindings::wasi::filesystem::types::{
    DescriptorFlags, DescriptorStat, ErrorCode, MetadataHashValue, NewTimestamp, OpenFlags,
    PathFlags,
};
use rustix::fs::{AtFlags, Mode, OFlags, Timestamps};
use rustix::io::Errno;
use std::ffi::OsStr;
use std::fs::{File, Metadata};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

fn follow(flags: PathFlags) -> Follow {
    if flags.contains(PathFlags::SYMLINK_FOLLOW) {
        Follow::Yes
    } else {
        Follow::No
    }
}

/// The last component of a path, and the directory that holds it.
struct Place<'a> {
    dir: PlaceDir<'a>,
    /// With the slashes behind it.
    name: &'a OsStr,
}

enum PlaceDir<'a> {
    Given(BorrowedFd<'a>),
    Opened(OwnedFd),
}

impl AsFd for PlaceDir<'_> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            PlaceDir::Given(dir) => dir.as_fd(),
            PlaceDir::Opened(dir) => dir.as_fd(),
        }
    }
}

impl<'a> Place<'a> {
    fn of(dir: &'a File, path: &'a Path) -> FsResult<Place<'a>> {
        let bytes = path.as_os_str().as_bytes();
        if bytes.is_empty() {
            return Err(ErrorCode::NoEntry);
        }
        if bytes.starts_with(b"/") {
            return Err(ErrorCode::NotPermitted);
        }
        let is_slash = |byte: &u8| *byte == b'/';
        let end = bytes.iter().rposition(|byte| !is_slash(byte));
        let last = end.map_or(bytes, |end| &bytes[..=end]);
        if last == b".." || last.ends_with(b"/..") {
            // It may lead outside, which a lookup refuses.
            beneath::metadata(dir, path, Follow::Yes)?;
        }
        let slash = end.and_then(|end| bytes[..end].iter().rposition(is_slash));
        let Some(slash) = slash else {
            return Ok(Place {
                dir: PlaceDir::Given(dir.as_fd()),
                name: path.as_os_str(),
            });
        };
        // As natively, passing through a directory needs no right to read it.
        let flags = OFlags::PATH | OFlags::DIRECTORY;
        let parent = Path::new(OsStr::from_bytes(&bytes[..slash]));
        Ok(Place {
            dir: PlaceDir::Opened(beneath::open(dir, parent, flags, Follow::Yes)?),
            name: OsStr::from_bytes(&bytes[slash + 1..]),
        })
    }

    /// Whether looking the component up leads somewhere else even if no symbolic link is followed:
    /// it is `.` or `..`, or slashes behind it ask for a directory.
    fn is_passed_through(&self) -> bool {
        let name = self.name.as_bytes();
        matches!(name, b"." | b"..") || name.ends_with(b"/")
    }
}

/// # Paths
///
/// A path is text or, for what only bytes can spell, an [`OsStr`]. All of these fail with the code
/// that stands for the system's error, with `not-permitted` if a path leads outside, and with
/// `read-only` if the directory is.
impl Descriptor {
    /// `set-times-at`.
    pub fn set_times_at(
        &self,
        flags: PathFlags,
        path: impl AsRef<Path>,
        access: NewTimestamp,
        modification: NewTimestamp,
    ) -> FsResult<()> {
        self.set_timestamps_at(flags, path, &timestamps(access, modification)?)
    }

    pub(crate) fn set_timestamps_at(
        &self,
        flags: PathFlags,
        path: impl AsRef<Path>,
        times: &Timestamps,
    ) -> FsResult<()> {
        let (dir, path) = (self.mutable_dir()?, path.as_ref());
        let place = Place::of(dir, path)?;
        if follow(flags) == Follow::Yes || place.is_passed_through() {
            return Ok(beneath::set_times(dir, path, times)?);
        }
        let flags = AtFlags::SYMLINK_NOFOLLOW;
        Ok(rustix::fs::utimensat(&place.dir, place.name, times, flags)?)
    }

    pub(crate) fn metadata_at(
        &self,
        flags: PathFlags,
        path: impl AsRef<Path>,
    ) -> FsResult<Metadata> {
        Ok(beneath::metadata(
            self.dir()?,
            path.as_ref(),
            follow(flags),
        )?)
    }

    /// `stat-at`.
    pub fn stat_at(&self, flags: PathFlags, path: impl AsRef<Path>) -> FsResult<DescriptorStat> {
        Ok(self.metadata_at(flags, path)?.into())
    }

    /// `metadata-hash-at`.
    pub fn metadata_hash_at(
        &self,
        flags: PathFlags,
        path: impl AsRef<Path>,
    ) -> FsResult<MetadataHashValue> {
        Ok(self.metadata_at(flags, path)?.into())
    }

    /// `create-directory-at`.
    pub fn create_directory_at(&self, path: impl AsRef<Path>) -> FsResult<()> {
        let place = Place::of(self.mutable_dir()?, path.as_ref())?;
        let mode = Mode::RWXU | Mode::RWXG | Mode::RWXO;
        Ok(rustix::fs::mkdirat(&place.dir, place.name, mode)?)
    }

    /// `link-at`.
    pub fn link_at(
        &self,
        flags: PathFlags,
        path: impl AsRef<Path>,
        to: &Descriptor,
        new: impl AsRef<Path>,
    ) -> FsResult<()> {
        if follow(flags) == Follow::Yes {
            return Err(ErrorCode::Invalid);
        }
        let dir = self.mutable_dir()?;
        let from = Place::of(dir, path.as_ref())?;
        let to = Place::of(to.mutable_dir()?, new.as_ref())?;
        if from.is_passed_through() {
            // It is a directory, if it is anything.
            beneath::metadata(dir, path.as_ref(), Follow::Yes)?;
            return Err(ErrorCode::NotPermitted);
        }
        let flags = AtFlags::empty();
        Ok(rustix::fs::linkat(
            &from.dir, from.name, &to.dir, to.name, flags,
        )?)
    }

    /// `readlink-at`, as bytes.
    pub(crate) fn readlink_bytes_at(&self, path: impl AsRef<Path>) -> FsResult<Vec<u8>> {
        let (dir, path) = (self.dir()?, path.as_ref());
        let place = Place::of(dir, path)?;
        if place.is_passed_through() {
            // It is a directory, if it is anything.
            beneath::metadata(dir, path, Follow::Yes)?;
            return Err(ErrorCode::Invalid);
        }
        let target = rustix::fs::readlinkat(&place.dir, place.name, Vec::new())?;
        match target.into_bytes() {
            // Where such a link leads is the host's affair.
            target if target.starts_with(b"/") => Err(ErrorCode::NotPermitted),
            target => Ok(target),
        }
    }

    /// `readlink-at`.
    pub fn readlink_at(&self, path: impl AsRef<Path>) -> FsResult<String> {
        let target = self.readlink_bytes_at(path)?;
        String::from_utf8(target).map_err(|_| ErrorCode::IllegalByteSequence)
    }

    /// `remove-directory-at`.
    pub fn remove_directory_at(&self, path: impl AsRef<Path>) -> FsResult<()> {
        let (dir, path) = (self.mutable_dir()?, path.as_ref());
        let place = Place::of(dir, path)?;
        let removed = rustix::fs::unlinkat(&place.dir, place.name, AtFlags::REMOVEDIR);
        if removed == Err(Errno::NOTDIR) && place.is_passed_through() {
            // Of a link that leads outside the guest is not told more than that.
            if let Err(Errno::PERM) = beneath::metadata(dir, path, Follow::Yes) {
                return Err(ErrorCode::NotPermitted);
            }
        }
        Ok(removed?)
    }

    /// `rename-at`.
    pub fn rename_at(
        &self,
        path: impl AsRef<Path>,
        to: &Descriptor,
        new: impl AsRef<Path>,
    ) -> FsResult<()> {
        let from = Place::of(self.mutable_dir()?, path.as_ref())?;
        let to = Place::of(to.mutable_dir()?, new.as_ref())?;
        Ok(rustix::fs::renameat(
            &from.dir, from.name, &to.dir, to.name,
        )?)
    }

    /// `symlink-at`.
    pub fn symlink_at(&self, target: impl AsRef<Path>, path: impl AsRef<Path>) -> FsResult<()> {
        let dir = self.mutable_dir()?;
        if target.as_ref().has_root() {
            return Err(ErrorCode::NotPermitted);
        }
        let place = Place::of(dir, path.as_ref())?;
        Ok(rustix::fs::symlinkat(
            target.as_ref(),
            &place.dir,
            place.name,
        )?)
    }

    /// `unlink-file-at`.
    pub fn unlink_file_at(&self, path: impl AsRef<Path>) -> FsResult<()> {
        let place = Place::of(self.mutable_dir()?, path.as_ref())?;
        let flags = AtFlags::empty();
        Ok(rustix::fs::unlinkat(&place.dir, place.name, flags)?)
    }

    /// `open-at`.
    pub fn open_at(
        &self,
        path_flags: PathFlags,
        path: impl AsRef<Path>,
        open: OpenFlags,
        flags: DescriptorFlags,
    ) -> FsResult<Descriptor> {
        // Without any other access a file is still opened to read, as a path to stat or list.
        let writes = open.contains(OpenFlags::CREATE)
            || open.contains(OpenFlags::TRUNCATE)
            || flags.contains(DescriptorFlags::WRITE);
        let dir = match writes || flags.contains(DescriptorFlags::MUTATE_DIRECTORY) {
            true => self.mutable_dir()?,
            false => self.dir()?,
        };
        let directory = self.directory_of()?;
        let changes = OpenFlags::CREATE | OpenFlags::EXCLUSIVE | OpenFlags::TRUNCATE;
        if open.contains(OpenFlags::DIRECTORY) && open.intersects(changes) {
            return Err(ErrorCode::Invalid);
        }
        let reads = flags.contains(DescriptorFlags::READ) || !writes;
        // A pipe without another end must not stop the host here.
        let mut system = OFlags::NONBLOCK
            | match (reads, writes) {
                (true, true) => OFlags::RDWR,
                (false, true) => OFlags::WRONLY,
                (_, false) => OFlags::RDONLY,
            };
        let of_open = [
            (OpenFlags::TRUNCATE, OFlags::TRUNC),
            (OpenFlags::DIRECTORY, OFlags::DIRECTORY),
            (OpenFlags::CREATE, OFlags::CREATE),
        ];
        for (asked, flag) in of_open {
            if open.contains(asked) {
                system |= flag;
            }
        }
        if open.contains(OpenFlags::CREATE | OpenFlags::EXCLUSIVE) {
            system |= OFlags::EXCL;
        }
        let also = [
            (DescriptorFlags::FILE_INTEGRITY_SYNC, OFlags::SYNC),
            (DescriptorFlags::DATA_INTEGRITY_SYNC, OFlags::DSYNC),
            (DescriptorFlags::REQUESTED_WRITE_SYNC, OFlags::RSYNC),
        ];
        for (asked, flag) in also {
            if flags.contains(asked) {
                system |= flag;
            }
        }
        let held = directory.budget.take()?;
        let opened = beneath::open(dir, path.as_ref(), system, follow(path_flags))?;
        let file = File::from(opened);
        let metadata = file.metadata()?;
        if metadata.is_dir() {
            let budget = &directory.budget;
            let mut opened = Descriptor::directory_held(file, self.access(), budget, held);
            opened.asked = flags;
            return Ok(opened);
        }
        if open.contains(OpenFlags::DIRECTORY) {
            return Err(ErrorCode::NotDirectory);
        }
        let access = self.access();
        Ok(Descriptor::file_held(file, &metadata, flags, access, held))
    }
}
