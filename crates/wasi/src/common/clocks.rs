//! The clocks that a guest sees: [`MonotonicClock`], [`WallClock`].

use crate::common::time::nanoseconds;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

/// A clock that only goes forward, as a guest sees it. A closure that gives its time is one.
///
/// A guest may wait until it shows some time; what that is in the time of the system is
/// [`MonotonicClock::instant`]. A clock of a simulation may jump there, and give the present.
///
/// ```
/// use std::sync::atomic::{AtomicU64, Ordering};
/// use std::time::Instant;
/// use trampette_wasi::{MonotonicClock, WasiCtxBuilder};
///
/// /// Time passes only while the guest waits, and waiting takes none.
/// struct Simulated(AtomicU64);
///
/// impl MonotonicClock for Simulated {
///     fn now(&self) -> u64 {
///         self.0.load(Ordering::Relaxed)
///     }
///
///     fn instant(&self, when: u64) -> Option<Instant> {
///         self.0.fetch_max(when, Ordering::Relaxed);
///         Some(Instant::now())
///     }
/// }
///
/// let wasi = WasiCtxBuilder::new().monotonic_clock(Simulated(AtomicU64::new(0))).build();
/// # let _ = wasi;
/// ```
pub trait MonotonicClock: Send + Sync + 'static {
    /// What it shows, in nanoseconds since a zero of its own. Never less than before.
    fn now(&self) -> u64;

    /// When it will show that; `None` for never. By default it is taken to go on as the system's
    /// does. It is asked when a guest begins to wait.
    fn instant(&self, when: u64) -> Option<Instant> {
        let left = Duration::from_nanos(when.saturating_sub(self.now()));
        Instant::now().checked_add(left)
    }
}

impl<F: Fn() -> u64 + Send + Sync + 'static> MonotonicClock for F {
    fn now(&self) -> u64 {
        self()
    }
}

/// What day and time it is, as a guest sees it. A closure that gives it is one. Files have the
/// times of the system all the same.
///
/// ```
/// use std::time::{Duration, UNIX_EPOCH};
/// use trampette_wasi::WasiCtxBuilder;
///
/// // For ever the first second of 2020.
/// let wasi = WasiCtxBuilder::new()
///     .wall_clock(|| UNIX_EPOCH + Duration::from_secs(1_577_836_800))
///     .build();
/// # let _ = wasi;
/// ```
pub trait WallClock: Send + Sync + 'static {
    /// What it shows.
    fn now(&self) -> SystemTime;
}

impl<F: Fn() -> SystemTime + Send + Sync + 'static> WallClock for F {
    fn now(&self) -> SystemTime {
        self()
    }
}

/// The clocks of a context: the system's, unless the host has set others.
#[derive(Clone)]
pub(crate) struct Clocks {
    /// Zero of the monotonic clock.
    start: Instant,
    pub(crate) monotonic: Option<Arc<dyn MonotonicClock>>,
    pub(crate) wall: Option<Arc<dyn WallClock>>,
}

impl Clocks {
    pub(crate) fn new() -> Clocks {
        Clocks {
            start: Instant::now(),
            monotonic: None,
            wall: None,
        }
    }

    /// The monotonic clock, in nanoseconds.
    #[inline]
    pub(crate) fn monotonic(&self) -> u64 {
        match &self.monotonic {
            None => nanoseconds(self.start.elapsed()),
            Some(clock) => clock.now(),
        }
    }

    /// When the monotonic clock shows that, if the host can express it.
    pub(crate) fn instant(&self, when: u64) -> Option<Instant> {
        match &self.monotonic {
            None => self.start.checked_add(Duration::from_nanos(when)),
            Some(clock) => clock.instant(when),
        }
    }

    /// When so many nanoseconds of the monotonic clock are over, if the host can express it.
    pub(crate) fn after(&self, nanoseconds: u64) -> Option<Instant> {
        match &self.monotonic {
            None => Instant::now().checked_add(Duration::from_nanos(nanoseconds)),
            Some(clock) => clock.instant(clock.now().checked_add(nanoseconds)?),
        }
    }

    /// What day and time it is.
    #[inline]
    pub(crate) fn wall(&self) -> SystemTime {
        match &self.wall {
            None => SystemTime::now(),
            Some(clock) => clock.now(),
        }
    }
}

impl fmt::Debug for Clocks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clocks").finish_non_exhaustive()
    }
}
