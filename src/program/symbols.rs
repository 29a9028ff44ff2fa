//! Names of functions, as the artifact's symbol table, listings and messages spell them.

use super::Program;
use trampette_artifact::demangle::shown;
use trampette_artifact::ids::{CoreInstanceId, UnitId};
use trampette_artifact::key::FuncKey;

/// The full name of a symbol: the key's, and the module's name for a core function or the kind of a
/// trampoline.
pub(crate) fn symbol(program: &Program<'_>, key: FuncKey) -> String {
    let detail = match key {
        FuncKey::ModuleFunction(UnitId(unit), defined) => program
            .core_instances
            .get(CoreInstanceId(unit))
            .and_then(|instance| {
                let module = &program.modules[instance.module];
                module
                    .function_name(module.index_of(defined))
                    .map(str::to_string)
            }),
        FuncKey::ComponentTrampoline(_, id) => program
            .trampolines
            .get(id)
            .map(|trampoline| trampoline.kind.name().to_string()),
        FuncKey::ExportEntry(_, id) | FuncKey::PostReturn(_, id) => {
            program.lifts.get(id).map(|lift| lift.name.clone())
        }
        _ => None,
    };
    match (key, detail) {
        (FuncKey::ComponentTrampoline(..), Some(kind)) => format!("{key}-{kind}"),
        // Tools that show symbols know nothing of guests.
        (_, Some(name)) => format!("{key}::{}", shown(&name)),
        (_, None) => key.to_string(),
    }
}
