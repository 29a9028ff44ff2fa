//! Host functions that take their parameters owned, and futures that know only their own part of
//! the store's data: the plain form of asynchronous functions, which bindings use.

use crate::host::async_shims;
use crate::host::definitions::Definition;
use crate::host::linker::LinkerInstance;
use crate::machine::accessor::Accessor;
use crate::machine::store::{AsContext, AsContextMut, Caller, StoreInner};
use crate::values::typed::{Lift, Lower, Params};
use anyhow::Result;

impl<T: 'static> LinkerInstance<'_, T> {
    /// As [`LinkerInstance::func_wrap_async`], for a closure that takes its parameters owned, so
    /// that all of it can be an `async` function. What they take counts against
    /// [`StoreLimits::value_bytes`](crate::StoreLimits).
    ///
    /// ```
    /// use trampette_runtime::{Accessor, Linker};
    ///
    /// # async fn get(url: &str) -> anyhow::Result<Vec<u8>> { Ok(url.into()) }
    /// async fn fetch(cx: Accessor<u32>, (url,): (String,)) -> anyhow::Result<Vec<u8>> {
    ///     let bytes = get(&url).await?;
    ///     cx.with(|mut caller| *caller.data_mut() += 1)?;
    ///     Ok(bytes)
    /// }
    ///
    /// # fn main() -> anyhow::Result<()> {
    /// let mut linker = Linker::new();
    /// linker.root().func_wrap_async_owned("fetch", fetch)?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// If the name is taken.
    pub fn func_wrap_async_owned<P, R, F, A>(&mut self, name: &str, func: F) -> Result<()>
    where
        P: Params + Lift,
        R: Lower + Send + 'static,
        F: Fn(Accessor<T>, P) -> A + Send + Sync + 'static,
        A: Future<Output = Result<R>> + Send + 'static,
    {
        let func = async_shims::typed_owned::<T, P, R, F, A>(func);
        self.insert(name, Definition::Func(func))
    }
}

/// What an asynchronous function of a host that [`bindgen!`](../trampette_bindgen) generates gets
/// of its store: the host, as a part of the store's data, and the store itself.
///
/// An [`Accessor`] is one whose host is all of the store's data. Like it, it can be copied and
/// kept, and used while the store polls the future.
///
/// ```
/// use trampette_runtime::Access;
///
/// struct Net {
///     requests: u64,
/// }
///
/// async fn fetch(cx: impl Access<Net>, url: String) -> anyhow::Result<String> {
///     let number = cx.with(|net| {
///         net.requests += 1;
///         net.requests
///     })?;
///     Ok(format!("{number}: {url}"))
/// }
/// # let mut store = trampette_runtime::Store::new(Net { requests: 0 });
/// # let run = store.run_concurrent(async |cx| fetch(cx, "a".to_string()).await);
/// # let mut run = std::pin::pin!(run);
/// # let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
/// # let std::task::Poll::Ready(result) = run.as_mut().poll(&mut cx) else { panic!() };
/// # assert_eq!(result.unwrap().unwrap(), "1: a");
/// ```
pub trait Access<U: ?Sized>: Copy + Send + Sync + 'static {
    /// The store's data.
    type Data: 'static;

    /// Access to the store itself: for calls, spawned futures, streams.
    fn store(self) -> Accessor<Self::Data>;

    /// Uses the host.
    ///
    /// # Errors
    /// As [`Accessor::with`].
    fn with<R>(self, f: impl FnOnce(&mut U) -> R) -> Result<R>;
}

impl<T: 'static> Access<T> for Accessor<T> {
    type Data = T;

    fn store(self) -> Accessor<T> {
        self
    }

    fn with<R>(self, f: impl FnOnce(&mut T) -> R) -> Result<R> {
        Accessor::with(self, |mut caller| f(caller.data_mut()))
    }
}

/// What a function of a host that [`bindgen!`](../trampette_bindgen) generates gets of its store if
/// it is not asynchronous and takes or gives streams or futures: the store, and the host in it.
///
/// ```
/// use trampette_runtime::{Access, AccessMut, FutureReader, StreamReader};
///
/// struct Log {
///     lines: Vec<String>,
/// }
///
/// /// `tail: func() -> tuple<stream<string>, future<u64>>`
/// fn tail(
///     cx: &mut impl AccessMut<Log>,
/// ) -> anyhow::Result<(StreamReader<String>, FutureReader<u64>)> {
///     let lines = cx.host().lines.clone();
///     let later = cx.access();
///     Ok((
///         StreamReader::from_iter(&mut *cx, lines)?,
///         FutureReader::new(cx, async move { later.with(|log| log.lines.len() as u64) })?,
///     ))
/// }
/// ```
pub trait AccessMut<U: ?Sized>: AsContextMut {
    /// What futures get at the host by.
    type Access: Access<U, Data = Self::Data>;

    /// The host.
    fn host(&mut self) -> &mut U;

    /// Access to the host for futures that the store polls.
    fn access(&self) -> Self::Access;
}

/// The store and a part of its data, for generated code.
#[doc(hidden)]
pub fn access_mut<'c, T, U, G>(
    caller: Caller<'c, T>,
    get: G,
) -> impl AccessMut<U, Data = T> + use<'c, T, U, G>
where
    T: 'static,
    U: ?Sized,
    G: Fn(&mut T) -> &mut U + Copy + Send + Sync + 'static,
{
    PartMut { caller, get }
}

struct PartMut<'c, T: 'static, G> {
    caller: Caller<'c, T>,
    get: G,
}

impl<T: 'static, G> AsContext for PartMut<'_, T, G> {
    type Data = T;

    fn store_inner(&self) -> &StoreInner {
        self.caller.store_inner()
    }
}

impl<T: 'static, G> AsContextMut for PartMut<'_, T, G> {
    fn caller(&mut self) -> Caller<'_, T> {
        self.caller.caller()
    }
}

impl<T, U, G> AccessMut<U> for PartMut<'_, T, G>
where
    T: 'static,
    U: ?Sized,
    G: Fn(&mut T) -> &mut U + Copy + Send + Sync + 'static,
{
    type Access = Part<T, G>;

    fn host(&mut self) -> &mut U {
        (self.get)(self.caller.data_mut())
    }

    fn access(&self) -> Part<T, G> {
        Part {
            store: self.caller.accessor(),
            get: self.get,
        }
    }
}

/// A part of a store's data, for generated code.
#[doc(hidden)]
pub fn access<T, U, G>(store: Accessor<T>, get: G) -> impl Access<U>
where
    T: 'static,
    U: ?Sized,
    G: Fn(&mut T) -> &mut U + Copy + Send + Sync + 'static,
{
    Part { store, get }
}

struct Part<T: 'static, G> {
    store: Accessor<T>,
    get: G,
}

impl<T: 'static, G: Copy> Clone for Part<T, G> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: 'static, G: Copy> Copy for Part<T, G> {}

impl<T, U, G> Access<U> for Part<T, G>
where
    T: 'static,
    U: ?Sized,
    G: Fn(&mut T) -> &mut U + Copy + Send + Sync + 'static,
{
    type Data = T;

    fn store(self) -> Accessor<T> {
        self.store
    }

    fn with<R>(self, f: impl FnOnce(&mut U) -> R) -> Result<R> {
        let use_part = |mut caller: Caller<'_, T>| f((self.get)(caller.data_mut()));
        self.store.with(use_part)
    }
}
