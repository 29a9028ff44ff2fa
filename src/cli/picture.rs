//! The plan of a component as SVG: who owns what, and who calls whom.
//!
//! The host is at the top, and below it a frame for each component instance, in it one for each
//! slab, in it a box for each core instance. Every call leaves its box at a place of its own, with
//! its label beside it, goes to the right into a lane of its own, along it, and back to the one
//! place at which its target is entered: no line runs through a label or a box.

use super::files::size;
use crate::compile::Compiled;
use crate::layout::Layout;
use crate::program::graph::{Call, Calls, Carrier, How, Node};
use crate::program::{Program, unit_of};
use crate::trampolines::transfer::kind::TransferKind;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use trampette_artifact::ids::CoreInstanceId;
use trampette_artifact::key::FuncKey;

/// Pixels across.
const WIDTH: i32 = 1000;
const BOX_LEFT: i32 = 40;
const BOX_RIGHT: i32 = 380;
/// A line of text.
const LINE: i32 = 20;
/// Between frames.
const GAP: i32 = 14;
const FIRST_LANE: i32 = 760;

/// What became of the functions that calls reach.
pub(super) struct Outcome {
    /// Bytes of code of what has some.
    pub sizes: BTreeMap<FuncKey, u64>,
    /// What is gone because all calls of it were replaced by its body.
    pub inlined: BTreeSet<FuncKey>,
}

impl Outcome {
    /// What compiling did.
    pub(super) fn of(compiled: &Compiled) -> Outcome {
        let sizes = compiled.functions.iter();
        Outcome {
            sizes: sizes
                .map(|(key, function)| (*key, function.code.len() as u64))
                .collect(),
            inlined: compiled.inlined_away.clone(),
        }
    }
}

struct Style {
    colour: &'static str,
    legend: &'static str,
}

fn style(how: How) -> Style {
    let (colour, legend) = match how {
        How::Export => ("#c2410c", "export: the host calls the component"),
        How::LowerImport => ("#1d4ed8", "import: the component calls the host"),
        How::Adapter => ("#15803d", "adapter: one component calls another"),
        How::Direct => ("#475569", "direct: core modules of one component"),
        How::BuiltIn(_) => ("#7e22ce", "built-in: resources, error contexts, intrinsics"),
        How::CoreImport => ("#1d4ed8", "core import"),
    };
    Style { colour, legend }
}

/// A call with its label, on its way.
struct Edge {
    from: Node,
    to: Node,
    how: How,
    label: String,
    /// Every name, for whoever points at it.
    title: String,
    leaves: i32,
    enters: i32,
    lane: i32,
}

/// Draws.
pub(super) fn draw(program: &Program<'_>, layout: &Layout, outcome: &Outcome) -> String {
    let mut edges = edges(program, &program.calls(), outcome);
    let mut out = String::new();
    let mut y = 20;
    let mut entries: BTreeMap<Node, i32> = BTreeMap::new();
    y = node_box(
        &mut out,
        &mut edges,
        &mut entries,
        Node::Host,
        "host",
        "",
        y,
    );
    let mut owners: BTreeMap<_, BTreeMap<_, Vec<CoreInstanceId>>> = BTreeMap::new();
    for (id, instance) in program.core_instances.iter_with_ids() {
        let slab = layout.units[unit_of(id)].slab;
        let slabs = owners.entry(instance.component_instance).or_default();
        slabs.entry(slab).or_default().push(id);
    }
    for (owner, slabs) in owners {
        y += GAP;
        let top = y;
        let name = &program.component_instances[owner].name;
        let name = match name.is_empty() {
            true => "the component itself".to_string(),
            false => format!("component instance {name}"),
        };
        let mut inside = String::new();
        text(&mut inside, BOX_LEFT - 18, y + 15, "owner", &cut(&name, 52));
        y += LINE + 4;
        for (slab, instances) in slabs {
            let slab_top = y;
            let memory = match layout.slabs[slab].memory {
                // What has no memory of its own runs in the first slab.
                Some(id) if !instances.contains(&program.memories[id].instance) => {
                    format!("in slab {}, without a memory of its own", slab.0)
                }
                Some(id) => {
                    let pages = program.memory_type(id).map_or(0, |ty| ty.initial);
                    let pages = match pages {
                        1 => "1 page".to_string(),
                        many => format!("{many} pages"),
                    };
                    format!("slab {}: memory of {pages}", slab.0)
                }
                None => format!("slab {}: no memory", slab.0),
            };
            let mut boxes = String::new();
            text(&mut boxes, BOX_LEFT - 4, y + 14, "slab", &memory);
            y += LINE;
            for id in instances {
                let module = &program.modules[program.core_instances[id].module];
                let title = match module.name.is_empty() {
                    true => format!("core instance {}", id.0),
                    false => module.name.clone(),
                };
                let defined = module.bodies.len();
                let functions = match defined {
                    1 => "1 function".to_string(),
                    many => format!("{many} functions"),
                };
                let about = format!("core instance {}, {functions}", id.0);
                let node = Node::Core(id);
                y = node_box(
                    &mut boxes,
                    &mut edges,
                    &mut entries,
                    node,
                    &title,
                    &about,
                    y,
                ) + 6;
            }
            y += 4;
            frame(
                &mut inside,
                "slab",
                BOX_LEFT - 10,
                slab_top,
                BOX_RIGHT + 10,
                y,
            );
            inside += &boxes;
            y += 8;
        }
        frame(&mut out, "owner", BOX_LEFT - 24, top, BOX_RIGHT + 24, y);
        out += &inside;
    }
    for edge in &mut edges {
        edge.enters = entries.get(&edge.to).copied().unwrap_or_default();
    }
    assign_lanes(&mut edges);
    let mut lines = String::new();
    for edge in &edges {
        line(&mut lines, edge);
    }
    y += GAP;
    let kinds: BTreeMap<&str, &str> = edges
        .iter()
        .map(|edge| style(edge.how))
        .map(|style| (style.legend, style.colour))
        .collect();
    let mut legend = String::new();
    for (what, colour) in kinds {
        y += LINE;
        let _ = write!(
            legend,
            "<line x1=\"20\" y1=\"{0}\" x2=\"48\" y2=\"{0}\" stroke=\"{colour}\" stroke-width=\"2\"/>",
            y - 4
        );
        text(&mut legend, 56, y, "legend", what);
    }
    y += LINE;
    let words = "after ·: what is carried (none: in registers; bulk: copied in one piece; check: \
                 validated; loop: one by one), and what inlining did";
    text(&mut legend, 20, y, "legend", words);
    y += 16;
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{y}\" \
         viewBox=\"0 0 {WIDTH} {y}\" font-family=\"sans-serif\">\n<style>{STYLE}</style>\n\
         <rect width=\"{WIDTH}\" height=\"{y}\" fill=\"#fff\"/>\n{out}{lines}{legend}</svg>\n"
    )
}

const STYLE: &str = "text{font-size:12px;fill:#1e293b}.name{font-weight:600;font-size:13px}\
    .about,.slab,.legend{font-size:11px;fill:#64748b}.owner{font-weight:600;fill:#334155}\
    rect.owner{fill:#f8fafc;stroke:#94a3b8}rect.slab{fill:#eef2ff;stroke:#c7d2fe;stroke-dasharray:4 3}\
    rect.node{fill:#fff;stroke:#475569}rect.host{fill:#fef3c7;stroke:#b45309}.label{font-size:12px}";

/// The edges, one for each pair of ends and kind.
fn edges(program: &Program<'_>, calls: &Calls, outcome: &Outcome) -> Vec<Edge> {
    let edge = |((from, to, how), calls): (&(Node, Node, How), &Vec<Call>)| {
        let mut names: Vec<&str> = calls.iter().map(|call| &call.name[..]).collect();
        names.dedup();
        let mut label = match (how, &names[..]) {
            (How::BuiltIn(word), _) => match calls.len() {
                1 => word.to_string(),
                many => format!("{word} × {many}"),
            },
            (_, [one]) => cut(one, 26),
            (_, [one, ..]) => format!("{}, {} more", cut(one, 16), names.len() - 1),
            (_, []) => String::new(),
        };
        let carried = calls.iter().filter_map(|call| {
            let ty = match call.carrier? {
                Carrier::Lift(id) => Some(&program.lifts[id].ty),
                Carrier::Trampoline(id) => program.trampolines[id].kind.function_type(),
            };
            Some(TransferKind::of_call(&program.types, ty?))
        });
        if let Some(most) = carried.max() {
            let _ = write!(label, " · {}", most.name());
        }
        let keys: BTreeSet<FuncKey> = calls.iter().map(|call| call.key).collect();
        let inlined = keys
            .iter()
            .filter(|key| outcome.inlined.contains(key))
            .count();
        let compiled = keys
            .iter()
            .filter(|key| outcome.sizes.contains_key(key))
            .count();
        if inlined > 0 && inlined == keys.len() {
            label.push_str(" · inlined");
        } else if inlined > 0 {
            let _ = write!(label, " · {inlined} of {} inlined", keys.len());
        } else if compiled == 0 && !keys.is_empty() {
            label.push_str(" · never called");
        }
        let code: u64 = keys.iter().filter_map(|key| outcome.sizes.get(key)).sum();
        let title = match code {
            0 => names.join("\n"),
            _ => format!("{} of code\n{}", size(code), names.join("\n")),
        };
        Edge {
            from: *from,
            to: *to,
            how: *how,
            label,
            title,
            leaves: 0,
            enters: 0,
            lane: 0,
        }
    };
    calls.iter().map(edge).collect()
}

/// Draws a box high enough for the calls that leave it; where the next thing may begin.
fn node_box(
    out: &mut String,
    edges: &mut [Edge],
    entries: &mut BTreeMap<Node, i32>,
    node: Node,
    title: &str,
    about: &str,
    top: i32,
) -> i32 {
    entries.insert(node, top + 10);
    let mut y = top + LINE;
    for edge in edges.iter_mut().filter(|edge| edge.from == node) {
        edge.leaves = y + 8;
        y += LINE;
    }
    let bottom = y.max(top + 2 * LINE);
    let (class, left, right) = match node {
        Node::Host => ("node host", BOX_LEFT - 24, BOX_RIGHT + 24),
        Node::Core(_) => ("node", BOX_LEFT, BOX_RIGHT),
    };
    frame(out, class, left, top, right, bottom);
    text(out, left + 10, top + 17, "name", &cut(title, 40));
    text(out, left + 10, top + 33, "about", about);
    bottom
}

/// Gives each edge the first lane in which nothing else is on its way; short ones first.
fn assign_lanes(edges: &mut [Edge]) {
    let mut order: Vec<usize> = (0..edges.len()).collect();
    order.sort_by_key(|index| (edges[*index].leaves - edges[*index].enters).abs());
    let mut lanes: Vec<Vec<(i32, i32, Node)>> = Vec::new();
    for index in order {
        let edge = &mut edges[index];
        let span = (edge.leaves.min(edge.enters), edge.leaves.max(edge.enters));
        let free = |lane: &Vec<(i32, i32, Node)>| {
            lane.iter()
                .all(|(top, bottom, _)| span.1 + 4 < *top || *bottom + 4 < span.0)
        };
        let lane = match lanes.iter().position(free) {
            Some(lane) => lane,
            None => {
                lanes.push(Vec::new());
                lanes.len() - 1
            }
        };
        lanes[lane].push((span.0, span.1, edge.to));
        edge.lane = lane as i32;
    }
    let step = (WIDTH - 16 - FIRST_LANE) / (lanes.len() as i32).max(1);
    for edge in edges {
        edge.lane = FIRST_LANE + edge.lane * step.clamp(2, 14);
    }
}

fn line(out: &mut String, edge: &Edge) {
    let Style { colour, .. } = style(edge.how);
    let right = |node| match node {
        Node::Host => BOX_RIGHT + 24,
        Node::Core(_) => BOX_RIGHT,
    };
    let (from, to) = (right(edge.from), right(edge.to));
    let (lane, leaves, enters) = (edge.lane, edge.leaves, edge.enters);
    let label_at = BOX_RIGHT + 34;
    let label_end = label_at + 8 + 62 * edge.label.chars().count() as i32 / 10;
    let _ = write!(
        out,
        "<g><title>{}</title>\
         <path d=\"M{from} {leaves}H{label_at}M{} {leaves}H{lane}V{enters}H{}\" fill=\"none\" \
         stroke=\"{colour}\" stroke-width=\"1.4\" stroke-linejoin=\"round\"/>\
         <path d=\"M{to} {enters}l9 -4v8z\" fill=\"{colour}\"/>",
        escaped(&edge.title),
        label_end.min(lane),
        to + 8
    );
    text(out, label_at + 4, leaves + 4, "label", &edge.label);
    out.push_str("</g>\n");
}

fn frame(out: &mut String, class: &str, left: i32, top: i32, right: i32, bottom: i32) {
    let (width, height) = (right - left, bottom - top);
    let _ = writeln!(
        out,
        "<rect class=\"{class}\" x=\"{left}\" y=\"{top}\" width=\"{width}\" height=\"{height}\" \
         rx=\"5\"/>"
    );
}

fn text(out: &mut String, x: i32, y: i32, class: &str, text: &str) {
    let text = escaped(text);
    let _ = writeln!(
        out,
        "<text x=\"{x}\" y=\"{y}\" class=\"{class}\">{text}</text>"
    );
}

/// A name that is not longer than there is room for.
fn cut(name: &str, most: usize) -> String {
    match name.chars().count() > most {
        true => name.chars().take(most - 1).chain(['…']).collect(),
        false => name.to_string(),
    }
}

/// Text inside XML: names come from the component.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            '\n' => out.push('\n'),
            c if c.is_control() => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}
