//! Every type, encoding, width and direction: what is emitted verifies and compiles, and has no more
//! calls and loops than it needs.

use crate::codegen::Session;
use crate::layout::{Layout, Reentrance, SlabLayout, UnitBinding};
use crate::options::{CompileOptions, OptLevel};
use crate::program::module::{CoreSignature, CoreType};
use crate::program::*;
use crate::trampolines::testing::compile;
use crate::trampolines::{export_entry, lower_import};
use cranelift_codegen::ir;
use std::sync::Arc;
use trampette_artifact::builtin::Builtin;
use trampette_artifact::canonical::{Flat, MAX_FLAT_PARAMS, PointerWidth, flatten_all};
use trampette_artifact::ids::*;
use trampette_artifact::key::{DataKey, FuncKey, SymbolKey};
use trampette_artifact::layout::RootLayout;
use trampette_artifact::metadata::{Import, Memory, MemoryPlace, Resource};
use trampette_artifact::types::{Case, DefinedType, Field, FuncType, Type, TypeTable};

/// A resource that the component imports.
pub(super) const IMPORTED: ResourceId = ResourceId(0);
/// One that it defines.
pub(super) const DEFINED: ResourceId = ResourceId(1);

pub(super) const ENCODINGS: [StringEncoding; 3] = [
    StringEncoding::Utf8,
    StringEncoding::Utf16,
    StringEncoding::Latin1OrUtf16,
];
pub(super) const WIDTHS: [PointerWidth; 2] = [PointerWidth::P32, PointerWidth::P64];

/// A field or case name.
fn named(index: usize) -> String {
    format!("n{index}")
}

fn record(types: &mut TypeTable, fields: &[Type]) -> Type {
    let field = |(index, ty): (usize, &Type)| Field {
        name: named(index),
        ty: *ty,
    };
    types.intern(DefinedType::Record(
        fields.iter().enumerate().map(field).collect(),
    ))
}

fn variant(types: &mut TypeTable, cases: &[Option<Type>]) -> Type {
    let case = |(index, ty): (usize, &Option<Type>)| Case {
        name: named(index),
        ty: *ty,
    };
    types.intern(DefinedType::Variant(
        cases.iter().enumerate().map(case).collect(),
    ))
}

pub(super) fn list(types: &mut TypeTable, element: Type) -> Type {
    types.intern(DefinedType::List(element))
}

/// A value type of every kind that can be a parameter and a result.
pub(super) fn all_types(types: &mut TypeTable) -> Vec<Type> {
    let names = |count: usize| (0..count).map(named).collect::<Vec<_>>();
    let mut all = vec![
        Type::Bool,
        Type::S8,
        Type::U8,
        Type::S16,
        Type::U16,
        Type::S32,
        Type::U32,
        Type::S64,
        Type::U64,
        Type::F32,
        Type::F64,
        Type::Char,
        Type::String,
    ];
    let scalars = all.clone();
    all.push(record(types, &[Type::U8, Type::U64, Type::F32]));
    all.push(record(types, &scalars));
    all.push(types.intern(DefinedType::Tuple(vec![Type::Char, Type::String])));
    all.push(types.intern(DefinedType::FixedLengthList(Type::U16, 3)));
    all.push(types.intern(DefinedType::FixedLengthList(Type::Char, 100)));
    all.push(types.intern(DefinedType::FixedLengthList(Type::String, 20)));
    all.push(types.intern(DefinedType::Map(Type::String, Type::U32)));
    all.push(types.intern(DefinedType::Map(Type::U32, Type::F32)));
    for count in [1, 7, 8, 16, 20, 32] {
        all.push(types.intern(DefinedType::Flags(names(count))));
    }
    for count in [1, 2, 256, 300] {
        all.push(types.intern(DefinedType::Enum(names(count))));
    }
    all.push(types.intern(DefinedType::Own(IMPORTED)));
    all.push(types.intern(DefinedType::Own(DEFINED)));
    for ty in [Type::U8, Type::F64, Type::String, all[13]] {
        all.push(types.intern(DefinedType::Option(ty)));
    }
    for (ok, err) in [
        (None, None),
        (Some(Type::F32), None),
        (None, Some(Type::String)),
        (Some(Type::F64), Some(Type::F32)),
        (Some(Type::String), Some(Type::U64)),
    ] {
        all.push(types.intern(DefinedType::Result { ok, err }));
    }
    all.push(variant(
        types,
        &[
            None,
            Some(Type::F32),
            Some(Type::U32),
            Some(Type::F64),
            Some(Type::S64),
            Some(Type::String),
            None,
        ],
    ));
    let nested = *all.last().unwrap();
    all.push(variant(types, &[Some(nested), Some(all[13])]));
    let many: Vec<_> = (0..300)
        .map(|index| (index % 100 == 7).then_some(Type::U32))
        .collect();
    all.push(variant(types, &many));
    for ty in all.clone() {
        all.push(list(types, ty));
    }
    let strings = list(types, Type::String);
    all.push(list(types, strings));
    all
}

fn core_type(flat: &Flat) -> CoreType {
    match flat {
        Flat::I32 => CoreType::I32,
        Flat::I64 => CoreType::I64,
        Flat::F32 => CoreType::F32,
        Flat::F64 => CoreType::F64,
    }
}

/// `flatten_functype` for `lower`.
fn lowered(types: &TypeTable, ty: &FuncType, width: PointerWidth) -> CoreSignature {
    let pointer = match width {
        PointerWidth::P32 => CoreType::I32,
        PointerWidth::P64 => CoreType::I64,
    };
    let all = ty.params.iter().map(|param| param.ty);
    let mut params = match flatten_all(types, all, width, MAX_FLAT_PARAMS) {
        Some(flat) => flat.iter().map(core_type).collect(),
        None => vec![pointer],
    };
    let results = match flatten_all(types, ty.result, width, 1) {
        Some(flat) => flat.iter().map(core_type).collect(),
        None => {
            params.push(pointer);
            Vec::new()
        }
    };
    CoreSignature {
        params: params.into(),
        results: results.into(),
    }
}

/// What to compile: the function's types and the guest's options.
#[derive(Clone)]
pub(super) struct Example {
    pub(super) types: TypeTable,
    pub(super) params: Vec<Type>,
    pub(super) result: Option<Type>,
    pub(super) encoding: StringEncoding,
    pub(super) width: PointerWidth,
}

impl Example {
    /// Compiles the type as a lowered import, a lifted export and its post-return.
    fn functions(&self, level: OptLevel) -> [ir::Function; 3] {
        let program = self.program();
        let layout = self.layout();
        let session = session(&program, &layout, level);
        let functions = [
            lower_import::lower_import(&session, TrampolineId(0)).unwrap(),
            export_entry::export_body(&session, ExportId(0)).unwrap(),
            export_entry::post_return_body(&session, ExportId(0)).unwrap(),
        ];
        for func in &functions {
            compile(&session, func);
        }
        functions
    }

    pub(super) fn program(&self) -> Program<'static> {
        let param = |(index, ty): (usize, &Type)| Field {
            name: named(index),
            ty: *ty,
        };
        let ty = FuncType {
            params: self.params.iter().enumerate().map(param).collect(),
            result: self.result,
            is_async: false,
        };
        let core = |func| CoreFunc::Module(CoreInstanceId(0), func);
        let options = CanonicalOptions {
            instance: ComponentInstanceId(0),
            encoding: self.encoding,
            memory: Some((MemoryId(0), self.width)),
            realloc: Some(core(0)),
            post_return: Some(core(2)),
        };
        let resource = |info| ResourceDefinition {
            info,
            destructor: None,
        };
        Program {
            types: self.types.clone(),
            resources: vec![
                resource(Resource::Imported {
                    path: vec!["r".into()],
                }),
                resource(Resource::Defined {
                    instance: ComponentInstanceId(0),
                    has_destructor: false,
                    name: "d".into(),
                }),
            ],
            imports: vec![Import {
                path: vec!["f".into()],
                ty: ty.clone(),
                used: true,
            }],
            lifts: vec![LiftedFunction {
                func: core(1),
                ty: Arc::new(ty.clone()),
                options: options.clone(),
                name: "f".into(),
            }],
            trampolines: vec![Trampoline {
                signature: lowered(&self.types, &ty, self.width),
                kind: TrampolineKind::LowerImport {
                    import: ImportId(0),
                    ty: Arc::new(ty),
                    options,
                },
            }],
            component_instances: vec![ComponentInstance::default()],
            ..Program::default()
        }
    }

    pub(super) fn layout(&self) -> Layout {
        Layout {
            slabs: vec![SlabLayout::default()],
            root: RootLayout {
                instances: 1,
                imports: 1,
                memories: 1,
                ..RootLayout::default()
            },
            memories: vec![Memory {
                place: MemoryPlace::Slab(SlabId(0)),
                minimum: 1,
                maximum: None,
                page_size_log2: 16,
                width: self.width,
            }],
            units: vec![UnitBinding {
                module: ModuleId(0),
                slab: SlabId(0),
                functions: vec![],
                memories: vec![MemoryId(0)],
                tables: vec![],
                globals: vec![],
                tags: vec![],
                signatures: vec![],
                data_segments: vec![],
                element_segments: vec![],
            }],
            reentrance: Reentrance::of(&self.program()),
            ..Layout::default()
        }
    }
}

pub(super) fn case(types: &TypeTable, params: &[Type], result: Option<Type>) -> Example {
    Example {
        types: types.clone(),
        params: params.to_vec(),
        result,
        encoding: StringEncoding::Utf8,
        width: PointerWidth::P32,
    }
}

/// Builtins that a function calls, through trampolines or directly, `Raise` aside.
fn builtins(func: &ir::Function) -> Vec<Builtin> {
    let key = |name: &ir::ExternalName| match name {
        ir::ExternalName::User(name) => {
            let name = &func.params.user_named_funcs()[*name];
            SymbolKey::decode(name.namespace, name.index)
        }
        _ => None,
    };
    let through_trampolines =
        func.dfg
            .ext_funcs
            .values()
            .filter_map(|callee| match key(&callee.name) {
                Some(SymbolKey::Func(FuncKey::Builtin(builtin))) => Some(builtin),
                _ => None,
            });
    // The address of the table, as every one that is loaded from is defined.
    let is_table = |address: ir::Value| {
        let inst = func.dfg.value_def(address).inst();
        let ir::InstructionData::UnaryGlobalValue { global_value, .. } = func.dfg.insts[inst?]
        else {
            return None;
        };
        match &func.global_values[global_value] {
            ir::GlobalValueData::Symbol { name, .. } => {
                (key(name) == Some(SymbolKey::Data(DataKey::Got))).then_some(())
            }
            _ => None,
        }
    };
    let blocks = func.layout.blocks();
    let insts = blocks.flat_map(|block| func.layout.block_insts(block));
    let direct = insts.filter_map(|inst| match func.dfg.insts[inst] {
        ir::InstructionData::Load { arg, offset, .. } => {
            is_table(arg)?;
            let index = i32::from(offset) / 8;
            Some(Builtin::ALL[index as usize])
        }
        _ => None,
    });
    let mut found: Vec<Builtin> = through_trampolines
        .chain(direct)
        .filter(|builtin| *builtin != Builtin::Raise)
        .collect();
    found.sort_unstable();
    found.dedup();
    found
}

/// Whether a function has a loop: a branch to a block that was laid out before.
fn has_loop(func: &ir::Function) -> bool {
    let cfg = cranelift_codegen::flowgraph::ControlFlowGraph::with_function(func);
    let domtree = cranelift_codegen::dominator_tree::DominatorTree::with_function(func, &cfg);
    func.layout.blocks().any(|block| {
        cfg.succ_iter(block)
            .any(|to| domtree.block_dominates(to, block))
    })
}

#[test]
fn every_type_compiles_in_every_encoding_and_direction() {
    let mut types = TypeTable::default();
    let all = all_types(&mut types);
    for ty in &all {
        for encoding in ENCODINGS {
            for width in WIDTHS {
                Example {
                    encoding,
                    width,
                    ..case(&types, &[*ty], Some(*ty))
                }
                .functions(OptLevel::None);
            }
        }
    }
}

#[test]
fn spilled_parameters_compile() {
    let mut types = TypeTable::default();
    let all = all_types(&mut types);
    for encoding in ENCODINGS {
        for width in WIDTHS {
            Example {
                encoding,
                width,
                ..case(&types, &all, None)
            }
            .functions(OptLevel::Speed);
        }
    }
}

#[test]
fn borrowed_handles_compile() {
    let mut types = TypeTable::default();
    let borrow = types.intern(DefinedType::Borrow(IMPORTED));
    let own = types.intern(DefinedType::Own(IMPORTED));
    let borrows = list(&mut types, borrow);
    let [import, ..] = case(&types, &[borrow], None).functions(OptLevel::Speed);
    assert_eq!(builtins(&import), []);
    let [import, ..] = case(&types, &[borrows, own], None).functions(OptLevel::Speed);
    assert!(builtins(&import).contains(&Builtin::LendPush));
    assert!(builtins(&import).contains(&Builtin::LendRelease));
}

#[test]
fn bytes_are_lent_without_a_copy_or_a_loop() {
    let mut types = TypeTable::default();
    let bytes = list(&mut types, Type::U8);
    let [import, export, _] = case(&types, &[bytes], None).functions(OptLevel::Speed);
    assert_eq!(builtins(&import), []);
    assert!(!has_loop(&import), "{import}");
    assert_eq!(
        builtins(&export),
        [Builtin::MemoryMove, Builtin::MemoryMoveLong]
    );
    assert!(!has_loop(&export), "{export}");
}

#[test]
fn strings_are_lent_without_a_copy_or_a_loop() {
    let types = TypeTable::default();
    let [import, export, _] = case(&types, &[Type::String], None).functions(OptLevel::Speed);
    assert_eq!(builtins(&import), [Builtin::Utf8Validate]);
    assert!(!has_loop(&import), "{import}");
    assert_eq!(builtins(&export), [Builtin::MemoryMove]);
    assert!(!has_loop(&export), "{export}");
}

#[test]
fn scalars_call_nothing_but_the_host() {
    let types = TypeTable::default();
    let ty = Type::U32;
    let [import, export, _] = case(&types, &[ty, Type::F64], Some(ty)).functions(OptLevel::Speed);
    assert_eq!(builtins(&import), []);
    assert_eq!(builtins(&export), []);
}

fn session<'a>(program: &'a Program<'a>, layout: &'a Layout, opt_level: OptLevel) -> Session<'a> {
    let options = CompileOptions {
        opt_level,
        ..CompileOptions::default()
    };
    Session::new(program, layout, &options).unwrap()
}

#[test]
fn shared_memories_are_refused() {
    let types = TypeTable::default();
    let case = case(&types, &[Type::String], None);
    let program = case.program();
    let mut layout = case.layout();
    layout.memories[0].place = MemoryPlace::Shared(SharedMemoryId(0));
    let session = session(&program, &layout, OptLevel::None);
    let error = lower_import::lower_import(&session, TrampolineId(0)).unwrap_err();
    assert_eq!(
        format!("{error:#}"),
        "cannot lower the import `f`: a shared memory (memory0) as canonical option `memory` is not supported"
    );
}

#[test]
fn memories_of_other_slabs_are_at_a_constant_distance() {
    let types = TypeTable::default();
    let case = case(&types, &[Type::String], Some(Type::String));
    let program = case.program();
    let mut layout = case.layout();
    layout.slabs.push(SlabLayout::default());
    layout.memories[0].place = MemoryPlace::Slab(SlabId(1));
    layout.units[0].slab = SlabId(1);
    let session = session(&program, &layout, OptLevel::Speed);
    let distance = Layout::distance(SlabId(0), SlabId(1));
    for func in [
        lower_import::lower_import(&session, TrampolineId(0)).unwrap(),
        export_entry::export_body(&session, ExportId(0)).unwrap(),
        export_entry::post_return_body(&session, ExportId(0)).unwrap(),
    ] {
        compile(&session, &func);
        let text = func.to_string().replace('_', "");
        assert!(text.contains(&format!("{distance:x}")), "{func}");
    }
}
