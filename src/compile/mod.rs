//! The compile driver: from keys to machine code, in parallel.
//!
//! With inlining, the call graph of what the host can reach ([`roots`]) is taken from the bottom up
//! (`Inlining`); a function whose calls have all been replaced is not compiled. Then, and without
//! inlining from the start, what the relocations of compiled code name is compiled, again and again
//! until nothing is new: what nothing names is never part of the result. The order in which threads
//! get there does not matter: decisions depend on the graph alone, and results are sorted by key.
//!
//! | file | subject |
//! | --- | --- |
//! | `roots` | where compiling starts |
//! | `scheduler` | inlining from the bottom up, and compiling on the way |
//! | `produce` | from a key to CLIF |
//! | `machine` | from CLIF to machine code |
//! | `annotate` | both as lines, with where they come from |

#[cfg(feature = "cli")]
mod annotate;
mod machine;
mod produce;
pub(crate) mod roots;
mod scheduler;

use crate::codegen::Session;
use crate::inline::Body;
use crate::inline::graph::CallGraph;
use crate::inline::heuristics::Tunables;
use crate::layout::Layout;
use crate::program::CoreFunc;
use crate::program::compiled::{CompiledFunction, CompiledFunctions};
use crate::program::lock::{into_inner, lock};
use crate::program::symbols::symbol;
use anyhow::{Context as _, Result, bail};
use machine::{compile_body, forget_working_memory};
use produce::build_clif;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Mutex;
use trampette_artifact::ids::TableId;
use trampette_artifact::key::{DataKey, FuncKey, SymbolKey};

/// What was compiled, and what inlining did on the way.
#[derive(Default)]
pub(crate) struct Compiled {
    /// Everything that the host can reach.
    pub functions: CompiledFunctions,
    /// Calls that were replaced by the callee's body.
    pub inlined_calls: usize,
    /// Functions of which no call is left.
    pub inlined_away: BTreeSet<FuncKey>,
    /// Core functions among them.
    pub inlined_away_core: usize,
}

/// Compiles everything reachable from `roots`; `inlining` says how calls are inlined, if any is.
///
/// # Errors
/// If a function is invalid or uses what is not supported; the error names its symbol. Of several
/// failures the first by key is reported, whatever thread met it.
pub(crate) fn compile_reachable(
    session: &Session<'_>,
    roots: &[FuncKey],
    inlining: Option<&Tunables>,
    listing: Listing,
) -> Result<Compiled> {
    let (done, failed) = compile_what_can_be(session, roots, inlining, listing);
    match failed.into_iter().next() {
        Some((_, error)) => Err(error),
        None => Ok(done),
    }
}

/// Compiles everything reachable from `roots`, and goes on after failures, which are returned by
/// key.
pub(crate) fn compile_what_can_be(
    session: &Session<'_>,
    roots: &[FuncKey],
    inlining: Option<&Tunables>,
    listing: Listing,
) -> (Compiled, BTreeMap<FuncKey, anyhow::Error>) {
    crate::trampolines::find_shared_transfers(session);
    let state = Driver {
        session,
        listing,
        seen: Mutex::default(),
        tables: Mutex::default(),
        done: Mutex::default(),
        failed: Mutex::default(),
    };
    let mut compiled = Compiled::default();
    let mut graph = None;
    if let Some(tunables) = inlining {
        let call_graph = graph.insert(CallGraph::new(session, roots, |key| {
            build_clif(session, key)
        }));
        compiled.inlined_calls = scheduler::inline_and_compile(&state, tunables, call_graph);
    }
    rayon::scope(|scope| state.visit(roots.iter().copied(), scope));
    let failed = into_inner(state.failed);
    compiled.functions = into_inner(state.done);
    // Inlining may leave compiled functions that only inlined copies of their callers would have
    // called.
    if let Some(graph) = graph {
        let reached = reached(session.layout, &compiled.functions, roots.iter().copied());
        compiled.functions.retain(|key, _| reached.contains(key));
        let gone = graph.nodes.iter().map(|node| node.key);
        for key in gone.filter(|key| !reached.contains(key)) {
            compiled.inlined_away.insert(key);
            compiled.inlined_away_core += usize::from(matches!(key, FuncKey::ModuleFunction(..)));
        }
    }
    (compiled, failed)
}

/// What relocations reach from `roots`.
fn reached(
    layout: &Layout,
    functions: &CompiledFunctions,
    roots: impl IntoIterator<Item = FuncKey>,
) -> HashSet<FuncKey> {
    let mut reached: HashSet<FuncKey> = roots.into_iter().collect();
    let mut open: Vec<FuncKey> = reached.iter().copied().collect();
    let mut tables = BTreeSet::new();
    while let Some(key) = open.pop() {
        let callees = functions.get(&key).map(|f| callees(layout, f, &mut tables));
        let callees = callees.into_iter().flatten();
        open.extend(callees.filter(|callee| reached.insert(*callee)));
    }
    reached
}

/// What a function's relocations lead to: the functions that they name, and those that can be
/// called through the sealed tables that they name, unless `tables` has those already.
fn callees(
    layout: &Layout,
    function: &CompiledFunction,
    tables: &mut BTreeSet<TableId>,
) -> Vec<FuncKey> {
    let mut callees = Vec::new();
    for relocation in &function.relocations {
        match relocation.target {
            SymbolKey::Func(key) => callees.push(key),
            SymbolKey::Data(DataKey::SealedTable(table)) => {
                if tables.insert(table) {
                    callees.extend(layout.callees_through(table).map(CoreFunc::key));
                }
            }
            SymbolKey::Data(_) => {}
        }
    }
    callees
}

/// Which text of a function to keep beside its code.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum Listing {
    /// None.
    #[default]
    None,
    /// Its CLIF before optimisation.
    Clif,
    /// Its disassembled machine code.
    Assembly,
    /// Both, as lines with where in the component each comes from ([`CompiledFunction::lines`]).
    #[cfg(feature = "cli")]
    Annotated,
}

struct Driver<'s, 'a> {
    session: &'s Session<'a>,
    listing: Listing,
    /// What was compiled or is about to be.
    seen: Mutex<HashSet<FuncKey>>,
    /// The sealed tables whose functions were visited.
    tables: Mutex<BTreeSet<TableId>>,
    done: Mutex<CompiledFunctions>,
    failed: Mutex<BTreeMap<FuncKey, anyhow::Error>>,
}

impl<'s> Driver<'s, '_> {
    /// Compiles those of `keys` that are not compiled yet, each as a task, and what they all lead
    /// to. No thread takes what another has taken.
    fn visit<'scope>(
        &'scope self,
        keys: impl IntoIterator<Item = FuncKey>,
        scope: &rayon::Scope<'scope>,
    ) {
        let fresh: Vec<FuncKey> = {
            let mut seen = lock(&self.seen);
            keys.into_iter().filter(|key| seen.insert(*key)).collect()
        };
        for key in fresh {
            scope.spawn(move |scope| {
                if !lock(&self.done).contains_key(&key) {
                    let compiled = guarded(self.session, key, || {
                        let body = Body::new(build_clif(self.session, key)?);
                        compile_body(self.session, key, body, self.listing)
                    });
                    self.record(key, compiled);
                    self.session.progress.step();
                }
                let callees = lock(&self.done).get(&key).map(|function| {
                    let mut tables = lock(&self.tables);
                    callees(self.session.layout, function, &mut tables)
                });
                self.visit(callees.into_iter().flatten(), scope);
            });
        }
    }

    /// Notes what became of a function.
    fn record(&self, key: FuncKey, compiled: Result<CompiledFunction>) {
        match compiled {
            Ok(function) => {
                lock(&self.done).insert(key, function);
            }
            Err(error) => {
                lock(&self.failed).insert(key, error);
            }
        }
    }
}

/// Does a part of compiling `key`: errors name the function, and a panic of the compiler (a defect)
/// is one.
fn guarded<T>(session: &Session<'_>, key: FuncKey, work: impl FnOnce() -> Result<T>) -> Result<T> {
    match std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)) {
        Ok(result) => {
            result.with_context(|| format!("cannot compile `{}`", symbol(session.program, key)))
        }
        Err(_) => {
            forget_working_memory();
            bail!(
                "internal error: the compiler panicked on `{}`",
                symbol(session.program, key)
            )
        }
    }
}
