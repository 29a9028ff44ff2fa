//! [`SharedWorker`]: an instance of 0.3 that serves several requests at once.
//!
//! A task drives its store. Requests come to it by a queue, and each becomes a future of the
//! store's, which calls the guest. Guest code of one request runs at a time; the others wait.

use crate::WasiView;
use crate::http::Body;
use crate::http::message::Target;
use crate::http::service::{
    Connection, Handle, Sender, ServeError, Service, ServiceKind, Worker, answer, bare, idle,
    panicked, received, request, target,
};
use anyhow::{Result, ensure};
use bytes::Bytes;
use std::collections::BTreeSet;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Instant;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use trampette_runtime::{Accessor, InterruptHandle, Trap, TrapCode};

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
    over: oneshot::Sender<Result<()>>,
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
pub struct SharedRest(oneshot::Receiver<Result<()>>);

impl Future for SharedRest {
    /// An error if the call has trapped. How the instance has ended is told to whoever has begun
    /// it.
    type Output = Result<()>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let over = Pin::new(&mut self.0).poll(cx);
        over.map(|over| over.unwrap_or(Ok(())))
    }
}

/// When the store of an instance ends: with the first of its requests that has no time left. Where
/// none is under way, the last one's time counts, until nothing goes on any more.
struct Clock {
    interrupts: InterruptHandle,
    state: Mutex<Deadlines>,
}

#[derive(Default)]
struct Deadlines {
    under_way: BTreeSet<(Instant, u64)>,
    begun: u64,
    is_set: bool,
}

impl Clock {
    fn state(&self) -> MutexGuard<'_, Deadlines> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(self: &Arc<Self>, deadline: Option<Instant>) -> Result<Time> {
        let key = match deadline {
            None => None,
            Some(deadline) => {
                let mut state = self.state();
                state.begun += 1;
                let key = (deadline, state.begun);
                state.under_way.insert(key);
                self.set(&mut state)?;
                Some(key)
            }
        };
        Ok(Time {
            clock: self.clone(),
            key,
        })
    }

    fn set(&self, state: &mut Deadlines) -> Result<()> {
        if let Some((first, _)) = state.under_way.first() {
            self.interrupts.set_deadline(Some(*first))?;
            state.is_set = true;
        }
        Ok(())
    }

    /// Nothing goes on: the time until the next request does not count.
    fn stop(&self) -> Result<()> {
        let mut state = self.state();
        if state.is_set && state.under_way.is_empty() {
            self.interrupts.set_deadline(None)?;
            state.is_set = false;
        }
        Ok(())
    }
}

/// The time of a request, until this is dropped.
struct Time {
    clock: Arc<Clock>,
    key: Option<(Instant, u64)>,
}

impl Drop for Time {
    fn drop(&mut self) {
        if let Some(key) = self.key {
            let mut state = self.clock.state();
            state.under_way.remove(&key);
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

    /// Lets the guest answer a request while it answers others. At the deadline the whole instance
    /// ends, with all of its requests, if this one is not over. If this future is dropped before
    /// there is a response, the guest is told that the call is cancelled.
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
        B: http_body::Body<Data = Bytes, Error = hyper::Error> + Send + 'static,
    {
        let target = target(&request, &connection)?;
        let method = target.method.clone();
        let (headers, body) = received(request);
        let (sender, receiver) = oneshot::channel();
        let (over, rest) = oneshot::channel();
        let time = self.clock.begin(deadline).map_err(ServeError::Failed)?;
        let work = Work {
            target,
            headers,
            body,
            sender,
            over,
            time,
        };
        self.queue.send(work).map_err(|_| ServeError::Lost)?;
        match receiver.await {
            Ok(Ok(response)) => Ok(SharedAnswer {
                response: bare(&method, response),
                rest: SharedRest(rest),
            }),
            Ok(Err(code)) => Err(ServeError::Code(code)),
            Err(_) => Err(match rest.await {
                Ok(Ok(())) => ServeError::NoAnswer,
                Ok(Err(error)) if is_others(&error) => ServeError::Lost,
                Ok(Err(error)) => ServeError::Failed(error),
                Err(_) => ServeError::Lost,
            }),
        }
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
        ensure!(
            self.kind() == ServiceKind::Service,
            "an instance of WASI 0.2 serves one request at a time"
        );
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
    // Who has a sender is under way; the first call that fails says so.
    let (failed, mut failures) = mpsc::unbounded_channel::<()>();
    loop {
        let next = poll_fn(|context| {
            if failures.poll_recv(context).is_ready() {
                return Poll::Ready(Ok(None));
            }
            if cx.with(|caller| caller.tasks())? == 0 {
                clock.stop()?;
            }
            queue.poll_recv(context).map(anyhow::Ok)
        });
        let Some(work) = next.await? else { break };
        let failed = failed.clone();
        let begun = cx.spawn(async move {
            let Work {
                target,
                headers,
                body,
                sender,
                over,
                time,
            } = work;
            let served = one(cx, handle, (target, headers, body), sender).await;
            drop(time);
            if served.is_err() {
                let _ = failed.send(());
            }
            drop(over.send(served));
        });
        // What belongs to it was dropped: its client gets an answer. The next one may find room.
        drop(begun);
    }
    // Nothing more is taken; what has come is not begun.
    drop(queue);
    drop(failed);
    while failures.recv().await.is_some() {}
    idle(cx).await;
    Ok(())
}

/// One request.
async fn one<T: WasiView>(
    cx: Accessor<T>,
    handle: Handle,
    (target, headers, body): (Target, http::HeaderMap, Body),
    mut sender: Sender,
) -> Result<()> {
    let request =
        cx.with(|mut caller| request(caller.data_mut().wasi(), target, headers, body))??;
    let response = {
        let mut call = pin!(handle.call_concurrent(cx, (request,)));
        let mut gone = pin!(sender.closed());
        let response = poll_fn(|context| {
            if let Poll::Ready(response) = call.as_mut().poll(context) {
                return Poll::Ready(Some(response));
            }
            // Nobody waits any more: the call is cancelled.
            gone.as_mut().poll(context).map(|()| None)
        });
        response.await
    };
    match response {
        None => {}
        Some(response) => match response? {
            Ok(response) => answer(cx, response, sender).await?,
            Err(code) => drop(sender.send(Err(code))),
        },
    }
    Ok(())
}
