//! `--timeout`: how long a guest may run, as it is written and as it is said when the time is over.

use anyhow::{Context, Result, anyhow, ensure};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;
use trampette_runtime::{Store, Trap, TrapCode};

/// The exit code when the time is over: that of `timeout` (coreutils).
pub const TIMEOUT_EXIT_CODE: u8 = 124;

/// How long a guest may run: a number with or without a fraction, of seconds or of a unit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Timeout(Duration);

/// The units, longest first, in seconds.
const UNITS: [(&str, f64); 4] = [("ms", 1e-3), ("s", 1.0), ("m", 60.0), ("h", 3600.0)];

impl FromStr for Timeout {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Timeout> {
        let unit = UNITS.iter().find_map(|(unit, seconds)| {
            let number = text.strip_suffix(unit)?;
            Some((number.trim_end(), *seconds))
        });
        let (number, seconds) = unit.unwrap_or((text, 1.0));
        let number: Option<f64> = number.parse().ok();
        let number = number.context("expected a time like `5s`, `100ms`, `2.5` (seconds), `1m`")?;
        ensure!(number >= 0.0, "a time is not negative");
        let time = Duration::try_from_secs_f64(number * seconds);
        Ok(Timeout(time.context("a time that long cannot be told")?))
    }
}

impl fmt::Display for Timeout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_secs() {
            0 => write!(f, "{} ms", self.0.as_secs_f64() * 1e3),
            _ => write!(f, "{} s", self.0.as_secs_f64()),
        }
    }
}

impl Timeout {
    /// The time.
    pub(crate) fn duration(self) -> Duration {
        self.0
    }

    /// Starts the clock.
    ///
    /// # Errors
    /// If no clock can be started.
    pub fn start<T: 'static>(self, store: &mut Store<T>) -> Result<()> {
        store.set_timeout(self.0)
    }

    /// What to say about a guest whose time is over, if the error says that: the message, and where
    /// the guest was.
    pub(crate) fn message(self, error: &anyhow::Error) -> Option<anyhow::Error> {
        let trap = error.downcast_ref::<Trap>()?;
        let is_over = trap.kind() == TrapCode::Deadline;
        is_over.then(|| match trap.backtrace().is_empty() {
            true => anyhow!("timed out after {self}"),
            false => anyhow!("timed out after {self}\n{}", trap.backtrace()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Timeout;
    use std::time::Duration;

    #[test]
    fn times_are_numbers_with_units() {
        let cases = [
            ("5s", 5000, "5 s"),
            ("100ms", 100, "100 ms"),
            ("2.5", 2500, "2.5 s"),
            ("1", 1000, "1 s"),
            ("0.25 s", 250, "250 ms"),
            ("2m", 120_000, "120 s"),
            ("1h", 3_600_000, "3600 s"),
            ("0", 0, "0 ms"),
        ];
        for (text, milliseconds, display) in cases {
            let time: Timeout = text.parse().unwrap();
            assert_eq!(time.0, Duration::from_millis(milliseconds), "{text}");
            assert_eq!(time.to_string(), display);
        }
        for text in [
            "", "s", "5x", "-1", "-1ms", "inf", "NaN", "1e300", "five", "5 5s",
        ] {
            let time = text.parse::<Timeout>();
            assert!(time.is_err(), "{text}: {time:?}");
        }
    }
}
