//! [`Accessor`]: how futures of the embedder get at the store that polls them.
//!
//! A future cannot borrow the store: guests use it between its polls. So an accessor is only a
//! number, and a *token* says that its store can be used now. There is one for each poll that the
//! running thread is inside of, made by whoever polls: nobody has a `&mut` of the store's data
//! then, since every [`Caller`] further out is lent to the call that got here. [`Accessor::with`]
//! takes the token out while its closure runs. A token is good only while no guest was entered
//! since: a host function that is called meanwhile has a `Caller` of its own.

use crate::machine::activation::Activation;
use crate::machine::reactor::{Done, Failure, HostFuture};
use crate::machine::store::{Caller, Store, StoreInner};
use anyhow::{Result, ensure};
use std::cell::Cell;
use std::marker::PhantomData;
use std::pin::Pin;
use std::ptr::null;
use std::task::{Context, Poll};

thread_local! {
    static INNERMOST: Cell<*const Token> = const { Cell::new(null()) };
}

/// Says that a future is being polled that may use a store.
pub(crate) struct Token {
    /// It outlives the poll.
    store: *const StoreInner,
    /// The innermost call of the thread when the poll began.
    activation: *const Activation,
    is_out: Cell<bool>,
    previous: *const Token,
}

impl Token {
    /// Polls something that may use the store. No `&mut` of the store's data is alive.
    #[inline]
    pub(crate) fn around<R>(store: &StoreInner, poll: impl FnOnce() -> R) -> R {
        struct Remove(*const Token);

        impl Drop for Remove {
            #[inline]
            fn drop(&mut self) {
                INNERMOST.set(self.0);
            }
        }

        let token = Token {
            store,
            activation: Activation::current(),
            is_out: Cell::new(false),
            previous: INNERMOST.get(),
        };
        INNERMOST.set(&raw const token);
        let _remove = Remove(token.previous);
        poll()
    }

    /// The innermost token of a store, if this thread has one.
    fn of<'t>(store: u64) -> Option<&'t Token> {
        let mut token = INNERMOST.get();
        loop {
            // SAFETY: tokens live on the stack of the polls that they are for, which are not over.
            let this = unsafe { token.as_ref() }?;
            // SAFETY: the store outlives the poll.
            if unsafe { (*this.store).id() } == store {
                return Some(this);
            }
            token = this.previous;
        }
    }

    /// Whether a closure of [`Accessor::with`] runs that this thread is in, and no guest's code
    /// above it: what it calls would drive the store from inside of a poll.
    pub(crate) fn is_in_use(store: &StoreInner) -> bool {
        let token = Token::of(store.id());
        token.is_some_and(|token| {
            token.is_out.get() && std::ptr::eq(token.activation, Activation::current())
        })
    }
}

/// Access to a store from futures that the store polls: those of host functions, of
/// [`Store::run_concurrent`], of [`Accessor::spawn`].
///
/// It can be copied and kept anywhere; whether it can be used is found out when it is.
///
/// ```
/// use trampette_runtime::{Accessor, Caller, Linker};
///
/// # fn main() -> anyhow::Result<()> {
/// # async fn fetch() -> u64 { 7 }
/// let mut linker = Linker::<u64>::new();
/// linker.root().func_wrap_async::<(), u64, _, _>("total", |caller: Caller<'_, u64>, ()| {
///     let cx = caller.accessor();
///     async move {
///         let more = fetch().await;
///         cx.with(|mut caller| {
///             *caller.data_mut() += more;
///             *caller.data()
///         })
///     }
/// })?;
/// # Ok(()) }
/// ```
///
/// A caller cannot leave its closure:
///
/// ```compile_fail
/// fn steal(cx: trampette_runtime::Accessor<String>) {
///     let caller = cx.with(|caller| caller).unwrap();
///     drop(caller);
/// }
/// ```
///
/// Nor can what it lends:
///
/// ```compile_fail
/// fn steal(cx: trampette_runtime::Accessor<String>) -> &'static str {
///     cx.with(|caller| caller.data().as_str()).unwrap()
/// }
/// ```
pub struct Accessor<T: 'static> {
    store: u64,
    data: PhantomData<fn(T) -> T>,
}

impl<T: 'static> Clone for Accessor<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: 'static> Copy for Accessor<T> {}

impl<T: 'static> std::fmt::Debug for Accessor<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Accessor").finish_non_exhaustive()
    }
}

impl<T: 'static> Store<T> {
    /// What futures that this store polls get at it by.
    pub fn accessor(&self) -> Accessor<T> {
        Accessor {
            store: self.inner().id(),
            data: PhantomData,
        }
    }
}

impl<T: 'static> Caller<'_, T> {
    /// What futures that this store polls get at it by.
    pub fn accessor(&self) -> Accessor<T> {
        Accessor {
            store: self.inner().id(),
            data: PhantomData,
        }
    }
}

impl<T: 'static> Accessor<T> {
    /// Uses the store: its data, and calls of functions that are not `async`, of instances that are
    /// not running.
    ///
    /// # Errors
    /// If the store is not polling a future of the embedder's on this thread, or that has the store
    /// already: inside of another such closure, in the part of a host function before its future,
    /// in a destructor of a resource, in a `drop`.
    pub fn with<R>(self, f: impl FnOnce(Caller<'_, T>) -> R) -> Result<R> {
        self.enter(|store| {
            // SAFETY: the store is the one that the accessor was made of, a `Store<T>`; its token
            // is out, so that nobody else has a caller.
            f(unsafe { Caller::from_raw(store) })
        })
    }

    /// Adds a future that goes on whenever the store is driven. What it panics with goes on in
    /// whoever does that.
    ///
    /// ```
    /// use trampette_runtime::{Accessor, Store};
    ///
    /// # async fn refresh() {}
    /// async fn begin(cx: Accessor<u32>) -> anyhow::Result<()> {
    ///     cx.spawn(async move {
    ///         refresh().await;
    ///         let _ = cx.with(|mut caller| *caller.data_mut() += 1);
    ///     })
    /// }
    /// # let mut store = Store::new(0);
    /// # let run = store.run_concurrent(async |cx| begin(cx).await);
    /// # let mut run = std::pin::pin!(run);
    /// # let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    /// # assert!(run.as_mut().poll(&mut cx).is_ready());
    /// ```
    ///
    /// # Errors
    /// As [`Accessor::with`]; or if there are too many futures in the store.
    pub fn spawn(self, future: impl Future<Output = ()> + Send + 'static) -> Result<()> {
        self.enter(|store| {
            // SAFETY: it can be sent.
            let added = unsafe { store.reactor.add(store, None, Spawned(future)) };
            added.map(drop).map_err(Failure::raise)
        })?
    }

    /// Uses the store with its token taken out.
    pub(crate) fn enter<R>(self, f: impl FnOnce(&StoreInner) -> R) -> Result<R> {
        struct PutBack<'t>(&'t Token);

        impl Drop for PutBack<'_> {
            fn drop(&mut self) {
                self.0.is_out.set(false);
            }
        }

        let token = Token::of(self.store);
        let token = token.filter(|token| std::ptr::eq(token.activation, Activation::current()));
        let Some(token) = token else {
            anyhow::bail!("an `Accessor` was used where its store does not poll a future");
        };
        ensure!(
            !token.is_out.replace(true),
            "an `Accessor` was used inside of another use of the same store"
        );
        let _put_back = PutBack(token);
        // SAFETY: the store outlives the poll that the token is for.
        Ok(f(unsafe { &*token.store }))
    }
}

/// A future of the embedder's that belongs to the store.
struct Spawned<A>(A);

impl<A: Future<Output = ()>> HostFuture for Spawned<A> {
    fn poll(self: Pin<&mut Self>, _: &StoreInner, cx: &mut Context<'_>) -> Poll<Done> {
        // SAFETY: it is pinned with the whole.
        let future = unsafe { self.map_unchecked_mut(|this| &mut this.0) };
        future.poll(cx).map(|()| Done::Gone)
    }
}
