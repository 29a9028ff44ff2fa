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
use trampette_wasi::{Access, NetworkRefusal, WasiCtxBuilder};

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
    /// Remembers it. Gives what to say of it if it is the first: later ones are not told of.
    pub(crate) fn note(&self, refusal: &NetworkRefusal) -> Option<&str> {
        let rule = refusal.rule();
        let text = format!("note: {refusal} (--allow-net {rule}, or --inherit-network)");
        self.0.set(text).ok()?;
        self.text()
    }

    /// What to say of it.
    pub(crate) fn text(&self) -> Option<&str> {
        self.0.get().map(String::as_str)
    }
}

/// A directory for the guest: `HOST[::GUEST][:ro]`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Directory {
    /// Its path here.
    pub host: String,
    /// The name under which the guest finds it.
    pub guest: String,
    /// What the guest may do with it.
    pub access: Access,
    /// The name of a directory that may have been meant by all of what was written.
    otherwise: Option<String>,
}

/// What stands behind a directory that is to be read only.
const READ_ONLY: &str = ":ro";

impl std::str::FromStr for Directory {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Directory> {
        // Of `a::ro` the name is `ro`: names come before rights.
        let (host, guest) = match text.split_once("::") {
            Some((host, guest)) => (host, Some(guest)),
            None => (text, None),
        };
        ensure!(
            // Of `a:::b` too one could say so.
            guest.is_none_or(|guest| !guest.contains("::") && !guest.starts_with(':')),
            "there is more than one `::`: which is the guest's name?"
        );
        let otherwise = guest.is_none().then(|| text.to_string());
        let last = guest.unwrap_or(host);
        let (last, access) = match last.strip_suffix(READ_ONLY) {
            Some(last) => (last, Access::ReadOnly),
            None => (last, Access::ReadWrite),
        };
        let (host, guest) = match guest {
            Some(_) => (host, last),
            None => (last, last),
        };
        ensure!(
            !host.is_empty(),
            "the directory on the host is empty; `.` is the current one"
        );
        ensure!(
            !guest.is_empty(),
            "the guest's name for the directory is empty; without `::` it is the host's"
        );
        for name in [host, guest] {
            // Whoever wrote `data:ro::/data` did not mean to have it written to.
            ensure!(
                !name.ends_with(READ_ONLY),
                "`:ro` stands at the end, once; of a directory whose own name ends in it, a slash \
                 stands behind the name: `{}/`",
                shown(name)
            );
        }
        Ok(Directory {
            host: host.to_string(),
            guest: guest.to_string(),
            access,
            otherwise: otherwise.filter(|_| access == Access::ReadOnly),
        })
    }
}

impl Directory {
    /// Gives it to a guest.
    ///
    /// # Errors
    /// If it cannot be opened.
    pub(crate) fn preopen(&self, builder: WasiCtxBuilder) -> Result<WasiCtxBuilder> {
        match self.access {
            Access::ReadWrite => builder.preopened_dir(&self.host, &self.guest),
            Access::ReadOnly => builder.preopened_dir_read_only(&self.host, &self.guest),
        }
    }

    /// # Errors
    /// If there is a directory here whose name is all of what was written, `:ro` included.
    fn is_not_another(&self) -> Result<()> {
        let Some(name) = &self.otherwise else {
            return Ok(());
        };
        ensure!(
            std::fs::symlink_metadata(name).is_err(),
            "--dir: there is a `{name}` here: `{name}/` would be that, and `{host}::{host}:ro` is \
             `{host}`, to read only",
            name = shown(name),
            host = shown(&self.host)
        );
        Ok(())
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

/// What a guest is configured with: `NAME=VALUE`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Setting {
    /// Its name.
    pub name: String,
    /// Its value, which may be empty.
    pub value: String,
}

impl std::str::FromStr for Setting {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Setting> {
        let parts = text.split_once('=');
        let (name, value) = parts.context("expected a name, `=` and a value")?;
        ensure!(!name.is_empty(), "the value has no name");
        Ok(Setting {
            name: name.to_string(),
            value: value.to_string(),
        })
    }
}

/// Checks that nothing is configured twice.
///
/// # Errors
/// If something is.
pub fn check_settings(settings: &[Setting]) -> Result<()> {
    let mut names = BTreeSet::new();
    for setting in settings {
        ensure!(
            names.insert(&setting.name),
            "--config: `{}` is given twice",
            shown(&setting.name)
        );
    }
    Ok(())
}

/// Checks that nothing is given twice, or could be meant otherwise.
///
/// # Errors
/// If two directories have the same name for the guest, one's name is in doubt, or a variable is
/// given twice.
pub fn check(directories: &[Directory], variables: &[Variable]) -> Result<()> {
    let mut names = BTreeSet::new();
    for directory in directories {
        directory.is_not_another()?;
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
        for text in ["a:", ":", ":a", "a:b", "a:ro/", "ro", "a:Ro"] {
            let directory = text.parse::<Directory>().unwrap();
            assert_eq!(directory.guest, text);
            assert_eq!(directory.access, Access::ReadWrite, "{text}");
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
    fn read_only_stands_at_the_end_once() {
        let (read, write) = (Access::ReadOnly, Access::ReadWrite);
        for (text, expected) in [
            ("a:ro", Some(("a", "a", read))),
            ("a::/b:ro", Some(("a", "/b", read))),
            ("a::/b", Some(("a", "/b", write))),
            ("a::ro", Some(("a", "ro", write))),
            ("a::ro:ro", Some(("a", "ro", read))),
            ("a:ro/", Some(("a:ro/", "a:ro/", write))),
            ("a:ro/:ro", Some(("a:ro/", "a:ro/", read))),
            ("a:ro/::/b", Some(("a:ro/", "/b", write))),
            ("a::/b:ro/", Some(("a", "/b:ro/", write))),
            ("/:ro", Some(("/", "/", read))),
            // What they mean is in doubt.
            (":ro", None),
            ("::ro", None),
            ("a:ro:ro", None),
            ("a:ro::/b", None),
            ("a:ro::/b:ro", None),
            ("a::/b:ro:ro", None),
            ("a:::ro", None),
            ("a::/b::ro", None),
        ] {
            let found = text.parse::<Directory>().ok();
            let found = found
                .as_ref()
                .map(|found| (&found.host[..], &found.guest[..], found.access));
            assert_eq!(found, expected, "{text}");
        }
    }

    #[test]
    fn a_directory_whose_name_ends_so_is_not_mistaken() {
        let folder = std::env::temp_dir().join(format!("trampette-{}", std::process::id()));
        std::fs::create_dir_all(folder.join("a:ro")).unwrap();
        let grant = |text: &str| {
            let path = folder.join(text);
            check(&[path.to_str().unwrap().parse().unwrap()], &[])
        };
        let error = grant("a:ro").unwrap_err().to_string();
        assert!(error.contains("a:ro/` would be that"), "{error}");
        assert!(grant("a:ro/").is_ok() && grant("b:ro").is_ok());
        let named = format!("{0}/a::{0}/a:ro", folder.display());
        let named = check(&[named.parse().unwrap()], &[]);
        std::fs::remove_dir_all(&folder).unwrap();
        // The way out that the message names.
        assert!(named.is_ok());
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
