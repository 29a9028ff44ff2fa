//! From a component's bytes to a [`program::Program`] and its [`layout::Layout`].

pub mod layout;
pub mod program;
