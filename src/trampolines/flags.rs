//! What lifting and lowering change in the run-time state of component instances: `may_leave` and the
//! count of borrowed handles (CanonicalABI.md, *Component Instances*, *Tasks*). Entering and leaving is
//! `reentrance`.

use crate::codegen::emitter::Emitter;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{InstBuilder, Value, types};
use std::mem::offset_of;
use trampette_artifact::ids::ComponentInstanceId;
use trampette_artifact::layout::{InstanceState, RootOffset};
use trampette_artifact::trap::TrapCode;

fn field(e: &Emitter<'_, '_>, instance: ComponentInstanceId, offset: usize) -> RootOffset {
    let state = e.session.layout.root.instance(instance);
    RootOffset(state.0 + offset as u32)
}

/// Flags of an instance as they were before [`forbid_leaving`].
#[must_use = "flags must be restored"]
pub(crate) struct SavedFlags {
    instance: ComponentInstanceId,
    /// `None` if nothing could observe the change, which was not made.
    flags: Option<Value>,
}

/// Clears `may_leave` around calls to `realloc` or `post-return`. No other code of the component
/// runs between a value's reallocations, so clearing it once for all of them is not observable.
pub(crate) fn forbid_leaving(e: &mut Emitter<'_, '_>, instance: ComponentInstanceId) -> SavedFlags {
    if !e.session.layout.leaving_is_observable(instance) {
        let flags = None;
        return SavedFlags { instance, flags };
    }
    let place = field(e, instance, offset_of!(InstanceState, flags));
    let flags = e.load_root(types::I32, place);
    let mask = e.i32(!InstanceState::MAY_LEAVE);
    let cleared = e.builder.ins().band(flags, mask);
    e.store_root(cleared, place);
    let flags = Some(flags);
    SavedFlags { instance, flags }
}

/// Sets the flags to what they were.
pub(crate) fn restore_flags(e: &mut Emitter<'_, '_>, saved: SavedFlags) {
    if let Some(flags) = saved.flags {
        let place = field(e, saved.instance, offset_of!(InstanceState, flags));
        e.store_root(flags, place);
    }
}

/// Counts one more borrowed handle of the instance's current task.
pub(crate) fn count_borrow(e: &mut Emitter<'_, '_>, instance: ComponentInstanceId) {
    let place = field(e, instance, offset_of!(InstanceState, borrows));
    let borrows = e.load_root(types::I32, place);
    let one = e.i32(1);
    let borrows = e.builder.ins().iadd(borrows, one);
    e.store_root(borrows, place);
}

/// How many borrowed handles the instance's tasks hold.
pub(crate) fn borrows(e: &mut Emitter<'_, '_>, instance: ComponentInstanceId) -> Value {
    let place = field(e, instance, offset_of!(InstanceState, borrows));
    e.load_root(types::I32, place)
}

/// Raises [`TrapCode::BorrowsRemain`] if the task that returns still holds borrowed handles: more
/// than there were before it, if other tasks of the instance wait for it.
pub(crate) fn trap_if_borrows_remain(
    e: &mut Emitter<'_, '_>,
    instance: ComponentInstanceId,
    before: Option<Value>,
) {
    let now = borrows(e, instance);
    let remain = match before {
        None => now,
        // An inner task may drop what an outer one holds, so there can be less.
        Some(before) => e
            .builder
            .ins()
            .icmp(IntCC::UnsignedGreaterThan, now, before),
    };
    e.trap_if(remain, TrapCode::BorrowsRemain, None);
}
