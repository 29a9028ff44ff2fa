//! Handles of subtasks, waitable sets and ends of streams and futures.
//!
//! They are entries of the same tables as those of resources: the kind, and for ends the type, is
//! in the entry's tag, and its representation is the record's number. So an index that a guest
//! passes is checked by one comparison.

use crate::concurrent::records::{CallId, EndId, EndType, SetId, WaitableId};
use crate::concurrent::state::{Fault, Tasks};
use trampette_artifact::ids::{ComponentInstanceId, TypeId};
use trampette_artifact::layout::HandleEntry;
use trampette_artifact::tasks::EndKind;
use trampette_artifact::trap::TrapCode;

/// The tag of an end's handle.
pub(crate) fn end_tag(side: EndKind, of: EndType, ty: TypeId) -> u32 {
    let kind = match (of, side) {
        (EndType::Stream, EndKind::Reader) => HandleEntry::STREAM_READER,
        (EndType::Stream, EndKind::Writer) => HandleEntry::STREAM_WRITER,
        (EndType::Future, EndKind::Reader) => HandleEntry::FUTURE_READER,
        (EndType::Future, EndKind::Writer) => HandleEntry::FUTURE_WRITER,
    };
    kind | ty.0 << HandleEntry::RESOURCE_SHIFT
}

impl Tasks<'_> {
    /// A new handle in the table of an instance.
    pub(crate) fn add_handle(
        self,
        instance: ComponentInstanceId,
        tag: u32,
        number: u32,
    ) -> Result<u32, Fault> {
        let handles = &self.instance.handles;
        Ok(handles.add(self.instance, self.store(), instance, tag, number)?)
    }

    /// Frees a handle that was looked up.
    pub(crate) fn free_handle(self, instance: ComponentInstanceId, handle: u32) {
        self.instance.handles.free(self.instance, instance, handle);
    }

    fn entry(self, instance: ComponentInstanceId, handle: u32) -> Result<HandleEntry, Fault> {
        let entry = self.instance.handles.get(instance, handle);
        entry.ok_or(Fault::Trap(TrapCode::UnknownHandle, handle.into()))
    }

    /// The record of a handle with exactly this tag.
    fn tagged<I>(
        self,
        instance: ComponentInstanceId,
        handle: u32,
        tag: u32,
        id: impl Fn(u32) -> Option<I>,
    ) -> Result<I, Fault> {
        let entry = self.entry(instance, handle)?;
        let found = (entry.tag == tag).then(|| id(entry.rep)).flatten();
        found.ok_or(wrong_type(handle))
    }

    /// The call of a subtask's handle.
    pub(crate) fn subtask(
        self,
        instance: ComponentInstanceId,
        handle: u32,
    ) -> Result<CallId, Fault> {
        self.tagged(instance, handle, HandleEntry::SUBTASK, CallId::from_number)
    }

    /// The set of a handle.
    pub(crate) fn set(self, instance: ComponentInstanceId, handle: u32) -> Result<SetId, Fault> {
        self.tagged(
            instance,
            handle,
            HandleEntry::WAITABLE_SET,
            SetId::from_number,
        )
    }

    /// The end of a handle.
    pub(crate) fn end(
        self,
        instance: ComponentInstanceId,
        handle: u32,
        tag: u32,
    ) -> Result<EndId, Fault> {
        self.tagged(instance, handle, tag, EndId::from_number)
    }

    /// The waitable of a handle of any kind that is one.
    pub(crate) fn waitable(
        self,
        instance: ComponentInstanceId,
        handle: u32,
    ) -> Result<WaitableId, Fault> {
        let entry = self.entry(instance, handle)?;
        let found = match entry.tag & 0xff {
            HandleEntry::SUBTASK => CallId::from_number(entry.rep).map(WaitableId::from),
            HandleEntry::STREAM_READER
            | HandleEntry::STREAM_WRITER
            | HandleEntry::FUTURE_READER
            | HandleEntry::FUTURE_WRITER => EndId::from_number(entry.rep).map(WaitableId::from),
            _ => None,
        };
        found.ok_or(wrong_type(handle))
    }
}

fn wrong_type(handle: u32) -> Fault {
    Fault::Trap(TrapCode::HandleTypeMismatchHost, handle.into())
}
