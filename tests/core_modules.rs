//! Core modules on their own: compiled to an artifact, instantiated by the runtime's core API.

use anyhow::{Result, bail};
use trampette::{CompileOptions, compile_module};
use trampette_runtime::{Component, CoreHost, CoreInstance, CoreVal, Store, Trap, TrapCode};

fn load(text: &str) -> Result<Component> {
    let wasm = wat::parse_str(text)?;
    let artifact = compile_module(&wasm, &CompileOptions::default())?;
    Component::from_bytes(artifact.bytes())
}

fn instantiate(text: &str) -> Result<(Store<u32>, CoreInstance)> {
    let mut store = Store::new(0);
    let mut host = CoreHost::new();
    host.func(
        "env",
        "add",
        |mut caller: trampette_runtime::Caller<'_, u32>, args| {
            *caller.data_mut() += 1;
            match args {
                [CoreVal::I32(a), CoreVal::I64(b)] => Ok(vec![CoreVal::I64(i64::from(*a) + b)]),
                other => bail!("called with {other:?}"),
            }
        },
    );
    host.func("env", "fail", |_, _| bail!("the host says no"));
    host.func("env", "wrong", |_, _| Ok(vec![CoreVal::F32(0)]));
    let instance = CoreInstance::new(&mut store, &load(text)?, host)?;
    Ok((store, instance))
}

#[test]
fn functions_are_called_and_call_the_host() -> Result<()> {
    let (mut store, instance) = instantiate(
        r#"(module
            (import "env" "add" (func $add (param i32 i64) (result i64)))
            (import "env" "fail" (func $fail))
            (import "env" "wrong" (func $wrong (result i32)))
            (export "add" (func $add))
            (func (export "twice") (param i32 i64) (result i64 f32)
                (call $add (local.get 0) (call $add (local.get 0) (local.get 1)))
                (f32.const 1.5))
            (func (export "fail") (call $fail))
            (func (export "wrong") (result i32) (call $wrong))
            (func (export "trap") unreachable)
            (func (export "vector") (param v128) (result v128)
                (i8x16.add (local.get 0) (local.get 0))))"#,
    )?;
    let arguments = [CoreVal::I32(5), CoreVal::I64(30)];
    let twice = instance.get_func(&store, "twice")?;
    let results = twice.call(&mut store, &arguments)?;
    assert_eq!(results, [CoreVal::I64(40), CoreVal::F32(1.5f32.to_bits())]);
    assert_eq!(*store.data(), 2);
    // A function of the host that is exported again.
    let add = instance.get_func(&store, "add")?;
    assert_eq!(add.call(&mut store, &arguments)?, [CoreVal::I64(35)]);
    let vector = instance.get_func(&store, "vector")?;
    let results = vector.call(&mut store, &[CoreVal::V128([3; 16])])?;
    assert_eq!(results, [CoreVal::V128([6; 16])]);
    for (name, text) in [("fail", "the host says no"), ("wrong", "I32 is expected")] {
        let error = instance.get_func(&store, name)?.call(&mut store, &[]);
        let error = format!("{:?}", error.unwrap_err());
        assert!(error.contains(text), "{error}");
    }
    // Nothing is locked after a trap.
    for _ in 0..2 {
        let error = instance.get_func(&store, "trap")?.call(&mut store, &[]);
        let error = error.unwrap_err();
        let trap = error.downcast_ref::<Trap>().expect("a trap");
        assert_eq!(trap.kind(), TrapCode::Unreachable);
    }
    assert!(twice.call(&mut store, &arguments[..1]).is_err());
    assert!(
        twice
            .call(&mut store, &[arguments[1], arguments[0]])
            .is_err()
    );
    assert_eq!(twice.call(&mut store, &arguments)?.len(), 2);
    assert!(twice.call(&mut Store::new(0), &arguments).is_err());
    assert!(instance.get_func(&store, "missing").is_err());
    Ok(())
}

#[test]
fn memories_tables_and_globals_are_shared_with_the_host() -> Result<()> {
    let (mut store, instance) = instantiate(
        r#"(module
            (memory (export "memory") 1 3)
            (data (i32.const 8) "hello")
            (table (export "table") 2 5 funcref)
            (elem (i32.const 1) func $seven)
            (table (export "externs") 1 externref)
            (global (export "counter") (mut i32) (i32.const 41))
            (global (export "constant") f64 (f64.const 2.5))
            (func $seven (result i32) (i32.const 7))
            (func (export "call") (param i32) (result i32)
                (call_indirect (result i32) (local.get 0)))
            (func (export "count") (result i32) (global.get 5) (drop) (global.get 0))
            (global i32 (i32.const 1)) (global i32 (i32.const 1))
            (global i32 (i32.const 1)) (global i32 (i32.const 1))
            (func (export "load") (param i32) (result i32) (i32.load8_u (local.get 0))))"#,
    )?;
    let memory = instance.get_memory(&store, "memory")?;
    let mut bytes = [0; 5];
    memory.read(&store, 8, &mut bytes)?;
    assert_eq!(&bytes, b"hello");
    memory.write(&mut store, 65535, &[9])?;
    assert!(memory.write(&mut store, 65535, &[9, 9]).is_err());
    assert!(memory.read(&store, u64::MAX, &mut bytes).is_err());
    let load = instance.get_func(&store, "load")?;
    let at = [CoreVal::I32(65535)];
    assert_eq!(load.call(&mut store, &at)?, [CoreVal::I32(9)]);
    assert_eq!(memory.grow(&mut store, 2)?, 1);
    assert!(memory.grow(&mut store, 1).is_err());
    assert_eq!(memory.len(&store)?, 3 << 16);

    let call = instance.get_func(&store, "call")?;
    assert!(call.call(&mut store, &[CoreVal::I32(0)]).is_err());
    let table = instance.get_table(&store, "table")?;
    let seven = table.get(&store, 1)?;
    assert_eq!(table.get(&store, 0)?, CoreVal::FuncRef(None));
    table.set(&mut store, 0, seven)?;
    assert_eq!(
        call.call(&mut store, &[CoreVal::I32(0)])?,
        [CoreVal::I32(7)]
    );
    assert_eq!(table.grow(&mut store, 3, seven)?, 2);
    assert_eq!(
        call.call(&mut store, &[CoreVal::I32(4)])?,
        [CoreVal::I32(7)]
    );
    assert!(table.grow(&mut store, 1, seven).is_err());
    assert!(table.set(&mut store, 5, seven).is_err());
    assert!(table.set(&mut store, 0, CoreVal::ExternRef(None)).is_err());
    let externs = instance.get_table(&store, "externs")?;
    externs.set(&mut store, 0, CoreVal::ExternRef(Some(0)))?;
    assert_eq!(externs.get(&store, 0)?, CoreVal::ExternRef(Some(0)));

    let counter = instance.get_global(&store, "counter")?;
    assert_eq!(counter.get(&store)?, CoreVal::I32(41));
    counter.set(&mut store, CoreVal::I32(-1))?;
    let count = instance.get_func(&store, "count")?;
    assert_eq!(count.call(&mut store, &[])?, [CoreVal::I32(-1)]);
    let constant = instance.get_global(&store, "constant")?;
    assert_eq!(constant.get(&store)?, CoreVal::F64(2.5f64.to_bits()));
    assert!(constant.set(&mut store, CoreVal::F64(0)).is_err());
    Ok(())
}

#[test]
fn imported_memories_and_tables_are_made() -> Result<()> {
    let (mut store, instance) = instantiate(
        r#"(module
            (import "a" "memory" (memory $m 2 4)) (export "memory" (memory $m))
            (import "a" "table" (table 3 funcref))
            (import "a" "global" (global $g (mut i64))) (export "global" (global $g))
            (func $f) (elem (i32.const 2) func $f)
            (data (i32.const 0x1ffff) "z")
            (func (export "size") (result i32 i32) (memory.size) (table.size)))"#,
    )?;
    let size = instance.get_func(&store, "size")?.call(&mut store, &[])?;
    assert_eq!(size, [CoreVal::I32(2), CoreVal::I32(3)]);
    let mut byte = [0];
    let memory = instance.get_memory(&store, "memory")?;
    memory.read(&store, 0x1ffff, &mut byte)?;
    assert_eq!(&byte, b"z");
    let global = instance.get_global(&store, "global")?;
    assert_eq!(global.get(&store)?, CoreVal::I64(0));
    Ok(())
}

#[test]
fn a_trap_of_instantiation_is_an_error() {
    let text = r#"(module (memory 1) (data (i32.const 65536) "x"))"#;
    let error = format!("{:?}", instantiate(text).err().expect("an error"));
    assert!(error.contains("out of bounds memory access"), "{error}");
    let text = r#"(module (func $f unreachable) (start $f))"#;
    let error = format!("{:?}", instantiate(text).err().expect("an error"));
    assert!(error.contains("unreachable"), "{error}");
    let text = r#"(module (import "env" "nowhere" (func)))"#;
    let error = format!("{:?}", instantiate(text).err().expect("an error"));
    assert!(error.contains("nowhere"), "{error}");
    let error = load("(component)").unwrap_err().to_string();
    assert!(error.contains("not a core module"), "{error}");
}
