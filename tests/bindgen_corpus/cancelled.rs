//! Calls of real asynchronous guests that are given up in the middle: whatever they wait for then,
//! their instance goes on, and the same call succeeds after that.

use crate::block_on::block_on;
use crate::component;
use anyhow::{Context, Result, ensure};
use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use trampette_runtime::{Linker, Store, Val};
use trampette_wasi::WasiCtxBuilder;

/// Functions of the corpus and their arguments: what waits for other tasks of the guest's, and
/// for streams at both ends. (`futures` and `local-channel` wake another task of their own when
/// they are given up, which their bindings do not expect: they panic. What `early-drop` gives
/// depends on what goes on beside it.)
fn calls() -> Vec<(&'static str, &'static str, Vec<Val>)> {
    let numbers = |all: &[u32]| all.iter().copied().map(Val::U32).collect::<Vec<_>>();
    vec![
        ("apipe.wasm", "push-sum", numbers(&[5_000, 3])),
        ("apipe.wasm", "round-trip", numbers(&[5_000, 3])),
        ("apipe.wasm", "checksum", numbers(&[50_000, 7, 1000, 300])),
        ("apipe.wasm", "parallel", numbers(&[500])),
        ("apipe.wasm", "numbers-sum", numbers(&[5000])),
        ("aecho.wasm", "interleave", numbers(&[20, 20])),
    ]
}

#[test]
fn what_is_given_up_hurts_nobody() -> Result<()> {
    for (name, export, arguments) in calls() {
        let Some(component) = component(name)? else {
            return Ok(());
        };
        let mut linker = Linker::new();
        trampette_wasi::add_to_linker(&mut linker)?;
        let mut store = Store::new(WasiCtxBuilder::new().inherit_stderr().build());
        let instance = linker.instantiate(&mut store, &component)?;
        let func = instance
            .get_func(&mut store, export)
            .context("the export")?;
        let expected = func.call_value(&mut store, &arguments)?;
        let mut given_up = 0;
        for polls in 1..20 {
            let again = block_on(store.run_concurrent(async |cx| {
                let is_over = {
                    let mut call = pin!(func.call_concurrent(cx, &arguments));
                    let mut polled = 0;
                    poll_fn(|context| {
                        polled += 1;
                        match call.as_mut().poll(context) {
                            Poll::Ready(_) => Poll::Ready(true),
                            Poll::Pending if polled == polls => Poll::Ready(false),
                            Poll::Pending => Poll::Pending,
                        }
                    })
                    .await
                };
                given_up += u32::from(!is_over);
                // The guest has heard of it when nothing goes on any more.
                cx.settled().await?;
                func.call_concurrent(cx, &arguments).await
            }));
            let again = again.and_then(|again| again);
            let again = again.map_err(|error| error.context(format!("{export}, {polls} polls")))?;
            ensure!(again == expected, "{export}, {polls} polls: {again:?}");
        }
        ensure!(given_up > 0, "{export} never waited");
    }
    Ok(())
}
