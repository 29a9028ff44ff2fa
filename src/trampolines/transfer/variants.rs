//! Variants, options, results and enums: a discriminant, and perhaps a payload.
//!
//! The range check of a guest's discriminant is the default of the switch that chooses the case. A
//! flat variant's values have the *joined* types of all cases; each case reinterprets those it
//! uses.

use super::scalars::{Integer, clif_type};
use super::{Destination, FlatValues, Source, Transfer, checks};
use anyhow::Result;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{Block, BlockArg, InstBuilder, Value, types};
use cranelift_frontend::Switch;
use trampette_artifact::canonical::{Flat, discriminant_size};
use trampette_artifact::trap::TrapCode;
use trampette_artifact::types::Type;

/// Up to as many cases are told apart by comparisons: they are cheaper than a jump through a table,
/// and inlining can decide them.
const COMPARED_CASES: usize = 4;

impl Transfer<'_, '_, '_> {
    /// An enum of `cases` cases.
    pub(super) fn enumeration(
        &mut self,
        cases: usize,
        from: &mut Source<'_>,
        to: &mut Destination<'_>,
    ) {
        let integer = Integer::unsigned(discriminant_size(cases));
        let discriminant = self.read_integer(integer, from);
        if checks::must_be_checked(self.from) {
            let count = self.e.i32(u32::try_from(cases).unwrap_or(u32::MAX));
            let ins = self.e.builder.ins();
            let invalid = ins.icmp(IntCC::UnsignedGreaterThanOrEqual, discriminant, count);
            self.e.trap_if(invalid, TrapCode::InvalidDiscriminant, None);
        }
        self.write_integer(integer, discriminant, to);
    }

    /// A variant, option or result `ty` with these cases.
    pub(super) fn variant(
        &mut self,
        ty: Type,
        cases: &[Option<Type>],
        from: &mut Source<'_>,
        to: &mut Destination<'_>,
    ) -> Result<()> {
        if cases.iter().all(Option::is_none) {
            self.enumeration(cases.len(), from, to);
            return Ok(());
        }
        let types = self.types();
        let integer = Integer::unsigned(discriminant_size(cases.len()));
        let discriminant = self.read_integer(integer, from);
        self.write_integer(integer, discriminant, to);

        // The joined flat types after the discriminant, and the values that have them.
        let joined_from = match from {
            Source::Flat(values) => {
                let flat = self.from.flat(types, ty).split_off(1);
                flat.into_iter().map(|ty| (values.take(), ty)).collect()
            }
            _ => Vec::new(),
        };
        let joined_to = match to {
            Destination::Flat(_) => self.to.flat(types, ty).split_off(1),
            _ => Vec::new(),
        };
        let from_offset = self.from.payload_offset(types, cases);
        let to_offset = self.to.payload_offset(types, cases);

        let join = self.e.builder.create_block();
        for ty in &joined_to {
            self.e.builder.append_block_param(join, clif_type(*ty));
        }
        let blocks = self.switch(discriminant, cases);

        for (case, block) in &blocks {
            self.e.start(*block);
            let mut flat_to = Vec::new();
            if let Some(ty) = case {
                let mut flat_from = self.case_values(*ty, &joined_from, from);
                let mut source = match &mut *from {
                    Source::Flat(_) => Source::Flat(&mut flat_from),
                    memory => memory.at(from_offset),
                };
                let mut destination = match &mut *to {
                    Destination::Flat(_) => Destination::Flat(&mut flat_to),
                    memory => memory.at(to_offset),
                };
                self.cases += 1;
                self.value(*ty, &mut source, &mut destination)?;
                self.cases -= 1;
            }
            let arguments = self.joined_values(*case, flat_to, &joined_to);
            self.e.builder.ins().jump(join, &arguments);
        }

        self.e.start(join);
        if let Destination::Flat(values) = to {
            values.extend(self.e.builder.block_params(join));
        }
        Ok(())
    }

    /// Branches to one block for each case with a payload and one for all without; raises
    /// `InvalidDiscriminant` for everything else.
    fn switch(
        &mut self,
        discriminant: Value,
        cases: &[Option<Type>],
    ) -> Vec<(Option<Type>, Block)> {
        let mut blocks = Vec::new();
        let mut targets = Vec::new();
        let mut without_payload = None;
        for case in cases {
            let block = match (case, without_payload) {
                (None, Some(block)) => block,
                _ => {
                    let block = self.e.builder.create_block();
                    blocks.push((*case, block));
                    if case.is_none() {
                        without_payload = Some(block);
                    }
                    block
                }
            };
            targets.push(block);
        }
        let invalid = self.e.builder.create_block();
        self.e.builder.set_cold_block(invalid);
        if cases.len() <= COMPARED_CASES {
            self.compare_cases(discriminant, &targets, invalid);
        } else {
            let mut switch = Switch::new();
            for (index, target) in targets.iter().enumerate() {
                switch.set_entry(index as u128, *target);
            }
            switch.emit(&mut self.e.builder, discriminant, invalid);
        }
        self.e.start(invalid);
        self.e.raise(TrapCode::InvalidDiscriminant, None);
        blocks
    }

    /// Ends the block by comparisons with one case after the other, the last ones first: those
    /// without payload mostly come first, and have the least to do.
    fn compare_cases(&mut self, discriminant: Value, targets: &[Block], invalid: Block) {
        for (index, target) in targets.iter().enumerate().rev() {
            let case = self.e.i32(index as u32);
            let is_case = self.e.builder.ins().icmp(IntCC::Equal, discriminant, case);
            let next = match index {
                0 => invalid,
                _ => self.e.builder.create_block(),
            };
            self.e.builder.ins().brif(is_case, *target, &[], next, &[]);
            if index > 0 {
                self.e.start(next);
            }
        }
    }

    /// The values of a case, reinterpreted from the joined ones.
    fn case_values(&mut self, ty: Type, joined: &[(Value, Flat)], from: &Source<'_>) -> FlatValues {
        let wanted = match from {
            Source::Flat(_) => self.from.flat(self.types(), ty),
            _ => Vec::new(),
        };
        let values = wanted
            .into_iter()
            .zip(joined)
            .map(|(want, (value, have))| self.coerce(*value, *have, want))
            .collect();
        FlatValues::new(values)
    }

    /// The values of a case as joined ones, filled up with zeros.
    fn joined_values(
        &mut self,
        case: Option<Type>,
        values: Vec<Value>,
        joined: &[Flat],
    ) -> Vec<BlockArg> {
        if joined.is_empty() {
            return Vec::new();
        }
        let have = case.map_or(Vec::new(), |ty| self.to.flat(self.types(), ty));
        debug_assert_eq!(have.len(), values.len());
        let mut arguments = Vec::new();
        for (index, want) in joined.iter().enumerate() {
            let value = match values.get(index) {
                Some(value) => self.coerce(*value, have[index], *want),
                None => self.zero(*want),
            };
            arguments.push(BlockArg::Value(value));
        }
        arguments
    }

    fn zero(&mut self, flat: Flat) -> Value {
        let ins = self.e.builder.ins();
        match flat {
            Flat::I32 => ins.iconst(types::I32, 0),
            Flat::I64 => ins.iconst(types::I64, 0),
            Flat::F32 => ins.f32const(0.0),
            Flat::F64 => ins.f64const(0.0),
        }
    }
}
