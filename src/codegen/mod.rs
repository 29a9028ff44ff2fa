//! What every producer of CLIF shares: the session, the target ([`isa`]), signatures, symbols,
//! alias regions, traps, where things are ([`reach`]) and which values are constants ([`known`]),
//! and [`emitter`], the function builder of all that is not a core function.
//!
//! Deciding *what* to emit is not here: core functions are `modules`, trampolines are
//! `trampolines`, intrinsics are `intrinsics`. They all turn a [`FuncKey`] into an [`ir::Function`]
//! whose first parameter is a context pointer.
//!
//! | file | subject |
//! | --- | --- |
//! | `isa`, `symbols`, `regions` | the target; names in CLIF; what cannot alias |
//! | `emitter`, `values` | the builder of all that is not a core function; arrays of values |
//! | `reach`, `known` | where contexts, memories and the root are; which values are constants |
//! | `traps`, `raise`, `bulk` | trap codes; explicit traps; copies and fills of any length |

mod bulk;
pub(crate) mod emitter;
pub(crate) mod isa;
pub(crate) mod known;
mod raise;
pub(crate) mod reach;
mod regions;
mod symbols;
mod traps;
pub(crate) mod values;

pub(crate) use bulk::call_bulk;
pub(crate) use raise::{emit_raise, emit_trap_if};
pub(crate) use regions::Region;
pub(crate) use symbols::{
    builtin_address, builtin_signature, call_builtin, call_service, data_address, declare_function,
    function_entry,
};
pub(crate) use traps::{clif_trap, trap_from_clif};

use crate::layout::Layout;
use crate::options::{Bounds, CompileOptions, DebugInfo, Progress};
use crate::program::module::{CoreSignature, CoreType};
use crate::program::{CanonicalOptions, Program};
use anyhow::Result;
use cranelift_codegen::ir::{self, AbiParam, ArgumentPurpose, types};
use cranelift_codegen::isa::{CallConv, OwnedTargetIsa};
use cranelift_frontend::FunctionBuilder;
use indexmap::IndexSet;
use std::cell::RefCell;
use std::sync::Mutex;
use std::sync::atomic::AtomicUsize;
use trampette_artifact::ids::{ComponentInstanceId, ResourceId};
use trampette_artifact::key::{FuncKey, SymbolKey};
use trampette_artifact::types::Type;

/// Everything that producers of CLIF read. Shared by all threads.
pub(crate) struct Session<'a> {
    /// The target.
    pub isa: OwnedTargetIsa,
    /// The flattened component.
    pub program: &'a Program<'a>,
    /// Where everything is.
    pub layout: &'a Layout,
    /// How accesses to memories are checked.
    pub bounds: Bounds,
    /// Counts compiled functions.
    pub progress: Progress,
    /// What debuggers are told.
    pub debug_info: DebugInfo,
    /// How calls were resolved, counted while core functions are translated.
    pub calls: CallCounts,
    /// What trampolines carry by code of its own, in the order in which they ask for it.
    pub shared_transfers: Mutex<IndexSet<SharedTransfer>>,
}

/// A part of a large type, and how it is carried.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct SharedTransfer {
    /// What is carried.
    pub part: TransferPart,
    /// The guest that it comes from; none if it is the host.
    pub from: Option<CanonicalOptions>,
    /// The guest that it goes to; none if it is the host.
    pub to: Option<CanonicalOptions>,
    /// Where it is.
    pub source: ValuePlace,
    /// Where it goes.
    pub destination: ValuePlace,
    /// Resources whose lends are recorded.
    pub lends: Vec<ResourceId>,
    /// Where lowered borrows are counted, if there can be any.
    pub borrows: Option<(ComponentInstanceId, BorrowCount)>,
}

/// What one shared transfer carries.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum TransferPart {
    /// A whole type.
    Whole(Type),
    /// So many fields of a record or tuple in memory, from one on.
    Fields(Type, usize, usize),
}

/// Whether a value is flat or in memory.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[allow(missing_docs)]
pub(crate) enum ValuePlace {
    Flat,
    Memory,
}

/// Where a task's borrowed handles are counted.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum BorrowCount {
    /// In the state of its instance.
    OfInstance,
    /// In its frame.
    OfTask,
}

impl<'a> Session<'a> {
    /// A session that makes code of a program as the options say.
    ///
    /// # Errors
    /// If the code generator refuses the options' settings.
    pub(crate) fn new(
        program: &'a Program<'a>,
        layout: &'a Layout,
        options: &CompileOptions,
    ) -> Result<Session<'a>> {
        Ok(Session {
            isa: isa::isa(options)?,
            program,
            layout,
            bounds: options.bounds,
            progress: options.progress.clone(),
            debug_info: options.debug_info,
            calls: CallCounts::default(),
            shared_transfers: Mutex::default(),
        })
    }
}

/// How calls of core functions were resolved. Statistics: nothing is decided by them.
#[derive(Default, Debug)]
pub(crate) struct CallCounts {
    /// Through an import, now of the function that it names.
    pub imports: AtomicUsize,
    /// Through a sealed table at a constant index, now of the entry, or a trap.
    pub known_entries: AtomicUsize,
    /// Through a sealed table's copy in read-only data.
    pub sealed: AtomicUsize,
    /// Through a table that can change, or a function reference.
    pub dynamic: AtomicUsize,
}

/// Byte offsets in components are below this: source locations from it on are indices into a
/// function's positions (`inline::positions`), which inlining makes.
pub(crate) const OFFSET_LIMIT: u32 = 1 << 31;

/// The CLIF type of a core value: references are 32-bit ids.
pub(crate) fn clif_type(ty: CoreType) -> ir::Type {
    match ty {
        CoreType::I32 | CoreType::Ref(_) => types::I32,
        CoreType::I64 => types::I64,
        CoreType::F32 => types::F32,
        CoreType::F64 => types::F64,
        CoreType::V128 => types::I8X16,
    }
}

/// The CLIF signature of wasm-call code: `tail`, the context first (as `vmctx`, which the stack
/// limit check reads), then the core parameters.
pub(crate) fn wasm_call_signature(signature: &CoreSignature) -> ir::Signature {
    let mut sig = ir::Signature::new(CallConv::Tail);
    sig.params
        .push(AbiParam::special(types::I64, ArgumentPurpose::VMContext));
    sig.params.extend(
        signature
            .params
            .iter()
            .map(|ty| AbiParam::new(clif_type(*ty))),
    );
    sig.returns.extend(
        signature
            .results
            .iter()
            .map(|ty| AbiParam::new(clif_type(*ty))),
    );
    sig
}

/// A signature with the platform's C convention over plain 32- and 64-bit integers, floats.
pub(crate) fn native_signature(params: &[ir::Type], results: &[ir::Type]) -> ir::Signature {
    let mut sig = ir::Signature::new(CallConv::SystemV);
    sig.params
        .extend(params.iter().map(|ty| AbiParam::new(*ty)));
    sig.returns
        .extend(results.iter().map(|ty| AbiParam::new(*ty)));
    sig
}

/// A new function whose name is its key.
pub(crate) fn new_function(key: FuncKey, signature: ir::Signature) -> ir::Function {
    let (namespace, index) = SymbolKey::Func(key).encode();
    let spare = SPARE_FUNCTIONS.with_borrow_mut(Vec::pop);
    let mut func = spare.unwrap_or_else(ir::Function::new);
    func.name = ir::UserFuncName::user(namespace, index);
    func.signature = signature;
    func
}

/// How many functions' memory a thread keeps.
const MOST_SPARE: usize = 4;
/// Larger functions give their memory back.
const MOST_SPARE_INSTRUCTIONS: usize = 50_000;

thread_local! {
    /// Functions that have been compiled: their memory serves the next ones.
    static SPARE_FUNCTIONS: RefCell<Vec<ir::Function>> = const { RefCell::new(Vec::new()) };
}

/// Keeps the memory of a function that is no longer needed for [`new_function`].
pub(crate) fn recycle(mut func: ir::Function) {
    SPARE_FUNCTIONS.with_borrow_mut(|spare| {
        if spare.len() < MOST_SPARE && func.dfg.num_insts() <= MOST_SPARE_INSTRUCTIONS {
            func.clear();
            // Which this version of Cranelift forgets.
            func.dfg.exception_tables.clear();
            spare.push(func);
        }
    });
}

/// Makes the prologue check the stack limit in the context that the function takes first. For every
/// wasm-call function that calls anything or has a large frame; leaf functions may leave it out.
pub(crate) fn set_stack_limit(func: &mut ir::Function) {
    let vmctx = func.create_global_value(ir::GlobalValueData::VMContext);
    let flags = func
        .dfg
        .mem_flags
        .insert_unchecked(ir::MemFlagsData::trusted());
    let limit = func.create_global_value(ir::GlobalValueData::Load {
        base: vmctx,
        offset: trampette_artifact::layout::CONTEXT_STACK_LIMIT.0.into(),
        global_type: types::I64,
        flags,
    });
    func.stack_limit = Some(limit);
}

/// Goes on in a block that nothing else will jump to.
pub(crate) fn start_block(builder: &mut FunctionBuilder<'_>, block: ir::Block) {
    builder.switch_to_block(block);
    builder.seal_block(block);
}
