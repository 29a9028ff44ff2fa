//! Core modules: parsing ([`parse`]) into [`crate::program::module`], binding them to
//! each other ([`bind`]), and function bodies to CLIF ([`translate`]).

pub mod bind;
pub mod lone;
pub mod parse;
pub mod translate;
pub mod validate;
