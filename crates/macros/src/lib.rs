//! Derive macros for component types of `trampette_runtime`, which exports them again.
//!
//! | module | subject |
//! | --- | --- |
//! | `input` | what the deriving type and its `#[component(…)]` attributes say |
//! | `expand` | the implementations |
//!
//! ```ignore
//! #[derive(ComponentType, Lift, Lower)]
//! #[component(record)]
//! struct Link {
//!     target: String,
//!     #[component(name = "hop-count")]
//!     hops: u32,
//! }
//! ```
//!
//! Records are structs with named fields; variants and enums are Rust enums, whose cases have at
//! most one unnamed field, and say which of the two they are. Labels are the Rust names in
//! kebab-case unless `name` says otherwise.

#![cfg_attr(not(test), warn(unreachable_pub))]

mod expand;
mod input;

use input::Input;
use proc_macro::TokenStream;
use proc_macro2::TokenStream as Tokens;

fn derive(input: TokenStream, expand: fn(&Input) -> Tokens) -> TokenStream {
    syn::parse(input)
        .and_then(Input::new)
        .map_or_else(|error| error.to_compile_error(), |input| expand(&input))
        .into()
}

/// Implements `ComponentType`: the native form, and the check against a component's types.
#[proc_macro_derive(ComponentType, attributes(component))]
pub fn derive_component_type(input: TokenStream) -> TokenStream {
    derive(input, expand::component_type)
}

/// Implements `Lift`. The view of such a type is the type itself, owned.
#[proc_macro_derive(Lift, attributes(component))]
pub fn derive_lift(input: TokenStream) -> TokenStream {
    derive(input, expand::lift)
}

/// Implements `Lower`.
#[proc_macro_derive(Lower, attributes(component))]
pub fn derive_lower(input: TokenStream) -> TokenStream {
    derive(input, expand::lower)
}
