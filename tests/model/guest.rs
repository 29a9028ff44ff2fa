//! The interpreter guest: a component whose functions do what a script says.
//!
//! Every instance has a core module of the same kind (`interpreter`), which reads the script's
//! bodies from the host when it is instantiated, runs them operation by operation, and tells the
//! host of each. Instance 0 is the outer component, which calls all functions through a table that
//! is filled once the others are there. A `post-return` cannot call the host: it leaves what it has
//! to tell in memory.
//!
//! One guest does for all scripts whose streams carry the same elements. A guest can also be made
//! for one script: then it has only what that needs, and the compiler knows what cannot happen.

use crate::interpreter::{builtins, core_name, interpreter, lowered, option};
use crate::shape::{Entry, IMPORTS, MODES, Part, element};
use std::fmt::Write;
use trampette_model::script::{Element, Lift, Mode, Payload, Script, Typed};

/// A component-level function type.
fn function_type(entry: Entry) -> String {
    let variant = entry.variant;
    let mut ty = match variant.typed {
        Typed::Sync => String::new(),
        Typed::Async => "async ".to_owned(),
    };
    let name = |payload| match payload {
        Payload::None => "",
        Payload::Stream => "$stream",
        Payload::Future => "$future",
        Payload::Borrow => "(borrow $r)",
    };
    ty += r#"(param "n" u32)"#;
    if variant.param != Payload::None {
        write!(ty, r#" (param "x" {})"#, name(variant.param)).expect("a string");
    }
    if variant.result != Payload::None {
        write!(ty, " (result {})", name(variant.result)).expect("a string");
    }
    ty
}

/// The host's functions, as an instance imports them.
fn host_imports() -> String {
    let mut text = String::from(
        r#"
  (import "log" (func $log (param "what" u32) (param "who" u32) (param "at" u32)
    (param "a" u32) (param "b" u32) (param "c" u32)))
  (import "fetch" (func $fetch (param "instance" u32) (param "at" u32) (result u64)))"#,
    );
    for import in IMPORTS {
        let line = format!("\n  (import \"{import}\" (func ${import} async (param \"n\" u32)))");
        text.push_str(&line);
    }
    text
}

/// What an instance consists of, up to its lifted functions.
fn instance(part: &Part, of: Element, script: Option<&Script>) -> String {
    let size = part.calls.len().max(1);
    let threads = script.map_or(1, |script| script.threads.len().max(1));
    let core = interpreter(part, script);
    let mut text = format!(
        r#"
  (type $stream (stream{element}))
  (type $future (future{element}))
  (core module $memory
    (memory (export "memory") 1)
    (table (export "threads") {threads} {threads} funcref)
    (table (export "calls") {size} {size} funcref))
  (core instance $mem (instantiate $memory))
  (core type $start (func (param i32)))"#,
        element = element(of)
    );
    let mut imports = format!(
        r#"
    (import "" "memory" (memory 1))
    (import "" "threads" (table $threads {threads} {threads} funcref))
    (import "" "calls" (table $calls {size} {size} funcref))"#
    );
    let mut exports = String::from(
        r#"
    (export "memory" (memory $mem "memory"))
    (export "threads" (table $mem "threads"))
    (export "calls" (table $mem "calls"))"#,
    );
    let mut provide = |name: &str, ty: &str, canon: &str| {
        // What is not called is not there.
        let called = [" ", ")"].map(|end| format!("(call ${name}{end}"));
        if called.iter().any(|call| core.contains(call)) {
            text.push_str(&format!("\n  (core func ${name} (canon {canon}))"));
            imports.push_str(&format!(
                "\n    (import \"\" \"{name}\" (func ${name} {ty}))"
            ));
            exports.push_str(&format!("\n    (export \"{name}\" (func ${name}))"));
        }
    };
    let log = "(param i32 i32 i32 i32 i32 i32)";
    provide("log", log, "lower (func $log)");
    provide(
        "fetch",
        "(param i32 i32) (result i64)",
        "lower (func $fetch)",
    );
    provide("new-r", "(result i32)", "lower (func $new-r)");
    for (name, ty, canon) in builtins() {
        provide(&name, &ty, &canon);
    }
    for import in IMPORTS {
        for mode in MODES {
            let ty = match mode {
                Mode::Sync => "(param i32)",
                Mode::Async => "(param i32) (result i32)",
            };
            let canon = format!("lower (func ${import}){}", option(mode));
            provide(&format!("import-{import}.{mode}"), ty, &canon);
        }
    }
    write!(
        text,
        r#"
  (core module $interpreter{imports}{core})
  (core instance $i (instantiate $interpreter (with "" (instance{exports}))))"#
    )
    .expect("a string");
    for entry in &part.entries {
        let suffix = entry.suffix();
        let result = u32::from(entry.variant.result != Payload::None);
        let has_post = script.is_none_or(|script| {
            entry
                .function
                .is_some_and(|number| !script.functions[usize::from(number)].post.is_empty())
        });
        let options = match entry.variant.lift {
            Lift::Sync if has_post => {
                format!(r#"(post-return (core func $i "post{suffix}-{result}"))"#)
            }
            Lift::Sync => String::new(),
            Lift::Callback => format!(r#"async (callback (core func $i "callback{suffix}"))"#),
            Lift::Stackful => "async".to_owned(),
        };
        let (name, ty, core) = (entry.name(), function_type(*entry), core_name(*entry));
        text.push_str(&format!(
            "\n  (func ${name} {ty} (canon lift (core func $i \"{core}\") {options}))"
        ));
    }
    text
}

/// Lowers what an instance calls, and puts it into its table.
fn fill(part: &Part) -> String {
    let (mut text, mut imports, mut exports, mut names) =
        (String::new(), String::new(), String::new(), String::new());
    for (index, (mode, entry)) in part.calls.iter().enumerate() {
        let options = match mode {
            Mode::Sync => "",
            Mode::Async => r#"async (memory (core memory $mem "memory"))"#,
        };
        let (name, ty) = (entry.name(), lowered(*mode, *entry));
        text.push_str(&format!(
            "\n  (core func $c{index} (canon lower (func ${name}) {options}))"
        ));
        imports.push_str(&format!(
            "\n    (import \"\" \"c{index}\" (func $c{index} {ty}))"
        ));
        exports.push_str(&format!(" (export \"c{index}\" (func $c{index}))"));
        names.push_str(&format!(" $c{index}"));
    }
    if names.is_empty() {
        return text;
    }
    let size = part.calls.len();
    format!(
        r#"{text}
  (core module $fill
    (import "" "calls" (table {size} {size} funcref)){imports}
    (elem (i32.const 0) func{names}))
  (core instance (instantiate $fill (with "" (instance
    (export "calls" (table $mem "calls")){exports}))))"#
    )
}

/// The component for any script whose streams carry these elements, or for one.
pub fn component(of: Element, script: Option<&Script>) -> String {
    let parts = script.map_or_else(Part::any, Part::one);
    let host = host_imports();
    let mut text = format!(
        r#"(component{host}
  (component $R
    (type $r (resource (rep i32)))
    (export $r' "r" (type $r))
    (core func $new (canon resource.new $r))
    (core module $m
      (import "" "new" (func $new (param i32) (result i32)))
      (func (export "new") (result i32) (call $new (i32.const 7))))
    (core instance $i (instantiate $m (with "" (instance (export "new" (func $new))))))
    (func (export "new") (result (own $r')) (canon lift (core func $i "new"))))
  (instance $R (instantiate $R))
  (alias export $R "r" (type $r))
  (alias export $R "new" (func $new-r))"#
    );
    text.push_str(&instance(&parts[0], of, script));
    for part in &parts[1..] {
        let number = part.number;
        let mut header = String::new();
        let mut arguments = String::from(
            r#"(with "log" (func $log)) (with "fetch" (func $fetch))
    (with "r" (type $r)) (with "new-r" (func $new-r))"#,
        );
        for import in IMPORTS {
            arguments.push_str(&format!(" (with \"{import}\" (func ${import}))"));
        }
        let mut callees: Vec<Entry> = Vec::new();
        for (_, entry) in &part.calls {
            if !callees.contains(entry) {
                callees.push(*entry);
            }
        }
        for entry in callees {
            let (name, ty) = (entry.name(), function_type(entry));
            header.push_str(&format!("\n  (import \"{name}\" (func ${name} {ty}))"));
            arguments.push_str(&format!("\n    (with \"{name}\" (func ${name}))"));
        }
        let mut exports = String::new();
        let mut aliases = String::new();
        for entry in &part.entries {
            let name = entry.name();
            exports.push_str(&format!("\n  (export \"{name}\" (func ${name}))"));
            aliases.push_str(&format!(
                "\n  (alias export $c{number} \"{name}\" (func ${name}))"
            ));
        }
        // The types of imported functions are named before what `instance` defines.
        let element = element(of);
        let header = header
            .replace("$stream", &format!("(stream{element})"))
            .replace("$future", &format!("(future{element})"));
        let (body, fill) = (instance(part, of, script), fill(part));
        text.push_str(&format!(
            r#"
  (component $C{number}{host}
  (import "r" (type $r (sub resource)))
  (import "new-r" (func $new-r (result (own $r)))){header}{body}{fill}{exports})
  (instance $c{number} (instantiate $C{number} {arguments})){aliases}"#
        ));
    }
    text.push_str(&fill(&parts[0]));
    let entries = parts.iter().flat_map(|part| &part.entries);
    for entry in entries.filter(|entry| entry.variant.param == Payload::None) {
        let name = entry.name();
        text.push_str(&format!("\n  (export \"{name}\" (func ${name}))"));
    }
    text.push(')');
    text
}
