//! `wasi:sockets`, refused: a guest gets the network as a value, and an error whenever it wants to
//! use it.
//!
//! Language runtimes import sockets whether the program uses them or not; so that such programs
//! run, what makes sockets or looks up names answers `not-supported` or `access-denied`. Methods of
//! sockets are left to [`trampette_runtime::Linker::define_unknown_imports_as_traps_in`]: there are
//! no sockets to call them on.

use crate::common::context::WasiCtx;
use crate::p2::bindings::wasi::sockets;
use crate::p2::bindings::wasi::sockets::ip_name_lookup::ResolveAddressStream;
use crate::p2::bindings::wasi::sockets::network::{ErrorCode, IpAddressFamily};
use crate::p2::bindings::wasi::sockets::tcp::TcpSocket;
use crate::p2::bindings::wasi::sockets::udp::UdpSocket;
use anyhow::Result;
use trampette_runtime::Resource;

/// `network`: it gives access to nothing.
pub(crate) struct Network;

/// The result of a function that would make an `R`.
type Refused<R> = Result<Result<Resource<R>, ErrorCode>>;

impl sockets::network::Host for WasiCtx {}
impl sockets::network::HostNetwork for WasiCtx {
    fn drop(&mut self, network: Resource<Network>) -> Result<()> {
        self.give_up(network)
    }
}

impl sockets::instance_network::Host for WasiCtx {
    fn instance_network(&mut self) -> Result<Resource<Network>> {
        Ok(self.table.push(Network)?)
    }
}

impl sockets::tcp::Host for WasiCtx {}

impl sockets::tcp_create_socket::Host for WasiCtx {
    fn create_tcp_socket(&mut self, _: IpAddressFamily) -> Refused<TcpSocket> {
        Ok(Err(ErrorCode::NotSupported))
    }
}

impl sockets::udp::Host for WasiCtx {}

impl sockets::udp_create_socket::Host for WasiCtx {
    fn create_udp_socket(&mut self, _: IpAddressFamily) -> Refused<UdpSocket> {
        Ok(Err(ErrorCode::NotSupported))
    }
}

impl sockets::ip_name_lookup::Host for WasiCtx {
    fn resolve_addresses(
        &mut self,
        _: Resource<Network>,
        _: &str,
    ) -> Refused<ResolveAddressStream> {
        Ok(Err(ErrorCode::AccessDenied))
    }
}
