//! Calls that futures of the host's wait for, seen from outside: when one could begin, and what
//! comes of those that are cancelled, let go, or watched until they are over.

#[path = "support/host_work.rs"]
#[allow(dead_code)]
mod host_work;

use host_work::{Gate, Seen, Turns, Work, block_on, both, code, compiled, linker};
use std::pin::Pin;
use std::sync::{Arc, Mutex, OnceLock};
use std::task::{Context, Poll, Waker};
use trampette_runtime::{
    Accessor, Call, CallOutcome, Caller, Component, Instance, Store, TrapCode, TypedFunc, Val,
};

fn component() -> Component {
    static COMPONENT: OnceLock<Component> = OnceLock::new();
    COMPONENT.get_or_init(|| compiled("host_calls")).clone()
}

struct Guest {
    store: Store<u32>,
    instance: Instance,
    seen: Arc<Seen>,
    /// Opens when naps are over.
    awake: Arc<Gate>,
}

type Export = TypedFunc<(u32,), u32>;

impl Guest {
    /// One whose host functions are done when the test says so.
    fn new() -> Guest {
        Guest::of(&component())
    }

    fn of(component: &Component) -> Guest {
        let seen = Arc::new(Seen::default());
        let mut store = Store::new(0);
        let mut linker = linker(Work::Waits, &seen);
        let awake = Arc::new(Gate::default());
        let gate = awake.clone();
        let nap = move |_: Caller<'_, u32>, (x,): (u32,)| {
            let gate = gate.clone();
            async move {
                std::future::poll_fn(|cx| gate.poll(cx)).await;
                Ok(x)
            }
        };
        let mut root = linker.root();
        root.func_wrap_async::<(u32,), u32, _, _>("nap", nap)
            .unwrap();
        let instance = linker.instantiate(&mut store, component).unwrap();
        Guest {
            store,
            instance,
            seen,
            awake,
        }
    }

    fn func(&mut self, name: &str) -> Export {
        self.instance.get_typed_func(&mut self.store, name).unwrap()
    }

    fn funcs<const N: usize>(&mut self, names: [&str; N]) -> [Export; N] {
        names.map(|name| self.func(name))
    }

    /// How many tasks are not over.
    fn tasks(&mut self) -> u32 {
        let counted = async |cx: Accessor<u32>| cx.with(|store| store.tasks()).unwrap();
        block_on(self.store.run_concurrent(counted)).unwrap()
    }

    fn call(&mut self, name: &str, x: u32) -> anyhow::Result<u32> {
        self.func(name).call(&mut self.store, (x,))
    }
}

/// Whether a future is ready when it is polled once.
async fn is_ready<F: Future>(future: F) -> bool {
    let mut future = Box::pin(future);
    std::future::poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx).is_ready())).await
}

/// Lets a call begin, which goes on as long as this lives.
async fn begun<T: 'static>(
    cx: Accessor<T>,
    func: Export,
    x: u32,
) -> Pin<Box<dyn Future<Output = anyhow::Result<u32>>>> {
    let mut call: Pin<Box<dyn Future<Output = _>>> = Box::pin(func.call_concurrent(cx, (x,)));
    std::future::poll_fn(|cx| Poll::Ready(call.as_mut().poll(cx).is_pending())).await;
    Turns(2).await;
    call
}

/// What the gate of the guest is like.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Open,
    Backpressure,
    Locked,
    /// Locked, and a call waits to enter.
    Queued,
}

#[test]
fn a_function_is_ready_if_a_call_would_begin_at_once() {
    // Lifted with a callback, on a stack with and without the lock, and of a synchronous type.
    const EXPORTS: [&str; 4] = ["at-once", "holds", "sleeps", "plain"];
    let table = [
        (State::Open, [true, true, true, true]),
        (State::Backpressure, [false, false, false, true]),
        (State::Locked, [false, false, true, true]),
        (State::Queued, [false, false, false, true]),
    ];
    for (state, expected) in table {
        let mut guest = Guest::new();
        let exports = guest.funcs(EXPORTS);
        let [close, holds, at_once] = guest.funcs(["close", "holds", "at-once"]);
        let found = block_on(guest.store.run_concurrent(async |cx| {
            let mut calls = Vec::new();
            match state {
                State::Open => {}
                State::Backpressure => {
                    cx.with(|store| close.call(store, (0,))).unwrap().unwrap();
                }
                State::Locked => calls.push(begun(cx, holds, 0).await),
                State::Queued => {
                    calls.push(begun(cx, holds, 0).await);
                    calls.push(begun(cx, at_once, 0).await);
                }
            }
            let mut found = [false; EXPORTS.len()];
            for (export, found) in exports.iter().zip(&mut found) {
                *found = is_ready(export.ready(cx)).await;
            }
            found
        }));
        assert_eq!(found.unwrap(), expected, "{state:?}");
    }
}

/// Numbers of what happened, in order.
type Log = Arc<Mutex<Vec<u32>>>;

/// Waits until a function is ready, and then calls it.
async fn waits_and_calls<T: 'static>(cx: Accessor<T>, func: Export, x: u32, log: Log) {
    func.ready(cx).await.unwrap();
    log.lock().unwrap().push(x);
    assert_eq!(func.call_concurrent(cx, (x,)).await.unwrap(), x);
}

/// Who polls those that wait.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Polled {
    /// Futures of `run_concurrent`.
    Own,
    /// Those that belong to the store, driven by a future or by a call on a thread.
    Spawned,
    Blocking,
}

#[test]
fn who_waits_is_told_in_turn_when_a_gate_opens() {
    // So many turns that whoever waits has begun to before the gate opens.
    const CLOSED: u32 = 1000;
    for polled in [Polled::Own, Polled::Spawned, Polled::Blocking] {
        let mut guest = Guest::new();
        guest.seen.open();
        let [closes, func] = guest.funcs(["closes", "at-once"]);
        let log = Log::default();
        let waits = |cx, x| waits_and_calls(cx, func, x, log.clone());
        let closing = block_on(guest.store.run_concurrent(async |cx| {
            let closing = begun(cx, closes, CLOSED).await;
            if polled == Polled::Own {
                let others = both(waits(cx, 2), waits(cx, 3));
                let closed = async {
                    Turns(1).await;
                    assert!(log.lock().unwrap().is_empty());
                    closing.await.unwrap();
                };
                both(closed, both(waits(cx, 1), others)).await;
                return None;
            }
            for x in 1..=3 {
                cx.spawn(waits(cx, x)).unwrap();
            }
            Turns(2).await;
            assert!(log.lock().unwrap().is_empty(), "{polled:?}");
            if polled == Polled::Blocking {
                return Some(closing);
            }
            closing.await.unwrap();
            Turns(20).await;
            None
        }));
        if let Some(_closing) = closing.unwrap() {
            assert_eq!(guest.call("holds", 2).unwrap(), 6);
            block_on(guest.store.run_concurrent(async |_| Turns(20).await)).unwrap();
        }
        assert_eq!(*log.lock().unwrap(), [1, 2, 3], "{polled:?}");
        assert_eq!(guest.tasks(), 0, "{polled:?}");
    }
}

/// A guest without tasks, whose call waits with its stack; that of the others waits on its thread.
const PLAIN: &str = r#"(component
  (import "nap" (func $nap (param "x" u32) (result u32)))
  (core func $nap (canon lower (func $nap)))
  (core module $m
    (import "" "nap" (func $nap (param i32) (result i32)))
    (func (export "naps") (param i32) (result i32) (call $nap (local.get 0)))
    (func (export "plain") (param i32) (result i32) (local.get 0)))
  (core instance $m (instantiate $m (with "" (instance (export "nap" (func $nap))))))
  (func (export "naps") (param "x" u32) (result u32) (canon lift (core func $m "naps")))
  (func (export "plain") (param "x" u32) (result u32) (canon lift (core func $m "plain"))))"#;

#[test]
fn a_guest_that_waits_for_the_host_is_not_ready() {
    let plain = wat::parse_str(PLAIN).unwrap();
    let options = trampette::CompileOptions::default();
    let plain = trampette::compile_component(&plain, &options).unwrap();
    let guests = [
        (plain.load().unwrap(), &["plain"][..]),
        (component(), &["plain", "at-once", "sleeps"][..]),
    ];
    for (component, exports) in guests {
        let mut guest = Guest::of(&component);
        guest.seen.open();
        let naps = guest.func("naps");
        let log = Log::default();
        let funcs: Vec<_> = exports.iter().map(|name| guest.func(name)).collect();
        let spawned = block_on(guest.store.run_concurrent(async |cx| {
            for func in &funcs {
                // The only number of which three times as much is the same.
                cx.spawn(waits_and_calls(cx, *func, 0, log.clone()))?;
            }
            let (log, awake) = (log.clone(), guest.awake.clone());
            cx.spawn(async move {
                Turns(10).await;
                log.lock().unwrap().push(1);
                awake.open();
            })
        }));
        spawned.unwrap().unwrap();
        // Nothing was driven yet, so the call begins before any of that.
        let napped = block_on(naps.call_async(&mut guest.store, (5,)));
        assert_eq!(napped.unwrap(), 5);
        block_on(guest.store.run_concurrent(async |_| Turns(20).await)).unwrap();
        let log = log.lock().unwrap();
        assert_eq!(log[0], 1, "{exports:?}");
        assert_eq!(log[1..], vec![0; exports.len()], "{exports:?}");
    }
}

#[test]
fn who_does_not_wait_any_more_is_not_told() {
    let mut guest = Guest::new();
    let [close, open, func] = guest.funcs(["close", "open", "at-once"]);
    block_on(guest.store.run_concurrent(async |cx| {
        let calls = |export: Export| cx.with(|store| export.call(store, (0,))).unwrap().unwrap();
        calls(close);
        let mut waiting: Vec<_> = (0..100).map(|_| Box::pin(func.ready(cx))).collect();
        std::future::poll_fn(|cx| {
            let pending = waiting
                .iter_mut()
                .all(|it| it.as_mut().poll(cx).is_pending());
            assert!(pending);
            Poll::Ready(())
        })
        .await;
        // The last one is the only one that is left, and the first to be told.
        waiting.drain(..99);
        calls(open);
        waiting.pop().unwrap().await.unwrap();

        // One that was told and does not call keeps nobody from it.
        calls(close);
        let (first, second) = (Box::pin(func.ready(cx)), Box::pin(func.ready(cx)));
        let opens = async {
            Turns(1).await;
            calls(open);
        };
        let ((first, second), ()) = both(both(first, second), opens).await;
        first.and(second).unwrap();
    }))
    .unwrap();
}

#[test]
fn waiting_to_call_fails_with_the_instance() {
    for export in ["at-once", "plain"] {
        let mut guest = Guest::new();
        let [close, traps, func] = guest.funcs(["close", "traps", export]);
        let errors = block_on(guest.store.run_concurrent(async |cx| {
            cx.with(|store| close.call(store, (0,))).unwrap().unwrap();
            let trap = async {
                Turns(1).await;
                let trapped = cx.with(|store| traps.call(store, (0,))).unwrap();
                trapped.unwrap_err();
            };
            let waits = async {
                if export == "plain" {
                    Turns(3).await;
                }
                func.ready(cx).await.unwrap_err()
            };
            let (before, ()) = both(waits, trap).await;
            [before, func.ready(cx).await.unwrap_err()]
        }));
        let codes = errors.unwrap().map(|error| code(&error));
        assert_eq!(codes, [TrapCode::CannotEnter; 2], "{export}");
    }
}

#[test]
fn waiting_to_call_needs_the_store_that_polls() {
    let mut guest = Guest::new();
    let func = guest.func("at-once");
    let cx = guest.store.accessor();
    let mut ready = Box::pin(func.ready(cx));
    let polled = ready.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    assert!(matches!(polled, Poll::Ready(Err(_))));

    let mut other = Store::new(0u32);
    let failed = block_on(other.run_concurrent(async |cx| func.ready(cx).await));
    failed.unwrap().unwrap_err();
}

/// What a call has come to before it is cancelled.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Before {
    /// It was begun, and the store was not driven since.
    Begun,
    /// It waits to enter, since the gate is closed or the lock is taken.
    Closed,
    Locked,
    /// The store was driven until nothing went on.
    Driven,
    /// Another call has trapped.
    Trapped,
}

/// What came of cancelling a call: the outcome, or the trap.
type Came = Result<CallOutcome<u32>, TrapCode>;

const NOT_STARTED: Came = Ok(CallOutcome::CancelledBeforeStarted);
const CANCELLED: Came = Ok(CallOutcome::CancelledBeforeReturned);
const fn returned(value: u32) -> Came {
    Ok(CallOutcome::Returned(value))
}

/// The state that a call is in, the export with its argument, and what comes of cancelling it. The
/// host's functions are done after that was asked for.
const CANCELLATIONS: &[(Before, &str, u32, Came)] = &[
    (Before::Begun, "at-once", 5, NOT_STARTED),
    (Before::Begun, "sleeps", 5, NOT_STARTED),
    (Before::Begun, "holds", 5, NOT_STARTED),
    // It runs when it is begun.
    (Before::Begun, "plain", 5, returned(5)),
    (Before::Begun, "traps", 5, Err(TrapCode::Unreachable)),
    (Before::Closed, "at-once", 5, NOT_STARTED),
    (Before::Closed, "sleeps", 5, NOT_STARTED),
    (Before::Closed, "plain", 5, returned(5)),
    (Before::Locked, "at-once", 5, NOT_STARTED),
    (Before::Locked, "holds", 5, NOT_STARTED),
    // It needs no lock, and hears of nothing while it waits.
    (Before::Locked, "sleeps", 5, returned(15)),
    (Before::Driven, "at-once", 5, returned(5)),
    (Before::Driven, "parks", 0, CANCELLED),
    (Before::Driven, "parks", 1, returned(1)),
    (Before::Driven, "parks", 2, Err(TrapCode::Unreachable)),
    (Before::Driven, "sleeps", 5, returned(15)),
    (Before::Driven, "holds", 5, returned(15)),
    (Before::Driven, "lingers", 5, returned(5)),
    (Before::Driven, "plain", 5, returned(5)),
    (Before::Trapped, "parks", 0, Err(TrapCode::CannotEnter)),
    (Before::Trapped, "sleeps", 5, Err(TrapCode::CannotEnter)),
    (Before::Trapped, "at-once", 5, returned(5)),
];

impl Before {
    /// Begins a call, and brings it there. Beside it what is to live as long as it.
    async fn bring(
        self,
        guest: &Exports,
        cx: Accessor<u32>,
        func: Export,
        x: u32,
    ) -> (Call<u32>, Option<Call<u32>>) {
        let plain = |export: Export| cx.with(|store| export.call(store, (0,))).unwrap();
        let mut other = None;
        match self {
            Before::Closed => drop(plain(guest.close).unwrap()),
            Before::Locked => {
                other = Some(guest.holds.start_concurrent(cx, (0,)).unwrap());
                Turns(3).await;
            }
            Before::Begun | Before::Driven | Before::Trapped => {}
        }
        let call = func.start_concurrent(cx, (x,)).unwrap();
        if self != Before::Begun {
            Turns(3).await;
        }
        if self == Before::Trapped {
            plain(guest.traps).unwrap_err();
        }
        (call, other)
    }
}

/// What tests of calls call beside that.
struct Exports {
    close: Export,
    open: Export,
    holds: Export,
    traps: Export,
}

impl Exports {
    fn of(guest: &mut Guest) -> Exports {
        let [close, open, holds, traps] = guest.funcs(["close", "open", "holds", "traps"]);
        Exports {
            close,
            open,
            holds,
            traps,
        }
    }
}

fn came(result: anyhow::Result<CallOutcome<u32>>) -> Came {
    result.map_err(|error| code(&error))
}

#[test]
fn cancelling_tells_what_came_of_it() {
    for &(before, export, x, expected) in CANCELLATIONS {
        let what = format!("{before:?} {export} {x}");
        let mut guest = Guest::new();
        let func = guest.func(export);
        let exports = Exports::of(&mut guest);
        let seen = guest.seen.clone();
        let outcome = block_on(guest.store.run_concurrent(async |cx| {
            let (call, other) = before.bring(&exports, cx, func, x).await;
            let opens = async {
                Turns(3).await;
                seen.open();
            };
            let (outcome, ()) = both(call.cancel(), opens).await;
            if let Some(other) = other {
                assert_eq!(other.await.unwrap(), 0, "{what}");
            }
            if before == Before::Closed {
                cx.with(|store| exports.open.call(store, (0,)))
                    .unwrap()
                    .unwrap();
            }
            cx.settled().await.unwrap();
            came(outcome)
        }));
        assert_eq!(outcome.unwrap(), expected, "{what}");
        assert_eq!(guest.tasks(), 0, "{what}");
        assert_eq!(guest.seen.live(), 0, "{what}");
        // Whoever was only cancelled has hurt nobody.
        if before != Before::Trapped && expected.is_ok() {
            assert_eq!(guest.call("at-once", 7).unwrap(), 7, "{what}");
        }
    }
}

#[test]
fn dropping_a_call_or_its_cancellation_cancels_it() {
    for is_asked in [false, true] {
        for &(before, export, x, expected) in CANCELLATIONS {
            let what = format!("{before:?} {export} {x} {is_asked}");
            let mut guest = Guest::new();
            let func = guest.func(export);
            let exports = Exports::of(&mut guest);
            let seen = guest.seen.clone();
            let driven = block_on(guest.store.run_concurrent(async |cx| {
                let (call, other) = before.bring(&exports, cx, func, x).await;
                match is_asked {
                    true => {
                        is_ready(call.cancel()).await;
                    }
                    false => drop(call),
                }
                Turns(3).await;
                seen.open();
                if let Some(other) = other {
                    other.await.unwrap();
                }
                cx.settled().await.unwrap();
            }));
            // A trap that nobody waits for is told to who drives.
            let traps = before == Before::Driven && expected.is_err();
            assert_eq!(driven.is_err(), traps, "{what}");
            assert_eq!(guest.tasks(), 0, "{what}");
            assert_eq!(guest.seen.live(), 0, "{what}");
        }
    }
}

#[test]
fn calls_that_were_let_go_go_on() {
    // The export, whether the gate is closed first, and calls of the host's by that.
    for (export, is_closed, work) in [
        ("at-once", false, 0),
        ("at-once", true, 0),
        ("sleeps", true, 1),
        ("holds", false, 1),
        ("lingers", false, 1),
        ("plain", true, 0),
    ] {
        let mut guest = Guest::new();
        let [func, close, open] = guest.funcs([export, "close", "open"]);
        let seen = guest.seen.clone();
        block_on(guest.store.run_concurrent(async |cx| {
            let plain =
                |export: Export| cx.with(|store| export.call(store, (0,))).unwrap().unwrap();
            if is_closed {
                plain(close);
            }
            func.start_concurrent(cx, (5,)).unwrap().detach();
            cx.settled().await.unwrap();
            if is_closed {
                plain(open);
            }
            cx.settled().await.unwrap();
            seen.open();
            cx.settled().await.unwrap();
        }))
        .unwrap();
        assert_eq!(*guest.store.data(), work, "{export}");
        assert_eq!(guest.tasks(), 0, "{export}");
        assert_eq!(guest.seen.live(), 0, "{export}");
    }

    // Its trap is told to who drives the store.
    let mut guest = Guest::new();
    let trips = guest.func("trips");
    let seen = guest.seen.clone();
    let driven = block_on(guest.store.run_concurrent(async |cx| {
        trips.start_concurrent(cx, (5,)).unwrap().detach();
        Turns(3).await;
        seen.open();
        Turns(3).await;
    }));
    assert_eq!(code(&driven.unwrap_err()), TrapCode::Unreachable);
}

#[test]
fn exits_are_told_after_results() {
    let mut guest = Guest::new();
    let [lingers, parks, plain, close] = guest.funcs(["lingers", "parks", "plain", "close"]);
    let seen = guest.seen.clone();
    block_on(guest.store.run_concurrent(async |cx| {
        let mut call = lingers.start_concurrent(cx, (5,)).unwrap();
        assert_eq!((&mut call).await.unwrap(), 5);
        assert!((&mut call).await.is_err());
        assert!(!is_ready(call.exited()).await);
        let opens = async {
            Turns(3).await;
            seen.open();
        };
        let (exited, ()) = both(call.exited(), opens).await;
        exited.unwrap();
        call.exited().await.unwrap();
        assert_eq!(cx.with(|store| store.tasks()).unwrap(), 0);

        // Without a result, and the result afterwards.
        let mut call = lingers.start_concurrent(cx, (6,)).unwrap();
        call.exited().await.unwrap();
        assert_eq!(call.await.unwrap(), 6);
        let mut call = plain.start_concurrent(cx, (7,)).unwrap();
        call.exited().await.unwrap();
        assert_eq!(call.await.unwrap(), 7);

        // Several of one guest.
        let mut calls: Vec<_> = (0..3)
            .map(|_| parks.start_concurrent(cx, (0,)).unwrap())
            .collect();
        Turns(3).await;
        for call in &mut calls {
            assert!(!is_ready(call.exited()).await);
        }
        // One that never begins has nothing to leave.
        cx.with(|store| close.call(store, (0,))).unwrap().unwrap();
        calls.push(parks.start_concurrent(cx, (0,)).unwrap());
        for call in calls.into_iter().rev() {
            call.cancel().await.unwrap();
        }
    }))
    .unwrap();
    assert_eq!(guest.tasks(), 0);

    // A trap comes before the exit, and leaves results that were there.
    let mut guest = Guest::new();
    let trips = guest.func("trips");
    let seen = guest.seen.clone();
    let mut kept = Vec::new();
    let driven = block_on(guest.store.run_concurrent(async |cx| {
        kept.extend([5, 6].map(|x| trips.start_concurrent(cx, (x,)).unwrap()));
        Turns(3).await;
        seen.open();
        Turns(3).await;
    }));
    assert_eq!(code(&driven.unwrap_err()), TrapCode::Unreachable);
    for (mut call, x) in kept.into_iter().zip([5, 6]) {
        let error = block_on(call.exited()).unwrap_err();
        assert_eq!(code(&error), TrapCode::CannotEnter);
        assert_eq!(block_on(call).unwrap(), x);
    }
}

#[test]
fn calls_outlive_their_stores() {
    let mut guest = Guest::new();
    let [parks, at_once] = guest.funcs(["parks", "at-once"]);
    let (mut parked, mut over) = block_on(guest.store.run_concurrent(async |cx| {
        let calls = [parks, at_once].map(|func| func.start_concurrent(cx, (0,)).unwrap());
        cx.settled().await.unwrap();
        let [parked, over] = calls;
        (parked, over)
    }))
    .unwrap();
    drop(guest);
    assert!(block_on(parked.exited()).is_err());
    let gone = block_on(&mut parked).unwrap_err();
    assert_eq!(gone.to_string(), "the store was dropped");
    block_on(over.exited()).unwrap();
    assert_eq!(block_on(over).unwrap(), 0);
}

#[test]
fn cancelling_is_heard_from_other_threads() {
    let mut guest = Guest::new();
    let parks = guest.func("parks");
    for _ in 0..50 {
        let (sender, receiver) = std::sync::mpsc::channel::<Call<u32>>();
        let canceller = std::thread::spawn(move || {
            let call = receiver.recv().unwrap();
            came(block_on(call.cancel()))
        });
        block_on(guest.store.run_concurrent(async |cx| {
            let mut call = parks.start_concurrent(cx, (0,)).unwrap();
            Turns(3).await;
            // Only the exit is waited for here.
            let watched = is_ready(call.exited()).await;
            assert!(!watched);
            sender.send(call).unwrap();
            std::future::poll_fn(|_| match cx.with(|store| store.tasks()).unwrap() {
                0 => Poll::Ready(()),
                _ => Poll::Pending,
            })
            .await;
        }))
        .unwrap();
        assert_eq!(canceller.join().unwrap(), CANCELLED);
    }
}

#[test]
fn calls_with_values_are_the_same() {
    let mut guest = Guest::new();
    let names = ["parks", "plain"];
    let [parks, plain] = names.map(|name| guest.instance.get_func(&mut guest.store, name).unwrap());
    block_on(guest.store.run_concurrent(async |cx| {
        parks.ready(cx).await.unwrap();
        let call = parks.start_concurrent(cx, &[Val::U32(1)]).unwrap();
        Turns(3).await;
        let outcome = call.cancel().await.unwrap();
        assert_eq!(outcome, CallOutcome::Returned(Some(Val::U32(1))));
        let call = plain.start_concurrent(cx, &[Val::U32(4)]).unwrap();
        assert_eq!(call.await.unwrap(), Some(Val::U32(4)));
        assert!(
            plain
                .start_concurrent(cx, &[Val::Bool(true)])
                .unwrap()
                .await
                .is_err()
        );
        assert!(parks.start_concurrent(cx, &[Val::Bool(true)]).is_err());
    }))
    .unwrap();
}
