//! When the text of an error is the one that a script expects.

use anyhow::{Error, Result, bail};

/// Whether a trap's text is what a script expects: it occurs in it, or one of the equivalents that
/// the reference runner accepts does.
pub(super) fn trap_matches(text: &str, expected: &str) -> bool {
    let has = |part: &str| text.contains(part);
    has(expected)
        || expected.contains("uninitialized element 2") && has("uninitialized element")
        || expected.contains("null function")
            && (has("uninitialized element") || has("null reference"))
        || expected.contains("null") && expected.contains("reference") && has("null reference")
        || expected.contains("cannot write") && has("cannot write")
        || expected.contains("cannot read") && has("cannot read")
}

/// The whole text of an error: all causes and the backtrace.
pub(super) fn full_text(error: &Error) -> String {
    let causes: Vec<String> = error.chain().map(ToString::to_string).collect();
    causes.join("\n")
}

/// Whether a call or instantiation ended in the trap that a script expects.
///
/// # Errors
/// If it did not, with what happened instead.
pub(super) fn expect_trap<T>(result: Result<T>, expected: &str) -> Result<()> {
    match result {
        Ok(_) => bail!("expected the trap {expected:?}, but it succeeded"),
        Err(error) => {
            let text = full_text(&error);
            if !trap_matches(&text, expected) {
                bail!("expected the trap {expected:?}, found {text:?}");
            }
            Ok(())
        }
    }
}
