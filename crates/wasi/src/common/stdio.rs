//! What a guest's standard streams are: [`Input`], [`Output`], [`Captured`].

use crate::common::descriptor::OpenFile;
use std::fmt;
use std::fs::File;
use std::io::{Cursor, IsTerminal, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A file descriptor that a standard stream is, or another stream that is waited for.
#[derive(Clone)]
pub(crate) enum StreamFd {
    Stdin,
    Stdout,
    Stderr,
    File(Arc<File>),
    /// What the guest has opened.
    Opened(Arc<OpenFile>),
}

impl AsFd for StreamFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            StreamFd::Stdin => rustix::stdio::stdin(),
            StreamFd::Stdout => rustix::stdio::stdout(),
            StreamFd::Stderr => rustix::stdio::stderr(),
            StreamFd::File(file) => file.as_fd(),
            StreamFd::Opened(file) => file.as_fd(),
        }
    }
}

/// Something of the host's that all streams made of one [`Input`] or [`Output`] use.
pub(crate) type Shared<S> = Arc<Mutex<S>>;

/// What a mutex guards, also after a panic of the host's own reader or writer.
pub(crate) fn lock<S: ?Sized>(shared: &Mutex<S>) -> MutexGuard<'_, S> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a guest reads as its standard input.
///
/// ```
/// use trampette_wasi::{Input, WasiCtxBuilder};
///
/// let wasi = WasiCtxBuilder::new().stdin(Input::bytes("one line\n")).build();
/// # let _ = wasi;
/// ```
#[derive(Clone)]
pub struct Input(pub(crate) InputKind);

#[derive(Clone)]
pub(crate) enum InputKind {
    Empty,
    Fd(StreamFd),
    Reader(Shared<dyn Read + Send>),
}

impl Input {
    /// Nothing: the input ends at once.
    pub fn empty() -> Input {
        Input(InputKind::Empty)
    }

    /// The process's standard input.
    pub fn inherit() -> Input {
        Input(InputKind::Fd(StreamFd::Stdin))
    }

    /// These bytes, and then the end.
    pub fn bytes(bytes: impl Into<Vec<u8>>) -> Input {
        Input::reader(Cursor::new(bytes.into()))
    }

    /// A file, pipe or terminal, from where it is positioned.
    ///
    /// ```
    /// # use trampette_wasi::Input;
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("input");
    /// # std::fs::write(&path, "text")?;
    /// let input = Input::file(std::fs::File::open(path)?);
    /// # let _ = input;
    /// # std::io::Result::Ok(())
    /// ```
    pub fn file(file: File) -> Input {
        Input(InputKind::Fd(StreamFd::File(Arc::new(file))))
    }

    /// What a reader gives; 0 bytes are the end. It counts as ready at any time: a guest that polls
    /// goes on to read, and the reader may then block the thread. What it returns an error for, the
    /// guest sees as a failed read.
    ///
    /// ```
    /// # use trampette_wasi::Input;
    /// use std::io::Read;
    ///
    /// let input = Input::reader(std::io::repeat(b'y').take(1000));
    /// # let _ = input;
    /// ```
    pub fn reader(reader: impl Read + Send + 'static) -> Input {
        Input(InputKind::Reader(Arc::new(Mutex::new(reader))))
    }

    /// What a closure gives: as [`Input::reader`] with the closure as
    /// [`Read::read`].
    ///
    /// ```
    /// use trampette_wasi::Input;
    ///
    /// let zeros = Input::from_fn(|buffer| {
    ///     buffer.fill(0);
    ///     Ok(buffer.len())
    /// });
    /// # let _ = zeros;
    /// ```
    pub fn from_fn(
        read: impl FnMut(&mut [u8]) -> std::io::Result<usize> + Send + 'static,
    ) -> Input {
        struct Closure<F>(F);
        impl<F: FnMut(&mut [u8]) -> std::io::Result<usize>> Read for Closure<F> {
            fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
                (self.0)(buffer)
            }
        }
        Input::reader(Closure(read))
    }

    pub(crate) fn is_terminal(&self) -> bool {
        matches!(&self.0, InputKind::Fd(fd) if fd.as_fd().is_terminal())
    }
}

impl fmt::Debug for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.0 {
            InputKind::Empty => "Input::empty",
            InputKind::Fd(StreamFd::File(_)) => "Input::file",
            InputKind::Fd(_) => "Input::inherit",
            InputKind::Reader(_) => "Input::reader",
        })
    }
}

/// Where a guest's standard output or standard error goes. A clone goes to the same place.
///
/// ```
/// use trampette_wasi::{Output, WasiCtxBuilder};
///
/// // Both streams in one buffer of at most 64 KiB, in the order in which they are written.
/// let (output, captured) = Output::captured(64 << 10);
/// let wasi = WasiCtxBuilder::new().stdout(output.clone()).stderr(output).build();
/// // … run a guest, and look at what it wrote; other threads may look while it runs.
/// assert_eq!(captured.contents(), b"");
/// # let _ = wasi;
/// ```
#[derive(Clone)]
pub struct Output(pub(crate) OutputKind);

#[derive(Clone)]
pub(crate) enum OutputKind {
    Null,
    Fd(StreamFd),
    Writer(Shared<dyn Write + Send>),
}

impl Output {
    /// Nowhere: everything is thrown away.
    pub fn null() -> Output {
        Output(OutputKind::Null)
    }

    /// The process's standard output.
    pub fn inherit_stdout() -> Output {
        Output(OutputKind::Fd(StreamFd::Stdout))
    }

    /// The process's standard error.
    pub fn inherit_stderr() -> Output {
        Output(OutputKind::Fd(StreamFd::Stderr))
    }

    /// A file, pipe or terminal, from where it is positioned.
    ///
    /// ```
    /// # use trampette_wasi::Output;
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("output");
    /// let output = Output::file(std::fs::File::create(path)?);
    /// # let _ = output;
    /// # std::io::Result::Ok(())
    /// ```
    pub fn file(file: File) -> Output {
        Output(OutputKind::Fd(StreamFd::File(Arc::new(file))))
    }

    /// A writer, which gets what one call of the guest writes, and is flushed. Its errors are the
    /// guest's.
    ///
    /// ```
    /// # use trampette_wasi::Output;
    /// let output = Output::writer(std::io::BufWriter::new(std::io::sink()));
    /// # let _ = output;
    /// ```
    pub fn writer(writer: impl Write + Send + 'static) -> Output {
        Output(OutputKind::Writer(Arc::new(Mutex::new(writer))))
    }

    /// A closure, which gets what one call of the guest writes. Its errors are the guest's.
    ///
    /// ```
    /// use trampette_wasi::Output;
    ///
    /// let log = Output::from_fn(|bytes| {
    ///     eprint!("guest: {}", String::from_utf8_lossy(bytes));
    ///     Ok(())
    /// });
    /// # let _ = log;
    /// ```
    pub fn from_fn(write: impl FnMut(&[u8]) -> std::io::Result<()> + Send + 'static) -> Output {
        struct Closure<F>(F);
        impl<F: FnMut(&[u8]) -> std::io::Result<()>> Write for Closure<F> {
            fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
                (self.0)(bytes)?;
                Ok(bytes.len())
            }

            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        Output::writer(Closure(write))
    }

    /// A buffer of the host's of at most `limit` bytes, and what reads it. Beyond the limit, writes
    /// fail as on a full disk (`ENOSPC`; `insufficient-space` in WASI 0.2); what fits is kept.
    pub fn captured(limit: usize) -> (Output, Captured) {
        let buffer = Buffer {
            bytes: Vec::new(),
            limit,
            overflowed: false,
        };
        let captured = Captured(Arc::new(Mutex::new(buffer)));
        (Output::writer(captured.clone()), captured)
    }

    pub(crate) fn is_terminal(&self) -> bool {
        matches!(&self.0, OutputKind::Fd(fd) if fd.as_fd().is_terminal())
    }
}

impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.0 {
            OutputKind::Null => "Output::null",
            OutputKind::Fd(StreamFd::File(_)) => "Output::file",
            OutputKind::Fd(_) => "Output::inherit",
            OutputKind::Writer(_) => "Output::writer",
        })
    }
}

/// What was written to an [`Output::captured`] so far; a clone is of the same buffer, and may be
/// used by another thread while the guest runs.
///
/// ```
/// use trampette_wasi::{Output, WasiCtxBuilder};
///
/// let (output, captured) = Output::captured(1024);
/// let wasi = WasiCtxBuilder::new().stdout(output).build();
/// // … run the guest …
/// assert!(captured.take().is_empty() && !captured.overflowed());
/// # let _ = wasi;
/// ```
#[derive(Clone)]
pub struct Captured(Shared<Buffer>);

struct Buffer {
    bytes: Vec<u8>,
    limit: usize,
    overflowed: bool,
}

impl Captured {
    /// A copy of it.
    pub fn contents(&self) -> Vec<u8> {
        lock(&self.0).bytes.clone()
    }

    /// Takes it out, which makes room for more.
    pub fn take(&self) -> Vec<u8> {
        std::mem::take(&mut lock(&self.0).bytes)
    }

    /// Whether the guest wrote more than there was room for.
    pub fn overflowed(&self) -> bool {
        lock(&self.0).overflowed
    }
}

impl fmt::Debug for Captured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let buffer = lock(&self.0);
        f.debug_struct("Captured")
            .field("length", &buffer.bytes.len())
            .field("limit", &buffer.limit)
            .finish_non_exhaustive()
    }
}

impl Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let mut buffer = lock(&self.0);
        let room = buffer.limit.saturating_sub(buffer.bytes.len());
        let fitting = &bytes[..bytes.len().min(room)];
        buffer.bytes.extend_from_slice(fitting);
        if fitting.len() < bytes.len() {
            buffer.overflowed = true;
        }
        if fitting.is_empty() && !bytes.is_empty() {
            return Err(rustix::io::Errno::NOSPC.into());
        }
        Ok(fitting.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
