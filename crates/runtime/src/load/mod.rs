//! From the bytes of an artifact to a [`Component`](crate::Component) with its look-up tables.
//!
//! | file | subject |
//! | --- | --- |
//! | `elf` | finding the sections |
//! | `detect` | what a file is, by its headers |
//! | `error` | `LoadError` |
//! | `validate` | checking the metadata |
//! | `component` | `Component`: the mapped artifact and its look-up tables |
//! | `world` | `World`: what a component imports and exports, with the names of types |
//! | `backtrace`, `report` | `Trap` and `WasmBacktrace`; errors with them, as text |
//! | `debugger` | telling debuggers which file is mapped where |
//! | `names` | `Name`: a name in a dynamic value; those in a component's types |
//! | `dwarf` | source lines |

pub(crate) mod backtrace;
pub(crate) mod component;
pub(crate) mod debugger;
pub(crate) mod detect;
pub(crate) mod dwarf;
pub(crate) mod elf;
pub(crate) mod error;
pub(crate) mod names;
pub(crate) mod report;
pub(crate) mod validate;
pub(crate) mod world;
