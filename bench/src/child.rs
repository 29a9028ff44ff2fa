//! Child processes: their CPU time and peak memory, which only a process of its own can tell.

use anyhow::{Context, Result, bail, ensure};
use std::ffi::OsStr;
use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// What a child that ended well did.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Its standard output.
    pub output: String,
    /// User and system time.
    pub cpu: Duration,
    /// From start to end.
    pub wall: Duration,
    /// Peak resident memory in bytes.
    pub peak: u64,
}

/// Runs this program's own child command; see [`dispatch`].
pub fn run(arguments: &[&OsStr]) -> Result<Outcome> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("--child").args(arguments);
    measure(&mut command)
}

/// Runs a command to its end.
pub fn measure(command: &mut Command) -> Result<Outcome> {
    let start = Instant::now();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {command:?}"))?;
    let mut output = String::new();
    let mut stdout = child.stdout.take().expect("piped");
    stdout.read_to_string(&mut output)?;
    let id = libc::pid_t::try_from(child.id())?;
    let mut status = 0;
    // SAFETY: `rusage` is plain data; the child is ours and was not waited for.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        ensure!(libc::wait4(id, &mut status, 0, &mut usage) == id);
        usage
    };
    ensure!(
        libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0,
        "{command:?} ended with status {status}"
    );
    let time = |time: libc::timeval| {
        Duration::from_secs(time.tv_sec as u64) + Duration::from_micros(time.tv_usec as u64)
    };
    Ok(Outcome {
        output,
        cpu: time(usage.ru_utime) + time(usage.ru_stime),
        wall: start.elapsed(),
        peak: usage.ru_maxrss as u64 * 1024,
    })
}

/// What this program does as its own child.
pub fn dispatch(arguments: &[String]) -> Result<()> {
    use crate::measure::Contender;
    let contender = |name: &str| Contender::named(name).context("no such contender");
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["resident", name, file] => {
            let bytes = crate::instances::resident_in_child(contender(name)?, Path::new(file))?;
            println!("{bytes}");
            Ok(())
        }
        ["compile", name, threads, input, output] => crate::compiling::in_child(
            contender(name)?,
            threads.parse()?,
            Path::new(input),
            Path::new(output),
        ),
        ["run-peer", name, file, ref rest @ ..] => {
            crate::kernels::run_peer_in_child(contender(name)?, Path::new(file), rest)
        }
        _ => bail!("no such child command: {arguments:?}"),
    }
}
