//! Requests that guests send, as a host intercepts them (`SendRequest`): looked at, changed,
//! answered, refused, passed on. The guest is a program of the corpus; without it nothing is
//! tested. And what a middleware passes on, with the guests of `examples/middleware`.

#[path = "support/http.rs"]
mod http;
#[allow(dead_code, reason = "its `main` is for people")]
#[path = "../examples/middleware.rs"]
mod middleware;
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

fn body_of(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into())
        .map_err(ErrorCode::from)
        .boxed_unsync()
}

fn response(status: u16, body: impl Into<Bytes>) -> Response<Body> {
    let mut response = Response::new(body_of(body));
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

/// A test with an executor of several threads.
fn with_tokio(test: impl Future<Output = Result<()>>) -> Result<()> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.enable_all().build()?.block_on(async {
        let test = tokio::time::timeout(Duration::from_secs(60), test);
        test.await.context("it does not end")?
    })
}

/// What a middleware lets through is answered by the service behind it, with the bodies of both
/// directions; what it refuses never gets there.
#[test]
fn a_middleware_stands_before_a_service() -> Result<()> {
    let chain = middleware::Chain::new()?;
    let ask = async |path: &str, body: Vec<u8>| {
        let request = Request::post(format!("http://a{path}"));
        let request = request.body(body_of(body))?;
        let response = chain.answer(request).await?;
        let (head, body) = response.into_parts();
        let body = body.collect().await?.to_bytes();
        let path = head.headers.get("x-path").map(|path| path.to_str());
        let path = path.transpose()?.map(str::to_string);
        anyhow::Ok((head.status.as_u16(), path, body))
    };
    with_tokio(async {
        let long = format!("/{}", "x".repeat(20_000));
        for path in ["/", "/hello?n=1", "//", &long] {
            for size in [0, 1, 700_000] {
                let body: Vec<u8> = (0_u8..=250).cycle().take(size).collect();
                let (status, seen, back) = ask(&format!("/public{path}"), body.clone()).await?;
                assert_eq!((status, seen.as_deref()), (200, Some(path)));
                assert!(back == body, "{path} {size}");
            }
        }
        for path in ["/", "/public", "/publicly/", "/private/public/"] {
            let (status, seen, body) = ask(path, b"a secret".to_vec()).await?;
            assert_eq!((status, seen, &body[..]), (403, None, &b""[..]), "{path}");
        }
        Ok(())
    })
}

/// Whom a middleware passes requests on to, if nobody was named: whom it may send them to anyway.
#[test]
fn a_middleware_passes_on_to_the_network_by_default() -> Result<()> {
    let upstream =
        http::upstream(|asked| http::answer(200, &[("x-path", &asked.path)], b"from upstream"))?;
    let guard = include_str!("../examples/middleware/guard.wat");
    let guard = middleware::load(guard, "wasi:http/middleware@0.3.2")?;
    let ask = async |http: HttpCtx| -> Result<String, ServeError> {
        let request = Request::get(format!("http://{upstream}/public/there"));
        let request = request.body(Body::default()).expect("a request");
        let response = middleware::ask(&guard, http, request).await?;
        let seen = response.headers().get("x-path").cloned();
        let body = response.into_body().collect().await;
        let body = body.map_err(ServeError::Code)?.to_bytes();
        Ok(format!("{seen:?} {body:?}"))
    };
    with_tokio(async {
        let permitted = Destinations::only(vec!["127.0.0.1".parse()?]);
        let answer = ask(HttpCtx::new().client(Client::new(permitted))).await?;
        assert_eq!(answer, r#"Some("/there") b"from upstream""#);
        let refused = ask(HttpCtx::new()).await;
        let denied = matches!(refused, Err(ServeError::Code(ErrorCode::HttpRequestDenied)));
        assert!(denied, "{refused:?}");
        // Somebody behind it that fails is a failed request.
        let fails = Hook(|_: Request<Body>, _: RequestOptions| -> Sending {
            Box::pin(async { Err(ServeError::NoAnswer.into()) })
        });
        let failed = ask(HttpCtx::new().next_handler(Arc::new(fails))).await;
        let text = failed.expect_err("there is no answer").to_string();
        assert!(text.contains("the guest gave no answer"), "{text}");
        Ok(())
    })
}
