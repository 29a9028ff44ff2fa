//! F: CPU time, output size and peak memory of compiling, each in a process of its own.

use crate::child;
use crate::measure::{Contender, Figures, Row};
use crate::peer::Peer;
use crate::session::Session;
use anyhow::Result;
use std::path::Path;
use trampette::CompileOptions;

/// Inlining only makes the peer slower to compile and its code larger; the rest of its
/// configuration does not matter here.
const COMPILED_BY: [Contender; 2] = [Contender::Ours, Contender::PeerDefault];

/// Runs the section.
pub fn run(session: &Session) {
    for input in ["hello", "lua", "js"] {
        let wanted = ["cpu", "size", "memory"].map(|what| format!("F.{what}-{input}"));
        let skip = !session.has_input(input) || (input == "js" && session.effort.quick);
        if skip || !wanted.iter().any(|bench| session.wants(bench)) {
            continue;
        }
        if let Err(error) = compile(session, input) {
            session.failed(&format!("F.cpu-{input}"), &error);
        }
    }
    if session.wants("F.threads")
        && session.has_input("lua")
        && let Err(error) = threads(session)
    {
        session.failed("F.threads", &error);
    }
}

fn compile(session: &Session, input: &str) -> Result<()> {
    let wasm = session.input_file(input)?;
    let rounds = match (input, session.effort.quick) {
        ("js", _) => 1,
        (_, true) => 3,
        (_, false) => 10,
    };
    let (mut cpu, mut size, mut memory) = (Figures::new(), Figures::new(), Figures::new());
    for _ in 0..rounds {
        for contender in COMPILED_BY {
            let output = session.scratch(&format!("{input}.{}.compiled", contender.name()));
            let outcome = child::run(&[
                "compile".as_ref(),
                contender.name().as_ref(),
                "0".as_ref(),
                wasm.as_ref(),
                output.as_ref(),
            ])?;
            let best = |figures: &mut Figures, value: f64| {
                let figure = figures.entry(contender).or_insert(f64::INFINITY);
                *figure = figure.min(value);
            };
            best(&mut cpu, outcome.cpu.as_secs_f64());
            best(&mut size, std::fs::metadata(&output)?.len() as f64 / 1e3);
            best(&mut memory, outcome.peak as f64 / f64::from(1 << 20));
        }
    }
    for (what, unit, figures) in [
        ("cpu", "s", cpu),
        ("size", "KB", size),
        ("memory", "MiB", memory),
    ] {
        let bench = format!("F.{what}-{input}");
        if session.wants(&bench) {
            session.print(&Row {
                bench,
                unit: unit.to_string(),
                figures,
            });
        }
    }
    Ok(())
}

/// How much faster two threads compile than one; means something on an idle machine only.
fn threads(session: &Session) -> Result<()> {
    let wasm = session.input_file("lua")?;
    let mut figures = Figures::new();
    for contender in [Contender::Ours] {
        let mut times = [f64::INFINITY; 2];
        for _ in 0..5 {
            for (time, threads) in times.iter_mut().zip(["1", "2"]) {
                let output = session.scratch("threads.compiled");
                let outcome = child::run(&[
                    "compile".as_ref(),
                    contender.name().as_ref(),
                    threads.as_ref(),
                    wasm.as_ref(),
                    output.as_ref(),
                ])?;
                *time = time.min(outcome.wall.as_secs_f64());
            }
        }
        figures.insert(contender, times[0] / times[1]);
    }
    session.print(&Row {
        bench: "F.threads".to_string(),
        unit: "x".to_string(),
        figures,
    });
    Ok(())
}

/// In a child: compiles a file. No threads means one a core.
pub fn in_child(contender: Contender, threads: usize, input: &Path, output: &Path) -> Result<()> {
    let wasm = std::fs::read(input)?;
    match contender {
        Contender::Ours => {
            let options = CompileOptions {
                threads: Some(threads).filter(|threads| *threads > 0),
                ..CompileOptions::default()
            };
            trampette::compile_component(&wasm, &options)?.write(output)
        }
        peer => {
            let compiled = Peer::new(peer)?.engine.precompile_component(&wasm)?;
            Ok(std::fs::write(output, compiled)?)
        }
    }
}
