//! `.eh_frame` and `.eh_frame_hdr`: how debuggers, profilers and unwinders walk through our frames.

use super::text::Text;
use crate::codegen::Session;
use crate::program::compiled::CompiledFunctions;
use anyhow::{Context, Result, bail, ensure};
use cranelift_codegen::isa::unwind::UnwindInfo;
use gimli::constants::{DW_EH_PE_pcrel, DW_EH_PE_sdata4};
use gimli::write::{Address, EhFrame, EndianVec, FrameTable};
use gimli::{DwEhPe, LittleEndian};

/// The two sections' bytes.
pub(crate) struct Unwind {
    /// `.eh_frame`.
    pub frame: Vec<u8>,
    /// `.eh_frame_hdr`, to be placed right behind, aligned to 8.
    pub header: Vec<u8>,
}

/// Builds both for functions at their places.
///
/// # Errors
/// If the target has no System V unwind information, or an address is out of reach.
pub(crate) fn build(
    session: &Session<'_>,
    functions: &CompiledFunctions,
    text: &Text,
    text_address: u64,
    frame_address: u64,
) -> Result<Unwind> {
    let mut table = FrameTable::default();
    let mut cie = session
        .isa
        .create_systemv_cie()
        .context("the target has no unwind format")?;
    cie.fde_address_encoding = DwEhPe(DW_EH_PE_pcrel.0 | DW_EH_PE_sdata4.0);
    let cie = table.add_cie(cie);
    for (function, at) in functions.values().zip(&text.functions) {
        let Some(UnwindInfo::SystemV(info)) = &function.unwind else {
            continue;
        };
        // The writer subtracts the place within the section; the section's own address is ours to
        // subtract, which makes the value relative to the place in memory.
        let address = text_address + u64::from(at.start);
        table.add_fde(
            cie,
            info.to_fde(Address::Constant(address.wrapping_sub(frame_address))),
        );
    }
    let mut frame = EhFrame(EndianVec::new(LittleEndian));
    table
        .write_eh_frame(&mut frame)
        .context("cannot write .eh_frame")?;
    let mut frame = frame.0.into_vec();
    frame.extend([0; 4]); // the terminator
    let header_address = frame_address + (frame.len() as u64).next_multiple_of(8);
    let header = header(&frame, frame_address, header_address)?;
    Ok(Unwind { frame, header })
}

/// The binary search table: encodings, then `(function, entry)` pairs relative to the header,
/// sorted.
fn header(frame: &[u8], frame_address: u64, header_address: u64) -> Result<Vec<u8>> {
    let word = |at: usize| -> Result<i32> {
        let bytes = frame.get(at..at + 4).context("a truncated .eh_frame")?;
        Ok(i32::from_le_bytes(bytes.try_into().expect("4 bytes")))
    };
    let relative = |address: u64, to: u64| {
        i32::try_from(address.wrapping_sub(to) as i64).context("unwind information is too far away")
    };
    let mut pairs = Vec::new();
    let mut at = 0;
    loop {
        let length = word(at)?;
        if length == 0 {
            break;
        }
        ensure!(length > 0, "an entry of .eh_frame is too long");
        let is_fde = word(at + 4)? != 0;
        if is_fde {
            let place = frame_address + at as u64 + 8;
            let function = place.wrapping_add_signed(i64::from(word(at + 8)?));
            pairs.push((
                relative(function, header_address)?,
                relative(frame_address + at as u64, header_address)?,
            ));
        }
        at += 4 + length as usize;
        if at > frame.len() {
            bail!("an entry of .eh_frame reaches beyond it");
        }
    }
    pairs.sort_unstable();
    // Version 1; the frame's address pcrel sdata4, the count udata4, the pairs datarel sdata4.
    let mut header = vec![1, 0x1b, 0x03, 0x3b];
    header.extend(relative(frame_address, header_address + 4)?.to_le_bytes());
    header.extend((pairs.len() as u32).to_le_bytes());
    for (function, entry) in pairs {
        header.extend(function.to_le_bytes());
        header.extend(entry.to_le_bytes());
    }
    Ok(header)
}
