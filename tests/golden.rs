//! Golden tests: what the compiler makes of small programs, as text.
//!
//! Each `tests/golden/<subject>/<name>.wat` is a component or a core module whose first lines say
//! what to print:
//!
//! ```text
//! ;;! emit = "clif"            "plan", "clif", "asm", "array-calls"; "asm" if left out
//! ;;! function = "unit[0]"     only functions whose symbol contains this (or another)
//! ;;! names = "symbols"        in CLIF: names of functions and builtins for their numbers
//! ;;! covers = "a, b"          items (see `tests/golden/README.md`) that this file is there for
//! ;;! alone = "yes"            a core module is compiled on its own, not in a component
//! ;;! cpu = "x86-64-v2"        the processor level, if not the default
//! ;;! inline = "yes"           with inlining; without, so that each function is seen, if left out
//! ;;! bounds = "explicit"      how accesses to memories are checked
//! ;;! spectre = "mitigated"    guard what is checked by code against speculation
//! ;;! blocking = "assumed"     every call may block, for all that the compiler knows
//! ;;! nan = "canonical"        every NaN that an instruction gives is canonical
//! ;;! unsafe-intrinsics = "i"  the import that provides unsafe intrinsics
//! ```
//!
//! The text is in `<name>.expected`; for a program that does not compile it is the error. `BLESS=1`
//! writes what was found: then read the difference.
//!
//! A core module that is not compiled on its own is instantiated in a component whose only other
//! part takes references to all functions that it exports, so that they are compiled.
//!
//! The test `coverage` holds the tables of `tests/golden/README.md`: every item that the code knows
//! has a file that is there for it and whose text shows it. `BLESS=1` writes the tables, too.

#[path = "support/golden.rs"]
mod golden;
#[path = "support/listing.rs"]
mod listing;
#[path = "support/trials.rs"]
mod trials;

use anyhow::{Context, Result, bail, ensure};
use libtest_mimic::{Failed, Trial};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use trampette::CompileOptions;
use trampette::emit::{self, Emit};
use trampette::options::{Blocking, Inline, NanBits, Proposals, Spectre};
use wasmparser::types::EntityType;
use wasmparser::{RefType, ValType, ValidPayload, Validator};

fn main() -> ExitCode {
    trials::run("the golden tests", trials)
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

fn trials() -> Result<Vec<Trial>> {
    let programs = programs()?;
    let trial = |program: &Program| {
        let path = program.path.clone();
        Trial::test(program.name.clone(), move || {
            check(&path).map_err(|error| Failed::from(format!("{error:#}")))
        })
    };
    let mut trials: Vec<Trial> = programs.iter().map(trial).collect();
    trials.push(Trial::test("coverage", move || {
        coverage(&programs).map_err(|error| Failed::from(format!("{error:#}")))
    }));
    Ok(trials)
}

struct Program {
    /// Its subject and name, with `/` between them.
    name: String,
    /// Its path without extension.
    path: PathBuf,
}

/// All programs, by name.
fn programs() -> Result<Vec<Program>> {
    let mut programs = BTreeSet::new();
    let mut expectations = BTreeSet::new();
    for subject in std::fs::read_dir(folder())? {
        let subject = subject?.path();
        if subject == folder().join("README.md") {
            continue;
        }
        ensure!(
            subject.is_dir(),
            "{} is in no subject's folder",
            subject.display()
        );
        for entry in std::fs::read_dir(&subject)? {
            let path = entry?.path();
            match path.extension().and_then(|extension| extension.to_str()) {
                Some("wat") => programs.insert(path.with_extension("")),
                Some("expected") => expectations.insert(path.with_extension("")),
                _ => bail!(
                    "{} is neither a program nor what is expected",
                    path.display()
                ),
            };
        }
    }
    if let Some(path) = expectations.difference(&programs).next() {
        bail!("{}.expected has no program", path.display());
    }
    let program = |path: PathBuf| {
        let name = path.strip_prefix(folder())?.to_string_lossy().into_owned();
        Ok(Program { name, path })
    };
    programs.into_iter().map(program).collect()
}

/// What a program's first lines ask for.
struct Directives {
    emit: Emit,
    functions: Vec<String>,
    names: Names,
    compiled: Compiled,
    covers: Vec<String>,
    options: CompileOptions,
}

/// How CLIF names functions and data.
#[derive(PartialEq, Eq)]
enum Names {
    Numbers,
    Symbols,
}

/// How a core module is compiled.
#[derive(PartialEq, Eq)]
enum Compiled {
    InComponent,
    Alone,
}

impl Directives {
    fn parse(text: &str) -> Result<Self> {
        let mut directives = Directives {
            emit: Emit::Assembly,
            functions: Vec::new(),
            names: Names::Numbers,
            compiled: Compiled::InComponent,
            covers: Vec::new(),
            options: CompileOptions {
                inline: Inline::Never,
                proposals: Proposals::all(),
                ..CompileOptions::default()
            },
        };
        let options = &mut directives.options;
        for line in text.lines() {
            let Some(directive) = line.strip_prefix(";;!") else {
                break;
            };
            let parts = directive.split_once('=').map(|(key, value)| {
                let value = value.trim().strip_prefix('"');
                (key.trim(), value.and_then(|value| value.strip_suffix('"')))
            });
            let Some((key, Some(value))) = parts else {
                bail!("`{line}` is not `;;! key = \"value\"`");
            };
            match (key, value) {
                ("emit", _) => directives.emit = stage(value)?,
                ("function", _) => directives.functions.push(value.to_string()),
                ("names", "symbols") => directives.names = Names::Symbols,
                ("alone", "yes") => directives.compiled = Compiled::Alone,
                ("covers", _) => {
                    let items = value.split(", ").map(str::to_string);
                    directives.covers.extend(items);
                }
                ("inline", "yes") => options.inline = Inline::Worthwhile,
                ("bounds", _) => options.bounds = value.parse()?,
                ("spectre", "mitigated") => options.spectre = Spectre::Mitigated,
                ("blocking", "assumed") => options.blocking = Blocking::Assumed,
                ("nan", "canonical") => options.nan = NanBits::Canonical,
                ("cpu", _) => options.target_cpu = value.parse()?,
                ("unsafe-intrinsics", _) => {
                    options.unsafe_intrinsics_import = Some(value.to_string());
                }
                _ => bail!("unknown directive `{key}` or value `{value}`"),
            }
        }
        Ok(directives)
    }
}

fn stage(name: &str) -> Result<Emit> {
    match name {
        "plan" => Ok(Emit::Plan),
        "clif" => Ok(Emit::Clif),
        "asm" => Ok(Emit::Assembly),
        "array-calls" => Ok(Emit::ArrayCalls),
        _ => bail!("unknown stage `{name}`; known are plan, clif, asm and array-calls"),
    }
}

fn check(path: &Path) -> Result<()> {
    let text = std::fs::read_to_string(path.with_extension("wat"))?;
    let directives = Directives::parse(&text)?;
    let found = match print(&text, &directives) {
        Ok(text) => text.trim_end().to_string() + "\n",
        Err(error) => format!("error: {error:#}\n"),
    };
    ensure!(
        !found.trim().is_empty(),
        "no function's symbol contains any of {:?}",
        directives.functions
    );
    golden::check(&path.with_extension("expected"), &found)
}

/// The listing that the directives ask for.
fn print(text: &str, directives: &Directives) -> Result<String> {
    let Directives { emit, options, .. } = directives;
    let listing = match directives.compiled {
        Compiled::InComponent => {
            let wasm = wat::parse_str(component(text)?)?;
            emit::listing(&wasm, options, *emit, "")?
        }
        Compiled::Alone => emit::module_listing(&wat::parse_str(text)?, options, *emit)?,
    };
    if *emit == Emit::Plan {
        return Ok(listing);
    }
    let wanted = |symbol: &str| {
        let any = &directives.functions;
        any.is_empty() || any.iter().any(|part| symbol.contains(part.as_str()))
    };
    let functions = listing::functions(&listing).into_iter();
    let texts: Vec<&str> = functions
        .filter(|(symbol, _)| wanted(symbol))
        .map(|(_, text)| text)
        .collect();
    let text = texts.join("\n\n");
    Ok(match directives.names {
        Names::Numbers => text,
        Names::Symbols => listing::with_names(&text),
    })
}

/// The program as the text of a component.
fn component(text: &str) -> Result<String> {
    let Some(rest) = text
        .lines()
        .position(|line| line.starts_with("(module"))
        .map(|line| text.lines().skip(line).collect::<Vec<_>>().join("\n"))
    else {
        return Ok(text.to_string());
    };
    let mut imports = String::new();
    let (mut functions, mut references) = (String::new(), String::new());
    for (number, (name, params, results)) in exported_functions(&rest)?.into_iter().enumerate() {
        writeln!(
            imports,
            "(import \"golden\" {name:?} (func (param {params}) (result {results})))"
        )?;
        write!(functions, " {number}")?;
        write!(references, "(drop (ref.func {number}))")?;
    }
    ensure!(!imports.is_empty(), "the module exports no function");
    let rest = &rest["(module".len()..];
    Ok(format!(
        "(component
            (core module {rest}
            (core instance (instantiate 0))
            (core module {imports} (elem declare func{functions}) (func {references}))
            (core instance (instantiate 1 (with \"golden\" (instance 0)))))"
    ))
}

/// The functions that a module exports: name, types of parameters, types of results.
fn exported_functions(module: &str) -> Result<Vec<(String, String, String)>> {
    let bytes = wat::parse_str(module)?;
    let mut validator = Validator::new();
    let mut functions = Vec::new();
    for payload in wasmparser::Parser::new(0).parse_all(&bytes) {
        let ValidPayload::End(types) = validator.payload(&payload?)? else {
            continue;
        };
        let types = types.as_ref();
        for (name, ty) in types.core_exports().context("it is a module")? {
            if let EntityType::Func(id) | EntityType::FuncExact(id) = ty {
                let ty = types[id].unwrap_func();
                functions.push((name.to_string(), names(ty.params())?, names(ty.results())?));
            }
        }
    }
    Ok(functions)
}

fn names(types: &[ValType]) -> Result<String> {
    let names = types.iter().map(|ty| {
        Ok(match *ty {
            ValType::I32 => "i32",
            ValType::I64 => "i64",
            ValType::F32 => "f32",
            ValType::F64 => "f64",
            ValType::V128 => "v128",
            ValType::Ref(RefType::FUNCREF) => "funcref",
            ValType::Ref(RefType::EXTERNREF) => "externref",
            ValType::Ref(RefType::EXNREF) => "exnref",
            ValType::Ref(other) => bail!("an exported function with the type {other}"),
        })
    });
    Ok(names.collect::<Result<Vec<_>>>()?.join(" "))
}

/// The parts of the README's tables: heading, and what the names of its items start with.
const TABLES: &[(&str, &str)] = &[
    ("Component trampolines", "component-trampolines"),
    ("Unsafe intrinsics", "unsafe-intrinsics"),
    ("Builtins", "builtin"),
    ("Other functions", ""),
];

/// Checks that each item has a file that is there for it and shows it, and that the README says
/// which.
fn coverage(programs: &[Program]) -> Result<()> {
    let mut problems = Vec::new();
    let mut files: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for program in programs {
        let text = std::fs::read_to_string(program.path.with_extension("wat"))?;
        let directives = Directives::parse(&text)?;
        // While files are written, what they will say counts.
        let expected = match golden::blesses() {
            true => print(&text, &directives).unwrap_or_default(),
            false => std::fs::read_to_string(program.path.with_extension("expected"))?,
        };
        let shown = listing::shown(&expected);
        for item in directives.covers {
            if !shown.contains(&item) {
                problems.push(format!("{} does not show {item}", program.name));
            }
            files.entry(item).or_default().push(&program.name);
        }
    }
    let mut items = listing::all_items();
    let mut tables = String::new();
    for (heading, start) in TABLES {
        writeln!(tables, "\n## {heading}\n\n| item | files |\n| --- | --- |")?;
        let of_table;
        (of_table, items) = items
            .into_iter()
            .partition::<Vec<String>, _>(|item| item.starts_with(start));
        for item in of_table {
            let Some(files) = files.remove(&item) else {
                problems.push(format!("no file covers {item}"));
                continue;
            };
            let text = files.join(", ");
            let row = format!("| `{item}` | {text} |");
            if row.len() > 100 {
                problems.push(format!("too many files cover {item}: {row}"));
            }
            writeln!(tables, "{row}")?;
        }
    }
    problems.extend(files.keys().map(|item| format!("`{item}` is no item")));
    ensure!(problems.is_empty(), "{}", problems.join("\n"));
    let readme = folder().join("README.md");
    let text = std::fs::read_to_string(&readme)?;
    let (start, _) = text
        .split_once(TABLES_FOLLOW)
        .with_context(|| format!("README.md has no line `{TABLES_FOLLOW}`"))?;
    let subjects = programs
        .iter()
        .filter_map(|program| program.name.split('/').next());
    for subject in subjects.collect::<BTreeSet<_>>() {
        let row = format!("\n| {subject} | ");
        ensure!(start.contains(&row), "README.md has no row for {subject}");
    }
    golden::check(&readme, &format!("{start}{TABLES_FOLLOW}\n{tables}"))
}

/// The line of the README behind which its tables are.
const TABLES_FOLLOW: &str = "<!-- The tables below are written by `BLESS=1`. -->";
