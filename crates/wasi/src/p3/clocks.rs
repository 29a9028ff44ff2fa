//! `wasi:clocks`: monotonic time since the context was made, and that of the system.

use crate::common::context::WasiCtx;
use crate::p2::clocks::RESOLUTION_NANOSECONDS;
use crate::p3::bindings::wasi::clocks::{monotonic_clock, system_clock};
use anyhow::Result;
use std::time::{Instant, SystemTime, UNIX_EPOCH};
use trampette_runtime::Access;

impl system_clock::Instant {
    /// A time of the system's.
    pub(crate) fn of(time: SystemTime) -> system_clock::Instant {
        let (seconds, nanoseconds) = match time.duration_since(UNIX_EPOCH) {
            Ok(since) => (i128::from(since.as_secs()), since.subsec_nanos()),
            // The nanoseconds count forwards from the second before.
            Err(before) => {
                let before = before.duration();
                let seconds = -i128::from(before.as_secs());
                match before.subsec_nanos() {
                    0 => (seconds, 0),
                    nanoseconds => (seconds - 1, 1_000_000_000 - nanoseconds),
                }
            }
        };
        system_clock::Instant {
            seconds: i64::try_from(seconds).unwrap_or(i64::MAX),
            nanoseconds,
        }
    }
}

/// Waits until an instant; for ever if the clock cannot express it.
async fn wait(cx: impl Access<WasiCtx>, until: Option<Instant>) -> Result<()> {
    let Some(until) = until else {
        return std::future::pending().await;
    };
    if until > Instant::now() {
        let wait = cx.with(|wasi| wasi.reaction.sleep_until(until))?;
        wait.await;
    }
    Ok(())
}

impl monotonic_clock::Host for WasiCtx {
    #[inline]
    fn now(&mut self) -> Result<u64> {
        Ok(self.clocks.monotonic())
    }

    #[inline]
    fn get_resolution(&mut self) -> Result<u64> {
        Ok(u64::from(RESOLUTION_NANOSECONDS))
    }

    async fn wait_until(cx: impl Access<Self>, when: u64) -> Result<()> {
        let until = cx.with(|wasi| wasi.clocks.instant(when))?;
        wait(cx, until).await
    }

    async fn wait_for(cx: impl Access<Self>, how_long: u64) -> Result<()> {
        let until = cx.with(|wasi| wasi.clocks.after(how_long))?;
        wait(cx, until).await
    }
}

impl system_clock::Host for WasiCtx {
    #[inline]
    fn now(&mut self) -> Result<system_clock::Instant> {
        Ok(system_clock::Instant::of(self.clocks.wall()))
    }

    #[inline]
    fn get_resolution(&mut self) -> Result<u64> {
        Ok(u64::from(RESOLUTION_NANOSECONDS))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn times_before_1970_are_negative_seconds() {
        let instant = |time| {
            let system_clock::Instant {
                seconds,
                nanoseconds,
            } = system_clock::Instant::of(time);
            (seconds, nanoseconds)
        };
        assert_eq!(instant(UNIX_EPOCH), (0, 0));
        assert_eq!(
            instant(UNIX_EPOCH + Duration::from_millis(1500)),
            (1, 500_000_000)
        );
        assert_eq!(
            instant(UNIX_EPOCH - Duration::from_millis(1500)),
            (-2, 500_000_000)
        );
        assert_eq!(instant(UNIX_EPOCH - Duration::from_secs(2)), (-2, 0));
    }
}
