//! How a unit reaches its memories, tables and globals: everything that follows from their binding.
//!
//! Entities of the unit's own slab are at constant offsets from the context pointer; those of other
//! slabs at a constant distance from it. What steers the host (lengths of memories and growable
//! tables, segments) is in the root of slab 0, which is at a constant distance too.

use super::{Address, Translator};
use crate::codegen::{self, Region};
use crate::component::layout::{GlobalPlace, Layout};
use cranelift_codegen::cursor::{Cursor, FuncCursor};
use cranelift_codegen::ir::{
    self, FuncRef, InstBuilder, InstructionData, MemFlagsData, SigRef, Type, Value, types,
};
use std::collections::HashMap;
use trampette_artifact::canonical::PointerWidth;
use trampette_artifact::ids::{GlobalId, MemoryId, SlabId, TableId};
use trampette_artifact::key::DataKey;
use trampette_artifact::layout::{MEMORY_GUARD, ROOT_DISTANCE, RootOffset, WASM_PAGE};
use trampette_artifact::metadata;
use trampette_artifact::trap::TrapCode;

/// What a function has declared or materialised already.
#[derive(Default)]
pub(super) struct Cache {
    root: Option<Value>,
    function_table: Option<ir::GlobalValue>,
    /// Callable functions by the module's index.
    pub(super) functions: HashMap<u32, FuncRef>,
    /// Signatures by the module's type index.
    pub(super) signatures: HashMap<u32, SigRef>,
    memory_flags: Option<(MemoryId, MemFlagsData)>,
}

/// A table as code sees it.
#[derive(Clone, Copy)]
pub(super) struct TableAccess {
    /// Which.
    pub(super) id: TableId,
    /// The address of entry 0.
    pub(super) base: Value,
    /// The current length in entries, an `i64`.
    pub(super) length: Value,
}

impl Translator<'_, '_> {
    /// The context pointer of a slab, which is also the base of its memory.
    pub(super) fn slab_context(&mut self, slab: SlabId) -> Value {
        self.at_distance(Layout::distance(self.unit.slab, slab))
    }

    /// The address at a constant distance from the context.
    fn at_distance(&mut self, distance: i64) -> Value {
        if distance == 0 {
            return self.context;
        }
        let distance = self.builder.ins().iconst(types::I64, distance);
        self.builder.ins().iadd(self.context, distance)
    }

    /// The address of slab 0's root. It is computed in the entry block, on first use.
    fn root(&mut self) -> Value {
        if let Some(root) = self.entities.root {
            return root;
        }
        let distance = Layout::distance(self.unit.slab, SlabId(0)) + RootOffset(0).from_context();
        let entry = self.entry;
        let mut cursor = FuncCursor::new(self.builder.func).at_first_insertion_point(entry);
        let distance = cursor.ins().iconst(types::I64, distance);
        let root = cursor.ins().iadd(self.context, distance);
        self.entities.root = Some(root);
        root
    }

    /// Loads a `u64` of slab 0's root.
    pub(super) fn load_root(&mut self, field: RootOffset) -> Value {
        let root = self.root();
        let flags = Region::Root.trusted(self.builder.func);
        self.builder
            .ins()
            .load(types::I64, flags, root, root_displacement(field))
    }

    /// Stores a `u64` of slab 0's root.
    pub(super) fn store_root(&mut self, value: Value, field: RootOffset) {
        let root = self.root();
        let flags = Region::Root.trusted(self.builder.func);
        self.builder
            .ins()
            .store(flags, value, root, root_displacement(field));
    }

    /// The address of the function table.
    pub(super) fn function_table(&mut self) -> Value {
        if let Some(global) = self.entities.function_table {
            return self.builder.ins().symbol_value(types::I64, global);
        }
        let address = codegen::data_address(&mut self.builder, DataKey::FunctionTable);
        let dfg = &self.builder.func.dfg;
        if let Some(inst) = dfg.value_def(address).inst()
            && let InstructionData::UnaryGlobalValue { global_value, .. } = dfg.insts[inst]
        {
            self.entities.function_table = Some(global_value);
        }
        address
    }

    /// A memory of the unit by the module's index.
    pub(super) fn memory(&self, index: u32) -> (MemoryId, &metadata::Memory) {
        let id = self.unit.memories[index as usize];
        (id, &self.session.layout.memories[id.index()])
    }

    /// The address of a memory's byte 0.
    pub(super) fn memory_base(&mut self, memory: MemoryId) -> Value {
        let slab = self.session.layout.memories[memory.index()].slab;
        self.slab_context(slab)
    }

    /// The current length of a memory in bytes, an `i64`.
    pub(super) fn memory_length(&mut self, memory: MemoryId) -> Value {
        self.load_root(self.session.layout.root.memory(memory))
    }

    /// Flags of accesses to a memory: they trap.
    pub(super) fn memory_flags(&mut self, memory: MemoryId) -> MemFlagsData {
        match self.entities.memory_flags {
            Some((id, flags)) if id == memory => flags,
            _ => {
                let flags = MemFlagsData::new()
                    .with_endianness(ir::Endianness::Little)
                    .with_trap_code(Some(codegen::clif_trap(TrapCode::MemoryOutOfBounds)));
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

    /// Where a load or store goes. Guard pages check what they can; the rest is checked here.
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
        let guarded = has_guard_pages(memory);
        let flags = self.memory_flags(id);
        let index = self.index64(index);
        let end = memarg.offset.checked_add(access_bytes.into());
        let immediate = i32::try_from(memarg.offset).ok();
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
        let end = self
            .builder
            .ins()
            .uadd_overflow_trap(index, constant, trap);
        let length = self.memory_length(id);
        let outside = self
            .builder
            .ins()
            .icmp(ir::condcodes::IntCC::UnsignedGreaterThan, end, length);
        self.builder.ins().trapnz(outside, trap);
        let base = self.memory_base(id);
        let base = self.builder.ins().iadd(base, index);
        let (base, offset) = match immediate {
            Some(offset) => (base, offset),
            None => {
                let offset = self
                    .builder
                    .ins()
                    .iconst(types::I64, memarg.offset.cast_signed());
                (self.builder.ins().iadd(base, offset), 0)
            }
        };
        Address {
            base,
            offset,
            flags,
        }
    }

    /// A table of the unit by the module's index.
    pub(super) fn table(&mut self, index: u32) -> TableAccess {
        let id = self.unit.tables[index as usize];
        let table = &self.session.layout.tables[id.index()];
        let (slab, offset, minimum) = (table.slab, table.offset, table.minimum);
        let length = if table.growable {
            self.load_root(self.session.layout.root.table(id))
        } else {
            self.builder.ins().iconst(types::I64, minimum.cast_signed())
        };
        let base =
            self.at_distance(Layout::distance(self.unit.slab, slab) + i64::from(offset));
        TableAccess { id, base, length }
    }

    /// The address of a table's entry; traps with `trap` if there is none.
    pub(super) fn table_entry(
        &mut self,
        table: TableAccess,
        index: Value,
        trap: TrapCode,
    ) -> Value {
        let index = self.index64(index);
        let outside = self.builder.ins().icmp(
            ir::condcodes::IntCC::UnsignedGreaterThanOrEqual,
            index,
            table.length,
        );
        self.builder
            .ins()
            .trapnz(outside, codegen::clif_trap(trap));
        let two = self.builder.ins().iconst(types::I64, 2);
        let offset = self.builder.ins().ishl(index, two);
        self.builder.ins().iadd(table.base, offset)
    }

    /// The base, displacement and flags of a global in a context.
    pub(super) fn global_in_context(
        &mut self,
        id: GlobalId,
        slab: SlabId,
        offset: i32,
    ) -> (Value, i32, MemFlagsData) {
        let base = self.slab_context(slab);
        let flags = Region::Global(id).trusted(self.builder.func);
        (base, offset, flags)
    }

    /// Where a global of the unit is, by the module's index.
    pub(super) fn global(&self, index: u32) -> (GlobalId, GlobalPlace) {
        let id = self.unit.globals[index as usize];
        (id, self.session.layout.globals[id.index()])
    }
}

/// Whether accesses of a memory need no check while their offsets are small: the reservation holds
/// every 32-bit address, and its length is a multiple of the page size that guards it.
pub(super) fn has_guard_pages(memory: &metadata::Memory) -> bool {
    memory.width == PointerWidth::P32 && !memory.shared && 1 << memory.page_size_log2 == WASM_PAGE
}

fn root_displacement(field: RootOffset) -> i32 {
    i32::try_from(field.0).expect("roots are smaller than 2 GiB")
}

const _: () = assert!(ROOT_DISTANCE <= i64::MAX as u64);

/// The CLIF type of memory and table indices of a width.
pub(super) fn index_type(width: PointerWidth) -> Type {
    match width {
        PointerWidth::P32 => types::I32,
        PointerWidth::P64 => types::I64,
    }
}
