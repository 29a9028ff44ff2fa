//! Core modules on their own: compiled to an artifact, instantiated by the runtime's core API.

use anyhow::{Result, bail};
use trampette::{CompileOptions, compile_module};
use trampette_runtime::{
    Component, CoreHost, CoreInstance, CoreVal, SharedMemory, Store, Trap, TrapCode,
};

/// The text of a module of `tests/components/core-modules`.
fn fixture(name: &str) -> Result<String> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/components/core-modules");
    Ok(std::fs::read_to_string(format!("{folder}/{name}.wat"))?)
}

fn load(text: &str) -> Result<Component> {
    let wasm = wat::parse_str(text)?;
    let artifact = compile_module(&wasm, &CompileOptions::default())?;
    artifact.load()
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
    let (mut store, instance) = instantiate(&fixture("calls")?)?;
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
    let (mut store, instance) = instantiate(&fixture("shared")?)?;
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
fn errors_name_the_export_and_the_place() -> Result<()> {
    let (mut store, instance) = instantiate(&fixture("exports")?)?;
    let text = |error: anyhow::Error| format!("{error:#}");
    let lookups = [
        (
            instance.get_func(&store, "g").err(),
            "there is no export `g`",
        ),
        (
            instance.get_func(&store, "memory").err(),
            "the export `memory` is not a function",
        ),
        (
            instance.get_memory(&store, "f").err(),
            "the export `f` is not a memory",
        ),
        (
            instance.get_table(&store, "memory").err(),
            "the export `memory` is not a table",
        ),
        (
            instance.get_global(&store, "table").err(),
            "the export `table` is not a global",
        ),
        (
            instance.get_func(&store, "tag").err(),
            "the export `tag` is a tag",
        ),
    ];
    for (error, expected) in lookups {
        assert_eq!(error.map(text).as_deref(), Some(expected));
    }
    let f = instance.get_func(&store, "f")?;
    let memory = instance.get_memory(&store, "memory")?;
    let table = instance.get_table(&store, "table")?;
    let constant = instance.get_global(&store, "constant")?;
    let variable = instance.get_global(&store, "variable")?;
    let one = CoreVal::I32(1);
    let uses = [
        (
            f.call(&mut store, &[one]).err(),
            "1 arguments are given to a function with 2 parameters",
        ),
        (
            f.call(&mut store, &[one, one]).err(),
            "I32(1) is given where I64 is expected",
        ),
        (
            memory.write(&mut store, 65535, &[1, 2]).err(),
            "2 bytes from 0xffff are not in a memory of 0x10000 bytes",
        ),
        (
            memory.grow(&mut store, 1).err(),
            "the memory cannot grow by 1 pages",
        ),
        (
            table.get(&store, 2).err(),
            "entry 2 is not in a table of 2 entries",
        ),
        (
            table.grow(&mut store, 1, CoreVal::FuncRef(None)).err(),
            "the table cannot grow by 1 entries",
        ),
        (
            constant.set(&mut store, one).err(),
            "the global is immutable",
        ),
        (
            variable.set(&mut store, CoreVal::I64(1)).err(),
            "I64(1) is given where I32 is expected",
        ),
    ];
    for (error, expected) in uses {
        assert_eq!(error.map(text).as_deref(), Some(expected));
    }
    let mut other = Store::new(0);
    let error = f.call(&mut other, &[one, CoreVal::I64(1)]).unwrap_err();
    assert_eq!(text(error), "the core instance is of another store");

    let needs = load(r#"(module (import "env" "f" (func (param i32))))"#)?;
    let error = CoreInstance::new(&mut store, &needs, CoreHost::new()).unwrap_err();
    assert_eq!(text(error), "unknown import: `env` `f`");
    let component =
        trampette::compile_component(&wat::parse_str("(component)")?, &CompileOptions::default())?;
    let component = component.load()?;
    let error = CoreInstance::new(&mut store, &component, CoreHost::new()).unwrap_err();
    assert_eq!(
        text(error),
        "the artifact is a component, not a core module"
    );
    Ok(())
}

#[test]
fn imported_memories_and_tables_are_made() -> Result<()> {
    let (mut store, instance) = instantiate(&fixture("imports")?)?;
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

/// Compiles a module with others bound to its imports.
fn load_bound(text: &str, bound: &[(&str, &str)]) -> Result<Component> {
    let mut options = CompileOptions::default();
    for (name, text) in bound {
        let module = wat::parse_str(text)?;
        options.core_modules.insert(name.to_string(), module);
    }
    let artifact = compile_module(&wat::parse_str(text)?, &options)?;
    artifact.load()
}

fn bound_error(text: &str, bound: &[(&str, &str)]) -> String {
    format!("{:#}", load_bound(text, bound).unwrap_err())
}

#[test]
fn imports_are_bound_to_modules_when_compiling() -> Result<()> {
    let library = &fixture("library")?;
    let base = r#"(module (global (export "seed") i32 (i32.const 100)))"#;
    let text = &fixture("program")?;
    let component = load_bound(text, &[("library", library), ("base", base)])?;
    let mut store = Store::new(Vec::new());
    let mut host = CoreHost::new();
    host.func(
        "host",
        "log",
        |mut caller: trampette_runtime::Caller<'_, Vec<CoreVal>>, args| {
            caller.data_mut().push(args[0]);
            Ok(Vec::new())
        },
    );
    let instance = CoreInstance::new(&mut store, &component, host)?;
    let run = instance.get_func(&store, "run")?;
    let results = run.call(&mut store, &[])?;
    let expected = [0x6968, 101, 101, 7].map(CoreVal::I32);
    assert_eq!(results, expected);
    assert_eq!(store.data()[..], [CoreVal::I32(105), CoreVal::I32(7)]);
    // Only the module's own exports are.
    assert!(instance.get_func(&store, "add").is_err());
    Ok(())
}

#[test]
fn bound_modules_must_fit() {
    let memory = r#"(module (memory (export "x") 1 2))"#;
    let wants = |import: &str| format!(r#"(module (import "a" "x" {import}))"#);
    let error = bound_error(&wants("(memory 1 1)"), &[("a", memory)]);
    assert_eq!(error, "incompatible import type of `a` `x`");
    let error = bound_error(&wants("(memory 2 2)"), &[("a", memory)]);
    assert_eq!(
        error,
        "it is smaller than the import demands: incompatible import type of `a` `x`"
    );
    let error = bound_error(&wants("(func)"), &[("a", memory)]);
    assert_eq!(error, "incompatible import type of `a` `x`");
    let error = bound_error(&wants("(memory 1)"), &[("a", "(module)")]);
    assert_eq!(error, "unknown import `a` `x`");
    let error = bound_error("(module)", &[("a", "(module)")]);
    assert_eq!(
        error,
        "no module imports from `a`, which is bound to a core module"
    );
    let circle = r#"(module (import "a" "x" (func)) (export "x" (func 0)))"#;
    let error = bound_error(&wants("(func)"), &[("a", circle)]);
    assert!(error.contains("in a circle through `a`"), "{error}");
}

#[test]
fn hosts_give_imported_globals_their_values() -> Result<()> {
    let component = load(&fixture("relocated")?)?;
    let mut store = Store::new(());
    let host = |without: &str| {
        let mut host = CoreHost::new();
        let values = [
            ("__memory_base", CoreVal::I32(0x400)),
            ("__table_base", CoreVal::I32(5)),
            ("v", CoreVal::V128([8; 16])),
            ("ref", CoreVal::ExternRef(Some(1))),
            ("stack", CoreVal::I64(-2)),
        ];
        for (name, value) in values.into_iter().filter(|(name, _)| *name != without) {
            host.global("env", name, value);
        }
        host
    };
    let instance = CoreInstance::new(&mut store, &component, host(""))?;
    let run = instance.get_func(&store, "run")?;
    let expected = [
        CoreVal::I32(3),
        CoreVal::I32(0x808),
        CoreVal::V128([8; 16]),
        CoreVal::I64(-2),
        CoreVal::F64(0),
        CoreVal::I32(0),
    ];
    assert_eq!(run.call(&mut store, &[])?, expected);
    let mut bytes = [0; 4];
    let memory = instance.get_memory(&store, "memory")?;
    memory.read(&store, 0x400, &mut bytes)?;
    assert_eq!(&bytes, b"data");
    let error = CoreInstance::new(&mut store, &component, host("__memory_base")).unwrap_err();
    assert_eq!(
        format!("{error:#}"),
        "unknown import: `env` `__memory_base`; an immutable global needs a value"
    );
    let mut wrong = host("");
    wrong.global("env", "v", CoreVal::I32(1));
    let error = CoreInstance::new(&mut store, &component, wrong).unwrap_err();
    assert!(format!("{error:#}").starts_with("incompatible import type of `env` `v`: "));
    let text = r#"(module (import "env" "f" (global $f funcref)) (table 1 funcref)
        (elem (i32.const 0) funcref (global.get $f)))"#;
    let error = format!("{:#}", load(text).unwrap_err());
    assert!(error.contains("must be bound to a module"), "{error}");
    Ok(())
}

#[test]
fn stores_on_several_threads_share_a_memory() -> Result<()> {
    let component = load(&fixture("threads")?)?;
    let memory = SharedMemory::new(1, 2)?;
    let instantiate = |memories: &[SharedMemory]| -> Result<(Store<()>, CoreInstance)> {
        let mut store = Store::new(());
        let mut host = CoreHost::new();
        host.memory("env", "memory", memory.clone());
        host.share_memories(memories.to_vec());
        let instance = CoreInstance::new(&mut store, &component, host)?;
        Ok((store, instance))
    };
    std::thread::scope(|scope| {
        let run = || -> Result<Vec<CoreVal>> {
            let (mut store, instance) = instantiate(&[])?;
            let run = instance.get_func(&store, "run")?;
            run.call(&mut store, &[CoreVal::I32(1000)])
        };
        let threads = [scope.spawn(run), scope.spawn(run)];
        for thread in threads {
            let result = thread.join().expect("no panic").unwrap();
            assert_eq!(result, [CoreVal::I32(5)]);
        }
        // The host notifies.
        let waiting = scope.spawn(|| -> Result<Vec<CoreVal>> {
            let (mut store, instance) = instantiate(&[])?;
            let wait = instance.get_func(&store, "wait")?;
            wait.call(&mut store, &[])
        });
        while memory.atomic_notify(16, 1).unwrap() == 0 {
            std::thread::yield_now();
        }
        let result = waiting.join().expect("no panic").unwrap();
        assert_eq!(result, [CoreVal::I32(0)]);
    });
    let mut count = [0; 4];
    memory.read(8, &mut count)?;
    assert_eq!(u32::from_le_bytes(count), 2000);

    // Another instance of the same artifact, with all its shared memories.
    let (mut store, first) = instantiate(&[])?;
    let other = first.get_memory(&store, "other")?;
    let (second_store, second) = instantiate(&first.shared_memories(&store)?)?;
    other.write(&mut store, 100, b"seen")?;
    let mut bytes = [0; 4];
    let same = second.get_memory(&second_store, "other")?;
    same.read(&second_store, 100, &mut bytes)?;
    assert_eq!(&bytes, b"seen");
    assert!(other.shared(&store)?.is_some());

    let mut host = CoreHost::new();
    host.memory("env", "memory", SharedMemory::new(1, 3)?);
    let error = CoreInstance::new(&mut store, &component, host).unwrap_err();
    assert!(format!("{error:#}").contains("incompatible import type"));
    assert!(SharedMemory::new(3, 2).is_err() && SharedMemory::new(0, 1 << 17).is_err());
    Ok(())
}

/// Runs the command line; gives what it prints, or its error.
fn trampette(arguments: &[&str]) -> Result<String> {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_trampette"))
        .args(arguments)
        .output()?;
    match output.status.success() {
        true => Ok(String::from_utf8(output.stdout)?),
        false => bail!("{}", String::from_utf8_lossy(&output.stderr)),
    }
}

#[test]
fn the_command_line_compiles_calls_and_inspects_core_modules() -> Result<()> {
    let folder = tempfile::TempDir::new()?;
    let file = |name: &str| {
        format!(
            "{}/tests/components/core-modules/{name}.wat",
            env!("CARGO_MANIFEST_DIR")
        )
    };
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (module, library, artifact) = (path("m.wat"), file("twice"), path("m.elf"));
    std::fs::copy(file("command"), &module)?;
    let bound = format!("lib={library}");
    trampette(&["compile", "--core-module", &bound, &module])?;
    let run = |call: &str| trampette(&["run", "--precompiled", "--invoke", call, &artifact]);
    assert_eq!(run("f(21, -3, 1.5, -2.5)")?, "(42, -3, 1.5, -2.5)\n");
    assert_eq!(run("one(4294967295)")?, "-1\n");
    assert_eq!(run("none()")?, "()\n");
    let text = trampette(&[
        "run",
        "--core-module",
        &bound,
        "--invoke",
        "one(7)",
        &module,
    ])?;
    assert_eq!(text, "7\n");
    let error = |call: &str| run(call).unwrap_err().to_string();
    assert!(error("trap()").contains("unreachable"));
    assert!(error("one(4294967296)").contains("out of the range of i32"));
    assert!(error("one()").contains("one"));
    assert!(error("missing()").contains("no exported function `missing`"));
    let inspected = trampette(&["inspect", &artifact])?;
    for line in [
        r#"  "f": func (i32 i64 f32 f64) -> (i32 i64 f32 f64)"#,
        r#"  "memory": memory0"#,
        r#"  "count": global (mut i64)"#,
    ] {
        assert!(inspected.contains(line), "{inspected}");
    }
    let inspected = trampette(&["inspect", "--world", &module])?;
    let import = r#"core imports:
  "lib" "twice": func (i32) -> (i32)"#;
    assert!(inspected.contains(import), "{inspected}");
    let no_command = trampette(&["run", "--precompiled", &artifact])
        .unwrap_err()
        .to_string();
    assert!(no_command.contains("--invoke"), "{no_command}");
    Ok(())
}
