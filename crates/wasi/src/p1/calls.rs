//! The functions: names, types, and how arguments become those of [`Guest`]'s methods.

use super::abi::fdflags;
use super::guest::{Args, Fallible, Guest};
use super::paths::OpenArgs;
use crate::common::context::WasiView;
use trampette_runtime::CoreValueType;

/// A function, from raw arguments.
pub(super) type Call<T> = fn(&mut Guest<'_, T>, &mut Args<'_>) -> Fallible<()>;

/// Parameters: `i` is an `i32`, `l` an `i64`.
pub(super) fn types(params: &str) -> Vec<CoreValueType> {
    let ty = |letter| match letter {
        'l' => CoreValueType::I64,
        _ => CoreValueType::I32,
    };
    params.chars().map(ty).collect()
}

/// `lookupflags`, all of them.
const LOOKUP: u16 = 1;
/// `oflags`, all of them.
const OPEN: u16 = 0xf;
/// `fstflags`, all of them.
const TIMES: u16 = 0xf;

/// Every function. All but `proc_exit` return an error number.
pub(super) fn all<T: WasiView>() -> Vec<(&'static str, &'static str, Call<T>)> {
    vec![
        ("args_get", "ii", |g, a| g.args_get(a.word()?, a.word()?)),
        ("args_sizes_get", "ii", |g, a| {
            g.args_sizes_get(a.word()?, a.word()?)
        }),
        ("environ_get", "ii", |g, a| {
            g.environ_get(a.word()?, a.word()?)
        }),
        ("environ_sizes_get", "ii", |g, a| {
            g.environ_sizes_get(a.word()?, a.word()?)
        }),
        ("clock_res_get", "ii", |g, a| {
            g.clock_res_get(a.word()?, a.word()?)
        }),
        ("clock_time_get", "ili", |g, a| {
            g.clock_time_get(a.word()?, a.long()?, a.word()?)
        }),
        ("fd_advise", "illi", |g, a| {
            g.fd_advise(a.word()?, a.long()?, a.long()?, a.word()?)
        }),
        ("fd_allocate", "ill", |g, a| {
            g.fd_allocate(a.word()?, a.long()?, a.long()?)
        }),
        ("fd_close", "i", |g, a| g.fd_close(a.word()?)),
        ("fd_datasync", "i", |g, a| g.fd_datasync(a.word()?)),
        ("fd_fdstat_get", "ii", |g, a| {
            g.fd_fdstat_get(a.word()?, a.word()?)
        }),
        ("fd_fdstat_set_flags", "ii", |g, a| {
            g.fd_fdstat_set_flags(a.word()?, a.flags(fdflags::ALL)?)
        }),
        ("fd_fdstat_set_rights", "ill", |g, a| {
            g.fd_fdstat_set_rights(a.word()?, a.long()?, a.long()?)
        }),
        ("fd_filestat_get", "ii", |g, a| {
            g.fd_filestat_get(a.word()?, a.word()?)
        }),
        ("fd_filestat_set_size", "il", |g, a| {
            g.fd_filestat_set_size(a.word()?, a.long()?)
        }),
        ("fd_filestat_set_times", "illi", |g, a| {
            g.fd_filestat_set_times(a.word()?, a.long()?, a.long()?, a.flags(TIMES)?)
        }),
        ("fd_pread", "iiili", |g, a| {
            g.fd_pread(a.word()?, a.word()?, a.word()?, a.long()?, a.word()?)
        }),
        ("fd_prestat_get", "ii", |g, a| {
            g.fd_prestat_get(a.word()?, a.word()?)
        }),
        ("fd_prestat_dir_name", "iii", |g, a| {
            g.fd_prestat_dir_name(a.word()?, a.word()?, a.word()?)
        }),
        ("fd_pwrite", "iiili", |g, a| {
            g.fd_pwrite(a.word()?, a.word()?, a.word()?, a.long()?, a.word()?)
        }),
        ("fd_read", "iiii", |g, a| {
            g.fd_read(a.word()?, a.word()?, a.word()?, a.word()?)
        }),
        ("fd_readdir", "iiili", |g, a| {
            g.fd_readdir(a.word()?, a.word()?, a.word()?, a.long()?, a.word()?)
        }),
        ("fd_renumber", "ii", |g, a| {
            g.fd_renumber(a.word()?, a.word()?)
        }),
        ("fd_seek", "ilii", |g, a| {
            g.fd_seek(a.word()?, a.long()?, a.word()?, a.word()?)
        }),
        ("fd_sync", "i", |g, a| g.fd_sync(a.word()?)),
        ("fd_tell", "ii", |g, a| g.fd_tell(a.word()?, a.word()?)),
        ("fd_write", "iiii", |g, a| {
            g.fd_write(a.word()?, a.word()?, a.word()?, a.word()?)
        }),
        ("path_create_directory", "iii", |g, a| {
            g.path_create_directory(a.word()?, (a.word()?, a.word()?))
        }),
        ("path_filestat_get", "iiiii", |g, a| {
            let (fd, flags) = (a.word()?, a.flags(LOOKUP)?);
            g.path_filestat_get(fd, flags, (a.word()?, a.word()?), a.word()?)
        }),
        ("path_filestat_set_times", "iiiilli", |g, a| {
            let (fd, flags) = (a.word()?, a.flags(LOOKUP)?);
            let (path, times) = ((a.word()?, a.word()?), (a.long()?, a.long()?));
            g.path_filestat_set_times(fd, flags, path, times, a.flags(TIMES)?)
        }),
        ("path_link", "iiiiiii", |g, a| {
            let (fd, flags) = (a.word()?, a.flags(LOOKUP)?);
            let path = (a.word()?, a.word()?);
            g.path_link(fd, flags, path, a.word()?, (a.word()?, a.word()?))
        }),
        ("path_open", "iiiiillii", |g, a| {
            let (fd, lookup) = (a.word()?, a.flags(LOOKUP)?);
            let path = (a.word()?, a.word()?);
            let (how, rights) = (a.flags(OPEN)?, a.long()?);
            // What may be inherited by what is opened below.
            a.long()?;
            let flags = a.flags(fdflags::ALL)?;
            let args = OpenArgs {
                lookup,
                how,
                rights,
                flags,
            };
            g.path_open(fd, path, &args, a.word()?)
        }),
        ("path_readlink", "iiiiii", |g, a| {
            let (fd, path) = (a.word()?, (a.word()?, a.word()?));
            g.path_readlink(fd, path, a.word()?, a.word()?, a.word()?)
        }),
        ("path_remove_directory", "iii", |g, a| {
            g.path_remove_directory(a.word()?, (a.word()?, a.word()?))
        }),
        ("path_rename", "iiiiii", |g, a| {
            let (fd, path) = (a.word()?, (a.word()?, a.word()?));
            g.path_rename(fd, path, a.word()?, (a.word()?, a.word()?))
        }),
        ("path_symlink", "iiiii", |g, a| {
            let target = (a.word()?, a.word()?);
            g.path_symlink(target, a.word()?, (a.word()?, a.word()?))
        }),
        ("path_unlink_file", "iii", |g, a| {
            g.path_unlink_file(a.word()?, (a.word()?, a.word()?))
        }),
        ("poll_oneoff", "iiii", |g, a| {
            g.poll_oneoff(a.word()?, a.word()?, a.word()?, a.word()?)
        }),
        ("proc_exit", "i", |g, a| g.proc_exit(a.word()?)),
        ("proc_raise", "i", |g, a| g.proc_raise(a.word()?)),
        ("random_get", "ii", |g, a| {
            g.random_get(a.word()?, a.word()?)
        }),
        ("sched_yield", "", |g, _| g.sched_yield()),
        ("sock_accept", "iii", |g, a| g.not_a_socket(a.word()?)),
        ("sock_recv", "iiiiii", |g, a| g.not_a_socket(a.word()?)),
        ("sock_send", "iiiii", |g, a| g.not_a_socket(a.word()?)),
        ("sock_shutdown", "ii", |g, a| g.not_a_socket(a.word()?)),
    ]
}
