//! Trampette: an ahead-of-time compiler for WebAssembly components.

pub mod codegen;
pub mod compiled;
pub mod component;
pub mod intrinsics;
pub mod link;
pub mod modules;
pub mod trampolines;
