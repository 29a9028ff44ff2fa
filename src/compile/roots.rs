//! What the host can reach of a program: where compiling starts.

use crate::codegen::Session;
use crate::program::flatten::lowers_later;
use crate::program::{
    ConcurrentBuiltIn, CoreFunc, CoreItem, LiftedFunction, TrampolineKind, Waiting, unit_of,
};
use trampette_artifact::key::{Abi, FuncKey};
use trampette_artifact::metadata::{ExportItem, Resource};
use trampette_artifact::tasks::CallShape;

/// What the host can call, and what can be called through a function value.
pub(crate) fn of_the_host(session: &Session<'_>) -> Vec<FuncKey> {
    let program = session.program;
    let shape = |lift: &LiftedFunction| session.layout.effects.shape(&program.types, lift);
    let escaping = session.layout.escaping_functions();
    let mut keys: Vec<FuncKey> = escaping.map(|func| func.key()).collect();
    for export in &program.exports {
        if let ExportItem::Function {
            id, post_return, ..
        } = export.item
        {
            let lift = &program.lifts[id];
            if shape(lift) != CallShape::Plain {
                continue;
            }
            keys.push(FuncKey::ExportEntry(Abi::Native, id));
            if post_return {
                keys.push(FuncKey::PostReturn(Abi::Native, id));
            }
        }
    }
    for id in program.tasks.ids() {
        let Some((lift, _)) = program.task(id) else {
            continue;
        };
        if shape(lift) == CallShape::Plain {
            continue;
        }
        keys.push(FuncKey::TaskBody(Abi::Native, id));
        match lift.options.waiting {
            Waiting::Blocks => {}
            Waiting::Async => keys.push(FuncKey::TaskResult(Abi::Native, id)),
            Waiting::Callback(_) => {
                keys.push(FuncKey::TaskResult(Abi::Native, id));
                keys.push(FuncKey::TaskCallback(Abi::Native, id));
            }
        }
    }
    for trampoline in &program.trampolines {
        if let TrampolineKind::Concurrent {
            built_in: ConcurrentBuiltIn::ThreadNew { argument, .. },
            ..
        } = trampoline.kind
        {
            keys.push(FuncKey::ThreadStart(Abi::Native, argument));
        }
    }
    for (id, trampoline) in session.layout.host_calls.iter_with_ids() {
        if let TrampolineKind::LowerImport { ty, options, .. } =
            &program.trampolines[*trampoline].kind
            && lowers_later(ty, options)
        {
            keys.push(FuncKey::ImportResult(Abi::Native, id));
        }
    }
    for id in session.layout.copy_pairs.ids() {
        keys.push(FuncKey::ElementCopy(Abi::Native, id));
    }
    for (id, resource) in program.resources.iter_with_ids() {
        let drops = matches!(
            resource.info,
            Resource::Defined {
                has_destructor: true,
                ..
            }
        );
        if drops {
            keys.push(FuncKey::ResourceDrop(Abi::Native, id));
        }
    }
    for (step, actions) in session.layout.startup.iter().enumerate() {
        if !actions.is_empty() {
            keys.push(FuncKey::Startup(Abi::Native, step as u32));
        }
    }
    for export in &program.core_exports {
        if let CoreItem::Func(CoreFunc::Module(instance, func)) = export.item {
            keys.push(FuncKey::ArrayToWasm(unit_of(instance), func));
        }
    }
    keys
}

/// The array-call forms of trampolines, intrinsics and destructors. No host asks for them today: it
/// calls exports by native-call, and core functions of lone modules only.
pub(crate) fn array_calls(session: &Session<'_>) -> Vec<FuncKey> {
    let program = session.program;
    let trampolines = program.trampolines.ids();
    let mut keys: Vec<FuncKey> = trampolines
        .map(|id| FuncKey::ComponentTrampoline(Abi::Array, id))
        .collect();
    let imports = program.core_instances.iter().flat_map(|it| &it.imports);
    keys.extend(imports.filter_map(|import| match import {
        CoreItem::Func(CoreFunc::Intrinsic(it)) => Some(FuncKey::UnsafeIntrinsic(Abi::Array, *it)),
        _ => None,
    }));
    for (id, resource) in program.resources.iter_with_ids() {
        if let Resource::Defined { .. } = resource.info {
            keys.push(FuncKey::ResourceDrop(Abi::Array, id));
        }
    }
    keys
}
