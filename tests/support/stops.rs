//! The ways to stop a call, for tables of what is to be stopped.

use crate::clock::Watch;
use std::time::{Duration, Instant};
use trampette_runtime::{Store, TrapCode};

/// A way to stop a call.
#[derive(Clone, Copy, Debug)]
pub enum By {
    /// Another thread.
    Interrupt,
    /// A deadline that was set before.
    Deadline,
    /// A deadline that another thread sets when the call runs.
    LateDeadline,
}

/// All of them.
pub const WAYS: [By; 3] = [By::Interrupt, By::Deadline, By::LateDeadline];

impl By {
    /// Stops what a store calls next, so long after now.
    pub fn stop<T: 'static>(self, store: &mut Store<T>, after: Duration) -> Watch {
        let handle = store.interrupt_handle().unwrap();
        let moment = Instant::now() + after;
        match self {
            By::Interrupt => Watch::request(moment, move || handle.interrupt()),
            By::LateDeadline => Watch::request(moment, move || {
                handle.set_deadline(Some(Instant::now())).unwrap();
                true
            }),
            By::Deadline => {
                store.set_deadline(Some(moment)).unwrap();
                Watch::due(moment)
            }
        }
    }

    /// The trap that the call ends with.
    pub fn code(self) -> TrapCode {
        match self {
            By::Interrupt => TrapCode::Interrupt,
            By::Deadline | By::LateDeadline => TrapCode::Deadline,
        }
    }
}
