//! Runs a script in the runtime: instantiates the guest, makes the host's calls, and puts what the
//! guest and the host have seen into the words of the model's traces.

use crate::guest;
use crate::interpreter::{LATE, LATE_BYTES, LATE_COUNT, MAGIC, Tells};
use crate::shape::{self, Entry, INSTANCES, Part, Style};
use anyhow::{Context, Result, ensure};
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::OnceLock;
use trampette_model::script::{
    Element, Function, HostOp, Kind, Lift, Op, Payload, Script, Side, Target,
};
use trampette_model::trace::{
    Answer, CopyResult, Delivered, End, Event, Label, Place, Resolution, SubtaskState,
};
use trampette_runtime::{
    Component, Instance, InstancePre, InterruptHandle, Linker, Store, StoreLimits, Trap, TrapCode,
    testing,
};

/// What was told, in order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Line {
    /// By a guest: what it is and of which instance, the thread's frame, the position, and answers.
    Guest([u32; 6]),
    /// The host calls a function.
    Call(u32),
    /// A guest calls this function of the host.
    Import(u32),
}

/// What a store of these tests has.
#[derive(Default)]
pub struct State {
    images: [Vec<u64>; INSTANCES],
    lines: Vec<Line>,
    /// What is to go wrong.
    pub fault: Option<Fault>,
    /// The limits of the store once there is an instance.
    pub limits: Option<StoreLimits>,
    /// Stops what runs in the store.
    pub handle: Option<InterruptHandle>,
}

/// A store in which whatever can go wrong may do so.
pub fn store() -> Store<State> {
    let mut store = Store::new(State::default());
    let handle = store.interrupt_handle().unwrap();
    store.data_mut().handle = Some(handle);
    store
}

/// Something that goes wrong when a guest has told so many lines.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fault {
    pub at: usize,
    pub how: How,
}

/// What goes wrong in the host function.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum How {
    Error,
    Panic,
    Interrupt,
}

/// The guest, ready for scripts of any element.
pub struct Guests {
    guests: [OnceLock<InstancePre<State>>; 3],
    parts: Vec<Part>,
}

/// What a run was like.
pub struct Outcome {
    /// The trace, a line an event.
    pub trace: Vec<String>,
    /// Lines that the guest has told.
    pub told: usize,
    /// Why the host has stopped.
    pub failure: Option<Failure>,
    /// The instance, and a function of it without parameters.
    instance: Instance,
    function: String,
}

/// Why a call failed.
pub enum Failure {
    /// An error, perhaps a trap.
    Error(anyhow::Error),
    /// The host has panicked.
    Panic,
}

impl Failure {
    /// The trap, if it was one.
    pub fn trap(&self) -> Option<TrapCode> {
        match self {
            Failure::Error(error) => Some(error.downcast_ref::<Trap>()?.kind()),
            Failure::Panic => None,
        }
    }

    /// How a trace ends with it.
    fn text(&self) -> String {
        match self {
            Failure::Error(error) => {
                let trap = error.downcast_ref::<Trap>().map(Trap::to_string);
                let text = trap.unwrap_or_else(|| error.root_cause().to_string());
                let text = text.lines().next().unwrap_or_default();
                format!("trap {}", text.strip_prefix("wasm trap: ").unwrap_or(text))
            }
            Failure::Panic => "panic".to_owned(),
        }
    }
}

impl Outcome {
    /// Whether something was done of the host's last call.
    pub fn has_begun(&self) -> bool {
        let last = self.trace.iter().nth_back(1);
        !last.is_some_and(|line| line.starts_with('c') && line.contains(" call "))
    }

    /// Calls a function of the instance once more.
    pub fn call_again(&self, store: &mut Store<State>) -> Result<()> {
        let function = self.function.as_str();
        let function = self
            .instance
            .get_typed_func::<(u32,), ()>(&mut *store, function)?;
        function.call(store, (0,))
    }
}

impl Guests {
    /// None is compiled yet.
    pub fn new() -> Guests {
        Guests {
            guests: Default::default(),
            parts: Part::any(),
        }
    }

    /// That for scripts whose streams carry these elements.
    fn of(&self, element: Element) -> &InstancePre<State> {
        let place = match element {
            Element::Unit => 0,
            Element::U32 => 1,
            Element::Char => 2,
        };
        let new = || guest(element, None).unwrap_or_else(|error| panic!("{error:?}"));
        self.guests[place].get_or_init(new)
    }

    /// Has so many instances of each of them at one time, so that all that a component keeps for
    /// its next instances is there afterwards.
    pub fn fill_pools(&self, instances: usize) -> Result<()> {
        let mut store = store();
        for element in [Element::Unit, Element::U32, Element::Char] {
            for _ in 0..instances {
                self.of(element).instantiate(&mut store)?;
            }
        }
        Ok(())
    }

    /// Runs a script in an instance of its own.
    pub fn run(&self, script: &Script, store: &mut Store<State>) -> Result<Outcome> {
        let guest = self.of(script.element);
        run(guest, &self.parts, Style::Any, script, store)
    }
}

/// Runs a script in a guest that is made for it alone.
pub fn run_alone(script: &Script, store: &mut Store<State>) -> Result<Outcome> {
    let guest = guest(script.element, Some(script))?;
    run(&guest, &Part::one(script), Style::One, script, store)
}

fn run(
    guest: &InstancePre<State>,
    parts: &[Part],
    style: Style,
    script: &Script,
    store: &mut Store<State>,
) -> Result<Outcome> {
    let state = store.data_mut();
    state.lines.clear();
    state.images = Default::default();
    for part in parts {
        state.images[usize::from(part.number)] = shape::image(script, style, part);
    }
    let instance = guest.instantiate(&mut *store)?;
    if let Some(limits) = store.data_mut().limits.take() {
        store.set_limits(limits);
    }
    let mut failure = None;
    let mut returned = 0;
    let mut called = String::new();
    for (call, op) in script.host.iter().enumerate() {
        let HostOp::Call(number) = *op else {
            anyhow::bail!("the host cannot `{op}` yet");
        };
        called = Entry::of(script, number, style).name();
        let callee = instance.get_typed_func::<(u32,), ()>(&mut *store, called.as_str())?;
        store.data_mut().lines.push(Line::Call(number.into()));
        let argument = u32::from(number) | (call as u32 + 1) << 16;
        let call = AssertUnwindSafe(|| callee.call(&mut *store, (argument,)));
        failure = match catch_unwind(call) {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(Failure::Error(error)),
            Err(_) => Some(Failure::Panic),
        };
        if failure.is_some() {
            break;
        }
        returned += 1;
    }
    let late = late(script, store, &instance);
    let lines = std::mem::take(&mut store.data_mut().lines);
    let guest = |line: &&Line| matches!(line, Line::Guest(_));
    let told = lines.iter().filter(guest).count();
    let mut telling = Telling {
        script,
        events: Vec::new(),
        threads: HashMap::new(),
        tasks: 0,
        calls: 0,
        imports: 0,
        returned: 0,
        late,
    };
    for line in lines {
        telling.line(line)?;
    }
    let mut trace: Vec<String> = telling.events.iter().map(Event::to_string).collect();
    let finished = || End::Finished.to_string();
    trace.push(failure.as_ref().map_or_else(finished, Failure::text));
    ensure!(
        returned <= telling.returned,
        "{returned} calls returned, of which the guest knows {}:\n{}",
        telling.returned,
        trace.join("\n")
    );
    Ok(Outcome {
        trace,
        told,
        failure,
        instance,
        function: called,
    })
}

/// What `post-return`s of a script have told.
fn late(script: &Script, store: &Store<State>, instance: &Instance) -> [Vec<[u32; 6]>; INSTANCES] {
    let mut late: [Vec<[u32; 6]>; INSTANCES] = Default::default();
    if script
        .functions
        .iter()
        .all(|function| function.post.is_empty())
    {
        return late;
    }
    let mut memory = vec![0; LATE + LATE_BYTES];
    let mut number = 0;
    while testing::read_memory(store, instance, number, &mut memory).is_some() {
        let magic = word(&memory, 0);
        if magic & 0xffff_0000 == MAGIC {
            late[(magic & 0xffff) as usize] = late_lines(&memory);
        }
        number += 1;
    }
    late
}

fn guest(element: Element, script: Option<&Script>) -> Result<InstancePre<State>> {
    let text = guest::component(element, script);
    let wasm = wat::parse_str(&text)?;
    let options = trampette::CompileOptions {
        proposals: trampette::options::Proposals::all(),
        ..trampette::CompileOptions::default()
    };
    let component: Component = trampette::compile_component(&wasm, &options)?.load()?;
    let mut linker = Linker::<State>::new();
    let mut root = linker.root();
    root.func_wrap::<(u32, u32, u32, u32, u32, u32), (), _>(
        "log",
        |mut caller, (what, who, at, a, b, c)| {
            let state = caller.data_mut();
            state.lines.push(Line::Guest([what, who, at, a, b, c]));
            match &mut state.fault {
                None => Ok(()),
                Some(fault) if fault.at > 1 => {
                    fault.at -= 1;
                    Ok(())
                }
                Some(fault) => {
                    let how = fault.how;
                    state.fault = None;
                    fail(how, state.handle.as_ref())
                }
            }
        },
    )?;
    root.func_wrap::<(u32, u32), u64, _>("fetch", |caller, (instance, at)| {
        let image = &caller.data().images[instance as usize];
        Ok(match at {
            u32::MAX => image.len() as u64,
            _ => image[at as usize],
        })
    })?;
    for name in shape::IMPORTS {
        root.func_wrap::<(u32,), (), _>(name, |mut caller, (number,)| {
            caller.data_mut().lines.push(Line::Import(number));
            Ok(())
        })?;
    }
    linker.instantiate_pre(&component)
}

/// Goes wrong in this way.
fn fail(how: How, handle: Option<&InterruptHandle>) -> Result<()> {
    match how {
        How::Error => Err(anyhow::anyhow!("the host fails")),
        How::Panic => std::panic::resume_unwind(Box::new("the host panics")),
        How::Interrupt => {
            let interrupted = handle.is_some_and(InterruptHandle::interrupt);
            ensure!(interrupted, "nothing is interrupted");
            Ok(())
        }
    }
}

fn word(memory: &[u8], at: usize) -> u32 {
    let bytes = memory
        .get(at..at + 4)
        .and_then(|bytes| bytes.try_into().ok());
    bytes.map_or(0, u32::from_le_bytes)
}

/// What `post-return`s have told.
fn late_lines(memory: &[u8]) -> Vec<[u32; 6]> {
    let count = word(memory, LATE_COUNT) as usize;
    (0..count)
        .map(|line| [0, 1, 2, 3, 4, 5].map(|index| word(memory, LATE + line * 24 + index * 4)))
        .collect()
}

/// A thread that has begun.
#[derive(Clone, Copy)]
struct Known {
    label: Label,
    /// The function of its task.
    function: u8,
    /// The body that it runs, if it is an explicit one.
    body: Option<u8>,
    /// The host's call whose task it belongs to.
    call: Option<u32>,
}

/// Makes a trace.
struct Telling<'a> {
    script: &'a Script,
    events: Vec<Event>,
    threads: HashMap<(u32, u32), Known>,
    tasks: u32,
    calls: u32,
    imports: u32,
    returned: u32,
    late: [Vec<[u32; 6]>; INSTANCES],
}

impl Telling<'_> {
    fn line(&mut self, line: Line) -> Result<()> {
        match line {
            Line::Call(function) => {
                self.events
                    .push(Event::HostCall(self.calls, function as u8));
                self.calls += 1;
            }
            Line::Import(import) => {
                self.events
                    .push(Event::ImportCall(self.imports, import as u8));
                let how = Resolution::Returned;
                self.events.push(Event::ImportResolve(self.imports, how));
                self.imports += 1;
            }
            Line::Guest(words) => self.guest(words)?,
        }
        Ok(())
    }

    fn guest(&mut self, words: [u32; 6]) -> Result<()> {
        let [what, frame, at, a, b, c] = words;
        let (tells, instance) = (what & 0xff, what >> 8);
        if tells == Tells::Start as u32 {
            let label = Label {
                task: self.tasks,
                thread: 0,
            };
            self.tasks += 1;
            let known = Known {
                label,
                function: a as u8,
                body: None,
                call: (a >> 16).checked_sub(1),
            };
            self.threads.insert((instance, frame), known);
            self.events.push(Event::Start(label));
            return Ok(());
        }
        if tells == Tells::ThreadStart as u32 {
            let task = self.threads.get(&(instance, a)).context("a task")?;
            let known = Known {
                label: Label {
                    task: task.label.task,
                    thread: at,
                },
                body: Some(b as u8),
                ..*task
            };
            self.threads.insert((instance, frame), known);
            self.events.push(Event::Start(known.label));
            return Ok(());
        }
        let known = *self.threads.get(&(instance, frame)).context("a thread")?;
        let function = &self.script.functions[usize::from(known.function)];
        if tells == Tells::Callback as u32 {
            let event = Event::Callback(known.label, delivered([a, b, c])?);
            self.events.push(event);
        } else if tells == Tells::Exit as u32 {
            self.events.push(Event::Exit(known.label));
            if known.body.is_none() && function.lift == Lift::Sync {
                self.after_exit(instance, frame, known, function)?;
            }
        } else {
            let body = match known.body {
                None => &function.body,
                Some(body) => &self.script.threads[usize::from(body)],
            };
            let op = *body.get(at as usize).context("an operation")?;
            let answer = match tells {
                _ if tells == Tells::Skipped as u32 => Answer::Skipped,
                _ => self.answer(op, [a, b, c])?,
            };
            if answer != Answer::Skipped {
                self.resolution(op, known, function);
            }
            let event = Event::Did(known.label, Place::Body(at), op, answer);
            self.events.push(event);
        }
        Ok(())
    }

    /// An operation may have given the result of a call of the host's.
    fn resolution(&mut self, op: Op, known: Known, function: &Function) {
        let (Some(call), false) = (known.call, function.lift == Lift::Sync) else {
            return;
        };
        let told = || {
            let cancelled = Event::Callback(
                Label {
                    thread: 0,
                    ..known.label
                },
                Delivered::TaskCancelled,
            );
            self.events.contains(&cancelled)
        };
        let how = match op {
            Op::TaskCancel => Resolution::Cancelled,
            Op::Finish(_) if told() => Resolution::Cancelled,
            Op::Return(_) | Op::Finish(_) => Resolution::Returned,
            _ => return,
        };
        self.returned += u32::from(how == Resolution::Returned);
        self.events.push(Event::HostResolve(call, how));
    }

    /// What comes after a core function that was lifted without `async`: the host gets its result,
    /// and `post-return` runs.
    fn after_exit(
        &mut self,
        instance: u32,
        frame: u32,
        known: Known,
        function: &Function,
    ) -> Result<()> {
        if let Some(call) = known.call {
            self.returned += 1;
            self.events
                .push(Event::HostResolve(call, Resolution::Returned));
        }
        let late: Vec<_> = self.late[instance as usize]
            .iter()
            .copied()
            .filter(|line| line[1] == frame)
            .collect();
        for [what, _, at, a, b, c] in late {
            let op = *function.post.get(at as usize).context("an operation")?;
            let answer = match what & 0xff {
                skipped if skipped == Tells::Skipped as u32 => Answer::Skipped,
                _ => self.answer(op, [a, b, c])?,
            };
            let event = Event::Did(known.label, Place::Post(at), op, answer);
            self.events.push(event);
        }
        Ok(())
    }

    fn answer(&self, op: Op, [a, b, c]: [u32; 3]) -> Result<Answer> {
        use trampette_model::script::Mode;
        Ok(match op {
            Op::Call {
                mode: Mode::Sync,
                target,
                ..
            } => match target {
                Target::Function(callee)
                    if self.script.functions[usize::from(callee)].result != Payload::None =>
                {
                    Answer::Number(a)
                }
                _ => Answer::Nothing,
            },
            Op::Call { .. } => {
                let handle = Some(a >> 4).filter(|handle| *handle != 0);
                Answer::Subtask(subtask_state(a & 15)?, handle)
            }
            Op::SubtaskCancel(..) if a == u32::MAX => Answer::Blocked,
            Op::SubtaskCancel(..) => Answer::Subtask(subtask_state(a)?, None),
            Op::SetWait(_) | Op::SetPoll(_) => Answer::Event(delivered([a, b, c])?),
            Op::New(..) => Answer::Ends(a, b),
            Op::Copy { .. } | Op::CancelCopy(..) if a == u32::MAX => Answer::Blocked,
            Op::Copy { kind, .. } | Op::CancelCopy(kind, ..) => {
                Answer::Copied(kind, copy_result(a & 15)?, a >> 4)
            }
            Op::SetNew(_)
            | Op::ContextGet
            | Op::ThreadIndex(_)
            | Op::ThreadNew(..)
            | Op::ThreadSuspend
            | Op::ThreadYield
            | Op::ThreadSwitch(..)
            | Op::ResourceNew(_) => Answer::Number(a),
            _ => Answer::Nothing,
        })
    }
}

fn subtask_state(code: u32) -> Result<SubtaskState> {
    Ok(match code {
        0 => SubtaskState::Starting,
        1 => SubtaskState::Started,
        2 => SubtaskState::Returned,
        3 => SubtaskState::CancelledBeforeStarted,
        4 => SubtaskState::CancelledBeforeReturned,
        other => anyhow::bail!("{other} is no state of a subtask"),
    })
}

fn copy_result(code: u32) -> Result<CopyResult> {
    Ok(match code {
        0 => CopyResult::Completed,
        1 => CopyResult::Dropped,
        2 => CopyResult::Cancelled,
        other => anyhow::bail!("{other} is no result of a copy"),
    })
}

fn delivered([code, first, second]: [u32; 3]) -> Result<Delivered> {
    let copy = |kind, side| -> Result<Delivered> {
        Ok(Delivered::Copy {
            kind,
            side,
            index: first,
            result: copy_result(second & 15)?,
            progress: second >> 4,
        })
    };
    Ok(match code {
        0 => Delivered::None,
        1 => Delivered::Subtask(first, subtask_state(second)?),
        2 => copy(Kind::Stream, Side::Reader)?,
        3 => copy(Kind::Stream, Side::Writer)?,
        4 => copy(Kind::Future, Side::Reader)?,
        5 => copy(Kind::Future, Side::Writer)?,
        6 => Delivered::TaskCancelled,
        other => anyhow::bail!("{other} is no event"),
    })
}
