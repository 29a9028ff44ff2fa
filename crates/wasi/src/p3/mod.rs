//! WASI 0.3: the imports of the world `wasi:cli/command`. The interfaces and their types are those
//! of `wit/`, by way of `bindgen!`.
//!
//! | file | subject |
//! | --- | --- |
//! | `bindings` | what `bindgen!` makes |
//! | `ends` | streams of bytes, and futures that say how they ended |
//! | `cli` | `wasi:cli` |
//! | `clocks` | `wasi:clocks` |
//! | `random` | `wasi:random` |
//! | `filesystem`, `error_code` | `wasi:filesystem` |
//! | `sockets` | `wasi:sockets` |

pub(crate) mod bindings;
mod cli;
mod clocks;
mod ends;
mod error_code;
pub(crate) mod filesystem;
mod random;
pub(crate) mod sockets;
