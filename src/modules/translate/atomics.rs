//! Atomic accesses, fences, `wait` and `notify` (the threads proposal).
//!
//! An atomic access traps unless its address is aligned, whatever its immediate says. All accesses
//! are sequentially consistent. `wait` and `notify` of a shared memory are the runtime's; where a
//! memory is not shared, nobody can wait.

use super::Translator;
use crate::codegen::{self, clif_trap};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{AtomicRmwOp, InstBuilder, MemFlagsData, Type, Value, types};
use trampette_artifact::builtin::{Builtin, WAIT_FOREVER};
use trampette_artifact::trap::TrapCode;
use wasmparser::{MemArg, Operator};

/// Translates an atomic operator; false for any other.
pub(super) fn translate(t: &mut Translator<'_, '_>, op: &Operator<'_>) -> bool {
    use types::{I8, I16, I32, I64};
    macro_rules! atomics {
        ($($op:ident = $function:ident($($arg:expr),*);)*) => {
            match op {
                $(Operator::$op { memarg } => t.$function(memarg, $($arg),*),)*
                Operator::AtomicFence { .. } => {
                    t.builder.ins().fence();
                }
                _ => return false,
            }
        };
    }
    use AtomicRmwOp::{Add, And, Or, Sub, Xchg, Xor};
    atomics! {
        I32AtomicLoad = atomic_load(I32, I32);
        I32AtomicLoad8U = atomic_load(I8, I32);
        I32AtomicLoad16U = atomic_load(I16, I32);
        I64AtomicLoad = atomic_load(I64, I64);
        I64AtomicLoad8U = atomic_load(I8, I64);
        I64AtomicLoad16U = atomic_load(I16, I64);
        I64AtomicLoad32U = atomic_load(I32, I64);
        I32AtomicStore = atomic_store(I32);
        I32AtomicStore8 = atomic_store(I8);
        I32AtomicStore16 = atomic_store(I16);
        I64AtomicStore = atomic_store(I64);
        I64AtomicStore8 = atomic_store(I8);
        I64AtomicStore16 = atomic_store(I16);
        I64AtomicStore32 = atomic_store(I32);
        I32AtomicRmwAdd = atomic_rmw(Add, I32);
        I32AtomicRmw8AddU = atomic_rmw(Add, I8);
        I32AtomicRmw16AddU = atomic_rmw(Add, I16);
        I64AtomicRmwAdd = atomic_rmw(Add, I64);
        I64AtomicRmw8AddU = atomic_rmw(Add, I8);
        I64AtomicRmw16AddU = atomic_rmw(Add, I16);
        I64AtomicRmw32AddU = atomic_rmw(Add, I32);
        I32AtomicRmwSub = atomic_rmw(Sub, I32);
        I32AtomicRmw8SubU = atomic_rmw(Sub, I8);
        I32AtomicRmw16SubU = atomic_rmw(Sub, I16);
        I64AtomicRmwSub = atomic_rmw(Sub, I64);
        I64AtomicRmw8SubU = atomic_rmw(Sub, I8);
        I64AtomicRmw16SubU = atomic_rmw(Sub, I16);
        I64AtomicRmw32SubU = atomic_rmw(Sub, I32);
        I32AtomicRmwAnd = atomic_rmw(And, I32);
        I32AtomicRmw8AndU = atomic_rmw(And, I8);
        I32AtomicRmw16AndU = atomic_rmw(And, I16);
        I64AtomicRmwAnd = atomic_rmw(And, I64);
        I64AtomicRmw8AndU = atomic_rmw(And, I8);
        I64AtomicRmw16AndU = atomic_rmw(And, I16);
        I64AtomicRmw32AndU = atomic_rmw(And, I32);
        I32AtomicRmwOr = atomic_rmw(Or, I32);
        I32AtomicRmw8OrU = atomic_rmw(Or, I8);
        I32AtomicRmw16OrU = atomic_rmw(Or, I16);
        I64AtomicRmwOr = atomic_rmw(Or, I64);
        I64AtomicRmw8OrU = atomic_rmw(Or, I8);
        I64AtomicRmw16OrU = atomic_rmw(Or, I16);
        I64AtomicRmw32OrU = atomic_rmw(Or, I32);
        I32AtomicRmwXor = atomic_rmw(Xor, I32);
        I32AtomicRmw8XorU = atomic_rmw(Xor, I8);
        I32AtomicRmw16XorU = atomic_rmw(Xor, I16);
        I64AtomicRmwXor = atomic_rmw(Xor, I64);
        I64AtomicRmw8XorU = atomic_rmw(Xor, I8);
        I64AtomicRmw16XorU = atomic_rmw(Xor, I16);
        I64AtomicRmw32XorU = atomic_rmw(Xor, I32);
        I32AtomicRmwXchg = atomic_rmw(Xchg, I32);
        I32AtomicRmw8XchgU = atomic_rmw(Xchg, I8);
        I32AtomicRmw16XchgU = atomic_rmw(Xchg, I16);
        I64AtomicRmwXchg = atomic_rmw(Xchg, I64);
        I64AtomicRmw8XchgU = atomic_rmw(Xchg, I8);
        I64AtomicRmw16XchgU = atomic_rmw(Xchg, I16);
        I64AtomicRmw32XchgU = atomic_rmw(Xchg, I32);
        I32AtomicRmwCmpxchg = atomic_compare_exchange(I32);
        I32AtomicRmw8CmpxchgU = atomic_compare_exchange(I8);
        I32AtomicRmw16CmpxchgU = atomic_compare_exchange(I16);
        I64AtomicRmwCmpxchg = atomic_compare_exchange(I64);
        I64AtomicRmw8CmpxchgU = atomic_compare_exchange(I8);
        I64AtomicRmw16CmpxchgU = atomic_compare_exchange(I16);
        I64AtomicRmw32CmpxchgU = atomic_compare_exchange(I32);
        MemoryAtomicWait32 = wait(I32);
        MemoryAtomicWait64 = wait(I64);
        MemoryAtomicNotify = notify();
    }
    true
}

impl Translator<'_, '_> {
    fn atomic_load(&mut self, memarg: &MemArg, access: Type, ty: Type) {
        let (address, flags) = self.atomic_address(memarg, access);
        let value = self.builder.ins().atomic_load(access, flags, address);
        self.push_extended(value, ty);
    }

    fn atomic_store(&mut self, memarg: &MemArg, access: Type) {
        let value = self.pop1();
        let value = self.reduced(value, access);
        let (address, flags) = self.atomic_address(memarg, access);
        self.builder.ins().atomic_store(flags, value, address);
    }

    fn atomic_rmw(&mut self, memarg: &MemArg, op: AtomicRmwOp, access: Type) {
        let operand = self.pop1();
        let ty = self.builder.func.dfg.value_type(operand);
        let operand = self.reduced(operand, access);
        let (address, flags) = self.atomic_address(memarg, access);
        let old = self
            .builder
            .ins()
            .atomic_rmw(access, flags, op, address, operand);
        self.push_extended(old, ty);
    }

    fn atomic_compare_exchange(&mut self, memarg: &MemArg, access: Type) {
        let (expected, replacement) = self.pop2();
        let ty = self.builder.func.dfg.value_type(expected);
        let expected = self.reduced(expected, access);
        let replacement = self.reduced(replacement, access);
        let (address, flags) = self.atomic_address(memarg, access);
        let old = self
            .builder
            .ins()
            .atomic_cas(flags, address, expected, replacement);
        self.push_extended(old, ty);
    }

    /// Pops the index of an atomic access; checks alignment and bounds. Returns its native address.
    fn atomic_address(&mut self, memarg: &MemArg, access: Type) -> (Value, MemFlagsData) {
        let index = self.peek1();
        self.check_aligned(index, memarg, access);
        let at = self.memory_address(memarg, access.bytes());
        let address = match at.offset {
            0 => at.base,
            offset => {
                let offset = self.builder.ins().iconst(types::I64, i64::from(offset));
                self.builder.ins().iadd(at.base, offset)
            }
        };
        (address, at.flags)
    }

    /// Traps unless an access is aligned to its size.
    fn check_aligned(&mut self, index: Value, memarg: &MemArg, access: Type) {
        if access == types::I8 {
            return;
        }
        let index = self.index64(index);
        let offset = memarg.offset.cast_signed();
        let offset = self.builder.ins().iconst(types::I64, offset);
        let address = self.builder.ins().iadd(index, offset);
        let mask = i64::from(access.bytes()) - 1;
        let mask = self.builder.ins().iconst(types::I64, mask);
        let low = self.builder.ins().band(address, mask);
        let trap = clif_trap(TrapCode::UnalignedAtomic);
        self.builder.ins().trapnz(low, trap);
    }

    /// Pops the index of a `wait` or `notify`; checks alignment and, explicitly, bounds: the
    /// runtime must not fault. Returns its native address.
    fn waiting_address(&mut self, memarg: &MemArg, access: Type) -> Value {
        let wasmparser::MemArgTarget::Memory(memory) = memarg.target else {
            unreachable!("modules with array types are refused when they are parsed");
        };
        let index = self.pop1();
        self.check_aligned(index, memarg, access);
        let (memory, _) = self.memory(memory);
        let index = self.index64(index);
        let offset = memarg.offset.cast_signed();
        let offset = self.builder.ins().iconst(types::I64, offset);
        let trap = clif_trap(TrapCode::MemoryOutOfBounds);
        let start = self.builder.ins().uadd_overflow_trap(index, offset, trap);
        let count = i64::from(access.bytes());
        let count = self.builder.ins().iconst(types::I64, count);
        self.memory_range(memory, start, count)
    }

    /// The number of the memory of an access, if it is shared.
    fn shared_memory(&mut self, memarg: &MemArg) -> Option<Value> {
        let wasmparser::MemArgTarget::Memory(memory) = memarg.target else {
            return None;
        };
        let (id, memory) = self.memory(memory);
        memory.shared()?;
        Some(self.builder.ins().iconst(types::I32, i64::from(id.0)))
    }

    fn wait(&mut self, memarg: &MemArg, access: Type) {
        let (expected, timeout) = self.pop2();
        let address = self.waiting_address(memarg, access);
        let Some(memory) = self.shared_memory(memarg) else {
            let zero = self.builder.ins().iconst(types::I32, 0);
            let trap = clif_trap(TrapCode::AtomicWaitNonShared);
            self.builder.ins().trapz(zero, trap);
            self.push1(zero);
            return;
        };
        let builtin = match access {
            types::I32 => Builtin::AtomicWait32,
            _ => Builtin::AtomicWait64,
        };
        let outcome = self
            .builtin(builtin, &[memory, address, expected, timeout])
            .expect("waiting has a result");
        let forever = i64::from(WAIT_FOREVER);
        let forever = self.builder.ins().iconst(types::I32, forever);
        let forever = self.builder.ins().icmp(IntCC::Equal, outcome, forever);
        codegen::emit_trap_if(
            &mut self.builder,
            self.context,
            forever,
            TrapCode::WaitForever,
            None,
        );
        self.push1(outcome);
    }

    fn notify(&mut self, memarg: &MemArg) {
        let count = self.pop1();
        let address = self.waiting_address(memarg, types::I32);
        let woken = match self.shared_memory(memarg) {
            Some(memory) => self
                .builtin(Builtin::AtomicNotify, &[memory, address, count])
                .expect("notifying has a result"),
            None => self.builder.ins().iconst(types::I32, 0),
        };
        self.push1(woken);
    }

    /// The low bits of an operand.
    fn reduced(&mut self, value: Value, access: Type) -> Value {
        match self.builder.func.dfg.value_type(value) == access {
            true => value,
            false => self.builder.ins().ireduce(access, value),
        }
    }

    /// Pushes a value that was read, extended with zeros.
    fn push_extended(&mut self, value: Value, ty: Type) {
        let value = match self.builder.func.dfg.value_type(value) == ty {
            true => value,
            false => self.builder.ins().uextend(ty, value),
        };
        self.push1(value);
    }
}
