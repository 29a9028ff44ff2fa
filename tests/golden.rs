//! Golden tests: what the compiler makes of small programs, as text.
//!
//! Each `tests/golden/<name>.wat` is a component or a core module whose first lines say what to print:
//!
//! ```text
//! ;;! emit = "clif"            "plan", "clif" or "asm"; "asm" if left out
//! ;;! function = "unit[0]"     only functions whose symbol contains this
//! ;;! cpu = "x86-64-v2"        the processor level, if not the default
//! ;;! inline = "yes"           with inlining; without, so that each function is seen, if left out
//! ;;! bounds = "explicit"      how accesses to memories are checked
//! ;;! spectre = "mitigated"    guard what is checked by code against speculation
//! ```
//!
//! The text is in `<name>.expected`; for a program that does not compile it is the error. `BLESS=1`
//! writes what was found: then read the difference.
//!
//! A core module is instantiated in a component of its own whose only other part takes references to
//! all functions that it exports, so that they are compiled.

#[path = "support/golden.rs"]
mod support;

use anyhow::{Result, bail, ensure};
use libtest_mimic::{Arguments, Failed, Trial};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use trampette::CompileOptions;
use trampette::emit::{Emit, listing};
use trampette::options::{Inline, Spectre};
use wasmparser::types::EntityType;
use wasmparser::{ValType, Validator};

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    match trials() {
        Ok(trials) => libtest_mimic::run(&arguments, trials).exit_code(),
        Err(error) => {
            eprintln!("error: cannot read the golden tests: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn trials() -> Result<Vec<Trial>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut programs = BTreeSet::new();
    let mut expectations = BTreeSet::new();
    for entry in std::fs::read_dir(&folder)? {
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
    if let Some(path) = expectations.difference(&programs).next() {
        bail!("{}.expected has no program", path.display());
    }
    let trial = |path: PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        Trial::test(name.into_owned(), move || {
            check(&path).map_err(|error| Failed::from(format!("{error:#}")))
        })
    };
    Ok(programs.into_iter().map(trial).collect())
}

/// What a program's first lines ask for.
struct Directives {
    emit: Emit,
    function: String,
    options: CompileOptions,
}

impl Directives {
    fn parse(text: &str) -> Result<Self> {
        let mut directives = Directives {
            emit: Emit::Assembly,
            function: String::new(),
            options: CompileOptions {
                inline: Inline::Never,
                ..CompileOptions::default()
            },
        };
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
            match key {
                "emit" => directives.emit = emit(value)?,
                "function" => directives.function = value.to_string(),
                "inline" => directives.options.inline = inline(value)?,
                "bounds" => directives.options.bounds = value.parse()?,
                "spectre" if value == "mitigated" => {
                    directives.options.spectre = Spectre::Mitigated;
                }
                "cpu" => directives.options.target_cpu = value.parse()?,
                _ => bail!("unknown directive `{key}`"),
            }
        }
        Ok(directives)
    }
}

fn inline(answer: &str) -> Result<Inline> {
    match answer {
        "yes" => Ok(Inline::Worthwhile),
        "no" => Ok(Inline::Never),
        _ => bail!("inlining is `yes` or `no`, not `{answer}`"),
    }
}

fn emit(name: &str) -> Result<Emit> {
    match name {
        "plan" => Ok(Emit::Plan),
        "clif" => Ok(Emit::Clif),
        "asm" => Ok(Emit::Assembly),
        _ => bail!("unknown stage `{name}`; known are plan, clif and asm"),
    }
}

fn check(path: &Path) -> Result<()> {
    let text = std::fs::read_to_string(path.with_extension("wat"))?;
    let directives = Directives::parse(&text)?;
    let wasm = wat::parse_str(component(&text)?)?;
    let found = match listing(
        &wasm,
        &directives.options,
        directives.emit,
        &directives.function,
    ) {
        Ok(text) => text.trim_end().to_string() + "\n",
        Err(error) => format!("error: {error:#}\n"),
    };
    ensure!(
        !found.trim().is_empty(),
        "no function's symbol contains `{}`",
        directives.function
    );
    support::check(&path.with_extension("expected"), &found)
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
    let bytes = wat::parse_str(&rest)?;
    let mut validator = Validator::new();
    let types = validator.validate_all(&bytes)?;
    let mut imports = String::new();
    let (mut functions, mut references) = (String::new(), String::new());
    for (name, item) in types.as_ref().core_exports().into_iter().flatten() {
        if let EntityType::Func(id) | EntityType::FuncExact(id) = item {
            let signature = types.as_ref()[id].unwrap_func().clone();
            let (params, results) = (names(signature.params()), names(signature.results()));
            let number = imports.lines().count();
            writeln!(
                imports,
                "(import \"golden\" {name:?} (func (param {params}) (result {results})))"
            )?;
            write!(functions, " {number}")?;
            write!(references, "(drop (ref.func {number}))")?;
        }
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

fn names(types: &[ValType]) -> String {
    let names: Vec<String> = types.iter().map(|ty| ty.to_string()).collect();
    names.join(" ")
}
