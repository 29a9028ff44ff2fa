//! How messages name items: by direction, kind and path.
//!
//! Every room that makes errors for the embedder spells imports and exports through here, so that
//! one thing has one name in all of them. Names are the guest's, and shown with control characters
//! spelt.

use anyhow::anyhow;
use std::fmt::Display;
use trampette_artifact::text::escaped;

/// What an item of an interface is, as far as messages tell the difference.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum ItemKind {
    Instance,
    Function,
    Resource,
}

impl ItemKind {
    /// The kind before a name: ``function `run` ``.
    pub(crate) fn name(self) -> &'static str {
        match self {
            ItemKind::Instance => "instance",
            ItemKind::Function => "function",
            ItemKind::Resource => "resource",
        }
    }

    /// The kind in a sentence: "expected a function".
    pub(crate) fn with_article(self) -> &'static str {
        match self {
            ItemKind::Instance => "an instance",
            ItemKind::Function => "a function",
            ItemKind::Resource => "a resource",
        }
    }
}

/// A path for messages: `wasi:cli/stdout@0.2.6 / get-stdout`.
pub(crate) fn display_path(path: &[String]) -> String {
    escaped(&path.join(" / ")).to_string()
}

/// An item as messages name it: ``export `wasi:cli/run@0.2.6` function `run` ``. The direction is
/// `import`, `export` or `linker`.
pub(crate) fn display_item(direction: &str, kind: ItemKind, path: &[String]) -> String {
    let kind = kind.name();
    match path.split_last() {
        Some((name, [])) => format!("{direction} {kind} `{}`", escaped(name)),
        Some((name, instances)) => {
            let instances = display_path(instances);
            format!("{direction} `{instances}` {kind} `{}`", escaped(name))
        }
        None => format!("{direction} {kind}"),
    }
}

/// An imported function as messages name it.
pub(crate) fn display_import(path: &[String]) -> String {
    display_item("import", ItemKind::Function, path)
}

/// An exported function as messages name it.
pub(crate) fn display_export(path: &[String]) -> String {
    display_item("export", ItemKind::Function, path)
}

/// An error about an item, as one message: the item, where in its type, and what is wrong there.
pub(crate) fn about(item: impl Display, error: &anyhow::Error) -> anyhow::Error {
    anyhow!("{item}: {error:#}")
}
