//! Libraries of the corpus, called through hosts that `bindgen!` generates, and their resources
//! dynamically too.
//!
//! The corpus lies beside the repository; without it the tests say so and pass. Every call that
//! `cases.json` lists for a library is made in `cases`; the tests here are about more than one
//! call, and about what bindings look like.

#[path = "support/block_on.rs"]
mod block_on;
#[path = "bindgen_corpus/cases.rs"]
mod cases;
#[path = "support/corpus.rs"]
mod corpus;
#[path = "support/suites.rs"]
mod suites;
#[macro_use]
#[path = "bindgen_corpus/values.rs"]
mod values;
#[path = "bindgen_corpus/async_cases.rs"]
mod async_cases;
#[path = "bindgen_corpus/async_values.rs"]
mod async_values;
#[path = "bindgen_corpus/async_worlds.rs"]
mod async_worlds;
#[path = "bindgen_corpus/cancelled.rs"]
mod cancelled;
#[path = "support/ways.rs"]
mod ways;
#[path = "bindgen_corpus/worlds.rs"]
mod worlds;

use anyhow::Result;
use trampette_runtime::{Component, Instance, Linker, ResourceAny, Store, Trap, TrapCode, Val};
use worlds::{alltypes, compose, js_library};

/// A component of the corpus, compiled.
fn component(name: &str) -> Result<Option<Component>> {
    let Some(corpus) = corpus::folder() else {
        return Ok(None);
    };
    let wasm = std::fs::read(corpus.join(name))?;
    let artifact = trampette::compile_component(&wasm, &trampette::CompileOptions::default())?;
    Ok(Some(artifact.load()?))
}

/// The kind of the trap that an error is.
fn trap_code(error: &anyhow::Error) -> Option<TrapCode> {
    error.downcast_ref::<Trap>().map(Trap::kind)
}

fn alltypes() -> Result<Option<(Store<()>, alltypes::AllTypes)>> {
    let Some(component) = component("alltypes.wasm")? else {
        return Ok(None);
    };
    let mut store = Store::new(());
    let world = alltypes::AllTypes::instantiate(&mut store, &component, &Linker::new())?;
    Ok(Some((store, world)))
}

#[test]
fn values_of_all_types_come_back() -> Result<()> {
    use alltypes::exports::trampette::alltypes::shapes::*;
    let Some((mut store, world)) = alltypes()? else {
        return Ok(());
    };
    let store = &mut store;

    let prims = world.trampette_alltypes_prims();
    assert!(prims.call_id_bool(&mut *store, true)?);
    assert_eq!(prims.call_id_u8(&mut *store, 255)?, 255);
    assert_eq!(prims.call_id_s16(&mut *store, i16::MIN)?, i16::MIN);
    assert_eq!(prims.call_id_u64(&mut *store, u64::MAX)?, u64::MAX);
    assert_eq!(prims.call_id_f64(&mut *store, -0.5)?, -0.5);
    assert_eq!(prims.call_id_char(&mut *store, '𝄞')?, '𝄞');
    assert_eq!(prims.call_id_string(&mut *store, "Zoë ✓")?, "Zoë ✓");
    assert_eq!(prims.call_next_char(&mut *store, '\u{10ffff}')?, None);
    assert_eq!(
        prims.call_string_stats(&mut *store, "aé")?,
        (3, 2, Some('é'))
    );
    let many = prims.call_many_params(
        &mut *store,
        1,
        -2,
        3,
        -4,
        5,
        -6,
        7,
        -8,
        0.5,
        -1.5,
        true,
        'x',
        "m",
        14,
        15,
        16,
        17,
        18.5,
        19.5,
        "t",
    )?;
    assert_eq!(
        many,
        "1 -2 3 -4 5 -6 7 -8 0.5 -1.5 true x m 14 15 16 17 18.5 19.5 t"
    );
    let many = prims.call_many_results(&mut *store, 3)?;
    let (a, b, c, d, e, f, g, h, i, j, k, l, m) = many;
    assert_eq!((a, b, c, d, e, f), (3, 3, 3, 3, 3, 3));
    assert_eq!(
        (g, h, i, j),
        (3 * 0x1_0000_0001, -3 * 0x1_0000_0001, 0.375, -3.0 / 1024.0)
    );
    assert_eq!((k, l, m.as_str()), (true, '\u{1f603}', "n3"));
    prims.call_no_result(&mut *store, "note")?;
    assert_eq!(prims.call_last_note(&mut *store)?, "note");

    let shapes = world.trampette_alltypes_shapes();
    assert_eq!(
        shapes.call_colors(&mut *store)?,
        [Color::UltraViolet, Color::Blue, Color::Green, Color::Red]
    );
    let perms = Perms::READ | Perms::OWNER_B;
    assert_eq!(shapes.call_invert_perms(&mut *store, perms)?, !perms);
    assert_eq!(
        shapes.call_id_point(&mut *store, Point { x: -1, y: 2 })?,
        Point { x: -1, y: 2 }
    );
    let ada = Person {
        name: "Ada".to_string(),
        age: 36,
        tags: vec!["a".to_string()],
        home: Some(Point { x: 1, y: 2 }),
        favorite: Color::Blue,
        perms,
    };
    let older = shapes.call_birthday(&mut *store, &ada)?;
    assert_eq!(
        (older.age, older.tags.len(), older.home),
        (37, 2, Some(Point { x: 2, y: -1 }))
    );
    assert_eq!(older.perms, perms | Perms::EXEC);
    let polygon = Shape::Polygon(
        [(0, 0), (2, 0), (2, 2)]
            .map(|(x, y)| Point { x, y })
            .to_vec(),
    );
    let portrait = Shape::Portrait(ada.clone());
    assert_eq!(shapes.call_id_shape(&mut *store, &portrait)?, portrait);
    assert_eq!(shapes.call_area(&mut *store, &polygon)?, Ok(2.0));
    assert_eq!(
        shapes.call_area(&mut *store, &portrait)?,
        Err("Ada has no area".to_string())
    );
    let nums = [
        Num::I(-1),
        Num::L(4),
        Num::F(1.5),
        Num::C('a'),
        Num::B(true),
        Num::H(1),
    ];
    let turned = [
        Num::H(-1),
        Num::B(false),
        Num::I(97),
        Num::I(1),
        Num::D(4.0),
        Num::L(0xffff_ffff),
    ];
    assert_eq!(shapes.call_nums(&mut *store, &nums)?, turned);
    let bytes = shapes.call_fill_bytes(&mut *store, 1000, 3)?;
    let sum: u64 = bytes.iter().map(|byte| u64::from(*byte)).sum();
    assert_eq!(
        (bytes.len(), shapes.call_sum_bytes(&mut *store, &bytes)?),
        (1000, sum)
    );
    assert_eq!(
        shapes.call_id_list_bool(&mut *store, &[true, false])?,
        [true, false]
    );
    assert_eq!(
        shapes.call_id_list_f64(&mut *store, &[1.5, -2.5])?,
        [1.5, -2.5]
    );
    let words = ["b", "", "a"].map(String::from);
    assert_eq!(
        shapes.call_sort_strings(&mut *store, &words)?,
        ["", "a", "b"]
    );
    let deep = vec![vec![], vec![vec![(1, "x".to_string())], vec![]]];
    assert_eq!(shapes.call_id_deep(&mut *store, &deep)?, deep);
    assert_eq!(
        shapes.call_id_option(&mut *store, Some("s"))?.as_deref(),
        Some("s")
    );
    assert_eq!(
        shapes.call_id_option_option(&mut *store, Some(None))?,
        Some(None)
    );
    assert_eq!(
        shapes.call_id_result(&mut *store, Err("e"))?,
        Err("e".to_string())
    );
    assert_eq!(shapes.call_id_result_none(&mut *store, Ok(()))?, Ok(()));
    let tuple = shapes.call_id_tuple(&mut *store, (1, 2, 0.5, "four"))?;
    assert_eq!(tuple, (1, 2, 0.5, "four".to_string()));
    let people = [ada];
    assert_eq!(
        shapes
            .call_lookup(&mut *store, &people, "Ada")?
            .unwrap()
            .age,
        36
    );
    let missing = shapes
        .call_lookup(&mut *store, &people, "Bob")?
        .unwrap_err();
    assert_eq!(missing, Err::NotFound("Bob".to_string()));
    assert_eq!(
        shapes.call_shapes_summary(&mut *store, &[Shape::Circle(2.0), Shape::Empty])?,
        [
            ("circle 2".to_string(), Some(12.0)),
            ("empty".to_string(), Some(0.0))
        ]
    );
    let nodes = [(1, vec![1, 2]), (10, vec![]), (100, vec![1])];
    let nodes = nodes.map(|(value, children)| TreeNode { value, children });
    assert_eq!(shapes.call_tree_sum(&mut *store, &nodes, 0)?, Ok(121));
    assert_eq!(
        shapes.call_tree_sum(&mut *store, &nodes, 9)?,
        Err(Err::Code(9))
    );
    Ok(())
}

#[test]
fn resources_of_the_component() -> Result<()> {
    let Some((mut store, world)) = alltypes()? else {
        return Ok(());
    };
    let store = &mut store;
    let things = world.trampette_alltypes_things();
    let (counters, bags) = (things.counter(), things.bag());

    let a = counters.call_constructor(&mut *store, 5)?;
    let b = counters.call_constructor(&mut *store, 7)?;
    assert!(a.owned(&*store));
    assert_eq!(counters.call_inc(&mut *store, a, 3)?, 8);
    assert_eq!(things.call_sum_counters(&mut *store, &[a, b, a])?, 23);
    assert_eq!(things.call_live(&mut *store)?, 2);

    // `a` goes to the guest, which drops it; `b` is only lent.
    let merged = counters.call_merge(&mut *store, a, b)?;
    assert_eq!(counters.call_get(&mut *store, merged)?, 15);
    assert_eq!(things.call_live(&mut *store)?, 2);
    assert!(!a.owned(&*store));
    let gone = counters.call_get(&mut *store, a).unwrap_err();
    assert_eq!(
        gone.to_string(),
        "export `trampette:alltypes/things@0.1.0` function `[method]counter.get`: parameter `self`: \
         resource `counter` was given away or dropped"
    );
    let gone = a.resource_drop(&mut *store).unwrap_err();
    assert_eq!(
        gone.to_string(),
        "resource `counter` was given away or dropped"
    );

    merged.resource_drop(&mut *store)?;
    assert_eq!(things.call_live(&mut *store)?, 1);
    let picked = things.call_pick(&mut *store, Some(b))?.unwrap();
    assert_eq!(counters.call_get(&mut *store, picked)?, 7);
    assert_eq!(things.call_pick(&mut *store, None)?.unwrap_err(), "none");
    let made = things.call_make_counters(&mut *store, 3)?;
    assert_eq!(things.call_sum_counters(&mut *store, &made)?, 30);
    assert_eq!(things.call_live(&mut *store)?, 4);

    let bag = bags.call_constructor(&mut *store)?;
    for item in ["x", "y", "z"] {
        bags.call_put(&mut *store, bag, item)?;
    }
    let rest = bags.call_split(&mut *store, bag, 1)?.unwrap();
    assert_eq!(bags.call_items(&mut *store, bag)?, ["x"]);
    assert_eq!(bags.call_items(&mut *store, rest)?, ["y", "z"]);
    assert_eq!(bags.call_split(&mut *store, bag, 9)?.unwrap_err(), "9 > 1");
    bag.resource_drop(&mut *store)?;
    Ok(())
}

#[test]
fn resources_called_dynamically() -> Result<()> {
    let Some(component) = component("alltypes.wasm")? else {
        return Ok(());
    };
    let mut store = Store::new(());
    let instance = Linker::new().instantiate(&mut store, &component)?;
    let things = Things { instance };
    let store = &mut store;
    let counter = |value: Val| match value {
        Val::Resource(handle) => handle,
        other => panic!("{other:?} is no resource"),
    };
    let a = counter(things.call(store, "[constructor]counter", &[Val::S64(5)])?);
    assert!(a.owned(&*store));
    let inc = things.call(
        store,
        "[method]counter.inc",
        &[Val::Resource(a), Val::S64(2)],
    )?;
    assert_eq!(inc, Val::S64(7));
    let made = things.call(store, "make-counters", &[Val::U32(2)])?;
    let Val::List(made) = made else {
        panic!("{made:?} is no list")
    };
    let all = made.iter().cloned().chain([Val::Resource(a)]).collect();
    assert_eq!(
        things.call(store, "sum-counters", &[Val::List(all)])?,
        Val::S64(17)
    );
    let picked = things.call(
        store,
        "pick",
        &[Val::Option(Some(Box::new(Val::Resource(a))))],
    )?;
    let Val::Result(Ok(Some(picked))) = picked else {
        panic!("{picked:?} is no counter")
    };
    let picked = counter(*picked);
    assert_eq!(things.call(store, "live", &[])?, Val::U32(3));
    picked.resource_drop(&mut *store)?;
    assert_eq!(things.call(store, "live", &[])?, Val::U32(2));

    // A bag is no counter.
    let bag = counter(things.call(store, "[constructor]bag", &[])?);
    let wrong = things
        .call(store, "[method]counter.get", &[Val::Resource(bag)])
        .unwrap_err();
    assert!(format!("{wrong:#}").contains("resource"), "{wrong:#}");
    Ok(())
}

/// Errors of calls name the interface, the function, and where in the type.
#[test]
fn errors_name_interface_function_and_type_path() -> Result<()> {
    let Some(component) = component("alltypes.wasm")? else {
        return Ok(());
    };
    let mut store = Store::new(());
    let instance = Linker::new().instantiate(&mut store, &component)?;
    let shapes = "trampette:alltypes/shapes@0.1.0";
    let path = [shapes, "id-deep"];

    let typed = instance.get_typed_func::<(Vec<Vec<Vec<(u32, String)>>>,), ()>(&mut store, path);
    assert_eq!(
        format!("{:#}", typed.err().unwrap()),
        "export `trampette:alltypes/shapes@0.1.0` function `id-deep`: parameter `v`: list element: \
         list element: list element: tuple field 0: expected `u16`, found `u32`: the component \
         exports `func(v: list<list<list<tuple<u16, string>>>>) -> list<list<list<tuple<u16, \
         string>>>>`, the host asks for `func(list<list<list<tuple<u32, string>>>>)`"
    );

    let pair = Val::Tuple(vec![Val::U16(1), Val::Bool(true)]);
    let deep = Val::List(vec![Val::List(vec![Val::List(vec![pair])])]);
    let func = instance.get_func(&mut store, path).unwrap();
    assert_eq!(
        format!("{:#}", func.call(&mut store, &[deep]).unwrap_err()),
        "export `trampette:alltypes/shapes@0.1.0` function `id-deep`: parameter `v`: list element \
         0: list element 0: list element 0: tuple field 1: expected `string`, found `bool`"
    );

    let missing = instance.get_typed_func::<(), ()>(&mut store, [shapes, "id-shallow"]);
    assert_eq!(
        missing.err().unwrap().to_string(),
        "export `trampette:alltypes/shapes@0.1.0` function `id-shallow`: the component exports no \
         such function"
    );
    Ok(())
}

struct Things {
    instance: Instance,
}

impl Things {
    /// Calls a function of `things` that has a result.
    fn call(&self, store: &mut Store<()>, name: &str, args: &[Val]) -> Result<Val> {
        let func = self
            .instance
            .get_func(&mut *store, ["trampette:alltypes/things@0.1.0", name]);
        let mut results = func.expect(name).call(store, args)?;
        Ok(results.remove(0))
    }
}

#[test]
fn results_are_viewed_until_post_return() -> Result<()> {
    let Some((mut store, world)) = alltypes()? else {
        return Ok(());
    };
    let instance = world.instance();
    let shapes = "trampette:alltypes/shapes@0.1.0";
    let fill = instance.get_typed_func::<(u32, u8), Vec<u8>>(&mut store, [shapes, "fill-bytes"])?;
    // Many large results: each is freed before the next call, or memory would grow without end.
    for seed in 0..200u8 {
        let ends = fill.call_view(&mut store, (1 << 20, seed), |bytes: &[u8]| {
            Ok((bytes.len(), bytes[0], bytes[2]))
        })?;
        assert_eq!(ends, (1 << 20, seed, seed.wrapping_mul(3)));
    }
    // An error from the reader ends the call as well.
    let failed = fill.call_view(&mut store, (1, 1), |_| anyhow::bail!("no"));
    assert_eq!(failed.map(|()| 0).unwrap_err().to_string(), "no");
    let deep = instance
        .get_typed_func::<(Vec<String>,), Vec<String>>(&mut store, [shapes, "sort-strings"])?;
    let words = vec!["b".to_string(), "a".to_string()];
    let first = deep.call_view(&mut store, (words,), |sorted| {
        Ok((sorted.len(), sorted.get(0).map(str::to_string)))
    })?;
    assert_eq!(first, (2, Some("a".to_string())));
    Ok(())
}

#[test]
fn a_trap_locks_the_instance_and_says_where() -> Result<()> {
    let Some((mut store, world)) = alltypes()? else {
        return Ok(());
    };
    let things = world.trampette_alltypes_things();
    let script = [("trap".to_string(), 0)];
    let trap = things.call_script(&mut store, &script).unwrap_err();
    assert_eq!(trap_code(&trap), Some(TrapCode::Unreachable), "{trap:?}");
    let locked = things.call_live(&mut store).unwrap_err();
    assert_eq!(
        trap_code(&locked),
        Some(TrapCode::CannotEnter),
        "{locked:?}"
    );
    Ok(())
}

#[test]
fn handles_are_of_one_instance() -> Result<()> {
    let Some(component) = component("alltypes.wasm")? else {
        return Ok(());
    };
    let (mut store, linker) = (Store::new(()), Linker::new());
    let one = alltypes::AllTypes::instantiate(&mut store, &component, &linker)?;
    let two = alltypes::AllTypes::instantiate(&mut store, &component, &linker)?;
    let (one, two) = (
        one.trampette_alltypes_things(),
        two.trampette_alltypes_things(),
    );
    let counter = one.counter().call_constructor(&mut store, 1)?;
    let other = two.counter().call_get(&mut store, counter).unwrap_err();
    let message = "export `trampette:alltypes/things@0.1.0` function `[method]counter.get`: parameter \
                   `self`: resource `counter` is of another instance";
    assert_eq!(other.root_cause().to_string(), message);
    let mut elsewhere = Store::new(());
    assert!(counter.resource_drop(&mut elsewhere).is_err());
    assert_eq!(one.counter().call_get(&mut store, counter)?, 1);
    let any: ResourceAny = counter.into_any();
    any.resource_drop(&mut store)
}

#[test]
fn a_library_in_javascript() -> Result<()> {
    use js_library::exports::trampette::jslib::api::{Json, Stat};
    let Some(component) = component("js-library.wasm")? else {
        return Ok(());
    };
    let mut linker = Linker::new();
    linker.define_unknown_imports_as_traps(&component)?;
    let mut store = Store::new(());
    let library = js_library::Jslib::instantiate(&mut store, &component, &linker)?;
    let (api, store) = (library.trampette_jslib_api(), &mut store);
    assert_eq!(
        api.call_hello(&mut *store, "Wörld")?,
        "Hello, Wörld! call 1 π≈3.1416"
    );
    let stats = api.call_word_count(&mut *store, "the cat and the dog")?;
    assert_eq!(
        stats[0],
        Stat {
            word: "the".to_string(),
            count: 2,
            len: 3
        }
    );
    assert_eq!(api.call_classify(&mut *store, "null")?, Ok(Json::Null));
    assert_eq!(
        api.call_classify(&mut *store, "3.25")?,
        Ok(Json::Number(3.25))
    );
    assert_eq!(
        api.call_classify(&mut *store, "{oops")?,
        Err("bad json".to_string())
    );
    assert_eq!(
        api.call_reverse_bytes(&mut *store, &[1, 2, 255])?,
        [255, 2, 1]
    );
    assert_eq!(api.call_fib(&mut *store, 90)?, 2_880_067_194_370_816_120);
    let replaced = api.call_regex_replace(&mut *store, "a1b22c333", "\\d+", "#")?;
    assert_eq!(replaced, "a#b#c#");
    Ok(())
}

#[test]
fn a_composition() -> Result<()> {
    use compose::trampette::compose::types::{Op, Order, Reply};
    let Some(component) = component("compose.wasm")? else {
        return Ok(());
    };
    let mut store = Store::new(());
    let world = compose::Composition::instantiate(&mut store, &component, &Linker::new())?;
    let (frontend, store) = (world.trampette_compose_frontend(), &mut store);
    assert_eq!(frontend.call_greet(&mut *store, "Zoë")?, "Hello, ZOË!");
    let names = ["a", "bc", "déf"].map(String::from);
    assert_eq!(
        frontend.call_shout_all(&mut *store, &names)?,
        ["A", "BC", "DÉF"]
    );
    let trip = frontend.call_bytes_trip(&mut *store, 1000, 7)?;
    assert_eq!(trip, (1000, 6_713_788_306_551_385_896, true));
    let order = |sku: &str, qty, price| Order {
        sku: sku.to_string(),
        qty,
        price,
        tags: vec!["x".to_string()],
    };
    let (lines, total) = frontend
        .call_orders(&mut *store, &[order("a", 2, 1.5), order("c", 10, 0.25)])?
        .unwrap();
    assert_eq!((lines.len(), total), (2, 5.5));
    assert_eq!(
        frontend.call_orders(&mut *store, &[])?,
        Err("no orders".to_string())
    );
    let ops = [
        Op::Set(("a".to_string(), "1".to_string())),
        Op::Get("a".to_string()),
        Op::Get("zz".to_string()),
        Op::Size,
    ];
    let replies = frontend.call_kv_script(&mut *store, &ops)?;
    let one = Reply::Value(Some("1".to_string()));
    assert_eq!(
        replies,
        [Reply::Done, one, Reply::Value(None), Reply::Count(1)]
    );
    assert_eq!(
        frontend.call_stress(&mut *store, 2000)?,
        (16000, 0, 15_661_432_914_392_281_440)
    );
    assert_eq!(
        frontend.call_fail(&mut *store, "boom")?,
        Err("failed: boom".to_string())
    );
    let trap = frontend.call_fail(&mut *store, "trap").unwrap_err();
    assert_eq!(trap_code(&trap), Some(TrapCode::Unreachable), "{trap:?}");
    Ok(())
}
