//! Random scripts that mostly make sense.
//!
//! Bodies are made operation by operation, with a memory of what each slot holds by then; now and
//! then a slot is picked blindly, which is how traps for wrong handles come about. Functions call
//! only functions after them, so that no script calls without end; instances are called in any
//! order, so that they are entered again.

use crate::rng::Rng;
use crate::script::{
    Element, Function, GLOBALS, HostOp, Import, Kind, LOCALS, Lift, Mode, Op, Payload, Script,
    Side, Slot, Switch, Target, Typed, Wiring,
};

/// How large scripts are.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// Instances, at most.
    pub instances: usize,
    /// Functions of an instance, at most.
    pub lifts: usize,
    /// Operations of a body, at most, but for those that end it.
    pub operations: usize,
    /// Whether explicit threads are made.
    pub threads: Threads,
    /// Which instances call which.
    pub wiring: Wiring,
}

/// Whether scripts use explicit threads.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Threads {
    /// Only implicit ones, and none that is named.
    None,
    /// Also explicit ones.
    Explicit,
}

impl Size {
    /// As large as the design asks for.
    pub const USUAL: Size = Size {
        instances: 3,
        lifts: 2,
        operations: 6,
        threads: Threads::Explicit,
        wiring: Wiring::Any,
    };

    /// The same, of scripts that a component can be made of.
    pub const BUILDABLE: Size = Size {
        wiring: Wiring::Tree,
        ..Size::USUAL
    };
}

/// Where a task keeps the index of the thread that makes another, and of the other.
const PARENT: Slot = Slot::Local(5);
const CHILD: Slot = Slot::Local(4);

/// What a slot holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Role {
    Reader(Kind),
    Writer(Kind),
    Subtask,
    Set,
    Thread,
    Resource,
}

impl Role {
    fn of(payload: Payload) -> Option<Role> {
        match payload {
            Payload::None => None,
            Payload::Stream => Some(Role::Reader(Kind::Stream)),
            Payload::Future => Some(Role::Reader(Kind::Future)),
            Payload::Borrow => Some(Role::Resource),
        }
    }
}

const ROLES: [Role; 8] = [
    Role::Reader(Kind::Stream),
    Role::Writer(Kind::Stream),
    Role::Reader(Kind::Future),
    Role::Writer(Kind::Future),
    Role::Subtask,
    Role::Set,
    Role::Thread,
    Role::Resource,
];

/// A random script.
pub fn script(rng: &mut Rng, size: Size) -> Script {
    let mut script = Script {
        element: rng.pick(&[Element::Unit, Element::U32, Element::U32, Element::Char]),
        ..Script::default()
    };
    for _ in 0..rng.below(3) {
        script.imports.push(rng.pick(&[
            Import::Ready,
            Import::Later,
            Import::Later,
            Import::Never,
        ]));
    }
    let instances = 1 + rng.below(size.instances);
    let mut free: Vec<u8> = (0..instances)
        .flat_map(|instance| vec![instance as u8; size.lifts])
        .collect();
    let functions = 1 + rng.below(free.len().min(4));
    for number in 0..functions {
        let instance = free.swap_remove(rng.below(free.len()));
        script.functions.push(signature(rng, instance, number));
    }
    // Instances are numbered without gaps, in the order of their first functions.
    let mut used: Vec<u8> = Vec::new();
    for function in &mut script.functions {
        let known = used
            .iter()
            .position(|instance| *instance == function.instance);
        let place = known.unwrap_or_else(|| {
            used.push(function.instance);
            used.len() - 1
        });
        function.instance = place as u8;
    }
    let roles: Vec<Vec<Role>> = (0..instances)
        .map(|_| (0..GLOBALS).map(|_| rng.pick(&ROLES)).collect())
        .collect();
    let mut written = vec![vec![false; usize::from(GLOBALS) + 1]; instances];
    if size.threads == Threads::Explicit && rng.one_in(2) {
        script.threads = vec![Vec::new(); 1 + rng.below(2)];
    }
    for number in 0..functions {
        let Function {
            instance,
            lift,
            param,
            result,
            ..
        } = script.functions[number];
        let home = usize::from(instance);
        let globals = (&roles[home][..], &mut written[home][..]);
        let later = number + 1..functions;
        let callees = later.filter(|callee| {
            let callee = script.functions[*callee].instance;
            size.wiring.allows(instance, callee)
        });
        let callees = callees.map(|callee| callee as u8).collect();
        let mut maker = Maker::new(rng, &script, globals, callees, lift);
        maker.parameter(param);
        let mut body = maker.body(size.operations);
        if param == Payload::Borrow && !maker.rng.one_in(6) {
            body.push(Op::ResourceDrop(Slot::Local(0)));
        }
        maker.ending(&mut body, result);
        let post = match lift {
            Lift::Sync if maker.rng.one_in(12) => maker.post(),
            _ => Vec::new(),
        };
        script.functions[number].body = body;
        script.functions[number].post = post;
    }
    for number in 0..script.threads.len() {
        let home = rng.below(instances);
        let globals = (&roles[home][..], &mut written[home][..]);
        let mut maker = Maker::new(rng, &script, globals, Vec::new(), Lift::Stackful);
        maker.threads = 0;
        maker.holds(PARENT, Role::Thread);
        maker.holds(CHILD, Role::Thread);
        let mut body = maker.body(1 + size.operations / 2);
        if maker.rng.one_in(2) {
            let at = maker.rng.below(body.len() + 1);
            body.insert(at, Op::ThreadResumeLater(PARENT));
        }
        script.threads[number] = body;
    }
    script.host = host(rng, &script);
    script
}

fn signature(rng: &mut Rng, instance: u8, number: usize) -> Function {
    let payloads = [
        Payload::None,
        Payload::None,
        Payload::Stream,
        Payload::Future,
    ];
    let lift = rng.pick(&[Lift::Sync, Lift::Callback, Lift::Callback, Lift::Stackful]);
    Function {
        instance,
        lift,
        typed: match lift {
            Lift::Sync => rng.pick(&[Typed::Sync, Typed::Async]),
            _ => Typed::Async,
        },
        param: match number {
            0 => Payload::None,
            _ if rng.one_in(6) => Payload::Borrow,
            _ => rng.pick(&payloads),
        },
        result: rng.pick(&payloads),
        body: Vec::new(),
        post: Vec::new(),
    }
}

fn host(rng: &mut Rng, script: &Script) -> Vec<HostOp> {
    let callable: Vec<u8> = (0..script.functions.len() as u8)
        .filter(|number| script.functions[usize::from(*number)].param == Payload::None)
        .collect();
    let mut ops = Vec::new();
    let mut calls = 0;
    for number in 0..1 + rng.below(4) {
        let function = if number == 0 { 0 } else { rng.pick(&callable) };
        match rng.below(6) {
            0 | 1 => {
                ops.push(HostOp::Call(function));
                calls += 1;
            }
            2 | 3 => {
                ops.push(HostOp::Start(function));
                calls += 1;
            }
            4 if calls > 0 => ops.push(HostOp::Cancel(rng.below(calls) as u8)),
            5 if calls > 0 => ops.push(HostOp::Await(rng.below(calls) as u8)),
            _ => ops.push(HostOp::Drain),
        }
    }
    if calls == 0 {
        ops.push(HostOp::Call(0));
    }
    if !rng.one_in(4) {
        ops.push(HostOp::Drain);
    }
    ops
}

/// Makes one body.
struct Maker<'a> {
    rng: &'a mut Rng,
    script: &'a Script,
    /// What the instance's slots hold.
    globals: &'a [Role],
    /// Which of them a body made so far writes; behind them, whether one closes the gate.
    written: &'a mut [bool],
    /// What the task's slots hold by now.
    locals: [Option<Role>; LOCALS as usize],
    /// The functions that may be called.
    callees: Vec<u8>,
    lift: Lift,
    /// Bodies of threads that may be made.
    threads: usize,
}

impl<'a> Maker<'a> {
    fn new(
        rng: &'a mut Rng,
        script: &'a Script,
        (globals, written): (&'a [Role], &'a mut [bool]),
        callees: Vec<u8>,
        lift: Lift,
    ) -> Self {
        let threads = script.threads.len();
        Self {
            rng,
            script,
            globals,
            written,
            locals: [None; LOCALS as usize],
            callees,
            lift,
            threads,
        }
    }

    fn parameter(&mut self, payload: Payload) {
        self.locals[0] = Role::of(payload);
    }

    fn body(&mut self, most: usize) -> Vec<Op> {
        let count = 1 + self.rng.below(most);
        let mut body = Vec::new();
        while body.len() < count {
            self.operation(&mut body);
        }
        body
    }

    /// Adds what returns, somewhere, and seldom nothing.
    fn ending(&mut self, body: &mut Vec<Op>, result: Payload) {
        let kind = match Role::of(result) {
            Some(Role::Reader(kind)) => Some(kind),
            _ => None,
        };
        let slot = match kind {
            None => Slot::Local(0),
            Some(kind) => match self.find(Role::Reader(kind)) {
                Some(slot) if !self.rng.one_in(3) => slot,
                _ => {
                    let (reader, writer) = (self.fresh(), self.fresh());
                    body.push(Op::New(kind, reader, writer));
                    self.holds(reader, Role::Reader(kind));
                    self.holds(writer, Role::Writer(kind));
                    reader
                }
            },
        };
        let op = match self.rng.below(16) {
            0 if self.rng.one_in(2) => return,
            1 if self.rng.one_in(4) => Op::TaskCancel,
            2..=8 => Op::Finish(slot),
            _ => Op::Return(slot),
        };
        let from = if self.lift == Lift::Sync || kind.is_some() {
            body.len()
        } else {
            body.len() / 2
        };
        let at = from + self.rng.below(body.len() + 1 - from);
        body.insert(at, op);
        if self.rng.one_in(40) {
            body.push(op);
        }
        if kind.is_some() && self.lift != Lift::Sync {
            // The writer is of use only once the reader is gone.
            if let (Some(kind), true) = (kind, self.rng.one_in(3))
                && let Some(writer) = self.find(Role::Writer(kind))
            {
                body.push(self.copy(kind, Side::Writer, Mode::Async, writer));
                let mode = self.mode();
                body.push(Op::CancelCopy(kind, Side::Writer, mode, writer));
            }
            for _ in 0..self.rng.below(3) {
                self.operation(body);
            }
        }
    }

    fn post(&mut self) -> Vec<Op> {
        let choices = [
            Op::ContextGet,
            Op::ContextSet(1),
            Op::BackpressureInc,
            Op::ThreadYield,
            Op::SetNew(Slot::Local(0)),
        ];
        (0..1 + self.rng.below(2))
            .map(|_| self.rng.pick(&choices))
            .collect()
    }

    fn fresh(&mut self) -> Slot {
        let empty: Vec<usize> = (0..self.locals.len())
            .filter(|local| self.locals[*local].is_none())
            .collect();
        let local = match empty.is_empty() {
            true => self.rng.below(self.locals.len()),
            false => self.rng.pick(&empty),
        };
        // So that the next one is another.
        self.locals[local] = Some(Role::Thread);
        Slot::Local(local as u8)
    }

    /// Where to store what has this role.
    fn place(&mut self, role: Role) -> Slot {
        let shared: Vec<usize> = (0..self.globals.len())
            .filter(|global| self.globals[*global] == role)
            .collect();
        if !shared.is_empty() && !self.rng.one_in(3) {
            let global = self.rng.pick(&shared);
            self.written[global] = true;
            return Slot::Global(global as u8);
        }
        let slot = self.fresh();
        self.holds(slot, role);
        slot
    }

    fn holds(&mut self, slot: Slot, role: Role) {
        if let Slot::Local(local) = slot {
            self.locals[usize::from(local)] = Some(role);
        }
    }

    /// What the slot held is gone.
    fn forget(&mut self, slot: Slot) {
        if let Slot::Local(local) = slot {
            self.locals[usize::from(local)] = None;
        }
    }

    fn find(&mut self, role: Role) -> Option<Slot> {
        let mut found: Vec<Slot> = (0..LOCALS)
            .filter(|local| self.locals[usize::from(*local)] == Some(role))
            .map(Slot::Local)
            .collect();
        let shared = (0..GLOBALS).filter(|global| {
            let global = usize::from(*global);
            self.written[global] && self.globals[global] == role
        });
        found.extend(shared.map(Slot::Global));
        match found.is_empty() {
            true => None,
            false => Some(self.rng.pick(&found)),
        }
    }

    fn any(&mut self) -> Slot {
        match self.rng.below(4) {
            0 => Slot::Global(self.rng.below(usize::from(GLOBALS)) as u8),
            _ => Slot::Local(self.rng.below(usize::from(LOCALS)) as u8),
        }
    }

    /// A slot with this role, seldom any other; none if there is none.
    fn operand(&mut self, role: Role) -> Option<Slot> {
        match self.rng.one_in(60) {
            true => Some(self.any()),
            false => self.find(role),
        }
    }

    fn mode(&mut self) -> Mode {
        self.rng.pick(&[Mode::Sync, Mode::Async, Mode::Async])
    }

    fn kind(&mut self) -> Kind {
        self.rng.pick(&[Kind::Stream, Kind::Stream, Kind::Future])
    }

    fn side(&mut self) -> Side {
        self.rng.pick(&[Side::Reader, Side::Writer])
    }

    fn end(&mut self, kind: Kind, side: Side) -> Option<Slot> {
        self.operand(match side {
            Side::Reader => Role::Reader(kind),
            Side::Writer => Role::Writer(kind),
        })
    }

    /// Adds an operation, or none if what was thought of makes no sense here.
    fn operation(&mut self, body: &mut Vec<Op>) {
        if self.rng.one_in(16) {
            self.phrase(body);
            return;
        }
        let op = match self.rng.below(40) {
            0..=7 => self.call(body),
            8..=11 => self.set_operation(body),
            12..=13 => self.waitable().and_then(|waitable| {
                let set = self.operand(Role::Set)?;
                Some(if self.rng.one_in(8) {
                    Op::Leave(waitable)
                } else {
                    Op::Join(waitable, set)
                })
            }),
            14..=15 if self.lift == Lift::Callback => match self.rng.below(12) {
                0 => Some(Op::CodeExit),
                1 => Some(Op::CodeBad(3 + self.rng.below(13) as u8)),
                2..=6 => Some(Op::CodeYield),
                _ => self.operand(Role::Set).map(Op::CodeWait),
            },
            14..=16 => Some(Op::ThreadYield),
            17..=18 => {
                let mode = self.mode();
                self.operand(Role::Subtask)
                    .map(|slot| Op::SubtaskCancel(mode, slot))
            }
            19 if self.rng.one_in(2) => {
                let slot = self.operand(Role::Subtask);
                slot.map(|slot| {
                    self.forget(slot);
                    Op::SubtaskDrop(slot)
                })
            }
            33 if self.rng.one_in(3) => {
                let slot = self.place(Role::Resource);
                Some(Op::ResourceNew(slot))
            }
            34 if self.rng.one_in(3) => self.operand(Role::Resource).map(|slot| {
                self.forget(slot);
                Op::ResourceDrop(slot)
            }),
            20 => {
                self.written[usize::from(GLOBALS)] = true;
                Some(Op::BackpressureInc)
            }
            21 => (self.written[usize::from(GLOBALS)] || self.rng.one_in(20))
                .then_some(Op::BackpressureDec),
            22 => Some(Op::ContextSet(self.rng.below(4) as u8)),
            23 => Some(Op::ContextGet),
            24..=29 => self.thread_operation(),
            30 if self.rng.one_in(16) => Some(Op::Unreachable),
            31 if self.rng.one_in(3) => Some(Op::Move(self.any(), self.any())),
            32 if self.rng.one_in(16) => Some(Op::Let(self.rng.below(8) as u8, self.any())),
            _ => self.end_operation(),
        };
        body.extend(op);
    }

    /// Adds several operations that belong together, and that chance would seldom bring together.
    fn phrase(&mut self, body: &mut Vec<Op>) {
        let kind = self.kind();
        match self.rng.below(5) {
            // Both outer ends of a forward have buffers.
            0 => {
                let (reader, outer_writer) = self.pair(body, kind);
                let (outer_reader, writer) = self.pair(body, kind);
                body.push(self.copy(kind, Side::Reader, Mode::Async, outer_reader));
                body.push(self.copy(kind, Side::Writer, Mode::Async, outer_writer));
                body.push(Op::Forward(kind, reader, writer));
                self.forget(reader);
                self.forget(writer);
                let (side, end) = match self.rng.one_in(2) {
                    true => (Side::Reader, outer_reader),
                    false => (Side::Writer, outer_writer),
                };
                let mode = self.mode();
                body.push(Op::CancelCopy(kind, side, mode, end));
            }
            // A copy that is under way, then given up.
            1 => {
                let (reader, writer) = self.pair(body, kind);
                let (side, end) = match self.rng.one_in(2) {
                    true => (Side::Reader, reader),
                    false => (Side::Writer, writer),
                };
                body.push(self.copy(kind, side, Mode::Async, end));
                let mode = self.mode();
                body.push(Op::CancelCopy(kind, side, mode, end));
            }
            // A set with something in it.
            2 => {
                if let (Some(waitable), Some(set)) = (self.waitable(), self.find(Role::Set)) {
                    body.push(Op::Join(waitable, set));
                    let op = match self.rng.below(3) {
                        0 => Op::SetPoll(set),
                        1 => Op::SetDrop(set),
                        _ => Op::SetWait(set),
                    };
                    body.push(op);
                }
            }
            // A thread that knows who made it.
            _ if self.threads > 0 => {
                body.push(Op::ThreadIndex(PARENT));
                let thread = self.rng.below(self.threads) as u8;
                body.push(Op::ThreadNew(thread, CHILD));
                self.holds(PARENT, Role::Thread);
                self.holds(CHILD, Role::Thread);
                let op = match self.rng.below(4) {
                    0 => Op::ThreadResumeLater(CHILD),
                    1 => Op::ThreadSwitch(Switch::YieldThenResume, CHILD),
                    _ => Op::ThreadSwitch(Switch::SuspendThenResume, CHILD),
                };
                body.push(op);
                if self.rng.one_in(2) {
                    // The other one may resume it.
                    body.push(match self.rng.one_in(3) {
                        true => Op::ThreadSwitch(Switch::SuspendThenPromote, CHILD),
                        false => Op::ThreadSuspend,
                    });
                }
            }
            _ => {}
        }
    }

    fn pair(&mut self, body: &mut Vec<Op>, kind: Kind) -> (Slot, Slot) {
        let reader = self.fresh();
        let writer = self.fresh();
        self.holds(reader, Role::Reader(kind));
        self.holds(writer, Role::Writer(kind));
        body.push(Op::New(kind, reader, writer));
        (reader, writer)
    }

    fn copy(&mut self, kind: Kind, side: Side, mode: Mode, end: Slot) -> Op {
        let length = match kind {
            Kind::Stream => self.rng.below(4) as u8,
            Kind::Future => 1,
        };
        Op::Copy {
            kind,
            side,
            mode,
            end,
            length,
        }
    }

    fn call(&mut self, body: &mut Vec<Op>) -> Option<Op> {
        let imports = self.script.imports.len();
        let choices = self.callees.len() + imports;
        if choices == 0 {
            return None;
        }
        let choice = self.rng.below(choices);
        let (target, param, result, typed) = if choice < imports {
            (
                Target::Import(choice as u8),
                Payload::None,
                Payload::None,
                Typed::Async,
            )
        } else {
            let number = usize::from(self.callees[choice - imports]);
            let Function {
                param,
                result,
                typed,
                ..
            } = self.script.functions[number];
            (Target::Function(number as u8), param, result, typed)
        };
        let mode = if typed == Typed::Sync {
            Mode::Sync
        } else {
            self.mode()
        };
        let argument = match Role::of(param) {
            Some(Role::Resource) => match self.operand(Role::Resource) {
                Some(slot) => slot,
                None => {
                    let slot = self.place(Role::Resource);
                    body.push(Op::ResourceNew(slot));
                    slot
                }
            },
            Some(role) => {
                let slot = self.operand(role)?;
                self.forget(slot);
                slot
            }
            None => Slot::Local(0),
        };
        let result = match Role::of(result) {
            Some(role) => self.place(role),
            None => Slot::Local(0),
        };
        let subtask = match mode {
            Mode::Async => self.place(Role::Subtask),
            Mode::Sync => Slot::Local(0),
        };
        Some(Op::Call {
            mode,
            target,
            argument,
            subtask,
            result,
        })
    }

    fn waitable(&mut self) -> Option<Slot> {
        match self.rng.below(2) {
            0 => self.operand(Role::Subtask),
            _ => {
                let (kind, side) = (self.kind(), self.side());
                self.end(kind, side)
            }
        }
    }

    fn set_operation(&mut self, body: &mut Vec<Op>) -> Option<Op> {
        if self.find(Role::Set).is_none() || self.rng.one_in(6) {
            let slot = self.place(Role::Set);
            return Some(Op::SetNew(slot));
        }
        if self.rng.one_in(8) {
            return self.operand(Role::Set).map(Op::SetDrop);
        }
        // Waiting makes sense with something in the set.
        if self.rng.one_in(2)
            && let (Some(waitable), Some(set)) = (self.waitable(), self.find(Role::Set))
        {
            body.push(Op::Join(waitable, set));
        }
        let set = self.operand(Role::Set)?;
        Some(match self.rng.below(4) {
            0 => Op::SetPoll(set),
            1 | 2 if self.lift == Lift::Callback => Op::CodeWait(set),
            _ => Op::SetWait(set),
        })
    }

    fn end_operation(&mut self) -> Option<Op> {
        let (kind, side, mode) = (self.kind(), self.side(), self.mode());
        if self.find(Role::Reader(kind)).is_none() || self.rng.one_in(8) {
            let reader = self.place(Role::Reader(kind));
            let writer = self.place(Role::Writer(kind));
            return Some(Op::New(kind, reader, writer));
        }
        Some(match self.rng.below(12) {
            0..=6 => {
                let end = self.end(kind, side)?;
                self.copy(kind, side, mode, end)
            }
            7 | 8 => Op::CancelCopy(kind, side, mode, self.end(kind, side)?),
            9 | 10 => {
                let slot = self.end(kind, side)?;
                self.forget(slot);
                Op::DropEnd(kind, side, slot)
            }
            _ => {
                let reader = self.end(kind, Side::Reader)?;
                let writer = self.end(kind, Side::Writer)?;
                self.forget(reader);
                self.forget(writer);
                Op::Forward(kind, reader, writer)
            }
        })
    }

    fn thread_operation(&mut self) -> Option<Op> {
        if self.script.threads.is_empty() {
            return None;
        }
        if self.threads > 0 && (self.find(Role::Thread).is_none() || self.rng.one_in(4)) {
            let body = self.rng.below(self.threads) as u8;
            let slot = self.place(Role::Thread);
            return Some(Op::ThreadNew(body, slot));
        }
        Some(match self.rng.below(8) {
            0 => Op::ThreadSuspend,
            1 => Op::ThreadYield,
            2 => {
                let slot = self.place(Role::Thread);
                Op::ThreadIndex(slot)
            }
            3 | 4 => Op::ThreadResumeLater(self.operand(Role::Thread)?),
            _ => {
                let switch = self.rng.pick(&[
                    Switch::SuspendThenResume,
                    Switch::YieldThenResume,
                    Switch::SuspendThenPromote,
                    Switch::YieldThenPromote,
                ]);
                Op::ThreadSwitch(switch, self.operand(Role::Thread)?)
            }
        })
    }
}
