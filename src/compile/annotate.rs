//! Lines of CLIF and machine code with where in the component they come from, for `trampette
//! explore`.

use crate::codegen::Session;
use crate::inline::Body;
use crate::inline::positions::Positions;
use crate::program::compiled::{AnnotatedLine, Form, Relocation};
use crate::program::symbols::symbol;
use anyhow::{Result, anyhow};
use cranelift_codegen::CompiledCode;
use cranelift_codegen::ir::SourceLoc;
use std::collections::BTreeMap;
use trampette_artifact::key::SymbolKey;

/// The CLIF of a body: Cranelift writes an instruction's location before it, as `@` and a number.
pub(super) fn clif(body: &Body) -> Vec<AnnotatedLine> {
    let text = body.func.display().to_string();
    let line = |line: &str| {
        let location = line.trim_start().strip_prefix('@');
        let location = location.and_then(|rest| {
            let (digits, rest) = rest.split_once(char::is_whitespace)?;
            Some((u32::from_str_radix(digits, 16).ok()?, rest))
        });
        let (location, text) = match location {
            Some((bits, rest)) => (SourceLoc::new(bits), format!("    {}", rest.trim_start())),
            None => (SourceLoc::default(), line.to_string()),
        };
        annotated(Form::Clif, &body.positions, location, text)
    };
    text.lines().map(line).collect()
}

fn annotated(form: Form, positions: &Positions, at: SourceLoc, text: String) -> AnnotatedLine {
    let position = positions.decode(at);
    AnnotatedLine {
        form,
        source: position.source,
        inlined: positions.callees(position),
        text,
    }
}

/// The machine code, disassembled.
///
/// # Errors
/// If there is no disassembler for the target.
pub(super) fn machine_code(
    session: &Session<'_>,
    positions: &Positions,
    relocations: &[Relocation],
    compiled: &CompiledCode,
) -> Result<Vec<AnnotatedLine>> {
    let capstone = session.isa.to_capstone();
    let capstone = capstone.map_err(|error| anyhow!("no disassembler: {error}"))?;
    let code = compiled.buffer.data();
    let instructions = capstone.disasm_all(code, 0);
    let instructions = instructions.map_err(|error| anyhow!("cannot disassemble: {error}"))?;
    let ranges = compiled.buffer.get_srclocs_sorted();
    let names = relocations.iter().map(|relocation| {
        let name = match relocation.target {
            SymbolKey::Func(key) => symbol(session.program, key),
            SymbolKey::Data(key) => key.to_string(),
        };
        (relocation.offset, name)
    });
    let names: BTreeMap<u32, String> = names.collect();
    let mut lines = Vec::with_capacity(instructions.len());
    for instruction in instructions.iter() {
        let start = instruction.address() as u32;
        let end = start + instruction.len() as u32;
        let after = ranges.partition_point(|range| range.end <= start);
        let range = ranges.get(after).filter(|range| range.start <= start);
        let location = range.map_or_else(SourceLoc::default, |range| range.loc);
        let mut text = format!(
            "{start:5x}  {} {}",
            instruction.mnemonic().unwrap_or_default(),
            instruction.op_str().unwrap_or_default()
        );
        for (_, name) in names.range(start..end) {
            text.push_str("    ; ");
            text.push_str(name);
        }
        lines.push(annotated(Form::MachineCode, positions, location, text));
    }
    Ok(lines)
}
