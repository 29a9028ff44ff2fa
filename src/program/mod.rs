//! [`Program`]: the flattened component, plain data between parsing and everything after it.
//!
//! Parsing resolves every alias, nested component, component instance and core instance: what is
//! left are core instances whose imports name *definitions* (a function, memory, table or global of
//! a particular core instance, or a trampoline), and the order in which they come to life.
//!
//! This room is the data that stages hand on to each other; it decides nothing.
//!
//! | file | what |
//! | --- | --- |
//! | [`module`] | a parsed core module |
//! | [`flatten`] | core types of component-level function types |
//! | [`types`] | canonical function types of core modules |
//! | [`intrinsic`] | the types of unsafe intrinsics |
//! | [`compiled`] | machine code on its way to the linker |
//! | [`symbols`] | names of functions |
//! | `print`, `graph` | a program as text and as a picture |
//! | [`lock`] | locks between threads of the compiler |

pub(crate) mod compiled;
pub(crate) mod flatten;
#[cfg(feature = "cli")]
pub(crate) mod graph;
pub(crate) mod intrinsic;
pub(crate) mod lock;
pub(crate) mod module;
mod print;
pub(crate) mod symbols;
pub(crate) mod types;

use crate::options::Blocking;
use anyhow::{Context, Result};
use indexmap::IndexSet;
use module::{CoreSignature, EntityKind, Module};
use std::sync::Arc;
use trampette_artifact::canonical::PointerWidth;
use trampette_artifact::ids::*;
use trampette_artifact::key::{Abi, FuncKey, Intrinsic};
use trampette_artifact::metadata::{Export, Import, Resource};
use trampette_artifact::tasks::{EndKind, EndOperation, ThreadOperation};
use trampette_artifact::types::{FuncType, Type, TypeTable};
use trampette_artifact::world::Imports;

/// A flattened component.
#[derive(Debug, Default)]
pub(crate) struct Program<'a> {
    /// Component-level types.
    pub types: TypeTable,
    /// Resource types.
    pub resources: IdVec<ResourceId, ResourceDefinition>,
    /// Imported types with an equality bound that is a resource type: the chain of names, the
    /// bound.
    pub resource_bounds: Vec<(Vec<String>, ResourceId)>,
    /// All that is imported from the host, with the names of types.
    pub world_imports: Imports<'a>,
    /// Functions imported from the host.
    pub imports: IdVec<ImportId, Import>,
    /// Core functions imported from the host (lone modules and scripts only).
    pub core_imports: IdVec<CoreImportId, CoreImport>,
    /// What the component exports.
    pub exports: Vec<Export>,
    /// Lifted functions that are exported.
    pub lifts: IdVec<ExportId, LiftedFunction>,
    /// Component trampolines.
    pub trampolines: IdVec<TrampolineId, Trampoline>,
    /// How it is told what can block.
    pub blocking: Blocking,
    /// Calls of lifted functions of `async` types: each such function with each of its callers.
    pub tasks: IdVec<TaskId, TaskCaller>,
    /// What tells apart which `task.return` fits which task.
    pub return_classes: IndexSet<ReturnClass>,
    /// Reads and writes of streams and futures.
    /// ([`CopyId`] is the index).
    pub copies: IndexSet<EndCopy>,
    /// Static modules.
    pub modules: IdVec<ModuleId, Module<'a>>,
    /// Core instances, each of which is a unit of its own
    /// ([`unit_of`]).
    pub core_instances: IdVec<CoreInstanceId, CoreInstance>,
    /// Component instances. 0 is the component itself.
    pub component_instances: IdVec<ComponentInstanceId, ComponentInstance>,
    /// Memories that core instances define.
    pub memories: IdVec<MemoryId, Definition>,
    /// Tables that core instances define.
    pub tables: IdVec<TableId, Definition>,
    /// Globals that core instances define.
    pub globals: IdVec<GlobalId, Definition>,
    /// Tags that core instances define.
    pub tags: IdVec<TagId, Definition>,
    /// What happens at instantiation, in order.
    pub steps: Vec<Step>,
    /// Whether the steps are one or many for the host.
    pub instantiation: Instantiation,
    /// What the host can reach of core instances (lone modules and scripts only).
    pub core_exports: Vec<CoreExport>,
    /// Globals and shared memories that the host may supply (lone modules only).
    pub core_supplies: Vec<CoreSupply>,
}

impl<'a> Program<'a> {
    /// The core type of a core function.
    ///
    /// # Errors
    /// If it is not a function of this program.
    pub(crate) fn signature(&self, func: CoreFunc) -> Result<CoreSignature> {
        let signature = match func {
            CoreFunc::Module(instance, index) => self
                .module_of(instance)
                .and_then(|module| {
                    let index = module.imported_functions.checked_add(index.0)?;
                    let ty = module.functions.get(index as usize)?;
                    module.types.get(*ty as usize)
                })
                .cloned(),
            CoreFunc::Trampoline(id) => self
                .trampolines
                .get(id)
                .map(|trampoline| trampoline.signature.clone()),
            CoreFunc::Intrinsic(intrinsic) => Some(intrinsic::intrinsic_signature(intrinsic)),
            CoreFunc::Host(id) => {
                let import = self.core_imports.get(id);
                import.map(|import| import.signature.clone())
            }
        };
        signature.with_context(|| format!("unknown core function {func:?}"))
    }

    /// The type of a memory.
    ///
    /// # Errors
    /// If it is not a memory of this program.
    pub(crate) fn memory_type(&self, memory: MemoryId) -> Result<&wasmparser::MemoryType> {
        self.memories
            .get(memory)
            .and_then(|definition| {
                let module = self.module_of(definition.instance)?;
                let index = module.imported_memories.checked_add(definition.index)?;
                module.memories.get(index as usize)
            })
            .with_context(|| format!("unknown {memory}"))
    }

    /// The address width of a memory.
    ///
    /// # Errors
    /// If it is not a memory of this program.
    pub(crate) fn memory_width(&self, memory: MemoryId) -> Result<PointerWidth> {
        Ok(match self.memory_type(memory)?.memory64 {
            true => PointerWidth::P64,
            false => PointerWidth::P32,
        })
    }

    /// The width of a table's indices.
    ///
    /// # Errors
    /// If it is not a table of this program.
    pub(crate) fn table_width(&self, table: TableId) -> Result<PointerWidth> {
        let ty = self.tables.get(table).and_then(|definition| {
            let module = self.module_of(definition.instance)?;
            let index = module.imported_tables.checked_add(definition.index)?;
            module.tables.get(index as usize)
        });
        let ty = ty.with_context(|| format!("unknown {table}"))?;
        Ok(match ty.ty.table64 {
            true => PointerWidth::P64,
            false => PointerWidth::P32,
        })
    }

    /// All canonical options, those of lifted and those of lowered functions.
    pub(crate) fn canonical_options(&self) -> impl Iterator<Item = &CanonicalOptions> {
        let lifts = self.lifts.iter().map(|lift| &lift.options);
        let trampolines = self.trampolines.iter();
        lifts.chain(trampolines.flat_map(|trampoline| trampoline.kind.options()))
    }

    /// Whether the component has an asynchronous part.
    pub(crate) fn is_concurrent(&self) -> bool {
        let has_ends = |ty: &FuncType| ty.values().any(|ty| self.types.facts(ty).contents.ends);
        !self.tasks.is_empty()
            || self.lifts.iter().any(|lift| has_ends(&lift.ty))
            || self
                .trampolines
                .iter()
                .any(|trampoline| match &trampoline.kind {
                    TrampolineKind::Concurrent { .. } => true,
                    TrampolineKind::LowerImport { ty, .. } => ty.is_async || has_ends(ty),
                    _ => false,
                })
    }

    /// The lifted function of a task, and the options of the caller if that is a guest.
    pub(crate) fn task(&self, id: TaskId) -> Option<(&LiftedFunction, Option<&CanonicalOptions>)> {
        match *self.tasks.get(id)? {
            TaskCaller::Export(id) => Some((self.lifts.get(id)?, None)),
            TaskCaller::Adapter(id) => match &self.trampolines.get(id)?.kind {
                TrampolineKind::Adapter { lift, options, .. } => Some((lift, Some(options))),
                _ => None,
            },
        }
    }

    /// The module of a core instance.
    pub(crate) fn module_of(&self, instance: CoreInstanceId) -> Option<&Module<'a>> {
        let instance = self.core_instances.get(instance)?;
        self.modules.get(instance.module)
    }

    /// Adds a core instance of a module, with what satisfies the module's imports, and the step
    /// that instantiates it.
    pub(crate) fn instantiate(
        &mut self,
        module: ModuleId,
        component_instance: ComponentInstanceId,
        imports: Vec<CoreItem>,
    ) -> CoreInstanceId {
        let of = &self.modules[module];
        let memories = of.memories.len() - of.imported_memories as usize;
        let tables = of.tables.len() - of.imported_tables as usize;
        let globals = of.globals.len() - of.imported_globals as usize;
        let tags = of.tags.len() - of.imported_tags as usize;
        let id = self.core_instances.next_id();
        self.core_instances.push(CoreInstance {
            module,
            component_instance,
            imports,
            memories: define(&mut self.memories, id, memories),
            tables: define(&mut self.tables, id, tables),
            globals: define(&mut self.globals, id, globals),
            tags: define(&mut self.tags, id, tags),
        });
        self.steps.push(Step::InstantiateCore(id));
        id
    }
}

/// Registers the entities of one kind that a new core instance defines.
fn define<I: Id>(all: &mut IdVec<I, Definition>, instance: CoreInstanceId, count: usize) -> Vec<I> {
    // Validation limits every index space to far less than 2^32.
    let definitions = (0..count as u32).map(|index| Definition { instance, index });
    definitions.map(|definition| all.push(definition)).collect()
}

/// The unit of a core instance: each has one of its own.
pub(crate) fn unit_of(instance: CoreInstanceId) -> UnitId {
    UnitId(instance.0)
}

/// How the host carries out the plan.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum Instantiation {
    /// All steps together, before it can call anything: components.
    #[default]
    AtOnce,
    /// One after the other with calls between them, and a step that fails does not end it: core
    /// modules on their own and scripts. Nothing locks then.
    StepByStep,
}

/// A core function imported from the host.
#[derive(Clone, Debug, Default)]
pub(crate) struct CoreImport {
    /// First name.
    pub module: String,
    /// Second name.
    pub name: String,
    /// Its type.
    pub signature: CoreSignature,
    /// The importing module's memory (see `CoreImport::memory` of the metadata).
    pub memory: Option<MemoryId>,
}

/// A global or a shared memory that the host may supply: it is defined by some core instance, and
/// its initial value or its bytes are the host's.
#[derive(Clone, Debug)]
pub(crate) struct CoreSupply {
    /// First name.
    pub module: String,
    /// Second name.
    pub name: String,
    /// What it is.
    pub item: CoreItem,
}

/// An export of a core instance that the host can reach.
#[derive(Clone, Debug)]
pub(crate) struct CoreExport {
    /// The exporting instance.
    pub instance: CoreInstanceId,
    /// Its name there.
    pub name: String,
    /// What it is.
    pub item: CoreItem,
}

/// A step of the plan.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Step {
    /// Instantiate a core module: its globals, tables and memories come to life, its active
    /// segments are written (elements first, then data), its start function runs.
    InstantiateCore(CoreInstanceId),
}

/// Where an entity is defined: index `index` among the *defined* (not imported) ones of its kind in
/// the module of `instance`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct Definition {
    /// The defining core instance.
    pub instance: CoreInstanceId,
    /// Its position among the module's defined entities of that kind.
    pub index: u32,
}

/// A core instance made from a module.
#[derive(Clone, Debug)]
pub(crate) struct CoreInstance {
    /// The module.
    pub module: ModuleId,
    /// The component instance that it is part of.
    pub component_instance: ComponentInstanceId,
    /// What satisfies the module's imports, in order.
    pub imports: Vec<CoreItem>,
    /// The memories, tables, globals and tags that it defines, in order of the module.
    pub memories: Vec<MemoryId>,
    /// See `memories`.
    pub tables: Vec<TableId>,
    /// See `memories`.
    pub globals: Vec<GlobalId>,
    /// See `memories`.
    pub tags: Vec<TagId>,
}

/// A resolved core item.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) enum CoreItem {
    /// A function.
    Func(CoreFunc),
    /// A memory.
    Memory(MemoryId),
    /// A table.
    Table(TableId),
    /// A global.
    Global(GlobalId),
    /// A tag.
    Tag(TagId),
}

/// A resolved core function: where its code is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) enum CoreFunc {
    /// A function that a core instance's module defines.
    Module(CoreInstanceId, DefinedFunc),
    /// A component trampoline.
    Trampoline(TrampolineId),
    /// An unsafe intrinsic.
    Intrinsic(Intrinsic),
    /// A core function of the host (lone modules and scripts).
    Host(CoreImportId),
}

impl CoreItem {
    /// Its kind.
    pub(crate) fn kind(self) -> EntityKind {
        match self {
            CoreItem::Func(_) => EntityKind::Func,
            CoreItem::Memory(_) => EntityKind::Memory,
            CoreItem::Table(_) => EntityKind::Table,
            CoreItem::Global(_) => EntityKind::Global,
            CoreItem::Tag(_) => EntityKind::Tag,
        }
    }
}

impl CoreFunc {
    /// The key of its wasm-call code.
    pub(crate) fn key(self) -> FuncKey {
        match self {
            CoreFunc::Module(instance, func) => FuncKey::ModuleFunction(unit_of(instance), func),
            CoreFunc::Trampoline(id) => FuncKey::ComponentTrampoline(Abi::Wasm, id),
            CoreFunc::Intrinsic(intrinsic) => FuncKey::UnsafeIntrinsic(Abi::Wasm, intrinsic),
            CoreFunc::Host(import) => FuncKey::WasmToArray(import),
        }
    }
}

/// A component instance of the flattened component.
#[derive(Clone, Debug, Default)]
pub(crate) struct ComponentInstance {
    /// A name for listings: the chain of instantiations.
    pub name: String,
}

/// A resource type.
#[derive(Clone, Debug)]
pub(crate) struct ResourceDefinition {
    /// What the runtime knows of it.
    pub info: Resource,
    /// The destructor of a defined resource: a core function `(i32)`, validated.
    pub destructor: Option<CoreFunc>,
}

/// A string encoding of the Canonical ABI.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub(crate) enum StringEncoding {
    /// UTF-8.
    #[default]
    Utf8,
    /// UTF-16LE.
    Utf16,
    /// Latin-1 or UTF-16LE, told apart by the highest bit of the tagged length.
    Latin1OrUtf16,
}

/// Canonical options, resolved and validated: `memory` and `realloc` are there when the types need
/// them, and every function named has the type that its role demands.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct CanonicalOptions {
    /// The component instance whose flags and handle table count.
    pub instance: ComponentInstanceId,
    /// `string-encoding`.
    pub encoding: StringEncoding,
    /// `memory`, with its width; types without pointers need none.
    pub memory: Option<(MemoryId, PointerWidth)>,
    /// `realloc`: `(ptr, ptr, ptr, ptr) -> ptr` of the memory's width.
    pub realloc: Option<CoreFunc>,
    /// `post-return`: takes the lifted function's flat results.
    pub post_return: Option<CoreFunc>,
    /// `async` and `callback`.
    pub waiting: Waiting,
}

/// Who waits: the canonical options `async` and `callback`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub(crate) enum Waiting {
    /// Without `async`: the core function returns when it is done, and so does what it calls.
    #[default]
    Blocks,
    /// `async`: a lifted function calls `task.return` and may block; a lowered one goes on.
    Async,
    /// `async` with a `callback`, `(i32, i32, i32) -> i32`: a lifted function returns what it waits
    /// for.
    Callback(CoreFunc),
}

impl Waiting {
    /// Whether the option `async` is there.
    pub(crate) fn is_async(self) -> bool {
        self != Waiting::Blocks
    }
}

/// A core function lifted to component level.
#[derive(Clone, Debug)]
pub(crate) struct LiftedFunction {
    /// The core function.
    pub func: CoreFunc,
    /// Its type: the flattening of `ty`, validated.
    pub signature: CoreSignature,
    /// The component-level type.
    pub ty: Arc<FuncType>,
    /// How values travel.
    pub options: CanonicalOptions,
    /// A name for symbols and messages: the export's path joined with `#`.
    pub name: String,
}

impl LiftedFunction {
    /// What a call from the host or from another instance calls in its own: the core function, and
    /// post-return.
    pub(crate) fn callees(&self) -> Vec<CoreFunc> {
        let post_return = self.options.post_return;
        std::iter::once(self.func).chain(post_return).collect()
    }
}

/// A component trampoline: a core function made by a canonical definition.
#[derive(Clone, Debug)]
pub(crate) struct Trampoline {
    /// What it does.
    pub kind: TrampolineKind,
    /// Its core type.
    pub signature: CoreSignature,
}

/// What a component trampoline does.
#[derive(Clone, Debug)]
pub(crate) enum TrampolineKind {
    /// `canon lower` of a function imported from the host.
    LowerImport {
        /// The import.
        import: ImportId,
        /// Its type, as the component sees it.
        ty: Arc<FuncType>,
        /// The caller's side.
        options: CanonicalOptions,
    },
    /// `canon lower` of a function that a component instance lifts: a fused adapter.
    Adapter {
        /// The callee's side.
        lift: LiftedFunction,
        /// The type as the caller sees it (resource types are equal after flattening).
        ty: Arc<FuncType>,
        /// The caller's side.
        options: CanonicalOptions,
    },
    /// `canon resource.new`.
    ResourceNew {
        /// The resource, defined by `instance`.
        resource: ResourceId,
        /// Whose handle table.
        instance: ComponentInstanceId,
    },
    /// `canon resource.rep`.
    ResourceRep {
        /// The resource, defined by `instance`.
        resource: ResourceId,
        /// Whose handle table.
        instance: ComponentInstanceId,
    },
    /// `canon error-context.new`, `error-context.debug-message` or `error-context.drop`.
    ErrorContext {
        /// Which one.
        built_in: ErrorContextBuiltIn,
        /// Whose handle table; where the message comes from or goes to.
        options: CanonicalOptions,
    },
    /// `canon resource.drop`.
    ResourceDrop {
        /// Any resource.
        resource: ResourceId,
        /// Whose handle table.
        instance: ComponentInstanceId,
    },
    /// A canonical built-in about tasks, waitables, streams or futures.
    Concurrent {
        /// Which one.
        built_in: ConcurrentBuiltIn,
        /// Whose instance; its memory, where it has one.
        options: CanonicalOptions,
    },
}

/// A canonical built-in of the asynchronous part.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum ConcurrentBuiltIn {
    /// `task.return`.
    TaskReturn {
        /// The result's type.
        result: Option<Type>,
        /// Which tasks it fits: see [`Program::return_classes`].
        class: u32,
    },
    /// `task.cancel`.
    TaskCancel,
    /// `context.get`.
    ContextGet {
        /// The slot, 0 or 1.
        slot: u32,
        /// The width of its value.
        width: PointerWidth,
    },
    /// `context.set`.
    ContextSet {
        /// The slot, 0 or 1.
        slot: u32,
        /// The width of its value.
        width: PointerWidth,
    },
    /// `thread.yield`.
    ThreadYield,
    /// `backpressure.inc`.
    BackpressureInc,
    /// `backpressure.dec`.
    BackpressureDec,
    /// `waitable-set.new`.
    WaitableSetNew,
    /// `waitable-set.wait`.
    WaitableSetWait,
    /// `waitable-set.poll`.
    WaitableSetPoll,
    /// `waitable-set.drop`.
    WaitableSetDrop,
    /// `waitable.join`.
    WaitableJoin,
    /// `subtask.cancel`.
    SubtaskCancel {
        /// Whether it goes on where it would wait.
        is_async: bool,
    },
    /// `subtask.drop`.
    SubtaskDrop,
    /// `stream.new` or `future.new`.
    EndsNew(TypeId),
    /// `stream.read`, `stream.write`, `future.read` or `future.write`.
    EndCopy(CopyId),
    /// A cancel or drop of an end.
    EndOperate(TypeId, EndOperation),
    /// `stream.forward` or `future.forward`.
    EndsForward(TypeId),
    /// `thread.index`.
    ThreadIndex,
    /// `thread.new-indirect`.
    ThreadNew {
        /// Where its function is.
        table: TableId,
        /// The width of its argument.
        argument: PointerWidth,
    },
    /// Another built-in that names threads.
    ThreadOperate(ThreadOperation),
}

/// Which tasks a `task.return` fits: result type and lift options.
pub(crate) type ReturnClass = (Option<Type>, StringEncoding, Option<MemoryId>);

/// Who calls a task.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum TaskCaller {
    /// The adapter of a component instance.
    Adapter(TrampolineId),
    /// The host.
    Export(ExportId),
}

/// A read or write of streams or futures.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct EndCopy {
    /// The type of the stream or future.
    pub ty: TypeId,
    /// Which end.
    pub end: EndKind,
    /// Where the buffer is, and how elements are kept there.
    pub options: CanonicalOptions,
}

/// A canonical built-in about error contexts.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[allow(missing_docs)]
pub(crate) enum ErrorContextBuiltIn {
    New,
    DebugMessage,
    Drop,
}

impl TrampolineKind {
    /// All that [`TrampolineKind::name`] says.
    pub(crate) const NAMES: &[&str] = &[
        "lower-import",
        "adapter",
        "resource-new",
        "resource-rep",
        "resource-drop",
        "error-context-new",
        "error-context-debug-message",
        "error-context-drop",
        "task-return",
        "task-cancel",
        "context-get",
        "context-set",
        "thread-yield",
        "backpressure-inc",
        "backpressure-dec",
        "waitable-set-new",
        "waitable-set-wait",
        "waitable-set-poll",
        "waitable-set-drop",
        "waitable-join",
        "subtask-cancel",
        "subtask-drop",
        "ends-new",
        "end-copy",
        "end-operate",
        "ends-forward",
        "thread-index",
        "thread-new",
        "thread-operate",
    ];

    /// The canonical options in it: of the side that is lifted, and of the one that is lowered.
    fn options(&self) -> impl Iterator<Item = &CanonicalOptions> {
        let (lifted, lowered) = match self {
            TrampolineKind::LowerImport { options, .. }
            | TrampolineKind::ErrorContext { options, .. }
            | TrampolineKind::Concurrent { options, .. } => (None, Some(options)),
            TrampolineKind::Adapter { lift, options, .. } => (Some(&lift.options), Some(options)),
            TrampolineKind::ResourceNew { .. }
            | TrampolineKind::ResourceRep { .. }
            | TrampolineKind::ResourceDrop { .. } => (None, None),
        };
        lifted.into_iter().chain(lowered)
    }

    /// The component-level type of what it calls, if it calls something.
    #[cfg(feature = "cli")]
    pub(crate) fn function_type(&self) -> Option<&Arc<FuncType>> {
        match self {
            TrampolineKind::LowerImport { ty, .. } | TrampolineKind::Adapter { ty, .. } => Some(ty),
            _ => None,
        }
    }

    /// A word for symbols and listings.
    pub(crate) fn name(&self) -> &'static str {
        let position = match self {
            TrampolineKind::LowerImport { .. } => 0,
            TrampolineKind::Adapter { .. } => 1,
            TrampolineKind::ResourceNew { .. } => 2,
            TrampolineKind::ResourceRep { .. } => 3,
            TrampolineKind::ResourceDrop { .. } => 4,
            TrampolineKind::ErrorContext { built_in, .. } => match built_in {
                ErrorContextBuiltIn::New => 5,
                ErrorContextBuiltIn::DebugMessage => 6,
                ErrorContextBuiltIn::Drop => 7,
            },
            TrampolineKind::Concurrent { built_in, .. } => match built_in {
                ConcurrentBuiltIn::TaskReturn { .. } => 8,
                ConcurrentBuiltIn::TaskCancel => 9,
                ConcurrentBuiltIn::ContextGet { .. } => 10,
                ConcurrentBuiltIn::ContextSet { .. } => 11,
                ConcurrentBuiltIn::ThreadYield => 12,
                ConcurrentBuiltIn::BackpressureInc => 13,
                ConcurrentBuiltIn::BackpressureDec => 14,
                ConcurrentBuiltIn::WaitableSetNew => 15,
                ConcurrentBuiltIn::WaitableSetWait => 16,
                ConcurrentBuiltIn::WaitableSetPoll => 17,
                ConcurrentBuiltIn::WaitableSetDrop => 18,
                ConcurrentBuiltIn::WaitableJoin => 19,
                ConcurrentBuiltIn::SubtaskCancel { .. } => 20,
                ConcurrentBuiltIn::SubtaskDrop => 21,
                ConcurrentBuiltIn::EndsNew(_) => 22,
                ConcurrentBuiltIn::EndCopy(_) => 23,
                ConcurrentBuiltIn::EndOperate(..) => 24,
                ConcurrentBuiltIn::EndsForward(_) => 25,
                ConcurrentBuiltIn::ThreadIndex => 26,
                ConcurrentBuiltIn::ThreadNew { .. } => 27,
                ConcurrentBuiltIn::ThreadOperate(_) => 28,
            },
        };
        Self::NAMES[position]
    }
}
