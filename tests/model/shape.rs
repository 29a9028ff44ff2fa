//! What the interpreter guest can do: the ways its functions are lifted, who calls whom, and the
//! operations it knows. The same numbers are in the guest's code and in the scripts it reads.

use trampette_model::script::{
    Element, Function, Import, Kind, Lift, Mode, Op, Payload, Script, Side, Slot, Switch, Target,
    Typed, Wiring,
};

/// The instances that a script may have, and behind them one that only lets others go on.
pub const INSTANCES: usize = 4;
/// The number of that one.
pub const IDLE: u8 = 3;

/// A way to lift a function.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Variant {
    pub lift: Lift,
    pub typed: Typed,
    pub param: Payload,
    pub result: Payload,
}

const LIFTS: [(Lift, Typed); 4] = [
    (Lift::Sync, Typed::Sync),
    (Lift::Sync, Typed::Async),
    (Lift::Callback, Typed::Async),
    (Lift::Stackful, Typed::Async),
];
const PARAMS: [Payload; 4] = [
    Payload::None,
    Payload::Stream,
    Payload::Future,
    Payload::Borrow,
];
const RESULTS: [Payload; 3] = [Payload::None, Payload::Stream, Payload::Future];

impl Variant {
    /// All of them.
    pub fn all() -> impl Iterator<Item = Variant> {
        LIFTS.into_iter().flat_map(|(lift, typed)| {
            PARAMS.into_iter().flat_map(move |param| {
                RESULTS.into_iter().map(move |result| Variant {
                    lift,
                    typed,
                    param,
                    result,
                })
            })
        })
    }

    /// That of a function.
    fn of(function: &Function) -> Variant {
        Variant {
            lift: function.lift,
            typed: function.typed,
            param: function.param,
            result: function.result,
        }
    }
}

/// A lifted function of the guest.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Entry {
    pub instance: u8,
    pub variant: Variant,
    /// The function of the script that alone it is for; otherwise for any of its variant.
    pub function: Option<u8>,
}

impl Entry {
    /// That for a function of a script.
    pub fn of(script: &Script, number: u8, style: Style) -> Entry {
        let function = &script.functions[usize::from(number)];
        Entry {
            instance: function.instance,
            variant: Variant::of(function),
            function: match style {
                Style::Any => None,
                Style::One => Some(number),
            },
        }
    }

    /// What the component calls it.
    pub fn name(self) -> String {
        let Variant {
            lift,
            typed,
            param,
            result,
        } = self.variant;
        let (instance, suffix) = (self.instance, self.suffix());
        format!("i{instance}-{lift}-{typed}-{param}-{result}{suffix}")
    }

    /// What the names of its core functions end with.
    pub fn suffix(self) -> String {
        self.function
            .map_or_else(String::new, |number| format!("-f{number}"))
    }
}

/// What a guest is made for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Style {
    /// Any script: all that there is can happen in each of its functions.
    Any,
    /// One script: it has no code for anything else.
    One,
}

/// What one instance of a guest has.
pub struct Part {
    pub number: u8,
    pub entries: Vec<Entry>,
    /// Operations, in the order of their numbers.
    pub codes: Vec<Code>,
    /// What it calls, in the order of its table.
    pub calls: Vec<(Mode, Entry)>,
}

impl Part {
    /// Those of a guest for any script.
    pub fn any() -> Vec<Part> {
        (0..=IDLE)
            .map(|number| {
                let entry = |variant| Entry {
                    instance: number,
                    variant,
                    function: None,
                };
                let variants = Variant::all().filter(|variant| has(number, *variant));
                Part {
                    number,
                    entries: variants.map(entry).collect(),
                    codes: codes(number),
                    calls: calls(number).collect(),
                }
            })
            .collect()
    }

    /// Those of a guest for one script.
    pub fn one(script: &Script) -> Vec<Part> {
        let used = |number: &u8| {
            *number == 0
                || script
                    .functions
                    .iter()
                    .any(|function| function.instance == *number)
        };
        (0..=IDLE)
            .filter(used)
            .map(|number| {
                let mut part = Part {
                    number,
                    entries: Vec::new(),
                    codes: Vec::new(),
                    calls: Vec::new(),
                };
                for (place, function) in script.functions.iter().enumerate() {
                    if function.instance == number {
                        part.entries
                            .push(Entry::of(script, place as u8, Style::One));
                        part.add(script, &function.body);
                        part.add(script, &function.post);
                    }
                }
                if part.makes_threads() {
                    script
                        .threads
                        .iter()
                        .for_each(|body| part.add(script, body));
                }
                part
            })
            .collect()
    }

    /// Whether it makes explicit threads.
    pub fn makes_threads(&self) -> bool {
        self.codes.contains(&Code::ThreadNew)
    }

    fn add(&mut self, script: &Script, body: &[Op]) {
        for op in body {
            let code = code_of(script, op, Style::One);
            if !self.codes.contains(&code) {
                self.codes.push(code);
                if let Code::Call(mode, entry) = code {
                    self.calls.push((mode, entry));
                }
            }
        }
    }
}

/// The number of a payload in the guest's code.
pub fn payload_number(payload: Payload) -> u32 {
    match payload {
        Payload::None => 0,
        Payload::Stream => 1,
        Payload::Future => 2,
        Payload::Borrow => 3,
    }
}

/// Which host function a call of an import goes to.
pub const IMPORTS: [&str; 3] = ["ready", "later", "never"];

/// An operation of the guest, without operands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Code {
    /// Calls a function of an instance.
    Call(Mode, Entry),
    /// Calls a function of the host.
    Import(Mode, usize),
    Return,
    Finish,
    TaskCancel,
    Unreachable,
    Exit,
    Wait,
    Yield,
    Bad,
    SetNew,
    SetWait,
    SetPoll,
    SetDrop,
    Join,
    Leave,
    SubtaskCancel(Mode),
    SubtaskDrop,
    BackpressureInc,
    BackpressureDec,
    New(Kind),
    Copy(Kind, Side, Mode),
    CancelCopy(Kind, Side, Mode),
    DropEnd(Kind, Side),
    Forward(Kind),
    ContextSet,
    ContextGet,
    ThreadIndex,
    ThreadNew,
    ThreadResumeLater,
    ThreadSuspend,
    ThreadYield,
    ThreadSwitch(Switch),
    Move,
    Let,
    ResourceNew,
    ResourceDrop,
}

pub const MODES: [Mode; 2] = [Mode::Sync, Mode::Async];
pub const KINDS: [Kind; 2] = [Kind::Stream, Kind::Future];
pub const SIDES: [Side; 2] = [Side::Reader, Side::Writer];
pub const SWITCHES: [Switch; 4] = [
    Switch::SuspendThenResume,
    Switch::YieldThenResume,
    Switch::SuspendThenPromote,
    Switch::YieldThenPromote,
];

/// Whether an instance's functions are lifted in this way.
fn has(instance: u8, variant: Variant) -> bool {
    match instance {
        IDLE => {
            variant.lift == Lift::Stackful
                && variant.param == Payload::None
                && variant.result == Payload::None
        }
        _ => true,
    }
}

/// All operations of an instance, in the order of their numbers.
fn codes(instance: u8) -> Vec<Code> {
    let mut codes = vec![
        Code::Return,
        Code::Finish,
        Code::TaskCancel,
        Code::Unreachable,
        Code::Exit,
        Code::Wait,
        Code::Yield,
        Code::Bad,
        Code::SetNew,
        Code::SetWait,
        Code::SetPoll,
        Code::SetDrop,
        Code::Join,
        Code::Leave,
        Code::SubtaskDrop,
        Code::BackpressureInc,
        Code::BackpressureDec,
        Code::ContextSet,
        Code::ContextGet,
        Code::ThreadIndex,
        Code::ThreadNew,
        Code::ThreadResumeLater,
        Code::ThreadSuspend,
        Code::ThreadYield,
        Code::Move,
        Code::Let,
        Code::ResourceNew,
        Code::ResourceDrop,
    ];
    codes.extend(SWITCHES.map(Code::ThreadSwitch));
    codes.extend(MODES.map(Code::SubtaskCancel));
    for kind in KINDS {
        codes.extend([Code::New(kind), Code::Forward(kind)]);
        for side in SIDES {
            codes.push(Code::DropEnd(kind, side));
            for mode in MODES {
                codes.push(Code::Copy(kind, side, mode));
                codes.push(Code::CancelCopy(kind, side, mode));
            }
        }
    }
    for mode in MODES {
        codes.extend((0..IMPORTS.len()).map(|import| Code::Import(mode, import)));
    }
    codes.extend(calls(instance).map(|(mode, entry)| Code::Call(mode, entry)));
    codes
}

/// What an instance can call.
fn calls(instance: u8) -> impl Iterator<Item = (Mode, Entry)> {
    let callees =
        (0..IDLE).filter(move |callee| instance != IDLE && Wiring::Tree.allows(instance, *callee));
    callees.flat_map(|callee| {
        Variant::all().flat_map(move |variant| {
            let fits = move |mode: &Mode| *mode == Mode::Sync || variant.typed == Typed::Async;
            MODES.into_iter().filter(fits).map(move |mode| {
                let entry = Entry {
                    instance: callee,
                    variant,
                    function: None,
                };
                (mode, entry)
            })
        })
    })
}

/// What an operation of a script is to the guest.
pub fn code_of(script: &Script, op: &Op, style: Style) -> Code {
    match *op {
        Op::Call {
            mode,
            target: Target::Function(callee),
            ..
        } => Code::Call(mode, Entry::of(script, callee, style)),
        Op::Call {
            mode,
            target: Target::Import(import),
            ..
        } => Code::Import(
            mode,
            match script.imports[usize::from(import)] {
                Import::Ready => 0,
                Import::Later => 1,
                Import::Never => 2,
            },
        ),
        Op::Return(_) => Code::Return,
        Op::Finish(_) => Code::Finish,
        Op::TaskCancel => Code::TaskCancel,
        Op::Unreachable => Code::Unreachable,
        Op::CodeExit => Code::Exit,
        Op::CodeWait(_) => Code::Wait,
        Op::CodeYield => Code::Yield,
        Op::CodeBad(_) => Code::Bad,
        Op::SetNew(_) => Code::SetNew,
        Op::SetWait(_) => Code::SetWait,
        Op::SetPoll(_) => Code::SetPoll,
        Op::SetDrop(_) => Code::SetDrop,
        Op::Join(..) => Code::Join,
        Op::Leave(_) => Code::Leave,
        Op::SubtaskCancel(mode, _) => Code::SubtaskCancel(mode),
        Op::SubtaskDrop(_) => Code::SubtaskDrop,
        Op::BackpressureInc => Code::BackpressureInc,
        Op::BackpressureDec => Code::BackpressureDec,
        Op::New(kind, ..) => Code::New(kind),
        Op::Copy {
            kind, side, mode, ..
        } => Code::Copy(kind, side, mode),
        Op::CancelCopy(kind, side, mode, _) => Code::CancelCopy(kind, side, mode),
        Op::DropEnd(kind, side, _) => Code::DropEnd(kind, side),
        Op::Forward(kind, ..) => Code::Forward(kind),
        Op::ContextSet(_) => Code::ContextSet,
        Op::ContextGet => Code::ContextGet,
        Op::ThreadIndex(_) => Code::ThreadIndex,
        Op::ThreadNew(..) => Code::ThreadNew,
        Op::ThreadResumeLater(_) => Code::ThreadResumeLater,
        Op::ThreadSuspend => Code::ThreadSuspend,
        Op::ThreadYield => Code::ThreadYield,
        Op::ThreadSwitch(switch, _) => Code::ThreadSwitch(switch),
        Op::Move(..) => Code::Move,
        Op::Let(..) => Code::Let,
        Op::ResourceNew(_) => Code::ResourceNew,
        Op::ResourceDrop(_) => Code::ResourceDrop,
    }
}

/// How WIT writes what a script's streams and futures carry.
pub fn element(element: Element) -> &'static str {
    match element {
        Element::Unit => "",
        Element::U32 => " u32",
        // No stream is of characters yet (`async/validate-no-stream-char`).
        Element::Char => " bool",
    }
}

/// Where an instance keeps what it reads of a script, in its memory.
pub const IMAGE: u32 = 1024;
/// Bytes of a function's part, at [`IMAGE`]; and functions of a script, at most.
const FUNCTION_BYTES: u32 = 32;
const FUNCTIONS: usize = 8;
/// Where the bodies of threads are named.
pub const THREADS: u32 = IMAGE + FUNCTION_BYTES * FUNCTIONS as u32;
const THREAD_BYTES: u32 = 8;
const MOST_THREADS: usize = 4;
/// Words of 64 bits before the operations, each of which is one.
const HEAD: usize = (THREADS - IMAGE + THREAD_BYTES * MOST_THREADS as u32) as usize / 8;

/// A script as one of its instances reads it; nothing, if it has no functions.
pub fn image(script: &Script, style: Style, part: &Part) -> Vec<u64> {
    let instance = part.number;
    let functions = || script.functions.iter().enumerate();
    if functions().all(|(_, function)| function.instance != instance) {
        return Vec::new();
    }
    assert!(script.functions.len() <= FUNCTIONS && script.threads.len() <= MOST_THREADS);
    let mut words = vec![0; HEAD];
    let place = |words: &mut Vec<u64>, at: usize, body: &[Op]| {
        let begin = IMAGE as usize + words.len() * 8;
        words.extend(
            body.iter()
                .map(|op| operation(script, op, style, &part.codes)),
        );
        words[at] = begin as u64 | (body.len() as u64) << 32;
    };
    for (number, function) in functions() {
        if function.instance != instance {
            continue;
        }
        let at = number * FUNCTION_BYTES as usize / 8;
        place(&mut words, at, &function.body);
        place(&mut words, at + 1, &function.post);
        let is_sync = u64::from(function.lift == Lift::Sync);
        words[at + 2] = is_sync | u64::from(payload_number(function.result)) << 32;
    }
    let threads = script.threads.iter().enumerate();
    for (number, body) in threads.filter(|_| part.makes_threads()) {
        // A thread of any instance can run it: it calls none.
        let at = (THREADS - IMAGE) as usize / 8 + number;
        place(&mut words, at, body);
    }
    words
}

/// An operation: its number, its slots, which of them must not be empty, and a number.
fn operation(script: &Script, op: &Op, style: Style, codes: &[Code]) -> u64 {
    let code = code_of(script, op, style);
    let code = codes.iter().position(|other| *other == code);
    let code = code.unwrap_or_else(|| panic!("the guest does not know `{op}`"));
    let mut copy = *op;
    let slots: Vec<Slot> = copy.slots_mut().into_iter().map(|slot| *slot).collect();
    let number = |slot: Option<&Slot>| match slot {
        Some(Slot::Local(local)) => u32::from(*local),
        Some(Slot::Global(global)) => 8 + u32::from(*global),
        None => 0,
    };
    let needs_argument = match op {
        Op::Call {
            target: Target::Function(callee),
            ..
        } => script.functions[usize::from(*callee)].param != Payload::None,
        _ => false,
    };
    let needed = match op.handles() {
        [Some(_), Some(_)] => 3,
        [Some(_), None] => 1,
        _ => u32::from(needs_argument),
    };
    let immediate = match *op {
        Op::Call {
            target: Target::Function(callee),
            ..
        } => u32::from(callee),
        Op::Call {
            target: Target::Import(import),
            ..
        } => u32::from(import),
        Op::Copy { length, .. } => u32::from(length),
        Op::CodeBad(code) => u32::from(code),
        Op::ContextSet(value) | Op::Let(value, _) => u32::from(value),
        Op::ThreadNew(body, _) => u32::from(body),
        _ => 0,
    };
    let [a, b, c] = [0, 1, 2].map(|index| number(slots.get(index)));
    let low = code as u32 | a << 16 | b << 24;
    u64::from(low) | u64::from(c | needed << 8 | immediate << 16) << 32
}
