//! Errors of the host API name the interface, the function and the place in its type. Every message
//! that a component can provoke is held here; those that need none are held by the runtime's unit
//! tests.

#[path = "host_errors/types.rs"]
mod types;

use anyhow::{Result, bail};
use trampette::CompileOptions;
use trampette_runtime::{
    Component, Instance, Linker, Resource, ResourceAny, ResourceTable, Store, Trap, Val,
    guest_resource,
};

const STORE: &str = "docs:kv/store@0.1.0";
const API: &str = "docs:kv/api@0.1.0";

fn compile(text: &str) -> Result<Component> {
    let artifact =
        trampette::compile_component(&wat::parse_str(text)?, &CompileOptions::default())?;
    artifact.load()
}

/// Compiles a component of `tests/components/host-errors`.
fn fixture(name: &str) -> Result<Component> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/components/host-errors");
    compile(&std::fs::read_to_string(format!("{folder}/{name}.wat"))?)
}

/// Why a linker with these definitions does not fit a component, without its causes.
fn refused(
    component: &Component,
    define: impl FnOnce(&mut Linker<()>) -> Result<()>,
) -> Result<String> {
    let mut linker = Linker::new();
    define(&mut linker)?;
    match linker.instantiate_pre(component) {
        Ok(_) => bail!("the component was linked"),
        Err(error) => Ok(error.to_string()),
    }
}

struct Entry;
struct OtherEntry;

fn define<R: 'static>(linker: &mut Linker<()>) -> Result<()> {
    let mut store = linker.instance(STORE)?;
    store.resource::<R>("entry", |_, rep| match rep {
        7 => bail!("seven stays"),
        _ => Ok(()),
    })?;
    store.func_wrap::<(), Resource<R>, _>("open", |_, ()| Ok(Resource::new(7)))
}

fn define_size(linker: &mut Linker<()>) -> Result<()> {
    linker
        .instance(STORE)?
        .func_wrap::<(Resource<Entry>, u8), u32, _>("size", |_, (_, unit)| match unit {
            8 => Ok(1),
            _ => bail!("no such unit"),
        })
}

#[test]
fn linking_says_what_is_missing_or_other() -> Result<()> {
    let component = fixture("resources")?;
    type Define = fn(&mut Linker<()>) -> Result<()>;
    let other = std::any::type_name::<OtherEntry>();
    let cases: &[(Define, String)] = &[
        (
            |_| Ok(()),
            format!(
                "component imports instance `{STORE}`, but a matching implementation was not found \
                 in the linker"
            ),
        ),
        (
            |linker| linker.instance(STORE).map(|_| ()),
            format!(
                "component imports resource `entry` in `{STORE}`, but a matching implementation was \
                 not found in the linker"
            ),
        ),
        (
            define::<Entry>,
            format!(
                "component imports function `size` in `{STORE}`, but a matching implementation was \
                 not found in the linker"
            ),
        ),
        (
            |linker| linker.root().func_wrap::<(), (), _>(STORE, |_, ()| Ok(())),
            format!(
                "import instance `{STORE}`: expected an instance, found a function in the linker"
            ),
        ),
        (
            |linker| {
                let mut store = linker.instance(STORE)?;
                store.func_wrap::<(), (), _>("entry", |_, ()| Ok(()))
            },
            format!(
                "import `{STORE}` resource `entry`: expected a resource, found a function in the linker"
            ),
        ),
        (
            |linker| {
                define::<Entry>(linker)?;
                linker
                    .instance(STORE)?
                    .resource::<u8>("size", |_, _| Ok(()))
            },
            format!(
                "import `{STORE}` function `size`: expected a function, found a resource in the linker"
            ),
        ),
        (
            |linker| {
                define::<Entry>(linker)?;
                let mut store = linker.instance(STORE)?;
                store.func_wrap::<(Resource<OtherEntry>, u8), u32, _>("size", |_, _| Ok(0))
            },
            format!(
                "import `{STORE}` function `size`: parameter `of`: expected `borrow<entry>`, which \
                 the linker defines with another Rust type, found `resource {other}`"
            ),
        ),
        (
            |linker| {
                define::<Entry>(linker)?;
                let mut store = linker.instance(STORE)?;
                store.func_wrap::<(ResourceAny, u8), u32, _>("size", |_, _| Ok(0))
            },
            format!(
                "import `{STORE}` function `size`: parameter `of`: expected `borrow<entry>`, a \
                 resource that the host defines, found a resource of a component"
            ),
        ),
        (
            |linker| {
                define::<Entry>(linker)?;
                let mut store = linker.instance(STORE)?;
                store.func_wrap::<(Resource<Entry>,), u32, _>("size", |_, _| Ok(0))
            },
            format!("import `{STORE}` function `size`: expected 2 parameters, found 1"),
        ),
        (
            |linker| {
                define::<Entry>(linker)?;
                let mut store = linker.instance(STORE)?;
                store.func_wrap::<(), u32, _>("size", |_, ()| Ok(0))
            },
            format!("import `{STORE}` function `size`: expected 2 parameters, found none"),
        ),
        (
            |linker| {
                define::<Entry>(linker)?;
                let mut store = linker.instance(STORE)?;
                store.func_wrap::<(Resource<Entry>, u8), u64, _>("size", |_, _| Ok(0))
            },
            format!("import `{STORE}` function `size`: result: expected `u32`, found `u64`"),
        ),
    ];
    for (define, expected) in cases {
        assert_eq!(refused(&component, define)?, *expected);
    }
    let mut linker = Linker::<()>::new();
    linker
        .root()
        .func_wrap::<(), (), _>(STORE, |_, ()| Ok(()))?;
    let error = linker.define_unknown_imports_as_traps(&component);
    assert_eq!(
        error.unwrap_err().to_string(),
        format!("linker instance `{STORE}`: the name is taken by a function")
    );
    Ok(())
}

#[test]
fn a_bound_resource_must_be_the_same() -> Result<()> {
    fn define<R: 'static>(linker: &mut Linker<()>) -> Result<()> {
        let mut store = linker.instance(STORE)?;
        store.resource::<Entry>("entry", |_, _| Ok(()))?;
        let mut again = linker.instance("docs:kv/again@0.1.0")?;
        again.resource::<R>("same", |_, _| Ok(()))
    }
    let component = fixture("bound")?;
    let mut linker = Linker::new();
    define::<Entry>(&mut linker)?;
    linker.instantiate_pre(&component)?;
    assert_eq!(
        refused(&component, define::<OtherEntry>)?,
        "import `docs:kv/again@0.1.0` resource `same`: expected resource `entry`, which the import \
         is bound to, found another"
    );
    Ok(())
}

fn linker() -> Result<Linker<()>> {
    let mut linker = Linker::new();
    define::<Entry>(&mut linker)?;
    define_size(&mut linker)?;
    Ok(linker)
}

/// The message of an error.
fn text<T>(result: Result<T>) -> String {
    match result {
        Ok(_) => "no error".to_string(),
        Err(error) => error.to_string(),
    }
}

#[test]
fn exports_say_what_is_missing_or_other() -> Result<()> {
    let component = fixture("resources")?;
    let mut store = Store::new(());
    let instance = linker()?.instantiate(&mut store, &component)?;
    let get = |store: &mut Store<()>, path: &[&str]| {
        text(instance.get_typed_func::<(), u32>(store, path))
    };
    let cases: &[(&[&str], String)] = &[
        (
            &["f"],
            "export function `f`: the component exports no such function".to_string(),
        ),
        (
            &[API],
            format!("export function `{API}`: expected a function, found an instance"),
        ),
        (
            &["cursor"],
            "export function `cursor`: expected a function, found a resource".to_string(),
        ),
        (
            &[API, "f"],
            format!("export `{API}` function `f`: the component exports no such function"),
        ),
        (
            &["a:b/c", "f"],
            "export `a:b/c` function `f`: the component exports no instance `a:b/c`".to_string(),
        ),
        (
            &[API, "make"],
            format!("export `{API}` function `make`: expected 1 parameters, found none"),
        ),
        (
            &[API, "trap"],
            format!("export `{API}` function `trap`: result: expected nothing, found `u32`"),
        ),
    ];
    for (path, expected) in cases {
        assert_eq!(get(&mut store, path), *expected);
    }
    let error = instance.get_typed_func::<(u64,), ResourceAny>(&mut store, [API, "make"]);
    assert_eq!(
        format!("{:#}", error.err().unwrap()),
        format!(
            "export `{API}` function `make`: parameter `rep`: expected `u32`, found `u64`: the \
             component exports `func(rep: u32) -> own<cursor>`, the host asks for `func(u64) -> \
             resource`"
        )
    );
    guest_resource! { struct Index = "index"; }
    let error = instance.get_typed_func::<(u32,), Index>(&mut store, [API, "make"]);
    assert_eq!(
        text(error),
        format!(
            "export `{API}` function `make`: result: expected `own<cursor>`, found resource `index`"
        )
    );
    let error = instance.get_typed_func::<(u32,), Resource<u8>>(&mut store, [API, "make"]);
    assert_eq!(
        text(error),
        format!(
            "export `{API}` function `make`: result: expected `own<cursor>`, a resource that the \
             component defines, found `resource u8`"
        )
    );

    let make = instance.get_typed_func::<(u32,), ResourceAny>(&mut store, [API, "make"])?;
    let dynamic = instance.get_func(&mut store, [API, "make"]).unwrap();
    let mut other = Store::new(());
    let used = format!("export `{API}` function `make`: used with a store that it is not in");
    assert_eq!(
        text(instance.get_typed_func::<(u32,), ResourceAny>(&mut other, [API, "make"])),
        used
    );
    assert_eq!(text(dynamic.typed::<(u32,), ResourceAny>(&other)), used);
    assert_eq!(text(dynamic.call(&mut other, &[Val::U32(1)])), used);
    assert_eq!(
        text(make.call(&mut other, (1,))),
        "export `func(u32) -> resource`: used with a store that it is not in"
    );
    Ok(())
}

#[test]
fn handles_say_which_resource_and_where() -> Result<()> {
    let component = fixture("resources")?;
    let pre = linker()?.instantiate_pre(&component)?;
    let mut store = Store::new(());
    let [instance, twin] = [pre.instantiate(&mut store)?, pre.instantiate(&mut store)?];
    let make = |store: &mut Store<()>, instance: &Instance, rep| {
        let make = instance.get_typed_func::<(u32,), ResourceAny>(&mut *store, [API, "make"])?;
        make.call(store, (rep,))
    };
    let take = instance.get_typed_func::<(ResourceAny,), ()>(&mut store, [API, "take"])?;
    let gone = make(&mut store, &instance, 1)?;
    take.call(&mut store, (gone,))?;
    let parameter = format!("export `{API}` function `take`: parameter `c`: ");
    let error = text(take.call(&mut store, (gone,)));
    assert_eq!(
        error,
        format!("{parameter}resource `cursor` was given away or dropped")
    );
    let others = make(&mut store, &twin, 2)?;
    let error = text(take.call(&mut store, (others,)));
    assert_eq!(
        error,
        format!("{parameter}resource `cursor` is of another instance")
    );
    let hosts = ResourceAny::from(Resource::<Entry>::new(1));
    let error = text(take.call(&mut store, (hosts,)));
    assert_eq!(
        error,
        format!("{parameter}another resource that the host defines is of another instance")
    );

    type Pair = ((ResourceAny, ResourceAny),);
    let pair = instance.get_typed_func::<Pair, ()>(&mut store, [API, "pair"])?;
    let live = make(&mut store, &instance, 3)?;
    assert_eq!(
        text(pair.call(&mut store, ((live, gone),))),
        format!(
            "export `{API}` function `pair`: parameter `p`: tuple field 1: resource `cursor` was \
             given away or dropped"
        )
    );
    let take = instance.get_func(&mut store, [API, "take"]).unwrap();
    for (value, expected) in [
        (gone, "resource `cursor` was given away or dropped"),
        (others, "resource `cursor` is of another instance"),
        (hosts, "found another resource that the host defines"),
    ] {
        let error = text(take.call(&mut store, &[Val::Resource(value)]));
        assert_eq!(
            error,
            format!("{parameter}expected `own<cursor>`: {expected}")
        );
    }

    // Dropped by the host.
    let error = text(others.resource_drop(&mut Store::new(())));
    assert_eq!(error, "a resource: used with a store that it is not in");
    others.resource_drop(&mut store)?;
    let error = text(others.resource_drop(&mut store));
    assert_eq!(
        error,
        "wasm trap: unknown host handle 1 (resource `cursor`)"
    );
    let next = make(&mut store, &twin, 4)?;
    let error = text(others.resource_drop(&mut store));
    assert_eq!(error, "resource `cursor` was given away or dropped");
    let error = text(next.try_into_resource::<Entry>());
    let entry = std::any::type_name::<Entry>();
    assert_eq!(
        error,
        format!("expected `resource {entry}`, found a resource that a component defines")
    );
    let error = text(hosts.try_into_resource::<u8>());
    assert_eq!(
        error,
        "expected `resource u8`, found another resource that the host defines"
    );

    // A trapped instance is never entered again.
    let trap = twin.get_typed_func::<(), ()>(&mut store, [API, "trap"])?;
    trap.call(&mut store, ()).unwrap_err();
    let error = text(trap.call(&mut store, ()));
    assert_eq!(
        error,
        format!("wasm trap: cannot enter component instance (export `{API}` function `trap`)")
    );
    let error = text(next.resource_drop(&mut store));
    assert_eq!(
        error,
        "wasm trap: cannot enter component instance (resource `cursor`)"
    );
    Ok(())
}

#[test]
fn errors_of_host_functions_name_the_import() -> Result<()> {
    let component = fixture("resources")?;
    let run = |linker: &Linker<()>| -> Result<Vec<String>> {
        let mut store = Store::new(());
        let instance = linker.instantiate(&mut store, &component)?;
        let run = instance.get_typed_func::<(), u32>(&mut store, [API, "use-entry"])?;
        let error = run.call(&mut store, ()).unwrap_err();
        // The outermost is the backtrace.
        Ok(error.chain().skip(1).map(ToString::to_string).collect())
    };
    assert_eq!(
        run(&linker()?)?,
        [
            &format!("import `{STORE}` resource `entry`: destructor"),
            "seven stays"
        ]
    );
    let mut linker = linker()?;
    linker.allow_shadowing(true);
    let size = format!("import `{STORE}` function `size`");
    let mut store = linker.instance(STORE)?;
    store.func_wrap::<(Resource<Entry>, u8), u32, _>("size", |_, (entry, _)| {
        Ok(ResourceTable::new().get(&entry).map(|_| 0)?)
    })?;
    assert_eq!(
        run(&linker)?,
        [&size, "resource table: there is no entry 7"]
    );
    let mut store = linker.instance(STORE)?;
    store.func_new("size", |_, _, results| {
        results[0] = Val::from("large");
        Ok(())
    })?;
    assert_eq!(
        run(&linker)?,
        [&size, "result", "expected `u32`, found `string`"]
    );
    let mut unknown = Linker::new();
    define::<Entry>(&mut unknown)?;
    unknown.define_unknown_imports_as_traps(&component)?;
    let message = format!("{size}: it is not defined in the linker");
    assert_eq!(run(&unknown)?, [size, message]);
    Ok(())
}

#[test]
fn limits_name_the_module() -> Result<()> {
    let component = fixture("limits")?;
    let refused = |change: fn(&mut trampette_runtime::StoreLimits)| {
        let mut store = Store::new(());
        let mut limits = store.limits();
        change(&mut limits);
        store.set_limits(limits);
        text(Linker::new().instantiate(&mut store, &component))
    };
    assert_eq!(
        refused(|limits| limits.memory_bytes = 65536),
        "memory0 of core module `libc`: it starts with 131072 bytes; the store's limit is 65536"
    );
    assert_eq!(
        refused(|limits| limits.table_entries = 4),
        "table0 of core module `libc`: it starts with 5 entries; the store's limit is 4"
    );
    assert_eq!(
        refused(|limits| limits.instances = 0),
        "the limit of 0 instances in a store is reached"
    );
    Ok(())
}

/// While the host reads a result that is in the guest's memory, the instance is locked.
#[test]
fn a_view_locks_the_instance() -> Result<()> {
    let component = fixture("view")?;
    type Inside = std::sync::Arc<std::sync::Mutex<Option<Instance>>>;
    let inside = Inside::default();
    let mut linker = Linker::<String>::new();
    let instance = inside.clone();
    linker
        .instance(STORE)?
        .func_wrap::<(), (), _>("f", move |mut caller, ()| {
            let instance = instance.lock().unwrap().clone().unwrap();
            let run = instance.get_typed_func::<(), ()>(&mut caller, [API, "run"])?;
            let error = run.call(&mut caller, ()).unwrap_err();
            assert!(error.downcast_ref::<Trap>().is_some());
            *caller.data_mut() = error.to_string();
            Ok(())
        })?;
    let mut store = Store::new(String::new());
    let instance = linker.instantiate(&mut store, &component)?;
    *inside.lock().unwrap() = Some(instance.clone());
    let run = instance.get_typed_func::<(), ()>(&mut store, [API, "run"])?;
    run.call(&mut store, ())?;
    assert_eq!(
        store.data(),
        &format!("wasm trap: cannot enter component instance (export `{API}` function `run`)")
    );
    Ok(())
}
