//! `wasi:http` of WASI 0.2 and 0.3: requests that guests send, and those that they serve.
//!
//! What a guest may send where is in its [`WasiCtx`](crate::WasiCtx): nothing, unless
//! [`WasiCtxBuilder::http`](crate::WasiCtxBuilder::http) says more. A [`Service`] calls a component
//! that serves HTTP, of either version; `examples/http_server.rs` is a server around it, and
//! `examples/middleware.rs` has a middleware before a service.
//!
//! | what | is |
//! | --- | --- |
//! | [`HttpCtx`] | what a guest may do: whom it may ask, what it may make the host keep |
//! | [`Client`], [`Destinations`] | sends requests over the network, to those who are permitted |
//! | [`SendRequest`] | a hook: whatever answers requests of guests |
//! | [`Service`] | serves requests with instances of a component |
//! | [`SharedWorker`] | an instance that serves several at once |

// | file | subject |
// | --- | --- |
// | `fields.rs`, `message.rs` | headers and trailers; methods, schemes, authorities, paths, times |
// | `body.rs` | bodies that guests write and read |
// | `errors.rs` | what goes wrong on a connection, as codes |
// | `policy.rs` | whom requests may go to |
// | `client.rs` | sends them |
// | `background.rs` | where connections go on |
// | `context.rs` | what a guest may do |
// | `service.rs` | calls a component that serves HTTP |
// | `shared.rs` | … with an instance for several requests at once |
// | `p2`, `p3` | the interfaces of 0.2 and 0.3 |

mod background;
mod body;
mod client;
mod context;
mod errors;
mod fields;
mod message;
pub(crate) mod p2;
pub(crate) mod p3;
mod policy;
mod service;
mod shared;

pub use body::Body;
pub use client::{Client, SendRequest, Sending};
pub use context::HttpCtx;
pub use message::RequestOptions;
pub use p3::bindings::wasi::http::types::ErrorCode;
pub use policy::Destinations;
pub use service::{Answer, Connection, Rest, ServeError, Service, ServiceKind, Worker};
pub use shared::{Ending, SharedAnswer, SharedRest, SharedWorker};

use crate::WasiView;
use anyhow::Result;
use trampette_runtime::Linker;

/// Registers `wasi:http` of 0.2: the types and the outgoing handler.
///
/// ```
/// use trampette_runtime::Linker;
/// use trampette_wasi::WasiCtx;
///
/// let mut linker = Linker::<WasiCtx>::new();
/// trampette_wasi::add_to_linker(&mut linker)?;
/// trampette_wasi::http::add_to_linker_0_2(&mut linker)?;
/// trampette_wasi::http::add_to_linker_0_3(&mut linker)?;
/// # anyhow::Ok(())
/// ```
///
/// # Errors
/// If an interface is registered already.
pub fn add_to_linker_0_2<T: WasiView>(linker: &mut Linker<T>) -> Result<()> {
    p2::bindings::Interfaces::add_to_linker(linker, T::wasi)
}

/// Registers `wasi:http` of 0.3: the types, the client, and the handler that a middleware passes
/// requests to ([`HttpCtx::next_handler`]; without one it sends them like the client).
///
/// # Errors
/// If an interface is registered already.
pub fn add_to_linker_0_3<T: WasiView>(linker: &mut Linker<T>) -> Result<()> {
    p3::bindings::Interfaces::add_to_linker(linker, T::wasi)
}
