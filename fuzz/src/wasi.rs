//! Calls of WASI, of preview 1 and 0.2, with numbers at which arithmetic breaks, in any order: the
//! host does not panic, changes nothing that the guest was not given, holds no more file
//! descriptors and memory than its limits say, gives all back, and ends when the time is over.

use crate::clock::{PROMPT, Watch};
use crate::memory;
use crate::properties::Trace;
use crate::random::Random;
use crate::sandbox::{Sandbox, limit_files, open_files};
use crate::wasi_guest::{self, Call, Gives, Meaning};
use anyhow::{Result, ensure};
use std::collections::HashMap;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};
use trampette_runtime::{
    Component, CoreHost, CoreInstance, CoreVal, Instance, Linker, Store, StoreLimits, Trap,
    TrapCode, Val,
};
use trampette_wasi::{Input, Output, WasiCtx, WasiCtxBuilder, p1};

/// Files that a guest may have open.
const OPEN_FILES: usize = 24;
/// Descriptors of this process beyond those that the guest holds: preopened directories as the
/// context keeps them, pipes, clocks, and what a call opens for a moment.
const OTHER_FILES: usize = 12;
/// Bytes that the host may allocate for a case.
const MOST_MEMORY: usize = 96 << 20;

/// Paths that calls are given, and where they are in the memory.
const PATHS: [&str; 20] = [
    "file",
    "sub",
    "sub/x",
    "new",
    "sub/new",
    ".",
    "..",
    "../outside/secret",
    "out/secret",
    "out",
    "abs",
    "link",
    "loop",
    "/",
    "/etc/passwd",
    "",
    "sub/../../outside/new",
    "new/",
    "a\0b",
    "link/..",
];
const TEXTS: u32 = 0x1000;
const TEXT_ROOM: u32 = 64;
/// Where lists begin.
const LISTS: u32 = 0x2000;
/// Where results go.
const RESULTS: u32 = 0x4000;
/// The memory's end.
const END: u32 = 4 << 16;

struct Guests {
    sandbox: Sandbox,
    preview1: [(Vec<Call>, Component); 2],
    component: (Vec<Call>, Component),
    linker: Linker<WasiCtx>,
}

/// What runs cases: one at a time, since it counts the process's descriptors and memory.
///
/// # Errors
/// If a guest cannot be compiled, or there is another.
pub fn cases() -> Result<impl FnMut(&mut Random, &mut Trace) -> Result<(), String>> {
    static TAKEN: AtomicBool = AtomicBool::new(false);
    ensure!(!TAKEN.swap(true, Relaxed), "this mode has one thread");
    limit_files();
    let mut linker = Linker::new();
    trampette_wasi::add_to_linker(&mut linker)?;
    let component = wasi_guest::component()?;
    // As the command line does: there are no sockets.
    let why = "the guest has no network";
    linker.define_unknown_imports_as_traps_because(&component.1, "wasi:sockets/", why)?;
    let guests = Guests {
        sandbox: Sandbox::new()?,
        preview1: [
            wasi_guest::preview1("wasi_snapshot_preview1")?,
            wasi_guest::preview1("wasi_unstable")?,
        ],
        component,
        linker,
    };
    // What is made once is made before anything is counted.
    for seed in 0..20 {
        // What goes wrong here goes wrong again.
        let _ = guests.sequence(&mut Random::new(seed), &mut Trace::default(), open_files()?);
    }
    Ok(move |random: &mut Random, trace: &mut Trace| guests.case(random, trace))
}

impl Guests {
    fn case(&self, random: &mut Random, trace: &mut Trace) -> Result<(), String> {
        let told = |error: anyhow::Error| format!("{error:#}");
        self.sandbox.fill().map_err(told)?;
        let files = open_files().map_err(told)?;
        let allocated = memory::watch();
        let result = self.sequence(random, trace, files);
        let most = memory::most() - allocated.min(memory::most());
        let left = open_files().map_err(told)?;
        result.map_err(told)?;
        self.sandbox.check().map_err(told)?;
        if left != files {
            return Err(format!("{files} descriptors before, {left} after"));
        }
        if most > MOST_MEMORY {
            return Err(format!("{most} bytes were allocated"));
        }
        Ok(())
    }

    /// What the guest sees, and the other end of its standard input.
    fn context(&self, random: &mut Random) -> Result<(WasiCtx, Option<OwnedFd>)> {
        let (output, _) = Output::captured(1 << 16);
        let mut builder = WasiCtxBuilder::new()
            .arg("program")
            .arg("é")
            .env("A", "1")
            .max_open_files(OPEN_FILES)
            .stdout(output)
            .preopened_dir(self.sandbox.writable(), "/")?
            .preopened_dir_read_only(self.sandbox.readable(), "readonly")?;
        let mut kept = None;
        builder = match random.below(3) {
            0 => builder.stdin(Input::bytes("some input")),
            1 => builder,
            _ => {
                let (read, write) = std::io::pipe()?;
                kept = Some(OwnedFd::from(write));
                builder.stdin(Input::file(File::from(OwnedFd::from(read))))
            }
        };
        Ok((builder.build(), kept))
    }

    fn sequence(&self, random: &mut Random, trace: &mut Trace, files: usize) -> Result<()> {
        let (context, _kept) = self.context(random)?;
        let mut store = Store::new(context);
        store.set_limits(StoreLimits::default().with_memory_bytes(1 << 20));
        let time = Duration::from_millis(1 + random.below(30) as u64);
        let deadline = Instant::now() + time;
        store.set_deadline(Some(deadline))?;
        let mut watch = Some(Watch::alone(deadline));
        let mut guest = match random.below(3) {
            0 => Guest::Core(self.core(&mut store, random.below(2))?),
            1 => Guest::Core(self.core(&mut store, 0)?),
            _ => Guest::Component(self.linker.instantiate(&mut store, &self.component.1)?),
        };
        let calls = match guest {
            Guest::Core(_) => &self.preview1[0].0,
            Guest::Component(_) => &self.component.0,
        };
        let mut handles: HashMap<String, Vec<u32>> = HashMap::new();
        for _ in 0..60 {
            // Its memory is as it should be until a call spoils it.
            if random.percent(30) && guest.prepare(&mut store, random).is_err() {
                break;
            }
            let call = match handles.is_empty() {
                true if random.percent(70) => {
                    let first = |call: &&Call| matches!(call.gives, Gives::First(_));
                    calls.iter().find(first).unwrap_or(&calls[0])
                }
                _ => {
                    // Mostly one for which there are handles.
                    let there = |param: &Meaning| match param {
                        Meaning::Handle(resource) => {
                            handles.get(resource).is_some_and(|all| !all.is_empty())
                        }
                        _ => true,
                    };
                    let mut call = &calls[random.below(calls.len())];
                    for _ in 0..20 {
                        if call.params.iter().all(there) {
                            break;
                        }
                        call = &calls[random.below(calls.len())];
                    }
                    call
                }
            };
            let arguments = arguments(call, random, &handles);
            trace.step(format!("{} {arguments:?}", call.name));
            let result = guest.call(&mut store, call, &arguments);
            trace.count("calls");
            // The first call that ends after the deadline is the one that it stops.
            if Instant::now() >= deadline
                && let Some(watch) = watch.take()
            {
                let late = watch.stopped();
                ensure!(late < PROMPT, "it ended {late:?} after its time");
            }
            let open = open_files()?;
            ensure!(
                open <= files + OPEN_FILES + OTHER_FILES,
                "{open} descriptors are open, {files} were"
            );
            match result {
                Ok(result) => {
                    trace.count(match call.returns {
                        true if result == Some(0) => "calls that gave 0",
                        _ => "calls that returned",
                    });
                    guest.note(&mut store, call, &arguments, result, &mut handles);
                }
                Err(error) => {
                    let text = format!("{error:#}");
                    ensure!(!text.contains("panic"), "{text}");
                    if let Some(trap) = error.downcast_ref::<Trap>()
                        && trap.kind() == TrapCode::Deadline
                    {
                        trace.count("deadlines");
                        break;
                    }
                    trace.count("traps");
                    let again = match &guest {
                        Guest::Core(_) => break,
                        Guest::Component(_) => {
                            self.linker.instantiate(&mut store, &self.component.1)
                        }
                    };
                    handles.clear();
                    match again {
                        Ok(instance) => guest = Guest::Component(instance),
                        Err(_) => break,
                    }
                }
            }
        }
        Ok(())
    }

    fn core(&self, store: &mut Store<WasiCtx>, version: usize) -> Result<CoreInstance> {
        let mut host = CoreHost::new();
        p1::add_to_host(&mut host);
        CoreInstance::new(store, &self.preview1[version].1, host)
    }
}

enum Guest {
    Core(CoreInstance),
    Component(Instance),
}

impl Guest {
    fn poke(&self, store: &mut Store<WasiCtx>, at: u32, value: u64) -> Result<()> {
        match self {
            Guest::Core(instance) => {
                let memory = instance.get_memory(store, "memory")?;
                memory.write(store, at.into(), &value.to_le_bytes())
            }
            Guest::Component(_) => {
                self.export(
                    store,
                    "poke",
                    &[Val::S32(at as i32), Val::S64(value as i64)],
                )?;
                Ok(())
            }
        }
    }

    fn peek(&self, store: &mut Store<WasiCtx>, at: u32) -> Option<u32> {
        let values = self.export(store, "peek", &[Val::S32(at as i32)]).ok()?;
        match values[..] {
            [Val::S32(value)] => Some(value as u32),
            _ => None,
        }
    }

    /// Calls an export of the component.
    fn export(
        &self,
        store: &mut Store<WasiCtx>,
        name: &str,
        arguments: &[Val],
    ) -> Result<Vec<Val>> {
        let Guest::Component(instance) = self else {
            return Ok(Vec::new());
        };
        let function = instance.get_func(&mut *store, name);
        let function = function.ok_or_else(|| anyhow::anyhow!("there is no {name}"))?;
        function.call(store, arguments)
    }

    /// Fills the memory with paths and lists.
    fn prepare(&self, store: &mut Store<WasiCtx>, random: &mut Random) -> Result<()> {
        if random.percent(80) {
            for (number, path) in PATHS.iter().enumerate() {
                for (word, bytes) in path.as_bytes().chunks(8).enumerate() {
                    let mut long = [0; 8];
                    long[..bytes.len()].copy_from_slice(bytes);
                    let at = TEXTS + number as u32 * TEXT_ROOM + word as u32 * 8;
                    self.poke(store, at, u64::from_le_bytes(long))?;
                }
            }
        }
        // As lists of pointers and lengths, and as subscriptions of both versions.
        for word in 0..20 {
            let value = match random.below(5) {
                0 => u64::from(random.below(4) as u32),
                1 => u64::from(RESULTS) | (random.below(100) as u64) << 32,
                2 => u64::from(extreme(random) as u32) | (extreme(random) << 32),
                3 => random.below(3) as u64,
                _ => extreme(random),
            };
            self.poke(store, LISTS + word * 8, value)?;
        }
        if matches!(self, Guest::Component(_)) {
            let at = match random.percent(95) {
                true => 0x20000,
                false => extreme(random) as i32,
            };
            self.export(store, "realloc", &[Val::S32(at)])?;
        }
        Ok(())
    }

    fn call(
        &self,
        store: &mut Store<WasiCtx>,
        call: &Call,
        arguments: &[u64],
    ) -> Result<Option<u32>> {
        let both = || call.params.iter().zip(arguments);
        match self {
            Guest::Core(instance) => {
                let values = both().map(|(param, value)| match param {
                    Meaning::Long => CoreVal::I64(*value as i64),
                    _ => CoreVal::I32(*value as i32),
                });
                let values: Vec<CoreVal> = values.collect();
                let function = instance.get_func(store, &call.export)?;
                let results = function.call(store, &values)?;
                Ok(match results[..] {
                    [CoreVal::I32(value)] => Some(value as u32),
                    _ => None,
                })
            }
            Guest::Component(_) => {
                let values = both().map(|(param, value)| match param {
                    Meaning::Long => Val::S64(*value as i64),
                    _ => Val::S32(*value as i32),
                });
                let values: Vec<Val> = values.collect();
                Ok(match self.export(store, &call.export, &values)?[..] {
                    [Val::S32(value)] => Some(value as u32),
                    _ => None,
                })
            }
        }
    }

    /// Remembers which handles there are.
    fn note(
        &self,
        store: &mut Store<WasiCtx>,
        call: &Call,
        arguments: &[u64],
        result: Option<u32>,
        handles: &mut HashMap<String, Vec<u32>>,
    ) {
        if call.name.contains("[resource-drop]")
            && let (Some(Meaning::Handle(resource)), Some(dropped)) =
                (call.params.first(), arguments.first())
            && let Some(all) = handles.get_mut(resource)
        {
            all.retain(|handle| u64::from(*handle) != *dropped);
        }
        let stored = arguments.last().copied().unwrap_or_default() as u32;
        let found = match &call.gives {
            Gives::Nothing => None,
            Gives::Handle(resource) => Some((resource, result)),
            Gives::Fallible(resource) => match self.peek(store, stored) {
                Some(word) if word & 0xff == 0 => {
                    Some((resource, self.peek(store, stored.wrapping_add(4))))
                }
                _ => None,
            },
            Gives::First(resource) => {
                let list = self.peek(store, stored);
                Some((resource, list.and_then(|at| self.peek(store, at))))
            }
        };
        if let Some((resource, Some(handle))) = found {
            handles.entry(resource.clone()).or_default().push(handle);
        }
    }
}

/// A number at which something breaks.
fn extreme(random: &mut Random) -> u64 {
    const EXTREMES: [u64; 16] = [
        0,
        1,
        2,
        7,
        0x7fff_ffff,
        0x8000_0000,
        0xffff_fffe,
        0xffff_ffff,
        0x1_0000_0000,
        999_999_999,
        1_000_000_000,
        1 << 62,
        i64::MAX as u64,
        i64::MAX as u64 + 1,
        u64::MAX - 1,
        u64::MAX,
    ];
    match random.percent(70) {
        true => random.pick(&EXTREMES),
        false => random.integer(),
    }
}

/// Numbers for a call; most of them make some sense.
fn arguments(call: &Call, random: &mut Random, handles: &HashMap<String, Vec<u32>>) -> Vec<u64> {
    let sound = random.percent(85);
    let mut path = 0;
    let params = call.params.iter().map(|param| {
        let wild = random.percent(if sound { 2 } else { 30 });
        match param {
            Meaning::Long if random.percent(50) => extreme(random),
            _ if wild => extreme(random),
            Meaning::Descriptor => random.below(12) as u64,
            Meaning::Handle(resource) => match handles.get(resource) {
                Some(all) if !all.is_empty() => u64::from(random.pick(all)),
                _ => random.below(5) as u64,
            },
            Meaning::Text => {
                path = random.below(PATHS.len());
                u64::from(TEXTS + path as u32 * TEXT_ROOM)
            }
            Meaning::Length => match random.percent(80) {
                true => PATHS[path].len() as u64,
                false => random.below(5000) as u64,
            },
            Meaning::List => u64::from(LISTS),
            Meaning::Count => random.below(5) as u64,
            Meaning::Out => match random.percent(95) {
                true => u64::from(RESULTS),
                false => u64::from(END - random.below(20) as u32),
            },
            Meaning::Word => match random.below(4) {
                0 => extreme(random),
                1 => random.below(64) as u64,
                _ => random.below(4) as u64,
            },
            Meaning::Long => random.below(10_000) as u64,
        }
    });
    params.collect()
}
