//! `trampette explore`: one page that shows what became of a component: its plan, and for each
//! function and trampoline its type, CLIF and machine code beside each other, coloured by where in
//! the component they come from, what was inlined, and sizes. The page needs nothing but itself.

use super::compile::{CodeArguments, InputArguments, progress_bar};
use super::files::{self, Contents};
use super::{Verbosity, picture};
use crate::compile::Listing;
use crate::emit::{Stages, examine, symbol_kind};
use crate::input::{self, Input};
use crate::program::compiled::{CompiledFunction, Form};
use crate::program::symbols::symbol;
use crate::program::{CoreFunc, Program};
use anyhow::{Context, Result, bail};
use clap::Args;
use gimli::{EndianSlice, LittleEndian, Reader};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use trampette_artifact::ids::CoreInstanceId;
use trampette_artifact::key::FuncKey;

/// Arguments of `trampette explore`.
#[derive(Args)]
#[command(after_help = "\
Examples:
  trampette explore app.wasm -o app.html
  trampette explore --no-inline plugin.wasm -o plugin.html")]
pub(super) struct ExploreArguments {
    /// A component or core module, in binary or text; `-` for standard input
    input: PathBuf,
    /// The page; `-` is standard output
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    #[command(flatten)]
    taken: InputArguments,
    #[command(flatten)]
    code: CodeArguments,
}

/// Writes the page.
///
/// # Errors
/// If the input cannot be compiled, or the page cannot be written.
pub(super) fn explore(arguments: &ExploreArguments, verbosity: Verbosity) -> Result<()> {
    let path = &arguments.input;
    let inputs = [path.as_path()].into_iter().chain(arguments.code.inputs());
    files::check_output(&arguments.output, Contents::Text(""), inputs)?;
    let input = arguments.taken.read(path)?;
    arguments.code.check_core_modules(&input)?;
    let name = input::name(path);
    let wasm = match input {
        Input::Component(wasm) | Input::CoreModule(wasm) => wasm,
        Input::Artifact(_) => {
            bail!("{name}: an artifact does not keep how it was made; explore the component")
        }
    };
    let options = arguments.taken.options(&arguments.code);
    let progress = progress_bar(&name, &options, verbosity);
    let page = examine(&wasm, &options, Listing::Annotated, |stages| {
        Ok(page(&name, &options.describe(), stages))
    });
    progress.finish_and_clear();
    files::write(
        &arguments.output,
        Contents::Text(&page.with_context(|| name)?),
    )
}

/// The page, with its data in it.
fn page(name: &str, options: &str, stages: &Stages<'_>) -> String {
    let Stages {
        program,
        layout,
        compiled,
        ..
    } = stages;
    let outcome = picture::Outcome::of(compiled);
    let lines = SourceLines::of(program);
    let functions = compiled
        .functions
        .values()
        .map(|function| show(program, function));
    let sources: BTreeSet<u32> = compiled
        .functions
        .values()
        .flat_map(|function| function.lines.iter().filter_map(|line| line.source))
        .collect();
    let sources = sources
        .iter()
        .filter_map(|offset| Some((offset.to_string(), json!(lines.find(*offset)?))));
    let data = json!({
        "name": name,
        "options": options,
        "functions": functions.collect::<Value>(),
        "gone": gone(stages),
        "sources": sources.collect::<Map<_, _>>(),
    });
    // Nothing in it may end the element that it stands in.
    let data = data.to_string().replace('<', "\\u003c");
    include_str!("explore.html")
        .replace("TITLE", &picture::escaped(name))
        .replace("<!-- PLAN -->", &picture::draw(program, layout, &outcome))
        .replace("\"DATA\"", &data)
}

/// Functions of which no call is left, and into what they were inlined.
fn gone(stages: &Stages<'_>) -> Value {
    let mut into: BTreeMap<FuncKey, BTreeSet<String>> = BTreeMap::new();
    for function in stages.compiled.functions.values() {
        let callees = function.lines.iter().flat_map(|line| &line.inlined);
        for callee in callees.collect::<BTreeSet<_>>() {
            let caller = symbol(stages.program, function.key);
            into.entry(*callee).or_default().insert(caller);
        }
    }
    let gone = stages.compiled.inlined_away.iter();
    gone.map(|key| {
        json!({
            "symbol": symbol(stages.program, *key),
            "type": type_of(stages.program, *key),
            "into": into.get(key),
        })
    })
    .collect()
}

/// A function as the page's script reads it; each line is its source, the number of what is inlined
/// there or -1, and its text.
fn show(program: &Program<'_>, function: &CompiledFunction) -> Value {
    let name = symbol(program, function.key);
    let mut callees: Vec<FuncKey> = Vec::new();
    let mut lines = |form: Form| -> Value {
        let of_form = function.lines.iter().filter(|line| line.form == form);
        of_form
            .map(|line| {
                let inlined = line.inlined.first().map_or(-1, |callee| {
                    let known = callees.iter().position(|known| known == callee);
                    known.unwrap_or_else(|| {
                        callees.push(*callee);
                        callees.len() - 1
                    }) as i64
                });
                json!([line.source, inlined, line.text])
            })
            .collect()
    };
    let (clif, code) = (lines(Form::Clif), lines(Form::MachineCode));
    let inlined = callees.iter().map(|callee| symbol(program, *callee));
    json!({
        "symbol": name,
        "kind": symbol_kind(&name),
        "type": type_of(program, function.key),
        "bytes": function.code.len(),
        "inlined": inlined.collect::<Vec<_>>(),
        "clif": clif,
        "code": code,
    })
}

/// The WIT type of a trampoline or entry, the core type of a core function.
fn type_of(program: &Program<'_>, key: FuncKey) -> String {
    let core = |func: CoreFunc| match program.signature(func) {
        Ok(signature) => format!("core {signature}"),
        Err(_) => String::new(),
    };
    match key {
        FuncKey::ModuleFunction(unit, func) => core(CoreFunc::Module(CoreInstanceId(unit.0), func)),
        FuncKey::ComponentTrampoline(_, id) => match program.trampolines[id].kind.function_type() {
            Some(ty) => program.types.display_func(ty),
            None => core(CoreFunc::Trampoline(id)),
        },
        FuncKey::ExportEntry(_, id) => program.types.display_func(&program.lifts[id].ty),
        _ => String::new(),
    }
}

/// Lines of the guest's source, by offset in the component.
struct SourceLines {
    /// From which offset on, and where that is; `None` where nothing is known.
    rows: BTreeMap<u64, Option<String>>,
}

impl SourceLines {
    /// What the line tables of all modules say, as far as they are sound.
    fn of(program: &Program<'_>) -> SourceLines {
        let mut rows = BTreeMap::new();
        for module in &program.modules {
            let section = |id: gimli::SectionId| -> std::result::Result<_, gimli::Error> {
                let found = module
                    .custom_sections
                    .iter()
                    .find(|(name, _)| *name == id.name());
                let bytes = found.map_or(&[][..], |(_, bytes)| bytes);
                Ok(EndianSlice::new(bytes, LittleEndian))
            };
            let Ok(dwarf) = gimli::Dwarf::load(section) else {
                continue;
            };
            let mut units = dwarf.units();
            while let Ok(Some(header)) = units.next() {
                if let Ok(unit) = dwarf.unit(header) {
                    let start = module.code_section_start as u64;
                    add_rows(&dwarf, &unit, start, &mut rows);
                }
            }
        }
        SourceLines { rows }
    }

    /// The file and line at an offset.
    fn find(&self, offset: u32) -> Option<&String> {
        let (_, line) = self.rows.range(..=u64::from(offset)).next_back()?;
        line.as_ref()
    }
}

fn add_rows<R: Reader<Offset = usize>>(
    dwarf: &gimli::Dwarf<R>,
    unit: &gimli::Unit<R>,
    start: u64,
    rows: &mut BTreeMap<u64, Option<String>>,
) {
    let Some(program) = unit.line_program.clone() else {
        return;
    };
    let mut found = program.rows();
    while let Ok(Some((header, row))) = found.next_row() {
        let Some(address) = start.checked_add(row.address()) else {
            continue;
        };
        if row.end_sequence() {
            rows.entry(address).or_default();
            continue;
        }
        let file = row.file(header).and_then(|file| {
            let name = dwarf.attr_string(unit, file.path_name()).ok()?;
            Some(name.to_string_lossy().ok()?.into_owned())
        });
        let line = file
            .zip(row.line())
            .map(|(file, line)| format!("{file}:{line}"));
        rows.insert(address, line);
    }
}
