//! Tests of parsing and flattening: small components as text, hostile input, and real programs.

#[path = "../../tests/support/corpus.rs"]
mod corpus;
#[path = "../../tests/support/suites.rs"]
mod suites;

use super::{ParseOptions, parse_component};
use crate::program::module::CoreType;
use crate::program::*;
use anyhow::{Context, Result};
use std::collections::BTreeSet;
use trampette_artifact::canonical::PointerWidth;
use trampette_artifact::ids::*;
use trampette_artifact::key::Intrinsic;
use trampette_artifact::metadata::{ExportItem, Resource};

/// Parses a text; the bytes live as long as the tests, which are short-lived.
fn parse(text: &str) -> Result<Program<'static>> {
    let bytes = wat::parse_str(text)?;
    parse_component(
        Box::leak(bytes.into_boxed_slice()),
        &ParseOptions::default(),
    )
}

/// The error for a text that is not accepted.
fn refusal(text: &str) -> String {
    match parse(text) {
        Ok(program) => panic!("accepted:\n{}", program.print()),
        Err(error) => format!("{error:#}"),
    }
}

/// A module with what canonical options need.
const LIBC: &str = r#"
    (core module $libc
        (memory (export "memory") 1)
        (func (export "realloc") (param i32 i32 i32 i32) (result i32) unreachable))
    (core instance $libc (instantiate $libc))
    (alias core export $libc "memory" (core memory $memory))
    (alias core export $libc "realloc" (core func $realloc))"#;

/// A nested component that exports `greet`, another that imports it, and an export through both.
const LINKED: &str = r#"(component $linked
    (component $server
        (core module $m
            (memory (export "memory") 1)
            (func $f (export "greet") (param i32 i32) (result i32) i32.const 0)
            (func (export "done") (param i32))
            (func (export "realloc") (param i32 i32 i32 i32) (result i32) unreachable))
        (core instance $i (instantiate $m))
        (func (export "greet") (param "name" string) (result string)
            (canon lift (core func $i "greet") (memory (core memory $i "memory"))
                (realloc (core func $i "realloc")) (post-return (core func $i "done")))))
    (component $client
        (import "greet" (func $greet (param "name" string) (result string)))
        (core module $libc
            (memory (export "memory") 1)
            (func (export "realloc") (param i32 i32 i32 i32) (result i32) unreachable))
        (core instance $libc (instantiate $libc))
        (core func $lowered (canon lower (func $greet) (memory (core memory $libc "memory"))
            (realloc (core func $libc "realloc")) string-encoding=utf16))
        (core func $again (canon lower (func $greet) (memory (core memory $libc "memory"))
            (realloc (core func $libc "realloc")) string-encoding=utf16))
        (core module $m
            (import "" "greet" (func (param i32 i32 i32)))
            (import "" "again" (func (param i32 i32 i32)))
            (func (export "run")))
        (core instance $i (instantiate $m (with "" (instance
            (export "greet" (func $lowered)) (export "again" (func $again))))))
        (func (export "run") (canon lift (core func $i "run"))))
    (instance $server (instantiate $server))
    (instance $client (instantiate $client (with "greet" (func $server "greet"))))
    (export "run" (func $client "run"))
    (export "greet" (func $server "greet"))
    (export "server" (instance $server)))"#;

#[test]
fn lifted_functions_become_adapters_and_exports() -> Result<()> {
    let program = parse(LINKED)?;
    let names: Vec<&str> = program
        .component_instances
        .iter()
        .map(|instance| instance.name.as_str())
        .collect();
    assert_eq!(names, ["linked", "linked/server", "linked/client"]);
    // Equal trampolines are shared.
    assert_eq!(program.trampolines.len(), 1);
    assert_eq!(
        program.trampolines[TrampolineId(0)].signature.to_string(),
        "(i32, i32, i32)"
    );
    let TrampolineKind::Adapter { lift, options, .. } = &program.trampolines[TrampolineId(0)].kind
    else {
        panic!("not an adapter");
    };
    assert_eq!(lift.name, "linked/server#greet");
    assert_eq!(
        lift.func,
        CoreFunc::Module(CoreInstanceId(0), DefinedFunc(0))
    );
    assert_eq!(lift.options.instance, ComponentInstanceId(1));
    assert_eq!(lift.options.memory, Some((MemoryId(0), PointerWidth::P32)));
    assert_eq!(
        lift.options.post_return,
        Some(CoreFunc::Module(CoreInstanceId(0), DefinedFunc(1)))
    );
    assert_eq!(options.instance, ComponentInstanceId(2));
    assert_eq!(options.encoding, StringEncoding::Utf16);
    assert_eq!(options.memory, Some((MemoryId(1), PointerWidth::P32)));
    let trampoline = CoreItem::Func(CoreFunc::Trampoline(TrampolineId(0)));
    assert_eq!(
        program.core_instances[CoreInstanceId(2)].imports,
        [trampoline; 2]
    );
    assert_eq!(
        program.core_instances[CoreInstanceId(2)].component_instance,
        ComponentInstanceId(2)
    );

    let exports: Vec<(String, String)> = program
        .exports
        .iter()
        .map(|export| {
            let item = match &export.item {
                ExportItem::Function {
                    id, post_return, ..
                } => format!("{id} {post_return}"),
                other => format!("{other:?}"),
            };
            (export.path.join("#"), item)
        })
        .collect();
    let expected = [
        ("run", "export0 false"),
        ("greet", "export1 true"),
        ("server", "Instance"),
        ("server#greet", "export2 true"),
    ];
    let expected = expected.map(|(path, item)| (path.to_string(), item.to_string()));
    assert_eq!(exports, expected);
    let lifts: Vec<&str> = program
        .lifts
        .iter()
        .map(|lift| lift.name.as_str())
        .collect();
    assert_eq!(lifts, ["run", "greet", "server#greet"]);
    Ok(())
}

#[test]
fn aliases_of_aliases_dissolve() -> Result<()> {
    let program = parse(
        r#"(component
            (core module $a
                (memory (export "m") 1)
                (memory (export "n") 1)
                (table (export "t") 1 funcref)
                (global (export "g") i32 (i32.const 0))
                (tag (export "e"))
                (func $unused)
                (func (export "f") (param i64)))
            (core module $through
                (import "a" "f" (func (param i64)))
                (import "a" "m" (memory 1))
                (import "a" "t" (table 1 funcref))
                (import "a" "g" (global i32))
                (import "a" "e" (tag))
                (func (export "own"))
                (export "f2" (func 0))
                (export "m2" (memory 0))
                (export "t2" (table 0))
                (export "g2" (global 0))
                (export "e2" (tag 0)))
            (core module $user
                (import "x" "m" (memory 1))
                (import "x" "f" (func (param i64)))
                (import "x" "own" (func))
                (import "x" "t" (table 1 funcref))
                (import "x" "g" (global i32))
                (import "x" "e" (tag)))
            (core instance $a0 (instantiate $a))
            (core instance $a (instantiate $a))
            (core instance $named (export "f" (func $a "f")) (export "m" (memory $a "n"))
                (export "t" (table $a "t")) (export "g" (global $a "g"))
                (export "e" (tag $a "e")))
            (core instance $through (instantiate $through (with "a" (instance $named))))
            (core instance $user (instantiate $user (with "x" (instance
                (export "f" (func $through "f2")) (export "m" (memory $through "m2"))
                (export "own" (func $through "own")) (export "t" (table $through "t2"))
                (export "g" (global $through "g2")) (export "e" (tag $through "e2")))))))"#,
    )?;
    assert_eq!(
        program.core_instances[CoreInstanceId(3)].imports,
        [
            CoreItem::Memory(MemoryId(3)),
            CoreItem::Func(CoreFunc::Module(CoreInstanceId(1), DefinedFunc(1))),
            CoreItem::Func(CoreFunc::Module(CoreInstanceId(2), DefinedFunc(0))),
            CoreItem::Table(TableId(1)),
            CoreItem::Global(GlobalId(1)),
            CoreItem::Tag(TagId(1)),
        ]
    );
    let place = Definition {
        instance: CoreInstanceId(1),
        index: 1,
    };
    assert_eq!(program.memories[MemoryId(3)], place);
    assert_eq!(program.steps.len(), 4);
    let signature = program.signature(CoreFunc::Module(CoreInstanceId(1), DefinedFunc(1)))?;
    assert_eq!(signature.params[..], [CoreType::I64]);
    assert!(
        program
            .signature(CoreFunc::Module(CoreInstanceId(1), DefinedFunc(2)))
            .is_err()
    );
    Ok(())
}

#[test]
fn imports_are_evaluated_from_instance_types() -> Result<()> {
    let program = parse(
        r#"(component
            (import "a:b/types@0.2.0" (instance $types
                (export "stream" (type $stream (sub resource)))
                (type $error (variant (case "closed") (case "failed" u32)))
                (export "error" (type $error2 (eq $error)))
                (export "[method]stream.write" (func (param "self" (borrow $stream))
                    (param "bytes" (list u8)) (result (result (error $error2)))))))
            (alias export $types "stream" (type $stream))
            (import "a:b/out@0.2.0" (instance $out
                (alias outer 1 $stream (type $outer))
                (export "stream" (type $s (eq $outer)))
                (export "get" (func (result (own $s))))
                (export "nested" (instance (export "unused" (func))))))
            (import "plain" (func $plain (param "x" u64)))
            (core func $get (canon lower (func $out "get")))
            (core func $plain (canon lower (func $plain)))
            (core func (canon resource.drop $stream))
            (export "again" (func $plain)))"#,
    )?;
    let imports: Vec<(String, String, bool)> = program
        .imports
        .iter()
        .map(|import| {
            let ty = program.types.display_func(&import.ty);
            (import.path.join("#"), ty, import.used)
        })
        .collect();
    let text = |path: &str, ty: &str, used| (path.to_string(), ty.to_string(), used);
    assert_eq!(
        imports,
        [
            text(
                "a:b/types@0.2.0#[method]stream.write",
                "func(self: borrow<resource0>, bytes: list<u8>) -> \
                 result<_, variant { closed, failed(u32) }>",
                false
            ),
            text("a:b/out@0.2.0#get", "func() -> own<resource0>", true),
            text("a:b/out@0.2.0#nested#unused", "func()", false),
            text("plain", "func(x: u64)", true),
        ]
    );
    assert_eq!(program.resources.len(), 1);
    let Resource::Imported { path } = &program.resources[ResourceId(0)].info else {
        panic!("not imported");
    };
    assert_eq!(path.join("#"), "a:b/types@0.2.0#stream");
    let again = &program.exports[0].item;
    assert!(
        matches!(again, ExportItem::HostFunc(ImportId(3))),
        "{again:?}"
    );
    Ok(())
}

#[test]
fn each_instance_has_resources_of_its_own() -> Result<()> {
    let program = parse(
        r#"(component
            (component $c
                (core module $m (func (export "drop") (param i32)))
                (core instance $i (instantiate $m))
                (type $r (resource (rep i32) (dtor (core func $i "drop"))))
                (core func $new (canon resource.new $r))
                (core func $rep (canon resource.rep $r))
                (core func $drop (canon resource.drop $r))
                (core func $same (canon resource.drop $r))
                (export "thing" (type $r)))
            (instance $one (instantiate $c))
            (instance $two (instantiate $c))
            (alias export $two "thing" (type $two))
            (core func (canon resource.drop $two))
            (type $local (resource (rep i32)))
            (export "thing" (type $two)))"#,
    )?;
    let names: Vec<String> = program
        .resources
        .iter()
        .map(|resource| match &resource.info {
            Resource::Defined {
                instance,
                has_destructor,
                name,
            } => {
                assert_eq!(*has_destructor, resource.destructor.is_some());
                format!("{name} {instance}")
            }
            other => format!("{other:?}"),
        })
        .collect();
    assert_eq!(
        names,
        ["thing instance1", "thing instance2", "resource instance0"]
    );
    assert_eq!(
        program.resources[ResourceId(1)].destructor,
        Some(CoreFunc::Module(CoreInstanceId(1), DefinedFunc(0)))
    );
    // Three for each instance, and the root's.
    assert_eq!(program.trampolines.len(), 7);
    assert!(matches!(
        program.trampolines[TrampolineId(6)].kind,
        TrampolineKind::ResourceDrop {
            resource: ResourceId(1),
            instance: ComponentInstanceId(0)
        }
    ));
    assert!(matches!(
        program.exports[0].item,
        ExportItem::Resource(ResourceId(1))
    ));
    Ok(())
}

#[test]
fn long_signatures_go_through_memory() -> Result<()> {
    let params: String = (0..17).map(|i| format!("(param \"p{i}\" u32)")).collect();
    let program = parse(&format!(
        r#"(component
            (import "many" (func $many {params} (result (tuple u8 f32))))
            (import "one" (func $one (param "v" (result f32 (error u64)))
                (result f64)))
            {LIBC}
            (core func (canon lower (func $many) (memory $memory) (realloc $realloc)))
            (core func (canon lower (func $one) (memory $memory) (realloc $realloc))))"#
    ))?;
    assert_eq!(
        program.trampolines[TrampolineId(0)].signature.to_string(),
        "(i32, i32)"
    );
    assert_eq!(
        program.trampolines[TrampolineId(1)].signature.to_string(),
        "(i32, i64) -> f64"
    );
    Ok(())
}

#[test]
fn memory64_options_have_wide_addresses() -> Result<()> {
    let program = parse(
        r#"(component
            (import "f" (func $f (param "s" string) (result string)))
            (core module $libc
                (memory (export "memory") i64 1)
                (func (export "realloc") (param i64 i64 i64 i64) (result i64) unreachable))
            (core instance $libc (instantiate $libc))
            (core func (canon lower (func $f) (memory (core memory $libc "memory"))
                (realloc (core func $libc "realloc")))))"#,
    )?;
    assert_eq!(
        program.trampolines[TrampolineId(0)].signature.to_string(),
        "(i64, i64, i64)"
    );
    Ok(())
}

const INTRINSICS: &str = r#"(component
    (import "unsafe" (instance $unsafe
        (export "store-data-address" (func (result u64)))
        (export "u8-native-load" (func (param "p" u64) (result u8)))))
    (core func $address (canon lower (func $unsafe "store-data-address")))
    (core func $load (canon lower (func $unsafe "u8-native-load")))
    (core module $m (import "" "a" (func (result i64)))
        (import "" "l" (func (param i64) (result i32))))
    (core instance (instantiate $m (with "" (instance
        (export "a" (func $address)) (export "l" (func $load)))))))"#;

#[test]
fn unsafe_intrinsics_need_the_option() -> Result<()> {
    let program = parse(INTRINSICS)?;
    assert_eq!((program.imports.len(), program.trampolines.len()), (2, 2));

    let options = ParseOptions {
        unsafe_intrinsics_import: Some("unsafe".to_string()),
        ..ParseOptions::default()
    };
    let bytes = wat::parse_str(INTRINSICS)?;
    let program = parse_component(&bytes, &options)?;
    assert_eq!((program.imports.len(), program.trampolines.len()), (0, 0));
    let load = CoreFunc::Intrinsic(Intrinsic::U8NativeLoad);
    assert_eq!(
        program.core_instances[CoreInstanceId(0)].imports[1],
        CoreItem::Func(load)
    );
    assert_eq!(program.signature(load)?.to_string(), "(i64) -> i32");

    for (text, expected) in [
        (
            "(export \"peek\" (func))",
            "there is no unsafe intrinsic `peek`",
        ),
        (
            "(export \"u8-native-load\" (func (param \"p\" u32) (result u8)))",
            "the unsafe intrinsic `u8-native-load` has the type func(u64) -> u8, but it is \
             imported as func(p: u32) -> u8",
        ),
    ] {
        let bytes = wat::parse_str(format!("(component (import \"unsafe\" (instance {text})))"))?;
        let error = parse_component(&bytes, &options)
            .err()
            .context("accepted")?;
        assert!(format!("{error:#}").contains(expected), "{error:#}");
    }
    Ok(())
}

#[test]
fn what_is_not_supported_is_named_with_its_offset() {
    for (text, expected) in [
        (
            "(component (core type $f (shared (func (param i32))))
                (core func (canon thread.spawn-ref $f)))",
            "",
        ),
        (
            "(component (import \"m\" (core module)))",
            "the component imports the core module `m`, and none was given",
        ),
        (
            "(component (import \"c\" (component)))",
            "importing a component from the host is not supported",
        ),
        (
            "(component
                (component $c
                    (type $r (resource (rep i64)))
                    (core func (canon resource.new $r)))
                (instance $x (instantiate $c)))",
            "(in `component/x`, at offset 0x",
        ),
        (
            "(component (import \"f\" (func $f)) (core func (canon lower (func $f) async)))",
            "",
        ),
        (
            "(component (core module (type (struct))))",
            "garbage collection",
        ),
    ] {
        let error = refusal(text);
        assert!(error.contains(expected), "{text}: {error}");
        assert!(error.contains("offset 0x"), "{text}: {error}");
    }
}

#[test]
fn ascribed_types_hide_exports() -> Result<()> {
    let program = parse(
        r#"(component
            (core module $m (func (export "f")))
            (core instance $i (instantiate $m))
            (func $f (canon lift (core func $i "f")))
            (instance $inner (export "shown" (func $f)) (export "hidden" (func $f)))
            (instance $outer (export "inner" (instance $inner)) (export "extra" (func $f)))
            (export "all" (instance $outer))
            (export "some" (instance $outer)
                (instance (export "inner" (instance (export "shown" (func)))))))"#,
    )?;
    let paths: Vec<_> = program.exports.iter().map(|e| e.path.join("#")).collect();
    let expected = [
        "all",
        "all#inner",
        "all#inner#shown",
        "all#inner#hidden",
        "all#extra",
        "some",
        "some#inner",
        "some#inner#shown",
    ];
    assert_eq!(paths, expected);
    Ok(())
}

#[test]
fn imported_core_modules_are_bound_by_name() -> Result<()> {
    let text = r#"(component
        (import "host" (instance $host
            (export "m" (core module (import "" "f" (func)) (export "g" (func (result i32)))))))
        (core module $f (func (export "f")))
        (core instance $f (instantiate $f))
        (core instance $i (instantiate (module $host "m") (with "" (instance $f))))
        (func (export "g") (result u32) (canon lift (core func $i "g"))))"#;
    let component = wat::parse_str(text)?;
    let bind = |module: &str| -> Result<String> {
        let mut bytes = component.clone();
        bytes.extend(wat::parse_str(module)?);
        let range = component.len()..bytes.len();
        let options = ParseOptions {
            core_modules: [("host#m".to_string(), range)].into(),
            ..ParseOptions::default()
        };
        Ok(match parse_component(&bytes, &options) {
            Ok(program) => format!("{} modules", program.modules.len()),
            Err(error) => format!("{error:#}"),
        })
    };
    let good = r#"(module (import "" "f" (func)) (memory 1)
        (func (export "g") (result i32) (i32.const 1)) (func (export "more")))"#;
    assert_eq!(bind(good)?, "2 modules");
    for (module, expected) in [
        ("(module)", "it does not export `g`"),
        (
            r#"(module (func (export "g")))"#,
            "its export `g`: has the type (), but () -> i32 is declared",
        ),
        (
            r#"(module (import "" "h" (func)) (func (export "g") (result i32) (i32.const 1)))"#,
            "its import `` `h` is not in the declared type",
        ),
        (
            r#"(module (import "" "f" (global i32)) (func (export "g") (result i32) (i32.const 1)))"#,
            "its import `` `f`: is a Global, not a function",
        ),
        ("(component)", "it is no core module"),
    ] {
        let found = bind(module)?;
        assert!(found.contains(expected), "{module}: {found}");
        assert!(
            found.contains("the core module given for `host#m`"),
            "{found}"
        );
    }
    Ok(())
}

#[test]
fn types_alone_make_no_asynchronous_part() -> Result<()> {
    let program = parse(
        r#"(component
            (type $s (stream u8))
            (type (list $s))
            (type $f (func async (param "s" $s)))
            (export "s" (type $s)))"#,
    )?;
    assert!(matches!(&program.exports[0].item, ExportItem::Type(_)));
    assert!(!program.is_concurrent());
    Ok(())
}

#[test]
fn what_is_no_component_is_named() {
    let parse = |bytes: &[u8]| {
        let error = parse_component(bytes, &ParseOptions::default()).err();
        error.map(|error| format!("{error:#}")).expect("accepted")
    };
    assert!(parse(b"").contains("the input is empty"));
    assert!(parse(b"\0asm\x01\0\0\0").contains("core WebAssembly module"));
    assert!(parse(b"\x7fELF\x02").contains("7f 45 4c 46"));
    assert!(parse(b"\0asm\x0d\0\x01\0\xff").contains("offset 0x"));
    assert!(parse(b"\0asm").contains("offset 0x"));
}

#[test]
fn truncated_components_are_errors() -> Result<()> {
    let bytes = wat::parse_str(LINKED)?;
    let mut accepted = 0;
    for end in 0..bytes.len() {
        match parse_component(&bytes[..end], &ParseOptions::default()) {
            // Cut between two sections.
            Ok(_) => accepted += 1,
            Err(error) => assert!(!format!("{error:#}").is_empty()),
        }
    }
    assert!(accepted < 20, "{accepted} truncations were accepted");
    Ok(())
}

#[test]
fn damaged_components_never_panic() -> Result<()> {
    let bytes = wat::parse_str(LINKED)?;
    // Every byte, changed in a few ways.
    for at in 8..bytes.len() {
        for change in [0x01, 0x80, 0xff] {
            let mut bytes = bytes.clone();
            bytes[at] ^= change;
            if let Ok(program) = parse_component(&bytes, &ParseOptions::default()) {
                program.print();
            }
        }
    }
    Ok(())
}

/// Components that instantiate the one before `copies` times each.
fn tower(levels: usize, copies: usize) -> String {
    let mut text = String::from("(component (component $c0)");
    for level in 1..levels {
        let inner = level - 1;
        text.push_str(&format!(
            "(component $c{level} (alias outer 1 $c{inner} (component $c))"
        ));
        for _ in 0..copies {
            text.push_str("(instance (instantiate $c))");
        }
        text.push(')');
    }
    text.push_str(&format!("(instance (instantiate $c{})))", levels - 1));
    text
}

#[test]
fn explosive_instantiation_is_limited() {
    let error = refusal(&tower(40, 2));
    assert!(error.contains("the limit for its size"), "{error}");
    let module = format!("(core module $m (data \"{}\"))", "x".repeat(30_000));
    let all = "(core instance (instantiate $m))".repeat(30);
    let error = refusal(&format!("(component {module} {all})"));
    assert!(error.contains("bytes together"), "{error}");
    parse(&format!(
        "(component {module} {})",
        "(core instance (instantiate $m))".repeat(20)
    ))
    .expect("in proportion");
    let error = refusal(&tower(500, 1));
    assert!(error.contains("nested deeper than 100 levels"), "{error}");

    // An instance that holds the one before it twice: exporting it would be explosive.
    let mut text =
        String::from("(component (import \"f\" (func $f)) (instance $i0 (export \"f\" (func $f)))");
    for level in 1..40 {
        let inner = level - 1;
        text.push_str(&format!(
            "(instance $i{level} (export \"a\" (instance $i{inner})) (export \"b\" (instance $i{inner})))"
        ));
    }
    text.push_str("(export \"x\" (instance $i39)))");
    refusal(&text);
}

#[test]
fn prints_a_plan() -> Result<()> {
    let text = parse(LINKED)?.print();
    for line in [
        "modules: 3",
        "  instance1 linked/server",
        "  core-instance2 = instantiate module2 in instance2",
        "     greet = trampoline0",
        "  trampoline0 adapter (i32, i32, i32)",
        "    `linked/server#greet`: func(name: string) -> string",
        "    callee core-instance0.function0 `f` in instance1, memory0, realloc \
         core-instance0.function2, post-return core-instance0.function1",
        "  export1 greet: func(name: string) -> string",
        "    ends with post-return",
    ] {
        assert!(
            text.lines().any(|l| l == line),
            "no line {line:?} in\n{text}"
        );
    }
    Ok(())
}

#[test]
fn parses_the_corpus() -> Result<()> {
    let Some(folder) = corpus::folder() else {
        return Ok(());
    };
    let mut parsed = BTreeSet::new();
    for case in corpus::cases(&folder)? {
        let name = corpus::text(&case, "wasm")?;
        if case["kind"] == "wast" || !parsed.insert(name.to_string()) {
            continue;
        }
        let bytes = std::fs::read(folder.join(name))?;
        let result = parse_component(&bytes, &ParseOptions::default());
        let refusal = corpus::not_supported(&case)?.and_then(|entry| entry.refusal);
        if let Some(refusal) = refusal {
            let error = format!(
                "{:#}",
                result.err().with_context(|| format!("{name} is parsed"))?
            );
            assert!(error.contains(refusal), "{name}: {error}");
            continue;
        }
        let program = result.with_context(|| format!("in {name}"))?;
        assert!(!program.print().is_empty());
        assert!(!program.exports.is_empty(), "{name}");
        for instance in &program.core_instances {
            let module = &program.modules[instance.module];
            assert_eq!(module.imports.len(), instance.imports.len());
        }
        for lift in &program.lifts {
            program.signature(lift.func)?;
        }
    }
    Ok(())
}
