//! What the deriving type and its attributes say.

use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{Attribute, Data, DeriveInput, Error, Fields, Ident, LitStr, Result, Token, Type};

/// A type that derives.
pub(crate) struct Input {
    /// Its name.
    pub name: Ident,
    /// Its shape.
    pub shape: Shape,
}

/// The kind of component-level type, with its parts.
pub(crate) enum Shape {
    Record(Vec<Field>),
    Variant(Vec<Case>),
    Enum(Vec<Case>),
}

/// A field of a record.
pub(crate) struct Field {
    pub ident: Ident,
    pub label: String,
    pub ty: Type,
}

/// A case of a variant or enum.
pub(crate) struct Case {
    pub ident: Ident,
    pub label: String,
    pub ty: Option<Type>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Record,
    Variant,
    Enum,
}

impl Input {
    pub(crate) fn new(input: DeriveInput) -> Result<Input> {
        if let Some(parameter) = input.generics.params.first() {
            return Err(Error::new(
                parameter.span(),
                "types with generic parameters cannot be derived",
            ));
        }
        let kind = kind(&input.attrs)?;
        let shape = match (&input.data, kind) {
            (Data::Struct(data), Some(Kind::Record) | None) => {
                Shape::Record(fields(&data.fields, input.ident.span())?)
            }
            (Data::Enum(data), Some(Kind::Variant)) => Shape::Variant(cases(data)?),
            (Data::Enum(data), Some(Kind::Enum)) => {
                let cases = cases(data)?;
                if let Some(ty) = cases.iter().find_map(|case| case.ty.as_ref()) {
                    return Err(Error::new(ty.span(), "cases of an enum have no payload"));
                }
                Shape::Enum(cases)
            }
            (Data::Enum(_), _) => {
                return Err(Error::new(
                    input.ident.span(),
                    "say `#[component(variant)]` or `#[component(enum)]`",
                ));
            }
            (Data::Struct(_), _) => {
                return Err(Error::new(
                    input.ident.span(),
                    "a struct can only be a record: `#[component(record)]`",
                ));
            }
            (Data::Union(_), _) => {
                return Err(Error::new(
                    input.ident.span(),
                    "unions are no component types",
                ));
            }
        };
        Ok(Input {
            name: input.ident,
            shape,
        })
    }
}

fn kind(attributes: &[Attribute]) -> Result<Option<Kind>> {
    let mut kind = None;
    for attribute in attributes.iter().filter(|a| a.path().is_ident("component")) {
        let word = attribute.parse_args_with(Ident::parse_any)?;
        let this = match word.to_string().as_str() {
            "record" => Kind::Record,
            "variant" => Kind::Variant,
            "enum" => Kind::Enum,
            _ => {
                return Err(Error::new(
                    word.span(),
                    "expected `record`, `variant` or `enum`",
                ));
            }
        };
        if kind.replace(this).is_some() {
            return Err(Error::new(word.span(), "the kind is given twice"));
        }
    }
    Ok(kind)
}

/// The label that `#[component(name = "…")]` gives, or the Rust name in kebab-case.
fn label(attributes: &[Attribute], ident: &Ident) -> Result<String> {
    let Some(attribute) = attributes.iter().find(|a| a.path().is_ident("component")) else {
        return Ok(kebab_case(&ident.unraw().to_string()));
    };
    attribute.parse_args_with(|input: syn::parse::ParseStream| {
        let word = input.call(Ident::parse_any)?;
        if word != "name" {
            return Err(Error::new(word.span(), "expected `name = \"…\"`"));
        }
        input.parse::<Token![=]>()?;
        Ok(input.parse::<LitStr>()?.value())
    })
}

fn fields(fields: &Fields, span: proc_macro2::Span) -> Result<Vec<Field>> {
    let Fields::Named(named) = fields else {
        return Err(Error::new(span, "a record has named fields"));
    };
    if named.named.is_empty() {
        return Err(Error::new(span, "a record has at least one field"));
    }
    let field = |field: &syn::Field| {
        let ident = field.ident.clone().expect("named");
        Ok(Field {
            label: label(&field.attrs, &ident)?,
            ident,
            ty: field.ty.clone(),
        })
    };
    named.named.iter().map(field).collect()
}

fn cases(data: &syn::DataEnum) -> Result<Vec<Case>> {
    if data.variants.is_empty() {
        return Err(Error::new(
            data.enum_token.span,
            "there must be at least one case",
        ));
    }
    let case = |variant: &syn::Variant| {
        let ty = match &variant.fields {
            Fields::Unit => None,
            Fields::Unnamed(fields) if fields.unnamed.len() == 1 => {
                Some(fields.unnamed[0].ty.clone())
            }
            other => {
                return Err(Error::new(
                    other.span(),
                    "a case has no payload, or one unnamed field",
                ));
            }
        };
        Ok(Case {
            label: label(&variant.attrs, &variant.ident)?,
            ident: variant.ident.clone(),
            ty,
        })
    };
    data.variants.iter().map(case).collect()
}

/// `HopCount` and `hop_count` to `hop-count`; digits stay with the word before them.
fn kebab_case(name: &str) -> String {
    let chars: Vec<char> = name.chars().collect();
    let mut out = String::with_capacity(name.len() + 4);
    for (i, &c) in chars.iter().enumerate() {
        if c == '_' {
            if !out.is_empty() && !out.ends_with('-') {
                out.push('-');
            }
            continue;
        }
        if c.is_uppercase() && i > 0 && !out.ends_with('-') {
            let before = chars[i - 1];
            let after_is_lower = chars.get(i + 1).is_some_and(|c| c.is_lowercase());
            if !before.is_uppercase() || after_is_lower {
                out.push('-');
            }
        }
        out.extend(c.to_lowercase());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::kebab_case;

    #[test]
    fn names_become_labels() {
        for (name, label) in [
            ("hop_count", "hop-count"),
            ("HopCount", "hop-count"),
            ("Ipv4", "ipv4"),
            ("Ipv4Address", "ipv4-address"),
            ("HTTPError", "http-error"),
            ("dns_u8_", "dns-u8-"),
            ("A", "a"),
            ("_x", "x"),
            ("DNSTimeout", "dns-timeout"),
        ] {
            assert_eq!(kebab_case(name), label);
        }
    }
}
