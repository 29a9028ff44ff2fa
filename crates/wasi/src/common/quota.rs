//! Bytes that a guest makes its host keep, which count together against one limit of the context:
//! fields and bodies of HTTP, values that swaps of keys and values compare with.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The limit, and what of it is used. A clone is the same one.
#[derive(Clone)]
pub(crate) struct Quota(Arc<Use>);

struct Use {
    limit: usize,
    used: AtomicUsize,
}

impl Quota {
    /// A quota of so many bytes.
    pub(crate) fn new(limit: usize) -> Quota {
        Quota(Arc::new(Use {
            limit,
            used: AtomicUsize::new(0),
        }))
    }

    /// Bytes that are left.
    pub(crate) fn left(&self) -> usize {
        let used = self.0.used.load(Ordering::Relaxed);
        self.0.limit.saturating_sub(used)
    }

    /// Takes so many bytes until what is given is dropped; `None` if there are not as many left.
    pub(crate) fn charge(&self, bytes: usize) -> Option<Charge> {
        self.take(bytes).then(|| Charge {
            quota: self.clone(),
            bytes,
        })
    }

    fn take(&self, bytes: usize) -> bool {
        let grown = |used: usize| used.checked_add(bytes).filter(|sum| *sum <= self.0.limit);
        let used = &self.0.used;
        used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, grown)
            .is_ok()
    }
}

/// Bytes that are in use, until this is dropped.
pub(crate) struct Charge {
    quota: Quota,
    bytes: usize,
}

impl Charge {
    /// Takes more; false if there is not as much left.
    pub(crate) fn grow(&mut self, more: usize) -> bool {
        let is_taken = self.quota.take(more);
        if is_taken {
            self.bytes += more;
        }
        is_taken
    }

    /// Gives some back.
    pub(crate) fn shrink(&mut self, less: usize) {
        let less = less.min(self.bytes);
        self.bytes -= less;
        self.quota.0.used.fetch_sub(less, Ordering::Relaxed);
    }

    /// The quota.
    pub(crate) fn quota(&self) -> &Quota {
        &self.quota
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.shrink(self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::Quota;

    #[test]
    fn what_is_dropped_can_be_taken_again() {
        let quota = Quota::new(10);
        let mut first = quota.charge(6).unwrap();
        assert!(quota.charge(5).is_none());
        assert!(first.grow(4) && !first.grow(1));
        first.shrink(100);
        let second = quota.charge(10);
        assert!(second.is_some() && quota.left() == 0);
        drop((first, second));
        assert_eq!(quota.left(), 10);
        assert!(quota.charge(usize::MAX).is_none());
    }
}
