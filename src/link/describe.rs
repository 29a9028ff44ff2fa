//! The metadata section: what the runtime, tools and backtraces know of a component.

use super::images::Images;
use crate::codegen::Session;
use crate::component::layout::{GlobalPlace, Layout};
use crate::component::program::Program;
use crate::modules::module::{CoreType, Module, RefKind};
use trampette_artifact::ids::SlabId;
use trampette_artifact::layout::ContextOffset;
use trampette_artifact::metadata::{self, Metadata, ModuleCounts, StaticModule};

/// Kept custom sections of all modules, one after the other.
#[derive(Default)]
pub struct CustomSections {
    /// The contents of `.trampette.custom`.
    pub bytes: Vec<u8>,
    /// By module: name, offset, length.
    pub by_module: Vec<Vec<(String, u64, u64)>>,
}

/// Gathers the custom sections that the runtime can use: DWARF.
pub fn custom_sections(program: &Program<'_>) -> CustomSections {
    let mut all = CustomSections::default();
    for module in &program.modules {
        let mut kept = Vec::new();
        for (name, contents) in &module.custom_sections {
            if name.starts_with(".debug_") {
                kept.push((
                    name.to_string(),
                    all.bytes.len() as u64,
                    contents.len() as u64,
                ));
                all.bytes.extend_from_slice(contents);
            }
        }
        all.by_module.push(kept);
    }
    all
}

/// Describes a component whose image section is at `image_address`.
pub fn metadata(
    session: &Session<'_>,
    images: &Images,
    image_address: u64,
    custom: &CustomSections,
) -> Metadata {
    let (program, layout) = (session.program, session.layout);
    let slabs = layout
        .slabs
        .iter()
        .zip(&images.extents)
        .map(|(slab, extents)| metadata::Slab {
            context_size: slab.context_size,
            memory: slab.memory,
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
        startup_steps: u32::from(!layout.startup.is_empty()),
        function_table_length: layout.function_table_length(),
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

fn static_module(module: &Module<'_>, custom_sections: Vec<(String, u64, u64)>) -> StaticModule {
    let count = |length: usize| length as u32; // the validator's limits are far below
    StaticModule {
        name: module.name.clone(),
        range: (module.range.start as u64, module.range.end as u64),
        imported_functions: module.imported_functions,
        defined_functions: count(module.bodies.len()),
        function_names: module.function_names.clone(),
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
        custom_sections,
        code_section_start: module.code_section_start as u64,
    }
}
