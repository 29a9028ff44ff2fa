//! `wasi:sockets`: TCP, UDP and the addresses of names, as far as the context's rules permit.

use crate::common::bytes::{Waiting, duplicate, is_ready};
use crate::common::context::WasiCtx;
use crate::common::failure;
use crate::common::network::address::conversions;
use crate::common::network::error::NetError;
use crate::common::network::lookup::{self, Wanted};
use crate::common::network::options::{Endpoint, properties};
use crate::common::network::tcp::{Connection, TcpSocket, Way};
use crate::common::network::udp::UdpSocket;
use crate::common::reactor::{Interest, Reaction};
use crate::p3::bindings::wasi::sockets::ip_name_lookup;
use crate::p3::bindings::wasi::sockets::types::{self, *};
use crate::p3::ends::{self, Code, Ended};
use anyhow::{Context as _, Result};
use rustix::event::PollFlags;
use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::task::{Context, Poll};
use trampette_runtime::{
    Access, AccessMut, FutureReader, Progress, Resource, StreamProducer, StreamReader, Window,
};

/// What a guest's `tcp-socket` stands for.
pub(crate) type Tcp = Arc<TcpSocket>;
/// What a guest's `udp-socket` stands for.
pub(crate) type Udp = Arc<UdpSocket>;

conversions!();

impl From<NetError> for ErrorCode {
    fn from(error: NetError) -> ErrorCode {
        match error {
            NetError::AccessDenied => ErrorCode::AccessDenied,
            NetError::NotSupported => ErrorCode::NotSupported,
            NetError::InvalidArgument => ErrorCode::InvalidArgument,
            NetError::OutOfMemory | NetError::NewSocketLimit => ErrorCode::OutOfMemory,
            NetError::Timeout => ErrorCode::Timeout,
            NetError::InvalidState | NetError::ConcurrencyConflict | NetError::NotInProgress => {
                ErrorCode::InvalidState
            }
            NetError::AddressNotBindable => ErrorCode::AddressNotBindable,
            NetError::AddressInUse => ErrorCode::AddressInUse,
            NetError::RemoteUnreachable => ErrorCode::RemoteUnreachable,
            NetError::ConnectionRefused => ErrorCode::ConnectionRefused,
            NetError::ConnectionBroken => ErrorCode::ConnectionBroken,
            NetError::ConnectionReset => ErrorCode::ConnectionReset,
            NetError::ConnectionAborted => ErrorCode::ConnectionAborted,
            NetError::DatagramTooLarge => ErrorCode::DatagramTooLarge,
            NetError::WouldBlock
            | NetError::NameUnresolvable
            | NetError::TemporaryResolverFailure
            | NetError::PermanentResolverFailure
            | NetError::Other => ErrorCode::Other(None),
        }
    }
}

impl From<NetError> for ip_name_lookup::ErrorCode {
    fn from(error: NetError) -> Self {
        match error {
            NetError::AccessDenied => Self::AccessDenied,
            NetError::InvalidArgument => Self::InvalidArgument,
            NetError::NameUnresolvable => Self::NameUnresolvable,
            NetError::TemporaryResolverFailure => Self::TemporaryResolverFailure,
            NetError::PermanentResolverFailure => Self::PermanentResolverFailure,
            _ => Self::Other(None),
        }
    }
}

impl Code for ErrorCode {
    fn of(error: &io::Error) -> ErrorCode {
        NetError::from(error).into()
    }
}

/// Why a function of `wasi:sockets` fails.
pub(crate) type Failure = failure::Failure<NetError>;

impl ConvertErrorCode for WasiCtx {
    fn convert_error_code(&mut self, failure: Failure) -> Result<ErrorCode> {
        Ok(failure.into_code()?.into())
    }
}

type Fallible<R> = Result<R, Failure>;
type Future = FutureReader<Ended<ErrorCode>>;

impl types::Host for WasiCtx {}

impl HostTcpSocket for WasiCtx {
    properties! {
        Resource<Tcp>:
        get_hop_limit = hop_limit, set_hop_limit;
        get_keep_alive_enabled = keep_alive_enabled, set_keep_alive_enabled: bool;
        get_keep_alive_idle_time = keep_alive_idle_time, set_keep_alive_idle_time: u64;
        get_keep_alive_interval = keep_alive_interval, set_keep_alive_interval: u64;
        get_keep_alive_count = keep_alive_count, set_keep_alive_count: u32;
        get_receive_buffer_size = receive_buffer_size, set_receive_buffer_size: u64;
        get_send_buffer_size = send_buffer_size, set_send_buffer_size: u64;
    }

    fn create(&mut self, family: IpAddressFamily) -> Fallible<Resource<Tcp>> {
        let socket = TcpSocket::new(family.into(), &self.budget)?;
        Ok(self.table.push(Arc::new(socket))?)
    }

    fn bind(&mut self, this: Resource<Tcp>, address: IpSocketAddress) -> Fallible<()> {
        let socket = self.table.get(&this)?;
        Ok(socket.bind(address.into(), &self.network)?)
    }

    async fn connect(
        cx: impl Access<Self>,
        this: Resource<Tcp>,
        address: IpSocketAddress,
    ) -> Fallible<()> {
        /// Gives an attempt up when the guest does.
        struct Attempt(Tcp);

        impl Drop for Attempt {
            fn drop(&mut self) {
                self.0.abandon();
            }
        }

        let (socket, reaction) = cx.with(|wasi| {
            let socket = wasi.table.get(&this)?.clone();
            socket.start_connect(address.into(), &wasi.network)?;
            Ok::<_, Failure>((socket, wasi.reaction.clone()))
        })??;
        let attempt = Attempt(socket);
        let connected = poll_fn(|cx| {
            let finish = || attempt.0.finish_connect();
            attempt.0.poll_io(cx, &reaction, Interest::Write, finish)
        });
        Ok(connected.await?)
    }

    fn listen(
        cx: &mut impl AccessMut<Self>,
        this: Resource<Tcp>,
    ) -> Fallible<StreamReader<Resource<Tcp>>> {
        let wasi = cx.host();
        let tcp = wasi.table.get(&this)?.clone();
        tcp.listen(&wasi.network)?;
        let connections = Connections {
            tcp,
            reaction: wasi.reaction.clone(),
            access: cx.access(),
        };
        Ok(StreamReader::new(cx, connections)?)
    }

    fn send(
        cx: &mut impl AccessMut<Self>,
        this: Resource<Tcp>,
        data: StreamReader<u8>,
    ) -> Result<Future> {
        let wasi = cx.host();
        let tcp = wasi.table.get(&this)?.clone();
        match tcp.take(Way::Send) {
            Ok(()) => {
                let sink = Connection::new(tcp, wasi.reaction.clone());
                ends::write(cx, data, sink)
            }
            Err(code) => ends::ended(cx, Err(code.into())),
        }
    }

    fn receive(
        cx: &mut impl AccessMut<Self>,
        this: Resource<Tcp>,
    ) -> Result<(StreamReader<u8>, Future)> {
        let wasi = cx.host();
        let tcp = wasi.table.get(&this)?.clone();
        match tcp.take(Way::Receive) {
            Ok(()) => {
                let source = Connection::new(tcp, wasi.reaction.clone());
                ends::read(cx, source)
            }
            Err(code) => ends::failed(cx, ErrorCode::from(code)),
        }
    }

    fn get_local_address(&mut self, this: Resource<Tcp>) -> Fallible<IpSocketAddress> {
        Ok(self.table.get(&this)?.local_address()?.into())
    }

    fn get_remote_address(&mut self, this: Resource<Tcp>) -> Fallible<IpSocketAddress> {
        Ok(self.table.get(&this)?.remote_address()?.into())
    }

    fn get_is_listening(&mut self, this: Resource<Tcp>) -> Result<bool> {
        Ok(self.table.get(&this)?.is_listening())
    }

    fn get_address_family(&mut self, this: Resource<Tcp>) -> Result<IpAddressFamily> {
        Ok(self.table.get(&this)?.family.into())
    }

    fn set_listen_backlog_size(&mut self, this: Resource<Tcp>, value: u64) -> Fallible<()> {
        Ok(self.table.get(&this)?.set_backlog(value)?)
    }

    fn drop(&mut self, this: Resource<Tcp>) -> Result<()> {
        self.give_up(this)
    }
}

/// The connections that a socket accepts.
struct Connections<A> {
    tcp: Tcp,
    reaction: Reaction,
    access: A,
}

impl<A: Access<WasiCtx>> StreamProducer for Connections<A> {
    type Item = Resource<Tcp>;

    fn poll_produce(
        &mut self,
        cx: &mut Context<'_>,
        window: &mut Window<'_, Resource<Tcp>>,
    ) -> Poll<Result<Progress>> {
        let is_asked = window.remaining() == 0;
        let budget = self.access.with(|wasi| wasi.budget.clone())?;
        let accept = || match is_asked {
            // Whether one could be accepted.
            true => match is_ready(self.tcp.socket.as_fd(), PollFlags::IN) {
                Ok(true) => Ok(None),
                Ok(false) => Err(NetError::WouldBlock),
                Err(error) => Err(NetError::from(&error)),
            },
            false => self.tcp.accept(&budget).map(Some),
        };
        match self.tcp.poll_io(cx, &self.reaction, Interest::Read, accept) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Ok(None)) => Poll::Ready(Ok(Progress::Open)),
            Poll::Ready(Ok(Some(accepted))) => {
                let handle = self
                    .access
                    .with(|wasi| wasi.table.push(Arc::new(accepted)))??;
                // There is room for it.
                let _ = window.push(handle);
                Poll::Ready(Ok(Progress::Open))
            }
            // The system has no descriptors, or the socket is broken.
            Poll::Ready(Err(_)) => Poll::Ready(Ok(Progress::Over)),
        }
    }
}

/// Waits until something does not say that it would block any more.
async fn wait<R>(
    udp: &Udp,
    reaction: Reaction,
    interest: Interest,
    mut operation: impl FnMut() -> Result<R, NetError>,
) -> Result<R, NetError> {
    // Others may wait for the same.
    let mut waiting = Waiting::new(reaction);
    poll_fn(|cx| {
        let mut done = None;
        let polled = waiting.poll_io(
            cx,
            interest,
            || duplicate(udp.socket.as_fd()),
            || match operation() {
                Err(NetError::WouldBlock) => Err(ErrorKind::WouldBlock.into()),
                other => {
                    done = Some(other);
                    Ok(0)
                }
            },
        );
        match polled {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Err(error)) => Poll::Ready(Err(NetError::from(&error))),
            Poll::Ready(Ok(_)) => Poll::Ready(done.take().unwrap_or(Err(NetError::Other))),
        }
    })
    .await
}

impl HostUdpSocket for WasiCtx {
    properties! {
        Resource<Udp>:
        get_unicast_hop_limit = hop_limit, set_unicast_hop_limit;
        get_receive_buffer_size = receive_buffer_size, set_receive_buffer_size: u64;
        get_send_buffer_size = send_buffer_size, set_send_buffer_size: u64;
    }

    fn create(&mut self, family: IpAddressFamily) -> Fallible<Resource<Udp>> {
        let socket = UdpSocket::new(family.into(), &self.budget)?;
        Ok(self.table.push(Arc::new(socket))?)
    }

    fn bind(&mut self, this: Resource<Udp>, address: IpSocketAddress) -> Fallible<()> {
        let socket = self.table.get(&this)?;
        Ok(socket.bind(address.into(), &self.network)?)
    }

    fn connect(&mut self, this: Resource<Udp>, address: IpSocketAddress) -> Fallible<()> {
        let socket = self.table.get(&this)?;
        Ok(socket.connect(address.into(), &self.network)?)
    }

    fn disconnect(&mut self, this: Resource<Udp>) -> Fallible<()> {
        Ok(self.table.get(&this)?.disconnect()?)
    }

    async fn send(
        cx: impl Access<Self>,
        this: Resource<Udp>,
        data: Vec<u8>,
        to: Option<IpSocketAddress>,
    ) -> Fallible<()> {
        let (udp, reaction, network) = cx.with(|wasi| {
            let udp = wasi.table.get(&this)?.clone();
            Ok::<_, Failure>((udp, wasi.reaction.clone(), wasi.network.clone()))
        })??;
        let to = to.map(SocketAddr::from);
        let send = || udp.send(&data, to, &network);
        Ok(wait(&udp, reaction, Interest::Write, send).await?)
    }

    async fn receive(
        cx: impl Access<Self>,
        this: Resource<Udp>,
    ) -> Fallible<(Vec<u8>, IpSocketAddress)> {
        let (udp, reaction, network) = cx.with(|wasi| {
            let udp = wasi.table.get(&this)?.clone();
            Ok::<_, Failure>((udp, wasi.reaction.clone(), wasi.network.clone()))
        })??;
        let receive = || udp.receive(&network);
        let (data, from) = wait(&udp, reaction, Interest::Read, receive).await?;
        Ok((data, from.into()))
    }

    fn get_local_address(&mut self, this: Resource<Udp>) -> Fallible<IpSocketAddress> {
        Ok(self.table.get(&this)?.local_address()?.into())
    }

    fn get_remote_address(&mut self, this: Resource<Udp>) -> Fallible<IpSocketAddress> {
        Ok(self.table.get(&this)?.remote_address()?.into())
    }

    fn get_address_family(&mut self, this: Resource<Udp>) -> Result<IpAddressFamily> {
        Ok(self.table.get(&this)?.family.into())
    }

    fn drop(&mut self, this: Resource<Udp>) -> Result<()> {
        self.give_up(this)
    }
}

impl ip_name_lookup::Host for WasiCtx {
    async fn resolve_addresses(
        cx: impl Access<Self>,
        name: String,
    ) -> Result<Result<Vec<IpAddress>, ip_name_lookup::ErrorCode>> {
        let name = match Wanted::parse(&name) {
            Ok(Wanted::Address(address)) => return Ok(Ok(vec![address.into()])),
            Ok(Wanted::Name(name)) => name,
            Err(error) => return Ok(Err(error.into())),
        };
        let (network, reaction) = cx.with(|wasi| (wasi.network.clone(), wasi.reaction.clone()))?;
        if let Err(error) = network.check_name(&name) {
            return Ok(Err(error.into()));
        }
        let asked = name.clone();
        let found = reaction.run_blocking(move || lookup::resolve(&asked)).await;
        Ok(match found.context("looking up a name panicked")? {
            Ok(addresses) => {
                network.remember(&name, &addresses);
                Ok(addresses.into_iter().map(IpAddress::from).collect())
            }
            Err(error) => Err(error.into()),
        })
    }
}
