//! Waitables and waitable sets: events, who is told of them, and the built-ins.

use crate::concurrent::queue::Links;
use crate::concurrent::records::{CallId, Kind, SetId, Wait, WaitableId, WaitableKind};
use crate::concurrent::state::{Fault, Tasks};
use trampette_artifact::ids::{ComponentInstanceId, MemoryId};
use trampette_artifact::layout::HandleEntry;
use trampette_artifact::trap::TrapCode;

/// What an event says: a code of the Canonical ABI (`EventCode`), and two numbers.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct Event {
    pub code: u32,
    pub first: u32,
    pub second: u32,
}

impl Event {
    /// There is none.
    pub(crate) const NONE: Event = Event {
        code: 0,
        first: 0,
        second: 0,
    };
    /// The task is to cancel.
    pub(crate) const TASK_CANCELLED: Event = Event {
        code: 6,
        first: 0,
        second: 0,
    };
    /// The code of a subtask's event.
    pub(crate) const SUBTASK: u32 = 1;
}

/// Bytes that an event takes in a guest's memory.
const EVENT_BYTES: u64 = 8;

impl<'a> Tasks<'a> {
    fn waitable_links(self) -> impl Fn(WaitableId) -> &'a Links<WaitableId> {
        move |id| &self.pool()[id].links
    }

    fn set_links(self) -> impl Fn(CallId) -> &'a Links<CallId> {
        move |id| &self.pool()[id].set_links
    }

    /// Whether something in a set has an event.
    pub(crate) fn has_event(self, set: SetId) -> bool {
        self.pool()[set].pending.first().is_some()
    }

    /// A waitable has an event from now on; tells who waits for it. What it had to say before is
    /// forgotten.
    pub(crate) fn notify(self, id: WaitableId) {
        let waitable = &self.pool()[id];
        if !waitable.pending.replace(true)
            && let Some(set) = waitable.set.get()
        {
            let links = self.waitable_links();
            self.pool()[set].pending.push_back(id, links);
        }
        if let Some(waiter) = waitable.waiter.get() {
            self.wake(waiter);
        } else if let Some(set) = waitable.set.get() {
            self.serve_set(set);
        }
    }

    /// Tells those who wait for a set of its event: the first who waits on its stack, and the first
    /// callback. That may lack the lock, and so would all behind it; whoever takes the event, or
    /// leaves without it, sees to the next.
    pub(crate) fn serve_set(self, set: SetId) {
        if self.has_event(set) {
            let record = &self.pool()[set];
            let first = [record.waiters.first(), record.callbacks.first()];
            first.into_iter().flatten().for_each(|call| self.wake(call));
        }
    }

    /// Takes the event of a waitable that has one, or nothing.
    pub(crate) fn take_event(self, id: WaitableId) -> Event {
        let waitable = &self.pool()[id];
        self.forget_event(id);
        let handle = waitable.handle.get();
        match (waitable.kind, CallId::from_number(id.number())) {
            (WaitableKind::Subtask, Some(call)) => Event {
                code: Event::SUBTASK,
                first: handle,
                second: self.deliver_subtask(call),
            },
            _ => self.end_event(id, handle),
        }
    }

    /// Forgets the event of a waitable, if it has one.
    fn forget_event(self, id: WaitableId) {
        let waitable = &self.pool()[id];
        if waitable.pending.replace(false)
            && let Some(set) = waitable.set.get()
        {
            let links = self.waitable_links();
            self.pool()[set].pending.remove(id, links);
        }
    }

    /// Takes the event that came first in a set, if there is one.
    pub(crate) fn take_event_of_set(self, set: SetId) -> Event {
        let Some(first) = self.pool()[set].pending.first() else {
            return Event::NONE;
        };
        let event = self.take_event(first);
        // There may be more, and others who wait.
        self.serve_set(set);
        event
    }

    /// Lets a task wait for a set.
    pub(crate) fn start_waiting_for(self, set: SetId, call: CallId, wait: Wait) {
        let record = &self.pool()[set];
        record.waiting.set(record.waiting.get() + 1);
        record.queue_of(wait).push_back(call, self.set_links());
    }

    /// A task does not wait for a set any more.
    pub(crate) fn stop_waiting_for(self, set: SetId, call: CallId, wait: Wait) {
        let record = &self.pool()[set];
        record.waiting.set(record.waiting.get() - 1);
        record.queue_of(wait).remove(call, self.set_links());
    }

    /// Puts a waitable into another set, or into none.
    pub(crate) fn join(self, id: WaitableId, set: Option<SetId>) {
        let waitable = &self.pool()[id];
        if let Some(old) = waitable.set.replace(set) {
            let record = &self.pool()[old];
            record.members.set(record.members.get() - 1);
            if waitable.pending.get() {
                record.pending.remove(id, self.waitable_links());
            }
        }
        if let Some(new) = set {
            let record = &self.pool()[new];
            record.members.set(record.members.get() + 1);
            if waitable.pending.get() {
                record.pending.push_back(id, self.waitable_links());
                self.serve_set(new);
            }
        }
    }

    /// A waitable goes: it leaves its set, and its event is forgotten.
    pub(crate) fn drop_waitable(self, id: WaitableId) {
        self.join(id, None);
        self.pool()[id].pending.set(false);
    }

    /// `waitable-set.new`.
    pub(crate) fn waitable_set_new(self, instance: u32) -> Result<u32, Fault> {
        self.count(Kind::Set)?;
        let set = self.pool().add_set();
        let set = set.inspect_err(|_| self.uncount(Kind::Set))?;
        let instance = ComponentInstanceId(instance);
        self.add_handle(instance, HandleEntry::WAITABLE_SET, set.number())
    }

    /// `waitable-set.wait`.
    pub(crate) fn waitable_set_wait(
        self,
        instance: u32,
        set: u32,
        memory: u32,
        address: u64,
    ) -> Result<u32, Fault> {
        let set = self.set(ComponentInstanceId(instance), set)?;
        self.block(Wait::Set(set))?;
        let event = self.take_event_of_set(set);
        self.store_event(event, MemoryId(memory), address)
    }

    /// `waitable-set.poll`.
    pub(crate) fn waitable_set_poll(
        self,
        instance: u32,
        set: u32,
        memory: u32,
        address: u64,
    ) -> Result<u32, Fault> {
        let set = self.set(ComponentInstanceId(instance), set)?;
        let event = self.take_event_of_set(set);
        self.store_event(event, MemoryId(memory), address)
    }

    /// Writes the numbers of an event; its code.
    fn store_event(self, event: Event, memory: MemoryId, address: u64) -> Result<u32, Fault> {
        let to = self.place(memory, address, EVENT_BYTES, 4)?;
        // SAFETY: inside of the memory.
        unsafe { to.cast::<[u32; 2]>().write([event.first, event.second]) };
        Ok(event.code)
    }

    /// The place of so many bytes in a memory.
    ///
    /// # Errors
    /// If they are not all in it, or not aligned.
    pub(crate) fn place(
        self,
        memory: MemoryId,
        address: u64,
        bytes: u64,
        align: u32,
    ) -> Result<*mut u8, Fault> {
        // Alignments are powers of two.
        if address & u64::from(align - 1) != 0 {
            return Err(TrapCode::UnalignedPointer.into());
        }
        let length = self.instance.memory_length(memory);
        let end = address.checked_add(bytes);
        if end.is_none_or(|end| end > length) {
            return Err(TrapCode::PointerOutOfBounds.into());
        }
        let base = self.instance.memory_base(memory).as_ptr();
        Ok(base.wrapping_add(address as usize))
    }

    /// `waitable-set.drop`.
    pub(crate) fn waitable_set_drop(self, instance: u32, handle: u32) -> Result<(), Fault> {
        let instance = ComponentInstanceId(instance);
        let set = self.set(instance, handle)?;
        let record = &self.pool()[set];
        if record.members.get() > 0 {
            return Err(TrapCode::SetHasMembers.into());
        }
        if record.waiting.get() > 0 {
            return Err(TrapCode::SetHasWaiters.into());
        }
        self.free_handle(instance, handle);
        self.pool().free_set(set);
        self.uncount(Kind::Set);
        Ok(())
    }

    /// `waitable.join`.
    pub(crate) fn waitable_join(self, instance: u32, handle: u32, set: u32) -> Result<(), Fault> {
        let instance = ComponentInstanceId(instance);
        let waitable = self.waitable(instance, handle)?;
        if self.pool()[waitable].sync_waiter.get() {
            return Err(TrapCode::WaitableInSet.into());
        }
        let set = match set {
            0 => None,
            set => Some(self.set(instance, set)?),
        };
        self.join(waitable, set);
        Ok(())
    }
}
