//! `wasi:clocks`: monotonic time since the context was made, and the wall clock.

use crate::bindings::wasi::clocks::wall_clock::Datetime;
use crate::bindings::wasi::clocks::{monotonic_clock, wall_clock};
use crate::context::WasiCtx;
use crate::io::Pollable;
use anyhow::Result;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use trampette_runtime::Resource;

impl From<SystemTime> for Datetime {
    fn from(time: SystemTime) -> Self {
        // Times before 1970 cannot be expressed.
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        Datetime {
            seconds: since.as_secs(),
            nanoseconds: since.subsec_nanos(),
        }
    }
}

impl Datetime {
    /// The time, if the system can express it.
    pub(crate) fn system_time(self) -> Option<SystemTime> {
        UNIX_EPOCH.checked_add(Duration::new(self.seconds, self.nanoseconds))
    }
}

/// The clocks' resolution that we promise.
const RESOLUTION_NANOSECONDS: u32 = 1;

impl monotonic_clock::Host for WasiCtx {
    #[inline]
    fn now(&mut self) -> Result<u64> {
        Ok(nanoseconds(self.start.elapsed()))
    }

    #[inline]
    fn resolution(&mut self) -> Result<u64> {
        Ok(u64::from(RESOLUTION_NANOSECONDS))
    }

    fn subscribe_instant(&mut self, when: u64) -> Result<Resource<Pollable>> {
        let deadline = self.start.checked_add(Duration::from_nanos(when));
        Ok(self.table.push(Pollable::at(deadline))?)
    }

    fn subscribe_duration(&mut self, when: u64) -> Result<Resource<Pollable>> {
        let deadline = Instant::now().checked_add(Duration::from_nanos(when));
        Ok(self.table.push(Pollable::at(deadline))?)
    }
}

impl wall_clock::Host for WasiCtx {
    #[inline]
    fn now(&mut self) -> Result<Datetime> {
        Ok(SystemTime::now().into())
    }

    #[inline]
    fn resolution(&mut self) -> Result<Datetime> {
        Ok(Datetime {
            seconds: 0,
            nanoseconds: RESOLUTION_NANOSECONDS,
        })
    }
}

/// Nanoseconds, which last for 584 years.
fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
