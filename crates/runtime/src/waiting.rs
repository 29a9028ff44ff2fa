//! `memory.atomic.wait` and `memory.atomic.notify`: threads that wait for an address.
//!
//! Waiters are kept process-wide by address; compiled code has checked bounds and alignment.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A thread that waits.
#[derive(Default)]
struct Waiter {
    woken: Mutex<bool>,
    signal: Condvar,
}

type Queues = HashMap<usize, VecDeque<Arc<Waiter>>>;

static QUEUES: Mutex<Option<Queues>> = Mutex::new(None);

fn queues() -> MutexGuard<'static, Option<Queues>> {
    QUEUES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a wait ends with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
enum Woken {
    Notified = 0,
    NotEqual = 1,
    TimedOut = 2,
}

/// Waits for `address` while `equal` holds, at most `timeout` nanoseconds if that is not negative.
fn wait(address: usize, timeout: i64, equal: impl Fn() -> bool) -> Woken {
    let timeout = u64::try_from(timeout).ok().map(Duration::from_nanos);
    let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
    let waiter = Arc::new(Waiter::default());
    {
        // Nobody can notify between the comparison and the queue.
        let mut queues = queues();
        if !equal() {
            return Woken::NotEqual;
        }
        let queues = queues.get_or_insert_default();
        queues.entry(address).or_default().push_back(waiter.clone());
    }
    let mut woken = waiter.woken.lock().unwrap_or_else(PoisonError::into_inner);
    while !*woken {
        woken = match deadline {
            None => waiter
                .signal
                .wait(woken)
                .unwrap_or_else(PoisonError::into_inner),
            Some(deadline) => {
                let left = deadline.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    break;
                }
                let result = waiter.signal.wait_timeout(woken, left);
                result.unwrap_or_else(PoisonError::into_inner).0
            }
        };
    }
    if *woken {
        return Woken::Notified;
    }
    drop(woken);
    let mut queues = queues();
    let queues = queues.get_or_insert_default();
    let mut queued = false;
    if let Some(queue) = queues.get_mut(&address) {
        let before = queue.len();
        queue.retain(|other| !Arc::ptr_eq(other, &waiter));
        queued = queue.len() < before;
        if queue.is_empty() {
            queues.remove(&address);
        }
    }
    // Whoever is no longer queued was notified just before.
    match queued {
        true => Woken::TimedOut,
        false => Woken::Notified,
    }
}

/// Wakes at most `count` threads that wait for `address`, those first that wait longest.
pub(crate) extern "C" fn notify(address: usize, count: u32) -> u32 {
    let mut queues = queues();
    let Some(queues) = queues.as_mut() else {
        return 0;
    };
    let Some(queue) = queues.get_mut(&address) else {
        return 0;
    };
    let count = queue.len().min(count as usize);
    for waiter in queue.drain(..count) {
        *waiter.woken.lock().unwrap_or_else(PoisonError::into_inner) = true;
        waiter.signal.notify_one();
    }
    if queue.is_empty() {
        queues.remove(&address);
    }
    count as u32 // at most the parameter
}

/// Waits for a 32-bit value.
pub(crate) unsafe extern "C" fn wait32(address: *const u32, expected: u32, timeout: i64) -> u32 {
    // SAFETY: compiled code checked bounds and alignment; memories never shrink.
    let value = unsafe { AtomicU32::from_ptr(address.cast_mut()) };
    wait(address.addr(), timeout, || {
        value.load(Ordering::SeqCst) == expected
    }) as u32
}

/// Waits for a 64-bit value.
pub(crate) unsafe extern "C" fn wait64(address: *const u64, expected: u64, timeout: i64) -> u32 {
    // SAFETY: as above.
    let value = unsafe { AtomicU64::from_ptr(address.cast_mut()) };
    wait(address.addr(), timeout, || {
        value.load(Ordering::SeqCst) == expected
    }) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiters_are_woken_in_order_or_time_out() {
        let value = AtomicU32::new(7);
        let address = value.as_ptr();
        // SAFETY: the value outlives the calls.
        unsafe {
            assert_eq!(wait32(address, 8, -1), Woken::NotEqual as u32);
            assert_eq!(wait32(address, 7, 0), Woken::TimedOut as u32);
            assert_eq!(wait32(address, 7, 1_000_000), Woken::TimedOut as u32);
        }
        assert_eq!(notify(address.addr(), u32::MAX), 0);
        std::thread::scope(|scope| {
            let shared = &value;
            let waiting: Vec<_> = (0..3)
                // SAFETY: as above.
                .map(|_| scope.spawn(move || unsafe { wait32(shared.as_ptr(), 7, -1) }))
                .collect();
            let mut woken = 0;
            while woken < 3 {
                woken += notify(address.addr(), 1);
                std::thread::yield_now();
            }
            for thread in waiting {
                assert_eq!(thread.join().unwrap(), Woken::Notified as u32);
            }
        });
        let value = AtomicU64::new(1 << 40);
        // SAFETY: as above.
        assert_eq!(unsafe { wait64(value.as_ptr(), 0, -1) }, 1);
    }
}
