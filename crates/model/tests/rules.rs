//! What holds for every script: random ones, and those of the small families.
//!
//! `TRAMPETTE_MODEL_RUNS` sets how many random scripts are looked at, `TRAMPETTE_MODEL_STRIDE` that
//! each such script of a family is (1: all).

use std::sync::Arc;
use trampette_model::explore::{self, Verdict};
use trampette_model::families::Family;
use trampette_model::generate::{self, Size};
use trampette_model::machine::{CancelRule, HostTime, Model, Pause, Rules, TrapOrder};
use trampette_model::rng::Rng;
use trampette_model::script::{Script, Wiring};
use trampette_model::shrink::shrink;
use trampette_model::trace::{self, End, Event, Level};
use trampette_model::traps::KNOWN;

fn setting(name: &str, usual: u64) -> u64 {
    let value = std::env::var(name)
        .ok()
        .and_then(|value| value.parse().ok());
    value.unwrap_or(usual)
}

const RULES: [Rules; 2] = [
    Rules::RUNTIME,
    Rules {
        cancel: CancelRule::AnyReady,
        host: HostTime::Loop,
        traps: TrapOrder::Definitions,
    },
];

/// Runs a script once, and looks at its state at each choice and at its trace.
fn problem(script: &Arc<Script>, rules: Rules, rng: &mut Rng) -> Option<String> {
    let mut model = Model::new(Arc::clone(script), rules);
    loop {
        let pause = model.run();
        let trapped = matches!(
            model.trace().last(),
            Some(Event::End(End::Trap(_) | End::Limit))
        );
        if !trapped && let Err(error) = model.check() {
            return Some(format!("{error}, after\n{}", trace::text(model.trace())));
        }
        match pause {
            Pause::Choice(count) => model.choose(rng.below(count)),
            Pause::Ended => break,
        }
    }
    trace_problem(model.trace()).map(|error| format!("{error}\n{}", trace::text(model.trace())))
}

fn trace_problem(trace: &[Event]) -> Option<String> {
    let mut running: Vec<trace::Label> = Vec::new();
    let mut started: Vec<trace::Label> = Vec::new();
    let mut resolved: Vec<u32> = Vec::new();
    for (at, event) in trace.iter().enumerate() {
        let wrong = match event {
            Event::Start(label) => {
                let twice = started.contains(label);
                started.push(*label);
                running.push(*label);
                twice
            }
            Event::Exit(label) => {
                let known = running.iter().position(|other| other == label);
                known.map(|known| running.remove(known)).is_none()
            }
            Event::Did(label, trace::Place::Body(_), ..) | Event::Callback(label, _) => {
                // The operation that exits is told before the exit.
                !running.contains(label)
            }
            Event::Resolve(task, _) => {
                let twice = resolved.contains(task);
                resolved.push(*task);
                twice
            }
            Event::End(End::Trap(trap)) => {
                let text = trap.to_string();
                !KNOWN.iter().any(|known| text.contains(known)) || at + 1 != trace.len()
            }
            Event::End(_) => at + 1 != trace.len(),
            _ => false,
        };
        if wrong {
            return Some(format!("`{event}` cannot be there"));
        }
    }
    match trace.last() {
        Some(Event::End(_)) => None,
        _ => Some("the trace has no end".to_owned()),
    }
}

fn hold(script: Script, rng: &mut Rng) {
    let text = script.to_string();
    assert_eq!(text.parse::<Script>().as_ref(), Ok(&script), "{text}");
    let script = Arc::new(script);
    for rules in RULES {
        if let Some(error) = problem(&script, rules, rng) {
            let mut state = rng.clone();
            let small = shrink(&script, |candidate| {
                let candidate = Arc::new(candidate.clone());
                (0..50).any(|_| problem(&candidate, rules, &mut state).is_some())
            });
            panic!("{error}\nof\n{text}\nsmaller:\n{small}");
        }
    }
}

#[test]
fn rules_hold_for_random_scripts() {
    let mut rng = Rng::new(setting("TRAMPETTE_MODEL_SEED", 1));
    for _ in 0..setting("TRAMPETTE_MODEL_RUNS", 20_000) {
        let script = generate::script(&mut rng, Size::USUAL);
        hold(script, &mut rng);
    }
}

/// Scripts for the runtime are such that a component can be made of them.
#[test]
fn components_can_be_made() {
    let mut rng = Rng::new(4);
    let mut entered_again = 0;
    for _ in 0..2_000 {
        let script = generate::script(&mut rng, Size::BUILDABLE);
        assert_eq!(script.check(), Ok(()), "{script}");
        assert!(script.is_wired_as(Wiring::Tree), "{script}");
        let outer = script
            .functions
            .iter()
            .skip(1)
            .any(|function| function.instance == 0);
        entered_again += usize::from(outer);
    }
    assert!(
        entered_again > 500,
        "only {entered_again} scripts may enter an instance again"
    );
    for family in Family::all() {
        let script = family.script(family.count() - 1);
        assert!(script.is_wired_as(Wiring::Tree), "{script}");
    }
}

#[test]
fn rules_hold_for_small_scripts() {
    let stride = setting("TRAMPETTE_MODEL_STRIDE", 101);
    let mut rng = Rng::new(1);
    for family in Family::all() {
        let numbers = (0..family.count()).step_by(stride as usize);
        let mut looked = 0;
        for number in numbers {
            hold(family.script(number), &mut rng);
            looked += 1;
        }
        eprintln!("{}: {looked} of {}", family.name, family.count());
    }
}

/// All traces of a script contain any single one of its traces, and [`explore::accepts`] knows
/// each.
#[test]
fn searches_agree() {
    let mut rng = Rng::new(2);
    let mut runs = 0;
    let mut complete = 0;
    for _ in 0..setting("TRAMPETTE_MODEL_RUNS", 500) {
        let script = Arc::new(generate::script(&mut rng, Size::USUAL));
        let all = explore::exhaustive(&script, Rules::RUNTIME, 2_000);
        complete += usize::from(all.complete);
        runs += all.runs;
        for _ in 0..4 {
            let run = explore::random(&script, Rules::RUNTIME, &mut rng);
            let text = trace::text(&run.trace);
            assert!(!all.complete || all.all.contains(&text), "{script}{text}");
            let answers: Vec<usize> = run.answers.iter().map(|(answer, _)| *answer).collect();
            let again = explore::replay(&script, Rules::RUNTIME, &answers);
            assert_eq!(text, trace::text(&again.trace));
            for level in [Level::Seen, Level::Told] {
                let events = match level {
                    Level::Told => run.trace.clone(),
                    Level::Seen => trace::seen(&run.trace),
                };
                let mut observed: Vec<String> = events.iter().map(Event::to_string).collect();
                let verdict = explore::accepts(&script, Rules::RUNTIME, level, &observed, 200_000);
                assert!(!verdict.is_rejected(), "{script}{text}{verdict:?}");
                if level == Level::Told && all.complete && observed.len() > 2 {
                    // What is nearly right is accepted only if it is another of the traces.
                    let mut other = observed.clone();
                    let at = rng.below(other.len() - 1);
                    other.swap(at, at + 1);
                    let verdict = explore::accepts(&script, Rules::RUNTIME, level, &other, 200_000);
                    let text: String = other.iter().map(|line| format!("{line}\n")).collect();
                    let expected = all.all.contains(&text);
                    assert_eq!(verdict == Verdict::Accepted, expected, "{script}{text}");
                }
                observed.insert(observed.len() / 2, "nonsense".to_owned());
                let verdict = explore::accepts(&script, Rules::RUNTIME, level, &observed, 200_000);
                assert_ne!(verdict, Verdict::Accepted, "{script}{text}");
            }
        }
    }
    eprintln!("{complete} scripts with all their traces, {runs} runs");
}

#[test]
fn shrinking_leaves_what_matters() {
    let mut rng = Rng::new(3);
    let traps = |script: &Script| {
        let script = Arc::new(script.clone());
        let run = explore::replay(&script, Rules::RUNTIME, &[]);
        trace::text(&run.trace).contains("cannot have concurrent operations")
    };
    let mut shrunk = 0;
    while shrunk < 5 {
        let script = generate::script(&mut rng, Size::USUAL);
        if traps(&script) {
            let small = shrink(&script, traps);
            let count: usize = small
                .functions
                .iter()
                .map(|function| function.body.len())
                .sum();
            let threads: usize = small.threads.iter().map(Vec::len).sum();
            assert!(
                count + threads <= 6 && small.host.len() == 1,
                "{script}\n{small}"
            );
            shrunk += 1;
        }
    }
}
