//! Where the data lies that tests use and the repository does not hold: official suites
//! (`suites/…`) and real programs (`corpus`). What needs it says so when it is missing, and passes.

use std::path::{Path, PathBuf};

/// A folder of that data: below the folder that the environment variable `TRAMPETTE_SUITES` names,
/// otherwise below `shared` beside the repository, or beside the checkout that a work tree belongs
/// to. Without it, says on standard error what is skipped.
pub fn folder(name: &str) -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let candidates = match std::env::var_os("TRAMPETTE_SUITES") {
        Some(folder) => vec![PathBuf::from(folder)],
        None => vec![root.join("../shared"), root.join("../../shared")],
    };
    let found = candidates
        .iter()
        .map(|folder| folder.join(name))
        .find(|folder| folder.is_dir());
    if found.is_none() {
        eprintln!("notice: no folder `{name}` (see TRAMPETTE_SUITES); what needs it is skipped");
    }
    found
}
