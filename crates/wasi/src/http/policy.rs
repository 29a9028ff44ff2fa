//! Whom outgoing requests may go to: [`Destinations`].

use crate::http::ErrorCode;
use anyhow::{Context, Result, ensure};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// Whom requests may be sent to.
///
/// ```
/// use trampette_wasi::http::Destinations;
///
/// let rules = ["api.example.com:443", "*.example.org", "10.0.0.0/8", "[::1]:8080"];
/// let some = Destinations::only(rules.iter().map(|rule| rule.parse()).collect::<Result<_, _>>()?);
/// assert!(some.to_string().contains("10.0.0.0/8"));
/// # anyhow::Ok(())
/// ```
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Destinations(Kind);

#[derive(Clone, PartialEq, Eq, Debug, Default)]
enum Kind {
    #[default]
    None,
    Any,
    Rules(Vec<Rule>),
}

impl Destinations {
    /// Nobody: what a guest sends is refused.
    pub fn none() -> Destinations {
        Destinations(Kind::None)
    }

    /// Anybody, this machine too.
    pub fn any() -> Destinations {
        Destinations(Kind::Any)
    }

    /// Those that one of the rules names. This machine is only among them if a rule says so by
    /// address, or by the name `localhost`, whatever a name's addresses are.
    pub fn only(rules: Vec<Rule>) -> Destinations {
        Destinations(Kind::Rules(rules))
    }

    /// Whether a host can be permitted at all, before its name is looked up.
    ///
    /// # Errors
    /// The code for the guest.
    pub(crate) fn check_host(&self, host: &str, port: u16) -> Result<(), ErrorCode> {
        let is_permitted = match &self.0 {
            Kind::None => false,
            Kind::Any => true,
            Kind::Rules(rules) => rules.iter().any(|rule| match &rule.whom {
                Whom::Addresses(..) => rule.has_port(port),
                _ => rule.has_port(port) && rule.names(host),
            }),
        };
        is_permitted
            .then_some(())
            .ok_or(ErrorCode::HttpRequestDenied)
    }

    /// Whether an address that a host has is permitted.
    pub(crate) fn permits(&self, host: &str, address: IpAddr, port: u16) -> bool {
        let address = address.to_canonical();
        let is_here = address.is_loopback() || address.is_unspecified();
        let rules = match &self.0 {
            Kind::None => return false,
            Kind::Any => return true,
            Kind::Rules(rules) => rules,
        };
        rules.iter().any(|rule| {
            rule.has_port(port)
                && match &rule.whom {
                    Whom::Addresses(network, bits) => is_in(address, *network, *bits),
                    Whom::All => !is_here,
                    _ => rule.names(host) && (!is_here || is_localhost(host)),
                }
        })
    }
}

impl fmt::Display for Destinations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::None => f.write_str("none"),
            Kind::Any => f.write_str("all"),
            Kind::Rules(rules) => {
                let rules: Vec<String> = rules.iter().map(ToString::to_string).collect();
                f.write_str(&rules.join(", "))
            }
        }
    }
}

fn is_localhost(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
}

/// Whether an address begins as another one does.
fn is_in(address: IpAddr, network: IpAddr, bits: u8) -> bool {
    match (address, network) {
        (IpAddr::V4(a), IpAddr::V4(b)) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(bits)).unwrap_or(0);
            Ipv4Addr::to_bits(a) & mask == Ipv4Addr::to_bits(b) & mask
        }
        (IpAddr::V6(a), IpAddr::V6(b)) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(bits)).unwrap_or(0);
            Ipv6Addr::to_bits(a) & mask == Ipv6Addr::to_bits(b) & mask
        }
        _ => false,
    }
}

/// One of those: a host's name, `*.` before a domain, an address or a network, or `*`; each with a
/// port or without.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rule {
    whom: Whom,
    port: Option<u16>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Whom {
    /// All but this machine.
    All,
    Name(String),
    /// A domain, with all below it and not itself.
    Below(String),
    /// An address, and how many of its bits count.
    Addresses(IpAddr, u8),
}

impl Rule {
    fn has_port(&self, port: u16) -> bool {
        self.port.is_none_or(|own| own == port)
    }

    fn names(&self, host: &str) -> bool {
        match &self.whom {
            Whom::All => true,
            Whom::Name(name) => host.eq_ignore_ascii_case(name),
            Whom::Below(domain) => {
                let split = host.len().checked_sub(domain.len() + 1);
                split.is_some_and(|split| {
                    split > 0
                        && host.as_bytes()[split] == b'.'
                        && host.as_bytes()[split + 1..].eq_ignore_ascii_case(domain.as_bytes())
                })
            }
            Whom::Addresses(..) => false,
        }
    }
}

impl FromStr for Rule {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Rule> {
        let wrong = || {
            format!(
                "`{text}` is no destination: expected a host, `*.domain`, an address or a network, \
                 as in `api.example.com:443`, `10.0.0.0/8`, `[::1]:8080`"
            )
        };
        let is_address = text.parse::<IpAddr>().is_ok() || text.matches(':').count() > 1;
        let (whom, port) = match text.rsplit_once(':') {
            Some((whom, port)) if !is_address || whom.ends_with(']') => {
                (whom, Some(port.parse().with_context(wrong)?))
            }
            _ => (text, None),
        };
        let bare = whom
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'));
        let bare = bare.unwrap_or(whom);
        let (address, bits) = match bare.split_once('/') {
            Some((address, bits)) => (address, Some(bits.parse::<u8>().with_context(wrong)?)),
            None => (bare, None),
        };
        let whom = match (address.parse::<IpAddr>(), bits) {
            (Ok(address), bits) => {
                let all = if address.is_ipv4() { 32 } else { 128 };
                let bits = bits.unwrap_or(all);
                ensure!(bits <= all, wrong());
                Whom::Addresses(address, bits)
            }
            (Err(_), None) if bare == "*" => Whom::All,
            (Err(_), None) => {
                let (domain, is_below) = match bare.strip_prefix("*.") {
                    Some(domain) => (domain, true),
                    None => (bare, false),
                };
                let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
                ensure!(!domain.is_empty() && domain.bytes().all(is_name), wrong());
                match is_below {
                    true => Whom::Below(domain.to_string()),
                    false => Whom::Name(domain.to_string()),
                }
            }
            (Err(_), Some(_)) => anyhow::bail!(wrong()),
        };
        Ok(Rule { whom, port })
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.whom {
            Whom::All => f.write_str("*")?,
            Whom::Name(name) => f.write_str(name)?,
            Whom::Below(domain) => write!(f, "*.{domain}")?,
            Whom::Addresses(address, bits) => {
                let is_one = *bits == if address.is_ipv4() { 32 } else { 128 };
                match (is_one, address.is_ipv6() && self.port.is_some()) {
                    (true, false) => write!(f, "{address}")?,
                    (true, true) => write!(f, "[{address}]")?,
                    (false, false) => write!(f, "{address}/{bits}")?,
                    (false, true) => write!(f, "[{address}/{bits}]")?,
                }
            }
        }
        match self.port {
            Some(port) => write!(f, ":{port}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn only(rules: &[&str]) -> Destinations {
        Destinations::only(rules.iter().map(|rule| rule.parse().unwrap()).collect())
    }

    #[test]
    fn rules_are_read_and_printed() {
        for text in [
            "*",
            "*:443",
            "example.com",
            "example.com:80",
            "*.example.com",
            "127.0.0.1",
            "127.0.0.1:80",
            "10.0.0.0/8",
            "10.0.0.0/8:80",
            "::1",
            "[::1]:8080",
            "fd00::/8",
            "[fd00::/8]:1",
        ] {
            assert_eq!(text.parse::<Rule>().unwrap().to_string(), text);
        }
        for text in [
            "",
            "*.",
            "a b",
            "a:b",
            "a:70000",
            "http://a",
            "10.0.0.0/33",
            "a/8",
            "::1/129",
            "*a",
        ] {
            let error = text.parse::<Rule>().unwrap_err();
            assert!(format!("{error:#}").contains("is no destination"), "{text}");
        }
    }

    #[test]
    fn what_no_rule_names_is_refused() {
        let cases: [(&[&str], &str, &str, u16, bool); 16] = [
            (&[], "a", "1.2.3.4", 80, false),
            (&["a"], "a", "1.2.3.4", 80, true),
            (&["A.b"], "a.B", "1.2.3.4", 80, true),
            (&["a:443"], "a", "1.2.3.4", 80, false),
            (&["b", "a:80"], "a", "1.2.3.4", 80, true),
            (&["*.a"], "b.a", "1.2.3.4", 80, true),
            (&["*.a"], "a", "1.2.3.4", 80, false),
            (&["*.a"], "ba", "1.2.3.4", 80, false),
            (&["a"], "a", "127.0.0.1", 80, false),
            (&["a"], "a", "::ffff:127.0.0.1", 80, false),
            (&["localhost"], "localhost", "127.0.0.1", 80, true),
            (&["127.0.0.1"], "a", "127.0.0.1", 80, true),
            (&["*"], "a", "1.2.3.4", 80, true),
            (&["*"], "a", "127.0.0.1", 80, false),
            (&["10.0.0.0/8"], "a", "10.200.0.1", 80, true),
            (&["10.0.0.0/8"], "a", "11.0.0.1", 80, false),
        ];
        for (rules, host, address, port, is_permitted) in cases {
            let destinations = only(rules);
            let address = address.parse().unwrap();
            let found = destinations.check_host(host, port).is_ok()
                && destinations.permits(host, address, port);
            assert_eq!(found, is_permitted, "{rules:?} {host} {address} {port}");
        }
        assert!(Destinations::none().check_host("a", 80).is_err());
        let any = Destinations::any();
        assert!(any.check_host("a", 80).is_ok());
        assert!(any.permits("a", "127.0.0.1".parse().unwrap(), 80));
    }
}
