//! What is done with open descriptors: `fd_*` and `sock_*`.

use super::abi::{FileStat, Whence, fdflags, file_type};
use super::descriptors::What;
use super::errno::Errno;
use super::guest::{CHUNK, Fallible, Guest, end_of};
use crate::common::context::WasiView;
use crate::common::directory::{Listing, position};
use crate::common::stdio::{Input, InputKind, Output, OutputKind};
use crate::p2::bindings::wasi::clocks::wall_clock::Datetime;
use crate::p2::bindings::wasi::filesystem::types::{Advice, ErrorCode, NewTimestamp};
use crate::p2::io;
use crate::p2::streams::{Blocking, read_standard, write_standard};
use rustix::fs::FallocateFlags;
use trampette_runtime::wait;

/// Where a read or write begins.
#[derive(Clone, Copy)]
enum At {
    /// Where the last one ended.
    Current,
    /// There, without a trace.
    Offset(u64),
}

/// A stream or a file, as far as it can be taken out of the table.
enum Stream {
    Input(Input),
    Output(Output),
    File,
}

/// What a stream is taken out of the table for.
#[derive(Clone, Copy)]
enum For {
    Reading,
    Writing,
}

impl<T: WasiView> Guest<'_, T> {
    pub(super) fn fd_close(&mut self, fd: u32) -> Fallible<()> {
        self.descriptors()?.close(fd)?;
        Ok(())
    }

    pub(super) fn fd_renumber(&mut self, from: u32, to: u32) -> Fallible<()> {
        self.descriptors()?.renumber(from, to)
    }

    fn stream(&mut self, fd: u32, what: For) -> Fallible<Stream> {
        match &self.descriptors()?.get(fd)?.what {
            What::Input(input) => Ok(Stream::Input(input.clone())),
            What::Output(output) => Ok(Stream::Output(output.clone())),
            What::File { descriptor, .. } => {
                let stream = descriptor.file()?.stream();
                Ok(match (stream, what) {
                    (None, _) => Stream::File,
                    (Some(fd), For::Reading) => {
                        descriptor.readable()?;
                        Stream::Input(Input(InputKind::Fd(fd)))
                    }
                    (Some(fd), For::Writing) => {
                        descriptor.writable()?;
                        Stream::Output(Output(OutputKind::Fd(fd)))
                    }
                })
            }
            What::Directory { .. } => Err(Errno::ISDIR.into()),
        }
    }

    // Reading and writing.

    pub(super) fn fd_read(&mut self, fd: u32, iovs: u32, count: u32, to: u32) -> Fallible<()> {
        self.read_into(fd, iovs, count, to, At::Current)
    }

    pub(super) fn fd_pread(
        &mut self,
        fd: u32,
        iovs: u32,
        count: u32,
        offset: u64,
        to: u32,
    ) -> Fallible<()> {
        self.read_into(fd, iovs, count, to, At::Offset(offset))
    }

    pub(super) fn fd_write(&mut self, fd: u32, iovs: u32, count: u32, to: u32) -> Fallible<()> {
        self.write_from(fd, iovs, count, to, At::Current)
    }

    pub(super) fn fd_pwrite(
        &mut self,
        fd: u32,
        iovs: u32,
        count: u32,
        offset: u64,
        to: u32,
    ) -> Fallible<()> {
        self.write_from(fd, iovs, count, to, At::Offset(offset))
    }

    fn read_into(&mut self, fd: u32, iovs: u32, count: u32, to: u32, at: At) -> Fallible<()> {
        let stream = self.stream(fd, For::Reading)?;
        let buffers = self.buffers(iovs, count)?;
        let read = match stream {
            Stream::Output(_) => return Err(Errno::BADF.into()),
            Stream::Input(_) if matches!(at, At::Offset(_)) => return Err(Errno::SPIPE.into()),
            // What is there is given: a second read could wait for what never comes.
            Stream::Input(input) => {
                let first = buffers.get(..1).unwrap_or_default();
                let blocking = match self.descriptors()?.get(fd)?.has(fdflags::NONBLOCK) {
                    true => Blocking::No,
                    false => Blocking::Yes,
                };
                let mut ended = false;
                self.scatter(first, |_, length| {
                    if ended {
                        return Ok(Vec::new());
                    }
                    ended = true;
                    match read_standard(&input, vec![0; length as usize], blocking) {
                        Ok(bytes) if bytes.is_empty() => Err(Errno::AGAIN.into()),
                        Err(io::Failure::Closed) => Ok(Vec::new()),
                        result => Ok(result?),
                    }
                })?
            }
            Stream::File => {
                let mut offset = self.offset(fd, at)?;
                self.descriptors()?.get(fd)?.file()?.readable()?;
                let count = self.scatter(&buffers, |guest, length| {
                    let open = guest.descriptors()?.get(fd)?;
                    let (bytes, _) = open.file()?.read(length.into(), offset)?;
                    offset = offset.saturating_add(bytes.len() as u64);
                    Ok(bytes)
                })?;
                self.settle(fd, at, offset)?;
                count
            }
        };
        Ok(self.write_word(to, read)?)
    }

    fn write_from(&mut self, fd: u32, iovs: u32, count: u32, to: u32, at: At) -> Fallible<()> {
        let stream = self.stream(fd, For::Writing)?;
        let buffers = self.buffers(iovs, count)?;
        let written = match stream {
            Stream::Input(_) => return Err(Errno::BADF.into()),
            Stream::Output(_) if matches!(at, At::Offset(_)) => return Err(Errno::SPIPE.into()),
            Stream::Output(output) => self.gather(&buffers, |_, piece| {
                write_standard(&output, piece)?;
                Ok(piece.len() as u64)
            })?,
            Stream::File => {
                let mut offset = self.offset(fd, at)?;
                let appends = self.descriptors()?.get(fd)?.has(fdflags::APPEND);
                let count = self.gather(&buffers, |guest, piece| {
                    let file = guest.descriptors()?.get(fd)?.file()?;
                    match (appends, at) {
                        (true, At::Current) => {
                            let count = file.append(piece)?;
                            offset = file.metadata()?.len();
                            Ok(count)
                        }
                        _ => {
                            let count = file.write(piece, offset)?;
                            offset = offset.saturating_add(count);
                            Ok(count)
                        }
                    }
                })?;
                self.settle(fd, at, offset)?;
                count
            }
        };
        Ok(self.write_word(to, written)?)
    }

    /// Where a read or write of a file begins.
    fn offset(&mut self, fd: u32, at: At) -> Fallible<u64> {
        match (&self.descriptors()?.get(fd)?.what, at) {
            (_, At::Offset(offset)) => Ok(offset),
            (What::File { position, .. }, At::Current) => Ok(*position),
            _ => Err(Errno::BADF.into()),
        }
    }

    /// Remembers where a read or write ended.
    fn settle(&mut self, fd: u32, at: At, offset: u64) -> Fallible<()> {
        if let (What::File { position, .. }, At::Current) =
            (&mut self.descriptors()?.get_mut(fd)?.what, at)
        {
            *position = offset;
        }
        Ok(())
    }

    pub(super) fn fd_seek(&mut self, fd: u32, delta: u64, whence: u32, to: u32) -> Fallible<()> {
        let whence = self.version.whence(whence).ok_or(Errno::INVAL)?;
        let delta = delta.cast_signed();
        let new = match &mut self.descriptors()?.get_mut(fd)?.what {
            What::File { descriptor, .. } if descriptor.file()?.stream().is_some() => {
                return Err(Errno::SPIPE.into());
            }
            What::File {
                descriptor,
                position,
            } => {
                let start = match whence {
                    Whence::Start => 0,
                    Whence::Current => *position,
                    Whence::End => descriptor.metadata()?.len(),
                };
                let new = start.checked_add_signed(delta);
                let new = new.filter(|new| i64::try_from(*new).is_ok());
                *position = new.ok_or(Errno::INVAL)?;
                *position
            }
            What::Directory { .. } => return Err(Errno::BADF.into()),
            What::Input(_) | What::Output(_) => return Err(Errno::SPIPE.into()),
        };
        Ok(self.write_long(to, new)?)
    }

    pub(super) fn fd_tell(&mut self, fd: u32, to: u32) -> Fallible<()> {
        let position = match &self.descriptors()?.get(fd)?.what {
            What::File { descriptor, .. } if descriptor.file()?.stream().is_some() => {
                return Err(Errno::SPIPE.into());
            }
            What::File { position, .. } => *position,
            What::Directory { .. } => return Err(Errno::BADF.into()),
            What::Input(_) | What::Output(_) => return Err(Errno::SPIPE.into()),
        };
        Ok(self.write_long(to, position)?)
    }

    // What is known of descriptors, and changed.

    pub(super) fn fd_fdstat_get(&mut self, fd: u32, to: u32) -> Fallible<()> {
        let open = self.descriptors()?.get(fd)?;
        let (rights, below) = open.rights();
        let mut bytes = [0; 24];
        bytes[0] = open.kind()?;
        bytes[2..4].copy_from_slice(&open.flags.to_le_bytes());
        bytes[8..16].copy_from_slice(&rights.to_le_bytes());
        bytes[16..24].copy_from_slice(&below.to_le_bytes());
        Ok(self.write(to, &bytes)?)
    }

    /// As natively, what a file is written through with is settled when it is opened.
    pub(super) fn fd_fdstat_set_flags(&mut self, fd: u32, flags: u16) -> Fallible<()> {
        const MUTABLE: u16 = fdflags::APPEND | fdflags::NONBLOCK;
        let open = self.descriptors()?.get_mut(fd)?;
        if flags & !MUTABLE & !open.flags != 0 {
            return Err(Errno::INVAL.into());
        }
        open.flags = open.flags & !MUTABLE | flags & MUTABLE;
        Ok(())
    }

    pub(super) fn fd_fdstat_set_rights(&mut self, fd: u32, _: u64, _: u64) -> Fallible<()> {
        self.descriptors()?.get(fd)?;
        Err(Errno::NOTSUP.into())
    }

    pub(super) fn fd_filestat_get(&mut self, fd: u32, to: u32) -> Fallible<()> {
        let open = self.descriptors()?.get(fd)?;
        let stat = match &open.what {
            What::File { descriptor, .. } | What::Directory { descriptor, .. } => {
                FileStat::from(descriptor.metadata()?)
            }
            What::Input(_) | What::Output(_) => FileStat {
                kind: open.kind()?,
                ..FileStat::default()
            },
        };
        let bytes = self.version.filestat(&stat);
        Ok(self.write(to, &bytes)?)
    }

    pub(super) fn fd_filestat_set_size(&mut self, fd: u32, size: u64) -> Fallible<()> {
        Ok(self.descriptors()?.get(fd)?.file()?.set_size(size)?)
    }

    pub(super) fn fd_filestat_set_times(
        &mut self,
        fd: u32,
        accessed: u64,
        modified: u64,
        flags: u16,
    ) -> Fallible<()> {
        let (accessed, modified) = new_times(accessed, modified, flags)?;
        let descriptor = self.descriptors()?.get(fd)?.descriptor()?;
        Ok(descriptor.set_times(accessed, modified)?)
    }

    pub(super) fn fd_advise(
        &mut self,
        fd: u32,
        offset: u64,
        length: u64,
        advice: u32,
    ) -> Fallible<()> {
        let advice = match advice {
            0 => Advice::Normal,
            1 => Advice::Sequential,
            2 => Advice::Random,
            3 => Advice::WillNeed,
            4 => Advice::DontNeed,
            5 => Advice::NoReuse,
            _ => return Err(Errno::INVAL.into()),
        };
        let open = self.descriptors()?.get(fd)?;
        let file = match &open.what {
            What::Input(_) | What::Output(_) => return Err(Errno::SPIPE.into()),
            What::File { .. } | What::Directory { .. } => open.file()?,
        };
        check_range(offset, length)?;
        Ok(file.advise(offset, length, advice)?)
    }

    pub(super) fn fd_allocate(&mut self, fd: u32, offset: u64, length: u64) -> Fallible<()> {
        let open = self.descriptors()?.get(fd)?;
        let file: &std::fs::File = open.file()?.writable()?;
        check_range(offset, length)?;
        if length == 0 {
            return Err(Errno::INVAL.into());
        }
        let result = rustix::fs::fallocate(file, FallocateFlags::empty(), offset, length);
        Ok(result.map_err(ErrorCode::from)?)
    }

    pub(super) fn fd_sync(&mut self, fd: u32) -> Fallible<()> {
        Ok(self.descriptors()?.get(fd)?.descriptor()?.sync()?)
    }

    pub(super) fn fd_datasync(&mut self, fd: u32) -> Fallible<()> {
        Ok(self.descriptors()?.get(fd)?.descriptor()?.sync_data()?)
    }

    // Directories.

    fn preopened(&mut self, fd: u32) -> Fallible<String> {
        match &self.descriptors()?.get(fd)?.what {
            What::Directory {
                preopened: Some(name),
                ..
            } => Ok(name.clone()),
            _ => Err(Errno::BADF.into()),
        }
    }

    pub(super) fn fd_prestat_get(&mut self, fd: u32, to: u32) -> Fallible<()> {
        let length = u32::try_from(self.preopened(fd)?.len()).map_err(|_| Errno::OVERFLOW)?;
        // A preopened directory is 0, the only kind.
        Ok(self.write_long(to, u64::from(length) << 32)?)
    }

    pub(super) fn fd_prestat_dir_name(&mut self, fd: u32, to: u32, room: u32) -> Fallible<()> {
        let name = self.preopened(fd)?;
        if name.len() > room as usize {
            return Err(Errno::NAMETOOLONG.into());
        }
        Ok(self.write(to, name.as_bytes())?)
    }

    /// Where a listing is to go on is the system's own number of the position: nothing is kept from
    /// one call to the next. The last entry may be cut off; less than there is room for is the end.
    pub(super) fn fd_readdir(
        &mut self,
        fd: u32,
        to: u32,
        room: u32,
        cookie: u64,
        count: u32,
    ) -> Fallible<()> {
        let open = self.descriptors()?.get(fd)?;
        let directory = match &open.what {
            What::Directory { descriptor, .. } => descriptor.directory_of()?,
            What::File { .. } => return Err(Errno::NOTDIR.into()),
            What::Input(_) | What::Output(_) => return Err(Errno::BADF.into()),
        };
        let own = FileStat::from(open.descriptor()?.metadata()?).inode;
        let mut listing = Listing::open(directory)?;
        if cookie != 0 {
            listing.seek(position(cookie).map_err(ErrorCode::from)?)?;
        }
        let mut used: u32 = 0;
        let mut since_check = 0;
        while used < room {
            let Some(entry) = listing.next()? else { break };
            let name = entry.name.as_bytes();
            let inode = match name {
                // What the directory is in may be beyond the guest's reach.
                b".." => own,
                _ => entry.inode,
            };
            let mut bytes = Vec::with_capacity(24 + name.len());
            bytes.extend(entry.next.cast_unsigned().to_le_bytes());
            bytes.extend(inode.to_le_bytes());
            bytes.extend((name.len() as u32).to_le_bytes());
            bytes.extend([file_type(entry.kind), 0, 0, 0]);
            bytes.extend(name);
            bytes.truncate((room - used) as usize);
            self.write(end_of(to, used)?, &bytes)?;
            used += bytes.len() as u32;
            since_check += bytes.len() as u32;
            if since_check > CHUNK {
                wait::check()?;
                since_check = 0;
            }
        }
        Ok(self.write_word(count, used)?)
    }

    // Sockets, of which there are none.

    pub(super) fn not_a_socket(&mut self, fd: u32) -> Fallible<()> {
        self.descriptors()?.get(fd)?;
        Err(Errno::NOTSOCK.into())
    }
}

/// A part of a file: it ends where offsets can be expressed.
fn check_range(offset: u64, length: u64) -> Fallible<()> {
    let end = offset.checked_add(length);
    match end.is_some_and(|end| i64::try_from(end).is_ok()) {
        true => Ok(()),
        false => Err(Errno::INVAL.into()),
    }
}

/// What `fstflags` say of two times.
pub(super) fn new_times(
    accessed: u64,
    modified: u64,
    flags: u16,
) -> Fallible<(NewTimestamp, NewTimestamp)> {
    let time = |nanoseconds: u64, given: u16, now: u16| match (flags & given, flags & now) {
        (0, 0) => Ok(NewTimestamp::NoChange),
        (0, _) => Ok(NewTimestamp::Now),
        (_, 0) => Ok(NewTimestamp::Timestamp(Datetime {
            seconds: nanoseconds / 1_000_000_000,
            nanoseconds: (nanoseconds % 1_000_000_000) as u32,
        })),
        _ => Err(Errno::INVAL),
    };
    Ok((time(accessed, 1, 2)?, time(modified, 4, 8)?))
}
