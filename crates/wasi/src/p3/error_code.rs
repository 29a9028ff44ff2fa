//! Codes and types of `wasi:filesystem` 0.2, which is what files and directories give, as those of
//! 0.3.

use crate::common::descriptor::{FsResult, NOW, UNCHANGED, instant};
use crate::p2::bindings::wasi::filesystem::types as p2;
use crate::p3::bindings::wasi::clocks::system_clock::Instant;
use crate::p3::bindings::wasi::filesystem::types::{
    Advice, DescriptorFlags, DescriptorStat, DescriptorType, ErrorCode, MetadataHashValue,
    NewTimestamp, OpenFlags, PathFlags,
};
use crate::p3::ends::Code;
use rustix::fs::Timestamps;
use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::time::SystemTime;

macro_rules! same_codes {
    ($($code:ident)*) => {
        impl From<p2::ErrorCode> for ErrorCode {
            fn from(code: p2::ErrorCode) -> ErrorCode {
                match code {
                    $(p2::ErrorCode::$code => ErrorCode::$code,)*
                    // Nothing is asked not to wait.
                    p2::ErrorCode::WouldBlock => ErrorCode::Other(Some("would block".to_string())),
                }
            }
        }
    };
}

same_codes! {
    Access Already BadDescriptor Busy Deadlock Quota
    Exist FileTooLarge IllegalByteSequence InProgress Interrupted Invalid
    Io IsDirectory Loop TooManyLinks MessageSize NameTooLong
    NoDevice NoEntry NoLock InsufficientMemory InsufficientSpace NotDirectory
    NotEmpty NotRecoverable Unsupported NoTty NoSuchDevice Overflow
    NotPermitted Pipe ReadOnly InvalidSeek TextFileBusy CrossDevice
}

impl Code for ErrorCode {
    fn of(error: &io::Error) -> ErrorCode {
        p2::ErrorCode::from(error).into()
    }
}

impl From<p2::DescriptorType> for DescriptorType {
    fn from(kind: p2::DescriptorType) -> DescriptorType {
        match kind {
            p2::DescriptorType::BlockDevice => DescriptorType::BlockDevice,
            p2::DescriptorType::CharacterDevice => DescriptorType::CharacterDevice,
            p2::DescriptorType::Directory => DescriptorType::Directory,
            p2::DescriptorType::Fifo => DescriptorType::Fifo,
            p2::DescriptorType::SymbolicLink => DescriptorType::SymbolicLink,
            p2::DescriptorType::RegularFile => DescriptorType::RegularFile,
            p2::DescriptorType::Socket => DescriptorType::Socket,
            p2::DescriptorType::Unknown => DescriptorType::Other(None),
        }
    }
}

impl From<Metadata> for DescriptorStat {
    fn from(metadata: Metadata) -> DescriptorStat {
        let time = |time: io::Result<SystemTime>| Some(Instant::of(time.ok()?));
        DescriptorStat {
            type_: p2::DescriptorType::from(metadata.file_type()).into(),
            link_count: metadata.nlink(),
            size: metadata.len(),
            data_access_timestamp: time(metadata.accessed()),
            data_modification_timestamp: time(metadata.modified()),
            status_change_timestamp: Some(Instant {
                seconds: metadata.ctime(),
                nanoseconds: metadata.ctime_nsec() as u32,
            }),
        }
    }
}

impl From<p2::MetadataHashValue> for MetadataHashValue {
    fn from(hash: p2::MetadataHashValue) -> MetadataHashValue {
        MetadataHashValue {
            lower: hash.lower,
            upper: hash.upper,
        }
    }
}

impl From<Advice> for p2::Advice {
    fn from(advice: Advice) -> p2::Advice {
        match advice {
            Advice::Normal => p2::Advice::Normal,
            Advice::Sequential => p2::Advice::Sequential,
            Advice::Random => p2::Advice::Random,
            Advice::WillNeed => p2::Advice::WillNeed,
            Advice::DontNeed => p2::Advice::DontNeed,
            Advice::NoReuse => p2::Advice::NoReuse,
        }
    }
}

/// The times to set, as the system takes them.
pub(crate) fn timestamps(access: NewTimestamp, modification: NewTimestamp) -> FsResult<Timestamps> {
    let time = |new| match new {
        NewTimestamp::NoChange => Ok(UNCHANGED),
        NewTimestamp::Now => Ok(NOW),
        NewTimestamp::Timestamp(time) => instant(time.seconds, time.nanoseconds),
    };
    Ok(Timestamps {
        last_access: time(access)?,
        last_modification: time(modification)?,
    })
}

impl From<PathFlags> for p2::PathFlags {
    fn from(flags: PathFlags) -> p2::PathFlags {
        match flags.contains(PathFlags::SYMLINK_FOLLOW) {
            true => p2::PathFlags::SYMLINK_FOLLOW,
            false => p2::PathFlags::empty(),
        }
    }
}

/// Flags that both versions have.
macro_rules! same_flags {
    ($from:ty => $to:ty: $($flag:ident)*) => {
        impl From<$from> for $to {
            fn from(flags: $from) -> $to {
                let mut same = <$to>::empty();
                $(if flags.contains(<$from>::$flag) {
                    same |= <$to>::$flag;
                })*
                same
            }
        }
    };
}

same_flags!(OpenFlags => p2::OpenFlags: CREATE DIRECTORY EXCLUSIVE TRUNCATE);
same_flags!(DescriptorFlags => p2::DescriptorFlags:
    READ WRITE FILE_INTEGRITY_SYNC DATA_INTEGRITY_SYNC REQUESTED_WRITE_SYNC MUTATE_DIRECTORY);
same_flags!(p2::DescriptorFlags => DescriptorFlags:
    READ WRITE FILE_INTEGRITY_SYNC DATA_INTEGRITY_SYNC REQUESTED_WRITE_SYNC MUTATE_DIRECTORY);
