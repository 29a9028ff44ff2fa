//! Streams of bytes between a guest and what the host has open, and the futures that say how they
//! ended.
//!
//! Bytes are read straight into the guest's memory and written from there. Where another part of
//! the host is at the other end, they go through the runtime's queue.

use crate::common::bytes::{Sink, Source};
use crate::common::outcome::{Settle, outcome};
use anyhow::Result;
use std::io;
use std::mem::MaybeUninit;
use std::task::{Context, Poll, ready};
use trampette_runtime::{
    AsContextMut, FutureReader, Items, Lower, Progress, StreamConsumer, StreamProducer,
    StreamReader, Window,
};

/// How a stream ended.
pub(crate) type Ended<E> = std::result::Result<(), E>;

/// What an error of an interface is made of.
pub(crate) trait Code: Lower + Send + 'static {
    /// The code of an error of the system.
    fn of(error: &io::Error) -> Self;
}

/// An end that may be settled without an error.
pub(crate) struct End<E>(Option<Settle<Finish<E>>>);

/// The default is a good end.
pub(crate) struct Finish<E>(Ended<E>);

impl<E> Default for Finish<E> {
    fn default() -> Self {
        Finish(Ok(()))
    }
}

impl<E: Code> End<E> {
    pub(crate) fn settle(&mut self, ended: Ended<E>) {
        if let Some(end) = self.0.take() {
            end.settle(Finish(ended));
        }
    }

    /// What a failed operation comes to.
    fn fail(&mut self, error: &io::Error) -> Poll<Result<Progress>> {
        self.settle(Err(E::of(error)));
        Poll::Ready(Ok(Progress::Over))
    }
}

/// A future that is settled with the end.
pub(crate) fn end<E: Code>(store: impl AsContextMut) -> Result<(End<E>, FutureReader<Ended<E>>)>
where
    Ended<E>: Lower,
{
    let (settle, settled) = outcome::<Finish<E>>();
    let future = FutureReader::new(store, async move { Ok(settled.await.0) })?;
    Ok((End(Some(settle)), future))
}

/// A future that is settled already.
pub(crate) fn ended<E: Code>(
    store: impl AsContextMut,
    ended: Ended<E>,
) -> Result<FutureReader<Ended<E>>>
where
    Ended<E>: Lower,
{
    FutureReader::new(store, async move { Ok(ended) })
}

/// A stream of what a source gives, and how it ends: well too if the guest wants no more.
pub(crate) fn read<E: Code>(
    mut store: impl AsContextMut,
    source: impl Source,
) -> Result<(StreamReader<u8>, FutureReader<Ended<E>>)>
where
    Ended<E>: Lower,
{
    let (end, future) = end(&mut store)?;
    Ok((StreamReader::new(store, Reads { source, end })?, future))
}

/// A stream that is closed already, because of an error.
pub(crate) fn failed<E: Code, T: Lower + Send + 'static>(
    mut store: impl AsContextMut,
    code: E,
) -> Result<(StreamReader<T>, FutureReader<Ended<E>>)>
where
    Ended<E>: Lower,
{
    let nothing = StreamReader::from_vec(&mut store, Vec::new())?;
    Ok((nothing, ended(store, Err(code))?))
}

/// Lets a sink have what a guest's stream gives; how that ends.
pub(crate) fn write<E: Code>(
    mut store: impl AsContextMut,
    data: StreamReader<u8>,
    sink: impl Sink,
) -> Result<FutureReader<Ended<E>>>
where
    Ended<E>: Lower,
{
    let (end, future) = end(&mut store)?;
    data.pipe(store, Writes { sink, end })?;
    Ok(future)
}

/// Bytes that are carried at a time where there is a buffer.
const PART: usize = 64 << 10;

/// Reads a source for a guest.
struct Reads<S: Source, E: Code> {
    source: S,
    end: End<E>,
}

impl<S: Source, E: Code> StreamProducer for Reads<S, E> {
    type Item = u8;

    fn poll_produce(
        &mut self,
        cx: &mut Context<'_>,
        window: &mut Window<'_, u8>,
    ) -> Poll<Result<Progress>> {
        if window.remaining() == 0 {
            return self.source.poll_readable(cx).map(|_| Ok(Progress::Open));
        }
        let read = match window.as_uninit() {
            Some(room) => {
                let read = self.source.poll_read(cx, initialised(room));
                if let Poll::Ready(Ok(count)) = read {
                    // SAFETY: so many have been written.
                    unsafe { window.advance(count) };
                }
                read
            }
            None => {
                let mut buffer = vec![0; window.remaining().min(PART)];
                let read = self.source.poll_read(cx, &mut buffer);
                if let Poll::Ready(Ok(count)) = read {
                    window.put_slice(&buffer[..count]);
                }
                read
            }
        };
        match ready!(read) {
            Ok(0) => {
                self.end.settle(Ok(()));
                Poll::Ready(Ok(Progress::Over))
            }
            Ok(_) => Poll::Ready(Ok(Progress::Open)),
            Err(error) => self.end.fail(&error),
        }
    }
}

impl<S: Source, E: Code> Drop for Reads<S, E> {
    fn drop(&mut self) {
        self.source.close();
    }
}

/// A guest's buffer as bytes.
fn initialised(room: &mut [MaybeUninit<u8>]) -> &mut [u8] {
    // SAFETY: it is a part of a linear memory, all of whose bytes have a value.
    unsafe { &mut *(std::ptr::from_mut(room) as *mut [u8]) }
}

/// Writes to a sink for a guest, or another part of the host.
struct Writes<S: Sink, E: Code> {
    sink: S,
    end: End<E>,
}

impl<S: Sink, E: Code> StreamConsumer for Writes<S, E> {
    type Item = u8;

    fn poll_consume(
        &mut self,
        cx: &mut Context<'_>,
        items: &mut Items<'_, u8>,
    ) -> Poll<Result<Progress>> {
        let Some(bytes) = items.as_slice() else {
            return Poll::Ready(Ok(Progress::Open));
        };
        match ready!(self.sink.poll_write(cx, bytes)) {
            Ok(count) => {
                items.advance(count);
                Poll::Ready(Ok(Progress::Open))
            }
            Err(error) => self.end.fail(&error),
        }
    }

    fn closed(&mut self) {
        self.sink.close();
        self.end.settle(Ok(()));
    }
}
