//! What a command line gives a guest: directories, environment variables, arguments. What is
//! doubtful is refused, since each of them is a right.

use crate::output::shown;
use anyhow::{Context, Result, ensure};
use clap::Args;
use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use trampette_wasi::NetworkRefusal;

/// What is run, and its arguments. Whatever stands behind the input is the guest's, even if it
/// looks like an option of ours: otherwise whoever supplies the guest's arguments could widen what
/// the guest may do.
#[derive(Args, Clone, Debug, Default)]
pub struct Subject {
    /// What to run (`-` for standard input), then the guest's arguments
    #[arg(
        value_name = "INPUT",
        required = true,
        num_args = 1..,
        trailing_var_arg = true
    )]
    command: Vec<OsString>,
}

impl Subject {
    /// The file.
    pub fn input(&self) -> &Path {
        // Parsing demands one.
        Path::new(self.command.first().map_or(OsStr::new(""), |input| input))
    }

    /// The name by which the guest knows itself.
    pub fn program(&self) -> &OsStr {
        self.input().file_name().unwrap_or_default()
    }

    /// The guest's arguments, as they were given.
    pub fn raw_arguments(&self) -> &[OsString] {
        self.command.get(1..).unwrap_or_default()
    }

    /// The guest's arguments.
    ///
    /// # Errors
    /// If one is not text, as WASI 0.2 demands.
    pub fn arguments(&self) -> Result<Vec<String>> {
        let arguments = self.command.iter().skip(1).enumerate();
        let text = |(index, argument): (usize, &OsString)| {
            let text = argument.to_str().map(str::to_string);
            text.with_context(|| {
                format!(
                    "the guest's argument {} is not UTF-8: {}",
                    index + 1,
                    shown(&format!("{argument:?}"))
                )
            })
        };
        arguments.map(text).collect()
    }
}

/// Every way to spell each option of a command, for tests of what is left to the guest.
#[doc(hidden)]
pub fn spellings(command: &clap::Command) -> Vec<String> {
    let mut all: Vec<String> = [
        "-h",
        "--help",
        "-V",
        "--version",
        "--",
        "-",
        "-x",
        "--dir=/",
    ]
    .map(String::from)
    .into();
    for argument in command.get_arguments() {
        all.extend(argument.get_short().map(|short| format!("-{short}")));
        if let Some(long) = argument.get_long() {
            all.extend([format!("--{long}"), format!("--{long}=1")]);
        }
    }
    all
}

/// What of the network was refused to a guest first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Refused(Arc<OnceLock<String>>);

impl Refused {
    pub(crate) fn note(&self, refusal: &NetworkRefusal) {
        let rule = refusal.rule();
        let text = format!("note: {refusal} (--allow-net {rule}, or --inherit-network)");
        // Later ones are not told of.
        let _ = self.0.set(text);
    }

    /// What to say of it.
    pub(crate) fn text(&self) -> Option<&str> {
        self.0.get().map(String::as_str)
    }
}

/// A directory for the guest: `HOST[::GUEST]`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Directory {
    /// Its path here.
    pub host: String,
    /// The name under which the guest finds it.
    pub guest: String,
}

impl std::str::FromStr for Directory {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Directory> {
        let (host, guest) = text.split_once("::").unwrap_or((text, text));
        ensure!(
            !host.is_empty(),
            "the directory on the host is empty; `.` is the current one"
        );
        ensure!(
            !guest.is_empty(),
            "the guest's name for the directory is empty; without `::` it is the host's"
        );
        ensure!(
            // Of `a:::b` too one could say so.
            !guest.contains("::") && (guest == text || !guest.starts_with(':')),
            "there is more than one `::`: which is the guest's name?"
        );
        Ok(Directory {
            host: host.to_string(),
            guest: guest.to_string(),
        })
    }
}

/// An environment variable for the guest: `NAME[=VALUE]`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Variable {
    name: OsString,
    value: Option<OsString>,
}

impl Variable {
    /// Reads `NAME[=VALUE]`, any bytes.
    ///
    /// # Errors
    /// If there is no name.
    pub fn parse(text: OsString) -> Result<Variable> {
        let bytes = text.as_bytes();
        let part = |bytes: &[u8]| OsStr::from_bytes(bytes).to_os_string();
        let (name, value) = match bytes.iter().position(|byte| *byte == b'=') {
            Some(at) => (part(&bytes[..at]), Some(part(&bytes[at + 1..]))),
            None => (text, None),
        };
        ensure!(!name.is_empty(), "the variable has no name");
        Ok(Variable { name, value })
    }

    /// Its name and its value, which is that of the variable of this process if none was given.
    ///
    /// # Errors
    /// If it is that of this process, and there is none.
    pub fn resolve(&self) -> Result<(&OsStr, OsString)> {
        let value = self.value.clone().or_else(|| std::env::var_os(&self.name));
        let name = shown(&self.name.to_string_lossy());
        let value = value.with_context(|| format!("--env {name}: no such variable here"))?;
        Ok((&self.name, value))
    }
}

/// Checks that nothing is given twice.
///
/// # Errors
/// If two directories have the same name for the guest, or a variable is given twice.
pub fn check(directories: &[Directory], variables: &[Variable]) -> Result<()> {
    let mut names = BTreeSet::new();
    for directory in directories {
        // `/data`, `/data/` and `/./data` are one name.
        let name = directory.guest.split('/');
        let name: Vec<&str> = name.filter(|part| !matches!(*part, "" | ".")).collect();
        let absolute = directory.guest.starts_with('/');
        ensure!(
            names.insert((absolute, name)),
            "--dir: the guest would find two directories under the name `{}`",
            shown(&directory.guest)
        );
    }
    let mut names = BTreeSet::new();
    for variable in variables {
        ensure!(
            names.insert(&variable.name),
            "--env: the variable `{}` is given twice",
            shown(&variable.name.to_string_lossy())
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubtful_grants_are_refused() {
        for text in ["", "::", ".::", "::/x", "a::b::c", "a:::b"] {
            assert!(text.parse::<Directory>().is_err(), "{text}");
        }
        for text in ["a:", ":", ":a", "a:b"] {
            assert_eq!(text.parse::<Directory>().unwrap().guest, text);
        }
        for text in ["", "=", "=x"] {
            assert!(Variable::parse(text.into()).is_err(), "{text}");
        }
        let directories = |all: &[&str]| -> Vec<Directory> {
            all.iter().map(|text| text.parse().unwrap()).collect()
        };
        let variables = |all: &[&str]| -> Vec<Variable> {
            let parse = |text: &&str| Variable::parse(text.into()).unwrap();
            all.iter().map(parse).collect()
        };
        for twice in [
            ["a::/x", "b::/x"],
            ["a::/x", "b::/x/"],
            ["a::x", "b::./x"],
            [".", "./"],
        ] {
            assert!(check(&directories(&twice), &[]).is_err(), "{twice:?}");
        }
        assert!(check(&directories(&["a::/x", "a::/y", "b::x"]), &[]).is_ok());
        assert!(check(&[], &variables(&["A=1", "B="])).is_ok());
        assert!(check(&[], &variables(&["A=1", "A"])).is_err());
    }

    #[test]
    fn what_was_typed_does_not_break_the_message() {
        let name = "N\n\u{1b}[2J\u{2028}";
        let variable = || Variable::parse(name.into()).unwrap();
        let directory = || name.parse::<Directory>().unwrap();
        let subject = Subject {
            command: vec!["x".into(), OsStr::from_bytes(b"\xff\n\x1b").into()],
        };
        let errors = [
            variable().resolve().unwrap_err(),
            check(&[], &[variable(), variable()]).unwrap_err(),
            check(&[directory(), directory()], &[]).unwrap_err(),
            subject.arguments().unwrap_err(),
            "1\n\u{1b}".parse::<crate::limits::Size>().unwrap_err(),
            crate::wave::Call::parse("f(\n\u{1b}\t)").err().unwrap(),
            crate::wave::Call::parse("\"\n\u{1b}\t").err().unwrap(),
        ];
        for error in errors {
            let text = format!("{error:#}");
            assert_eq!(trampette_artifact::text::escaped(&text).to_string(), text);
        }
    }
}
