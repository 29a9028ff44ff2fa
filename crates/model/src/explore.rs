//! Which runs of a script to look at: one that a seed or a list of answers picks, or all of them.

use crate::machine::{Model, Pause, Rules};
use crate::rng::Rng;
use crate::script::Script;
use crate::trace::{End, Event, Level, Started, Trace, text};
use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

/// A run, with the answers that lead to it.
#[derive(Clone, Debug)]
pub struct Run {
    /// What was seen.
    pub trace: Trace,
    /// The answer to each question, and how many there were to choose from.
    pub answers: Vec<(usize, usize)>,
}

/// One run, its choices made at random.
pub fn random(script: &Arc<Script>, rules: Rules, rng: &mut Rng) -> Run {
    drive(script, rules, |_, count| rng.below(count))
}

/// The run that these answers lead to; questions beyond them are answered by the first choice.
pub fn replay(script: &Arc<Script>, rules: Rules, answers: &[usize]) -> Run {
    drive(script, rules, |number, _| {
        answers.get(number).copied().unwrap_or(0)
    })
}

fn drive(script: &Arc<Script>, rules: Rules, mut decide: impl FnMut(usize, usize) -> usize) -> Run {
    let mut model = Model::new(Arc::clone(script), rules);
    let mut answers = Vec::new();
    while let Pause::Choice(count) = model.run() {
        let answer = decide(answers.len(), count);
        answers.push((answer, count));
        model.choose(answer);
    }
    Run {
        trace: model.into_trace(),
        answers,
    }
}

/// Which traces a script can have.
#[derive(Clone, Debug)]
pub struct Traces {
    /// Each of them, as text and once.
    pub all: BTreeSet<String>,
    /// Runs that were looked at.
    pub runs: usize,
    /// Whether these are all there are.
    pub complete: bool,
}

/// All traces of a script, unless there are more than `most` runs.
pub fn exhaustive(script: &Arc<Script>, rules: Rules, most: usize) -> Traces {
    let mut found = Traces {
        all: BTreeSet::new(),
        runs: 0,
        complete: true,
    };
    let mut open = vec![Model::new(Arc::clone(script), rules)];
    while let Some(mut model) = open.pop() {
        match model.run() {
            Pause::Choice(count) => {
                for answer in (0..count).rev() {
                    let mut branch = model.clone();
                    branch.choose(answer);
                    open.push(branch);
                }
            }
            Pause::Ended if found.runs == most => {
                found.complete = false;
                break;
            }
            Pause::Ended => {
                found.runs += 1;
                found.all.insert(text(model.trace()));
            }
        }
    }
    found
}

/// What an observed trace is to the model.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Some run of the model has this trace.
    Accepted,
    /// None has.
    Rejected {
        /// How many events the best run of the model has in common with it, from the start.
        agreed: usize,
        /// What could have come next.
        expected: BTreeSet<String>,
    },
    /// Too many runs begin like it: nobody knows.
    Unknown,
}

impl Verdict {
    /// Whether it is certain that no run has the trace.
    pub fn is_rejected(&self) -> bool {
        matches!(self, Verdict::Rejected { .. })
    }
}

/// Whether a script can have an observed trace, given as text, an event a line: with
/// [`Level::Told`] all events, with [`Level::Seen`] what [`crate::trace::seen`] leaves of them.
/// The text of a trap may say more than the model's.
///
/// Runs that differ from the trace are given up at the first difference, so this takes far less
/// time than making all traces.
pub fn accepts(
    script: &Arc<Script>,
    rules: Rules,
    level: Level,
    observed: &[String],
    most: usize,
) -> Verdict {
    /// A run so far, and how much of both traces was compared.
    #[derive(Clone)]
    struct Open {
        model: Model,
        compared: usize,
        agreed: usize,
        started: Started,
    }
    let mut open = vec![Open {
        model: Model::new(Arc::clone(script), rules),
        compared: 0,
        agreed: 0,
        started: Started::default(),
    }];
    let (mut best, mut expected) = (0, BTreeSet::new());
    let mut looked = 0;
    // Runs often differ only in what is not seen, and then go on alike.
    let mut known = HashSet::new();
    while let Some(mut run) = open.pop() {
        looked += 1;
        if looked > most {
            return Verdict::Unknown;
        }
        let pause = run.model.run();
        let mut differs = None;
        for event in &run.model.trace()[run.compared..] {
            let event = match level {
                Level::Told => Some(*event),
                Level::Seen => run.started.seen(event),
            };
            let Some(event) = event else { continue };
            if !observed
                .get(run.agreed)
                .is_some_and(|line| says(line, &event))
            {
                differs = Some(event);
                break;
            }
            run.agreed += 1;
        }
        let agreed = run.agreed;
        if let Some(event) = differs {
            if agreed > best {
                best = agreed;
                expected.clear();
            }
            if agreed == best {
                expected.insert(event.to_string());
            }
            continue;
        }
        match pause {
            Pause::Choice(count) => {
                if !known.insert((run.model.fingerprint(), run.agreed, run.started.clone())) {
                    continue;
                }
                run.compared = run.model.trace().len();
                for answer in (0..count).rev() {
                    let mut branch = run.clone();
                    branch.model.choose(answer);
                    open.push(branch);
                }
            }
            Pause::Ended if agreed == observed.len() => return Verdict::Accepted,
            Pause::Ended => {}
        }
    }
    Verdict::Rejected {
        agreed: best,
        expected,
    }
}

/// Whether a line of an observed trace is this event.
fn says(line: &str, event: &Event) -> bool {
    match event {
        Event::End(End::Trap(trap)) => line
            .strip_prefix("trap ")
            .is_some_and(|text| text.contains(&trap.to_string())),
        event => line == event.to_string(),
    }
}
