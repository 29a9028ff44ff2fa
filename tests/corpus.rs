//! Real programs with verified expectations, run twice: straight from the `.wasm`, and from an ELF
//! that one process compiles and another, without a compiler, runs. All but the largest programs
//! and inputs are run without inlining and without optimisation too.
//!
//! The corpus lies beside the repository; without it the harness says so and passes. Each case is a
//! test of its own; those that wait for something are ignored, with what it is as their kind. Their
//! programs are compiled all the same, and `inspect` shows what they import and export.

#[path = "support/corpus.rs"]
mod corpus;
#[path = "support/http.rs"]
mod http;
#[path = "support/suites.rs"]
mod suites;
#[path = "support/trials.rs"]
mod trials;

use anyhow::{Context, Result, bail, ensure};
use corpus::text;
use http::Served;
use libtest_mimic::{Failed, Trial};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Output, Stdio};
use std::sync::{Arc, Mutex, OnceLock};
use tempfile::TempDir;
use trampette::CompileOptions;
use trampette::options::{Inline, OptLevel};
use trampette_runtime::{Component, Linker, Store};
use trampette_wasi::WasiCtxBuilder;

fn main() -> ExitCode {
    let corpus = corpus::folder();
    let read = || corpus.map_or(Ok(Vec::new()), |corpus| trials(&corpus));
    trials::run("the corpus", read)
}

fn trials(corpus: &Path) -> Result<Vec<Trial>> {
    let shared = Arc::new(Shared {
        corpus: corpus.to_path_buf(),
        artifacts: Mutex::default(),
    });
    let mut trials = Vec::new();
    let mut inspected = BTreeSet::new();
    for case in corpus::cases(corpus)? {
        let name = text(&case, "name")?.to_string();
        if let Some(entry) = corpus::not_supported(&case)? {
            let trial = Trial::test(name, || Ok(())).with_kind(format!("needs {}", entry.subject));
            trials.push(trial.with_ignored_flag(true));
            let wasm = text(&case, "wasm")?.to_string();
            if entry.refusal.is_none() && inspected.insert(wasm.clone()) {
                let shared = shared.clone();
                trials.push(Trial::test(format!("{wasm}::inspect"), move || {
                    inspect(&shared, &wasm).map_err(|error| Failed::from(format!("{error:#}")))
                }));
            }
            continue;
        }
        let small = !name.ends_with("-bench")
            && std::fs::metadata(corpus.join(text(&case, "wasm")?))?.len() < LARGE;
        let more: &[Mode] = match small {
            true => &[Mode::NotInlined, Mode::NotOptimised],
            false => &[],
        };
        for &mode in [Mode::Wasm, Mode::Elf].iter().chain(more) {
            let (case, shared) = (case.clone(), shared.clone());
            let trial = Trial::test(format!("{name}::{}", mode.name()), move || {
                run_case(&shared, &case, mode).map_err(|error| Failed::from(format!("{error:#}")))
            });
            trials.push(trial);
        }
    }
    Ok(trials)
}

/// Bytes of a program that is compiled in the usual way only.
const LARGE: u64 = 1 << 20;

/// How a case is compiled and reaches the runtime.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Mode {
    /// Compiled and run by one process.
    Wasm,
    /// Compiled by one process, run by another that has no compiler.
    Elf,
    /// Compiled without inlining; a command is run by another process.
    NotInlined,
    /// Likewise, without optimisation.
    NotOptimised,
}

impl Mode {
    fn name(self) -> &'static str {
        match self {
            Mode::Wasm => "wasm",
            Mode::Elf => "elf",
            Mode::NotInlined => "not-inlined",
            Mode::NotOptimised => "not-optimised",
        }
    }
}

/// Artifacts that several cases use, compiled once.
struct Shared {
    corpus: PathBuf,
    artifacts: Mutex<BTreeMap<Key, Arc<OnceLock<Compiled>>>>,
}

/// A program, and how it is compiled.
type Key = (PathBuf, Mode);

struct Compiled {
    elf: PathBuf,
    _folder: TempDir,
}

impl Shared {
    /// The ELF of a component. In mode [`Mode::Elf`] a process of its own compiles it.
    fn artifact(&self, wasm: &Path, mode: Mode) -> Result<PathBuf> {
        let cell = self
            .artifacts
            .lock()
            .unwrap()
            .entry((wasm.to_path_buf(), mode))
            .or_default()
            .clone();
        let compiled = cell.get_or_init(|| {
            let folder = TempDir::new().expect("a temporary folder");
            let elf = folder.path().join("app.elf");
            match mode {
                Mode::NotInlined => compile_here(
                    wasm,
                    &elf,
                    &CompileOptions {
                        inline: Inline::Never,
                        ..CompileOptions::default()
                    },
                ),
                Mode::NotOptimised => compile_here(
                    wasm,
                    &elf,
                    &CompileOptions {
                        opt_level: OptLevel::None,
                        ..CompileOptions::default()
                    },
                ),
                Mode::Wasm | Mode::Elf => compile_elsewhere(wasm, &elf),
            }
            Compiled {
                elf,
                _folder: folder,
            }
        });
        Ok(compiled.elf.clone())
    }
}

fn compile_elsewhere(wasm: &Path, elf: &Path) {
    let output = Command::new(env!("CARGO_BIN_EXE_trampette"))
        .args([
            "compile".as_ref(),
            wasm.as_os_str(),
            "-o".as_ref(),
            elf.as_os_str(),
        ])
        .output()
        .expect("the compiler starts");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "cannot compile {}: {errors}",
        wasm.display()
    );
}

/// Compiles a program that nothing runs yet, and looks at the artifact.
fn inspect(shared: &Shared, wasm: &str) -> Result<()> {
    let elf = shared.artifact(&shared.corpus.join(wasm), Mode::Elf)?;
    let mut command = Command::new(env!("CARGO_BIN_EXE_trampette"));
    let output = command
        .args(["inspect".as_ref(), "--world".as_ref(), elf.as_os_str()])
        .output()?;
    ensure!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout)?;
    ensure!(text.contains("export "), "{text}");
    if wasm.starts_with("p3") {
        ensure!(text.contains("stream<u8>"), "{text}");
    }
    Ok(())
}

fn compile_here(wasm: &Path, elf: &Path, options: &CompileOptions) {
    let input = trampette::input::read(wasm).expect("a component or module");
    let artifact = input.into_artifact(options).expect("it compiles");
    artifact.write(elf).expect("the artifact is written");
}

fn run_case(shared: &Shared, case: &Value, mode: Mode) -> Result<()> {
    let wasm = shared.corpus.join(text(case, "wasm")?);
    match text(case, "kind")? {
        "command" => run_command(shared, case, &wasm, mode),
        "library" => run_library(shared, case, &wasm, mode),
        "http" => run_http(shared, case, &wasm, mode),
        other => bail!("a case of kind {other}"),
    }
}

fn runner() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_trampette-run"))
}

fn run_command(shared: &Shared, case: &Value, wasm: &Path, mode: Mode) -> Result<()> {
    let (mut command, input) = match mode {
        Mode::Wasm => {
            let mut command = Command::new(env!("CARGO_BIN_EXE_trampette"));
            command.arg("run");
            (command, wasm.to_path_buf())
        }
        _ => (Command::new(runner()), shared.artifact(wasm, mode)?),
    };
    let work = TempDir::new()?;
    for (index, dir) in case["dirs"].as_array().into_iter().flatten().enumerate() {
        let host = work.path().join(index.to_string());
        std::fs::create_dir(&host)?;
        if let Some(source) = dir["host"].as_str() {
            copy_folder(&shared.corpus.join(source), &host)?;
        }
        command
            .arg("--dir")
            .arg(format!("{}::{}", host.display(), text(dir, "guest")?));
    }
    for (name, value) in case["env"].as_object().into_iter().flatten() {
        command
            .arg("--env")
            .arg(format!("{name}={}", value.as_str().unwrap_or_default()));
    }
    command.arg(&input);
    for argument in case["args"].as_array().into_iter().flatten() {
        command.arg(argument.as_str().context("an argument is no string")?);
    }
    let output = run_with_stdin(command, &stdin(shared, case)?)?;
    check_output(case, &output)?;
    check_files(case, work.path())
}

fn stdin(shared: &Shared, case: &Value) -> Result<Vec<u8>> {
    Ok(match &case["stdin"] {
        Value::Null => Vec::new(),
        Value::String(text) => text.clone().into_bytes(),
        file => std::fs::read(shared.corpus.join(text(file, "file")?))?,
    })
}

fn run_with_stdin(mut command: Command, stdin: &[u8]) -> Result<Output> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let mut pipe = child.stdin.take().context("a pipe")?;
    std::thread::scope(|scope| {
        // A guest may end without reading everything; then writing fails, which is fine.
        scope.spawn(move || pipe.write_all(stdin));
        Ok(child.wait_with_output()?)
    })
}

fn check_output(case: &Value, output: &Output) -> Result<()> {
    let errors = String::from_utf8_lossy(&output.stderr);
    if let Some(expected) = case["expect_stdout"].as_str() {
        let found = String::from_utf8_lossy(&output.stdout);
        ensure!(
            found == expected,
            "stdout is {found:?} instead of {expected:?}; stderr: {errors}"
        );
    }
    if let Some(expected) = case["expect_stdout_sha256"].as_str() {
        let found = sha256(&output.stdout);
        let length = output.stdout.len();
        ensure!(
            found == expected,
            "stdout ({length} bytes) has another hash; stderr: {errors}"
        );
    }
    if let Some(trap) = case["expect_trap"].as_str() {
        ensure!(
            errors.contains(trap),
            "stderr does not name the trap {trap:?}: {errors}"
        );
        ensure!(
            output.status.code() == Some(134),
            "a trap ended with {}",
            output.status
        );
    } else if let Some(expected) = case["expect_exit"].as_i64() {
        let found = output.status.code();
        ensure!(
            found == Some(expected as i32),
            "{} instead of {expected}; stderr: {errors}",
            output.status
        );
    }
    Ok(())
}

/// Files below a preopened directory: the guest's name of the directory, then the path.
fn check_files(case: &Value, work: &Path) -> Result<()> {
    for (path, contents) in case["expect_files"].as_object().into_iter().flatten() {
        let dirs = case["dirs"]
            .as_array()
            .context("files are expected without a directory")?;
        let found = dirs.iter().enumerate().find_map(|(index, dir)| {
            let guest = dir["guest"].as_str()?.trim_start_matches('/');
            let rest = path.strip_prefix(guest)?.trim_start_matches('/');
            std::fs::read_to_string(work.join(index.to_string()).join(rest)).ok()
        });
        let found = found.with_context(|| format!("{path} was not written"))?;
        ensure!(
            Some(found.as_str()) == contents.as_str(),
            "{path} holds {found:?}"
        );
    }
    Ok(())
}

fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            std::fs::create_dir(&target)?;
            copy_folder(&entry.path(), &target)?;
        } else {
            std::fs::write(&target, std::fs::read(entry.path())?)?;
        }
    }
    Ok(())
}

fn run_library(shared: &Shared, case: &Value, wasm: &Path, mode: Mode) -> Result<()> {
    let calls = case["calls"]
        .as_array()
        .context("a library case has calls")?;
    match mode {
        Mode::Wasm | Mode::NotInlined | Mode::NotOptimised => {
            let component = match mode {
                Mode::Wasm => {
                    let bytes = std::fs::read(wasm)?;
                    let options = CompileOptions::default();
                    let artifact = trampette::compile_component(&bytes, &options)?;
                    artifact.load()?
                }
                // SAFETY: compiled by this test, in a folder of its own.
                _ => unsafe { Component::from_file(shared.artifact(wasm, mode)?) }?,
            };
            check_calls(calls, |call| {
                let mut store = Store::new(WasiCtxBuilder::new().build());
                let mut linker = Linker::new();
                trampette_wasi::add_to_linker(&mut linker)?;
                let instance = linker.instantiate(&mut store, &component)?;
                trampette_runner::invoke(&component, &instance, &mut store, call)
            })
        }
        Mode::Elf => {
            let elf = shared.artifact(wasm, mode)?;
            check_calls(calls, |call| {
                let output = Command::new(runner())
                    .arg("--invoke")
                    .arg(call)
                    .arg(&elf)
                    .output()?;
                let errors = String::from_utf8_lossy(&output.stderr);
                ensure!(output.status.success(), "{errors}");
                Ok(String::from_utf8(output.stdout)?
                    .trim_end_matches('\n')
                    .to_string())
            })
        }
    }
}

/// Serves a component, by either command, and asks it one request after the other, and then many at
/// once.
fn run_http(shared: &Shared, case: &Value, wasm: &Path, mode: Mode) -> Result<()> {
    let (mut command, input) = match mode {
        Mode::Wasm => (
            Command::new(env!("CARGO_BIN_EXE_trampette")),
            wasm.to_path_buf(),
        ),
        Mode::NotInlined => (
            Command::new(env!("CARGO_BIN_EXE_trampette")),
            shared.artifact(wasm, mode)?,
        ),
        _ => (Command::new(runner()), shared.artifact(wasm, mode)?),
    };
    command.args(["serve", "--addr=127.0.0.1:0"]);
    // How instances are used does not show in any answer.
    match mode {
        Mode::Wasm | Mode::Elf => {}
        Mode::NotInlined => drop(command.args(["--precompiled", "--reuse=7"])),
        Mode::NotOptimised if case["wasi"] == "0.3" => {
            command.args(["--reuse=50", "--concurrency=8"]);
        }
        Mode::NotOptimised => drop(command.arg("--reuse=50")),
    }
    let served = Served::start({
        command.arg(input);
        command
    })?;
    let upstream = http::upstream(upstream)?.to_string();
    let requests = case["requests"].as_array().context("requests")?;
    for request in requests {
        ask(&served, request, &upstream)
            .with_context(|| format!("{}; stderr: {}", request["path"], served.errors()))?;
    }
    let many: Vec<&Value> = requests.iter().filter(|one| one["load"] != false).collect();
    std::thread::scope(|scope| {
        let ask = |first: usize| {
            let (served, many, upstream) = (&served, &many, &upstream);
            let turn = many.iter().cycle().skip(first * 5).take(2 * many.len());
            let turn: Vec<&Value> = turn.copied().collect();
            scope.spawn(move || {
                turn.into_iter().try_for_each(|request| {
                    ask(served, request, upstream)
                        .with_context(|| format!("{}, with others", request["path"]))
                })
            })
        };
        let all: Vec<_> = (0..8).map(ask).collect();
        let results = all.into_iter().map(|one| one.join().expect("no panic"));
        results.collect::<Result<Vec<()>>>()
    })
    .with_context(|| format!("stderr: {}", served.errors()))?;
    let (status, errors) = served.end()?;
    ensure!(status.success(), "it ended with {status}: {errors}");
    Ok(())
}

fn ask(served: &Served, case: &Value, upstream: &str) -> Result<()> {
    let mut request = http::Request::new(text(case, "method")?, text(case, "path")?);
    for (name, value) in case["headers"].as_object().into_iter().flatten() {
        let value = value.as_str().context("a header is text")?;
        request = request.header(name, &value.replace("{upstream}", upstream));
    }
    if let Some(body) = case["body"].as_str() {
        request = request.body(body);
    }
    if let [part, times] = &case["body_repeat"]
        .as_array()
        .map_or(&[][..], Vec::as_slice)
    {
        let times = times.as_u64().context("how often")? as usize;
        request = request.body(part.as_str().context("a text")?.repeat(times));
    }
    request.chunk = case["chunk"].as_u64().map(|bytes| bytes as usize);
    let trailers = case["trailers"].as_object().into_iter().flatten();
    let trailers = trailers.map(|(name, value)| (name.clone(), value.as_str().unwrap_or_default()));
    request.trailers = trailers
        .map(|(name, value)| (name, value.to_string()))
        .collect();
    let answer = match served.ask(&request) {
        Err(_) if case["expect_incomplete"] == true => return Ok(()),
        answer => answer?,
    };
    if case["expect_incomplete"] == true {
        ensure!(!answer.is_whole || answer.status >= 500, "{answer:?}");
        return Ok(());
    }
    let status = case["expect_status"].as_u64();
    ensure!(status == Some(answer.status.into()), "{answer:?}");
    ensure!(answer.is_whole, "it breaks off");
    for (name, value) in case["expect_headers"].as_object().into_iter().flatten() {
        let value = value.as_str().context("a header is text")?;
        let found = answer.header(&name.to_lowercase());
        ensure!(
            found == value.replace("{upstream}", upstream),
            "{name}: {found}"
        );
    }
    for (name, value) in case["expect_trailers"].as_object().into_iter().flatten() {
        let found = answer.trailer(&name.to_lowercase());
        ensure!(Some(&found[..]) == value.as_str(), "{name}: {found}");
    }
    if let Some(body) = case["expect_body"].as_str() {
        let body = body.replace("{upstream}", upstream);
        ensure!(answer.text() == body, "{answer:?}");
    }
    if let Some(expected) = case["expect_body_sha256"].as_str() {
        ensure!(
            sha256(&answer.body) == expected,
            "{} bytes",
            answer.body.len()
        );
    }
    Ok(())
}

fn sha256(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The server that guests ask.
fn upstream(asked: &http::Asked) -> Vec<u8> {
    let (path, query) = asked.path.split_once('?').unwrap_or((&asked.path, ""));
    let number: usize = query
        .strip_prefix("n=")
        .map_or(0, |n| n.parse().unwrap_or(0));
    let via = asked.headers.iter().find(|(name, _)| name == "x-via");
    let via = via.map_or("", |(_, value)| value);
    let headers = [("x-case", "upstream"), ("x-via", via)];
    let (status, body) = match path {
        "/echo" => (200, asked.body.clone()),
        "/hash" => {
            let text = format!("{} {}\n", asked.body.len(), sha256(&asked.body));
            (200, text.into_bytes())
        }
        "/big" => (200, (0..number).map(|i| b'a' + (i % 26) as u8).collect()),
        "/status" => (number as u16, b"status\n".to_vec()),
        _ => (404, Vec::new()),
    };
    http::answer(status, &headers, &body)
}

/// Makes every call, each of a fresh instance, and reports all that went wrong.
fn check_calls(calls: &[Value], mut invoke: impl FnMut(&str) -> Result<String>) -> Result<()> {
    let mut failures = Vec::new();
    for case in calls {
        let call = text(case, "call")?;
        let outcome = invoke(call).map_err(|error| format!("{error:?}"));
        let right = match (&outcome, case["expect_trap"].as_str()) {
            (Err(error), Some(trap)) => error.contains(trap),
            (Ok(found), None) => found == text(case, "result")?,
            _ => false,
        };
        if !right {
            failures.push(format!("{call}: {outcome:?} instead of {}", case["result"]));
        }
    }
    let (failed, all) = (failures.len(), calls.len());
    ensure!(
        failures.is_empty(),
        "{failed} of {all} calls went wrong:\n{}",
        failures.join("\n")
    );
    Ok(())
}
