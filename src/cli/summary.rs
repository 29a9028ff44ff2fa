//! What `trampette inspect` says at first, on a screen; and all of it for machines.

use super::files::size;
use super::inspect::{
    Description, ExportWaits, Trampoline, by_kind, core_export_item, core_func, export_item,
};
use anyhow::Result;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use trampette_artifact::metadata::{ExportItem, Metadata, Resource};
use trampette_runner::granted;

/// Lines of one kind at most.
const MOST_LINES: usize = 6;

/// A summary that fits a screen.
///
/// # Errors
/// Never: writing to a string does not fail.
pub(super) fn summary(name: &str, described: &Description) -> Result<String> {
    let Description { id, metadata, .. } = described;
    let mut out = String::new();
    let what = match &metadata.core {
        Some(_) => "core module",
        None => "component",
    };
    writeln!(
        out,
        "{name}: {what}, {} as an artifact (format {}, {})",
        size(described.bytes),
        id.format_version,
        id.target
    )?;
    writeln!(out, "options: {}", id.options)?;
    lines(&mut out, "imports", &imports(metadata))?;
    switches(&mut out, metadata)?;
    lines(&mut out, "exports", &exports(metadata))?;
    if !described.waits.is_empty() {
        let waiting = described.waits.iter();
        let waiting = waiting.filter(|export| !export.reasons.is_empty()).count();
        let all = described.waits.len();
        writeln!(
            out,
            "waits: {waiting} of {all} exported functions may wait (--waits)"
        )?;
    }
    let pages = metadata.memories.iter().map(|memory| memory.minimum);
    let pages = pages.collect::<Vec<_>>();
    let memories = match &pages[..] {
        [] => "no memory".to_string(),
        [one] => format!("a memory of {one} pages"),
        all => format!(
            "{} memories of {} pages",
            all.len(),
            all.iter().sum::<u64>()
        ),
    };
    writeln!(
        out,
        "inside: {} core modules, {} core instances, {} slabs, {memories}",
        metadata.modules.len(),
        metadata.units.len(),
        metadata.slabs.len()
    )?;
    let kinds = by_kind(&described.functions);
    let code: u64 = described.functions.iter().map(|(_, bytes)| bytes).sum();
    writeln!(
        out,
        "code: {} in {} functions",
        size(code),
        described.functions.len()
    )?;
    let mut kinds: Vec<_> = kinds.into_iter().collect();
    kinds.sort_by_key(|(_, (_, bytes))| std::cmp::Reverse(*bytes));
    let kinds = kinds
        .iter()
        .map(|(kind, (count, bytes))| format!("{kind}: {} in {count}", size(*bytes)));
    rest(&mut out, &kinds.collect::<Vec<_>>(), 3)?;
    let mut sections: Vec<_> = described
        .sections
        .iter()
        .filter(|(_, size, _)| *size > 0)
        .collect();
    sections.sort_by_key(|(_, size, _)| std::cmp::Reverse(*size));
    let sections = sections
        .iter()
        .take(4)
        .map(|(name, bytes, _)| format!("{name} {}", size(*bytes)));
    writeln!(out, "file: {}", sections.collect::<Vec<_>>().join(", "))?;
    writeln!(
        out,
        "more: --world, --trampolines, --waits, --functions, --sections, --all, --json"
    )?;
    Ok(out)
}

fn lines(out: &mut String, what: &str, lines: &[String]) -> Result<()> {
    match lines {
        [] => writeln!(out, "{what}: none")?,
        _ => writeln!(out, "{what}:")?,
    }
    rest(out, lines, MOST_LINES)
}

fn rest(out: &mut String, lines: &[String], most: usize) -> Result<()> {
    for line in lines.iter().take(most) {
        let mut line = line.clone();
        if line.chars().count() > 110 {
            line = line.chars().take(109).chain(['…']).collect();
        }
        writeln!(out, "  {line}")?;
    }
    if lines.len() > most {
        writeln!(out, "  … and {} more", lines.len() - most)?;
    }
    Ok(())
}

/// Interfaces with their numbers of functions; functions of none with their types.
fn imports(metadata: &Metadata) -> Vec<String> {
    let mut interfaces: BTreeMap<String, usize> = BTreeMap::new();
    let mut found = Vec::new();
    for import in &metadata.imports {
        match import.path.split_last() {
            Some((name, [])) => {
                found.push(format!("{name}: {}", metadata.display_func(&import.ty)));
            }
            Some((_, instances)) => *interfaces.entry(instances.join(" / ")).or_default() += 1,
            None => {}
        }
    }
    found.extend(interfaces.into_iter().map(counted));
    if let Some(core) = &metadata.core {
        let mut modules: BTreeMap<String, usize> = BTreeMap::new();
        for import in &core.imports {
            *modules.entry(import.module.clone()).or_default() += 1;
        }
        found.extend(modules.into_iter().map(counted));
    }
    found
}

/// The options that say what imports have to give, and those imports, if they are used.
pub(super) fn needed(metadata: &Metadata) -> BTreeMap<&'static [&'static str], BTreeSet<String>> {
    let mut needed: BTreeMap<&[&str], BTreeSet<String>> = BTreeMap::new();
    for import in metadata.imports.iter().filter(|import| import.used) {
        // Nobody but the host provides the first of them.
        let Some((interface, _)) = import.path.split_first() else {
            continue;
        };
        let options = granted::switches(interface);
        if !options.is_empty() {
            needed.entry(options).or_default().insert(interface.clone());
        }
    }
    needed
}

/// A line for each of them.
pub(super) fn switches(out: &mut String, metadata: &Metadata) -> Result<()> {
    let needed = needed(metadata);
    if !needed.is_empty() {
        writeln!(out, "switches of `run` and `serve` that imports depend on:")?;
    }
    for (options, interfaces) in needed {
        let interfaces: Vec<String> = interfaces.into_iter().collect();
        writeln!(out, "  {}: {}", options.join(" or "), interfaces.join(", "))?;
    }
    Ok(())
}

fn counted((name, count): (String, usize)) -> String {
    match count {
        1 => format!("{name}: 1 function"),
        _ => format!("{name}: {count} functions"),
    }
}

fn exports(metadata: &Metadata) -> Vec<String> {
    let items = metadata.exports.iter();
    let items = items.filter(|export| !matches!(export.item, ExportItem::Instance));
    let mut found: Vec<String> = items
        .map(|export| {
            let what = export_item(metadata, &export.item);
            format!("{}: {what}", export.path.join(" / "))
        })
        .collect();
    if let Some(core) = &metadata.core {
        let exports = core.exports.iter();
        found.extend(exports.map(|export| {
            format!(
                "{:?}: {}",
                export.name,
                core_export_item(core, &export.item)
            )
        }));
    }
    found
}

/// Everything, for machines.
pub(super) fn json(described: &Description) -> Value {
    let Description { id, metadata, .. } = described;
    let named = |paths: Vec<(&Vec<String>, String)>| -> Value {
        let items = paths.into_iter();
        items
            .map(|(path, what)| json!({ "path": path, "type": what }))
            .collect()
    };
    let imports = metadata.imports.iter();
    let imports = imports.map(|import| (&import.path, metadata.display_func(&import.ty)));
    let resources = metadata
        .resources
        .iter()
        .filter_map(|resource| match resource {
            Resource::Imported { path } => Some((path, "resource".to_string())),
            Resource::Defined { .. } => None,
        });
    let exports = metadata.exports.iter();
    let exports = exports.map(|export| (&export.path, export_item(metadata, &export.item)));
    let core = metadata.core.as_ref().map(|core| {
        let imports = core.imports.iter();
        let exports = core.exports.iter();
        json!({
            "imports": imports.map(|import| json!({
                "module": import.module, "name": import.name, "type": core_func(&import.ty),
            })).collect::<Value>(),
            "exports": exports.map(|export| json!({
                "name": export.name, "type": core_export_item(core, &export.item),
            })).collect::<Value>(),
        })
    });
    let modules = metadata.modules.iter();
    let units = metadata.units.iter();
    let slabs = metadata.slabs.iter();
    let trampolines = described.trampolines.iter();
    let waits = described.waits.iter();
    let functions = described.functions.iter();
    let sections = described.sections.iter();
    json!({
        "format": id.format_version,
        "compiler": id.compiler_version,
        "target": id.target,
        "cpu_features": id.cpu_features,
        "options": id.options,
        "bytes": described.bytes,
        "world": described.wit,
        "imports": named(resources.chain(imports).collect()),
        "switches": needed(metadata).into_iter().map(|(options, interfaces)| json!({
            "options": options, "interfaces": interfaces,
        })).collect::<Value>(),
        "exports": named(exports.collect()),
        "core": core,
        "modules": modules.map(|module| json!({
            "name": module.name,
            "start": module.range.0,
            "end": module.range.1,
            "imported_functions": module.imported_functions,
            "defined_functions": module.defined_functions,
        })).collect::<Value>(),
        "instances": units.map(|unit| json!({
            "module": unit.module.0, "slab": unit.slab.0,
        })).collect::<Value>(),
        "slabs": slabs.map(|slab| json!({
            "context_bytes": slab.context_size,
            "memory_pages": slab.memory.map(|id| metadata.memories[id].minimum),
        })).collect::<Value>(),
        "trampolines": trampolines.map(|Trampoline { symbol, bytes, transfer }| json!({
            "symbol": symbol, "bytes": bytes, "transfer": transfer,
        })).collect::<Value>(),
        "waits": waits.map(|ExportWaits { name, reasons, chain }| json!({
            "export": name, "reasons": reasons, "chain": chain,
        })).collect::<Value>(),
        "functions": functions.map(|(symbol, bytes)| json!({
            "symbol": symbol, "bytes": bytes,
        })).collect::<Value>(),
        "sections": sections.map(|(name, bytes, address)| json!({
            "name": name, "bytes": bytes, "address": address,
        })).collect::<Value>(),
    })
}
