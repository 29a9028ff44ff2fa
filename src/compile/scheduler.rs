//! Inlining from the bottom up, and compiling on the way.
//!
//! A function is a task that can run when everything that it calls is finished (but for calls
//! within its strongly connected component). It is translated, takes in what it calls, and is
//! compiled, unless its own callers may take it in: then its body is kept until they all have been
//! processed, and it is compiled only if one of them still calls it.

use super::machine::compile_body;
use super::produce::build_clif;
use super::{Driver, guarded};
use crate::inline::Body;
use crate::inline::apply::{self, Inlinable};
use crate::inline::graph::{CallGraph, Node, NodeId};
use crate::inline::heuristics::{Callers, Tunables};
use crate::program::lock::lock;
use crate::{passes, trampolines};
use anyhow::Result;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use trampette_artifact::key::{Abi, FuncKey};

/// Compiles what a call graph holds and is needed; returns how many calls were inlined.
pub(super) fn inline_and_compile(
    driver: &Driver<'_, '_>,
    tunables: &Tunables,
    graph: &CallGraph,
) -> usize {
    let states = graph.nodes.iter().enumerate();
    let states: Vec<State> = states
        .map(|(id, node)| State::new(graph, id, node))
        .collect();
    let scheduler = Scheduler {
        driver,
        tunables,
        has_tags: !driver.session.program.tags.is_empty(),
        graph,
        states: &states,
        inlined: AtomicUsize::new(0),
    };
    let ready = |id: &NodeId| states[*id].waits_for.load(Ordering::Relaxed) == 0;
    // Found before the first task runs: tasks count down too.
    let first: Vec<NodeId> = (0..states.len()).filter(ready).collect();
    driver.session.progress.expect(states.len());
    rayon::scope(|scope| {
        for id in first {
            scheduler.spawn(id, scope);
        }
    });
    scheduler.inlined.into_inner()
}

/// What changes about a node.
struct State {
    /// How many callees of other components are not finished.
    waits_for: AtomicUsize,
    /// How many callers have not been processed.
    users: AtomicUsize,
    /// Whether a call of it is left somewhere.
    is_called: AtomicBool,
    /// Its body, while callers may take it in.
    inlinable: Mutex<Option<Arc<Inlinable>>>,
}

impl State {
    fn new(graph: &CallGraph, id: NodeId, node: &Node) -> State {
        let outside = node
            .callees
            .iter()
            .filter(|callee| is_below(graph, **callee, node));
        let users = node.callers.iter().filter(|caller| **caller != id);
        State {
            waits_for: AtomicUsize::new(outside.count()),
            users: AtomicUsize::new(users.count()),
            is_called: AtomicBool::new(node.is_root),
            inlinable: Mutex::default(),
        }
    }
}

/// Whether a callee is in another strongly connected component than its caller, so finished before
/// it.
fn is_below(graph: &CallGraph, callee: NodeId, caller: &Node) -> bool {
    graph.nodes[callee].component != caller.component
}

struct Scheduler<'d, 's, 'a> {
    driver: &'d Driver<'s, 'a>,
    tunables: &'d Tunables,
    /// Whether exceptions may be thrown, which must not cross a canonical boundary.
    has_tags: bool,
    graph: &'d CallGraph,
    states: &'d [State],
    inlined: AtomicUsize,
}

impl Scheduler<'_, '_, '_> {
    fn spawn<'scope>(&'scope self, id: NodeId, scope: &rayon::Scope<'scope>) {
        scope.spawn(move |scope| self.run(id, scope));
    }

    fn run<'scope>(&'scope self, id: NodeId, scope: &rayon::Scope<'scope>) {
        let node = &self.graph.nodes[id];
        let session = self.driver.session;
        let to_compile = match guarded(session, node.key, || self.body(node)) {
            Ok(body) => self.keep(id, body),
            Err(error) => {
                self.driver.record(node.key, Err(error));
                None
            }
        };
        // Callers need not wait until this one is compiled: it will not be taken in any more.
        for caller in &node.callers {
            if is_below(self.graph, id, &self.graph.nodes[*caller])
                && count_down(&self.states[*caller].waits_for)
            {
                self.spawn(*caller, scope);
            }
        }
        for callee in node.callees.iter().filter(|callee| **callee != id) {
            if count_down(&self.states[*callee].users) {
                self.settle(*callee);
            }
        }
        if let Some(body) = to_compile {
            self.compile(node.key, body);
        }
        session.progress.step();
    }

    /// The CLIF of a node with the calls inlined that are worth it.
    fn body(&self, node: &Node) -> Result<Body> {
        let built = lock(&node.built).take();
        let mut body = Body::new(match built {
            Some(func) => func,
            None => build_clif(self.driver.session, node.key)?,
        });
        let mut candidates: Vec<(FuncKey, Arc<Inlinable>)> = Vec::new();
        if !trampolines::is_entry(node.key) {
            let callees = node.callees.iter().filter(|callee| {
                is_below(self.graph, **callee, node)
                    && self.may_join(node.key, self.graph.nodes[**callee].key)
            });
            for callee in callees {
                let state = &self.states[*callee];
                let inlinable = lock(&state.inlinable);
                candidates.extend(inlinable.iter().map(|body| (body.key, body.clone())));
            }
        }
        if candidates.is_empty() {
            self.note_calls(
                node.callees
                    .iter()
                    .map(|callee| self.graph.nodes[*callee].key),
            );
            return Ok(body);
        }
        let find = |key: FuncKey| {
            let at = candidates
                .binary_search_by_key(&key, |(key, _)| *key)
                .ok()?;
            Some(&candidates[at].1)
        };
        let outcome = apply::inline_calls(node.key, &mut body, self.tunables, find)?;
        self.inlined.fetch_add(outcome.inlined, Ordering::Relaxed);
        if outcome.inlined > 0 && body.is_mixed {
            passes::before::improve(&mut body.func, &*self.driver.session.isa)?;
        }
        self.note_calls(outcome.kept.into_iter());
        Ok(body)
    }

    /// Whether one function's body may become part of the other's.
    fn may_join(&self, caller: FuncKey, callee: FuncKey) -> bool {
        let is_core = |key| matches!(key, FuncKey::ModuleFunction(..));
        let is_intrinsic = matches!(callee, FuncKey::UnsafeIntrinsic(Abi::Wasm, _));
        !self.has_tags || is_intrinsic || is_core(caller) && is_core(callee)
    }

    fn note_calls(&self, keys: impl Iterator<Item = FuncKey>) {
        for id in keys.filter_map(|key| self.graph.find(key)) {
            self.states[id].is_called.store(true, Ordering::Release);
        }
    }

    /// Keeps a body for its callers; gives it back if none could take it in.
    fn keep(&self, id: NodeId, mut body: Body) -> Option<Body> {
        let node = &self.graph.nodes[id];
        let state = &self.states[id];
        if can_be_inlined(node.key) && state.users.load(Ordering::Acquire) > 0 {
            let mut callers = node.callers.iter().map(|caller| &self.graph.nodes[*caller]);
            let callers = Callers {
                only: node.call_sites == 1 && !node.is_root,
                within_module: callers.all(|caller| apply::are_of_one_module(caller.key, node.key)),
            };
            match Inlinable::new(node.key, body, callers, self.tunables) {
                Ok(inlinable) => {
                    let mut slot = lock(&state.inlinable);
                    *slot = Some(Arc::new(inlinable));
                    drop(slot);
                    // The last caller, of the same component, may have looked before the body was
                    // there.
                    if state.users.load(Ordering::Acquire) == 0 {
                        self.settle(id);
                    }
                    return None;
                }
                Err(too_large) => body = *too_large,
            }
        }
        Some(body)
    }

    /// All callers have been processed: compiles a kept body if one is left that calls it.
    fn settle(&self, id: NodeId) {
        let state = &self.states[id];
        let kept = lock(&state.inlinable).take();
        if let Some(inlinable) = kept
            && state.is_called.load(Ordering::Acquire)
        {
            let inlinable = Arc::unwrap_or_clone(inlinable);
            self.compile(inlinable.key, inlinable.body);
        }
    }

    fn compile(&self, key: FuncKey, body: Body) {
        let Driver {
            session, listing, ..
        } = *self.driver;
        let compiled = guarded(session, key, || compile_body(session, key, body, listing));
        self.driver.record(key, compiled);
    }
}

/// Whether a key's function may take the place of a call: what wasm-call code calls directly.
fn can_be_inlined(key: FuncKey) -> bool {
    matches!(
        key,
        FuncKey::ModuleFunction(..)
            | FuncKey::ComponentTrampoline(Abi::Wasm, _)
            | FuncKey::UnsafeIntrinsic(Abi::Wasm, _)
    )
}

/// Takes one off; whether nothing is left.
fn count_down(counter: &AtomicUsize) -> bool {
    counter.fetch_sub(1, Ordering::AcqRel) == 1
}
