//! What of a component instance belongs to the active stack ([`InstanceCells`], and the barrier):
//! set around synchronously typed calls in a component with an asynchronous part, nothing
//! elsewhere.
//!
//! Such a call is a thread of its own (CanonicalABI.md, *Thread State*): it has no task that
//! `task.return` could name, its context slots begin as zero, and it may not block, but lets other
//! threads of its instance run where it would have to. In an instance whose threads name each other
//! it has a record, by which the others know it. What the callee cannot see is left alone
//! (`layout/effects.rs`): most calls are those of a component without an asynchronous part.

use crate::codegen::emitter::Emitter;
use crate::layout::Effect;
use crate::program::CoreFunc;
use cranelift_codegen::ir::{Value, types};
use std::mem::offset_of;
use trampette_artifact::builtin::Builtin;
use trampette_artifact::ids::ComponentInstanceId;
use trampette_artifact::layout::{InstanceCells, RootOffset, root};

/// Whether the component has an asynchronous part.
pub(crate) fn is_concurrent(e: &Emitter<'_, '_>) -> bool {
    e.session.layout.root.cells > 0
}

/// What was there before a synchronously typed call.
#[must_use = "cells must be restored"]
#[derive(Default)]
pub(crate) struct SavedCells {
    /// The cell of the task.
    task: Vec<(RootOffset, Value)>,
    slots: Vec<(RootOffset, Value)>,
    barrier: Option<Value>,
    /// The record that was made for the call.
    record: Option<Value>,
}

fn place(e: &Emitter<'_, '_>, instance: ComponentInstanceId, offset: usize) -> RootOffset {
    let cells = e.session.layout.root.cells(instance);
    RootOffset(cells.0 + offset as u32)
}

/// Where a context slot of an instance is.
pub(crate) fn slot(e: &Emitter<'_, '_>, instance: ComponentInstanceId, slot: u32) -> RootOffset {
    let offset = offset_of!(InstanceCells, slots) + 8 * slot as usize;
    place(e, instance, offset)
}

/// Makes the record of a synchronously typed call of an instance; [`Builtin::CallEnd`] ends it.
pub(crate) fn new_record(e: &mut Emitter<'_, '_>, instance: ComponentInstanceId) -> Value {
    let number = e.i32(instance.0);
    e.value_of(Builtin::CallBegin, &[number])
}

/// What a synchronously typed call of functions of an instance can do.
fn effect_of(e: &Emitter<'_, '_>, instance: ComponentInstanceId, callees: &[CoreFunc]) -> Effect {
    if !is_concurrent(e) {
        return Effect::NONE;
    }
    e.session.layout.effects.of_call(instance, callees)
}

/// Begins a synchronously typed call of functions of an instance. `record` is that of the call, if
/// it has one.
pub(crate) fn begin_call(
    e: &mut Emitter<'_, '_>,
    instance: ComponentInstanceId,
    callees: &[CoreFunc],
    record: Option<Value>,
) -> SavedCells {
    let effect = effect_of(e, instance, callees);
    let needs_record = is_concurrent(e) && e.session.layout.effects.switches(instance);
    let made = (needs_record && record.is_none()).then(|| new_record(e, instance));
    let record = record.or(made).filter(|_| needs_record);
    let mut saved = begin_thread(e, instance, effect, record);
    saved.record = made;
    saved
}

/// Saves the cells that a callee can see, and sets them for a call, with a record if others can
/// name it.
fn begin_thread(
    e: &mut Emitter<'_, '_>,
    instance: ComponentInstanceId,
    effect: Effect,
    record: Option<Value>,
) -> SavedCells {
    let mut saved = SavedCells::default();
    if effect.has(Effect::NAMES_TASK | Effect::BLOCKS) {
        let place = place(e, instance, offset_of!(InstanceCells, task));
        saved.task.push((place, e.load_root(types::I64, place)));
        let record = record.unwrap_or_else(|| e.i64(0));
        e.store_root(record, place);
    }
    if effect.has(Effect::USES_SLOTS) {
        let zero = e.i64(0);
        for number in 0..2 {
            let place = slot(e, instance, number);
            saved.slots.push((place, e.load_root(types::I64, place)));
            e.store_root(zero, place);
        }
    }
    if effect.has(Effect::BLOCKS) {
        saved.barrier = Some(e.load_root(types::I32, root::BARRIER));
        let here = e.i32(instance.0 + 1);
        e.store_root(here, root::BARRIER);
    }
    saved
}

/// Ends such a call.
pub(crate) fn end_call(e: &mut Emitter<'_, '_>, saved: SavedCells) {
    for (place, value) in saved.task.into_iter().chain(saved.slots) {
        e.store_root(value, place);
    }
    if let Some(barrier) = saved.barrier {
        e.store_root(barrier, root::BARRIER);
    }
    if let Some(record) = saved.record {
        e.builtin(Builtin::CallEnd, &[record]);
    }
}

/// Ends a call of the host's, whose post-return function still sees its context slots.
pub(crate) fn end_call_but_slots(e: &mut Emitter<'_, '_>, mut saved: SavedCells) {
    saved.slots.clear();
    end_call(e, saved);
}

/// Ends what [`end_call_but_slots`] has left of a call of these functions: no slots are the host's.
pub(crate) fn clear_slots(
    e: &mut Emitter<'_, '_>,
    instance: ComponentInstanceId,
    callees: &[CoreFunc],
) {
    if effect_of(e, instance, callees).has(Effect::USES_SLOTS) {
        let zero = e.i64(0);
        for number in 0..2 {
            let place = slot(e, instance, number);
            e.store_root(zero, place);
        }
    }
}

/// A `realloc` of an instance begins with empty slots, since it is a thread of its own, and leaves
/// those of its caller as they were. It cannot leave its instance, so nothing else is seen of it.
pub(crate) fn begin_realloc(
    e: &mut Emitter<'_, '_>,
    instance: ComponentInstanceId,
    realloc: CoreFunc,
) -> SavedCells {
    match effect_of(e, instance, &[realloc]).has(Effect::USES_SLOTS) {
        true => begin_thread(e, instance, Effect::USES_SLOTS, None),
        false => SavedCells::default(),
    }
}
