//! Traps of compiled components: each kind returns an error with its text and the guest's frames,
//! and locks the instance but not its store.

use trampette_runtime::{Component, Linker, Store, Trap, TrapCode};

const GUEST: &str = r#"
(component
  (core module $main
    (memory 1 10)
    (table 4 funcref)
    (type $nothing (func))
    (func $inner (param i32) (result i32) (i32.load (local.get 0)))
    (func $load (export "load") (param i32) (result i32)
      (i32.add (i32.const 1) (call $inner (local.get 0))))
    (func $unreachable (export "unreachable") (param i32) (result i32) unreachable)
    (func $divide (export "divide") (param i32) (result i32)
      (i32.div_s (i32.const -2147483648) (local.get 0)))
    (func $recurse (export "recurse") (param i32) (result i32)
      (i32.add (call $recurse (local.get 0)) (call $recurse (local.get 0))))
    (func $indirect (export "indirect") (param i32) (result i32)
      (call_indirect (type $nothing) (local.get 0)) (i32.const 0))
    (func $grow (export "grow") (param i32) (result i32) (memory.grow (local.get 0))))
  (core instance $i (instantiate $main))
  (func (export "load") (param "x" u32) (result u32) (canon lift (core func $i "load")))
  (func (export "unreachable") (param "x" u32) (result u32) (canon lift (core func $i "unreachable")))
  (func (export "divide") (param "x" u32) (result u32) (canon lift (core func $i "divide")))
  (func (export "recurse") (param "x" u32) (result u32) (canon lift (core func $i "recurse")))
  (func (export "indirect") (param "x" u32) (result u32) (canon lift (core func $i "indirect")))
  (func (export "grow") (param "x" u32) (result u32) (canon lift (core func $i "grow"))))
"#;

fn guest() -> Component {
    let wasm = wat::parse_str(GUEST).unwrap();
    let artifact =
        trampette::compile_component(&wasm, &trampette::CompileOptions::default()).unwrap();
    artifact.load().unwrap()
}

fn call(component: &Component, name: &str, argument: u32) -> anyhow::Result<u32> {
    let mut store = Store::new(());
    let instance = Linker::new().instantiate(&mut store, component)?;
    let function = instance.get_typed_func::<(u32,), u32>(&mut store, name)?;
    function.call(&mut store, (argument,))
}

#[test]
fn every_kind_of_trap_has_its_text_and_frames() {
    let component = guest();
    for (name, argument, kind, innermost) in [
        ("load", 65533, TrapCode::MemoryOutOfBounds, "inner"),
        ("load", u32::MAX, TrapCode::MemoryOutOfBounds, "inner"),
        ("unreachable", 0, TrapCode::Unreachable, "unreachable"),
        ("divide", 0, TrapCode::IntegerDivisionByZero, "divide"),
        ("divide", u32::MAX, TrapCode::IntegerOverflow, "divide"),
        ("recurse", 0, TrapCode::StackOverflow, "recurse"),
        ("indirect", 0, TrapCode::IndirectCallToNull, "indirect"),
        ("indirect", 4, TrapCode::TableOutOfBounds, "indirect"),
    ] {
        let error = call(&component, name, argument).unwrap_err();
        let trap = error.downcast_ref::<Trap>().unwrap();
        assert_eq!(trap.kind(), kind, "{name}({argument})");
        let frames = trap.frames();
        assert_eq!(
            frames[0].function.as_deref(),
            Some(innermost),
            "{name}({argument})"
        );
        assert_eq!(frames.last().unwrap().module, "main");
        let text = format!("wasm trap: {}\n", kind.text(0));
        assert!(error.to_string().starts_with(&text), "{error}");
    }
}

#[test]
fn what_does_not_trap_returns() {
    let component = guest();
    assert_eq!(call(&component, "load", 65532).unwrap(), 1);
    assert_eq!(call(&component, "grow", 9).unwrap(), 1);
    assert_eq!(call(&component, "grow", 10).unwrap(), u32::MAX);
}

#[test]
fn a_trapped_instance_stays_locked() {
    let component = guest();
    let mut store = Store::new(());
    let linker = Linker::new();
    let instance = linker.instantiate(&mut store, &component).unwrap();
    let load = instance
        .get_typed_func::<(u32,), u32>(&mut store, "load")
        .unwrap();
    assert_eq!(load.call(&mut store, (0,)).unwrap(), 1);
    load.call(&mut store, (u32::MAX,)).unwrap_err();
    let error = load.call(&mut store, (0,)).unwrap_err();
    assert_eq!(
        error.downcast_ref::<Trap>().unwrap().kind(),
        TrapCode::CannotEnter
    );
    let other = linker.instantiate(&mut store, &component).unwrap();
    let load = other
        .get_typed_func::<(u32,), u32>(&mut store, "load")
        .unwrap();
    assert_eq!(load.call(&mut store, (0,)).unwrap(), 1);
}
