//! What tests with real programs share.

use std::path::{Path, PathBuf};

/// `../shared/corpus` of the repository, or of the checkout that a work tree belongs to.
pub fn corpus_folder() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    ["../shared/corpus", "../../shared/corpus"]
        .map(|path| root.join(path))
        .into_iter()
        .find(|path| path.join("cases.json").exists())
}
