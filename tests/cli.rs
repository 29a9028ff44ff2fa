//! What the command line prints: each `tests/cli/<command>/<name>.wat` or `.wast` says on top what
//! to run.
//!
//! ```text
//! ;; RUN: run --invoke 'f(1)' %       arguments of `trampette`; several lines: one after the other
//! ;; RUN(134): run %                  the exit code that it must have, if not 0
//! ;; FILE: bad.wasm \00asm\01         a file in the temporary folder; `\` and two digits: a byte
//! ;; LEAVES: app.elf                  what the temporary folder holds in the end
//! ```
//!
//! Words are split at blanks outside of `'…'`. `%` is the file itself, `%tmp` the temporary folder,
//! which is new for each file. The commands run in the folder of the file, so that its name alone
//! is in messages.
//!
//! What is expected lies beside the file, `<name>.stdout` and `<name>.stderr`; nothing is expected
//! where there is no such file. Of several commands each that prints something first has a line
//! `$ arguments`. `BLESS=1` writes what was found: then read the difference. Exit codes are in the
//! `RUN` lines, and not written.

#[path = "support/golden.rs"]
mod golden;
#[path = "support/trials.rs"]
mod trials;

use anyhow::{Context, Result, bail, ensure};
use libtest_mimic::{Failed, Trial};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use tempfile::TempDir;
use trampette_artifact::header::FORMAT_VERSION;

fn main() -> ExitCode {
    trials::run("the tests of the command line", trials)
}

fn trials() -> Result<Vec<Trial>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli");
    let mut inputs = BTreeSet::new();
    let mut expectations = BTreeSet::new();
    for folder in std::fs::read_dir(&root)? {
        let folder = folder?.path();
        if folder == root.join("README.md") {
            continue;
        }
        for entry in std::fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
            let path = entry?.path();
            match path.extension().and_then(|extension| extension.to_str()) {
                Some("wat" | "wast") => inputs.insert(path),
                Some("stdout" | "stderr") => expectations.insert(path.with_extension("")),
                _ => bail!("{} is neither a test nor what is expected", path.display()),
            };
        }
    }
    let names: BTreeSet<PathBuf> = inputs.iter().map(|path| path.with_extension("")).collect();
    ensure!(names.len() == inputs.len(), "two tests have the same name");
    if let Some(path) = expectations.difference(&names).next() {
        bail!(
            "what {} should print is expected of no test",
            path.display()
        );
    }
    let trial = |path: PathBuf| {
        let name = path.with_extension("");
        let name = name.strip_prefix(&root)?.to_string_lossy().into_owned();
        Ok(Trial::test(name, move || {
            check(&path).map_err(|error| Failed::from(format!("{error:#}")))
        }))
    };
    inputs.into_iter().map(trial).collect()
}

/// What a file's first lines ask for.
#[derive(Default)]
struct Directives {
    runs: Vec<Run>,
    /// Names and contents.
    files: Vec<(String, Vec<u8>)>,
    leaves: Option<BTreeSet<String>>,
}

struct Run {
    arguments: String,
    exit_code: i32,
}

impl Directives {
    fn parse(text: &str) -> Result<Self> {
        let mut directives = Directives::default();
        for line in text.lines() {
            let Some(directive) = line.strip_prefix(";; ") else {
                break;
            };
            let (key, value) = directive.split_once(':').unwrap_or((directive, ""));
            let value = value.trim();
            if key == "RUN" || key.starts_with("RUN(") {
                let code = key
                    .strip_prefix("RUN(")
                    .map(|rest| rest.trim_end_matches(')'));
                directives.runs.push(Run {
                    arguments: value.to_string(),
                    exit_code: code.map_or(Ok(0), str::parse).context(line.to_string())?,
                });
            } else if key == "FILE" {
                let (name, contents) = value.split_once(' ').unwrap_or((value, ""));
                directives.files.push((name.to_string(), bytes(contents)?));
            } else if key == "LEAVES" {
                let names = value.split_whitespace().map(str::to_string);
                directives.leaves = Some(names.collect());
            }
        }
        ensure!(!directives.runs.is_empty(), "there is no `;; RUN:` line");
        Ok(directives)
    }
}

/// Text in which `\` and two hexadecimal digits are a byte.
fn bytes(text: &str) -> Result<Vec<u8>> {
    let mut parts = text.split('\\');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let (digits, rest) = part.split_at_checked(2).context("`\\` without digits")?;
        bytes.push(u8::from_str_radix(digits, 16)?);
        bytes.extend_from_slice(rest.as_bytes());
    }
    Ok(bytes)
}

/// Words, split at blanks outside of `'…'`.
fn words(arguments: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    for (index, part) in arguments.split('\'').enumerate() {
        if index % 2 == 1 {
            word.get_or_insert_default().push_str(part);
            continue;
        }
        for c in part.chars() {
            match c {
                ' ' => words.extend(word.take()),
                _ => word.get_or_insert_default().push(c),
            }
        }
    }
    words.extend(word);
    words
}

fn check(path: &Path) -> Result<()> {
    let directives = Directives::parse(&std::fs::read_to_string(path)?)?;
    let folder = TempDir::new()?;
    for (name, contents) in &directives.files {
        std::fs::write(folder.path().join(name), contents)?;
    }
    let temporary = folder.path().to_str().context("the folder is text")?;
    let file = path.file_name().unwrap_or_default().to_string_lossy();
    let (mut stdout, mut stderr) = (String::new(), String::new());
    let many = directives.runs.len() > 1;
    for run in &directives.runs {
        let arguments = words(&run.arguments)
            .into_iter()
            .map(|word| match &word[..] {
                "%" => file.to_string(),
                _ => word.replace("%tmp", temporary),
            });
        let output = Command::new(env!("CARGO_BIN_EXE_trampette"))
            .args(arguments)
            .current_dir(path.parent().context("it is in a folder")?)
            .env_remove("RUST_BACKTRACE")
            .output()?;
        let found = |bytes: Vec<u8>| -> Result<String> {
            Ok(normalised(&String::from_utf8(bytes)?, temporary))
        };
        let (out, err) = (found(output.stdout)?, found(output.stderr)?);
        // Whatever is blessed: a crash is never what a file wants.
        ensure!(!err.contains("panicked"), "it panicked: {err}");
        ensure!(
            output.status.code() == Some(run.exit_code),
            "`{}` ended with {}, not with {}\n{out}{err}",
            run.arguments,
            output.status,
            run.exit_code
        );
        for (all, found) in [(&mut stdout, out), (&mut stderr, err)] {
            if many && !found.is_empty() {
                *all += &format!("$ {}\n", run.arguments);
            }
            *all += &found;
        }
    }
    if let Some(expected) = &directives.leaves {
        let entries = std::fs::read_dir(&folder)?;
        let left: BTreeSet<String> = entries
            .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
            .collect::<Result<_>>()?;
        ensure!(left == *expected, "it leaves {left:?}, not {expected:?}");
    }
    compare(&path.with_extension("stdout"), &stdout)?;
    compare(&path.with_extension("stderr"), &stderr)
}

/// [`golden::check`], where no file is as good as an empty one.
fn compare(expectation: &Path, found: &str) -> Result<()> {
    if !found.is_empty() {
        return golden::check(expectation, found)
            .with_context(|| format!("{:?}", expectation.file_name().unwrap_or_default()));
    }
    if expectation.exists() {
        ensure!(
            golden::blesses(),
            "nothing was printed, but {} says what should be",
            expectation.display()
        );
        std::fs::remove_file(expectation)?;
    }
    Ok(())
}

/// What differs from run to run, from machine to machine or from version to version:
///
/// - the temporary folder becomes `%tmp`;
/// - so does the name of a file there that is to become the output: `%tmp/.tmpNAME`;
/// - the versions of `trampette`, the compiler and the format become `VERSION`;
/// - so do the commit and the target of `--version`, as `N`;
/// - sizes in a summary of `inspect` become `N`;
/// - numbers before ` ms`, and those before ` bytes` and ` at 0x` in what `inspect` says of code
///   and sections, become `N`, as do sizes by section of `compile --stats` and sizes of
///   trampolines.
fn normalised(text: &str, temporary: &str) -> String {
    let version = env!("CARGO_PKG_VERSION");
    let mut text = text.replace(temporary, "%tmp");
    if let Some((before, after)) = text.split_once("/.tmp") {
        let name = after.find('"').unwrap_or(after.len());
        text = format!("{before}/.tmpNAME{}", &after[name..]);
    }
    for before in ["trampette", "compiler"] {
        text = text.replace(&format!("{before} {version}"), &format!("{before} VERSION"));
    }
    let format = format!("artifact: format {FORMAT_VERSION},");
    let text = text.replace(&format, "artifact: format VERSION,");
    let format = format!("(format {FORMAT_VERSION},");
    let text = text.replace(&format, "(format VERSION,");
    let mut normalised = String::new();
    // Under headings of sizes, up to the next line that is not indented.
    let mut part = Part::Other;
    for line in text.lines() {
        if !line.starts_with(' ') {
            part = match line {
                "trampolines (bytes, transfer):" => Part::LeadingSizes,
                "functions (bytes):" => Part::LeadingSizes,
                "functions:" | "sections:" | "bytes by section:" => Part::LaterSizes,
                _ if line.starts_with("code: ") => Part::Summary,
                _ if line.contains("as an artifact (") || line.starts_with("file: ") => {
                    Part::Summary
                }
                _ => Part::Other,
            };
        }
        let words: Vec<&str> = line.split(' ').filter(|word| !word.is_empty()).collect();
        let line = match (part, &words[..]) {
            (Part::LeadingSizes, [size, rest @ ..]) if is_number(size) => {
                format!("  N {}", rest.join(" "))
            }
            (Part::LaterSizes, [first, rest @ ..]) if line.starts_with(' ') => {
                let rest = rest.iter().map(|word| match is_number(word) {
                    true => "N",
                    false => word,
                });
                format!("  {first} {}", rest.collect::<Vec<_>>().join(" "))
            }
            (Part::Summary, words) => without_sizes(words),
            (_, ["commit:", _]) => "commit: N".to_string(),
            (_, ["target:", _]) => "target: N".to_string(),
            (_, ["artifact", "format:", _]) => "artifact format: N".to_string(),
            (_, [phase @ .., _, "ms"]) => format!("{} N ms", phase.join(" ")),
            _ => line.to_string(),
        };
        normalised += &line;
        normalised.push('\n');
    }
    normalised
}

/// A line without the numbers that stand before units; of which unit is no matter either.
fn without_sizes(words: &[&str]) -> String {
    let mut out: Vec<String> = Vec::new();
    for word in words {
        let unit = word.trim_end_matches(',');
        let size = |number: &String| number.parse::<f64>().is_ok();
        match out.last_mut().filter(|last| size(last)) {
            Some(last) if ["bytes", "kB", "MB"].contains(&unit) => {
                *last = word.replace(unit, "N");
            }
            _ => out.push(word.to_string()),
        }
    }
    out.join(" ")
}

/// Where sizes are in the lines of a part of a description.
#[derive(Clone, Copy)]
enum Part {
    LeadingSizes,
    LaterSizes,
    Summary,
    Other,
}

fn is_number(word: &str) -> bool {
    let digits = word.strip_prefix("0x");
    digits.is_some_and(|digits| u64::from_str_radix(digits, 16).is_ok())
        || word.parse::<u64>().is_ok()
}
