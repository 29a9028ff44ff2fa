//! What commands print: results on standard output, errors and notes on standard error. No other
//! file of the command line writes to either (`tests/tidy.rs` sees to it), so that nothing panics
//! where a reader is gone or a disk is full.
//!
//! - Nothing stays in a buffer: what was printed is there however the process ends. A pipe that is
//!   full is waited for, also one that refuses to wait (`O_NONBLOCK`, which a parent that shares it
//!   may have set).
//! - A reader that has seen enough (`| head`) is no error.
//! - What else goes wrong is an error like any other; on standard error there is nobody to tell.
//! - Control characters, which come from names in components, do not reach a terminal: they are
//!   spelt as Rust spells them. What a machine reads goes out as it is.

use anyhow::{Context, Result};
use clap::Parser;
use std::ffi::OsString;
use std::fmt::Display;
use std::fs::File;
use std::io::{self, ErrorKind, IsTerminal, Write};
use std::os::fd::AsFd;
use std::path::Path;
use std::process::ExitCode;
use trampette_artifact::text::{escaped, escaped_lines, shortened};
use trampette_runtime::report;
use trampette_runtime::wait::{self, PollFd, PollFlags};

/// The exit code for wrong usage.
pub const USAGE_EXIT_CODE: u8 = 2;

/// Bytes of what somebody typed that a message quotes at most.
const MOST_QUOTED: usize = 400;

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
    or_reader_gone(write_all(io::stdout().lock(), bytes))
}

/// Writes everything, past the buffer of the standard library.
fn write_all(stream: impl AsFd, mut bytes: &[u8]) -> io::Result<()> {
    let mut file = File::from(stream.as_fd().try_clone_to_owned()?);
    while !bytes.is_empty() {
        match file.write(bytes) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(count) => bytes = &bytes[count..],
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                let mut room = [PollFd::new(&file, PollFlags::OUT)];
                wait::poll(&mut room, None).map_err(io::Error::other)?;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
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

/// What somebody typed, as a message quotes it: on one line, and not at any length.
pub(crate) fn shown(text: &str) -> String {
    escaped(&shortened(text.as_bytes(), MOST_QUOTED)).to_string()
}

/// The same of a path.
pub(crate) fn shown_path(path: &Path) -> String {
    shown(&path.to_string_lossy())
}

fn line(text: &str) {
    let text = escaped_lines(text).to_string();
    // There is nobody left to tell if this fails.
    let _ = write_all(
        io::stderr().lock(),
        format!("{}\n", text.trim_end()).as_bytes(),
    );
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
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    P::try_parse_from(&arguments).map_err(|error| {
        // clap quotes them as they are where it writes in colour.
        let clean = arguments.iter().all(|argument| {
            let text = argument.to_string_lossy();
            escaped(&text).to_string() == text
        });
        match clean || !error.use_stderr() {
            true => printed_by_clap(&error),
            false => wrong_usage(&error),
        }
    })
}

/// Prints what clap has to say: help and versions on standard output, anything else on standard
/// error. On a terminal clap does it, in colour.
fn printed_by_clap(error: &clap::Error) -> ExitCode {
    if error.use_stderr() {
        match stderr_is_terminal() {
            true => drop(error.print()),
            false => return wrong_usage(error),
        }
        return ExitCode::from(USAGE_EXIT_CODE);
    }
    let printed = match stdout_is_terminal() {
        true => error.print().and_then(|()| io::stdout().flush()),
        false => write_all(io::stdout().lock(), error.render().to_string().as_bytes()),
    };
    exit_code(or_reader_gone(printed).map(|()| 0))
}

/// Prints what clap has to say about wrong usage, as plain text.
fn wrong_usage(error: &clap::Error) -> ExitCode {
    line(&usage(error));
    ExitCode::from(USAGE_EXIT_CODE)
}

/// What clap has to say about wrong usage. It quotes arguments, which somebody else may have
/// chosen.
pub fn usage(error: &clap::Error) -> String {
    escaped_lines(&error.render().to_string()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_spelt() {
        let lines = |text: &str| escaped_lines(text).to_string();
        assert_eq!(lines("a\n\tb é"), "a\n\tb é");
        assert_eq!(lines("\u{1b}[2J\r\u{9b}x"), "\\u{1b}[2J\\r\\u{9b}x");
    }

    #[test]
    fn wrong_usage_is_said_without_control_characters() {
        #[derive(Parser, Debug)]
        struct Line {
            #[arg(long)]
            size: Option<crate::limits::Size>,
        }
        let line = ["x", "--size", "\u{1b}[2J\u{7}\u{202e}"];
        let error = Line::try_parse_from(line).unwrap_err();
        let text = usage(&error);
        // clap leaves what steers a terminal out of plain text, but not this.
        assert!(text.contains("'\\u{202e}'"), "{text}");
        assert_eq!(escaped_lines(&text).to_string(), text);
    }

    #[test]
    fn what_was_typed_is_quoted_on_one_line() {
        assert_eq!(shown("a\nb\t\u{1b}"), "a\\nb\\t\\u{1b}");
        assert!(shown(&"é".repeat(1000)).len() < MOST_QUOTED + 10);
    }
}
