//! Listings of what the stages make: for people, and for golden tests. The text may change with any
//! version.

use crate::codegen::Session;
#[cfg(feature = "cli")]
use crate::compile::Compiled;
use crate::compile::{self, Listing, roots};
use crate::component::ParseOptions;
use crate::inline::heuristics::Tunables;
#[cfg(feature = "cli")]
use crate::layout::Layout;
use crate::layout::lay_out;
use crate::modules::validate::validate_unreachable;
use crate::program::symbols::symbol;
use crate::program::{Program, TrampolineKind};
use crate::{CompileOptions, in_thread_pool};
use anyhow::Result;
use std::fmt::Write;

/// A stage whose result can be printed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Emit {
    /// The flattened component and its layout.
    Plan,
    /// CLIF of every compiled function, before optimisation.
    Clif,
    /// Machine code of every compiled function.
    Assembly,
    /// CLIF of the array-call forms of trampolines, intrinsics and destructors, through which a
    /// host could call each on its own. No artifact has them: nothing in the host's API asks for
    /// one.
    ArrayCalls,
}

/// The kinds of component trampolines, by the words that end their symbols.
pub fn trampoline_kinds() -> &'static [&'static str] {
    TrampolineKind::NAMES
}

/// What kind of function a symbol names: the symbol without the numbers in brackets, and without
/// the name that a module or a component gives. `wasm[2]::function[7]::strlen` is `wasm::function`.
pub fn symbol_kind(symbol: &str) -> String {
    let (unit, rest) = match symbol.split_once("::") {
        Some((unit, rest)) if unit.starts_with("wasm[") => ("wasm::", rest),
        _ => ("", symbol),
    };
    let own = rest.split("::").next().unwrap_or_default();
    let mut kind = unit.to_string();
    let mut depth = 0;
    for c in own.chars() {
        match c {
            '[' => depth += 1,
            ']' => depth -= 1,
            _ if depth == 0 => kind.push(c),
            _ => {}
        }
    }
    kind
}

/// Prints a stage's result for a component. Of functions, those whose symbol contains `filter`.
///
/// # Errors
/// As [`crate::compile_component`].
pub fn listing(wasm: &[u8], options: &CompileOptions, what: Emit, filter: &str) -> Result<String> {
    in_thread_pool(options, || {
        let (input, parse_options) = ParseOptions::of(options, wasm);
        let component = crate::parse(wasm, &input, &parse_options, options)?;
        list(&component.program, options, what, filter)
    })
}

/// Prints a stage's result for a core module on its own.
///
/// # Errors
/// As [`crate::compile_module`].
pub fn module_listing(wasm: &[u8], options: &CompileOptions, what: Emit) -> Result<String> {
    in_thread_pool(options, || {
        let (input, parse_options) = ParseOptions::of(options, wasm);
        let binding = crate::parse_module(wasm, &input, &parse_options)?;
        list(&binding.program, options, what, "")
    })
}

/// What the stages made of a component or core module.
#[cfg(feature = "cli")]
pub(crate) struct Stages<'s> {
    /// The flattened component.
    pub program: &'s Program<'s>,
    /// Where everything is.
    pub layout: &'s Layout,
    /// The machine code.
    pub compiled: &'s Compiled,
}

/// Compiles a component or core module (its bytes tell), and shows what every
/// stage made.
///
/// # Errors
/// As [`crate::compile_component`], and those of `look`.
#[cfg(feature = "cli")]
pub(crate) fn examine<R: Send>(
    wasm: &[u8],
    options: &CompileOptions,
    listing: Listing,
    look: impl FnOnce(&Stages<'_>) -> Result<R> + Send,
) -> Result<R> {
    in_thread_pool(options, || {
        let (input, parse_options) = ParseOptions::of(options, wasm);
        let (component, module);
        let program = match wasmparser::Parser::is_component(wasm) {
            true => {
                component = crate::parse(wasm, &input, &parse_options, options)?;
                &component.program
            }
            false => {
                module = crate::parse_module(wasm, &input, &parse_options)?;
                &module.program
            }
        };
        let layout = lay_out(program)?;
        let session = Session::new(program, &layout, options)?;
        let roots = roots::of_the_host(&session);
        let inlining = Tunables::of(options);
        let compiled = compile::compile_reachable(&session, &roots, inlining.as_ref(), listing)?;
        validate_unreachable(program)?;
        look(&Stages {
            program,
            layout: &layout,
            compiled: &compiled,
        })
    })
}

fn list(
    program: &Program<'_>,
    options: &CompileOptions,
    what: Emit,
    filter: &str,
) -> Result<String> {
    let layout = lay_out(program)?;
    let listing = match what {
        Emit::Plan => return Ok(program.print() + &layout.print(program)),
        Emit::Clif | Emit::ArrayCalls => Listing::Clif,
        Emit::Assembly => Listing::Assembly,
    };
    let session = Session::new(program, &layout, options)?;
    let roots = match what {
        Emit::ArrayCalls => roots::array_calls(&session),
        _ => roots::of_the_host(&session),
    };
    let inlining = Tunables::of(options);
    let compiled = compile::compile_reachable(&session, &roots, inlining.as_ref(), listing)?;
    let functions = compiled.functions;
    validate_unreachable(program)?;
    let mut text = String::new();
    for function in functions.values() {
        let symbol = symbol(program, function.key);
        if symbol.contains(filter) {
            let body = function.listing.as_deref().unwrap_or_default();
            writeln!(text, ";; {symbol}\n{}\n", body.trim_end())?;
        }
    }
    Ok(text)
}
