//! `trampette wast`: runs test scripts.

use super::compile::CodeArguments;
use crate::wast::{Outcome, ScriptOptions, ScriptReport, Totals, find_scripts, run_file};
use anyhow::{Context, Result, ensure};
use clap::Args;
use rayon::prelude::*;
use serde_json::json;
use std::path::PathBuf;
use trampette_runner::output;

/// Arguments of `trampette wast`.
#[derive(Args)]
pub(super) struct WastArguments {
    /// Print everything as one JSON document
    #[arg(long)]
    json: bool,
    /// Run only scripts whose path contains this text
    #[arg(long, value_name = "TEXT")]
    filter: Option<String>,
    /// Scripts, and folders of scripts (`.wast`), searched recursively
    #[arg(required = true, value_name = "FILE|DIR")]
    paths: Vec<PathBuf>,
    #[command(flatten)]
    code: CodeArguments,
}

/// Runs the scripts; gives the process's exit code: 1 if any directive failed.
///
/// # Errors
/// If a file cannot be read, or none is found.
pub(super) fn wast(arguments: &WastArguments) -> Result<u8> {
    let mut options = ScriptOptions {
        compile: arguments.code.options(),
    };
    let mut scripts = Vec::new();
    for path in &arguments.paths {
        find_scripts(path, &mut scripts)?;
    }
    if let Some(filter) = &arguments.filter {
        scripts.retain(|path| path.to_string_lossy().contains(filter));
    }
    ensure!(!scripts.is_empty(), "there are no scripts to run");
    let mut totals = Totals::default();
    let mut reports = Vec::new();
    // Each script is compiled and run on one thread.
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(options.compile.threads.unwrap_or(0))
        .stack_size(16 << 20)
        .build()
        .context("cannot start threads")?;
    options.compile.threads = Some(1);
    let run = || scripts.par_iter().map(|path| run_file(path, &options));
    let all: Vec<ScriptReport> = pool.install(|| run().collect::<Result<_>>())?;
    for (path, report) in scripts.iter().zip(all) {
        totals += report.totals();
        if arguments.json {
            reports.push(json_report(&report));
            continue;
        }
        for (directive, message) in report.failures() {
            let line = directive.line;
            output::print(&format!("{}:{line}: {message}\n", path.display()))?;
        }
    }
    let Totals {
        passed,
        failed,
        skipped,
    } = totals;
    match arguments.json {
        true => super::print_json(
            &json!({ "files": reports, "passed": passed, "failed": failed, "skipped": skipped }),
        )?,
        false => output::print(&format!(
            "{passed} passed, {failed} failed, {skipped} skipped\n"
        ))?,
    }
    Ok(u8::from(failed > 0))
}

fn json_report(report: &ScriptReport) -> serde_json::Value {
    let directives = report.directives.iter().map(|directive| {
        let (outcome, message) = match &directive.outcome {
            Outcome::Passed => ("passed", None),
            Outcome::Failed(message) => ("failed", Some(message)),
            Outcome::Skipped(message) => ("skipped", Some(message)),
        };
        let mut value = json!({
            "line": directive.line,
            "directive": directive.keyword,
            "outcome": outcome,
        });
        if let Some(message) = message {
            value["message"] = json!(message);
        }
        value
    });
    json!({
        "path": report.path.display().to_string(),
        "directives": directives.collect::<Vec<_>>(),
    })
}
