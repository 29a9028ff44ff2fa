//! The official component-model suite, file by file.
//!
//! It lies beside the repository (`../shared/suites`); without it the harness says so and passes.

use libtest_mimic::{Arguments, Failed, Trial};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use trampette::cli::wast::find_scripts;
use trampette::wast::{ScriptOptions, run_file};

/// Scripts that run async functions.
const ASYNC: &[&str] = &[];

/// Directives that the text and validation crates decide by a later revision of the specification
/// than the suite's: file, line, and what changed.
const LATER_REVISION: &[(&str, usize, &str)] = &[];

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let Some(suite) = suite_folder() else {
        eprintln!("notice: no suite at ../shared/suites; its scripts are skipped");
        return libtest_mimic::run(&arguments, Vec::new()).exit_code();
    };
    let mut scripts = Vec::new();
    if let Err(error) = find_scripts(&suite, &mut scripts) {
        eprintln!("error: cannot read the suite: {error:#}");
        return ExitCode::FAILURE;
    }
    let trials = scripts.into_iter().map(|path| {
        let name = path.strip_prefix(&suite).unwrap_or(&path);
        let name = name.with_extension("").display().to_string();
        let ignored = ASYNC.contains(&name.as_str());
        Trial::test(name.clone(), move || run(&name, &path)).with_ignored_flag(ignored)
    });
    libtest_mimic::run(&arguments, trials.collect()).exit_code()
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

fn run(name: &str, path: &Path) -> Result<(), Failed> {
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
