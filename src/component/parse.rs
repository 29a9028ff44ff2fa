//! The entry point of parsing: bytes to a [`Program`].
//!
//! Parsing happens in two passes. The first (`definition`) reads and validates the whole component
//! into lists of definitions; so whatever is invalid is reported as such, before anything that is
//! valid but not supported. The second (`flatten`) interprets the definitions.

use super::definition::Definitions;
use super::flatten::Flattener;
use crate::options::{Blocking, CompileOptions, Proposal, Proposals};
use crate::program::Program;
use anyhow::{Context, Result, anyhow, bail};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;
use wasmparser::{Parser, Validator, WasmFeatures};

/// How to parse a component.
#[derive(Clone, Debug, Default)]
pub(crate) struct ParseOptions {
    /// The name of the imported instance whose functions are unsafe intrinsics
    /// ([`trampette_artifact::key::Intrinsic`]). Without it, an instance of any name is an import
    /// from the host.
    pub unsafe_intrinsics_import: Option<String>,
    /// Where in the input the core modules are that the component imports, by the chain of names of
    /// the import with `#` between them. They follow the component, which ends where the first
    /// starts.
    pub core_modules: BTreeMap<String, Range<usize>>,
    /// How it is told what can block.
    pub blocking: Blocking,
    /// What is accepted of what is not settled.
    pub proposals: Proposals,
}

impl ParseOptions {
    /// What parsing needs of the compiler's options: the component with the core modules behind it,
    /// and where they are.
    pub(crate) fn of<'w>(
        options: &CompileOptions,
        wasm: &'w [u8],
    ) -> (Cow<'w, [u8]>, ParseOptions) {
        let mut bytes = Cow::Borrowed(wasm);
        let mut core_modules = BTreeMap::new();
        for (name, module) in &options.core_modules {
            let start = bytes.len();
            bytes.to_mut().extend_from_slice(module);
            core_modules.insert(name.clone(), start..bytes.len());
        }
        let options = ParseOptions {
            unsafe_intrinsics_import: options.unsafe_intrinsics_import.clone(),
            core_modules,
            blocking: options.blocking,
            proposals: options.proposals,
        };
        (bytes, options)
    }
}

/// Parses, validates and flattens a component. Bodies of core functions are validated later, when
/// they are compiled.
///
/// # Errors
/// If the bytes are no valid component, or use what is not supported; with the byte offset and the
/// component instance that the definition belongs to.
pub(crate) fn parse_component<'a>(bytes: &'a [u8], options: &ParseOptions) -> Result<Program<'a>> {
    let modules = options.core_modules.values();
    let end = modules.map(|range| range.start).min();
    let component = match end {
        Some(end) => bytes.get(..end).context("a core module is out of bounds")?,
        None => bytes,
    };
    check_header(component)?;
    let mut definitions = Definitions::read(component, options.proposals)?;
    let modules = std::mem::take(&mut definitions.modules);
    let mut program = Flattener::new(&definitions, modules, bytes, options).flatten()?;
    program.blocking = options.blocking;
    Ok(program)
}

/// Validates a component, the bodies of its core functions included.
///
/// # Errors
/// If the bytes are no valid component, with the byte offset.
pub(crate) fn validate(bytes: &[u8], proposals: Proposals) -> Result<()> {
    check_header(bytes)?;
    match Validator::new_with_features(features(proposals)).validate_all(bytes) {
        Ok(_) => Ok(()),
        Err(error) => Err(invalid(bytes, proposals, &error)),
    }
}

/// The error for a component that is not valid: what the validator found and, if there is a
/// proposal with which it would find nothing at this place, how to have that.
pub(super) fn invalid(
    bytes: &[u8],
    proposals: Proposals,
    error: &wasmparser::Error,
) -> anyhow::Error {
    let passes = |proposal: &Proposal| {
        let features = features(proposals.with(*proposal));
        match Validator::new_with_features(features).validate_all(bytes) {
            Ok(_) => true,
            Err(next) => next.offset() > error.offset(),
        }
    };
    match Proposal::ALL.iter().find(|proposal| passes(proposal)) {
        Some(proposal) => anyhow!(
            "invalid component: {error}: this is part of a proposal that may change, and must be \
             asked for: `--proposals {}`",
            proposal.name()
        ),
        None => anyhow!("invalid component: {error}"),
    }
}

/// What validation accepts: WebAssembly 3.0, the component model of WASI 0.2, and those extensions
/// that [`Program`] can express or that later stages refuse by name.
pub(super) fn features(proposals: Proposals) -> WasmFeatures {
    let proposed = [
        (Proposal::Forward, WasmFeatures::CM_FORWARD),
        (Proposal::Threads, WasmFeatures::CM_THREADING),
    ];
    let settled = WasmFeatures::WASM3
        .union(WasmFeatures::CUSTOM_PAGE_SIZES)
        .union(WasmFeatures::WIDE_ARITHMETIC)
        .union(WasmFeatures::THREADS)
        .union(WasmFeatures::COMPONENT_MODEL)
        .union(WasmFeatures::CM_FIXED_LENGTH_LISTS)
        .union(WasmFeatures::CM_MAP)
        .union(WasmFeatures::CM64)
        .union(WasmFeatures::CM_IMPLEMENTS)
        .union(WasmFeatures::CM_ASYNC)
        .union(WasmFeatures::CM_ASYNC_STACKFUL)
        .union(WasmFeatures::CM_MORE_ASYNC_BUILTINS)
        .union(WasmFeatures::CM_ERROR_CONTEXT);
    let proposed = proposed.iter().filter(|(one, _)| proposals.contains(*one));
    proposed.fold(settled, |all, (_, feature)| all.union(*feature))
}

/// Says what the bytes are, when they are clearly no component.
fn check_header(bytes: &[u8]) -> Result<()> {
    if bytes.is_empty() {
        bail!("the input is empty: expected a WebAssembly component");
    }
    if Parser::is_core_wasm(bytes) {
        bail!(
            "the input is a core WebAssembly module, not a component (at offset 0x4): \
             make it a component first, for example with `wasm-tools component new`"
        );
    }
    if !bytes.starts_with(b"\0asm") {
        let shown: Vec<String> = bytes
            .iter()
            .take(4)
            .map(|byte| format!("{byte:02x}"))
            .collect();
        bail!(
            "the input is not a WebAssembly component: it does not start with `\\0asm` but with \
             the bytes {} (at offset 0x0)",
            shown.join(" ")
        );
    }
    Ok(())
}
