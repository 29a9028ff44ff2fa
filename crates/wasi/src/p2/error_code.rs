//! How the system's errors map to the `error-code` of `wasi:filesystem/types`.

use crate::p2::bindings::wasi::filesystem::types::ErrorCode;
use rustix::io::Errno;
use std::io::ErrorKind;

/// The system's numbers and our codes.
const BY_NUMBER: &[(Errno, ErrorCode)] = &[
    (Errno::ACCESS, ErrorCode::Access),
    (Errno::AGAIN, ErrorCode::WouldBlock),
    (Errno::ALREADY, ErrorCode::Already),
    (Errno::BADF, ErrorCode::BadDescriptor),
    (Errno::BUSY, ErrorCode::Busy),
    (Errno::DEADLK, ErrorCode::Deadlock),
    (Errno::DQUOT, ErrorCode::Quota),
    (Errno::EXIST, ErrorCode::Exist),
    (Errno::FBIG, ErrorCode::FileTooLarge),
    (Errno::ILSEQ, ErrorCode::IllegalByteSequence),
    (Errno::INPROGRESS, ErrorCode::InProgress),
    (Errno::INTR, ErrorCode::Interrupted),
    (Errno::INVAL, ErrorCode::Invalid),
    (Errno::IO, ErrorCode::Io),
    (Errno::ISDIR, ErrorCode::IsDirectory),
    (Errno::LOOP, ErrorCode::Loop),
    // Too many open files: there is no code for them.
    (Errno::MFILE, ErrorCode::InsufficientMemory),
    (Errno::NFILE, ErrorCode::InsufficientMemory),
    (Errno::MLINK, ErrorCode::TooManyLinks),
    (Errno::MSGSIZE, ErrorCode::MessageSize),
    (Errno::NAMETOOLONG, ErrorCode::NameTooLong),
    (Errno::NODEV, ErrorCode::NoDevice),
    (Errno::NOENT, ErrorCode::NoEntry),
    (Errno::NOLCK, ErrorCode::NoLock),
    (Errno::NOMEM, ErrorCode::InsufficientMemory),
    (Errno::NOSPC, ErrorCode::InsufficientSpace),
    (Errno::NOTDIR, ErrorCode::NotDirectory),
    (Errno::NOTEMPTY, ErrorCode::NotEmpty),
    (Errno::NOTRECOVERABLE, ErrorCode::NotRecoverable),
    (Errno::NOTSUP, ErrorCode::Unsupported),
    (Errno::NOSYS, ErrorCode::Unsupported),
    (Errno::NOTTY, ErrorCode::NoTty),
    (Errno::NXIO, ErrorCode::NoSuchDevice),
    (Errno::OVERFLOW, ErrorCode::Overflow),
    (Errno::PERM, ErrorCode::NotPermitted),
    (Errno::PIPE, ErrorCode::Pipe),
    (Errno::ROFS, ErrorCode::ReadOnly),
    (Errno::SPIPE, ErrorCode::InvalidSeek),
    (Errno::TXTBSY, ErrorCode::TextFileBusy),
    (Errno::XDEV, ErrorCode::CrossDevice),
];

impl From<&std::io::Error> for ErrorCode {
    fn from(error: &std::io::Error) -> Self {
        let number = Errno::from_io_error(error);
        let known = BY_NUMBER.iter().find(|(errno, _)| Some(*errno) == number);
        match (known, error.kind()) {
            (Some((_, code)), _) => *code,
            (None, ErrorKind::PermissionDenied) => ErrorCode::NotPermitted,
            (None, ErrorKind::NotFound) => ErrorCode::NoEntry,
            (None, ErrorKind::AlreadyExists) => ErrorCode::Exist,
            (None, ErrorKind::InvalidInput) => ErrorCode::Invalid,
            (None, ErrorKind::NotADirectory) => ErrorCode::NotDirectory,
            (None, ErrorKind::IsADirectory) => ErrorCode::IsDirectory,
            (None, ErrorKind::Unsupported) => ErrorCode::Unsupported,
            (None, _) => ErrorCode::Io,
        }
    }
}

impl From<std::io::Error> for ErrorCode {
    fn from(error: std::io::Error) -> Self {
        ErrorCode::from(&error)
    }
}

impl From<Errno> for ErrorCode {
    fn from(error: Errno) -> Self {
        ErrorCode::from(&std::io::Error::from(error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn system_errors_map_to_codes() {
        assert_eq!(ErrorCode::from(Errno::NOENT), ErrorCode::NoEntry);
        assert_eq!(ErrorCode::from(Errno::ACCESS), ErrorCode::Access);
        let refused = std::io::Error::from(ErrorKind::PermissionDenied);
        assert_eq!(ErrorCode::from(&refused), ErrorCode::NotPermitted);
    }
}
