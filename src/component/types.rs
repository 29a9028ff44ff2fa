//! Component types to [`trampette_artifact::types`]: indices become interned types, and resource
//! types become the [`ResourceId`]s of the flattened component.

use super::flatten::{Flattener, ScopeIndex, UNNAMED_RESOURCE, entry};
use crate::program::ResourceDefinition;
use crate::program::module::CoreType;
use anyhow::{Context, Result, anyhow, ensure};
use std::sync::Arc;
use trampette_artifact::canonical::PointerWidth;
use trampette_artifact::ids::ResourceId;
use trampette_artifact::metadata::Resource;
use trampette_artifact::types::{Case, DefinedType, Field, FuncType, Type};
use wasmparser::{
    ComponentDefinedType, ComponentFuncType, ComponentType, ComponentValType,
    InstanceTypeDeclaration, PrimitiveValType,
};

/// An entry of a type index space.
#[derive(Clone, Copy)]
pub(super) enum TypeValue<'p, 'a> {
    /// A value type.
    Value(Type),
    /// A function type: an index into [`Flattener::func_types`].
    Func(usize),
    /// A resource type.
    Resource(ResourceId),
    /// An instance type, not evaluated: its declarations and the scope around them. Each import of
    /// it makes resource types of its own.
    Instance(&'p [InstanceTypeDeclaration<'a>], ScopeIndex),
    /// A component type; nothing that can be flattened needs to know more.
    Component,
}

/// A core type as the start of a thread: the width of its only parameter, if it is such a function
/// type.
pub(super) type StartType = Option<PointerWidth>;

impl TypeValue<'_, '_> {
    /// What kind of type it is, for messages.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            TypeValue::Value(_) => "value type",
            TypeValue::Func(_) => "function type",
            TypeValue::Resource(_) => "resource type",
            TypeValue::Instance(..) => "instance type",
            TypeValue::Component => "component type",
        }
    }

    /// The error of having found this kind of type where another is needed.
    fn mismatch(&self, index: u32, needed: &str) -> anyhow::Error {
        anyhow!("type {index} is a {}, not {needed}", self.kind())
    }
}

impl<'p, 'a> Flattener<'p, 'a> {
    /// Evaluates a type definition. A resource type is a new one each time.
    pub(super) fn define_type(
        &mut self,
        scope: ScopeIndex,
        ty: &'p ComponentType<'a>,
    ) -> Result<TypeValue<'p, 'a>> {
        self.count(cost(ty))?;
        Ok(match ty {
            ComponentType::Defined(ty) => TypeValue::Value(self.defined_type(scope, ty)?),
            ComponentType::Func(ty) => {
                let ty = self.func_type(scope, ty)?;
                let (index, _) = self.func_types.insert_full(Arc::new(ty));
                TypeValue::Func(index)
            }
            ComponentType::Component(_) => TypeValue::Component,
            ComponentType::Instance(declarations) => TypeValue::Instance(declarations, scope),
            ComponentType::Resource { rep, dtor } => {
                TypeValue::Resource(self.resource_type(scope, *rep, *dtor)?)
            }
        })
    }

    /// Adds a core type to the index space of a scope; a recursion group is as many as it has.
    pub(super) fn core_type(
        &mut self,
        scope: ScopeIndex,
        ty: &wasmparser::CoreType<'a>,
    ) -> Result<()> {
        let group = match ty {
            wasmparser::CoreType::Rec(group) => group,
            wasmparser::CoreType::Module(_) => {
                self.scopes[scope].core_types.push(None);
                return Ok(());
            }
        };
        for ty in group.types() {
            self.count(1)?;
            let width = match &ty.composite_type.inner {
                wasmparser::CompositeInnerType::Func(ty) if ty.results().is_empty() => {
                    match ty.params() {
                        [wasmparser::ValType::I32] => Some(PointerWidth::P32),
                        [wasmparser::ValType::I64] => Some(PointerWidth::P64),
                        _ => None,
                    }
                }
                _ => None,
            };
            self.scopes[scope].core_types.push(width);
        }
        Ok(())
    }

    fn resource_type(
        &mut self,
        scope: ScopeIndex,
        rep: wasmparser::ValType,
        destructor: Option<u32>,
    ) -> Result<ResourceId> {
        ensure!(
            rep == wasmparser::ValType::I32,
            "resources whose representation is not i32 but {rep} are not supported"
        );
        let destructor = match destructor {
            None => None,
            Some(index) => {
                let func = entry(&self.scopes[scope].core_funcs, index, "core function")?;
                let signature = self.program.signature(func)?;
                ensure!(
                    signature.params[..] == [CoreType::I32] && signature.results.is_empty(),
                    "a destructor must have the type (i32), but core function {index} has {signature}"
                );
                Some(func)
            }
        };
        Ok(self.program.resources.push(ResourceDefinition {
            info: Resource::Defined {
                instance: self.scopes[scope].component_instance,
                has_destructor: destructor.is_some(),
                name: UNNAMED_RESOURCE.to_string(),
            },
            destructor,
        }))
    }

    fn func_type(&self, scope: ScopeIndex, ty: &ComponentFuncType<'a>) -> Result<FuncType> {
        let params = ty.params.iter().map(|(name, ty)| {
            Ok(Field {
                name: name.to_string(),
                ty: self.value_type(scope, *ty)?,
            })
        });
        Ok(FuncType {
            params: params.collect::<Result<_>>()?,
            result: self.optional_type(scope, ty.result)?,
            is_async: ty.async_,
        })
    }

    /// The function type at an index of the type index space.
    pub(super) fn func_type_at(&self, scope: ScopeIndex, index: u32) -> Result<Arc<FuncType>> {
        match entry(&self.scopes[scope].types, index, "type")? {
            TypeValue::Func(ty) => self
                .func_types
                .get_index(ty)
                .cloned()
                .context("unknown function type"),
            other => Err(other.mismatch(index, "a function type")),
        }
    }

    /// The resource type at an index of the type index space.
    pub(super) fn resource_at(&self, scope: ScopeIndex, index: u32) -> Result<ResourceId> {
        match entry(&self.scopes[scope].types, index, "type")? {
            TypeValue::Resource(resource) => Ok(resource),
            other => Err(other.mismatch(index, "a resource type")),
        }
    }

    pub(super) fn optional_type(
        &self,
        scope: ScopeIndex,
        ty: Option<ComponentValType>,
    ) -> Result<Option<Type>> {
        ty.map(|ty| self.value_type(scope, ty)).transpose()
    }

    fn value_type(&self, scope: ScopeIndex, ty: ComponentValType) -> Result<Type> {
        match ty {
            ComponentValType::Primitive(ty) => Ok(primitive_type(ty)),
            ComponentValType::Type(index) => {
                match entry(&self.scopes[scope].types, index, "type")? {
                    TypeValue::Value(ty) => Ok(ty),
                    other => Err(other.mismatch(index, "a value type")),
                }
            }
        }
    }

    fn defined_type(&mut self, scope: ScopeIndex, ty: &ComponentDefinedType<'a>) -> Result<Type> {
        let names = |names: &[&str]| names.iter().map(|name| name.to_string()).collect();
        let ty = match ty {
            ComponentDefinedType::Primitive(ty) => return Ok(primitive_type(*ty)),
            ComponentDefinedType::Record(fields) => {
                let fields = fields.iter().map(|(name, ty)| {
                    Ok(Field {
                        name: name.to_string(),
                        ty: self.value_type(scope, *ty)?,
                    })
                });
                DefinedType::Record(fields.collect::<Result<_>>()?)
            }
            ComponentDefinedType::Variant(cases) => {
                let cases = cases.iter().map(|case| {
                    Ok(Case {
                        name: case.name.to_string(),
                        ty: self.optional_type(scope, case.ty)?,
                    })
                });
                DefinedType::Variant(cases.collect::<Result<_>>()?)
            }
            ComponentDefinedType::List(ty) => DefinedType::List(self.value_type(scope, *ty)?),
            ComponentDefinedType::Map(key, value) => DefinedType::Map(
                self.value_type(scope, *key)?,
                self.value_type(scope, *value)?,
            ),
            ComponentDefinedType::FixedLengthList(ty, length) => {
                DefinedType::FixedLengthList(self.value_type(scope, *ty)?, *length)
            }
            ComponentDefinedType::Tuple(types) => {
                let types = types.iter().map(|ty| self.value_type(scope, *ty));
                DefinedType::Tuple(types.collect::<Result<_>>()?)
            }
            ComponentDefinedType::Flags(labels) => DefinedType::Flags(names(labels)),
            ComponentDefinedType::Enum(cases) => DefinedType::Enum(names(cases)),
            ComponentDefinedType::Option(ty) => DefinedType::Option(self.value_type(scope, *ty)?),
            ComponentDefinedType::Result { ok, err } => DefinedType::Result {
                ok: self.optional_type(scope, *ok)?,
                err: self.optional_type(scope, *err)?,
            },
            ComponentDefinedType::Own(index) => DefinedType::Own(self.resource_at(scope, *index)?),
            ComponentDefinedType::Borrow(index) => {
                DefinedType::Borrow(self.resource_at(scope, *index)?)
            }
            ComponentDefinedType::Future(ty) => {
                DefinedType::Future(self.optional_type(scope, *ty)?)
            }
            ComponentDefinedType::Stream(ty) => {
                DefinedType::Stream(self.optional_type(scope, *ty)?)
            }
        };
        Ok(self.program.types.intern(ty)?)
    }
}

/// What evaluating a type costs, in the units of [`Flattener::count`].
fn cost(ty: &ComponentType<'_>) -> usize {
    fn names<'a>(names: impl Iterator<Item = &'a str>) -> usize {
        names.map(|name| 1 + name.len() / 32).sum()
    }
    match ty {
        ComponentType::Func(ty) => names(ty.params.iter().map(|(name, _)| *name)),
        ComponentType::Defined(ty) => match ty {
            ComponentDefinedType::Record(fields) => names(fields.iter().map(|(name, _)| *name)),
            ComponentDefinedType::Variant(cases) => names(cases.iter().map(|case| case.name)),
            ComponentDefinedType::Flags(all) | ComponentDefinedType::Enum(all) => {
                names(all.iter().copied())
            }
            ComponentDefinedType::Tuple(types) => types.len(),
            _ => 0,
        },
        _ => 0,
    }
}

fn primitive_type(ty: PrimitiveValType) -> Type {
    match ty {
        PrimitiveValType::Bool => Type::Bool,
        PrimitiveValType::S8 => Type::S8,
        PrimitiveValType::U8 => Type::U8,
        PrimitiveValType::S16 => Type::S16,
        PrimitiveValType::U16 => Type::U16,
        PrimitiveValType::S32 => Type::S32,
        PrimitiveValType::U32 => Type::U32,
        PrimitiveValType::S64 => Type::S64,
        PrimitiveValType::U64 => Type::U64,
        PrimitiveValType::F32 => Type::F32,
        PrimitiveValType::F64 => Type::F64,
        PrimitiveValType::Char => Type::Char,
        PrimitiveValType::String => Type::String,
        PrimitiveValType::ErrorContext => Type::ErrorContext,
    }
}
