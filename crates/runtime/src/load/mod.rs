//! From the bytes of an artifact to a [`Component`](crate::Component) with its look-up tables.
//!
//! | file | subject |
//! | --- | --- |
//! | `elf` | finding the sections |
//! | `detect` | what a file is, by its headers |
//! | `error` | `LoadError` |
//! | `validate` | checking the metadata |
//! | `component` | `Component`: the mapped artifact and its look-up tables |
//! | `backtrace`, `dwarf` | `Trap` and `WasmBacktrace`, source lines |

pub(crate) mod backtrace;
pub(crate) mod component;
pub(crate) mod detect;
pub(crate) mod dwarf;
pub(crate) mod elf;
pub(crate) mod error;
pub(crate) mod validate;
