//! Random graphs of component instances that call each other, themselves and back, with borrowed
//! and owned handles, as components in the text format.
//!
//! Every instance interprets one script, whose numbers it gets from the host one by one; a call
//! goes on where its caller is, so a script is the trace of what happens. `model` makes the
//! scripts.

use super::random::Random;
use std::fmt::Write;

/// How an instance reaches a function of another.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Route {
    /// It imports it. Only from instances that are older.
    Direct,
    /// By way of a table of the component around both, which passes handles on.
    Switch,
}

/// Who can call whom.
#[derive(Debug)]
pub struct Graph {
    /// By caller and callee. Instance 0 defines the resource, so it can pass on no handles.
    routes: Vec<Vec<Option<Route>>>,
    /// Whether the resource has a destructor, which interprets the script too.
    pub destructor: bool,
}

/// The functions of every instance.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Kind {
    Plain,
    Lend,
    Give,
    Take,
}

impl Kind {
    pub const ALL: [Kind; 4] = [Kind::Plain, Kind::Lend, Kind::Give, Kind::Take];

    fn name(self) -> &'static str {
        match self {
            Kind::Plain => "plain",
            Kind::Lend => "lend",
            Kind::Give => "give",
            Kind::Take => "take",
        }
    }

    fn core_type(self) -> &'static str {
        match self {
            Kind::Plain => "",
            Kind::Lend | Kind::Give => "(param i32)",
            Kind::Take => "(result i32)",
        }
    }

    /// Its type, where `r` is the resource.
    fn ty(self, r: &str) -> String {
        match self {
            Kind::Plain => String::new(),
            Kind::Lend => format!("(param \"r\" (borrow {r}))"),
            Kind::Give => format!("(param \"r\" (own {r}))"),
            Kind::Take => format!("(result (own {r}))"),
        }
    }
}

// What a script has, each followed by an operand.

/// Return; of [`Kind::Take`]: this handle.
pub const RETURN: u32 = 0;
/// Make a resource with this representation.
pub const NEW: u32 = 1;
/// Drop this handle.
pub const DROP: u32 = 2;
/// Note the representation behind this handle; only in the instance that defines the resource.
pub const REP: u32 = 3;
/// Trap.
pub const TRAP: u32 = 4;
/// The first of those that call.
const CALL: u32 = 8;

/// Call a function, with this handle if it takes one.
pub fn call_op(callee: usize, kind: Kind) -> u32 {
    CALL + callee as u32 * 4 + kind as u32
}

impl Graph {
    /// A graph of two to four instances.
    pub fn random(random: &mut Random) -> Graph {
        let count = 2 + random.below(3);
        let density = random.pick(&[50, 80, 100]);
        let switch = random.pick(&[0, 50, 100]);
        let mut route = |caller: usize, callee: usize| {
            if !random.percent(density) {
                return None;
            }
            match callee < caller && !random.percent(switch / 2) {
                true => Some(Route::Direct),
                false => random.percent(switch).then_some(Route::Switch),
            }
        };
        let routes = (0..count)
            .map(|caller| (0..count).map(|callee| route(caller, callee)).collect())
            .collect();
        Graph {
            routes,
            destructor: random.percent(50),
        }
    }

    /// How many instances there are.
    pub fn count(&self) -> usize {
        self.routes.len()
    }

    /// The functions that an instance can call.
    pub fn callees(&self, caller: usize) -> Vec<(usize, Kind, Route)> {
        let mut all = Vec::new();
        for (callee, route) in self.routes[caller].iter().enumerate() {
            let kinds = match caller {
                0 => &Kind::ALL[..1],
                _ => &Kind::ALL[..],
            };
            all.extend(route.iter().flat_map(|route| {
                let with = |kind: &Kind| (callee, *kind, *route);
                kinds.iter().map(with).collect::<Vec<_>>()
            }));
        }
        all
    }

    /// The component in the text format.
    pub fn text(&self) -> String {
        let mut text = String::new();
        let out = &mut text;
        let count = self.count();
        out.push_str(
            "(component\n\
             (import \"next\" (func $next (result u32)))\n\
             (import \"note\" (func $note (param \"value\" u32)))\n",
        );
        let through = |index: usize, kind: Kind, then: &str| {
            let argument = match kind.core_type().contains("param") {
                true => "(local.get 0)",
                false => "",
            };
            format!(
                "(func (export \"{0}{index}\") {1}\n\
                 (call_indirect {1} {argument} (i32.const {2})) {then})\n",
                kind.name(),
                kind.core_type(),
                index * 4 + kind as usize,
            )
        };
        let plain: String = (0..count).map(|i| through(i, Kind::Plain, "")).collect();
        let entries = count * 4;
        write!(
            out,
            "(core module $Table (table (export \"table\") {entries} funcref))\n\
             (core instance $table (instantiate $Table))\n\
             (core module $Plain (import \"\" \"table\" (table {entries} funcref))\n{plain})\n\
             (core instance $plain (instantiate $Plain (with \"\" (instance $table))))\n"
        )
        .unwrap();
        for index in 0..count {
            writeln!(
                out,
                "(func $plain{index} (canon lift (core func $plain \"plain{index}\")))"
            )
            .unwrap();
        }
        self.instance(0, out);
        out.push_str(
            "(alias export $i0 \"r\" (type $R))\n(core func $drop (canon resource.drop $R))\n",
        );
        let handles: String = (0..count)
            .flat_map(|index| Kind::ALL[1..].iter().map(move |kind| (index, *kind)))
            .map(|(index, kind)| match kind {
                // The borrowed handle must be dropped on the way.
                Kind::Lend => through(index, kind, "(call $drop (local.get 0))"),
                _ => through(index, kind, ""),
            })
            .collect();
        write!(
            out,
            "(core module $Handles (import \"\" \"table\" (table {entries} funcref))\n\
             (import \"\" \"drop\" (func $drop (param i32)))\n{handles})\n\
             (core instance $handles (instantiate $Handles (with \"\" (instance\n\
             (export \"table\" (table $table \"table\")) (export \"drop\" (func $drop))))))\n"
        )
        .unwrap();
        for index in 0..count {
            for kind in &Kind::ALL[1..] {
                let (name, ty) = (kind.name(), kind.ty("$R"));
                writeln!(
                    out,
                    "(func ${name}{index} {ty} (canon lift (core func $handles \"{name}{index}\")))"
                )
                .unwrap();
            }
        }
        for index in 1..count {
            self.instance(index, out);
        }
        let (mut imports, mut exports, mut elements) =
            (String::new(), String::new(), String::new());
        for index in 0..count {
            for kind in Kind::ALL {
                let (name, ty) = (kind.name(), kind.core_type());
                writeln!(
                    out,
                    "(core func $low-{name}{index} (canon lower (func $i{index} \"{name}\")))"
                )
                .unwrap();
                writeln!(
                    imports,
                    "(import \"\" \"{name}{index}\" (func ${name}{index} {ty}))"
                )
                .unwrap();
                writeln!(
                    exports,
                    "(export \"{name}{index}\" (func $low-{name}{index}))"
                )
                .unwrap();
                write!(elements, " ${name}{index}").unwrap();
            }
            writeln!(out, "(export \"run{index}\" (func $i{index} \"plain\"))").unwrap();
        }
        write!(
            out,
            "(core module $Fill (import \"\" \"table\" (table {entries} funcref))\n{imports}\
             (elem (i32.const 0) func{elements}))\n\
             (core instance (instantiate $Fill (with \"\" (instance\n\
             (export \"table\" (table $table \"table\"))\n{exports}))))\n)"
        )
        .unwrap();
        text
    }

    /// A component and its instance `$i0`, `$i1`, …
    fn instance(&self, index: usize, out: &mut String) {
        let callees = self.callees(index);
        let mut imports = String::new();
        let mut with = String::new();
        let mut core = String::new();
        for (callee, kind, route) in &callees {
            let (name, ty) = (kind.name(), kind.ty("$R"));
            writeln!(
                imports,
                "(import \"{name}{callee}\" (func ${name}{callee} {ty}))\n\
                 (core func ${name}{callee} (canon lower (func ${name}{callee})))"
            )
            .unwrap();
            match route {
                Route::Direct => {
                    writeln!(
                        with,
                        "(with \"{name}{callee}\" (func $i{callee} \"{name}\"))"
                    )
                }
                Route::Switch => {
                    writeln!(with, "(with \"{name}{callee}\" (func ${name}{callee}))")
                }
            }
            .unwrap();
            writeln!(core, "(export \"{name}{callee}\" (func ${name}{callee}))").unwrap();
        }
        writeln!(
            out,
            "(component $C{index}\n\
             (import \"next\" (func $next (result u32)))\n\
             (import \"note\" (func $note (param \"value\" u32)))\n\
             (core func $next (canon lower (func $next)))\n\
             (core func $note (canon lower (func $note)))"
        )
        .unwrap();
        let part = if index == 0 {
            Part::Definer
        } else {
            Part::User
        };
        match part == Part::Definer {
            true => {
                let destructor = match self.destructor {
                    true => "(dtor (core func $shim \"dtor\"))",
                    false => "",
                };
                writeln!(
                    out,
                    "(core module $Shim (table (export \"table\") 1 funcref)\n\
                     (func (export \"dtor\") (param i32)\n\
                     (call_indirect (param i32) (local.get 0) (i32.const 0))))\n\
                     (core instance $shim (instantiate $Shim))\n\
                     (type $R' (resource (rep i32) {destructor}))\n\
                     (export $R \"r\" (type $R'))\n\
                     (core func $new (canon resource.new $R'))\n\
                     (core func $rep (canon resource.rep $R'))\n\
                     (core func $drop (canon resource.drop $R'))\n\
                     (func (export \"new\") (param \"rep\" u32) (result (own $R))\n\
                     (canon lift (core func $new)))"
                )
                .unwrap();
                core.push_str("(export \"rep\" (func $rep))");
            }
            false => {
                out.push_str(
                    "(import \"r\" (type $R (sub resource)))\n\
                     (import \"new\" (func $new (param \"rep\" u32) (result (own $R))))\n\
                     (core func $new (canon lower (func $new)))\n\
                     (core func $drop (canon resource.drop $R))\n",
                );
                with.push_str("(with \"r\" (type $R)) (with \"new\" (func $i0 \"new\"))");
            }
        }
        writeln!(
            out,
            "{imports}(core module $M\n{})\n\
             (core instance $m (instantiate $M (with \"\" (instance\n\
             (export \"next\" (func $next)) (export \"note\" (func $note))\n\
             (export \"new\" (func $new)) (export \"drop\" (func $drop))\n{core}))))",
            interpreter(part, &callees)
        )
        .unwrap();
        if part == Part::Definer {
            out.push_str(
                "(core module $Fill (import \"\" \"table\" (table 1 funcref))\n\
                 (import \"\" \"dtor\" (func $dtor (param i32))) (elem (i32.const 0) func $dtor))\n\
                 (core instance (instantiate $Fill (with \"\" (instance\n\
                 (export \"table\" (table $shim \"table\")) (export \"dtor\" (func $m \"dtor\"))))))\n",
            );
        }
        for kind in Kind::ALL {
            let (name, ty) = (kind.name(), kind.ty("$R"));
            writeln!(
                out,
                "(func (export \"{name}\") {ty} (canon lift (core func $m \"{name}\")))"
            )
            .unwrap();
        }
        writeln!(
            out,
            ")\n(instance $i{index} (instantiate $C{index}\n\
             (with \"next\" (func $next)) (with \"note\" (func $note)) {with}))"
        )
        .unwrap();
    }
}

/// What a component is to the resource.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    /// It defines it.
    Definer,
    /// It imports it.
    User,
}

/// The fields of the core module that interprets the script.
fn interpreter(part: Part, callees: &[(usize, Kind, Route)]) -> String {
    let mut imports = String::from(
        "(import \"\" \"next\" (func $next (result i32)))\n\
         (import \"\" \"note\" (func $note (param i32)))\n\
         (import \"\" \"new\" (func $new (param i32) (result i32)))\n\
         (import \"\" \"drop\" (func $drop (param i32)))\n",
    );
    let mut cases = String::new();
    let mut case = |op: u32, body: &str| {
        writeln!(
            cases,
            "(if (i32.eq (local.get $op) (i32.const {op})) (then {body}))"
        )
        .unwrap();
    };
    case(RETURN, "(return (local.get $x))");
    case(NEW, "(call $note (call $new (local.get $x)))");
    case(DROP, "(call $drop (local.get $x))");
    case(TRAP, "unreachable");
    if part == Part::Definer {
        imports.push_str("(import \"\" \"rep\" (func $rep (param i32) (result i32)))\n");
        case(REP, "(call $note (call $rep (local.get $x)))");
    }
    for (callee, kind, _) in callees {
        let (name, ty) = (kind.name(), kind.core_type());
        writeln!(
            imports,
            "(import \"\" \"{name}{callee}\" (func ${name}{callee} {ty}))"
        )
        .unwrap();
        let body = match kind {
            Kind::Plain => format!("(call ${name}{callee})"),
            Kind::Lend | Kind::Give => format!("(call ${name}{callee} (local.get $x))"),
            Kind::Take => format!("(call $note (call ${name}{callee}))"),
        };
        case(call_op(*callee, *kind), &body);
    }
    format!(
        "{imports}(func $exec (result i32) (local $op i32) (local $x i32)\n\
         (loop $more\n\
         (local.set $op (call $next)) (local.set $x (call $next))\n{cases}(br $more))\n\
         unreachable)\n\
         (func (export \"plain\") (drop (call $exec)))\n\
         (func $with (param i32) (call $note (local.get 0)) (drop (call $exec)))\n\
         (export \"lend\" (func $with)) (export \"give\" (func $with))\n\
         (export \"dtor\" (func $with))\n\
         (func (export \"take\") (result i32) (call $exec))"
    )
}
