//! How operations on the network fail.

use crate::common::failure::GuestCode;
use rustix::io::Errno;
use std::io;

/// What the error codes of all versions of WASI are made of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum NetError {
    AccessDenied,
    NotSupported,
    InvalidArgument,
    OutOfMemory,
    Timeout,
    /// Something else is under way on the same socket.
    ConcurrencyConflict,
    /// What is to be finished was not begun.
    NotInProgress,
    WouldBlock,
    InvalidState,
    NewSocketLimit,
    AddressNotBindable,
    AddressInUse,
    RemoteUnreachable,
    ConnectionRefused,
    ConnectionBroken,
    ConnectionReset,
    ConnectionAborted,
    DatagramTooLarge,
    NameUnresolvable,
    TemporaryResolverFailure,
    PermanentResolverFailure,
    Other,
}

impl GuestCode for NetError {}

/// The system's numbers and our codes.
const BY_NUMBER: &[(Errno, NetError)] = &[
    (Errno::ACCESS, NetError::AccessDenied),
    (Errno::PERM, NetError::AccessDenied),
    (Errno::OPNOTSUPP, NetError::NotSupported),
    (Errno::NOPROTOOPT, NetError::NotSupported),
    (Errno::PFNOSUPPORT, NetError::NotSupported),
    (Errno::PROTONOSUPPORT, NetError::NotSupported),
    (Errno::SOCKTNOSUPPORT, NetError::NotSupported),
    (Errno::INVAL, NetError::InvalidArgument),
    (Errno::DESTADDRREQ, NetError::InvalidArgument),
    (Errno::AFNOSUPPORT, NetError::InvalidArgument),
    (Errno::ISCONN, NetError::InvalidState),
    (Errno::NOTCONN, NetError::InvalidState),
    (Errno::NOMEM, NetError::OutOfMemory),
    (Errno::NOBUFS, NetError::OutOfMemory),
    (Errno::MFILE, NetError::NewSocketLimit),
    (Errno::NFILE, NetError::NewSocketLimit),
    (Errno::TIMEDOUT, NetError::Timeout),
    (Errno::AGAIN, NetError::WouldBlock),
    (Errno::ADDRNOTAVAIL, NetError::AddressNotBindable),
    (Errno::ADDRINUSE, NetError::AddressInUse),
    (Errno::HOSTUNREACH, NetError::RemoteUnreachable),
    (Errno::HOSTDOWN, NetError::RemoteUnreachable),
    (Errno::NETDOWN, NetError::RemoteUnreachable),
    (Errno::NETUNREACH, NetError::RemoteUnreachable),
    (Errno::NONET, NetError::RemoteUnreachable),
    (Errno::CONNREFUSED, NetError::ConnectionRefused),
    (Errno::PIPE, NetError::ConnectionBroken),
    (Errno::CONNRESET, NetError::ConnectionReset),
    (Errno::CONNABORTED, NetError::ConnectionAborted),
    (Errno::MSGSIZE, NetError::DatagramTooLarge),
];

impl From<Errno> for NetError {
    fn from(error: Errno) -> NetError {
        let known = BY_NUMBER.iter().find(|(number, _)| *number == error);
        known.map_or(NetError::Other, |(_, code)| *code)
    }
}

impl From<&io::Error> for NetError {
    fn from(error: &io::Error) -> NetError {
        Errno::from_io_error(error).map_or(NetError::Other, NetError::from)
    }
}
