//! Who calls whom: what a picture of the plan shows, as data.

use super::{CoreFunc, CoreItem, Program, TrampolineKind};
use std::collections::BTreeMap;
use trampette_artifact::ids::{CoreInstanceId, ExportId, TrampolineId};
use trampette_artifact::key::{Abi, FuncKey};
use trampette_artifact::metadata::Import;

/// An end of a call.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Node {
    /// Whatever is outside of the component.
    Host,
    /// A core instance.
    Core(CoreInstanceId),
}

/// How a call goes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum How {
    /// The host calls a lifted function.
    Export,
    /// A lowered function of the host.
    LowerImport,
    /// From one component to another.
    Adapter,
    /// From one core module to another of the same component.
    Direct,
    /// A built-in on resources or error contexts, an intrinsic: the word that ends its symbol.
    BuiltIn(&'static str),
    /// A core function of the host.
    CoreImport,
}

/// A function that is called.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    /// Its name.
    pub name: String,
    /// What was, or would be, compiled for it.
    pub key: FuncKey,
    /// The trampoline or lifted function, whose types say what is carried.
    pub carrier: Option<Carrier>,
}

/// What has a component-level type.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Carrier {
    /// A trampoline.
    Trampoline(TrampolineId),
    /// A lifted function.
    Lift(ExportId),
}

/// Calls by who makes them, whom they reach, and how.
pub(crate) type Calls = BTreeMap<(Node, Node, How), Vec<Call>>;

impl Program<'_> {
    /// Who calls whom, how, and which functions.
    pub(crate) fn calls(&self) -> Calls {
        let mut calls = Calls::new();
        let mut add = |from, to, how, call| {
            calls.entry((from, to, how)).or_default().push(call);
        };
        for (id, instance) in self.core_instances.iter_with_ids() {
            let from = Node::Core(id);
            let module = &self.modules[instance.module];
            for (import, item) in module.imports.iter().zip(&instance.imports) {
                let CoreItem::Func(func) = *item else {
                    continue;
                };
                let mut call = Call {
                    name: import.name.to_string(),
                    key: func.key(),
                    carrier: None,
                };
                match func {
                    CoreFunc::Module(to, _) => add(from, Node::Core(to), How::Direct, call),
                    CoreFunc::Trampoline(id) => {
                        call.carrier = Some(Carrier::Trampoline(id));
                        let kind = &self.trampolines[id].kind;
                        let (to, how) = match kind {
                            TrampolineKind::Adapter { lift, .. } => {
                                call.name = last_name(&lift.name);
                                (node_of(lift.func), How::Adapter)
                            }
                            TrampolineKind::LowerImport { import, .. } => {
                                call.name = import_name(&self.imports[*import]);
                                (Node::Host, How::LowerImport)
                            }
                            kind => (Node::Host, How::BuiltIn(kind.name())),
                        };
                        add(from, to, how, call);
                    }
                    CoreFunc::Intrinsic(_) => {
                        add(from, Node::Host, How::BuiltIn("unsafe intrinsic"), call);
                    }
                    CoreFunc::Host(_) => add(from, Node::Host, How::CoreImport, call),
                }
            }
        }
        for (id, lift) in self.lifts.iter_with_ids() {
            let call = Call {
                name: last_name(&lift.name),
                key: FuncKey::ExportEntry(Abi::Wasm, id),
                carrier: Some(Carrier::Lift(id)),
            };
            add(Node::Host, node_of(lift.func), How::Export, call);
        }
        calls
    }
}

fn node_of(func: CoreFunc) -> Node {
    match func {
        CoreFunc::Module(instance, _) => Node::Core(instance),
        _ => Node::Host,
    }
}

/// The function's own name, without its interface's.
fn last_name(path: &str) -> String {
    path.rsplit('#').next().unwrap_or(path).to_string()
}

fn import_name(import: &Import) -> String {
    import.path.last().cloned().unwrap_or_default()
}
