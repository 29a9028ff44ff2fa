//! Whom outgoing requests may go to: [`Destinations`].

use crate::NetworkRule;
use crate::http::ErrorCode;
use std::fmt;
use std::net::IpAddr;

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
    Rules(Vec<NetworkRule>),
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
    pub fn only(rules: Vec<NetworkRule>) -> Destinations {
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
            Kind::Rules(rules) => rules.iter().any(|rule| {
                rule.has_port(port) && (rule.is_for_addresses() || rule.is_named(host))
            }),
        };
        is_permitted
            .then_some(())
            .ok_or(ErrorCode::HttpRequestDenied)
    }

    /// Whether an address that a host has is permitted.
    pub(crate) fn permits(&self, host: &str, address: IpAddr, port: u16) -> bool {
        let address = address.to_canonical();
        let rules = match &self.0 {
            Kind::None => return false,
            Kind::Any => return true,
            Kind::Rules(rules) => rules,
        };
        // The system takes an unspecified address for this machine.
        let mut rules = rules.iter().filter(|rule| rule.has_port(port));
        !address.is_unspecified()
            && rules
                .any(|rule| rule.is_of(address) || (!address.is_loopback() && rule.is_named(host)))
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

#[cfg(test)]
mod tests {
    use super::*;

    fn only(rules: &[&str]) -> Destinations {
        Destinations::only(rules.iter().map(|rule| rule.parse().unwrap()).collect())
    }

    #[test]
    fn what_no_rule_names_is_refused() {
        let cases: [(&[&str], &str, &str, u16, bool); 19] = [
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
            (&["*"], "a", "0.0.0.0", 80, false),
            (&["localhost"], "a", "127.0.0.1", 80, false),
            (&["a:80-90"], "a", "1.2.3.4", 90, true),
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
