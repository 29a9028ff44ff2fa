//! Which exports may wait, and why: what `trampette inspect --waits` says of a component. Code is
//! generated from the effects alone ([`super::effects`]); this looks at the same graph for the
//! shortest way from an export to what waits.

use super::Layout;
use super::effects::{Effects, Graph, Node};
use crate::program::{CoreFunc, LiftedFunction, Program, TrampolineKind, Waiting};
use std::collections::{HashSet, VecDeque};

/// Why the task of an export may wait. A task for which none of this holds has its result when the
/// call returns, whoever calls.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Waits {
    /// The shortest way from its core function, or its callback, to one that waits.
    pub chain: Option<Vec<Step>>,
    /// It has a callback, and so can return and be called back.
    pub is_called_back: bool,
    /// Threads of its instance name each other, so that any of them can be suspended.
    pub is_switched: bool,
    /// Its instance can refuse it for a while: another task holds the lock, or it has asked for
    /// backpressure.
    pub is_gated: bool,
}

/// One step of a way to what waits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Step {
    /// The code of a function.
    Function(CoreFunc),
    /// A call through a table or a reference, of which only the type is known.
    Indirect,
}

impl Waits {
    /// Why each of the program's exported functions may wait, in their order; whatever
    /// `CompileOptions::blocking` says.
    pub(crate) fn of_exports(program: &Program<'_>, layout: &Layout) -> Vec<Waits> {
        if !program.is_concurrent() {
            return vec![Waits::default(); program.lifts.len()];
        }
        let (effects, graph) = Effects::settled(program, layout);
        let ways = Ways::of(&graph);
        let of_lift = |lift: &LiftedFunction| {
            let is_async = lift.ty.is_async;
            Waits {
                chain: ways.of_lift(program, lift),
                is_called_back: matches!(lift.options.waiting, Waiting::Callback(_)),
                is_switched: is_async && effects.switches(lift.options.instance),
                is_gated: is_async && effects.is_gated(lift.options.instance),
            }
        };
        program.lifts.iter().map(of_lift).collect()
    }
}

/// For each node the next one on the shortest way to a node that waits.
struct Ways<'g> {
    graph: &'g Graph,
    next: Vec<Option<usize>>,
}

impl<'g> Ways<'g> {
    /// Goes from all that waits to its callers, and so on, nearest first.
    fn of(graph: &'g Graph) -> Ways<'g> {
        let mut next = vec![None; graph.nodes.len()];
        let mut open = VecDeque::new();
        for waiter in &graph.waiters {
            next[*waiter] = Some(*waiter);
            open.push_back(*waiter);
        }
        while let Some(node) = open.pop_front() {
            for caller in &graph.callers[node] {
                if next[*caller].is_none() {
                    next[*caller] = Some(node);
                    open.push_back(*caller);
                }
            }
        }
        Ways { graph, next }
    }

    /// The way from a function or its callback. What it ends with may call into another instance
    /// and wait for that: then it goes on there.
    fn of_lift(&self, program: &Program<'_>, lift: &LiftedFunction) -> Option<Vec<Step>> {
        let mut steps = Vec::new();
        let mut passed = HashSet::new();
        let mut lift = Some(lift);
        while let Some(way) = lift.and_then(|lift| self.shortest(lift)) {
            let is_new = way.iter().all(|node| passed.insert(*node));
            if !is_new {
                break;
            }
            let nodes = way.iter().map(|index| self.graph.nodes[*index]);
            steps.extend(nodes.map(|node| match node {
                Node::Function(function) => Step::Function(function),
                Node::Entries(..) | Node::Values(_) => Step::Indirect,
            }));
            lift = match steps.last() {
                Some(Step::Function(CoreFunc::Trampoline(id))) => {
                    match program.trampolines.get(*id).map(|it| &it.kind) {
                        Some(TrampolineKind::Adapter { lift, .. }) => Some(lift),
                        _ => None,
                    }
                }
                _ => None,
            };
        }
        (!steps.is_empty()).then_some(steps)
    }

    fn shortest(&self, lift: &LiftedFunction) -> Option<Vec<usize>> {
        let callback = match lift.options.waiting {
            Waiting::Callback(callback) => Some(callback),
            Waiting::Blocks | Waiting::Async => None,
        };
        let starts = [Some(lift.func), callback].into_iter().flatten();
        starts
            .filter_map(|function| self.of_function(function))
            .min_by_key(Vec::len)
    }

    fn of_function(&self, function: CoreFunc) -> Option<Vec<usize>> {
        let start = Node::Function(function);
        let mut at = self.graph.nodes.get_index_of(&start)?;
        let mut way = vec![at];
        loop {
            let next = self.next[at]?;
            if next == at {
                return Some(way);
            }
            way.push(next);
            at = next;
        }
    }
}
