//! Times as guests have them.

use std::time::Duration;

/// Nanoseconds, which last for 584 years.
pub(crate) fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
