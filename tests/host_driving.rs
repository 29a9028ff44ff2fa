//! What drives a store: a call on its thread, a call that is awaited, and `run_concurrent` do the
//! same for the ends that the host has and for what fails; and what stops or wakes them.

#[path = "support/called.rs"]
mod called;
#[path = "support/host_work.rs"]
#[allow(dead_code)]
mod host_work;
#[path = "support/stream_guest.rs"]
#[allow(dead_code)]
mod stream_guest;
#[path = "support/ways.rs"]
mod ways;

use host_work::{Gate, Seen, Turns, Work, block_on, both, code, silently};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker, ready};
use std::time::{Duration, Instant};
use stream_guest::{Guest, bytes, compile};
use trampette_runtime::{
    Accessor, Caller, Component, Instance, Items, Linker, Progress, Store, StoreLimits,
    StreamConsumer, StreamProducer, StreamReader, TrapCode, TypedFunc, Window,
};
use ways::{WAYS, Way};

impl Way {
    /// Calls a function that reads a stream once.
    fn read(
        self,
        store: &mut Store<()>,
        instance: &Instance,
        stream: StreamReader<u8>,
    ) -> anyhow::Result<u32> {
        let func = instance.get_typed_func(&mut *store, "read-once").unwrap();
        self.call(store, func, (stream, 10u32))
    }
}

/// A guest that gives the host the readable end of a stream in a list, writes, and returns how that
/// has ended.
fn giver() -> Component {
    let text = r#"
(component
  (type $s (stream u8))
  (import "take" (func $take-import (param "l" (list $s))))
  (core module $libc (memory (export "memory") 1))
  (core instance $libc (instantiate $libc))
  (alias core export $libc "memory" (core memory $memory))
  (core func $take (canon lower (func $take-import) (memory $memory)))
  (core func $new (canon stream.new $s))
  (core func $write (canon stream.write $s (memory $memory)))
  (core func $return (canon task.return (result u32)))
  (core module $m
    (import "" "memory" (memory 1))
    (import "" "take" (func $take (param i32 i32)))
    (import "" "new" (func $new (result i64)))
    (import "" "write" (func $write (param i32 i32 i32) (result i32)))
    (import "" "return" (func $return (param i32)))
    (func (export "gives")
      (local $ends i64)
      (local.set $ends (call $new))
      (i32.store (i32.const 0) (i32.wrap_i64 (local.get $ends)))
      (call $take (i32.const 0) (i32.const 1))
      (call $return (call $write
        (i32.wrap_i64 (i64.shr_u (local.get $ends) (i64.const 32)))
        (i32.const 64) (i32.const 10)))))
  (core instance $m (instantiate $m (with "" (instance
    (export "memory" (memory $memory)) (export "take" (func $take)) (export "new" (func $new))
    (export "write" (func $write)) (export "return" (func $return))))))
  (func (export "gives") async (result u32) (canon lift (core func $m "gives") async)))
"#;
    compile(text)
}

#[test]
fn ends_that_the_host_does_not_take_are_closed_by_any_driver() {
    let component = giver();
    for way in WAYS {
        let mut linker = Linker::<()>::new();
        linker
            .root()
            .func_wrap::<(Vec<StreamReader<u8>>,), (), _>("take", |_, _| Ok(()))
            .unwrap();
        let mut store = Store::new(());
        let instance = linker.instantiate(&mut store, &component).unwrap();
        let func = instance.get_typed_func(&mut store, "gives").unwrap();
        // The guest waits until it is told that nobody reads.
        let answer: u32 = way.call(&mut store, func, ()).unwrap();
        assert_eq!(answer, 1, "{way:?}");
    }
}

/// The streams that [`giver`] has given.
type Given = Mutex<Vec<StreamReader<u8>>>;

fn keeper() -> (Store<Arc<Given>>, TypedFunc<(), u32>) {
    let mut linker = Linker::<Arc<Given>>::new();
    linker
        .root()
        .func_wrap::<(Vec<StreamReader<u8>>,), (), _>("take", |caller, (streams,)| {
            caller.data().lock().unwrap().extend(streams.iter());
            Ok(())
        })
        .unwrap();
    let mut store = Store::new(Arc::new(Given::default()));
    let instance = linker.instantiate(&mut store, &giver()).unwrap();
    let func = instance.get_typed_func(&mut store, "gives").unwrap();
    (store, func)
}

/// Counts wakes, and panics if it is told to.
#[derive(Default)]
struct Wakes {
    count: AtomicU32,
    panics: bool,
}

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.count.fetch_add(1, Ordering::SeqCst);
        assert!(!self.panics, "a waker panics");
    }
}

#[test]
fn whoever_holds_an_end_can_wake_a_call_that_is_awaited() {
    let (mut store, func) = keeper();
    // On this thread nobody would close it.
    let error = func.call(&mut store, ()).unwrap_err();
    assert_eq!(code(&error), TrapCode::Deadlock);
    assert!(
        format!("{error:#}").ends_with("(`gives` waits to write a stream)"),
        "{error:#}"
    );

    let (mut store, func) = keeper();
    let given = store.data().clone();
    let wakes = Arc::new(Wakes::default());
    let waker = Waker::from(wakes.clone());
    let mut cx = Context::from_waker(&waker);
    let mut call = std::pin::pin!(func.call_async(&mut store, ()));
    assert!(call.as_mut().poll(&mut cx).is_pending());
    assert_eq!(wakes.count.load(Ordering::SeqCst), 0);
    let streams = std::mem::take(&mut *given.lock().unwrap());
    std::thread::spawn(move || drop(streams)).join().unwrap();
    assert_eq!(wakes.count.load(Ordering::SeqCst), 1);
    let Poll::Ready(result) = call.as_mut().poll(&mut cx) else {
        panic!("it waits");
    };
    assert_eq!(result.unwrap(), 1);
}

/// How a [`Source`] ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum End {
    Gives,
    Fails,
}

/// Counts its drops, waits until it is woken, and then gives one element or fails.
struct Source {
    waits: Arc<Waits>,
    end: End,
}

#[derive(Default)]
struct Waits {
    gate: Gate,
    dropped: AtomicU32,
}

impl Drop for Source {
    fn drop(&mut self) {
        self.waits.dropped.fetch_add(1, Ordering::SeqCst);
    }
}

impl StreamProducer for Source {
    type Item = u8;

    fn poll_produce(
        &mut self,
        cx: &mut Context<'_>,
        window: &mut Window<'_, u8>,
    ) -> Poll<anyhow::Result<Progress>> {
        ready!(self.waits.gate.poll(cx));
        if self.end == End::Fails {
            return Poll::Ready(Err(anyhow::anyhow!("the disk is gone")));
        }
        let _ = window.push(7);
        Poll::Ready(Ok(Progress::Over))
    }
}

fn source(waits: &Arc<Waits>, end: End) -> Source {
    Source {
        waits: waits.clone(),
        end,
    }
}

#[test]
fn arguments_wait_for_calls_that_begin_late() {
    let component = bytes();
    for way in WAYS {
        let Guest {
            mut store,
            instance,
        } = Guest::of(&component);
        let stream = StreamReader::from_vec(&mut store, vec![1u8, 2]).unwrap();
        let read = way.read(&mut store, &instance, stream).unwrap();
        assert_eq!(read, 2 << 4 | 1, "{way:?}");
    }

    // A call that never begins closes what it was to be given.
    let Guest {
        mut store,
        instance,
    } = Guest::of(&component);
    let func = instance
        .get_typed_func::<(StreamReader<u8>, u32), u32>(&mut store, "read-once")
        .unwrap();
    let waits = Arc::new(Waits::default());
    let stream = StreamReader::new(&mut store, source(&waits, End::Gives)).unwrap();
    block_on(store.run_concurrent(async |cx| {
        let mut call = Box::pin(func.call_concurrent(cx, (stream, 1)));
        let mut waker = Context::from_waker(Waker::noop());
        assert!(call.as_mut().poll(&mut waker).is_pending());
        drop(call);
        Turns(2).await;
    }))
    .unwrap();
    assert_eq!(waits.dropped.load(Ordering::SeqCst), 1);

    // And one that is refused.
    let waits = Arc::new(Waits::default());
    let stream = StreamReader::new(&mut store, source(&waits, End::Gives)).unwrap();
    store.set_limits(StoreLimits::default().with_tasks(0));
    assert!(func.call(&mut store, (stream, 1)).is_err());
    store.set_limits(StoreLimits::default());
    block_on(store.run_concurrent(async |_| Turns(2).await)).unwrap();
    assert_eq!(waits.dropped.load(Ordering::SeqCst), 1);
}

#[test]
fn what_was_woken_goes_on_although_others_fail() {
    let component = bytes();
    let mut store = Store::new(());
    let waits = Arc::new(Waits::default());
    let mut all = Vec::new();
    // Nobody waits for what fails first.
    for end in [End::Fails, End::Gives] {
        let instance = Linker::new().instantiate(&mut store, &component).unwrap();
        let stream = StreamReader::new(&mut store, source(&waits, end)).unwrap();
        let echo = instance
            .get_typed_func::<(StreamReader<u8>, u32), StreamReader<u8>>(&mut store, "echo")
            .unwrap();
        let back = echo.call(&mut store, (stream, 4)).unwrap();
        all.push(back.collect(&mut store).unwrap());
    }
    waits.gate.open();
    let failed = block_on(store.run_concurrent(async |_| Turns(3).await)).unwrap_err();
    assert!(
        format!("{failed:#}").contains("the disk is gone"),
        "{failed:#}"
    );
    block_on(store.run_concurrent(async |_| Turns(3).await)).unwrap();
    assert!(all[0].take_ready().unwrap().is_err());
    assert_eq!(all[1].take_ready().unwrap().unwrap(), [7]);
}

/// A consumer that calls the guest whose elements it sees.
struct Meddles {
    cx: Accessor<()>,
    status: TypedFunc<(), i32>,
    gate: Arc<Gate>,
    errors: Arc<Mutex<Vec<TrapCode>>>,
}

impl StreamConsumer for Meddles {
    type Item = u8;

    fn poll_consume(
        &mut self,
        cx: &mut Context<'_>,
        items: &mut Items<'_, u8>,
    ) -> Poll<anyhow::Result<Progress>> {
        let status = self.status;
        let called = self.cx.with(|mut caller| status.call(&mut caller, ()))?;
        self.errors.lock().unwrap().push(code(&called.unwrap_err()));
        ready!(self.gate.poll(cx));
        items.take(100)?;
        Poll::Ready(Ok(Progress::Open))
    }
}

#[test]
fn who_sees_a_guests_buffer_cannot_call_that_guest() {
    for way in WAYS {
        let mut guest = Guest::of(&bytes());
        let stream = guest.produce(10);
        let Guest { store, instance } = &mut guest;
        let (gate, errors) = <(Arc<Gate>, Arc<Mutex<Vec<_>>>)>::default();
        let consumer = Meddles {
            cx: store.accessor(),
            status: instance.get_typed_func(&mut *store, "status").unwrap(),
            gate: gate.clone(),
            errors: errors.clone(),
        };
        stream.pipe(&mut *store, consumer).unwrap();
        let turns = instance
            .get_typed_func::<(u32,), ()>(&mut *store, "turns")
            .unwrap();
        for is_open in [false, true] {
            if is_open {
                gate.open();
            }
            match way {
                Way::Blocking => turns.call(&mut *store, (3,)).unwrap(),
                Way::Async => block_on(turns.call_async(&mut *store, (3,))).unwrap(),
                // Nothing is called: the store is driven for what it has.
                Way::Concurrent => {
                    block_on(store.run_concurrent(async |_| Turns(3).await)).unwrap();
                }
            }
        }
        let errors = errors.lock().unwrap();
        assert!(errors.len() >= 2, "{way:?}");
        assert!(errors.iter().all(|code| *code == TrapCode::CannotEnter));
        assert_eq!(guest.status(), 10 << 4, "{way:?}");
    }
}

#[test]
fn a_call_lets_what_it_waits_for_of_other_instances_go_on() {
    let seen = Arc::new(Seen::default());
    let mut store = Store::new(0);
    let inner = host_work::linker(Work::Turns(2), &seen)
        .instantiate(&mut store, &host_work::component())
        .unwrap();
    let ask = inner
        .get_typed_func::<(u32,), u32>(&mut store, "starts")
        .unwrap();
    let mut outer = host_work::linker(Work::Ready, &seen);
    outer.allow_shadowing(true);
    outer
        .root()
        .func_wrap_async::<(u32,), u32, _, _>("work", move |caller: Caller<'_, u32>, (x,)| {
            let cx = caller.accessor();
            async move { Ok(1 + ask.call_concurrent(cx, (x,)).await?) }
        })
        .unwrap();
    let outer = outer
        .instantiate(&mut store, &host_work::component())
        .unwrap();
    // The last one is the host's function, exported again.
    for name in ["starts", "waits", "parks", "blocks", "work"] {
        let func = outer
            .get_typed_func::<(u32,), u32>(&mut store, name)
            .unwrap();
        assert_eq!(func.call(&mut store, (5,)).unwrap(), 16, "{name}");
    }
    assert_eq!(seen.live(), 0);
}

#[test]
fn a_call_leaves_alone_what_nobody_waits_for() {
    let mut store = Store::new(());
    let [left, called] = [(); 2].map(|()| Linker::new().instantiate(&mut store, &bytes()).unwrap());
    // Its task traps if it goes on.
    let lose = left
        .get_typed_func::<(StreamReader<u8>,), StreamReader<u8>>(&mut store, "lose")
        .unwrap();
    let stream = StreamReader::from_vec(&mut store, vec![1u8]).unwrap();
    let _lost = lose.call(&mut store, (stream,)).unwrap();
    let waits = Arc::new(Waits::default());
    let stream = StreamReader::new(&mut store, source(&waits, End::Gives)).unwrap();
    let opener = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(10));
        waits.gate.open();
    });
    let read = Way::Blocking.read(&mut store, &called, stream).unwrap();
    opener.join().unwrap();
    assert_eq!(read, 1 << 4 | 1);
    let status = left
        .get_typed_func::<(), i32>(&mut store, "status")
        .unwrap();
    assert_eq!(status.call(&mut store, ()).unwrap(), -1);
}

/// A guest whose `stuck` waits, and traps when it hears of anything.
fn touchy() -> Component {
    let text = r#"
(component
  (core func $new (canon waitable-set.new))
  (core func $return (canon task.return))
  (core module $m
    (import "" "new" (func $new (result i32)))
    (import "" "return" (func $return))
    (func (export "stuck") (result i32)
      (i32.or (i32.const 2) (i32.shl (call $new) (i32.const 4))))
    (func (export "heard") (param i32 i32 i32) (result i32) unreachable)
    (func (export "quick") (call $return)))
  (core instance $m (instantiate $m (with "" (instance
    (export "new" (func $new)) (export "return" (func $return))))))
  (func (export "stuck") async
    (canon lift (core func $m "stuck") async (callback (core func $m "heard"))))
  (func (export "quick") async (canon lift (core func $m "quick") async)))
"#;
    compile(text)
}

#[test]
fn why_an_instance_has_ended_is_told_to_who_is_there() {
    // Whether somebody waits for another call of the instance when the one that was given up traps.
    for is_awaited in [false, true] {
        let mut store = Store::new(());
        let instance = Linker::new().instantiate(&mut store, &touchy()).unwrap();
        let [stuck, quick] = ["stuck", "quick"]
            .map(|name| instance.get_typed_func::<(), ()>(&mut store, name).unwrap());
        let run = block_on(store.run_concurrent(async |cx| {
            let mut other = std::pin::pin!(stuck.call_concurrent(cx, ()));
            {
                let mut given_up = std::pin::pin!(stuck.call_concurrent(cx, ()));
                let mut polls = 0;
                std::future::poll_fn(|cx| {
                    assert!(given_up.as_mut().poll(cx).is_pending());
                    if is_awaited {
                        assert!(other.as_mut().poll(cx).is_pending());
                    }
                    polls += 1;
                    // Both have begun then.
                    if polls == 2 {
                        Poll::Ready(())
                    } else {
                        Poll::Pending
                    }
                })
                .await;
            }
            if is_awaited {
                return other.await;
            }
            cx.settled().await?;
            quick.call_concurrent(cx, ()).await
        }));
        // That of the call which waits, or of who drives the store.
        assert_eq!(run.is_ok(), is_awaited);
        let error = run.and_then(|run| run).unwrap_err();
        assert_eq!(code(&error), TrapCode::Unreachable, "{error:?}");
    }
}

#[test]
fn wakers_of_the_embedder_that_panic_hurt_nobody() {
    silently(|| {
        let wakes = Arc::new(Wakes {
            panics: true,
            ..Wakes::default()
        });
        let waker = Waker::from(wakes.clone());
        let mut cx = Context::from_waker(&waker);
        // Woken by another thread, and by the timer's.
        for has_deadline in [false, true] {
            let mut guest = host_work::Guest::new(match has_deadline {
                true => Work::Waits,
                false => Work::Thread,
            });
            let func = guest.func("starts");
            if has_deadline {
                let soon = Duration::from_millis(5);
                guest.store.set_timeout(soon).unwrap();
            }
            let before = wakes.count.load(Ordering::SeqCst);
            let mut call = std::pin::pin!(func.call_async(&mut guest.store, (1,)));
            let until = Instant::now() + Duration::from_secs(20);
            let result = loop {
                if let Poll::Ready(result) = call.as_mut().poll(&mut cx) {
                    break result;
                }
                assert!(Instant::now() < until);
                std::thread::sleep(Duration::from_millis(1));
            };
            assert_eq!(result.is_ok(), !has_deadline);
            assert!(wakes.count.load(Ordering::SeqCst) > before);
        }
    });
    // The timer is still there.
    let mut guest = host_work::Guest::new(Work::Waits);
    guest.store.set_timeout(Duration::from_millis(5)).unwrap();
    let error = guest.call("starts", 1).unwrap_err();
    assert_eq!(code(&error), TrapCode::Deadline);
}

/// A producer that stops the call that polls it, and waits.
struct Stops(trampette_runtime::InterruptHandle, Source);

impl StreamProducer for Stops {
    type Item = u8;

    fn poll_produce(
        &mut self,
        cx: &mut Context<'_>,
        window: &mut Window<'_, u8>,
    ) -> Poll<anyhow::Result<Progress>> {
        assert!(self.0.interrupt());
        self.1.poll_produce(cx, window)
    }
}

#[test]
fn a_call_that_waits_is_ended_if_it_was_stopped_before() {
    for way in WAYS {
        let Guest {
            mut store,
            instance,
        } = Guest::of(&bytes());
        let waits = Arc::new(Waits::default());
        let producer = Stops(
            store.interrupt_handle().unwrap(),
            source(&waits, End::Gives),
        );
        let stream = StreamReader::new(&mut store, producer).unwrap();
        let error = way.read(&mut store, &instance, stream).unwrap_err();
        assert_eq!(code(&error), TrapCode::Interrupt, "{way:?}");
        // Its task is gone, with all that it had.
        assert_eq!(waits.dropped.load(Ordering::SeqCst), 1, "{way:?}");
        let stream = StreamReader::from_vec(&mut store, vec![1u8]).unwrap();
        let error = Way::Blocking
            .read(&mut store, &instance, stream)
            .unwrap_err();
        assert_eq!(code(&error), TrapCode::CannotEnter, "{way:?}");
    }
}

#[test]
fn deadlocks_say_who_waits_for_what() {
    let mut guest = host_work::Guest::new(Work::Ready);
    let func = guest.func("stuck");
    let expected = "wasm trap: deadlock detected: event loop cannot make further progress \
                    (`stuck` waits for an event in an empty set)";
    let error = func.call(&mut guest.store, (1,)).unwrap_err();
    assert!(format!("{error:#}").ends_with(expected), "{error:#}");
    let error = block_on(func.call_async(&mut guest.store, (1,))).unwrap_err();
    assert!(format!("{error:#}").ends_with(expected), "{error:#}");
}

#[test]
fn futures_and_parties_are_charged_with_all_that_they_take() {
    // The futures of dynamic functions are boxed.
    let seen = Arc::new(Seen::default());
    let mut linker = host_work::linker(Work::Ready, &seen);
    linker.allow_shadowing(true);
    linker
        .root()
        .func_new_async("work", |_, _| async {
            let large = [1u8; 100_000];
            Turns(1).await;
            Ok(Some(trampette_runtime::Val::U32(
                large.iter().map(|x| u32::from(*x)).sum(),
            )))
        })
        .unwrap();
    for (limit, works) in [(50_000, false), (200_000, true)] {
        let mut store = Store::new(0);
        store.set_limits(StoreLimits::default().with_host_future_bytes(limit));
        let instance = linker
            .instantiate(&mut store, &host_work::component())
            .unwrap();
        let func = instance
            .get_typed_func::<(u32,), u32>(&mut store, "starts")
            .unwrap();
        let result = func.call(&mut store, (1,));
        assert_eq!(result.is_ok(), works, "{limit}: {result:?}");
    }

    // What is between two parties of the host's is, and what a relay keeps.
    let mut store = Store::new(());
    store.set_limits(StoreLimits::default().with_host_future_bytes(100_000));
    let waits = Arc::new(Waits::default());
    let bridge = |store: &mut Store<()>| {
        let stream = StreamReader::new(&mut *store, source(&waits, End::Gives)).unwrap();
        stream.collect(store)
    };
    let first = bridge(&mut store).unwrap();
    let error = bridge(&mut store).err().unwrap();
    assert!(
        format!("{error:#}").contains("would take more"),
        "{error:#}"
    );
    drop(first);

    let mut guest = Guest::of(&bytes());
    let limits = StoreLimits::default().with_host_future_bytes(100_000);
    guest.store.set_limits(limits);
    let first = guest.produce(1);
    let _first = first.relay(&mut guest.store).unwrap();
    let second = guest.produce(1);
    assert!(second.relay(&mut guest.store).is_err());
}

/// A producer that says it is ready, and moves nothing.
struct Idle;

impl StreamProducer for Idle {
    type Item = u8;

    fn poll_produce(
        &mut self,
        _: &mut Context<'_>,
        _: &mut Window<'_, u8>,
    ) -> Poll<anyhow::Result<Progress>> {
        Poll::Ready(Ok(Progress::Open))
    }
}

struct Loud;

impl Drop for Loud {
    fn drop(&mut self) {
        panic!("in drop");
    }
}

impl StreamProducer for Loud {
    type Item = u8;

    fn poll_produce(
        &mut self,
        _: &mut Context<'_>,
        _: &mut Window<'_, u8>,
    ) -> Poll<anyhow::Result<Progress>> {
        Poll::Pending
    }
}

#[test]
fn parties_that_do_nothing_or_panic_are_let_go() {
    let mut store = Store::new(());
    let stream = StreamReader::new(&mut store, Idle).unwrap();
    let mut all = stream.collect(&mut store).unwrap();
    block_on(store.run_concurrent(async |_| Turns(2).await)).unwrap();
    assert!(all.take_ready().unwrap().is_err());

    // All are dropped, though each panics.
    silently(|| {
        let mut store = Store::new(());
        let streams: Vec<_> = (0..3)
            .map(|_| StreamReader::new(&mut store, Loud).unwrap())
            .collect();
        drop(store);
        drop(streams);
    });
}

#[test]
fn a_panic_keeps_nobody_else_from_going_on() {
    let seen = Arc::new(Seen::default());
    let mut store = Store::new(0);
    let mut funcs = Vec::new();
    for work in [Work::Ready, Work::Panics(1), Work::Ready] {
        let instance = host_work::linker(work, &seen)
            .instantiate(&mut store, &host_work::component())
            .unwrap();
        let func = instance
            .get_typed_func::<(u32,), u32>(&mut store, "yields")
            .unwrap();
        funcs.push(func);
    }
    let results = Arc::new(Mutex::new(Vec::new()));
    let kept = results.clone();
    let run = std::panic::AssertUnwindSafe(|| {
        block_on(store.run_concurrent(async move |cx| {
            for func in &funcs {
                let (func, kept) = (*func, kept.clone());
                cx.spawn(async move {
                    let result = func.call_concurrent(cx, (4,)).await;
                    kept.lock().unwrap().push(result.ok());
                })
                .unwrap();
            }
            Turns(30).await;
        }))
    });
    assert!(silently(|| std::panic::catch_unwind(run)).is_err());
    block_on(store.run_concurrent(async |_| both(Turns(30), Turns(30)).await)).unwrap();
    let mut results = results.lock().unwrap().clone();
    results.sort_unstable();
    assert_eq!(results, [None, Some(12), Some(12)]);
    assert_eq!(seen.live(), 0);
}

/// Takes a few bytes of what another part of the host has, and waits in every other poll.
struct Trickle {
    seen: Arc<Mutex<Vec<u8>>>,
    waits: bool,
    is_closed: Arc<AtomicBool>,
}

impl StreamConsumer for Trickle {
    type Item = u8;

    fn poll_consume(
        &mut self,
        cx: &mut Context<'_>,
        items: &mut Items<'_, u8>,
    ) -> Poll<anyhow::Result<Progress>> {
        self.waits = !self.waits;
        if self.waits {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let bytes = items.as_slice().expect("it has some");
        let count = bytes.len().min(30_000);
        self.seen.lock().unwrap().extend_from_slice(&bytes[..count]);
        items.advance(count);
        Poll::Ready(Ok(Progress::Open))
    }

    fn closed(&mut self) {
        self.is_closed.store(true, Ordering::SeqCst);
    }
}

#[test]
fn what_another_part_of_the_host_has_can_be_taken_bit_by_bit() {
    let mut store = Store::new(());
    let all: Vec<u8> = (0..200_000_u32).map(|i| i as u8).collect();
    let (seen, is_closed) = <(Arc<Mutex<Vec<u8>>>, Arc<AtomicBool>)>::default();
    let trickle = Trickle {
        seen: seen.clone(),
        waits: false,
        is_closed: is_closed.clone(),
    };
    let stream = StreamReader::from_vec(&mut store, all.clone()).unwrap();
    stream.pipe(&mut store, trickle).unwrap();
    let closed = async |_| {
        std::future::poll_fn(|cx: &mut Context<'_>| {
            cx.waker().wake_by_ref();
            match is_closed.load(Ordering::SeqCst) {
                true => Poll::Ready(()),
                false => Poll::Pending,
            }
        })
        .await;
    };
    block_on(store.run_concurrent(closed)).unwrap();
    assert!(*seen.lock().unwrap() == all);
}
