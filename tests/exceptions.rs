//! Exceptions in components: `tests/components/exceptions/*.wat`, which say what they are about.

use anyhow::Result;
use std::sync::Mutex;
use trampette_runtime::{Component, Instance, Linker, Store, Trap, TrapCode};

fn load(name: &str) -> Component {
    let root = env!("CARGO_MANIFEST_DIR");
    let wasm = wat::parse_file(format!("{root}/tests/components/exceptions/{name}.wat")).unwrap();
    let artifact = trampette::compile_component(&wasm, &trampette::CompileOptions::default());
    artifact.unwrap().load().unwrap()
}

/// A fresh instance of a component without imports.
fn instantiate(component: &Component) -> (Store<()>, Instance) {
    let mut store = Store::new(());
    let instance = Linker::new().instantiate(&mut store, component).unwrap();
    (store, instance)
}

fn call(store: &mut Store<()>, instance: &Instance, export: &str, x: u32) -> Result<u32> {
    let func = instance.get_typed_func::<(u32,), u32>(&mut *store, export)?;
    func.call(store, (x,))
}

fn kind(result: Result<u32>) -> TrapCode {
    let error = result.expect_err("it traps");
    let trap = error.downcast_ref::<Trap>();
    trap.unwrap_or_else(|| panic!("{error:?}")).kind()
}

/// Calls of a fresh instance each.
fn check(component: &Component, export: &str, cases: &[(u32, Result<u32, TrapCode>)]) {
    for (x, expected) in cases {
        let (mut store, instance) = instantiate(component);
        let result = call(&mut store, &instance, export, *x);
        match expected {
            Ok(value) => assert_eq!(result.unwrap(), *value, "{export}({x})"),
            Err(code) => assert_eq!(kind(result), *code, "{export}({x})"),
        }
    }
}

#[test]
fn exceptions_cross_core_instances() {
    let component = load("across");
    check(&component, "values", &[(0, Ok(1006)), (7, Ok(1034))]);
    check(&component, "deep", &[(0, Ok(1046)), (2000, Ok(1046))]);
    let uncaught = [(1, Err(TrapCode::UncaughtException))];
    check(&component, "other-instance", &uncaught);
    check(&component, "other-instance-all", &[(1, Ok(99))]);
    let (mut store, instance) = instantiate(&component);
    let empty = instance
        .get_typed_func::<(), u32>(&mut store, "empty")
        .unwrap();
    assert_eq!(empty.call(&mut store, ()).unwrap(), 7);
}

#[test]
fn clauses_catch_in_order() {
    let component = load("nested");
    let out_of_bounds = Err(TrapCode::TableOutOfBounds);
    check(
        &component,
        "select",
        &[(0, Ok(41)), (1, Ok(1000)), (2, out_of_bounds)],
    );
    check(&component, "first", &[(3, Ok(5))]);
    check(&component, "locals", &[(1, Ok(104)), (9, Ok(128))]);
    check(&component, "retry", &[(0, Ok(1)), (5, Ok(6))]);
    check(&component, "tail", &[(4, Ok(35))]);
    check(&component, "here", &[(4, Ok(5))]);
    check(&component, "many", &[(0, Ok(77)), (1, Ok(2700))]);
    check(
        &component,
        "trap",
        &[(1, Ok(1)), (0, Err(TrapCode::IntegerDivisionByZero))],
    );
    check(
        &component,
        "uncaught",
        &[(1, Err(TrapCode::UncaughtException))],
    );
}

#[test]
fn references_live_as_long_as_they_are_kept() {
    let component = load("references");
    check(&component, "again", &[(12, Ok(12))]);
    check(&component, "kept", &[(1, Ok(1111)), (30_000, Ok(1111))]);
    check(&component, "locals", &[(30_000, Ok(7))]);
    check(&component, "chain", &[(1, Ok(1)), (20_000, Ok(20_000))]);
    check(&component, "values", &[(30_000, Ok(60_000))]);
    let (mut store, instance) = instantiate(&component);
    let null = instance
        .get_typed_func::<(), u32>(&mut store, "null")
        .unwrap();
    assert_eq!(kind(null.call(&mut store, ())), TrapCode::NullException);
}

#[test]
fn what_is_kept_is_limited() {
    let component = load("references");
    let limited = || {
        let (mut store, instance) = instantiate(&component);
        let mut limits = store.limits();
        limits.exception_bytes = 100_000;
        store.set_limits(limits);
        (store, instance)
    };
    let (mut store, instance) = limited();
    assert_eq!(call(&mut store, &instance, "kept", 30_000).unwrap(), 1111);
    assert_eq!(call(&mut store, &instance, "chain", 500).unwrap(), 500);
    let full = call(&mut store, &instance, "chain", 5000);
    assert_eq!(kind(full), TrapCode::ExceptionLimit);
    // What the trap left behind is free again for others in the store.
    let instance = Linker::new().instantiate(&mut store, &component).unwrap();
    assert_eq!(call(&mut store, &instance, "chain", 500).unwrap(), 500);
}

/// Imports of `boundaries.wat`; `run` calls `inner`, which throws, in a store of its own.
fn boundaries() -> (Store<()>, Instance) {
    let component = load("boundaries");
    let inner = Mutex::new(instantiate(&load("nested")));
    let mut linker = Linker::<()>::new();
    let mut root = linker.root();
    root.func_wrap::<(), String, _>("text", |_, ()| Ok("some text".to_string()))
        .unwrap();
    root.func_wrap::<(u32,), (), _>("run", move |_, (x,)| {
        let (store, instance) = &mut *inner.lock().unwrap();
        match x {
            // Caught inside.
            0 | 1 => drop(call(store, instance, "select", x)?),
            // Not caught: the host gets an error.
            2 => assert_eq!(
                kind(call(store, instance, "uncaught", x)),
                TrapCode::UncaughtException
            ),
            // And passes it on.
            _ => drop(call(store, instance, "uncaught", x)?),
        }
        Ok(())
    })
    .unwrap();
    let mut store = Store::new(());
    let instance = linker.instantiate(&mut store, &component).unwrap();
    (store, instance)
}

#[test]
fn exceptions_never_cross_a_boundary() {
    for (export, x, expected) in [
        ("from-realloc", 0, Err(TrapCode::UncaughtException)),
        ("around-import", 0, Ok(1)),
        ("around-import", 1, Ok(2)),
        ("around-import", 2, Ok(3)),
        // The trap of the instance inside, as the host's error.
        ("around-import", 3, Err(TrapCode::UncaughtException)),
        ("uncaught", 0, Err(TrapCode::UncaughtException)),
        ("in-post-return", 0, Err(TrapCode::UncaughtException)),
    ] {
        let (mut store, instance) = boundaries();
        let result = call(&mut store, &instance, export, x);
        match expected {
            Ok(value) => assert_eq!(result.unwrap(), value, "{export}({x})"),
            Err(code) => assert_eq!(kind(result), code, "{export}({x})"),
        }
    }
}

#[test]
fn a_start_function_that_throws_fails_instantiation() {
    let component = load("start");
    let mut store = Store::new(());
    let result = Linker::new().instantiate(&mut store, &component);
    let error = result.err().expect("it throws");
    assert!(
        format!("{error:#}").contains("uncaught exception"),
        "{error:?}"
    );
}

#[test]
fn an_uncaught_exception_has_a_backtrace() {
    let (mut store, instance) = instantiate(&load("nested"));
    let error = call(&mut store, &instance, "uncaught", 1).unwrap_err();
    let trap = error.downcast_ref::<Trap>().unwrap();
    let names: Vec<_> = trap
        .frames()
        .iter()
        .map(|f| f.function.as_deref())
        .collect();
    assert_eq!(names, [Some("throw_a"), None]);
}
