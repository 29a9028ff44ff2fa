//! [`Later`]: what a function of a host comes to that may have to wait, as bindings have it.

use crate::machine::accessor::Accessor;
use crate::machine::store::Caller;
use anyhow::{Context as _, Result};
use std::fmt;
use std::task::{Context, Poll};

/// What a function of a host that [`bindgen!`](../trampette_bindgen) generates comes to if it is
/// named in `waits`: an outcome, or something to be polled until there is one.
///
/// The function itself has the host and views of its parameters. If its guest is awaited
/// ([`wait::is_awaited`](crate::wait::is_awaited)), it can leave what takes longer to be polled,
/// with the host; nothing of the guest runs before it is done.
///
/// ```
/// use std::task::Poll;
/// use std::time::Duration;
/// use trampette_runtime::{Later, wait};
///
/// struct Door {
///     bell: std::sync::Arc<std::sync::Mutex<(bool, Option<std::task::Waker>)>>,
/// }
///
/// /// `await-visitor: func(after: u32)`
/// fn await_visitor(door: &mut Door, after: u32) -> Later<Door, anyhow::Result<()>> {
///     if !wait::is_awaited() {
///         return Later::Now(wait::sleep(Duration::from_millis(after.into())));
///     }
///     Later::poll(|door: &mut Door, cx| {
///         let mut bell = door.bell.lock().unwrap();
///         bell.1 = Some(cx.waker().clone());
///         match bell.0 {
///             true => Poll::Ready(Ok(())),
///             false => Poll::Pending,
///         }
///     })
/// }
/// # let mut door = Door { bell: Default::default() };
/// # assert!(matches!(await_visitor(&mut door, 1), Later::Now(Ok(()))));
/// ```
pub enum Later<H: ?Sized, O> {
    /// It is done.
    Now(O),
    /// It is done when this says so, which keeps the context's waker until then.
    Wait(Polled<H, O>),
}

type Polled<H, O> = Box<dyn FnMut(&mut H, &mut Context<'_>) -> Poll<O> + Send>;

impl<H: ?Sized, O> Later<H, O> {
    /// Something to be polled.
    pub fn poll(
        poll: impl FnMut(&mut H, &mut Context<'_>) -> Poll<O> + Send + 'static,
    ) -> Later<H, O> {
        Later::Wait(Box::new(poll))
    }

    /// The outcome, if it is done.
    pub fn now(self) -> Option<O> {
        match self {
            Later::Now(outcome) => Some(outcome),
            Later::Wait(_) => None,
        }
    }

    /// The same with another outcome.
    pub fn map<N>(self, map: impl Fn(O) -> N + Send + 'static) -> Later<H, N>
    where
        H: 'static,
        O: 'static,
    {
        match self {
            Later::Now(outcome) => Later::Now(map(outcome)),
            Later::Wait(mut wait) => Later::poll(move |host: &mut H, cx| wait(host, cx).map(&map)),
        }
    }
}

impl<H: ?Sized, O: fmt::Debug> fmt::Debug for Later<H, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Later::Now(outcome) => f.debug_tuple("Now").field(outcome).finish(),
            Later::Wait(_) => f.write_str("Wait"),
        }
    }
}

/// The future of what a function of a host has come to, for generated code; `convert` makes a
/// result of its outcome.
#[doc(hidden)]
pub fn later<T, U, O, R, G, C>(
    mut caller: Caller<'_, T>,
    get: G,
    later: Later<U, O>,
    convert: C,
) -> impl Future<Output = Result<R>> + Send + 'static + use<T, U, O, R, G, C>
where
    T: 'static,
    U: ?Sized + 'static,
    O: 'static,
    R: Send + 'static,
    G: Fn(&mut T) -> &mut U + Copy + Send + Sync + 'static,
    C: Fn(&mut U, O) -> Result<R> + Send + 'static,
{
    let mut state = match later {
        Later::Now(outcome) => State::Done(Some(convert(get(caller.data_mut()), outcome))),
        Later::Wait(wait) => State::Waits(caller.accessor(), wait),
    };
    std::future::poll_fn(move |cx| match &mut state {
        State::Done(result) => {
            let result = result.take().context("the function is done");
            Poll::Ready(result.flatten())
        }
        State::Waits(access, wait) => {
            let polled = access.with(|mut caller| {
                let host = get(caller.data_mut());
                wait(host, cx).map(|outcome| convert(host, outcome))
            });
            match polled {
                Ok(polled) => polled,
                Err(error) => Poll::Ready(Err(error)),
            }
        }
    })
}

enum State<T: 'static, U: ?Sized, O, R> {
    Done(Option<Result<R>>),
    Waits(Accessor<T>, Polled<U, O>),
}
