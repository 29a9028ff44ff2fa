//! Lists and maps.
//!
//! Towards the host, a list whose elements look the same on both sides is borrowed: the native
//! pointer is an address in linear memory. Elements that only need validation are validated there.
//! The others are built in the store's arena. Towards a guest, `realloc` is called once for the
//! list, and what has the same form on both sides is copied in one piece.

use super::{Destination, Place, Shape, Side, Source, Transfer, checks};
use anyhow::{Result, bail};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{BlockArg, InstBuilder, Value, types};
use trampette_artifact::builtin::Builtin;
use trampette_artifact::canonical::{MAX_LIST_BYTE_LENGTH, discriminant_size, flags_size};
use trampette_artifact::trap::TrapCode;
use trampette_artifact::types::{DefinedType, Type, TypeTable};

/// What can be done with many elements at once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Bulk {
    /// Same bytes on both sides, every bit pattern valid, no padding.
    Plain,
    /// Like `Plain`, with padding: fine to borrow, but a copy would carry bytes that are not part
    /// of the value to the other side.
    Padded,
    /// `bool`: every non-zero byte becomes 1.
    Bools,
    /// `char`: to be validated.
    Chars,
    /// Enums of that many cases, to be validated.
    Enums(usize),
    /// Flags of that many labels: unused bits to be cleared.
    Flags(usize),
    /// One by one.
    No,
}

impl Bulk {
    /// What can be done with elements of that shape.
    pub(super) fn of(types: &TypeTable, element: &Shape) -> Bulk {
        let parts = match element {
            Shape::Value(ty) => std::slice::from_ref(ty),
            Shape::Tuple(fields) => fields,
        };
        let parts = || parts.iter().map(|ty| types.facts(*ty));
        if parts().all(|part| part.bitwise) {
            let whole = Side::Host.size_align(types, element).size;
            return match whole == parts().map(|part| part.value_bytes).sum::<u64>() {
                true => Bulk::Plain,
                false => Bulk::Padded,
            };
        }
        match element {
            Shape::Value(Type::Bool) => Bulk::Bools,
            Shape::Value(Type::Char) => Bulk::Chars,
            Shape::Value(Type::Defined(id)) => match &types[*id] {
                DefinedType::Enum(names) => {
                    let bits = 8 * discriminant_size(names.len());
                    match names.len() as u64 == 1 << bits {
                        true => Bulk::Plain,
                        false => Bulk::Enums(names.len()),
                    }
                }
                DefinedType::Flags(labels) => {
                    match labels.len() as u32 == 8 * flags_size(labels.len()) {
                        true => Bulk::Plain,
                        false => Bulk::Flags(labels.len()),
                    }
                }
                _ => Bulk::No,
            },
            _ => Bulk::No,
        }
    }

    /// Whether a guest's elements can be lent to the host where they are.
    pub(super) fn borrowable(self) -> bool {
        matches!(
            self,
            Bulk::Plain | Bulk::Padded | Bulk::Chars | Bulk::Enums(_)
        )
    }
}

impl Transfer<'_, '_, '_> {
    /// A list of elements of some shape.
    pub(super) fn list(
        &mut self,
        element: &Shape,
        from: &mut Source<'_>,
        to: &mut Destination<'_>,
    ) -> Result<()> {
        let bulk = Bulk::of(self.types(), element);
        let (pointer, count) = self.read_pair(from);
        let source = self.list_source(element, pointer, count)?;
        let pair = match self.to {
            Side::Host if bulk.borrowable() => {
                self.validate(bulk, count, source);
                (source, count)
            }
            Side::Host => (self.list_in_arena(element, bulk, count, source)?, count),
            Side::Guest(guest) => {
                let layout = self.to.size_align(self.types(), element);
                let bytes = self.times(count, layout.size);
                let traps = match self.between_guests() {
                    true => checks::LIST,
                    false => checks::REALLOC,
                };
                let block = checks::allocate_for(self.e, guest, layout.align, bytes, traps)?;
                self.contents(element, bulk, count, source, block.address)?;
                (block.pointer, count)
            }
        };
        self.write_pair(pair, to);
        Ok(())
    }

    /// Checks the list at its source; returns its native address.
    fn list_source(&mut self, element: &Shape, pointer: Value, count: Value) -> Result<Value> {
        // The limit is in bytes of linear memory, on whichever side that is.
        let side = match self.from {
            Side::Guest(_) => self.from,
            Side::Host => self.to,
        };
        let layout = side.size_align(self.types(), element);
        if layout.size == 0 {
            bail!("lists of elements without size are not supported");
        }
        let (size, limit) = (layout.size, MAX_LIST_BYTE_LENGTH);
        checks::limit_count(self.e, count, size, limit, TrapCode::ListTooLong);
        match self.from {
            Side::Guest(guest) => {
                let bytes = self.times(count, size);
                checks::checked_range(self.e, guest, pointer, bytes, layout.align, checks::LIST)
            }
            Side::Host => Ok(pointer),
        }
    }

    /// Builds the native list in the arena; an empty one takes nothing from it, but has an address
    /// that is aligned and not null.
    fn list_in_arena(
        &mut self,
        element: &Shape,
        bulk: Bulk,
        count: Value,
        source: Value,
    ) -> Result<Value> {
        let layout = self.to.size_align(self.types(), element);
        let fill = self.e.builder.create_block();
        let done = self.e.builder.create_block();
        let address = self.e.builder.append_block_param(done, types::I64);
        let dangling = self.e.i64(i64::from(layout.align));
        self.e
            .builder
            .ins()
            .brif(count, fill, &[], done, &[BlockArg::Value(dangling)]);

        self.e.start(fill);
        // At most 2^28 elements of less than 2^28 bytes: the product cannot overflow.
        let bytes = self.times(count, layout.size);
        let allocated = checks::arena_allocate(self.e, bytes, layout.align);
        self.contents(element, bulk, count, source, allocated)?;
        self.e
            .builder
            .ins()
            .jump(done, &[BlockArg::Value(allocated)]);

        self.e.start(done);
        Ok(address)
    }

    /// Transfers `count` elements of some shape between two native addresses whose bounds and
    /// alignment are known to be good.
    ///
    /// # Errors
    /// If the elements cannot be transferred.
    pub(crate) fn elements_between(
        &mut self,
        element: &Shape,
        count: Value,
        from: Value,
        to: Value,
    ) -> Result<()> {
        self.contents(element, Bulk::of(self.types(), element), count, from, to)
    }

    /// Transfers `count` elements between two checked native addresses.
    pub(super) fn contents(
        &mut self,
        element: &Shape,
        bulk: Bulk,
        count: Value,
        from: Value,
        to: Value,
    ) -> Result<()> {
        let checked = checks::must_be_checked(self.from);
        match bulk {
            Bulk::Padded | Bulk::No => return self.elements(element, count, from, to),
            _ => {}
        }
        let size = self.to.size_align(self.types(), element).size;
        let bytes = self.times(count, size);
        self.e.bulk(Builtin::MemoryMove, &[to, from, bytes]);
        // The copy is validated, not the original: it is what will be used.
        if checked {
            self.validate(bulk, count, to);
        }
        Ok(())
    }

    /// Validates elements in place. What is normalised is normalised in place, so it must be a
    /// copy.
    fn validate(&mut self, bulk: Bulk, count: Value, address: Value) {
        match bulk {
            Bulk::Bools => {
                self.e.builtin(Builtin::BoolsNormalise, &[address, count]);
            }
            Bulk::Chars => {
                let invalid = self.e.value_of(Builtin::CharsValidate, &[address, count]);
                self.e.trap_if(invalid, TrapCode::InvalidChar, None);
            }
            Bulk::Enums(cases) => {
                let size = self.e.i32(discriminant_size(cases));
                let cases = self.e.i32(u32::try_from(cases).unwrap_or(u32::MAX));
                let invalid = self
                    .e
                    .value_of(Builtin::EnumsValidate, &[address, count, size, cases]);
                self.e.trap_if(invalid, TrapCode::InvalidDiscriminant, None);
            }
            Bulk::Flags(labels) => {
                let size = flags_size(labels);
                let bytes = self.times(count, size.into());
                let mask = (0..8 / size).fold(0, |mask, position| {
                    mask | ((1_u64 << labels) - 1) << (8 * size * position)
                });
                let mask = self.e.i64(mask as i64);
                self.e.builtin(Builtin::BitsMask, &[address, bytes, mask]);
            }
            Bulk::Plain | Bulk::Padded | Bulk::No => {}
        }
    }

    /// Transfers elements one by one, in a loop over both addresses.
    fn elements(&mut self, element: &Shape, count: Value, from: Value, to: Value) -> Result<()> {
        let from_size = self.from.size_align(self.types(), element).size;
        let to_size = self.to.size_align(self.types(), element).size;
        let body = self.e.builder.create_block();
        let done = self.e.builder.create_block();
        let from_at = self.e.builder.append_block_param(body, types::I64);
        let to_at = self.e.builder.append_block_param(body, types::I64);
        let bytes = self.times(count, from_size);
        let end = self.e.builder.ins().iadd(from, bytes);
        self.e.builder.ins().brif(
            count,
            body,
            &[BlockArg::Value(from), BlockArg::Value(to)],
            done,
            &[],
        );

        self.e.builder.switch_to_block(body);
        let mut source = match self.from {
            Side::Guest(_) => Source::Guest(Place::new(from_at)),
            Side::Host => Source::Native(Place::new(from_at)),
        };
        let mut destination = match self.to {
            Side::Guest(_) => Destination::Guest(Place::new(to_at)),
            Side::Host => Destination::Native(Place::new(to_at)),
        };
        self.shape(element, &mut source, &mut destination)?;
        let from_step = self.e.size(from_size);
        let next_from = self.e.builder.ins().iadd(from_at, from_step);
        let to_step = self.e.size(to_size);
        let next_to = self.e.builder.ins().iadd(to_at, to_step);
        let more = self.e.builder.ins().icmp(IntCC::NotEqual, next_from, end);
        self.e.builder.ins().brif(
            more,
            body,
            &[BlockArg::Value(next_from), BlockArg::Value(next_to)],
            done,
            &[],
        );
        self.e.builder.seal_block(body);
        self.e.start(done);
        Ok(())
    }

    /// `count * size`, which the caller knows not to overflow.
    pub(super) fn times(&mut self, count: Value, size: u64) -> Value {
        if size == 1 {
            return count;
        }
        let size = self.e.size(size);
        self.e.builder.ins().imul(count, size)
    }
}
