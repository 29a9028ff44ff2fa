//! The macro's arguments, and the WIT that they name.

use proc_macro2::{Span, TokenStream};
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::{Error, Ident, LitStr, Result, Token, Type, braced, bracketed};
use wit_parser::{PackageId, Resolve, WorldId};

/// What `bindgen!` was called with, read.
pub(crate) struct Input {
    /// All packages.
    pub resolve: Resolve,
    /// The world.
    pub world: WorldId,
    /// What exists already.
    pub with: Vec<With>,
    /// The host's own errors.
    pub trappable: Vec<With>,
    /// The functions that may have to wait, and where they are named.
    pub waits: Vec<LitStr>,
    /// What types of plain data derive besides.
    pub derives: Vec<syn::Path>,
    /// The files that were read.
    pub files: Vec<PathBuf>,
}

/// An entry of `with` or `trappable`.
pub(crate) struct With {
    /// `package:name/interface`, or `package:name/interface/type`.
    pub name: String,
    /// The Rust type of the resource or error, `!`, or the path of the interface's module.
    pub rust: Type,
    /// Where it is written.
    pub span: Span,
}

#[derive(Default)]
struct Arguments {
    paths: Vec<LitStr>,
    inline: Option<LitStr>,
    interfaces: Option<LitStr>,
    world: Option<LitStr>,
    features: Option<Vec<LitStr>>,
    with: Vec<With>,
    trappable: Vec<With>,
    waits: Vec<LitStr>,
    derives: Vec<syn::Path>,
}

impl Parse for Arguments {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        if input.is_empty() {
            return Ok(Arguments::default());
        }
        let body;
        braced!(body in input);
        let mut arguments = Arguments::default();
        let mut given = HashSet::new();
        while !body.is_empty() {
            let name = body.call(Ident::parse_any)?;
            body.parse::<Token![:]>()?;
            match name.to_string().as_str() {
                "path" => arguments.paths = paths(&body)?,
                "inline" => arguments.inline = Some(body.parse()?),
                "interfaces" => arguments.interfaces = Some(body.parse()?),
                "world" => arguments.world = Some(body.parse()?),
                "features" => arguments.features = Some(list(&body)?),
                "with" => arguments.with = map(&body)?,
                "trappable" => arguments.trappable = map(&body)?,
                "waits" => arguments.waits = list(&body)?,
                "additional_derives" => arguments.derives = list(&body)?,
                _ => {
                    return Err(Error::new(
                        name.span(),
                        "expected `path`, `inline`, `interfaces`, `world`, `features`, `with`, \
                         `trappable`, `waits` or `additional_derives`",
                    ));
                }
            }
            if !given.insert(name.to_string()) {
                return Err(Error::new(name.span(), format!("`{name}` is given twice")));
            }
            if !body.is_empty() {
                body.parse::<Token![,]>()?;
            }
        }
        if let (Some(_), Some(second)) = (&arguments.interfaces, arguments.conflict()) {
            let text = "`interfaces` is a world of its own; `inline` and `world` name another";
            return Err(Error::new(second.span(), text));
        }
        Ok(arguments)
    }
}

impl Arguments {
    /// What cannot be given with `interfaces`.
    fn conflict(&self) -> Option<&LitStr> {
        self.inline.as_ref().or(self.world.as_ref())
    }

    /// The WIT that is written in the arguments, and where.
    fn inline_text(&self) -> Option<(String, Span)> {
        if let Some(items) = &self.interfaces {
            let text = format!(
                "package trampette:bindgen; world interfaces {{ {} }}",
                items.value()
            );
            return Some((text, items.span()));
        }
        self.inline
            .as_ref()
            .map(|inline| (inline.value(), inline.span()))
    }
}

fn paths(input: ParseStream<'_>) -> Result<Vec<LitStr>> {
    if !input.peek(syn::token::Bracket) {
        return Ok(vec![input.parse()?]);
    }
    list(input)
}

fn list<P: Parse>(input: ParseStream<'_>) -> Result<Vec<P>> {
    let list;
    bracketed!(list in input);
    let items = Punctuated::<P, Token![,]>::parse_terminated(&list)?;
    Ok(items.into_iter().collect())
}

fn map(input: ParseStream<'_>) -> Result<Vec<With>> {
    let map;
    braced!(map in input);
    let entry = |input: ParseStream<'_>| {
        let name: LitStr = input.parse()?;
        input.parse::<Token![:]>()?;
        Ok(With {
            name: name.value(),
            rust: input.parse()?,
            span: name.span(),
        })
    };
    let entries = map.parse_terminated(entry, Token![,])?;
    Ok(entries.into_iter().collect())
}

impl Input {
    /// Parses the arguments and reads the WIT.
    pub(crate) fn parse(tokens: TokenStream) -> Result<Input> {
        let arguments: Arguments = syn::parse2(tokens)?;
        let mut resolve = Resolve::new();
        match &arguments.features {
            None => resolve.all_features = true,
            Some(features) => resolve.features.extend(features.iter().map(LitStr::value)),
        }
        let mut files = Vec::new();
        let mut packages = Vec::new();
        let default = [LitStr::new("wit", Span::call_site())];
        let inline = arguments.inline_text();
        let paths = match (&arguments.paths[..], &arguments.inline) {
            ([], None) => &default[..],
            (paths, _) => paths,
        };
        let folder = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default();
        for path in paths {
            let full = Path::new(&folder).join(path.value());
            let read = resolve.push_path(&full);
            let (package, sources) =
                read.map_err(|error| wit_error(&resolve, &error, path.span()))?;
            packages.push(package);
            files.extend(sources.paths().map(Path::to_path_buf));
        }
        if let Some((text, span)) = inline {
            let read = resolve.push_str("inline WIT", &text);
            let package = read.map_err(|error| wit_error(&resolve, &error, span))?;
            // The world is in the inline package unless another is named.
            packages = vec![package];
        }
        let world = select_world(&resolve, &packages, arguments.world.as_ref())?;
        Ok(Input {
            resolve,
            world,
            with: arguments.with,
            trappable: arguments.trappable,
            waits: arguments.waits,
            derives: arguments.derives,
            files,
        })
    }
}

fn select_world(
    resolve: &Resolve,
    packages: &[PackageId],
    name: Option<&LitStr>,
) -> Result<WorldId> {
    let value = name.map(LitStr::value);
    resolve
        .select_world(packages, value.as_deref())
        .map_err(|error| {
            let span = name.map_or_else(Span::call_site, LitStr::span);
            Error::new(span, format!("{error:#}"))
        })
}

fn wit_error(resolve: &Resolve, error: &anyhow::Error, span: Span) -> Error {
    Error::new(span, resolve.render_error(error))
}
