//! Names that a guest chooses reach the terminal only with control characters spelt, whatever
//! prints them.

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
