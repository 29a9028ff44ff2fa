//! The interpreter of definitions: instantiates the component, and every component nested in it, at
//! compile time.
//!
//! Each definition adds one entry to an index space of its [`Scope`], and entries are resolved
//! values: a core function is where its code is, an instance is a map of items, an alias is
//! whatever it names. So aliases dissolve, and what is left of instantiation are the core instances
//! and the trampolines that were made on the way.
//!
//! The input was validated, but nothing here relies on it for safety: look-ups are checked,
//! recursion and total work are limited.

use super::definition::{ComponentDefinition, Definition, DefinitionIndex, Definitions};
use super::parse::ParseOptions;
use super::types::TypeValue;
use crate::program::module::{EntityKind, Module};
use crate::program::{ComponentInstance, CoreFunc, CoreItem, LiftedFunction, Program};
use anyhow::{Context, Result, bail};
use indexmap::{IndexMap, IndexSet};
use std::collections::HashMap;
use std::sync::Arc;
use trampette_artifact::ids::*;
use trampette_artifact::key::Intrinsic;
use trampette_artifact::metadata::Resource;
use trampette_artifact::types::FuncType;
use wasmparser::types::Types;
use wasmparser::{
    ComponentAlias, ComponentExport, ComponentExternalKind, ComponentOuterAliasKind, ExternalKind,
};

/// Most instances, of components and of core modules together: so many, and one for each byte of
/// input, up to the largest number. Beyond what is written one by one, each needs a component that
/// is instantiated again and again.
const INSTANCES: Limit = Limit {
    fixed: 1000,
    per_byte: 1,
    most: 100_000,
};
/// Most definitions that are interpreted, counting each as often as its component is instantiated,
/// and names and parts of types as well.
const DEFINITIONS: Limit = Limit {
    fixed: 100_000,
    per_byte: 64,
    most: 8_000_000,
};
/// Most bytes of core modules, counting each as often as it is instantiated: every instance has
/// code, tables and data of its own in the artifact.
const MODULE_BYTES: Limit = Limit {
    fixed: 256 << 10,
    per_byte: 16,
    most: usize::MAX,
};

/// A limit that grows with the input, so that what an input costs is in proportion to it.
struct Limit {
    fixed: usize,
    per_byte: usize,
    most: usize,
}

impl Limit {
    fn for_input(&self, bytes: usize) -> usize {
        let in_proportion = bytes.saturating_mul(self.per_byte);
        self.most.min(self.fixed.saturating_add(in_proportion))
    }
}
/// Deepest nesting of component instantiations, of imported instances, and of exported instances.
pub(super) const MAX_DEPTH: usize = 100;

/// Index of a [`Scope`].
pub(super) type ScopeIndex = usize;
/// Index of a component instance's exports, or of those of an instance made of exports.
pub(super) type InstanceIndex = usize;
/// Named items, in order.
pub(super) type Items<'p, 'a> = IndexMap<&'a str, Item<'p, 'a>>;

/// A resolved component-level item.
#[derive(Clone, Copy)]
pub(super) enum Item<'p, 'a> {
    CoreModule(ModuleId),
    Func(Func),
    Type(TypeValue<'p, 'a>),
    Instance(InstanceIndex),
    Component(Closure),
}

/// A resolved component-level function.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Func {
    /// From the host.
    Imported(ImportId),
    /// An unsafe intrinsic.
    Intrinsic(Intrinsic),
    /// Lifted by a component instance: an index into [`Flattener::lifts`].
    Lifted(usize),
}

/// A component with the scope that its outer aliases refer to.
#[derive(Clone, Copy)]
pub(super) struct Closure {
    definition: DefinitionIndex,
    outer: Option<ScopeIndex>,
}

/// A resolved core instance.
#[derive(Clone)]
enum CoreInstanceValue<'a> {
    Instantiated(CoreInstanceId),
    Exports(Arc<HashMap<&'a str, CoreItem>>),
}

/// The index spaces of a component instance, or of an instance type while it is evaluated. They
/// only grow, so what captured a scope by its index sees the entries that it was validated with.
pub(super) struct Scope<'p, 'a> {
    /// The enclosing scope, for outer aliases.
    outer: Option<ScopeIndex>,
    /// The component instance.
    pub component_instance: ComponentInstanceId,
    pub types: Vec<TypeValue<'p, 'a>>,
    pub funcs: Vec<Func>,
    instances: Vec<InstanceIndex>,
    components: Vec<Closure>,
    core_modules: Vec<ModuleId>,
    core_instances: Vec<CoreInstanceValue<'a>>,
    /// What a component needs to know of core types.
    pub core_types: Vec<super::types::StartType>,
    pub core_funcs: Vec<CoreFunc>,
    pub core_memories: Vec<MemoryId>,
    pub core_tables: Vec<TableId>,
    core_globals: Vec<GlobalId>,
    core_tags: Vec<TagId>,
}

/// Where a component's imports come from.
enum Supply<'p, 'a> {
    /// The outermost component's: from the host.
    Host,
    /// A nested component's: from the arguments of its instantiation.
    Arguments(HashMap<&'a str, Item<'p, 'a>>),
}

/// A module's names, indexed.
pub(super) struct ModuleNames<'a> {
    exports: HashMap<&'a str, (EntityKind, u32)>,
    /// Positions in [`Module::imports`] of the imports of each kind, by index.
    imports: [Vec<usize>; 5],
}

/// Interprets definitions.
pub(super) struct Flattener<'p, 'a> {
    definitions: &'p [ComponentDefinition<'a>],
    /// The types of the outermost component's imports and exports.
    pub types: Option<&'p Types>,
    /// The whole input: the component, and the core modules that are bound to its imports.
    pub bytes: &'a [u8],
    pub options: &'p ParseOptions,
    pub program: Program<'a>,
    pub scopes: Vec<Scope<'p, 'a>>,
    pub instances: Vec<Items<'p, 'a>>,
    /// Lifted functions of all component instances. Their names are those they are first exported
    /// by.
    pub lifts: Vec<LiftedFunction>,
    /// Where each of them is lifted.
    pub lift_offsets: Vec<u64>,
    /// Function types that [`TypeValue::Func`] names.
    pub func_types: IndexSet<Arc<FuncType>>,
    /// Types of `program.imports`.
    pub import_types: IdVec<ImportId, Arc<FuncType>>,
    /// Trampolines made so far, by what makes them equal.
    pub trampolines: HashMap<super::canonical::TrampolineIdentity, TrampolineId>,
    pub module_names: IdVec<ModuleId, ModuleNames<'a>>,
    interpreted: usize,
    /// Bytes of the modules of all core instances so far.
    instantiated_bytes: usize,
    depth: usize,
    /// Byte offset of the definition that is interpreted.
    pub offset: u64,
}

/// The entry of an index space.
///
/// # Errors
/// If there is none; validation makes sure that there is.
pub(super) fn entry<T: Clone>(space: &[T], index: u32, what: &str) -> Result<T> {
    space
        .get(index as usize)
        .cloned()
        .with_context(|| format!("unknown {what} {index}"))
}

impl<'p, 'a> Flattener<'p, 'a> {
    pub(super) fn new(
        definitions: &'p Definitions<'a>,
        modules: IdVec<ModuleId, Module<'a>>,
        bytes: &'a [u8],
        options: &'p ParseOptions,
    ) -> Self {
        Flattener {
            definitions: &definitions.components,
            types: definitions.types.as_ref(),
            bytes,
            options,
            module_names: modules.iter().map(module_names).collect(),
            program: Program {
                modules,
                ..Program::default()
            },
            scopes: Vec::new(),
            instances: Vec::new(),
            lifts: Vec::new(),
            lift_offsets: Vec::new(),
            func_types: IndexSet::new(),
            import_types: IdVec::new(),
            trampolines: HashMap::new(),
            interpreted: 0,
            instantiated_bytes: 0,
            depth: 0,
            offset: 0,
        }
    }

    /// Interprets the outermost component.
    pub(super) fn flatten(mut self) -> Result<Program<'a>> {
        let root = Closure {
            definition: 0,
            outer: None,
        };
        let name = match self.definitions.first().and_then(|root| root.name) {
            Some(name) => name.to_string(),
            None => "component".to_string(),
        };
        let instance = ComponentInstance { name };
        let exports = self.instantiate(root, instance, &Supply::Host)?;
        self.export_all(exports)?;
        self.list_tasks();
        Ok(self.program)
    }

    /// Counts work, so that small inputs cannot ask for unlimited amounts of it.
    pub(super) fn count(&mut self, definitions: usize) -> Result<()> {
        self.interpreted = self.interpreted.saturating_add(definitions);
        let limit = DEFINITIONS.for_input(self.bytes.len());
        if self.interpreted > limit {
            bail!("the component is too large when it is flattened: over {limit} items");
        }
        Ok(())
    }

    /// Counts the cost of a chain of names.
    pub(super) fn count_path(&mut self, path: &[&str]) -> Result<()> {
        self.count(path.iter().map(|name| 1 + name.len() / 32).sum())
    }

    /// Runs `f` one level of nesting deeper.
    pub(super) fn nested<T>(&mut self, f: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        if self.depth >= MAX_DEPTH {
            bail!("instances are nested deeper than {MAX_DEPTH} levels");
        }
        self.depth += 1;
        let result = f(self);
        self.depth -= 1;
        result
    }

    pub(super) fn new_scope(
        &mut self,
        outer: Option<ScopeIndex>,
        component_instance: ComponentInstanceId,
    ) -> ScopeIndex {
        self.scopes.push(Scope {
            outer,
            component_instance,
            types: Vec::new(),
            funcs: Vec::new(),
            instances: Vec::new(),
            components: Vec::new(),
            core_modules: Vec::new(),
            core_instances: Vec::new(),
            core_types: Vec::new(),
            core_funcs: Vec::new(),
            core_memories: Vec::new(),
            core_tables: Vec::new(),
            core_globals: Vec::new(),
            core_tags: Vec::new(),
        });
        self.scopes.len() - 1
    }

    pub(super) fn new_instance(&mut self, exports: Items<'p, 'a>) -> InstanceIndex {
        self.instances.push(exports);
        self.instances.len() - 1
    }

    fn check_instance_limit(&self) -> Result<()> {
        let count = self.program.component_instances.len() + self.program.core_instances.len();
        let limit = INSTANCES.for_input(self.bytes.len());
        if count >= limit {
            bail!(
                "the component has more than {limit} instances when it is flattened, \
                 which is the limit for its size"
            );
        }
        Ok(())
    }

    /// Instantiates a component.
    fn instantiate(
        &mut self,
        closure: Closure,
        instance: ComponentInstance,
        supply: &Supply<'p, 'a>,
    ) -> Result<InstanceIndex> {
        self.check_instance_limit()?;
        let id = self.program.component_instances.push(instance);
        let scope = self.new_scope(closure.outer, id);
        let definitions = self.definitions;
        let component = definitions
            .get(closure.definition)
            .context("unknown component definition")?;
        let mut exports = Items::new();
        for (offset, definition) in &component.definitions {
            self.offset = *offset;
            self.count(1)
                .and_then(|()| self.define(scope, component, definition, supply, &mut exports))
                .map_err(|error| match error.downcast::<Located>() {
                    // The innermost place is the one to name.
                    Ok(located) => anyhow::Error::new(located),
                    Err(error) => anyhow::Error::new(Located {
                        message: format!("{error:#}"),
                        offset: *offset,
                        instance: self.program.component_instances[id].name.clone(),
                    }),
                })?;
        }
        Ok(self.new_instance(exports))
    }

    fn define(
        &mut self,
        scope: ScopeIndex,
        component: &'p ComponentDefinition<'a>,
        definition: &'p Definition<'a>,
        supply: &Supply<'p, 'a>,
        exports: &mut Items<'p, 'a>,
    ) -> Result<()> {
        match definition {
            Definition::CoreType(ty) => self.core_type(scope, ty)?,
            Definition::CoreModule(id) => self.scopes[scope].core_modules.push(*id),
            Definition::CoreInstance(wasmparser::Instance::Instantiate { module_index, args }) => {
                let module = entry(
                    &self.scopes[scope].core_modules,
                    *module_index,
                    "core module",
                )?;
                self.count(args.len())?;
                let mut arguments = HashMap::new();
                for arg in args {
                    let instance = entry(
                        &self.scopes[scope].core_instances,
                        arg.index,
                        "core instance",
                    )?;
                    arguments.insert(arg.name, instance);
                }
                let id = self.instantiate_core(scope, module, &arguments)?;
                let value = CoreInstanceValue::Instantiated(id);
                self.scopes[scope].core_instances.push(value);
            }
            Definition::CoreInstance(wasmparser::Instance::FromExports(exports)) => {
                self.count(exports.len())?;
                let mut items = HashMap::new();
                for export in exports {
                    items.insert(
                        export.name,
                        self.core_item(scope, export.kind, export.index)?,
                    );
                }
                let value = CoreInstanceValue::Exports(Arc::new(items));
                self.scopes[scope].core_instances.push(value);
            }
            Definition::Component(definition) => {
                let closure = Closure {
                    definition: *definition,
                    outer: Some(scope),
                };
                self.scopes[scope].components.push(closure);
            }
            Definition::Instance(wasmparser::ComponentInstance::Instantiate {
                component_index,
                args,
            }) => {
                let closure = entry(
                    &self.scopes[scope].components,
                    *component_index,
                    "component",
                )?;
                self.count(args.len())?;
                let mut arguments = HashMap::new();
                for arg in args {
                    arguments.insert(arg.name, self.item(scope, arg.kind, arg.index)?);
                }
                let instance = self.child(scope, component);
                let supply = Supply::Arguments(arguments);
                let index = self.nested(|this| this.instantiate(closure, instance, &supply))?;
                self.scopes[scope].instances.push(index);
            }
            Definition::Instance(wasmparser::ComponentInstance::FromExports(exports)) => {
                self.count(exports.len())?;
                let mut items = Items::new();
                for export in exports {
                    self.export(scope, export, &mut items)?;
                }
                let index = self.new_instance(items);
                self.scopes[scope].instances.push(index);
            }
            Definition::Alias(alias) => self.alias(scope, alias)?,
            Definition::Type(ty) => {
                let ty = self.define_type(scope, ty)?;
                self.scopes[scope].types.push(ty);
            }
            Definition::Canonical(function) => self.canonical(scope, function)?,
            Definition::Start => bail!("component start functions are not supported yet"),
            Definition::Import(import) => {
                let name = import.name.name;
                let item = match supply {
                    Supply::Host => self.import_from_host(scope, name, import.ty)?,
                    Supply::Arguments(arguments) => *arguments
                        .get(name)
                        .with_context(|| format!("missing argument for the import `{name}`"))?,
                };
                self.push(scope, item);
            }
            Definition::Export(export) => {
                let item = self.export(scope, export, exports)?;
                self.push(scope, item);
            }
        }
        Ok(())
    }

    /// A component instance about to be made by the next definition of `scope`.
    fn child(&self, scope: ScopeIndex, component: &ComponentDefinition<'a>) -> ComponentInstance {
        let scope = &self.scopes[scope];
        let parent = &self.program.component_instances[scope.component_instance];
        let index = scope.instances.len();
        let name = u32::try_from(index)
            .ok()
            .and_then(|index| component.instance_names.get(&index));
        ComponentInstance {
            name: match name {
                Some(name) => format!("{}/{name}", parent.name),
                None => format!("{}/{index}", parent.name),
            },
        }
    }

    /// Records an export under its name and returns the item.
    fn export(
        &mut self,
        scope: ScopeIndex,
        export: &ComponentExport<'a>,
        exports: &mut Items<'p, 'a>,
    ) -> Result<Item<'p, 'a>> {
        let name = export.name.name;
        let item = self
            .item(scope, export.kind, export.index)
            .with_context(|| format!("in the export `{name}`"))?;
        match item {
            Item::Func(Func::Lifted(lift)) if self.lifts[lift].name.is_empty() => {
                let instance = self.lifts[lift].options.instance;
                let instance = &self.program.component_instances[instance].name;
                self.lifts[lift].name = format!("{instance}#{name}");
            }
            Item::Type(TypeValue::Resource(resource)) => {
                let definition = &mut self.program.resources[resource];
                if let Resource::Defined { name: known, .. } = &mut definition.info
                    && known == UNNAMED_RESOURCE
                {
                    *known = name.to_string();
                }
            }
            _ => {}
        }
        exports.insert(name, item);
        Ok(item)
    }

    /// Adds an item to the index space of its kind.
    pub(super) fn push(&mut self, scope: ScopeIndex, item: Item<'p, 'a>) {
        let scope = &mut self.scopes[scope];
        match item {
            Item::CoreModule(module) => scope.core_modules.push(module),
            Item::Func(func) => scope.funcs.push(func),
            Item::Type(ty) => scope.types.push(ty),
            Item::Instance(instance) => scope.instances.push(instance),
            Item::Component(component) => scope.components.push(component),
        }
    }

    fn item(
        &self,
        scope: ScopeIndex,
        kind: ComponentExternalKind,
        index: u32,
    ) -> Result<Item<'p, 'a>> {
        let scope = &self.scopes[scope];
        Ok(match kind {
            ComponentExternalKind::Module => {
                Item::CoreModule(entry(&scope.core_modules, index, "core module")?)
            }
            ComponentExternalKind::Func => Item::Func(entry(&scope.funcs, index, "function")?),
            ComponentExternalKind::Value => bail!("component values are not supported"),
            ComponentExternalKind::Type => Item::Type(entry(&scope.types, index, "type")?),
            ComponentExternalKind::Instance => {
                Item::Instance(entry(&scope.instances, index, "instance")?)
            }
            ComponentExternalKind::Component => {
                Item::Component(entry(&scope.components, index, "component")?)
            }
        })
    }

    /// Resolves an alias and adds what it names to the index space of its kind.
    pub(super) fn alias(&mut self, scope: ScopeIndex, alias: &ComponentAlias<'a>) -> Result<()> {
        match *alias {
            ComponentAlias::InstanceExport {
                instance_index,
                name,
                ..
            } => {
                let instance = entry(&self.scopes[scope].instances, instance_index, "instance")?;
                let item = *self.instances[instance]
                    .get(name)
                    .with_context(|| format!("instance {instance_index} has no export `{name}`"))?;
                self.push(scope, item);
            }
            ComponentAlias::CoreInstanceExport {
                instance_index,
                name,
                ..
            } => {
                let instances = &self.scopes[scope].core_instances;
                let instance = entry(instances, instance_index, "core instance")?;
                let item = self.core_export(&instance, name).with_context(|| {
                    format!("core instance {instance_index} has no export `{name}`")
                })?;
                let scope = &mut self.scopes[scope];
                match item {
                    CoreItem::Func(func) => scope.core_funcs.push(func),
                    CoreItem::Memory(memory) => scope.core_memories.push(memory),
                    CoreItem::Table(table) => scope.core_tables.push(table),
                    CoreItem::Global(global) => scope.core_globals.push(global),
                    CoreItem::Tag(tag) => scope.core_tags.push(tag),
                }
            }
            ComponentAlias::Outer { kind, count, index } => {
                let mut from = scope;
                for _ in 0..count {
                    from = self.scopes[from]
                        .outer
                        .context("an outer alias goes beyond the outermost component")?;
                }
                let kind = match kind {
                    ComponentOuterAliasKind::CoreModule => ComponentExternalKind::Module,
                    ComponentOuterAliasKind::Type => ComponentExternalKind::Type,
                    ComponentOuterAliasKind::Component => ComponentExternalKind::Component,
                    ComponentOuterAliasKind::CoreType => {
                        let ty = entry(&self.scopes[from].core_types, index, "core type")?;
                        self.scopes[scope].core_types.push(ty);
                        return Ok(());
                    }
                };
                let item = self.item(from, kind, index)?;
                self.push(scope, item);
            }
        }
        Ok(())
    }

    fn core_item(&self, scope: ScopeIndex, kind: ExternalKind, index: u32) -> Result<CoreItem> {
        let scope = &self.scopes[scope];
        Ok(match kind {
            ExternalKind::Func | ExternalKind::FuncExact => {
                CoreItem::Func(entry(&scope.core_funcs, index, "core function")?)
            }
            ExternalKind::Table => CoreItem::Table(entry(&scope.core_tables, index, "core table")?),
            ExternalKind::Memory => {
                CoreItem::Memory(entry(&scope.core_memories, index, "core memory")?)
            }
            ExternalKind::Global => {
                CoreItem::Global(entry(&scope.core_globals, index, "core global")?)
            }
            ExternalKind::Tag => CoreItem::Tag(entry(&scope.core_tags, index, "core tag")?),
        })
    }

    /// What a core instance exports by that name: its definition, wherever that is.
    fn core_export(&self, instance: &CoreInstanceValue<'a>, name: &str) -> Option<CoreItem> {
        let id = match instance {
            CoreInstanceValue::Exports(items) => return items.get(name).copied(),
            CoreInstanceValue::Instantiated(id) => *id,
        };
        let instance = self.program.core_instances.get(id)?;
        let names = self.module_names.get(instance.module)?;
        let (kind, index) = *names.exports.get(name)?;
        let imports = &names.imports[kind as usize];
        if let Some(position) = imports.get(index as usize) {
            return instance.imports.get(*position).copied();
        }
        let defined = index as usize - imports.len();
        Some(match kind {
            EntityKind::Func => CoreItem::Func(CoreFunc::Module(id, DefinedFunc::new(defined))),
            EntityKind::Table => CoreItem::Table(*instance.tables.get(defined)?),
            EntityKind::Memory => CoreItem::Memory(*instance.memories.get(defined)?),
            EntityKind::Global => CoreItem::Global(*instance.globals.get(defined)?),
            EntityKind::Tag => CoreItem::Tag(*instance.tags.get(defined)?),
        })
    }

    /// Instantiates a core module.
    fn instantiate_core(
        &mut self,
        scope: ScopeIndex,
        module_id: ModuleId,
        arguments: &HashMap<&'a str, CoreInstanceValue<'a>>,
    ) -> Result<CoreInstanceId> {
        self.check_instance_limit()?;
        let module = self
            .program
            .modules
            .get(module_id)
            .context("unknown core module")?;
        let defined = |all: usize, imported: u32| all.saturating_sub(imported as usize);
        let memories = defined(module.memories.len(), module.imported_memories);
        let tables = defined(module.tables.len(), module.imported_tables);
        let globals = defined(module.globals.len(), module.imported_globals);
        let tags = defined(module.tags.len(), module.imported_tags);
        let imported = module.imports.len();
        let bytes = module.bytes.len();
        self.count(imported + memories + tables + globals + tags)?;
        self.instantiated_bytes = self.instantiated_bytes.saturating_add(bytes);
        let limit = MODULE_BYTES.for_input(self.bytes.len());
        if self.instantiated_bytes > limit {
            bail!(
                "the core modules of all instances have more than {limit} bytes together when the \
                 component is flattened, which is the limit for its size"
            );
        }

        let module = &self.program.modules[module_id];
        let mut imports = Vec::with_capacity(imported);
        for import in &module.imports {
            let item = arguments
                .get(import.module)
                .and_then(|instance| self.core_export(instance, import.name))
                .filter(|item| item.kind() == import.kind)
                .with_context(|| {
                    format!(
                        "nothing satisfies the import `{}` `{}` of core {module_id}",
                        import.module, import.name
                    )
                })?;
            imports.push(item);
        }

        let component_instance = self.scopes[scope].component_instance;
        Ok(self
            .program
            .instantiate(module_id, component_instance, imports))
    }
}

pub(super) fn module_names<'a>(module: &Module<'a>) -> ModuleNames<'a> {
    let mut imports: [Vec<usize>; 5] = Default::default();
    for (position, import) in module.imports.iter().enumerate() {
        imports[import.kind as usize].push(position);
    }
    ModuleNames {
        exports: module
            .exports
            .iter()
            .map(|(name, kind, index)| (*name, (*kind, *index)))
            .collect(),
        imports,
    }
}

/// The name of a resource that nothing exported yet.
pub(super) const UNNAMED_RESOURCE: &str = "resource";

/// An error with its place.
#[derive(Debug)]
struct Located {
    message: String,
    offset: u64,
    instance: String,
}

impl std::fmt::Display for Located {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Located {
            message,
            offset,
            instance,
        } = self;
        write!(f, "{message} (in `{instance}`, at offset {offset:#x})")
    }
}

impl std::error::Error for Located {}
