//! `wasi:clocks`: monotonic time since the context was made, and the wall clock.

use crate::context::WasiView;
use crate::interface;
use crate::io::Pollable;
use anyhow::Result;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use trampette_runtime::{ComponentType, Lift, Linker, Lower, Resource};

/// `datetime`: time since 1970, without leap seconds.
#[derive(ComponentType, Lift, Lower, Clone, Copy, PartialEq, Eq, Debug)]
#[component(record)]
pub struct Datetime {
    /// Whole seconds.
    pub seconds: u64,
    /// Less than 1,000,000,000.
    pub nanoseconds: u32,
}

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
    pub fn system_time(self) -> Option<SystemTime> {
        UNIX_EPOCH.checked_add(Duration::new(self.seconds, self.nanoseconds))
    }
}

/// The clocks' resolution that we promise.
const RESOLUTION_NANOSECONDS: u32 = 1;

pub(crate) fn add_to_linker<T: WasiView>(linker: &mut Linker<T>) -> Result<()> {
    let mut monotonic = linker.instance(&interface("clocks/monotonic-clock"))?;
    monotonic.func_wrap::<(), u64, _>("now", |mut caller, ()| {
        Ok(nanoseconds(caller.data_mut().wasi().start.elapsed()))
    })?;
    monotonic
        .func_wrap::<(), u64, _>("resolution", |_, ()| Ok(u64::from(RESOLUTION_NANOSECONDS)))?;
    monotonic.func_wrap::<(u64,), Resource<Pollable>, _>(
        "subscribe-instant",
        |mut caller, (when,)| {
            let wasi = caller.data_mut().wasi();
            let deadline = wasi.start.checked_add(Duration::from_nanos(when));
            Ok(wasi.table.push(Pollable::at(deadline))?)
        },
    )?;
    monotonic.func_wrap::<(u64,), Resource<Pollable>, _>(
        "subscribe-duration",
        |mut caller, (time,)| {
            let deadline = std::time::Instant::now().checked_add(Duration::from_nanos(time));
            Ok(caller
                .data_mut()
                .wasi()
                .table
                .push(Pollable::at(deadline))?)
        },
    )?;

    let mut wall = linker.instance(&interface("clocks/wall-clock"))?;
    wall.func_wrap::<(), Datetime, _>("now", |_, ()| Ok(SystemTime::now().into()))?;
    wall.func_wrap::<(), Datetime, _>("resolution", |_, ()| {
        Ok(Datetime {
            seconds: 0,
            nanoseconds: RESOLUTION_NANOSECONDS,
        })
    })
}

/// Nanoseconds, which last for 584 years.
fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
