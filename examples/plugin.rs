//! A host of plugins, small and whole: it compiles plugins when they are deployed, loads them with
//! typed errors, runs each request in an instance of its own on whichever thread takes it, with
//! limits of memory and time, shows it one directory to read, captures what it prints, and takes a
//! new version of a plugin while requests run. `cargo run --example plugin`.
//!
//! The plugin is `examples/plugin/guest.wat`, its world is in `plugin.wit` beside it.

use anyhow::{Context, Result, bail, ensure};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, RwLock};
use std::time::{Duration, SystemTime};
use trampette_runtime::{Component, Linker, LoadError, LoadErrorKind, Store, StoreLimits, Trap};
use trampette_wasi::{Captured, Output, WasiCtx, WasiCtxBuilder, WasiView};

mod bindings {
    trampette_bindgen::bindgen!({
        path: ["wit", "examples/plugin"],
        world: "example:plugin/plugin",
    });
}

use bindings::example::plugin::host::{Host, Level};
use bindings::{Plugin, PluginPre};

/// What one request may use.
const MEMORY: u64 = 8 << 20;
const TIME: Duration = Duration::from_millis(500);

/// What the host keeps for one request.
struct Request {
    wasi: WasiCtx,
    log: Vec<String>,
}

impl WasiView for Request {
    fn wasi(&mut self) -> &mut WasiCtx {
        &mut self.wasi
    }
}

impl Host for Request {
    fn log(&mut self, level: Level, message: &str) -> Result<()> {
        self.log.push(format!("{level:?}: {message}"));
        Ok(())
    }
}

/// The result of one request.
struct Response {
    result: Result<String, String>,
    output: String,
    log: Vec<String>,
}

/// One plugin: its artifact's file, and what was loaded from it last.
struct Service {
    artifact: PathBuf,
    data: PathBuf,
    linker: Linker<Request>,
    current: RwLock<Arc<PluginPre<Request>>>,
    /// When the file was written that `current` is of.
    written: Mutex<SystemTime>,
}

impl Service {
    fn new(artifact: &Path, data: &Path) -> Result<Service> {
        let mut linker = Linker::new();
        trampette_wasi::add_to_linker(&mut linker)?;
        Plugin::add_to_linker(&mut linker, |request: &mut Request| request)?;
        Ok(Service {
            current: RwLock::new(Arc::new(load(artifact, &linker)?)),
            written: Mutex::new(artifact.metadata()?.modified()?),
            artifact: artifact.to_path_buf(),
            data: data.to_path_buf(),
            linker,
        })
    }

    /// Takes the file's new contents, if there are any: requests that run keep what they began
    /// with, and a file that cannot be loaded changes nothing. Says whether there was something.
    fn reload(&self) -> Result<bool> {
        let mut written = self.written.lock().expect("no panic");
        let now = self.artifact.metadata()?.modified()?;
        if *written == now {
            return Ok(false);
        }
        *written = now;
        let plugin = Arc::new(load(&self.artifact, &self.linker)?);
        *self.current.write().expect("no panic") = plugin;
        Ok(true)
    }

    /// A store for one request: what the guest sees, and what it may use.
    fn store(&self) -> Result<(Store<Request>, Captured)> {
        let (stdout, captured) = Output::captured(64 << 10);
        let wasi = WasiCtxBuilder::new().stdout(stdout);
        let wasi = wasi.preopened_dir_read_only(&self.data, "/data")?.build();
        let mut store = Store::new(Request { wasi, log: vec![] });
        store.set_limits(StoreLimits::default().with_memory_bytes(MEMORY));
        store.set_timeout(TIME)?;
        Ok((store, captured))
    }

    fn instantiate(&self, store: &mut Store<Request>) -> Result<Plugin> {
        let current = self.current.read().expect("no panic").clone();
        current.instantiate(store)
    }

    fn name(&self) -> Result<String> {
        let (mut store, _) = self.store()?;
        self.instantiate(&mut store)?.call_name(&mut store)
    }

    fn transform(&self, text: &str) -> Result<Response> {
        let (mut store, captured) = self.store()?;
        let plugin = self.instantiate(&mut store)?;
        let result = plugin.call_transform(&mut store, text)?;
        Ok(Response {
            result,
            output: String::from_utf8_lossy(&captured.contents()).into_owned(),
            log: store.into_data().log,
        })
    }
}

/// Loads a plugin; its imports and exports are checked here, once for all requests.
fn load(artifact: &Path, linker: &Linker<Request>) -> Result<PluginPre<Request>> {
    // SAFETY: the folder is this program's own; `deploy` fills it with what was compiled here.
    let component = unsafe { Component::from_file(artifact) }?;
    PluginPre::new(linker.instantiate_pre(&component)?)
}

/// Compiles a plugin to where the service looks: a new file takes the old one's place, so that what
/// is mapped stays.
fn deploy(source: &str, artifact: &Path) -> Result<()> {
    let mut resolve = wit_parser::Resolve::new();
    resolve.push_dir("wit")?;
    let (package, _) = resolve.push_dir("examples/plugin")?;
    let world = resolve.select_world(&[package], Some("guest"))?;
    let mut module = wat::parse_str(source)?;
    let encoding = wit_component::StringEncoding::UTF8;
    wit_component::embed_component_metadata(&mut module, &resolve, world, encoding, false)?;
    let mut encoder = wit_component::ComponentEncoder::default();
    let component = encoder.module(&module)?.encode()?;
    trampette::compile_component(&component, &trampette::CompileOptions::default())?.write(artifact)
}

fn main() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (artifact, data) = (folder.path().join("plugin.elf"), folder.path().join("data"));
    std::fs::create_dir(&data)?;
    std::fs::write(data.join("greeting"), "Hello, ")?;
    let source = std::fs::read_to_string("examples/plugin/guest.wat")?;
    deploy(&source, &artifact)?;
    let service = Service::new(&artifact, &data)?;
    println!("loaded {}", service.name()?);

    // Every thread takes requests; each is an instance of its own.
    std::thread::scope(|scope| {
        let work = |thread: u32| {
            let service = &service;
            move || -> Result<()> {
                for number in 0..100 {
                    let response = service.transform(&format!("{thread}.{number}"))?;
                    ensure!(response.result == Ok(format!("Hello, {thread}.{number}")));
                    ensure!(response.output == "working\n");
                    ensure!(response.log == [format!("Info: {thread}.{number}")]);
                }
                Ok(())
            }
        };
        let threads = [0, 1, 2, 3].map(|thread| scope.spawn(work(thread)));
        let mut results = threads.into_iter().map(|it| it.join().expect("no panic"));
        results.try_for_each(|result| result)
    })?;
    println!("400 requests on 4 threads");

    // What a guest must not do ends with its request.
    for text in ["write", "grow"] {
        let refused = service.transform(text)?.result.err().context("refused")?;
        println!("{text}: {refused}");
    }
    let error = service.transform("spin").err().context("stopped")?;
    println!("spin: {:?}", error.downcast_ref().map(Trap::kind));

    // A broken deployment is told apart from a stale one, and the old version goes on.
    let (good, broken) = (std::fs::read(&artifact)?, folder.path().join("broken"));
    std::fs::write(&broken, &good[..5000])?;
    std::fs::rename(&broken, &artifact)?;
    let error = service.reload().err().context("refused")?;
    match error.downcast_ref::<LoadError>().map(LoadError::kind) {
        Some(LoadErrorKind::Damaged) => println!("kept {}: {error:#}", service.name()?),
        other => bail!("expected a damaged artifact, found {other:?}"),
    }

    deploy(&source.replace("plugin 1", "plugin 2"), &artifact)?;
    ensure!(service.reload()? && !service.reload()?);
    println!("reloaded {}", service.name()?);
    Ok(())
}
