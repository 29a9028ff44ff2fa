//! Locals and globals.

use super::Translator;
use crate::codegen::clif_type;
use crate::layout::{ConstValue, GlobalPlace};
use anyhow::{Result, bail};
use cranelift_codegen::ir::immediates::{Ieee32, Ieee64};
use cranelift_codegen::ir::{InstBuilder, Value, types};
use wasmparser::Operator;

pub(super) fn translate(t: &mut Translator<'_, '_>, op: &Operator<'_>) -> Result<bool> {
    match op {
        Operator::LocalGet { local_index } => {
            let value = t.local(*local_index as usize);
            t.push1(value);
        }
        Operator::LocalSet { local_index } => {
            let value = t.pop1();
            t.set_local(*local_index as usize, value);
        }
        Operator::LocalTee { local_index } => {
            let value = t.peek1();
            t.set_local(*local_index as usize, value);
        }
        Operator::GlobalGet { global_index } => {
            let value = match t.global(*global_index) {
                (_, GlobalPlace::Constant(value)) => t.constant(value),
                (id, GlobalPlace::Context { slab, offset, ty }) => {
                    let at = t.global_address(id, slab, offset, ty);
                    t.builder
                        .ins()
                        .load(clif_type(ty), at.flags, at.base, at.offset)
                }
            };
            t.push1(value);
        }
        Operator::GlobalSet { global_index } => {
            let value = t.pop1();
            match t.global(*global_index) {
                (id, GlobalPlace::Context { slab, offset, ty }) => {
                    let at = t.global_address(id, slab, offset, ty);
                    t.builder.ins().store(at.flags, value, at.base, at.offset);
                }
                (id, GlobalPlace::Constant(_)) => {
                    bail!("the layout made {id} a constant, but it is written")
                }
            }
        }
        _ => return Ok(false),
    }
    Ok(true)
}

impl Translator<'_, '_> {
    fn constant(&mut self, value: ConstValue) -> Value {
        match value {
            ConstValue::I32(value) => {
                // The immediate of a narrow constant is zero-extended.
                let value = i64::from(value.cast_unsigned());
                self.builder.ins().iconst(types::I32, value)
            }
            ConstValue::Ref(id) => self.builder.ins().iconst(types::I32, i64::from(id)),
            ConstValue::I64(value) => self.builder.ins().iconst(types::I64, value),
            ConstValue::F32(bits) => self.builder.ins().f32const(Ieee32::with_bits(bits)),
            ConstValue::F64(bits) => self.builder.ins().f64const(Ieee64::with_bits(bits)),
            ConstValue::V128(bytes) => {
                let bytes = self.builder.func.dfg.constants.insert(bytes[..].into());
                self.builder.ins().vconst(types::I8X16, bytes)
            }
        }
    }
}
