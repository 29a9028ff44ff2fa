//! Components of several random core modules, generated or crafted, that import each other's
//! functions, memories, tables, globals and tags, some of them instantiated twice. Functions whose
//! types are numbers are lifted. A module of our own observes what components do not export:
//! memories, tables and globals. Some compositions have two such components, of which the second
//! imports functions of the first instead of the host's.

use crate::crafted;
use crate::generate::{self, FUEL, ImportNames};
use crate::interface::{Call, Interface, Item, calls, interface};
use crate::observer::{self, Observed};
use crate::random::Random;
use crate::trace::{HostCall, Outcome, Trace};
use crate::value::{Signature, Type, Value};
use anyhow::{Context, Result, ensure};
use wasm_encoder::reencode::{Reencode, RoundtripReencoder};
use wasm_encoder::{
    ComponentBuilder, ComponentExportKind, ComponentTypeRef, EntityType, ExportKind, ImportSection,
    ModuleArg, PrimitiveValType, TagKind, TagType, TypeSection, ValType,
};

/// The type of a function of the host.
pub struct HostSignature {
    /// The parameters.
    pub params: &'static [Type],
    /// At most one.
    pub results: &'static [Type],
}

/// The types of the host's functions.
pub const SIGNATURES: &[HostSignature] = &[
    HostSignature {
        params: &[],
        results: &[],
    },
    HostSignature {
        params: &[Type::I32],
        results: &[Type::I32],
    },
    HostSignature {
        params: &[Type::I64, Type::F64],
        results: &[Type::F64],
    },
    HostSignature {
        params: &[Type::F32, Type::I32, Type::I64],
        results: &[Type::I64],
    },
    HostSignature {
        params: &[Type::I32, Type::I32],
        results: &[Type::F32],
    },
];

/// The module that core modules import the host's functions from.
const HOST: &str = "host";
/// How much fuel there may be.
const FUELS: [i32; 3] = [200, 1_000, 5_000];
/// Most parameters that a lifted function passes in registers.
const FLAT_PARAMETERS: usize = 16;

/// The name of a function of the host.
pub fn host_name(number: usize) -> String {
    format!("host{number}")
}

/// What an invocation gave: how it ended, and the calls of the host.
pub type Invoked = Result<(Outcome, Vec<HostCall>)>;

/// A component with everything that both engines need to run it.
pub struct Composition {
    /// The component.
    pub wasm: Vec<u8>,
    /// What to call.
    pub calls: Vec<Call>,
    /// The functions that observe the state, with what they observe.
    observers: Vec<(String, String)>,
    /// The functions that set the fuel.
    resets: Vec<String>,
    /// The fuel of every module before each call.
    fuel: i32,
}

impl Composition {
    /// A random composition.
    ///
    /// # Errors
    /// If no component can be made of the seed's random numbers.
    pub fn generate(random: &mut Random) -> Result<Composition> {
        let count = random.pick(&[1, 1, 2]);
        let parts = (0..count).map(|_| Part::generate(random));
        let parts = parts.collect::<Result<Vec<Part>>>()?;
        let wasm = match &parts[..] {
            [part] => part.wasm.clone(),
            parts => nest(parts, random),
        };
        let prefix = |part: usize, name: &str| match count {
            1 => name.to_string(),
            _ => nested_name(part, name),
        };
        let mut composition = Composition {
            wasm,
            calls: Vec::new(),
            observers: Vec::new(),
            resets: Vec::new(),
            fuel: random.pick(&FUELS),
        };
        let mut functions = Vec::new();
        for (index, part) in parts.iter().enumerate() {
            for (name, signature) in &part.functions {
                functions.push((prefix(index, name), signature.clone()));
            }
            for (name, what) in &part.observers {
                let what = prefix(index, what);
                composition.observers.push((prefix(index, name), what));
            }
            composition.resets.push(prefix(index, observer::RESET));
        }
        composition.calls = calls(&functions, 40, random);
        Ok(composition)
    }

    /// Random calls of a composition that was made before, whose exports are these.
    pub fn of(wasm: Vec<u8>, exports: Vec<(String, Signature)>, random: &mut Random) -> Self {
        let mut functions = Vec::new();
        let mut observers = Vec::new();
        let mut resets = Vec::new();
        for (name, signature) in exports {
            let last = name.rsplit('-').next().unwrap_or_default();
            if last == observer::RESET {
                resets.push(name);
            } else if observer::is_observer(last) {
                observers.push((name.clone(), name));
            } else {
                functions.push((name, signature));
            }
        }
        Composition {
            wasm,
            calls: calls(&functions, 40, random),
            observers,
            resets,
            fuel: random.pick(&FUELS),
        }
    }

    /// Makes a call and looks at what it left behind. Whether the instance is dead.
    ///
    /// # Errors
    /// If a function is missing.
    pub fn step(
        &self,
        call: &Call,
        trace: &mut Trace,
        invoke: &mut dyn FnMut(&str, &[Value]) -> Invoked,
    ) -> Result<bool> {
        for reset in &self.resets {
            let (outcome, _) = invoke(reset, &[Value::I32(self.fuel)])?;
            ensure!(
                matches!(outcome, Outcome::Returned(_)),
                "resetting the fuel ended with {outcome:?}"
            );
        }
        let (outcome, log) = invoke(&call.name, &call.arguments)?;
        let dead = !matches!(outcome, Outcome::Returned(_));
        trace.push(call.to_string(), outcome, log);
        // Looking takes time: not after every call.
        if !dead && trace.steps.len().is_multiple_of(2) {
            for (name, what) in &self.observers {
                let (outcome, log) = invoke(name, &[])?;
                trace.push(format!("observe {what}"), outcome, log);
            }
        }
        Ok(dead)
    }
}

/// One component: core instances that import from each other.
struct Part {
    wasm: Vec<u8>,
    /// What it exports, apart from the observer's functions.
    functions: Vec<(String, Signature)>,
    observers: Vec<(String, String)>,
}

impl Part {
    fn generate(random: &mut Random) -> Result<Part> {
        let count = 2 + random.below(3);
        let mut modules = Vec::new();
        let mut interfaces: Vec<Interface> = Vec::new();
        for _ in 0..count {
            let module = match random.percent(50) {
                true => crafted(&interfaces, random)?,
                false => generated(&interfaces, random)?,
            };
            interfaces.push(interface(&module)?);
            modules.push(module);
        }
        let mut instances: Vec<usize> = (0..count).collect();
        if random.percent(40) {
            // A second instance, before those that may import from it.
            let twice = random.below(count);
            instances.insert(twice, twice);
        }
        Builder::default().build(&modules, &interfaces, &instances, random)
    }
}

/// The name of a nested component's export.
fn nested_name(part: usize, name: &str) -> String {
    format!("p{part}-{name}")
}

/// A component with several components in it.
fn nest(parts: &[Part], random: &mut Random) -> Vec<u8> {
    let mut outer = Builder::default();
    let host = outer.import_host();
    let mut instances: Vec<u32> = Vec::new();
    for part in parts {
        let component = outer.component.component_raw(None, &part.wasm);
        let mut arguments = Vec::new();
        for (number, wanted) in SIGNATURES.iter().enumerate() {
            let mut candidates = Vec::new();
            for (instance, earlier) in instances.iter().zip(parts) {
                let all = earlier.functions.iter();
                let all = all.filter(|(_, signature)| {
                    signature.params == wanted.params && signature.results == wanted.results
                });
                candidates.extend(all.map(|(name, _)| (*instance, name)));
            }
            let function = match candidates.is_empty() || random.percent(20) {
                true => host[number],
                false => {
                    let (instance, name) = random.pick(&candidates);
                    let kind = ComponentExportKind::Func;
                    outer.component.alias_export(instance, name, kind)
                }
            };
            arguments.push((host_name(number), ComponentExportKind::Func, function));
        }
        let instance = outer.component.instantiate(None, component, arguments);
        instances.push(instance);
    }
    for (index, (instance, part)) in instances.iter().zip(parts).enumerate() {
        let functions = part.functions.iter().map(|(name, _)| name.as_str());
        let observers = part.observers.iter().map(|(name, _)| name.as_str());
        for name in functions.chain(observers).chain([observer::RESET]) {
            let kind = ComponentExportKind::Func;
            let function = outer.component.alias_export(*instance, name, kind);
            let name = nested_name(index, name);
            outer.component.export(name.as_str(), kind, function, None);
        }
    }
    outer.component.finish()
}

/// A module of wasm-smith that may import from the modules so far.
fn generated(interfaces: &[Interface], random: &mut Random) -> Result<Vec<u8>> {
    let mut config = generate::config(random);
    config.max_imports = 12;
    config.max_funcs = 12;
    config.min_funcs = config.min_funcs.min(8);
    config.max_instructions = config.max_instructions.min(300);
    config.custom_page_sizes_enabled = false;
    config.available_imports = Some(offered(interfaces, random)?);
    generate::module(config, ImportNames::Kept, random)
}

/// A crafted module that may import from the modules so far.
fn crafted(interfaces: &[Interface], random: &mut Random) -> Result<Vec<u8>> {
    let earlier = interfaces.iter().enumerate();
    let earlier: Vec<_> = earlier
        .map(|(module, interface)| crafted::Import {
            module: module_name(module),
            interface,
        })
        .collect();
    let host = SIGNATURES.iter().enumerate();
    let host: Vec<_> = host
        .map(|(number, signature)| crafted::Function {
            name: host_name(number),
            params: signature.params.to_vec(),
            result: signature.results.first().copied(),
        })
        .collect();
    crafted::module(HOST, &host, &earlier, random)
}

/// A module that imports everything that a next module may import: the host's functions, and what
/// the modules so far export.
fn offered(interfaces: &[Interface], random: &mut Random) -> Result<Vec<u8>> {
    let mut types = TypeSection::new();
    let mut imports = ImportSection::new();
    let mut encoder = RoundtripReencoder;
    for (number, signature) in SIGNATURES.iter().enumerate() {
        let core = |types: &[Type]| types.iter().map(|ty| core_type(*ty)).collect::<Vec<_>>();
        let index = types.len();
        types
            .ty()
            .function(core(signature.params), core(signature.results));
        imports.import(HOST, &host_name(number), EntityType::Function(index));
    }
    for (module, interface) in interfaces.iter().enumerate() {
        for (name, item) in interface.exports.iter().filter(|(name, _)| name != FUEL) {
            let wanted = match item {
                Item::Func(..) => random.percent(50),
                Item::Memory(_) | Item::Table(_) => random.percent(90),
                Item::Global(_) | Item::Tag(_) => random.percent(40),
            };
            if !wanted {
                continue;
            }
            let mut function = |ty: &wasmparser::FuncType| {
                let index = types.len();
                types.ty().func_type(&encoder.func_type(ty.clone())?);
                anyhow::Ok(index)
            };
            let ty = match item {
                Item::Func(ty, _) => EntityType::Function(function(ty)?),
                Item::Tag(ty) => EntityType::Tag(TagType {
                    kind: TagKind::Exception,
                    func_type_idx: function(ty)?,
                }),
                Item::Memory(ty) => encoder.memory_type(*ty)?.into(),
                Item::Table(ty) => encoder.table_type(*ty)?.into(),
                Item::Global(ty) => encoder.global_type(*ty)?.into(),
            };
            imports.import(&module_name(module), name, ty);
        }
    }
    let mut module = wasm_encoder::Module::new();
    module.section(&types).section(&imports);
    Ok(module.finish())
}

fn module_name(module: usize) -> String {
    format!("m{module}")
}

fn core_type(ty: Type) -> ValType {
    match ty {
        Type::I32 => ValType::I32,
        Type::I64 => ValType::I64,
        Type::F32 => ValType::F32,
        Type::F64 => ValType::F64,
        _ => unreachable!("the host's functions take numbers"),
    }
}

fn component_type(ty: Type) -> PrimitiveValType {
    match ty {
        Type::I32 => PrimitiveValType::S32,
        Type::I64 => PrimitiveValType::S64,
        Type::F32 => PrimitiveValType::F32,
        Type::F64 => PrimitiveValType::F64,
        _ => unreachable!("only functions of numbers are lifted"),
    }
}

/// Whether a function can be lifted without options.
fn is_liftable(signature: &Signature) -> bool {
    let scalar = |types: &[Type]| types.iter().all(|ty| ty.is_scalar());
    scalar(&signature.params)
        && scalar(&signature.results)
        && signature.params.len() <= FLAT_PARAMETERS
        && signature.results.len() <= 1
}

#[derive(Default)]
struct Builder {
    component: ComponentBuilder,
}

impl Builder {
    fn build(
        mut self,
        modules: &[Vec<u8>],
        interfaces: &[Interface],
        instances: &[usize],
        random: &mut Random,
    ) -> Result<Part> {
        let host = self.host();
        let indices: Vec<u32> = modules
            .iter()
            .map(|module| self.component.core_module_raw(None, module))
            .collect();
        // Of each core instance, its module and index.
        let mut made: Vec<(usize, u32)> = Vec::new();
        for &module in instances {
            let mut arguments = vec![(HOST.to_string(), ModuleArg::Instance(host))];
            for from in 0..module {
                let all = made.iter().filter(|(module, _)| *module == from);
                let all: Vec<u32> = all.map(|(_, instance)| *instance).collect();
                let instance = random.pick(&all);
                arguments.push((module_name(from), ModuleArg::Instance(instance)));
            }
            let instance = self.instantiate(indices[module], &arguments);
            made.push((module, instance));
        }
        let mut functions = Vec::new();
        for &(module, instance) in &made {
            for (name, item) in &interfaces[module].exports {
                if let Item::Func(_, Some(signature)) = item
                    && is_liftable(signature)
                {
                    let lifted = format!("f{}", functions.len());
                    self.lift(instance, name, signature, &lifted);
                    functions.push((lifted, signature.clone()));
                }
            }
        }
        let observers = self.observe(&made, interfaces)?;
        Ok(Part {
            wasm: self.component.finish(),
            functions,
            observers,
        })
    }

    fn instantiate(&mut self, module: u32, arguments: &[(String, ModuleArg)]) -> u32 {
        let arguments: Vec<_> = arguments
            .iter()
            .map(|(name, argument)| (name.as_str(), *argument))
            .collect();
        self.component.core_instantiate(None, module, arguments)
    }

    /// Imports the host's functions.
    fn import_host(&mut self) -> Vec<u32> {
        let mut functions = Vec::new();
        for (number, signature) in SIGNATURES.iter().enumerate() {
            let ty = self.function_type(signature.params, signature.results);
            let (name, ty) = (host_name(number), ComponentTypeRef::Func(ty));
            functions.push(self.component.import(name.as_str(), ty));
        }
        functions
    }

    /// Imports and lowers the host's functions; the core instance of them.
    fn host(&mut self) -> u32 {
        let mut exports = Vec::new();
        for (number, function) in self.import_host().into_iter().enumerate() {
            let lowered = self.component.lower_func(None, function, []);
            exports.push((host_name(number), lowered));
        }
        let exports: Vec<_> = exports
            .iter()
            .map(|(name, index)| (name.as_str(), ExportKind::Func, *index))
            .collect();
        self.component.core_instantiate_exports(None, exports)
    }

    fn function_type(&mut self, params: &[Type], results: &[Type]) -> u32 {
        let names: Vec<String> = (0..params.len()).map(|index| format!("p{index}")).collect();
        let params = names.iter().zip(params);
        let params: Vec<_> = params
            .map(|(name, ty)| (name.as_str(), component_type(*ty)))
            .collect();
        let (index, mut encoder) = self.component.type_function(None);
        encoder
            .params(params)
            .result(results.first().map(|ty| component_type(*ty).into()));
        index
    }

    fn lift(&mut self, instance: u32, name: &str, signature: &Signature, lifted: &str) {
        let core = self
            .component
            .core_alias_export(None, instance, name, ExportKind::Func);
        let ty = self.function_type(&signature.params, &signature.results);
        let function = self.component.lift_func(None, core, ty, []);
        self.component
            .export(lifted, ComponentExportKind::Func, function, None);
    }

    /// Instantiates the observer and lifts its functions.
    fn observe(
        &mut self,
        made: &[(usize, u32)],
        interfaces: &[Interface],
    ) -> Result<Vec<(String, String)>> {
        let mut observed = Vec::new();
        let mut arguments = Vec::new();
        for (position, (module, instance)) in made.iter().enumerate() {
            let from = format!("i{position}");
            for (name, item) in &interfaces[*module].exports {
                observed.push(Observed {
                    from: from.clone(),
                    name: name.clone(),
                    item: item.clone(),
                });
            }
            arguments.push((from, ModuleArg::Instance(*instance)));
        }
        let observer = observer::observer(&observed);
        let wasm = wat::parse_str(&observer.text).context("the observer is wrong")?;
        let module = self.component.core_module_raw(None, &wasm);
        let instance = self.instantiate(module, &arguments);
        let reset = Signature {
            params: vec![Type::I32],
            results: Vec::new(),
        };
        self.lift(instance, observer::RESET, &reset, observer::RESET);
        let read = Signature {
            params: Vec::new(),
            results: vec![Type::I64],
        };
        for (name, _) in &observer.functions {
            self.lift(instance, name, &read, name);
        }
        Ok(observer.functions)
    }
}
