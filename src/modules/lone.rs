//! A core module on its own, with the modules that its imports are bound to when it is compiled.
//!
//! An import whose first name is that of a bound module is an export of that module, checked by
//! exact types and by the declared sizes. Everything else that the modules import is the host's:
//! functions, the values of globals, shared memories; other memories, tables and tags are made from
//! their declared types by an instance that comes before its importer.

use super::bind::{Binding, LinkError, parse_module_at};
use crate::program::module::{
    CoreType, EntityKind, Module, ModuleGlobal, ModuleImport, RefKind, Uses,
};
use crate::program::{CoreItem, CoreSupply};
use anyhow::{Context, Result, bail, ensure};
use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use trampette_artifact::ids::*;
use wasmparser::{BinaryReader, ConstExpr, ValType};

/// The binding of the module at the start of `bytes`, bound to others that are at ranges behind it.
///
/// # Errors
/// If a module is invalid, modules import each other in a circle, a bound import does not fit, a
/// bound module is imported by none, or something is imported whose type has no default value.
pub(crate) fn lone_module<'a>(
    bytes: &'a [u8],
    module: Range<usize>,
    bound: &BTreeMap<String, Range<usize>>,
) -> Result<Binding<'a>> {
    let mut binder = Binder {
        bytes,
        bound,
        binding: Binding::new(),
        instances: HashMap::new(),
        supplied: HashMap::new(),
    };
    let module = parse_module_at(bytes, module)?;
    let names: Vec<&str> = module.exports.iter().map(|(name, ..)| *name).collect();
    let instance = binder.instantiate(module)?;
    for name in bound.keys() {
        ensure!(
            binder.instances.contains_key(name.as_str()),
            "no module imports from `{name}`, which is bound to a core module"
        );
    }
    let mut binding = binder.binding;
    for name in names {
        binding.expose(instance, name)?;
    }
    Ok(binding)
}

/// Binds modules to each other and to the host.
struct Binder<'a, 'b> {
    bytes: &'a [u8],
    bound: &'b BTreeMap<String, Range<usize>>,
    binding: Binding<'a>,
    /// Bound modules that were reached; `None` for one that is being instantiated.
    instances: HashMap<&'b str, Option<CoreInstanceId>>,
    /// What the host supplies, by both names: all importers get the same.
    supplied: HashMap<(&'a str, &'a str), CoreItem>,
}

impl<'a> Binder<'a, '_> {
    fn instantiate(&mut self, module: Module<'a>) -> Result<CoreInstanceId> {
        for import in &module.imports {
            self.provider(import.module)?;
        }
        self.make_missing(&module)?;
        let imports = module.imports.clone();
        let id = self.binding.add_module(module);
        // The modules that this one imports from are instantiated by now: what follows is its own.
        let host_imports = self.binding.program.core_imports.len();
        let mut items = Vec::new();
        for import in &imports {
            let provider = self.provider(import.module)?;
            let supplied = self.supplied.get(&(import.module, import.name)).copied();
            let item = match (provider, supplied, import.kind) {
                (Some(provider), ..) => self.binding.export(provider, import.name),
                (None, None, EntityKind::Func) => Some(self.binding.import_function(id, import)),
                (None, supplied, _) => supplied,
            };
            let item = item.ok_or_else(|| LinkError::Unknown {
                module: import.module.to_string(),
                name: import.name.to_string(),
            })?;
            if let Some(check) = self.binding.check(id, import, item)?
                && self.initial_size(check.item)? < check.minimum
            {
                return Err(check.error).context("it is smaller than the import demands");
            }
            items.push(item);
        }
        let first_memory = items.iter().find_map(|item| match item {
            CoreItem::Memory(memory) => Some(*memory),
            _ => None,
        });
        let instance = self.binding.instantiate(id, items);
        self.binding
            .settle_memory(host_imports, instance, first_memory);
        Ok(instance)
    }

    /// The instance of the bound module of that name, which comes to life now if it has not yet.
    fn provider(&mut self, name: &str) -> Result<Option<CoreInstanceId>> {
        let Some((name, range)) = self.bound.get_key_value(name) else {
            return Ok(None);
        };
        if let Some(found) = self.instances.get(name.as_str()) {
            ensure!(
                found.is_some(),
                "the core modules import each other in a circle through `{name}`"
            );
            return Ok(*found);
        }
        self.instances.insert(name, None);
        let module = parse_module_at(self.bytes, range.clone())
            .and_then(|module| self.instantiate(module))
            .with_context(|| format!("in the core module that `{name}` is bound to"))?;
        self.instances.insert(name, Some(module));
        Ok(Some(module))
    }

    /// Makes the memories, tables, globals and tags that a module imports from no other.
    fn make_missing(&mut self, module: &Module<'a>) -> Result<()> {
        let mut missing: Vec<ModuleImport<'a>> = Vec::new();
        for import in &module.imports {
            let names = (import.module, import.name);
            let twice = |other: &ModuleImport<'_>| (other.module, other.name) == names;
            if import.kind != EntityKind::Func
                && !self.bound.contains_key(import.module)
                && !self.supplied.contains_key(&names)
                && !missing.iter().any(twice)
            {
                missing.push(import.clone());
            }
        }
        if missing.is_empty() {
            return Ok(());
        }
        let provider = self
            .binding
            .add_module(imported_entities(module, &missing)?);
        let provider = self.binding.instantiate(provider, Vec::new());
        let made = self.binding.program.core_instances[provider].clone();
        let mut memories = made.memories.into_iter().map(CoreItem::Memory);
        let mut tables = made.tables.into_iter().map(CoreItem::Table);
        let mut globals = made.globals.into_iter().map(CoreItem::Global);
        let mut tags = made.tags.into_iter().map(CoreItem::Tag);
        for import in missing {
            let item = match import.kind {
                EntityKind::Func => None,
                EntityKind::Memory => memories.next(),
                EntityKind::Table => tables.next(),
                EntityKind::Global => globals.next(),
                EntityKind::Tag => tags.next(),
            };
            let item = item.context("an import was not made")?;
            self.supplied.insert((import.module, import.name), item);
            let supplied = match item {
                CoreItem::Global(_) => true,
                CoreItem::Memory(id) => self.binding.program.memory_type(id)?.shared,
                _ => false,
            };
            if supplied {
                self.binding.program.core_supplies.push(CoreSupply {
                    module: import.module.to_string(),
                    name: import.name.to_string(),
                    item,
                });
            }
        }
        Ok(())
    }

    /// The size that a memory or table has before any code runs.
    fn initial_size(&self, item: CoreItem) -> Result<u64> {
        let program = &self.binding.program;
        match item {
            CoreItem::Memory(id) => Ok(program.memory_type(id)?.initial),
            CoreItem::Table(id) => {
                let definition = program.tables[id];
                let module = program.module_of(definition.instance);
                let module = module.context("a table of no module")?;
                let index = module.imported_tables + definition.index;
                Ok(module.tables[index as usize].ty.initial)
            }
            _ => Ok(u64::MAX),
        }
    }
}

/// A module that defines some of the memories, tables, globals and tags that another imports, in
/// order.
fn imported_entities<'a>(module: &Module<'a>, imports: &[ModuleImport<'a>]) -> Result<Module<'a>> {
    let mut made = Module {
        name: "imports".to_string(),
        types: module.types.clone(),
        recursion_groups: module.recursion_groups.clone(),
        ..Module::default()
    };
    for import in imports {
        let at = import.index as usize;
        let names = format!("`{}` `{}`", import.module, import.name);
        match import.kind {
            EntityKind::Func => {}
            EntityKind::Memory => made.memories.push(module.memories[at]),
            EntityKind::Tag => made.tags.push(module.tags[at]),
            EntityKind::Table => {
                let table = module.tables[at].clone();
                if !table.ty.element_type.is_nullable() {
                    bail!(
                        "the import {names}, a table of references that cannot be null, must be \
                         bound to a module"
                    );
                }
                made.tables.push(table);
            }
            EntityKind::Global => {
                let global = module.globals[at].clone();
                if let ValType::Ref(reference) = global.declared {
                    ensure!(
                        reference.is_nullable(),
                        "the import {names}, a global that cannot be null, must be bound to a module"
                    );
                }
                made.globals.push(ModuleGlobal {
                    init: Some(zero(global.ty)),
                    ..global
                });
            }
        }
    }
    made.uses = Uses {
        written_tables: vec![false; made.tables.len()],
        grown_tables: vec![false; made.tables.len()],
        read_tables: vec![false; made.tables.len()],
        written_memories: vec![false; made.memories.len()],
        grown_memories: vec![false; made.memories.len()],
        // The host gives them their values.
        written_globals: vec![true; made.globals.len()],
        global_accesses: vec![0; made.globals.len()],
        ..Uses::default()
    };
    Ok(made)
}

/// The constant expression of a type's default value.
fn zero(ty: CoreType) -> ConstExpr<'static> {
    const V128: &[u8] = &[
        0xfd, 0x0c, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x0b,
    ];
    let bytes: &[u8] = match ty {
        CoreType::I32 => &[0x41, 0, 0x0b],
        CoreType::I64 => &[0x42, 0, 0x0b],
        CoreType::F32 => &[0x43, 0, 0, 0, 0, 0x0b],
        CoreType::F64 => &[0x44, 0, 0, 0, 0, 0, 0, 0, 0, 0x0b],
        CoreType::V128 => V128,
        CoreType::Ref(RefKind::Func) => &[0xd0, 0x70, 0x0b],
        CoreType::Ref(RefKind::Extern) => &[0xd0, 0x6f, 0x0b],
        CoreType::Ref(RefKind::Exn) => &[0xd0, 0x69, 0x0b],
    };
    ConstExpr::new(BinaryReader::new(bytes, 0))
}
