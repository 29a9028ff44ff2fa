//! Tests: `wasi:keyvalue` as guests use it.

use super::bindings::wasi::keyvalue::atomics::{CasError, Host as _, HostCas};
use super::bindings::wasi::keyvalue::store::{Error, Host as _, HostBucket};
use super::{Bucket, KeyValue};
use crate::common::failure;
use crate::{WasiCtx, WasiCtxBuilder};
use trampette_runtime::Resource;

/// What a guest is told.
fn told<R, C>(result: Result<R, failure::Failure<C>>) -> Result<R, C> {
    result.map_err(|failure| match failure {
        failure::Failure::Code(code) => code,
        failure::Failure::Trap(error) => panic!("{error:?}"),
    })
}

fn good<R>(result: Result<R, failure::Failure<Error>>) -> R {
    told(result).unwrap_or_else(|error| panic!("{error:?}"))
}

/// The message of an error that is none of the others.
fn message<R>(result: Result<R, failure::Failure<Error>>) -> String {
    match told(result) {
        Err(Error::Other(message)) => message,
        Err(error) => panic!("{error:?}"),
        Ok(_) => panic!("it does not fail"),
    }
}

fn again<R: 'static>(resource: &Resource<R>) -> Resource<R> {
    Resource::new(resource.rep())
}

/// A guest with a store, and a bucket that it has opened.
fn guest(store: &KeyValue) -> (WasiCtx, Resource<Bucket>) {
    let mut wasi = WasiCtxBuilder::new().keyvalue(store.clone()).build();
    let bucket = good(wasi.open("b"));
    (wasi, bucket)
}

fn in_memory() -> KeyValue {
    KeyValue::in_memory(1 << 20).unwrap()
}

fn keys(wasi: &mut WasiCtx, bucket: &Resource<Bucket>, cursor: Option<&str>) -> Vec<String> {
    good(wasi.list_keys(again(bucket), cursor)).keys
}

#[test]
fn entries_are_set_found_and_deleted() {
    let (mut wasi, b) = guest(&in_memory());
    assert_eq!(good(HostBucket::get(&mut wasi, again(&b), "k")), None);
    assert!(!good(wasi.exists(again(&b), "k")));
    for value in [&b"one"[..], b"", b"\0\xff"] {
        good(HostBucket::set(&mut wasi, again(&b), "k", value));
        let found = good(HostBucket::get(&mut wasi, again(&b), "k"));
        assert_eq!(found.as_deref(), Some(value));
    }
    assert!(good(wasi.exists(again(&b), "k")));
    // Another bucket has keys of its own.
    let other = good(wasi.open("bb"));
    assert!(!good(wasi.exists(again(&other), "k")));
    good(HostBucket::set(&mut wasi, again(&other), "k2", b""));
    assert_eq!(keys(&mut wasi, &b, None), ["k"]);
    good(wasi.delete(again(&b), "k"));
    good(wasi.delete(again(&b), "k"));
    assert!(keys(&mut wasi, &b, None).is_empty());
    assert_eq!(keys(&mut wasi, &other, None), ["k2"]);
}

#[test]
fn keys_are_listed_in_pages() {
    let store = in_memory();
    let names: Vec<String> = (0..2500).map(|n| format!("{n:04}")).collect();
    let entries = names.iter().map(|name| (&name[..], &b""[..]));
    store.set_many("b", entries).unwrap();
    store.set("c", "0", b"").unwrap();
    let (mut wasi, b) = guest(&store);
    let (mut found, mut cursor) = (Vec::new(), None);
    let mut pages = 0;
    loop {
        let page = good(wasi.list_keys(again(&b), cursor.as_deref()));
        found.extend(page.keys);
        pages += 1;
        cursor = page.cursor;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!((found, pages), (names, 3));
    // A cursor of the guest's own is as good as any.
    assert_eq!(keys(&mut wasi, &b, Some("2498x")), ["2499"]);
}

#[test]
fn increments_are_decimal_and_whole() {
    let store = in_memory();
    let (mut wasi, b) = guest(&store);
    assert_eq!(good(wasi.increment(again(&b), "n", 5)), 5);
    assert_eq!(good(wasi.increment(again(&b), "n", -7)), -2);
    assert_eq!(store.get("b", "n").unwrap().unwrap(), b"-2");
    store
        .set("b", "n", i64::MAX.to_string().as_bytes())
        .unwrap();
    let error = message(wasi.increment(again(&b), "n", 1));
    assert!(error.contains("`n`"), "{error}");
    store.set("b", "n", b"many").unwrap();
    let error = message(wasi.increment(again(&b), "n", 1));
    assert!(error.contains("`n` is no decimal"), "{error}");
    assert_eq!(store.get("b", "n").unwrap().unwrap(), b"many");
}

/// Guests on several threads see one store, and lose nothing.
#[test]
fn increments_of_many_guests_add_up() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    // Each opens the file, as a process of its own would.
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let store = KeyValue::open(&path).unwrap();
                let (mut wasi, b) = guest(&store);
                for _ in 0..25 {
                    good(wasi.increment(again(&b), "n", 1));
                }
            });
        }
    });
    let store = KeyValue::open(&path).unwrap();
    assert_eq!(store.get("b", "n").unwrap().unwrap(), b"100");
}

#[test]
fn swaps_succeed_once() {
    let store = in_memory();
    let (mut wasi, b) = guest(&store);
    let first = good(HostCas::new(&mut wasi, again(&b), "k"));
    let second = good(HostCas::new(&mut wasi, again(&b), "k"));
    assert_eq!(good(wasi.current(again(&first))), None);
    assert!(told(wasi.swap(first, b"1")).is_ok());
    let newer = match told(wasi.swap(second, b"2")) {
        Err(CasError::CasFailed(newer)) => newer,
        Err(CasError::StoreError(error)) => panic!("{error:?}"),
        Ok(()) => panic!("the value is too old"),
    };
    let current = good(wasi.current(again(&newer)));
    assert_eq!(current.as_deref(), Some(&b"1"[..]));
    assert!(told(wasi.swap(newer, b"3")).is_ok());
    // What has the same value again is not the same.
    let old = good(HostCas::new(&mut wasi, again(&b), "k"));
    store.set("b", "k", b"4").unwrap();
    store.set("b", "k", b"3").unwrap();
    assert!(matches!(
        told(wasi.swap(old, b"5")),
        Err(CasError::CasFailed(_))
    ));
    assert_eq!(store.get("b", "k").unwrap().unwrap(), b"3");
}

#[test]
fn what_goes_beyond_a_limit_fails_and_leaves_nothing() {
    let store = KeyValue::in_memory(1000).unwrap();
    let (mut wasi, b) = guest(&store);
    let error = message(HostBucket::set(&mut wasi, again(&b), "large", &[0; 1000]));
    assert!(
        error.contains("`large`") && error.contains("1000"),
        "{error}"
    );
    // The first of them would fit.
    let entries = [("a", &[0; 100][..]), ("b", &[0; 2000][..])];
    assert!(store.set_many("b", entries.into_iter()).is_err());
    assert!(keys(&mut wasi, &b, None).is_empty());
    // What is overwritten or deleted is given back.
    for turn in 0..50 {
        good(HostBucket::set(&mut wasi, again(&b), "k", &[turn; 500]));
        good(HostBucket::set(&mut wasi, again(&b), "l", &[turn; 200]));
        good(wasi.delete(again(&b), "k"));
    }
    let long = "k".repeat(5000);
    for error in [
        message(HostBucket::set(&mut wasi, again(&b), &long, b"")),
        message(HostBucket::get(&mut wasi, again(&b), &long)),
        message(wasi.exists(again(&b), &long)),
        message(wasi.delete(again(&b), &long)),
        message(wasi.increment(again(&b), &long, 1)),
        message(wasi.list_keys(again(&b), Some(&long))),
        message(HostCas::new(&mut wasi, again(&b), &long)),
    ] {
        assert!(error.contains("5000"), "{error}");
    }
    let store = KeyValue::in_memory(u64::MAX).unwrap();
    let (mut wasi, b) = guest(&store);
    let large = vec![0; (16 << 20) + 1];
    let error = message(HostBucket::set(&mut wasi, again(&b), "large", &large));
    assert!(error.contains("`large`"), "{error}");
    // Values of 16 MiB: five of them are more than one call gives.
    let names = ["1", "2", "3", "4", "5"];
    for name in names {
        store.set("b", name, &large[1..]).unwrap();
    }
    let error = store.get_many("b", names.into_iter()).unwrap_err();
    assert!(error.to_string().contains("one call"), "{error}");
    assert!(store.get_many("b", names.into_iter().take(3)).is_ok());
    // Nor are they kept by swaps.
    let mut open = Vec::new();
    let error = loop {
        match told(HostCas::new(&mut wasi, again(&b), "1")) {
            Ok(cas) => open.push(cas),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, Error::Other(text) if text.contains("`1`")));
    assert_eq!(open.len(), 3);
    HostCas::drop(&mut wasi, open.remove(0)).unwrap();
    good(HostCas::new(&mut wasi, again(&b), "1"));
}

#[test]
fn open_buckets_are_counted() {
    for (limit, most) in [(None, 1000), (Some(3), 3), (Some(0), 0)] {
        let mut builder = WasiCtxBuilder::new();
        if let Some(limit) = limit {
            builder = builder.max_keyvalue_handles(limit);
        }
        // In whichever order they are set.
        let mut wasi = builder.keyvalue(in_memory()).build();
        let mut all = Vec::new();
        let error = loop {
            match told(wasi.open("b")) {
                Ok(bucket) => all.push(bucket),
                Err(error) => break error,
            }
        };
        assert!(matches!(error, Error::Other(text) if text.contains("too many")));
        assert_eq!(all.len(), most);
        let Some(last) = all.pop() else { continue };
        HostBucket::drop(&mut wasi, last).unwrap();
        // Swaps count too.
        if let Some(bucket) = all.first() {
            let cas = good(HostCas::new(&mut wasi, again(bucket), "k"));
            assert!(told(wasi.open("b")).is_err());
            HostCas::drop(&mut wasi, cas).unwrap();
        }
        good(wasi.open("b"));
    }
}

#[test]
fn buckets_are_those_that_there_are() {
    let no_such = |result| matches!(told(result), Err(Error::NoSuchStore));
    let mut wasi = WasiCtxBuilder::new().build();
    assert!(no_such(wasi.open("")));
    let store = in_memory().only_buckets(["b"]);
    let (mut wasi, _) = guest(&store);
    assert!(no_such(wasi.open("")) && no_such(wasi.open("c")));
    let (mut wasi, _) = guest(&in_memory());
    good(wasi.open(""));
    assert!(no_such(wasi.open(&"b".repeat(5000))));
}

#[test]
fn files_stay_and_are_not_mistaken() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let store = KeyValue::open(&path).unwrap();
    store.set("b", "k", b"v").unwrap();
    let beside = KeyValue::open(&path).unwrap();
    assert_eq!(beside.get("b", "k").unwrap().unwrap(), b"v");
    beside.set("b", "k", b"w").unwrap();
    assert_eq!(store.get("b", "k").unwrap().unwrap(), b"w");
    drop((store, beside));
    let store = KeyValue::open(&path).unwrap();
    assert_eq!(store.get("b", "k").unwrap().unwrap(), b"w");
    let text = folder.path().join("text");
    std::fs::write(&text, "something else\n".repeat(1000)).unwrap();
    for other in [&text, folder.path(), &folder.path().join("no/such")] {
        let error = format!("{:#}", KeyValue::open(other).unwrap_err());
        assert!(error.contains(other.to_str().unwrap()), "{error}");
    }
    assert!(
        std::fs::read_to_string(&text)
            .unwrap()
            .starts_with("something else")
    );
}
