//! `trampette compile`.

use super::Verbosity;
use super::files::{self, Contents};
use crate::artifact::Artifact;
use crate::component::names_of_imports;
use crate::emit::{self, Emit};
use crate::input::{self, Input};
use crate::options::{
    Blocking, Bounds, CompileOptions, DebugInfo, GuestDebugInfo, Inline, NanBits, OptLevel,
    Progress, Proposals, Spectre, TargetCpu, Wit, World,
};
use crate::report::Statistics;
use anyhow::{Context, Result, anyhow, bail, ensure};
use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use indicatif::{ProgressBar, ProgressState, ProgressStyle};
use serde_json::json;
use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::{Duration, Instant};
use trampette_runner::output;

/// Options that shape the code, shared by `compile`, `run`, `inspect` and `wast`.
#[derive(Args, Clone)]
#[command(next_help_heading = "Code generation")]
pub(super) struct CodeArguments {
    /// Optimise: 0 compiles fastest, 1 makes small code, 2 fast code [default: 2]
    #[arg(short = 'O', value_name = "LEVEL", value_parser = one_of::<OptLevel>(&["0", "1", "2"]))]
    opt_level: Option<OptLevel>,
    /// The processors to compile for [default: x86-64-v3]
    #[arg(long, value_name = "LEVEL", value_parser = one_of::<TargetCpu>(&TARGET_CPUS))]
    target_cpu: Option<TargetCpu>,
    /// How accesses to memories are checked [default: guard]
    #[arg(long, value_name = "HOW", value_parser = one_of::<Bounds>(&["guard", "explicit"]))]
    bounds: Option<Bounds>,
    /// Keep every call: do not put functions in the place of calls to them
    #[arg(long)]
    no_inline: bool,
    /// Make every NaN that an instruction gives canonical
    #[arg(long)]
    canonical_nans: bool,
    /// Guard checked accesses of memories and tables against speculation (Spectre)
    #[arg(long)]
    spectre_mitigations: bool,
    /// Map code to source lines for debuggers and profilers
    ///
    /// The lines are those of the input's DWARF, otherwise byte offsets in the input.
    #[arg(short = 'g', long)]
    debug_info: bool,
    /// Worker threads; one a core by default
    #[arg(short, long, value_name = "N")]
    jobs: Option<NonZeroUsize>,
    /// The import that provides unsafe intrinsics (raw access to the host's memory)
    #[arg(long, value_name = "IMPORT")]
    unsafe_intrinsics: Option<String>,
    /// Bind a core module, in binary or text, to an import
    ///
    /// IMPORT is the name of a core module that the component imports; for a module of an imported
    /// instance the chain of names with `#` between them; for what a core module on its own
    /// imports, the first of the two names.
    #[arg(long = "core-module", value_name = "IMPORT=FILE", value_parser = core_module)]
    core_modules: Vec<CoreModule>,
    /// Leave the guest's debug info out, so that backtraces have no lines of its source
    #[arg(long)]
    strip: bool,
}

/// The names of [`TargetCpu::ALL`].
const TARGET_CPUS: [&str; TargetCpu::ALL.len()] = {
    let mut names = [""; TargetCpu::ALL.len()];
    let mut index = 0;
    while index < names.len() {
        names[index] = TargetCpu::ALL[index].name();
        index += 1;
    }
    names
};

/// A value that is one of these names.
fn one_of<T>(names: &'static [&'static str]) -> impl TypedValueParser<Value = T>
where
    T: FromStr<Err = anyhow::Error> + Clone + Send + Sync + 'static,
{
    PossibleValuesParser::new(names).try_map(|name| name.parse::<T>())
}

/// A core module that was given by name.
#[derive(Clone)]
struct CoreModule {
    import: String,
    path: PathBuf,
    bytes: Vec<u8>,
}

/// How an input is taken, everywhere but in `wast`.
#[derive(Args, Clone, Copy, Debug)]
#[command(next_help_heading = "Code generation")]
pub(super) struct InputArguments {
    /// Make a component of a core module that targets WASI preview 1, by an adapter
    #[arg(long)]
    as_component: bool,
    /// Let the component use what is not settled: `forward`, `threads`, or both with a comma
    ///
    /// `forward` is `stream.forward` and `future.forward`; `threads` are cooperative threads
    /// (`thread.new-indirect` and what belongs to it). How they look and what they do may change.
    #[arg(long, value_name = "NAMES")]
    proposals: Option<Proposals>,
}

impl InputArguments {
    /// Reads it.
    pub(super) fn read(self, path: &Path) -> Result<Input> {
        let input = input::read(path)?;
        match self.as_component {
            true => input.into_component().with_context(|| input::name(path)),
            false => Ok(input),
        }
    }

    /// The library's options for what is taken like this.
    pub(super) fn options(self, code: &CodeArguments) -> CompileOptions {
        CompileOptions {
            proposals: self.proposals.unwrap_or_default(),
            ..code.options()
        }
    }

    /// Checks that nothing is asked for which an artifact has behind it.
    pub(super) fn refuse_for_artifact(self, path: &Path) -> Result<()> {
        ensure!(
            self.proposals.is_none(),
            "{}: --proposals is for components that are not compiled yet",
            input::name(path)
        );
        ensure!(
            !self.as_component,
            "{}: --as-component is for core modules that are not compiled yet",
            input::name(path)
        );
        Ok(())
    }
}

/// Reads the module of `IMPORT=FILE`.
fn core_module(argument: &str) -> Result<CoreModule> {
    let (import, path) = argument.rsplit_once('=').context("expected IMPORT=FILE")?;
    let path = PathBuf::from(path);
    let bytes = input::read_core_module(&path).map_err(|error| anyhow!("{error:#}"))?;
    Ok(CoreModule {
        import: import.to_string(),
        path,
        bytes,
    })
}

impl CodeArguments {
    /// The library's options for code; see [`InputArguments::options`].
    pub(super) fn options(&self) -> CompileOptions {
        let core_modules = self.core_modules.iter();
        CompileOptions {
            opt_level: self.opt_level.unwrap_or_default(),
            target_cpu: self.target_cpu.unwrap_or_default(),
            bounds: self.bounds.unwrap_or_default(),
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
            debug_info: match self.debug_info {
                true => DebugInfo::Lines,
                false => DebugInfo::None,
            },
            threads: self.jobs.map(NonZeroUsize::get),
            unsafe_intrinsics_import: self.unsafe_intrinsics.clone(),
            core_modules: core_modules
                .map(|module| (module.import.clone(), module.bytes.clone()))
                .collect(),
            world: None,
            proposals: Proposals::default(),
            guest_debug_info: match self.strip {
                true => GuestDebugInfo::Strip,
                false => GuestDebugInfo::Keep,
            },
            blocking: Blocking::default(),
            progress: Progress::default(),
        }
    }

    /// Files that are read, beside the input.
    pub(super) fn inputs(&self) -> impl Iterator<Item = &Path> {
        self.core_modules.iter().map(|module| module.path.as_path())
    }

    /// The options that were given, as they are spelt.
    fn given(&self) -> Vec<&'static str> {
        let CodeArguments {
            opt_level,
            target_cpu,
            bounds,
            no_inline,
            canonical_nans,
            spectre_mitigations,
            debug_info,
            jobs,
            unsafe_intrinsics,
            core_modules,
            strip,
        } = self;
        let all = [
            (opt_level.is_some(), "-O"),
            (target_cpu.is_some(), "--target-cpu"),
            (bounds.is_some(), "--bounds"),
            (*no_inline, "--no-inline"),
            (*canonical_nans, "--canonical-nans"),
            (*spectre_mitigations, "--spectre-mitigations"),
            (*debug_info, "--debug-info"),
            (jobs.is_some(), "--jobs"),
            (unsafe_intrinsics.is_some(), "--unsafe-intrinsics"),
            (!core_modules.is_empty(), "--core-module"),
            (*strip, "--strip"),
        ];
        let given = all.into_iter().filter(|(given, _)| *given);
        given.map(|(_, name)| name).collect()
    }

    /// Refuses options that could change nothing.
    ///
    /// # Errors
    /// If any was given for an artifact.
    pub(super) fn refuse_for_artifact(&self, path: &Path) -> Result<()> {
        match self.given()[..] {
            [] => Ok(()),
            [option, ..] => bail!(
                "{} is compiled already, so that {option} would change nothing: compile the \
                 component again",
                input::name(path)
            ),
        }
    }

    /// Refuses core modules that nothing imports.
    ///
    /// # Errors
    /// If one was given under a name that is no import's, or a name was given twice.
    pub(super) fn check_core_modules(&self, input: &Input) -> Result<()> {
        if self.core_modules.is_empty() {
            return Ok(());
        }
        // Those of a core module are checked where they are bound.
        let names = match input {
            Input::Component(wasm) => Some(names_of_imports(wasm)?),
            Input::CoreModule(_) | Input::Artifact(_) => None,
        };
        let mut seen = BTreeSet::new();
        for CoreModule { import, .. } in &self.core_modules {
            ensure!(
                seen.insert(import),
                "--core-module: `{import}` is given twice"
            );
            let Some(names) = names.as_ref().filter(|names| !names.contains(import)) else {
                continue;
            };
            let known = names.iter().map(|name| format!("`{name}`"));
            let known = known.collect::<Vec<_>>().join(", ");
            match known.is_empty() {
                true => bail!("--core-module {import}: nothing is imported that could be bound"),
                false => bail!("--core-module {import}: no such import; there are {known}"),
            }
        }
        Ok(())
    }
}

/// Arguments of `trampette compile`.
#[derive(Args)]
#[command(after_help = "\
Examples:
  trampette compile app.wasm                    makes app.elf
  trampette compile app.wasm -o - | ssh host 'cat > app.elf'
  trampette compile --wit world.wit --world plugin plugin.wasm
  trampette compile --emit asm app.wasm -o app.s")]
pub(super) struct CompileArguments {
    /// A component, or a core module to be compiled on its own, in binary or text; `-` for standard
    /// input
    input: PathBuf,
    #[command(flatten)]
    output: OutputArguments,
    #[command(flatten)]
    world: WorldArguments,
    #[command(flatten)]
    taken: InputArguments,
    #[command(flatten)]
    code: CodeArguments,
}

/// What is written and printed.
#[derive(Args)]
#[command(next_help_heading = "Output")]
struct OutputArguments {
    /// Where the artifact or listing goes; `-` is standard output
    ///
    /// By default an artifact has the input's name with the extension `.elf`, and a listing goes to
    /// standard output.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Write a listing of a stage's result instead of an artifact
    #[arg(long, value_enum, value_name = "WHAT", default_value_t = EmitArgument::Elf)]
    emit: EmitArgument,
    /// Print how long each phase took
    #[arg(long)]
    time: bool,
    /// Print what was pruned, inlined and transferred, and the bytes of each section
    #[arg(long)]
    stats: bool,
    /// Print what was made, the times and the statistics as one JSON document
    #[arg(long)]
    json: bool,
}

/// The world that a component must fit.
#[derive(Args)]
#[command(next_help_heading = "World")]
struct WorldArguments {
    /// Refuse the component if it does not fit a world of this WIT (a file, or a folder that may
    /// have `deps`)
    #[arg(long, value_name = "PATH")]
    wit: Option<PathBuf>,
    /// The world's name, with or without its package; needed if the WIT has several
    #[arg(long, value_name = "NAME", requires = "wit")]
    world: Option<String>,
    /// Let the component import what the world does not, if the name starts with PREFIX
    /// [default: wasi:]
    #[arg(long = "allow-import", value_name = "PREFIX", requires = "wit")]
    allowed_imports: Vec<String>,
    /// Let the component import nothing that the world does not, of WASI neither
    #[arg(long, requires = "wit", conflicts_with = "allowed_imports")]
    strict_imports: bool,
}

#[derive(clap::ValueEnum, Clone, Copy)]
enum EmitArgument {
    /// Instances, trampolines, and where everything is
    Plan,
    /// Each function before optimisation
    Clif,
    /// Machine code
    Asm,
    /// The artifact
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
pub(super) fn compile(arguments: &CompileArguments, verbosity: Verbosity) -> Result<()> {
    let (path, world) = (&arguments.input, &arguments.world);
    let name = input::name(path);
    let stage = arguments.output.emit.stage();
    let contents = match stage {
        Some(_) => Contents::Text(""),
        None => Contents::Binary(&[]),
    };
    let output = match (&arguments.output.output, stage) {
        (Some(output), _) => output.clone(),
        (None, Some(_)) => PathBuf::from("-"),
        (None, None) if input::is_standard(path) => PathBuf::from("-"),
        (None, None) => path.with_extension("elf"),
    };
    let inputs = [path.as_path()].into_iter().chain(world.wit.as_deref());
    files::check_output(&output, contents, inputs.chain(arguments.code.inputs()))?;
    if stage.is_some() {
        let OutputArguments {
            time, stats, json, ..
        } = arguments.output;
        for (given, option) in [(time, "--time"), (stats, "--stats"), (json, "--json")] {
            ensure!(
                !given,
                "{option} describes an artifact, and --emit makes none"
            );
        }
    }
    let input = arguments.taken.read(path)?;
    arguments.code.check_core_modules(&input)?;
    let (wasm, is_component) = match input {
        Input::Component(wasm) => (wasm, true),
        Input::CoreModule(wasm) => (wasm, false),
        Input::Artifact(_) => bail!("{name} is already compiled"),
    };
    if !is_component && world.wit.is_some() {
        bail!("{name} is a core module, which fits no world of WIT");
    }
    let mut options = arguments.taken.options(&arguments.code);
    options.world = world.wit.clone().map(|path| World {
        wit: Wit::Path(path),
        name: world.world.clone(),
        allowed_imports: match &world.allowed_imports[..] {
            [] if world.strict_imports => Vec::new(),
            [] => vec!["wasi:".to_string()],
            given => given.to_vec(),
        },
    });
    if let Some(stage) = stage {
        let listing = match is_component {
            true => emit::listing(&wasm, &options, stage, ""),
            false => emit::module_listing(&wasm, &options, stage),
        };
        let listing = listing.with_context(|| name)?;
        return files::write(&output, Contents::Text(&listing));
    }
    let start = Instant::now();
    let progress = progress_bar(&name, &options, verbosity);
    let compiled = match is_component {
        true => crate::compile_component(&wasm, &options),
        false => crate::compile_module(&wasm, &options),
    };
    progress.finish_and_clear();
    let artifact = compiled.with_context(|| name)?;
    files::write(&output, Contents::Binary(artifact.bytes()))?;
    let seconds = start.elapsed().as_secs_f64();
    if verbosity.details() {
        output::note(artifact.report().times());
    }
    if verbosity.tells() {
        let name = match input::is_standard(&output) {
            true => "standard output".to_string(),
            false => output.display().to_string(),
        };
        let size = files::size(artifact.bytes().len() as u64);
        output::note(format!("{name} {size} in {seconds:.1} s"));
    }
    report(arguments, &output, &artifact)
}

/// Prints what was asked for on an artifact; on standard error if standard output got the artifact.
fn report(arguments: &CompileArguments, output: &Path, artifact: &Artifact) -> Result<()> {
    let OutputArguments {
        time, stats, json, ..
    } = arguments.output;
    let report = artifact.report();
    let mut text = String::new();
    if json {
        let phases = report.phases.iter();
        let phases = phases.map(|(name, time)| (name.to_string(), json!(time.as_secs_f64())));
        let document = json!({
            "output": output.display().to_string(),
            "bytes": artifact.bytes().len(),
            "seconds": phases.collect::<serde_json::Map<_, _>>(),
            "statistics": statistics(&report.statistics),
        });
        text = format!("{document}\n");
    } else {
        if time {
            text += &report.times();
        }
        if stats {
            text += &report.statistics.to_string();
        }
    }
    match input::is_standard(output) {
        true if text.is_empty() => Ok(()),
        true => {
            output::note(text);
            Ok(())
        }
        false => output::print(&text),
    }
}

fn statistics(statistics: &Statistics) -> serde_json::Value {
    let transfers = statistics.transfers.iter();
    let transfers = transfers.map(|(kind, count)| (kind.name().to_string(), json!(count)));
    json!({
        "core_functions": statistics.core_functions,
        "compiled_core_functions": statistics.compiled_core_functions,
        "compiled_trampolines": statistics.compiled_trampolines,
        "pruned": statistics.pruned,
        "inlined_calls": statistics.inlined_calls,
        "inlined_away": statistics.inlined_away,
        "calls_of_imports": statistics.calls_of_imports,
        "calls_devirtualised": statistics.calls_devirtualised,
        "calls_through_sealed_tables": statistics.calls_through_sealed_tables,
        "calls_through_values": statistics.calls_through_values,
        "transfers": transfers.collect::<serde_json::Map<_, _>>(),
        "debug_info": statistics.debug_info,
        "sections": statistics.sections,
    })
}

/// A bar on standard error that counts functions, if a person waits there; nothing otherwise.
pub(super) fn progress_bar(
    name: &str,
    options: &CompileOptions,
    verbosity: Verbosity,
) -> ProgressBar {
    if !verbosity.shows_progress() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new_spinner().with_message(format!("compiling {name}"));
    let progress = options.progress.clone();
    let counts = move |_: &ProgressState, out: &mut dyn std::fmt::Write| {
        let (done, total) = (progress.done(), progress.total());
        // There is nobody to tell.
        let _ = match total {
            0 => Ok(()),
            _ => write!(out, " {} {done}/{total} functions", filled(done, total)),
        };
    };
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}{counts} [{elapsed}]") {
        bar.set_style(style.with_key("counts", counts));
    }
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}

/// A bar of text.
fn filled(done: usize, total: usize) -> String {
    const WIDTH: usize = 24;
    let full = (done * WIDTH / total.max(1)).min(WIDTH);
    format!("[{}{}]", "=".repeat(full), " ".repeat(WIDTH - full))
}
