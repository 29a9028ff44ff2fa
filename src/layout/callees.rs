//! What the body of a core function calls, as far as that can be told beforehand.

use super::{Layout, UnitBinding};
use crate::program::module::Call;
use crate::program::{CoreFunc, Program, unit_of};
use trampette_artifact::ids::{SignatureId, TableId};

/// What a call instruction may call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Callee {
    /// This function.
    Function(CoreFunc),
    /// An entry of a table that has this type.
    Through(TableId, SignatureId),
}

/// What a function of a core module may call; `None` if that cannot be told, its body not be read,
/// or it is no such function.
pub(super) fn callees(
    program: &Program<'_>,
    layout: &Layout,
    function: CoreFunc,
) -> Option<Vec<Callee>> {
    let CoreFunc::Module(instance, defined) = function else {
        return None;
    };
    let unit = layout.units.get(unit_of(instance))?;
    let body = program.modules.get(unit.module)?.bodies.get(defined)?;
    let calls = body.calls.as_deref()?.iter();
    calls.map(|call| callee(unit, call)).collect()
}

fn callee(unit: &UnitBinding, call: &Call) -> Option<Callee> {
    match *call {
        Call::Direct { function } => {
            let function = unit.functions.get(function as usize)?;
            Some(Callee::Function(*function))
        }
        Call::Indirect { table, ty, .. } => {
            let table = unit.tables.get(table as usize)?;
            let signature = unit.signatures.get(ty as usize)?;
            Some(Callee::Through(*table, *signature))
        }
        Call::Reference => None,
    }
}

/// The entries of a table that a call with a signature can reach; `None` if code may write the
/// table.
pub(super) fn entries(
    layout: &Layout,
    table: TableId,
    signature: SignatureId,
) -> Option<impl Iterator<Item = CoreFunc>> {
    let entries = &layout.settled_table(table)?.entries;
    let ids = entries.iter().flatten();
    let fitting = ids.filter(move |id| layout.signature_of(**id) == Some(signature));
    Some(fitting.filter_map(|id| layout.function(*id)))
}
