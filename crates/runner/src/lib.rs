//! Running compiled components from a command line: WASI commands, and single exports by WAVE
//! calls.
//!
//! This is what `trampette run` and the compiler-free `trampette-run` share.
//!
//! | file | subject |
//! | --- | --- |
//! | `command` | the command `trampette-run` |
//! | `granted` | what a guest is given: the options of all commands |
//! | `grants` | how it is spelt: directories, variables, arguments |
//! | `wave`, `core_wave` | values and calls as text |
//! | `names` | which export a name means |
//! | `imports` | what is imported and not provided |
//! | `limits` | what a guest may use |
//! | `serve` | serving HTTP |
//! | `timeout` | how long a guest may run |
//! | `waiting` | driving guests that wait without the thread |
//! | `output` | whatever a command prints |

#![cfg_attr(not(test), warn(unreachable_pub))]

pub mod command;
mod core_wave;
pub mod granted;
pub mod grants;
pub mod imports;
pub mod limits;
mod names;
pub mod output;
pub mod serve;
mod timeout;
mod waiting;
pub mod wave;

/// What the package `fuzz/` tries of the command line beside what is public anyway.
#[doc(hidden)]
pub mod parsers {
    pub use crate::core_wave::{arguments as core_arguments, print as core_print};
    pub use crate::names::{Callable, find};
    pub use crate::timeout::Timeout;
}

use anyhow::{Context, Result, anyhow, bail, ensure};
use clap::Args;
use granted::Granted;
use grants::{Refused, Subject};
use names::Callable;
use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use trampette_runtime::{
    Component, CoreHost, CoreInstance, Func, Instance, LimitReached, Store, Trap, Val,
    WasmBacktrace,
};
use trampette_wasi::{Exit, WasiCtx, WasiCtxBuilder, p1};
use waiting::Driver;

/// The exit code for a trap: that of a process killed by SIGABRT.
pub const TRAP_EXIT_CODE: u8 = 134;

pub use timeout::TIMEOUT_EXIT_CODE;

/// What a guest is given and what is called.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Guest")]
pub struct GuestArguments {
    /// Call an export and print its result
    ///
    /// Arguments and results are written in WAVE: `greet("Ada")`, `sum([1, 2])`. Before the name
    /// its interface may stand, as in `my:app/api@1.0.0#greet("Ada")` or `api.greet("Ada")`; a name
    /// that holds brackets or blanks is written between quotes.
    #[arg(long, value_name = "CALL")]
    invoke: Option<String>,
    #[command(flatten)]
    granted: Granted,
    #[arg(skip)]
    refused: Refused,
}

impl GuestArguments {
    /// A store for the guest, with its limits; the clock of `--timeout` runs.
    fn store(
        &self,
        subject: &Subject,
        arguments: &[OsString],
        driver: &Driver,
    ) -> Result<Store<WasiCtx>> {
        let wasi = self.wasi(subject.program(), arguments)?;
        let mut store = Store::new(driver.equip(wasi).build());
        store.set_limits(self.granted.limits.limits()?);
        let timeout = self.granted.timeout;
        timeout.map_or(Ok(()), |timeout| timeout.start(&mut store))?;
        Ok(store)
    }

    /// Builds the guest's view of the system; `program` is its first argument.
    fn wasi(&self, program: &OsStr, arguments: &[OsString]) -> Result<WasiCtxBuilder> {
        let mut builder = WasiCtxBuilder::new().inherit_stdio().arg(program);
        for argument in arguments {
            builder = builder.arg(argument);
        }
        if let Some(destinations) = self.granted.reach().destinations() {
            builder = builder.http(destinations.into());
        }
        let refused = self.refused.clone();
        builder = builder.on_network_refusal(move |refusal| {
            refused.note(refusal);
        });
        self.granted.prepare()?.give(builder)
    }
}

/// Runs a component: its `wasi:cli/run`, or what `--invoke` says; of a core module on its own,
/// which is given WASI preview 1, its `_start`, or an export that `--invoke` names, with numbers as
/// arguments. Gives the process's exit code; what went wrong in the guest is on standard error.
///
/// # Errors
/// If the component cannot be instantiated or lacks what is to be called.
pub fn run(component: &Component, guest: &GuestArguments, subject: &Subject) -> Result<u8> {
    guest.granted.check()?;
    let Some(stack) = guest.granted.limits.thread_stack() else {
        return run_here(component, guest, subject);
    };
    std::thread::scope(|scope| {
        let builder = std::thread::Builder::new().stack_size(stack);
        let thread = builder.spawn_scoped(scope, || run_here(component, guest, subject));
        let thread = thread.context("cannot start a thread with a stack of --max-stack")?;
        let ended = thread.join();
        ended.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// [`run`] on this thread.
fn run_here(component: &Component, guest: &GuestArguments, subject: &Subject) -> Result<u8> {
    if component.metadata().core.is_some() {
        return run_core(component, guest, subject);
    }
    // Components get text only.
    let arguments = subject.arguments()?.into_iter().map(OsString::from);
    let arguments: Vec<OsString> = arguments.collect();
    let linker = guest.granted.linker(component)?;
    let driver = Driver::new(component)?;
    let mut store = guest.store(subject, &arguments, &driver)?;
    let result = linker
        .instantiate(&mut store, component)
        .and_then(|instance| match &guest.invoke {
            Some(call) => {
                let result = driver.invoke(component, &instance, &mut store, call)?;
                output::print(&(result + "\n"))?;
                Ok(0)
            }
            None => run_command(component, &instance, &mut store, &driver),
        });
    let code = match result {
        Ok(code) => code,
        Err(error) => guest_failure(error, guest, store.limit_reached())?,
    };
    if code != 0
        && let Some(note) = guest.refused.text()
    {
        output::note(note);
    }
    Ok(code)
}

/// Runs a core module on its own, with WASI preview 1: a command, or what `--invoke` says.
fn run_core(module: &Component, guest: &GuestArguments, subject: &Subject) -> Result<u8> {
    let mut host = CoreHost::<WasiCtx>::new();
    p1::add_to_host(&mut host);
    if let Some(interface) = &module.metadata().core {
        let missing: HashSet<(String, String)> = host.missing(module)?.into_iter().collect();
        let provided =
            |module: &str, name: &str| !missing.contains(&(module.to_string(), name.to_string()));
        guest
            .granted
            .imports
            .complete_core(&mut host, interface, provided)?;
    }
    let mut store = guest.store(subject, subject.raw_arguments(), &Driver::Thread)?;
    let result = match &guest.invoke {
        Some(call) => core_wave::invoke(module, &mut store, host, call)
            .and_then(|results| output::print(&(results + "\n"))),
        None => start(module, &mut store, host),
    };
    match result {
        Ok(()) => Ok(0),
        Err(error) => guest_failure(error, guest, store.limit_reached()),
    }
}

/// Runs a core module that is a command.
fn start(module: &Component, store: &mut Store<WasiCtx>, host: CoreHost<WasiCtx>) -> Result<()> {
    let instance = CoreInstance::new(store, module, host)?;
    match core_wave::call_if_exported(instance, store, "_start")? {
        true => Ok(()),
        false => bail!("a core module is no command; call an export with --invoke"),
    }
}

/// The exit code for a guest that exited, trapped or had no time left; other errors go on.
fn guest_failure(
    error: anyhow::Error,
    guest: &GuestArguments,
    reached: Option<LimitReached>,
) -> Result<u8> {
    if let Some(Exit(code)) = error.downcast_ref::<Exit>() {
        return Ok(*code);
    }
    if let Some(message) = guest
        .granted
        .timeout
        .and_then(|timeout| timeout.message(&error))
    {
        output::error(&message);
        return Ok(TIMEOUT_EXIT_CODE);
    }
    if let Some(trap) = error.downcast_ref::<Trap>() {
        output::error(&error);
        for note in guest.granted.limits.notes(trap, reached) {
            output::note(note);
        }
        return Ok(TRAP_EXIT_CODE);
    }
    // A host function that fails traps its caller.
    if error.is::<WasmBacktrace>() {
        output::error(&error);
        return Ok(TRAP_EXIT_CODE);
    }
    Err(error)
}

/// Calls `wasi:cli/run`.
fn run_command(
    component: &Component,
    instance: &Instance,
    store: &mut Store<WasiCtx>,
    driver: &Driver,
) -> Result<u8> {
    let path = command_path(component)?;
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    let run = instance.get_typed_func::<(), Result<(), ()>>(&mut *store, &path[..])?;
    let outcome = match driver {
        Driver::Thread => run.call(store, ()),
        Driver::Tokio(runtime) => runtime.block_on(run.call_async(store, ())),
    };
    Ok(u8::from(outcome?.is_err()))
}

/// The export that makes a component a command of WASI 0.2 or 0.3.
fn command_path(component: &Component) -> Result<&[String]> {
    let metadata = component.metadata();
    let paths = metadata.exports.iter().map(|export| &export.path[..]);
    let (mut found, mut other) = (None, None);
    for path in paths {
        let [interface, name] = path else { continue };
        if let Some(version) = interface.strip_prefix("wasi:cli/run@")
            && name == "run"
        {
            // Programs of a standard library that is of 0.2 export both: the one of 0.2 is empty.
            match is_release(version) {
                true if version.starts_with("0.3.") => return Ok(path),
                true => found = Some(path),
                false => other = Some(interface),
            }
        }
        let serves = ["wasi:http/incoming-handler@", "wasi:http/handler@"];
        if found.is_none() && serves.iter().any(|start| interface.starts_with(start)) {
            bail!(
                "the component serves HTTP (it exports `{interface}`): it is no command; serve it \
                 with `serve` in place of `run`"
            );
        }
    }
    if let Some(path) = found {
        return Ok(path);
    }
    if let Some(interface) = other {
        bail!("the component exports `{interface}`, which is no release of WASI 0.2 or 0.3");
    }
    let functions = callable(component).into_iter();
    match functions.min_by_key(|function| function.path.len()) {
        Some(first) => bail!(
            "the component does not export `wasi:cli/run` of WASI 0.2 or 0.3: it is no command; call an export, \
             as in --invoke '{}'",
            first.example()
        ),
        None => bail!(
            "the component does not export `wasi:cli/run` of WASI 0.2 or 0.3: it is no command; and there is no \
             exported function to --invoke"
        ),
    }
}

/// Whether a version is 0.2.x or 0.3.x, without a word like `rc` behind it.
fn is_release(version: &str) -> bool {
    let version = version.split_once('+').map_or(version, |(start, _)| start);
    let patch = ["0.2.", "0.3."]
        .iter()
        .find_map(|start| version.strip_prefix(start));
    patch.is_some_and(|patch| !patch.is_empty() && patch.bytes().all(|b| b.is_ascii_digit()))
}

/// Calls an export by name: one at the root, or the only one of that name in an exported instance.
/// Gives its result in WAVE.
///
/// # Errors
/// If `call` is no call in WAVE of an export, or the guest traps.
pub fn invoke<T: 'static>(
    component: &Component,
    instance: &Instance,
    store: &mut Store<T>,
    call: &str,
) -> Result<String> {
    let prepared = Prepared::new(component, instance, store, call)?;
    let results = prepared.func.call(store, &prepared.arguments)?;
    prepared.print(component, &results)
}

/// A call by name, before it is made.
pub(crate) struct Prepared {
    pub(crate) func: Func,
    pub(crate) arguments: Vec<Val>,
    name: String,
}

impl Prepared {
    pub(crate) fn new<T: 'static>(
        component: &Component,
        instance: &Instance,
        store: &mut Store<T>,
        call: &str,
    ) -> Result<Prepared> {
        let call = wave::Call::parse(call)?;
        let functions = callable(component);
        let found = &functions[names::find(&functions, call.name())?];
        needs_brackets(&call, found)?;
        let path = &found.path[..];
        let func = instance
            .get_func(store, path)
            .ok_or_else(|| anyhow!("the component exports no function `{}`", call.name()))?;
        let arguments = call.arguments(&component.metadata().types, func.ty())?;
        Ok(Prepared {
            func,
            arguments,
            name: path.join("#"),
        })
    }

    /// The results in WAVE.
    pub(crate) fn print(&self, component: &Component, results: &[Val]) -> Result<String> {
        wave::print(&component.metadata().types, self.func.ty(), results)
            .with_context(|| format!("the result of `{}`", self.name))
    }
}

/// The exported functions of a component.
fn callable(component: &Component) -> Vec<Callable<'_>> {
    let metadata = component.metadata();
    let functions = metadata.exports.iter().filter_map(|export| {
        let ty = metadata.function_type(&export.item)?;
        Some(Callable {
            path: export.path.iter().map(String::as_str).collect(),
            arguments: wave::example(&metadata.types, ty),
        })
    });
    functions.collect()
}

/// Whoever only names a function is shown how to call it.
pub(crate) fn needs_brackets(call: &wave::Call, found: &Callable<'_>) -> Result<()> {
    ensure!(
        call.has_brackets(),
        "`{}` is a function; to call it, write its arguments: --invoke '{}'",
        output::shown(call.name()),
        found.example()
    );
    Ok(())
}
