//! A component that is served, with its instances. When its file changes another one takes its
//! place; requests that have begun end where they are.

use crate::serve::arguments::ServeArguments;
use crate::serve::crew::Crew;
use crate::serve::tls;
use crate::serve::workers::{Used, Workers};
use anyhow::{Result, ensure};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio_rustls::TlsAcceptor;
use trampette_runtime::Component;
use trampette_wasi::WasiCtx;
use trampette_wasi::http::{Service, ServiceKind};

/// A component that is served.
pub(super) struct Generation {
    pub service: Service<WasiCtx>,
    pub instances: Instances,
    /// The certificate, as it was when the component was read.
    pub tls: Option<TlsAcceptor>,
}

/// How instances serve.
pub(super) enum Instances {
    /// One request after the other.
    Alone(Idle),
    /// Several requests at once.
    Shared(Crew),
}

/// Instances that wait for their next request. A clone stands for the same ones.
#[derive(Clone, Default)]
pub(super) struct Idle(Arc<Mutex<Vec<Used>>>);

impl Generation {
    /// Prepares a component for requests.
    ///
    /// # Errors
    /// If it serves no HTTP, imports what nothing provides, cannot serve as it is to, or the
    /// certificate cannot be read.
    pub(super) fn new(component: &Component, arguments: &ServeArguments) -> Result<Generation> {
        let kind = ServiceKind::required(component)?;
        let is_shared = arguments.concurrency > 1;
        ensure!(
            !is_shared || kind == ServiceKind::Service,
            "--concurrency is for components of WASI 0.3: an instance of this one, of {kind}, \
             serves one request at a time"
        );
        let linker = arguments.granted.linker(component)?;
        Ok(Generation {
            service: Service::new(linker.instantiate_pre(component)?)?,
            instances: match is_shared {
                false => Instances::Alone(Idle::default()),
                true => Instances::Shared(Crew::default()),
            },
            tls: tls::acceptor(arguments)?,
        })
    }
}

impl Idle {
    /// An instance for a request, which it counts already; its clock runs.
    ///
    /// # Errors
    /// If there can be no new one.
    pub(super) fn take(&self, workers: &Workers) -> Result<Used> {
        let idle = self.lock().pop();
        let mut used = match idle {
            Some(used) => used,
            None => Used {
                worker: workers.make()?,
                served: 0,
            },
        };
        used.served += 1;
        if used.served >= workers.reuse() {
            used.worker.last();
        }
        workers.start_clock(&mut used.worker)?;
        Ok(used)
    }

    /// Keeps an instance for the next request.
    pub(super) fn give_back(&self, used: Used) {
        self.lock().push(used);
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Used>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The generation that requests go to.
pub(super) struct Current(std::sync::RwLock<Arc<Generation>>);

impl Current {
    pub(super) fn new(generation: Generation) -> Current {
        Current(std::sync::RwLock::new(Arc::new(generation)))
    }

    pub(super) fn get(&self) -> Arc<Generation> {
        self.0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Lets requests go to another one from now on.
    pub(super) fn set(&self, generation: Generation) {
        let generation = Arc::new(generation);
        let mut current = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let old = std::mem::replace(&mut *current, generation);
        // Its instances end without the lock, if nobody is at them.
        drop(current);
        drop(old);
    }
}
