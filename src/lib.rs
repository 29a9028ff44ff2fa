//! Trampette: an ahead-of-time compiler for WebAssembly components.
//!
//! [`compile_component`] turns a component into one ELF file that `trampette-runtime` maps and runs.
//! `ARCHITECTURE.md` is the map of this crate; the stages of the front door below are its phases.
//!
//! ```
//! let wasm = wat::parse_str("(component)")?;
//! let artifact = trampette::compile_component(&wasm, &trampette::CompileOptions::default())?;
//! assert_eq!(&artifact.bytes()[..4], b"\x7fELF");
//! # anyhow::Ok(())
//! ```

pub mod artifact;
pub mod cli;
pub mod codegen;
pub mod compile;
pub mod component;
pub mod emit;
pub mod inline;
pub mod input;
pub mod intrinsics;
pub mod layout;
pub mod link;
pub mod modules;
pub mod options;
pub mod passes;
pub mod program;
pub mod report;
pub mod trampolines;
pub mod wast;

pub use artifact::Artifact;
pub use options::CompileOptions;
pub use report::Report;

use anyhow::{Context, Result};
use report::Stopwatch;

/// Compiles a component to an artifact.
///
/// # Errors
/// If the bytes are no valid component, or it uses what is not supported: the message names the
/// thing and its byte offset. If it does not fit the world of the options: the message says what is
/// missing or extra.
pub fn compile_component(wasm: &[u8], options: &CompileOptions) -> Result<Artifact> {
    Ok(compile_component_with_report(wasm, options)?.0)
}

/// Compiles a component to an artifact, and says what that took and did.
///
/// # Errors
/// As [`compile_component`].
pub fn compile_component_with_report(
    wasm: &[u8],
    options: &CompileOptions,
) -> Result<(Artifact, Report)> {
    in_thread_pool(options, || {
        let mut watch = Stopwatch::start();
        let (input, parse_options) = options.input(wasm);
        let program = parse(wasm, &input, &parse_options, options)?;
        watch.phase("parse");
        compile_parsed(wasm, &program, options, watch)
    })
}

/// Compiles the program that [`parse`] made of a component to an artifact that keeps its world.
pub(crate) fn compile_parsed(
    wasm: &[u8],
    program: &program::Program<'_>,
    options: &CompileOptions,
    mut watch: Stopwatch,
) -> Result<(Artifact, Report)> {
    // Some imports and exports are nothing that WIT can say.
    // It is for listings only: a component that the printer cannot cope with is compiled all the same.
    let wit = std::panic::catch_unwind(|| component::wit::describe(wasm).ok());
    let wit = wit.unwrap_or_default();
    watch.phase("describe");
    compile_program(program, options, wit.as_deref(), watch)
}

/// Compiles a core module on its own to an artifact of the same kind, which the runtime's
/// `CoreInstance` instantiates.
///
/// Imports whose first name is in [`CompileOptions::core_modules`] are bound to exports of that module,
/// which is compiled along and instantiated first; types must match exactly. Other functions that it
/// imports are the host's, and so are the values of globals. Other memories, tables and tags are made from
/// their declared types when it is instantiated, with their minimum sizes; a host may supply memories that
/// are shared between threads.
///
/// # Errors
/// If the bytes are no valid core module, an import does not fit the module that it is bound to, or it uses
/// what is not supported. The message names the thing and its byte offset.
pub fn compile_module(wasm: &[u8], options: &CompileOptions) -> Result<Artifact> {
    Ok(compile_module_with_report(wasm, options)?.0)
}

/// Compiles a core module on its own, and says what that took and did.
///
/// # Errors
/// As [`compile_module`].
pub fn compile_module_with_report(
    wasm: &[u8],
    options: &CompileOptions,
) -> Result<(Artifact, Report)> {
    in_thread_pool(options, || {
        let mut watch = Stopwatch::start();
        let (bytes, parse_options) = options.input(wasm);
        let world = parse_module(wasm, &bytes, &parse_options, options)?;
        watch.phase("parse");
        compile_program(&world.program, options, None, watch)
    })
}

/// From a flattened program to an artifact: the stages that components and core modules share. `wit` is
/// the world to keep in it.
fn compile_program(
    program: &program::Program<'_>,
    options: &CompileOptions,
    wit: Option<&str>,
    mut watch: Stopwatch,
) -> Result<(Artifact, Report)> {
    let layout = layout::lay_out(program)?;
    watch.phase("lay out");
    let isa = options.isa()?;
    let session = codegen::Session {
        isa,
        program,
        layout: &layout,
        inlining: options.inlining(),
        calls: Default::default(),
    };
    let compiled = compile::compile_reachable(&session, compile::Listing::None)?;
    watch.phase("compile");
    modules::validate::validate_unreachable(program)?;
    watch.phase("validate");
    let bytes = link::link(&session, &compiled.functions, &options.target(), wit)?;
    watch.phase("link");
    let statistics = report::Statistics::new(&session, &compiled, &bytes);
    let phases = watch.phases();
    Ok((Artifact::new(bytes), Report { phases, statistics }))
}

/// Validates a component, the bodies of its core functions included, without compiling it.
///
/// # Errors
/// If the bytes are no valid component. The message names the thing and its byte offset.
pub fn validate_component(wasm: &[u8]) -> Result<()> {
    component::validate(wasm)
}

/// Parses the `input` that the options make of a component, and checks that the component fits its
/// world: the component itself, without the core modules bound behind it.
pub(crate) fn parse<'i>(
    wasm: &[u8],
    input: &'i [u8],
    parse_options: &component::ParseOptions,
    options: &CompileOptions,
) -> Result<program::Program<'i>> {
    let mut program = component::parse_component(input, parse_options)?;
    if let Some(world) = &options.world {
        component::wit::check(wasm, world)?;
    }
    program.bounds = options.bounds;
    Ok(program)
}

/// The same for a core module on its own.
pub(crate) fn parse_module<'i>(
    wasm: &[u8],
    input: &'i [u8],
    parse_options: &component::ParseOptions,
    options: &CompileOptions,
) -> Result<modules::bind::World<'i>> {
    let bound = &parse_options.core_modules;
    let mut world = modules::lone::lone_module(input, 0..wasm.len(), bound)?;
    world.program.bounds = options.bounds;
    Ok(world)
}

/// Runs `work` with the number of threads that the options say.
pub(crate) fn in_thread_pool<R: Send>(
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
