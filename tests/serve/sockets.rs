//! Where a server listens: Unix sockets with their files, and sockets that it was given.

use super::{command, program};
use crate::http::{Answer, Served, TIME};
use anyhow::{Context, Result, ensure};
use std::io::{BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

fn at(path: &Path) -> String {
    format!("--addr=unix:{}", path.display())
}

fn served_at(path: &Path, options: &[&str], program: &Path) -> Result<Served> {
    let mut command = command(options);
    command.arg(at(path)).arg(program);
    Served::start(command)
}

fn get(mut stream: impl Read + Write, path: &str) -> Result<Answer> {
    stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: a\r\n\r\n").as_bytes())?;
    Answer::read(&mut BufReader::new(stream), "GET")
}

fn get_at(socket: &Path, path: &str) -> Result<Answer> {
    let stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(TIME))?;
    get(stream, path)
}

#[test]
fn a_unix_socket_is_there_while_it_serves() -> Result<()> {
    let Some(program) = program("p3http") else {
        return Ok(());
    };
    let folder = tempfile::tempdir()?;
    let (socket, metrics) = (folder.path().join("a b.sock"), folder.path().join("m.sock"));
    let metrics_option = format!("--metrics-addr=unix:{}", metrics.display());
    let options = [&metrics_option[..], "--log=text"];
    let served = served_at(&socket, &options, &program)?;
    let expected = format!(
        "serving wasi:http/service (0.3) on unix:{} (http); outgoing requests: all; metrics on \
         unix:{} (http)\n",
        socket.display(),
        metrics.display()
    );
    assert_eq!(served.first_line, expected);
    assert_eq!(get_at(&socket, "/lines?n=1")?.text(), "line 0\n");
    served.prints("unix GET /lines?n=1 HTTP/1.1 200")?;
    assert_eq!(get_at(&metrics, "/healthz")?.text(), "ok\n");
    // It gives nobody more than the process's mask does.
    let mode = std::fs::metadata(&socket)?.permissions().mode();
    let other = folder.path().join("other");
    UnixListener::bind(&other)?;
    assert_eq!(mode, std::fs::metadata(&other)?.permissions().mode());
    // A request that is under way when the server ends gets its answer, though its socket is gone.
    let mut late = UnixStream::connect(&socket)?;
    late.set_read_timeout(Some(TIME))?;
    late.write_all(b"POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\nab")?;
    std::thread::sleep(Duration::from_millis(50));
    served.signal(rustix::process::Signal::TERM)?;
    let until = std::time::Instant::now() + TIME;
    while socket.exists() {
        ensure!(std::time::Instant::now() < until, "the socket stays");
        std::thread::sleep(Duration::from_millis(2));
    }
    late.write_all(b"cd")?;
    assert_eq!(
        Answer::read(&mut BufReader::new(late), "POST")?.text(),
        "abcd"
    );
    let (status, _) = served.wait()?;
    assert!(status.success(), "{status}");
    assert!(!metrics.exists());
    Ok(())
}

#[test]
fn only_dead_sockets_are_replaced() -> Result<()> {
    let Some(program) = program("p3http") else {
        return Ok(());
    };
    let folder = tempfile::tempdir()?;
    let socket = folder.path().join("a.sock");
    let refused = |path: &Path| -> Result<String> {
        let Output { status, stderr, .. } = command(&[&at(path)]).arg(&program).output()?;
        ensure!(status.code() == Some(1), "it ended with {status}");
        Ok(String::from_utf8(stderr)?)
    };
    // What a dead server has left is the file of a socket.
    drop(UnixListener::bind(&socket)?);
    assert!(socket.exists());
    let served = served_at(&socket, &[], &program)?;
    assert_eq!(get_at(&socket, "/")?.status, 200);
    // One that lives is left alone, also if it accepts nothing.
    let shown = socket.display();
    let in_use = "the socket is in use by another process";
    let error = refused(&socket)?;
    assert_eq!(
        error,
        format!("error: cannot listen at unix:{shown}: {in_use}\n")
    );
    let datagram = folder.path().join("datagram");
    let _datagram = UnixDatagram::bind(&datagram)?;
    assert!(refused(&datagram)?.contains(in_use));
    // Whoever has moved another file there keeps it.
    let other = folder.path().join("other");
    let _other = UnixListener::bind(&other)?;
    std::fs::rename(&other, &socket)?;
    let (status, errors) = served.end()?;
    assert!(status.success() && errors.is_empty(), "{status}: {errors}");
    assert!(socket.exists());
    // Everything else is no socket.
    let target = folder.path().join("target");
    let link = folder.path().join("link");
    std::fs::write(&target, "text")?;
    std::os::unix::fs::symlink(&socket, &link)?;
    for path in [&target, &link, &folder.path().to_path_buf()] {
        let error = refused(path)?;
        assert!(
            error.contains("there is a file already, which is no socket"),
            "{error}"
        );
        assert!(path.symlink_metadata().is_ok());
    }
    assert_eq!(std::fs::read(&target)?, b"text");
    let error = refused(&folder.path().join("no/such"))?;
    assert!(error.contains("No such file or directory"), "{error}");
    Ok(())
}

/// `trampette serve`, started as systemd starts a service: with sockets from descriptor 3 on.
fn given(sockets: &[i32], names: &str, options: &[&str], program: &PathBuf) -> Command {
    let mut command = Command::new("sh");
    // The variable is for the process itself, whose number only it knows.
    command.args(["-c", "export LISTEN_PID=$$; exec \"$0\" \"$@\""]);
    command.arg(env!("CARGO_BIN_EXE_trampette")).arg("serve");
    command.args(options).arg(program);
    command.env("LISTEN_FDS", sockets.len().to_string());
    command.env("LISTEN_FDNAMES", names);
    let sockets = sockets.to_vec();
    // SAFETY: only `dup2` is called, which may be called there; descriptors of tests are larger.
    unsafe {
        command.pre_exec(move || {
            for (number, socket) in (3..).zip(&sockets) {
                if libc::dup2(*socket, number) < 0 {
                    return Err(std::io::Error::last_os_error());
                }
            }
            Ok(())
        });
    }
    command
}

/// A descriptor that is none of those that a process is given.
fn large(socket: &impl AsRawFd) -> Result<i32> {
    // SAFETY: the descriptor is open; the copy stays until the process ends.
    let copy = unsafe { libc::fcntl(socket.as_raw_fd(), libc::F_DUPFD_CLOEXEC, 100) };
    ensure!(copy >= 100, "{}", std::io::Error::last_os_error());
    Ok(copy)
}

#[test]
fn sockets_that_were_given_are_used() -> Result<()> {
    let Some(program) = program("p3http") else {
        return Ok(());
    };
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("given.sock");
    let (tcp, metrics) = (
        TcpListener::bind("127.0.0.1:0")?,
        TcpListener::bind("127.0.0.1:0")?,
    );
    let unix = UnixListener::bind(&path)?;
    let sockets = [large(&tcp)?, large(&metrics)?, large(&unix)?];
    let names = "http:metrics:local";
    // Without an address all of them are meant; a socket of metrics has its name.
    let options = ["--metrics-addr=systemd"];
    let served = Served::start(given(&sockets, names, &options, &program))?;
    assert_eq!(served.port, tcp.local_addr()?.port());
    assert_eq!(get_at(&path, "/")?.status, 200);
    let address = metrics.local_addr()?;
    assert_eq!(
        get(TcpStream::connect(address)?, "/healthz")?.text(),
        "ok\n"
    );
    assert_eq!(served.get("/")?.status, 200);
    let (status, errors) = served.end()?;
    assert!(status.success() && errors.is_empty(), "{status}: {errors}");
    // The file is its maker's.
    assert!(path.exists());
    // Only that of a name.
    let options = ["--addr=systemd:local"];
    let served = Served::start(given(&sockets, names, &options, &program))?;
    assert!(
        served.first_line.contains(" on unix:"),
        "{}",
        served.first_line
    );
    drop(served);
    // An address counts more than what was given.
    let options = ["--addr=127.0.0.1:0"];
    let served = Served::start(given(&sockets, names, &options, &program))?;
    assert_ne!(served.port, tcp.local_addr()?.port());
    drop(served);

    let refused = |sockets: &[i32], names: &str, options: &[&str]| -> Result<String> {
        let Output { status, stderr, .. } = given(sockets, names, options, &program).output()?;
        ensure!(status.code() == Some(1), "it ended with {status}");
        Ok(String::from_utf8(stderr)?)
    };
    let (stream, _peer) = UnixStream::pair()?;
    let cases: [(&[i32], &str, &[&str], &str); 5] = [
        (
            &[sockets[0], large(&stream)?],
            "http:pair",
            &[],
            "descriptor 4 of LISTEN_FDS (pair)",
        ),
        (
            &[large(&std::fs::File::open("/dev/null")?)?],
            "",
            &[],
            "descriptor 3 of LISTEN_FDS: it is no socket",
        ),
        (
            &[large(&UnixDatagram::unbound()?)?],
            "",
            &[],
            "descriptor 3 of LISTEN_FDS: it is no stream socket that listens",
        ),
        (
            &sockets,
            names,
            &["--addr=systemd:nobody"],
            "no socket of the name nobody",
        ),
        (&[], "", &["--addr=systemd"], "no socket was handed over"),
    ];
    for (sockets, names, options, text) in cases {
        let error = refused(sockets, names, options)?;
        assert!(error.contains(text), "{error}");
    }
    // Those of another process are none of this one's.
    let mut other = command(&["--addr=systemd"]);
    other
        .env("LISTEN_PID", "1")
        .env("LISTEN_FDS", "1")
        .arg(&program);
    let error = String::from_utf8(other.output()?.stderr)?;
    let expected = "error: no socket was handed over to this process (LISTEN_FDS, LISTEN_PID)";
    assert_eq!(error.lines().next().context("an error")?, expected);
    Ok(())
}
