//! `trampette verify`: what the compiler writes is consistent, and damage that no checksum tells is
//! found.

use anyhow::Result;
use object::elf::{PF_W, PF_X, PT_LOAD, ProgramHeader64};
use object::read::elf::{ElfFile64, ProgramHeader};
use object::{LittleEndian, Object, ObjectSection, ObjectSymbol};
use std::ops::Range;
use std::path::{Path, PathBuf};
use trampette::CompileOptions;
use trampette::input;
use trampette::options::{Bounds, Inline, OptLevel};
use trampette::verify::verify;
use trampette_artifact::header::{Identification, checksum, section};
use trampette_artifact::ids::{DefinedFunc, UnitId};
use trampette_artifact::key::{FuncKey, SymbolKey};
use trampette_artifact::sites::{Sites, encode};

fn folder(name: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    let entries = std::fs::read_dir(folder).unwrap();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

/// The programs of the examples, of the tests with the runtime, and of the listings.
fn programs() -> Vec<PathBuf> {
    let mut paths = folder("examples");
    for subject in [folder("tests/golden"), folder("tests/components")].concat() {
        if subject.is_dir() {
            paths.extend(folder(subject.to_str().unwrap()));
        }
    }
    paths.retain(|path| path.extension().is_some_and(|it| it == "wat"));
    paths
}

fn options() -> Vec<(&'static str, CompileOptions)> {
    let plain = CompileOptions {
        opt_level: OptLevel::None,
        inline: Inline::Never,
        bounds: Bounds::Explicit,
        ..CompileOptions::default()
    };
    vec![("default", CompileOptions::default()), ("plain", plain)]
}

#[test]
fn what_the_compiler_writes_is_consistent() {
    let (mut verified, mut wrong) = (0, Vec::new());
    for path in programs() {
        for (name, options) in options() {
            // Some are tests of errors, or need options of their own.
            let Ok(artifact) = input::read(&path).and_then(|it| it.into_artifact(&options)) else {
                continue;
            };
            if let Err(error) = verify(artifact.bytes()) {
                wrong.push(format!("{}, {name}: {error:#}", path.display()));
            }
            verified += 1;
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(verified >= 200, "only {verified} artifacts");
}

/// A component with calls, function ids, a table of jumps, constants, a handler of exceptions and
/// inlined calls.
const PROGRAM: &str = r#"(component
  (import "log" (func $log (param "x" u32)))
  (core func $log (canon lower (func $log)))
  (core module $m
    (import "" "log" (func $log (param i32)))
    (type $unary (func (param i32) (result i32)))
    (tag $tag (param i32))
    (memory (export "memory") 1)
    (table $t (export "t") 4 funcref)
    (elem (table $t) (i32.const 0) func $double $choose)
    (func $double (type $unary) (i32.shl (local.get 0) (i32.const 1)))
    (func $choose (type $unary)
      (block $c (block $b (block $a
        (br_table $a $b $c $a $b $c (local.get 0)))
        (call $log (i32.const 10)) (return (i32.const 3)))
        (call $log (i32.const 11)) (return (i32.const 5)))
      (i32.load (local.get 0)))
    (func $throw (param i32) (if (local.get 0) (then (throw $tag (local.get 0)))))
    (func $vector (param i32) (result i32)
      (i32x4.extract_lane 2
        (i32x4.mul (i32x4.splat (local.get 0)) (v128.const i32x4 5 6 7 8))))
    (func (export "run") (param i32) (result i32)
      (table.set $t (i32.const 2) (ref.func $double))
      (drop (block $caught (result i32)
        (try_table (catch $tag $caught) (call $throw (local.get 0)))
        (i32.const 0)))
      (i32.add
        (call $vector (local.get 0))
        (call_indirect (type $unary) (local.get 0) (i32.and (local.get 0) (i32.const 3))))))
  (core instance $i (instantiate $m
    (with "" (instance (export "log" (func $log))))))
  (func (export "run") (param "x" u32) (result u32) (canon lift (core func $i "run"))))"#;

/// An artifact that is to be damaged.
struct Damaged {
    bytes: Vec<u8>,
}

impl Damaged {
    fn new(text: &str) -> Damaged {
        let wasm = wat::parse_str(text).unwrap();
        let input = input::classify(wasm).unwrap();
        Damaged {
            bytes: input
                .into_artifact(&CompileOptions::default())
                .unwrap()
                .into_bytes(),
        }
    }

    fn section(&self, name: &str) -> Range<usize> {
        let file = object::File::parse(&self.bytes[..]).unwrap();
        let section = file.section_by_name(name).unwrap();
        let (offset, size) = section.file_range().unwrap();
        offset as usize..(offset + size) as usize
    }

    fn word(&self, at: usize) -> u32 {
        u32::from_le_bytes(self.bytes[at..at + 4].try_into().unwrap())
    }

    fn set(&mut self, at: usize, word: u32) {
        self.bytes[at..at + 4].copy_from_slice(&word.to_le_bytes());
    }

    fn add(&mut self, at: usize, difference: u32) {
        self.set(at, self.word(at).wrapping_add(difference));
    }

    /// The code of the function whose symbol begins with `name`.
    fn function(&self, name: &str) -> Range<usize> {
        let file = object::File::parse(&self.bytes[..]).unwrap();
        let mut symbols = file.symbols();
        let symbol = symbols.find(|it| it.name().unwrap().starts_with(name));
        let symbol = symbol.unwrap_or_else(|| panic!("no function {name}"));
        symbol.address() as usize..(symbol.address() + symbol.size()) as usize
    }

    /// Where the distance of the call in the only entry is.
    fn entry_call(&self) -> usize {
        let return_address = self.word(self.section(section::ENTRIES).start);
        self.section(section::TEXT).start + return_address as usize - 4
    }

    /// Where these bytes are in a range.
    fn find(&self, range: Range<usize>, bytes: &[u8]) -> usize {
        let mut windows = self.bytes[range.clone()].windows(bytes.len());
        range.start + windows.position(|window| window == bytes).unwrap()
    }

    /// The program header of the code's segment.
    fn code_segment(&self) -> usize {
        let file = ElfFile64::<LittleEndian>::parse(&self.bytes[..]).unwrap();
        let mut headers = file.elf_program_headers().iter();
        let index = headers.position(|it| {
            it.p_type(LittleEndian) == PT_LOAD && it.p_flags(LittleEndian) & PF_X != 0
        });
        64 + index.unwrap() * size_of::<ProgramHeader64<LittleEndian>>()
    }

    /// Other contents of a section that are not longer; its checksum is of them all.
    fn replace(&mut self, name: &str, contents: &[u8]) {
        let range = self.section(name);
        assert!(contents.len() <= range.len());
        self.bytes[range.start..][..contents.len()].copy_from_slice(contents);
        self.bytes[range.start + contents.len()..range.end].fill(0);
    }

    /// Writes the right checksums, so that the loader takes it.
    fn seal(&mut self) {
        let range = self.section(section::ID);
        let mut id = Identification::decode(&self.bytes[range.clone()]).unwrap();
        for section in &mut id.sections {
            let place = section.offset as usize..(section.offset + section.length) as usize;
            section.checksum = checksum(&self.bytes[place]);
        }
        // Numbers differ in length: listings can do without some of the options' text.
        let mut encoded = id.encode().unwrap();
        while encoded.len() > range.len() {
            id.options.pop().unwrap();
            encoded = id.encode().unwrap();
        }
        self.replace(section::ID, &encoded);
    }
}

/// A kind of damage: how it is done, and what the error says.
type Damage = (&'static str, fn(&mut Damaged), &'static str);

const DAMAGES: &[Damage] = &[
    (
        "an import has the name of a function that there is not",
        |it| {
            let section = it.section(section::WORLD);
            // Depth, name, kind, and the number of the function.
            let name = it.find(section.clone(), b"\x00\x03log\x01\x00");
            it.bytes[name + 6] = 7;
        },
        "`log` is nothing that is imported",
    ),
    (
        "a call's target is off by one",
        |it| {
            let target = it.entry_call();
            it.add(target, 1);
        },
        "where no function starts",
    ),
    (
        "an entry calls another function",
        |it| {
            let target = it.entry_call();
            let callee = it.function("wasm[0]::function[0]").start;
            it.set(target, (callee as u32).wrapping_sub(target as u32 + 4));
        },
        "does not call `export-entry[0]-wasm-call`",
    ),
    (
        "an entry of a table of jumps is off by one",
        |it| {
            let function = it.function("wasm[0]::function[1]");
            // addq %reg, %reg; jmpq *%reg
            let code = it.bytes[function.clone()].to_vec();
            let jump = code
                .windows(5)
                .position(|code| code[0] & 0xf8 == 0x48 && code[1] == 0x03 && code[3] == 0xff);
            let table = function.start + jump.unwrap() + 5;
            it.add(table, 1);
        },
        "where no instruction starts",
    ),
    (
        "a function's range is too long",
        |it| {
            let functions = it.section(section::FUNCTIONS);
            it.add(functions.start + 12, 1);
        },
        "`wasm[0]::function[0]",
    ),
    (
        "a function is missing",
        |it| {
            let functions = it.section(section::FUNCTIONS);
            // The second one becomes a part of the first.
            let end = it.word(functions.start + 24) + it.word(functions.start + 28);
            it.set(functions.start + 12, end);
        },
        "overlaps the function before it",
    ),
    (
        "a site is outside of all functions",
        |it| {
            let sites = it.section(section::SITES);
            let mut all = Sites::parse(&it.bytes[sites]).unwrap().all().unwrap();
            let text = it.section(section::TEXT);
            all.last_mut().unwrap().offset = text.len() as u32;
            it.replace(section::SITES, &encode(&all));
        },
        "is in no function",
    ),
    (
        "a site is in the middle of an instruction",
        |it| {
            let sites = it.section(section::SITES);
            let mut all = Sites::parse(&it.bytes[sites]).unwrap().all().unwrap();
            let site = all.iter_mut().find(|site| site.trap.is_none()).unwrap();
            site.offset -= 1;
            it.replace(section::SITES, &encode(&all));
        },
        "in .text is at no call",
    ),
    (
        "a trap resumes elsewhere",
        |it| {
            let entries = it.section(section::ENTRIES);
            it.add(entries.start + 8, 1);
        },
        "which is no instruction of it",
    ),
    (
        "a return address is off by one",
        |it| {
            let entries = it.section(section::ENTRIES);
            it.add(entries.start, 1);
        },
        "in .text: no call",
    ),
    (
        "a handler of exceptions is in another function",
        |it| {
            let handlers = it.section(section::EXCEPTIONS);
            it.set(handlers.start + 8, 0);
        },
        "which is no instruction of its function",
    ),
    (
        "a function id's code is off by one",
        |it| {
            let table = it.section(section::FUNCTION_TABLE);
            it.add(table.start + 16 + 4, 1);
        },
        "function id 1 has its code at",
    ),
    (
        "a function id has the context of another slab",
        |it| {
            let table = it.section(section::FUNCTION_TABLE);
            it.add(table.start + 16 + 8, 16);
        },
        "has the context of another slab",
    ),
    (
        "a function has a key of another kind",
        |it| {
            let functions = it.section(section::FUNCTIONS);
            let at = it.find(functions, &(3u32 << 26).to_le_bytes());
            it.set(at, 5 << 26);
        },
        "the symbol of `resource-drop[0]-wasm-call`",
    ),
    (
        "an export has no entry: it is of another convention",
        |it| {
            let functions = it.section(section::FUNCTIONS);
            let key = (6 << 26 | 2u32).to_le_bytes();
            let at = it.find(functions, &key);
            it.set(at, 6 << 26 | 1);
        },
        "export function `run`: it has no code for it",
    ),
    (
        "the name of a function is another",
        |it| {
            let names = it.section(".strtab");
            let at = it.find(names, b"::double");
            it.bytes[at + 2] = b'D';
        },
        "the symbol of `wasm[0]::function[0]`",
    ),
    (
        "a description of a frame is too long",
        |it| {
            let frames = it.section(".eh_frame");
            let length = it.function("wasm[0]::function[1]").len() as u32;
            let at = it.find(frames, &length.to_le_bytes());
            it.add(at, 1);
        },
        "has another length in the unwind table",
    ),
    (
        "a segment is writable and executable",
        |it| {
            let header = it.code_segment();
            it.set(header + 4, it.word(header + 4) | PF_W);
        },
        "is writable and executable",
    ),
    (
        "code is not executable",
        |it| {
            let header = it.code_segment();
            it.set(header + 4, it.word(header + 4) & !PF_X);
        },
        "section .text",
    ),
    (
        "code between functions",
        |it| {
            let text = it.section(section::TEXT);
            let gap = it.find(text, &[0xcc, 0xcc, 0xcc]);
            it.bytes[gap + 1] = 0x90;
        },
        "is in no function",
    ),
    (
        "an address of data is beyond all sections",
        |it| {
            let text = it.section(section::TEXT);
            let got = it.section(section::GOT).start as u32;
            // `leaq ADDRESS(%rip), %reg` of the addresses of builtins.
            let at = text.clone().find(|at| {
                let takes_address = it.bytes[at - 2] == 0x8d && it.bytes[at - 1] & 0xc7 == 0x05;
                let target = (*at as u32 + 4).wrapping_add(it.word(*at));
                takes_address && (got..got + 256).contains(&target)
            });
            it.add(at.unwrap(), 0x10_0000);
        },
        "where no data is",
    ),
];

#[test]
fn the_program_is_consistent() -> Result<()> {
    let mut artifact = Damaged::new(PROGRAM);
    verify(&artifact.bytes)?;
    // Sealing is no damage.
    artifact.seal();
    verify(&artifact.bytes)?;
    Ok(())
}

#[test]
fn damage_is_found() {
    let mut wrong = Vec::new();
    for (name, damage, message) in DAMAGES {
        let mut artifact = Damaged::new(PROGRAM);
        damage(&mut artifact);
        artifact.seal();
        match verify(&artifact.bytes) {
            Ok(summary) => wrong.push(format!("{name}: {summary}")),
            Err(error) => {
                let error = format!("{error:#}");
                if !error.contains(message) {
                    wrong.push(format!("{name}: {error}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The loader looks for such entries when they are called.
#[test]
fn exports_of_core_modules_have_entries() {
    let mut artifact = Damaged::new(
        r#"(module
            (func (export "f"))
            (func (export "g") (unreachable))
            (func (export "h") (call 1)))"#,
    );
    verify(&artifact.bytes).unwrap();
    // The entry of `h` becomes one of a function that is not exported; in its symbol too.
    let functions = artifact.section(section::FUNCTIONS);
    let key = FuncKey::ArrayToWasm(UnitId(0), DefinedFunc(2));
    let (namespace, index) = SymbolKey::Func(key).encode();
    let key = [namespace.to_le_bytes(), index.to_le_bytes()].concat();
    let at = artifact.find(functions, &key);
    artifact.set(at + 4, 3);
    let names = artifact.section(".strtab");
    let name = b"array-to-wasm[2]";
    let at = artifact.find(names, name) + name.len() - 2;
    artifact.bytes[at] = b'3';
    artifact.seal();
    let error = format!("{:#}", verify(&artifact.bytes).unwrap_err());
    assert_eq!(error, "h: there is no entry `wasm[0]::array-to-wasm[2]`");
}
/// One bit at a time, in all that verifying reads, with right checksums: nothing panics, and no
/// change of the function table goes unseen.
#[test]
fn whatever_the_bytes_are_it_does_not_panic() {
    let artifact = Damaged::new(PROGRAM);
    let mut names: Vec<&str> = vec![section::TEXT, section::FUNCTIONS, section::FUNCTION_TABLE];
    names.extend([section::SITES, section::ENTRIES, section::EXCEPTIONS]);
    names.extend([section::METADATA, section::CUSTOM, ".eh_frame", ".symtab"]);
    let mut tried = 0;
    for name in names {
        for at in artifact.section(name).step_by(3) {
            let mut damaged = Damaged {
                bytes: artifact.bytes.clone(),
            };
            damaged.bytes[at] ^= 1 << (at % 8);
            damaged.seal();
            let verified = verify(&damaged.bytes);
            assert!(
                verified.is_err() || name != section::FUNCTIONS,
                "a bit of {name} at {at:#x} is another, and nothing tells"
            );
            tried += 1;
        }
    }
    // Headers: those of the file and its segments, and those of sections.
    for at in (0..64 * 9).chain(artifact.bytes.len() - 64 * 20..artifact.bytes.len()) {
        let mut bytes = artifact.bytes.clone();
        bytes[at] ^= 1 << (at % 8);
        let _ = verify(&bytes);
        tried += 1;
    }
    assert!(tried > 2000, "only {tried} places");
}
