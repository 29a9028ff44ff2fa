//! Host functions that return futures, as compiled code calls them.
//!
//! A shim calls the closure, and polls the future that it gives once. If that is ready, the call is
//! like one of any other host function. If not, the future stays in the store's reactor, and the
//! shim says so by [`HOST_PENDING`].
//!
//! For an import that is not `async` there is no such answer: another shim calls the first one, and
//! waits for the future ([`crate::concurrent::patient`]).

use crate::concurrent::patient::finish;
use crate::host::shims::{
    HostFunc, Signature, check_func, describe_func, native_ref, write_result,
};
use crate::machine::accessor::Accessor;
use crate::machine::activation::Activation;
use crate::machine::entry_code::HostCode;
use crate::machine::failure::contain;
use crate::machine::reactor::{Begun, Done, HostFuture};
use crate::machine::store::{Caller, StoreInner};
use crate::values::typed::{Lift, LiftContext, Lower, Params};
use crate::values::val::Val;
use anyhow::{Context as _, Result};
use std::any::Any;
use std::convert::identity;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::thread;
use trampette_artifact::layout::{HOST_OK, HOST_PENDING};

/// A host function that interprets its arguments, and gives a future.
pub(crate) type AsyncFunc = Arc<dyn Fn(&StoreInner, &[Val]) -> DynamicFuture + Send + Sync>;

type DynamicFuture = Pin<Box<dyn Future<Output = Result<Option<Val>>> + Send>>;

/// Wraps a typed closure.
pub(crate) fn typed<T, P, R, F, A>(func: F) -> HostFunc
where
    T: 'static,
    P: Params + Lift,
    R: Lower + Send + 'static,
    F: for<'a> Fn(Caller<'a, T>, P::View<'a>) -> A + Send + Sync + 'static,
    A: Future<Output = Result<R>> + Send + 'static,
{
    host_func::<P, R>(typed_shim::<T, P, R, F, A>, Arc::new(func))
}

/// Wraps a closure that takes its parameters owned.
pub(crate) fn typed_owned<T, P, R, F, A>(func: F) -> HostFunc
where
    T: 'static,
    P: Params + Lift,
    R: Lower + Send + 'static,
    F: Fn(Accessor<T>, P) -> A + Send + Sync + 'static,
    A: Future<Output = Result<R>> + Send + 'static,
{
    host_func::<P, R>(owned_shim::<T, P, R, F, A>, Arc::new(func))
}

/// A function of Rust types; `entry` takes the address of the closure.
fn host_func<P: Params, R: Lower>(
    entry: HostCode,
    closure: Arc<dyn Any + Send + Sync>,
) -> HostFunc {
    HostFunc::Typed {
        entry,
        may_wait: true,
        closure,
        check: check_func::<P, R>,
        describe: || format!("async {}", describe_func::<P, R>()),
    }
}

/// The code and the data of an import that is not `async`, of those for one that is.
pub(crate) fn patient(
    shim: HostCode,
    data: Arc<dyn Any + Send + Sync>,
) -> (HostCode, Arc<dyn Any + Send + Sync>) {
    (patient_shim, Arc::new(PatientImport { shim, data }))
}

struct PatientImport {
    shim: HostCode,
    data: Arc<dyn Any + Send + Sync>,
}

/// Calls what another shim calls, and waits for its future.
///
/// # Safety
/// Called by compiled code with the address of a [`PatientImport`], and otherwise as its shim.
unsafe extern "C" fn patient_shim(
    data: *const u8,
    store: *const StoreInner,
    args: *const u8,
    results: *mut u8,
) -> u32 {
    // SAFETY: the caller's promise. Nothing is owned here, and no thread local used: the other shim
    // is called by its address, so that nothing of what it knows of its thread is kept.
    unsafe {
        let import = &*data.cast::<PatientImport>();
        match (import.shim)(Arc::as_ptr(&import.data).cast(), store, args, results) {
            HOST_PENDING => finish(&*store, results),
            told => told,
        }
    }
}

/// The code and the data of an import that a dynamic function satisfies.
pub(crate) fn bind_async(
    func: AsyncFunc,
    signature: Signature,
) -> (HostCode, Arc<dyn Any + Send + Sync>) {
    let signature = Arc::new(signature);
    (dynamic_shim, Arc::new(DynamicImport { func, signature }))
}

struct DynamicImport {
    func: AsyncFunc,
    signature: Arc<Signature>,
}

/// A call of a function that gives a future.
struct Call<A, R, W> {
    answer: Answer<A, R>,
    /// Writes the native form of the result.
    write: W,
}

/// The future of a call, and then what it came to.
enum Answer<A, R> {
    /// With bytes that the future takes besides its own.
    Runs(A, u64),
    /// `None` when it has been taken. A panic, too, is for whoever takes the result.
    Done(Option<thread::Result<Result<R>>>),
}

impl<A, R, W> HostFuture for Call<A, R, W>
where
    A: Future<Output = Result<R>>,
    W: Fn(&StoreInner, R, *mut u8) -> Result<()>,
{
    fn poll(self: Pin<&mut Self>, _: &StoreInner, cx: &mut Context<'_>) -> Poll<Done> {
        // SAFETY: the answer is pinned with the whole.
        let mut answer = unsafe { self.map_unchecked_mut(|call| &mut call.answer) };
        // SAFETY: the future is not moved out of its place, where it is dropped.
        let Answer::Runs(future, _) = (unsafe { answer.as_mut().get_unchecked_mut() }) else {
            return Poll::Ready(Done::Stays);
        };
        let polled = catch_unwind(AssertUnwindSafe(|| {
            // SAFETY: it is pinned with the whole.
            unsafe { Pin::new_unchecked(future) }.poll(cx)
        }));
        let outcome = match polled {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(result)) => Ok(result),
            Err(panic) => Err(panic),
        };
        answer.set(Answer::Done(Some(outcome)));
        Poll::Ready(Done::Stays)
    }

    fn more_bytes(&self) -> u64 {
        match self.answer {
            Answer::Runs(_, bytes) => bytes,
            Answer::Done(_) => 0,
        }
    }

    unsafe fn write_result(self: Pin<&mut Self>, store: &StoreInner, to: *mut u8) -> Result<()> {
        // SAFETY: a future is not moved: it is in no result.
        let Call { answer, write } = unsafe { self.get_unchecked_mut() };
        let outcome = match answer {
            Answer::Done(outcome) => outcome.take(),
            Answer::Runs(..) => None,
        };
        match outcome.context("there is no result")? {
            Ok(result) => write(store, result?, to),
            Err(panic) => resume_unwind(panic),
        }
    }
}

/// Polls the future of a call for the first time, whose result has a Rust type; it takes so many
/// bytes besides its own. What compiled code is told.
///
/// # Safety
/// `results` has room for the result. The future can be sent to another thread, as can its result.
#[inline]
unsafe fn begin_typed<R, A>(
    store: &StoreInner,
    future: A,
    bytes: u64,
    results: *mut u8,
) -> Result<u32>
where
    R: Lower + 'static,
    A: Future<Output = Result<R>> + 'static,
{
    // SAFETY: promised to whoever writes the result.
    let write = |store: &StoreInner, result, to| unsafe { write_result(store, result, to) };
    // SAFETY: the caller's promise.
    unsafe { begin(store, future, bytes, write, results) }
}

/// The same of any result, which `write` writes.
///
/// # Safety
/// As of [`begin_typed`]; `write` can be sent, too.
#[inline]
unsafe fn begin<R, A, W>(
    store: &StoreInner,
    future: A,
    bytes: u64,
    write: W,
    results: *mut u8,
) -> Result<u32>
where
    R: 'static,
    A: Future<Output = Result<R>> + 'static,
    W: Fn(&StoreInner, R, *mut u8) -> Result<()> + 'static,
{
    let answer = Answer::Runs(future, bytes);
    let future = Call { answer, write };
    // SAFETY: activations of this thread are live.
    let instance = unsafe { Activation::current().as_ref() }.map(Activation::instance);
    // SAFETY: promised.
    match unsafe { store.reactor.begin(store, instance, future) } {
        Begun::Ready(mut future) => {
            // SAFETY: promised.
            unsafe { future.get().write_result(store, results) }?;
            match store.reactor.recycle(future) {
                None => Ok(HOST_OK),
                Some(panic) => resume_unwind(panic),
            }
        }
        Begun::Waits(id) => {
            store.host_pending.set(Some(id));
            Ok(HOST_PENDING)
        }
        Begun::Failed(failure) => Err(failure.raise()),
    }
}

/// Runs a shim; what it tells compiled code.
#[inline]
fn run(store: &StoreInner, shim: impl FnOnce() -> Result<u32>) -> u32 {
    let mut told = HOST_OK;
    let status = contain(store, identity, || {
        told = shim()?;
        Ok(())
    });
    match status {
        HOST_OK => told,
        failed => failed,
    }
}

/// # Safety
/// As of the shim of a function without a future.
unsafe extern "C" fn typed_shim<T, P, R, F, A>(
    data: *const u8,
    store: *const StoreInner,
    args: *const u8,
    results: *mut u8,
) -> u32
where
    T: 'static,
    P: Params + Lift,
    R: Lower + Send + 'static,
    F: for<'a> Fn(Caller<'a, T>, P::View<'a>) -> A + Send + Sync + 'static,
    A: Future<Output = Result<R>> + Send + 'static,
{
    // SAFETY: the closure and the store outlive the call; `args` and `results` are the native
    // structs of the checked types; `F` is generic over the lifetime of what it is given, so
    // nothing of that is in the future, which can be sent, as its parts can.
    unsafe {
        let inner = &*store;
        run(inner, || {
            let func = native_ref::<F>(data);
            let view = P::view(native_ref(args), LiftContext::of_import(inner));
            let future = func(Caller::from_raw(store), view);
            begin_typed(inner, future, 0, results)
        })
    }
}

/// # Safety
/// As of [`typed_shim`].
unsafe extern "C" fn owned_shim<T, P, R, F, A>(
    data: *const u8,
    store: *const StoreInner,
    args: *const u8,
    results: *mut u8,
) -> u32
where
    T: 'static,
    P: Params + Lift,
    R: Lower + Send + 'static,
    F: Fn(Accessor<T>, P) -> A + Send + Sync + 'static,
    A: Future<Output = Result<R>> + Send + 'static,
{
    // SAFETY: as in `typed_shim`; what the closure is given borrows nothing.
    unsafe {
        let inner = &*store;
        run(inner, || {
            let func = native_ref::<F>(data);
            let cx = LiftContext::of_import(inner).begin_charge();
            let params = P::lift(native_ref(args), cx);
            cx.end_charge()?;
            // The future has them as long as it goes on.
            let bytes = inner.ledger.values();
            let future = func(Caller::from_raw(store).accessor(), params);
            begin_typed(inner, future, bytes, results)
        })
    }
}

/// # Safety
/// Called by compiled code with the address of a [`DynamicImport`] for that import, and a store of
/// the type that the function was defined for.
unsafe extern "C" fn dynamic_shim(
    data: *const u8,
    store: *const StoreInner,
    args: *const u8,
    results: *mut u8,
) -> u32 {
    // SAFETY: promised by the caller; both outlive the call.
    let (import, inner) = unsafe { (&*data.cast::<DynamicImport>(), &*store) };
    run(inner, || {
        // SAFETY: `args` and `results` are the native structs of the import's type.
        unsafe {
            let values = import.signature.read(inner, args)?;
            let future = (import.func)(inner, &values);
            let signature = import.signature.clone();
            let write = move |store: &StoreInner, result: Option<Val>, to: *mut u8| {
                signature.write(store, result.as_ref(), to)
            };
            let bytes = size_of_val(&*future) as u64;
            begin(inner, future, bytes, write, results)
        }
    })
}
