//! [`report`]: an error of a call as text, for whom it concerns.

use crate::load::backtrace::HEADING;
use std::fmt;
use trampette_artifact::text::escaped_lines;

/// An error as a user wants to read it: what happened first, from the outside to the cause, then
/// where the guest was. What guests named is shown with control characters spelt.
///
/// The text of an error itself (`{error:#}`) begins with its outermost context, and for a host
/// function's error that is the [`WasmBacktrace`](crate::WasmBacktrace).
///
/// ```
/// # let error = anyhow::anyhow!("no such key").context("import function `get`");
/// let text = trampette_runtime::report(&error).to_string();
/// assert_eq!(text, "import function `get`: no such key");
/// ```
pub fn report(error: &anyhow::Error) -> impl fmt::Display + '_ {
    Report(error)
}

struct Report<'a>(&'a anyhow::Error);

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (mut backtraces, mut separator) = (Vec::new(), "");
        for cause in self.0.chain() {
            let text = cause.to_string();
            match text.strip_prefix(HEADING) {
                // Without frames it says nothing.
                Some("") => {}
                Some(_) => backtraces.push(text),
                None => {
                    // A cause's own backtrace comes last, too.
                    let (message, backtrace) = match text.find(&format!("\n{HEADING}")) {
                        Some(at) => text.split_at(at),
                        None => (&text[..], ""),
                    };
                    write!(f, "{separator}{}", escaped_lines(message))?;
                    separator = ": ";
                    if !backtrace.is_empty() {
                        backtraces.push(backtrace.trim_start().to_string());
                    }
                }
            }
        }
        // The innermost call is the one that failed.
        for backtrace in backtraces.iter().rev() {
            write!(f, "\n{}", escaped_lines(backtrace))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::anyhow;

    #[test]
    fn causes_come_before_backtraces() {
        let inner = "wasm backtrace:\n    0: m!f";
        let outer = "wasm backtrace:\n    0: n!\u{1b}[31mg";
        let cases = [
            (anyhow!("a").context("b"), "b: a"),
            (anyhow!("a\u{7}\nb"), "a\\u{7}\nb"),
            (
                anyhow!("no").context("import `x`").context(inner),
                "import `x`: no\nwasm backtrace:\n    0: m!f",
            ),
            (
                anyhow!("wasm trap: unreachable\n{inner}").context("instantiation failed"),
                "instantiation failed: wasm trap: unreachable\nwasm backtrace:\n    0: m!f",
            ),
            (
                anyhow!("no")
                    .context(inner)
                    .context("import `x`")
                    .context(outer),
                "import `x`: no\nwasm backtrace:\n    0: m!f\nwasm backtrace:\n    0: \
                 n!\\u{1b}[31mg",
            ),
            (anyhow!("no").context(HEADING), "no"),
        ];
        for (error, expected) in cases {
            assert_eq!(report(&error).to_string(), expected);
        }
    }
}
