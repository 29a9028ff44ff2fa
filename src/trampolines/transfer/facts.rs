//! What is known about types without looking at values: it decides which bookkeeping a trampoline
//! needs.

use super::lists::Bulk;
use super::{Guest, Shape};
use crate::program::{Program, StringEncoding};
use trampette_artifact::canonical::{
    MAX_FLAT_PARAMS, MAX_FLAT_RESULTS, flatten_all, record_fields, variant_cases,
};
use trampette_artifact::ids::{ComponentInstanceId, ResourceId};
use trampette_artifact::metadata::Resource;
use trampette_artifact::types::{DefinedType, Type, TypeTable};

/// Whether `predicate` holds for the type or any type in it.
fn any(types: &TypeTable, ty: Type, predicate: &mut impl FnMut(Type) -> bool) -> bool {
    if predicate(ty) {
        return true;
    }
    let Type::Defined(id) = ty else { return false };
    match &types[id] {
        DefinedType::List(element) | DefinedType::FixedLengthList(element, _) => {
            any(types, *element, predicate)
        }
        DefinedType::Map(key, value) => {
            any(types, *key, predicate) || any(types, *value, predicate)
        }
        _ => {
            let fields = record_fields(types, ty).unwrap_or_default();
            let cases = variant_cases(types, ty).unwrap_or_default();
            let parts = fields.into_iter().chain(cases.into_iter().flatten());
            parts.into_iter().any(|ty| any(types, ty, predicate))
        }
    }
}

/// Whether a guest passes parameters of these types as core values, and not in memory.
pub(crate) fn flat_params(types: &TypeTable, params: &[Type], guest: Guest<'_>) -> bool {
    let params = params.iter().copied();
    flatten_all(types, params, guest.width(), MAX_FLAT_PARAMS).is_some()
}

/// Whether a guest returns a result of this type as core values, and not in memory.
pub(crate) fn flat_result(types: &TypeTable, result: Type, guest: Guest<'_>) -> bool {
    flatten_all(types, [result], guest.width(), MAX_FLAT_RESULTS).is_some()
}

/// Whether lowering parameters of these types adds borrowed handles to the table of an instance: it
/// gets representations of the resources that it defines itself.
pub(crate) fn lowers_borrows(
    program: &Program<'_>,
    params: &[Type],
    instance: ComponentInstanceId,
) -> bool {
    let borrowed = borrowed_resources(&program.types, params);
    borrowed.iter().any(|resource| {
        !matches!(
            program.resources[*resource].info,
            Resource::Defined { instance: definer, .. } if definer == instance
        )
    })
}

/// Whether values contain pointers: strings, lists, maps. Lowering them calls `realloc`.
pub(crate) fn contains_pointer(types: &TypeTable, ty: Type) -> bool {
    any(types, ty, &mut |ty| match ty {
        Type::String => true,
        Type::Defined(id) => matches!(&types[id], DefinedType::List(_) | DefinedType::Map(..)),
        _ => false,
    })
}

/// Whether values contain strings.
pub(crate) fn contains_string(types: &TypeTable, ty: Type) -> bool {
    any(types, ty, &mut |ty| ty == Type::String)
}

/// Whether a transfer of such values from the guest to the host takes memory from the arena.
pub(crate) fn uses_arena(types: &TypeTable, ty: Type, guest: Guest<'_>) -> bool {
    any(types, ty, &mut |ty| match ty {
        Type::String => guest.encoding() != StringEncoding::Utf8,
        Type::Defined(id) => match &types[id] {
            DefinedType::List(element) => !Bulk::of(types, &Shape::Value(*element)).borrowable(),
            DefinedType::Map(key, value) => {
                !Bulk::of(types, &Shape::Tuple(vec![*key, *value])).borrowable()
            }
            _ => false,
        },
        _ => false,
    })
}

/// Resources of which the types contain owned handles.
pub(crate) fn owned_resources(types: &TypeTable, all: &[Type]) -> Vec<ResourceId> {
    resources(types, all, |ty| match ty {
        DefinedType::Own(resource) => Some(*resource),
        _ => None,
    })
}

/// Resources of which the types contain borrowed handles.
pub(crate) fn borrowed_resources(types: &TypeTable, all: &[Type]) -> Vec<ResourceId> {
    resources(types, all, |ty| match ty {
        DefinedType::Borrow(resource) => Some(*resource),
        _ => None,
    })
}

fn resources(
    types: &TypeTable,
    all: &[Type],
    which: impl Fn(&DefinedType) -> Option<ResourceId>,
) -> Vec<ResourceId> {
    let mut found = Vec::new();
    for ty in all {
        any(types, *ty, &mut |ty| {
            if let Type::Defined(id) = ty {
                found.extend(which(&types[id]));
            }
            false
        });
    }
    found.sort_unstable();
    found.dedup();
    found
}
