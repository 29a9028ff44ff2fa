//! WIT names as Rust names: `kebab-case` becomes `snake_case` or `UpperCamelCase`.

use proc_macro2::{Ident, Span};
use std::collections::HashSet;

/// Words that cannot be identifiers.
const KEYWORDS: &[&str] = &[
    "Self", "abstract", "as", "async", "await", "become", "box", "break", "const", "continue",
    "crate", "do", "dyn", "else", "enum", "extern", "false", "final", "fn", "for", "gen", "if",
    "impl", "in", "let", "loop", "macro", "match", "mod", "move", "mut", "override", "priv", "pub",
    "ref", "return", "self", "static", "struct", "super", "trait", "true", "try", "type", "typeof",
    "unsafe", "unsized", "use", "virtual", "where", "while", "yield",
];

fn identifier(mut name: String) -> Ident {
    if KEYWORDS.contains(&name.as_str()) {
        name.push('_');
    }
    Ident::new(&name, Span::call_site())
}

fn words(name: &str) -> impl Iterator<Item = String> {
    name.split(['-', '_', '.']).map(str::to_lowercase)
}

/// `snake_case`, with `_` appended to keywords.
pub(crate) fn snake(name: &str) -> Ident {
    identifier(words(name).collect::<Vec<_>>().join("_"))
}

/// `UpperCamelCase`, with `_` appended to `Self`.
pub(crate) fn camel(name: &str) -> Ident {
    let mut out = String::new();
    for word in words(name) {
        let mut chars = word.chars();
        // Where two digits meet, the words must stay apart.
        let digits = |c: Option<char>| c.is_some_and(|c| c.is_ascii_digit());
        let first = chars.next();
        if digits(out.chars().last()) && digits(first) {
            out.push('_');
        }
        out.extend(first.into_iter().flat_map(char::to_uppercase));
        out.extend(chars);
    }
    identifier(out)
}

/// `UPPER_CASE`.
pub(crate) fn upper(name: &str) -> Ident {
    identifier(words(name).collect::<Vec<_>>().join("_").to_uppercase())
}

/// Names of one Rust scope, each of which is given once: `_` is appended to those that are taken.
#[derive(Default)]
pub(crate) struct Taken(HashSet<String>);

impl Taken {
    /// A scope in which these are taken.
    pub(crate) fn new<'a>(names: impl IntoIterator<Item = &'a str>) -> Taken {
        Taken(names.into_iter().map(ToString::to_string).collect())
    }

    /// The name, or if it is taken the next one that is not.
    pub(crate) fn unique(&mut self, name: Ident) -> Ident {
        let mut name = name.to_string();
        while !self.0.insert(name.clone()) {
            name.push('_');
        }
        Ident::new(&name, Span::call_site())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_identifiers() {
        for (wit, snake_case, camel_case, upper_case) in [
            ("get-stdout", "get_stdout", "GetStdout", "GET_STDOUT"),
            ("type", "type_", "Type", "TYPE"),
            ("self", "self_", "Self_", "SELF"),
            ("HTTP-error", "http_error", "HttpError", "HTTP_ERROR"),
            ("f1-2", "f1_2", "F1_2", "F1_2"),
            ("a1b", "a1b", "A1b", "A1B"),
        ] {
            assert_eq!(snake(wit).to_string(), snake_case);
            assert_eq!(camel(wit).to_string(), camel_case);
            assert_eq!(upper(wit).to_string(), upper_case);
        }
    }

    #[test]
    fn names_are_given_once() {
        let mut taken = Taken::new(["new"]);
        let names = ["new", "get", "get", "new"].map(|name| taken.unique(snake(name)).to_string());
        assert_eq!(names, ["new_", "get", "get_", "new__"]);
    }
}
