//! Counts of the borrowed handles that the tasks of component instances hold (`num_borrows`,
//! CanonicalABI.md, *Tasks*): a task must have dropped all of its own when it returns.
//!
//! Where no second task can be given handles while a first one holds some, the instance has one
//! count, in its state. (A destructor may run meanwhile: it is given a representation, no handle.)
//! Where an instance can be called back (`layout/reentrance.rs`), each task counts in the frame of
//! the trampoline that began it, and a handle names its task (`borrow_scope`): another task may
//! drop it. The name is the distance of the count from the stack pointer of the entry, in steps of
//! [`STEP`] bytes: all tasks of the host's call are on one stack, and all of their borrowed handles
//! are gone when it ends. The runtime keeps guests from using more of a stack than a name can span.
//!
//! In a component with an asynchronous part tasks have stacks of their own: each counts in its
//! record, whose number is the name, and so does a synchronously typed call that is given handles.

use super::cells;
use super::handles::Entry;
use crate::codegen::Region;
use crate::codegen::emitter::Emitter;
use cranelift_codegen::ir::{InstBuilder, Value, types};
use std::mem::offset_of;
use trampette_artifact::builtin::Builtin;
use trampette_artifact::ids::ComponentInstanceId;
use trampette_artifact::layout::{
    BORROW_SCOPE_STEP_LOG2, HandleEntry, InstanceState, RootOffset, root,
};
use trampette_artifact::tasks::TaskRecord;
use trampette_artifact::trap::TrapCode;

/// Bytes between counts with neighbouring names.
const STEP: u32 = 1 << BORROW_SCOPE_STEP_LOG2;
const EXTRA: i32 = offset_of!(HandleEntry, extra) as i32;

/// Where a task counts its borrowed handles.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BorrowScope {
    instance: ComponentInstanceId,
    /// The address of the task's own count and its name in handles; `None` if the instance has one
    /// for all tasks.
    own: Option<(Value, Value)>,
}

impl BorrowScope {
    /// Begins a task of an instance that may be given borrowed handles.
    pub(crate) fn begin(e: &mut Emitter<'_, '_>, instance: ComponentInstanceId) -> BorrowScope {
        if !e.session.layout.reentrance.is_called_back(instance) {
            let own = None;
            return BorrowScope { instance, own };
        }
        let address = e.stack_slot(STEP, STEP);
        let zero = e.i32(0);
        store(e, zero, address);
        let entry = e.load_root(types::I64, root::ENTRY_SP);
        let distance = e.builder.ins().isub(entry, address);
        let shift = e.i32(BORROW_SCOPE_STEP_LOG2);
        let steps = e.builder.ins().ushr(distance, shift);
        let name = e.builder.ins().ireduce(types::I32, steps);
        let own = Some((address, name));
        BorrowScope { instance, own }
    }

    /// The scope of a call or task with a record of its own, in a component with an asynchronous
    /// part.
    pub(crate) fn of_record(
        e: &mut Emitter<'_, '_>,
        instance: ComponentInstanceId,
        record: Value,
    ) -> BorrowScope {
        let flags = e.native_flags();
        let number = offset_of!(TaskRecord, number) as i32;
        let name = e.builder.ins().load(types::I32, flags, record, number);
        let offset = e.i64(offset_of!(TaskRecord, borrows) as i64);
        let address = e.builder.ins().iadd(record, offset);
        let own = Some((address, name));
        BorrowScope { instance, own }
    }

    /// The scope in a function that counts for another one: `own` are the values that it was passed
    /// ([`BorrowScope::values`]).
    pub(crate) fn passed(instance: ComponentInstanceId, own: Option<(Value, Value)>) -> Self {
        BorrowScope { instance, own }
    }

    /// The instance whose task counts.
    pub(crate) fn instance(self) -> ComponentInstanceId {
        self.instance
    }

    /// What another function needs to count here: an address (`i64`) and a name (`i32`), if the
    /// task has a count of its own.
    pub(crate) fn values(self) -> Option<(Value, Value)> {
        self.own
    }

    /// Counts a handle that was just added to the table; `entry` is the address of its entry.
    pub(crate) fn add(self, e: &mut Emitter<'_, '_>, entry: Value) {
        match self.own {
            None => add_to_instance(e, self.instance, 1),
            Some((address, name)) => {
                let flags = Region::Root.trusted(e.builder.func);
                e.builder.ins().store(flags, name, entry, EXTRA);
                add(e, address, 1);
            }
        }
    }

    /// Raises [`TrapCode::BorrowsRemain`] if the task, which returns, still holds borrowed handles.
    pub(crate) fn trap_if_any_remain(self, e: &mut Emitter<'_, '_>) {
        let remain = match self.own {
            None => {
                let place = instance_count(e, self.instance);
                e.load_root(types::I32, place)
            }
            Some((address, _)) => load(e, address),
        };
        e.trap_if(remain, TrapCode::BorrowsRemain, None);
    }
}

/// Counts one borrowed handle less, which is being dropped.
pub(crate) fn drop_borrow(e: &mut Emitter<'_, '_>, instance: ComponentInstanceId, entry: &Entry) {
    let is_concurrent = cells::is_concurrent(e);
    if !is_concurrent && !e.session.layout.reentrance.is_called_back(instance) {
        return add_to_instance(e, instance, -1);
    }
    let flags = Region::Root.trusted(e.builder.func);
    let name = e
        .builder
        .ins()
        .load(types::I32, flags, entry.address, EXTRA);
    if is_concurrent {
        e.builtin(Builtin::BorrowDrop, &[name]);
        return;
    }
    let steps = e.builder.ins().uextend(types::I64, name);
    let shift = e.i32(BORROW_SCOPE_STEP_LOG2);
    let distance = e.builder.ins().ishl(steps, shift);
    let stack = e.load_root(types::I64, root::ENTRY_SP);
    let address = e.builder.ins().isub(stack, distance);
    add(e, address, -1);
}

fn instance_count(e: &Emitter<'_, '_>, instance: ComponentInstanceId) -> RootOffset {
    let state = e.session.layout.root.instance(instance);
    RootOffset(state.0 + offset_of!(InstanceState, borrows) as u32)
}

fn add_to_instance(e: &mut Emitter<'_, '_>, instance: ComponentInstanceId, change: i32) {
    let place = instance_count(e, instance);
    let count = e.load_root(types::I32, place);
    let count = changed(e, count, change);
    e.store_root(count, place);
}

fn add(e: &mut Emitter<'_, '_>, address: Value, change: i32) {
    let count = load(e, address);
    let count = changed(e, count, change);
    store(e, count, address);
}

fn changed(e: &mut Emitter<'_, '_>, count: Value, change: i32) -> Value {
    let one = e.i32(1);
    match change {
        1 => e.builder.ins().iadd(count, one),
        _ => e.builder.ins().isub(count, one),
    }
}

/// A count on the stack is reached by its slot and by its name: the same region for both.
fn load(e: &mut Emitter<'_, '_>, address: Value) -> Value {
    let flags = Region::Root.trusted(e.builder.func);
    e.builder.ins().load(types::I32, flags, address, 0)
}

fn store(e: &mut Emitter<'_, '_>, value: Value, address: Value) {
    let flags = Region::Root.trusted(e.builder.func);
    e.builder.ins().store(flags, value, address, 0);
}
