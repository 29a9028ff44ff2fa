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

#![cfg_attr(not(test), warn(unreachable_pub))]

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
/// // Imports and exports are matched and checked once, for all instances.
/// let plugin = PluginPre::new(linker.instantiate_pre(component)?)?;
/// let mut store = trampette_runtime::Store::new(Host(Vec::new()));
/// let plugin = plugin.instantiate(&mut store)?;
/// let notes = plugin.call_run(&mut store, &["a".to_string()])?;
/// # Ok(())
/// # }
/// ```
///
/// # Arguments
/// - `path: "wit"` — a WIT file or a folder with a `deps` folder, relative to `Cargo.toml`; a list
///   of several is read in order. Without `path` and `inline` it is `"wit"`.
/// - `inline: "…"` — WIT; it may use packages that `path` names.
/// - `world: "…"` — the world's name, with or without its package; needed if there are several.
/// - `interfaces: "…"` — what a world contains (`import …; export …; include …;`), in place of
///   `inline` and `world`; the struct is then `Interfaces`.
/// - `features: ["…"]` — the features that are on, of those that WIT calls unstable. Without it all
///   are.
/// - `with: { "…": …, }` — what exists already: `"package:name/interface/resource": Type` says
///   which Rust type an imported resource is, so that functions take `Resource<Type>`; `!` in place
///   of the type says that the host never makes such a resource; `"package:name/interface": path`
///   uses the module of other bindings for a whole imported interface, which the `add_to_linker` of
///   that module then defines.
/// - `trappable: { "package:name/interface/type": Type, }` — the host's own type for an error.
/// - `waits: ["package:name/interface/function", "package:name/interface/resource.method"]` —
///   imported functions that are not `async`, but may have to wait: they give a
///   [`Later`](../trampette_runtime/enum.Later.html).
/// - `additional_derives: [Hash, serde::Serialize]` — what records, variants, enumerations and
///   flags without handles of resources derive besides what they derive anyway.
///
/// # Errors of the host's own
/// A function that returns a `result` is in Rust a `Result<Result<T, E>>`: the outer error is a
/// trap. With `trappable` for the type `e` it is a `Result<T, Type>`, so that `?` works for both,
/// and the trait `ConvertE` of the type's interface makes an `E` or a trap of a `Type` — with the
/// host at hand, that an error may become a resource. Traits of interfaces with such functions
/// require it.
///
/// ```
/// mod bindings {
///     trampette_bindgen::bindgen!({
///         inline: "
///             package example:store@1.0.0;
///             interface files {
///                 enum code { missing, denied }
///                 resource file { read: func() -> result<list<u8>, code>; }
///                 open: func(path: string) -> result<file, code>;
///             }
///             world host { import files; }
///         ",
///         with: { "example:store/files/file": super::File },
///         trappable: { "example:store/files/code": super::Failure },
///     });
/// }
/// use bindings::example::store::files::{self, Code};
/// use trampette_runtime::{Resource, ResourceTable, ResourceTableError};
///
/// pub struct File(Vec<u8>);
///
/// pub enum Failure {
///     Code(Code),
///     Trap(anyhow::Error),
/// }
///
/// impl From<ResourceTableError> for Failure {
///     fn from(error: ResourceTableError) -> Self {
///         Failure::Trap(error.into())
///     }
/// }
///
/// impl files::ConvertCode for ResourceTable {
///     fn convert_code(&mut self, failure: Failure) -> anyhow::Result<Code> {
///         match failure {
///             Failure::Code(code) => Ok(code),
///             Failure::Trap(error) => Err(error),
///         }
///     }
/// }
///
/// impl files::HostFile for ResourceTable {
///     fn read(&mut self, file: Resource<File>) -> Result<Vec<u8>, Failure> {
///         Ok(self.get(&file)?.0.clone())
///     }
///     fn drop(&mut self, file: Resource<File>) -> anyhow::Result<()> {
///         self.delete(file)?;
///         Ok(())
///     }
/// }
///
/// impl files::Host for ResourceTable {
///     fn open(&mut self, path: &str) -> Result<Resource<File>, Failure> {
///         match path {
///             "greeting" => Ok(self.push(File(b"hello".to_vec()))?),
///             _ => Err(Failure::Code(Code::Missing)),
///         }
///     }
/// }
///
/// fn main() -> anyhow::Result<()> {
///     let mut linker = trampette_runtime::Linker::new();
///     bindings::Host::add_to_linker(&mut linker, |table: &mut ResourceTable| table)
/// }
/// ```
///
/// # Asynchronous functions
/// An imported function that is `async` in WIT is an `async fn` of the trait. It goes on while the
/// guest does, so it cannot have the host for itself: it gets
/// [`Access`](../trampette_runtime/trait.Access.html) to it, for a moment at a time, and owns its
/// parameters. What is not an `async fn` may do something first, and return a future of its own. As
/// with [`func_wrap_async`](../trampette_runtime/struct.LinkerInstance.html), a future that is
/// ready when it is first polled is a call that returns at once, and one whose call is cancelled is
/// dropped. With `trappable` it fails with the host's own error as other functions do.
///
/// A function that is not `async`, but has streams or futures in its parameters or result, gets
/// [`AccessMut`](../trampette_runtime/trait.AccessMut.html) in place of the host: to make or read
/// them takes the store.
///
/// An exported function that is `async` has three methods: `call_f` waits with the thread,
/// `call_f_async` is a future that drives the store, and `call_f_concurrent` one of many that
/// `Store::run_concurrent`, or the store itself, drives. The last two own their parameters.
///
/// ```
/// mod bindings {
///     trampette_bindgen::bindgen!({
///         inline: "
///             package example:crawler;
///             interface web { get: async func(url: string) -> result<list<u8>, string>; }
///             world crawler {
///                 import web;
///                 export count: async func(urls: list<string>) -> u64;
///             }
///         ",
///     });
/// }
/// use bindings::Crawler;
/// use bindings::example::crawler::web;
/// use trampette_runtime::{Access, Store};
///
/// #[derive(Default)]
/// struct Web {
///     requests: u64,
/// }
///
/// # async fn fetch(url: String) -> std::io::Result<Vec<u8>> { Ok(url.into_bytes()) }
/// impl web::Host for Web {
///     async fn get(
///         cx: impl Access<Self>,
///         url: String,
///     ) -> anyhow::Result<Result<Vec<u8>, String>> {
///         let page = fetch(url).await;
///         cx.with(|web| web.requests += 1)?;
///         Ok(page.map_err(|error| error.to_string()))
///     }
/// }
///
/// async fn two(crawler: &Crawler, store: &mut Store<Web>) -> anyhow::Result<u64> {
///     let one = crawler.call_count_async(&mut *store, vec!["a".to_string()]).await?;
///     let both = store.run_concurrent(async |cx| {
///         let b = crawler.call_count_concurrent(cx, vec!["b".to_string()]);
///         let c = crawler.call_count_concurrent(cx, vec!["c".to_string()]);
///         // With `join!` of a library they would go on at the same time.
///         anyhow::Ok(b.await? + c.await?)
///     });
///     Ok(one + both.await??)
/// }
///
/// fn main() -> anyhow::Result<()> {
///     let mut linker = trampette_runtime::Linker::new();
///     Crawler::add_to_linker(&mut linker, |web: &mut Web| web)
/// }
/// ```
///
/// # Resources that never exist
/// Components of language runtimes import whole interfaces, of which a host may refuse to make a
/// resource at all. With `"…": !` the resource is defined, so that its handles have a type; no
/// trait asks for its functions, and they are left out of the linker, where
/// [`define_unknown_imports_as_traps_in`](../trampette_runtime/struct.Linker.html) finds them.
///
/// # What is generated
/// - For every imported interface a module `package::name::interface` with its types, a trait
///   `Host` for its functions, a trait `HostThing` for each resource `thing`, and `add_to_linker`.
///   Methods get strings, and lists of numbers, as views of the guest's memory (`&str`, `&[u8]`);
///   other lists are `List<'_, T>`. They return what the WIT says inside of `Result`, whose error
///   is a trap. Functions that are `async` own their parameters. `add_to_linker` takes what finds
///   the implementation in the store's data; it is compiled into each function, like a call by
///   hand. A resource is represented by a `Resource<Thing>`, a number that the host chooses.
/// - For every exported interface a module `exports::package::name::interface` with its types, a
///   struct `Guest` with a `call_…` method for each function, three if it is `async`, and a struct
///   `GuestThing` for those of a resource. The resource itself is a `Thing`, a typed
///   `ResourceAny`. An interface that is imported too has two modules, and its resources are two
///   types.
/// - For the world a struct of its name: `instantiate`, `new` for an existing instance,
///   `add_to_linker` for all imports, `call_…` for its own functions, and a method for each
///   exported interface; a struct of its name with `Pre`, which checks all that once, before there
///   is an instance, and whose `instantiate` looks nothing up; and a trait of its name with
///   `Imports` for functions that it imports directly.
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
        outcome(quote!({ inline: #wit, with: { #with } }))
    }

    /// The error of bindings with these arguments.
    fn outcome(arguments: proc_macro2::TokenStream) -> String {
        match generated(arguments) {
            Ok(_) => "accepted".to_string(),
            Err(error) => error.to_string(),
        }
    }

    fn generated(arguments: proc_macro2::TokenStream) -> syn::Result<String> {
        let code = input::Input::parse(arguments).and_then(|input| world::generate(&input))?;
        Ok(code.to_string())
    }

    /// What is generated for a world with these items.
    fn code_of(items: &str) -> String {
        let wit = format!("package test:code; world w {{ {items} }}");
        generated(quote!({ inline: #wit })).unwrap()
    }

    /// Whether tokens occur in generated code.
    fn has(code: &str, tokens: &proc_macro2::TokenStream) -> bool {
        code.contains(&tokens.to_string())
    }

    #[test]
    fn asynchronous_imports_are_futures_of_owned_parameters() {
        let future = quote!(impl ::core::future::Future<
            Output = ::trampette_runtime::__private::Result<::std::string::String>
        > + ::core::marker::Send + 'static;);
        let cx = quote!(cx: impl ::trampette_runtime::Access<Self>,);
        let text = quote!(text: ::std::string::String,);
        let define =
            quote!(func_wrap_async_owned::<(::std::string::String,), ::std::string::String, _, _>);
        for (function, resource) in [
            ("f: async func(text: string) -> string;", false),
            ("f: static async func(text: string) -> string;", true),
        ] {
            let items = match resource {
                true => format!("import i: interface {{ resource r {{ {function} }} }}"),
                false => format!("import {function}"),
            };
            let code = code_of(&items);
            assert!(has(&code, &quote!(fn f(#cx #text) -> #future)), "{code}");
            assert!(has(&code, &define), "{code}");
        }
        let code = code_of("import i: interface { resource r { m: async func() -> string; } }");
        let own = quote!(self_: ::trampette_runtime::Resource<R>,);
        assert!(has(&code, &quote!(fn m(#cx #own) -> #future)), "{code}");
        // What is not `async` is as it was.
        let code = code_of("import f: func(text: string) -> string;");
        assert!(has(&code, &quote!(fn f(&mut self, text: &str,))), "{code}");
        assert!(!code.contains("async"), "{code}");
    }

    #[test]
    fn asynchronous_exports_are_called_in_three_ways() {
        let future = quote!(
            impl ::core::future::Future<Output = ::trampette_runtime::__private::Result<u32>>
        );
        let blocking = quote!(pub fn call_f(
            &self, store: impl ::trampette_runtime::AsContextMut, text: &str,
        ));
        for (side, is_async) in [("async func", true), ("func", false)] {
            let code = code_of(&format!("export f: {side}(text: string) -> u32;"));
            assert!(has(&code, &blocking), "{code}");
            let waits = quote!(pub fn call_f_async<__S: ::trampette_runtime::AsContextMut>(
                &self, store: __S, text: ::std::string::String,
            ) -> #future + use<__S>);
            assert_eq!(has(&code, &waits), is_async, "{code}");
            let concurrent = quote!(pub fn call_f_concurrent<__T: 'static>(
                &self, cx: ::trampette_runtime::Accessor<__T>, text: ::std::string::String,
            ) -> #future + use<__T>);
            assert_eq!(has(&code, &concurrent), is_async, "{code}");
        }
        // What the WIT names keeps its name, whichever comes first.
        for items in [
            "export f: async func(); export f-async: func();",
            "export f-async: func(); export f: async func();",
        ] {
            let code = code_of(items);
            assert!(code.contains("pub fn call_f_async (& self ,"), "{code}");
            assert!(code.contains("pub fn call_f_async_ < __S :"), "{code}");
        }
    }

    #[test]
    fn constructors_are_not_asynchronous() {
        for side in ["import", "export"] {
            let items = format!("{side} i: interface {{ resource r {{ constructor() async; }} }}");
            assert!(refused(&items, quote!()).contains("expected"), "{side}");
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

    #[test]
    fn only_errors_of_imported_functions_are_trappable() {
        let world = "
            import i: interface {
                enum code { a }
                type alias = code;
                record other { a: u8 }
                f: func(o: other) -> result<u8, alias>;
            }
            export j: interface { enum code { a } f: func() -> result<u8, code>; }
        ";
        let wit = format!("package test:refused; world w {{ {world} }}");
        let trappable = |name| outcome(quote!({ inline: #wit, trappable: { #name: Mine } }));
        assert_eq!(trappable("i/code"), "accepted");
        assert_eq!(trappable("i/alias"), "accepted");
        for name in ["i/other", "i/none", "j/code", "code", "i"] {
            assert_eq!(
                trappable(name),
                format!("the world imports no type `{name}` that functions fail with")
            );
        }
    }

    #[test]
    fn the_name_of_a_conversion_must_be_free() {
        let wit = "package test:refused; world w { import i: interface {
            enum code { a } record convert-code { a: u8 } f: func() -> result<_, code>;
        } }";
        assert_eq!(
            outcome(quote!({ inline: #wit, trappable: { "i/code": Mine } })),
            "the type `code` has a neighbour whose name is `ConvertCode`"
        );
    }

    #[test]
    fn unstable_items_are_there_if_their_feature_is_on() {
        let wit = "package test:refused@1.0.0; interface i {
            @unstable(feature = fresh) new: func();
            @since(version = 1.0.0) old: func();
        } world w { import i; }";
        let has_new = |code: String| code.contains("fn new (& mut self");
        let all = generated(quote!({ inline: #wit })).unwrap();
        let none = generated(quote!({ inline: #wit, features: [] })).unwrap();
        let named = generated(quote!({ inline: #wit, features: ["fresh"] })).unwrap();
        assert!(has_new(all));
        assert!(has_new(named));
        assert!(!has_new(none));
    }

    #[test]
    fn arguments_must_not_contradict_each_other() {
        let second = |rest| outcome(quote!({ path: [], interfaces: "", #rest }));
        let message = "`interfaces` is a world of its own; `inline` and `world` name another";
        assert_eq!(second(quote!(inline: "")), message);
        assert_eq!(second(quote!(world: "w")), message);
        assert_eq!(
            second(quote!(features: [], path: "wit")),
            "`path` is given twice"
        );
        assert_eq!(
            second(quote!(worlds: "w")),
            "expected `path`, `inline`, `interfaces`, `world`, `features`, `with`, `trappable`, \
             `waits` or `additional_derives`"
        );
    }

    /// Fenced code without a language would be compiled as Rust by `rustdoc`.
    #[test]
    fn code_in_documentation_is_text() {
        let wit = "package test:docs; world w {
            /// Like this:
            ///
            /// ```
            /// f()
            /// ```
            ///
            /// ```wit
            /// f()
            /// ```
            import f: func();
        }";
        let code = generated(quote!({ inline: #wit })).unwrap();
        assert_eq!(code.matches("\" ```text\"").count(), 1);
        assert_eq!(code.matches("\" ```wit\"").count(), 1);
        assert_eq!(code.matches("\" ```\"").count(), 2);
    }
}
