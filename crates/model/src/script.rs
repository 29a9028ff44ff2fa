//! What a script says: a few component instances, what their functions do, and what the host calls.
//!
//! A script is plain data. [`crate::text`] gives it a form to read and write, [`crate::generate`]
//! makes scripts, and [`crate::machine`] runs them. Bodies have no loops, so that every run ends;
//! what varies is who runs when. They branch in two places: [`Op::Finish`] depends on what the task
//! was told, and an operation on a slot that holds 0 where a handle should be is skipped, because
//! there is nothing to do (a call that returned at once leaves no subtask, for instance).

/// Slots of a task, all zero when it starts; a function's argument is in the first.
pub const LOCALS: u8 = 6;
/// Slots that the tasks of an instance share.
pub const GLOBALS: u8 = 4;

/// A whole script.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Script {
    /// What all streams and futures of the script carry.
    pub element: Element,
    /// Functions of the host, of async type, without parameters and results.
    pub imports: Vec<Import>,
    /// Lifted functions of the instances.
    pub functions: Vec<Function>,
    /// What explicit threads run.
    pub threads: Vec<Vec<Op>>,
    /// What the host does.
    pub host: Vec<HostOp>,
}

/// What streams and futures carry.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Element {
    /// Nothing: only how many.
    Unit,
    /// A number: may be copied inside of one instance.
    #[default]
    U32,
    /// Neither a number nor nothing: must not be copied inside of one instance.
    Char,
}

/// When a function of the host is done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Import {
    /// At once.
    Ready,
    /// Whenever the host's loop comes to it.
    Later,
    /// Never.
    Never,
}

/// How a function is lifted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lift {
    /// Without `async`: the core function returns the result.
    Sync,
    /// `async` with a callback: the core function returns what to wait for.
    Callback,
    /// `async` without callback: the core function may block.
    Stackful,
}

/// Whether a function's type is `async`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Typed {
    /// It is not: the function must return before it blocks for good.
    Sync,
    /// It is.
    Async,
}

/// The type of a parameter or of a result.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Payload {
    /// None.
    None,
    /// The readable end of a stream.
    Stream,
    /// The readable end of a future.
    Future,
    /// A borrowed resource; only of a parameter.
    Borrow,
}

/// A lifted function.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Function {
    /// The instance that it belongs to.
    pub instance: u8,
    /// How it is lifted.
    pub lift: Lift,
    /// Its type's kind: only async types are lifted with `async`.
    pub typed: Typed,
    /// Its parameter.
    pub param: Payload,
    /// Its result.
    pub result: Payload,
    /// What it does. If it has a callback, a code ends a call and the next call goes on after it.
    pub body: Vec<Op>,
    /// What its `post-return` does; only for [`Lift::Sync`].
    pub post: Vec<Op>,
}

/// A word that operations read and write, usually a handle.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Slot {
    /// Of the task, below [`LOCALS`].
    Local(u8),
    /// Of the instance, below [`GLOBALS`].
    Global(u8),
}

/// Who is called.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Target {
    /// A function of the script.
    Function(u8),
    /// A function of the host.
    Import(u8),
}

/// Whether an operation has the option `async`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Mode {
    /// It blocks until it is done.
    Sync,
    /// It says so if it is not done.
    Async,
}

/// A pair of ends.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Kind {
    /// Of a stream.
    Stream,
    /// Of a future.
    Future,
}

/// One of two ends.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Side {
    /// What reads.
    Reader,
    /// What writes.
    Writer,
}

/// How a thread gives way to another one that it names.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Switch {
    /// Until somebody resumes it.
    SuspendThenResume,
    /// Ready at once.
    YieldThenResume,
    /// The other one only if it is ready.
    SuspendThenPromote,
    /// Ready at once, the other one only if it is ready.
    YieldThenPromote,
}

/// An operation of a body.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Op {
    /// Calls a function. The argument is read if the function has one; a result and a subtask's
    /// handle are stored when there are any.
    Call {
        /// How it is lowered.
        mode: Mode,
        /// Who is called.
        target: Target,
        /// What is given.
        argument: Slot,
        /// Where a subtask's handle goes.
        subtask: Slot,
        /// Where the result goes, whenever there is one.
        result: Slot,
    },
    /// `task.return`; in a body that is lifted without `async`: returns from the core function.
    Return(Slot),
    /// `task.cancel` if the task was told to, else [`Op::Return`].
    Finish(Slot),
    /// `task.cancel`.
    TaskCancel,
    /// Traps.
    Unreachable,
    /// The callback's code that ends a task.
    CodeExit,
    /// The callback's code that waits for a set.
    CodeWait(Slot),
    /// The callback's code that yields.
    CodeYield,
    /// Some other code of a callback, at most 15.
    CodeBad(u8),
    /// `waitable-set.new`.
    SetNew(Slot),
    /// `waitable-set.wait`.
    SetWait(Slot),
    /// `waitable-set.poll`.
    SetPoll(Slot),
    /// `waitable-set.drop`.
    SetDrop(Slot),
    /// `waitable.join` of a waitable (first) and a set.
    Join(Slot, Slot),
    /// `waitable.join` with no set.
    Leave(Slot),
    /// `subtask.cancel`.
    SubtaskCancel(Mode, Slot),
    /// `subtask.drop`.
    SubtaskDrop(Slot),
    /// `backpressure.inc`.
    BackpressureInc,
    /// `backpressure.dec`.
    BackpressureDec,
    /// `stream.new`, `future.new`: where to store the reader, the writer.
    New(Kind, Slot, Slot),
    /// `{stream,future}.{read,write}` of so many elements; of a future always one.
    Copy {
        /// Of a stream or of a future.
        kind: Kind,
        /// Whether it reads or writes.
        side: Side,
        /// Whether it waits.
        mode: Mode,
        /// The end.
        end: Slot,
        /// The length of the buffer.
        length: u8,
    },
    /// `{stream,future}.cancel-{read,write}`.
    CancelCopy(Kind, Side, Mode, Slot),
    /// `{stream,future}.drop-{readable,writable}`.
    DropEnd(Kind, Side, Slot),
    /// `{stream,future}.forward` from a reader to a writer.
    Forward(Kind, Slot, Slot),
    /// `context.set` of slot 1.
    ContextSet(u8),
    /// `context.get` of slot 1.
    ContextGet,
    /// `thread.index`.
    ThreadIndex(Slot),
    /// `thread.new-indirect` of one of [`Script::threads`].
    ThreadNew(u8, Slot),
    /// `thread.resume-later`.
    ThreadResumeLater(Slot),
    /// `thread.suspend`.
    ThreadSuspend,
    /// `thread.yield`.
    ThreadYield,
    /// `thread.{suspend,yield}-then-{resume,promote}`.
    ThreadSwitch(Switch, Slot),
    /// Copies a slot (first) to another.
    Move(Slot, Slot),
    /// Sets a slot to a number: a handle that may be none.
    Let(u8, Slot),
    /// Makes a resource, which is of a type of some other component, and without a destructor that
    /// could be seen.
    ResourceNew(Slot),
    /// `resource.drop`.
    ResourceDrop(Slot),
}

/// What the host does at its top level. Calls are numbered in the order of their start.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HostOp {
    /// Starts a call of a function without parameter, and waits for it.
    Call(u8),
    /// Starts a call.
    Start(u8),
    /// Drives the store until the call is resolved, and drops its result.
    Await(u8),
    /// Asks that the call be cancelled, unless it is resolved or was asked before.
    Cancel(u8),
    /// Drives the store until nothing is ready.
    Drain,
}

/// Which instances may call which.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wiring {
    /// Any, also themselves. The definitions do not mind.
    Any,
    /// What a component can be wired as: instance 0 is the outer component. It calls all functions,
    /// its own ones too, through a table that it fills once the others are there; the others are
    /// its parts, and call it and the parts before them.
    Tree,
}

impl Wiring {
    /// Whether a function of `caller` can call one of `callee`.
    pub fn allows(self, caller: u8, callee: u8) -> bool {
        match self {
            Wiring::Any => true,
            Wiring::Tree => caller == 0 || callee < caller,
        }
    }
}

impl Function {
    /// Whether a task of the function holds its instance's lock while it runs.
    pub fn needs_exclusive(&self) -> bool {
        self.typed == Typed::Async && self.lift != Lift::Stackful
    }
}

impl Op {
    /// Whether only a body with a callback may have it.
    pub fn is_code(&self) -> bool {
        matches!(
            self,
            Op::CodeExit | Op::CodeWait(_) | Op::CodeYield | Op::CodeBad(_)
        )
    }

    /// Slots that hold handles which it uses, but for a call's argument and for results.
    pub fn handles(&self) -> [Option<Slot>; 2] {
        match *self {
            Op::CodeWait(a)
            | Op::SetWait(a)
            | Op::SetPoll(a)
            | Op::SetDrop(a)
            | Op::Leave(a)
            | Op::SubtaskCancel(_, a)
            | Op::SubtaskDrop(a)
            | Op::Copy { end: a, .. }
            | Op::CancelCopy(_, _, _, a)
            | Op::DropEnd(_, _, a)
            | Op::ThreadResumeLater(a)
            | Op::ThreadSwitch(_, a)
            | Op::ResourceDrop(a) => [Some(a), None],
            Op::Join(a, b) | Op::Forward(_, a, b) => [Some(a), Some(b)],
            _ => [None, None],
        }
    }

    /// All slots that it names.
    pub fn slots_mut(&mut self) -> Vec<&mut Slot> {
        match self {
            Op::Call {
                argument,
                subtask,
                result,
                ..
            } => vec![argument, subtask, result],
            Op::Return(a)
            | Op::Finish(a)
            | Op::CodeWait(a)
            | Op::SetNew(a)
            | Op::SetWait(a)
            | Op::SetPoll(a)
            | Op::SetDrop(a)
            | Op::Leave(a)
            | Op::SubtaskCancel(_, a)
            | Op::SubtaskDrop(a)
            | Op::Copy { end: a, .. }
            | Op::CancelCopy(_, _, _, a)
            | Op::DropEnd(_, _, a)
            | Op::ThreadIndex(a)
            | Op::ThreadNew(_, a)
            | Op::ThreadResumeLater(a)
            | Op::ThreadSwitch(_, a)
            | Op::Let(_, a)
            | Op::ResourceNew(a)
            | Op::ResourceDrop(a) => vec![a],
            Op::Join(a, b) | Op::New(_, a, b) | Op::Forward(_, a, b) | Op::Move(a, b) => vec![a, b],
            Op::TaskCancel
            | Op::Unreachable
            | Op::CodeExit
            | Op::CodeYield
            | Op::CodeBad(_)
            | Op::BackpressureInc
            | Op::BackpressureDec
            | Op::ContextSet(_)
            | Op::ContextGet
            | Op::ThreadSuspend
            | Op::ThreadYield => vec![],
        }
    }
}

impl Script {
    /// How many instances there are.
    pub fn instances(&self) -> usize {
        let last = self.functions.iter().map(|function| function.instance);
        last.max().map_or(0, |last| usize::from(last) + 1)
    }

    /// Whether its functions call each other as `wiring` allows. Bodies of threads call none.
    pub fn is_wired_as(&self, wiring: Wiring) -> bool {
        self.functions.iter().all(|function| {
            let mut ops = function.body.iter().chain(&function.post);
            ops.all(|op| match op {
                Op::Call {
                    target: Target::Function(callee),
                    ..
                } => {
                    let callee = &self.functions[usize::from(*callee)];
                    wiring.allows(function.instance, callee.instance)
                }
                _ => true,
            })
        })
    }

    /// What is wrong with it: references to nothing, options that no component can have.
    pub fn check(&self) -> Result<(), String> {
        for (number, function) in self.functions.iter().enumerate() {
            let name = format!("f{number}");
            if function.lift != Lift::Sync && function.typed == Typed::Sync {
                return Err(format!("{name}: only an async type is lifted with `async`"));
            }
            if function.lift != Lift::Sync && !function.post.is_empty() {
                return Err(format!("{name}: only a sync lift has a post-return"));
            }
            if function.result == Payload::Borrow {
                return Err(format!("{name}: nothing borrowed is returned"));
            }
            self.check_body(&name, &function.body, function.lift)?;
            self.check_body(&name, &function.post, Lift::Stackful)?;
        }
        for (number, body) in self.threads.iter().enumerate() {
            let calls = |op: &Op| {
                matches!(
                    op,
                    Op::Call {
                        target: Target::Function(_),
                        ..
                    }
                )
            };
            if body.iter().any(calls) {
                return Err(format!(
                    "b{number}: threads of any instance run it, so it calls none"
                ));
            }
            self.check_body(&format!("b{number}"), body, Lift::Stackful)?;
        }
        let mut calls = 0;
        for op in &self.host {
            match *op {
                HostOp::Call(function) | HostOp::Start(function) => {
                    let callee = self.functions.get(usize::from(function));
                    if callee.is_none_or(|callee| callee.param != Payload::None) {
                        return Err(format!("the host cannot call f{function}"));
                    }
                    calls += 1;
                }
                HostOp::Await(call) | HostOp::Cancel(call) if call >= calls => {
                    return Err(format!("the host has not made call {call}"));
                }
                HostOp::Await(_) | HostOp::Cancel(_) | HostOp::Drain => {}
            }
        }
        Ok(())
    }

    fn check_body(&self, name: &str, body: &[Op], lift: Lift) -> Result<(), String> {
        for op in body {
            if op.is_code() && lift != Lift::Callback {
                return Err(format!("{name}: `{op}` without a callback"));
            }
            let mut copy = *op;
            for slot in copy.slots_mut() {
                let fine = match *slot {
                    Slot::Local(local) => local < LOCALS,
                    Slot::Global(global) => global < GLOBALS,
                };
                if !fine {
                    return Err(format!("{name}: no slot {slot}"));
                }
            }
            match *op {
                Op::Call {
                    mode,
                    target: Target::Function(callee),
                    ..
                } => {
                    let Some(callee) = self.functions.get(usize::from(callee)) else {
                        return Err(format!("{name}: no function f{callee}"));
                    };
                    if mode == Mode::Async && callee.typed == Typed::Sync {
                        return Err(format!("{name}: an `async` lower of a sync type"));
                    }
                }
                Op::Call {
                    target: Target::Import(import),
                    ..
                } if usize::from(import) >= self.imports.len() => {
                    return Err(format!("{name}: no import h{import}"));
                }
                Op::ThreadNew(body, _) if usize::from(body) >= self.threads.len() => {
                    return Err(format!("{name}: no thread body b{body}"));
                }
                Op::CodeBad(code) if !(3..16).contains(&code) => {
                    return Err(format!("{name}: {code} is a known code or none at all"));
                }
                _ => {}
            }
        }
        Ok(())
    }
}
