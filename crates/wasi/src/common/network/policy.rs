//! What of the network a guest may reach. Without a rule that permits it, nothing: no address, no
//! name, no port to listen at.

use crate::common::network::error::NetError;
use crate::common::network::lookup::Wanted;
use crate::common::stdio::lock;
use anyhow::{Context, Result, bail, ensure};
use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::sync::{Arc, Mutex};

/// Permits a guest to reach a part of the network, and to be reached at it: `TARGET[:PORTS]`.
///
/// | target | is |
/// | --- | --- |
/// | `*` | every address and name, except loopback |
/// | `10.0.0.0/8`, `192.0.2.7`, `[2001:db8::]/32` | addresses |
/// | `example.com`, `*.example.com` | names, and the addresses that they are found to have |
/// | `localhost` | that name, and all of loopback |
///
/// Names beyond ASCII are those of their ASCII forms: `bücher.example` is `xn--bcher-kva.example`.
///
/// Ports are one, `80`, or a range, `8000-8999`; all without them. Loopback is reached only by
/// rules that name it: `localhost` or its addresses. Listening at all addresses of the machine
/// (`0.0.0.0`, `[::]`) takes `*` or that address.
///
/// ```
/// use trampette_wasi::{NetworkRule, WasiCtxBuilder};
///
/// let rule: NetworkRule = "api.example.com:443".parse()?;
/// let wasi = WasiCtxBuilder::new().allow_network(rule).build();
/// # let _ = wasi;
/// # anyhow::Ok(())
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NetworkRule {
    target: Target,
    /// The first and the last.
    ports: (u16, u16),
    text: String,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Target {
    /// Everything, loopback too.
    All,
    /// Everything but loopback.
    Any,
    Addresses {
        network: IpAddr,
        prefix: u8,
    },
    Name(String),
    /// All names below this one.
    Below(String),
    Localhost,
}

const ALL_PORTS: (u16, u16) = (0, u16::MAX);

impl NetworkRule {
    /// Whether a port is among those of the rule.
    pub(crate) fn has_port(&self, port: u16) -> bool {
        (self.ports.0..=self.ports.1).contains(&port)
    }

    /// Whether the rule permits an address, whatever name led there.
    pub(crate) fn is_of(&self, address: IpAddr) -> bool {
        self.target.is_of(address.to_canonical())
    }

    /// Whether the rule is for addresses rather than for names.
    #[cfg(feature = "http")]
    pub(crate) fn is_for_addresses(&self) -> bool {
        matches!(self.target, Target::Addresses { .. })
    }

    /// Whether the rule permits a name to be looked up, or gone to.
    pub(crate) fn is_named(&self, name: &str) -> bool {
        self.target.is_named(&name.to_ascii_lowercase())
    }
}

impl FromStr for NetworkRule {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<NetworkRule> {
        let (target, ports) = split(text)?;
        let ports = match ports {
            None => ALL_PORTS,
            Some(ports) => {
                let (first, last) = ports.split_once('-').unwrap_or((ports, ports));
                let port = |text: &str| text.parse::<u16>().ok().filter(|port| *port > 0);
                let ports = port(first)
                    .zip(port(last))
                    .filter(|(first, last)| first <= last);
                ports.context("expected a port such as 80, or ports such as 8000-8999")?
            }
        };
        Ok(NetworkRule {
            target: Target::parse(target)?,
            ports,
            text: text.to_string(),
        })
    }
}

/// The target and the ports.
fn split(text: &str) -> Result<(&str, Option<&str>)> {
    ensure!(!text.is_empty(), "expected an address, a name or `*`");
    let after_brackets = text.rfind(']').map_or(0, |at| at + 1);
    Ok(match text[after_brackets..].rfind(':') {
        // An address of version 6 without brackets has no port.
        Some(_) if after_brackets == 0 && text.matches(':').count() > 1 => (text, None),
        Some(at) => {
            let at = after_brackets + at;
            (&text[..at], Some(&text[at + 1..]))
        }
        None => (text, None),
    })
}

impl Target {
    fn parse(text: &str) -> Result<Target> {
        if text == "*" {
            return Ok(Target::Any);
        }
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        if let Ok(Wanted::Address(network)) = Wanted::parse(address) {
            let most = match network {
                IpAddr::V4(_) => 32,
                IpAddr::V6(_) => 128,
            };
            let prefix = prefix.map_or(Some(most), |prefix| prefix.parse().ok());
            let prefix = prefix.filter(|prefix| *prefix <= most);
            let prefix = prefix.with_context(|| format!("a prefix has at most {most} bits"))?;
            return Ok(Target::Addresses { network, prefix });
        }
        let (below, name) = match text.strip_prefix("*.") {
            Some(name) => (true, name),
            None => (false, text),
        };
        match Wanted::parse(name) {
            Ok(Wanted::Name(name)) if below => Ok(Target::Below(name)),
            // However it is written.
            Ok(Wanted::Name(name)) if name == "localhost" => Ok(Target::Localhost),
            Ok(Wanted::Name(name)) => Ok(Target::Name(name)),
            _ => bail!("expected an address, a name or `*`"),
        }
    }

    fn is_of(&self, address: IpAddr) -> bool {
        match self {
            Target::All => true,
            Target::Any => !address.is_loopback(),
            Target::Localhost => address.is_loopback(),
            Target::Addresses { network, prefix } => match (network, address) {
                (IpAddr::V4(network), IpAddr::V4(ip)) => {
                    let differ = network.to_bits() ^ ip.to_bits();
                    // All loopback addresses are in a `/0`, but nobody asked for them.
                    differ.leading_zeros() >= u32::from(*prefix)
                        && (!ip.is_loopback() || network.is_loopback())
                }
                (IpAddr::V6(network), IpAddr::V6(ip)) => {
                    let differ = network.to_bits() ^ ip.to_bits();
                    differ.leading_zeros() >= u32::from(*prefix)
                        && (!ip.is_loopback() || network.is_loopback())
                }
                _ => false,
            },
            // By way of what the names were found to have.
            Target::Name(_) | Target::Below(_) => false,
        }
    }

    fn is_named(&self, name: &str) -> bool {
        match self {
            Target::All => true,
            Target::Any => name != "localhost",
            Target::Localhost => name == "localhost",
            Target::Name(own) => own == name,
            Target::Below(own) => {
                let below = name.strip_suffix(own.as_str());
                below.is_some_and(|start| start.len() > 1 && start.ends_with('.'))
            }
            Target::Addresses { .. } => false,
        }
    }
}

impl fmt::Display for NetworkRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// What a guest wants to do with an address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Use {
    Connect,
    Bind,
}

/// What was refused to a guest, and the rule that would permit it. Its text says both.
///
/// ```
/// use trampette_wasi::{NetworkRefusal, WasiCtxBuilder};
///
/// let log = |refusal: &NetworkRefusal| eprintln!("{refusal}; `{}` would", refusal.rule());
/// let wasi = WasiCtxBuilder::new().on_network_refusal(log).build();
/// # let _ = wasi;
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NetworkRefusal {
    what: String,
    rule: String,
}

impl NetworkRefusal {
    /// The narrowest rule that would permit it.
    pub fn rule(&self) -> &str {
        &self.rule
    }
}

impl fmt::Display for NetworkRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no rule of the network lets the guest {}", self.what)
    }
}

impl std::error::Error for NetworkRefusal {}

/// Addresses that are remembered of names, at most.
const MOST_FOUND: usize = 4096;

/// What is told of refusals.
type Tell = dyn Fn(&NetworkRefusal) + Send + Sync;

/// The network as a guest has it.
#[derive(Clone, Default)]
pub(crate) struct Network {
    rules: Arc<Vec<NetworkRule>>,
    /// Addresses that names were found to have, and the rules of those names.
    found: Arc<Mutex<HashMap<IpAddr, Vec<usize>>>>,
    on_refusal: Option<Arc<Tell>>,
}

impl Network {
    /// Permits everything.
    pub(crate) fn inherit(&mut self) {
        self.allow(NetworkRule {
            target: Target::All,
            ports: ALL_PORTS,
            text: "*".to_string(),
        });
    }

    pub(crate) fn allow(&mut self, rule: NetworkRule) {
        Arc::make_mut(&mut self.rules).push(rule);
    }

    pub(crate) fn on_refusal(&mut self, f: impl Fn(&NetworkRefusal) + Send + Sync + 'static) {
        self.on_refusal = Some(Arc::new(f));
    }

    /// Whether something is permitted.
    pub(crate) fn permits(&self, how: Use, address: SocketAddr) -> bool {
        let (ip, port) = (address.ip(), address.port());
        let mut rules = self.rules.iter();
        if rules.any(|rule| rule.has_port(port) && rule.is_of(ip)) {
            return true;
        }
        let found = lock(&self.found);
        let rules = found.get(&ip).map_or(&[][..], |rules| rules);
        // A name is a place to go to, and none to be found at.
        how == Use::Connect && rules.iter().any(|rule| self.rules[*rule].has_port(port))
    }

    /// # Errors
    /// If no rule permits it, which the host is told too.
    pub(crate) fn check(&self, how: Use, address: SocketAddr) -> Result<(), NetError> {
        if self.permits(how, address) {
            return Ok(());
        }
        let what = match how {
            Use::Connect => "reach",
            Use::Bind => "be reached at",
        };
        let rule = match address.port() {
            0 => SocketAddr::new(address.ip(), 1)
                .to_string()
                .trim_end_matches(":1")
                .to_string(),
            _ => address.to_string(),
        };
        Err(self.refuse(format!("{what} {address}"), rule))
    }

    /// # Errors
    /// As [`Network::check`], of a name that is to be looked up.
    pub(crate) fn check_name(&self, name: &str) -> Result<(), NetError> {
        match self.rules.iter().any(|rule| rule.is_named(name)) {
            true => Ok(()),
            false => Err(self.refuse(format!("look up {name}"), name.to_string())),
        }
    }

    fn refuse(&self, what: String, rule: String) -> NetError {
        if let Some(tell) = &self.on_refusal {
            tell(&NetworkRefusal { what, rule });
        }
        NetError::AccessDenied
    }

    /// Remembers what a name was found to have. Loopback is reached by rules that name it, and not
    /// because a name leads there.
    pub(crate) fn remember(&self, name: &str, addresses: &[IpAddr]) {
        let named = self.rules.iter().enumerate();
        let named = named.filter(|(_, rule)| rule.is_named(name));
        let named: Vec<usize> = named.map(|(index, _)| index).collect();
        let mut found = lock(&self.found);
        for address in addresses.iter().filter(|address| !address.is_loopback()) {
            if found.len() >= MOST_FOUND {
                found.clear();
            }
            let rules = found.entry(*address).or_default();
            rules.extend(&named);
            rules.sort_unstable();
            rules.dedup();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(rules: &[&str]) -> Network {
        let mut network = Network::default();
        for rule in rules {
            network.allow(rule.parse().unwrap());
        }
        network
    }

    /// Rules, an address, and whether it may be connected to, and bound.
    const CASES: &[(&[&str], &str, bool, bool)] = &[
        (&[], "192.0.2.1:80", false, false),
        (&[], "127.0.0.1:80", false, false),
        (&["*"], "192.0.2.1:80", true, true),
        (&["*"], "[2001:db8::1]:80", true, true),
        (&["*"], "0.0.0.0:0", true, true),
        (&["*"], "127.0.0.1:80", false, false),
        (&["*"], "127.9.9.9:80", false, false),
        (&["*"], "[::1]:80", false, false),
        (&["*"], "[::ffff:127.0.0.1]:80", false, false),
        (&["*:80"], "192.0.2.1:80", true, true),
        (&["*:80"], "192.0.2.1:81", false, false),
        (&["*:80"], "192.0.2.1:0", false, false),
        (&["*:80-90"], "192.0.2.1:90", true, true),
        (&["*:80-90"], "192.0.2.1:91", false, false),
        (&["192.0.2.1"], "192.0.2.1:1", true, true),
        (&["192.0.2.1"], "192.0.2.2:1", false, false),
        (&["192.0.2.1"], "0.0.0.0:0", false, false),
        (&["192.0.2.0/24"], "192.0.2.255:1", true, true),
        (&["192.0.2.0/24"], "192.0.3.0:1", false, false),
        (&["192.0.2.0/24:443"], "192.0.2.9:443", true, true),
        (&["192.0.2.0/24:443"], "192.0.2.9:80", false, false),
        (&["0.0.0.0/0"], "8.8.8.8:53", true, true),
        (&["0.0.0.0/0"], "127.0.0.1:53", false, false),
        (&["0.0.0.0/0"], "[2001:db8::1]:53", false, false),
        (&["::/0"], "[::1]:53", false, false),
        (&["2001:db8::/32"], "[2001:db8::1]:53", true, true),
        (&["[2001:db8::]/32:53"], "[2001:db8::1]:53", true, true),
        (&["[2001:db8::]/32:53"], "[2001:db8::1]:54", false, false),
        (&["localhost"], "127.0.0.1:80", true, true),
        (&["localhost:80"], "[::1]:80", true, true),
        (&["localhost:80"], "[::1]:81", false, false),
        (&["localhost"], "192.0.2.1:80", false, false),
        (&["127.0.0.1:80"], "127.0.0.1:80", true, true),
        (&["127.0.0.0/8"], "127.1.2.3:80", true, true),
        (&["example.com"], "192.0.2.1:80", false, false),
        (&["*:1", "192.0.2.1:2"], "192.0.2.1:2", true, true),
    ];

    #[test]
    fn addresses_are_reached_by_rules() {
        for (rules, address, connect, bind) in CASES {
            let network = network(rules);
            let to: SocketAddr = address.parse().unwrap();
            assert_eq!(
                network.permits(Use::Connect, to),
                *connect,
                "{rules:?} {address}"
            );
            assert_eq!(network.permits(Use::Bind, to), *bind, "{rules:?} {address}");
        }
        let mut all = network(&[]);
        all.inherit();
        assert!(all.permits(Use::Connect, "127.0.0.1:1".parse().unwrap()));
        assert!(all.check_name("localhost").is_ok());
    }

    #[test]
    fn names_lead_to_what_they_were_found_to_have() {
        let names = network(&["example.com:443", "*.test:80", "Bücher.example"]);
        for (name, is_permitted) in [
            ("example.com", true),
            ("a.example.com", false),
            ("example.com.evil", false),
            ("a.test", true),
            ("a.b.test", true),
            ("test", false),
            ("atest", false),
            ("localhost", false),
            ("xn--bcher-kva.example", true),
            ("a.xn--bcher-kva.example", false),
        ] {
            assert_eq!(names.check_name(name).is_ok(), is_permitted, "{name}");
        }
        let found = ["192.0.2.1".parse().unwrap(), "127.0.0.1".parse().unwrap()];
        names.remember("example.com", &found);
        for (address, connect) in [
            ("192.0.2.1:443", true),
            ("192.0.2.1:80", false),
            ("192.0.2.2:443", false),
            ("127.0.0.1:443", false),
        ] {
            let address = address.parse().unwrap();
            assert_eq!(names.permits(Use::Connect, address), connect, "{address}");
            assert!(!names.permits(Use::Bind, address), "{address}");
        }
        assert!(network(&["*"]).check_name("localhost").is_err());
        for localhost in ["localhost", "LocalHost.", "ｌocalhost"] {
            let network = network(&[localhost]);
            assert!(network.check_name("localhost").is_ok(), "{localhost}");
            assert!(network.permits(Use::Connect, "127.0.0.1:1".parse().unwrap()));
        }
        assert!(network(&["192.0.2.1"]).check_name("example.com").is_err());
    }

    #[test]
    fn a_refusal_names_the_rule_that_is_missing() {
        let mut network = network(&["192.0.2.1"]);
        let told = Arc::new(Mutex::new(Vec::new()));
        let tell = told.clone();
        network.on_refusal(move |refusal| {
            let text = format!("{refusal}: {}", refusal.rule());
            tell.lock().unwrap().push(text);
        });
        for (how, address) in [
            (Use::Connect, "192.0.2.1:1"),
            (Use::Connect, "[::1]:80"),
            (Use::Bind, "0.0.0.0:0"),
        ] {
            let _ = network.check(how, address.parse().unwrap());
        }
        let _ = network.check_name("example.com");
        let told = told.lock().unwrap();
        let no = "no rule of the network lets the guest";
        assert_eq!(
            told[..],
            [
                format!("{no} reach [::1]:80: [::1]:80"),
                format!("{no} be reached at 0.0.0.0:0: 0.0.0.0"),
                format!("{no} look up example.com: example.com"),
            ]
        );
    }

    #[test]
    fn what_is_no_rule_is_refused() {
        for text in [
            "",
            ":",
            ":80",
            "*:",
            "*:0",
            "*:80-",
            "*:90-80",
            "*:65536",
            "a b",
            "*.",
            "*.*",
            "a*",
            "192.0.2.1/33",
            "192.0.2.1/x",
            "::1/129",
            "[::1]x",
            "http://a",
            "a/8",
        ] {
            assert!(text.parse::<NetworkRule>().is_err(), "{text}");
        }
        for text in ["*", "a", "*.a:1-2", "::1", "[::1]:80", "10.0.0.0/8:1"] {
            assert_eq!(text.parse::<NetworkRule>().unwrap().to_string(), text);
        }
    }
}
