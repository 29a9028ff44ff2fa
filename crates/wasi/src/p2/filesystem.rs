//! `wasi:filesystem`: the interfaces over [`Descriptor`].

use crate::common::context::WasiCtx;
use crate::common::descriptor::{Descriptor, FsResult};
use crate::common::directory::DirectoryEntryStream;
use crate::common::failure::{self, GuestCode};
use crate::p2::bindings::wasi::filesystem::preopens;
use crate::p2::bindings::wasi::filesystem::types::{self, *};
use crate::p2::io::IoError;
use crate::p2::streams::{InputStream, OutputStream};
use anyhow::Result;
use trampette_runtime::Resource;

/// Why a function of `wasi:filesystem` fails.
pub(crate) type Failure = failure::Failure<ErrorCode>;

impl GuestCode for ErrorCode {}

impl ConvertErrorCode for WasiCtx {
    fn convert_error_code(&mut self, failure: Failure) -> Result<ErrorCode> {
        failure.into_code()
    }
}

impl preopens::Host for WasiCtx {
    fn get_directories(&mut self) -> Result<Vec<(Handle, String)>> {
        let mut directories = Vec::new();
        for (descriptor, name) in self.open_preopens()? {
            directories.push((self.table.push(descriptor)?, name));
        }
        Ok(directories)
    }
}

impl types::Host for WasiCtx {
    fn filesystem_error_code(&mut self, error: Resource<IoError>) -> Result<Option<ErrorCode>> {
        Ok(Some(self.table.get(&error)?.code()))
    }
}

impl HostDirectoryEntryStream for WasiCtx {
    fn read_directory_entry(
        &mut self,
        this: Resource<DirectoryEntryStream>,
    ) -> Fallible<Option<DirectoryEntry>> {
        Ok(self.table.get_mut(&this)?.next_entry()?)
    }

    fn drop(&mut self, this: Resource<DirectoryEntryStream>) -> Result<()> {
        self.give_up(this)
    }
}

type Handle = Resource<Descriptor>;
type Fallible<R> = Result<R, Failure>;

impl WasiCtx {
    /// Keeps what a descriptor opens in the table.
    fn open<R: Send + 'static>(
        &mut self,
        descriptor: &Handle,
        open: impl FnOnce(&Descriptor) -> FsResult<R>,
    ) -> Fallible<Resource<R>> {
        let opened = open(self.table.get(descriptor)?)?;
        Ok(self.table.push(opened)?)
    }
}

impl HostDescriptor for WasiCtx {
    fn drop(&mut self, this: Handle) -> Result<()> {
        self.give_up(this)
    }

    // Reading and writing.

    fn read_via_stream(&mut self, this: Handle, offset: u64) -> Fallible<Resource<InputStream>> {
        self.open(&this, |descriptor| descriptor.read_stream(offset))
    }

    fn write_via_stream(&mut self, this: Handle, offset: u64) -> Fallible<Resource<OutputStream>> {
        self.open(&this, |descriptor| descriptor.write_stream(offset))
    }

    fn append_via_stream(&mut self, this: Handle) -> Fallible<Resource<OutputStream>> {
        self.open(&this, Descriptor::append_stream)
    }

    fn read(&mut self, this: Handle, length: u64, offset: u64) -> Fallible<(Vec<u8>, bool)> {
        Ok(self.table.get(&this)?.read(length, offset)?)
    }

    fn write(&mut self, this: Handle, buffer: &[u8], offset: u64) -> Fallible<u64> {
        Ok(self.table.get(&this)?.write(buffer, offset)?)
    }

    fn advise(&mut self, this: Handle, offset: u64, length: u64, advice: Advice) -> Fallible<()> {
        Ok(self.table.get(&this)?.advise(offset, length, advice)?)
    }

    fn sync_data(&mut self, this: Handle) -> Fallible<()> {
        Ok(self.table.get(&this)?.sync_data()?)
    }

    fn sync(&mut self, this: Handle) -> Fallible<()> {
        Ok(self.table.get(&this)?.sync()?)
    }

    fn set_size(&mut self, this: Handle, size: u64) -> Fallible<()> {
        Ok(self.table.get(&this)?.set_size(size)?)
    }

    // What is known of an open descriptor.

    fn get_flags(&mut self, this: Handle) -> Fallible<DescriptorFlags> {
        Ok(self.table.get(&this)?.flags())
    }

    fn get_type(&mut self, this: Handle) -> Fallible<DescriptorType> {
        Ok(self.table.get(&this)?.kind()?)
    }

    fn stat(&mut self, this: Handle) -> Fallible<DescriptorStat> {
        Ok(self.table.get(&this)?.stat()?)
    }

    fn set_times(
        &mut self,
        this: Handle,
        access: NewTimestamp,
        modification: NewTimestamp,
    ) -> Fallible<()> {
        let descriptor = self.table.get(&this)?;
        Ok(descriptor.set_times(access, modification)?)
    }

    fn is_same_object(&mut self, this: Handle, other: Handle) -> Result<bool> {
        Ok(self.table.get(&this)?.is_same(self.table.get(&other)?))
    }

    fn metadata_hash(&mut self, this: Handle) -> Fallible<MetadataHashValue> {
        Ok(self.table.get(&this)?.metadata_hash()?)
    }

    // Operations on paths below a directory.

    fn open_at(
        &mut self,
        this: Handle,
        path_flags: PathFlags,
        path: &str,
        open: OpenFlags,
        flags: DescriptorFlags,
    ) -> Fallible<Handle> {
        self.open(&this, |descriptor| {
            descriptor.open_at(path_flags, path, open, flags)
        })
    }

    fn stat_at(&mut self, this: Handle, flags: PathFlags, path: &str) -> Fallible<DescriptorStat> {
        Ok(self.table.get(&this)?.stat_at(flags, path)?)
    }

    fn set_times_at(
        &mut self,
        this: Handle,
        flags: PathFlags,
        path: &str,
        access: NewTimestamp,
        modification: NewTimestamp,
    ) -> Fallible<()> {
        let descriptor = self.table.get(&this)?;
        Ok(descriptor.set_times_at(flags, path, access, modification)?)
    }

    fn metadata_hash_at(
        &mut self,
        this: Handle,
        flags: PathFlags,
        path: &str,
    ) -> Fallible<MetadataHashValue> {
        Ok(self.table.get(&this)?.metadata_hash_at(flags, path)?)
    }

    fn link_at(
        &mut self,
        this: Handle,
        flags: PathFlags,
        path: &str,
        to: Handle,
        new: &str,
    ) -> Fallible<()> {
        let descriptor = self.table.get(&this)?;
        Ok(descriptor.link_at(flags, path, self.table.get(&to)?, new)?)
    }

    fn readlink_at(&mut self, this: Handle, path: &str) -> Fallible<String> {
        Ok(self.table.get(&this)?.readlink_at(path)?)
    }

    fn rename_at(&mut self, this: Handle, path: &str, to: Handle, new: &str) -> Fallible<()> {
        let descriptor = self.table.get(&this)?;
        Ok(descriptor.rename_at(path, self.table.get(&to)?, new)?)
    }

    fn symlink_at(&mut self, this: Handle, target: &str, path: &str) -> Fallible<()> {
        Ok(self.table.get(&this)?.symlink_at(target, path)?)
    }

    fn unlink_file_at(&mut self, this: Handle, path: &str) -> Fallible<()> {
        Ok(self.table.get(&this)?.unlink_file_at(path)?)
    }

    // Directories and their entries.

    fn create_directory_at(&mut self, this: Handle, path: &str) -> Fallible<()> {
        Ok(self.table.get(&this)?.create_directory_at(path)?)
    }

    fn remove_directory_at(&mut self, this: Handle, path: &str) -> Fallible<()> {
        Ok(self.table.get(&this)?.remove_directory_at(path)?)
    }

    fn read_directory(&mut self, this: Handle) -> Fallible<Resource<DirectoryEntryStream>> {
        self.open(&this, Descriptor::read_directory)
    }
}
