//! TCP of `wasi:sockets`: operations in two steps over sockets that never block.

use crate::common::context::WasiCtx;
use crate::common::network::Socket;
use crate::common::network::address::Family;
use crate::common::network::error::NetError;
use crate::common::network::options::{Endpoint, properties};
use crate::common::network::tcp::{TcpSocket, Way};
use crate::common::stdio::lock;
use crate::p2::bindings::wasi::sockets::network::{IpAddressFamily, IpSocketAddress};
use crate::p2::bindings::wasi::sockets::tcp::{self, ShutdownType};
use crate::p2::bindings::wasi::sockets::tcp_create_socket;
use crate::p2::io::{Pollable, Readiness};
use crate::p2::sockets::{Fallible, Network};
use crate::p2::streams::{InputStream, OutputStream};
use anyhow::Result;
use rustix::event::PollFlags;
use rustix::net::Shutdown;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use trampette_runtime::Resource;

/// `tcp-socket`.
pub(crate) struct Tcp {
    tcp: Arc<TcpSocket>,
    begun: Mutex<Option<Begun>>,
}

/// What was begun, and what it came to if that is known at once.
#[derive(Clone, Copy)]
enum Begun {
    Bind,
    Connect,
    Listen,
}

impl Tcp {
    fn new(tcp: TcpSocket) -> Tcp {
        Tcp {
            tcp: Arc::new(tcp),
            begun: Mutex::new(None),
        }
    }

    /// Begins something, if nothing is under way.
    fn begin(
        &self,
        what: Begun,
        begin: impl FnOnce(&TcpSocket) -> Result<(), NetError>,
    ) -> Result<(), NetError> {
        let mut begun = lock(&self.begun);
        if begun.is_some() {
            return Err(NetError::ConcurrencyConflict);
        }
        begin(&self.tcp)?;
        *begun = Some(what);
        Ok(())
    }

    /// Finishes what was begun, if it is that.
    fn finish(&self, is_it: impl FnOnce(Begun) -> bool) -> Result<(), NetError> {
        let mut begun = lock(&self.begun);
        match *begun {
            Some(what) if is_it(what) => *begun = None,
            _ => return Err(NetError::NotInProgress),
        }
        Ok(())
    }
}

impl Endpoint for Tcp {
    fn endpoint(&self) -> (&Socket, Family) {
        self.tcp.endpoint()
    }
}

type Handle = Resource<Tcp>;
type Streams = (Resource<InputStream>, Resource<OutputStream>);

impl WasiCtx {
    /// The streams of a connection.
    fn connection(&mut self, tcp: &Arc<TcpSocket>) -> Fallible<Streams> {
        tcp.take(Way::Receive)?;
        tcp.take(Way::Send)?;
        let input = self.table.push(InputStream::socket(tcp.socket.clone()))?;
        let output = self.table.push(OutputStream::socket(tcp.socket.clone()))?;
        Ok((input, output))
    }
}

impl tcp_create_socket::Host for WasiCtx {
    fn create_tcp_socket(&mut self, family: IpAddressFamily) -> Fallible<Handle> {
        let socket = TcpSocket::new(family.into(), &self.budget)?;
        Ok(self.table.push(Tcp::new(socket))?)
    }
}

impl tcp::Host for WasiCtx {}

impl tcp::HostTcpSocket for WasiCtx {
    properties! {
        Handle:
        hop_limit = hop_limit, set_hop_limit;
        keep_alive_enabled = keep_alive_enabled, set_keep_alive_enabled: bool;
        keep_alive_idle_time = keep_alive_idle_time, set_keep_alive_idle_time: u64;
        keep_alive_interval = keep_alive_interval, set_keep_alive_interval: u64;
        keep_alive_count = keep_alive_count, set_keep_alive_count: u32;
        receive_buffer_size = receive_buffer_size, set_receive_buffer_size: u64;
        send_buffer_size = send_buffer_size, set_send_buffer_size: u64;
    }

    fn start_bind(
        &mut self,
        this: Handle,
        _: Resource<Network>,
        address: IpSocketAddress,
    ) -> Fallible<()> {
        let bind = |tcp: &TcpSocket| tcp.bind(address.into(), &self.network);
        Ok(self.table.get(&this)?.begin(Begun::Bind, bind)?)
    }

    fn finish_bind(&mut self, this: Handle) -> Fallible<()> {
        let socket = self.table.get(&this)?;
        Ok(socket.finish(|what| matches!(what, Begun::Bind))?)
    }

    fn start_connect(
        &mut self,
        this: Handle,
        _: Resource<Network>,
        address: IpSocketAddress,
    ) -> Fallible<()> {
        let connect = |tcp: &TcpSocket| tcp.start_connect(SocketAddr::from(address), &self.network);
        Ok(self.table.get(&this)?.begin(Begun::Connect, connect)?)
    }

    fn finish_connect(&mut self, this: Handle) -> Fallible<Streams> {
        let socket = self.table.get(&this)?;
        if !matches!(*lock(&socket.begun), Some(Begun::Connect)) {
            return Err(NetError::NotInProgress.into());
        }
        let tcp = socket.tcp.clone();
        let connected = tcp.finish_connect();
        if connected != Err(NetError::WouldBlock) {
            *lock(&socket.begun) = None;
        }
        connected?;
        self.connection(&tcp)
    }

    fn start_listen(&mut self, this: Handle) -> Fallible<()> {
        let listen = |tcp: &TcpSocket| match tcp.local_address() {
            // 0.2 binds nothing implicitly here.
            Err(_) => Err(NetError::InvalidState),
            Ok(_) => tcp.listen(&self.network),
        };
        Ok(self.table.get(&this)?.begin(Begun::Listen, listen)?)
    }

    fn finish_listen(&mut self, this: Handle) -> Fallible<()> {
        let socket = self.table.get(&this)?;
        Ok(socket.finish(|what| matches!(what, Begun::Listen))?)
    }

    fn accept(
        &mut self,
        this: Handle,
    ) -> Fallible<(Handle, Resource<InputStream>, Resource<OutputStream>)> {
        let accepted = self.table.get(&this)?.tcp.accept(&self.budget)?;
        let accepted = Tcp::new(accepted);
        let tcp = accepted.tcp.clone();
        let handle = self.table.push(accepted)?;
        let (input, output) = self.connection(&tcp)?;
        Ok((handle, input, output))
    }

    fn local_address(&mut self, this: Handle) -> Fallible<IpSocketAddress> {
        Ok(self.table.get(&this)?.tcp.local_address()?.into())
    }

    fn remote_address(&mut self, this: Handle) -> Fallible<IpSocketAddress> {
        Ok(self.table.get(&this)?.tcp.remote_address()?.into())
    }

    fn is_listening(&mut self, this: Handle) -> Result<bool> {
        Ok(self.table.get(&this)?.tcp.is_listening())
    }

    fn address_family(&mut self, this: Handle) -> Result<IpAddressFamily> {
        Ok(self.table.get(&this)?.tcp.family.into())
    }

    fn set_listen_backlog_size(&mut self, this: Handle, value: u64) -> Fallible<()> {
        Ok(self.table.get(&this)?.tcp.set_backlog(value)?)
    }

    /// Ready when what is under way can be finished, or a connection accepted.
    fn subscribe(&mut self, this: Handle) -> Result<Resource<Pollable>> {
        let socket = self.table.get(&this)?;
        let fd = socket.tcp.socket.clone();
        let readiness = match *lock(&socket.begun) {
            Some(Begun::Connect) => Readiness::Socket(fd, PollFlags::OUT),
            Some(Begun::Bind | Begun::Listen) => Readiness::Ready,
            None if socket.tcp.is_listening() => Readiness::Socket(fd, PollFlags::IN),
            None => Readiness::Ready,
        };
        Ok(self.table.push(Pollable(readiness))?)
    }

    fn shutdown(&mut self, this: Handle, how: ShutdownType) -> Fallible<()> {
        let how = match how {
            ShutdownType::Receive => Shutdown::Read,
            ShutdownType::Send => Shutdown::Write,
            ShutdownType::Both => Shutdown::Both,
        };
        Ok(self.table.get(&this)?.tcp.shutdown(how)?)
    }

    fn drop(&mut self, this: Handle) -> Result<()> {
        self.give_up(this)
    }
}
