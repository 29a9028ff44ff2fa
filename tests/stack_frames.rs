//! Frames larger than the guard of a stack: whatever is called near the end of the stack, by guests
//! or by the host, the call succeeds or traps, and nothing is touched beyond the end.
//!
//! Threads here have small stacks, and their stores a larger limit, so that the end of the stack is
//! the thread's own. A frame that is not probed steps over its guard page into whatever is there.

use anyhow::{Result, anyhow, ensure};
use std::fmt::Write;
use trampette::CompileOptions;
use trampette::options::Inline;
use trampette_runtime::{Instance, Linker, Store, StoreLimits, Trap, TrapCode, Val};

/// What is called at the end of the stack.
struct Target {
    name: &'static str,
    /// The component, which exports `deep: func(levels: u32, call: bool)`: it recurses, and then
    /// calls the target or does not.
    text: String,
    /// Bytes that the target's frames have at least.
    frames: usize,
}

/// `deep` of a core module that has a function `$target`.
const DEEP: &str = r#"(func $deep (export "deep") (param $levels i32) (param $call i32)
    (if (local.get $levels)
      (then (call $deep (i32.sub (local.get $levels) (i32.const 1)) (local.get $call)))
      (else (if (local.get $call) (then (call $target))))))"#;

const MEMORY: &str = r#"(memory (export "m") 16)
    (func (export "r") (param i32 i32 i32 i32) (result i32) (i32.const 8192))"#;

const EXPORT: &str = r#"(func (export "deep") (param "levels" u32) (param "call" bool)
    (canon lift (core func $i "deep")))"#;

/// A guest function with so many locals that are alive across a call.
fn large_frame(locals: usize) -> Target {
    let (mut set, mut use_all) = (String::new(), String::new());
    for index in 0..locals {
        let offset = 8 * index;
        write!(
            set,
            "(local.set {index} (i64.load offset={offset} (i32.const 0)))"
        )
        .unwrap();
        write!(
            use_all,
            "(i64.store offset={offset} (i32.const 8) (local.get {index}))"
        )
        .unwrap();
    }
    let locals_text = "i64 ".repeat(locals);
    let text = format!(
        r#"(component
          (core module $m {MEMORY} {DEEP}
            (func $target (local {locals_text}) {set} (drop (memory.grow (i32.const 0))) {use_all}))
          (core instance $i (instantiate $m)) {EXPORT})"#
    );
    Target {
        name: "a guest function",
        text,
        frames: 8 * locals - 200,
    }
}

/// A type of `outer` times `inner` numbers.
fn tuple(outer: usize, inner: usize) -> String {
    format!(
        "(type $inner (tuple {})) (type $t (tuple {}))",
        "u64 ".repeat(inner),
        "$inner ".repeat(outer)
    )
}

/// A call of a host function, whose result and parameters are native structs in the trampoline's
/// frame.
fn lowered(outer: usize, inner: usize) -> Target {
    let types = tuple(outer, inner);
    let text = format!(
        r#"(component {types}
          (import "f" (func $f (param "p" $t) (result $t)))
          (core module $memory {MEMORY})
          (core instance $memory (instantiate $memory))
          (core func $f (canon lower (func $f)
            (memory (core memory $memory "m")) (realloc (core func $memory "r"))))
          (core module $m (import "" "f" (func $f (param i32 i32)))
            (func $target (call $f (i32.const 1024) (i32.const 1024))) {DEEP})
          (core instance $i (instantiate $m (with "" (instance (export "f" (func $f))))))
          {EXPORT})"#
    );
    Target {
        name: "a host function",
        text,
        frames: 16 * outer * inner,
    }
}

/// A call from one component to another with so many parameters, of a type.
fn adapter(params: usize, ty: &str, flat: &str) -> Target {
    let all: String = (0..params)
        .map(|index| format!("(param \"p{index}\" {ty})"))
        .collect();
    let flat = flat.repeat(params);
    let arguments: String = flat
        .split_whitespace()
        .map(|ty| format!("({ty}.const 0)"))
        .collect();
    let (core, arguments) = match flat.split_whitespace().count() > 16 {
        true => ("i32".to_string(), "(i32.const 1024)".to_string()),
        false => (flat, arguments),
    };
    let text = format!(
        r#"(component
          (component $callee
            (core module $m {MEMORY} (func (export "f") (param {core})))
            (core instance $i (instantiate $m))
            (func (export "f") {all} (canon lift (core func $i "f")
              (memory (core memory $i "m")) (realloc (core func $i "r")))))
          (instance $callee (instantiate $callee))
          (core module $memory {MEMORY})
          (core instance $memory (instantiate $memory))
          (core func $f (canon lower (func $callee "f")
            (memory (core memory $memory "m")) (realloc (core func $memory "r"))))
          (core module $m (import "" "f" (func $f (param {core})))
            (func $target (call $f {arguments})) {DEEP})
          (core instance $i (instantiate $m (with "" (instance (export "f" (func $f))))))
          {EXPORT})"#
    );
    Target {
        name: "an adapter",
        text,
        frames: 0,
    }
}

/// Whether the call succeeds; anything else must be a trap because of the stack.
fn reaches(
    store: &mut Store<()>,
    linker: &Linker<()>,
    component: &trampette_runtime::Component,
    arguments: (u32, bool),
) -> Result<bool> {
    let instance: Instance = linker.instantiate(&mut *store, component)?;
    let deep = instance.get_typed_func::<(u32, bool), ()>(&mut *store, "deep")?;
    match deep.call(&mut *store, arguments) {
        Ok(()) => Ok(true),
        Err(error) => match error.downcast_ref::<Trap>().map(Trap::kind) {
            Some(TrapCode::StackOverflow) => Ok(false),
            _ => Err(error),
        },
    }
}

/// The most levels with which the call succeeds.
fn deepest(mut reaches: impl FnMut(u32) -> Result<bool>) -> Result<u32> {
    let (mut low, mut high) = (0, 1 << 20);
    while high - low > 1 {
        let middle = (low + high) / 2;
        match reaches(middle)? {
            true => low = middle,
            false => high = middle,
        }
    }
    Ok(low)
}

fn check(target: &Target) -> Result<()> {
    let options = CompileOptions {
        inline: Inline::Never,
        ..CompileOptions::default()
    };
    let artifact = trampette::compile_component(&wat::parse_str(&target.text)?, &options)?;
    let component = artifact.load()?;
    let mut linker = Linker::new();
    if target.name == "a host function" {
        linker
            .root()
            .func_new("f", |_, arguments: &[Val], results: &mut [Val]| {
                results.clone_from_slice(arguments);
                Ok(())
            })?;
    }
    for (thread_stack, limit) in [(1 << 20, 16 << 20), (8 << 20, 256 << 10)] {
        std::thread::scope(|scope| {
            let work = || -> Result<()> {
                let run = |levels, call| {
                    let mut store = Store::new(());
                    store.set_limits(StoreLimits::default().with_stack_bytes(limit));
                    reaches(&mut store, &linker, &component, (levels, call))
                };
                let alone = deepest(|levels| run(levels, false))?;
                let with_target = deepest(|levels| run(levels, true))?;
                ensure!(
                    with_target > 0 && alone < 1 << 19,
                    "{with_target} of {alone} levels"
                );
                // A level takes 16 bytes at least.
                let at_least = target.frames / 200;
                ensure!(
                    (alone - with_target) as usize >= at_least,
                    "frames of {} bytes are only {with_target} to {alone} levels",
                    target.frames
                );
                // Everywhere between, and a bit beyond.
                let step = ((alone - with_target) / 60).max(1);
                let mut levels = with_target.saturating_sub(5);
                while levels < alone + 5 {
                    run(levels, true)?;
                    levels += step;
                }
                Ok(())
            };
            let thread = std::thread::Builder::new().stack_size(thread_stack);
            let result = thread.spawn_scoped(scope, work)?.join();
            result.map_err(|_| anyhow!("it panicked"))?
        })
        .map_err(|error| error.context(format!("{}, stack {thread_stack}", target.name)))?;
    }
    Ok(())
}

#[test]
fn guest_functions() -> Result<()> {
    [100, 1000, 4000]
        .into_iter()
        .try_for_each(|locals| check(&large_frame(locals)))
}

#[test]
fn calls_of_the_host() -> Result<()> {
    [(1, 20), (1, 1000), (32, 1000)]
        .into_iter()
        .try_for_each(|(outer, inner)| check(&lowered(outer, inner)))
}

#[test]
fn calls_between_components() -> Result<()> {
    let kinds = [
        (1, "u8", "i32 "),
        (16, "u64", "i64 "),
        (8, "string", "i32 i32 "),
        (500, "string", "i32 i32 "),
        (900, "u64", "i64 "),
    ];
    kinds
        .into_iter()
        .try_for_each(|(params, ty, flat)| check(&adapter(params, ty, flat)))
}
