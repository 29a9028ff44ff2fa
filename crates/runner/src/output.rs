//! What commands print: results on standard output, errors and notes on standard error. No other
//! file of the command line writes to either (`tests/tidy.rs` sees to it), so that nothing panics
//! where a reader is gone or a disk is full.
//!
//! - A reader that has seen enough (`| head`) is no error.
//! - What else goes wrong is an error like any other; on standard error there is nobody to tell.
//! - Control characters, which come from names in components, do not reach a terminal: they are
//!   spelt as Rust spells them. What a machine reads goes out as it is.

use anyhow::{Context, Result};
use clap::Parser;
use std::ffi::OsString;
use std::fmt::Display;
use std::io::{self, ErrorKind, IsTerminal, Write};
use std::process::ExitCode;
use trampette_artifact::text::escaped_lines;
use trampette_runtime::report;

/// The exit code for wrong usage.
pub const USAGE_EXIT_CODE: u8 = 2;

/// Prints text for people on standard output.
///
/// # Errors
/// If it cannot be written, other than because the reader is gone.
pub fn print(text: &str) -> Result<()> {
    write(escaped_lines(text).to_string().as_bytes())
}

/// Writes bytes to standard output as they are.
///
/// # Errors
/// As [`print()`].
pub fn write(bytes: &[u8]) -> Result<()> {
    let mut out = io::stdout().lock();
    // Flushed here: what is left in the buffer when the process ends is lost in silence.
    let written = out.write_all(bytes).and_then(|()| out.flush());
    or_reader_gone(written)
}

fn or_reader_gone(written: io::Result<()>) -> Result<()> {
    match written {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written.context("cannot write to standard output"),
    }
}

/// Says what went wrong: the error and its causes, on one line where they have no more, and behind
/// them where the guest was.
pub fn error(error: &anyhow::Error) {
    line(&format!("error: {}", report(error)));
}

/// Says something that is no error, on standard error.
pub fn note(text: impl Display) {
    line(&text.to_string());
}

fn line(text: &str) {
    let text = escaped_lines(text).to_string();
    // There is nobody left to tell if this fails.
    let _ = writeln!(io::stderr().lock(), "{}", text.trim_end());
}

/// Whether a person looks at standard output.
pub fn stdout_is_terminal() -> bool {
    io::stdout().is_terminal()
}

/// Whether a person looks at standard error.
pub fn stderr_is_terminal() -> bool {
    io::stderr().is_terminal()
}

/// The process's exit code, after what went wrong was said.
pub fn exit_code(result: Result<u8>) -> ExitCode {
    match result {
        Ok(code) => ExitCode::from(code),
        Err(found) => match found.downcast::<clap::Error>() {
            Ok(usage) => wrong_usage(&usage),
            Err(found) => {
                error(&found);
                ExitCode::FAILURE
            }
        },
    }
}

/// The process's arguments; or its exit code, after help, the version or what is wrong was printed.
///
/// # Errors
/// If there is nothing more to do.
pub fn parse<P: Parser>(arguments: impl IntoIterator<Item = OsString>) -> Result<P, ExitCode> {
    P::try_parse_from(arguments).map_err(|error| wrong_usage(&error))
}

/// Prints what clap has to say: help and versions on standard output, anything else on standard
/// error.
fn wrong_usage(error: &clap::Error) -> ExitCode {
    let printed = error.print();
    match error.use_stderr() {
        true => ExitCode::from(USAGE_EXIT_CODE),
        false => exit_code(or_reader_gone(printed.and_then(|()| io::stdout().flush())).map(|()| 0)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        escaped_lines(text).to_string()
    }

    #[test]
    fn control_characters_are_spelt() {
        assert_eq!(shown("a\n\tb é"), "a\n\tb é");
        assert_eq!(shown("\u{1b}[2J\r\u{9b}x"), "\\u{1b}[2J\\r\\u{9b}x");
    }
}
