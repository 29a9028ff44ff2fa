//! The metadata section: what the runtime, tools and backtraces know of a component.

use super::images::Images;
use crate::codegen::Session;
use crate::layout::{GlobalPlace, Layout};
use crate::options::GuestDebugInfo;
use crate::program::module::{CoreSignature, CoreType, Module, RefKind};
use crate::program::{
    CoreExport, CoreFunc, CoreImport, CoreItem, EndCopy, Instantiation, Program, TaskCaller,
    TrampolineKind, Waiting, flatten, unit_of,
};
use trampette_artifact::canonical::{PointerWidth, SizeAlign};
use trampette_artifact::dwarf;
use trampette_artifact::ids::{SlabId, TrampolineId};
use trampette_artifact::layout::ContextOffset;
use trampette_artifact::metadata::{
    self, CoreExportItem, CoreFuncType, CoreGlobalPlace, CoreInterface, CoreValueType, Metadata,
    ModuleCounts, StaticModule,
};
use trampette_artifact::names;
use trampette_artifact::tasks::{
    Concurrency, CopyEntry, ElementLayout, HostCallEntry, LiftKind, TaskEntry,
};
use trampette_artifact::types::DefinedType;

/// Kept custom sections and function names of all modules, one after the other.
#[derive(Default)]
pub(crate) struct CustomSections {
    /// The contents of `.trampette.custom`.
    pub bytes: Vec<u8>,
    /// Where those of each module are.
    pub by_module: Vec<ModuleSections>,
}

/// Where the kept custom sections of a module are.
#[derive(Clone, Default)]
pub(crate) struct ModuleSections {
    /// Name, offset, length.
    pub sections: Vec<(String, u64, u64)>,
    /// Offset and length of the table of function names.
    pub function_names: (u64, u64),
}

impl CustomSections {
    /// Adds bytes; their offset and length.
    fn push(&mut self, bytes: &[u8]) -> (u64, u64) {
        let offset = self.bytes.len() as u64;
        self.bytes.extend_from_slice(bytes);
        (offset, bytes.len() as u64)
    }
}

/// Gathers what the runtime can use when it explains a trap: DWARF and function names.
pub(crate) fn custom_sections(program: &Program<'_>, debug_info: GuestDebugInfo) -> CustomSections {
    let mut all = CustomSections::default();
    for module in &program.modules {
        let mut kept = ModuleSections::default();
        for (name, contents) in &module.custom_sections {
            if debug_info == GuestDebugInfo::Keep && dwarf::is_kept(name) {
                let (offset, length) = all.push(contents);
                kept.sections.push((name.to_string(), offset, length));
            }
        }
        kept.function_names = all.push(&names::encode(&module.function_names));
        all.by_module.push(kept);
    }
    all
}

/// Describes a component whose image section is at `image_address`.
pub(crate) fn metadata(
    session: &Session<'_>,
    images: &Images,
    image_address: u64,
    custom: &CustomSections,
) -> Metadata {
    let (program, layout) = (session.program, session.layout);
    let slabs = layout.slabs.iter_with_ids().zip(&images.extents);
    let slabs = slabs.map(|((id, slab), extents)| metadata::Slab {
        context_size: slab.context_size,
        memory: slab.memory,
        written: layout.is_written(id),
        extents: extents
            .iter()
            .map(|extent| metadata::Extent {
                file_offset: image_address + extent.file_offset,
                ..*extent
            })
            .collect(),
    });
    let modules = program
        .modules
        .iter()
        .zip(&custom.by_module)
        .map(|(module, custom)| static_module(module, custom.clone()));
    let units = layout.units.iter().map(|unit| metadata::Unit {
        module: unit.module,
        slab: unit.slab,
    });
    Metadata {
        types: program.types.clone(),
        resources: program
            .resources
            .iter()
            .map(|resource| resource.info.clone())
            .collect(),
        resource_bounds: program.resource_bounds.clone(),
        imports: program.imports.clone(),
        exports: program.exports.clone(),
        slabs: slabs.collect(),
        root: layout.root,
        memories: layout.memories.clone(),
        tables: layout.tables.clone(),
        exception_globals: exception_globals(layout),
        data_segments: layout
            .data_segments
            .iter()
            .map(|bytes| bytes.len() as u64)
            .collect(),
        element_segments: layout
            .element_segments
            .iter()
            .map(|ids| ids.len() as u64)
            .collect(),
        modules: modules.collect(),
        units: units.collect(),
        startup_steps: startup_steps(program, layout),
        function_table_length: layout.function_table_length(),
        concurrency: concurrency(program, layout),
        core: core_interface(program, layout),
    }
}

/// What the runtime must know of tasks, streams and futures.
fn concurrency(program: &Program<'_>, layout: &Layout) -> Concurrency {
    let task = |id| {
        let (lift, caller) = program.task(id)?;
        let options = &lift.options;
        let class = flatten::return_class(&program.types, lift.ty.result, options);
        let goes_on = caller.filter(|options| options.waiting.is_async());
        let lowered = goes_on.map(|options| {
            flatten::lowered_params(&program.types, &lift.ty, options.width(), options.waiting)
        });
        Some(TaskEntry {
            instance: options.instance,
            caller: caller.map(|options| options.instance),
            export: match program.tasks[id] {
                TaskCaller::Export(id) => Some(id),
                TaskCaller::Adapter(_) => None,
            },
            lift: lift.ty.is_async.then_some(match options.waiting {
                Waiting::Blocks => LiftKind::Synchronous,
                Waiting::Async => LiftKind::Stackful,
                Waiting::Callback(_) => LiftKind::Callback,
            }),
            shape: layout.effects.shape(&program.types, lift),
            async_params: lowered.map_or(0, |params| params.len() as u32),
            return_class: program.return_classes.get_index_of(&class)? as u32,
            name: lift.name.clone(),
        })
    };
    let copy = |copy: &EndCopy| CopyEntry {
        instance: copy.options.instance,
        ty: copy.ty,
        end: copy.end,
        is_async: copy.options.waiting.is_async(),
        memory: copy.options.memory.map(|(id, _)| id),
        element: element(program, copy),
    };
    let host_call = |id: &TrampolineId| match &program.trampolines[*id].kind {
        TrampolineKind::LowerImport {
            import,
            ty,
            options,
        } => Some(HostCallEntry {
            instance: options.instance,
            import: *import,
            lowers_later: flatten::lowers_later(ty, options),
        }),
        _ => None,
    };
    Concurrency {
        host_calls: layout.host_calls.iter().filter_map(host_call).collect(),
        tasks: program.tasks.ids().filter_map(task).collect(),
        copies: program.copies.iter().map(copy).collect(),
        pairs: layout.copy_pairs.clone(),
    }
}

/// How the elements of a read or write lie in memory.
fn element(program: &Program<'_>, copy: &EndCopy) -> Option<ElementLayout> {
    let payload = match program.types.get(copy.ty) {
        Some(DefinedType::Stream(payload) | DefinedType::Future(payload)) => (*payload)?,
        _ => return None,
    };
    let facts = program.types.facts(payload);
    let width = copy
        .options
        .memory
        .map_or(PointerWidth::P32, |(_, width)| width);
    let SizeAlign { size, align } = facts.size_align(width);
    Some(ElementLayout {
        size,
        align,
        is_bitwise: facts.bitwise,
    })
}

fn startup_steps(program: &Program<'_>, layout: &Layout) -> u32 {
    match program.instantiation {
        Instantiation::AtOnce => u32::from(layout.startup.iter().any(|step| !step.is_empty())),
        Instantiation::StepByStep => layout.startup.len() as u32, // one a core instance
    }
}

fn core_interface(program: &Program<'_>, layout: &Layout) -> Option<CoreInterface> {
    if program.instantiation == Instantiation::AtOnce {
        return None;
    }
    let import = |import: &CoreImport| metadata::CoreImport {
        module: import.module.clone(),
        name: import.name.clone(),
        ty: plain_func_type(&import.signature),
        memory: import.memory,
    };
    let export = |export: &CoreExport| {
        Some(metadata::CoreExport {
            unit: unit_of(export.instance),
            name: export.name.clone(),
            item: core_item(program, layout, export.item)?,
        })
    };
    let mut memories = Vec::new();
    let mut globals = Vec::new();
    for supply in &program.core_supplies {
        let (module, name) = (supply.module.clone(), supply.name.clone());
        match (supply.item, core_item(program, layout, supply.item)?) {
            (CoreItem::Memory(memory), _) => memories.push(metadata::CoreMemoryImport {
                module,
                name,
                memory,
            }),
            (
                _,
                CoreExportItem::Global {
                    place: CoreGlobalPlace::Context { slab, offset },
                    ty,
                    mutable,
                },
            ) => globals.push(metadata::CoreGlobalImport {
                module,
                name,
                slab,
                offset,
                ty,
                mutable,
            }),
            _ => {}
        }
    }
    Some(CoreInterface {
        imports: program.core_imports.iter().map(import).collect(),
        memories,
        globals,
        exports: program.core_exports.iter().filter_map(export).collect(),
    })
}

fn core_item(program: &Program<'_>, layout: &Layout, item: CoreItem) -> Option<CoreExportItem> {
    Some(match item {
        CoreItem::Func(CoreFunc::Module(instance, func)) => {
            let module = program.module_of(instance)?;
            let ty = module.functions[(module.index_of(func)) as usize];
            CoreExportItem::Func {
                unit: unit_of(instance),
                func,
                ty: func_type(module, ty),
            }
        }
        CoreItem::Func(CoreFunc::Host(import)) => CoreExportItem::HostFunc(import),
        CoreItem::Func(CoreFunc::Trampoline(_) | CoreFunc::Intrinsic(_)) => return None,
        CoreItem::Memory(id) => CoreExportItem::Memory(id),
        CoreItem::Table(id) => CoreExportItem::Table(id),
        CoreItem::Global(id) => {
            let definition = program.globals[id];
            let module = program.module_of(definition.instance)?;
            let global = &module.globals[(module.imported_globals + definition.index) as usize];
            let place = match layout.globals[id] {
                GlobalPlace::Constant(value) => {
                    let mut bytes = [0; 16];
                    let value = value.to_bytes();
                    bytes[..value.len()].copy_from_slice(&value);
                    CoreGlobalPlace::Constant(bytes)
                }
                GlobalPlace::Context { slab, offset, .. } => CoreGlobalPlace::Context {
                    slab,
                    offset: offset.0,
                },
            };
            CoreExportItem::Global {
                place,
                ty: value_type(global.declared),
                mutable: global.mutable,
            }
        }
        CoreItem::Tag(id) => CoreExportItem::Tag(id),
    })
}

/// A function type of a module.
fn func_type(module: &Module<'_>, ty: u32) -> CoreFuncType {
    let declared = module.recursion_groups.iter().flatten().nth(ty as usize);
    match declared.map(|ty| &ty.composite_type.inner) {
        Some(wasmparser::CompositeInnerType::Func(func)) => CoreFuncType {
            params: func.params().iter().copied().map(value_type).collect(),
            results: func.results().iter().copied().map(value_type).collect(),
        },
        _ => plain_func_type(&module.types[ty as usize]),
    }
}

fn plain_func_type(signature: &CoreSignature) -> CoreFuncType {
    let plain = |ty: &CoreType| match ty {
        CoreType::I32 => CoreValueType::I32,
        CoreType::I64 => CoreValueType::I64,
        CoreType::F32 => CoreValueType::F32,
        CoreType::F64 => CoreValueType::F64,
        CoreType::V128 => CoreValueType::V128,
        CoreType::Ref(RefKind::Func) => CoreValueType::FuncRef,
        CoreType::Ref(RefKind::Extern) => CoreValueType::ExternRef,
        CoreType::Ref(RefKind::Exn) => CoreValueType::ExnRef,
    };
    CoreFuncType {
        params: signature.params.iter().map(plain).collect(),
        results: signature.results.iter().map(plain).collect(),
    }
}

fn value_type(ty: wasmparser::ValType) -> CoreValueType {
    use wasmparser::{AbstractHeapType as A, HeapType, ValType};
    match ty {
        ValType::I32 => CoreValueType::I32,
        ValType::I64 => CoreValueType::I64,
        ValType::F32 => CoreValueType::F32,
        ValType::F64 => CoreValueType::F64,
        ValType::V128 => CoreValueType::V128,
        ValType::Ref(wasmparser::RefType::FUNCREF) => CoreValueType::FuncRef,
        ValType::Ref(reference) => match reference.heap_type() {
            HeapType::Abstract {
                ty: A::Extern | A::NoExtern,
                ..
            } => CoreValueType::ExternRef,
            HeapType::Abstract {
                ty: A::Exn | A::NoExn,
                ..
            } => CoreValueType::ExnRef,
            _ => CoreValueType::TypedFuncRef,
        },
    }
}

/// Where the runtime finds references to exceptions besides tables.
fn exception_globals(layout: &Layout) -> Vec<(SlabId, ContextOffset)> {
    let places = layout.globals.iter().filter_map(|place| match place {
        GlobalPlace::Context {
            slab,
            offset,
            ty: CoreType::Ref(RefKind::Exn),
        } => Some((*slab, *offset)),
        _ => None,
    });
    places.collect()
}

fn static_module(module: &Module<'_>, custom: ModuleSections) -> StaticModule {
    let count = |length: usize| length as u32; // the validator's limits are far below
    StaticModule {
        name: module.name.clone(),
        range: (module.range.start as u64, module.range.end as u64),
        imported_functions: module.imported_functions,
        defined_functions: count(module.bodies.len()),
        function_names: custom.function_names,
        counts: ModuleCounts {
            types: count(module.types.len()),
            memories: count(module.memories.len()),
            tables: count(module.tables.len()),
            globals: count(module.globals.len()),
            tags: count(module.tags.len()),
            exports: count(module.exports.len()),
            data_segments: count(module.data.len()),
            element_segments: count(module.elements.len()),
        },
        custom_sections: custom.sections,
        code_section_start: module.code_section_start as u64,
    }
}
