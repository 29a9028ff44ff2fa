//! The floors of both houses, and the imports between their rooms.
//!
//! A room is a folder or a file directly below a crate's `src`. It may import what stands on a
//! floor below its own, and itself. Tests are free: they look at whatever they like.

use super::source::{self, Token, after_group, repository};
use std::collections::BTreeSet;

/// A crate whose rooms stand on floors.
pub struct House {
    /// Its sources.
    pub folder: &'static str,
    /// The rooms, from the ground up. Those of one floor do not import each other.
    pub floors: &'static [&'static [&'static str]],
}

/// The crates that are large enough for rooms.
pub const HOUSES: &[House] = &[
    House {
        folder: "src",
        floors: &[
            &["options"],
            &["program"],
            &["layout"],
            &["codegen"],
            &["intrinsics"],
            &["modules"],
            &["component"],
            &["trampolines"],
            &["passes"],
            &["inline"],
            &["compile"],
            &["link"],
            &["report"],
            &["artifact"],
            &["lib"],
            &["emit", "input", "verify"],
            &["wast"],
            &["cli"],
            &["bin"],
        ],
    },
    House {
        folder: "crates/runtime/src",
        floors: &[
            &["messages", "native"],
            &["memory"],
            &["load"],
            &["machine"],
            &["concurrent"],
            &["values"],
            &["host"],
            &["core"],
            &["lib"],
        ],
    },
];

/// An import of one room by another.
#[derive(PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Edge {
    /// The file that imports.
    pub path: String,
    /// The line of the path's first name.
    pub line: usize,
    /// The room of the file.
    pub from: String,
    /// The room that it imports.
    pub to: String,
}

impl House {
    fn floor(&self, room: &str) -> Option<usize> {
        self.floors.iter().position(|floor| floor.contains(&room))
    }

    /// Whether the room stands on a floor.
    pub fn has(&self, room: &str) -> bool {
        self.floor(room).is_some()
    }

    /// Whether one room may import another: itself, or one on a floor below.
    pub fn may_import(&self, from: &str, to: &str) -> bool {
        from == to || self.floor(from) > self.floor(to)
    }

    /// The rooms that are there; the crate's tests are none.
    pub fn rooms_on_disk(&self) -> BTreeSet<String> {
        let entries = std::fs::read_dir(repository().join(self.folder)).expect("a folder");
        let names = entries.map(|entry| {
            let name = entry.expect("an entry").file_name();
            let name = name.to_str().expect("a name in UTF-8").to_string();
            name.trim_end_matches(".rs").to_string()
        });
        names.filter(|name| name != "tests").collect()
    }
}

/// Every import between different rooms of a crate, and complaints about paths that are not
/// understood.
pub fn imports(house: &House) -> (BTreeSet<Edge>, Vec<String>) {
    let mut edges = BTreeSet::new();
    let mut unknown = Vec::new();
    let prefix = format!("{}/", house.folder);
    for file in source::rust_files() {
        let Some(path) = file.path.strip_prefix(&prefix) else {
            continue;
        };
        let mut names: Vec<&str> = path.trim_end_matches(".rs").split('/').collect();
        let is_test = |name: &&str| name.ends_with("tests") || *name == "testing";
        if names.iter().any(is_test) {
            continue;
        }
        let from = names[0].to_string();
        // The path of the file's module, below the crate's root.
        if ["mod", "lib", "main"].contains(names.last().unwrap_or(&"")) {
            names.pop();
        }
        let module: Vec<String> = names.iter().map(|name| name.to_string()).collect();
        for (line, mut target) in crate_paths(&source::tokens(&file), &module) {
            if from == "lib" {
                continue;
            }
            if target.is_empty() {
                unknown.push(format!(
                    "{}:{line}: an import of the whole crate",
                    file.path
                ));
                continue;
            }
            let room = target.swap_remove(0);
            // What is no room is an item of the crate's root.
            let to = if house.has(&room) {
                room
            } else {
                "lib".to_string()
            };
            if to != from {
                edges.insert(Edge {
                    path: file.path.clone(),
                    line,
                    from: from.clone(),
                    to,
                });
            }
        }
    }
    (edges, unknown)
}

/// The paths that begin with `crate` or `super`, as names from the crate's root, with their lines.
/// Code for tests only is passed over.
fn crate_paths(tokens: &[Token], module: &[String]) -> Vec<(usize, Vec<String>)> {
    let mut paths = Vec::new();
    let mut index = 0;
    // Inline modules that are open, and how deep in brackets each began.
    let (mut module, mut depths, mut depth) = (module.to_vec(), Vec::new(), 0);
    while index < tokens.len() {
        if is_test_attribute(&tokens[index..]) {
            index = after_item(tokens, index);
            continue;
        }
        match &tokens[index] {
            Token::Open(_) => depth += 1,
            Token::Close => {
                depth -= 1;
                if depths.last() == Some(&depth) {
                    depths.pop();
                    module.pop();
                }
            }
            Token::Ident(word, _) if word == "mod" => {
                if let [_, Token::Ident(name, _), Token::Open('{'), ..] = &tokens[index..] {
                    module.push(name.clone());
                    depths.push(depth);
                }
            }
            Token::Ident(word, line) if word == "crate" || word == "super" => {
                let (end, found) = path_from(tokens, index, &module);
                if imports_here(&tokens[..index]) {
                    paths.extend(found.into_iter().map(|path| (*line, path)));
                }
                index = end;
                continue;
            }
            _ => {}
        }
        index += 1;
    }
    paths
}

/// Whether `crate` or `super` behind these tokens begins an import: `pub(crate)` and `pub(in
/// crate::x)` are none, and `$crate` is where a macro is used.
fn imports_here(before: &[Token]) -> bool {
    match before {
        [.., Token::Ident(word, _), Token::Open('(')] if word == "pub" => false,
        [.., Token::Ident(word, _)] if word == "in" => false,
        [.., Token::Punct('$')] => false,
        _ => true,
    }
}

/// Reads a path at `crate` or `super`: the index behind it, and its names from the root. Of a path
/// that ends in braces directly behind `crate` or `super`, each name in them begins one.
fn path_from(tokens: &[Token], start: usize, module: &[String]) -> (usize, Vec<Vec<String>>) {
    let mut base = module.to_vec();
    let mut index = start;
    loop {
        match &tokens[index] {
            Token::Ident(word, _) if word == "crate" => base.clear(),
            Token::Ident(word, _) if word == "super" => {
                base.pop();
            }
            Token::Ident(word, _) => {
                base.push(word.clone());
                return (index + 1, vec![base]);
            }
            Token::Open('{') => {
                let end = after_group(tokens, index);
                return (end, names_in_braces(&tokens[index + 1..end - 1], &base));
            }
            // `super::*`: the module itself.
            _ => return (index, vec![base]),
        }
        match &tokens[index + 1..] {
            [Token::Punct(':'), Token::Punct(':'), ..] => index += 3,
            _ => return (index + 1, vec![base]),
        }
    }
}

/// The first names of `{a, b::c, self}` behind a path.
fn names_in_braces(tokens: &[Token], base: &[String]) -> Vec<Vec<String>> {
    let mut paths = Vec::new();
    let (mut depth, mut first) = (0, true);
    for token in tokens {
        match token {
            Token::Open(_) => depth += 1,
            Token::Close => depth -= 1,
            Token::Punct(',') if depth == 0 => first = true,
            Token::Ident(name, _) if depth == 0 && first => {
                first = false;
                let mut path = base.to_vec();
                if name != "self" {
                    path.push(name.clone());
                }
                paths.push(path);
            }
            _ => {}
        }
    }
    paths
}

/// Whether an attribute `#[cfg(test)]` or `#[test]` begins here.
pub fn is_test_attribute(tokens: &[Token]) -> bool {
    let [
        Token::Punct('#'),
        Token::Open('['),
        Token::Ident(name, _),
        ..,
    ] = tokens
    else {
        return false;
    };
    let end = after_group(tokens, 1);
    let tested = tokens[..end].iter().any(|token| token.is_ident("test"));
    let negated = tokens[..end].iter().any(|token| token.is_ident("not"));
    ["cfg", "test"].contains(&name.as_str()) && tested && !negated
}

/// The index behind the item that an attribute at `start` belongs to.
pub fn after_item(tokens: &[Token], start: usize) -> usize {
    let mut index = after_group(tokens, start + 1);
    while index < tokens.len() {
        match &tokens[index] {
            Token::Punct(';') => return index + 1,
            Token::Open('{') => {
                let end = after_group(tokens, index);
                // A `use` list is closed by its semicolon.
                return match tokens.get(end) {
                    Some(Token::Punct(';')) => end + 1,
                    _ => end,
                };
            }
            Token::Open(_) => index = after_group(tokens, index),
            _ => index += 1,
        }
    }
    index
}
