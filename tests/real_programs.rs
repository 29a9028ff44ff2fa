//! Real programs, compiled by the toolchains that users have: what `trampette run` prints and how
//! it exits is what the peer (`wasmtime`) does with the same file, arguments and folders.
//!
//! The sources are `tests/programs/program.*`. A program is skipped, with a notice, where its
//! toolchain or the peer is not on `PATH`: `go`; `asc` with `@assemblyscript/wasi-shim` beside it;
//! `componentize-py`; a `rustc` with the standard library of `wasm32-wasip1` or `wasm32-wasi`.
//! `TRAMPETTE_REAL_PROGRAMS=require` makes skipping a failure.

use anyhow::{Context, Result, bail, ensure};
use libtest_mimic::{Arguments, Failed, Trial};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Output, Stdio};
use tempfile::TempDir;

/// A kind of program.
struct Program {
    /// The language.
    name: &'static str,
    /// Makes a WebAssembly file in a folder; `None` if the toolchain is not here.
    build: fn(&Path) -> Result<Option<PathBuf>>,
    /// Flags for `trampette run`, and for the peer.
    flags: [&'static [&'static str]; 2],
    /// The exit code that the source asks for.
    exit: i32,
}

const PROGRAMS: &[Program] = &[
    Program {
        name: "go",
        build: go,
        flags: [&[], &[]],
        exit: 3,
    },
    Program {
        name: "rust",
        build: rust,
        flags: [&[], &[]],
        exit: 3,
    },
    Program {
        name: "assemblyscript",
        build: assemblyscript,
        flags: [&[], &[]],
        exit: 3,
    },
    Program {
        name: "python",
        build: python,
        flags: [&[], &[]],
        exit: 0,
    },
    Program {
        name: "emscripten",
        build: emscripten,
        flags: [&["--core-module", "env=ENV"], &["--preload", "env=ENV"]],
        exit: 40,
    },
];

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let trial = |program: &'static Program| {
        let run = move || check(program).map_err(|error| Failed::from(format!("{error:#}")));
        Trial::test(program.name, run)
    };
    libtest_mimic::run(&arguments, PROGRAMS.iter().map(trial).collect()).exit_code()
}

/// Runs a program in both, in equal folders, and compares.
fn check(program: &Program) -> Result<()> {
    let folder = TempDir::new()?;
    let peer = find("wasmtime");
    let wasm = (program.build)(folder.path()).with_context(|| program.name.to_string())?;
    let (Some(peer), Some(wasm)) = (peer, wasm) else {
        let name = program.name;
        let required = std::env::var_os("TRAMPETTE_REAL_PROGRAMS").is_some();
        ensure!(!required, "{name}: its toolchain or the peer is not here");
        eprintln!("notice: {name} is skipped: its toolchain or the peer is not here");
        return Ok(());
    };
    let ours = run(
        Path::new(env!("CARGO_BIN_EXE_trampette")),
        program.flags[0],
        &wasm,
    )?;
    let theirs = run(&peer, program.flags[1], &wasm)?;
    let text = |output: &Output| {
        let (stdout, stderr) = (&output.stdout, &output.stderr);
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        (text(stdout), text(stderr), output.status.code())
    };
    ensure!(
        text(&ours) == text(&theirs),
        "{:#?}, the peer: {:#?}",
        text(&ours),
        text(&theirs)
    );
    let (stdout, stderr, code) = text(&ours);
    ensure!(
        code == Some(program.exit),
        "exit code {code:?}\n{stdout}{stderr}"
    );
    ensure!(!stdout.is_empty(), "nothing was printed");
    println!("{}:\n{stdout}", program.name);
    Ok(())
}

/// Runs the file with arguments, a variable, input, and an empty folder.
fn run(command: &Path, flags: &[&str], wasm: &Path) -> Result<Output> {
    let folder = TempDir::new()?;
    let env = source("env.wat");
    let flags = flags
        .iter()
        .map(|flag| flag.replace("ENV", &env.to_string_lossy()));
    let mut child = Command::new(command)
        .arg("run")
        .args(flags)
        .args(["--env", "GREETING=hello"])
        .arg("--dir")
        .arg(format!("{}::/data", folder.path().display()))
        .arg(wasm)
        .args(["one", "two words", "ünï", "--dir=/"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| command.display().to_string())?;
    // A program that reads nothing may be gone by now.
    let mut stdin = child.stdin.take().context("a pipe")?;
    let _ = std::io::Write::write_all(&mut stdin, b"a\nb\nc\n");
    drop(stdin);
    Ok(child.wait_with_output()?)
}

fn source(name: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    root.join("tests/programs").join(name)
}

/// All files of this name on `PATH`.
fn all(name: &str) -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let files = std::env::split_paths(&path).map(|folder| folder.join(name));
    files.filter(|file| file.is_file()).collect()
}

fn find(name: &str) -> Option<PathBuf> {
    all(name).into_iter().next()
}

/// Runs a compiler, which must succeed.
fn build(command: &mut Command) -> Result<()> {
    let output = command.output()?;
    if !output.status.success() {
        let text = [output.stdout, output.stderr].concat();
        bail!("{command:?}: {}", String::from_utf8_lossy(&text));
    }
    Ok(())
}

fn go(folder: &Path) -> Result<Option<PathBuf>> {
    let Some(go) = find("go") else {
        return Ok(None);
    };
    let wasm = folder.join("program.wasm");
    let mut command = Command::new(go);
    command
        .args(["build", "-o"])
        .arg(&wasm)
        .arg(source("program.go"));
    command.env("GOOS", "wasip1").env("GOARCH", "wasm");
    build(command.env("GOCACHE", folder.join("cache")))?;
    Ok(Some(wasm))
}

fn rust(folder: &Path) -> Result<Option<PathBuf>> {
    let wasm = folder.join("program.wasm");
    for rustc in all("rustc") {
        for target in ["wasm32-wasip1", "wasm32-wasi"] {
            let mut command = Command::new(&rustc);
            command.args(["--print", "target-libdir", "--target", target]);
            let libraries = command.output()?.stdout;
            let libraries = PathBuf::from(String::from_utf8_lossy(&libraries).trim());
            if !libraries.is_dir() {
                continue;
            }
            let mut command = Command::new(&rustc);
            command.args(["--edition", "2021", "-O", "--target", target, "-o"]);
            build(command.arg(&wasm).arg(source("program.rs")))?;
            return Ok(Some(wasm));
        }
    }
    Ok(None)
}

fn assemblyscript(folder: &Path) -> Result<Option<PathBuf>> {
    const SHIM: &str = "node_modules/@assemblyscript/wasi-shim/asconfig.json";
    let Some(asc) = find("asc").map(|asc| asc.canonicalize()).transpose()? else {
        return Ok(None);
    };
    let mut folders = asc.ancestors();
    let Some(packages) = folders.find(|folder| folder.join(SHIM).is_file()) else {
        return Ok(None);
    };
    let wasm = folder.join("program.wasm");
    let mut command = Command::new(&asc);
    // The shim's libraries are found from where its configuration is named.
    command
        .current_dir(packages)
        .args(["--config", SHIM, "-O", "-o"]);
    build(command.arg(&wasm).arg(source("program.ts")))?;
    Ok(Some(wasm))
}

fn python(folder: &Path) -> Result<Option<PathBuf>> {
    let Some(tool) = find("componentize-py") else {
        return Ok(None);
    };
    let wasm = folder.join("program.wasm");
    std::fs::copy(source("program.py"), folder.join("app.py"))?;
    let mut command = Command::new(tool);
    for package in ["io", "clocks", "filesystem", "sockets", "random", "cli"] {
        let folder = format!("../../wit/deps/wasi-{package}-0.2.12");
        command.arg("-d").arg(source(&folder));
    }
    command.args(["-w", "wasi:cli/command@0.2.12", "componentize", "app", "-o"]);
    build(command.arg(&wasm).current_dir(folder))?;
    Ok(Some(wasm))
}

fn emscripten(folder: &Path) -> Result<Option<PathBuf>> {
    let wasm = folder.join("program.wasm");
    std::fs::write(&wasm, wat::parse_file(source("program.wat"))?)?;
    Ok(Some(wasm))
}
