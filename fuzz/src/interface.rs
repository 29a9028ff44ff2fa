//! What a core module imports and exports, and the calls that the harness makes.

use crate::generate::{FUEL, ImportNames};
use crate::random::Random;
use crate::value::{Signature, Type, Value};
use anyhow::{Result, bail};
use wasmparser::types::{EntityType, TypesRef};
use wasmparser::{FuncType, Validator, WasmFeatures};

/// Something that is exported.
#[derive(Clone, Debug)]
pub enum Item {
    /// A function; `None` if values of its types cannot be made.
    Func(FuncType, Option<Signature>),
    /// A memory.
    Memory(wasmparser::MemoryType),
    /// A table.
    Table(wasmparser::TableType),
    /// A global.
    Global(wasmparser::GlobalType),
    /// A tag.
    Tag(FuncType),
}

impl Item {
    fn of(types: TypesRef<'_>, ty: EntityType) -> Item {
        let function = |id: wasmparser::types::CoreTypeId| types[id].unwrap_func().clone();
        match ty {
            EntityType::Func(id) | EntityType::FuncExact(id) => {
                let ty = function(id);
                let signature = Signature::of(&ty);
                Item::Func(ty, signature)
            }
            EntityType::Memory(ty) => Item::Memory(ty),
            EntityType::Table(ty) => Item::Table(ty),
            EntityType::Global(ty) => Item::Global(ty),
            EntityType::Tag(id) => Item::Tag(function(id)),
        }
    }
}

/// What a module imports and exports.
#[derive(Clone, Debug)]
pub struct Interface {
    /// In order, with both names.
    pub imports: Vec<(String, String, Item)>,
    /// In order.
    pub exports: Vec<(String, Item)>,
}

/// Reads the interface of a module.
///
/// # Errors
/// If the module is invalid.
pub fn interface(wasm: &[u8]) -> Result<Interface> {
    let features = WasmFeatures::WASM3
        .union(WasmFeatures::CUSTOM_PAGE_SIZES)
        .union(WasmFeatures::WIDE_ARITHMETIC);
    let types = Validator::new_with_features(features).validate_all(wasm)?;
    let types = types.as_ref();
    let (Some(imports), Some(exports)) = (types.core_imports(), types.core_exports()) else {
        bail!("not a core module");
    };
    Ok(Interface {
        imports: imports
            .map(|(module, name, ty)| (module.to_string(), name.to_string(), Item::of(types, ty)))
            .collect(),
        exports: exports
            .map(|(name, ty)| (name.to_string(), Item::of(types, ty)))
            .collect(),
    })
}

/// A call of an exported function.
#[derive(Clone, Debug)]
pub struct Call {
    /// The export.
    pub name: String,
    /// The results' types.
    pub results: Vec<Type>,
    /// The arguments.
    pub arguments: Vec<Value>,
}

impl std::fmt::Display for Call {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "call {} {:?}", self.name, self.arguments)
    }
}

/// Calls of functions with random arguments, in random order, up to `limit`.
pub fn calls(functions: &[(String, Signature)], limit: usize, random: &mut Random) -> Vec<Call> {
    if functions.is_empty() {
        return Vec::new();
    }
    let count = limit.min(functions.len() * 3);
    let one = |index: usize, random: &mut Random| {
        // Each function once, then any.
        let (name, signature) = match functions.get(index) {
            Some(function) => function,
            None => &functions[random.below(functions.len())],
        };
        let arguments = signature.params.iter().map(|ty| random.value(*ty));
        Call {
            name: name.clone(),
            results: signature.results.clone(),
            arguments: arguments.collect(),
        }
    };
    (0..count).map(|index| one(index, random)).collect()
}

/// A module with everything that both engines need to run it.
pub struct CoreCase {
    /// The module.
    pub wasm: Vec<u8>,
    /// Its imports and exports.
    pub interface: Interface,
    /// What to call.
    pub calls: Vec<Call>,
    /// The fuel before each call.
    pub fuel: i32,
}

impl CoreCase {
    /// A random case.
    ///
    /// # Errors
    /// If no module can be made of the seed's random numbers.
    pub fn generate(random: &mut Random) -> Result<CoreCase> {
        let config = crate::generate::config(random);
        let wasm = crate::generate::module(config, ImportNames::Numbered, random)?;
        CoreCase::of(wasm, random)
    }

    /// Random calls of a module.
    ///
    /// # Errors
    /// If it is invalid, or an import cannot be made.
    pub fn of(wasm: Vec<u8>, random: &mut Random) -> Result<CoreCase> {
        let interface = interface(&wasm)?;
        for (_, _, item) in &interface.imports {
            match item {
                Item::Func(_, None) => bail!("an import's results cannot be made"),
                Item::Table(ty) if !ty.element_type.is_nullable() => {
                    bail!("an imported table cannot be made")
                }
                Item::Global(ty) if Type::of(ty.content_type).is_none() => {
                    bail!("an imported global cannot be made")
                }
                _ => {}
            }
        }
        let functions: Vec<_> = interface
            .exports
            .iter()
            .filter_map(|(name, item)| match item {
                Item::Func(_, Some(signature)) => Some((name.clone(), signature.clone())),
                _ => None,
            })
            .collect();
        let calls = calls(&functions, 40, random);
        Ok(CoreCase {
            wasm,
            interface,
            calls,
            fuel: random.pick(&[100, 1_000, 5_000]),
        })
    }

    /// Exports whose state is compared.
    pub fn state(&self) -> impl Iterator<Item = (&str, &Item)> {
        let exports = self.interface.exports.iter();
        exports
            .filter(|(name, _)| name != FUEL)
            .map(|(name, item)| (name.as_str(), item))
    }
}
