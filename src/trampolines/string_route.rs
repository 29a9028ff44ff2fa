//! What adapters share to carry strings from one guest to another.

use super::transfer::{Guest, Side, Transfer};
use crate::codegen::emitter::Emitter;
use crate::codegen::{self, Session};
use crate::program::module::{CoreSignature, CoreType};
use anyhow::{Context, Result};
use cranelift_codegen::ir::{self, InstBuilder};
use trampette_artifact::ids::StringRouteId;
use trampette_artifact::key::FuncKey;

/// The signature after the context: pointer and (tagged) length, as `i64`, at either end.
pub(crate) fn signature() -> ir::Signature {
    codegen::wasm_call_signature(&CoreSignature {
        params: vec![CoreType::I64; 2].into(),
        results: vec![CoreType::I64; 2].into(),
    })
}

/// The code of a route.
///
/// # Errors
/// If the program has no such route.
pub(crate) fn string_route(session: &Session<'_>, id: StringRouteId) -> Result<ir::Function> {
    let key = FuncKey::StringRoute(id);
    let route = session.layout.string_routes.get(id);
    let route = route.with_context(|| format!("{key}: no adapter takes such a route"))?;
    Emitter::build(session, key, signature(), |e, params| {
        let (from, to) = (Guest::new(&route.from), Guest::new(&route.to));
        let mut transfer = Transfer::new(e, Side::Guest(from), Side::Guest(to))?;
        let (pointer, length) = transfer.string_between(from, to, params[0], params[1])?;
        e.builder.ins().return_(&[pointer, length]);
        Ok(())
    })
}
