//! Proves what can be proved of an artifact, from its bytes alone. Nothing of it is run.
//!
//! The linker checks what it writes as it writes it; here the result is read again, by other code,
//! in the spirit of a register allocator's checker. The loader's own checks come first
//! ([`Component::check`]); what it takes on trust from the checksums is proved after it:
//!
//! | file | subject |
//! | --- | --- |
//! | `image` | sections and segments: where they are, what may be done with them |
//! | `functions` | the function table, symbols, and that all that metadata names has code |
//! | `decode` | instructions, as far as they matter here |
//! | `code` | calls, jumps and addresses in `.text`, and where its instructions start |
//! | `unwind` | descriptions of frames |
//! | `tables` | sites, entries, handlers, inlined calls, function ids |
//!
//! What is *not* proved: that code does what the component says, so that an artifact of unknown
//! origin is no safer to run than before; and the contents of sealed tables, whose places only code
//! knows. Offsets in errors count from the start of the file, unless they
//! are called offsets in `.text`.

mod code;
mod decode;
mod functions;
mod image;
mod tables;
mod unwind;

use anyhow::{Context, Result, ensure};
use functions::Functions;
use image::Image;
use std::fmt;
use trampette_artifact::header::section;
use trampette_artifact::metadata::Metadata;
use trampette_artifact::types::Type;
use trampette_artifact::world::{ImportedKind, Imports};
use trampette_runtime::Component;

/// What was found consistent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Summary {
    /// Compiled functions of all kinds.
    pub functions: usize,
    /// Places where traps resume: one an entry.
    pub entries: usize,
    /// Places in code that a trap or a backtrace can name.
    pub sites: usize,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Summary {
            functions,
            entries,
            sites,
        } = self;
        write!(
            f,
            "{functions} functions, {entries} entries, {sites} sites: consistent"
        )
    }
}

/// Verifies the bytes of an artifact.
///
/// # Errors
/// At the first thing that is not as the compiler writes it: the message names it and its offset.
/// Also if this machine could not load the artifact, which another version compiled or which is for
/// another processor.
pub fn verify(bytes: &[u8]) -> Result<Summary> {
    Component::check(bytes)?;
    let image = Image::read(bytes)?;
    let metadata = Metadata::decode(image.contents(section::METADATA)?)?;
    check_world(&image, &metadata)?;
    image.check_extents(&metadata)?;
    let text = image.text()?;
    let functions = Functions::read(&image, &text)?;
    functions.check_symbols(&image, &text, &metadata)?;
    functions.check_metadata(&metadata)?;
    unwind::check(&image, &text, &functions)?;
    let tables = tables::Tables::read(&image)?;
    tables.check_order(&functions)?;
    tables::check_function_ids(&image, &text, &functions, &metadata)?;
    let decoder = decode::decoder()?;
    for function in functions.all() {
        let context = || {
            format!(
                "`{}` at {:#x}",
                function.key,
                text.file_offset(function.start)
            )
        };
        let code = code::read(&text, function, &decoder).with_context(context)?;
        code.check_targets(&image, &text, &functions)
            .with_context(context)?;
        let rows = tables.check_function(&functions, function, &code);
        rows.with_context(context)?;
    }
    Ok(Summary {
        functions: functions.all().len(),
        entries: tables.entries.len(),
        sites: tables.sites.len(),
    })
}

/// The names of imports are of what is imported.
fn check_world(image: &Image<'_>, metadata: &Metadata) -> Result<()> {
    let Some(place) = image.find(section::WORLD) else {
        return Ok(());
    };
    let imports = Imports::decode(image.contents(section::WORLD)?)?;
    let mut depth = 0;
    for item in &imports.items {
        let known = match item.kind {
            ImportedKind::Instance | ImportedKind::Type(_) => true,
            ImportedKind::Func(id) => metadata.imports.get(id).is_some(),
            ImportedKind::Resource(id) => metadata.resources.get(id).is_some(),
        };
        let known_type = match item.kind {
            ImportedKind::Type(Type::Defined(id)) => metadata.types.get(id).is_some(),
            _ => true,
        };
        ensure!(
            known && known_type && item.depth <= depth,
            "{} at {:#x}: `{}` is nothing that is imported",
            section::WORLD,
            place.start,
            item.name
        );
        depth = item.depth + u32::from(item.kind == ImportedKind::Instance);
    }
    Ok(())
}
