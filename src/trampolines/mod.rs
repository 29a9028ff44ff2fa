//! Trampolines: code that changes ABI, and the transfer engine that carries values.

pub mod emitter;
pub mod startup;
