//! H: functions of `async` types, streams and futures (`concurrent.wat`). The peer has its support
//! of concurrency on, as it comes and with its best settings besides.

use crate::measure::Sample;
use crate::peer::Peer;
use crate::session::Session;
use anyhow::Result;
use std::hint::black_box;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

const FIXTURE: &str = "concurrent.wat";

/// Runs the section.
pub fn run(session: &Session) {
    // Bench, export: the host calls.
    let calls = [
        ("H.call-sync", "nothing"),
        ("H.call-plain", "plain"),
        ("H.call-callback", "never"),
        ("H.call-stackful", "stackful"),
    ];
    // The guest does it so often as its parameter says.
    let loops = [
        ("H.import-ready", "calls-ready"),
        ("H.guest-sync", "calls-sync"),
        ("H.guest-plain", "calls-plain"),
        ("H.guest-callback", "calls-never"),
        ("H.guest-callback-waits", "calls-never-and-waits"),
        ("H.guest-stackful", "calls-stackful"),
        ("H.context-get", "gets"),
        ("H.yield-alone", "yields"),
        ("H.stream-item", "items"),
        ("H.stream-64KiB", "chunks"),
    ];
    for (benches, how) in [(&calls[..], Loop::Host), (&loops[..], Loop::Guest)] {
        for &(bench, export) in benches {
            session.compare_concurrent(bench, || ours(session, export, how), |peer| {
                peers(session, peer, export, how)
            });
        }
    }
}

/// Who does it again and again.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Loop {
    /// The host calls.
    Host,
    /// The guest, as often as it is told.
    Guest,
}

/// Iterations of an export, which takes and returns a number.
fn sample(how: Loop, mut call: impl FnMut(u32) -> Result<u32> + 'static) -> Sample {
    Box::new(move |iterations| {
        let iterations = u32::try_from(iterations)?;
        let start = Instant::now();
        match how {
            Loop::Host => {
                for number in 0..iterations {
                    black_box(call(number)?);
                }
            }
            Loop::Guest => {
                black_box(call(iterations)?);
            }
        }
        Ok(start.elapsed())
    })
}

fn ours(session: &Session, export: &str, how: Loop) -> Result<Sample> {
    use trampette_runtime::{Linker, Store};
    let component = session.component(FIXTURE)?;
    let mut linker = Linker::<()>::new();
    let mut host = linker.instance("host")?;
    host.func_wrap::<(u32,), u32, _>("ready", |_, (x,)| Ok(x))?;
    let mut store = Store::new(());
    let instance = linker.instantiate(&mut store, &component)?;
    let func = instance.get_typed_func::<(u32,), u32>(&mut store, export)?;
    Ok(sample(how, move |number| func.call(&mut store, (number,))))
}

fn peers(session: &Session, peer: &Peer, export: &str, how: Loop) -> Result<Sample> {
    use wasmtime::Store;
    use wasmtime::component::Linker;
    let component = peer.component(session, FIXTURE)?;
    let mut linker = Linker::<()>::new(&peer.engine);
    linker
        .instance("host")?
        .func_wrap_concurrent("ready", |_, (x,): (u32,)| Box::pin(async move { Ok((x,)) }))?;
    let mut store = Store::new(&peer.engine, ());
    let instance = wait(linker.instantiate_async(&mut store, &component))?;
    let func = instance.get_typed_func::<(u32,), (u32,)>(&mut store, export)?;
    Ok(sample(how, move |number| {
        let (result,) = wait(func.call_async(&mut store, (number,)))?;
        Ok(result)
    }))
}

/// Polls a future until it is done: nothing here waits for anything else.
fn wait<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut context) {
            return value;
        }
    }
}
