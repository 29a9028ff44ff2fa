//! Byte streams: the standard ones, and files at a position.

use crate::io::{Failure, Pollable};
use cap_std::fs::{File, FileExt};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::io::{self, ErrorKind};
use std::os::fd::AsFd;
use std::sync::Arc;

/// The most bytes that one read gives, whatever the guest asks for.
const READ_LIMIT: u64 = 1 << 20;
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
pub enum InputStream {
    /// Nothing, from the beginning.
    Empty,
    /// The process's standard input.
    Stdin,
    /// A file from a position on.
    File {
        /// The file.
        file: Arc<File>,
        /// Where the next read begins.
        position: u64,
    },
}

impl InputStream {
    /// Reads what is there, at most `limit` bytes. Gives nothing only if `blocking` is not asked
    /// for, or the limit is 0.
    pub(crate) fn read(&mut self, limit: u64, blocking: Blocking) -> Result<Vec<u8>, Failure> {
        if limit == 0 {
            return Ok(Vec::new());
        }
        let mut buffer = vec![0; limit.min(READ_LIMIT) as usize];
        let result = match self {
            InputStream::Empty => Ok(0),
            InputStream::Stdin
                if blocking == Blocking::No && !stdin_ready(Some(&Timespec::default())) =>
            {
                return Ok(Vec::new());
            }
            InputStream::Stdin => {
                retry(|| Ok(rustix::io::read(rustix::stdio::stdin(), &mut buffer)?))
            }
            InputStream::File { file, position } => {
                let result = retry(|| file.read_at(&mut buffer, *position));
                if let Ok(count) = result {
                    *position += count as u64;
                }
                result
            }
        };
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

    pub(crate) fn subscribe(&self) -> Pollable {
        match self {
            InputStream::Stdin => Pollable::Stdin,
            InputStream::Empty | InputStream::File { .. } => Pollable::Ready,
        }
    }
}

/// Whether an operation may wait.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Blocking {
    Yes,
    No,
}

/// Whether standard input has bytes or has ended, waiting at most that long (`None`: for ever).
pub(crate) fn stdin_ready(timeout: Option<&Timespec>) -> bool {
    let stdin = rustix::stdio::stdin();
    let mut fds = [PollFd::from_borrowed_fd(stdin.as_fd(), PollFlags::IN)];
    // An error shows when it is read.
    poll(&mut fds, timeout).map_or(true, |ready| ready > 0)
}

/// `output-stream`.
pub enum OutputStream {
    /// Everything is thrown away.
    Null,
    /// The process's standard output.
    Stdout,
    /// The process's standard error.
    Stderr,
    /// A file from a position on.
    File {
        /// The file.
        file: Arc<File>,
        /// Where the next write begins; `None` for always at the end.
        position: Option<u64>,
    },
}

impl OutputStream {
    /// Writes everything.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let written = retry(|| match self {
                OutputStream::Null => Ok(rest.len()),
                OutputStream::Stdout => Ok(rustix::io::write(rustix::stdio::stdout(), rest)?),
                OutputStream::Stderr => Ok(rustix::io::write(rustix::stdio::stderr(), rest)?),
                OutputStream::File {
                    file,
                    position: Some(position),
                } => {
                    let count = file.write_at(rest, *position)?;
                    *position += count as u64;
                    Ok(count)
                }
                OutputStream::File {
                    file,
                    position: None,
                } => append(file, rest),
            });
            match written? {
                0 => return Err(Failure::Failed(ErrorKind::WriteZero.into())),
                count => rest = &rest[count..],
            }
        }
        Ok(())
    }
}

/// Writes at the end of a file that was not opened for appending.
fn append(file: &File, bytes: &[u8]) -> io::Result<usize> {
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
