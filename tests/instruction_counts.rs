//! How many instructions compiled code executes for a call on each kind of path, with and without
//! inlining: exact numbers, the same on every machine.
//!
//! Each `tests/instruction-counts/<name>.wat` is a component whose first lines name calls (in
//! WAVE):
//!
//! ```text
//! ;;! call = add(1, 2)
//! ```
//!
//! `<name>.expected` lists for each call how many instructions of which function it executes;
//! `BLESS=1` writes it. Only the artifact's code counts, not the Rust runtime, whose instructions
//! depend on how it was built.
//!
//! Callgrind counts (without valgrind the test says so and passes): this program runs itself under
//! it, loads every artifact twice, at two places, and makes another number of calls of each. The
//! difference is what calls cost once everything is warm.

#[path = "support/golden.rs"]
mod golden;

use anyhow::{Context, Result, ensure};
use libtest_mimic::{Arguments, Failed, Trial};
use object::{Object, ObjectSection, ObjectSymbol};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use tempfile::TempDir;
use trampette::CompileOptions;
use trampette::options::Inline;
use trampette_runtime::{Component, Linker, Resource, Store, Val};

/// Names the folder of [`Job`]s in the process that callgrind watches.
const FOLDER: &str = "TRAMPETTE_INSTRUCTION_COUNTS";
/// The lists of jobs, and of where their code was.
const JOBS: &str = "jobs";
const RANGES: &str = "ranges";
/// How many calls are made of the two copies of an artifact.
const CALLS: [u64; 2] = [3, 10];

fn main() -> ExitCode {
    if let Some(folder) = std::env::var_os(FOLDER) {
        return match make_calls(Path::new(&folder)) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("error: {error:#}");
                ExitCode::FAILURE
            }
        };
    }
    let arguments = Arguments::from_args();
    // One trial, as starting callgrind takes longer than all the calls.
    let trial = Trial::test("instruction_counts", || {
        check().map_err(|error| Failed::from(format!("{error:#}")))
    });
    libtest_mimic::run(&arguments, vec![trial]).exit_code()
}

/// A call to be counted.
struct Job {
    /// The file's name, without its extension.
    program: String,
    call: String,
    inline: Inline,
    elf: PathBuf,
}

fn check() -> Result<()> {
    if Command::new("valgrind").arg("--version").output().is_err() {
        eprintln!("notice: valgrind is not installed; instructions are not counted");
        return Ok(());
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/instruction-counts");
    let folder = TempDir::new()?;
    let jobs = jobs(&root, folder.path())?;
    let counts = count(&jobs, folder.path())?;

    let mut texts: BTreeMap<&str, String> = BTreeMap::new();
    for (index, job) in jobs.iter().enumerate() {
        let text = texts.entry(&job.program).or_default();
        let how = match job.inline {
            Inline::Worthwhile => "",
            Inline::Never => ", without inlining",
        };
        let counts = counts_of(index, job, &counts)
            .with_context(|| format!("{}: {}{how}", job.program, job.call))?;
        let total: u64 = counts.values().sum();
        writeln!(text, "{}{how}: {total}", job.call)?;
        for (function, count) in counts {
            writeln!(text, "{count:>8}  {function}")?;
        }
    }
    let failures: Vec<String> = texts
        .iter()
        .filter_map(|(program, text)| {
            let error = golden::check(&root.join(format!("{program}.expected")), text).err()?;
            Some(format!("{program} {error:#}"))
        })
        .collect();
    ensure!(failures.is_empty(), "{}", failures.join("\n"));
    Ok(())
}

/// Compiles all programs; every call of each with and without inlining.
fn jobs(root: &Path, folder: &Path) -> Result<Vec<Job>> {
    let mut programs = Vec::new();
    for entry in std::fs::read_dir(root)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "wat") {
            programs.push(path);
        }
    }
    programs.sort();
    let mut jobs = Vec::new();
    for path in programs {
        let program = path.file_stem().context("a name")?.to_string_lossy();
        let text = std::fs::read_to_string(&path)?;
        let wasm = wat::parse_str(&text).with_context(|| program.to_string())?;
        let compile = |inline, suffix| -> Result<(Inline, PathBuf)> {
            let options = CompileOptions {
                inline,
                ..CompileOptions::default()
            };
            let elf = folder.join(format!("{program}{suffix}.elf"));
            trampette::compile_component(&wasm, &options)?.write(&elf)?;
            Ok((inline, elf))
        };
        let artifacts = [
            compile(Inline::Worthwhile, "")?,
            compile(Inline::Never, "-not-inlined")?,
        ];
        let calls: Vec<&str> = text
            .lines()
            .filter_map(|line| line.strip_prefix(";;! call = "))
            .collect();
        ensure!(!calls.is_empty(), "{program} names no call");
        for call in calls {
            for (inline, elf) in &artifacts {
                jobs.push(Job {
                    program: program.to_string(),
                    call: call.to_string(),
                    inline: *inline,
                    elf: elf.clone(),
                });
            }
        }
    }
    Ok(jobs)
}

/// Where the two copies' code was, and how often which instruction was executed.
struct Counts {
    ranges: Vec<[Range<u64>; 2]>,
    executed: BTreeMap<u64, u64>,
}

/// Runs this program under callgrind.
fn count(jobs: &[Job], folder: &Path) -> Result<Counts> {
    let mut list = String::new();
    for job in jobs {
        let elf = job.elf.to_str().context("a path that is text")?;
        writeln!(list, "{elf}\t{}", job.call)?;
    }
    std::fs::write(folder.join(JOBS), list)?;
    let found = folder.join("callgrind.out");
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--dump-instr=yes", "--compress-pos=no"])
        .arg(format!("--callgrind-out-file={}", found.display()))
        .arg(std::env::current_exe()?)
        .env(FOLDER, folder)
        .output()?;
    ensure!(
        output.status.success(),
        "the calls failed: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let mut ranges = Vec::new();
    for line in std::fs::read_to_string(folder.join(RANGES))?.lines() {
        let numbers: Vec<u64> = line.split(' ').map(str::parse).collect::<Result<_, _>>()?;
        let &[first, first_end, second, second_end] = &numbers[..] else {
            anyhow::bail!("`{line}` is not two ranges");
        };
        ranges.push([first..first_end, second..second_end]);
    }
    ensure!(ranges.len() == jobs.len(), "a job has no range");
    Ok(Counts {
        ranges,
        executed: executed(&std::fs::read_to_string(&found)?)?,
    })
}

/// How often which instruction was executed, from callgrind's output: lines of an address, a source
/// line and a number. The line after `calls=` is what the callee cost, which its own lines say too.
fn executed(text: &str) -> Result<BTreeMap<u64, u64>> {
    let mut executed = BTreeMap::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if line.starts_with("calls=") {
            lines.next();
        } else if let Some(rest) = line.strip_prefix("0x") {
            let fields: Vec<&str> = rest.split(' ').collect();
            let &[address, _, count] = &fields[..] else {
                anyhow::bail!("callgrind wrote `{line}`");
            };
            *executed
                .entry(u64::from_str_radix(address, 16)?)
                .or_default() += count.parse::<u64>()?;
        }
    }
    Ok(executed)
}

/// The instructions of each function that one call executes.
fn counts_of(index: usize, job: &Job, counts: &Counts) -> Result<BTreeMap<String, u64>> {
    let bytes = std::fs::read(&job.elf)?;
    let file = object::File::parse(&*bytes)?;
    let text = file.section_by_name(".text").context("no text")?.address();
    let mut functions: Vec<(Range<u64>, &str)> = Vec::new();
    for symbol in file.symbols() {
        let start = symbol.address();
        functions.push((start..start + symbol.size(), symbol.name()?));
    }
    let copies = counts.ranges[index].clone().map(|range| {
        let mut of: BTreeMap<String, u64> = BTreeMap::new();
        for (address, count) in counts.executed.range(range.clone()) {
            let address = address - range.start + text;
            let function = functions.iter().find(|(range, _)| range.contains(&address));
            let name = function.map_or("no function", |(_, name)| name);
            *of.entry(name.to_string()).or_default() += count;
        }
        of
    });
    let [few, many] = copies;
    ensure!(!few.is_empty(), "no instruction was executed");
    let calls = CALLS[1] - CALLS[0];
    let mut per_call = BTreeMap::new();
    for (function, many) in many {
        let more = many - few.get(&function).copied().unwrap_or(0);
        ensure!(
            more.is_multiple_of(calls),
            "{calls} calls executed {more} instructions of {function}, not the same number each"
        );
        if more > 0 {
            per_call.insert(function, more / calls);
        }
    }
    Ok(per_call)
}

/// What callgrind watches: makes the calls of all jobs.
fn make_calls(folder: &Path) -> Result<()> {
    let mut ranges = String::new();
    let linker = linker()?;
    for line in std::fs::read_to_string(folder.join(JOBS))?.lines() {
        let (elf, call) = line.split_once('\t').context("a job")?;
        let mut copies = Vec::new();
        for calls in CALLS {
            // SAFETY: compiled by this test, in a folder of its own.
            let component = unsafe { Component::from_file(elf) }?;
            let mut store = Store::new(());
            let instance = linker.instantiate(&mut store, &component)?;
            for _ in 0..calls {
                trampette_runner::invoke(&component, &instance, &mut store, call)
                    .with_context(|| call.to_string())?;
            }
            let range = component.text_range();
            copies.push(format!("{} {}", range.start, range.end));
            // Valgrind's address space has room for few warm instances.
            drop((instance, store, component));
            reserve(range)?;
        }
        writeln!(ranges, "{}", copies.join(" "))?;
    }
    Ok(std::fs::write(folder.join(RANGES), ranges)?)
}

/// Keeps what is loaded later away from a place, so that no two artifacts were at the same one.
fn reserve(range: Range<usize>) -> Result<()> {
    use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous};
    let wanted = std::ptr::without_provenance_mut(range.start);
    // SAFETY: a hint does not replace a mapping, and nothing refers to the new one.
    let found =
        unsafe { mmap_anonymous(wanted, range.len(), ProtFlags::empty(), MapFlags::PRIVATE) }?;
    ensure!(found == wanted, "the place of the code is taken");
    Ok(())
}

struct Thing;

/// What the programs import.
fn linker() -> Result<Linker<()>> {
    let mut linker = Linker::<()>::new();
    let mut root = linker.root();
    root.func_wrap::<(), (), _>("host-nop", |_, ()| Ok(()))?;
    root.func_wrap::<(u32, u32), u32, _>("host-add", |_, (a, b)| Ok(a.wrapping_add(b)))?;
    root.func_wrap::<(String,), (), _>("host-string", |_, (_,)| Ok(()))?;
    root.func_new("host-record", |_, arguments: &[Val], _| {
        assert!(matches!(arguments, [Val::Record(_)]));
        Ok(())
    })?;
    root.func_wrap_async::<(u32,), u32, _, _>("host-ready", |_, (x,)| async move { Ok(x) })?;
    root.resource::<Thing>("host-thing", |_, _| Ok(()))?;
    root.func_wrap::<(), Resource<Thing>, _>("host-make", |_, ()| Ok(Resource::new(7)))?;
    Ok(linker)
}
