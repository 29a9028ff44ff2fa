//! Addresses as `--addr` and `--metrics-addr` have them.

use crate::output::shown;
use anyhow::{Result, ensure};
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// Where a server listens.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Address {
    /// `HOST:PORT`.
    Tcp(String),
    /// `unix:PATH`.
    Unix(PathBuf),
    /// `systemd`, `systemd:NAME`: sockets that whoever started the process opened for it, all of
    /// them or those of a name (`FileDescriptorName=`).
    Systemd(Option<String>),
}

impl Address {
    /// The address that a text names.
    ///
    /// # Errors
    /// If it names none.
    pub(super) fn parse(text: OsString) -> Result<Address> {
        if let Some(path) = text.as_bytes().strip_prefix(b"unix:") {
            ensure!(
                !path.is_empty(),
                "expected a path, as in `unix:/run/app.sock`"
            );
            return Ok(Address::Unix(OsString::from_vec(path.to_vec()).into()));
        }
        let text = text.to_string_lossy().into_owned();
        match text.strip_prefix("systemd") {
            Some("") => Ok(Address::Systemd(None)),
            Some(name) if name.starts_with(':') => {
                ensure!(name.len() > 1, "expected a name, as in `systemd:metrics`");
                Ok(Address::Systemd(Some(name[1..].to_string())))
            }
            _ => Ok(Address::Tcp(text)),
        }
    }
}

/// A path as it is shown: like the option that names it.
pub(super) fn unix(path: &Path) -> String {
    shown(&format!("unix:{}", path.to_string_lossy()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_of_three_kinds() {
        let cases = [
            (
                "127.0.0.1:80",
                Some(Address::Tcp("127.0.0.1:80".to_string())),
            ),
            ("systemdd:80", Some(Address::Tcp("systemdd:80".to_string()))),
            ("unix:a b", Some(Address::Unix("a b".into()))),
            ("systemd", Some(Address::Systemd(None))),
            ("systemd:x", Some(Address::Systemd(Some("x".to_string())))),
            ("unix:", None),
            ("systemd:", None),
        ];
        for (text, expected) in cases {
            assert_eq!(Address::parse(text.into()).ok(), expected, "{text}");
        }
    }
}
