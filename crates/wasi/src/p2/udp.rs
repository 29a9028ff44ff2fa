//! UDP of `wasi:sockets`: datagrams in streams of their own kind.

use crate::common::context::WasiCtx;
use crate::common::network::Socket;
use crate::common::network::address::Family;
use crate::common::network::error::NetError;
use crate::common::network::options::{Endpoint, properties};
use crate::common::network::udp::UdpSocket;
use crate::common::stdio::lock;
use crate::p2::bindings::wasi::sockets::network::{IpAddressFamily, IpSocketAddress};
use crate::p2::bindings::wasi::sockets::udp::{self, IncomingDatagram, OutgoingDatagram};
use crate::p2::bindings::wasi::sockets::udp_create_socket;
use crate::p2::io::{Pollable, Readiness};
use crate::p2::sockets::{Fallible, Network};
use anyhow::{Result, anyhow};
use rustix::event::PollFlags;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use trampette_runtime::{List, Resource};

/// `udp-socket`.
pub(crate) struct Udp {
    pub(crate) udp: Arc<UdpSocket>,
    /// Whether a bind was begun and not finished.
    binds: Mutex<bool>,
}

/// `incoming-datagram-stream`.
pub(crate) struct Incoming(Arc<UdpSocket>);

/// `outgoing-datagram-stream`.
pub(crate) struct Outgoing {
    pub(crate) udp: Arc<UdpSocket>,
    /// Datagrams that `check-send` permits.
    permit: u64,
}

/// Datagrams that are received or sent by one call, at most.
const MOST: u64 = 16;

/// Bytes of datagrams after which a call receives no more.
const MOST_BYTES: usize = 256 << 10;

impl Endpoint for Udp {
    fn endpoint(&self) -> (&Socket, Family) {
        self.udp.endpoint()
    }
}

type Handle = Resource<Udp>;
type Streams = (Resource<Incoming>, Resource<Outgoing>);

impl udp_create_socket::Host for WasiCtx {
    fn create_udp_socket(&mut self, family: IpAddressFamily) -> Fallible<Handle> {
        let udp = Arc::new(UdpSocket::new(family.into(), &self.budget)?);
        let binds = Mutex::new(false);
        Ok(self.table.push(Udp { udp, binds })?)
    }
}

impl udp::Host for WasiCtx {}

impl udp::HostUdpSocket for WasiCtx {
    properties! {
        Handle:
        unicast_hop_limit = hop_limit, set_unicast_hop_limit;
        receive_buffer_size = receive_buffer_size, set_receive_buffer_size: u64;
        send_buffer_size = send_buffer_size, set_send_buffer_size: u64;
    }

    fn start_bind(
        &mut self,
        this: Handle,
        _: Resource<Network>,
        address: IpSocketAddress,
    ) -> Fallible<()> {
        let socket = self.table.get(&this)?;
        let mut binds = lock(&socket.binds);
        if *binds {
            return Err(NetError::ConcurrencyConflict.into());
        }
        socket.udp.bind(address.into(), &self.network)?;
        *binds = true;
        Ok(())
    }

    fn finish_bind(&mut self, this: Handle) -> Fallible<()> {
        match std::mem::take(&mut *lock(&self.table.get(&this)?.binds)) {
            true => Ok(()),
            false => Err(NetError::NotInProgress.into()),
        }
    }

    /// Those that were made before go on with the new peer.
    fn stream(&mut self, this: Handle, remote: Option<IpSocketAddress>) -> Fallible<Streams> {
        let udp = self.table.get(&this)?.udp.clone();
        udp.local_address()?;
        match remote {
            Some(remote) => udp.connect(SocketAddr::from(remote), &self.network)?,
            None if udp.remote_address().is_ok() => udp.disconnect()?,
            None => {}
        }
        let incoming = self.table.push(Incoming(udp.clone()))?;
        let outgoing = self.table.push(Outgoing { udp, permit: 0 })?;
        Ok((incoming, outgoing))
    }

    fn local_address(&mut self, this: Handle) -> Fallible<IpSocketAddress> {
        Ok(self.table.get(&this)?.udp.local_address()?.into())
    }

    fn remote_address(&mut self, this: Handle) -> Fallible<IpSocketAddress> {
        Ok(self.table.get(&this)?.udp.remote_address()?.into())
    }

    fn address_family(&mut self, this: Handle) -> Result<IpAddressFamily> {
        Ok(self.table.get(&this)?.udp.family.into())
    }

    fn subscribe(&mut self, this: Handle) -> Result<Resource<Pollable>> {
        self.table.get(&this)?;
        Ok(self.table.push(Pollable(Readiness::Ready))?)
    }

    fn drop(&mut self, this: Handle) -> Result<()> {
        self.give_up(this)
    }
}

impl udp::HostIncomingDatagramStream for WasiCtx {
    fn receive(&mut self, this: Resource<Incoming>, most: u64) -> Fallible<Vec<IncomingDatagram>> {
        let udp = &self.table.get(&this)?.0;
        let mut all = Vec::new();
        let mut bytes = 0;
        while (all.len() as u64) < most.min(MOST) && bytes < MOST_BYTES {
            match udp.receive(&self.network) {
                Ok((data, from)) => {
                    bytes += data.len();
                    let remote_address = from.into();
                    all.push(IncomingDatagram {
                        data,
                        remote_address,
                    });
                }
                Err(NetError::WouldBlock) => break,
                // Of a failure the guest hears when it asks again.
                Err(_) if !all.is_empty() => break,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(all)
    }

    fn subscribe(&mut self, this: Resource<Incoming>) -> Result<Resource<Pollable>> {
        let socket = self.table.get(&this)?.0.socket.clone();
        let readiness = Readiness::Socket(socket, PollFlags::IN);
        Ok(self.table.push(Pollable(readiness))?)
    }

    fn drop(&mut self, this: Resource<Incoming>) -> Result<()> {
        self.give_up(this)
    }
}

impl udp::HostOutgoingDatagramStream for WasiCtx {
    fn check_send(&mut self, this: Resource<Outgoing>) -> Fallible<u64> {
        let stream = self.table.get_mut(&this)?;
        let is_ready = Readiness::Socket(stream.udp.socket.clone(), PollFlags::OUT).is_now()?;
        stream.permit = if is_ready { MOST } else { 0 };
        Ok(stream.permit)
    }

    fn send(
        &mut self,
        this: Resource<Outgoing>,
        datagrams: List<'_, OutgoingDatagram>,
    ) -> Fallible<u64> {
        let stream = self.table.get_mut(&this)?;
        let count = datagrams.len() as u64;
        if count > stream.permit {
            let text = format!(
                "a guest sends {count} datagrams; check-send permitted {}",
                stream.permit
            );
            return Err(anyhow!(text).into());
        }
        stream.permit -= count;
        let mut sent = 0;
        for OutgoingDatagram {
            data,
            remote_address,
        } in datagrams.iter()
        {
            let to = remote_address.map(SocketAddr::from);
            match stream.udp.send(&data, to, &self.network) {
                Ok(()) => sent += 1,
                Err(NetError::WouldBlock) => break,
                // Of a failure the guest hears when it sends that one again.
                Err(_) if sent > 0 => break,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(sent)
    }

    fn subscribe(&mut self, this: Resource<Outgoing>) -> Result<Resource<Pollable>> {
        let socket = self.table.get(&this)?.udp.socket.clone();
        let readiness = Readiness::Socket(socket, PollFlags::OUT);
        Ok(self.table.push(Pollable(readiness))?)
    }

    fn drop(&mut self, this: Resource<Outgoing>) -> Result<()> {
        self.give_up(this)
    }
}
