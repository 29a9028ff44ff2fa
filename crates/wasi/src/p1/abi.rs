//! Numbers and layouts of preview 1. Where `wasi_unstable` differs from it, [`Version`] says how.

use crate::p2::bindings::wasi::filesystem::types::DescriptorType;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;

/// The two versions of preview 1.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Version {
    /// `wasi_snapshot_preview1`.
    Snapshot1,
    /// `wasi_unstable`, the snapshot before.
    Unstable,
}

/// Where a seek starts from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Whence {
    Start,
    Current,
    End,
}

impl Version {
    /// What modules import its functions from.
    pub(crate) const fn module_name(self) -> &'static str {
        match self {
            Version::Snapshot1 => "wasi_snapshot_preview1",
            Version::Unstable => "wasi_unstable",
        }
    }

    pub(crate) fn whence(self, number: u32) -> Option<Whence> {
        let order = match self {
            Version::Snapshot1 => [Whence::Start, Whence::Current, Whence::End],
            Version::Unstable => [Whence::Current, Whence::End, Whence::Start],
        };
        order.get(number as usize).copied()
    }

    /// `filestat`: what is known of a file, which the older version has in 56 bytes.
    pub(crate) fn filestat(self, stat: &FileStat) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(64);
        bytes.extend(stat.device.to_le_bytes());
        bytes.extend(stat.inode.to_le_bytes());
        bytes.extend([stat.kind, 0, 0, 0]);
        match self {
            Version::Snapshot1 => {
                bytes.extend([0; 4]);
                bytes.extend(stat.links.to_le_bytes());
            }
            Version::Unstable => {
                let links = u32::try_from(stat.links).unwrap_or(u32::MAX);
                bytes.extend(links.to_le_bytes());
            }
        }
        for word in [stat.size, stat.accessed, stat.modified, stat.changed] {
            bytes.extend(word.to_le_bytes());
        }
        bytes
    }

    /// Bytes of a `subscription`.
    pub(crate) fn subscription_size(self) -> usize {
        match self {
            Version::Snapshot1 => 48,
            Version::Unstable => 56,
        }
    }

    /// Where the clock is in a `subscription` of one: before it the older version has a number of
    /// the guest's.
    pub(crate) fn subscribed_clock(self) -> usize {
        match self {
            Version::Snapshot1 => 16,
            Version::Unstable => 24,
        }
    }
}

/// `filestat`.
#[derive(Default)]
pub(crate) struct FileStat {
    pub(crate) device: u64,
    pub(crate) inode: u64,
    pub(crate) kind: u8,
    pub(crate) links: u64,
    pub(crate) size: u64,
    pub(crate) accessed: u64,
    pub(crate) modified: u64,
    pub(crate) changed: u64,
}

impl From<Metadata> for FileStat {
    fn from(metadata: Metadata) -> Self {
        FileStat {
            device: metadata.dev(),
            inode: metadata.ino(),
            kind: file_type(metadata.file_type().into()),
            links: metadata.nlink(),
            size: metadata.len(),
            accessed: timestamp(metadata.atime(), metadata.atime_nsec()),
            modified: timestamp(metadata.mtime(), metadata.mtime_nsec()),
            changed: timestamp(metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

/// A time as preview 1 counts it: in nanoseconds since 1970, which is as early as it gets, until
/// 2554.
fn timestamp(seconds: i64, nanoseconds: i64) -> u64 {
    let all = i128::from(seconds) * 1_000_000_000 + i128::from(nanoseconds);
    u64::try_from(all.max(0)).unwrap_or(u64::MAX)
}

/// `filetype::directory`.
pub(crate) const DIRECTORY: u8 = 3;
/// `filetype::character_device`.
pub(crate) const CHARACTER_DEVICE: u8 = 2;

/// `filetype`.
pub(crate) fn file_type(kind: DescriptorType) -> u8 {
    match kind {
        DescriptorType::Unknown | DescriptorType::Fifo => 0,
        DescriptorType::BlockDevice => 1,
        DescriptorType::CharacterDevice => CHARACTER_DEVICE,
        DescriptorType::Directory => DIRECTORY,
        DescriptorType::RegularFile => 4,
        DescriptorType::Socket => 6,
        DescriptorType::SymbolicLink => 7,
    }
}

/// `rights`.
pub(crate) mod rights {
    pub(crate) const FD_DATASYNC: u64 = 1;
    pub(crate) const FD_READ: u64 = 1 << 1;
    pub(crate) const FD_SEEK: u64 = 1 << 2;
    pub(crate) const FD_FDSTAT_SET_FLAGS: u64 = 1 << 3;
    pub(crate) const FD_SYNC: u64 = 1 << 4;
    pub(crate) const FD_TELL: u64 = 1 << 5;
    pub(crate) const FD_WRITE: u64 = 1 << 6;
    pub(crate) const FD_ADVISE: u64 = 1 << 7;
    pub(crate) const FD_ALLOCATE: u64 = 1 << 8;
    pub(crate) const PATH_CREATE_DIRECTORY: u64 = 1 << 9;
    pub(crate) const PATH_CREATE_FILE: u64 = 1 << 10;
    pub(crate) const PATH_LINK_SOURCE: u64 = 1 << 11;
    pub(crate) const PATH_LINK_TARGET: u64 = 1 << 12;
    pub(crate) const PATH_OPEN: u64 = 1 << 13;
    pub(crate) const FD_READDIR: u64 = 1 << 14;
    pub(crate) const PATH_READLINK: u64 = 1 << 15;
    pub(crate) const PATH_RENAME_SOURCE: u64 = 1 << 16;
    pub(crate) const PATH_RENAME_TARGET: u64 = 1 << 17;
    pub(crate) const PATH_FILESTAT_GET: u64 = 1 << 18;
    pub(crate) const PATH_FILESTAT_SET_TIMES: u64 = 1 << 20;
    pub(crate) const FD_FILESTAT_GET: u64 = 1 << 21;
    pub(crate) const FD_FILESTAT_SET_SIZE: u64 = 1 << 22;
    pub(crate) const FD_FILESTAT_SET_TIMES: u64 = 1 << 23;
    pub(crate) const PATH_SYMLINK: u64 = 1 << 24;
    pub(crate) const PATH_REMOVE_DIRECTORY: u64 = 1 << 25;
    pub(crate) const PATH_UNLINK_FILE: u64 = 1 << 26;
    pub(crate) const POLL_FD_READWRITE: u64 = 1 << 27;

    /// What any file allows.
    pub(crate) const FILE: u64 = FD_SEEK
        | FD_FDSTAT_SET_FLAGS
        | FD_SYNC
        | FD_TELL
        | FD_ADVISE
        | FD_FILESTAT_GET
        | FD_FILESTAT_SET_TIMES
        | POLL_FD_READWRITE;
    /// What a file allows that is opened to write.
    pub(crate) const FILE_WRITE: u64 = FD_WRITE | FD_DATASYNC | FD_ALLOCATE | FD_FILESTAT_SET_SIZE;
    /// What any directory allows.
    pub(crate) const DIRECTORY: u64 =
        PATH_OPEN | FD_READDIR | PATH_READLINK | PATH_FILESTAT_GET | FD_FILESTAT_GET;
    /// What a directory allows that may be changed.
    pub(crate) const DIRECTORY_WRITE: u64 = PATH_CREATE_DIRECTORY
        | PATH_CREATE_FILE
        | PATH_LINK_SOURCE
        | PATH_LINK_TARGET
        | PATH_RENAME_SOURCE
        | PATH_RENAME_TARGET
        | PATH_FILESTAT_SET_TIMES
        | FD_FILESTAT_SET_TIMES
        | FD_SYNC
        | FD_DATASYNC
        | PATH_SYMLINK
        | PATH_REMOVE_DIRECTORY
        | PATH_UNLINK_FILE;
}

/// `fdflags`.
pub(crate) mod fdflags {
    pub(crate) const APPEND: u16 = 1;
    pub(crate) const DSYNC: u16 = 1 << 1;
    pub(crate) const NONBLOCK: u16 = 1 << 2;
    pub(crate) const RSYNC: u16 = 1 << 3;
    pub(crate) const SYNC: u16 = 1 << 4;
    /// All of them.
    pub(crate) const ALL: u16 = 0x1f;
}
