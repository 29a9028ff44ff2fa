//! Tasks, seen from the host: what a call of an `async` function leaves behind however it ends, how
//! it is stopped, and what many and deep ones take.

#[path = "support/clock.rs"]
mod clock;
#[path = "support/stops.rs"]
mod stops;

use clock::PROMPT;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use stops::WAYS;
use trampette::CompileOptions;
use trampette::options::{Blocking, Proposals};
use trampette_runtime::{
    Caller, Component, Instance, Linker, Store, StoreLimits, Trap, TrapCode, TypedFunc,
};

fn component(text: &str) -> Component {
    component_with(text, Blocking::Found)
}

fn component_with(text: &str, blocking: Blocking) -> Component {
    let wasm = wat::parse_str(text).unwrap();
    let options = CompileOptions {
        blocking,
        proposals: Proposals::all(),
        ..CompileOptions::default()
    };
    let artifact = trampette::compile_component(&wasm, &options).unwrap();
    artifact.load().unwrap()
}

fn code(error: &anyhow::Error) -> TrapCode {
    let trap = error.downcast_ref::<Trap>();
    trap.unwrap_or_else(|| panic!("{error:?}")).kind()
}

/// An instance with the function `name`.
fn function(
    linker: &Linker<u32>,
    store: &mut Store<u32>,
    component: &Component,
    name: &str,
) -> (Instance, TypedFunc<(), ()>) {
    let instance = linker.instantiate(&mut *store, component).unwrap();
    let function = instance.get_typed_func(store, name).unwrap();
    (instance, function)
}

/// Tasks that never end, each in its way.
const ENDLESS: &str = r#"
(component
  (component $A
    (core module $m
      (import "" "set-new" (func $set-new (result i32)))
      (import "" "wait" (func $wait (param i32 i32) (result i32)))
      (import "" "yield" (func $yield (result i32)))
      (memory (export "memory") 1)
      (func (export "stack-yields") (loop $again (drop (call $yield)) (br $again)))
      (func (export "stack-waits") (drop (call $wait (call $set-new) (i32.const 0))))
      (func (export "callback-yields") (result i32) (i32.const 1))
      (func (export "callback-waits") (result i32)
        (i32.or (i32.const 2) (i32.shl (call $set-new) (i32.const 4))))
      (func (export "callback") (param i32 i32 i32) (result i32) (i32.const 1))
      (func (export "spins") (loop $again (br $again))))
    (core module $memory (memory (export "memory") 1))
    (core instance $memory (instantiate $memory))
    (core func $set-new (canon waitable-set.new))
    (core func $wait (canon waitable-set.wait (memory (core memory $memory "memory"))))
    (core func $yield (canon thread.yield))
    (core instance $i (instantiate $m (with "" (instance
      (export "set-new" (func $set-new))
      (export "wait" (func $wait))
      (export "yield" (func $yield))))))
    (func (export "stack-yields") async (canon lift (core func $i "stack-yields") async))
    (func (export "stack-waits") async (canon lift (core func $i "stack-waits") async))
    (func (export "callback-yields") async
      (canon lift (core func $i "callback-yields") async (callback (core func $i "callback"))))
    (func (export "callback-waits") async
      (canon lift (core func $i "callback-waits") async (callback (core func $i "callback"))))
    (func (export "sync-waits") async (canon lift (core func $i "stack-waits")))
    (func (export "sync-yields") async (canon lift (core func $i "stack-yields")))
    (func (export "in-place") (canon lift (core func $i "stack-yields")))
    (func (export "spins") async (canon lift (core func $i "spins") async)))
  (component $B
    (import "callee" (func $callee async))
    (import "other" (func $other async))
    (core func $callee (canon lower (func $callee)))
    (core func $goes-on (canon lower (func $callee) async))
    (core func $other (canon lower (func $other) async))
    (core func $yield (canon thread.yield))
    (core module $m
      (import "" "callee" (func $callee))
      (import "" "goes-on" (func $goes-on (result i32)))
      (import "" "other" (func $other (result i32)))
      (import "" "yield" (func $yield (result i32)))
      (func (export "calls") (call $callee))
      (func (export "starts-two")
        (drop (call $goes-on)) (drop (call $other)) (drop (call $goes-on))
        (loop $again (drop (call $yield)) (br $again)))
      (func (export "starts-and-calls")
        (drop (call $goes-on)) (call $callee)))
    (core instance $i (instantiate $m (with "" (instance
      (export "callee" (func $callee))
      (export "goes-on" (func $goes-on))
      (export "other" (func $other))
      (export "yield" (func $yield))))))
    (func (export "calls") async (canon lift (core func $i "calls")))
    (func (export "starts-two") async (canon lift (core func $i "starts-two") async))
    (func (export "in-place-two") (canon lift (core func $i "starts-two")))
    (func (export "starts-and-calls") async (canon lift (core func $i "starts-and-calls") async)))
  (instance $a (instantiate $A))
  (instance $yields (instantiate $B
    (with "callee" (func $a "callback-yields")) (with "other" (func $a "stack-yields"))))
  (instance $spins (instantiate $B
    (with "callee" (func $a "spins")) (with "other" (func $a "spins"))))
  (instance $waits (instantiate $B
    (with "callee" (func $a "callback-waits")) (with "other" (func $a "stack-waits"))))
  (func (export "stack-yields") (alias export $a "stack-yields"))
  (func (export "stack-waits") (alias export $a "stack-waits"))
  (func (export "callback-yields") (alias export $a "callback-yields"))
  (func (export "callback-waits") (alias export $a "callback-waits"))
  (func (export "sync-waits") (alias export $a "sync-waits"))
  (func (export "sync-yields") (alias export $a "sync-yields"))
  (func (export "in-place") (alias export $a "in-place"))
  (func (export "spins") (alias export $a "spins"))
  (func (export "calls-yields") (alias export $yields "calls"))
  (func (export "two-yield") (alias export $yields "starts-two"))
  (func (export "in-place-two") (alias export $yields "in-place-two"))
  (func (export "started-and-called-yield") (alias export $yields "starts-and-calls"))
  (func (export "calls-spins") (alias export $spins "calls"))
  (func (export "calls-waits") (alias export $waits "calls"))
  (func (export "started-and-called-wait") (alias export $waits "starts-and-calls")))
"#;

#[test]
fn tasks_that_work_for_ever_are_stopped() {
    let component = component(ENDLESS);
    let linker = Linker::<u32>::new();
    for name in [
        "stack-yields",
        "callback-yields",
        "sync-yields",
        "in-place",
        "spins",
        "calls-yields",
        "two-yield",
        "in-place-two",
        "started-and-called-yield",
        "calls-spins",
    ] {
        for by in WAYS {
            let mut store = Store::new(0);
            let (_, function) = function(&linker, &mut store, &component, name);
            let watch = by.stop(&mut store, Duration::from_millis(30));
            let error = function.call(&mut store, ()).unwrap_err();
            let took = watch.stopped();
            println!("{name}, {by:?}: {took:?}");
            assert_eq!(code(&error), by.code(), "{name}, {by:?}: {error:?}");
            assert!(took < PROMPT, "{name}, {by:?}: {took:?}");
            // As after any trap.
            store.set_deadline(None).unwrap();
            let error = function.call(&mut store, ()).unwrap_err();
            assert_eq!(code(&error), TrapCode::CannotEnter, "{name}, {by:?}");
        }
    }
}

#[test]
fn tasks_that_wait_for_ever_are_deadlocks() {
    let component = component(ENDLESS);
    let linker = Linker::<u32>::new();
    for name in [
        "stack-waits",
        "callback-waits",
        "sync-waits",
        "calls-waits",
        "started-and-called-wait",
    ] {
        let mut store = Store::new(0);
        let (_, function) = function(&linker, &mut store, &component, name);
        for _ in 0..3 {
            let error = function.call(&mut store, ()).unwrap_err();
            assert_eq!(code(&error), TrapCode::Deadlock, "{name}: {error:?}");
        }
    }
}

/// `B` calls functions of `A` and goes on.
const MANY: &str = r#"
(component
  (import "host" (func $host))
  (component $A
    (import "host" (func $host))
    (core func $host (canon lower (func $host)))
    (core func $set-new (canon waitable-set.new))
    (core func $return (canon task.return))
    (core func $cancel (canon task.cancel))
    (core module $memory (memory (export "memory") 1))
    (core instance $memory (instantiate $memory))
    (core func $wait (canon waitable-set.wait (memory (core memory $memory "memory"))))
    (core module $m
      (import "" "host" (func $host))
      (import "" "set-new" (func $set-new (result i32)))
      (import "" "return" (func $return))
      (import "" "cancel" (func $cancel))
      (import "" "wait" (func $wait (param i32 i32) (result i32)))
      (global $set (mut i32) (i32.const 0))
      (global $open (mut i32) (i32.const 0))
      (func $set (result i32)
        (if (i32.eqz (global.get $set)) (then (global.set $set (call $set-new))))
        (global.get $set))
      (func (export "parks") (result i32)
        (i32.or (i32.const 2) (i32.shl (call $set) (i32.const 4))))
      (func (export "blocks") (drop (call $wait (call $set) (i32.const 0))))
      (func (export "open") (global.set $open (i32.const 1)))
      (func (export "yields") (result i32) (i32.const 1))
      (func (export "callback") (param $event i32) (param i32 i32) (result i32)
        (if (i32.eq (local.get $event) (i32.const 6)) (then (call $cancel) (return (i32.const 0))))
        (if (result i32) (global.get $open)
          (then (call $return) (i32.const 0))
          (else (i32.const 1))))
      (func (export "traps") unreachable)
      (func (export "calls-host") (call $host)))
    (core instance $i (instantiate $m (with "" (instance
      (export "host" (func $host))
      (export "set-new" (func $set-new))
      (export "return" (func $return))
      (export "cancel" (func $cancel))
      (export "wait" (func $wait))))))
    (func (export "parks") async
      (canon lift (core func $i "parks") async (callback (core func $i "callback"))))
    (func (export "yields") async
      (canon lift (core func $i "yields") async (callback (core func $i "callback"))))
    (func (export "blocks") async (canon lift (core func $i "blocks") async))
    (func (export "open") async (canon lift (core func $i "open")))
    (func (export "traps") async (canon lift (core func $i "traps")))
    (func (export "calls-host") async (canon lift (core func $i "calls-host"))))
  (component $B
    (import "parks" (func $parks async))
    (import "yields" (func $yields async))
    (import "blocks" (func $blocks async))
    (import "open" (func $open async))
    (import "traps" (func $traps async))
    (import "calls-host" (func $calls-host async))
    (core func $parks (canon lower (func $parks) async))
    (core func $yields (canon lower (func $yields) async))
    (core func $blocks (canon lower (func $blocks) async))
    (core func $open (canon lower (func $open)))
    (core func $traps (canon lower (func $traps)))
    (core func $calls-host (canon lower (func $calls-host)))
    (core func $cancel (canon subtask.cancel))
    (core func $drop (canon subtask.drop))
    (core func $yield (canon thread.yield))
    (core module $m
      (import "" "parks" (func $parks (result i32)))
      (import "" "yields" (func $yields (result i32)))
      (import "" "blocks" (func $blocks (result i32)))
      (import "" "open" (func $open))
      (import "" "traps" (func $traps))
      (import "" "calls-host" (func $calls-host))
      (import "" "cancel" (func $cancel (param i32) (result i32)))
      (import "" "drop" (func $drop (param i32)))
      (import "" "yield" (func $yield (result i32)))
      (func (export "parks") (param $n i32)
        (loop $again
          (drop (call $parks))
          (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1))))))
      (func (export "yields") (param $n i32)
        (loop $again
          (drop (call $yields))
          (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1))))))
      (func (export "blocks") (param $n i32)
        (loop $again
          (drop (call $blocks))
          (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1))))))
      (func (export "cancels") (param $n i32) (local $subtask i32)
        (loop $again
          (local.set $subtask (i32.shr_u (call $parks) (i32.const 4)))
          (if (i32.ne (call $cancel (local.get $subtask)) (i32.const 4)) (then unreachable))
          (call $drop (local.get $subtask))
          (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1))))))
      (func (export "opens") (param i32) (call $open))
      (func (export "traps") (param i32)
        (drop (call $parks)) (drop (call $blocks)) (call $traps))
      (func (export "calls-host") (param i32)
        (drop (call $parks)) (drop (call $blocks)) (call $calls-host))
      (func (export "yields-often") (param $n i32)
        (loop $again
          (drop (call $yield))
          (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))))
    (core instance $i (instantiate $m (with "" (instance
      (export "parks" (func $parks))
      (export "yields" (func $yields))
      (export "blocks" (func $blocks))
      (export "open" (func $open))
      (export "traps" (func $traps))
      (export "calls-host" (func $calls-host))
      (export "cancel" (func $cancel))
      (export "drop" (func $drop))
      (export "yield" (func $yield))))))
    (func (export "parks") async (param "n" u32) (canon lift (core func $i "parks")))
    (func (export "yields") async (param "n" u32) (canon lift (core func $i "yields")))
    (func (export "blocks") async (param "n" u32) (canon lift (core func $i "blocks")))
    (func (export "cancels") async (param "n" u32) (canon lift (core func $i "cancels")))
    (func (export "opens") async (param "n" u32) (canon lift (core func $i "opens")))
    (func (export "traps") async (param "n" u32) (canon lift (core func $i "traps")))
    (func (export "calls-host") async (param "n" u32) (canon lift (core func $i "calls-host")))
    (func (export "yields-often") async (param "n" u32) (canon lift (core func $i "yields-often"))))
  (instance $a (instantiate $A (with "host" (func $host))))
  (instance $b (instantiate $B
    (with "parks" (func $a "parks")) (with "yields" (func $a "yields"))
    (with "blocks" (func $a "blocks")) (with "open" (func $a "open"))
    (with "traps" (func $a "traps")) (with "calls-host" (func $a "calls-host"))))
  (func (export "parks") (alias export $b "parks"))
  (func (export "yields") (alias export $b "yields"))
  (func (export "blocks") (alias export $b "blocks"))
  (func (export "cancels") (alias export $b "cancels"))
  (func (export "opens") (alias export $b "opens"))
  (func (export "traps") (alias export $b "traps"))
  (func (export "calls-host") (alias export $b "calls-host"))
  (func (export "yields-often") (alias export $b "yields-often")))
"#;

/// Calls a function of [`MANY`].
fn call(store: &mut Store<u32>, instance: &Instance, name: &str, n: u32) -> anyhow::Result<()> {
    let function = instance.get_typed_func::<(u32,), ()>(&mut *store, name)?;
    function.call(store, (n,))
}

fn limited(limits: StoreLimits) -> Store<u32> {
    let mut store = Store::new(0);
    store.set_limits(limits);
    store
}

fn host(
    call: impl Fn(Caller<'_, u32>) -> anyhow::Result<()> + Send + Sync + 'static,
) -> Linker<u32> {
    let mut linker = Linker::new();
    let host = move |caller: Caller<'_, u32>, (): ()| call(caller);
    linker.root().func_wrap::<(), (), _>("host", host).unwrap();
    linker
}

/// Held by tests that take much memory, or measure it.
static MEMORY: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    MEMORY.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Bytes of memory that this process has.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/statm").unwrap();
    status.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4096
}

#[test]
fn a_hundred_thousand_callbacks_are_parked() {
    let _alone = alone();
    const TASKS: u32 = 100_000;
    let component = component(MANY);
    let linker = host(|_| Ok(()));
    for name in ["parks", "yields"] {
        let mut store = Store::new(0);
        let instance = linker.instantiate(&mut store, &component).unwrap();
        call(&mut store, &instance, name, 100).unwrap();
        let (memory, time) = (resident(), clock::thread_time());
        call(&mut store, &instance, name, TASKS).unwrap();
        let bytes = resident().saturating_sub(memory) / u64::from(TASKS);
        let time = (clock::thread_time() - time) / TASKS;
        println!("{name}: {bytes} bytes and {time:?} for each");
        assert!(bytes < 400 && time < Duration::from_micros(20));
        if name == "yields" {
            let time = clock::thread_time();
            call(&mut store, &instance, "opens", 0).unwrap();
            // All end, once each.
            call(&mut store, &instance, "yields-often", 2).unwrap();
            let time = (clock::thread_time() - time) / TASKS;
            println!("{name}: {time:?} to go on and end");
            assert!(time < Duration::from_micros(20));
        }
        let time = clock::thread_time();
        drop(store);
        let time = clock::thread_time() - time;
        println!("{name}: {time:?} to drop the store");
        assert!(time < Duration::from_millis(200));
    }
}

/// Callbacks that wait for one set, which gets as many events while another task has the lock.
const EVENTS: &str = r#"
(component
  (component $A
    (type $s (stream u8))
    (core module $memory (memory (export "memory") 4))
    (core instance $memory (instantiate $memory))
    (core func $new (canon stream.new $s))
    (core func $read (canon stream.read $s async (memory (core memory $memory "memory"))))
    (core func $write (canon stream.write $s async (memory (core memory $memory "memory"))))
    (core func $set-new (canon waitable-set.new))
    (core func $join (canon waitable.join))
    (core func $return (canon task.return))
    (core module $m
      (import "" "memory" (memory 4))
      (import "" "new" (func $new (result i64)))
      (import "" "read" (func $read (param i32 i32 i32) (result i32)))
      (import "" "write" (func $write (param i32 i32 i32) (result i32)))
      (import "" "set-new" (func $set-new (result i32)))
      (import "" "join" (func $join (param i32 i32)))
      (import "" "return" (func $return))
      (global $set (mut i32) (i32.const 0))
      (func (export "parks") (result i32)
        (if (i32.eqz (global.get $set)) (then (global.set $set (call $set-new))))
        (i32.or (i32.const 2) (i32.shl (global.get $set) (i32.const 4))))
      (func (export "callback") (param i32 i32 i32) (result i32) (call $return) (i32.const 0))
      (func (export "events") (param $n i32) (local $i i32) (local $pair i64)
        (loop $next
          (local.set $pair (call $new))
          (i32.store offset=16 (i32.shl (local.get $i) (i32.const 2))
            (i32.wrap_i64 (i64.shr_u (local.get $pair) (i64.const 32))))
          (drop (call $read (i32.wrap_i64 (local.get $pair)) (i32.const 0) (i32.const 1)))
          (call $join (i32.wrap_i64 (local.get $pair)) (global.get $set))
          (br_if $next (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1)))
            (local.get $n))))
        (local.set $i (i32.const 0))
        (loop $next
          (drop (call $write (i32.load offset=16 (i32.shl (local.get $i) (i32.const 2)))
            (i32.const 0) (i32.const 1)))
          (br_if $next (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1)))
            (local.get $n))))))
    (core instance $i (instantiate $m (with "" (instance
      (export "memory" (memory $memory "memory"))
      (export "new" (func $new)) (export "read" (func $read)) (export "write" (func $write))
      (export "set-new" (func $set-new)) (export "join" (func $join))
      (export "return" (func $return))))))
    (func (export "parks") async
      (canon lift (core func $i "parks") async (callback (core func $i "callback"))))
    (func (export "events") async (param "n" u32) (canon lift (core func $i "events"))))
  (component $B
    (import "parks" (func $parks async))
    (core func $parks (canon lower (func $parks) async))
    (core func $yield (canon thread.yield))
    (core module $m
      (import "" "parks" (func $parks (result i32)))
      (import "" "yield" (func $yield (result i32)))
      (func (export "parks") (param $n i32)
        (loop $again
          (drop (call $parks))
          (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1))))))
      (func (export "yields") (param i32) (drop (call $yield)) (drop (call $yield))))
    (core instance $i (instantiate $m (with "" (instance
      (export "parks" (func $parks)) (export "yield" (func $yield))))))
    (func (export "parks") async (param "n" u32) (canon lift (core func $i "parks")))
    (func (export "yields") async (param "n" u32) (canon lift (core func $i "yields"))))
  (instance $a (instantiate $A))
  (instance $b (instantiate $B (with "parks" (func $a "parks"))))
  (func (export "parks") (alias export $b "parks"))
  (func (export "yields") (alias export $b "yields"))
  (func (export "events") (alias export $a "events")))
"#;

#[test]
fn events_of_a_set_that_many_wait_for_take_no_longer() {
    let _alone = alone();
    const TASKS: u32 = 40_000;
    let component = component(EVENTS);
    let mut store = Store::new(0);
    let instance = Linker::new().instantiate(&mut store, &component).unwrap();
    call(&mut store, &instance, "parks", TASKS).unwrap();
    let time = clock::thread_time();
    call(&mut store, &instance, "events", TASKS).unwrap();
    let time = (clock::thread_time() - time) / TASKS;
    println!("{time:?} for each event");
    assert!(time < Duration::from_micros(20));
    let time = clock::thread_time();
    call(&mut store, &instance, "yields", 0).unwrap();
    let time = (clock::thread_time() - time) / TASKS;
    println!("{time:?} for each callback");
    assert!(time < Duration::from_micros(20));
}

#[test]
fn stacks_are_limited() {
    let component = component(MANY);
    let linker = host(|_| Ok(()));
    let limits = StoreLimits::default().with_task_stacks(500);
    let mut store = limited(limits);
    let instance = linker.instantiate(&mut store, &component).unwrap();
    call(&mut store, &instance, "blocks", 400).unwrap();
    let error = call(&mut store, &instance, "blocks", 400).unwrap_err();
    assert_eq!(code(&error), TrapCode::TaskStackLimit, "{error:?}");
    assert!(format!("{error:?}").contains("500 stacks"), "{error:?}");
    // The trap has given all of them back.
    let instance = linker.instantiate(&mut store, &component).unwrap();
    call(&mut store, &instance, "blocks", 400).unwrap();
    drop(store);
    for _ in 0..20 {
        let mut store = limited(limits);
        let instance = linker.instantiate(&mut store, &component).unwrap();
        call(&mut store, &instance, "parks", 100).unwrap();
        call(&mut store, &instance, "yields", 100).unwrap();
        call(&mut store, &instance, "blocks", 400).unwrap();
    }
}

#[test]
fn what_calls_leave_behind_is_given_back() {
    let _alone = alone();
    let component = component(MANY);
    let linker = host(|caller| match caller.data() {
        0 => Err(anyhow::anyhow!("the host fails")),
        _ => std::panic::resume_unwind(Box::new("the host panics")),
    });
    // What is not given back reaches a limit.
    let limits = StoreLimits::default().with_task_stacks(10).with_tasks(50);
    let mut store = limited(limits);
    let mut memory = 0;
    for round in 0..300 {
        let instance = linker.instantiate(&mut store, &component).unwrap();
        call(&mut store, &instance, "cancels", 400).unwrap();
        call(&mut store, &instance, "parks", 5).unwrap();
        call(&mut store, &instance, "blocks", 5).unwrap();
        match round % 3 {
            0 => {
                let error = call(&mut store, &instance, "traps", 0).unwrap_err();
                assert_eq!(code(&error), TrapCode::Unreachable, "{error:?}");
            }
            1 => {
                *store.data_mut() = 0;
                let error = call(&mut store, &instance, "calls-host", 0).unwrap_err();
                assert!(format!("{error:?}").contains("the host fails"), "{error:?}");
            }
            _ => {
                *store.data_mut() = 1;
                let call = AssertUnwindSafe(|| call(&mut store, &instance, "calls-host", 0));
                let panic = catch_unwind(call).unwrap_err();
                assert_eq!(panic.downcast_ref(), Some(&"the host panics"));
            }
        }
        let error = call(&mut store, &instance, "parks", 1).unwrap_err();
        assert_eq!(code(&error), TrapCode::CannotEnter, "{round}: {error:?}");
        if round == 100 {
            memory = resident();
        }
    }
    let more = resident().saturating_sub(memory);
    println!("{more} more bytes for 200 instances");
    assert!(more < 64 << 20);
}

/// A function that calls itself, each call on a stack of its own.
const DEEP: &str = r#"
(component
  (core module $table (table (export "table") 1 funcref))
  (core instance $table (instantiate $table))
  (core func $return (canon task.return))
  (core module $m
    (import "" "table" (table 1 funcref))
    (import "" "return" (func $return))
    (type $f (func (param i32)))
    (func (export "deep") (param $n i32)
      (if (i32.eqz (local.get $n)) (then unreachable))
      (call_indirect (type $f) (i32.sub (local.get $n) (i32.const 1)) (i32.const 0))
      (call $return)))
  (core instance $i (instantiate $m (with "" (instance
    (export "table" (table $table "table")) (export "return" (func $return))))))
  (func $deep async (param "n" u32) (canon lift (core func $i "deep") async))
  (core func $deep-core (canon lower (func $deep)))
  (core module $fill
    (import "" "table" (table 1 funcref))
    (import "" "deep" (func $deep (param i32)))
    (elem (i32.const 0) func $deep))
  (core instance (instantiate $fill (with "" (instance
    (export "table" (table $table "table")) (export "deep" (func $deep-core))))))
  (export "deep" (func $deep)))
"#;

#[test]
fn deep_chains_of_calls_end() {
    let _alone = alone();
    let linker = Linker::<u32>::new();
    let mut store = Store::new(0);

    // What cannot block needs no stack of its own, and ends as calls of other types do.
    let in_place = component(DEEP);
    for (depth, expected) in [
        (500, TrapCode::Unreachable),
        (1_000_000, TrapCode::StackOverflow),
    ] {
        let instance = linker.instantiate(&mut store, &in_place).unwrap();
        let error = call(&mut store, &instance, "deep", depth).unwrap_err();
        assert_eq!(code(&error), expected, "{depth}: {error:?}");
    }

    let component = component_with(DEEP, Blocking::Assumed);
    for (depth, expected) in [
        (9_000, TrapCode::Unreachable),
        (20_000, TrapCode::TaskStackLimit),
        (9_000, TrapCode::Unreachable),
    ] {
        let instance = linker.instantiate(&mut store, &component).unwrap();
        let error = call(&mut store, &instance, "deep", depth).unwrap_err();
        assert_eq!(code(&error), expected, "{depth}: {error:?}");
        if expected == TrapCode::TaskStackLimit {
            assert!(format!("{error:?}").contains("10000 stacks"), "{error:?}");
        }
        let error = call(&mut store, &instance, "deep", 1).unwrap_err();
        assert_eq!(code(&error), TrapCode::CannotEnter);
    }
}

#[test]
fn a_task_calls_another_instance_through_the_host() {
    type Inner = Arc<Mutex<Option<Box<dyn Fn(&mut Caller<'_, u32>) + Send>>>>;
    let inner: Inner = Arc::default();
    let in_host = inner.clone();
    let linker = host(move |mut caller| {
        // Only the first one.
        let call = in_host.lock().unwrap().take();
        if let Some(call) = call {
            call(&mut caller);
        }
        Ok(())
    });
    let component = component(MANY);
    let mut store = Store::new(0);
    let outer = linker.instantiate(&mut store, &component).unwrap();
    let expectations = [
        ("cancels", None),
        ("blocks", None),
        ("calls-host", None),
        ("traps", Some(TrapCode::Unreachable)),
        ("parks", Some(TrapCode::CannotEnter)),
    ];
    let other = linker.instantiate(&mut store, &component).unwrap();
    for (name, expected) in expectations {
        let callees = [&other, &outer].map(|instance| {
            instance
                .get_typed_func::<(u32,), ()>(&mut store, name)
                .unwrap()
        });
        *inner.lock().unwrap() = Some(Box::new(move |caller| {
            let [other, outer] = &callees;
            let done = other.call(&mut *caller, (10,));
            assert_eq!(done.as_ref().err().map(code), expected, "{name}");
            // It is running.
            let error = outer.call(&mut *caller, (1,)).unwrap_err();
            assert_eq!(code(&error), TrapCode::CannotEnter, "{name}");
        }));
        call(&mut store, &outer, "calls-host", 0).unwrap();
        assert!(inner.lock().unwrap().is_none());
    }
}

/// Results that the host reads from the store's arena.
const LISTS: &str = r#"
(component
  (core module $m
    (memory (export "memory") 1)
    (data (i32.const 16) "\20\00\00\00\04\00\00\00\20\00\00\00\04\00\00\00")
    (data (i32.const 0) "\10\00\00\00\02\00\00\00")
    (func (export "list") (result i32) (i32.const 0)))
  (core instance $i (instantiate $m))
  (func (export "list") async (result (list string))
    (canon lift (core func $i "list") (memory (core memory $i "memory")))))
"#;

#[test]
fn results_leave_nothing_in_the_arena() {
    let component = component(LISTS);
    let mut store = limited(StoreLimits::default().with_arena_bytes(64 << 10));
    let instance = Linker::new().instantiate(&mut store, &component).unwrap();
    let list = instance.get_typed_func::<(), Vec<String>>(&mut store, "list");
    let list = list.unwrap();
    for round in 0..10_000 {
        let result = list
            .call(&mut store, ())
            .unwrap_or_else(|error| panic!("{round}: {error:?}"));
        assert_eq!(result, ["\0\0\0\0"; 2]);
    }
}
