//! Scripts about components, file by file: our own in `tests/scripts`, and the official
//! component-model suite.
//!
//! The suite lies beside the repository; without it the harness says so.

#[path = "support/suites.rs"]
mod suites;
#[path = "support/trials.rs"]
mod trials;

use anyhow::Result;
use libtest_mimic::{Failed, Trial};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use trampette::CompileOptions;
use trampette::options::{Blocking, OptLevel, TargetCpu};
use trampette::wast::{Outcome, ScriptOptions, find_scripts, run_file};

/// A directive of a script that does not pass.
struct Listed {
    /// The script's path in its folder, without its ending.
    script: &'static str,
    /// The line of the directive's keyword.
    line: usize,
}

/// All that does not pass. An entry that names nothing, or something that passes, is a failure.
const LISTED: &[Listed] = &[
    // `subtask.cancel` lets nobody go on at once but the cancelled task itself, as the
    // specification says since (WebAssembly/component-model#726); this script was written before.
    Listed {
        script: "async/cancel-instance-wide-resume",
        line: 185,
    },
];

fn main() -> ExitCode {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scripts");
    let mut folders = vec![("own", own)];
    folders.extend(suites::folder("suites/component-model").map(|suite| ("", suite)));
    trials::run("the scripts", || trials(&folders))
}

fn trials(folders: &[(&str, PathBuf)]) -> Result<Vec<Trial>> {
    let mut trials = Vec::new();
    let mut found = BTreeMap::new();
    for (prefix, folder) in folders {
        let mut scripts = Vec::new();
        find_scripts(folder, &mut scripts)?;
        for path in scripts {
            let name = Path::new(prefix).join(path.strip_prefix(folder).unwrap_or(&path));
            let name = name.with_extension("").display().to_string();
            found.insert(name.clone(), path.clone());
            trials.push(Trial::test(name.clone(), move || run(&name, &path)));
        }
    }
    if found.keys().any(|name| !name.starts_with("own/")) {
        let check = move || check_listed_scripts(&found);
        trials.push(Trial::test("what is listed is there", check));
    }
    Ok(trials)
}

/// The entries about a script.
fn listed(name: &str) -> impl Iterator<Item = &'static Listed> {
    LISTED.iter().filter(move |entry| entry.script == name)
}

/// Runs a script, without optimisation too, and as if all calls could block; our own for x86-64-v2
/// as well, whose instructions differ.
fn run(name: &str, path: &Path) -> std::result::Result<(), Failed> {
    run_with(name, path, CompileOptions::default())?;
    let unoptimised = CompileOptions {
        opt_level: OptLevel::None,
        ..CompileOptions::default()
    };
    run_with(name, path, unoptimised)?;
    let blocking = CompileOptions {
        blocking: Blocking::Assumed,
        ..CompileOptions::default()
    };
    run_with(name, path, blocking)?;
    if !name.starts_with("own/") {
        return Ok(());
    }
    let older = CompileOptions {
        target_cpu: TargetCpu::V2,
        ..CompileOptions::default()
    };
    run_with(name, path, older)
}

/// Every directive passes that is not listed, and no other.
fn run_with(name: &str, path: &Path, compile: CompileOptions) -> std::result::Result<(), Failed> {
    let report = run_file(path, &ScriptOptions { compile }).map_err(|e| format!("{e:#}"))?;
    let mut wrong = Vec::new();
    for directive in &report.directives {
        let expected = listed(name).any(|entry| entry.line == directive.line);
        let place = format!("{}:{}", path.display(), directive.line);
        match &directive.outcome {
            Outcome::Passed if expected => wrong.push(format!("{place}: listed, but it passes")),
            Outcome::Failed(message) if !expected => wrong.push(format!("{place}: {message}")),
            _ => {}
        }
    }
    for entry in listed(name) {
        let mut lines = report.directives.iter().map(|directive| directive.line);
        if !lines.any(|line| line == entry.line) {
            wrong.push(format!("no directive is at line {}", entry.line));
        }
    }
    match wrong.is_empty() {
        true => Ok(()),
        false => Err(wrong.join("\n").into()),
    }
}

/// Every entry names a script.
fn check_listed_scripts(found: &BTreeMap<String, PathBuf>) -> std::result::Result<(), Failed> {
    let unknown = LISTED
        .iter()
        .find(|entry| !found.contains_key(entry.script));
    match unknown {
        None => Ok(()),
        Some(entry) => Err(format!("there is no script `{}`", entry.script).into()),
    }
}
