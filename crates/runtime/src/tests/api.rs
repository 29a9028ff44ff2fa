//! Tests of linking and calling, with the artifact whose code is written by hand: its export `run`
//! takes an operation and an operand; operation 4 calls the import `host` with the operand.

use crate::tests::handmade::load;
use crate::{Component, ExportItem, Linker, Store, Trap, TrapCode, Val, WasmBacktrace};
use anyhow::Result;
use std::panic::{AssertUnwindSafe, catch_unwind};

const CALL_HOST: u32 = 4;
const UNREACHABLE: u32 = 2;

fn component() -> Component {
    load()
}

/// Doubles its operand and counts its calls; fails for 13 and panics for 14.
fn linker() -> Linker<u32> {
    let mut linker = Linker::new();
    linker
        .root()
        .func_wrap::<(u32,), u32, _>("host", |mut caller, (operand,)| {
            *caller.data_mut() += 1;
            match operand {
                13 => Err(std::io::Error::other("thirteen").into()),
                14 => panic!("fourteen"),
                operand => Ok(2 * operand),
            }
        })
        .unwrap();
    linker
}

#[test]
fn typed_calls_reach_the_host_and_back() -> Result<()> {
    let component = component();
    let pre = linker().instantiate_pre(&component)?;
    let mut store = Store::new(0);
    let instance = pre.instantiate(&mut store)?;
    let run = instance.get_typed_func::<(u32, u32), u32>(&mut store, "run")?;
    assert_eq!(run.call(&mut store, (CALL_HOST, 21))?, 42);
    let viewed = run.call_view(&mut store, (CALL_HOST, 4), |eight| Ok(eight + 1))?;
    assert_eq!((viewed, *store.data()), (9, 2));

    let paths: Vec<_> = instance.exports().map(|export| export.path).collect();
    assert_eq!(paths, [["run".to_string()]]);
    let export = instance.exports().next().unwrap();
    assert!(matches!(export.item, ExportItem::Function { .. }));
    assert!(instance.get_func(&mut store, "walk").is_none());
    assert!(instance.get_func(&mut store, ["run", "run"]).is_none());
    Ok(())
}

#[test]
fn dynamic_calls_and_functions() -> Result<()> {
    let component = component();
    let mut linker = Linker::<()>::new();
    linker.root().func_new("host", |_, args, results| {
        results[0] = match &args[0] {
            Val::U32(1) => Val::from("no number"),
            Val::U32(operand) => Val::U32(operand + 1),
            other => anyhow::bail!("unexpected {other:?}"),
        };
        Ok(())
    })?;
    let mut store = Store::new(());
    let instance = linker.instantiate(&mut store, &component)?;
    let run = instance.get_func(&mut store, ["run"]).unwrap();
    let call = |store: &mut Store<()>, args: &[Val]| run.call(store, args);
    let args = [Val::U32(CALL_HOST), Val::U32(6)];
    assert_eq!(call(&mut store, &args)?, [Val::U32(7)]);

    let error = call(&mut store, &args[..1]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "export function `run`: expected 2 arguments, found 1"
    );
    let error = call(&mut store, &[Val::U32(0), Val::S32(0)]).unwrap_err();
    assert_eq!(
        format!("{error:#}"),
        "export function `run`: parameter `operand`: expected `u32`, found `s32`"
    );
    let error = call(&mut store, &[Val::U32(CALL_HOST), Val::U32(1)]).unwrap_err();
    let chain: Vec<_> = error.chain().map(ToString::to_string).collect();
    let of_the_host = [
        "import function `host`",
        "result",
        "expected `u32`, found `string`",
    ];
    assert_eq!(chain[1..], of_the_host);
    Ok(())
}

#[test]
fn errors_traps_and_panics_end_the_call() -> Result<()> {
    let component = component();
    let pre = linker().instantiate_pre(&component)?;
    let mut store = Store::new(0);

    let instance = pre.instantiate(&mut store)?;
    let run = instance.get_typed_func::<(u32, u32), u32>(&mut store, "run")?;
    let error = run.call(&mut store, (CALL_HOST, 13)).unwrap_err();
    assert!(error.downcast_ref::<std::io::Error>().is_some());
    assert!(error.downcast_ref::<WasmBacktrace>().is_some());
    let error = run.call(&mut store, (CALL_HOST, 1)).unwrap_err();
    let trap = error.downcast_ref::<Trap>().unwrap();
    assert_eq!(trap.kind(), TrapCode::CannotEnter);

    let instance = pre.instantiate(&mut store)?;
    let run = instance.get_typed_func::<(u32, u32), u32>(&mut store, "run")?;
    let error = run.call(&mut store, (UNREACHABLE, 0)).unwrap_err();
    let trap = error.downcast_ref::<Trap>().unwrap();
    assert_eq!(trap.kind(), TrapCode::Unreachable);

    let instance = pre.instantiate(&mut store)?;
    let run = instance.get_typed_func::<(u32, u32), u32>(&mut store, "run")?;
    let panic = catch_unwind(AssertUnwindSafe(|| run.call(&mut store, (CALL_HOST, 14))));
    let payload = panic.unwrap_err();
    assert_eq!(payload.downcast_ref::<&str>(), Some(&"fourteen"));
    Ok(())
}

#[test]
fn types_and_stores_must_match() -> Result<()> {
    let component = component();
    let mut store = Store::new(0);
    let instance = linker().instantiate(&mut store, &component)?;
    let error = instance.get_typed_func::<(u32, String), u32>(&mut store, "run");
    assert_eq!(
        format!("{:#}", error.err().unwrap()),
        "export function `run`: parameter `operand`: expected `u32`, found `string`: the component \
         exports `func(operation: u32, operand: u32) -> u32`, the host asks for `func(u32, string) \
         -> u32`"
    );
    let error = instance.get_typed_func::<(u32, u32), ()>(&mut store, "run");
    assert_eq!(
        format!("{:#}", error.err().unwrap()),
        "export function `run`: result: expected `u32`, found `nothing`: the component exports \
         `func(operation: u32, operand: u32) -> u32`, the host asks for `func(u32, u32)`"
    );
    let error = instance.get_typed_func::<(), ()>(&mut store, "jog");
    assert_eq!(
        error.err().unwrap().to_string(),
        "export function `jog`: the component exports no such function"
    );
    let run = instance.get_typed_func::<(u32, u32), u32>(&mut store, "run")?;
    let error = run.call(&mut Store::new(0), (CALL_HOST, 1)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "export `func(u32, u32) -> u32`: used with a store that it is not in"
    );

    let mut linker = Linker::<()>::new();
    linker.define_unknown_imports_as_traps(&component)?;
    let mut store = Store::new(());
    let instance = linker.instantiate(&mut store, &component)?;
    let run = instance.get_typed_func::<(u32, u32), u32>(&mut store, "run")?;
    let error = run.call(&mut store, (CALL_HOST, 1)).unwrap_err();
    assert_eq!(
        error.root_cause().to_string(),
        "import function `host`: it is not defined in the linker"
    );
    Ok(())
}
