//! Scripts about components, file by file: our own in `tests/scripts`, and the official
//! component-model suite.
//!
//! The suite lies beside the repository; without it the harness says so.

#[path = "support/suites.rs"]
mod suites;

use anyhow::Result;
use libtest_mimic::{Arguments, Failed, Trial};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use trampette::CompileOptions;
use trampette::options::TargetCpu;
use trampette::wast::{Outcome, ScriptOptions, find_scripts, run_file};

/// A script, or directives of it, that do not pass yet.
struct Listed {
    /// The script's path in its folder, without its ending.
    script: &'static str,
    /// Which directives.
    directives: Directives,
    /// What is missing.
    needs: &'static str,
}

/// Directives of a script.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Directives {
    /// All of them: the script is not run.
    All,
    /// The one whose keyword is on that line.
    At(usize),
    /// Those whose keyword is on that line or below.
    From(usize),
}

impl Directives {
    fn contain(self, line: usize) -> bool {
        match self {
            Directives::All => true,
            Directives::At(only) => line == only,
            Directives::From(first) => line >= first,
        }
    }
}

const fn all(script: &'static str) -> Listed {
    Listed {
        script,
        directives: Directives::All,
        needs: ASYNC,
    }
}

const fn at(script: &'static str, line: usize) -> Listed {
    Listed {
        script,
        directives: Directives::At(line),
        needs: ASYNC,
    }
}

const fn from(script: &'static str, line: usize) -> Listed {
    Listed {
        script,
        directives: Directives::From(line),
        needs: ASYNC,
    }
}

const ASYNC: &str = "asynchronous functions and built-ins";

/// All that does not pass yet. An entry that names nothing, or something that passes, is a failure.
const LISTED: &[Listed] = &[
    all("async/async-calls-sync"),
    all("async/big-interleaving-test"),
    all("async/builtin-trap-poisons-instance"),
    all("async/cancel-and-exclusive-lock"),
    all("async/cancel-delivery"),
    all("async/cancel-instance-wide-resume"),
    all("async/cancel-stream"),
    all("async/cancel-subtask"),
    all("async/cancel-yield-loop"),
    all("async/closed-stream"),
    all("async/cross-abi-calls"),
    all("async/cross-task-future"),
    all("async/deadlock"),
    all("async/dont-block-start"),
    all("async/drop-cross-task-borrow"),
    all("async/drop-stream"),
    all("async/drop-subtask"),
    all("async/drop-waitable-set"),
    all("async/during-sync-call-exclusive-resume"),
    all("async/during-sync-call-may-block-if-other-ready-threads"),
    all("async/during-sync-call-no-sibling-resume"),
    all("async/during-sync-scheduling-candidates"),
    all("async/empty-wait"),
    all("async/forward"),
    all("async/future-completion-order"),
    all("async/futures-must-write"),
    all("async/idle-drop"),
    all("async/partial-stream-copies"),
    all("async/passing-resources"),
    from("async/reentrance", 202),
    all("async/same-component-stream-future"),
    all("async/self-switch-traps"),
    all("async/switch-to-ready-callback"),
    all("async/sync-barges-in"),
    all("async/sync-streams"),
    all("async/trap-if-block-and-sync"),
    all("async/trap-if-done"),
    all("async/trap-if-sync-and-waitable-set"),
    all("async/trap-if-transfer-in-waitable-set"),
    all("async/wait-during-callback"),
    all("async/zero-length"),
    at("binary/binary", 974),
    all("values/post-return"),
    all("values/variants"),
];

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scripts");
    let mut folders = vec![("own", own)];
    folders.extend(suites::folder("suites/component-model").map(|suite| ("", suite)));
    match trials(&folders) {
        Ok(trials) => libtest_mimic::run(&arguments, trials).exit_code(),
        Err(error) => {
            eprintln!("error: cannot read the scripts: {error:#}");
            ExitCode::FAILURE
        }
    }
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
            let whole = listed(&name).find(|entry| entry.directives == Directives::All);
            found.insert(name.clone(), path.clone());
            trials.push(match whole {
                Some(entry) => Trial::test(name, || Ok(()))
                    .with_kind(format!("needs {}", entry.needs))
                    .with_ignored_flag(true),
                None => Trial::test(name.clone(), move || run(&name, &path)),
            });
        }
    }
    if found.keys().any(|name| !name.starts_with("own/")) {
        let check = move || check_listed_scripts(&found);
        trials.push(Trial::test("what is listed does not pass", check));
    }
    Ok(trials)
}

/// The entries about a script.
fn listed(name: &str) -> impl Iterator<Item = &'static Listed> {
    LISTED.iter().filter(move |entry| entry.script == name)
}

/// Runs a script, our own for x86-64-v2 too, whose instructions differ.
fn run(name: &str, path: &Path) -> std::result::Result<(), Failed> {
    run_with(name, path, CompileOptions::default())?;
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
        let expected = listed(name).any(|entry| entry.directives.contain(directive.line));
        let place = format!("{}:{}", path.display(), directive.line);
        match &directive.outcome {
            Outcome::Passed if expected => wrong.push(format!("{place}: listed, but it passes")),
            Outcome::Failed(message) if !expected => wrong.push(format!("{place}: {message}")),
            _ => {}
        }
    }
    for entry in listed(name) {
        let mut lines = report.directives.iter().map(|directive| directive.line);
        if !lines.any(|line| entry.directives.contain(line)) {
            wrong.push(format!("no directive is at {:?}", entry.directives));
        }
    }
    match wrong.is_empty() {
        true => Ok(()),
        false => Err(wrong.join("\n").into()),
    }
}

/// Every entry names a script, and no script that is listed as a whole passes.
fn check_listed_scripts(found: &BTreeMap<String, PathBuf>) -> std::result::Result<(), Failed> {
    let mut wrong = Vec::new();
    for entry in LISTED {
        let Some(path) = found.get(entry.script) else {
            wrong.push(format!(
                "{}: listed, but there is no such script",
                entry.script
            ));
            continue;
        };
        if entry.directives == Directives::All {
            let report = run_file(path, &ScriptOptions::default()).map_err(|e| format!("{e:#}"))?;
            if report.failures().next().is_none() {
                wrong.push(format!("{}: listed, but it passes", entry.script));
            }
        }
    }
    match wrong.is_empty() {
        true => Ok(()),
        false => Err(wrong.join("\n").into()),
    }
}
