//! The timer: one thread of the process that stops calls whose time is over.
//!
//! It is started when the first deadline is set or the first call is interrupted, and sleeps until
//! the earliest deadline. A store has at most one entry here, which is for its deadline or for an
//! earlier one: a deadline that moves on, as that of a server's next request does, takes no lock;
//! the timer looks again when the old time has come.
//!
//! A call that is to be stopped gets a signal at once, and again after pauses, since the first one
//! may come just before guest code is entered (see `interrupt`). The pauses grow where the thread
//! waits, and stay short while it works. Meanwhile all services that compiled code calls look
//! whether their call is to end (`steps`).
//!
//! A process that forks has no such thread in the child, and other numbers of threads: both are
//! set up again there.

use crate::machine::activation::Activation;
use crate::machine::interrupt::{Interrupts, Moment};
use crate::machine::steps::{Looking, set_looking};
use crate::machine::thread::Thread;
use anyhow::{Result, ensure};
use std::cell::UnsafeCell;
use std::collections::BTreeMap;
use std::mem::MaybeUninit;
use std::ptr::{null, null_mut};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

/// Between the first signal to a call and the second, in nanoseconds, and between all signals while
/// its thread works; otherwise each pause is twice as long as the one before.
const FIRST_PAUSE: u64 = 500_000;
/// A thread works if it has used so many nanoseconds of a processor since the last signal: more
/// than it takes to be woken by one, and to wait again.
const WORK: u64 = FIRST_PAUSE / 4;
/// The longest pause.
const LONGEST_PAUSE: u64 = 25_000_000;

static TIMER: Timer = Timer {
    state: Mutex::new(State {
        has_thread: false,
        deadlines: BTreeMap::new(),
        stopping: Vec::new(),
    }),
    changed: Condvar::new(),
};

struct Timer {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    has_thread: bool,
    /// By time, and by store where two have the same.
    deadlines: BTreeMap<(Moment, usize), Weak<Interrupts>>,
    stopping: Vec<Stopping>,
}

/// A call that is being stopped.
struct Stopping {
    store: Arc<Interrupts>,
    call: u64,
    /// When the next signal is due, and how long the pause after it is if the thread waits.
    next: Moment,
    pause: u64,
    /// The processor time that the thread had used when the last signal was sent, in nanoseconds.
    used: u64,
}

/// Stores that the timer has done with, or whose drivers are to be told that the time is over. Both
/// that and dropping them is done without its lock, which they may take.
type Done = Vec<Arc<Interrupts>>;

/// Stops the running call of a store that wants it.
pub(crate) fn stop(store: &Arc<Interrupts>) {
    let Some(call) = store.call_to_stop() else {
        return;
    };
    store.signal();
    let mut state = TIMER.lock();
    // Without a thread the one signal must do; the next request tries again.
    if state.ensure_thread().is_ok() {
        state.begin_to_stop(Stopping {
            store: store.clone(),
            call,
            next: Moment(Moment::now().0 + FIRST_PAUSE),
            pause: FIRST_PAUSE * 2,
            used: store.processor_time(),
        });
        TIMER.changed.notify_one();
    }
}

/// Makes sure that the timer looks at a store when its deadline has come.
///
/// # Errors
/// If there can be no thread.
pub(crate) fn arm(store: &Arc<Interrupts>, deadline: Moment) -> Result<()> {
    if store.armed.load(Ordering::SeqCst) <= deadline.0 {
        return Ok(());
    }
    let mut state = TIMER.lock();
    state.ensure_thread()?;
    state.remove(store);
    state.insert(store, deadline);
    TIMER.changed.notify_one();
    Ok(())
}

/// Forgets a store.
pub(crate) fn disarm(store: &Interrupts) {
    if store.armed.load(Ordering::SeqCst) != Moment::NEVER.0 {
        TIMER.lock().remove(store);
    }
}

fn key(store: &Interrupts, armed: Moment) -> (Moment, usize) {
    (armed, std::ptr::from_ref(store).addr())
}

impl Timer {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics while the lock is held.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self) -> ! {
        let mut state = self.lock();
        loop {
            let done = state.step(Moment::now());
            if !done.is_empty() {
                drop(state);
                done.iter().for_each(|store| store.tell_driver());
                drop(done);
                state = self.lock();
            }
            let wait = state
                .next()
                .map(|next| next.0.saturating_sub(Moment::now().0));
            state = match wait {
                Some(0) => state,
                Some(wait) => {
                    let waited = self.changed.wait_timeout(state, Duration::from_nanos(wait));
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
                None => {
                    let waited = self.changed.wait(state);
                    waited.unwrap_or_else(PoisonError::into_inner)
                }
            };
        }
    }
}

impl State {
    fn insert(&mut self, store: &Arc<Interrupts>, deadline: Moment) {
        let entry = key(store, deadline);
        self.deadlines.insert(entry, Arc::downgrade(store));
        store.armed.store(deadline.0, Ordering::SeqCst);
    }

    fn remove(&mut self, store: &Interrupts) {
        let armed = Moment(store.armed.swap(Moment::NEVER.0, Ordering::SeqCst));
        if armed != Moment::NEVER {
            self.deadlines.remove(&key(store, armed));
        }
    }

    fn begin_to_stop(&mut self, call: Stopping) {
        self.stopping.push(call);
        set_looking(Looking::Always);
    }

    /// When there is something to do.
    fn next(&self) -> Option<Moment> {
        let deadline = self.deadlines.first_key_value().map(|(key, _)| key.0);
        let signal = self.stopping.iter().map(|call| call.next).min();
        deadline.into_iter().chain(signal).min()
    }

    /// Does what is due.
    fn step(&mut self, now: Moment) -> Done {
        let mut done = Vec::new();
        while let Some(entry) = self.deadlines.first_entry()
            && entry.key().0 <= now
        {
            let Some(store) = entry.remove().upgrade() else {
                continue;
            };
            store.armed.store(Moment::NEVER.0, Ordering::SeqCst);
            let deadline = store.deadline();
            if deadline != Moment::NEVER && deadline > now {
                self.insert(&store, deadline);
                done.push(store);
                continue;
            }
            // A call that begins from now on looks at the deadline itself.
            match store.call_to_stop() {
                Some(call) => self.begin_to_stop(Stopping {
                    store,
                    call,
                    next: now,
                    pause: FIRST_PAUSE,
                    used: 0,
                }),
                None => done.push(store),
            }
        }
        let mut index = 0;
        while let Some(call) = self.stopping.get_mut(index) {
            if call.store.call_to_stop() != Some(call.call) {
                done.push(self.stopping.swap_remove(index).store);
                continue;
            }
            if call.next <= now {
                call.store.signal();
                done.push(call.store.clone());
                let used = call.store.processor_time();
                if used.saturating_sub(call.used) >= WORK {
                    call.pause = FIRST_PAUSE;
                }
                call.used = used;
                call.next = Moment(now.0 + call.pause);
                call.pause = (call.pause * 2).min(LONGEST_PAUSE);
            }
            index += 1;
        }
        if self.stopping.is_empty() && !done.is_empty() {
            set_looking(Looking::Usual);
        }
        done
    }

    fn ensure_thread(&mut self) -> Result<()> {
        if !self.has_thread {
            let started = start_thread();
            ensure!(
                started == 0,
                "cannot start the thread of deadlines: {}",
                std::io::Error::from_raw_os_error(started)
            );
            self.has_thread = true;
        }
        Ok(())
    }
}

/// Sees to what has to be set up again when the process forks. Called once, before any call can be
/// stopped.
pub(crate) fn expect_forks() {
    // SAFETY: the functions keep to what is possible around a fork.
    unsafe { libc::pthread_atfork(Some(before_fork), Some(after_fork), Some(in_child)) };
}

/// Starts the thread, which gets none of the process's signals; an error's number, or 0. Not by the
/// standard library, whose locks other threads may have held when the process forked.
fn start_thread() -> libc::c_int {
    extern "C" fn run(_: *mut libc::c_void) -> *mut libc::c_void {
        // SAFETY: a name of less than 16 bytes.
        unsafe { libc::prctl(libc::PR_SET_NAME, c"trampette-timer".as_ptr()) };
        TIMER.run()
    }
    // SAFETY: plain data, initialised by the functions that are for that.
    unsafe {
        let mut all = MaybeUninit::<libc::sigset_t>::uninit();
        let mut before = MaybeUninit::<libc::sigset_t>::uninit();
        libc::sigfillset(all.as_mut_ptr());
        libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), before.as_mut_ptr());
        let mut thread = MaybeUninit::<libc::pthread_t>::uninit();
        let result = libc::pthread_create(thread.as_mut_ptr(), null(), run, null_mut());
        libc::pthread_sigmask(libc::SIG_SETMASK, before.as_ptr(), null_mut());
        if result == 0 {
            libc::pthread_detach(thread.assume_init());
        }
        result
    }
}

/// The lock that is held while the process forks.
struct Forking(UnsafeCell<Option<MutexGuard<'static, State>>>);
// SAFETY: only the thread that holds the lock accesses it.
unsafe impl Sync for Forking {}
static FORKING: Forking = Forking(UnsafeCell::new(None));

/// The state must be whole in the child.
extern "C" fn before_fork() {
    let guard = TIMER.lock();
    // SAFETY: this thread has the lock.
    unsafe { *FORKING.0.get() = Some(guard) };
}

extern "C" fn after_fork() {
    // SAFETY: this thread has the lock since `before_fork`.
    drop(unsafe { (*FORKING.0.get()).take() });
}

extern "C" fn in_child() {
    // SAFETY: this thread has the lock since `before_fork`, and is the only one.
    let Some(mut state) = (unsafe { (*FORKING.0.get()).take() }) else {
        return;
    };
    state.has_thread = false;
    let thread = Thread::number_after_fork();
    // SAFETY: activations of this thread are live.
    let mut activation = unsafe { Activation::current().as_ref() };
    while let Some(current) = activation {
        if let Some(store) = current.store().interrupts() {
            store.set_thread(thread);
        }
        activation = current.outer();
    }
    // The threads of all other calls are gone.
    let gone = state
        .stopping
        .extract_if(.., |call| !call.store.is_of(thread));
    let gone: Vec<Stopping> = gone.collect();
    if state.stopping.is_empty() {
        set_looking(Looking::Usual);
    }
    if !(state.deadlines.is_empty() && state.stopping.is_empty()) {
        // If it fails, the next deadline tries again.
        state.has_thread = start_thread() == 0;
    }
    drop(state);
    drop(gone);
}
