//! The call graph of everything that is reachable by calls from the roots.
//!
//! Edges of core functions come from the calls that parsing has noted for each body, not validated;
//! trampolines are built for it, and kept until they are compiled. Builtins are no nodes: nothing
//! is inlined from them.

use crate::codegen::Session;
use crate::layout::strong_components::strongly_connected;
use crate::program::CoreFunc;
use crate::program::module::Call;
use anyhow::Result;
use cranelift_codegen::ir;
use rayon::prelude::*;
use rustc_hash::FxHashMap;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use trampette_artifact::ids::{DefinedFunc, TableId, UnitId};
use trampette_artifact::key::{FuncKey, SymbolKey};

/// A node: a function, by its place in [`CallGraph::nodes`].
pub(crate) type NodeId = usize;

/// Who calls whom.
pub(crate) struct CallGraph {
    /// Functions in the order of their keys.
    pub nodes: Vec<Node>,
    index: FxHashMap<FuncKey, NodeId>,
}

/// A function of the graph.
pub(crate) struct Node {
    /// Which.
    pub key: FuncKey,
    /// What it calls, each once.
    pub callees: Vec<NodeId>,
    /// What calls it, each once.
    pub callers: Vec<NodeId>,
    /// How many calls name it.
    pub call_sites: u32,
    /// Whether it must be compiled on its own, whoever calls it: it is called from outside or is a
    /// value.
    pub is_root: bool,
    /// Its strongly connected component. Callees have smaller or equal numbers.
    pub component: u32,
    /// Its CLIF, if the graph needed it.
    pub built: Mutex<Option<ir::Function>>,
}

/// What one function leads to.
#[derive(Default)]
struct Edges {
    /// What it calls, with how many calls.
    calls: BTreeMap<FuncKey, u32>,
    /// Sealed tables that it calls through with an index that is not known.
    tables: BTreeSet<TableId>,
}

impl Edges {
    fn call(&mut self, callee: FuncKey) {
        *self.calls.entry(callee).or_insert(0) += 1;
    }
}

impl CallGraph {
    /// The graph of what `roots` reach. `produce` makes the CLIF of functions that only their CLIF
    /// tells about.
    pub(crate) fn new(
        session: &Session<'_>,
        roots: &[FuncKey],
        produce: impl Fn(FuncKey) -> Result<ir::Function> + Sync,
    ) -> CallGraph {
        let mut found: BTreeMap<FuncKey, (Edges, Option<ir::Function>)> = BTreeMap::new();
        let mut seen: FxHashMap<FuncKey, bool> = roots.iter().map(|key| (*key, true)).collect();
        let mut frontier: Vec<FuncKey> = roots.to_vec();
        frontier.sort_unstable();
        frontier.dedup();
        let mut tables = BTreeSet::new();
        while !frontier.is_empty() {
            let looked_at: Vec<_> = frontier
                .par_iter()
                .map(|key| (*key, look_at(session, *key, &produce)))
                .collect();
            frontier.clear();
            for (key, (edges, built)) in looked_at {
                let new_tables: Vec<TableId> = edges.tables.difference(&tables).copied().collect();
                let through = |table: &TableId| session.layout.callees_through(*table);
                let values: Vec<FuncKey> = new_tables
                    .iter()
                    .flat_map(through)
                    .map(CoreFunc::key)
                    .collect();
                tables.extend(new_tables);
                for value in values {
                    if seen.insert(value, true).is_none() {
                        frontier.push(value);
                    }
                }
                for callee in edges.calls.keys() {
                    if !seen.contains_key(callee) {
                        seen.insert(*callee, false);
                        frontier.push(*callee);
                    }
                }
                found.insert(key, (edges, built));
            }
        }
        let index: FxHashMap<_, _> = found
            .keys()
            .enumerate()
            .map(|(at, key)| (*key, at))
            .collect();
        let mut counts = vec![(0, Vec::new()); found.len()];
        let mut nodes: Vec<Node> = Vec::with_capacity(found.len());
        for (caller, (key, (edges, built))) in found.into_iter().enumerate() {
            let mut callees = Vec::with_capacity(edges.calls.len());
            for (callee, calls) in edges.calls {
                let callee = index[&callee];
                counts[callee].0 += calls;
                counts[callee].1.push(caller);
                callees.push(callee);
            }
            nodes.push(Node {
                key,
                callees,
                callers: Vec::new(),
                call_sites: 0,
                is_root: seen[&key],
                component: 0,
                built: Mutex::new(built),
            });
        }
        let components = strongly_connected(nodes.len(), |node| &nodes[node].callees);
        for (at, node) in nodes.iter_mut().enumerate() {
            (node.call_sites, node.callers) = std::mem::take(&mut counts[at]);
            node.component = components[at];
        }
        CallGraph { nodes, index }
    }

    /// The node of a function.
    pub(crate) fn find(&self, key: FuncKey) -> Option<NodeId> {
        self.index.get(&key).copied()
    }
}

/// What a function calls; its CLIF if it had to be built. A function that cannot be looked at has
/// no edges here: compiling it reports what is wrong.
fn look_at(
    session: &Session<'_>,
    key: FuncKey,
    produce: impl Fn(FuncKey) -> Result<ir::Function>,
) -> (Edges, Option<ir::Function>) {
    if let FuncKey::ModuleFunction(unit, function) = key {
        return (
            core_edges(session, unit, function).unwrap_or_default(),
            None,
        );
    }
    match produce(key) {
        Ok(func) => (clif_edges(&func), Some(func)),
        Err(_) => (Edges::default(), None),
    }
}

fn core_edges(session: &Session<'_>, unit: UnitId, function: DefinedFunc) -> Option<Edges> {
    let binding = session.layout.units.get(unit)?;
    let module = &session.program.modules[binding.module];
    let body = module.bodies.get(function)?;
    let mut edges = Edges::default();
    for call in body.calls.as_deref()? {
        match *call {
            Call::Direct { function } => {
                let callee: CoreFunc = *binding.functions.get(function as usize)?;
                edges.call(callee.key());
            }
            Call::Indirect { table, entry, .. } => {
                let table = *binding.tables.get(table as usize)?;
                match (entry, session.layout.settled_table(table)) {
                    // Translated as a direct call.
                    (Some(entry), Some(settled)) => {
                        let id = settled.entries.get(entry as usize);
                        let callee = id.and_then(|id| session.layout.function((*id)?));
                        if let Some(callee) = callee {
                            edges.call(callee.key());
                        }
                    }
                    _ => {
                        if session.layout.sealed_table(table).is_some() {
                            edges.tables.insert(table);
                        }
                    }
                }
            }
            Call::Reference => {}
        }
    }
    Some(edges)
}

/// The function that a reference in CLIF names, unless it is a builtin's.
pub(super) fn callee_key(func: &ir::Function, callee: ir::FuncRef) -> Option<FuncKey> {
    let ir::ExternalName::User(name) = func.dfg.ext_funcs.get(callee)?.name else {
        return None;
    };
    let name = &func.params.user_named_funcs()[name];
    match SymbolKey::decode(name.namespace, name.index)? {
        SymbolKey::Func(FuncKey::Builtin(_)) | SymbolKey::Data(_) => None,
        SymbolKey::Func(key) => Some(key),
    }
}

fn clif_edges(func: &ir::Function) -> Edges {
    let mut edges = Edges::default();
    for block in func.layout.blocks() {
        for inst in func.layout.block_insts(block) {
            let callee = match func.dfg.insts[inst] {
                ir::InstructionData::Call { func_ref, .. }
                | ir::InstructionData::TryCall { func_ref, .. } => callee_key(func, func_ref),
                _ => None,
            };
            if let Some(callee) = callee {
                edges.call(callee);
            }
        }
    }
    edges
}
