//! Functions of the compiler that call themselves, directly or through each other. What decides how
//! deep that goes must be bounded: inputs are hostile, and a stack that overflows ends the process.
//!
//! Calls are found by names: those on `self` and `Self` lead to functions of the same type in the
//! same room, those on nothing to functions of the same file; and where there is only one function
//! of a name, every call leads to it. Other calls, and references to functions, are not found.

use super::rooms;
use super::source::{self, File, Token};
use std::collections::{BTreeMap, BTreeSet};

/// A function with a body.
struct Function {
    name: String,
    /// Where it is, and on which type.
    file: String,
    on: Option<String>,
    body: Vec<Token>,
}

/// The circles of calls among the functions of these files: the first of their files, and their
/// names.
pub fn circles(files: &[File]) -> BTreeSet<String> {
    let mut functions = Vec::new();
    for file in files {
        let tokens = without_tests(&source::tokens(file));
        collect(&tokens, &file.path, None, &mut functions);
    }
    let mut named: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (index, function) in functions.iter().enumerate() {
        named.entry(&function.name).or_default().push(index);
    }
    let calls: Vec<BTreeSet<usize>> = functions
        .iter()
        .map(|function| called(function, &functions, &named))
        .collect();
    let reached: Vec<BTreeSet<usize>> = (0..functions.len())
        .map(|index| reached(index, &calls))
        .collect();
    let mut circles = BTreeSet::new();
    for (index, all) in reached.iter().enumerate() {
        if all.contains(&index) {
            let circle = all.iter().filter(|other| reached[**other].contains(&index));
            let circle: Vec<&Function> = circle.map(|other| &functions[*other]).collect();
            let names: BTreeSet<&str> = circle.iter().map(|other| &other.name[..]).collect();
            let names: Vec<&str> = names.into_iter().collect();
            circles.insert(format!("{}: {}", circle[0].file, names.join(" ")));
        }
    }
    circles
}

/// Tokens but those of items for tests.
fn without_tests(tokens: &[Token]) -> Vec<Token> {
    let (mut kept, mut index) = (Vec::new(), 0);
    while index < tokens.len() {
        if rooms::is_test_attribute(&tokens[index..]) {
            index = rooms::after_item(tokens, index);
        } else {
            kept.push(tokens[index].clone());
            index += 1;
        }
    }
    kept
}

/// Collects functions; those that are declared inside of others are parts of them.
fn collect(tokens: &[Token], file: &str, on: Option<&str>, functions: &mut Vec<Function>) {
    let mut index = 0;
    while index < tokens.len() {
        let is_impl = ["impl", "trait", "mod"]
            .iter()
            .find(|w| tokens[index].is_ident(w));
        let is_function = tokens[index].is_ident("fn");
        let Some(Token::Ident(name, _)) = tokens.get(index + 1) else {
            // `impl<…>`, or a type `fn(…)`.
            if is_impl.is_none() {
                index += 1;
                continue;
            }
            index = inside(tokens, index, file, functions);
            continue;
        };
        if is_impl.is_some() {
            index = inside(tokens, index, file, functions);
        } else if is_function {
            let Some((open, end)) = braces(tokens, index) else {
                index += 2;
                continue;
            };
            functions.push(Function {
                name: name.clone(),
                file: file.to_string(),
                on: on.map(str::to_string),
                body: tokens[open..end].to_vec(),
            });
            index = end;
        } else {
            index += 1;
        }
    }
}

/// Collects what is in the braces of an item, and gives the index after them.
fn inside(tokens: &[Token], start: usize, file: &str, functions: &mut Vec<Function>) -> usize {
    let Some((open, end)) = braces(tokens, start) else {
        return start + 1;
    };
    let on = match tokens[start].is_ident("mod") {
        true => None,
        false => subject(&tokens[start + 1..open]),
    };
    collect(&tokens[open + 1..end - 1], file, on, functions);
    end
}

/// The first braces after an index, before a semicolon: their start and the index after them.
fn braces(tokens: &[Token], start: usize) -> Option<(usize, usize)> {
    let mut index = start;
    while index < tokens.len() {
        match &tokens[index] {
            Token::Open('{') => return Some((index, source::after_group(tokens, index))),
            Token::Open(_) => index = source::after_group(tokens, index),
            token if token.is_punct(';') => return None,
            _ => index += 1,
        }
    }
    None
}

/// The type that an `impl` is for: the last name outside of angle brackets, before any `where`.
fn subject(head: &[Token]) -> Option<&str> {
    let (mut angles, mut found) = (0, None);
    for (index, token) in head.iter().enumerate() {
        let is_arrow = index > 0 && head[index - 1].is_punct('-');
        match token {
            token if token.is_ident("where") => break,
            Token::Punct('<') => angles += 1,
            Token::Punct('>') if !is_arrow => angles -= 1,
            Token::Ident(name, _) if angles == 0 => found = Some(name.as_str()),
            _ => {}
        }
    }
    found
}

/// The functions that a function calls.
fn called(
    function: &Function,
    functions: &[Function],
    named: &BTreeMap<&str, Vec<usize>>,
) -> BTreeSet<usize> {
    let mut calls = BTreeSet::new();
    let body = &function.body;
    for index in 1..body.len().saturating_sub(1) {
        let (Token::Ident(name, _), Token::Open('(')) = (&body[index], &body[index + 1]) else {
            continue;
        };
        let before = |count: usize| index.checked_sub(count).map(|at| &body[at]);
        let is_method = before(1).is_some_and(|token| token.is_punct('.'));
        let is_path = before(1).is_some_and(|token| token.is_punct(':'));
        let on_self = match (is_method, is_path) {
            (true, _) => {
                before(2).is_some_and(|token| token.is_ident("self"))
                    && before(3).is_none_or(|token| !token.is_punct('.'))
            }
            (_, true) => before(3).is_some_and(|token| token.is_ident("Self")),
            (false, false) => false,
        };
        let Some(candidates) = named.get(name.as_str()) else {
            continue;
        };
        if let ([only], false) = (&candidates[..], is_path && !on_self) {
            calls.insert(*only);
            continue;
        }
        calls.extend(candidates.iter().filter(|candidate| {
            let other = &functions[**candidate];
            match (on_self, is_method || is_path) {
                // A type's functions may be in several files of a room.
                (true, _) => {
                    function.on.is_some()
                        && other.on == function.on
                        && room(&other.file) == room(&function.file)
                }
                (false, false) => other.on.is_none() && other.file == function.file,
                (false, true) => false,
            }
        }));
    }
    calls
}

/// The folder of a file.
fn room(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// What can be reached by one call or more.
fn reached(from: usize, calls: &[BTreeSet<usize>]) -> BTreeSet<usize> {
    let (mut found, mut open) = (BTreeSet::new(), vec![from]);
    while let Some(next) = open.pop() {
        for call in &calls[next] {
            if found.insert(*call) {
                open.push(*call);
            }
        }
    }
    found
}
