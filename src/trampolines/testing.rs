//! What tests of trampolines share: a small program with one of everything, and a compiler.

mod machine;
mod running;

use crate::codegen::Session;
use crate::layout::{Layout, Reentrance, SlabLayout, UnitBinding};
use crate::options::{CompileOptions, OptLevel};
use crate::program::module::{CoreSignature, CoreType, Module, RefKind};
use crate::program::*;
use cranelift_codegen::{CompiledCode, Context, ir, verify_function};
use std::sync::Arc;
use trampette_artifact::ids::*;
use trampette_artifact::layout::RootLayout;
use trampette_artifact::metadata::{Export, ExportItem, Resource};
use trampette_artifact::types::FuncType;

/// A core type.
pub(crate) fn signature(params: &[CoreType], results: &[CoreType]) -> CoreSignature {
    CoreSignature {
        params: params.into(),
        results: results.into(),
    }
}

/// The resources of [`program`].
pub(crate) const IMPORTED: ResourceId = ResourceId(0);
/// Defined by the component itself, with a destructor.
pub(crate) const ROOTS: ResourceId = ResourceId(1);
/// Defined by the child, with a destructor.
pub(crate) const CHILDS: ResourceId = ResourceId(2);
/// Defined by the child, without a destructor.
pub(crate) const PLAIN: ResourceId = ResourceId(3);
/// The component itself.
pub(crate) const PARENT: ComponentInstanceId = ComponentInstanceId(0);
/// Its child.
pub(crate) const CHILD: ComponentInstanceId = ComponentInstanceId(1);

/// A program with two component instances, of which the parent owns a slab and a core instance, and
/// the child another of each. Each core instance has three functions of its own after one import:
/// `(i32)`, one with many parameters and results of all types, and `()`.
pub(crate) fn program() -> Program<'static> {
    use CoreType::{F32, F64, I32, I64, Ref, V128};
    let all = [I32, I64, F32, F64, V128, Ref(RefKind::Func), I64, I64, I64];
    let module = || Module {
        types: vec![
            signature(&[I32], &[]),
            signature(&all, &all),
            signature(&[], &[]),
        ],
        functions: vec![2, 0, 1, 2],
        imported_functions: 1,
        ..Module::default()
    };
    let core_instance = |number: u32| CoreInstance {
        module: ModuleId(number),
        component_instance: ComponentInstanceId(number),
        imports: vec![],
        memories: vec![],
        tables: vec![],
        globals: vec![],
        tags: vec![],
    };
    let defined = |instance: ComponentInstanceId, destructor: Option<u32>| ResourceDefinition {
        info: Resource::Defined {
            instance,
            has_destructor: destructor.is_some(),
            name: "thing".into(),
        },
        destructor: destructor
            .map(|func| CoreFunc::Module(CoreInstanceId(instance.0), DefinedFunc(func))),
    };
    let imported = ResourceDefinition {
        info: Resource::Imported {
            path: vec!["host".into(), "stream".into()],
        },
        destructor: None,
    };
    let ty = FuncType {
        params: vec![],
        result: None,
        is_async: false,
    };
    let export = |id: u32, post_return: bool| Export {
        path: vec![format!("f{id}")],
        item: ExportItem::Function {
            id: ExportId(id),
            ty: ty.clone(),
            post_return,
        },
    };
    let options = |instance| CanonicalOptions {
        instance,
        encoding: StringEncoding::Utf8,
        memory: None,
        realloc: None,
        post_return: None,
        waiting: crate::program::Waiting::Blocks,
    };
    let handle = signature(&[I32], &[I32]);
    let trampolines = vec![
        (
            TrampolineKind::ResourceNew {
                resource: ROOTS,
                instance: PARENT,
            },
            handle.clone(),
        ),
        (
            TrampolineKind::ResourceRep {
                resource: ROOTS,
                instance: PARENT,
            },
            handle,
        ),
        (drop_of(ROOTS, PARENT), signature(&[I32], &[])),
        (drop_of(CHILDS, PARENT), signature(&[I32], &[])),
        (drop_of(PLAIN, PARENT), signature(&[I32], &[])),
        (drop_of(IMPORTED, PARENT), signature(&[I32], &[])),
        (
            TrampolineKind::Adapter {
                lift: LiftedFunction {
                    func: CoreFunc::Module(CoreInstanceId(1), DefinedFunc(2)),
                    signature: signature(&[], &[]),
                    ty: Arc::new(ty.clone()),
                    options: options(CHILD),
                    name: "run".into(),
                },
                ty: Arc::new(ty.clone()),
                options: options(PARENT),
            },
            signature(&[], &[]),
        ),
    ];
    Program {
        resources: vec![
            imported,
            defined(PARENT, Some(0)),
            defined(CHILD, Some(0)),
            defined(CHILD, None),
        ]
        .into(),
        core_imports: [signature(&all, &[I32, V128]), signature(&[], &[])]
            .map(|signature| CoreImport {
                signature,
                ..CoreImport::default()
            })
            .into(),
        exports: vec![export(0, false), export(1, true)],
        trampolines: trampolines
            .into_iter()
            .map(|(kind, signature)| Trampoline { kind, signature })
            .collect(),
        modules: vec![module(), module()].into(),
        core_instances: vec![core_instance(0), core_instance(1)].into(),
        component_instances: vec![
            ComponentInstance {
                name: "root".into(),
            },
            ComponentInstance {
                name: "child".into(),
            },
        ]
        .into(),
        ..Program::default()
    }
}

fn drop_of(resource: ResourceId, instance: ComponentInstanceId) -> TrampolineKind {
    TrampolineKind::ResourceDrop { resource, instance }
}

/// The layout of [`program`]: two slabs.
pub(crate) fn layout() -> Layout {
    let unit = |number: u32| UnitBinding {
        module: ModuleId(number),
        slab: SlabId(number),
        functions: vec![],
        memories: vec![],
        tables: vec![],
        globals: vec![],
        tags: vec![],
        signatures: vec![],
        data_segments: vec![],
        element_segments: vec![],
    };
    Layout {
        slabs: vec![SlabLayout::default(), SlabLayout::default()].into(),
        root: RootLayout {
            instances: 2,
            core_imports: 2,
            ..RootLayout::default()
        },
        units: vec![unit(0), unit(1)].into(),
        reentrance: Reentrance::of(&program()),
        ..Layout::default()
    }
}

/// Runs `test` with a session over [`program`] for each level of optimisation.
pub(crate) fn with_session(test: impl Fn(&Session<'_>)) {
    let (program, layout) = (program(), layout());
    for level in [OptLevel::None, OptLevel::Speed] {
        let options = CompileOptions {
            opt_level: level,
            ..CompileOptions::default()
        };
        test(&Session::new(&program, &layout, &options).unwrap());
    }
}

/// Verifies and compiles a function.
pub(crate) fn compile(session: &Session<'_>, func: &ir::Function) -> CompiledCode {
    if let Err(errors) = verify_function(func, &*session.isa) {
        panic!("{errors}\n{func}");
    }
    let mut context = Context::for_function(func.clone());
    let mut control = Default::default();
    if let Err(error) = context.compile(&*session.isa, &mut control) {
        panic!("{error:?}\n{func}");
    }
    context.take_compiled_code().unwrap()
}
