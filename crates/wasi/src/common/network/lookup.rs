//! Addresses of names.

use crate::common::network::error::NetError;
use idna::AsciiDenyList;
use std::net::{IpAddr, ToSocketAddrs};

/// Addresses of a name that a guest is given at most.
const MOST: usize = 64;

/// Bytes of a name beyond ASCII at most: 253 characters of four each.
const MOST_UNICODE: usize = 4 * 253;

/// What a guest wants the addresses of.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Wanted {
    /// It is an address itself.
    Address(IpAddr),
    Name(String),
}

impl Wanted {
    /// A name beyond ASCII becomes the ASCII form that it is registered by (IDNA, as browsers do
    /// it). Whatever that comes to is looked at again: digits of other kinds may spell an address.
    ///
    /// # Errors
    /// If it can be neither.
    pub(crate) fn parse(text: &str) -> Result<Wanted, NetError> {
        if text.is_ascii() {
            return Wanted::parse_ascii(text);
        }
        // What is longer has no ASCII form either, and is not to be looked at for long.
        if text.len() > MOST_UNICODE {
            return Err(NetError::InvalidArgument);
        }
        let ascii = idna::domain_to_ascii_cow(text.as_bytes(), AsciiDenyList::EMPTY);
        Wanted::parse_ascii(&ascii.map_err(|_| NetError::InvalidArgument)?)
    }

    fn parse_ascii(text: &str) -> Result<Wanted, NetError> {
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
        for name in ["", ".", "a..b", "a b", "a:80", "a/b", "a\0", &long] {
            assert_eq!(
                Wanted::parse(name),
                Err(NetError::InvalidArgument),
                "{name}"
            );
        }
    }

    #[test]
    fn names_beyond_ascii_have_ascii_forms() {
        for (name, ascii) in [
            ("ü.example", "xn--tda.example"),
            ("Bücher.Example", "xn--bcher-kva.example"),
            // Composed and not, upper case and lower.
            ("bu\u{308}cher.example", "xn--bcher-kva.example"),
            ("BÜCHER.example.", "xn--bcher-kva.example"),
            ("faß.example", "xn--fa-hia.example"),
            ("例え.テスト", "xn--r8jz45g.xn--zckzah"),
            // Dots and letters of other widths.
            ("例え。テスト", "xn--r8jz45g.xn--zckzah"),
            ("ｅxample．com", "example.com"),
            ("ÅB.example", "xn--b-1fa.example"),
            ("мир", "xn--h1ahn"),
            ("a_b.ü", "a_b.xn--tda"),
        ] {
            assert_eq!(
                Wanted::parse(name),
                Ok(Wanted::Name(ascii.to_string())),
                "{name}"
            );
        }
        // What spells an address is one: it is no name that rules for names are for.
        for (text, address) in [("１２７.0.0.1", "127.0.0.1"), ("192。0。2。7", "192.0.2.7")]
        {
            let address = Wanted::Address(address.parse().unwrap());
            assert_eq!(Wanted::parse(text), Ok(address), "{text}");
        }
        let long = "ü".repeat(60);
        let many = ["ü"; 80].join(".");
        for name in [
            "ü..example",
            "ü b",
            "ü/a",
            "ü:80",
            "ü\0",
            // The letters are of scripts that are written in different directions.
            "אa.example",
            // It is not assigned, and it is no letter.
            "\u{378}.example",
            "\u{200b}",
            "\u{fffd}.example",
            "xn--ü.example",
            "．",
            &long,
            &many,
            &"ü".repeat(100_000),
        ] {
            assert_eq!(
                Wanted::parse(name),
                Err(NetError::InvalidArgument),
                "{name}"
            );
        }
    }
}
