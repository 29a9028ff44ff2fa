//! Component-level types, interned: equal types have equal [`TypeId`]s within one table.
//!
//! Resources are [`ResourceId`]s of the flattened component, so that two component instances of one
//! nested component have different resource types, as the specification says.

use crate::facts::{Contents, TypeError, TypeFacts};
use crate::ids::{IdVec, ResourceId, TypeId};
use crate::spelling::{ByNumber, Spelling};
use serde::{Deserialize, Serialize};
use std::collections::{HashMap, HashSet};

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
    /// The readable end of a `stream<T>`, or of one without elements.
    Stream(Option<Type>),
    /// The readable end of a `future<T>`, or of one without a value.
    Future(Option<Type>),
}

impl DefinedType {
    /// Calls `visit` with each type that this one names, in order.
    pub fn for_each_part(&self, mut visit: impl FnMut(Type)) {
        match self {
            DefinedType::Record(fields) => fields.iter().for_each(|field| visit(field.ty)),
            DefinedType::Variant(cases) => cases.iter().filter_map(|case| case.ty).for_each(visit),
            DefinedType::Tuple(types) => types.iter().for_each(|ty| visit(*ty)),
            DefinedType::List(ty)
            | DefinedType::FixedLengthList(ty, _)
            | DefinedType::Option(ty) => visit(*ty),
            DefinedType::Map(key, value) => [*key, *value].into_iter().for_each(visit),
            DefinedType::Result { ok, err } => [*ok, *err].into_iter().flatten().for_each(visit),
            DefinedType::Stream(payload) | DefinedType::Future(payload) => {
                payload.iter().copied().for_each(visit);
            }
            DefinedType::Flags(_)
            | DefinedType::Enum(_)
            | DefinedType::Own(_)
            | DefinedType::Borrow(_) => {}
        }
    }
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

impl FuncType {
    /// The types of the parameters, in order, and then of the result.
    pub fn values(&self) -> impl Iterator<Item = Type> {
        let params = self.params.iter().map(|param| param.ty);
        params.chain(self.result)
    }
}

/// The interned types of a component: none names a later one or itself, and none is larger or
/// deeper than types may be.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(
    try_from = "IdVec<TypeId, DefinedType>",
    into = "IdVec<TypeId, DefinedType>"
)]
pub struct TypeTable {
    defined: IdVec<TypeId, DefinedType>,
    /// What is known about each.
    facts: IdVec<TypeId, TypeFacts>,
    /// The ids of all of them when the next one is interned, which a loaded table never sees: so
    /// loading hashes nothing.
    ids: HashMap<DefinedType, TypeId>,
}

impl TryFrom<IdVec<TypeId, DefinedType>> for TypeTable {
    type Error = TypeError;

    fn try_from(defined: IdVec<TypeId, DefinedType>) -> Result<Self, TypeError> {
        let mut table = TypeTable::default();
        for ty in &defined {
            let facts = TypeFacts::of(&table, ty)?;
            table.facts.push(facts);
        }
        table.defined = defined;
        Ok(table)
    }
}

impl From<TypeTable> for IdVec<TypeId, DefinedType> {
    fn from(table: TypeTable) -> Self {
        table.defined
    }
}

impl TypeTable {
    /// Interns a type.
    ///
    /// # Errors
    /// If it is larger or deeper than types may be, or names a type that is not in the table. Types
    /// of a validated component never are.
    pub fn intern(&mut self, ty: DefinedType) -> Result<Type, TypeError> {
        if self.ids.len() != self.defined.len() {
            let all = self.defined.iter_with_ids();
            self.ids = all.map(|(id, ty)| (ty.clone(), id)).collect();
        }
        if let Some(id) = self.ids.get(&ty) {
            return Ok(Type::Defined(*id));
        }
        let facts = TypeFacts::of(self, &ty)?;
        self.facts.push(facts);
        let id = self.defined.push(ty.clone());
        self.ids.insert(ty, id);
        Ok(Type::Defined(id))
    }

    /// What is known about a type.
    ///
    /// # Panics
    /// If the type is of another table.
    pub fn facts(&self, ty: Type) -> &TypeFacts {
        match ty {
            Type::Defined(id) => &self.facts[id],
            primitive => TypeFacts::primitive(primitive),
        }
    }

    /// The types of the table that are in these types, at any depth, each once and in no order;
    /// only those that may hold what is looked for, and what is in them.
    ///
    /// # Panics
    /// If a type is of another table.
    pub fn within(
        &self,
        all: impl IntoIterator<Item = Type>,
        may_hold: impl Fn(Contents) -> bool,
    ) -> Vec<TypeId> {
        let (mut found, mut seen) = (Vec::new(), HashSet::new());
        let mut open: Vec<Type> = all.into_iter().collect();
        while let Some(ty) = open.pop() {
            let Type::Defined(id) = ty else { continue };
            if may_hold(self.facts(ty).contents) && seen.insert(id) {
                found.push(id);
                self[id].for_each_part(|part| open.push(part));
            }
        }
        found
    }

    /// What is known about a type, if the table has it.
    pub(crate) fn find_facts(&self, ty: Type) -> Option<&TypeFacts> {
        match ty {
            Type::Defined(id) => self.facts.get(id),
            primitive => Some(TypeFacts::primitive(primitive)),
        }
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

    fn by_number(&self) -> Spelling<'_, ByNumber> {
        Spelling {
            types: self,
            names: ByNumber,
        }
    }
}

impl std::ops::Index<TypeId> for TypeTable {
    type Output = DefinedType;

    /// # Panics
    /// If the id is of another table.
    fn index(&self, id: TypeId) -> &DefinedType {
        &self.defined[id]
    }
}
