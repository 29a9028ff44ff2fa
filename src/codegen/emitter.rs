//! [`Emitter`]: a CLIF function builder that knows the component: its contexts, roots and memories.
//!
//! Every trampoline is emitted through it. The function's first parameter is the context of slab 0;
//! roots and other slabs are at constant distances.

use crate::codegen::reach::Reach;
use crate::codegen::{self, Region, Session};
use crate::program::CoreFunc;
use crate::program::module::CoreSignature;
use anyhow::Result;
use cranelift_codegen::ir::{self, InstBuilder, MemFlagsData, Type, Value, types};
use cranelift_frontend::{FunctionBuilder, FunctionBuilderContext};
use trampette_artifact::builtin::Builtin;
use trampette_artifact::ids::{MemoryId, SlabId};
use trampette_artifact::key::FuncKey;
use trampette_artifact::layout::RootOffset;
use trampette_artifact::trap::TrapCode;

/// Emits one trampoline.
pub(crate) struct Emitter<'a, 'f> {
    /// What all producers read.
    pub session: &'a Session<'a>,
    /// The function being built.
    pub builder: FunctionBuilder<'f>,
    /// The context of slab 0.
    pub context: Value,
    reach: Reach,
}

impl<'a, 'f> Emitter<'a, 'f> {
    /// Builds wasm-call code, which checks the stack limit first: `body` gets the parameters after
    /// the context, and ends all blocks.
    ///
    /// # Errors
    /// Those of `body`.
    pub(crate) fn build(
        session: &'a Session<'a>,
        key: FuncKey,
        signature: ir::Signature,
        body: impl FnOnce(&mut Emitter<'a, '_>, Vec<Value>) -> Result<()>,
    ) -> Result<ir::Function> {
        let mut func = codegen::new_function(key, signature);
        codegen::set_stack_limit(&mut func);
        Emitter::fill(session, func, body)
    }

    /// The same without a look at the stack: for entries, which must not trap, and for what needs
    /// next to no stack of its own.
    ///
    /// # Errors
    /// Those of `body`.
    pub(crate) fn build_unlimited(
        session: &'a Session<'a>,
        key: FuncKey,
        signature: ir::Signature,
        body: impl FnOnce(&mut Emitter<'a, '_>, Vec<Value>) -> Result<()>,
    ) -> Result<ir::Function> {
        Emitter::fill(session, codegen::new_function(key, signature), body)
    }

    fn fill(
        session: &'a Session<'a>,
        mut func: ir::Function,
        body: impl FnOnce(&mut Emitter<'a, '_>, Vec<Value>) -> Result<()>,
    ) -> Result<ir::Function> {
        let mut builder_context = FunctionBuilderContext::new();
        let (mut e, params) = Emitter::new(session, &mut func, &mut builder_context);
        body(&mut e, params)?;
        e.finish();
        Ok(func)
    }

    /// Starts in the entry block of `func`, whose signature is set; returns the emitter and the
    /// function's parameters after the context.
    pub(crate) fn new(
        session: &'a Session<'a>,
        func: &'f mut ir::Function,
        builder_context: &'f mut FunctionBuilderContext,
    ) -> (Self, Vec<Value>) {
        let mut builder = FunctionBuilder::new(func, builder_context);
        let block = builder.create_block();
        builder.append_block_params_for_function_params(block);
        codegen::start_block(&mut builder, block);
        builder.ensure_inserted_block();
        let params = builder.block_params(block).to_vec();
        let context = params[0];
        let mut reach = Reach::new(SlabId(0), context, block);
        // Dead if nothing uses it: Cranelift removes it.
        reach.root(&mut builder);
        let e = Emitter {
            session,
            builder,
            context,
            reach,
        };
        (e, params[1..].to_vec())
    }

    /// Seals what is left and ends the function.
    pub(crate) fn finish(mut self) {
        self.builder.seal_all_blocks();
        let config = self.session.isa.frontend_config();
        self.builder.finalize(config);
    }

    /// Goes on in a block that nothing else will jump to.
    pub(crate) fn start(&mut self, block: ir::Block) {
        codegen::start_block(&mut self.builder, block);
    }

    /// The address of slab 0's root.
    pub(crate) fn root(&mut self) -> Value {
        self.reach.root(&mut self.builder)
    }

    /// Loads a field of slab 0's root.
    pub(crate) fn load_root(&mut self, ty: Type, field: RootOffset) -> Value {
        self.reach.load_root(&mut self.builder, ty, field)
    }

    /// Stores a field of slab 0's root.
    pub(crate) fn store_root(&mut self, value: Value, field: RootOffset) {
        self.reach.store_root(&mut self.builder, value, field);
    }

    /// The context pointer of a slab, which is also the base of its memory.
    pub(crate) fn slab_context(&mut self, slab: SlabId) -> Value {
        self.reach.slab_context(&mut self.builder, slab)
    }

    /// The base address of a memory.
    pub(crate) fn memory_base(&mut self, memory: MemoryId) -> Value {
        self.reach
            .memory_base(&mut self.builder, self.session, memory)
    }

    /// The current length of a memory in bytes, as `i64`: trusted, and a constant if nothing grows
    /// it.
    pub(crate) fn memory_length(&mut self, memory: MemoryId) -> Value {
        self.reach
            .memory_length(&mut self.builder, self.session, memory)
    }

    /// Flags of an access to a memory whose bounds were checked.
    pub(crate) fn memory_flags(&mut self, memory: MemoryId) -> MemFlagsData {
        // Guest addresses of values are checked for alignment by the Canonical ABI, not by us here.
        let flags = MemFlagsData::new().with_notrap();
        Region::Memory(memory).flags(self.builder.func, flags)
    }

    /// Flags of an access to native memory of the host.
    pub(crate) fn native_flags(&mut self) -> MemFlagsData {
        Region::Native.trusted(self.builder.func)
    }

    /// An `i32` constant.
    pub(crate) fn i32(&mut self, value: u32) -> Value {
        self.builder.ins().iconst(types::I32, i64::from(value))
    }

    /// An `i64` constant.
    pub(crate) fn i64(&mut self, value: i64) -> Value {
        self.builder.ins().iconst(types::I64, value)
    }

    /// A number of bytes as an `i64` constant.
    ///
    /// # Panics
    /// If it is no number of bytes of any memory.
    pub(crate) fn size(&mut self, bytes: u64) -> Value {
        self.i64(i64::try_from(bytes).expect("sizes of types fit 63 bits"))
    }

    /// Raises `code` if `condition` is not zero.
    pub(crate) fn trap_if(&mut self, condition: Value, code: TrapCode, payload: Option<Value>) {
        codegen::emit_trap_if(&mut self.builder, self.context, condition, code, payload);
    }

    /// Ends the block by raising `code`.
    pub(crate) fn raise(&mut self, code: TrapCode, payload: Option<Value>) {
        codegen::emit_raise(&mut self.builder, self.context, code, payload);
    }

    /// Calls a builtin, as directly as it can be.
    pub(crate) fn builtin(&mut self, builtin: Builtin, args: &[Value]) -> Option<Value> {
        codegen::call_service(&mut self.builder, self.context, builtin, args)
    }

    /// Calls a builtin that gives a value.
    ///
    /// # Panics
    /// If it gives none.
    pub(crate) fn value_of(&mut self, builtin: Builtin, args: &[Value]) -> Value {
        self.builtin(builtin, args).expect("it has a result")
    }

    /// Calls a copy or a fill of any length.
    pub(crate) fn bulk(&mut self, builtin: Builtin, args: &[Value]) {
        codegen::call_bulk(&mut self.builder, self.context, builtin, args);
    }

    /// Calls a core function by its wasm-call code, with the context of its home slab; returns its
    /// results.
    pub(crate) fn call_core(
        &mut self,
        func: CoreFunc,
        signature: &CoreSignature,
        args: &[Value],
    ) -> Vec<Value> {
        let home = self.session.layout.home(func);
        let context = self.slab_context(home);
        let signature = codegen::wasm_call_signature(signature);
        let callee = codegen::declare_function(self.builder.func, func.key(), signature);
        let mut all = vec![context];
        all.extend(args);
        let call = self.builder.ins().call(callee, &all);
        self.builder.inst_results(call).to_vec()
    }

    /// A new stack slot's address.
    pub(crate) fn stack_slot(&mut self, size: u32, align: u32) -> Value {
        let data = ir::StackSlotData::new(
            ir::StackSlotKind::ExplicitSlot,
            size.max(1),
            align.max(1).trailing_zeros() as u8,
        );
        let slot = self.builder.create_sized_stack_slot(data);
        self.builder.ins().stack_addr(types::I64, slot, 0)
    }
}
