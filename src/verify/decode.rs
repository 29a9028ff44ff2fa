//! Instructions, as far as they matter for verifying: where they go, and which addresses relative
//! to themselves they name.
//!
//! The disassembler gives text, which is read here and nowhere else.

use crate::CompileOptions;
use crate::codegen;
use anyhow::{Result, anyhow};

/// How many instructions are decoded at once: few, because behind a table of jumps they are decoded
/// again.
const AT_ONCE: usize = 128;

/// An instruction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Instruction {
    /// Where it is in the file.
    pub address: u64,
    /// Where what is behind it is.
    pub end: u64,
    pub kind: Kind,
    /// The address of an operand relative to the instruction's.
    pub relative: Option<u64>,
}

/// Where control goes behind an instruction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// A call, of an address if it is a direct one.
    Call(Option<u64>),
    /// A jump, to an address if it is a direct one.
    Jump(Option<u64>),
    /// A conditional jump.
    Branch(u64),
    /// It returns or traps.
    End,
    /// Puts a constant into a register.
    Constant(u32),
    /// Puts an address into a register.
    Address,
    /// Anything else.
    Other,
}

/// A function that decodes the first instructions of `code`, which is at `address` in the file. It
/// stops at what is none.
///
/// # Errors
/// If the disassembler was built without the target.
pub(super) fn decoder() -> Result<impl Fn(&[u8], u64) -> Result<Vec<Instruction>>> {
    let isa = codegen::isa::isa(&CompileOptions::default())?;
    let mut capstone = isa
        .to_capstone()
        .map_err(|error| anyhow!("no disassembler for the target: {error}"))?;
    // The text is enough.
    let detail = capstone.set_detail(false);
    detail.map_err(|error| anyhow!("the disassembler refuses a setting: {error}"))?;
    Ok(move |code: &[u8], address: u64| {
        let found = capstone
            .disasm_count(code, address, AT_ONCE)
            .map_err(|error| anyhow!("cannot disassemble at {address:#x}: {error}"))?;
        let instructions = found.iter().map(|found| {
            let end = found.address() + found.bytes().len() as u64;
            let (mnemonic, operands) = (found.mnemonic(), found.op_str());
            let operands = operands.unwrap_or_default();
            Instruction {
                address: found.address(),
                end,
                kind: kind(mnemonic.unwrap_or_default(), operands),
                relative: relative(operands, end),
            }
        });
        Ok(instructions.collect())
    })
}

fn kind(mnemonic: &str, operands: &str) -> Kind {
    let target = || number(operands).map(i64::cast_unsigned);
    match mnemonic {
        "call" | "callq" => Kind::Call(target()),
        "jmp" | "jmpq" => Kind::Jump(target()),
        "ret" | "retq" | "ud2" => Kind::End,
        "leaq" => Kind::Address,
        _ if mnemonic.starts_with('j') => target().map_or(Kind::Other, Kind::Branch),
        _ if mnemonic.starts_with("mov") => constant(operands).map_or(Kind::Other, Kind::Constant),
        "xorl" | "xorq" => match operands.split_once(", ") {
            Some((one, other)) if one == other => Kind::Constant(0),
            _ => Kind::Other,
        },
        _ => Kind::Other,
    }
}

/// The constant of `$NUMBER, %register`.
fn constant(operands: &str) -> Option<u32> {
    let (constant, register) = operands.strip_prefix('$')?.split_once(", ")?;
    let constant = register.starts_with('%').then(|| number(constant))??;
    u32::try_from(constant).ok()
}

/// The address of an operand `NUMBER(%rip)`.
fn relative(operands: &str, end: u64) -> Option<u64> {
    let (before, _) = operands.split_once("(%rip)")?;
    let start = before.rfind([' ', ',', '*', ':']).map_or(0, |at| at + 1);
    let displacement = match &before[start..] {
        "" => 0,
        text => number(text)?,
    };
    end.checked_add_signed(displacement)
}

fn number(text: &str) -> Option<i64> {
    let (negative, text) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let magnitude = match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok()?,
        None => text.parse().ok()?,
    };
    let magnitude = magnitude.cast_signed();
    Some(if negative {
        magnitude.wrapping_neg()
    } else {
        magnitude
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(code: &[u8]) -> Vec<(Kind, Option<u64>)> {
        let found = decoder().unwrap()(code, 0x1000).unwrap();
        found.iter().map(|it| (it.kind, it.relative)).collect()
    }

    #[test]
    fn what_matters_is_read_from_the_text() {
        let cases: &[(&[u8], Kind, Option<u64>)] = &[
            (&[0xe8, 0x10, 0, 0, 0], Kind::Call(Some(0x1015)), None),
            (&[0xff, 0xd0], Kind::Call(None), None),
            (&[0xff, 0x15, 8, 0, 0, 0], Kind::Call(None), Some(0x100e)),
            (
                &[0xe9, 0xfb, 0xff, 0xff, 0xff],
                Kind::Jump(Some(0x1000)),
                None,
            ),
            (&[0xeb, 0x02], Kind::Jump(Some(0x1004)), None),
            (&[0xff, 0xe0], Kind::Jump(None), None),
            (&[0x0f, 0x84, 4, 0, 0, 0], Kind::Branch(0x100a), None),
            (&[0xc3], Kind::End, None),
            (&[0x0f, 0x0b], Kind::End, None),
            (&[0xb9, 3, 0, 0, 0], Kind::Constant(3), None),
            (&[0xb9, 0, 1, 0, 0], Kind::Constant(256), None),
            (&[0x31, 0xc0], Kind::Constant(0), None),
            (&[0x31, 0xc8], Kind::Other, None),
            // leaq -16(%rip), %rax; leaq (%rip), %rax; leaq 9(%rax), %rax
            (
                &[0x48, 0x8d, 0x05, 0xf0, 0xff, 0xff, 0xff],
                Kind::Address,
                Some(0xff7),
            ),
            (&[0x48, 0x8d, 0x05, 0, 0, 0, 0], Kind::Address, Some(0x1007)),
            (&[0x48, 0x8d, 0x40, 9], Kind::Address, None),
            // movl 4(%rip), %eax; movl %eax, 4(%rip); int3
            (&[0x8b, 0x05, 4, 0, 0, 0], Kind::Other, Some(0x100a)),
            (&[0x89, 0x05, 4, 0, 0, 0], Kind::Other, Some(0x100a)),
            (&[0xcc], Kind::Other, None),
        ];
        for (code, kind, relative) in cases {
            assert_eq!(decode(code), [(*kind, *relative)], "{code:x?}");
        }
    }

    #[test]
    fn decoding_stops_at_what_is_no_instruction() {
        assert_eq!(decode(&[0xc3, 0x06, 0xc3]).len(), 1);
    }
}
