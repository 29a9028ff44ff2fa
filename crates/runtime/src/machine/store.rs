//! [`Store`]: the embedder's data and everything that lives as long as the instances in it.
//!
//! [`StoreInner`] is the part that does not depend on the data's type. Compiled code carries its
//! address (`RootHeader::store`) and hands it back to builtins and host functions, in the middle of
//! a call that the embedder began with a `&mut` borrow. So its address is stable, it is only ever
//! used through shared references, and its state is in cells; no borrow of a cell is held while
//! guest code or the embedder's code runs.

use crate::load::backtrace::{Trap, WasmBacktrace};
use crate::machine::activation::Activation;
use crate::machine::entrances::Entrances;
use crate::machine::error_contexts::ErrorContexts;
use crate::machine::exceptions::Exceptions;
use crate::machine::instance::InstanceData;
use crate::machine::interrupt::{InterruptHandle, Interrupts, set_deadline};
use crate::machine::ledger::{Amount, Ledger};
use crate::machine::limits::{LimitReached, StoreLimits};
use crate::machine::reactor::{FutureId, Reactor};
use crate::machine::settling::Settling;
use crate::machine::stacks::Stacks;
use crate::machine::traps::TrapRecord;
use crate::machine::wait;
use crate::memory::arena::Arena;
use anyhow::{Error, Result};
use std::any::Any;
use std::cell::{Cell, OnceCell, RefCell};
use std::collections::VecDeque;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use trampette_artifact::ids::ComponentInstanceId;
use trampette_artifact::trap::TrapCode;

/// The embedder's data and all instances made in it. Movable between threads when the data is.
///
/// Everything made in a store lives as long as the store. When it is dropped, no destructor of a
/// resource runs, neither a guest's nor one of the host's, for the handles that guests or the host
/// still have: the Canonical ABI runs destructors only for handles that are dropped one by one.
/// What the representations of the host's resources stand for is in the embedder's data, most often
/// a [`ResourceTable`](crate::ResourceTable), which is dropped with the store, or given back with
/// everything that is still in it by [`Store::into_data`].
///
/// ```
/// use trampette_runtime::{Store, StoreLimits};
///
/// /// What this host's functions work on.
/// struct Request {
///     answer: Vec<u8>,
/// }
///
/// # fn main() -> anyhow::Result<()> {
/// let mut store = Store::new(Request { answer: Vec::new() });
/// store.set_limits(StoreLimits::default().with_memory_bytes(64 << 20));
/// // … instantiate a component in it, call its exports …
/// store.data_mut().answer.extend(b"done");
/// assert_eq!(store.into_data().answer, b"done");
/// # Ok(()) }
/// ```
pub struct Store<T: 'static> {
    inner: NonNull<StoreInner>,
    data: NonNull<T>,
    owned: PhantomData<T>,
}

// SAFETY: a store is used by one thread at a time (every use that can change it takes `&mut`), and
// nothing in it is tied to a thread: activations exist only during a call, which borrows the store.
unsafe impl<T: Send> Send for Store<T> {}

impl<T: 'static> Store<T> {
    /// A store with default limits.
    pub fn new(data: T) -> Store<T> {
        let data = NonNull::from(Box::leak(Box::new(data)));
        let inner = Box::new(StoreInner::new(data.cast()));
        Store {
            inner: NonNull::from(Box::leak(inner)),
            data,
            owned: PhantomData,
        }
    }

    /// The embedder's data.
    pub fn data(&self) -> &T {
        // SAFETY: owned by this store; `&self` keeps calls, which may change it, away.
        unsafe { self.data.as_ref() }
    }

    /// The embedder's data.
    pub fn data_mut(&mut self) -> &mut T {
        // SAFETY: owned by this store, borrowed exclusively.
        unsafe { self.data.as_mut() }
    }

    /// Drops the instances and gives the data back.
    pub fn into_data(self) -> T {
        let this = ManuallyDrop::new(self);
        // SAFETY: both were boxed by `new` and are not used again.
        unsafe {
            drop(Box::from_raw(this.inner.as_ptr()));
            *Box::from_raw(this.data.as_ptr())
        }
    }

    /// The limits.
    pub fn limits(&self) -> StoreLimits {
        self.inner().limits.get()
    }

    /// The limit of the store that kept a guest from growing a memory or table last, if any did.
    /// Guests see only that growing failed, and may trap because of it much later.
    ///
    /// ```
    /// use trampette_runtime::{LimitReached, Store};
    ///
    /// let store = Store::new(());
    /// // … calls …
    /// if let Some(LimitReached::Memory { limit }) = store.limit_reached() {
    ///     println!("the guest wanted more than {limit} bytes");
    /// }
    /// ```
    pub fn limit_reached(&self) -> Option<LimitReached> {
        self.inner().limit_reached.get()
    }

    /// Sets the limits. What exists already is not taken away.
    pub fn set_limits(&mut self, limits: StoreLimits) {
        self.inner().limits.set(limits);
    }

    /// A handle that stops calls in this store, from any thread.
    ///
    /// ```
    /// use trampette_runtime::Store;
    ///
    /// # fn main() -> anyhow::Result<()> {
    /// let store = Store::new(());
    /// let handle = store.interrupt_handle()?;
    /// // When a user presses a key, for example.
    /// std::thread::spawn(move || handle.interrupt());
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// If the signal handler cannot be installed.
    pub fn interrupt_handle(&self) -> Result<InterruptHandle> {
        InterruptHandle::new(self.inner().shared_interrupts().clone())
    }

    /// Sets when calls in this store end, together: one that runs then returns a trap of kind
    /// [`TrapCode::Deadline`](crate::TrapCode::Deadline), as soon as its guest code runs or waits,
    /// and one that would begin later traps before anything of the guest runs, so that its instance
    /// can be called again when there is another deadline. `None`, as in the beginning, is never.
    ///
    /// One thread of the process sees to the deadlines of all stores. In a store that never had one
    /// or an [`InterruptHandle`], calls do not look for it.
    ///
    /// ```
    /// use std::time::{Duration, Instant};
    /// use trampette_runtime::Store;
    ///
    /// # fn main() -> anyhow::Result<()> {
    /// let mut store = Store::new(());
    /// for _request in 0..3 {
    ///     store.set_deadline(Some(Instant::now() + Duration::from_millis(200)))?;
    ///     // … the calls that the request takes …
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// If the thread cannot be started or the signal handler not be installed.
    pub fn set_deadline(&mut self, deadline: Option<Instant>) -> Result<()> {
        self.inner().set_deadline(deadline)
    }

    /// As [`Store::set_deadline`], for that long from now on; a time that the clock cannot express
    /// is never.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// # fn main() -> anyhow::Result<()> {
    /// let mut store = trampette_runtime::Store::new(());
    /// store.set_timeout(Duration::from_millis(200))?;
    /// assert!(store.deadline().is_some());
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// As [`Store::set_deadline`].
    pub fn set_timeout(&mut self, timeout: Duration) -> Result<()> {
        self.set_deadline(Instant::now().checked_add(timeout))
    }

    /// When calls in this store end; `None` is never.
    pub fn deadline(&self) -> Option<Instant> {
        self.inner().interrupts()?.deadline().instant()
    }

    /// The part that does not depend on `T`.
    pub(crate) fn inner(&self) -> &StoreInner {
        // SAFETY: boxed by `new`, freed on drop.
        unsafe { self.inner.as_ref() }
    }
}

impl<T: 'static> Drop for Store<T> {
    fn drop(&mut self) {
        // Instances first: destructors of the embedder's data must not see half of them.
        // SAFETY: both were boxed by `new` and are not used again.
        unsafe {
            drop(Box::from_raw(self.inner.as_ptr()));
            drop(Box::from_raw(self.data.as_ptr()));
        }
    }
}

/// What a host function gets of the store that called it.
///
/// ```
/// use trampette_runtime::{Caller, Linker};
///
/// # fn main() -> anyhow::Result<()> {
/// let mut linker = Linker::<u64>::new();
/// linker.root().func_wrap::<(u64,), u64, _>("count", |mut caller: Caller<'_, u64>, (by,)| {
///     *caller.data_mut() += by;
///     Ok(*caller.data())
/// })?;
/// # Ok(()) }
/// ```
pub struct Caller<'a, T: 'static> {
    inner: &'a StoreInner,
    data: PhantomData<&'a mut T>,
}

impl<'a, T: 'static> Caller<'a, T> {
    /// The caller that compiled code passed to a host function.
    ///
    /// # Safety
    /// `store` is the `caller` argument of a host function that runs now, its store is a
    /// `Store<T>`, and no other `Caller` for the same host call is alive.
    pub(crate) unsafe fn from_raw(store: *const StoreInner) -> Caller<'a, T> {
        Caller {
            // SAFETY: promised by the caller; the store outlives the call.
            inner: unsafe { &*store },
            data: PhantomData,
        }
    }

    /// The embedder's data.
    pub fn data(&self) -> &T {
        // SAFETY: the store is a `Store<T>`; its `&mut` borrow by the running call is passed on
        // here.
        unsafe { self.inner.data.cast().as_ref() }
    }

    /// The embedder's data.
    pub fn data_mut(&mut self) -> &mut T {
        // SAFETY: as above, and `&mut self` excludes other uses through this caller.
        unsafe { self.inner.data.cast().as_mut() }
    }

    /// As [`Store::set_deadline`]: the call that runs goes on if it has more time then.
    ///
    /// # Errors
    /// As [`Store::set_deadline`].
    pub fn set_deadline(&mut self, deadline: Option<Instant>) -> Result<()> {
        self.inner.set_deadline(deadline)
    }

    /// When calls in the store end; `None` is never.
    pub fn deadline(&self) -> Option<Instant> {
        self.inner.interrupts()?.deadline().instant()
    }

    /// The same caller, for a shorter time.
    pub fn reborrow(&mut self) -> Caller<'_, T> {
        Caller {
            inner: self.inner,
            data: PhantomData,
        }
    }

    /// The part that does not depend on `T`.
    pub(crate) fn inner(&self) -> &'a StoreInner {
        self.inner
    }
}

/// A [`Store`] or something that gives access to one.
///
/// ```
/// use trampette_runtime::{AsContext, Func};
///
/// fn is_greeter(store: impl AsContext, func: &Func) -> bool {
///     func.typed::<(String,), String>(store).is_ok()
/// }
/// ```
pub trait AsContext {
    /// The type of the embedder's data.
    type Data: 'static;

    #[doc(hidden)]
    fn store_inner(&self) -> &StoreInner;
}

/// A [`Store`] borrowed exclusively, or something that gives such access to one.
///
/// ```
/// use trampette_runtime::{AsContextMut, TypedFunc};
///
/// /// Works with `&mut Store<T>`, whatever its data is.
/// fn twice(mut store: impl AsContextMut, next: TypedFunc<(), u32>) -> anyhow::Result<u32> {
///     Ok(next.call(&mut store, ())? + next.call(&mut store, ())?)
/// }
/// ```
pub trait AsContextMut: AsContext {
    #[doc(hidden)]
    fn caller(&mut self) -> Caller<'_, Self::Data>;
}

impl<T: 'static> AsContext for Store<T> {
    type Data = T;
    fn store_inner(&self) -> &StoreInner {
        self.inner()
    }
}

impl<T: 'static> AsContextMut for Store<T> {
    fn caller(&mut self) -> Caller<'_, T> {
        Caller {
            inner: self.inner(),
            data: PhantomData,
        }
    }
}

impl<T: 'static> AsContext for Caller<'_, T> {
    type Data = T;
    fn store_inner(&self) -> &StoreInner {
        self.inner
    }
}

impl<T: 'static> AsContextMut for Caller<'_, T> {
    fn caller(&mut self) -> Caller<'_, T> {
        self.reborrow()
    }
}

impl<S: AsContext> AsContext for &S {
    type Data = S::Data;
    fn store_inner(&self) -> &StoreInner {
        (**self).store_inner()
    }
}

impl<S: AsContext> AsContext for &mut S {
    type Data = S::Data;
    fn store_inner(&self) -> &StoreInner {
        (**self).store_inner()
    }
}

impl<S: AsContextMut> AsContextMut for &mut S {
    fn caller(&mut self) -> Caller<'_, Self::Data> {
        (**self).caller()
    }
}

/// A value that owns what a host function's results point to: a box or a vector, taken apart so
/// that keeping it allocates nothing.
struct KeptValue {
    pointer: NonNull<()>,
    length: usize,
    capacity: usize,
    drop: unsafe fn(NonNull<()>, usize, usize),
}

impl Drop for KeptValue {
    fn drop(&mut self) {
        // SAFETY: the three came from the value that `drop` puts together again, once.
        unsafe { (self.drop)(self.pointer, self.length, self.capacity) }
    }
}

/// A loan of an owned handle for the length of a call.
#[derive(Clone, Copy)]
pub(crate) struct Lend {
    /// The call that made it, live as long as the loan; only compared.
    pub activation: *const Activation,
    /// The instance, which lives as long as the store.
    pub instance: NonNull<InstanceData>,
    /// The handle table.
    pub table: ComponentInstanceId,
    /// The handle.
    pub handle: u32,
}

/// A call of the host's: the number of its instance in the store, that of its record, and what
/// tells it from others that had the same record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct CallName {
    pub instance: u32,
    pub record: u32,
    pub generation: u32,
}

/// Calls whose futures were dropped, on any thread, or that are asked to cancel, and that nobody
/// has seen to yet.
#[derive(Default)]
pub(crate) struct DroppedCalls {
    calls: Mutex<Vec<CallName>>,
}

impl DroppedCalls {
    /// Notes one. Each call is noted at most once.
    pub(crate) fn note(&self, call: CallName) {
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        calls.push(call);
    }

    /// Takes those that were noted.
    pub(crate) fn take(&self) -> Vec<CallName> {
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *calls)
    }
}

/// The part of a store that does not depend on the type of the embedder's data.
#[doc(hidden)]
pub struct StoreInner {
    /// No other store has it.
    id: u64,
    /// The embedder's `T`.
    data: NonNull<()>,
    pub(crate) limits: Cell<StoreLimits>,
    /// The limit that a guest met last.
    pub(crate) limit_reached: Cell<Option<LimitReached>>,
    pub(crate) ledger: Ledger,
    /// Boxed by [`StoreInner::add_instance`], freed when the store is dropped.
    instances: RefCell<Vec<NonNull<InstanceData>>>,
    arena: RefCell<Arena>,
    /// [`Arena::mark`] now, so that a call which takes nothing from the arena need not look into
    /// it.
    arena_mark: Cell<u64>,
    /// What the results of the host function that returned last point to. While they are copied
    /// into the guest no other host function can be called.
    host_results: RefCell<Vec<KeptValue>>,
    host_error: RefCell<Option<Error>>,
    host_panic: RefCell<Option<Box<dyn Any + Send>>>,
    pub(crate) trap: TrapRecord,
    pub(crate) stacks: Stacks,
    pub(crate) reactor: Reactor,
    pub(crate) settling: Settling,
    pub(crate) entrances: Arc<Entrances>,
    /// What the room of tasks keeps for the host; made when it is needed.
    pub(crate) host_part: OnceCell<Box<dyn Any>>,
    /// The future of the host function that has just said that it is not done.
    pub(crate) host_pending: Cell<Option<FutureId>>,
    /// Instances that perhaps have tasks that can go on; each at most once.
    pub(crate) working: RefCell<VecDeque<NonNull<InstanceData>>>,
    /// Calls whose futures the embedder has dropped.
    pub(crate) dropped_calls: Arc<DroppedCalls>,
    pub(crate) lends: RefCell<Vec<Lend>>,
    pub(crate) exceptions: Exceptions,
    pub(crate) error_contexts: ErrorContexts,
    /// How many exports were called, wrapping.
    pub(crate) calls: Cell<u32>,
    /// Set when the first [`InterruptHandle`] is made, or deadline set.
    interrupts: OnceCell<Arc<Interrupts>>,
}

impl StoreInner {
    fn new(data: NonNull<()>) -> StoreInner {
        static NEXT_ID: AtomicU64 = AtomicU64::new(0);
        StoreInner {
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            data,
            limits: Cell::default(),
            limit_reached: Cell::default(),
            ledger: Ledger::default(),
            instances: RefCell::default(),
            arena: RefCell::default(),
            arena_mark: Cell::new(Arena::default().mark()),
            host_results: RefCell::default(),
            host_error: RefCell::default(),
            host_panic: RefCell::default(),
            trap: TrapRecord::default(),
            stacks: Stacks::default(),
            reactor: Reactor::default(),
            settling: Settling::default(),
            entrances: Arc::default(),
            host_part: OnceCell::new(),
            host_pending: Cell::new(None),
            working: RefCell::default(),
            dropped_calls: Arc::default(),
            lends: RefCell::default(),
            exceptions: Exceptions::default(),
            error_contexts: ErrorContexts::default(),
            calls: Cell::new(0),
            interrupts: OnceCell::new(),
        }
    }

    /// What this store shares with its [`InterruptHandle`]s, if it has any.
    #[inline]
    pub(crate) fn interrupts(&self) -> Option<&Interrupts> {
        self.interrupts.get().map(|shared| &**shared)
    }

    /// The same, to be kept.
    pub(crate) fn shared_if_any(&self) -> Option<&Arc<Interrupts>> {
        self.interrupts.get()
    }

    /// The same, made if it is missing.
    fn shared_interrupts(&self) -> &Arc<Interrupts> {
        let list = self.reactor.wake_list();
        self.interrupts
            .get_or_init(|| Arc::new(Interrupts::new(list.clone())))
    }

    fn set_deadline(&self, deadline: Option<Instant>) -> Result<()> {
        match (deadline, self.interrupts.get()) {
            (None, None) => Ok(()),
            _ => set_deadline(self.shared_interrupts(), deadline),
        }
    }

    /// Answers whether work for a call in this store, which perhaps has returned already, may go
    /// on.
    ///
    /// # Errors
    /// The trap, if the call was interrupted or its deadline has passed.
    pub(crate) fn check_time(&self) -> Result<()> {
        match self.interrupts().and_then(Interrupts::stop_code) {
            None => wait::check(),
            Some(code) => Err(Trap::new(code, 0, WasmBacktrace::default()).into()),
        }
    }

    /// Charges for owned values that the running call gives to the host.
    ///
    /// # Errors
    /// If they are too many, or the time of the call is over.
    pub(crate) fn charge_values(&self, bytes: u64) -> Result<()> {
        self.ledger.charge_values(bytes, &self.limits.get());
        match self.ledger.values_are_over() {
            true => self.check_values(),
            false => Ok(()),
        }
    }

    /// Answers whether the running call may give more values to the host.
    ///
    /// # Errors
    /// As [`StoreInner::charge_values`].
    #[cold]
    pub(crate) fn check_values(&self) -> Result<()> {
        if self.ledger.values_are_too_many() {
            let limit = Amount::Bytes(self.limits.get().value_bytes);
            let trap = Trap::new(TrapCode::ValueLimit, 0, WasmBacktrace::default());
            return Err(trap.at(limit.to_string()).into());
        }
        let time = self.check_time();
        if time.is_ok() {
            self.ledger.continue_values();
        }
        time
    }

    /// How much of a stack guest code may use.
    #[inline]
    pub(crate) fn stack_bytes(&self) -> usize {
        self.limits.get().stack_bytes
    }

    /// A number that no other store has: what is in this store carries it.
    #[inline]
    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    /// The address of the embedder's data.
    pub(crate) fn data_address(&self) -> NonNull<()> {
        self.data
    }

    /// Keeps the error of a host function that is about to return
    /// [`trampette_artifact::layout::HOST_ERROR`]; the call that traps because of it returns it.
    pub fn set_host_error(&self, error: Error) {
        *self.host_error.borrow_mut() = Some(error);
    }

    /// Keeps the panic of a host function that is about to return `HOST_ERROR`; it resumes when the
    /// trap has left the guest.
    pub fn set_host_panic(&self, payload: Box<dyn Any + Send>) {
        *self.host_panic.borrow_mut() = Some(payload);
    }

    pub(crate) fn take_host_error(&self) -> Option<Error> {
        self.host_error.borrow_mut().take()
    }

    pub(crate) fn take_host_panic(&self) -> Option<Box<dyn Any + Send>> {
        self.host_panic.borrow_mut().take()
    }

    /// Memory of the arena, valid until the outermost running call ends; `None` over the limit.
    pub fn arena_allocate(&self, size: u64, align: u64) -> Option<NonNull<u8>> {
        let limit = self.limits.get().arena_bytes;
        let mut arena = self.arena.borrow_mut();
        let allocated = arena.allocate(size, align, limit);
        self.arena_mark.set(arena.mark());
        allocated
    }

    #[inline]
    pub(crate) fn arena_mark(&self) -> u64 {
        self.arena_mark.get()
    }

    #[inline]
    pub(crate) fn arena_reset(&self, mark: u64) {
        if self.arena_mark.get() != mark {
            self.arena_release(mark);
        }
    }

    #[inline(never)]
    fn arena_release(&self, mark: u64) {
        let mut arena = self.arena.borrow_mut();
        arena.reset(mark);
        self.arena_mark.set(arena.mark());
    }

    /// Keeps a boxed value until the results of the running host function have been copied into the
    /// guest; returns its stable address.
    pub fn keep_box<V: 'static>(&self, value: Box<V>) -> NonNull<V> {
        unsafe fn drop_box<V>(pointer: NonNull<()>, _: usize, _: usize) {
            // SAFETY: made by `Box::into_raw` below.
            drop(unsafe { Box::from_raw(pointer.cast::<V>().as_ptr()) });
        }
        let pointer = NonNull::from(Box::leak(value));
        self.host_results.borrow_mut().push(KeptValue {
            pointer: pointer.cast(),
            length: 0,
            capacity: 0,
            drop: drop_box::<V>,
        });
        pointer
    }

    /// Keeps a vector; see [`StoreInner::keep_box`]. Returns the address of its elements.
    pub fn keep_vec<V: 'static>(&self, value: Vec<V>) -> NonNull<V> {
        unsafe fn drop_vec<V>(pointer: NonNull<()>, length: usize, capacity: usize) {
            // SAFETY: taken apart below.
            drop(unsafe { Vec::from_raw_parts(pointer.cast::<V>().as_ptr(), length, capacity) });
        }
        let mut value = ManuallyDrop::new(value);
        let pointer = NonNull::new(value.as_mut_ptr()).expect("vectors are never null");
        if value.capacity() != 0 {
            self.host_results.borrow_mut().push(KeptValue {
                pointer: pointer.cast(),
                length: value.len(),
                capacity: value.capacity(),
                drop: drop_vec::<V>,
            });
        }
        pointer
    }

    /// Keeps a string; see [`StoreInner::keep_box`]. Returns the address of its bytes.
    pub fn keep_string(&self, value: String) -> NonNull<u8> {
        self.keep_vec(value.into_bytes())
    }

    /// Drops what host functions keep for their results.
    pub(crate) fn release_host_results(&self) {
        // One at a time, so that no borrow is held while a destructor of the embedder's runs.
        loop {
            let kept = self.host_results.borrow_mut().pop();
            if kept.is_none() {
                break;
            }
        }
    }

    #[cfg(test)]
    pub(crate) fn host_results_length(&self) -> usize {
        self.host_results.borrow().len()
    }

    /// Records a lend; false if there is no room for it, within the limit.
    pub(crate) fn add_lend(&self, lend: Lend) -> bool {
        let bytes = size_of::<Lend>() as u64;
        let mut lends = self.lends.borrow_mut();
        let added = lends.try_reserve(1).is_ok()
            && self.ledger.charge_bookkeeping(bytes, &self.limits.get());
        if added {
            lends.push(lend);
        }
        added
    }

    /// Ends the lends recorded since there were `mark` of them.
    pub(crate) fn release_lends(&self, mark: usize) {
        let mut lends = self.lends.borrow_mut();
        while lends.len() > mark {
            let Some(lend) = lends.pop() else { break };
            self.ledger.return_bookkeeping(size_of::<Lend>() as u64);
            // SAFETY: instances live as long as the store.
            let instance = unsafe { lend.instance.as_ref() };
            instance.handles.end_lend(lend.table, lend.handle);
        }
    }

    /// Takes the lends recorded since there were `mark` of them: whoever has them ends them.
    pub(crate) fn take_lends(&self, mark: usize) -> Vec<Lend> {
        let mut lends = self.lends.borrow_mut();
        let mark = mark.min(lends.len());
        lends.split_off(mark)
    }

    /// Ends the lends that an activation made and did not end.
    pub(crate) fn release_lends_of(&self, activation: *const Activation) {
        let lends = self.lends.borrow();
        let outer = lends.iter().rposition(|lend| lend.activation != activation);
        drop(lends);
        self.release_lends(outer.map_or(0, |outer| outer + 1));
    }

    /// Number of instances.
    pub(crate) fn instance_count(&self) -> usize {
        self.instances.borrow().len()
    }

    /// Adds an instance, which lives from now on as long as the store.
    pub(crate) fn add_instance(&self, instance: Box<InstanceData>) -> u32 {
        let mut instances = self.instances.borrow_mut();
        let index = u32::try_from(instances.len()).expect("limited");
        instance.index.set(index);
        instances.push(NonNull::from(Box::leak(instance)));
        index
    }

    /// Calls `visit` with every instance, until it breaks off.
    pub(crate) fn each_instance(
        &self,
        mut visit: impl FnMut(&InstanceData) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        for instance in self.instances.borrow().iter() {
            // SAFETY: instances live as long as the store.
            visit(unsafe { instance.as_ref() })?;
        }
        ControlFlow::Continue(())
    }

    /// The instance of that number.
    ///
    /// # Panics
    /// If the number is of another store.
    pub(crate) fn instance(&self, index: u32) -> &InstanceData {
        let instance = self.instances.borrow()[index as usize];
        // SAFETY: instances live as long as the store.
        unsafe { instance.as_ref() }
    }
}

impl Drop for StoreInner {
    fn drop(&mut self) {
        // While everything is there that they, or what they drop, may use.
        let _ = self.reactor.remove_all();
        let part = self.host_part.take();
        // Nobody can be told of a panic.
        let _ = catch_unwind(AssertUnwindSafe(|| drop(part)));
        self.release_host_results();
        for instance in self.instances.get_mut().drain(..) {
            // SAFETY: boxed by `add_instance`, and freed only here.
            drop(unsafe { Box::from_raw(instance.as_ptr()) });
        }
    }
}
