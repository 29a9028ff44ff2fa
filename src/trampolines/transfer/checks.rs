//! The one place where pointers, lengths and alignments that a guest supplied are checked: before
//! anything is read through them, and again for whatever `realloc` returns.
//!
//! All guest pointers and lengths are handled as `i64` here, zero-extended from 32-bit memories. A
//! check turns a guest pointer into a native address; nothing else in the engine does. Lengths of
//! memories are loaded from the root, where no guest can write. No memory ever moves or shrinks, so
//! an address once checked stays good across calls into the guest.

use super::{Guest, Side};
use crate::codegen::emitter::Emitter;
use crate::program::module::CoreSignature;
use crate::trampolines::cells;
use anyhow::{Result, ensure};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{InstBuilder, Value, types};
use trampette_artifact::canonical::{PointerWidth, SizeAlign};
use trampette_artifact::trap::TrapCode;

/// What to raise for a range of linear memory that is not good.
#[derive(Clone, Copy, Debug)]
pub(super) struct RangeTraps {
    bounds: TrapCode,
    alignment: TrapCode,
}

/// A string of the guest.
pub(super) const STRING: RangeTraps = RangeTraps {
    bounds: TrapCode::StringOutOfBounds,
    alignment: TrapCode::UnalignedPointer,
};

/// A string that one guest passes to another, at either end.
pub(super) const PASSED_STRING: RangeTraps = RangeTraps {
    bounds: TrapCode::StringContentOutOfBounds,
    alignment: TrapCode::UnalignedPointer,
};

/// A list of the guest; between guests, at either end.
pub(super) const LIST: RangeTraps = RangeTraps {
    bounds: TrapCode::ListOutOfBounds,
    alignment: TrapCode::UnalignedPointer,
};

/// A tuple of parameters or results; between guests, at either end.
pub(super) const TUPLE: RangeTraps = RangeTraps {
    bounds: TrapCode::PointerOutOfBounds,
    alignment: TrapCode::UnalignedPointer,
};

/// What `realloc` returned for a value of the host.
pub(super) const REALLOC: RangeTraps = RangeTraps {
    bounds: TrapCode::ReallocOutOfBounds,
    alignment: TrapCode::ReallocUnaligned,
};

/// Checks that `bytes` (`i64`, at most 2^62) bytes at `pointer` (`i64`, zero-extended) are aligned
/// and in bounds, in the order of the specification. Returns their native address.
pub(super) fn checked_range(
    e: &mut Emitter<'_, '_>,
    guest: Guest<'_>,
    pointer: Value,
    bytes: Value,
    align: u32,
    traps: RangeTraps,
) -> Result<Value> {
    let memory = guest.memory()?;
    if align > 1 {
        let mask = e.i64(i64::from(align) - 1);
        let misaligned = e.builder.ins().band(pointer, mask);
        e.trap_if(misaligned, traps.alignment, None);
    }
    let length = e.memory_length(memory);
    let outside = match guest.width() {
        // Neither term exceeds 2^62, so the sum cannot wrap.
        PointerWidth::P32 => {
            let end = e.builder.ins().iadd(pointer, bytes);
            e.builder
                .ins()
                .icmp(IntCC::UnsignedGreaterThan, end, length)
        }
        PointerWidth::P64 => {
            let too_long = e
                .builder
                .ins()
                .icmp(IntCC::UnsignedGreaterThan, bytes, length);
            let room = e.builder.ins().isub(length, bytes);
            let beyond = e
                .builder
                .ins()
                .icmp(IntCC::UnsignedGreaterThan, pointer, room);
            e.builder.ins().bor(too_long, beyond)
        }
    };
    e.trap_if(outside, traps.bounds, None);
    let base = e.memory_base(memory);
    Ok(e.builder.ins().iadd(base, pointer))
}

/// Checks the pointer (a core value of the guest's width) to a tuple of parameters or results.
/// Returns its native address.
///
/// # Errors
/// If the guest has no memory.
pub(crate) fn checked_tuple(
    e: &mut Emitter<'_, '_>,
    guest: Guest<'_>,
    pointer: Value,
    layout: SizeAlign,
) -> Result<Value> {
    let pointer = extend_pointer(e, guest, pointer);
    let bytes = size_in_memory(e, guest, layout)?;
    checked_range(e, guest, pointer, bytes, layout.align, TUPLE)
}

/// Raises `code` if `count` (`i64`) elements of that size are more than `limit` bytes. Afterwards
/// their size in bytes is below 2^32, so it can be multiplied without overflow.
pub(super) fn limit_count(
    e: &mut Emitter<'_, '_>,
    count: Value,
    element_size: u64,
    limit: u32,
    code: TrapCode,
) {
    let most = e.size(u64::from(limit) / element_size.max(1));
    let too_many = e
        .builder
        .ins()
        .icmp(IntCC::UnsignedGreaterThan, count, most);
    e.trap_if(too_many, code, None);
}

/// Memory that `realloc` returned, checked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Block {
    /// The guest's pointer, as `i64`.
    pub pointer: Value,
    /// The native address.
    pub address: Value,
}

impl Block {
    /// The pointer as a core value of the guest's width.
    pub(crate) fn core_pointer(&self, e: &mut Emitter<'_, '_>, guest: Guest<'_>) -> Value {
        wrap_pointer(e, guest, self.pointer)
    }
}

/// `cx.allocate`: new memory for a tuple of parameters, checked.
///
/// # Errors
/// If the guest has no memory or no `realloc`, or its memory can never hold the tuple.
pub(crate) fn allocate(
    e: &mut Emitter<'_, '_>,
    guest: Guest<'_>,
    layout: SizeAlign,
) -> Result<Block> {
    let bytes = size_in_memory(e, guest, layout)?;
    allocate_for(e, guest, layout.align, bytes, REALLOC)
}

/// The size of a tuple, which a memory of the guest's width can hold: all that lies in it has an
/// address then.
///
/// # Errors
/// If it cannot. Flattening has refused such functions.
fn size_in_memory(e: &mut Emitter<'_, '_>, guest: Guest<'_>, layout: SizeAlign) -> Result<Value> {
    let (size, width) = (layout.size, guest.width());
    ensure!(
        size <= width.most_bytes(),
        "a tuple of {size} bytes is larger than any memory with {}-bit addresses",
        8 * width.bytes()
    );
    Ok(e.size(size))
}

/// [`allocate`] for a tuple of parameters that another guest passes.
///
/// # Errors
/// As [`allocate`].
pub(crate) fn allocate_tuple(
    e: &mut Emitter<'_, '_>,
    guest: Guest<'_>,
    layout: SizeAlign,
) -> Result<Block> {
    let bytes = size_in_memory(e, guest, layout)?;
    allocate_for(e, guest, layout.align, bytes, TUPLE)
}

/// [`allocate`] with other traps.
pub(super) fn allocate_for(
    e: &mut Emitter<'_, '_>,
    guest: Guest<'_>,
    align: u32,
    bytes: Value,
    traps: RangeTraps,
) -> Result<Block> {
    let zero = e.i64(0);
    call_realloc(e, guest, [zero, zero], align, bytes, traps)
}

/// `cx.reallocate`: moves a block of `old_bytes` to one of `new_bytes`, checked again.
pub(super) fn reallocate(
    e: &mut Emitter<'_, '_>,
    guest: Guest<'_>,
    block: Block,
    old_bytes: Value,
    align: u32,
    new_bytes: Value,
    traps: RangeTraps,
) -> Result<Block> {
    let old = [block.pointer, old_bytes];
    call_realloc(e, guest, old, align, new_bytes, traps)
}

fn call_realloc(
    e: &mut Emitter<'_, '_>,
    guest: Guest<'_>,
    old: [Value; 2],
    align: u32,
    bytes: Value,
    traps: RangeTraps,
) -> Result<Block> {
    let realloc = guest.realloc()?;
    let signature = CoreSignature::realloc(guest.width());
    let alignment = e.i64(i64::from(align));
    let args = [old[0], old[1], alignment, bytes].map(|value| wrap_pointer(e, guest, value));
    let cells = cells::begin_realloc(e, guest.instance(), realloc);
    let result = e.call_core(realloc, &signature, &args)[0];
    cells::end_call(e, cells);
    let pointer = extend_pointer(e, guest, result);
    let address = checked_range(e, guest, pointer, bytes, align, traps)?;
    Ok(Block { pointer, address })
}

/// A core value of the guest's pointer width as `i64`.
pub(super) fn extend_pointer(e: &mut Emitter<'_, '_>, guest: Guest<'_>, value: Value) -> Value {
    match guest.width() {
        PointerWidth::P32 => e.builder.ins().uextend(types::I64, value),
        PointerWidth::P64 => value,
    }
}

/// An `i64` as a core value of the guest's pointer width.
pub(super) fn wrap_pointer(e: &mut Emitter<'_, '_>, guest: Guest<'_>, value: Value) -> Value {
    match guest.width() {
        PointerWidth::P32 => e.builder.ins().ireduce(types::I32, value),
        PointerWidth::P64 => value,
    }
}

/// Takes memory from the store's arena: `bytes` (`i64`, checked not to overflow by the caller).
pub(super) fn arena_allocate(e: &mut Emitter<'_, '_>, bytes: Value, align: u32) -> Value {
    use trampette_artifact::builtin::Builtin;
    let align = e.i64(i64::from(align));
    let address = e.value_of(Builtin::ArenaAllocate, &[bytes, align]);
    let zero = e.i64(0);
    let full = e.builder.ins().icmp(IntCC::Equal, address, zero);
    e.trap_if(full, TrapCode::ArenaLimit, None);
    address
}

/// Whether a side is a guest, whose values must be checked.
pub(super) fn must_be_checked(side: Side<'_>) -> bool {
    matches!(side, Side::Guest(_))
}
