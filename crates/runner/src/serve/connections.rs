//! Connections of `serve`: accepting, serving and ending them.
//!
//! At the end nobody loses a request: what the kernel has accepted already is taken over, what has
//! arrived is read, and each connection ends with the request that it is at.

use crate::output;
use crate::serve::arguments::ServeArguments;
use crate::serve::generation::{Current, Instances};
use crate::serve::lingering::{Duplex, Lingering};
use crate::serve::listeners::{Acceptor, Client, Listener, Stream};
use crate::serve::log;
use crate::serve::metrics::{self, Metrics};
use crate::serve::workers::{Used, Workers};
use anyhow::{Context as _, Result, anyhow};
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use std::convert::Infallible;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::task::Poll;
use std::time::{Duration, Instant};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{Semaphore, watch};
use trampette_wasi::http::{Body, Connection, ErrorCode, ServeError};

/// The most bytes of the head of a request, and of what is read ahead of a body.
const BUFFER: usize = 128 << 10;
/// How long guests may go on whose responses are sent, when the server ends.
const LINGER: Duration = Duration::from_secs(5);
/// Requests that one connection of HTTP/2 may have at once.
const STREAMS: u32 = 200;

/// What all connections share.
pub(super) struct Server {
    shared: Arc<Shared>,
    /// Says that the server is to end. Who has a receiver is a connection.
    ends: Arc<watch::Sender<bool>>,
    signals: Signals,
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

struct Shared {
    current: Arc<Current>,
    workers: Workers,
    arguments: ServeArguments,
    /// For requests that are served at once.
    places: Arc<Semaphore>,
    /// Requests that have begun.
    begun: AtomicU64,
    metrics: Arc<Metrics>,
}

/// Which of two futures was ready first.
enum Either<A, B> {
    First(A),
    Second(B),
}

/// Waits for one of two; the first one is asked first, each time.
async fn either<A: Future, B: Future>(
    mut first: Pin<&mut A>,
    mut second: Pin<&mut B>,
) -> Either<A::Output, B::Output> {
    std::future::poll_fn(|cx| {
        if let Poll::Ready(value) = first.as_mut().poll(cx) {
            return Poll::Ready(Either::First(value));
        }
        second.as_mut().poll(cx).map(Either::Second)
    })
    .await
}

impl Server {
    /// A server, inside of a runtime. From here on signals end it, and not the process.
    ///
    /// # Errors
    /// If it cannot listen to signals.
    pub(super) fn new(
        current: Arc<Current>,
        workers: Workers,
        arguments: &ServeArguments,
        metrics: Arc<Metrics>,
    ) -> Result<Server> {
        Ok(Server {
            signals: Signals {
                terminate: signal(SignalKind::terminate()).context("SIGTERM")?,
                interrupt: signal(SignalKind::interrupt()).context("SIGINT")?,
                hangup: signal(SignalKind::hangup()).context("SIGHUP")?,
            },
            shared: Arc::new(Shared {
                current,
                workers,
                places: Arc::new(Semaphore::new(arguments.max_in_flight as usize)),
                begun: AtomicU64::new(0),
                metrics,
                arguments: arguments.clone(),
            }),
            ends: Arc::new(watch::Sender::new(false)),
        })
    }

    /// Serves until it is told to end, and all connections have.
    ///
    /// # Errors
    /// If it cannot listen to connections or signals.
    pub(super) async fn run(
        self,
        listeners: Vec<Listener>,
        metrics_listeners: Vec<Listener>,
        reload: mpsc::Sender<()>,
    ) -> Result<()> {
        let signals = tokio::spawn(listen_to(self.signals, self.ends.clone(), reload));
        let mut metrics = Vec::new();
        for listener in metrics_listeners {
            let listener = listener.into_acceptor().context("--metrics-addr")?;
            let (counted, ends) = (self.shared.metrics.clone(), self.ends.clone());
            let is_ending = move || *ends.borrow();
            metrics.push(tokio::spawn(metrics::serve(listener, counted, is_ending)));
        }
        for listener in listeners {
            let acceptor = listener.into_acceptor().context("cannot listen")?;
            let (shared, ends) = (self.shared.clone(), self.ends.clone());
            // From here on it is waited for, as connections are.
            let told = ends.subscribe();
            tokio::spawn(accept(shared, ends, told, acceptor));
        }
        self.ends.closed().await;
        // What guests do after their responses; none of it is waited for for ever.
        let all = self.shared.arguments.max_in_flight;
        let _ = tokio::time::timeout(LINGER, self.shared.places.acquire_many(all)).await;
        signals.abort();
        for task in metrics {
            // With it goes its listener, and that one's file.
            task.abort();
            let _ = task.await;
        }
        Ok(())
    }
}

/// Listens to signals: the first one that ends the server ends it, the second one the process.
/// SIGHUP asks for another component.
async fn listen_to(mut signals: Signals, ends: Arc<watch::Sender<bool>>, reload: mpsc::Sender<()>) {
    loop {
        let ending = async {
            let terminate = pin!(signals.terminate.recv());
            match either(terminate, pin!(signals.interrupt.recv())).await {
                Either::First(_) => 143,
                Either::Second(_) => 130,
            }
        };
        match either(pin!(ending), pin!(signals.hangup.recv())).await {
            Either::First(code) => {
                if ends.send_replace(true) {
                    std::process::exit(code);
                }
            }
            // If nobody reads it, the server ends.
            Either::Second(_) => drop(reload.send(())),
        }
    }
}

/// Accepts connections until the server is told to end, and then those that have come before.
async fn accept(
    shared: Arc<Shared>,
    ends: Arc<watch::Sender<bool>>,
    mut told: watch::Receiver<bool>,
    mut acceptor: Acceptor,
) {
    loop {
        let accepting = pin!(acceptor.accept());
        // Also if it was told so before anybody listened.
        let told = pin!(async { drop(told.wait_for(|is_over| *is_over).await) });
        match either(accepting, told).await {
            Either::First(accepted) => begin(&shared, &ends, accepted).await,
            Either::Second(_) => break,
        }
    }
    acceptor.hide();
    while let Some(accepted) = acceptor.accept_now().await {
        begin(&shared, &ends, accepted).await;
    }
}

/// Serves a connection that was accepted.
async fn begin(
    shared: &Arc<Shared>,
    ends: &Arc<watch::Sender<bool>>,
    accepted: std::io::Result<(Stream, Client)>,
) {
    match accepted {
        Ok((stream, client)) => {
            let (shared, ends) = (shared.clone(), ends.clone());
            // From here on it is waited for.
            let told = ends.subscribe();
            tokio::spawn(serve(shared, ends, told, stream, client));
        }
        // The client has gone already.
        Err(error) if error.kind() == std::io::ErrorKind::ConnectionAborted => {}
        Err(error) => {
            output::error(&anyhow::Error::new(error).context("cannot accept a connection"));
            // Descriptors are used up: others must end first.
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// Serves a connection to its end.
async fn serve(
    shared: Arc<Shared>,
    ends: Arc<watch::Sender<bool>>,
    told: watch::Receiver<bool>,
    stream: Stream,
    client: Client,
) {
    let Some(tls) = shared.current.get().tls.clone() else {
        return serve_stream(shared, ends, told, stream, (client, Connection::plain())).await;
    };
    let time = shared.arguments.header_timeout.duration();
    // Errors of clients are theirs.
    if let Ok(Ok(stream)) = tokio::time::timeout(time, tls.accept(stream)).await {
        // Boxed, so that others do not keep room for what TLS needs.
        Box::pin(serve_stream(
            shared,
            ends,
            told,
            stream,
            (client, Connection::secure()),
        ))
        .await;
    }
}

async fn serve_stream(
    shared: Arc<Shared>,
    ends: Arc<watch::Sender<bool>>,
    mut told: watch::Receiver<bool>,
    stream: impl Duplex,
    from: (Client, Connection),
) {
    let header_timeout = shared.arguments.header_timeout.duration();
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(header_timeout)
        .half_close(true)
        .max_buf_size(BUFFER);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(Some(header_timeout))
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(BUFFER as u32);
    let answer = service_fn(move |request| {
        let (shared, ends, (client, connection)) = (shared.clone(), ends.clone(), from.clone());
        // Boxed, so that connections that wait for a request do not keep room for one.
        Box::pin(async move {
            Ok::<_, Infallible>(shared.answer(request, client, connection, &ends).await)
        })
    });
    let stream = TokioIo::new(Lingering::new(stream, told.clone()));
    let mut connection = pin!(builder.serve_connection(stream, answer));
    // The connection is asked first: what has arrived is read before it is told to end.
    let stopped = pin!(async { drop(told.wait_for(|is_over| *is_over).await) });
    if let Either::Second(_) = either(connection.as_mut(), stopped).await {
        connection.as_mut().graceful_shutdown();
        let _ = connection.await;
    }
}

impl Shared {
    async fn answer(
        self: Arc<Self>,
        request: Request<Incoming>,
        client: Client,
        connection: Connection,
        ends: &watch::Sender<bool>,
    ) -> Response<Body> {
        let start = Instant::now();
        self.metrics.begin();
        let logged = self.arguments.log.map(|format| {
            let path = request.uri().path_and_query();
            let logged = log::Request {
                client,
                method: request.method().clone(),
                path: path.map_or(String::new(), ToString::to_string),
                version: request.version(),
            };
            (format, logged)
        });
        let begun = self.begun.fetch_add(1, Ordering::Relaxed) + 1;
        if self.arguments.max_requests == Some(begun) {
            ends.send_replace(true);
        }
        let response = match self.clone().try_answer(request, connection).await {
            Ok(response) => response,
            Err(error) => {
                let status = error.status();
                self.report_failure(error);
                failure(status)
            }
        };
        self.metrics.end(response.status(), start.elapsed());
        if let Some((format, logged)) = logged {
            logged.print(format, response.status(), start.elapsed());
        }
        response
    }

    async fn try_answer(
        self: Arc<Self>,
        request: Request<Incoming>,
        connection: Connection,
    ) -> Result<Response<Body>, ServeError> {
        let place = self.places.clone().acquire_owned().await;
        let place = place.map_err(|error| ServeError::Failed(error.into()))?;
        let generation = self.current.get();
        match &generation.instances {
            Instances::Alone(idle) => {
                let taken = idle.take(&self.workers).map_err(ServeError::Failed)?;
                let Used { mut worker, served } = taken;
                // A guest that goes on although its client has gone keeps its place.
                worker.hold(Some(Box::new(place)));
                let handled = generation.service.handle(worker, request, connection);
                let answer = handled.await?;
                let (shared, idle) = (self.clone(), idle.clone());
                tokio::spawn(async move {
                    match answer.rest.await {
                        Ok(Some(mut worker)) => {
                            worker.hold(None);
                            idle.give_back(Used { worker, served });
                        }
                        Ok(None) => {}
                        Err(error) => shared.report(error),
                    }
                });
                Ok(answer.response)
            }
            Instances::Shared(crew) => {
                let taken = crew.take(&generation.service, &self.workers);
                let (at, ending) = taken.map_err(ServeError::Failed)?;
                if let Some(ending) = ending {
                    let shared = self.clone();
                    tokio::spawn(async move {
                        if let Err(error) = ending.await {
                            shared.report(error);
                        }
                    });
                }
                let deadline = self.workers.deadline();
                let handled = at.worker.handle(request, connection, deadline);
                let answer = handled.await?;
                let shared = self.clone();
                tokio::spawn(async move {
                    if let Err(error) = answer.rest.await {
                        shared.report_failure(error);
                    }
                    drop((at, place));
                });
                Ok(answer.response)
            }
        }
    }

    /// Says why a request has no answer, or not the whole of one.
    fn report_failure(&self, error: ServeError) {
        match error {
            // A request that cannot be served is its client's fault. What has ended an instance is
            // said once.
            ServeError::Refused(..) | ServeError::Lost => {}
            ServeError::Failed(error) => self.report(error),
            ServeError::Late => match self.arguments.granted.timeout {
                Some(time) => self.report(anyhow!("timed out after {time}")),
                None => self.report(error.into()),
            },
            error => self.report(error.into()),
        }
    }

    /// Says what went wrong with a guest, on one line, and where it was.
    fn report(&self, error: anyhow::Error) {
        let late = self.arguments.granted.timeout;
        let error = late.and_then(|late| late.message(&error)).unwrap_or(error);
        output::error(&error.context("a request failed"));
    }
}

/// The answer of the server's own.
fn failure(status: StatusCode) -> Response<Body> {
    let text = status.canonical_reason().unwrap_or("Error");
    let body = http_body_util::Full::new(format!("{text}\n").into());
    let body = body.map_err(|never| -> ErrorCode { match never {} });
    let mut response = Response::new(body.boxed_unsync());
    *response.status_mut() = status;
    let text = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, text);
    response
}
