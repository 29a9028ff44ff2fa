//! [`Layout`]: where everything of a program is at run time. Plain data, computed once from a
//! [`Program`], read by code generation and the linker.
//!
//! It assigns slabs, context offsets, function ids and canonical signatures, evaluates constant
//! expressions, and prepares the slabs' initial images; what cannot be done before code runs
//! becomes [`StartupAction`]s.
//!
//! | file | what |
//! | --- | --- |
//! | `bind` | index spaces of units |
//! | `facts` | what can change |
//! | `slabs` | slabs of memories and units |
//! | `consts` | constant expressions, and the functions that escape |
//! | `functions` | canonical signatures |
//! | `contexts` | places of globals and tables |
//! | `instantiate` | what instantiation does: static writes and start-up actions |
//! | `settled` | tables that only instantiation writes, as constants |
//! | `images` | pieces of the initial images |
//! | `callees` | what bodies call |
//! | `leaving` | which instances can be found unable to leave |
//! | `reentrance` | which instances can run again during a call of theirs |
//! | `effects` | what calls can do to the tasks that make them |
//! | `waits` | which exports may wait, and why, for listings |
//! | `concurrency` | tasks by their callers, pairs of writes and reads |
//! | `strong_components` | strongly connected components of a graph |
//! | `string_routes` | between which memories adapters carry strings |
//! | `print` | all of it as text |

mod bind;
mod callees;
mod concurrency;
mod consts;
mod contexts;
mod effects;
mod facts;
mod functions;
mod images;
mod instantiate;
mod leaving;
mod print;
mod reentrance;
mod settled;
mod slabs;
mod string_routes;
pub(crate) mod strong_components;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
#[cfg(feature = "cli")]
pub(crate) mod waits;

pub(crate) use effects::{Effect, Effects, stacked};
use facts::Facts;
pub(crate) use functions::reference_bits;
pub(crate) use reentrance::Reentrance;
pub(crate) use settled::SettledTable;
pub(crate) use string_routes::StringRoutes;

use super::program::{CoreFunc, Program, unit_of};
use crate::program::module::CoreType;
use crate::program::types::CanonicalTypes;
use anyhow::{Result, ensure};
use indexmap::IndexSet;
use std::collections::HashMap;
use trampette_artifact::ids::*;
use trampette_artifact::layout::{
    ContextOffset, MEMORY_GROWTH_LIMIT, ROOT_AND_CONTEXT_LIMIT, RootLayout, SLAB_STRIDE,
};
use trampette_artifact::metadata::{Memory, Table};
use trampette_artifact::tasks::CopyPair;

/// Where everything is.
#[derive(Debug, Default)]
pub(crate) struct Layout {
    /// Slabs.
    pub slabs: IdVec<SlabId, SlabLayout>,
    /// Slab 0's root.
    pub root: RootLayout,
    /// Memories.
    pub memories: IdVec<MemoryId, Memory>,
    /// Tables.
    pub tables: IdVec<TableId, Table>,
    /// Globals.
    pub globals: IdVec<GlobalId, GlobalPlace>,
    /// What can change.
    pub facts: Facts,
    /// The contents of tables that only instantiation writes.
    pub settled: IdVec<TableId, Option<SettledTable>>,
    /// Units, bound.
    pub units: IdVec<UnitId, UnitBinding>,
    /// Canonical signatures.
    pub signatures: CanonicalTypes,
    /// Functions that have an id; id = index + 1, since 0 is null. First those that escape as
    /// values, then those that only sealed tables name: their ids are in no running program.
    pub functions: IndexSet<CoreFunc>,
    /// How many of `functions` escape.
    pub escaping: usize,
    /// The signature of each of `functions`, by the same index.
    pub function_signatures: Vec<SignatureId>,
    /// Data segments that run-time code copies from.
    pub data_segments: IdVec<DataSegmentId, Vec<u8>>,
    /// Element segments that run-time code copies from; `None` is null.
    pub element_segments: IdVec<ElementSegmentId, Vec<Option<FunctionId>>>,
    /// The dynamic part of instantiation, in order, by step. A component has one step, whose list
    /// is empty if everything is in the images; of a program that is instantiated step by step,
    /// each core instance has one.
    pub startup: Vec<Vec<StartupAction>>,
    /// For each component instance, whether code can observe that its `may_leave` is cleared.
    pub observes_leaving: IdVec<ComponentInstanceId, bool>,
    /// Which component instances can run again during a call of theirs.
    pub reentrance: Reentrance,
    /// What adapters share to carry strings.
    pub string_routes: StringRoutes,
    /// The tasks that adapters call.
    pub tasks_of_adapters: HashMap<TrampolineId, TaskId>,
    /// The lowered imports of `async` types, sorted.
    pub host_calls: IdVec<HostCallId, TrampolineId>,
    /// Writes and reads between which elements move that are more than bits, sorted.
    pub copy_pairs: IdVec<CopyPairId, CopyPair>,
    /// What calls can do to the tasks that make them.
    pub effects: Effects,
}

/// One slab and its prepared contents.
#[derive(Debug, Default)]
pub(crate) struct SlabLayout {
    /// The memory at its context pointer.
    pub memory: Option<MemoryId>,
    /// Bytes of its context, a multiple of 16.
    pub context_size: u32,
    /// Initial bytes, in order of the offset from the context pointer, not overlapping, and without
    /// long runs of zeros. The linker turns them into extents.
    pub image: Vec<(i64, Vec<u8>)>,
}

/// Where a global's value is.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum GlobalPlace {
    /// It never changes: immutable, or never written by any instruction of the component.
    Constant(ConstValue),
    /// In the context of a slab.
    Context {
        /// The slab.
        slab: SlabId,
        /// Offset from its context pointer.
        offset: ContextOffset,
        /// Its type.
        ty: CoreType,
    },
}

/// The value of a constant expression.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum ConstValue {
    /// `i32`.
    I32(i32),
    /// `i64`.
    I64(i64),
    /// `f32`, as bits.
    F32(u32),
    /// `f64`, as bits.
    F64(u64),
    /// `v128`, little-endian.
    V128([u8; 16]),
    /// A reference: a function id, or the id of an external reference; 0 is null.
    Ref(u32),
}

/// A unit: what the code of one core instance needs to know.
#[derive(Debug)]
pub(crate) struct UnitBinding {
    /// The module.
    pub module: ModuleId,
    /// The slab whose context pointer its functions take.
    pub slab: SlabId,
    /// The module's function index space.
    pub functions: Vec<CoreFunc>,
    /// The module's memory index space.
    pub memories: Vec<MemoryId>,
    /// The module's table index space.
    pub tables: Vec<TableId>,
    /// The module's global index space.
    pub globals: Vec<GlobalId>,
    /// The module's tag index space.
    pub tags: Vec<TagId>,
    /// Canonical signature of each function type in the module's type index space.
    pub signatures: Vec<SignatureId>,
    /// Run-time data segments by the module's index; `None` for those that no instruction uses, or
    /// that are active and therefore empty once the instance exists.
    pub data_segments: Vec<Option<DataSegmentId>>,
    /// Run-time element segments by the module's index; likewise.
    pub element_segments: Vec<Option<ElementSegmentId>>,
}

/// Something that can only be done when the component is instantiated.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum StartupAction {
    /// Copy a whole data segment into a memory, trapping when it does not fit.
    CopyData {
        /// The segment.
        segment: DataSegmentId,
        /// Bytes to copy.
        length: u64,
        /// The memory.
        memory: MemoryId,
        /// Where to.
        offset: ConstOperand,
    },
    /// Copy a whole element segment into a table, trapping when it does not fit.
    CopyElements {
        /// The segment.
        segment: ElementSegmentId,
        /// Entries to copy.
        length: u64,
        /// The table.
        table: TableId,
        /// Where to.
        offset: ConstOperand,
    },
    /// Copy many data segments into a memory as [`StartupAction::CopyData`] does each, in a loop.
    CopyManyData {
        /// For each its offset and its length, as 64-bit numbers; then the bytes of all.
        segment: DataSegmentId,
        /// How many.
        count: u64,
        /// The memory.
        memory: MemoryId,
    },
    /// Copy many element segments into a table as [`StartupAction::CopyElements`] does each.
    CopyManyElements {
        /// For each its offset and its length in entries, as 64-bit numbers; then the entries of
        /// all.
        segment: DataSegmentId,
        /// How many.
        count: u64,
        /// The table.
        table: TableId,
    },
    /// Give every entry of a table, which has its initial length, a value that is not null.
    FillTable {
        /// The table.
        table: TableId,
        /// The function.
        value: FunctionId,
    },
    /// Write a global whose initial value depends on a global that code may have changed.
    InitGlobal {
        /// The global.
        global: GlobalId,
        /// Its value.
        value: ConstOperand,
    },
    /// Call a start function, of type `() -> ()`.
    Call(CoreFunc),
    /// Instantiation always traps here: a segment that cannot fit.
    Trap(trampette_artifact::trap::TrapCode),
}

impl ConstValue {
    /// Its bytes in a context, little-endian.
    pub(crate) fn to_bytes(self) -> Vec<u8> {
        match self {
            ConstValue::I32(value) => value.to_le_bytes().to_vec(),
            ConstValue::I64(value) => value.to_le_bytes().to_vec(),
            ConstValue::F32(bits) => bits.to_le_bytes().to_vec(),
            ConstValue::F64(bits) => bits.to_le_bytes().to_vec(),
            ConstValue::V128(bytes) => bytes.to_vec(),
            ConstValue::Ref(id) => id.to_le_bytes().to_vec(),
        }
    }
}

/// An operand of a start-up action.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum ConstOperand {
    /// Known when compiling.
    Value(ConstValue),
    /// The current value of a global.
    Global(GlobalId),
    /// What these steps leave on a stack (`extended-const`): a list, so that no expression is too
    /// deep for it.
    Expression(Box<[ConstStep]>),
}

/// A step of an extended constant expression.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum ConstStep {
    /// Pushes what is known when compiling.
    Value(ConstValue),
    /// Pushes the current value of a global.
    Global(GlobalId),
    /// Replaces the two topmost operands, which are of equal type.
    Operator(ConstOperator),
}

/// An operator of an extended constant expression.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs)]
pub(crate) enum ConstOperator {
    Add,
    Sub,
    Mul,
}

impl ConstOperand {
    /// The value, if it is known when compiling.
    pub(crate) fn value(&self) -> Option<ConstValue> {
        match self {
            ConstOperand::Value(value) => Some(*value),
            _ => None,
        }
    }
}

impl Layout {
    /// The functions that escape as values, in order of their ids.
    pub(crate) fn escaping_functions(&self) -> impl Iterator<Item = CoreFunc> {
        self.functions.iter().take(self.escaping).copied()
    }

    /// The contents of a table that only instantiation writes; code may see late ones half written.
    pub(crate) fn settled_table(&self, table: TableId) -> Option<&SettledTable> {
        self.settled.get(table)?.as_ref()
    }

    /// The contents of a table that never changes while code runs.
    pub(crate) fn sealed_table(&self, table: TableId) -> Option<&SettledTable> {
        self.settled_table(table).filter(|table| !table.late)
    }

    /// What can be called through a sealed table with an index that is not known when compiling.
    pub(crate) fn callees_through(&self, table: TableId) -> impl Iterator<Item = CoreFunc> {
        let entries = self.sealed_table(table).map(|table| &table.entries[..]);
        let ids = entries.unwrap_or_default().iter();
        ids.filter_map(|id| self.function((*id)?))
    }

    /// A function by its id; `None` for null.
    pub(crate) fn function(&self, id: FunctionId) -> Option<CoreFunc> {
        self.functions.get_index(functions::index_of(id)?).copied()
    }

    /// The canonical signature of a function by its id; `None` for null.
    pub(crate) fn signature_of(&self, id: FunctionId) -> Option<SignatureId> {
        let signature = self.function_signatures.get(functions::index_of(id)?);
        signature.copied()
    }

    /// The length of a memory in bytes, if it never changes.
    pub(crate) fn constant_memory_length(&self, memory: MemoryId) -> Option<u64> {
        let facts = self.facts.memories.get(memory)?;
        let memory = &self.memories[memory];
        (!facts.grows).then(|| memory.minimum << memory.page_size_log2)
    }

    /// Whether no memory can be longer than [`MEMORY_GROWTH_LIMIT`].
    pub(crate) fn memories_end_early(&self) -> bool {
        let slabs = self.slabs.len();
        let mut lengths = self.memories.iter().map(|memory| memory.longest(slabs));
        lengths.all(|length| length <= MEMORY_GROWTH_LIMIT)
    }

    /// Whether no code and no host ever writes a memory.
    pub(crate) fn is_never_written(&self, memory: MemoryId) -> bool {
        let facts = self.facts.memories.get(memory);
        facts.is_some_and(|facts| !facts.written)
    }

    /// Whether code, start-up or the host may change the memory of a slab, or what code keeps in
    /// its context.
    pub(crate) fn is_written(&self, slab: SlabId) -> bool {
        let in_slab = |global: &GlobalPlace| matches!(global, GlobalPlace::Context { slab: place, .. } if *place == slab);
        let has_place = |table: &Table| table.slab == slab && table.capacity > 0;
        let memory = self.slabs[slab].memory;
        let is_copied_to = |action: &StartupAction| match action {
            StartupAction::CopyData { memory: target, .. }
            | StartupAction::CopyManyData { memory: target, .. } => memory == Some(*target),
            _ => false,
        };
        let changes = memory.is_some_and(|memory| {
            let facts = self.facts.memories[memory];
            facts.written || facts.grows
        });
        changes
            || self.globals.iter().any(in_slab)
            || self.tables.iter().any(has_place)
            || self.startup.iter().flatten().any(is_copied_to)
    }

    /// The id of a function.
    pub(crate) fn function_id(&self, func: CoreFunc) -> Option<FunctionId> {
        self.functions.get_index_of(&func).map(functions::id_at)
    }

    /// Entries of the function table: a power of two that holds null and every function value; 0
    /// when there are no function values at all.
    pub(crate) fn function_table_length(&self) -> u32 {
        match self.escaping {
            0 => 0,
            n => u32::try_from(n + 1)
                .expect("function ids fit 32 bits")
                .next_power_of_two(),
        }
    }

    /// The slab whose context a core function takes as its first argument. Trampolines take the
    /// context of slab 0, wherever their memory is; they reach other slabs at constant distances.
    pub(crate) fn home(&self, func: CoreFunc) -> SlabId {
        match func {
            CoreFunc::Module(instance, _) => self.units[unit_of(instance)].slab,
            CoreFunc::Trampoline(_) | CoreFunc::Intrinsic(_) | CoreFunc::Host(_) => SlabId(0),
        }
    }

    /// Whether code can observe that an instance's `may_leave` is cleared: if not, the flag is
    /// neither written nor tested.
    pub(crate) fn leaving_is_observable(&self, instance: ComponentInstanceId) -> bool {
        let observable = self.observes_leaving.get(instance);
        observable.copied().unwrap_or(true)
    }

    /// Byte distance from the context pointer of slab `from` to that of slab `to`.
    pub(crate) fn distance(from: SlabId, to: SlabId) -> i64 {
        (i64::from(to.0) - i64::from(from.0)) * SLAB_STRIDE as i64
    }
}

/// Lays out a program.
///
/// # Errors
/// If a context or image grows beyond the limits of `trampette_artifact::layout`, or a constant
/// expression uses what is not supported.
pub(crate) fn lay_out(program: &Program<'_>) -> Result<Layout> {
    let mut layout = Layout {
        units: bind::bind_units(program)?,
        ..Layout::default()
    };
    layout.facts = facts::find(program, &layout.units);
    slabs::assign_slabs(program, &mut layout)?;
    functions::intern_signatures(program, &mut layout);
    let constants = consts::evaluate(program, &mut layout)?;
    functions::sign_functions(program, &mut layout)?;
    settled::fill(program, &constants, &mut layout)?;
    contexts::place(program, &constants, &mut layout)?;
    instantiate::instantiate(program, &constants, &mut layout)?;
    let count = |length: usize| u32::try_from(length).expect("index spaces are limited to 32 bits");
    layout.observes_leaving = leaving::observable(program, &layout);
    layout.reentrance = Reentrance::of(program);
    layout.string_routes = StringRoutes::of(program);
    layout.effects = Effects::of(program, &layout);
    concurrency::lay_out(program, &mut layout)?;
    layout.root = RootLayout {
        instances: count(program.component_instances.len()),
        imports: count(program.imports.len()),
        core_imports: count(program.core_imports.len()),
        tables: count(layout.tables.len()),
        memories: count(layout.memories.len()),
        data_segments: count(layout.data_segments.len()),
        element_segments: count(layout.element_segments.len()),
        shared_memories: count(layout.memories.iter().filter_map(Memory::shared).count()),
        cells: match program.is_concurrent() {
            true => count(program.component_instances.len()),
            false => 0,
        },
    };
    for (id, slab) in layout.slabs.iter_with_ids() {
        // Slab 0's root is the largest.
        let size = u64::from(slab.context_size) + u64::from(layout.root.size());
        ensure!(
            size <= ROOT_AND_CONTEXT_LIMIT,
            contexts::too_large(id, size)
        );
    }
    Ok(layout)
}
