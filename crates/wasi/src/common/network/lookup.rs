//! Addresses of names.

use crate::common::network::error::NetError;
use std::net::{IpAddr, ToSocketAddrs};

/// Addresses of a name that a guest is given at most.
const MOST: usize = 64;

/// What a guest wants the addresses of.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Wanted {
    /// It is an address itself.
    Address(IpAddr),
    Name(String),
}

impl Wanted {
    /// # Errors
    /// If it can be neither. Names beyond ASCII must be given in their ASCII form.
    pub(crate) fn parse(text: &str) -> Result<Wanted, NetError> {
        let bare = text
            .strip_prefix('[')
            .and_then(|text| text.strip_suffix(']'));
        if let Ok(address) = bare.unwrap_or(text).parse() {
            return Ok(Wanted::Address(address));
        }
        let is_label = |label: &str| {
            let known = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
            !label.is_empty() && label.len() <= 63 && label.bytes().all(known)
        };
        let name = text.strip_suffix('.').unwrap_or(text);
        match name.len() <= 253 && name.split('.').all(is_label) {
            true => Ok(Wanted::Name(name.to_ascii_lowercase())),
            false => Err(NetError::InvalidArgument),
        }
    }
}

/// Asks the system for the addresses of a name, which may take long.
///
/// # Errors
/// If there are none, or the system cannot say.
pub(crate) fn resolve(name: &str) -> Result<Vec<IpAddr>, NetError> {
    let found = (name, 0).to_socket_addrs().map_err(|error| {
        // The standard library has no kinds for these, but the system's text.
        let text = error.to_string();
        match () {
            () if text.contains("Temporary failure") => NetError::TemporaryResolverFailure,
            () if text.contains("Non-recoverable") => NetError::PermanentResolverFailure,
            () => NetError::NameUnresolvable,
        }
    })?;
    let mut addresses: Vec<IpAddr> = Vec::new();
    for address in found.map(|address| address.ip()) {
        let is_mapped = matches!(address, IpAddr::V6(ip) if ip.to_ipv4_mapped().is_some());
        if !is_mapped && !addresses.contains(&address) && addresses.len() < MOST {
            addresses.push(address);
        }
    }
    match addresses.is_empty() {
        true => Err(NetError::NameUnresolvable),
        false => Ok(addresses),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_name_is_refused() {
        let address = |text: &str| Ok(Wanted::Address(text.parse().unwrap()));
        assert_eq!(Wanted::parse("127.0.0.1"), address("127.0.0.1"));
        assert_eq!(Wanted::parse("::1"), address("::1"));
        assert_eq!(Wanted::parse("[::1]"), address("::1"));
        for name in ["a", "A.b", "a.b.", "_dns.x-y.example"] {
            let wanted = Wanted::Name(name.trim_end_matches('.').to_lowercase());
            assert_eq!(Wanted::parse(name), Ok(wanted));
        }
        let long = ["a"; 200].join(".");
        for name in [
            "",
            ".",
            "a..b",
            "a b",
            "a:80",
            "a/b",
            "a\0",
            "ü.example",
            &long,
        ] {
            assert_eq!(
                Wanted::parse(name),
                Err(NetError::InvalidArgument),
                "{name}"
            );
        }
    }
}
