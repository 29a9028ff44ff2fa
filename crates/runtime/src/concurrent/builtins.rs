//! The builtins of the asynchronous part, as compiled code calls them.
//!
//! Each is a stub that pushes a frame, by which guest code can be left, and goes on in a function
//! that finds the instance's [`Tasks`], calls the method of the builtin's name and leaves by the
//! trap, if there is one. Between the stub and the method nothing is owned, so that a stack can be
//! suspended or left there.

use crate::concurrent::chain::look_again;
use crate::concurrent::state::{Fault, Tasks};
use crate::machine::instance::InstanceData;
use crate::machine::interrupt::is_flagged;
use crate::machine::traps::{GuestFrame, leave_with, raise_again};
use trampette_artifact::builtin::Builtin;
use trampette_artifact::layout::RootHeader;

/// The asynchronous part of the instance of a root.
///
/// # Safety
/// `root` is the root of a live instance whose guest code is waiting in this call.
unsafe fn tasks<'a>(root: *const RootHeader) -> Result<Tasks<'a>, Fault> {
    // SAFETY: promised; the runtime wrote the field, and the instance outlives the call.
    let instance = unsafe { &*((*root).instance as *const InstanceData) };
    Ok(Tasks::of(instance)?)
}

/// Gives guest code its result, or leaves it; also if its call is to be stopped. Whether it is says
/// the root: the method before may have come back on another thread, so that nothing here may use a
/// thread local.
///
/// # Safety
/// As [`leave_with`], and of [`tasks`].
#[inline]
unsafe fn finish<R: Copy + Default>(
    root: *const RootHeader,
    result: Result<R, Fault>,
    frame: *const GuestFrame,
) -> R {
    // SAFETY: promised.
    unsafe {
        match result {
            Ok(result) if !is_flagged(root) => result,
            _ => leave(result, frame),
        }
    }
}

/// Leaves guest code by the trap, or because its call is to be stopped. Not inlined, since it finds
/// the thread.
///
/// # Safety
/// As [`leave_with`].
#[cold]
#[inline(never)]
unsafe fn leave<R: Copy + Default>(result: Result<R, Fault>, frame: *const GuestFrame) -> R {
    // SAFETY: promised.
    unsafe {
        match result {
            Ok(result) => {
                look_again(frame);
                result
            }
            Err(Fault::Trap(code, payload)) => {
                leave_with(frame, code, payload);
                // There is no entry to leave to, which only a damaged artifact can bring about.
                R::default()
            }
            Err(Fault::Again) => raise_again(frame),
        }
    }
}

/// An argument that the builtin does not have: the frame is always the sixth.
type Unused = u64;

macro_rules! builtins {
    ($($builtin:ident, $name:ident($($argument:ident: $type:ty),*; $($unused:ty),*) $(-> $result:ty)?;)*) => {
        /// The address of a builtin of the asynchronous part; `None` for others.
        pub(crate) fn address(builtin: Builtin) -> Option<*const ()> {
            Some(match builtin {
                $(Builtin::$builtin => stubs::$name as *const (),)*
                _ => return None,
            })
        }

        mod stubs {
            crate::machine::steps::framed! {
                $($name: super::$name;)*
            }
        }

        $(
            unsafe extern "C" fn $name(
                root: *const RootHeader,
                $($argument: $type,)*
                $(_: $unused,)*
                frame: *const GuestFrame,
            ) $(-> $result)? {
                // SAFETY: called by compiled code through its stub, with its root.
                unsafe {
                    let result = tasks(root).and_then(|tasks| tasks.$name($($argument),*));
                    finish(root, result, frame)
                }
            }
        )*
    };
}

builtins! {
    CallBegin, call_begin(instance: u32; Unused, Unused, Unused) -> u64;
    CallEnd, call_end(record: u64; Unused, Unused, Unused);
    CallLends, call_lends(record: u64, mark: u64; Unused, Unused);
    BorrowDrop, borrow_drop(number: u32; Unused, Unused, Unused);
    TaskCall, task_call(task: u32, params: u64, results: u64, mode: u32;) -> u64;
    TaskReturn, task_return(class: u32, instance: u32, values: u64; Unused);
    TaskResolve, task_resolve(record: u64; Unused, Unused, Unused);
    TaskHostResult, task_host_result(record: u64, native: u64; Unused, Unused);
    TaskCancel, task_cancel(instance: u32; Unused, Unused, Unused);
    ThreadYield, thread_yield(instance: u32; Unused, Unused, Unused);
    BackpressureInc, backpressure_inc(instance: u32; Unused, Unused, Unused);
    BackpressureDec, backpressure_dec(instance: u32; Unused, Unused, Unused);
    WaitableSetNew, waitable_set_new(instance: u32; Unused, Unused, Unused) -> u32;
    WaitableSetWait, waitable_set_wait(
        instance: u32, set: u32, memory: u32, address: u64;
    ) -> u32;
    WaitableSetPoll, waitable_set_poll(
        instance: u32, set: u32, memory: u32, address: u64;
    ) -> u32;
    WaitableSetDrop, waitable_set_drop(instance: u32, set: u32; Unused, Unused);
    WaitableJoin, waitable_join(instance: u32, waitable: u32, set: u32; Unused);
    SubtaskCancel, subtask_cancel(instance: u32, subtask: u32, is_async: u32; Unused) -> u32;
    SubtaskDrop, subtask_drop(instance: u32, subtask: u32; Unused, Unused);
    EndsNew, ends_new(instance: u32, ty: u32; Unused, Unused) -> u64;
    EndCopy, end_copy(copy: u32, end: u32, address: u64, elements: u64;) -> u64;
    EndOperate, end_operate(instance: u32, ty: u32, end: u32, operation: u32;) -> u64;
    EndsForward, ends_forward(instance: u32, ty: u32, reader: u32, writer: u32;);
    EndTake, end_take(instance: u32, ty: u32, end: u32; Unused) -> u32;
    EndGive, end_give(instance: u32, ty: u32, number: u32; Unused) -> u32;
    EndToHost, end_to_host(instance: u32, ty: u32, end: u32; Unused) -> u32;
    EndFromHost, end_from_host(instance: u32, ty: u32, place: u32; Unused) -> u32;
    ThreadIndex, thread_index(instance: u32; Unused, Unused, Unused) -> u32;
    ThreadNew, thread_new(instance: u32, function: u32, argument: u64, is_wide: u32;) -> u32;
    ThreadOperate, thread_operate(instance: u32, thread: u32, operation: u32; Unused);
    HostCallGoOn, host_call_go_on(call: u32, mark: u64, results: u64; Unused) -> u32;
    HostCallWait, host_call_wait(call: u32, mark: u64, results: u64; Unused);
}
