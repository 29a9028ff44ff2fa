//! Our trap codes as Cranelift's and back.

use cranelift_codegen::ir;
use trampette_artifact::trap::TrapCode;

/// Cranelift's own codes and ours.
const RESERVED: [(ir::TrapCode, TrapCode); 5] = [
    (ir::TrapCode::STACK_OVERFLOW, TrapCode::StackOverflow),
    (ir::TrapCode::INTEGER_OVERFLOW, TrapCode::IntegerOverflow),
    (
        ir::TrapCode::HEAP_OUT_OF_BOUNDS,
        TrapCode::MemoryOutOfBounds,
    ),
    (
        ir::TrapCode::INTEGER_DIVISION_BY_ZERO,
        TrapCode::IntegerDivisionByZero,
    ),
    (
        ir::TrapCode::BAD_CONVERSION_TO_INTEGER,
        TrapCode::BadConversionToInteger,
    ),
];

/// The code for a CLIF instruction that traps with `code`.
pub(crate) fn clif_trap(code: TrapCode) -> ir::TrapCode {
    match RESERVED.iter().find(|(_, ours)| *ours == code) {
        Some((theirs, _)) => *theirs,
        None => ir::TrapCode::unwrap_user(code.number()),
    }
}

/// The inverse of [`clif_trap`]; `None` for codes that we never give to Cranelift.
pub(crate) fn trap_from_clif(code: ir::TrapCode) -> Option<TrapCode> {
    match RESERVED.iter().find(|(theirs, _)| *theirs == code) {
        Some((_, ours)) => Some(*ours),
        None => TrapCode::from_number(code.as_raw().get()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_round_trip() {
        for code in TrapCode::ALL {
            assert_eq!(trap_from_clif(clif_trap(*code)), Some(*code));
        }
    }
}
