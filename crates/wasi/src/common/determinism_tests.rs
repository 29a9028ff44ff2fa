//! Tests: clocks and random bytes of the host's own are the guest's, by WASI 0.2 and 0.3. (Those of
//! preview 1 are in the package's `tests/preview1.rs`, where guests can be compiled.)

use crate::p2::bindings::wasi as p2;
use crate::p3::bindings::wasi as p3;
use crate::{MonotonicClock, RandomSource, SeededRandom, WasiCtx, WasiCtxBuilder};
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant, UNIX_EPOCH};
use trampette_runtime::Store;

/// Time passes only while the guest waits, and waiting takes none.
struct Simulated(AtomicU64);

impl MonotonicClock for Simulated {
    fn now(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    fn instant(&self, when: u64) -> Option<Instant> {
        self.0.fetch_max(when, Ordering::Relaxed);
        Some(Instant::now())
    }
}

const HOUR: u64 = 3_600_000_000_000;

fn simulated() -> WasiCtx {
    let clock = Simulated(AtomicU64::new(7));
    let wall = || UNIX_EPOCH + Duration::new(1_577_836_800, 5);
    let builder = WasiCtxBuilder::new().random(SeededRandom::new(7));
    builder.monotonic_clock(clock).wall_clock(wall).build()
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    use crate::p2::bindings::wasi::random as two;
    use crate::p3::bindings::wasi::random as three;
    let mut expected = [0; 32];
    SeededRandom::new(7).fill(&mut expected);
    let number = u64::from_le_bytes(*expected[12..].first_chunk().unwrap());
    let mut wasi = simulated();
    let first = two::random::Host::get_random_bytes(&mut wasi, 12).unwrap();
    let second = two::random::Host::get_random_u64(&mut wasi).unwrap();
    let third = two::insecure::Host::get_insecure_random_bytes(&mut wasi, 12).unwrap();
    assert_eq!(
        [&first[..], &third].concat(),
        [&expected[..12], &expected[20..]].concat()
    );
    assert_eq!(second, number);
    let mut wasi = simulated();
    let first = three::random::Host::get_random_bytes(&mut wasi, 12).unwrap();
    let second = three::random::Host::get_random_u64(&mut wasi).unwrap();
    let third = three::insecure::Host::get_insecure_random_bytes(&mut wasi, 12).unwrap();
    assert_eq!(
        [&first[..], &third].concat(),
        [&expected[..12], &expected[20..]].concat()
    );
    assert_eq!(second, number);
    let seeds = || three::insecure_seed::Host::get_insecure_seed(&mut simulated()).unwrap();
    assert_eq!(seeds(), seeds());
    // What was recorded stays good: the first number of SplitMix64 from 0.
    let mut first = [0; 8];
    SeededRandom::new(0).fill(&mut first);
    assert_eq!(u64::from_le_bytes(first), 0xe220_a839_7b1d_cdaf);
}

#[test]
fn clocks_of_0_2_are_the_hosts() {
    use p2::clocks::{monotonic_clock, wall_clock};
    use p2::io::poll::HostPollable;
    let mut wasi = simulated();
    let wall = wall_clock::Host::now(&mut wasi).unwrap();
    assert_eq!((wall.seconds, wall.nanoseconds), (1_577_836_800, 5));
    assert_eq!(monotonic_clock::Host::now(&mut wasi).unwrap(), 7);
    let pollable = monotonic_clock::Host::subscribe_duration(&mut wasi, HOUR).unwrap();
    HostPollable::block(&mut wasi, pollable)
        .now()
        .unwrap()
        .unwrap();
    assert_eq!(monotonic_clock::Host::now(&mut wasi).unwrap(), HOUR + 7);
    let pollable = monotonic_clock::Host::subscribe_instant(&mut wasi, 2 * HOUR).unwrap();
    HostPollable::block(&mut wasi, pollable)
        .now()
        .unwrap()
        .unwrap();
    assert_eq!(monotonic_clock::Host::now(&mut wasi).unwrap(), 2 * HOUR);
    // Beyond the end of the clock is never.
    let pollable = monotonic_clock::Host::subscribe_duration(&mut wasi, u64::MAX).unwrap();
    assert!(!HostPollable::ready(&mut wasi, pollable).unwrap());
}

#[test]
fn clocks_of_0_3_are_the_hosts() {
    use p3::clocks::monotonic_clock::{self, Host};
    use p3::clocks::system_clock;
    let mut store = Store::new(simulated());
    let wall = system_clock::Host::now(store.data_mut()).unwrap();
    assert_eq!((wall.seconds, wall.nanoseconds), (1_577_836_800, 5));
    {
        let running = store.run_concurrent(async |cx| {
            <WasiCtx as Host>::wait_for(cx, HOUR).await?;
            <WasiCtx as Host>::wait_until(cx, 2 * HOUR).await
        });
        let mut running = pin!(running);
        match running
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()))
        {
            Poll::Ready(result) => result.unwrap().unwrap(),
            Poll::Pending => panic!("it waits, though the clock was there"),
        }
    }
    let now = monotonic_clock::Host::now(store.data_mut()).unwrap();
    assert_eq!(now, 2 * HOUR);
}
