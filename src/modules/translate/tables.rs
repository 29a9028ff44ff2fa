//! Tables: get, set, size, grow, fill, copy, init; dropping element segments.

use super::Translator;
use super::entities::TABLE_ENTRY_SIZE_LOG2;
use crate::codegen;
use crate::layout::reference_bits;
use anyhow::{Result, bail};
use cranelift_codegen::ir::{InstBuilder, Value, types};
use trampette_artifact::builtin::Builtin;
use trampette_artifact::key::DataKey;
use trampette_artifact::trap::TrapCode;
use wasmparser::Operator;

pub(super) fn translate(t: &mut Translator<'_, '_>, op: &Operator<'_>) -> Result<bool> {
    match op {
        Operator::TableGet { table } => {
            let index = t.pop1();
            if let Some(id) = t.known_entry(*table, index) {
                let id = t.builder.ins().iconst(types::I32, i64::from(id));
                t.push1(id);
                return Ok(true);
            }
            let at = t.table_entry(*table, index, TrapCode::TableAccessOutOfBounds);
            let value = t
                .builder
                .ins()
                .load(types::I32, at.flags, at.base, at.offset);
            t.push1(value);
        }
        Operator::TableSet { table } => {
            let (index, value) = t.pop2();
            let at = t.table_entry(*table, index, TrapCode::TableAccessOutOfBounds);
            t.builder.ins().store(at.flags, value, at.base, at.offset);
        }
        Operator::TableSize { table } => {
            let length = t.table_length(*table);
            t.push_table_index(*table, length);
        }
        Operator::TableGrow { table } => t.table_grow(*table)?,
        Operator::TableFill { table } => {
            let (start, value, count) = t.pop3();
            let (start, count) = (t.index64(start), t.index64(count));
            let address = t.table_range(*table, start, count);
            t.bulk(Builtin::TableFill, &[address, value, count]);
        }
        Operator::TableCopy {
            dst_table,
            src_table,
        } => {
            let (to, from, count) = t.pop3();
            let (to, from, count) = (t.index64(to), t.index64(from), t.index64(count));
            let to = t.table_range(*dst_table, to, count);
            let from = t.table_range(*src_table, from, count);
            let bytes = t.scaled(count, TABLE_ENTRY_SIZE_LOG2);
            t.bulk(Builtin::MemoryMove, &[to, from, bytes]);
        }
        Operator::TableInit { elem_index, table } => t.table_init(*elem_index, *table),
        Operator::ElemDrop { elem_index } => {
            if let Some(segment) = t.unit.element_segments[*elem_index as usize] {
                let field = t.session.layout.root.element_segment(segment);
                let zero = t.builder.ins().iconst(types::I64, 0);
                t.store_root(zero, field);
            }
        }
        _ => return Ok(false),
    }
    Ok(true)
}

impl Translator<'_, '_> {
    /// The reference at a constant index of a table that never changes.
    fn known_entry(&self, table: u32, index: Value) -> Option<u32> {
        let (id, _) = self.table(table);
        let sealed = self.session.layout.sealed_table(id)?;
        let index = usize::try_from(self.known_index(index)?).ok()?;
        sealed.entries.get(index).copied().map(reference_bits)
    }

    /// Pushes a length, an `i64`, as the index type of a table.
    fn push_table_index(&mut self, table: u32, length: Value) {
        let value = if self.module.tables[table as usize].ty.table64 {
            length
        } else {
            self.builder.ins().ireduce(types::I32, length)
        };
        self.push1(value);
    }

    fn table_grow(&mut self, table: u32) -> Result<()> {
        let (value, delta) = self.pop2();
        let (id, layout) = self.table(table);
        if !layout.growable {
            bail!("the layout made the length of {id} a constant, but it may grow");
        }
        let delta = self.index64(delta);
        let number = self.builder.ins().iconst(types::I32, i64::from(id.0));
        let previous = self
            .builtin(Builtin::TableGrow, &[number, value, delta])
            .expect("table-grow has a result");
        self.push_table_index(table, previous);
        Ok(())
    }

    fn table_init(&mut self, segment: u32, table: u32) {
        let (to, from, count) = self.pop3();
        let (to, from, count) = (self.index64(to), self.index64(from), self.index64(count));
        let segment = self.unit.element_segments[segment as usize];
        let length = match segment {
            Some(id) => self.load_root(self.session.layout.root.element_segment(id)),
            None => self.builder.ins().iconst(types::I64, 0),
        };
        self.check_range(from, count, length, TrapCode::TableAccessOutOfBounds);
        let to = self.table_range(table, to, count);
        let Some(id) = segment else {
            return; // Nothing was asked for, or it has trapped.
        };
        let start = codegen::data_address(&mut self.builder, DataKey::ElementSegment(id));
        let offset = self.scaled(from, TABLE_ENTRY_SIZE_LOG2);
        let from = self.builder.ins().iadd(start, offset);
        let bytes = self.scaled(count, TABLE_ENTRY_SIZE_LOG2);
        self.bulk(Builtin::MemoryMove, &[to, from, bytes]);
    }
}
