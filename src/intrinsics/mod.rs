//! Unsafe intrinsics: native loads and stores for compile-time builtins.
//!
//! They reach the host's memory by plain addresses. Only modules that an option of the compiler
//! trusts may import them; the checked forms are bounds checks for such a module's own use.

use crate::codegen::emitter::Emitter;
use crate::codegen::{self, Region, Session};
use crate::program::intrinsic::intrinsic_signature;
use anyhow::Result;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{self, InstBuilder, MemFlagsData, Value, types};
use trampette_artifact::key::{Abi, FuncKey, Intrinsic};
use trampette_artifact::layout::root;
use trampette_artifact::trap::TrapCode;

/// What an intrinsic does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Operation {
    StoreDataAddress,
    Access {
        direction: Direction,
        /// Of the accessed integer.
        width: ir::Type,
        bounds: Bounds,
    },
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Direction {
    Load,
    Store,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Bounds {
    /// `(address)`.
    Unchecked,
    /// `(base, offset, length)`.
    Checked,
}

fn operation(intrinsic: Intrinsic) -> Operation {
    use Bounds::{Checked, Unchecked};
    use Direction::{Load, Store};
    use Intrinsic as I;
    let (direction, width, bounds) = match intrinsic {
        I::StoreDataAddress => return Operation::StoreDataAddress,
        I::U8NativeLoad => (Load, types::I8, Unchecked),
        I::U16NativeLoad => (Load, types::I16, Unchecked),
        I::U32NativeLoad => (Load, types::I32, Unchecked),
        I::U64NativeLoad => (Load, types::I64, Unchecked),
        I::U8NativeStore => (Store, types::I8, Unchecked),
        I::U16NativeStore => (Store, types::I16, Unchecked),
        I::U32NativeStore => (Store, types::I32, Unchecked),
        I::U64NativeStore => (Store, types::I64, Unchecked),
        I::U8CheckedNativeLoad => (Load, types::I8, Checked),
        I::U16CheckedNativeLoad => (Load, types::I16, Checked),
        I::U32CheckedNativeLoad => (Load, types::I32, Checked),
        I::U64CheckedNativeLoad => (Load, types::I64, Checked),
        I::U8CheckedNativeStore => (Store, types::I8, Checked),
        I::U16CheckedNativeStore => (Store, types::I16, Checked),
        I::U32CheckedNativeStore => (Store, types::I32, Checked),
        I::U64CheckedNativeStore => (Store, types::I64, Checked),
    };
    Operation::Access {
        direction,
        width,
        bounds,
    }
}

/// The wasm-call body of an intrinsic.
///
/// # Errors
/// Never; the result is uniform over all producers.
pub(crate) fn intrinsic(session: &Session<'_>, intrinsic: Intrinsic) -> Result<ir::Function> {
    let key = FuncKey::UnsafeIntrinsic(Abi::Wasm, intrinsic);
    let signature = codegen::wasm_call_signature(&intrinsic_signature(intrinsic));
    Emitter::build_unlimited(session, key, signature, |e, params| {
        let result = match operation(intrinsic) {
            Operation::StoreDataAddress => Some(e.load_root(types::I64, root::STORE_DATA)),
            Operation::Access {
                direction,
                width,
                bounds,
            } => {
                let address = match bounds {
                    Bounds::Unchecked => params[0],
                    Bounds::Checked => checked_address(e, &params[..3], width),
                };
                // Not aligned: an address is whatever the module makes it.
                let flags = MemFlagsData::new().with_notrap();
                let flags = Region::Native.flags(e.builder.func, flags);
                match direction {
                    Direction::Load => Some(load(e, width, flags, address)),
                    Direction::Store => {
                        let value = *params.last().expect("stores take a value");
                        store(e, width, flags, address, value);
                        None
                    }
                }
            }
        };
        e.builder.ins().return_(result.as_slice());
        Ok(())
    })
}

/// `base + offset`, after raising unless `offset + width <= length` without overflow.
fn checked_address(e: &mut Emitter<'_, '_>, operands: &[Value], width: ir::Type) -> Value {
    let [base, offset, length] = operands else {
        unreachable!("checked accesses take three operands before the value");
    };
    let width = e.i64(i64::from(width.bytes()));
    let too_short = e
        .builder
        .ins()
        .icmp(IntCC::UnsignedLessThan, *length, width);
    let last = e.builder.ins().isub(*length, width);
    let beyond = e
        .builder
        .ins()
        .icmp(IntCC::UnsignedGreaterThan, *offset, last);
    let outside = e.builder.ins().bor(too_short, beyond);
    e.trap_if(outside, TrapCode::NativeOutOfBounds, None);
    e.builder.ins().iadd(*base, *offset)
}

fn load(e: &mut Emitter<'_, '_>, width: ir::Type, flags: MemFlagsData, address: Value) -> Value {
    let value = e.builder.ins().load(width, flags, address, 0);
    match width {
        types::I8 | types::I16 => e.builder.ins().uextend(types::I32, value),
        _ => value,
    }
}

fn store(
    e: &mut Emitter<'_, '_>,
    width: ir::Type,
    flags: MemFlagsData,
    address: Value,
    value: Value,
) {
    let value = match width {
        types::I8 | types::I16 => e.builder.ins().ireduce(width, value),
        _ => value,
    };
    e.builder.ins().store(flags, value, address, 0);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::Layout;
    use crate::options::{CompileOptions, OptLevel};
    use crate::program::Program;
    use cranelift_codegen::{Context, verify_function};

    #[test]
    fn every_intrinsic_compiles() {
        let (program, layout) = (Program::default(), Layout::default());
        for opt_level in [OptLevel::None, OptLevel::Speed] {
            let options = CompileOptions {
                opt_level,
                ..CompileOptions::default()
            };
            let session = Session::new(&program, &layout, &options).unwrap();
            for (one, name) in Intrinsic::ALL {
                let func = intrinsic(&session, *one).unwrap();
                verify_function(&func, &*session.isa).unwrap();
                let mut context = Context::for_function(func);
                let code = context.compile(&*session.isa, &mut Default::default());
                let raises = !code.unwrap().buffer.relocs().is_empty();
                assert_eq!(raises, name.contains("checked"), "{name}");
            }
        }
    }
}
