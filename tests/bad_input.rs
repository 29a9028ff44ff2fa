//! Bad input: every one gives one clear error and a non-zero exit; nothing panics, nothing crashes, and no
//! half-written file stays behind.

#[path = "support/suites.rs"]
mod suites;

use anyhow::Result;
use object::{Object, ObjectSection};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;
use trampette::CompileOptions;
use trampette_artifact::header::{Identification, section};
use trampette_runtime::{Component, Linker, Store};

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("examples")
        .join(name)
}

fn greeter() -> Vec<u8> {
    wat::parse_file(example("greeter.wat")).unwrap()
}

fn artifact() -> Vec<u8> {
    let wasm = greeter();
    trampette::compile_component(&wasm, &CompileOptions::default())
        .unwrap()
        .into_bytes()
}

fn trampette(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_trampette"))
        .args(arguments)
        .output()
        .unwrap()
}

/// Checks that a command failed with one clear error that contains `expected`.
#[track_caller]
fn expect_error(output: &Output, expected: &str) {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{errors}");
    assert!(errors.starts_with("error: "), "{errors}");
    assert_eq!(errors.matches("error: ").count(), 1, "{errors}");
    assert!(!errors.contains("panicked"), "{errors}");
    assert!(
        errors.contains(expected),
        "{errors:?} does not contain {expected:?}"
    );
    assert!(output.stdout.is_empty());
}

/// Compiles bytes by the command line, which must fail and leave nothing behind.
#[track_caller]
fn expect_compile_error(bytes: &[u8], expected: &str) {
    let folder = TempDir::new().unwrap();
    let input = folder.path().join("input.wasm");
    std::fs::write(&input, bytes).unwrap();
    for command in ["compile", "run", "inspect"] {
        let output = trampette(&[command, input.to_str().unwrap()]);
        expect_error(&output, expected);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(
            errors.contains("input.wasm"),
            "the error does not name the file: {errors}"
        );
    }
    let left: Vec<_> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|e| e.unwrap().file_name())
        .collect();
    assert_eq!(left, ["input.wasm"]);
}

#[test]
fn files_that_are_no_components() {
    expect_compile_error(b"", "the file is empty");
    expect_compile_error(
        b"\x17\x80random\xffbytes",
        "neither a WebAssembly component",
    );
    expect_compile_error(b"\0asm\x01\0\0\0\x0a\x01\x01", "at offset 0x");
    expect_compile_error(b"\x7fELF", "");
    expect_compile_error(b"(component (import", "cannot assemble");
}

#[test]
fn a_missing_file_is_named() {
    let output = trampette(&["run", "no-such-file.wasm"]);
    expect_error(&output, "cannot read no-such-file.wasm");
}

#[test]
fn an_unwritable_output_is_named_and_nothing_stays() {
    let input = example("answer.wat");
    let output = trampette(&[
        "compile",
        input.to_str().unwrap(),
        "-o",
        "/no/such/folder/out.elf",
    ]);
    expect_error(&output, "cannot write /no/such/folder/out.elf");
}

#[test]
fn truncated_components_give_errors() {
    let mut components = vec![("greeter", greeter())];
    if let Some(corpus) = suites::folder("corpus") {
        let hello = std::fs::read(corpus.join("hello.wasm")).unwrap();
        components.push(("hello", hello));
    }
    for (name, wasm) in components {
        for fiftieth in 0..50 {
            let cut = &wasm[..wasm.len() * fiftieth / 50];
            let result = trampette::compile_component(cut, &CompileOptions::default());
            let error = result
                .err()
                .unwrap_or_else(|| panic!("{name} cut to {} bytes compiles", cut.len()));
            let text = format!("{error:#}");
            assert!(
                !text.contains("panicked"),
                "{name} cut to {} bytes: {text}",
                cut.len()
            );
        }
    }
}

#[test]
fn a_component_that_imports_what_the_linker_lacks() {
    let input = example("greeter.wat");
    let output = trampette(&["run", "--invoke", "greet(\"Ada\")", input.to_str().unwrap()]);
    expect_error(&output, "log");
}

#[test]
fn a_call_of_what_is_not_exported_or_with_wrong_arguments() {
    let input = example("answer.wat");
    let input = input.to_str().unwrap();
    expect_error(
        &trampette(&["run", "--invoke", "nothing()", input]),
        "no function `nothing`",
    );
    expect_error(
        &trampette(&["run", "--invoke", "sum([\"x\"])", input]),
        "sum",
    );
    expect_error(
        &trampette(&["run", "--invoke", "sum(", input]),
        "no call in WAVE",
    );
    expect_error(&trampette(&["run", input]), "wasi:cli/run");
}

#[test]
fn an_endless_guest_ends_after_its_time() {
    let folder = tempfile::tempdir().unwrap();
    let spin = "(func (export \"spin\") (result i32) (loop (br 0)) unreachable)";
    let module = format!("(module {spin})");
    let component = format!(
        "(component (core module $m {spin}) (core instance $i (instantiate $m)) \
         (func (export \"spin\") (result s32) (canon lift (core func $i \"spin\"))))"
    );
    for text in [module, component] {
        let input = folder.path().join("spin.wat");
        std::fs::write(&input, text).unwrap();
        let input = input.to_str().unwrap();
        let output = trampette(&["run", "--timeout", "0.05", "--invoke", "spin()", input]);
        assert_eq!(output.status.code(), Some(134));
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(error.contains("interrupt"), "{error}");
    }
}

#[test]
fn a_missing_preopen_is_named() {
    let input = example("answer.wat");
    let arguments = [
        "run",
        "--dir",
        "/no/such/folder",
        "--invoke",
        "sum([])",
        input.to_str().unwrap(),
    ];
    expect_error(&trampette(&arguments), "/no/such/folder");
}

/// The sections of an artifact that have contents: name and range.
fn sections(artifact: &[u8]) -> Vec<(String, std::ops::Range<usize>)> {
    let file = object::File::parse(artifact).unwrap();
    let ranges = file.sections().filter_map(|section| {
        let (offset, size) = section.file_range()?;
        Some((
            section.name().ok()?.to_string(),
            offset as usize..(offset + size) as usize,
        ))
    });
    ranges.collect()
}

#[test]
fn an_artifact_of_another_version_is_refused() {
    let mut bytes = artifact();
    let (_, range) = sections(&bytes)
        .into_iter()
        .find(|(name, _)| name == section::ID)
        .unwrap();
    let mut id = Identification::decode(&bytes[range.clone()]).unwrap();
    id.format_version += 1;
    let other = id.encode().unwrap();
    assert_eq!(other.len(), range.len());
    bytes[range].copy_from_slice(&other);
    let error = Component::from_bytes(&bytes).expect_err("another version is refused");
    assert!(format!("{error:#}").contains("version"), "{error:#}");
}

#[test]
fn truncated_artifacts_are_refused() {
    let bytes = artifact();
    for fiftieth in 0..50 {
        let cut = &bytes[..bytes.len() * fiftieth / 50];
        assert!(
            Component::from_bytes(cut).is_err(),
            "{} of {} bytes load",
            cut.len(),
            bytes.len()
        );
    }
}

/// Flips one byte at a time. Whatever has a checksum must be refused; in the rest (headers and symbols) a
/// flip may also do no harm, but never more than that.
#[test]
fn damaged_artifacts_are_refused() -> Result<()> {
    let bytes = artifact();
    let checked = |name: &str| {
        name.starts_with(".trampette") || name.starts_with(".rodata") || name == ".text"
    };
    let (mut tried, mut flipped) = (0, bytes.clone());
    for (name, range) in sections(&bytes) {
        // All of the small sections, and a spread over the large ones.
        let step = (range.len() / 400).max(1);
        for at in range.step_by(step) {
            flipped[at] ^= 1 << (at % 8);
            let loaded = Component::from_bytes(&flipped);
            if checked(&name) {
                assert!(
                    loaded.is_err(),
                    "byte {at:#x} in {name} was flipped, and it loads"
                );
            } else if let Ok(component) = loaded {
                let _ = Linker::<()>::new().instantiate(&mut Store::new(()), &component);
            }
            flipped[at] = bytes[at];
            tried += 1;
        }
    }
    for at in 0..1024.min(bytes.len()) {
        flipped[at] ^= 1 << (at % 8);
        let _ = Component::from_bytes(&flipped);
        flipped[at] = bytes[at];
        tried += 1;
    }
    assert!(tried >= 1000, "only {tried} places");
    Ok(())
}
