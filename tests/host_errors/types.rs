//! Errors about types and values name the place in the type: of Rust types when linking, of dynamic
//! values when calling.

use super::{API, STORE, compile, refused, text};
use anyhow::{Result, bail};
use std::collections::BTreeMap;
use trampette_runtime::{
    Component, ComponentType, ErrorContext, Lift, Linker, Lower, Resource, ResourceAny, Store, Val,
    flags,
};

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
        let field = |(name, value): &(&str, Val)| ((*name).into(), value.clone());
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
            Val::Flags(vec!["execute".into()]),
            "expected flags of `flags { read, write }`, found `execute`",
        ),
        (
            r#"(enum "red" "blue")"#,
            Val::Enum("green".into()),
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
