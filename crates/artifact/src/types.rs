//! Component-level types, interned: equal types have equal [`TypeId`]s within one table.
//!
//! Resources are [`ResourceId`]s of the flattened component, so that two component instances of one
//! nested component have different resource types, as the specification says.

use crate::ids::{IdVec, ResourceId, TypeId};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// A component-level value type.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum Type {
    Bool,
    S8,
    U8,
    S16,
    U16,
    S32,
    U32,
    S64,
    U64,
    F32,
    F64,
    Char,
    String,
    ErrorContext,
    /// Any other type.
    Defined(TypeId),
}

/// A named field of a record.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Field {
    /// Its label.
    pub name: String,
    /// Its type.
    pub ty: Type,
}

/// A case of a variant.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Case {
    /// Its label.
    pub name: String,
    /// Its payload.
    pub ty: Option<Type>,
}

/// A structural type.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum DefinedType {
    Record(Vec<Field>),
    Variant(Vec<Case>),
    List(Type),
    /// `list<T, N>`.
    FixedLengthList(Type, u32),
    /// `map<K, V>`.
    Map(Type, Type),
    Tuple(Vec<Type>),
    Flags(Vec<String>),
    Enum(Vec<String>),
    Option(Type),
    Result {
        ok: Option<Type>,
        err: Option<Type>,
    },
    Own(ResourceId),
    Borrow(ResourceId),
}

/// A function type.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct FuncType {
    /// Parameter names and types.
    pub params: Vec<Field>,
    /// The result, if any.
    pub result: Option<Type>,
    /// Whether the type is `async`.
    pub is_async: bool,
}

/// The interned types of a component.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TypeTable {
    defined: IdVec<TypeId, DefinedType>,
    /// The ids of all of them when the next one is interned, which a loaded table never sees: so
    /// loading hashes nothing.
    #[serde(skip)]
    ids: HashMap<DefinedType, TypeId>,
}

impl TypeTable {
    /// Interns a type.
    pub fn intern(&mut self, ty: DefinedType) -> Type {
        if self.ids.len() != self.defined.len() {
            let all = self.defined.iter_with_ids();
            self.ids = all.map(|(id, ty)| (ty.clone(), id)).collect();
        }
        let defined = &mut self.defined;
        let id = *self
            .ids
            .entry(ty)
            .or_insert_with_key(|ty| defined.push(ty.clone()));
        Type::Defined(id)
    }

    /// The type of that id, if the table has it.
    pub fn get(&self, id: TypeId) -> Option<&DefinedType> {
        self.defined.get(id)
    }

    /// Number of interned types; every id below it is valid.
    pub fn len(&self) -> usize {
        self.defined.len()
    }

    /// Whether nothing is interned.
    pub fn is_empty(&self) -> bool {
        self.defined.is_empty()
    }

    /// Every interned type, in the order of ids. A type refers only to earlier ones.
    pub fn iter(&self) -> impl Iterator<Item = &DefinedType> {
        self.defined.iter()
    }

    /// The type as WIT spells it, for listings; resources by number: `list<own<resource0>>`. What
    /// users read has their names ([`crate::metadata::Metadata::display`]).
    pub fn display(&self, ty: Type) -> String {
        self.by_number().ty(ty)
    }

    /// A function type as WIT spells it, resources by number: `func(x: u32) -> string`.
    pub fn display_func(&self, ty: &FuncType) -> String {
        self.by_number().func(ty)
    }

    fn by_number(&self) -> Spelling<'_, impl Fn(ResourceId) -> String> {
        Spelling {
            types: self,
            resource: |id: ResourceId| id.to_string(),
        }
    }
}

/// How types are spelled: as WIT does, but for resources, which `resource` spells.
pub(crate) struct Spelling<'a, R: Fn(ResourceId) -> String> {
    pub(crate) types: &'a TypeTable,
    pub(crate) resource: R,
}

impl<R: Fn(ResourceId) -> String> Spelling<'_, R> {
    /// A type.
    pub(crate) fn ty(&self, ty: Type) -> String {
        let plain = match ty {
            Type::Bool => "bool",
            Type::S8 => "s8",
            Type::U8 => "u8",
            Type::S16 => "s16",
            Type::U16 => "u16",
            Type::S32 => "s32",
            Type::U32 => "u32",
            Type::S64 => "s64",
            Type::U64 => "u64",
            Type::F32 => "f32",
            Type::F64 => "f64",
            Type::Char => "char",
            Type::String => "string",
            Type::ErrorContext => "error-context",
            Type::Defined(id) => {
                return match self.types.get(id) {
                    Some(defined) => self.defined(defined),
                    None => id.to_string(),
                };
            }
        };
        plain.to_string()
    }

    /// A function type.
    pub(crate) fn func(&self, ty: &FuncType) -> String {
        let start = if ty.is_async { "async func" } else { "func" };
        let params = self.fields(&ty.params);
        match ty.result {
            Some(result) => format!("{start}({params}) -> {}", self.ty(result)),
            None => format!("{start}({params})"),
        }
    }

    fn defined(&self, ty: &DefinedType) -> String {
        let one = |ty: &Type| self.ty(*ty);
        let or_underscore =
            |ty: &Option<Type>| ty.map_or_else(|| "_".to_string(), |ty| self.ty(ty));
        match ty {
            DefinedType::Record(fields) => format!("record {{ {} }}", self.fields(fields)),
            DefinedType::Variant(cases) => {
                let case = |case: &Case| match case.ty {
                    Some(ty) => format!("{}({})", case.name, self.ty(ty)),
                    None => case.name.clone(),
                };
                format!("variant {{ {} }}", join(cases, case))
            }
            DefinedType::List(element) => format!("list<{}>", one(element)),
            DefinedType::FixedLengthList(element, n) => format!("list<{}, {n}>", one(element)),
            DefinedType::Map(key, value) => format!("map<{}, {}>", one(key), one(value)),
            DefinedType::Tuple(types) => format!("tuple<{}>", join(types, one)),
            DefinedType::Flags(names) => format!("flags {{ {} }}", names.join(", ")),
            DefinedType::Enum(names) => format!("enum {{ {} }}", names.join(", ")),
            DefinedType::Option(ty) => format!("option<{}>", one(ty)),
            DefinedType::Result { ok, err } => match (ok, err) {
                (None, None) => "result".to_string(),
                (Some(ok), None) => format!("result<{}>", one(ok)),
                _ => format!("result<{}, {}>", or_underscore(ok), or_underscore(err)),
            },
            DefinedType::Own(id) => format!("own<{}>", (self.resource)(*id)),
            DefinedType::Borrow(id) => format!("borrow<{}>", (self.resource)(*id)),
        }
    }

    fn fields(&self, fields: &[Field]) -> String {
        join(fields, |field| {
            format!("{}: {}", field.name, self.ty(field.ty))
        })
    }
}

fn join<T>(items: &[T], spell: impl Fn(&T) -> String) -> String {
    items.iter().map(spell).collect::<Vec<_>>().join(", ")
}

impl std::ops::Index<TypeId> for TypeTable {
    type Output = DefinedType;

    /// # Panics
    /// If the id is of another table.
    fn index(&self, id: TypeId) -> &DefinedType {
        &self.defined[id]
    }
}
