//! `wasi:filesystem`: the interfaces over [`Descriptor`].
//!
//! What may have to wait for a disk is done by the context's [`FileWork`]. Reading through streams
//! is that if the system has the file not in its memory; what it has goes straight to the guest's.
//! Writing goes straight to the system's memory, and waits there only when that is full.

use crate::common::bytes::{FileSink, FileSource, OtherThreads, StreamSink, StreamSource};
use crate::common::context::{FileWork, WasiCtx};
use crate::common::descriptor::{Descriptor, FsResult};
use crate::common::directory::DirectoryEntryStream;
use crate::common::failure;
use crate::common::stdio::{Input, InputKind, Output, OutputKind};
use crate::p2::bindings::wasi::filesystem::types as p2;
use crate::p3::bindings::wasi::filesystem::preopens;
use crate::p3::bindings::wasi::filesystem::types::{self, *};
use crate::p3::ends::{self, Ended};
use crate::p3::error_code::timestamps;
use anyhow::{Context as _, Result};
use std::sync::Arc;
use std::task::{Context, Poll};
use trampette_runtime::{
    Access, AccessMut, FutureReader, Progress, Resource, StreamProducer, StreamReader, Window,
};

/// What a guest's `descriptor` stands for: other threads may use it while the guest gives it up.
pub(crate) type Open = Arc<Descriptor>;

/// Why a function of `wasi:filesystem` fails.
pub(crate) type Failure = failure::Failure<p2::ErrorCode>;

impl ConvertErrorCode for WasiCtx {
    fn convert_error_code(&mut self, failure: Failure) -> Result<ErrorCode> {
        Ok(failure.into_code()?.into())
    }
}

impl preopens::Host for WasiCtx {
    fn get_directories(&mut self) -> Result<Vec<(Handle, String)>> {
        let mut directories = Vec::new();
        for (descriptor, name) in self.open_preopens()? {
            directories.push((self.table.push(Arc::new(descriptor))?, name));
        }
        Ok(directories)
    }
}

impl types::Host for WasiCtx {}

type Handle = Resource<Open>;
type Fallible<R> = Result<R, Failure>;
type Reading<T> = (StreamReader<T>, FutureReader<Ended<ErrorCode>>);

/// Does something with a descriptor that may have to wait.
async fn work<R: Send + 'static>(
    cx: impl Access<WasiCtx>,
    this: Handle,
    operation: impl FnOnce(&Descriptor) -> FsResult<R> + Send + 'static,
) -> Fallible<R> {
    let (descriptor, reaction) = cx.with(|wasi| {
        let descriptor = wasi.table.get(&this)?.clone();
        let elsewhere = wasi.file_work == FileWork::OnOtherThreads;
        Ok::<_, Failure>((descriptor, elsewhere.then(|| wasi.reaction.clone())))
    })??;
    let Some(reaction) = reaction else {
        return Ok(operation(&descriptor)?);
    };
    let done = reaction.run_blocking(move || operation(&descriptor));
    let result = done.await.context("the host's work on files panicked")?;
    Ok(result?)
}

/// Those of two descriptors.
async fn work_on_two<R: Send + 'static>(
    cx: impl Access<WasiCtx>,
    this: Handle,
    other: Handle,
    operation: impl FnOnce(&Descriptor, &Descriptor) -> FsResult<R> + Send + 'static,
) -> Fallible<R> {
    let other = cx.with(|wasi| wasi.table.get(&other).cloned())??;
    work(cx, this, move |descriptor| operation(descriptor, &other)).await
}

/// What is opened for: to read, if nothing is said; what may be created may be written.
fn opened_for(open: OpenFlags, flags: DescriptorFlags) -> DescriptorFlags {
    let says = DescriptorFlags::READ | DescriptorFlags::WRITE;
    let mut flags = flags;
    if !flags.intersects(says) {
        flags |= DescriptorFlags::READ;
    }
    if open.contains(OpenFlags::CREATE) {
        flags |= DescriptorFlags::WRITE;
    }
    flags
}

impl HostDescriptor for WasiCtx {
    fn drop(&mut self, this: Handle) -> Result<()> {
        self.give_up(this)
    }

    // Streams.

    fn read_via_stream(
        cx: &mut impl AccessMut<Self>,
        this: Handle,
        offset: u64,
    ) -> Result<Reading<u8>> {
        let wasi = cx.host();
        match wasi.table.get(&this)?.readable().cloned() {
            Err(code) => ends::failed(cx, ErrorCode::from(code)),
            Ok(file) => match file.stream() {
                Some(fd) => {
                    let source = StreamSource::new(Input(InputKind::Fd(fd)), wasi.reaction.clone());
                    ends::read(cx, source)
                }
                None => {
                    let elsewhere = wasi.file_work == FileWork::OnOtherThreads;
                    let others = elsewhere.then(|| OtherThreads {
                        reaction: wasi.reaction.clone(),
                        reads: wasi.file_reads.clone(),
                    });
                    ends::read(cx, FileSource::new(file, offset, others))
                }
            },
        }
    }

    fn write_via_stream(
        cx: &mut impl AccessMut<Self>,
        this: Handle,
        data: StreamReader<u8>,
        offset: u64,
    ) -> Result<FutureReader<Ended<ErrorCode>>> {
        write(cx, &this, data, Some(offset))
    }

    fn append_via_stream(
        cx: &mut impl AccessMut<Self>,
        this: Handle,
        data: StreamReader<u8>,
    ) -> Result<FutureReader<Ended<ErrorCode>>> {
        write(cx, &this, data, None)
    }

    fn read_directory(
        cx: &mut impl AccessMut<Self>,
        this: Handle,
    ) -> Result<Reading<DirectoryEntry>> {
        let opened = cx.host().table.get(&this)?.read_directory();
        match opened {
            Err(code) => ends::failed(cx, ErrorCode::from(code)),
            Ok(entries) => {
                let (end, future) = ends::end(&mut *cx)?;
                Ok((StreamReader::new(cx, Entries { entries, end })?, future))
            }
        }
    }

    // What is known of an open descriptor.

    async fn advise(
        cx: impl Access<Self>,
        this: Handle,
        offset: u64,
        length: u64,
        advice: Advice,
    ) -> Fallible<()> {
        work(cx, this, move |descriptor| match descriptor.file() {
            Ok(_) => descriptor.advise(offset, length, advice.into()),
            Err(_) => Err(p2::ErrorCode::BadDescriptor),
        })
        .await
    }

    async fn sync_data(cx: impl Access<Self>, this: Handle) -> Fallible<()> {
        work(cx, this, Descriptor::sync_data).await
    }

    async fn sync(cx: impl Access<Self>, this: Handle) -> Fallible<()> {
        work(cx, this, Descriptor::sync).await
    }

    async fn get_flags(cx: impl Access<Self>, this: Handle) -> Fallible<DescriptorFlags> {
        Ok(cx.with(|wasi| wasi.table.get(&this).map(|open| open.asked.into()))??)
    }

    async fn get_type(cx: impl Access<Self>, this: Handle) -> Fallible<DescriptorType> {
        Ok(work(cx, this, Descriptor::kind).await?.into())
    }

    async fn set_size(cx: impl Access<Self>, this: Handle, size: u64) -> Fallible<()> {
        work(cx, this, move |descriptor| descriptor.set_size(size)).await
    }

    async fn set_times(
        cx: impl Access<Self>,
        this: Handle,
        access: NewTimestamp,
        modification: NewTimestamp,
    ) -> Fallible<()> {
        let times = timestamps(access, modification)?;
        work(cx, this, move |descriptor| {
            let refused = |code| match code {
                // It is a right that is missing, not the descriptor that is bad.
                p2::ErrorCode::BadDescriptor => p2::ErrorCode::NotPermitted,
                other => other,
            };
            descriptor.set_timestamps(&times).map_err(refused)
        })
        .await
    }

    async fn stat(cx: impl Access<Self>, this: Handle) -> Fallible<DescriptorStat> {
        Ok(work(cx, this, Descriptor::metadata).await?.into())
    }

    async fn is_same_object(cx: impl Access<Self>, this: Handle, other: Handle) -> Result<bool> {
        let same = work_on_two(cx, this, other, |this, other| Ok(this.is_same(other)));
        match same.await {
            Ok(same) => Ok(same),
            Err(Failure::Code(_)) => Ok(false),
            Err(Failure::Trap(error)) => Err(error),
        }
    }

    async fn metadata_hash(cx: impl Access<Self>, this: Handle) -> Fallible<MetadataHashValue> {
        Ok(work(cx, this, Descriptor::metadata_hash).await?.into())
    }

    // Operations on paths below a directory.

    async fn open_at(
        cx: impl Access<Self>,
        this: Handle,
        path_flags: PathFlags,
        path: String,
        open: OpenFlags,
        flags: DescriptorFlags,
    ) -> Fallible<Handle> {
        let flags = opened_for(open, flags).into();
        let opened = work(cx, this, move |descriptor| {
            descriptor.open_at(path_flags.into(), path, open.into(), flags)
        });
        let opened = Arc::new(opened.await?);
        Ok(cx.with(|wasi| wasi.table.push(opened))??)
    }

    async fn stat_at(
        cx: impl Access<Self>,
        this: Handle,
        flags: PathFlags,
        path: String,
    ) -> Fallible<DescriptorStat> {
        let found = work(cx, this, move |dir| dir.metadata_at(flags.into(), path));
        Ok(found.await?.into())
    }

    async fn set_times_at(
        cx: impl Access<Self>,
        this: Handle,
        flags: PathFlags,
        path: String,
        access: NewTimestamp,
        modification: NewTimestamp,
    ) -> Fallible<()> {
        let times = timestamps(access, modification)?;
        work(cx, this, move |dir| {
            dir.set_timestamps_at(flags.into(), path, &times)
        })
        .await
    }

    async fn metadata_hash_at(
        cx: impl Access<Self>,
        this: Handle,
        flags: PathFlags,
        path: String,
    ) -> Fallible<MetadataHashValue> {
        let hash = work(cx, this, move |dir| {
            dir.metadata_hash_at(flags.into(), path)
        });
        Ok(hash.await?.into())
    }

    async fn link_at(
        cx: impl Access<Self>,
        this: Handle,
        flags: PathFlags,
        path: String,
        to: Handle,
        new: String,
    ) -> Fallible<()> {
        work_on_two(cx, this, to, move |dir, to| {
            dir.link_at(flags.into(), path, to, new)
        })
        .await
    }

    async fn readlink_at(cx: impl Access<Self>, this: Handle, path: String) -> Fallible<String> {
        work(cx, this, move |dir| dir.readlink_at(path)).await
    }

    async fn rename_at(
        cx: impl Access<Self>,
        this: Handle,
        path: String,
        to: Handle,
        new: String,
    ) -> Fallible<()> {
        work_on_two(cx, this, to, move |dir, to| dir.rename_at(path, to, new)).await
    }

    async fn symlink_at(
        cx: impl Access<Self>,
        this: Handle,
        target: String,
        path: String,
    ) -> Fallible<()> {
        work(cx, this, move |dir| dir.symlink_at(target, path)).await
    }

    async fn unlink_file_at(cx: impl Access<Self>, this: Handle, path: String) -> Fallible<()> {
        work(cx, this, move |dir| dir.unlink_file_at(path)).await
    }

    async fn create_directory_at(
        cx: impl Access<Self>,
        this: Handle,
        path: String,
    ) -> Fallible<()> {
        work(cx, this, move |dir| dir.create_directory_at(path)).await
    }

    async fn remove_directory_at(
        cx: impl Access<Self>,
        this: Handle,
        path: String,
    ) -> Fallible<()> {
        work(cx, this, move |dir| dir.remove_directory_at(path)).await
    }
}

/// Lets a file have what a guest writes, from a position on; `None` for always at the end.
fn write(
    cx: &mut impl AccessMut<WasiCtx>,
    this: &Handle,
    data: StreamReader<u8>,
    position: Option<u64>,
) -> Result<FutureReader<Ended<ErrorCode>>> {
    let wasi = cx.host();
    match wasi.table.get(this)?.writable().cloned() {
        // The stream is dropped: nobody reads it.
        Err(code) => ends::ended(cx, Err(ErrorCode::from(code))),
        Ok(file) => match file.stream() {
            Some(fd) => {
                let sink = StreamSink::new(Output(OutputKind::Fd(fd)), wasi.reaction.clone());
                ends::write(cx, data, sink)
            }
            None => ends::write(cx, data, FileSink::new(file, position)),
        },
    }
}

/// Lists a directory for a guest.
struct Entries {
    entries: DirectoryEntryStream,
    end: ends::End<ErrorCode>,
}

/// Entries that are listed at a time.
const MOST_ENTRIES: usize = 256;

impl StreamProducer for Entries {
    type Item = DirectoryEntry;

    fn poll_produce(
        &mut self,
        _: &mut Context<'_>,
        window: &mut Window<'_, DirectoryEntry>,
    ) -> Poll<Result<Progress>> {
        for _ in 0..window.remaining().min(MOST_ENTRIES) {
            let ended = match self.entries.next_entry() {
                Ok(Some(p2::DirectoryEntry { type_, name })) => {
                    let type_ = type_.into();
                    // There is room for it.
                    let _ = window.push(DirectoryEntry { type_, name });
                    continue;
                }
                Ok(None) => Ok(()),
                Err(code) => Err(code.into()),
            };
            self.end.settle(ended);
            return Poll::Ready(Ok(Progress::Over));
        }
        Poll::Ready(Ok(Progress::Open))
    }
}
