//! Calls between components: every encoding and pointer width to every other, all types, what
//! `realloc` sees, and what hostile guests get.
//!
//! `tests/components/adapters/echo.wat` is the pattern of most: a value goes through two guests and
//! comes back.

use anyhow::Result;
use trampette_runtime::{Component, Instance, Linker, Store, Trap, TrapCode, Val};

/// How one guest keeps values.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Guest {
    encoding: &'static str,
    pointer: &'static str,
}

const ENCODINGS: [&str; 3] = ["utf8", "utf16", "latin1+utf16"];
const POINTERS: [&str; 2] = ["i32", "i64"];
const PLAIN: Guest = Guest {
    encoding: "utf8",
    pointer: "i32",
};

/// Runs `test` with every pair of guests.
fn for_all_pairs(test: impl Fn(Guest, Guest)) {
    let guests = || {
        let of = |pointer| ENCODINGS.map(|encoding| Guest { encoding, pointer });
        POINTERS.into_iter().flat_map(of)
    };
    for front in guests() {
        for back in guests() {
            test(front, back);
        }
    }
}

/// Runs `test` with every pair of pointer widths.
fn for_all_widths(test: impl Fn(Guest, Guest)) {
    for front in POINTERS {
        for back in POINTERS {
            let guest = |pointer| Guest { pointer, ..PLAIN };
            test(guest(front), guest(back));
        }
    }
}

/// A component under test, instantiated anew for each call that may trap.
struct Subject {
    component: Component,
}

impl Subject {
    fn compile(wat: &str) -> Subject {
        let wasm = wat::parse_str(wat).unwrap_or_else(|error| panic!("{error}\n{wat}"));
        let options = trampette::CompileOptions::default();
        let artifact = trampette::compile_component(&wasm, &options)
            .unwrap_or_else(|error| panic!("{error:?}\n{wat}"));
        let component = artifact.load().unwrap();
        Subject { component }
    }

    fn fixture(name: &str) -> Subject {
        Subject::compile(&read_fixture(name))
    }

    /// The echo fixture for a type, which may use the named types.
    fn echo(front: Guest, back: Guest, names: &[(&str, &str)], ty: &str) -> Subject {
        let mut wat = read_fixture("echo");
        let declare = |pattern: &dyn Fn(&str, &str) -> String| {
            let all = names.iter().map(|(name, ty)| pattern(name, ty));
            all.collect::<Vec<_>>().join(" ")
        };
        let back_types = declare(&|name, ty| {
            format!("(type ${name}' {ty}) (export ${name} \"{name}\" (type ${name}'))")
        });
        let front_types = declare(&|name, ty| {
            format!("(type ${name}' {ty}) (import \"{name}\" (type ${name} (eq ${name}')))")
        });
        let outer_types = declare(&|name, _| {
            format!(
                "(alias export $back \"{name}\" (type ${name}')) \
                 (export ${name} \"{name}\" (type ${name}'))"
            )
        });
        let with_types = declare(&|name, _| format!("(with \"{name}\" (type ${name}))"));
        for (pattern, text) in [
            ("(BACK_TYPES)", back_types),
            ("(FRONT_TYPES)", front_types),
            ("(OUTER_TYPES)", outer_types),
            ("(WITH_TYPES)", with_types),
            ("TYPE", ty.to_string()),
        ] {
            wat = wat.replace(pattern, &text);
        }
        for (name, guest) in [("FRONT", front), ("BACK", back)] {
            let (memory, size, narrow) = match guest.pointer {
                "i64" => ("i64", "8", "(local.get"),
                _ => ("", "4", "(i32.wrap_i64 (local.get"),
            };
            let close = if guest.pointer == "i64" { ")" } else { "))" };
            for operand in ["0", "1"] {
                let from = format!("({name}.narrow (local.get {operand}))");
                wat = wat.replace(&from, &format!("{narrow} {operand}{close}"));
            }
            wat = wat.replace(&format!("{name}_ENCODING"), guest.encoding);
            wat = wat.replace(&format!("{name}_MEMORY"), memory);
            wat = wat.replace(&format!("{name}_SIZE"), size);
            wat = wat.replace(name, guest.pointer);
        }
        Subject::compile(&wat)
    }

    fn start(&self) -> Running<'_> {
        let mut store = Store::new(());
        let instance = Linker::new()
            .instantiate(&mut store, &self.component)
            .unwrap();
        Running {
            subject: self,
            store,
            instance,
        }
    }

    /// Calls of a fresh instance, in WAVE; the result of the last.
    fn call(&self, calls: &[&str]) -> Result<String> {
        let mut running = self.start();
        let mut result = String::new();
        for call in calls {
            result = running.call(call)?;
        }
        Ok(result)
    }

    /// The last of these calls must trap.
    #[track_caller]
    fn trap(&self, calls: &[&str], code: TrapCode, payload: u64) {
        let error = self.call(calls).expect_err("a trap");
        let trap = error
            .downcast_ref::<Trap>()
            .unwrap_or_else(|| panic!("{error:?}"));
        assert_eq!(trap.kind(), code, "{calls:?}");
        let text = format!("wasm trap: {}", code.text(payload));
        assert!(error.to_string().starts_with(&text), "{error}");
    }
}

fn read_fixture(name: &str) -> String {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/components/adapters");
    std::fs::read_to_string(format!("{folder}/{name}.wat")).unwrap()
}

struct Running<'s> {
    subject: &'s Subject,
    store: Store<()>,
    instance: Instance,
}

impl Running<'_> {
    fn call(&mut self, call: &str) -> Result<String> {
        let (component, instance) = (&self.subject.component, &self.instance);
        trampette_runner::invoke(component, instance, &mut self.store, call)
    }

    /// Calls `run` with a value that WAVE cannot express.
    fn call_with(&mut self, value: Val) -> Result<Val> {
        let run = self.instance.get_func(&mut self.store, "run").unwrap();
        let mut results = run.call(&mut self.store, &[value])?;
        Ok(results.pop().unwrap())
    }
}

const TEXTS: [&str; 12] = [
    "",
    "a",
    "plain ascii text that is longer than thirty-two bytes",
    "häuser",
    "é",
    "aÿ",
    "ÿĀ",
    "ascii, then é, then €",
    "€",
    "😀",
    "a😀é\u{10ffff}\u{ffff}b",
    "\u{7f}\u{80}\u{7ff}\u{800}\u{d7ff}\u{e000}",
];

/// The calls of `realloc`, as (old size, alignment, new size), when a string is stored as `back`:
/// the `store_string_*` functions of the Canonical ABI.
fn expected_reallocs(text: &str, front: &str, back: &str) -> Vec<[usize; 3]> {
    let latin1 = |c: char| u32::from(c) < 256;
    let utf16 = text.encode_utf16().count();
    let fits = text.chars().all(latin1);
    let source = match front {
        "latin1+utf16" if fits => "latin1",
        "latin1+utf16" => "chosen utf16",
        other => other,
    };
    let units = match source {
        "utf8" => text.len(),
        "latin1" => text.chars().count(),
        _ => utf16,
    };
    let shrink = |calls: &mut Vec<[usize; 3]>, worst: usize, align, used: usize| {
        if used < worst {
            calls.push([worst, align, used]);
        }
    };
    let mut calls = Vec::new();
    match (source, back) {
        ("utf8", "utf8") => calls.push([0, 1, units]),
        (_, "utf8") => {
            calls.push([0, 1, units]);
            if !text.is_ascii() {
                let worst = if source == "latin1" { 2 } else { 3 } * units;
                calls.push([units, 1, worst]);
                shrink(&mut calls, worst, 1, text.len());
            }
        }
        ("utf8", "utf16") => {
            calls.push([0, 2, 2 * units]);
            shrink(&mut calls, 2 * units, 2, 2 * utf16);
        }
        (_, "utf16") => calls.push([0, 2, 2 * units]),
        ("latin1", _) => calls.push([0, 2, units]),
        ("chosen utf16", _) => calls.push([0, 2, 2 * units]),
        _ => {
            calls.push([0, 2, units]);
            if fits {
                shrink(&mut calls, units, 2, text.chars().count());
            } else {
                calls.push([units, 2, 2 * units]);
                shrink(&mut calls, 2 * units, 2, 2 * utf16);
            }
        }
    }
    calls
}

#[test]
fn strings_pass_between_all_encodings_and_widths() {
    for_all_pairs(|front, back| {
        let subject = Subject::echo(front, back, &[], "string");
        let mut running = subject.start();
        for (index, text) in TEXTS.iter().enumerate() {
            let wave = format!("{text:?}").replace("\\u{7f}", "\u{7f}");
            let found = running.call(&format!("run({text:?})")).unwrap();
            let parsed: String = unescape(&found);
            assert_eq!(
                parsed, *text,
                "{front:?} to {back:?}: {wave} became {found}"
            );
            let mut expected: Vec<String> = Vec::new();
            for call in expected_reallocs(text, front.encoding, back.encoding) {
                expected.extend(call.map(|number| number.to_string()));
            }
            let log = running.call("log()").unwrap();
            let expected = format!("[{}]", expected.join(", "));
            assert_eq!(log, expected, "{front:?} to {back:?}: {text:?}");
            let posts = running.call("posts()").unwrap();
            assert_eq!(posts, (index + 1).to_string());
        }
    });
}

/// The text of a WAVE string.
fn unescape(wave: &str) -> String {
    let mut text = String::new();
    let mut rest = wave.trim_matches('"').chars();
    while let Some(c) = rest.next() {
        if c != '\\' {
            text.push(c);
            continue;
        }
        assert_eq!(rest.next(), Some('u'), "{wave}");
        let code: String = rest.by_ref().skip(1).take_while(|c| *c != '}').collect();
        text.push(char::from_u32(u32::from_str_radix(&code, 16).unwrap()).unwrap());
    }
    text
}

#[test]
fn utf16_that_fits_latin1_is_narrowed() {
    let guest = |pointer| Guest {
        encoding: "latin1+utf16",
        pointer,
    };
    for (front, tag) in [("i32", 1_u64 << 31), ("i64", 1 << 63)] {
        for back in POINTERS {
            let subject = Subject::echo(guest(front), guest(back), &[], "string");
            let mut running = subject.start();
            // "aÿ" in UTF-16.
            running
                .call(&format!("poke(4096, {})", 0x00ff_0061_u64))
                .unwrap();
            let found = running.call(&format!("raw(4096, {})", tag | 2)).unwrap();
            assert_eq!(found, "\"aÿ\"");
            assert_eq!(running.call("log()").unwrap(), "[0, 2, 4, 4, 1, 2]");
            running.call(&format!("raw(4096, {tag})")).unwrap();
            assert_eq!(running.call("log()").unwrap(), "[0, 2, 0, 0, 1, 0]");
        }
    }
}

#[test]
fn values_of_all_types_pass_between_all_widths() {
    let point = (
        "point",
        "(record (field \"x\" f32) (field \"y\" f32) (field \"z\" f32))",
    );
    let padded = (
        "padded",
        "(record (field \"a\" u8) (field \"b\" u32) (field \"c\" s16))",
    );
    let color = ("color", "(enum \"red\" \"green\" \"blue\")");
    let perms = ("perms", "(flags \"r\" \"w\" \"x\")");
    let wide: Vec<String> = (0..20).map(|index| format!("\"f{index}\"")).collect();
    let wide = format!("(flags {})", wide.join(" "));
    let wide = ("wide", wide.as_str());
    let shape = (
        "shape",
        "(variant (case \"nothing\") (case \"one\" f64) (case \"text\" string) (case \"small\" u8))",
    );
    let entry = (
        "entry",
        "(record (field \"key\" string) (field \"values\" (list u64)))",
    );
    for_all_widths(|front, back| {
        let check = |names: &[(&str, &str)], element: &str, values: &str| {
            let subject = Subject::echo(front, back, names, &format!("(list {element})"));
            let mut running = subject.start();
            for call in ["[]", values] {
                let found = running.call(&format!("run({call})"));
                let found = found.unwrap_or_else(|error| panic!("{element}: {error:?}"));
                assert_eq!(found, *call, "{front:?} to {back:?}: {element}");
            }
        };
        check(&[], "u8", "[0, 1, 255]");
        check(&[], "s8", "[-128, -1, 127]");
        check(&[], "s16", "[-32768, 5]");
        check(&[], "u32", "[4294967295, 0]");
        check(&[], "s64", "[-9223372036854775808, 9]");
        check(&[], "f32", "[1.5, -0.25]");
        check(&[], "f64", "[1.5, -0.25, 1024]");
        check(&[], "bool", "[true, false, true]");
        check(&[], "char", "['a', 'é', '😀']");
        check(&[], "string", "[\"one\", \"\", \"zwölf\"]");
        check(&[], "(list u16)", "[[1, 2], [], [65535]]");
        check(&[], "(list string)", "[[\"a\"], [\"b\", \"c\"]]");
        check(
            &[],
            "(tuple u8 string u64)",
            "[(1, \"x\", 2), (3, \"\", 4)]",
        );
        check(&[], "(option u32)", "[some(5), none, some(0)]");
        check(&[], "(option string)", "[none, some(\"y\")]");
        check(&[], "(result string (error u64))", "[ok(\"y\"), err(7)]");
        check(&[], "(result (list u8))", "[ok([1]), err]");
        check(
            &[point],
            "$point",
            "[{x: 1, y: 2.5, z: -3}, {x: 0, y: 0, z: 4}]",
        );
        check(
            &[padded],
            "$padded",
            "[{a: 1, b: 2, c: -3}, {a: 4, b: 5, c: 6}]",
        );
        check(&[color], "$color", "[red, blue, green]");
        check(&[perms], "$perms", "[{r, x}, {}, {r, w, x}]");
        check(&[wide], "$wide", "[{f0, f19}, {}]");
        check(
            &[shape],
            "$shape",
            "[nothing, one(0.5), text(\"long\"), small(255)]",
        );
        check(
            &[entry],
            "$entry",
            "[{key: \"k\", values: [1, 2]}, {key: \"\", values: []}]",
        );
    });
}

/// What is carried by shared code, since there is so much of it, arrives all the same.
#[test]
fn large_types_pass_between_all_encodings_and_widths() {
    const LEVELS: usize = 7;
    let mut names = vec![("t0".to_string(), "(tuple u8 string)".to_string())];
    for level in 1..=LEVELS {
        let below = format!("$t{}", level - 1);
        let ty = match level {
            2 => format!("(tuple (option {below}) {below})"),
            4 => format!("(tuple (list {below}) (result {below} (error {below})))"),
            _ => format!("(tuple {below} {below})"),
        };
        names.push((format!("t{level}"), ty));
    }
    // Numbers tell the parts apart.
    fn value(level: usize, next: &mut u8) -> Val {
        let mut below = || value(level - 1, next);
        let fields = match level {
            0 => {
                *next = next.wrapping_add(1);
                let text = format!("{next} \u{e9}\u{20ac}");
                vec![Val::U8(*next), Val::String(text)]
            }
            2 => vec![Val::Option(Some(Box::new(below()))), below()],
            4 => {
                let list = Val::List(vec![below(), below()]);
                vec![list, Val::Result(Err(Some(Box::new(below()))))]
            }
            _ => vec![below(), below()],
        };
        Val::Tuple(fields)
    }
    let names: Vec<(&str, &str)> = names
        .iter()
        .map(|(name, ty)| (name.as_str(), ty.as_str()))
        .collect();
    for_all_pairs(|front, back| {
        let ty = format!("(list $t{LEVELS})");
        let subject = Subject::echo(front, back, &names, &ty);
        let mut next = 0;
        let value = Val::List(vec![value(LEVELS, &mut next), value(LEVELS, &mut next)]);
        let found = subject.start().call_with(value.clone());
        assert_eq!(found.unwrap(), value, "{front:?} to {back:?}");
    });
}

#[test]
fn fixed_lists_and_maps_pass_between_all_widths() {
    for_all_widths(|front, back| {
        let check = |ty: &str, value: Val| {
            let subject = Subject::echo(front, back, &[], ty);
            let found = subject.start().call_with(value.clone());
            assert_eq!(found.unwrap(), value, "{front:?} to {back:?}: {ty}");
        };
        let numbers = |all: &[u16]| Val::List(all.iter().map(|x| Val::U16(*x)).collect());
        let texts = |all: &[&str]| Val::List(all.iter().map(|x| Val::from(*x)).collect());
        check(
            "(list (list u16 3))",
            Val::List(vec![numbers(&[1, 2, 3]), numbers(&[4, 5, 6])]),
        );
        check(
            "(list (list string 2))",
            Val::List(vec![texts(&["a", "bc"])]),
        );
        check(
            "(list (list string 6))",
            Val::List(vec![texts(&["a", "", "c", "d", "e", "f"])]),
        );
        let entry = |key: &str, value| (Val::from(key), Val::U16(value));
        check(
            "(map string u16)",
            Val::Map(vec![entry("a", 1), entry("bc", 2)]),
        );
        check("(map u16 u16)", Val::Map(vec![(Val::U16(1), Val::U16(2))]));
    });
}

#[test]
fn bad_pointers_and_lengths_trap() {
    for_all_widths(|front, back| {
        let strings = |front: &'static str, back: &'static str| {
            let guest = |encoding, width: Guest| Guest { encoding, ..width };
            (guest(front, PLAIN), guest(back, PLAIN))
        };
        let words = Subject::echo(front, back, &[], "(list u32)");
        let memory = 64 << 16;
        let raw = |pointer: u64, length: u64| format!("raw({pointer}, {length})");
        let list = |pointer, length, code| words.trap(&[&raw(pointer, length)], code, 0);
        list(2, 0, TrapCode::UnalignedPointer);
        list(memory + 4, 0, TrapCode::ListOutOfBounds);
        list(memory - 4, 2, TrapCode::ListOutOfBounds);
        list(0xffff_fffc, 1, TrapCode::ListOutOfBounds);
        list(0, 1 << 26, TrapCode::ListTooLong);
        list(0, 0xffff_ffff, TrapCode::ListTooLong);
        list(0, (1 << 26) - 1, TrapCode::ListOutOfBounds);
        assert_eq!(words.call(&[&raw(memory, 0)]).unwrap(), "[]");
        if front.pointer == "i64" {
            list(1 << 63, 0, TrapCode::ListOutOfBounds);
            list(0, 1 << 62, TrapCode::ListTooLong);
            list(u64::MAX - 3, 1, TrapCode::ListOutOfBounds);
        }

        let (utf16, utf8) = strings("utf16", "utf8");
        let text = Subject::echo(utf16, utf8, &[], "string");
        let string = |pointer, length, code| text.trap(&[&raw(pointer, length)], code, 0);
        string(1, 0, TrapCode::UnalignedPointer);
        string(memory - 2, 2, TrapCode::StringContentOutOfBounds);
        string(0, 1 << 27, TrapCode::StringTooLong);
    });
}

#[test]
fn what_realloc_returns_is_checked() {
    use TrapCode::*;
    for_all_widths(|front, back| {
        let bytes = Subject::echo(front, back, &[], "(list u8)");
        let words = Subject::echo(front, back, &[], "(list u32)");
        let text = Subject::echo(front, back, &[], "string");
        for (subject, call, fault, code) in [
            (&bytes, "run([])", 1, ListOutOfBounds),
            (&bytes, "run([1])", 1, ListOutOfBounds),
            (&words, "run([])", 1, ListOutOfBounds),
            (&words, "run([])", 2, UnalignedPointer),
            (&words, "run([1])", 2, UnalignedPointer),
            (&words, "run([1])", 3, Unreachable),
            (&text, "run(\"\")", 1, StringContentOutOfBounds),
            (&text, "run(\"abc\")", 1, StringContentOutOfBounds),
        ] {
            subject.trap(&[&format!("set-fault({fault})"), call], code, 0);
        }
        assert_eq!(bytes.call(&["set-fault(2)", "run([7])"]).unwrap(), "[7]");
    });
}

#[test]
fn invalid_contents_trap() {
    let color = [("color", "(enum \"red\" \"green\" \"blue\")")];
    let perms = [("perms", "(flags \"r\" \"w\" \"x\")")];
    for_all_widths(|front, back| {
        let echo = |names: &[(&str, &str)], ty: &str| Subject::echo(front, back, names, ty);
        let poke = |value: u64| format!("poke(4096, {value})");
        for value in [0xd800, 0xdfff, 0x11_0000, 0xffff_ffff] {
            let chars = echo(&[], "(list char)");
            chars.trap(&[&poke(value), "raw(4096, 1)"], TrapCode::InvalidChar, 0);
            let padded = echo(&[], "(list (tuple char))");
            padded.trap(&[&poke(value), "raw(4096, 1)"], TrapCode::InvalidChar, 0);
        }
        let colors = echo(&color, "(list $color)");
        let invalid = TrapCode::InvalidDiscriminant;
        colors.trap(&[&poke(0x0301), "raw(4096, 2)"], invalid, 0);
        let options = echo(&[], "(list (option u8))");
        options.trap(&[&poke(2), "raw(4096, 1)"], invalid, 0);
        // Every byte but 0 is true, and flags without a label are dropped.
        let bools = echo(&[], "(list bool)");
        let found = bools.call(&[&poke(0xff_02_00_01), "raw(4096, 4)"]).unwrap();
        assert_eq!(found, "[true, false, true, true]");
        let perms = echo(&perms, "(list $perms)");
        let found = perms.call(&[&poke(0xfd_08), "raw(4096, 2)"]).unwrap();
        assert_eq!(found, "[{}, {r, x}]");
    });
}

#[test]
fn invalid_strings_trap() {
    for_all_pairs(|front, back| {
        let subject = Subject::echo(front, back, &[], "string");
        let invalid = |bytes: [u8; 8], length: u64, code| {
            let poke = format!("poke(4096, {})", u64::from_le_bytes(bytes));
            subject.trap(&[&poke, &format!("raw(4096, {length})")], code, 0);
        };
        let tag: u64 = match front.pointer {
            "i32" => 1 << 31,
            _ => 1 << 63,
        };
        let utf16 = |tag| {
            invalid(*b"a\0\0\xd8b\0\0\0", tag | 3, TrapCode::InvalidUtf16);
            invalid(*b"\x01\xdc\0\0\0\0\0\0", tag | 1, TrapCode::InvalidUtf16);
            invalid(*b"\x20\x20\0\xd8\0\0\0\0", tag | 2, TrapCode::InvalidUtf16);
        };
        match front.encoding {
            "utf8" => {
                invalid(*b"\xff\0\0\0\0\0\0\0", 1, TrapCode::InvalidUtf8);
                invalid(*b"ab\xc3(\0\0\0\0", 4, TrapCode::InvalidUtf8);
                invalid(*b"\xed\xa0\x80\0\0\0\0\0", 3, TrapCode::InvalidUtf8);
                invalid(*b"ab\xe2\x82\0\0\0\0", 4, TrapCode::IncompleteUtf8);
            }
            "utf16" => utf16(0),
            _ => utf16(tag),
        }
    });
}

/// The fixtures that check themselves: `run` returns 42.
#[test]
fn fixtures_that_check_themselves() {
    for name in ["spilled", "flat-variants", "self"] {
        let found = Subject::fixture(name).call(&["run()"]);
        assert_eq!(
            found.unwrap_or_else(|e| panic!("{name}: {e:?}")),
            "42",
            "{name}"
        );
    }
}

#[test]
fn a_parent_and_its_child_call_each_other_back() {
    let donut = Subject::fixture("donut");
    let calls = ["run(0)", "run(1)", "run(0)"];
    assert_eq!(donut.call(&calls).unwrap(), "42");
}

#[test]
fn lent_handles_stay_and_borrows_end_with_the_call() {
    let donut = Subject::fixture("donut");
    donut.trap(&["run(2)"], TrapCode::HandleLent, 0);
    donut.trap(&["run(3)"], TrapCode::BorrowsRemain, 0);
    donut.trap(&["run-lend-give()"], TrapCode::HandleLent, 0);
    donut.trap(&["run-give-lend()"], TrapCode::UnknownHandle, 1);
}

#[test]
fn realloc_and_post_return_cannot_leave() {
    let leaving = Subject::fixture("leaving");
    leaving.call(&["take()", "give()", "take()"]).unwrap();
    let cannot = TrapCode::CannotLeave;
    leaving.trap(&["set-back(0, 1)", "take()"], cannot, 0);
    leaving.trap(&["set-front(0, 1)", "give()"], cannot, 0);
    leaving.trap(&["set-back(4, 1)", "give()"], cannot, 0);
    leaving.call(&["set-front(0, 1)", "take()"]).unwrap();
}
