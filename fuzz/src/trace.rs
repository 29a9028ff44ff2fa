//! What an engine did, step by step, and where two engines differ.

use crate::value::Value;
use trampette_runtime::TrapCode;

/// How a step ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// With results.
    Returned(Vec<Value>),
    /// With a trap. Kinds that only one of the engines tells apart are one.
    Trapped(TrapCode),
    /// A host function failed on purpose.
    HostFailed,
    /// The stack, or another resource that engines limit differently, was exhausted: nothing after
    /// it can be compared.
    Exhausted,
    /// With an error that is no trap.
    Failed(String),
}

impl Outcome {
    /// The outcome of a trap.
    pub fn trap(code: TrapCode) -> Outcome {
        match code {
            TrapCode::StackOverflow | TrapCode::ExceptionLimit => Outcome::Exhausted,
            TrapCode::TableAccessOutOfBounds => Outcome::Trapped(TrapCode::TableOutOfBounds),
            TrapCode::NullException => Outcome::Trapped(TrapCode::NullReference),
            code => Outcome::Trapped(code),
        }
    }
}

/// A call of a host function.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HostCall {
    /// The function.
    pub number: usize,
    /// Its arguments.
    pub arguments: Vec<Value>,
}

/// Something that the harness made an engine do.
#[derive(Clone, Debug)]
pub struct Step {
    /// What, for the report.
    pub what: String,
    /// How it ended.
    pub outcome: Outcome,
    /// The calls of host functions before it ended.
    pub host_calls: Vec<HostCall>,
}

/// What an engine did.
#[derive(Clone, Default, Debug)]
pub struct Trace {
    /// In order.
    pub steps: Vec<Step>,
}

impl Trace {
    /// Adds a step; whether a next one makes sense.
    pub fn push(&mut self, what: impl Into<String>, outcome: Outcome, host_calls: Vec<HostCall>) {
        let what = what.into();
        self.steps.push(Step {
            what,
            outcome,
            host_calls,
        });
    }

    /// Whether the last step exhausted something.
    pub fn is_exhausted(&self) -> bool {
        let last = self.steps.last();
        last.is_some_and(|step| step.outcome == Outcome::Exhausted)
    }
}

/// What a comparison found.
pub enum Comparison {
    /// Both did the same.
    Same,
    /// One of them exhausted a resource; until then, both did the same.
    Discarded,
    /// They differ; how.
    Different(String),
}

/// Compares two traces of the same case.
pub fn compare(ours: &Trace, peer: &Trace) -> Comparison {
    for (a, b) in ours.steps.iter().zip(&peer.steps) {
        if a.outcome == Outcome::Exhausted || b.outcome == Outcome::Exhausted {
            return Comparison::Discarded;
        }
        let failed = |step: &Step| matches!(step.outcome, Outcome::Failed(_));
        let same = a.outcome == b.outcome || failed(a) && failed(b);
        if a.what != b.what || !same || a.host_calls != b.host_calls {
            return Comparison::Different(difference(a, b));
        }
    }
    if ours.steps.len() != peer.steps.len() {
        return Comparison::Different("one engine did more steps".to_string());
    }
    Comparison::Same
}

fn difference(a: &Step, b: &Step) -> String {
    let mut text = format!(
        "{}\n  ours: {:?}\n  peer: {:?}",
        a.what, a.outcome, b.outcome
    );
    let calls = a.host_calls.iter().zip(&b.host_calls);
    let equal = calls.take_while(|(a, b)| a == b).count();
    if equal < a.host_calls.len().max(b.host_calls.len()) {
        text += &format!(
            "\n  host call {equal}: ours {:?}, peer {:?}",
            a.host_calls.get(equal),
            b.host_calls.get(equal)
        );
    }
    text
}
