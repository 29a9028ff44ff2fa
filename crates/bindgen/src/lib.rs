//! `bindgen!`: from WIT to host traits and typed exports for `trampette_runtime`.
//!
//! It is a crate of its own, not part of `trampette-macros`, because the WIT parser brings a
//! WebAssembly parser along, and what a host links must not depend on either.
//!
//! | module | subject |
//! | --- | --- |
//! | `input` | the macro's arguments, and the WIT that they name |
//! | `names` | WIT names as Rust names |
//! | `bindings` | the world: its interfaces, and where in Rust each of them is |
//! | `types` | types of WIT as Rust types, where they are used |
//! | `definitions` | types of WIT as Rust types, where they are defined |
//! | `imports` | host traits and `add_to_linker` |
//! | `exports` | what calls exported functions |
//! | `world` | the struct of the world, and all modules |

mod bindings;
mod definitions;
mod exports;
mod imports;
mod input;
mod names;
mod types;
mod world;

use proc_macro::TokenStream;

/// Generates Rust for a world of WIT: types, a trait for every imported interface, and a struct to
/// call what a component exports.
///
/// ```
/// trampette_bindgen::bindgen!({
///     inline: "
///         package example:notes@1.0.0;
///         interface log { write: func(text: string) -> u32; }
///         world plugin {
///             import log;
///             export run: func(names: list<string>) -> result<u32, string>;
///         }
///     ",
///     world: "plugin",
/// });
///
/// struct Host(Vec<String>);
///
/// impl example::notes::log::Host for Host {
///     fn write(&mut self, text: &str) -> anyhow::Result<u32> {
///         self.0.push(text.to_string());
///         Ok(self.0.len() as u32)
///     }
/// }
///
/// # fn main() {}
/// # fn run(component: &trampette_runtime::Component) -> anyhow::Result<()> {
/// let mut linker = trampette_runtime::Linker::new();
/// Plugin::add_to_linker(&mut linker, |host: &mut Host| host)?;
/// let mut store = trampette_runtime::Store::new(Host(Vec::new()));
/// let plugin = Plugin::instantiate(&mut store, component, &linker)?;
/// let notes = plugin.call_run(&mut store, &["a".to_string()])?;
/// # Ok(())
/// # }
/// ```
///
/// # Arguments
/// - `path: "wit"` — a WIT file or a folder with a `deps` folder, relative to `Cargo.toml`; a list of
///   several is read in order. Without `path` and `inline` it is `"wit"`.
/// - `inline: "…"` — WIT; it may use packages that `path` names.
/// - `world: "…"` — the world's name, with or without its package; needed if there are several.
/// - `with: { "…": …, }` — what exists already: `"package:name/interface/resource": Type` says which
///   Rust type an imported resource is, so that functions take `Resource<Type>`;
///   `"package:name/interface": path` uses the module of other bindings for a whole imported
///   interface, which the `add_to_linker` of that module then defines.
///
/// # What is generated
/// - For every imported interface a module `package::name::interface` with its types, a trait `Host`
///   for its functions, a trait `HostThing` for each resource `thing`, and `add_to_linker`. Methods
///   get strings, and lists of numbers, as views of the guest's memory (`&str`, `&[u8]`); other lists
///   are `List<'_, T>`. They return what the WIT says inside of `Result`, whose error is a trap.
///   A resource is represented by a `Resource<Thing>`, a number that the host chooses.
/// - For every exported interface a module `exports::package::name::interface` with its types, a
///   struct `Guest` with a `call_…` method for each function, and a struct `GuestThing` for those of
///   a resource. The resource itself is a `Thing`, a typed `ResourceAny`. An interface that is
///   imported too has two modules, and its resources are two types.
/// - For the world a struct of its name: `instantiate`, `new` for an existing instance,
///   `add_to_linker` for all imports, `call_…` for its own functions, and a method for each exported
///   interface; and a trait of its name with `Imports` for functions that it imports directly.
#[proc_macro]
pub fn bindgen(input: TokenStream) -> TokenStream {
    input::Input::parse(input.into())
        .and_then(|input| world::generate(&input))
        .unwrap_or_else(|error| error.to_compile_error())
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use quote::quote;

    /// The error of bindings for a world with these items.
    fn refused(items: &str, with: proc_macro2::TokenStream) -> String {
        let wit = format!("package test:refused; world w {{ {items} }}");
        let arguments = quote!({ inline: #wit, with: { #with } });
        let generated = input::Input::parse(arguments).and_then(|input| world::generate(&input));
        match generated {
            Ok(_) => "accepted".to_string(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn async_is_refused() {
        let nothing = || quote!();
        assert_eq!(refused("export f: func();", nothing()), "accepted");
        for side in ["import", "export"] {
            let direct = format!("{side} f: async func();");
            let message = "the function `f` is not supported: it needs async";
            assert_eq!(refused(&direct, nothing()), message);
            let method = "interface { resource r { m: async func(); } }";
            assert_eq!(
                refused(&format!("{side} i: {method}"), nothing()),
                "the function `[method]r.m` is not supported: it needs async"
            );
            assert_eq!(
                refused(&format!("{side} f: func(s: stream<u8>);"), nothing()),
                "the type `stream` is not supported: it needs async"
            );
            assert_eq!(
                refused(&format!("{side} f: func() -> future<u8>;"), nothing()),
                "the type `future` is not supported: it needs async"
            );
        }
    }

    #[test]
    fn mappings_of_what_is_not_imported_are_refused() {
        let exported = "export i: interface { resource r; }";
        for name in ["i/r", "i", "j", "r"] {
            let message = format!("the world imports no interface or resource `{name}`");
            assert_eq!(refused(exported, quote!(#name: Mine)), message);
        }
        let imported = "import i: interface { resource r; record s { a: u8 } } resource t;";
        for name in ["i/r", "i", "t"] {
            assert_eq!(refused(imported, quote!(#name: Mine)), "accepted");
        }
        assert_eq!(
            refused(imported, quote!("i/s": Mine)),
            "the world imports no interface or resource `i/s`"
        );
    }
}
