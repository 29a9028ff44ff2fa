//! All small scripts of a few kinds: two bodies of up to three phrases each, in every combination.
//!
//! A phrase is an operation, or a few that make no sense apart (a set is made, joined and waited
//! for). Each script has a number, so that a test can take all of them or every hundredth.

use crate::script::{Function, HostOp, Import, Lift, Op, Payload, Script, Typed};

/// Phrases of a body, at most.
const PHRASES: usize = 3;

/// A kind of small scripts.
#[derive(Clone, Debug)]
pub struct Family {
    /// What the scripts are about.
    pub name: &'static str,
    shapes: Vec<Shape>,
}

/// All of a script but the two bodies, and what those can have in them.
#[derive(Clone, Debug)]
struct Shape {
    script: Script,
    /// Where the bodies go.
    second: Second,
    phrases: [Vec<Vec<Op>>; 2],
    /// What stands before and after the phrases of a body.
    before: [Vec<Op>; 2],
    after: [Vec<Op>; 2],
}

/// What the second body belongs to; the first belongs to the first function.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Second {
    Function,
    Thread,
}

/// The ways to lift a function.
const LIFTS: [(Lift, Typed); 4] = [
    (Lift::Sync, Typed::Sync),
    (Lift::Sync, Typed::Async),
    (Lift::Callback, Typed::Async),
    (Lift::Stackful, Typed::Async),
];

fn ops(text: &str) -> Vec<Op> {
    text.split(';')
        .map(|op| op.parse().expect("an operation"))
        .collect()
}

/// Phrases, of which those with codes are left out for lifts without a callback.
fn phrases(lift: Lift, texts: &[&str]) -> Vec<Vec<Op>> {
    let all = texts.iter().map(|text| ops(text));
    let fits = |phrase: &Vec<Op>| lift == Lift::Callback || !phrase.iter().any(Op::is_code);
    all.filter(fits).collect()
}

fn function(instance: u8, (lift, typed): (Lift, Typed), param: Payload) -> Function {
    Function {
        instance,
        lift,
        typed,
        param,
        result: Payload::None,
        body: vec![],
        post: vec![],
    }
}

impl Family {
    /// The families.
    pub fn all() -> Vec<Family> {
        vec![
            Self::calls(),
            Self::gates(),
            Self::streams(),
            Self::futures(),
            Self::threads(),
        ]
    }

    /// A caller, and a callee that may block.
    fn calls() -> Family {
        let caller = [
            "call.async f1 l0 -> l1 l2",
            "call.sync f1 l0 -> l2",
            "set.new -> l3;join l1 l3;set.wait l3;leave l1",
            "set.new -> l3;join l1 l3;code.wait l3;leave l1",
            "set.new -> l3;join l1 l3;set.poll l3;leave l1",
            "subtask.cancel.async l1",
            "subtask.cancel.sync l1",
            "subtask.drop l1",
            "thread.yield",
        ];
        let callee = [
            "finish l0",
            "thread.yield",
            "code.yield",
            "call.sync h0 l0 -> l0",
            "call.async h0 l0 -> l1 l2;set.new -> l3;join l1 l3;set.wait l3",
            "call.async h0 l0 -> l1 l2;set.new -> l3;join l1 l3;code.wait l3",
        ];
        let mut shapes = Vec::new();
        for first in [LIFTS[0], LIFTS[2], LIFTS[3]] {
            for second in LIFTS {
                // Bodies that do not return by themselves would nearly all trap for it.
                let after = match first.0 {
                    Lift::Sync => vec![],
                    _ => ops("return l0"),
                };
                let sync = second.1 == Typed::Sync;
                let fitting: Vec<&str> = caller
                    .iter()
                    .copied()
                    .filter(|op| !sync || !op.contains("async f1"))
                    .collect();
                shapes.push(Shape {
                    script: Script {
                        imports: vec![Import::Later],
                        functions: vec![
                            function(0, first, Payload::None),
                            function(1, second, Payload::None),
                        ],
                        host: vec![HostOp::Call(0), HostOp::Drain],
                        ..Script::default()
                    },
                    second: Second::Function,
                    phrases: [phrases(first.0, &fitting), phrases(second.0, &callee)],
                    before: [vec![], vec![]],
                    after: [after, vec![]],
                });
            }
        }
        Family {
            name: "calls",
            shapes,
        }
    }

    /// Two functions of one instance, which the host calls at the same time, and may cancel.
    fn gates() -> Family {
        let texts = [
            "finish l0",
            "thread.yield",
            "code.yield",
            "backpressure.inc",
            "backpressure.dec",
            "call.sync h0 l0 -> l0",
            "set.new -> g0;set.wait g0",
            "code.wait g0",
        ];
        let mut shapes = Vec::new();
        for first in LIFTS {
            for second in LIFTS {
                for cancelled in [0, 1] {
                    shapes.push(Shape {
                        script: Script {
                            imports: vec![Import::Later],
                            functions: vec![
                                function(0, first, Payload::None),
                                function(0, second, Payload::None),
                            ],
                            host: vec![
                                HostOp::Start(0),
                                HostOp::Start(1),
                                HostOp::Cancel(cancelled),
                                HostOp::Drain,
                            ],
                            ..Script::default()
                        },
                        second: Second::Function,
                        phrases: [phrases(first.0, &texts), phrases(second.0, &texts)],
                        before: [vec![], vec![]],
                        after: [vec![], vec![]],
                    });
                }
            }
        }
        Family {
            name: "gates",
            shapes,
        }
    }

    fn streams() -> Family {
        let writer = [
            "stream.write.async l2 2",
            "stream.write.sync l2 1",
            "stream.write.async l2 0",
            "stream.cancel-write.async l2",
            "stream.cancel-write.sync l2",
            "stream.drop-writable l2",
            "thread.yield",
            "set.new -> l4;join l2 l4;set.wait l4;leave l2",
            "set.new -> l4;join l2 l4;code.wait l4;leave l2",
        ];
        let reader = [
            "stream.read.async l0 1",
            "stream.read.sync l0 3",
            "stream.read.async l0 0",
            "stream.cancel-read.async l0",
            "stream.cancel-read.sync l0",
            "stream.drop-readable l0",
            "thread.yield",
            "set.new -> l4;join l0 l4;set.wait l4;leave l0",
            "set.new -> l4;join l0 l4;code.wait l4;leave l0",
        ];
        Self::ends(
            "streams",
            Payload::Stream,
            "stream.new -> l1 l2",
            &writer,
            &reader,
        )
    }

    fn futures() -> Family {
        let writer = [
            "future.write.async l2",
            "future.write.sync l2",
            "future.cancel-write.async l2",
            "future.cancel-write.sync l2",
            "future.drop-writable l2",
            "thread.yield",
            "set.new -> l4;join l2 l4;set.wait l4;leave l2",
            "set.new -> l4;join l2 l4;code.wait l4;leave l2",
        ];
        let reader = [
            "future.read.async l0",
            "future.read.sync l0",
            "future.cancel-read.async l0",
            "future.cancel-read.sync l0",
            "future.drop-readable l0",
            "thread.yield",
            "set.new -> l4;join l0 l4;set.wait l4;leave l0",
            "set.new -> l4;join l0 l4;code.wait l4;leave l0",
        ];
        Self::ends(
            "futures",
            Payload::Future,
            "future.new -> l1 l2",
            &writer,
            &reader,
        )
    }

    /// A writer that gives the readable end to a callee.
    fn ends(
        name: &'static str,
        payload: Payload,
        new: &str,
        writer: &[&str],
        reader: &[&str],
    ) -> Family {
        let mut shapes = Vec::new();
        for first in [LIFTS[2], LIFTS[3]] {
            for second in [LIFTS[1], LIFTS[2], LIFTS[3]] {
                let returns = match second.0 {
                    Lift::Sync => vec![],
                    _ => ops("return l0"),
                };
                shapes.push(Shape {
                    script: Script {
                        functions: vec![
                            function(0, first, Payload::None),
                            function(1, second, payload),
                        ],
                        host: vec![HostOp::Call(0), HostOp::Drain],
                        ..Script::default()
                    },
                    second: Second::Function,
                    phrases: [phrases(first.0, writer), phrases(second.0, reader)],
                    before: [
                        ops(&format!("{new};call.async f1 l1 -> l3 l5;return l0")),
                        returns,
                    ],
                    after: [vec![], vec![]],
                });
            }
        }
        Family { name, shapes }
    }

    /// A function, and a thread that it makes.
    fn threads() -> Family {
        let texts = [
            "thread.yield",
            "thread.suspend",
            "code.yield",
            "thread.resume-later l4",
            "thread.resume-later l5",
            "thread.suspend-then-resume l4",
            "thread.suspend-then-resume l5",
            "thread.yield-then-resume l4",
            "thread.suspend-then-promote l5",
            "thread.yield-then-promote l4",
            "return l0",
        ];
        let mut shapes = Vec::new();
        for first in LIFTS {
            shapes.push(Shape {
                script: Script {
                    functions: vec![function(0, first, Payload::None)],
                    threads: vec![vec![]],
                    host: vec![HostOp::Call(0), HostOp::Drain],
                    ..Script::default()
                },
                second: Second::Thread,
                phrases: [phrases(first.0, &texts), phrases(Lift::Stackful, &texts)],
                before: [ops("thread.index -> l5;thread.new b0 -> l4"), vec![]],
                after: [vec![], vec![]],
            });
        }
        Family {
            name: "threads",
            shapes,
        }
    }

    /// How many scripts there are.
    pub fn count(&self) -> u64 {
        self.shapes.iter().map(Shape::count).sum()
    }

    /// The script with this number, which is below [`Family::count`].
    pub fn script(&self, mut number: u64) -> Script {
        for shape in &self.shapes {
            if number < shape.count() {
                return shape.script(number);
            }
            number -= shape.count();
        }
        panic!("no such script of the family {}", self.name);
    }
}

/// Sequences of up to [`PHRASES`] out of so many phrases.
fn sequences(phrases: usize) -> u64 {
    (0..=PHRASES as u32)
        .map(|length| (phrases as u64).pow(length))
        .sum()
}

impl Shape {
    fn count(&self) -> u64 {
        self.phrases
            .iter()
            .map(|phrases| sequences(phrases.len()))
            .product()
    }

    fn script(&self, number: u64) -> Script {
        let of_first = sequences(self.phrases[0].len());
        let mut script = self.script.clone();
        script.functions[0].body = self.body(0, number % of_first);
        let second = self.body(1, number / of_first);
        match self.second {
            Second::Function => script.functions[1].body = second,
            Second::Thread => script.threads[0] = second,
        }
        script
    }

    fn body(&self, which: usize, mut number: u64) -> Vec<Op> {
        let phrases = &self.phrases[which];
        let base = phrases.len() as u64;
        let mut length = 0;
        while number >= base.pow(length) {
            number -= base.pow(length);
            length += 1;
        }
        let mut body = self.before[which].clone();
        for _ in 0..length {
            body.extend(&phrases[(number % base) as usize]);
            number /= base;
        }
        body.extend(&self.after[which]);
        body
    }
}
