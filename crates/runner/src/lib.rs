//! Running compiled components from a command line: WASI commands, and single exports by WAVE
//! calls.
//!
//! This is what `trampette run` and the compiler-free `trampette-run` share.
//!
//! | file | subject |
//! | --- | --- |
//! | `grants` | what a guest is given: directories, variables, arguments |
//! | `wave`, `core_wave` | values and calls as text |
//! | `output` | whatever a command prints |

#![cfg_attr(not(test), warn(unreachable_pub))]

mod core_wave;
pub mod grants;
pub mod output;
pub mod wave;

use anyhow::{Context, Result, anyhow, bail};
use clap::Args;
use grants::{Directory, Subject, Variable};
use std::time::Duration;
use trampette_runtime::{Component, Instance, Linker, Store, Trap};
use trampette_wasi::{Exit, WasiCtx, WasiCtxBuilder};

/// The exit code for a trap: that of a process killed by SIGABRT.
pub const TRAP_EXIT_CODE: u8 = 134;

/// What a guest is given and what is called.
#[derive(Args, Clone, Debug, Default)]
pub struct GuestArguments {
    /// Give the guest a directory, under the name GUEST if one is given.
    #[arg(long = "dir", value_name = "HOST[::GUEST]")]
    dirs: Vec<Directory>,
    /// Set an environment variable of the guest; `NAME` alone takes its value from here.
    #[arg(long = "env", value_name = "NAME[=VALUE]")]
    env: Vec<Variable>,
    /// End the guest when it has run for so long.
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    timeout: Option<Duration>,
    /// Call an export, with arguments in WAVE, and print its result in WAVE.
    #[arg(long, value_name = "CALL")]
    invoke: Option<String>,
}

/// A duration on the command line.
fn seconds(text: &str) -> Result<Duration> {
    Ok(Duration::try_from_secs_f64(text.parse()?)?)
}

impl GuestArguments {
    /// Starts the clock of `--timeout`.
    fn limit_time<T: 'static>(&self, store: &Store<T>) -> Result<()> {
        if let Some(timeout) = self.timeout {
            let handle = store.interrupt_handle()?;
            std::thread::spawn(move || {
                std::thread::sleep(timeout);
                // Nothing to stop yet: the component is being instantiated.
                while !handle.interrupt() {
                    std::thread::sleep(Duration::from_millis(1));
                }
            });
        }
        Ok(())
    }

    /// Builds the guest's view of the system; `program` is its first argument.
    fn wasi(&self, program: &str, arguments: &[String]) -> Result<WasiCtx> {
        let mut builder = WasiCtxBuilder::new().inherit_stdio().arg(program);
        for argument in arguments {
            builder = builder.arg(argument);
        }
        for variable in &self.env {
            let (name, value) = variable.resolve()?;
            builder = builder.env(name, value);
        }
        for Directory { host, guest } in &self.dirs {
            builder = builder.preopened_dir(host, guest)?;
        }
        Ok(builder.build())
    }
}

/// Runs a component: its `wasi:cli/run`, or what `--invoke` says; of a core module on its own an
/// export that `--invoke` names, with numbers as arguments. Gives the process's exit code; what
/// went wrong in the guest is on standard error.
///
/// # Errors
/// If the component cannot be instantiated or lacks what is to be called.
pub fn run(component: &Component, guest: &GuestArguments, subject: &Subject) -> Result<u8> {
    grants::check(&guest.dirs, &guest.env)?;
    let (program, arguments) = (subject.program(), subject.arguments()?);
    if component.metadata().core.is_some() {
        return run_core(component, guest);
    }
    let mut linker = Linker::<WasiCtx>::new();
    trampette_wasi::add_to_linker(&mut linker)?;
    // Methods of sockets, of which there are none.
    linker.define_unknown_imports_as_traps_in(component, "wasi:sockets/")?;
    let mut store = Store::new(guest.wasi(&program, &arguments)?);
    guest.limit_time(&store)?;
    let result = linker
        .instantiate(&mut store, component)
        .and_then(|instance| match &guest.invoke {
            Some(call) => {
                let result = invoke(component, &instance, &mut store, call)?;
                output::print(&(result + "\n"))?;
                Ok(0)
            }
            None => run_command(component, &instance, &mut store),
        });
    match result {
        Ok(code) => Ok(code),
        Err(error) => guest_failure(error),
    }
}

/// Runs a core module on its own, which no host functions are supplied to: what `--invoke` says.
fn run_core(module: &Component, guest: &GuestArguments) -> Result<u8> {
    let mut store = Store::new(());
    guest.limit_time(&store)?;
    let Some(call) = &guest.invoke else {
        bail!("a core module is no command; call an export with --invoke");
    };
    match core_wave::invoke(module, &mut store, call) {
        Ok(results) => {
            output::print(&(results + "\n"))?;
            Ok(0)
        }
        Err(error) => guest_failure(error),
    }
}

/// The exit code for a guest that exited or trapped; other errors go on.
fn guest_failure(error: anyhow::Error) -> Result<u8> {
    if let Some(Exit(code)) = error.downcast_ref::<Exit>() {
        return Ok(*code);
    }
    if error.downcast_ref::<Trap>().is_some() {
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
) -> Result<u8> {
    let path = component
        .metadata()
        .exports
        .iter()
        .map(|export| &export.path)
        .find(|path| matches!(&path[..], [interface, name] if interface.starts_with("wasi:cli/run@0.2") && name == "run"));
    let Some(path) = path else {
        bail!(
            "the component does not export `wasi:cli/run@0.2.x`: it is no command; call an export with --invoke"
        );
    };
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    let run = instance.get_typed_func::<(), Result<(), ()>>(&mut *store, &path[..])?;
    let outcome = run.call(store, ())?;
    Ok(u8::from(outcome.is_err()))
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
    let call = wave::Call::parse(call)?;
    let path = find_export(component, call.name())?;
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    let func = instance
        .get_func(&mut *store, &path[..])
        .ok_or_else(|| anyhow!("the component exports no function `{}`", call.name()))?;
    let types = &component.metadata().types;
    let named = || format!("export `{}`", path.join("#"));
    let arguments = call.arguments(types, func.ty()).with_context(named)?;
    let results = func.call(store, &arguments)?;
    wave::print(types, func.ty(), &results)
        .context("result")
        .with_context(named)
}

fn find_export<'c>(component: &'c Component, name: &str) -> Result<&'c [String]> {
    let metadata = component.metadata();
    let functions = metadata.exports.iter().filter(|export| {
        metadata.function_type(&export.item).is_some()
            && export.path.last().is_some_and(|last| last == name)
    });
    let mut found: Vec<&[String]> = functions.map(|export| &export.path[..]).collect();
    found.sort_by_key(|path| path.len());
    match &found[..] {
        [] => bail!("the component exports no function `{name}`"),
        [only] => Ok(only),
        [first, second, ..] if first.len() < second.len() => Ok(first),
        [first, second, ..] => bail!(
            "`{name}` is ambiguous: the component exports `{}` and `{}`",
            first.join("#"),
            second.join("#")
        ),
    }
}
