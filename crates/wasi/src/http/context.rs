//! What a guest may do by HTTP: [`HttpCtx`].

use crate::common::quota::Quota;
use crate::http::ErrorCode;
use crate::http::background::{self, Task};
use crate::http::body::Body;
use crate::http::client::{Client, SendRequest, no_runtime};
use crate::http::message::RequestOptions;
use crate::http::policy::Destinations;
use bytes::Bytes;
use http::{Request, Response};
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// What a guest may do by HTTP. By default it may send no requests, though the interfaces are
/// there: each is refused, with the code `HTTP-request-denied`.
///
/// ```
/// use trampette_wasi::WasiCtxBuilder;
/// use trampette_wasi::http::{Client, Destinations, HttpCtx};
///
/// let destinations = Destinations::only(vec!["api.example.com:443".parse()?]);
/// let http = HttpCtx::new().client(Client::new(destinations)).max_buffered_bytes(8 << 20);
/// let wasi = WasiCtxBuilder::new().http(http).build();
/// # let _ = wasi;
/// # anyhow::Ok(())
/// ```
#[derive(Clone)]
pub struct HttpCtx {
    sender: Option<Arc<dyn SendRequest>>,
    /// Whom a middleware passes requests on to, if not to that.
    next: Option<Arc<dyn SendRequest>>,
    quota: Quota,
    requests: Arc<Semaphore>,
}

/// The interface that a guest sends a request by.
#[derive(Clone, Copy)]
pub(crate) enum Way {
    /// `wasi:http/client`, and `outgoing-handler` of 0.2.
    Client,
    /// `wasi:http/handler`.
    Handler,
}

impl HttpCtx {
    /// Bytes of fields and bodies, if the host does not say.
    const BYTES: usize = 64 << 20;
    /// Requests that are under way at once, if the host does not say.
    const REQUESTS: usize = 128;

    /// A context whose guest may send no requests.
    pub fn new() -> HttpCtx {
        HttpCtx {
            sender: None,
            next: None,
            quota: Quota::new(Self::BYTES),
            requests: Arc::new(Semaphore::new(Self::REQUESTS)),
        }
    }

    /// Lets the guest send requests by a client. Contexts with clones of the same client use the
    /// same connections.
    pub fn client(self, client: Client) -> HttpCtx {
        self.sender(Arc::new(client))
    }

    /// Gives the requests of the guest to a hook.
    pub fn sender(mut self, sender: Arc<dyn SendRequest>) -> HttpCtx {
        self.sender = Some(sender);
        self
    }

    /// Gives what the guest passes on with `wasi:http/handler`, as a middleware does, to somebody
    /// else than what it sends with `wasi:http/client`: to the service behind it, for example.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use trampette_wasi::{WasiCtx, WasiCtxBuilder};
    /// use trampette_wasi::http::{Body, Connection, HttpCtx, RequestOptions, SendRequest, Sending};
    ///
    /// struct Behind(trampette_wasi::http::Service<WasiCtx>);
    ///
    /// impl SendRequest for Behind {
    ///     fn send(&self, request: http::Request<Body>, _: RequestOptions) -> Sending {
    ///         let service = self.0.clone();
    ///         Box::pin(async move {
    ///             let store = trampette_runtime::Store::new(WasiCtxBuilder::new().build());
    ///             let answer = service.handle(store.into(), request, Connection::plain());
    ///             Ok(answer.await?.response)
    ///         })
    ///     }
    /// }
    ///
    /// fn before(service: trampette_wasi::http::Service<WasiCtx>) -> HttpCtx {
    ///     HttpCtx::new().next_handler(Arc::new(Behind(service)))
    /// }
    /// ```
    pub fn next_handler(mut self, next: Arc<dyn SendRequest>) -> HttpCtx {
        self.next = Some(next);
        self
    }

    /// Limits the bytes of fields and bodies that the guest makes the host keep at once; 64 MiB by
    /// default. What goes beyond it fails.
    pub fn max_buffered_bytes(mut self, limit: usize) -> HttpCtx {
        self.quota = Quota::new(limit);
        self
    }

    /// Limits the requests that are under way at once, until their responses' bodies are read or
    /// given up; 128 by default. One more fails, with the code `connection-limit-reached`.
    pub fn max_requests(mut self, limit: usize) -> HttpCtx {
        self.requests = Arc::new(Semaphore::new(limit.min(Semaphore::MAX_PERMITS)));
        self
    }

    pub(crate) fn quota(&self) -> &Quota {
        &self.quota
    }

    /// Begins to send a request.
    ///
    /// # Errors
    /// If the guest may not, or has too many under way.
    pub(crate) fn send(
        &self,
        by: Way,
        request: Request<Body>,
        options: RequestOptions,
    ) -> Result<Task<Result<Response<Body>, ErrorCode>>, ErrorCode> {
        let sender = match by {
            Way::Client => self.sender.as_ref(),
            Way::Handler => self.next.as_ref().or(self.sender.as_ref()),
        };
        let sender = sender.cloned().ok_or(ErrorCode::HttpRequestDenied)?;
        let permit = self.requests.clone().try_acquire_owned();
        let permit = permit.map_err(|_| ErrorCode::ConnectionLimitReached)?;
        let sent = async move {
            let response = sender.send(request, options).await?;
            let hold = |body| Held { body, permit };
            Ok(response.map(|body| hold(body).boxed_unsync()))
        };
        background::spawn(sent).map_err(|error| no_runtime(&error))
    }
}

impl Default for HttpCtx {
    fn default() -> Self {
        Self::new()
    }
}

/// The context of the default: [`Destinations::none`].
impl std::fmt::Debug for HttpCtx {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HttpCtx")
            .field("may_send", &self.sender.is_some())
            .field(
                "may_pass_on",
                &self.sender.as_ref().or(self.next.as_ref()).is_some(),
            )
            .field("bytes_left", &self.quota.left())
            .finish_non_exhaustive()
    }
}

impl From<Destinations> for HttpCtx {
    fn from(destinations: Destinations) -> HttpCtx {
        HttpCtx::new().client(Client::new(destinations))
    }
}

/// The body of a response, which counts as a request under way.
struct Held {
    body: Body,
    #[expect(dead_code, reason = "held until the body is dropped")]
    permit: OwnedSemaphorePermit,
}

impl http_body::Body for Held {
    type Data = Bytes;
    type Error = ErrorCode;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ErrorCode>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
