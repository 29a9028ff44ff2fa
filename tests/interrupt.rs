//! Stopping calls from other threads.

#[path = "support/clock.rs"]
mod clock;

use clock::{PROMPT, Watch};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use trampette_runtime::{Component, Linker, Store, Trap, TrapCode};

const GUEST: &str = r#"
(component
  (import "host" (func $host))
  (core func $host (canon lower (func $host)))
  (core module $m
    (import "" "host" (func $host))
    (memory 300)
    (func (export "spin") (loop $again (br $again)))
    (func $work (param i32) (i32.store (local.get 0) (i32.add (i32.load (local.get 0)) (i32.const 1))))
    (func (export "call") (loop $again (call $work (i32.const 8)) (br $again)))
    (func (export "wait") (loop $again (call $host) (br $again)))
    (func (export "fill")
      (loop $again (memory.fill (i32.const 0) (i32.const 1) (i32.const 4096)) (br $again)))
    (func (export "fills") (param i32)
      (loop $again (memory.fill (i32.const 0) (i32.const 1) (local.get 0)) (br $again)))
    (func (export "copies") (param i32)
      (loop $again (memory.copy (i32.const 0) (i32.const 131072) (local.get 0)) (br $again)))
    (func (export "table-fills") (param i32)
      (loop $again (table.fill $table (i32.const 0) (ref.null func) (local.get 0)) (br $again)))
    (func (export "long-fill")
      (loop $again (memory.fill (i32.const 65536) (i32.const 1) (i32.const 16777216)) (br $again)))
    (func (export "long-copy") (local i32)
      (loop $again
        (local.set 0 (i32.xor (local.get 0) (i32.const 1)))
        (memory.copy (i32.add (i32.const 65536) (local.get 0)) (i32.const 65537)
          (i32.add (i32.const 16777216) (local.get 0)))
        (br $again)))
    (table $table 1000000 funcref)
    (func (export "long-table-fill")
      (loop $again (table.fill $table (i32.const 0) (ref.null func) (i32.const 1000000)) (br $again)))
    (func (export "nop")))
  (core instance $i (instantiate $m (with "" (instance (export "host" (func $host))))))
  (func (export "spin") (canon lift (core func $i "spin")))
  (func (export "call") (canon lift (core func $i "call")))
  (func (export "wait") (canon lift (core func $i "wait")))
  (func (export "fill") (canon lift (core func $i "fill")))
  (func (export "fills") (param "length" u32) (canon lift (core func $i "fills")))
  (func (export "copies") (param "length" u32) (canon lift (core func $i "copies")))
  (func (export "table-fills") (param "length" u32) (canon lift (core func $i "table-fills")))
  (func (export "long-fill") (canon lift (core func $i "long-fill")))
  (func (export "long-copy") (canon lift (core func $i "long-copy")))
  (func (export "long-table-fill") (canon lift (core func $i "long-table-fill")))
  (func (export "nop") (canon lift (core func $i "nop"))))
"#;

fn component() -> Component {
    let wasm = wat::parse_str(GUEST).unwrap();
    let options = trampette::CompileOptions::default();
    let artifact = trampette::compile_component(&wasm, &options).unwrap();
    artifact.load().unwrap()
}

fn linker(host: impl Fn() + Send + Sync + 'static) -> Linker<()> {
    let mut linker = Linker::new();
    let host = move |_: trampette_runtime::Caller<'_, ()>, (): ()| {
        host();
        Ok(())
    };
    linker.root().func_wrap::<(), (), _>("host", host).unwrap();
    linker
}

#[test]
fn endless_calls_are_stopped_wherever_they_are() {
    let component = component();
    let linker = linker(|| std::thread::sleep(Duration::from_millis(2)));
    for name in ["spin", "call", "wait", "fill"] {
        let mut store = Store::new(());
        let instance = linker.instantiate(&mut store, &component).unwrap();
        let handle = store.interrupt_handle().unwrap();
        let function = instance.get_typed_func::<(), ()>(&mut store, name).unwrap();
        let moment = Instant::now() + Duration::from_millis(30);
        let watch = Watch::request(moment, move || handle.interrupt());
        let error = function.call(&mut store, ()).unwrap_err();
        let took = watch.stopped();
        assert!(took < PROMPT, "{name}: {took:?}");
        let trap = error.downcast_ref::<Trap>().unwrap();
        assert_eq!(trap.kind(), TrapCode::Interrupt, "{name}: {error}");
        // As after any trap.
        let error = function.call(&mut store, ()).unwrap_err();
        let trap = error.downcast_ref::<Trap>().unwrap();
        assert_eq!(trap.kind(), TrapCode::CannotEnter, "{name}");
    }
}

#[test]
fn long_copies_and_fills_are_stopped_in_the_middle() {
    let component = component();
    let linker = linker(|| {});
    for name in ["long-fill", "long-copy", "long-table-fill"] {
        for _ in 0..10 {
            let mut store = Store::new(());
            let instance = linker.instantiate(&mut store, &component).unwrap();
            let handle = store.interrupt_handle().unwrap();
            let function = instance.get_typed_func::<(), ()>(&mut store, name).unwrap();
            let moment = Instant::now() + Duration::from_millis(15);
            let watch = Watch::request(moment, move || handle.interrupt());
            let error = function.call(&mut store, ()).unwrap_err();
            let took = watch.stopped();
            let trap = error.downcast_ref::<Trap>().unwrap();
            assert_eq!(trap.kind(), TrapCode::Interrupt, "{name}: {error}");
            // Else it takes until a signal meets one of the few guest instructions.
            assert!(took < PROMPT, "{name}: {took:?}");
        }
    }
}

/// Hardly a signal meets the few instructions of such a loop, whatever a service takes.
#[test]
fn loops_of_services_of_every_length_are_stopped() {
    let component = component();
    let linker = linker(|| {});
    for name in ["fills", "copies", "table-fills"] {
        for length in [0u32, 1, 100, 1 << 10, 4000, 4 << 10, 5000, 60_000] {
            for _ in 0..4 {
                let mut store = Store::new(());
                let instance = linker.instantiate(&mut store, &component).unwrap();
                let handle = store.interrupt_handle().unwrap();
                let function = instance.get_typed_func::<(u32,), ()>(&mut store, name);
                let function = function.unwrap();
                let moment = Instant::now() + Duration::from_millis(5);
                let watch = Watch::request(moment, move || handle.interrupt());
                let error = function.call(&mut store, (length,)).unwrap_err();
                let took = watch.stopped();
                let trap = error.downcast_ref::<Trap>().unwrap();
                assert_eq!(trap.kind(), TrapCode::Interrupt, "{name}: {error}");
                assert!(took < PROMPT, "{name} of {length}: {took:?}");
            }
        }
    }
}

#[test]
fn only_the_call_that_runs_is_stopped() {
    let component = component();
    let linker = linker(|| {});
    let mut store = Store::new(());
    let handle = store.interrupt_handle().unwrap();
    let instance = linker.instantiate(&mut store, &component).unwrap();
    assert!(!handle.interrupt(), "nothing runs");
    let nop = instance
        .get_typed_func::<(), ()>(&mut store, "nop")
        .unwrap();
    nop.call(&mut store, ()).unwrap();
    assert!(!handle.interrupt(), "it has returned");
    nop.call(&mut store, ()).unwrap();

    // Another store on the same thread is not concerned.
    let mut other = Store::new(());
    let instance = linker.instantiate(&mut other, &component).unwrap();
    let spin = instance
        .get_typed_func::<(), ()>(&mut other, "spin")
        .unwrap();
    let other_handle = other.interrupt_handle().unwrap();
    std::thread::spawn(move || {
        for _ in 0..20 {
            assert!(!handle.interrupt());
            std::thread::sleep(Duration::from_millis(1));
        }
        while !other_handle.interrupt() {}
    });
    let started = Instant::now();
    spin.call(&mut other, ()).unwrap_err();
    assert!(started.elapsed() >= Duration::from_millis(15));
    nop.call(&mut store, ()).unwrap();
}

#[test]
fn storms_of_interrupts_leave_the_host_as_it_was() {
    static CALLS: AtomicU32 = AtomicU32::new(0);
    let component = component();
    let linker = linker(|| {
        CALLS.fetch_add(1, Ordering::Relaxed);
    });
    for round in 0..60 {
        let mut store = Store::new(());
        let handle = store.interrupt_handle().unwrap();
        let instance = linker.instantiate(&mut store, &component).unwrap();
        let name = ["wait", "call", "spin"][round % 3];
        let function = instance.get_typed_func::<(), ()>(&mut store, name).unwrap();
        let stopper = std::thread::spawn(move || while !handle.interrupt() {});
        let error = function.call(&mut store, ()).unwrap_err();
        let trap = error.downcast_ref::<Trap>().unwrap();
        assert_eq!(trap.kind(), TrapCode::Interrupt, "{name}: {error}");
        stopper.join().unwrap();
    }
    assert!(CALLS.load(Ordering::Relaxed) > 0);
}
