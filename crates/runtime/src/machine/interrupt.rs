//! [`InterruptHandle`]: stopping a call that runs on another thread.
//!
//! It costs guest code nothing: a signal is sent to the thread that runs the call. If it arrives in
//! compiled guest code, the call traps there. Anywhere else — in an entry, a stub, the runtime or a
//! host function — the innermost instance's `interrupt` flag is set, which compiled code tests when
//! a host function returns and long copies and fills test as they go, and the signal is sent again
//! a little later, until the call has ended. So a call that computes without end is stopped
//! wherever it is, and one that waits in a host function is stopped when that returns.
//!
//! Trampolines are cut short like core functions, which may be inlined in them and they in core
//! functions. Nothing sees that: the instance stays locked, and what the host owns is on lists that
//! a trap drains.

use crate::machine::activation::Activation;
use crate::machine::hook::Hook;
use crate::machine::instance::InstanceData;
use crate::machine::store::StoreInner;
use crate::machine::traps::leave_by_signal;
use anyhow::{Result, bail};
use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, OnceLock, PoisonError};
use std::time::Duration;
use trampette_artifact::ids::SlabId;
use trampette_artifact::layout::RootHeader;
use trampette_artifact::trap::TrapCode;

/// The signal: ignored by default, and hardly used otherwise. Whoever handled it before gets those
/// that are not ours.
const SIGNAL: libc::c_int = libc::SIGURG;
/// Between two signals to a call that has not ended.
const PAUSE: Duration = Duration::from_micros(500);

/// Stops calls of one store, from any thread. Made by [`crate::Store::interrupt_handle`].
#[derive(Clone)]
pub struct InterruptHandle {
    shared: Arc<Interrupts>,
}

/// What a store and its handles share.
#[derive(Default)]
pub(crate) struct Interrupts {
    /// The number of the outermost call that runs; 0 if none does.
    running: AtomicU64,
    /// The call that is to be stopped.
    wanted: AtomicU64,
    /// The kernel's number of the thread that runs it.
    thread: AtomicI32,
    /// How many calls there were.
    calls: AtomicU64,
}

impl InterruptHandle {
    pub(crate) fn new(shared: Arc<Interrupts>) -> Result<InterruptHandle> {
        install()?;
        Ok(InterruptHandle { shared })
    }

    /// Stops the call that runs now, with every call inside it: each returns a trap of kind
    /// [`TrapCode::Interrupt`], as soon as its guest code runs. Returns whether there was one.
    /// Calls that begin later are not affected.
    pub fn interrupt(&self) -> bool {
        let call = self.shared.running.load(Ordering::Acquire);
        if call == 0 {
            return false;
        }
        self.shared.wanted.store(call, Ordering::Release);
        self.shared.signal();
        Watcher::get().watch(self.shared.clone());
        true
    }
}

impl std::fmt::Debug for InterruptHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("InterruptHandle").finish_non_exhaustive()
    }
}

impl Interrupts {
    /// Whether the running call is to be stopped.
    fn is_wanted(&self) -> bool {
        let call = self.running.load(Ordering::Acquire);
        call != 0 && self.wanted.load(Ordering::Acquire) == call
    }

    fn signal(&self) {
        let thread = self.thread.load(Ordering::Acquire);
        // SAFETY: a system call on numbers. The thread may be gone, and another have its number:
        // the handler then finds no call of this store.
        unsafe { libc::syscall(libc::SYS_tgkill, libc::getpid(), thread, SIGNAL) };
    }

    /// Makes a call in this thread that can be interrupted. A call inside another one of the same
    /// store is part of that.
    #[inline(never)]
    pub(crate) fn run<R>(&self, instance: &InstanceData, call: impl FnOnce() -> R) -> R {
        let _running = self.enter(instance);
        call()
    }

    /// Notes that this thread begins a call, for as long as the result lives.
    fn enter<'s>(&'s self, instance: &'s InstanceData) -> Running<'s> {
        let is_outermost = self.running.load(Ordering::Relaxed) == 0;
        if is_outermost {
            let number = self.calls.fetch_add(1, Ordering::Relaxed) + 1;
            self.thread.store(thread_number(), Ordering::Release);
            self.running.store(number, Ordering::Release);
        }
        Running {
            shared: self,
            instance,
            is_outermost,
        }
    }
}

/// A call that runs.
struct Running<'s> {
    shared: &'s Interrupts,
    instance: &'s InstanceData,
    is_outermost: bool,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        if self.is_outermost {
            self.shared.running.store(0, Ordering::Release);
        }
        // Left set by a signal that came too late; a call inside a wanted one is stopped by the
        // next.
        flag(self.instance).store(0, Ordering::Relaxed);
    }
}

/// The flag that compiled code tests when a host function returns.
fn flag(instance: &InstanceData) -> &AtomicU32 {
    let root = instance.slabs().root(SlabId(0)).cast::<RootHeader>();
    // SAFETY: the root is mapped while the instance lives, and its fields are aligned.
    unsafe { AtomicU32::from_ptr(&raw mut (*root.as_ptr()).interrupt) }
}

/// Whether a signal came outside guest code.
pub(crate) fn is_interrupted(instance: &InstanceData) -> bool {
    flag(instance).load(Ordering::Relaxed) != 0
}

/// The kernel's number of this thread.
fn thread_number() -> libc::pid_t {
    thread_local! {
        static NUMBER: Cell<libc::pid_t> = const { Cell::new(0) };
    }
    NUMBER.with(|number| {
        if number.get() == 0 {
            // SAFETY: no arguments.
            number.set(unsafe { libc::gettid() });
        }
        number.get()
    })
}

/// Sends signals again to calls that have not ended: a thread that is started when it is first
/// needed.
struct Watcher {
    calls: Mutex<Vec<Arc<Interrupts>>>,
    arrived: Condvar,
    has_thread: AtomicBool,
}

impl Watcher {
    fn get() -> &'static Watcher {
        static WATCHER: Watcher = Watcher {
            calls: Mutex::new(Vec::new()),
            arrived: Condvar::new(),
            has_thread: AtomicBool::new(false),
        };
        &WATCHER
    }

    fn watch(&'static self, call: Arc<Interrupts>) {
        if !self.has_thread.swap(true, Ordering::AcqRel) {
            let name = "trampette-interrupt".to_string();
            let thread = std::thread::Builder::new().name(name).spawn(|| self.run());
            // Without a thread the one signal must do; the next request tries again.
            self.has_thread.store(thread.is_ok(), Ordering::Release);
        }
        self.lock().push(call);
        self.arrived.notify_one();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Arc<Interrupts>>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self) {
        loop {
            let mut calls = self.lock();
            while calls.is_empty() {
                calls = self
                    .arrived
                    .wait(calls)
                    .unwrap_or_else(PoisonError::into_inner);
            }
            calls.retain(|call| call.is_wanted());
            for call in calls.iter() {
                call.signal();
            }
            drop(calls);
            std::thread::sleep(PAUSE);
        }
    }
}

static HOOK: Hook = Hook::new(SIGNAL);

/// Installs the handler, once per process.
fn install() -> Result<()> {
    static DONE: OnceLock<std::result::Result<(), String>> = OnceLock::new();
    let done = DONE.get_or_init(|| {
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
        let wanted = activation.filter(|activation| is_wanted(activation.store()));
        match wanted {
            Some(activation) => stop(activation, &mut *context.cast::<libc::ucontext_t>()),
            // The default is to ignore it, so that nothing is left to do if nobody handled it
            // before.
            None => {
                HOOK.chain(info, context);
            }
        }
    }
}

fn is_wanted(store: &StoreInner) -> bool {
    store.interrupts().is_some_and(|shared| shared.is_wanted())
}

/// Makes the signal return into the handler of the innermost entry if it came in guest code, and
/// sets the flag otherwise.
unsafe fn stop(activation: &Activation, ucontext: &mut libc::ucontext_t) {
    let instance = activation.instance();
    let registers = &mut ucontext.uc_mcontext.gregs;
    let pc = registers[libc::REG_RIP as usize] as usize;
    let offset = instance.component.text_offset(pc);
    if !offset.is_some_and(|offset| instance.component.is_guest_code(offset)) {
        flag(instance).store(1, Ordering::Relaxed);
        return;
    }
    let code = u32::from(TrapCode::Interrupt.number());
    // SAFETY: guest code of the innermost activation was running, as its program counter says. If
    // its entry cannot be found, the signal is sent again.
    unsafe { leave_by_signal(activation, registers, code) };
}
