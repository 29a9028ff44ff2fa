//! Outgoing requests: [`SendRequest`], and the [`Client`] that sends them over the network, by
//! HTTP/1.1 and, where a server offers it with TLS, by HTTP/2. Connections are kept for the next
//! request to the same place.

use crate::http::body::Body;
use crate::http::message::RequestOptions;
use crate::http::policy::Destinations;
use crate::http::{ErrorCode, errors};
use bytes::Bytes;
use http::uri::Scheme;
use http::{HeaderValue, Request, Response, Uri, header};
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::ServerName;
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep, timeout};

/// How long a part of a request takes at most, if the guest does not say.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(600);
/// How long a connection is kept that nobody uses.
const KEPT_FOR: Duration = Duration::from_secs(15);
/// Connections to one place that are kept.
const KEPT: usize = 32;
/// The most bytes of the head of a response, and of what is read ahead of a body.
const BUFFER: usize = 128 << 10;

/// What an outgoing request comes to.
pub type Sending = Pin<Box<dyn Future<Output = Result<Response<Body>, ErrorCode>> + Send>>;

/// Sends the requests of guests: a hook for hosts that look at them, change, answer or refuse them.
///
/// ```
/// use http::{Request, Response};
/// use trampette_wasi::http::{Body, Client, ErrorCode, RequestOptions, SendRequest, Sending};
///
/// /// Lets requests to one host through, with a header of the host's.
/// struct Tagging(Client);
///
/// impl SendRequest for Tagging {
///     fn send(&self, mut request: Request<Body>, options: RequestOptions) -> Sending {
///         if request.uri().host() != Some("api.example.com") {
///             return Box::pin(async { Err(ErrorCode::HttpRequestDenied) });
///         }
///         let tag = http::HeaderValue::from_static("plugin");
///         request.headers_mut().insert("x-sent-by", tag);
///         self.0.send(request, options)
///     }
/// }
/// ```
pub trait SendRequest: Send + Sync + 'static {
    /// Sends a request, whose address is absolute, to where it says. What is given is polled inside
    /// of a tokio runtime.
    fn send(&self, request: Request<Body>, options: RequestOptions) -> Sending;
}

/// Sends requests over the network. A clone uses the same connections.
///
/// ```
/// use trampette_wasi::http::{Client, Destinations};
///
/// let client = Client::new(Destinations::any());
/// # let _ = client;
/// ```
#[derive(Clone)]
pub struct Client(Arc<Shared>);

struct Shared {
    destinations: Destinations,
    /// Connections of HTTP/1.1 that nobody uses now.
    kept: Mutex<HashMap<Place, Vec<Kept>>>,
}

struct Kept {
    sender: http1::SendRequest<Body>,
    since: Instant,
}

/// Whom a connection is to.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Place {
    is_secure: bool,
    host: String,
    port: u16,
}

impl Client {
    /// A client that sends only where that permits.
    pub fn new(destinations: Destinations) -> Client {
        Client(Arc::new(Shared {
            destinations,
            kept: Mutex::default(),
        }))
    }

    async fn run(
        self,
        mut request: Request<Body>,
        options: RequestOptions,
    ) -> Result<Response<Body>, ErrorCode> {
        let uri = request.uri().clone();
        let place = Place::of(&uri)?;
        self.0.destinations.check_host(&place.host, place.port)?;
        let first_byte = options.first_byte_timeout.unwrap_or(DEFAULT_TIMEOUT);
        let too_late = |_| ErrorCode::ConnectionReadTimeout;
        let response = loop {
            let connected = match self.kept(&place) {
                Some(sender) => Connected::Http1(sender, Age::Used),
                None => {
                    let time = options.connect_timeout.unwrap_or(DEFAULT_TIMEOUT);
                    let connected = timeout(time, self.connect(&place)).await;
                    connected.map_err(|_| ErrorCode::ConnectionTimeout)??
                }
            };
            match connected {
                Connected::Http1(sender, age) => {
                    prepare(&mut request, &uri)?;
                    let sent = self.clone().send_1(place.clone(), sender, request);
                    match timeout(first_byte, sent).await.map_err(too_late)? {
                        Ok(response) => break response,
                        // It was closed meanwhile, and the request comes back unsent.
                        Err((_, Some(back))) if age == Age::Used => request = *back,
                        Err((error, _)) => return Err(error),
                    }
                }
                Connected::Http2(mut sender) => {
                    request.headers_mut().remove(header::HOST);
                    *request.uri_mut() = uri;
                    let sent = timeout(first_byte, sender.send_request(request)).await;
                    let sent = sent.map_err(too_late)?;
                    break sent.map_err(|error| errors::of_hyper(&error))?;
                }
            }
        };
        let time = options.between_bytes_timeout.unwrap_or(DEFAULT_TIMEOUT);
        Ok(response.map(|body| Timed::new(body, time).boxed_unsync()))
    }

    async fn send_1(
        self,
        place: Place,
        mut sender: http1::SendRequest<Body>,
        request: Request<Body>,
    ) -> Result<Response<Incoming>, (ErrorCode, Option<Box<Request<Body>>>)> {
        match sender.try_send_request(request).await {
            Ok(response) => {
                // When all of the response was read, the connection can be used again.
                tokio::spawn(async move {
                    if sender.ready().await.is_ok() {
                        self.keep(place, sender);
                    }
                });
                Ok(response)
            }
            Err(mut error) => {
                let back = error.take_message().map(Box::new);
                Err((errors::of_hyper(error.error()), back))
            }
        }
    }

    fn kept(&self, place: &Place) -> Option<http1::SendRequest<Body>> {
        let mut all = self.0.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = all.get_mut(place)?;
        kept.retain(|kept| kept.sender.is_ready() && kept.since.elapsed() < KEPT_FOR);
        let sender = kept.pop().map(|kept| kept.sender);
        if kept.is_empty() {
            all.remove(place);
        }
        sender
    }

    fn keep(&self, place: Place, sender: http1::SendRequest<Body>) {
        let mut all = self.0.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        all.retain(|_, kept| {
            kept.retain(|kept| now.duration_since(kept.since) < KEPT_FOR);
            !kept.is_empty()
        });
        let kept = all.entry(place).or_default();
        if kept.len() < KEPT {
            kept.push(Kept { sender, since: now });
        }
    }

    async fn connect(&self, place: &Place) -> Result<Connected, ErrorCode> {
        let stream = self.connect_tcp(place).await?;
        // Small requests are sent at once.
        let _ = stream.set_nodelay(true);
        if !place.is_secure {
            return handshake_1(stream).await;
        }
        let name = ServerName::try_from(place.host.clone());
        let name = name.map_err(|_| ErrorCode::HttpRequestUriInvalid)?;
        let connector = tokio_rustls::TlsConnector::from(tls());
        let stream = connector.connect(name, stream).await;
        let stream = stream.map_err(|error| errors::of_io(&error))?;
        if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
            let builder = http2::Builder::new(TokioExecutor::new());
            let shaken = builder.handshake(TokioIo::new(stream)).await;
            let (sender, connection) = shaken.map_err(|error| errors::of_hyper(&error))?;
            tokio::spawn(connection);
            return Ok(Connected::Http2(sender));
        }
        handshake_1(stream).await
    }

    async fn connect_tcp(&self, place: &Place) -> Result<TcpStream, ErrorCode> {
        use crate::http::p3::bindings::wasi::http::types::DnsErrorPayload;

        let found = tokio::net::lookup_host((place.host.as_str(), place.port)).await;
        let found: Vec<SocketAddr> = match found {
            Ok(found) => found.collect(),
            Err(error) => {
                return Err(ErrorCode::DnsError(DnsErrorPayload {
                    rcode: Some(error.to_string()),
                    info_code: None,
                }));
            }
        };
        let destinations = &self.0.destinations;
        let permitted = |at: &&SocketAddr| destinations.permits(&place.host, at.ip(), at.port());
        let permitted: Vec<&SocketAddr> = found.iter().filter(permitted).collect();
        let mut error = match found.is_empty() {
            true => ErrorCode::DestinationNotFound,
            false => ErrorCode::DestinationIpProhibited,
        };
        for address in permitted {
            match TcpStream::connect(address).await {
                Ok(stream) => return Ok(stream),
                Err(failed) => error = errors::of_io(&failed),
            }
        }
        Err(error)
    }
}

impl SendRequest for Client {
    fn send(&self, request: Request<Body>, options: RequestOptions) -> Sending {
        Box::pin(self.clone().run(request, options))
    }
}

/// Whether a connection was used before.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Age {
    New,
    Used,
}

enum Connected {
    Http1(http1::SendRequest<Body>, Age),
    Http2(http2::SendRequest<Body>),
}

async fn handshake_1<S>(stream: S) -> Result<Connected, ErrorCode>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let mut builder = http1::Builder::new();
    let shaken = builder
        .max_buf_size(BUFFER)
        .handshake(TokioIo::new(stream))
        .await;
    let (sender, connection) = shaken.map_err(|error| errors::of_hyper(&error))?;
    tokio::spawn(connection);
    Ok(Connected::Http1(sender, Age::New))
}

/// What HTTP/1.1 has in the place of an absolute address.
fn prepare(request: &mut Request<Body>, uri: &Uri) -> Result<(), ErrorCode> {
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    let host = HeaderValue::from_str(authority);
    let host = host.map_err(|_| ErrorCode::HttpRequestUriInvalid)?;
    request.headers_mut().insert(header::HOST, host);
    let path = uri.path_and_query().cloned();
    let path = path.unwrap_or(http::uri::PathAndQuery::from_static("/"));
    *request.uri_mut() = Uri::from(path);
    Ok(())
}

impl Place {
    fn of(uri: &Uri) -> Result<Place, ErrorCode> {
        let is_secure = uri.scheme() != Some(&Scheme::HTTP);
        let host = uri.host().ok_or(ErrorCode::HttpRequestUriInvalid)?;
        let bare = host
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'));
        Ok(Place {
            is_secure,
            host: bare.unwrap_or(host).to_string(),
            port: uri.port_u16().unwrap_or(if is_secure { 443 } else { 80 }),
        })
    }
}

/// Whom to trust, and how, when connecting: the certificates of the web.
fn tls() -> Arc<rustls::ClientConfig> {
    static CONFIG: OnceLock<Arc<rustls::ClientConfig>> = OnceLock::new();
    let make = || {
        let roots = webpki_roots::TLS_SERVER_ROOTS.iter().cloned();
        let roots = rustls::RootCertStore {
            roots: roots.collect(),
        };
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("the provider has the suites of both versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Arc::new(config)
    };
    CONFIG.get_or_init(make).clone()
}

/// The body of a response, whose parts must not be too long in coming.
struct Timed {
    body: Incoming,
    sleep: Pin<Box<Sleep>>,
    time: Duration,
    /// Whether the clock runs.
    waits: bool,
}

impl Timed {
    fn new(body: Incoming, time: Duration) -> Timed {
        Timed {
            body,
            sleep: Box::pin(sleep(time)),
            time,
            waits: false,
        }
    }
}

impl http_body::Body for Timed {
    type Data = Bytes;
    type Error = ErrorCode;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ErrorCode>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) {
            self.waits = false;
            let frame = frame.map(|frame| frame.map_err(|error| errors::of_hyper(&error)));
            return Poll::Ready(frame);
        }
        if !self.waits {
            self.waits = true;
            let now = tokio::time::Instant::now();
            let end = now.checked_add(self.time);
            let end = end.unwrap_or_else(|| now + DEFAULT_TIMEOUT);
            self.sleep.as_mut().reset(end);
        }
        let over = self.sleep.as_mut().poll(cx);
        over.map(|()| Some(Err(ErrorCode::ConnectionReadTimeout)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The error for a runtime that cannot be started.
pub(crate) fn no_runtime(error: &io::Error) -> ErrorCode {
    ErrorCode::InternalError(Some(format!("no connection can be made: {error}")))
}
