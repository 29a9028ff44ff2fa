//! The host's side of components in `tests/components/host/*.wat`, which say what they are about:
//! imports exported again, resources of a component, errors of the host's on their way through
//! guests, views of results, and what worlds say.

use anyhow::Result;
use std::fmt;
use trampette_runtime::{
    Component, Instance, Linker, LoadOptions, Resource, ResourceAny, ResourceTable,
    ResourceTableError, Store, Trap, TrapCode, TypeShape, Val, Verify, WasmBacktrace,
    WorldItemKind,
};

fn load(name: &str) -> Component {
    let root = env!("CARGO_MANIFEST_DIR");
    let wasm = wat::parse_file(format!("{root}/tests/components/host/{name}.wat")).unwrap();
    let artifact = trampette::compile_component(&wasm, &trampette::CompileOptions::default());
    artifact.unwrap().load().unwrap()
}

fn trap_code(error: &anyhow::Error) -> Option<TrapCode> {
    error.downcast_ref::<Trap>().map(Trap::kind)
}

/// What the bindings' hosts keep: files in a table, and the names of those that guests dropped.
#[derive(Default)]
struct Host {
    table: ResourceTable,
    dropped: Vec<String>,
}

struct File(String);

/// An error of the host's own.
#[derive(Debug, PartialEq)]
struct Refused(u32);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "refused {}", self.0)
    }
}

impl std::error::Error for Refused {}

/// `again.wat` as a world: what it exports again is imported and exported.
mod again {
    trampette_bindgen::bindgen!({
        inline: "
            package test:again;
            world again {
                import files: interface {
                    resource file {
                        constructor(name: string);
                        name: func() -> string;
                    }
                    swap: func(all: list<file>, one: borrow<file>) -> result<list<file>, string>;
                }
                import double: func(x: u32) -> u32;

                export twice: func(x: u32) -> u32;
                export documents: interface {
                    resource file {
                        constructor(name: string);
                        name: func() -> string;
                    }
                    swap: func(all: list<file>, one: borrow<file>) -> result<list<file>, string>;
                }
                export inner: interface { g: func(x: u32) -> u32; }
                export trap: func();
            }
        ",
        with: { "files/file": super::File },
    });
}

impl again::files::HostFile for Host {
    fn new(&mut self, name: &str) -> Result<Resource<File>> {
        Ok(self.table.push(File(name.to_string()))?)
    }

    fn name(&mut self, file: Resource<File>) -> Result<String> {
        Ok(self.table.get(&file)?.0.clone())
    }

    fn drop(&mut self, file: Resource<File>) -> Result<()> {
        let file = self.table.delete(file)?;
        self.dropped.push(file.0);
        Ok(())
    }
}

impl again::files::Host for Host {
    fn swap(
        &mut self,
        all: trampette_runtime::List<'_, Resource<File>>,
        one: Resource<File>,
    ) -> Result<Result<Vec<Resource<File>>, String>> {
        if all.is_empty() {
            return Ok(Err(format!("nothing but {}", self.table.get(&one)?.0)));
        }
        let mut all: Vec<_> = all.iter().collect();
        all.reverse();
        Ok(Ok(all))
    }
}

impl again::AgainImports for Host {
    fn double(&mut self, x: u32) -> Result<u32> {
        match x {
            13 => Err(Refused(13).into()),
            14 => panic!("fourteen"),
            x => Ok(2 * x),
        }
    }
}

fn again() -> Result<(Store<Host>, Instance)> {
    let component = load("again");
    let mut linker = Linker::new();
    again::Again::add_to_linker(&mut linker, |host: &mut Host| host)?;
    // World-level WIT has no nested instances.
    linker
        .instance("files")?
        .instance("nested")?
        .func_wrap::<(Vec<String>, u8), (u8, String), _>("concat", |_, (all, n)| {
            Ok((n, all.iter().collect::<Vec<_>>().concat()))
        })?;
    let mut store = Store::new(Host::default());
    let instance = linker.instantiate(&mut store, &component)?;
    Ok((store, instance))
}

#[test]
fn imports_exported_again_are_called_with_rust_types() -> Result<()> {
    let (mut store, instance) = again()?;
    let twice = instance.get_typed_func::<(u32,), u32>(&mut store, "twice")?;
    assert_eq!(twice.call(&mut store, (21,))?, 42);
    let inner = instance.get_typed_func::<(u32,), u32>(&mut store, "inner#g")?;
    assert_eq!(inner.call(&mut store, (4,))?, 8);
    let wrong = instance.get_typed_func::<(u64,), u32>(&mut store, "twice");
    assert_eq!(
        format!("{:#}", wrong.err().unwrap()),
        "export function `twice`: parameter `x`: expected `u32`, found `u64`: the component exports \
         `func(x: u32) -> u32`, the host asks for `func(u64) -> u32`"
    );

    type File_ = Resource<File>;
    let new = ["documents", "[constructor]file"];
    let new = instance.get_typed_func::<(String,), File_>(&mut store, new)?;
    let name = ["documents", "[method]file.name"];
    let name = instance.get_typed_func::<(File_,), String>(&mut store, name)?;
    let a = new.call(&mut store, ("a".to_string(),))?;
    let b = new.call(&mut store, ("b".to_string(),))?;
    assert_eq!(name.call(&mut store, (Resource::new(b.rep()),))?, "b");
    let first = name.call_view(&mut store, (Resource::new(a.rep()),), |name: &str| {
        Ok(name.chars().next())
    })?;
    assert_eq!(first, Some('a'));

    // What the instance exports again has more than its interface has in WIT.
    let concat = ["documents", "nested", "concat"];
    let concat = instance.get_typed_func::<(Vec<String>, u8), (u8, String)>(&mut store, concat)?;
    let words = ["x", "", "yz"].map(String::from).to_vec();
    assert_eq!(concat.call(&mut store, (words, 7))?, (7, "xyz".to_string()));

    // The same handle is good for what the component itself exports over the resource.
    let length = instance.get_typed_func::<(File_,), u32>(&mut store, "length")?;
    let long = new.call(&mut store, ("longer".to_string(),))?;
    assert_eq!(length.call(&mut store, (long,))?, 6);
    assert_eq!(store.data().dropped, ["longer"]);
    Ok(())
}

#[test]
fn imports_exported_again_are_called_dynamically() -> Result<()> {
    let (mut store, instance) = again()?;
    let call = |store: &mut Store<Host>, path: &[&str], args: &[Val]| {
        let func = instance.get_func(&mut *store, path).expect("a function");
        func.call(store, args)
    };
    let twice = call(&mut store, &["twice"], &[Val::U32(3)])?;
    assert_eq!(twice, [Val::U32(6)]);
    let words = Val::List(vec![Val::from("p"), Val::from("q")]);
    let concat = ["documents", "nested", "concat"];
    let joined = call(&mut store, &concat, &[words, Val::U8(1)])?;
    assert_eq!(joined, [Val::Tuple(vec![Val::U8(1), Val::from("pq")])]);

    let new = ["documents", "[constructor]file"];
    let name = ["documents", "[method]file.name"];
    let swap = ["documents", "swap"];
    let a = call(&mut store, &new, &[Val::from("a")])?.remove(0);
    let b = call(&mut store, &new, &[Val::from("b")])?.remove(0);
    let Val::Resource(handle) = a else {
        panic!("{a:?} is no resource")
    };
    assert_eq!(handle.try_into_resource::<File>()?.rep(), 0);
    let all = Val::List(vec![a.clone(), b.clone()]);
    let swapped = call(&mut store, &swap, &[all, a.clone()])?;
    let reversed = Val::List(vec![b, a.clone()]);
    assert_eq!(swapped, [Val::Result(Ok(Some(Box::new(reversed))))]);
    let none = call(&mut store, &swap, &[Val::List(Vec::new()), a.clone()])?;
    let message = Val::from("nothing but a");
    assert_eq!(none, [Val::Result(Err(Some(Box::new(message))))]);
    let wrong = call(&mut store, &name, &[Val::U32(0)]).unwrap_err();
    assert!(
        format!("{wrong:#}").starts_with(
            "export `documents` function `[method]file.name`: parameter `self`: expected \
             `borrow<file>`, found `u32`"
        ),
        "{wrong:#}"
    );
    assert_eq!(call(&mut store, &["length"], &[a])?, [Val::U32(1)]);
    Ok(())
}

#[test]
fn imports_exported_again_fail_as_the_host_does() -> Result<()> {
    let (mut store, instance) = again()?;
    let twice = instance.get_typed_func::<(u32,), u32>(&mut store, "twice")?;
    let error = twice.call(&mut store, (13,)).unwrap_err();
    assert_eq!(error.downcast_ref(), Some(&Refused(13)));
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let panic = std::panic::AssertUnwindSafe(|| twice.call(&mut store, (14,)));
    let payload = std::panic::catch_unwind(panic).unwrap_err();
    std::panic::set_hook(hook);
    assert_eq!(payload.downcast_ref(), Some(&"fourteen"));
    // The component did not run, so it is as good as before …
    let trap = instance.get_typed_func::<(), ()>(&mut store, "trap")?;
    let trapped = trap.call(&mut store, ()).unwrap_err();
    assert_eq!(trap_code(&trapped), Some(TrapCode::Unreachable));
    // … and need not be enterable for what is not its own.
    let locked = trap.call(&mut store, ()).unwrap_err();
    assert_eq!(trap_code(&locked), Some(TrapCode::CannotEnter));
    assert_eq!(twice.call(&mut store, (1,))?, 2);
    let elsewhere = twice.call(&mut Store::new(Host::default()), (1,));
    assert!(elsewhere.is_err());
    Ok(())
}

/// In WIT the exported resource is another than the imported one; here they are the same.
#[test]
fn imports_exported_again_are_called_through_bindings() -> Result<()> {
    let (mut store, instance) = again()?;
    let world = again::Again::new(&mut store, &instance)?;
    let store = &mut store;
    assert_eq!(world.call_twice(&mut *store, 5)?, 10);
    assert_eq!(world.inner().call_g(&mut *store, 6)?, 12);
    let documents = world.documents();
    let files = documents.file();
    let a = files.call_constructor(&mut *store, "a")?;
    let b = files.call_constructor(&mut *store, "b")?;
    assert_eq!(files.call_name(&mut *store, b)?, "b");
    let swapped = documents.call_swap(&mut *store, &[a, b], a)?;
    assert_eq!(swapped, Ok(vec![b, a]));
    let none = documents.call_swap(&mut *store, &[], a)?;
    assert_eq!(none, Err("nothing but a".to_string()));
    assert!(!b.owned(&*store));
    let file = b.into_any().try_into_resource::<File>()?;
    assert_eq!(store.data_mut().table.delete(file)?.0, "b");
    let gone = files.call_name(&mut *store, b).unwrap_err();
    let not_present = matches!(
        gone.downcast_ref(),
        Some(ResourceTableError::NotPresent { .. })
    );
    assert!(not_present, "{gone:#}");
    Ok(())
}

trampette_runtime::guest_resource! {
    /// The counter of `counters.wat`.
    struct Counter = "counter";
}

/// The instance that exports the resource, as bindings see it.
mod counters {
    trampette_bindgen::bindgen!({
        inline: "
            package test:counters;
            world counters {
                export things: interface {
                    resource counter {
                        constructor(start: u32);
                        get: func() -> u32;
                        add: static func(a: borrow<counter>, b: borrow<counter>);
                    }
                    live: func() -> u32;
                }
                export live: func() -> u32;
            }
        ",
    });
}

#[test]
fn resources_that_a_component_exports_itself() -> Result<()> {
    let mut store = Store::new(());
    let instance = Linker::new().instantiate(&mut store, &load("counters"))?;
    let new = "[constructor]counter";
    let new = instance.get_typed_func::<(u32,), Counter>(&mut store, new)?;
    let get = "[method]counter.get";
    let get = instance.get_typed_func::<(Counter,), u32>(&mut store, get)?;
    let add = "[static]counter.add";
    let add = instance.get_typed_func::<(Counter, Counter), ()>(&mut store, add)?;
    let live = instance.get_typed_func::<(), u32>(&mut store, "live")?;
    let (a, b) = (new.call(&mut store, (3,))?, new.call(&mut store, (4,))?);
    add.call(&mut store, (a, b))?;
    assert_eq!(get.call(&mut store, (a,))?, 7);
    assert!(a.owned(&store) && b.owned(&store));
    assert_eq!(live.call(&mut store, ())?, 2);
    a.resource_drop(&mut store)?;
    assert_eq!(live.call(&mut store, ())?, 1);
    assert!(get.call(&mut store, (a,)).is_err());
    assert_eq!(get.call(&mut store, (b,))?, 4);
    Ok(())
}

#[test]
fn what_is_checked_before_there_is_an_instance() -> Result<()> {
    let component = load("counters");
    let pre = Linker::<()>::new().instantiate_pre(&component)?;
    let counters = counters::CountersPre::new(pre.clone())?;
    // Every instance is its own.
    for start in 0..3 {
        let mut store = Store::new(());
        let world = counters.clone().instantiate(&mut store)?;
        let counter = world.things().counter();
        let it = counter.call_constructor(&mut store, start)?;
        assert_eq!(counter.call_get(&mut store, it)?, start);
        assert_eq!(world.call_live(&mut store)?, 1);
    }

    let error = |error: anyhow::Error| format!("{error:#}");
    let refused = [
        (
            pre.typed_export::<(), u32>("dead").err(),
            "no such function",
        ),
        (
            pre.typed_export::<(), u32>("things").err(),
            "expected a function, found",
        ),
        (
            pre.typed_export::<(), u64>("live").err(),
            "the component exports `func() -> u32`",
        ),
    ];
    for (refused, text) in refused {
        let message = refused.map(error).expect("refused");
        assert!(message.contains(text), "{message}");
    }

    let live = pre.typed_export::<(), u32>("live")?;
    let mut store = Store::new(());
    let mine = pre.instantiate(&mut store)?;
    assert_eq!(live.of(&store, &mine)?.call(&mut store, ())?, 0);
    let other = Linker::new().instantiate(&mut store, &component)?;
    let message = live.of(&store, &other).err().map(error).expect("refused");
    assert!(
        message.contains("made by another `InstancePre`"),
        "{message}"
    );
    let message = live
        .of(Store::new(()), &mine)
        .err()
        .map(error)
        .expect("refused");
    assert!(message.contains("a store that it is not in"), "{message}");
    Ok(())
}

/// A component that lacks what a world exports is refused when it is loaded.
#[test]
fn components_of_another_world_are_refused_before_there_is_an_instance() -> Result<()> {
    let wasm = wat::parse_str("(component)")?;
    let artifact = trampette::compile_component(&wasm, &trampette::CompileOptions::default())?;
    let empty = artifact.load()?;
    let pre = Linker::<()>::new().instantiate_pre(&empty)?;
    let error = counters::CountersPre::new(pre).err().expect("refused");
    assert_eq!(
        format!("{error:#}"),
        "export function `live`: the component exports no such function"
    );
    Ok(())
}

#[test]
fn resources_of_an_exported_interface_through_bindings() -> Result<()> {
    let mut store = Store::new(());
    let component = load("counters");
    let world = counters::Counters::instantiate(&mut store, &component, &Linker::new())?;
    let store = &mut store;
    let things = world.things();
    let counter = things.counter();
    let a = counter.call_constructor(&mut *store, 30)?;
    let b = counter.call_constructor(&mut *store, 12)?;
    counter.call_add(&mut *store, a, b)?;
    assert_eq!(counter.call_get(&mut *store, a)?, 42);
    assert_eq!(
        (
            things.call_live(&mut *store)?,
            world.call_live(&mut *store)?
        ),
        (2, 2)
    );
    let any: ResourceAny = a.into_any();
    assert_eq!(any, a.into_any());
    a.resource_drop(&mut *store)?;
    assert_eq!(things.call_live(&mut *store)?, 1);
    let again = a.resource_drop(&mut *store).unwrap_err();
    assert_eq!(trap_code(&again), Some(TrapCode::UnknownHostHandle));
    let gone = counter.call_get(&mut *store, a).unwrap_err();
    assert_eq!(
        gone.to_string(),
        "export `things` function `[method]counter.get`: parameter `self`: resource `counter` was \
         given away or dropped"
    );
    Ok(())
}

/// `fail` fails in ways that its operand chooses; it may call another instance for that.
fn failing(inner: Option<Component>) -> Result<Linker<()>> {
    let mut linker = Linker::<()>::new();
    let root = &mut linker.root();
    root.func_wrap::<(u32,), u32, _>("fail", move |mut caller, (how,)| {
        if let Some(component) = &inner {
            let instance = failing(None)?.instantiate(&mut caller, component)?;
            let call = instance.get_typed_func::<(u32,), u32>(&mut caller, "call")?;
            return call.call(&mut caller, (how,));
        }
        match how {
            0 => Ok(7),
            how => Err(anyhow::Error::new(Refused(how)).context("while failing")),
        }
    })?;
    Ok(linker)
}

/// Host, guest, guest, host, and once more around: the error that comes out is the one that went
/// in.
#[test]
fn errors_of_the_host_travel_through_guests() -> Result<()> {
    let component = load("through");
    for inner in [None, Some(component.clone())] {
        let linker = failing(inner)?;
        let mut store = Store::new(());
        let instance = linker.instantiate(&mut store, &component)?;
        let call = instance.get_typed_func::<(u32,), u32>(&mut store, "call")?;
        assert_eq!(call.call(&mut store, (0,))?, 7);
        let error = call.call(&mut store, (5,)).unwrap_err();
        assert_eq!(error.downcast_ref(), Some(&Refused(5)), "{error:?}");
        assert_eq!(error.root_cause().to_string(), "refused 5");
        assert!(
            error
                .chain()
                .any(|cause| cause.to_string() == "while failing")
        );
        let backtrace = error.downcast_ref::<WasmBacktrace>();
        assert!(!backtrace.expect("a backtrace").frames().is_empty());
        let locked = call.call(&mut store, (0,)).unwrap_err();
        assert_eq!(trap_code(&locked), Some(TrapCode::CannotEnter));

        let instance = linker.instantiate(&mut store, &component)?;
        let call = instance.get_func(&mut store, "call").unwrap();
        let error = call.call(&mut store, &[Val::U32(6)]).unwrap_err();
        assert_eq!(error.downcast_ref(), Some(&Refused(6)), "{error:?}");
    }
    Ok(())
}

/// `through.wat` overwrites its result in post-return.
#[test]
fn results_are_viewed_in_place_before_post_return() -> Result<()> {
    let mut linker = Linker::<()>::new();
    let component = load("through");
    linker.define_unknown_imports_as_traps(&component)?;
    let mut store = Store::new(());
    let instance = linker.instantiate(&mut store, &component)?;
    let bytes = instance.get_typed_func::<(), Vec<u8>>(&mut store, "bytes")?;
    let ended = instance.get_typed_func::<(), u32>(&mut store, "ended")?;
    let viewed = bytes.call_view(&mut store, (), |bytes| Ok(bytes.to_vec()))?;
    assert_eq!(viewed, b"abcd");
    assert_eq!(ended.call(&mut store, ())?, 1);
    // The same place, and no copy of what was there.
    let address = bytes.call_view(&mut store, (), |bytes| {
        assert_eq!(bytes, [0; 4]);
        Ok(bytes.as_ptr().addr())
    })?;
    let again = bytes.call_view(&mut store, (), |bytes| Ok(bytes.as_ptr().addr()))?;
    assert_eq!((address, ended.call(&mut store, ())?), (again, 3));

    let call = instance.get_typed_func::<(u32,), u32>(&mut store, "call")?;
    let unknown = call.call(&mut store, (0,)).unwrap_err();
    assert_eq!(
        unknown.root_cause().to_string(),
        "import function `fail`: it is not defined in the linker"
    );
    Ok(())
}

/// Parameters of few, some and many words: the buffers of each size.
#[test]
fn dynamic_calls_of_every_size() -> Result<()> {
    let words = |count: usize| {
        let params: String = (0..count)
            .map(|i| format!("(param \"p{i}\" u64)"))
            .collect();
        let core: String = (0..count).map(|_| "(param i64)").collect();
        let sum: String = (0..count)
            .map(|i| format!("(local.set $sum (i64.add (local.get $sum) (local.get {i})))"))
            .collect();
        (params, core, sum)
    };
    for count in [0, 1, 4, 5, 16] {
        let (params, core, sum) = words(count);
        let text = format!(
            r#"(component
                (core module $m
                    (func (export "sum") {core} (result i64) (local $sum i64) {sum} (local.get $sum))
                    (func (export "none") {core}))
                (core instance $i (instantiate $m))
                (func (export "sum") {params} (result u64) (canon lift (core func $i "sum")))
                (func (export "none") {params} (canon lift (core func $i "none"))))"#
        );
        let artifact = trampette::compile_component(&wat::parse_str(&text)?, &Default::default())?;
        let component = artifact.load()?;
        let mut store = Store::new(());
        let instance = Linker::new().instantiate(&mut store, &component)?;
        let args: Vec<Val> = (1..=count as u64).map(Val::U64).collect();
        let expected = Val::U64(args.len() as u64 * (args.len() as u64 + 1) / 2);
        let sum = instance.get_func(&mut store, "sum").expect("a function");
        assert_eq!(sum.call_value(&mut store, &args)?, Some(expected.clone()));
        assert_eq!(sum.call(&mut store, &args)?, [expected]);
        let none = instance.get_func(&mut store, "none").expect("a function");
        assert_eq!(none.call_value(&mut store, &args)?, None);
        assert_eq!(none.call(&mut store, &args)?, []);
    }
    Ok(())
}

/// Interfaces that give types names, other names for the same types, and none.
const NAMES: &str = r#"(component
  (import "test:geo/types@1.0.0" (instance $types
    (type $p (record (field "x" s32) (field "y" s32)))
    (export "point" (type $point (eq $p)))
    (type $l (record (field "from" $point) (field "to" $point)))
    (export "line" (type $line (eq $l)))
    (export "descriptor" (type $descriptor (sub resource)))
    (type $s (list $point))
    (export "shape" (type $shape (eq $s)))
    (type $a (flags "read" "write"))
    (export "access" (type $access (eq $a)))
    (type $named (list (tuple string u32)))
    (export "[method]descriptor.trace"
      (func (param "self" (borrow $descriptor)) (param "how" $access) (param "named" $named)
        (result (option $point))))
    (export "[method]descriptor.draw"
      (func (param "self" (borrow $descriptor)) (param "lines" (list $line))))))
  (alias export $types "point" (type $point))
  (alias export $types "descriptor" (type $descriptor))
  (import "test:geo/places@1.0.0" (instance
    (alias outer 1 $point (type $outer))
    (export "place" (type $place (eq $outer)))
    (type $whole (variant (case "at" $place) (case "nowhere")))
    (export "whereabouts" (type $whereabouts (eq $whole)))
    (export "go" (func (param "to" $place) (result $whereabouts)))))
  (import "far" (func $far (param "p" $point) (result (own $descriptor))))
  (type $c (enum "red" "green"))
  (export $color "color" (type $c))
  (export "far-again" (func $far))
  (core module $m
    (func (export "f") (param i32) (result i32) (i32.const 1)))
  (core instance $i (instantiate $m))
  (func $mix (param "with" $color) (result $color) (canon lift (core func $i "f")))
  (export "mix" (func $mix)))"#;

#[test]
fn worlds_name_their_types() -> Result<()> {
    let wasm = wat::parse_str(NAMES)?;
    let artifact = trampette::compile_component(&wasm, &trampette::CompileOptions::default())?;
    trampette::verify::verify(artifact.bytes())?;
    let component = artifact.load()?;
    let world = component.world();
    let lines: Vec<String> = world.imports().map(|item| format!("{item:?}")).collect();
    let types = "test:geo/types@1.0.0";
    let places = "test:geo/places@1.0.0";
    let expected = [
        format!("{types}: interface"),
        format!("{types} / record point {{ x: s32, y: s32 }}"),
        format!("{types} / record line {{ from: point, to: point }}"),
        format!("{types} / resource descriptor"),
        format!("{types} / type shape = list<point>"),
        format!("{types} / flags access {{ read, write }}"),
        format!(
            "{types} / [method]descriptor.trace: func(self: borrow<descriptor>, how: access, \
             named: list<tuple<string, u32>>) -> option<point>"
        ),
        format!(
            "{types} / [method]descriptor.draw: func(self: borrow<descriptor>, \
             lines: list<line>)"
        ),
        format!("{places}: interface"),
        format!("{places} / record place {{ x: s32, y: s32 }}"),
        format!("{places} / variant whereabouts {{ at(place), nowhere }}"),
        format!("{places} / go: func(to: place) -> whereabouts"),
        "far: func(p: point) -> own<descriptor>".to_string(),
    ];
    assert_eq!(lines, expected);
    let lines: Vec<String> = world.exports().map(|item| item.to_string()).collect();
    let expected = [
        "enum color { red, green }",
        "far-again: func(p: point) -> own<descriptor>",
        "mix: func(with: color) -> color",
    ];
    assert_eq!(lines, expected);

    let go = world.imports().find(|item| item.name() == "go").unwrap();
    assert_eq!(go.path(), [places, "go"]);
    let WorldItemKind::Func(go) = go.kind() else {
        panic!("a function");
    };
    let [("to", place)] = go.params().collect::<Vec<_>>()[..] else {
        panic!("one parameter");
    };
    assert_eq!(place.name(), Some("place"));
    assert_eq!(place.definition(), "record { x: s32, y: s32 }");
    let TypeShape::Record(fields) = place.shape() else {
        panic!("a record");
    };
    assert_eq!(format!("{fields:?}"), r#"[("x", s32), ("y", s32)]"#);
    assert_eq!(format!("{:?}", go.result()), "Some(whereabouts)");

    // Nothing else that users print has numbers of types.
    let mut linker = Linker::<()>::new();
    linker.define_unknown_imports_as_traps(&component)?;
    let mut store = Store::new(());
    let instance = linker.instantiate(&mut store, &component)?;
    let mix = instance.get_func(&mut store, "mix").unwrap();
    let mixed = "func(with: enum { red, green }) -> enum { red, green }";
    assert_eq!(
        format!("{mix:?}"),
        format!("export function `mix`: {mixed}")
    );
    let exports: Vec<_> = instance.exports().collect();
    assert_eq!(
        format!("{exports:?}"),
        format!(
            "[color: type enum {{ red, green }}, far-again: func(p: record {{ x: s32, y: s32 }}) \
             -> own<descriptor>, mix: {mixed}]"
        )
    );
    Ok(())
}

/// Of every component of the tests, all that is imported is listed, and nothing by number.
#[test]
fn worlds_list_all_imports() {
    for name in ["again", "counters", "through"] {
        let component = load(name);
        let world = component.world();
        let funcs = |kind| matches!(kind, WorldItemKind::Func(_));
        let listed = world.imports().filter(|item| funcs(item.kind()));
        let listed: Vec<_> = listed.map(|item| item.path().to_vec()).collect();
        let imports = component.metadata().imports.iter();
        let imports: Vec<_> = imports.map(|import| import.path.clone()).collect();
        assert_eq!(listed, imports);
        assert_eq!(world.exports().len(), component.metadata().exports.len());
        let text = format!("{world:?}");
        let numbered = |id: &str| {
            let after = text.split(id).skip(1);
            after
                .clone()
                .any(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
        };
        assert!(!numbered("resource") && !numbered("type"), "{text}");
    }
    let module = wat::parse_str(r#"(module (import "a" "b" (func)))"#).unwrap();
    let artifact = trampette::compile_module(&module, &Default::default()).unwrap();
    let module = artifact.load().unwrap();
    assert_eq!(module.world().imports().len(), 0);
}

/// The names are not looked at before somebody asks, and damaged ones leave the functions.
#[test]
fn damaged_names_of_imports_leave_the_functions() {
    use object::{Object, ObjectSection};

    let wasm = wat::parse_str(NAMES).unwrap();
    let artifact = trampette::compile_component(&wasm, &Default::default()).unwrap();
    let good = artifact.into_bytes();
    let file = object::File::parse(&good[..]).unwrap();
    let section = file.section_by_name(".trampette.world").unwrap();
    let (start, length) = section.file_range().unwrap();
    let lazy = LoadOptions::new().verify(Verify::Metadata);
    for at in start as usize..(start + length) as usize {
        for bits in [0x01, 0x80, 0xff] {
            let mut bytes = good.clone();
            bytes[at] ^= bits;
            assert!(trampette::verify::verify(&bytes).is_err(), "byte {at}");
            // SAFETY: of code and metadata, nothing was changed.
            let component = unsafe { Component::from_bytes_with(&bytes, &lazy) }.unwrap();
            let world = component.world();
            let text = format!("{world:?}");
            assert!(text.contains("mix: func(with: color) -> color"), "{text}");
            assert!(world.imports().len() <= length as usize);
        }
    }
    let mut bytes = good.clone();
    bytes[start as usize..(start + length) as usize].fill(0xff);
    // SAFETY: as above.
    let component = unsafe { Component::from_bytes_with(&bytes, &lazy) }.unwrap();
    let world = component.world();
    let lines: Vec<String> = world.imports().map(|item| item.to_string()).collect();
    assert!(lines.contains(&"far: func(p: record { x: s32, y: s32 }) -> own<descriptor>".into()));
}
