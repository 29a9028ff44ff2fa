//! The modes that compare with the peer engine: cases on several threads, and a report.

use crate::Arguments;
use crate::case::{self, Mode, Source};
use crate::peer::Peer;
use crate::report::{Report, Saved};
use anyhow::{Context, Result, bail};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Instant;

/// What all threads share.
struct Run {
    arguments: Arguments,
    source: Source,
    peer: Peer,
    next: AtomicU64,
    start: Instant,
    report: Mutex<Report>,
}

impl Run {
    fn work(&self, thread: usize) -> Result<()> {
        let save = self.arguments.save.as_deref();
        loop {
            let seed = self.next.fetch_add(1, Relaxed);
            if self.arguments.is_over(seed, self.start) {
                return Ok(());
            }
            if let Some(folder) = save {
                // So that the seed is known if the process dies.
                std::fs::write(folder.join(format!("running-{thread}")), seed.to_string())?;
            }
            let result = case::run(seed, &self.source, &self.peer);
            if self.arguments.verbose {
                println!("seed {seed}: {result:#?}");
            }
            let mut report = self.report.lock().expect("no thread panics with it");
            let saved = match save {
                Some(folder) if self.arguments.save_all => Saved::All(folder),
                Some(folder) => Saved::Divergent(folder),
                None => Saved::Nothing,
            };
            report.add(seed, &result, saved)?;
            if report.cases.is_multiple_of(1000) {
                println!("{:?}: {report}", self.start.elapsed());
            }
        }
    }
}

/// Runs cases until the arguments say to stop.
///
/// # Errors
/// If a file cannot be read or written, or the peer cannot be started.
pub fn run(arguments: Arguments, mode: Mode) -> Result<ExitCode> {
    let source = match &arguments.replay {
        Some(path) => {
            let wasm = std::fs::read(path);
            Source::File(wasm.with_context(|| format!("cannot read {}", path.display()))?)
        }
        None => Source::Generated(mode),
    };
    let run = Run {
        source,
        next: AtomicU64::new(arguments.seed),
        peer: Peer::new()?,
        start: Instant::now(),
        report: Mutex::default(),
        arguments,
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..run.arguments.threads)
            .map(|thread| {
                let run = &run;
                std::thread::Builder::new()
                    .stack_size(16 << 20)
                    .spawn_scoped(scope, move || run.work(thread))
            })
            .collect::<std::io::Result<_>>()?;
        for thread in threads {
            match thread.join() {
                Ok(result) => result?,
                Err(_) => bail!("a thread panicked"),
            }
        }
        Ok(())
    })?;
    let report = run.report.into_inner().expect("no thread panics with it");
    println!("{:?}: {report}", run.start.elapsed());
    Ok(match report.divergences {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    })
}
