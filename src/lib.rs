//! Trampette: an ahead-of-time compiler for WebAssembly components.
//!
//! [`compile_component`] turns a component into one ELF file, an [`Artifact`], that the crate
//! `trampette-runtime` maps and runs. [`compile_module`] does the same for a core module on its
//! own, and [`CompileOptions`] says how ([`options`] has the types of its fields).
//! [`Artifact::report`] says what compiling took and did, and [`emit`] shows what the stages make.
//!
//! ```
//! let wasm = wat::parse_str("(component)")?;
//! let artifact = trampette::compile_component(&wasm, &trampette::CompileOptions::default())?;
//! assert_eq!(&artifact.bytes()[..4], b"\x7fELF");
//! # anyhow::Ok(())
//! ```
//!
//! The feature `cli` (on by default) adds the command `trampette` and what only it needs; the
//! feature `runtime`, which it includes, adds `Artifact::load`. Without them this crate is the
//! compiler alone.

// `ARCHITECTURE.md` is the map of this crate; the stages of `compile_component` are its phases.
// Nothing is `pub` that no user of the library can name.
#![cfg_attr(not(test), warn(unreachable_pub))]

mod artifact;
#[cfg(feature = "cli")]
#[doc(hidden)]
pub mod cli;
mod codegen;
mod compile;
mod component;
pub mod emit;
mod inline;
#[cfg(feature = "cli")]
pub mod input;
mod intrinsics;
mod layout;
mod link;
mod modules;
pub mod options;
mod passes;
mod program;
mod report;
mod trampolines;
#[cfg(feature = "cli")]
pub mod verify;
#[cfg(feature = "cli")]
#[doc(hidden)]
pub mod wast;

pub use artifact::Artifact;
pub use options::CompileOptions;
pub use report::{Report, Statistics, TransferKind};

use anyhow::{Context, Result};
use codegen::Session;
use component::ParseOptions;
use component::wit::{self, Interface};
use inline::heuristics::Tunables;
use link::Target;
use modules::bind::Binding;
use program::Program;
use report::Stopwatch;

/// Compiles a component to an artifact.
///
/// # Errors
/// If the bytes are no valid component, or it uses what is not supported: the message names the
/// thing and its byte offset. If it does not fit the world of the options: the message says what is
/// missing or extra.
pub fn compile_component(wasm: &[u8], options: &CompileOptions) -> Result<Artifact> {
    in_thread_pool(options, || {
        let mut watch = Stopwatch::start();
        let (input, parse_options) = ParseOptions::of(options, wasm);
        let Parsed { program, interface } = parse(wasm, &input, &parse_options, options)?;
        watch.phase("parse");
        compile_parsed(wasm, &program, interface, options, watch)
    })
}

/// Compiles a core module on its own to an artifact of the same kind, which the runtime's
/// `CoreInstance` instantiates.
///
/// Imports whose first name is in [`CompileOptions::core_modules`] are bound to exports of that
/// module, which is compiled along and instantiated first; types must match exactly. Other
/// functions that it imports are the host's, and so are the values of globals. Other memories,
/// tables and tags are made from their declared types when it is instantiated, with their minimum
/// sizes; a host may supply memories that are shared between threads.
///
/// # Errors
/// If the bytes are no valid core module, an import does not fit the module that it is bound to, or
/// it uses what is not supported. The message names the thing and its byte offset.
pub fn compile_module(wasm: &[u8], options: &CompileOptions) -> Result<Artifact> {
    in_thread_pool(options, || {
        let mut watch = Stopwatch::start();
        let (input, parse_options) = ParseOptions::of(options, wasm);
        let binding = parse_module(wasm, &input, &parse_options)?;
        watch.phase("parse");
        compile_program(&binding.program, options, None, watch)
    })
}

/// Validates a component, the bodies of its core functions included, without compiling it.
///
/// # Errors
/// If the bytes are no valid component. The message names the thing and its byte offset.
pub fn validate_component(wasm: &[u8]) -> Result<()> {
    component::validate(wasm)
}

/// A component that was parsed and fits the world of the options.
struct Parsed<'i> {
    program: Program<'i>,
    /// What it imports and exports in WIT, if it was compared with a world.
    interface: Option<Interface>,
}

/// Parses the `input` that the options make of a component, and checks that the component fits its
/// world: the component itself, without the core modules bound behind it.
fn parse<'i>(
    wasm: &[u8],
    input: &'i [u8],
    parse_options: &ParseOptions,
    options: &CompileOptions,
) -> Result<Parsed<'i>> {
    let program = component::parse_component(input, parse_options)?;
    let mut interface = None;
    if let Some(world) = &options.world {
        wit::check(wasm, interface.insert(Interface::decode(wasm)?), world)?;
    }
    Ok(Parsed { program, interface })
}

/// The same for a core module on its own.
fn parse_module<'i>(
    wasm: &[u8],
    input: &'i [u8],
    parse_options: &ParseOptions,
) -> Result<Binding<'i>> {
    modules::lone::lone_module(input, 0..wasm.len(), &parse_options.core_modules)
}

/// Compiles a parsed component to an artifact that keeps its world.
fn compile_parsed(
    wasm: &[u8],
    program: &Program<'_>,
    interface: Option<Interface>,
    options: &CompileOptions,
    mut watch: Stopwatch,
) -> Result<Artifact> {
    let wit = wit::for_listings(wasm, interface);
    watch.phase("describe");
    compile_program(program, options, wit.as_deref(), watch)
}

/// From a flattened program to an artifact: the stages that components and core modules share.
/// `wit` is the world to keep in it.
fn compile_program(
    program: &Program<'_>,
    options: &CompileOptions,
    wit: Option<&str>,
    mut watch: Stopwatch,
) -> Result<Artifact> {
    let layout = layout::lay_out(program)?;
    watch.phase("lay out");
    let session = Session::new(program, &layout, options)?;
    let inlining = Tunables::of(options);
    let roots = compile::roots::of_the_host(&session);
    let listing = compile::Listing::None;
    let compiled = compile::compile_reachable(&session, &roots, inlining.as_ref(), listing)?;
    watch.phase("compile");
    modules::validate::validate_unreachable(program)?;
    watch.phase("validate");
    let bytes = link::link(&session, &compiled.functions, &Target::of(options), wit)?;
    watch.phase("link");
    let report = Report::new(watch, &session, &compiled, &bytes, options.guest_debug_info);
    Ok(Artifact::new(bytes, report, options))
}

/// Runs `work` with the number of threads that the options say.
fn in_thread_pool<R: Send>(
    options: &CompileOptions,
    work: impl FnOnce() -> Result<R> + Send,
) -> Result<R> {
    // Deeply nested functions need more stack in Cranelift than a thread has by default.
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(options.threads.unwrap_or(0))
        .stack_size(16 << 20)
        .thread_name(|index| format!("trampette-{index}"))
        .build()
        .context("cannot start the compiler's threads")?;
    pool.install(work)
}

/// The sample in `README.md`, as a test.
#[cfg(all(doctest, feature = "cli"))]
#[doc = include_str!("../README.md")]
struct Readme;
