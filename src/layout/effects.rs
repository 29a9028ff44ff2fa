//! What calls of core functions can do to the task that runs them: block, name it, use its context
//! slots. Where a call can do nothing of it, no code provides for it.
//!
//! One graph of all functions that canonical definitions name, and of what they call: directly,
//! through a settled table any of its entries of that type, through another one any function value
//! of that type. Effects go from callees to callers, but through no synchronously typed call:
//! such a callee is a thread of its own, which waits behind a barrier of its own.
//!
//! Whether a call of a function of an `async` type blocks its caller depends on the callee, and on
//! whether anything can keep it from entering its instance, and that again on what blocks: all of
//! it begins as "no", and what is found to be a "yes" is followed until nothing changes.
//!
//! Programs without an asynchronous part are not looked at.

use super::callees::{Callee, callees, entries};
use super::{Layout, Reentrance};
use crate::options::Blocking;
use crate::program::{
    ConcurrentBuiltIn as BuiltIn, CoreFunc, LiftedFunction, Program, TrampolineKind, Waiting,
};
use indexmap::IndexSet;
use std::collections::{HashMap, HashSet};
use std::ops::{BitOr, BitOrAssign};
use trampette_artifact::ids::{ComponentInstanceId, IdVec, SignatureId, TableId, TrampolineId};
use trampette_artifact::tasks::{CallShape, EndOperation, ThreadOperation};
use trampette_artifact::types::TypeTable;

/// What a call can do.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Effect(u8);

impl Effect {
    /// Nothing.
    pub(crate) const NONE: Effect = Effect(0);
    /// It can wait.
    pub(crate) const BLOCKS: Effect = Effect(1);
    /// It asks which task or thread it runs in.
    pub(crate) const NAMES_TASK: Effect = Effect(2);
    /// It reads or writes context slots.
    pub(crate) const USES_SLOTS: Effect = Effect(4);
    /// Whatever there is.
    pub(crate) const ALL: Effect = Effect(7);

    /// Whether it can do any of these.
    pub(crate) fn has(self, any: Effect) -> bool {
        self.0 & any.0 != 0
    }
}

impl BitOr for Effect {
    type Output = Effect;

    fn bitor(self, other: Effect) -> Effect {
        Effect(self.0 | other.0)
    }
}

impl BitOrAssign for Effect {
    fn bitor_assign(&mut self, other: Effect) {
        *self = *self | other;
    }
}

/// The effects of a program's functions. What is not known has all of them.
#[derive(Debug, Default)]
pub(crate) struct Effects {
    functions: HashMap<CoreFunc, Effect>,
    /// For each component instance, whether something can keep tasks from entering it.
    gated: IdVec<ComponentInstanceId, bool>,
    /// Component instances whose threads name each other.
    switches: HashSet<ComponentInstanceId>,
    /// Where synchronously typed calls that wait have stacks of their own.
    stacked: HashSet<ComponentInstanceId>,
}

impl Effects {
    /// Finds them for a program whose other facts are known.
    pub(crate) fn of(program: &Program<'_>, layout: &Layout) -> Effects {
        let mut effects = Effects::unsettled(program, layout);
        if !program.is_concurrent() || program.blocking == Blocking::Assumed {
            return effects;
        }
        let graph = effects.settle(program, layout);
        let functions = graph.nodes.iter().zip(&graph.effects);
        effects.functions = functions
            .filter_map(|(node, effect)| match node {
                Node::Function(function) => Some((*function, *effect)),
                _ => None,
            })
            .collect();
        effects
    }

    /// What is known without a look at bodies.
    fn unsettled(program: &Program<'_>, layout: &Layout) -> Effects {
        Effects {
            switches: switching(program),
            stacked: stacked(program, &layout.reentrance),
            ..Effects::default()
        }
    }

    /// The facts about instances, with the graph that they are found in.
    #[cfg(feature = "cli")]
    pub(super) fn settled(program: &Program<'_>, layout: &Layout) -> (Effects, Graph) {
        let mut effects = Effects::unsettled(program, layout);
        let graph = effects.settle(program, layout);
        (effects, graph)
    }

    /// Finds what calls which, what that can do, and which instances have gates.
    fn settle(&mut self, program: &Program<'_>, layout: &Layout) -> Graph {
        let mut graph = Graph::of(program, layout);
        loop {
            self.gated = self.find_gates(program, &layout.reentrance, &graph);
            if !graph.follow_calls_that_wait(program, self) {
                return graph;
            }
        }
    }

    /// What calling a function can do.
    pub(crate) fn of_function(&self, function: CoreFunc) -> Effect {
        let effect = self.functions.get(&function);
        effect.copied().unwrap_or(Effect::ALL)
    }

    /// What a synchronously typed call of functions of an instance can do.
    pub(crate) fn of_call(&self, instance: ComponentInstanceId, callees: &[CoreFunc]) -> Effect {
        if self.switches(instance) {
            return Effect::ALL;
        }
        let effects = callees.iter().map(|function| self.of_function(*function));
        effects.fold(Effect::NONE, Effect::bitor)
    }

    /// Whether the threads of an instance name each other.
    pub(crate) fn switches(&self, instance: ComponentInstanceId) -> bool {
        self.switches.contains(&instance)
    }

    /// Whether something can keep tasks from entering an instance.
    pub(super) fn is_gated(&self, instance: ComponentInstanceId) -> bool {
        self.gated.get(instance).copied().unwrap_or(true)
    }

    /// What calling a lifted function can do, or one of its callbacks.
    fn of_lift(&self, lift: &LiftedFunction, of: impl Fn(CoreFunc) -> Effect) -> Effect {
        if self.switches(lift.options.instance) {
            // A thread that waits may be continued anywhere.
            return Effect::ALL;
        }
        let callback = match lift.options.waiting {
            Waiting::Callback(callback) => of(callback),
            Waiting::Blocks | Waiting::Async => Effect::NONE,
        };
        of(lift.func) | callback
    }

    /// How a lifted function is called.
    pub(crate) fn shape(&self, types: &TypeTable, lift: &LiftedFunction) -> CallShape {
        if !lift.ty.is_async {
            let is_stacked = self.stacked.contains(&lift.options.instance)
                && self.of_function(lift.func).has(Effect::BLOCKS);
            return match is_stacked {
                true => CallShape::OnStack,
                false => CallShape::Plain,
            };
        }
        self.shape_with(types, lift, |function| self.of_function(function))
    }

    fn shape_with(
        &self,
        types: &TypeTable,
        lift: &LiftedFunction,
        of: impl Fn(CoreFunc) -> Effect,
    ) -> CallShape {
        let effect = self.of_lift(lift, of);
        let is_gated = self.is_gated(lift.options.instance);
        // What is lent or given for the length of the call is counted in a task's record.
        let mut params = lift.ty.params.iter();
        let lends = params.any(|param| types.facts(param.ty).contents.borrowed);
        let needs_task = is_gated || lends || effect.has(Effect::NAMES_TASK);
        match lift.options.waiting {
            _ if effect.has(Effect::BLOCKS) => CallShape::OnStack,
            Waiting::Blocks if !needs_task => CallShape::Plain,
            _ => CallShape::InPlace,
        }
    }

    /// For each component instance, whether something can keep tasks from entering it, as far as is
    /// known: backpressure, or the lock, if whoever has it can wait or be called back.
    fn find_gates(
        &self,
        program: &Program<'_>,
        reentrance: &Reentrance,
        graph: &Graph,
    ) -> IdVec<ComponentInstanceId, bool> {
        let mut gated: IdVec<_, _> = vec![false; program.component_instances.len()].into();
        for trampoline in &program.trampolines {
            if let TrampolineKind::Concurrent {
                built_in: BuiltIn::BackpressureInc,
                options,
            } = &trampoline.kind
            {
                gated[options.instance] = true;
            }
        }
        for lift in lifts(program).filter(|lift| lift.ty.is_async) {
            let instance = lift.options.instance;
            let blocks = self.of_lift(lift, |function| graph.effect(function));
            let locks = lift.options.waiting != Waiting::Async;
            let is_shared = blocks.has(Effect::BLOCKS) || reentrance.is_called_back(instance);
            gated[instance] |= locks && is_shared;
        }
        gated
    }
}

/// All lifted functions: those that the host calls, and those that adapters do.
fn lifts<'p>(program: &'p Program<'_>) -> impl Iterator<Item = &'p LiftedFunction> {
    let adapters = program.trampolines.iter();
    let adapted = adapters.filter_map(|trampoline| match &trampoline.kind {
        TrampolineKind::Adapter { lift, .. } => Some(lift),
        _ => None,
    });
    program.lifts.iter().chain(adapted)
}

/// Component instances in which a synchronously typed call that waits may have to go on while
/// another one waits above it: where calls come back, or threads name each other. Their callers
/// hand such calls to the runtime, which gives them stacks of their own. Elsewhere nothing that
/// could run above can wait there, so they stay on their callers' stacks.
pub(crate) fn stacked(
    program: &Program<'_>,
    reentrance: &Reentrance,
) -> HashSet<ComponentInstanceId> {
    if !program.is_concurrent() {
        return HashSet::new();
    }
    let mut stacked = switching(program);
    let instances = program.component_instances.ids();
    stacked.extend(instances.filter(|id| reentrance.is_entered_again(*id)));
    stacked
}

/// Component instances whose threads name each other.
fn switching(program: &Program<'_>) -> HashSet<ComponentInstanceId> {
    let naming = program.trampolines.iter().filter_map(|trampoline| {
        let TrampolineKind::Concurrent { built_in, options } = &trampoline.kind else {
            return None;
        };
        let names = matches!(
            built_in,
            BuiltIn::ThreadIndex | BuiltIn::ThreadNew { .. } | BuiltIn::ThreadOperate(_)
        );
        names.then_some(options.instance)
    });
    naming.collect()
}

/// Functions, and what can be called where it is not known which.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Node {
    Function(CoreFunc),
    /// Any entry of a settled table that has this type.
    Entries(TableId, SignatureId),
    /// Any function value of this type.
    Values(SignatureId),
}

/// Who calls whom.
pub(super) struct Graph {
    pub(super) nodes: IndexSet<Node>,
    pub(super) callers: Vec<Vec<usize>>,
    effects: Vec<Effect>,
    /// Nodes that can wait by themselves, not only because of what they call.
    pub(super) waiters: Vec<usize>,
    /// Lowered functions of `async` types that their callers wait for.
    waiting: Vec<(usize, TrampolineId)>,
}

impl Graph {
    fn of(program: &Program<'_>, layout: &Layout) -> Graph {
        let mut graph = Graph {
            nodes: IndexSet::new(),
            callers: Vec::new(),
            effects: Vec::new(),
            waiters: Vec::new(),
            waiting: Vec::new(),
        };
        for root in roots(program, layout) {
            graph.node(Node::Function(root));
        }
        let mut values: HashMap<SignatureId, Vec<CoreFunc>> = HashMap::new();
        for function in layout.escaping_functions() {
            let id = layout.function_id(function);
            if let Some(signature) = id.and_then(|id| layout.signature_of(id)) {
                values.entry(signature).or_default().push(function);
            }
        }
        let mut next = 0;
        while let Some(node) = graph.nodes.get_index(next).copied() {
            match node {
                Node::Function(function) => graph.add_function(program, layout, next, function),
                Node::Entries(table, signature) => {
                    for function in entries(layout, table, signature).into_iter().flatten() {
                        graph.call(next, Node::Function(function));
                    }
                }
                Node::Values(signature) => {
                    for function in values.get(&signature).into_iter().flatten() {
                        graph.call(next, Node::Function(*function));
                    }
                }
            }
            next += 1;
        }
        let found: Vec<usize> = (0..next)
            .filter(|at| graph.effects[*at] != Effect::NONE)
            .collect();
        let waits = |at: &usize| graph.effects[*at].has(Effect::BLOCKS);
        graph.waiters = found.iter().copied().filter(waits).collect();
        graph.spread(found);
        graph
    }

    fn node(&mut self, node: Node) -> usize {
        let (index, is_new) = self.nodes.insert_full(node);
        if is_new {
            self.callers.push(Vec::new());
            self.effects.push(Effect::NONE);
        }
        index
    }

    fn call(&mut self, caller: usize, callee: Node) {
        let callee = self.node(callee);
        self.callers[callee].push(caller);
    }

    fn effect(&self, function: CoreFunc) -> Effect {
        let index = self.nodes.get_index_of(&Node::Function(function));
        index.map_or(Effect::ALL, |index| self.effects[index])
    }

    fn add_function(
        &mut self,
        program: &Program<'_>,
        layout: &Layout,
        index: usize,
        function: CoreFunc,
    ) {
        match function {
            CoreFunc::Module(..) => match callees(program, layout, function) {
                None => self.effects[index] = Effect::ALL,
                Some(callees) => {
                    for callee in callees {
                        let callee = match callee {
                            Callee::Function(function) => Node::Function(function),
                            Callee::Through(table, signature) => {
                                match layout.settled_table(table) {
                                    Some(_) => Node::Entries(table, signature),
                                    None => Node::Values(signature),
                                }
                            }
                        };
                        self.call(index, callee);
                    }
                }
            },
            CoreFunc::Trampoline(id) => {
                let Some(trampoline) = program.trampolines.get(id) else {
                    self.effects[index] = Effect::ALL;
                    return;
                };
                self.effects[index] = own_effect(program, &trampoline.kind);
                if let TrampolineKind::Adapter { ty, options, .. } = &trampoline.kind
                    && ty.is_async
                    && !options.waiting.is_async()
                {
                    self.waiting.push((index, id));
                }
            }
            CoreFunc::Intrinsic(_) => {}
            CoreFunc::Host(_) => self.effects[index] = Effect::ALL,
        }
    }

    /// Gives the effects of these nodes to their callers, and so on.
    fn spread(&mut self, mut open: Vec<usize>) {
        while let Some(node) = open.pop() {
            let effect = self.effects[node];
            for caller in &self.callers[node] {
                let before = self.effects[*caller];
                self.effects[*caller] |= effect;
                if self.effects[*caller] != before {
                    open.push(*caller);
                }
            }
        }
    }

    /// Finds calls of `async` types that can wait, with what is known; whether there are more than
    /// before.
    fn follow_calls_that_wait(&mut self, program: &Program<'_>, effects: &Effects) -> bool {
        let found = self.waiting.iter().filter(|(node, id)| {
            let TrampolineKind::Adapter { lift, .. } = &program.trampolines[*id].kind else {
                return false;
            };
            let gated = effects.gated[lift.options.instance];
            let shape = effects.shape_with(&program.types, lift, |function| self.effect(function));
            let has_callback = matches!(lift.options.waiting, Waiting::Callback(_));
            let waits = gated || has_callback || shape == CallShape::OnStack;
            waits && !self.effects[*node].has(Effect::BLOCKS)
        });
        let found: Vec<usize> = found.map(|(node, _)| *node).collect();
        for node in &found {
            self.effects[*node] |= Effect::BLOCKS;
        }
        let is_more = !found.is_empty();
        self.waiters.extend(&found);
        self.spread(found);
        is_more
    }
}

/// What calls begin with: lifted functions, their callbacks, what the Canonical ABI calls besides,
/// start functions and destructors.
fn roots(program: &Program<'_>, layout: &Layout) -> Vec<CoreFunc> {
    let mut roots = Vec::new();
    for lift in lifts(program) {
        roots.push(lift.func);
        if let Waiting::Callback(callback) = lift.options.waiting {
            roots.push(callback);
        }
    }
    for options in program.canonical_options() {
        roots.extend(options.realloc);
        roots.extend(options.post_return);
    }
    roots.extend(program.resources.iter().filter_map(|it| it.destructor));
    roots.extend(
        layout
            .startup
            .iter()
            .flatten()
            .filter_map(|action| match action {
                super::StartupAction::Call(function) => Some(*function),
                _ => None,
            }),
    );
    roots
}

/// What a trampoline does by itself. (A call of an `async` type that its caller waits for may wait
/// too: see [`Graph::follow_calls_that_wait`].)
fn own_effect(program: &Program<'_>, kind: &TrampolineKind) -> Effect {
    let waits = |blocks| match blocks {
        true => Effect::BLOCKS,
        false => Effect::NONE,
    };
    match kind {
        TrampolineKind::LowerImport { ty, options, .. } => {
            waits(ty.is_async && !options.waiting.is_async())
        }
        TrampolineKind::Concurrent { built_in, .. } => match *built_in {
            BuiltIn::TaskReturn { .. }
            | BuiltIn::TaskCancel
            | BuiltIn::ThreadIndex
            | BuiltIn::ThreadNew { .. }
            | BuiltIn::ThreadOperate(ThreadOperation::ResumeLater) => Effect::NAMES_TASK,
            BuiltIn::ContextGet { .. } | BuiltIn::ContextSet { .. } => Effect::USES_SLOTS,
            BuiltIn::ThreadYield | BuiltIn::WaitableSetWait | BuiltIn::ThreadOperate(_) => {
                Effect::BLOCKS | Effect::NAMES_TASK
            }
            BuiltIn::SubtaskCancel { is_async } => waits(!is_async),
            BuiltIn::EndCopy(copy) => {
                let copy = program.copies.get_index(copy.index());
                waits(copy.is_none_or(|copy| !copy.options.waiting.is_async()))
            }
            BuiltIn::EndOperate(_, operation) => waits(matches!(
                operation,
                EndOperation::CancelRead | EndOperation::CancelWrite
            )),
            BuiltIn::BackpressureInc
            | BuiltIn::BackpressureDec
            | BuiltIn::WaitableSetNew
            | BuiltIn::WaitableSetPoll
            | BuiltIn::WaitableSetDrop
            | BuiltIn::WaitableJoin
            | BuiltIn::SubtaskDrop
            | BuiltIn::EndsNew(_)
            | BuiltIn::EndsForward(_) => Effect::NONE,
        },
        TrampolineKind::Adapter { .. }
        | TrampolineKind::ResourceNew { .. }
        | TrampolineKind::ResourceRep { .. }
        | TrampolineKind::ResourceDrop { .. }
        | TrampolineKind::ErrorContext { .. } => Effect::NONE,
    }
}
