//! Custom sections that have a specification: names, and hints for branches. They never make a
//! module invalid; only scripts ask whether they are as specified.

use anyhow::{Context, Result, ensure};
use wasmparser::{BranchHint, FunctionBody, KnownCustom, Operator, Parser, Payload};

/// Checks the custom sections of a valid module.
///
/// # Errors
/// If a name or branch-hint section is not as specified.
pub(super) fn check(wasm: &[u8]) -> Result<()> {
    let mut imported = 0;
    let mut hints: Vec<(u32, Vec<BranchHint>)> = Vec::new();
    let mut bodies = Vec::new();
    let mut name_sections = 0;
    for payload in Parser::new(0).parse_all(wasm) {
        match payload? {
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    imported += u32::from(matches!(import?.ty, wasmparser::TypeRef::Func(_)));
                }
            }
            Payload::CodeSectionEntry(body) => bodies.push(body),
            Payload::CustomSection(section) => match section.as_known() {
                KnownCustom::Name(names) => {
                    name_sections += 1;
                    ensure!(name_sections == 1, "two name sections");
                    for name in names {
                        name?;
                    }
                }
                KnownCustom::BranchHints(section) => {
                    for function in section {
                        let function = function?;
                        let all: wasmparser::Result<_> = function.hints.into_iter().collect();
                        hints.push((function.func, all?));
                    }
                }
                _ => {}
            },
            _ => {}
        }
    }
    for (function, hints) in hints {
        let body = function.checked_sub(imported);
        let body = body.and_then(|index| bodies.get(index as usize));
        let body = body.with_context(|| format!("branch hints of unknown function {function}"))?;
        check_hints(body, &hints)?;
    }
    Ok(())
}

/// Every hint is about a different `if` or `br_if`, in order.
fn check_hints(body: &FunctionBody<'_>, hints: &[BranchHint]) -> Result<()> {
    ensure!(
        hints.is_sorted_by(|a, b| a.func_offset < b.func_offset),
        "two branch hints for one instruction"
    );
    let start = body.range().start;
    let mut targets = Vec::new();
    let mut operators = body.get_operators_reader()?;
    while !operators.eof() {
        let (operator, offset) = operators.read_with_offset()?;
        if matches!(operator, Operator::If { .. } | Operator::BrIf { .. }) {
            targets.push(offset - start);
        }
    }
    for hint in hints {
        ensure!(
            targets.contains(&u64::from(hint.func_offset)),
            "a branch hint for an instruction that does not branch on a condition"
        );
    }
    Ok(())
}
