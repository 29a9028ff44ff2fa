//! From a component's bytes to a [`program::Program`] and its [`layout::Layout`].
//!
//! | module | subject |
//! | --- | --- |
//! | [`parse`] | [`parse_component`]: the entry point, features, limits |
//! | `definition` | the component as a list of definitions, validated |
//! | `flatten` | the interpreter of definitions: scopes, instantiation, aliases |
//! | `types` | component types to [`trampette_artifact::types`], with resource identity |
//! | `canonical` | `canon` definitions to trampolines and lifted functions |
//! | `imports`, `exports` | what the component and its host see of each other |
//! | `bound_modules` | core modules that the component imports |
//! | [`world`] | whether the component fits a world of WIT |
//! | `graph` | the plan as a picture |
//! | [`program`], `print` | the result, and its listing |
//! | [`layout`] | where everything of a program is at run time |

mod bound_modules;
mod canonical;
mod definition;
mod exports;
mod flatten;
mod graph;
mod imports;
pub mod layout;
pub mod parse;
mod print;
pub mod program;
#[cfg(test)]
mod tests;
mod types;
pub mod world;

pub use parse::{ParseOptions, parse_component, validate};
