//! The official WASI suite: its tests of preview 1 and 0.3, one by one, through the command line.
//!
//! A test is `NAME.wasm`, with what it is given and what is expected in `NAME.json`: `args`, `env`,
//! `dirs` (each under its own name) or `root` (as `/`), `exit_code`, `stdout`, `stderr`; or a list
//! of `operations`: `run`, `write` to its standard input, `read` from its outputs, `connect` to the
//! address that it prints, `send`, `recv`, `wait` for its end. Folders are copied first. The suite
//! lies beside the repository; without it the harness says so. Tests of HTTP are in
//! `wasi_http_suite.rs`.

#[path = "support/suites.rs"]
mod suites;
#[path = "support/trials.rs"]
mod trials;

use anyhow::{Context, Result, bail, ensure};
use libtest_mimic::{Failed, Trial};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

const FOLDERS: [&str; 4] = ["p1-assemblyscript", "p1-c", "p1-rust", "p3-rust"];

/// How long a test may take.
const TIME: Duration = Duration::from_secs(60);

fn main() -> ExitCode {
    trials::run("the suite", trials)
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
                // Those are tests of their own (`wasi_http_suite.rs`).
                if stem.starts_with("http-") {
                    continue;
                }
                let trial = Trial::test(format!("{folder}/{stem}"), move || {
                    check(&path).map_err(|error| Failed::from(format!("{error:#}")))
                });
                trials.push(trial);
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
    let operations = match &spec["operations"] {
        Value::Array(operations) => operations.clone(),
        _ => vec![
            json!({ "type": "run" }),
            json!({ "type": "wait", "exit_code": spec["exit_code"] }),
        ],
    };
    let run = operations
        .iter()
        .find(|operation| operation["type"] == "run");
    let run = run.context("it runs")?;
    if texts(&spec["proposals"]).contains(&"sockets") {
        command.arg("--inherit-network");
    }
    for spec in [&spec, run] {
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
    }
    command.arg(path);
    command.args(texts(&spec["args"])).args(texts(&run["args"]));
    let mut guest = Guest::start(command)?;
    for operation in &operations {
        let kind = operation["type"].as_str().unwrap_or_default();
        let done = guest.perform(kind, operation);
        done.with_context(|| format!("{kind}; stderr: {}", guest.stderr.text()))?;
    }
    for (name, found) in [("stdout", &guest.stdout), ("stderr", &guest.stderr)] {
        if let Some(expected) = spec[name].as_str() {
            let found = found.text();
            ensure!(found == expected, "{name} is {found:?}, not {expected:?}");
        }
    }
    Ok(())
}

/// What a process has printed so far.
#[derive(Clone, Default)]
struct Printed(Arc<Pipe>);

#[derive(Default)]
struct Pipe {
    read: Mutex<SoFar>,
    more: Condvar,
}

#[derive(Default)]
struct SoFar {
    bytes: Vec<u8>,
    is_all: bool,
}

impl Printed {
    fn of(mut pipe: impl Read + Send + 'static) -> Printed {
        let printed = Printed::default();
        let state = printed.clone();
        std::thread::spawn(move || {
            let mut part = [0; 4096];
            loop {
                let count = pipe.read(&mut part).unwrap_or(0);
                let mut so_far = state.0.read.lock().unwrap();
                so_far.bytes.extend_from_slice(&part[..count]);
                so_far.is_all = count == 0;
                state.0.more.notify_all();
                if count == 0 {
                    return;
                }
            }
        });
        printed
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.read.lock().unwrap().bytes).into_owned()
    }

    /// Waits until there is what is looked for, or there will be nothing more.
    fn until<R>(&self, find: impl Fn(&str) -> Option<R>) -> Option<R> {
        let until = Instant::now() + TIME;
        loop {
            if let Some(found) = find(&self.text()) {
                return Some(found);
            }
            let so_far = self.0.read.lock().unwrap();
            if so_far.is_all || until < Instant::now() {
                drop(so_far);
                return find(&self.text());
            }
            let _ = self.0.more.wait_timeout(so_far, Duration::from_millis(20));
        }
    }
}

/// A test that runs.
struct Guest {
    child: Child,
    stdout: Printed,
    stderr: Printed,
    sockets: BTreeMap<String, TcpStream>,
}

impl Drop for Guest {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Guest {
    fn start(mut command: Command) -> Result<Guest> {
        let pipes = command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = pipes.stderr(Stdio::piped()).spawn()?;
        Ok(Guest {
            stdout: Printed::of(child.stdout.take().context("a pipe")?),
            stderr: Printed::of(child.stderr.take().context("a pipe")?),
            child,
            sockets: BTreeMap::new(),
        })
    }

    fn perform(&mut self, kind: &str, operation: &Value) -> Result<()> {
        let id = operation["id"].as_str().unwrap_or_default();
        let payload = operation["payload"].as_str().unwrap_or_default();
        match kind {
            "run" => {}
            "write" => {
                let mut pipe = self.child.stdin.take().context("a pipe")?;
                pipe.write_all(payload.as_bytes())?;
            }
            "read" => {
                let printed = match id {
                    "stderr" => &self.stderr,
                    _ => &self.stdout,
                };
                let found = printed.until(|text| text.starts_with(payload).then_some(()));
                found.with_context(|| format!("{id} is {:?}", printed.text()))?;
            }
            "connect" => {
                let address = |text: &str| text.lines().next()?.parse::<SocketAddr>().ok();
                let address = self.stdout.until(address).context("it prints no address")?;
                let socket = TcpStream::connect(address)?;
                socket.set_read_timeout(Some(TIME))?;
                self.sockets.insert(id.to_string(), socket);
            }
            "send" => self.socket(id)?.write_all(payload.as_bytes())?,
            "recv" => {
                let mut found = vec![0; payload.len()];
                self.socket(id)?.read_exact(&mut found)?;
                ensure!(found == payload.as_bytes(), "it is {found:?}");
            }
            "wait" => {
                self.sockets.clear();
                drop(self.child.stdin.take());
                let expected = operation["exit_code"].as_i64().unwrap_or(0);
                let until = Instant::now() + TIME;
                let status = loop {
                    match self.child.try_wait()? {
                        Some(status) => break status,
                        None => ensure!(Instant::now() < until, "it does not end"),
                    }
                    std::thread::sleep(Duration::from_millis(5));
                };
                self.stdout.until(|_| None::<()>);
                self.stderr.until(|_| None::<()>);
                let code = status.code().map(i64::from);
                ensure!(
                    code == Some(expected),
                    "it ended with {status}, not with {expected}"
                );
            }
            other => bail!("an unknown operation, {other}"),
        }
        Ok(())
    }

    fn socket(&mut self, id: &str) -> Result<&mut TcpStream> {
        self.sockets.get_mut(id).context("it is connected")
    }
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
