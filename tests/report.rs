//! What `trampette compile --stats` and `--time` say.

use anyhow::Result;
use trampette::options::Inline;
use trampette::{CompileOptions, compile_component};

/// The first core instance's table is written when the second one is instantiated, as in componentised modules.
const SHIM: &str = r#"(component
    (core module $shim
        (type $t (func (result i32)))
        (table (export "table") 2 2 funcref)
        (func (export "first") (type $t) (call_indirect (type $t) (i32.const 0)))
        (func (export "any") (param i32) (result i32) (call_indirect (type $t) (local.get 0))))
    (core module $user
        (type $t (func (result i32)))
        (import "shim" "first" (func $first (type $t)))
        (import "shim" "any" (func $any (param i32) (result i32)))
        (table $changes (export "changes") 1 10 funcref)
        (func $set (export "set") (table.set $changes (i32.const 0) (ref.func $one)))
        (func $one (export "one") (result i32) (i32.const 1))
        (func $two (export "two") (result i32) (i32.const 2))
        (func $unused (result i32) (call $unused))
        (func (export "run") (result i32)
            (call $set)
            (i32.add
                (call_indirect $changes (type $t) (i32.const 0))
                (i32.add (call $first) (call $any (i32.const 1))))))
    (core module $fill
        (import "shim" "table" (table 2 2 funcref))
        (import "user" "one" (func $one (result i32)))
        (import "user" "two" (func $two (result i32)))
        (elem (i32.const 0) func $one $two))
    (core instance $shim (instantiate $shim))
    (core instance $user (instantiate $user (with "shim" (instance $shim))))
    (core instance $fill (instantiate $fill (with "shim" (instance $shim)) (with "user" (instance $user))))
    (func (export "run") (result u32) (canon lift (core func $user "run"))))"#;

#[test]
fn statistics_count_what_became_of_functions_and_calls() -> Result<()> {
    let wasm = wat::parse_str(SHIM)?;
    for inline in [Inline::Never, Inline::Worthwhile] {
        let options = CompileOptions {
            inline,
            ..CompileOptions::default()
        };
        let artifact = compile_component(&wasm, &options)?;
        let statistics = &artifact.report().statistics;
        println!("{statistics}");
        assert_eq!(statistics.core_functions, 7);
        assert_eq!(statistics.pruned, 1, "only `unused` is reached by nothing");
        assert_eq!(statistics.calls_of_imports, 2, "`first` and `any`");
        assert_eq!(statistics.calls_devirtualised, 1, "in `first`");
        assert_eq!(statistics.calls_through_sealed_tables, 1, "in `any`");
        assert_eq!(statistics.calls_through_values, 1, "through `changes`");
        match inline {
            Inline::Never => {
                assert_eq!((statistics.inlined_calls, statistics.inlined_away), (0, 0));
                assert_eq!(statistics.compiled_core_functions, 6);
            }
            Inline::Worthwhile => assert!(statistics.inlined_calls >= 3),
        }
        let sections: u64 = statistics.sections.values().sum();
        assert!(sections > 0 && sections <= artifact.bytes().len() as u64);
        assert!(statistics.to_string().contains("by a sealed table"));
    }
    Ok(())
}

#[test]
fn times_name_every_phase() -> Result<()> {
    let wasm = wat::parse_str(SHIM)?;
    let artifact = compile_component(&wasm, &CompileOptions::default())?;
    let times = artifact.report().times();
    for phase in ["parse", "lay out", "compile", "link", "total"] {
        assert!(times.contains(phase), "{times}");
    }
    Ok(())
}
