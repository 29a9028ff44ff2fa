//! Linear memory: scalar loads and stores, size and growth, bulk operations, data segments.

use super::Translator;
use super::entities::index_type;
use crate::codegen::{self, Region};
use anyhow::Result;
use cranelift_codegen::ir::{self, InstBuilder, MemFlagsData, Opcode, Type, Value, types};
use trampette_artifact::builtin::Builtin;
use trampette_artifact::ids::MemoryId;
use trampette_artifact::key::DataKey;
use trampette_artifact::trap::TrapCode;
use wasmparser::{MemArg, Operator};

/// Copies and fills of a constant number of bytes up to this are loads and stores in line.
const INLINE_BYTES: u64 = 64;

pub(super) fn translate(t: &mut Translator<'_, '_>, op: &Operator<'_>) -> Result<bool> {
    use types::{F32, F64, I8, I16, I32, I64};
    match op {
        Operator::I32Load { memarg } => t.load(memarg, I32),
        Operator::I64Load { memarg } => t.load(memarg, I64),
        Operator::F32Load { memarg } => t.load(memarg, F32),
        Operator::F64Load { memarg } => t.load(memarg, F64),
        Operator::I32Load8U { memarg } => t.load_extend(memarg, Opcode::Uload8, I32),
        Operator::I32Load8S { memarg } => t.load_extend(memarg, Opcode::Sload8, I32),
        Operator::I32Load16U { memarg } => t.load_extend(memarg, Opcode::Uload16, I32),
        Operator::I32Load16S { memarg } => t.load_extend(memarg, Opcode::Sload16, I32),
        Operator::I64Load8U { memarg } => t.load_extend(memarg, Opcode::Uload8, I64),
        Operator::I64Load8S { memarg } => t.load_extend(memarg, Opcode::Sload8, I64),
        Operator::I64Load16U { memarg } => t.load_extend(memarg, Opcode::Uload16, I64),
        Operator::I64Load16S { memarg } => t.load_extend(memarg, Opcode::Sload16, I64),
        Operator::I64Load32U { memarg } => t.load_extend(memarg, Opcode::Uload32, I64),
        Operator::I64Load32S { memarg } => t.load_extend(memarg, Opcode::Sload32, I64),
        Operator::I32Store { memarg } => t.store(memarg, I32),
        Operator::I64Store { memarg } => t.store(memarg, I64),
        Operator::F32Store { memarg } => t.store(memarg, F32),
        Operator::F64Store { memarg } => t.store(memarg, F64),
        Operator::I32Store8 { memarg } | Operator::I64Store8 { memarg } => t.store(memarg, I8),
        Operator::I32Store16 { memarg } | Operator::I64Store16 { memarg } => t.store(memarg, I16),
        Operator::I64Store32 { memarg } => t.store(memarg, I32),
        Operator::MemorySize { mem } => {
            let (id, memory) = t.memory(*mem);
            let (width, page) = (memory.width, memory.page_size_log2);
            let length = t.memory_length(id);
            let page = t.builder.ins().iconst(I64, i64::from(page));
            let pages = t.builder.ins().ushr(length, page);
            t.push_narrowed(pages, index_type(width));
        }
        Operator::MemoryGrow { mem } => {
            let delta = t.pop1();
            let delta = t.index64(delta);
            let (id, memory) = t.memory(*mem);
            let width = memory.width;
            let number = t.builder.ins().iconst(I32, i64::from(id.0));
            let previous = t
                .builtin(Builtin::MemoryGrow, &[number, delta])
                .expect("memory-grow has a result");
            t.push_narrowed(previous, index_type(width));
        }
        Operator::MemoryCopy { dst_mem, src_mem } => t.memory_copy(*dst_mem, *src_mem),
        Operator::MemoryFill { mem } => t.memory_fill(*mem),
        Operator::MemoryInit { data_index, mem } => t.memory_init(*data_index, *mem),
        Operator::DataDrop { data_index } => {
            if let Some(segment) = t.unit.data_segments[*data_index as usize] {
                let field = t.session.layout.root.data_segment(segment);
                let zero = t.builder.ins().iconst(I64, 0);
                t.store_root(zero, field);
            }
        }
        _ => return Ok(false),
    }
    Ok(true)
}

impl Translator<'_, '_> {
    fn load(&mut self, memarg: &MemArg, ty: Type) {
        let at = self.memory_address(memarg, ty.bytes());
        let value = self.builder.ins().load(ty, at.flags, at.base, at.offset);
        self.push1(value);
    }

    /// Loads with the narrow `opcode` and extends to `ty`.
    fn load_extend(&mut self, memarg: &MemArg, opcode: Opcode, ty: Type) {
        let bytes = match opcode {
            Opcode::Uload8 | Opcode::Sload8 => 1,
            Opcode::Uload16 | Opcode::Sload16 => 2,
            _ => 4,
        };
        let at = self.memory_address(memarg, bytes);
        let flags = self.builder.func.dfg.mem_flags.insert_unchecked(at.flags);
        let (load, dfg) = self
            .builder
            .ins()
            .Load(opcode, ty, flags, at.offset.into(), at.base);
        let value = dfg.first_result(load);
        self.push1(value);
    }

    /// Stores the low bits of the topmost value as a `ty`.
    fn store(&mut self, memarg: &MemArg, ty: Type) {
        let value = self.pop1();
        let at = self.memory_address(memarg, ty.bytes());
        let (flags, base, offset) = (at.flags, at.base, at.offset);
        let wide = self.builder.func.dfg.value_type(value) != ty;
        let ins = self.builder.ins();
        match ty {
            types::I8 => ins.istore8(flags, value, base, offset),
            types::I16 => ins.istore16(flags, value, base, offset),
            types::I32 if wide => ins.istore32(flags, value, base, offset),
            _ => ins.store(flags, value, base, offset),
        };
    }

    /// Pushes an `i64` as a value of an index type.
    fn push_narrowed(&mut self, value: Value, ty: Type) {
        let value = match ty {
            types::I64 => value,
            ty => self.builder.ins().ireduce(ty, value),
        };
        self.push1(value);
    }

    fn memory_copy(&mut self, to_memory: u32, from_memory: u32) {
        let (to, from, count) = self.pop3();
        let small = self.small_constant(count);
        let (to, from, count) = (self.index64(to), self.index64(from), self.index64(count));
        let (to_id, _) = self.memory(to_memory);
        let (from_id, _) = self.memory(from_memory);
        let from = self.memory_range(from_id, from, count);
        let to = self.memory_range(to_id, to, count);
        let Some(bytes) = small else {
            self.bulk(Builtin::MemoryMove, &[to, from, count]);
            return;
        };
        // Everything is read before anything is written, since the ranges may overlap.
        let flags = self.checked_flags(from_id);
        let parts: Vec<_> = parts(bytes)
            .map(|(offset, ty)| {
                let value = self.builder.ins().load(ty, flags, from, offset);
                (offset, value)
            })
            .collect();
        let flags = self.checked_flags(to_id);
        for (offset, value) in parts {
            self.builder.ins().store(flags, value, to, offset);
        }
    }

    fn memory_fill(&mut self, memory: u32) {
        let (to, value, count) = self.pop3();
        let small = self.small_constant(count);
        let (to, count) = (self.index64(to), self.index64(count));
        let (id, _) = self.memory(memory);
        let to = self.memory_range(id, to, count);
        let Some(bytes) = small else {
            self.bulk(Builtin::MemorySet, &[to, value, count]);
            return;
        };
        let flags = self.checked_flags(id);
        for (offset, ty) in parts(bytes) {
            let value = self.repeated(value, ty);
            self.builder.ins().store(flags, value, to, offset);
        }
    }

    /// A `ty` whose bytes are all the low byte of an `i32`.
    fn repeated(&mut self, value: Value, ty: Type) -> Value {
        let byte = self.builder.ins().ireduce(types::I8, value);
        match ty {
            types::I8 => byte,
            types::I8X16 => self.builder.ins().splat(types::I8X16, byte),
            ty => {
                let wide = self.builder.ins().uextend(ty, byte);
                let ones = 0x0101_0101_0101_0101u64 >> (64 - ty.bits());
                let ones = self.builder.ins().iconst(ty, ones.cast_signed());
                self.builder.ins().imul(wide, ones)
            }
        }
    }

    fn memory_init(&mut self, segment: u32, memory: u32) {
        let (to, from, count) = self.pop3();
        let (to, from, count) = (self.index64(to), self.index64(from), self.index64(count));
        let segment = self.unit.data_segments[segment as usize];
        let length = match segment {
            Some(id) => self.load_root(self.session.layout.root.data_segment(id)),
            None => self.builder.ins().iconst(types::I64, 0),
        };
        self.check_range(from, count, length, TrapCode::MemoryOutOfBounds);
        let (id, _) = self.memory(memory);
        let to = self.memory_range(id, to, count);
        let Some(segment) = segment else {
            return; // Nothing was asked for, or it has trapped.
        };
        let start = codegen::data_address(&mut self.builder, DataKey::DataSegment(segment));
        let from = self.builder.ins().iadd(start, from);
        self.bulk(Builtin::MemoryMove, &[to, from, count]);
    }

    /// The value of a constant that is small enough for code in line.
    fn small_constant(&self, value: Value) -> Option<u64> {
        self.known_index(value)
            .filter(|bytes| *bytes <= INLINE_BYTES)
    }

    /// Flags of accesses to a memory whose bounds were checked.
    fn checked_flags(&mut self, memory: MemoryId) -> MemFlagsData {
        let flags = MemFlagsData::new()
            .with_endianness(ir::Endianness::Little)
            .with_notrap();
        Region::Memory(memory).flags(self.builder.func, flags)
    }
}

/// Splits a number of bytes into accesses: offsets and types, large ones first.
fn parts(bytes: u64) -> impl Iterator<Item = (i32, Type)> {
    let sizes = [types::I8X16, types::I64, types::I32, types::I16, types::I8];
    let mut offset = 0;
    std::iter::from_fn(move || {
        let left = bytes - u64::from(offset);
        let ty = sizes.into_iter().find(|ty| u64::from(ty.bytes()) <= left)?;
        let at = offset;
        offset += ty.bytes();
        Some((at as i32, ty))
    })
}
