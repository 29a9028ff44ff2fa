//! `flatten_functype` of CanonicalABI.md: the core type of a component-level function type.

use super::module::{CoreSignature, CoreType};
use super::{CanonicalOptions, ReturnClass, Waiting};
use trampette_artifact::canonical::{
    Flat, MAX_FLAT_ASYNC_PARAMS, MAX_FLAT_PARAMS, MAX_FLAT_RESULTS, PointerWidth, flatten_all,
};
use trampette_artifact::types::{FuncType, Type, TypeTable};

/// The type of a core function that is lifted to `ty`: results in memory are returned as a pointer;
/// an `async` one returns nothing, or a code if it has a callback.
pub(crate) fn lifted(
    types: &TypeTable,
    ty: &FuncType,
    width: PointerWidth,
    waiting: Waiting,
) -> CoreSignature {
    let pointer = CoreType::pointer(width);
    CoreSignature {
        params: params(types, ty, width, MAX_FLAT_PARAMS).into(),
        results: match waiting {
            Waiting::Blocks => results(types, ty, width).map_or([pointer].into(), Into::into),
            Waiting::Async => [].into(),
            Waiting::Callback(_) => [CoreType::I32].into(),
        },
    }
}

/// The type of a core function that `ty` is lowered to: results in memory go where a last parameter
/// points. An `async` one returns a state, and all its results are in memory.
pub(crate) fn lowered(
    types: &TypeTable,
    ty: &FuncType,
    width: PointerWidth,
    waiting: Waiting,
) -> CoreSignature {
    let mut params = lowered_params(types, ty, width, waiting);
    let flat = results(types, ty, width).filter(|_| !waiting.is_async());
    let results = match (flat, ty.result) {
        (Some(flat), _) => flat,
        (None, None) => Vec::new(),
        (None, Some(_)) => {
            params.push(CoreType::pointer(width));
            Vec::new()
        }
    };
    CoreSignature {
        params: params.into(),
        results: match waiting.is_async() {
            true => [CoreType::I32].into(),
            false => results.into(),
        },
    }
}

/// The parameters of a function that `ty` is lowered to, without a pointer to where results go.
pub(crate) fn lowered_params(
    types: &TypeTable,
    ty: &FuncType,
    width: PointerWidth,
    waiting: Waiting,
) -> Vec<CoreType> {
    params(types, ty, width, most_lowered_params(waiting))
}

/// The type of `task.return` of a result.
pub(crate) fn returned(
    types: &TypeTable,
    result: Option<Type>,
    width: PointerWidth,
) -> CoreSignature {
    let flat = flatten_all(types, result, width, MAX_FLAT_PARAMS);
    CoreSignature {
        params: flat.map_or([CoreType::pointer(width)].into(), |flat| core(flat).into()),
        results: [].into(),
    }
}

/// What a `task.return` has in common with the tasks that it fits. Whose result needs no memory may
/// leave out that option.
pub(crate) fn return_class(
    types: &TypeTable,
    result: Option<Type>,
    options: &CanonicalOptions,
) -> ReturnClass {
    let needs_memory = result.is_some_and(|ty| {
        let facts = types.facts(ty);
        facts.contents.pointers || facts.flat(options.width()).is_none()
    });
    let memory = options.memory.map(|(id, _)| id);
    (result, options.encoding, memory.filter(|_| needs_memory))
}

/// Whether the result of a lowered import may come when its caller has gone on.
pub(crate) fn lowers_later(ty: &FuncType, options: &CanonicalOptions) -> bool {
    ty.is_async && options.waiting.is_async() && ty.result.is_some()
}

/// How many flat parameters a lowered function takes before they are passed in memory.
pub(crate) fn most_lowered_params(waiting: Waiting) -> usize {
    match waiting.is_async() {
        true => MAX_FLAT_ASYNC_PARAMS,
        false => MAX_FLAT_PARAMS,
    }
}

fn params(types: &TypeTable, ty: &FuncType, width: PointerWidth, most: usize) -> Vec<CoreType> {
    let all = ty.params.iter().map(|param| param.ty);
    match flatten_all(types, all, width, most) {
        Some(flat) => core(flat),
        None => vec![CoreType::pointer(width)],
    }
}

/// `None` if they are in memory.
fn results(types: &TypeTable, ty: &FuncType, width: PointerWidth) -> Option<Vec<CoreType>> {
    flatten_all(types, ty.result, width, MAX_FLAT_RESULTS).map(core)
}

fn core(flat: Vec<Flat>) -> Vec<CoreType> {
    flat.into_iter().map(CoreType::from).collect()
}
