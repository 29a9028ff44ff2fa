//! What a guest can make its host spend counts against a limit of its store, before it is spent,
//! and the error names the limit.

use anyhow::Result;
use trampette::CompileOptions;
use trampette_runtime::{
    Component, CoreHost, CoreInstance, CoreVal, LimitReached, Linker, Name, Store, StoreLimits,
    Trap, TrapCode, Val,
};

fn compile(name: &str) -> Component {
    let root = env!("CARGO_MANIFEST_DIR");
    let path = format!("{root}/tests/components/ledger/{name}.wat");
    let wasm = wat::parse_file(path).unwrap();
    let options = CompileOptions::default();
    let artifact = match name {
        "memories" => trampette::compile_module(&wasm, &options),
        _ => trampette::compile_component(&wasm, &options),
    };
    artifact.unwrap().load().unwrap()
}

/// Asserts that a call was refused for that reason, and says so.
fn refused<T: std::fmt::Debug>(result: Result<T>, code: TrapCode, limit: &str) {
    let error = result.expect_err("it is refused");
    let trap = error.downcast_ref::<Trap>();
    let trap = trap.unwrap_or_else(|| panic!("{error:?}"));
    assert_eq!(trap.kind(), code, "{error:#}");
    let text = trap.to_string();
    let first = text.lines().next().unwrap_or_default();
    assert!(first.ends_with(&format!("({limit})")), "{text}");
}

/// Bytes that this process has held at most.
fn most_memory() -> u64 {
    // SAFETY: plain data, which the call fills.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        assert_eq!(libc::getrusage(libc::RUSAGE_SELF, &mut usage), 0);
        usage
    };
    usage.ru_maxrss as u64 * 1024
}

/// Asserts that something takes no more than so many MiB.
fn within<R>(mebibytes: u64, action: impl FnOnce() -> R) -> R {
    let before = most_memory();
    let result = action();
    let more = (most_memory() - before) >> 20;
    assert!(more <= mebibytes, "{more} MiB more");
    result
}

#[test]
fn lends_count() {
    let component = compile("lends");
    let call = |store: &mut Store<()>, lists, handles| {
        let instance = Linker::new().instantiate(&mut *store, &component)?;
        let run = instance.get_typed_func::<(u32, u32), ()>(&mut *store, "run")?;
        run.call(store, (lists, handles))
    };
    let mut store = Store::new(());
    for _ in 0..100 {
        // What is given back does not count any more.
        call(&mut store, 10, 10_000).unwrap();
    }
    // 1.5 GB, if nothing counted them.
    let result = within(200, || call(&mut store, 64, 1_000_000));
    refused(result, TrapCode::BookkeepingLimit, "64 MiB");
    let mut store = Store::new(());
    store.set_limits(StoreLimits::default().with_bookkeeping_bytes(1000));
    refused(
        call(&mut store, 10, 1000),
        TrapCode::BookkeepingLimit,
        "1000 bytes",
    );
}

fn values(component: &Component) -> (Store<usize>, trampette_runtime::Instance) {
    let mut linker = Linker::<usize>::new();
    let mut root = linker.root();
    root.func_wrap::<(Vec<String>,), (), _>("take", |mut caller, (texts,)| {
        *caller.data_mut() = texts.len();
        Ok(())
    })
    .unwrap();
    let mut store = Store::new(0);
    let instance = linker.instantiate(&mut store, component).unwrap();
    (store, instance)
}

#[test]
fn dynamic_values_count() {
    let component = compile("values");
    let call = |store: &mut Store<usize>, instance: &trampette_runtime::Instance, name, count| {
        let func = instance.get_func(&mut *store, name).unwrap();
        func.call(store, &[Val::U32(count)])
    };
    let (mut store, instance) = values(&component);
    for _ in 0..5 {
        call(&mut store, &instance, "bytes", 1 << 20).unwrap();
        call(&mut store, &instance, "points", 1 << 20).unwrap();
        call(&mut store, &instance, "texts", 1000).unwrap();
    }
    for (name, count) in [
        ("bytes", 32 << 20),
        ("points", 32 << 20),
        ("texts", 1 << 20),
    ] {
        let (mut store, instance) = values(&component);
        let result = within(400, || call(&mut store, &instance, name, count));
        refused(result, TrapCode::ValueLimit, "256 MiB");
        // The guest has done nothing wrong.
        call(&mut store, &instance, name, 1).unwrap();
        store.set_limits(StoreLimits::default().with_value_bytes(1000));
        let result = call(&mut store, &instance, name, 100);
        refused(result, TrapCode::ValueLimit, "1000 bytes");
    }
}

/// However long names are, and however many values have them: they are there once.
#[test]
fn names_are_shared() {
    const COUNT: usize = 20_000;
    let long = |name: &str| format!("{name}-{}", "long".repeat(250));
    let (field, other, case, flag) = (long("a"), long("b"), long("c"), long("d"));
    let text = format!(
        r#"(component
            (core module $m
                (memory (export "memory") 2)
                (func (export "run") (result i32)
                    (memory.fill (i32.const 64) (i32.const 1) (i32.const {COUNT}))
                    (memory.fill (i32.const 65536) (i32.const 0) (i32.const {COUNT}))
                    (i32.store (i32.const 0) (i32.const 64))
                    (i32.store (i32.const 4) (i32.const {COUNT}))
                    (i32.store (i32.const 8) (i32.const 65536))
                    (i32.store (i32.const 12) (i32.const {COUNT}))
                    (i32.store (i32.const 16) (i32.const 64))
                    (i32.store (i32.const 20) (i32.const {COUNT}))
                    (i32.const 0)))
            (core instance $m (instantiate $m))
            (type $enum' (enum "x" "{case}")) (export $enum "e" (type $enum'))
            (type $record' (record (field "{field}" u8))) (export $record "r" (type $record'))
            (type $flags' (flags "{flag}")) (export $flags "f" (type $flags'))
            (type $variant' (variant (case "y") (case "{other}")))
            (export $variant "v" (type $variant'))
            (func (export "run") (result (tuple (list $enum) (list $record) (list $flags)))
                (canon lift (core func $m "run") (memory (core memory $m "memory"))))
            (func (export "variants") (result (tuple (list $variant)))
                (canon lift (core func $m "run") (memory (core memory $m "memory")))))"#
    );
    let artifact =
        trampette::compile_component(&wat::parse_str(text).unwrap(), &CompileOptions::default());
    let component = artifact.unwrap().load().unwrap();
    let linker = Linker::<()>::new();
    // What is charged for each: itself, a field, a flag (two words), the variants.
    let (val, field_bytes) = (size_of::<Val>(), size_of::<(Name, Val)>());
    for (name, bytes) in [
        (
            "run",
            COUNT * (3 * val + field_bytes + size_of::<Name>()) + 3 * val,
        ),
        ("variants", COUNT * val + val),
    ] {
        let mut store = Store::new(());
        let instance = linker.instantiate(&mut store, &component).unwrap();
        let func = instance.get_func(&mut store, name).unwrap();
        store.set_limits(StoreLimits::default().with_value_bytes(bytes as u64));
        let results = func.call(&mut store, &[]).unwrap();
        let [Val::Tuple(lists)] = results.as_slice() else {
            panic!("{name} gives lists");
        };
        let mut names = std::collections::HashMap::new();
        for list in lists {
            let Val::List(values) = list else {
                panic!("{list:?}")
            };
            assert_eq!(values.len(), COUNT);
            for value in values {
                let name = match value {
                    Val::Enum(name) | Val::Variant(name, _) => name,
                    Val::Record(fields) => &fields[0].0,
                    Val::Flags(names) => &names[0],
                    other => panic!("{other:?}"),
                };
                assert_eq!(name.len(), 1002);
                *names.entry(name.as_ptr()).or_insert(0) += 1;
            }
        }
        assert_eq!(names.len(), lists.len(), "one for each type");
        assert!(names.values().all(|count| *count == COUNT));
        // And that is exactly what is charged.
        store.set_limits(StoreLimits::default().with_value_bytes(bytes as u64 - 1));
        let result = func.call(&mut store, &[]);
        refused(
            result,
            TrapCode::ValueLimit,
            &format!("{} bytes", bytes - 1),
        );
    }
}

#[test]
fn owned_values_count() {
    let component = compile("values");
    let (mut store, instance) = values(&component);
    let texts = instance
        .get_typed_func::<(u32,), Vec<String>>(&mut store, "texts")
        .unwrap();
    let bytes = instance
        .get_typed_func::<(u32,), Vec<u8>>(&mut store, "bytes")
        .unwrap();
    for _ in 0..5 {
        assert_eq!(texts.call(&mut store, (1000,)).unwrap().len(), 1000);
        assert_eq!(bytes.call(&mut store, (32 << 20,)).unwrap().len(), 32 << 20);
    }
    let result = within(400, || texts.call(&mut store, (1 << 20,)));
    refused(result, TrapCode::ValueLimit, "256 MiB");
    store.set_limits(StoreLimits::default().with_value_bytes(10_000));
    refused(
        texts.call(&mut store, (3,)),
        TrapCode::ValueLimit,
        "10000 bytes",
    );
    refused(
        bytes.call(&mut store, (10_001,)),
        TrapCode::ValueLimit,
        "10000 bytes",
    );
    assert_eq!(texts.call(&mut store, (2,)).unwrap()[1].len(), 4096);
    // Views are not owned.
    let length = texts.call_view(&mut store, (1 << 20,), |texts| Ok(texts.len()));
    assert_eq!(length.unwrap(), 1 << 20);
}

#[test]
fn strings_that_alias_count() {
    let component = compile("values");
    let (mut store, instance) = values(&component);
    let give = instance
        .get_typed_func::<(u32,), ()>(&mut store, "give")
        .unwrap();
    give.call(&mut store, (1000,)).unwrap();
    assert_eq!(*store.data(), 1000);
    let result = within(300, || give.call(&mut store, (1 << 20,)));
    refused(result, TrapCode::ArenaLimit, "128 MiB");
}

fn memories() -> (Store<()>, CoreInstance, Component) {
    let component = compile("memories");
    let mut store = Store::new(());
    let instance = CoreInstance::new(&mut store, &component, CoreHost::new()).unwrap();
    (store, instance, component)
}

fn grow(store: &mut Store<()>, instance: &CoreInstance, name: &str, by: i32) -> i32 {
    let func = instance.get_func(store, name).unwrap();
    match func.call(store, &[CoreVal::I32(by)]).unwrap()[..] {
        [CoreVal::I32(old)] => old,
        ref other => panic!("{other:?}"),
    }
}

#[test]
fn all_memories_and_tables_count_together() {
    let (mut store, instance, component) = memories();
    // Ten pages, of which two are there, and the ten entries of the table.
    let total = (10 << 16) + 40;
    store.set_limits(StoreLimits::default().with_total_memory_bytes(total));
    assert_eq!(grow(&mut store, &instance, "grow-a", 5), 1);
    assert_eq!(store.limit_reached(), None);
    assert_eq!(grow(&mut store, &instance, "grow-b", 4), -1);
    let reached = LimitReached::TotalMemory { limit: total };
    assert_eq!(store.limit_reached(), Some(reached));
    assert_eq!(grow(&mut store, &instance, "grow-b", 2), 1);
    assert_eq!(grow(&mut store, &instance, "grow-t", (1 << 14) + 1), -1);
    assert_eq!(grow(&mut store, &instance, "grow-t", 100), 10);
    assert_eq!(grow(&mut store, &instance, "grow-b", 1), -1);
    // What was refused for another reason does not count.
    for _ in 0..10 {
        assert_eq!(grow(&mut store, &instance, "grow-a", i32::MAX), -1);
    }
    assert_eq!(grow(&mut store, &instance, "grow-a", 0), 6);
    let another = CoreInstance::new(&mut store, &component, CoreHost::new());
    let error = another.unwrap_err().to_string();
    let expected = format!("the limit of {total} bytes for all memories and tables of a store");
    assert!(error.starts_with(&expected), "{error}");
}

#[test]
fn limits_are_set_one_by_one() {
    let limits = StoreLimits::default()
        .with_handles(7)
        .with_instances(3)
        .with_total_memory_bytes(1 << 30);
    assert_eq!((limits.handles, limits.instances), (7, 3));
    assert_eq!(limits.total_memory_bytes, 1 << 30);
    assert_eq!(limits.with_handles(1 << 20).arena_bytes, 128 << 20);
}
