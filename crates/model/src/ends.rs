//! Streams and futures: two linked ends, without what they carry.

use crate::machine::{Frame, Model, Stage};
use crate::script::{Element, Kind, Mode, Side};
use crate::state::{Buffer, Condition, End, EndId, EndState, Pending, WaitableId};
use crate::trace::{Answer, Delivered, Event};
use crate::traps::{Trap, Use};

impl Model {
    /// `stream.new`, `future.new`.
    pub(crate) fn new_pair(&mut self, kind: Kind) -> (u32, u32) {
        let instance = self.current_instance();
        let reader = EndId(self.ends.len() as u32);
        let writer = EndId(reader.0 + 1);
        for (side, other) in [(Side::Reader, writer), (Side::Writer, reader)] {
            let waitable = self.new_waitable();
            self.ends.push(End {
                waitable,
                kind,
                side,
                state: EndState::Idle,
                other: Some(other),
                buffer: None,
                owner: None,
                index: None,
            });
        }
        (
            self.lower_end(instance, reader),
            self.lower_end(instance, writer),
        )
    }

    fn notify(&mut self, end: EndId, progress: u32) {
        self.end_mut(end).waitable.pending = Some(Pending::Copy(progress));
    }

    /// `read` and `write`.
    pub(crate) fn copy(
        &mut self,
        kind: Kind,
        side: Side,
        mode: Mode,
        index: u32,
        length: u32,
    ) -> Result<(), Trap> {
        let instance = self.current_instance();
        let handle = self.instance(instance).handles.get(index);
        let end = self.expect_end(handle, kind, side, index)?;
        match self.end(end).state {
            EndState::Idle => {}
            EndState::Done => return Err(Trap::Done(kind, side, Use::Copy)),
            EndState::Copying | EndState::Cancelling => {
                return Err(Trap::Busy(kind, side, Use::Copy));
            }
        }
        if mode == Mode::Sync && self.end(end).waitable.set.is_some() {
            return Err(Trap::SynchronousInSet);
        }
        self.begin_copy(
            end,
            Buffer {
                length,
                progress: 0,
            },
        )?;
        self.push(Frame::Copied {
            mode,
            end,
            stage: Stage::First,
        });
        Ok(())
    }

    /// An end gets a buffer: if the other one has one too, elements are copied.
    fn begin_copy(&mut self, end: EndId, mut buffer: Buffer) -> Result<(), Trap> {
        assert!(self.end(end).buffer.is_none());
        self.end_mut(end).state = EndState::Copying;
        let Some(other) = self.end(end).other else {
            assert!(self.end(end).waitable.pending.is_some());
            return Ok(());
        };
        let Some(mut theirs) = self.end(other).buffer else {
            self.end_mut(end).buffer = Some(buffer);
            return Ok(());
        };
        let reads = self.end(end).side == Side::Reader;
        if buffer.remain() > 0 && theirs.remain() > 0 {
            let owner = self.end(end).owner;
            let same = owner.is_some() && owner == self.end(other).owner;
            if same && self.script.element == Element::Char {
                return Err(Trap::SameInstance);
            }
            let count = buffer.remain().min(theirs.remain());
            self.tell(Event::Copy(count));
            buffer.progress += count;
            theirs.progress += count;
            self.notify(end, buffer.progress);
            self.notify(other, theirs.progress);
            self.end_mut(other).buffer = (theirs.remain() > 0).then_some(theirs);
        } else if buffer.remain() > 0 || (reads && theirs.remain() == 0) {
            self.notify(other, 0);
            self.end_mut(other).buffer = None;
            self.end_mut(end).buffer = Some(buffer);
        } else {
            self.notify(end, 0);
        }
        Ok(())
    }

    /// `cancel-read` and `cancel-write`.
    pub(crate) fn cancel_copy(
        &mut self,
        kind: Kind,
        side: Side,
        mode: Mode,
        index: u32,
    ) -> Result<(), Trap> {
        let handle = self.instance(self.current_instance()).handles.get(index);
        let end = self.expect_end(handle, kind, side, index)?;
        let record = self.end_mut(end);
        if record.state != EndState::Copying {
            return Err(Trap::NoCopy(side));
        }
        if record.waitable.has_sync_waiter {
            return Err(Trap::SynchronousWaiter);
        }
        if mode == Mode::Sync && record.waitable.set.is_some() {
            return Err(Trap::SynchronousInSet);
        }
        record.state = EndState::Cancelling;
        if record.waitable.pending.is_none() {
            let other = record.other.expect("else there is an event");
            if self.end(other).owner.is_none() {
                self.push(Frame::HostCancel { mode, end });
                self.ask(2);
                return Ok(());
            }
            self.notify(end, 0);
        }
        self.push(Frame::Copied {
            mode,
            end,
            stage: Stage::First,
        });
        Ok(())
    }

    /// The host may give the buffer back at once, or later.
    pub(crate) fn step_host_cancel(&mut self, mode: Mode, end: EndId) {
        if self.answer == 1 {
            self.notify(end, 0);
        }
        self.push(Frame::Copied {
            mode,
            end,
            stage: Stage::First,
        });
    }

    pub(crate) fn step_copied(&mut self, mode: Mode, end: EndId, stage: Stage) {
        let waitable = WaitableId::End(end);
        if stage == Stage::Last {
            self.waitable_mut(waitable).has_sync_waiter = false;
        } else if self.waitable(waitable).pending.is_none() {
            match mode {
                Mode::Async => self.done(Answer::Blocked),
                Mode::Sync => {
                    self.waitable_mut(waitable).has_sync_waiter = true;
                    self.push(Frame::Copied {
                        mode,
                        end,
                        stage: Stage::Last,
                    });
                    self.wait(Condition::OneEvent(waitable));
                }
            }
            return;
        }
        match self.take_event(waitable) {
            Delivered::Copy {
                kind,
                result,
                progress,
                ..
            } => {
                self.done(Answer::Copied(kind, result, progress));
            }
            other => unreachable!("{other} of an end"),
        }
    }

    /// `drop-readable` and `drop-writable`.
    pub(crate) fn drop_end(&mut self, kind: Kind, side: Side, index: u32) -> Result<(), Trap> {
        let instance = self.current_instance();
        let handle = self.instance_mut(instance).handles.remove(index);
        let end = self.expect_end(handle, kind, side, index)?;
        let record = self.end(end);
        if record.is_busy() {
            return Err(Trap::Busy(kind, side, Use::Drop));
        }
        if (kind, side) == (Kind::Future, Side::Writer) && record.state != EndState::Done {
            return Err(Trap::Unwritten);
        }
        self.unlink(end);
        Ok(())
    }

    /// An end is no more; the other one hears of it.
    pub(crate) fn unlink(&mut self, end: EndId) {
        if let Some(other) = self.end_mut(end).other.take() {
            let record = self.end_mut(other);
            record.other = None;
            if record.state != EndState::Done && record.waitable.pending.is_none() {
                self.notify(other, 0);
            }
        }
        self.join(WaitableId::End(end), None);
    }

    /// `forward`: what is written to the reader's stream is read from the writer's.
    pub(crate) fn forward(&mut self, kind: Kind, reader: u32, writer: u32) -> Result<(), Trap> {
        let instance = self.current_instance();
        let source = self.remove_idle_end(instance, kind, Side::Reader, reader, Use::Forward)?;
        let target = self.remove_idle_end(instance, kind, Side::Writer, writer, Use::Forward)?;
        let (Some(outer_writer), Some(outer_reader)) =
            (self.end(source).other, self.end(target).other)
        else {
            self.unlink(source);
            self.unlink(target);
            return Ok(());
        };
        if outer_writer == target {
            self.unlink(source);
            self.unlink(target);
            return Ok(());
        }
        self.end_mut(outer_writer).other = Some(outer_reader);
        self.end_mut(outer_reader).other = Some(outer_writer);
        let buffers = (self.end(outer_reader).buffer, self.end(outer_writer).buffer);
        if let (Some(read), Some(written)) = buffers {
            let (smaller, buffer) = match read.remain() > written.remain() {
                true => (outer_writer, written),
                false => (outer_reader, read),
            };
            self.end_mut(smaller).buffer = None;
            self.begin_copy(smaller, buffer)?;
        }
        Ok(())
    }
}
