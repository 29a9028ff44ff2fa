//! The official WASI suite: its preview-1 tests, one by one, through the command line.
//!
//! A test is `NAME.wasm`, with what it is given and what is expected in `NAME.json`: `args`, `env`,
//! `dirs` (each under its own name) or `root` (as `/`), `exit_code`, `stdout`, `stderr`. Folders
//! are copied first. The suite lies beside the repository; without it the harness says so.

#[path = "support/suites.rs"]
mod suites;

use anyhow::{Context, Result, ensure};
use libtest_mimic::{Arguments, Failed, Trial};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

const FOLDERS: [&str; 3] = ["p1-assemblyscript", "p1-c", "p1-rust"];

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    match trials() {
        Ok(trials) => libtest_mimic::run(&arguments, trials).exit_code(),
        Err(error) => {
            eprintln!("error: cannot read the suite: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn trials() -> Result<Vec<Trial>> {
    let Some(suite) = suites::folder("suites/wasi") else {
        return Ok(Vec::new());
    };
    let mut trials = Vec::new();
    for folder in FOLDERS {
        let before = trials.len();
        for entry in std::fs::read_dir(suite.join(folder))? {
            let path = entry?.path();
            if path
                .extension()
                .is_some_and(|extension| extension == "wasm")
            {
                let stem = path.file_stem().unwrap_or_default().to_string_lossy();
                trials.push(Trial::test(format!("{folder}/{stem}"), move || {
                    check(&path).map_err(|error| Failed::from(format!("{error:#}")))
                }));
            }
        }
        ensure!(trials.len() > before, "{folder} has no tests");
    }
    Ok(trials)
}

/// The texts of a list, or none.
fn texts(value: &Value) -> Vec<&str> {
    let all = value.as_array().into_iter().flatten();
    all.filter_map(Value::as_str).collect()
}

fn check(path: &Path) -> Result<()> {
    let spec: Value = match std::fs::read(path.with_extension("json")) {
        Ok(json) => serde_json::from_slice(&json)?,
        Err(_) => Value::Null,
    };
    let folder = path.parent().context("it is in a folder")?;
    let work = tempfile::tempdir()?;
    let mut command = Command::new(env!("CARGO_BIN_EXE_trampette"));
    command.arg("run").current_dir(&work);
    let mut give = |name: &str, guest: &str| -> Result<()> {
        let host = work.path().join(name);
        copy(&folder.join(name), &host)?;
        command.arg("--dir");
        command.arg(format!("{}::{guest}", host.display()));
        Ok(())
    };
    for name in texts(&spec["dirs"]) {
        give(name, name)?;
    }
    if let Some(name) = spec["root"].as_str() {
        give(name, "/")?;
    }
    for (name, value) in spec["env"].as_object().into_iter().flatten() {
        let value = value.as_str().context("a variable is text")?;
        command.arg("--env").arg(format!("{name}={value}"));
    }
    command.arg(path).args(texts(&spec["args"]));
    let output = command.stdin(Stdio::null()).output()?;
    let errors = String::from_utf8_lossy(&output.stderr);
    let expected = spec["exit_code"].as_i64().unwrap_or(0);
    let code = output.status.code().map(i64::from);
    ensure!(
        code == Some(expected),
        "it ended with {}, not with {expected}: {errors}",
        output.status
    );
    for (name, found) in [("stdout", &output.stdout), ("stderr", &output.stderr)] {
        if let Some(expected) = spec[name].as_str() {
            let found = String::from_utf8_lossy(found);
            ensure!(found == expected, "{name} is {found:?}, not {expected:?}");
        }
    }
    Ok(())
}

/// Copies a folder with all that is in it, symbolic links as links.
fn copy(from: &Path, to: &PathBuf) -> Result<()> {
    std::fs::create_dir(to)?;
    for entry in std::fs::read_dir(from).with_context(|| from.display().to_string())? {
        let entry = entry?;
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type()?;
        if kind.is_dir() {
            copy(&from, &to)?;
        } else if kind.is_symlink() {
            std::os::unix::fs::symlink(std::fs::read_link(&from)?, &to)?;
        } else {
            // Permissions of the suite's files do not count: they may be read-only here.
            std::fs::write(&to, std::fs::read(&from)?)?;
        }
    }
    Ok(())
}
