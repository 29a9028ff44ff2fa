//! A store's table of the messages of error contexts.
//!
//! A guest holds a handle in its table; the handle's representation, which is also the native form,
//! is the id of a message in the store, counted by handle. The id 0 is the empty message.

use std::cell::RefCell;
use std::sync::Arc;

/// What an entry costs besides its text, against [`crate::StoreLimits::error_context_bytes`].
const ENTRY_BYTES: u64 = 64;

/// The messages of a store's error contexts.
#[derive(Default)]
pub(crate) struct ErrorContexts(RefCell<Messages>);

#[derive(Default)]
struct Messages {
    /// By id, from 1.
    entries: Vec<Entry>,
    /// Ids of entries without references.
    free: Vec<u32>,
    /// What the entries with references cost.
    bytes: u64,
}

struct Entry {
    message: Arc<str>,
    references: u32,
}

impl Entry {
    fn cost(&self) -> u64 {
        self.message.len() as u64 + ENTRY_BYTES
    }
}

impl ErrorContexts {
    /// Keeps a message with one reference; 0, so that it is discarded, if `limit` bytes are
    /// reached.
    pub(crate) fn add(&self, message: &str, limit: u64) -> u32 {
        let mut messages = self.0.borrow_mut();
        let cost = message.len() as u64 + ENTRY_BYTES;
        if message.is_empty() || messages.bytes.saturating_add(cost) > limit {
            return 0;
        }
        let entry = Entry {
            message: message.into(),
            references: 1,
        };
        let id = match messages.free.pop() {
            Some(id) => {
                messages.entries[id as usize - 1] = entry;
                id
            }
            None => {
                let Ok(id) = u32::try_from(messages.entries.len() + 1) else {
                    return 0;
                };
                messages.entries.push(entry);
                id
            }
        };
        messages.bytes += cost;
        id
    }

    /// Counts one more reference.
    pub(crate) fn share(&self, id: u32) {
        let mut messages = self.0.borrow_mut();
        if let Some(entry) = messages.entry(id) {
            // Handles are limited, so that this many do not exist.
            entry.references = entry.references.saturating_add(1);
        }
    }

    /// Counts one reference less; the last one frees the message.
    pub(crate) fn release(&self, id: u32) {
        let mut messages = self.0.borrow_mut();
        let Some(entry) = messages.entry(id) else {
            return;
        };
        entry.references = entry.references.saturating_sub(1);
        if entry.references == 0 {
            let cost = entry.cost();
            entry.message = Arc::default();
            messages.bytes -= cost;
            messages.free.push(id);
        }
    }

    /// The message of an id.
    pub(crate) fn message(&self, id: u32) -> Option<Arc<str>> {
        let mut messages = self.0.borrow_mut();
        messages.entry(id).map(|entry| entry.message.clone())
    }
}

impl Messages {
    /// An entry that is referred to.
    fn entry(&mut self, id: u32) -> Option<&mut Entry> {
        let entry = self.entries.get_mut((id as usize).checked_sub(1)?)?;
        (entry.references > 0).then_some(entry)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_live_as_long_as_references() {
        let contexts = ErrorContexts::default();
        let limit = 2 * (ENTRY_BYTES + 3);
        assert_eq!(contexts.add("", limit), 0);
        let [one, two] = ["one", "two"].map(|message| contexts.add(message, limit));
        assert_eq!((one, two), (1, 2));
        assert_eq!(contexts.add("one too many", limit), 0);
        contexts.share(one);
        contexts.release(one);
        assert_eq!(contexts.message(one).as_deref(), Some("one"));
        contexts.release(one);
        assert_eq!(contexts.message(one), None);
        contexts.release(one);
        assert_eq!(contexts.add("new", limit), one);
        assert_eq!(contexts.message(one).as_deref(), Some("new"));
        assert_eq!(contexts.message(0), None);
        assert_eq!(contexts.message(3), None);
    }
}
