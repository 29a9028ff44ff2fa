//! The struct of the world, and all modules.

use crate::bindings::{Bindings, Interface, Place, Scope, Side};
use crate::definitions::docs;
use crate::imports::Provided;
use crate::input::Input;
use crate::names::{Taken, camel, snake};
use proc_macro2::{Ident, TokenStream};
use quote::{ToTokens, format_ident, quote};
use std::collections::BTreeMap;
use syn::{Error, Result};

/// Modules by name, each with code and modules of its own.
#[derive(Default)]
struct Module {
    code: TokenStream,
    modules: BTreeMap<String, (Option<Ident>, Module)>,
}

impl Module {
    fn insert(&mut self, path: &[Ident], code: TokenStream) {
        let mut module = self;
        for name in path {
            let entry = module.modules.entry(name.to_string()).or_default();
            entry.0 = Some(name.clone());
            module = &mut entry.1;
        }
        module.code.extend(code);
    }
}

impl ToTokens for Module {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        tokens.extend(self.code.clone());
        for (name, module) in self.modules.values() {
            tokens.extend(quote! {
                // What the WIT says is documented as it is, and what it does not use is there too.
                #[allow(
                    missing_docs, dead_code, unused_imports, unused_variables, private_interfaces,
                    rustdoc::all, clippy::all
                )]
                pub mod #name { #module }
            });
        }
    }
}

/// Generates everything.
pub(crate) fn generate(input: &Input) -> Result<TokenStream> {
    let bindings = Bindings::new(input)?;
    let mut root = Module::default();
    // What the world adds to a linker: the traits, and the calls of `add_to_linker`.
    let mut traits = Vec::new();
    let mut add = TokenStream::new();
    for interface in &bindings.imports {
        bindings.import(interface, &mut root, &mut traits, &mut add)?;
    }
    for interface in &bindings.exports {
        let Place::Module(path) = &interface.place else {
            continue;
        };
        let scope = Scope {
            side: Side::Export,
            interface: Some(interface.id),
            path,
        };
        root.insert(path, bindings.exported(interface, scope)?);
    }
    let world = bindings.world(traits, add)?;
    let aliases = bindings.alias_definitions();
    let files = input.files.iter().map(|path| {
        let path = path.to_string_lossy();
        // The compiler then knows that a change of the file matters.
        quote!(
            const _: &str = include_str!(#path);
        )
    });
    Ok(quote! {
        #(#files)*
        #aliases
        #world
        #root
    })
}

impl<'a> Bindings<'a> {
    /// The module of an imported interface.
    fn import(
        &self,
        interface: &Interface,
        root: &mut Module,
        traits: &mut Vec<TokenStream>,
        add: &mut TokenStream,
    ) -> Result<()> {
        let Place::Module(path) = &interface.place else {
            return Ok(());
        };
        let scope = Scope {
            side: Side::Import,
            interface: Some(interface.id),
            path,
        };
        let types: Vec<_> = self.resolve.interfaces[interface.id]
            .types
            .values()
            .copied()
            .collect();
        let definitions = self.definitions(types.iter().copied(), scope)?;
        let provided = Provided {
            functions: self.interface_functions(interface.id),
            resources: self.resources(types.iter().copied()),
        };
        let type_names = self.type_names(&types);
        let mut taken = Taken::new(type_names.iter().map(String::as_str));
        let conversions = self.conversion_traits(types, &mut taken, scope)?;
        let host = self.host(&provided, format_ident!("Host"), &mut taken, scope)?;
        let (host_traits, define, name) = (&host.traits, &host.define, &interface.name);
        let adder = host.name.as_ref().map(|host| {
            let text = format!(" Defines the interface `{name}` in a linker.");
            quote! {
                #[doc = #text]
                ///
                /// # Errors
                /// If a name is taken.
                pub fn add_to_linker<__T: 'static, __U: #host + 'static>(
                    linker: &mut ::trampette_runtime::Linker<__T>,
                    get: impl Fn(&mut __T) -> &mut __U + Copy + Send + Sync + 'static,
                ) -> ::trampette_runtime::__private::Result<()> {
                    let mut instance = linker.instance(#name)?;
                    #define
                    ::trampette_runtime::__private::Result::Ok(())
                }
            }
        });
        if let Some(host) = host.name {
            let at_root = Scope {
                path: &[],
                interface: None,
                ..scope
            };
            let module = self.place(&interface.place, at_root);
            traits.push(quote!(#module::#host));
            add.extend(quote!(#module::add_to_linker(linker, get)?;));
        }
        root.insert(
            path,
            quote! {
                #definitions
                #conversions
                #host_traits
                #adder
            },
        );
        Ok(())
    }

    /// The struct of the world, and what it imports and exports directly.
    fn world(&self, mut traits: Vec<TokenStream>, mut add: TokenStream) -> Result<TokenStream> {
        let world = &self.resolve.worlds[self.world];
        let scope = |side| Scope {
            side,
            interface: None,
            path: &[],
        };
        let types = self.world_types();
        let definitions = self.definitions(types.iter().copied(), scope(Side::Import))?;
        let type_names = self.type_names(&types);
        let mut taken = Taken::new(type_names.iter().map(String::as_str));
        let conversions =
            self.conversion_traits(types.iter().copied(), &mut taken, scope(Side::Import))?;
        let name = taken.unique(camel(&world.name));
        let pre_name = taken.unique(format_ident!("{name}Pre"));

        let provided = Provided {
            functions: self.world_functions(Side::Import),
            resources: self.resources(types.iter().copied()),
        };
        let host_name = format_ident!("{name}Imports");
        let host = self.host(&provided, host_name, &mut taken, scope(Side::Import))?;
        let (host_traits, define) = (&host.traits, &host.define);
        if let Some(host) = &host.name {
            traits.push(quote!(#host));
            add.extend(quote! {
                let mut instance = linker.root();
                #define
            });
        }
        let adder = (!traits.is_empty()).then(|| {
            quote! {
                /// Defines everything that the world imports in a linker; `get` finds what
                /// implements it in the store's data.
                ///
                /// # Errors
                /// If a name is taken.
                pub fn add_to_linker<__T: 'static, __U: #(#traits)+* + 'static>(
                    linker: &mut ::trampette_runtime::Linker<__T>,
                    get: impl Fn(&mut __T) -> &mut __U + Copy + Send + Sync + 'static,
                ) -> ::trampette_runtime::__private::Result<()> {
                    #add
                    ::trampette_runtime::__private::Result::Ok(())
                }
            }
        });

        let functions = self.world_functions(Side::Export);
        // A resource in a world is imported: WIT has no way to say that the world exports one,
        // other than in an interface.
        if let Some(item) = functions
            .iter()
            .find(|item| item.function.kind.resource().is_some())
        {
            let text = format!("a world exports `{}`, which is not supported", item.name);
            return Err(Error::new(proc_macro2::Span::call_site(), text));
        }
        let calls = self.calls(&functions, None, scope(Side::Export))?;
        let mut methods = Taken::new(["new", "instantiate", "instance", "add_to_linker"]);
        let call_methods =
            self.call_methods(&functions, &calls, &mut methods, scope(Side::Export))?;
        let mut fields = calls.fields.clone();
        let mut values = calls.values.clone();
        let mut pre_fields = calls.pre_fields.clone();
        let mut pre_values = calls.pre_values.clone();
        let mut values_of = calls.values_of.clone();
        let mut names = calls.names.clone();
        let mut accessors = TokenStream::new();
        for (index, interface) in self.exports.iter().enumerate() {
            if self.interface_functions(interface.id).is_empty() {
                continue;
            }
            let module = self.place(&interface.place, scope(Side::Export));
            let (guest, guest_pre) = self.guest_names(interface);
            let field = format_ident!("i{index}");
            pre_fields.extend(quote!(#field: #module::#guest_pre,));
            pre_values.extend(quote!(#field: #module::#guest_pre::new(&pre)?,));
            values_of.extend(quote!(#field: self.#field.of(&store, instance)?,));
            names.push(field.clone());
            fields.extend(quote!(#field: #module::#guest,));
            values.extend(quote!(#field: #module::#guest::new(&mut store, instance)?,));
            let accessor = methods.unique(accessor_name(&interface.name));
            let text = format!(" The exported interface `{}`.", interface.name);
            accessors.extend(quote! {
                #[doc = #text]
                pub fn #accessor(&self) -> &#module::#guest {
                    &self.#field
                }
            });
        }
        let docs = docs(&world.docs, &format!("The world `{}`.", world.name));
        let pre_docs = format!(
            " A component of the world `{}` whose imports are matched and whose exports are checked: \
             what is left to do for each instance is instantiating it.",
            world.name
        );
        Ok(quote! {
            #definitions
            #conversions
            #host_traits

            #docs
            #[derive(Clone)]
            #[allow(clippy::type_complexity)]
            pub struct #name {
                instance: ::trampette_runtime::Instance,
                #fields
            }

            #[allow(dead_code, unused_mut, unused_variables, clippy::all)]
            impl #name {
                /// Looks up and checks what an instance exports.
                ///
                /// # Errors
                /// If something is missing or has another type.
                pub fn new(
                    mut store: impl ::trampette_runtime::AsContextMut,
                    instance: &::trampette_runtime::Instance,
                ) -> ::trampette_runtime::__private::Result<Self> {
                    ::trampette_runtime::__private::Result::Ok(Self {
                        #values
                        instance: instance.clone(),
                    })
                }

                /// Instantiates a component of this world.
                ///
                /// # Errors
                /// Those of `Linker::instantiate` and of `new`.
                pub fn instantiate<__T: 'static>(
                    mut store: impl ::trampette_runtime::AsContextMut<Data = __T>,
                    component: &::trampette_runtime::Component,
                    linker: &::trampette_runtime::Linker<__T>,
                ) -> ::trampette_runtime::__private::Result<Self> {
                    let instance = linker.instantiate(&mut store, component)?;
                    Self::new(store, &instance)
                }

                /// The instance.
                pub fn instance(&self) -> &::trampette_runtime::Instance {
                    &self.instance
                }

                #adder
                #call_methods
                #accessors
            }

            #[doc = #pre_docs]
            #[allow(clippy::type_complexity)]
            pub struct #pre_name<__T: 'static> {
                pre: ::trampette_runtime::InstancePre<__T>,
                #pre_fields
            }

            #[allow(dead_code, unused_variables, clippy::all)]
            impl<__T: 'static> #pre_name<__T> {
                /// Looks up and checks what a component exports.
                ///
                /// # Errors
                /// If something is missing or has another type.
                pub fn new(
                    pre: ::trampette_runtime::InstancePre<__T>,
                ) -> ::trampette_runtime::__private::Result<Self> {
                    ::trampette_runtime::__private::Result::Ok(Self {
                        #pre_values
                        pre,
                    })
                }

                /// Makes an instance.
                ///
                /// # Errors
                /// Those of `InstancePre::instantiate`.
                pub fn instantiate(
                    &self,
                    mut store: impl ::trampette_runtime::AsContextMut<Data = __T>,
                ) -> ::trampette_runtime::__private::Result<#name> {
                    let instance = self.pre.instantiate(&mut store)?;
                    self.of(&store, &instance)
                }

                /// The exports of an instance that `instance_pre` made.
                fn of(
                    &self,
                    store: impl ::trampette_runtime::AsContext,
                    instance: &::trampette_runtime::Instance,
                ) -> ::trampette_runtime::__private::Result<#name> {
                    ::trampette_runtime::__private::Result::Ok(#name {
                        #values_of
                        instance: instance.clone(),
                    })
                }

                /// The component with its imports.
                pub fn instance_pre(&self) -> &::trampette_runtime::InstancePre<__T> {
                    &self.pre
                }
            }

            impl<__T: 'static> ::core::clone::Clone for #pre_name<__T> {
                fn clone(&self) -> Self {
                    Self {
                        pre: self.pre.clone(),
                        #(#names: self.#names.clone(),)*
                    }
                }
            }
        })
    }

    /// The names of the structs of an exported interface: of an instance, and before there is one.
    fn guest_names(&self, interface: &Interface) -> (Ident, Ident) {
        let types: Vec<_> = self.resolve.interfaces[interface.id]
            .types
            .values()
            .copied()
            .collect();
        let type_names = self.type_names(&types);
        let mut taken = Taken::new(type_names.iter().map(String::as_str));
        let guest = taken.unique(format_ident!("Guest"));
        (guest, taken.unique(format_ident!("GuestPre")))
    }
}

/// `ns:pkg/iface@1.0.0` to `ns_pkg_iface`.
fn accessor_name(name: &str) -> Ident {
    let name = name.split('@').next().unwrap_or_default();
    snake(&name.replace([':', '/'], "-"))
}
