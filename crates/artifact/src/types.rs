//! Component-level types, interned: equal types have equal [`TypeId`]s within one table.
//!
//! Resources are [`ResourceId`]s of the flattened component, so that two component instances of one
//! nested component have different resource types, as the specification says.

use crate::ids::{ResourceId, TypeId};
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
    defined: Vec<DefinedType>,
    /// The ids of all of them when the next one is interned, which a loaded table never sees: so loading
    /// hashes nothing.
    #[serde(skip)]
    ids: HashMap<DefinedType, TypeId>,
}

impl TypeTable {
    /// Interns a type.
    pub fn intern(&mut self, ty: DefinedType) -> Type {
        if self.ids.len() != self.defined.len() {
            let ids = self.defined.iter().cloned().enumerate();
            self.ids = ids.map(|(index, ty)| (ty, TypeId::new(index))).collect();
        }
        let defined = &mut self.defined;
        let id = *self.ids.entry(ty).or_insert_with_key(|ty| {
            defined.push(ty.clone());
            TypeId::new(defined.len() - 1)
        });
        Type::Defined(id)
    }

    /// The type of that id, if the table has it.
    pub fn get(&self, id: TypeId) -> Option<&DefinedType> {
        self.defined.get(id.index())
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

    /// The type as WIT spells it, for messages and listings: `list<tuple<u32, string>>`.
    pub fn display(&self, ty: Type) -> String {
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
            Type::Defined(id) => return self.display_defined(id),
        };
        plain.to_string()
    }

    fn display_defined(&self, id: TypeId) -> String {
        let one = |ty: &Type| self.display(*ty);
        let or_underscore = |ty: &Option<Type>| ty.map_or("_".to_string(), |ty| self.display(ty));
        match &self[id] {
            DefinedType::Record(fields) => format!("record {{ {} }}", self.display_fields(fields)),
            DefinedType::Variant(cases) => {
                let case = |case: &Case| match case.ty {
                    Some(ty) => format!("{}({})", case.name, self.display(ty)),
                    None => case.name.clone(),
                };
                format!(
                    "variant {{ {} }}",
                    cases.iter().map(case).collect::<Vec<_>>().join(", ")
                )
            }
            DefinedType::List(element) => format!("list<{}>", one(element)),
            DefinedType::FixedLengthList(element, n) => format!("list<{}, {n}>", one(element)),
            DefinedType::Map(key, value) => format!("map<{}, {}>", one(key), one(value)),
            DefinedType::Tuple(types) => {
                format!(
                    "tuple<{}>",
                    types.iter().map(one).collect::<Vec<_>>().join(", ")
                )
            }
            DefinedType::Flags(names) => format!("flags {{ {} }}", names.join(", ")),
            DefinedType::Enum(names) => format!("enum {{ {} }}", names.join(", ")),
            DefinedType::Option(ty) => format!("option<{}>", one(ty)),
            DefinedType::Result {
                ok: None,
                err: None,
            } => "result".to_string(),
            DefinedType::Result {
                ok: Some(ok),
                err: None,
            } => format!("result<{}>", one(ok)),
            DefinedType::Result { ok, err } => {
                format!("result<{}, {}>", or_underscore(ok), or_underscore(err))
            }
            DefinedType::Own(resource) => format!("own<{resource}>"),
            DefinedType::Borrow(resource) => format!("borrow<{resource}>"),
        }
    }

    fn display_fields(&self, fields: &[Field]) -> String {
        let field = |field: &Field| format!("{}: {}", field.name, self.display(field.ty));
        fields.iter().map(field).collect::<Vec<_>>().join(", ")
    }

    /// A function type as WIT spells it: `func(x: u32) -> string`.
    pub fn display_func(&self, ty: &FuncType) -> String {
        let start = if ty.is_async { "async func" } else { "func" };
        let params = self.display_fields(&ty.params);
        match ty.result {
            Some(result) => format!("{start}({params}) -> {}", self.display(result)),
            None => format!("{start}({params})"),
        }
    }
}

impl std::ops::Index<TypeId> for TypeTable {
    type Output = DefinedType;

    /// # Panics
    /// If the id is of another table.
    fn index(&self, id: TypeId) -> &DefinedType {
        &self.defined[id.index()]
    }
}
