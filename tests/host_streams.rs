//! Streams and futures between guests and the host: elements of all kinds, in parts of all sizes,
//! and how they end.

#[path = "support/stream_guest.rs"]
mod stream_guest;

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use stream_guest::{Guest, bytes, guest};
use trampette_runtime::{
    Component, ComponentType, FutureReader, Items, Lift, Linker, Lower, Progress, Resource,
    StoreLimits, StreamAny, StreamConsumer, StreamProducer, StreamReader, Trap, TrapCode, Val,
    Window,
};

/// What was written comes back, in parts of each size.
fn round_trips<T>(component: &Component, linker: &Linker<()>, make: impl Fn(u32) -> T)
where
    T: Lift + Lower + Send + PartialEq + std::fmt::Debug,
{
    for count in [0, 1, 5, 100] {
        for chunk in [1, 3, 64] {
            let mut guest = Guest::with(component, linker);
            let items = (0..count).map(&make).collect();
            let stream = StreamReader::from_vec(&mut guest.store, items).unwrap();
            let back = guest.echo(stream, chunk);
            let back = back.collect(&mut guest.store).unwrap();
            let found = guest.finish(back).unwrap();
            let expected: Vec<T> = (0..count).map(&make).collect();
            assert_eq!(found, expected, "{count} in parts of {chunk}");
            guest.turns(2).unwrap();
        }
    }
}

#[derive(ComponentType, Lift, Lower, Clone, PartialEq, Debug)]
#[component(record)]
struct Person {
    name: String,
    age: u8,
}

#[derive(ComponentType, Lift, Lower, Clone, PartialEq, Debug)]
#[component(record)]
struct Padded {
    small: u8,
    large: u32,
}

#[test]
fn elements_of_every_kind_come_back() {
    let linker = Linker::new();
    round_trips(&bytes(), &linker, |index| index as u8);
    round_trips(&guest("", "u32", 4), &linker, |index| index * 0x0101_0101);
    round_trips(&guest("", "u64", 8), &linker, |index| {
        u64::from(index) << 40
    });
    round_trips(&guest("", "bool", 1), &linker, |index| index % 3 == 0);
    let optional = guest("(type $o (option char))", "$o", 8);
    round_trips(&optional, &linker, |index| {
        char::from_u32(0x1f600 + index).filter(|_| index % 4 > 0)
    });
    round_trips(&guest("", "string", 8), &linker, |index| {
        format!("nº {index}")
    });
    round_trips(&guest("(type $l (list u16))", "$l", 8), &linker, |index| {
        vec![index as u16; 3]
    });
    let person = r#"(type $p' (record (field "name" string) (field "age" u8)))
        (export $p "person" (type $p'))"#;
    round_trips(&guest(person, "$p", 12), &linker, |index| Person {
        name: format!("somebody {index}"),
        age: index as u8,
    });
    let padded = r#"(type $p' (record (field "small" u8) (field "large" u32)))
        (export $p "padded" (type $p'))"#;
    round_trips(&guest(padded, "$p", 8), &linker, |index| Padded {
        small: index as u8,
        large: index << 20,
    });
}

struct Thing;

#[test]
fn handles_and_streams_are_elements_too() {
    let mut linker = Linker::<()>::new();
    linker
        .root()
        .resource::<Thing>("thing", |_, _| Ok(()))
        .unwrap();
    let things = guest(
        r#"(import "thing" (type $thing (sub resource))) (type $own (own $thing))"#,
        "$own",
        4,
    );
    let mut guest_of_things = Guest::with(&things, &linker);
    let things = (10..20).map(Resource::<Thing>::new);
    let stream = StreamReader::from_iter(&mut guest_of_things.store, things).unwrap();
    let back = guest_of_things.echo(stream, 3);
    let back = back.collect(&mut guest_of_things.store).unwrap();
    let back = guest_of_things.finish(back).unwrap();
    let back: Vec<u32> = back.iter().map(Resource::rep).collect();
    assert_eq!(back, (10..20).collect::<Vec<_>>());

    let nested = guest("(type $inner (stream u8))", "$inner", 4);
    let mut nested = Guest::of(&nested);
    let inner: Vec<_> = (0..4u8)
        .map(|index| StreamReader::from_vec(&mut nested.store, vec![index; 5]).unwrap())
        .collect();
    let outer = StreamReader::from_vec(&mut nested.store, inner).unwrap();
    let back = nested.echo(outer, 3).collect(&mut nested.store).unwrap();
    let back = nested.finish(back).unwrap();
    assert_eq!(back.len(), 4);
    for stream in back {
        // It is the host's own one, which came back.
        let again = StreamReader::from_vec(&mut nested.store, vec![stream]).unwrap();
        let again = nested.echo(again, 1).collect(&mut nested.store).unwrap();
        assert_eq!(nested.finish(again).unwrap().len(), 1);
    }
}

/// Writes parts of two elements, and waits before each until it is woken.
struct Slow {
    next: u8,
    end: u8,
    is_woken: Arc<AtomicBool>,
    waker: Arc<Mutex<Option<Waker>>>,
}

impl StreamProducer for Slow {
    type Item = u8;

    fn poll_produce(
        &mut self,
        cx: &mut Context<'_>,
        window: &mut Window<'_, u8>,
    ) -> Poll<anyhow::Result<Progress>> {
        if !self.is_woken.swap(false, Ordering::SeqCst) {
            *self.waker.lock().unwrap() = Some(cx.waker().clone());
            return Poll::Pending;
        }
        for _ in 0..2 {
            if window.push(self.next).is_ok() {
                self.next += 1;
            }
        }
        Poll::Ready(Ok(match self.next >= self.end {
            true => Progress::Over,
            false => Progress::Open,
        }))
    }
}

/// A slow producer, and what lets it go on.
fn slow(end: u8) -> (Slow, impl Fn() -> bool) {
    let is_woken = Arc::new(AtomicBool::new(false));
    let waker = Arc::new(Mutex::new(None::<Waker>));
    let producer = Slow {
        next: 0,
        end,
        is_woken: is_woken.clone(),
        waker: waker.clone(),
    };
    let wake = move || {
        let waker = waker.lock().unwrap().take();
        // Not taken back: the producer has perhaps not seen it yet.
        is_woken.fetch_or(waker.is_some(), Ordering::SeqCst);
        waker.map(Waker::wake).is_some()
    };
    (producer, wake)
}

#[test]
fn a_producer_that_waits_is_woken_from_another_thread() {
    let mut guest = Guest::of(&bytes());
    let (producer, wake) = slow(20);
    let stream = StreamReader::new(&mut guest.store, producer).unwrap();
    let is_over = Arc::new(AtomicBool::new(false));
    let thread = std::thread::spawn({
        let is_over = is_over.clone();
        move || {
            let mut wakes = 0;
            while !is_over.load(Ordering::SeqCst) {
                wakes += u32::from(wake());
                std::thread::yield_now();
            }
            wakes
        }
    });
    // The call waits until the first part is there.
    assert_eq!(guest.call("read-once", stream, 100).unwrap(), 2 << 4);
    let (producer, wake) = slow(20);
    let stream = StreamReader::new(&mut guest.store, producer).unwrap();
    let back = guest.echo(stream, 100).collect(&mut guest.store).unwrap();
    let mut back = back;
    let mut turns = 0;
    let all = loop {
        if let Some(ready) = back.take_ready() {
            break ready.unwrap();
        }
        wake();
        guest.turns(1).unwrap();
        turns += 1;
        assert!(turns < 1000);
    };
    assert_eq!(all, (0..20).collect::<Vec<_>>());
    is_over.store(true, Ordering::SeqCst);
    assert_eq!(thread.join().unwrap(), 1);
}

#[test]
fn a_read_that_is_cancelled_leaves_the_host_as_it_was() {
    let mut guest = Guest::of(&bytes());
    let (producer, _wake) = slow(20);
    let stream = StreamReader::new(&mut guest.store, producer).unwrap();
    // `CANCELLED`, nothing copied.
    assert_eq!(guest.call("cancel", stream, 10).unwrap(), 2);
    // Nobody waits any more, so this is a deadlock and not a wait.
    let stream = StreamReader::new(&mut guest.store, slow(1).0).unwrap();
    assert_eq!(guest.call("cancel", stream, 0).unwrap(), 2);
    let ready = StreamReader::from_vec(&mut guest.store, vec![1u8; 7]).unwrap();
    assert_eq!(guest.call("cancel", ready, 10).unwrap(), 7 << 4 | 1);
}

/// Counts what is dropped, and what is closed.
#[derive(Default)]
struct Ends {
    dropped: AtomicU32,
    closed: AtomicU32,
}

impl Ends {
    fn found(&self) -> (u32, u32) {
        (
            self.dropped.load(Ordering::SeqCst),
            self.closed.load(Ordering::SeqCst),
        )
    }
}

/// A producer for ever of one element at a time, and a consumer of so many at a time.
struct Watched(Arc<Ends>, usize);

impl Drop for Watched {
    fn drop(&mut self) {
        self.0.dropped.fetch_add(1, Ordering::SeqCst);
    }
}

impl StreamProducer for Watched {
    type Item = u8;

    fn poll_produce(
        &mut self,
        _: &mut Context<'_>,
        window: &mut Window<'_, u8>,
    ) -> Poll<anyhow::Result<Progress>> {
        for _ in 0..self.1 {
            let _ = window.push(7);
        }
        Poll::Ready(Ok(Progress::Open))
    }
}

impl StreamConsumer for Watched {
    type Item = u8;

    fn poll_consume(
        &mut self,
        _: &mut Context<'_>,
        items: &mut Items<'_, u8>,
    ) -> Poll<anyhow::Result<Progress>> {
        let count = items.as_slice().map_or(0, <[u8]>::len).min(self.1);
        items.advance(count);
        Poll::Ready(Ok(match self.1 {
            0 => Progress::Over,
            _ => Progress::Open,
        }))
    }

    fn closed(&mut self) {
        self.0.closed.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn whoever_is_left_is_told_that_the_other_has_gone() {
    let mut guest = Guest::of(&bytes());
    let ends = Arc::new(Ends::default());

    // The guest drops what the host writes.
    let stream = StreamReader::new(&mut guest.store, Watched(ends.clone(), 1)).unwrap();
    assert_eq!(guest.call("read-once", stream, 10).unwrap(), 1 << 4);
    guest.turns(1).unwrap();
    assert_eq!(ends.found(), (1, 0));

    // The host drops what it has made, and nobody has it.
    drop(StreamReader::new(&mut guest.store, Watched(ends.clone(), 1)).unwrap());
    guest.turns(1).unwrap();
    // Whether it is noticed at once is nobody's business; it is, when an end is made.
    drop(StreamReader::<u8>::from_vec(&mut guest.store, Vec::new()).unwrap());
    assert_eq!(ends.found(), (2, 0));

    // The host drops what a guest writes.
    drop(guest.produce(10));
    guest.turns(3).unwrap();
    assert_eq!(guest.status(), 1);

    // The host takes a part, and closes its end.
    let stream = guest.produce(10);
    stream
        .pipe(&mut guest.store, Watched(ends.clone(), 0))
        .unwrap();
    guest.turns(3).unwrap();
    assert_eq!(guest.status(), 1);
    assert_eq!(ends.found(), (3, 0));

    // The guest has written all in two parts, of which one is not taken, and closes its end.
    let stream = guest.produce(10);
    stream
        .pipe(&mut guest.store, Watched(ends.clone(), 6))
        .unwrap();
    guest.turns(5).unwrap();
    assert_eq!(guest.status(), 6 << 4);
    assert_eq!(ends.found(), (4, 1));
}

#[test]
fn a_trap_takes_all_with_it() {
    let mut guest = Guest::of(&bytes());
    let ends = Arc::new(Ends::default());
    let written = StreamReader::new(&mut guest.store, Watched(ends.clone(), 1)).unwrap();
    let held = guest.produce(5);
    let read = guest.produce(5).collect(&mut guest.store).unwrap();
    let lost = guest.pass("lose", written).unwrap();
    let mut lost = lost.collect(&mut guest.store).unwrap();
    assert!(lost.take_ready().is_none());
    let error = guest.turns(5).unwrap_err();
    let trap = error.downcast_ref::<Trap>().unwrap();
    assert_eq!(trap.kind(), TrapCode::Unreachable);
    assert_eq!(ends.found(), (1, 0));
    assert!(lost.take_ready().unwrap().is_err());
    let mut read = read;
    // It had all before.
    if let Some(read) = read.take_ready() {
        assert!(read.is_err() || read.unwrap().len() == 5);
    }
    let mut held = held.collect(&mut guest.store).unwrap();
    assert!(held.take_ready().unwrap().is_err());
    // The store goes on.
    let again = Linker::new()
        .instantiate(&mut guest.store, &bytes())
        .unwrap();
    guest.instance = again;
    let stream = StreamReader::from_vec(&mut guest.store, vec![1u8, 2]).unwrap();
    assert_eq!(guest.call("read-once", stream, 10).unwrap(), 2 << 4 | 1);
}

#[test]
fn elements_are_never_taken_for_others() {
    let mut guest = Guest::of(&bytes());
    let wrong = guest
        .instance
        .get_typed_func::<(u32,), StreamReader<String>>(&mut guest.store, "produce");
    let text = format!("{:#}", wrong.err().unwrap());
    assert!(text.contains("stream<string>"), "{text}");

    let any = guest.produce(3).into_any();
    let error = any.clone().typed::<u16>(&guest.store).unwrap_err();
    assert!(
        format!("{error:#}").contains("a stream of another type"),
        "{error:#}"
    );
    let typed = any.clone().typed::<u8>(&guest.store).unwrap();
    let all = typed.collect(&mut guest.store).unwrap();
    assert_eq!(guest.finish(all).unwrap(), [0; 3]);
    // It has been given away.
    assert!(any.typed::<u8>(&guest.store).is_err());

    let made = StreamReader::from_vec(&mut guest.store, vec![1u32])
        .unwrap()
        .into_any();
    assert!(made.clone().typed::<u8>(&guest.store).is_err());
    let read = guest
        .instance
        .get_func(&mut guest.store, "read-once")
        .unwrap();
    let error = read
        .call(&mut guest.store, &[Val::Stream(made), Val::U32(1)])
        .unwrap_err();
    assert!(format!("{error:#}").contains("u32"), "{error:#}");
}

#[test]
fn dynamic_values_have_ends() {
    let mut guest = Guest::of(&guest("", "string", 8));
    let items = ["a", "b"].map(String::from).to_vec();
    let made = StreamReader::from_vec(&mut guest.store, items)
        .unwrap()
        .into_any();
    let same = guest.instance.get_func(&mut guest.store, "same").unwrap();
    let result = same
        .call(&mut guest.store, &[Val::Stream(made.clone())])
        .unwrap();
    let [Val::Stream(back)] = &result[..] else {
        panic!("{result:?}");
    };
    assert_eq!(result[0].kind(), "stream");
    // One end is given away once.
    let error = same
        .call(&mut guest.store, &[Val::Stream(made)])
        .unwrap_err();
    assert!(format!("{error:#}").contains("given away"), "{error:#}");
    let echo = guest.instance.get_func(&mut guest.store, "echo").unwrap();
    let result = echo
        .call(&mut guest.store, &[Val::Stream(back.clone()), Val::U32(1)])
        .unwrap();
    let [Val::Stream(back)] = &result[..] else {
        panic!("{result:?}");
    };
    let back = back.clone().typed::<String>(&guest.store).unwrap();
    let all = back.collect(&mut guest.store).unwrap();
    assert_eq!(guest.finish(all).unwrap(), ["a", "b"]);
}

#[test]
fn an_end_is_of_its_store() {
    let component = bytes();
    let (mut one, mut other) = (Guest::of(&component), Guest::of(&component));
    let stream = StreamReader::from_vec(&mut one.store, vec![1u8]).unwrap();
    let error = other.call("read-once", stream, 1).unwrap_err();
    assert!(
        format!("{error:#}").contains("of another store"),
        "{error:#}"
    );
    let stream = one.produce(3);
    assert!(stream.collect(&mut other.store).is_err());
    // Nobody was hurt.
    let stream = StreamReader::from_vec(&mut other.store, vec![1u8]).unwrap();
    assert_eq!(other.call("read-once", stream, 1).unwrap(), 1 << 4 | 1);
    // What is held outlives its store.
    let held = one.produce(3);
    drop(one);
    drop(held);
}

#[test]
fn futures_come_back_too() {
    let mut guest = Guest::of(&guest("", "string", 8));
    let later = guest
        .instance
        .get_typed_func::<(FutureReader<String>,), FutureReader<String>>(&mut guest.store, "later")
        .unwrap();
    let future = FutureReader::new(&mut guest.store, async { Ok("at last".to_string()) });
    let back = later.call(&mut guest.store, (future.unwrap(),)).unwrap();
    let mut back = back.read(&mut guest.store).unwrap();
    assert!(back.take_ready().is_none());
    guest.turns(3).unwrap();
    assert_eq!(back.take_ready().unwrap().unwrap(), "at last");
    guest.turns(3).unwrap();
    assert_eq!(guest.status(), 0);

    // The host does not want it.
    let future = FutureReader::new(&mut guest.store, async { Ok(String::new()) });
    drop(later.call(&mut guest.store, (future.unwrap(),)).unwrap());
    guest.turns(3).unwrap();
    assert_eq!(guest.status(), 1);

    // It fails.
    let future = async { Err::<String, _>(anyhow::anyhow!("never")) };
    let future = FutureReader::new(&mut guest.store, future).unwrap();
    let failed = later
        .call(&mut guest.store, (future,))
        .and_then(|_| guest.turns(3));
    assert!(format!("{:#}", failed.unwrap_err()).contains("never"));
}

#[test]
fn limits_hold_for_what_the_host_has() {
    let mut guest = Guest::of(&bytes());
    guest.store.set_limits(StoreLimits::default().with_ends(4));
    let held: Vec<StreamAny> = (0..4)
        .map(|_| {
            StreamReader::from_vec(&mut guest.store, vec![0u8])
                .unwrap()
                .into_any()
        })
        .collect();
    let error = StreamReader::from_vec(&mut guest.store, vec![0u8]).unwrap_err();
    assert_eq!(
        error.downcast_ref::<Trap>().unwrap().kind(),
        TrapCode::EndLimit
    );
    drop(held);
    // They are free again, as many times as one likes.
    for _ in 0..100 {
        let stream = StreamReader::from_vec(&mut guest.store, vec![1u8; 3]).unwrap();
        assert_eq!(guest.call("read-once", stream, 10).unwrap(), 3 << 4 | 1);
    }

    let limits = StoreLimits::default().with_value_bytes(1 << 16);
    guest.store.set_limits(limits);
    let all = guest.produce(4 << 20).collect(&mut guest.store).unwrap();
    let error = guest.finish(all).unwrap_err();
    assert!(format!("{error:#}").contains("64 KiB"), "{error:#}");

    let mut guest = Guest::of(&bytes());
    guest
        .store
        .set_limits(StoreLimits::default().with_host_futures(0));
    let stream = StreamReader::from_vec(&mut guest.store, vec![1u8; 3]).unwrap();
    assert!(guest.call("read-once", stream, 10).is_err());
}

/// Says how much room it is shown.
struct Room(Arc<AtomicU32>);

impl StreamProducer for Room {
    type Item = String;

    fn poll_produce(
        &mut self,
        _: &mut Context<'_>,
        window: &mut Window<'_, String>,
    ) -> Poll<anyhow::Result<Progress>> {
        assert!(window.as_uninit().is_none());
        self.0.store(window.remaining() as u32, Ordering::SeqCst);
        let _ = window.push("one".to_string());
        Poll::Ready(Ok(Progress::Over))
    }
}

#[test]
fn a_guest_does_not_say_what_the_host_allocates() {
    let mut guest = Guest::of(&guest("", "string", 8));
    let room = Arc::new(AtomicU32::new(0));
    let stream = StreamReader::new(&mut guest.store, Room(room.clone())).unwrap();
    assert_eq!(
        guest.call("read-once", stream, 500_000).unwrap(),
        1 << 4 | 1
    );
    assert!(room.load(Ordering::SeqCst) <= 4096);
}

#[test]
fn reads_and_writes_of_nothing_ask_whether_more_would_do() {
    let mut guest = Guest::of(&bytes());
    let stream = StreamReader::from_vec(&mut guest.store, vec![1u8]).unwrap();
    assert_eq!(guest.call("read-once", stream, 0).unwrap(), 0);
    let stream = StreamReader::<u8>::from_vec(&mut guest.store, Vec::new()).unwrap();
    assert_eq!(guest.call("read-once", stream, 0).unwrap(), 1);
    let all = guest.produce(0).collect(&mut guest.store).unwrap();
    assert!(guest.finish(all).unwrap().is_empty());
    assert_eq!(guest.status(), 0);
}

#[test]
fn what_fails_or_panics_ends_the_call() {
    struct Fails;
    impl StreamProducer for Fails {
        type Item = u8;
        fn poll_produce(
            &mut self,
            _: &mut Context<'_>,
            window: &mut Window<'_, u8>,
        ) -> Poll<anyhow::Result<Progress>> {
            match window.remaining() {
                1 => Poll::Ready(Err(anyhow::anyhow!("the disk is gone"))),
                2 => Poll::Ready(Ok(Progress::Open)),
                _ => panic!("as asked"),
            }
        }
    }
    for (count, expected) in [(1, "the disk is gone"), (2, "has moved nothing")] {
        let mut guest = Guest::of(&bytes());
        let stream = StreamReader::new(&mut guest.store, Fails).unwrap();
        let error = guest.call("read-once", stream, count).unwrap_err();
        assert!(format!("{error:#}").contains(expected), "{error:#}");
    }
    let mut guest = Guest::of(&bytes());
    let stream = StreamReader::new(&mut guest.store, Fails).unwrap();
    let call = std::panic::AssertUnwindSafe(|| guest.call("read-once", stream, 3));
    let panic = std::panic::catch_unwind(call).unwrap_err();
    assert_eq!(panic.downcast_ref::<&str>(), Some(&"as asked"));
}

#[test]
fn forwarded_streams_are_as_others() {
    let mut guest = Guest::of(&guest("", "string", 8));
    let items: Vec<String> = (0..50).map(|index| index.to_string()).collect();
    // From the host to a guest.
    let stream = StreamReader::from_vec(&mut guest.store, items.clone()).unwrap();
    let forwarded = guest.pass("forward", stream).unwrap();
    let back = guest.echo(forwarded, 7);
    // From a guest to the host.
    let forwarded = guest.pass("forward", back).unwrap();
    let all = forwarded.collect(&mut guest.store).unwrap();
    assert_eq!(guest.finish(all).unwrap(), items);
}

#[test]
fn what_the_host_writes_itself_it_can_read() {
    let mut guest = Guest::of(&bytes());
    let items: Vec<u8> = (0..100_000).map(|index| index as u8).collect();
    // Straight.
    let stream = StreamReader::from_vec(&mut guest.store, items.clone()).unwrap();
    let all = stream.collect(&mut guest.store).unwrap();
    assert_eq!(guest.finish(all).unwrap(), items);
    // Through a guest that gives it back, and through one that forwards it.
    for name in ["same", "forward"] {
        let stream = StreamReader::from_vec(&mut guest.store, items.clone()).unwrap();
        let back = guest.pass(name, stream).unwrap();
        let all = back.collect(&mut guest.store).unwrap();
        assert_eq!(guest.finish(all).unwrap(), items, "{name}");
    }
    // One that waits.
    let (producer, wake) = slow(6);
    let stream = StreamReader::new(&mut guest.store, producer).unwrap();
    let mut all = stream.collect(&mut guest.store).unwrap();
    let found = (0..100).find_map(|_| {
        wake();
        guest.turns(1).unwrap();
        all.take_ready()
    });
    assert_eq!(found.unwrap().unwrap(), [0, 1, 2, 3, 4, 5]);
    let value = FutureReader::new(&mut guest.store, async { Ok(3u8) }).unwrap();
    let mut value = value.read(&mut guest.store).unwrap();
    guest.turns(2).unwrap();
    assert_eq!(value.take_ready().unwrap().unwrap(), 3);
}

#[test]
fn the_host_relays_from_one_instance_to_another() {
    let component = guest("", "string", 8);
    let mut guest = Guest::of(&component);
    let other = Linker::new()
        .instantiate(&mut guest.store, &component)
        .unwrap();
    let items: Vec<String> = (0..5000).map(|index| index.to_string()).collect();
    let stream = StreamReader::from_vec(&mut guest.store, items.clone()).unwrap();
    let one = guest.echo(stream, 64);
    let relayed = one.relay(&mut guest.store).unwrap();
    let first = std::mem::replace(&mut guest.instance, other.clone());
    let back = guest.echo(relayed, 7);
    let mut back = back.collect(&mut guest.store).unwrap();
    let found = (0..10_000).find_map(|_| {
        // A call drives the tasks of its own instance.
        for instance in [&first, &other] {
            let turns = instance.get_typed_func::<(u32,), ()>(&mut guest.store, "turns");
            turns.unwrap().call(&mut guest.store, (2,)).unwrap();
        }
        back.take_ready()
    });
    assert_eq!(found.unwrap().unwrap(), items);

    // Without that it is refused.
    let stream = StreamReader::from_vec(&mut guest.store, items).unwrap();
    guest.instance = first;
    let one = guest.echo(stream, 64);
    guest.instance = other;
    let error = guest.call("read-once", one, 1).unwrap_err();
    assert!(
        format!("{error:#}").contains("of another instance"),
        "{error:#}"
    );
}
