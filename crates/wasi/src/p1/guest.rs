//! [`Guest`]: the module that calls, its memory, and how a call of it fails. Every address, length
//! and number comes from the guest and is checked here.

use super::abi::Version;
use super::descriptors::Descriptors;
use super::errno::Errno;
use crate::common::context::{WasiCtx, WasiView};
use crate::p2::bindings::wasi::filesystem::types::ErrorCode;
use crate::p2::cli::Exit;
use crate::p2::io;
use anyhow::{Context, Result, anyhow};
use trampette_runtime::{Caller, CoreMemory, CoreVal, wait};

/// Why a call does not succeed.
pub(crate) enum Failure {
    /// The guest gets a number.
    Errno(Errno),
    /// It traps.
    Trap(anyhow::Error),
    /// It asked for its end.
    Exit(Exit),
}

pub(crate) type Fallible<R> = Result<R, Failure>;

impl From<Errno> for Failure {
    fn from(errno: Errno) -> Self {
        Failure::Errno(errno)
    }
}

impl From<ErrorCode> for Failure {
    fn from(code: ErrorCode) -> Self {
        Failure::Errno(code.into())
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Failure::Trap(error)
    }
}

impl From<io::Failure> for Failure {
    fn from(failure: io::Failure) -> Self {
        match failure {
            io::Failure::Closed => Errno::PIPE.into(),
            io::Failure::Failed(error) => ErrorCode::from(error).into(),
            io::Failure::Trap(error) => Failure::Trap(error),
        }
    }
}

/// The arguments of a call, taken one after the other.
pub(crate) struct Args<'a>(std::slice::Iter<'a, CoreVal>);

impl<'a> Args<'a> {
    pub(crate) fn new(values: &'a [CoreVal]) -> Args<'a> {
        Args(values.iter())
    }

    /// The next argument, an `i32`.
    pub(crate) fn word(&mut self) -> Result<u32> {
        match self.0.next() {
            Some(CoreVal::I32(value)) => Ok(value.cast_unsigned()),
            other => Err(anyhow!("an i32 is expected, not {other:?}")),
        }
    }

    /// The next argument, an `i64`.
    pub(crate) fn long(&mut self) -> Result<u64> {
        match self.0.next() {
            Some(CoreVal::I64(value)) => Ok(value.cast_unsigned()),
            other => Err(anyhow!("an i64 is expected, not {other:?}")),
        }
    }

    /// The next argument, flags of which no others may be set.
    pub(crate) fn flags(&mut self, known: u16) -> Fallible<u16> {
        match u16::try_from(self.word()?) {
            Ok(flags) if flags & !known == 0 => Ok(flags),
            _ => Err(Errno::INVAL.into()),
        }
    }
}

/// A part of the guest's memory, which need not exist.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Buffer {
    pub(crate) address: u32,
    pub(crate) length: u32,
}

/// The most bytes that the host copies at once, whatever lengths a guest names.
pub(crate) const CHUNK: u32 = 1 << 20;
/// The most buffers that one call uses: natively `IOV_MAX`.
const BUFFERS: u32 = 1024;
/// The longest path, as natively.
const PATH_MAX: u32 = 4096;

/// The module that calls.
pub(crate) struct Guest<'a, T: 'static> {
    caller: Caller<'a, T>,
    memory: Option<CoreMemory>,
    pub(crate) version: Version,
}

impl<'a, T: WasiView> Guest<'a, T> {
    pub(crate) fn new(
        caller: Caller<'a, T>,
        memory: Option<CoreMemory>,
        version: Version,
    ) -> Guest<'a, T> {
        Guest {
            caller,
            memory,
            version,
        }
    }

    /// What it sees of the system.
    pub(crate) fn wasi(&mut self) -> &mut WasiCtx {
        self.caller.data_mut().wasi()
    }

    /// What it has open.
    pub(crate) fn descriptors(&mut self) -> Result<&mut Descriptors> {
        Descriptors::of(self.wasi())
    }

    fn memory(&self) -> Result<CoreMemory> {
        self.memory.context("the module has no memory")
    }

    /// Copies bytes out of memory. The length is the host's, or was limited.
    pub(crate) fn read(&self, address: u32, bytes: &mut [u8]) -> Result<()> {
        self.memory()?.read(&self.caller, address.into(), bytes)
    }

    /// Copies bytes into memory.
    pub(crate) fn write(&mut self, address: u32, bytes: &[u8]) -> Result<()> {
        let memory = self.memory()?;
        memory.write(&mut self.caller, address.into(), bytes)
    }

    pub(crate) fn write_word(&mut self, address: u32, value: u32) -> Result<()> {
        self.write(address, &value.to_le_bytes())
    }

    pub(crate) fn write_long(&mut self, address: u32, value: u64) -> Result<()> {
        self.write(address, &value.to_le_bytes())
    }

    /// A path: any bytes but 0, of which no system has more.
    pub(crate) fn path(&self, address: u32, length: u32) -> Fallible<Vec<u8>> {
        if length >= PATH_MAX {
            return Err(Errno::NAMETOOLONG.into());
        }
        let mut bytes = vec![0; length as usize];
        self.read(address, &mut bytes)?;
        match bytes.contains(&0) {
            true => Err(Errno::INVAL.into()),
            false => Ok(bytes),
        }
    }

    /// The buffers that an array names, without empty ones: as many as are used by one call.
    pub(crate) fn buffers(&self, address: u32, count: u32) -> Result<Vec<Buffer>> {
        let mut bytes = vec![0; count.min(BUFFERS) as usize * 8];
        self.read(address, &mut bytes)?;
        let (pairs, _) = bytes.as_chunks::<8>();
        let buffers = pairs.iter().map(|pair| {
            let pair = u64::from_le_bytes(*pair);
            Buffer {
                address: pair as u32,
                length: (pair >> 32) as u32,
            }
        });
        Ok(buffers.filter(|buffer| buffer.length > 0).collect())
    }

    /// Hands what is in buffers to `write`, joined to pieces of at most a mebibyte. Gives how many
    /// bytes it took: fewer if it took less of a piece, or failed behind the first.
    pub(crate) fn gather(
        &mut self,
        buffers: &[Buffer],
        mut write: impl FnMut(&mut Self, &[u8]) -> Fallible<u64>,
    ) -> Fallible<u32> {
        let mut total = 0;
        let mut piece = Vec::new();
        let mut rest: Vec<Buffer> = buffers.iter().rev().copied().collect();
        loop {
            while let Some(buffer) = rest.pop() {
                let room = CHUNK - piece.len() as u32;
                let part = buffer.length.min(room);
                let start = piece.len();
                piece.resize(start + part as usize, 0);
                self.read(buffer.address, &mut piece[start..])?;
                if part < buffer.length {
                    rest.push(Buffer {
                        address: end_of(buffer.address, part)?,
                        length: buffer.length - part,
                    });
                    break;
                }
            }
            let whole = piece.len() as u64;
            match write(self, &piece) {
                Ok(count) => {
                    total += count;
                    if count < whole {
                        break;
                    }
                }
                Err(Failure::Errno(_)) if total > 0 => break,
                Err(failure) => return Err(failure),
            }
            if rest.is_empty() || total > LARGEST_TRANSFER {
                break;
            }
            piece.clear();
            wait::check()?;
        }
        Ok(total as u32)
    }

    /// Fills buffers with what `read` gives of at most so many bytes. Ends where it gives fewer, or
    /// fails behind the first.
    pub(crate) fn scatter(
        &mut self,
        buffers: &[Buffer],
        mut read: impl FnMut(&mut Self, u32) -> Fallible<Vec<u8>>,
    ) -> Fallible<u32> {
        let mut total: u64 = 0;
        for buffer in buffers {
            let mut done = 0;
            while done < buffer.length {
                let asked = (buffer.length - done).min(CHUNK);
                let bytes = match read(self, asked) {
                    Ok(bytes) => bytes,
                    Err(Failure::Errno(_)) if total > 0 => return Ok(total as u32),
                    Err(failure) => return Err(failure),
                };
                self.write(end_of(buffer.address, done)?, &bytes)?;
                total += bytes.len() as u64;
                done += bytes.len() as u32;
                if (bytes.len() as u32) < asked || total > LARGEST_TRANSFER {
                    return Ok(total as u32);
                }
                if done < buffer.length {
                    wait::check()?;
                }
            }
        }
        Ok(total as u32)
    }
}

/// No transfer is larger by more than a piece, so that its size is a number of 32 bits: as
/// natively.
const LARGEST_TRANSFER: u64 = 0x7ff0_0000;

/// The address behind a part of memory.
pub(crate) fn end_of(address: u32, length: u32) -> Result<u32> {
    let end = address.checked_add(length);
    end.with_context(|| format!("{length} bytes from {address:#x} are in no memory"))
}
