//! `flatten_functype` of CanonicalABI.md: the core type of a component-level function type.

use super::module::{CoreSignature, CoreType};
use trampette_artifact::canonical::{
    Flat, MAX_FLAT_PARAMS, MAX_FLAT_RESULTS, PointerWidth, flatten_all,
};
use trampette_artifact::types::{FuncType, TypeTable};

/// The type of a core function that is lifted to `ty`: results in memory are returned as a pointer.
pub(crate) fn lifted(types: &TypeTable, ty: &FuncType, width: PointerWidth) -> CoreSignature {
    let pointer = CoreType::pointer(width);
    CoreSignature {
        params: params(types, ty, width).into(),
        results: results(types, ty, width).map_or([pointer].into(), Into::into),
    }
}

/// The type of a core function that `ty` is lowered to: results in memory go where a last parameter
/// points.
pub(crate) fn lowered(types: &TypeTable, ty: &FuncType, width: PointerWidth) -> CoreSignature {
    let mut params = params(types, ty, width);
    let results = results(types, ty, width).unwrap_or_else(|| {
        params.push(CoreType::pointer(width));
        Vec::new()
    });
    CoreSignature {
        params: params.into(),
        results: results.into(),
    }
}

fn params(types: &TypeTable, ty: &FuncType, width: PointerWidth) -> Vec<CoreType> {
    let all = ty.params.iter().map(|param| param.ty);
    match flatten_all(types, all, width, MAX_FLAT_PARAMS) {
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
