//! [`Report`]: what compiling took and did, for `trampette compile --time` and `--stats`.

use crate::codegen::Session;
use crate::compile::Compiled;
use crate::options::GuestDebugInfo;
use crate::program::TrampolineKind;
pub use crate::trampolines::transfer::kind::TransferKind;
use object::read::elf::ElfFile64;
use object::{Object, ObjectSection};
use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use trampette_artifact::dwarf;
use trampette_artifact::key::FuncKey;

/// What compiling took and did.
///
/// ```
/// let wasm = wat::parse_str("(component)")?;
/// let artifact = trampette::compile_component(&wasm, &trampette::CompileOptions::default())?;
/// for (phase, time) in &artifact.report().phases {
///     println!("{phase}: {time:?}");
/// }
/// # anyhow::Ok(())
/// ```
#[derive(Clone, Default, Debug)]
pub struct Report {
    /// How long each phase took, in order.
    pub phases: Vec<(&'static str, Duration)>,
    /// What was done.
    pub statistics: Statistics,
}

/// What was done.
///
/// ```
/// # fn show(report: &trampette::Report) {
/// let statistics = &report.statistics;
/// println!(
///     "{} of {} core functions were compiled, {} calls inlined",
///     statistics.compiled_core_functions, statistics.core_functions, statistics.inlined_calls
/// );
/// # }
/// ```
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Statistics {
    /// Core functions of the component, a module that is instantiated twice counted twice.
    pub core_functions: usize,
    /// Core functions that were compiled.
    pub compiled_core_functions: usize,
    /// Trampolines, entries and builtins that were compiled.
    pub compiled_trampolines: usize,
    /// Core functions that nothing reaches.
    pub pruned: usize,
    /// Calls that were replaced by the callee's body.
    pub inlined_calls: usize,
    /// Calls in core functions of a function that their module imports; all are direct.
    pub calls_of_imports: usize,
    /// Indirect calls that became direct calls, or traps.
    pub calls_devirtualised: usize,
    /// Indirect calls through a table that only instantiation writes, by its copy in read-only
    /// data.
    pub calls_through_sealed_tables: usize,
    /// Calls through other tables, and of function references.
    pub calls_through_values: usize,
    /// Functions of any kind that are gone because all calls of them were.
    pub inlined_away: usize,
    /// Calls between the component and the host, and between its components, by what carries their
    /// values.
    pub transfers: BTreeMap<TransferKind, usize>,
    /// Bytes of the guest's debug info that the artifact keeps.
    pub debug_info: u64,
    /// Bytes by section of the artifact.
    pub sections: BTreeMap<String, u64>,
}

impl Statistics {
    fn new(
        session: &Session<'_>,
        compiled: &Compiled,
        artifact: &[u8],
        debug_info: GuestDebugInfo,
    ) -> Statistics {
        let program = session.program;
        let calls = |count: &AtomicUsize| count.load(Ordering::Relaxed);
        let is_core = |key: &FuncKey| matches!(key, FuncKey::ModuleFunction(..));
        let modules = program
            .core_instances
            .iter()
            .map(|instance| instance.module);
        let core_functions = modules.map(|id| program.modules[id].bodies.len()).sum();
        let compiled_core_functions = compiled.functions.keys().filter(|key| is_core(key)).count();
        let types = program
            .trampolines
            .iter()
            .filter_map(|trampoline| match &trampoline.kind {
                TrampolineKind::LowerImport { ty, .. } | TrampolineKind::Adapter { ty, .. } => {
                    Some(ty)
                }
                _ => None,
            });
        let mut transfers = BTreeMap::new();
        for ty in types.chain(program.lifts.iter().map(|lift| &lift.ty)) {
            *transfers
                .entry(TransferKind::of_call(&program.types, ty))
                .or_insert(0) += 1;
        }
        Statistics {
            core_functions,
            compiled_core_functions,
            compiled_trampolines: compiled.functions.len() - compiled_core_functions,
            pruned: core_functions - compiled_core_functions - compiled.inlined_away_core,
            inlined_calls: compiled.inlined_calls,
            calls_of_imports: calls(&session.calls.imports),
            calls_devirtualised: calls(&session.calls.known_entries),
            calls_through_sealed_tables: calls(&session.calls.sealed),
            calls_through_values: calls(&session.calls.dynamic),
            inlined_away: compiled.inlined_away.len(),
            transfers,
            debug_info: match debug_info {
                GuestDebugInfo::Strip => 0,
                GuestDebugInfo::Keep => {
                    let sections = program.modules.iter().flat_map(|m| &m.custom_sections);
                    let debug = sections.filter(|(name, _)| dwarf::is_kept(name));
                    debug.map(|(_, contents)| contents.len() as u64).sum()
                }
            },
            sections: sections(artifact),
        }
    }
}

/// Bytes of each section that has some in the file.
fn sections(artifact: &[u8]) -> BTreeMap<String, u64> {
    let Ok(file) = ElfFile64::<object::Endianness>::parse(artifact) else {
        return BTreeMap::new();
    };
    let named = file.sections().filter_map(|section| {
        let size = section.data().ok()?.len() as u64;
        Some((section.name().ok()?.to_string(), size)).filter(|(_, size)| *size > 0)
    });
    named.collect()
}

impl Report {
    pub(crate) fn new(
        watch: Stopwatch,
        session: &Session<'_>,
        compiled: &Compiled,
        artifact: &[u8],
        debug_info: GuestDebugInfo,
    ) -> Report {
        Report {
            phases: watch.phases,
            statistics: Statistics::new(session, compiled, artifact, debug_info),
        }
    }

    /// The phases with their times, and their sum.
    pub fn times(&self) -> String {
        let mut text = String::new();
        let total: Duration = self.phases.iter().map(|(_, time)| *time).sum();
        for (name, time) in self.phases.iter().copied().chain([("total", total)]) {
            // Writing to a string does not fail.
            let _ = writeln!(text, "{name:<12} {:>10.3} ms", time.as_secs_f64() * 1e3);
        }
        text
    }
}

impl fmt::Display for Statistics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let indirect =
            self.calls_devirtualised + self.calls_through_sealed_tables + self.calls_through_values;
        let lines = [
            ("core functions", self.core_functions),
            ("  pruned", self.pruned),
            ("  compiled", self.compiled_core_functions),
            ("trampolines compiled", self.compiled_trampolines),
            ("calls of imports, direct", self.calls_of_imports),
            ("indirect calls", indirect),
            ("  now direct", self.calls_devirtualised),
            ("  by a sealed table", self.calls_through_sealed_tables),
            ("  of any function", self.calls_through_values),
            ("calls inlined", self.inlined_calls),
            ("functions inlined away", self.inlined_away),
        ];
        for (name, count) in lines {
            writeln!(f, "{name:<24} {count:>10}")?;
        }
        writeln!(f, "calls by transfer:")?;
        for (kind, count) in &self.transfers {
            writeln!(f, "  {:<22} {count:>10}", kind.name())?;
        }
        writeln!(f, "bytes by section:")?;
        for (name, size) in &self.sections {
            writeln!(f, "  {name:<22} {size:>10}")?;
        }
        if self.debug_info > 0 {
            let size = self.debug_info;
            writeln!(
                f,
                "{size} bytes of them are the guest's debug info; --strip leaves it out"
            )?;
        }
        Ok(())
    }
}

/// Takes the time of phases.
pub(crate) struct Stopwatch {
    phases: Vec<(&'static str, Duration)>,
    since: Instant,
}

impl Stopwatch {
    pub(crate) fn start() -> Stopwatch {
        Stopwatch {
            phases: Vec::new(),
            since: Instant::now(),
        }
    }

    /// The phase that ends now.
    pub(crate) fn phase(&mut self, name: &'static str) {
        let now = Instant::now();
        self.phases.push((name, now - self.since));
        self.since = now;
    }
}
