//! Resolving the core directives of a script before any of them runs: every module becomes a core
//! instance of one binding, and every name an instance.

use super::script::{Action, Directive, Execute, Instantiate, Invoke, Source};
use crate::modules::bind::{Binding, SizeCheck, parse_module, validate_module};
use crate::program::CoreItem;
use crate::program::module::Module;
use anyhow::Result;
use std::collections::{BTreeMap, HashMap, HashSet};
use trampette_artifact::ids::{CoreInstanceId, ModuleId};

/// What a directive was resolved to.
pub(super) enum Plan {
    /// Nothing had to be.
    Nothing,
    /// An instantiation.
    Instantiate(Result<Instantiation, String>),
    /// A call or the reading of a global: the exporting instance.
    Export(Result<CoreInstanceId, String>),
    /// A thread: the plans of its directives, until they run.
    Thread(Result<Vec<Plan>, String>),
}

/// An instantiation and what must hold before it.
pub(super) struct Instantiation {
    pub instance: CoreInstanceId,
    pub checks: Vec<SizeCheck>,
}

/// What every script can import as `spectest`.
pub(super) const SPECTEST: &str = r#"(module $spectest
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

/// Directives whose modules cannot be compiled, and why. Directives are numbered in the order of
/// the text, those of threads included.
pub(super) type Excluded = BTreeMap<usize, String>;

/// Resolves a script.
pub(super) struct Planner<'s, 'w> {
    pub binding: Binding<'w>,
    /// For each directive of the script itself.
    pub plans: Vec<Plan>,
    /// The number of the next directive, and of the first that is left out.
    next: usize,
    end: usize,
    excluded: &'w Excluded,
    /// Who made each core instance but the first.
    directives: HashMap<CoreInstanceId, usize>,
    names: Names<'s>,
    exposed: HashSet<(CoreInstanceId, &'s str)>,
}

/// What the names mean that a thread of a script can use.
#[derive(Default)]
struct Names<'s> {
    /// Definitions by name: valid modules, or why they are not.
    definitions: HashMap<Option<&'s str>, Result<ModuleId, String>>,
    /// Instances by the name in the script.
    named: HashMap<&'s str, CoreInstanceId>,
    /// Instances by the name for imports.
    registered: HashMap<String, CoreInstanceId>,
    current: Option<CoreInstanceId>,
    /// The instance of another thread: only its shared memories can be used here.
    foreign: Option<CoreInstanceId>,
}

/// The number of directives, those of threads included.
pub(super) fn count(script: &[Directive<'_>]) -> usize {
    let of = |directive: &Directive<'_>| match &directive.action {
        Action::Thread { directives, .. } => 1 + count(directives),
        _ => 1,
    };
    script.iter().map(of).sum()
}

impl<'s, 'w> Planner<'s, 'w> {
    /// Resolves the first `end` directives.
    pub(super) fn plan(
        script: &'w [Directive<'s>],
        spectest: &'w [u8],
        excluded: &'w Excluded,
        end: usize,
    ) -> Result<Self> {
        let mut planner = Planner {
            binding: Binding::new(),
            plans: Vec::new(),
            next: 0,
            end,
            excluded,
            directives: HashMap::new(),
            names: Names::default(),
            exposed: HashSet::new(),
        };
        let module = planner.binding.add_module(parse_module(spectest)?);
        let instance = planner.binding.instantiate(module, Vec::new());
        let spectest = "spectest".to_string();
        planner.names.registered.insert(spectest, instance);
        planner.plans = planner.directives(script);
        Ok(planner)
    }

    fn directives(&mut self, directives: &'w [Directive<'s>]) -> Vec<Plan> {
        let mut plans = Vec::with_capacity(directives.len());
        for directive in directives {
            if self.next == self.end {
                break;
            }
            let number = self.next;
            self.next += 1;
            let plan = self.directive(number, directive);
            plans.push(plan);
        }
        plans
    }

    /// Resolves a thread's directives, which see the definitions so far and the shared memories of
    /// one instance.
    fn thread(&mut self, shared: Option<&'s str>, directives: &'w [Directive<'s>]) -> Plan {
        let mut names = Names {
            definitions: self.names.definitions.clone(),
            ..Names::default()
        };
        if let Some(name) = shared {
            match self.instance(Some(name)) {
                Ok(instance) => {
                    names.named.insert(name, instance);
                    names.registered.insert(name.to_string(), instance);
                    names.foreign = Some(instance);
                }
                Err(error) => return Plan::Thread(Err(error)),
            }
        }
        let outer = std::mem::replace(&mut self.names, names);
        let plans = self.directives(directives);
        self.names = outer;
        Plan::Thread(Ok(plans))
    }

    /// Who made an instance, by number.
    pub(super) fn directive_of(&self, instance: CoreInstanceId) -> Option<usize> {
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
                    self.names.definitions.insert(*name, module);
                    return Plan::Nothing;
                }
                let plan = module.and_then(|module| self.instantiate(index, module));
                self.made(*name, plan)
            }
            Action::Instance {
                instance,
                definition,
            } => {
                let module = self.names.definitions.get(definition).cloned();
                let module = module.unwrap_or_else(|| Err("there is no such definition".into()));
                let plan = module.and_then(|module| self.instantiate(index, module));
                self.made(*instance, plan)
            }
            Action::Register { name, module } => {
                let instance = self.instance(*module);
                if let Ok(instance) = &instance {
                    self.names.registered.insert(name.to_string(), *instance);
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
            Action::Thread {
                shared, directives, ..
            } => self.thread(*shared, directives),
            Action::AssertRejected { .. } | Action::Wait { .. } => Plan::Nothing,
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
        Ok(self.binding.add_module(module))
    }

    fn instantiate(&mut self, index: usize, module: ModuleId) -> Result<Instantiation, String> {
        if let Some(error) = self.excluded.get(&index) {
            return Err(error.clone());
        }
        let offered = |module: &str, name: &str| {
            let instance = *self.names.registered.get(module)?;
            let item = self.binding.export(instance, name)?;
            (self.names.foreign != Some(instance) || self.is_shared(item)).then_some(item)
        };
        let resolved = self.binding.resolve(module, offered);
        let (imports, checks) = resolved.map_err(|error| error.to_string())?;
        let instance = self.binding.instantiate(module, imports);
        self.directives.insert(instance, index);
        Ok(Instantiation { instance, checks })
    }

    fn is_shared(&self, item: CoreItem) -> bool {
        match item {
            CoreItem::Memory(id) => {
                let memory = self.binding.program.memory_type(id);
                memory.is_ok_and(|memory| memory.shared)
            }
            _ => false,
        }
    }

    /// Makes an instance the current one.
    fn made(&mut self, name: Option<&'s str>, plan: Result<Instantiation, String>) -> Plan {
        self.names.current = plan.as_ref().ok().map(|plan| plan.instance);
        if let (Some(name), Some(instance)) = (name, self.names.current) {
            self.names.named.insert(name, instance);
            self.names.registered.insert(name.to_string(), instance);
        }
        Plan::Instantiate(plan)
    }

    fn source(&mut self, index: usize, source: &'w Source) -> Plan {
        let module = self.module(source);
        Plan::Instantiate(module.and_then(|module| self.instantiate(index, module)))
    }

    fn instance(&self, name: Option<&str>) -> Result<CoreInstanceId, String> {
        let instance = match name {
            Some(name) => self.names.named.get(name).copied(),
            None => self.names.current,
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
            if planner.names.foreign == Some(instance) {
                return Err("only shared memories of another thread can be used".to_string());
            }
            if planner.exposed.insert((instance, name)) {
                let exposed = planner.binding.expose(instance, name);
                exposed.map_err(|error| format!("{error:#}"))?;
            }
            Ok(instance)
        };
        Plan::Export(expose(self))
    }
}
