//! [`InterruptHandle`] and deadlines: what stops a call that runs.
//!
//! It costs guest code nothing: a signal is sent to the thread that runs the call. If it arrives in
//! compiled guest code, the call traps there. Anywhere else — in an entry, a stub, the runtime or a
//! host function — the `interrupt` flag of every instance that the thread has entered is set.
//! Compiled code tests it when a host function returns, and so do the runtime's own loops over
//! guests' data (`steps`). Waits of the runtime and of hosts that wait through [`crate::wait`] end
//! at once. The [timer](crate::machine::timer) sends the signal again, ever more seldom, for what
//! is left: guest code that was just being entered or left, and host functions that wait by
//! themselves, whose call is stopped when they return.
//!
//! Trampolines are cut short like core functions, which may be inlined in them and they in core
//! functions. Nothing sees that: the instance stays locked, and what the host owns is on lists that
//! a trap drains.

use crate::machine::activation::Activation;
use crate::machine::hook::Hook;
use crate::machine::instance::InstanceData;
use crate::machine::reactor::WakeList;
use crate::machine::thread::Thread;
use crate::machine::timer;
use crate::machine::traps::leave_by_signal;
use anyhow::{Result, bail};
use std::ops::Deref;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicI32, AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use trampette_artifact::ids::SlabId;
use trampette_artifact::layout::RootHeader;
use trampette_artifact::trap::TrapCode;

/// The signal: ignored by default, and hardly used otherwise. Whoever handled it before gets those
/// that are not ours.
pub(crate) const SIGNAL: libc::c_int = libc::SIGURG;

/// Stops calls of one store, from any thread. Made by [`crate::Store::interrupt_handle`].
///
/// [`InterruptHandle::interrupt`] stops one call. What must hold for calls that begin later too — a
/// limit of time for a request that makes several calls, say — is a deadline:
///
/// ```
/// use std::time::{Duration, Instant};
/// use trampette_runtime::Store;
///
/// # fn main() -> anyhow::Result<()> {
/// let mut store = Store::new(());
/// // All calls in this store together have a second; later ones trap at once.
/// store.set_deadline(Some(Instant::now() + Duration::from_secs(1)))?;
/// // Or until another thread changes its mind: from now on every call traps.
/// let handle = store.interrupt_handle()?;
/// std::thread::spawn(move || handle.set_deadline(Some(Instant::now()))).join().unwrap()?;
/// assert!(store.deadline().is_some_and(|deadline| deadline <= Instant::now()));
/// // The instances of a store whose calls were refused can be used again.
/// store.set_deadline(None)?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct InterruptHandle {
    shared: Arc<Interrupts>,
}

/// What a store, its handles and the timer share.
pub(crate) struct Interrupts {
    /// The number of the outermost call that runs, twice, and 1 more if it is to be stopped; 0 if
    /// none runs.
    running: AtomicU64,
    /// How many calls there were. Only the thread that uses the store counts.
    calls: AtomicU64,
    /// When calls end that run, and others fail to begin.
    deadline: AtomicU64,
    /// The kernel's number of the thread that runs the call.
    thread: AtomicI32,
    /// When the timer looks at the deadline: the key of the entry that it has, or [`Moment::NEVER`]
    /// if it has none. Written with the timer's lock held.
    pub(in crate::machine) armed: AtomicU64,
    /// Tells whoever drives the store, if no thread runs its call now.
    wakes: Arc<WakeList>,
}

/// A time, in nanoseconds since the process first asked.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Moment(pub u64);

impl Moment {
    /// Beyond all times.
    pub(crate) const NEVER: Moment = Moment(u64::MAX);

    fn origin() -> Instant {
        static ORIGIN: OnceLock<Instant> = OnceLock::new();
        *ORIGIN.get_or_init(Instant::now)
    }

    /// The time now. Safe in a signal handler once any moment was made.
    pub(crate) fn now() -> Moment {
        Moment::from(Instant::now())
    }

    /// The time of this moment; `None` if it is never.
    pub(crate) fn instant(self) -> Option<Instant> {
        match self {
            Moment::NEVER => None,
            Moment(nanoseconds) => Moment::origin().checked_add(Duration::from_nanos(nanoseconds)),
        }
    }
}

impl From<Instant> for Moment {
    fn from(instant: Instant) -> Moment {
        let since = instant.saturating_duration_since(Moment::origin());
        Moment(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
    }
}

impl InterruptHandle {
    pub(crate) fn new(shared: Arc<Interrupts>) -> Result<InterruptHandle> {
        install()?;
        Ok(InterruptHandle { shared })
    }

    /// Stops the call that runs now, with every call inside it: it returns a trap of kind
    /// [`TrapCode::Interrupt`], as soon as its guest code runs or waits. Answers whether there was
    /// one; if so, that call returns the trap, even where it was just about to end. Calls that
    /// begin later are not affected: see [`InterruptHandle::set_deadline`] for those.
    pub fn interrupt(&self) -> bool {
        let want = |running: u64| (running != 0).then_some(running | 1);
        let order = (Ordering::AcqRel, Ordering::Acquire);
        let running = self.shared.running.fetch_update(order.0, order.1, want);
        if running.is_ok() {
            timer::stop(&self.shared);
            self.shared.tell_driver();
        }
        running.is_ok()
    }

    /// As [`Store::set_deadline`](crate::Store::set_deadline), from any thread: also while a call
    /// runs.
    ///
    /// # Errors
    /// If the process's timer cannot be started.
    pub fn set_deadline(&self, deadline: Option<Instant>) -> Result<()> {
        set_deadline(&self.shared, deadline)
    }
}

impl std::fmt::Debug for InterruptHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("InterruptHandle").finish_non_exhaustive()
    }
}

/// Sets when calls of a store end.
pub(crate) fn set_deadline(shared: &Arc<Interrupts>, deadline: Option<Instant>) -> Result<()> {
    install()?;
    let deadline = deadline.map_or(Moment::NEVER, Moment::from);
    // Sequentially consistent, with the timer's accesses of both: either it sees the new deadline,
    // or its entry is seen to be gone.
    shared.deadline.store(deadline.0, Ordering::SeqCst);
    timer::arm(shared, deadline)?;
    // A call of this thread whose time was over, and is not any more, goes on.
    // SAFETY: activations of this thread's chain are live.
    if let Some(activation) = unsafe { Activation::current().as_ref() }
        && activation.stop_code().is_none()
    {
        activation.set_flags(0);
    }
    Ok(())
}

impl Interrupts {
    pub(crate) fn new(wakes: Arc<WakeList>) -> Self {
        Interrupts {
            running: AtomicU64::new(0),
            calls: AtomicU64::new(0),
            deadline: AtomicU64::new(Moment::NEVER.0),
            thread: AtomicI32::new(0),
            armed: AtomicU64::new(Moment::NEVER.0),
            wakes,
        }
    }
}

impl Drop for Interrupts {
    fn drop(&mut self) {
        timer::disarm(self);
    }
}

impl Interrupts {
    /// When calls end.
    pub(crate) fn deadline(&self) -> Moment {
        Moment(self.deadline.load(Ordering::SeqCst))
    }

    /// Why a call that runs, or would begin now, is to be stopped. Safe in a signal handler.
    pub(crate) fn stop_code(&self) -> Option<TrapCode> {
        if self.running.load(Ordering::Acquire) & 1 != 0 {
            return Some(TrapCode::Interrupt);
        }
        let deadline = self.deadline();
        let is_over = deadline != Moment::NEVER && deadline <= Moment::now();
        is_over.then_some(TrapCode::Deadline)
    }

    /// The call that runs and is to be stopped, if one does.
    pub(in crate::machine) fn call_to_stop(&self) -> Option<u64> {
        let call = self.running.load(Ordering::SeqCst) >> 1;
        (call != 0 && self.stop_code().is_some()).then_some(call)
    }

    /// Sends the signal to the thread that runs the call.
    pub(in crate::machine) fn signal(&self) {
        let thread = self.thread.load(Ordering::Acquire);
        // SAFETY: a system call on numbers. The thread may be gone, and another have its number:
        // the handler then finds no call of this store.
        unsafe { libc::syscall(libc::SYS_tgkill, libc::getpid(), thread, SIGNAL) };
    }

    /// Tells whoever drives the store and waits. Not with a lock held: it may do anything.
    pub(in crate::machine) fn tell_driver(&self) {
        self.wakes.tell_driver();
    }

    /// The processor time that the thread that runs the call has used, in nanoseconds; 0 if it is
    /// gone.
    pub(in crate::machine) fn processor_time(&self) -> u64 {
        // The kernel's name of such a clock: the thread's number, inverted, and two bits of kind.
        const OF_THREAD: libc::clockid_t = 0b110;
        let clock = (!self.thread.load(Ordering::Acquire) << 3) | OF_THREAD;
        let mut time = libc::timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        // SAFETY: the call writes the time, if there is such a thread of this process.
        unsafe { libc::clock_gettime(clock, &mut time) };
        time.tv_sec.cast_unsigned() * 1_000_000_000 + time.tv_nsec.cast_unsigned()
    }

    /// Whether the running thread runs its call.
    pub(in crate::machine) fn is_of(&self, thread: libc::pid_t) -> bool {
        self.running.load(Ordering::Acquire) != 0 && self.thread.load(Ordering::Acquire) == thread
    }

    /// Notes the thread that runs the call, which has another number in a process that was forked.
    pub(in crate::machine) fn set_thread(&self, thread: libc::pid_t) {
        self.thread.store(thread, Ordering::Release);
    }

    /// Notes that a future begins a call, which ends with the result.
    pub(crate) fn begin_driven(self: &Arc<Interrupts>) -> Driven {
        Running::new(self.clone())
    }

    /// Notes that this thread begins a call, which ends with the result.
    pub(crate) fn begin(&self) -> Running<&Interrupts> {
        Running::new(self)
    }
}

/// A call that runs. One inside another one of the same store is part of that.
pub(crate) struct Running<S: Deref<Target = Interrupts>> {
    shared: S,
    is_outermost: bool,
}

/// A call that runs whenever its future is polled, and otherwise waits.
pub(crate) type Driven = Running<Arc<Interrupts>>;

impl<S: Deref<Target = Interrupts>> Running<S> {
    fn new(shared: S) -> Self {
        let is_outermost = shared.running.load(Ordering::Relaxed) == 0;
        if is_outermost {
            let number = shared.calls.fetch_add(1, Ordering::Relaxed) + 1;
            shared.set_thread(Thread::number());
            shared.running.store(number << 1, Ordering::SeqCst);
        }
        Running {
            shared,
            is_outermost,
        }
    }
}

impl Driven {
    /// This thread goes on with the call.
    pub(crate) fn go_on(&self) {
        if self.is_outermost {
            self.shared.set_thread(Thread::number());
        }
    }

    /// Why the call is to be stopped.
    pub(crate) fn stop_code(&self) -> Option<TrapCode> {
        self.shared.stop_code()
    }
}

impl Running<&Interrupts> {
    /// Ends the call; whether it was interrupted, at last.
    pub(crate) fn end(self) -> bool {
        let was = match self.is_outermost {
            true => self.shared.running.swap(0, Ordering::AcqRel),
            false => self.shared.running.load(Ordering::Acquire),
        };
        std::mem::forget(self);
        was & 1 != 0
    }
}

impl<S: Deref<Target = Interrupts>> Drop for Running<S> {
    fn drop(&mut self) {
        if self.is_outermost {
            self.shared.running.store(0, Ordering::Release);
        }
    }
}

/// The flag of a slab: that of the first one compiled code tests when a host function returns.
fn flag(instance: &InstanceData, slab: SlabId) -> &AtomicU32 {
    let root = instance.header(slab);
    // SAFETY: the root is mapped while the instance lives, and its fields are aligned.
    unsafe { AtomicU32::from_ptr(&raw mut (*root.as_ptr()).interrupt) }
}

/// Whether a signal came outside guest code.
#[inline]
pub(crate) fn is_interrupted(instance: &InstanceData) -> bool {
    // SAFETY: the root is mapped while the instance lives.
    unsafe { is_flagged(instance.header(SlabId(0)).as_ptr()) }
}

/// The same of the instance that has a root.
///
/// # Safety
/// The root is mapped.
#[inline]
pub(crate) unsafe fn is_flagged(root: *const RootHeader) -> bool {
    // SAFETY: promised; the field is aligned, and written as an atomic.
    let flag = unsafe { AtomicU32::from_ptr((&raw const (*root).interrupt).cast_mut()) };
    flag.load(Ordering::Relaxed) != 0
}

/// Notes that a signal came outside guest code, or forgets it. Safe in a signal handler.
pub(crate) fn set_flag(instance: &InstanceData, value: u32) {
    for slab in 0..instance.component.slab_plan().len() {
        flag(instance, SlabId::new(slab)).store(value, Ordering::Relaxed);
    }
}

static HOOK: Hook = Hook::new(SIGNAL);

/// Installs the handler, once per process.
pub(crate) fn install() -> Result<()> {
    static DONE: OnceLock<std::result::Result<(), String>> = OnceLock::new();
    let done = DONE.get_or_init(|| {
        // The handler reads the clock, whose origin is known from now on.
        Moment::now();
        timer::expect_forks();
        // Host functions that wait in the kernel go on waiting.
        // SAFETY: the handler keeps to what is safe in one.
        unsafe { HOOK.install(handler, libc::SA_RESTART) }
    });
    match done {
        Ok(()) => Ok(()),
        Err(error) => bail!("cannot install the handler of interrupts: {error}"),
    }
}

unsafe extern "C" fn handler(
    _signal: libc::c_int,
    info: *mut libc::siginfo_t,
    context: *mut libc::c_void,
) {
    // SAFETY: the kernel passes valid pointers; activations of this thread are live.
    unsafe {
        let activation = Activation::current().as_ref();
        let wanted = activation.and_then(|activation| Some((activation, activation.stop_code()?)));
        match wanted {
            Some((activation, code)) => {
                stop(activation, code, &mut *context.cast::<libc::ucontext_t>());
            }
            // The default is to ignore it, so that nothing is left to do if nobody handled it
            // before.
            None => {
                HOOK.chain(info, context);
            }
        }
    }
}

/// Makes the signal return into the handler of the innermost entry if it came in guest code, and
/// sets the flags otherwise.
unsafe fn stop(activation: &Activation, code: TrapCode, ucontext: &mut libc::ucontext_t) {
    let instance = activation.instance();
    let registers = &mut ucontext.uc_mcontext.gregs;
    let pc = registers[libc::REG_RIP as usize] as usize;
    let offset = instance.component.text_offset(pc);
    if offset.is_some_and(|offset| instance.component.is_guest_code(offset)) {
        // SAFETY: guest code of the innermost activation was running, as its program counter says.
        // If its entry cannot be found, the signal is sent again.
        unsafe { leave_by_signal(activation, registers, u32::from(code.number())) };
        return;
    }
    activation.set_flags(1);
    Thread::with(Thread::unpark);
}
