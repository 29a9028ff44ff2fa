//! Fuzzing: random core modules and components are run by Trampette and by another engine, and what
//! can be observed is compared; the command line's parsers and the hosts of WASI are given what
//! nobody would.
//!
//! | file | what |
//! | --- | --- |
//! | `random` | random numbers and values |
//! | `properties` | seeds whose cases have nothing to be compared with: what must hold, does |
//! | `command_line` | such a case: options, calls and names as they could be typed |
//! | `values` | component-level types and values for it |
//! | `wasi`, `wasi_guest` | such a case: calls of WASI in any order; the guests that make them |
//! | `sandbox` | what such calls may touch of the system, and what they did |
//! | `memory` | how much memory is allocated |
//! | `clock` | how long something takes, whatever else the machine does (of `tests/support`) |
//!
//! With the feature `peer`:
//!
//! | file | what |
//! | --- | --- |
//! | `differential` | all seeds |
//! | `value` | values that both engines know; what host functions return |
//! | `generate` | random core modules |
//! | `interface` | what a module imports and exports, and which calls to make |
//! | `crafted` | random core modules for linking: small functions, tables that are shared |
//! | `compose`, `observer` | several such modules as components; a module that reads their state |
//! | `options` | the ways in which Trampette compiles |
//! | `ours`, `peer` | running a case in each engine, which gives a trace |
//! | `trace` | traces, and comparing them |
//! | `case` | one seed: generate, run everywhere, compare |
//! | `report` | counts, and divergences on disk |

#[cfg(feature = "peer")]
mod case;
#[path = "../../tests/support/clock.rs"]
mod clock;
mod command_line;
#[cfg(feature = "peer")]
mod compose;
#[cfg(feature = "peer")]
mod crafted;
#[cfg(feature = "peer")]
mod differential;
#[cfg(feature = "peer")]
mod generate;
#[cfg(feature = "peer")]
mod interface;
mod memory;
#[cfg(feature = "peer")]
mod observer;
#[cfg(feature = "peer")]
mod options;
#[cfg(feature = "peer")]
mod ours;
#[cfg(feature = "peer")]
mod peer;
mod properties;
mod random;
#[cfg(feature = "peer")]
mod report;
mod sandbox;
#[cfg(feature = "peer")]
mod trace;
#[cfg(feature = "peer")]
mod value;
mod values;
mod wasi;
mod wasi_guest;

use anyhow::{Context, Result};
use clap::{Parser, ValueEnum};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// What to generate.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Mode {
    /// Core modules, compared with the peer.
    #[cfg(feature = "peer")]
    Core,
    /// Components, compared with the peer.
    #[cfg(feature = "peer")]
    Components,
    /// Core modules for even seeds, components for odd ones.
    #[cfg(feature = "peer")]
    Both,
    /// What the command line parses: options, calls, names.
    CommandLine,
    /// Calls of WASI with extreme numbers.
    Wasi,
}

/// Fuzz Trampette: against another engine, or one of its interfaces.
#[derive(Parser)]
pub struct Arguments {
    /// The first seed; the cases have this and the following ones.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Stop after this many cases.
    #[arg(long)]
    cases: Option<u64>,
    /// Stop after this many minutes.
    #[arg(long)]
    minutes: Option<f64>,
    /// Cases at a time.
    #[arg(long, default_value_t = 1)]
    threads: usize,
    /// What to generate; `both` alternates.
    #[arg(long, value_enum)]
    #[cfg_attr(feature = "peer", arg(default_value_t = Mode::Both))]
    mode: Mode,
    /// Run this module or component, which was saved before, instead of generating; seeds choose
    /// the calls.
    #[cfg(feature = "peer")]
    #[arg(long)]
    replay: Option<PathBuf>,
    /// Write divergent modules and components, or what failed, to this folder.
    #[arg(long)]
    save: Option<PathBuf>,
    /// Write the case of every seed to the folder, divergent or not.
    #[cfg(feature = "peer")]
    #[arg(long, requires = "save")]
    save_all: bool,
    /// Print the traces of every case.
    #[arg(long)]
    verbose: bool,
}

impl Arguments {
    /// Whether a seed is no longer to be run.
    fn is_over(&self, seed: u64, start: Instant) -> bool {
        let done = seed - self.seed;
        let time = self.minutes;
        let time = time.map(|minutes| Duration::from_secs_f64(minutes * 60.0));
        self.cases.is_some_and(|cases| done >= cases)
            || time.is_some_and(|time| start.elapsed() >= time)
    }
}

fn main() -> Result<ExitCode> {
    let mut arguments = Arguments::parse();
    if arguments.cases.is_none() && arguments.minutes.is_none() {
        arguments.cases = Some(1000);
    }
    if let Some(folder) = &arguments.save {
        std::fs::create_dir_all(folder).context("cannot make the folder for divergences")?;
    }
    match arguments.mode {
        #[cfg(feature = "peer")]
        Mode::Core => differential::run(arguments, case::Mode::Core),
        #[cfg(feature = "peer")]
        Mode::Components => differential::run(arguments, case::Mode::Components),
        #[cfg(feature = "peer")]
        Mode::Both => differential::run(arguments, case::Mode::Both),
        Mode::CommandLine => properties::run(&arguments, || Ok(command_line::case)),
        Mode::Wasi => properties::run(&arguments, wasi::cases),
    }
}
