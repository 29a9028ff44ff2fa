//! Core modules: parsing ([`parse`]) into [`crate::program::module`], binding them to
//! each other ([`bind`]), and function bodies to CLIF ([`translate`]).

pub(crate) mod bind;
pub(crate) mod lone;
pub(crate) mod parse;
pub(crate) mod translate;
#[cfg(test)]
mod type_tests;
pub(crate) mod validate;
