//! From a component's bytes to a [`Program`](crate::program::Program).
//!
//! | module | subject |
//! | --- | --- |
//! | [`parse`] | [`parse_component`]: the entry point, features, limits |
//! | `definition` | the component as a list of definitions, validated |
//! | `flatten` | the interpreter of definitions: scopes, instantiation, aliases |
//! | `types` | component types to [`trampette_artifact::types`], with resource identity |
//! | `canonical` | `canon` definitions to trampolines and lifted functions |
//! | `concurrent` | those about tasks, waitables, streams and futures |
//! | `imports`, `exports` | what the component and its host see of each other |
//! | `bound_modules` | core modules that the component imports |
//! | [`wit`] | whether the component fits a world of WIT |

mod bound_modules;
mod canonical;
mod concurrent;
mod definition;
mod exports;
mod flatten;
mod imports;
pub(crate) mod parse;
#[cfg(test)]
mod tests;
mod types;
pub(crate) mod wit;

#[cfg(feature = "cli")]
pub(crate) use bound_modules::names_of_imports;
pub(crate) use parse::{ParseOptions, parse_component, validate};
