//! `poll_oneoff`: waiting for the time, for standard input, or for what is always ready.

use super::descriptors::What;
use super::errno::Errno;
use super::guest::{Fallible, Guest};
use crate::common::context::WasiView;
use crate::common::time::nanoseconds;
use crate::p2::io::{Patience, Readiness, wait_for};
use std::time::UNIX_EPOCH;

/// The most subscriptions of one call; natively the limit of open files is that of a poll.
const LIMIT: u32 = 4096;
/// Bytes of an `event`.
const EVENT_SIZE: usize = 32;
/// `eventtype::clock`.
const CLOCK: u8 = 0;

/// A subscription, understood.
struct Subscription {
    /// The guest's name for it.
    userdata: u64,
    /// `eventtype`.
    kind: u8,
    /// When it is ready; or the error that its event has, which is ready at once.
    when: Result<Readiness, Errno>,
    /// How many bytes can be read, as far as that is known.
    bytes: u64,
}

impl<T: WasiView> Guest<'_, T> {
    pub(super) fn poll_oneoff(
        &mut self,
        from: u32,
        to: u32,
        count: u32,
        stored: u32,
    ) -> Fallible<()> {
        if count == 0 || count > LIMIT {
            return Err(Errno::INVAL.into());
        }
        let size = self.version.subscription_size();
        let mut bytes = vec![0; count as usize * size];
        self.read(from, &mut bytes)?;
        let subscriptions = bytes.chunks_exact(size);
        let subscriptions: Vec<Subscription> = subscriptions
            .map(|bytes| self.subscription(bytes))
            .collect::<Fallible<_>>()?;
        let when = |subscription: &'_ Subscription| match &subscription.when {
            Ok(readiness) => readiness.clone(),
            Err(_) => Readiness::Ready,
        };
        let all: Vec<Readiness> = subscriptions.iter().map(when).collect();
        let ready = wait_for(&all.iter().collect::<Vec<_>>(), Patience::Wait)?;
        let mut events = Vec::with_capacity(ready.len() * EVENT_SIZE);
        for subscription in ready.iter().filter_map(|at| subscriptions.get(*at)) {
            let mut event = [0; EVENT_SIZE];
            event[..8].copy_from_slice(&subscription.userdata.to_le_bytes());
            let errno = subscription.when.as_ref().err();
            let errno = errno.map_or(0, |errno| errno.number() as u16);
            event[8..10].copy_from_slice(&errno.to_le_bytes());
            event[10] = subscription.kind;
            event[16..24].copy_from_slice(&subscription.bytes.to_le_bytes());
            events.extend(event);
        }
        self.write(to, &events)?;
        Ok(self.write_word(stored, ready.len() as u32)?)
    }

    fn subscription(&mut self, bytes: &[u8]) -> Fallible<Subscription> {
        let long = |at: usize| -> Fallible<u64> {
            let long = bytes.get(at..).and_then(|rest| rest.first_chunk::<8>());
            Ok(u64::from_le_bytes(*long.ok_or(Errno::INVAL)?))
        };
        let kind = long(8)? as u8;
        let mut available = 1;
        let when = if kind == CLOCK {
            let clock = self.version.subscribed_clock();
            let id = long(clock)? as u32;
            let flags = long(clock + 24)? as u16;
            self.clock(id, long(clock + 8)?, flags)?
        } else if kind <= 2 {
            match self.stream_readiness(long(16)? as u32, kind) {
                Ok((readiness, bytes)) => {
                    available = bytes;
                    Ok(readiness)
                }
                Err(errno) => Err(errno),
            }
        } else {
            return Err(Errno::INVAL.into());
        };
        Ok(Subscription {
            userdata: long(0)?,
            kind,
            when,
            bytes: if kind == CLOCK { 0 } else { available },
        })
    }

    /// When a clock has come so far.
    fn clock(&mut self, id: u32, timeout: u64, flags: u16) -> Fallible<Result<Readiness, Errno>> {
        if flags & !1 != 0 {
            return Err(Errno::INVAL.into());
        }
        let is_absolute = flags & 1 != 0;
        let clocks = &self.wasi().clocks;
        let instant = match (id, is_absolute) {
            (0 | 1, false) => clocks.after(timeout),
            (0, true) => {
                let since = clocks.wall().duration_since(UNIX_EPOCH);
                let wall = nanoseconds(since.unwrap_or_default());
                clocks.after(timeout.saturating_sub(wall))
            }
            (1, true) => clocks.instant(timeout),
            (2 | 3, _) => return Ok(Err(Errno::NOTSUP)),
            _ => return Err(Errno::INVAL.into()),
        };
        Ok(Ok(Readiness::at(instant)))
    }

    /// When a read or write does not block, and how many bytes there are.
    fn stream_readiness(&mut self, fd: u32, kind: u8) -> Result<(Readiness, u64), Errno> {
        let descriptors = self.descriptors().map_err(|_| Errno::IO)?;
        let open = descriptors.get(fd).map_err(|_| Errno::BADF)?;
        match (&open.what, kind) {
            (What::Input(input), 1) => Ok((input.readiness(), 1)),
            (What::Output(_), 2) => Ok((Readiness::Ready, 1)),
            (What::File { .. }, 2) => Ok((Readiness::Ready, 1)),
            (
                What::File {
                    descriptor,
                    position,
                },
                _,
            ) => {
                if let Some(fd) = descriptor.file()?.stream() {
                    return Ok((Readiness::Input(fd), 1));
                }
                let length = descriptor.metadata()?.len();
                Ok((Readiness::Ready, length.saturating_sub(*position)))
            }
            _ => Err(Errno::BADF),
        }
    }
}
