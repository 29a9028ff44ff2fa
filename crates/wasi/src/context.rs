//! What a guest sees of the system: [`WasiCtx`].

use crate::descriptor::{Access, Descriptor};
use anyhow::{Context, Result};
use cap_std::ambient_authority;
use cap_std::fs::Dir;
use std::path::Path;
use std::time::Instant;
use trampette_runtime::{Resource, ResourceTable};

/// Where a store keeps its [`WasiCtx`].
pub trait WasiView: Send + 'static {
    /// The context.
    fn wasi(&mut self) -> &mut WasiCtx;
}

impl WasiView for WasiCtx {
    #[inline]
    fn wasi(&mut self) -> &mut WasiCtx {
        self
    }
}

/// What a guest sees of the system, and the resources it holds.
pub struct WasiCtx {
    pub(crate) table: ResourceTable,
    pub(crate) arguments: Vec<String>,
    pub(crate) environment: Vec<(String, String)>,
    pub(crate) preopens: Vec<(Dir, Access, String)>,
    pub(crate) stdio: Stdio,
    /// Zero of the monotonic clock.
    pub(crate) start: Instant,
}

/// What the standard streams are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Stdio {
    /// The process's own.
    Inherited,
    /// Empty input, output thrown away.
    Null,
}

impl WasiCtx {
    /// The table of the guest's resources.
    pub fn table(&mut self) -> &mut ResourceTable {
        &mut self.table
    }

    /// Deletes what a guest gave up.
    pub(crate) fn give_up<R: Send + 'static>(&mut self, resource: Resource<R>) -> Result<()> {
        self.table.delete(resource)?;
        Ok(())
    }

    /// New descriptors of the preopened directories.
    pub(crate) fn open_preopens(&self) -> std::io::Result<Vec<(Descriptor, String)>> {
        let open = |(dir, access, name): &(Dir, Access, String)| {
            Ok((
                Descriptor::directory(dir.try_clone()?, *access),
                name.clone(),
            ))
        };
        self.preopens.iter().map(open).collect()
    }
}

/// Builds a [`WasiCtx`]. By default a guest sees nothing: no arguments, no environment, no
/// directories, empty standard streams.
pub struct WasiCtxBuilder {
    context: WasiCtx,
}

impl WasiCtxBuilder {
    /// A context in which a guest sees nothing.
    pub fn new() -> WasiCtxBuilder {
        WasiCtxBuilder {
            context: WasiCtx {
                table: ResourceTable::new(),
                arguments: Vec::new(),
                environment: Vec::new(),
                preopens: Vec::new(),
                stdio: Stdio::Null,
                start: Instant::now(),
            },
        }
    }

    /// Appends an argument; the first one is the program's name.
    pub fn arg(mut self, argument: impl Into<String>) -> Self {
        self.context.arguments.push(argument.into());
        self
    }

    /// Adds an environment variable.
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.context.environment.push((name.into(), value.into()));
        self
    }

    /// Gives the guest the process's standard streams.
    pub fn inherit_stdio(mut self) -> Self {
        self.context.stdio = Stdio::Inherited;
        self
    }

    /// Gives the guest a directory of the host under a name of its own, to read and write.
    ///
    /// # Errors
    /// If the directory cannot be opened; the message names it.
    pub fn preopened_dir(self, host: impl AsRef<Path>, guest: impl Into<String>) -> Result<Self> {
        self.preopen(host.as_ref(), guest.into(), Access::ReadWrite)
    }

    /// As [`WasiCtxBuilder::preopened_dir`], to read only.
    ///
    /// # Errors
    /// See [`WasiCtxBuilder::preopened_dir`].
    pub fn preopened_dir_read_only(
        self,
        host: impl AsRef<Path>,
        guest: impl Into<String>,
    ) -> Result<Self> {
        self.preopen(host.as_ref(), guest.into(), Access::ReadOnly)
    }

    fn preopen(mut self, host: &Path, guest: String, access: Access) -> Result<Self> {
        let dir = Dir::open_ambient_dir(host, ambient_authority())
            .with_context(|| format!("cannot preopen the directory {}", host.display()))?;
        self.context.preopens.push((dir, access, guest));
        Ok(self)
    }

    /// The context.
    pub fn build(self) -> WasiCtx {
        self.context
    }
}

impl Default for WasiCtxBuilder {
    fn default() -> Self {
        Self::new()
    }
}
