//! Bodies: what a guest writes for the network ([`pipe`]), and what it reads from there
//! ([`Received`]).
//!
//! A body never holds more than a fixed number of bytes: whoever writes waits until whoever sends
//! has taken some, and nothing is read from a connection before a guest wants it. Small pieces that
//! wait together become one: a frame for each byte costs more than the byte, and clients of HTTP/2
//! end connections for it.

use crate::common::quota::{Charge, Quota};
use crate::http::ErrorCode;
use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::BodyExt;
use http_body_util::combinators::UnsyncBoxBody;
use std::borrow::Cow;
use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// The body of a message of the host's.
pub type Body = UnsyncBoxBody<Bytes, ErrorCode>;

/// A body without bytes.
pub(crate) fn empty() -> Body {
    full(Bytes::new())
}

/// A body of these bytes.
pub(crate) fn full(bytes: Bytes) -> Body {
    http_body_util::Full::new(bytes)
        .map_err(|never| match never {})
        .boxed_unsync()
}

/// The most bytes that wait in a body to be sent.
pub(crate) const ROOM: usize = 128 << 10;

/// Pieces that are smaller are put together while they wait.
const SMALL: usize = 4 << 10;

/// What small pieces become together, at most: a frame of HTTP/2.
const MERGED: usize = 16 << 10;

/// What a body is of: errors of both are called otherwise.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Direction {
    Request,
    Response,
}

impl Direction {
    /// The error for a body that is not as long as its headers say.
    fn wrong_size(self, bytes: u64) -> ErrorCode {
        match self {
            Direction::Request => ErrorCode::HttpRequestBodySize(Some(bytes)),
            Direction::Response => ErrorCode::HttpResponseBodySize(Some(bytes)),
        }
    }
}

struct State {
    direction: Direction,
    chunks: VecDeque<Bytes>,
    /// Small pieces behind those.
    tail: BytesMut,
    /// Bytes of all of them.
    queued: usize,
    charge: Charge,
    /// What the headers say.
    expected: Option<u64>,
    /// Bytes that were written in all.
    written: u64,
    end: Option<End>,
    /// How the transmission has ended.
    outcome: Option<Result<(), ErrorCode>>,
    writer: Option<Waker>,
    reader: Option<Waker>,
    waits_for_outcome: Option<Waker>,
}

enum End {
    Over(Option<HeaderMap>),
    Failed(ErrorCode),
    /// It was told.
    Told,
}

impl State {
    /// Puts a piece behind the others.
    fn push(&mut self, bytes: Cow<'_, [u8]>) {
        self.queued += bytes.len();
        let is_small = bytes.len() < SMALL;
        if !self.tail.is_empty() && (!is_small || self.tail.len() + bytes.len() > MERGED) {
            let tail = std::mem::take(&mut self.tail);
            self.chunks.push_back(tail.freeze());
        }
        match bytes {
            bytes if is_small => self.tail.extend_from_slice(&bytes),
            Cow::Borrowed(bytes) => self.chunks.push_back(Bytes::copy_from_slice(bytes)),
            Cow::Owned(bytes) => self.chunks.push_back(bytes.into()),
        }
    }

    /// What is sent next.
    fn pop(&mut self) -> Option<Bytes> {
        let chunk = match self.chunks.pop_front() {
            Some(chunk) => chunk,
            None if self.tail.is_empty() => return None,
            None => std::mem::take(&mut self.tail).freeze(),
        };
        self.queued -= chunk.len();
        self.charge.shrink(chunk.len());
        Some(chunk)
    }
}

type Shared = Arc<Mutex<State>>;

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}

/// A body that a guest writes: what writes it, the body, and what waits for it to be sent.
///
/// # Errors
/// If the quota is used up.
pub(crate) fn pipe(
    direction: Direction,
    expected: Option<u64>,
    quota: &Quota,
) -> Result<(Writer, PipeBody, Transmission), ErrorCode> {
    let charge = quota.charge(size_of::<State>()).ok_or_else(used_up)?;
    let state = Arc::new(Mutex::new(State {
        direction,
        chunks: VecDeque::new(),
        tail: BytesMut::new(),
        queued: 0,
        charge,
        expected,
        written: 0,
        end: None,
        outcome: None,
        writer: None,
        reader: None,
        waits_for_outcome: None,
    }));
    Ok((
        Writer(state.clone()),
        PipeBody(state.clone()),
        Transmission(state),
    ))
}

/// The error for a guest that makes the host keep too much.
pub(crate) fn used_up() -> ErrorCode {
    let text = "the guest's quota for HTTP fields and bodies is used up";
    ErrorCode::InternalError(Some(text.to_string()))
}

/// Why nothing can be written.
#[derive(Debug)]
pub(crate) enum Refused {
    /// Nobody sends it any more.
    Closed,
    /// The body is not what its headers say, or the quota is used up.
    Failed(ErrorCode),
}

/// The end of a body that is written. A body whose writer is dropped unfinished breaks off.
pub(crate) struct Writer(Shared);

impl Writer {
    /// Ready when there is room, or nothing can be written any more.
    pub(crate) fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = lock(&self.0);
        // What is queued will be taken; if there is nothing, waiting does not help.
        let has_room = state.queued < ROOM && state.charge.quota().left() > 0;
        if state.outcome.is_some() || state.end.is_some() || has_room || state.queued == 0 {
            return Poll::Ready(());
        }
        state.writer = Some(cx.waker().clone());
        Poll::Pending
    }

    /// How many bytes can be written now.
    ///
    /// # Errors
    /// See [`Refused`].
    pub(crate) fn room(&self) -> Result<usize, Refused> {
        let state = lock(&self.0);
        if state.outcome.is_some() || state.end.is_some() {
            return Err(Refused::Closed);
        }
        let left = state.charge.quota().left();
        let room = ROOM.saturating_sub(state.queued);
        match room.min(left) {
            // It will not grow by waiting: nothing of this body is on its way.
            0 if state.queued == 0 => Err(Refused::Failed(used_up())),
            room => Ok(room),
        }
    }

    /// Writes all of that, whether or not there is room.
    ///
    /// # Errors
    /// See [`Refused`]. A body that gets longer than its headers say is broken off.
    pub(crate) fn write<'b>(&self, bytes: impl Into<Cow<'b, [u8]>>) -> Result<(), Refused> {
        let bytes = bytes.into();
        if bytes.is_empty() {
            return Ok(());
        }
        let mut state = lock(&self.0);
        if state.outcome.is_some() || state.end.is_some() {
            return Err(Refused::Closed);
        }
        let written = state.written + bytes.len() as u64;
        let expected = state.expected;
        let error = match expected {
            Some(expected) if written > expected => Some(state.direction.wrong_size(written)),
            _ if !state.charge.grow(bytes.len()) => Some(used_up()),
            _ => None,
        };
        let waker = state.reader.take();
        if let Some(error) = error {
            state.end = Some(End::Failed(error.clone()));
            drop(state);
            wake(waker);
            return Err(Refused::Failed(error));
        }
        state.written = written;
        state.push(bytes);
        drop(state);
        wake(waker);
        Ok(())
    }

    /// Ends the body.
    ///
    /// # Errors
    /// If it is shorter than its headers say.
    pub(crate) fn finish(self, trailers: Option<HeaderMap>) -> Result<(), ErrorCode> {
        let mut state = lock(&self.0);
        let short = state.expected.filter(|expected| state.written < *expected);
        let error = short.map(|_| state.direction.wrong_size(state.written));
        state.end.get_or_insert(match &error {
            Some(error) => End::Failed(error.clone()),
            None => End::Over(trailers.filter(|trailers| !trailers.is_empty())),
        });
        let waker = state.reader.take();
        drop(state);
        wake(waker);
        error.map_or(Ok(()), Err)
    }

    /// Breaks the body off.
    pub(crate) fn fail(self, error: ErrorCode) {
        let mut state = lock(&self.0);
        state.end.get_or_insert(End::Failed(error));
        let waker = state.reader.take();
        drop(state);
        wake(waker);
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        let mut state = lock(&self.0);
        let text = "the body was given up before it was finished";
        let error = ErrorCode::InternalError(Some(text.to_string()));
        state.end.get_or_insert(End::Failed(error));
        let waker = state.reader.take();
        drop(state);
        wake(waker);
    }
}

/// The end of a body that is sent.
pub(crate) struct PipeBody(Shared);

impl http_body::Body for PipeBody {
    type Data = Bytes;
    type Error = ErrorCode;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ErrorCode>>> {
        let mut state = lock(&self.0);
        if let Some(chunk) = state.pop() {
            let waker = state.writer.take();
            drop(state);
            wake(waker);
            return Poll::Ready(Some(Ok(Frame::data(chunk))));
        }
        let (frame, outcome) = match state.end.replace(End::Told) {
            None => {
                state.end = None;
                state.reader = Some(cx.waker().clone());
                return Poll::Pending;
            }
            Some(End::Told) => return Poll::Ready(None),
            Some(End::Over(None)) => (None, Ok(())),
            Some(End::Over(Some(trailers))) => (Some(Ok(Frame::trailers(trailers))), Ok(())),
            Some(End::Failed(error)) => (Some(Err(error.clone())), Err(error)),
        };
        state.outcome.get_or_insert(outcome);
        let wakers = (state.writer.take(), state.waits_for_outcome.take());
        drop(state);
        wake(wakers.0);
        wake(wakers.1);
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        let mut state = lock(&self.0);
        let is_over = matches!(state.end, Some(End::Over(None)) | Some(End::Told));
        let is_end = is_over && state.queued == 0;
        if is_end {
            // It may not be asked again.
            state.outcome.get_or_insert(Ok(()));
            let waker = state.waits_for_outcome.take();
            drop(state);
            wake(waker);
        }
        is_end
    }

    fn size_hint(&self) -> SizeHint {
        let state = lock(&self.0);
        if let Some(expected) = state.expected {
            let taken = state.written - state.queued as u64;
            return SizeHint::with_exact(expected.saturating_sub(taken));
        }
        match state.end {
            Some(End::Over(None)) => SizeHint::with_exact(state.queued as u64),
            _ => SizeHint::default(),
        }
    }
}

impl Drop for PipeBody {
    fn drop(&mut self) {
        let mut state = lock(&self.0);
        // Whoever sends it may stop at the last byte, without asking for the end. What nobody ever
        // asked for was not sent, though.
        let is_whole = matches!(state.end, Some(End::Over(None))) && state.written > 0
            || state
                .expected
                .is_some_and(|expected| state.written == expected && expected > 0);
        let is_sent = is_whole && state.queued == 0;
        let outcome = match is_sent {
            true => Ok(()),
            false => Err(ErrorCode::ConnectionTerminated),
        };
        state.outcome.get_or_insert(outcome);
        let queued = std::mem::take(&mut state.queued);
        state.charge.shrink(queued);
        let chunks = (
            std::mem::take(&mut state.chunks),
            std::mem::take(&mut state.tail),
        );
        let wakers = (state.writer.take(), state.waits_for_outcome.take());
        drop(state);
        drop(chunks);
        wake(wakers.0);
        wake(wakers.1);
    }
}

/// Waits until a body was taken over by the connection, or will not be.
pub(crate) struct Transmission(Shared);

impl Future for Transmission {
    type Output = Result<(), ErrorCode>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = lock(&self.0);
        if let Some(outcome) = &state.outcome {
            return Poll::Ready(outcome.clone());
        }
        state.waits_for_outcome = Some(cx.waker().clone());
        Poll::Pending
    }
}

/// A body that a guest reads.
pub(crate) struct Received {
    /// `None` once it is over.
    body: Option<Body>,
    /// What was received and not read yet.
    chunk: Bytes,
    end: Option<Result<Option<HeaderMap>, ErrorCode>>,
    /// Who waits for the end, if the guest has given up reading.
    waits_for_end: Option<Waker>,
}

impl Received {
    pub(crate) fn new(body: Body) -> Received {
        let is_over = body.is_end_stream();
        Received {
            body: (!is_over).then_some(body),
            chunk: Bytes::new(),
            end: is_over.then_some(Ok(None)),
            waits_for_end: None,
        }
    }

    /// Ready when bytes are there, or the end.
    pub(crate) fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while self.chunk.is_empty() && self.end.is_none() {
            let Some(body) = &mut self.body else {
                self.finish(Ok(None));
                break;
            };
            let frame = std::task::ready!(Pin::new(body).poll_frame(cx));
            match frame.map(|frame| frame.map(Frame::into_data)) {
                Some(Ok(Ok(data))) => self.chunk = data,
                Some(Ok(Err(frame))) => self.finish(Ok(frame.into_trailers().ok())),
                Some(Err(error)) => self.finish(Err(error)),
                None => self.finish(Ok(None)),
            }
        }
        Poll::Ready(())
    }

    fn finish(&mut self, end: Result<Option<HeaderMap>, ErrorCode>) {
        self.body = None;
        self.end = Some(end);
        wake(self.waits_for_end.take());
    }

    /// At most so many bytes of those that are there; none if there are none.
    pub(crate) fn take(&mut self, most: usize) -> Bytes {
        let count = self.chunk.len().min(most);
        self.chunk.split_to(count)
    }

    /// Whether all of it was read, and how it ended.
    pub(crate) fn end(&self) -> Option<Result<(), ErrorCode>> {
        let end = self.end.as_ref().filter(|_| self.chunk.is_empty());
        end.map(|end| end.as_ref().map(|_| ()).map_err(Clone::clone))
    }

    /// Reads over what is left of the body; the trailers, when they are there.
    pub(crate) fn poll_trailers(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<HeaderMap>, ErrorCode>> {
        loop {
            self.chunk = Bytes::new();
            if let Some(end) = &mut self.end {
                let end = std::mem::replace(end, Ok(None));
                return Poll::Ready(end);
            }
            std::task::ready!(self.poll_ready(cx));
        }
    }

    /// The trailers, once somebody else has read all of the body.
    pub(crate) fn poll_end(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<HeaderMap>, ErrorCode>> {
        match self.end() {
            Some(_) => self.poll_trailers(cx),
            None => {
                self.waits_for_end = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }

    /// Somebody who waits for the end is to look again.
    pub(crate) fn given_up(&mut self) {
        wake(self.waits_for_end.take());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quota() -> Quota {
        Quota::new(1 << 20)
    }

    fn poll(body: &mut PipeBody) -> Poll<Option<Result<Frame<Bytes>, ErrorCode>>> {
        Pin::new(body).poll_frame(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn a_body_waits_for_whoever_sends_it() {
        let quota = quota();
        let mut cx = Context::from_waker(Waker::noop());
        let (writer, mut body, mut sent) = pipe(Direction::Response, None, &quota).unwrap();
        assert!(poll(&mut body).is_pending());
        assert_eq!(writer.room().unwrap(), ROOM);
        writer.write(vec![1; ROOM]).unwrap();
        assert_eq!(writer.room().unwrap(), 0);
        assert!(writer.poll_ready(&mut cx).is_pending());
        assert!(matches!(poll(&mut body), Poll::Ready(Some(Ok(_)))));
        assert!(writer.poll_ready(&mut cx).is_ready());
        assert!(Pin::new(&mut sent).poll(&mut cx).is_pending());
        writer.finish(None).unwrap();
        assert_eq!(body.size_hint().exact(), Some(0));
        assert!(matches!(poll(&mut body), Poll::Ready(None)));
        assert_eq!(Pin::new(&mut sent).poll(&mut cx), Poll::Ready(Ok(())));
        drop((body, sent));
        assert_eq!(quota.left(), 1 << 20);
    }

    /// Small pieces that wait are sent together, in their order among large ones, which are neither
    /// copied nor put together; one that is asked for at once is not kept back.
    #[test]
    fn small_pieces_that_wait_become_one() {
        let frames = |pieces: &[usize], taken_at_once: bool| -> Vec<usize> {
            let quota = quota();
            let (writer, mut body, _) = pipe(Direction::Response, None, &quota).unwrap();
            let mut bytes = (0_u8..251).cycle();
            let (mut frames, mut sent) = (Vec::new(), Vec::new());
            let mut take = || {
                while let Poll::Ready(Some(frame)) = poll(&mut body) {
                    let data = frame.unwrap().into_data().unwrap();
                    frames.push(data.len());
                    sent.extend(data);
                }
            };
            for length in pieces {
                let piece: Vec<u8> = bytes.by_ref().take(*length).collect();
                writer.write(&piece[..]).unwrap();
                if taken_at_once {
                    take();
                }
            }
            writer.finish(None).unwrap();
            take();
            drop(body);
            assert_eq!(quota.left(), 1 << 20);
            let all: usize = pieces.iter().sum();
            let expected: Vec<u8> = (0_u8..251).cycle().take(all).collect();
            assert!(sent == expected, "{pieces:?}");
            frames
        };
        let whole = MERGED;
        assert_eq!(frames(&[1; 100_000], false)[..6], [whole; 6]);
        assert_eq!(frames(&[1; 100_000], false).len(), 7);
        assert_eq!(frames(&[1, 2, 3], true), [1, 2, 3]);
        assert_eq!(
            frames(&[1, SMALL, 2, 3, whole + 1], false),
            [1, SMALL, 5, whole + 1]
        );
        assert_eq!(frames(&[SMALL, SMALL], false), [SMALL, SMALL]);
        let almost = SMALL - 1;
        assert_eq!(
            frames(&[almost; 9], false),
            [4 * almost, 4 * almost, almost]
        );
    }

    #[test]
    fn large_pieces_are_not_copied() {
        let quota = quota();
        let (writer, mut body, _) = pipe(Direction::Request, None, &quota).unwrap();
        let piece = vec![7; SMALL];
        let place = piece.as_ptr();
        writer.write(b"small").unwrap();
        writer.write(piece).unwrap();
        let mut next = || match poll(&mut body) {
            Poll::Ready(Some(Ok(frame))) => frame.into_data().unwrap(),
            _ => panic!("there is a frame"),
        };
        assert_eq!(next(), "small");
        assert_eq!(next().as_ptr(), place);
    }

    #[test]
    fn lengths_hold() {
        let quota = quota();
        for (direction, written) in [(Direction::Request, 3_u64), (Direction::Response, 5)] {
            let (writer, mut body, _) = pipe(direction, Some(4), &quota).unwrap();
            let bytes = vec![0; written as usize];
            let refused = match writer.write(bytes) {
                Ok(()) => writer.finish(None).unwrap_err(),
                Err(Refused::Failed(error)) => error,
                Err(Refused::Closed) => panic!("it is open"),
            };
            assert_eq!(refused, direction.wrong_size(written));
            let last = std::iter::from_fn(|| match poll(&mut body) {
                Poll::Ready(frame) => frame,
                Poll::Pending => None,
            });
            assert!(last.last().unwrap().is_err());
        }
    }

    #[test]
    fn a_body_that_is_given_up_breaks_off() {
        let quota = quota();
        let mut cx = Context::from_waker(Waker::noop());
        let (writer, mut body, sent) = pipe(Direction::Response, None, &quota).unwrap();
        drop(writer);
        assert!(matches!(poll(&mut body), Poll::Ready(Some(Err(_)))));
        drop(sent);
        // So it does for whoever writes, if nobody sends it.
        let (writer, body, mut sent) = pipe(Direction::Response, None, &quota).unwrap();
        writer.write(b"a").unwrap();
        drop(body);
        assert!(matches!(writer.room(), Err(Refused::Closed)));
        let outcome = Pin::new(&mut sent).poll(&mut cx);
        assert_eq!(outcome, Poll::Ready(Err(ErrorCode::ConnectionTerminated)));
    }

    #[test]
    fn a_quota_that_is_used_up_is_no_endless_wait() {
        let quota = Quota::new(2 * size_of::<State>() + 10);
        let (first, _body, _) = pipe(Direction::Request, None, &quota).unwrap();
        let (second, _other, _) = pipe(Direction::Request, None, &quota).unwrap();
        assert_eq!(first.room().unwrap(), 10);
        first.write(b"0123456789").unwrap();
        assert_eq!(first.room().unwrap(), 0);
        assert!(matches!(second.room(), Err(Refused::Failed(_))));
        assert!(matches!(second.write(b"1"), Err(Refused::Failed(_))));
    }
}
