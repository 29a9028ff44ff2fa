//! What a server listens with: sockets of TCP, Unix sockets, and those that it was given.

use crate::output::shown;
use crate::serve::address::{Address, unix};
use crate::serve::inherited::{self, Inherited, Socket};
use anyhow::{Context, Result, anyhow, bail, ensure};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use std::fmt;
use std::fs::File;
use std::io::{self, ErrorKind, IoSlice};
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::pin::{Pin, pin};
use std::task::{Context as TaskContext, Poll};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Where a server listens if nobody says.
const DEFAULT: &str = "127.0.0.1:8080";
/// How long another server that begins may keep this one waiting.
const PATIENCE: Duration = Duration::from_secs(1);

/// A socket that listens.
#[derive(Debug)]
pub(super) struct Listener {
    socket: Socket,
    /// The file that this process has made.
    file: Option<SocketFile>,
}

/// Sockets for requests, and for metrics.
pub(super) struct Listeners {
    pub requests: Vec<Listener>,
    pub metrics: Vec<Listener>,
}

impl Listeners {
    /// Begins to listen. Without an address for requests there are those that the process was
    /// given, if any.
    ///
    /// # Errors
    /// If an address cannot be used.
    pub(super) fn open(requests: Option<&Address>, metrics: Option<&Address>) -> Result<Self> {
        let default = match inherited::are_there() {
            true => Address::Systemd(None),
            false => Address::Tcp(DEFAULT.to_string()),
        };
        let requests = requests.unwrap_or(&default);
        let is_given = |address: &&Address| matches!(address, Address::Systemd(_));
        let mut given = match [Some(requests), metrics]
            .into_iter()
            .flatten()
            .any(|a| is_given(&a))
        {
            true => inherited::take()?,
            false => Vec::new(),
        };
        // The sockets of metrics have a name, the others need none.
        let metrics = metrics.map(|address| match address {
            Address::Systemd(None) => Address::Systemd(Some("metrics".to_string())),
            address => address.clone(),
        });
        let metrics = metrics.map(|address| open(&address, &mut given));
        Ok(Listeners {
            metrics: metrics
                .transpose()
                .context("--metrics-addr")?
                .unwrap_or_default(),
            requests: open(requests, &mut given)?,
        })
    }
}

/// Listens at an address; of the sockets that the process was given, takes those that are meant.
fn open(address: &Address, given: &mut Vec<Inherited>) -> Result<Vec<Listener>> {
    let listeners = match address {
        Address::Tcp(address) => vec![Listener::tcp(address)?],
        Address::Unix(path) => {
            let listener = Listener::unix(path);
            vec![listener.with_context(|| format!("cannot listen at {}", unix(path)))?]
        }
        Address::Systemd(name) => {
            let is_meant = |one: &mut Inherited| name.as_ref().is_none_or(|name| *name == one.name);
            let meant = given.extract_if(.., is_meant).map(|inherited| Listener {
                socket: inherited.socket,
                file: None,
            });
            let meant: Vec<Listener> = meant.collect();
            match name {
                Some(name) => ensure!(
                    !meant.is_empty(),
                    "no socket of the name {} was handed over to this process (LISTEN_FDNAMES)",
                    shown(name)
                ),
                None => ensure!(
                    !meant.is_empty(),
                    "no socket was handed over to this process (LISTEN_FDS, LISTEN_PID)"
                ),
            }
            meant
        }
    };
    for listener in &listeners {
        match &listener.socket {
            Socket::Tcp(socket) => socket.set_nonblocking(true),
            Socket::Unix(socket) => socket.set_nonblocking(true),
        }
        .context("cannot listen without blocking")?;
    }
    Ok(listeners)
}

impl Listener {
    fn tcp(address: &str) -> Result<Listener> {
        let socket = std::net::TcpListener::bind(address).map_err(|error| match error.kind() {
            ErrorKind::AddrInUse => anyhow!(
                "cannot listen at {}: the address is in use by another process",
                shown(address)
            ),
            _ => anyhow::Error::new(error).context(format!("cannot listen at {}", shown(address))),
        })?;
        Ok(Listener {
            socket: Socket::Tcp(socket),
            file: None,
        })
    }

    /// Listens at a path. The file of a server that is no more is replaced; whoever may connect is
    /// a matter of the folder and the process's mask, as for every file.
    fn unix(path: &Path) -> Result<Listener> {
        let folder = path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty());
        // Of two servers that begin at once, one must not take the other's new file for a dead one.
        let _alone = locked(folder.unwrap_or(Path::new(".")));
        match std::fs::symlink_metadata(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error.into()),
            Ok(metadata) => {
                ensure!(
                    metadata.file_type().is_socket(),
                    "there is a file already, which is no socket"
                );
                if !is_dead(path)? {
                    bail!("the socket is in use by another process");
                }
                std::fs::remove_file(path)
                    .context("it is a dead server's, and cannot be removed")?;
            }
        }
        let socket = UnixListener::bind(path)?;
        let metadata = std::fs::symlink_metadata(path)?;
        Ok(Listener {
            socket: Socket::Unix(socket),
            file: Some(SocketFile {
                path: path.to_path_buf(),
                identity: (metadata.dev(), metadata.ino()),
            }),
        })
    }

    /// For tokio, inside of a runtime.
    ///
    /// # Errors
    /// If the runtime cannot wait for it.
    pub(super) fn into_acceptor(self) -> io::Result<Acceptor> {
        let socket = match self.socket {
            Socket::Tcp(socket) => AcceptorSocket::Tcp(tokio::net::TcpListener::from_std(socket)?),
            Socket::Unix(socket) => {
                AcceptorSocket::Unix(tokio::net::UnixListener::from_std(socket)?)
            }
        };
        Ok(Acceptor {
            socket,
            file: self.file,
        })
    }

    /// Where it listens, as a client would be told.
    pub(super) fn shown(&self, scheme: &str, path: &str) -> String {
        match &self.socket {
            Socket::Tcp(socket) => match socket.local_addr() {
                Ok(address) => format!("{scheme}://{address}{path}"),
                Err(error) => format!("{scheme} ({error})"),
            },
            Socket::Unix(socket) => {
                let address = socket.local_addr().ok();
                let place = address.as_ref().and_then(|address| address.as_pathname());
                let place = place.map_or_else(|| "unix:(no path)".to_string(), unix);
                format!("{place} ({scheme})")
            }
        }
    }
}

/// The lock of a folder, if it can be had: whoever may not read it does without.
fn locked(folder: &Path) -> Option<File> {
    let file = File::open(folder).ok()?;
    let until = Instant::now() + PATIENCE;
    while file.try_lock().is_err() {
        if Instant::now() > until {
            return None;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Some(file)
}

/// Whether nobody listens at a path any more.
fn is_dead(path: &Path) -> Result<bool> {
    // A server that is busy must not keep this one waiting.
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    match rustix::net::connect(&socket, &SocketAddrUnix::new(path)?) {
        Err(Errno::CONNREFUSED) => Ok(true),
        Ok(()) | Err(Errno::AGAIN | Errno::PROTOTYPE) => Ok(false),
        Err(error) => Err(anyhow!(error).context("a socket is there already, and does not answer")),
    }
}

/// The file of a Unix socket, which goes when this is dropped.
#[derive(Debug)]
struct SocketFile {
    path: PathBuf,
    /// Device and inode.
    identity: (u64, u64),
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        // Another one may have taken its place.
        let found = std::fs::symlink_metadata(&self.path);
        if found.is_ok_and(|found| (found.dev(), found.ino()) == self.identity) {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// A socket that listens, for tokio.
pub(super) struct Acceptor {
    socket: AcceptorSocket,
    file: Option<SocketFile>,
}

enum AcceptorSocket {
    Tcp(tokio::net::TcpListener),
    Unix(tokio::net::UnixListener),
}

/// Whoever has connected.
#[derive(Clone, Copy, Debug)]
pub(super) enum Client {
    Tcp(SocketAddr),
    /// By a Unix socket, which says no more.
    Unix,
}

impl fmt::Display for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Client::Tcp(address) => address.fmt(f),
            Client::Unix => f.write_str("unix"),
        }
    }
}

impl Acceptor {
    /// The next connection.
    ///
    /// # Errors
    /// As the system's.
    pub(super) async fn accept(&self) -> io::Result<(Stream, Client)> {
        match &self.socket {
            AcceptorSocket::Tcp(socket) => {
                let (stream, client) = socket.accept().await?;
                let _ = stream.set_nodelay(true);
                Ok((Stream::Tcp(stream), Client::Tcp(client)))
            }
            AcceptorSocket::Unix(socket) => {
                let (stream, _) = socket.accept().await?;
                Ok((Stream::Unix(stream), Client::Unix))
            }
        }
    }

    /// A connection that waits to be accepted, if there is one.
    pub(super) async fn accept_now(&self) -> Option<io::Result<(Stream, Client)>> {
        let mut accept = pin!(self.accept());
        std::future::poll_fn(|cx| match accept.as_mut().poll(cx) {
            Poll::Ready(accepted) => Poll::Ready(Some(accepted)),
            Poll::Pending => Poll::Ready(None),
        })
        .await
    }

    /// Takes the server's file away, so that nobody comes who is not heard any more.
    pub(super) fn hide(&mut self) {
        self.file = None;
    }
}

/// A connection.
pub(super) enum Stream {
    Tcp(tokio::net::TcpStream),
    Unix(tokio::net::UnixStream),
}

/// The same of either kind.
macro_rules! either {
    ($stream:expr, $method:ident($($argument:expr),*)) => {
        match $stream.get_mut() {
            Stream::Tcp(stream) => Pin::new(stream).$method($($argument),*),
            Stream::Unix(stream) => Pin::new(stream).$method($($argument),*),
        }
    };
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut TaskContext<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        either!(self, poll_read(cx, buffer))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut TaskContext<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        either!(self, poll_write(cx, bytes))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut TaskContext<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        either!(self, poll_write_vectored(cx, parts))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<io::Result<()>> {
        either!(self, poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<io::Result<()>> {
        either!(self, poll_shutdown(cx))
    }
}
