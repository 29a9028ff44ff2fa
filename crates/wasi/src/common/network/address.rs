//! Addresses of WASI as the system's, and which of them make sense.

use crate::common::network::error::NetError;
use rustix::net::{AddressFamily, SocketAddrAny};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// The family of a socket's addresses.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Family {
    Ipv4,
    Ipv6,
}

impl Family {
    pub(crate) fn domain(self) -> AddressFamily {
        match self {
            Family::Ipv4 => AddressFamily::INET,
            Family::Ipv6 => AddressFamily::INET6,
        }
    }

    /// Tests that an address is one of the family, and of one host: not of many, nor of the other
    /// family in disguise.
    pub(crate) fn check(self, address: &SocketAddr) -> Result<(), NetError> {
        let is_good = match (self, address.ip()) {
            (Family::Ipv4, IpAddr::V4(ip)) => !ip.is_multicast() && ip != Ipv4Addr::BROADCAST,
            (Family::Ipv6, IpAddr::V6(ip)) => !ip.is_multicast() && ip.to_ipv4_mapped().is_none(),
            _ => false,
        };
        is_good.then_some(()).ok_or(NetError::InvalidArgument)
    }

    /// Tests that an address is one that can be connected or sent to.
    pub(crate) fn check_remote(self, address: &SocketAddr) -> Result<(), NetError> {
        self.check(address)?;
        match address.ip().is_unspecified() || address.port() == 0 {
            true => Err(NetError::InvalidArgument),
            false => Ok(()),
        }
    }
}

/// An address that the system gave.
pub(crate) fn of_system(address: SocketAddrAny) -> Result<SocketAddr, NetError> {
    SocketAddr::try_from(address).map_err(|_| NetError::Other)
}

/// Conversions for the types of one version: those of the module are in scope.
macro_rules! conversions {
    () => {
        impl From<IpAddressFamily> for $crate::common::network::address::Family {
            fn from(family: IpAddressFamily) -> Self {
                match family {
                    IpAddressFamily::Ipv4 => Self::Ipv4,
                    IpAddressFamily::Ipv6 => Self::Ipv6,
                }
            }
        }

        impl From<$crate::common::network::address::Family> for IpAddressFamily {
            fn from(family: $crate::common::network::address::Family) -> Self {
                match family {
                    $crate::common::network::address::Family::Ipv4 => Self::Ipv4,
                    $crate::common::network::address::Family::Ipv6 => Self::Ipv6,
                }
            }
        }

        impl From<std::net::IpAddr> for IpAddress {
            fn from(address: std::net::IpAddr) -> Self {
                match address {
                    std::net::IpAddr::V4(ip) => IpAddress::Ipv4(ip.octets().into()),
                    std::net::IpAddr::V6(ip) => IpAddress::Ipv6(ip.segments().into()),
                }
            }
        }

        impl From<IpSocketAddress> for std::net::SocketAddr {
            fn from(address: IpSocketAddress) -> Self {
                match address {
                    IpSocketAddress::Ipv4(Ipv4SocketAddress { port, address }) => {
                        let ip: [u8; 4] = address.into();
                        (ip, port).into()
                    }
                    IpSocketAddress::Ipv6(Ipv6SocketAddress {
                        port,
                        flow_info,
                        address,
                        scope_id,
                    }) => {
                        let ip: [u16; 8] = address.into();
                        std::net::SocketAddrV6::new(ip.into(), port, flow_info, scope_id).into()
                    }
                }
            }
        }

        impl From<std::net::SocketAddr> for IpSocketAddress {
            fn from(address: std::net::SocketAddr) -> Self {
                let port = address.port();
                match address {
                    std::net::SocketAddr::V4(v4) => IpSocketAddress::Ipv4(Ipv4SocketAddress {
                        port,
                        address: v4.ip().octets().into(),
                    }),
                    std::net::SocketAddr::V6(v6) => IpSocketAddress::Ipv6(Ipv6SocketAddress {
                        port,
                        flow_info: v6.flowinfo(),
                        address: v6.ip().segments().into(),
                        scope_id: v6.scope_id(),
                    }),
                }
            }
        }
    };
}
pub(crate) use conversions;
