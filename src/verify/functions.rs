//! The function table: where each compiled function is, and that every function that anything
//! names is there.

use super::image::{Image, Text};
use super::tables::rows;
use crate::trampolines::is_entry;
use anyhow::{Context, Result, bail, ensure};
use object::{Object, ObjectSymbol};
use std::collections::BTreeSet;
use trampette_artifact::demangle::shown;
use trampette_artifact::header::section;
use trampette_artifact::ids::ResourceId;
use trampette_artifact::key::{Abi, FuncKey, SymbolKey};
use trampette_artifact::metadata::{CoreExportItem, ExportItem, Metadata, Resource};
use trampette_artifact::names;
use trampette_artifact::tasks::{CallShape, LiftKind};

/// What fills the space between functions.
const PADDING: u8 = 0xcc;

/// A compiled function.
#[derive(Clone, Copy)]
pub(super) struct Function {
    pub key: FuncKey,
    /// Offset in `.text`.
    pub start: u32,
    /// Offset in `.text` of what is behind it.
    pub end: u32,
}

/// Every compiled function, in the order of keys and of places.
pub(super) struct Functions(Vec<Function>);

impl Functions {
    /// Reads the table.
    ///
    /// # Errors
    /// If keys or places are out of order, or functions do not cover `.text`.
    pub(super) fn read(image: &Image<'_>, text: &Text<'_>) -> Result<Functions> {
        let mut functions: Vec<Function> = Vec::new();
        let (mut end, mut last) = (0, None);
        for (position, row) in rows(image.contents(section::FUNCTIONS)?)?.enumerate() {
            let [namespace, index, start, length] = row;
            let key = match SymbolKey::decode(namespace, index) {
                Some(it @ SymbolKey::Func(key)) if it.encode() == (namespace, index) => key,
                _ => anyhow::bail!("function {position} has no key: {namespace:#x}, {index:#x}"),
            };
            let at = text.file_offset(start);
            ensure!(
                last < Some((namespace, index)),
                "`{key}` at {at:#x} is out of order"
            );
            last = Some((namespace, index));
            ensure!(
                length > 0 && end <= start,
                "`{key}` at {at:#x} is empty or overlaps the function before it"
            );
            let next = u64::from(start) + u64::from(length);
            ensure!(
                next <= text.code.len() as u64,
                "`{key}` at {at:#x} ends beyond .text"
            );
            check_padding(text, end, start)?;
            end = next as u32; // `.text` is smaller than 2 GiB, as the loader checked
            functions.push(Function { key, start, end });
        }
        check_padding(text, end, text.code.len() as u32)?;
        Ok(Functions(functions))
    }

    /// Every function, in order.
    pub(super) fn all(&self) -> &[Function] {
        &self.0
    }

    /// The function with this key.
    pub(super) fn find(&self, key: FuncKey) -> Option<&Function> {
        let at = self.0.binary_search_by_key(&key, |it| it.key).ok()?;
        Some(&self.0[at])
    }

    /// The function that starts at an offset in `.text`.
    pub(super) fn starting_at(&self, offset: u32) -> Option<&Function> {
        let at = self.0.binary_search_by_key(&offset, |it| it.start).ok()?;
        Some(&self.0[at])
    }

    /// The function that an offset in `.text` is in.
    pub(super) fn around(&self, offset: u32) -> Option<&Function> {
        let after = self.0.partition_point(|it| it.start <= offset);
        let function = self.0.get(after.checked_sub(1)?)?;
        (offset < function.end).then_some(function)
    }

    /// Each symbol is a function, at its place, under its name.
    ///
    /// # Errors
    /// If one is not, or a function has none.
    pub(super) fn check_symbols(
        &self,
        image: &Image<'_>,
        text: &Text<'_>,
        metadata: &Metadata,
    ) -> Result<()> {
        let custom = image.contents(section::CUSTOM)?;
        let mut found = BTreeSet::new();
        for symbol in image.file.symbols() {
            let name = symbol.name().context("a symbol without a name")?;
            let (address, size) = (symbol.address(), symbol.size());
            let offset = address.checked_sub(text.address);
            let function = offset.and_then(|it| self.starting_at(u32::try_from(it).ok()?));
            let function = function
                .with_context(|| format!("no function starts at {address:#x}, `{name}`"))?;
            let length = u64::from(function.end - function.start);
            ensure!(
                size == length,
                "`{name}` at {address:#x} has {length} bytes; its symbol says {size}"
            );
            ensure!(
                is_name_of(name, function.key, metadata, custom),
                "the symbol of `{}` at {address:#x} is `{name}`",
                function.key
            );
            ensure!(
                found.insert(function.start),
                "`{name}` at {address:#x} has two symbols"
            );
        }
        let without = self.0.iter().find(|it| !found.contains(&it.start));
        if let Some(function) = without {
            let at = text.file_offset(function.start);
            anyhow::bail!("`{}` at {at:#x} has no symbol", function.key);
        }
        Ok(())
    }

    /// All that metadata names has code in the right convention, and keys name what metadata has.
    ///
    /// # Errors
    /// If something does not.
    pub(super) fn check_metadata(&self, metadata: &Metadata) -> Result<()> {
        let mut entries = BTreeSet::new();
        let mut named = BTreeSet::new();
        for export in &metadata.exports {
            let ExportItem::Function {
                id,
                ref ty,
                post_return,
            } = export.item
            else {
                continue;
            };
            let name = export.path.join(" / ");
            let mut tasks = metadata.concurrency.tasks.iter();
            let task = tasks.find(|task| task.export == Some(id));
            if ty.is_async && task.is_none() {
                bail!("{name}: no task is for it");
            }
            // The task has the code, unless it is called without one.
            if task.is_some_and(|task| task.shape != CallShape::Plain) {
                continue;
            }
            named.insert(id);
            entries.insert((FuncKey::ExportEntry(Abi::Native, id), name.clone()));
            if post_return {
                entries.insert((FuncKey::PostReturn(Abi::Native, id), name));
            }
        }
        for (id, task) in metadata.concurrency.tasks.iter_with_ids() {
            if task.shape == CallShape::Plain {
                continue;
            }
            let name = || format!("task of `{}`", task.name);
            entries.insert((FuncKey::TaskBody(Abi::Native, id), name()));
            if let Some(LiftKind::Stackful | LiftKind::Callback) = task.lift {
                entries.insert((FuncKey::TaskResult(Abi::Native, id), name()));
            }
            if task.lift == Some(LiftKind::Callback) {
                entries.insert((FuncKey::TaskCallback(Abi::Native, id), name()));
            }
        }
        for (id, call) in metadata.concurrency.host_calls.iter_with_ids() {
            if call.lowers_later {
                let name = "a result of the host's".to_string();
                entries.insert((FuncKey::ImportResult(Abi::Native, id), name));
            }
        }
        for id in metadata.concurrency.pairs.ids() {
            let name = "streams and futures".to_string();
            entries.insert((FuncKey::ElementCopy(Abi::Native, id), name));
        }
        // Steps of core modules may have nothing to do.
        let steps = match metadata.core {
            None => metadata.startup_steps,
            Some(_) => 0,
        };
        let step = |step| (FuncKey::Startup(Abi::Native, step), "start-up".to_string());
        entries.extend((0..steps).map(step));
        for (id, resource) in metadata.resources.iter_with_ids() {
            if let Resource::Defined {
                has_destructor: true,
                name,
                ..
            } = resource
            {
                entries.insert((FuncKey::ResourceDrop(Abi::Native, id), name.clone()));
            }
        }
        for export in metadata.core.iter().flat_map(|core| &core.exports) {
            if let CoreExportItem::Func { unit, func, .. } = export.item {
                entries.insert((FuncKey::ArrayToWasm(unit, func), export.name.clone()));
            }
        }
        for (key, name) in entries {
            ensure!(
                self.find(key).is_some(),
                "{name}: there is no entry `{key}`"
            );
        }
        for Function { key, .. } in &self.0 {
            let of_module = |unit, func: trampette_artifact::ids::DefinedFunc| {
                let unit = metadata.units.get(unit)?;
                let module = metadata.modules.get(unit.module)?;
                Some(func.0 < module.defined_functions)
            };
            let known = match *key {
                FuncKey::ModuleFunction(unit, func) | FuncKey::ArrayToWasm(unit, func) => {
                    of_module(unit, func) == Some(true)
                }
                FuncKey::WasmToArray(id) => {
                    let core = metadata.core.as_ref();
                    core.is_some_and(|core| core.imports.get(id).is_some())
                }
                FuncKey::ResourceDrop(_, id) => is_defined(metadata, id),
                FuncKey::ExportEntry(_, id) | FuncKey::PostReturn(_, id) => named.contains(&id),
                FuncKey::Startup(_, step) => step < metadata.startup_steps,
                FuncKey::TaskBody(_, id)
                | FuncKey::TaskCallback(_, id)
                | FuncKey::TaskResult(_, id) => metadata.concurrency.tasks.get(id).is_some(),
                FuncKey::ThreadStart(..) => !metadata.concurrency.tasks.is_empty(),
                FuncKey::ElementCopy(_, id) => metadata.concurrency.pairs.get(id).is_some(),
                FuncKey::ImportResult(_, id) => metadata.concurrency.host_calls.get(id).is_some(),
                FuncKey::ComponentTrampoline(..)
                | FuncKey::UnsafeIntrinsic(..)
                | FuncKey::Builtin(_)
                | FuncKey::StringRoute(_)
                | FuncKey::SharedTransfer(_) => true,
            };
            ensure!(known, "`{key}` is of nothing that the metadata has");
            if let Some(callee) = callee_of_entry(*key) {
                ensure!(
                    self.find(callee).is_some(),
                    "`{key}` is an entry to `{callee}`, which is not there"
                );
            }
        }
        Ok(())
    }
}

/// Whether a symbol's name is that of a function: its key, and the name that the module gives a
/// core function, or any other detail.
fn is_name_of(name: &str, key: FuncKey, metadata: &Metadata, custom: &[u8]) -> bool {
    let Some(detail) = name.strip_prefix(&key.to_string()) else {
        return false;
    };
    let FuncKey::ModuleFunction(unit, func) = key else {
        return detail.is_empty() || detail.starts_with("::") || detail.starts_with('-');
    };
    let expected = || {
        let module = &metadata.modules.get(metadata.units.get(unit)?.module)?;
        let (offset, length) = module.function_names;
        let table = custom.get(offset as usize..)?.get(..length as usize)?;
        let name = names::find(table, module.imported_functions.checked_add(func.0)?)?;
        Some(format!("::{}", shown(name)))
    };
    detail == expected().unwrap_or_default()
}

fn is_defined(metadata: &Metadata, id: ResourceId) -> bool {
    let resource = metadata.resources.get(id);
    matches!(resource, Some(Resource::Defined { .. }))
}

/// What an entry calls: the same thing, for callers in guest code.
pub(super) fn callee_of_entry(key: FuncKey) -> Option<FuncKey> {
    if !is_entry(key) {
        return None;
    }
    Some(match key {
        FuncKey::ArrayToWasm(unit, func) => FuncKey::ModuleFunction(unit, func),
        FuncKey::ComponentTrampoline(_, id) => FuncKey::ComponentTrampoline(Abi::Wasm, id),
        FuncKey::UnsafeIntrinsic(_, it) => FuncKey::UnsafeIntrinsic(Abi::Wasm, it),
        FuncKey::ResourceDrop(_, id) => FuncKey::ResourceDrop(Abi::Wasm, id),
        FuncKey::ExportEntry(_, id) => FuncKey::ExportEntry(Abi::Wasm, id),
        FuncKey::PostReturn(_, id) => FuncKey::PostReturn(Abi::Wasm, id),
        FuncKey::Startup(_, step) => FuncKey::Startup(Abi::Wasm, step),
        FuncKey::TaskBody(_, id) => FuncKey::TaskBody(Abi::Wasm, id),
        FuncKey::TaskCallback(_, id) => FuncKey::TaskCallback(Abi::Wasm, id),
        FuncKey::TaskResult(_, id) => FuncKey::TaskResult(Abi::Wasm, id),
        FuncKey::ThreadStart(_, width) => FuncKey::ThreadStart(Abi::Wasm, width),
        FuncKey::ElementCopy(_, id) => FuncKey::ElementCopy(Abi::Wasm, id),
        FuncKey::ImportResult(_, id) => FuncKey::ImportResult(Abi::Wasm, id),
        FuncKey::ModuleFunction(..)
        | FuncKey::WasmToArray(_)
        | FuncKey::Builtin(_)
        | FuncKey::StringRoute(_)
        | FuncKey::SharedTransfer(_) => return None,
    })
}

fn check_padding(text: &Text<'_>, from: u32, to: u32) -> Result<()> {
    let gap = &text.code[from as usize..to as usize];
    if let Some(position) = gap.iter().position(|byte| *byte != PADDING) {
        let at = text.file_offset(from) + position as u64;
        anyhow::bail!("the code at {at:#x} is in no function");
    }
    Ok(())
}
