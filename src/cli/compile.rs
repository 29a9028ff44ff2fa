//! `trampette compile`.

use super::files::{self, Contents};
use crate::component::names_of_imports;
use crate::emit::{self, Emit};
use crate::input::{self, Input};
use crate::options::{
    Bounds, CompileOptions, Inline, NanBits, OptLevel, Spectre, TargetCpu, Wit, World,
};
use anyhow::{Context, Result, anyhow, bail, ensure};
use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use indicatif::{ProgressBar, ProgressStyle};
use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;
use trampette_runner::output;

/// Options that shape the code, shared by `compile`, `run`, `inspect` and `wast`.
#[derive(Args, Clone)]
pub(super) struct CodeArguments {
    /// Optimise: 0 compiles fastest, 1 makes small code, 2 fast code [default: 2].
    #[arg(short = 'O', value_name = "LEVEL", value_parser = one_of::<OptLevel>(&["0", "1", "2"]))]
    opt_level: Option<OptLevel>,
    /// The processors to compile for [default: x86-64-v3].
    #[arg(long, value_name = "LEVEL", value_parser = one_of::<TargetCpu>(&TARGET_CPUS))]
    target_cpu: Option<TargetCpu>,
    /// How accesses to memories are checked [default: guard].
    #[arg(long, value_name = "HOW", value_parser = one_of::<Bounds>(&["guard", "explicit"]))]
    bounds: Option<Bounds>,
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
    jobs: Option<NonZeroUsize>,
    /// The import that provides unsafe intrinsics (raw access to the host's memory).
    #[arg(long, value_name = "IMPORT")]
    unsafe_intrinsics: Option<String>,
    /// A core module that the component imports: the import's name, and the module (binary or
    /// text). For a module of an imported instance the name is the chain of names with `#` between
    /// them; for what a core module on its own imports, the first of the two names.
    #[arg(long = "core-module", value_name = "IMPORT=FILE", value_parser = core_module)]
    core_modules: Vec<CoreModule>,
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

/// How an input is taken, in `compile`, `run` and `inspect`.
#[derive(Args, Clone, Copy, Debug)]
pub(super) struct InputArguments {
    /// Make a component of a core module that targets WASI preview 1, by an adapter.
    #[arg(long)]
    as_component: bool,
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
    /// The library's options.
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
            threads: self.jobs.map(NonZeroUsize::get),
            unsafe_intrinsics_import: self.unsafe_intrinsics.clone(),
            core_modules: core_modules
                .map(|module| (module.import.clone(), module.bytes.clone()))
                .collect(),
            world: None,
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
            jobs,
            unsafe_intrinsics,
            core_modules,
        } = self;
        let all = [
            (opt_level.is_some(), "-O"),
            (target_cpu.is_some(), "--target-cpu"),
            (bounds.is_some(), "--bounds"),
            (*no_inline, "--no-inline"),
            (*canonical_nans, "--canonical-nans"),
            (*spectre_mitigations, "--spectre-mitigations"),
            (jobs.is_some(), "--jobs"),
            (unsafe_intrinsics.is_some(), "--unsafe-intrinsics"),
            (!core_modules.is_empty(), "--core-module"),
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
pub(super) struct CompileArguments {
    /// The component, or a core module to be compiled on its own, in binary or text; `-` for
    /// standard input.
    input: PathBuf,
    /// The artifact, or the listing of --emit; `-` for standard output. By default the input's
    /// name with the extension `.elf`, or standard output for a listing.
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
    /// Let the component import what the world does not, if the name starts with PREFIX
    /// [default: wasi:].
    #[arg(long = "allow-import", value_name = "PREFIX", requires = "wit")]
    allowed_imports: Vec<String>,
    /// Let the component import nothing that the world does not, of WASI neither.
    #[arg(long, requires = "wit", conflicts_with = "allowed_imports")]
    strict_imports: bool,
    /// Print how long each phase took.
    #[arg(long)]
    time: bool,
    /// Print what was pruned, inlined and transferred, and the bytes of each section.
    #[arg(long)]
    stats: bool,
    #[command(flatten)]
    taken: InputArguments,
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
    let path = &arguments.input;
    let name = input::name(path);
    let stage = arguments.emit.stage();
    let contents = match stage {
        Some(_) => Contents::Text(""),
        None => Contents::Binary(&[]),
    };
    let output = match (&arguments.output, stage) {
        (Some(output), _) => output.clone(),
        (None, Some(_)) => PathBuf::from("-"),
        (None, None) if input::is_standard(path) => PathBuf::from("-"),
        (None, None) => path.with_extension("elf"),
    };
    let wit = arguments.wit.as_deref();
    let inputs = [path.as_path()].into_iter().chain(wit);
    files::check_output(&output, contents, inputs.chain(arguments.code.inputs()))?;
    if stage.is_some() {
        for (given, option) in [(arguments.time, "--time"), (arguments.stats, "--stats")] {
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
    if !is_component && arguments.wit.is_some() {
        bail!("{name} is a core module, which fits no world of WIT");
    }
    let mut options = arguments.code.options();
    options.world = arguments.wit.clone().map(|path| World {
        wit: Wit::Path(path),
        name: arguments.world.clone(),
        allowed_imports: match &arguments.allowed_imports[..] {
            [] if arguments.strict_imports => Vec::new(),
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
    let progress = progress_bar(&format!("compiling {name}"));
    let compiled = match is_component {
        true => crate::compile_component(&wasm, &options),
        false => crate::compile_module(&wasm, &options),
    };
    progress.finish_and_clear();
    let artifact = compiled.with_context(|| name)?;
    files::write(&output, Contents::Binary(artifact.bytes()))?;
    // Standard output may have got the artifact.
    let report = |text: &str| match input::is_standard(&output) {
        true => {
            output::note(text);
            Ok(())
        }
        false => output::print(text),
    };
    if arguments.time {
        report(&artifact.report().times())?;
    }
    if arguments.stats {
        report(&artifact.report().statistics.to_string())?;
    }
    Ok(())
}

/// A spinner on standard error if it is a terminal, and nothing otherwise.
pub(super) fn progress_bar(message: &str) -> ProgressBar {
    if !output::stderr_is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new_spinner().with_message(message.to_string());
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} [{elapsed}]") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}
