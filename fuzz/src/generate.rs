//! Random core modules: what wasm-smith makes under a random configuration, made to end and given
//! names that the harness knows.
//!
//! Exports are renamed to `e` and their number. The global that holds how long the module may still
//! run is exported as [`FUEL`].

use crate::random::Random;
use anyhow::{Context, Result};
use wasm_encoder::reencode::{Reencode, RoundtripReencoder};
use wasm_encoder::{ExportKind, ExportSection, ImportSection, RawSection};
use wasm_smith::{Config, MemoryOffsetChoices};
use wasmparser::{Parser, Payload};

/// The export that holds how many more function entries, loop iterations and bytes of bulk
/// operations the module may execute.
pub const FUEL: &str = "fuel";
/// Bytes that a memory may have, including those it grows by.
pub const MEMORY_LIMIT: usize = 4 << 20;
/// Entries that a table may have.
pub const TABLE_LIMIT: usize = 5_000;

/// What a module may contain beyond the first version of WebAssembly.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Profile {
    First,
    Vectors,
    Second,
    Everything,
}

/// A random configuration.
pub fn config(random: &mut Random) -> Config {
    use Profile as P;
    let profile = random.pick(&[
        P::First,
        P::Vectors,
        P::Second,
        P::Everything,
        P::Everything,
    ]);
    let vectors = matches!(profile, P::Vectors | P::Everything) && random.percent(80);
    let second = !matches!(profile, P::First);
    let third = |random: &mut Random| profile == P::Everything && random.percent(60);
    let base = Config {
        acquire_release_atomics_enabled: false,
        bulk_memory_enabled: second,
        compact_imports_enabled: false,
        custom_page_sizes_enabled: third(random),
        exceptions_enabled: third(random),
        extended_const_enabled: third(random),
        gc_enabled: false,
        memory64_enabled: third(random),
        multi_value_enabled: second && random.percent(70),
        reference_types_enabled: second,
        relaxed_simd_enabled: vectors,
        saturating_float_to_int_enabled: second,
        sign_extension_ops_enabled: second,
        simd_enabled: vectors,
        tail_call_enabled: third(random),
        threads_enabled: false,
        wide_arithmetic_enabled: third(random),
        ..Config::default()
    };
    let multiple_memories = third(random);
    let large = random.percent(10);
    Config {
        allow_floats: random.percent(85),
        allow_start_export: random.percent(20),
        disallow_traps: random.percent(65),
        export_everything: true,
        generate_custom_sections: false,
        max_data_segments: 6,
        max_element_segments: 6,
        max_elements: 12,
        max_funcs: random.pick(&[16, 20, 30]),
        max_globals: 10,
        max_imports: random.pick(&[0, 3, 8]),
        max_instructions: match large {
            true => 2000,
            false => random.pick(&[40, 100, 300]),
        },
        max_memories: if multiple_memories { 3 } else { 1 },
        max_memory32_bytes: 1 << 20,
        max_memory64_bytes: 1 << 20,
        max_table_elements: 200,
        max_tables: if base.reference_types_enabled { 3 } else { 1 },
        max_tags: 4,
        max_type_size: 1_000,
        max_types: random.pick(&[4, 12]),
        memory_max_size_required: random.percent(50),
        memory_offset_choices: random.pick(&[
            MemoryOffsetChoices(1, 0, 0),
            MemoryOffsetChoices(90, 9, 1),
            MemoryOffsetChoices(40, 40, 20),
        ]),
        min_funcs: random.pick(&[2, 8, 16]),
        min_globals: 1,
        min_memories: u32::from(random.percent(80)),
        min_tables: u32::from(random.percent(60)),
        table_max_size_required: random.percent(50),
        ..base
    }
}

/// The names of a module's imports.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ImportNames {
    /// As the generator made them.
    Kept,
    /// `h` and their number, so that no two are the same.
    Numbered,
}

/// A random module under a configuration.
///
/// # Errors
/// If the generator gives up, or its module is invalid.
pub fn module(config: Config, names: ImportNames, random: &mut Random) -> Result<Vec<u8>> {
    // It gives up often; other random numbers may do.
    for _ in 0..4 {
        if let Ok(module) = try_module(config.clone(), names, random) {
            return Ok(module);
        }
    }
    try_module(config, names, random)
}

fn try_module(config: Config, names: ImportNames, random: &mut Random) -> Result<Vec<u8>> {
    let length = random.pick(&[1_000, 4_000, 16_000]) + config.max_instructions * 8;
    let bytes = random.bytes(length);
    let mut input = arbitrary::Unstructured::new(&bytes);
    let mut module = wasm_smith::Module::new(config, &mut input)?;
    let fuel = random.pick(&[100, 1_000, 10_000]);
    let fuel_global = module.ensure_termination(fuel)?;
    rename(&module.to_bytes(), names, fuel_global)
}

fn rename(wasm: &[u8], names: ImportNames, fuel_global: u32) -> Result<Vec<u8>> {
    let mut module = wasm_encoder::Module::new();
    let mut encoder = RoundtripReencoder;
    let mut fuel_exported = false;
    for payload in Parser::new(0).parse_all(wasm) {
        match payload? {
            Payload::ImportSection(imports) => {
                let mut section = ImportSection::new();
                for (index, import) in imports.into_imports().enumerate() {
                    let import = import?;
                    let ty = encoder.entity_type(import.ty)?;
                    match names {
                        ImportNames::Kept => section.import(import.module, import.name, ty),
                        ImportNames::Numbered => section.import("h", &index.to_string(), ty),
                    };
                }
                module.section(&section);
            }
            Payload::ExportSection(exports) => {
                let mut section = ExportSection::new();
                for (index, export) in exports.into_iter().enumerate() {
                    let export = export?;
                    let kind = encoder.export_kind(export.kind)?;
                    section.export(&format!("e{index}"), kind, export.index);
                }
                section.export(FUEL, ExportKind::Global, fuel_global);
                module.section(&section);
                fuel_exported = true;
            }
            payload => {
                if let Some((id, range)) = payload.as_section() {
                    let range = range.start as usize..range.end as usize;
                    let data = &wasm[range];
                    module.section(&RawSection { id, data });
                }
            }
        }
    }
    fuel_exported
        .then(|| module.finish())
        .context("the module exports nothing")
}
