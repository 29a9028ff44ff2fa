//! Time as tests bound it: what the product takes, and not what a loaded machine keeps it waiting
//! for.
//!
//! - What works is measured in processor time: [`thread_time`], [`process_time`].
//! - What is to stop at some moment is measured by a [`Watch`]. A thread of the test sleeps until
//!   that moment, as late as the machine makes it, and takes the time from there on, less what the
//!   kernel kept the threads that take part ready to run and did not run them (`schedstat`).

// Not every test uses all of it.
#![allow(dead_code)]

use std::path::Path;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// After an interrupt or a deadline, a call ends within this time.
pub const PROMPT: Duration = Duration::from_millis(50);

/// The name of the runtime's thread that sees to deadlines.
const TIMER: &str = "trampette-timer";

/// The processor time of this thread.
pub fn thread_time() -> Duration {
    clock(libc::CLOCK_THREAD_CPUTIME_ID)
}

/// The processor time of all threads of this process.
pub fn process_time() -> Duration {
    clock(libc::CLOCK_PROCESS_CPUTIME_ID)
}

fn clock(id: libc::clockid_t) -> Duration {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the call writes the time.
    assert_eq!(unsafe { libc::clock_gettime(id, &mut time) }, 0);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// The numbers of this process's threads that have one of these names, of which the kernel keeps
/// 15 bytes.
fn threads_named(names: &[&str]) -> Vec<libc::pid_t> {
    let tasks = std::fs::read_dir("/proc/self/task");
    // Threads may end meanwhile, and files may be what this process has no more of.
    let named = tasks.into_iter().flatten().filter_map(|task| {
        let task = task.ok()?;
        let found = std::fs::read_to_string(task.path().join("comm")).ok()?;
        let is_named = names.contains(&found.trim_end());
        is_named.then(|| task.file_name().to_str()?.parse().ok())?
    });
    named.collect()
}

/// This thread, those that it has started and given no name, and the runtime's timer, which takes
/// its name when it first runs.
pub fn own_threads() -> Vec<libc::pid_t> {
    let name = std::fs::read_to_string("/proc/thread-self/comm").unwrap();
    threads_named(&[name.trim_end(), TIMER])
}

/// This thread's number.
fn this_thread() -> libc::pid_t {
    // SAFETY: has no conditions.
    unsafe { libc::gettid() }
}

/// Waits for a child of this process to end, and gives the time since it was started, less what the
/// kernel kept its first thread ready to run and did not run it. The child is still to be waited
/// for.
pub fn ended(child: u32, started: Instant) -> Duration {
    // SAFETY: zeros are such a structure.
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    let flags = libc::WEXITED | libc::WNOWAIT;
    // SAFETY: the child's number; the call writes what happened, and leaves the child as it is.
    let result = unsafe { libc::waitid(libc::P_PID, child, &mut info, flags) };
    assert_eq!(result, 0);
    let took = started.elapsed();
    let text = std::fs::read_to_string(format!("/proc/{child}/schedstat"));
    took.saturating_sub(delay_in(&text.unwrap_or_default()))
}

/// How long a thread has waited for a processor while it could have run; nothing if it is gone, or
/// the kernel does not count.
fn delay_of(thread: libc::pid_t) -> Duration {
    let file = Path::new("/proc/self/task")
        .join(thread.to_string())
        .join("schedstat");
    delay_in(&std::fs::read_to_string(file).unwrap_or_default())
}

/// The second number of a `schedstat`.
fn delay_in(schedstat: &str) -> Duration {
    let delay = schedstat.split_whitespace().nth(1);
    let nanoseconds = delay.and_then(|delay| delay.parse().ok());
    Duration::from_nanos(nanoseconds.unwrap_or(0))
}

/// The delays of the thread that is to be stopped and of the runtime's timer.
fn delays(stopped: libc::pid_t) -> Duration {
    let timers = threads_named(&[TIMER]);
    timers.into_iter().chain([stopped]).map(delay_of).sum()
}

/// Measures how soon the thread that makes it stops what it does.
pub struct Watch {
    control: Control,
}

/// What knows where a measurement begins.
enum Control {
    Thread(JoinHandle<Start>),
    Here(Start),
}

/// Where a measurement begins.
struct Start {
    at: Instant,
    delays: Duration,
    /// What the request itself was delayed by.
    request: Duration,
}

impl Watch {
    /// A stop that is due at a moment.
    pub fn due(moment: Instant) -> Watch {
        Watch::request(moment, || true)
    }

    /// As [`Watch::due`], without a thread and its files. All delays from now on count.
    pub fn alone(moment: Instant) -> Watch {
        Watch {
            control: Control::Here(Start {
                at: moment,
                delays: delays(this_thread()),
                request: Duration::ZERO,
            }),
        }
    }

    /// A stop that is asked for at a moment; `request` says whether there was something to stop,
    /// and is made again until there is. A machine may take its time to begin a call.
    pub fn request(moment: Instant, request: impl Fn() -> bool + Send + 'static) -> Watch {
        let stopped = this_thread();
        let control = std::thread::spawn(move || {
            std::thread::sleep(moment.saturating_duration_since(Instant::now()));
            loop {
                let before = delay_of(this_thread());
                let delays = delays(stopped);
                let at = Instant::now();
                if request() {
                    let request = delay_of(this_thread()).saturating_sub(before);
                    return Start {
                        at,
                        delays,
                        request,
                    };
                }
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        Watch {
            control: Control::Thread(control),
        }
    }

    /// How long it took from the moment to now, without the load's part.
    pub fn stopped(self) -> Duration {
        let (end, delays) = (Instant::now(), delays(this_thread()));
        let start = match self.control {
            Control::Thread(thread) => thread.join().unwrap(),
            Control::Here(start) => start,
        };
        let load = delays.saturating_sub(start.delays) + start.request;
        end.saturating_duration_since(start.at).saturating_sub(load)
    }
}
