//! Atomic accesses: loads, stores, read-modify-write, compare-and-exchange, fences, wait and notify.
//!
//! Every one of them is sequentially consistent, and traps unless its address is a multiple of its
//! width. The narrow ones work on zero-extended values.

use super::{Address, Translator};
use crate::codegen::clif_trap;
use anyhow::Result;
use cranelift_codegen::ir::types::{I8, I16, I32, I64};
use cranelift_codegen::ir::{AtomicRmwOp, InstBuilder, MemFlagsData, Type, Value};
use trampette_artifact::builtin::Builtin;
use trampette_artifact::trap::TrapCode;
use wasmparser::{MemArg, MemArgTarget, Operator};

macro_rules! families {
    ($t:ident, $op:ident; $($kind:ident: $o32:ident $o64:ident $o32_8:ident $o32_16:ident $o64_8:ident $o64_16:ident $o64_32:ident;)*) => {
        match $op {
            $(
                Operator::$o32 { memarg } => $t.read_modify_write(memarg, AtomicRmwOp::$kind, I32, I32),
                Operator::$o64 { memarg } => $t.read_modify_write(memarg, AtomicRmwOp::$kind, I64, I64),
                Operator::$o32_8 { memarg } => $t.read_modify_write(memarg, AtomicRmwOp::$kind, I8, I32),
                Operator::$o32_16 { memarg } => $t.read_modify_write(memarg, AtomicRmwOp::$kind, I16, I32),
                Operator::$o64_8 { memarg } => $t.read_modify_write(memarg, AtomicRmwOp::$kind, I8, I64),
                Operator::$o64_16 { memarg } => $t.read_modify_write(memarg, AtomicRmwOp::$kind, I16, I64),
                Operator::$o64_32 { memarg } => $t.read_modify_write(memarg, AtomicRmwOp::$kind, I32, I64),
            )*
            _ => return false,
        }
    };
}

pub(super) fn translate(t: &mut Translator<'_, '_>, op: &Operator<'_>) -> Result<bool> {
    use Operator as O;
    match op {
        O::I32AtomicLoad { memarg } => t.atomic_load(memarg, I32, I32),
        O::I64AtomicLoad { memarg } => t.atomic_load(memarg, I64, I64),
        O::I32AtomicLoad8U { memarg } => t.atomic_load(memarg, I8, I32),
        O::I32AtomicLoad16U { memarg } => t.atomic_load(memarg, I16, I32),
        O::I64AtomicLoad8U { memarg } => t.atomic_load(memarg, I8, I64),
        O::I64AtomicLoad16U { memarg } => t.atomic_load(memarg, I16, I64),
        O::I64AtomicLoad32U { memarg } => t.atomic_load(memarg, I32, I64),
        O::I32AtomicStore { memarg } => t.atomic_store(memarg, I32),
        O::I64AtomicStore { memarg } => t.atomic_store(memarg, I64),
        O::I32AtomicStore8 { memarg } | O::I64AtomicStore8 { memarg } => t.atomic_store(memarg, I8),
        O::I32AtomicStore16 { memarg } | O::I64AtomicStore16 { memarg } => {
            t.atomic_store(memarg, I16);
        }
        O::I64AtomicStore32 { memarg } => t.atomic_store(memarg, I32),
        O::I32AtomicRmwCmpxchg { memarg } => t.compare_exchange(memarg, I32, I32),
        O::I64AtomicRmwCmpxchg { memarg } => t.compare_exchange(memarg, I64, I64),
        O::I32AtomicRmw8CmpxchgU { memarg } => t.compare_exchange(memarg, I8, I32),
        O::I32AtomicRmw16CmpxchgU { memarg } => t.compare_exchange(memarg, I16, I32),
        O::I64AtomicRmw8CmpxchgU { memarg } => t.compare_exchange(memarg, I8, I64),
        O::I64AtomicRmw16CmpxchgU { memarg } => t.compare_exchange(memarg, I16, I64),
        O::I64AtomicRmw32CmpxchgU { memarg } => t.compare_exchange(memarg, I32, I64),
        O::AtomicFence { .. } => {
            t.builder.ins().fence();
        }
        O::MemoryAtomicNotify { memarg } => {
            let count = t.pop1();
            let (address, flags) = t.atomic_address(memarg, I32);
            // The place must be there even though nothing is read.
            t.builder.ins().load(I32, flags, address, 0);
            let woken = t
                .builtin(Builtin::AtomicNotify, &[address, count])
                .expect("atomic-notify has a result");
            t.push1(woken);
        }
        O::MemoryAtomicWait32 { memarg } => t.wait(memarg, I32, Builtin::AtomicWait32),
        O::MemoryAtomicWait64 { memarg } => t.wait(memarg, I64, Builtin::AtomicWait64),
        _ => return Ok(read_modify_write(t, op)),
    }
    Ok(true)
}

fn read_modify_write(t: &mut Translator<'_, '_>, op: &Operator<'_>) -> bool {
    families! { t, op;
        Add: I32AtomicRmwAdd I64AtomicRmwAdd I32AtomicRmw8AddU I32AtomicRmw16AddU
            I64AtomicRmw8AddU I64AtomicRmw16AddU I64AtomicRmw32AddU;
        Sub: I32AtomicRmwSub I64AtomicRmwSub I32AtomicRmw8SubU I32AtomicRmw16SubU
            I64AtomicRmw8SubU I64AtomicRmw16SubU I64AtomicRmw32SubU;
        And: I32AtomicRmwAnd I64AtomicRmwAnd I32AtomicRmw8AndU I32AtomicRmw16AndU
            I64AtomicRmw8AndU I64AtomicRmw16AndU I64AtomicRmw32AndU;
        Or: I32AtomicRmwOr I64AtomicRmwOr I32AtomicRmw8OrU I32AtomicRmw16OrU
            I64AtomicRmw8OrU I64AtomicRmw16OrU I64AtomicRmw32OrU;
        Xor: I32AtomicRmwXor I64AtomicRmwXor I32AtomicRmw8XorU I32AtomicRmw16XorU
            I64AtomicRmw8XorU I64AtomicRmw16XorU I64AtomicRmw32XorU;
        Xchg: I32AtomicRmwXchg I64AtomicRmwXchg I32AtomicRmw8XchgU I32AtomicRmw16XchgU
            I64AtomicRmw8XchgU I64AtomicRmw16XchgU I64AtomicRmw32XchgU;
    }
    true
}

impl Translator<'_, '_> {
    /// Pops the index of an access of a `ty`; its address, checked to be a multiple of its width, and
    /// the flags of the access.
    fn atomic_address(&mut self, memarg: &MemArg, ty: Type) -> (Value, MemFlagsData) {
        let Address {
            base,
            offset,
            flags,
        } = self.memory_address(memarg, ty.bytes());
        let address = match offset {
            0 => base,
            offset => {
                let offset = self.builder.ins().iconst(I64, i64::from(offset));
                self.builder.ins().iadd(base, offset)
            }
        };
        if ty != I8 {
            // Memories start at page boundaries.
            let mask = self.builder.ins().iconst(I64, i64::from(ty.bytes()) - 1);
            let low = self.builder.ins().band(address, mask);
            let trap = clif_trap(TrapCode::UnalignedAtomic);
            self.builder.ins().trapnz(low, trap);
        }
        (address, flags)
    }

    fn narrowed(&mut self, value: Value, ty: Type) -> Value {
        match self.builder.func.dfg.value_type(value) == ty {
            true => value,
            false => self.builder.ins().ireduce(ty, value),
        }
    }

    fn push_extended(&mut self, value: Value, ty: Type) {
        let value = match self.builder.func.dfg.value_type(value) == ty {
            true => value,
            false => self.builder.ins().uextend(ty, value),
        };
        self.push1(value);
    }

    fn atomic_load(&mut self, memarg: &MemArg, access: Type, result: Type) {
        let (address, flags) = self.atomic_address(memarg, access);
        let value = self.builder.ins().atomic_load(access, flags, address);
        self.push_extended(value, result);
    }

    fn atomic_store(&mut self, memarg: &MemArg, access: Type) {
        let value = self.pop1();
        let value = self.narrowed(value, access);
        let (address, flags) = self.atomic_address(memarg, access);
        self.builder.ins().atomic_store(flags, value, address);
    }

    fn read_modify_write(&mut self, memarg: &MemArg, op: AtomicRmwOp, access: Type, result: Type) {
        let operand = self.pop1();
        let operand = self.narrowed(operand, access);
        let (address, flags) = self.atomic_address(memarg, access);
        let old = self
            .builder
            .ins()
            .atomic_rmw(access, flags, op, address, operand);
        self.push_extended(old, result);
    }

    fn compare_exchange(&mut self, memarg: &MemArg, access: Type, result: Type) {
        let (expected, replacement) = self.pop2();
        // An expected value that does not fit the access equals nothing; one compare more says so.
        let wide = expected;
        let expected = self.narrowed(expected, access);
        let replacement = self.narrowed(replacement, access);
        let (address, flags) = self.atomic_address(memarg, access);
        if access == result {
            let old = self
                .builder
                .ins()
                .atomic_cas(flags, address, expected, replacement);
            self.push1(old);
            return;
        }
        let fits = self.builder.ins().uextend(result, expected);
        let fits =
            self.builder
                .ins()
                .icmp(cranelift_codegen::ir::condcodes::IntCC::Equal, fits, wide);
        let exchange = self.builder.create_block();
        let load = self.builder.create_block();
        let done = self.builder.create_block();
        let old = self.builder.append_block_param(done, access);
        self.builder.set_cold_block(load);
        self.builder.ins().brif(fits, exchange, &[], load, &[]);
        self.builder.switch_to_block(exchange);
        self.builder.seal_block(exchange);
        let swapped = self
            .builder
            .ins()
            .atomic_cas(flags, address, expected, replacement);
        self.builder.ins().jump(done, &[swapped.into()]);
        self.builder.switch_to_block(load);
        self.builder.seal_block(load);
        let loaded = self.builder.ins().atomic_load(access, flags, address);
        self.builder.ins().jump(done, &[loaded.into()]);
        self.builder.switch_to_block(done);
        self.builder.seal_block(done);
        self.push_extended(old, result);
    }

    fn wait(&mut self, memarg: &MemArg, ty: Type, builtin: Builtin) {
        let (expected, timeout) = self.pop2();
        let (address, flags) = self.atomic_address(memarg, ty);
        // The builtin does not fault: what is out of bounds does so here.
        self.builder.ins().atomic_load(ty, flags, address);
        let MemArgTarget::Memory(memory) = memarg.target else {
            unreachable!("modules with array types are refused when they are parsed");
        };
        if !self.memory(memory).1.shared {
            let condition = self.builder.ins().iconst(I32, 1);
            let trap = clif_trap(TrapCode::AtomicWaitNonShared);
            self.builder.ins().trapnz(condition, trap);
        }
        let result = self
            .builtin(builtin, &[address, expected, timeout])
            .expect("waiting has a result");
        self.push1(result);
    }
}
