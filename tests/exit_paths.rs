//! However the commands end, what was printed before is there: a guest that prints returns, exits,
//! traps, is stopped or killed, with pipes whose readers are slow and which may refuse to wait.
//!
//! Why nothing can be lost: a guest's writes go to the kernel before the call returns, through no
//! buffer (`crates/wasi/src/p2/streams.rs`); what the commands print themselves does before they go
//! on (`crates/runner/src/output.rs`, and `tests/tidy.rs` sees to it that no other file prints); so
//! that there is nothing to flush when a process ends, whichever way it does. Both wait for a pipe
//! that is full, also one that does not wait by itself.

#[path = "support/slow.rs"]
mod slow;

use anyhow::{Context, Result, ensure};
use slow::{Pipe, output};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tempfile::TempDir;
use trampette::{CompileOptions, compile_module};

/// Bytes that a guest prints before it ends.
const BYTES: u32 = 300_000;
/// Bytes that an endless guest prints at once, before it says so on standard error.
const CHUNK: u32 = 700;

/// A module with preview 1 that has a command.
fn guest(command: &str) -> String {
    format!(
        r#"(module
          (import "wasi_snapshot_preview1" "fd_write"
            (func $fd_write (param i32 i32 i32 i32) (result i32)))
          (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
          (memory (export "memory") 6)
          (func $write (param $fd i32) (param $from i32) (param $length i32)
            (loop $again
              (i32.store (i32.const 0) (local.get $from))
              (i32.store (i32.const 4) (local.get $length))
              (if (call $fd_write (local.get $fd) (i32.const 0) (i32.const 1) (i32.const 8))
                (then unreachable))
              (local.set $from (i32.add (local.get $from) (i32.load (i32.const 8))))
              (local.set $length (i32.sub (local.get $length) (i32.load (i32.const 8))))
              (br_if $again (local.get $length))))
          (func $fill (local $at i32)
            (loop $again
              (i32.store8 offset=1024 (local.get $at) (i32.rem_u (local.get $at) (i32.const 251)))
              (local.set $at (i32.add (local.get $at) (i32.const 1)))
              (br_if $again (i32.lt_u (local.get $at) (i32.const {BYTES})))))
          (func $print
            (call $fill)
            (call $write (i32.const 1) (i32.const 1024) (i32.const {BYTES})))
          (func $endless
            (call $fill)
            (loop $again
              (call $write (i32.const 1) (i32.const 1024) (i32.const {CHUNK}))
              (call $write (i32.const 2) (i32.const 1070) (i32.const 1))
              (br $again)))
          (func $deeper (result i32) (i32.add (call $deeper) (i32.const 1)))
          (func (export "_start") {command}))"#
    )
}

/// A guest's file, as the command takes it.
fn file(folder: &Path, binary: &str, name: &str, command: &str) -> Result<PathBuf> {
    let text = guest(command);
    if binary.ends_with("trampette") {
        let path = folder.join(format!("{name}.wat"));
        std::fs::write(&path, text)?;
        return Ok(path);
    }
    let path = folder.join(format!("{name}.elf"));
    let wasm = wat::parse_str(text)?;
    compile_module(&wasm, &CompileOptions::default())?.write(&path)?;
    Ok(path)
}

const TRAMPETTE: (&str, &[&str]) = (env!("CARGO_BIN_EXE_trampette"), &["run"]);
const TRAMPETTE_RUN: (&str, &[&str]) = (env!("CARGO_BIN_EXE_trampette-run"), &[]);

#[test]
fn what_was_printed_before_the_end_is_there() -> Result<()> {
    let folder = TempDir::new()?;
    let printed: Vec<u8> = (0..BYTES).map(|at| (at % 251) as u8).collect();
    let cases = [
        ("returns", "(call $print)", 0, ""),
        ("exits", "(call $print) (call $exit (i32.const 3))", 3, ""),
        ("traps", "(call $print) unreachable", 134, "unreachable"),
        (
            "overflows",
            "(call $print) (drop (call $deeper))",
            134,
            "stack",
        ),
        (
            "is-out-of-bounds",
            "(call $print) (drop (i32.load (i32.const -1)))",
            134,
            "memory",
        ),
        ("fails", "(call $print) (call $exit (i32.const 1))", 1, ""),
    ];
    for (binary, arguments) in [TRAMPETTE, TRAMPETTE_RUN] {
        for (name, command, code, message) in cases {
            let path = file(folder.path(), binary, name, command)?;
            for pipe in [Pipe::Waits, Pipe::Refuses] {
                let mut command = Command::new(binary);
                let found = output(command.args(arguments).arg(&path), pipe)?;
                let errors = String::from_utf8_lossy(&found.stderr);
                assert_eq!(
                    found.status.code(),
                    Some(code),
                    "{name}, {pipe:?}: {errors}"
                );
                assert!(errors.contains(message), "{name}, {pipe:?}: {errors}");
                let count = found.stdout.len();
                assert!(found.stdout == printed, "{name}, {pipe:?}: {count} bytes");
            }
        }
    }
    Ok(())
}

/// Whatever stops a guest, what it was told that it has printed is there.
#[test]
fn what_was_printed_before_a_stop_is_there() -> Result<()> {
    let folder = TempDir::new()?;
    for (binary, arguments) in [TRAMPETTE, TRAMPETTE_RUN] {
        let path = file(folder.path(), binary, "endless", "(call $endless)")?;
        for pipe in [Pipe::Waits, Pipe::Refuses] {
            let mut command = Command::new(binary);
            command.args(arguments).arg("--timeout=500ms").arg(&path);
            let found = output(&mut command, pipe)?;
            assert_eq!(found.status.code(), Some(124));
            let told = found
                .stderr
                .iter()
                .take_while(|byte| **byte == b'.')
                .count();
            let errors = String::from_utf8_lossy(&found.stderr[told..]);
            let first = errors.lines().next();
            assert_eq!(first, Some("error: timed out after 500 ms"), "{errors}");
            let count = found.stdout.len();
            assert!(
                count >= told * CHUNK as usize,
                "{count} bytes, {told} times"
            );
        }

        let mut command = Command::new(binary);
        command.args(arguments).arg(&path);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn()?;
        let mut told = [0; 20];
        child
            .stderr
            .as_mut()
            .context("a pipe")?
            .read_exact(&mut told)?;
        child.kill()?;
        let found = child.wait_with_output()?;
        ensure!(found.status.code().is_none(), "it was killed");
        let (count, told) = (found.stdout.len(), told.len() + found.stderr.len());
        assert!(
            count >= told * CHUNK as usize,
            "{count} bytes, {told} times"
        );
    }
    Ok(())
}
