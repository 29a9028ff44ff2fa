//! [`CompileOptions`]: what a user of the compiler can choose. Plain data: what a choice means is
//! said in the room that it is for.

use anyhow::{Context, Result, anyhow};
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use trampette_artifact::cpu::{CpuFeature, CpuLevel, FEATURES};

/// How to compile.
///
/// ```
/// use trampette::CompileOptions;
/// use trampette::options::{Inline, OptLevel};
///
/// let quick = CompileOptions {
///     opt_level: OptLevel::None,
///     inline: Inline::Never,
///     threads: Some(1),
///     ..CompileOptions::default()
/// };
/// # let _ = quick;
/// ```
#[derive(Clone, Debug, Default)]
pub struct CompileOptions {
    /// How much to optimise.
    pub opt_level: OptLevel,
    /// Whether calls are replaced by the callee's body where that is worth it. Not at
    /// [`OptLevel::None`].
    pub inline: Inline,
    /// The processors that the code must run on. The default is a fixed level, not this machine's,
    /// so that the same input gives the same bytes anywhere.
    pub target_cpu: TargetCpu,
    /// How accesses to linear memories are checked.
    pub bounds: Bounds,
    /// Which bits a NaN has that an instruction makes.
    pub nan: NanBits,
    /// Whether accesses that are checked by code are guarded against speculation.
    pub spectre: Spectre,
    /// What debuggers and profilers are told besides the names of functions.
    pub debug_info: DebugInfo,
    /// Worker threads; `None` for one a core. The bytes do not depend on it.
    pub threads: Option<usize>,
    /// The import that provides unsafe intrinsics; without it such an import is an ordinary one.
    pub unsafe_intrinsics_import: Option<String>,
    /// The core modules that the component imports, by name: the import's, or for a module in an
    /// imported instance the chain of names with `#` between them. They become part of the
    /// artifact. A core module on its own imports from them by the first of an import's two names.
    pub core_modules: BTreeMap<String, Vec<u8>>,
    /// A world that the component must fit; nothing is compiled if it does not.
    pub world: Option<World>,
    /// Which parts of the component model a component may use although they are not settled.
    pub proposals: Proposals,
    /// Whether the guest's own debug info (DWARF), from which backtraces get lines of its source,
    /// becomes part of the artifact.
    pub guest_debug_info: GuestDebugInfo,
    /// How it is told which calls can block.
    pub blocking: Blocking,
    /// Counts compiled functions, for whoever waits.
    pub progress: Progress,
}

/// A part of the component model that is implemented, but whose shape may change: a component that
/// uses it is refused unless [`CompileOptions::proposals`] has it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[non_exhaustive]
pub enum Proposal {
    /// `stream.forward` and `future.forward`, which join two streams or futures.
    Forward,
    /// Cooperative threads: `thread.new-indirect` and what belongs to it, and the second context
    /// slot. `thread.yield` needs no proposal.
    Threads,
}

impl Proposal {
    /// Every proposal, in order.
    pub const ALL: &[Proposal] = &[Proposal::Forward, Proposal::Threads];

    /// Its name on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Proposal::Forward => "forward",
            Proposal::Threads => "threads",
        }
    }
}

/// A set of proposals; none by default.
///
/// ```
/// use trampette::CompileOptions;
/// use trampette::options::{Proposal, Proposals};
///
/// let options = CompileOptions {
///     proposals: Proposals::default().with(Proposal::Forward),
///     ..CompileOptions::default()
/// };
/// assert!(!options.proposals.contains(Proposal::Threads));
/// assert_eq!("forward,threads".parse::<Proposals>()?, Proposals::all());
/// # anyhow::Ok(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Proposals(u8);

impl Proposals {
    /// All that there are: also those that later versions add.
    pub fn all() -> Proposals {
        let all = Proposal::ALL.iter();
        all.fold(Proposals::default(), |set, &one| set.with(one))
    }

    /// The set, and `proposal` in it.
    #[must_use]
    pub const fn with(self, proposal: Proposal) -> Proposals {
        Proposals(self.0 | 1 << proposal as u8)
    }

    /// Whether `proposal` is in the set.
    pub const fn contains(self, proposal: Proposal) -> bool {
        self.0 & 1 << proposal as u8 != 0
    }
}

impl FromStr for Proposals {
    type Err = anyhow::Error;

    /// The command line's form: names with commas between them.
    fn from_str(names: &str) -> Result<Proposals> {
        let mut set = Proposals::default();
        for name in names.split(',') {
            let found = Proposal::ALL.iter().find(|one| one.name() == name);
            set = set.with(*found.with_context(|| {
                let known: Vec<_> = Proposal::ALL.iter().map(|one| one.name()).collect();
                format!("unknown proposal `{name}`; known are {}", known.join(", "))
            })?);
        }
        Ok(set)
    }
}

/// How it is told which calls can block their task, name it, or use its context slots. What a guest
/// does is the same; calls that are known to do nothing of it cost less.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Blocking {
    /// From what functions call.
    #[default]
    Found,
    /// All calls can do all of it, so that each goes the general way: for tests of that.
    Assumed,
}

/// Whether an artifact keeps the guest's debug info.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum GuestDebugInfo {
    /// It does: backtraces have lines of source.
    #[default]
    Keep,
    /// It does not, and is smaller: backtraces have names of functions and offsets.
    Strip,
}

/// How many functions were compiled, of how many. Clones count together.
#[derive(Clone, Debug, Default)]
pub struct Progress(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    done: AtomicUsize,
    total: AtomicUsize,
}

impl Progress {
    /// How many functions were compiled or inlined away so far.
    pub fn done(&self) -> usize {
        self.0.done.load(Ordering::Relaxed)
    }

    /// How many there are; 0 if that is not known.
    pub fn total(&self) -> usize {
        self.0.total.load(Ordering::Relaxed)
    }

    pub(crate) fn expect(&self, functions: usize) {
        self.0.total.store(functions, Ordering::Relaxed);
    }

    pub(crate) fn step(&self) {
        self.0.done.fetch_add(1, Ordering::Relaxed);
    }
}

/// Whether calls are inlined.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Inline {
    /// Where it is worth it.
    #[default]
    Worthwhile,
    /// Never.
    Never,
}

/// Which bits a NaN has that an instruction makes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum NanBits {
    /// What the processor gives, as the specification allows.
    #[default]
    Any,
    /// Always the canonical ones, so that results are the same on every processor.
    Canonical,
}

/// What an access may touch that a processor carries out speculatively, past a bounds check that it
/// has mispredicted (Spectre, variant 1). Accesses that guard pages check cannot go out of bounds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Spectre {
    /// Whatever its address is.
    #[default]
    Ignored,
    /// The start of the memory or table: behind each check by code, an address out of bounds is
    /// replaced without a branch.
    Mitigated,
}

/// What an artifact tells debuggers and profilers besides the names of functions.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum DebugInfo {
    /// Nothing.
    #[default]
    None,
    /// DWARF that maps code to lines of the source: those that the module's own DWARF says, or
    /// without it the byte offset in the input as the number of the line. Code is the same.
    Lines,
}

/// How much Cranelift optimises.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum OptLevel {
    /// Compile quickly.
    None,
    /// Make code fast.
    #[default]
    Speed,
    /// Make code fast and small.
    SpeedAndSize,
}

impl OptLevel {
    /// The name, as Cranelift's setting and the command line spell it.
    pub fn name(self) -> &'static str {
        match self {
            OptLevel::None => "none",
            OptLevel::Speed => "speed",
            OptLevel::SpeedAndSize => "speed_and_size",
        }
    }
}

impl FromStr for OptLevel {
    type Err = anyhow::Error;

    /// The command line's levels: `0`, `1` (fast and small) and `2` (fast).
    fn from_str(level: &str) -> Result<Self> {
        match level {
            "0" => Ok(OptLevel::None),
            "1" => Ok(OptLevel::SpeedAndSize),
            "2" => Ok(OptLevel::Speed),
            _ => Err(anyhow!(
                "unknown optimisation level `{level}`; known are 0, 1 and 2"
            )),
        }
    }
}

/// The CPU that code is made for: a level of the x86-64 psABI, or the machine that compiles.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum TargetCpu {
    /// x86-64-v2: SSE4.2 and POPCNT.
    V2,
    /// x86-64-v3: and AVX2, BMI, FMA.
    #[default]
    V3,
    /// x86-64-v4: and AVX-512 F, DQ, VL.
    V4,
    /// Whatever the compiling machine has.
    Native,
}

impl TargetCpu {
    /// Every target, in order.
    pub const ALL: &[TargetCpu] = &[
        TargetCpu::V2,
        TargetCpu::V3,
        TargetCpu::V4,
        TargetCpu::Native,
    ];

    /// The name on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            TargetCpu::V2 => "x86-64-v2",
            TargetCpu::V3 => "x86-64-v3",
            TargetCpu::V4 => "x86-64-v4",
            TargetCpu::Native => "native",
        }
    }

    /// The architecture, as the artifact's header records it.
    pub fn architecture(self) -> &'static str {
        "x86_64"
    }

    /// The level; `None` for the machine that compiles.
    fn level(self) -> Option<CpuLevel> {
        match self {
            TargetCpu::V2 => Some(CpuLevel::V2),
            TargetCpu::V3 => Some(CpuLevel::V3),
            TargetCpu::V4 => Some(CpuLevel::V4),
            TargetCpu::Native => None,
        }
    }

    /// The CPU features that code for this target may use.
    pub(crate) fn features(self) -> impl Iterator<Item = &'static CpuFeature> {
        FEATURES.iter().filter(move |feature| match self.level() {
            Some(level) => feature.level.is_some_and(|since| since <= level),
            None => feature.is_present(),
        })
    }

    /// Names of the CPU features that code for this target may use, as the standard library's
    /// feature detection spells them; the artifact's header records them.
    pub fn cpu_feature_names(self) -> Vec<&'static str> {
        self.features().map(|feature| feature.name).collect()
    }
}

impl fmt::Display for TargetCpu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for TargetCpu {
    type Err = anyhow::Error;

    fn from_str(name: &str) -> Result<Self> {
        let found = Self::ALL.iter().find(|cpu| cpu.name() == name);
        found.copied().ok_or_else(|| {
            let names: Vec<_> = Self::ALL.iter().map(|cpu| cpu.name()).collect();
            anyhow!(
                "unknown target CPU `{name}`; known are {}",
                names.join(", ")
            )
        })
    }
}

/// How accesses to linear memories are checked. What a program does is the same either way.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Bounds {
    /// By guard pages where a memory allows it, and by compiled code otherwise.
    #[default]
    Guard,
    /// Always by compiled code.
    Explicit,
}

impl Bounds {
    /// Its name as an option.
    pub fn name(self) -> &'static str {
        match self {
            Bounds::Guard => "guard",
            Bounds::Explicit => "explicit",
        }
    }
}

impl FromStr for Bounds {
    type Err = anyhow::Error;

    fn from_str(name: &str) -> Result<Bounds> {
        let all = [Bounds::Guard, Bounds::Explicit].into_iter();
        all.into_iter()
            .find(|bounds| bounds.name() == name)
            .with_context(|| format!("bounds are checked by `guard` or `explicit`, not `{name}`"))
    }
}

/// A world that a component must fit.
#[derive(Clone, Debug)]
pub struct World {
    /// Where the world is defined.
    pub wit: Wit,
    /// Its name, with or without its package; needed if there are several.
    pub name: Option<String>,
    /// What a component may import although the world does not: the beginnings of names, such as
    /// `wasi:`.
    pub allowed_imports: Vec<String>,
}

/// Definitions in WIT.
#[derive(Clone, Debug)]
pub enum Wit {
    /// A file, or a folder that may have a folder `deps`.
    Path(PathBuf),
    /// Text of one package.
    Text(String),
}

impl CompileOptions {
    /// The options that shape code, in words: what the artifact's header keeps for listings.
    pub fn describe(&self) -> String {
        format!(
            "opt-level={} target-cpu={} bounds={}{}{}{}{}{}",
            self.opt_level.name(),
            self.target_cpu.name(),
            self.bounds.name(),
            match self.nan {
                NanBits::Any => "",
                NanBits::Canonical => " canonical-nans",
            },
            match self.inline {
                Inline::Worthwhile => "",
                Inline::Never => " no-inline",
            },
            match self.spectre {
                Spectre::Ignored => "",
                Spectre::Mitigated => " spectre-mitigations",
            },
            match self.guest_debug_info {
                GuestDebugInfo::Keep => "",
                GuestDebugInfo::Strip => " strip",
            },
            match self.debug_info {
                DebugInfo::None => "",
                DebugInfo::Lines => " debug-info",
            }
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_contain_each_other() {
        let names = TargetCpu::cpu_feature_names;
        assert_eq!(
            names(TargetCpu::V2),
            ["sse3", "ssse3", "sse4.1", "sse4.2", "cmpxchg16b", "popcnt"]
        );
        assert!(names(TargetCpu::V3).starts_with(&names(TargetCpu::V2)));
        assert!(names(TargetCpu::V4).starts_with(&names(TargetCpu::V3)));
        assert!(names(TargetCpu::V4).contains(&"avx512f"));
    }
}
