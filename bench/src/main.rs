//! Measures Trampette beside wasmtime, in one process and one run. `README.md` says how to use it.
//!
//! | module | subject |
//! | --- | --- |
//! | `targets` | what is to be reached, as data |
//! | `measure` | samples in turn, rows |
//! | `session` | what sections share |
//! | `ours`, `peer` | calls of either engine |
//! | `exports`, `imports`, `adapters` | A, B, C: calls |
//! | `instances`, `loading`, `compiling`, `kernels` | D, E, F, G |
//! | `concurrent` | H: functions of `async` types, streams |
//! | `child` | what needs a process of its own |
//! | `fixtures` | the package's own inputs |

mod adapters;
mod child;
mod compiling;
mod concurrent;
mod exports;
mod fixtures;
mod imports;
mod instances;
mod kernels;
mod loading;
mod measure;
mod ours;
mod peer;
mod session;
mod targets;

use anyhow::Result;
use clap::Parser;
use measure::Effort;
use session::{Format, Places, Session};
use std::path::PathBuf;

/// Measure Trampette beside wasmtime.
#[derive(Parser)]
struct Arguments {
    /// Folder of fixtures, instead of the package's own.
    #[arg(long, value_name = "DIR")]
    fixtures: Option<PathBuf>,
    /// Folder of kernels in C, instead of the package's own.
    #[arg(long, value_name = "DIR")]
    kernels: Option<PathBuf>,
    /// Folder with `hello.wasm`, `lua.wasm` and `js-library.wasm`; sections that need them leave
    /// out what is missing.
    #[arg(long, value_name = "DIR")]
    inputs: Option<PathBuf>,
    /// `trampette-run`; by default the release build of this checkout.
    #[arg(long, value_name = "FILE")]
    ours_cli: Option<PathBuf>,
    /// `wasmtime`; by default the one on PATH.
    #[arg(long, value_name = "FILE")]
    peer_cli: Option<PathBuf>,
    /// Only benches whose names start so: `A,C.take`.
    #[arg(long, value_delimiter = ',', value_name = "PREFIX")]
    only: Vec<String>,
    /// One JSON object a line.
    #[arg(long)]
    json: bool,
    /// Fewer and shorter samples; what takes long is left out.
    #[arg(long)]
    quick: bool,
}

fn main() -> Result<()> {
    // Neither engine's errors are to carry a backtrace of the host: D measures what a trap costs.
    // SAFETY: the only thread.
    unsafe { std::env::set_var("RUST_BACKTRACE", "0") };
    let mut words = std::env::args().skip(1);
    if words.next().as_deref() == Some("--child") {
        return child::dispatch(&words.collect::<Vec<_>>());
    }
    let arguments = Arguments::parse();
    let places = Places {
        fixtures: arguments.fixtures,
        kernels: arguments.kernels,
        inputs: arguments.inputs,
        ours_cli: arguments.ours_cli,
        peer_cli: arguments.peer_cli,
    };
    let effort = match arguments.quick {
        true => Effort::QUICK,
        false => Effort::FULL,
    };
    let format = match arguments.json {
        true => Format::Json,
        false => Format::Table,
    };
    let session = Session::new(places, effort, arguments.only, format)?;
    session.start();
    let sections: [(&str, fn(&Session)); 8] = [
        ("A", exports::run),
        ("B", imports::run),
        ("C", adapters::run),
        ("D", instances::run),
        ("E", loading::run),
        ("F", compiling::run),
        ("G", kernels::run),
        ("H", concurrent::run),
    ];
    for (name, run) in sections {
        if session.wants_section(name) {
            run(&session);
        }
    }
    Ok(())
}
