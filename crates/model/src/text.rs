//! The text form of scripts, which is read and written without loss.
//!
//! ```text
//! element u32
//! import later
//! function 0 callback async none stream
//!   stream.new -> l0 l1
//!   return l0
//! post
//! thread
//!   thread.yield
//! host
//!   call f0
//!   drain
//! ```
//!
//! A function's line has its instance, its lift, its type, its parameter and its result. Functions
//! are `f0`, `f1`, …, imports `h0`, …, bodies of threads `b0`, … in the order of their lines; `l0`
//! and `g0` are slots of the task and of the instance. Indentation means nothing, and a line that
//! begins with `;` is a comment.

use crate::script::{
    Element, Function, HostOp, Import, Kind, Lift, Mode, Op, Payload, Script, Side, Slot, Switch,
    Target, Typed,
};
use std::fmt::{self, Display, Formatter};
use std::str::FromStr;

/// Words of an enumeration, once for both directions.
macro_rules! words {
    ($type:ty, $($variant:path = $word:literal),+ $(,)?) => {
        impl Display for $type {
            fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $($variant => $word),+ })
            }
        }

        impl FromStr for $type {
            type Err = String;

            fn from_str(word: &str) -> Result<Self, String> {
                match word {
                    $($word => Ok($variant),)+
                    _ => Err(format!("unknown word `{word}`")),
                }
            }
        }
    };
}

words!(
    Element,
    Element::Unit = "unit",
    Element::U32 = "u32",
    Element::Char = "char"
);
words!(
    Import,
    Import::Ready = "ready",
    Import::Later = "later",
    Import::Never = "never"
);
words!(
    Lift,
    Lift::Sync = "sync",
    Lift::Callback = "callback",
    Lift::Stackful = "stackful"
);
words!(Typed, Typed::Sync = "sync", Typed::Async = "async");
words!(Mode, Mode::Sync = "sync", Mode::Async = "async");
words!(Kind, Kind::Stream = "stream", Kind::Future = "future");
words!(
    Payload,
    Payload::None = "none",
    Payload::Stream = "stream",
    Payload::Future = "future",
    Payload::Borrow = "borrow",
);
words!(
    Switch,
    Switch::SuspendThenResume = "suspend-then-resume",
    Switch::YieldThenResume = "yield-then-resume",
    Switch::SuspendThenPromote = "suspend-then-promote",
    Switch::YieldThenPromote = "yield-then-promote",
);

impl Side {
    pub(crate) fn verb(self) -> &'static str {
        match self {
            Side::Reader => "read",
            Side::Writer => "write",
        }
    }

    fn adjective(self) -> &'static str {
        match self {
            Side::Reader => "readable",
            Side::Writer => "writable",
        }
    }
}

/// A number behind a letter.
fn numbered(word: &str, letter: char) -> Result<u8, String> {
    let number = word.strip_prefix(letter).and_then(|rest| rest.parse().ok());
    number.ok_or_else(|| format!("`{word}` is not `{letter}` and a number"))
}

impl Display for Slot {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Slot::Local(number) => write!(f, "l{number}"),
            Slot::Global(number) => write!(f, "g{number}"),
        }
    }
}

impl FromStr for Slot {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        match word.as_bytes().first() {
            Some(b'l') => numbered(word, 'l').map(Slot::Local),
            _ => numbered(word, 'g').map(Slot::Global),
        }
    }
}

impl Display for Target {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Target::Function(number) => write!(f, "f{number}"),
            Target::Import(number) => write!(f, "h{number}"),
        }
    }
}

impl FromStr for Target {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        match word.as_bytes().first() {
            Some(b'f') => numbered(word, 'f').map(Target::Function),
            _ => numbered(word, 'h').map(Target::Import),
        }
    }
}

impl Display for Op {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Op::Call {
                mode: Mode::Sync,
                target,
                argument,
                result,
                ..
            } => {
                write!(f, "call.sync {target} {argument} -> {result}")
            }
            Op::Call {
                mode: Mode::Async,
                target,
                argument,
                subtask,
                result,
            } => {
                write!(f, "call.async {target} {argument} -> {subtask} {result}")
            }
            Op::Return(slot) => write!(f, "return {slot}"),
            Op::Finish(slot) => write!(f, "finish {slot}"),
            Op::TaskCancel => write!(f, "task.cancel"),
            Op::Unreachable => write!(f, "unreachable"),
            Op::CodeExit => write!(f, "code.exit"),
            Op::CodeWait(slot) => write!(f, "code.wait {slot}"),
            Op::CodeYield => write!(f, "code.yield"),
            Op::CodeBad(code) => write!(f, "code.bad {code}"),
            Op::SetNew(slot) => write!(f, "set.new -> {slot}"),
            Op::SetWait(slot) => write!(f, "set.wait {slot}"),
            Op::SetPoll(slot) => write!(f, "set.poll {slot}"),
            Op::SetDrop(slot) => write!(f, "set.drop {slot}"),
            Op::Join(waitable, set) => write!(f, "join {waitable} {set}"),
            Op::Leave(waitable) => write!(f, "leave {waitable}"),
            Op::SubtaskCancel(mode, slot) => write!(f, "subtask.cancel.{mode} {slot}"),
            Op::SubtaskDrop(slot) => write!(f, "subtask.drop {slot}"),
            Op::BackpressureInc => write!(f, "backpressure.inc"),
            Op::BackpressureDec => write!(f, "backpressure.dec"),
            Op::New(kind, reader, writer) => write!(f, "{kind}.new -> {reader} {writer}"),
            Op::Copy {
                kind: Kind::Future,
                side,
                mode,
                end,
                ..
            } => {
                write!(f, "future.{}.{mode} {end}", side.verb())
            }
            Op::Copy {
                kind: Kind::Stream,
                side,
                mode,
                end,
                length,
            } => {
                write!(f, "stream.{}.{mode} {end} {length}", side.verb())
            }
            Op::CancelCopy(kind, side, mode, slot) => {
                write!(f, "{kind}.cancel-{}.{mode} {slot}", side.verb())
            }
            Op::DropEnd(kind, side, slot) => write!(f, "{kind}.drop-{} {slot}", side.adjective()),
            Op::Forward(kind, reader, writer) => write!(f, "{kind}.forward {reader} {writer}"),
            Op::ContextSet(value) => write!(f, "context.set {value}"),
            Op::ContextGet => write!(f, "context.get"),
            Op::ThreadIndex(slot) => write!(f, "thread.index -> {slot}"),
            Op::ThreadNew(body, slot) => write!(f, "thread.new b{body} -> {slot}"),
            Op::ThreadResumeLater(slot) => write!(f, "thread.resume-later {slot}"),
            Op::ThreadSuspend => write!(f, "thread.suspend"),
            Op::ThreadYield => write!(f, "thread.yield"),
            Op::ThreadSwitch(switch, slot) => write!(f, "thread.{switch} {slot}"),
            Op::Move(from, to) => write!(f, "move {from} -> {to}"),
            Op::Let(value, slot) => write!(f, "let {value} -> {slot}"),
            Op::ResourceNew(slot) => write!(f, "resource.new -> {slot}"),
            Op::ResourceDrop(slot) => write!(f, "resource.drop {slot}"),
        }
    }
}

/// The operands of a line, in order.
struct Operands<'a>(std::vec::IntoIter<&'a str>);

impl<'a> Operands<'a> {
    fn new(line: &'a str) -> Self {
        let words: Vec<&str> = line
            .split_whitespace()
            .filter(|word| *word != "->")
            .collect();
        Self(words.into_iter())
    }

    fn word(&mut self) -> Result<&'a str, String> {
        self.0
            .next()
            .ok_or_else(|| "an operand is missing".to_owned())
    }

    fn next<T: FromStr>(&mut self) -> Result<T, String> {
        let word = self.word()?;
        word.parse()
            .map_err(|_| format!("`{word}` is no such operand"))
    }

    fn numbered(&mut self, letter: char) -> Result<u8, String> {
        numbered(self.word()?, letter)
    }

    fn end(&mut self) -> Result<(), String> {
        match self.0.next() {
            None => Ok(()),
            Some(word) => Err(format!("`{word}` is too much")),
        }
    }
}

impl FromStr for Op {
    type Err = String;

    fn from_str(line: &str) -> Result<Self, String> {
        let mut operands = Operands::new(line);
        let name = operands.word()?;
        let op = operation(name, &mut operands).map_err(|error| format!("{line}: {error}"))?;
        operands.end().map_err(|error| format!("{line}: {error}"))?;
        Ok(op)
    }
}

fn operation(name: &str, operands: &mut Operands<'_>) -> Result<Op, String> {
    Ok(match name {
        "call.sync" => Op::Call {
            mode: Mode::Sync,
            target: operands.next()?,
            argument: operands.next()?,
            subtask: Slot::Local(0),
            result: operands.next()?,
        },
        "call.async" => Op::Call {
            mode: Mode::Async,
            target: operands.next()?,
            argument: operands.next()?,
            subtask: operands.next()?,
            result: operands.next()?,
        },
        "return" => Op::Return(operands.next()?),
        "finish" => Op::Finish(operands.next()?),
        "task.cancel" => Op::TaskCancel,
        "unreachable" => Op::Unreachable,
        "code.exit" => Op::CodeExit,
        "code.wait" => Op::CodeWait(operands.next()?),
        "code.yield" => Op::CodeYield,
        "code.bad" => Op::CodeBad(operands.next()?),
        "set.new" => Op::SetNew(operands.next()?),
        "set.wait" => Op::SetWait(operands.next()?),
        "set.poll" => Op::SetPoll(operands.next()?),
        "set.drop" => Op::SetDrop(operands.next()?),
        "join" => Op::Join(operands.next()?, operands.next()?),
        "leave" => Op::Leave(operands.next()?),
        "subtask.drop" => Op::SubtaskDrop(operands.next()?),
        "backpressure.inc" => Op::BackpressureInc,
        "backpressure.dec" => Op::BackpressureDec,
        "context.set" => Op::ContextSet(operands.next()?),
        "context.get" => Op::ContextGet,
        "thread.index" => Op::ThreadIndex(operands.next()?),
        "thread.new" => Op::ThreadNew(operands.numbered('b')?, operands.next()?),
        "thread.resume-later" => Op::ThreadResumeLater(operands.next()?),
        "thread.suspend" => Op::ThreadSuspend,
        "thread.yield" => Op::ThreadYield,
        "move" => Op::Move(operands.next()?, operands.next()?),
        "resource.new" => Op::ResourceNew(operands.next()?),
        "resource.drop" => Op::ResourceDrop(operands.next()?),
        "let" => Op::Let(operands.next()?, operands.next()?),
        _ => return composed(name, operands),
    })
}

/// Names that have a kind, a side or a mode in them.
fn composed(name: &str, operands: &mut Operands<'_>) -> Result<Op, String> {
    let unknown = || format!("unknown operation `{name}`");
    let (first, rest) = name.split_once('.').ok_or_else(unknown)?;
    if first == "thread" {
        return Ok(Op::ThreadSwitch(rest.parse()?, operands.next()?));
    }
    if first == "subtask" {
        let mode = rest.strip_prefix("cancel.").ok_or_else(unknown)?;
        return Ok(Op::SubtaskCancel(mode.parse()?, operands.next()?));
    }
    let kind: Kind = first.parse().map_err(|_| unknown())?;
    let (verb, mode) = match rest.split_once('.') {
        Some((verb, mode)) => (verb, Some(mode.parse::<Mode>()?)),
        None => (rest, None),
    };
    let side = match verb {
        "read" | "cancel-read" | "drop-readable" => Side::Reader,
        _ => Side::Writer,
    };
    Ok(match (verb, mode) {
        ("new", None) => Op::New(kind, operands.next()?, operands.next()?),
        ("forward", None) => Op::Forward(kind, operands.next()?, operands.next()?),
        ("read" | "write", Some(mode)) => {
            let end = operands.next()?;
            let length = match kind {
                Kind::Stream => operands.next()?,
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
        ("cancel-read" | "cancel-write", Some(mode)) => {
            Op::CancelCopy(kind, side, mode, operands.next()?)
        }
        ("drop-readable" | "drop-writable", None) => Op::DropEnd(kind, side, operands.next()?),
        _ => return Err(unknown()),
    })
}

impl Display for HostOp {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            HostOp::Call(function) => write!(f, "call f{function}"),
            HostOp::Start(function) => write!(f, "start f{function}"),
            HostOp::Await(call) => write!(f, "await c{call}"),
            HostOp::Cancel(call) => write!(f, "cancel c{call}"),
            HostOp::Drain => write!(f, "drain"),
        }
    }
}

impl FromStr for HostOp {
    type Err = String;

    fn from_str(line: &str) -> Result<Self, String> {
        let mut operands = Operands::new(line);
        let op = match operands.word()? {
            "call" => HostOp::Call(operands.numbered('f')?),
            "start" => HostOp::Start(operands.numbered('f')?),
            "await" => HostOp::Await(operands.numbered('c')?),
            "cancel" => HostOp::Cancel(operands.numbered('c')?),
            "drain" => HostOp::Drain,
            other => return Err(format!("the host cannot `{other}`")),
        };
        operands.end()?;
        Ok(op)
    }
}

impl Display for Script {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "element {}", self.element)?;
        for import in &self.imports {
            writeln!(f, "import {import}")?;
        }
        for function in &self.functions {
            let Function {
                instance,
                lift,
                typed,
                param,
                result,
                body,
                post,
            } = function;
            writeln!(f, "function {instance} {lift} {typed} {param} {result}")?;
            lines(f, body)?;
            if !post.is_empty() {
                writeln!(f, "post")?;
                lines(f, post)?;
            }
        }
        for body in &self.threads {
            writeln!(f, "thread")?;
            lines(f, body)?;
        }
        writeln!(f, "host")?;
        lines(f, &self.host)
    }
}

fn lines<T: Display>(f: &mut Formatter<'_>, ops: &[T]) -> fmt::Result {
    ops.iter().try_for_each(|op| writeln!(f, "  {op}"))
}

/// Which part of a script the lines belong to.
enum Part {
    Front,
    Body,
    Post,
    Thread,
    Host,
}

impl FromStr for Script {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut script = Script::default();
        let mut part = Part::Front;
        for line in text.lines() {
            let mut words = Operands::new(line);
            let Ok(first) = words.word() else { continue };
            if first.starts_with(';') {
                continue;
            }
            match first {
                "element" => script.element = words.next()?,
                "import" => script.imports.push(words.next()?),
                "function" => {
                    part = Part::Body;
                    script.functions.push(Function {
                        instance: words.next()?,
                        lift: words.next()?,
                        typed: words.next()?,
                        param: words.next()?,
                        result: words.next()?,
                        body: Vec::new(),
                        post: Vec::new(),
                    });
                }
                "post" => part = Part::Post,
                "thread" => {
                    part = Part::Thread;
                    script.threads.push(Vec::new());
                }
                "host" => part = Part::Host,
                _ => {
                    let function = script.functions.last_mut();
                    match (&part, function) {
                        (Part::Body, Some(function)) => function.body.push(line.parse()?),
                        (Part::Post, Some(function)) => function.post.push(line.parse()?),
                        (Part::Thread, _) => {
                            script
                                .threads
                                .last_mut()
                                .expect("its line was read")
                                .push(line.parse()?);
                        }
                        (Part::Host, _) => script.host.push(line.parse()?),
                        _ => return Err(format!("`{line}` stands in no body")),
                    }
                    continue;
                }
            }
            words.end()?;
        }
        script.check()?;
        Ok(script)
    }
}
