//! Bodies: streams of a guest's on their way to the network, and those from there on their way to a
//! guest; with the futures of their trailers.

use crate::WasiCtx;
use crate::http::body::{Body, Direction, Received, Refused, Writer, pipe};
use crate::http::fields::Fields;
use crate::http::p3::Failure;
use crate::http::p3::bindings::wasi::http::types::ErrorCode;
use anyhow::Result;
use http_body_util::BodyExt;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use tokio::sync::oneshot;
use trampette_runtime::{
    Access, AccessMut, FutureReader, Items, Progress, Resource, StreamConsumer, StreamProducer,
    StreamReader, Window,
};

/// What trailers come to.
pub(crate) type Trailers = Result<Option<Resource<Fields>>, ErrorCode>;

/// What a transmission comes to.
pub(crate) type Outcome = Result<(), ErrorCode>;

/// The body of a message.
pub(crate) enum Content {
    /// A guest's.
    Guest {
        contents: Option<StreamReader<u8>>,
        trailers: FutureReader<Trailers>,
        told: oneshot::Sender<Told>,
    },
    /// The host's, as a rule from the network.
    Host(Body),
}

/// What the guest that made a message is told of its transmission.
pub(crate) enum Told {
    Now(Outcome),
    /// What another guest says, to whom the message was given.
    Later(trampette_runtime::Received<Outcome>),
}

impl Content {
    /// A guest's body, and the future of what becomes of it.
    ///
    /// # Errors
    /// If there are too many futures.
    pub(crate) fn of_guest(
        cx: &mut impl AccessMut<WasiCtx>,
        contents: Option<StreamReader<u8>>,
        trailers: FutureReader<Trailers>,
    ) -> Result<(Content, FutureReader<Outcome>)> {
        let (told, hears) = oneshot::channel();
        let outcome = FutureReader::new(cx, async {
            Ok(match hears.await {
                Ok(Told::Now(outcome)) => outcome,
                // Whoever has it and says nothing has nothing to complain of.
                Ok(Told::Later(outcome)) => outcome.await.unwrap_or(Ok(())),
                Err(_) => Ok(()),
            })
        })?;
        let content = Content::Guest {
            contents,
            trailers,
            told,
        };
        Ok((content, outcome))
    }

    /// Says that it is not sent.
    pub(crate) fn tell(self, outcome: Outcome) {
        if let Content::Guest { told, .. } = self {
            // The guest may not want to hear of it.
            let _ = told.send(Told::Now(outcome));
        }
    }

    /// The body for a guest that reads it, and its trailers.
    ///
    /// # Errors
    /// If there are too many streams.
    pub(crate) fn consume(
        self,
        cx: &mut impl AccessMut<WasiCtx>,
        outcome: FutureReader<Outcome>,
    ) -> Result<(StreamReader<u8>, FutureReader<Trailers>)> {
        match self {
            Content::Guest {
                contents,
                trailers,
                told,
            } => {
                let outcome = outcome.read(&mut *cx)?;
                let _ = told.send(Told::Later(outcome));
                let contents = match contents {
                    Some(contents) => contents,
                    None => StreamReader::from_vec(cx, Vec::new())?,
                };
                Ok((contents, trailers))
            }
            Content::Host(body) => {
                let shared = Arc::new(Mutex::new(Shared {
                    body: Received::new(body),
                    is_read: true,
                }));
                let contents = StreamReader::new(&mut *cx, Producer(shared.clone()))?;
                let later = cx.access();
                let trailers = FutureReader::new(cx, trailers(later, shared))?;
                Ok((contents, trailers))
            }
        }
    }
}

/// A body from the network that a guest reads.
struct Shared {
    body: Received,
    /// Whether the guest has the stream.
    is_read: bool,
}

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The trailers behind a body, once the guest has read it; what it does not want is read over.
async fn trailers(cx: impl Access<WasiCtx>, shared: Arc<Mutex<Shared>>) -> Result<Trailers> {
    let end = poll_fn(|context| {
        let mut shared = lock(&shared);
        match shared.is_read {
            true => shared.body.poll_end(context),
            false => shared.body.poll_trailers(context),
        }
    });
    let map = match end.await {
        Ok(Some(map)) => map,
        Ok(None) => return Ok(Ok(None)),
        Err(code) => return Ok(Err(code)),
    };
    cx.with(|wasi| {
        let quota = wasi.http().quota().clone();
        match Fields::received(map, &quota) {
            Ok(fields) => Ok(Ok(Some(wasi.table.push(fields)?))),
            Err(_) => Ok(Err(ErrorCode::HttpResponseTrailerSectionSize(None))),
        }
    })?
}

/// Writes what comes from the network straight into the guest's buffer.
struct Producer(Arc<Mutex<Shared>>);

impl StreamProducer for Producer {
    type Item = u8;

    fn poll_produce(
        &mut self,
        cx: &mut Context<'_>,
        window: &mut Window<'_, u8>,
    ) -> Poll<Result<Progress>> {
        let mut shared = lock(&self.0);
        let mut has_some = false;
        loop {
            match shared.body.poll_ready(cx) {
                Poll::Pending if has_some => return Poll::Ready(Ok(Progress::Open)),
                polled => ready!(polled),
            }
            if shared.body.end().is_some() {
                return Poll::Ready(Ok(Progress::Over));
            }
            if window.remaining() == 0 {
                return Poll::Ready(Ok(Progress::Open));
            }
            window.put_slice(&shared.body.take(window.remaining()));
            has_some = true;
        }
    }
}

impl Drop for Producer {
    fn drop(&mut self) {
        let mut shared = lock(&self.0);
        shared.is_read = false;
        shared.body.given_up();
    }
}

/// A body on its way to the network.
pub(crate) struct Sending {
    pub body: Body,
    /// Ready when a guest's body is sent, or will not be.
    pub sent: Option<oneshot::Receiver<()>>,
}

/// A body for the network of what a guest has given.
///
/// # Errors
/// If there are too many streams and futures; inside, if the guest's quota is used up.
pub(crate) fn into_body(
    cx: impl Access<WasiCtx>,
    content: Content,
    direction: Direction,
    length: Option<u64>,
) -> Result<Result<Sending, Failure>> {
    let (contents, trailers, told) = match content {
        Content::Host(body) => return Ok(Ok(Sending { body, sent: None })),
        Content::Guest {
            contents,
            trailers,
            told,
        } => (contents, trailers, told),
    };
    let quota = cx.with(|wasi| wasi.http().quota().clone())?;
    let (writer, body, sent) = match pipe(direction, length, &quota) {
        Ok(pipe) => pipe,
        Err(code) => return Ok(Err(code.into())),
    };
    let (hand, handed) = oneshot::channel();
    let trailers = cx.store().with(|caller| -> Result<_> {
        let mut caller = caller;
        match contents {
            Some(contents) => {
                let consumer = Consumer {
                    writer: Some(writer),
                    hand: Some(hand),
                };
                contents.pipe(&mut caller, consumer)?;
            }
            None => drop(hand.send(writer)),
        }
        trailers.read(&mut caller)
    })??;
    let (over, is_over) = oneshot::channel();
    cx.store().spawn(async move {
        finish(cx, handed, trailers).await;
        let _ = told.send(Told::Now(sent.await));
        let _ = over.send(());
    })?;
    Ok(Ok(Sending {
        body: body.boxed_unsync(),
        sent: Some(is_over),
    }))
}

/// Ends a body when its stream has ended and the trailers are there.
async fn finish(
    cx: impl Access<WasiCtx>,
    handed: oneshot::Receiver<Writer>,
    trailers: trampette_runtime::Received<Trailers>,
) {
    // If the stream was lost, or nobody wants it, its writer is gone with it.
    let Ok(writer) = handed.await else { return };
    // Who does not say what the trailers are has not finished.
    let Ok(trailers) = trailers.await else { return };
    let map = match trailers {
        Ok(None) => None,
        Ok(Some(fields)) => {
            let map = cx.with(|wasi| wasi.table.delete(fields).map(|fields| fields.to_trailers()));
            match map {
                Ok(Ok(Ok(map))) => Some(map),
                _ => return writer.fail(ErrorCode::HttpResponseTrailerSectionSize(None)),
            }
        }
        Err(code) => return writer.fail(code),
    };
    // A body that is too short breaks off; whoever waits for its transmission is told.
    let _ = writer.finish(map);
}

/// Hands a guest's stream to the network.
struct Consumer {
    writer: Option<Writer>,
    hand: Option<oneshot::Sender<Writer>>,
}

impl StreamConsumer for Consumer {
    type Item = u8;

    fn poll_consume(
        &mut self,
        cx: &mut Context<'_>,
        items: &mut Items<'_, u8>,
    ) -> Poll<Result<Progress>> {
        loop {
            let Some(writer) = &self.writer else {
                return Poll::Ready(Ok(Progress::Over));
            };
            let refused = match writer.room() {
                Ok(0) => {
                    ready!(writer.poll_ready(cx));
                    continue;
                }
                Ok(_) if items.remaining() == 0 => return Poll::Ready(Ok(Progress::Open)),
                Ok(room) => {
                    let written = match items.as_slice() {
                        Some(slice) => {
                            let part = &slice[..slice.len().min(room)];
                            let count = part.len();
                            let written = writer.write(part);
                            items.advance(count);
                            written
                        }
                        None => writer.write(items.take(room)?),
                    };
                    match written {
                        Ok(()) => return Poll::Ready(Ok(Progress::Open)),
                        Err(refused) => refused,
                    }
                }
                Err(refused) => refused,
            };
            if let (Refused::Failed(code), Some(writer)) = (refused, self.writer.take()) {
                writer.fail(code);
            }
        }
    }

    fn closed(&mut self) {
        if let (Some(hand), Some(writer)) = (self.hand.take(), self.writer.take()) {
            // If nobody waits for it, the body breaks off.
            drop(hand.send(writer));
        }
    }
}
