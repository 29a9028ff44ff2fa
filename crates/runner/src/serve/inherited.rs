//! Sockets that whoever started the process opened for it, as systemd does (`sd_listen_fds`):
//! `LISTEN_FDS` of them from descriptor 3 on, if `LISTEN_PID` is this process, with names in
//! `LISTEN_FDNAMES`.

use crate::output::shown;
use anyhow::{Context, Result, bail, ensure};
use rustix::io::{FdFlags, fcntl_getfd, fcntl_setfd};
use rustix::net::{AddressFamily, SocketType, sockopt};
use std::ffi::OsStr;
use std::net::TcpListener;
use std::os::fd::{BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixListener;
use std::sync::atomic::{AtomicBool, Ordering};

/// The variables, which are for this process and for no guest.
pub(super) const VARIABLES: [&str; 3] = ["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"];
/// The first descriptor.
const FIRST: RawFd = 3;

/// A socket that listens.
#[derive(Debug)]
pub(super) enum Socket {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// A socket that was opened for this process.
pub(super) struct Inherited {
    /// What it is called; systemd says `unknown` or the name of the unit where nobody named it.
    pub name: String,
    pub socket: Socket,
}

/// Whether the process was given sockets.
pub(super) fn are_there() -> bool {
    count(|name| std::env::var_os(name)).is_ok_and(|count| count > 0)
}

/// Takes the sockets that the process was given; the second time there are none.
///
/// # Errors
/// If one of them is no stream socket that listens.
pub(super) fn take() -> Result<Vec<Inherited>> {
    static TAKEN: AtomicBool = AtomicBool::new(false);
    let count = count(|name| std::env::var_os(name))?;
    if TAKEN.swap(true, Ordering::Relaxed) {
        return Ok(Vec::new());
    }
    let names = std::env::var_os("LISTEN_FDNAMES").unwrap_or_default();
    let names = names.to_string_lossy().into_owned();
    let mut names = names.split(':');
    let inherited = (FIRST..).take(count).map(|number| {
        let name = names.next().unwrap_or_default().to_string();
        let socket = socket(number);
        let socket = socket.with_context(|| match &name[..] {
            "" => format!("descriptor {number} of LISTEN_FDS"),
            name => format!("descriptor {number} of LISTEN_FDS ({})", shown(name)),
        })?;
        Ok(Inherited { name, socket })
    });
    inherited.collect()
}

/// How many there are for this process.
fn count<V: AsRef<OsStr>>(variable: impl Fn(&str) -> Option<V>) -> Result<usize> {
    let number = |name: &str| {
        let value = variable(name);
        value.map(|value| value.as_ref().to_str()?.parse::<u32>().ok())
    };
    // Another process's, which has passed its variables on.
    if number("LISTEN_PID").flatten() != Some(std::process::id()) {
        return Ok(0);
    }
    match number("LISTEN_FDS") {
        None => Ok(0),
        Some(None) => bail!("LISTEN_FDS is no number"),
        // Descriptors have numbers that are smaller; there is none of a larger one.
        Some(Some(count)) => Ok(count.min(i32::MAX as u32 - FIRST as u32) as usize),
    }
}

/// The socket of a descriptor, closed where another program is executed.
fn socket(number: RawFd) -> Result<Socket> {
    // SAFETY: it is looked whether the descriptor is open before anything else is done with it; for
    // a number that is none, the kernel only says so.
    let borrowed = unsafe { BorrowedFd::borrow_raw(number) };
    let flags = fcntl_getfd(borrowed).context("it is not open")?;
    fcntl_setfd(borrowed, flags | FdFlags::CLOEXEC)?;
    let kind = sockopt::socket_type(borrowed).context("it is no socket")?;
    ensure!(
        kind == SocketType::STREAM && sockopt::socket_acceptconn(borrowed)?,
        "it is no stream socket that listens"
    );
    let family = sockopt::socket_domain(borrowed)?;
    // SAFETY: it is open, and whoever started the process has made it for what `LISTEN_FDS` is read
    // by, which is this alone, once. Nothing else of the process listens on what it has not opened.
    let owned = unsafe { OwnedFd::from_raw_fd(number) };
    match family {
        AddressFamily::INET | AddressFamily::INET6 => Ok(Socket::Tcp(owned.into())),
        AddressFamily::UNIX => Ok(Socket::Unix(owned.into())),
        _ => bail!("it is no socket of IP, and no Unix socket"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_process_is_meant() {
        let own = std::process::id().to_string();
        let cases = [
            (Some(&own[..]), Some("2"), Some(2)),
            (Some("1"), Some("2"), Some(0)),
            (None, Some("2"), Some(0)),
            (Some(&own), None, Some(0)),
            (Some(&own), Some("x"), None),
            (Some(&own), Some("-1"), None),
            (Some(&own), Some("4294967295"), Some(i32::MAX as usize - 3)),
        ];
        for (pid, fds, expected) in cases {
            let variable = |name: &str| match name {
                "LISTEN_PID" => pid,
                _ => fds,
            };
            assert_eq!(count(variable).ok(), expected, "{pid:?} {fds:?}");
        }
        assert!(socket(1_000_000).is_err());
    }
}
