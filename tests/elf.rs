//! The artifact as an ELF file: the same bytes whatever the threads, and standard tools accept it.

#[path = "support/suites.rs"]
mod suites;

use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;
use trampette::CompileOptions;

/// A component of the repository, and a larger one of the corpus when that is there.
fn components() -> Vec<(String, Vec<u8>)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut all = vec![(
        "greeter".to_string(),
        wat::parse_file(root.join("examples/greeter.wat")).unwrap(),
    )];
    if let Some(corpus) = suites::folder("corpus") {
        for name in ["alltypes", "lua"] {
            let wasm = std::fs::read(corpus.join(format!("{name}.wasm"))).unwrap();
            all.push((name.to_string(), wasm));
        }
    }
    all
}

#[test]
fn the_same_bytes_with_any_number_of_threads_and_from_every_run() {
    for (name, wasm) in components() {
        let compile = |threads| {
            let options = CompileOptions {
                threads: Some(threads),
                ..CompileOptions::default()
            };
            trampette::compile_component(&wasm, &options)
                .unwrap()
                .into_bytes()
        };
        let one = compile(1);
        assert!(
            one == compile(2),
            "{name}: two threads make other bytes than one"
        );
        assert!(one == compile(2), "{name}: two runs make different bytes");
    }
}

/// Runs a tool on a file; `None` if the machine does not have it.
fn tool(name: &str, arguments: &[&str], file: &Path) -> Option<String> {
    let output = match Command::new(name).args(arguments).arg(file).output() {
        Ok(output) => output,
        Err(_) => {
            eprintln!("notice: {name} is not installed; not tried");
            return None;
        }
    };
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name} failed: {errors}");
    let complaints: Vec<_> = errors
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect();
    assert!(complaints.is_empty(), "{name} complains: {complaints:?}");
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[test]
fn standard_tools_accept_the_artifact_and_show_its_symbols() {
    let folder = TempDir::new().unwrap();
    for (name, wasm) in components() {
        let path: PathBuf = folder.path().join(format!("{name}.elf"));
        let options = CompileOptions::default();
        trampette::compile_component(&wasm, &options)
            .unwrap()
            .write(&path)
            .unwrap();
        // Which functions are left, inlining decides.
        let symbol = "]::function[";
        if let Some(text) = tool("readelf", &["-a", "-W"], &path) {
            assert!(text.contains("DYN") && text.contains(symbol), "{name}");
            assert!(
                !text.contains("Warning") && !text.contains("rror:"),
                "{name}"
            );
        }
        if let Some(text) = tool("objdump", &["-d"], &path) {
            assert!(text.contains("<wasm[") && text.contains(symbol), "{name}");
        }
        if let Some(text) = tool("nm", &[], &path) {
            assert!(text.contains(symbol), "{name}");
        }
        if let Some(text) = tool("gdb", &["-batch", "-nx", "-ex", "info functions"], &path) {
            assert!(text.contains(symbol), "{name}");
        }
    }
}
