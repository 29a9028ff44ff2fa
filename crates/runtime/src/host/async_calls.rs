//! Calls of exports that futures wait for, and driving a store from a future.

use crate::concurrent::driver::{
    Arguments, CallOutcome, Driver, Entry, Pending, Take, WhenIdle, begin, entry,
};
use crate::concurrent::event_loop::trap;
use crate::concurrent::patient::{Patient, Room};
use crate::host::func::{Callee, Func, TypedFunc};
use crate::host::shims::{describe_func, native_ref};
use crate::machine::accessor::{Accessor, Token};
use crate::machine::entrances::Entrance;
use crate::machine::instance::InstanceData;
use crate::machine::ledger::Counted;
use crate::machine::store::{AsContextMut, Caller, Store, StoreInner};
use crate::values::keep::{Keep, KeepAlive, NativeBuffer};
use crate::values::typed::{Lift, LiftContext, Lower, LowerContext, Params};
use crate::values::val::Val;
use anyhow::{Context as _, Result};
use std::cell::RefCell;
use std::future::poll_fn;
use std::mem::MaybeUninit;
use std::pin::pin;
use std::task::{Context, Poll};
use trampette_artifact::ids::TaskId;
use trampette_artifact::trap::TrapCode;

impl<T: 'static> Store<T> {
    /// Drives the store: all of its tasks, and the futures of its host functions, go on while `f`
    /// does, which gets what it starts calls by. It is done when `f` is; what goes on then waits
    /// until the store is driven again. So it does if this future is dropped.
    ///
    /// The future is `Send` if the data and `f`'s future are, and depends on no executor. A
    /// deadline or an [`InterruptHandle`](crate::InterruptHandle) ends it, and with it the
    /// instances that have unfinished calls.
    ///
    /// ```
    /// use trampette_runtime::{Instance, Store};
    ///
    /// async fn both(store: &mut Store<()>, instance: &Instance) -> anyhow::Result<(u32, u32)> {
    ///     let fetch = instance.get_typed_func::<(u32,), u32>(&mut *store, "fetch")?;
    ///     store
    ///         .run_concurrent(async |cx| {
    ///             let first = fetch.call_concurrent(cx, (1,));
    ///             let second = fetch.call_concurrent(cx, (2,));
    ///             // With `join!` of a library they would go on at the same time.
    ///             Ok((first.await?, second.await?))
    ///         })
    ///         .await?
    /// }
    /// ```
    ///
    /// # Errors
    /// If it was stopped, or a task traps that belongs to no unfinished call.
    pub async fn run_concurrent<R>(&mut self, f: impl AsyncFnOnce(Accessor<T>) -> R) -> Result<R> {
        let mut own = pin!(f(self.accessor()));
        let mut driver = Driver::default();
        poll_fn(|cx| {
            // Borrowed as a whole, so that the future can be sent.
            let store = self.caller().inner();
            driver.poll(store, cx, WhenIdle::Waits, |cx| {
                Token::around(store, || own.as_mut().poll(cx))
            })
        })
        .await
    }
}

impl<T: 'static> Caller<'_, T> {
    /// How many tasks of the store's instances have begun to be called and are not over: calls that
    /// have their result may have something left to do. A future that [`Store::run_concurrent`]
    /// polls is polled again after each turn, so it can wait for this to be 0.
    ///
    /// ```
    /// use trampette_runtime::Accessor;
    ///
    /// async fn all_is_done(cx: Accessor<()>) -> anyhow::Result<()> {
    ///     std::future::poll_fn(|_| match cx.with(|caller| caller.tasks()) {
    ///         Ok(0) => std::task::Poll::Ready(Ok(())),
    ///         Ok(_) => std::task::Poll::Pending,
    ///         Err(error) => std::task::Poll::Ready(Err(error)),
    ///     })
    ///     .await
    /// }
    /// # let mut store = trampette_runtime::Store::new(());
    /// # let run = store.run_concurrent(async |cx| all_is_done(cx).await);
    /// # let mut run = std::pin::pin!(run);
    /// # let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    /// # assert!(run.as_mut().poll(&mut cx).is_ready());
    /// ```
    pub fn tasks(&self) -> u32 {
        self.inner().ledger.counted(Counted::Tasks)
    }
}

/// A call that is driven by its own future, which has the store in reach.
struct InReach<S: AsContextMut, O> {
    store: S,
    pending: Option<Pending<O>>,
    driver: Driver,
    /// The call, if it is one of a function that is not `async`.
    patient: Option<Patient<O>>,
}

impl<S: AsContextMut, O: 'static> InReach<S, O> {
    fn new(store: S) -> Self {
        InReach {
            store,
            pending: None,
            driver: Driver::default(),
            patient: None,
        }
    }

    /// Polls the call of a function that is not `async`: `patient` begins it if it may have to
    /// wait, and otherwise `call` makes it.
    fn poll_plain(
        &mut self,
        cx: &mut Context<'_>,
        patient: impl FnOnce(&StoreInner) -> Result<Option<Patient<O>>>,
        call: impl FnOnce(&mut S) -> Result<O>,
    ) -> Poll<Result<O>> {
        if self.patient.is_none() {
            self.patient = patient(self.store.caller().inner())?;
        }
        match &mut self.patient {
            None => Poll::Ready(call(&mut self.store)),
            Some(patient) => {
                let polled = patient.poll(self.store.caller().inner(), cx);
                if polled.is_ready() {
                    self.patient = None;
                }
                polled
            }
        }
    }

    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        begin: impl FnOnce(&StoreInner) -> Result<Pending<O>>,
    ) -> Poll<Result<O>> {
        let caller = self.store.caller();
        let store = caller.inner();
        let pending = begun(&mut self.pending, || begin(store))?;
        let idle = WhenIdle::Fails(pending.name());
        let driven = self.driver.poll(store, cx, idle, |cx| pending.poll(cx));
        driven.map(|outcome| outcome?.and_then(CallOutcome::returned))
    }
}

impl<S: AsContextMut, O> Drop for InReach<S, O> {
    fn drop(&mut self) {
        if let Some(pending) = self.pending.take() {
            pending.drop_in(self.store.store_inner());
        }
        if let Some(patient) = self.patient.take() {
            patient.drop_in(self.store.store_inner());
        }
    }
}

/// A call that is driven by whoever drives its store.
struct Elsewhere<T: 'static, O> {
    cx: Accessor<T>,
    pending: Option<Pending<O>>,
}

impl<T: 'static, O> Elsewhere<T, O> {
    fn new(cx: Accessor<T>) -> Self {
        Elsewhere { cx, pending: None }
    }

    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        begin: impl FnOnce(&StoreInner) -> Result<Pending<O>>,
    ) -> Poll<Result<O>> {
        let pending = begun(&mut self.pending, || self.cx.enter(begin).flatten())?;
        pending
            .poll(cx)
            .map(|outcome| outcome.and_then(CallOutcome::returned))
    }
}

/// The call that a future waits for, which begins when the future is polled first.
fn begun<O>(
    pending: &mut Option<Pending<O>>,
    begin: impl FnOnce() -> Result<Pending<O>>,
) -> Result<&mut Pending<O>> {
    match pending {
        Some(call) => Ok(call),
        None => Ok(pending.insert(begin()?)),
    }
}

impl<P: Params + Lower + 'static, R: Lift + Send> TypedFunc<P, R> {
    /// As [`TypedFunc::call`], but waits without the thread: all that can go on in the store does
    /// whenever the future is polled. A function that is not `async` runs in the first poll, until
    /// a host function that gives a future has to wait.
    ///
    /// A call whose future is dropped is cancelled: at once if it has not begun, and otherwise its
    /// task is asked to when the store is driven next. One of a function that is not `async`, and
    /// waits, ends its instance.
    ///
    /// ```
    /// # use trampette_runtime::{Store, TypedFunc};
    /// async fn ask(store: &mut Store<()>, fetch: TypedFunc<(u32,), u32>) -> anyhow::Result<u32> {
    ///     fetch.call_async(store, (7,)).await
    /// }
    /// ```
    ///
    /// # Errors
    /// As [`TypedFunc::call`].
    pub fn call_async<S: AsContextMut>(
        &self,
        store: S,
        params: P,
    ) -> impl Future<Output = Result<R>> + use<S, P, R> {
        let func = *self;
        let mut params = Some(params);
        let mut call = InReach::new(store);
        poll_fn(move |cx| match func.callee().task() {
            Some(task) => call.poll(cx, |store| func.begin(store, task, taken(&mut params)?)),
            None => {
                let params = RefCell::new(&mut params);
                let params = || taken(&mut params.borrow_mut());
                call.poll_plain(
                    cx,
                    |store| func.begin_patiently(store, params),
                    |store| func.call(store, params()?),
                )
            }
        })
    }

    /// Calls the function from a future of the embedder's that its store polls, while other calls
    /// go on. The call begins when the future is polled first, and is dropped as in
    /// [`TypedFunc::call_async`].
    ///
    /// ```
    /// use trampette_runtime::{Accessor, Caller, Linker, TypedFunc};
    ///
    /// /// A host function that asks an instance itself.
    /// fn define(linker: &mut Linker<()>, ask: TypedFunc<(u32,), u32>) -> anyhow::Result<()> {
    ///     let ask = move |caller: Caller<'_, ()>, (x,): (u32,)| {
    ///         let cx: Accessor<()> = caller.accessor();
    ///         async move { Ok(1 + ask.call_concurrent(cx, (x,)).await?) }
    ///     };
    ///     linker.root().func_wrap_async::<(u32,), u32, _, _>("ask", ask)
    /// }
    /// ```
    ///
    /// # Errors
    /// As [`TypedFunc::call`]; if the accessor is of another store, or used where it may not be.
    pub fn call_concurrent<T: 'static>(
        &self,
        cx: Accessor<T>,
        params: P,
    ) -> impl Future<Output = Result<R>> + use<T, P, R> {
        let func = *self;
        let mut params = Some(params);
        let mut call = Elsewhere::new(cx);
        poll_fn(move |context| match func.callee().task() {
            Some(task) => call.poll(context, |store| {
                func.begin(store, task, taken(&mut params)?)
            }),
            None => {
                let called = cx.with(|caller| func.call(caller, taken(&mut params)?));
                Poll::Ready(called.flatten())
            }
        })
    }

    /// Waits until a new call of this function could begin at once: its instance does not run, no
    /// other call waits to enter its component instance, that has not asked for backpressure, and
    /// nobody has its lock, if the function needs that. To a function that is not `async` only the
    /// first matters.
    ///
    /// For hosts that would rather queue, or take another instance, than have calls wait inside of
    /// the store. Of those that wait for the same function the one that came first is told first;
    /// what is true when this future is polled holds until something else is called or awaited.
    /// Nothing is begun or reserved, and the future can be dropped at any time.
    ///
    /// ```
    /// use trampette_runtime::{Accessor, TypedFunc};
    ///
    /// async fn ask(cx: Accessor<()>, fetch: TypedFunc<(u32,), u32>) -> anyhow::Result<u32> {
    ///     fetch.ready(cx).await?;
    ///     fetch.call_concurrent(cx, (7,)).await
    /// }
    /// ```
    ///
    /// # Errors
    /// If a trap has ended the instance, or does meanwhile: [`TrapCode::CannotEnter`]. If the
    /// accessor is of another store, or used where it may not be.
    pub fn ready<T: 'static>(
        &self,
        cx: Accessor<T>,
    ) -> impl Future<Output = Result<()>> + use<T, P, R> {
        ready(*self.callee(), cx, Self::what)
    }

    /// Begins a call that is this task.
    pub(super) fn begin(&self, store: &StoreInner, task: TaskId, params: P) -> Result<Pending<R>> {
        let instance = self.callee().instance(store, Self::what)?;
        let arguments = self.lower(store, params)?;
        // SAFETY: the host calls the task, with arguments of its type that are owned; results can
        // be sent, and of what is native nothing is tied to a thread.
        unsafe { begin_task(self.callee(), instance, task, arguments, self.take_result()) }
    }

    /// Begins a call of a function that is not `async`, if it may have to wait for the host.
    fn begin_patiently(
        &self,
        store: &StoreInner,
        params: impl FnOnce() -> Result<P>,
    ) -> Result<Option<Patient<R>>> {
        let instance = self.callee().instance(store, Self::what)?;
        let arguments = || self.lower(store, params()?);
        let result = size_of::<R::Native>() as u64;
        // SAFETY: as in `begin`.
        unsafe {
            begin_patient(self.callee(), instance, arguments, result, || {
                self.take_result()
            })
        }
    }

    fn what() -> String {
        format!("export `{}`", describe_func::<P, R>())
    }

    /// The native form of the parameters.
    fn lower(&self, store: &StoreInner, params: P) -> Result<Arguments> {
        struct Owner<N> {
            native: MaybeUninit<N>,
            keep: KeepAlive,
        }

        let callee = self.callee();
        let origin = callee.origin(store, self.host_handles());
        let mut owner = Box::new(Owner {
            native: MaybeUninit::<P::Native>::zeroed(),
            keep: KeepAlive::default(),
        });
        let mut cx = LowerContext::new(Keep::Arguments(&mut owner.keep), Some(origin));
        params
            .lower(&mut cx, &mut owner.native)
            .map_err(|error| callee.parameter_error(store, &error))?;
        let native = owner.native.as_ptr().cast();
        Ok(Arguments { native, owner })
    }

    /// Makes the result of its native form.
    fn take_result(&self) -> Take<R> {
        let (callee, host) = (*self.callee(), self.host_handles());
        Box::new(move |store, native| {
            let origin = callee.origin(store, host);
            let cx = LiftContext::new(Some(origin)).begin_charge();
            // SAFETY: the result is a native one of the checked type, and lives until this returns.
            let value = unsafe { R::lift(native_ref(native), cx) };
            cx.end_charge()?;
            Ok(value)
        })
    }
}

impl Func {
    /// As [`Func::call_value`], but waits without the thread; see [`TypedFunc::call_async`].
    ///
    /// ```
    /// # use trampette_runtime::{Func, Store, Val};
    /// async fn ask(store: &mut Store<()>, fetch: &Func) -> anyhow::Result<Option<Val>> {
    ///     fetch.call_async(store, &[Val::U32(7)]).await
    /// }
    /// ```
    ///
    /// # Errors
    /// As [`Func::call_value`].
    pub fn call_async<S: AsContextMut>(
        &self,
        store: S,
        args: &[Val],
    ) -> impl Future<Output = Result<Option<Val>>> + use<S> {
        let (func, args) = (self.clone(), args.to_vec());
        let mut call = InReach::new(store);
        poll_fn(move |cx| match func.callee().task() {
            Some(task) => call.poll(cx, |store| func.begin(store, task, &args)),
            None => call.poll_plain(
                cx,
                |store| func.begin_patiently(store, &args),
                |store| func.call_value(store, &args),
            ),
        })
    }

    /// As [`TypedFunc::call_concurrent`], with values.
    ///
    /// ```
    /// # use trampette_runtime::{Accessor, Func, Val};
    /// async fn ask(cx: Accessor<()>, fetch: &Func) -> anyhow::Result<Option<Val>> {
    ///     fetch.call_concurrent(cx, &[Val::U32(7)]).await
    /// }
    /// ```
    ///
    /// # Errors
    /// As [`TypedFunc::call_concurrent`].
    pub fn call_concurrent<T: 'static>(
        &self,
        cx: Accessor<T>,
        args: &[Val],
    ) -> impl Future<Output = Result<Option<Val>>> + use<T> {
        let (func, args) = (self.clone(), args.to_vec());
        let mut call = Elsewhere::new(cx);
        poll_fn(move |context| match func.callee().task() {
            Some(task) => call.poll(context, |store| func.begin(store, task, &args)),
            None => {
                let called = cx.with(|caller| func.call_value(caller, &args));
                Poll::Ready(called.flatten())
            }
        })
    }

    /// Waits until a new call of this function could begin at once; see [`TypedFunc::ready`].
    ///
    /// ```
    /// # use trampette_runtime::{Accessor, Func, Val};
    /// async fn ask(cx: Accessor<()>, fetch: &Func) -> anyhow::Result<Option<Val>> {
    ///     fetch.ready(cx).await?;
    ///     fetch.call_concurrent(cx, &[Val::U32(7)]).await
    /// }
    /// ```
    ///
    /// # Errors
    /// As [`TypedFunc::ready`].
    pub fn ready<T: 'static>(&self, cx: Accessor<T>) -> impl Future<Output = Result<()>> + use<T> {
        let func = self.clone();
        ready(*self.callee(), cx, move || func.display())
    }

    /// Begins a call that is this task.
    pub(super) fn begin(
        &self,
        store: &StoreInner,
        task: TaskId,
        args: &[Val],
    ) -> Result<Pending<Option<Val>>> {
        let instance = self.callee().instance(store, || self.display())?;
        let arguments = self.lower(store, args)?;
        // SAFETY: as of a function with Rust types; values can be sent.
        unsafe { begin_task(self.callee(), instance, task, arguments, self.take_result()) }
    }

    fn begin_patiently(
        &self,
        store: &StoreInner,
        args: &[Val],
    ) -> Result<Option<Patient<Option<Val>>>> {
        let instance = self.callee().instance(store, || self.display())?;
        let arguments = || self.lower(store, args);
        let result = self.result_size();
        // SAFETY: as of a function with Rust types.
        unsafe {
            begin_patient(self.callee(), instance, arguments, result, || {
                self.take_result()
            })
        }
    }

    fn lower(&self, store: &StoreInner, args: &[Val]) -> Result<Arguments> {
        struct Owner {
            native: NativeBuffer,
            keep: KeepAlive,
        }

        let origin = self.callee().origin(store, None);
        let mut owner = Box::new(Owner {
            native: NativeBuffer::zeroed(self.params_size()),
            keep: KeepAlive::default(),
        });
        let native = owner.native.as_mut_ptr();
        // SAFETY: the buffer has room for the parameters.
        unsafe { self.write_params(args, origin, &mut owner.keep, native) }?;
        Ok(Arguments { native, owner })
    }

    fn take_result(&self) -> Take<Option<Val>> {
        let func = self.clone();
        Box::new(move |store, native| {
            let origin = func.callee().origin(store, None);
            // SAFETY: the result is a native one of the function's type.
            unsafe { func.read_result(origin, native) }
        })
    }
}

/// Begins a call that is a task.
///
/// # Safety
/// As of [`begin`]; the task and the arguments are those of the callee.
unsafe fn begin_task<O: 'static>(
    callee: &Callee,
    instance: &InstanceData,
    task: TaskId,
    arguments: Arguments,
    take: Take<O>,
) -> Result<Pending<O>> {
    let number = callee.id().number();
    // SAFETY: the caller's promise.
    let begun = unsafe { begin(instance, number, task, arguments, take) };
    begun.map_err(|error| callee.call_error(instance.store(), error))
}

/// Begins a call of a function that is not `async`, if it may have to wait for the host. Its result
/// takes so many bytes.
///
/// # Safety
/// As of [`Patient::new`]; the arguments and the size are those of the callee.
unsafe fn begin_patient<O>(
    callee: &Callee,
    instance: &InstanceData,
    arguments: impl FnOnce() -> Result<Arguments>,
    result: u64,
    take: impl FnOnce() -> Take<O>,
) -> Result<Option<Patient<O>>> {
    let Some(code) = callee.waiting_code(instance) else {
        return Ok(None);
    };
    let arguments = arguments()?;
    let mut owner = Box::new(NativeBuffer::uninit(result));
    let native = owner.as_mut_ptr();
    let room = Room { native, owner };
    // SAFETY: the caller's promise; there is room for the result.
    let patient = unsafe { Patient::new(instance, code, arguments, room, take()) };
    Ok(Some(patient))
}

/// The parameters of a call that begins.
fn taken<P>(params: &mut Option<P>) -> Result<P> {
    params.take().context("the call is over")
}

/// Waits until a call could begin. `what` says in errors what would be called.
fn ready<T: 'static>(
    callee: Callee,
    cx: Accessor<T>,
    what: impl Fn() -> String,
) -> impl Future<Output = Result<()>> {
    let entrance = Entrance {
        instance: callee.id().number(),
        task: callee.task(),
    };
    let mut place = None;
    poll_fn(move |context| {
        let polled = cx.enter(|store| {
            Ok(
                match entry(callee.instance(store, &what)?, entrance.task)? {
                    Entry::Open => {
                        place = None;
                        Poll::Ready(())
                    }
                    Entry::Over => return Err(trap(TrapCode::CannotEnter)),
                    Entry::Closed => {
                        let entrances = &store.entrances;
                        entrances.wait(&mut place, entrance, context.waker());
                        Poll::Pending
                    }
                },
            )
        });
        match polled.flatten() {
            Ok(polled) => polled.map(Ok),
            Err(error) => Poll::Ready(Err(error)),
        }
    })
}
