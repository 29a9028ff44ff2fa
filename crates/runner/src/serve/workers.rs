//! The guests of `serve`: stores that are made for a request, or were for one before it.

use crate::granted::Grants;
use crate::grants::Refused;
use crate::output;
use crate::serve::arguments::ServeArguments;
use crate::serve::inherited;
use crate::timeout::Timeout;
use anyhow::Result;
use std::ffi::OsString;
use std::sync::{Arc, Mutex, PoisonError};
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
    idle: Mutex<Vec<Used>>,
}

/// A guest for one request.
pub(super) struct Used {
    pub worker: Worker<WasiCtx>,
    /// How many it has served, with this one.
    served: u32,
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
            idle: Mutex::default(),
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

    /// A guest for a request; its clock runs.
    pub(super) fn take(&self) -> Result<(Worker<WasiCtx>, u32)> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let used = idle.pop();
        drop(idle);
        let Used { mut worker, served } = match used {
            Some(used) => used,
            None => {
                let mut store = Store::new(self.context()?);
                store.set_limits(self.limits);
                Used {
                    worker: store.into(),
                    served: 0,
                }
            }
        };
        if let Some(timeout) = self.timeout {
            timeout.start(worker.store())?;
        }
        Ok((worker, served + 1))
    }

    /// Keeps a guest for the next request, if it is to serve another one.
    pub(super) fn give_back(&self, worker: Worker<WasiCtx>, served: u32) {
        if served < self.arguments.reuse {
            let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
            idle.push(Used { worker, served });
        }
    }
}
