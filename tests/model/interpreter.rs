//! The core module of the interpreter guest: what each operation does, and what runs them.
//!
//! In a guest for any script all bodies are run by one function, which finds the operations in a
//! table. In a guest for one script each body has functions of its own, so that what it cannot do
//! is known when it is compiled.
//!
//! The layout of a task's frame, which context slot 0 points to where it is asked for, and of an
//! explicit thread's, which is its argument:
//!
//! | offset | what |
//! | --- | --- |
//! | 0 | the frame of the task |
//! | 4 | the position in the body |
//! | 8 | the number among the task's threads |
//! | 12, 16 | the body, and its length |
//! | 20 | whether it is a `post-return` |
//! | 24 | threads that the task has made |
//! | 28 | whether it was told to cancel |
//! | 32 | the function's number and the host's call |
//! | 36, 40 | whether it was lifted without `async`; its result |
//! | 44 | operations that were done |
//! | 48 | slots |
//! | 72 | an event |

use crate::shape::{
    Code, Entry, IMAGE, IMPORTS, KINDS, MODES, Part, SIDES, SWITCHES, Style, THREADS, code_of,
    payload_number,
};
use std::collections::BTreeSet;
use std::fmt::Write;
use trampette_model::script::{Kind, Lift, Mode, Op, Payload, Script, Side};

/// What the words at the start of an instance's memory begin with; the instance's number follows.
pub const MAGIC: u32 = 0x7a3d_0000;
/// Where a `post-return` counts what it has to tell, and where that is.
pub const LATE_COUNT: usize = 64;
pub const LATE: usize = 0x6000;
pub const LATE_BYTES: usize = 0x1000;
/// Where elements are copied from and to, and where frames begin.
const BUFFER: u32 = 0x7000;
const FRAMES: u32 = 0x2000;

/// What the guest tells.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Tells {
    Start,
    ThreadStart,
    Did,
    Skipped,
    Callback,
    Exit,
}

fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Stream => "stream",
        Kind::Future => "future",
    }
}

fn verb(side: Side) -> &'static str {
    match side {
        Side::Reader => "read",
        Side::Writer => "write",
    }
}

fn ends(side: Side) -> &'static str {
    match side {
        Side::Reader => "readable",
        Side::Writer => "writable",
    }
}

pub fn option(mode: Mode) -> &'static str {
    match mode {
        Mode::Sync => "",
        Mode::Async => " async",
    }
}

/// A built-in: its name in the module, its core type, and its definition.
pub fn builtins() -> Vec<(String, String, String)> {
    let mut all: Vec<(String, String, String)> = Vec::new();
    let mut add = |name: &str, ty: &str, canon: &str| {
        all.push((name.to_owned(), ty.to_owned(), canon.to_owned()));
    };
    let memory = r#"(memory (core memory $mem "memory"))"#;
    let one = "(param i32)";
    let gives = "(result i32)";
    add("return-none", "", "task.return");
    add("return-stream", one, "task.return (result $stream)");
    add("return-future", one, "task.return (result $future)");
    add("task.cancel", "", "task.cancel");
    add("set.new", gives, "waitable-set.new");
    for (name, canon) in [
        ("set.wait", "waitable-set.wait"),
        ("set.poll", "waitable-set.poll"),
    ] {
        add(
            name,
            "(param i32 i32) (result i32)",
            &format!("{canon} {memory}"),
        );
    }
    add("set.drop", one, "waitable-set.drop");
    add("join", "(param i32 i32)", "waitable.join");
    add("subtask.drop", one, "subtask.drop");
    add("backpressure.inc", "", "backpressure.inc");
    add("backpressure.dec", "", "backpressure.dec");
    add("context.set0", one, "context.set i32 0");
    add("context.get0", gives, "context.get i32 0");
    add("context.set", one, "context.set i32 1");
    add("context.get", gives, "context.get i32 1");
    add("thread.index", gives, "thread.index");
    add(
        "thread.new",
        "(param i32 i32) (result i32)",
        r#"thread.new-indirect $start (core table $mem "threads")"#,
    );
    add("thread.resume-later", one, "thread.resume-later");
    add("thread.suspend", gives, "thread.suspend");
    add("thread.yield", gives, "thread.yield");
    for switch in SWITCHES {
        let name = format!("thread.{switch}");
        add(&name, "(param i32) (result i32)", &name);
    }
    add("resource.drop", one, "resource.drop $r");
    for mode in MODES {
        let (name, option) = (format!("subtask.cancel.{mode}"), option(mode));
        add(
            &name,
            "(param i32) (result i32)",
            &format!("subtask.cancel{option}"),
        );
    }
    for of in KINDS {
        let name = kind(of);
        add(
            &format!("{name}.new"),
            "(result i64)",
            &format!("{name}.new ${name}"),
        );
        add(
            &format!("{name}.forward"),
            "(param i32 i32)",
            &format!("{name}.forward ${name}"),
        );
        for side in SIDES {
            let drop = format!("{name}.drop-{}", ends(side));
            add(&drop, one, &format!("{drop} ${name}"));
            for mode in MODES {
                let (option, verb) = (option(mode), verb(side));
                let params = match of {
                    Kind::Stream => "(param i32 i32 i32)",
                    Kind::Future => "(param i32 i32)",
                };
                add(
                    &format!("{name}.{verb}.{mode}"),
                    &format!("{params} (result i32)"),
                    &format!("{name}.{verb} ${name}{option} {memory}"),
                );
                add(
                    &format!("{name}.cancel-{verb}.{mode}"),
                    "(param i32) (result i32)",
                    &format!("{name}.cancel-{verb} ${name}{option}"),
                );
            }
        }
    }
    all
}

/// The core type of a lowered function.
pub fn lowered(mode: Mode, entry: Entry) -> String {
    let variant = entry.variant;
    let mut params = "i32".to_owned();
    if variant.param != Payload::None {
        params += " i32";
    }
    let result = variant.result != Payload::None;
    match mode {
        Mode::Sync if result => format!("(param {params}) (result i32)"),
        Mode::Sync => format!("(param {params})"),
        Mode::Async if result => format!("(param {params} i32) (result i32)"),
        Mode::Async => format!("(param {params}) (result i32)"),
    }
}

/// What returning from a task means in a body.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Returns {
    /// It is to be seen.
    Any,
    /// The core function returns it.
    Value,
    /// `task.return` of such a result.
    Task(Payload),
}

/// What an operation's function does: `$T` is the frame of the thread, `$op` the operation. It
/// gives what the core function is to return, or -1 to go on.
fn handler(code: Code, calls: &[(Mode, Entry)], returns: Returns) -> String {
    const A: &str = "(call $a (local.get $T) (local.get $op))";
    const B: &str = "(call $b (local.get $T) (local.get $op))";
    const AT_A: &str = "(call $slot (local.get $T) (i32.load8_u offset=2 (local.get $op)))";
    const AT_B: &str = "(call $slot (local.get $T) (i32.load8_u offset=3 (local.get $op)))";
    const AT_C: &str = "(call $slot (local.get $T) (i32.load8_u offset=4 (local.get $op)))";
    const NUMBER: &str = "(i32.load16_u offset=6 (local.get $op))";
    const RESULT: &str = "(call $did (local.get $T) (local.get $r) (i32.const 0) (i32.const 0))";
    const DONE: &str = "(call $did (local.get $T) (i32.const 0) (i32.const 0) (i32.const 0))";
    const GO_ON: &str = "(i32.const -1)";
    let plain = |call: String| format!("{call} {DONE} {GO_ON}");
    let answers = |call: String| format!("(local.set $r {call}) {RESULT} {GO_ON}");
    let stored = |call: String, at: &str| {
        format!("(local.set $r {call}) (i32.store {at} (local.get $r)) {RESULT} {GO_ON}")
    };
    let ended = |value: String| format!("{DONE} {value}");
    let subtask = |call: String| {
        format!(
            "(local.set $r {call})
             (if (i32.shr_u (local.get $r) (i32.const 4))
               (then (i32.store {AT_B} (i32.shr_u (local.get $r) (i32.const 4)))))
             {RESULT} {GO_ON}"
        )
    };
    let returned = match returns {
        Returns::Any => format!("(call $return (local.get $T) {A})"),
        Returns::Value => ended(A.into()),
        Returns::Task(Payload::Stream) => plain(format!("(call $return-stream {A})")),
        Returns::Task(Payload::Future) => plain(format!("(call $return-future {A})")),
        Returns::Task(_) => plain("(call $return-none)".into()),
    };
    match code {
        Code::Call(mode, entry) => {
            let variant = entry.variant;
            let index = calls.iter().position(|other| *other == (mode, entry));
            let index = index.expect("it is in the table");
            let argument = match variant.param {
                Payload::None => "",
                _ => A,
            };
            let out = match (mode, variant.result) {
                (Mode::Sync, _) | (_, Payload::None) => "",
                (Mode::Async, _) => AT_C,
            };
            let call = format!(
                "(call_indirect $calls {} {NUMBER} {argument} {out} (i32.const {index}))",
                lowered(mode, entry)
            );
            match (mode, variant.result) {
                (Mode::Async, _) => subtask(call),
                (Mode::Sync, Payload::None) => plain(call),
                (Mode::Sync, _) => stored(call, AT_C),
            }
        }
        Code::Import(mode, import) => {
            let call = format!("(call $import-{}.{mode} {NUMBER})", IMPORTS[import]);
            match mode {
                Mode::Sync => plain(call),
                Mode::Async => subtask(call),
            }
        }
        Code::Return => returned,
        Code::Finish if returns == Returns::Value => returned,
        Code::Finish if returns != Returns::Any => format!(
            "(if (i32.load offset=28 (local.get $T))
               (then (call $task.cancel) {DONE} (return {GO_ON})))
             {returned}"
        ),
        Code::Finish => format!(
            "(if (i32.load offset=28 (i32.load (local.get $T)))
               (then
                 (if (i32.eqz (call $returns (local.get $T)))
                   (then (call $task.cancel) {DONE} (return {GO_ON})))))
             {returned}"
        ),
        Code::TaskCancel => plain("(call $task.cancel)".into()),
        Code::Unreachable => "(unreachable)".into(),
        Code::Exit => ended("(i32.const 0)".into()),
        Code::Yield => ended("(i32.const 1)".into()),
        Code::Wait => ended(format!(
            "(i32.or (i32.const 2) (i32.shl {A} (i32.const 4)))"
        )),
        Code::Bad => ended(NUMBER.into()),
        Code::SetNew => stored("(call $set.new)".into(), AT_A),
        Code::SetWait | Code::SetPoll => {
            let name = match code {
                Code::SetWait => "set.wait",
                _ => "set.poll",
            };
            format!(
                "(local.set $r (call ${name} {A} (i32.add (local.get $T) (i32.const 72))))
                 (call $did (local.get $T) (local.get $r)
                   (i32.load offset=72 (local.get $T)) (i32.load offset=76 (local.get $T)))
                 {GO_ON}"
            )
        }
        Code::SetDrop => plain(format!("(call $set.drop {A})")),
        Code::Join => plain(format!("(call $join {A} {B})")),
        Code::Leave => plain(format!("(call $join {A} (i32.const 0))")),
        Code::SubtaskCancel(mode) => answers(format!("(call $subtask.cancel.{mode} {A})")),
        Code::SubtaskDrop => plain(format!("(call $subtask.drop {A})")),
        Code::BackpressureInc => plain("(call $backpressure.inc)".into()),
        Code::BackpressureDec => plain("(call $backpressure.dec)".into()),
        Code::New(of) => format!(
            "(local.set $pair (call ${}.new))
             (i32.store {AT_A} (i32.wrap_i64 (local.get $pair)))
             (i32.store {AT_B} (i32.wrap_i64 (i64.shr_u (local.get $pair) (i64.const 32))))
             (call $did (local.get $T) (i32.wrap_i64 (local.get $pair))
               (i32.wrap_i64 (i64.shr_u (local.get $pair) (i64.const 32))) (i32.const 0))
             {GO_ON}",
            kind(of)
        ),
        Code::Copy(of, side, mode) => {
            let length = match of {
                Kind::Stream => NUMBER,
                Kind::Future => "",
            };
            let (of, verb) = (kind(of), verb(side));
            answers(format!(
                "(call ${of}.{verb}.{mode} {A} (i32.const {BUFFER}) {length})"
            ))
        }
        Code::CancelCopy(of, side, mode) => {
            let (of, verb) = (kind(of), verb(side));
            answers(format!("(call ${of}.cancel-{verb}.{mode} {A})"))
        }
        Code::DropEnd(of, side) => plain(format!("(call ${}.drop-{} {A})", kind(of), ends(side))),
        Code::Forward(of) => plain(format!("(call ${}.forward {A} {B})", kind(of))),
        Code::ContextSet => plain(format!("(call $context.set {NUMBER})")),
        Code::ContextGet => answers("(call $context.get)".into()),
        Code::ThreadIndex => stored("(call $thread.index)".into(), AT_A),
        Code::ThreadNew => {
            let function = match returns {
                Returns::Any => "(i32.const 0)",
                _ => NUMBER,
            };
            stored(
                format!("(call $thread.new {function} (call $new-thread (local.get $T) {NUMBER}))"),
                AT_A,
            )
        }
        Code::ThreadResumeLater => plain(format!("(call $thread.resume-later {A})")),
        Code::ThreadSuspend => answers("(call $thread.suspend)".into()),
        Code::ThreadYield => answers("(call $thread.yield)".into()),
        Code::ThreadSwitch(switch) => answers(format!("(call $thread.{switch} {A})")),
        Code::Move => plain(format!("(i32.store {AT_B} {A})")),
        Code::Let => plain(format!("(i32.store {AT_A} {NUMBER})")),
        Code::ResourceNew => stored("(call $new-r)".into(), AT_A),
        Code::ResourceDrop => plain(format!("(call $resource.drop {A})")),
    }
}

/// What a line is, and whose.
fn what(instance: u8, tells: Tells) -> u32 {
    tells as u32 | u32::from(instance) << 8
}

/// The functions of the core module that do not depend on what bodies there are.
fn common(instance: u8) -> String {
    let what = |tells| what(instance, tells);
    format!(
        r#"
    (global $frames (mut i32) (i32.const {FRAMES}))
    (func $load (local $words i32) (local $at i32)
      (local.set $words (i32.wrap_i64 (call $fetch (i32.const {instance}) (i32.const -1))))
      (if (i32.eqz (local.get $words)) (then (return)))
      (i32.store (i32.const 0) (i32.const {magic}))
      (loop $next
        (if (i32.eq (local.get $at) (local.get $words)) (then (return)))
        (i64.store offset={IMAGE} (i32.shl (local.get $at) (i32.const 3))
          (call $fetch (i32.const {instance}) (local.get $at)))
        (local.set $at (i32.add (local.get $at) (i32.const 1)))
        (br $next)))
    (start $load)
    (func $slot (param $T i32) (param $number i32) (result i32)
      (if (i32.lt_u (local.get $number) (i32.const 8))
        (then (return (i32.add (i32.add (i32.load (local.get $T)) (i32.const 48))
          (i32.shl (local.get $number) (i32.const 2))))))
      (i32.add (i32.const -16) (i32.shl (local.get $number) (i32.const 2))))
    (func $a (param $T i32) (param $op i32) (result i32)
      (i32.load (call $slot (local.get $T) (i32.load8_u offset=2 (local.get $op)))))
    (func $b (param $T i32) (param $op i32) (result i32)
      (i32.load (call $slot (local.get $T) (i32.load8_u offset=3 (local.get $op)))))
    (func $tell (param $what i32) (param $T i32) (param $at i32) (param $a i32) (param $b i32) (param $c i32)
      (local $late i32)
      (if (i32.eqz (i32.load offset=20 (local.get $T)))
        (then
          (call $log (local.get $what) (local.get $T) (local.get $at) (local.get $a)
            (local.get $b) (local.get $c))
          (return)))
      (local.set $late (i32.add (i32.const {LATE})
        (i32.mul (i32.load (i32.const {LATE_COUNT})) (i32.const 24))))
      (i32.store (i32.const {LATE_COUNT})
        (i32.add (i32.load (i32.const {LATE_COUNT})) (i32.const 1)))
      (i32.store offset=0 (local.get $late) (local.get $what))
      (i32.store offset=4 (local.get $late) (local.get $T))
      (i32.store offset=8 (local.get $late) (local.get $at))
      (i32.store offset=12 (local.get $late) (local.get $a))
      (i32.store offset=16 (local.get $late) (local.get $b))
      (i32.store offset=20 (local.get $late) (local.get $c)))
    (func $did (param $T i32) (param $a i32) (param $b i32) (param $c i32)
      (call $tell (i32.const {did}) (local.get $T)
        (i32.sub (i32.load offset=4 (local.get $T)) (i32.const 1))
        (local.get $a) (local.get $b) (local.get $c)))
    (func $is-empty (param $T i32) (param $op i32) (result i32)
      (i32.or
        (i32.and (i32.and (i32.load8_u offset=5 (local.get $op)) (i32.const 1))
          (i32.eqz (call $a (local.get $T) (local.get $op))))
        (i32.and (i32.shr_u (i32.load8_u offset=5 (local.get $op)) (i32.const 1))
          (i32.eqz (call $b (local.get $T) (local.get $op))))))
    (func $new-frame (result i32) (local $T i32)
      (local.set $T (global.get $frames))
      (global.set $frames (i32.add (local.get $T) (i32.const 80)))
      (i32.store (local.get $T) (local.get $T))
      (local.get $T))
    (func $begin (param $function i32) (param $argument i32) (result i32)
      (local $T i32) (local $at i32)
      (local.set $T (call $new-frame))
      (local.set $at (i32.add (i32.const {IMAGE})
        (i32.shl (i32.and (local.get $function) (i32.const 255)) (i32.const 5))))
      (i32.store offset=12 (local.get $T) (i32.load offset=0 (local.get $at)))
      (i32.store offset=16 (local.get $T) (i32.load offset=4 (local.get $at)))
      (i32.store offset=32 (local.get $T) (local.get $function))
      (i32.store offset=36 (local.get $T) (i32.load offset=16 (local.get $at)))
      (i32.store offset=40 (local.get $T) (i32.load offset=20 (local.get $at)))
      (i32.store offset=48 (local.get $T) (local.get $argument))
      (call $tell (i32.const {start}) (local.get $T) (i32.const 0) (local.get $function)
        (i32.const 0) (i32.const 0))
      (local.get $T))
    (func $exits (param $T i32)
      (call $tell (i32.const {exit}) (local.get $T) (i32.const 0) (i32.const 0) (i32.const 0)
        (i32.const 0)))
    (func $new-thread (param $T i32) (param $body i32) (result i32)
      (local $new i32) (local $task i32) (local $at i32)
      (local.set $new (call $new-frame))
      (local.set $task (i32.load (local.get $T)))
      (local.set $at (i32.add (i32.const {THREADS}) (i32.shl (local.get $body) (i32.const 3))))
      (i32.store (local.get $new) (local.get $task))
      (i32.store offset=24 (local.get $task)
        (i32.add (i32.load offset=24 (local.get $task)) (i32.const 1)))
      (i32.store offset=8 (local.get $new) (i32.load offset=24 (local.get $task)))
      (i32.store offset=12 (local.get $new) (i32.load offset=0 (local.get $at)))
      (i32.store offset=16 (local.get $new) (i32.load offset=4 (local.get $at)))
      (i32.store offset=32 (local.get $new) (local.get $body))
      (local.get $new))"#,
        magic = MAGIC | u32::from(instance),
        start = what(Tells::Start),
        did = what(Tells::Did),
        exit = what(Tells::Exit),
    )
}

/// Returning, where it is not known from what.
fn any_return() -> String {
    format!(
        r#"
    (func $returns (param $T i32) (result i32)
      (i32.and (i32.load offset=36 (i32.load (local.get $T)))
        (i32.eqz (i32.or (i32.load offset=8 (local.get $T)) (i32.load offset=20 (local.get $T))))))
    (func $return (param $T i32) (param $value i32) (result i32) (local $kind i32)
      (if (call $returns (local.get $T))
        (then
          (call $did (local.get $T) (i32.const 0) (i32.const 0) (i32.const 0))
          (return (local.get $value))))
      (local.set $kind (i32.load offset=40 (i32.load (local.get $T))))
      (if (i32.eq (local.get $kind) (i32.const {none}))
        (then (call $return-none)))
      (if (i32.eq (local.get $kind) (i32.const {stream}))
        (then (call $return-stream (local.get $value))))
      (if (i32.eq (local.get $kind) (i32.const {future}))
        (then (call $return-future (local.get $value))))
      (call $did (local.get $T) (i32.const 0) (i32.const 0) (i32.const 0))
      (i32.const -1))"#,
        none = payload_number(Payload::None),
        stream = payload_number(Payload::Stream),
        future = payload_number(Payload::Future),
    )
}

/// What runs a body: `run` and the operations, with names that end with `suffix`.
fn runner(part: &Part, suffix: &str, codes: &[Code], returns: Returns, style: Style) -> String {
    let skipped = what(part.number, Tells::Skipped);
    let mut text = String::new();
    for code in codes {
        let body = handler(*code, &part.calls, returns);
        let number = number_of(part, *code);
        write!(
            text,
            "\n    (func $o{number}{suffix} (param $T i32) (param $op i32) (result i32)
      (local $r i32) (local $pair i64)\n      {body})"
        )
        .expect("a string");
    }
    let dispatch = match style {
        Style::Any => "(call_indirect $operations (type $operation) (local.get $T) (local.get $op)
            (i32.load16_u (local.get $op)))"
            .to_owned(),
        Style::One => format!("(call $do{suffix} (local.get $T) (local.get $op))"),
    };
    if style == Style::One {
        let mut cases = String::new();
        for code in codes {
            let number = number_of(part, *code);
            write!(
                cases,
                "\n      (if (i32.eq (i32.load16_u (local.get $op)) (i32.const {number}))
        (then (return (call $o{number}{suffix} (local.get $T) (local.get $op)))))"
            )
            .expect("a string");
        }
        write!(
            text,
            "\n    (func $do{suffix} (param $T i32) (param $op i32) (result i32){cases}
      (unreachable))"
        )
        .expect("a string");
    }
    write!(
        text,
        r#"
    (func $run{suffix} (param $T i32) (result i32) (local $op i32) (local $r i32)
      (loop $next
        (if (i32.eq (i32.load offset=4 (local.get $T)) (i32.load offset=16 (local.get $T)))
          (then (return (i32.const -1))))
        (local.set $op (i32.add (i32.load offset=12 (local.get $T))
          (i32.shl (i32.load offset=4 (local.get $T)) (i32.const 3))))
        (i32.store offset=4 (local.get $T)
          (i32.add (i32.load offset=4 (local.get $T)) (i32.const 1)))
        (if (call $is-empty (local.get $T) (local.get $op))
          (then
            (call $tell (i32.const {skipped}) (local.get $T)
              (i32.sub (i32.load offset=4 (local.get $T)) (i32.const 1))
              (i32.const 0) (i32.const 0) (i32.const 0))
            (br $next)))
        (br_if $next (i32.eq (i32.const -1)
          (local.tee $r {dispatch}))))
      (local.get $r))"#
    )
    .expect("a string");
    text
}

fn number_of(part: &Part, code: Code) -> usize {
    let number = part.codes.iter().position(|other| *other == code);
    number.expect("the instance has it")
}

/// The core functions of a lifted one: its own, its callback, its `post-return`; `late` is the
/// suffix of what runs that.
fn lifted(part: &Part, entry: Entry, late: Option<&str>) -> String {
    let suffix = entry.suffix();
    let (param, result) = (
        entry.variant.param != Payload::None,
        entry.variant.result != Payload::None,
    );
    let (params, argument) = match param {
        false => ("i32", "(i32.const 0)"),
        true => ("i32 i32", "(local.get 1)"),
    };
    let name = core_name(entry);
    let keeps = match entry.variant.lift == Lift::Callback || late.is_some() {
        true => "(call $context.set0 (local.get $T))",
        false => "",
    };
    let begin = format!(
        "(func (export \"{name}\") (param {params}) {} (local $T i32)
      (local.set $T (call $begin (local.get 0) {argument})) {keeps}",
        match (entry.variant.lift, result) {
            (Lift::Sync, false) | (Lift::Stackful, _) => "",
            _ => "(result i32)",
        }
    );
    let mut text = match (entry.variant.lift, result) {
        (Lift::Sync, false) => {
            format!("\n    {begin} (drop (call $value{suffix} (local.get $T))))")
        }
        (Lift::Sync, true) => format!("\n    {begin} (call $value{suffix} (local.get $T)))"),
        (Lift::Callback, _) => format!("\n    {begin} (call $code{suffix} (local.get $T)))"),
        (Lift::Stackful, _) => format!(
            "\n    {begin} (drop (call $run{suffix} (local.get $T))) (call $exits (local.get $T)))"
        ),
    };
    let callback = what(part.number, Tells::Callback);
    let own = match entry.variant.lift {
        Lift::Sync => format!(
            r#"
    (func $value{suffix} (param $T i32) (result i32) (local $r i32)
      (local.set $r (call $run{suffix} (local.get $T)))
      (call $exits (local.get $T))
      (if (result i32) (i32.eq (local.get $r) (i32.const -1))
        (then (i32.const 0))
        (else (local.get $r))))"#
        ),
        Lift::Callback => format!(
            r#"
    (func $code{suffix} (param $T i32) (result i32) (local $r i32)
      (local.set $r (call $run{suffix} (local.get $T)))
      (if (i32.le_s (local.get $r) (i32.const 0))
        (then (call $exits (local.get $T)) (return (i32.const 0))))
      (local.get $r))
    (func (export "callback{suffix}") (param i32 i32 i32) (result i32) (local $T i32)
      (local.set $T (call $context.get0))
      (call $tell (i32.const {callback}) (local.get $T) (i32.const 0) (local.get 0) (local.get 1)
        (local.get 2))
      (if (i32.eq (local.get 0) (i32.const 6))
        (then (i32.store offset=28 (local.get $T) (i32.const 1))))
      (call $code{suffix} (local.get $T)))"#
        ),
        Lift::Stackful => String::new(),
    };
    text.push_str(&own);
    if let (Some(late), Lift::Sync) = (late, entry.variant.lift) {
        write!(
            text,
            r#"
    (func $post{suffix} (local $T i32) (local $at i32)
      (local.set $T (call $context.get0))
      (local.set $at (i32.add (i32.const {IMAGE})
        (i32.shl (i32.and (i32.load offset=32 (local.get $T)) (i32.const 255)) (i32.const 5))))
      (i32.store offset=12 (local.get $T) (i32.load offset=8 (local.get $at)))
      (i32.store offset=16 (local.get $T) (i32.load offset=12 (local.get $at)))
      (i32.store offset=4 (local.get $T) (i32.const 0))
      (i32.store offset=20 (local.get $T) (i32.const 1))
      (drop (call $run{late} (local.get $T))))
    (func (export "post{suffix}-0") (call $post{suffix}))
    (func (export "post{suffix}-1") (param i32) (call $post{suffix}))"#
        )
        .expect("a string");
    }
    text
}

/// The core function that is lifted.
pub fn core_name(entry: Entry) -> String {
    let variant = entry.variant;
    let (lift, suffix) = (variant.lift, entry.suffix());
    let param = u32::from(variant.param != Payload::None);
    let result = u32::from(variant.result != Payload::None && variant.lift == Lift::Sync);
    format!("{lift}-{param}-{result}{suffix}")
}

/// What an explicit thread runs.
fn thread(part: &Part, suffix: &str) -> String {
    let thread_start = what(part.number, Tells::ThreadStart);
    format!(
        r#"
    (func $thread{suffix} (param $T i32)
      (call $tell (i32.const {thread_start}) (local.get $T) (i32.load offset=8 (local.get $T))
        (i32.load (local.get $T)) (i32.load offset=32 (local.get $T)) (i32.const 0))
      (drop (call $run{suffix} (local.get $T)))
      (call $exits (local.get $T)))"#
    )
}

/// All functions of an instance, for any script or for one.
pub fn interpreter(part: &Part, script: Option<&Script>) -> String {
    let mut text = common(part.number);
    let Some(script) = script else {
        text.push_str(&any_return());
        let style = Style::Any;
        text.push_str(&runner(part, "", &part.codes, Returns::Any, style));
        let mut known = BTreeSet::new();
        for entry in &part.entries {
            // Functions that differ only in their types are the same here.
            let all = lifted(part, *entry, Some(""));
            let mut all = all.split("\n    (func ").map(str::to_owned);
            all.next();
            for function in all {
                if known.insert(function.clone()) {
                    text.push_str(&format!("\n    (func {function}"));
                }
            }
        }
        text.push_str(&thread(part, ""));
        text.push_str("\n    (elem (table $threads) (i32.const 0) func $thread)");
        let names: String = (0..part.codes.len())
            .map(|code| format!(" $o{code}"))
            .collect();
        let size = part.codes.len();
        write!(
            text,
            "\n    (type $operation (func (param i32 i32) (result i32)))
    (table $operations {size} {size} funcref)
    (elem (table $operations) (i32.const 0) func{names})"
        )
        .expect("a string");
        return text;
    };
    let codes = |body: &[Op]| {
        let mut codes: Vec<Code> = Vec::new();
        for op in body {
            let code = code_of(script, op, Style::One);
            if !codes.contains(&code) {
                codes.push(code);
            }
        }
        codes
    };
    for entry in &part.entries {
        let number = entry.function.expect("it is for one script");
        let function = &script.functions[usize::from(number)];
        let returns = match function.lift {
            Lift::Sync => Returns::Value,
            _ => Returns::Task(function.result),
        };
        let suffix = entry.suffix();
        let body = codes(&function.body);
        text.push_str(&runner(part, &suffix, &body, returns, Style::One));
        let late = format!("-p{number}");
        let has_late = !function.post.is_empty();
        if has_late {
            let returns = Returns::Task(function.result);
            let body = codes(&function.post);
            text.push_str(&runner(part, &late, &body, returns, Style::One));
        }
        text.push_str(&lifted(part, *entry, has_late.then_some(&late)));
    }
    if part.makes_threads() {
        text.push_str(&any_return());
        let mut names = String::new();
        for (number, body) in script.threads.iter().enumerate() {
            let suffix = format!("-b{number}");
            let body = codes(body);
            text.push_str(&runner(part, &suffix, &body, Returns::Any, Style::One));
            text.push_str(&thread(part, &suffix));
            names.push_str(&format!(" $thread{suffix}"));
        }
        text.push_str(&format!(
            "\n    (elem (table $threads) (i32.const 0) func{names})"
        ));
    }
    text
}
