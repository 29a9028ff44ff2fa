//! Listings of compiled functions: taken apart, with names in the place of numbers, and what they
//! show.
//!
//! An *item* is something that golden files must show: a kind of function in one convention, a kind
//! of trampoline, an intrinsic or a builtin. Its name is a symbol without what numbers it, as in
//! `export-entry-native-call`. Kinds are enumerated by the code itself ([`all_items`]).

use std::collections::BTreeSet;
use trampette::emit::symbol_kind;
use trampette_artifact::builtin::Builtin;
use trampette_artifact::key::{FuncKey, SymbolKey};

/// Every item there is, in the order of the keys.
pub fn all_items() -> Vec<String> {
    let mut items = Vec::new();
    for key in FuncKey::one_of_each() {
        let item = symbol_kind(&key.to_string());
        match key {
            FuncKey::ComponentTrampoline(..) => {
                let kinds = trampette::emit::trampoline_kinds().iter();
                items.extend(kinds.map(|kind| format!("{item}-{kind}")));
            }
            _ => items.push(item),
        }
    }
    items
}

/// The functions of a listing, of which each starts with a line `;; symbol`: symbol and text.
pub fn functions(listing: &str) -> Vec<(&str, &str)> {
    let listing = listing.trim_end();
    let starts = listing.match_indices("\n\n;; ").map(|(at, _)| at + 2);
    let starts: Vec<usize> = std::iter::once(0).chain(starts).collect();
    let ends = starts[1..].iter().copied().chain([listing.len()]);
    let texts = starts
        .iter()
        .zip(ends)
        .map(|(start, end)| &listing[*start..end]);
    let parts = texts.filter_map(|text| {
        let symbol = text.lines().next()?.strip_prefix(";; ")?;
        Some((symbol, text.trim_end()))
    });
    parts.collect()
}

/// What a listing shows: the functions that it has, and the builtins that these name.
pub fn shown(listing: &str) -> BTreeSet<String> {
    let mut shown = BTreeSet::new();
    for line in listing.lines() {
        if let Some(symbol) = line.strip_prefix(";; ") {
            shown.insert(symbol_kind(symbol));
        }
        let words = line.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-'));
        let builtins = words.filter(|word| word.starts_with("builtin-"));
        shown.extend(builtins.map(str::to_string));
    }
    shown
}

/// CLIF with the names of functions for their numbers, and beside each load of a builtin's address
/// the builtin's name.
///
/// CLIF does not say which data a symbol is. A builtin's address is the only thing that is loaded
/// at a constant distance from one and called by the next line.
pub fn with_names(clif: &str) -> String {
    let mut text = String::new();
    let mut addresses: BTreeSet<&str> = BTreeSet::new();
    let mut lines = clif.lines().peekable();
    while let Some(line) = lines.next() {
        let words = line.split_whitespace();
        // Offsets in the module come first.
        let words: Vec<&str> = words.skip_while(|word| word.starts_with('@')).collect();
        match words[..] {
            ["function", ..] => addresses.clear(),
            [variable, "=", "symbol_value.i64", _] => {
                addresses.insert(variable);
            }
            _ => {}
        }
        text += &line.split(' ').map(named).collect::<Vec<_>>().join(" ");
        if let [callee, "=", "load.i64", .., address] = words[..]
            && let (base, offset) = address.split_once('+').unwrap_or((address, "0"))
            && addresses.contains(base)
            && lines.peek().is_some_and(|next| calls(next, callee))
            && let Some(builtin) = offset.parse().ok().and_then(builtin_at)
        {
            text += &format!("  ; {}", FuncKey::Builtin(builtin));
        }
        text.push('\n');
    }
    text
}

/// Whether a line calls what the variable `callee` holds.
fn calls(line: &str, callee: &str) -> bool {
    line.contains("call_indirect") && line.contains(&format!(" {callee}("))
}

/// The builtin whose address is so many bytes from the first one's.
fn builtin_at(offset: usize) -> Option<Builtin> {
    Builtin::ALL.get(offset / 8).copied()
}

/// A word of CLIF: a function's number, maybe with its parameters, becomes a name.
fn named(word: &str) -> String {
    let (name, rest) = word.split_at(word.find('(').unwrap_or(word.len()));
    let key = name.strip_prefix('u').and_then(|numbers| {
        let (namespace, index) = numbers.split_once(':')?;
        SymbolKey::decode(namespace.parse().ok()?, index.parse().ok()?)
    });
    match key {
        Some(key) => format!("{key}{rest}"),
        None => word.to_string(),
    }
}
