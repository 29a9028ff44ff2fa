//! `may_leave` of component instances: cleared around what lifting and lowering call, tested by
//! what leaves (CanonicalABI.md, *Component Instances*). Only where `layout/leaving.rs` finds that
//! the difference can be seen.

use crate::codegen::emitter::Emitter;
use cranelift_codegen::ir::{InstBuilder, Value, types};
use std::mem::offset_of;
use trampette_artifact::ids::ComponentInstanceId;
use trampette_artifact::layout::{InstanceState, RootOffset};
use trampette_artifact::trap::TrapCode;

fn field(e: &Emitter<'_, '_>, instance: ComponentInstanceId) -> RootOffset {
    let state = e.session.layout.root.instance(instance);
    RootOffset(state.0 + offset_of!(InstanceState, flags) as u32)
}

/// Raises [`TrapCode::CannotLeave`] if the instance may not call canonical built-ins now.
pub(crate) fn check_may_leave(e: &mut Emitter<'_, '_>, instance: ComponentInstanceId) {
    if !e.session.layout.leaving_is_observable(instance) {
        return;
    }
    let place = field(e, instance);
    let flags = e.load_root(types::I32, place);
    let bit = e.i32(InstanceState::MAY_LEAVE);
    let may = e.builder.ins().band(flags, bit);
    let may_not = e.builder.ins().bxor(may, bit);
    e.trap_if(may_not, TrapCode::CannotLeave, None);
}

/// Flags of an instance as they were before [`forbid_leaving`].
#[must_use = "flags must be restored"]
pub(crate) struct SavedFlags {
    instance: ComponentInstanceId,
    /// `None` if nothing could observe the change, which was not made.
    flags: Option<Value>,
}

/// Clears `may_leave` around calls to `realloc` or `post-return`. No other code of the component
/// runs between a value's reallocations, so clearing it once for all of them is not observable. Nor
/// can the instance be called back meanwhile, since nothing leaves it.
pub(crate) fn forbid_leaving(e: &mut Emitter<'_, '_>, instance: ComponentInstanceId) -> SavedFlags {
    if !e.session.layout.leaving_is_observable(instance) {
        let flags = None;
        return SavedFlags { instance, flags };
    }
    let place = field(e, instance);
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
        let place = field(e, saved.instance);
        e.store_root(flags, place);
    }
}
