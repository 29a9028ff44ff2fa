//! Instances that serve several requests at once (`--concurrency`), and who of them is next.

use crate::serve::workers::Workers;
use anyhow::Result;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use trampette_wasi::WasiCtx;
use trampette_wasi::http::{Ending, Service, SharedWorker};

/// Instances that take requests.
#[derive(Default)]
pub(super) struct Crew(Arc<Mutex<Members>>);

#[derive(Default)]
struct Members {
    list: Vec<Member>,
    /// How many there have been.
    made: u64,
}

struct Member {
    number: u64,
    worker: SharedWorker,
    /// Requests that it was given, with those that are over.
    begun: u32,
    under_way: u32,
}

/// A request's place at an instance, until this is dropped.
pub(super) struct Place {
    members: Arc<Mutex<Members>>,
    number: u64,
    pub worker: SharedWorker,
}

fn locked(members: &Mutex<Members>) -> MutexGuard<'_, Members> {
    members.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Crew {
    /// A place for a request, and how the instance ends if it is a new one. Requests go to whoever
    /// has fewest; there are as many instances as processors before two share one.
    ///
    /// # Errors
    /// If there can be no new instance.
    pub(super) fn take(
        &self,
        service: &Service<WasiCtx>,
        workers: &Workers,
    ) -> Result<(Place, Option<Ending>)> {
        let mut members = locked(&self.0);
        members.list.retain(|member| !member.worker.is_over());
        let is_full = members.list.len() >= workers.processors();
        let places = members.list.iter().map(|member| member.under_way);
        let free = places.enumerate().min_by_key(|(_, under_way)| *under_way);
        let free = free.filter(|(_, under_way)| {
            *under_way == 0 || is_full && *under_way < workers.concurrency()
        });
        let (index, ending) = match free {
            Some((index, _)) => (index, None),
            None => {
                let (worker, ending) = service.share(workers.make()?)?;
                members.made += 1;
                let number = members.made;
                members.list.push(Member {
                    number,
                    worker,
                    begun: 0,
                    under_way: 0,
                });
                (members.list.len() - 1, Some(ending))
            }
        };
        let member = &mut members.list[index];
        member.begun += 1;
        member.under_way += 1;
        let (number, worker) = (member.number, member.worker.clone());
        if member.begun >= workers.reuse() {
            // It ends with what it has.
            members.list.swap_remove(index);
        }
        let place = Place {
            members: self.0.clone(),
            number,
            worker,
        };
        Ok((place, ending))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut members = locked(&self.members);
        let mut members = members.list.iter_mut();
        if let Some(member) = members.find(|member| member.number == self.number) {
            member.under_way -= 1;
        }
    }
}
