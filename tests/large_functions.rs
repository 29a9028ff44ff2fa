//! Functions of very many blocks: their frames are small, so that they can be called, and call each
//! other.

use trampette::{CompileOptions, compile_component};
use trampette_runtime::{Component, Linker, Store, Val};

/// A function of many conditions, each of which adds its number to one of three locals of different
/// types, and which calls itself as often as its second parameter says.
fn conditions(count: usize) -> String {
    let step = |index: usize| match index % 3 {
        0 => format!("(local.set $a (i32.add (local.get $a) (i32.const {index})))"),
        1 => format!("(local.set $b (i64.add (local.get $b) (i64.const {index})))"),
        _ => format!("(local.set $c (f64.add (local.get $c) (f64.const {index})))"),
    };
    let all: String = (0..count)
        .map(|index| format!("(if (local.get $yes) (then {}))", step(index)))
        .collect();
    format!(
        r#"(component
          (core module $m
            (func $f (export "f") (param $yes i32) (param $depth i32) (result i64)
              (local $a i32) (local $b i64) (local $c f64)
              (if (local.get $depth) (then (local.set $b (call $f
                (local.get $yes) (i32.sub (local.get $depth) (i32.const 1))))))
              {all}
              (i64.add (i64.add (i64.extend_i32_u (local.get $a)) (local.get $b))
                (i64.trunc_f64_u (local.get $c)))))
          (core instance $i (instantiate $m))
          (func (export "f") (param "yes" bool) (param "depth" u32) (result u64)
            (canon lift (core func $i "f"))))"#
    )
}

#[test]
fn frames_of_large_functions_are_small() {
    const COUNT: usize = 13_000;
    let wasm = wat::parse_str(conditions(COUNT)).unwrap();
    let artifact = compile_component(&wasm, &CompileOptions::default()).unwrap();
    // SAFETY: compiled by this test.
    let component = unsafe { Component::from_bytes(artifact.bytes()) }.unwrap();
    let mut store = Store::new(());
    let mut limits = store.limits();
    limits.stack_bytes = 64 << 10;
    store.set_limits(limits);
    let instance = Linker::<()>::new()
        .instantiate(&mut store, &component)
        .unwrap();
    let f = instance.get_func(&mut store, "f").unwrap();
    let sum = (COUNT * (COUNT - 1) / 2) as u64;
    for (yes, depth, expected) in [(true, 0, sum), (false, 0, 0), (true, 20, 21 * sum)] {
        let found = f.call_value(&mut store, &[Val::Bool(yes), Val::U32(depth)]);
        assert_eq!(found.unwrap(), Some(Val::U64(expected)));
    }
}
