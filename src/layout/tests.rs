//! Layouts of small programs, pinned.

use super::contexts::GROWABLE_TABLE_CAPACITY;
use super::facts::{GlobalFacts, MemoryFacts, TableFacts};
use super::functions::reference_from_bits;
use super::testing::TestProgram;
use super::*;
use crate::program::{CoreExport, CoreItem, Instantiation, Trampoline, TrampolineKind};
use trampette_artifact::ids::DefinedFunc;
use trampette_artifact::key::Intrinsic;
use trampette_artifact::trap::TrapCode;

fn layout(modules: &[(&str, &str)]) -> Layout {
    lay_out(&TestProgram::new(modules).program).expect("it lays out")
}

fn error(modules: &[(&str, &str)]) -> String {
    let error = lay_out(&TestProgram::new(modules).program).expect_err("it does not lay out");
    format!("{error:#}")
}

fn func(instance: u32, index: u32) -> CoreFunc {
    CoreFunc::Module(CoreInstanceId(instance), DefinedFunc(index))
}

/// References to functions by their ids; 0 is null.
fn ids<const N: usize>(ids: [u32; N]) -> Vec<Option<FunctionId>> {
    ids.map(reference_from_bits).into()
}

#[test]
fn instances_that_share_a_memory_share_a_slab() {
    let layout = layout(&[
        (
            "shim",
            "(module (table (export \"t\") 1 funcref) (func (export \"f\")))",
        ),
        (
            "main",
            "(module (import \"shim\" \"f\" (func)) (memory (export \"m\") 1))",
        ),
        (
            "adapter",
            "(module (import \"main\" \"m\" (memory 1)) (func (export \"g\")))",
        ),
        (
            "fixup",
            "(module (import \"shim\" \"t\" (table 1 funcref)) (import \"adapter\" \"g\" (func $g))
                (elem (i32.const 0) func $g))",
        ),
        (
            "other",
            "(module (memory 1) (memory (export \"second\") 1))",
        ),
        ("lonely", "(module (func))"),
        (
            "of-other",
            "(module (import \"other\" \"second\" (memory 1)))",
        ),
    ]);
    let slabs: Vec<u32> = layout.units.iter().map(|unit| unit.slab.0).collect();
    assert_eq!(slabs, [0, 0, 0, 0, 1, 0, 2]);
    assert_eq!(layout.slabs.len(), 3);
    assert_eq!(layout.memories[MemoryId(0)].slab(), Some(SlabId(0)));
    assert_eq!(layout.memories[MemoryId(1)].slab(), Some(SlabId(1)));
    assert_eq!(layout.memories[MemoryId(2)].slab(), Some(SlabId(2)));
    assert_eq!(layout.tables[TableId(0)].slab, SlabId(0));
    // The shim's table holds the adapter's function, and never changes: it is in no image.
    assert_eq!(layout.function_id(func(2, 0)), Some(FunctionId(1)));
    assert_eq!(
        layout.settled[TableId(0)].as_ref().unwrap().entries,
        ids([1])
    );
    assert_eq!(layout.escaping, 0);
    assert_eq!(layout.slabs[SlabId(0)].image, []);
    assert!(layout.startup[0].is_empty());
}

#[test]
fn memories_of_nobodys_own_come_last() {
    let layout = layout(&[
        ("a", "(module (memory 1) (memory 2))"),
        ("b", "(module (memory 3))"),
        ("c", "(module)"),
    ]);
    let memories: Vec<_> = layout.slabs.iter().map(|slab| slab.memory).collect();
    assert_eq!(
        memories,
        [Some(MemoryId(0)), Some(MemoryId(2)), Some(MemoryId(1))]
    );
}

#[test]
fn there_is_always_a_slab() {
    let layout = layout(&[("a", "(module (func))")]);
    assert_eq!(layout.slabs.len(), 1);
    assert_eq!(layout.slabs[SlabId(0)].memory, None);
    assert_eq!(layout.slabs[SlabId(0)].context_size, 128);
}

#[test]
fn slabs_that_nothing_writes_are_known() {
    for (fields, written) in [
        (
            "(memory 1) (data (i32.const 8) \"eight\") (func (result i32) (i32.load (i32.const 8)))",
            false,
        ),
        (
            "(memory 1) (func (i32.store8 (i32.const 8) (i32.const 8)))",
            true,
        ),
        ("(memory 1) (func (drop (memory.grow (i32.const 1))))", true),
        (
            "(memory 1) (data \"eight\") (func (memory.init 0 (i32.const 0) (i32.const 0) (i32.const 5)))",
            true,
        ),
        ("(func)", false),
        (
            "(global i32 (i32.const 1)) (func (drop (global.get 0)))",
            false,
        ),
        (
            "(global (mut i32) (i32.const 1)) (func (global.set 0 (i32.const 2)))",
            true,
        ),
        (
            "(table 1 funcref) (func (table.set (i32.const 0) (ref.null func)))",
            true,
        ),
        (
            "(table funcref (elem 0)) (func (call_indirect (i32.const 0)))",
            false,
        ),
    ] {
        let layout = layout(&[("a", &format!("(module {fields})"))]);
        assert_eq!(layout.is_written(SlabId(0)), written, "{fields}");
    }
}

#[test]
fn context_offsets_are_pinned() {
    let layout = layout(&[(
        "a",
        "(module
            (memory 1)
            (global $sp (mut i32) (i32.const 0x10000))
            (global $vector (mut v128) (v128.const i64x2 1 2))
            (global $hot (mut i64) (i64.const 0))
            (global $never_written (mut i32) (i32.const 5))
            (global $constant f32 (f32.const 1))
            (table $grows 3 100 funcref)
            (table $fixed 5 funcref)
            (table $unbounded 0 externref)
            (func
                (global.set $sp (global.get $sp))
                (global.set $vector (global.get $vector))
                (global.set $hot (global.get $hot))
                (global.set $hot (global.get $hot))
                (drop (global.get $never_written))
                (drop (table.grow $grows (ref.null func) (i32.const 1)))
                (table.set $fixed (i32.const 0) (ref.null func))
                (drop (table.grow $unbounded (ref.null extern) (i32.const 1)))))",
    )]);
    let place = |offset, ty| GlobalPlace::Context {
        slab: SlabId(0),
        offset: ContextOffset(offset),
        ty,
    };
    assert_eq!(
        layout.globals.as_slice(),
        [
            place(-32, CoreType::I32),
            place(-48, CoreType::V128),
            place(-24, CoreType::I64),
            GlobalPlace::Constant(ConstValue::I32(5)),
            GlobalPlace::Constant(ConstValue::F32(1f32.to_bits())),
        ]
    );
    let tables: Vec<_> = layout
        .tables
        .iter()
        .map(|t| (t.offset, t.minimum, t.capacity, t.growable))
        .collect();
    let capacity = GROWABLE_TABLE_CAPACITY;
    let far = -160 - 400 - 4 * capacity as i32;
    assert_eq!(
        tables,
        [
            (-160 - 400, 3, 100, true),
            (-128 - 32, 5, 5, false),
            (far, 0, capacity, true),
        ]
    );
    assert_eq!(layout.slabs[SlabId(0)].context_size as i32, -far);
    let mut values = 1u64.to_le_bytes().to_vec();
    values.extend(2u64.to_le_bytes());
    values.extend([0, 0, 1]);
    assert_eq!(layout.slabs[SlabId(0)].image, [(-48, values)]);
}

#[test]
fn globals_beyond_the_hot_part_are_cold() {
    let globals: String = (0..20)
        .map(|n| format!("(global (mut i64) (i64.const {n}))"))
        .collect();
    let sets: String = (0..20)
        .map(|n| format!("(global.set {n} (i64.const 0))"))
        .collect();
    let layout = layout(&[("a", &format!("(module {globals} (func {sets}))"))]);
    let offsets: Vec<i32> = layout
        .globals
        .iter()
        .map(|place| match place {
            GlobalPlace::Context { offset, .. } => offset.0,
            GlobalPlace::Constant(_) => 0,
        })
        .collect();
    let expected: Vec<i32> = (0..20).map(|n| -24 - 8 * n).collect();
    assert_eq!(offsets, expected);
    assert_eq!(layout.slabs[SlabId(0)].context_size, 176);
}

#[test]
fn a_global_that_an_importer_writes_is_no_constant() {
    let layout = layout(&[
        (
            "a",
            "(module (global (export \"g\") (mut i32) (i32.const 1)) (global (export \"h\") i32 (i32.const 40)))",
        ),
        (
            "b",
            "(module (import \"a\" \"g\" (global (mut i32))) (func (global.set 0 (i32.const 2))))",
        ),
        (
            "c",
            "(module (import \"a\" \"h\" (global i32))
                (global i32 (i32.add (global.get 0) (i32.mul (i32.const 2) (i32.sub (i32.const 3) (i32.const 2)))))
                (global i64 (i64.const -1)) (global funcref (ref.func 0)) (func))",
        ),
    ]);
    assert!(matches!(
        layout.globals[GlobalId(0)],
        GlobalPlace::Context { .. }
    ));
    assert_eq!(
        layout.globals[GlobalId(2)],
        GlobalPlace::Constant(ConstValue::I32(42))
    );
    assert_eq!(
        layout.globals[GlobalId(3)],
        GlobalPlace::Constant(ConstValue::I64(-1))
    );
    assert_eq!(
        layout.globals[GlobalId(4)],
        GlobalPlace::Constant(ConstValue::Ref(1))
    );
    assert_eq!(layout.slabs[SlabId(0)].image, [(-24, vec![1])]);
}

#[test]
fn functions_that_escape_have_ids_and_signatures() {
    let layout = layout(&[(
        "a",
        "(module
            (type $two (func (param i32) (result i32)))
            (type $none (func))
            (func $a (type $none)) (func $b (type $two) (local.get 0)) (func $c (type $none)) (func $d (type $none))
            (func $unused_segment (type $none))
            (table 4 funcref)
            (elem (i32.const 2) func $b $a)
            (elem $used func $c $b)
            (elem $unused func $unused_segment)
            (elem declare func $d)
            (func (table.init $used (i32.const 0) (i32.const 0) (i32.const 0)) (drop (ref.func $d))))",
    )]);
    let functions: Vec<_> = layout.functions.iter().copied().collect();
    assert_eq!(functions, [func(0, 1), func(0, 0), func(0, 2), func(0, 3)]);
    let two = SignatureId(1);
    let none = SignatureId(2);
    assert_eq!(layout.units[UnitId(0)].signatures, [two, none]);
    assert_eq!(layout.function_signatures, [two, none, none, none]);
    assert_eq!(layout.function_table_length(), 8);
    assert_eq!(layout.element_segments.as_slice(), [ids([3, 1])]);
    assert_eq!(
        layout.units[UnitId(0)].element_segments,
        [None, Some(ElementSegmentId(0)), None, None]
    );
    let at = i64::from(layout.tables[TableId(0)].offset) + 8;
    assert_eq!(layout.slabs[SlabId(0)].image, [(at, vec![1, 0, 0, 0, 2])]);
}

#[test]
fn trampolines_and_intrinsics_escape_too() {
    let intrinsic = CoreFunc::Intrinsic(Intrinsic::U8NativeLoad);
    let trampoline = CoreFunc::Trampoline(TrampolineId(0));
    let mut test = TestProgram::with_functions(
        &[("trampoline", trampoline), ("intrinsic", intrinsic)],
        &[(
            "a",
            "(module (type $i (func (param i64) (result i32))) (type $t (func (param i32)))
                (import \"\" \"trampoline\" (func $t (type $t))) (import \"\" \"intrinsic\" (func $i (type $i)))
                (table 2 funcref) (elem (i32.const 0) func $t $i))",
        )],
    );
    test.program.trampolines.push(Trampoline {
        kind: TrampolineKind::ResourceDrop {
            resource: ResourceId(0),
            instance: ComponentInstanceId(0),
        },
        signature: test.program.modules[ModuleId(0)].types[1].clone(),
    });
    let layout = lay_out(&test.program).unwrap();
    let functions: Vec<_> = layout.functions.iter().copied().collect();
    assert_eq!(functions, [trampoline, intrinsic]);
    assert_eq!(layout.function_signatures, [SignatureId(2), SignatureId(1)]);
}

#[test]
fn equal_signatures_of_units_are_one() {
    let layout = layout(&[
        ("a", "(module (type (func (param i64))) (type (func)))"),
        (
            "b",
            "(module (type (func)) (type (func (param i64))) (type (func)))",
        ),
    ]);
    assert_eq!(layout.signatures.iter().count(), 2);
    let ids = [SignatureId(2), SignatureId(1), SignatureId(2)];
    assert_eq!(layout.units[UnitId(1)].signatures, ids);
}

#[test]
fn table_initial_values_come_before_segments() {
    let layout = layout(&[(
        "a",
        "(module (func $f) (func $g (table.set (i32.const 0) (ref.null func)))
            (table 3 funcref (ref.func $f)) (elem (i32.const 1) func $g))",
    )]);
    let at = layout.tables[TableId(0)].offset;
    let expected = vec![1, 0, 0, 0, 2, 0, 0, 0, 1];
    assert_eq!(layout.slabs[SlabId(0)].image, [(at.into(), expected)]);
}

#[test]
fn overlapping_segments_and_zero_runs() {
    let zeros = "\\00".repeat(5000);
    let layout = layout(&[(
        "a",
        &format!(
            "(module (memory 1) (data (i32.const 8) \"abcdef\") (data (i32.const 10) \"XY\")
                (data (i32.const 100) \"{zeros}end\"))"
        ),
    )]);
    assert_eq!(
        layout.slabs[SlabId(0)].image,
        [(8, b"abXYef".to_vec()), (5100, b"end".to_vec())]
    );
}

#[test]
fn segments_out_of_bounds_trap_in_order() {
    let out_of_bounds = "(module (memory 1) (table 1 funcref)
        (func $f (table.set (i32.const 0) (ref.null func)))
        (elem (i32.const 0) func $f)
        (data (i32.const 0) \"kept\") (data (i32.const 65536) \"x\") (data (i32.const 8) \"never\"))";
    let layout_of = layout;
    let layout = layout_of(&[("a", out_of_bounds), ("b", "(module (func $s) (start $s))")]);
    assert_eq!(
        layout.startup[0],
        [StartupAction::Trap(TrapCode::MemoryOutOfBounds)]
    );
    assert_eq!(layout.slabs[SlabId(0)].image[1], (0, b"kept".to_vec()));
    assert_eq!(layout.slabs[SlabId(0)].image.len(), 2);
    let layout = layout_of(&[(
        "a",
        "(module (table 1 funcref) (func $f) (elem (i32.const 1)) (elem (i32.const -1) func $f))",
    )]);
    assert_eq!(
        layout.startup[0],
        [StartupAction::Trap(TrapCode::TableAccessOutOfBounds)]
    );
}

#[test]
fn a_start_function_ends_the_static_part_of_what_it_can_reach() {
    let layout = layout(&[
        (
            "a",
            "(module (memory (export \"m\") 1) (table (export \"t\") 2 funcref) (func $s)
                (data (i32.const 0) \"static\") (start $s))",
        ),
        (
            "b",
            "(module (import \"a\" \"m\" (memory 1)) (import \"a\" \"t\" (table 1 funcref)) (func $f)
                (memory 1)
                (global (export \"g\") (mut i32) (i32.const 9))
                (func (global.set 0 (i32.const 1)))
                (data (i32.const 3) \"dynamic\") (data (memory 1) (i32.const 4) \"fresh\")
                (elem (i32.const 1) func $f))",
        ),
        (
            "c",
            "(module (import \"a\" \"m\" (memory 1)) (memory 1) (data (memory 1) (i32.const 65536) \"x\"))",
        ),
    ]);
    let value = |offset| ConstOperand::Value(ConstValue::I32(offset));
    assert_eq!(
        layout.startup[0],
        [
            StartupAction::Call(func(0, 0)),
            StartupAction::CopyElements {
                segment: ElementSegmentId(0),
                length: 1,
                table: TableId(0),
                offset: value(1),
            },
            StartupAction::CopyData {
                segment: DataSegmentId(0),
                length: 7,
                memory: MemoryId(0),
                offset: value(3),
            },
            StartupAction::Trap(TrapCode::MemoryOutOfBounds),
        ]
    );
    assert_eq!(layout.data_segments.as_slice(), [b"dynamic".to_vec()]);
    assert_eq!(layout.element_segments.as_slice(), [ids([1])]);
    assert_eq!(layout.units[UnitId(1)].data_segments, [None, None]);
    assert_eq!(
        layout.slabs[SlabId(0)].image,
        [(-24, vec![9]), (0, b"static".to_vec())]
    );
    assert_eq!(layout.slabs[SlabId(1)].image, [(4, b"fresh".to_vec())]);
    assert_eq!(layout.root.data_segments, 1);
}

#[test]
fn passive_segments_are_kept_if_used() {
    let layout = layout(&[(
        "a",
        "(module (memory 1) (data \"unused\") (data $used \"used\") (data (i32.const 0) \"active\")
            (func (data.drop $used) (data.drop 2)))",
    )]);
    assert_eq!(layout.data_segments.as_slice(), [b"used".to_vec()]);
    let expected = [None, Some(DataSegmentId(0)), None];
    assert_eq!(layout.units[UnitId(0)].data_segments, expected);
}

#[test]
fn sparse_data_is_copied_at_start_up() {
    let sparse: String = (0..40)
        .map(|n| format!("(data (i32.const {}) \"x\")", n * 0x20000))
        .collect();
    let layout = layout(&[(
        "a",
        &format!(
            "(module (memory 200) {sparse} (data (i32.const 1) \"dense\") (func $s) (start $s))"
        ),
    )]);
    // 17 extents of 64 KiB do not fit the bound, 16 do; the densest stays.
    assert_eq!(layout.slabs[SlabId(0)].image.len(), 16);
    assert_eq!(layout.slabs[SlabId(0)].image[0], (0, b"xdense".to_vec()));
    assert_eq!(layout.data_segments.len(), 24);
    assert_eq!(layout.startup[0].len(), 25);
    assert_eq!(layout.startup[0][24], StartupAction::Call(func(0, 0)));
}

#[test]
fn limits_are_errors() {
    for memories in [
        "(memory i64 0x100001)",
        "(memory i64 1) (memory i64 0x10001)",
    ] {
        let text = error(&[("a", &format!("(module {memories})"))]);
        assert!(text.contains("larger than the limit of"), "{text}");
    }
    let text = error(&[("a", "(module (table 0x10000001 funcref))")]);
    assert!(
        text.contains("table 0 of a core module, at offset 0x"),
        "{text}"
    );
    let text = error(&[(
        "a",
        "(module (table 0x9000000 funcref) (table 0x9000000 funcref))",
    )]);
    assert!(text.contains("more than 1073741824"), "{text}");
}

#[test]
fn long_tables_are_filled_when_instantiated() {
    let layout = layout(&[(
        "a",
        "(module (func $f (table.set (i32.const 0) (ref.null func))) (func $s)
            (table 100000 funcref (ref.func $f)) (elem (i32.const 7) $f) (start $s))",
    )]);
    let table = TableId(0);
    let [fill, copy, call] = &layout.startup[0][..] else {
        panic!("{:?}", layout.startup);
    };
    let value = FunctionId(1);
    assert_eq!(*fill, StartupAction::FillTable { table, value });
    assert!(
        matches!(copy, StartupAction::CopyElements { .. }),
        "{copy:?}"
    );
    assert_eq!(*call, StartupAction::Call(func(0, 1)));
    assert_eq!(layout.slabs[SlabId(0)].image, []);
}

#[test]
fn tables_are_constants_in_proportion_to_their_modules() {
    let all: String = (0..20)
        .map(|index| format!("(table {} funcref)", 10_000 + index))
        .collect();
    let layout = layout(&[("a", &format!("(module {all})"))]);
    let sealed = layout.settled.iter().flatten().count();
    assert!((6..8).contains(&sealed), "{sealed}");
}

#[test]
fn a_memory_that_may_be_large_has_the_last_slab() {
    let layout = layout(&[
        (
            "a",
            "(module (memory i64 1) (memory i64 1 65536) (memory i64 1))",
        ),
        ("b", "(module (memory 1))"),
    ]);
    let slabs = layout.slabs.len();
    let of = |memory: &Memory| (memory.slab().unwrap().0, memory.reservation(slabs) >> 30);
    let places: Vec<_> = layout.memories.iter().map(of).collect();
    assert_eq!(places, [(3, 64), (1, 4), (2, 4), (0, 4)]);
    let longest: Vec<_> = layout.memories.iter().map(|m| m.longest(slabs)).collect();
    let usual = (4 << 30) - (64 << 10);
    assert_eq!(longest, [64 << 30, 4 << 30, usual, usual]);
    assert!(!layout.memories_end_early());
}

#[test]
fn a_memory_of_4_gib_is_accepted() {
    let layout = layout(&[(
        "a",
        "(module (memory 0x10000) (data (i32.const 0xffffffff) \"x\"))",
    )]);
    assert_eq!(
        layout.slabs[SlabId(0)].image,
        [(0xffff_ffff, b"x".to_vec())]
    );
}

#[test]
fn it_prints() {
    let test = TestProgram::new(&[(
        "a",
        "(module $m (memory 1 2) (table 1 funcref) (global (mut i32) (i32.const 3))
            (func $f (global.set 0 (i32.const 1))) (elem (i32.const 0) func $f) (start $f))",
    )]);
    let text = lay_out(&test.program).unwrap().print(&test.program);
    assert_eq!(
        text,
        "root: 184 bytes
slab0: context of 128 bytes, memory0
  image at -0x18: 1 bytes
core-instance0: module0 `m` in slab0
memory0: 1 pages of at most 2 in slab0, fixed, never written
table0: 1 entries, sealed, all signature1: 1
global0: I32 in slab0 at -24
signature1: () -> ()
function-id1: core-instance0 function 0 `f`: signature1, only in sealed tables
startup: call core-instance0 function 0 `f`
"
    );
}

/// The facts of the table, memory and global that the first module exports.
fn facts(modules: &[(&str, &str)]) -> (TableFacts, MemoryFacts, GlobalFacts) {
    let facts = layout(modules).facts;
    (
        facts.tables[TableId(0)],
        facts.memories[MemoryId(0)],
        facts.globals[GlobalId(0)],
    )
}

const EXPORTER: &str = "(module
    (table (export \"t\") 2 funcref) (memory (export \"m\") 1) (global (export \"g\") (mut i32) (i32.const 7)))";
const IMPORTS: &str = "(import \"a\" \"t\" (table 2 funcref)) (import \"a\" \"m\" (memory 1))
    (import \"a\" \"g\" (global (mut i32)))";

#[test]
fn what_no_instruction_changes_is_constant() {
    let nothing = (TableFacts::default(), MemoryFacts::default());
    let with = |items: &str| {
        let module = format!("(module {IMPORTS} {items})");
        facts(&[("a", EXPORTER), ("b", &module)])
    };
    let (table, memory, global) = with(
        "(func $f) (elem (i32.const 1) func $f) (data (i32.const 0) \"x\")
        (func (drop (i32.load (global.get 0))) (call_indirect (i32.const 1)) (drop (table.size 0)))",
    );
    assert_eq!((table, memory), nothing);
    assert_eq!((global.written, global.accesses), (false, 1));

    let tables = [
        (
            "(table.set (i32.const 0) (ref.null func))",
            (false, true, false),
        ),
        ("(drop (table.get (i32.const 0)))", (false, false, true)),
        (
            "(drop (table.grow (ref.null func) (i32.const 0)))",
            (true, true, false),
        ),
        (
            "(table.fill (i32.const 0) (ref.null func) (i32.const 0))",
            (false, true, false),
        ),
        (
            "(table.copy (i32.const 0) (i32.const 0) (i32.const 0))",
            (false, true, true),
        ),
        (
            "(table.init 0 (i32.const 0) (i32.const 0) (i32.const 0))",
            (false, true, false),
        ),
    ];
    for (body, (grows, changes, read)) in tables {
        let (table, ..) = with(&format!("(elem funcref) (func {body})"));
        assert_eq!(
            table,
            TableFacts {
                grows,
                changes,
                late: false,
                read
            },
            "{body}"
        );
    }
    let memories = [
        ("(i32.store8 (i32.const 0) (i32.const 0))", (false, true)),
        ("(i64.store (i32.const 0) (i64.const 0))", (false, true)),
        (
            "(v128.store64_lane 0 (i32.const 0) (v128.const i64x2 0 0))",
            (false, true),
        ),
        (
            "(drop (v128.load64_lane 0 (i32.const 0) (v128.const i64x2 0 0)))",
            (false, false),
        ),
        (
            "(drop (i32.atomic.rmw.add (i32.const 0) (i32.const 0)))",
            (false, true),
        ),
        (
            "(memory.fill (i32.const 0) (i32.const 0) (i32.const 0))",
            (false, true),
        ),
        (
            "(memory.copy (i32.const 0) (i32.const 0) (i32.const 0))",
            (false, true),
        ),
        (
            "(memory.init 0 (i32.const 0) (i32.const 0) (i32.const 0))",
            (false, true),
        ),
        ("(drop (memory.grow (i32.const 0)))", (true, false)),
    ];
    for (body, (grows, written)) in memories {
        let (_, memory, _) = with(&format!("(data \"x\") (func {body})"));
        assert_eq!(memory, MemoryFacts { grows, written }, "{body}");
    }
    let (.., global) = with("(func (global.set 0 (i32.const 1)))");
    assert!(global.written);
}

#[test]
fn a_start_function_between_creation_and_last_write_unseals() {
    let start = ("s", "(module (func $s) (start $s))");
    let write = "(module (import \"a\" \"t\" (table 2 funcref)) (import \"a\" \"m\" (memory 1))
        (func $f) (elem (i32.const 1) func $f) (data (i32.const 0) \"x\"))";
    let sealed = |modules: &[(&str, &str)]| {
        let (table, memory, _) = facts(modules);
        assert_eq!(table.is_sealed(), !memory.written);
        table.is_sealed()
    };
    assert!(sealed(&[("a", EXPORTER), ("b", write), start]));
    assert!(sealed(&[start, ("a", EXPORTER), ("b", write)]));
    assert!(!sealed(&[("a", EXPORTER), start, ("b", write)]));
    // A module's own segments come before its start function.
    let own = "(module (table (export \"t\") 2 funcref) (memory (export \"m\") 1)
        (global (export \"g\") i32 (i32.const 0)) (func $f) (elem (i32.const 1) func $f) (start $f))";
    assert!(sealed(&[("a", own)]));
    assert!(!sealed(&[("a", own), ("b", write)]));
}

#[test]
fn what_the_host_reaches_or_later_steps_see_is_not_constant() {
    let mut test = TestProgram::new(&[("a", EXPORTER)]);
    test.program.instantiation = Instantiation::StepByStep;
    let facts = lay_out(&test.program).unwrap().facts;
    assert!(
        facts.tables[TableId(0)].changes
            && facts.memories[MemoryId(0)].written
            && facts.memories[MemoryId(0)].grows
    );

    let mut test = TestProgram::new(&[("a", EXPORTER)]);
    for item in [
        CoreItem::Table(TableId(0)),
        CoreItem::Memory(MemoryId(0)),
        CoreItem::Global(GlobalId(0)),
    ] {
        test.program.core_exports.push(CoreExport {
            instance: CoreInstanceId(0),
            name: String::new(),
            item,
        });
    }
    let facts = lay_out(&test.program).unwrap().facts;
    let (table, memory) = (facts.tables[TableId(0)], facts.memories[MemoryId(0)]);
    assert!(table.grows && table.changes && table.read && facts.globals[GlobalId(0)].written);
    assert!(memory.grows && memory.written);
}

#[test]
fn ids_of_functions_that_escape_come_first() {
    let layout = layout(&[(
        "a",
        "(module (type $t (func (param i32))) (func $a) (func $b (type $t)) (func $c) (func $d)
            (table $sealed 4 funcref) (table $read 2 funcref) (table $written 2 funcref)
            (elem (table $sealed) (i32.const 0) func $a $b $c)
            (elem (table $read) (i32.const 0) func $d)
            (elem (table $written) (i32.const 1) func $c)
            (global (mut funcref) (ref.func $b))
            (func (drop (table.get $read (i32.const 0))) (table.set $written (i32.const 0) (ref.null func))
                (global.set 0 (global.get 0))))",
    )]);
    let functions: Vec<_> = layout.functions.iter().copied().collect();
    assert_eq!(functions, [func(0, 1), func(0, 2), func(0, 3), func(0, 0)]);
    let escaping: Vec<_> = layout.escaping_functions().collect();
    assert_eq!(escaping, functions[..3]);
    assert_eq!(layout.function_table_length(), 4);
    let expected = SettledTable {
        late: false,
        entries: ids([4, 1, 2, 0]),
        signature: None,
        has_null: true,
        home: Some(SlabId(0)),
    };
    assert_eq!(layout.settled[TableId(0)], Some(expected));
    let read = layout.settled[TableId(1)].as_ref().unwrap();
    assert_eq!(
        (&read.entries[..], read.signature),
        (&ids([3, 0])[..], Some(SignatureId(2)))
    );
    assert_eq!(layout.settled[TableId(2)], None);
    // The global, the written table, the read one.
    let image: Vec<u8> = layout.slabs[SlabId(0)].image[0].1.clone();
    assert_eq!(image.iter().filter(|byte| **byte != 0).count(), 3);
}
