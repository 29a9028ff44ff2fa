//! [`CanonicalTypes`]: function types by what they are, not by where they are declared.
//!
//! Two types are the same when their recursion groups are the same and they have the same place in
//! them. Code generation looks at a [`CoreSignature`], which knows references only by kind; whether
//! a call through a table or an import is allowed depends on the exact types compared here.

use super::module::{CoreSignature, CoreType, Module, RefKind};
use std::collections::HashMap;
use trampette_artifact::ids::SignatureId;
use wasmparser::{AbstractHeapType, CompositeInnerType, HeapType, RefType, SubType, ValType};

/// An exact value type; equal types are equal values.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[allow(missing_docs)]
pub(crate) enum ExactType {
    I32,
    I64,
    F32,
    F64,
    V128,
    Ref { nullable: bool, heap: ExactHeap },
}

/// An exact heap type.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum ExactHeap {
    /// Not a declared type.
    Abstract(AbstractHeapType),
    /// A declared function type.
    Function(SignatureId),
    /// A type of the recursion group that mentions it, by its place there.
    InGroup(u32),
}

/// An exact function type.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct ExactSignature {
    params: Vec<ExactType>,
    results: Vec<ExactType>,
}

/// Interned function types; id = index + 1, since 0 matches nothing.
#[derive(Debug, Default)]
pub(crate) struct CanonicalTypes {
    /// Recursion groups, and the index of the first type of each.
    groups: HashMap<Vec<ExactSignature>, u32>,
    signatures: Vec<CoreSignature>,
}

impl CanonicalTypes {
    /// Interns every function type of a module; the ids are in the order of its types.
    pub(crate) fn intern_module(&mut self, module: &Module<'_>) -> Vec<SignatureId> {
        let mut ids = Vec::with_capacity(module.types.len());
        for group in &module.recursion_groups {
            let first = ids.len();
            let exact = |ty: &SubType| exact_signature(ty, &ids, first);
            let key: Vec<ExactSignature> = group.iter().map(exact).collect();
            let signatures = &module.types[first..first + group.len()];
            let id = self.intern_group(key, signatures);
            ids.extend((0..group.len()).map(|at| SignatureId(id.0 + at as u32)));
        }
        // Modules made by hand have no groups: each type stands alone.
        for ty in &module.types[ids.len()..] {
            ids.push(self.intern(ty));
        }
        ids
    }

    /// Interns a function type without declared types in it, as trampolines have.
    pub(crate) fn intern(&mut self, signature: &CoreSignature) -> SignatureId {
        self.intern_group(plain_group(signature), std::slice::from_ref(signature))
    }

    /// The signature of a type that [`CanonicalTypes::intern`] would give, if there is one.
    pub(crate) fn find(&self, signature: &CoreSignature) -> Option<SignatureId> {
        let first = self.groups.get(&plain_group(signature))?;
        Some(SignatureId(first + 1))
    }

    fn intern_group(&mut self, key: Vec<ExactSignature>, group: &[CoreSignature]) -> SignatureId {
        let next = u32::try_from(self.signatures.len()).expect("type spaces are limited");
        let first = *self.groups.entry(key).or_insert(next);
        if first == next {
            self.signatures.extend_from_slice(group);
        }
        SignatureId(first + 1)
    }

    /// The signatures, in the order of their ids.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &CoreSignature> {
        self.signatures.iter()
    }
}

fn plain_group(signature: &CoreSignature) -> Vec<ExactSignature> {
    let exact = |types: &[CoreType]| types.iter().map(|ty| plain_type(*ty)).collect();
    vec![ExactSignature {
        params: exact(&signature.params),
        results: exact(&signature.results),
    }]
}

fn plain_type(ty: CoreType) -> ExactType {
    match ty {
        CoreType::I32 => ExactType::I32,
        CoreType::I64 => ExactType::I64,
        CoreType::F32 => ExactType::F32,
        CoreType::F64 => ExactType::F64,
        CoreType::V128 => ExactType::V128,
        CoreType::Ref(kind) => ExactType::Ref {
            nullable: true,
            heap: ExactHeap::Abstract(match kind {
                RefKind::Func => AbstractHeapType::Func,
                RefKind::Extern => AbstractHeapType::Extern,
                RefKind::Exn => AbstractHeapType::Exn,
            }),
        },
    }
}

fn exact_signature(ty: &SubType, ids: &[SignatureId], first: usize) -> ExactSignature {
    let CompositeInnerType::Func(func) = &ty.composite_type.inner else {
        unreachable!("types that are no functions are refused when a module is parsed");
    };
    let exact = |types: &[ValType]| types.iter().map(|ty| exact_type(*ty, ids, first)).collect();
    ExactSignature {
        params: exact(func.params()),
        results: exact(func.results()),
    }
}

/// A value type of a module whose declared types have `ids`; those from `first` on that have none
/// yet are of the group that is being interned.
pub(crate) fn exact_type(ty: ValType, ids: &[SignatureId], first: usize) -> ExactType {
    match ty {
        ValType::I32 => ExactType::I32,
        ValType::I64 => ExactType::I64,
        ValType::F32 => ExactType::F32,
        ValType::F64 => ExactType::F64,
        ValType::V128 => ExactType::V128,
        ValType::Ref(reference) => exact_reference(reference, ids, first),
    }
}

fn exact_reference(reference: RefType, ids: &[SignatureId], first: usize) -> ExactType {
    let heap = match reference.heap_type() {
        HeapType::Abstract { ty, .. } => ExactHeap::Abstract(ty),
        HeapType::Concrete(index) | HeapType::Exact(index) => {
            let index = index.as_module_index().unwrap_or(u32::MAX) as usize;
            match ids.get(index) {
                Some(id) => ExactHeap::Function(*id),
                None => ExactHeap::InGroup(index.saturating_sub(first) as u32),
            }
        }
    };
    ExactType::Ref {
        nullable: reference.is_nullable(),
        heap,
    }
}

impl ExactType {
    /// Whether a value of this type can be used where `other` is expected.
    pub(crate) fn is_subtype_of(self, other: ExactType) -> bool {
        let (
            ExactType::Ref { nullable, heap },
            ExactType::Ref {
                nullable: other_nullable,
                heap: other_heap,
            },
        ) = (self, other)
        else {
            return self == other;
        };
        (!nullable || other_nullable) && heap.is_subtype_of(other_heap)
    }
}

impl ExactHeap {
    fn is_subtype_of(self, other: ExactHeap) -> bool {
        use AbstractHeapType as A;
        if self == other {
            return true;
        }
        matches!(
            (self, other),
            (ExactHeap::Function(_), ExactHeap::Abstract(A::Func))
                | (
                    ExactHeap::Abstract(A::NoFunc),
                    ExactHeap::Abstract(A::Func) | ExactHeap::Function(_),
                )
                | (
                    ExactHeap::Abstract(A::NoExtern),
                    ExactHeap::Abstract(A::Extern)
                )
                | (ExactHeap::Abstract(A::NoExn), ExactHeap::Abstract(A::Exn))
        )
    }
}
