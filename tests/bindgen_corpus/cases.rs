//! Every call that `cases.json` lists for a library, made through the bindings: the arguments and
//! the result travel as the Rust types that `bindgen!` chose. A case or a call that nothing here
//! makes is a failure.

use super::async_cases::{call_aecho, call_apipe, call_cblock, call_jsasync};
use super::corpus::{self, text};
use super::values::Dynamic;
use super::ways::{WAYS, Way};
use super::worlds::{alltypes, compose, js_library};
use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use trampette_runner::wave;
use trampette_runtime::{Component, Instance, Linker, Store, Val};
use trampette_wasi::{WasiCtx, WasiCtxBuilder};

/// The arguments of a call, taken one by one.
pub struct Arguments(std::vec::IntoIter<Val>);

impl Arguments {
    pub fn next<T: Dynamic>(&mut self) -> Result<T> {
        T::from_optional(self.0.next().as_ref())
    }
}

/// What a call returned, if it has a result.
pub fn done<T: Dynamic>(value: T) -> Result<Option<Val>> {
    Ok(value.to_optional())
}

/// Calls a function by its name; gives its result, if it has one.
type Call = fn(&mut Store<WasiCtx>, &Instance, &str, &mut Arguments, Way) -> Result<Option<Val>>;

/// A library of the corpus: its interfaces, and how one of its functions is called by its name.
struct Library {
    wasm: &'static str,
    /// Those of its functions; none if the world exports them itself.
    interfaces: &'static [&'static str],
    call: Call,
    /// The ways in which its functions can be called.
    ways: &'static [Way],
}

impl Library {
    /// One whose world exports `async` functions itself.
    const fn asynchronous(wasm: &'static str, call: Call) -> Library {
        Library {
            wasm,
            interfaces: &[],
            call,
            ways: &WAYS,
        }
    }
}

const LIBRARIES: [Library; 7] = [
    Library {
        wasm: "alltypes.wasm",
        interfaces: &[
            "trampette:alltypes/prims@0.1.0",
            "trampette:alltypes/shapes@0.1.0",
            "trampette:alltypes/things@0.1.0",
        ],
        call: call_alltypes,
        ways: &[Way::Blocking],
    },
    Library {
        wasm: "compose.wasm",
        interfaces: &["trampette:compose/frontend@0.1.0"],
        call: call_compose,
        ways: &[Way::Blocking],
    },
    Library {
        wasm: "js-library.wasm",
        interfaces: &["trampette:jslib/api@0.1.0"],
        call: call_js_library,
        ways: &[Way::Blocking],
    },
    Library::asynchronous("aecho.wasm", call_aecho),
    Library::asynchronous("apipe.wasm", call_apipe),
    Library::asynchronous("cblock.wasm", call_cblock),
    Library::asynchronous("jsasync.wasm", call_jsasync),
];

fn call_alltypes(
    store: &mut Store<WasiCtx>,
    instance: &Instance,
    name: &str,
    a: &mut Arguments,
    _: Way,
) -> Result<Option<Val>> {
    use alltypes::exports::trampette::alltypes::shapes::{Err, Person, Shape, TreeNode};
    let world = alltypes::AllTypes::new(&mut *store, instance)?;
    let prims = world.trampette_alltypes_prims();
    let shapes = world.trampette_alltypes_shapes();
    let things = world.trampette_alltypes_things();
    match name {
        "id-bool" => done(prims.call_id_bool(store, a.next()?)?),
        "id-u8" => done(prims.call_id_u8(store, a.next()?)?),
        "id-s8" => done(prims.call_id_s8(store, a.next()?)?),
        "id-u16" => done(prims.call_id_u16(store, a.next()?)?),
        "id-s16" => done(prims.call_id_s16(store, a.next()?)?),
        "id-u32" => done(prims.call_id_u32(store, a.next()?)?),
        "id-s32" => done(prims.call_id_s32(store, a.next()?)?),
        "id-u64" => done(prims.call_id_u64(store, a.next()?)?),
        "id-s64" => done(prims.call_id_s64(store, a.next()?)?),
        "id-f32" => done(prims.call_id_f32(store, a.next()?)?),
        "id-f64" => done(prims.call_id_f64(store, a.next()?)?),
        "id-char" => done(prims.call_id_char(store, a.next()?)?),
        "id-string" => done(prims.call_id_string(store, &a.next::<String>()?)?),
        "next-char" => done(prims.call_next_char(store, a.next()?)?),
        "reverse-string" => done(prims.call_reverse_string(store, &a.next::<String>()?)?),
        "string-stats" => done(prims.call_string_stats(store, &a.next::<String>()?)?),
        "many-params" => done(prims.call_many_params(
            store,
            a.next()?,
            a.next()?,
            a.next()?,
            a.next()?,
            a.next()?,
            a.next()?,
            a.next()?,
            a.next()?,
            a.next()?,
            a.next()?,
            a.next()?,
            a.next()?,
            &a.next::<String>()?,
            a.next()?,
            a.next()?,
            a.next()?,
            a.next()?,
            a.next()?,
            a.next()?,
            &a.next::<String>()?,
        )?),
        "many-results" => done(prims.call_many_results(store, a.next()?)?),
        "no-result" => done(prims.call_no_result(store, &a.next::<String>()?)?),
        "last-note" => done(prims.call_last_note(store)?),

        "id-color" => done(shapes.call_id_color(store, a.next()?)?),
        "colors" => done(shapes.call_colors(store)?),
        "id-perms" => done(shapes.call_id_perms(store, a.next()?)?),
        "invert-perms" => done(shapes.call_invert_perms(store, a.next()?)?),
        "id-wide" => done(shapes.call_id_wide(store, a.next()?)?),
        "id-point" => done(shapes.call_id_point(store, a.next()?)?),
        "id-person" => done(shapes.call_id_person(store, &a.next()?)?),
        "birthday" => done(shapes.call_birthday(store, &a.next()?)?),
        "id-shape" => done(shapes.call_id_shape(store, &a.next()?)?),
        "area" => done(shapes.call_area(store, &a.next()?)?),
        "id-num" => done(shapes.call_id_num(store, a.next()?)?),
        "nums" => done(shapes.call_nums(store, &a.next::<Vec<_>>()?)?),
        "id-list-u8" => done(shapes.call_id_list_u8(store, &a.next::<Vec<_>>()?)?),
        "fill-bytes" => done(shapes.call_fill_bytes(store, a.next()?, a.next()?)?),
        "sum-bytes" => done(shapes.call_sum_bytes(store, &a.next::<Vec<_>>()?)?),
        "id-list-u64" => done(shapes.call_id_list_u64(store, &a.next::<Vec<_>>()?)?),
        "id-list-bool" => done(shapes.call_id_list_bool(store, &a.next::<Vec<_>>()?)?),
        "id-list-char" => done(shapes.call_id_list_char(store, &a.next::<Vec<_>>()?)?),
        "id-list-f64" => done(shapes.call_id_list_f64(store, &a.next::<Vec<_>>()?)?),
        "sort-strings" => done(shapes.call_sort_strings(store, &a.next::<Vec<_>>()?)?),
        "transpose" => done(shapes.call_transpose(store, &a.next::<Vec<_>>()?)?),
        "id-deep" => done(shapes.call_id_deep(store, &a.next::<Vec<_>>()?)?),
        "id-option" => done(shapes.call_id_option(store, a.next::<Option<String>>()?.as_deref())?),
        "id-option-option" => done(shapes.call_id_option_option(store, a.next()?)?),
        "id-result" => {
            let value: Result<u32, String> = a.next()?;
            let value = value.as_ref().copied().map_err(String::as_str);
            done(shapes.call_id_result(store, value)?)
        }
        "id-result-ok-only" => done(shapes.call_id_result_ok_only(store, a.next()?)?),
        "id-result-err-only" => {
            let value: Result<(), Err> = a.next()?;
            done(shapes.call_id_result_err_only(store, value.as_ref().copied())?)
        }
        "id-result-none" => done(shapes.call_id_result_none(store, a.next()?)?),
        "id-tuple" => {
            let (x, y, z, text): (u8, u64, f32, String) = a.next()?;
            done(shapes.call_id_tuple(store, (x, y, z, &text))?)
        }
        "lookup" => {
            let people: Vec<Person> = a.next()?;
            done(shapes.call_lookup(store, &people, &a.next::<String>()?)?)
        }
        "shapes-summary" => {
            let all: Vec<Shape> = a.next()?;
            done(shapes.call_shapes_summary(store, &all)?)
        }
        "tree-sum" => {
            let nodes: Vec<TreeNode> = a.next()?;
            done(shapes.call_tree_sum(store, &nodes, a.next()?)?)
        }

        "live" => done(things.call_live(store)?),
        "script" => done(things.call_script(store, &a.next::<Vec<_>>()?)?),
        other => bail!("no typed call is written for `{other}`"),
    }
}

fn call_compose(
    store: &mut Store<WasiCtx>,
    instance: &Instance,
    name: &str,
    a: &mut Arguments,
    _: Way,
) -> Result<Option<Val>> {
    let world = compose::Composition::new(&mut *store, instance)?;
    let frontend = world.trampette_compose_frontend();
    match name {
        "greet" => done(frontend.call_greet(store, &a.next::<String>()?)?),
        "shout-all" => done(frontend.call_shout_all(store, &a.next::<Vec<_>>()?)?),
        "bytes-trip" => done(frontend.call_bytes_trip(store, a.next()?, a.next()?)?),
        "orders" => done(frontend.call_orders(store, &a.next::<Vec<_>>()?)?),
        "kv-script" => done(frontend.call_kv_script(store, &a.next::<Vec<_>>()?)?),
        "kv-merge" => {
            let left: Vec<(String, String)> = a.next()?;
            done(frontend.call_kv_merge(store, &left, &a.next::<Vec<_>>()?)?)
        }
        "stress" => done(frontend.call_stress(store, a.next()?)?),
        "fail" => done(frontend.call_fail(store, &a.next::<String>()?)?),
        other => bail!("no typed call is written for `{other}`"),
    }
}

fn call_js_library(
    store: &mut Store<WasiCtx>,
    instance: &Instance,
    name: &str,
    a: &mut Arguments,
    _: Way,
) -> Result<Option<Val>> {
    let world = js_library::Jslib::new(&mut *store, instance)?;
    let api = world.trampette_jslib_api();
    let mut text = || a.next::<String>();
    match name {
        "hello" => done(api.call_hello(store, &text()?)?),
        "word-count" => done(api.call_word_count(store, &text()?)?),
        "classify" => done(api.call_classify(store, &text()?)?),
        "reverse-bytes" => done(api.call_reverse_bytes(store, &a.next::<Vec<_>>()?)?),
        "fib" => done(api.call_fib(store, a.next()?)?),
        "regex-replace" => done(api.call_regex_replace(store, &text()?, &text()?, &text()?)?),
        other => bail!("no typed call is written for `{other}`"),
    }
}

/// Makes one call of `cases.json` in a fresh instance; gives its result in WAVE.
fn make(
    library: &Library,
    component: &Component,
    linker: &Linker<WasiCtx>,
    text: &str,
    way: Way,
) -> Result<String> {
    let mut store = Store::new(WasiCtxBuilder::new().build());
    let instance = linker.instantiate(&mut store, component)?;
    let call = wave::Call::parse(text)?;
    // The dynamic function only says the types that the text is read with.
    let mut found = Vec::new();
    for interface in library.interfaces {
        found.extend(instance.get_func(&mut store, [*interface, call.name()]));
    }
    if library.interfaces.is_empty() {
        found.extend(instance.get_func(&mut store, call.name()));
    }
    let [func] = &found[..] else {
        bail!("{} functions are called `{}`", found.len(), call.name())
    };
    let types = &component.metadata().types;
    let mut arguments = Arguments(call.arguments(types, func.ty())?.into_iter());
    let result = (library.call)(&mut store, &instance, call.name(), &mut arguments, way)?;
    ensure!(arguments.0.len() == 0, "arguments are left");
    let results: Vec<Val> = result.into_iter().collect();
    wave::print(types, func.ty(), &results)
}

/// Whether a call ended as `cases.json` says.
fn is_right(outcome: &Result<String>, case: &Value) -> bool {
    match (
        outcome,
        case["expect_trap"].as_str(),
        case["result"].as_str(),
    ) {
        (Err(error), Some(trap), None) => format!("{error:?}").contains(trap),
        (Ok(found), None, Some(expected)) => found == expected,
        _ => false,
    }
}

#[test]
fn every_call_of_every_library() -> Result<()> {
    let Some(corpus) = corpus::folder() else {
        return Ok(());
    };
    let (mut listed, mut right, mut failures) = (0, 0, Vec::new());
    let cases = corpus::cases(&corpus)?;
    for case in cases.iter().filter(|case| case["kind"] == "library") {
        let name = text(case, "name")?;
        let wasm = text(case, "wasm")?;
        if let Some(entry) = corpus::not_supported(case)? {
            eprintln!("ignored: {name}: needs {}", entry.subject);
            continue;
        }
        let calls = case["calls"].as_array();
        let calls = calls.with_context(|| format!("the case `{name}` has no calls"))?;
        let library = LIBRARIES.iter().find(|library| library.wasm == wasm);
        let library = library.with_context(|| format!("no bindings are written for {wasm}"))?;
        listed += calls.len() * library.ways.len();
        let bytes = std::fs::read(corpus.join(wasm))?;
        let options = trampette::CompileOptions::default();
        let artifact = trampette::compile_component(&bytes, &options)?;
        let component = artifact.load()?;
        let mut linker = Linker::new();
        trampette_wasi::add_to_linker(&mut linker)?;
        for case in calls {
            let call = text(case, "call")?;
            for way in library.ways {
                let outcome = make(library, &component, &linker, call, *way);
                match is_right(&outcome, case) {
                    true => right += 1,
                    false => {
                        failures.push(format!("{name}: {call}, {way:?}: {outcome:?}, not {case}"));
                    }
                }
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert_eq!(right, listed);
    assert!(listed > 0, "the corpus lists no library");
    eprintln!("{right} calls of libraries were made through bindings");
    Ok(())
}
