//! Very many calls, of which some are cancelled, some trap, are stopped at any moment or fail in
//! the host, in stores that are dropped with whatever is left in them: memory stays as it is.
//!
//! `TRAMPETTE_MODEL_CALLS` says how many calls the long run makes.

use crate::run::{Failure, Fault, How, State, store};
use crate::{GUESTS, restrict, setting};
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use trampette_model::generate::{self, Size};
use trampette_model::rng::Rng;
use trampette_runtime::testing::{InUse, in_use};
use trampette_runtime::{InterruptHandle, Store, StoreLimits, Trap, TrapCode};

/// Scripts that run in one store, on average.
const SCRIPTS_OF_STORE: usize = 40;
/// More instances than a component keeps the memory of.
const MORE_THAN_KEPT: usize = 80;

/// What this process has of memory.
#[derive(Clone, Copy, Debug)]
struct Memory {
    bytes: u64,
    mappings: usize,
}

impl Memory {
    fn now() -> Memory {
        let read = |path| std::fs::read_to_string(path).unwrap();
        let pages = read("/proc/self/statm");
        let pages: u64 = pages.split(' ').nth(1).unwrap().parse().unwrap();
        Memory {
            bytes: pages * 4096,
            mappings: read("/proc/self/maps").lines().count(),
        }
    }
}

/// Stops what runs in a store, at moments of its own choice.
struct Storm {
    over: Arc<AtomicBool>,
    target: Arc<Mutex<Option<InterruptHandle>>>,
    thread: Option<std::thread::JoinHandle<u64>>,
}

impl Storm {
    fn begin() -> Storm {
        let over = Arc::new(AtomicBool::new(false));
        let target: Arc<Mutex<Option<InterruptHandle>>> = Arc::default();
        let (ends, shared) = (over.clone(), target.clone());
        let thread = std::thread::spawn(move || {
            let (mut rng, mut stopped) = (Rng::new(5), 0);
            while !ends.load(Ordering::Relaxed) {
                let pause = Duration::from_micros(50 + rng.below(1_500) as u64);
                std::thread::sleep(pause);
                let target = shared.lock().unwrap().clone();
                stopped += u64::from(target.is_some_and(|handle| handle.interrupt()));
            }
            stopped
        });
        Storm {
            over,
            target,
            thread: Some(thread),
        }
    }

    fn aim(&self, store: &mut Store<State>) {
        *self.target.lock().unwrap() = Some(store.interrupt_handle().unwrap());
    }

    fn end(mut self) -> u64 {
        self.over.store(true, Ordering::Relaxed);
        let thread = self.thread.take();
        thread.map_or(0, |thread| thread.join().unwrap())
    }
}

/// What has come about.
#[derive(Default, Debug)]
struct Counts {
    scripts: u64,
    calls: u64,
    stores: u64,
    cancels: u64,
    traps: u64,
    stopped: u64,
    host_failures: u64,
    limits: u64,
    deadlocks: u64,
}

impl Counts {
    fn count(&mut self, trace: &[String], failure: Option<&Failure>) {
        self.scripts += 1;
        let begun = |line: &&String| {
            line.ends_with(" start") || line.starts_with('p') && line.contains(" call ")
        };
        self.calls += trace.iter().filter(begun).count() as u64;
        let cancels = |line: &&String| line.contains("subtask.cancel") && !line.contains("skipped");
        self.cancels += trace.iter().filter(cancels).count() as u64;
        let Some(failure) = failure else { return };
        *match failure.trap() {
            None => &mut self.host_failures,
            Some(TrapCode::Interrupt) => &mut self.stopped,
            Some(TrapCode::Deadlock) => &mut self.deadlocks,
            Some(
                TrapCode::TaskLimit
                | TrapCode::EndLimit
                | TrapCode::SetLimit
                | TrapCode::TaskStackLimit,
            ) => &mut self.limits,
            Some(_) => &mut self.traps,
        } += 1;
    }
}

/// Runs a random script in a store, perhaps with something that goes wrong.
fn run_one(rng: &mut Rng, store: &mut Store<State>, counts: &mut Counts) -> ControlFlow<()> {
    let mut script = generate::script(rng, Size::BUILDABLE);
    restrict(&mut script);
    let once = script.host.clone();
    for _ in 0..rng.below(4) {
        script.host.extend(&once);
    }
    let state = store.data_mut();
    state.fault = rng.one_in(4).then(|| Fault {
        at: 1 + rng.below(30),
        how: rng.pick(&[How::Error, How::Panic, How::Interrupt]),
    });
    let few = rng.below(8) as u32;
    let usual = StoreLimits::default();
    let limits = match rng.below(20) {
        0 => usual.with_task_stacks(few),
        1 => usual.with_ends(few),
        2 => usual.with_sets(few),
        3 => usual.with_tasks(few),
        _ => usual,
    };
    state.limits = Some(limits);
    store.set_limits(usual);
    let before = in_use(&*store);
    let outcome = match GUESTS.run(&script, store) {
        Ok(outcome) => outcome,
        // Stopped while it was instantiated.
        Err(error) => {
            let trap = error.downcast_ref::<Trap>().map(Trap::kind);
            assert_eq!(trap, Some(TrapCode::Interrupt), "{error:?}\n{script}");
            return ControlFlow::Continue(());
        }
    };
    counts.count(&outcome.trace, outcome.failure.as_ref());
    // What has ended an instance has given back all that it had.
    let trap = outcome.failure.as_ref().map(Failure::trap);
    let of_host = |what: &str| {
        let line = |line: &&String| line.starts_with('c') && line.contains(what);
        outcome.trace.iter().filter(line).count()
    };
    match trap {
        None | Some(Some(TrapCode::Deadlock | TrapCode::TaskLimit)) => {}
        // It may have come before anything of the call was done, or after all of it: then it has
        // ended nothing.
        Some(Some(TrapCode::Interrupt))
            if of_host(" returned") == of_host(" call ") || !outcome.has_begun() => {}
        Some(_) => {
            let told = outcome.trace.join("\n");
            assert_eq!(in_use(&*store), before, "{script}{told}");
        }
    }
    match rng.one_in(SCRIPTS_OF_STORE) {
        true => ControlFlow::Break(()),
        false => ControlFlow::Continue(()),
    }
}

#[test]
fn memory_is_flat_whatever_happens() {
    let calls = setting("TRAMPETTE_MODEL_CALLS", 30_000);
    let begin = Instant::now();
    let mut rng = Rng::new(setting("TRAMPETTE_MODEL_SEED", 11));
    let storm = Storm::begin();
    let mut counts = Counts::default();
    let mut warm = None;
    // Pools grow to their bounds by chance alone, which memory would be measured by.
    GUESTS.fill_pools(MORE_THAN_KEPT).unwrap();
    while counts.calls < calls {
        let mut store = store();
        assert_eq!(in_use(&store), InUse::default());
        storm.aim(&mut store);
        while run_one(&mut rng, &mut store, &mut counts).is_continue() {}
        counts.stores += 1;
        if warm.is_none() && counts.calls > calls / 4 {
            drop(store);
            warm = Some(Memory::now());
        }
    }
    let stopped = storm.end();
    let (warm, end) = (warm.unwrap(), Memory::now());
    eprintln!(
        "{counts:?} in {:?}; {stopped} stops from outside; {warm:?}, then {end:?}",
        begin.elapsed()
    );
    assert!(counts.traps > 0 && counts.host_failures > 0 && counts.limits > 0);
    assert!(counts.stopped > 0 && counts.cancels > 0);
    assert!(
        end.bytes < warm.bytes + (16 << 20),
        "{warm:?}, then {end:?}"
    );
    assert!(end.mappings < warm.mappings + 300, "{warm:?}, then {end:?}");
}
