//! Directives about core modules. A script is compiled as a closed world before its first directive
//! runs: names and imports are resolved ahead, all its modules are core instances of one program, and
//! each instantiation is a step of that program, run when the script gets there.

use super::script::{Action, Directive, Execute, Instantiate, Invoke, Rejection, Source, Space};
use super::{CoreRunner, ScriptOptions, core_values, custom_sections, texts};
use crate::compile::{self, Listing};
use crate::component::layout::lay_out;
use crate::component::program::CoreItem;
use crate::modules::module::Module;
use crate::modules::world::{
    SizeCheck, World, core_features, parse_module, validate_module, validate_module_with,
};
use crate::{CompileOptions, codegen, in_thread_pool, link};
use anyhow::{Context, Result, anyhow, bail, ensure};
use std::collections::{BTreeMap, HashMap, HashSet};
use trampette_artifact::ids::{CoreInstanceId, ModuleId, UnitId};
use trampette_artifact::key::FuncKey;
use trampette_runtime::{Component, CoreExtern, CoreHost, CoreInstance, CoreVal, Store};
use wasmparser::WasmFeatures;

/// What every script can import as `spectest`.
const SPECTEST: &str = r#"(module $spectest
    (func (export "print"))
    (func (export "print_i32") (param i32))
    (func (export "print_i64") (param i64))
    (func (export "print_f32") (param f32))
    (func (export "print_f64") (param f64))
    (func (export "print_i32_f32") (param i32 f32))
    (func (export "print_f64_f64") (param f64 f64))
    (global (export "global_i32") i32 (i32.const 666))
    (global (export "global_i64") i64 (i64.const 666))
    (global (export "global_f32") f32 (f32.const 666.6))
    (global (export "global_f64") f64 (f64.const 666.6))
    (table (export "table") 10 20 funcref)
    (table (export "table64") i64 10 20 funcref)
    (memory (export "memory") 1 2)
    (memory (export "shared_memory") 1 1 shared))"#;

/// Runs the core directives of one script.
pub struct ScriptRunner {
    options: CompileOptions,
    /// What was resolved for each directive.
    plans: Vec<Plan>,
    live: Option<Live>,
}

/// The compiled script.
struct Live {
    store: Store<()>,
    instance: CoreInstance,
}

/// What a directive was resolved to.
enum Plan {
    /// Nothing had to be.
    Nothing,
    /// An instantiation.
    Instantiate(Result<Instantiation, String>),
    /// A call or the reading of a global: the exporting instance.
    Export(Result<CoreInstanceId, String>),
}

struct Instantiation {
    instance: CoreInstanceId,
    checks: Vec<SizeCheck>,
}

impl ScriptRunner {
    /// A runner for one script.
    pub fn new(options: &ScriptOptions) -> ScriptRunner {
        ScriptRunner {
            options: options.compile.clone(),
            plans: Vec::new(),
            live: None,
        }
    }

    /// Compiles the script; modules that cannot be compiled are left out, and their directives fail.
    fn compile(&mut self, script: &[Directive<'_>]) -> Result<()> {
        let spectest = wat::parse_str(SPECTEST)?;
        let mut excluded = Excluded::new();
        let artifact = in_thread_pool(&self.options, || {
            loop {
                let mut planner = Planner::plan(script, &spectest, &excluded, script.len())?;
                planner.world.program.bounds = self.options.bounds;
                let failures = match compile_world(&planner.world, &self.options) {
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
        let component = Component::from_bytes(&artifact)?;
        let mut store = Store::new(());
        let instance = CoreInstance::without_steps(&mut store, &component, CoreHost::new())?;
        self.live = Some(Live { store, instance });
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
            Some(Plan::Export(Ok(instance))) => Ok(UnitId(instance.0)),
            Some(Plan::Export(Err(error))) => bail!("{error}"),
            _ => bail!("the export was not planned"),
        }
    }

    fn invoke(&mut self, index: usize, call: &Invoke<'_>) -> Result<Vec<CoreVal>> {
        let unit = self.unit(index)?;
        let arguments = core_values::arguments(&call.arguments)?;
        let Live { store, instance } = self.live()?;
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
                let Live { store, instance } = self.live()?;
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

impl<'s> CoreRunner<'s> for ScriptRunner {
    fn prepare(&mut self, script: &[Directive<'s>]) -> Result<()> {
        match script.iter().any(is_core) {
            true => self.compile(script),
            false => Ok(()),
        }
    }

    fn run(&mut self, index: usize, directive: &Directive<'s>) -> Result<()> {
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
            Action::Thread { .. } | Action::Wait { .. } => bail!("threads are not supported yet"),
        }
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

/// The features of the time when a script expected an error. Scripts of early proposals demand limits
/// that WebAssembly 3.0 has lifted.
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

/// Directives whose modules cannot be compiled, and why.
type Excluded = BTreeMap<usize, String>;

/// Resolves a script.
struct Planner<'s, 'w> {
    world: World<'w>,
    plans: Vec<Plan>,
    excluded: &'w Excluded,
    /// Who made each core instance but the first.
    directives: HashMap<CoreInstanceId, usize>,
    /// Definitions by name: valid modules, or why they are not.
    definitions: HashMap<Option<&'s str>, Result<ModuleId, String>>,
    /// Instances by the name in the script.
    named: HashMap<&'s str, CoreInstanceId>,
    /// Instances by the name for imports.
    registered: HashMap<String, CoreInstanceId>,
    current: Option<CoreInstanceId>,
    exposed: HashSet<(CoreInstanceId, &'s str)>,
}

impl<'s, 'w> Planner<'s, 'w> {
    /// Resolves the first `count` directives.
    fn plan(
        script: &'w [Directive<'s>],
        spectest: &'w [u8],
        excluded: &'w Excluded,
        count: usize,
    ) -> Result<Self> {
        let mut planner = Planner {
            world: World::new(),
            plans: Vec::with_capacity(script.len()),
            excluded,
            directives: HashMap::new(),
            definitions: HashMap::new(),
            named: HashMap::new(),
            registered: HashMap::new(),
            current: None,
            exposed: HashSet::new(),
        };
        let module = planner.world.add_module(parse_module(spectest)?);
        let instance = planner.world.instantiate(module, Vec::new());
        planner.registered.insert("spectest".to_string(), instance);
        for (index, directive) in script.iter().enumerate().take(count) {
            let plan = planner.directive(index, directive);
            planner.plans.push(plan);
        }
        Ok(planner)
    }

    fn directive_of(&self, instance: CoreInstanceId) -> Option<usize> {
        self.directives.get(&instance).copied()
    }

    fn directive(&mut self, index: usize, directive: &'w Directive<'s>) -> Plan {
        match &directive.action {
            Action::Define {
                name,
                source,
                instantiate,
            } => {
                let module = self.module(source);
                if *instantiate == Instantiate::No {
                    self.definitions.insert(*name, module);
                    return Plan::Nothing;
                }
                let plan = module.and_then(|module| self.instantiate(index, module));
                self.made(*name, plan)
            }
            Action::Instance {
                instance,
                definition,
            } => {
                let module = self.definitions.get(definition).cloned();
                let module = module.unwrap_or_else(|| Err("there is no such definition".into()));
                let plan = module.and_then(|module| self.instantiate(index, module));
                self.made(*instance, plan)
            }
            Action::Register { name, module } => {
                let instance = self.instance(*module);
                if let Ok(instance) = &instance {
                    self.registered.insert(name.to_string(), *instance);
                }
                Plan::Export(instance)
            }
            Action::Invoke(call) => self.call(call),
            Action::AssertExhaustion { call, .. } => self.call(call),
            Action::AssertReturn { exec, .. }
            | Action::AssertTrap { exec, .. }
            | Action::AssertException { exec }
            | Action::AssertSuspension { exec, .. } => match exec {
                Execute::Invoke(call) => self.call(call),
                Execute::Get { module, global } => self.export(*module, global),
                Execute::Source(source) => self.source(index, source),
            },
            Action::AssertUnlinkable { source, .. } => self.source(index, source),
            Action::AssertRejected { .. } | Action::Thread { .. } | Action::Wait { .. } => {
                Plan::Nothing
            }
        }
    }

    /// A module of the script, if it is valid and supported.
    fn module(&mut self, source: &'w Source) -> Result<ModuleId, String> {
        let wasm = source.wasm.as_ref().map_err(String::clone)?;
        let parse = || -> Result<Module<'w>> {
            validate_module(wasm)?;
            parse_module(wasm)
        };
        let module = parse().map_err(|error| format!("{error:#}"))?;
        Ok(self.world.add_module(module))
    }

    fn instantiate(&mut self, index: usize, module: ModuleId) -> Result<Instantiation, String> {
        if let Some(error) = self.excluded.get(&index) {
            return Err(error.clone());
        }
        let offered = |module: &str, name: &str| {
            let instance = self.registered.get(module)?;
            self.world.export(*instance, name)
        };
        let resolved = self.world.resolve(module, offered);
        let (imports, checks) = resolved.map_err(|error| error.to_string())?;
        let instance = self.world.instantiate(module, imports);
        self.directives.insert(instance, index);
        Ok(Instantiation { instance, checks })
    }

    /// Makes an instance the current one.
    fn made(&mut self, name: Option<&'s str>, plan: Result<Instantiation, String>) -> Plan {
        self.current = plan.as_ref().ok().map(|plan| plan.instance);
        if let (Some(name), Some(instance)) = (name, self.current) {
            self.named.insert(name, instance);
            self.registered.insert(name.to_string(), instance);
        }
        Plan::Instantiate(plan)
    }

    fn source(&mut self, index: usize, source: &'w Source) -> Plan {
        let module = self.module(source);
        Plan::Instantiate(module.and_then(|module| self.instantiate(index, module)))
    }

    fn instance(&self, name: Option<&str>) -> Result<CoreInstanceId, String> {
        let instance = match name {
            Some(name) => self.named.get(name).copied(),
            None => self.current,
        };
        instance.ok_or_else(|| match name {
            Some(name) => format!("there is no instance `${name}`"),
            None => "there is no instance".to_string(),
        })
    }

    fn call(&mut self, call: &Invoke<'s>) -> Plan {
        self.export(call.module, call.function)
    }

    fn export(&mut self, module: Option<&str>, name: &'s str) -> Plan {
        let expose = |planner: &mut Self| -> Result<CoreInstanceId, String> {
            let instance = planner.instance(module)?;
            if planner.exposed.insert((instance, name)) {
                let exposed = planner.world.expose(instance, name);
                exposed.map_err(|error| format!("{error:#}"))?;
            }
            Ok(instance)
        };
        Plan::Export(expose(self))
    }
}

/// Why a script cannot be compiled.
struct Failures {
    /// Instances whose code cannot be.
    by_instance: BTreeMap<CoreInstanceId, anyhow::Error>,
    /// What belongs to none.
    other: Option<anyhow::Error>,
}

/// Compiles and links a world.
fn compile_world(world: &World<'_>, options: &CompileOptions) -> Result<Vec<u8>, Failures> {
    let other = |error: anyhow::Error| Failures {
        by_instance: BTreeMap::new(),
        other: Some(error),
    };
    let program = &world.program;
    let layout = lay_out(program).map_err(other)?;
    let isa = options.isa().map_err(other)?;
    let session = codegen::Session {
        isa,
        program,
        layout: &layout,
        inlining: options.inlining(),
    };
    let (compiled, failed) = compile::compile_what_can_be(&session, Listing::None);
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
    link::link(&session, &compiled.functions, &options.target(), None).map_err(other)
}

/// The first directive without which the script's layout is possible.
fn first_failure(script: &[Directive<'_>], spectest: &[u8], excluded: &Excluded) -> Result<usize> {
    let fails = |count: usize| -> Result<bool> {
        let planner = Planner::plan(script, spectest, excluded, count)?;
        Ok(lay_out(&planner.world.program).is_err())
    };
    let (mut possible, mut impossible) = (0, script.len());
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
