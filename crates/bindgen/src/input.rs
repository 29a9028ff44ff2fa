//! The macro's arguments, and the WIT that they name.

use proc_macro2::{Span, TokenStream};
use std::path::{Path, PathBuf};
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::{Error, Ident, LitStr, Result, Token, Type, braced, bracketed};
use wit_parser::{PackageId, Resolve, WorldId};

/// What `bindgen!` was called with, read.
pub struct Input {
    /// All packages.
    pub resolve: Resolve,
    /// The world.
    pub world: WorldId,
    /// What exists already.
    pub with: Vec<With>,
    /// The files that were read.
    pub files: Vec<PathBuf>,
}

/// An entry of `with`.
pub struct With {
    /// `package:name/interface`, or `package:name/interface/resource`.
    pub name: String,
    /// The Rust type of the resource, or the path of the interface's module.
    pub rust: Type,
    /// Where it is written.
    pub span: Span,
}

#[derive(Default)]
struct Arguments {
    paths: Vec<LitStr>,
    inline: Option<LitStr>,
    world: Option<LitStr>,
    with: Vec<With>,
}

impl Parse for Arguments {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        if input.is_empty() {
            return Ok(Arguments::default());
        }
        let body;
        braced!(body in input);
        let mut arguments = Arguments::default();
        while !body.is_empty() {
            let name = body.call(Ident::parse_any)?;
            body.parse::<Token![:]>()?;
            match name.to_string().as_str() {
                "path" if arguments.paths.is_empty() => arguments.paths = paths(&body)?,
                "inline" if arguments.inline.is_none() => arguments.inline = Some(body.parse()?),
                "world" if arguments.world.is_none() => arguments.world = Some(body.parse()?),
                "with" if arguments.with.is_empty() => arguments.with = with(&body)?,
                "path" | "inline" | "world" | "with" => {
                    return Err(Error::new(name.span(), format!("`{name}` is given twice")));
                }
                _ => {
                    return Err(Error::new(
                        name.span(),
                        "expected `path`, `inline`, `world` or `with`",
                    ));
                }
            }
            if !body.is_empty() {
                body.parse::<Token![,]>()?;
            }
        }
        Ok(arguments)
    }
}

fn paths(input: ParseStream<'_>) -> Result<Vec<LitStr>> {
    if !input.peek(syn::token::Bracket) {
        return Ok(vec![input.parse()?]);
    }
    let list;
    bracketed!(list in input);
    let paths = Punctuated::<LitStr, Token![,]>::parse_terminated(&list)?;
    Ok(paths.into_iter().collect())
}

fn with(input: ParseStream<'_>) -> Result<Vec<With>> {
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
    pub fn parse(tokens: TokenStream) -> Result<Input> {
        let arguments: Arguments = syn::parse2(tokens)?;
        let mut resolve = Resolve::new();
        resolve.all_features = true;
        let mut files = Vec::new();
        let mut packages = Vec::new();
        let default = [LitStr::new("wit", Span::call_site())];
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
        if let Some(inline) = &arguments.inline {
            let read = resolve.push_str("inline WIT", &inline.value());
            let package = read.map_err(|error| wit_error(&resolve, &error, inline.span()))?;
            // The world is in the inline package unless another is named.
            packages = vec![package];
        }
        let world = select_world(&resolve, &packages, arguments.world.as_ref())?;
        Ok(Input {
            resolve,
            world,
            with: arguments.with,
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
