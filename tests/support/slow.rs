//! Readers that are slower than what writes to them.

use anyhow::Result;
use std::io::{PipeReader, Read};
use std::os::fd::AsRawFd;
use std::process::{Command, Output, Stdio};

/// What a full pipe does with whoever writes to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pipe {
    /// It makes the writer wait.
    Waits,
    /// It says that the writer would have to wait (`O_NONBLOCK`), as those do that some parents
    /// share with their children.
    Refuses,
}

/// Runs a command whose standard output and error are pipes of a page, read little by little.
pub fn output(command: &mut Command, kind: Pipe) -> Result<Output> {
    let (stdout, to_stdout) = std::io::pipe()?;
    let (stderr, to_stderr) = std::io::pipe()?;
    for pipe in [to_stdout.as_raw_fd(), to_stderr.as_raw_fd()] {
        // SAFETY: system calls on numbers; the descriptors are open.
        unsafe {
            libc::fcntl(pipe, libc::F_SETPIPE_SZ, 4096);
            if kind == Pipe::Refuses {
                libc::fcntl(pipe, libc::F_SETFL, libc::O_NONBLOCK);
            }
        }
    }
    command
        .stdin(Stdio::null())
        .stdout(to_stdout)
        .stderr(to_stderr);
    let mut child = command.spawn()?;
    // The command keeps the ends that are written to.
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let errors = std::thread::spawn(move || slowly(stderr));
    let stdout = slowly(stdout)?;
    let stderr = errors.join().expect("it does not panic")?;
    let status = child.wait()?;
    Ok(Output {
        status,
        stdout,
        stderr,
    })
}

fn slowly(mut pipe: PipeReader) -> std::io::Result<Vec<u8>> {
    let (mut all, mut part) = (Vec::new(), [0; 3000]);
    loop {
        // Whoever writes has the time to fill the pipe.
        std::thread::yield_now();
        match pipe.read(&mut part)? {
            0 => return Ok(all),
            count => all.extend_from_slice(&part[..count]),
        }
    }
}
