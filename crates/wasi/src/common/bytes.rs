//! Where bytes come from and go to, without waiting with the thread: file descriptors that a
//! reactor watches, and files at a position.

use crate::common::budget::{Budget, Held};
use crate::common::descriptor::OpenFile;
use crate::common::outcome::Settled;
use crate::common::reactor::{Interest, OwnWatch, Reaction};
use crate::common::stdio::{Input, InputKind, Output, OutputKind, lock};
use crate::p2::streams::append;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::{Errno, ReadWriteFlags};
use std::fs::File;
use std::io::{self, ErrorKind, IoSlice, IoSliceMut};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

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
    watch: Option<OwnWatch>,
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
            none => none.insert(OwnWatch::new(&self.reaction, fd()?)?),
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
///
/// What the system has in memory is read in place, straight to where it is wanted. What it would
/// have to get from a disk first is read by another thread, if there are any for that.
pub(crate) struct FileSource {
    file: Arc<OpenFile>,
    position: u64,
    place: Place,
    /// What another thread reads.
    reading: Option<Settled<Option<Part>>>,
}

/// Who reads a file.
enum Place {
    /// Whoever asks: that may wait for a disk.
    Here,
    /// Whoever asks, what is in memory; other threads what is not.
    HereFromMemory(OtherThreads),
    /// Other threads: the file system does not say what is in memory.
    Elsewhere(OtherThreads),
}

/// Threads that read files.
#[derive(Clone)]
pub(crate) struct OtherThreads {
    pub(crate) reaction: Reaction,
    /// Reads that they are at, or that nobody has taken yet: each has a buffer.
    pub(crate) reads: Budget,
}

/// Bytes that were read, as one of those reads.
struct Part {
    read: io::Result<Vec<u8>>,
    _held: Held,
}

impl OtherThreads {
    /// Reads that a guest may have at once. What is beyond them waits in place.
    pub(crate) const READS: usize = 64;
    /// The bytes of each at most.
    const BYTES: usize = 64 << 10;

    /// Begins to read; `None` if too many do.
    fn read(
        &self,
        file: &Arc<OpenFile>,
        position: u64,
        length: usize,
    ) -> Option<Settled<Option<Part>>> {
        let held = self.reads.take().ok()?;
        let file = file.clone();
        Some(self.reaction.run_blocking(move || {
            let mut bytes = vec![0; length.min(Self::BYTES)];
            let read = retry(|| file.read_at(&mut bytes, position)).map(|count| {
                bytes.truncate(count);
                bytes
            });
            Part { read, _held: held }
        }))
    }
}

impl FileSource {
    /// Without other threads everything is read in place.
    pub(crate) fn new(
        file: Arc<OpenFile>,
        position: u64,
        others: Option<OtherThreads>,
    ) -> FileSource {
        FileSource {
            file,
            position,
            place: others.map_or(Place::Here, Place::HereFromMemory),
            reading: None,
        }
    }

    /// Reads what needs no disk; `None` if that is nothing, or not known.
    fn read_now(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        let others = match &self.place {
            Place::Here => return self.read_here(buffer).map(Some),
            Place::Elsewhere(_) => return Ok(None),
            // To the system a place beyond all files is the current one.
            Place::HereFromMemory(_) if self.position > i64::MAX as u64 => {
                return self.read_here(buffer).map(Some);
            }
            Place::HereFromMemory(others) => others,
        };
        let position = self.position;
        let read = retry(|| {
            let mut parts = [IoSliceMut::new(&mut *buffer)];
            let flags = ReadWriteFlags::NOWAIT;
            Ok(rustix::io::preadv2(
                &**self.file,
                &mut parts,
                position,
                flags,
            )?)
        });
        match read {
            Ok(count) => Ok(Some(count)),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
            Err(error) => match Errno::from_io_error(&error) {
                Some(Errno::OPNOTSUPP | Errno::NOSYS) => {
                    self.place = match is_in_memory(&self.file) {
                        true => Place::Here,
                        false => Place::Elsewhere(others.clone()),
                    };
                    self.read_now(buffer)
                }
                _ => Err(error),
            },
        }
    }

    fn read_here(&self, buffer: &mut [u8]) -> io::Result<usize> {
        retry(|| self.file.read_at(buffer, self.position))
    }

    fn poll_part(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        // What has come to memory meanwhile is newer than what another thread has read: a guest
        // that gave that read up may have written since.
        if let Some(count) = self.read_now(buffer)? {
            self.reading = None;
            return Poll::Ready(Ok(count));
        }
        if self.reading.is_none() {
            self.reading = match &self.place {
                Place::Here => None,
                Place::HereFromMemory(others) | Place::Elsewhere(others) => {
                    others.read(&self.file, self.position, buffer.len())
                }
            };
        }
        let Some(reading) = &mut self.reading else {
            return Poll::Ready(self.read_here(buffer));
        };
        let part = ready!(Pin::new(reading).poll(cx));
        self.reading = None;
        let lost = || io::Error::other("the host's read of a file was lost");
        let bytes = part.ok_or_else(lost)?.read?;
        let count = bytes.len().min(buffer.len());
        buffer[..count].copy_from_slice(&bytes[..count]);
        Poll::Ready(Ok(count))
    }
}

impl Source for FileSource {
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let count = ready!(self.poll_part(cx, buffer))?;
        self.position = self.position.saturating_add(count as u64);
        Poll::Ready(Ok(count))
    }
}

/// Whether a file is in a file system that has no disk.
fn is_in_memory(file: &File) -> bool {
    /// `TMPFS_MAGIC` and `RAMFS_MAGIC` of Linux.
    const IN_MEMORY: [i64; 2] = [0x0102_1994, 0x8584_58f6];
    rustix::fs::fstatfs(file).is_ok_and(|found| IN_MEMORY.contains(&found.f_type))
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
