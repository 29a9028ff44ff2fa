//! Every numeric and vector operator compiles, for every processor, to the code that it should.
//! What it does is tested by `tests/scripts/{numeric,vectors}.wast` and the official suite.

use super::super::translate_function;
use crate::codegen::{Session, trap_from_clif};
use crate::layout::{Layout, SlabLayout, UnitBinding};
use crate::modules::parse::ModuleBuilder;
use crate::program::module::Module;
use crate::program::{CoreFunc, CoreInstance, Program};
use anyhow::{Context as _, Result, ensure};
use cranelift_codegen::control::ControlPlane;
use cranelift_codegen::ir::ExternalName;
use cranelift_codegen::isa::{self, OwnedTargetIsa};
use cranelift_codegen::settings::{self, Configurable};
use cranelift_codegen::{CompiledCode, FinalizedRelocTarget};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use trampette_artifact::canonical::PointerWidth;
use trampette_artifact::ids::*;
use trampette_artifact::metadata::{Memory, MemoryPlace};
use trampette_artifact::trap::TrapCode;
use wasmparser::{Payload, Validator, WasmFeatures};

/// What every x86-64 machine of the last fifteen years has.
const BASELINE: &[&str] = &["has_sse3", "has_ssse3", "has_sse41"];
/// x86-64-v3.
const MODERN: &[&str] = &[
    "has_sse3",
    "has_ssse3",
    "has_sse41",
    "has_sse42",
    "has_popcnt",
    "has_avx",
    "has_avx2",
    "has_bmi1",
    "has_bmi2",
    "has_lzcnt",
    "has_fma",
];

/// Operators by their parameters and results.
const OPERATORS: &[(&str, &str, &str)] = &[
    ("", "i32", "i32.const -7"),
    ("", "i64", "i64.const -7"),
    ("", "f32", "f32.const -0.5"),
    ("", "f64", "f64.const -0.5"),
    (
        "i32",
        "i32",
        "i32.eqz, i32.clz, i32.ctz, i32.popcnt, i32.extend8_s, i32.extend16_s",
    ),
    (
        "i32 i32",
        "i32",
        "i32.eq, i32.ne, i32.lt_s, i32.lt_u, i32.gt_s, i32.gt_u, i32.le_s, i32.le_u, i32.ge_s,
         i32.ge_u, i32.add, i32.sub, i32.mul, i32.div_s, i32.div_u, i32.rem_s, i32.rem_u, i32.and,
         i32.or, i32.xor, i32.shl, i32.shr_s, i32.shr_u, i32.rotl, i32.rotr",
    ),
    ("i64", "i32", "i64.eqz, i32.wrap_i64"),
    (
        "i64",
        "i64",
        "i64.clz, i64.ctz, i64.popcnt, i64.extend8_s, i64.extend16_s, i64.extend32_s",
    ),
    (
        "i64 i64",
        "i32",
        "i64.eq, i64.ne, i64.lt_s, i64.lt_u, i64.gt_s, i64.gt_u, i64.le_s, i64.le_u, i64.ge_s,
         i64.ge_u",
    ),
    (
        "i64 i64",
        "i64",
        "i64.add, i64.sub, i64.mul, i64.div_s, i64.div_u, i64.rem_s, i64.rem_u, i64.and, i64.or,
         i64.xor, i64.shl, i64.shr_s, i64.shr_u, i64.rotl, i64.rotr",
    ),
    ("i64 i64 i64 i64", "i64 i64", "i64.add128, i64.sub128"),
    ("i64 i64", "i64 i64", "i64.mul_wide_s, i64.mul_wide_u"),
    (
        "f32 f32",
        "i32",
        "f32.eq, f32.ne, f32.lt, f32.gt, f32.le, f32.ge",
    ),
    (
        "f64 f64",
        "i32",
        "f64.eq, f64.ne, f64.lt, f64.gt, f64.le, f64.ge",
    ),
    (
        "f32",
        "f32",
        "f32.abs, f32.neg, f32.ceil, f32.floor, f32.trunc, f32.nearest, f32.sqrt",
    ),
    (
        "f64",
        "f64",
        "f64.abs, f64.neg, f64.ceil, f64.floor, f64.trunc, f64.nearest, f64.sqrt",
    ),
    (
        "f32 f32",
        "f32",
        "f32.add, f32.sub, f32.mul, f32.div, f32.min, f32.max, f32.copysign",
    ),
    (
        "f64 f64",
        "f64",
        "f64.add, f64.sub, f64.mul, f64.div, f64.min, f64.max, f64.copysign",
    ),
    (
        "f32",
        "i32",
        "i32.trunc_f32_s, i32.trunc_f32_u, i32.trunc_sat_f32_s, i32.trunc_sat_f32_u,
         i32.reinterpret_f32",
    ),
    (
        "f64",
        "i32",
        "i32.trunc_f64_s, i32.trunc_f64_u, i32.trunc_sat_f64_s, i32.trunc_sat_f64_u",
    ),
    ("i32", "i64", "i64.extend_i32_s, i64.extend_i32_u"),
    (
        "f32",
        "i64",
        "i64.trunc_f32_s, i64.trunc_f32_u, i64.trunc_sat_f32_s, i64.trunc_sat_f32_u",
    ),
    (
        "f64",
        "i64",
        "i64.trunc_f64_s, i64.trunc_f64_u, i64.trunc_sat_f64_s, i64.trunc_sat_f64_u,
         i64.reinterpret_f64",
    ),
    (
        "i32",
        "f32",
        "f32.convert_i32_s, f32.convert_i32_u, f32.reinterpret_i32",
    ),
    ("i64", "f32", "f32.convert_i64_s, f32.convert_i64_u"),
    ("f64", "f32", "f32.demote_f64"),
    ("i32", "f64", "f64.convert_i32_s, f64.convert_i32_u"),
    (
        "i64",
        "f64",
        "f64.convert_i64_s, f64.convert_i64_u, f64.reinterpret_i64",
    ),
    ("f32", "f64", "f64.promote_f32"),
    (
        "i32",
        "v128",
        "v128.load, v128.load8x8_s, v128.load8x8_u, v128.load16x4_s, v128.load16x4_u,
         v128.load32x2_s, v128.load32x2_u, v128.load8_splat, v128.load16_splat, v128.load32_splat,
         v128.load64_splat, v128.load32_zero, v128.load64_zero, i8x16.splat, i16x8.splat,
         i32x4.splat",
    ),
    ("i32 v128", "", "v128.store"),
    (
        "i32 v128",
        "v128",
        "v128.load8_lane 15, v128.load16_lane 7, v128.load32_lane 3, v128.load64_lane 1",
    ),
    (
        "i32 v128",
        "",
        "v128.store8_lane 15, v128.store16_lane 7, v128.store32_lane 3, v128.store64_lane 1,
         v128.store32_lane 0, v128.store64_lane 0",
    ),
    (
        "",
        "v128",
        "v128.const i32x4 1 2 3 4, v128.const i32x4 0 0 0 0, v128.const i32x4 -1 -1 -1 -1",
    ),
    ("i64", "v128", "i64x2.splat"),
    ("f32", "v128", "f32x4.splat"),
    ("f64", "v128", "f64x2.splat"),
    (
        "v128",
        "i32",
        "i8x16.extract_lane_s 3, i8x16.extract_lane_u 3, i16x8.extract_lane_s 3,
         i16x8.extract_lane_u 3, i32x4.extract_lane 3, v128.any_true, i8x16.all_true,
         i16x8.all_true, i32x4.all_true, i64x2.all_true, i8x16.bitmask, i16x8.bitmask,
         i32x4.bitmask, i64x2.bitmask",
    ),
    ("v128", "i64", "i64x2.extract_lane 1"),
    ("v128", "f32", "f32x4.extract_lane 3, f32x4.extract_lane 0"),
    ("v128", "f64", "f64x2.extract_lane 1"),
    (
        "v128 i32",
        "v128",
        "i8x16.replace_lane 9, i16x8.replace_lane 7, i32x4.replace_lane 3, i8x16.shl, i8x16.shr_s,
         i8x16.shr_u, i16x8.shl, i16x8.shr_s, i16x8.shr_u, i32x4.shl, i32x4.shr_s, i32x4.shr_u,
         i64x2.shl, i64x2.shr_s, i64x2.shr_u",
    ),
    ("v128 i64", "v128", "i64x2.replace_lane 1"),
    ("v128 f32", "v128", "f32x4.replace_lane 2"),
    ("v128 f64", "v128", "f64x2.replace_lane 0"),
    (
        "v128",
        "v128",
        "v128.not, i8x16.abs, i8x16.neg, i8x16.popcnt, i16x8.abs, i16x8.neg, i32x4.abs, i32x4.neg,
         i64x2.abs, i64x2.neg, i16x8.extadd_pairwise_i8x16_s, i16x8.extadd_pairwise_i8x16_u,
         i32x4.extadd_pairwise_i16x8_s, i32x4.extadd_pairwise_i16x8_u, i16x8.extend_low_i8x16_s,
         i16x8.extend_high_i8x16_s, i16x8.extend_low_i8x16_u, i16x8.extend_high_i8x16_u,
         i32x4.extend_low_i16x8_s, i32x4.extend_high_i16x8_s, i32x4.extend_low_i16x8_u,
         i32x4.extend_high_i16x8_u, i64x2.extend_low_i32x4_s, i64x2.extend_high_i32x4_s,
         i64x2.extend_low_i32x4_u, i64x2.extend_high_i32x4_u, f32x4.ceil, f32x4.floor, f32x4.trunc,
         f32x4.nearest, f32x4.abs, f32x4.neg, f32x4.sqrt, f64x2.ceil, f64x2.floor, f64x2.trunc,
         f64x2.nearest, f64x2.abs, f64x2.neg, f64x2.sqrt, i32x4.trunc_sat_f32x4_s,
         i32x4.trunc_sat_f32x4_u, f32x4.convert_i32x4_s, f32x4.convert_i32x4_u,
         i32x4.trunc_sat_f64x2_s_zero, i32x4.trunc_sat_f64x2_u_zero, f64x2.convert_low_i32x4_s,
         f64x2.convert_low_i32x4_u, f32x4.demote_f64x2_zero, f64x2.promote_low_f32x4,
         i32x4.relaxed_trunc_f32x4_s, i32x4.relaxed_trunc_f32x4_u,
         i32x4.relaxed_trunc_f64x2_s_zero, i32x4.relaxed_trunc_f64x2_u_zero",
    ),
    (
        "v128 v128",
        "v128",
        "i8x16.shuffle 0 17 2 19 4 21 6 23 8 25 10 27 12 29 14 31,
         i8x16.shuffle 3 3 3 3 9 9 9 9 31 30 29 28 1 2 3 4, i8x16.swizzle, i8x16.eq, i8x16.ne,
         i8x16.lt_s, i8x16.lt_u, i8x16.gt_s, i8x16.gt_u, i8x16.le_s, i8x16.le_u, i8x16.ge_s,
         i8x16.ge_u, i16x8.eq, i16x8.ne, i16x8.lt_s, i16x8.lt_u, i16x8.gt_s, i16x8.gt_u, i16x8.le_s,
         i16x8.le_u, i16x8.ge_s, i16x8.ge_u, i32x4.eq, i32x4.ne, i32x4.lt_s, i32x4.lt_u, i32x4.gt_s,
         i32x4.gt_u, i32x4.le_s, i32x4.le_u, i32x4.ge_s, i32x4.ge_u, i64x2.eq, i64x2.ne, i64x2.lt_s,
         i64x2.gt_s, i64x2.le_s, i64x2.ge_s, f32x4.eq, f32x4.ne, f32x4.lt, f32x4.gt, f32x4.le,
         f32x4.ge, f64x2.eq, f64x2.ne, f64x2.lt, f64x2.gt, f64x2.le, f64x2.ge, v128.and,
         v128.andnot, v128.or, v128.xor, i8x16.narrow_i16x8_s, i8x16.narrow_i16x8_u, i8x16.add,
         i8x16.add_sat_s, i8x16.add_sat_u, i8x16.sub, i8x16.sub_sat_s, i8x16.sub_sat_u,
         i8x16.min_s, i8x16.min_u, i8x16.max_s, i8x16.max_u, i8x16.avgr_u, i16x8.q15mulr_sat_s,
         i16x8.narrow_i32x4_s, i16x8.narrow_i32x4_u, i16x8.add, i16x8.add_sat_s, i16x8.add_sat_u,
         i16x8.sub, i16x8.sub_sat_s, i16x8.sub_sat_u, i16x8.mul, i16x8.min_s, i16x8.min_u,
         i16x8.max_s, i16x8.max_u, i16x8.avgr_u, i16x8.extmul_low_i8x16_s,
         i16x8.extmul_high_i8x16_s, i16x8.extmul_low_i8x16_u, i16x8.extmul_high_i8x16_u, i32x4.add,
         i32x4.sub, i32x4.mul, i32x4.min_s, i32x4.min_u, i32x4.max_s, i32x4.max_u,
         i32x4.dot_i16x8_s, i32x4.extmul_low_i16x8_s, i32x4.extmul_high_i16x8_s,
         i32x4.extmul_low_i16x8_u, i32x4.extmul_high_i16x8_u, i64x2.add, i64x2.sub, i64x2.mul,
         i64x2.extmul_low_i32x4_s, i64x2.extmul_high_i32x4_s, i64x2.extmul_low_i32x4_u,
         i64x2.extmul_high_i32x4_u, f32x4.add, f32x4.sub, f32x4.mul, f32x4.div, f32x4.min,
         f32x4.max, f32x4.pmin, f32x4.pmax, f64x2.add, f64x2.sub, f64x2.mul, f64x2.div, f64x2.min,
         f64x2.max, f64x2.pmin, f64x2.pmax, i8x16.relaxed_swizzle, f32x4.relaxed_min,
         f32x4.relaxed_max, f64x2.relaxed_min, f64x2.relaxed_max, i16x8.relaxed_q15mulr_s,
         i16x8.relaxed_dot_i8x16_i7x16_s",
    ),
    (
        "v128 v128 v128",
        "v128",
        "v128.bitselect, f32x4.relaxed_madd, f32x4.relaxed_nmadd, f64x2.relaxed_madd,
         f64x2.relaxed_nmadd, i8x16.relaxed_laneselect, i16x8.relaxed_laneselect,
         i32x4.relaxed_laneselect, i64x2.relaxed_laneselect,
         i32x4.relaxed_dot_i8x16_i7x16_add_s",
    ),
];

fn target(features: &[&str]) -> OwnedTargetIsa {
    let mut flags = settings::builder();
    flags.set("opt_level", "speed").unwrap();
    flags.set("enable_probestack", "false").unwrap();
    let mut target = isa::lookup_by_name("x86_64-unknown-linux-gnu").unwrap();
    for feature in features {
        target.enable(feature).unwrap();
    }
    target.finish(settings::Flags::new(flags)).unwrap()
}

fn parse(bytes: &[u8]) -> Result<Module<'_>> {
    let mut validator = Validator::new_with_features(WasmFeatures::all());
    let mut builder = ModuleBuilder::new(bytes, 0..bytes.len());
    for payload in wasmparser::Parser::new(0).parse_all(bytes) {
        builder.payload(&payload?, &mut validator)?;
    }
    builder.finish()
}

/// Translates, verifies and compiles all functions of a module that imports nothing and defines one
/// memory at most.
fn compile(text: &str, isa: OwnedTargetIsa) -> Result<Vec<CompiledCode>> {
    let bytes = wat::parse_str(text)?;
    let module = parse(&bytes)?;
    let unit = UnitBinding {
        module: ModuleId(0),
        slab: SlabId(0),
        functions: (0..module.functions.len())
            .map(|index| CoreFunc::Module(CoreInstanceId(0), DefinedFunc(index as u32)))
            .collect(),
        memories: vec![MemoryId(0)],
        tables: Vec::new(),
        globals: Vec::new(),
        tags: Vec::new(),
        signatures: Vec::new(),
        data_segments: Vec::new(),
        element_segments: Vec::new(),
    };
    let layout = Layout {
        slabs: vec![SlabLayout {
            memory: Some(MemoryId(0)),
            ..SlabLayout::default()
        }]
        .into(),
        memories: vec![Memory {
            place: MemoryPlace::Slab(SlabId(0)),
            minimum: 1,
            maximum: Some(1),
            page_size_log2: 16,
            width: PointerWidth::P32,
        }]
        .into(),
        units: vec![unit].into(),
        ..Layout::default()
    };
    let count = module.functions.len() as u32;
    let program = Program {
        modules: vec![module].into(),
        core_instances: vec![CoreInstance {
            module: ModuleId(0),
            component_instance: ComponentInstanceId(0),
            imports: Vec::new(),
            memories: vec![MemoryId(0)],
            tables: Vec::new(),
            globals: Vec::new(),
            tags: Vec::new(),
        }]
        .into(),
        ..Program::default()
    };
    let session = Session {
        isa,
        program: &program,
        layout: &layout,
        bounds: Default::default(),
        progress: Default::default(),
        debug_info: Default::default(),
        calls: Default::default(),
        shared_transfers: Default::default(),
    };
    (0..count)
        .map(|index| {
            let func = translate_function(&session, UnitId(0), DefinedFunc(index))?;
            cranelift_codegen::verify_function(&func, &*session.isa)
                .with_context(|| format!("{func}"))?;
            let shown = func.display().to_string();
            let mut context = cranelift_codegen::Context::for_function(func);
            context
                .compile(&*session.isa, &mut ControlPlane::default())
                .map_err(|error| anyhow::anyhow!("{error:?}").context(shown))?;
            Ok(context.take_compiled_code().unwrap())
        })
        .collect()
}

fn operators() -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
    OPERATORS.iter().flat_map(|(params, results, operators)| {
        operators
            .split(',')
            .map(|operator| (*params, *results, operator.trim()))
    })
}

/// A module with one function for each operator.
fn every_operator() -> String {
    let mut text = String::from("(module (memory 1)\n");
    for (params, results, operator) in operators() {
        write!(text, "(func (param {params}) (result {results}) ").unwrap();
        for local in 0..params.split_whitespace().count() {
            write!(text, "local.get {local} ").unwrap();
        }
        writeln!(text, "{operator})").unwrap();
    }
    text.push(')');
    text
}

fn libcalls(code: &CompiledCode) -> impl Iterator<Item = String> {
    code.buffer
        .relocs()
        .iter()
        .filter_map(|reloc| match &reloc.target {
            FinalizedRelocTarget::ExternalName(ExternalName::LibCall(libcall)) => {
                Some(libcall.to_string())
            }
            _ => None,
        })
}

#[test]
fn every_operator_compiles_without_library_calls() -> Result<()> {
    for features in [BASELINE, MODERN] {
        let functions = compile(&every_operator(), target(features))?;
        for (code, (_, _, operator)) in functions.iter().zip(operators()) {
            ensure!(
                libcalls(code).next().is_none(),
                "{operator} needs a library call"
            );
        }
    }
    Ok(())
}

#[test]
fn without_sse41_rounding_and_permutation_are_library_calls() -> Result<()> {
    let functions = compile(&every_operator(), target(&[]))?;
    let names: BTreeSet<_> = functions.iter().flat_map(libcalls).collect();
    let expected = [
        "CeilF32",
        "CeilF64",
        "FloorF32",
        "FloorF64",
        "NearestF32",
        "NearestF64",
        "TruncF32",
        "TruncF64",
        "X86Pshufb",
    ];
    assert_eq!(names.iter().collect::<Vec<_>>(), expected);
    Ok(())
}

/// Names of the operators of this family, from the parser's own list.
fn names_in_the_parser() -> BTreeSet<&'static str> {
    let mut names = BTreeSet::new();
    macro_rules! family {
        (@simd $name:ident) => {
            names.insert(stringify!($name));
        };
        (@relaxed_simd $name:ident) => {
            names.insert(stringify!($name));
        };
        (@sign_extension $name:ident) => {
            names.insert(stringify!($name));
        };
        (@saturating_float_to_int $name:ident) => {
            names.insert(stringify!($name));
        };
        (@wide_arithmetic $name:ident) => {
            names.insert(stringify!($name));
        };
        (@mvp $name:ident) => {
            let name = stringify!($name);
            let scalar = ["I32", "I64", "F32", "F64"]
                .iter()
                .any(|ty| name.starts_with(ty));
            if scalar && !name.contains("Load") && !name.contains("Store") {
                names.insert(name);
            }
        };
        (@$other:ident $name:ident) => {};
    }
    macro_rules! each {
        ($( @$proposal:ident $op:ident $({ $($arg:ident: $argty:ty),* })? => $visit:ident ($($ann:tt)*) )*) => {
            $( family!(@$proposal $op); )*
        };
    }
    wasmparser::for_each_operator!(each);
    names
}

#[test]
fn every_operator_is_tested() -> Result<()> {
    let bytes = wat::parse_str(every_operator())?;
    let mut tested = BTreeSet::new();
    for payload in wasmparser::Parser::new(0).parse_all(&bytes) {
        if let Payload::CodeSectionEntry(body) = payload? {
            for operator in body.get_operators_reader()? {
                let shown = format!("{:?}", operator?);
                let name = shown.split([' ', '(']).next().unwrap();
                tested.insert(name.to_string());
            }
        }
    }
    let missing: Vec<_> = names_in_the_parser()
        .into_iter()
        .filter(|name| !tested.contains(*name))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
    Ok(())
}

#[test]
fn traps_have_our_codes() -> Result<()> {
    use TrapCode::*;
    let cases: &[(&str, &str, &[TrapCode])] = &[
        (
            "i32 i32",
            "i32.div_s",
            &[IntegerOverflow, IntegerDivisionByZero],
        ),
        ("i32 i32", "i32.div_u", &[IntegerDivisionByZero]),
        ("i32 i32", "i32.rem_s", &[IntegerDivisionByZero]),
        ("i32 i32", "i32.rem_u", &[IntegerDivisionByZero]),
        (
            "f64",
            "i32.trunc_f64_s",
            &[IntegerOverflow, BadConversionToInteger],
        ),
        ("f64", "i32.trunc_sat_f64_s", &[]),
        (
            "i32",
            "v128.load32_zero i32x4.extract_lane 0",
            &[MemoryOutOfBounds],
        ),
    ];
    for (params, operator, expected) in cases {
        let locals: String = (0..params.split_whitespace().count())
            .map(|local| format!("local.get {local} "))
            .collect();
        let text =
            format!("(module (memory 1) (func (param {params}) (result i32) {locals} {operator}))");
        let functions = compile(&text, target(MODERN))?;
        let traps = functions[0].buffer.traps().iter();
        let found: BTreeSet<_> = traps
            .map(|trap| trap_from_clif(trap.code).unwrap().number())
            .collect();
        let expected: BTreeSet<_> = expected.iter().map(|code| code.number()).collect();
        assert_eq!(found, expected, "{operator}");
    }
    Ok(())
}

#[test]
fn comparisons_reach_what_consumes_them() -> Result<()> {
    // The mask was cast to `i8x16` and back; a blend shows that instruction selection saw through.
    let text = "(module (func (param v128 v128 v128 v128) (result v128)
        local.get 0 local.get 1 (i32x4.gt_s (local.get 2) (local.get 3)) v128.bitselect))";
    let isa = target(MODERN);
    let code = compile(text, isa.clone())?.remove(0);
    let capstone = isa.to_capstone().unwrap();
    let disassembly = code.disassemble(None, &capstone)?;
    ensure!(disassembly.contains("pblendvb"), "{disassembly}");
    Ok(())
}
