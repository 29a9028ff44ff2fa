//! `wasi:sockets`: what its interfaces share, and the addresses of names. TCP and UDP have files of
//! their own.

use crate::common::context::WasiCtx;
use crate::common::failure;
use crate::common::network::address::conversions;
use crate::common::network::error::NetError;
use crate::common::network::lookup::{self, Wanted};
use crate::common::stdio::lock;
use crate::p2::bindings::wasi::sockets::network::{
    self, ConvertErrorCode, ErrorCode, IpAddress, IpAddressFamily, IpSocketAddress,
    Ipv4SocketAddress, Ipv6SocketAddress,
};
use crate::p2::bindings::wasi::sockets::{instance_network, ip_name_lookup};
use crate::p2::io::{Pollable, Readiness};
use anyhow::Result;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex};
use trampette_runtime::Resource;

/// `network`: what it gives access to is for the context's rules to say.
pub(crate) struct Network;

conversions!();

impl From<NetError> for ErrorCode {
    fn from(error: NetError) -> ErrorCode {
        match error {
            NetError::AccessDenied => ErrorCode::AccessDenied,
            NetError::NotSupported => ErrorCode::NotSupported,
            NetError::InvalidArgument => ErrorCode::InvalidArgument,
            NetError::OutOfMemory => ErrorCode::OutOfMemory,
            NetError::Timeout => ErrorCode::Timeout,
            NetError::ConcurrencyConflict => ErrorCode::ConcurrencyConflict,
            NetError::NotInProgress => ErrorCode::NotInProgress,
            NetError::WouldBlock => ErrorCode::WouldBlock,
            NetError::InvalidState => ErrorCode::InvalidState,
            NetError::NewSocketLimit => ErrorCode::NewSocketLimit,
            NetError::AddressNotBindable => ErrorCode::AddressNotBindable,
            NetError::AddressInUse => ErrorCode::AddressInUse,
            NetError::RemoteUnreachable => ErrorCode::RemoteUnreachable,
            NetError::ConnectionRefused => ErrorCode::ConnectionRefused,
            NetError::ConnectionReset | NetError::ConnectionBroken => ErrorCode::ConnectionReset,
            NetError::ConnectionAborted => ErrorCode::ConnectionAborted,
            NetError::DatagramTooLarge => ErrorCode::DatagramTooLarge,
            NetError::NameUnresolvable => ErrorCode::NameUnresolvable,
            NetError::TemporaryResolverFailure => ErrorCode::TemporaryResolverFailure,
            NetError::PermanentResolverFailure => ErrorCode::PermanentResolverFailure,
            NetError::Other => ErrorCode::Unknown,
        }
    }
}

/// Why a function of `wasi:sockets` fails.
pub(crate) type Failure = failure::Failure<NetError>;

pub(crate) type Fallible<R> = Result<R, Failure>;

impl ConvertErrorCode for WasiCtx {
    fn convert_error_code(&mut self, failure: Failure) -> Result<ErrorCode> {
        Ok(failure.into_code()?.into())
    }
}

impl network::Host for WasiCtx {}
impl network::HostNetwork for WasiCtx {
    fn drop(&mut self, network: Resource<Network>) -> Result<()> {
        self.give_up(network)
    }
}

impl instance_network::Host for WasiCtx {
    fn instance_network(&mut self) -> Result<Resource<Network>> {
        Ok(self.table.push(Network)?)
    }
}

/// `resolve-address-stream`: addresses that were found, or will be.
pub(crate) struct Addresses {
    found: Arc<Mutex<Option<Found>>>,
    /// Readable when there is an answer; `None` if there was one at once.
    answered: Option<Arc<OwnedFd>>,
}

type Found = Result<std::vec::IntoIter<std::net::IpAddr>, NetError>;

impl ip_name_lookup::Host for WasiCtx {
    fn resolve_addresses(
        &mut self,
        _: Resource<Network>,
        name: &str,
    ) -> Fallible<Resource<Addresses>> {
        let (found, answered) = match Wanted::parse(name)? {
            Wanted::Address(address) => (Some(Ok(vec![address].into_iter())), None),
            Wanted::Name(name) => {
                self.network.check_name(&name)?;
                let (answered, answers) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)
                    .map_err(NetError::from)?;
                let found = Arc::new(Mutex::new(None));
                let (place, network) = (found.clone(), self.network.clone());
                let ask = move || {
                    let result = lookup::resolve(&name).map(|addresses| {
                        network.remember(&name, &addresses);
                        addresses.into_iter()
                    });
                    *lock(&place) = Some(result);
                    drop(answers);
                };
                drop(self.reaction.run_blocking(ask));
                let answered = Some(Arc::new(answered));
                return Ok(self.table.push(Addresses { found, answered })?);
            }
        };
        let found = Arc::new(Mutex::new(found));
        Ok(self.table.push(Addresses { found, answered })?)
    }
}

impl ip_name_lookup::HostResolveAddressStream for WasiCtx {
    fn resolve_next_address(&mut self, this: Resource<Addresses>) -> Fallible<Option<IpAddress>> {
        let addresses = self.table.get(&this)?;
        match &mut *lock(&addresses.found) {
            None => Err(NetError::WouldBlock.into()),
            Some(Ok(found)) => Ok(found.next().map(IpAddress::from)),
            Some(Err(error)) => Err((*error).into()),
        }
    }

    fn subscribe(&mut self, this: Resource<Addresses>) -> Result<Resource<Pollable>> {
        let readiness = match &self.table.get(&this)?.answered {
            None => Readiness::Ready,
            Some(answered) => Readiness::Answer(answered.clone()),
        };
        Ok(self.table.push(Pollable(readiness))?)
    }

    fn drop(&mut self, this: Resource<Addresses>) -> Result<()> {
        self.give_up(this)
    }
}
