//! How a unit reaches its memories, tables and globals: everything that follows from their binding.
//!
//! Entities of the unit's own slab are at constant offsets from the context pointer; those of other
//! slabs at a constant distance from it. What steers the host (lengths of memories and growable
//! tables, segments) is in the root of slab 0, which is at a constant distance too.

use super::{Address, Translator};
use crate::codegen::{self, Region, known};
use crate::layout::{GlobalPlace, Layout};
use crate::options::{Bounds, Spectre};
use crate::program::module::CoreType;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{self, FuncRef, InstBuilder, MemFlagsData, SigRef, Type, Value, types};
use rustc_hash::FxHashMap;
use trampette_artifact::builtin::Builtin;
use trampette_artifact::canonical::PointerWidth;
use trampette_artifact::ids::{GlobalId, MemoryId, SlabId, TableId};
use trampette_artifact::key::DataKey;
use trampette_artifact::layout::{ContextOffset, MEMORY_GUARD, RootOffset, WASM_PAGE};
use trampette_artifact::metadata;
use trampette_artifact::trap::TrapCode;

/// What a function has declared or materialised already.
#[derive(Default)]
pub(super) struct Cache {
    /// Callable functions by the module's index.
    functions: FxHashMap<u32, FuncRef>,
    /// Signatures by the module's type index.
    signatures: FxHashMap<u32, SigRef>,
    memory_flags: Option<(MemoryId, MemFlagsData)>,
}

/// log2 of a table entry's bytes.
pub(super) const TABLE_ENTRY_SIZE_LOG2: u32 = 2;

impl Translator<'_, '_> {
    /// The context pointer of a slab, which is also the base of its memory.
    pub(super) fn slab_context(&mut self, slab: SlabId) -> Value {
        self.reach.slab_context(&mut self.builder, slab)
    }

    /// Loads a `u64` of slab 0's root.
    pub(super) fn load_root(&mut self, field: RootOffset) -> Value {
        self.reach.load_root(&mut self.builder, types::I64, field)
    }

    /// Stores a `u64` of slab 0's root.
    pub(super) fn store_root(&mut self, value: Value, field: RootOffset) {
        self.reach.store_root(&mut self.builder, value, field);
    }

    /// A function of the unit by the module's index, callable, and the context that it takes.
    pub(super) fn callee(&mut self, index: u32) -> (FuncRef, Value) {
        let func = self.unit.functions[index as usize];
        let context = self.slab_context(self.session.layout.home(func));
        if let Some(callee) = self.entities.functions.get(&index) {
            return (*callee, context);
        }
        let signature = codegen::wasm_call_signature(self.module.signature(index));
        let callee = codegen::declare_function(self.builder.func, func.key(), signature);
        self.entities.functions.insert(index, callee);
        (callee, context)
    }

    /// The wasm-call signature of a function type of the module.
    pub(super) fn signature(&mut self, type_index: u32) -> SigRef {
        if let Some(signature) = self.entities.signatures.get(&type_index) {
            return *signature;
        }
        let signature = codegen::wasm_call_signature(&self.module.types[type_index as usize]);
        let signature = self.builder.import_signature(signature);
        self.entities.signatures.insert(type_index, signature);
        signature
    }

    /// Calls a service of the runtime.
    pub(super) fn builtin(&mut self, builtin: Builtin, args: &[Value]) -> Option<Value> {
        self.makes_calls = true;
        codegen::call_service(&mut self.builder, self.context, builtin, args)
    }

    /// Calls a copy or a fill.
    pub(super) fn bulk(&mut self, builtin: Builtin, args: &[Value]) {
        self.makes_calls = true;
        codegen::call_bulk(&mut self.builder, self.context, builtin, args);
    }

    /// The address of the function table.
    pub(super) fn function_table(&mut self) -> Value {
        codegen::data_address(&mut self.builder, DataKey::FunctionTable)
    }

    /// A memory of the unit by the module's index.
    pub(super) fn memory(&self, index: u32) -> (MemoryId, &metadata::Memory) {
        let id = self.unit.memories[index as usize];
        (id, &self.session.layout.memories[id])
    }

    /// The address of a memory's byte 0.
    pub(super) fn memory_base(&mut self, memory: MemoryId) -> Value {
        self.reach
            .memory_base(&mut self.builder, self.session, memory)
    }

    /// The current length of a memory in bytes, an `i64`.
    pub(super) fn memory_length(&mut self, memory: MemoryId) -> Value {
        self.reach
            .memory_length(&mut self.builder, self.session, memory)
    }

    /// Flags of accesses to a memory: they trap.
    pub(super) fn memory_flags(&mut self, memory: MemoryId) -> MemFlagsData {
        match self.entities.memory_flags {
            Some((id, flags)) if id == memory => flags,
            _ => {
                let flags = MemFlagsData::new()
                    .with_endianness(ir::Endianness::Little)
                    .with_trap_code(Some(codegen::clif_trap(TrapCode::MemoryOutOfBounds)));
                let flags = match self.session.layout.is_never_written(memory) {
                    true => flags.with_readonly(),
                    false => flags,
                };
                let flags = Region::Memory(memory).flags(self.builder.func, flags);
                self.entities.memory_flags = Some((memory, flags));
                flags
            }
        }
    }

    /// An index of a memory or table as `i64`.
    pub(super) fn index64(&mut self, index: Value) -> Value {
        if self.builder.func.dfg.value_type(index) == types::I64 {
            index
        } else {
            self.builder.ins().uextend(types::I64, index)
        }
    }

    /// Where a load or store goes. What is in a memory of the minimal length cannot trap; else
    /// guard pages check what they can; the rest is checked here.
    pub(super) fn access(
        &mut self,
        index: Value,
        memarg: &wasmparser::MemArg,
        access_bytes: u32,
    ) -> Address {
        let wasmparser::MemArgTarget::Memory(memory) = memarg.target else {
            unreachable!("modules with array types are refused when they are parsed");
        };
        let (id, memory) = self.memory(memory);
        let guarded = has_guard_pages(memory) && self.session.bounds == Bounds::Guard;
        let smallest = memory.minimum.checked_mul(1 << memory.page_size_log2);
        let flags = self.memory_flags(id);
        let constant_index = self.known_index(index);
        let index = self.index64(index);
        let end = memarg.offset.checked_add(access_bytes.into());
        let immediate = i32::try_from(memarg.offset).ok();
        if let (Some(constant), Some(end), Some(smallest), Some(offset)) =
            (constant_index, end, smallest, immediate)
            && constant.checked_add(end).is_some_and(|end| end <= smallest)
        {
            let base = self.memory_base(id);
            let base = self.builder.ins().iadd(base, index);
            return Address {
                base,
                offset,
                flags: flags.with_notrap(),
            };
        }
        if let (true, Some(end), Some(offset)) = (guarded, end, immediate)
            && end <= MEMORY_GUARD
        {
            let base = self.memory_base(id);
            let base = self.builder.ins().iadd(base, index);
            return Address {
                base,
                offset,
                flags,
            };
        }
        let trap = codegen::clif_trap(TrapCode::MemoryOutOfBounds);
        // An offset that leaves no room for the access is beyond every memory.
        let constant = self
            .builder
            .ins()
            .iconst(types::I64, end.unwrap_or(u64::MAX).cast_signed());
        let end = self.builder.ins().uadd_overflow_trap(index, constant, trap);
        let length = self.memory_length(id);
        let outside = self
            .builder
            .ins()
            .icmp(IntCC::UnsignedGreaterThan, end, length);
        self.builder.ins().trapnz(outside, trap);
        let start = self.memory_base(id);
        let base = self.builder.ins().iadd(start, index);
        let spectre = self.memory_spectre();
        let (base, offset) = match immediate {
            Some(offset) if spectre == Spectre::Ignored => (base, offset),
            _ => {
                let offset = self
                    .builder
                    .ins()
                    .iconst(types::I64, memarg.offset.cast_signed());
                let address = self.builder.ins().iadd(base, offset);
                (self.guarded(spectre, outside, start, address), 0)
            }
        };
        Address {
            base,
            offset,
            flags,
        }
    }

    /// Checks that `count` bytes from `start` are in a memory, both `i64`s; returns the native
    /// address of the first.
    pub(super) fn memory_range(&mut self, memory: MemoryId, start: Value, count: Value) -> Value {
        let length = self.memory_length(memory);
        let outside = self.check_range(start, count, length, TrapCode::MemoryOutOfBounds);
        let base = self.memory_base(memory);
        let address = self.builder.ins().iadd(base, start);
        let spectre = self.memory_spectre();
        self.guarded(spectre, outside, base, address)
    }

    /// Whether accesses to memories that code checks are guarded against speculation.
    fn memory_spectre(&self) -> Spectre {
        match self
            .session
            .isa
            .flags()
            .enable_heap_access_spectre_mitigation()
        {
            true => Spectre::Mitigated,
            false => Spectre::Ignored,
        }
    }

    /// The same for accesses to tables.
    pub(super) fn table_spectre(&self) -> Spectre {
        match self
            .session
            .isa
            .flags()
            .enable_table_access_spectre_mitigation()
        {
            true => Spectre::Mitigated,
            false => Spectre::Ignored,
        }
    }

    /// What is accessed behind a bounds check: the address, or `start` where the processor
    /// speculates that nothing is `outside` and something is.
    pub(super) fn guarded(
        &mut self,
        spectre: Spectre,
        outside: Value,
        start: Value,
        address: Value,
    ) -> Value {
        match spectre {
            Spectre::Mitigated => self
                .builder
                .ins()
                .select_spectre_guard(outside, start, address),
            Spectre::Ignored => address,
        }
    }

    /// Traps unless `start + count <= length`; all are `i64`s. Returns the condition of the trap.
    pub(super) fn check_range(
        &mut self,
        start: Value,
        count: Value,
        length: Value,
        trap: TrapCode,
    ) -> Value {
        let trap = codegen::clif_trap(trap);
        let end = if self.is_narrow(start) && self.is_narrow(count) {
            self.builder.ins().iadd(start, count)
        } else {
            self.builder.ins().uadd_overflow_trap(start, count, trap)
        };
        let outside = self
            .builder
            .ins()
            .icmp(IntCC::UnsignedGreaterThan, end, length);
        self.builder.ins().trapnz(outside, trap);
        outside
    }

    /// Whether an `i64` is known to be below 2^32 by how it was made.
    fn is_narrow(&self, value: Value) -> bool {
        let dfg = &self.builder.func.dfg;
        dfg.value_def(value)
            .inst()
            .is_some_and(|inst| dfg.insts[inst].opcode() == ir::Opcode::Uextend)
    }

    /// A table of the unit by the module's index.
    pub(super) fn table(&self, index: u32) -> (TableId, &metadata::Table) {
        let id = self.unit.tables[index as usize];
        (id, &self.session.layout.tables[id])
    }

    /// The current length of a table in entries, an `i64`.
    pub(super) fn table_length(&mut self, index: u32) -> Value {
        let (id, table) = self.table(index);
        if table.growable {
            self.load_root(self.session.layout.root.table(id))
        } else {
            let length = table.minimum.cast_signed();
            self.builder.ins().iconst(types::I64, length)
        }
    }

    /// Traps unless an index of any index type is below the length of a table, which may be a
    /// constant. Returns the condition of the trap.
    pub(super) fn check_table_index(
        &mut self,
        table: u32,
        index: Value,
        constant: Option<u64>,
        trap: TrapCode,
    ) -> Value {
        let ty = self.builder.func.dfg.value_type(index);
        let (index, length) = match constant {
            // Nothing is extended for the sake of a comparison.
            Some(length) if ty == types::I64 || u32::try_from(length).is_ok() => {
                let length = self.builder.ins().iconst(ty, length.cast_signed());
                (index, length)
            }
            _ => (self.index64(index), self.table_length(table)),
        };
        let outside = self
            .builder
            .ins()
            .icmp(IntCC::UnsignedGreaterThanOrEqual, index, length);
        self.builder.ins().trapnz(outside, codegen::clif_trap(trap));
        outside
    }

    /// The unsigned value of an index that is a constant.
    pub(super) fn known_index(&self, index: Value) -> Option<u64> {
        known::unsigned(&self.builder.func.dfg, index)
    }

    /// Where entry `index` of a table is, of any index type; traps with `trap` if there is none.
    pub(super) fn table_entry(&mut self, table: u32, index: Value, trap: TrapCode) -> Address {
        let (id, layout) = self.table(table);
        let (slab, offset) = (layout.slab, layout.offset);
        let constant = (!layout.growable).then_some(layout.minimum);
        let outside = self.check_table_index(table, index, constant, trap);
        let index = self.index64(index);
        let context = self.slab_context(slab);
        let bytes = self.scaled(index, TABLE_ENTRY_SIZE_LOG2);
        let mut base = self.builder.ins().iadd(context, bytes);
        base = self.guarded(self.table_spectre(), outside, context, base);
        Address {
            base,
            offset,
            flags: Region::Table(id).trusted(self.builder.func),
        }
    }

    /// Checks that `count` entries from `start` are in a table, both `i64`s; returns the native
    /// address of the first.
    pub(super) fn table_range(&mut self, table: u32, start: Value, count: Value) -> Value {
        let length = self.table_length(table);
        let outside = self.check_range(start, count, length, TrapCode::TableAccessOutOfBounds);
        let (_, layout) = self.table(table);
        let distance = Layout::distance(self.unit.slab, layout.slab) + i64::from(layout.offset);
        let base = self.reach.at_distance(&mut self.builder, distance);
        let bytes = self.scaled(start, TABLE_ENTRY_SIZE_LOG2);
        let address = self.builder.ins().iadd(base, bytes);
        let spectre = self.table_spectre();
        self.guarded(spectre, outside, base, address)
    }

    /// An `i64` times a power of two.
    pub(super) fn scaled(&mut self, value: Value, log2: u32) -> Value {
        let log2 = self.builder.ins().iconst(types::I64, i64::from(log2));
        self.builder.ins().ishl(value, log2)
    }

    /// Where a global is that lives in a context.
    pub(super) fn global_address(
        &mut self,
        id: GlobalId,
        slab: SlabId,
        offset: ContextOffset,
        ty: CoreType,
    ) -> Address {
        // Nothing says that vectors are aligned to their size.
        let flags = match ty {
            CoreType::V128 => MemFlagsData::new().with_notrap(),
            _ => MemFlagsData::trusted(),
        };
        Address {
            base: self.slab_context(slab),
            offset: offset.0,
            flags: Region::Global(id).flags(self.builder.func, flags),
        }
    }

    /// Where a global of the unit is, by the module's index.
    pub(super) fn global(&self, index: u32) -> (GlobalId, GlobalPlace) {
        let id = self.unit.globals[index as usize];
        (id, self.session.layout.globals[id])
    }
}

/// Whether accesses of a memory need no check while their offsets are small: the reservation holds
/// every 32-bit address, and its length is a multiple of the page size that guards it.
pub(super) fn has_guard_pages(memory: &metadata::Memory) -> bool {
    memory.width == PointerWidth::P32 && 1 << memory.page_size_log2 == WASM_PAGE
}

/// The CLIF type of memory and table indices of a width.
pub(super) fn index_type(width: PointerWidth) -> Type {
    codegen::clif_type(CoreType::pointer(width))
}
