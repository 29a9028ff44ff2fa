//! Seeds whose cases have nothing to be compared with: each says what of its properties does not
//! hold, if any. Panics are caught, and count as such.

use crate::Arguments;
use crate::random::Random;
use anyhow::{Result, bail};
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Instant;

/// What a case did.
#[derive(Default)]
pub struct Trace {
    /// A line for everything that was tried.
    pub lines: Vec<String>,
    /// How often something happened, by what it was.
    pub counts: BTreeMap<String, u64>,
}

impl Trace {
    /// Notes what is tried next.
    pub fn step(&mut self, what: impl Into<String>) {
        self.lines.push(what.into());
    }

    /// Counts something.
    pub fn count(&mut self, what: impl Into<String>) {
        *self.counts.entry(what.into()).or_default() += 1;
    }
}

#[derive(Default)]
struct Report {
    cases: u64,
    failures: u64,
    counts: BTreeMap<String, u64>,
}

impl Report {
    fn print(&self, start: Instant) {
        let (cases, failures) = (self.cases, self.failures);
        println!("{:?}: {cases} cases, {failures} failures", start.elapsed());
        for (what, count) in &self.counts {
            println!("  {count} × {what}");
        }
    }
}

/// Runs cases until the arguments say to stop; `cases` makes what runs them, once a thread.
///
/// # Errors
/// If a file cannot be written, or a thread has no cases.
pub fn run<C>(arguments: &Arguments, cases: impl Fn() -> Result<C> + Sync) -> Result<ExitCode>
where
    C: FnMut(&mut Random, &mut Trace) -> Result<(), String>,
{
    let start = Instant::now();
    let next = AtomicU64::new(arguments.seed);
    let report = Mutex::new(Report::default());
    let work = &|thread: usize| -> Result<()> {
        let mut case = cases()?;
        loop {
            let seed = next.fetch_add(1, Relaxed);
            if arguments.is_over(seed, start) {
                return Ok(());
            }
            if let Some(folder) = &arguments.save {
                // So that the seed is known if the process dies.
                std::fs::write(folder.join(format!("running-{thread}")), seed.to_string())?;
            }
            let mut trace = Trace::default();
            let mut random = Random::new(seed);
            let result = catch_unwind(AssertUnwindSafe(|| case(&mut random, &mut trace)));
            let result = result.unwrap_or_else(|_| Err("panic".to_string()));
            if arguments.verbose {
                println!("seed {seed}: {:#?}: {result:?}", trace.lines);
            }
            let mut report = report.lock().expect("no thread panics with it");
            report.cases += 1;
            for (what, count) in trace.counts {
                *report.counts.entry(what).or_default() += count;
            }
            if let Err(why) = result {
                report.failures += 1;
                let tried = trace.lines.last().map_or("", String::as_str);
                let tried: String = tried.chars().take(500).collect();
                println!("seed {seed}: {why}\n  in {tried}");
                if let Some(folder) = &arguments.save {
                    let text = format!("{why}\n{}\n", trace.lines.join("\n"));
                    std::fs::write(folder.join(format!("{seed}.txt")), text)?;
                }
            }
            if report.cases.is_multiple_of(100_000) {
                report.print(start);
            }
        }
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..arguments.threads)
            .map(|thread| scope.spawn(move || work(thread)))
            .collect();
        for thread in threads {
            match thread.join() {
                Ok(result) => result?,
                Err(_) => bail!("a thread panicked"),
            }
        }
        Ok(())
    })?;
    let report = report.into_inner().expect("no thread panics with it");
    report.print(start);
    Ok(match report.failures {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    })
}
