//! The order of what happens to tasks, and what traps, by scripts.

use crate::concurrent::records::Kind;
use crate::concurrent::state::{COUNTED, Fault};
use crate::concurrent::testing::*;
use crate::concurrent::waitables::Event;
use crate::machine::limits::StoreLimits;
use trampette_artifact::ids::ComponentInstanceId;
use trampette_artifact::tasks::{LiftKind, SubtaskState};
use trampette_artifact::trap::TrapCode;

#[test]
fn all_lifts_return_to_the_host() {
    let twice: Script = |guest| {
        guest.ret(guest.param() * 2)?;
        Ok(EXIT)
    };
    let running = Running::new(&[
        from_host(LiftKind::Stackful, twice),
        from_host(LiftKind::Callback, twice),
    ]);
    for task in [0, 1, 0] {
        assert_eq!(running.call(task, 21).unwrap(), 42);
        running.expect_nothing_left();
    }
}

#[test]
fn a_caller_waits_for_a_callback() {
    let outer: Script = |guest| {
        let sum = guest.call(1, 5)? + guest.call(1, 6)?;
        guest.ret(sum)?;
        Ok(EXIT)
    };
    let yields: Script = |guest| {
        guest.log("body");
        guest.set_note(0, guest.param() as u32);
        Ok(YIELD)
    };
    let returns: Script = |guest| {
        assert_eq!(guest.event, Event::NONE);
        guest.log("callback");
        guest.ret(guest.note(0).into())?;
        Ok(EXIT)
    };
    let running = Running::new(&[
        from_host(LiftKind::Stackful, outer),
        inner(LiftKind::Callback, yields, returns),
    ]);
    assert_eq!(running.call(0, 0).unwrap(), 11);
    assert_eq!(running.log(), ["body", "callback", "body", "callback"]);
    running.expect_nothing_left();
}

#[test]
fn a_caller_that_goes_on_gets_events() {
    let outer: Script = |guest| {
        let (state, subtask) = guest.start(1, 7)?;
        assert_eq!(state, SubtaskState::Started as u32);
        let refused = guest.tasks.subtask_drop(1, subtask);
        assert_eq!(refused, Err(TrapCode::SubtaskUnresolved.into()));
        guest.log("goes on");
        let set = guest.set_of(subtask)?;
        let event = guest.wait_for(set)?;
        let returned = SubtaskState::Returned as u32;
        assert_eq!(event, [Event::SUBTASK, subtask, returned]);
        guest.tasks.subtask_drop(1, subtask)?;
        guest.tasks.waitable_set_drop(1, set)?;
        guest.ret(1)?;
        Ok(EXIT)
    };
    let yields: Script = |guest| {
        guest.tasks.thread_yield(2)?;
        guest.log("went on");
        assert_eq!(guest.param(), 7);
        guest.ret(0)?;
        Ok(EXIT)
    };
    let running = Running::new(&[
        from_host(LiftKind::Stackful, outer),
        inner(LiftKind::Stackful, yields, nothing),
    ]);
    assert_eq!(running.call(0, 0).unwrap(), 1);
    assert_eq!(running.log(), ["goes on", "went on"]);
    assert_eq!(running.live(Kind::Set), 0);
    running.expect_nothing_left();
}

#[test]
fn what_is_done_at_once_has_no_subtask() {
    let outer: Script = |guest| {
        assert_eq!(guest.start(1, 7)?, (SubtaskState::Returned as u32, 0));
        guest.ret(1)?;
        Ok(EXIT)
    };
    let returns: Script = |guest| {
        guest.ret(guest.param())?;
        Ok(EXIT)
    };
    let running = Running::new(&[
        from_host(LiftKind::Callback, outer),
        inner(LiftKind::Callback, returns, nothing),
    ]);
    assert_eq!(running.call(0, 0).unwrap(), 1);
    running.expect_nothing_left();
}

#[test]
fn the_lock_lets_one_in_after_the_other() {
    // Two tasks that hold the lock while they wait; and one that needs none.
    let outer: Script = |guest| {
        let first = guest.start(1, 1)?;
        let second = guest.start(1, 2)?;
        let third = guest.start(2, 3)?;
        assert_eq!([first.0, second.0, third.0], [1, 0, 0]);
        let set = guest.set_of(first.1)?;
        guest.tasks.waitable_join(1, second.1, set)?;
        guest.tasks.waitable_join(1, third.1, set)?;
        let mut over = 0;
        while over < 3 {
            let [_, subtask, state] = guest.wait_for(set)?;
            guest.log(format!("{subtask} is {state}"));
            if state == SubtaskState::Returned as u32 {
                guest.tasks.subtask_drop(1, subtask)?;
                over += 1;
            }
        }
        guest.ret(1)?;
        Ok(EXIT)
    };
    let holds: Script = |guest| {
        guest.log(format!("begin {}", guest.param()));
        guest.tasks.thread_yield(2)?;
        guest.log(format!("end {}", guest.param()));
        guest.ret(0)?;
        Ok(EXIT)
    };
    let running = Running::new(&[
        from_host(LiftKind::Stackful, outer),
        inner(LiftKind::Callback, holds, nothing),
        inner(LiftKind::Stackful, holds, nothing),
    ]);
    assert_eq!(running.call(0, 0).unwrap(), 1);
    let log = running.log();
    let of = |task: &str| -> Vec<usize> {
        let found = log.iter().enumerate().filter(|(_, it)| it.ends_with(task));
        found.map(|(index, _)| index).collect()
    };
    // The first has the lock until it is over.
    assert!(of("end 1")[0] < of("begin 2")[0], "{log:?}");
    assert!(of("begin 3")[0] < of("end 1")[0], "{log:?}");
    running.expect_nothing_left();
}

#[test]
fn backpressure_holds_tasks_back() {
    let outer: Script = |guest| {
        let first = guest.start(1, 0)?;
        assert_eq!(first.0, SubtaskState::Started as u32);
        let second = guest.start(2, 9)?;
        assert_eq!(second.0, SubtaskState::Starting as u32);
        let set = guest.set_of(second.1)?;
        let event = guest.wait_for(set)?;
        assert_eq!(event[2], SubtaskState::Returned as u32);
        guest.log("second returned");
        guest.tasks.subtask_drop(1, second.1)?;
        guest.ret(1)?;
        Ok(EXIT)
    };
    let closes: Script = |guest| {
        guest.tasks.backpressure_inc(2)?;
        guest.tasks.thread_yield(2)?;
        guest.log("opens");
        guest.tasks.backpressure_dec(2)?;
        let refused = guest.tasks.backpressure_dec(2);
        assert_eq!(refused, Err(TrapCode::BackpressureUnderflow.into()));
        guest.ret(0)?;
        Ok(EXIT)
    };
    let returns: Script = |guest| {
        assert_eq!(guest.param(), 9);
        guest.ret(0)?;
        Ok(EXIT)
    };
    let running = Running::new(&[
        from_host(LiftKind::Stackful, outer),
        inner(LiftKind::Stackful, closes, nothing),
        inner(LiftKind::Stackful, returns, nothing),
    ]);
    assert_eq!(running.call(0, 0).unwrap(), 1);
    assert_eq!(running.log(), ["opens", "second returned"]);
}

#[test]
fn a_synchronous_call_waits_in_place() {
    // The body is that of a synchronously typed call of the instance 1.
    let outer: Script = |guest| {
        guest.tasks.swap_barrier(Some(ComponentInstanceId(1)));
        let (_, subtask) = guest.start(1, 0)?;
        let set = guest.set_of(subtask)?;
        // Nothing of the instance 1 can go on.
        guest.wait_for(set)?;
        Ok(EXIT)
    };
    let yields: Script = |guest| {
        guest.tasks.thread_yield(2)?;
        guest.ret(0)?;
        Ok(EXIT)
    };
    let running = Running::new(&[
        from_host(LiftKind::Stackful, outer),
        inner(LiftKind::Stackful, yields, nothing),
    ]);
    assert_eq!(running.trap(0), TrapCode::CannotBlock);
    // With a sibling that makes the event.
    let sibling: Script = |guest| {
        guest.log("sibling");
        guest.tasks.thread_yield(1)?;
        guest.log("writes");
        let written = guest.tasks.end_copy(WRITE, guest.note(1), 0, 1)?;
        assert_eq!(written, 1 << 4);
        guest.ret(0)?;
        Ok(EXIT)
    };
    let outer: Script = |guest| {
        let ends = guest.tasks.ends_new(1, STREAM)?;
        guest.set_note(1, (ends >> 32) as u32);
        guest.start(1, 0)?;
        let before = guest.tasks.swap_barrier(Some(ComponentInstanceId(1)));
        assert_eq!(before, None);
        let refused = guest.tasks.end_copy(READ, ends as u32, 8, 1)?;
        assert_eq!(refused, u64::MAX);
        let set = guest.set_of(ends as u32)?;
        let event = guest.wait_for(set)?;
        assert_eq!(event, [2, ends as u32, 1 << 4]);
        guest.log("has read");
        guest.tasks.swap_barrier(None);
        guest.ret(4)?;
        Ok(EXIT)
    };
    let running = Running::new(&[
        from_host(LiftKind::Stackful, outer),
        Plan {
            instance: 1,
            ..inner(LiftKind::Stackful, sibling, nothing)
        },
    ]);
    assert_eq!(running.call(0, 0).unwrap(), 4);
    assert_eq!(running.log(), ["sibling", "writes", "has read"]);
    assert_eq!(running.live(Kind::End), 2);
}

#[test]
fn a_parked_callback_is_told_of_its_cancellation() {
    let outer: Script = |guest| {
        let (_, subtask) = guest.start(1, 0)?;
        let state = guest.tasks.subtask_cancel(1, subtask, 0)?;
        assert_eq!(state, SubtaskState::CancelledBeforeReturned as u32);
        let refused = guest.tasks.subtask_cancel(1, subtask, 0);
        assert_eq!(refused, Err(TrapCode::SubtaskDelivered.into()));
        guest.tasks.subtask_drop(1, subtask)?;
        guest.ret(1)?;
        Ok(EXIT)
    };
    let waits: Script = |guest| {
        let refused = guest.tasks.task_cancel(2);
        assert_eq!(refused, Err(TrapCode::TaskNotCancelled.into()));
        Ok(wait(guest.tasks.waitable_set_new(2)?))
    };
    let cancels: Script = |guest| {
        assert_eq!(guest.event, Event::TASK_CANCELLED);
        guest.log("cancelled");
        guest.tasks.task_cancel(2)?;
        Ok(EXIT)
    };
    let running = Running::new(&[
        from_host(LiftKind::Stackful, outer),
        inner(LiftKind::Callback, waits, cancels),
    ]);
    assert_eq!(running.call(0, 0).unwrap(), 1);
    assert_eq!(running.log(), ["cancelled"]);
    running.expect_nothing_left();
}

#[test]
fn a_task_that_has_not_started_never_does() {
    let outer: Script = |guest| {
        let (_, first) = guest.start(1, 0)?;
        let (state, second) = guest.start(1, 0)?;
        assert_eq!(state, SubtaskState::Starting as u32);
        let state = guest.tasks.subtask_cancel(1, second, 1)?;
        assert_eq!(state, SubtaskState::CancelledBeforeStarted as u32);
        guest.tasks.subtask_drop(1, second)?;
        // One that is not told goes on.
        assert_eq!(guest.tasks.subtask_cancel(1, first, 1)?, u32::MAX);
        let refused = guest.tasks.subtask_cancel(1, first, 1);
        assert_eq!(refused, Err(TrapCode::SubtaskCancelledTwice.into()));
        let set = guest.set_of(first)?;
        assert_eq!(guest.wait_for(set)?[2], SubtaskState::Returned as u32);
        guest.tasks.subtask_drop(1, first)?;
        guest.ret(1)?;
        Ok(EXIT)
    };
    let holds: Script = |guest| {
        guest.log("begin");
        guest.tasks.thread_yield(2)?;
        guest.ret(0)?;
        Ok(EXIT)
    };
    let running = Running::new(&[
        from_host(LiftKind::Stackful, outer),
        inner(LiftKind::Callback, holds, nothing),
    ]);
    assert_eq!(running.call(0, 0).unwrap(), 1);
    assert_eq!(running.log(), ["begin"]);
    running.expect_nothing_left();
}

#[test]
fn what_nothing_can_wake_is_a_deadlock() {
    let waits: Script = |guest| {
        let set = guest.tasks.waitable_set_new(1)?;
        guest.wait_for(set)?;
        Ok(EXIT)
    };
    let returns: Script = |guest| {
        guest.ret(3)?;
        Ok(EXIT)
    };
    let running = Running::new(&[
        from_host(LiftKind::Stackful, waits),
        from_host(LiftKind::Stackful, returns),
    ]);
    assert_eq!(running.trap(0), TrapCode::Deadlock);
    // It stays, and goes with the store.
    assert_eq!(running.live(Kind::Call), 1);
    assert_eq!(running.store.inner().stacks.count(), 1);
    assert_eq!(running.call(1, 0).unwrap(), 3);
}

#[test]
fn work_that_is_left_goes_on_in_the_next_call() {
    let lingers: Script = |guest| {
        guest.ret(1)?;
        Ok(YIELD)
    };
    let ends: Script = |guest| {
        guest.log("late");
        Ok(EXIT)
    };
    let yields: Script = |guest| {
        guest.tasks.thread_yield(1)?;
        guest.ret(2)?;
        Ok(EXIT)
    };
    let running = Running::new(&[
        Plan {
            callback: ends,
            ..from_host(LiftKind::Callback, lingers)
        },
        from_host(LiftKind::Stackful, yields),
    ]);
    assert_eq!(running.call(0, 0).unwrap(), 1);
    assert_eq!(running.log(), [""; 0]);
    assert_eq!(running.live(Kind::Call), 1);
    // A parked callback has no stack.
    assert_eq!(running.store.inner().stacks.count(), 0);
    assert_eq!(running.call(1, 0).unwrap(), 2);
    assert_eq!(running.log(), ["late"]);
    running.expect_nothing_left();
}

#[test]
fn a_trap_ends_the_instance() {
    let outer: Script = |guest| {
        guest.start(1, 0)?;
        guest.call(2, 0)?;
        Ok(EXIT)
    };
    let waits: Script = |guest| {
        guest.tasks.thread_yield(2)?;
        Ok(EXIT)
    };
    for (traps, code) in [
        (nothing as Script, TrapCode::Unreachable),
        (|_| Ok(EXIT), TrapCode::NoResult),
        (|_| Ok(3), TrapCode::CallbackCode),
        (|_| Ok(wait(77)), TrapCode::UnknownHandle),
    ] {
        let running = Running::new(&[
            from_host(LiftKind::Stackful, outer),
            inner(LiftKind::Stackful, waits, nothing),
            inner(LiftKind::Callback, traps, nothing),
        ]);
        assert_eq!(running.trap(0), code);
        let store = running.store.inner();
        assert_eq!(store.stacks.count(), 0);
        for counted in COUNTED {
            assert_eq!(store.ledger.counted(counted), 0);
        }
        assert_eq!(running.trap(0), TrapCode::CannotEnter);
        let Running { store, .. } = running;
        drop(store);
    }
}

#[test]
fn limits_are_traps() {
    let outer: Script = |guest| {
        for _ in 0..10 {
            guest.start(1, 0)?;
        }
        Ok(EXIT)
    };
    let parks: Script = |guest| Ok(wait(guest.tasks.waitable_set_new(2)?));
    let makes_ends: Script = |guest| {
        for _ in 0..10 {
            guest.tasks.ends_new(1, STREAM)?;
        }
        Ok(EXIT)
    };
    let limits = StoreLimits::default();
    for (task, limits, code) in [
        (0, limits.with_tasks(5), TrapCode::TaskLimit),
        (0, limits.with_sets(5), TrapCode::SetLimit),
        (2, limits.with_ends(5), TrapCode::EndLimit),
        (0, limits.with_handles(5), TrapCode::HandleTableFull),
        (0, limits.with_task_stacks(1), TrapCode::TaskStackLimit),
    ] {
        let mut running = Running::new(&[
            from_host(LiftKind::Stackful, outer),
            inner(LiftKind::Callback, parks, nothing),
            from_host(LiftKind::Stackful, makes_ends),
        ]);
        running.store.set_limits(limits);
        assert_eq!(running.trap(task), code);
    }
    let mut running = Running::new(&[from_host(LiftKind::Stackful, outer)]);
    running
        .store
        .set_limits(StoreLimits::default().with_tasks(0));
    assert_eq!(running.trap(0), TrapCode::TaskLimit);
}

#[test]
fn streams_copy_between_buffers() {
    let outer: Script = |guest| {
        let ends = guest.tasks.ends_new(1, STREAM)?;
        let (reader, writer) = (ends as u32, (ends >> 32) as u32);
        assert_eq!((reader, writer), (1, 2));
        for index in 0..4 {
            // SAFETY: in the memory of one page.
            unsafe { guest.memory(4 * index).write(100 + index as u32) };
        }
        let unaligned = guest.tasks.end_copy(WRITE, writer, 2, 1);
        assert_eq!(unaligned, Err(TrapCode::UnalignedPointer.into()));
        let outside = guest.tasks.end_copy(WRITE, writer, 65532, 2);
        assert_eq!(outside, Err(TrapCode::PointerOutOfBounds.into()));
        let refused = guest.tasks.end_copy(WRITE, reader, 0, 1);
        assert_eq!(
            refused,
            Err(Fault::Trap(TrapCode::HandleTypeMismatchHost, 1))
        );
        // Nobody looks at the address of nothing.
        assert_eq!(guest.tasks.end_copy(WRITE, writer, 65537, 0)?, u64::MAX);
        let busy = guest.tasks.end_copy(WRITE, writer, 0, 1);
        assert_eq!(busy, Err(TrapCode::EndBusy.into()));
        assert_eq!(guest.tasks.end_operate(1, STREAM, writer, 2)?, 2);
        assert_eq!(guest.tasks.end_copy(WRITE, writer, 0, 4)?, u64::MAX);
        assert_eq!(guest.tasks.end_copy(READ, reader, 32, 3)?, 3 << 4);
        // SAFETY: as above.
        unsafe { assert_eq!(guest.memory(40).read(), 102) };
        let set = guest.set_of(writer)?;
        let refused = guest.tasks.end_operate(1, STREAM, writer, 5);
        assert_eq!(refused, Err(TrapCode::StreamDropBusy.into()));
        assert_eq!(guest.wait_for(set)?, [3, writer, 3 << 4]);
        let refused = guest.tasks.end_copy(WRITE_SYNC, writer, 0, 1);
        assert_eq!(refused, Err(TrapCode::WaitableInSet.into()));
        let refused = guest.tasks.waitable_set_drop(1, set);
        assert_eq!(refused, Err(TrapCode::SetHasMembers.into()));
        // Dropping one end is told to the other.
        guest.tasks.end_operate(1, STREAM, reader, 4)?;
        assert_eq!(guest.wait_for(set)?, [3, writer, 1]);
        let refused = guest.tasks.end_copy(WRITE, writer, 0, 1);
        assert_eq!(refused, Err(TrapCode::StreamWriteDone.into()));
        guest.tasks.end_operate(1, STREAM, writer, 5)?;
        guest.tasks.waitable_set_drop(1, set)?;
        guest.ret(0)?;
        Ok(EXIT)
    };
    let running = Running::new(&[from_host(LiftKind::Stackful, outer)]);
    running.call(0, 0).unwrap();
    assert_eq!(running.live(Kind::End), 0);
    assert_eq!(running.live(Kind::Set), 0);
}

#[test]
fn ends_move_between_instances() {
    let outer: Script = |guest| {
        let ends = guest.tasks.ends_new(1, STREAM)?;
        let (reader, writer) = (ends as u32, (ends >> 32) as u32);
        let end = guest.tasks.end_take(1, STREAM, reader)?;
        let gone = guest.tasks.end_take(1, STREAM, reader);
        assert_eq!(gone, Err(Fault::Trap(TrapCode::UnknownHandle, 1)));
        let there = guest.tasks.end_give(2, STREAM, end)?;
        assert_eq!(there, 1);
        let set = guest.tasks.waitable_set_new(2)?;
        guest.tasks.waitable_join(2, there, set)?;
        let refused = guest.tasks.end_take(2, STREAM, there);
        assert_eq!(refused, Err(TrapCode::StreamLiftInSet.into()));
        guest.tasks.waitable_join(2, there, 0)?;
        guest.tasks.end_operate(1, STREAM, writer, 5)?;
        // The drop was not taken notice of yet.
        let end = guest.tasks.end_take(2, STREAM, there)?;
        let reader = guest.tasks.end_give(1, STREAM, end)?;
        assert_eq!(guest.tasks.end_copy(READ, reader, 0, 1)?, 1);
        let refused = guest.tasks.end_take(1, STREAM, reader);
        assert_eq!(refused, Err(TrapCode::StreamLiftDone.into()));
        guest.tasks.end_operate(1, STREAM, reader, 4)?;
        guest.ret(0)?;
        Ok(EXIT)
    };
    let running = Running::new(&[from_host(LiftKind::Stackful, outer)]);
    running.call(0, 0).unwrap();
    assert_eq!(running.live(Kind::End), 0);
}

#[test]
fn threads_name_each_other() {
    use trampette_artifact::tasks::ThreadOperation::*;
    // A synchronously typed call suspends until another thread of its instance resumes it.
    let outer: Script = |guest| {
        let operate = |thread, operation| guest.tasks.thread_operate(1, thread, operation as u32);
        let record = guest.tasks.call_begin(1)?;
        let cells = guest.tasks.cells(ComponentInstanceId(1));
        // SAFETY: the root is mapped.
        let before = unsafe { cells.read() };
        // SAFETY: as above.
        unsafe { (*cells.as_ptr()).task = record };
        guest.tasks.swap_barrier(Some(ComponentInstanceId(1)));
        let me = guest.tasks.thread_index(1)?;
        assert_eq!(guest.tasks.thread_index(1)?, me);
        guest.set_note(0, me);
        for operation in [
            SuspendThenResume,
            YieldThenResume,
            SuspendThenPromote,
            YieldThenPromote,
            ResumeLater,
        ] {
            let refused = operate(me, operation);
            assert_eq!(refused, Err(TrapCode::ThreadNotSuspended.into()));
        }
        let unknown = Fault::Trap(TrapCode::UnknownThread, 77);
        assert_eq!(operate(77, ResumeLater), Err(unknown));
        guest.start(1, 0)?;
        guest.log("suspends");
        operate(0, Suspend)?;
        guest.log("resumed");
        // The sibling waits: it goes on before this thread does.
        guest.start(1, 1)?;
        operate(guest.note(1), YieldThenPromote)?;
        guest.log("over");
        guest.tasks.swap_barrier(None);
        // SAFETY: as above.
        unsafe { cells.write(before) };
        guest.tasks.call_end(record)?;
        guest.ret(4)?;
        Ok(EXIT)
    };
    let sibling: Script = |guest| {
        guest.set_note(1, guest.tasks.thread_index(1)?);
        let is_second = guest.param() == 1;
        guest.tasks.thread_yield(1)?;
        guest.log("sibling");
        if !is_second {
            let resume_later = ResumeLater as u32;
            guest.tasks.thread_operate(1, guest.note(0), resume_later)?;
        }
        guest.ret(0)?;
        Ok(EXIT)
    };
    let running = Running::new(&[
        from_host(LiftKind::Stackful, outer),
        Plan {
            instance: 1,
            ..inner(LiftKind::Stackful, sibling, nothing)
        },
    ]);
    assert_eq!(running.call(0, 0).unwrap(), 4);
    let order = ["suspends", "sibling", "resumed", "sibling", "over"];
    assert_eq!(running.log(), order);
}
