//! Tests: whatever would change something below a directory that is given to read only is refused,
//! with the same code by WASI 0.2 and 0.3. (Those of preview 1 are in the package's
//! `tests/preview1.rs`, where guests can be compiled.)

use crate::common::context::FileWork;
use crate::p2;
use crate::p3;
use crate::{ErrorCode, WasiCtx, WasiCtxBuilder};
use std::path::Path;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use trampette_runtime::{Access, Resource, Store};

/// What changes something. Of two directories the first is where it starts.
#[derive(Clone, Copy, Debug)]
enum Operation {
    Create,
    OpenToWrite,
    Truncate,
    OpenToMutate,
    CreateDirectory,
    Symlink,
    SetTimesAt,
    SetTimesOfDirectory,
    SetTimesOfFile,
    Unlink,
    RemoveDirectory,
    LinkWithin,
    LinkOut,
    LinkIn,
    RenameWithin,
    RenameOut,
    RenameIn,
    SetSize,
}

use Operation::*;

/// A file that was opened to read refuses to be written to, wherever it is.
const ALL: [(Operation, ErrorCode); 18] = [
    (Create, ErrorCode::ReadOnly),
    (OpenToWrite, ErrorCode::ReadOnly),
    (Truncate, ErrorCode::ReadOnly),
    (OpenToMutate, ErrorCode::ReadOnly),
    (CreateDirectory, ErrorCode::ReadOnly),
    (Symlink, ErrorCode::ReadOnly),
    (SetTimesAt, ErrorCode::ReadOnly),
    (SetTimesOfDirectory, ErrorCode::ReadOnly),
    (SetTimesOfFile, ErrorCode::ReadOnly),
    (Unlink, ErrorCode::ReadOnly),
    (RemoveDirectory, ErrorCode::ReadOnly),
    (LinkWithin, ErrorCode::ReadOnly),
    (LinkOut, ErrorCode::ReadOnly),
    (LinkIn, ErrorCode::ReadOnly),
    (RenameWithin, ErrorCode::ReadOnly),
    (RenameOut, ErrorCode::ReadOnly),
    (RenameIn, ErrorCode::ReadOnly),
    (SetSize, ErrorCode::BadDescriptor),
];

/// Every file and directory with what is in it, and when it was changed.
fn state(folder: &Path) -> Vec<String> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let (path, metadata) = entry.map(|e| (e.path(), e.metadata().unwrap())).unwrap();
        let modified = metadata.modified().unwrap();
        match metadata.is_dir() {
            true => all.extend(state(&path)),
            false => all.push(format!("{:?}", std::fs::read(&path).unwrap())),
        }
        all.push(format!("{} {modified:?}", path.display()));
    }
    all.sort();
    all
}

/// Two directories that have the same in them.
fn directories() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for name in ["fixed", "free"] {
        let below = folder.path().join(name).join("below");
        std::fs::create_dir_all(below.join("empty")).unwrap();
        std::fs::write(below.join("old"), name).unwrap();
    }
    folder
}

/// A context with both: the first to read only.
fn context(folder: &Path) -> WasiCtx {
    let builder = WasiCtxBuilder::new().file_work(FileWork::InPlace);
    let builder = builder.preopened_dir_read_only(folder.join("fixed"), "fixed");
    let builder = builder.unwrap().preopened_dir(folder.join("free"), "free");
    builder.unwrap().build()
}

/// Another handle of the same, for a call that takes it.
fn again<R: 'static>(resource: &Resource<R>) -> Resource<R> {
    Resource::new(resource.rep())
}

/// Does it by WASI 0.2.
fn by_0_2(wasi: &mut WasiCtx, operation: Operation) -> Result<(), p2::filesystem::Failure> {
    use crate::p2::bindings::wasi::filesystem::preopens::Host as _;
    use crate::p2::bindings::wasi::filesystem::types::{HostDescriptor as P2, *};
    let mut dirs = wasi.get_directories().unwrap().into_iter();
    let mut below = || {
        let (dir, _) = dirs.next().unwrap();
        let directory = OpenFlags::DIRECTORY;
        let read = DescriptorFlags::READ;
        P2::open_at(wasi, dir, PathFlags::empty(), "below", directory, read)
    };
    let (fixed, free) = (below()?, below()?);
    let none = PathFlags::empty;
    let mut open = |path: &str, open, flags| {
        let opened = P2::open_at(wasi, again(&fixed), none(), path, open, flags);
        opened.map(drop)
    };
    let (read, write) = (DescriptorFlags::READ, DescriptorFlags::WRITE);
    let now = || NewTimestamp::Now;
    match operation {
        Create => open("new", OpenFlags::CREATE, read),
        OpenToWrite => open("old", OpenFlags::empty(), read | write),
        Truncate => open("old", OpenFlags::TRUNCATE, read),
        OpenToMutate => {
            let mutate = DescriptorFlags::MUTATE_DIRECTORY;
            open("empty", OpenFlags::DIRECTORY, read | mutate)
        }
        CreateDirectory => wasi.create_directory_at(fixed, "new"),
        Symlink => wasi.symlink_at(fixed, "old", "new"),
        SetTimesAt => wasi.set_times_at(fixed, none(), "old", now(), now()),
        SetTimesOfDirectory => wasi.set_times(fixed, now(), now()),
        SetTimesOfFile | SetSize => {
            let file = P2::open_at(wasi, fixed, none(), "old", OpenFlags::empty(), read)?;
            match operation {
                SetSize => wasi.set_size(file, 0),
                _ => wasi.set_times(file, now(), now()),
            }
        }
        Unlink => wasi.unlink_file_at(fixed, "old"),
        RemoveDirectory => wasi.remove_directory_at(fixed, "empty"),
        LinkWithin => wasi.link_at(again(&fixed), none(), "old", fixed, "new"),
        LinkOut => wasi.link_at(fixed, none(), "old", free, "new"),
        LinkIn => wasi.link_at(free, none(), "old", fixed, "new"),
        RenameWithin => wasi.rename_at(again(&fixed), "old", fixed, "new"),
        RenameOut => wasi.rename_at(fixed, "old", free, "new"),
        RenameIn => wasi.rename_at(free, "old", fixed, "new"),
    }
}

/// Does it by WASI 0.3.
async fn by_0_3(
    cx: impl Access<WasiCtx>,
    operation: Operation,
) -> Result<(), p3::filesystem::Failure> {
    use crate::p3::bindings::wasi::filesystem::preopens::Host as _;
    use crate::p3::bindings::wasi::filesystem::types::*;
    let none = PathFlags::empty;
    let (read, write) = (DescriptorFlags::READ, DescriptorFlags::WRITE);
    let open = async |dir: &Resource<_>, path: &str, open, flags| {
        let opened = WasiCtx::open_at(cx, again(dir), none(), path.into(), open, flags);
        opened.await
    };
    let dirs = cx.with(|wasi| wasi.get_directories())??;
    let fixed = open(&dirs[0].0, "below", OpenFlags::DIRECTORY, read).await?;
    let free = open(&dirs[1].0, "below", OpenFlags::DIRECTORY, read).await?;
    let now = || NewTimestamp::Now;
    let (old, new) = (|| "old".to_string(), || "new".to_string());
    type W = WasiCtx;
    match operation {
        Create => open(&fixed, "new", OpenFlags::CREATE, read).await.map(drop),
        OpenToWrite => {
            let flags = read | write;
            let opened = open(&fixed, "old", OpenFlags::empty(), flags).await;
            opened.map(drop)
        }
        Truncate => {
            let opened = open(&fixed, "old", OpenFlags::TRUNCATE, read).await;
            opened.map(drop)
        }
        OpenToMutate => {
            let flags = read | DescriptorFlags::MUTATE_DIRECTORY;
            let opened = open(&fixed, "empty", OpenFlags::DIRECTORY, flags).await;
            opened.map(drop)
        }
        CreateDirectory => W::create_directory_at(cx, fixed, new()).await,
        Symlink => W::symlink_at(cx, fixed, old(), new()).await,
        SetTimesAt => W::set_times_at(cx, fixed, none(), old(), now(), now()).await,
        SetTimesOfDirectory => W::set_times(cx, fixed, now(), now()).await,
        SetTimesOfFile | SetSize => {
            let file = open(&fixed, "old", OpenFlags::empty(), read).await?;
            match operation {
                SetSize => W::set_size(cx, file, 0).await,
                _ => W::set_times(cx, file, now(), now()).await,
            }
        }
        Unlink => W::unlink_file_at(cx, fixed, old()).await,
        RemoveDirectory => W::remove_directory_at(cx, fixed, "empty".to_string()).await,
        LinkWithin => W::link_at(cx, again(&fixed), none(), old(), fixed, new()).await,
        LinkOut => W::link_at(cx, fixed, none(), old(), free, new()).await,
        LinkIn => W::link_at(cx, free, none(), old(), fixed, new()).await,
        RenameWithin => W::rename_at(cx, again(&fixed), old(), fixed, new()).await,
        RenameOut => W::rename_at(cx, fixed, old(), free, new()).await,
        RenameIn => W::rename_at(cx, free, old(), fixed, new()).await,
    }
}

/// What became of it by each version.
fn outcomes(folder: &Path, operation: Operation) -> [Result<(), ErrorCode>; 2] {
    let code = |result| match result {
        Ok(()) => Ok(()),
        Err(crate::common::failure::Failure::Code(code)) => Err(code),
        Err(crate::common::failure::Failure::Trap(error)) => panic!("{operation:?}: {error:?}"),
    };
    let first = code(by_0_2(&mut context(folder), operation));
    let mut store = Store::new(context(folder));
    let running = store.run_concurrent(async |cx| by_0_3(cx, operation).await);
    let mut running = pin!(running);
    // Nothing waits: files are worked on in place.
    match running
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()))
    {
        Poll::Ready(result) => [first, code(result.unwrap())],
        Poll::Pending => panic!("{operation:?} waits"),
    }
}

#[test]
fn nothing_below_a_read_only_directory_can_be_changed() {
    for (operation, code) in ALL {
        let folder = directories();
        let before = state(folder.path());
        let found = outcomes(folder.path(), operation);
        assert_eq!(found, [Err(code), Err(code)], "{operation:?}");
        assert_eq!(state(folder.path()), before, "{operation:?}");
    }
}
