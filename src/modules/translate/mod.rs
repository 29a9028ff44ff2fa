//! Core function bodies to CLIF.
//!
//! One pass over a body validates each operator and then translates it. Code that cannot be reached
//! is validated but not translated. This file holds the operand stack, `driver` the pass; the
//! operators are in one file per family, and how a unit reaches its memories, tables and globals is
//! in `entities` alone.
//!
//! Not here: what entities are bound to and where they are (the layout's), numbering of symbols and
//! alias regions (`codegen`'s).
//!
//! | file | subject |
//! | --- | --- |
//! | `driver` | the pass over a body |
//! | `entities` | reaching memories, tables and globals; bounds checks |
//! | `control`, `exceptions` | blocks, branches, `try_table`, `throw` |
//! | `calls` | direct, indirect and tail calls, and by reference |
//! | `memory`, `tables`, `globals`, `references` | the operators on these |
//! | `numeric`, `simd`, `atomics` | scalars, vectors, shared memories |

mod atomics;
mod calls;
mod control;
mod driver;
mod entities;
mod exceptions;
mod globals;
mod memory;
mod numeric;
mod references;
mod simd;
mod tables;
#[cfg(test)]
mod tests;

use crate::codegen::Session;
use crate::codegen::reach::Reach;
use crate::layout::UnitBinding;
use crate::program::module::Module;
use anyhow::Result;
use control::Frame;
use cranelift_codegen::ir::{self, MemFlagsData, Value};
use cranelift_frontend::{FunctionBuilder, Variable};
use trampette_artifact::ids::{DefinedFunc, UnitId};

/// Where a memory access goes: `base + offset`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Address {
    /// A native address; with the immediate offset it is one addressing mode of the machine.
    pub base: Value,
    /// The immediate offset.
    pub offset: i32,
    /// Little-endian, in the memory's alias region, trapping with "out of bounds memory access".
    pub flags: MemFlagsData,
}

/// Where the locals of a function are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum LocalPlace {
    /// In CLIF variables: a value for each assignment and each place where some meet.
    Variables,
    /// In the frame. The register allocator for large functions gives every value a place of its
    /// own there that lives beyond a block; with locals in memory few do.
    Frame,
}

/// A local.
#[derive(Clone, Copy, Debug)]
enum Local {
    Variable(Variable),
    Slot(ir::StackSlot, ir::Type),
}

/// Translates one function.
pub(crate) struct Translator<'a, 'f> {
    /// What all producers read.
    pub session: &'a Session<'a>,
    /// What the unit's index spaces are bound to.
    pub unit: &'a UnitBinding,
    /// The unit's module.
    pub module: &'a Module<'a>,
    /// The function being built.
    pub builder: FunctionBuilder<'f>,
    /// The operand stack. A `v128` is an `i8x16`, a reference an `i32`.
    pub stack: Vec<Value>,
    /// The context of the unit's slab.
    pub context: Value,
    /// How other slabs and the root are reached.
    reach: Reach,
    /// The locals, parameters first.
    locals: Vec<Local>,
    /// Where locals are that are declared now.
    local_place: LocalPlace,
    /// The entry block.
    entry: ir::Block,
    /// Open blocks, the function's body first.
    frames: Vec<Frame>,
    /// Clauses of open `try_table`s.
    exceptions: exceptions::State,
    /// Whether the next operator can be reached.
    reachable: bool,
    /// How many open blocks began in code that cannot be reached; they have no frame.
    skipped_frames: u32,
    /// How many of the open frames are loops.
    loops: u32,
    /// Whether anything but traps is called.
    makes_calls: bool,
    /// Scratch for the arguments of branches and of calls.
    block_args: Vec<ir::BlockArg>,
    call_args: Vec<Value>,
    /// What was materialised already.
    entities: entities::Cache,
}

impl<'a, 'f> Translator<'a, 'f> {
    /// Pushes a value on the operand stack.
    pub(crate) fn push1(&mut self, value: Value) {
        self.stack.push(value);
    }

    /// Pops a value.
    ///
    /// # Panics
    /// If the stack is empty, which validation has excluded.
    pub(crate) fn pop1(&mut self) -> Value {
        self.stack.pop().expect("validated: an operand is there")
    }

    /// Pops two values; the topmost is the second.
    pub(crate) fn pop2(&mut self) -> (Value, Value) {
        let second = self.pop1();
        let first = self.pop1();
        (first, second)
    }

    /// Pops three values; the topmost is the third.
    pub(crate) fn pop3(&mut self) -> (Value, Value, Value) {
        let third = self.pop1();
        let (first, second) = self.pop2();
        (first, second, third)
    }

    /// The topmost value, which stays.
    pub(crate) fn peek1(&self) -> Value {
        *self.stack.last().expect("validated: an operand is there")
    }

    /// Pops the index of an access of `access_bytes` bytes and returns where it goes; checks bounds
    /// where the guard pages do not.
    pub(crate) fn memory_address(
        &mut self,
        memarg: &wasmparser::MemArg,
        access_bytes: u32,
    ) -> Address {
        let index = self.pop1();
        self.access(index, memarg, access_bytes)
    }
}

/// Translates the body of a function of a unit, which is validated on the way. `function` counts
/// the module's defined functions.
///
/// # Errors
/// If the body is invalid (or has been validated already), or uses an instruction that is not
/// supported; the text names the byte offset in the component.
pub(crate) fn translate_function(
    session: &Session<'_>,
    unit: UnitId,
    function: DefinedFunc,
) -> Result<ir::Function> {
    driver::translate_function(session, unit, function)
}
