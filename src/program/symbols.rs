//! Names of functions, as the artifact's symbol table, listings and messages spell them.

use super::Program;
use trampette_artifact::ids::{ExportId, UnitId};
use trampette_artifact::key::FuncKey;

/// The full name of a symbol: the key's, and the module's name for a core function or the kind of a
/// trampoline.
pub(crate) fn symbol(program: &Program<'_>, key: FuncKey) -> String {
    let detail = match key {
        FuncKey::ModuleFunction(UnitId(unit), defined) => program
            .core_instances
            .get(unit as usize)
            .and_then(|instance| {
                let module = &program.modules[instance.module.index()];
                module
                    .function_name(module.imported_functions + defined)
                    .map(str::to_string)
            }),
        FuncKey::ComponentTrampoline(_, id) => program
            .trampolines
            .get(id.index())
            .map(|trampoline| trampoline.kind.name().to_string()),
        FuncKey::ExportEntry(_, ExportId(id)) | FuncKey::PostReturn(_, ExportId(id)) => {
            program.lifts.get(id as usize).map(|lift| lift.name.clone())
        }
        _ => None,
    };
    match (key, detail) {
        (FuncKey::ComponentTrampoline(..), Some(kind)) => format!("{key}-{kind}"),
        (_, Some(name)) => format!("{key}::{name}"),
        (_, None) => key.to_string(),
    }
}
