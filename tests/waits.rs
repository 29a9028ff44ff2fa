//! Whatever a guest does, its call ends soon after it was interrupted or its deadline has passed: a
//! table of loops and waits (`tests/components/waits`), times each way to stop one.
//!
//! `cargo test --test waits -- --nocapture` prints how long each took to stop. The time that other
//! processes take from it does not count (`support/clock.rs`).

#[path = "support/block_on.rs"]
mod block_on;
#[path = "support/clock.rs"]
mod clock;
#[path = "support/stops.rs"]
mod stops;

use anyhow::Result;
use block_on::block_on;
use clock::{PROMPT, Watch};
use std::cell::Cell;
use std::ffi::CString;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};
use stops::{By, WAYS};
use trampette::CompileOptions;
use trampette_runtime::{
    Component, CoreHost, CoreInstance, InterruptHandle, Linker, Store, Trap, TrapCode, TypedFunc,
    wait,
};
use trampette_wasi::{WasiCtx, WasiCtxBuilder, p1};

/// How long a call runs before it is stopped.
const RUN: Duration = Duration::from_millis(60);
/// How long a host function sleeps that knows nothing of deadlines.
const BLIND: Duration = Duration::from_millis(200);
/// What a thread that waits may use of the processor in [`RUN`], and how often it may wake up.
const IDLE: Duration = Duration::from_millis(25);
const WAKES: i64 = 30;

fn path(name: &str) -> String {
    let root = env!("CARGO_MANIFEST_DIR");
    format!("{root}/tests/components/waits/{name}.wat")
}

fn component(name: &str) -> Component {
    let wasm = wat::parse_file(path(name)).unwrap();
    let options = CompileOptions::default();
    let artifact = match name {
        "atomic" => trampette::compile_module(&wasm, &options),
        _ => trampette::compile_component(&wasm, &options),
    };
    artifact.unwrap().load().unwrap()
}

/// What a stopped call has used.
struct Used {
    took: Duration,
    cpu: Duration,
    wakes: i64,
}

/// Runs a call and stops it.
fn stopped<T: 'static>(
    store: &mut Store<T>,
    by: By,
    call: impl FnOnce(&mut Store<T>) -> Result<()>,
) -> Used {
    let watch = by.stop(store, RUN);
    let before = thread_usage();
    let error = call(store).expect_err("it is stopped");
    let took = watch.stopped();
    let after = thread_usage();
    let trap = error.downcast_ref::<Trap>();
    let trap = trap.unwrap_or_else(|| panic!("{error:?}"));
    assert_eq!(trap.kind(), by.code(), "{error:?}");
    Used {
        took,
        cpu: after.0 - before.0,
        wakes: after.1 - before.1,
    }
}

fn later(action: impl FnOnce() + Send + 'static) -> std::thread::JoinHandle<()> {
    std::thread::spawn(|| {
        std::thread::sleep(RUN);
        action();
    })
}

/// The processor time of this thread, and how often it has waited.
fn thread_usage() -> (Duration, i64) {
    // SAFETY: plain data, which the call fills.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        assert_eq!(libc::getrusage(libc::RUSAGE_THREAD, &mut usage), 0);
        usage
    };
    let time = |time: libc::timeval| Duration::new(time.tv_sec as u64, time.tv_usec as u32 * 1000);
    (time(usage.ru_utime) + time(usage.ru_stime), usage.ru_nvcsw)
}

/// Whether a call does nothing until it is stopped.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Until {
    /// It waits, which costs nothing.
    Waits,
    /// It works.
    Works,
    /// It sleeps for [`BLIND`], whatever comes.
    Sleeps,
}

/// Says how long a call took to stop, and that it was not too long.
fn check(what: &str, until: Until, by: By, used: &Used) {
    println!("{what}, {by:?}: {:.1} ms", used.took.as_secs_f64() * 1e3);
    let most = match until {
        Until::Sleeps => BLIND + PROMPT,
        Until::Waits | Until::Works => PROMPT,
    };
    assert!(used.took < most, "{what}, {by:?}: {:?}", used.took);
    if until != Until::Works {
        assert!(
            used.cpu < IDLE,
            "{what}, {by:?}: {:?} of the processor",
            used.cpu
        );
        assert!(
            used.wakes < WAKES,
            "{what}, {by:?}: {} times awake",
            used.wakes
        );
    }
}

/// Calls an export of new instances, and stops it in every way.
fn export_stops<T: 'static>(
    linker: &Linker<T>,
    component: &Component,
    data: impl Fn() -> T,
    name: &str,
    until: Until,
) {
    for by in WAYS {
        let mut store = Store::new(data());
        let instance = linker.instantiate(&mut store, component).unwrap();
        let call = instance.get_typed_func::<(), ()>(&mut store, name).unwrap();
        let used = stopped(&mut store, by, |store| call.call(store, ()));
        check(name, until, by, &used);
        // The same, waiting with another stack than the thread's, if a host function does.
        let mut store = Store::new(data());
        let instance = linker.instantiate(&mut store, component).unwrap();
        let call = instance.get_typed_func::<(), ()>(&mut store, name).unwrap();
        let used = stopped(&mut store, by, |store| block_on(call.call_async(store, ())));
        check(&format!("{name}, awaited"), until, by, &used);
    }
}

#[test]
fn loops_of_guests_and_services_stop() {
    let component = component("loops");
    let linker = Linker::<()>::new();
    let exports: Vec<String> = component
        .metadata()
        .exports
        .iter()
        .filter_map(|export| Some(export.path.first()?.clone()))
        .filter(|name| !name.contains("colour"))
        .collect();
    assert!(exports.len() >= 29, "{exports:?}");
    for name in exports {
        export_stops(&linker, &component, || (), &name, Until::Works);
    }
}

/// A collection of exceptions ends in its middle.
#[test]
fn collections_of_exceptions_stop() {
    let component = component("exceptions");
    let linker = Linker::<()>::new();
    export_stops(&linker, &component, || (), "collect", Until::Works);
}

#[test]
fn waits_in_wasi_stop() {
    let component = component("wasi");
    let mut linker = Linker::<WasiCtx>::new();
    trampette_wasi::add_to_linker(&mut linker).unwrap();
    let cases = [
        ("sleep", Until::Waits),
        ("poll", Until::Waits),
        ("naps", Until::Works),
    ];
    let wasi = || WasiCtxBuilder::new().build();
    for (name, until) in cases {
        export_stops(&linker, &component, wasi, name, until);
    }
}

/// The function that runs a command of 0.2.
fn command(
    linker: &Linker<WasiCtx>,
    component: &Component,
    store: &mut Store<WasiCtx>,
) -> TypedFunc<(), Result<(), ()>> {
    let exports = &component.metadata().exports;
    let mut paths = exports.iter().map(|export| &export.path);
    let path = paths.find(|path| path.len() == 2 && path[0].starts_with("wasi:cli/run"));
    let path = path.unwrap();
    let instance = linker.instantiate(&mut *store, component).unwrap();
    let path = [path[0].as_str(), path[1].as_str()];
    instance.get_typed_func(&mut *store, path).unwrap()
}

/// A pipe with a name, to which nobody writes, is waited for, in both versions of WASI; and what is
/// written is read.
#[test]
fn reads_of_named_pipes_stop() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe");
    let name = CString::new(pipe.to_str().unwrap()).unwrap();
    // SAFETY: the name ends with a zero.
    assert_eq!(unsafe { libc::mkfifo(name.as_ptr(), 0o600) }, 0);
    let store = || {
        let wasi = WasiCtxBuilder::new().preopened_dir(folder.path(), "/");
        Store::new(wasi.unwrap().build())
    };

    let wasm = wat::parse_file(path("fifo")).unwrap();
    let options = CompileOptions::default();
    let module = trampette::compile_module(&wasm, &options).unwrap();
    let module = module.load().unwrap();
    let wrapped = trampette::input::component_from_module(&wasm).unwrap();
    let component = trampette::compile_component(&wrapped, &options).unwrap();
    let component = component.load().unwrap();

    let start = |store: &mut Store<WasiCtx>| {
        let mut host = CoreHost::new();
        p1::add_to_host(&mut host);
        let instance = CoreInstance::new(&mut *store, &module, host).unwrap();
        instance.get_func(&*store, "_start").unwrap()
    };
    let mut linker = Linker::<WasiCtx>::new();
    trampette_wasi::add_to_linker(&mut linker).unwrap();
    for by in WAYS {
        let mut store1 = store();
        let start = start(&mut store1);
        let used = stopped(&mut store1, by, |store| start.call(store, &[]).map(drop));
        check("preview 1", Until::Waits, by, &used);
        let mut store2 = store();
        let run = command(&linker, &component, &mut store2);
        let used = stopped(&mut store2, by, |store| run.call(store, ()).map(drop));
        check("0.2", Until::Waits, by, &used);
        let mut store2 = store();
        let run = command(&linker, &component, &mut store2);
        let used = stopped(&mut store2, by, |store| {
            block_on(run.call_async(store, ())).map(drop)
        });
        check("0.2, awaited", Until::Waits, by, &used);
    }

    let write = |pipe: &std::path::Path| {
        let pipe = pipe.to_owned();
        later(move || std::fs::write(pipe, "hello").unwrap())
    };
    let mut store1 = store();
    let writer = write(&pipe);
    start(&mut store1).call(&mut store1, &[]).unwrap();
    writer.join().unwrap();
    let mut store2 = store();
    let writer = write(&pipe);
    let plain = command(&linker, &component, &mut store2);
    assert_eq!(plain.call(&mut store2, ()).unwrap(), Ok(()));
    writer.join().unwrap();
    let mut store3 = store();
    let writer = write(&pipe);
    let awaited = command(&linker, &component, &mut store3);
    assert_eq!(
        block_on(awaited.call_async(&mut store3, ())).unwrap(),
        Ok(())
    );
    writer.join().unwrap();
}

#[test]
fn atomic_waits_stop() {
    let module = component("atomic");
    for (name, until) in [
        ("wait32", Until::Waits),
        ("wait64", Until::Waits),
        ("forever", Until::Waits),
        ("spin", Until::Works),
    ] {
        for by in WAYS {
            let mut store = Store::new(());
            let instance = CoreInstance::new(&mut store, &module, CoreHost::new()).unwrap();
            // Somebody who could notify.
            let others = instance.shared_memories(&store).unwrap();
            let function = instance.get_func(&store, name).unwrap();
            let used = stopped(&mut store, by, |store| {
                function.call(store, &[]).map(|_| ())
            });
            check(name, until, by, &used);
            drop(others);
        }
    }
}

/// A linker with the imports of `host.wat`.
fn hosts() -> Linker<()> {
    let mut linker = Linker::<()>::new();
    let mut root = linker.root();
    let sleep =
        |_: trampette_runtime::Caller<'_, ()>, (): ()| wait::sleep(Duration::from_secs(3600));
    root.func_wrap::<(), (), _>("sleep", sleep).unwrap();
    root.func_wrap::<(), (), _>("busy", |_, ()| {
        loop {
            wait::check()?;
        }
    })
    .unwrap();
    // Knows nothing of deadlines.
    root.func_wrap::<(), (), _>("blind", |_, ()| {
        std::thread::sleep(BLIND);
        Ok(())
    })
    .unwrap();
    root.func_new("take", |_, _, _| Ok(())).unwrap();
    root.func_wrap::<(Vec<String>,), (), _>("take-texts", |_, (texts,)| {
        let mut owned = Vec::new();
        for (index, text) in texts.iter().enumerate() {
            if index.is_multiple_of(1000) {
                wait::check()?;
            }
            owned.push(text.to_string());
        }
        Ok(())
    })
    .unwrap();
    linker
}

#[test]
fn host_functions_stop() {
    let component = component("host");
    let linker = hosts();
    let cases = [
        ("sleep", Until::Waits),
        ("busy", Until::Works),
        ("blind", Until::Sleeps),
        ("lists", Until::Works),
        ("texts", Until::Works),
    ];
    for (name, until) in cases {
        export_stops(&linker, &component, || (), name, until);
    }
}

#[test]
fn deadlines_count_between_calls() {
    let component = component("host");
    let mut store = Store::new(());
    let instance = hosts().instantiate(&mut store, &component).unwrap();
    let nop = instance
        .get_typed_func::<(), ()>(&mut store, "nop")
        .unwrap();
    let sleep = instance
        .get_typed_func::<(), ()>(&mut store, "sleep")
        .unwrap();
    assert_eq!(store.deadline(), None);
    store.set_timeout(Duration::from_millis(1)).unwrap();
    std::thread::sleep(Duration::from_millis(5));
    for _ in 0..3 {
        let error = nop.call(&mut store, ()).unwrap_err();
        assert_eq!(
            error.downcast_ref::<Trap>().unwrap().kind(),
            TrapCode::Deadline
        );
    }
    // Nothing of the guest has run: it can be called when there is time.
    store.set_timeout(Duration::from_secs(3600)).unwrap();
    nop.call(&mut store, ()).unwrap();
    // A later deadline that becomes an earlier one.
    let moment = Instant::now() + RUN;
    store.set_deadline(Some(moment)).unwrap();
    let watch = Watch::due(moment);
    sleep.call(&mut store, ()).unwrap_err();
    let took = watch.stopped();
    assert!(took < PROMPT, "{took:?}");

    // Instances that would be made.
    let mut store = Store::new(());
    store.set_deadline(Some(Instant::now())).unwrap();
    let error = hosts().instantiate(&mut store, &component);
    // This component has no code to run at the start; calls of it are refused all the same.
    let instance = error.unwrap();
    let nop = instance
        .get_typed_func::<(), ()>(&mut store, "nop")
        .unwrap();
    nop.call(&mut store, ()).unwrap_err();
    store.set_deadline(None).unwrap();
    nop.call(&mut store, ()).unwrap();
}

#[test]
fn host_functions_change_the_deadline() {
    let component = component("host");
    let mut linker = Linker::<()>::new();
    let mut root = linker.root();
    root.func_wrap::<(), (), _>("sleep", |mut caller, ()| {
        // The time is over, and then it is not.
        caller.set_deadline(Some(Instant::now()))?;
        std::thread::sleep(Duration::from_millis(20));
        wait::check().unwrap_err();
        caller.set_deadline(None)?;
        wait::check()
    })
    .unwrap();
    linker.define_unknown_imports_as_traps(&component).unwrap();
    let mut store = Store::new(());
    let instance = linker.instantiate(&mut store, &component).unwrap();
    let sleep = instance
        .get_typed_func::<(), ()>(&mut store, "sleep")
        .unwrap();
    sleep.call(&mut store, ()).unwrap();
    sleep.call(&mut store, ()).unwrap();
}

/// `interrupt` says true for each call that ends with a trap, and for no other.
#[test]
fn every_interruption_that_is_promised_comes() {
    let component = component("host");
    let mut promised = 0;
    for round in 0..2000u32 {
        let mut store = Store::new(());
        let instance = hosts().instantiate(&mut store, &component).unwrap();
        let nop = instance
            .get_typed_func::<(), ()>(&mut store, "nop")
            .unwrap();
        let handle = store.interrupt_handle().unwrap();
        let (ready, start) = std::sync::mpsc::channel::<()>();
        let stopper = std::thread::spawn(move || {
            ready.send(()).unwrap();
            for _ in 0..round % 50 {
                std::hint::spin_loop();
            }
            handle.interrupt()
        });
        start.recv().unwrap();
        let mut failed = 0;
        let mut calls = 0;
        while !stopper.is_finished() || calls == 0 {
            calls += 1;
            if let Err(error) = nop.call(&mut store, ()) {
                let trap = error.downcast_ref::<Trap>().unwrap();
                failed += u32::from(trap.kind() == TrapCode::Interrupt);
                break;
            }
        }
        let was_running = stopper.join().unwrap();
        assert_eq!(failed, u32::from(was_running), "round {round}");
        promised += failed;
    }
    println!("{promised} of 2000 calls were met");
}

/// A call of one store inside a call of another ends with that.
#[test]
fn calls_inside_a_call_of_another_store_stop_with_it() {
    let inner = component("loops");
    let outer = component("host");
    for by in WAYS {
        let (inner, mut linker) = (inner.clone(), Linker::<()>::new());
        linker
            .root()
            .func_wrap::<(), (), _>("sleep", move |_, ()| {
                let mut store = Store::new(());
                let instance = Linker::new().instantiate(&mut store, &inner)?;
                let spin = instance.get_typed_func::<(), ()>(&mut store, "spin")?;
                spin.call(&mut store, ())
            })
            .unwrap();
        linker.define_unknown_imports_as_traps(&outer).unwrap();
        let mut store = Store::new(());
        let instance = linker.instantiate(&mut store, &outer).unwrap();
        let call = instance
            .get_typed_func::<(), ()>(&mut store, "sleep")
            .unwrap();
        let used = stopped(&mut store, by, |store| call.call(store, ()));
        check("nested", Until::Works, by, &used);
    }
}

/// Many stores need no more threads than one.
#[test]
fn deadlines_share_one_thread() {
    // Others of this process are other tests'.
    let threads = || clock::own_threads().len();
    let mut first = Store::new(());
    first.set_timeout(Duration::from_secs(3600)).unwrap();
    let before = threads();
    let mut stores: Vec<Store<()>> = (0..1000).map(|_| Store::new(())).collect();
    for (index, store) in stores.iter_mut().enumerate() {
        store
            .set_timeout(Duration::from_millis(index as u64))
            .unwrap();
        store.set_timeout(Duration::from_secs(10)).unwrap();
    }
    assert_eq!(threads(), before);
    drop(stores);
}

/// A guest that runs in a process while it forks runs in the child too, and is stopped there.
#[test]
fn forks_have_timers_of_their_own() {
    let component = component("loops");
    let host = self::component("host");
    for by in WAYS {
        let mut linker = Linker::<()>::new();
        let spinning = component.clone();
        linker
            .root()
            .func_wrap::<(), (), _>("sleep", move |_, ()| {
                // SAFETY: the child is this thread alone, and uses what the runtime sets up again.
                match unsafe { libc::fork() } {
                    0 => {
                        let status = child(&spinning);
                        // SAFETY: nothing of the test's may run twice.
                        unsafe { libc::_exit(status) }
                    }
                    child => {
                        assert!(child > 0);
                        assert_eq!(status_of(child), Some(0), "a call inside of the child's");
                    }
                }
                Ok(())
            })
            .unwrap();
        linker
            .root()
            .func_wrap::<(), (), _>("blind", move |mut caller, ()| {
                if IS_CHILD.get() {
                    std::thread::sleep(Duration::from_millis(1));
                    return Ok(());
                }
                // SAFETY: as above; the guest goes on in the child.
                match unsafe { libc::fork() } {
                    0 => {
                        IS_CHILD.set(true);
                        let handle = HANDLE.lock().unwrap().clone().unwrap();
                        match by {
                            By::Interrupt => drop(later(move || assert!(handle.interrupt()))),
                            By::LateDeadline => drop(later(move || {
                                handle.set_deadline(Some(Instant::now())).unwrap();
                            })),
                            By::Deadline => {}
                        }
                    }
                    child => {
                        assert_eq!(status_of(child), Some(0), "{by:?}: the call goes on");
                        caller.set_deadline(Some(Instant::now()))?;
                    }
                }
                Ok(())
            })
            .unwrap();
        linker.define_unknown_imports_as_traps(&host).unwrap();
        let mut store = Store::new(());
        let instance = linker.instantiate(&mut store, &host).unwrap();
        let sleep = instance
            .get_typed_func::<(), ()>(&mut store, "sleep")
            .unwrap();
        sleep.call(&mut store, ()).unwrap();
        let blind = instance
            .get_typed_func::<(), ()>(&mut store, "blind")
            .unwrap();
        *HANDLE.lock().unwrap() = Some(store.interrupt_handle().unwrap());
        if matches!(by, By::Deadline) {
            store.set_timeout(RUN).unwrap();
        }
        let result = blind.call(&mut store, ());
        if IS_CHILD.get() {
            // SAFETY: as above.
            unsafe { libc::_exit(i32::from(result.is_ok())) }
        }
        result.unwrap_err();
    }
}

thread_local! {
    static IS_CHILD: Cell<bool> = const { Cell::new(false) };
}
static HANDLE: Mutex<Option<InterruptHandle>> = Mutex::new(None);

/// What the child does: calls that are stopped each way.
fn child(component: &Component) -> i32 {
    for by in WAYS {
        let mut store = Store::new(());
        let Ok(instance) = Linker::new().instantiate(&mut store, component) else {
            return 1;
        };
        let Ok(spin) = instance.get_typed_func::<(), ()>(&mut store, "spin") else {
            return 2;
        };
        let used = stopped(&mut store, by, |store| spin.call(store, ()));
        if used.took > PROMPT {
            return 3;
        }
    }
    0
}

/// The exit status of a child; `None` if it does not end, and is killed.
fn status_of(child: libc::pid_t) -> Option<i32> {
    // Twenty seconds, or longer where the machine has no time for this process either.
    for _nap in 0..10_000 {
        let mut status = 0;
        // SAFETY: the child's number; the call writes the status.
        if unsafe { libc::waitpid(child, &mut status, libc::WNOHANG) } == child {
            return libc::WIFEXITED(status).then(|| libc::WEXITSTATUS(status));
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    // SAFETY: the child's number.
    unsafe { libc::kill(child, libc::SIGKILL) };
    None
}

/// The command line that runs a call that does not end, with standard streams that are not used.
struct Run {
    child: Child,
    started: Instant,
}

impl Run {
    fn start(name: &str, call: &str, timeout: Duration) -> Run {
        let mut command = Command::new(env!("CARGO_BIN_EXE_trampette"));
        command.arg("run");
        command.arg(format!("--timeout={}ms", timeout.as_millis()));
        command.arg("--invoke");
        command.arg(format!("{call}()")).arg(path(name));
        let streams = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let started = Instant::now();
        let child = streams.spawn().unwrap();
        Run { child, started }
    }

    /// How long it ran, without the time that the kernel did not run its first thread though it
    /// could have; its exit code, and what it said.
    fn end(mut self) -> (Duration, Option<i32>, String) {
        // Open, and silent.
        let streams = (self.child.stdin.take(), self.child.stdout.take());
        let mut stderr = self.child.stderr.take().unwrap();
        let mut message = String::new();
        std::io::Read::read_to_string(&mut stderr, &mut message).unwrap();
        let took = clock::ended(self.child.id(), self.started);
        let status = self.child.wait().unwrap();
        drop(streams);
        (took, status.code(), message)
    }
}

#[test]
fn run_stops_when_the_time_is_over() {
    let cases = [
        ("wasi", "sleep"),
        ("wasi", "poll"),
        ("wasi", "poll-stdin"),
        ("wasi", "read-stdin"),
        ("wasi", "write-stdout"),
        ("atomic", "wait32"),
        ("loops", "spin"),
        ("loops", "throw-and-collect"),
        ("loops", "texts-utf8-utf16"),
        ("loops", "lists-of-options"),
    ];
    for (name, call) in cases {
        // One without any time shows how long it takes to begin and to end, on this machine now.
        let (control, status, message) = Run::start(name, call, Duration::ZERO).end();
        assert_eq!(status, Some(124), "{call}: {message}");
        assert_eq!(message, "error: timed out after 0 ms\n");
        // So the guest runs by then.
        let time = control * 5 + RUN;
        let (took, status, message) = Run::start(name, call, time).end();
        println!("{call}: {took:?} with {time:?}, {control:?} without");
        assert_eq!(status, Some(124), "{call}: {message}");
        let expected = "error: timed out after ";
        assert!(message.starts_with(expected), "{call}: {message}");
        assert!(message.contains("\nwasm backtrace:\n"), "{call}: {message}");
        let most = time + control * 5 + PROMPT;
        assert!(
            took < most,
            "{call}: {took:?} with {time:?}, {control:?} without"
        );
    }
}

/// What a guest exports as it imported it has no code of its own in which to be stopped.
#[test]
fn functions_of_the_host_that_are_exported_again_stop_too() {
    let compile = |text: &str| wat::parse_str(text).unwrap();
    let options = CompileOptions::default();
    let for_ever = Duration::from_secs(3600);
    let core = compile(r#"(module (import "host" "wait" (func $f)) (export "wait" (func $f)))"#);
    let core = trampette::compile_module(&core, &options).unwrap();
    let core = core.load().unwrap();
    let component =
        compile(r#"(component (import "wait" (func $f)) (export "wait-again" (func $f)))"#);
    let component = trampette::compile_component(&component, &options).unwrap();
    let component = component.load().unwrap();
    for by in WAYS {
        let mut store = Store::new(());
        let mut host = CoreHost::<()>::new();
        host.func("host", "wait", move |_, _| {
            wait::sleep(for_ever).map(|()| Vec::new())
        });
        let instance = CoreInstance::new(&mut store, &core, host).unwrap();
        let wait = instance.get_func(&store, "wait").unwrap();
        let used = stopped(&mut store, by, |store| wait.call(store, &[]).map(drop));
        check("core", Until::Waits, by, &used);

        let mut store = Store::new(());
        let mut linker = Linker::<()>::new();
        let mut root = linker.root();
        root.func_wrap::<(), (), _>("wait", move |_, ()| wait::sleep(for_ever))
            .unwrap();
        let instance = linker.instantiate(&mut store, &component).unwrap();
        let wait = instance.get_func(&mut store, "wait-again").unwrap();
        let used = stopped(&mut store, by, |store| wait.call(store, &[]).map(drop));
        check("component", Until::Waits, by, &used);
    }
}
