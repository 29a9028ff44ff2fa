//! Functions that are not `async`, and wait for futures of the host's: with their stack if the call
//! is awaited, and otherwise on the thread.

#[path = "support/clock.rs"]
mod clock;
#[allow(dead_code)]
#[path = "support/host_work.rs"]
mod host_work;
#[path = "support/stops.rs"]
mod stops;

use clock::PROMPT;
use host_work::{Seen, Work, block_on, code, compiled, linker, silently};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, LazyLock};
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use stops::WAYS;
use trampette_runtime::testing::{InUse, in_use};
use trampette_runtime::{
    AsContext, AsContextMut, Caller, Component, Instance, Linker, Store, StoreInner, StoreLimits,
    TrapCode, TypedFunc, Val,
};

static COMPONENT: LazyLock<Component> = LazyLock::new(|| compiled("patient"));

struct Guest {
    store: Store<u32>,
    instance: Instance,
    seen: Arc<Seen>,
}

impl Guest {
    fn new(work: Work) -> Guest {
        let seen = Arc::new(Seen::default());
        let mut store = Store::new(0);
        let linker = linker(work, &seen);
        let instance = linker.instantiate(&mut store, &COMPONENT).unwrap();
        Guest {
            store,
            instance,
            seen,
        }
    }

    fn func(&mut self, name: &str) -> TypedFunc<(u32,), u32> {
        self.instance.get_typed_func(&mut self.store, name).unwrap()
    }

    /// An awaited call that has begun, and waits.
    fn begun(&mut self, name: &str, x: u32) -> Pin<Box<impl Future<Output = anyhow::Result<u32>>>> {
        let func = self.func(name);
        let mut call = Box::pin(func.call_async(&mut self.store, (x,)));
        assert!(once(call.as_mut()).is_pending(), "{name}");
        call
    }

    /// Makes an awaited call.
    fn call(&mut self, name: &str, x: u32) -> anyhow::Result<u32> {
        let func = self.func(name);
        block_on(func.call_async(&mut self.store, (x,)))
    }

    /// It can have another instance; that which there was has ended, and nothing is left of it.
    fn has_ended(&mut self, what: &str) {
        assert_eq!(self.seen.live(), 0, "{what}");
        assert_eq!(in_use(&self.store), InUse::default(), "{what}");
        let error = self.call("waits", 1).unwrap_err();
        assert_eq!(code(&error), TrapCode::CannotEnter, "{what}");
        let linker = linker(Work::Turns(1), &self.seen);
        self.instance = linker.instantiate(&mut self.store, &COMPONENT).unwrap();
        self.store.set_deadline(None).unwrap();
        assert_eq!(self.call("waits", 2).unwrap(), 6, "{what}");
    }
}

fn once<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

fn assert_send<F: Send>(future: F) -> F {
    future
}

#[test]
fn results_come_later() {
    let expected = [("waits", 21), ("between", 21), ("twice", 63), ("deep", 10)];
    for work in [Work::Ready, Work::Turns(1), Work::Turns(5), Work::Thread] {
        let mut guest = Guest::new(work);
        for (name, result) in expected.into_iter().chain([("grows", 21)]) {
            for _ in 0..3 {
                assert_eq!(guest.call(name, 7).unwrap(), result, "{name}, {work:?}");
            }
            let any = guest.instance.get_func(&mut guest.store, name).unwrap();
            let call = assert_send(any.call_async(&mut guest.store, &[Val::U32(7)]));
            let value = block_on(call).unwrap();
            assert_eq!(value, Some(Val::U32(result)), "{name}, {work:?}");
            // On the thread.
            let func = guest.func(name);
            let value = func.call(&mut guest.store, (7,)).unwrap();
            assert_eq!(value, result, "{name}, {work:?}");
        }
        // The host's function exported again.
        assert_eq!(guest.call("work", 5).unwrap(), 15);
        assert_eq!(guest.seen.live(), 0);
        assert_eq!(in_use(&guest.store), InUse::default());
    }
}

#[test]
fn strings_come_later() {
    let mut guest = Guest::new(Work::Ready);
    let func = guest
        .instance
        .get_typed_func::<(String,), String>(&mut guest.store, "text")
        .unwrap();
    for text in ["", "a", "grüße", &"long ".repeat(10_000)] {
        let call = assert_send(func.call_async(&mut guest.store, (text.to_string(),)));
        assert_eq!(block_on(call).unwrap(), text.to_uppercase());
        assert_eq!(in_use(&guest.store), InUse::default());
    }
    // Each result was given back once.
    assert_eq!(guest.call("ended", 0).unwrap(), 4);
}

/// Only stacks are searched for references to exceptions: wherever the activation is, and whichever
/// thread goes on with the call.
#[test]
fn exceptions_are_found_on_stacks_that_have_waited() {
    let mut guest = Guest::new(Work::Waits);
    let seen = guest.seen.clone();
    let mut call = guest.begun("throws", 7);
    seen.open();
    std::thread::scope(|threads| {
        // A stack for which there is room only below whatever this thread has allocated.
        let large = std::thread::Builder::new().stack_size(1 << 30);
        let result = large.spawn_scoped(threads, || once(call.as_mut()).map(Result::unwrap));
        assert_eq!(result.unwrap().join().unwrap(), Poll::Ready(21));
    });
    drop(call);
    for _ in 0..3 {
        assert_eq!(guest.call("throws", 3).unwrap(), 9);
    }
    let func = guest.func("throws");
    assert_eq!(func.call(&mut guest.store, (4,)).unwrap(), 12);
}

/// No thread is in the call while it waits, and any may go on with it.
#[test]
fn calls_go_on_wherever_they_are_polled() {
    let mut guest = Guest::new(Work::Waits);
    let seen = guest.seen.clone();
    let mut call = guest.begun("between", 2);
    assert!(once(call.as_mut()).is_pending());
    assert_eq!(seen.live(), 1);
    std::thread::scope(|threads| {
        let call = threads.spawn(|| {
            assert!(once(call.as_mut()).is_pending());
            call
        });
        let mut call = call.join().unwrap();
        seen.open();
        let last = threads.spawn(move || match once(call.as_mut()) {
            Poll::Ready(result) => result.unwrap(),
            Poll::Pending => panic!("it is done"),
        });
        assert_eq!(last.join().unwrap(), 6);
    });
    assert_eq!(seen.live(), 0);
    // Many at once, each in a store of its own.
    let mut guests: Vec<_> = (0..100).map(|_| Guest::new(Work::Waits)).collect();
    let seens: Vec<_> = guests.iter().map(|guest| guest.seen.clone()).collect();
    let calls = guests.iter_mut().map(|guest| guest.begun("deep", 100));
    let mut calls: Vec<_> = calls.collect();
    assert!(
        calls
            .iter_mut()
            .all(|call| once(call.as_mut()).is_pending())
    );
    seens.iter().for_each(|seen| seen.open());
    for call in &mut calls {
        let result = once(call.as_mut()).map(Result::unwrap);
        assert_eq!(result, Poll::Ready(103));
    }
}

#[test]
fn futures_that_fail_end_the_instance() {
    for turns in 0..3 {
        for name in ["waits", "between", "twice", "deep"] {
            let mut guest = Guest::new(Work::Fails(turns));
            let error = guest.call(name, 1).unwrap_err();
            let text = format!("{error:#}");
            let is_told = text.contains("import function `work`") && text.ends_with("no");
            assert!(is_told, "{name}: {text}");
            guest.has_ended(name);
            let mut guest = Guest::new(Work::Panics(turns));
            let panic = silently(|| catch_unwind(AssertUnwindSafe(|| guest.call(name, 1))));
            let panic = panic.unwrap_err();
            assert_eq!(panic.downcast_ref::<&str>(), Some(&"as asked"), "{name}");
            guest.has_ended(name);
        }
    }
}

#[test]
fn traps_after_a_wait_are_traps() {
    for work in [Work::Ready, Work::Turns(2), Work::Thread] {
        let mut guest = Guest::new(work);
        let error = guest.call("traps", 1).unwrap_err();
        assert_eq!(code(&error), TrapCode::Unreachable);
        let trap = error.downcast_ref::<trampette_runtime::Trap>().unwrap();
        assert!(!trap.frames().is_empty(), "{error:?}");
        guest.has_ended("traps");
    }
    // All of the stack that a call has on a thread is there; and it has an end.
    for depth in [5_000, 10_000_000] {
        let mut guest = Guest::new(Work::Turns(1));
        let func = guest.func("deep");
        let plain = func
            .call(&mut guest.store, (depth,))
            .map_err(|error| code(&error));
        let mut guest = Guest::new(Work::Turns(1));
        let awaited = guest.call("deep", depth).map_err(|error| code(&error));
        assert_eq!(awaited, plain);
        assert_eq!(awaited.is_ok(), depth == 5_000, "{awaited:?}");
        if awaited.is_err() {
            guest.has_ended("deep");
        }
    }
}

#[test]
fn calls_that_are_given_up_end_their_instance() {
    for name in ["waits", "between", "twice", "deep", "grows"] {
        for work in [Work::Waits, Work::Turns(1_000), Work::PanicsInDrop] {
            let mut guest = Guest::new(work);
            let func = guest.func(name);
            // Before it has begun, nothing has happened.
            drop(func.call_async(&mut guest.store, (1,)));
            let call = guest.begun(name, 1);
            silently(|| drop(call));
            guest.has_ended(name);
            // One that is forgotten keeps its instance locked, and goes with the store.
            let mut guest = Guest::new(work);
            std::mem::forget(guest.begun(name, 1));
            let error = guest.call(name, 1).unwrap_err();
            assert_eq!(code(&error), TrapCode::CannotEnter);
            let seen = guest.seen.clone();
            silently(|| drop(guest));
            assert_eq!(seen.live(), 0, "{name}, {work:?}");
        }
    }
}

#[test]
fn calls_that_wait_or_go_on_are_stopped() {
    for (name, work) in [
        ("waits", Work::Waits),
        ("deep", Work::Waits),
        ("spins", Work::Turns(2)),
        ("spins", Work::Ready),
    ] {
        for by in WAYS {
            let mut guest = Guest::new(work);
            let func = guest.func(name);
            let watch = by.stop(&mut guest.store, Duration::from_millis(20));
            let error = block_on(func.call_async(&mut guest.store, (1,))).unwrap_err();
            let took = watch.stopped();
            assert_eq!(code(&error), by.code(), "{name}, {by:?}: {error:?}");
            assert!(took < PROMPT, "{name}, {by:?}: {took:?}");
            guest.store.set_deadline(None).unwrap();
            guest.has_ended(name);
        }
    }
    // One that has not begun is only refused.
    let mut guest = Guest::new(Work::Turns(1));
    guest
        .store
        .set_deadline(Some(std::time::Instant::now()))
        .unwrap();
    assert_eq!(
        code(&guest.call("waits", 1).unwrap_err()),
        TrapCode::Deadline
    );
    guest.store.set_deadline(None).unwrap();
    assert_eq!(guest.call("waits", 1).unwrap(), 3);
}

/// Two stores, of which one is lent.
struct OneOf {
    stores: [Store<u32>; 2],
    which: Arc<AtomicU32>,
}

impl OneOf {
    fn which(&self) -> usize {
        self.which.load(Ordering::SeqCst) as usize
    }
}

impl AsContext for OneOf {
    type Data = u32;

    fn store_inner(&self) -> &StoreInner {
        self.stores[self.which()].store_inner()
    }
}

impl AsContextMut for OneOf {
    fn caller(&mut self) -> Caller<'_, u32> {
        let which = self.which();
        self.stores[which].caller()
    }
}

/// Whoever lends a store to a call may have another one later: the call stays where it is.
#[test]
fn calls_do_not_go_on_in_other_stores() {
    for poll in [false, true] {
        let Guest {
            store,
            instance,
            seen,
        } = Guest::new(Work::Waits);
        let other = Guest::new(Work::Ready);
        let which = Arc::new(AtomicU32::new(0));
        let mut stores = OneOf {
            stores: [store, other.store],
            which: which.clone(),
        };
        let func = instance
            .get_typed_func::<(u32,), u32>(&mut stores, "deep")
            .unwrap();
        let mut call = Box::pin(func.call_async(&mut stores, (1,)));
        assert!(once(call.as_mut()).is_pending());
        which.store(1, Ordering::SeqCst);
        seen.open();
        if poll {
            assert!(matches!(once(call.as_mut()), Poll::Ready(Err(_))));
        }
        drop(call);
        assert_eq!(in_use(&stores.stores[0]).stacks, 1);
        assert_eq!(in_use(&stores.stores[1]), InUse::default());
        let error = block_on(func.call_async(&mut stores.stores[0], (1,))).unwrap_err();
        assert_eq!(code(&error), TrapCode::CannotEnter);
        drop(stores);
        assert_eq!(seen.live(), 0);
    }
}

#[test]
fn stacks_are_limited() {
    let mut guest = Guest::new(Work::Turns(1));
    guest
        .store
        .set_limits(StoreLimits::default().with_task_stacks(0));
    let error = guest.call("waits", 1).unwrap_err();
    assert_eq!(code(&error), TrapCode::TaskStackLimit);
    // Nothing has begun.
    guest.store.set_limits(StoreLimits::default());
    assert_eq!(guest.call("waits", 1).unwrap(), 3);
}

/// Where a host function of the embedder's is between the call and the wait, nothing is frozen: it
/// would be too.
#[test]
fn calls_inside_of_host_functions_wait_on_the_thread() {
    let seen = Arc::new(Seen::default());
    let inner = linker(Work::Thread, &seen);
    let calls = Arc::new(AtomicU32::new(0));
    let mut outer = linker(Work::Ready, &seen);
    outer.allow_shadowing(true);
    let counted = calls.clone();
    let nested = move |mut caller: Caller<'_, u32>, (x,): (u32,)| {
        counted.fetch_add(1, Ordering::SeqCst);
        let instance = inner.instantiate(&mut caller, &COMPONENT)?;
        let func = instance.get_typed_func::<(u32,), u32>(&mut caller, "twice")?;
        let on_thread = func.call(&mut caller, (x,))?;
        // It waits with a stack of its own, and is waited for here.
        let mut call = Box::pin(func.call_async(&mut caller, (x,)));
        let awaited = block_on(call.as_mut())?;
        anyhow::ensure!(on_thread == awaited);
        Ok(awaited)
    };
    outer
        .root()
        .func_wrap::<(u32,), u32, _>("ready", nested)
        .unwrap();
    let mut store = Store::new(0);
    let instance = outer.instantiate(&mut store, &COMPONENT).unwrap();
    let func = instance
        .get_typed_func::<(u32,), u32>(&mut store, "between")
        .unwrap();
    let mut call = Box::pin(func.call_async(&mut store, (1,)));
    // Nothing of its own waits, so that the first poll is the last one.
    assert_eq!(once(call.as_mut()).map(Result::unwrap), Poll::Ready(3));
    drop(call);
    assert_eq!(calls.load(Ordering::SeqCst), 2);
    assert_eq!(in_use(&store), InUse::default());
}

/// A function of any type may be one that waits.
#[test]
fn functions_of_any_type_are_waited_for() {
    let seen = Arc::new(Seen::default());
    let mut linker: Linker<u32> = linker(Work::Ready, &seen);
    linker.allow_shadowing(true);
    linker
        .root()
        .func_new_async("work", |_, args| {
            let args = args.to_vec();
            async move {
                host_work::Turns(2).await;
                match args[..] {
                    [Val::U32(x)] => Ok(Some(Val::U32(x + 1))),
                    _ => anyhow::bail!("other arguments"),
                }
            }
        })
        .unwrap();
    let mut store = Store::new(0);
    let instance = linker.instantiate(&mut store, &COMPONENT).unwrap();
    let func = instance
        .get_typed_func::<(u32,), u32>(&mut store, "twice")
        .unwrap();
    assert_eq!(block_on(func.call_async(&mut store, (5,))).unwrap(), 7);
    assert_eq!(func.call(&mut store, (5,)).unwrap(), 7);
}
