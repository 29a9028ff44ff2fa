//! TCP sockets: their states, and streams of what is sent and received.

use crate::common::budget::Budget;
use crate::common::bytes::{Sink, Source, is_ready};
use crate::common::network::Socket;
use crate::common::network::address::{Family, of_system};
use crate::common::network::error::NetError;
use crate::common::network::options::Endpoint;
use crate::common::network::policy::{Network, Use};
use crate::common::reactor::{Interest, Reaction, Watch};
use crate::common::stdio::lock;
use rustix::event::PollFlags;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, Shutdown, SocketFlags, SocketType, sockopt};
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex, OnceLock};
use std::task::{Context, Poll};

type Result<R> = std::result::Result<R, NetError>;

/// Connections that wait to be accepted, if the guest does not say.
const BACKLOG: i32 = 128;

/// A TCP socket.
pub(crate) struct TcpSocket {
    pub(crate) socket: Arc<Socket>,
    pub(crate) family: Family,
    state: Mutex<State>,
    backlog: Mutex<i32>,
    /// Shared by all that wait: a descriptor is watched once. One waits to read and one to write.
    watch: OnceLock<Box<dyn Watch>>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Unbound,
    Bound,
    Listening,
    Connecting,
    /// What of it was taken: the stream to receive, the one to send.
    Connected {
        receives: bool,
        sends: bool,
    },
    Closed,
}

const CONNECTED: State = State::Connected {
    receives: false,
    sends: false,
};

/// One of the two ways of a connection.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    Receive,
    Send,
}

impl Endpoint for TcpSocket {
    fn endpoint(&self) -> (&Socket, Family) {
        (&self.socket, self.family)
    }
}

impl TcpSocket {
    pub(crate) fn new(family: Family, budget: &Budget) -> Result<TcpSocket> {
        let socket = Socket::new(family, SocketType::STREAM, budget)?;
        sockopt::set_socket_reuseaddr(&socket, true)?;
        Ok(TcpSocket::of(socket, family, State::Unbound))
    }

    fn of(socket: Socket, family: Family, state: State) -> TcpSocket {
        TcpSocket {
            socket: Arc::new(socket),
            family,
            state: Mutex::new(state),
            backlog: Mutex::new(BACKLOG),
            watch: OnceLock::new(),
        }
    }

    pub(crate) fn bind(&self, address: SocketAddr, network: &Network) -> Result<()> {
        let mut state = lock(&self.state);
        self.family.check(&address)?;
        if *state != State::Unbound {
            return Err(NetError::InvalidState);
        }
        network.check(Use::Bind, address)?;
        rustix::net::bind(&*self.socket, &address)?;
        *state = State::Bound;
        Ok(())
    }

    /// Begins to connect.
    pub(crate) fn start_connect(&self, address: SocketAddr, network: &Network) -> Result<()> {
        let mut state = lock(&self.state);
        if !matches!(*state, State::Unbound | State::Bound) {
            return Err(NetError::InvalidState);
        }
        self.family.check_remote(&address)?;
        network.check(Use::Connect, address)?;
        match rustix::net::connect(&*self.socket, &address) {
            Ok(()) | Err(Errno::INPROGRESS) => {
                *state = State::Connecting;
                Ok(())
            }
            Err(error) => {
                *state = State::Closed;
                Err(connect_error(error))
            }
        }
    }

    /// Whether it is connected: [`NetError::WouldBlock`] as long as it is not known.
    pub(crate) fn finish_connect(&self) -> Result<()> {
        let mut state = lock(&self.state);
        if *state != State::Connecting {
            return Err(NetError::NotInProgress);
        }
        match is_ready(self.socket.as_fd(), PollFlags::OUT) {
            Ok(true) => {}
            Ok(false) => return Err(NetError::WouldBlock),
            Err(error) => return Err(NetError::from(&error)),
        }
        let failed = sockopt::socket_error(&*self.socket)?;
        *state = match failed {
            Ok(()) => CONNECTED,
            Err(_) => State::Closed,
        };
        failed.map_err(connect_error)
    }

    /// An attempt to connect was given up.
    pub(crate) fn abandon(&self) {
        let mut state = lock(&self.state);
        if *state == State::Connecting {
            *state = State::Closed;
            // It refers to no connection yet, or to one that nobody wants.
            let _ = rustix::net::shutdown(&*self.socket, Shutdown::Both);
        }
    }

    /// Binds implicitly if need be: then that takes a right too.
    pub(crate) fn listen(&self, network: &Network) -> Result<()> {
        let mut state = lock(&self.state);
        match *state {
            State::Bound => {}
            State::Unbound => {
                let unspecified: SocketAddr = match self.family {
                    Family::Ipv4 => ([0; 4], 0).into(),
                    Family::Ipv6 => ([0; 16], 0).into(),
                };
                network.check(Use::Bind, unspecified)?;
            }
            _ => return Err(NetError::InvalidState),
        }
        rustix::net::listen(&*self.socket, *lock(&self.backlog))?;
        *state = State::Listening;
        Ok(())
    }

    /// The next connection that somebody has made: [`NetError::WouldBlock`] if there is none.
    pub(crate) fn accept(&self, budget: &Budget) -> Result<TcpSocket> {
        if *lock(&self.state) != State::Listening {
            return Err(NetError::InvalidState);
        }
        loop {
            let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
            let accepted = match rustix::net::accept_with(&*self.socket, flags) {
                Ok(accepted) => accepted,
                Err(error) if is_transient(error) => continue,
                Err(error) => return Err(error.into()),
            };
            // Beyond the guest's quota connections are closed at once.
            if let Some(held) = budget.take_socket() {
                let socket = Socket::opened(accepted, held);
                return Ok(TcpSocket::of(socket, self.family, CONNECTED));
            }
        }
    }

    /// Takes one way of the connection, which can be done once.
    pub(crate) fn take(&self, way: Way) -> Result<()> {
        let mut state = lock(&self.state);
        let State::Connected { receives, sends } = &mut *state else {
            return Err(NetError::InvalidState);
        };
        let taken = match way {
            Way::Receive => receives,
            Way::Send => sends,
        };
        match std::mem::replace(taken, true) {
            true => Err(NetError::InvalidState),
            false => Ok(()),
        }
    }

    pub(crate) fn is_connected(&self) -> bool {
        matches!(*lock(&self.state), State::Connected { .. })
    }

    pub(crate) fn is_listening(&self) -> bool {
        *lock(&self.state) == State::Listening
    }

    pub(crate) fn local_address(&self) -> Result<SocketAddr> {
        if matches!(*lock(&self.state), State::Unbound | State::Closed) {
            return Err(NetError::InvalidState);
        }
        of_system(rustix::net::getsockname(&*self.socket)?)
    }

    pub(crate) fn remote_address(&self) -> Result<SocketAddr> {
        if !self.is_connected() {
            return Err(NetError::InvalidState);
        }
        let peer = rustix::net::getpeername(&*self.socket)?;
        peer.map_or(Err(NetError::InvalidState), of_system)
    }

    pub(crate) fn set_backlog(&self, value: u64) -> Result<()> {
        if value == 0 {
            return Err(NetError::InvalidArgument);
        }
        let value = i32::try_from(value).unwrap_or(i32::MAX);
        *lock(&self.backlog) = value;
        match *lock(&self.state) {
            State::Unbound | State::Bound => Ok(()),
            State::Listening => Ok(rustix::net::listen(&*self.socket, value)?),
            State::Connecting | State::Connected { .. } | State::Closed => {
                Err(NetError::InvalidState)
            }
        }
    }

    pub(crate) fn shutdown(&self, how: Shutdown) -> Result<()> {
        if !self.is_connected() {
            return Err(NetError::InvalidState);
        }
        match rustix::net::shutdown(&*self.socket, how) {
            // The other side was faster.
            Ok(()) | Err(Errno::NOTCONN) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Tries something until it does not say that it would block.
    pub(crate) fn poll_io<R>(
        &self,
        cx: &mut Context<'_>,
        reaction: &Reaction,
        interest: Interest,
        mut operation: impl FnMut() -> Result<R>,
    ) -> Poll<Result<R>> {
        let mut done = None;
        let mut attempt = || match operation() {
            Err(NetError::WouldBlock) => Err(ErrorKind::WouldBlock.into()),
            other => {
                done = Some(other);
                Ok(0)
            }
        };
        if attempt().is_err() {
            if self.watch.get().is_none() {
                let watch = reaction.watch(self.socket.fd.clone());
                let watch = watch.map_err(|error| NetError::from(&error))?;
                // Whoever was faster has set one as good.
                let _ = self.watch.set(watch);
            }
            let polled = self
                .watch
                .get()
                .map(|watch| watch.poll_io(cx, interest, &mut attempt));
            if let Some(Poll::Ready(Err(error))) = polled {
                return Poll::Ready(Err(NetError::from(&error)));
            }
        }
        done.map_or(Poll::Pending, Poll::Ready)
    }
}

/// Why a connection cannot be made. An implicit bind without a free port is an address in use.
fn connect_error(error: Errno) -> NetError {
    match error {
        Errno::ADDRNOTAVAIL => NetError::AddressInUse,
        other => other.into(),
    }
}

/// Whether `accept` fails because of a connection that is gone again.
fn is_transient(error: Errno) -> bool {
    matches!(
        error,
        Errno::INTR
            | Errno::CONNABORTED
            | Errno::NETDOWN
            | Errno::PROTO
            | Errno::NOPROTOOPT
            | Errno::HOSTDOWN
            | Errno::NONET
            | Errno::HOSTUNREACH
            | Errno::OPNOTSUPP
            | Errno::NETUNREACH
    )
}

/// Receives what there is, straight into a buffer.
pub(crate) fn receive(socket: &Socket, buffer: &mut [u8]) -> io::Result<usize> {
    let (count, _) = rustix::net::recv(socket, buffer, RecvFlags::empty())?;
    Ok(count)
}

/// Sends as much as there is room for.
pub(crate) fn send(socket: &Socket, bytes: &[u8]) -> io::Result<usize> {
    Ok(rustix::net::send(socket, bytes, SendFlags::NOSIGNAL)?)
}

/// What a connection receives, or what it is to send.
pub(crate) struct Connection {
    tcp: Arc<TcpSocket>,
    reaction: Reaction,
}

impl Connection {
    pub(crate) fn new(tcp: Arc<TcpSocket>, reaction: Reaction) -> Connection {
        Connection { tcp, reaction }
    }

    fn poll_io(
        &self,
        cx: &mut Context<'_>,
        interest: Interest,
        mut operation: impl FnMut(&Socket) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        let mut failed = None;
        let operation = || match operation(&self.tcp.socket) {
            Ok(count) => Ok(Some(count)),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Err(NetError::WouldBlock),
            Err(error) if error.kind() == ErrorKind::Interrupted => Err(NetError::WouldBlock),
            Err(error) => {
                failed = Some(error);
                Ok(None)
            }
        };
        match self.tcp.poll_io(cx, &self.reaction, interest, operation) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Ok(Some(count))) => Poll::Ready(Ok(count)),
            Poll::Ready(_) => Poll::Ready(Err(failed.unwrap_or(ErrorKind::Other.into()))),
        }
    }
}

impl Source for Connection {
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        self.poll_io(cx, Interest::Read, |socket| receive(socket, buffer))
    }

    fn poll_readable(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let look = |socket: &Socket| match is_ready(socket.as_fd(), PollFlags::IN)? {
            true => Ok(0),
            false => Err(ErrorKind::WouldBlock.into()),
        };
        self.poll_io(cx, Interest::Read, look).map_ok(|_| ())
    }

    fn close(&mut self) {
        // The other side may be gone.
        let _ = rustix::net::shutdown(&*self.tcp.socket, Shutdown::Read);
    }
}

impl Sink for Connection {
    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_io(cx, Interest::Write, |socket| send(socket, bytes))
    }

    fn close(&mut self) {
        // The other side may be gone.
        let _ = rustix::net::shutdown(&*self.tcp.socket, Shutdown::Write);
    }
}
