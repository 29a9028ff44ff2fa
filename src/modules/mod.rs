//! Core modules, and their function bodies to CLIF.
//!
//! | file | what |
//! | --- | --- |
//! | [`parse`] | bytes to a [`Module`](crate::program::module::Module) |
//! | [`bind`] | modules bound to each other into one program |
//! | [`lone`] | a module on its own, bound to others and to the host |
//! | [`translate`] | function bodies to CLIF, validated in the same pass |
//! | [`validate`] | function bodies that nothing translates |

pub(crate) mod bind;
pub(crate) mod lone;
pub(crate) mod parse;
pub(crate) mod translate;
#[cfg(test)]
mod type_tests;
pub(crate) mod validate;
