//! The implementations.
//!
//! Native structs and unions live in an unnamed constant; `Lift` and `Lower` reach them through
//! `<Self as ComponentType>::Native`. Their fields are `f0`, `f1`, … of records, and `tag` and
//! `payload` of variants, whose payloads are `c0`, `c1`, … by case.

use crate::input::{Case, Field, Input, Shape};
use proc_macro2::{Ident, Span, TokenStream};
use quote::{format_ident, quote};

/// The names that generated code uses. They start with underscores because the deriving type, and
/// those of its parts, may have any name that a WIT name can give.
fn prelude() -> TokenStream {
    quote! {
        use ::trampette_runtime::__private as p;
        use ::trampette_runtime::{
            ComponentType as __ComponentType, Lift as __Lift, LiftContext as __LiftContext,
            Lower as __Lower, LowerContext as __LowerContext,
            TypeContext as __TypeContext,
        };
    }
}

fn wrap(code: TokenStream) -> TokenStream {
    let prelude = prelude();
    quote! {
        #[allow(unsafe_code, unused_imports, missing_docs, clippy::all)]
        const _: () = {
            #prelude
            #code
        };
    }
}

fn record_field(index: usize) -> Ident {
    format_ident!("f{index}")
}

fn payload_field(index: usize) -> Ident {
    format_ident!("c{index}")
}

/// The integer that a discriminant is stored as.
fn tag_type(cases: usize) -> Ident {
    let name = match cases {
        0..=0x100 => "u8",
        0x101..=0x1_0000 => "u16",
        _ => "u32",
    };
    Ident::new(name, Span::call_site())
}

/// A case's number as a literal of no fixed type.
fn number(index: usize) -> proc_macro2::Literal {
    proc_macro2::Literal::usize_unsuffixed(index)
}

pub(crate) fn component_type(input: &Input) -> TokenStream {
    let name = &input.name;
    let bitwise = match &input.shape {
        Shape::Record(fields) => bitwise_record(fields),
        Shape::Variant(_) | Shape::Enum(_) => quote!(false),
    };
    let (native, definition, check, describe) = match &input.shape {
        Shape::Record(fields) => record_type(fields),
        Shape::Variant(cases) => variant_type(cases),
        Shape::Enum(cases) => enum_type(cases),
    };
    wrap(quote! {
        #definition

        // SAFETY: `repr(C)` structs and unions of native forms, or the integer, that the checked
        // kind of type has.
        unsafe impl __ComponentType for #name {
            type Native = #native;

            const BITWISE: bool = #bitwise;

            fn check(ty: p::Type, cx: &__TypeContext<'_>) -> p::Result<()> {
                #check
            }

            fn describe() -> p::String {
                #describe
            }
        }
    })
}

type TypeParts = (TokenStream, TokenStream, TokenStream, TokenStream);

/// Whether a record happens to be laid out in Rust's memory as it is natively, without padding.
fn bitwise_record(fields: &[Field]) -> TokenStream {
    if fields.is_empty() {
        return quote!(false);
    }
    let idents: Vec<_> = fields.iter().map(|field| &field.ident).collect();
    let names: Vec<_> = (0..fields.len()).map(record_field).collect();
    let types: Vec<_> = fields.iter().map(|field| &field.ty).collect();
    quote! {
        #(<#types as __ComponentType>::BITWISE &&)*
        #(p::offset_of!(Self, #idents) == p::offset_of!(__Native, #names) &&)*
        size_of::<Self>() == size_of::<__Native>()
            && align_of::<Self>() == align_of::<__Native>()
            && size_of::<Self>() == 0 #(+ size_of::<#types>())*
    }
}

fn record_type(fields: &[Field]) -> TypeParts {
    let names: Vec<_> = (0..fields.len()).map(record_field).collect();
    let types: Vec<_> = fields.iter().map(|field| &field.ty).collect();
    let labels: Vec<_> = fields.iter().map(|field| &field.label).collect();
    let definition = quote! {
        #[repr(C)]
        #[derive(Clone, Copy)]
        pub struct __Native {
            #(pub #names: <#types as __ComponentType>::Native,)*
        }
    };
    let check = quote! {
        p::check_record(ty, cx, Self::describe, &[
            #((#labels, <#types as __ComponentType>::check),)*
        ])
    };
    let describe = quote! {
        p::describe_record(&[#((#labels, <#types as __ComponentType>::describe),)*])
    };
    (quote!(__Native), definition, check, describe)
}

fn variant_type(cases: &[Case]) -> TypeParts {
    let tag = tag_type(cases.len());
    let payloads = cases.iter().enumerate().filter_map(|(i, case)| {
        let (field, ty) = (payload_field(i), case.ty.as_ref()?);
        Some(quote! {
            pub #field: p::MaybeUninit<<#ty as __ComponentType>::Native>
        })
    });
    let definition = quote! {
        #[repr(C)]
        #[derive(Clone, Copy)]
        pub union __Payload {
            pub none: (),
            #(#payloads,)*
        }

        #[repr(C)]
        #[derive(Clone, Copy)]
        pub struct __Native {
            pub tag: #tag,
            pub payload: __Payload,
        }
    };
    let labels: Vec<_> = cases.iter().map(|case| &case.label).collect();
    let types: Vec<_> = cases
        .iter()
        .map(|case| case.ty.as_ref().map_or(quote!(()), |ty| quote!(#ty)))
        .collect();
    let check = quote! {
        p::check_variant(ty, cx, Self::describe, &[
            #((#labels, <#types as __ComponentType>::check_optional),)*
        ])
    };
    let describe = quote! {
        p::describe_variant(&[#((#labels, <#types as __ComponentType>::describe),)*])
    };
    (quote!(__Native), definition, check, describe)
}

fn enum_type(cases: &[Case]) -> TypeParts {
    let tag = tag_type(cases.len());
    let labels: Vec<_> = cases.iter().map(|case| &case.label).collect();
    (
        quote!(#tag),
        TokenStream::new(),
        quote!(p::check_enum(ty, cx, Self::describe, &[#(#labels),*])),
        quote!(p::describe_enum(&[#(#labels),*])),
    )
}

pub(crate) fn lift(input: &Input) -> TokenStream {
    let name = &input.name;
    let body = match &input.shape {
        Shape::Record(fields) => {
            let fields = fields.iter().enumerate().map(|(i, field)| {
                let (native, ident, ty) = (record_field(i), &field.ident, &field.ty);
                quote!(#ident: <#ty as __Lift>::lift(&native.#native, cx))
            });
            quote!(#name { #(#fields,)* })
        }
        Shape::Variant(cases) => {
            let arms = cases.iter().enumerate().map(|(i, case)| {
                let (tag, field, ident) = (number(i), payload_field(i), &case.ident);
                match &case.ty {
                    Some(ty) => quote! {
                        #tag => #name::#ident(
                            <#ty as __Lift>::lift(native.payload.#field.assume_init_ref(), cx)
                        )
                    },
                    None => quote!(#tag => #name::#ident),
                }
            });
            quote! {
                match native.tag {
                    #(#arms,)*
                    _ => p::invalid_discriminant(),
                }
            }
        }
        Shape::Enum(cases) => {
            let arms = cases.iter().enumerate().map(|(i, case)| {
                let (tag, ident) = (number(i), &case.ident);
                quote!(#tag => #name::#ident)
            });
            quote! {
                match *native {
                    #(#arms,)*
                    _ => p::invalid_discriminant(),
                }
            }
        }
    };
    wrap(quote! {
        // SAFETY: only the value is read, of a payload only that of the tag's case.
        unsafe impl __Lift for #name {
            ::trampette_runtime::__own_view!();

            #[allow(unused_unsafe, unused_variables)]
            unsafe fn lift(
                native: &<Self as __ComponentType>::Native,
                cx: __LiftContext<'_>,
            ) -> #name {
                // SAFETY: the caller's promise.
                unsafe { #body }
            }
        }
    })
}

pub(crate) fn lower(input: &Input) -> TokenStream {
    let name = &input.name;
    let owned = lower_body(input, &format_ident!("lower"));
    let borrowed = lower_body(input, &format_ident!("lower_ref"));
    wrap(quote! {
        // SAFETY: every field is written, or the tag and the payload of its case.
        unsafe impl __Lower for #name {
            #[allow(unused_variables)]
            fn lower(
                self,
                cx: &mut __LowerContext<'_>,
                destination: &mut p::MaybeUninit<<Self as __ComponentType>::Native>,
            ) -> p::Result<()> {
                let value = self;
                #owned
            }

            #[allow(unused_variables)]
            fn lower_ref(
                &self,
                cx: &mut __LowerContext<'_>,
                destination: &mut p::MaybeUninit<<Self as __ComponentType>::Native>,
            ) -> p::Result<()> {
                let value = self;
                #borrowed
            }
        }
    })
}

/// Writes `value`, a `Self` or a `&Self`, with that method of its parts.
fn lower_body(input: &Input, method: &Ident) -> TokenStream {
    let name = &input.name;
    match &input.shape {
        Shape::Record(fields) => {
            let idents: Vec<_> = fields.iter().map(|field| &field.ident).collect();
            let bindings: Vec<_> = (0..fields.len()).map(|i| format_ident!("v{i}")).collect();
            let natives = (0..fields.len()).map(record_field);
            let types = fields.iter().map(|field| &field.ty);
            let places = fields
                .iter()
                .map(|field| format!("record field `{}`", field.label));
            quote! {
                let native = destination.as_mut_ptr();
                let #name { #(#idents: #bindings,)* } = value;
                #({
                    // SAFETY: in bounds, and a place may be uninitialised.
                    let place = unsafe { &mut *(&raw mut (*native).#natives).cast() };
                    p::Context::context(
                        <#types as __Lower>::#method(#bindings, cx, place),
                        #places,
                    )?;
                })*
                Ok(())
            }
        }
        Shape::Variant(cases) => {
            let arms = cases.iter().enumerate().map(|(i, case)| {
                let (tag, field, ident) = (number(i), payload_field(i), &case.ident);
                let set_tag = quote! {
                    // SAFETY: in bounds.
                    unsafe { (&raw mut (*native).tag).write(#tag) };
                };
                match &case.ty {
                    Some(ty) => {
                        let at = format!("variant case `{}`", case.label);
                        quote! {
                        #name::#ident(payload) => {
                            #set_tag
                            // SAFETY: in bounds, and a place may be uninitialised.
                            let place =
                                unsafe { &mut *(&raw mut (*native).payload.#field).cast() };
                            p::Context::context(
                                <#ty as __Lower>::#method(payload, cx, place),
                                #at,
                            )
                        }
                        }
                    }
                    None => quote! {
                        #name::#ident => {
                            #set_tag
                            Ok(())
                        }
                    },
                }
            });
            quote! {
                let native = destination.as_mut_ptr();
                match value { #(#arms)* }
            }
        }
        Shape::Enum(cases) => {
            let arms = cases.iter().enumerate().map(|(i, case)| {
                let (tag, ident) = (number(i), &case.ident);
                quote!(#name::#ident => #tag)
            });
            quote! {
                destination.write(match value { #(#arms,)* });
                Ok(())
            }
        }
    }
}
