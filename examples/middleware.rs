//! A middleware before a service, both components of WASI 0.3: what the middleware passes on with
//! `wasi:http/handler` goes to the service, in this process. Each request has an instance of either
//! of its own. `cargo run --example middleware`, then `curl -i 127.0.0.1:8080/public/hello`.
//!
//! The guests are `examples/middleware/guard.wat`, which lets requests below `/public` through, and
//! `service.wat` beside it.

use anyhow::Result;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::{Request, Response, StatusCode};
use std::sync::Arc;
use trampette::{CompileOptions, compile_component};
use trampette_runtime::{Linker, Store};
use trampette_wasi::http::{self, Body, Connection, ErrorCode, HttpCtx, RequestOptions};
use trampette_wasi::http::{SendRequest, Sending, ServeError, Service};
use trampette_wasi::{WasiCtx, WasiCtxBuilder};

/// Who is behind the middleware.
struct Behind(Service<WasiCtx>);

impl SendRequest for Behind {
    fn send(&self, request: Request<Body>, _: RequestOptions) -> Sending {
        let service = self.0.clone();
        Box::pin(async move { Ok(ask(&service, HttpCtx::new(), request).await?) })
    }
}

/// The middleware, and who is behind it.
pub struct Chain(Service<WasiCtx>, Arc<Behind>);

impl Chain {
    /// Compiles both.
    pub fn new() -> Result<Chain> {
        let guard = load(
            include_str!("middleware/guard.wat"),
            "wasi:http/middleware@0.3.2",
        )?;
        let service = load(
            include_str!("middleware/service.wat"),
            "wasi:http/service@0.3.2",
        )?;
        Ok(Chain(guard, Arc::new(Behind(service))))
    }

    /// Answers a request, with 403 what the middleware denies.
    pub async fn answer(&self, request: Request<Body>) -> Result<Response<Body>, ServeError> {
        let http = HttpCtx::new().next_handler(self.1.clone());
        match ask(&self.0, http, request).await {
            Err(ServeError::Code(ErrorCode::HttpRequestDenied)) => {
                let mut denied = Response::new(Body::default());
                *denied.status_mut() = StatusCode::FORBIDDEN;
                Ok(denied)
            }
            answered => answered,
        }
    }
}

/// Asks a new instance.
pub async fn ask(
    service: &Service<WasiCtx>,
    http: HttpCtx,
    request: Request<Body>,
) -> Result<Response<Body>, ServeError> {
    let store = Store::new(WasiCtxBuilder::new().http(http).inherit_stderr().build());
    let handled = service.handle(store.into(), request, Connection::plain());
    Ok(handled.await?.response)
}

/// A component of a core module, for a world of `wit`; compiled and linked.
pub fn load(source: &str, world: &str) -> Result<Service<WasiCtx>> {
    let mut resolve = wit_parser::Resolve::new();
    let (package, _) = resolve.push_dir("wit")?;
    let world = resolve.select_world(&[package], Some(world))?;
    let mut module = wat::parse_str(source)?;
    let encoding = wit_component::StringEncoding::UTF8;
    wit_component::embed_component_metadata(&mut module, &resolve, world, encoding, false)?;
    let mut encoder = wit_component::ComponentEncoder::default();
    let component = encoder.module(&module)?.encode()?;
    let component = compile_component(&component, &CompileOptions::default())?.load()?;
    let mut linker = Linker::new();
    trampette_wasi::add_to_linker(&mut linker)?;
    http::add_to_linker_0_3(&mut linker)?;
    Service::new(linker.instantiate_pre(&component)?)
}

fn main() -> Result<()> {
    let chain = Arc::new(Chain::new()?);
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.enable_all().build()?.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:8080").await?;
        println!("serving on http://{}/public/", listener.local_addr()?);
        loop {
            let (stream, _) = listener.accept().await?;
            let chain = chain.clone();
            let answer = hyper::service::service_fn(move |request: Request<Incoming>| {
                let request = request.map(|body| body.map_err(ErrorCode::from).boxed_unsync());
                let chain = chain.clone();
                // A request that fails ends its connection.
                async move { chain.answer(request).await }
            });
            let connection = hyper::server::conn::http1::Builder::new();
            let stream = hyper_util::rt::TokioIo::new(stream);
            tokio::spawn(connection.serve_connection(stream, answer));
        }
    })
}
