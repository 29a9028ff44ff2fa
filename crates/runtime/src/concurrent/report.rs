//! Who waits for what: the text of a deadlock.
//!
//! It begins with the call of the host's that nothing can wake, and goes on with what that waits
//! for, as far as one thing is waited for and not any of a set.

use crate::concurrent::records::{CallId, EndId, EndType, Thread, Wait, WaitableId, WaitableKind};
use crate::concurrent::state::Tasks;
use crate::load::backtrace::{Trap, WasmBacktrace};
use crate::messages::display_import;
use anyhow::Error;
use trampette_artifact::tasks::EndKind;
use trampette_artifact::trap::TrapCode;

/// Calls that are told of at most.
const MOST: usize = 8;

impl Tasks<'_> {
    /// The trap of a call of the host's that waits for ever.
    #[cold]
    pub(crate) fn deadlock(self, call: CallId) -> Error {
        let mut waits = Vec::new();
        let mut told = Vec::new();
        let mut next = Some(call);
        while let Some(call) = next.filter(|call| told.len() < MOST && !told.contains(call)) {
            told.push(call);
            let (what, other) = self.what_for(self.pool()[call].wait.get());
            waits.push(format!("{} {what}", self.name(call)));
            next = other.or_else(|| self.who_keeps_out(call));
        }
        let trap = Trap::new(TrapCode::Deadlock, 0, WasmBacktrace::default());
        trap.at(waits.join("; ")).into()
    }

    fn name(self, call: CallId) -> String {
        let record = &self.pool()[call];
        match (record.thread, record.entry) {
            (Thread::Implicit, Some(task)) => format!("`{}`", self.plan().tasks[task].name),
            (Thread::Implicit | Thread::InPlace, _) => "a synchronous call".to_string(),
            (Thread::Host { host_call, .. }, _) => {
                let import = self.plan().host_calls[host_call].import;
                display_import(&self.instance.component.metadata().imports[import].path)
            }
            (Thread::Explicit { task, .. }, _) => match self.pool()[task].entry {
                Some(task) => format!("a thread of `{}`", self.plan().tasks[task].name),
                None => "a thread".to_string(),
            },
        }
    }

    /// What a wait is for, and the call that it is for.
    fn what_for(self, wait: Wait) -> (String, Option<CallId>) {
        let text = match wait {
            Wait::Nothing => "has ended without a result",
            Wait::Entry => "waits to enter its component instance",
            Wait::CallbackYield | Wait::Yield | Wait::Resumed | Wait::Delivery => {
                "waits for its turn"
            }
            Wait::CallbackSet(set) | Wait::Set(set) => {
                return match self.pool()[set].members.get() {
                    0 => ("waits for an event in an empty set".to_string(), None),
                    1 => ("waits for an event in a set of 1".to_string(), None),
                    members => (format!("waits for an event in a set of {members}"), None),
                };
            }
            Wait::Event(waitable) => return self.what_for_event(waitable),
            Wait::Resolution(call) => {
                return (format!("waits for {}", self.name(call)), Some(call));
            }
            Wait::Suspended => "waits to be resumed",
            Wait::Inner(call) => {
                let (what, _) = self.what_for(self.pool()[call].wait.get());
                return (format!("has made a synchronous call, which {what}"), None);
            }
        };
        (text.to_string(), None)
    }

    fn what_for_event(self, waitable: WaitableId) -> (String, Option<CallId>) {
        match self.pool()[waitable].kind {
            WaitableKind::Subtask => match CallId::from_number(waitable.number()) {
                Some(call) => (format!("waits for {}", self.name(call)), Some(call)),
                None => ("waits for a call".to_string(), None),
            },
            WaitableKind::End => {
                let end = EndId::from_number(waitable.number()).map(|end| &self.pool()[end]);
                let text = match end.map(|end| (end.side, end.of)) {
                    Some((EndKind::Reader, EndType::Stream)) => "waits to read a stream",
                    Some((EndKind::Writer, EndType::Stream)) => "waits to write a stream",
                    Some((EndKind::Reader, EndType::Future)) => "waits to read a future",
                    Some((EndKind::Writer, EndType::Future)) => "waits to write a future",
                    None => "waits for the end of a stream or future",
                };
                (text.to_string(), None)
            }
        }
    }

    /// If a call waits to enter its instance: the one that has its lock.
    fn who_keeps_out(self, call: CallId) -> Option<CallId> {
        let record = &self.pool()[call];
        let waits = record.wait.get() == Wait::Entry;
        waits.then(|| self.gate(record.instance).lock.get())?
    }
}
