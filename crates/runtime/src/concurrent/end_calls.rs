//! The built-ins of streams and futures: what they demand of an end, and in which words they
//! refuse.

use crate::concurrent::ends::{self, cancel, copy, drop_end};
use crate::concurrent::handles::end_tag;
use crate::concurrent::records::{Buffer, End, EndId, EndState, EndType, Wait};
use crate::concurrent::state::{Fault, Tasks};
use trampette_artifact::ids::{ComponentInstanceId, CopyId, TypeId};
use trampette_artifact::tasks::{EndKind, EndOperation};
use trampette_artifact::trap::TrapCode;
use trampette_artifact::types::{DefinedType, Type};

/// Elements of a read or write are fewer (`Buffer.MAX_LENGTH`).
const TOO_LONG: u64 = 1 << 28;

/// What a read or write answers if it is not yet known how it ends.
const BLOCKED: u64 = u64::MAX;

/// The traps of something that takes an end which is busy, done or in a set.
struct Refusals {
    busy: TrapCode,
    read_done: TrapCode,
    write_done: TrapCode,
    in_set: TrapCode,
}

/// The traps of one built-in, or of lifting.
struct Refused {
    stream: Refusals,
    future: Refusals,
}

impl Refused {
    fn of(&self, of: EndType) -> &Refusals {
        match of {
            EndType::Stream => &self.stream,
            EndType::Future => &self.future,
        }
    }
}

const LIFT: Refused = Refused {
    stream: Refusals {
        busy: TrapCode::StreamLiftBusy,
        read_done: TrapCode::StreamLiftDone,
        write_done: TrapCode::StreamLiftDone,
        in_set: TrapCode::StreamLiftInSet,
    },
    future: Refusals {
        busy: TrapCode::FutureLiftBusy,
        read_done: TrapCode::FutureLiftDone,
        write_done: TrapCode::FutureLiftDone,
        in_set: TrapCode::FutureLiftInSet,
    },
};
const FORWARD: Refused = Refused {
    stream: Refusals {
        busy: TrapCode::StreamForwardBusy,
        read_done: TrapCode::StreamForwardReadDone,
        write_done: TrapCode::StreamForwardWriteDone,
        in_set: TrapCode::StreamForwardInSet,
    },
    future: Refusals {
        busy: TrapCode::FutureForwardBusy,
        read_done: TrapCode::FutureForwardReadDone,
        write_done: TrapCode::FutureForwardWriteDone,
        in_set: TrapCode::FutureForwardInSet,
    },
};
const COPY: Refused = Refused {
    stream: Refusals {
        busy: TrapCode::EndBusy,
        read_done: TrapCode::StreamReadDone,
        write_done: TrapCode::StreamWriteDone,
        in_set: TrapCode::WaitableInSet,
    },
    future: Refusals {
        busy: TrapCode::EndBusy,
        read_done: TrapCode::FutureReadDone,
        write_done: TrapCode::FutureWriteDone,
        in_set: TrapCode::WaitableInSet,
    },
};

/// Tests that an end is idle.
fn check_idle(end: &End, refusals: &Refusals) -> Result<(), Fault> {
    match (end.state.get(), end.side) {
        (EndState::Idle, _) => Ok(()),
        (EndState::Copying | EndState::Cancelling, _) => Err(refusals.busy.into()),
        (EndState::Done, EndKind::Reader) => Err(refusals.read_done.into()),
        (EndState::Done, EndKind::Writer) => Err(refusals.write_done.into()),
    }
}

/// Tests that an end is in no set.
fn check_no_set(end: &End, refusals: &Refusals) -> Result<(), Fault> {
    match end.waitable.set.get() {
        None => Ok(()),
        Some(_) => Err(refusals.in_set.into()),
    }
}

impl Tasks<'_> {
    /// Whether a type is a stream's or a future's, and that of its elements.
    pub(crate) fn payload(self, ty: TypeId) -> Result<(EndType, Option<Type>), Fault> {
        match self.instance.component.metadata().types.get(ty) {
            Some(DefinedType::Stream(payload)) => Ok((EndType::Stream, *payload)),
            Some(DefinedType::Future(payload)) => Ok((EndType::Future, *payload)),
            _ => Err(TrapCode::RecordsFull.into()),
        }
    }

    fn find_end(
        self,
        instance: ComponentInstanceId,
        ty: TypeId,
        side: EndKind,
        handle: u32,
    ) -> Result<(EndId, EndType), Fault> {
        let (of, _) = self.payload(ty)?;
        let end = self.end(instance, handle, end_tag(side, of, ty))?;
        Ok((end, of))
    }

    /// `stream.new` and `future.new`.
    pub(crate) fn ends_new(self, instance: u32, ty: u32) -> Result<u64, Fault> {
        let (instance, ty) = (ComponentInstanceId(instance), TypeId(ty));
        let (of, _) = self.payload(ty)?;
        let (reader, writer) = self.new_ends(of, ty, instance)?;
        let give = |end: EndId, side| -> Result<u32, Fault> {
            let handle = self.add_handle(instance, end_tag(side, of, ty), end.number())?;
            self.pool()[end].waitable.handle.set(handle);
            Ok(handle)
        };
        let reader = give(reader, EndKind::Reader)?;
        let writer = give(writer, EndKind::Writer)?;
        Ok(u64::from(reader) | u64::from(writer) << 32)
    }

    /// Reads and writes.
    pub(crate) fn end_copy(
        self,
        id: u32,
        handle: u32,
        address: u64,
        elements: u64,
    ) -> Result<u64, Fault> {
        let id = CopyId(id);
        let entry = &self.plan().copies[id];
        let (end, of) = self.find_end(entry.instance, entry.ty, entry.end, handle)?;
        let record = &self.pool()[end];
        let refusals = COPY.of(of);
        check_idle(record, refusals)?;
        let waits = match entry.is_async {
            true => Waits::No,
            false => Waits::Yes,
        };
        if waits == Waits::Yes {
            check_no_set(record, refusals)?;
        }
        let elements = match of {
            EndType::Stream => elements,
            EndType::Future => 1,
        };
        if elements >= TOO_LONG {
            return Err(TrapCode::CopyTooLong.into());
        }
        self.check_buffer(entry, address, elements)?;
        let buffer = Buffer {
            copy: id,
            address,
            length: elements as u32,
            progress: 0,
        };
        copy(self, end, buffer)?;
        if !record.waitable.pending.get() {
            self.serve_other(end)?;
        }
        self.finish(end, waits)
    }

    /// Takes the event of a read, a write or a cancellation, or waits for it.
    fn finish(self, end: EndId, waits: Waits) -> Result<u64, Fault> {
        let record = &self.pool()[end];
        if !record.waitable.pending.get() {
            if waits == Waits::No {
                return Ok(BLOCKED);
            }
            record.waitable.sync_waiter.set(true);
            self.block(Wait::Event(end.into()))?;
            self.pool()[end].waitable.sync_waiter.set(false);
        }
        Ok(self.take_event(end.into()).second.into())
    }

    /// Cancellations and drops.
    pub(crate) fn end_operate(
        self,
        instance: u32,
        ty: u32,
        handle: u32,
        operation: u32,
    ) -> Result<u64, Fault> {
        let (instance, ty) = (ComponentInstanceId(instance), TypeId(ty));
        let operation = EndOperation::ALL.get(operation as usize);
        match operation.ok_or(TrapCode::RecordsFull)? {
            EndOperation::CancelRead => {
                self.cancel_copy(instance, ty, EndKind::Reader, handle, Waits::Yes)
            }
            EndOperation::CancelReadAsync => {
                self.cancel_copy(instance, ty, EndKind::Reader, handle, Waits::No)
            }
            EndOperation::CancelWrite => {
                self.cancel_copy(instance, ty, EndKind::Writer, handle, Waits::Yes)
            }
            EndOperation::CancelWriteAsync => {
                self.cancel_copy(instance, ty, EndKind::Writer, handle, Waits::No)
            }
            EndOperation::DropReadable => self.drop_copy(instance, ty, EndKind::Reader, handle),
            EndOperation::DropWritable => self.drop_copy(instance, ty, EndKind::Writer, handle),
        }
    }

    fn cancel_copy(
        self,
        instance: ComponentInstanceId,
        ty: TypeId,
        side: EndKind,
        handle: u32,
        waits: Waits,
    ) -> Result<u64, Fault> {
        let (end, _) = self.find_end(instance, ty, side, handle)?;
        let record = &self.pool()[end];
        if record.state.get() != EndState::Copying {
            return Err(TrapCode::NothingToCancel.into());
        }
        if record.waitable.sync_waiter.get() {
            return Err(TrapCode::EndBusy.into());
        }
        if waits == Waits::Yes && record.waitable.set.get().is_some() {
            return Err(TrapCode::WaitableInSet.into());
        }
        cancel(self, end);
        self.stop_waiting_of_party(end);
        self.finish(end, waits)
    }

    fn drop_copy(
        self,
        instance: ComponentInstanceId,
        ty: TypeId,
        side: EndKind,
        handle: u32,
    ) -> Result<u64, Fault> {
        let (end, of) = self.find_end(instance, ty, side, handle)?;
        let record = &self.pool()[end];
        if record.is_busy() {
            let busy = match (of, side) {
                (EndType::Stream, EndKind::Reader) => TrapCode::StreamLiftBusy,
                (EndType::Stream, EndKind::Writer) => TrapCode::StreamDropBusy,
                (EndType::Future, EndKind::Reader) => TrapCode::FutureLiftBusy,
                (EndType::Future, EndKind::Writer) => TrapCode::FutureDropBusy,
            };
            return Err(busy.into());
        }
        let unwritten = of == EndType::Future && side == EndKind::Writer;
        if unwritten && record.state.get() != EndState::Done {
            return Err(TrapCode::FutureUnwritten.into());
        }
        self.free_handle(instance, handle);
        drop_end(self, end);
        self.settle_told()?;
        Ok(0)
    }

    /// Takes an end that is idle, and in no set, out of an instance's table.
    fn take_end(
        self,
        instance: ComponentInstanceId,
        ty: TypeId,
        side: EndKind,
        handle: u32,
        refused: &Refused,
    ) -> Result<EndId, Fault> {
        let (end, of) = self.find_end(instance, ty, side, handle)?;
        let record = &self.pool()[end];
        check_idle(record, refused.of(of))?;
        check_no_set(record, refused.of(of))?;
        self.free_handle(instance, handle);
        record.waitable.handle.set(0);
        Ok(end)
    }

    /// `stream.forward` and `future.forward`.
    pub(crate) fn ends_forward(
        self,
        instance: u32,
        ty: u32,
        reader: u32,
        writer: u32,
    ) -> Result<(), Fault> {
        let (instance, ty) = (ComponentInstanceId(instance), TypeId(ty));
        // The reader's handle is gone before the writer's is looked at.
        let reader = self.take_end(instance, ty, EndKind::Reader, reader, &FORWARD)?;
        let writer = self.take_end(instance, ty, EndKind::Writer, writer, &FORWARD)?;
        let outer = [reader, writer].map(|end| self.pool()[end].other.get());
        let connects = outer[0] != Some(writer);
        ends::forward(self, reader, writer)?;
        self.settle_told()?;
        match outer {
            [Some(source), Some(target)] if connects => self.serve_forwarded(source, target),
            _ => Ok(()),
        }
    }

    /// Lifts a readable end: its number.
    pub(crate) fn end_take(self, instance: u32, ty: u32, handle: u32) -> Result<u32, Fault> {
        let (instance, ty) = (ComponentInstanceId(instance), TypeId(ty));
        let end = self.take_end(instance, ty, EndKind::Reader, handle, &LIFT)?;
        self.pool()[end].owner.set(None);
        Ok(end.number())
    }

    /// Lowers a readable end of that number: its handle.
    pub(crate) fn end_give(self, instance: u32, ty: u32, number: u32) -> Result<u32, Fault> {
        let (instance, ty) = (ComponentInstanceId(instance), TypeId(ty));
        let (of, _) = self.payload(ty)?;
        let end = EndId::from_number(number).ok_or(TrapCode::RecordsFull)?;
        let record = &self.pool()[end];
        let handle = self.add_handle(instance, end_tag(EndKind::Reader, of, ty), number)?;
        record.owner.set(Some(instance));
        record.ty.set(ty);
        record.waitable.handle.set(handle);
        Ok(handle)
    }
}

/// Whether a built-in waits if it is not yet known how it ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Waits {
    Yes,
    No,
}
