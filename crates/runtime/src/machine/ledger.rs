//! [`Ledger`]: what the guests of a store have made the host spend, and the limits that were hit.
//!
//! Whatever a guest can make the host allocate is charged before it is allocated: memories, tables,
//! handle tables, lends and values here; the arena, exceptions and error contexts where they live,
//! against limits of their own ([`StoreLimits`]).

use crate::machine::limits::StoreLimits;
use std::cell::Cell;
use std::fmt;
use trampette_artifact::text::Bytes;
use trampette_artifact::trap::TrapCode;

/// What a store's guests have made the host spend.
#[derive(Default)]
pub(crate) struct Ledger {
    /// Bytes of linear memories and tables.
    memory: Cell<u64>,
    /// Bytes of handle tables and lends.
    bookkeeping: Cell<u64>,
    /// Bytes of values that the running call has given to the host.
    values: Cell<u64>,
    values_state: Cell<Values>,
    /// How many there are of each [`Counted`].
    counts: [Cell<u32>; 3],
}

/// What is counted one by one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Counted {
    Tasks,
    Ends,
    Sets,
}

impl Counted {
    /// The limit, and the trap that says it is reached.
    fn limit(self, limits: &StoreLimits) -> (u32, TrapCode) {
        match self {
            Counted::Tasks => (limits.tasks, TrapCode::TaskLimit),
            Counted::Ends => (limits.ends, TrapCode::EndLimit),
            Counted::Sets => (limits.sets, TrapCode::SetLimit),
        }
    }
}

/// How a call gets on with giving values to the host.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Values {
    /// So many charges since somebody looked at the clock.
    Going(u32),
    /// It is time to look at the clock.
    Look,
    /// They are more than the limit.
    TooMany,
}

impl Default for Values {
    fn default() -> Self {
        Values::Going(0)
    }
}

/// After so many charges it is time to look at the clock.
const CHARGES_BETWEEN_LOOKS: u32 = 64;

/// An amount of a limit, for messages.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Amount {
    Bytes(u64),
    Handles(u64),
    Stacks(u64),
    Tasks(u64),
    Ends(u64),
    Sets(u64),
    HostFutures(u64),
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Amount::Handles(count) => write!(f, "{count} handles"),
            Amount::Stacks(count) => write!(f, "{count} stacks"),
            Amount::Tasks(count) => write!(f, "{count} tasks"),
            Amount::Ends(count) => write!(f, "{count} ends"),
            Amount::Sets(count) => write!(f, "{count} sets"),
            Amount::HostFutures(count) => write!(f, "{count} host futures"),
            Amount::Bytes(bytes) => Bytes(bytes).fmt(f),
        }
    }
}

/// Adds to a sum that stays within a limit; false, and nothing is added, if it cannot.
fn charge(sum: &Cell<u64>, bytes: u64, limit: u64) -> bool {
    match sum.get().checked_add(bytes).filter(|sum| *sum <= limit) {
        Some(new) => {
            sum.set(new);
            true
        }
        None => false,
    }
}

impl Ledger {
    /// Charges for memories and tables that are made or grow; false if the limit is reached.
    pub(crate) fn charge_memory(&self, bytes: u64, limits: &StoreLimits) -> bool {
        charge(&self.memory, bytes, limits.total_memory_bytes)
    }

    /// Takes back a charge for what could not be had.
    pub(crate) fn return_memory(&self, bytes: u64) {
        self.memory.set(self.memory.get().saturating_sub(bytes));
    }

    /// Charges for handle tables and lends; false if the limit is reached.
    #[inline]
    pub(crate) fn charge_bookkeeping(&self, bytes: u64, limits: &StoreLimits) -> bool {
        charge(&self.bookkeeping, bytes, limits.bookkeeping_bytes)
    }

    /// The charge for a lend is over.
    pub(crate) fn return_bookkeeping(&self, bytes: u64) {
        let left = self.bookkeeping.get().saturating_sub(bytes);
        self.bookkeeping.set(left);
    }

    /// Counts one more.
    ///
    /// # Errors
    /// The limit that is reached.
    pub(crate) fn count(&self, what: Counted, limits: &StoreLimits) -> Result<(), TrapCode> {
        let count = &self.counts[what as usize];
        let (limit, reached) = what.limit(limits);
        if count.get() >= limit {
            return Err(reached);
        }
        count.set(count.get() + 1);
        Ok(())
    }

    /// Counts so many less.
    pub(crate) fn uncount(&self, what: Counted, less: u32) {
        let count = &self.counts[what as usize];
        count.set(count.get().saturating_sub(less));
    }

    /// How many there are.
    pub(crate) fn counted(&self, what: Counted) -> u32 {
        self.counts[what as usize].get()
    }

    /// A call begins to give values to the host.
    pub(crate) fn begin_values(&self) {
        self.values.set(0);
        self.values_state.set(Values::Going(0));
    }

    /// Charges for owned values. Now and then it is time to look at the clock.
    #[inline]
    pub(crate) fn charge_values(&self, bytes: u64, limits: &StoreLimits) {
        if !charge(&self.values, bytes, limits.value_bytes) {
            self.values_state.set(Values::TooMany);
        } else if let Values::Going(charges) = self.values_state.get() {
            self.values_state
                .set(match charges < CHARGES_BETWEEN_LOOKS {
                    true => Values::Going(charges + 1),
                    false => Values::Look,
                });
        }
    }

    /// Bytes of the values that were charged for since it began.
    pub(crate) fn values(&self) -> u64 {
        self.values.get()
    }

    /// Whether the call may not go on giving values, for one reason or the other.
    #[inline]
    pub(crate) fn values_are_over(&self) -> bool {
        !matches!(self.values_state.get(), Values::Going(_))
    }

    /// Whether the reason is their limit.
    pub(crate) fn values_are_too_many(&self) -> bool {
        self.values_state.get() == Values::TooMany
    }

    /// The clock was looked at, and there is time left.
    pub(crate) fn continue_values(&self) {
        self.values_state.set(Values::Going(0));
    }
}

impl Amount {
    /// The limit that a trap says was reached.
    pub(crate) fn limit_of(code: TrapCode, limits: &StoreLimits) -> Option<Amount> {
        Some(match code {
            TrapCode::ArenaLimit => Amount::Bytes(limits.arena_bytes),
            TrapCode::ExceptionLimit => Amount::Bytes(limits.exception_bytes),
            TrapCode::BookkeepingLimit => Amount::Bytes(limits.bookkeeping_bytes),
            TrapCode::HandleTableFull => Amount::Handles(limits.handles.into()),
            TrapCode::TaskStackLimit => Amount::Stacks(limits.task_stacks.into()),
            TrapCode::TaskLimit => Amount::Tasks(limits.tasks.into()),
            TrapCode::EndLimit => Amount::Ends(limits.ends.into()),
            TrapCode::SetLimit => Amount::Sets(limits.sets.into()),
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Amount, Ledger, StoreLimits};

    #[test]
    fn amounts_are_spelt_shortly() {
        for (amount, text) in [
            (Amount::Bytes(128 << 20), "128 MiB"),
            (Amount::Bytes(3 << 30), "3 GiB"),
            (Amount::Bytes(1 << 10), "1 KiB"),
            (Amount::Bytes(1000), "1000 bytes"),
            (Amount::Bytes(0), "0 bytes"),
            (Amount::Handles(7), "7 handles"),
            (Amount::Stacks(10_000), "10000 stacks"),
        ] {
            assert_eq!(amount.to_string(), text);
        }
    }

    #[test]
    fn charges_stay_within_the_limit() {
        let (ledger, limits) = (
            Ledger::default(),
            StoreLimits::default().with_bookkeeping_bytes(10),
        );
        assert!(ledger.charge_bookkeeping(6, &limits));
        assert!(!ledger.charge_bookkeeping(5, &limits));
        assert!(!ledger.charge_bookkeeping(u64::MAX, &limits));
        assert!(ledger.charge_bookkeeping(4, &limits));
        ledger.return_bookkeeping(10);
        assert!(ledger.charge_bookkeeping(10, &limits));
    }
}
