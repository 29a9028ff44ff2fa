//! One seed: a case is generated, run by the peer and in two ways by Trampette, and compared.

use crate::compose::Composition;
use crate::interface::CoreCase;
use crate::options::{describe, variants};
use crate::ours;
use crate::peer::Peer;
use crate::random::Random;
use crate::trace::{Comparison, Trace, compare};
use anyhow::Result;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// What to generate.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// Core modules.
    Core,
    /// Components.
    Components,
    /// Core modules for even seeds, components for odd ones.
    Both,
}

/// Where cases come from.
pub enum Source {
    /// From the seed.
    Generated(Mode),
    /// A module or component that was written before; only the calls are from the seed.
    File(Vec<u8>),
}

/// What became of a case.
#[derive(Debug)]
pub enum Verdict {
    /// All engines did the same.
    Same,
    /// An engine ran out of something that they limit differently.
    Discarded,
    /// The generator made nothing; why.
    NotGenerated(String),
    /// The peer did not compile it, or could not be asked; why.
    PeerRefused(String),
    /// Something differs; what, under which options.
    Different(String),
}

/// A case that ran.
#[derive(Debug)]
pub struct CaseResult {
    /// What became of it.
    pub verdict: Verdict,
    /// The module or component.
    pub wasm: Vec<u8>,
    /// What the peer did.
    pub peer: Trace,
    /// Runs of Trampette that were compared.
    pub runs: usize,
}

impl CaseResult {
    fn without_runs(verdict: Verdict, wasm: Vec<u8>) -> CaseResult {
        CaseResult {
            verdict,
            wasm,
            peer: Trace::default(),
            runs: 0,
        }
    }
}

enum Case {
    Core(CoreCase),
    Composition(Composition),
}

impl Case {
    fn new(seed: u64, source: &Source, peer: &Peer, random: &mut Random) -> Result<Case> {
        match source {
            Source::Generated(mode) => Case::generate(seed, *mode, random),
            Source::File(wasm) if wasmparser::Parser::is_component(wasm) => {
                let exports = peer.exports(wasm)?;
                let case = Composition::of(wasm.clone(), exports, random);
                Ok(Case::Composition(case))
            }
            Source::File(wasm) => Ok(Case::Core(CoreCase::of(wasm.clone(), random)?)),
        }
    }

    fn generate(seed: u64, mode: Mode, random: &mut Random) -> Result<Case> {
        let core = match mode {
            Mode::Core => true,
            Mode::Components => false,
            Mode::Both => seed.is_multiple_of(2),
        };
        Ok(match core {
            true => Case::Core(CoreCase::generate(random)?),
            false => Case::Composition(Composition::generate(random)?),
        })
    }

    fn wasm(&self) -> &[u8] {
        match self {
            Case::Core(case) => &case.wasm,
            Case::Composition(case) => &case.wasm,
        }
    }

    fn run_peer(&self, peer: &Peer) -> Result<Trace> {
        match self {
            Case::Core(case) => peer.run_core(case),
            Case::Composition(case) => peer.run_composition(case),
        }
    }

    fn run_ours(&self, options: &trampette::CompileOptions) -> Result<Trace> {
        match self {
            Case::Core(case) => ours::run_core(case, options),
            Case::Composition(case) => ours::run_composition(case, options),
        }
    }
}

/// Runs the case of a seed.
pub fn run(seed: u64, source: &Source, peer: &Peer) -> CaseResult {
    let mut random = Random::new(seed);
    // Some cases cannot be made; the next random numbers make another one.
    let mut case = Case::new(seed, source, peer, &mut random);
    for _ in 0..4 {
        if case.is_err() {
            case = Case::new(seed, source, peer, &mut random);
        }
    }
    let case = match case {
        Ok(case) => case,
        Err(error) => {
            let verdict = Verdict::NotGenerated(format!("{error:#}"));
            return CaseResult::without_runs(verdict, Vec::new());
        }
    };
    let wasm = case.wasm().to_vec();
    let peer = match catch_unwind(AssertUnwindSafe(|| case.run_peer(peer))) {
        Ok(Ok(trace)) => trace,
        Ok(Err(error)) => {
            return CaseResult::without_runs(Verdict::PeerRefused(format!("{error:#}")), wasm);
        }
        Err(_) => {
            return CaseResult::without_runs(Verdict::PeerRefused("panic".into()), wasm);
        }
    };
    let mut result = CaseResult::without_runs(Verdict::Same, wasm);
    for options in variants(&mut random) {
        let run = catch_unwind(AssertUnwindSafe(|| case.run_ours(&options)));
        let comparison = match run {
            Ok(Ok(trace)) => compare(&trace, &peer),
            Ok(Err(error)) => Comparison::Different(format!("ours refuses: {error:#}")),
            Err(_) => Comparison::Different("ours panics".to_string()),
        };
        result.runs += 1;
        match comparison {
            Comparison::Same => {}
            Comparison::Discarded => result.verdict = Verdict::Discarded,
            Comparison::Different(how) => {
                let options = describe(&options);
                result.verdict = Verdict::Different(format!("{options}: {how}"));
                break;
            }
        }
    }
    result.peer = peer;
    result
}
