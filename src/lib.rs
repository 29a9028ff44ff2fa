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
pub mod compiled;
pub mod component;
pub mod emit;
pub mod input;
pub mod intrinsics;
pub mod link;
pub mod modules;
pub mod options;
pub mod trampolines;
pub mod wast;

pub use artifact::Artifact;
pub use options::CompileOptions;

use anyhow::{Context, Result};

/// Compiles a component to an artifact.
///
/// # Errors
/// If the bytes are no valid component, or it uses what is not supported: the message names the
/// thing and its byte offset. If it does not fit the world of the options: the message says what is
/// missing or extra.
pub fn compile_component(wasm: &[u8], options: &CompileOptions) -> Result<Artifact> {
    in_thread_pool(options, || {
        let (input, parse_options) = options.input(wasm);
        let program = parse(wasm, &input, &parse_options, options)?;
        let layout = component::layout::lay_out(&program)?;
        let isa = options.isa()?;
        let session = codegen::Session {
            isa,
            program: &program,
            layout: &layout,
        };
        let functions = compile::compile_reachable(&session, compile::Listing::None)?;
        compile::validate_unreachable(&program)?;
        let bytes = link::link(&session, &functions, &options.target())?;
        Ok(Artifact::new(bytes))
    })
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
    in_thread_pool(options, || {
        let (bytes, parse_options) = options.input(wasm);
        let world = parse_module(wasm, &bytes, &parse_options, options)?;
        let layout = component::layout::lay_out(&world.program)?;
        let isa = options.isa()?;
        let session = codegen::Session {
            isa,
            program: &world.program,
            layout: &layout,
        };
        let functions = compile::compile_reachable(&session, compile::Listing::None)?;
        compile::validate_unreachable(&world.program)?;
        let bytes = link::link(&session, &functions, &options.target())?;
        Ok(Artifact::new(bytes))
    })
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
) -> Result<component::program::Program<'i>> {
    let mut program = component::parse_component(input, parse_options)?;
    if let Some(world) = &options.world {
        component::world::check(wasm, world)?;
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
) -> Result<modules::world::World<'i>> {
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
