//! `wasi:sockets`, refused: a guest gets the network as a value, and an error whenever it wants to use it.
//!
//! Language runtimes import sockets whether the program uses them or not; so that such programs run,
//! what makes sockets or looks up names answers `not-supported` or `access-denied`. Methods of sockets
//! are left to [`trampette_runtime::Linker::define_unknown_imports_as_traps_in`]: there are no sockets
//! to call them on.

use crate::context::WasiView;
use crate::interface;
use anyhow::Result;
use trampette_runtime::{ComponentType, Lift, Linker, Lower, Resource};

/// `error-code` of `wasi:sockets/network`.
#[derive(ComponentType, Lift, Lower, Clone, Copy, PartialEq, Eq, Debug)]
#[component(enum)]
#[allow(missing_docs)]
pub enum SocketErrorCode {
    Unknown,
    AccessDenied,
    NotSupported,
    InvalidArgument,
    OutOfMemory,
    Timeout,
    ConcurrencyConflict,
    NotInProgress,
    WouldBlock,
    InvalidState,
    NewSocketLimit,
    AddressNotBindable,
    AddressInUse,
    RemoteUnreachable,
    ConnectionRefused,
    ConnectionReset,
    ConnectionAborted,
    DatagramTooLarge,
    NameUnresolvable,
    TemporaryResolverFailure,
    PermanentResolverFailure,
}

/// `ip-address-family`.
#[derive(ComponentType, Lift, Lower, Clone, Copy, PartialEq, Eq, Debug)]
#[component(enum)]
#[allow(missing_docs)]
pub enum IpAddressFamily {
    Ipv4,
    Ipv6,
}

/// `network`: it gives access to nothing.
pub struct Network;
/// `tcp-socket`: there are none.
pub enum TcpSocket {}
/// `udp-socket`: there are none.
pub enum UdpSocket {}
/// `resolve-address-stream`: there are none.
pub enum ResolveAddressStream {}

/// The type of a function that would make an `R`.
type Refused<R> = Result<Resource<R>, SocketErrorCode>;

pub(crate) fn add_to_linker<T: WasiView>(linker: &mut Linker<T>) -> Result<()> {
    linker
        .instance(&interface("sockets/network"))?
        .resource::<Network>("network", |mut caller, rep| {
            caller
                .data_mut()
                .wasi()
                .table
                .delete(Resource::<Network>::new(rep))?;
            Ok(())
        })?;
    linker
        .instance(&interface("sockets/instance-network"))?
        .func_wrap::<(), Resource<Network>, _>("instance-network", |mut caller, ()| {
            Ok(caller.data_mut().wasi().table.push(Network)?)
        })?;
    linker
        .instance(&interface("sockets/tcp"))?
        .resource::<TcpSocket>("tcp-socket", |_, _| Ok(()))?;
    linker
        .instance(&interface("sockets/tcp-create-socket"))?
        .func_wrap::<(IpAddressFamily,), Refused<TcpSocket>, _>("create-tcp-socket", |_, _| {
            Ok(Err(SocketErrorCode::NotSupported))
        })?;
    linker
        .instance(&interface("sockets/udp"))?
        .resource::<UdpSocket>("udp-socket", |_, _| Ok(()))?;
    linker
        .instance(&interface("sockets/udp-create-socket"))?
        .func_wrap::<(IpAddressFamily,), Refused<UdpSocket>, _>("create-udp-socket", |_, _| {
            Ok(Err(SocketErrorCode::NotSupported))
        })?;
    let mut lookup = linker.instance(&interface("sockets/ip-name-lookup"))?;
    lookup.resource::<ResolveAddressStream>("resolve-address-stream", |_, _| Ok(()))?;
    lookup.func_wrap::<(Resource<Network>, String), Refused<ResolveAddressStream>, _>(
        "resolve-addresses",
        |_, _| Ok(Err(SocketErrorCode::AccessDenied)),
    )
}
