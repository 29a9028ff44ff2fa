//! The dynamic part of instantiation: what [`StartupAction`]s say, in order, in one wasm-call
//! function. Its native entry is a wrapper like any other.

use super::cells;
use super::entry::body_signature;
use crate::codegen::emitter::Emitter;
use crate::codegen::{self, Region, Session};
use crate::layout::{
    ConstOperand, ConstOperator, ConstStep, ConstValue, GlobalPlace, StartupAction, reference_bits,
};
use crate::program::module::CoreSignature;
use crate::program::{CoreFunc, Program};
use anyhow::{Context, Result, bail, ensure};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::immediates::{Ieee32, Ieee64};
use cranelift_codegen::ir::{self, BlockArg, InstBuilder, Value, types};
use trampette_artifact::builtin::Builtin;
use trampette_artifact::ids::{ComponentInstanceId, DataSegmentId, GlobalId, TableId};
use trampette_artifact::key::{Abi, DataKey, FuncKey};
use trampette_artifact::trap::TrapCode;

/// Bytes of a table's entry.
const ENTRY_SIZE: u64 = 4;

/// From so many copies in a row on, there is one branch for all of them.
const MANY: usize = 64;

/// The body of start-up step `step`: a wasm-call function that takes the context of slab 0.
///
/// # Errors
/// If there is no such step, or a start function takes or returns something.
pub(crate) fn startup_body(session: &Session<'_>, step: u32) -> Result<ir::Function> {
    let actions = session.layout.startup.get(step as usize);
    let actions = actions.with_context(|| format!("there is no start-up step {step}"))?;
    let key = FuncKey::Startup(Abi::Wasm, step);
    let signature = codegen::wasm_call_signature(&body_signature(key)?);
    Emitter::build(session, key, signature, |e, _| {
        let mut rest = &actions[..];
        while let Some(action) = rest.first() {
            if let StartupAction::Trap(code) = action {
                // Nothing after it happens.
                e.raise(*code, None);
                return Ok(());
            }
            let (code, copies) = copies_in_a_row(rest);
            let (now, later) = rest.split_at(copies.max(1));
            match copies {
                MANY.. => carry_out_copies(e, now, code)?,
                _ => now.iter().try_for_each(|action| carry_out(e, action))?,
            }
            rest = later;
        }
        e.builder.ins().return_(&[]);
        Ok(())
    })
}

/// How many actions from the first on copy one segment each, and trap alike.
fn copies_in_a_row(actions: &[StartupAction]) -> (TrapCode, usize) {
    let code = |action: &StartupAction| match action {
        StartupAction::CopyData { .. } => Some(TrapCode::MemoryOutOfBounds),
        StartupAction::CopyElements { .. } => Some(TrapCode::TableAccessOutOfBounds),
        _ => None,
    };
    match actions.first().and_then(code) {
        None => (TrapCode::MemoryOutOfBounds, 0),
        Some(first) => {
            let row = actions.iter().take_while(|it| code(it) == Some(first));
            (first, row.count())
        }
    }
}

/// Carries out many copies, without a branch for each, whose number compiling does not cope with:
/// from the first that does not fit on, they copy nothing, and at the end that raises.
fn carry_out_copies(
    e: &mut Emitter<'_, '_>,
    actions: &[StartupAction],
    code: TrapCode,
) -> Result<()> {
    let mut outside = e.builder.ins().iconst(types::I8, 0);
    let none = e.i64(0);
    for action in actions {
        let (to, limit, offset, length, unit, source) = match action {
            StartupAction::CopyData {
                segment,
                length,
                memory,
                offset,
            } => (
                e.memory_base(*memory),
                e.memory_length(*memory),
                evaluate_offset(e, offset),
                *length,
                1,
                DataKey::DataSegment(*segment),
            ),
            StartupAction::CopyElements {
                segment,
                length,
                table,
                offset,
            } => (
                table_base(e, *table),
                table_length(e, *table),
                evaluate_offset(e, offset),
                *length,
                ENTRY_SIZE,
                DataKey::ElementSegment(*segment),
            ),
            other => bail!("{other:?} copies no segment"),
        };
        let count = e.i64(length as i64);
        let this = is_outside(e, offset, count, limit);
        outside = e.builder.ins().bor(outside, this);
        if length > 0 {
            let bytes = e.i64((length * unit) as i64);
            let bytes = e.builder.ins().select(outside, none, bytes);
            let unit = e.size(unit);
            let distance = e.builder.ins().imul(offset, unit);
            let destination = e.builder.ins().iadd(to, distance);
            let source = codegen::data_address(&mut e.builder, source);
            e.builtin(Builtin::MemoryMove, &[destination, source, bytes]);
        }
    }
    e.trap_if(outside, code, None);
    Ok(())
}

fn carry_out(e: &mut Emitter<'_, '_>, action: &StartupAction) -> Result<()> {
    match action {
        StartupAction::CopyData {
            segment,
            length,
            memory,
            offset,
        } => {
            let offset = evaluate_offset(e, offset);
            let limit = e.memory_length(*memory);
            check_bounds(e, offset, *length, limit, TrapCode::MemoryOutOfBounds);
            let base = e.memory_base(*memory);
            let destination = e.builder.ins().iadd(base, offset);
            copy(e, destination, DataKey::DataSegment(*segment), *length);
        }
        StartupAction::CopyManyData {
            segment,
            count,
            memory,
        } => {
            let limit = e.memory_length(*memory);
            let base = e.memory_base(*memory);
            let target = (base, limit, TrapCode::MemoryOutOfBounds);
            copy_many(e, *segment, *count, 1, target);
        }
        StartupAction::CopyManyElements {
            segment,
            count,
            table,
        } => {
            let limit = table_length(e, *table);
            let base = table_base(e, *table);
            let target = (base, limit, TrapCode::TableAccessOutOfBounds);
            copy_many(e, *segment, *count, ENTRY_SIZE, target);
        }
        StartupAction::CopyElements {
            segment,
            length,
            table,
            offset,
        } => {
            let offset = evaluate_offset(e, offset);
            let limit = table_length(e, *table);
            let code = TrapCode::TableAccessOutOfBounds;
            check_bounds(e, offset, *length, limit, code);
            let base = table_base(e, *table);
            let entry_size = e.size(ENTRY_SIZE);
            let bytes = e.builder.ins().imul(offset, entry_size);
            let destination = e.builder.ins().iadd(base, bytes);
            let key = DataKey::ElementSegment(*segment);
            copy(e, destination, key, *length * ENTRY_SIZE);
        }
        StartupAction::FillTable { table, value } => {
            let base = table_base(e, *table);
            let value = e.i32(reference_bits(Some(*value)));
            // At this point no code has seen it, so that it has not grown.
            let length = e.i64(e.session.layout.tables[*table].minimum as i64);
            e.builtin(Builtin::TableFill, &[base, value, length]);
        }
        StartupAction::InitGlobal { global, value } => {
            let value = evaluate(e, value);
            // A global that is a constant has its value already.
            if let Some((address, offset)) = global_address(e, *global) {
                let flags = Region::Global(*global).trusted(e.builder.func);
                e.builder.ins().store(flags, value, address, offset);
            }
        }
        StartupAction::Call(func) => {
            let signature = start_signature(e.session.program, *func)?;
            let instance = component_instance_of(e.session.program, *func);
            let saved = instance.map(|instance| cells::begin_call(e, instance, &[*func], None));
            e.call_core(*func, &signature, &[]);
            if let Some(saved) = saved {
                cells::end_call(e, saved);
            }
        }
        StartupAction::Trap(_) => unreachable!("it ends the function"),
    }
    Ok(())
}

/// The component instance whose thread a start function is. (What is no core function blocks
/// nothing, or asks for its own instance.)
fn component_instance_of(program: &Program<'_>, func: CoreFunc) -> Option<ComponentInstanceId> {
    match func {
        CoreFunc::Module(instance, _) => {
            let instance = program.core_instances.get(instance)?;
            Some(instance.component_instance)
        }
        _ => None,
    }
}

/// The type of a start function: the validator has seen that it is `() -> ()`; code with another
/// type would be miscompiled silently, so it is looked at again.
fn start_signature(program: &Program<'_>, func: CoreFunc) -> Result<CoreSignature> {
    let signature = program.signature(func)?;
    ensure!(
        signature == CoreSignature::default(),
        "the start function {func:?} takes or returns something: {signature:?}"
    );
    Ok(signature)
}

/// Raises `code` unless `offset + length <= limit`.
fn check_bounds(e: &mut Emitter<'_, '_>, offset: Value, length: u64, limit: Value, code: TrapCode) {
    let length = e.i64(length as i64);
    raise_if_outside(e, offset, length, limit, code);
}

/// [`check_bounds`] of a length that is in a value.
fn raise_if_outside(
    e: &mut Emitter<'_, '_>,
    offset: Value,
    length: Value,
    limit: Value,
    code: TrapCode,
) {
    let outside = is_outside(e, offset, length, limit);
    e.trap_if(outside, code, None);
}

/// Whether `offset + length` is beyond `limit`.
fn is_outside(e: &mut Emitter<'_, '_>, offset: Value, length: Value, limit: Value) -> Value {
    // No segment is longer than the component, so that only a 64-bit offset makes the sum wrap.
    let ins = &mut e.builder;
    let end = ins.ins().iadd(offset, length);
    let beyond = ins.ins().icmp(IntCC::UnsignedGreaterThan, end, limit);
    let wrapped = ins.ins().icmp(IntCC::UnsignedLessThan, end, offset);
    ins.ins().bor(beyond, wrapped)
}

fn copy(e: &mut Emitter<'_, '_>, destination: Value, source: DataKey, bytes: u64) {
    // An empty segment is only checked; it may have no data symbol.
    if bytes == 0 {
        return;
    }
    let source = codegen::data_address(&mut e.builder, source);
    let bytes = e.i64(bytes as i64);
    e.builtin(Builtin::MemoryMove, &[destination, source, bytes]);
}

/// Copies `count` segments, whose places, lengths and contents are in the data segment `source`, to
/// a base address; raises unless each is within the limit. Places, lengths and the limit count
/// units of `unit` bytes.
fn copy_many(
    e: &mut Emitter<'_, '_>,
    source: DataSegmentId,
    count: u64,
    unit: u64,
    (base, limit, code): (Value, Value, TrapCode),
) {
    let records = codegen::data_address(&mut e.builder, DataKey::DataSegment(source));
    let size = e.size(count * 16);
    let contents = e.builder.ins().iadd(records, size);
    let [body, done] = std::array::from_fn(|_| e.builder.create_block());
    let record = e.builder.append_block_param(body, types::I64);
    let from = e.builder.append_block_param(body, types::I64);
    let first = [records, contents].map(BlockArg::Value);
    e.builder.ins().jump(body, &first);

    e.builder.switch_to_block(body);
    let flags = e.native_flags();
    let offset = e.builder.ins().load(types::I64, flags, record, 0);
    let length = e.builder.ins().load(types::I64, flags, record, 8);
    raise_if_outside(e, offset, length, limit, code);
    let unit = e.size(unit);
    let bytes = e.builder.ins().imul(length, unit);
    let distance = e.builder.ins().imul(offset, unit);
    let to = e.builder.ins().iadd(base, distance);
    e.builtin(Builtin::MemoryMove, &[to, from, bytes]);
    let next_record = e.builder.ins().iadd_imm_u(record, 16);
    let next_from = e.builder.ins().iadd(from, bytes);
    let more = e.builder.ins().icmp(IntCC::NotEqual, next_record, contents);
    let next = [next_record, next_from].map(BlockArg::Value);
    e.builder.ins().brif(more, body, &next, done, &[]);
    e.builder.seal_block(body);
    e.start(done);
}

/// The current length of a table in entries, as `i64`.
pub(super) fn table_length(e: &mut Emitter<'_, '_>, table: TableId) -> Value {
    let layout = e.session.layout;
    let place = &layout.tables[table];
    match place.growable {
        true => e.load_root(types::I64, layout.root.table(table)),
        false => e.i64(place.minimum as i64),
    }
}

/// The address of a table's entries.
pub(super) fn table_base(e: &mut Emitter<'_, '_>, table: TableId) -> Value {
    let place = &e.session.layout.tables[table];
    let context = e.slab_context(place.slab);
    let entries = e.i64(place.offset.into());
    e.builder.ins().iadd(context, entries)
}

/// The context pointer of a global's slab and the global's displacement; none for constants.
fn global_address(e: &mut Emitter<'_, '_>, global: GlobalId) -> Option<(Value, i32)> {
    match e.session.layout.globals[global] {
        GlobalPlace::Constant(_) => None,
        GlobalPlace::Context { slab, offset, .. } => Some((e.slab_context(slab), offset.0)),
    }
}

/// An operand as an unsigned 64-bit number.
fn evaluate_offset(e: &mut Emitter<'_, '_>, operand: &ConstOperand) -> Value {
    let value = evaluate(e, operand);
    match e.builder.func.dfg.value_type(value) {
        types::I32 => e.builder.ins().uextend(types::I64, value),
        _ => value,
    }
}

fn evaluate(e: &mut Emitter<'_, '_>, operand: &ConstOperand) -> Value {
    match operand {
        ConstOperand::Value(value) => constant(e, *value),
        ConstOperand::Global(global) => current_value(e, *global),
        ConstOperand::Expression(steps) => {
            let mut stack = Vec::new();
            for step in steps {
                let value = match step {
                    ConstStep::Value(value) => constant(e, *value),
                    ConstStep::Global(global) => current_value(e, *global),
                    ConstStep::Operator(operator) => {
                        let (right, left) = (stack.pop(), stack.pop());
                        let operands = left.zip(right);
                        let (left, right) = operands.expect("the validator has counted operands");
                        let ins = e.builder.ins();
                        match operator {
                            ConstOperator::Add => ins.iadd(left, right),
                            ConstOperator::Sub => ins.isub(left, right),
                            ConstOperator::Mul => ins.imul(left, right),
                        }
                    }
                };
                stack.push(value);
            }
            stack.pop().expect("an expression has a value")
        }
    }
}

fn current_value(e: &mut Emitter<'_, '_>, global: GlobalId) -> Value {
    match e.session.layout.globals[global] {
        GlobalPlace::Constant(value) => constant(e, value),
        GlobalPlace::Context { slab, offset, ty } => {
            let address = e.slab_context(slab);
            let flags = Region::Global(global).trusted(e.builder.func);
            let ty = codegen::clif_type(ty);
            e.builder.ins().load(ty, flags, address, offset.0)
        }
    }
}

fn constant(e: &mut Emitter<'_, '_>, value: ConstValue) -> Value {
    match value {
        ConstValue::I32(value) => e.i32(value as u32),
        ConstValue::Ref(id) => e.i32(id),
        ConstValue::I64(value) => e.i64(value),
        ConstValue::F32(bits) => e.builder.ins().f32const(Ieee32::with_bits(bits)),
        ConstValue::F64(bits) => e.builder.ins().f64const(Ieee64::with_bits(bits)),
        ConstValue::V128(bytes) => {
            let constants = &mut e.builder.func.dfg.constants;
            let constant = constants.insert(bytes.to_vec().into());
            e.builder.ins().vconst(types::I8X16, constant)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::testing::TestProgram;
    use crate::layout::{Layout, lay_out};
    use cranelift_codegen::settings::{self, Configurable};

    fn body(test: &TestProgram, layout: &Layout) -> String {
        let mut flags = settings::builder();
        // What the tail convention needs.
        flags.set("preserve_frame_pointers", "true").unwrap();
        let flags = settings::Flags::new(flags);
        let isa = cranelift_codegen::isa::lookup_by_name("x86_64-unknown-linux-gnu")
            .unwrap()
            .finish(flags)
            .unwrap();
        let session = Session {
            isa,
            program: &test.program,
            layout,
            bounds: Default::default(),
            progress: Default::default(),
            debug_info: Default::default(),
            calls: Default::default(),
            shared_transfers: Default::default(),
        };
        let func = startup_body(&session, 0).unwrap();
        cranelift_codegen::verify_function(&func, &*session.isa).unwrap();
        let mut context = cranelift_codegen::Context::for_function(func.clone());
        context
            .compile(&*session.isa, &mut Default::default())
            .unwrap();
        func.display().to_string()
    }

    #[test]
    fn copies_and_calls_in_order() {
        let test = TestProgram::new(&[
            (
                "a",
                "(module (memory (export \"m\") 1) (table (export \"t\") 2 funcref) (table (export \"u\") 2 funcref)
                    (func $s (drop (table.grow 1 (ref.null func) (i32.const 1)))) (start $s))",
            ),
            (
                "b",
                "(module (import \"a\" \"m\" (memory 1)) (import \"a\" \"t\" (table 1 funcref))
                    (import \"a\" \"u\" (table 1 funcref)) (func $f)
                    (data (i32.const -1) \"dynamic\") (data (i32.const 5) \"\")
                    (elem (i32.const 1) func $f) (elem (table 1) (i32.const 1) func $f))",
            ),
            (
                "c",
                "(module (memory 1) (func $f) (start $f))",
            ),
        ]);
        let layout = lay_out(&test.program).unwrap();
        let text = body(&test, &layout);
        let of = |what: &str| text.matches(what).count();
        // Two start functions, four checked copies of which one is empty; four cold raises.
        assert_eq!(of("icmp ugt"), 4, "{text}");
        assert_eq!(of("call "), 2 + 4, "{text}");
        assert_eq!(of("call_indirect "), 3, "{text}");
        // Each copy needs the address of the bytes, and that of `memmove`.
        assert_eq!(of("symbol_value"), 2 * 3, "{text}");
        assert_eq!(of("return"), 1, "{text}");
    }

    #[test]
    fn a_certain_trap_ends_it() {
        let test = TestProgram::new(&[("a", "(module (memory 0) (data (i32.const 0) \"x\"))")]);
        let layout = lay_out(&test.program).unwrap();
        let text = body(&test, &layout);
        assert!(!text.contains("return"), "{text}");
    }

    #[test]
    fn operands_of_every_kind() {
        let test = TestProgram::new(&[(
            "a",
            "(module (memory 1) (global (mut i32) (i32.const 1)) (global (mut v128) (v128.const i64x2 1 2))
                (global (mut i64) (i64.const 1)) (global (mut f32) (f32.const 1)) (global (mut f64) (f64.const 1))
                (global (mut funcref) (ref.null func))
                (func (global.set 0 (i32.const 2)) (global.set 1 (v128.const i64x2 2 2))
                    (global.set 2 (i64.const 2)) (global.set 3 (f32.const 2)) (global.set 4 (f64.const 2))
                    (global.set 5 (ref.null func))))",
        )]);
        let mut layout = lay_out(&test.program).unwrap();
        let values = [
            ConstValue::I32(-1),
            ConstValue::V128([7; 16]),
            ConstValue::I64(-1),
            ConstValue::F32(1),
            ConstValue::F64(1),
            ConstValue::Ref(1),
        ];
        for (index, value) in values.into_iter().enumerate() {
            layout.startup[0].push(StartupAction::InitGlobal {
                global: GlobalId::new(index),
                value: ConstOperand::Value(value),
            });
        }
        let mut sum = vec![ConstStep::Global(GlobalId(0))];
        for operator in [ConstOperator::Add, ConstOperator::Sub, ConstOperator::Mul] {
            let operand = ConstStep::Global(GlobalId(0));
            sum.extend([operand, ConstStep::Operator(operator)]);
        }
        let sum = ConstOperand::Expression(sum.into());
        layout.data_segments.push(vec![1]);
        layout.root.data_segments = 1;
        layout.startup[0].push(StartupAction::CopyData {
            segment: DataSegmentId(0),
            length: 1,
            memory: trampette_artifact::ids::MemoryId(0),
            offset: sum,
        });
        let text = body(&test, &layout);
        assert_eq!(text.matches("store").count(), 6, "{text}");
    }
}
