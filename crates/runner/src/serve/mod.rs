//! `serve`: a component that serves HTTP, on an address.
//!
//! One tokio runtime has a worker for each processor. A connection is a task, and a request another
//! one, in which its guest runs; a guest of 0.2 that waits keeps a thread, of which there are as
//! many as requests may be served at once.
//!
//! | file | subject |
//! | --- | --- |
//! | `arguments`, `address` | the options |
//! | `listeners` | what it listens with |
//! | `inherited` | sockets that the process was given |
//! | `connections` | accepting, serving and ending connections |
//! | `workers` | the guests |
//! | `log` | what is said of each request |
//! | `metrics` | `/healthz` and `/metrics` |
//! | `tls` | the certificate |

mod address;
mod arguments;
mod connections;
mod inherited;
mod listeners;
mod log;
mod metrics;
mod tls;
mod workers;

pub use arguments::ServeArguments;

use crate::output;
use anyhow::{Context, Result, bail};
use connections::Server;
use listeners::Listeners;
use std::time::Duration;
use trampette_runtime::Component;
use trampette_wasi::http::{Service, ServiceKind};
use workers::Workers;

/// Serves a component until the process is told to end, by SIGTERM or SIGINT, or has served
/// `--max-requests`: then it accepts nothing more, ends what is under way, and gives 0. A second
/// signal ends the process at once.
///
/// # Errors
/// If the component serves no HTTP, imports what nothing provides, or the address cannot be used.
pub fn serve(component: &Component, arguments: &ServeArguments) -> Result<u8> {
    arguments.granted.check()?;
    if ServiceKind::of(component).is_none() {
        bail!(
            "the component exports neither `wasi:http/handler@0.3.x` nor \
             `wasi:http/incoming-handler@0.2.x`: it serves no HTTP"
        );
    }
    let linker = arguments.granted.linker(component)?;
    let service = Service::new(linker.instantiate_pre(component)?)?;
    let runtime = runtime(arguments)?;
    let workers = Workers::new(arguments, runtime.handle())?;
    let Listeners { requests, metrics } =
        Listeners::open(arguments.addr.as_ref(), arguments.metrics_addr.as_ref())?;
    let tls = tls::acceptor(arguments)?;
    let scheme = if tls.is_some() { "https" } else { "http" };
    let places = requests.iter().map(|listener| listener.shown(scheme, "/"));
    let mut line = format!(
        "serving {} on {}; {}",
        service.kind(),
        places.collect::<Vec<_>>().join(", "),
        arguments.network()
    );
    for listener in &metrics {
        let place = listener.shown("http", "/metrics");
        line.push_str(&format!("; metrics on {place}"));
    }
    let inside = runtime.enter();
    let server = Server::new(service, workers, arguments, tls)?;
    drop(inside);
    output::note(line);
    runtime.block_on(server.run(requests, metrics))?;
    // Guests that wait for what never comes end with the process.
    runtime.shutdown_timeout(Duration::from_millis(100));
    Ok(0)
}

fn runtime(arguments: &ServeArguments) -> Result<tokio::runtime::Runtime> {
    /// What tokio gives a thread by itself.
    const STACK: usize = 2 << 20;
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.enable_all().thread_name("serve");
    let stack = arguments.granted.limits.thread_stack();
    builder.thread_stack_size(stack.map_or(STACK, |stack| stack.max(STACK)));
    // Each guest of 0.2 may keep one; a few look up names.
    builder.max_blocking_threads(arguments.max_in_flight as usize + 64);
    builder.build().context("cannot start threads")
}
