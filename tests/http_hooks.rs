//! Requests that guests send, as a host intercepts them (`SendRequest`): looked at, changed,
//! answered, refused, passed on. The guest is a program of the corpus; without it nothing is
//! tested.

#[path = "support/http.rs"]
mod http;
#[path = "support/suites.rs"]
mod suites;

use anyhow::{Context, Result};
use http_body_util::{BodyExt, Empty, Full};
use hyper::body::Bytes;
use hyper::{Method, Request, Response, StatusCode};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use trampette::{CompileOptions, compile_component};
use trampette_runtime::{Linker, Store};
use trampette_wasi::http::{
    Body, Client, Connection, Destinations, ErrorCode, HttpCtx, RequestOptions, SendRequest,
    Sending, ServeError, Service,
};
use trampette_wasi::{WasiCtx, WasiCtxBuilder};

fn service() -> Result<Option<Service<WasiCtx>>> {
    let path = suites::folder("corpus").map(|folder| folder.join("p2http.wasm"));
    let Some(path) = path.filter(|path| path.exists()) else {
        return Ok(None);
    };
    let wasm = std::fs::read(path)?;
    let component = compile_component(&wasm, &CompileOptions::default())?.load()?;
    let mut linker = Linker::<WasiCtx>::new();
    trampette_wasi::add_to_linker(&mut linker)?;
    trampette_wasi::http::add_to_linker_0_2(&mut linker)?;
    let service = Service::new(linker.instantiate_pre(&component)?)?;
    Ok(Some(service))
}

/// What the guest answers, which asks `upstream` itself.
fn ask(
    service: &Service<WasiCtx>,
    http: HttpCtx,
    path: &str,
    upstream: &str,
) -> Result<(StatusCode, String), ServeError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let runtime = runtime.expect("threads");
    let mut store = Store::new(WasiCtxBuilder::new().http(http).build());
    store.set_timeout(Duration::from_secs(20)).expect("a clock");
    let request = Request::get(path)
        .header("host", "a")
        .header("x-upstream", upstream);
    let body = Empty::<Bytes>::new().map_err(|never| -> hyper::Error { match never {} });
    let request = request.body(body).expect("a request");
    runtime.block_on(async {
        let answer = service
            .handle(store.into(), request, Connection::plain())
            .await?;
        let status = answer.response.status();
        let body = answer.response.into_body().collect().await;
        let body = body.map_err(ServeError::Code)?.to_bytes();
        answer.rest.await.map_err(ServeError::Failed)?;
        Ok((status, String::from_utf8_lossy(&body).into_owned()))
    })
}

fn response(status: u16, body: impl Into<Bytes>) -> Response<Body> {
    let body = Full::new(body.into()).map_err(|never| -> ErrorCode { match never {} });
    let mut response = Response::new(body.boxed_unsync());
    *response.status_mut() = StatusCode::from_u16(status).expect("a status");
    response
}

/// A hook that is a function.
struct Hook<F>(F);

impl<F: Fn(Request<Body>, RequestOptions) -> Sending + Send + Sync + 'static> SendRequest
    for Hook<F>
{
    fn send(&self, request: Request<Body>, options: RequestOptions) -> Sending {
        (self.0)(request, options)
    }
}

fn hook<F>(f: F) -> HttpCtx
where
    F: Fn(Request<Body>, RequestOptions) -> Sending + Send + Sync + 'static,
{
    HttpCtx::new().sender(Arc::new(Hook(f)))
}

#[test]
fn requests_are_answered_without_a_network() -> Result<()> {
    let Some(service) = service()? else {
        return Ok(());
    };
    let seen: Arc<Mutex<Vec<String>>> = Arc::default();
    let noted = seen.clone();
    let http = hook(move |request, _| {
        let noted = noted.clone();
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            let body = body.collect().await?.to_bytes();
            let body = String::from_utf8_lossy(&body).into_owned();
            noted
                .lock()
                .unwrap()
                .push(format!("{} {} {body}", parts.method, parts.uri));
            Ok(response(203, format!("not sent: {body}")))
        })
    });
    let (status, text) = ask(&service, http, "/proxy", "nowhere.example:81")?;
    assert_eq!(
        (status.as_u16(), &text[..]),
        (203, "not sent: posted by the guest")
    );
    let seen = seen.lock().unwrap();
    assert_eq!(
        *seen,
        ["POST http://nowhere.example:81/echo posted by the guest"]
    );
    Ok(())
}

#[test]
fn requests_are_changed_and_passed_on() -> Result<()> {
    let Some(service) = service()? else {
        return Ok(());
    };
    let upstream = http::upstream(|asked| {
        let tag = asked.headers.iter().find(|(name, _)| name == "x-tag");
        let tag = tag.map_or("none", |(_, value)| value);
        let body = [tag.as_bytes(), b" ", &asked.body].concat();
        http::answer(200, &[("x-case", "upstream")], &body)
    })?;
    let client = Client::new(Destinations::only(vec!["127.0.0.1".parse()?]));
    let http = hook(move |mut request, options| {
        // A name of the host's own, for one place.
        let uri = format!("http://{upstream}{}", request.uri().path());
        *request.uri_mut() = uri.parse().expect("an address");
        request
            .headers_mut()
            .insert("x-tag", "the host's".parse().expect("a value"));
        client.send(request, options)
    });
    let (status, text) = ask(&service, http, "/proxy", "inside.internal")?;
    assert_eq!(
        (status.as_u16(), &text[..]),
        (200, "the host's posted by the guest")
    );
    Ok(())
}

/// A hook that refuses, fails or panics is the guest's failed request, and no more.
#[test]
fn hooks_fail() -> Result<()> {
    let Some(service) = service()? else {
        return Ok(());
    };
    let refuses = hook(|_, _| Box::pin(async { Err(ErrorCode::ConnectionRefused) }));
    let (status, text) = ask(&service, refuses, "/down", "a")?;
    assert_eq!((status.as_u16(), &text[..]), (502, "refused\n"));
    let denies = hook(|_, _| Box::pin(async { Err(ErrorCode::HttpRequestDenied) }));
    let (status, text) = ask(&service, denies, "/proxy", "a")?;
    assert_eq!(status.as_u16(), 502);
    assert!(text.contains("HttpRequestDenied"), "{text}");
    let breaks_off = hook(|_, _| {
        Box::pin(async {
            let frames = ["start", ""].map(|text| match text {
                "" => Err(ErrorCode::ConnectionTerminated),
                text => Ok(hyper::body::Frame::data(Bytes::from(text))),
            });
            Ok(Response::new(Frames(frames.into_iter()).boxed_unsync()))
        })
    });
    // This guest takes a body that breaks off for a reason to trap.
    let asked = ask(&service, breaks_off, "/proxy", "a");
    assert!(matches!(asked, Err(ServeError::Failed(_))), "{asked:?}");
    let panics = hook(|_, _| Box::pin(async { panic!("deliberate") }));
    let (status, text) = ask(&service, panics, "/proxy", "a")?;
    assert_eq!(status.as_u16(), 502);
    assert!(text.contains("lost"), "{text}");
    Ok(())
}

/// A body of these frames.
struct Frames<I>(I);

impl<I> hyper::body::Body for Frames<I>
where
    I: Iterator<Item = Result<hyper::body::Frame<Bytes>, ErrorCode>> + Unpin,
{
    type Data = Bytes;
    type Error = ErrorCode;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<hyper::body::Frame<Bytes>, ErrorCode>>> {
        std::task::Poll::Ready(self.0.next())
    }
}

/// A guest has so many requests under way as its host lets it; those of the hook count too.
#[test]
fn requests_under_way_are_counted() -> Result<()> {
    let Some(service) = service()? else {
        return Ok(());
    };
    let most: Arc<Mutex<(usize, usize)>> = Arc::default();
    let counted = most.clone();
    let slow = move |request: Request<Body>, _: RequestOptions| -> Sending {
        let counted = counted.clone();
        assert_eq!(*request.method(), Method::GET);
        Box::pin(async move {
            let now = |change: isize| {
                let (now, most) = &mut *counted.lock().unwrap();
                *now = now.wrapping_add_signed(change);
                *most = (*most).max(*now);
            };
            now(1);
            tokio::time::sleep(Duration::from_millis(50)).await;
            now(-1);
            Ok(response(200, "x"))
        })
    };
    let (status, text) = ask(&service, hook(slow.clone()), "/fan", "a")?;
    assert_eq!(status.as_u16(), 200);
    assert_eq!(text.matches("200 1 ").count(), 6, "{text}");
    assert_eq!(most.lock().unwrap().1, 6);
    *most.lock().unwrap() = (0, 0);
    // The fifth is not sent; this guest takes that for a reason to end.
    let limited = ask(&service, hook(slow).max_requests(4), "/fan", "a");
    let text = match limited {
        Ok((_, text)) => text,
        Err(error) => error.to_string(),
    };
    assert!(text.matches("200 1 ").count() <= 4, "{text}");
    assert!(most.lock().unwrap().1 <= 4);
    Ok(())
}

/// Without a hook, and without a client, nothing is sent.
#[test]
fn nothing_is_sent_by_default() -> Result<()> {
    let Some(service) = service()? else {
        return Ok(());
    };
    let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?.to_string();
    let asked = ask(&service, HttpCtx::new(), "/proxy", &address);
    if let Ok((status, text)) = asked {
        assert_eq!(status.as_u16(), 502);
        assert!(text.contains("HttpRequestDenied"), "{text}");
    }
    let error = listener.accept().err().context("nobody connects")?;
    assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock);
    Ok(())
}
