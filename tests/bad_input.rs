//! Bad input that no file can say: components and artifacts that are cut off or damaged. Every one
//! gives an error; nothing panics, nothing crashes. What the command line says of bad input is in
//! `tests/cli`.

#[path = "support/suites.rs"]
mod suites;

use anyhow::Result;
use object::{Object, ObjectSection};
use std::path::Path;
use trampette::CompileOptions;
use trampette_artifact::header::{Identification, section};
use trampette_runtime::{Component, Linker, Store};

fn greeter() -> Vec<u8> {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    wat::parse_file(examples.join("greeter.wat")).unwrap()
}

fn artifact() -> Vec<u8> {
    let wasm = greeter();
    trampette::compile_component(&wasm, &CompileOptions::default())
        .unwrap()
        .into_bytes()
}

#[test]
fn truncated_components_give_errors() {
    let mut components = vec![("greeter", greeter())];
    if let Some(corpus) = suites::folder("corpus") {
        let hello = std::fs::read(corpus.join("hello.wasm")).unwrap();
        components.push(("hello", hello));
    }
    for (name, wasm) in components {
        for fiftieth in 0..50 {
            let cut = &wasm[..wasm.len() * fiftieth / 50];
            let result = trampette::compile_component(cut, &CompileOptions::default());
            let error = result
                .err()
                .unwrap_or_else(|| panic!("{name} cut to {} bytes compiles", cut.len()));
            let text = format!("{error:#}");
            assert!(
                !text.contains("panicked"),
                "{name} cut to {} bytes: {text}",
                cut.len()
            );
        }
    }
}

/// The sections of an artifact that have contents: name and range.
fn sections(artifact: &[u8]) -> Vec<(String, std::ops::Range<usize>)> {
    let file = object::File::parse(artifact).unwrap();
    let ranges = file.sections().filter_map(|section| {
        let (offset, size) = section.file_range()?;
        Some((
            section.name().ok()?.to_string(),
            offset as usize..(offset + size) as usize,
        ))
    });
    ranges.collect()
}

#[test]
fn an_artifact_of_another_version_is_refused() {
    let mut bytes = artifact();
    let (_, range) = sections(&bytes)
        .into_iter()
        .find(|(name, _)| name == section::ID)
        .unwrap();
    let mut id = Identification::decode(&bytes[range.clone()]).unwrap();
    id.format_version += 1;
    let other = id.encode().unwrap();
    assert_eq!(other.len(), range.len());
    bytes[range].copy_from_slice(&other);
    let error = Component::check(&bytes).expect_err("another version is refused");
    assert!(format!("{error:#}").contains("version"), "{error:#}");
}

#[test]
fn truncated_artifacts_are_refused() {
    let bytes = artifact();
    for fiftieth in 0..50 {
        let cut = &bytes[..bytes.len() * fiftieth / 50];
        assert!(
            Component::check(cut).is_err(),
            "{} of {} bytes load",
            cut.len(),
            bytes.len()
        );
    }
}

/// Flips one byte at a time. Whatever has a checksum must be refused; in the rest (headers and
/// symbols) a flip may also do no harm, but never more than that.
#[test]
fn damaged_artifacts_are_refused() -> Result<()> {
    let bytes = artifact();
    let checked = |name: &str| {
        name.starts_with(".trampette") || name.starts_with(".rodata") || name == ".text"
    };
    let (mut tried, mut flipped) = (0, bytes.clone());
    for (name, range) in sections(&bytes) {
        // All of the small sections, and a spread over the large ones.
        let step = (range.len() / 400).max(1);
        for at in range.step_by(step) {
            flipped[at] ^= 1 << (at % 8);
            let loaded = Component::check(&flipped);
            if checked(&name) {
                assert!(
                    loaded.is_err(),
                    "byte {at:#x} in {name} was flipped, and it loads"
                );
            } else if loaded.is_ok() {
                // SAFETY: of what is run, or decides what is, nothing was changed.
                let component = unsafe { Component::from_bytes(&flipped) }?;
                let _ = Linker::<()>::new().instantiate(&mut Store::new(()), &component);
            }
            flipped[at] = bytes[at];
            tried += 1;
        }
    }
    for at in 0..1024.min(bytes.len()) {
        flipped[at] ^= 1 << (at % 8);
        let _ = Component::check(&flipped);
        flipped[at] = bytes[at];
        tried += 1;
    }
    assert!(tried >= 1000, "only {tried} places");
    Ok(())
}
