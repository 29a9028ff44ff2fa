//! Host functions that go on while guests do: ready and pending ones, how they end, fail and are
//! stopped, and what drives them.

#[path = "support/clock.rs"]
mod clock;
#[path = "support/host_work.rs"]
mod host_work;
#[path = "support/stops.rs"]
mod stops;

use anyhow::bail;
use clock::PROMPT;
use host_work::{Guest, Seen, Turns, Work, block_on, both, code, component, linker, silently};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use stops::WAYS;
use trampette_runtime::{Store, StoreLimits, TrapCode, Val};

/// The exports that call `work` once and return what it said.
const CALLERS: [&str; 5] = ["waits", "starts", "parks", "blocks", "yields"];

#[test]
fn results_come_at_once_or_later() {
    for work in [Work::Ready, Work::Turns(1), Work::Turns(5), Work::Thread] {
        for name in CALLERS {
            let mut guest = Guest::new(work);
            for x in 1..4 {
                assert_eq!(guest.call(name, x).unwrap(), 3 * x, "{name}, {work:?}");
            }
            assert_eq!(guest.seen.live(), 0, "{name}, {work:?}");
            assert_eq!(*guest.store.data(), 3);
        }
        let mut guest = Guest::new(work);
        assert_eq!(guest.call("waits-twice", 7).unwrap(), 42);
        assert_eq!(
            guest.call("many", 100).unwrap(),
            3 * 99 * 100 / 2,
            "{work:?}"
        );
        assert_eq!(guest.seen.live(), 0);
        // The host's function exported again.
        assert_eq!(guest.call("work", 5).unwrap(), 15);
        assert_eq!(guest.seen.live(), 0);
    }
}

#[test]
fn strings_are_lowered_later() {
    for name in ["text", "text-waits"] {
        let Guest {
            mut store,
            instance,
            ..
        } = Guest::new(Work::Ready);
        let func = instance
            .get_typed_func::<(String,), String>(&mut store, name)
            .unwrap();
        for text in ["", "a", "grüße"] {
            let upper = func.call(&mut store, (text.to_string(),)).unwrap();
            assert_eq!(upper, text.to_uppercase());
        }
    }
}

#[test]
fn cancelled_futures_are_dropped() {
    for work in [Work::Waits, Work::Turns(3)] {
        let mut guest = Guest::new(work);
        // CANCELLED_BEFORE_RETURNED.
        assert_eq!(guest.call("cancels", 1).unwrap(), 4, "{work:?}");
        assert_eq!(guest.seen.live(), 0, "{work:?}");
        assert_eq!(guest.call("ready", 3).unwrap(), 3);
    }
}

#[test]
fn errors_and_panics_end_the_instance_that_waits() {
    for turns in 0..3 {
        for name in CALLERS {
            let mut guest = Guest::new(Work::Fails(turns));
            let error = guest.call(name, 1).unwrap_err();
            let text = format!("{error:#}");
            assert!(
                text.contains("import function `work`") && text.ends_with("no"),
                "{name}: {text}"
            );
            assert_eq!(
                code(&guest.call(name, 1).unwrap_err()),
                TrapCode::CannotEnter
            );
            assert_eq!(guest.seen.live(), 0, "{name}, {turns}");

            let mut guest = Guest::new(Work::Panics(turns));
            let panic = silently(|| catch_unwind(AssertUnwindSafe(|| guest.call(name, 1))));
            let panic = panic.unwrap_err();
            assert_eq!(
                panic.downcast_ref::<&str>(),
                Some(&"as asked"),
                "{name}, {turns}"
            );
            assert_eq!(
                code(&guest.call(name, 1).unwrap_err()),
                TrapCode::CannotEnter
            );
            assert_eq!(guest.seen.live(), 0, "{name}, {turns}");
        }
        for work in [Work::Fails(turns), Work::Panics(turns)] {
            // Exported again, it is nobody's.
            let mut guest = Guest::new(work);
            let failed = silently(|| catch_unwind(AssertUnwindSafe(|| guest.call("work", 1))));
            assert!(failed.is_err() || failed.unwrap().is_err());
            assert_eq!(guest.seen.live(), 0);
        }
    }
}

#[test]
fn panics_in_drops_are_traps_of_who_cancels() {
    let mut guest = Guest::new(Work::PanicsInDrop);
    let panic = silently(|| catch_unwind(AssertUnwindSafe(|| guest.call("cancels", 1))));
    assert_eq!(panic.unwrap_err().downcast_ref::<&str>(), Some(&"in drop"));
    assert_eq!(
        code(&guest.call("ready", 1).unwrap_err()),
        TrapCode::CannotEnter
    );
    // When the instance traps, or the store is dropped, too.
    let mut guest = Guest::new(Work::PanicsInDrop);
    let panic = silently(|| catch_unwind(AssertUnwindSafe(|| guest.call("traps", 1))));
    assert_eq!(panic.unwrap_err().downcast_ref::<&str>(), Some(&"in drop"));
    let mut guest = Guest::new(Work::PanicsInDrop);
    assert_eq!(guest.call("leaves", 1).unwrap(), 1);
    let seen = guest.seen.clone();
    assert_eq!(seen.live(), 1);
    silently(|| drop(guest));
    assert_eq!(seen.live(), 0);
}

#[test]
fn traps_and_stores_take_their_futures_along() {
    let mut guest = Guest::new(Work::Waits);
    assert_eq!(guest.call("leaves", 1).unwrap(), 1);
    let error = guest.call("traps", 1).unwrap_err();
    assert_eq!(code(&error), TrapCode::Unreachable);
    assert_eq!(
        (guest.seen.live(), guest.seen.started.load(Ordering::SeqCst)),
        (0, 2)
    );
    // Wakes after that do nothing.
    guest.seen.open();

    let mut guest = Guest::new(Work::Waits);
    assert_eq!(guest.call("leaves", 1).unwrap(), 1);
    let seen = guest.seen.clone();
    drop(guest);
    assert_eq!(seen.live(), 0);
    seen.open();
}

#[test]
fn what_is_left_over_goes_on_in_the_next_call() {
    let mut guest = Guest::new(Work::Turns(1));
    assert_eq!(guest.call("leaves", 1).unwrap(), 1);
    assert_eq!(guest.seen.live(), 1);
    assert_eq!(guest.call("starts", 2).unwrap(), 6);
    assert_eq!(guest.seen.live(), 0);
}

#[test]
fn waits_for_the_host_are_stopped() {
    for name in CALLERS.into_iter().chain(["work"]) {
        for by in WAYS {
            let mut guest = Guest::new(Work::Waits);
            let func = guest.func(name);
            let watch = by.stop(&mut guest.store, Duration::from_millis(20));
            let error = func.call(&mut guest.store, (1,)).unwrap_err();
            let took = watch.stopped();
            assert_eq!(code(&error), by.code(), "{name}, {by:?}: {error:?}");
            assert!(took < PROMPT, "{name}, {by:?}: {took:?}");
            assert_eq!(guest.seen.live(), 0, "{name}, {by:?}");
        }
    }
}

#[test]
fn deadlocks_are_told_from_waits() {
    // Something of the host's goes on, but ends without helping.
    let mut guest = Guest::new(Work::Thread);
    assert_eq!(guest.call("leaves", 1).unwrap(), 1);
    let error = guest.call("stuck", 1).unwrap_err();
    assert_eq!(code(&error), TrapCode::Deadlock, "{error:?}");
    assert_eq!(guest.seen.live(), 0);
    assert_eq!(guest.call("starts", 1).unwrap(), 3);
}

#[test]
fn synchronous_calls_cannot_wait_for_the_host() {
    for (work, works) in [(Work::Ready, true), (Work::Turns(1), false)] {
        let mut guest = Guest::new(work);
        match guest.call("plain", 2) {
            Ok(result) => assert!(works && result == 6),
            Err(error) => {
                assert!(!works);
                assert_eq!(code(&error), TrapCode::CannotBlock, "{error:?}");
            }
        }
        assert_eq!(guest.seen.live(), 0);
    }
}

#[test]
fn limits_have_clear_errors() {
    let limits = StoreLimits::default().with_host_futures(10);
    let mut guest = Guest::with_limits(Work::Turns(2), limits);
    assert_eq!(guest.call("many", 10).unwrap(), 3 * 9 * 10 / 2);
    let error = guest.call("many", 11).unwrap_err();
    let text = format!("{error:#}");
    let expected = "a host function has to wait, and 10 host futures do already";
    assert!(text.contains(expected), "{text}");
    assert_eq!(guest.seen.live(), 0);

    let limits = StoreLimits::default().with_host_future_bytes(1000);
    let mut guest = Guest::with_limits(Work::Turns(2), limits);
    let error = guest.call("many", 100).unwrap_err();
    let text = format!("{error:#}");
    let expected = "a host function has to wait, and those that do would take more than 1000 bytes";
    assert!(text.contains(expected), "{text}");
    assert_eq!(guest.seen.live(), 0);
}

#[test]
fn functions_of_any_type_give_values() {
    let seen = Arc::new(Seen::default());
    let mut linker = linker(Work::Ready, &seen);
    linker.allow_shadowing(true);
    let mut root = linker.root();
    root.func_new_async("work", |_, args| {
        let args = args.to_vec();
        async move {
            Turns(1).await;
            match args[..] {
                [Val::U32(0)] => Ok(None),
                [Val::U32(x)] => Ok(Some(Val::U32(x + 1))),
                _ => bail!("other arguments"),
            }
        }
    })
    .unwrap();
    for name in CALLERS {
        let mut store = Store::new(0);
        let instance = linker.instantiate(&mut store, &component()).unwrap();
        let func = instance.get_func(&mut store, name).unwrap();
        assert_eq!(
            func.call(&mut store, &[Val::U32(7)]).unwrap(),
            [Val::U32(8)],
            "{name}"
        );
        if name != "yields" {
            let error = func.call(&mut store, &[Val::U32(0)]).unwrap_err();
            let text = format!("{error:#}");
            assert!(
                text.contains("the function gave no result"),
                "{name}: {text}"
            );
        }
    }
}

fn assert_send<F: Send>(future: F) -> F {
    future
}

#[test]
fn calls_are_awaited() {
    for work in [Work::Ready, Work::Turns(3), Work::Thread] {
        for name in CALLERS.into_iter().chain(["plain"]) {
            if name == "plain" && work != Work::Ready {
                continue;
            }
            let mut guest = Guest::new(work);
            let func = guest.func(name);
            for x in 1..4 {
                let call = assert_send(func.call_async(&mut guest.store, (x,)));
                assert_eq!(block_on(call).unwrap(), 3 * x, "{name}, {work:?}");
            }
            let any = guest.instance.get_func(&mut guest.store, name).unwrap();
            let call = assert_send(any.call_async(&mut guest.store, &[Val::U32(5)]));
            assert_eq!(
                block_on(call).unwrap(),
                Some(Val::U32(15)),
                "{name}, {work:?}"
            );
            assert_eq!(guest.seen.live(), 0);
        }
    }
}

#[test]
fn awaited_calls_end_as_others() {
    let mut guest = Guest::new(Work::Fails(2));
    let func = guest.func("starts");
    let error = block_on(func.call_async(&mut guest.store, (1,))).unwrap_err();
    assert!(format!("{error:#}").ends_with("no"), "{error:#}");
    let error = block_on(func.call_async(&mut guest.store, (1,))).unwrap_err();
    assert_eq!(code(&error), TrapCode::CannotEnter);

    let mut guest = Guest::new(Work::Panics(2));
    let func = guest.func("starts");
    let call = func.call_async(&mut guest.store, (1,));
    assert!(silently(|| catch_unwind(AssertUnwindSafe(|| block_on(call)))).is_err());

    let mut guest = Guest::new(Work::Ready);
    let func = guest.func("stuck");
    let error = block_on(func.call_async(&mut guest.store, (1,))).unwrap_err();
    assert_eq!(code(&error), TrapCode::Deadlock);
    assert_eq!(guest.call("starts", 1).unwrap(), 3);
    for by in WAYS {
        let mut guest = Guest::new(Work::Waits);
        let func = guest.func("starts");
        let watch = by.stop(&mut guest.store, Duration::from_millis(20));
        let error = block_on(func.call_async(&mut guest.store, (1,))).unwrap_err();
        let took = watch.stopped();
        assert_eq!(code(&error), by.code(), "{by:?}");
        assert!(took < PROMPT, "{by:?}: {took:?}");
    }
}

/// A call's future is dropped before its n-th poll, for all n.
#[test]
fn calls_are_dropped_midway() {
    for name in ["waits", "starts", "parks", "blocks", "many"] {
        for work in [Work::Turns(2), Work::Thread, Work::Waits] {
            for polls in 0..6 {
                let mut guest = Guest::new(work);
                let func = guest.func(name);
                {
                    let mut call = std::pin::pin!(func.call_async(&mut guest.store, (4,)));
                    let mut cx = Context::from_waker(Waker::noop());
                    for _ in 0..polls {
                        if call.as_mut().poll(&mut cx).is_ready() {
                            break;
                        }
                    }
                }
                // The store can be used, and nothing is lost.
                guest.seen.open();
                let echo = guest.func("ready");
                let answer = block_on(echo.call_async(&mut guest.store, (2,))).unwrap();
                assert_eq!(answer, 2, "{name}, {work:?}, {polls}");
                let seen = guest.seen.clone();
                drop(guest);
                assert_eq!(seen.live(), 0, "{name}, {work:?}, {polls}");
            }
        }
    }
}

#[test]
fn a_call_that_is_dropped_is_cancelled_when_the_store_is_driven() {
    let mut guest = Guest::new(Work::Waits);
    let func = guest.func("parks");
    {
        let mut call = std::pin::pin!(func.call_async(&mut guest.store, (4,)));
        let mut cx = Context::from_waker(Waker::noop());
        assert!(call.as_mut().poll(&mut cx).is_pending());
    }
    assert_eq!(guest.seen.live(), 1);
    // Its callback answers with `task.cancel`. The subtask goes on until the store is dropped.
    let ready = guest.func("ready");
    assert_eq!(
        block_on(ready.call_async(&mut guest.store, (2,))).unwrap(),
        2
    );
    guest.seen.open();
    assert_eq!(
        block_on(func.call_async(&mut guest.store, (4,))).unwrap(),
        12
    );
}

#[test]
fn many_calls_go_on_at_once() {
    let mut guest = Guest::new(Work::Thread);
    let (starts, parks) = (guest.func("parks"), guest.func("starts"));
    let run = assert_send(guest.store.run_concurrent(async |cx| {
        let (a, b) = both(
            starts.call_concurrent(cx, (1,)),
            both(
                parks.call_concurrent(cx, (2,)),
                starts.call_concurrent(cx, (3,)),
            ),
        )
        .await;
        let data = cx.with(|caller| *caller.data()).unwrap();
        (a.unwrap(), b.0.unwrap(), b.1.unwrap(), data)
    }));
    // All three write to the same place in the guest's memory: the last result wins.
    let (_, _, _, data) = block_on(run).unwrap();
    assert_eq!(data, 3);
    assert_eq!(guest.seen.live(), 0);
}

#[test]
fn host_functions_call_guests_that_they_wait_for() {
    let seen = Arc::new(Seen::default());
    let mut store = Store::new(0);
    let inner = linker(Work::Turns(2), &seen)
        .instantiate(&mut store, &component())
        .unwrap();
    let ask = inner
        .get_typed_func::<(u32,), u32>(&mut store, "starts")
        .unwrap();
    let plain = inner
        .get_typed_func::<(u32,), u32>(&mut store, "ready")
        .unwrap();
    let mut outer = linker(Work::Ready, &seen);
    outer.allow_shadowing(true);
    outer
        .root()
        .func_wrap_async::<(u32,), u32, _, _>("work", move |caller, (x,)| {
            let cx = caller.accessor();
            async move {
                // In the first poll a guest is on the stack, which does not keep others from
                // being called later.
                let answer = ask.call_concurrent(cx, (x,)).await?;
                let refused = cx.with(|mut caller| {
                    *caller.data_mut() += 1;
                    plain.call(&mut caller, (1,)).unwrap_err().to_string()
                })?;
                assert!(refused.contains("call_concurrent"), "{refused}");
                cx.spawn(async move {
                    Turns(1).await;
                    cx.with(|mut caller| *caller.data_mut() += 10).unwrap();
                })?;
                Ok(answer + 1)
            }
        })
        .unwrap();
    let outer = outer.instantiate(&mut store, &component()).unwrap();
    let func = outer
        .get_typed_func::<(u32,), u32>(&mut store, "starts")
        .unwrap();
    let answer = block_on(func.call_async(&mut store, (5,))).unwrap();
    assert_eq!(answer, 16);
    block_on(store.run_concurrent(async |_| Turns(3).await)).unwrap();
    assert_eq!(*store.data(), 12);
}

#[test]
fn accessors_are_refused_where_they_may_not_be_used() {
    let mut store = Store::new(1);
    let cx = store.accessor();
    let outside = cx.with(|caller| *caller.data()).unwrap_err().to_string();
    assert!(outside.contains("does not poll a future"), "{outside}");
    block_on(store.run_concurrent(async |cx| {
        let inside = cx
            .with(|_| cx.with(|_| ()).unwrap_err().to_string())
            .unwrap();
        assert!(inside.contains("inside of another use"), "{inside}");
        assert_eq!(cx.with(|caller| *caller.data()).unwrap(), 1);
        // Other threads have no token.
        let elsewhere = std::thread::spawn(move || cx.with(|_| ()).is_err());
        assert!(elsewhere.join().unwrap());
    }))
    .unwrap();
    // A host function has its `Caller`.
    let seen = Arc::new(Seen::default());
    let mut linker = linker(Work::Ready, &seen);
    linker.allow_shadowing(true);
    linker
        .root()
        .func_wrap_async::<(u32,), u32, _, _>("work", |caller, (x,)| {
            let cx = caller.accessor();
            assert!(cx.with(|_| ()).is_err());
            async move { cx.with(|caller| *caller.data() + x) }
        })
        .unwrap();
    let instance = linker.instantiate(&mut store, &component()).unwrap();
    let func = instance
        .get_typed_func::<(u32,), u32>(&mut store, "starts")
        .unwrap();
    assert_eq!(func.call(&mut store, (4,)).unwrap(), 5);
    assert_eq!(block_on(func.call_async(&mut store, (4,))).unwrap(), 5);
}

#[test]
fn stores_move_between_threads_between_polls() {
    let mut guest = Guest::new(Work::Turns(20));
    let func = guest.func("waits-twice");
    let Guest {
        mut store, seen, ..
    } = guest;
    let result = {
        let mut call = Box::pin(func.call_async(&mut store, (7,)));
        loop {
            let poll = || call.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            let polled = std::thread::scope(|scope| scope.spawn(poll).join().unwrap());
            if let Poll::Ready(result) = polled {
                break result;
            }
        }
    };
    assert_eq!(result.unwrap(), 42);
    assert_eq!(seen.live(), 0);
}

#[test]
fn ten_thousand_futures_in_one_store() {
    let mut guest = Guest::new(Work::Waits);
    let func = guest.func("many");
    let seen = guest.seen.clone();
    let opener = std::thread::spawn(move || {
        while seen.started.load(Ordering::SeqCst) < 10_000 {
            std::thread::yield_now();
        }
        seen.open();
    });
    let sum = block_on(func.call_async(&mut guest.store, (10_000,))).unwrap();
    opener.join().unwrap();
    assert_eq!(sum, 3 * (9_999 * 10_000 / 2));
    assert_eq!(guest.seen.live(), 0);
}
