//! Names that a guest chooses reach the terminal only with control characters spelt, and mangled
//! ones as they were written, whatever prints them.

use object::{Object, ObjectSection, ObjectSymbol};
use std::process::Command;
use tempfile::TempDir;

/// What every name ends in: the colour red, the window's title, a bell, right to left.
const HOSTILE: &str = "\\1b[31m\\1b]0;t\\07\\c2\\9b\\e2\\80\\ae";

/// Texts with names of every kind; `!` stands for the hostile end of a name.
const INPUTS: &[(&str, &str)] = &[
    (
        "traps",
        r#"(component
          (core module $m
            (@custom "name" "\00\05\04m!" )
            (func $f (@name "f!") unreachable)
            (func (export "f") (@name "g!") (call $f)))
          (core instance $m (instantiate $m))
          (func (export "f") (canon lift (core func $m "f"))))"#,
    ),
    (
        "imports",
        r#"(module
          (import "a!" "b!" (func $b (@name "c!")))
          (import "g!" "g!" (global i32))
          (memory (export "m!") 1)
          (func (export "f") (@name "e!") (call $b)))"#,
    ),
    (
        "unknown import",
        r#"(component
          (core module $m (import "a!" "b!" (func)))
          (core module $n (func (export "x!") unreachable))
          (core instance $n (instantiate $n))
          (core instance $m (instantiate $m (with "a!" (instance $n)))))"#,
    ),
    (
        "unknown export",
        r#"(component
          (core module $m (func (export "f")))
          (core instance $m (instantiate $m))
          (func (export "f") (canon lift (core func $m "f!"))))"#,
    ),
    (
        "invalid",
        r#"(module (import "a!" "b!" (func)) (func (@name "f!") (drop)))"#,
    ),
    (
        "twice",
        r#"(module (func (export "a!")) (func (export "a!")))"#,
    ),
];

#[test]
fn no_command_lets_a_name_reach_the_terminal_as_it_is() {
    let folder = TempDir::new().unwrap();
    let mut shown = 0;
    for (name, text) in INPUTS {
        let input = folder.path().join("input.wat");
        std::fs::write(&input, text.replace('!', HOSTILE)).unwrap();
        let path = input.to_str().unwrap();
        let elf = folder.path().join("app.elf");
        let elf = elf.to_str().unwrap();
        let calls: &[&[&str]] = &[
            &["compile", path, "-o", elf],
            &["compile", "--emit", "plan", path],
            &["compile", "--emit", "clif", path],
            &["compile", "--emit", "asm", path],
            &["compile", "--stats", path, "-o", elf],
            &["inspect", path],
            &["inspect", elf],
            &["verify", elf],
            &["run", path],
            &["run", "--no-inline", "--invoke", "f()", path],
            &["run", "--precompiled", "--invoke", "f()", elf],
        ];
        for arguments in calls {
            let output = Command::new(env!("CARGO_BIN_EXE_trampette"))
                .args(*arguments)
                .output()
                .unwrap();
            for text in [output.stdout, output.stderr] {
                let text = String::from_utf8(text).expect("UTF-8");
                let bad = text.find(|c: char| c.is_control() && c != '\n' || c == '\u{202e}');
                assert_eq!(bad, None, "{name}, {arguments:?}: {text:?}");
                shown += usize::from(text.contains("\\u{1b}"));
            }
        }
        if let Ok(bytes) = std::fs::read(elf) {
            let file = <object::File as object::Object>::section_by_name;
            let parsed = object::File::parse(&bytes[..]).unwrap();
            assert!(file(&parsed, ".text").is_some());
            let symbols = object::Object::symbols(&parsed);
            for symbol in symbols {
                let name = object::ObjectSymbol::name(&symbol).unwrap();
                assert!(!name.contains(char::is_control), "{name:?}");
            }
        }
    }
    assert!(shown > 20, "names are shown only {shown} times");
}

/// A function of each mangling that calls the next: Rust's older and newer one, C++.
const MANGLED: &str = r#"(component
    (core module $m
        (import "" "log" (func $_ZN4host3logEi (param i32)))
        (func $_ZN4core9panicking5panic17h0123456789abcdefE
            (call $_ZN4host3logEi (i32.const 1))
            unreachable)
        (func $_ZNSt6vectorIiSaIiEE9push_backERKi (param i32)
            (if (local.get 0)
                (then (call $_ZNSt6vectorIiSaIiEE9push_backERKi (i32.const 0))))
            (call $_ZN4core9panicking5panic17h0123456789abcdefE))
        (table 1 funcref)
        (elem (i32.const 0) $_RNvC6_123foo3bar)
        (func $_RNvC6_123foo3bar
            (call $_ZNSt6vectorIiSaIiEE9push_backERKi (i32.const 1)))
        (func (export "f") (call $_RNvC6_123foo3bar)))
    (import "log" (func $log (param "n" u32)))
    (core func $log (canon lower (func $log)))
    (core instance $m (instantiate $m (with "" (instance (export "log" (func $log))))))
    (func (export "f") (canon lift (core func $m "f"))))"#;

#[test]
fn no_command_shows_a_mangled_name() {
    let folder = TempDir::new().unwrap();
    let file = |name: &str| folder.path().join(name).to_str().unwrap().to_string();
    let (input, elf, page) = (file("input.wat"), file("app.elf"), file("page.html"));
    std::fs::write(&input, MANGLED).unwrap();
    let (input, elf) = (input.as_str(), elf.as_str());
    let trap = ["--trap-unknown-imports", "--invoke", "f()"];
    let ours = [
        "core::panicking::panic",
        "std::vector<int, std::allocator<int> >::push_back(int const&)",
        "123foo::bar",
    ];
    // Each, and how many of the three names it shows at least.
    let calls: &[(&[&str], usize)] = &[
        (&["compile", "-g", "--no-inline", input, "-o", elf], 0),
        (&["compile", "--emit", "plan", input], 1),
        (&["compile", "--no-inline", "--emit", "clif", input], 3),
        (&["compile", "--no-inline", "--emit", "asm", input], 3),
        (&["compile", "--stats", "--time", input, "-o", "-"], 0),
        (&["inspect", "--all", input], 0),
        (&["inspect", "--functions", "--no-inline", input], 3),
        (&["inspect", "--json", elf], 0),
        (&["inspect", "--graph", "-", input], 0),
        (&["verify", elf], 0),
        (&["explore", "--no-inline", input, "-o", &page], 3),
        (&["run", "--no-inline", trap[0], trap[1], trap[2], input], 1),
        (&["run", "--precompiled", trap[0], trap[1], trap[2], elf], 1),
    ];
    for (arguments, least) in calls {
        let output = Command::new(env!("CARGO_BIN_EXE_trampette"))
            .args(*arguments)
            .output()
            .unwrap();
        let succeeds = arguments[0] != "run";
        assert_eq!(output.status.success(), succeeds, "{arguments:?}");
        let (out, err) = (output.stdout, output.stderr);
        // Other than the artifact itself, which keeps the module's names as they are.
        let mut text = match out.starts_with(b"\x7fELF") {
            true => String::new(),
            false => String::from_utf8(out).unwrap(),
        };
        text.push_str(std::str::from_utf8(&err).unwrap());
        text.push_str(&std::fs::read_to_string(&page).unwrap_or_default());
        // The page's data is JSON in which `<` is spelt.
        let text = text.replace("\\u003c", "<");
        for mangled in ["_ZN", "_RNv"] {
            assert!(!text.contains(mangled), "{arguments:?}: {text}");
        }
        let shown = ours.iter().filter(|name| text.contains(*name)).count();
        assert!(shown >= *least, "{arguments:?}: {shown}: {text}");
        let _ = std::fs::remove_file(&page); // most make none
    }
    // What debuggers and profilers read.
    let bytes = std::fs::read(elf).unwrap();
    let parsed = object::File::parse(&bytes[..]).unwrap();
    let symbols: Vec<&str> = parsed.symbols().map(|it| it.name().unwrap()).collect();
    for name in ours {
        let ends = symbols.iter().any(|symbol| symbol.ends_with(name));
        assert!(ends, "{name}: {symbols:?}");
    }
    for section in parsed.sections() {
        if section.name().unwrap().starts_with(".debug_") {
            let data = section.data().unwrap();
            assert!(!data.windows(3).any(|part| part == b"_ZN"));
        }
    }
}
