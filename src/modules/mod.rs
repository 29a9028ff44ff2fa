//! Core modules: parsing ([`module`]) and function bodies to CLIF ([`translate`]).

pub mod module;
pub mod translate;
