//! What is known about types without looking at values: it decides which bookkeeping a trampoline
//! needs.

use super::Guest;
use crate::program::{Program, StringEncoding, flatten};
use trampette_artifact::canonical::{MAX_FLAT_PARAMS, MAX_FLAT_RESULTS, flatten_all};
use trampette_artifact::facts::Contents;
use trampette_artifact::ids::{ComponentInstanceId, ResourceId};
use trampette_artifact::metadata::Resource;
use trampette_artifact::types::{DefinedType, Type, TypeTable};

/// Whether a caller passes parameters of these types as core values, and not in memory.
pub(crate) fn flat_lowered_params(types: &TypeTable, params: &[Type], guest: Guest<'_>) -> bool {
    let params = params.iter().copied();
    let most = flatten::most_lowered_params(guest.waiting());
    flatten_all(types, params, guest.width(), most).is_some()
}

/// Whether a caller is returned a result of this type as core values, and not in memory.
pub(crate) fn flat_lowered_result(types: &TypeTable, result: Type, guest: Guest<'_>) -> bool {
    !guest.waiting().is_async() && flat_result(types, result, guest)
}

/// Whether a lifted function gives a result of this type as core values, and not in memory: as its
/// own result, or to `task.return`.
pub(crate) fn flat_lifted_result(types: &TypeTable, result: Type, guest: Guest<'_>) -> bool {
    match guest.waiting().is_async() {
        true => flat_params(types, &[result], guest),
        false => flat_result(types, result, guest),
    }
}

/// Whether a lifted function takes parameters of these types as core values, and not in memory.
pub(crate) fn flat_params(types: &TypeTable, params: &[Type], guest: Guest<'_>) -> bool {
    let params = params.iter().copied();
    flatten_all(types, params, guest.width(), MAX_FLAT_PARAMS).is_some()
}

/// Whether a guest returns a result of this type as core values, and not in memory.
fn flat_result(types: &TypeTable, result: Type, guest: Guest<'_>) -> bool {
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
    types.facts(ty).contents.pointers
}

/// Whether values contain strings.
pub(crate) fn contains_string(types: &TypeTable, ty: Type) -> bool {
    types.facts(ty).contents.strings
}

/// Whether a transfer of such values from the guest to the host takes memory from the arena.
pub(crate) fn uses_arena(types: &TypeTable, ty: Type, guest: Guest<'_>) -> bool {
    let contents = types.facts(ty).contents;
    contents.copied_lists || contents.strings && guest.encoding() != StringEncoding::Utf8
}

/// Resources of which the types contain owned handles.
pub(crate) fn owned_resources(types: &TypeTable, all: &[Type]) -> Vec<ResourceId> {
    resources(
        types,
        all,
        |contents| contents.owned,
        |ty| match ty {
            DefinedType::Own(resource) => Some(*resource),
            _ => None,
        },
    )
}

/// Resources of which the types contain borrowed handles.
pub(crate) fn borrowed_resources(types: &TypeTable, all: &[Type]) -> Vec<ResourceId> {
    resources(
        types,
        all,
        |contents| contents.borrowed,
        |ty| match ty {
            DefinedType::Borrow(resource) => Some(*resource),
            _ => None,
        },
    )
}

/// Resources of which parameters contain both borrowed and owned handles: while they are passed, an
/// owned handle can be one that was lent before.
pub(crate) fn lent_and_given_resources(types: &TypeTable, params: &[Type]) -> Vec<ResourceId> {
    let owned = owned_resources(types, params);
    let mut lent = borrowed_resources(types, params);
    lent.retain(|resource| owned.contains(resource));
    lent
}

/// The resources that are found in the types that may hold what is looked for.
fn resources(
    types: &TypeTable,
    all: &[Type],
    may_hold: impl Fn(Contents) -> bool,
    which: impl Fn(&DefinedType) -> Option<ResourceId>,
) -> Vec<ResourceId> {
    let within = types.within(all.iter().copied(), may_hold);
    let mut found: Vec<_> = within.iter().filter_map(|id| which(&types[*id])).collect();
    found.sort_unstable();
    found.dedup();
    found
}
