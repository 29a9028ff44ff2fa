//! Types of WIT as Rust types, where they are used.
//!
//! | form | used for | a string is | a list of records is | a record is |
//! | --- | --- | --- | --- | --- |
//! | owned | results, what futures get, and parts of other types | `String` | `Vec<T>` | `T` |
//! | view | parameters of host functions | `&str` | `List<'_, T>` | `T` |
//! | argument | parameters of calls | `&str` | `&[T]` | `&T` |

use crate::bindings::{Bindings, Scope};
use proc_macro2::{Literal, Span, TokenStream};
use quote::quote;
use syn::{Error, Result};
use wit_parser::{Function, Handle, Type, TypeDefKind, TypeId};

/// How a type is used.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Owned,
    View,
    Argument,
}

/// What can be derived for a type.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Traits {
    /// `Clone` and `PartialEq`: not for handles of the host's resources.
    pub clone: bool,
    /// `Copy` too.
    pub copy: bool,
    /// `Eq`, where there is `PartialEq`: not for floating-point numbers.
    pub eq: bool,
    /// `Debug`: the standard library has it for tuples of up to twelve fields.
    pub debug: bool,
    /// What the bindings' user asks for: it is plain data, with no handle in it.
    pub data: bool,
}

impl Traits {
    pub(crate) const ALL: Traits = Traits {
        clone: true,
        copy: true,
        eq: true,
        debug: true,
        data: true,
    };

    fn and(self, other: Traits) -> Traits {
        Traits {
            clone: self.clone && other.clone,
            copy: self.copy && other.copy,
            eq: self.eq && other.eq,
            debug: self.debug && other.debug,
            data: self.data && other.data,
        }
    }
}

impl Bindings<'_> {
    /// A type in some form.
    pub(crate) fn ty(&self, ty: &Type, form: Form, scope: Scope<'_>) -> Result<TokenStream> {
        Ok(match ty {
            Type::Bool => quote!(bool),
            Type::U8 => quote!(u8),
            Type::U16 => quote!(u16),
            Type::U32 => quote!(u32),
            Type::U64 => quote!(u64),
            Type::S8 => quote!(i8),
            Type::S16 => quote!(i16),
            Type::S32 => quote!(i32),
            Type::S64 => quote!(i64),
            Type::F32 => quote!(f32),
            Type::F64 => quote!(f64),
            Type::Char => quote!(char),
            Type::String if form == Form::Owned => quote!(::std::string::String),
            Type::String => quote!(&str),
            Type::ErrorContext => quote!(::trampette_runtime::ErrorContext),
            Type::Id(id) => return self.defined(*id, form, scope),
        })
    }

    /// A type in some form; `()` for none.
    pub(crate) fn optional(
        &self,
        ty: Option<&Type>,
        form: Form,
        scope: Scope<'_>,
    ) -> Result<TokenStream> {
        ty.map_or(Ok(quote!(())), |ty| self.ty(ty, form, scope))
    }

    fn defined(&self, id: TypeId, form: Form, scope: Scope<'_>) -> Result<TokenStream> {
        let definition = &self.resolve.types[id];
        let resolved = &self.resolve.types[self.resolved(id)].kind;
        let nominal = matches!(
            resolved,
            TypeDefKind::Record(_)
                | TypeDefKind::Variant(_)
                | TypeDefKind::Enum(_)
                | TypeDefKind::Flags(_)
        );
        if nominal {
            let path = self.path(id, scope);
            let reference = form == Form::Argument && !self.traits(&Type::Id(id), scope).copy;
            return Ok(if reference { quote!(&#path) } else { path });
        }
        if definition.name.is_some()
            && form == Form::Owned
            && !matches!(resolved, TypeDefKind::Resource)
        {
            return Ok(self.path(id, scope));
        }
        self.structural(id, form, scope)
    }

    /// A type that has no name, or whose name is looked through.
    pub(crate) fn structural(
        &self,
        id: TypeId,
        form: Form,
        scope: Scope<'_>,
    ) -> Result<TokenStream> {
        Ok(match &self.resolve.types[id].kind {
            TypeDefKind::Type(ty) => self.ty(ty, form, scope)?,
            TypeDefKind::Handle(Handle::Own(resource)) => self.handle(*resource, scope),
            TypeDefKind::Handle(Handle::Borrow(resource)) => {
                let handle = self.handle(*resource, scope);
                let guest = self.is_guest_resource(self.resolved(*resource), scope);
                match form == Form::Argument && !guest {
                    true => quote!(&#handle),
                    false => handle,
                }
            }
            // A resource without `borrow` is owned.
            TypeDefKind::Resource => self.handle(id, scope),
            TypeDefKind::Tuple(tuple) => {
                let types = tuple.types.iter().map(|ty| self.ty(ty, form, scope));
                let types = types.collect::<Result<Vec<_>>>()?;
                quote!((#(#types,)*))
            }
            TypeDefKind::Option(ty) => {
                let ty = self.ty(ty, form, scope)?;
                quote!(::core::option::Option<#ty>)
            }
            TypeDefKind::Result(result) => {
                let ok = self.optional(result.ok.as_ref(), form, scope)?;
                let err = self.optional(result.err.as_ref(), form, scope)?;
                quote!(::core::result::Result<#ok, #err>)
            }
            TypeDefKind::List(element) => {
                let owned = self.ty(element, Form::Owned, scope)?;
                match form {
                    Form::Owned => quote!(::std::vec::Vec<#owned>),
                    Form::Argument => quote!(&[#owned]),
                    Form::View if self.is_scalar(element) => quote!(&[#owned]),
                    Form::View => quote!(::trampette_runtime::List<'_, #owned>),
                }
            }
            TypeDefKind::FixedLengthList(element, length) => {
                let ty = self.ty(element, form, scope)?;
                let length = Literal::u32_unsuffixed(*length);
                quote!([#ty; #length])
            }
            TypeDefKind::Map(key, value) => {
                let key = self.ty(key, Form::Owned, scope)?;
                let value = self.ty(value, Form::Owned, scope)?;
                match form {
                    Form::Owned => quote!(::std::collections::BTreeMap<#key, #value>),
                    Form::Argument => quote!(&::std::collections::BTreeMap<#key, #value>),
                    Form::View => quote!(::trampette_runtime::List<'_, (#key, #value)>),
                }
            }
            TypeDefKind::Stream(element) => {
                let element = self.optional(element.as_ref(), Form::Owned, scope)?;
                quote!(::trampette_runtime::StreamReader<#element>)
            }
            TypeDefKind::Future(value) => {
                let value = self.optional(value.as_ref(), Form::Owned, scope)?;
                quote!(::trampette_runtime::FutureReader<#value>)
            }
            kind @ TypeDefKind::Unknown => {
                let text = format!("the type `{}` is not supported", kind.as_str());
                return Err(Error::new(Span::call_site(), text));
            }
            TypeDefKind::Record(_)
            | TypeDefKind::Variant(_)
            | TypeDefKind::Enum(_)
            | TypeDefKind::Flags(_) => self.path(id, scope),
        })
    }

    /// A handle of a resource, or of an alias of one.
    fn handle(&self, id: TypeId, scope: Scope<'_>) -> TokenStream {
        let path = self.path(id, scope);
        match self.is_guest_resource(self.resolved(id), scope) {
            true => path,
            false => quote!(::trampette_runtime::Resource<#path>),
        }
    }

    /// Whether a list of these is a slice of the guest's memory.
    fn is_scalar(&self, ty: &Type) -> bool {
        match ty {
            Type::String | Type::ErrorContext => false,
            Type::Id(id) => match &self.resolve.types[*id].kind {
                TypeDefKind::Type(ty) => self.is_scalar(ty),
                _ => false,
            },
            _ => true,
        }
    }

    /// Whether there are streams or futures among a function's parameters or in its result: the
    /// host needs the store to make or read them.
    pub(crate) fn has_ends(&self, function: &Function) -> bool {
        let params = function.params.iter().map(|param| &param.ty);
        self.hold_end(params.chain(&function.result))
    }

    fn hold_end<'t>(&self, types: impl IntoIterator<Item = &'t Type>) -> bool {
        types.into_iter().any(|ty| self.holds_end(ty))
    }

    fn holds_end(&self, ty: &Type) -> bool {
        let Type::Id(id) = ty else { return false };
        match &self.resolve.types[*id].kind {
            TypeDefKind::Stream(_) | TypeDefKind::Future(_) => true,
            TypeDefKind::Type(ty)
            | TypeDefKind::Option(ty)
            | TypeDefKind::List(ty)
            | TypeDefKind::FixedLengthList(ty, _) => self.holds_end(ty),
            TypeDefKind::Map(key, value) => self.hold_end([key, value]),
            TypeDefKind::Record(record) => self.hold_end(record.fields.iter().map(|f| &f.ty)),
            TypeDefKind::Variant(variant) => {
                self.hold_end(variant.cases.iter().filter_map(|case| case.ty.as_ref()))
            }
            TypeDefKind::Tuple(tuple) => self.hold_end(&tuple.types),
            TypeDefKind::Result(result) => self.hold_end(result.ok.iter().chain(&result.err)),
            TypeDefKind::Enum(_)
            | TypeDefKind::Flags(_)
            | TypeDefKind::Handle(_)
            | TypeDefKind::Resource
            | TypeDefKind::Unknown => false,
        }
    }

    /// What can be derived for a type.
    pub(crate) fn traits(&self, ty: &Type, scope: Scope<'_>) -> Traits {
        let owned = Traits {
            copy: false,
            ..Traits::ALL
        };
        let id = match ty {
            Type::Id(id) => *id,
            Type::String => return owned,
            Type::ErrorContext => {
                return Traits {
                    data: false,
                    ..owned
                };
            }
            Type::F32 | Type::F64 => {
                return Traits {
                    eq: false,
                    ..Traits::ALL
                };
            }
            _ => return Traits::ALL,
        };
        let all = |types: &mut dyn Iterator<Item = &Type>| {
            types.fold(Traits::ALL, |traits, ty| traits.and(self.traits(ty, scope)))
        };
        match &self.resolve.types[id].kind {
            TypeDefKind::Type(ty) => self.traits(ty, scope),
            TypeDefKind::Record(record) => all(&mut record.fields.iter().map(|field| &field.ty)),
            TypeDefKind::Variant(variant) => {
                all(&mut variant.cases.iter().filter_map(|case| case.ty.as_ref()))
            }
            TypeDefKind::Enum(_) | TypeDefKind::Flags(_) => Traits::ALL,
            TypeDefKind::Tuple(tuple) => {
                let traits = all(&mut tuple.types.iter());
                match tuple.types.len() <= 12 {
                    true => traits,
                    // Whatever is derived for all holders must exist for the tuple.
                    false => Traits {
                        clone: false,
                        copy: false,
                        eq: false,
                        debug: false,
                        data: traits.data,
                    },
                }
            }
            TypeDefKind::Option(ty) => self.traits(ty, scope),
            TypeDefKind::FixedLengthList(ty, _) => self.traits(ty, scope),
            TypeDefKind::Result(result) => all(&mut result.ok.iter().chain(result.err.iter())),
            TypeDefKind::List(element) => self.traits(element, scope).and(owned),
            TypeDefKind::Map(key, value) => all(&mut [key, value].into_iter()).and(owned),
            TypeDefKind::Handle(Handle::Own(resource) | Handle::Borrow(resource)) => {
                self.handle_traits(*resource, scope)
            }
            TypeDefKind::Resource => self.handle_traits(id, scope),
            TypeDefKind::Future(_) | TypeDefKind::Stream(_) => Traits {
                clone: false,
                eq: false,
                data: false,
                ..owned
            },
            TypeDefKind::Unknown => owned,
        }
    }

    fn handle_traits(&self, id: TypeId, scope: Scope<'_>) -> Traits {
        let guest = self.is_guest_resource(self.resolved(id), scope);
        Traits {
            clone: guest,
            copy: guest,
            eq: guest,
            debug: true,
            data: false,
        }
    }
}
