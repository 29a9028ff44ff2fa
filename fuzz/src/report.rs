//! Counts of what happened, and divergences on disk.

use crate::case::{CaseResult, Verdict};
use crate::trace::Outcome;
use anyhow::{Context, Result};
use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

/// Counts over all cases.
#[derive(Default)]
pub struct Report {
    /// Cases that were generated.
    pub cases: u64,
    /// Cases with a difference.
    pub divergences: u64,
    /// Runs of Trampette.
    runs: u64,
    /// Calls of exported functions in runs of Trampette that were compared, and what else was
    /// compared.
    calls: u64,
    reads: u64,
    /// Steps that trapped, of those, by kind.
    traps: BTreeMap<String, u64>,
    host_calls: u64,
    discarded: u64,
    not_generated: BTreeMap<String, u64>,
    peer_refused: BTreeMap<String, u64>,
}

/// Which cases are written to a folder.
#[derive(Clone, Copy)]
pub enum Saved<'f> {
    Nothing,
    Divergent(&'f Path),
    All(&'f Path),
}

impl Report {
    /// Adds a case, and writes it to the folder if it is divergent or every case is wanted.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn add(&mut self, seed: u64, result: &CaseResult, save: Saved<'_>) -> Result<()> {
        self.cases += 1;
        self.runs += result.runs as u64;
        let runs = result.runs as u64;
        for step in &result.peer.steps {
            self.host_calls += runs * step.host_calls.len() as u64;
            match step.what.starts_with("call") {
                true => self.calls += runs,
                false => self.reads += runs,
            }
            if let Outcome::Trapped(code) = &step.outcome {
                *self.traps.entry(format!("{code:?}")).or_default() += runs;
            }
        }
        let first_line = |text: &str| text.lines().next().unwrap_or_default().to_string();
        let mut text = None;
        match &result.verdict {
            Verdict::Same => {}
            Verdict::Discarded => self.discarded += 1,
            Verdict::NotGenerated(why) => {
                *self.not_generated.entry(first_line(why)).or_default() += 1;
            }
            Verdict::PeerRefused(why) => {
                *self.peer_refused.entry(first_line(why)).or_default() += 1;
            }
            Verdict::Different(how) => {
                self.divergences += 1;
                println!("seed {seed}: {how}");
                text = Some(how);
            }
        }
        let folder = match save {
            Saved::All(folder) => Some(folder),
            Saved::Divergent(folder) => text.and(Some(folder)),
            Saved::Nothing => None,
        };
        if let Some(folder) = folder {
            let write = |extension: &str, bytes: &[u8]| {
                let path = folder.join(format!("{seed}.{extension}"));
                std::fs::write(&path, bytes)
                    .with_context(|| format!("cannot write {}", path.display()))
            };
            write("wasm", &result.wasm)?;
            if let Some(text) = text {
                write("txt", text.as_bytes())?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let traps: u64 = self.traps.values().sum();
        writeln!(
            f,
            "{} cases, {} runs, {} calls, {} host calls, {} other comparisons, {traps} traps, \
             {} discarded, {} divergences",
            self.cases,
            self.runs,
            self.calls,
            self.host_calls,
            self.reads,
            self.discarded,
            self.divergences
        )?;
        for (title, counts) in [
            ("traps", &self.traps),
            ("not generated", &self.not_generated),
            ("refused by the peer", &self.peer_refused),
        ] {
            for (what, count) in counts {
                writeln!(f, "  {title}: {count} × {what}")?;
            }
        }
        Ok(())
    }
}
