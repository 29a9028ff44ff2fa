//! [`SharedWorker`]: an instance of 0.3 that serves several requests at once.
//!
//! A task drives its store. Requests come to it by a queue, and each becomes a future of the
//! store's, which calls the guest. Guest code of one request runs at a time; the others wait.
//!
//! A request whose time is over is given up first: both of its bodies break off, and its client is
//! told. That is all where the guest waits for that client. Where it goes on, it may be in the
//! middle of its code, and the whole instance ends. Calls are not cancelled: guests of today trap
//! when they are, which would end the others too.

use crate::WasiView;
use crate::http::message::Target;
use crate::http::service::{
    Connection, Handle, Polling, Sender, ServeError, Service, Worker, answer, bare, idle, panicked,
    received, request, target,
};
use crate::http::{Body, ErrorCode};
use anyhow::Result;
use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::BodyExt;
use std::collections::BTreeSet;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use trampette_runtime::{Accessor, InterruptHandle, Trap, TrapCode};

/// How long a guest may go on with a request that was given up, as its time is over.
const GRACE: Duration = Duration::from_millis(250);

/// An instance that serves several requests at once. A clone is the same one; when all are dropped
/// it ends what it is at, and then itself.
#[derive(Clone)]
pub struct SharedWorker {
    queue: mpsc::UnboundedSender<Work>,
    clock: Arc<Clock>,
}

/// A request for it.
struct Work {
    target: Target,
    headers: http::HeaderMap,
    body: Body,
    sender: Sender,
    over: oneshot::Sender<Result<(), ServeError>>,
    deadline: Option<Instant>,
    time: Time,
}

/// The response of an instance that serves others too.
pub struct SharedAnswer {
    /// To be sent; its body is what the guest still writes.
    pub response: http::Response<Body>,
    /// Ready when all of the response was sent, or the instance has ended.
    pub rest: SharedRest,
}

/// What goes on after a response.
pub struct SharedRest {
    over: oneshot::Receiver<Result<(), ServeError>>,
    is_cut: Arc<AtomicBool>,
}

impl Future for SharedRest {
    /// An error if the call has trapped, or the request's time was over before its end. How the
    /// instance has ended is told to whoever has begun it.
    type Output = Result<(), ServeError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let over = Pin::new(&mut self.over).poll(cx);
        over.map(|over| match over.unwrap_or(Ok(())) {
            Ok(()) if self.is_cut.load(Ordering::Relaxed) => Err(ServeError::Late),
            over => over,
        })
    }
}

/// A body that breaks off when its request's time is over, also where nobody asks for more of it.
struct Timed {
    part: Arc<Mutex<Part>>,
    timer: JoinHandle<()>,
}

struct Part {
    /// Taken when the time is over.
    body: Option<Body>,
    /// Who waits for more of it.
    reader: Option<Waker>,
}

impl Timed {
    /// The body, and whether it was broken off.
    fn limit(body: Body, deadline: Option<Instant>) -> (Body, Arc<AtomicBool>) {
        let is_cut = Arc::new(AtomicBool::new(false));
        let Some(deadline) = deadline.filter(|_| !body.is_end_stream()) else {
            return (body, is_cut);
        };
        let part = Arc::new(Mutex::new(Part {
            body: Some(body),
            reader: None,
        }));
        let (whole, cut) = (part.clone(), is_cut.clone());
        let timer = tokio::spawn(async move {
            tokio::time::sleep_until(deadline.into()).await;
            cut.store(true, Ordering::Relaxed);
            let mut part = locked(&whole);
            let (body, reader) = (part.body.take(), part.reader.take());
            drop(part);
            // Its writer is told, and its reader.
            drop(body);
            if let Some(reader) = reader {
                reader.wake();
            }
        });
        (Timed { part, timer }.boxed_unsync(), is_cut)
    }
}

fn locked(part: &Mutex<Part>) -> MutexGuard<'_, Part> {
    part.lock().unwrap_or_else(PoisonError::into_inner)
}

impl http_body::Body for Timed {
    type Data = Bytes;
    type Error = ErrorCode;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ErrorCode>>> {
        let mut part = locked(&self.part);
        let polled = match &mut part.body {
            Some(body) => Pin::new(body).poll_frame(cx),
            None => Poll::Ready(Some(Err(ErrorCode::ConnectionReadTimeout))),
        };
        part.reader = polled.is_pending().then(|| cx.waker().clone());
        drop(part);
        if let Poll::Ready(None) = polled {
            self.timer.abort();
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        let part = locked(&self.part);
        part.body
            .as_ref()
            .is_some_and(http_body::Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        let part = locked(&self.part);
        part.body
            .as_ref()
            .map_or_else(SizeHint::new, http_body::Body::size_hint)
    }
}

impl Drop for Timed {
    fn drop(&mut self) {
        self.timer.abort();
    }
}

/// When the store of an instance ends: with the first of its requests whose time is over and that
/// could not be given up. Where none is under way, the last one's time counts, until nothing goes
/// on any more.
struct Clock {
    interrupts: InterruptHandle,
    state: Mutex<Deadlines>,
}

/// A request's time, and a number that makes it its own.
type Key = (Instant, u64);

#[derive(Default)]
struct Deadlines {
    under_way: BTreeSet<Key>,
    /// Of requests that were given up, whose guests may go on.
    late: BTreeSet<Key>,
    /// Requests whose calls have begun.
    live: u32,
    /// How many there have been.
    begun: u64,
    is_set: bool,
}

impl Clock {
    fn state(&self) -> MutexGuard<'_, Deadlines> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(self: &Arc<Self>, deadline: Option<Instant>) -> Result<Time> {
        let mut state = self.state();
        state.begun += 1;
        let key = deadline.map(|deadline| (deadline, state.begun));
        state.under_way.extend(key);
        self.set(&mut state)?;
        Ok(Time {
            clock: self.clone(),
            key,
            is_live: false,
            is_late: false,
        })
    }

    fn set(&self, state: &mut Deadlines) -> Result<()> {
        let first = [&state.under_way, &state.late].map(|keys| keys.first().copied());
        if let Some((first, _)) = first.into_iter().flatten().min() {
            self.interrupts.set_deadline(Some(first))?;
            state.is_set = true;
        }
        Ok(())
    }

    /// Looks who goes on: so many tasks. When there are no more than requests, those that were
    /// given up are over; and when there are none, the time until the next request does not count.
    fn settle(&self, tasks: u32) -> Result<()> {
        let mut state = self.state();
        if !state.late.is_empty() && tasks <= state.live {
            state.late.clear();
            self.set(&mut state)?;
        }
        if state.is_set && tasks == 0 && state.under_way.is_empty() {
            self.interrupts.set_deadline(None)?;
            state.is_set = false;
        }
        Ok(())
    }
}

/// The time of a request, until this is dropped.
struct Time {
    clock: Arc<Clock>,
    key: Option<Key>,
    is_live: bool,
    is_late: bool,
}

impl Time {
    /// Its call begins.
    fn start(&mut self) {
        self.is_live = true;
        self.clock.state().live += 1;
    }

    /// Its time is over: it is given up, and its guest may go on all the same.
    fn give_up(&mut self) {
        self.is_late = true;
    }
}

impl Drop for Time {
    fn drop(&mut self) {
        let mut state = self.clock.state();
        state.live -= u32::from(self.is_live);
        if let Some(key) = self.key {
            state.under_way.remove(&key);
            if self.is_late {
                state.late.insert(key);
            }
            // The timer runs already.
            let _ = self.clock.set(&mut state);
        }
    }
}

/// How an instance that serves several requests at once has ended, when it has.
pub struct Ending(JoinHandle<Result<()>>);

impl Future for Ending {
    /// An error if it was stopped, because a request had no time left for example, or if it could
    /// not begin. What a call has trapped with is that request's.
    type Output = Result<()>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let joined = Pin::new(&mut self.0).poll(cx);
        joined.map(|joined| joined.unwrap_or_else(|error| Err(panicked(error))))
    }
}

impl SharedWorker {
    /// Whether the instance has ended: whoever asks it gets no answer.
    pub fn is_over(&self) -> bool {
        self.queue.is_closed()
    }

    /// Lets the guest answer a request while it answers others. At the deadline the request is
    /// given up, and both of its bodies break off; if its guest goes on for a quarter of a second,
    /// the whole instance ends, with all of its requests. If this future is dropped before there is
    /// a response, the guest makes it for nobody.
    ///
    /// # Errors
    /// See [`ServeError`]; [`ServeError::Lost`] if the instance has ended for another request's
    /// sake.
    pub async fn handle<B>(
        &self,
        request: http::Request<B>,
        connection: Connection,
        deadline: Option<Instant>,
    ) -> Result<SharedAnswer, ServeError>
    where
        B: http_body::Body<Data = Bytes, Error: Into<ErrorCode>> + Send + 'static,
    {
        let target = target(&request, &connection)?;
        let method = target.method.clone();
        let (headers, body) = received(request);
        let (body, _) = Timed::limit(body, deadline);
        let (sender, receiver) = oneshot::channel();
        let (over, rest) = oneshot::channel();
        let end = deadline.and_then(|deadline| deadline.checked_add(GRACE));
        let time = self.clock.begin(end).map_err(ServeError::Failed)?;
        let work = Work {
            target,
            headers,
            body,
            sender,
            over,
            deadline,
            time,
        };
        self.queue.send(work).map_err(|_| ServeError::Lost)?;
        match receiver.await {
            Ok(Ok(response)) => {
                let (parts, body) = bare(&method, response).into_parts();
                let (body, is_cut) = Timed::limit(body, deadline);
                Ok(SharedAnswer {
                    response: http::Response::from_parts(parts, body),
                    rest: SharedRest { over: rest, is_cut },
                })
            }
            Ok(Err(code)) => Err(ServeError::Code(code)),
            Err(_) => Err(match rest.await {
                Ok(Ok(())) => ServeError::NoAnswer,
                Ok(Err(error)) => error,
                Err(_) => ServeError::Lost,
            }),
        }
    }
}

/// Why a request of a guest's has no answer.
fn reason(error: anyhow::Error) -> ServeError {
    match is_others(&error) {
        true => ServeError::Lost,
        false => ServeError::Failed(error),
    }
}

/// Whether a call has failed because another one has ended the instance.
fn is_others(error: &anyhow::Error) -> bool {
    let trap = error.downcast_ref::<Trap>();
    trap.is_some_and(|trap| trap.kind() == TrapCode::CannotEnter)
}

impl<T: WasiView> Service<T> {
    /// Starts an instance that serves several requests at once, inside of a tokio runtime; and what
    /// tells how it has ended. Whatever the store limits, it limits for all of them together.
    ///
    /// ```no_run
    /// use trampette_runtime::Store;
    /// use trampette_wasi::http::{Connection, Service};
    /// use trampette_wasi::{WasiCtx, WasiCtxBuilder};
    ///
    /// # async fn serve(
    /// #     service: &Service<WasiCtx>,
    /// #     first: ::http::Request<hyper::body::Incoming>,
    /// #     second: ::http::Request<hyper::body::Incoming>,
    /// # ) -> anyhow::Result<()> {
    /// let store = Store::new(WasiCtxBuilder::new().inherit_stderr().build());
    /// let (worker, ending) = service.share(store.into())?;
    /// let other = worker.clone();
    /// // … of each request that a server gets:
    /// let first = tokio::spawn(async move {
    ///     other.handle(first, Connection::plain(), None).await
    /// });
    /// let second = worker.handle(second, Connection::plain(), None).await?;
    /// let first = first.await??;
    /// // … send them; then let the instance end:
    /// drop(worker);
    /// ending.await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// If the component serves by 0.2, whose instances serve one request at a time; or if no clock
    /// can be started.
    pub fn share(&self, mut worker: Worker<T>) -> Result<(SharedWorker, Ending)> {
        self.handler()?;
        let (queue, receiver) = mpsc::unbounded_channel();
        let clock = Arc::new(Clock {
            interrupts: worker.store().interrupt_handle()?,
            state: Mutex::default(),
        });
        let (service, stopped) = (self.clone(), clock.clone());
        let task = tokio::spawn(async move {
            let handle = service.handle_of(&mut worker)?;
            let served = worker
                .store()
                .run_concurrent(async move |cx| serve(cx, handle, receiver, stopped).await);
            served.await?
        });
        Ok((SharedWorker { queue, clock }, Ending(task)))
    }
}

/// Serves what comes, until nobody can send more or the instance has ended.
async fn serve<T: WasiView>(
    cx: Accessor<T>,
    handle: Handle,
    mut queue: mpsc::UnboundedReceiver<Work>,
    clock: Arc<Clock>,
) -> Result<()> {
    // Who has a sender is under way, and says how it has ended.
    let (ended, mut endings) = mpsc::unbounded_channel::<Result<(), ()>>();
    let mut full = None;
    loop {
        let next = poll_fn(|context| {
            while let Poll::Ready(Some(ended)) = endings.poll_recv(context) {
                if ended.is_err() {
                    return Poll::Ready(Ok(None));
                }
            }
            clock.settle(cx.with(|caller| caller.tasks())?)?;
            queue.poll_recv(context).map(anyhow::Ok)
        });
        let Some(work) = next.await? else { break };
        let ended = ended.clone();
        let begun = cx.spawn(async move {
            let Work {
                target,
                headers,
                body,
                sender,
                over,
                deadline,
                mut time,
            } = work;
            time.start();
            let client = Waiting { sender, over };
            let served = one(cx, handle, (target, headers, body), client, deadline).await;
            if deadline.is_some_and(|deadline| deadline <= Instant::now()) {
                time.give_up();
            }
            drop(time);
            let _ = ended.send(served);
        });
        if let Err(error) = begun {
            // There is no room for another request: this instance takes none any more.
            full = Some(error);
            break;
        }
    }
    // Nothing more is taken; what has come is not begun.
    drop(queue);
    drop(ended);
    while endings.recv().await.is_some() {}
    idle(cx).await;
    full.map_or(Ok(()), Err)
}

/// Who waits for a request.
struct Waiting {
    sender: Sender,
    over: oneshot::Sender<Result<(), ServeError>>,
}

/// One request: an error if its call has failed, which it tells the client, if that still waits.
async fn one<T: WasiView>(
    cx: Accessor<T>,
    handle: Handle,
    (target, headers, body): (Target, http::HeaderMap, Body),
    client: Waiting,
    deadline: Option<Instant>,
) -> Result<(), ()> {
    let made = cx.with(|mut caller| request(caller.data_mut().wasi(), target, headers, body));
    let request = match made.flatten() {
        Ok(request) => request,
        Err(error) => {
            drop(client.over.send(Err(reason(error))));
            return Err(());
        }
    };
    let mut client = Some(client);
    let mut call = pin!(handle.call_concurrent(cx, (request,)));
    let mut late = pin!(deadline.map(|deadline| tokio::time::sleep_until(deadline.into())));
    let returned = poll_fn(|context| {
        if let Poll::Ready(returned) = call.as_mut().poll(context) {
            return Poll::Ready(returned);
        }
        let is_late = |late: Pin<&mut tokio::time::Sleep>| late.poll(context).is_ready();
        if client.is_some() && late.as_mut().as_pin_mut().is_some_and(is_late) {
            let waits = client.take();
            waits.map(|Waiting { over, .. }| over.send(Err(ServeError::Late)));
        }
        Poll::Pending
    });
    let returned = returned.await;
    let Some(Waiting { sender, over }) = client else {
        // Nobody takes what comes late.
        if let Ok(Ok(response)) = returned {
            let _ = cx.with(|mut caller| caller.data_mut().wasi().table.delete(response));
            return Ok(());
        }
        return returned.map(drop).map_err(drop);
    };
    let served = match returned {
        Ok(Ok(response)) => answer(cx, response, sender, Polling::ByWakers).await,
        Ok(Err(code)) => {
            drop(sender.send(Err(code)));
            Ok(())
        }
        Err(error) => {
            drop(sender);
            Err(error)
        }
    };
    let has_failed = served.is_err();
    drop(over.send(served.map_err(reason)));
    match has_failed {
        true => Err(()),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use trampette_runtime::Store;

    /// The store ends with whoever has no time left, one that was given up and goes on among them.
    #[test]
    fn the_first_deadline_counts() -> Result<()> {
        let store = Store::new(());
        let clock = Arc::new(Clock {
            interrupts: store.interrupt_handle()?,
            state: Mutex::default(),
        });
        let now = Instant::now();
        let after = |seconds| Some(now + Duration::from_secs(seconds));
        let seconds = || {
            let left = store.deadline().map(|deadline| deadline - now);
            left.map(|left| left.as_secs_f64().round() as u64)
        };
        let mut long = clock.begin(after(100))?;
        let mut short = clock.begin(after(50))?;
        let endless = clock.begin(None)?;
        assert_eq!(seconds(), Some(50));
        long.start();
        short.start();
        drop((short, endless));
        assert_eq!(seconds(), Some(100));
        let mut late = clock.begin(after(30))?;
        late.start();
        late.give_up();
        drop(late);
        // Its task goes on beside that of the other one.
        clock.settle(2)?;
        assert_eq!(seconds(), Some(30));
        clock.settle(1)?;
        assert_eq!(seconds(), Some(100));
        drop(long);
        clock.settle(1)?;
        assert_eq!(seconds(), Some(100), "something goes on after all requests");
        clock.settle(0)?;
        assert_eq!(seconds(), None);
        let _next = clock.begin(after(70))?;
        clock.settle(0)?;
        assert_eq!(seconds(), Some(70), "it has not begun yet");
        Ok(())
    }
}
