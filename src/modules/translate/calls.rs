//! Calls: direct, through tables, through references, and their tail forms; `ref.func`.
//!
//! A table that never changes is read-only data, and an index that is a constant a direct call.
//! What cannot be right is a trap, never a call with another signature.

use super::exceptions::Callee;
use super::{Address, Translator};
use crate::codegen::{self, clif_trap};
use crate::layout::SettledTable;
use crate::program::CoreFunc;
use anyhow::{Context as _, Result};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{FuncRef, InstBuilder, MemFlagsData, Value, types};
use std::mem::offset_of;
use std::sync::atomic::{AtomicUsize, Ordering};
use trampette_artifact::ids::SlabId;
use trampette_artifact::key::DataKey;
use trampette_artifact::tables::{FunctionEntry, SealedEntry};
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
        let (callee, context) = self.callee(function);
        let params = self.module.signature(function).params.len();
        let func = self.unit.functions[function as usize];
        if function < self.module.imported_functions {
            count(&self.session.calls.imports);
        }
        self.call_function(func, callee, context, params, kind)
    }

    fn call_function(
        &mut self,
        func: CoreFunc,
        callee: FuncRef,
        context: Value,
        params: usize,
        kind: CallKind,
    ) -> Result<()> {
        self.makes_calls = true;
        let args = self.take_call_args(context, params);
        match kind {
            CallKind::Normal => {
                let callee = Callee::Direct(callee);
                match func {
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
        let (id, _) = self.table(table);
        if let Some(settled) = self.session.layout.settled_table(id) {
            if let Some(known) = self.known_index(index) {
                if settled.late {
                    // Null until it is what it will be.
                    let at = self.table_entry(table, index, TrapCode::TableOutOfBounds);
                    let ins = self.builder.ins();
                    let id = ins.load(types::I32, at.flags, at.base, at.offset);
                    let trap = clif_trap(TrapCode::IndirectCallToNull);
                    self.builder.ins().trapz(id, trap);
                }
                count(&self.session.calls.known_entries);
                return self.call_known_entry(settled, known, type_index, kind);
            }
            if !settled.late {
                count(&self.session.calls.sealed);
                return self.call_sealed(table, settled, index, type_index, kind);
            }
        }
        count(&self.session.calls.dynamic);
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
        self.check_signature(signature, id, type_index);
        let code_offset = offset_of!(FunctionEntry, code) as i32;
        let code = self
            .builder
            .ins()
            .sload32(entry_flags(), entry, code_offset);
        let context = self.entry_context(entry, entry_flags());
        let table = self.function_table();
        self.call_code(table, code, context, type_index, kind)
    }

    /// Goes on if `signature` is that of a type; otherwise traps, because of null if `entry` is 0.
    fn check_signature(&mut self, signature: Value, entry: Value, type_index: u32) {
        let expected = i64::from(self.unit.signatures[type_index as usize].0);
        let expected = self.builder.ins().iconst(types::I32, expected);
        let matches = self.builder.ins().icmp(IntCC::Equal, signature, expected);
        // One compare when all is well; what is wrong is found out of line.
        let wrong = self.builder.create_block();
        let right = self.builder.create_block();
        self.builder.set_cold_block(wrong);
        self.builder.ins().brif(matches, right, &[], wrong, &[]);
        codegen::start_block(&mut self.builder, wrong);
        self.builder
            .ins()
            .trapz(entry, clif_trap(TrapCode::IndirectCallToNull));
        self.builder.ins().trap(clif_trap(TrapCode::BadSignature));
        codegen::start_block(&mut self.builder, right);
    }

    /// Calls an entry of a sealed table whose index is a constant: directly, or it traps.
    fn call_known_entry(
        &mut self,
        table: &SettledTable,
        index: u64,
        type_index: u32,
        kind: CallKind,
    ) -> Result<()> {
        let id = usize::try_from(index)
            .ok()
            .and_then(|index| table.entries.get(index));
        let Some(id) = id else {
            self.trap_here(TrapCode::TableOutOfBounds);
            return Ok(());
        };
        let layout = self.session.layout;
        let Some((id, func)) = id.and_then(|id| Some((id, layout.function(id)?))) else {
            self.trap_here(TrapCode::IndirectCallToNull);
            return Ok(());
        };
        if layout.signature_of(id) != Some(self.unit.signatures[type_index as usize]) {
            self.trap_here(TrapCode::BadSignature);
            return Ok(());
        }
        let signature = codegen::wasm_call_signature(&self.module.types[type_index as usize]);
        let callee = codegen::declare_function(self.builder.func, func.key(), signature);
        let context = self.slab_context(layout.home(func));
        let params = self.module.types[type_index as usize].params.len();
        self.call_function(func, callee, context, params, kind)
    }

    /// Calls an entry of a sealed table, by the table's copy in read-only data.
    fn call_sealed(
        &mut self,
        table_index: u32,
        table: &SettledTable,
        index: Value,
        type_index: u32,
        kind: CallKind,
    ) -> Result<()> {
        let (id, _) = self.table(table_index);
        let expected = self.unit.signatures[type_index as usize];
        let length = table.entries.len() as u64;
        let trap = TrapCode::TableOutOfBounds;
        let outside = self.check_table_index(table_index, index, Some(length), trap);
        let index = self.index64(index);
        let offset = self.scaled(index, table.entry_size_log2());
        let start = codegen::data_address(&mut self.builder, DataKey::SealedTable(id));
        let entry = self.builder.ins().iadd(start, offset);
        let entry = self.guarded(self.table_spectre(), outside, start, entry);
        let flags = MemFlagsData::trusted().with_readonly();
        if table.has_null || table.signature != Some(expected) {
            let at = offset_of!(SealedEntry, signature) as i32;
            let signature = self.builder.ins().load(types::I32, flags, entry, at);
            self.check_signature(signature, signature, type_index);
        }
        let at = offset_of!(SealedEntry, code) as i32;
        let code = self.builder.ins().sload32(flags, entry, at);
        let context = match table.home {
            Some(home) => self.slab_context(home),
            None => self.entry_context(entry, flags),
        };
        self.call_code(start, code, context, type_index, kind)
    }

    fn call_reference(&mut self, type_index: u32, kind: CallKind) -> Result<()> {
        count(&self.session.calls.dynamic);
        let id = self.pop1();
        self.builder
            .ins()
            .trapz(id, clif_trap(TrapCode::NullReference));
        // Validation has proved the type, and that the reference is a function's.
        let Some(entry) = self.function_entry(id) else {
            self.trap_here(TrapCode::NullReference);
            return Ok(());
        };
        let at = offset_of!(FunctionEntry, code) as i32;
        let code = self.builder.ins().sload32(entry_flags(), entry, at);
        let context = self.entry_context(entry, entry_flags());
        let table = self.function_table();
        self.call_code(table, code, context, type_index, kind)
    }

    /// [`codegen::function_entry`].
    fn function_entry(&mut self, id: Value) -> Option<Value> {
        codegen::function_entry(&mut self.builder, self.session.layout, id)
    }

    /// The context of the function that a [`FunctionEntry`] names.
    fn entry_context(&mut self, entry: Value, flags: MemFlagsData) -> Value {
        if self.session.layout.slabs.len() == 1 {
            return self.context;
        }
        let at = offset_of!(FunctionEntry, context) as i32;
        let distance = self.builder.ins().load(types::I64, flags, entry, at);
        let first = self.slab_context(SlabId(0));
        self.builder.ins().iadd(first, distance)
    }

    /// Calls the code at an offset from the start of a table, whose type is known.
    fn call_code(
        &mut self,
        table: Value,
        offset: Value,
        context: Value,
        type_index: u32,
        kind: CallKind,
    ) -> Result<()> {
        self.makes_calls = true;
        let code = self.builder.ins().iadd(table, offset);
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

/// Counts a call for the statistics.
fn count(calls: &AtomicUsize) {
    calls.fetch_add(1, Ordering::Relaxed);
}

/// Entries of the function table never change, and any masked id has one.
fn entry_flags() -> MemFlagsData {
    MemFlagsData::trusted().with_readonly().with_can_move()
}
