//! What of a component instance belongs to the active stack ([`InstanceCells`], and the barrier):
//! set around synchronously typed calls in a component with an asynchronous part, nothing
//! elsewhere.
//!
//! Such a call is a thread of its own (CanonicalABI.md, *Thread State*): it has no task that
//! `task.return` could name, its context slots begin as zero, and it may not block, but lets other
//! threads of its instance run where it would have to. In an instance whose threads name each other
//! it has a record, by which the others know it.

use crate::codegen::emitter::Emitter;
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
pub(crate) struct SavedCells(Option<Saved>);

struct Saved {
    instance: ComponentInstanceId,
    cells: Vec<Value>,
    barrier: Value,
    /// The record that was made for the call.
    record: Option<Value>,
}

/// Where the cells of an instance are: the task, then the slots, unless nothing in the component
/// reads or writes any.
fn places(e: &Emitter<'_, '_>, instance: ComponentInstanceId) -> Vec<RootOffset> {
    let slot = offset_of!(InstanceCells, slots);
    let slots = match e.session.layout.uses_slots {
        true => &[slot, slot + 8][..],
        false => &[],
    };
    let offsets = [offset_of!(InstanceCells, task)].into_iter();
    let offsets = offsets.chain(slots.iter().copied());
    offsets.map(|offset| place(e, instance, offset)).collect()
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

/// Begins a synchronously typed call of an instance. `record` is that of the call, if it has one.
pub(crate) fn begin_call(
    e: &mut Emitter<'_, '_>,
    instance: ComponentInstanceId,
    record: Option<Value>,
) -> SavedCells {
    if !is_concurrent(e) {
        return SavedCells(None);
    }
    if !e.session.layout.switches.contains(&instance) {
        return begin_thread(e, instance, None);
    }
    let made = record.is_none().then(|| new_record(e, instance));
    let mut saved = begin_thread(e, instance, record.or(made));
    if let Some(saved) = &mut saved.0 {
        saved.record = made;
    }
    saved
}

/// Saves the cells and sets them for a call, with a record if others can name it.
fn begin_thread(
    e: &mut Emitter<'_, '_>,
    instance: ComponentInstanceId,
    record: Option<Value>,
) -> SavedCells {
    let zero = e.i64(0);
    let values = [record.unwrap_or(zero), zero, zero];
    let mut saved = Vec::new();
    for (place, value) in places(e, instance).into_iter().zip(values) {
        saved.push(e.load_root(types::I64, place));
        e.store_root(value, place);
    }
    let barrier = e.load_root(types::I32, root::BARRIER);
    let here = e.i32(instance.0 + 1);
    e.store_root(here, root::BARRIER);
    SavedCells(Some(Saved {
        instance,
        cells: saved,
        barrier,
        record: None,
    }))
}

/// Ends such a call.
pub(crate) fn end_call(e: &mut Emitter<'_, '_>, saved: SavedCells) {
    let Some(saved) = saved.0 else {
        return;
    };
    for (place, value) in places(e, saved.instance).into_iter().zip(saved.cells) {
        e.store_root(value, place);
    }
    e.store_root(saved.barrier, root::BARRIER);
    if let Some(record) = saved.record {
        e.builtin(Builtin::CallEnd, &[record]);
    }
}

/// Ends a call of the host's, whose post-return function still sees its context slots.
pub(crate) fn end_call_but_slots(e: &mut Emitter<'_, '_>, saved: SavedCells) {
    let Some(mut saved) = saved.0 else {
        return;
    };
    // The task comes first.
    saved.cells.truncate(1);
    end_call(e, SavedCells(Some(saved)));
}

/// Ends what [`end_call_but_slots`] has left: no slots are the host's.
pub(crate) fn clear_slots(e: &mut Emitter<'_, '_>, instance: ComponentInstanceId) {
    if !is_concurrent(e) {
        return;
    }
    let zero = e.i64(0);
    for place in &places(e, instance)[1..] {
        e.store_root(zero, *place);
    }
}

/// A `realloc` of an instance begins with empty slots, since it is a thread of its own, and leaves
/// those of its caller as they were. It cannot leave its instance, so nothing else is seen of it.
pub(crate) fn begin_realloc(e: &mut Emitter<'_, '_>, instance: ComponentInstanceId) -> SavedCells {
    match e.session.layout.uses_slots {
        true => begin_thread(e, instance, None),
        false => SavedCells(None),
    }
}
