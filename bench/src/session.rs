//! What all sections share: which benches are wanted, inputs, both engines, the rows so far.

use crate::fixtures;
use crate::measure::{self, Contender, Effort, Figures, Row, Sample};
use crate::peer::Peer;
use anyhow::{Context, Result, ensure};
use std::cell::{OnceCell, RefCell};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;
use trampette::CompileOptions;
use trampette_runtime::Component;

/// Where things are.
#[derive(Clone, Debug, Default)]
pub struct Places {
    /// Fixtures, instead of the package's own.
    pub fixtures: Option<PathBuf>,
    /// Sources of kernels, instead of the package's own.
    pub kernels: Option<PathBuf>,
    /// Larger programs: `hello.wasm`, `lua.wasm`, `js-library.wasm`.
    pub inputs: Option<PathBuf>,
    /// `trampette-run`.
    pub ours_cli: Option<PathBuf>,
    /// `wasmtime`.
    pub peer_cli: Option<PathBuf>,
}

/// How rows are printed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    /// For reading.
    Table,
    /// One JSON object a line.
    Json,
}

/// One run of the benches.
pub struct Session {
    /// Where things are.
    pub places: Places,
    /// How long to measure.
    pub effort: Effort,
    /// The peer's configurations.
    pub peers: Vec<Peer>,
    /// The same with support of concurrency, made when they are needed.
    concurrent_peers: OnceCell<Vec<Peer>>,
    only: Vec<String>,
    format: Format,
    components: RefCell<HashMap<String, Component>>,
    inputs: RefCell<HashMap<String, Vec<u8>>>,
    /// Compiled files.
    scratch: TempDir,
}

impl Session {
    /// A run of the benches whose names start with one of `only`, or of all.
    pub fn new(
        places: Places,
        effort: Effort,
        only: Vec<String>,
        format: Format,
    ) -> Result<Session> {
        let peers = Contender::PEERS.map(Peer::new);
        Ok(Session {
            places,
            effort,
            peers: peers.into_iter().collect::<Result<_>>()?,
            concurrent_peers: OnceCell::new(),
            only,
            format,
            components: RefCell::default(),
            inputs: RefCell::default(),
            scratch: tempfile::tempdir()?,
        })
    }

    /// Whether a bench was asked for.
    pub fn wants(&self, bench: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| bench.starts_with(&**only))
    }

    /// Whether any bench of a section may have been asked for.
    pub fn wants_section(&self, section: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| only.starts_with(section))
    }

    /// The binary of a component: a text of the fixtures (`tiny.wat`), or an input (`hello`).
    pub fn wasm(&self, name: &str) -> Result<Vec<u8>> {
        if let Some(wasm) = self.inputs.borrow().get(name) {
            return Ok(wasm.clone());
        }
        match (name.ends_with(".wat"), &self.places.fixtures) {
            (true, Some(folder)) => wat::parse_file(folder.join(name)).map_err(Into::into),
            (true, None) => wat::parse_str(fixtures::own(name)?).with_context(|| name.to_string()),
            (false, _) => match self.file_of_input(name) {
                Some(path) => std::fs::read(&path).with_context(|| path.display().to_string()),
                None => fixtures::own_input(name),
            },
        }
    }

    fn file_of_input(&self, name: &str) -> Option<PathBuf> {
        let file = match name {
            "js" => "js-library.wasm".to_string(),
            _ => format!("{name}.wasm"),
        };
        let path = self.places.inputs.as_ref()?.join(file);
        path.exists().then_some(path)
    }

    /// Whether there is an input of that name.
    pub fn has_input(&self, name: &str) -> bool {
        self.wasm(name).is_ok()
    }

    /// Adds a component made in this run.
    pub fn add_input(&self, name: &str, wasm: &[u8]) {
        let mut inputs = self.inputs.borrow_mut();
        inputs.insert(name.to_string(), wasm.to_vec());
    }

    /// A path for a file of this run.
    pub fn scratch(&self, name: &str) -> PathBuf {
        self.scratch.path().join(name)
    }

    /// A component as a file.
    pub fn input_file(&self, name: &str) -> Result<PathBuf> {
        let path = self.scratch(&format!("{name}.wasm"));
        if !path.exists() {
            std::fs::write(&path, self.wasm(name)?)?;
        }
        Ok(path)
    }

    /// A component compiled by Trampette, as a file.
    pub fn ours_artifact(&self, name: &str) -> Result<PathBuf> {
        let path = self.scratch(&format!("{name}.elf"));
        if !path.exists() {
            let options = CompileOptions::default();
            trampette::compile_component(&self.wasm(name)?, &options)?.write(&path)?;
        }
        Ok(path)
    }

    /// A component compiled by a configuration of the peer, as a file.
    pub fn peer_artifact(&self, peer: &Peer, name: &str) -> Result<PathBuf> {
        let path = self.scratch(&format!("{name}.{}.cwasm", peer.contender.name()));
        if !path.exists() {
            let compiled = peer.engine.precompile_component(&self.wasm(name)?)?;
            std::fs::write(&path, compiled)?;
        }
        Ok(path)
    }

    /// A configuration of the peer.
    pub fn peer(&self, contender: Contender) -> Result<&Peer> {
        let peer = self.peers.iter().find(|peer| peer.contender == contender);
        peer.context("that is not the peer")
    }

    /// Trampette's command line on an artifact.
    pub fn ours_command(&self, artifact: &Path) -> Result<Command> {
        let built = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../target/release/trampette-run"
        );
        let cli = match &self.places.ours_cli {
            Some(cli) => cli.clone(),
            None => PathBuf::from(built),
        };
        ensure!(
            cli.exists(),
            "{} does not exist: build it with `cargo build --release -p trampette-runner`, or give \
             --ours-cli",
            cli.display()
        );
        let mut command = Command::new(cli);
        command.arg(artifact);
        Ok(command)
    }

    /// The peer's command line, if there is one.
    pub fn peer_cli(&self) -> Option<PathBuf> {
        if let Some(cli) = &self.places.peer_cli {
            return Some(cli.clone());
        }
        let found = Command::new("wasmtime").arg("--version").output().ok()?;
        found.status.success().then(|| PathBuf::from("wasmtime"))
    }

    /// A fixture compiled by Trampette and loaded.
    pub fn component(&self, name: &str) -> Result<Component> {
        if let Some(component) = self.components.borrow().get(name) {
            return Ok(component.clone());
        }
        // SAFETY: a file of our own that nobody changes while the session lives.
        let component = unsafe { Component::from_file(self.ours_artifact(name)?)? };
        let mut components = self.components.borrow_mut();
        components.insert(name.to_string(), component.clone());
        Ok(component)
    }

    /// Measures a bench, if it was asked for, and prints its row. What fails is printed too, and
    /// does not end the run.
    pub fn compare(
        &self,
        bench: &str,
        ours: impl FnOnce() -> Result<Sample>,
        peer: impl Fn(&Peer) -> Result<Sample>,
    ) {
        self.compare_with(&self.peers, bench, ours, peer);
    }

    /// The same with the peer's support of concurrency, which its best configurations elsewhere do
    /// without.
    pub fn compare_concurrent(
        &self,
        bench: &str,
        ours: impl FnOnce() -> Result<Sample>,
        peer: impl Fn(&Peer) -> Result<Sample>,
    ) {
        if !self.wants(bench) {
            return;
        }
        if self.concurrent_peers.get().is_none() {
            let peers = Contender::PEERS.map(Peer::concurrent);
            match peers.into_iter().collect::<Result<Vec<_>>>() {
                Ok(peers) => drop(self.concurrent_peers.set(peers)),
                Err(error) => return self.failed(bench, &error),
            }
        }
        let peers = self.concurrent_peers.get().map(Vec::as_slice);
        self.compare_with(peers.unwrap_or_default(), bench, ours, peer);
    }

    fn compare_with(
        &self,
        peers: &[Peer],
        bench: &str,
        ours: impl FnOnce() -> Result<Sample>,
        peer: impl Fn(&Peer) -> Result<Sample>,
    ) {
        if !self.wants(bench) {
            return;
        }
        let measured = || -> Result<Figures> {
            let mut contenders = vec![(Contender::Ours, ours()?)];
            for one in peers {
                let sample = peer(one).with_context(|| one.contender.name().to_string())?;
                contenders.push((one.contender, sample));
            }
            measure::in_turn(contenders, self.effort)
        };
        match measured() {
            Ok(figures) => self.print(&Row::of_seconds(bench, figures)),
            Err(error) => self.failed(bench, &error),
        }
    }

    /// Prints the heading.
    pub fn start(&self) {
        if self.format == Format::Table {
            println!("{}", Row::heading());
        }
    }

    /// Prints a row.
    pub fn print(&self, row: &Row) {
        match self.format {
            Format::Table => println!("{}", row.line()),
            Format::Json => println!("{}", row.json()),
        }
    }

    /// Says why a bench has no row.
    pub fn failed(&self, bench: &str, error: &anyhow::Error) {
        eprintln!("{bench}: {error:#}");
    }
}
