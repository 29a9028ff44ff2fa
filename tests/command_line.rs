//! What no file of `tests/cli` can say of the command line: closed pipes and full disks, devices,
//! standard input.

#[path = "support/slow.rs"]
mod slow;

use anyhow::{Context, Result, ensure};
use slow::Pipe;
use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

/// A component with a function, a command, and a script.
struct Files {
    folder: TempDir,
}

const GREETER: &str = r#"(component
    (core module $m (func (export "f") (result i32) (i32.const 7)))
    (core instance $i (instantiate $m))
    (func (export "f") (result u32) (canon lift (core func $i "f"))))"#;

impl Files {
    fn new() -> Result<Files> {
        let files = Files {
            folder: TempDir::new()?,
        };
        std::fs::write(files.path("f.wat"), GREETER)?;
        std::fs::write(
            files.path("s.wast"),
            "(module) (assert_invalid (module) \"\")",
        )?;
        let compiled = files
            .command(&["compile", "f.wat", "-o", "f.elf"])
            .output()?;
        ensure!(compiled.status.success(), "{compiled:?}");
        Ok(files)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_trampette"));
        command.args(arguments).current_dir(&self.folder);
        command.stdin(Stdio::null()).env_remove("RUST_BACKTRACE");
        command
    }

    fn with_input(&self, arguments: &[&str], input: &[u8]) -> Result<Output> {
        let mut command = self.command(arguments);
        command.stdin(Stdio::piped());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn()?;
        child.stdin.take().context("a pipe")?.write_all(input)?;
        Ok(child.wait_with_output()?)
    }
}

/// Every way to print something on standard output, with the exit code where all goes well.
const PRINTING: &[(&[&str], i32)] = &[
    (&["--help"], 0),
    (&["--version"], 0),
    (&["help", "run"], 0),
    (&["run", "--help"], 0),
    (&["run", "--invoke", "f()", "f.wat"], 0),
    (&["compile", "--emit", "plan", "f.wat"], 0),
    (&["compile", "--emit", "clif", "f.wat", "-o", "-"], 0),
    (&["compile", "--stats", "f.wat"], 0),
    (&["compile", "--time", "f.wat"], 0),
    (&["compile", "f.wat", "-o", "-"], 0),
    (&["inspect", "f.wat"], 0),
    (&["inspect", "f.elf"], 0),
    (&["inspect", "--graph", "-", "f.wat"], 0),
    (&["inspect", "--all", "f.elf"], 0),
    (&["inspect", "--json", "f.elf"], 0),
    (&["compile", "--json", "f.wat"], 0),
    (&["explore", "f.wat", "-o", "-"], 0),
    (&["completions", "bash"], 0),
    (&["man"], 0),
    (&["verify", "f.elf"], 0),
    (&["verify", "--json", "f.elf"], 0),
    (&["wast", "s.wast"], 1),
    (&["wast", "--json", "s.wast"], 1),
];

fn error_text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn full_disks_are_errors() -> Result<()> {
    let files = Files::new()?;
    for (arguments, _) in PRINTING {
        let mut command = files.command(arguments);
        let output = command.stdout(File::create("/dev/full")?).output()?;
        let text = error_text(&output);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {text}");
        let expected = "error: cannot write to standard output: No space left on device";
        assert!(text.contains(expected), "{arguments:?}: {text}");
    }
    Ok(())
}

#[test]
fn readers_that_are_gone_are_no_errors() -> Result<()> {
    let files = Files::new()?;
    for (arguments, code) in PRINTING {
        let (reader, writer) = std::io::pipe()?;
        drop(reader);
        let output = files.command(arguments).stdout(writer).output()?;
        assert_eq!(error_text(&output), "", "{arguments:?}");
        assert_eq!(output.status.code(), Some(*code), "{arguments:?}");
    }
    Ok(())
}

#[test]
fn slow_readers_get_everything() -> Result<()> {
    let files = Files::new()?;
    let failing: &[(&[&str], i32)] = &[
        (&["no-such-command"], 2),
        (&["run", "missing.wasm"], 1),
        (&["inspect", "many.elf"], 0),
        (&["inspect", "--json", "many.elf"], 0),
        (&["run", &"x".repeat(20_000)], 1),
    ];
    // Its description is longer than any buffer.
    let exports = (0..5000).map(|number| format!(r#"(export "a-function-{number}" (func $f))"#));
    let exports: String = exports.collect();
    std::fs::write(
        files.path("many.wat"),
        format!("(module (func $f) {exports})"),
    )?;
    let compiled = files.command(&["compile", "many.wat", "-o", "many.elf"]);
    ensure!({ compiled }.status()?.success(), "it compiles");
    for (arguments, code) in PRINTING.iter().chain(failing) {
        let times = [
            ("compile", "--time"),
            ("compile", "--stats"),
            ("compile", "--json"),
        ];
        if times
            .iter()
            .any(|(command, option)| arguments.starts_with(&[*command, *option]))
        {
            continue; // other numbers each time
        }
        let expected = files.command(arguments).output()?;
        for pipe in [Pipe::Waits, Pipe::Refuses] {
            let found = slow::output(&mut files.command(arguments), pipe)?;
            assert_eq!(found.status.code(), Some(*code), "{arguments:?}, {pipe:?}");
            assert!(found == expected, "{arguments:?}, {pipe:?}: {found:?}");
        }
    }
    Ok(())
}

#[test]
fn errors_that_nobody_hears_are_errors() -> Result<()> {
    let files = Files::new()?;
    let commands: &[(&[&str], i32)] = &[
        (&["no-such-command"], 2),
        (&["run", "--no-such-option"], 2),
        (&["run", "missing.wasm"], 1),
        (&["verify", "f.wat"], 1),
        (&["compile", "f.elf"], 1),
    ];
    for (arguments, code) in commands {
        let (reader, closed) = std::io::pipe()?;
        drop(reader);
        for stderr in [Stdio::from(File::create("/dev/full")?), closed.into()] {
            let mut command = files.command(arguments);
            let status = command.stdout(Stdio::null()).stderr(stderr).status()?;
            assert_eq!(status.code(), Some(*code), "{arguments:?}");
        }
    }
    Ok(())
}

#[test]
fn what_is_no_regular_file_is_written_to() -> Result<()> {
    let files = Files::new()?;
    let fifo = files.path("fifo");
    let made = Command::new("mkfifo").arg(&fifo).status()?;
    ensure!(made.success(), "there is no mkfifo");
    let reader = std::thread::spawn({
        let fifo = fifo.clone();
        move || -> std::io::Result<Vec<u8>> {
            let mut bytes = Vec::new();
            File::open(fifo)?.read_to_end(&mut bytes)?;
            Ok(bytes)
        }
    });
    let status = files
        .command(&["compile", "f.wat", "-o", "fifo"])
        .status()?;
    assert!(status.success());
    let bytes = reader.join().expect("no panic")?;
    assert_eq!(bytes, std::fs::read(files.path("f.elf"))?);
    assert!(std::fs::symlink_metadata(&fifo)?.file_type().is_fifo());
    for device in ["/dev/null", "/dev/full"] {
        let output = files
            .command(&["compile", "f.wat", "-o", device])
            .output()?;
        assert!(Path::new(device).metadata()?.file_type().is_char_device());
        assert_eq!(output.status.success(), device == "/dev/null");
        if device == "/dev/full" {
            let expected = "error: cannot write /dev/full: No space left on device (os error 28)\n";
            assert_eq!(error_text(&output), expected);
        }
    }
    Ok(())
}

#[test]
fn links_stay_links() -> Result<()> {
    let files = Files::new()?;
    std::fs::write(files.path("real"), "")?;
    std::os::unix::fs::symlink("real", files.path("link"))?;
    let status = files
        .command(&["compile", "f.wat", "-o", "link"])
        .status()?;
    assert!(status.success());
    assert!(std::fs::symlink_metadata(files.path("link"))?.is_symlink());
    assert_eq!(std::fs::read(files.path("real"))?[..4], *b"\x7fELF");
    Ok(())
}

#[test]
fn inputs_are_never_overwritten() -> Result<()> {
    let files = Files::new()?;
    // Text under the name that the artifact would get; the same file by other names.
    std::fs::write(files.path("text.elf"), GREETER)?;
    std::os::unix::fs::symlink("f.wat", files.path("link"))?;
    std::fs::hard_link(files.path("f.wat"), files.path("hard"))?;
    std::fs::write(
        files.path("w.wit"),
        "package a:b; world w { export f: func() -> u32; }",
    )?;
    let commands: &[&[&str]] = &[
        &["compile", "f.wat", "-o", "f.wat"],
        &["compile", "f.wat", "-o", "./f.wat"],
        &["compile", "f.wat", "-o", "link"],
        &["compile", "f.wat", "-o", "hard"],
        &["compile", "--emit", "asm", "f.wat", "-o", "f.wat"],
        &["compile", "text.elf"],
        &["compile", "--wit", "w.wit", "f.wat", "-o", "w.wit"],
        &["inspect", "--graph", "f.wat", "f.wat"],
        &["explore", "f.wat", "-o", "f.wat"],
    ];
    for arguments in commands {
        let output = files.command(arguments).output()?;
        let text = error_text(&output);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {text}");
        assert!(
            text.contains("would be overwritten"),
            "{arguments:?}: {text}"
        );
    }
    for name in ["f.wat", "text.elf"] {
        assert_eq!(std::fs::read_to_string(files.path(name))?, GREETER);
    }
    Ok(())
}

#[test]
fn a_hyphen_is_standard_input_and_output() -> Result<()> {
    let files = Files::new()?;
    let artifact = std::fs::read(files.path("f.elf"))?;
    let wat = GREETER.as_bytes();
    let compiled = files.with_input(&["compile", "-"], wat)?;
    assert_eq!(compiled.stdout, artifact, "{}", error_text(&compiled));
    let run = files.with_input(&["run", "--invoke", "f()", "-"], wat)?;
    assert_eq!(run.stdout, b"7\n", "{}", error_text(&run));
    let inspected = files.with_input(&["inspect", "--all", "-"], wat)?;
    let named = files.command(&["inspect", "--all", "f.wat"]).output()?;
    assert_eq!(inspected.stdout, named.stdout);
    let verified = files.with_input(&["verify", "-"], &artifact)?;
    assert!(verified.stdout.starts_with(b"standard input: "));
    let broken = files.with_input(&["compile", "-"], b"(component")?;
    assert!(error_text(&broken).contains("standard input"));
    assert!(!files.path("-").exists() && !files.path("-.elf").exists());
    Ok(())
}

#[test]
fn what_machines_read_is_json() -> Result<()> {
    let files = Files::new()?;
    let json = |arguments: &[&str]| -> Result<serde_json::Value> {
        let output = files.command(arguments).output()?;
        Ok(serde_json::from_slice(&output.stdout)?)
    };
    let compiled = json(&["compile", "--json", "f.wat"])?;
    let size = std::fs::metadata(files.path("f.elf"))?.len();
    assert_eq!(compiled["output"], "f.elf");
    assert_eq!(compiled["bytes"], size);
    assert!(compiled["seconds"]["compile"].as_f64() > Some(0.0));
    assert_eq!(compiled["statistics"]["core_functions"], 1);
    let inspected = json(&["inspect", "--json", "f.wat"])?;
    assert_eq!(inspected["bytes"], size);
    assert_eq!(inspected["exports"][0]["path"][0], "f");
    assert_eq!(inspected["exports"][0]["type"], "func() -> u32");
    assert_eq!(inspected["switches"], serde_json::json!([]));
    assert_eq!(inspected["trampolines"][0]["transfer"], "none");
    let functions = inspected["functions"].as_array().context("functions")?;
    assert!(
        functions
            .iter()
            .all(|function| function["bytes"].as_u64() > Some(0))
    );
    let verified = json(&["verify", "--json", "f.elf", "f.wat"])?;
    assert_eq!(verified[0]["consistent"], true);
    assert_eq!(verified[1]["consistent"], false);
    assert_eq!(json(&["wast", "--json", "s.wast"])?["failed"], 1);
    Ok(())
}

#[test]
fn completions_and_pages_know_every_command() -> Result<()> {
    let files = Files::new()?;
    let commands = [
        "compile",
        "run",
        "inspect",
        "verify",
        "wast",
        "completions",
        "man",
    ];
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let output = files.command(&["completions", shell]).output()?;
        let script = String::from_utf8(output.stdout)?;
        for word in commands
            .iter()
            .chain(&["--trap-unknown-imports", "--target-cpu"])
        {
            // Some shells' scripts have options without their hyphens.
            assert!(
                script.contains(word.trim_start_matches('-')),
                "{shell}: {word}"
            );
        }
    }
    for command in commands {
        let output = files.command(&["man", command]).output()?;
        let page = String::from_utf8(output.stdout)?;
        assert!(
            page.contains(".TH") && page.contains(command),
            "{command}: {page}"
        );
    }
    // Those of the command that has no room for them.
    let page = files.command(&["man", "trampette-run"]).output()?.stdout;
    assert!(String::from_utf8(page)?.contains("trampette\\-run"));
    for shell in ["bash", "zsh", "fish"] {
        let output = files.command(&["completions", shell, "trampette-run"]);
        let script = String::from_utf8({ output }.output()?.stdout)?;
        assert!(script.contains("trampette-run") && script.contains("max-memory"));
        assert!(!script.contains("target-cpu"), "{script}");
    }
    Ok(())
}

#[test]
fn verbosity_is_asked_for() -> Result<()> {
    let files = Files::new()?;
    let quiet = files.command(&["compile", "f.wat"]).output()?;
    assert_eq!((&quiet.stdout[..], &quiet.stderr[..]), (&b""[..], &b""[..]));
    let told = error_text(&files.command(&["-v", "compile", "f.wat"]).output()?);
    assert!(
        told.contains("link") && told.contains("f.elf ") && told.contains(" in 0."),
        "{told}"
    );
    let told = error_text(
        &files
            .command(&["run", "-v", "--invoke", "f()", "f.wat"])
            .output()?,
    );
    assert!(told.starts_with("compiled f.wat in "), "{told}");
    Ok(())
}
