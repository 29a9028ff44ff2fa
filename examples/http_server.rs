//! A server that embeds the runtime: each request is served by an instance of its own, with limits
//! of memory and time, and guests may ask one host only. `cargo run --example http_server --
//! app.wasm` serves a component of `wasi:http/proxy` (0.2) or `wasi:http/service` (0.3); what
//! `trampette serve` does beside that is in `docs/serving.md`.

use anyhow::{Context, Result};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::time::Duration;
use tokio::net::TcpListener;
use trampette::{CompileOptions, compile_component};
use trampette_runtime::{Linker, Store, StoreLimits};
use trampette_wasi::http::{self, Body, Client, Connection, Destinations, HttpCtx, Service};
use trampette_wasi::{WasiCtx, WasiCtxBuilder};

fn main() -> Result<()> {
    let path = std::env::args().nth(1).context("a component, please")?;
    let wasm = std::fs::read(&path).with_context(|| path.clone())?;
    let component = compile_component(&wasm, &CompileOptions::default())?.load()?;
    // Imports and the export are matched and checked once, for all instances.
    let mut linker = Linker::<WasiCtx>::new();
    trampette_wasi::add_to_linker(&mut linker)?;
    http::add_to_linker_0_2(&mut linker)?;
    http::add_to_linker_0_3(&mut linker)?;
    let service = Service::new(linker.instantiate_pre(&component)?)?;
    let client = Client::new(Destinations::only(vec!["api.example.com:443".parse()?]));

    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:8080").await?;
        println!(
            "serving {} on http://{}/",
            service.kind(),
            listener.local_addr()?
        );
        loop {
            let (stream, _) = listener.accept().await?;
            let (service, client) = (service.clone(), client.clone());
            let answer = service_fn(move |request| {
                let (service, client) = (service.clone(), client.clone());
                async move { Ok::<_, Infallible>(answer(&service, client, request).await) }
            });
            let connection = hyper::server::conn::http1::Builder::new();
            tokio::spawn(connection.serve_connection(TokioIo::new(stream), answer));
        }
    })
}

async fn answer(
    service: &Service<WasiCtx>,
    client: Client,
    request: Request<Incoming>,
) -> Response<Body> {
    let http = HttpCtx::new().client(client);
    let mut store = Store::new(WasiCtxBuilder::new().inherit_stderr().http(http).build());
    store.set_limits(StoreLimits::default().with_memory_bytes(64 << 20));
    let started = store.set_timeout(Duration::from_secs(5));
    let failed = match started {
        Ok(()) => match service
            .handle(store.into(), request, Connection::plain())
            .await
        {
            // What the guest does after its response goes on by itself.
            Ok(answer) => return answer.response,
            Err(error) => error.to_string(),
        },
        Err(error) => error.to_string(),
    };
    eprintln!("a request failed: {failed}");
    let body = http_body_util::Full::new("Internal Server Error\n".into());
    let mut response = Response::new(body.map_err(|never| match never {}).boxed_unsync());
    *response.status_mut() = hyper::StatusCode::INTERNAL_SERVER_ERROR;
    response
}
