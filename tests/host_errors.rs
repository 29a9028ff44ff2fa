//! Errors of the host API name the interface, the function and the place in its type. Every message that
//! a component can provoke is held here; those that need none are held by the runtime's unit tests.

use anyhow::{Result, bail};
use std::collections::BTreeMap;
use trampette::CompileOptions;
use trampette_runtime::{
    Component, ComponentType, ErrorContext, Instance, Lift, Linker, Lower, Resource, ResourceAny,
    ResourceTable, Store, Trap, Val, flags, guest_resource,
};

const STORE: &str = "docs:kv/store@0.1.0";
const API: &str = "docs:kv/api@0.1.0";

fn compile(text: &str) -> Result<Component> {
    let artifact =
        trampette::compile_component(&wat::parse_str(text)?, &CompileOptions::default())?;
    Component::from_bytes(artifact.bytes())
}

/// The types that need a name, by their texts: `$t` is the type then.
fn is_named(ty: &str) -> bool {
    ["(record", "(variant", "(enum", "(flags"]
        .iter()
        .any(|start| ty.starts_with(start))
}

/// A component that imports `docs:kv/store@0.1.0` with `f: func(v: ty)`, and calls nothing.
fn importing(ty: &str) -> Result<Component> {
    compile(&match is_named(ty) {
        true => format!(
            r#"(component (import "{STORE}" (instance
                (type $d {ty}) (export "t" (type $t (eq $d)))
                (export "f" (func (param "v" $t))))))"#
        ),
        false => format!(
            r#"(component (import "{STORE}" (instance (export "f" (func (param "v" {ty}))))))"#
        ),
    })
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

/// Why a Rust type does not stand for a parameter's type.
fn mismatch<T: Lift>(ty: &str) -> Result<String> {
    let message = refused(&importing(ty)?, |linker| {
        let mut store = linker.instance(STORE)?;
        store.func_wrap::<(T,), (), _>("f", |_, _| Ok(()))
    })?;
    let place = format!("import `{STORE}` function `f`: parameter `v`: ");
    match message.strip_prefix(&place) {
        Some(rest) => Ok(rest.to_string()),
        None => bail!("`{message}` does not start with `{place}`"),
    }
}

#[derive(ComponentType, Lift, Lower)]
struct Key {
    name: String,
    depth: u8,
}

#[derive(ComponentType, Lift, Lower)]
#[component(variant)]
enum Shape {
    Point(u32),
    Nothing,
}

#[derive(ComponentType, Lift, Lower)]
#[component(enum)]
enum Color {
    Red,
    Blue,
}

flags! {
    struct Access {
        const READ = "read";
        const WRITE = "write";
    }
}

type Map = BTreeMap<String, u8>;

#[test]
fn typed_checks_name_the_place_in_the_type() -> Result<()> {
    type Case = (fn(&str) -> Result<String>, &'static str, &'static str);
    let cases: &[Case] = &[
        (mismatch::<u32>, "string", "expected `string`, found `u32`"),
        (
            mismatch::<String>,
            "char",
            "expected `char`, found `string`",
        ),
        (mismatch::<()>, "bool", "expected `bool`, found `nothing`"),
        (
            mismatch::<ErrorContext>,
            "u32",
            "expected `u32`, found `error-context`",
        ),
        (mismatch::<Vec<u8>>, "u8", "expected `u8`, found `list<u8>`"),
        (
            mismatch::<Vec<u8>>,
            "(list string)",
            "list element: expected `string`, found `u8`",
        ),
        (
            mismatch::<[u8; 3]>,
            "(list u8 4)",
            "expected `list<u8, 4>`, found `list<u8, 3>`",
        ),
        (
            mismatch::<[u8; 4]>,
            "(list s8 4)",
            "list element: expected `s8`, found `u8`",
        ),
        (
            mismatch::<Option<u8>>,
            "u8",
            "expected `u8`, found `option<u8>`",
        ),
        (
            mismatch::<Option<u8>>,
            "(option s8)",
            "option payload: expected `s8`, found `u8`",
        ),
        (
            mismatch::<Result<u8, u8>>,
            "u8",
            "expected `u8`, found `result<u8, u8>`",
        ),
        (
            mismatch::<Result<u8, u8>>,
            "(result s8 (error u8))",
            "result ok payload: expected `s8`, found `u8`",
        ),
        (
            mismatch::<Result<u8, u8>>,
            "(result u8)",
            "result error payload: expected nothing, found `u8`",
        ),
        (
            mismatch::<(u8, u8)>,
            "u8",
            "expected `u8`, found `tuple<u8, u8>`",
        ),
        (
            mismatch::<(u8,)>,
            "(tuple u8 u8)",
            "expected `tuple<u8, u8>`, found `tuple<u8>`",
        ),
        (
            mismatch::<(u8, u8)>,
            "(tuple u8 s8)",
            "tuple field 1: expected `s8`, found `u8`",
        ),
        (
            mismatch::<Map>,
            "u8",
            "expected `u8`, found `map<string, u8>`",
        ),
        (
            mismatch::<Map>,
            "(map char u8)",
            "map key: expected `char`, found `string`",
        ),
        (
            mismatch::<Map>,
            "(map string s8)",
            "map value: expected `s8`, found `u8`",
        ),
        (
            mismatch::<Key>,
            "u8",
            "expected `u8`, found `record { name: string, depth: u8 }`",
        ),
        (
            mismatch::<Key>,
            r#"(record (field "name" string))"#,
            "expected 1 fields, found 2",
        ),
        (
            mismatch::<Key>,
            r#"(record (field "name" string) (field "level" u8))"#,
            "expected field `level`, found `depth`",
        ),
        (
            mismatch::<Key>,
            r#"(record (field "name" u32) (field "depth" u8))"#,
            "record field `name`: expected `u32`, found `string`",
        ),
        (
            mismatch::<Shape>,
            "u8",
            "expected `u8`, found `variant { point(u32), nothing }`",
        ),
        (
            mismatch::<Shape>,
            r#"(variant (case "point" u32) (case "none"))"#,
            "expected case `none`, found `nothing`",
        ),
        (
            mismatch::<Shape>,
            r#"(variant (case "point" u8) (case "nothing"))"#,
            "variant case `point`: expected `u8`, found `u32`",
        ),
        (
            mismatch::<Shape>,
            r#"(variant (case "point") (case "nothing"))"#,
            "variant case `point`: expected nothing, found `u32`",
        ),
        (
            mismatch::<Color>,
            "u8",
            "expected `u8`, found `enum { red, blue }`",
        ),
        (
            mismatch::<Color>,
            r#"(enum "red" "green")"#,
            "expected case `green`, found `blue`",
        ),
        (
            mismatch::<Access>,
            "u8",
            "expected `u8`, found `flags { read, write }`",
        ),
        (
            mismatch::<Access>,
            r#"(flags "read")"#,
            "expected 1 flags, found 2",
        ),
        (
            mismatch::<ResourceAny>,
            "u8",
            "expected `u8`, found `resource`",
        ),
        (
            mismatch::<Resource<u8>>,
            "u8",
            "expected `u8`, found `resource u8`",
        ),
    ];
    for (check, ty, expected) in cases {
        assert_eq!(check(ty)?, *expected, "{ty}");
    }
    Ok(())
}

/// A component with a resource of the host and one of its own, and functions over both.
const RESOURCES: &str = r#"(component
    (import "docs:kv/store@0.1.0" (instance $store
        (export "entry" (type $entry (sub resource)))
        (export "open" (func (result (own $entry))))
        (export "size" (func (param "of" (borrow $entry)) (param "unit" u8) (result u32)))))
    (alias export $store "entry" (type $entry))
    (core func $open (canon lower (func $store "open")))
    (core func $drop-entry (canon resource.drop $entry))
    (core func $size (canon lower (func $store "size")))
    (core module $dtor (func (export "dtor") (param i32) (if (i32.eq (local.get 0) (i32.const 13)) (then unreachable))))
    (core instance $dtor (instantiate $dtor))
    (type $cursor' (resource (rep i32) (dtor (core func $dtor "dtor"))))
    (core func $new (canon resource.new $cursor'))
    (core func $drop (canon resource.drop $cursor'))
    (core module $m
        (import "" "open" (func $open (result i32)))
        (import "" "size" (func $size (param i32 i32) (result i32)))
        (import "" "new" (func $new (param i32) (result i32)))
        (import "" "drop" (func $drop (param i32)))
        (import "" "drop-entry" (func $drop-entry (param i32)))
        (func (export "make") (param i32) (result i32) (call $new (local.get 0)))
        (func (export "take") (param i32) (call $drop (local.get 0)))
        (func (export "pair") (param i32 i32) (call $drop (local.get 0)) (call $drop (local.get 1)))
        (func (export "use-entry") (result i32)
            (local $e i32) (local $n i32)
            (local.set $e (call $open))
            (local.set $n (call $size (local.get $e) (i32.const 8)))
            (call $drop-entry (local.get $e))
            (local.get $n))
        (func (export "trap") unreachable))
    (core instance $i (instantiate $m (with "" (instance
        (export "open" (func $open)) (export "size" (func $size)) (export "new" (func $new))
        (export "drop" (func $drop)) (export "drop-entry" (func $drop-entry))))))
    (export $cursor "cursor" (type $cursor'))
    (func $make (param "rep" u32) (result (own $cursor)) (canon lift (core func $i "make")))
    (func $take (param "c" (own $cursor)) (canon lift (core func $i "take")))
    (func $pair (param "p" (tuple (own $cursor) (own $cursor))) (canon lift (core func $i "pair")))
    (func $use-entry (result u32) (canon lift (core func $i "use-entry")))
    (func $trap (canon lift (core func $i "trap")))
    (instance $api
        (export "make" (func $make)) (export "take" (func $take)) (export "pair" (func $pair))
        (export "use-entry" (func $use-entry)) (export "trap" (func $trap)))
    (export "docs:kv/api@0.1.0" (instance $api)))"#;

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
    let component = compile(RESOURCES)?;
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

/// A type that one import shares with another must be the same resource for the linker.
const BOUND: &str = r#"
(component
    (import "docs:kv/store@0.1.0" (instance $store (export "entry" (type (sub resource)))))
    (alias export $store "entry" (type $entry))
    (import "docs:kv/again@0.1.0" (instance (export "same" (type (eq $entry))))))"#;

#[test]
fn a_bound_resource_must_be_the_same() -> Result<()> {
    fn define<R: 'static>(linker: &mut Linker<()>) -> Result<()> {
        let mut store = linker.instance(STORE)?;
        store.resource::<Entry>("entry", |_, _| Ok(()))?;
        let mut again = linker.instance("docs:kv/again@0.1.0")?;
        again.resource::<R>("same", |_, _| Ok(()))
    }
    let component = compile(BOUND)?;
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
    let component = compile(RESOURCES)?;
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
    let component = compile(RESOURCES)?;
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
    let component = compile(RESOURCES)?;
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

/// Parameters behind the first, so many that all are passed in memory: the core function has one
/// parameter whatever the type.
const FILLING: usize = 16;

/// What writing a value of a parameter's type says.
fn written(ty: &str, value: Val) -> Result<String> {
    let (definition, ty) = match is_named(ty) {
        true => (format!("(type $d {ty}) (export $t \"t\" (type $d))"), "$t"),
        false => (String::new(), ty),
    };
    let filling = (0..FILLING).map(|i| format!("(param \"p{i}\" u64)"));
    let filling = filling.collect::<Vec<_>>().join(" ");
    let component = compile(&format!(
        r#"(component
            (core module $m
                (memory (export "mem") 1)
                (func (export "realloc") (param i32 i32 i32 i32) (result i32) i32.const 1024)
                (func (export "f") (param i32)))
            (core instance $i (instantiate $m))
            {definition}
            (func $f (param "v" {ty}) {filling} (canon lift (core func $i "f")
                (memory (core memory $i "mem")) (realloc (core func $i "realloc"))))
            (instance $api (export "f" (func $f)))
            (export "{API}" (instance $api)))"#
    ))?;
    let mut store = Store::new(());
    let instance = Linker::new().instantiate(&mut store, &component)?;
    let func = instance.get_func(&mut store, [API, "f"]).unwrap();
    let values: Vec<Val> = std::iter::once(value)
        .chain((0..FILLING).map(|_| Val::U64(0)))
        .collect();
    let message = text(func.call(&mut store, &values));
    let place = format!("export `{API}` function `f`: parameter `v`: ");
    match message.strip_prefix(&place) {
        Some(rest) => Ok(rest.to_string()),
        None => bail!("`{message}` does not start with `{place}`"),
    }
}

#[test]
fn values_name_the_place_in_the_type() -> Result<()> {
    let record = |fields: &[(&str, Val)]| {
        let field = |(name, value): &(&str, Val)| (name.to_string(), value.clone());
        Val::Record(fields.iter().map(field).collect())
    };
    let some = |value| Val::Option(Some(Box::new(value)));
    let case = |name: &str, payload: Option<Val>| Val::Variant(name.into(), payload.map(Box::new));
    let key = r#"(record (field "name" string) (field "depth" u8))"#;
    let shape = r#"(variant (case "point" u32) (case "nothing"))"#;
    let cases = [
        ("u8", Val::S8(1), "expected `u8`, found `s8`"),
        (
            "error-context",
            Val::U32(1),
            "expected `error-context`, found `u32`",
        ),
        (
            "(list u8)",
            Val::List(vec![Val::U8(1), Val::S8(1)]),
            "list element 1: expected `u8`, found `s8`",
        ),
        (
            "(list u16)",
            Val::List(vec![Val::U8(1)]),
            "list element 0: expected `u16`, found `u8`",
        ),
        (
            "(list u16)",
            Val::Bool(true),
            "expected `list<u16>`, found `bool`",
        ),
        (
            "(list u8 2)",
            Val::List(vec![]),
            "expected 2 elements, found 0",
        ),
        (
            "(map string u8)",
            Val::Map(vec![(Val::U8(1), Val::U8(1))]),
            "map key 0: expected `string`, found `u8`",
        ),
        (
            "(map string u8)",
            Val::Map(vec![(Val::from("a"), Val::from("b"))]),
            "map value 0: expected `u8`, found `string`",
        ),
        (key, record(&[]), "expected 2 fields, found 0"),
        (
            key,
            record(&[("name", Val::from("")), ("level", Val::U8(0))]),
            "expected field `depth`, found `level`",
        ),
        (
            key,
            record(&[("name", Val::U32(0)), ("depth", Val::U8(0))]),
            "record field `name`: expected `string`, found `u32`",
        ),
        (
            "(tuple u8 u8)",
            Val::Tuple(vec![Val::U8(1)]),
            "expected 2 fields, found 1",
        ),
        (
            "(tuple u8 u8)",
            Val::Tuple(vec![Val::U8(1), Val::U16(2)]),
            "tuple field 1: expected `u8`, found `u16`",
        ),
        (
            r#"(flags "read" "write")"#,
            Val::Flags(vec!["execute".to_string()]),
            "expected flags of `flags { read, write }`, found `execute`",
        ),
        (
            r#"(enum "red" "blue")"#,
            Val::Enum("green".to_string()),
            "expected a case of `enum { red, blue }`, found `green`",
        ),
        (
            shape,
            case("line", None),
            "expected a case of `variant { point(u32), nothing }`, found `line`",
        ),
        (
            shape,
            case("point", Some(Val::U8(1))),
            "variant case `point`: expected `u32`, found `u8`",
        ),
        (
            shape,
            case("point", None),
            "variant case `point`: expected a payload of type `u32`, found none",
        ),
        (
            shape,
            case("nothing", Some(Val::U8(1))),
            "variant case `nothing`: expected no payload, found `u8`",
        ),
        (
            "(option u8)",
            some(Val::U16(1)),
            "option payload: expected `u8`, found `u16`",
        ),
        (
            "(result u8 (error string))",
            Val::Result(Ok(None)),
            "result ok payload: expected a payload of type `u8`, found none",
        ),
        (
            "(result u8 (error string))",
            Val::Result(Err(Some(Box::new(Val::U8(1))))),
            "result error payload: expected `string`, found `u8`",
        ),
        (
            "(list (option (tuple u8 string)))",
            Val::List(vec![some(Val::Tuple(vec![Val::U8(1), Val::Char('x')]))]),
            "list element 0: option payload: tuple field 1: expected `string`, found `char`",
        ),
    ];
    for (ty, value, expected) in cases {
        assert_eq!(written(ty, value)?, expected, "{ty}");
    }
    Ok(())
}

#[test]
fn limits_name_the_module() -> Result<()> {
    let component = compile(
        r#"(component
            (core module $libc (memory 2) (table 5 funcref) (func (export "run")))
            (core instance $i (instantiate $libc))
            (func (export "run") (canon lift (core func $i "run"))))"#,
    )?;
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
    let component = compile(
        r#"(component
            (import "docs:kv/store@0.1.0" (instance $store (export "f" (func))))
            (core func $f (canon lower (func $store "f")))
            (core module $m
                (import "" "f" (func $f))
                (func (export "run") (call $f)))
            (core instance $i (instantiate $m (with "" (instance (export "f" (func $f))))))
            (func $run (canon lift (core func $i "run")))
            (instance $api (export "run" (func $run)))
            (export "docs:kv/api@0.1.0" (instance $api)))"#,
    )?;
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
