//! Functions from text: every one is verified and compiled; some are looked at. What they do is
//! tested by `tests/scripts/control.wast` and the official suite.

use super::translate_function;
use crate::codegen::Session;
use crate::layout::{ConstValue, GlobalPlace, Layout, SlabLayout, UnitBinding};
use crate::modules::parse::ModuleBuilder;
use crate::program::module::Module;
use crate::program::{CoreFunc, Program};
use anyhow::Result;
use cranelift_codegen::isa::OwnedTargetIsa;
use cranelift_codegen::settings::{self, Configurable};
use trampette_artifact::canonical::PointerWidth;
use trampette_artifact::ids::*;
use trampette_artifact::layout::{ContextOffset, RootLayout};
use trampette_artifact::metadata::{Memory, MemoryPlace, Table, TableElement};

fn isa() -> OwnedTargetIsa {
    let mut flags = settings::builder();
    for name in ["heap", "table"] {
        let name = format!("enable_{name}_access_spectre_mitigation");
        flags.set(&name, "false").unwrap();
    }
    for (name, value) in [
        ("opt_level", "speed"),
        ("is_pic", "false"),
        ("use_colocated_libcalls", "true"),
        ("preserve_frame_pointers", "true"),
    ] {
        flags.set(name, value).unwrap();
    }
    cranelift_codegen::isa::lookup_by_name("x86_64-unknown-linux-gnu")
        .unwrap()
        .finish(settings::Flags::new(flags))
        .unwrap()
}

fn parse(text: &str) -> Module<'static> {
    // Tests are short-lived.
    let bytes: &'static [u8] = wat::parse_str(text).unwrap().leak();
    let mut validator = wasmparser::Validator::new_with_features(wasmparser::WasmFeatures::all());
    let mut builder = ModuleBuilder::new(bytes, 0..bytes.len());
    for payload in wasmparser::Parser::new(0).parse_all(bytes) {
        builder.payload(&payload.unwrap(), &mut validator).unwrap();
    }
    builder.finish().unwrap()
}

/// Lays out one instance of a module by hand. Memory *i* is in slab *i*; imported functions are
/// trampolines; immutable globals are the constant 7; every function has an id; tables with a
/// maximum may grow.
fn lay_out(module: &Module<'_>) -> Layout {
    let memories = module.memories.iter().enumerate().map(|(at, ty)| Memory {
        place: match ty.shared {
            true => MemoryPlace::Shared(SharedMemoryId::new(at)),
            false => MemoryPlace::Slab(SlabId::new(at)),
        },
        minimum: ty.initial,
        maximum: ty.maximum,
        page_size_log2: ty.page_size_log2.unwrap_or(16) as u8,
        width: if ty.memory64 {
            PointerWidth::P64
        } else {
            PointerWidth::P32
        },
    });
    let tables = module.tables.iter().enumerate().map(|(at, table)| Table {
        slab: SlabId(0),
        offset: -4096 - 1024 * at as i32,
        minimum: table.ty.initial,
        capacity: table.ty.maximum.unwrap_or(table.ty.initial),
        element: TableElement::Function,
        growable: table.ty.maximum.is_some(),
    });
    let globals = module.globals.iter().enumerate().map(|(at, global)| {
        if global.mutable {
            GlobalPlace::Context {
                slab: SlabId(0),
                offset: ContextOffset(-32 - 16 * at as i32),
                ty: global.ty,
            }
        } else {
            GlobalPlace::Constant(ConstValue::I32(7))
        }
    });
    let functions: Vec<CoreFunc> = (0..module.functions.len() as u32)
        .map(|index| match index.checked_sub(module.imported_functions) {
            Some(defined) => CoreFunc::Module(CoreInstanceId(0), DefinedFunc(defined)),
            None => CoreFunc::Trampoline(TrampolineId(index)),
        })
        .collect();
    let mut layout = Layout {
        memories: memories.collect(),
        tables: tables.collect(),
        globals: globals.collect(),
        escaping: functions.len(),
        functions: functions.iter().copied().collect(),
        data_segments: vec![vec![]; module.data.len()].into(),
        element_segments: vec![vec![]; module.elements.len()].into(),
        ..Layout::default()
    };
    let slabs = module.memories.len().max(1);
    layout.slabs = (0..slabs).map(|_| SlabLayout::default()).collect();
    layout.root = RootLayout {
        tables: module.tables.len() as u32,
        memories: module.memories.len() as u32,
        data_segments: module.data.len() as u32,
        element_segments: module.elements.len() as u32,
        ..RootLayout::default()
    };
    let signatures = layout.signatures.intern_module(module);
    let unit = UnitBinding {
        module: ModuleId(0),
        slab: SlabId(0),
        functions,
        memories: (0..module.memories.len()).map(MemoryId::new).collect(),
        tables: (0..module.tables.len()).map(TableId::new).collect(),
        globals: (0..module.globals.len()).map(GlobalId::new).collect(),
        tags: vec![],
        signatures,
        data_segments: (0..module.data.len())
            .map(|at| Some(DataSegmentId::new(at)))
            .collect(),
        element_segments: (0..module.elements.len())
            .map(|at| Some(ElementSegmentId::new(at)))
            .collect(),
    };
    layout.units.push(unit);
    layout
}

/// A compiled function.
struct Compiled {
    clif: String,
    asm: String,
    relocations: usize,
}

/// Translates, verifies and compiles every function of a module, after `adjust` changed its layout.
fn compile_with(text: &str, adjust: impl FnOnce(&mut Layout)) -> Result<Vec<Compiled>> {
    let module = parse(text);
    let mut layout = lay_out(&module);
    adjust(&mut layout);
    let count = module.bodies.len() as u32;
    let program = Program {
        modules: vec![module].into(),
        ..Program::default()
    };
    let session = Session {
        isa: isa(),
        program: &program,
        layout: &layout,
        bounds: Default::default(),
        progress: Default::default(),
        debug_info: Default::default(),
        calls: Default::default(),
        shared_transfers: Default::default(),
    };
    (0..count)
        .map(|function| {
            let func = translate_function(&session, UnitId(0), DefinedFunc(function))?;
            let clif = func.display().to_string();
            if let Err(errors) = cranelift_codegen::verify_function(&func, &*session.isa) {
                panic!("{errors}\n{clif}");
            }
            let mut context = cranelift_codegen::Context::for_function(func);
            context.set_disasm(true);
            let compiled = context
                .compile(&*session.isa, &mut Default::default())
                .unwrap_or_else(|error| panic!("{error:?}\n{clif}"));
            Ok(Compiled {
                clif,
                asm: compiled.vcode.clone().unwrap(),
                relocations: compiled.buffer.relocs().len(),
            })
        })
        .collect()
}

fn compile(text: &str) -> Vec<Compiled> {
    compile_with(text, |_| ()).unwrap()
}

fn assert_has(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "no {part:?} in\n{text}");
    }
}

#[test]
fn a_load_is_one_instruction_from_the_context() {
    let compiled = compile(
        "(module (memory 1) (func (param i32) (result i32) local.get 0 i32.load offset=16))",
    );
    assert_has(&compiled[0].asm, &["movl 0x10(%rdi, %rsi), %eax"]);
    // A leaf has no stack check.
    assert!(!compiled[0].clif.contains("stack_limit"));
}

#[test]
fn hot_globals_are_at_small_displacements() {
    let compiled = compile(
        "(module (global $g (mut i32) (i32.const 0)) (global $c i32 (i32.const 7))
            (func (global.set $g (i32.add (global.get $g) (global.get $c)))))",
    );
    assert_has(&compiled[0].asm, &["-0x20(%rdi)", "$0x7"]);
}

#[test]
fn other_slabs_are_at_constant_distances() {
    let compiled = compile(
        "(module (memory 1) (memory 1)
            (func (param i32) (result i32) local.get 0 i32.load 1 offset=8)
            (func (result i32) memory.size 1))",
    );
    let stride = trampette_artifact::layout::SLAB_STRIDE;
    assert_has(&compiled[0].asm, &[&format!("{stride:#x}")]);
}

#[test]
fn offsets_beyond_the_guard_are_checked() {
    let compiled = compile(
        "(module (memory 1)
            (func (param i32) (result i32) local.get 0 i32.load8_u offset=0x7fffffff)
            (func (param i32) (result i32) local.get 0 i32.load16_u offset=0x7fffffff))",
    );
    assert!(!compiled[0].clif.contains("trapnz"));
    assert_has(&compiled[1].clif, &["uadd_overflow_trap", "trapnz"]);
}

#[test]
fn memories_without_guard_pages_are_checked() {
    let compiled = compile(
        "(module (memory i64 1) (memory 1 (pagesize 1))
            (func (param i64) (result i64) local.get 0 i64.load offset=0xffffffffffff)
            (func (param i32) (result i32) local.get 0 i32.load8_u 1)
            (func (param i64) (result i64) local.get 0 memory.grow)
            (func (result i32) memory.size 1)
            (func (param i64 i32 i64) local.get 0 local.get 1 local.get 2 memory.fill))",
    );
    for function in [0, 1, 4] {
        assert_has(&compiled[function].clif, &["uadd_overflow_trap", "trapnz"]);
    }
}

const CALLS: &str = "(module
    (type $t (func (param i32) (result i32)))
    (import \"a\" \"f\" (func $f (type $t)))
    (table $fixed 8 funcref)
    (table $growing 8 10 funcref)
    (func (param i32 i32) (result i32)
        local.get 0 local.get 1 call_indirect $fixed (type $t))
    (func (param i32) (result i32) local.get 0 local.get 0 return_call_indirect $growing (type $t))
    (func (param i32) (result i32) local.get 0 return_call $f)
    (func (param i32) (result i32) local.get 0 call $f call $f)
    (func (param i32) (result i32) local.get 0 ref.func $f call_ref $t)
    (func (param (ref null $t)) (result i32) i32.const 5 local.get 0 return_call_ref $t)
    (elem declare func $f))";

#[test]
fn calls_of_all_kinds() {
    let compiled = compile(CALLS);
    let indirect = &compiled[0];
    assert_has(
        &indirect.clif,
        &["stack_limit", "brif", "sload32", "call_indirect"],
    );
    // The entry is one load, its checks two compares, and the context stays in its register.
    assert_has(
        &indirect.asm,
        &["movl -0x1000(%rdi, %rax, 4), %eax", "movslq 4(%rcx, %rdx)"],
    );
    assert!(!indirect.asm.contains("%rdi\n"), "{}", indirect.asm);
    assert_eq!(compiled[3].clif.matches("call fn0").count(), 2);
}

#[test]
fn calls_in_several_slabs_take_the_context_of_the_callee() {
    let compiled = compile_with(CALLS, |layout| {
        layout.slabs = [(); 2].map(|()| SlabLayout::default()).into();
        layout.units[UnitId(0)].slab = SlabId(1);
    })
    .unwrap();
    let stride = trampette_artifact::layout::SLAB_STRIDE;
    assert_has(&compiled[2].clif, &[&format!("{}", -(stride as i64))]);
}

#[test]
fn calls_without_function_values_trap() {
    let compiled = compile_with(CALLS, |layout| {
        // The reference stays known, the table's length is what counts.
        layout.functions.truncate(0);
    });
    assert!(compiled.is_err(), "ref.func of a function without an id");
    let text = "(module (type $t (func)) (table 1 funcref)
        (func (param i32) local.get 0 call_indirect (type $t) local.get 0 call 0))";
    let compiled = compile_with(text, |layout| layout.escaping = 0).unwrap();
    assert_has(&compiled[0].clif, &["trap user4"]);
}

#[test]
fn bulk_operations_and_segments() {
    compile(
        "(module (memory 1) (memory 1) (table $t 4 8 funcref) (table $u i64 4 funcref)
            (data $d \"abc\") (elem $e func 0)
            (func (param i32 i32 i32)
                local.get 0 local.get 1 local.get 2 memory.copy
                local.get 0 local.get 1 local.get 2 memory.copy 0 1
                local.get 0 local.get 1 local.get 2 memory.fill
                local.get 0 local.get 1 local.get 2 memory.init $d
                data.drop $d
                local.get 0 local.get 1 local.get 2 table.init $t $e
                elem.drop $e
                local.get 0 local.get 1 local.get 2 table.copy $t $t
                local.get 0 ref.null func local.get 2 table.fill $t
                local.get 0 local.get 1 table.get $t table.set $t
                i64.const 1 i64.const 2 table.get $u table.set $u
                ref.null func local.get 0 table.grow $t drop
                table.size $t drop table.size $u drop
                local.get 0 memory.grow drop))",
    );
}

#[test]
fn small_constant_copies_and_fills_are_in_line() {
    let compiled = compile(
        "(module (memory 1)
            (func (param i32 i32) local.get 0 local.get 1 i32.const 63 memory.copy)
            (func (param i32 i32) local.get 0 local.get 1 i32.const 31 memory.fill)
            (func (param i32 i32) local.get 0 local.get 1 i32.const 0 memory.copy)
            (func (param i32 i32) local.get 0 local.get 1 i32.const 65 memory.copy))",
    );
    for inline in &compiled[..3] {
        assert_eq!(inline.relocations, 0);
        assert_has(&inline.clif, &["trapnz"]);
    }
    assert_eq!(compiled[0].clif.matches("store").count(), 7);
    assert_eq!(compiled[3].relocations, 1);
}

#[test]
fn references_and_unreachable_code() {
    compile(
        "(module (type $t (func)) (memory 1)
            (func (param funcref externref) (result i32) (local funcref externref v128 f32 f64)
                local.get 0 ref.is_null local.get 2 ref.is_null i32.add)
            (func (param (ref null $t)) (result (ref $t)) local.get 0 ref.as_non_null)
            (func (param (ref null $t)) (result i32)
                block local.get 0 br_on_null 0 drop i32.const 1 return end i32.const 0)
            (func (param (ref null $t)) (result (ref null $t))
                block (result (ref $t)) local.get 0 br_on_non_null 0 ref.null $t return end)
            (func (param i32) (result i32)
                unreachable block loop i32.const 0 if else end end end i32.add)
            (func (param i32) (result i32)
                local.get 0 if (result i32) unreachable else i32.const 1 end)
            (func (param i32) (result i32)
                local.get 0 if (result i32) i32.const 1 else unreachable end)
            (func (param i32) (result i32)
                local.get 0 if (result i32) unreachable else unreachable end i32.const 1 i32.add)
            (func loop br 0 end)
            (func (result i32) loop br 0 end unreachable)
            (func (param v128 v128 i32) (result v128) local.get 0 local.get 1 local.get 2 select)
            (func (param funcref i32) (result funcref)
                local.get 0 ref.null func local.get 1 select (result funcref)))",
    );
}

#[test]
fn what_is_not_supported_is_named_with_its_offset() {
    let error = |text| {
        let error = compile_with(text, |_| ()).err().expect("an error");
        format!("{error:#}")
    };
    let text = error("(module (func try end))");
    // The compile driver adds the symbol: see the golden file `invalid-body`.
    assert_has(
        &text,
        &["the old form of exception handling is not supported yet (operator try at offset 0x"],
    );
    let text = error("(module (func i32.add))");
    assert_has(&text, &["type mismatch", "offset 0x"]);
}

#[test]
fn a_body_is_translated_again_for_another_unit() {
    let module = parse("(module (func))");
    let layout = lay_out(&module);
    let program = Program {
        modules: vec![module].into(),
        ..Program::default()
    };
    let session = Session {
        isa: isa(),
        program: &program,
        layout: &layout,
        bounds: Default::default(),
        progress: Default::default(),
        debug_info: Default::default(),
        calls: Default::default(),
        shared_transfers: Default::default(),
    };
    translate_function(&session, UnitId(0), DefinedFunc(0)).unwrap();
    translate_function(&session, UnitId(0), DefinedFunc(0)).unwrap();
    assert!(translate_function(&session, UnitId(0), DefinedFunc(1)).is_err());
}

#[test]
fn deep_nesting_does_not_recurse() {
    let depth = 5_000;
    let text = format!(
        "(module (func (param i32) {} {}))",
        "block local.get 0 br_if 0 ".repeat(depth),
        "end ".repeat(depth)
    );
    compile(&text);
}

#[test]
fn what_is_known_of_the_context_survives_stores_to_memory() {
    let compiled = compile(
        "(module (memory 1) (global $g (mut i32) (i32.const 0)) (global $other (mut i32) (i32.const 0))
            (table $t 3 10 funcref)
            (func (param i32) (result i32)
                global.get $g
                local.get 0 i32.const 1 i32.store
                global.get $g i32.add
                i32.const 5 global.set $other
                i32.const 0 ref.null func table.set $t
                global.get $g i32.add)
            (func (param i32) (result i32)
                table.size $t
                local.get 0 i32.const 1 i32.store
                local.get 0 i32.const 2 i32.store8 offset=8
                global.get $g global.set $other
                table.size $t i32.add)
            (func (param i32) (result i32)
                local.get 0 i32.load
                i32.const 5 global.set $g
                local.get 0 i32.load i32.add))",
    );
    // Global 0 is at -0x20; the table's length is the only field of the root that is used.
    assert_eq!(compiled[0].asm.matches("-0x20(%rdi)").count(), 1);
    let field = compiled[1].asm.matches("movq 0x90(").count();
    assert_eq!(field, 1, "{}", compiled[1].asm);
    assert_eq!(compiled[2].clif.matches("load.i32").count(), 2);
    assert_eq!(
        compiled[2].asm.matches("(%rdi, %r").count(),
        1,
        "{}",
        compiled[2].asm
    );
}
