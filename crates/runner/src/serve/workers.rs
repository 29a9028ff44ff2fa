//! The guests of `serve`: what their stores are made with.

use crate::granted::Grants;
use crate::grants::Refused;
use crate::output;
use crate::serve::arguments::ServeArguments;
use crate::serve::inherited;
use crate::timeout::Timeout;
use anyhow::Result;
use std::ffi::OsString;
use std::sync::Arc;
use std::time::Instant;
use tokio::runtime::Handle;
use trampette_runtime::{Store, StoreLimits};
use trampette_wasi::http::{Client, HttpCtx, Worker};
use trampette_wasi::{TokioReactor, WasiCtx, WasiCtxBuilder};

/// What makes them.
pub(super) struct Workers {
    arguments: ServeArguments,
    program: OsString,
    grants: Grants,
    refused: Refused,
    limits: StoreLimits,
    timeout: Option<Timeout>,
    client: Client,
    reactor: Arc<TokioReactor>,
    processors: usize,
}

/// A guest that may have served requests.
pub(super) struct Used {
    pub worker: Worker<WasiCtx>,
    /// How many.
    pub served: u32,
}

impl Workers {
    pub(super) fn new(arguments: &ServeArguments, runtime: &Handle) -> Result<Workers> {
        let granted = &arguments.granted;
        let program = arguments.input().file_name().unwrap_or_default();
        let mut grants = granted.prepare()?;
        grants.hide(&inherited::VARIABLES);
        Ok(Workers {
            program: program.to_os_string(),
            grants,
            refused: Refused::default(),
            limits: granted.limits.limits()?,
            timeout: granted.timeout,
            client: Client::new(arguments.destinations()),
            reactor: Arc::new(TokioReactor::new(runtime.clone())),
            processors: std::thread::available_parallelism().map_or(1, usize::from),
            arguments: arguments.clone(),
        })
    }

    /// What a guest sees: what is printed goes to the process's own output, and there is no input,
    /// unless options say otherwise.
    fn context(&self) -> Result<WasiCtx> {
        let refused = self.refused.clone();
        let builder = WasiCtxBuilder::new()
            .inherit_stdout()
            .inherit_stderr()
            .arg(&self.program)
            .reactor(self.reactor.clone())
            .http(HttpCtx::new().client(self.client.clone()))
            // The first one is told of; the guests know of each.
            .on_network_refusal(move |refusal| {
                if let Some(text) = refused.note(refusal) {
                    output::note(text);
                }
            });
        Ok(self.grants.give(builder)?.build())
    }

    /// A new guest.
    ///
    /// # Errors
    /// If what it is given cannot be opened.
    pub(super) fn make(&self) -> Result<Worker<WasiCtx>> {
        let mut store = Store::new(self.context()?);
        store.set_limits(self.limits);
        Ok(store.into())
    }

    /// Gives a guest the time of a request.
    ///
    /// # Errors
    /// If no clock can be started.
    pub(super) fn start_clock(&self, worker: &mut Worker<WasiCtx>) -> Result<()> {
        let timeout = self.timeout;
        timeout.map_or(Ok(()), |timeout| timeout.start(worker.store()))
    }

    /// When a request that begins now has no time left.
    pub(super) fn deadline(&self) -> Option<Instant> {
        Instant::now().checked_add(self.timeout?.duration())
    }

    /// How many requests a guest serves.
    pub(super) fn reuse(&self) -> u32 {
        self.arguments.reuse
    }

    /// How many requests a guest serves at once.
    pub(super) fn concurrency(&self) -> u32 {
        self.arguments.concurrency
    }

    /// Of this machine, those that the process may use.
    pub(super) fn processors(&self) -> usize {
        self.processors
    }
}
