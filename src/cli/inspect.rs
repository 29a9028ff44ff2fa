//! `trampette inspect`: what a component or an artifact consists of.

use super::compile::{CodeArguments, InputArguments};
use super::files::{self, Contents};
use crate::component::ParseOptions;
use crate::emit::symbol_kind;
use crate::input::{self, Input};
use crate::program::symbols::symbol;
use crate::program::{Program, TrampolineKind};
use crate::trampolines::transfer::kind::TransferKind;
use crate::{CompileOptions, Parsed};
use anyhow::{Context, Result, anyhow, bail};
use clap::Args;
use object::read::elf::{ElfFile64, FileHeader};
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
pub(super) struct InspectArguments {
    /// A component or core module, which is compiled in memory first, or an artifact.
    input: PathBuf,
    /// Draw the plan of a component: instances, and who calls whom through which trampoline.
    #[arg(long, value_name = "SVG")]
    graph: Option<PathBuf>,
    #[command(flatten)]
    taken: InputArguments,
    #[command(flatten)]
    code: CodeArguments,
}

/// Prints a description.
pub(super) fn inspect(arguments: &InspectArguments) -> Result<()> {
    let mut plan = String::new();
    let path = &arguments.input;
    if let Some(graph) = &arguments.graph {
        let inputs = [path.as_path()].into_iter().chain(arguments.code.inputs());
        files::check_output(graph, Contents::Text(""), inputs)?;
    }
    let input = arguments.taken.read(path)?;
    match &input {
        Input::Artifact(_) => arguments.code.refuse_for_artifact(path)?,
        input => arguments.code.check_core_modules(input)?,
    }
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
            .into_artifact(&arguments.code.options())
            .with_context(|| input::name(path))?
            .into_bytes(),
        Input::Component(wasm) => {
            let options = arguments.code.options();
            let compiled = compile(&wasm, &options).with_context(|| input::name(path))?;
            if let Some(graph) = &arguments.graph {
                files::write(graph, Contents::Text(&draw(&compiled.dot)?))?;
                // The drawing has standard output to itself.
                if input::is_standard(graph) {
                    return Ok(());
                }
            }
            plan = compiled.trampolines;
            compiled.artifact
        }
    };
    let description = describe(&artifact);
    let description = description.with_context(|| input::name(path))?;
    if let Some(wit) = &description.wit {
        output::print(&format!("{wit}\n"))?;
    }
    output::print(&plan)?;
    output::print(&description.text)
}

/// A compiled component, with what its artifact does not keep.
struct Compiled {
    artifact: Vec<u8>,
    /// Its trampolines as text.
    trampolines: String,
    /// Its plan as a graph in the DOT language.
    dot: String,
}

fn compile(wasm: &[u8], options: &CompileOptions) -> Result<Compiled> {
    crate::in_thread_pool(options, || {
        let (input, parse_options) = ParseOptions::of(options, wasm);
        let Parsed { program, interface } = crate::parse(wasm, &input, &parse_options, options)?;
        let watch = crate::report::Stopwatch::start();
        let artifact = crate::compile_parsed(wasm, &program, interface, options, watch)?;
        Ok(Compiled {
            trampolines: trampolines(&program, artifact.bytes())?,
            dot: program.dot(),
            artifact: artifact.into_bytes(),
        })
    })
}

/// A graph in the DOT language, drawn as SVG.
///
/// # Errors
/// If the drawing library does not accept the graph.
fn draw(dot: &str) -> Result<String> {
    let graph = layout::gv::DotParser::new(dot)
        .process()
        .map_err(|error| anyhow!("cannot draw the plan: {error}"))?;
    let mut builder = layout::gv::GraphBuilder::new();
    builder.visit_graph(&graph);
    let mut svg = layout::backends::svg::SVGWriter::new();
    builder.get().do_it(false, false, false, &mut svg);
    Ok(svg.finalize())
}

/// Every trampoline and export entry: its symbol, bytes of code, and what its transfers do.
fn trampolines(program: &Program<'_>, artifact: &[u8]) -> Result<String> {
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
    let mut out = String::from("trampolines (bytes, transfer):\n");
    for (key, ty) in trampolines.chain(lifts) {
        let symbol = symbol(program, key);
        // What nothing reaches was not compiled.
        let Some(size) = sizes.get(&symbol) else {
            continue;
        };
        let kind = ty.map_or(TransferKind::None, |ty| {
            TransferKind::of_call(&program.types, ty)
        });
        writeln!(out, "  {size:>6} {:<12} {symbol}", kind.name())?;
    }
    Ok(out + "\n")
}

/// What an artifact says about itself.
pub(super) struct Description {
    /// The component's world, unless it is nothing that WIT can say.
    pub wit: Option<String>,
    /// Everything else.
    pub text: String,
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
    let id = Identification::decode(contents(section::ID)?)?;
    let metadata = Metadata::decode(contents(section::METADATA)?)?;
    let wit = file.section_by_name(section::WIT);
    let wit = wit.map(|wit| wit.data()).transpose()?;
    let wit = wit.map(|wit| String::from_utf8_lossy(wit).into_owned());
    let mut out = String::new();
    writeln!(
        out,
        "artifact: format {}, compiler {}, {}",
        id.format_version, id.compiler_version, id.target
    )?;
    writeln!(out, "options: {}", id.options)?;
    writeln!(out, "cpu features: {}", id.cpu_features.join(" "))?;
    imports(&mut out, &metadata)?;
    exports(&mut out, &metadata)?;
    if let Some(core) = &metadata.core {
        core_interface(&mut out, core)?;
    }
    modules(&mut out, &metadata)?;
    slabs(&mut out, &metadata)?;
    functions(&mut out, &file)?;
    sections(&mut out, &file)?;
    Ok(Description { wit, text: out })
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
    Ok(())
}

fn exports(out: &mut String, metadata: &Metadata) -> Result<()> {
    writeln!(out, "\nexports:")?;
    for export in &metadata.exports {
        let what = match &export.item {
            ExportItem::Function { ty, .. } => metadata.display_func(ty),
            ExportItem::HostFunc(id) => {
                format!("the import {}", metadata.imports[*id].path.join(" / "))
            }
            ExportItem::Resource(_) => "resource".to_string(),
            ExportItem::Type(ty) => format!("type = {}", metadata.display(*ty)),
            ExportItem::Instance => "instance".to_string(),
            ExportItem::CoreModule(id) => format!("core {id}"),
            ExportItem::Other(what) => what.clone(),
        };
        writeln!(out, "  {}: {what}", export.path.join(" / "))?;
    }
    Ok(())
}

/// What a core module on its own imports from the host and exports.
fn core_interface(out: &mut String, core: &CoreInterface) -> Result<()> {
    writeln!(out, "\ncore imports:")?;
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
        let what = match &export.item {
            CoreExportItem::Func { ty, .. } => core_func(ty),
            CoreExportItem::HostFunc(id) => core_func(&core.imports[*id].ty),
            CoreExportItem::Memory(id) => id.to_string(),
            CoreExportItem::Table(id) => id.to_string(),
            CoreExportItem::Global { ty, mutable, .. } => core_global(*ty, *mutable),
            CoreExportItem::Tag(id) => id.to_string(),
        };
        writeln!(out, "  {:?}: {what}", export.name)?;
    }
    Ok(())
}

fn core_func(ty: &CoreFuncType) -> String {
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
fn functions<'a>(out: &mut String, file: &ElfFile64<'a, object::Endianness>) -> Result<()> {
    let mut kinds: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    for symbol in file.symbols().filter(|symbol| symbol.size() > 0) {
        let kind = symbol_kind(symbol.name().unwrap_or_default());
        let (count, bytes) = kinds.entry(kind).or_default();
        *count += 1;
        *bytes += symbol.size();
    }
    writeln!(out, "\nfunctions:")?;
    for (kind, (count, bytes)) in kinds {
        writeln!(out, "  {count:>7} {kind:<52} {bytes:>10} bytes")?;
    }
    Ok(())
}

fn sections<'a, H: FileHeader>(
    out: &mut String,
    file: &object::read::elf::ElfFile<'a, H>,
) -> Result<()> {
    writeln!(out, "\nsections:")?;
    for section in file.sections() {
        let name = section.name().unwrap_or_default();
        writeln!(
            out,
            "  {name:<22} {:>10} bytes at {:#x}",
            section.size(),
            section.address()
        )?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::draw;
    use crate::component::{ParseOptions, parse_component};
    use crate::emit::symbol_kind;

    #[test]
    fn a_component_is_drawn_with_its_calls() {
        let text = r#"(component
            (import "log" (func $log (param "x" u32)))
            (core func $log (canon lower (func $log)))
            (core module $m
                (import "" "log" (func (param i32)))
                (func (export "run")))
            (core instance $i (instantiate $m (with "" (instance (export "log" (func $log))))))
            (func (export "run") (canon lift (core func $i "run"))))"#;
        let wasm = wat::parse_str(text).unwrap();
        let program = parse_component(&wasm, &ParseOptions::default()).unwrap();
        let dot = program.dot();
        assert!(
            dot.contains("core0 -> host [label=\"lower-import\"]"),
            "{dot}"
        );
        assert!(dot.contains("host -> core0 [label=\"export\"]"), "{dot}");
        let svg = draw(&dot).unwrap();
        assert!(
            svg.contains("<svg") && svg.contains("lower-import"),
            "{svg}"
        );
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
