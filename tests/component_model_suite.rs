//! Scripts about components, file by file: our own in `tests/scripts`, and the official
//! component-model suite.
//!
//! The suite lies beside the repository (`../shared/suites`); without it the harness says so.

use anyhow::Result;
use libtest_mimic::{Arguments, Failed, Trial};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use trampette::cli::wast::find_scripts;
use trampette::wast::{ScriptOptions, run_file};

/// Scripts that run async functions.
const ASYNC: &[&str] = &[
    "async/async-calls-sync",
    "async/big-interleaving-test",
    "async/builtin-trap-poisons-instance",
    "async/cancel-stream",
    "async/cancel-subtask",
    "async/closed-stream",
    "async/cross-abi-calls",
    "async/cross-task-future",
    "async/deadlock",
    "async/dont-block-start",
    "async/drop-cross-task-borrow",
    "async/drop-stream",
    "async/drop-subtask",
    "async/drop-waitable-set",
    "async/during-sync-call-may-block-if-other-ready-threads",
    "async/during-sync-call-no-exclusive-resume",
    "async/during-sync-call-no-sibling-resume",
    "async/empty-wait",
    "async/futures-must-write",
    "async/partial-stream-copies",
    "async/passing-resources",
    "async/same-component-stream-future",
    "async/sync-barges-in",
    "async/sync-streams",
    "async/trap-if-block-and-sync",
    "async/trap-if-done",
    "async/trap-if-sync-and-waitable-set",
    "async/trap-if-transfer-in-waitable-set",
    "async/trap-on-reenter",
    "async/wait-during-callback",
    "async/zero-length",
    "values/post-return",
    "values/variants",
];

/// Directives that the text and validation crates decide by a later revision of the specification
/// than the suite's: file, line, and what changed.
const LATER_REVISION: &[(&str, usize, &str)] = &[
    (
        "async/cancellable",
        108,
        "the option `cancellable` is gone (WebAssembly/component-model#716)",
    ),
    (
        "binary/binary",
        974,
        "the option `cancellable` is gone (WebAssembly/component-model#716)",
    ),
    ("validation/kebab", 4, "the labels `a1` and `a-1` conflict"),
];

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scripts");
    let mut folders = vec![("own", own)];
    match suite_folder() {
        Some(suite) => folders.push(("", suite)),
        None => eprintln!("notice: no suite at ../shared/suites; its scripts are skipped"),
    }
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
    for (prefix, folder) in folders {
        let mut scripts = Vec::new();
        find_scripts(folder, &mut scripts)?;
        trials.extend(scripts.into_iter().map(|path| {
            let name = Path::new(prefix).join(path.strip_prefix(folder).unwrap_or(&path));
            let name = name.with_extension("").display().to_string();
            let ignored = ASYNC.contains(&name.as_str());
            Trial::test(name.clone(), move || run(&name, &path)).with_ignored_flag(ignored)
        }));
    }
    Ok(trials)
}

/// `../shared/suites/component-model` of the repository, or of the checkout that a work tree belongs
/// to.
fn suite_folder() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    ["../shared/suites", "../../shared/suites"]
        .map(|path| root.join(path).join("component-model"))
        .into_iter()
        .find(|path| path.is_dir())
}

fn run(name: &str, path: &Path) -> std::result::Result<(), Failed> {
    let report = run_file(path, &ScriptOptions::default()).map_err(|e| format!("{e:#}"))?;
    let expected: Vec<usize> = LATER_REVISION
        .iter()
        .filter(|(file, _, _)| *file == name)
        .map(|(_, line, _)| *line)
        .collect();
    let failures = report
        .failures()
        .filter(|(directive, _)| !expected.contains(&directive.line))
        .map(|(directive, message)| format!("{}:{}: {message}", path.display(), directive.line));
    let failures: Vec<String> = failures.collect();
    match failures.is_empty() {
        true => Ok(()),
        false => Err(failures.join("\n").into()),
    }
}
