//! Types of WIT as Rust types, where they are defined.

use crate::bindings::{Bindings, Scope};
use crate::names::{Taken, camel, snake, upper};
use crate::types::{Form, Traits};
use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote};
use syn::Result;
use wit_parser::{Docs, Enum, Flags, Record, Type, TypeDefKind, TypeId, Variant};

/// Documentation from the WIT, or a sentence if there is none.
pub(crate) fn docs(docs: &Docs, otherwise: &str) -> TokenStream {
    let text = docs.contents.as_deref().unwrap_or(otherwise);
    let mut in_code = false;
    let lines = text.trim_end().lines().map(|line| {
        let fence = line.trim_start().starts_with("```");
        in_code ^= fence;
        match line {
            "" => String::new(),
            // Code that says no language is not Rust, and must not be tested as such.
            line if fence && in_code && line.trim_start() == "```" => format!(" {line}text"),
            line => format!(" {line}"),
        }
    });
    quote!(#(#[doc = #lines])*)
}

/// What every enumeration and set of flags derives, besides what its contents allow.
const ORDERED: [&str; 3] = ["Hash", "PartialOrd", "Ord"];

impl Bindings<'_> {
    /// The attribute `derive` of a type; `more` is what its kind has besides.
    fn derives(&self, traits: Traits, more: &[&'static str]) -> TokenStream {
        let when = |holds: bool, names: &[&'static str]| match holds {
            true => names.to_vec(),
            false => Vec::new(),
        };
        let mut derived = when(traits.clone, &["Clone", "PartialEq"]);
        derived.extend(when(traits.clone && traits.copy, &["Copy"]));
        derived.extend(when(traits.clone && traits.eq, &["Eq"]));
        derived.extend(when(traits.debug, &["Debug"]));
        derived.extend(more);
        let additional = self.additional_derives(traits, &derived);
        let derived = derived.iter().map(|name| format_ident!("{name}"));
        quote! {
            #[derive(
                ::trampette_runtime::ComponentType,
                ::trampette_runtime::Lift,
                ::trampette_runtime::Lower,
                #(#derived,)* #(#additional,)*
            )]
        }
    }

    /// What the user asks for, without what is derived anyway.
    fn additional_derives(&self, traits: Traits, derived: &[&str]) -> Vec<&syn::Path> {
        let is_new = |path: &&syn::Path| {
            let last = path
                .segments
                .last()
                .map(|segment| segment.ident.to_string());
            !last.is_some_and(|last| derived.contains(&last.as_str()))
        };
        let asked = self.derives.iter().filter(|_| traits.data);
        asked.filter(is_new).collect()
    }
}

impl Bindings<'_> {
    /// The definitions of types; `scope` is that of the module that they are for.
    pub(crate) fn definitions(
        &self,
        types: impl IntoIterator<Item = TypeId>,
        scope: Scope<'_>,
    ) -> Result<TokenStream> {
        types
            .into_iter()
            .map(|id| self.definition(id, scope))
            .collect()
    }

    fn definition(&self, id: TypeId, scope: Scope<'_>) -> Result<TokenStream> {
        let definition = &self.resolve.types[id];
        let Some(wit_name) = definition.name.as_deref() else {
            return Ok(TokenStream::new());
        };
        let name = camel(wit_name);
        let kind = definition.kind.as_str();
        let docs = docs(&definition.docs, &format!("The {kind} `{wit_name}`."));
        let traits = self.traits(&Type::Id(id), scope);
        let body = match &definition.kind {
            TypeDefKind::Record(record) => self.record(&name, record, traits, scope)?,
            TypeDefKind::Variant(variant) => self.variant(&name, variant, traits, scope)?,
            TypeDefKind::Enum(cases) => self.enumeration(&name, cases),
            TypeDefKind::Flags(set) => self.flags(&name, set),
            TypeDefKind::Resource => self.resource(&name, wit_name, id, scope),
            TypeDefKind::Type(Type::Id(aliased)) => {
                let aliased = self.alias(*aliased, scope)?;
                quote!(pub type #name = #aliased;)
            }
            _ => {
                let ty = self.structural(id, Form::Owned, scope)?;
                quote!(pub type #name = #ty;)
            }
        };
        let error = self.is_error(id).then(|| self.error(&name, id, traits));
        Ok(quote! {
            #docs
            #body
            #error
        })
    }

    /// What an alias of a defined type is: its path if it has one; a resource's is not that of a
    /// handle.
    fn alias(&self, aliased: TypeId, scope: Scope<'_>) -> Result<TokenStream> {
        match self.resolve.types[aliased].name {
            Some(_) => Ok(self.path(aliased, scope)),
            None => self.ty(&Type::Id(aliased), Form::Owned, scope),
        }
    }

    fn record(
        &self,
        name: &Ident,
        record: &Record,
        traits: Traits,
        scope: Scope<'_>,
    ) -> Result<TokenStream> {
        let derives = self.derives(traits, &[]);
        let mut taken = Taken::default();
        let fields = record.fields.iter().map(|field| {
            let (label, ident) = (&field.name, taken.unique(snake(&field.name)));
            let ty = self.ty(&field.ty, Form::Owned, scope)?;
            let docs = docs(&field.docs, &format!("The field `{label}`."));
            Ok(quote! {
                #docs
                #[component(name = #label)]
                pub #ident: #ty
            })
        });
        let fields = fields.collect::<Result<Vec<_>>>()?;
        Ok(quote! {
            #derives
            #[component(record)]
            pub struct #name { #(#fields,)* }
        })
    }

    fn variant(
        &self,
        name: &Ident,
        variant: &Variant,
        traits: Traits,
        scope: Scope<'_>,
    ) -> Result<TokenStream> {
        let derives = self.derives(traits, &[]);
        let mut taken = Taken::default();
        let cases = variant.cases.iter().map(|case| {
            let (label, ident) = (&case.name, taken.unique(camel(&case.name)));
            let payload = case.ty.as_ref().map(|ty| self.ty(ty, Form::Owned, scope));
            let payload = payload.transpose()?.map(|ty| quote!((#ty)));
            let docs = docs(&case.docs, &format!("The case `{label}`."));
            Ok(quote! {
                #docs
                #[component(name = #label)]
                #ident #payload
            })
        });
        let cases = cases.collect::<Result<Vec<_>>>()?;
        Ok(quote! {
            #derives
            #[component(variant)]
            pub enum #name { #(#cases,)* }
        })
    }

    fn resource(&self, name: &Ident, wit_name: &str, id: TypeId, scope: Scope<'_>) -> TokenStream {
        if self.is_guest_resource(id, scope) {
            return quote! {
                ::trampette_runtime::guest_resource! {
                    pub struct #name = #wit_name;
                }
            };
        }
        match self.mapped(id) {
            Some(alias) => {
                let root = scope.root();
                quote!(pub type #name = #root #alias;)
            }
            None => quote!(pub enum #name {}),
        }
    }

    /// Makes a type that functions fail with a Rust error.
    fn error(&self, name: &Ident, id: TypeId, traits: Traits) -> TokenStream {
        let kind = &self.resolve.types[id].kind;
        let nominal = matches!(
            kind,
            TypeDefKind::Record(_) | TypeDefKind::Variant(_) | TypeDefKind::Enum(_)
        );
        if !nominal || !traits.debug {
            return TokenStream::new();
        }
        quote! {
            impl ::core::fmt::Display for #name {
                fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                    ::core::fmt::Debug::fmt(self, f)
                }
            }

            impl ::core::error::Error for #name {}
        }
    }
}

impl Bindings<'_> {
    fn enumeration(&self, name: &Ident, cases: &Enum) -> TokenStream {
        let derives = self.derives(Traits::ALL, &ORDERED);
        let mut taken = Taken::default();
        let cases = cases.cases.iter().map(|case| {
            let (label, ident) = (&case.name, taken.unique(camel(&case.name)));
            let docs = docs(&case.docs, &format!("The case `{label}`."));
            quote! {
                #docs
                #[component(name = #label)]
                #ident
            }
        });
        quote! {
            #derives
            #[component(enum)]
            pub enum #name { #(#cases,)* }
        }
    }

    fn flags(&self, name: &Ident, set: &Flags) -> TokenStream {
        let mut taken = Taken::default();
        let flags = set.flags.iter().map(|flag| {
            let (label, ident) = (&flag.name, taken.unique(upper(&flag.name)));
            let docs = docs(&flag.docs, &format!("The flag `{label}`."));
            quote! {
                #docs
                const #ident = #label;
            }
        });
        let derived = ["Clone", "PartialEq", "Copy", "Eq", "Debug", "Default"];
        let derived: Vec<_> = derived.into_iter().chain(ORDERED).collect();
        let additional = self.additional_derives(Traits::ALL, &derived);
        let derive = (!additional.is_empty()).then(|| quote!(#[derive(#(#additional,)*)]));
        quote! {
            ::trampette_runtime::flags! {
                #derive
                pub struct #name { #(#flags)* }
            }
        }
    }
}
