//! Commands as processes of their own, and what they cost.

// Not every test uses all of it.
#![allow(dead_code)]

use std::io::Read;
use std::mem::MaybeUninit;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

/// What a process has used when it has ended; other processes beside it make no difference.
#[derive(Debug)]
pub struct Ended {
    pub status: ExitStatus,
    /// What it wrote to standard error.
    pub message: String,
    /// Processor time of all its threads.
    pub time: Duration,
    /// The most bytes that were resident at once, looked at all the time until shortly before the
    /// end. (What the kernel counts for a child includes what its parent had when it started it.)
    pub memory: u64,
}

/// Runs a command, without standard output.
#[expect(
    clippy::zombie_processes,
    reason = "`wait4` waits for it, and tells what it has used"
)]
pub fn run(command: &mut Command) -> Ended {
    let command = command.stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stderr = child.stderr.take().unwrap();
    let message = std::thread::spawn(move || {
        let mut message = String::new();
        stderr.read_to_string(&mut message).unwrap();
        message
    });
    let id = libc::pid_t::try_from(child.id()).unwrap();
    let mut memory = 0;
    let (mut status, mut usage) = (0, MaybeUninit::<libc::rusage>::zeroed());
    let usage = loop {
        memory = most_resident(id).unwrap_or(0).max(memory);
        // SAFETY: a child that nobody else waits for; the call writes the two.
        let ended = unsafe { libc::wait4(id, &mut status, libc::WNOHANG, usage.as_mut_ptr()) };
        if ended == id {
            // SAFETY: written by the call.
            break unsafe { usage.assume_init() };
        }
        assert_eq!(ended, 0);
        std::thread::sleep(Duration::from_micros(300));
    };
    let message = message.join().unwrap();
    let time = |time: libc::timeval| Duration::new(time.tv_sec as u64, time.tv_usec as u32 * 1000);
    Ended {
        status: ExitStatus::from_raw(status),
        message,
        time: time(usage.ru_utime) + time(usage.ru_stime),
        memory,
    }
}

/// The most bytes that a process has had resident at once, since it is what it is.
fn most_resident(process: libc::pid_t) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kilobytes: u64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    Some(kilobytes << 10)
}
