//! A guest that calls the host in every way (`tests/components/host_async.wat`), and a host whose
//! functions go on while it does; for tests of both.

#[path = "block_on.rs"]
mod block_on;
#[path = "turns.rs"]
mod turns;

use anyhow::Result;
pub use block_on::block_on;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use trampette_runtime::{
    Component, Instance, Linker, Store, StoreLimits, Trap, TrapCode, TypedFunc,
};
pub use turns::Turns;

/// What the host's `work` does with a call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Work {
    /// It is done at once.
    Ready,
    /// It wakes itself so often before it is done.
    Turns(u32),
    /// Another thread wakes it.
    Thread,
    /// It is done when the test says so, or never.
    Waits,
    /// It fails after so many turns.
    Fails(u32),
    /// It panics after so many turns.
    Panics(u32),
    /// It is done never, and panics when it is dropped.
    PanicsInDrop,
}

/// What waits for a test to open it.
#[derive(Default)]
pub struct Gate {
    is_open: AtomicBool,
    wakers: Mutex<Vec<Waker>>,
}

impl Gate {
    /// Lets all that wait go on, and those that come later.
    pub fn open(&self) {
        self.is_open.store(true, Ordering::SeqCst);
        let wakers = std::mem::take(&mut *self.wakers.lock().unwrap());
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Ready when it is open.
    pub fn poll(&self, cx: &Context<'_>) -> Poll<()> {
        // Before the look: whoever opens it meanwhile finds the waker.
        self.wakers.lock().unwrap().push(cx.waker().clone());
        match self.is_open.load(Ordering::SeqCst) {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    }
}

/// What a test sees of the host's calls.
#[derive(Default)]
pub struct Seen {
    pub started: AtomicU32,
    pub polls: AtomicU32,
    pub dropped: AtomicU32,
    /// Where those wait that wait for the test.
    gate: Gate,
}

impl Seen {
    /// Lets all that wait for the test be done.
    pub fn open(&self) {
        self.gate.open();
    }

    /// Futures that are there.
    pub fn live(&self) -> u32 {
        self.started.load(Ordering::SeqCst) - self.dropped.load(Ordering::SeqCst)
    }
}

/// The future of a call; its result is three times the argument.
struct Call {
    work: Work,
    seen: Arc<Seen>,
    polls: u32,
    x: u32,
}

impl Future for Call {
    type Output = Result<u32>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<u32>> {
        self.polls += 1;
        self.seen.polls.fetch_add(1, Ordering::SeqCst);
        let done = Poll::Ready(Ok(3 * self.x));
        let turn = |turns| self.polls > turns;
        match self.work {
            Work::Ready => return done,
            Work::Turns(turns) if turn(turns) => return done,
            Work::Fails(turns) if turn(turns) => return Poll::Ready(Err(anyhow::anyhow!("no"))),
            Work::Panics(turns) if turn(turns) => panic!("as asked"),
            Work::Turns(_) | Work::Fails(_) | Work::Panics(_) => cx.waker().wake_by_ref(),
            Work::Thread if self.polls > 1 => return done,
            Work::Thread => {
                let waker = cx.waker().clone();
                std::thread::spawn(move || {
                    std::thread::sleep(Duration::from_millis(1));
                    waker.wake();
                });
            }
            Work::Waits => {
                if self.seen.gate.poll(cx).is_ready() {
                    return done;
                }
            }
            Work::PanicsInDrop => {}
        }
        Poll::Pending
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.seen.dropped.fetch_add(1, Ordering::SeqCst);
        if self.work == Work::PanicsInDrop {
            panic!("in drop");
        }
    }
}

/// Compiles a component of `tests/components`.
pub fn compiled(name: &str) -> Component {
    let root = env!("CARGO_MANIFEST_DIR");
    let wasm = wat::parse_file(format!("{root}/tests/components/{name}.wat")).unwrap();
    let options = trampette::CompileOptions::default();
    let artifact = trampette::compile_component(&wasm, &options).unwrap();
    artifact.load().unwrap()
}

pub fn component() -> Component {
    static COMPONENT: std::sync::OnceLock<Component> = std::sync::OnceLock::new();
    COMPONENT.get_or_init(|| compiled("host_async")).clone()
}

pub fn linker(work: Work, seen: &Arc<Seen>) -> Linker<u32> {
    let mut linker = Linker::<u32>::new();
    let seen = seen.clone();
    let mut root = linker.root();
    root.func_wrap_async::<(u32,), u32, _, _>("work", move |mut caller, (x,)| {
        *caller.data_mut() += 1;
        seen.started.fetch_add(1, Ordering::SeqCst);
        let (seen, polls) = (seen.clone(), 0);
        Call {
            work,
            seen,
            polls,
            x,
        }
    })
    .unwrap();
    root.func_wrap_async::<(String,), String, _, _>("text", |_, (text,)| {
        let text = text.to_uppercase();
        async move {
            Turns(2).await;
            Ok(text)
        }
    })
    .unwrap();
    root.func_wrap_async::<(u32,), u32, _, _>("ready", |_, (x,)| async move { Ok(x) })
        .unwrap();
    linker
}

pub struct Guest {
    pub store: Store<u32>,
    pub instance: Instance,
    pub seen: Arc<Seen>,
}

impl Guest {
    pub fn new(work: Work) -> Guest {
        Guest::with_limits(work, StoreLimits::default())
    }

    pub fn with_limits(work: Work, limits: StoreLimits) -> Guest {
        let seen = Arc::new(Seen::default());
        let mut store = Store::new(0);
        store.set_limits(limits);
        let instance = linker(work, &seen)
            .instantiate(&mut store, &component())
            .unwrap();
        Guest {
            store,
            instance,
            seen,
        }
    }

    pub fn func(&mut self, name: &str) -> TypedFunc<(u32,), u32> {
        self.instance.get_typed_func(&mut self.store, name).unwrap()
    }

    pub fn call(&mut self, name: &str, x: u32) -> Result<u32> {
        self.func(name).call(&mut self.store, (x,))
    }
}

pub fn code(error: &anyhow::Error) -> TrapCode {
    let trap = error.downcast_ref::<Trap>();
    trap.unwrap_or_else(|| panic!("{error:?}")).kind()
}

pub fn silently<R>(f: impl FnOnce() -> R) -> R {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let result = f();
    std::panic::set_hook(hook);
    result
}

/// Polls two futures until both are over.
pub async fn both<A, B>(a: impl Future<Output = A>, b: impl Future<Output = B>) -> (A, B) {
    let (mut a, mut b) = (std::pin::pin!(a), std::pin::pin!(b));
    let (mut first, mut second) = (None, None);
    poll_fn(|cx| {
        if first.is_none()
            && let Poll::Ready(output) = a.as_mut().poll(cx)
        {
            first = Some(output);
        }
        if second.is_none()
            && let Poll::Ready(output) = b.as_mut().poll(cx)
        {
            second = Some(output);
        }
        match (first.take(), second.take()) {
            (Some(first), Some(second)) => Poll::Ready((first, second)),
            (one, other) => {
                (first, second) = (one, other);
                Poll::Pending
            }
        }
    })
    .await
}
