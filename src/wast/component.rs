//! Directives about components. Every instance lives in a store of its own.

use super::script::{Action, Directive, Execute, Instantiate, Invoke, Rejection, Source};
use super::{ScriptOptions, host, texts, values};
use crate::CompileOptions;
use crate::component::ParseOptions;
use crate::options::Proposals;
use anyhow::{Context, Result, bail, ensure};
use std::collections::{BTreeMap, HashMap};
use trampette_runtime::{Component, ExportItem, Instance, Linker, Store, Val};

/// Runs the component directives of one script.
pub(super) struct ComponentRunner {
    options: CompileOptions,
    /// The host's items.
    linker: Result<Linker<()>>,
    /// Resource types that named instances export: by the instance's name the export's name, and
    /// the number that the linker knows the type by.
    resources: BTreeMap<String, Vec<(String, u64)>>,
    /// The next such number.
    next_resource: u64,
    /// Definitions by name; those without one share a name too.
    definitions: HashMap<Option<String>, Definition>,
    /// The instance made last.
    current: Option<Live>,
}

/// An instance and its store.
struct Live {
    store: Store<()>,
    instance: Instance,
}

/// A component that is valid. It is compiled at the first instantiation, since what it imports may
/// be defined only then.
struct Definition {
    wasm: Vec<u8>,
    compiled: Option<Component>,
}

impl ComponentRunner {
    /// A runner for one script, which may use every proposal.
    pub(super) fn new(options: &ScriptOptions) -> ComponentRunner {
        let mut options = options.compile.clone();
        options.proposals = Proposals::all();
        let mut linker = Linker::new();
        linker.allow_shadowing(true);
        let prepared = host::define(&mut linker).and_then(|()| {
            let module = host::simple_module()?;
            options
                .core_modules
                .insert(host::SIMPLE_MODULE.to_string(), module);
            Ok(())
        });
        ComponentRunner {
            options,
            linker: prepared.map(|()| linker),
            resources: BTreeMap::new(),
            next_resource: 0,
            definitions: HashMap::new(),
            current: None,
        }
    }

    /// Runs a directive.
    ///
    /// # Errors
    /// If it does not behave as the script demands.
    pub(super) fn run(&mut self, directive: &Directive<'_>) -> Result<()> {
        match &directive.action {
            Action::Define {
                name,
                source,
                instantiate,
            } => self.define(*name, source, *instantiate),
            Action::Instance {
                instance,
                definition,
            } => self.instance(*instance, *definition),
            Action::Invoke(call) => self.invoke(call).map(|_| ()),
            Action::AssertReturn { exec, results } => match exec {
                Execute::Invoke(call) => values::compare_results(&self.invoke(call)?, results),
                _ => bail!("only calls of components have results"),
            },
            Action::AssertTrap { exec, message } => match exec {
                Execute::Invoke(call) => texts::expect_trap(self.invoke(call), message),
                Execute::Source(source) => {
                    let component = self.compile(encoded(source)?)?;
                    texts::expect_trap(self.instantiate(&component), message)
                }
                Execute::Get { .. } => bail!("components have no globals"),
            },
            Action::AssertExhaustion { call, message } => {
                texts::expect_trap(self.invoke(call), message)
            }
            Action::AssertRejected {
                source,
                message,
                because,
            } => self.rejected(source, message, *because),
            Action::AssertUnlinkable { source, .. } => self.unlinkable(source),
            Action::AssertException { .. } => bail!("components throw no exceptions"),
            Action::AssertSuspension { .. } => bail!("components are not suspended by tags"),
            Action::Register { .. } | Action::Thread { .. } | Action::Wait { .. } => {
                bail!("`{}` is for core modules only", directive.keyword)
            }
        }
    }

    fn define(
        &mut self,
        name: Option<&str>,
        source: &Source,
        instantiate: Instantiate,
    ) -> Result<()> {
        let wasm = encoded(source)?;
        match instantiate {
            Instantiate::Yes => {
                self.current = None;
                let component = self.compile(wasm)?;
                self.current = Some(self.instantiate(&component)?);
                self.register(name, wasm, &component)
            }
            Instantiate::No => {
                crate::validate_component_with(wasm, self.options.proposals)?;
                let definition = Definition {
                    wasm: wasm.to_vec(),
                    compiled: None,
                };
                let name = name.map(str::to_string);
                self.definitions.insert(name, definition);
                Ok(())
            }
        }
    }

    fn instance(&mut self, instance: Option<&str>, definition: Option<&str>) -> Result<()> {
        self.current = None;
        let key = definition.map(str::to_string);
        let definition = self
            .definitions
            .get(&key)
            .with_context(|| format!("no component is defined as {}", shown(definition)))?;
        let component = match &definition.compiled {
            Some(component) => component.clone(),
            None => self.compile(&definition.wasm)?,
        };
        let wasm = definition.wasm.clone();
        if let Some(definition) = self.definitions.get_mut(&key) {
            definition.compiled = Some(component.clone());
        }
        self.current = Some(self.instantiate(&component)?);
        self.register(instance, &wasm, &component)
    }

    fn compile(&self, wasm: &[u8]) -> Result<Component> {
        let artifact = crate::compile_component(wasm, &self.options)?;
        artifact.load()
    }

    fn instantiate(&self, component: &Component) -> Result<Live> {
        let mut linker = match &self.linker {
            Ok(linker) => linker.clone(),
            Err(error) => bail!("the script's host cannot be made: {error:#}"),
        };
        for (name, resources) in &self.resources {
            let mut instance = linker.instance(name)?;
            for (export, number) in resources {
                // What the defining instance would do for a drop, it cannot do for another store.
                instance.resource_numbered(export, *number, |_, _| Ok(()))?;
            }
        }
        let mut store = super::store();
        let instance = linker.instantiate(&mut store, component)?;
        Ok(Live { store, instance })
    }

    /// Makes the core modules and resource types that a named instance exports importable. Its
    /// other exports cannot be used from another store.
    fn register(&mut self, name: Option<&str>, wasm: &[u8], component: &Component) -> Result<()> {
        let Some(name) = name else { return Ok(()) };
        let prefix = format!("{name}#");
        let metadata = component.metadata();
        let (bytes, _) = ParseOptions::of(&self.options, wasm);
        let mut modules = BTreeMap::new();
        let mut resources = Vec::new();
        for export in &metadata.exports {
            let [export_name] = &export.path[..] else {
                continue;
            };
            match &export.item {
                ExportItem::CoreModule(id) => {
                    let (start, end) = metadata.modules[*id].range;
                    let module = bytes.get(start as usize..end as usize);
                    let module = module.context("an exported module is not in its component")?;
                    modules.insert(format!("{prefix}{export_name}"), module.to_vec());
                }
                ExportItem::Resource(id) => {
                    let number = self.next_resource + u64::from(id.0);
                    resources.push((export_name.clone(), number));
                }
                _ => {}
            }
        }
        self.next_resource += metadata.resources.len() as u64;
        // They replace those of an earlier instance of that name.
        self.resources.insert(name.to_string(), resources);
        let core_modules = &mut self.options.core_modules;
        core_modules.retain(|known, _| !known.starts_with(&prefix));
        core_modules.extend(modules);
        Ok(())
    }

    fn invoke(&mut self, call: &Invoke<'_>) -> Result<Vec<Val>> {
        let live = self.current.as_mut().context("there is no instance")?;
        let name = [call.function];
        let function = live.instance.get_func(&mut live.store, name);
        let function =
            function.with_context(|| format!("there is no function `{}`", call.function))?;
        function.call(&mut live.store, &values::arguments(&call.arguments)?)
    }

    fn rejected(&self, source: &Source, message: &str, because: Rejection) -> Result<()> {
        ensure!(
            matches!(because, Rejection::Invalid | Rejection::Malformed),
            "custom sections of components are not checked"
        );
        match &source.wasm {
            // What cannot even be written down is no test of anything but the script.
            Err(error) if !source.quoted => bail!("the component cannot be encoded: {error}"),
            Err(_) => Ok(()),
            Ok(wasm) => match crate::validate_component_with(wasm, self.options.proposals) {
                Ok(()) => bail!("expected the error {message:?}, but the component is valid"),
                Err(_) => Ok(()),
            },
        }
    }

    fn unlinkable(&self, source: &Source) -> Result<()> {
        let wasm = encoded(source)?;
        crate::validate_component_with(wasm, self.options.proposals)?;
        // Core modules are linked when the component is compiled, everything else later.
        match self
            .compile(wasm)
            .and_then(|component| self.instantiate(&component))
        {
            Ok(_) => bail!("expected that linking fails, but it succeeded"),
            Err(_) => Ok(()),
        }
    }
}

fn encoded(source: &Source) -> Result<&[u8]> {
    match &source.wasm {
        Ok(wasm) => Ok(wasm),
        Err(error) => bail!("the component cannot be encoded: {error}"),
    }
}

fn shown(name: Option<&str>) -> String {
    match name {
        Some(name) => format!("`${name}`"),
        None => "the unnamed definition".to_string(),
    }
}
