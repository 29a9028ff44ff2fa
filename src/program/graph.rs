//! The plan as a picture: instances, and who calls whom through which trampoline.

use super::{CoreFunc, CoreInstance, CoreItem, Program, TrampolineKind};
use std::collections::BTreeMap;
use std::fmt::Write;
use trampette_artifact::ids::CoreInstanceId;

/// A box of the picture.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Node {
    Host,
    Core(CoreInstanceId),
}

impl Program<'_> {
    /// The plan as a graph in the DOT language: a box for the host and for each core instance, an
    /// arrow from each caller to whom it calls, with how and how many functions on it.
    pub(crate) fn dot(&self) -> String {
        let mut dot = String::from("digraph plan {\n  rankdir=LR;\n  host [label=\"host\"];\n");
        for (index, instance) in self.core_instances.iter().enumerate() {
            let label = quote(&self.core_instance_label(index, instance));
            // Writing to a string cannot fail.
            let _ = writeln!(dot, "  core{index} [label=\"{label}\"];");
        }
        for ((from, to, how), count) in self.calls() {
            let (from, to) = (node_name(from), node_name(to));
            let times = if count == 1 {
                String::new()
            } else {
                format!(" x {count}")
            };
            let _ = writeln!(dot, "  {from} -> {to} [label=\"{}{times}\"];", quote(&how));
        }
        dot.push_str("}\n");
        dot
    }

    fn core_instance_label(&self, index: usize, instance: &CoreInstance) -> String {
        let module = &self.modules[instance.module];
        let name = if module.name.is_empty() {
            "module"
        } else {
            &module.name
        };
        let component = &self.component_instances[instance.component_instance].name;
        let place = if component.is_empty() {
            String::new()
        } else {
            format!(" of {component}")
        };
        format!("core instance {index}: {name}{place}")
    }

    /// Who calls whom, how, and through how many functions.
    fn calls(&self) -> BTreeMap<(Node, Node, String), usize> {
        let mut calls = BTreeMap::new();
        let mut add = |from, to, how: &str| {
            *calls.entry((from, to, how.to_string())).or_default() += 1;
        };
        for (id, instance) in self.core_instances.iter_with_ids() {
            let from = Node::Core(id);
            for import in &instance.imports {
                let CoreItem::Func(func) = import else {
                    continue;
                };
                match func {
                    CoreFunc::Module(to, _) => add(from, Node::Core(*to), "direct"),
                    CoreFunc::Trampoline(id) => {
                        let kind = &self.trampolines[*id].kind;
                        let to = match kind {
                            TrampolineKind::Adapter { lift, .. } => node_of(lift.func),
                            _ => Node::Host,
                        };
                        add(from, to, kind.name());
                    }
                    CoreFunc::Intrinsic(_) => add(from, Node::Host, "unsafe intrinsic"),
                    CoreFunc::Host(_) => add(from, Node::Host, "core import"),
                }
            }
        }
        for lift in &self.lifts {
            add(Node::Host, node_of(lift.func), "export");
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

fn node_name(node: Node) -> String {
    match node {
        Node::Host => "host".to_string(),
        Node::Core(id) => format!("core{}", id.0),
    }
}

/// Names come from the component; nothing of them may end the string they stand in.
fn quote(text: &str) -> String {
    text.chars()
        .map(|c| {
            if c.is_control() || matches!(c, '"' | '\\' | '<' | '>' | '&') {
                '_'
            } else {
                c
            }
        })
        .collect()
}
