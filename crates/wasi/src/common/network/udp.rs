//! UDP sockets.

use crate::common::budget::Budget;
use crate::common::network::Socket;
use crate::common::network::address::{Family, of_system};
use crate::common::network::error::NetError;
use crate::common::network::options::Endpoint;
use crate::common::network::policy::{Network, Use};
use crate::common::stdio::lock;
use rustix::net::{RecvFlags, SendFlags, SocketType};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

type Result<R> = std::result::Result<R, NetError>;

/// Bytes of the largest datagram.
const LARGEST: usize = 65535;

/// A UDP socket.
pub(crate) struct UdpSocket {
    pub(crate) socket: Arc<Socket>,
    pub(crate) family: Family,
    state: Mutex<State>,
}

#[derive(Clone, Copy)]
struct State {
    bound: Bound,
    remote: Option<SocketAddr>,
}

/// How a socket came to its local address.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Bound {
    No,
    /// By sending or connecting: only whom the guest may reach may answer.
    Implicitly,
    /// The guest asked for it, and may be reached there.
    Explicitly,
}

impl Endpoint for UdpSocket {
    fn endpoint(&self) -> (&Socket, Family) {
        (&self.socket, self.family)
    }
}

impl UdpSocket {
    pub(crate) fn new(family: Family, budget: &Budget) -> Result<UdpSocket> {
        Ok(UdpSocket {
            socket: Arc::new(Socket::new(family, SocketType::DGRAM, budget)?),
            family,
            state: Mutex::new(State {
                bound: Bound::No,
                remote: None,
            }),
        })
    }

    pub(crate) fn bind(&self, address: SocketAddr, network: &Network) -> Result<()> {
        let mut state = lock(&self.state);
        self.family.check(&address)?;
        if state.bound != Bound::No {
            return Err(NetError::InvalidState);
        }
        network.check(Use::Bind, address)?;
        rustix::net::bind(&*self.socket, &address)?;
        state.bound = Bound::Explicitly;
        Ok(())
    }

    pub(crate) fn connect(&self, address: SocketAddr, network: &Network) -> Result<()> {
        let mut state = lock(&self.state);
        self.family.check_remote(&address)?;
        network.check(Use::Connect, address)?;
        if state.remote.take().is_some() {
            rustix::net::connect_unspec(&*self.socket)?;
        }
        rustix::net::connect(&*self.socket, &address)?;
        state.remote = Some(address);
        if state.bound == Bound::No {
            state.bound = Bound::Implicitly;
        }
        Ok(())
    }

    pub(crate) fn disconnect(&self) -> Result<()> {
        let mut state = lock(&self.state);
        match state.remote.take() {
            Some(_) => Ok(rustix::net::connect_unspec(&*self.socket)?),
            None => Err(NetError::InvalidState),
        }
    }

    /// Sends a datagram: [`NetError::WouldBlock`] if there is no room for it now.
    pub(crate) fn send(
        &self,
        data: &[u8],
        to: Option<SocketAddr>,
        network: &Network,
    ) -> Result<()> {
        let mut state = lock(&self.state);
        let sent = match (to, state.remote) {
            (None, None) => return Err(NetError::InvalidArgument),
            (Some(to), Some(remote)) if to != remote => return Err(NetError::InvalidArgument),
            (_, Some(_)) => rustix::net::send(&*self.socket, data, SendFlags::NOSIGNAL)?,
            (Some(to), None) => {
                self.family.check_remote(&to)?;
                network.check(Use::Connect, to)?;
                rustix::net::sendto(&*self.socket, data, SendFlags::NOSIGNAL, &to)?
            }
        };
        if state.bound == Bound::No {
            state.bound = Bound::Implicitly;
        }
        match sent == data.len() {
            true => Ok(()),
            false => Err(NetError::Other),
        }
    }

    /// Receives a datagram: [`NetError::WouldBlock`] if there is none.
    pub(crate) fn receive(&self, network: &Network) -> Result<(Vec<u8>, SocketAddr)> {
        let bound = lock(&self.state).bound;
        if bound == Bound::No {
            return Err(NetError::InvalidState);
        }
        let mut buffer = vec![0; LARGEST];
        loop {
            let received =
                rustix::net::recvfrom(&*self.socket, &mut buffer[..], RecvFlags::empty());
            let (count, _, from) = received?;
            let from = from.map_or(Err(NetError::Other), of_system)?;
            if bound == Bound::Explicitly || network.permits(Use::Connect, from) {
                let data = buffer[..count].to_vec();
                return Ok((data, from));
            }
        }
    }

    pub(crate) fn local_address(&self) -> Result<SocketAddr> {
        if lock(&self.state).bound == Bound::No {
            return Err(NetError::InvalidState);
        }
        of_system(rustix::net::getsockname(&*self.socket)?)
    }

    pub(crate) fn remote_address(&self) -> Result<SocketAddr> {
        lock(&self.state).remote.ok_or(NetError::InvalidState)
    }
}
