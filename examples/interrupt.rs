//! Stopping a guest that never returns, from another thread: `cargo run --example interrupt`.

use anyhow::{Context, Result, bail, ensure};
use std::time::{Duration, Instant};
use trampette_runtime::{Linker, Store, Trap, TrapCode};

const ENDLESS: &str = r#"
    (component
      (core module $m (func (export "spin") (loop $again (br $again))))
      (core instance $m (instantiate $m))
      (func (export "spin") (canon lift (core func $m "spin"))))
"#;

fn main() -> Result<()> {
    let wasm = wat::parse_str(ENDLESS)?;
    let artifact = trampette::compile_component(&wasm, &trampette::CompileOptions::default())?;
    let component = artifact.load()?;
    let mut store = Store::new(());
    let instance = Linker::new().instantiate(&mut store, &component)?;
    let spin = instance.get_typed_func::<(), ()>(&mut store, "spin")?;

    // The guest's code counts nothing and asks nobody: it costs nothing that it can be stopped.
    let handle = store.interrupt_handle()?;
    let watchdog = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(100));
        // Until there is a call to stop.
        while !handle.interrupt() {
            std::thread::sleep(Duration::from_millis(1));
        }
    });
    let start = Instant::now();
    let Err(error) = spin.call(&mut store, ()) else {
        bail!("an endless loop has ended");
    };
    println!("stopped after {:?}: {error}", start.elapsed());
    watchdog.join().expect("the watchdog does not panic");

    let trap = error.downcast_ref::<Trap>().context("it is a trap")?;
    ensure!(trap.kind() == TrapCode::Interrupt, "another trap: {trap}");
    Ok(())
}
