//! [`SharedMemory`]: a linear memory that several stores use at once, each on its own thread.
//!
//! The mapping is reference-counted and never moves: the address space of the largest size is
//! reserved at once, with a guard behind it. The length only grows. Growing is serialised by a
//! lock; everyone else reads the length as an atomic, and sees bytes become accessible before it.
//!
//! Threads that wait are in a queue of their own memory. A waiting thread is notified in the order
//! of arrival at its address, as the threads proposal demands.

use crate::memory::growth::grown;
use crate::memory::mapping::round_to_pages;
use crate::memory::slab::{Reservation, memory_bytes};
use anyhow::{Context, Result, ensure};
use rustix::mm::MprotectFlags;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use trampette_artifact::builtin::WAIT_FOREVER;
use trampette_artifact::canonical::PointerWidth;
use trampette_artifact::ids::SharedMemoryId;
use trampette_artifact::layout::{MEMORY_GUARD, MEMORY_RESERVATION, SharedMemoryState};
use trampette_artifact::metadata::{Memory, MemoryPlace};

/// A linear memory shared between threads. Clones are the same memory, which lives as long as any
/// of them and any instance that uses it.
///
/// Guest code of other threads may read and write while the host does. The host's copies are
/// therefore made byte by byte with relaxed atomic accesses, and may see some bytes from before a
/// write and some from after it.
///
/// ```
/// use trampette_runtime::{CoreHost, SharedMemory};
///
/// # fn main() -> anyhow::Result<()> {
/// let memory = SharedMemory::new(1, 16)?;
/// let mut host = CoreHost::<()>::new();
/// host.memory("env", "memory", memory.clone());
/// memory.write(0, b"work")?;
/// assert_eq!(memory.pages(), 1);
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct SharedMemory {
    inner: Arc<Inner>,
}

struct Inner {
    reservation: Reservation,
    /// Bytes.
    length: AtomicU64,
    /// Held while the memory grows.
    growing: Mutex<()>,
    /// Its declaration: bounds and page size.
    declared: Memory,
    waiters: Waiters,
}

// SAFETY: the mapping belongs to the memory; it is only accessed by atomics here, and otherwise by
// guest code, whose races are defined by its own memory model.
unsafe impl Send for Inner {}
// SAFETY: as above.
unsafe impl Sync for Inner {}

/// The wait results of the threads proposal.
const NOTIFIED: u32 = 0;
const NOT_EQUAL: u32 = 1;
const TIMED_OUT: u32 = 2;

impl SharedMemory {
    /// A memory of 32-bit addresses and pages of 64 KiB; sizes are in pages.
    ///
    /// # Errors
    /// If the sizes are not possible, or the address space cannot be reserved.
    pub fn new(minimum: u64, maximum: u64) -> Result<SharedMemory> {
        ensure!(
            minimum <= maximum && maximum <= 1 << 16,
            "a shared memory of {minimum} to {maximum} pages is not possible"
        );
        Self::declared(&Memory {
            place: MemoryPlace::Shared(SharedMemoryId(0)),
            minimum,
            maximum: Some(maximum),
            page_size_log2: 16,
            width: PointerWidth::P32,
        })
    }

    /// The memory that an artifact declares.
    pub(crate) fn declared(declared: &Memory) -> Result<SharedMemory> {
        let bytes = memory_bytes(declared).context("a shared memory is too large")?;
        let reservation = Reservation::new((MEMORY_RESERVATION + MEMORY_GUARD) as usize)?;
        let inner = Inner {
            reservation,
            length: AtomicU64::new(0),
            growing: Mutex::new(()),
            declared: declared.clone(),
            waiters: Waiters::default(),
        };
        let memory = SharedMemory {
            inner: Arc::new(inner),
        };
        memory.grow_to(bytes)?;
        Ok(memory)
    }

    /// Its current length in bytes.
    pub fn byte_len(&self) -> u64 {
        self.inner.length.load(Ordering::SeqCst)
    }

    /// Its current length in pages.
    pub fn pages(&self) -> u64 {
        self.byte_len() >> self.inner.declared.page_size_log2
    }

    /// Makes it longer by `delta` pages; the length before, in pages.
    ///
    /// # Errors
    /// If it cannot grow that far.
    pub fn grow(&self, delta: u64) -> Result<u64> {
        self.grow_within(delta, u64::MAX)
            .with_context(|| format!("the memory cannot grow by {delta} pages"))
    }

    /// As [`SharedMemory::grow`], to at most `limit` bytes.
    pub(crate) fn grow_within(&self, delta: u64, limit: u64) -> Option<u64> {
        let declared = &self.inner.declared;
        let _growing = locked(&self.inner.growing);
        let old = self.byte_len();
        let new = grown(declared, 0, old, delta, limit)?;
        self.grow_to(new).ok()?;
        Some(old >> declared.page_size_log2)
    }

    /// Makes bytes accessible. The caller holds the lock, or has the only reference.
    fn grow_to(&self, new: u64) -> Result<()> {
        let start = round_to_pages(self.byte_len() as usize);
        let end = round_to_pages(new as usize);
        if end > start {
            let flags = MprotectFlags::READ | MprotectFlags::WRITE;
            // SAFETY: inside the reservation (lengths are limited by the declaration), beyond what
            // is in use.
            unsafe {
                let address = self.base().add(start).as_ptr().cast();
                rustix::mm::mprotect(address, end - start, flags)?;
            }
        }
        self.inner.length.store(new, Ordering::SeqCst);
        Ok(())
    }

    /// Copies bytes out.
    ///
    /// # Errors
    /// If they are out of bounds.
    pub fn read(&self, offset: u64, bytes: &mut [u8]) -> Result<()> {
        let from = self.bytes(offset, bytes.len())?;
        for (byte, from) in bytes.iter_mut().zip(from) {
            *byte = from.load(Ordering::Relaxed);
        }
        Ok(())
    }

    /// Copies bytes in.
    ///
    /// # Errors
    /// If the place is out of bounds.
    pub fn write(&self, offset: u64, bytes: &[u8]) -> Result<()> {
        let to = self.bytes(offset, bytes.len())?;
        for (byte, to) in bytes.iter().zip(to) {
            to.store(*byte, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Bytes of the memory, which other threads may change.
    fn bytes(&self, offset: u64, length: usize) -> Result<&[std::sync::atomic::AtomicU8]> {
        let size = self.byte_len();
        let end = offset.checked_add(length as u64);
        ensure!(
            end.is_some_and(|end| end <= size),
            "{length} bytes from {offset:#x} are not in a memory of {size:#x} bytes"
        );
        // SAFETY: in bounds, as was just checked, and a memory never shrinks or moves.
        unsafe {
            let first = self.base().add(offset as usize).cast();
            Ok(std::slice::from_raw_parts(first.as_ptr(), length))
        }
    }

    /// Wakes threads that wait at an address, as `memory.atomic.notify` does; how many were woken.
    ///
    /// # Errors
    /// If the address is out of bounds or not a multiple of 4.
    pub fn atomic_notify(&self, offset: u64, count: u32) -> Result<u32> {
        ensure!(
            offset.is_multiple_of(4),
            "the address {offset:#x} is not aligned"
        );
        self.bytes(offset, 4)?;
        Ok(self.inner.waiters.notify(offset, count))
    }

    /// The address of byte 0.
    pub(crate) fn base(&self) -> NonNull<u8> {
        self.inner.reservation.start()
    }

    /// What compiled code needs to reach it.
    pub(crate) fn state(&self) -> SharedMemoryState {
        SharedMemoryState {
            base: self.base().as_ptr().expose_provenance() as u64,
            length: (&raw const self.inner.length).expose_provenance() as u64,
        }
    }

    /// Whether an address is in the memory or in the guard behind it. Safe in a signal handler.
    pub(crate) fn in_memory_or_guard(&self, address: usize) -> bool {
        let offset = address.wrapping_sub(self.base().as_ptr().addr()) as u64;
        offset < MEMORY_RESERVATION + MEMORY_GUARD
    }

    /// Whether an artifact's declaration fits: a host may supply this memory for it.
    pub(crate) fn fits(&self, wanted: &Memory) -> bool {
        let own = &self.inner.declared;
        let maximum = match (own.maximum, wanted.maximum) {
            (_, None) => true,
            (Some(own), Some(wanted)) => own <= wanted,
            (None, Some(_)) => false,
        };
        own.width == wanted.width
            && own.page_size_log2 == wanted.page_size_log2
            && self.pages() >= wanted.minimum
            && maximum
    }

    /// `memory.atomic.wait32` at a native address of this memory that was checked. `None` if `park`
    /// ended the wait.
    pub(crate) fn wait32(
        &self,
        address: NonNull<u32>,
        expected: u32,
        timeout: i64,
        park: Park,
    ) -> Option<u32> {
        // SAFETY: mapped and aligned, and accessed atomically.
        let value = unsafe { AtomicU32::from_ptr(address.as_ptr()) };
        let equal = || value.load(Ordering::SeqCst) == expected;
        self.wait(address.cast(), equal, timeout, park)
    }

    /// `memory.atomic.wait64`, likewise.
    pub(crate) fn wait64(
        &self,
        address: NonNull<u64>,
        expected: u64,
        timeout: i64,
        park: Park,
    ) -> Option<u32> {
        // SAFETY: mapped and aligned, and accessed atomically.
        let value = unsafe { AtomicU64::from_ptr(address.as_ptr()) };
        let equal = || value.load(Ordering::SeqCst) == expected;
        self.wait(address.cast(), equal, timeout, park)
    }

    fn wait(
        &self,
        address: NonNull<u8>,
        equal: impl Fn() -> bool,
        timeout: i64,
        park: Park,
    ) -> Option<u32> {
        let timeout = u64::try_from(timeout).ok().map(Duration::from_nanos);
        // Who could notify holds a clone; this one's owner is waiting here.
        let notifiers = match Arc::strong_count(&self.inner) {
            1 => Notifiers::None,
            _ => Notifiers::Possible,
        };
        let offset = self.offset(address);
        let waiters = &self.inner.waiters;
        waiters.wait(offset, equal, timeout, notifiers, park)
    }

    /// `memory.atomic.notify`, likewise.
    pub(crate) fn notify(&self, address: NonNull<u32>, count: u32) -> u32 {
        self.inner
            .waiters
            .notify(self.offset(address.cast()), count)
    }

    fn offset(&self, address: NonNull<u8>) -> u64 {
        (address.as_ptr().addr() - self.base().as_ptr().addr()) as u64
    }
}

impl std::fmt::Debug for SharedMemory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SharedMemory")
            .field("pages", &self.pages())
            .field("maximum", &self.inner.declared.maximum)
            .finish()
    }
}

/// Nothing here panics while it holds a lock, and what a lock guards is always whole.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How a thread waits: while a word is [`WAITING`], until then at the latest; it may return before
/// that. It writes [`STOPPED`] to end the wait.
pub(crate) type Park = fn(&AtomicU32, Option<Instant>);

/// The states of a [`Waiter`]'s word.
pub(crate) const WAITING: u32 = 0;
const WOKEN: u32 = 1;
/// See [`Park`].
pub(crate) const STOPPED: u32 = 2;

/// The threads that wait at addresses of one memory.
#[derive(Default)]
struct Waiters {
    /// In the order of arrival.
    queue: Mutex<Vec<Arc<Waiter>>>,
}

struct Waiter {
    offset: u64,
    word: AtomicU32,
}

impl Waiter {
    /// Ends the wait; false if it was ended before.
    fn wake(&self) -> bool {
        let (set, read) = (Ordering::AcqRel, Ordering::Relaxed);
        let woken = self.word.compare_exchange(WAITING, WOKEN, set, read);
        if woken.is_ok() {
            let operation = libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG;
            // SAFETY: only the word's address counts.
            unsafe { libc::syscall(libc::SYS_futex, self.word.as_ptr(), operation, 1) };
        }
        woken.is_ok()
    }
}

/// Who may notify a waiting thread.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Notifiers {
    /// Nobody: no other thread has the memory.
    None,
    /// Other threads may.
    Possible,
}

impl Waiters {
    /// Compares and, if equal, waits: one step as far as `notify` can see. `None` if `park` ended
    /// the wait.
    fn wait(
        &self,
        offset: u64,
        equal: impl Fn() -> bool,
        timeout: Option<Duration>,
        notifiers: Notifiers,
        park: Park,
    ) -> Option<u32> {
        let mut queue = locked(&self.queue);
        if !equal() {
            return Some(NOT_EQUAL);
        }
        if notifiers == Notifiers::None && timeout.is_none() {
            return Some(WAIT_FOREVER);
        }
        // A time too far away for the clock is never.
        let end = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let waiter = Arc::new(Waiter {
            offset,
            word: AtomicU32::new(WAITING),
        });
        queue.push(waiter.clone());
        drop(queue);
        let is_waiting = || waiter.word.load(Ordering::Acquire) == WAITING;
        while is_waiting() && end.is_none_or(|end| Instant::now() < end) {
            park(&waiter.word, end);
        }
        // Who was notified is not in the queue any more.
        locked(&self.queue).retain(|other| !Arc::ptr_eq(other, &waiter));
        match waiter.word.load(Ordering::Acquire) {
            WOKEN => Some(NOTIFIED),
            WAITING => Some(TIMED_OUT),
            _ => None,
        }
    }

    fn notify(&self, offset: u64, count: u32) -> u32 {
        let mut woken = 0;
        locked(&self.queue).retain(|waiter| {
            let wake = waiter.offset == offset && woken < count;
            // One whose wait has been ended otherwise is about to leave the queue.
            woken += u32::from(wake && waiter.wake());
            !wake
        });
        woken
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    fn park(_: &AtomicU32, _: Option<Instant>) {
        thread::yield_now();
    }

    #[test]
    fn growing_from_several_threads_loses_nothing() {
        let memory = SharedMemory::new(1, 1000).unwrap();
        let grown = thread::scope(|scope| {
            let threads: Vec<_> = (0..4)
                .map(|_| scope.spawn(|| (0..300).filter(|_| memory.grow(1).is_ok()).count()))
                .collect();
            let counts = threads.into_iter().map(|thread| thread.join().unwrap());
            counts.sum::<usize>()
        });
        assert_eq!(grown, 999);
        assert_eq!(memory.pages(), 1000);
        memory.write((1000 << 16) - 1, &[7]).unwrap();
        assert!(memory.write(1000 << 16, &[7]).is_err());
    }

    #[test]
    fn notify_wakes_as_many_as_asked_in_order() {
        let waiters = Waiters::default();
        let waiting = || locked(&waiters.queue).len();
        thread::scope(|scope| {
            let mut threads = Vec::new();
            for number in 0..3 {
                threads.push(
                    scope.spawn(|| waiters.wait(8, || true, None, Notifiers::Possible, park)),
                );
                while waiting() <= number {
                    thread::yield_now();
                }
            }
            assert_eq!(waiters.notify(4, u32::MAX), 0);
            assert_eq!(waiters.notify(8, 0), 0);
            assert_eq!(waiters.notify(8, 1), 1);
            let last = threads.split_off(1);
            assert_eq!(threads.pop().unwrap().join().unwrap(), Some(NOTIFIED));
            assert_eq!(waiters.notify(8, u32::MAX), 2);
            for thread in last {
                assert_eq!(thread.join().unwrap(), Some(NOTIFIED));
            }
        });
        let soon = Some(Duration::from_millis(2));
        assert_eq!(
            waiters.wait(8, || true, soon, Notifiers::None, park),
            Some(TIMED_OUT)
        );
        assert_eq!(
            waiters.wait(8, || false, None, Notifiers::None, park),
            Some(NOT_EQUAL)
        );
        assert_eq!(
            waiters.wait(8, || true, None, Notifiers::None, park),
            Some(WAIT_FOREVER)
        );
        let stop: Park = |word, _| word.store(STOPPED, Ordering::Release);
        let stopped = waiters.wait(8, || true, None, Notifiers::Possible, stop);
        assert_eq!(stopped, None);
        assert_eq!(waiting(), 0);
    }
}
