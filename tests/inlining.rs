//! Inlining changes nothing that can be observed: results, traps, and the frames of backtraces.

use object::{Object, ObjectSymbol};
use trampette::CompileOptions;
use trampette::options::Inline;
use trampette_runtime::{Component, Linker, Store, Trap};

/// A parent in one component calls a child in another through two core functions; every level can trap.
const CHAIN: &str = r#"
(component
  (component $child
    (core module $child
      (memory 1)
      (func $read (param i32) (result i32) (i32.load (local.get 0)))
      (func $twice (param i32) (result i32)
        (i32.add
          (call $read (local.get 0))
          (call $read (i32.mul (local.get 0) (i32.const 2)))))
      (func $divide (export "divide") (param i32 i32) (result i32)
        (i32.div_u (local.get 0) (local.get 1)))
      (func $get (export "get") (param i32) (result i32)
        (i32.add (i32.const 1) (call $twice (local.get 0)))))
    (core instance $i (instantiate $child))
    (func (export "get") (param "at" u32) (result u32) (canon lift (core func $i "get")))
    (func (export "divide") (param "a" u32) (param "b" u32) (result u32)
      (canon lift (core func $i "divide"))))
  (component $parent
    (import "get" (func $get (param "at" u32) (result u32)))
    (import "divide" (func $divide (param "a" u32) (param "b" u32) (result u32)))
    (core func $get (canon lower (func $get)))
    (core func $divide (canon lower (func $divide)))
    (core module $parent
      (import "" "get" (func $get (param i32) (result i32)))
      (import "" "divide" (func $divide (param i32 i32) (result i32)))
      (func $once (param i32) (result i32)
        (i32.add (call $get (local.get 0)) (call $get (i32.add (local.get 0) (i32.const 4)))))
      (func $hundredth (param i32) (result i32)
        (call $divide (i32.const 100) (local.get 0)))
      (func (export "get") (param i32) (result i32)
        (i32.add (call $once (local.get 0)) (i32.const 1)))
      (func (export "divide") (param i32) (result i32)
        (i32.add (call $hundredth (local.get 0)) (call $hundredth (i32.sub (local.get 0) (i32.const 5))))))
    (core instance $i (instantiate $parent
      (with "" (instance (export "get" (func $get)) (export "divide" (func $divide))))))
    (func (export "get") (param "at" u32) (result u32) (canon lift (core func $i "get")))
    (func (export "divide") (param "by" u32) (result u32) (canon lift (core func $i "divide"))))
  (instance $child (instantiate $child))
  (instance $parent (instantiate $parent
    (with "get" (func $child "get")) (with "divide" (func $child "divide"))))
  (export "get" (func $parent "get"))
  (export "divide" (func $parent "divide")))
"#;

fn compile(text: &str, inline: Inline) -> trampette::Artifact {
    let options = CompileOptions {
        inline,
        ..CompileOptions::default()
    };
    trampette::compile_component(&wat::parse_str(text).unwrap(), &options).unwrap()
}

/// The result, or the trap with every frame's module, function and offset.
fn outcome(component: &Component, name: &str, argument: u32) -> String {
    let mut store = Store::new(());
    let instance = Linker::new().instantiate(&mut store, component).unwrap();
    let function = instance
        .get_typed_func::<(u32,), u32>(&mut store, name)
        .unwrap();
    match function.call(&mut store, (argument,)) {
        Ok(result) => format!("{result}"),
        Err(error) => {
            let trap = error.downcast_ref::<Trap>().expect("a trap");
            let frames: Vec<String> = trap
                .frames()
                .iter()
                .map(|f| format!("{}!{} at {:#x?}", f.module, f.function_index, f.offset))
                .collect();
            format!("{}: {}", trap.kind().text(0), frames.join(", "))
        }
    }
}

#[test]
fn results_and_frames_are_the_same_with_and_without() {
    let [with, without] = [Inline::Worthwhile, Inline::Never]
        .map(|inline| Component::from_bytes(compile(CHAIN, inline).bytes()).unwrap());
    for (name, arguments) in [
        ("get", &[0, 65528, 65529, 32766, 32767, 40000, u32::MAX][..]),
        ("divide", &[1, 0, 5, 7]),
    ] {
        for argument in arguments {
            let expected = outcome(&without, name, *argument);
            assert_eq!(
                outcome(&with, name, *argument),
                expected,
                "{name}({argument})"
            );
        }
    }
    let trap = outcome(&with, "get", 40000);
    // read, twice, get, once, get: of both components.
    assert_eq!(trap.matches("child!").count(), 3, "{trap}");
    assert_eq!(trap.matches("parent!").count(), 2, "{trap}");
}

#[test]
fn functions_whose_calls_are_all_replaced_are_not_compiled() {
    let symbols = |inline| {
        let artifact = compile(CHAIN, inline);
        let file = object::File::parse(artifact.bytes()).unwrap();
        let names: Vec<String> = file
            .symbols()
            .map(|symbol| symbol.name().unwrap().to_string())
            .collect();
        ["::read", "::twice", "-adapter"].map(|end| names.iter().any(|name| name.ends_with(end)))
    };
    assert_eq!(symbols(Inline::Never), [true; 3]);
    assert_eq!(symbols(Inline::Worthwhile), [false; 3]);
}

/// An exception must not reach the parent's handler: where it crosses the canonical boundary it is a trap.
const THROWING: &str = r#"
(component
  (component $child
    (core module $child
      (tag $tag)
      (func $throw (throw $tag))
      (func (export "run") (call $throw)))
    (core instance $i (instantiate $child))
    (func (export "run") (canon lift (core func $i "run"))))
  (component $parent
    (import "run" (func $run))
    (core func $run (canon lower (func $run)))
    (core module $parent
      (import "" "run" (func $run))
      (func (export "run") (param i32) (result i32)
        (block $caught
          (try_table (catch_all $caught) (call $run))
          (return (i32.const 1)))
        (i32.const 2)))
    (core instance $i (instantiate $parent (with "" (instance (export "run" (func $run))))))
    (func (export "run") (param "x" u32) (result u32) (canon lift (core func $i "run"))))
  (instance $child (instantiate $child))
  (instance $parent (instantiate $parent (with "run" (func $child "run"))))
  (export "run" (func $parent "run")))
"#;

#[test]
fn exceptions_do_not_cross_components() {
    for inline in [Inline::Worthwhile, Inline::Never] {
        let component = Component::from_bytes(compile(THROWING, inline).bytes()).unwrap();
        let trap = outcome(&component, "run", 0);
        assert!(trap.starts_with("uncaught exception"), "{trap}");
    }
}
