//! [`Entrances`]: futures of the embedder that wait until a call could begin.
//!
//! Whoever drives a store looks at the beginning of each turn which entrances are open: nothing is
//! noted when they open, since most calls have nobody who waits for that.

use crate::machine::reactor::wake_quietly;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use trampette_artifact::ids::TaskId;

/// Where a call would begin: the number of an instance in its store, and the task that the call
/// would be; `None` if its type is not `async`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Entrance {
    pub instance: u32,
    pub task: Option<TaskId>,
}

/// Who waits before the entrances of a store.
#[derive(Default)]
pub(crate) struct Entrances {
    state: Mutex<Waiting>,
    /// Whether there may be anybody.
    is_any: AtomicBool,
}

#[derive(Default)]
struct Waiting {
    tickets: u64,
    /// Of each entrance, by tickets: who came first is told first.
    wakers: BTreeMap<Entrance, BTreeMap<u64, Waker>>,
}

impl Entrances {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // Nothing panics while the lock is held.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets a future wait before an entrance, at the place that it has or at a new one.
    pub(crate) fn wait(
        self: &Arc<Self>,
        place: &mut Option<Place>,
        entrance: Entrance,
        waker: &Waker,
    ) {
        // Neither cloning a waker nor dropping one is to happen under the lock.
        let waker = waker.clone();
        let mut waiting = self.lock();
        let ticket = place.as_ref().map(|place| place.ticket);
        let ticket = ticket.unwrap_or(waiting.tickets);
        waiting.tickets = waiting.tickets.max(ticket + 1);
        let before = waiting.wakers.entry(entrance).or_default();
        let before = before.insert(ticket, waker);
        self.is_any.store(true, Ordering::Release);
        drop(waiting);
        drop(before);
        place.get_or_insert_with(|| Place {
            list: self.clone(),
            entrance,
            ticket,
        });
    }

    /// Tells the first who waits before each entrance that is not closed. How many were told. The
    /// next one is told in the next turn, if it is open then, too: often the first has gone in.
    #[inline]
    pub(crate) fn tell(&self, is_closed: impl FnMut(Entrance) -> bool) -> usize {
        match self.is_any.load(Ordering::Acquire) {
            true => self.tell_first(is_closed),
            false => 0,
        }
    }

    #[cold]
    #[inline(never)]
    fn tell_first(&self, mut is_closed: impl FnMut(Entrance) -> bool) -> usize {
        let mut open: Vec<Entrance> = self.lock().wakers.keys().copied().collect();
        open.retain(|entrance| !is_closed(*entrance));
        for entrance in &open {
            let mut waiting = self.lock();
            let first = match waiting.wakers.get_mut(entrance) {
                Some(wakers) => wakers.pop_first(),
                None => None,
            };
            self.tidy(&mut waiting, *entrance);
            drop(waiting);
            wake_quietly(first.map(|(_, waker)| waker));
        }
        open.len()
    }

    /// Forgets an entrance before which nobody waits.
    fn tidy(&self, waiting: &mut Waiting, entrance: Entrance) {
        if waiting
            .wakers
            .get(&entrance)
            .is_some_and(BTreeMap::is_empty)
        {
            waiting.wakers.remove(&entrance);
            self.is_any
                .store(!waiting.wakers.is_empty(), Ordering::Release);
        }
    }
}

/// The place of a future that waits.
pub(crate) struct Place {
    list: Arc<Entrances>,
    entrance: Entrance,
    ticket: u64,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut waiting = self.list.lock();
        let waker = match waiting.wakers.get_mut(&self.entrance) {
            Some(wakers) => wakers.remove(&self.ticket),
            None => None,
        };
        self.list.tidy(&mut waiting, self.entrance);
        drop(waiting);
        drop(waker);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU32;
    use std::task::Wake;

    #[derive(Default)]
    struct Count(AtomicU32);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn places_keep_their_rank_and_are_given_back() {
        let list = Arc::new(Entrances::default());
        let [first, second] = [0, 1].map(|instance| Entrance {
            instance,
            task: None,
        });
        let counts: [Arc<Count>; 3] = Default::default();
        let told = || {
            counts
                .each_ref()
                .map(|count| count.0.load(Ordering::SeqCst))
        };
        let wait = |place: &mut Option<Place>, entrance, who: usize| {
            list.wait(place, entrance, &Waker::from(counts[who].clone()));
        };
        let mut places: [Option<Place>; 3] = Default::default();
        assert_eq!(list.tell(|_| false), 0);
        wait(&mut places[0], first, 0);
        wait(&mut places[1], first, 1);
        wait(&mut places[2], second, 2);
        assert_eq!(list.tell(|_| true), 0);
        assert_eq!(list.tell(|entrance| entrance == second), 1);
        assert_eq!(told(), [1, 0, 0]);
        // Who was told and has to wait again does so before those that came later.
        wait(&mut places[0], first, 0);
        wait(&mut places[0], first, 0);
        assert_eq!(list.tell(|_| false), 2);
        assert_eq!(told(), [2, 0, 1]);
        assert_eq!(list.tell(|_| false), 1);
        assert_eq!(told(), [2, 1, 1]);
        assert!(!list.is_any.load(Ordering::SeqCst));

        wait(&mut places[1], first, 1);
        places = Default::default();
        assert!(!list.is_any.load(Ordering::SeqCst));
        assert!(list.lock().wakers.is_empty());
        assert_eq!(list.tell(|_| false), 0);
        drop(places);
    }
}
