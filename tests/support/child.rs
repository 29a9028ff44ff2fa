//! Commands as processes of their own, and what they cost.

// Not every test uses all of it.
#![allow(dead_code)]

use std::io::Read;
use std::mem::MaybeUninit;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// What a process has used when it has ended; other processes beside it make no difference.
#[derive(Debug)]
pub struct Ended {
    pub status: ExitStatus,
    /// What it wrote to standard error.
    pub message: String,
    /// Processor time of all its threads.
    pub time: Duration,
    /// The most bytes that were resident at once. The kernel counts what was resident in this
    /// process when it started the other, so that it may be too much where that is little.
    pub memory: u64,
}

/// Runs a command, without standard output.
#[expect(
    clippy::zombie_processes,
    reason = "`wait4` waits for it, and tells what it has used"
)]
pub fn run(command: &mut Command) -> Ended {
    // The mark that is set back is the process's.
    static ONE: Mutex<()> = Mutex::new(());
    let _one_at_a_time = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    // SAFETY: gives free memory back to the kernel.
    unsafe { libc::malloc_trim(0) };
    // The most that was ever resident here counts from now on. Where that is refused, more is
    // counted.
    let _refused = std::fs::write("/proc/self/clear_refs", "5");
    let command = command.stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut message = String::new();
    let mut stderr = child.stderr.take().unwrap();
    stderr.read_to_string(&mut message).unwrap();
    let id = libc::pid_t::try_from(child.id()).unwrap();
    let (mut status, mut usage) = (0, MaybeUninit::<libc::rusage>::zeroed());
    // SAFETY: a child that nobody else waits for; the call writes the two.
    let usage = unsafe {
        assert_eq!(libc::wait4(id, &mut status, 0, usage.as_mut_ptr()), id);
        usage.assume_init()
    };
    let time = |time: libc::timeval| Duration::new(time.tv_sec as u64, time.tv_usec as u32 * 1000);
    Ended {
        status: ExitStatus::from_raw(status),
        message,
        time: time(usage.ru_utime) + time(usage.ru_stime),
        memory: (usage.ru_maxrss as u64) << 10,
    }
}
