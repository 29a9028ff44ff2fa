//! A host that compiles a component, offers it an import and calls its export:
//! `cargo run --example embed`.

use anyhow::Result;
use trampette_runtime::{Linker, Store};

/// What the host keeps for each store.
struct Host {
    log: Vec<String>,
}

fn main() -> Result<()> {
    let wasm = wat::parse_file("examples/greeter.wat")?;
    let artifact = trampette::compile_component(&wasm, &trampette::CompileOptions::default())?;
    let component = artifact.load()?;

    let mut linker = Linker::<Host>::new();
    // The message borrows the guest's memory while the function runs.
    linker
        .root()
        .func_wrap::<(String,), (), _>("log", |mut caller, (message,)| {
            caller.data_mut().log.push(message.to_string());
            Ok(())
        })?;

    let mut store = Store::new(Host { log: Vec::new() });
    let instance = linker.instantiate(&mut store, &component)?;
    let greet = instance.get_typed_func::<(String,), String>(&mut store, "greet")?;
    let greeting = greet.call(&mut store, ("Ada".to_string(),))?;

    println!("{greeting}");
    assert_eq!(greeting, "Hello, Ada!");
    assert_eq!(store.data().log, ["Ada"]);
    Ok(())
}
