//! [`Service`]: calls a component that serves HTTP, with an instance for each request or for
//! several, one after the other.
//!
//! A guest is driven by a task of its own. Where one of 0.2 waits for the few things that take the
//! thread, files and standard streams, the executor replaces that by another one.

use crate::common::blocking::on_worker;
use crate::http::body::{Direction, empty};
use crate::http::fields::Fields;
use crate::http::message::{Target, parse_authority};
use crate::http::p2::{IncomingRequest, Outparam};
use crate::http::p3::content::{self, Content};
use crate::http::p3::{Failure, Request, Response};
use crate::http::{Body, ErrorCode};
use crate::{WasiCtx, WasiView};
use anyhow::{Context as _, Result, anyhow, bail};
use bytes::Bytes;
use http::uri::Scheme;
use http::{Method, StatusCode, header};
use http_body_util::BodyExt;
use std::fmt;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use trampette_runtime::{
    Access, Accessor, Component, Instance, InstancePre, Resource, Store, TypedExport, TypedFunc,
};

/// The version of `wasi:http` that a component serves by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ServiceKind {
    /// `wasi:http/incoming-handler` of 0.2.
    Proxy,
    /// `wasi:http/handler` of 0.3.
    Service,
}

impl ServiceKind {
    const ALL: [ServiceKind; 2] = [ServiceKind::Service, ServiceKind::Proxy];

    /// Which of the two a component exports, if any.
    pub fn of(component: &Component) -> Option<ServiceKind> {
        let exports = &component.metadata().exports;
        Self::ALL.into_iter().find(|kind| {
            let start = kind
                .interface()
                .split_once('@')
                .map_or("", |(name, _)| name);
            exports.iter().any(|export| {
                let interface = export.path.first().and_then(|name| name.split_once('@'));
                interface.is_some_and(|(name, version)| {
                    name == start && version.starts_with(kind.versions())
                })
            })
        })
    }

    /// By what a component serves.
    ///
    /// # Errors
    /// If it exports neither of the two.
    pub fn required(component: &Component) -> Result<ServiceKind> {
        Self::of(component).context(
            "the component exports neither `wasi:http/handler@0.3.x` nor \
             `wasi:http/incoming-handler@0.2.x`: it serves no HTTP",
        )
    }

    fn interface(self) -> &'static str {
        match self {
            ServiceKind::Proxy => "wasi:http/incoming-handler@0.2.12",
            ServiceKind::Service => "wasi:http/handler@0.3.2",
        }
    }

    fn versions(self) -> &'static str {
        match self {
            ServiceKind::Proxy => "0.2.",
            ServiceKind::Service => "0.3.",
        }
    }
}

impl fmt::Display for ServiceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ServiceKind::Proxy => "wasi:http/proxy (0.2)",
            ServiceKind::Service => "wasi:http/service (0.3)",
        })
    }
}

type Incoming = TypedExport<(Resource<IncomingRequest>, Resource<Outparam>), ()>;
pub(super) type Handler = TypedExport<(Resource<Request>,), Result<Resource<Response>, ErrorCode>>;
/// The function of an instance that serves by 0.3.
pub(super) type Handle = TypedFunc<(Resource<Request>,), Result<Resource<Response>, ErrorCode>>;

/// A component that serves HTTP, whose imports are matched and whose export is found. A clone is
/// the same one.
///
/// ```no_run
/// use trampette_runtime::{Component, Linker, Store};
/// use trampette_wasi::http::{self, Service};
/// use trampette_wasi::{WasiCtx, WasiCtxBuilder};
///
/// # async fn serve(
/// #     component: &Component,
/// #     request: ::http::Request<hyper::body::Incoming>,
/// # ) -> anyhow::Result<()> {
/// let mut linker = Linker::<WasiCtx>::new();
/// trampette_wasi::add_to_linker(&mut linker)?;
/// http::add_to_linker_0_2(&mut linker)?;
/// http::add_to_linker_0_3(&mut linker)?;
/// let service = Service::new(linker.instantiate_pre(component)?)?;
/// // … of each request that a server gets:
/// let store = Store::new(WasiCtxBuilder::new().inherit_stderr().build());
/// let answer = service.handle(store.into(), request, http::Connection::plain()).await?;
/// // … send `answer.response`, and then see how the guest has ended:
/// answer.rest.await?;
/// # Ok(()) }
/// ```
pub struct Service<T: 'static>(Arc<Inner<T>>);

struct Inner<T: 'static> {
    pre: InstancePre<T>,
    export: Export,
}

enum Export {
    Incoming(Incoming),
    Handler(Handler),
}

impl<T: 'static> Clone for Service<T> {
    fn clone(&self) -> Self {
        Service(self.0.clone())
    }
}

/// A store in which requests are served, with the instance that was made for the first one.
pub struct Worker<T: 'static> {
    store: Store<T>,
    instance: Option<Instance>,
    held: Option<Box<dyn Send>>,
    is_last: bool,
}

impl<T: 'static> Worker<T> {
    /// The store, to set limits and deadlines for the next request.
    pub fn store(&mut self) -> &mut Store<T> {
        &mut self.store
    }

    /// The next request is its last one: then it is dropped by the guest's own task, at once, so
    /// that its memory serves the next instance while it is warm.
    pub fn last(&mut self) {
        self.is_last = true;
    }

    /// Keeps something for as long as the guest runs, or until something else is kept in its place:
    /// a permit, for example.
    pub fn hold(&mut self, held: Option<Box<dyn Send>>) {
        self.held = held;
    }
}

impl<T: 'static> From<Store<T>> for Worker<T> {
    fn from(store: Store<T>) -> Self {
        Worker {
            store,
            instance: None,
            held: None,
            is_last: false,
        }
    }
}

/// What is known of a connection that a request came by.
#[derive(Clone, Debug)]
pub struct Connection {
    scheme: Scheme,
}

impl Connection {
    /// A connection without TLS.
    pub fn plain() -> Connection {
        Connection {
            scheme: Scheme::HTTP,
        }
    }

    /// A connection with TLS.
    pub fn secure() -> Connection {
        Connection {
            scheme: Scheme::HTTPS,
        }
    }
}

/// Why a request has no answer of the guest's.
#[derive(Debug)]
pub enum ServeError {
    /// The request is none that can be served; the text says why. The status is 400, or 501 for
    /// what no guest is asked for.
    Refused(StatusCode, &'static str),
    /// The guest has failed with a code. The status is 500.
    Code(ErrorCode),
    /// The guest has ended without an answer. The status is 500.
    NoAnswer,
    /// The guest has trapped, or could not be called. The status is 500.
    Failed(anyhow::Error),
    /// The instance has ended for the sake of another one of its requests. The status is 500.
    Lost,
    /// The request's time is over, and nobody else's. The status is 500.
    Late,
}

impl ServeError {
    /// The status of the answer that the server gives in the guest's place.
    pub fn status(&self) -> StatusCode {
        match self {
            ServeError::Refused(status, _) => *status,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

impl fmt::Display for ServeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ServeError::Refused(_, text) => f.write_str(text),
            ServeError::Code(code) => write!(f, "the guest failed: {code:?}"),
            ServeError::NoAnswer => f.write_str("the guest gave no answer"),
            ServeError::Failed(error) => write!(f, "{error:#}"),
            ServeError::Late => f.write_str("the request's time is over"),
            ServeError::Lost => f.write_str("another request has ended the instance"),
        }
    }
}

impl std::error::Error for ServeError {}

/// What another guest is told whose request it was: a middleware, for example.
impl From<ServeError> for ErrorCode {
    fn from(error: ServeError) -> ErrorCode {
        match error {
            ServeError::Code(code) => code,
            // Why a guest has failed is the host's business.
            ServeError::Failed(_) => ErrorCode::InternalError(Some("the guest failed".to_string())),
            other => ErrorCode::InternalError(Some(other.to_string())),
        }
    }
}

/// The response of a guest, and what goes on after it.
pub struct Answer<T: 'static> {
    /// To be sent; its body is what the guest still writes.
    pub response: http::Response<Body>,
    /// The guest, which may go on: when it has ended, the worker for the next request, if there
    /// is to be one.
    pub rest: Rest<T>,
}

/// What a guest does after its response, until it has ended. It goes on whether or not this is
/// waited for.
pub struct Rest<T: 'static>(JoinHandle<Result<Option<Worker<T>>>>);

impl<T: 'static> Future for Rest<T> {
    /// The worker, unless it was [`Worker::last`].
    type Output = Result<Option<Worker<T>>>;

    fn poll(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> Poll<Self::Output> {
        let polled = std::pin::Pin::new(&mut self.0).poll(cx);
        polled.map(|joined| joined.unwrap_or_else(|error| Err(panicked(error))))
    }
}

pub(super) fn panicked(error: tokio::task::JoinError) -> anyhow::Error {
    match error.try_into_panic() {
        Ok(panic) => std::panic::resume_unwind(panic),
        Err(error) => anyhow!("the request was given up: {error}"),
    }
}

/// Stops a guest whose response nobody waits for any more, when it waits.
struct Abort<'r, T: 'static>(Option<&'r JoinHandle<Result<Option<Worker<T>>>>>);

impl<T: 'static> Drop for Abort<'_, T> {
    fn drop(&mut self) {
        if let Some(task) = self.0 {
            task.abort();
        }
    }
}

pub(super) type Sender = oneshot::Sender<Result<http::Response<Body>, ErrorCode>>;

impl<T: WasiView> Service<T> {
    /// Finds what a component serves by.
    ///
    /// # Errors
    /// If it exports neither `wasi:http/incoming-handler` of 0.2 nor `wasi:http/handler` of 0.3.
    pub fn new(pre: InstancePre<T>) -> Result<Service<T>> {
        let kind = ServiceKind::required(pre.component())?;
        let path = [kind.interface(), "handle"];
        let export = match kind {
            ServiceKind::Proxy => Export::Incoming(pre.typed_export(path)?),
            ServiceKind::Service => Export::Handler(pre.typed_export(path)?),
        };
        Ok(Service(Arc::new(Inner { pre, export })))
    }

    /// By what it serves.
    pub fn kind(&self) -> ServiceKind {
        match self.0.export {
            Export::Incoming(_) => ServiceKind::Proxy,
            Export::Handler(_) => ServiceKind::Service,
        }
    }

    /// Lets a guest answer a request, inside of a tokio runtime of several threads. The guest runs
    /// until it has ended, in a task of its own; its store's deadline counts for all of that. If
    /// this future is dropped before there is a response, the guest is stopped where it waits.
    ///
    /// # Errors
    /// See [`ServeError`].
    pub async fn handle<B>(
        &self,
        worker: Worker<T>,
        request: http::Request<B>,
        connection: Connection,
    ) -> Result<Answer<T>, ServeError>
    where
        B: http_body::Body<Data = Bytes, Error: Into<ErrorCode>> + Send + 'static,
    {
        let target = target(&request, &connection)?;
        let method = target.method.clone();
        let (headers, body) = received(request);
        let (sender, receiver) = oneshot::channel();
        let service = self.clone();
        let task = tokio::spawn(async move {
            let worker = service.run(worker, target, headers, body, sender).await?;
            // What was its own is free for the next one before anybody hears of it.
            Ok(Some(worker).filter(|worker| !worker.is_last))
        });
        let mut abort = Abort(Some(&task));
        let response = receiver.await;
        abort.0 = None;
        drop(abort);
        match response {
            Ok(Ok(response)) => Ok(Answer {
                response: bare(&method, response),
                rest: Rest(task),
            }),
            Ok(Err(code)) => {
                // The guest's call is over, as a rule.
                Err(ServeError::Code(code))
            }
            Err(_) => match Rest(task).await {
                Ok(_) => Err(ServeError::NoAnswer),
                Err(error) => Err(ServeError::Failed(error)),
            },
        }
    }

    async fn run(
        &self,
        mut worker: Worker<T>,
        target: Target,
        headers: http::HeaderMap,
        body: Body,
        sender: Sender,
    ) -> Result<Worker<T>> {
        match &self.0.export {
            Export::Incoming(export) => {
                // Start-up code waits with the thread, wherever that is.
                let instance = on_worker(|| self.instance(&mut worker))?;
                let store = &mut worker.store;
                let wasi = store.data_mut().wasi();
                let headers = Fields::received(headers, wasi.http().quota());
                let request = IncomingRequest {
                    target,
                    headers: headers.map_err(|_| too_large())?,
                    body: Some(body),
                };
                let request = wasi.table.push(request)?;
                let outparam = wasi.table.push(Outparam(sender))?;
                let place = outparam.rep();
                let handle = export.of(&*store, &instance)?;
                {
                    let mut called = pin!(handle.call_async(&mut *store, (request, outparam)));
                    poll_fn(|cx| on_worker(|| called.as_mut().poll(cx))).await?;
                }
                // One that the guest has kept answers nobody any more, whoever it calls next.
                let kept = store.data_mut().wasi().table.delete(Resource::new(place));
                drop::<Result<Outparam, _>>(kept);
                Ok(worker)
            }
            Export::Handler(export) => {
                let instance = self.instance(&mut worker)?;
                let store = &mut worker.store;
                let request = request(store.data_mut().wasi(), target, headers, body)?;
                let handle = export.of(&*store, &instance)?;
                let served = store.run_concurrent(async move |cx| {
                    match handle.call_concurrent(cx, (request,)).await? {
                        Ok(response) => answer(cx, response, sender, Polling::EachTurn).await?,
                        Err(code) => drop(sender.send(Err(code))),
                    }
                    // What else the guest has begun goes on.
                    idle(cx).await;
                    anyhow::Ok(())
                });
                served.await??;
                Ok(worker)
            }
        }
    }

    /// The export of a service whose instances serve several requests at once.
    ///
    /// # Errors
    /// If it is one of 0.2.
    pub(super) fn handler(&self) -> Result<&Handler> {
        match &self.0.export {
            Export::Handler(handler) => Ok(handler),
            Export::Incoming(_) => bail!("an instance of WASI 0.2 serves one request at a time"),
        }
    }

    /// What a service of 0.3 is called by in a worker's instance.
    ///
    /// # Errors
    /// If it is one of 0.2, or there can be no instance.
    pub(super) fn handle_of(&self, worker: &mut Worker<T>) -> Result<Handle> {
        let handler = self.handler()?;
        let instance = self.instance(worker)?;
        handler.of(&worker.store, &instance)
    }

    fn instance(&self, worker: &mut Worker<T>) -> Result<Instance> {
        if let Some(instance) = &worker.instance {
            return Ok(instance.clone());
        }
        let instance = self.0.pre.instantiate(&mut worker.store);
        let instance = instance.context("cannot instantiate the component")?;
        Ok(worker.instance.insert(instance).clone())
    }
}

/// The headers and the body of a request that a server got.
pub(super) fn received<B>(request: http::Request<B>) -> (http::HeaderMap, Body)
where
    B: http_body::Body<Data = Bytes, Error: Into<ErrorCode>> + Send + 'static,
{
    let (parts, body) = request.into_parts();
    let body = match body.is_end_stream() {
        true => empty(),
        false => body.map_err(Into::into).boxed_unsync(),
    };
    (parts.headers, body)
}

/// A request of 0.3, as its guest's context has it.
pub(super) fn request(
    wasi: &mut WasiCtx,
    target: Target,
    headers: http::HeaderMap,
    body: Body,
) -> Result<Resource<Request>> {
    let headers = Fields::received(headers, wasi.http().quota());
    Ok(wasi.table.push(Request {
        target,
        headers: headers.map_err(|_| too_large())?,
        options: None,
        content: Content::Host(body),
    })?)
}

fn too_large() -> anyhow::Error {
    anyhow!("the headers of the request are more than the guest's quota")
}

/// Waits until no task of a guest's goes on any more.
pub(super) async fn idle<T: 'static>(cx: Accessor<T>) {
    poll_fn(|_| match cx.with(|caller| caller.tasks()) {
        Ok(0) | Err(_) => Poll::Ready(()),
        Ok(_) => Poll::Pending,
    })
    .await;
}

/// After how many turns of its store a response is sent, although its guest goes on without waiting
/// for anything and has not written all of the body.
const MOST_POLLS: u32 = 8;

/// When a future of a store is polled.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Polling {
    /// After each turn of the store.
    EachTurn,
    /// When its waker was used, as those are that were spawned.
    ByWakers,
}

/// Gives the response of a guest to whoever waits for it, and waits until its body was sent.
pub(super) async fn answer<T: WasiView>(
    cx: Accessor<T>,
    response: Resource<Response>,
    sender: Sender,
    polling: Polling,
) -> Result<()> {
    let host = trampette_runtime::__access(cx, T::wasi);
    let response = host.with(|wasi| wasi.table.delete(response))??;
    let length = response.headers.content_length();
    let headers = response.headers.to_headers();
    let (Ok(length), Ok(headers)) = (length, headers) else {
        let code = ErrorCode::HttpResponseHeaderSectionSize(None);
        response.content.tell(Err(code.clone()));
        drop(sender.send(Err(code)));
        return Ok(());
    };
    let made = content::into_body(host, response.content, Direction::Response, length)?;
    let content::Sending { body, sent } = match made {
        Ok(sending) => sending,
        Err(Failure::Code(code)) => {
            drop(sender.send(Err(code)));
            return Ok(());
        }
        Err(Failure::Trap(error)) => return Err(error),
    };
    let mut made = http::Response::new(body);
    *made.status_mut() = response.status;
    *made.headers_mut() = headers;
    // A guest that can write all of its body at once does so: then its length is known.
    let mut settled = pin!(cx.settled());
    let mut polls = 0;
    let body = made.body_mut();
    poll_fn(move |context| {
        use http_body::Body as _;
        polls += 1;
        if polling == Polling::ByWakers {
            context.waker().wake_by_ref();
        }
        let is_known = body.size_hint().exact().is_some();
        match is_known || polls > MOST_POLLS || settled.as_mut().poll(context).is_ready() {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    })
    .await;
    drop(sender.send(Ok(made)));
    if let Some(sent) = sent {
        let _ = sent.await;
    }
    Ok(())
}

/// A response as it is sent: those that have no body have none, whatever the guest writes.
pub(super) fn bare(method: &Method, response: http::Response<Body>) -> http::Response<Body> {
    let status = response.status();
    let is_bare = *method == Method::HEAD
        || status == StatusCode::NO_CONTENT
        || status == StatusCode::NOT_MODIFIED;
    if !is_bare {
        return response;
    }
    response.map(|mut body| {
        // The guest writes it to its end all the same.
        tokio::spawn(async move { while let Some(Ok(_)) = body.frame().await {} });
        empty()
    })
}

/// What a request is for.
pub(super) fn target<B>(
    request: &http::Request<B>,
    connection: &Connection,
) -> Result<Target, ServeError> {
    let refuse = |text| ServeError::Refused(StatusCode::BAD_REQUEST, text);
    if request.method() == Method::CONNECT {
        return Err(ServeError::Refused(
            StatusCode::NOT_IMPLEMENTED,
            "the request asks for a tunnel",
        ));
    }
    let uri = request.uri();
    if uri.path_and_query().is_none() {
        return Err(refuse("the request names no path"));
    }
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let host = hosts.next();
    if hosts.next().is_some() {
        return Err(refuse("the request names two hosts"));
    }
    // An absolute address counts more than a header.
    let authority = match (uri.authority(), host) {
        (Some(authority), _) => Some(authority.as_str()),
        (None, Some(host)) => Some(
            host.to_str()
                .map_err(|_| refuse("the request's host is none"))?,
        ),
        (None, None) if request.version() >= http::Version::HTTP_11 => {
            return Err(refuse("the request names no host"));
        }
        (None, None) => None,
    };
    let authority = match authority {
        None | Some("") => None,
        Some(authority) => {
            let parsed = parse_authority(authority).filter(|_| !authority.contains('@'));
            Some(parsed.ok_or_else(|| refuse("the request's host is none"))?)
        }
    };
    if let Some(scheme) = uri.scheme()
        && *scheme != Scheme::HTTP
        && *scheme != Scheme::HTTPS
    {
        return Err(refuse("the request is for another scheme than HTTP"));
    }
    Ok(Target {
        method: request.method().clone(),
        scheme: Some(connection.scheme.clone()),
        authority,
        path: uri.path_and_query().map(ToString::to_string),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_for_one_host() {
        let cases: [(&str, &[&str], Option<&str>); 12] = [
            ("/", &["a:80"], Some("a:80")),
            ("http://b/x", &["a"], Some("b")),
            ("/", &["[::1]:80"], Some("[::1]:80")),
            ("*", &["a"], Some("a")),
            ("/", &[], None),
            ("/", &["a", "a"], None),
            ("/", &["a", "b"], None),
            ("/", &["user@a"], None),
            ("/", &["a/b"], None),
            ("/", &["a:b"], None),
            ("ftp://a/", &["a"], None),
            ("nowhere", &["a"], None),
        ];
        for (uri, hosts, expected) in cases {
            let mut request = http::Request::new(());
            *request.uri_mut() = uri.parse().unwrap();
            for host in hosts {
                let host = host.parse().unwrap();
                request.headers_mut().append(header::HOST, host);
            }
            let found = target(&request, &Connection::plain()).ok();
            let found = found.map(|target| target.authority.unwrap().to_string());
            assert_eq!(found.as_deref(), expected, "{uri} {hosts:?}");
        }
        let mut request = http::Request::new(());
        *request.version_mut() = http::Version::HTTP_10;
        let target = target(&request, &Connection::secure()).unwrap();
        assert_eq!(
            (target.authority, target.scheme),
            (None, Some(Scheme::HTTPS))
        );
    }
}
