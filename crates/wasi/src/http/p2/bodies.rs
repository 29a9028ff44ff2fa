//! Bodies of 0.2: streams of bytes, and the trailers behind them.

use crate::WasiCtx;
use crate::http::ErrorCode;
use crate::http::body::{Received, Refused, Writer};
use crate::http::fields::Fields;
use crate::http::p2::bindings::wasi::http::types::{
    self as wit, HostFutureTrailers, HostIncomingBody, HostOutgoingBody,
};
use crate::http::p2::{Failure, codes};
use crate::p2::io::{Failure as StreamFailure, PollReady, Pollable, Readiness};
use crate::p2::streams::{InputStream, OutputStream, PolledInput, PolledOutput};
use anyhow::{Result, anyhow};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use trampette_runtime::Resource;

pub(super) fn lock<S: ?Sized>(shared: &Mutex<S>) -> MutexGuard<'_, S> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// An error of a body, for whoever reads or writes its stream.
fn failed(code: ErrorCode) -> StreamFailure {
    StreamFailure::Failed(std::io::Error::other(code))
}

/// `incoming-body`.
pub(crate) struct IncomingBody {
    body: Arc<Mutex<Received>>,
    is_taken: bool,
}

impl IncomingBody {
    pub(super) fn new(body: crate::http::Body) -> IncomingBody {
        IncomingBody {
            body: Arc::new(Mutex::new(Received::new(body))),
            is_taken: false,
        }
    }
}

impl PollReady for Received {
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        Received::poll_ready(self, cx)
    }
}

impl PolledInput for Received {
    fn read(&mut self, limit: usize) -> Result<Vec<u8>, StreamFailure> {
        // Who has not waited for it reads what has come since.
        let mut cx = Context::from_waker(std::task::Waker::noop());
        if Received::poll_ready(self, &mut cx).is_pending() {
            return Ok(Vec::new());
        }
        match self.end() {
            Some(Ok(())) => Err(StreamFailure::Closed),
            Some(Err(code)) => Err(failed(code)),
            None => Ok(self.take(limit).into()),
        }
    }
}

impl HostIncomingBody for WasiCtx {
    fn stream(
        &mut self,
        this: Resource<IncomingBody>,
    ) -> Result<Result<Resource<InputStream>, ()>> {
        let body = self.table.get_mut(&this)?;
        if std::mem::replace(&mut body.is_taken, true) {
            return Ok(Err(()));
        }
        let stream = InputStream::polled(body.body.clone());
        Ok(Ok(self.table.push_child(stream, &this)?))
    }

    fn finish(&mut self, this: Resource<IncomingBody>) -> Result<Resource<FutureTrailers>> {
        let body = self.table.delete(this)?.body;
        let trailers = Arc::new(Mutex::new(Trailers {
            body,
            end: None,
            is_given: false,
        }));
        Ok(self.table.push(FutureTrailers(trailers))?)
    }

    fn drop(&mut self, this: Resource<IncomingBody>) -> Result<()> {
        self.give_up(this)
    }
}

/// `future-trailers`.
pub(crate) struct FutureTrailers(Arc<Mutex<Trailers>>);

/// Reads over what is left of a body, and keeps what is behind it.
struct Trailers {
    body: Arc<Mutex<Received>>,
    end: Option<Result<Option<http::HeaderMap>, ErrorCode>>,
    is_given: bool,
}

impl PollReady for Trailers {
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.end.is_none() && !self.is_given {
            let end = std::task::ready!(lock(&self.body).poll_trailers(cx));
            self.end = Some(end);
        }
        Poll::Ready(())
    }
}

impl HostFutureTrailers for WasiCtx {
    fn subscribe(&mut self, this: Resource<FutureTrailers>) -> Result<Resource<Pollable>> {
        let trailers = self.table.get(&this)?.0.clone();
        let pollable = Pollable(Readiness::Polled(trailers));
        Ok(self.table.push_child(pollable, &this)?)
    }

    fn get(&mut self, this: Resource<FutureTrailers>) -> Result<Option<GivenTrailers>> {
        let trailers = self.table.get(&this)?.0.clone();
        let mut trailers = lock(&trailers);
        if trailers.is_given {
            return Ok(Some(Err(())));
        }
        let mut cx = Context::from_waker(std::task::Waker::noop());
        if trailers.poll_ready(&mut cx).is_pending() {
            return Ok(None);
        }
        trailers.is_given = true;
        let map = match trailers.end.take() {
            Some(Ok(Some(map))) => map,
            Some(Ok(None)) | None => return Ok(Some(Ok(Ok(None)))),
            Some(Err(code)) => return Ok(Some(Ok(Err(codes::code(code))))),
        };
        Ok(Some(Ok(match Fields::received(map, self.http().quota()) {
            Ok(fields) => Ok(Some(self.table.push(fields)?)),
            Err(_) => Err(wit::ErrorCode::HttpResponseTrailerSectionSize(None)),
        })))
    }

    fn drop(&mut self, this: Resource<FutureTrailers>) -> Result<()> {
        self.give_up(this)
    }
}

/// What `future-trailers.get` gives once they are there.
type GivenTrailers = Result<Result<Option<Resource<Fields>>, wit::ErrorCode>, ()>;

/// `outgoing-body`.
pub(crate) struct OutgoingBody {
    writer: Arc<Mutex<Written>>,
    is_taken: bool,
}

/// The writer, until the body is finished.
struct Written(Option<Writer>);

impl OutgoingBody {
    pub(super) fn new(writer: Writer) -> OutgoingBody {
        OutgoingBody {
            writer: Arc::new(Mutex::new(Written(Some(writer)))),
            is_taken: false,
        }
    }
}

fn refused(refused: Refused) -> StreamFailure {
    match refused {
        Refused::Closed => StreamFailure::Closed,
        Refused::Failed(code) => failed(code),
    }
}

impl PollReady for Written {
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match &self.0 {
            Some(writer) => writer.poll_ready(cx),
            None => Poll::Ready(()),
        }
    }
}

impl PolledOutput for Written {
    fn permit(&mut self) -> Result<u64, StreamFailure> {
        let writer = self.0.as_ref().ok_or(StreamFailure::Closed)?;
        Ok(writer.room().map_err(refused)? as u64)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), StreamFailure> {
        let writer = self.0.as_ref().ok_or(StreamFailure::Closed)?;
        let room = writer.room().map_err(refused)?;
        if bytes.len() > room {
            return Err(StreamFailure::Trap(anyhow!(
                "a guest wrote {} bytes; check-write permitted {room}",
                bytes.len()
            )));
        }
        let written = writer.write(bytes);
        written.map_err(refused)
    }
}

impl HostOutgoingBody for WasiCtx {
    fn write(
        &mut self,
        this: Resource<OutgoingBody>,
    ) -> Result<Result<Resource<OutputStream>, ()>> {
        let body = self.table.get_mut(&this)?;
        if std::mem::replace(&mut body.is_taken, true) {
            return Ok(Err(()));
        }
        let stream = OutputStream::polled(body.writer.clone());
        Ok(Ok(self.table.push_child(stream, &this)?))
    }

    fn finish(
        &mut self,
        this: Resource<OutgoingBody>,
        trailers: Option<Resource<Fields>>,
    ) -> Result<(), Failure> {
        let writer = lock(&self.table.delete(this)?.writer).0.take();
        let trailers = match trailers {
            None => None,
            Some(trailers) => {
                let map = self.table.delete(trailers)?.to_trailers();
                let map = map.map_err(|_| ErrorCode::HttpResponseTrailerSectionSize(None))?;
                Some(map)
            }
        };
        match writer {
            Some(writer) => Ok(writer.finish(trailers)?),
            None => Ok(()),
        }
    }

    fn drop(&mut self, this: Resource<OutgoingBody>) -> Result<()> {
        // Not finished: it breaks off.
        drop(lock(&self.table.delete(this)?.writer).0.take());
        Ok(())
    }
}
