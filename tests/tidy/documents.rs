//! What Markdown files say of the tree: tables of rooms, names of files and of tests.

use super::source::{File, repository};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// A file at the repository's root.
pub fn read(name: &str) -> String {
    std::fs::read_to_string(repository().join(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
}

/// The rooms that the map lists for a crate: first cells of the table below the heading that names
/// its folder.
pub fn rooms(map: &str, folder: &str) -> BTreeSet<String> {
    let heading = format!("`{folder}`");
    let mut rooms = BTreeSet::new();
    let mut inside = false;
    for line in map.lines() {
        if line.starts_with('#') {
            inside = line.starts_with("##") && line.ends_with(&heading);
        } else if inside && line.starts_with("| `") {
            let cell = line.split('|').nth(1).unwrap_or_default();
            let names = cell.split(',').map(|name| name.trim().trim_matches('`'));
            rooms.extend(names.map(|name| name.trim_end_matches(".rs").to_string()));
        }
    }
    rooms
}

/// Names in back quotes that look like paths of the repository and lead nowhere; names of tests,
/// written `tests/file.rs::name`, that are not there.
pub fn dangling_names(file: &File) -> Vec<String> {
    let tops = [
        "src/",
        "crates/",
        "tests/",
        "docs/",
        "examples/",
        "wit/",
        "bench/",
        "fuzz/",
    ];
    let mut wrong = Vec::new();
    for (index, line) in file.text.lines().enumerate() {
        for name in line.split('`').skip(1).step_by(2) {
            let plain = !name.contains(|c: char| c.is_whitespace() || "*{}<>…$".contains(c));
            if !plain || !tops.iter().any(|top| name.starts_with(top)) {
                continue;
            }
            let (path, test) = match name.split_once("::") {
                Some((path, test)) => (path, Some(test)),
                None => (name, None),
            };
            let here = Path::new(&file.path).parent().unwrap_or(Path::new(""));
            let found = [repository().to_path_buf(), repository().join(here)]
                .map(|folder| folder.join(path))
                .into_iter()
                .find(|path| path.exists());
            let missing = match (found, test) {
                (None, _) => true,
                (Some(_), None) => false,
                (Some(path), Some(test)) => {
                    let text = std::fs::read_to_string(path).unwrap_or_default();
                    !text.contains(&format!("fn {test}("))
                }
            };
            if missing {
                wrong.push(format!("{}:{}: there is no `{name}`", file.path, index + 1));
            }
        }
    }
    wrong
}

/// Items that a crate's root exports without an example in their docs; `folders` are where they are
/// defined. Names of functions, types, traits and modules; those in `exceptions` need none.
pub fn items_without_example(
    root: &str,
    folders: &[&str],
    files: &[File],
    exceptions: &[&str],
) -> Vec<String> {
    let text = read(root);
    let mut names: BTreeSet<&str> = BTreeSet::new();
    for statement in text.split(';') {
        let hidden = statement.contains("#[doc(hidden)]");
        if let Some((_, path)) = statement.split_once("\npub use ").filter(|_| !hidden) {
            let list = path.split_once('{').map_or_else(
                || path.rsplit("::").next().unwrap_or_default(),
                |(_, list)| list.trim_end_matches('}'),
            );
            names.extend(
                list.split(',')
                    .map(str::trim)
                    .filter(|name| !name.is_empty()),
            );
        }
    }
    let kinds = ["fn", "struct", "enum", "union", "trait", "mod"];
    // Each name that is defined, and whether a definition of it has an example: of two items with
    // one name, a crate's root exports one.
    let mut found: BTreeMap<&str, bool> = BTreeMap::new();
    for file in files.iter().filter(|file| {
        folders.iter().any(|folder| file.path.starts_with(folder)) && !file.path.contains("/tests")
    }) {
        let mut has_example = false;
        for line in file.text.lines() {
            let code = line.trim_start();
            if code.starts_with("///") {
                has_example |= code.contains("```");
                continue;
            }
            let mut words = code.split(|c: char| !c.is_alphanumeric() && c != '_');
            let declared = match words.next() {
                Some("pub") if code.starts_with("pub ") => {
                    words.find(|word| kinds.contains(word)).and(words.next())
                }
                _ => None,
            };
            // A module's docs are its file's.
            if let Some(name) = declared.filter(|_| !code.contains(" mod ")) {
                // Functions of a root's own file are there without being exported again.
                let of_root = file.path == root && line.starts_with("pub ");
                let is_there = of_root || names.contains(name) && !line.starts_with("    pub fn");
                if is_there {
                    *found.entry(name).or_default() |= has_example;
                }
            }
            if !code.starts_with("#[") {
                has_example = false;
            }
        }
    }
    let needs_one = |name: &str| !exceptions.contains(&name);
    let without = found.iter().filter(|(name, has)| needs_one(name) && !**has);
    let mut wrong: Vec<_> = without
        .map(|(name, _)| format!("{root}: no example of `{name}`"))
        .collect();
    // The test sees what it looks for.
    let unseen = names
        .iter()
        .filter(|name| needs_one(name) && !found.contains_key(*name));
    wrong.extend(unseen.map(|name| format!("{root}: where is `{name}` defined?")));
    wrong
}
