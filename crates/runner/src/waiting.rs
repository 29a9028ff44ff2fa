//! Driving guests that wait without the thread: those that import WASI 0.3.

use crate::{Prepared, invoke};
use anyhow::{Context, Result};
use std::sync::Arc;
use tokio::runtime::{Builder, Runtime};
use trampette_runtime::{Component, Instance, Store};
use trampette_wasi::{FileWork, TokioReactor, WasiCtxBuilder};

/// What drives a guest.
pub(crate) enum Driver {
    /// The thread, by calls that block.
    Thread,
    /// A runtime that waits for everything that the guest waits for.
    Tokio(Runtime),
}

impl Driver {
    /// What a component needs.
    ///
    /// # Errors
    /// If the system has no `epoll` to give.
    pub(crate) fn new(component: &Component) -> Result<Driver> {
        let metadata = component.metadata();
        let is_0_3 = |interface: &String| {
            let version = interface
                .strip_prefix("wasi:")
                .and_then(|name| name.split_once('@'));
            version.is_some_and(|(_, version)| version.starts_with("0.3."))
        };
        let imports = metadata.imports.iter().map(|import| &import.path);
        let exports = metadata.exports.iter().map(|export| &export.path);
        if !imports.chain(exports).any(|path| path.iter().any(is_0_3)) {
            return Ok(Driver::Thread);
        }
        let runtime = Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .build();
        Ok(Driver::Tokio(runtime.context("cannot wait for events")?))
    }

    /// Lets a guest wait by it. The thread has nothing else to do than to run the guest, so that it
    /// may as well wait for disks.
    pub(crate) fn equip(&self, wasi: WasiCtxBuilder) -> WasiCtxBuilder {
        match self {
            Driver::Thread => wasi,
            Driver::Tokio(runtime) => {
                let reactor = TokioReactor::new(runtime.handle().clone());
                wasi.reactor(Arc::new(reactor)).file_work(FileWork::InPlace)
            }
        }
    }

    /// As [`invoke`].
    ///
    /// # Errors
    /// As [`invoke`].
    pub(crate) fn invoke<T: Send + 'static>(
        &self,
        component: &Component,
        instance: &Instance,
        store: &mut Store<T>,
        call: &str,
    ) -> Result<String> {
        let Driver::Tokio(runtime) = self else {
            return invoke(component, instance, store, call);
        };
        let prepared = Prepared::new(component, instance, store, call)?;
        let called = prepared.func.call_async(store, &prepared.arguments);
        let result = runtime.block_on(called)?;
        prepared.print(component, result.as_slice())
    }
}
