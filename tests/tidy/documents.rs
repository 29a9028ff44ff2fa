//! What Markdown files say of the tree: tables of rooms, names of files and of tests.

use super::source::{File, repository};
use std::collections::BTreeSet;
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
