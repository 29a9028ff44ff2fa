//! A host that runs a WASI command, and decides what it sees of the system:
//! `cargo run --example wasi_command`.

use anyhow::{Result, ensure};
use trampette_runtime::{Linker, Store};
use trampette_wasi::{Exit, WasiCtx, WasiCtxBuilder, WasiView};

/// What the host keeps for each store: its own state beside what WASI needs.
struct Host {
    wasi: WasiCtx,
    runs: u32,
}

impl WasiView for Host {
    fn wasi(&mut self) -> &mut WasiCtx {
        &mut self.wasi
    }
}

fn main() -> Result<()> {
    let wasm = wat::parse_file("examples/hello.wat")?;
    let artifact = trampette::compile_component(&wasm, &trampette::CompileOptions::default())?;
    let component = artifact.load()?;

    let mut linker = Linker::<Host>::new();
    trampette_wasi::add_to_linker(&mut linker)?;

    // Without a word about them, a guest has no arguments, environment, files or streams.
    let wasi = WasiCtxBuilder::new()
        .inherit_stdio()
        .arg("hello")
        .env("LANG", "C")
        .build();
    let mut store = Store::new(Host { wasi, runs: 0 });
    let instance = linker.instantiate(&mut store, &component)?;
    let path = ["wasi:cli/run@0.2.0", "run"];
    let run = instance.get_typed_func::<(), Result<(), ()>>(&mut store, path)?;
    store.data_mut().runs += 1;
    let status = match run.call(&mut store, ()) {
        Ok(outcome) => u8::from(outcome.is_err()),
        // A guest that calls `exit` does not return.
        Err(error) => match error.downcast_ref::<Exit>() {
            Some(Exit(status)) => *status,
            None => return Err(error),
        },
    };

    println!("run {} ended with status {status}", store.data().runs);
    ensure!(status == 0, "the guest failed");
    Ok(())
}
