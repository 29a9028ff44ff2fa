//! Core modules that the outermost component imports: bound by name when it is compiled, and
//! checked against the type that the import declares.

use super::flatten::{Flattener, module_names};
use crate::modules::parse::ModuleBuilder;
use crate::options::Proposals;
use crate::program::module::{CoreSignature, CoreType, EntityKind, Module, core_type};
use anyhow::{Context, Result, anyhow, bail, ensure};
use std::collections::HashMap;
use std::ops::Range;
use trampette_artifact::ids::ModuleId;
#[cfg(feature = "cli")]
use wasmparser::Payload;
use wasmparser::component_types::{ComponentEntityType, ModuleType};
use wasmparser::types::{EntityType, TypesRef};
use wasmparser::{MemoryType, Parser, TableType, Validator};

impl<'p, 'a> Flattener<'p, 'a> {
    /// The module that is bound to the import with this chain of names.
    ///
    /// # Errors
    /// If there is none, it is invalid, or does not have the type that the import declares.
    pub(super) fn bound_module(&mut self, path: &[&'a str]) -> Result<ModuleId> {
        let name = path.join("#");
        let range = self.options.core_modules.get(&name).with_context(|| {
            format!(
                "the component imports the core module `{name}`, and none was given: imported core \
                 modules are bound by name when the component is compiled"
            )
        })?;
        let module = read_module(self.bytes, range.clone())
            .and_then(|module| {
                self.check_module(&module, path)?;
                Ok(module)
            })
            .with_context(|| format!("the core module given for `{name}`"))?;
        self.module_names.push(module_names(&module));
        Ok(self.program.modules.push(module))
    }

    fn check_module(&self, module: &Module<'a>, path: &[&'a str]) -> Result<()> {
        let types = self.types.context("the component's types are unknown")?;
        let declared =
            declared_type(types.as_ref(), path).context("the import's declared type is unknown")?;
        Check {
            types: types.as_ref(),
            module,
        }
        .check(declared)
    }
}

/// The declared type of the module that the outermost component imports by this chain of names.
fn declared_type<'t>(types: TypesRef<'t>, path: &[&str]) -> Option<&'t ModuleType> {
    let (first, rest) = path.split_first()?;
    let mut item = types.component_item_for_import(first)?;
    for name in rest {
        let ComponentEntityType::Instance(instance) = item.ty else {
            return None;
        };
        item = types.get(instance)?.exports.get(*name)?;
    }
    match item.ty {
        ComponentEntityType::Module(id) => types.get(id),
        _ => None,
    }
}

/// The names by which core modules can be bound to what a component imports, whichever proposals
/// it needs.
///
/// # Errors
/// If the component is not valid.
#[cfg(feature = "cli")]
pub(crate) fn names_of_imports(wasm: &[u8]) -> Result<Vec<String>> {
    let mut validator = Validator::new_with_features(super::parse::features(Proposals::all()));
    let types = validator
        .validate_all(wasm)
        .map_err(|error| anyhow!("{error}"))?;
    let types = types.as_ref();
    let mut names = Vec::new();
    let (mut depth, mut open) = (0, Vec::new());
    for payload in Parser::new(0).parse_all(wasm) {
        match payload.map_err(|error| anyhow!("{error}"))? {
            Payload::Version { .. } => depth += 1,
            Payload::End(_) => depth -= 1,
            Payload::ComponentImportSection(section) if depth == 1 => {
                for import in section {
                    let name = import.map_err(|error| anyhow!("{error}"))?.name.name;
                    if let Some(item) = types.component_item_for_import(name) {
                        open.push((name.to_string(), item.ty));
                    }
                }
            }
            _ => {}
        }
    }
    while let Some((name, ty)) = open.pop() {
        match ty {
            ComponentEntityType::Module(_) => names.push(name),
            ComponentEntityType::Instance(id) => {
                if let Some(instance) = types.get(id) {
                    let items = instance.exports.iter();
                    open.extend(items.map(|(inner, item)| (format!("{name}#{inner}"), item.ty)));
                }
            }
            _ => {}
        }
    }
    names.sort();
    Ok(names)
}

/// Reads the module at `range` of the input.
fn read_module(bytes: &[u8], range: Range<usize>) -> Result<Module<'_>> {
    let contents = bytes.get(range.clone()).context("it is out of bounds")?;
    ensure!(Parser::is_core_wasm(contents), "it is no core module");
    let features = super::parse::features(Proposals::default());
    let mut parser = Parser::new(range.start as u64);
    parser.set_features(features);
    let mut validator = Validator::new_with_features(features);
    let mut builder = ModuleBuilder::new(bytes, range);
    for payload in parser.parse_all(contents) {
        let payload = payload.map_err(|error| anyhow!("invalid core module: {error}"))?;
        builder.payload(&payload, &mut validator)?;
    }
    builder.finish()
}

/// Checks that a module is a subtype of a module type.
struct Check<'t, 'm, 'a> {
    types: TypesRef<'t>,
    module: &'m Module<'a>,
}

impl Check<'_, '_, '_> {
    /// It may export more and import less than the type says.
    fn check(&self, declared: &ModuleType) -> Result<()> {
        let exports: HashMap<&str, (EntityKind, u32)> = self
            .module
            .exports
            .iter()
            .map(|(name, kind, index)| (*name, (*kind, *index)))
            .collect();
        for (name, ty) in &declared.exports {
            let (kind, index) = exports
                .get(name.as_str())
                .with_context(|| format!("it does not export `{name}`"))?;
            self.entity(ty, *kind, *index, Direction::Export)
                .with_context(|| format!("its export `{name}`"))?;
        }
        for import in &self.module.imports {
            let key = (import.module.to_string(), import.name.to_string());
            let name = || format!("its import `{}` `{}`", import.module, import.name);
            let ty = declared.imports.get(&key);
            let ty = ty.with_context(|| format!("{} is not in the declared type", name()))?;
            self.entity(ty, import.kind, import.index, Direction::Import)
                .with_context(name)?;
        }
        Ok(())
    }

    fn entity(
        &self,
        declared: &EntityType,
        kind: EntityKind,
        index: u32,
        direction: Direction,
    ) -> Result<()> {
        let index = index as usize;
        match (declared, kind) {
            (EntityType::Func(id) | EntityType::FuncExact(id), EntityKind::Func) => {
                self.signature(*id, self.module.functions.get(index).copied())
            }
            (EntityType::Tag(id), EntityKind::Tag) => {
                self.signature(*id, self.module.tags.get(index).copied())
            }
            (EntityType::Memory(declared), EntityKind::Memory) => {
                let actual = self.module.memories.get(index).context("unknown memory")?;
                memories(direction.order(actual, declared))
            }
            (EntityType::Table(declared), EntityKind::Table) => {
                let actual = &self.module.tables.get(index).context("unknown table")?.ty;
                tables(direction.order(actual, declared))
            }
            (EntityType::Global(declared), EntityKind::Global) => {
                let actual = self.module.globals.get(index).context("unknown global")?;
                ensure!(
                    actual.mutable == declared.mutable
                        && actual.ty == core_type(declared.content_type)?,
                    "has another type than the declared global"
                );
                Ok(())
            }
            (declared, kind) => bail!("is a {kind:?}, not a {}", describe(declared)),
        }
    }

    fn signature(
        &self,
        declared: wasmparser::types::CoreTypeId,
        actual: Option<u32>,
    ) -> Result<()> {
        let actual = actual.and_then(|ty| self.module.types.get(ty as usize));
        let actual = actual.context("has no known type")?;
        let ty = self.types.get(declared);
        let ty = ty.context("the declared function type is unknown")?;
        let ty = match &ty.composite_type.inner {
            wasmparser::CompositeInnerType::Func(ty) => ty,
            _ => bail!("the declared type is no function type"),
        };
        let all = |types: &[wasmparser::ValType]| -> Result<Box<[CoreType]>> {
            types.iter().map(|ty| core_type(*ty)).collect()
        };
        let declared = CoreSignature {
            params: all(ty.params())?,
            results: all(ty.results())?,
        };
        ensure!(
            *actual == declared,
            "has the type {actual}, but {declared} is declared"
        );
        Ok(())
    }
}

/// Which side must be the more special one.
#[derive(Clone, Copy)]
enum Direction {
    /// The module's entity is used as what is declared.
    Export,
    /// The module gets what is declared.
    Import,
}

impl Direction {
    /// Who provides and who demands.
    fn order<T>(self, actual: T, declared: T) -> Pair<T> {
        match self {
            Direction::Export => Pair {
                provided: actual,
                demanded: declared,
            },
            Direction::Import => Pair {
                provided: declared,
                demanded: actual,
            },
        }
    }
}

/// An entity that is provided where another is demanded.
struct Pair<T> {
    provided: T,
    demanded: T,
}

fn limits(initial: Pair<u64>, maximum: Pair<Option<u64>>) -> Result<()> {
    let maximum = match (maximum.provided, maximum.demanded) {
        (_, None) => true,
        (Some(provided), Some(demanded)) => provided <= demanded,
        (None, Some(_)) => false,
    };
    ensure!(
        initial.provided >= initial.demanded && maximum,
        "has limits that do not fit the declared ones"
    );
    Ok(())
}

fn memories(Pair { provided, demanded }: Pair<&MemoryType>) -> Result<()> {
    ensure!(
        provided.memory64 == demanded.memory64
            && provided.shared == demanded.shared
            && provided.page_size_log2 == demanded.page_size_log2,
        "is another kind of memory than the declared one"
    );
    limits(
        Pair {
            provided: provided.initial,
            demanded: demanded.initial,
        },
        Pair {
            provided: provided.maximum,
            demanded: demanded.maximum,
        },
    )
}

fn tables(Pair { provided, demanded }: Pair<&TableType>) -> Result<()> {
    ensure!(
        provided.element_type == demanded.element_type
            && provided.table64 == demanded.table64
            && provided.shared == demanded.shared,
        "is another kind of table than the declared one"
    );
    limits(
        Pair {
            provided: provided.initial,
            demanded: demanded.initial,
        },
        Pair {
            provided: provided.maximum,
            demanded: demanded.maximum,
        },
    )
}

fn describe(ty: &EntityType) -> &'static str {
    match ty {
        EntityType::Func(_) | EntityType::FuncExact(_) => "function",
        EntityType::Table(_) => "table",
        EntityType::Memory(_) => "memory",
        EntityType::Global(_) => "global",
        EntityType::Tag(_) => "tag",
    }
}
