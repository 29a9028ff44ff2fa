//! What is done with paths below directories: `path_*`.

use super::abi::{FileStat, fdflags, rights};
use super::descriptors::{Open, descriptor_flags};
use super::errno::Errno;
use super::files::new_times;
use super::guest::{Fallible, Guest};
use crate::common::context::WasiView;
use crate::p2::bindings::wasi::filesystem::types::{
    DescriptorFlags, ErrorCode, OpenFlags, PathFlags,
};
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

/// A path's address and length.
pub(super) type PathArg = (u32, u32);

/// What `path_open` is to do, beside the path.
pub(super) struct OpenArgs {
    /// `lookupflags`.
    pub(super) lookup: u16,
    /// `oflags`.
    pub(super) how: u16,
    /// The rights asked for.
    pub(super) rights: u64,
    /// `fdflags`.
    pub(super) flags: u16,
}

/// `lookupflags`.
fn lookup(flags: u16) -> PathFlags {
    match flags & 1 {
        0 => PathFlags::empty(),
        _ => PathFlags::SYMLINK_FOLLOW,
    }
}

impl<T: WasiView> Guest<'_, T> {
    fn path_of(&self, (address, length): PathArg) -> Fallible<OsString> {
        Ok(OsString::from_vec(self.path(address, length)?))
    }

    pub(super) fn path_create_directory(&mut self, fd: u32, path: PathArg) -> Fallible<()> {
        let path = self.path_of(path)?;
        Ok(self
            .descriptors()?
            .directory(fd)?
            .create_directory_at(path)?)
    }

    pub(super) fn path_remove_directory(&mut self, fd: u32, path: PathArg) -> Fallible<()> {
        let path = self.path_of(path)?;
        Ok(self
            .descriptors()?
            .directory(fd)?
            .remove_directory_at(path)?)
    }

    pub(super) fn path_unlink_file(&mut self, fd: u32, path: PathArg) -> Fallible<()> {
        let path = self.path_of(path)?;
        Ok(self.descriptors()?.directory(fd)?.unlink_file_at(path)?)
    }

    pub(super) fn path_filestat_get(
        &mut self,
        fd: u32,
        flags: u16,
        path: PathArg,
        to: u32,
    ) -> Fallible<()> {
        let path = self.path_of(path)?;
        let directory = self.descriptors()?.directory(fd)?;
        let stat = FileStat::from(directory.metadata_at(lookup(flags), path)?);
        let bytes = self.version.filestat(&stat);
        Ok(self.write(to, &bytes)?)
    }

    pub(super) fn path_filestat_set_times(
        &mut self,
        fd: u32,
        flags: u16,
        path: PathArg,
        times: (u64, u64),
        which: u16,
    ) -> Fallible<()> {
        let path = self.path_of(path)?;
        let (accessed, modified) = new_times(times.0, times.1, which)?;
        let directory = self.descriptors()?.directory(fd)?;
        Ok(directory.set_times_at(lookup(flags), path, accessed, modified)?)
    }

    pub(super) fn path_link(
        &mut self,
        fd: u32,
        flags: u16,
        path: PathArg,
        new_fd: u32,
        new: PathArg,
    ) -> Fallible<()> {
        let (path, new) = (self.path_of(path)?, self.path_of(new)?);
        let descriptors = self.descriptors()?;
        let (from, to) = (descriptors.directory(fd)?, descriptors.directory(new_fd)?);
        Ok(from.link_at(lookup(flags), path, to, new)?)
    }

    pub(super) fn path_rename(
        &mut self,
        fd: u32,
        path: PathArg,
        new_fd: u32,
        new: PathArg,
    ) -> Fallible<()> {
        let (path, new) = (self.path_of(path)?, self.path_of(new)?);
        let descriptors = self.descriptors()?;
        let (from, to) = (descriptors.directory(fd)?, descriptors.directory(new_fd)?);
        Ok(from.rename_at(path, to, new)?)
    }

    pub(super) fn path_symlink(&mut self, target: PathArg, fd: u32, path: PathArg) -> Fallible<()> {
        let (target, path) = (self.path_of(target)?, self.path_of(path)?);
        Ok(self
            .descriptors()?
            .directory(fd)?
            .symlink_at(target, path)?)
    }

    /// What there is no room for is cut off, as natively.
    pub(super) fn path_readlink(
        &mut self,
        fd: u32,
        path: PathArg,
        to: u32,
        room: u32,
        count: u32,
    ) -> Fallible<()> {
        let path = self.path_of(path)?;
        let mut target = self.descriptors()?.directory(fd)?.readlink_bytes_at(path)?;
        target.truncate(room as usize);
        self.write(to, &target)?;
        Ok(self.write_word(count, target.len() as u32)?)
    }

    pub(super) fn path_open(
        &mut self,
        fd: u32,
        path: PathArg,
        args: &OpenArgs,
        to: u32,
    ) -> Fallible<()> {
        let path = self.path_of(path)?;
        let each = [
            (1, OpenFlags::CREATE),
            (1 << 1, OpenFlags::DIRECTORY),
            (1 << 2, OpenFlags::EXCLUSIVE),
            (1 << 3, OpenFlags::TRUNCATE),
        ];
        let mut open = OpenFlags::empty();
        for (flag, meaning) in each {
            if args.how & flag != 0 {
                open |= meaning;
            }
        }
        let mut flags = descriptor_flags(args.flags);
        if args.rights & rights::FD_READ != 0 {
            flags |= DescriptorFlags::READ;
        }
        if args.rights & rights::FD_WRITE != 0 {
            flags |= DescriptorFlags::WRITE;
        }
        let used_up = self.wasi().budget.is_used_up();
        let descriptors = self.descriptors()?;
        let directory = descriptors.directory(fd)?;
        let opened = directory.open_at(lookup(args.lookup), path, open, flags);
        let opened = opened.map_err(|code| match code {
            ErrorCode::InsufficientMemory if used_up => Errno::MFILE,
            ErrorCode::InsufficientMemory => Errno::NFILE,
            code => code.into(),
        })?;
        let kept = args.flags & fdflags::ALL;
        let number = descriptors.add(Open::new(opened, kept));
        Ok(self.write_word(to, number)?)
    }
}
