//! An executable model of the component model's concurrency: what may happen when, and nothing
//! else.
//!
//! It says the same as the concurrency half of the specification's `definitions.py`, in Rust, in a
//! form that can be run thousands of times a second, copied at every choice, and shrunk. A test
//! that knows a *script* (what a few component instances do, in what order the host calls them)
//! gets from it all *traces* that the specification allows, and can tell whether a runtime's own is
//! among them.
//!
//! ```
//! use std::sync::Arc;
//! use trampette_model::{explore, machine::Rules, script::Script};
//!
//! let script: Script = "element u32
//!     function 0 stackful async none none
//!       return l0
//!       thread.yield
//!     host
//!       call f0"
//!     .parse()?;
//! let traces = explore::exhaustive(&Arc::new(script), Rules::RUNTIME, 100);
//! assert!(traces.complete);
//! assert!(traces.all.iter().all(|trace| trace.contains("c0 returned")));
//! # Ok::<(), String>(())
//! ```
//!
//! What it leaves out: values and memories (a copy is a number of elements), owned resources that
//! are passed on, error contexts, start functions and destructors (both are calls of a synchronous
//! type). Bodies have no loops. One thing it does otherwise than the snapshot, and why, stands in
//! `cancel.rs`.
//!
//! `tests/python.rs` compares it with the definitions themselves, `tests/suite` says the official
//! suite again, and `tests/rules.rs` holds the state to `invariants.rs`.

#![warn(unreachable_pub)]

mod builtins;
mod cancel;
mod ends;
pub mod explore;
pub mod families;
pub mod generate;
mod host;
mod invariants;
mod lift;
mod lower;
pub mod machine;
pub mod rng;
pub mod script;
pub mod shrink;
mod state;
pub mod text;
pub mod trace;
pub mod traps;
mod waitables;
