//! E: loading precompiled files, and starting a process that runs one.

use crate::child;
use crate::measure::{Contender, Figures, Row, Sample, repeated};
use crate::session::Session;
use anyhow::{Context, Result};
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Runs the section.
pub fn run(session: &Session) {
    let benches = [
        ("E.load-tiny", "tiny.wat"),
        ("E.load-hello", "hello"),
        ("E.load-lua", "lua"),
        ("E.load-js", "js"),
    ];
    for (bench, input) in benches {
        if !session.has_input(input) || (input == "js" && session.effort.quick) {
            continue;
        }
        session.compare(
            bench,
            || Ok(ours(session.ours_artifact(input)?)),
            |peer| {
                let file = session.peer_artifact(peer, input)?;
                let engine = peer.engine.clone();
                Ok(repeated(move || {
                    // SAFETY: written by this engine, changed by nobody.
                    let component = unsafe {
                        wasmtime::component::Component::deserialize_file(&engine, &file)?
                    };
                    black_box(component);
                    Ok(())
                }))
            },
        );
    }
    process(session, "E.process-hello");
}

/// Both map the file and trust what the compiler wrote.
fn ours(file: PathBuf) -> Sample {
    repeated(move || {
        // SAFETY: a file of our own that nobody changes.
        let component = unsafe { trampette_runtime::Component::from_file(&file)? };
        black_box(component);
        Ok(())
    })
}

/// A whole process that runs a precompiled command, by the command lines of both.
fn process(session: &Session, bench: &str) {
    if !session.wants(bench) {
        return;
    }
    let measured = || -> Result<Figures> {
        let mut commands = vec![(
            Contender::Ours,
            session.ours_command(&session.ours_artifact("hello")?)?,
        )];
        if let Some(cli) = session.peer_cli() {
            let file = crate::kernels::peer_cli_artifact(session, &cli, "hello", "", &[], &[])?;
            commands.push((Contender::PeerDefault, peer_command(&cli, &[], &file)));
        }
        let mut figures = Figures::new();
        for _ in 0..session.effort.rounds {
            for (contender, command) in &mut commands {
                let time = child::measure(command)?.wall.as_secs_f64();
                let figure = figures.entry(*contender).or_insert(f64::INFINITY);
                *figure = figure.min(time);
            }
        }
        Ok(figures)
    };
    match measured().context("starting processes") {
        Ok(figures) => session.print(&Row::of_seconds(bench, figures)),
        Err(error) => session.failed(bench, &error),
    }
}

/// How the peer's command line runs a precompiled file, with flags.
pub fn peer_command(cli: &Path, flags: &[&str], file: &Path) -> Command {
    let mut command = Command::new(cli);
    command.arg("run").args(flags);
    command.arg("--allow-precompiled").arg(file);
    command
}
