//! Programs at the specification's limits: compiled in reasonable time and right, or refused with a
//! clear error, never a crash.

#[path = "support/child.rs"]
mod child;

use anyhow::{Result, ensure};
use std::fmt::Write;
use std::process::Command;
use std::time::Duration;
use trampette::CompileOptions;
use trampette::options::Bounds;
use trampette_runtime::{
    Caller, CoreHost, CoreInstance, CoreVal, Linker, Store, StoreLimits, Trap,
};

/// A component whose export `run: func() -> u32` is the core export of the module with these
/// fields.
fn component(fields: &str) -> Result<Vec<u8>> {
    Ok(wat::parse_str(format!(
        r#"(component
            (core module $m {fields})
            (core instance $i (instantiate $m))
            (func (export "run") (result u32) (canon lift (core func $i "run"))))"#
    ))?)
}

/// Compiles and runs; gives the result.
fn run(fields: &str) -> Result<u32> {
    let wasm = component(fields)?;
    let component = trampette::compile_component(&wasm, &CompileOptions::default())?.load()?;
    let mut store = Store::new(());
    let instance = Linker::new().instantiate(&mut store, &component)?;
    let run = instance.get_typed_func::<(), u32>(&mut store, "run")?;
    run.call(&mut store, ())
}

/// The processor time that the command takes to compile.
fn time(fields: &str) -> Result<Duration> {
    let folder = tempfile::tempdir()?;
    let (input, output) = (folder.path().join("in.wasm"), folder.path().join("out.elf"));
    std::fs::write(&input, component(fields)?)?;
    let mut command = Command::new(env!("CARGO_BIN_EXE_trampette"));
    let ended = child::run(command.args(["compile", "-o"]).args([&output, &input]));
    ensure!(ended.status.success(), "{}", ended.message);
    Ok(ended.time)
}

fn functions(count: usize) -> String {
    let mut fields = String::from("(type $t (func (param i32) (result i32)))");
    for i in 0..count {
        write!(
            fields,
            "(func $f{i} (type $t) (i32.add (local.get 0) (i32.const {i})))"
        )
        .unwrap();
    }
    fields.push_str("(table funcref (elem");
    for i in 0..count {
        write!(fields, " $f{i}").unwrap();
    }
    write!(
        fields,
        ")) (func (export \"run\") (result i32)
            (call_indirect (type $t) (i32.const 1) (i32.const {})))",
        count - 1
    )
    .unwrap();
    fields
}

#[test]
fn fifty_thousand_functions_in_linear_time() -> Result<()> {
    let (small, large) = (functions(12_500), functions(50_000));
    assert_eq!((run(&small)?, run(&large)?), (12_500, 50_000));
    let (small, large) = (time(&small)?, time(&large)?);
    println!("12,500 functions: {small:?}; 50,000 functions: {large:?}");
    // Four times the work; far from the sixteen times of a quadratic step, with room for noise.
    assert!(
        large < small * 10,
        "{small:?} for 12,500 functions, {large:?} for 50,000"
    );
    Ok(())
}

#[test]
fn a_branch_table_with_ten_thousand_cases() -> Result<()> {
    const CASES: usize = 10_000;
    let mut fields = String::from("(func $switch (param i32) (result i32)");
    fields.push_str(&"(block ".repeat(CASES));
    fields.push_str("(br_table");
    for i in 0..CASES {
        write!(fields, " {i}").unwrap();
    }
    fields.push_str(" (local.get 0))");
    for i in 0..CASES {
        write!(fields, ") (return (i32.const {}))", i * 3).unwrap();
    }
    fields.push_str(
        "(i32.const 1)) (func (export \"run\") (result i32) (call $switch (i32.const 7777)))",
    );
    assert_eq!(run(&fields)?, 23_331);
    Ok(())
}

#[test]
fn a_function_too_large_for_the_backtracking_register_allocator() -> Result<()> {
    // `bench/src/bin/compile_curve.rs` shows that the time is linear.
    let mut fields = String::from("(func (export \"run\") (result i32) (local i32 i32 i32)");
    for i in 0..15_000 {
        write!(
            fields,
            "(block (br_if 0 (i32.and (local.get 0) (i32.const 3)))
               (local.set 1 (i32.add (local.get 1) (local.get 2))))
             (local.set {} (i32.add (local.get 0) (i32.const 1)))",
            i % 2 * 2
        )
        .unwrap();
    }
    fields.push_str("(local.get 1))");
    let (mut first, mut second, mut third) = (0u32, 0u32, 0u32);
    for i in 0..15_000 {
        if first & 3 == 0 {
            second = second.wrapping_add(third);
        }
        *(if i % 2 == 0 { &mut first } else { &mut third }) = first + 1;
    }
    assert_eq!(run(&fields)?, second);
    Ok(())
}

#[test]
fn loops_are_nested_up_to_a_limit() -> Result<()> {
    let nest = |depth: usize| {
        let (open, close) = ("(loop ".repeat(depth), ")".repeat(depth));
        format!(
            "(func (export \"run\") (result i32) {open} (nop) {close} (i32.const {depth}))
             (func (loop (loop)) (loop))"
        )
    };
    assert_eq!(run(&nest(5_000))?, 5_000);
    let error = run(&nest(5_001)).expect_err("too deep");
    let error = format!("{error:#}");
    assert!(
        error.contains("loops are nested more than 5000 deep at offset 0x"),
        "{error}"
    );
    Ok(())
}

#[test]
fn a_hundred_thousand_instructions_and_fifty_thousand_locals() -> Result<()> {
    let mut fields = String::from("(func (export \"run\") (result i32) (local ");
    fields.push_str(&"i32 ".repeat(49_999));
    fields.push(')');
    for i in 0..25_000 {
        let local = i * 2;
        write!(
            fields,
            "(local.set {local} (i32.add (local.get {}) (i32.const 3)))",
            (i32::max(local - 2, 0))
        )
        .unwrap();
    }
    fields.push_str("(local.get 49998))");
    assert_eq!(run(&fields)?, 75_000);
    Ok(())
}

#[test]
fn a_thousand_parameters_and_results() -> Result<()> {
    let types = "i32 ".repeat(1000);
    let mut fields = format!("(func $f (param {types}) (result {types})");
    for i in 0..1000 {
        write!(fields, "(local.get {})", 999 - i).unwrap();
    }
    fields.push_str(") (func (export \"run\") (result i32)");
    for i in 0..1000 {
        write!(fields, "(i32.const {})", i * i).unwrap();
    }
    // The results come back in the opposite order: subtracting tells the order.
    fields.push_str("(call $f)");
    fields.push_str(&"i32.sub ".repeat(999));
    fields.push(')');
    // f reverses: r0 = 999^2, …, r999 = 0, and the subtractions nest from the right.
    let mut expected = 0i64;
    for i in (0..1000).rev() {
        let value = (999 - i) * (999 - i);
        expected = value - expected;
    }
    assert_eq!(run(&fields)?, expected as u32);
    Ok(())
}

#[test]
fn more_than_the_limits_is_refused() -> Result<()> {
    let types = "i32 ".repeat(1001);
    let wasm = component(&format!("(func (export \"run\") (param {types}))"));
    let error = trampette::compile_component(&wasm?, &CompileOptions::default());
    let text = format!("{:#}", error.expect_err("too many parameters"));
    assert!(text.contains("offset 0x"), "{text}");

    let locals = "(local i64) ".repeat(50_001);
    let wasm = component(&format!(
        "(func (export \"run\") (result i32) {locals} (i32.const 1))"
    ));
    let error = trampette::compile_component(&wasm?, &CompileOptions::default());
    let text = format!("{:#}", error.expect_err("too many locals"));
    assert!(text.contains("locals"), "{text}");
    Ok(())
}

#[test]
fn deep_recursion_is_a_trap() -> Result<()> {
    for frame in [
        "",
        "(local i64 i64 i64) (drop (i64.add (local.get 0) (local.get 1)))",
    ] {
        let fields = format!(
            "(func $deep (result i32) {frame} (i32.add (call $deep) (i32.const 1)))
             (func (export \"run\") (result i32) (call $deep))"
        );
        let error = run(&fields).expect_err("it never ends");
        assert!(error.downcast_ref::<Trap>().is_some(), "{error:#}");
        assert!(
            format!("{error:#}").contains("call stack exhausted"),
            "{error:#}"
        );
    }
    Ok(())
}

/// What a host function of [`host_and_guest_call_each_other_until_the_stack_ends`] needs.
#[derive(Default)]
struct Recursion {
    instance: Option<CoreInstance>,
    deepest: u32,
}

#[test]
fn host_and_guest_call_each_other_until_the_stack_ends() -> Result<()> {
    let wasm = wat::parse_str(
        r#"(module
            (import "host" "again" (func $again (param i32) (result i32)))
            (func (export "call") (param i32) (result i32)
                (i32.add (i32.const 1) (call $again (local.get 0))))
            (func $deep (export "deep") (result i32) (i32.add (i32.const 1) (call $deep))))"#,
    )?;
    let artifact = trampette::compile_module(&wasm, &CompileOptions::default())?;
    let module = artifact.load()?;
    let mut store = Store::new(Recursion::default());
    store.set_limits(StoreLimits::default().with_stack_bytes(512 << 10));
    let mut host = CoreHost::new();
    host.func(
        "host",
        "again",
        |mut caller: Caller<'_, Recursion>, args| {
            let CoreVal::I32(left) = args[0] else {
                anyhow::bail!("not a number");
            };
            if left == 0 {
                return Ok(vec![CoreVal::I32(0)]);
            }
            caller.data_mut().deepest += 1;
            let instance = caller.data().instance;
            let instance = instance.ok_or_else(|| anyhow::anyhow!("no instance yet"))?;
            let call = instance.get_func(&caller, "call")?;
            call.call(&mut caller, &[CoreVal::I32(left - 1)])
        },
    );
    let instance = CoreInstance::new(&mut store, &module, host)?;
    store.data_mut().instance = Some(instance);
    let call = instance.get_func(&store, "call")?;
    // A hundred levels are no problem, before and after the stack has ended.
    for _ in 0..2 {
        let results = call.call(&mut store, &[CoreVal::I32(100)])?;
        assert_eq!(results, [CoreVal::I32(101)]);
        store.data_mut().deepest = 0;
        let error = call.call(&mut store, &[CoreVal::I32(i32::MAX)]);
        let error = format!("{:#}", error.expect_err("the stack ends"));
        assert!(error.contains("call stack exhausted"), "{error}");
        assert!(store.data().deepest > 100, "{}", store.data().deepest);
    }
    let deep = instance.get_func(&store, "deep")?;
    let error = deep.call(&mut store, &[]).expect_err("it never ends");
    assert!(error.downcast_ref::<Trap>().is_some(), "{error:#}");
    Ok(())
}

/// 64-bit memories of more than 4 GiB, as far as the host lets them: from the start or grown,
/// beside others, and made again for the next instance. Only a few pages are touched.
#[test]
fn memories_of_more_than_4_gib() -> Result<()> {
    const GIB: u64 = 1 << 30;
    let accesses = |memory: &str| {
        format!(
            r#"(data {memory} (i64.const 0xffff_fffe) "abcd")
            (func (export "grow") (param i64) (result i64) (memory.grow {memory} (local.get 0)))
            (func (export "load") (param i64) (result i32)
                (i32.load8_u {memory} (local.get 0)))
            (func (export "store") (param i64)
                (i32.store8 {memory} (local.get 0) (i32.const 7)))"#
        )
    };
    let modules = [
        format!("(module (memory i64 73728) {})", accesses("")),
        format!("(module (memory i64 73728) (memory 1) {})", accesses("")),
        format!(
            "(module (memory 1) (memory $m i64 73728 80000) {})",
            accesses("$m").replace("(data $m", "(data (memory $m)")
        ),
    ];
    for (module, bounds) in modules
        .iter()
        .flat_map(|module| [(module, Bounds::Guard), (module, Bounds::Explicit)])
    {
        let options = CompileOptions {
            bounds,
            ..CompileOptions::default()
        };
        let artifact = trampette::compile_module(&wat::parse_str(module)?, &options)?;
        let module = artifact.load()?;
        let mut refused = Store::new(());
        let error = CoreInstance::new(&mut refused, &module, CoreHost::new());
        let error = format!("{:#}", error.expect_err("4 GiB are the default"));
        assert!(error.contains("the store's limit is 4294967296"), "{error}");
        for _ in 0..2 {
            let mut store = Store::new(());
            let limits = StoreLimits::default();
            let limits = limits.with_memory_bytes(19 * GIB / 4);
            store.set_limits(limits.with_total_memory_bytes(6 * GIB));
            let instance = CoreInstance::new(&mut store, &module, CoreHost::new())?;
            let mut call = |name: &str, argument: u64| {
                let func = instance.get_func(&store, name)?;
                let results = func.call(&mut store, &[CoreVal::I64(argument as i64)])?;
                anyhow::Ok(results.first().cloned())
            };
            let load = |byte: u8| Some(CoreVal::I32(byte.into()));
            for (place, byte) in [(-2, b'a'), (0, b'c'), (1, b'd'), (2, 0)] {
                let place = (4 * GIB).wrapping_add_signed(place);
                assert_eq!(call("load", place)?, load(byte));
            }
            let end = 9 * GIB / 2;
            assert_eq!(call("load", end - 1)?, load(0));
            assert!(call("load", end).is_err());
            assert_eq!(call("grow", 4097)?, Some(CoreVal::I64(-1)));
            assert_eq!(call("grow", 4096)?, Some(CoreVal::I64(73728)));
            for place in [end, end + GIB / 4 - 1] {
                assert_eq!(call("load", place)?, load(0));
                call("store", place)?;
                assert_eq!(call("load", place)?, load(7));
                assert_eq!(call("load", place - 4 * GIB)?, load(0));
            }
            for place in [end + GIB / 4, 63 * GIB, u64::MAX] {
                assert!(call("store", place).is_err());
            }
            call("store", 4 * GIB)?;
        }
    }
    Ok(())
}
