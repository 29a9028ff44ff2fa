//! Small inputs that ask for much: what compiling them costs grows linearly with their size, in
//! time and in memory, or they are refused with a message that says what there is too much of.
//!
//! Each is compiled by the command in a process of its own, at several sizes. `--nocapture` prints
//! what each takes.

#[path = "support/child.rs"]
mod child;

use std::fmt::Write;
use std::path::Path;
use std::process::Command;

/// What compiling takes at most, whatever the input is: about three times what short ones took. The
/// memory is also that of the test, as far as it is resident.
const SECONDS: f64 = 0.3;
const MEMORY: u64 = 128 << 20;
const ARTIFACT: u64 = 512 << 10;

/// What compiling takes for each byte of input: about three times what was measured, in processor
/// time of all threads, without the last optimisations.
struct Bound {
    seconds: f64,
    memory: u64,
    artifact: u64,
}

/// Few bytes that become much code: functions, transfers of values.
const CODE: Bound = Bound {
    seconds: 80e-6,
    memory: 800,
    artifact: 120,
};
/// Expressions that are evaluated or compiled.
const EXPRESSIONS: Bound = Bound {
    seconds: 8e-6,
    memory: 650,
    artifact: 12,
};
/// Segments at places that are not known: some code for each.
const PLACES: Bound = Bound {
    seconds: 40e-6,
    memory: 1800,
    artifact: 20,
};
/// Everything else.
const PLAIN: Bound = Bound {
    seconds: 2e-6,
    memory: 200,
    artifact: 12,
};

#[derive(Debug)]
struct Cost {
    seconds: f64,
    memory: u64,
    artifact: u64,
    /// The message if it was refused.
    refused: Option<String>,
}

/// Compiles text in a process of its own.
fn compile(folder: &Path, text: &str) -> (usize, Cost) {
    let wasm = wat::parse_str(text).unwrap();
    let (input, output) = (folder.join("bomb.wasm"), folder.join("bomb.elf"));
    std::fs::write(&input, &wasm).unwrap();
    let bytes = wasm.len();
    drop(wasm);
    let mut command = Command::new(env!("CARGO_BIN_EXE_trampette"));
    let ended = child::run(command.args(["compile", "-o"]).args([&output, &input]));
    let (status, message) = (ended.status, ended.message);
    assert!(
        status.code().is_some_and(|code| code <= 1),
        "{status}: {message}"
    );
    let cost = Cost {
        seconds: ended.time.as_secs_f64(),
        memory: ended.memory,
        artifact: std::fs::metadata(&output).map_or(0, |file| file.len()),
        refused: (!status.success()).then_some(message),
    };
    let _absent = std::fs::remove_file(&output);
    (bytes, cost)
}

/// Compiles a bomb at each size. If `refusal` says something, the largest must be refused so.
fn defuse(bound: &Bound, bomb: impl Fn(usize) -> String, sizes: &[usize], refusal: Option<&str>) {
    let folder = tempfile::tempdir().unwrap();
    let mut last = None;
    for size in sizes {
        let (bytes, cost) = compile(folder.path(), &bomb(*size));
        println!("size {size}, {bytes} bytes: {cost:?}");
        let length = bytes as u64;
        assert!(
            cost.seconds <= SECONDS + bound.seconds * bytes as f64
                && cost.memory <= MEMORY + bound.memory * length
                && cost.artifact <= ARTIFACT + bound.artifact * length,
            "{bytes} bytes of size {size}: {cost:?}"
        );
        last = cost.refused;
    }
    match (refusal, last) {
        (None, None) => {}
        (Some(expected), Some(found)) => {
            assert!(found.contains(expected), "{found}");
            assert!(found.contains("offset 0x"), "{found}");
        }
        (expected, found) => panic!("expected {expected:?}, found {found:?}"),
    }
}

/// The items, one after the other.
fn many(count: usize, item: impl Fn(usize) -> String) -> String {
    (0..count).fold(String::new(), |mut all, index| {
        writeln!(all, "{}", item(index)).unwrap();
        all
    })
}

/// Type definitions of which each names the one before as `step` says.
fn chain(levels: usize, base: &str, step: impl Fn(usize, &str) -> String) -> String {
    let next = |level: usize| {
        format!(
            "(type $t{level} {})",
            step(level, &format!("$t{}", level - 1))
        )
    };
    format!(
        "(type $t0 {base}) {}",
        many(levels, |level| next(level + 1))
    )
}

/// A component that passes a list of a type from one of its components to another.
fn passed_on(types: &str, levels: usize) -> String {
    let memory = r#"(memory (export "m") 1)
        (func (export "r") (param i32 i32 i32 i32) (result i32) i32.const 0)"#;
    format!(
        r#"(component
          {types} (type $all (list $t{levels}))
          (component $callee
            {types} (type $all (list $t{levels}))
            (core module $m {memory} (func (export "f") (param i32 i32)))
            (core instance $i (instantiate $m))
            (func (export "f") (param "x" $all) (canon lift (core func $i "f")
              (memory (core memory $i "m")) (realloc (core func $i "r")))))
          (instance $callee (instantiate $callee))
          (core module $memory {memory})
          (core instance $memory (instantiate $memory))
          (core func $f (canon lower (func $callee "f")
            (memory (core memory $memory "m")) (realloc (core func $memory "r"))))
          (core module $m (import "" "f" (func $f (param i32 i32)))
            (func (export "g") (call $f (i32.const 0) (i32.const 0))))
          (core instance $i (instantiate $m (with "" (instance (export "f" (func $f))))))
          (func (export "g") (canon lift (core func $i "g"))))"#
    )
}

/// A component that takes a list of a type from the host.
fn exported(types: &str, levels: usize) -> String {
    format!(
        r#"(component
          {types} (type $all (list $t{levels}))
          (core module $m
            (memory (export "m") 1)
            (func (export "r") (param i32 i32 i32 i32) (result i32) i32.const 0)
            (func (export "f") (param i32 i32)))
          (core instance $i (instantiate $m))
          (func (export "f") (param "x" $all) (canon lift (core func $i "f")
            (memory (core memory $i "m")) (realloc (core func $i "r")))))"#
    )
}

/// Types that name the one before twice, which spreads out to a million parts and more.
fn doubling_types(place: impl Fn(&str, usize) -> String) {
    type Step = fn(usize, &str) -> String;
    let steps: [(&str, Step); 4] = [
        ("string", |_, ty| format!("(tuple {ty} {ty})")),
        ("u32", |_, ty| format!("(result {ty} (error {ty}))")),
        ("string", |level, ty| match level % 2 {
            0 => format!("(tuple {ty} {ty})"),
            _ => format!("(list {ty})"),
        }),
        ("string", |level, ty| match level % 2 {
            0 => format!("(tuple {ty} {ty})"),
            _ => format!("(option {ty})"),
        }),
    ];
    for (base, step) in steps {
        let bomb = |levels: usize| place(&chain(levels, base, step), levels);
        defuse(&CODE, bomb, &[6, 9, 12, 15, 17], None);
    }
}

#[test]
fn types_between_components() {
    doubling_types(passed_on);
}

#[test]
fn types_towards_the_host() {
    doubling_types(exported);
}

#[test]
fn wide_types() {
    let wide = |count: usize| {
        let fields = many(count, |_| "$e".to_string());
        passed_on(
            &format!("(type $e (tuple u8 string u8)) (type $t0 (tuple {fields}))"),
            0,
        )
    };
    defuse(&CODE, wide, &[100, 1000, 5000], None);
}

#[test]
fn instances() {
    let refusal = Some("which is the limit for its size");
    let function = many(200, |_| "(drop (i32.load (i32.const 0)))".to_string());
    let modules = [
        "(module $m (memory 1))".to_string(),
        "(module $m (memory 65536))".to_string(),
        "(module $m (func $f) (table (export \"t\") 1000 funcref (ref.func $f)))".to_string(),
        "(module $m (table 1000 funcref) (func (call_indirect (i32.const 0))) (start 0))"
            .to_string(),
        format!(
            r#"(module $m (memory 1) (data (i32.const 1) "{}"))"#,
            "x".repeat(4000)
        ),
        format!("(module $m (memory 1) (func $f {function}) (start $f))"),
    ];
    for module in modules {
        let inner = format!("(core {} (core instance (instantiate $m))", &module[1..]);
        defuse(
            &CODE,
            |levels| doubling(&inner, levels),
            &[4, 7, 9, 14, 40],
            refusal,
        );
    }
    let functions = many(50, |_| {
        r#"(func (canon lift (core func $i "f") (memory (core memory $i "m"))))"#.to_string()
    });
    let lifted = format!(
        r#"(core module $m (memory (export "m") 1) (func (export "f")))
           (core instance $i (instantiate $m)) {functions}"#
    );
    defuse(
        &CODE,
        |levels| doubling(&lifted, levels),
        &[4, 7, 9, 14, 40],
        refusal,
    );
}

/// Components of which each has two instances of the one before.
fn doubling(inner: &str, levels: usize) -> String {
    let inner = format!("(component $c0 {inner})");
    let all = (1..=levels).fold(inner, |inner, level| {
        let below = level - 1;
        format!(
            "(component $c{level} {inner} (instance (instantiate $c{below}))
               (instance (instantiate $c{below})))"
        )
    });
    format!("(component {all} (instance (instantiate $c{levels})))")
}

#[test]
fn tables_and_memories() {
    for exported in [false, true] {
        let initialised = |count: usize| {
            let all = many(count, |index| {
                let export = match exported {
                    true => format!(r#"(export "t{index}")"#),
                    false => String::new(),
                };
                format!("(table {export} 10000000 funcref (ref.func $f))")
            });
            format!("(module (func $f) {all})")
        };
        let refusal = "need more than 1073741824 bytes";
        defuse(&PLAIN, initialised, &[1, 3, 20, 60], Some(refusal));
    }
    let sealed = |count: usize| {
        let tables = many(count, |index| {
            format!(
                "(table $t{index} 1000000 funcref) (elem (table $t{index}) (i32.const 9) func $f)"
            )
        });
        let calls = many(count, |index| {
            format!(
                r#"(func (export "c{index}") (param i32) (call_indirect $t{index} (local.get 0)))"#
            )
        });
        format!("(module (func $f) {tables} {calls})")
    };
    defuse(&PLAIN, sealed, &[1, 10, 90], None);
    let memories = |count: usize| format!("(module {})", "(memory 65536)".repeat(count));
    defuse(&PLAIN, memories, &[1, 10, 100], None);
    let filled_again = |times: usize| {
        let all = format!("(elem (i32.const 0) func {})", "$f ".repeat(60_000));
        format!(
            r#"(module (table (export "t") 65536 funcref) (func $f) {})"#,
            all.repeat(times)
        )
    };
    defuse(&PLAIN, filled_again, &[1, 6], None);
}

#[test]
fn segments() {
    let data = |count: usize| {
        let all = many(count, |index| {
            format!(r#"(data (i32.const {}) "x")"#, index % 60_000)
        });
        format!(r#"(module (memory (export "m") 1) {all})"#)
    };
    defuse(&PLAIN, data, &[1000, 10_000, 100_000], None);
    let sparse = |count: usize| {
        let all = many(count, |index| {
            format!(r#"(data (i32.const {}) "x")"#, index * 65_537)
        });
        format!(
            r#"(component (core module $m (memory 60000) {all}) (core instance (instantiate $m)))"#
        )
    };
    defuse(&PLAIN, sparse, &[1000, 10_000, 45_000], None);
    let elements = |count: usize| {
        let all = many(count, |index| {
            format!("(elem (i32.const {}) func $f)", index % 60_000)
        });
        format!(r#"(module (table (export "t") 65536 funcref) (func $f) {all})"#)
    };
    defuse(&PLAIN, elements, &[1000, 10_000, 100_000], None);
    let passive = |count: usize| {
        let all = many(count, |_| r#"(data "x") (elem func $f)"#.to_string());
        format!("(module (memory 1) (table 1 funcref) (func $f) {all})")
    };
    defuse(&PLAIN, passive, &[1000, 10_000, 100_000], None);
}

/// Of places that only instantiation knows.
#[test]
fn segments_at_imported_offsets() {
    let imports = r#"(import "" "g" (global $g i32)) (import "" "h" (global $h i32))"#;
    let offset = |index: usize| match index % 3 {
        0 => "(global.get $g)".to_string(),
        1 => "(global.get $h)".to_string(),
        _ => format!("(i32.mul (global.get $g) (i32.const {index}))"),
    };
    let data = |count: usize| {
        let all = many(count, |index| {
            format!(r#"(data (offset {}) "x")"#, offset(index))
        });
        format!("(module {imports} (memory 1) {all})")
    };
    defuse(&PLACES, data, &[1000, 10_000, 30_000], None);
    let elements = |count: usize| {
        let all = many(count, |index| {
            format!("(elem (offset {}) func $f)", offset(index))
        });
        format!("(module {imports} (table 65536 funcref) (func $f) {all})")
    };
    defuse(&PLACES, elements, &[1000, 10_000, 30_000], None);
}

#[test]
fn constant_expressions() {
    let known = |count: usize| {
        let (pushes, adds) = ("i32.const 1 ".repeat(count), "i32.add ".repeat(count - 1));
        format!("(module (global i32 {pushes} {adds}))")
    };
    defuse(&EXPRESSIONS, known, &[1000, 20_000, 200_000], None);
    for left in [true, false] {
        let of_globals = |count: usize| {
            let value = match left {
                true => format!("global.get 0 {}", "global.get 0 i32.add ".repeat(count - 1)),
                false => {
                    let adds = "i32.add ".repeat(count - 1);
                    format!("{} {adds}", "global.get 0 ".repeat(count))
                }
            };
            format!(r#"(module (import "a" "b" (global i32)) (global (export "g") i32 {value}))"#)
        };
        defuse(&EXPRESSIONS, of_globals, &[1000, 20_000, 200_000], None);
    }
}

#[test]
fn bodies() {
    let blocks = |count: usize| {
        let (start, end) = ("block ".repeat(count), "end ".repeat(count));
        format!(r#"(module (func (export "f") {start} {end}))"#)
    };
    defuse(&PLAIN, blocks, &[1000, 10_000, 50_000], None);
    let operands = |count: usize| {
        let (get, add) = ("local.get 0 ".repeat(count), "i32.add ".repeat(count - 1));
        format!(r#"(module (func (export "f") (param i32) (result i32) {get} {add}))"#)
    };
    defuse(&PLAIN, operands, &[1000, 10_000, 50_000], None);
}

/// Loops that compare bytes, of which the index is a sum that a pass looks into: each value adds up
/// the two before.
#[test]
fn sums() {
    let loops = |count: usize| {
        let sums = "(local.set $t (i32.add (local.get $a) (local.get $b)))
            (local.set $a (local.get $b)) (local.set $b (local.get $t))"
            .repeat(count);
        format!(
            r#"(module (memory 1)
              (func (export "f") (param $l i32) (param $r i32) (param $n i32) (result i32)
                (local $a i32) (local $b i32) (local $t i32)
                (block $found
                  (loop $again
                    (local.set $a (local.get $l)) (local.set $b (local.get $r)) {sums}
                    (br_if $found
                      (i32.ne (i32.load8_u (local.get $b)) (i32.load8_u (local.get $r))))
                    (local.set $l (i32.add (local.get $l) (i32.const 1)))
                    (local.set $r (i32.add (local.get $r) (i32.const 1)))
                    (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
                  (return (i32.const 0)))
                (i32.const 1)))"#
        )
    };
    defuse(&PLAIN, loops, &[10, 40, 1000, 20_000], None);
}

#[test]
fn many_items() {
    let functions = |count: usize| {
        let all = many(count, |index| format!(r#"(func (export "f{index}"))"#));
        format!("(module {all})")
    };
    defuse(&CODE, functions, &[100, 1000, 5000], None);
    let items: [fn(usize) -> String; 4] = [
        |index| format!(r#"(import "a" "f{index}" (func))"#),
        |index| format!(r#"(global (export "g{index}") i32 (i32.const 1))"#),
        |index| {
            let ty = |place: usize| ["i32", "i64", "f32", "f64"][index >> (2 * place) & 3];
            let params: Vec<_> = (0..9).map(ty).collect();
            format!("(type (func (param {})))", params.join(" "))
        },
        |_| "(func)".to_string(),
    ];
    for item in items {
        let module = |count: usize| format!("(module {})", many(count, item));
        defuse(&PLAIN, module, &[1000, 10_000, 100_000], None);
    }
}
