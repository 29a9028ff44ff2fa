//! The model against the specification's own `definitions.py`: the same scripts with the same
//! choices must have the same traces.
//!
//! It needs `python3` and the snapshot of the specification (`component-model/definitions.py` below
//! the folder that `TRAMPETTE_SPEC` names, below `spec` of `TRAMPETTE_SUITES`, or beside the
//! repository), and says so if they are missing. `TRAMPETTE_MODEL_RUNS` sets how many runs are
//! compared.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use trampette_model::explore::{self, Run};
use trampette_model::families::Family;
use trampette_model::generate::{self, Size};
use trampette_model::machine::{CancelRule, HostTime, Rules, TrapOrder};
use trampette_model::rng::Rng;
use trampette_model::script::Script;
use trampette_model::trace::{self, End, Event};
use trampette_model::traps::Trap;

/// Runs that are compared unless the environment says otherwise.
const RUNS: usize = 1500;

/// Runs that one process of Python gets: threads that are left over end with it.
const BATCH: usize = 500;

/// The folder with `definitions.py`.
fn definitions() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let candidates = match std::env::var_os("TRAMPETTE_SPEC") {
        Some(folder) => vec![PathBuf::from(folder)],
        None => ["../shared/spec", "../../shared/spec"]
            .map(|path| root.join(path))
            .to_vec(),
    };
    let found = candidates
        .iter()
        .map(|folder| folder.join("component-model"))
        .find(|folder| folder.join("definitions.py").is_file());
    if found.is_none() {
        eprintln!("notice: no `definitions.py` (see TRAMPETTE_SPEC); nothing is compared");
        return None;
    }
    let python = Command::new("python3").arg("--version").output();
    if !python.is_ok_and(|output| output.status.success()) {
        eprintln!("notice: no `python3`; nothing is compared");
        return None;
    }
    found
}

struct Case {
    script: Arc<Script>,
    rules: Rules,
    run: Run,
}

impl Case {
    fn input(&self) -> String {
        let cancel = match self.rules.cancel {
            CancelRule::OwnCallback => "own",
            CancelRule::AnyReady => "any",
        };
        let host = match self.rules.host {
            HostTime::Loop => "loop",
            HostTime::LoopAndBarriers => "barriers",
        };
        let answers: String = self
            .run
            .answers
            .iter()
            .map(|(answer, count)| format!(" {answer}/{count}"))
            .collect();
        format!("run {cancel} {host}\nanswers{answers}\n{}.\n", self.script)
    }
}

/// The traces that the definitions have.
fn python(folder: &Path, cases: &[Case]) -> Vec<Vec<String>> {
    let driver = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python/drive.py");
    let mut child = Command::new("python3")
        .arg(driver)
        .arg(folder)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python3 runs");
    let input: String = cases.iter().map(Case::input).collect();
    let mut stdin = child.stdin.take().expect("it is a pipe");
    let writer = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
    let output = child.wait_with_output().expect("it ends");
    writer.join().expect("no panic").expect("all is read");
    let text = String::from_utf8(output.stdout).expect("text");
    let mut traces = Vec::new();
    let mut lines = Vec::new();
    for line in text.lines() {
        match line {
            "." => traces.push(std::mem::take(&mut lines)),
            _ => lines.push(line.to_owned()),
        }
    }
    assert_eq!(traces.len(), cases.len(), "{lines:?}");
    traces
}

/// The scripts that say the official suite again.
fn suite() -> Vec<Script> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/suite");
    let entries = std::fs::read_dir(folder).expect("the folder is there");
    let mut paths: Vec<PathBuf> = entries
        .map(|entry| entry.expect("an entry").path())
        .collect();
    paths.sort();
    let scripts = paths.iter().map(|path| {
        let text = std::fs::read_to_string(path).expect("text");
        let (script, _) = text
            .split_once("---")
            .expect("a script and what is expected");
        script.parse().expect("a script")
    });
    scripts.collect()
}

/// A random script, one of a family, or, now and then, one of the suite.
fn pick(rng: &mut Rng, families: &[Family], suite: &[Script]) -> Script {
    match rng.below(16) {
        0 => suite[rng.below(suite.len())].clone(),
        1..=4 => {
            let family = &families[rng.below(families.len())];
            family.script(rng.next_u64() % family.count())
        }
        _ => generate::script(rng, Size::USUAL),
    }
}

/// What a trap is for, without what depends on its operands: a line of the definitions has one
/// reason, so that both sides also test in the same order.
fn reason(trap: Trap) -> String {
    match trap {
        Trap::Busy(_, _, purpose) | Trap::Done(_, _, purpose) => format!("not idle: {purpose:?}"),
        Trap::InSet(_, purpose) => format!("in a set: {purpose:?}"),
        Trap::UnknownHandle(_) | Trap::UnknownThread(_) => "unknown".to_owned(),
        Trap::WrongType(_) => "wrong type".to_owned(),
        Trap::NoCopy(_) => "no copy".to_owned(),
        // `task.cancel` has one reason for both.
        Trap::AlreadyResolved | Trap::NotCancelled => "not to be resolved".to_owned(),
        other => format!("{other:?}"),
    }
}

#[test]
fn definitions_agree() {
    let Some(folder) = definitions() else { return };
    let runs = std::env::var("TRAMPETTE_MODEL_RUNS")
        .ok()
        .and_then(|runs| runs.parse().ok());
    let runs: usize = runs.unwrap_or(RUNS);
    let seed = std::env::var("TRAMPETTE_MODEL_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok());
    let mut rng = Rng::new(seed.unwrap_or(1));
    // Which reasons the lines of the definitions trap for.
    let mut reasons: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut endings: BTreeMap<String, usize> = BTreeMap::new();
    let mut wrong = Vec::new();
    let mut compared = 0;
    let (families, suite) = (Family::all(), suite());
    while compared < runs {
        let cases: Vec<Case> = (0..BATCH.min(runs - compared))
            .map(|_| {
                let script = Arc::new(pick(&mut rng, &families, &suite));
                let rules = Rules {
                    cancel: rng.pick(&[CancelRule::OwnCallback, CancelRule::AnyReady]),
                    host: rng.pick(&[HostTime::Loop, HostTime::LoopAndBarriers]),
                    traps: TrapOrder::Definitions,
                };
                let run = explore::random(&script, rules, &mut rng);
                Case { script, rules, run }
            })
            .collect();
        for (case, theirs) in cases.iter().zip(python(&folder, &cases)) {
            let ours = trace::text(&case.run.trace);
            let ours: Vec<&str> = ours.lines().collect();
            let (last, before) = ours.split_last().expect("an end");
            *endings.entry((*last).to_owned()).or_default() += 1;
            let trap = match case.run.trace.last() {
                Some(Event::End(End::Trap(trap))) => Some(*trap),
                _ => None,
            };
            let same = match (trap, theirs.split_last()) {
                (Some(trap), Some((end, rest))) => {
                    let site = end.strip_prefix("trap");
                    if let Some(site) = site.filter(|site| !site.is_empty()) {
                        let site = site.trim().to_owned();
                        reasons.entry(site).or_default().insert(reason(trap));
                    }
                    site.is_some() && before == rest
                }
                (None, _) => ours == theirs,
                (Some(_), None) => false,
            };
            if !same {
                wrong.push(format!(
                    "{}ours:\n  {}\ntheirs:\n  {}\n",
                    case.input(),
                    ours.join("\n  "),
                    theirs.join("\n  ")
                ));
            }
        }
        compared += cases.len();
    }
    eprintln!("{compared} runs compared");
    for (ending, count) in endings {
        eprintln!("{count:7} {ending}");
    }
    assert!(
        wrong.is_empty(),
        "{} of {compared} differ; the first:\n{}",
        wrong.len(),
        wrong[0]
    );
    for (line, reasons) in reasons {
        assert!(
            reasons.len() == 1,
            "line {line} of the definitions traps for {reasons:?}"
        );
    }
}
