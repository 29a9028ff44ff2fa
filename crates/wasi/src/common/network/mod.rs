//! The network: who may be reached, and sockets that never block, for all versions of WASI.
//!
//! | file | subject |
//! | --- | --- |
//! | `policy` | what a guest may reach |
//! | `address` | addresses of WASI as the system's, and which of them make sense |
//! | `error` | how operations fail |
//! | `options` | properties that sockets of both kinds have, and those of TCP |
//! | `tcp`, `udp` | sockets |
//! | `lookup` | addresses of names |

pub(crate) mod address;
pub(crate) mod error;
pub(crate) mod lookup;
pub(crate) mod options;
pub(crate) mod policy;
pub(crate) mod tcp;
pub(crate) mod udp;

use crate::common::budget::{Budget, Held};
use address::Family;
use error::NetError;
use rustix::net::{SocketFlags, SocketType, ipproto, sockopt};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

/// A socket, which the handle, streams and pollables share. It is closed with the last of them.
pub(crate) struct Socket {
    pub(crate) fd: Arc<OwnedFd>,
    _held: Held,
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Socket {
    fn new(family: Family, kind: SocketType, budget: &Budget) -> Result<Socket, NetError> {
        let held = budget.take_socket().ok_or(NetError::NewSocketLimit)?;
        let protocol = match kind {
            SocketType::STREAM => ipproto::TCP,
            _ => ipproto::UDP,
        };
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let fd = rustix::net::socket_with(family.domain(), kind, flags, Some(protocol))?;
        if family == Family::Ipv6 {
            sockopt::set_ipv6_v6only(&fd, true)?;
        }
        Ok(Socket::opened(fd, held))
    }

    fn opened(fd: OwnedFd, held: Held) -> Socket {
        Socket {
            fd: Arc::new(fd),
            _held: held,
        }
    }
}
