//! The repository's files, and Rust as tokens: enough to find paths and parameters without a
//! parser.

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use std::path::{Path, PathBuf};

/// The repository's root.
pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A file of the repository.
pub struct File {
    /// Its path from the repository's root, with `/`.
    pub path: String,
    /// What it holds.
    pub text: String,
}

/// Every file that people write and that is text.
pub fn text_files() -> Vec<File> {
    let endings = ["rs", "md", "toml", "wat", "wast", "wit", "yml", "svg"];
    let mut files = Vec::new();
    visit(repository(), &mut |path| {
        let ending = path.extension().and_then(|ending| ending.to_str());
        let script = path.ends_with(".ci/run");
        if !script && !ending.is_some_and(|ending| endings.contains(&ending)) {
            return;
        }
        let text = std::fs::read_to_string(path).expect("a readable text");
        let path = path
            .strip_prefix(repository())
            .expect("a path below the root");
        let path = path.to_str().expect("a path in UTF-8").to_string();
        files.push(File { path, text });
    });
    files.sort_by(|a, b| a.path.cmp(&b.path));
    files
}

/// Every file of Rust.
pub fn rust_files() -> Vec<File> {
    let mut files = text_files();
    files.retain(|file| file.path.ends_with(".rs"));
    files
}

fn visit(folder: &Path, found: &mut impl FnMut(&Path)) {
    for entry in std::fs::read_dir(folder).expect("a readable folder") {
        let path: PathBuf = entry.expect("a readable entry").path();
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        if path.is_dir() {
            if !["target", ".git"].contains(&name) {
                visit(&path, found);
            }
        } else {
            found(&path);
        }
    }
}

/// One token; groups are their brackets and what is between them.
#[derive(Clone, Debug)]
pub enum Token {
    /// A name or keyword, and its line.
    Ident(String, usize),
    /// One character of punctuation.
    Punct(char),
    /// An opening bracket; `(`, `[`, `{`, or a space for an invisible one.
    Open(char),
    /// Its closing bracket.
    Close,
    /// A number, text or character.
    Literal,
}

impl Token {
    /// Whether it is that name.
    pub fn is_ident(&self, name: &str) -> bool {
        matches!(self, Token::Ident(found, _) if found == name)
    }

    /// Whether it is that punctuation.
    pub fn is_punct(&self, punct: char) -> bool {
        matches!(self, Token::Punct(found) if *found == punct)
    }
}

/// The tokens of a file, without comments.
pub fn tokens(file: &File) -> Vec<Token> {
    let stream: TokenStream = match file.text.parse() {
        Ok(stream) => stream,
        Err(error) => panic!("{}: {error}", file.path),
    };
    let mut tokens = Vec::new();
    flatten(stream, &mut tokens);
    tokens
}

fn flatten(stream: TokenStream, tokens: &mut Vec<Token>) {
    for tree in stream {
        match tree {
            TokenTree::Ident(ident) => {
                tokens.push(Token::Ident(ident.to_string(), ident.span().start().line));
            }
            TokenTree::Punct(punct) => tokens.push(Token::Punct(punct.as_char())),
            TokenTree::Literal(_) => tokens.push(Token::Literal),
            TokenTree::Group(group) => {
                let kind = match group.delimiter() {
                    Delimiter::Parenthesis => '(',
                    Delimiter::Bracket => '[',
                    Delimiter::Brace => '{',
                    Delimiter::None => ' ',
                };
                tokens.push(Token::Open(kind));
                flatten(group.stream(), tokens);
                tokens.push(Token::Close);
            }
        }
    }
}

/// The index after the group that opens at `start`.
pub fn after_group(tokens: &[Token], start: usize) -> usize {
    let mut depth = 0;
    for (index, token) in tokens.iter().enumerate().skip(start) {
        match token {
            Token::Open(_) => depth += 1,
            Token::Close => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return index + 1;
        }
    }
    tokens.len()
}

/// Calls `found` with the name, the line and the parameters of every function that is declared.
pub fn functions(tokens: &[Token], found: &mut impl FnMut(&str, usize, &[Token])) {
    for (index, pair) in tokens.windows(2).enumerate() {
        let [keyword, Token::Ident(name, line)] = pair else {
            continue;
        };
        if !keyword.is_ident("fn") {
            continue;
        }
        let rest = &tokens[index + 2..];
        if let Some(open) = rest
            .iter()
            .position(|token| matches!(token, Token::Open('(')))
        {
            let end = after_group(rest, open);
            found(name, *line, &rest[open + 1..end - 1]);
        }
    }
}
