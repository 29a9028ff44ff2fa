//! The runtime against the model of the rules of concurrency (`crates/model`): scripts are run by
//! an interpreter guest, and what the guest and the host see of it must be what the model allows.
//!
//! `TRAMPETTE_MODEL_RUNS` and `TRAMPETTE_MODEL_SEED` choose the random scripts,
//! `TRAMPETTE_MODEL_STRIDE` which of the small ones (1: all; `TRAMPETTE_MODEL_FIRST` is the first
//! of them, so that several processes share the work), `TRAMPETTE_MODEL_ALONE` how many scripts get
//! a guest of their own. `tests/model/found` has scripts that were once not agreed on.

#[path = "model/faults.rs"]
mod faults;
#[path = "model/guest.rs"]
mod guest;
#[path = "model/interpreter.rs"]
mod interpreter;
#[path = "model/run.rs"]
mod run;
#[path = "model/shape.rs"]
mod shape;
#[path = "model/soak.rs"]
mod soak;

use run::{Guests, State, run_alone};
use shape::Style;
use std::path::Path;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};
use trampette_model::explore::{self, Verdict};
use trampette_model::families::Family;
use trampette_model::generate::{self, Size};
use trampette_model::machine::Rules;
use trampette_model::rng::Rng;
use trampette_model::script::{
    Function, HostOp, Import, Lift, Op, Payload, Script, Slot, Typed, Wiring,
};
use trampette_model::shrink::shrink;
use trampette_model::trace::Level;
use trampette_runtime::Store;

fn setting(name: &str, usual: u64) -> u64 {
    let value = std::env::var(name).ok();
    value.and_then(|value| value.parse().ok()).unwrap_or(usual)
}

/// States of the model that are looked at before it is given up to find a trace.
const MOST: usize = 100_000;

/// A script that the host can run today: it calls functions one after the other, and its own ones
/// are done at once. What was left over goes on while a function of another instance yields.
fn restrict(script: &mut Script) {
    script.imports.fill(Import::Ready);
    let idle = script.functions.len() as u8;
    let mut host = Vec::new();
    for op in &script.host {
        match op {
            HostOp::Call(function) | HostOp::Start(function) => {
                host.push(HostOp::Call(*function));
            }
            HostOp::Drain | HostOp::Await(_) => host.push(HostOp::Call(idle)),
            HostOp::Cancel(_) => {}
        }
    }
    for op in &host {
        if let HostOp::Call(function) = op
            && *function != idle
        {
            script.functions[usize::from(*function)].result = Payload::None;
        }
    }
    let mut body = vec![Op::ThreadYield; 6];
    body.push(Op::Return(Slot::Local(0)));
    script.functions.push(Function {
        instance: shape::IDLE,
        lift: Lift::Stackful,
        typed: Typed::Async,
        param: Payload::None,
        result: Payload::None,
        body,
        post: Vec::new(),
    });
    script.host = host;
}

#[derive(Default)]
struct Times {
    run: Duration,
    accept: Duration,
    unknown: u32,
}

/// What is wrong with the runtime's trace of a script, if anything.
fn problem(style: Style, script: &Script, times: &mut Times) -> Option<String> {
    let begin = Instant::now();
    let mut store = Store::new(State::default());
    let outcome = match style {
        Style::Any => GUESTS.run(script, &mut store),
        Style::One => run_alone(script, &mut store),
    };
    let outcome = match outcome {
        Ok(outcome) => outcome,
        Err(error) => return Some(format!("{error:?}")),
    };
    times.run += begin.elapsed();
    let begin = Instant::now();
    let shared = Arc::new(script.clone());
    let verdict = explore::accepts(&shared, Rules::RUNTIME, Level::Seen, &outcome.trace, MOST);
    times.accept += begin.elapsed();
    match verdict {
        Verdict::Accepted => None,
        Verdict::Unknown => {
            times.unknown += 1;
            None
        }
        Verdict::Rejected { agreed, expected } => {
            let (before, after) = outcome.trace.split_at(agreed.min(outcome.trace.len()));
            let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
            Some(format!(
                "  {}\n> {}\nexpected\n  {}",
                before.join("\n  "),
                after.join("\n  "),
                expected.join("\n  ")
            ))
        }
    }
}

fn hold(style: Style, script: &Script, times: &mut Times) -> Result<(), String> {
    let Some(error) = problem(style, script, times) else {
        return Ok(());
    };
    let mut unused = Times::default();
    let small = shrink(script, |candidate| {
        candidate.is_wired_as(Wiring::Tree) && problem(style, candidate, &mut unused).is_some()
    });
    let smaller = problem(style, &small, &mut unused).unwrap_or(error);
    Err(format!("{small}\n{smaller}\n"))
}

/// Compares the runs of scripts, and shows the first that differ.
fn compare(what: &str, style: Style, scripts: impl Iterator<Item = Script>) {
    let begin = Instant::now();
    let shown = setting("TRAMPETTE_MODEL_SHOWN", 3) as usize;
    let mut times = Times::default();
    let mut wrong = Vec::new();
    let mut count = 0;
    for mut script in scripts {
        restrict(&mut script);
        count += 1;
        if count % 100_000 == 0 {
            eprintln!("{what}: {count} scripts in {:?}", begin.elapsed());
        }
        if let Err(error) = hold(style, &script, &mut times) {
            wrong.push(error);
            if wrong.len() == shown {
                break;
            }
        }
    }
    eprintln!(
        "{what}: {count} scripts in {:?}, {:?} of it in the runtime, {:?} in the model; {} not decided",
        begin.elapsed(),
        times.run,
        times.accept,
        times.unknown
    );
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(count > 0, "{what}: no scripts");
}

static GUESTS: LazyLock<Guests> = LazyLock::new(Guests::new);

/// As many random scripts as a setting says.
fn random_scripts(usual_seed: u64, count: &str, usual: u64) -> impl Iterator<Item = Script> {
    let mut rng = Rng::new(setting("TRAMPETTE_MODEL_SEED", usual_seed));
    let scripts = std::iter::repeat_with(move || generate::script(&mut rng, Size::BUILDABLE));
    scripts.take(setting(count, usual) as usize)
}

#[test]
fn random_scripts_agree() {
    let scripts = random_scripts(1, "TRAMPETTE_MODEL_RUNS", 2_000);
    compare("random", Style::Any, scripts);
}

/// The scripts of the model's own tests.
const SUITE: &str = "crates/model/tests/suite";

/// The scripts of a folder, if there is one, up to what is expected of them.
fn scripts_of(folder: &str) -> Vec<Script> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let entries = std::fs::read_dir(folder).into_iter().flatten();
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let script = |path| {
        let text = std::fs::read_to_string(path).unwrap();
        let script = text.split("---").next().unwrap_or_default();
        script.parse::<Script>().unwrap()
    };
    let scripts = paths.into_iter().map(script);
    scripts
        .filter(|script| script.is_wired_as(Wiring::Tree))
        .collect()
}

fn compare_known(style: Style) {
    for (what, folder) in [("found", "tests/model/found"), ("suite", SUITE)] {
        compare(what, style, scripts_of(folder).into_iter());
    }
}

#[test]
fn known_scripts_agree() {
    compare_known(Style::Any);
}

/// What is not agreed on, and not mended yet: once it is, its script belongs to those once found.
#[test]
fn open_scripts_still_differ() {
    for mut script in scripts_of("tests/model/open") {
        restrict(&mut script);
        let problem = problem(Style::Any, &script, &mut Times::default());
        assert!(problem.is_some(), "it is agreed on now:\n{script}");
    }
}

/// Guests that are made for one script each show the same, though the compiler knows more of them.
#[test]
fn guests_of_their_own_agree() {
    compare_known(Style::One);
    let scripts = random_scripts(3, "TRAMPETTE_MODEL_ALONE", 40);
    compare("random", Style::One, scripts);
}

#[test]
fn small_scripts_agree() {
    let stride = setting("TRAMPETTE_MODEL_STRIDE", 1009);
    let first = setting("TRAMPETTE_MODEL_FIRST", 0);
    for family in Family::all() {
        let numbers = (first..family.count()).step_by(stride as usize);
        compare(
            family.name,
            Style::Any,
            numbers.map(|number| family.script(number)),
        );
    }
}
