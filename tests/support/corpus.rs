//! The corpus of real programs: its folder, its cases, and which of them wait for what is not
//! built.

use super::suites;
use anyhow::{Context, Result};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// Cases of a family that something is missing for.
#[allow(
    dead_code,
    reason = "one harness reports the subject, another compares the refusal"
)]
pub struct NotSupported {
    /// `family` in `cases.json`.
    pub family: &'static str,
    /// Kinds of cases in it that run all the same.
    runs: &'static [&'static str],
    /// What is missing.
    pub subject: &'static str,
    /// How the compiler refuses its components; `None` if it compiles them.
    pub refusal: Option<&'static str>,
}

/// All that is not supported yet, and nothing else.
const NOT_SUPPORTED: &[NotSupported] = &[
    NotSupported {
        family: "async",
        runs: &["library", "command", "http"],
        subject: "nothing",
        refusal: None,
    },
    NotSupported {
        family: "http",
        runs: &["http"],
        subject: "nothing",
        refusal: None,
    },
    NotSupported {
        family: "gc",
        runs: &[],
        subject: "garbage collection",
        refusal: Some("garbage collection types are not supported"),
    },
];

/// The folder of the corpus, if it is there.
pub fn folder() -> Option<PathBuf> {
    suites::folder("corpus").filter(|folder| folder.join("cases.json").exists())
}

/// The cases of `cases.json`.
pub fn cases(corpus: &Path) -> Result<Vec<Value>> {
    let bytes = std::fs::read(corpus.join("cases.json"))?;
    serde_json::from_slice(&bytes).context("cases.json is no list of cases")
}

/// What a case waits for; `None` for one that runs.
///
/// # Errors
/// If its family is neither one that runs nor in the table.
pub fn not_supported(case: &Value) -> Result<Option<&'static NotSupported>> {
    let Some(family) = case["family"].as_str() else {
        return Ok(None);
    };
    let entry = NOT_SUPPORTED.iter().find(|entry| entry.family == family);
    let entry = entry.with_context(|| format!("the corpus has a new family, `{family}`"))?;
    let runs = entry.runs.contains(&text(case, "kind")?);
    Ok((!runs).then_some(entry))
}

/// A field of a case that is a text.
///
/// # Errors
/// If it is missing or no text.
pub fn text<'v>(value: &'v Value, key: &str) -> Result<&'v str> {
    value[key]
        .as_str()
        .with_context(|| format!("`{key}` is missing"))
}
