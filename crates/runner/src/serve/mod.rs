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
//! | `lingering` | closing them without losing what is on its way |
//! | `generation` | a component that is served, until another one takes its place |
//! | `reload` | … when its file changes |
//! | `workers`, `crew` | the guests; those that serve several requests at once |
//! | `log` | what is said of each request |
//! | `metrics` | `/healthz` and `/metrics` |
//! | `tls` | the certificate |

mod address;
mod arguments;
mod connections;
mod crew;
mod generation;
mod inherited;
mod lingering;
mod listeners;
mod log;
mod metrics;
mod reload;
mod tls;
mod workers;

pub use arguments::ServeArguments;

use crate::output;
use anyhow::{Context, Result, ensure};
use connections::Server;
use generation::{Current, Generation};
use listeners::Listeners;
use metrics::Metrics;
use reload::{Files, Reloader};
use std::sync::{Arc, mpsc};
use std::time::Duration;
use trampette_runtime::Component;
use workers::Workers;

/// How what is served gets into memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Loading {
    /// The file of an artifact may be mapped: it is replaced by another file, if at all.
    Mapped,
    /// The file is not needed any more when it was read: it may be written to.
    Copied,
}

/// What loads or compiles the component that is served, each time that it is called.
pub type Load = dyn Fn(Loading) -> Result<Component> + Send;

/// Serves a component until the process is told to end, by SIGTERM or SIGINT, or has served
/// `--max-requests`: then it accepts nothing more, ends what is under way, and gives 0. A second
/// signal ends the process at once. At SIGHUP, or with `--watch` when the file changes, the
/// component is loaded again, and takes the place of the one before.
///
/// # Errors
/// If the component cannot be loaded, serves no HTTP, imports what nothing provides, or the address
/// cannot be used.
pub fn serve(load: Box<Load>, arguments: &ServeArguments) -> Result<u8> {
    arguments.granted.check()?;
    ensure!(
        !arguments.watch || !arguments.is_standard_input(),
        "--watch needs a file: standard input is read once"
    );
    let files = Files::new(arguments);
    let component = load(match arguments.watch {
        true => Loading::Copied,
        false => Loading::Mapped,
    })?;
    let generation = Generation::new(&component, arguments)?;
    drop(component);
    let runtime = runtime(arguments)?;
    let workers = Workers::new(arguments, runtime.handle())?;
    let Listeners { requests, metrics } =
        Listeners::open(arguments.addr.as_ref(), arguments.metrics_addr.as_ref())?;
    let scheme = if generation.tls.is_some() {
        "https"
    } else {
        "http"
    };
    let places = requests.iter().map(|listener| listener.shown(scheme, "/"));
    let mut line = format!(
        "serving {} on {}; {}",
        generation.service.kind(),
        places.collect::<Vec<_>>().join(", "),
        arguments.network()
    );
    for listener in &metrics {
        let place = listener.shown("http", "/metrics");
        line.push_str(&format!("; metrics on {place}"));
    }
    let inside = runtime.enter();
    let (current, counted) = (
        Arc::new(Current::new(generation)),
        Arc::new(Metrics::default()),
    );
    let server = Server::new(current.clone(), workers, arguments, counted.clone())?;
    drop(inside);
    let (reload, told) = mpsc::channel();
    let reloader = Reloader {
        load,
        arguments: arguments.clone(),
        files,
        current,
        metrics: counted,
    };
    reloader.start(told)?;
    output::note(line);
    runtime.block_on(server.run(requests, metrics, reload))?;
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
