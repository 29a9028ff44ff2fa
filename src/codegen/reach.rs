//! [`Reach`]: how compiled code gets from its own context to everything else, for core functions
//! and trampolines alike.
//!
//! Contexts and memories of all slabs stand at constant distances from each other, and the root of
//! slab 0 at one from them. What steers the host is in that root, where no guest can write.

use super::{Region, Session};
use crate::layout::Layout;
use cranelift_codegen::cursor::{Cursor, FuncCursor};
use cranelift_codegen::ir::{Block, InstBuilder, Type, Value, types};
use cranelift_frontend::FunctionBuilder;
use std::mem::offset_of;
use trampette_artifact::ids::{MemoryId, SharedMemoryId, SlabId};
use trampette_artifact::layout::{RootOffset, SharedMemoryState};
use trampette_artifact::metadata::MemoryPlace;

/// What is at a constant distance from a function's context.
#[derive(Debug)]
pub(crate) struct Reach {
    /// The slab of the context that the function takes.
    home: SlabId,
    context: Value,
    /// The function's first block, which is in its layout.
    entry: Block,
    /// The address of slab 0's root, once something has needed it.
    root: Option<Value>,
}

impl Reach {
    /// From the `context` of `home`, which the function whose first block is `entry` takes.
    pub(crate) fn new(home: SlabId, context: Value, entry: Block) -> Reach {
        Reach {
            home,
            context,
            entry,
            root: None,
        }
    }

    /// The address of slab 0's root, computed in the function's first block.
    ///
    /// The distance does not fit a displacement, so it is materialised once; the fields are then
    /// reached with small displacements ([`RootOffset`] as the offset of a load or store).
    pub(crate) fn root(&mut self, builder: &mut FunctionBuilder<'_>) -> Value {
        if let Some(root) = self.root {
            return root;
        }
        let distance = Layout::distance(self.home, SlabId(0)) + RootOffset(0).from_context();
        let mut cursor = FuncCursor::new(builder.func).at_first_insertion_point(self.entry);
        let distance = cursor.ins().iconst(types::I64, distance);
        let root = cursor.ins().iadd(self.context, distance);
        self.root = Some(root);
        root
    }

    /// Loads a field of slab 0's root.
    pub(crate) fn load_root(
        &mut self,
        builder: &mut FunctionBuilder<'_>,
        ty: Type,
        field: RootOffset,
    ) -> Value {
        let root = self.root(builder);
        let flags = Region::Root.trusted(builder.func);
        builder.ins().load(ty, flags, root, displacement(field))
    }

    /// Stores a field of slab 0's root.
    pub(crate) fn store_root(
        &mut self,
        builder: &mut FunctionBuilder<'_>,
        value: Value,
        field: RootOffset,
    ) {
        let root = self.root(builder);
        let flags = Region::Root.trusted(builder.func);
        builder.ins().store(flags, value, root, displacement(field));
    }

    /// The address at a constant distance from the context.
    pub(crate) fn at_distance(&self, builder: &mut FunctionBuilder<'_>, distance: i64) -> Value {
        if distance == 0 {
            return self.context;
        }
        let distance = builder.ins().iconst(types::I64, distance);
        builder.ins().iadd(self.context, distance)
    }

    /// The context pointer of a slab, which is also the base of its memory.
    pub(crate) fn slab_context(&self, builder: &mut FunctionBuilder<'_>, slab: SlabId) -> Value {
        self.at_distance(builder, Layout::distance(self.home, slab))
    }

    /// The address of a memory's byte 0.
    pub(crate) fn memory_base(
        &mut self,
        builder: &mut FunctionBuilder<'_>,
        session: &Session<'_>,
        memory: MemoryId,
    ) -> Value {
        match session.layout.memories[memory].place {
            MemoryPlace::Slab(slab) => self.slab_context(builder, slab),
            MemoryPlace::Shared(id) => {
                self.load_shared(builder, session, id, offset_of!(SharedMemoryState, base))
            }
        }
    }

    /// The current length of a memory in bytes, as `i64`: trusted, and a constant if nothing grows
    /// it.
    pub(crate) fn memory_length(
        &mut self,
        builder: &mut FunctionBuilder<'_>,
        session: &Session<'_>,
        memory: MemoryId,
    ) -> Value {
        if let Some(length) = session.layout.constant_memory_length(memory) {
            return builder.ins().iconst(types::I64, length.cast_signed());
        }
        if let Some(id) = session.layout.memories[memory].shared() {
            // Others may let it grow.
            let field = offset_of!(SharedMemoryState, length);
            let length = self.load_shared(builder, session, id, field);
            let flags = Region::Root.trusted(builder.func);
            return builder.ins().atomic_load(types::I64, flags, length);
        }
        self.load_root(builder, types::I64, session.layout.root.memory(memory))
    }

    /// Loads what the runtime says of a memory that is shared between threads.
    fn load_shared(
        &mut self,
        builder: &mut FunctionBuilder<'_>,
        session: &Session<'_>,
        id: SharedMemoryId,
        field: usize,
    ) -> Value {
        let root = self.root(builder);
        // The runtime writes it once, before any code runs.
        let flags = Region::Root.trusted(builder.func).with_readonly();
        let field = RootOffset(session.layout.root.shared_memory(id).0 + field as u32);
        let flags = flags.with_can_move();
        let displacement = displacement(field);
        builder.ins().load(types::I64, flags, root, displacement)
    }
}

fn displacement(field: RootOffset) -> i32 {
    i32::try_from(field.0).expect("roots are smaller than 2 GiB")
}
