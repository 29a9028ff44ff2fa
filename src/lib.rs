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
        compile_parsed(wasm, &program, options)
    })
}

/// Compiles the program that [`parse`] made of a component to an artifact that keeps its world.
pub(crate) fn compile_parsed(
    wasm: &[u8],
    program: &component::program::Program<'_>,
    options: &CompileOptions,
) -> Result<Artifact> {
    // Some imports and exports are nothing that WIT can say.
    // It is for listings only: a component that the printer cannot cope with is compiled all the same.
    let wit = std::panic::catch_unwind(|| component::world::describe(wasm).ok());
    let wit = wit.unwrap_or_default();
    compile_program(program, options, wit.as_deref())
}

/// Compiles a program to an artifact; `wit` is the world to keep in it.
fn compile_program(
    program: &component::program::Program<'_>,
    options: &CompileOptions,
    wit: Option<&str>,
) -> Result<Artifact> {
    let layout = component::layout::lay_out(program)?;
    let isa = options.isa()?;
    let session = codegen::Session {
        isa,
        program,
        layout: &layout,
    };
    let functions = compile::compile_reachable(&session, compile::Listing::None)?;
    compile::validate_unreachable(program)?;
    let bytes = link::link(&session, &functions, &options.target(), wit)?;
    Ok(Artifact::new(bytes))
}

/// Compiles a core module on its own to an artifact of the same kind, which the runtime's
/// `CoreInstance` instantiates.
///
/// Functions that it imports are the host's. Memories, tables, globals and tags that it imports are
/// made from their declared types when it is instantiated: memories and tables have their minimum
/// size, globals are zero or null.
///
/// # Errors
/// If the bytes are no valid core module, or it uses what is not supported. The message names the
/// thing and its byte offset.
pub fn compile_module(wasm: &[u8], options: &CompileOptions) -> Result<Artifact> {
    in_thread_pool(options, || {
        let module = modules::world::parse_module(wasm)?;
        let mut world = modules::world::lone_module(module)?;
        world.program.bounds = options.bounds;
        compile_program(&world.program, options, None)
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
