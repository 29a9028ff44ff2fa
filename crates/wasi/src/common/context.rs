//! What a guest sees of the system: [`WasiCtx`].

use crate::common::budget::Budget;
use crate::common::bytes::OtherThreads;
use crate::common::clocks::{Clocks, MonotonicClock, WallClock};
use crate::common::descriptor::{Access, Descriptor};
use crate::common::network::policy::{Network, NetworkRefusal, NetworkRule};
use crate::common::random::{Random, RandomSource};
use crate::common::reactor::{Reaction, Reactor};
use crate::common::stdio::{Input, Output};
use crate::p1::descriptors::Descriptors;
use anyhow::{Context, Result, anyhow};
use rustix::fs::{Mode, OFlags};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use trampette_runtime::{Resource, ResourceTable};

/// Where a store keeps its [`WasiCtx`].
///
/// ```
/// use trampette_runtime::Store;
/// use trampette_wasi::{WasiCtx, WasiCtxBuilder, WasiView};
///
/// struct Host {
///     wasi: WasiCtx,
///     requests: u32,
/// }
///
/// impl WasiView for Host {
///     fn wasi(&mut self) -> &mut WasiCtx {
///         &mut self.wasi
///     }
/// }
///
/// let wasi = WasiCtxBuilder::new().build();
/// let store = Store::new(Host { wasi, requests: 0 });
/// # let _ = store.data().requests;
/// ```
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
///
/// ```
/// use trampette_runtime::Store;
/// use trampette_wasi::{WasiCtx, WasiCtxBuilder};
///
/// let wasi: WasiCtx = WasiCtxBuilder::new().arg("program").build();
/// // A store whose data it is, alone or as a part (`WasiView`).
/// let store = Store::new(wasi);
/// # let _ = store;
/// ```
pub struct WasiCtx {
    pub(crate) table: ResourceTable,
    pub(crate) arguments: Vec<OsString>,
    pub(crate) environment: Vec<(OsString, OsString)>,
    pub(crate) preopens: Vec<(File, Access, String)>,
    pub(crate) stdin: Input,
    pub(crate) stdout: Output,
    pub(crate) stderr: Output,
    pub(crate) clocks: Clocks,
    pub(crate) random: Random,
    pub(crate) budget: Budget,
    #[cfg(feature = "http")]
    http: crate::http::HttpCtx,
    /// Names and values that the guest is configured with.
    pub(crate) config: BTreeMap<String, String>,
    #[cfg(feature = "keyvalue")]
    pub(crate) keyvalue: crate::keyvalue::KeyValueCtx,
    /// What a preview-1 module has open, from its first call on.
    pub(crate) p1: Option<Descriptors>,
    pub(crate) reaction: Reaction,
    pub(crate) network: Network,
    /// Which thread waits for files.
    pub(crate) file_work: FileWork,
    /// Reads of files by other threads.
    pub(crate) file_reads: Budget,
    /// What `get-insecure-seed` of 0.3 gives, each time.
    pub(crate) insecure_seed: Option<(u64, u64)>,
}

/// Which thread does what may have to wait for a disk: opening, looking up, synchronising, reading
/// what is not in the system's memory.
///
/// ```
/// use trampette_wasi::{FileWork, WasiCtxBuilder};
///
/// // Nothing but one guest is driven by the thread.
/// let wasi = WasiCtxBuilder::new().file_work(FileWork::InPlace).build();
/// # let _ = wasi;
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum FileWork {
    /// One of the [`Reactor`](crate::Reactor)'s: other guests go on meanwhile.
    #[default]
    OnOtherThreads,
    /// That which drives the store.
    InPlace,
}

impl WasiCtx {
    /// The table of the guest's resources.
    ///
    /// ```
    /// use trampette_wasi::WasiCtxBuilder;
    ///
    /// // Resources of other interfaces of the host's may be in the same table.
    /// let mut wasi = WasiCtxBuilder::new().build();
    /// let entry = wasi.table().push("mine")?;
    /// assert_eq!(wasi.table().get(&entry)?, &"mine");
    /// # anyhow::Ok(())
    /// ```
    pub fn table(&mut self) -> &mut ResourceTable {
        &mut self.table
    }

    /// What the guest may do by HTTP.
    #[cfg(feature = "http")]
    pub(crate) fn http(&self) -> &crate::http::HttpCtx {
        &self.http
    }

    /// Deletes what a guest gave up.
    pub(crate) fn give_up<R: Send + 'static>(&mut self, resource: Resource<R>) -> Result<()> {
        self.table.delete(resource)?;
        Ok(())
    }

    /// New descriptors of the preopened directories.
    pub(crate) fn open_preopens(&self) -> Result<Vec<(Descriptor, String)>> {
        let open = |(dir, access, name): &(File, Access, String)| {
            let descriptor = Descriptor::opened(dir.try_clone()?, *access, &self.budget);
            let descriptor = descriptor.map_err(|_| {
                anyhow!("the guest's file descriptors are used up: see `max_open_files`")
            })?;
            Ok((descriptor, name.clone()))
        };
        self.preopens.iter().map(open).collect()
    }
}

/// Builds a [`WasiCtx`]. By default a guest sees nothing: no arguments, no environment, no
/// directories, empty standard streams.
///
/// ```
/// use trampette_wasi::{Input, Output, WasiCtxBuilder};
///
/// # fn main() -> anyhow::Result<()> {
/// # let folder = tempfile::tempdir()?;
/// # let host_path = folder.path();
/// let (output, captured) = Output::captured(1 << 20);
/// let wasi = WasiCtxBuilder::new()
///     .arg("program")
///     .arg("--verbose")
///     .env("LANG", "C.UTF-8")
///     .stdin(Input::bytes("some input"))
///     .stdout(output)
///     .inherit_stderr()
///     .preopened_dir_read_only(host_path, "/data")?
///     .max_open_files(100)
///     .build();
/// # let _ = (wasi, captured);
/// # Ok(()) }
/// ```
pub struct WasiCtxBuilder {
    context: WasiCtx,
}

impl WasiCtxBuilder {
    /// A context in which a guest sees nothing.
    ///
    /// ```
    /// let wasi = trampette_wasi::WasiCtxBuilder::new().build();
    /// # let _ = wasi;
    /// ```
    pub fn new() -> WasiCtxBuilder {
        WasiCtxBuilder {
            context: WasiCtx {
                table: ResourceTable::new(),
                arguments: Vec::new(),
                environment: Vec::new(),
                preopens: Vec::new(),
                stdin: Input::empty(),
                stdout: Output::null(),
                stderr: Output::null(),
                clocks: Clocks::new(),
                random: Random::default(),
                budget: Budget::new(Budget::DEFAULT),
                #[cfg(feature = "http")]
                http: crate::http::HttpCtx::new(),
                config: BTreeMap::new(),
                #[cfg(feature = "keyvalue")]
                keyvalue: crate::keyvalue::KeyValueCtx::default(),
                p1: None,
                reaction: Reaction::default(),
                network: Network::default(),
                file_work: FileWork::default(),
                file_reads: Budget::new(OtherThreads::READS),
                insecure_seed: None,
            },
        }
    }

    /// Appends an argument; the first one is the program's name. Bytes that are not UTF-8 reach
    /// preview-1 modules as they are; to WASI 0.2, whose arguments are text, they are U+FFFD.
    ///
    /// ```
    /// let wasi = trampette_wasi::WasiCtxBuilder::new().arg("program").arg("-v").build();
    /// # let _ = wasi;
    /// ```
    pub fn arg(mut self, argument: impl Into<OsString>) -> Self {
        self.context.arguments.push(argument.into());
        self
    }

    /// Adds an environment variable. For bytes that are not UTF-8 see [`WasiCtxBuilder::arg`].
    ///
    /// ```
    /// let wasi = trampette_wasi::WasiCtxBuilder::new().env("TZ", "UTC").build();
    /// # let _ = wasi;
    /// ```
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.context.environment.push((name.into(), value.into()));
        self
    }

    /// Sets what the guest reads as its standard input: the process's ([`Input::inherit`]), bytes,
    /// a file, a reader or a closure; nothing by default.
    ///
    /// ```
    /// # use trampette_wasi::{Input, WasiCtxBuilder};
    /// let wasi = WasiCtxBuilder::new().stdin(Input::bytes(*b"1 2 3")).build();
    /// # let _ = wasi;
    /// ```
    pub fn stdin(mut self, input: Input) -> Self {
        self.context.stdin = input;
        self
    }

    /// Sets where the guest's standard output goes: to the process's ([`Output::inherit_stdout`]),
    /// a buffer, a file, a writer or a closure; nowhere by default.
    ///
    /// ```
    /// # use trampette_wasi::{Output, WasiCtxBuilder};
    /// let (output, captured) = Output::captured(1024);
    /// let wasi = WasiCtxBuilder::new().stdout(output).build();
    /// # let _ = (wasi, captured);
    /// ```
    pub fn stdout(mut self, output: Output) -> Self {
        self.context.stdout = output;
        self
    }

    /// Sets where the guest's standard error goes: as [`WasiCtxBuilder::stdout`].
    ///
    /// ```
    /// # use trampette_wasi::{Output, WasiCtxBuilder};
    /// let log = tempfile::tempfile()?;
    /// let wasi = WasiCtxBuilder::new().stderr(Output::file(log)).build();
    /// # let _ = wasi;
    /// # std::io::Result::Ok(())
    /// ```
    pub fn stderr(mut self, output: Output) -> Self {
        self.context.stderr = output;
        self
    }

    /// Gives the guest the process's standard input.
    ///
    /// ```
    /// let wasi = trampette_wasi::WasiCtxBuilder::new().inherit_stdin().build();
    /// # let _ = wasi;
    /// ```
    pub fn inherit_stdin(self) -> Self {
        self.stdin(Input::inherit())
    }

    /// Gives the guest the process's standard output.
    ///
    /// ```
    /// let wasi = trampette_wasi::WasiCtxBuilder::new().inherit_stdout().build();
    /// # let _ = wasi;
    /// ```
    pub fn inherit_stdout(self) -> Self {
        self.stdout(Output::inherit_stdout())
    }

    /// Gives the guest the process's standard error.
    ///
    /// ```
    /// let wasi = trampette_wasi::WasiCtxBuilder::new().inherit_stderr().build();
    /// # let _ = wasi;
    /// ```
    pub fn inherit_stderr(self) -> Self {
        self.stderr(Output::inherit_stderr())
    }

    /// Gives the guest the process's standard streams, all three.
    ///
    /// ```
    /// let wasi = trampette_wasi::WasiCtxBuilder::new().inherit_stdio().build();
    /// # let _ = wasi;
    /// ```
    pub fn inherit_stdio(self) -> Self {
        self.inherit_stdin().inherit_stdout().inherit_stderr()
    }

    /// Sets what the guest may do by HTTP; by default it may send no requests.
    #[cfg(feature = "http")]
    pub fn http(mut self, http: crate::http::HttpCtx) -> Self {
        self.context.http = http;
        self
    }

    /// Sets the clock by which the guest measures and waits; by default it is the system's, and
    /// begins with the context.
    ///
    /// ```
    /// // It stands still. A wait takes as long as it would otherwise.
    /// let wasi = trampette_wasi::WasiCtxBuilder::new().monotonic_clock(|| 1_000).build();
    /// # let _ = wasi;
    /// ```
    pub fn monotonic_clock(mut self, clock: impl MonotonicClock) -> Self {
        self.context.clocks.monotonic = Some(Arc::new(clock));
        self
    }

    /// Sets the clock that tells the guest what day and time it is: the system's by default.
    ///
    /// ```
    /// use std::time::UNIX_EPOCH;
    ///
    /// let wasi = trampette_wasi::WasiCtxBuilder::new().wall_clock(|| UNIX_EPOCH).build();
    /// # let _ = wasi;
    /// ```
    pub fn wall_clock(mut self, clock: impl WallClock) -> Self {
        self.context.clocks.wall = Some(Arc::new(clock));
        self
    }

    /// Sets where the guest's random bytes come from, those of the insecure interfaces too: from
    /// the system by default.
    ///
    /// ```
    /// use trampette_wasi::{SeededRandom, WasiCtxBuilder};
    ///
    /// // The same in each run.
    /// let wasi = WasiCtxBuilder::new().random(SeededRandom::new(1)).build();
    /// # let _ = wasi;
    /// ```
    pub fn random(mut self, source: impl RandomSource) -> Self {
        self.context.random = Random(Some(Box::new(source)));
        self
    }

    /// Adds a value that the guest finds by its name with `wasi:config`, if the linker has that
    /// ([`config::add_to_linker`](crate::config::add_to_linker)). A name has one value: the last.
    ///
    /// ```
    /// let wasi = trampette_wasi::WasiCtxBuilder::new().config("greeting", "Hello").build();
    /// # let _ = wasi;
    /// ```
    pub fn config(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.context.config.insert(name.into(), value.into());
        self
    }

    /// Gives the guest a store of keys and values, if the linker has `wasi:keyvalue`
    /// ([`keyvalue::add_to_linker`](crate::keyvalue::add_to_linker)). Contexts with clones of a
    /// store share it. Without one no bucket can be opened.
    ///
    /// ```
    /// use trampette_wasi::WasiCtxBuilder;
    /// use trampette_wasi::keyvalue::KeyValue;
    ///
    /// let store = KeyValue::in_memory(1 << 20)?;
    /// let wasi = WasiCtxBuilder::new().keyvalue(store.clone()).build();
    /// // … run a guest, and see what it left.
    /// assert_eq!(store.get("default", "visits")?, None);
    /// # let _ = wasi;
    /// # anyhow::Ok(())
    /// ```
    #[cfg(feature = "keyvalue")]
    pub fn keyvalue(mut self, store: crate::keyvalue::KeyValue) -> Self {
        self.context.keyvalue.store = Some(store);
        self
    }

    /// Limits how many files, directories and sockets the guest may have open at once, preopened
    /// directories included: each is a file descriptor of the process. 1,000 by default. What a
    /// guest opens beyond it fails: with `EMFILE` by preview 1, with `insufficient-memory` by WASI
    /// 0.2 and 0.3 (sockets: `new-socket-limit` and `out-of-memory`).
    ///
    /// ```
    /// # use trampette_wasi::WasiCtxBuilder;
    /// let wasi = WasiCtxBuilder::new().max_open_files(16).build();
    /// # let _ = wasi;
    /// ```
    pub fn max_open_files(mut self, limit: usize) -> Self {
        self.context.budget.set_descriptors(limit);
        self
    }

    /// Limits how many of them may be sockets, connections that were accepted included; as many as
    /// there may be files by default. Beyond it sockets fail with `new-socket-limit` by WASI 0.2
    /// and `out-of-memory` by 0.3, and connections are accepted and closed.
    ///
    /// ```
    /// # use trampette_wasi::WasiCtxBuilder;
    /// let wasi = WasiCtxBuilder::new().inherit_network().max_sockets(8).build();
    /// # let _ = wasi;
    /// ```
    pub fn max_sockets(mut self, limit: usize) -> Self {
        self.context.budget.set_sockets(limit);
        self
    }

    /// Limits how many buckets of `wasi:keyvalue`, and swaps (`cas`), the guest may have open at
    /// once; 1,000 by default. Opening one more is an error, `other` with a text.
    ///
    /// ```
    /// # use trampette_wasi::WasiCtxBuilder;
    /// # use trampette_wasi::keyvalue::KeyValue;
    /// let store = KeyValue::in_memory(1 << 20)?;
    /// let wasi = WasiCtxBuilder::new().keyvalue(store).max_keyvalue_handles(8).build();
    /// # let _ = wasi;
    /// # anyhow::Ok(())
    /// ```
    #[cfg(feature = "keyvalue")]
    pub fn max_keyvalue_handles(mut self, limit: usize) -> Self {
        self.context.keyvalue.set_handles(limit);
        self
    }

    /// Sets what guests of WASI 0.3 wait with: by default
    /// [`TokioReactor::shared`](crate::TokioReactor::shared).
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use trampette_wasi::{TokioReactor, WasiCtxBuilder};
    /// let reactor = Arc::new(TokioReactor::shared());
    /// let wasi = WasiCtxBuilder::new().reactor(reactor).build();
    /// # let _ = wasi;
    /// ```
    pub fn reactor(mut self, reactor: Arc<dyn Reactor>) -> Self {
        self.context.reaction = Reaction(Some(reactor));
        self
    }

    /// Gives the guest the network as the process has it, loopback included.
    ///
    /// ```
    /// let wasi = trampette_wasi::WasiCtxBuilder::new().inherit_network().build();
    /// # let _ = wasi;
    /// ```
    pub fn inherit_network(mut self) -> Self {
        self.context.network.inherit();
        self
    }

    /// Gives the guest a part of the network: to connect and send to, and to be reached at. Without
    /// rules it has none.
    ///
    /// ```
    /// # use trampette_wasi::WasiCtxBuilder;
    /// let wasi = WasiCtxBuilder::new()
    ///     .allow_network("10.0.0.0/8:5432".parse()?)
    ///     .allow_network("*.example.com:443".parse()?)
    ///     .build();
    /// # let _ = wasi;
    /// # anyhow::Ok(())
    /// ```
    pub fn allow_network(mut self, rule: NetworkRule) -> Self {
        self.context.network.allow(rule);
        self
    }

    /// Sets what is told of each refusal of the network, which to the guest is `access-denied`.
    ///
    /// ```
    /// # use trampette_wasi::WasiCtxBuilder;
    /// let wasi = WasiCtxBuilder::new()
    ///     .on_network_refusal(|refusal| eprintln!("{refusal}"))
    ///     .build();
    /// # let _ = wasi;
    /// ```
    pub fn on_network_refusal(
        mut self,
        tell: impl Fn(&NetworkRefusal) + Send + Sync + 'static,
    ) -> Self {
        self.context.network.on_refusal(tell);
        self
    }

    /// Sets which thread does what may have to wait for a disk, for guests of WASI 0.3. Those of
    /// other versions do it with the thread that runs them.
    ///
    /// ```
    /// # use trampette_wasi::{FileWork, WasiCtxBuilder};
    /// let wasi = WasiCtxBuilder::new().file_work(FileWork::InPlace).build();
    /// # let _ = wasi;
    /// ```
    pub fn file_work(mut self, work: FileWork) -> Self {
        self.context.file_work = work;
        self
    }

    /// Gives the guest a directory of the host under a name of its own, to read and write.
    ///
    /// ```
    /// # use trampette_wasi::WasiCtxBuilder;
    /// # let folder = tempfile::tempdir()?;
    /// # let host_path = folder.path();
    /// let wasi = WasiCtxBuilder::new().preopened_dir(host_path, "/work")?.build();
    /// # let _ = wasi;
    /// # anyhow::Ok(())
    /// ```
    ///
    /// # Errors
    /// If the directory cannot be opened; the message names it.
    pub fn preopened_dir(self, host: impl AsRef<Path>, guest: impl Into<String>) -> Result<Self> {
        self.preopen(host.as_ref(), guest.into(), Access::ReadWrite)
    }

    /// As [`WasiCtxBuilder::preopened_dir`], to read only.
    ///
    /// ```
    /// # let folder = tempfile::tempdir()?;
    /// # let host_path = folder.path();
    /// let builder = trampette_wasi::WasiCtxBuilder::new();
    /// let wasi = builder.preopened_dir_read_only(host_path, "/data")?.build();
    /// # let _ = wasi;
    /// # anyhow::Ok(())
    /// ```
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
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let dir = rustix::fs::open(host, flags, Mode::empty())
            .map_err(std::io::Error::from)
            .with_context(|| format!("cannot preopen the directory {}", host.display()))?;
        self.context.preopens.push((dir.into(), access, guest));
        Ok(self)
    }

    /// The context.
    ///
    /// ```
    /// let wasi = trampette_wasi::WasiCtxBuilder::new().build();
    /// let store = trampette_runtime::Store::new(wasi);
    /// # let _ = store;
    /// ```
    pub fn build(self) -> WasiCtx {
        self.context
    }
}

impl Default for WasiCtxBuilder {
    fn default() -> Self {
        Self::new()
    }
}
