//! Streams and futures: two ends that know each other, of which one is read and one written.
//!
//! Whichever end comes second copies, as far as both buffers go, and both are told. An end that was
//! told keeps what is left of its buffer, and more can be copied, until its event is taken: that
//! decides what the event says (CanonicalABI.md, *Stream and Future State*). How elements move is
//! [`crate::concurrent::elements`]'s.

use crate::concurrent::records::{Buffer, EndId, EndState, EndType, Kind, WaitableId};
use crate::concurrent::state::{Fault, Tasks};
use crate::concurrent::waitables::Event;
use trampette_artifact::tasks::EndKind;

/// How a read or write ended (`CopyResult`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum CopyResult {
    Completed = 0,
    Dropped = 1,
    Cancelled = 2,
}

/// Where progress begins in what a stream's event says.
const PROGRESS_SHIFT: u32 = 4;

/// Moves elements; the numbers are those of the ends that are written and read.
pub(crate) trait Transfer {
    /// Whether both ends may be used in one instance.
    fn within_instance(&self, reader: EndId) -> Result<(), Fault>;
    /// Copies so many elements from the buffer of a write to that of a read, and moves both on.
    fn copy(&self, from: &mut Buffer, to: &mut Buffer, count: u32) -> Result<(), Fault>;
}

/// The ends of a pool, with what tells of events and moves elements.
pub(crate) trait Ends: Transfer + Copy {
    fn end_record(&self, id: EndId) -> &crate::concurrent::records::End;
    /// The end has an event from now on.
    fn notify_end(&self, id: EndId);
    /// The end goes: out of its set, without its event.
    fn forget_end(&self, id: EndId);
}

/// An end has an event, which will say so much of progress.
pub(crate) fn tell(ends: impl Ends, id: EndId, progress: u32) {
    ends.end_record(id).told.set(progress);
    ends.notify_end(id);
}

/// Begins a read or write (`End.copy`).
pub(crate) fn copy(ends: impl Ends, id: EndId, mut buffer: Buffer) -> Result<(), Fault> {
    let end = ends.end_record(id);
    end.state.set(EndState::Copying);
    // If the other end is gone, the event has come already.
    let Some(other_id) = end.other.get() else {
        return Ok(());
    };
    let other = ends.end_record(other_id);
    let Some(mut others) = other.buffer.get() else {
        end.buffer.set(Some(buffer));
        return Ok(());
    };
    let is_read = end.side == EndKind::Reader;
    if buffer.remain() > 0 && others.remain() > 0 {
        if end.owner.get().is_some() && end.owner.get() == other.owner.get() {
            ends.within_instance(id)?;
        }
        let count = buffer.remain().min(others.remain());
        match is_read {
            true => ends.copy(&mut others, &mut buffer, count)?,
            false => ends.copy(&mut buffer, &mut others, count)?,
        }
        other
            .buffer
            .set(Some(others).filter(|left| left.remain() > 0));
        tell(ends, id, buffer.progress);
        tell(ends, other_id, others.progress);
    } else if buffer.remain() > 0 || (is_read && others.remain() == 0) {
        other.buffer.set(None);
        end.buffer.set(Some(buffer));
        tell(ends, other_id, 0);
    } else {
        tell(ends, id, 0);
    }
    Ok(())
}

/// Asks a read or write to end (`End.cancel`).
pub(crate) fn cancel(ends: impl Ends, id: EndId) {
    let end = ends.end_record(id);
    end.state.set(EndState::Cancelling);
    if !end.waitable.pending.get() {
        tell(ends, id, 0);
    }
}

/// An end that is not busy goes (`End.drop`).
pub(crate) fn drop_end(ends: impl Ends, id: EndId) {
    let end = ends.end_record(id);
    if let Some(other_id) = end.other.take() {
        let other = ends.end_record(other_id);
        other.other.set(None);
        if other.state.get() != EndState::Done && !other.waitable.pending.get() {
            tell(ends, other_id, 0);
        }
    }
    ends.forget_end(id);
}

/// Connects what `reader` reads from with what `writer` writes to (`End.forward`). Both are over.
pub(crate) fn forward(ends: impl Ends, reader: EndId, writer: EndId) -> Result<(), Fault> {
    let outer = (
        ends.end_record(reader).other.get(),
        ends.end_record(writer).other.get(),
    );
    let (Some(source), Some(target)) = outer else {
        drop_end(ends, reader);
        drop_end(ends, writer);
        return Ok(());
    };
    if source == writer {
        drop_end(ends, reader);
        drop_end(ends, writer);
        return Ok(());
    }
    ends.forget_end(reader);
    ends.forget_end(writer);
    let (written, read) = (ends.end_record(source), ends.end_record(target));
    written.other.set(Some(target));
    read.other.set(Some(source));
    let (Some(from), Some(to)) = (written.buffer.get(), read.buffer.get()) else {
        return Ok(());
    };
    // Whoever has less is taken to come second.
    let (smaller, buffer) = match to.remain() > from.remain() {
        true => (source, from),
        false => (target, to),
    };
    ends.end_record(smaller).buffer.set(None);
    copy(ends, smaller, buffer)
}

/// What an end's event says, which is taken now.
pub(crate) fn take_result(ends: impl Ends, id: EndId) -> u32 {
    let end = ends.end_record(id);
    let progress = end.told.replace(0);
    let completed = end.of == EndType::Future && progress == 1;
    let (result, state) = match end.state.get() {
        _ if completed => (CopyResult::Completed, EndState::Done),
        _ if end.other.get().is_none() => (CopyResult::Dropped, EndState::Done),
        EndState::Cancelling => (CopyResult::Cancelled, EndState::Idle),
        _ => (CopyResult::Completed, EndState::Idle),
    };
    end.buffer.set(None);
    end.state.set(state);
    match end.of {
        EndType::Stream => result as u32 | progress << PROGRESS_SHIFT,
        EndType::Future => result as u32,
    }
}

/// The code of an end's events (`EventCode`).
fn event_code(of: EndType, side: EndKind) -> u32 {
    match (of, side) {
        (EndType::Stream, EndKind::Reader) => 2,
        (EndType::Stream, EndKind::Writer) => 3,
        (EndType::Future, EndKind::Reader) => 4,
        (EndType::Future, EndKind::Writer) => 5,
    }
}

impl Ends for Tasks<'_> {
    fn end_record(&self, id: EndId) -> &crate::concurrent::records::End {
        &self.pool()[id]
    }

    fn notify_end(&self, id: EndId) {
        match self.pool()[id].host.get() {
            None => self.notify(id.into()),
            Some(_) => self.told.borrow_mut().push(id),
        }
    }

    fn forget_end(&self, id: EndId) {
        self.drop_waitable(id.into());
        self.pool().free_end(id);
        self.uncount(Kind::End);
    }
}

impl Tasks<'_> {
    /// The event of an end, which is taken now.
    pub(crate) fn end_event(self, id: WaitableId, handle: u32) -> Event {
        let Some(end) = EndId::from_number(id.number()) else {
            return Event::NONE;
        };
        let record = &self.pool()[end];
        Event {
            code: event_code(record.of, record.side),
            first: handle,
            second: take_result(self, end),
        }
    }
}

#[cfg(test)]
#[path = "ends_tests.rs"]
mod tests;
