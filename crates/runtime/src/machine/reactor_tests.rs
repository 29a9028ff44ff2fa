//! Tests of the reactor: wakes at all times and from everywhere, futures that act on the reactor
//! while they are polled or dropped, panics, limits.

use super::*;
use crate::machine::limits::StoreLimits;
use crate::machine::store::Store;
use std::sync::atomic::{AtomicU32, AtomicUsize};
use std::thread;

/// What a test's future does when it is polled.
type Step = Box<dyn FnMut(&StoreInner, &mut Context<'_>) -> Poll<Done> + Send>;

struct Scripted {
    step: Step,
    _dropped: Option<OnDrop>,
}

/// Does something when it is dropped.
struct OnDrop(Box<dyn FnMut() + Send>);

impl Drop for OnDrop {
    fn drop(&mut self) {
        (self.0)();
    }
}

impl HostFuture for Scripted {
    fn poll(mut self: Pin<&mut Self>, store: &StoreInner, cx: &mut Context<'_>) -> Poll<Done> {
        (self.step)(store, cx)
    }

    unsafe fn write_result(self: Pin<&mut Self>, _: &StoreInner, to: *mut u8) -> Result<(), Error> {
        // SAFETY: the tests pass a `u32`.
        unsafe { to.cast::<u32>().write(7) };
        Ok(())
    }
}

fn scripted(
    step: impl FnMut(&StoreInner, &mut Context<'_>) -> Poll<Done> + Send + 'static,
) -> Scripted {
    Scripted {
        step: Box::new(step),
        _dropped: None,
    }
}

fn with_drop(
    step: impl FnMut(&StoreInner, &mut Context<'_>) -> Poll<Done> + Send + 'static,
    dropped: impl FnMut() + Send + 'static,
) -> Scripted {
    Scripted {
        step: Box::new(step),
        _dropped: Some(OnDrop(Box::new(dropped))),
    }
}

fn begin(store: &Store<()>, future: Scripted) -> Begun<Scripted> {
    let inner = store.inner();
    // SAFETY: a `Scripted` can be sent.
    unsafe { inner.reactor.begin(inner, None, future) }
}

/// A future that has to wait.
fn waits(store: &Store<()>, future: Scripted) -> FutureId {
    match begin(store, future) {
        Begun::Waits(id) => id,
        Begun::Ready(..) => panic!("it was ready"),
        Begun::Failed(failure) => panic!("{}", text(failure)),
    }
}

fn text(failure: Failure) -> String {
    match failure {
        Failure::Error(error) => error.to_string(),
        Failure::Panic(panic) => panic.downcast_ref::<&str>().unwrap().to_string(),
    }
}

/// Polls all that were woken; how many.
fn turn(store: &Store<()>) -> usize {
    let reactor = &store.inner().reactor;
    (0..reactor.woken())
        .map_while(|_| reactor.poll_next(store.inner()))
        .count()
}

/// A future that counts its polls and waits for ever, and the waker that it got last.
fn sleeper() -> (Scripted, Arc<AtomicU32>, Arc<Mutex<Option<Waker>>>) {
    let (polls, waker) = (Arc::new(AtomicU32::new(0)), Arc::new(Mutex::new(None)));
    let (counted, kept) = (polls.clone(), waker.clone());
    let future = scripted(move |_, cx| {
        counted.fetch_add(1, Ordering::Relaxed);
        *kept.lock().unwrap() = Some(cx.waker().clone());
        Poll::Pending
    });
    (future, polls, waker)
}

fn silently<R>(f: impl FnOnce() -> R) -> R {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let result = f();
    std::panic::set_hook(hook);
    result
}

/// A driver that counts how often it is told.
#[derive(Default)]
struct Told(AtomicUsize);

impl Wake for Told {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn what_is_ready_at_once_leaves_nothing() {
    let store = Store::new(());
    let reactor = &store.inner().reactor;
    for _ in 0..1000 {
        // One that wakes itself before it is ready makes no list longer.
        let future = scripted(|_, cx| {
            cx.waker().wake_by_ref();
            Poll::Ready(Done::Stays)
        });
        let Begun::Ready(mut future) = begin(&store, future) else {
            panic!("it is ready");
        };
        let mut result = 0u32;
        let to = (&raw mut result).cast();
        // SAFETY: there is room for the result.
        unsafe { future.get().write_result(store.inner(), to) }.unwrap();
        assert_eq!(result, 7);
        assert!(reactor.recycle(future).is_none());
    }
    assert_eq!(
        (reactor.held(), reactor.waiting(), reactor.slots()),
        ((0, 0), 0, 1)
    );
    assert!(reactor.woken() <= 1);
    assert_eq!(turn(&store), 0);
}

#[test]
fn wakes_count_once_a_poll() {
    let store = Store::new(());
    let (future, polls, waker) = sleeper();
    let id = waits(&store, future);
    let wake = || waker.lock().unwrap().clone().unwrap().wake();
    assert_eq!(polls.load(Ordering::Relaxed), 1);
    assert_eq!(turn(&store), 0);
    for wakes in 1..5 {
        for _ in 0..wakes {
            wake();
        }
        assert_eq!(store.inner().reactor.woken(), 1);
        assert_eq!(turn(&store), 1);
        assert_eq!(turn(&store), 0);
        assert_eq!(polls.load(Ordering::Relaxed), 1 + wakes);
    }
    // Also one that the runtime makes.
    store.inner().reactor.wake(id);
    assert_eq!(turn(&store), 1);
    assert!(store.inner().reactor.remove(id).is_none());
    // A waker without its future does nothing, also to another future in the same slot.
    wake();
    let (future, other, _) = sleeper();
    let again = waits(&store, future);
    assert_eq!(again.slot, id.slot);
    wake();
    assert_eq!(turn(&store), 0);
    assert_eq!(other.load(Ordering::Relaxed), 1);
    // Nor when the store is gone.
    drop(store);
    wake();
}

#[test]
fn a_wake_on_the_list_is_not_for_the_next_future() {
    let store = Store::new(());
    let reactor = &store.inner().reactor;
    let (future, _, waker) = sleeper();
    let id = waits(&store, future);
    waker.lock().unwrap().take().unwrap().wake();
    reactor.remove(id);
    let (future, polls, waker) = sleeper();
    waits(&store, future);
    assert_eq!(turn(&store), 0);
    assert_eq!(polls.load(Ordering::Relaxed), 1);
    // But its own wake is heard, even if the slot is on the list because of another.
    waker.lock().unwrap().take().unwrap().wake();
    assert_eq!(turn(&store), 1);
}

#[test]
fn storms_of_wakes_from_other_threads_lose_none() {
    const FUTURES: usize = 8;
    const THREADS: u32 = 4;
    const WAKES: u32 = 2000;
    let store = Store::new(());
    let reactor = &store.inner().reactor;
    let (seen, wakers): (Vec<_>, Vec<_>) = (0..FUTURES)
        .map(|_| {
            let goal = Arc::new(AtomicU32::new(0));
            let (polled, waker) = (Arc::new(AtomicU32::new(0)), Arc::new(Mutex::new(None)));
            let (seen, wanted, kept) = (polled.clone(), goal.clone(), waker.clone());
            let future = scripted(move |_, cx| {
                kept.lock()
                    .unwrap()
                    .get_or_insert_with(|| cx.waker().clone());
                seen.store(wanted.load(Ordering::SeqCst), Ordering::SeqCst);
                Poll::Pending
            });
            waits(&store, future);
            let waker = waker.lock().unwrap().clone().unwrap();
            (polled, (goal, waker))
        })
        .unzip();
    thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|_| {
                scope.spawn(|| {
                    for _ in 0..WAKES {
                        for (goal, waker) in &wakers {
                            goal.fetch_add(1, Ordering::SeqCst);
                            waker.wake_by_ref();
                        }
                    }
                })
            })
            .collect();
        while !threads.iter().all(|thread| thread.is_finished()) {
            assert!(reactor.woken() <= FUTURES);
            turn(&store);
        }
    });
    turn(&store);
    // What was done before the last wake was seen by a poll.
    for polled in seen {
        assert_eq!(polled.load(Ordering::SeqCst), THREADS * WAKES);
    }
}

#[test]
fn the_driver_is_told_once() {
    let store = Store::new(());
    let reactor = &store.inner().reactor;
    let (future, _, waker) = sleeper();
    waits(&store, future);
    let waker = waker.lock().unwrap().take().unwrap();
    let told = Arc::new(Told::default());
    let driver = Waker::from(told.clone());
    assert!(reactor.set_driver(&driver));
    assert_eq!(told.0.load(Ordering::SeqCst), 0);
    let from_elsewhere = waker.clone();
    thread::spawn(move || from_elsewhere.wake()).join().unwrap();
    waker.wake_by_ref();
    assert_eq!(told.0.load(Ordering::SeqCst), 1);
    // Whoever is about to wait although there is something to poll gets to know.
    assert!(!reactor.set_driver(&driver));
    assert_eq!(turn(&store), 1);
    assert!(reactor.set_driver(&driver));
    reactor.wake_list().tell_driver();
    assert_eq!(told.0.load(Ordering::SeqCst), 2);
    // So does whoever was told of something else, until a turn begins that looks at all of it.
    assert!(!reactor.set_driver(&driver));
    reactor.begin_turn();
    assert!(reactor.set_driver(&driver));
    reactor.begin_turn();
    assert!(reactor.set_driver(&driver));
}

#[test]
fn a_wake_during_a_poll_leads_to_another_poll() {
    let store = Store::new(());
    let mut polls = 0;
    let future = scripted(move |store, cx| {
        polls += 1;
        cx.waker().wake_by_ref();
        // Somebody inside looks for what to poll: not this one.
        assert!(store.reactor.poll_next(store).is_none());
        match polls {
            3 => Poll::Ready(Done::Gone),
            _ => Poll::Pending,
        }
    });
    waits(&store, future);
    // A turn polls what was woken before it.
    assert_eq!([turn(&store), turn(&store), turn(&store)], [1, 1, 0]);
    assert_eq!(store.inner().reactor.held(), (0, 0));
}

#[test]
fn futures_may_poll_and_remove_others_and_themselves() {
    let store = Store::new(());
    let reactor = &store.inner().reactor;
    let dropped = Arc::new(AtomicU32::new(0));
    let mine = Arc::new(Mutex::new(None::<FutureId>));
    let (other, polls, _) = sleeper();
    let other = waits(&store, other);
    let (counted, id) = (dropped.clone(), mine.clone());
    let future = with_drop(
        move |store, _| {
            let Some(me) = *id.lock().unwrap() else {
                return Poll::Pending;
            };
            assert!(store.reactor.poll_now(store, me).is_none());
            assert!(store.reactor.poll_now(store, other).is_some());
            assert!(store.reactor.remove(other).is_none());
            assert!(store.reactor.poll_now(store, other).is_none());
            // It is dropped when its poll is over.
            assert!(store.reactor.remove(me).is_none());
            assert!(store.reactor.remove(me).is_none());
            Poll::Pending
        },
        move || {
            counted.fetch_add(1, Ordering::Relaxed);
        },
    );
    let me = waits(&store, future);
    *mine.lock().unwrap() = Some(me);
    assert_eq!(reactor.waiting(), 2);
    reactor.wake(me);
    assert_eq!(turn(&store), 1);
    assert_eq!(dropped.load(Ordering::Relaxed), 1);
    assert_eq!(polls.load(Ordering::Relaxed), 2);
    assert_eq!((reactor.held(), reactor.waiting()), ((0, 0), 0));
}

#[test]
fn what_stays_waits_for_nothing_and_has_a_result() {
    let store = Store::new(());
    let reactor = &store.inner().reactor;
    let mut polls = 0;
    let id = waits(
        &store,
        scripted(move |_, _| {
            polls += 1;
            match polls {
                1 => Poll::Pending,
                _ => Poll::Ready(Done::Stays),
            }
        }),
    );
    let mut result = 0u32;
    let to = (&raw mut result).cast();
    // SAFETY: there is room for the result.
    let take = || unsafe { reactor.take_result(store.inner(), id, to) };
    assert_eq!(text(take().unwrap_err()), "there is no result");
    assert_eq!(reactor.waiting(), 1);
    assert!(reactor.poll_now(store.inner(), id).is_some());
    assert_eq!((reactor.waiting(), reactor.held().0), (0, 1));
    assert!(take().is_ok());
    assert!(take().is_err());
    assert_eq!(result, 7);
    assert_eq!(reactor.held(), (0, 0));
}

#[test]
fn panics_are_contained() {
    let store = Store::new(());
    let reactor = &store.inner().reactor;
    silently(|| {
        let failed = begin(&store, scripted(|_, _| panic!("in the first poll")));
        let Begun::Failed(failure) = failed else {
            panic!("it panicked");
        };
        assert_eq!(text(failure), "in the first poll");
        let mut polls = 0;
        let id = waits(
            &store,
            scripted(move |_, _| {
                polls += 1;
                match polls {
                    1 => Poll::Pending,
                    _ => panic!("in a later poll"),
                }
            }),
        );
        reactor.wake(id);
        let panic = reactor.poll_next(store.inner()).unwrap().failure.unwrap();
        assert_eq!(text(Failure::Panic(panic)), "in a later poll");
        let loud = || with_drop(|_, _| Poll::Pending, || panic!("in drop"));
        let id = waits(&store, loud());
        let panic = reactor.remove(id).unwrap();
        assert_eq!(text(Failure::Panic(panic)), "in drop");
        assert_eq!((reactor.held(), reactor.waiting()), ((0, 0), 0));
        // Whoever drops the store is not told.
        for _ in 0..3 {
            waits(&store, loud());
        }
    });
    silently(|| drop(store));
}

#[test]
fn drops_may_add_and_remove_futures() {
    let store = Store::new(());
    let dropped = Arc::new(AtomicU32::new(0));
    let (first, counted) = (waits(&store, sleeper().0), dropped.clone());
    let inner = NonNull::from(store.inner()).as_ptr().expose_provenance();
    waits(
        &store,
        with_drop(
            |_, _| Poll::Pending,
            move || {
                let inner = std::ptr::with_exposed_provenance::<StoreInner>(inner);
                // SAFETY: the store drops its futures before all else.
                let store = unsafe { &*inner };
                store.reactor.remove(first);
                let counted = counted.clone();
                let another = with_drop(
                    |_, _| Poll::Pending,
                    move || {
                        counted.fetch_add(1, Ordering::Relaxed);
                    },
                );
                // SAFETY: it can be sent.
                let added = unsafe { store.reactor.add(store, None, another) };
                assert!(added.is_ok());
            },
        ),
    );
    drop(store);
    assert_eq!(dropped.load(Ordering::Relaxed), 1);
}

#[test]
fn limits_are_met_by_what_waits_only() {
    let mut store = Store::new(());
    let limits = StoreLimits::default().with_host_futures(2);
    store.set_limits(limits);
    let ids = [sleeper(), sleeper()].map(|(future, ..)| waits(&store, future));
    let ready = begin(&store, scripted(|_, _| Poll::Ready(Done::Gone)));
    let Begun::Ready(ready) = ready else {
        panic!("it is ready");
    };
    store.inner().reactor.recycle(ready);
    let refused = |store: &Store<()>| match begin(store, sleeper().0) {
        Begun::Failed(failure) => text(failure),
        _ => panic!("there is a limit"),
    };
    assert_eq!(
        refused(&store),
        "a host function has to wait, and 2 host futures do already"
    );
    let (_, bytes) = store.inner().reactor.held();
    store.set_limits(StoreLimits::default().with_host_future_bytes(bytes));
    assert_eq!(
        refused(&store),
        "a host function has to wait, and those that do would take more than 128 bytes"
    );
    store.inner().reactor.remove(ids[0]);
    waits(&store, sleeper().0);
}
