//! Streams that the host's own code reads or writes one element after the other: `StreamItems`,
//! `StreamWriter`.

#[path = "support/block_on.rs"]
mod block_on;
#[path = "support/stream_guest.rs"]
#[allow(dead_code)]
mod stream_guest;

use block_on::block_on;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, Waker};
use stream_guest::{Guest, bytes, guest};
use trampette_runtime::{StreamItems, StreamReader, StreamWriter, TypedFunc};

/// What is ready at once.
fn now<R>(future: impl Future<Output = R>) -> Option<R> {
    let mut cx = Context::from_waker(Waker::noop());
    match pin!(future).poll(&mut cx) {
        Poll::Ready(value) => Some(value),
        Poll::Pending => None,
    }
}

fn strings() -> trampette_runtime::Component {
    guest("", "string", 8)
}

#[test]
fn elements_are_read_one_after_the_other() {
    let component = strings();
    for count in [0u32, 1, 5, 3000] {
        for chunk in [1, 3, 64] {
            let mut guest = Guest::of(&component);
            let text = |number: u32| format!("{number}").repeat(1 + number as usize % 7);
            let stream = StreamReader::from_iter(&mut guest.store, (0..count).map(text)).unwrap();
            let mut items = guest.echo(stream, chunk).items(&mut guest.store).unwrap();
            let read = guest.store.run_concurrent(async |_| {
                let mut read = 0;
                while let Some(item) = items.next().await? {
                    assert_eq!(item, text(read));
                    read += 1;
                }
                // It stays at its end.
                assert!(items.next().await?.is_none());
                anyhow::Ok(read)
            });
            assert_eq!(
                block_on(read).unwrap().unwrap(),
                count,
                "in parts of {chunk}"
            );
        }
    }
}

#[test]
fn a_guest_waits_while_the_host_does_not_read() {
    const LENGTH: usize = 60_000;
    let mut guest = Guest::of(&strings());
    let given = Arc::new(AtomicU32::new(0));
    let counter = given.clone();
    let give = move |number: u32| {
        counter.fetch_add(1, Ordering::SeqCst);
        format!("{number:>LENGTH$}")
    };
    let stream = StreamReader::from_iter(&mut guest.store, (0..40).map(give)).unwrap();
    let mut items: StreamItems<String> = guest.echo(stream, 1).items(&mut guest.store).unwrap();
    guest.turns(1000).unwrap();
    // What the host holds does not depend on how small elements look that are large.
    let held = given.load(Ordering::SeqCst);
    assert!((1..=5).contains(&held), "{held} of 40 elements");
    let first = now(items.next()).unwrap().unwrap().unwrap();
    assert_eq!(first, format!("{:>LENGTH$}", 0));
    drop(items);
    // Nobody reads any more: the guest is told.
    guest.turns(100).unwrap();
    assert!(given.load(Ordering::SeqCst) < 10);
}

#[test]
fn streams_that_are_lost_are_no_streams_that_have_ended() {
    let mut guest = Guest::of(&bytes());
    let stream = StreamReader::from_vec(&mut guest.store, vec![1u8, 2]).unwrap();
    // The guest's task traps when it goes on.
    let mut items = guest
        .pass("lose", stream)
        .unwrap()
        .items(&mut guest.store)
        .unwrap();
    assert!(now(items.next()).is_none());
    guest.turns(3).unwrap_err();
    let error = now(items.next()).unwrap().unwrap_err().to_string();
    assert!(error.contains("was lost with who writes it"), "{error}");
}

#[test]
fn elements_are_written_one_after_the_other() {
    let component = guest("", "u32", 4);
    for count in [0u32, 1, 100, 50_000] {
        let mut guest = Guest::of(&component);
        let (mut writer, reader): (StreamWriter<u32>, _) =
            StreamReader::channel(&mut guest.store).unwrap();
        let mut items = guest.echo(reader, 64).items(&mut guest.store).unwrap();
        let both = guest.store.run_concurrent(async |cx| {
            cx.spawn(async move {
                for number in 0..count {
                    writer.write(number).await.unwrap();
                }
            })?;
            let mut sum = 0u64;
            while let Some(number) = items.next().await? {
                sum += u64::from(number);
            }
            anyhow::Ok(sum)
        });
        let expected: u64 = (0..u64::from(count)).sum();
        assert_eq!(block_on(both).unwrap().unwrap(), expected);
    }
}

#[test]
fn other_threads_write_and_are_told_when_nobody_reads() {
    let mut guest = Guest::of(&bytes());
    let (mut writer, reader): (StreamWriter<u8>, _) =
        StreamReader::channel(&mut guest.store).unwrap();
    let read_once: TypedFunc<(StreamReader<u8>, u32), u32> = guest
        .instance
        .get_typed_func(&mut guest.store, "read-once")
        .unwrap();
    let writes = std::thread::spawn(move || {
        std::thread::sleep(std::time::Duration::from_millis(5));
        block_on(async move {
            let mut written = 0u64;
            // It is full before the guest has read all, and closed after that.
            while writer.write(7).await.is_ok() {
                written += 1;
            }
            written
        })
    });
    // One byte at least, which waits for the thread; then the guest drops its end.
    let status = read_once.call(&mut guest.store, (reader, 10)).unwrap();
    assert!(status >> 4 >= 1 && status >> 4 <= 10, "{status:#x}");
    guest.turns(3).unwrap();
    drop(guest);
    let written = writes.join().unwrap();
    assert!((1..=70_000).contains(&written), "{written}");
}
