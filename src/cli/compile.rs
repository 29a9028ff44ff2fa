//! `trampette compile`.

use crate::emit::{self, Emit};
use crate::input::{self, Input};
use crate::options::{
    Bounds, CompileOptions, Inline, NanBits, OptLevel, Spectre, TargetCpu, Wit, World,
};
use anyhow::{Context, Result, bail};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use std::io::IsTerminal;
use std::path::PathBuf;
use std::time::Duration;

/// Options that shape the code, shared by `compile`, `run` and `inspect`.
#[derive(Args, Clone)]
pub(super) struct CodeArguments {
    /// Optimisation level: 0, 1 or 2.
    #[arg(short = 'O', value_name = "LEVEL", default_value = "2")]
    opt_level: OptLevel,
    /// The processors to compile for: x86-64-v2, x86-64-v3, x86-64-v4 or native.
    #[arg(long, value_name = "LEVEL", default_value = "x86-64-v3")]
    target_cpu: TargetCpu,
    /// How accesses to memories are checked: guard or explicit.
    #[arg(long, value_name = "HOW", default_value = "guard")]
    bounds: Bounds,
    /// Keep every call: do not put functions in the place of calls to them.
    #[arg(long)]
    no_inline: bool,
    /// Make every NaN that an instruction gives canonical.
    #[arg(long)]
    canonical_nans: bool,
    /// Guard checked accesses of memories and tables against speculation (Spectre).
    #[arg(long)]
    spectre_mitigations: bool,
    /// Worker threads; one a core by default.
    #[arg(short, long, value_name = "N")]
    jobs: Option<usize>,
    /// The import that provides unsafe intrinsics (raw access to the host's memory).
    #[arg(long, value_name = "IMPORT")]
    unsafe_intrinsics: Option<String>,
    /// A core module that the component imports: the import's name, and the module (binary or
    /// text). For a module of an imported instance the name is the chain of names with `#` between
    /// them; for what a core module on its own imports, the first of the two names.
    #[arg(long = "core-module", value_name = "IMPORT=FILE", value_parser = core_module)]
    core_modules: Vec<(String, Vec<u8>)>,
}

/// Reads the module of `IMPORT=FILE`.
fn core_module(argument: &str) -> Result<(String, Vec<u8>), String> {
    let (name, path) = argument.rsplit_once('=').ok_or("expected IMPORT=FILE")?;
    let bytes = std::fs::read(path).map_err(|error| format!("cannot read {path}: {error}"))?;
    let module = wat::parse_bytes(&bytes).map_err(|error| format!("{path}: {error}"))?;
    Ok((name.to_string(), module.into_owned()))
}

impl CodeArguments {
    /// The library's options.
    pub(super) fn options(&self) -> CompileOptions {
        CompileOptions {
            opt_level: self.opt_level,
            target_cpu: self.target_cpu,
            bounds: self.bounds,
            inline: match self.no_inline {
                true => Inline::Never,
                false => Inline::Worthwhile,
            },
            nan: match self.canonical_nans {
                true => NanBits::Canonical,
                false => NanBits::Any,
            },
            spectre: match self.spectre_mitigations {
                true => Spectre::Mitigated,
                false => Spectre::Ignored,
            },
            threads: self.jobs,
            unsafe_intrinsics_import: self.unsafe_intrinsics.clone(),
            core_modules: self.core_modules.iter().cloned().collect(),
            world: None,
        }
    }
}

/// Arguments of `trampette compile`.
#[derive(Args)]
pub(super) struct CompileArguments {
    /// The component, or a core module to be compiled on its own: `.wasm` or `.wat`.
    input: PathBuf,
    /// The artifact; the input's name with the extension `.elf` by default.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Print a stage's result instead of writing an artifact (`elf` writes it).
    #[arg(long, value_enum, default_value_t = EmitArgument::Elf)]
    emit: EmitArgument,
    /// The WIT of a world that the component must fit: a file, or a folder that may have `deps`.
    #[arg(long, value_name = "PATH")]
    wit: Option<PathBuf>,
    /// The world's name, with or without its package; needed if the WIT has several.
    #[arg(long, value_name = "NAME", requires = "wit")]
    world: Option<String>,
    /// Print how long each phase took.
    #[arg(long)]
    time: bool,
    /// Print what was pruned, inlined and transferred, and the bytes of each section.
    #[arg(long)]
    stats: bool,
    #[command(flatten)]
    code: CodeArguments,
}

#[derive(clap::ValueEnum, Clone, Copy)]
enum EmitArgument {
    Plan,
    Clif,
    Asm,
    Elf,
}

impl EmitArgument {
    fn stage(self) -> Option<Emit> {
        match self {
            EmitArgument::Plan => Some(Emit::Plan),
            EmitArgument::Clif => Some(Emit::Clif),
            EmitArgument::Asm => Some(Emit::Assembly),
            EmitArgument::Elf => None,
        }
    }
}

/// Compiles, or prints what was asked for.
pub(super) fn compile(arguments: &CompileArguments) -> Result<()> {
    let name = arguments.input.display();
    let (wasm, is_component) = match input::read(&arguments.input)? {
        Input::Component(wasm) => (wasm, true),
        Input::CoreModule(wasm) => (wasm, false),
        Input::Artifact(_) => bail!("{name} is already compiled"),
    };
    if !is_component && arguments.wit.is_some() {
        bail!("{name} is a core module, which fits no world of WIT");
    }
    let mut options = arguments.code.options();
    options.world = arguments.wit.clone().map(|path| World {
        wit: Wit::Path(path),
        name: arguments.world.clone(),
    });
    if let Some(stage) = arguments.emit.stage() {
        let listing = match is_component {
            true => emit::listing(&wasm, &options, stage, "")?,
            false => emit::module_listing(&wasm, &options, stage)?,
        };
        return super::print(&listing);
    }
    let output = arguments
        .output
        .clone()
        .unwrap_or_else(|| arguments.input.with_extension("elf"));
    let progress = progress_bar(&format!("compiling {}", arguments.input.display()));
    let compiled = match is_component {
        true => crate::compile_component(&wasm, &options),
        false => crate::compile_module(&wasm, &options),
    };
    progress.finish_and_clear();
    let artifact = compiled.with_context(|| arguments.input.display().to_string())?;
    artifact.write(&output)?;
    if arguments.time {
        super::print(&artifact.report().times())?;
    }
    if arguments.stats {
        super::print(&artifact.report().statistics.to_string())?;
    }
    Ok(())
}

/// A spinner on standard error if it is a terminal, and nothing otherwise.
pub(super) fn progress_bar(message: &str) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new_spinner().with_message(message.to_string());
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} [{elapsed}]") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}
