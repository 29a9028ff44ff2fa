//! WASI 0.2: the imports of the world `wasi:cli/command`. The interfaces and their types are those
//! of `wit/`, by way of `bindgen!`.
//!
//! | file | subject |
//! | --- | --- |
//! | `bindings` | what `bindgen!` makes |
//! | `cli` | `wasi:cli` |
//! | `io` | `wasi:io` (errors, poll, streams) |
//! | `streams` | streams of standard input and output, and of files |
//! | `waiting` | … and waiting for them without the thread |
//! | `clocks` | `wasi:clocks` |
//! | `random` | `wasi:random` |
//! | `sockets`, `tcp`, `udp` | `wasi:sockets` |
//! | `filesystem`, `error_code` | `wasi:filesystem` |
//! | `extremes`, `sockets_tests` | tests: calls with numbers at which arithmetic breaks; sockets |

pub(crate) mod bindings;
pub(crate) mod cli;
pub(crate) mod clocks;
mod error_code;
#[cfg(test)]
mod extremes;
pub(crate) mod filesystem;
pub(crate) mod io;
pub(crate) mod random;
pub(crate) mod sockets;
#[cfg(test)]
mod sockets_tests;
pub(crate) mod streams;
pub(crate) mod tcp;
pub(crate) mod udp;
pub(crate) mod waiting;
