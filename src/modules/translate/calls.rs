//! Calls: direct, through tables, through references, and their tail forms; `ref.func`.

use super::exceptions::Callee;
use super::{Address, Translator};
use crate::codegen::clif_trap;
use crate::component::program::CoreFunc;
use anyhow::{Context as _, Result};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{InstBuilder, MemFlagsData, Value, types};
use std::mem::offset_of;
use trampette_artifact::ids::SlabId;
use trampette_artifact::tables::{FUNCTION_ENTRY_SIZE_LOG2, FunctionEntry};
use trampette_artifact::trap::TrapCode;
use wasmparser::Operator;

/// How control leaves for the callee.
#[derive(Clone, Copy, PartialEq, Eq)]
enum CallKind {
    /// It comes back.
    Normal,
    /// The callee replaces the caller.
    Tail,
}

pub(super) fn translate(t: &mut Translator<'_, '_>, op: &Operator<'_>) -> Result<bool> {
    use CallKind::{Normal, Tail};
    match op {
        Operator::Call { function_index } => t.call(*function_index, Normal)?,
        Operator::ReturnCall { function_index } => t.call(*function_index, Tail)?,
        Operator::CallIndirect {
            type_index,
            table_index,
        } => t.call_through_table(*type_index, *table_index, Normal)?,
        Operator::ReturnCallIndirect {
            type_index,
            table_index,
        } => t.call_through_table(*type_index, *table_index, Tail)?,
        Operator::CallRef { type_index } => t.call_reference(*type_index, Normal)?,
        Operator::ReturnCallRef { type_index } => t.call_reference(*type_index, Tail)?,
        Operator::RefFunc { function_index } => {
            let func = t.unit.functions[*function_index as usize];
            let id = t.session.layout.function_id(func).with_context(|| {
                format!("the layout gave no id to function {function_index}, which is a value")
            })?;
            let id = t.builder.ins().iconst(types::I32, i64::from(id.0));
            t.push1(id);
        }
        _ => return Ok(false),
    }
    Ok(true)
}

impl Translator<'_, '_> {
    fn call(&mut self, function: u32, kind: CallKind) -> Result<()> {
        self.makes_calls = true;
        let (callee, context) = self.callee(function);
        let params = self.module.signature(function).params.len();
        let args = self.take_call_args(context, params);
        match kind {
            CallKind::Normal => {
                let callee = Callee::Direct(callee);
                match self.unit.functions[function as usize] {
                    CoreFunc::Module(..) => self.emit_throwing_call(callee, &args)?,
                    // What is no core function traps rather than throw.
                    _ => self.emit_call(callee, &args),
                }
            }
            CallKind::Tail => {
                self.builder.ins().return_call(callee, &args);
                self.reachable = false;
            }
        }
        self.call_args = args;
        Ok(())
    }

    fn call_through_table(&mut self, type_index: u32, table: u32, kind: CallKind) -> Result<()> {
        let index = self.pop1();
        let Address {
            base,
            offset,
            flags,
        } = self.table_entry(table, index, TrapCode::TableOutOfBounds);
        let id = self.builder.ins().load(types::I32, flags, base, offset);
        let Some(entry) = self.function_entry(id) else {
            // Without functions as values every entry is null.
            self.trap_here(TrapCode::IndirectCallToNull);
            return Ok(());
        };
        let signature_offset = offset_of!(FunctionEntry, signature) as i32;
        let signature = self
            .builder
            .ins()
            .load(types::I32, entry_flags(), entry, signature_offset);
        let expected = i64::from(self.unit.signatures[type_index as usize].0);
        let expected = self.builder.ins().iconst(types::I32, expected);
        let matches = self.builder.ins().icmp(IntCC::Equal, signature, expected);
        // One compare when all is well; what is wrong is found out of line.
        let wrong = self.builder.create_block();
        let right = self.builder.create_block();
        self.builder.set_cold_block(wrong);
        self.builder.ins().brif(matches, right, &[], wrong, &[]);
        self.builder.switch_to_block(wrong);
        self.builder.seal_block(wrong);
        self.builder
            .ins()
            .trapz(id, clif_trap(TrapCode::IndirectCallToNull));
        self.builder.ins().trap(clif_trap(TrapCode::BadSignature));
        self.builder.switch_to_block(right);
        self.builder.seal_block(right);
        self.call_entry(entry, type_index, kind)
    }

    fn call_reference(&mut self, type_index: u32, kind: CallKind) -> Result<()> {
        let id = self.pop1();
        self.builder
            .ins()
            .trapz(id, clif_trap(TrapCode::NullReference));
        match self.function_entry(id) {
            // Validation has proved the type, and that the reference is a function's.
            Some(entry) => self.call_entry(entry, type_index, kind),
            None => {
                self.trap_here(TrapCode::NullReference);
                Ok(())
            }
        }
    }

    /// The address of a function's entry; `None` if no function of the component is a value. The id
    /// may be anything: it is masked to the table's length, a power of two.
    fn function_entry(&mut self, id: Value) -> Option<Value> {
        let mask = self.session.layout.function_table_length().checked_sub(1)?;
        let mask = self.builder.ins().iconst(types::I32, i64::from(mask));
        let id = self.builder.ins().band(id, mask);
        let id = self.builder.ins().uextend(types::I64, id);
        let offset = self.scaled(id, FUNCTION_ENTRY_SIZE_LOG2);
        let table = self.function_table();
        Some(self.builder.ins().iadd(table, offset))
    }

    /// Calls what an entry of the function table says, whose type is known.
    fn call_entry(&mut self, entry: Value, type_index: u32, kind: CallKind) -> Result<()> {
        self.makes_calls = true;
        let code_offset = offset_of!(FunctionEntry, code) as i32;
        let code = self
            .builder
            .ins()
            .sload32(entry_flags(), entry, code_offset);
        let table = self.function_table();
        let code = self.builder.ins().iadd(table, code);
        let context = if self.session.layout.slabs.len() == 1 {
            self.context
        } else {
            let offset = offset_of!(FunctionEntry, context) as i32;
            let distance = self
                .builder
                .ins()
                .load(types::I64, entry_flags(), entry, offset);
            let first = self.slab_context(SlabId(0));
            self.builder.ins().iadd(first, distance)
        };
        let signature = self.signature(type_index);
        let params = self.module.types[type_index as usize].params.len();
        let args = self.take_call_args(context, params);
        match kind {
            CallKind::Normal => {
                self.emit_throwing_call(Callee::Indirect(signature, code), &args)?;
            }
            CallKind::Tail => {
                self.builder
                    .ins()
                    .return_call_indirect(signature, code, &args);
                self.reachable = false;
            }
        }
        self.call_args = args;
        Ok(())
    }

    /// Pops a call's arguments into the scratch vector, after the context; to be put back.
    fn take_call_args(&mut self, context: Value, count: usize) -> Vec<Value> {
        let mut args = std::mem::take(&mut self.call_args);
        args.clear();
        args.push(context);
        let first = self.stack.len() - count;
        args.extend(self.stack.drain(first..));
        args
    }

    /// Ends the block with a trap.
    fn trap_here(&mut self, code: TrapCode) {
        self.builder.ins().trap(clif_trap(code));
        self.reachable = false;
    }
}

/// Entries of the function table never change, and any masked id has one.
fn entry_flags() -> MemFlagsData {
    MemFlagsData::trusted().with_readonly().with_can_move()
}
