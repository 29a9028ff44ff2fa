//! `wasi:clocks`: monotonic time since the context was made, and the wall clock.

use crate::common::context::WasiCtx;
use crate::p2::bindings::wasi::clocks::wall_clock::Datetime;
use crate::p2::bindings::wasi::clocks::{monotonic_clock, wall_clock};
use crate::p2::io::{Pollable, Readiness};
use anyhow::Result;
use std::time::{SystemTime, UNIX_EPOCH};
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

/// The clocks' resolution that we promise.
pub(crate) const RESOLUTION_NANOSECONDS: u32 = 1;

impl monotonic_clock::Host for WasiCtx {
    #[inline]
    fn now(&mut self) -> Result<u64> {
        Ok(self.clocks.monotonic())
    }

    #[inline]
    fn resolution(&mut self) -> Result<u64> {
        Ok(u64::from(RESOLUTION_NANOSECONDS))
    }

    fn subscribe_instant(&mut self, when: u64) -> Result<Resource<Pollable>> {
        let deadline = Readiness::at(self.clocks.instant(when));
        Ok(self.table.push(Pollable(deadline))?)
    }

    fn subscribe_duration(&mut self, when: u64) -> Result<Resource<Pollable>> {
        let deadline = self.clocks.after(when);
        Ok(self.table.push(Pollable(Readiness::at(deadline)))?)
    }
}

impl wall_clock::Host for WasiCtx {
    #[inline]
    fn now(&mut self) -> Result<Datetime> {
        Ok(self.clocks.wall().into())
    }

    #[inline]
    fn resolution(&mut self) -> Result<Datetime> {
        Ok(Datetime {
            seconds: 0,
            nanoseconds: RESOLUTION_NANOSECONDS,
        })
    }
}
