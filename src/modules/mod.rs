//! Core modules: parsing ([`parse`]) into [`module`], and function bodies to CLIF ([`translate`]).

pub mod canonical;
pub mod lone;
pub mod module;
pub mod parse;
pub mod translate;
pub mod world;
