//! What calls exported functions: structs that hold them, looked up and checked once.

use crate::bindings::{Bindings, Interface, Item, Scope};
use crate::definitions::docs;
use crate::imports::{function_name, parameter_names};
use crate::names::{Taken, snake};
use crate::types::Form;
use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote};
use syn::Result;
use wit_parser::FunctionKind;

/// Code for the exported functions of one struct.
pub(crate) struct Calls {
    /// Its fields.
    pub fields: TokenStream,
    /// Their values, given `store` and `instance`.
    pub values: TokenStream,
    /// The same before there is an instance: fields, and their values, given `pre`.
    pub pre_fields: TokenStream,
    pub pre_values: TokenStream,
    /// The values of the fields, given `store`, `instance` and `self` of those before.
    pub values_of: TokenStream,
    /// The fields' names, by function.
    pub names: Vec<Ident>,
}

/// The name of the method that calls a function.
fn call_name(item: &Item<'_>) -> Ident {
    match item.function.kind {
        FunctionKind::Constructor(_) => snake("call-constructor"),
        _ => format_ident!(
            "call_{}",
            function_name(item).to_string().trim_end_matches('_')
        ),
    }
}

impl<'a> Bindings<'a> {
    /// The fields for functions; `interface` is the one that exports them.
    pub(crate) fn calls(
        &self,
        functions: &[Item<'a>],
        interface: Option<&str>,
        scope: Scope<'_>,
    ) -> Result<Calls> {
        let mut fields = TokenStream::new();
        let mut values = TokenStream::new();
        let mut pre_fields = TokenStream::new();
        let mut pre_values = TokenStream::new();
        let mut values_of = TokenStream::new();
        let mut names = Vec::new();
        for (index, item) in functions.iter().enumerate() {
            let field = format_ident!("f{index}");
            let owned = self.params(item, Form::Owned, scope)?;
            let result = self.result(item, scope)?;
            let wit_name = item.name;
            let path = match interface {
                Some(interface) => quote!([#interface, #wit_name]),
                None => quote!([#wit_name]),
            };
            fields.extend(quote! {
                #field: ::trampette_runtime::TypedFunc<(#(#owned,)*), #result>,
            });
            values.extend(quote! {
                #field: instance.get_typed_func(&mut store, #path)?,
            });
            pre_fields.extend(quote! {
                #field: ::trampette_runtime::TypedExport<(#(#owned,)*), #result>,
            });
            pre_values.extend(quote! {
                #field: pre.typed_export(#path)?,
            });
            values_of.extend(quote! {
                #field: self.#field.of(&store, instance)?,
            });
            names.push(field);
        }
        Ok(Calls {
            fields,
            values,
            pre_fields,
            pre_values,
            values_of,
            names,
        })
    }

    /// The types of a function's parameters.
    pub(crate) fn params(
        &self,
        item: &Item<'_>,
        form: Form,
        scope: Scope<'_>,
    ) -> Result<Vec<TokenStream>> {
        let params = item.function.params.iter();
        params
            .map(|param| self.ty(&param.ty, form, scope))
            .collect()
    }

    /// The `call_…` methods of functions whose fields are in `holder`.
    fn call_all<'i>(
        &self,
        functions: impl Iterator<Item = (&'i Item<'a>, &'i Ident)>,
        holder: &TokenStream,
        taken: &mut Taken,
        scope: Scope<'_>,
    ) -> Result<TokenStream>
    where
        'a: 'i,
    {
        // What the WIT names comes first; what is made of such a name gives way.
        let name = |(item, field)| (item, field, taken.unique(call_name(item)));
        let named: Vec<_> = functions.map(name).collect();
        let mut calls = TokenStream::new();
        for (item, field, name) in named {
            let func = quote!(#holder.#field);
            calls.extend(self.call(item, &func, &name, scope)?);
            if item.function.kind.is_async() {
                calls.extend(self.async_calls(item, &func, &name, taken, scope)?);
            }
        }
        Ok(calls)
    }

    /// The methods that call a function from futures.
    fn async_calls(
        &self,
        item: &Item<'_>,
        func: &TokenStream,
        blocking: &Ident,
        taken: &mut Taken,
        scope: Scope<'_>,
    ) -> Result<TokenStream> {
        let plain = blocking.to_string();
        let plain = plain.trim_end_matches('_');
        let waits = taken.unique(format_ident!("{plain}_async"));
        let concurrent = taken.unique(format_ident!("{plain}_concurrent"));
        let names = parameter_names(item, ["self", "store", "cx"]);
        let types = self.params(item, Form::Owned, scope)?;
        let result = self.result(item, scope)?;
        let returned = quote! {
            impl ::core::future::Future<Output = ::trampette_runtime::__private::Result<#result>>
        };
        let waits_docs = format!(
            " Calls the function `{}` without keeping the thread waiting; see \
             `TypedFunc::call_async`.",
            item.name
        );
        let concurrent_docs = format!(
            " Calls the function `{}` while other calls go on; see `TypedFunc::call_concurrent`.",
            item.name
        );
        Ok(quote! {
            #[doc = #waits_docs]
            pub fn #waits<__S: ::trampette_runtime::AsContextMut>(
                &self,
                store: __S,
                #(#names: #types,)*
            ) -> #returned + use<__S> {
                #func.call_async(store, (#(#names,)*))
            }

            #[doc = #concurrent_docs]
            pub fn #concurrent<__T: 'static>(
                &self,
                cx: ::trampette_runtime::Accessor<__T>,
                #(#names: #types,)*
            ) -> #returned + use<__T> {
                #func.call_concurrent(cx, (#(#names,)*))
            }
        })
    }

    /// The method that calls a function and waits for it.
    fn call(
        &self,
        item: &Item<'_>,
        func: &TokenStream,
        name: &Ident,
        scope: Scope<'_>,
    ) -> Result<TokenStream> {
        let docs = docs(
            &item.function.docs,
            &format!("Calls the function `{}`.", item.name),
        );
        let names = parameter_names(item, ["self", "store"]);
        let types = self.params(item, Form::Argument, scope)?;
        let result = self.result(item, scope)?;
        Ok(quote! {
            #docs
            pub fn #name(
                &self,
                store: impl ::trampette_runtime::AsContextMut,
                #(#names: #types,)*
            ) -> ::trampette_runtime::__private::Result<#result> {
                // SAFETY: the same parameters, borrowed.
                let func = unsafe { #func.with_params() };
                func.call(store, (#(#names,)*))
            }
        })
    }

    /// The `call_…` methods of functions that belong to no resource.
    pub(crate) fn call_methods(
        &self,
        functions: &[Item<'a>],
        calls: &Calls,
        taken: &mut Taken,
        scope: Scope<'_>,
    ) -> Result<TokenStream> {
        let free = functions.iter().zip(&calls.names);
        let free = free.filter(|(item, _)| item.function.kind.resource().is_none());
        self.call_all(free, &quote!(self), taken, scope)
    }

    /// The contents of the module of an exported interface.
    pub(crate) fn exported(&self, interface: &Interface, scope: Scope<'_>) -> Result<TokenStream> {
        let types: Vec<_> = self.resolve.interfaces[interface.id]
            .types
            .values()
            .copied()
            .collect();
        let type_names = self.type_names(&types);
        let mut taken = Taken::new(type_names.iter().map(String::as_str));
        let definitions = self.definitions(types.iter().copied(), scope)?;
        let functions = self.interface_functions(interface.id);
        if functions.is_empty() {
            return Ok(definitions);
        }
        let guest = taken.unique(format_ident!("Guest"));
        let pre = taken.unique(format_ident!("GuestPre"));
        let calls = self.calls(&functions, Some(&interface.name), scope)?;
        let mut methods = Taken::new(["new"]);
        let call_methods = self.call_methods(&functions, &calls, &mut methods, scope)?;
        let mut accessors = TokenStream::new();
        let mut holders = TokenStream::new();
        for resource in self.resources(types.iter().copied()) {
            let wit_name = self.type_name(resource);
            let holder = format_ident!("Guest{}", crate::names::camel(wit_name));
            let holder = taken.unique(holder);
            let accessor = methods.unique(snake(wit_name));
            let text = format!(" The functions of the resource `{wit_name}`.");
            accessors.extend(quote! {
                #[doc = #text]
                pub fn #accessor(&self) -> #holder<'_> {
                    #holder { guest: self }
                }
            });
            let mut taken = Taken::default();
            let own = functions
                .iter()
                .zip(&calls.names)
                .filter(|(item, _)| item.function.kind.resource() == Some(resource));
            let calls = self.call_all(own, &quote!(self.guest), &mut taken, scope)?;
            holders.extend(quote! {
                #[doc = #text]
                #[derive(Clone, Copy)]
                pub struct #holder<'a> {
                    guest: &'a #guest,
                }

                impl #holder<'_> { #calls }
            });
        }
        let Calls {
            fields,
            values,
            pre_fields,
            pre_values,
            values_of,
            ..
        } = &calls;
        let text = format!(" The exported interface `{}`.", interface.name);
        let pre_text = format!("{text} before there is an instance.");
        Ok(quote! {
            #definitions

            #[doc = #text]
            #[derive(Clone)]
            pub struct #guest { #fields }

            impl #guest {
                /// Looks up and checks the functions.
                ///
                /// # Errors
                /// If one is missing or has another type.
                pub fn new(
                    mut store: impl ::trampette_runtime::AsContextMut,
                    instance: &::trampette_runtime::Instance,
                ) -> ::trampette_runtime::__private::Result<Self> {
                    ::trampette_runtime::__private::Result::Ok(Self { #values })
                }

                #call_methods
                #accessors
            }

            #[doc = #pre_text]
            #[derive(Clone)]
            pub struct #pre { #pre_fields }

            impl #pre {
                /// Looks up and checks the functions.
                ///
                /// # Errors
                /// If one is missing or has another type.
                pub fn new<__T: 'static>(
                    pre: &::trampette_runtime::InstancePre<__T>,
                ) -> ::trampette_runtime::__private::Result<Self> {
                    ::trampette_runtime::__private::Result::Ok(Self { #pre_values })
                }

                /// The functions of an instance.
                ///
                /// # Errors
                /// If it was made from another component, or is in another store.
                pub fn of(
                    &self,
                    store: impl ::trampette_runtime::AsContext,
                    instance: &::trampette_runtime::Instance,
                ) -> ::trampette_runtime::__private::Result<#guest> {
                    ::trampette_runtime::__private::Result::Ok(#guest { #values_of })
                }
            }

            #holders
        })
    }

    /// The Rust names of types.
    pub(crate) fn type_names(&self, types: &[wit_parser::TypeId]) -> Vec<String> {
        let name = |id: &wit_parser::TypeId| {
            let name = self.resolve.types[*id].name.as_deref()?;
            Some(crate::names::camel(name).to_string())
        };
        types.iter().filter_map(name).collect()
    }
}
