//! `trampette inspect`: what a component or an artifact consists of.

use super::compile::{CodeArguments, InputArguments, progress_bar};
use super::files::{self, Contents};
use super::{Verbosity, picture, summary};
use crate::compile::Listing;
use crate::component::ParseOptions;
use crate::emit::{self, symbol_kind};
use crate::input::{self, Input};
use crate::layout::lay_out;
use crate::layout::waits::{Step, Waits};
use crate::program::symbols::symbol;
use crate::program::{Program, TrampolineKind};
use crate::trampolines::transfer::kind::TransferKind;
use crate::{CompileOptions, Parsed};
use anyhow::{Context, Result, bail};
use clap::Args;
use object::read::elf::ElfFile64;
use object::{Object, ObjectSection, ObjectSymbol};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::PathBuf;
use trampette_artifact::header::{Identification, section};
use trampette_artifact::ids::{ExportId, TrampolineId};
use trampette_artifact::key::{Abi, FuncKey};
use trampette_artifact::metadata::{
    CoreExportItem, CoreFuncType, CoreInterface, CoreValueType, ExportItem, Metadata, Resource,
};
use trampette_runner::output;

/// Arguments of `trampette inspect`.
#[derive(Args)]
#[command(after_help = "\
Examples:
  trampette inspect app.wasm                    a summary
  trampette inspect --world plugin.elf          what it imports and exports, as WIT
  trampette inspect --graph plan.svg app.wasm   who calls whom
  trampette inspect --json app.elf | jq '.functions | sort_by(-.bytes)[:5]'")]
pub(super) struct InspectArguments {
    /// A component or core module, which is compiled in memory first, or an artifact; `-` for
    /// standard input
    input: PathBuf,
    #[command(flatten)]
    parts: Parts,
    /// Draw the plan of a component as SVG: instances, and who calls whom through which trampoline
    #[arg(long, value_name = "SVG")]
    graph: Option<PathBuf>,
    #[command(flatten)]
    taken: InputArguments,
    #[command(flatten)]
    code: CodeArguments,
}

/// What to show; a summary if nothing is chosen.
#[derive(Args, Clone, Copy)]
#[command(next_help_heading = "What to show (a summary by default)")]
struct Parts {
    /// The component's world as WIT, or what a core module imports and exports
    #[arg(long)]
    world: bool,
    /// Each trampoline: bytes of code, and what its transfers do
    #[arg(long)]
    trampolines: bool,
    /// Exports of a component with async functions: which may wait, and the shortest chain of calls
    /// to what waits
    #[arg(long)]
    waits: bool,
    /// Each compiled function with its bytes, the largest first
    #[arg(long)]
    functions: bool,
    /// The sections of the file
    #[arg(long)]
    sections: bool,
    /// All there is: imports, exports, modules, instances, slabs, functions by kind, sections
    #[arg(long)]
    all: bool,
    /// All of it as one JSON document
    #[arg(long, conflicts_with_all = ["world", "trampolines", "waits", "functions", "sections", "all"])]
    json: bool,
}

/// Prints a description.
pub(super) fn inspect(arguments: &InspectArguments, verbosity: Verbosity) -> Result<()> {
    let (path, parts) = (&arguments.input, arguments.parts);
    if let Some(graph) = &arguments.graph {
        let inputs = [path.as_path()].into_iter().chain(arguments.code.inputs());
        files::check_output(graph, Contents::Text(""), inputs)?;
    }
    let input = arguments.taken.read(path)?;
    match &input {
        Input::Artifact(_) => {
            arguments.code.refuse_for_artifact(path)?;
            arguments.taken.refuse_for_artifact(path)?;
        }
        input => arguments.code.check_core_modules(input)?,
    }
    let options = arguments.taken.options(&arguments.code);
    let progress = progress_bar(&input::name(path), &options, verbosity);
    let (mut trampolines, mut waits) = (Vec::new(), Vec::new());
    let artifact = match input {
        Input::Artifact(_) if arguments.graph.is_some() => {
            bail!(
                "{}: an artifact does not keep its plan; draw the component's",
                input::name(path)
            )
        }
        Input::CoreModule(_) if arguments.graph.is_some() => {
            bail!("{}: a core module has no plan to draw", input::name(path))
        }
        Input::Artifact(bytes) => bytes,
        input @ Input::CoreModule(_) => input
            .into_artifact(&options)
            .with_context(|| input::name(path))?
            .into_bytes(),
        Input::Component(wasm) => {
            if let Some(graph) = &arguments.graph {
                let svg = plan(&wasm, &options).with_context(|| input::name(path))?;
                progress.finish_and_clear();
                files::write(graph, Contents::Text(&svg))?;
                // The drawing has standard output to itself.
                if input::is_standard(graph) {
                    return Ok(());
                }
            }
            let compiled = compile(&wasm, &options).with_context(|| input::name(path))?;
            (trampolines, waits) = (compiled.trampolines, compiled.waits);
            compiled.artifact
        }
    };
    progress.finish_and_clear();
    let mut described = describe(&artifact).with_context(|| input::name(path))?;
    (described.trampolines, described.waits) = (trampolines, waits);
    if parts.json {
        return super::print_json(&summary::json(&described));
    }
    let mut text = String::new();
    if (parts.world || parts.all)
        && let Some(wit) = &described.wit
    {
        text += &format!("{wit}\n");
    }
    if let Some(core) = described.metadata.core.as_ref().filter(|_| parts.world) {
        core_interface(&mut text, core)?;
    }
    if parts.trampolines || parts.all && !described.trampolines.is_empty() {
        text += &trampoline_lines(&described.trampolines)?;
    }
    if parts.waits || parts.all && !described.waits.is_empty() {
        text += &waits_lines(&described.waits);
    }
    if parts.all {
        text += &everything(&described)?;
    }
    if parts.functions {
        let mut functions = described.functions.clone();
        functions.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        text += "functions (bytes):\n";
        for (symbol, bytes) in functions {
            text += &format!("  {bytes:>8} {symbol}\n");
        }
    }
    if parts.sections && !parts.all {
        sections(&mut text, &described.sections)?;
    }
    let chosen = [
        parts.world,
        parts.trampolines,
        parts.waits,
        parts.functions,
        parts.sections,
        parts.all,
    ];
    if !chosen.contains(&true) {
        text = summary::summary(&input::name(path), &described)?;
    }
    output::print(&text)
}

/// A compiled component, with what its artifact does not keep.
struct Compiled {
    artifact: Vec<u8>,
    trampolines: Vec<Trampoline>,
    waits: Vec<ExportWaits>,
}

fn compile(wasm: &[u8], options: &CompileOptions) -> Result<Compiled> {
    crate::in_thread_pool(options, || {
        let (input, parse_options) = ParseOptions::of(options, wasm);
        let Parsed { program, interface } = crate::parse(wasm, &input, &parse_options, options)?;
        let watch = crate::report::Stopwatch::start();
        let artifact = crate::compile_parsed(wasm, &program, interface, options, watch)?;
        Ok(Compiled {
            trampolines: trampolines(&program, artifact.bytes())?,
            waits: waits(&program)?,
            artifact: artifact.into_bytes(),
        })
    })
}

/// The plan of a component as SVG.
fn plan(wasm: &[u8], options: &CompileOptions) -> Result<String> {
    emit::examine(wasm, options, Listing::None, |stages| {
        let outcome = picture::Outcome::of(stages.compiled);
        Ok(picture::draw(stages.program, stages.layout, &outcome))
    })
}

/// A trampoline or export entry that was compiled.
pub(super) struct Trampoline {
    /// Its symbol.
    pub symbol: String,
    /// Bytes of code.
    pub bytes: u64,
    /// What its transfers do.
    pub transfer: &'static str,
}

/// Every trampoline and export entry.
fn trampolines(program: &Program<'_>, artifact: &[u8]) -> Result<Vec<Trampoline>> {
    let file = ElfFile64::<object::Endianness>::parse(artifact).context("not an ELF file")?;
    let mut sizes: BTreeMap<String, u64> = BTreeMap::new();
    for symbol in file.symbols() {
        sizes.insert(symbol.name().unwrap_or_default().to_string(), symbol.size());
    }
    let trampolines = program
        .trampolines
        .iter()
        .enumerate()
        .map(|(index, trampoline)| {
            let ty = match &trampoline.kind {
                TrampolineKind::LowerImport { ty, .. } | TrampolineKind::Adapter { ty, .. } => {
                    Some(ty)
                }
                _ => None,
            };
            (
                FuncKey::ComponentTrampoline(Abi::Wasm, TrampolineId::new(index)),
                ty,
            )
        });
    let lifts = program.lifts.iter().enumerate().map(|(index, lift)| {
        (
            FuncKey::ExportEntry(Abi::Wasm, ExportId::new(index)),
            Some(&lift.ty),
        )
    });
    let mut found = Vec::new();
    for (key, ty) in trampolines.chain(lifts) {
        let symbol = symbol(program, key);
        // What nothing reaches was not compiled.
        let Some(bytes) = sizes.get(&symbol) else {
            continue;
        };
        let kind = ty.map_or(TransferKind::None, |ty| {
            TransferKind::of_call(&program.types, ty)
        });
        found.push(Trampoline {
            bytes: *bytes,
            transfer: kind.name(),
            symbol,
        });
    }
    Ok(found)
}

fn trampoline_lines(trampolines: &[Trampoline]) -> Result<String> {
    let mut out = String::from("trampolines (bytes, transfer):\n");
    for Trampoline {
        symbol,
        bytes,
        transfer,
    } in trampolines
    {
        writeln!(out, "  {bytes:>6} {transfer:<12} {symbol}")?;
    }
    Ok(out + "\n")
}

/// Whether and why an exported function may wait, as text.
pub(super) struct ExportWaits {
    /// The export's path, joined with `#`.
    pub name: String,
    /// Why; empty if it never does.
    pub reasons: Vec<String>,
    /// Symbols of the calls from the export to what waits, if that is a reason.
    pub chain: Vec<String>,
}

/// Those of a component with an asynchronous part.
fn waits(program: &Program<'_>) -> Result<Vec<ExportWaits>> {
    if !program.is_concurrent() {
        return Ok(Vec::new());
    }
    let layout = lay_out(program)?;
    let found = Waits::of_exports(program, &layout);
    let described = program.lifts.iter().zip(found).map(|(lift, waits)| {
        let chain = waits.chain.unwrap_or_default();
        let chain: Vec<String> = chain
            .into_iter()
            .map(|step| match step {
                Step::Function(function) => symbol(program, function.key()),
                Step::Indirect => "(a call through a table)".to_string(),
            })
            .collect();
        let reasons = [
            (waits.is_gated, "until its instance lets it enter"),
            (!chain.is_empty(), "inside a call"),
            (waits.is_called_back, "between its callbacks"),
            (waits.is_switched, "wherever another thread suspends it"),
        ];
        let reasons = reasons.into_iter().filter(|(holds, _)| *holds);
        ExportWaits {
            name: lift.name.clone(),
            reasons: reasons.map(|(_, reason)| reason.to_string()).collect(),
            chain,
        }
    });
    Ok(described.collect())
}

fn waits_lines(waits: &[ExportWaits]) -> String {
    if waits.is_empty() {
        return "waits: no async functions, or an artifact, which does not say\n\n".to_string();
    }
    let mut out = String::from("waits (which exports may, and for what):\n");
    for ExportWaits {
        name,
        reasons,
        chain,
    } in waits
    {
        let reasons = match reasons.is_empty() {
            true => "never".to_string(),
            false => reasons.join("; "),
        };
        out += &format!("  {name}: {reasons}\n");
        for step in chain {
            out += &format!("    > {step}\n");
        }
    }
    out + "\n"
}

/// What an artifact says about itself.
pub(super) struct Description {
    /// What made it.
    pub id: Identification,
    /// What the runtime knows of it.
    pub metadata: Metadata,
    /// The component's world, unless it is nothing that WIT can say.
    pub wit: Option<String>,
    /// Its trampolines, which only the component tells.
    pub trampolines: Vec<Trampoline>,
    /// Which exports may wait, which only the component tells.
    pub waits: Vec<ExportWaits>,
    /// Symbols of compiled functions, and their bytes.
    pub functions: Vec<(String, u64)>,
    /// Sections: name, bytes, address.
    pub sections: Vec<(String, u64, u64)>,
    /// Bytes of the file.
    pub bytes: u64,
}

/// Describes an artifact.
///
/// # Errors
/// If the bytes are no artifact of this version.
pub(super) fn describe(artifact: &[u8]) -> Result<Description> {
    let file = ElfFile64::<object::Endianness>::parse(artifact).context("not an ELF file")?;
    let contents = |name: &str| -> Result<&[u8]> {
        let section = file
            .section_by_name(name)
            .with_context(|| format!("no section {name}"))?;
        Ok(section.data()?)
    };
    let wit = file.section_by_name(section::WIT);
    let wit = wit.map(|wit| wit.data()).transpose()?;
    let functions = file.symbols().filter(|symbol| symbol.size() > 0);
    let functions = functions.map(|symbol| {
        let name = symbol.name().unwrap_or_default().to_string();
        (name, symbol.size())
    });
    let sections = file.sections().map(|section| {
        let name = section.name().unwrap_or_default().to_string();
        (name, section.size(), section.address())
    });
    Ok(Description {
        id: Identification::decode(contents(section::ID)?)?,
        metadata: Metadata::decode(contents(section::METADATA)?)?,
        wit: wit.map(|wit| String::from_utf8_lossy(wit).into_owned()),
        trampolines: Vec::new(),
        waits: Vec::new(),
        functions: functions.collect(),
        sections: sections.collect(),
        bytes: artifact.len() as u64,
    })
}

/// All of it but the world and the trampolines.
fn everything(described: &Description) -> Result<String> {
    let Description { id, metadata, .. } = described;
    let mut out = String::new();
    writeln!(
        out,
        "artifact: format {}, compiler {}, {}",
        id.format_version, id.compiler_version, id.target
    )?;
    writeln!(out, "options: {}", id.options)?;
    writeln!(out, "cpu features: {}", id.cpu_features.join(" "))?;
    imports(&mut out, metadata)?;
    exports(&mut out, metadata)?;
    if let Some(core) = &metadata.core {
        out.push('\n');
        core_interface(&mut out, core)?;
    }
    modules(&mut out, metadata)?;
    slabs(&mut out, metadata)?;
    functions(&mut out, &described.functions)?;
    out.push('\n');
    sections(&mut out, &described.sections)?;
    Ok(out)
}

fn imports(out: &mut String, metadata: &Metadata) -> Result<()> {
    writeln!(out, "\nimports:")?;
    for resource in &metadata.resources {
        if let Resource::Imported { path } = resource {
            writeln!(out, "  {}: resource", path.join(" / "))?;
        }
    }
    for import in &metadata.imports {
        let ty = metadata.display_func(&import.ty);
        let unused = if import.used { "" } else { " (unused)" };
        writeln!(out, "  {}: {ty}{unused}", import.path.join(" / "))?;
    }
    summary::switches(out, metadata)
}

fn exports(out: &mut String, metadata: &Metadata) -> Result<()> {
    writeln!(out, "\nexports:")?;
    for export in &metadata.exports {
        let what = export_item(metadata, &export.item);
        writeln!(out, "  {}: {what}", export.path.join(" / "))?;
    }
    Ok(())
}

/// What an export is.
pub(super) fn export_item(metadata: &Metadata, item: &ExportItem) -> String {
    match item {
        ExportItem::Function { ty, .. } => metadata.display_func(ty),
        ExportItem::HostFunc(id) => {
            format!("the import {}", metadata.imports[*id].path.join(" / "))
        }
        ExportItem::Resource(_) => "resource".to_string(),
        ExportItem::Type(ty) => format!("type = {}", metadata.display(*ty)),
        ExportItem::Instance => "instance".to_string(),
        ExportItem::CoreModule(id) => format!("core {id}"),
        ExportItem::Other(what) => what.clone(),
    }
}

/// What a core module on its own imports from the host and exports.
fn core_interface(out: &mut String, core: &CoreInterface) -> Result<()> {
    writeln!(out, "core imports:")?;
    for import in &core.imports {
        let ty = core_func(&import.ty);
        writeln!(out, "  {:?} {:?}: {ty}", import.module, import.name)?;
    }
    for import in &core.globals {
        let ty = core_global(import.ty, import.mutable);
        writeln!(out, "  {:?} {:?}: {ty}", import.module, import.name)?;
    }
    for import in &core.memories {
        writeln!(
            out,
            "  {:?} {:?}: {}, shared",
            import.module, import.name, import.memory
        )?;
    }
    writeln!(out, "\ncore exports:")?;
    for export in &core.exports {
        let what = core_export_item(core, &export.item);
        writeln!(out, "  {:?}: {what}", export.name)?;
    }
    Ok(())
}

/// What an export of a core module is.
pub(super) fn core_export_item(core: &CoreInterface, item: &CoreExportItem) -> String {
    match item {
        CoreExportItem::Func { ty, .. } => core_func(ty),
        CoreExportItem::HostFunc(id) => core_func(&core.imports[*id].ty),
        CoreExportItem::Memory(id) => id.to_string(),
        CoreExportItem::Table(id) => id.to_string(),
        CoreExportItem::Global { ty, mutable, .. } => core_global(*ty, *mutable),
        CoreExportItem::Tag(id) => id.to_string(),
    }
}

pub(super) fn core_func(ty: &CoreFuncType) -> String {
    format!("func {ty}")
}

fn core_global(ty: CoreValueType, mutable: bool) -> String {
    match mutable {
        true => format!("global (mut {ty})"),
        false => format!("global {ty}"),
    }
}

fn modules(out: &mut String, metadata: &Metadata) -> Result<()> {
    writeln!(out, "\ncore modules:")?;
    for (index, module) in metadata.modules.iter().enumerate() {
        let (start, end) = module.range;
        let (counts, name) = (&module.counts, &module.name);
        writeln!(
            out,
            "  module{index} {name:?}: {} bytes at {start:#x}, {} imported and {} defined functions, {} memories, {} tables, {} globals, {} data segments",
            end - start,
            module.imported_functions,
            module.defined_functions,
            counts.memories,
            counts.tables,
            counts.globals,
            counts.data_segments,
        )?;
    }
    writeln!(out, "\ncore instances:")?;
    for (index, unit) in metadata.units.iter().enumerate() {
        writeln!(
            out,
            "  core-instance{index}: {} in {}",
            unit.module, unit.slab
        )?;
    }
    Ok(())
}

fn slabs(out: &mut String, metadata: &Metadata) -> Result<()> {
    writeln!(out, "\nslabs:")?;
    for (index, slab) in metadata.slabs.iter().enumerate() {
        let image: u64 = slab.extents.iter().map(|extent| extent.length).sum();
        let memory = match slab.memory {
            Some(id) => format!("{id} of {} pages", metadata.memories[id].minimum),
            None => "no memory".to_string(),
        };
        writeln!(
            out,
            "  slab{index}: {memory}, context of {} bytes, image of {image} bytes in {} extents",
            slab.context_size,
            slab.extents.len(),
        )?;
    }
    Ok(())
}

/// Counts and sizes by kind: the symbol's name without its indices.
pub(super) fn by_kind(functions: &[(String, u64)]) -> BTreeMap<String, (u64, u64)> {
    let mut kinds: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    for (symbol, size) in functions {
        let (count, bytes) = kinds.entry(symbol_kind(symbol)).or_default();
        *count += 1;
        *bytes += size;
    }
    kinds
}

fn functions(out: &mut String, functions: &[(String, u64)]) -> Result<()> {
    writeln!(out, "\nfunctions:")?;
    for (kind, (count, bytes)) in by_kind(functions) {
        writeln!(out, "  {count:>7} {kind:<52} {bytes:>10} bytes")?;
    }
    Ok(())
}

fn sections(out: &mut String, sections: &[(String, u64, u64)]) -> Result<()> {
    writeln!(out, "sections:")?;
    for (name, size, address) in sections {
        writeln!(out, "  {name:<22} {size:>10} bytes at {address:#x}")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::plan;
    use crate::CompileOptions;
    use crate::emit::symbol_kind;

    #[test]
    fn a_component_is_drawn_with_its_calls() {
        let text = r#"(component
            (import "log" (func $log (param "x" string)))
            (core module $libc (memory (export "memory") 1))
            (core instance $libc (instantiate $libc))
            (core func $log (canon lower (func $log) (memory (core memory $libc "memory"))))
            (core module $m
                (import "" "log" (func $log (param i32 i32)))
                (func (export "run") (call $log (i32.const 0) (i32.const 0))))
            (core instance $i (instantiate $m (with "" (instance (export "log" (func $log))))))
            (func (export "<run>") (canon lift (core func $i "run"))))"#;
        let text = text.replace("<run>", "run");
        let wasm = wat::parse_str(text).unwrap();
        let svg = plan(&wasm, &CompileOptions::default()).unwrap();
        for expected in [
            "slab 0: memory of 1 page",
            ">m</text>",
            ">run · none",
            ">log · bulk + check",
            "the component calls the host",
        ] {
            assert!(svg.contains(expected), "{expected}: {svg}");
        }
    }

    #[test]
    fn kinds_are_symbols_without_numbers_and_names() {
        assert_eq!(
            symbol_kind("wasm[2]::function[17]::strlen"),
            "wasm::function"
        );
        assert_eq!(
            symbol_kind("component-trampolines[3]-wasm-call-lower-import"),
            "component-trampolines-wasm-call-lower-import"
        );
        assert_eq!(
            symbol_kind("export-entry[0]-native-call::run"),
            "export-entry-native-call"
        );
    }
}
