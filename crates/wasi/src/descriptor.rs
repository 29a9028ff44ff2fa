//! Descriptors: open files and directories, confined to their preopened directory by `cap-std`.
//!
//! Everything a path can do goes through [`cap_std::fs::Dir`], which resolves `..`, absolute paths
//! and symbolic links without ever leaving the directory.

use crate::bindings::wasi::clocks::wall_clock::Datetime;
use crate::bindings::wasi::filesystem::types::{
    Advice as WasiAdvice, DescriptorFlags, DescriptorStat, DescriptorType, DirectoryEntry,
    ErrorCode, MetadataHashValue, NewTimestamp, OpenFlags, PathFlags,
};
use crate::streams::{InputStream, OutputStream};
use cap_fs_ext::{
    DirExt, FollowSymlinks, MetadataExt, OpenOptionsFollowExt, OpenOptionsMaybeDirExt,
};
use cap_fs_ext::{SystemTimeSpec, SystemTimeSpec::Absolute, SystemTimeSpec::SymbolicNow};
use cap_std::fs::FileExt;
use cap_std::fs::{Dir, File, FileTypeExt, Metadata, OpenOptions};
use cap_std::time::SystemTime;
use rustix::fs::Advice;
use std::sync::Arc;

impl From<cap_std::fs::FileType> for DescriptorType {
    fn from(ty: cap_std::fs::FileType) -> Self {
        match ty {
            _ if ty.is_dir() => DescriptorType::Directory,
            _ if ty.is_file() => DescriptorType::RegularFile,
            _ if ty.is_symlink() => DescriptorType::SymbolicLink,
            _ if ty.is_block_device() => DescriptorType::BlockDevice,
            _ if ty.is_char_device() => DescriptorType::CharacterDevice,
            _ if ty.is_fifo() => DescriptorType::Fifo,
            _ if ty.is_socket() => DescriptorType::Socket,
            _ => DescriptorType::Unknown,
        }
    }
}

impl From<Metadata> for DescriptorStat {
    fn from(metadata: Metadata) -> Self {
        let time = |time: std::io::Result<SystemTime>| time.ok().map(|time| time.into_std().into());
        let changed = u64::try_from(cap_std::fs::MetadataExt::ctime(&metadata)).ok();
        let nanoseconds = cap_std::fs::MetadataExt::ctime_nsec(&metadata) as u32;
        DescriptorStat {
            type_: metadata.file_type().into(),
            link_count: MetadataExt::nlink(&metadata),
            size: metadata.len(),
            data_access_timestamp: time(metadata.accessed()),
            data_modification_timestamp: time(metadata.modified()),
            status_change_timestamp: changed.map(|seconds| Datetime {
                seconds,
                nanoseconds,
            }),
        }
    }
}

impl From<Metadata> for MetadataHashValue {
    /// Identity and what changes when the file does; equal values need not mean equal files.
    fn from(metadata: Metadata) -> Self {
        use std::hash::{DefaultHasher, Hash, Hasher};
        let half = |salt: u64| {
            let mut hasher = DefaultHasher::new();
            salt.hash(&mut hasher);
            (MetadataExt::dev(&metadata), MetadataExt::ino(&metadata)).hash(&mut hasher);
            metadata.len().hash(&mut hasher);
            metadata
                .modified()
                .ok()
                .map(SystemTime::into_std)
                .hash(&mut hasher);
            hasher.finish()
        };
        MetadataHashValue {
            lower: half(1),
            upper: half(2),
        }
    }
}

impl NewTimestamp {
    fn spec(self) -> FsResult<Option<SystemTimeSpec>> {
        Ok(match self {
            NewTimestamp::NoChange => None,
            NewTimestamp::Now => Some(SymbolicNow),
            NewTimestamp::Timestamp(time) => {
                let time = time.system_time().ok_or(ErrorCode::Overflow)?;
                Some(Absolute(SystemTime::from_std(time)))
            }
        })
    }
}

/// `directory-entry-stream`: the entries that were there when it was opened, without `.` and `..`.
pub struct DirectoryEntryStream(std::vec::IntoIter<FsResult<DirectoryEntry>>);

impl DirectoryEntryStream {
    /// The next entry, or `None` at the end.
    pub fn next_entry(&mut self) -> FsResult<Option<DirectoryEntry>> {
        self.0.next().transpose()
    }
}

/// The result of an operation of the filesystem.
pub(crate) type FsResult<R> = Result<R, ErrorCode>;

/// What a guest may do with a preopened directory and everything below it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Access {
    /// Read and write.
    ReadWrite,
    /// Read only.
    ReadOnly,
}

/// `descriptor`: an open file or directory.
pub enum Descriptor {
    /// A file.
    File {
        /// The file.
        file: Arc<File>,
        /// What it was opened for.
        flags: DescriptorFlags,
    },
    /// A directory.
    Directory {
        /// The directory.
        dir: Dir,
        /// What may be done below it.
        access: Access,
        /// What it was opened for.
        flags: DescriptorFlags,
    },
}

fn follow(flags: PathFlags) -> FollowSymlinks {
    if flags.contains(PathFlags::SYMLINK_FOLLOW) {
        FollowSymlinks::Yes
    } else {
        FollowSymlinks::No
    }
}

impl Descriptor {
    /// A directory, preopened or below one that is.
    pub fn directory(dir: Dir, access: Access) -> Descriptor {
        let flags = match access {
            Access::ReadWrite => DescriptorFlags::READ | DescriptorFlags::MUTATE_DIRECTORY,
            Access::ReadOnly => DescriptorFlags::READ,
        };
        Descriptor::Directory { dir, access, flags }
    }

    fn file(&self) -> FsResult<&Arc<File>> {
        match self {
            Descriptor::File { file, .. } => Ok(file),
            Descriptor::Directory { .. } => Err(ErrorCode::IsDirectory),
        }
    }

    fn readable(&self) -> FsResult<&Arc<File>> {
        let file = self.file()?;
        if self.flags().contains(DescriptorFlags::READ) {
            Ok(file)
        } else {
            Err(ErrorCode::BadDescriptor)
        }
    }

    fn writable(&self) -> FsResult<&Arc<File>> {
        let file = self.file()?;
        if self.flags().contains(DescriptorFlags::WRITE) {
            Ok(file)
        } else {
            Err(ErrorCode::BadDescriptor)
        }
    }

    fn dir(&self) -> FsResult<&Dir> {
        match self {
            Descriptor::Directory { dir, .. } => Ok(dir),
            Descriptor::File { .. } => Err(ErrorCode::NotDirectory),
        }
    }

    /// The directory, if its entries may be changed.
    fn mutable_dir(&self) -> FsResult<&Dir> {
        match self {
            Descriptor::Directory {
                dir,
                access: Access::ReadWrite,
                ..
            } => Ok(dir),
            Descriptor::Directory { .. } => Err(ErrorCode::NotPermitted),
            Descriptor::File { .. } => Err(ErrorCode::NotDirectory),
        }
    }

    /// `get-flags`.
    pub fn flags(&self) -> DescriptorFlags {
        match self {
            Descriptor::File { flags, .. } | Descriptor::Directory { flags, .. } => *flags,
        }
    }

    fn metadata(&self) -> FsResult<Metadata> {
        Ok(match self {
            Descriptor::File { file, .. } => file.metadata()?,
            Descriptor::Directory { dir, .. } => dir.dir_metadata()?,
        })
    }

    /// `get-type`.
    pub fn kind(&self) -> FsResult<DescriptorType> {
        Ok(self.metadata()?.file_type().into())
    }

    /// `stat`.
    pub fn stat(&self) -> FsResult<DescriptorStat> {
        Ok(self.metadata()?.into())
    }

    /// `metadata-hash`.
    pub fn metadata_hash(&self) -> FsResult<MetadataHashValue> {
        Ok(self.metadata()?.into())
    }

    /// `is-same-object`.
    pub fn is_same(&self, other: &Descriptor) -> bool {
        let identity = |descriptor: &Descriptor| {
            let metadata = descriptor.metadata().ok()?;
            Some((MetadataExt::dev(&metadata), MetadataExt::ino(&metadata)))
        };
        identity(self).is_some_and(|this| identity(other) == Some(this))
    }

    /// `read-via-stream`.
    pub fn read_stream(&self, position: u64) -> FsResult<InputStream> {
        Ok(InputStream::File {
            file: self.readable()?.clone(),
            position,
        })
    }

    /// `write-via-stream`.
    pub fn write_stream(&self, position: u64) -> FsResult<OutputStream> {
        Ok(OutputStream::File {
            file: self.writable()?.clone(),
            position: Some(position),
        })
    }

    /// `append-via-stream`.
    pub fn append_stream(&self) -> FsResult<OutputStream> {
        Ok(OutputStream::File {
            file: self.writable()?.clone(),
            position: None,
        })
    }

    /// `read`: the bytes, and whether the file ends there.
    pub fn read(&self, length: u64, position: u64) -> FsResult<(Vec<u8>, bool)> {
        /// A guest's length must not size the host's memory.
        const LIMIT: u64 = 1 << 20;
        let file = self.readable()?;
        let mut bytes = vec![0; length.min(LIMIT) as usize];
        let count = file.read_at(&mut bytes, position)?;
        bytes.truncate(count);
        Ok((bytes, count == 0 && length > 0))
    }

    /// `write`: how many bytes were written.
    pub fn write(&self, bytes: &[u8], position: u64) -> FsResult<u64> {
        Ok(self.writable()?.write_at(bytes, position)? as u64)
    }

    /// `advise`.
    pub fn advise(&self, position: u64, length: u64, advice: WasiAdvice) -> FsResult<()> {
        let advice = match advice {
            WasiAdvice::Normal => Advice::Normal,
            WasiAdvice::Sequential => Advice::Sequential,
            WasiAdvice::Random => Advice::Random,
            WasiAdvice::WillNeed => Advice::WillNeed,
            WasiAdvice::DontNeed => Advice::DontNeed,
            WasiAdvice::NoReuse => Advice::NoReuse,
        };
        Ok(rustix::fs::fadvise(
            self.file()?,
            position,
            std::num::NonZeroU64::new(length),
            advice,
        )?)
    }

    /// `sync-data`.
    pub fn sync_data(&self) -> FsResult<()> {
        match self {
            Descriptor::File { file, .. } => Ok(file.sync_data()?),
            Descriptor::Directory { dir, .. } => Ok(rustix::fs::fdatasync(dir)?),
        }
    }

    /// `sync`.
    pub fn sync(&self) -> FsResult<()> {
        match self {
            Descriptor::File { file, .. } => Ok(file.sync_all()?),
            Descriptor::Directory { dir, .. } => Ok(rustix::fs::fsync(dir)?),
        }
    }

    /// `set-size`.
    pub fn set_size(&self, size: u64) -> FsResult<()> {
        Ok(self.writable()?.set_len(size)?)
    }

    /// `set-times`.
    pub fn set_times(&self, access: NewTimestamp, modification: NewTimestamp) -> FsResult<()> {
        use rustix::fs::{Timespec, Timestamps, UTIME_NOW, UTIME_OMIT, futimens};
        let time = |new: NewTimestamp| -> FsResult<Timespec> {
            Ok(match new {
                NewTimestamp::NoChange => Timespec {
                    tv_sec: 0,
                    tv_nsec: UTIME_OMIT,
                },
                NewTimestamp::Now => Timespec {
                    tv_sec: 0,
                    tv_nsec: UTIME_NOW,
                },
                NewTimestamp::Timestamp(time) => Timespec {
                    tv_sec: time.seconds.try_into().map_err(|_| ErrorCode::Overflow)?,
                    tv_nsec: time.nanoseconds.into(),
                },
            })
        };
        let times = Timestamps {
            last_access: time(access)?,
            last_modification: time(modification)?,
        };
        match self {
            Descriptor::File { .. } => Ok(futimens(self.writable()?, &times)?),
            Descriptor::Directory { .. } => Ok(futimens(self.mutable_dir()?, &times)?),
        }
    }

    /// `set-times-at`.
    pub fn set_times_at(
        &self,
        flags: PathFlags,
        path: &str,
        access: NewTimestamp,
        modification: NewTimestamp,
    ) -> FsResult<()> {
        let (dir, access, modification) =
            (self.mutable_dir()?, access.spec()?, modification.spec()?);
        match follow(flags) {
            FollowSymlinks::Yes => Ok(dir.set_times(path, access, modification)?),
            FollowSymlinks::No => Ok(dir.set_symlink_times(path, access, modification)?),
        }
    }

    fn metadata_at(&self, flags: PathFlags, path: &str) -> FsResult<Metadata> {
        let dir = self.dir()?;
        Ok(match follow(flags) {
            FollowSymlinks::Yes => dir.metadata(path)?,
            FollowSymlinks::No => dir.symlink_metadata(path)?,
        })
    }

    /// `stat-at`.
    pub fn stat_at(&self, flags: PathFlags, path: &str) -> FsResult<DescriptorStat> {
        Ok(self.metadata_at(flags, path)?.into())
    }

    /// `metadata-hash-at`.
    pub fn metadata_hash_at(&self, flags: PathFlags, path: &str) -> FsResult<MetadataHashValue> {
        Ok(self.metadata_at(flags, path)?.into())
    }

    /// `read-directory`.
    pub fn read_directory(&self) -> FsResult<DirectoryEntryStream> {
        let entry = |entry: std::io::Result<cap_std::fs::DirEntry>| {
            let entry = entry?;
            let name = entry
                .file_name()
                .into_string()
                .map_err(|_| ErrorCode::IllegalByteSequence)?;
            Ok(DirectoryEntry {
                type_: entry.file_type()?.into(),
                name,
            })
        };
        let entries: Vec<_> = self.dir()?.entries()?.map(entry).collect();
        Ok(DirectoryEntryStream(entries.into_iter()))
    }

    /// `create-directory-at`.
    pub fn create_directory_at(&self, path: &str) -> FsResult<()> {
        Ok(self.mutable_dir()?.create_dir(path)?)
    }

    /// `link-at`.
    pub fn link_at(
        &self,
        flags: PathFlags,
        path: &str,
        to: &Descriptor,
        new: &str,
    ) -> FsResult<()> {
        if follow(flags) == FollowSymlinks::Yes {
            return Err(ErrorCode::Invalid);
        }
        Ok(self
            .mutable_dir()?
            .hard_link(path, to.mutable_dir()?, new)?)
    }

    /// `readlink-at`.
    pub fn readlink_at(&self, path: &str) -> FsResult<String> {
        let target = self.dir()?.read_link(path)?;
        target
            .into_os_string()
            .into_string()
            .map_err(|_| ErrorCode::IllegalByteSequence)
    }

    /// `remove-directory-at`.
    pub fn remove_directory_at(&self, path: &str) -> FsResult<()> {
        Ok(self.mutable_dir()?.remove_dir(path)?)
    }

    /// `rename-at`.
    pub fn rename_at(&self, path: &str, to: &Descriptor, new: &str) -> FsResult<()> {
        Ok(self.mutable_dir()?.rename(path, to.mutable_dir()?, new)?)
    }

    /// `symlink-at`.
    pub fn symlink_at(&self, target: &str, path: &str) -> FsResult<()> {
        Ok(DirExt::symlink(self.mutable_dir()?, target, path)?)
    }

    /// `unlink-file-at`.
    pub fn unlink_file_at(&self, path: &str) -> FsResult<()> {
        Ok(DirExt::remove_file_or_symlink(self.mutable_dir()?, path)?)
    }

    /// `open-at`.
    pub fn open_at(
        &self,
        path_flags: PathFlags,
        path: &str,
        open: OpenFlags,
        flags: DescriptorFlags,
    ) -> FsResult<Descriptor> {
        let changes = [OpenFlags::CREATE, OpenFlags::TRUNCATE]
            .iter()
            .any(|flag| open.contains(*flag))
            || flags.contains(DescriptorFlags::WRITE)
            || flags.contains(DescriptorFlags::MUTATE_DIRECTORY);
        let dir = if changes {
            self.mutable_dir()?
        } else {
            self.dir()?
        };
        let Descriptor::Directory { access, .. } = self else {
            return Err(ErrorCode::NotDirectory);
        };
        let mut options = OpenOptions::new();
        options.maybe_dir(true).follow(follow(path_flags));
        if open.contains(OpenFlags::CREATE) {
            options.create(true).write(true);
            if open.contains(OpenFlags::EXCLUSIVE) {
                options.create_new(true);
            }
        }
        if open.contains(OpenFlags::TRUNCATE) {
            options.truncate(true).write(true);
        }
        if flags.contains(DescriptorFlags::WRITE) {
            options.write(true);
        }
        // Without any other access a file is still opened to read, as a path to stat or list.
        let writes = open.contains(OpenFlags::CREATE)
            || open.contains(OpenFlags::TRUNCATE)
            || flags.contains(DescriptorFlags::WRITE);
        options.read(flags.contains(DescriptorFlags::READ) || !writes);
        if open.contains(OpenFlags::DIRECTORY) && (writes || open.contains(OpenFlags::EXCLUSIVE)) {
            return Err(ErrorCode::Invalid);
        }
        let file = dir.open_with(path, &options)?;
        if file.metadata()?.is_dir() {
            // What may be done below a directory is decided when it is preopened and passes on to
            // what is opened in it, whether or not the guest asks: no libc asks.
            let dir = Dir::from_std_file(file.into_std());
            return Ok(Descriptor::directory(dir, *access));
        }
        if open.contains(OpenFlags::DIRECTORY) {
            return Err(ErrorCode::NotDirectory);
        }
        Ok(Descriptor::File {
            file: Arc::new(file),
            flags,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A directory of the host's, preopened, and what a guest opens below it without asking for
    /// anything but to read.
    fn opened_below(access: Access) -> (tempfile::TempDir, Descriptor) {
        let host = tempfile::tempdir().unwrap();
        std::fs::create_dir(host.path().join("below")).unwrap();
        std::fs::write(host.path().join("below/old"), "old").unwrap();
        let dir = Dir::open_ambient_dir(host.path(), cap_std::ambient_authority()).unwrap();
        let below = Descriptor::directory(dir, access).open_at(
            PathFlags::empty(),
            "below",
            OpenFlags::DIRECTORY,
            DescriptorFlags::READ,
        );
        (host, below.unwrap())
    }

    /// Everything that changes entries, and opening to write.
    fn changes(dir: &Descriptor) -> [FsResult<()>; 9] {
        let create = OpenFlags::CREATE;
        let nothing = PathFlags::empty();
        let write = DescriptorFlags::WRITE;
        let now = || NewTimestamp::Now;
        [
            dir.open_at(nothing, "new", create, write).map(drop),
            dir.open_at(nothing, "old", OpenFlags::empty(), write)
                .map(drop),
            dir.create_directory_at("folder"),
            dir.symlink_at("old", "link"),
            dir.link_at(nothing, "old", dir, "hard"),
            dir.rename_at("hard", dir, "renamed"),
            dir.set_times_at(nothing, "old", now(), now()),
            dir.unlink_file_at("link"),
            dir.remove_directory_at("folder"),
        ]
    }

    #[test]
    fn rights_pass_on_to_what_is_opened_below() {
        let (_host, dir) = opened_below(Access::ReadWrite);
        assert!(dir.flags().contains(DescriptorFlags::MUTATE_DIRECTORY));
        assert_eq!(changes(&dir), [Ok(()); 9]);
    }

    #[test]
    fn what_is_opened_below_a_read_only_directory_is_read_only() {
        let (host, dir) = opened_below(Access::ReadOnly);
        assert!(!dir.flags().contains(DescriptorFlags::MUTATE_DIRECTORY));
        assert_eq!(changes(&dir), [Err(ErrorCode::NotPermitted); 9]);
        let left = std::fs::read_dir(host.path().join("below")).unwrap();
        assert_eq!(left.count(), 1);
    }
}
