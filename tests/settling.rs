//! `Accessor::settled`: ready when nothing in the store can go on by itself, whoever drives it.

#[path = "support/block_on.rs"]
mod block_on;
#[path = "support/called.rs"]
mod called;
#[path = "support/ways.rs"]
mod ways;

use block_on::block_on;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::Poll;
use trampette::{CompileOptions, compile_component};
use trampette_runtime::{Component, Linker, Store, TypedFunc};
use ways::WAYS;

/// A guest that answers, lets others go first so often as it is told, and then says so. Its `waits`
/// calls `work` of the host and returns what that does.
fn component() -> Component {
    let text = r#"
(component
  (import "note" (func $note))
  (import "work" (func $work async (result u32)))
  (core func $note (canon lower (func $note)))
  (core func $work (canon lower (func $work)))
  (core func $yield (canon thread.yield))
  (core func $return (canon task.return (result u32)))
  (core module $m
    (import "" "note" (func $note))
    (import "" "work" (func $work (result i32)))
    (import "" "yield" (func $yield (result i32)))
    (import "" "return" (func $return (param i32)))
    (func (export "answers") (param i32)
      (call $return (i32.const 7))
      (loop $again
        (if (local.get 0) (then
          (drop (call $yield))
          (local.set 0 (i32.sub (local.get 0) (i32.const 1)))
          (br $again))))
      (call $note))
    (func (export "waits")
      (call $return (call $work))))
  (core instance $m (instantiate $m (with "" (instance
    (export "note" (func $note)) (export "work" (func $work))
    (export "yield" (func $yield)) (export "return" (func $return))))))
  (func (export "answers") async (param "turns" u32) (result u32)
    (canon lift (core func $m "answers") async))
  (func (export "waits") async (result u32)
    (canon lift (core func $m "waits") async)))
"#;
    let wasm = wat::parse_str(text).unwrap();
    let artifact = compile_component(&wasm, &CompileOptions::default()).unwrap();
    artifact.load().unwrap()
}

/// What the guest has said.
type Notes = Arc<AtomicU32>;

fn linker(notes: &Notes) -> Linker<()> {
    let mut linker = Linker::<()>::new();
    let (noted, notes) = (notes.clone(), notes.clone());
    let mut root = linker.root();
    root.func_wrap::<(), (), _>("note", move |_, ()| {
        noted.fetch_add(1, Ordering::SeqCst);
        Ok(())
    })
    .unwrap();
    // Waits until all has settled; by then, what the guest does besides is done.
    root.func_wrap_async::<(), u32, _, _>("work", move |caller, ()| {
        let (cx, notes) = (caller.accessor(), notes.clone());
        async move {
            cx.settled().await?;
            Ok(notes.load(Ordering::SeqCst))
        }
    })
    .unwrap();
    linker
}

#[test]
fn what_a_guest_does_after_its_answer_is_done_by_then() {
    let component = component();
    for turns in [0u32, 1, 5, 500] {
        let notes = Notes::default();
        let mut store = Store::new(());
        let instance = linker(&notes).instantiate(&mut store, &component).unwrap();
        let answers: TypedFunc<(u32,), u32> =
            instance.get_typed_func(&mut store, "answers").unwrap();
        let settled = block_on(store.run_concurrent(async |cx| {
            let answer = answers.call_concurrent(cx, (turns,)).await?;
            cx.settled().await?;
            // A second time too, with nothing left to do.
            cx.settled().await?;
            anyhow::Ok(answer)
        }));
        assert_eq!(settled.unwrap().unwrap(), 7);
        assert_eq!(notes.load(Ordering::SeqCst), 1, "{turns} turns");
    }
}

#[test]
fn host_functions_are_told_by_any_driver() {
    let component = component();
    for way in WAYS {
        let notes = Notes::default();
        let mut store = Store::new(());
        let instance = linker(&notes).instantiate(&mut store, &component).unwrap();
        let answers: TypedFunc<(u32,), u32> =
            instance.get_typed_func(&mut store, "answers").unwrap();
        let waits: TypedFunc<(), u32> = instance.get_typed_func(&mut store, "waits").unwrap();
        // It leaves something to do, which the next call does while it waits.
        assert_eq!(answers.call(&mut store, (3,)).unwrap(), 7);
        let found = way.call(&mut store, waits, ());
        assert_eq!(found.unwrap(), 1, "{way:?}");
    }
}

#[test]
fn a_guest_that_never_waits_settles_never_and_keeps_nobody_else_from_going_on() {
    let notes = Notes::default();
    let mut store = Store::new(());
    let instance = linker(&notes)
        .instantiate(&mut store, &component())
        .unwrap();
    let answers: TypedFunc<(u32,), u32> = instance.get_typed_func(&mut store, "answers").unwrap();
    let polls = block_on(store.run_concurrent(async |cx| {
        answers.call_concurrent(cx, (u32::MAX,)).await?;
        let mut settled = pin!(cx.settled());
        let mut polls = 0;
        poll_fn(|cx| {
            assert!(settled.as_mut().poll(cx).is_pending());
            polls += 1;
            match polls {
                1000 => Poll::Ready(anyhow::Ok(polls)),
                _ => Poll::Pending,
            }
        })
        .await
    }));
    assert_eq!(polls.unwrap().unwrap(), 1000);
    assert_eq!(notes.load(Ordering::SeqCst), 0);
}
