//! Host traits and `add_to_linker`.
//!
//! An interface gives one trait for its functions and one for each of its resources, which the
//! first requires, so that a host type that implements it implements everything.

use crate::bindings::{Bindings, Item, Scope, Trappable};
use crate::definitions::docs;
use crate::names::{Taken, camel, snake};
use crate::types::Form;
use proc_macro2::{Ident, Span, TokenStream};
use quote::{format_ident, quote};
use syn::{Error, Result};
use wit_parser::{FunctionKind, TypeDefKind, TypeId};

/// What a host provides: an interface, or what the world imports directly.
pub(crate) struct Provided<'a> {
    /// The functions.
    pub functions: Vec<Item<'a>>,
    /// The resources, by their definitions.
    pub resources: Vec<TypeId>,
}

/// Code for what a host provides.
pub(crate) struct HostCode {
    /// The traits.
    pub traits: TokenStream,
    /// The name of the one that requires the others; `None` if there is nothing to provide.
    pub name: Option<Ident>,
    /// Statements that define everything in `instance`, calling what `get` gives.
    pub define: TokenStream,
}

/// The Rust name of a function, without its resource.
pub(crate) fn function_name(item: &Item<'_>) -> Ident {
    let name = item.function.item_name();
    match &item.function.kind {
        FunctionKind::Constructor(_) => snake("new"),
        FunctionKind::Getter | FunctionKind::MethodGetter(_) | FunctionKind::StaticGetter(_) => {
            snake(&format!("get-{name}"))
        }
        FunctionKind::Setter | FunctionKind::MethodSetter(_) | FunctionKind::StaticSetter(_) => {
            snake(&format!("set-{name}"))
        }
        _ => snake(name),
    }
}

/// The Rust names of a function's parameters, none of which is `taken`.
pub(crate) fn parameter_names<'n>(
    item: &Item<'_>,
    taken: impl IntoIterator<Item = &'n str>,
) -> Vec<Ident> {
    let mut taken = Taken::new(taken);
    let params = item.function.params.iter();
    params
        .map(|param| taken.unique(snake(&param.name)))
        .collect()
}

impl<'a> Bindings<'a> {
    /// Those of some types that are resources, not aliases of ones.
    pub(crate) fn resources(&self, types: impl IntoIterator<Item = TypeId>) -> Vec<TypeId> {
        let is_resource =
            |id: &TypeId| matches!(self.resolve.types[*id].kind, TypeDefKind::Resource);
        types.into_iter().filter(is_resource).collect()
    }

    /// The functions of a resource, or those of none.
    pub(crate) fn functions_of<'i>(
        &self,
        functions: &'i [Item<'a>],
        resource: Option<TypeId>,
    ) -> Vec<&'i Item<'a>> {
        let belongs = |item: &&Item<'_>| item.function.kind.resource() == resource;
        functions.iter().filter(belongs).collect()
    }

    /// The name of a type in WIT.
    pub(crate) fn type_name(&self, id: TypeId) -> &'a str {
        self.resolve.types[id].name.as_deref().unwrap_or("unnamed")
    }

    /// Traits and definitions; `name` is that of the main trait.
    pub(crate) fn host(
        &self,
        provided: &Provided<'a>,
        name: Ident,
        taken: &mut Taken,
        scope: Scope<'_>,
    ) -> Result<HostCode> {
        if provided.functions.is_empty() && provided.resources.is_empty() {
            return Ok(HostCode {
                traits: TokenStream::new(),
                name: None,
                define: TokenStream::new(),
            });
        }
        let main = taken.unique(name);
        let mut traits = TokenStream::new();
        let mut define = TokenStream::new();
        let mut required = Vec::new();
        for &resource in &provided.resources {
            let wit_name = self.type_name(resource);
            let ty = self.path(resource, scope);
            if self.is_absent(resource) {
                // No handle of one can exist, so that nothing is ever dropped.
                define.extend(quote! {
                    instance.resource::<#ty>(#wit_name, |_, _| {
                        ::trampette_runtime::__private::Result::Ok(())
                    })?;
                });
                continue;
            }
            let name = taken.unique(format_ident!("Host{}", camel(wit_name)));
            let functions = self.functions_of(&provided.functions, Some(resource));
            let mut methods = Taken::new(["drop"]);
            let methods = functions
                .iter()
                .map(|item| self.method(item, &name, &mut methods, scope))
                .collect::<Result<Vec<_>>>()?;
            let signatures = methods.iter().map(|method| &method.signature);
            let definitions = methods.iter().map(|method| &method.define);
            let docs = format!(" What the host does for the resource `{wit_name}`.");
            traits.extend(quote! {
                #[doc = #docs]
                pub trait #name {
                    #(#signatures)*

                    /// Called when the guest gives up the resource that it owns.
                    fn drop(
                        &mut self,
                        resource: ::trampette_runtime::Resource<#ty>,
                    ) -> ::trampette_runtime::__private::Result<()>;
                }
            });
            define.extend(quote! {
                instance.resource::<#ty>(#wit_name, move |mut caller, rep| {
                    let host = get(caller.data_mut());
                    #name::drop(host, ::trampette_runtime::Resource::new(rep))
                })?;
                #(#definitions)*
            });
            required.push(quote!(#name));
        }
        let functions = self.functions_of(&provided.functions, None);
        let mut methods = Taken::default();
        let methods = functions
            .iter()
            .map(|item| self.method(item, &main, &mut methods, scope))
            .collect::<Result<Vec<_>>>()?;
        let signatures = methods.iter().map(|method| &method.signature);
        let definitions = methods.iter().map(|method| &method.define);
        required.extend(self.conversions(provided, scope));
        let required = (!required.is_empty()).then(|| quote!(: #(#required)+*));
        traits.extend(quote! {
            /// What the host provides.
            pub trait #main #required {
                #(#signatures)*
            }
        });
        define.extend(quote!(#(#definitions)*));
        Ok(HostCode {
            traits,
            name: Some(main),
            define,
        })
    }

    fn method(
        &self,
        item: &Item<'_>,
        host: &Ident,
        taken: &mut Taken,
        scope: Scope<'_>,
    ) -> Result<Method> {
        if item.function.kind.is_async() {
            return self.async_method(item, host, taken, scope);
        }
        if self.waits(item.function) {
            return self.waiting_method(item, host, taken, scope);
        }
        let has_ends = self.has_ends(item.function);
        let taken_names = ["self", "cx"].into_iter().take(1 + usize::from(has_ends));
        let Parts {
            name,
            wit_name,
            docs,
            names,
            values,
            owned,
            result,
            returned,
        } = self.parts(item, taken, taken_names, scope)?;
        let views = self.params(item, Form::View, scope)?;
        // Whoever makes or reads streams and futures needs the store, and not only the host.
        let (receiver, begin, subject, lend) = match has_ends {
            true => (
                quote!(cx: &mut impl ::trampette_runtime::AccessMut<Self>),
                quote!(let cx = &mut ::trampette_runtime::__access_mut(caller, get);),
                quote!(<__U as #host>),
                quote!(let host = ::trampette_runtime::AccessMut::host(cx);),
            ),
            false => (
                quote!(&mut self),
                quote! {
                    let mut caller = caller;
                    let cx = get(caller.data_mut());
                },
                quote!(#host),
                quote!(let host = cx;),
            ),
        };
        let call = quote!(#subject::#name(cx, #(#values,)*));
        let call = match self.trappable(item.function) {
            Some(trappable) => {
                let convert = |method| quote!(#lend #method(host, error));
                self.converted(&trappable, &call, convert, scope)
            }
            None => call,
        };
        Ok(Method {
            signature: quote! {
                #docs
                fn #name(#receiver, #(#names: #views,)*) -> #returned;
            },
            define: quote! {
                instance.func_wrap::<(#(#owned,)*), #result, _>(
                    #wit_name,
                    move |caller, (#(#values,)*)| {
                        #begin
                        #call
                    },
                )?;
            },
        })
    }

    /// A function that is not `async`, but may have to wait: it has the host and views of its
    /// parameters, and says what it waits for.
    fn waiting_method(
        &self,
        item: &Item<'_>,
        host: &Ident,
        taken: &mut Taken,
        scope: Scope<'_>,
    ) -> Result<Method> {
        let Parts {
            name,
            wit_name,
            docs,
            names,
            values,
            owned,
            result,
            returned,
        } = self.parts(item, taken, ["self"], scope)?;
        let views = self.params(item, Form::View, scope)?;
        let convert = match self.trappable(item.function) {
            Some(trappable) => {
                let convert = |method| quote!(#method(host, error));
                let converted = self.converted(&trappable, &quote!(outcome), convert, scope);
                quote!(|host, outcome| #converted)
            }
            None => quote!(|_, outcome| outcome),
        };
        Ok(Method {
            signature: quote! {
                #docs
                fn #name(
                    &mut self,
                    #(#names: #views,)*
                ) -> ::trampette_runtime::Later<Self, #returned>;
            },
            define: quote! {
                instance.func_wrap_async::<(#(#owned,)*), #result, _, _>(
                    #wit_name,
                    move |mut caller, (#(#values,)*)| {
                        let later = <__U as #host>::#name(get(caller.data_mut()), #(#values,)*);
                        ::trampette_runtime::__later(caller, get, later, #convert)
                    },
                )?;
            },
        })
    }

    /// A function that goes on while the guest does: it has no host, but access to one, and owns
    /// its parameters, so that it can be an `async fn`.
    fn async_method(
        &self,
        item: &Item<'_>,
        host: &Ident,
        taken: &mut Taken,
        scope: Scope<'_>,
    ) -> Result<Method> {
        let Parts {
            name,
            wit_name,
            docs,
            names,
            values,
            owned,
            result,
            returned,
        } = self.parts(item, taken, ["self", "cx"], scope)?;
        let call = quote!(<__U as #host>::#name(cx, #(#values,)*));
        let call = match self.trappable(item.function) {
            Some(trappable) => {
                let convert = |method| {
                    quote! {
                        let convert = |host: &mut __U| #method(host, error);
                        ::trampette_runtime::Access::with(cx, convert)?
                    }
                };
                let converted = self.converted(&trappable, &quote!(call.await), convert, scope);
                quote! {
                    let call = #call;
                    async move { #converted }
                }
            }
            None => call,
        };
        Ok(Method {
            signature: quote! {
                #docs
                fn #name(
                    cx: impl ::trampette_runtime::Access<Self>,
                    #(#names: #owned,)*
                ) -> impl ::core::future::Future<Output = #returned>
                    + ::core::marker::Send
                    + 'static;
            },
            define: quote! {
                instance.func_wrap_async_owned::<(#(#owned,)*), #result, _, _>(
                    #wit_name,
                    move |cx, (#(#values,)*)| {
                        let cx = ::trampette_runtime::__access(cx, get);
                        #call
                    },
                )?;
            },
        })
    }

    /// What the methods of all functions are made of; `names` are those that the method's other
    /// parameters have.
    fn parts<'i>(
        &self,
        item: &Item<'i>,
        taken: &mut Taken,
        names: impl IntoIterator<Item = &'static str>,
        scope: Scope<'_>,
    ) -> Result<Parts<'i>> {
        let names = parameter_names(item, names);
        Ok(Parts {
            name: taken.unique(function_name(item)),
            wit_name: item.name,
            docs: docs(
                &item.function.docs,
                &format!("The function `{}`.", item.name),
            ),
            values: (0..names.len()).map(|i| format_ident!("v{i}")).collect(),
            names,
            owned: self.params(item, Form::Owned, scope)?,
            result: self.result(item, scope)?,
            returned: self.returned(item, scope)?,
        })
    }

    /// An outcome whose `error` is the host's own, as a result of WIT's; `convert` has the path of
    /// the method that makes an error of WIT of it.
    fn converted(
        &self,
        trappable: &Trappable<'_>,
        outcome: &TokenStream,
        convert: impl FnOnce(TokenStream) -> TokenStream,
        scope: Scope<'_>,
    ) -> TokenStream {
        let conversion = self.conversion(trappable.error, scope);
        let method = self.conversion_method(trappable.error);
        let error = convert(quote!(#conversion::#method));
        quote! {
            match #outcome {
                ::core::result::Result::Ok(value) => {
                    ::core::result::Result::Ok(::core::result::Result::Ok(value))
                }
                ::core::result::Result::Err(error) => {
                    #error.map(::core::result::Result::Err)
                }
            }
        }
    }

    /// What a method returns: the result inside of one whose error is a trap, or with the host's
    /// own error.
    fn returned(&self, item: &Item<'_>, scope: Scope<'_>) -> Result<TokenStream> {
        Ok(match self.trappable(item.function) {
            Some(trappable) => {
                let ok = self.optional(trappable.ok, Form::Owned, scope)?;
                let error = self.own_error(trappable.error, scope);
                quote!(::core::result::Result<#ok, #error>)
            }
            None => {
                let result = self.result(item, scope)?;
                quote!(::trampette_runtime::__private::Result<#result>)
            }
        })
    }

    /// The traits that turn the errors of functions into those of WIT, each once.
    fn conversions(&self, provided: &Provided<'_>, scope: Scope<'_>) -> Vec<TokenStream> {
        let mut errors = Vec::new();
        for item in &provided.functions {
            let resource = item.function.kind.resource();
            if resource.is_some_and(|resource| self.is_absent(resource)) {
                continue;
            }
            if let Some(Trappable { error, .. }) = self.trappable(item.function)
                && !errors.contains(&error)
            {
                errors.push(error);
            }
        }
        let path = |error: TypeId| self.conversion(error, scope);
        errors.into_iter().map(path).collect()
    }

    /// The path of the trait that turns the host's error into that of WIT.
    fn conversion(&self, error: TypeId, scope: Scope<'_>) -> TokenStream {
        self.beside(error, self.conversion_name(error), scope)
    }

    fn conversion_name(&self, error: TypeId) -> Ident {
        format_ident!("Convert{}", camel(self.type_name(error)))
    }

    fn conversion_method(&self, error: TypeId) -> Ident {
        snake(&format!("convert-{}", self.type_name(error)))
    }

    /// The host's error in place of one of WIT.
    fn own_error(&self, error: TypeId, scope: Scope<'_>) -> TokenStream {
        let root = scope.root();
        let alias = self.mapped(error);
        quote!(#root #alias)
    }

    /// The traits that turn the host's errors into those of WIT, for types of one module.
    pub(crate) fn conversion_traits(
        &self,
        types: impl IntoIterator<Item = TypeId>,
        taken: &mut Taken,
        scope: Scope<'_>,
    ) -> Result<TokenStream> {
        let errors = self.trappable_errors(types).into_iter();
        let traits = errors.map(|error| {
            let wit_name = self.type_name(error);
            let name = self.conversion_name(error);
            if taken.unique(name.clone()) != name {
                let text = format!("the type `{wit_name}` has a neighbour whose name is `{name}`");
                return Err(Error::new(Span::call_site(), text));
            }
            let method = self.conversion_method(error);
            let own = self.own_error(error, scope);
            let ty = self.path(error, scope);
            let docs = format!(" Turns the host's error into `{wit_name}`, or into a trap.");
            Ok(quote! {
                #[doc = #docs]
                pub trait #name {
                    #[doc = #docs]
                    ///
                    /// # Errors
                    /// A trap.
                    fn #method(
                        &mut self,
                        error: #own,
                    ) -> ::trampette_runtime::__private::Result<#ty>;
                }
            })
        });
        traits.collect()
    }

    /// The result of a function, owned; `()` if there is none.
    pub(crate) fn result(&self, item: &Item<'_>, scope: Scope<'_>) -> Result<TokenStream> {
        match &item.function.result {
            Some(ty) => self.ty(ty, Form::Owned, scope),
            None => Ok(quote!(())),
        }
    }
}

/// What methods are made of.
struct Parts<'i> {
    name: Ident,
    wit_name: &'i str,
    docs: TokenStream,
    /// The names of its parameters, and of what is passed for them.
    names: Vec<Ident>,
    values: Vec<Ident>,
    /// Their owned types.
    owned: Vec<TokenStream>,
    result: TokenStream,
    returned: TokenStream,
}

struct Method {
    signature: TokenStream,
    define: TokenStream,
}
