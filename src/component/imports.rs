//! What the outermost component imports: instances are evaluated from their types, functions become
//! the host's imports, abstract resource types become the host's resources.

use super::flatten::{Flattener, Func, Item, Items, ScopeIndex, entry};
use super::types::TypeValue;
use crate::program::ResourceDefinition;
use crate::program::intrinsic::intrinsic_type;
use anyhow::{Context, Result, bail, ensure};
use std::sync::Arc;
use trampette_artifact::key::Intrinsic;
use trampette_artifact::metadata::{Import, Resource};
use trampette_artifact::types::{FuncType, Type};
use trampette_artifact::world::{ImportedItem, ImportedKind};
use wasmparser::{ComponentTypeRef, InstanceTypeDeclaration, TypeBounds};

/// Who provides an imported instance's functions.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Provider {
    Host,
    Intrinsics,
}

impl<'p, 'a> Flattener<'p, 'a> {
    /// Evaluates an import of the outermost component.
    pub(super) fn import_from_host(
        &mut self,
        scope: ScopeIndex,
        name: &'a str,
        ty: ComponentTypeRef,
    ) -> Result<Item<'p, 'a>> {
        let intrinsics = self.options.unsafe_intrinsics_import.as_deref() == Some(name);
        let provider = match ty {
            ComponentTypeRef::Instance(_) if intrinsics => Provider::Intrinsics,
            _ => Provider::Host,
        };
        self.provide(scope, ty, provider, &[name])
            .with_context(|| format!("in the import `{name}`"))
    }

    /// An item of that type from outside, by its chain of names.
    fn provide(
        &mut self,
        scope: ScopeIndex,
        ty: ComponentTypeRef,
        provider: Provider,
        path: &[&'a str],
    ) -> Result<Item<'p, 'a>> {
        let owned_path = || path.iter().map(|name| name.to_string()).collect();
        Ok(match ty {
            ComponentTypeRef::Module(_) => Item::CoreModule(self.bound_module(path)?),
            ComponentTypeRef::Component(_) => {
                bail!("importing a component from the host is not supported")
            }
            ComponentTypeRef::Value(_) => bail!("component values are not supported"),
            ComponentTypeRef::Func(index) => {
                let ty = self.func_type_at(scope, index)?;
                if provider == Provider::Intrinsics {
                    return self.intrinsic(path.last().copied().unwrap_or_default(), &ty);
                }
                let id = self.program.imports.push(Import {
                    path: owned_path(),
                    ty: FuncType::clone(&ty),
                    used: false,
                });
                self.import_types.push(ty);
                self.note_import(provider, path, ImportedKind::Func(id));
                Item::Func(Func::Imported(id))
            }
            ComponentTypeRef::Type(TypeBounds::Eq(index)) => {
                let bound = entry(&self.scopes[scope].types, index, "type")?;
                match bound {
                    TypeValue::Resource(resource) => {
                        self.program.resource_bounds.push((owned_path(), resource));
                        self.note_import(provider, path, ImportedKind::Resource(resource));
                    }
                    TypeValue::Value(ty) => {
                        self.note_import(provider, path, ImportedKind::Type(ty))
                    }
                    _ => {}
                }
                Item::Type(bound)
            }
            ComponentTypeRef::Type(TypeBounds::SubResource) => {
                let id = self.program.resources.push(ResourceDefinition {
                    info: Resource::Imported { path: owned_path() },
                    destructor: None,
                });
                self.note_import(provider, path, ImportedKind::Resource(id));
                Item::Type(TypeValue::Resource(id))
            }
            ComponentTypeRef::Instance(index) => {
                match entry(&self.scopes[scope].types, index, "type")? {
                    TypeValue::Instance(declarations, outer) => {
                        self.note_import(provider, path, ImportedKind::Instance);
                        let exports = self.nested(|this| {
                            this.provide_instance(declarations, outer, provider, path)
                        })?;
                        Item::Instance(self.new_instance(exports))
                    }
                    other => bail!("type {index} is a {}, not an instance type", other.kind()),
                }
            }
        })
    }

    /// Names something of the host's.
    fn note_import(&mut self, provider: Provider, path: &[&'a str], kind: ImportedKind) {
        if let (Provider::Host, Some((name, instances))) = (provider, path.split_last()) {
            self.program.world_imports.items.push(ImportedItem {
                depth: instances.len() as u32,
                name: (*name).into(),
                kind,
            });
        }
    }

    fn provide_instance(
        &mut self,
        declarations: &'p [InstanceTypeDeclaration<'a>],
        outer: ScopeIndex,
        provider: Provider,
        path: &[&'a str],
    ) -> Result<Items<'p, 'a>> {
        // A scope is larger than most definitions.
        self.count(8)?;
        let component_instance = self.scopes[outer].component_instance;
        let scope = self.new_scope(Some(outer), component_instance);
        let mut exports = Items::new();
        for declaration in declarations {
            self.count(1)?;
            match declaration {
                InstanceTypeDeclaration::CoreType(ty) => self.core_type(scope, ty)?,
                InstanceTypeDeclaration::Type(ty) => {
                    let ty = self.define_type(scope, ty)?;
                    self.scopes[scope].types.push(ty);
                }
                InstanceTypeDeclaration::Alias(alias) => self.alias(scope, alias)?,
                InstanceTypeDeclaration::Export { name, ty } => {
                    let mut path = path.to_vec();
                    path.push(name.name);
                    self.count_path(&path)?;
                    let item = self
                        .provide(scope, *ty, provider, &path)
                        .with_context(|| format!("in its export `{}`", name.name))?;
                    exports.insert(name.name, item);
                    self.push(scope, item);
                }
            }
        }
        Ok(exports)
    }

    fn intrinsic(&self, name: &str, ty: &Arc<FuncType>) -> Result<Item<'p, 'a>> {
        let (intrinsic, _) = Intrinsic::ALL
            .iter()
            .find(|(_, known)| *known == name)
            .with_context(|| format!("there is no unsafe intrinsic `{name}`"))?;
        let (params, result) = intrinsic_type(*intrinsic);
        ensure!(
            ty.result == result && ty.params.iter().map(|param| param.ty).eq(params.clone()),
            "the unsafe intrinsic `{name}` has the type {}, but it is imported as {}",
            display_intrinsic_type(self, &params, result),
            self.program.types.display_func(ty)
        );
        Ok(Item::Func(Func::Intrinsic(*intrinsic)))
    }
}

fn display_intrinsic_type(
    flattener: &Flattener<'_, '_>,
    params: &[Type],
    result: Option<Type>,
) -> String {
    let types = &flattener.program.types;
    let params: Vec<String> = params.iter().map(|ty| types.display(*ty)).collect();
    match result {
        Some(result) => format!("func({}) -> {}", params.join(", "), types.display(result)),
        None => format!("func({})", params.join(", ")),
    }
}
