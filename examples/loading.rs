//! What loading an artifact costs, in time and memory, by mapping its file and by copying its
//! bytes: `cargo run --release --example loading -- app.elf`. Without an artifact it makes one.

use anyhow::{Context, Result};
use std::path::PathBuf;
use std::time::Instant;
use trampette_runtime::{Component, LoadError};

fn main() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let path = match std::env::args_os().nth(1) {
        Some(path) => PathBuf::from(path),
        None => {
            let path = folder.path().join("answer.elf");
            let wasm = wat::parse_file("examples/answer.wat")?;
            let options = trampette::CompileOptions::default();
            trampette::compile_component(&wasm, &options)?.write(&path)?;
            path
        }
    };
    let bytes = std::fs::metadata(&path)?.len();
    println!("{bytes} bytes in {}", path.display());
    // SAFETY: whoever runs this trusts the artifact, and leaves the file alone meanwhile.
    measure("mapped", || unsafe { Component::from_file(&path) })?;
    let bytes = std::fs::read(&path)?;
    // SAFETY: as above.
    measure("copied", || unsafe { Component::from_bytes(&bytes) })
}

/// Loads once, and then for a while.
fn measure(how: &str, load: impl Fn() -> Result<Component, LoadError>) -> Result<()> {
    const TIMES: u32 = 20;
    let before = resident()?;
    let first = Instant::now();
    let component = load()?;
    let (first, after) = (first.elapsed(), resident()?);
    let start = Instant::now();
    for _ in 0..TIMES {
        load()?;
    }
    let again = start.elapsed() / TIMES;
    let kilobytes = after.saturating_sub(before) / 1024;
    println!("{how}: first {first:?}, then {again:?}, {kilobytes} KiB resident");
    drop(component);
    Ok(())
}

/// Bytes of this process that are resident.
fn resident() -> Result<u64> {
    let text = std::fs::read_to_string("/proc/self/statm")?;
    let pages: u64 = text.split(' ').nth(1).context("a second number")?.parse()?;
    Ok(pages * 4096)
}
