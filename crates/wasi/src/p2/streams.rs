//! Byte streams: the standard ones, and files at a position.

use crate::common::blocking::blocking;
use crate::common::descriptor::OpenFile;
use crate::common::network::Socket;
use crate::common::network::tcp::{receive, send};
use crate::common::stdio::{Input, InputKind, Output, OutputKind, StreamFd, lock};
#[cfg(feature = "http")]
use crate::p2::io::PollReady;
use crate::p2::io::{Failure, Patience, Pollable, Readiness, wait_for};
use rustix::event::{PollFd, PollFlags};
use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt;
use std::sync::Arc;
#[cfg(feature = "http")]
use std::sync::Mutex;
use std::time::Instant;
use trampette_runtime::wait;

/// The most bytes that one read gives, whatever the guest asks for.
pub(crate) const READ_LIMIT: u64 = 1 << 20;
/// How many bytes `check-write` permits.
pub(crate) const WRITE_PERMIT: u64 = 1 << 20;

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            ErrorKind::BrokenPipe => Failure::Closed,
            _ => Failure::Failed(error),
        }
    }
}

/// `input-stream`.
pub struct InputStream(Source);

enum Source {
    /// A standard stream.
    Standard(Input),
    /// A file from a position on.
    File { file: Arc<OpenFile>, position: u64 },
    /// What a connection receives.
    Socket(Arc<Socket>),
    /// What a future of the host's gives.
    #[cfg(feature = "http")]
    Polled(Arc<Mutex<dyn PolledInput>>),
}

/// An input that is polled: what it gives comes from something that goes on by itself. When it is
/// ready, a read gives bytes, or the end, at once.
#[cfg(feature = "http")]
pub(crate) trait PolledInput: PollReady {
    /// At most so many of the bytes that are there; none if there are none yet.
    fn read(&mut self, limit: usize) -> Result<Vec<u8>, Failure>;
}

/// An output that is polled. When it is ready, it permits a byte at least, or has ended.
#[cfg(feature = "http")]
pub(crate) trait PolledOutput: PollReady {
    /// How many bytes can be written now.
    fn permit(&mut self) -> Result<u64, Failure>;

    /// Writes all of that.
    fn write(&mut self, bytes: &[u8]) -> Result<(), Failure>;
}

impl InputStream {
    pub(crate) fn standard(input: Input) -> InputStream {
        InputStream(Source::Standard(input))
    }

    #[cfg(feature = "http")]
    pub(crate) fn polled(input: Arc<Mutex<dyn PolledInput>>) -> InputStream {
        InputStream(Source::Polled(input))
    }

    pub(crate) fn file(file: Arc<OpenFile>, position: u64) -> InputStream {
        InputStream(Source::File { file, position })
    }

    pub(crate) fn socket(socket: Arc<Socket>) -> InputStream {
        InputStream(Source::Socket(socket))
    }

    /// Reads what is there, at most `limit` bytes: none if there are none yet, or the limit is 0.
    pub(crate) fn read(&mut self, limit: u64) -> Result<Vec<u8>, Failure> {
        if limit == 0 {
            return Ok(Vec::new());
        }
        #[cfg(feature = "http")]
        if let Source::Polled(input) = &self.0 {
            return lock(input).read(limit.min(READ_LIMIT) as usize);
        }
        let mut buffer = vec![0; limit.min(READ_LIMIT) as usize];
        let result = match &mut self.0 {
            #[cfg(feature = "http")]
            Source::Polled(_) => return Ok(Vec::new()),
            Source::Standard(input) => return read_standard(input, buffer, Blocking::No),
            Source::File { file, position } => {
                let result = retry(|| file.read_at(&mut buffer, *position));
                if let Ok(count) = result {
                    *position = position.saturating_add(count as u64);
                }
                result
            }
            Source::Socket(socket) => match retry(|| receive(socket, &mut buffer)) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(Vec::new()),
                result => result,
            },
        };
        finished(result, buffer)
    }

    pub(crate) fn subscribe(&self) -> Pollable {
        Pollable(match &self.0 {
            Source::Socket(socket) => Readiness::Socket(socket.clone(), PollFlags::IN),
            Source::Standard(input) => input.readiness(),
            Source::File { .. } => Readiness::Ready,
            #[cfg(feature = "http")]
            Source::Polled(input) => Readiness::Polled(input.clone()),
        })
    }
}

impl Input {
    /// When a read does not block.
    pub(crate) fn readiness(&self) -> Readiness {
        match &self.0 {
            InputKind::Fd(fd) => Readiness::Input(fd.clone()),
            InputKind::Empty | InputKind::Reader(_) => Readiness::Ready,
        }
    }
}

/// Reads of a standard stream what is there, at most as much as the buffer holds.
pub(crate) fn read_standard(
    input: &Input,
    mut buffer: Vec<u8>,
    blocking: Blocking,
) -> Result<Vec<u8>, Failure> {
    let result = match &input.0 {
        InputKind::Empty => Ok(0),
        InputKind::Reader(reader) => {
            let mut reader = lock(reader);
            let result = retry(|| reader.read(&mut buffer));
            // A reader of the host's own may say anything.
            result.map(|count| count.min(buffer.len()))
        }
        InputKind::Fd(fd) => loop {
            let until = match blocking {
                Blocking::Yes => None,
                Blocking::No => Some(Instant::now()),
            };
            if !is_ready(fd, PollFlags::IN, until).map_err(Failure::Trap)? {
                return Ok(Vec::new());
            }
            match retry(|| Ok(rustix::io::read(fd, &mut buffer)?)) {
                // It does not block by itself, and another process was faster.
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    if blocking == Blocking::No {
                        return Ok(Vec::new());
                    }
                }
                result => break result,
            }
        },
    };
    finished(result, buffer)
}

/// What a read gave: the bytes, or how it failed.
fn finished(result: io::Result<usize>, mut buffer: Vec<u8>) -> Result<Vec<u8>, Failure> {
    match result {
        Ok(0) => Err(Failure::Closed),
        Ok(count) => {
            buffer.truncate(count);
            Ok(buffer)
        }
        // Unlike that of a write, no failure of a read is the end of the stream.
        Err(error) => Err(Failure::Failed(error)),
    }
}

/// Whether an operation may wait.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Blocking {
    Yes,
    No,
}

/// Whether a standard stream is ready or has ended, waiting at most until that instant (`None`: for
/// ever). An error of the stream shows when it is used.
fn is_ready(fd: &StreamFd, what: PollFlags, until: Option<Instant>) -> anyhow::Result<bool> {
    let mut fds = [PollFd::new(fd, what)];
    let mut poll = || wait::poll(&mut fds, until);
    let events = match until {
        None => blocking(poll),
        Some(_) => poll(),
    };
    Ok(events? > 0)
}

/// Waits for an event of a socket, which may be that it has failed.
fn wait_for_socket(socket: &Socket, what: PollFlags) -> Result<(), Failure> {
    let mut fds = [PollFd::new(socket, what)];
    blocking(|| wait::poll(&mut fds, None)).map_err(Failure::Trap)?;
    Ok(())
}

/// What a connection is to send: bytes for which there was no room yet come first.
struct Sending {
    socket: Arc<Socket>,
    rest: Vec<u8>,
}

impl Sending {
    /// Sends of the rest what there is room for; all of it if it may wait. Whether all is sent.
    fn flush(&mut self, blocking: Blocking) -> Result<bool, Failure> {
        let rest = std::mem::take(&mut self.rest);
        let sent = self.send(&rest, blocking)?;
        self.rest.extend_from_slice(&rest[sent..]);
        Ok(self.rest.is_empty())
    }

    /// Sends what there is room for; all of it if it may wait. How much it was.
    fn send(&self, bytes: &[u8], blocking: Blocking) -> Result<usize, Failure> {
        let mut sent = 0;
        while sent < bytes.len() {
            match retry(|| send(&self.socket, &bytes[sent..])) {
                Ok(count) => sent += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => match blocking {
                    Blocking::No => break,
                    Blocking::Yes => wait_for_socket(&self.socket, PollFlags::OUT)?,
                },
                Err(error) => return Err(error.into()),
            }
        }
        Ok(sent)
    }

    /// Sends bytes behind those that wait, and keeps what there is no room for: no more than was
    /// permitted.
    fn write(&mut self, bytes: &[u8], blocking: Blocking) -> Result<(), Failure> {
        let fits = self.rest.len() + bytes.len() <= SOCKET_PERMIT as usize;
        let blocking = if fits { blocking } else { Blocking::Yes };
        let mut sent = 0;
        if self.flush(blocking)? {
            sent = self.send(bytes, blocking)?;
        }
        self.rest.extend_from_slice(&bytes[sent..]);
        Ok(())
    }
}

impl Drop for Sending {
    /// What the guest has written arrives, if the call is not stopped before.
    fn drop(&mut self) {
        let _ = self.flush(Blocking::Yes);
    }
}

/// How many bytes `check-write` permits of a socket.
const SOCKET_PERMIT: u64 = 64 << 10;

/// `output-stream`.
pub struct OutputStream(Sink);

enum Sink {
    /// A standard stream.
    Standard(Output),
    /// A file from a position on; `None` for always at the end.
    File {
        file: Arc<OpenFile>,
        position: Option<u64>,
    },
    /// What a connection sends.
    Socket(Sending),
    /// What a future of the host's takes.
    #[cfg(feature = "http")]
    Polled(Arc<Mutex<dyn PolledOutput>>),
}

impl OutputStream {
    pub(crate) fn standard(output: Output) -> OutputStream {
        OutputStream(Sink::Standard(output))
    }

    pub(crate) fn file(file: Arc<OpenFile>, position: Option<u64>) -> OutputStream {
        OutputStream(Sink::File { file, position })
    }

    pub(crate) fn socket(socket: Arc<Socket>) -> OutputStream {
        let rest = Vec::new();
        OutputStream(Sink::Socket(Sending { socket, rest }))
    }

    #[cfg(feature = "http")]
    pub(crate) fn polled(output: Arc<Mutex<dyn PolledOutput>>) -> OutputStream {
        OutputStream(Sink::Polled(output))
    }

    /// How many bytes a write takes now.
    pub(crate) fn permit(&mut self) -> Result<u64, Failure> {
        match &mut self.0 {
            #[cfg(feature = "http")]
            Sink::Polled(output) => lock(output).permit(),
            Sink::Socket(sending) => match sending.flush(Blocking::No)? {
                true if self.subscribe().0.is_now().map_err(Failure::Trap)? => Ok(SOCKET_PERMIT),
                _ => Ok(0),
            },
            Sink::Standard(_) | Sink::File { .. } => Ok(WRITE_PERMIT),
        }
    }

    pub(crate) fn subscribe(&self) -> Pollable {
        Pollable(match &self.0 {
            #[cfg(feature = "http")]
            Sink::Polled(output) => Readiness::Polled(output.clone()),
            Sink::Socket(sending) => Readiness::Socket(sending.socket.clone(), PollFlags::OUT),
            Sink::Standard(_) | Sink::File { .. } => Readiness::Ready,
        })
    }

    /// Waits until a write takes something, or fails.
    pub(crate) fn wait(&self) -> Result<(), Failure> {
        match self.subscribe().0 {
            Readiness::Ready => Ok(()),
            readiness => {
                let waited = wait_for(&[&readiness], Patience::Wait);
                waited.map(drop).map_err(Failure::Trap)
            }
        }
    }

    /// Writes everything, waiting where that is needed.
    pub(crate) fn write_blocking(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let mut rest = bytes;
        while !rest.is_empty() {
            self.wait()?;
            let permit = usize::try_from(self.permit()?).unwrap_or(usize::MAX);
            let (part, others) = rest.split_at(rest.len().min(permit));
            self.write(part)?;
            rest = others;
        }
        self.flush(Blocking::Yes).map(drop)
    }

    /// Writes what is permitted now; how much it was.
    pub(crate) fn write_some(&mut self, bytes: &[u8]) -> Result<usize, Failure> {
        if bytes.is_empty() {
            return Ok(0);
        }
        let permit = usize::try_from(self.permit()?).unwrap_or(usize::MAX);
        let part = &bytes[..bytes.len().min(permit)];
        if !part.is_empty() {
            self.write(part)?;
        }
        Ok(part.len())
    }

    /// Sends of what waits what there is room for; all of it if it may wait itself. Whether all is
    /// sent.
    pub(crate) fn flush(&mut self, blocking: Blocking) -> Result<bool, Failure> {
        match &mut self.0 {
            Sink::Socket(sending) => sending.flush(blocking),
            _ => Ok(true),
        }
    }

    /// Writes everything.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        match &mut self.0 {
            #[cfg(feature = "http")]
            Sink::Polled(output) => lock(output).write(bytes),
            Sink::Socket(sending) => sending.write(bytes, Blocking::No),
            Sink::Standard(output) => write_standard(output, bytes),
            Sink::File { file, position } => write_all(bytes, |rest| match position {
                Some(position) => {
                    let count = file.write_at(rest, *position)?;
                    *position = position.saturating_add(count as u64);
                    Ok(count)
                }
                None => append(file, rest),
            }),
        }
    }
}

/// Writes everything to a standard stream.
pub(crate) fn write_standard(output: &Output, bytes: &[u8]) -> Result<(), Failure> {
    match &output.0 {
        OutputKind::Null => Ok(()),
        OutputKind::Writer(writer) => {
            let mut writer = lock(writer);
            write_all(bytes, |rest| writer.write(rest).map(|n| n.min(rest.len())))?;
            Ok(writer.flush()?)
        }
        OutputKind::Fd(fd) => write_fd(fd, bytes),
    }
}

/// Writes to what may not take it at once: waits first, and then writes no more than a pipe that is
/// ready takes without blocking.
fn write_fd(fd: &StreamFd, bytes: &[u8]) -> Result<(), Failure> {
    const PIPE_BUF: usize = 4096;
    let is_file = || {
        let stat = rustix::fs::fstat(fd)?;
        let kind = rustix::fs::FileType::from_raw_mode(stat.st_mode);
        Ok::<_, rustix::io::Errno>(kind == rustix::fs::FileType::RegularFile)
    };
    let chunk = match bytes.len() > PIPE_BUF && is_file().unwrap_or(false) {
        true => WRITE_PERMIT as usize,
        false => PIPE_BUF,
    };
    let mut rest = bytes;
    while !rest.is_empty() {
        is_ready(fd, PollFlags::OUT, None).map_err(Failure::Trap)?;
        let part = &rest[..rest.len().min(chunk)];
        match rustix::io::write(fd, part) {
            Ok(0) => return Err(Failure::Failed(ErrorKind::WriteZero.into())),
            Ok(count) => rest = &rest[count..],
            Err(rustix::io::Errno::INTR | rustix::io::Errno::AGAIN) => {}
            Err(error) => return Err(io::Error::from(error).into()),
        }
    }
    Ok(())
}

fn write_all(
    bytes: &[u8],
    mut write: impl FnMut(&[u8]) -> io::Result<usize>,
) -> Result<(), Failure> {
    let mut rest = bytes;
    while !rest.is_empty() {
        match retry(|| write(rest))? {
            0 => return Err(Failure::Failed(ErrorKind::WriteZero.into())),
            count => rest = &rest[count..],
        }
    }
    Ok(())
}

/// Writes at the end of a file that was not opened for appending.
pub(crate) fn append(file: &File, bytes: &[u8]) -> io::Result<usize> {
    let flags = rustix::io::ReadWriteFlags::APPEND;
    match rustix::io::pwritev2(file, &[io::IoSlice::new(bytes)], 0, flags) {
        Err(rustix::io::Errno::NOSYS | rustix::io::Errno::OPNOTSUPP) => {
            file.write_at(bytes, file.metadata()?.len())
        }
        result => Ok(result?),
    }
}

/// Repeats what a signal interrupted.
fn retry<R>(mut operation: impl FnMut() -> io::Result<R>) -> io::Result<R> {
    loop {
        match operation() {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}
