//! [`Call`]: a call that goes on while its host does something else, and what a host can do with
//! it besides waiting for the result.

use crate::concurrent::driver::{CallOutcome, Pending};
use crate::concurrent::event_loop::trap;
use crate::concurrent::exits::{Exit, ExitWatch};
use crate::host::func::{Func, TypedFunc};
use crate::machine::accessor::Accessor;
use crate::machine::store::StoreInner;
use crate::values::typed::{Lift, Lower, Params};
use crate::values::val::Val;
use anyhow::{Context as _, Result, anyhow};
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use trampette_artifact::trap::TrapCode;

/// A call that was begun by [`TypedFunc::start_concurrent`]: a future of its result, which can be
/// polled anywhere, and goes on whenever its store is driven.
///
/// Dropping it cancels the call, as [`Call::cancel`] does, but nobody hears what came of that.
///
/// ```
/// use trampette_runtime::{Accessor, CallOutcome, TypedFunc};
///
/// /// Has so much patience, then cancels; the answer may come all the same.
/// async fn ask(
///     cx: Accessor<()>,
///     fetch: TypedFunc<(u32,), u32>,
///     patience: impl Future<Output = ()>,
/// ) -> anyhow::Result<Option<u32>> {
///     let call = fetch.start_concurrent(cx, (7,))?;
///     patience.await;
///     Ok(match call.cancel().await? {
///         CallOutcome::Returned(value) => Some(value),
///         _ => None,
///     })
/// }
/// ```
#[must_use = "a call that is dropped is cancelled"]
pub struct Call<R> {
    state: State<R>,
}

enum State<R> {
    /// A task of the store's.
    Begun {
        pending: Pending<R>,
        watch: ExitWatch,
    },
    /// Of a function that is not `async`: over, and how, until that was taken.
    Done(Option<Result<R>>),
}

/// The result is moved out of a call, never pinned.
impl<R> Unpin for Call<R> {}

impl<R> std::fmt::Debug for Call<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Call").finish_non_exhaustive()
    }
}

impl<R> Future for Call<R> {
    type Output = Result<R>;

    /// Errors are those of [`TypedFunc::call_concurrent`]; and once there was a result, that it was
    /// taken.
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<R>> {
        let outcome = ready!(self.outcome(cx));
        Poll::Ready(outcome.and_then(CallOutcome::returned))
    }
}

impl<R> Call<R> {
    fn outcome(&mut self, cx: &mut Context<'_>) -> Poll<Result<CallOutcome<R>>> {
        match &mut self.state {
            State::Begun { pending, .. } => pending.poll(cx),
            State::Done(result) => {
                let result = result.take().context("the result was taken").flatten();
                Poll::Ready(result.map(CallOutcome::Returned))
            }
        }
    }

    /// Asks the call to cancel, and waits for what comes of that: one that waits to enter its
    /// instance never begins; a task that waits by a callback is told, and may answer with a result
    /// all the same; one that waits in the middle of its code is not told, and goes on to its
    /// result. So it may take as long as the call does.
    ///
    /// The guest is told when the store is driven next. What its task does after it has answered
    /// goes on.
    ///
    /// # Errors
    /// As of the call: a trap, for example, also one that the cancellation leads to. If the result
    /// was taken already.
    pub fn cancel(self) -> impl Future<Output = Result<CallOutcome<R>>> + use<R> {
        let mut call = self;
        let mut was_asked = false;
        poll_fn(move |cx| {
            if let State::Begun { pending, .. } = &mut call.state
                && !std::mem::replace(&mut was_asked, true)
            {
                pending.ask_to_cancel();
            }
            call.outcome(cx)
        })
    }

    /// Lets the call go on, whatever becomes of it: it begins if it has not, and its result is
    /// dropped. If it traps, whoever drives the store is told, unless another call of the same
    /// instance waits.
    pub fn detach(self) {
        if let State::Begun { mut pending, .. } = self.state {
            pending.forget();
        }
    }

    /// Waits until the task of the call is over altogether: with its result, or cancelled, and done
    /// with what it does after that. The result may be taken before or afterwards.
    ///
    /// # Errors
    /// If a trap ends the instance before that ([`TrapCode::CannotEnter`]), or the store goes.
    pub fn exited(&mut self) -> impl Future<Output = Result<()>> + use<'_, R> {
        poll_fn(|cx| {
            let State::Begun { watch, .. } = &self.state else {
                return Poll::Ready(Ok(()));
            };
            Poll::Ready(match ready!(watch.poll(cx)) {
                Exit::Over => Ok(()),
                Exit::Trapped => Err(trap(TrapCode::CannotEnter)),
                Exit::Gone => Err(anyhow!("the store was dropped")),
            })
        })
    }
}

/// A call that is a task, begun by `begin`.
fn begun<T: 'static, R>(
    cx: Accessor<T>,
    begin: impl FnOnce(&StoreInner) -> Result<Pending<R>>,
) -> Result<State<R>> {
    cx.enter(|store| {
        let pending = begin(store)?;
        let watch = pending.watch_exit(store)?;
        Ok(State::Begun { pending, watch })
    })?
}

impl<P: Params + Lower + 'static, R: Lift + Send> TypedFunc<P, R> {
    /// Begins a call, which goes on while its store is driven. Unlike the future of
    /// [`TypedFunc::call_concurrent`] it has begun when this returns, which may mean that it waits
    /// to enter its instance; and a [`Call`] can be let go, and tells what came of its
    /// cancellation. A function that is not `async` has run.
    ///
    /// # Errors
    /// If the call cannot begin: parameters that do not fit, an instance that a trap has ended, too
    /// many tasks; if the accessor is of another store, or used where it may not be. What happens
    /// later is told by the [`Call`].
    pub fn start_concurrent<T: 'static>(&self, cx: Accessor<T>, params: P) -> Result<Call<R>> {
        let state = match self.callee().task() {
            Some(task) => begun(cx, |store| self.begin(store, task, params))?,
            None => State::Done(Some(cx.with(|caller| self.call(caller, params))?)),
        };
        Ok(Call { state })
    }
}

impl Func {
    /// As [`TypedFunc::start_concurrent`], with values.
    ///
    /// ```
    /// # use trampette_runtime::{Accessor, Func, Val};
    /// /// Asks for something, and does not wait for it.
    /// fn warm_up(cx: Accessor<()>, fetch: &Func) -> anyhow::Result<()> {
    ///     fetch.start_concurrent(cx, &[Val::U32(7)])?.detach();
    ///     Ok(())
    /// }
    /// ```
    ///
    /// # Errors
    /// As [`TypedFunc::start_concurrent`].
    pub fn start_concurrent<T: 'static>(
        &self,
        cx: Accessor<T>,
        args: &[Val],
    ) -> Result<Call<Option<Val>>> {
        let state = match self.callee().task() {
            Some(task) => begun(cx, |store| self.begin(store, task, args))?,
            None => State::Done(Some(cx.with(|caller| self.call_value(caller, args))?)),
        };
        Ok(Call { state })
    }
}
