//! D: instantiating and dropping, traps, and what a live instance keeps resident.

use crate::child;
use crate::measure::{Contender, Figures, Row, Sample, in_turn, repeated};
use crate::peer::{self, Peer};
use crate::session::Session;
use anyhow::{Context, Result, bail, ensure};
use std::hint::black_box;
use std::time::{Duration, Instant};
use trampette_wasi::{WasiCtx, WasiCtxBuilder};

/// Instances alive at once where the memory of one is measured.
const LIVE: u32 = 1000;
/// Instances that trap in a row: a component that has trapped cannot be entered again.
const TRAPPED_TOGETHER: u64 = 100;

/// Runs the section.
pub fn run(session: &Session) {
    for (bench, fixture) in [("D.tiny", "tiny.wat"), ("D.nested", "nested.wat")] {
        session.compare(
            bench,
            || ours_instantiate(session, fixture),
            |peer| peer_instantiate(session, peer, fixture),
        );
    }
    session.compare(
        "D.tiny-first",
        || ours_first(session),
        |peer| peer_first(session, peer),
    );
    for (bench, run) in [("D.hello", Hello::Instantiate), ("D.hello-run", Hello::Run)] {
        session.compare(
            bench,
            || ours_hello(session, run),
            |peer| peer_hello(session, peer, run),
        );
    }
    for (bench, export) in [
        ("D.trap-unreachable", "unreachable"),
        ("D.trap-out-of-bounds", "out-of-bounds"),
    ] {
        trap_over_nop(session, bench, export);
    }
    resident(session, "D.resident-tiny");
}

fn ours_instantiate(session: &Session, fixture: &str) -> Result<Sample> {
    use trampette_runtime::{Linker, Store};
    let pre = Linker::new().instantiate_pre(&session.component(fixture)?)?;
    Ok(repeated(move || {
        let mut store = Store::new(());
        black_box(pre.instantiate(&mut store)?);
        Ok(())
    }))
}

fn peer_instantiate(session: &Session, peer: &Peer, fixture: &str) -> Result<Sample> {
    use wasmtime::Store;
    use wasmtime::component::Linker;
    let component = peer.component(session, fixture)?;
    let pre = Linker::new(&peer.engine).instantiate_pre(&component)?;
    let engine = peer.engine.clone();
    Ok(repeated(move || {
        let mut store = Store::new(&engine, ());
        black_box(pre.instantiate(&mut store)?);
        Ok(())
    }))
}

/// The first instance of a component that was just loaded; loading is not counted.
fn ours_first(session: &Session) -> Result<Sample> {
    use trampette_runtime::{Component, Linker, Store};
    let file = session.ours_artifact("tiny.wat")?;
    Ok(Box::new(move |iterations| {
        let mut time = Duration::ZERO;
        for _ in 0..iterations {
            // SAFETY: a file of our own that nobody changes.
            let component = unsafe { Component::from_file(&file)? };
            let pre = Linker::new().instantiate_pre(&component)?;
            let start = Instant::now();
            let mut store = Store::new(());
            black_box(pre.instantiate(&mut store)?);
            drop(store);
            time += start.elapsed();
        }
        Ok(time)
    }))
}

fn peer_first(session: &Session, peer: &Peer) -> Result<Sample> {
    use wasmtime::Store;
    use wasmtime::component::{Component, Linker};
    let file = session.peer_artifact(peer, "tiny.wat")?;
    let engine = peer.engine.clone();
    Ok(Box::new(move |iterations| {
        let mut time = Duration::ZERO;
        for _ in 0..iterations {
            // SAFETY: written by this engine, changed by nobody.
            let component = unsafe { Component::deserialize_file(&engine, &file)? };
            let pre = Linker::new(&engine).instantiate_pre(&component)?;
            let start = Instant::now();
            let mut store = Store::new(&engine, ());
            black_box(pre.instantiate(&mut store)?);
            drop(store);
            time += start.elapsed();
        }
        Ok(time)
    }))
}

/// What is done with the command.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Hello {
    Instantiate,
    Run,
}

fn ours_hello(session: &Session, what: Hello) -> Result<Sample> {
    use trampette_runtime::{Linker, Store};
    let component = session.component("hello")?;
    let mut linker = Linker::<WasiCtx>::new();
    trampette_wasi::add_to_linker(&mut linker)?;
    let pre = linker.instantiate_pre(&component)?;
    let interface = component
        .metadata()
        .exports
        .iter()
        .find_map(|export| export.path.first().filter(|name| is_run(name)))
        .context("hello is no command")?;
    let path = [interface.clone(), "run".to_string()];
    Ok(repeated(move || {
        let mut store = Store::new(WasiCtxBuilder::new().arg("hello").build());
        let instance = pre.instantiate(&mut store)?;
        if what == Hello::Run {
            let run = instance.get_typed_func::<(), Result<(), ()>>(&mut store, &path)?;
            black_box(run.call(&mut store, ())?).ok();
        }
        Ok(())
    }))
}

fn is_run(name: &str) -> bool {
    name.starts_with("wasi:cli/run@0.2")
}

/// What the peer's store holds for WASI.
pub struct PeerWasi {
    context: wasmtime_wasi::WasiCtx,
    table: wasmtime::component::ResourceTable,
}

impl PeerWasi {
    /// A guest's view of the system that `context` gives.
    pub fn new(context: wasmtime_wasi::WasiCtx) -> PeerWasi {
        PeerWasi {
            context,
            table: wasmtime::component::ResourceTable::new(),
        }
    }
}

impl wasmtime_wasi::WasiView for PeerWasi {
    fn ctx(&mut self) -> wasmtime_wasi::WasiCtxView<'_> {
        wasmtime_wasi::WasiCtxView {
            ctx: &mut self.context,
            table: &mut self.table,
        }
    }
}

fn peer_hello(session: &Session, peer: &Peer, what: Hello) -> Result<Sample> {
    use wasmtime::Store;
    use wasmtime::component::Linker;
    let component = peer.component(session, "hello")?;
    let mut linker = Linker::<PeerWasi>::new(&peer.engine);
    wasmtime_wasi::p2::add_to_linker_sync(&mut linker)?;
    let pre = linker.instantiate_pre(&component)?;
    let run = peer_run_export(&peer.engine, &component).context("hello is no command")?;
    let engine = peer.engine.clone();
    Ok(repeated(move || {
        let context = wasmtime_wasi::WasiCtx::builder().arg("hello").build();
        let mut store = Store::new(&engine, PeerWasi::new(context));
        let instance = pre.instantiate(&mut store)?;
        if what == Hello::Run {
            let run = instance.get_typed_func::<(), (Result<(), ()>,)>(&mut store, run)?;
            black_box(run.call(&mut store, ())?).0.ok();
        }
        Ok(())
    }))
}

/// Where a command exports `run`.
pub fn peer_run_export(
    engine: &wasmtime::Engine,
    component: &wasmtime::component::Component,
) -> Option<wasmtime::component::ComponentExportIndex> {
    let ty = component.component_type();
    let interface = ty
        .exports(engine)
        .map(|(name, _)| name.to_string())
        .find(|name| is_run(name))?;
    let interface = component.get_export_index(None, &interface)?;
    component.get_export_index(Some(&interface), "run")
}

/// The time of a call that traps less that of one that does nothing, each the smallest of its
/// samples: a difference within a sample would be as often too small as too large.
fn trap_over_nop(session: &Session, bench: &str, export: &'static str) {
    if !session.wants(bench) {
        return;
    }
    let figures = |export| -> Result<Figures> {
        let mut contenders = vec![(Contender::Ours, ours_trap(session, export)?)];
        for peer in &session.peers {
            contenders.push((peer.contender, peer_trap(session, peer, export)?));
        }
        in_turn(contenders, session.effort)
    };
    let measured = || -> Result<Figures> {
        let nop = figures(NOP)?;
        let mut over = figures(export)?;
        for (contender, figure) in &mut over {
            *figure -= nop[contender];
        }
        Ok(over)
    };
    match measured() {
        Ok(figures) => session.print(&Row::of_seconds(bench, figures)),
        Err(error) => session.failed(bench, &error),
    }
}

/// The export that does nothing.
const NOP: &str = "nop";

/// A sample of calls, `batch` of which are made together and timed by it.
fn batches(mut batch: impl FnMut() -> Result<Duration> + 'static) -> Sample {
    Box::new(move |iterations| {
        let count = iterations.div_ceil(TRAPPED_TOGETHER);
        let mut time = 0.0;
        for _ in 0..count {
            time += batch()?.as_secs_f64();
        }
        let share = iterations as f64 / (count * TRAPPED_TOGETHER) as f64;
        Ok(Duration::from_secs_f64(time * share))
    })
}

fn ours_trap(session: &Session, export: &'static str) -> Result<Sample> {
    use trampette_runtime::{Linker, Store};
    let pre = Linker::new().instantiate_pre(&session.component("trap.wat")?)?;
    Ok(batches(move || {
        let mut live = Vec::new();
        for _ in 0..TRAPPED_TOGETHER {
            let mut store = Store::new(());
            let instance = pre.instantiate(&mut store)?;
            let nop = instance.get_typed_func::<(), ()>(&mut store, "nop")?;
            let trap = instance.get_typed_func::<(), ()>(&mut store, export)?;
            nop.call(&mut store, ())?;
            live.push((store, trap));
        }
        let start = Instant::now();
        for (store, trap) in &mut live {
            let outcome = trap.call(store, ());
            ensure!(outcome.is_err() == (export != NOP));
            black_box(outcome.err());
        }
        Ok(start.elapsed())
    }))
}

fn peer_trap(session: &Session, peer: &Peer, export: &'static str) -> Result<Sample> {
    use wasmtime::Store;
    use wasmtime::component::Linker;
    let component = peer.component(session, "trap.wat")?;
    let pre = Linker::new(&peer.engine).instantiate_pre(&component)?;
    let engine = peer.engine.clone();
    Ok(batches(move || {
        let mut live = Vec::new();
        for _ in 0..TRAPPED_TOGETHER {
            let mut store = Store::new(&engine, ());
            let instance = pre.instantiate(&mut store)?;
            let nop = instance.get_typed_func::<(), ()>(&mut store, "nop")?;
            let trap = instance.get_typed_func::<(), ()>(&mut store, export)?;
            nop.call(&mut store, ())?;
            live.push((store, trap));
        }
        let start = Instant::now();
        for (store, trap) in &mut live {
            let outcome = trap.call(store, ());
            ensure!(outcome.is_err() == (export != NOP));
            black_box(outcome.err());
        }
        Ok(start.elapsed())
    }))
}

/// Resident memory that a live instance adds, each contender in a process of its own.
fn resident(session: &Session, bench: &str) {
    if !session.wants(bench) {
        return;
    }
    let measured = || -> Result<Figures> {
        let mut figures = Figures::new();
        for contender in Contender::ALL {
            let file = match session
                .peers
                .iter()
                .find(|peer| peer.contender == contender)
            {
                Some(peer) => session.peer_artifact(peer, "tiny.wat")?,
                None => session.ours_artifact("tiny.wat")?,
            };
            let child = child::run(&[
                "resident".as_ref(),
                contender.name().as_ref(),
                file.as_ref(),
            ])?;
            let bytes: f64 = child.output.trim().parse()?;
            figures.insert(contender, bytes / 1000.0);
        }
        Ok(figures)
    };
    match measured() {
        Ok(figures) => session.print(&Row {
            bench: bench.to_string(),
            unit: "KB".to_string(),
            figures,
        }),
        Err(error) => session.failed(bench, &error),
    }
}

/// In a child: bytes of resident memory that each of many live instances adds.
pub fn resident_in_child(contender: Contender, file: &std::path::Path) -> Result<f64> {
    // The first ones make what all share.
    const WARM: u32 = 10;
    ensure!(LIVE + WARM <= peer::POOLED_INSTANCES);
    let per_instance =
        |before: usize, after: usize| (after as f64 - before as f64) / f64::from(LIVE);
    if contender == Contender::Ours {
        use trampette_runtime::{Component, Linker, Store};
        // SAFETY: the parent's file, which it does not change.
        let component = unsafe { Component::from_file(file)? };
        let pre = Linker::new().instantiate_pre(&component)?;
        let mut live = Vec::with_capacity((LIVE + WARM) as usize);
        let mut add = |count: u32| -> Result<usize> {
            for _ in 0..count {
                let mut store = Store::new(());
                let instance = pre.instantiate(&mut store)?;
                let add = instance.get_typed_func::<(u32, u32), u32>(&mut store, "add")?;
                ensure!(add.call(&mut store, (1, 2))? == 3);
                live.push(store);
            }
            resident_bytes()
        };
        let before = add(WARM)?;
        return Ok(per_instance(before, add(LIVE)?));
    }
    use wasmtime::Store;
    use wasmtime::component::{Component, Linker};
    let peer = Peer::new(contender)?;
    // SAFETY: as above.
    let component = unsafe { Component::deserialize_file(&peer.engine, file)? };
    let pre = Linker::new(&peer.engine).instantiate_pre(&component)?;
    let mut live = Vec::with_capacity((LIVE + WARM) as usize);
    let mut add = |count: u32| -> Result<usize> {
        for _ in 0..count {
            let mut store = Store::new(&peer.engine, ());
            let instance = pre.instantiate(&mut store)?;
            let add = instance.get_typed_func::<(u32, u32), (u32,)>(&mut store, "add")?;
            ensure!(add.call(&mut store, (1, 2))? == (3,));
            live.push(store);
        }
        resident_bytes()
    };
    let before = add(WARM)?;
    Ok(per_instance(before, add(LIVE)?))
}

/// Resident memory of this process.
fn resident_bytes() -> Result<usize> {
    let statm = std::fs::read_to_string("/proc/self/statm")?;
    let Some(pages) = statm.split_whitespace().nth(1) else {
        bail!("/proc/self/statm has no second number");
    };
    Ok(pages.parse::<usize>()? * rustix::param::page_size())
}
