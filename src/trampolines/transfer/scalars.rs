//! Scalars: numbers, `bool`, `char`, `flags`; and the pairs of pointer and length that strings and
//! lists are.
//!
//! Narrow integers are `i32` in CLIF, extended by their signedness when they end up flat; on the
//! way to memory the store ignores the bits that do not count. Floats pass bit by bit.

use super::{Destination, Side, Source, Transfer, checks};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{InstBuilder, MemFlagsData, Opcode, Type, Value, types};
use trampette_artifact::canonical::{Flat, PointerWidth, flags_size};
use trampette_artifact::native::SLICE_LENGTH_OFFSET;
use trampette_artifact::trap::TrapCode;

/// An integer type. Signedness matters only to those narrower than a core value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Integer {
    /// 8 bits, unsigned.
    U8,
    /// 8 bits, signed.
    S8,
    /// 16 bits, unsigned.
    U16,
    /// 16 bits, signed.
    S16,
    /// 32 bits.
    Any32,
    /// 64 bits.
    Any64,
}

impl Integer {
    /// The unsigned integer of 1, 2 or 4 bytes.
    pub(super) fn unsigned(bytes: u32) -> Self {
        match bytes {
            1 => Integer::U8,
            2 => Integer::U16,
            _ => Integer::Any32,
        }
    }
}

/// The CLIF type of a flat value.
pub(super) fn clif_type(flat: Flat) -> Type {
    match flat {
        Flat::I32 => types::I32,
        Flat::I64 => types::I64,
        Flat::F32 => types::F32,
        Flat::F64 => types::F64,
    }
}

impl Transfer<'_, '_, '_> {
    pub(super) fn integer(
        &mut self,
        integer: Integer,
        from: &mut Source<'_>,
        to: &mut Destination<'_>,
    ) {
        let value = self.read_integer(integer, from);
        // Loads extend; stores ignore the high bits; only flat to flat needs to be extended here.
        let value = match (&from, &to) {
            (Source::Flat(_), Destination::Flat(_)) => self.extend(integer, value),
            _ => value,
        };
        self.write_integer(integer, value, to);
    }

    /// Extends a narrow integer whose high bits are not known.
    fn extend(&mut self, integer: Integer, value: Value) -> Value {
        let ins = self.e.builder.ins();
        let (narrow, signed) = match integer {
            Integer::U8 => (types::I8, false),
            Integer::S8 => (types::I8, true),
            Integer::U16 => (types::I16, false),
            Integer::S16 => (types::I16, true),
            Integer::Any32 | Integer::Any64 => return value,
        };
        let value = ins.ireduce(narrow, value);
        match signed {
            false => self.e.builder.ins().uextend(types::I32, value),
            true => self.e.builder.ins().sextend(types::I32, value),
        }
    }

    /// Loads an integer, extended; a flat one as it is.
    pub(super) fn read_integer(&mut self, integer: Integer, from: &mut Source<'_>) -> Value {
        if let Source::Flat(values) = from {
            return values.take();
        }
        let access = self.read_access(from).expect("not flat");
        let (flags, address, at) = (access.flags, access.address, access.displacement);
        let ins = self.e.builder.ins();
        match integer {
            Integer::U8 => ins.uload8(types::I32, flags, address, at),
            Integer::S8 => ins.sload8(types::I32, flags, address, at),
            Integer::U16 => ins.uload16(types::I32, flags, address, at),
            Integer::S16 => ins.sload16(types::I32, flags, address, at),
            Integer::Any32 => ins.load(types::I32, flags, address, at),
            Integer::Any64 => ins.load(types::I64, flags, address, at),
        }
    }

    /// Stores the low bits of an integer, or appends it.
    pub(super) fn write_integer(
        &mut self,
        integer: Integer,
        value: Value,
        to: &mut Destination<'_>,
    ) {
        if let Destination::Flat(values) = to {
            values.push(value);
            return;
        }
        let access = self.write_access(to).expect("not flat");
        let (flags, address, at) = (access.flags, access.address, access.displacement);
        let ins = self.e.builder.ins();
        match integer {
            Integer::U8 | Integer::S8 => ins.istore8(flags, value, address, at),
            Integer::U16 | Integer::S16 => ins.istore16(flags, value, address, at),
            Integer::Any32 | Integer::Any64 => ins.store(flags, value, address, at),
        };
    }

    pub(super) fn float(&mut self, flat: Flat, from: &mut Source<'_>, to: &mut Destination<'_>) {
        let value = match from {
            Source::Flat(values) => values.take(),
            _ => {
                let access = self.read_access(from).expect("not flat");
                let (flags, address, at) = (access.flags, access.address, access.displacement);
                self.e
                    .builder
                    .ins()
                    .load(clif_type(flat), flags, address, at)
            }
        };
        match to {
            Destination::Flat(values) => values.push(value),
            _ => {
                let access = self.write_access(to).expect("not flat");
                let (flags, address, at) = (access.flags, access.address, access.displacement);
                self.e.builder.ins().store(flags, value, address, at);
            }
        }
    }

    /// `convert_int_to_bool`: every value but 0 is true.
    pub(super) fn boolean(&mut self, from: &mut Source<'_>, to: &mut Destination<'_>) {
        let mut value = self.read_integer(Integer::U8, from);
        if checks::must_be_checked(self.from) {
            let zero = self.e.i32(0);
            let truth = self.e.builder.ins().icmp(IntCC::NotEqual, value, zero);
            value = self.e.builder.ins().uextend(types::I32, truth);
        }
        self.write_integer(Integer::U8, value, to);
    }

    /// `convert_i32_to_char`.
    pub(super) fn character(&mut self, from: &mut Source<'_>, to: &mut Destination<'_>) {
        let value = self.read_integer(Integer::Any32, from);
        if checks::must_be_checked(self.from) {
            let first_surrogate = self.e.i32(0xd800);
            let surrogates = self.e.i32(0x800);
            let end = self.e.i32(0x11_0000);
            let ins = self.e.builder.ins();
            let beyond = ins.icmp(IntCC::UnsignedGreaterThanOrEqual, value, end);
            let position = self.e.builder.ins().isub(value, first_surrogate);
            let surrogate =
                self.e
                    .builder
                    .ins()
                    .icmp(IntCC::UnsignedLessThan, position, surrogates);
            let invalid = self.e.builder.ins().bor(beyond, surrogate);
            self.e.trap_if(invalid, TrapCode::InvalidChar, None);
        }
        self.write_integer(Integer::Any32, value, to);
    }

    /// Bits beyond the labels are ignored, so they do not arrive.
    pub(super) fn flags(&mut self, labels: usize, from: &mut Source<'_>, to: &mut Destination<'_>) {
        let integer = Integer::unsigned(flags_size(labels));
        let mut value = self.read_integer(integer, from);
        if labels < 32 {
            let mask = self.e.i32((1 << labels) - 1);
            value = self.e.builder.ins().band(value, mask);
        }
        self.write_integer(integer, value, to);
    }

    /// The pointer and (tagged) length of a string or list, as two `i64`, zero-extended. Nothing is
    /// checked.
    pub(super) fn read_pair(&mut self, from: &mut Source<'_>) -> (Value, Value) {
        let side = self.from;
        let mut one = |offset: u64| match from.at(offset) {
            Source::Flat(values) => {
                let value = values.take();
                match side {
                    Side::Guest(guest) => checks::extend_pointer(self.e, guest, value),
                    Side::Host => value,
                }
            }
            place => {
                let access = self.read_access(&place).expect("not flat");
                let (flags, address, at) = (access.flags, access.address, access.displacement);
                let ins = self.e.builder.ins();
                match side {
                    Side::Guest(guest) if guest.width() == PointerWidth::P32 => {
                        ins.uload32(flags, address, at)
                    }
                    _ => ins.load(types::I64, flags, address, at),
                }
            }
        };
        (one(0), one(length_offset(side)))
    }

    /// Writes a pair of `i64` as the destination keeps pointer and length.
    pub(super) fn write_pair(&mut self, pair: (Value, Value), to: &mut Destination<'_>) {
        let side = self.to;
        for (value, offset) in [(pair.0, 0), (pair.1, length_offset(side))] {
            match to.at(offset) {
                Destination::Flat(values) => {
                    let value = match side {
                        Side::Guest(guest) => checks::wrap_pointer(self.e, guest, value),
                        Side::Host => value,
                    };
                    values.push(value);
                }
                place => {
                    let access = self.write_access(&place).expect("not flat");
                    let (flags, address, at) = (access.flags, access.address, access.displacement);
                    let ins = self.e.builder.ins();
                    match side {
                        Side::Guest(guest) if guest.width() == PointerWidth::P32 => {
                            ins.istore32(flags, value, address, at)
                        }
                        _ => ins.store(flags, value, address, at),
                    };
                }
            }
        }
    }

    /// Turns a flat value of type `have` into one of type `want`, as `CoerceValueIter` does when
    /// lifting a variant and `lower_flat_variant` when lowering it.
    pub(super) fn coerce(&mut self, value: Value, have: Flat, want: Flat) -> Value {
        match (have, want) {
            (Flat::I32, Flat::F32)
            | (Flat::F32, Flat::I32)
            | (Flat::I64, Flat::F64)
            | (Flat::F64, Flat::I64) => self.bitcast(clif_type(want), value),
            (Flat::I64, Flat::I32) => self.e.builder.ins().ireduce(types::I32, value),
            (Flat::I64, Flat::F32) => {
                let low = self.e.builder.ins().ireduce(types::I32, value);
                self.bitcast(types::F32, low)
            }
            (Flat::I32, Flat::I64) => self.e.builder.ins().uextend(types::I64, value),
            (Flat::F32, Flat::I64) => {
                let bits = self.bitcast(types::I32, value);
                self.e.builder.ins().uextend(types::I64, bits)
            }
            _ => {
                debug_assert_eq!(have, want, "`join` makes no other pairs");
                value
            }
        }
    }

    /// The same bits as another type; no code if they came from there.
    fn bitcast(&mut self, ty: Type, value: Value) -> Value {
        let dfg = &self.e.builder.func.dfg;
        if let Some(inst) = dfg.value_def(value).inst()
            && dfg.insts[inst].opcode() == Opcode::Bitcast
            && let [original] = *dfg.inst_args(inst)
            && dfg.value_type(original) == ty
        {
            return original;
        }
        self.e.builder.ins().bitcast(ty, MemFlagsData::new(), value)
    }
}

fn length_offset(side: Side<'_>) -> u64 {
    match side {
        Side::Guest(guest) => guest.width().bytes().into(),
        Side::Host => SLICE_LENGTH_OFFSET.into(),
    }
}
