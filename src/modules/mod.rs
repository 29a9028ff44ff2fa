//! Core modules: parsing ([`parse`] makes a [`module`]) and function bodies to CLIF (`translate`).

pub mod module;
pub mod parse;
