//! HTTP/2: many streams of a connection, those that are reset, readers that are slow, and heads
//! that are too large; with a client of hyper's.

use super::{BOTH, served, tls};
use crate::http::{Served, TIME};
use anyhow::{Context, Result, ensure};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::ServerName;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;

type Sender = SendRequest<Full<Bytes>>;

/// A test with an executor.
fn with_tokio(test: impl Future<Output = Result<()>>) -> Result<()> {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_all().build()?;
    let ended = runtime.block_on(async { tokio::time::timeout(TIME, test).await });
    ended.context("it does not end")?
}

async fn over(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> Result<Sender> {
    let (sender, connection) = handshake(TokioExecutor::new(), TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    Ok(sender)
}

async fn connect(served: &Served) -> Result<Sender> {
    over(TcpStream::connect(("127.0.0.1", served.port)).await?).await
}

fn request(method: &str, path: &str, body: impl Into<Bytes>) -> Request<Full<Bytes>> {
    let uri = format!("http://127.0.0.1{path}");
    let request = Request::builder().method(method).uri(uri);
    request.body(Full::new(body.into())).expect("a request")
}

async fn text(response: Response<Incoming>) -> Result<String> {
    let body = response.into_body().collect().await?.to_bytes();
    Ok(String::from_utf8(body.to_vec())?)
}

/// More streams than are served at once, each with an answer of its own.
#[test]
fn streams_are_served_side_by_side() -> Result<()> {
    for (name, options) in [
        ("p2http", &[][..]),
        ("p3http", &[]),
        ("p3http", &["--reuse=100", "--concurrency=20"]),
    ] {
        let Some(served) = served(name, options)? else {
            return Ok(());
        };
        with_tokio(async {
            let sender = connect(&served).await?;
            let mut asked = JoinSet::new();
            for number in 0..600 {
                let mut sender = sender.clone();
                asked.spawn(async move {
                    let body = format!("stream {number} ").repeat(number % 7 * 300 + 1);
                    sender.ready().await?;
                    let response = sender.send_request(request("POST", "/echo", body.clone()));
                    let response = response.await?;
                    ensure!(response.status() == 200, "{response:?}");
                    ensure!(text(response).await? == body, "another stream's body");
                    anyhow::Ok(())
                });
            }
            while let Some(done) = asked.join_next().await {
                done??;
            }
            // Trailers come, too.
            let mut sender = sender;
            let mut trailers = request("GET", "/trailers", "");
            trailers.headers_mut().insert("te", "trailers".parse()?);
            let body = sender
                .send_request(trailers)
                .await?
                .into_body()
                .collect()
                .await?;
            let sum = body.trailers().and_then(|trailers| trailers.get("x-sum"));
            assert!(sum.is_some_and(|sum| sum == "42"));
            Ok(())
        })?;
        let (status, errors) = served.end()?;
        assert!(status.success() && errors.is_empty(), "{status}: {errors}");
    }
    Ok(())
}

/// Streams that clients give up, before the answer and in the middle of it, cost nobody else
/// anything.
#[test]
fn streams_are_reset() -> Result<()> {
    for name in BOTH {
        let Some(served) = served(name, &["--metrics-addr=127.0.0.1:0"])? else {
            return Ok(());
        };
        with_tokio(async {
            for turn in 0..20 {
                let mut sender = connect(&served).await?;
                for _ in 0..10 {
                    let path = ["/big?n=9000000", "/big?n=70000"][turn % 2];
                    sender.ready().await?;
                    let asked = sender.send_request(request("GET", path, ""));
                    match turn % 4 {
                        0 | 1 => drop(asked),
                        _ => {
                            let mut response = asked.await?;
                            let first = response.body_mut().frame().await;
                            first.context("a frame")??;
                        }
                    }
                }
                // The same connection goes on.
                sender.ready().await?;
                let response = sender.send_request(request("GET", "/", "")).await?;
                assert_eq!(response.status(), 200);
                assert!(text(response).await?.starts_with("hello"));
            }
            Ok(())
        })?;
        super::limits::nothing_is_left(&served)?;
        let (status, errors) = served.end()?;
        assert!(status.success(), "{status}: {errors}");
    }
    Ok(())
}

/// What nobody reads is not made: neither the server nor the guest has more of it than a window.
#[test]
fn slow_readers_are_waited_for() -> Result<()> {
    const BYTES: usize = 96 << 20;
    for name in BOTH {
        let Some(served) = served(name, &[])? else {
            return Ok(());
        };
        with_tokio(async {
            let mut sender = connect(&served).await?;
            let mut slow = Vec::new();
            for _ in 0..8 {
                sender.ready().await?;
                let path = format!("/big?n={BYTES}");
                slow.push(sender.send_request(request("GET", &path, "")).await?);
            }
            let before = super::limits::peak(&served)?;
            tokio::time::sleep(Duration::from_millis(700)).await;
            // The connection's window may be used up by them; another one goes on.
            let mut other = connect(&served).await?;
            assert_eq!(
                other.send_request(request("GET", "/", "")).await?.status(),
                200
            );
            let after = super::limits::peak(&served)?;
            assert!(
                after.saturating_sub(before) < 24 << 20,
                "{before} and then {after} bytes"
            );
            // Those that are given up give their share of the window back.
            let last = slow.pop().context("one of them")?;
            drop(slow);
            let mut body = last.into_body();
            let mut count = 0;
            while let Some(frame) = body.frame().await {
                count += frame?.into_data().map_or(0, |data| data.len());
            }
            assert_eq!(count, BYTES);
            let after = super::limits::peak(&served)?;
            assert!(
                after.saturating_sub(before) < 32 << 20,
                "{before} and at the end {after} bytes"
            );
            Ok(())
        })?;
    }
    Ok(())
}

#[test]
fn heads_are_limited() -> Result<()> {
    let Some(served) = served("p3http", &[])? else {
        return Ok(());
    };
    with_tokio(async {
        // One large field, and many small ones.
        let large = |sum: usize, size: usize| -> Result<Request<Full<Bytes>>> {
            let mut large = request("GET", "/info", "");
            for number in 0..sum / size {
                let name = hyper::header::HeaderName::try_from(format!("x-{number}"))?;
                large.headers_mut().append(name, "x".repeat(size).parse()?);
            }
            Ok(large)
        };
        for size in [100 << 10, 1000] {
            let mut sender = connect(&served).await?;
            let response = sender.send_request(large(100 << 10, size)?).await?;
            assert_eq!(response.status(), 200);
            assert!(text(response).await?.len() > 100 << 10);
        }
        for size in [300 << 10, 1000] {
            let mut sender = connect(&served).await?;
            // An answer, or the end of the connection.
            match sender.send_request(large(300 << 10, size)?).await {
                Ok(response) => {
                    assert_eq!(
                        response.status(),
                        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE
                    );
                }
                Err(error) => assert!(!error.is_user(), "{error}"),
            }
        }
        let mut sender = connect(&served).await?;
        assert_eq!(
            sender.send_request(request("GET", "/", "")).await?.status(),
            200
        );
        Ok(())
    })
}

/// Streams that are under way when the server is told to end get all of their answers, and no new
/// one begins.
#[test]
fn streams_under_way_end() -> Result<()> {
    let Some(served) = served("p3http", &[])? else {
        return Ok(());
    };
    with_tokio(async {
        let mut sender = connect(&served).await?;
        let mut under_way = JoinSet::new();
        for _ in 0..5 {
            sender.ready().await?;
            let path = "/big?n=8000000";
            let response = sender.send_request(request("GET", path, "")).await?;
            under_way.spawn(async move {
                tokio::time::sleep(Duration::from_millis(200)).await;
                text(response).await
            });
        }
        served.signal(rustix::process::Signal::TERM)?;
        while let Some(text) = under_way.join_next().await {
            assert_eq!(text??.len(), 8_000_000);
        }
        while sender.ready().await.is_ok() {
            if sender.send_request(request("GET", "/", "")).await.is_err() {
                break;
            }
        }
        Ok(())
    })?;
    let (status, errors) = served.wait()?;
    assert!(status.success() && errors.is_empty(), "{status}: {errors}");
    Ok(())
}

#[test]
fn streams_are_served_with_tls() -> Result<()> {
    let Some(served) = tls::served(&["--log=text"])? else {
        return Ok(());
    };
    with_tokio(async {
        let connector = TlsConnector::from(Arc::new(tls::client("first", &["h2"])?));
        let stream = TcpStream::connect(("127.0.0.1", served.port)).await?;
        let name = ServerName::try_from("localhost")?;
        let mut sender = over(connector.connect(name, stream).await?).await?;
        for number in 0..30 {
            sender.ready().await?;
            let body = format!("{number}").repeat(40_000);
            let response = sender
                .send_request(request("POST", "/echo", body.clone()))
                .await?;
            assert_eq!(text(response).await?, body);
        }
        Ok(())
    })?;
    served.prints("POST /echo HTTP/2.0 200")
}
