//! Inlining changes nothing that can be observed: results, traps, and the frames of backtraces.

use object::{Object, ObjectSymbol};
use trampette::CompileOptions;
use trampette::options::Inline;
use trampette_runtime::{Component, Linker, Store, Trap, TrapCode, WasmBacktrace};

/// A parent in one component calls a child in another through two core functions; every level can
/// trap.
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
    let [with, without] =
        [Inline::Worthwhile, Inline::Never].map(|inline| compile(CHAIN, inline).load().unwrap());
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

/// An exception must not reach the parent's handler: where it crosses the canonical boundary it is
/// a trap.
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
        let component = compile(THROWING, inline).load().unwrap();
        let trap = outcome(&component, "run", 0);
        assert!(trap.starts_with("uncaught exception"), "{trap}");
    }
}

/// The host fails in a call that a core function makes, two levels below the export.
const HOST: &str = r#"
(component
  (import "fail" (func $fail (param "x" u32)))
  (core func $fail (canon lower (func $fail)))
  (core module $m
    (import "" "fail" (func $fail (param i32)))
    (func $inner (param i32) (call $fail (i32.add (local.get 0) (i32.const 1))))
    (func $outer (param i32) (call $inner (i32.mul (local.get 0) (i32.const 2))))
    (func (export "run") (param i32) (result i32)
      (call $outer (local.get 0))
      (i32.const 3)))
  (core instance $i (instantiate $m (with "" (instance (export "fail" (func $fail))))))
  (func (export "run") (param "x" u32) (result u32) (canon lift (core func $i "run"))))
"#;

#[test]
fn errors_of_the_host_keep_their_frames() {
    let frames = |inline| {
        let component = compile(HOST, inline).load().unwrap();
        let mut linker = Linker::new();
        linker
            .root()
            .func_wrap::<(u32,), (), _>("fail", |_, (x,)| anyhow::bail!("the host got {x}"))
            .unwrap();
        let mut store = Store::new(());
        let instance = linker.instantiate(&mut store, &component).unwrap();
        let run = instance
            .get_typed_func::<(u32,), u32>(&mut store, "run")
            .unwrap();
        let error = run.call(&mut store, (20,)).unwrap_err();
        assert!(
            format!("{error:#}").contains("the host got 41"),
            "{error:#}"
        );
        let backtrace = error.downcast_ref::<WasmBacktrace>().expect("a backtrace");
        let frames = backtrace.frames().iter();
        frames
            .map(|f| (f.module.to_string(), f.function_index, f.offset))
            .collect::<Vec<_>>()
    };
    let expected = frames(Inline::Never);
    let functions: Vec<_> = expected.iter().map(|frame| frame.1).collect();
    assert_eq!(functions, [1, 2, 3]);
    assert_eq!(frames(Inline::Worthwhile), expected);
}

/// `realloc` calls another function, which traps when the size is 13.
const REALLOC: &str = r#"
(component
  (component $callee
    (core module $m
      (memory (export "memory") 1)
      (func $check (param i32) (result i32)
        (i32.div_u (i32.const 4096) (i32.sub (local.get 0) (i32.const 13))))
      (func (export "realloc") (param i32 i32 i32 i32) (result i32)
        (i32.and (call $check (local.get 3)) (i32.const 0)))
      (func (export "length") (param i32 i32) (result i32) (local.get 1)))
    (core instance $i (instantiate $m))
    (func (export "length") (param "text" string) (result u32)
      (canon lift (core func $i "length") (memory (core memory $i "memory")) (realloc (core func $i "realloc")))))
  (component $caller
    (import "length" (func $length (param "text" string) (result u32)))
    (core module $libc (memory (export "memory") 1))
    (core instance $libc (instantiate $libc))
    (core func $length (canon lower (func $length) (memory (core memory $libc "memory"))))
    (core module $m
      (import "" "length" (func $length (param i32 i32) (result i32)))
      (func (export "run") (param i32) (result i32) (call $length (i32.const 0) (local.get 0))))
    (core instance $i (instantiate $m (with "" (instance (export "length" (func $length))))))
    (func (export "run") (param "x" u32) (result u32) (canon lift (core func $i "run"))))
  (instance $callee (instantiate $callee))
  (instance $caller (instantiate $caller (with "length" (func $callee "length"))))
  (export "run" (func $caller "run")))
"#;

#[test]
fn traps_in_realloc_keep_their_frames() {
    let [with, without] =
        [Inline::Worthwhile, Inline::Never].map(|inline| compile(REALLOC, inline).load().unwrap());
    for length in [0, 12, 14, 13, 70000] {
        let expected = outcome(&without, "run", length);
        assert_eq!(outcome(&with, "run", length), expected, "{length}");
    }
    assert_eq!(outcome(&with, "run", 14), "14");
    let trap = outcome(&with, "run", 13);
    assert!(trap.starts_with("integer divide by zero"), "{trap}");
    // `check`, called by `realloc`, called for `run`.
    assert_eq!(trap.matches("m!").count(), 3, "{trap}");
}

/// Two functions that call each other for ever, if told to.
const RECURSION: &str = r#"
(component
  (core module $m
    (func $even (param i32) (result i32)
      (if (result i32) (i32.eqz (local.get 0))
        (then (i32.const 1))
        (else (i32.add (i32.const 0) (call $odd (i32.sub (local.get 0) (i32.const 1)))))))
    (func $odd (param i32) (result i32)
      (if (result i32) (i32.eqz (local.get 0))
        (then (i32.const 0))
        (else (i32.mul (i32.const 1) (call $even (i32.sub (local.get 0) (i32.const 1)))))))
    (func (export "run") (param i32) (result i32) (call $even (local.get 0))))
  (core instance $i (instantiate $m))
  (func (export "run") (param "x" u32) (result u32) (canon lift (core func $i "run"))))
"#;

#[test]
fn recursion_overflows_the_stack_whatever_is_inlined() {
    for inline in [Inline::Worthwhile, Inline::Never] {
        let component = compile(RECURSION, inline).load().unwrap();
        assert_eq!(outcome(&component, "run", 1000), "1");
        assert_eq!(outcome(&component, "run", 1001), "0");
        let mut store = Store::new(());
        let instance = Linker::new().instantiate(&mut store, &component).unwrap();
        let run = instance
            .get_typed_func::<(u32,), u32>(&mut store, "run")
            .unwrap();
        let error = run.call(&mut store, (u32::MAX,)).unwrap_err();
        let trap = error.downcast_ref::<Trap>().expect("a trap");
        assert_eq!(trap.kind(), TrapCode::StackOverflow);
        // The two take turns, though a frame of the stack may stand for several calls.
        let frames = trap.frames();
        let functions: Vec<u32> = frames.iter().map(|f| f.function_index).collect();
        assert!(functions.len() > 10, "{functions:?}");
        for pair in functions[..10].windows(2) {
            assert_eq!(pair[0] + pair[1], 1, "{functions:?}");
        }
    }
}
