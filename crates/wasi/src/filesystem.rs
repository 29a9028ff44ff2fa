//! `wasi:filesystem`: the interfaces over [`Descriptor`].

use crate::context::WasiView;
use crate::descriptor::*;
use crate::error_code::ErrorCode;
use crate::interface;
use crate::io::IoError;
use crate::streams::{InputStream, OutputStream};
use anyhow::Result;
use trampette_runtime::{Linker, LinkerInstance, Resource, ResourceTable};

type Handle = Resource<Descriptor>;

pub(crate) fn add_to_linker<T: WasiView>(linker: &mut Linker<T>) -> Result<()> {
    let mut types = linker.instance(&interface("filesystem/types"))?;
    types.resource::<Descriptor>("descriptor", |mut caller, rep| {
        caller
            .data_mut()
            .wasi()
            .table
            .delete(Resource::<Descriptor>::new(rep))?;
        Ok(())
    })?;
    types.resource::<DirectoryEntryStream>("directory-entry-stream", |mut caller, rep| {
        caller
            .data_mut()
            .wasi()
            .table
            .delete(Resource::<DirectoryEntryStream>::new(rep))?;
        Ok(())
    })?;
    types.func_wrap::<(Resource<IoError>,), Option<ErrorCode>, _>(
        "filesystem-error-code",
        |mut caller, (error,)| Ok(Some(caller.data_mut().wasi().table.get(&error)?.code())),
    )?;
    contents(&mut types)?;
    status(&mut types)?;
    paths(&mut types)?;
    directories(&mut types)?;
    linker
        .instance(&interface("filesystem/preopens"))?
        .func_wrap::<(), Vec<(Handle, String)>, _>("get-directories", |mut caller, ()| {
            let wasi = caller.data_mut().wasi();
            let mut directories = Vec::new();
            for (descriptor, name) in wasi.open_preopens()? {
                directories.push((wasi.table.push(descriptor)?, name));
            }
            Ok(directories)
        })
}

/// Keeps what was opened in the table.
fn push<R: Send + 'static>(
    table: &mut ResourceTable,
    opened: FsResult<R>,
) -> Result<FsResult<Resource<R>>> {
    Ok(match opened {
        Ok(resource) => Ok(table.push(resource)?),
        Err(code) => Err(code),
    })
}

/// Reading and writing.
fn contents<T: WasiView>(types: &mut LinkerInstance<'_, T>) -> Result<()> {
    types.func_wrap::<(Handle, u64), FsResult<Resource<InputStream>>, _>(
        "[method]descriptor.read-via-stream",
        |mut caller, (this, position)| {
            let table = caller.data_mut().wasi().table();
            let opened = table.get(&this)?.read_stream(position);
            push(table, opened)
        },
    )?;
    types.func_wrap::<(Handle, u64), FsResult<Resource<OutputStream>>, _>(
        "[method]descriptor.write-via-stream",
        |mut caller, (this, position)| {
            let table = caller.data_mut().wasi().table();
            let opened = table.get(&this)?.write_stream(position);
            push(table, opened)
        },
    )?;
    types.func_wrap::<(Handle,), FsResult<Resource<OutputStream>>, _>(
        "[method]descriptor.append-via-stream",
        |mut caller, (this,)| {
            let table = caller.data_mut().wasi().table();
            let opened = table.get(&this)?.append_stream();
            push(table, opened)
        },
    )?;
    types.func_wrap::<(Handle, u64, u64), FsResult<(Vec<u8>, bool)>, _>(
        "[method]descriptor.read",
        |mut caller, (this, length, position)| {
            Ok(caller
                .data_mut()
                .wasi()
                .table
                .get(&this)?
                .read(length, position))
        },
    )?;
    types.func_wrap::<(Handle, Vec<u8>, u64), FsResult<u64>, _>(
        "[method]descriptor.write",
        |mut caller, (this, bytes, position)| {
            Ok(caller
                .data_mut()
                .wasi()
                .table
                .get(&this)?
                .write(bytes, position))
        },
    )?;
    types.func_wrap::<(Handle, u64, u64, FileAdvice), FsResult<()>, _>(
        "[method]descriptor.advise",
        |mut caller, (this, position, length, advice)| {
            Ok(caller
                .data_mut()
                .wasi()
                .table
                .get(&this)?
                .advise(position, length, advice))
        },
    )?;
    types.func_wrap::<(Handle,), FsResult<()>, _>(
        "[method]descriptor.sync-data",
        |mut caller, (this,)| Ok(caller.data_mut().wasi().table.get(&this)?.sync_data()),
    )?;
    types.func_wrap::<(Handle,), FsResult<()>, _>(
        "[method]descriptor.sync",
        |mut caller, (this,)| Ok(caller.data_mut().wasi().table.get(&this)?.sync()),
    )?;
    types.func_wrap::<(Handle, u64), FsResult<()>, _>(
        "[method]descriptor.set-size",
        |mut caller, (this, size)| Ok(caller.data_mut().wasi().table.get(&this)?.set_size(size)),
    )
}

/// What is known of an open descriptor.
fn status<T: WasiView>(types: &mut LinkerInstance<'_, T>) -> Result<()> {
    types.func_wrap::<(Handle,), FsResult<DescriptorFlags>, _>(
        "[method]descriptor.get-flags",
        |mut caller, (this,)| Ok(Ok(caller.data_mut().wasi().table.get(&this)?.flags())),
    )?;
    types.func_wrap::<(Handle,), FsResult<DescriptorType>, _>(
        "[method]descriptor.get-type",
        |mut caller, (this,)| Ok(caller.data_mut().wasi().table.get(&this)?.kind()),
    )?;
    types.func_wrap::<(Handle,), FsResult<DescriptorStat>, _>(
        "[method]descriptor.stat",
        |mut caller, (this,)| Ok(caller.data_mut().wasi().table.get(&this)?.stat()),
    )?;
    types.func_wrap::<(Handle, NewTimestamp, NewTimestamp), FsResult<()>, _>(
        "[method]descriptor.set-times",
        |mut caller, (this, access, modification)| {
            Ok(caller
                .data_mut()
                .wasi()
                .table
                .get(&this)?
                .set_times(access, modification))
        },
    )?;
    types.func_wrap::<(Handle, Handle), bool, _>(
        "[method]descriptor.is-same-object",
        |mut caller, (this, other)| {
            let table = caller.data_mut().wasi().table();
            Ok(table.get(&this)?.is_same(table.get(&other)?))
        },
    )?;
    types.func_wrap::<(Handle,), FsResult<MetadataHashValue>, _>(
        "[method]descriptor.metadata-hash",
        |mut caller, (this,)| Ok(caller.data_mut().wasi().table.get(&this)?.metadata_hash()),
    )
}

/// Operations on paths below a directory.
fn paths<T: WasiView>(types: &mut LinkerInstance<'_, T>) -> Result<()> {
    types
        .func_wrap::<(Handle, PathFlags, String, OpenFlags, DescriptorFlags), FsResult<Handle>, _>(
            "[method]descriptor.open-at",
            |mut caller, (this, path_flags, path, open, flags)| {
                let table = caller.data_mut().wasi().table();
                let opened = table.get(&this)?.open_at(path_flags, path, open, flags);
                push(table, opened)
            },
        )?;
    types.func_wrap::<(Handle, PathFlags, String), FsResult<DescriptorStat>, _>(
        "[method]descriptor.stat-at",
        |mut caller, (this, flags, path)| {
            Ok(caller
                .data_mut()
                .wasi()
                .table
                .get(&this)?
                .stat_at(flags, path))
        },
    )?;
    types.func_wrap::<(Handle, PathFlags, String, NewTimestamp, NewTimestamp), FsResult<()>, _>(
        "[method]descriptor.set-times-at",
        |mut caller, (this, flags, path, access, modification)| {
            let descriptor = caller.data_mut().wasi().table.get(&this)?;
            Ok(descriptor.set_times_at(flags, path, access, modification))
        },
    )?;
    types.func_wrap::<(Handle, PathFlags, String), FsResult<MetadataHashValue>, _>(
        "[method]descriptor.metadata-hash-at",
        |mut caller, (this, flags, path)| {
            Ok(caller
                .data_mut()
                .wasi()
                .table
                .get(&this)?
                .metadata_hash_at(flags, path))
        },
    )?;
    types.func_wrap::<(Handle, PathFlags, String, Handle, String), FsResult<()>, _>(
        "[method]descriptor.link-at",
        |mut caller, (this, flags, path, to, new)| {
            let table = caller.data_mut().wasi().table();
            Ok(table.get(&this)?.link_at(flags, path, table.get(&to)?, new))
        },
    )?;
    types.func_wrap::<(Handle, String), FsResult<String>, _>(
        "[method]descriptor.readlink-at",
        |mut caller, (this, path)| Ok(caller.data_mut().wasi().table.get(&this)?.readlink_at(path)),
    )?;
    types.func_wrap::<(Handle, String, Handle, String), FsResult<()>, _>(
        "[method]descriptor.rename-at",
        |mut caller, (this, path, to, new)| {
            let table = caller.data_mut().wasi().table();
            Ok(table.get(&this)?.rename_at(path, table.get(&to)?, new))
        },
    )?;
    types.func_wrap::<(Handle, String, String), FsResult<()>, _>(
        "[method]descriptor.symlink-at",
        |mut caller, (this, target, path)| {
            Ok(caller
                .data_mut()
                .wasi()
                .table
                .get(&this)?
                .symlink_at(target, path))
        },
    )?;
    types.func_wrap::<(Handle, String), FsResult<()>, _>(
        "[method]descriptor.unlink-file-at",
        |mut caller, (this, path)| {
            Ok(caller
                .data_mut()
                .wasi()
                .table
                .get(&this)?
                .unlink_file_at(path))
        },
    )
}

/// Directories and their entries.
fn directories<T: WasiView>(types: &mut LinkerInstance<'_, T>) -> Result<()> {
    types.func_wrap::<(Handle, String), FsResult<()>, _>(
        "[method]descriptor.create-directory-at",
        |mut caller, (this, path)| {
            Ok(caller
                .data_mut()
                .wasi()
                .table
                .get(&this)?
                .create_directory_at(path))
        },
    )?;
    types.func_wrap::<(Handle, String), FsResult<()>, _>(
        "[method]descriptor.remove-directory-at",
        |mut caller, (this, path)| {
            Ok(caller
                .data_mut()
                .wasi()
                .table
                .get(&this)?
                .remove_directory_at(path))
        },
    )?;
    types.func_wrap::<(Handle,), FsResult<Resource<DirectoryEntryStream>>, _>(
        "[method]descriptor.read-directory",
        |mut caller, (this,)| {
            let table = caller.data_mut().wasi().table();
            let opened = table.get(&this)?.read_directory();
            push(table, opened)
        },
    )?;
    types.func_wrap::<(Resource<DirectoryEntryStream>,), FsResult<Option<DirectoryEntry>>, _>(
        "[method]directory-entry-stream.read-directory-entry",
        |mut caller, (this,)| Ok(caller.data_mut().wasi().table.get_mut(&this)?.next_entry()),
    )
}
