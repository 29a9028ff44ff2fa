//! The pass over a function body: locals, then each operator validated and translated.

use super::{Local, LocalPlace};
use super::{
    Translator, atomics, calls, control, entities, exceptions, globals, memory, numeric,
    references, simd, tables,
};
use crate::codegen::reach::Reach;
use crate::codegen::{self, OFFSET_LIMIT, Session};
use crate::program::module::core_type;
use anyhow::{Context as _, Result, anyhow, bail};
use cranelift_codegen::ir::{self, InstBuilder, Type, Value, types};
use cranelift_frontend::{FunctionBuilder, FunctionBuilderContext};
use std::cell::RefCell;
use std::collections::HashMap;
use trampette_artifact::ids::{DefinedFunc, UnitId};
use trampette_artifact::key::FuncKey;
use wasmparser::{FuncValidatorAllocations, Operator, OperatorsReader, OperatorsReaderAllocations};

/// Allocations that one function leaves to the next one on the same thread.
#[derive(Default)]
struct Scratch {
    builder: FunctionBuilderContext,
    validator: FuncValidatorAllocations,
    reader: OperatorsReaderAllocations,
    buffers: Buffers,
}

/// The vectors among them.
#[derive(Default)]
struct Buffers {
    stack: Vec<Value>,
    locals: Vec<Local>,
    frames: Vec<control::Frame>,
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

/// A function without calls checks the stack limit only if its frame may be large: when its locals
/// and the bytes of its body, of which each makes at most one value of at most 16 bytes, are more.
const LEAF_VALUES: usize = 4096;

/// With more blocks, loops, conditions and branches than this, locals are in the frame. Such
/// functions have twice as many blocks of CLIF or more, which is what makes them large
/// (`compile/machine.rs`).
const MANY_CONTROLS: u32 = 12_500;

pub(super) fn translate_function(
    session: &Session<'_>,
    unit: UnitId,
    function: DefinedFunc,
) -> Result<ir::Function> {
    // After an error the scratch is not put back: the builder's context would be in disorder.
    let mut scratch = SCRATCH.take();
    let func = translate_with(&mut scratch, session, unit, function)?;
    SCRATCH.set(scratch);
    Ok(func)
}

fn translate_with(
    scratch: &mut Scratch,
    session: &Session<'_>,
    unit: UnitId,
    function: DefinedFunc,
) -> Result<ir::Function> {
    let binding = session
        .layout
        .units
        .get(unit)
        .with_context(|| format!("there is no {unit}"))?;
    let module = &session.program.modules[binding.module];
    let body = module
        .bodies
        .get(function)
        .with_context(|| format!("the module defines no function {}", function.0))?;
    let validator = body.take_validator();
    let mut validator = validator.into_validator(std::mem::take(&mut scratch.validator));

    let index = module.index_of(function);
    let signature = codegen::wasm_call_signature(module.signature(index));
    let mut func = codegen::new_function(FuncKey::ModuleFunction(unit, function), signature);
    let mut builder = FunctionBuilder::new(&mut func, &mut scratch.builder);
    let entry = builder.create_block();
    builder.append_block_params_for_function_params(entry);
    codegen::start_block(&mut builder, entry);
    builder.ensure_inserted_block();
    let context = builder.block_params(entry)[0];
    let Buffers {
        mut stack,
        mut locals,
        mut frames,
    } = std::mem::take(&mut scratch.buffers);
    stack.clear();
    locals.clear();
    frames.clear();
    let mut translator = Translator {
        session,
        unit: binding,
        module,
        builder,
        stack,
        context,
        locals,
        reach: Reach::new(binding.slab, context, entry),
        entry,
        frames,
        exceptions: exceptions::State::default(),
        reachable: true,
        skipped_frames: 0,
        loops: 0,
        makes_calls: false,
        local_place: match body.controls > MANY_CONTROLS {
            true => LocalPlace::Frame,
            false => LocalPlace::Variables,
        },
        block_args: Vec::new(),
        call_args: Vec::new(),
        entities: entities::Cache::default(),
    };
    translator.declare_parameters();

    let mut reader = body.body.get_locals_reader()?;
    let mut zeros = HashMap::new();
    for _ in 0..reader.get_count() {
        let offset = reader.original_position();
        let (count, ty) = reader.read()?;
        validator.define_locals(offset, count, ty)?;
        let ty = codegen::clif_type(core_type(ty)?);
        let zero = *zeros.entry(ty).or_insert_with(|| translator.zero(ty));
        for _ in 0..count {
            translator.declare_local(ty, zero);
        }
    }

    translator.open_body(module.functions[index as usize]);
    let reader = reader.get_binary_reader();
    let mut reader = OperatorsReader::new_with_allocs(reader, std::mem::take(&mut scratch.reader));
    while !reader.eof() {
        let offset = reader.original_position();
        let operator = reader.read()?;
        validator.op(offset, &operator)?;
        let position = u32::try_from(offset)
            .ok()
            .filter(|position| *position < OFFSET_LIMIT)
            .ok_or_else(|| anyhow!("the component is larger than 2 GiB at offset {offset:#x}"))?;
        translator.builder.set_srcloc(ir::SourceLoc::new(position));
        translator.operator(&operator, offset)?;
    }
    reader.finish()?;

    let Translator {
        builder,
        stack,
        locals,
        frames,
        makes_calls,
        ..
    } = translator;
    builder.finalize(session.isa.frontend_config());
    if makes_calls || locals.len() + body.body.as_bytes().len() > LEAF_VALUES {
        codegen::set_stack_limit(&mut func);
    }
    scratch.reader = reader.into_allocations();
    scratch.validator = validator.into_allocations();
    scratch.buffers = Buffers {
        stack,
        locals,
        frames,
    };
    Ok(func)
}

impl Translator<'_, '_> {
    /// Makes the function's parameters its first locals.
    fn declare_parameters(&mut self) {
        let count = self.builder.block_params(self.entry).len();
        for at in 1..count {
            let value = self.builder.block_params(self.entry)[at];
            let ty = self.builder.func.dfg.value_type(value);
            self.declare_local(ty, value);
        }
    }

    fn declare_local(&mut self, ty: Type, value: Value) {
        let local = match self.local_place {
            LocalPlace::Variables => Local::Variable(self.builder.declare_var(ty)),
            LocalPlace::Frame => {
                let bytes = ty.bytes();
                let kind = ir::StackSlotKind::ExplicitSlot;
                let data = ir::StackSlotData::new(kind, bytes, bytes.trailing_zeros() as u8);
                Local::Slot(self.builder.create_sized_stack_slot(data), ty)
            }
        };
        self.locals.push(local);
        self.set_local(self.locals.len() - 1, value);
    }

    /// The value of a local.
    pub(super) fn local(&mut self, index: usize) -> Value {
        match self.locals[index] {
            Local::Variable(variable) => self.builder.use_var(variable),
            Local::Slot(slot, ty) => self.builder.ins().stack_load(types::I64, ty, slot, 0),
        }
    }

    /// Sets a local.
    pub(super) fn set_local(&mut self, index: usize, value: Value) {
        match self.locals[index] {
            Local::Variable(variable) => self.builder.def_var(variable, value),
            Local::Slot(slot, _) => {
                self.builder.ins().stack_store(types::I64, value, slot, 0);
            }
        }
    }

    /// The default value of a type; the null reference is 0.
    pub(super) fn zero(&mut self, ty: Type) -> Value {
        match ty {
            types::F32 => self.builder.ins().f32const(0.0),
            types::F64 => self.builder.ins().f64const(0.0),
            ty if ty.is_vector() => {
                let zero = self.builder.func.dfg.constants.insert([0u8; 16][..].into());
                self.builder.ins().vconst(ty, zero)
            }
            ty => self.builder.ins().iconst(ty, 0),
        }
    }

    /// Translates one validated operator. The most frequent families come first.
    fn operator(&mut self, op: &Operator<'_>, offset: u64) -> Result<()> {
        if !self.reachable {
            return self.skip(op);
        }
        let handled = globals::translate(self, op)?
            || memory::translate(self, op)?
            || numeric::translate(self, op)?
            || control::translate(self, op)?
            || calls::translate(self, op)?
            || simd::translate(self, op)?
            || tables::translate(self, op)?
            || references::translate(self, op)?
            || exceptions::translate(self, op)?
            || atomics::translate(self, op);
        if !handled {
            let (subject, name) = describe(op);
            bail!("{subject} not supported yet (operator {name} at offset {offset:#x})");
        }
        Ok(())
    }
}

macro_rules! define_describe {
    ($(@$proposal:ident $op:ident $({ $($arg:ident: $argty:ty),* })? => $visit:ident ($($ann:tt)*))*) => {
        /// What an operator belongs to, as a subject with its verb, and its name.
        fn describe(op: &Operator<'_>) -> (&'static str, &'static str) {
            let (proposal, visit) = match op {
                $(Operator::$op { .. } => (stringify!($proposal), stringify!($visit)),)*
                _ => ("", "visit_unknown"),
            };
            let subject = match proposal {
                "legacy_exceptions" => "the old form of exception handling is",
                "shared_everything_threads" | "acquire_release_atomics" => {
                    "shared-everything threads are"
                }
                "gc" | "custom_descriptors" => "garbage collection is",
                "stack_switching" => "stack switching is",
                "memory_control" => "memory control is",
                _ => "this instruction is",
            };
            (subject, visit.trim_start_matches("visit_"))
        }
    };
}
wasmparser::for_each_operator!(define_describe);
