//! `gdb` and `perf` on a host that runs a guest from its artifact: they show the guest's functions,
//! and with debug information its source lines, with no extra steps. Where a tool is missing or may
//! not trace, the test says so; what they rely on is tested all the same.

#[path = "support/dwarf.rs"]
mod dwarf;

use anyhow::{Context, Result, ensure};
use object::{Object, ObjectSection};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;
use trampette::options::{DebugInfo, Inline};
use trampette::{CompileOptions, compile_component};
use trampette_artifact::crc::{FILE_CRC, crc32};
use trampette_runtime::Component;

/// `run` calls `spin_outer`, which calls `spin_inner`, which runs for a while.
const GUEST: &str = r#"(module $guest
  (func $spin_inner (param $n i32) (result i32) (local $sum i32)
    (loop $again
      (local.set $sum (i32.add (i32.mul (local.get $sum) (i32.const 31)) (local.get $n)))
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (local.get $sum))
  (func $spin_outer (param i32) (result i32) (i32.add (call $spin_inner (local.get 0)) (i32.const 1)))
  (func (export "run") (param i32) (result i32) (call $spin_outer (local.get 0))))"#;

fn component() -> Vec<u8> {
    let around = r#"
        (core instance $i (instantiate $guest))
        (func (export "run") (param "n" u32) (result u32) (canon lift (core func $i "run"))))"#;
    let module = GUEST.replacen("(module", "(core module", 1);
    wat::parse_str(format!("(component {module} {around}")).unwrap()
}

fn artifact(folder: &TempDir, wasm: &[u8], debug_info: DebugInfo) -> PathBuf {
    let options = CompileOptions {
        inline: Inline::Never,
        debug_info,
        ..CompileOptions::default()
    };
    let path = folder.path().join("guest.elf");
    let artifact = compile_component(wasm, &options).unwrap();
    artifact.write(&path).unwrap();
    path
}

/// Runs a tool; `None`, with a notice, if the machine does not have it.
fn tool(command: &mut Command) -> Option<Output> {
    match command.output() {
        Ok(output) => Some(output),
        Err(_) => {
            eprintln!("notice: {command:?}: not installed; not tried");
            None
        }
    }
}

/// What gdb prints when it runs an export of the artifact with these commands; `None` if it is not
/// there or may not trace.
fn gdb(artifact: &Path, call: &str, commands: &[&str]) -> Option<String> {
    let mut gdb = Command::new("gdb");
    gdb.args(["-nx", "-batch", "-ex", "set breakpoint pending on"]);
    gdb.args(["-ex", "set debuginfod enabled off", "-ex", "set width 0"]);
    for command in commands {
        gdb.args(["-ex", command]);
    }
    gdb.arg("--args").arg(env!("CARGO_BIN_EXE_trampette"));
    gdb.args(["run", "--precompiled", "--invoke", call])
        .arg(artifact);
    let output = tool(&mut gdb)?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    if errors.contains("ptrace") {
        eprintln!("notice: gdb may not trace here; not tried: {errors}");
        return None;
    }
    Some(text + &errors)
}

#[test]
fn gdb_stops_in_a_guest_function_and_names_its_callers() {
    let folder = TempDir::new().unwrap();
    let path = artifact(&folder, &component(), DebugInfo::None);
    let stop = "break 'wasm[0]::function[0]::spin_inner'";
    let Some(text) = gdb(&path, "run(10)", &[stop, "run", "bt", "continue"]) else {
        return;
    };
    let frames = ["spin_inner", "spin_outer", "wasm[0]::function[2]"];
    let places = frames.map(|name| {
        let frame = text
            .lines()
            .find(|line| line.starts_with('#') && line.contains(name));
        frame
            .unwrap_or_else(|| panic!("no frame of {name}: {text}"))
            .to_string()
    });
    assert!(places.is_sorted(), "{places:?}");
    // The frames of the host are found behind those of the guest.
    assert!(text.contains("main"), "{text}");
    assert!(text.contains("exited normally"), "{text}");
}

#[test]
fn gdb_shows_offsets_as_lines_where_the_guest_has_no_lines() {
    let folder = TempDir::new().unwrap();
    let path = artifact(&folder, &component(), DebugInfo::Lines);
    let commands = [
        "break spin_inner",
        "run",
        "bt",
        "info line spin_inner",
        "delete",
        "continue",
    ];
    let Some(text) = gdb(&path, "run(10)", &commands) else {
        return;
    };
    assert!(text.contains("spin_inner () at guest.wasm:"), "{text}");
    assert!(text.contains("spin_outer () at guest.wasm:"), "{text}");
    assert!(text.contains("of \"guest.wasm\""), "{text}");
    assert!(text.contains("exited normally"), "{text}");
}

#[test]
fn gdb_shows_source_lines_of_a_guest_that_has_them() -> Result<()> {
    let module = r#"(module $demo
        (func $fail (param i32) (result i32) (i32.div_u (i32.const 1) (local.get 0)))
        (func (export "run") (drop (call $fail (i32.const 1)))))"#;
    let wasm = dwarf::component_of(module, |middle| dwarf::dwarf(middle, 1000))?;
    let folder = TempDir::new()?;
    let path = artifact(&folder, &wasm, DebugInfo::Lines);
    let commands = [
        "break fail",
        "run",
        "bt",
        "info line fail",
        "break demo.c:9",
        "continue",
    ];
    let Some(text) = gdb(&path, "run()", &commands) else {
        return Ok(());
    };
    assert!(text.contains("fail () at demo.c:7"), "{text}");
    assert!(text.contains("at demo.c:9"), "{text}");
    assert!(text.contains("Line 7 of \"demo.c\""), "{text}");
    assert!(text.contains("Breakpoint 2 at"), "{text}");
    assert!(text.contains("exited normally"), "{text}");
    Ok(())
}

/// What a profiler does: it notes where files are mapped, and looks up addresses in their symbols.
#[test]
fn the_file_itself_is_mapped_where_its_symbols_say() -> Result<()> {
    let folder = TempDir::new()?;
    let path = artifact(&folder, &component(), DebugInfo::Lines);
    let bytes = std::fs::read(&path)?;
    assert_eq!(crc32(&bytes), FILE_CRC, "the debug link");
    // SAFETY: written above.
    let component = unsafe { Component::from_file(&path) }?;
    let maps = std::fs::read_to_string("/proc/self/maps")?;
    let code = maps
        .lines()
        .find(|line| line.ends_with(path.to_str().unwrap_or_default()) && line.contains(" r-xp "));
    let mut fields = code.with_context(|| maps.clone())?.split_whitespace();
    let (start, _) = fields
        .next()
        .and_then(|range| range.split_once('-'))
        .context("a range")?;
    let start = usize::from_str_radix(start, 16)?;
    let offset = usize::from_str_radix(fields.nth(1).context("an offset")?, 16)?;
    let file = object::File::parse(&bytes[..])?;
    let text = file.section_by_name(".text").context("code")?;
    let (text_offset, _) = text.file_range().context("contents")?;
    assert_eq!(
        start - offset + text_offset as usize,
        component.text_range().start
    );
    assert_eq!(text.address(), text_offset);
    Ok(())
}

#[test]
fn perf_names_guest_functions_and_lines() -> Result<()> {
    let folder = TempDir::new()?;
    let path = artifact(&folder, &component(), DebugInfo::Lines);
    let data = folder.path().join("perf.data");
    let mut record = Command::new("perf");
    record
        .args(["record", "-e", "cpu-clock:u", "-o"])
        .arg(&data)
        .arg("--");
    record.arg(env!("CARGO_BIN_EXE_trampette"));
    record
        .args(["run", "--precompiled", "--invoke", "run(300000000)"])
        .arg(&path);
    let Some(output) = tool(&mut record) else {
        return Ok(());
    };
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    if !output.status.success() {
        eprintln!("notice: perf cannot record here; not tried: {errors}");
        return Ok(());
    }
    let report = |arguments: &[&str]| -> Result<String> {
        let mut report = Command::new("perf");
        report
            .args(["report", "--stdio", "-i"])
            .arg(&data)
            .args(arguments);
        let output = report.output()?;
        ensure!(output.status.success(), "perf report fails");
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let names = report(&[])?;
    let hottest = names
        .lines()
        .find(|line| line.contains('%'))
        .unwrap_or_default();
    ensure!(
        hottest.contains("guest.elf") && hottest.contains("spin_inner"),
        "{names}"
    );
    let lines = report(&["--sort", "srcline"])?;
    ensure!(lines.contains("guest.wasm:"), "{lines}");
    Ok(())
}
