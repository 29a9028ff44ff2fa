//! Directives about core modules. A script is compiled as a closed world before its first directive
//! runs: names and imports are resolved ahead, all its modules are core instances of one program,
//! and each instantiation is a step of that program, run when the script gets there.
//!
//! A thread of a script is a thread of the system with a store of its own: another instance of the
//! same program, which shares its shared memories.

use super::core_plan::{self, Excluded, Plan, Planner, SPECTEST};
use super::script::{Action, Directive, Execute, Instantiate, Invoke, Rejection, Source, Space};
use super::{CoreRunner, ScriptOptions, core_values, custom_sections, texts};
use crate::codegen::Session;
use crate::compile::{self, Listing};
use crate::inline::heuristics::Tunables;
use crate::layout::lay_out;
use crate::link::Target;
use crate::modules::bind::{Binding, core_features, validate_module, validate_module_with};
use crate::program::{CoreItem, unit_of};
use crate::{CompileOptions, in_thread_pool, link};
use anyhow::{Context, Result, anyhow, bail, ensure};
use std::collections::{BTreeMap, HashMap};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread::{Scope, ScopedJoinHandle};
use trampette_artifact::ids::{CoreInstanceId, UnitId};
use trampette_artifact::key::FuncKey;
use trampette_runtime::{
    Component, CoreExtern, CoreHost, CoreInstance, CoreVal, SharedMemory, Store,
};
use wasmparser::WasmFeatures;

/// Runs the core directives of one script, or of one of its threads.
pub(super) struct ScriptRunner<'scope, 's> {
    options: CompileOptions,
    /// What was resolved for each directive.
    plans: Vec<Plan>,
    live: Option<Live>,
    /// Where threads live.
    scope: &'scope Scope<'scope, 's>,
    /// Those that nobody has waited for yet, by name.
    threads: HashMap<&'s str, ScopedJoinHandle<'scope, Result<()>>>,
}

/// The compiled script.
struct Live {
    component: Component,
    store: Store<()>,
    instance: CoreInstance,
}

impl<'scope, 's: 'scope> ScriptRunner<'scope, 's> {
    /// A runner for one script, whose threads live in `scope`.
    pub(super) fn new(options: &ScriptOptions, scope: &'scope Scope<'scope, 's>) -> Self {
        ScriptRunner {
            options: options.compile.clone(),
            plans: Vec::new(),
            live: None,
            scope,
            threads: HashMap::new(),
        }
    }

    /// Starts a thread that runs directives.
    fn start_thread(
        &mut self,
        index: usize,
        name: &'s str,
        directives: &'s [Directive<'s>],
    ) -> Result<()> {
        let plans = match self.plans.get_mut(index) {
            Some(Plan::Thread(plans)) => std::mem::replace(plans, Ok(Vec::new())),
            _ => bail!("the thread was not planned"),
        };
        let plans = plans.map_err(|error| anyhow!("{error}"))?;
        let live = self.live()?;
        let component = live.component.clone();
        let memories = live.instance.shared_memories(&live.store)?;
        let (options, scope) = (self.options.clone(), self.scope);
        let thread = scope.spawn(move || {
            let run = || -> Result<()> {
                let mut runner = ScriptRunner {
                    options,
                    plans,
                    live: Some(Live::new(component, memories)?),
                    scope,
                    threads: HashMap::new(),
                };
                for (index, directive) in directives.iter().enumerate() {
                    let result = runner.run(index, directive);
                    result.with_context(|| format!("line {}", directive.line))?;
                }
                Ok(())
            };
            // A panic is reported by whoever waits; others are of no interest.
            let result = catch_unwind(AssertUnwindSafe(run));
            result.unwrap_or_else(|_| Err(anyhow!("the thread panicked")))
        });
        self.threads.insert(name, thread);
        Ok(())
    }

    /// Waits for a thread's end; it must have succeeded.
    fn wait(&mut self, name: &str) -> Result<()> {
        let thread = self.threads.remove(name);
        let thread = thread.with_context(|| format!("there is no thread `${name}` to wait for"))?;
        let result = thread
            .join()
            .unwrap_or_else(|_| Err(anyhow!("the thread panicked")));
        result.with_context(|| format!("in thread `${name}`"))
    }

    /// Compiles the script; modules that cannot be compiled are left out, and their directives
    /// fail.
    fn compile(&mut self, script: &[Directive<'_>]) -> Result<()> {
        let spectest = wat::parse_str(SPECTEST)?;
        let mut excluded = Excluded::new();
        let artifact = in_thread_pool(&self.options, || {
            loop {
                let planner =
                    Planner::plan(script, &spectest, &excluded, core_plan::count(script))?;
                let failures = match compile_binding(&planner.binding, &self.options) {
                    Ok(artifact) => {
                        self.plans = planner.plans;
                        return Ok(artifact);
                    }
                    Err(failures) => failures,
                };
                let mut failed = Vec::new();
                for (instance, error) in failures.by_instance {
                    let index = planner.directive_of(instance);
                    failed.extend(index.map(|index| (index, format!("{error:#}"))));
                }
                if failed.is_empty() {
                    let error = failures.other.context("nothing can be compiled")?;
                    let index = first_failure(script, &spectest, &excluded)
                        .with_context(|| format!("{error:#}"))?;
                    failed.push((index, format!("{error:#}")));
                }
                drop(planner);
                excluded.extend(failed);
            }
        })?;
        // SAFETY: compiled just now.
        let component = unsafe { Component::from_bytes(&artifact) }?;
        self.live = Some(Live::new(component, Vec::new())?);
        Ok(())
    }

    fn live(&mut self) -> Result<&mut Live> {
        self.live.as_mut().context("the script was not compiled")
    }

    fn instantiate(&mut self, index: usize) -> Result<()> {
        let live = self.live.as_mut().context("the script was not compiled")?;
        let plan = match self.plans.get(index) {
            Some(Plan::Instantiate(Ok(plan))) => plan,
            Some(Plan::Instantiate(Err(error))) => bail!("{error}"),
            _ => bail!("the instantiation was not planned"),
        };
        for check in &plan.checks {
            let size = match check.item {
                CoreItem::Memory(id) => live.instance.memory_pages(&live.store, id)?,
                CoreItem::Table(id) => live.instance.table_entries(&live.store, id)?,
                _ => u64::MAX,
            };
            ensure!(size >= check.minimum, "{}", check.error);
        }
        live.instance.run_step(&mut live.store, plan.instance.0)
    }

    fn unit(&self, index: usize) -> Result<UnitId> {
        match self.plans.get(index) {
            Some(Plan::Export(Ok(instance))) => Ok(unit_of(*instance)),
            Some(Plan::Export(Err(error))) => bail!("{error}"),
            _ => bail!("the export was not planned"),
        }
    }

    fn invoke(&mut self, index: usize, call: &Invoke<'_>) -> Result<Vec<CoreVal>> {
        let unit = self.unit(index)?;
        let arguments = core_values::arguments(&call.arguments)?;
        let Live {
            store, instance, ..
        } = self.live()?;
        match instance.export_of(store, unit, call.function)? {
            CoreExtern::Func(function) => function.call(store, &arguments),
            _ => bail!("`{}` is not a function", call.function),
        }
    }

    fn execute(&mut self, index: usize, exec: &Execute<'_>) -> Result<Vec<CoreVal>> {
        match exec {
            Execute::Invoke(call) => self.invoke(index, call),
            Execute::Source(source) => {
                encoded(source)?;
                self.instantiate(index).map(|()| Vec::new())
            }
            Execute::Get { global, .. } => {
                let unit = self.unit(index)?;
                let Live {
                    store, instance, ..
                } = self.live()?;
                match instance.export_of(store, unit, global)? {
                    CoreExtern::Global(global) => Ok(vec![global.get(store)?]),
                    _ => bail!("`{global}` is not a global"),
                }
            }
        }
    }

    fn unlinkable(&mut self, index: usize, source: &Source, message: &str) -> Result<()> {
        validate_module(encoded(source)?)?;
        match self.instantiate(index) {
            Ok(()) => bail!("expected {message:?}, but linking succeeded"),
            Err(error) => {
                let text = texts::full_text(&error);
                ensure!(
                    text.contains(message),
                    "expected {message:?}, found {text:?}"
                );
                Ok(())
            }
        }
    }
}

impl<'scope, 's: 'scope> CoreRunner<'s> for ScriptRunner<'scope, 's> {
    fn prepare(&mut self, script: &'s [Directive<'s>]) -> Result<()> {
        match script.iter().any(is_core) {
            true => self.compile(script),
            false => Ok(()),
        }
    }

    fn run(&mut self, index: usize, directive: &'s Directive<'s>) -> Result<()> {
        match &directive.action {
            Action::Define {
                source,
                instantiate: Instantiate::Yes,
                ..
            } => {
                encoded(source)?;
                self.instantiate(index)
            }
            Action::Define { source, .. } => validate_module(encoded(source)?),
            Action::Instance { .. } => self.instantiate(index),
            // Resolved ahead, but only for an instance that is there.
            Action::Register { .. } => self.unit(index).map(|_| ()),
            Action::Invoke(call) => self.invoke(index, call).map(|_| ()),
            Action::AssertReturn { exec, results } => {
                core_values::compare_results(&self.execute(index, exec)?, results)
            }
            Action::AssertTrap { exec, message } => {
                texts::expect_trap(self.execute(index, exec), message)
            }
            Action::AssertExhaustion { call, message } => {
                texts::expect_trap(self.invoke(index, call), message)
            }
            Action::AssertException { exec } => {
                texts::expect_trap(self.execute(index, exec), "uncaught exception")
            }
            Action::AssertRejected {
                source,
                message,
                because,
            } => rejected(source, message, *because),
            Action::AssertUnlinkable { source, message } => self.unlinkable(index, source, message),
            Action::AssertSuspension { .. } => bail!("stack switching is not supported"),
            Action::Thread {
                name, directives, ..
            } => self.start_thread(index, name, directives),
            Action::Wait { thread } => self.wait(thread),
        }
    }
}

impl Live {
    /// An instance of which no step has run, with its own shared memories or those of another.
    fn new(component: Component, memories: Vec<SharedMemory>) -> Result<Live> {
        let mut store = super::store();
        let mut host = CoreHost::new();
        host.share_memories(memories);
        let instance = CoreInstance::without_steps(&mut store, &component, host)?;
        Ok(Live {
            component,
            store,
            instance,
        })
    }
}

/// Whether a directive has a core module in it.
fn is_core(directive: &Directive<'_>) -> bool {
    let source = match &directive.action {
        Action::Define { source, .. } | Action::AssertUnlinkable { source, .. } => source,
        Action::AssertTrap {
            exec: Execute::Source(source),
            ..
        } => source,
        Action::Thread { .. } => return true,
        _ => return false,
    };
    source.space == Space::Core
}

fn encoded(source: &Source) -> Result<&[u8]> {
    match &source.wasm {
        Ok(wasm) => Ok(wasm),
        Err(error) => bail!("the module cannot be encoded: {error}"),
    }
}

/// The features of the time when a script expected an error. Scripts of early proposals demand
/// limits that WebAssembly 3.0 has lifted.
fn features_when(message: &str) -> WasmFeatures {
    let later = match message {
        "multiple memories" => WasmFeatures::MULTI_MEMORY,
        "multiple tables" => WasmFeatures::REFERENCE_TYPES,
        _ => WasmFeatures::empty(),
    };
    core_features().difference(later)
}

fn rejected(source: &Source, message: &str, because: Rejection) -> Result<()> {
    let check = |wasm: &[u8]| match because {
        Rejection::Invalid | Rejection::Malformed => {
            validate_module(wasm)?;
            validate_module_with(wasm, features_when(message))
        }
        Rejection::InvalidCustom | Rejection::MalformedCustom => {
            validate_module(wasm)?;
            custom_sections::check(wasm)
        }
    };
    match &source.wasm {
        Err(_) => Ok(()),
        Ok(wasm) => match check(wasm) {
            Ok(()) => bail!("expected the error {message:?}, but the module is valid"),
            Err(_) => Ok(()),
        },
    }
}

/// Why a script cannot be compiled.
struct Failures {
    /// Instances whose code cannot be.
    by_instance: BTreeMap<CoreInstanceId, anyhow::Error>,
    /// What belongs to none.
    other: Option<anyhow::Error>,
}

/// Compiles and links a binding.
fn compile_binding(binding: &Binding<'_>, options: &CompileOptions) -> Result<Vec<u8>, Failures> {
    let other = |error: anyhow::Error| Failures {
        by_instance: BTreeMap::new(),
        other: Some(error),
    };
    let program = &binding.program;
    let layout = lay_out(program).map_err(other)?;
    let session = Session::new(program, &layout, options).map_err(other)?;
    let inlining = Tunables::of(options);
    let roots = compile::roots::of_the_host(&session);
    let (compiled, failed) =
        compile::compile_what_can_be(&session, &roots, inlining.as_ref(), Listing::None);
    if !failed.is_empty() {
        let mut failures = Failures {
            by_instance: BTreeMap::new(),
            other: None,
        };
        for (key, error) in failed {
            match key {
                FuncKey::ModuleFunction(unit, _) | FuncKey::ArrayToWasm(unit, _) => {
                    failures.by_instance.insert(CoreInstanceId(unit.0), error);
                }
                FuncKey::Startup(_, step) => {
                    failures.by_instance.insert(CoreInstanceId(step), error);
                }
                _ => failures.other = Some(error),
            }
        }
        return Err(failures);
    }
    link::link(&session, &compiled.functions, &Target::of(options), None).map_err(other)
}

/// The first directive without which the script's layout is possible.
fn first_failure(script: &[Directive<'_>], spectest: &[u8], excluded: &Excluded) -> Result<usize> {
    let fails = |count: usize| -> Result<bool> {
        let planner = Planner::plan(script, spectest, excluded, count)?;
        Ok(lay_out(&planner.binding.program).is_err())
    };
    let (mut possible, mut impossible) = (0, core_plan::count(script));
    if !fails(impossible)? {
        return Err(anyhow!("the script cannot be linked"));
    }
    while possible + 1 < impossible {
        let middle = (possible + impossible) / 2;
        match fails(middle)? {
            true => impossible = middle,
            false => possible = middle,
        }
    }
    Ok(impossible - 1)
}
