//! Trampette: an ahead-of-time compiler for WebAssembly components.
//!
//! A component becomes one ELF file, an [`Artifact`], that the crate `trampette-runtime` maps and
//! runs. Here it is compiled and run in one process; [`Artifact::write`] is for a later one, which
//! then needs no compiler.
//!
//! ```
//! use trampette_runtime::{Linker, Store};
//!
//! let wasm = wat::parse_str(
//!     r#"(component
//!       (core module $m (func (export "add") (param i32 i32) (result i32)
//!         (i32.add (local.get 0) (local.get 1))))
//!       (core instance $i (instantiate $m))
//!       (func (export "add") (param "a" u32) (param "b" u32) (result u32)
//!         (canon lift (core func $i "add"))))"#,
//! )?;
//! let artifact = trampette::compile_component(&wasm, &trampette::CompileOptions::default())?;
//! let component = artifact.load()?;
//!
//! let mut store = Store::new(());
//! let instance = Linker::new().instantiate(&mut store, &component)?;
//! let add = instance.get_typed_func::<(u32, u32), u32>(&mut store, "add")?;
//! assert_eq!(add.call(&mut store, (1, 2))?, 3);
//! # anyhow::Ok(())
//! ```
//!
//! [`compile_module`] does the same for a core module on its own, and [`CompileOptions`] says how
//! ([`options`] has the types of its fields). [`Artifact::report`] says what compiling took and
//! did, and [`emit`] shows what the stages make.
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
use options::Proposals;
use program::Program;
use report::Stopwatch;

/// Compiles a component to an artifact.
///
/// ```
/// use trampette::{CompileOptions, compile_component};
///
/// let wasm = wat::parse_str("(component)")?;
/// let artifact = compile_component(&wasm, &CompileOptions::default())?;
/// let folder = tempfile::tempdir()?;
/// artifact.write(folder.path().join("empty.elf"))?;
///
/// let error = compile_component(b"something else", &CompileOptions::default()).unwrap_err();
/// println!("{error:#}");
/// # anyhow::Ok(())
/// ```
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
/// ```
/// let wasm = wat::parse_str(r#"(module (func (export "f") (result i32) (i32.const 7)))"#)?;
/// let artifact = trampette::compile_module(&wasm, &trampette::CompileOptions::default())?;
/// assert!(artifact.report().statistics.core_functions > 0);
/// # anyhow::Ok(())
/// ```
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

/// Validates a component, the bodies of its core functions included, without compiling it. It may
/// use no [proposal](options::Proposal).
///
/// ```
/// let wasm = wat::parse_str("(component)")?;
/// trampette::validate_component(&wasm)?;
/// assert!(trampette::validate_component(&wasm[..7]).is_err());
/// # anyhow::Ok(())
/// ```
///
/// # Errors
/// If the bytes are no valid component. The message names the thing and its byte offset.
pub fn validate_component(wasm: &[u8]) -> Result<()> {
    component::validate(wasm, Proposals::default())
}

/// [`validate_component`] of what may use proposals.
///
/// ```
/// use trampette::options::{Proposal, Proposals};
///
/// let threaded = wat::parse_str("(component (core func (canon thread.index)))")?;
/// assert!(trampette::validate_component(&threaded).is_err());
/// let proposals = Proposals::default().with(Proposal::Threads);
/// trampette::validate_component_with(&threaded, proposals)?;
/// # anyhow::Ok(())
/// ```
///
/// # Errors
/// If the bytes are no valid component, or it uses another proposal. The message names the thing
/// and its byte offset.
pub fn validate_component_with(wasm: &[u8], proposals: Proposals) -> Result<()> {
    component::validate(wasm, proposals)
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

/// The sample in `docs/async.md`, as a test.
#[cfg(all(doctest, feature = "cli"))]
#[doc = include_str!("../docs/async.md")]
struct Async;
