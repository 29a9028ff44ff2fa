//! Descriptors: open files and directories, as both versions of WASI use them. What can be done
//! with paths below a directory is in `paths.rs`.

use crate::common::budget::{Budget, Held};
use crate::common::directory::DirectoryEntryStream;
use crate::common::stdio::{Input, InputKind, Output, OutputKind, StreamFd};
use crate::p2::bindings::wasi::clocks::wall_clock::Datetime;
use crate::p2::bindings::wasi::filesystem::types::{
    Advice as WasiAdvice, DescriptorFlags, DescriptorStat, DescriptorType, ErrorCode,
    MetadataHashValue, NewTimestamp,
};
use crate::p2::streams::{InputStream, OutputStream, READ_LIMIT, append};
use rustix::fs::{Advice, FileType, Timespec, Timestamps, UTIME_NOW, UTIME_OMIT, futimens};
use std::fs::{File, Metadata};
use std::ops::Deref;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt};
use std::sync::Arc;
use std::time::SystemTime;

impl From<std::fs::FileType> for DescriptorType {
    fn from(ty: std::fs::FileType) -> Self {
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

impl From<FileType> for DescriptorType {
    fn from(ty: FileType) -> Self {
        match ty {
            FileType::Directory => DescriptorType::Directory,
            FileType::RegularFile => DescriptorType::RegularFile,
            FileType::Symlink => DescriptorType::SymbolicLink,
            FileType::BlockDevice => DescriptorType::BlockDevice,
            FileType::CharacterDevice => DescriptorType::CharacterDevice,
            FileType::Fifo => DescriptorType::Fifo,
            FileType::Socket => DescriptorType::Socket,
            FileType::Unknown => DescriptorType::Unknown,
        }
    }
}

impl From<Metadata> for DescriptorStat {
    fn from(metadata: Metadata) -> Self {
        let time = |time: std::io::Result<SystemTime>| time.ok().map(Datetime::from);
        let changed = u64::try_from(MetadataExt::ctime(&metadata)).ok();
        let nanoseconds = MetadataExt::ctime_nsec(&metadata) as u32;
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
            metadata.modified().ok().hash(&mut hasher);
            hasher.finish()
        };
        MetadataHashValue {
            lower: half(1),
            upper: half(2),
        }
    }
}

/// The times to set, as the system takes them.
///
/// # Errors
/// If a time cannot be expressed. The system gives some numbers of nanoseconds a meaning of their
/// own, which a guest must not reach.
pub(crate) fn timestamps(access: NewTimestamp, modification: NewTimestamp) -> FsResult<Timestamps> {
    let time = |new: NewTimestamp| -> FsResult<Timespec> {
        Ok(match new {
            NewTimestamp::NoChange => UNCHANGED,
            NewTimestamp::Now => NOW,
            NewTimestamp::Timestamp(time) => {
                let within = instant(0, time.nanoseconds)?;
                Timespec {
                    tv_sec: time.seconds.try_into().map_err(|_| ErrorCode::Overflow)?,
                    ..within
                }
            }
        })
    };
    Ok(Timestamps {
        last_access: time(access)?,
        last_modification: time(modification)?,
    })
}

/// A time that is not to be set.
pub(crate) const UNCHANGED: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: UTIME_OMIT,
};

/// The time of the system.
pub(crate) const NOW: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: UTIME_NOW,
};

/// A time of the guest's.
///
/// # Errors
/// If it has a second's worth of nanoseconds or more. The system gives some such numbers a meaning
/// of their own.
pub(crate) fn instant(seconds: i64, nanoseconds: u32) -> FsResult<Timespec> {
    match nanoseconds {
        0..1_000_000_000 => Ok(Timespec {
            tv_sec: seconds,
            tv_nsec: nanoseconds.into(),
        }),
        _ => Err(ErrorCode::Invalid),
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
pub struct Descriptor {
    pub(crate) object: Object,
    /// What it was opened for; a directory is opened for what its access permits.
    flags: DescriptorFlags,
    /// What the guest asked for.
    pub(crate) asked: DescriptorFlags,
    /// What may be done with it and below it: as with the preopened directory that it is or is in,
    /// whatever the guest asked for when it opened this one. No libc asks.
    access: Access,
}

pub(crate) enum Object {
    File(Arc<OpenFile>),
    Directory(OpenDirectory),
}

/// A file, which streams share with the descriptor.
pub(crate) struct OpenFile {
    file: File,
    form: Form,
    _held: Held,
}

/// How a file is read and written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// At positions, without waiting.
    Positions,
    /// As a stream that may have to be waited for: a pipe with a name, a terminal.
    Stream,
}

impl Form {
    fn of(file: &File, metadata: &Metadata) -> Form {
        let has_none = || {
            let here = rustix::fs::seek(file, rustix::fs::SeekFrom::Current(0));
            here == Err(rustix::io::Errno::SPIPE)
        };
        match !metadata.is_file() && has_none() {
            true => Form::Stream,
            false => Form::Positions,
        }
    }
}

impl OpenFile {
    /// What to wait for, if it has no positions.
    pub(crate) fn stream(self: &Arc<Self>) -> Option<StreamFd> {
        (self.form == Form::Stream).then(|| StreamFd::Opened(self.clone()))
    }
}

impl Deref for OpenFile {
    type Target = File;
    fn deref(&self) -> &File {
        &self.file
    }
}

/// A directory.
pub(crate) struct OpenDirectory {
    pub(crate) dir: File,
    pub(crate) budget: Budget,
    _held: Held,
}

impl Descriptor {
    /// A preopened directory, with a limit of its own for what is opened below it.
    ///
    /// ```
    /// use trampette_wasi::{Access, Descriptor, DescriptorFlags, OpenFlags, PathFlags};
    ///
    /// # let folder = tempfile::tempdir()?;
    /// # std::fs::write(folder.path().join("file"), "text")?;
    /// # let path = folder.path();
    /// let dir = Descriptor::directory(std::fs::File::open(path)?, Access::ReadOnly);
    /// let (none, read) = (OpenFlags::empty(), DescriptorFlags::READ);
    /// let file = dir.open_at(PathFlags::empty(), "file", none, read).expect("it is there");
    /// assert_eq!(file.read(100, 0).expect("it can be read").0, b"text");
    /// # anyhow::Ok(())
    /// ```
    pub fn directory(dir: impl Into<OwnedFd>, access: Access) -> Descriptor {
        let budget = Budget::new(Budget::DEFAULT);
        Self::opened(File::from(dir.into()), access, &budget).expect("the first of many")
    }

    /// A directory, preopened or below one that is.
    pub(crate) fn opened(dir: File, access: Access, budget: &Budget) -> FsResult<Descriptor> {
        let held = budget.take()?;
        Ok(Self::directory_held(dir, access, budget, held))
    }

    fn new(object: Object, flags: DescriptorFlags, access: Access) -> Descriptor {
        Descriptor {
            object,
            flags,
            asked: flags,
            access,
        }
    }

    pub(crate) fn directory_held(
        dir: File,
        access: Access,
        budget: &Budget,
        held: Held,
    ) -> Descriptor {
        let flags = match access {
            Access::ReadWrite => DescriptorFlags::READ | DescriptorFlags::MUTATE_DIRECTORY,
            Access::ReadOnly => DescriptorFlags::READ,
        };
        let object = Object::Directory(OpenDirectory {
            dir,
            budget: budget.clone(),
            _held: held,
        });
        Descriptor::new(object, flags, access)
    }

    pub(crate) fn file_held(
        file: File,
        metadata: &Metadata,
        flags: DescriptorFlags,
        access: Access,
        held: Held,
    ) -> Descriptor {
        let object = Object::File(Arc::new(OpenFile {
            form: Form::of(&file, metadata),
            file,
            _held: held,
        }));
        Descriptor::new(object, flags, access)
    }

    pub(crate) fn file(&self) -> FsResult<&Arc<OpenFile>> {
        match &self.object {
            Object::File(file) => Ok(file),
            Object::Directory(_) => Err(ErrorCode::IsDirectory),
        }
    }

    pub(crate) fn readable(&self) -> FsResult<&Arc<OpenFile>> {
        self.file_opened_for(DescriptorFlags::READ)
    }

    pub(crate) fn writable(&self) -> FsResult<&Arc<OpenFile>> {
        self.file_opened_for(DescriptorFlags::WRITE)
    }

    fn file_opened_for(&self, what: DescriptorFlags) -> FsResult<&Arc<OpenFile>> {
        let file = self.file()?;
        match self.flags.contains(what) {
            true => Ok(file),
            false => Err(ErrorCode::BadDescriptor),
        }
    }

    pub(crate) fn directory_of(&self) -> FsResult<&OpenDirectory> {
        match &self.object {
            Object::Directory(directory) => Ok(directory),
            Object::File(_) => Err(ErrorCode::NotDirectory),
        }
    }

    pub(crate) fn dir(&self) -> FsResult<&File> {
        Ok(&self.directory_of()?.dir)
    }

    /// What may be done with it, and below it.
    pub(crate) fn access(&self) -> Access {
        self.access
    }

    /// # Errors
    /// If nothing below it may be changed, nor it itself: then, as the interfaces say and as a
    /// filesystem that is mounted so, with `read-only`. Whatever changes something without having
    /// been opened to write asks here.
    fn check_mutable(&self) -> FsResult<()> {
        match self.access {
            Access::ReadWrite => Ok(()),
            Access::ReadOnly => Err(ErrorCode::ReadOnly),
        }
    }

    /// The directory, if its entries may be changed.
    pub(crate) fn mutable_dir(&self) -> FsResult<&File> {
        let directory = self.directory_of()?;
        self.check_mutable()?;
        Ok(&directory.dir)
    }

    /// `get-flags`.
    pub fn flags(&self) -> DescriptorFlags {
        self.flags
    }

    pub(crate) fn metadata(&self) -> FsResult<Metadata> {
        Ok(match &self.object {
            Object::File(file) => file.metadata()?,
            Object::Directory(directory) => directory.dir.metadata()?,
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
        let file = self.readable()?;
        Ok(match file.stream() {
            Some(fd) => InputStream::standard(Input(InputKind::Fd(fd))),
            None => InputStream::file(file.clone(), position),
        })
    }

    /// `write-via-stream`.
    pub fn write_stream(&self, position: u64) -> FsResult<OutputStream> {
        self.output_stream(Some(position))
    }

    /// `append-via-stream`.
    pub fn append_stream(&self) -> FsResult<OutputStream> {
        self.output_stream(None)
    }

    fn output_stream(&self, position: Option<u64>) -> FsResult<OutputStream> {
        let file = self.writable()?;
        Ok(match file.stream() {
            Some(fd) => OutputStream::standard(Output(OutputKind::Fd(fd))),
            None => OutputStream::file(file.clone(), position),
        })
    }

    /// `read`: the bytes, and whether the file ends there. At most a mebibyte: a guest's length
    /// must not size the host's memory.
    pub fn read(&self, length: u64, position: u64) -> FsResult<(Vec<u8>, bool)> {
        let file = self.readable()?;
        let mut bytes = vec![0; length.min(READ_LIMIT) as usize];
        let count = file.read_at(&mut bytes, position)?;
        bytes.truncate(count);
        Ok((bytes, count == 0 && length > 0))
    }

    /// `write`: how many bytes were written.
    pub fn write(&self, bytes: &[u8], position: u64) -> FsResult<u64> {
        Ok(self.writable()?.write_at(bytes, position)? as u64)
    }

    /// Writes at the file's end, wherever that is: how many bytes were written.
    pub(crate) fn append(&self, bytes: &[u8]) -> FsResult<u64> {
        Ok(append(self.writable()?, bytes)? as u64)
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
        let file: &File = self.file()?;
        let length = std::num::NonZeroU64::new(length);
        Ok(rustix::fs::fadvise(file, position, length, advice)?)
    }

    /// `sync-data`.
    pub fn sync_data(&self) -> FsResult<()> {
        match &self.object {
            Object::File(file) => Ok(file.sync_data()?),
            Object::Directory(directory) => Ok(rustix::fs::fdatasync(&directory.dir)?),
        }
    }

    /// `sync`.
    pub fn sync(&self) -> FsResult<()> {
        match &self.object {
            Object::File(file) => Ok(file.sync_all()?),
            Object::Directory(directory) => Ok(rustix::fs::fsync(&directory.dir)?),
        }
    }

    /// `set-size`.
    pub fn set_size(&self, size: u64) -> FsResult<()> {
        Ok(self.writable()?.set_len(size)?)
    }

    /// `set-times`.
    pub fn set_times(&self, access: NewTimestamp, modification: NewTimestamp) -> FsResult<()> {
        self.set_timestamps(&timestamps(access, modification)?)
    }

    pub(crate) fn set_timestamps(&self, times: &Timestamps) -> FsResult<()> {
        self.check_mutable()?;
        match &self.object {
            Object::File(_) => {
                let file: &File = self.writable()?;
                Ok(futimens(file, times)?)
            }
            Object::Directory(_) => Ok(futimens(self.mutable_dir()?, times)?),
        }
    }

    /// `read-directory`.
    pub fn read_directory(&self) -> FsResult<DirectoryEntryStream> {
        DirectoryEntryStream::open(self.directory_of()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{OpenFlags, PathFlags};

    /// A directory of the host's, preopened, and what a guest opens below it without asking for
    /// anything but to read.
    fn opened_below(access: Access) -> (tempfile::TempDir, Descriptor) {
        let host = tempfile::tempdir().unwrap();
        std::fs::create_dir(host.path().join("below")).unwrap();
        std::fs::write(host.path().join("below/old"), "old").unwrap();
        let dir = File::open(host.path()).unwrap();
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
        assert_eq!(changes(&dir), [Err(ErrorCode::ReadOnly); 9]);
        let left = std::fs::read_dir(host.path().join("below")).unwrap();
        assert_eq!(left.count(), 1);
    }
}
