//! Component-level values as Rust values: checking types, lifting and lowering.
//!
//! | file | subject |
//! | --- | --- |
//! | `typed` | `Lift` and `Lower`: Rust types as component-level types |
//! | `scalars`, `containers`, `maps` | those traits for Rust's own types |
//! | `resource`, `resource_table` | `Resource`, `ResourceAny`, `ResourceTable` |
//! | `error_context` | `ErrorContext` |
//! | `streams`, `received` | ends of streams and futures; what the host waits for |
//! | `producers`, `relay` | what the host reads and writes them with; queues of elements |
//! | `keep` | who owns what native values point to |
//! | `val` | `Val`: any component-level value |
//! | `flags`, `guest_resource` | `flags!`, `guest_resource!` |
//! | `private` | what generated code for an embedder's own types uses |

pub(crate) mod containers;
pub(crate) mod error_context;
pub(crate) mod flags;
pub(crate) mod guest_resource;
pub(crate) mod keep;
pub(crate) mod maps;
pub mod private;
pub(crate) mod producers;
pub(crate) mod received;
pub(crate) mod relay;
pub(crate) mod resource;
pub(crate) mod resource_table;
pub(crate) mod scalars;
pub(crate) mod streams;
pub(crate) mod typed;
pub(crate) mod val;
