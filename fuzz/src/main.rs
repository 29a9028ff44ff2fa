//! Differential fuzzing: random core modules and components are run by Trampette and by another
//! engine, and what can be observed is compared.
//!
//! | file | what |
//! | --- | --- |
//! | `random` | random numbers and values |
//! | `value` | values that both engines know; what host functions return |
//! | `generate` | random core modules |
//! | `interface` | what a module imports and exports, and which calls to make |
//! | `crafted` | random core modules for linking: small functions, tables that are shared |
//! | `compose`, `observer` | several such modules as components; a module that reads their state |
//! | `options` | the ways in which Trampette compiles |
//! | `ours`, `peer` | running a case in each engine, which gives a trace |
//! | `trace` | traces, and comparing them |
//! | `case` | one seed: generate, run everywhere, compare |
//! | `report` | counts, and divergences on disk |

mod case;
mod compose;
mod crafted;
mod generate;
mod interface;
mod observer;
mod options;
mod ours;
mod peer;
mod random;
mod report;
mod trace;
mod value;

use anyhow::{Context, Result, bail};
use case::{Mode, Source};
use clap::Parser;
use peer::Peer;
use report::{Report, Saved};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// Compare Trampette with another engine on random modules and components.
#[derive(Parser)]
struct Arguments {
    /// The first seed; the cases have this and the following ones.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Stop after this many cases.
    #[arg(long)]
    cases: Option<u64>,
    /// Stop after this many minutes.
    #[arg(long)]
    minutes: Option<f64>,
    /// Cases at a time.
    #[arg(long, default_value_t = 1)]
    threads: usize,
    /// What to generate; `both` alternates.
    #[arg(long, value_enum, default_value_t = Mode::Both)]
    mode: Mode,
    /// Run this module or component, which was saved before, instead of generating; seeds choose
    /// the calls.
    #[arg(long)]
    replay: Option<PathBuf>,
    /// Write divergent modules and components to this folder.
    #[arg(long)]
    save: Option<PathBuf>,
    /// Write the case of every seed to the folder, divergent or not.
    #[arg(long, requires = "save")]
    save_all: bool,
    /// Print the traces of every case.
    #[arg(long)]
    verbose: bool,
}

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
    fn is_over(&self, seed: u64) -> bool {
        let done = seed - self.arguments.seed;
        let time = self.arguments.minutes;
        let time = time.map(|minutes| Duration::from_secs_f64(minutes * 60.0));
        self.arguments.cases.is_some_and(|cases| done >= cases)
            || time.is_some_and(|time| self.start.elapsed() >= time)
    }

    fn work(&self, thread: usize) -> Result<()> {
        let save = self.arguments.save.as_deref();
        loop {
            let seed = self.next.fetch_add(1, Relaxed);
            if self.is_over(seed) {
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

fn main() -> Result<ExitCode> {
    let mut arguments = Arguments::parse();
    if arguments.cases.is_none() && arguments.minutes.is_none() {
        arguments.cases = Some(1000);
    }
    if let Some(folder) = &arguments.save {
        std::fs::create_dir_all(folder).context("cannot make the folder for divergences")?;
    }
    let source = match &arguments.replay {
        Some(path) => {
            let wasm = std::fs::read(path);
            Source::File(wasm.with_context(|| format!("cannot read {}", path.display()))?)
        }
        None => Source::Generated(arguments.mode),
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
