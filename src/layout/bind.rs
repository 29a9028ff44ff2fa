//! Binds every core instance: the index spaces of its module, resolved.

use super::UnitBinding;
use crate::program::module::{EntityKind, Module};
use crate::program::{CoreFunc, CoreInstance, CoreItem, Definition, Program};
use anyhow::{Context, Result, bail, ensure};
use trampette_artifact::ids::*;

/// One unit per core instance. Slabs, signatures and run-time segments are not assigned yet.
pub(super) fn bind_units(program: &Program<'_>) -> Result<IdVec<UnitId, UnitBinding>> {
    let instances = program.core_instances.iter_with_ids();
    instances
        .map(|(id, instance)| {
            bind_unit(program, id, instance).with_context(|| format!("cannot bind {id}"))
        })
        .collect()
}

fn bind_unit(
    program: &Program<'_>,
    id: CoreInstanceId,
    instance: &CoreInstance,
) -> Result<UnitBinding> {
    let module = program
        .modules
        .get(instance.module)
        .with_context(|| format!("there is no {}", instance.module))?;
    let mut unit = UnitBinding {
        module: instance.module,
        slab: SlabId(0),
        functions: Vec::with_capacity(module.functions.len()),
        memories: Vec::new(),
        tables: Vec::new(),
        globals: Vec::new(),
        tags: Vec::new(),
        signatures: Vec::new(),
        data_segments: vec![None; module.data.len()],
        element_segments: vec![None; module.elements.len()],
    };
    ensure!(
        instance.imports.len() == module.imports.len(),
        "{} imports are given to a module with {}",
        instance.imports.len(),
        module.imports.len()
    );
    for (import, item) in module.imports.iter().zip(&instance.imports) {
        match (import.kind, *item) {
            (EntityKind::Func, CoreItem::Func(func)) => unit.functions.push(func),
            (EntityKind::Memory, CoreItem::Memory(memory)) => unit.memories.push(memory),
            (EntityKind::Table, CoreItem::Table(table)) => unit.tables.push(table),
            (EntityKind::Global, CoreItem::Global(global)) => unit.globals.push(global),
            (EntityKind::Tag, CoreItem::Tag(tag)) => unit.tags.push(tag),
            (kind, item) => bail!(
                "the import `{}` `{}` is a {kind:?}, not {item:?}",
                import.module,
                import.name
            ),
        }
    }
    let defined = module.functions.len() - module.imported_functions as usize;
    unit.functions
        .extend((0..defined as u32).map(|index| CoreFunc::Module(id, DefinedFunc(index))));
    unit.memories.extend(&instance.memories);
    unit.tables.extend(&instance.tables);
    unit.globals.extend(&instance.globals);
    unit.tags.extend(&instance.tags);
    let sizes = [
        ("memories", unit.memories.len(), module.memories.len()),
        ("tables", unit.tables.len(), module.tables.len()),
        ("globals", unit.globals.len(), module.globals.len()),
        ("tags", unit.tags.len(), module.tags.len()),
    ];
    for (what, bound, declared) in sizes {
        ensure!(
            bound == declared,
            "{bound} {what} are bound where the module has {declared}"
        );
    }
    Ok(unit)
}

/// The module of a definition, and the definition's place in it: an index into the module's whole
/// index space, after the `imported` ones.
pub(super) fn defining_module<'p, 'a>(
    program: &'p Program<'a>,
    definition: Definition,
    imported: impl Fn(&Module<'a>) -> u32,
) -> Result<(&'p Module<'a>, usize)> {
    let module = program
        .core_instances
        .get(definition.instance)
        .and_then(|instance| program.modules.get(instance.module))
        .with_context(|| format!("there is no {}", definition.instance))?;
    Ok((module, (imported(module) + definition.index) as usize))
}
