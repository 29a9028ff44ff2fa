//! How compile time grows with what is in one function, and with the number of functions; in
//! `bench`:
//!
//! ```text
//! cargo run --release --bin compile_curve
//! ```
//!
//! Each line is one program compiled on one thread. `growth` is the exponent from the line before:
//! 1 is linear, 2 quadratic.
//!
//! Nested loops are quadratic in their depth, and refused beyond 5,000. Blocks in a row are
//! quadratic up to 25,000 basic blocks; functions with more get a register allocator that is
//! linear.
//!
//! Without `--release` nested blocks are quadratic as well: Cranelift and its register allocator
//! then check their own work (`debug_assert` in `egraph`, `validate_ssa`) by walking the dominator
//! tree.

use anyhow::Result;
use std::time::{Duration, Instant};
use trampette::{CompileOptions, compile_module};

/// What grows, how many of it, and the fields of a module that has so many.
type Shape = (&'static str, &'static [usize], fn(usize) -> String);

const SHAPES: &[Shape] = &[
    ("instructions", &[1_000, 10_000, 100_000], instructions),
    ("calls", &[1_000, 10_000, 50_000], calls),
    ("br_table cases", &[1_000, 5_000, 10_000], cases),
    ("nested blocks", &[5_000, 10_000, 20_000, 50_000], nested),
    ("nested loops", &[1_000, 2_000, 5_000], loops),
    ("blocks in a row", &[5_000, 10_000, 20_000, 50_000], row),
    ("functions", &[1_000, 10_000, 50_000], functions),
];

fn main() -> Result<()> {
    println!(
        "{:<16} {:>7} {:>10} {:>7}",
        "what", "count", "time", "growth"
    );
    for (what, counts, fields) in SHAPES {
        let mut before: Option<(usize, Duration)> = None;
        for count in *counts {
            let wasm = wat::parse_str(format!("(module {})", fields(*count)))?;
            let time = compile(&wasm)?;
            let growth = before.map_or(String::new(), |(fewer, shorter)| {
                let (work, time) = (*count as f64 / fewer as f64, time.div_duration_f64(shorter));
                format!("{:.2}", time.ln() / work.ln())
            });
            let milliseconds = time.as_secs_f64() * 1e3;
            println!("{what:<16} {count:>7} {milliseconds:>7.0} ms {growth:>7}");
            before = Some((*count, time));
        }
    }
    Ok(())
}

fn compile(wasm: &[u8]) -> Result<Duration> {
    let options = CompileOptions {
        threads: Some(1),
        ..CompileOptions::default()
    };
    let start = Instant::now();
    compile_module(wasm, &options)?;
    Ok(start.elapsed())
}

/// A function with one parameter and one result.
fn function(body: &str) -> String {
    format!("(func (export \"run\") (param i32) (result i32) {body} (local.get 0))")
}

fn instructions(count: usize) -> String {
    let step = "(local.set 0 (i32.add (i32.mul (local.get 0) (i32.const 7)) (i32.const 3)))";
    function(&step.repeat(count / 6))
}

fn calls(count: usize) -> String {
    let callee = "(func $callee (param i32) (result i32) (local.get 0))";
    let call = "(local.set 0 (call $callee (local.get 0)))";
    callee.to_string() + &function(&call.repeat(count))
}

fn cases(count: usize) -> String {
    let labels: String = (0..count).map(|case| format!(" {case}")).collect();
    let ends: String = (0..count)
        .map(|case| format!(") (return (i32.const {case}))"))
        .collect();
    let open = "(block ".repeat(count);
    function(&format!("{open} (br_table {labels} (local.get 0)) {ends}"))
}

fn nested(count: usize) -> String {
    let (open, close) = ("(block (br_if 0 (local.get 0))", ")");
    function(&(open.repeat(count) + &close.repeat(count)))
}

fn loops(count: usize) -> String {
    let (open, close) = ("(loop", "(br_if 0 (local.get 0)))");
    function(&(open.repeat(count) + &close.repeat(count)))
}

fn row(count: usize) -> String {
    let block = "(block (br_if 0 (local.get 0)) (local.set 0 (i32.const 1)))";
    function(&block.repeat(count))
}

fn functions(count: usize) -> String {
    let export = |index| {
        format!(
            "(func (export \"f{index}\") (param i32) (result i32) \
             (i32.add (local.get 0) (i32.const {index})))"
        )
    };
    (0..count).map(export).collect()
}
