//! Where bytes come from and go to, without waiting with the thread: file descriptors that a
//! reactor watches, and files at a position.

use crate::common::descriptor::OpenFile;
use crate::common::reactor::{Interest, Reaction, Watch};
use crate::common::stdio::{Input, InputKind, Output, OutputKind, lock};
use crate::p2::streams::append;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::{Errno, ReadWriteFlags};
use std::io::{self, ErrorKind, IoSlice};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::task::{Context, Poll};

/// Where bytes come from.
pub(crate) trait Source: Send + 'static {
    /// Reads what is there; nothing at the end.
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>>;

    /// Ready if a read would be.
    fn poll_readable(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let _ = cx;
        Poll::Ready(Ok(()))
    }

    /// Nobody reads any more.
    fn close(&mut self) {}
}

/// Where bytes go to.
pub(crate) trait Sink: Send + 'static {
    /// Writes as much as there is room for: something.
    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>>;

    /// There is no more to write.
    fn close(&mut self) {}
}

/// A file descriptor, and how it is waited for.
pub(crate) struct Waiting {
    reaction: Reaction,
    watch: Option<Box<dyn Watch>>,
}

impl Waiting {
    pub(crate) fn new(reaction: Reaction) -> Waiting {
        Waiting {
            reaction,
            watch: None,
        }
    }

    /// Tries something that says if it would block; is watched from when it does. `fd` gives what
    /// to watch.
    pub(crate) fn poll_io(
        &mut self,
        cx: &mut Context<'_>,
        interest: Interest,
        fd: impl FnOnce() -> io::Result<Arc<OwnedFd>>,
        mut operation: impl FnMut() -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        let mut operation = || retry(&mut operation);
        match operation() {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            result => return Poll::Ready(result),
        }
        let watch = match &mut self.watch {
            Some(watch) => watch,
            none => none.insert(self.reaction.watch(fd()?)?),
        };
        watch.poll_io(cx, interest, &mut operation)
    }
}

/// Repeats what a signal interrupted.
pub(crate) fn retry<R>(mut operation: impl FnMut() -> io::Result<R>) -> io::Result<R> {
    loop {
        match operation() {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

/// Another descriptor of the same, so that it can be watched more than once.
pub(crate) fn duplicate(fd: BorrowedFd<'_>) -> io::Result<Arc<OwnedFd>> {
    Ok(Arc::new(rustix::io::fcntl_dupfd_cloexec(fd, 3)?))
}

/// Whether a descriptor is ready now, or has ended.
pub(crate) fn is_ready(fd: BorrowedFd<'_>, what: PollFlags) -> io::Result<bool> {
    let now = Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    Ok(rustix::event::poll(&mut [PollFd::from_borrowed_fd(fd, what)], Some(&now))? > 0)
}

/// As many bytes a pipe takes that is ready, without blocking.
const PIPE_BUF: usize = 4096;

/// Writes to what may block by itself what it takes at once.
fn write_now(fd: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<usize> {
    // An offset of -1 is the current position.
    let part = [IoSlice::new(bytes)];
    match rustix::io::pwritev2(fd, &part, u64::MAX, ReadWriteFlags::NOWAIT) {
        Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL | Errno::SPIPE) => {}
        result => return Ok(result?),
    }
    if !is_ready(fd, PollFlags::OUT)? {
        return Err(ErrorKind::WouldBlock.into());
    }
    Ok(rustix::io::write(fd, &bytes[..bytes.len().min(PIPE_BUF)])?)
}

/// Reads from what may block by itself what is there.
fn read_now(fd: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<usize> {
    if !is_ready(fd, PollFlags::IN)? {
        return Err(ErrorKind::WouldBlock.into());
    }
    Ok(rustix::io::read(fd, buffer)?)
}

/// Whether a descriptor is a regular file, which is always ready.
fn is_file(fd: BorrowedFd<'_>) -> bool {
    let kind = rustix::fs::fstat(fd).map(|stat| rustix::fs::FileType::from_raw_mode(stat.st_mode));
    kind == Ok(rustix::fs::FileType::RegularFile)
}

/// A standard input, or an opened file that has no positions.
pub(crate) struct StreamSource {
    input: Input,
    waiting: Waiting,
}

impl StreamSource {
    pub(crate) fn new(input: Input, reaction: Reaction) -> StreamSource {
        StreamSource {
            input,
            waiting: Waiting::new(reaction),
        }
    }
}

impl Source for StreamSource {
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        match &self.input.0 {
            InputKind::Empty => Poll::Ready(Ok(0)),
            InputKind::Reader(reader) => {
                let mut reader = lock(reader);
                let count = retry(|| reader.read(buffer));
                // A reader of the host's own may say anything.
                Poll::Ready(count.map(|count| count.min(buffer.len())))
            }
            InputKind::Fd(fd) if is_file(fd.as_fd()) => {
                Poll::Ready(retry(|| Ok(rustix::io::read(fd, &mut *buffer)?)))
            }
            InputKind::Fd(fd) => {
                let watched = || duplicate(fd.as_fd());
                let read = || read_now(fd.as_fd(), buffer);
                self.waiting.poll_io(cx, Interest::Read, watched, read)
            }
        }
    }

    fn poll_readable(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let InputKind::Fd(fd) = &self.input.0 else {
            return Poll::Ready(Ok(()));
        };
        let watched = || duplicate(fd.as_fd());
        let look = || match is_ready(fd.as_fd(), PollFlags::IN)? {
            true => Ok(0),
            false => Err(ErrorKind::WouldBlock.into()),
        };
        let polled = self.waiting.poll_io(cx, Interest::Read, watched, look);
        polled.map_ok(|_| ())
    }
}

/// A standard output, or an opened file that has no positions.
pub(crate) struct StreamSink {
    output: Output,
    waiting: Waiting,
}

impl StreamSink {
    pub(crate) fn new(output: Output, reaction: Reaction) -> StreamSink {
        StreamSink {
            output,
            waiting: Waiting::new(reaction),
        }
    }
}

impl Sink for StreamSink {
    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match &self.output.0 {
            OutputKind::Null => Poll::Ready(Ok(bytes.len())),
            OutputKind::Writer(writer) => {
                let mut writer = lock(writer);
                let count = retry(|| writer.write(bytes));
                let flushed = count.and_then(|count| writer.flush().map(|()| count));
                Poll::Ready(some_of(flushed.map(|count| count.min(bytes.len()))))
            }
            OutputKind::Fd(fd) if is_file(fd.as_fd()) => {
                Poll::Ready(some_of(retry(|| Ok(rustix::io::write(fd, bytes)?))))
            }
            OutputKind::Fd(fd) => {
                let watched = || duplicate(fd.as_fd());
                let write = || write_now(fd.as_fd(), bytes);
                let polled = self.waiting.poll_io(cx, Interest::Write, watched, write);
                polled.map(some_of)
            }
        }
    }
}

/// What was written, if it is something.
fn some_of(written: io::Result<usize>) -> io::Result<usize> {
    match written {
        Ok(0) => Err(ErrorKind::WriteZero.into()),
        other => other,
    }
}

/// A file from a position on.
pub(crate) struct FileSource {
    file: Arc<OpenFile>,
    position: u64,
}

impl FileSource {
    pub(crate) fn new(file: Arc<OpenFile>, position: u64) -> FileSource {
        FileSource { file, position }
    }
}

impl Source for FileSource {
    fn poll_read(&mut self, _: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let read = retry(|| self.file.read_at(buffer, self.position));
        Poll::Ready(read.inspect(|count| {
            self.position = self.position.saturating_add(*count as u64);
        }))
    }
}

/// A file from a position on; `None` for always at the end.
pub(crate) struct FileSink {
    file: Arc<OpenFile>,
    position: Option<u64>,
}

impl FileSink {
    pub(crate) fn new(file: Arc<OpenFile>, position: Option<u64>) -> FileSink {
        FileSink { file, position }
    }
}

impl Sink for FileSink {
    fn poll_write(&mut self, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = retry(|| match self.position {
            Some(position) => self.file.write_at(bytes, position),
            None => append(&self.file, bytes),
        });
        Poll::Ready(some_of(written.inspect(|count| {
            self.position = self.position.map(|at| at.saturating_add(*count as u64));
        })))
    }
}
