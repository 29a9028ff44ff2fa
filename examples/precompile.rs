//! Compiling once and running many times, as a fleet of hosts would: the file is compiled to an
//! artifact, and each "machine" only loads it. `cargo run --example precompile`.

use anyhow::Result;
use std::path::Path;
use std::time::Instant;
use trampette_runtime::{Component, Linker, Store};

fn main() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("answer.elf");
    let start = Instant::now();
    precompile(Path::new("examples/answer.wat"), &path)?;
    println!("compiled in {:?}", start.elapsed());

    // What follows needs `trampette-runtime` only: no compiler.
    let start = Instant::now();
    // SAFETY: the compiler wrote it, and nobody else can write to the folder.
    let component = unsafe { Component::from_file(&path) }?;
    let pre = Linker::<()>::new().instantiate_pre(&component)?;
    println!("loaded in {:?}", start.elapsed());
    for machine in 0..3u32 {
        let start = Instant::now();
        let mut store = Store::new(());
        let instance = pre.instantiate(&mut store)?;
        let sum = instance.get_typed_func::<(Vec<u32>,), u64>(&mut store, "sum")?;
        let answer = sum.call(&mut store, (vec![1, 2, 39, machine],))?;
        println!(
            "instance {machine} says {answer} after {:?}",
            start.elapsed()
        );
        assert_eq!(answer, 42 + u64::from(machine));
    }
    Ok(())
}

fn precompile(source: &Path, artifact: &Path) -> Result<()> {
    let wasm = wat::parse_file(source)?;
    let options = trampette::CompileOptions::default();
    trampette::compile_component(&wasm, &options)?.write(artifact)
}
