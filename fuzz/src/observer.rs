//! A core module that looks at the memories, tables and globals of others, for components, which do
//! not export them.

use crate::generate::FUEL;
use crate::interface::Item;
use wasmparser::{RefType, ValType};

/// The function that sets the fuel of every module.
pub const RESET: &str = "reset";

/// Whether a function of that name reads state.
pub fn is_observer(name: &str) -> bool {
    name.starts_with('s')
}

/// Something that a core instance exports.
pub struct Observed {
    /// The name under which the instance is given to the observer.
    pub from: String,
    /// The export's name.
    pub name: String,
    /// What it is.
    pub item: Item,
}

/// The module, as text.
pub struct Observer {
    /// The text.
    pub text: String,
    /// Its functions that read the state as an `i64`: each name, and what it reads.
    pub functions: Vec<(String, String)>,
}

/// Makes an observer of what can be observed.
pub fn observer(observed: &[Observed]) -> Observer {
    let mut imports = String::new();
    let mut bodies = String::new();
    let mut reset = String::new();
    let mut functions = Vec::new();
    for (index, Observed { from, name, item }) in observed.iter().enumerate() {
        let (ty, body) = match item {
            Item::Global(ty) if name == FUEL => {
                debug_assert!(ty.mutable);
                imports +=
                    &format!("(import \"{from}\" \"{name}\" (global $x{index} (mut i32)))\n");
                reset += &format!("(global.set $x{index} (local.get 0))");
                continue;
            }
            Item::Global(ty) => {
                let Some((name, body)) = read_global(ty.content_type, index) else {
                    continue;
                };
                match ty.mutable {
                    true => (format!("(global $x{index} (mut {name}))"), body),
                    false => (format!("(global $x{index} {name})"), body),
                }
            }
            Item::Memory(ty) => {
                let address = if ty.memory64 { "i64" } else { "i32" };
                let ty = format!("(memory $x{index} {address} 0)");
                (ty, read_memory(address, index))
            }
            Item::Table(ty) => {
                let address = if ty.table64 { "i64" } else { "i32" };
                let element = match ty.element_type {
                    RefType::FUNCREF => "funcref",
                    RefType::EXTERNREF => "externref",
                    RefType::EXNREF => "exnref",
                    _ => continue,
                };
                let ty = format!("(table $x{index} {address} 0 {element})");
                (ty, read_table(address, index))
            }
            Item::Func(..) | Item::Tag(_) => continue,
        };
        imports += &format!("(import \"{from}\" \"{name}\" {ty})\n");
        let function = format!("s{index}");
        bodies += &format!("(func (export \"{function}\") (result i64) {body})\n");
        functions.push((function, format!("{from} {name}: {ty}")));
    }
    let reset = format!("(func (export \"{RESET}\") (param i32) {reset})");
    Observer {
        text: format!("(module\n{imports}{reset}\n{bodies})"),
        functions,
    }
}

/// The type of a global as text, and an expression that reads it.
fn read_global(ty: ValType, index: usize) -> Option<(&'static str, String)> {
    let get = format!("(global.get $x{index})");
    let null = format!("(i64.extend_i32_u (ref.is_null {get}))");
    Some(match ty {
        ValType::I32 => ("i32", format!("(i64.extend_i32_s {get})")),
        ValType::I64 => ("i64", get),
        ValType::F32 => (
            "f32",
            format!("(i64.extend_i32_s (i32.reinterpret_f32 {get}))"),
        ),
        ValType::F64 => ("f64", format!("(i64.reinterpret_f64 {get})")),
        ValType::V128 => {
            let lane = |lane: u32| format!("(i64x2.extract_lane {lane} {get})");
            (
                "v128",
                format!(
                    "(i64.rotl (i64.mul {} (i64.const 0x9fb21c651e98df25)) (i64.const 7)) {} i64.xor",
                    lane(0),
                    lane(1)
                ),
            )
        }
        ValType::FUNCREF => ("funcref", null),
        ValType::EXTERNREF => ("externref", null),
        ValType::EXNREF => ("exnref", null),
        ValType::Ref(_) => return None,
    })
}

/// A loop over `step`s of an index `$i` to `$end`, in which `$h` takes in the words that `word` is.
fn fold(address: &str, end: &str, step: u32, word: &str) -> String {
    format!(
        "(local $i {address}) (local $end {address}) (local $h i64)
        (local.set $end {end})
        (local.set $h (i64.const 1))
        (block $done (loop $next
            (br_if $done ({address}.ge_u (local.get $i) (local.get $end)))
            (local.set $h (i64.rotl
                (i64.mul (i64.xor (local.get $h) {word}) (i64.const 0x9fb21c651e98df25))
                (i64.const 23)))
            (local.set $i ({address}.add (local.get $i) ({address}.const {step})))
            (br $next)))
        (local.get $h)"
    )
}

fn read_memory(address: &str, index: usize) -> String {
    let end = format!("({address}.shl (memory.size $x{index}) ({address}.const 16))");
    // The length too: zeroes at the end change the hash.
    let word = format!("(i64.load $x{index} (local.get $i))");
    fold(address, &end, 8, &word)
}

fn read_table(address: &str, index: usize) -> String {
    let end = format!("(table.size $x{index})");
    let word = format!("(i64.extend_i32_u (ref.is_null (table.get $x{index} (local.get $i))))");
    fold(address, &end, 1, &word)
}
