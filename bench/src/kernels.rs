//! G: C programs as components and as native programs of the same compiler; CPU time of whole
//! processes, less that of a run that does nothing, over native.

use crate::child;
use crate::fixtures;
use crate::instances::{PeerWasi, peer_run_export};
use crate::loading::peer_command;
use crate::measure::{Contender, Figures, Row};
use crate::peer::Peer;
use crate::session::Session;
use anyhow::{Context, Result, bail, ensure};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

/// One program of one round.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Program {
    Native,
    Component(Contender),
    /// The same while something waits that could interrupt it.
    Interruptible(Contender),
}

/// Long enough for no kernel to be interrupted.
const TIMEOUT: &str = "100000";

/// What one kernel gave.
struct Outcome {
    /// CPU time over native.
    over_native: Figures,
    /// CPU time of an interruptible run over one that is not.
    interruptible: Figures,
}

/// Runs the section.
pub fn run(session: &Session) {
    if let Err(error) = run_all(session) {
        session.failed("G", &error);
    }
}

fn run_all(session: &Session) -> Result<()> {
    let folder = match &session.places.kernels {
        Some(folder) => folder.clone(),
        None => fixtures::own_kernels(session)?,
    };
    let mut sources: Vec<PathBuf> = std::fs::read_dir(&folder)?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<_>>()?;
    sources.retain(|path| path.extension().is_some_and(|extension| extension == "c"));
    sources.sort();
    let mut rows: Vec<Figures> = Vec::new();
    let mut interruptible: Vec<Figures> = Vec::new();
    for source in sources {
        let name = source.file_stem().context("no name")?.to_string_lossy();
        for simd in [Simd::No, Simd::Yes] {
            let bench = format!("G.{name}{}", simd.suffix());
            // Only one kernel has a target with SIMD.
            let has_target = simd == Simd::No || crate::targets::find(&bench).is_some();
            let mut benches = [&bench, "G.geometric-mean", "G.interruptible"].into_iter();
            if !has_target || !benches.any(|bench| session.wants(bench)) {
                continue;
            }
            match kernel(session, &source, &name, simd) {
                Ok(outcome) => {
                    if simd == Simd::No {
                        rows.push(outcome.over_native.clone());
                        interruptible.push(outcome.interruptible);
                    }
                    session.print(&row(&bench, outcome.over_native));
                }
                Err(error) => session.failed(&bench, &error),
            }
        }
    }
    if session.wants("G.geometric-mean") && !rows.is_empty() {
        session.print(&row("G.geometric-mean", geometric_mean(&rows)));
    }
    if session.wants("G.interruptible") && !interruptible.is_empty() {
        session.print(&Row {
            bench: "G.interruptible".to_string(),
            unit: "x".to_string(),
            figures: geometric_mean(&interruptible),
        });
    }
    Ok(())
}

fn row(bench: &str, figures: Figures) -> Row {
    Row {
        bench: bench.to_string(),
        unit: "x native".to_string(),
        figures,
    }
}

fn geometric_mean(rows: &[Figures]) -> Figures {
    let mut logarithms: BTreeMap<Contender, Vec<f64>> = BTreeMap::new();
    for (contender, figure) in rows.iter().flatten() {
        logarithms.entry(*contender).or_default().push(figure.ln());
    }
    logarithms
        .into_iter()
        .filter(|(_, logs)| logs.len() == rows.len())
        .map(|(contender, logs)| {
            let mean = logs.iter().sum::<f64>() / logs.len() as f64;
            (contender, mean.exp())
        })
        .collect()
}

/// Whether the guest may use vectors. Native code always may use those of the baseline.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Simd {
    No,
    Yes,
}

impl Simd {
    fn suffix(self) -> &'static str {
        match self {
            Simd::No => "",
            Simd::Yes => "-simd",
        }
    }

    fn flags(self) -> &'static [&'static str] {
        match self {
            Simd::No => &[],
            Simd::Yes => &["-msimd128"],
        }
    }
}

/// CPU time of each contender over native.
fn kernel(session: &Session, source: &Path, name: &str, simd: Simd) -> Result<Outcome> {
    let name = format!("{name}{}", simd.suffix());
    let native = session.scratch(&format!("{name}.native"));
    compile_c(source, &native, &["-mcpu=x86_64", "-lm"])?;
    let core = session.scratch(&format!("{name}.core.wasm"));
    let mut flags = vec!["-target", "wasm32-wasi"];
    flags.extend(simd.flags());
    compile_c(source, &core, &flags)?;
    let wasm = trampette::input::component_from_module(&std::fs::read(&core)?)?;
    session.add_input(&name, &wasm);

    let mut programs = vec![
        (Program::Native, Command::new(&native)),
        (
            Program::Component(Contender::Ours),
            session.ours_command(&session.ours_artifact(&name)?)?,
        ),
    ];
    programs.extend(peer_programs(session, &name)?);
    if session.wants("G.interruptible") {
        programs.extend(interruptible_programs(session, &name)?);
    }

    let rounds = if session.effort.quick { 1 } else { 5 };
    let mut idle = BTreeMap::new();
    for (program, command) in &programs {
        let mut least = f64::INFINITY;
        for _ in 0..3 {
            let outcome = child::measure(&mut with_argument(command, "0"))?;
            least = least.min(outcome.cpu.as_secs_f64());
        }
        idle.insert(*program, least);
    }
    let mut times: BTreeMap<Program, f64> = BTreeMap::new();
    let mut answers = Vec::new();
    for _ in 0..rounds {
        for (program, command) in &mut programs {
            let outcome = child::measure(command)?;
            // Every kernel prints its name, its own time, and a checksum.
            answers.push(outcome.output.split_whitespace().last().map(str::to_string));
            let time = outcome.cpu.as_secs_f64() - idle[program];
            let figure = times.entry(*program).or_insert(f64::INFINITY);
            *figure = figure.min(time);
        }
    }
    answers.dedup();
    ensure!(answers.len() == 1, "answers differ: {answers:?}");
    let native = times[&Program::Native];
    let mut figures = Outcome {
        over_native: Figures::new(),
        interruptible: Figures::new(),
    };
    for (program, time) in &times {
        match program {
            Program::Native => {}
            Program::Component(contender) => {
                figures.over_native.insert(*contender, time / native);
            }
            Program::Interruptible(contender) => {
                let without = times[&Program::Component(*contender)];
                figures.interruptible.insert(*contender, time / without);
            }
        }
    }
    Ok(figures)
}

/// Runs with a timeout, by the command lines that have one.
fn interruptible_programs(session: &Session, name: &str) -> Result<Vec<(Program, Command)>> {
    let artifact = session.ours_artifact(name)?;
    let mut ours = Command::new(session.ours_command(&artifact)?.get_program());
    ours.args(["--timeout", TIMEOUT]).arg(artifact);
    let mut programs = vec![(Program::Interruptible(Contender::Ours), ours)];
    if let Some(cli) = session.peer_cli() {
        let compiling = ["-W", "epoch-interruption=y"];
        let running = ["-W", &format!("timeout={TIMEOUT}s")];
        let file = peer_cli_artifact(session, &cli, name, "epoch", &compiling, &running)?;
        let command = peer_command(&cli, &running, &file);
        let contender = Contender::PeerDefault;
        programs.push((Program::Interruptible(contender), command));
    }
    Ok(programs)
}

fn with_argument(command: &Command, argument: &str) -> Command {
    let mut copy = Command::new(command.get_program());
    copy.args(command.get_args()).arg(argument);
    copy
}

/// The peer's command line if there is one, else its library in a child of ours.
fn peer_programs(session: &Session, name: &str) -> Result<Vec<(Program, Command)>> {
    let configurations: [(Contender, &[&str]); 2] = [
        (Contender::PeerDefault, &[]),
        (Contender::PeerInlined, &["-C", "inlining=y"]),
    ];
    let mut programs = Vec::new();
    for (contender, flags) in configurations {
        let command = match session.peer_cli() {
            Some(cli) => {
                let file = peer_cli_artifact(session, &cli, name, contender.name(), flags, flags)?;
                peer_command(&cli, flags, &file)
            }
            None => {
                let peer = session.peer(contender)?;
                let file = session.peer_artifact(peer, name)?;
                let mut command = Command::new(std::env::current_exe()?);
                command.args(["--child", "run-peer", contender.name()]);
                command.arg(file);
                command
            }
        };
        programs.push((Program::Component(contender), command));
    }
    Ok(programs)
}

/// An input compiled by the peer's command line, with flags for compiling and for running it.
pub fn peer_cli_artifact(
    session: &Session,
    cli: &Path,
    input: &str,
    suffix: &str,
    compiling: &[&str],
    running: &[&str],
) -> Result<PathBuf> {
    let output = session.scratch(&format!("{input}.{suffix}.cli.cwasm"));
    let mut command = Command::new(cli);
    command.arg("compile").args(compiling);
    command
        .arg(session.input_file(input)?)
        .arg("-o")
        .arg(&output);
    child::measure(&mut command)?;
    // That it runs at all is seen here rather than as a strange figure.
    child::measure(peer_command(cli, running, &output).arg("0")).context("a first run")?;
    Ok(output)
}

/// Compiles with the same clang for guest and host: `zig cc`, as a Python package or by itself.
fn compile_c(source: &Path, output: &Path, flags: &[&str]) -> Result<()> {
    let mut failures = Vec::new();
    for compiler in [&["python3", "-m", "ziglang"][..], &["zig"][..]] {
        let mut command = Command::new(compiler[0]);
        command.args(&compiler[1..]).args(["cc", "-O2", "-o"]);
        command.arg(output).arg(source).args(flags);
        match command.output() {
            Ok(done) if done.status.success() => return Ok(()),
            Ok(done) => failures.push(String::from_utf8_lossy(&done.stderr).into_owned()),
            Err(error) => failures.push(error.to_string()),
        }
    }
    bail!(
        "cannot compile {}: {}",
        source.display(),
        failures.join("; ")
    )
}

/// In a child: runs a precompiled command with the peer's library.
pub fn run_peer_in_child(contender: Contender, file: &Path, arguments: &[&str]) -> Result<()> {
    use wasmtime::Store;
    use wasmtime::component::{Component, Linker};
    let peer = Peer::new(contender)?;
    // SAFETY: the parent's file, which it does not change.
    let component = unsafe { Component::deserialize_file(&peer.engine, file)? };
    let mut linker = Linker::<PeerWasi>::new(&peer.engine);
    wasmtime_wasi::p2::add_to_linker_sync(&mut linker)?;
    let mut context = wasmtime_wasi::WasiCtx::builder();
    context.inherit_stdio().arg("kernel").args(arguments);
    let mut store = Store::new(&peer.engine, PeerWasi::new(context.build()));
    let instance = linker.instantiate(&mut store, &component)?;
    let run = peer_run_export(&peer.engine, &component).context("no command")?;
    let run = instance.get_typed_func::<(), (Result<(), ()>,)>(&mut store, run)?;
    let (outcome,) = run.call(&mut store, ())?;
    ensure!(outcome.is_ok(), "the guest failed");
    Ok(())
}
