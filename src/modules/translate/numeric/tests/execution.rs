//! Runs operators on values whose results are known, mostly at the edges.

use super::{BASELINE, MODERN, compile, target};
use anyhow::Result;
use cranelift_codegen::CompiledCode;
use rustix::mm::{MapFlags, MprotectFlags, ProtFlags, mmap_anonymous, mprotect, munmap};
use std::fmt::Write as _;

/// Where functions leave their results in memory; operand `n` is at `16 * n`.
const RESULT: usize = 256;

/// An operand or a result.
struct Operand {
    ty: &'static str,
    bytes: Vec<u8>,
}

macro_rules! operands {
    ($($scalar:ty as $ty:literal),*) => { $(
        impl From<$scalar> for Operand {
            fn from(value: $scalar) -> Self {
                Operand { ty: $ty, bytes: value.to_le_bytes().to_vec() }
            }
        }
    )* };
}
macro_rules! lanes {
    ($($lane:ty),*) => { $(
        impl<const N: usize> From<[$lane; N]> for Operand {
            fn from(lanes: [$lane; N]) -> Self {
                let bytes: Vec<u8> = lanes.iter().flat_map(|lane| lane.to_le_bytes()).collect();
                assert_eq!(bytes.len(), 16);
                Operand { ty: "v128", bytes }
            }
        }
    )* };
}
operands!(i32 as "i32", i64 as "i64", f32 as "f32", f64 as "f64");
lanes!(i8, u8, i16, u16, i32, u32, i64, f32, f64);

struct Case {
    operator: &'static str,
    operands: Vec<Operand>,
    result: Operand,
}

macro_rules! cases {
    ($( $operator:literal ( $($operand:expr),* ) = $result:expr; )*) => {
        [ $( Case {
            operator: $operator,
            operands: vec![ $( Operand::from($operand) ),* ],
            result: Operand::from($result),
        } ),* ]
    };
}

/// A function that loads its operands from memory and stores its result there.
fn function(case: &Case) -> String {
    let mut text = format!("(func (i32.const {RESULT})\n");
    for (index, operand) in case.operands.iter().enumerate() {
        writeln!(text, "({}.load (i32.const {}))", operand.ty, 16 * index).unwrap();
    }
    writeln!(text, "{} {}.store)", case.operator, case.result.ty).unwrap();
    text
}

/// Executable memory.
struct Code {
    address: *mut std::ffi::c_void,
    length: usize,
}

impl Code {
    fn new(code: &CompiledCode) -> Result<Self> {
        assert!(code.buffer.relocs().is_empty());
        let bytes = code.code_buffer();
        let length = bytes.len().next_multiple_of(4096);
        // SAFETY: a new mapping, filled before it becomes executable and shared with nobody.
        unsafe {
            let address = mmap_anonymous(
                std::ptr::null_mut(),
                length,
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::PRIVATE,
            )?;
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), address.cast(), bytes.len());
            mprotect(address, length, MprotectFlags::READ | MprotectFlags::EXEC)?;
            Ok(Code { address, length })
        }
    }
}

impl Drop for Code {
    fn drop(&mut self) {
        // SAFETY: mapped by `new`, and no function runs.
        unsafe { munmap(self.address, self.length).unwrap() };
    }
}

/// A context with what the prologue reads below it and a memory above it.
#[repr(C, align(16))]
struct Slab {
    context: [u8; 256],
    memory: [u8; 512],
}

fn run(case: &Case, code: &CompiledCode) -> Result<Vec<u8>> {
    let code = Code::new(code)?;
    let mut slab = Slab {
        context: [0; 256],
        memory: [0; 512],
    };
    for (index, operand) in case.operands.iter().enumerate() {
        slab.memory[16 * index..][..operand.bytes.len()].copy_from_slice(&operand.bytes);
    }
    let slab: *mut Slab = &mut slab;
    // SAFETY: the function takes the context alone, which `tail` passes like C, and touches only the
    // slab around it.
    let memory = unsafe {
        let function: extern "C" fn(*mut u8) = std::mem::transmute(code.address);
        function((&raw mut (*slab).memory).cast());
        (*slab).memory
    };
    Ok(memory[RESULT..][..case.result.bytes.len()].to_vec())
}

fn check(cases: &[Case]) -> Result<()> {
    let functions: String = cases.iter().map(function).collect();
    let text = format!("(module (memory 1) {functions})");
    let mut targets = Vec::new();
    if std::is_x86_feature_detected!("sse4.1") {
        targets.push(BASELINE);
    }
    if std::is_x86_feature_detected!("avx2")
        && std::is_x86_feature_detected!("fma")
        && std::is_x86_feature_detected!("bmi1")
        && std::is_x86_feature_detected!("bmi2")
        && std::is_x86_feature_detected!("lzcnt")
    {
        targets.push(MODERN);
    }
    for features in targets {
        let compiled = compile(&text, target(features))?;
        for (case, code) in cases.iter().zip(&compiled) {
            let found = run(case, code)?;
            let operands: Vec<_> = case.operands.iter().map(|o| &o.bytes).collect();
            assert_eq!(
                found, case.result.bytes,
                "{} of {operands:02x?} with {features:?}",
                case.operator
            );
        }
    }
    Ok(())
}

#[test]
fn scalars() -> Result<()> {
    check(&cases! {
        "drop i32.const -7"(0) = -7;
        "drop i64.const -7"(0) = -7i64;
        "i32.eqz"(0) = 1;
        "i64.eqz"(1i64 << 32) = 0;
        "i32.lt_s"(-1, 1) = 1;
        "i32.lt_u"(-1, 1) = 0;
        "i64.ge_u"(-1i64, 1i64) = 1;
        "i32.sub"(3, 5) = -2;
        "i32.div_s"(-7, 2) = -3;
        "i32.div_u"(-7, 2) = 0x7fff_fffc;
        "i32.rem_s"(i32::MIN, -1) = 0;
        "i64.rem_s"(i64::MIN, -1i64) = 0i64;
        "i32.rem_s"(-7, 2) = -1;
        "i32.shl"(1, 33) = 2;
        "i32.shr_s"(-8, 1) = -4;
        "i32.shr_u"(-8, 1) = 0x7fff_fffc;
        "i64.rotl"(1i64, 65i64) = 2i64;
        "i32.rotr"(1, 1) = i32::MIN;
        "i32.clz"(0) = 32;
        "i64.ctz"(0i64) = 64i64;
        "i64.popcnt"(-1i64) = 64i64;
        "i32.extend8_s"(0x180) = -128;
        "i64.extend16_s"(0x1_8000i64) = -32768i64;
        "i64.extend32_s"(0x1_8000_0000i64) = i64::from(i32::MIN);
        "i64.extend_i32_u"(-1) = 0xffff_ffffi64;
        "i64.extend_i32_s"(-1) = -1i64;
        "i32.wrap_i64"(0x1_0000_0002i64) = 2;
        "f32.lt"(f32::NAN, 1.0f32) = 0;
        "f32.ne"(f32::NAN, 1.0f32) = 1;
        "f64.ge"(1.0f64, 1.0f64) = 1;
        "f64.min"(0.0f64, -0.0f64) = -0.0f64;
        "f64.max"(-0.0f64, 0.0f64) = 0.0f64;
        "f32.copysign"(1.5f32, -0.0f32) = -1.5f32;
        "f32.nearest"(2.5f32) = 2.0f32;
        "f64.nearest"(-0.5f64) = -0.0f64;
        "f64.ceil"(-0.5f64) = -0.0f64;
        "f32.trunc"(-1.5f32) = -1.0f32;
        "f32.floor"(-1.5f32) = -2.0f32;
        "i32.trunc_f64_s"(-2147483648.9f64) = i32::MIN;
        "i32.trunc_f64_u"(4294967295.9f64) = -1;
        "i64.trunc_f64_u"(18446744073709549568.0f64) = -2048i64;
        "i32.trunc_sat_f32_s"(f32::NAN) = 0;
        "i32.trunc_sat_f32_s"(f32::INFINITY) = i32::MAX;
        "i32.trunc_sat_f64_u"(-1.0f64) = 0;
        "i64.trunc_sat_f64_u"(f64::INFINITY) = -1i64;
        "f32.convert_i32_u"(-1) = 4294967296.0f32;
        "f64.convert_i64_u"(-1i64) = 18446744073709551616.0f64;
        "f32.convert_i64_s"(-1i64) = -1.0f32;
        "f64.promote_f32"(1.5f32) = 1.5f64;
        "f32.demote_f64"(1e300f64) = f32::INFINITY;
        "i32.reinterpret_f32"(-0.0f32) = i32::MIN;
        "f64.reinterpret_i64"(1i64 << 63) = -0.0f64;
    })
}

#[test]
fn wide_arithmetic() -> Result<()> {
    // The high half is on top of the low one, which it is subtracted from.
    check(&cases! {
        "i64.add128 i64.sub"(1i64, 0i64, -1i64, 2i64) = -3i64;
        "i64.add128 i64.sub"(-1i64, 1i64, 2i64, 3i64) = -4i64;
        "i64.sub128 i64.sub"(0i64, 5i64, 1i64, 2i64) = -3i64;
        "i64.mul_wide_s i64.sub"(-2i64, 3i64) = -5i64;
        "i64.mul_wide_u i64.sub"(-2i64, 3i64) = -8i64;
    })
}

#[test]
fn lanes() -> Result<()> {
    let bytes: [u8; 16] = std::array::from_fn(|i| i as u8 + 0x80);
    let others: [u8; 16] = std::array::from_fn(|i| i as u8 + 1);
    check(&cases! {
        "drop v128.const i16x8 1 2 3 4 5 6 7 -8"(0) = [1i16, 2, 3, 4, 5, 6, 7, -8];
        "i8x16.shuffle 0 16 1 17 2 18 3 19 31 31 31 31 15 15 15 15"(bytes, others)
            = [0x80u8, 1, 0x81, 2, 0x82, 3, 0x83, 4, 16, 16, 16, 16, 0x8f, 0x8f, 0x8f, 0x8f];
        "i8x16.swizzle"(bytes, [15u8, 0, 16, 255, 1, 127, 128, 2, 0, 0, 0, 0, 0, 0, 0, 0])
            = [0x8fu8, 0x80, 0, 0, 0x81, 0, 0, 0x82, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80];
        "i8x16.relaxed_swizzle"(bytes, [15u8, 0, 16, 255, 1, 127, 128, 2, 0, 0, 0, 0, 0, 0, 0, 0])
            = [0x8fu8, 0x80, 0, 0, 0x81, 0, 0, 0x82, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80];
        "i8x16.splat"(0x1ff) = [-1i8; 16];
        "i16x8.splat"(0x1_0002) = [2i16; 8];
        "f64x2.splat"(1.5f64) = [1.5f64; 2];
        "i8x16.extract_lane_s 1"(bytes) = -127;
        "i8x16.extract_lane_u 1"(bytes) = 129;
        "i16x8.extract_lane_s 7"([0i16, 0, 0, 0, 0, 0, 0, -2]) = -2;
        "i16x8.extract_lane_u 7"([0i16, 0, 0, 0, 0, 0, 0, -2]) = 0xfffe;
        "f32x4.extract_lane 2"([0.0f32, 1.0, 2.0, 3.0]) = 2.0f32;
        "i64x2.extract_lane 1"([1i64, 2]) = 2i64;
        "i8x16.replace_lane 1"([0i8; 16], 0x105) = [0i8, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        "f64x2.replace_lane 1"([1.0f64, 2.0], 3.0f64) = [1.0f64, 3.0];
        "f32x4.replace_lane 3"([1.0f32, 2.0, 3.0, 4.0], 9.0f32) = [1.0f32, 2.0, 3.0, 9.0];
        "v128.andnot"([0b1100u32; 4], [0b1010u32; 4]) = [0b0100u32; 4];
        "v128.bitselect"([0b1100u32; 4], [0b1010u32; 4], [0b1001u32; 4]) = [0b1010u32; 4];
        "i32x4.gt_s v128.bitselect"([7; 4], [1, 2, 3, 4], [0, 2, 0, 2], [1; 4]) = [1, 7, 3, 7];
        "v128.any_true"([0u8; 16]) = 0;
        "v128.any_true"([0i64, 1 << 63]) = 1;
        "i32x4.ne v128.any_true"([1, 2, 3, 4], [1, 2, 3, 5]) = 1;
        "i32x4.eq i8x16.all_true"([1, 2, 3, 4], [1, 2, 3, 5]) = 0;
        "i16x8.all_true"([1i16, 1, 1, 1, 1, 1, 1, 0]) = 0;
        "i64x2.all_true"([1i64, 1 << 40]) = 1;
        "i8x16.bitmask"(bytes) = 0xffff;
        "i16x8.bitmask"([-1i16, 0, 0, -1, 0, 0, 0, -1]) = 0b1000_1001;
        "i32x4.bitmask"([-1, 0, 1, -1]) = 0b1001;
        "i64x2.bitmask"([0i64, -1]) = 0b10;
    })
}

#[test]
fn memory() -> Result<()> {
    check(&cases! {
        // The operand is at address 0.
        "drop (v128.load8x8_s (i32.const 0))"([-1i8, 2, -3, 4, 5, 6, 7, 8, 9, 9, 9, 9, 9, 9, 9, 9])
            = [-1i16, 2, -3, 4, 5, 6, 7, 8];
        "drop (v128.load8x8_u (i32.const 0))"([-1i8, 2, -3, 4, 5, 6, 7, 8, 9, 9, 9, 9, 9, 9, 9, 9])
            = [255i16, 2, 253, 4, 5, 6, 7, 8];
        "drop (v128.load16x4_s (i32.const 0))"([-1i16, 2, -3, 4, 5, 6, 7, 8]) = [-1, 2, -3, 4];
        "drop (v128.load16x4_u (i32.const 0))"([-1i16, 2, -3, 4, 5, 6, 7, 8]) = [65535, 2, 65533, 4];
        "drop (v128.load32x2_s (i32.const 0))"([-1, 2, -3, 4]) = [-1i64, 2];
        "drop (v128.load32x2_u (i32.const 0))"([-1, 2, -3, 4]) = [0xffff_ffffi64, 2];
        "drop (v128.load8_splat offset=1 (i32.const 0))"([1u8, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 9, 9, 9, 9, 9]) = [2u8; 16];
        "drop (v128.load16_splat offset=2 (i32.const 0))"([1i16, 2, 3, 4, 5, 6, 7, 8]) = [2i16; 8];
        "drop (v128.load32_splat offset=4 (i32.const 0))"([1, 2, 3, 4]) = [2; 4];
        "drop (v128.load64_splat offset=8 (i32.const 0))"([1i64, 2]) = [2i64; 2];
        "drop (v128.load32_zero offset=4 (i32.const 0))"([1, 2, 3, 4]) = [2, 0, 0, 0];
        "drop (v128.load64_zero offset=8 (i32.const 0))"([1i64, 2]) = [2i64, 0];
        "drop (v128.load8_lane offset=3 3 (i32.const 0) (v128.const i32x4 0 0 0 0))"([1, 2, 3, 4]) = [0; 4];
        "drop (v128.load32_lane offset=4 3 (i32.const 0) (v128.load (i32.const 0)))"([1, 2, 3, 4]) = [1, 2, 3, 2];
        "drop (v128.load64_lane 1 (i32.const 0) (v128.load (i32.const 0)))"([1i64, 2]) = [1i64, 1];
        "drop (v128.store16_lane 2 (i32.const 0) (v128.load (i32.const 0))) (v128.load (i32.const 0))"([1i16, 2, 3, 4, 5, 6, 7, 8])
            = [3i16, 2, 3, 4, 5, 6, 7, 8];
        "drop (v128.store64_lane 1 (i32.const 0) (v128.load (i32.const 0))) (v128.load (i32.const 0))"([1i64, 2]) = [2i64, 2];
        "drop (v128.store32_lane 0 (i32.const 4) (v128.load (i32.const 0))) (v128.load (i32.const 0))"([1, 2, 3, 4]) = [1, 1, 3, 4];
    })
}

#[test]
fn integer_lanes() -> Result<()> {
    check(&cases! {
        "i8x16.add_sat_s"([100i8; 16], [100i8; 16]) = [127i8; 16];
        "i8x16.add_sat_u"([200u8; 16], [100u8; 16]) = [255u8; 16];
        "i16x8.sub_sat_u"([1u16; 8], [2u16; 8]) = [0u16; 8];
        "i8x16.sub"([1u8; 16], [2u8; 16]) = [255u8; 16];
        "i8x16.min_s"([-1i8; 16], [1i8; 16]) = [-1i8; 16];
        "i8x16.min_u"([-1i8; 16], [1i8; 16]) = [1i8; 16];
        "i32x4.max_u"([-1; 4], [1; 4]) = [-1; 4];
        "i8x16.avgr_u"([254u8; 16], [255u8; 16]) = [255u8; 16];
        "i8x16.popcnt"([0xf7u8; 16]) = [7u8; 16];
        "i8x16.abs"([-128i8; 16]) = [-128i8; 16];
        "i64x2.abs"([-5i64, 5]) = [5i64, 5];
        "i64x2.mul"([-5i64, 1 << 33], [3i64, 1 << 30]) = [-15i64, 1 << 63];
        "i8x16.shl"([0x81u8; 16], 9) = [2u8; 16];
        "i8x16.shr_s"([-128i8; 16], 8 + 3) = [-16i8; 16];
        "i8x16.shr_u"([0x80u8; 16], 3) = [0x10u8; 16];
        "i64x2.shr_s"([-8i64, 8], 65) = [-4i64, 4];
        "i64x2.lt_s"([-1i64, 1], [1i64, -1]) = [-1i64, 0];
        "i32x4.lt_u"([-1, 1, 2, 3], [1, -1, 2, 4]) = [0, -1, 0, -1];
        "i16x8.ge_u"([0u16, 1, 2, 3, 65535, 5, 6, 7], [1u16, 1, 1, 1, 1, 9, 9, 9]) = [0i16, -1, -1, -1, -1, 0, 0, 0];
        "i16x8.q15mulr_sat_s"([-32768i16; 8], [-32768i16; 8]) = [32767i16; 8];
        "i16x8.relaxed_q15mulr_s"([-32768i16; 8], [-32768i16; 8]) = [32767i16; 8];
        "i8x16.narrow_i16x8_s"([300i16; 8], [-300i16; 8])
            = [127i8, 127, 127, 127, 127, 127, 127, 127, -128, -128, -128, -128, -128, -128, -128, -128];
        "i16x8.narrow_i32x4_u"([70000; 4], [-1; 4]) = [65535u16, 65535, 65535, 65535, 0, 0, 0, 0];
        "i32x4.extend_high_i16x8_s"([1i16, 2, 3, 4, -5, 6, -7, 8]) = [-5, 6, -7, 8];
        "i32x4.extend_low_i16x8_u"([-1i16, 2, 3, 4, -5, 6, -7, 8]) = [65535, 2, 3, 4];
        "i64x2.extmul_high_i32x4_u"([1, 2, -1, 4], [1, 2, 2, 5]) = [0x1_ffff_fffei64, 20];
        "i64x2.extmul_low_i32x4_s"([-1, 2, -1, 4], [2, 2, 2, 5]) = [-2i64, 4];
        "i16x8.extmul_high_i8x16_s"([-128i8; 16], [-128i8; 16]) = [16384i16; 8];
        "i32x4.extadd_pairwise_i16x8_u"([65535u16; 8]) = [131070u32; 4];
        "i16x8.extadd_pairwise_i8x16_s"([-128i8; 16]) = [-256i16; 8];
        "i32x4.dot_i16x8_s"([1i16, 2, 3, 4, 5, 6, 7, 8], [1i16, 10, 1, -10, 1, 1, 1, 1]) = [21, -37, 11, 15];
        "i16x8.relaxed_dot_i8x16_i7x16_s"([-2i8; 16], [3i8; 16]) = [-12i16; 8];
        "i32x4.relaxed_dot_i8x16_i7x16_add_s"([-2i8; 16], [3i8; 16], [1, 2, 3, 4]) = [-23, -22, -21, -20];
    })
}

#[test]
fn float_lanes() -> Result<()> {
    let nan = f32::NAN;
    check(&cases! {
        "f32x4.pmin"([1.0f32, -0.0, nan, 1.0], [2.0f32, 0.0, 1.0, -1.0]) = [1.0f32, -0.0, nan, -1.0];
        "f32x4.pmin"([0.0f32, 1.0, 2.0, 3.0], [-0.0f32, nan, nan, nan]) = [0.0f32, 1.0, 2.0, 3.0];
        "f32x4.pmax"([1.0f32, -0.0, nan, 1.0], [2.0f32, 0.0, 1.0, -1.0]) = [2.0f32, -0.0, nan, 1.0];
        "f64x2.pmax"([0.0f64, 1.0], [-0.0f64, 2.0]) = [0.0f64, 2.0];
        "f64x2.pmin"([0.0f64, 1.0], [-0.0f64, 0.5]) = [0.0f64, 0.5];
        "f32x4.min"([0.0f32, 1.0, 2.0, 3.0], [-0.0f32, 2.0, 1.0, 4.0]) = [-0.0f32, 1.0, 1.0, 3.0];
        "f64x2.max"([-0.0f64, 1.0], [0.0f64, 2.0]) = [0.0f64, 2.0];
        "f64x2.relaxed_max"([-0.0f64, 1.0], [0.0f64, 2.0]) = [0.0f64, 2.0];
        "f32x4.lt"([1.0f32, nan, 1.0, 2.0], [2.0f32, 1.0, nan, 1.0]) = [-1, 0, 0, 0];
        "f32x4.nearest"([0.5f32, 1.5, -2.5, 3.7]) = [0.0f32, 2.0, -2.0, 4.0];
        "f64x2.trunc"([-1.5f64, 1.5]) = [-1.0f64, 1.0];
        "f32x4.neg"([0.0f32, 1.0, -1.0, 2.0]) = [-0.0f32, -1.0, 1.0, -2.0];
        "i32x4.trunc_sat_f32x4_s"([nan, 3e9, -3e9, -1.5]) = [0, i32::MAX, i32::MIN, -1];
        "i32x4.trunc_sat_f32x4_u"([nan, 5e9, -1.0, 3e9]) = [0, u32::MAX, 0, 3_000_000_000];
        "i32x4.relaxed_trunc_f32x4_s"([nan, 3e9, -3e9, -1.5]) = [0, i32::MAX, i32::MIN, -1];
        "i32x4.trunc_sat_f64x2_s_zero"([f64::NAN, -3e9]) = [0, i32::MIN, 0, 0];
        "i32x4.trunc_sat_f64x2_u_zero"([4294967295.5f64, -3e9]) = [u32::MAX, 0, 0, 0];
        "f32x4.convert_i32x4_u"([-1, 0, 1, i32::MIN]) = [4294967296.0f32, 0.0, 1.0, 2147483648.0];
        "f64x2.convert_low_i32x4_s"([-1, 2, 3, 4]) = [-1.0f64, 2.0];
        "f64x2.convert_low_i32x4_u"([-1, 2, 3, 4]) = [4294967295.0f64, 2.0];
        "f32x4.demote_f64x2_zero"([1.5f64, 1e300]) = [1.5f32, f32::INFINITY, 0.0, 0.0];
        "f64x2.promote_low_f32x4"([1.5f32, 2.5, 3.5, 4.5]) = [1.5f64, 2.5];
        // Rounded twice: fused, the last lane would be finite.
        "f32x4.relaxed_madd"([16777216.0f32, 1.0, 2.0, f32::MAX], [1.0f32, 1.0, 3.0, 2.0], [1.0f32, 1.0, 4.0, f32::MIN])
            = [16777216.0f32, 2.0, 10.0, f32::INFINITY];
        "f64x2.relaxed_nmadd"([2.0f64, 1.0], [3.0f64, 1.0], [10.0f64, 1.0]) = [4.0f64, 0.0];
    })
}
