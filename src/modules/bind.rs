//! [`Binding`]: core modules without a component around them, bound to each other into one
//! [`Program`].
//!
//! A lone module is a binding of its own ([`super::lone`]); a test script is one too, whose modules
//! are instantiated as it goes. Whether an import may be bound to what is offered is decided here,
//! apart from current sizes of memories and tables, which are [`SizeCheck`]s for the moment of
//! instantiation. What only scripts need is compiled with them (feature `cli`).

use super::parse::ModuleBuilder;
use crate::program::module::{EntityKind, Module, ModuleImport};
use crate::program::types::{CanonicalTypes, ExactType, exact_type};
use crate::program::{
    ComponentInstance, CoreExport, CoreFunc, CoreImport, CoreInstance, CoreItem, Definition,
    Instantiation, Program,
};
use anyhow::{Context, Result, ensure};
use std::collections::HashMap;
use std::fmt;
use std::ops::Range;
use trampette_artifact::ids::*;
use wasmparser::{ValType, Validator, WasmFeatures};

/// What validation accepts of core modules: WebAssembly 3.0, custom page sizes, wide arithmetic and
/// threads. Types of garbage collection are valid, so that parsing can say that they are not
/// supported.
pub(crate) fn core_features() -> WasmFeatures {
    WasmFeatures::WASM3
        .union(WasmFeatures::CUSTOM_PAGE_SIZES)
        .union(WasmFeatures::WIDE_ARITHMETIC)
        .union(WasmFeatures::THREADS)
}

/// Validates a core module, bodies included.
///
/// # Errors
/// If it is invalid, with the byte offset.
#[cfg(feature = "cli")]
pub(crate) fn validate_module(wasm: &[u8]) -> Result<()> {
    validate_module_with(wasm, core_features())
}

/// Validates a core module with other features than those that are supported.
///
/// # Errors
/// As [`validate_module`].
#[cfg(feature = "cli")]
pub(crate) fn validate_module_with(wasm: &[u8], features: WasmFeatures) -> Result<()> {
    check_kind(wasm)?;
    Validator::new_with_features(features).validate_all(wasm)?;
    Ok(())
}

/// Parses a core module. Bodies are validated when they are compiled.
///
/// # Errors
/// If it is invalid or not supported, with the byte offset.
#[cfg(any(test, feature = "cli"))]
pub(crate) fn parse_module(wasm: &[u8]) -> Result<Module<'_>> {
    parse_module_at(wasm, 0..wasm.len())
}

/// Parses the core module that is at `range` of `bytes`, where other modules are too.
///
/// # Errors
/// If it is invalid or not supported, with the byte offset.
pub(crate) fn parse_module_at(bytes: &[u8], range: Range<usize>) -> Result<Module<'_>> {
    let wasm = bytes
        .get(range.clone())
        .context("a module is out of range")?;
    check_kind(wasm)?;
    let mut validator = Validator::new_with_features(core_features());
    let mut parser = wasmparser::Parser::new(range.start as u64);
    parser.set_features(core_features());
    let mut builder = ModuleBuilder::new(bytes, range);
    for payload in parser.parse_all(wasm) {
        builder.payload(&payload?, &mut validator)?;
    }
    builder.finish()
}

fn check_kind(wasm: &[u8]) -> Result<()> {
    ensure!(
        !wasmparser::Parser::is_component(wasm),
        "the input is a component, not a core module (at offset 0x4)"
    );
    Ok(())
}

/// Why an import cannot be bound.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum LinkError {
    /// Nothing of that name is offered.
    Unknown {
        /// First name.
        module: String,
        /// Second name.
        name: String,
    },
    /// What is offered is of another kind or type.
    Incompatible {
        /// First name.
        module: String,
        /// Second name.
        name: String,
    },
}

impl fmt::Display for LinkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LinkError::Unknown { module, name } => write!(f, "unknown import `{module}` `{name}`"),
            LinkError::Incompatible { module, name } => {
                write!(f, "incompatible import type of `{module}` `{name}`")
            }
        }
    }
}

impl std::error::Error for LinkError {}

/// A memory or table must have at least a size when its importer is instantiated.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct SizeCheck {
    /// The memory or table.
    pub item: CoreItem,
    /// Pages or entries.
    pub minimum: u64,
    /// What to say if it is smaller.
    pub error: LinkError,
}

/// Core instances that are bound to each other.
#[derive(Default)]
pub(crate) struct Binding<'a> {
    /// The program so far.
    pub program: Program<'a>,
    types: CanonicalTypes,
    /// Canonical types of each module.
    module_types: IdVec<ModuleId, Vec<SignatureId>>,
    /// Canonical types of the host's functions.
    host_types: IdVec<CoreImportId, SignatureId>,
    /// What each core instance exports.
    exports: IdVec<CoreInstanceId, HashMap<&'a str, CoreItem>>,
}

impl<'a> Binding<'a> {
    /// An empty binding.
    pub(crate) fn new() -> Self {
        Binding {
            program: Program {
                instantiation: Instantiation::StepByStep,
                component_instances: vec![ComponentInstance::default()].into(),
                ..Program::default()
            },
            ..Binding::default()
        }
    }

    /// Adds a module, to be instantiated any number of times.
    pub(crate) fn add_module(&mut self, module: Module<'a>) -> ModuleId {
        self.module_types.push(self.types.intern_module(&module));
        self.program.modules.push(module)
    }

    /// What an instance exports under a name.
    pub(crate) fn export(&self, instance: CoreInstanceId, name: &str) -> Option<CoreItem> {
        self.exports.get(instance)?.get(name).copied()
    }

    /// Lets the host reach an export.
    ///
    /// # Errors
    /// If there is none of that name.
    pub(crate) fn expose(&mut self, instance: CoreInstanceId, name: &str) -> Result<()> {
        let item = self.export(instance, name);
        let item = item.with_context(|| format!("there is no export `{name}`"))?;
        self.program.core_exports.push(CoreExport {
            instance,
            name: name.to_string(),
            item,
        });
        Ok(())
    }

    /// Finds what satisfies a module's imports: `offered` says what there is of two names.
    ///
    /// # Errors
    /// The first import that nothing satisfies.
    #[cfg(feature = "cli")]
    pub(crate) fn resolve(
        &self,
        module: ModuleId,
        offered: impl Fn(&str, &str) -> Option<CoreItem>,
    ) -> Result<(Vec<CoreItem>, Vec<SizeCheck>), LinkError> {
        let mut items = Vec::new();
        let mut checks = Vec::new();
        for import in &self.program.modules[module].imports {
            let item = offered(import.module, import.name).ok_or_else(|| LinkError::Unknown {
                module: import.module.to_string(),
                name: import.name.to_string(),
            })?;
            checks.extend(self.check(module, import, item)?);
            items.push(item);
        }
        Ok((items, checks))
    }

    /// Checks an item against an import of a module by exact types.
    ///
    /// # Errors
    /// If it may not satisfy the import, whatever its size.
    pub(crate) fn check(
        &self,
        module: ModuleId,
        import: &ModuleImport<'_>,
        item: CoreItem,
    ) -> Result<Option<SizeCheck>, LinkError> {
        let error = LinkError::Incompatible {
            module: import.module.to_string(),
            name: import.name.to_string(),
        };
        match self.matches(module, import, item) {
            None => Err(error),
            Some(Minimum(0)) => Ok(None),
            Some(Minimum(minimum)) => Ok(Some(SizeCheck {
                item,
                minimum,
                error,
            })),
        }
    }

    /// Whether an item may satisfy an import, and the size that it must have then.
    fn matches(
        &self,
        module: ModuleId,
        import: &ModuleImport<'_>,
        item: CoreItem,
    ) -> Option<Minimum> {
        let importer = &self.program.modules[module];
        let ids = &self.module_types[module];
        let at = import.index as usize;
        let none = Minimum(0);
        match (import.kind, item) {
            (EntityKind::Func, CoreItem::Func(func)) => {
                let wanted = ids[importer.functions[at] as usize];
                (self.function_type(func)? == wanted).then_some(none)
            }
            (EntityKind::Tag, CoreItem::Tag(tag)) => {
                let (found, types, at_found) =
                    self.defined(*self.program.tags.get(tag)?, |m| m.imported_tags)?;
                let found = types[found.tags[at_found] as usize];
                (found == ids[importer.tags[at] as usize]).then_some(none)
            }
            (EntityKind::Global, CoreItem::Global(global)) => {
                let definition = *self.program.globals.get(global)?;
                let (found, types, at_found) = self.defined(definition, |m| m.imported_globals)?;
                let (found, wanted) = (&found.globals[at_found], &importer.globals[at]);
                let found_type = exact_type(found.declared, types, types.len());
                let wanted_type = exact_type(wanted.declared, ids, ids.len());
                let fits = match wanted.mutable {
                    true => found_type == wanted_type,
                    false => found_type.is_subtype_of(wanted_type),
                };
                (found.mutable == wanted.mutable && fits).then_some(none)
            }
            (EntityKind::Table, CoreItem::Table(table)) => {
                let definition = *self.program.tables.get(table)?;
                let (found, types, at_found) = self.defined(definition, |m| m.imported_tables)?;
                let (found, wanted) = (&found.tables[at_found].ty, &importer.tables[at].ty);
                let element = |ty: &wasmparser::TableType, ids: &[SignatureId]| -> ExactType {
                    exact_type(ValType::Ref(ty.element_type), ids, ids.len())
                };
                let fits = element(found, types) == element(wanted, ids)
                    && found.table64 == wanted.table64
                    && found.shared == wanted.shared
                    && maximum_fits(found.maximum, wanted.maximum);
                fits.then_some(Minimum(wanted.initial))
            }
            (EntityKind::Memory, CoreItem::Memory(memory)) => {
                let found = self.program.memory_type(memory).ok()?;
                let wanted = &importer.memories[at];
                let fits = found.memory64 == wanted.memory64
                    && found.shared == wanted.shared
                    && found.page_size_log2() == wanted.page_size_log2()
                    && maximum_fits(found.maximum, wanted.maximum);
                fits.then_some(Minimum(wanted.initial))
            }
            _ => None,
        }
    }

    fn function_type(&self, func: CoreFunc) -> Option<SignatureId> {
        let (instance, index) = match func {
            CoreFunc::Module(instance, index) => (instance, index),
            CoreFunc::Host(import) => return self.host_types.get(import).copied(),
            CoreFunc::Trampoline(_) | CoreFunc::Intrinsic(_) => return None,
        };
        let module = self.program.core_instances.get(instance)?.module;
        let defining = &self.program.modules[module];
        let ty = defining.functions[(defining.index_of(index)) as usize];
        Some(self.module_types[module][ty as usize])
    }

    /// The module of a definition, its canonical types, and where the definition is in it.
    fn defined(
        &self,
        definition: Definition,
        imported: impl Fn(&Module<'a>) -> u32,
    ) -> Option<(&Module<'a>, &[SignatureId], usize)> {
        let instance = self.program.core_instances.get(definition.instance)?;
        let module = &self.program.modules[instance.module];
        let types = &self.module_types[instance.module];
        Some((
            module,
            types,
            (imported(module) + definition.index) as usize,
        ))
    }

    /// Makes a function that a module imports the host's.
    pub(crate) fn import_function(
        &mut self,
        module: ModuleId,
        import: &ModuleImport<'_>,
    ) -> CoreItem {
        let importer = &self.program.modules[module];
        let ty = importer.functions[import.index as usize];
        self.host_types.push(self.module_types[module][ty as usize]);
        let id = self.program.core_imports.push(CoreImport {
            module: import.module.to_string(),
            name: import.name.to_string(),
            signature: importer.signature(import.index).clone(),
            memory: None,
        });
        CoreItem::Func(CoreFunc::Host(id))
    }

    /// Says whose memory the functions of the host use that were imported since there were
    /// `imports` of them: that of the instance which imports them. Its first memory is `first` if
    /// it imports one.
    pub(crate) fn settle_memory(
        &mut self,
        imports: usize,
        instance: CoreInstanceId,
        first: Option<MemoryId>,
    ) {
        let defined = self.program.core_instances[instance].memories.first();
        let memory = match self.export(instance, "memory") {
            Some(CoreItem::Memory(memory)) => Some(memory),
            _ => first.or(defined.copied()),
        };
        for import in self.program.core_imports.iter_mut().skip(imports) {
            import.memory = memory;
        }
    }

    /// Instantiates a module with what [`Binding::resolve`] found for its imports.
    pub(crate) fn instantiate(
        &mut self,
        module_id: ModuleId,
        imports: Vec<CoreItem>,
    ) -> CoreInstanceId {
        let program = &mut self.program;
        let id = program.instantiate(module_id, ComponentInstanceId(0), imports);
        let module = &program.modules[module_id];
        let instance = &program.core_instances[id];
        let spaces = IndexSpaces::new(module, instance, id);
        let exports = module.exports.iter();
        let exports = exports.map(|(name, kind, index)| (*name, spaces.item(*kind, *index)));
        self.exports.push(exports.collect());
        id
    }
}

/// The size that an import demands.
struct Minimum(u64);

/// Whether something that may grow to `found` may be imported with the maximum `wanted`.
fn maximum_fits(found: Option<u64>, wanted: Option<u64>) -> bool {
    match (found, wanted) {
        (_, None) => true,
        (Some(found), Some(wanted)) => found <= wanted,
        (None, Some(_)) => false,
    }
}

/// The index spaces of an instance.
struct IndexSpaces {
    functions: Vec<CoreItem>,
    memories: Vec<CoreItem>,
    tables: Vec<CoreItem>,
    globals: Vec<CoreItem>,
    tags: Vec<CoreItem>,
}

impl IndexSpaces {
    fn new(module: &Module<'_>, instance: &CoreInstance, id: CoreInstanceId) -> IndexSpaces {
        let imported = |kind: EntityKind| -> Vec<CoreItem> {
            let items = instance.imports.iter().copied();
            items.filter(|item| item.kind() == kind).collect()
        };
        let mut spaces = IndexSpaces {
            functions: imported(EntityKind::Func),
            memories: imported(EntityKind::Memory),
            tables: imported(EntityKind::Table),
            globals: imported(EntityKind::Global),
            tags: imported(EntityKind::Tag),
        };
        let defined = module.functions.len() as u32 - module.imported_functions;
        let functions =
            (0..defined).map(|index| CoreItem::Func(CoreFunc::Module(id, DefinedFunc(index))));
        spaces.functions.extend(functions);
        let own = |all: &[MemoryId]| {
            all.iter()
                .map(|id| CoreItem::Memory(*id))
                .collect::<Vec<_>>()
        };
        spaces.memories.extend(own(&instance.memories));
        spaces
            .tables
            .extend(instance.tables.iter().map(|id| CoreItem::Table(*id)));
        spaces
            .globals
            .extend(instance.globals.iter().map(|id| CoreItem::Global(*id)));
        spaces
            .tags
            .extend(instance.tags.iter().map(|id| CoreItem::Tag(*id)));
        spaces
    }

    /// The item of an index that was validated.
    fn item(&self, kind: EntityKind, index: u32) -> CoreItem {
        let space = match kind {
            EntityKind::Func => &self.functions,
            EntityKind::Memory => &self.memories,
            EntityKind::Table => &self.tables,
            EntityKind::Global => &self.globals,
            EntityKind::Tag => &self.tags,
        };
        space[index as usize]
    }
}
