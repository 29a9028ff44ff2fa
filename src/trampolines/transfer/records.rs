//! Records, tuples and fixed-length lists: consecutive fields.

use super::lists::Bulk;
use super::{Destination, Place, Shape, Source, Transfer};
use crate::codegen::TransferPart;
use anyhow::Result;
use std::ops::Range;
use trampette_artifact::facts::UNROLLED;
use trampette_artifact::types::Type;

impl Transfer<'_, '_, '_> {
    /// Transfers fields one after the other.
    pub(super) fn fields(
        &mut self,
        fields: &[Type],
        from: &mut Source<'_>,
        to: &mut Destination<'_>,
    ) -> Result<()> {
        self.some_fields(fields, 0..fields.len(), from, to)
    }

    /// Transfers a record or tuple; one of many fields in memory by code for so many of them each.
    pub(super) fn record(
        &mut self,
        ty: Type,
        fields: &[Type],
        from: &mut Source<'_>,
        to: &mut Destination<'_>,
    ) -> Result<()> {
        let in_memory = !matches!(
            (&from, &to),
            (Source::Flat(_), _) | (_, Destination::Flat(_))
        );
        let Some(most) = self.fields_at_once(fields.len()).filter(|_| in_memory) else {
            return self.fields(fields, from, to);
        };
        for start in (0..fields.len()).step_by(most) {
            let count = most.min(fields.len() - start);
            self.call_shared(TransferPart::Fields(ty, start, count), from, to)?;
        }
        Ok(())
    }

    /// Transfers those of the fields that are in the range.
    pub(super) fn some_fields(
        &mut self,
        fields: &[Type],
        range: Range<usize>,
        from: &mut Source<'_>,
        to: &mut Destination<'_>,
    ) -> Result<()> {
        let types = self.types();
        let (_, from_offsets) = self.from.record_layout(types, fields);
        let (_, to_offsets) = self.to.record_layout(types, fields);
        for (index, ty) in fields.iter().enumerate().take(range.end).skip(range.start) {
            let mut source = from.at(from_offsets[index]);
            let mut destination = to.at(to_offsets[index]);
            self.value(*ty, &mut source, &mut destination)?;
        }
        Ok(())
    }

    /// Transfers `count` elements, unrolled if either side is flat (there are at most 16 then) or
    /// if they are few.
    pub(super) fn fixed_length_list(
        &mut self,
        element: Type,
        count: u32,
        from: &mut Source<'_>,
        to: &mut Destination<'_>,
    ) -> Result<()> {
        let types = self.types();
        let shape = Shape::Value(element);
        if count > UNROLLED {
            let source = match from {
                Source::Flat(_) => None,
                Source::Guest(place) | Source::Native(place) => Some(*place),
            };
            let destination = match to {
                Destination::Flat(_) => None,
                Destination::Guest(place) | Destination::Native(place) => Some(*place),
            };
            if let (Some(source), Some(destination)) = (source, destination) {
                return self.many(&shape, count, source, destination);
            }
        }
        let from_size = self.from.size_align(types, &shape).size;
        let to_size = self.to.size_align(types, &shape).size;
        for index in 0..count {
            let index = u64::from(index);
            let mut source = from.at(index * from_size);
            let mut destination = to.at(index * to_size);
            self.value(element, &mut source, &mut destination)?;
        }
        Ok(())
    }

    fn many(&mut self, shape: &Shape, count: u32, from: Place, to: Place) -> Result<()> {
        let from = self.address(from);
        let to = self.address(to);
        let bulk = Bulk::of(self.types(), shape);
        let count = self.e.i64(i64::from(count));
        self.contents(shape, bulk, count, from, to)
    }
}
