//! Properties of sockets. What the system cannot take is set to the nearest that it can: WASI lets
//! every value pass but 0.

use crate::common::network::Socket;
use crate::common::network::address::Family;
use crate::common::network::error::NetError;
use crate::common::time::nanoseconds;
use rustix::net::sockopt;
use std::time::Duration;

type Result<R> = std::result::Result<R, NetError>;

/// Seconds that Linux takes for times of keep-alive at most, and probes.
const LONGEST_KEEP_ALIVE: u64 = 32767;
const MOST_KEEP_ALIVE: u32 = 127;

/// Bytes of a buffer at most: beyond it the system's own limit holds anyway.
const LARGEST_BUFFER: u64 = 1 << 30;

/// A value that is not 0.
fn positive<T: PartialEq + Default>(value: T) -> Result<T> {
    match value == T::default() {
        true => Err(NetError::InvalidArgument),
        false => Ok(value),
    }
}

/// Whole seconds, at least one.
fn seconds(nanoseconds: u64) -> Result<Duration> {
    let seconds = positive(nanoseconds)?.div_ceil(1_000_000_000);
    Ok(Duration::from_secs(seconds.min(LONGEST_KEEP_ALIVE)))
}

impl Socket {
    pub(crate) fn hop_limit(&self, family: Family) -> Result<u8> {
        Ok(match family {
            Family::Ipv4 => u8::try_from(sockopt::ip_ttl(self)?).unwrap_or(u8::MAX),
            Family::Ipv6 => sockopt::ipv6_unicast_hops(self)?,
        })
    }

    pub(crate) fn set_hop_limit(&self, family: Family, value: u8) -> Result<()> {
        let value = positive(value)?;
        match family {
            Family::Ipv4 => sockopt::set_ip_ttl(self, value.into())?,
            Family::Ipv6 => sockopt::set_ipv6_unicast_hops(self, Some(value))?,
        }
        Ok(())
    }

    /// Linux doubles what it is told, to make room for its own, and gives the double back.
    pub(crate) fn receive_buffer_size(&self) -> Result<u64> {
        Ok(sockopt::socket_recv_buffer_size(self)? as u64 / 2)
    }

    pub(crate) fn set_receive_buffer_size(&self, value: u64) -> Result<()> {
        let value = positive(value)?.min(LARGEST_BUFFER) as usize;
        Ok(sockopt::set_socket_recv_buffer_size(self, value)?)
    }

    /// As [`Socket::receive_buffer_size`].
    pub(crate) fn send_buffer_size(&self) -> Result<u64> {
        Ok(sockopt::socket_send_buffer_size(self)? as u64 / 2)
    }

    pub(crate) fn set_send_buffer_size(&self, value: u64) -> Result<()> {
        let value = positive(value)?.min(LARGEST_BUFFER) as usize;
        Ok(sockopt::set_socket_send_buffer_size(self, value)?)
    }

    pub(crate) fn keep_alive_enabled(&self) -> Result<bool> {
        Ok(sockopt::socket_keepalive(self)?)
    }

    pub(crate) fn set_keep_alive_enabled(&self, value: bool) -> Result<()> {
        Ok(sockopt::set_socket_keepalive(self, value)?)
    }

    pub(crate) fn keep_alive_idle_time(&self) -> Result<u64> {
        Ok(nanoseconds(sockopt::tcp_keepidle(self)?))
    }

    pub(crate) fn set_keep_alive_idle_time(&self, value: u64) -> Result<()> {
        Ok(sockopt::set_tcp_keepidle(self, seconds(value)?)?)
    }

    pub(crate) fn keep_alive_interval(&self) -> Result<u64> {
        Ok(nanoseconds(sockopt::tcp_keepintvl(self)?))
    }

    pub(crate) fn set_keep_alive_interval(&self, value: u64) -> Result<()> {
        Ok(sockopt::set_tcp_keepintvl(self, seconds(value)?)?)
    }

    pub(crate) fn keep_alive_count(&self) -> Result<u32> {
        Ok(sockopt::tcp_keepcnt(self)?)
    }

    pub(crate) fn set_keep_alive_count(&self, value: u32) -> Result<()> {
        let value = positive(value)?.min(MOST_KEEP_ALIVE);
        Ok(sockopt::set_tcp_keepcnt(self, value)?)
    }
}

/// What has such properties: a socket of one family.
pub(crate) trait Endpoint {
    /// The socket, and its family.
    fn endpoint(&self) -> (&Socket, Family);
}

/// Functions that read and set properties of an [`Endpoint`], in an implementation of a version's
/// trait: their names there, the names of [`Socket`]'s, which sets by the same name, and the type.
macro_rules! properties {
    (
        $handle:ty:
        $get_hops:ident = hop_limit, $set_hops:ident;
        $($get:ident = $name:ident, $set:ident: $ty:ty;)*
    ) => {
        fn $get_hops(&mut self, this: $handle) -> Fallible<u8> {
            let (socket, family) = self.table.get(&this)?.endpoint();
            Ok(socket.hop_limit(family)?)
        }

        fn $set_hops(&mut self, this: $handle, value: u8) -> Fallible<()> {
            let (socket, family) = self.table.get(&this)?.endpoint();
            Ok(socket.set_hop_limit(family, value)?)
        }

        $(
            fn $get(&mut self, this: $handle) -> Fallible<$ty> {
                Ok(self.table.get(&this)?.endpoint().0.$name()?)
            }

            fn $set(&mut self, this: $handle, value: $ty) -> Fallible<()> {
                Ok(self.table.get(&this)?.endpoint().0.$set(value)?)
            }
        )*
    };
}
pub(crate) use properties;
