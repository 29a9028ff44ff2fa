//! The interpreter guest: a component whose functions do what a script says.
//!
//! Every instance has the same core module, which reads the script's bodies from the host when it
//! is instantiated, runs them operation by operation, and tells the host of each. Instance 0 is the
//! outer component, which calls all functions through a table that is filled once the others are
//! there. A `post-return` cannot call the host: it leaves what it has to tell in memory.
//!
//! The layout of a task's frame, which context slot 0 points to, and of an explicit thread's, which
//! is its argument:
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
    Code, IDLE, IMAGE, IMPORTS, INSTANCES, THREADS, Variant, calls, codes, element, has,
    payload_number,
};
use std::fmt::Write;
use trampette_model::script::{Element, Kind, Lift, Mode, Payload, Side, Typed};

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

fn option(mode: Mode) -> &'static str {
    match mode {
        Mode::Sync => "",
        Mode::Async => " async",
    }
}

/// A built-in: its name in the module, its core type, and its definition.
fn builtins() -> Vec<(String, String, String)> {
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
    for switch in crate::shape::SWITCHES {
        let name = format!("thread.{switch}");
        add(&name, "(param i32) (result i32)", &name);
    }
    add("resource.drop", one, "resource.drop $r");
    for mode in crate::shape::MODES {
        let (name, option) = (format!("subtask.cancel.{mode}"), option(mode));
        add(
            &name,
            "(param i32) (result i32)",
            &format!("subtask.cancel{option}"),
        );
    }
    for of in crate::shape::KINDS {
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
        for side in crate::shape::SIDES {
            let drop = format!("{name}.drop-{}", ends(side));
            add(&drop, one, &format!("{drop} ${name}"));
            for mode in crate::shape::MODES {
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
fn lowered(mode: Mode, variant: Variant) -> String {
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

/// What an operation's function does: `$T` is the frame of the thread, `$op` the operation. It
/// gives what the core function is to return, or -1 to go on.
fn handler(code: Code, tables: &[(Mode, u8, Variant)]) -> String {
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
    match code {
        Code::Call(mode, callee, variant) => {
            let entry = (mode, callee, variant);
            let index = tables.iter().position(|other| *other == entry);
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
                lowered(mode, variant)
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
        Code::Return => format!("(call $return (local.get $T) {A})"),
        Code::Finish => format!(
            "(if (i32.load offset=28 (i32.load (local.get $T)))
               (then
                 (if (i32.eqz (call $returns (local.get $T)))
                   (then (call $task.cancel) {DONE} (return {GO_ON})))))
             (call $return (local.get $T) {A})"
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
        Code::ThreadNew => stored(
            format!("(call $thread.new (i32.const 0) (call $new-thread (local.get $T) {NUMBER}))"),
            AT_A,
        ),
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

/// The functions of the core module that are the same for all instances.
fn interpreter(instance: u8) -> String {
    let what = |tells: Tells| tells as u32 | u32::from(instance) << 8;
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
      (i32.const -1))
    (func $is-empty (param $T i32) (param $op i32) (result i32)
      (i32.or
        (i32.and (i32.and (i32.load8_u offset=5 (local.get $op)) (i32.const 1))
          (i32.eqz (call $a (local.get $T) (local.get $op))))
        (i32.and (i32.shr_u (i32.load8_u offset=5 (local.get $op)) (i32.const 1))
          (i32.eqz (call $b (local.get $T) (local.get $op))))))
    (func $run (param $T i32) (result i32) (local $op i32) (local $r i32)
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
          (local.tee $r (call_indirect $operations (type $operation)
            (local.get $T) (local.get $op) (i32.load16_u (local.get $op)))))))
      (local.get $r))
    (func $new-frame (result i32) (local $T i32)
      (local.set $T (global.get $frames))
      (global.set $frames (i32.add (local.get $T) (i32.const 80)))
      (i32.store (local.get $T) (local.get $T))
      (local.get $T))
    (func $begin (param $function i32) (param $argument i32) (result i32)
      (local $T i32) (local $at i32)
      (local.set $T (call $new-frame))
      (call $context.set0 (local.get $T))
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
    (func $value (param $T i32) (result i32) (local $value i32)
      (local.set $value (call $run (local.get $T)))
      (call $exits (local.get $T))
      (if (result i32) (i32.eq (local.get $value) (i32.const -1))
        (then (i32.const 0))
        (else (local.get $value))))
    (func $code (param $T i32) (result i32) (local $code i32)
      (local.set $code (call $run (local.get $T)))
      (if (i32.le_s (local.get $code) (i32.const 0))
        (then (call $exits (local.get $T)) (return (i32.const 0))))
      (local.get $code))
    (func (export "callback") (param i32 i32 i32) (result i32) (local $T i32)
      (local.set $T (call $context.get0))
      (call $tell (i32.const {callback}) (local.get $T) (i32.const 0) (local.get 0) (local.get 1)
        (local.get 2))
      (if (i32.eq (local.get 0) (i32.const 6))
        (then (i32.store offset=28 (local.get $T) (i32.const 1))))
      (call $code (local.get $T)))
    (func $post (local $T i32) (local $at i32)
      (local.set $T (call $context.get0))
      (local.set $at (i32.add (i32.const {IMAGE})
        (i32.shl (i32.and (i32.load offset=32 (local.get $T)) (i32.const 255)) (i32.const 5))))
      (i32.store offset=12 (local.get $T) (i32.load offset=8 (local.get $at)))
      (i32.store offset=16 (local.get $T) (i32.load offset=12 (local.get $at)))
      (i32.store offset=4 (local.get $T) (i32.const 0))
      (i32.store offset=20 (local.get $T) (i32.const 1))
      (drop (call $run (local.get $T))))
    (func (export "post0") (call $post))
    (func (export "post1") (param i32) (call $post))
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
      (local.get $new))
    (func $thread (param $T i32)
      (call $tell (i32.const {thread_start}) (local.get $T) (i32.load offset=8 (local.get $T))
        (i32.load (local.get $T)) (i32.load offset=32 (local.get $T)) (i32.const 0))
      (drop (call $run (local.get $T)))
      (call $exits (local.get $T)))
    (elem (table $threads) (i32.const 0) func $thread)"#,
        magic = MAGIC | u32::from(instance),
        start = what(Tells::Start),
        thread_start = what(Tells::ThreadStart),
        did = what(Tells::Did),
        skipped = what(Tells::Skipped),
        callback = what(Tells::Callback),
        exit = what(Tells::Exit),
        none = payload_number(Payload::None),
        stream = payload_number(Payload::Stream),
        future = payload_number(Payload::Future),
    )
}

/// The core functions that are lifted: by the kind of lift, and whether there is a parameter and a
/// result.
fn entries() -> String {
    let mut text = String::new();
    for param in [0, 1] {
        let (params, argument) = match param {
            0 => ("i32", "(i32.const 0)"),
            _ => ("i32 i32", "(local.get 1)"),
        };
        let begin = format!("(call $begin (local.get 0) {argument})");
        write!(
            text,
            r#"
    (func (export "sync-{param}-0") (param {params}) (drop (call $value {begin})))
    (func (export "sync-{param}-1") (param {params}) (result i32) (call $value {begin}))
    (func (export "callback-{param}") (param {params}) (result i32) (call $code {begin}))
    (func (export "stackful-{param}") (param {params}) (local $T i32)
      (local.set $T {begin})
      (drop (call $run (local.get $T)))
      (call $exits (local.get $T)))"#
        )
        .expect("a string");
    }
    text
}

/// A component-level function type.
fn function_type(variant: Variant) -> String {
    let mut ty = match variant.typed {
        Typed::Sync => String::new(),
        Typed::Async => "async ".to_owned(),
    };
    let name = |payload| match payload {
        Payload::None => "",
        Payload::Stream => "$stream",
        Payload::Future => "$future",
        Payload::Borrow => "(borrow $r)",
    };
    ty += r#"(param "n" u32)"#;
    if variant.param != Payload::None {
        write!(ty, r#" (param "x" {})"#, name(variant.param)).expect("a string");
    }
    if variant.result != Payload::None {
        write!(ty, " (result {})", name(variant.result)).expect("a string");
    }
    ty
}

/// The host's functions, as an instance imports them.
fn host_imports() -> String {
    let mut text = String::from(
        r#"
  (import "log" (func $log (param "what" u32) (param "who" u32) (param "at" u32)
    (param "a" u32) (param "b" u32) (param "c" u32)))
  (import "fetch" (func $fetch (param "instance" u32) (param "at" u32) (result u64)))"#,
    );
    for import in IMPORTS {
        let line = format!("\n  (import \"{import}\" (func ${import} async (param \"n\" u32)))");
        text.push_str(&line);
    }
    text
}

/// What all instances consist of, up to their lifted functions.
fn instance(number: u8, of: Element) -> String {
    let tables: Vec<_> = calls(number).collect();
    let codes = codes(number);
    let size = tables.len().max(1);
    let mut text = format!(
        r#"
  (type $stream (stream{element}))
  (type $future (future{element}))
  (core module $memory
    (memory (export "memory") 1)
    (table (export "threads") 1 1 funcref)
    (table (export "calls") {size} {size} funcref))
  (core instance $mem (instantiate $memory))
  (core type $start (func (param i32)))
  (core func $log (canon lower (func $log)))
  (core func $fetch (canon lower (func $fetch)))
  (core func $new-r (canon lower (func $new-r)))"#,
        element = element(of)
    );
    let mut imports = String::from(
        r#"
    (import "" "memory" (memory 1))
    (import "" "threads" (table $threads 1 1 funcref))
    (import "" "log" (func $log (param i32 i32 i32 i32 i32 i32)))
    (import "" "fetch" (func $fetch (param i32 i32) (result i64)))
    (import "" "new-r" (func $new-r (result i32)))"#,
    );
    write!(
        imports,
        "\n    (import \"\" \"calls\" (table $calls {size} {size} funcref))"
    )
    .expect("a string");
    let mut exports = String::from(
        r#"
    (export "memory" (memory $mem "memory"))
    (export "threads" (table $mem "threads"))
    (export "calls" (table $mem "calls"))
    (export "log" (func $log))
    (export "fetch" (func $fetch))
    (export "new-r" (func $new-r))"#,
    );
    let mut provide = |name: &str, ty: &str, canon: &str| {
        text.push_str(&format!("\n  (core func ${name} (canon {canon}))"));
        imports.push_str(&format!(
            "\n    (import \"\" \"{name}\" (func ${name} {ty}))"
        ));
        exports.push_str(&format!("\n    (export \"{name}\" (func ${name}))"));
    };
    for (name, ty, canon) in builtins() {
        provide(&name, &ty, &canon);
    }
    for import in IMPORTS {
        for mode in crate::shape::MODES {
            let ty = match mode {
                Mode::Sync => "(param i32)",
                Mode::Async => "(param i32) (result i32)",
            };
            let canon = format!("lower (func ${import}){}", option(mode));
            provide(&format!("import-{import}.{mode}"), ty, &canon);
        }
    }
    let mut handlers = String::new();
    let mut names = String::new();
    for (number, code) in codes.iter().enumerate() {
        let body = handler(*code, &tables);
        handlers.push_str(&format!(
            "\n    (func $o{number} (type $operation) (local $r i32) (local $pair i64)\n      {body})"
        ));
        names.push_str(&format!(" $o{number}"));
    }
    // The parameters have names in the handlers.
    let handlers = handlers.replace(
        "(type $operation)",
        "(param $T i32) (param $op i32) (result i32)",
    );
    let interpreter = interpreter(number);
    let entries = entries();
    let operations = codes.len();
    write!(
        text,
        r#"
  (core module $interpreter
    (type $operation (func (param i32 i32) (result i32))){imports}
    (table $operations {operations} {operations} funcref)
    (elem (table $operations) (i32.const 0) func{names}){interpreter}{entries}{handlers})
  (core instance $i (instantiate $interpreter (with "" (instance{exports}))))"#
    )
    .expect("a string");
    for variant in Variant::all().filter(|variant| has(number, *variant)) {
        let param = u32::from(variant.param != Payload::None);
        let result = u32::from(variant.result != Payload::None);
        let (core, options) = match variant.lift {
            Lift::Sync => (
                format!("sync-{param}-{result}"),
                format!(r#"(post-return (core func $i "post{result}"))"#),
            ),
            Lift::Callback => (
                format!("callback-{param}"),
                r#"async (callback (core func $i "callback"))"#.to_owned(),
            ),
            Lift::Stackful => (format!("stackful-{param}"), "async".to_owned()),
        };
        let (name, ty) = (variant.name(number), function_type(variant));
        text.push_str(&format!(
            "\n  (func ${name} {ty} (canon lift (core func $i \"{core}\") {options}))"
        ));
    }
    text
}

/// Lowers what an instance calls, and puts it into its table.
fn fill(number: u8) -> String {
    let (mut text, mut imports, mut exports, mut names) =
        (String::new(), String::new(), String::new(), String::new());
    for (index, (mode, callee, variant)) in calls(number).enumerate() {
        let options = match mode {
            Mode::Sync => "",
            Mode::Async => r#"async (memory (core memory $mem "memory"))"#,
        };
        let (name, ty) = (variant.name(callee), lowered(mode, variant));
        text.push_str(&format!(
            "\n  (core func $c{index} (canon lower (func ${name}) {options}))"
        ));
        imports.push_str(&format!(
            "\n    (import \"\" \"c{index}\" (func $c{index} {ty}))"
        ));
        exports.push_str(&format!(" (export \"c{index}\" (func $c{index}))"));
        names.push_str(&format!(" $c{index}"));
    }
    if names.is_empty() {
        return text;
    }
    let size = calls(number).count();
    format!(
        r#"{text}
  (core module $fill
    (import "" "calls" (table {size} {size} funcref)){imports}
    (elem (i32.const 0) func{names}))
  (core instance (instantiate $fill (with "" (instance
    (export "calls" (table $mem "calls")){exports}))))"#
    )
}

/// The component for scripts whose streams carry these elements.
pub fn component(of: Element) -> String {
    let host = host_imports();
    let mut text = format!(
        r#"(component{host}
  (component $R
    (type $r (resource (rep i32)))
    (export $r' "r" (type $r))
    (core func $new (canon resource.new $r))
    (core module $m
      (import "" "new" (func $new (param i32) (result i32)))
      (func (export "new") (result i32) (call $new (i32.const 7))))
    (core instance $i (instantiate $m (with "" (instance (export "new" (func $new))))))
    (func (export "new") (result (own $r')) (canon lift (core func $i "new"))))
  (instance $R (instantiate $R))
  (alias export $R "r" (type $r))
  (alias export $R "new" (func $new-r))"#
    );
    text.push_str(&instance(0, of));
    for number in 1..INSTANCES as u8 {
        let mut header = String::new();
        let mut arguments = String::from(
            r#"(with "log" (func $log)) (with "fetch" (func $fetch))
    (with "r" (type $r)) (with "new-r" (func $new-r))"#,
        );
        for import in IMPORTS {
            arguments.push_str(&format!(" (with \"{import}\" (func ${import}))"));
        }
        for callee in (0..number.min(IDLE)).filter(|_| number != IDLE) {
            for variant in Variant::all() {
                let (name, ty) = (variant.name(callee), function_type(variant));
                header.push_str(&format!("\n  (import \"{name}\" (func ${name} {ty}))"));
                arguments.push_str(&format!("\n    (with \"{name}\" (func ${name}))"));
            }
        }
        let variants: Vec<_> = Variant::all()
            .filter(|variant| has(number, *variant))
            .collect();
        let mut exports = String::new();
        let mut aliases = String::new();
        for variant in variants {
            let name = variant.name(number);
            exports.push_str(&format!("\n  (export \"{name}\" (func ${name}))"));
            aliases.push_str(&format!(
                "\n  (alias export $c{number} \"{name}\" (func ${name}))"
            ));
        }
        // The types of imported functions are named before what `instance` defines.
        let element = element(of);
        let header = header
            .replace("$stream", &format!("(stream{element})"))
            .replace("$future", &format!("(future{element})"));
        let (body, fill) = (instance(number, of), fill(number));
        text.push_str(&format!(
            r#"
  (component $C{number}{host}
  (import "r" (type $r (sub resource)))
  (import "new-r" (func $new-r (result (own $r)))){header}{body}{fill}{exports})
  (instance $c{number} (instantiate $C{number} {arguments})){aliases}"#
        ));
    }
    text.push_str(&fill(0));
    for number in 0..INSTANCES as u8 {
        for variant in Variant::all() {
            if has(number, variant) && variant.param == Payload::None {
                let name = variant.name(number);
                text.push_str(&format!("\n  (export \"{name}\" (func ${name}))"));
            }
        }
    }
    text.push(')');
    text
}
