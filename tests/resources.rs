//! Resources between components and the host, and error contexts: who runs which destructor when,
//! handles that travel through several components, and the limits of handle tables.

use anyhow::Result;
use std::rc::Rc;
use trampette::CompileOptions;
use trampette_runtime::{
    Component, ErrorContext, Instance, Linker, Resource, ResourceAny, ResourceTable, Store, Trap,
    TrapCode, TypedFunc, Val,
};

fn compile(text: &str) -> Result<Component> {
    let artifact =
        trampette::compile_component(&wat::parse_str(text)?, &CompileOptions::default())?;
    artifact.load()
}

fn call<T: 'static>(store: &mut Store<T>, instance: &Instance, name: &str) -> Result<u32> {
    let func = instance.get_typed_func::<(), u32>(&mut *store, name)?;
    func.call(store, ())
}

fn trap_code<T>(result: Result<T>) -> Option<TrapCode> {
    let error = result.err()?;
    error.downcast_ref::<Trap>().map(Trap::kind)
}

/// Opens files of the host, and drops or keeps the handles.
const FILES: &str = r#"(component
    (import "file" (type $file (sub resource)))
    (import "open" (func $open (result (own $file))))
    (core func $open (canon lower (func $open)))
    (core func $drop (canon resource.drop $file))
    (core module $m
        (import "" "open" (func $open (result i32)))
        (import "" "drop" (func $drop (param i32)))
        (func (export "leak") (result i32) (call $open))
        (func (export "drop") (result i32) (local $h i32)
            (local.set $h (call $open))
            (call $drop (local.get $h))
            (local.get $h))
        (func (export "drop-borrow") (param i32) (result i32) (call $drop (local.get 0)) (i32.const 1))
        (func (export "keep-borrow") (param i32) (result i32) (local.get 0))
        (func (export "fill") (result i32) (local $n i32)
            (loop $again
                (local.set $n (i32.add (local.get $n) (i32.const 1)))
                (br_if $again (i32.lt_u (call $open) (i32.const 0x10000000))))
            (local.get $n)))
    (core instance $i (instantiate $m (with "" (instance
        (export "open" (func $open)) (export "drop" (func $drop))))))
    (func (export "leak") (result u32) (canon lift (core func $i "leak")))
    (func (export "drop") (result u32) (canon lift (core func $i "drop")))
    (func (export "drop-borrow") (param "f" (borrow $file)) (result u32)
        (canon lift (core func $i "drop-borrow")))
    (func (export "keep-borrow") (param "f" (borrow $file)) (result u32)
        (canon lift (core func $i "keep-borrow")))
    (func (export "fill") (result u32) (canon lift (core func $i "fill"))))"#;

/// A file; how many exist is the count of references to what is in it.
struct File(#[allow(dead_code)] std::sync::Arc<()>);

struct Host {
    table: ResourceTable,
    files: std::sync::Arc<()>,
    destructors: u32,
}

impl Host {
    fn new() -> Host {
        Host {
            table: ResourceTable::new(),
            files: std::sync::Arc::default(),
            destructors: 0,
        }
    }
}

fn files() -> Result<Linker<Host>> {
    let mut linker = Linker::<Host>::new();
    linker.root().resource::<File>("file", |mut caller, rep| {
        caller.data_mut().destructors += 1;
        caller.data_mut().table.delete(Resource::<File>::new(rep))?;
        Ok(())
    })?;
    linker
        .root()
        .func_wrap::<(), Resource<File>, _>("open", |mut caller, ()| {
            let host = caller.data_mut();
            let file = File(host.files.clone());
            Ok(host.table.push(file)?)
        })?;
    Ok(linker)
}

#[test]
fn the_host_runs_its_destructor_when_a_guest_drops_an_owned_handle() -> Result<()> {
    let component = compile(FILES)?;
    let mut store = Store::new(Host::new());
    let instance = files()?.instantiate(&mut store, &component)?;
    for count in 1..=3 {
        call(&mut store, &instance, "drop")?;
        assert_eq!(
            (store.data().destructors, store.data().table.len()),
            (count, 0)
        );
    }
    // Not when it drops a borrowed one.
    let file = File(store.data().files.clone());
    let rep = store.data_mut().table.push(file)?.rep();
    type Borrows = (Resource<File>,);
    let drop = instance.get_typed_func::<Borrows, u32>(&mut store, "drop-borrow")?;
    assert_eq!(drop.call(&mut store, (Resource::new(rep),))?, 1);
    assert_eq!((store.data().destructors, store.data().table.len()), (3, 1));
    // A borrowed handle that is still there when the call ends is a trap.
    let keep = instance.get_typed_func::<Borrows, u32>(&mut store, "keep-borrow")?;
    let kept = keep.call(&mut store, (Resource::new(rep),));
    assert_eq!(trap_code(kept), Some(TrapCode::BorrowsRemain));
    Ok(())
}

#[test]
fn what_a_guest_leaks_goes_with_the_embedders_data() -> Result<()> {
    let component = compile(FILES)?;
    let linker = files()?;
    let mut store = Store::new(Host::new());
    let instance = linker.instantiate(&mut store, &component)?;
    call(&mut store, &instance, "leak")?;
    call(&mut store, &instance, "leak")?;
    let files = store.data().files.clone();
    assert_eq!(std::sync::Arc::strong_count(&files), 4);
    let host = store.into_data();
    assert_eq!((host.destructors, host.table.len()), (0, 2));
    drop(host);
    assert_eq!(std::sync::Arc::strong_count(&files), 1);
    Ok(())
}

#[test]
fn the_limit_of_handles_is_a_trap() -> Result<()> {
    let component = compile(FILES)?;
    let mut store = Store::new(Host::new());
    let mut limits = store.limits();
    limits.handles = 1000;
    store.set_limits(limits);
    let instance = files()?.instantiate(&mut store, &component)?;
    let error = call(&mut store, &instance, "fill").unwrap_err();
    assert!(
        error
            .to_string()
            .contains("the limit of handles is reached"),
        "{error}"
    );
    assert_eq!(trap_code::<()>(Err(error)), Some(TrapCode::HandleTableFull));
    // The host's function had made one more, which nobody has a handle of.
    assert_eq!(store.data().table.len(), 1001);
    Ok(())
}

/// What the host lends in a call, it cannot give away in the same.
#[test]
fn the_host_cannot_give_away_what_it_lends() -> Result<()> {
    let component = compile(
        r#"(component
            (type $r' (resource (rep i32)))
            (core func $new (canon resource.new $r'))
            (core module $m
                (import "" "new" (func $new (param i32) (result i32)))
                (memory (export "memory") 1)
                (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 64))
                (func (export "make") (result i32) (call $new (i32.const 7)))
                (func (export "two") (param i32 i32))
                (func (export "many") (param i32 i32 i32)))
            (core instance $i (instantiate $m (with "" (instance (export "new" (func $new))))))
            (export $r "r" (type $r'))
            (func (export "make") (result (own $r)) (canon lift (core func $i "make")))
            (func (export "lend-give") (param "a" (borrow $r)) (param "b" (own $r))
                (canon lift (core func $i "two")))
            (func (export "give-lend") (param "a" (own $r)) (param "b" (borrow $r))
                (canon lift (core func $i "two")))
            (func (export "lend-list-give") (param "a" (list (borrow $r))) (param "b" (own $r))
                (canon lift (core func $i "many")
                    (memory (core memory $i "memory")) (realloc (core func $i "realloc")))))"#,
    )?;
    type Make = TypedFunc<(), ResourceAny>;
    let fresh = || -> Result<(Store<()>, Instance, Make)> {
        let mut store = Store::new(());
        let instance = Linker::new().instantiate(&mut store, &component)?;
        let make = instance.get_typed_func(&mut store, "make")?;
        Ok((store, instance, make))
    };
    let cases = [
        ("lend-give", TrapCode::HandleLent),
        ("give-lend", TrapCode::UnknownHostHandle),
        ("lend-list-give", TrapCode::HandleLent),
    ];
    for (name, code) in cases {
        let (mut store, instance, make) = fresh()?;
        let both = |one: ResourceAny, other: ResourceAny| match name {
            "lend-list-give" => [Val::List(vec![Val::Resource(one)]), Val::Resource(other)],
            _ => [Val::Resource(one), Val::Resource(other)],
        };
        let func = instance.get_func(&mut store, name).unwrap();
        // Two handles are no problem, however often: what was lent is given back.
        let lent = make.call(&mut store, ())?;
        for _ in 0..3 {
            let given = make.call(&mut store, ())?;
            let arguments = match name {
                "give-lend" => both(given, lent),
                _ => both(lent, given),
            };
            func.call(&mut store, &arguments)?;
        }
        let result = func.call(&mut store, &both(lent, lent));
        assert_eq!(trap_code(result), Some(code), "{name}");
    }
    Ok(())
}

/// What the host lends in a call, it cannot drop before that ends, destructor or not.
#[test]
fn the_host_cannot_drop_what_it_lends() -> Result<()> {
    for destructor in ["", "(dtor (core func $nop \"nop\"))"] {
        let component = compile(&format!(
            r#"(component
                (import "host" (func $host))
                (core module $n (func (export "nop") (param i32)))
                (core instance $nop (instantiate $n))
                (type $r' (resource (rep i32) {destructor}))
                (core func $new (canon resource.new $r'))
                (core func $host (canon lower (func $host)))
                (core module $m
                    (import "" "new" (func $new (param i32) (result i32)))
                    (import "" "host" (func $host))
                    (func (export "make") (result i32) (call $new (i32.const 7)))
                    (func (export "lend") (param i32) (result i32)
                        (call $host)
                        (local.get 0)))
                (core instance $i (instantiate $m (with "" (instance
                    (export "new" (func $new)) (export "host" (func $host))))))
                (export $r "r" (type $r'))
                (func (export "make") (result (own $r)) (canon lift (core func $i "make")))
                (func (export "lend") (param "a" (borrow $r)) (result u32)
                    (canon lift (core func $i "lend"))))"#
        ))?;
        let mut linker = Linker::<Option<ResourceAny>>::new();
        linker
            .root()
            .func_wrap::<(), (), _>("host", |mut caller, ()| {
                let lent = caller.data().unwrap();
                let refused = trap_code(lent.resource_drop(&mut caller));
                assert_eq!(refused, Some(TrapCode::CannotEnter));
                assert!(lent.owned(&mut caller));
                Ok(())
            })?;
        let mut store = Store::new(None);
        let instance = linker.instantiate(&mut store, &component)?;
        let make = instance.get_typed_func::<(), ResourceAny>(&mut store, "make")?;
        let lend = instance.get_typed_func::<(ResourceAny,), u32>(&mut store, "lend")?;
        let handle = make.call(&mut store, ())?;
        *store.data_mut() = Some(handle);
        assert_eq!(lend.call(&mut store, (handle,))?, 7);
        handle.resource_drop(&mut store)?;
    }
    Ok(())
}

/// `$a` defines counters; `$b` makes and reads them for `$c`, through which the host sees them.
const CHAIN: &str = r#"(component
    (component $A
        (core module $state
            (global $dropped (mut i32) (i32.const 0))
            (func (export "dtor") (param i32)
                (global.set $dropped (i32.add (global.get $dropped) (local.get 0))))
            (func (export "dropped") (result i32) (global.get $dropped)))
        (core instance $state (instantiate $state))
        (type $r' (resource (rep i32) (dtor (core func $state "dtor"))))
        (core func $new (canon resource.new $r'))
        (core module $m
            (import "" "new" (func $new (param i32) (result i32)))
            (func (export "make") (param i32) (result i32) (call $new (local.get 0)))
            ;; The definer gets the representation.
            (func (export "get") (param i32) (result i32) (i32.add (local.get 0) (i32.const 100))))
        (core instance $i (instantiate $m (with "" (instance (export "new" (func $new))))))
        (export $r "r" (type $r'))
        (func (export "make") (param "rep" u32) (result (own $r)) (canon lift (core func $i "make")))
        (func (export "get") (param "r" (borrow $r)) (result u32) (canon lift (core func $i "get")))
        (func (export "dropped") (result u32) (canon lift (core func $state "dropped"))))
    (component $B
        (import "a" (instance $a
            (export "r" (type $r (sub resource)))
            (export "make" (func (param "rep" u32) (result (own $r))))
            (export "get" (func (param "r" (borrow $r)) (result u32)))))
        (alias export $a "r" (type $r))
        (core func $make (canon lower (func $a "make")))
        (core func $get (canon lower (func $a "get")))
        (core func $drop (canon resource.drop $r))
        (core module $m
            (import "" "make" (func $make (param i32) (result i32)))
            (import "" "get" (func $get (param i32) (result i32)))
            (import "" "drop" (func $drop (param i32)))
            (func (export "make") (param i32) (result i32)
                (call $make (i32.mul (local.get 0) (i32.const 2))))
            ;; A borrowed handle is lent on, and given up before the call ends.
            (func (export "get") (param i32) (result i32) (local $n i32)
                (local.set $n (call $get (local.get 0)))
                (call $drop (local.get 0))
                (local.get $n))
            (func (export "keep") (param i32))
            (func (export "take") (param i32) (call $drop (local.get 0))))
        (core instance $i (instantiate $m (with "" (instance
            (export "make" (func $make)) (export "get" (func $get)) (export "drop" (func $drop))))))
        (export $r2 "r" (type $r))
        (func (export "make") (param "n" u32) (result (own $r2)) (canon lift (core func $i "make")))
        (func (export "get") (param "r" (borrow $r2)) (result u32) (canon lift (core func $i "get")))
        (func (export "keep") (param "r" (borrow $r2)) (canon lift (core func $i "keep")))
        (func (export "take") (param "r" (own $r2)) (canon lift (core func $i "take"))))
    (component $C
        (import "b" (instance $b
            (export "r" (type $r (sub resource)))
            (export "make" (func (param "n" u32) (result (own $r))))
            (export "get" (func (param "r" (borrow $r)) (result u32)))
            (export "keep" (func (param "r" (borrow $r))))
            (export "take" (func (param "r" (own $r))))))
        (alias export $b "r" (type $r))
        (core func $make (canon lower (func $b "make")))
        (core func $get (canon lower (func $b "get")))
        (core func $keep (canon lower (func $b "keep")))
        (core func $take (canon lower (func $b "take")))
        (core func $drop (canon resource.drop $r))
        (core module $m
            (import "" "make" (func $make (param i32) (result i32)))
            (import "" "get" (func $get (param i32) (result i32)))
            (import "" "keep" (func $keep (param i32)))
            (import "" "take" (func $take (param i32)))
            (import "" "drop" (func $drop (param i32)))
            (func (export "run") (result i32) (local $h i32) (local $n i32)
                (local.set $h (call $make (i32.const 5)))
                (local.set $n (call $get (local.get $h)))
                ;; Still owned: read again, then given away for good.
                (local.set $n (i32.add (local.get $n) (call $get (local.get $h))))
                (call $take (local.get $h))
                (call $drop (call $make (i32.const 7)))
                (local.get $n))
            (func (export "keep") (result i32)
                (call $keep (call $make (i32.const 1)))
                (i32.const 0))
            (func (export "twice") (result i32) (local $h i32)
                (local.set $h (call $make (i32.const 1)))
                (call $take (local.get $h))
                (call $take (local.get $h))
                (i32.const 0))
            (func (export "make") (param i32) (result i32) (call $make (local.get 0)))
            (func (export "get") (param i32) (result i32) (local $n i32)
                (local.set $n (call $get (local.get 0)))
                (call $drop (local.get 0))
                (local.get $n)))
        (core instance $i (instantiate $m (with "" (instance
            (export "make" (func $make)) (export "get" (func $get)) (export "keep" (func $keep))
            (export "take" (func $take)) (export "drop" (func $drop))))))
        (export $r3 "r" (type $r))
        (func (export "run") (result u32) (canon lift (core func $i "run")))
        (func (export "keep") (result u32) (canon lift (core func $i "keep")))
        (func (export "twice") (result u32) (canon lift (core func $i "twice")))
        (func (export "make") (param "n" u32) (result (own $r3)) (canon lift (core func $i "make")))
        (func (export "get") (param "r" (borrow $r3)) (result u32) (canon lift (core func $i "get"))))
    (instance $a (instantiate $A))
    (instance $b (instantiate $B (with "a" (instance $a))))
    (instance $c (instantiate $C (with "b" (instance $b))))
    (export "c" (instance $c))
    (export "dropped" (func $a "dropped")))"#;

#[test]
fn handles_travel_through_three_components() -> Result<()> {
    let component = compile(CHAIN)?;
    let mut store = Store::new(());
    let instance = Linker::new().instantiate(&mut store, &component)?;
    assert_eq!(call(&mut store, &instance, "c#run")?, 2 * 110);
    // The definer's destructor ran for both, once.
    assert_eq!(call(&mut store, &instance, "dropped")?, 10 + 14);

    let make = instance.get_typed_func::<(u32,), ResourceAny>(&mut store, "c#make")?;
    let get = instance.get_typed_func::<(ResourceAny,), u32>(&mut store, "c#get")?;
    let counter = make.call(&mut store, (20,))?;
    assert!(counter.owned(&store));
    assert_eq!(get.call(&mut store, (counter,))?, 140);
    assert_eq!(get.call(&mut store, (counter,))?, 140);
    counter.resource_drop(&mut store)?;
    assert_eq!(call(&mut store, &instance, "dropped")?, 24 + 40);
    // Handles that the host leaks are forgotten with the store: no guest code runs then.
    make.call(&mut store, (1,))?;
    drop(store);

    for (name, code) in [
        ("c#keep", TrapCode::BorrowsRemain),
        ("c#twice", TrapCode::UnknownHandle),
    ] {
        let mut store = Store::new(());
        let instance = Linker::new().instantiate(&mut store, &component)?;
        assert_eq!(
            trap_code(call(&mut store, &instance, name)),
            Some(code),
            "{name}"
        );
        // No destructor runs in an instance that has trapped.
        assert_eq!(
            trap_code(call(&mut store, &instance, "dropped")),
            Some(TrapCode::CannotEnter)
        );
    }
    Ok(())
}

/// Passes error contexts on: `relay` asks the host for one and returns it, `report` gives the host
/// its own with the text that it is called with, `text` reads the message of what it is given.
const ERRORS: &str = r#"(component
    (import "latest" (func $latest (result error-context)))
    (import "report" (func $report (param "e" error-context) (param "also" (option error-context))))
    (core module $libc
        (memory (export "mem") 1)
        (global $next (mut i32) (i32.const 1024))
        (func (export "realloc") (param i32 i32 i32 i32) (result i32)
            ;; Every string of the test fits where it is.
            (if (local.get 0) (then (return (local.get 0))))
            (global.set $next (i32.add (global.get $next) (i32.const 64)))
            (global.get $next)))
    (core instance $libc (instantiate $libc))
    (core func $latest (canon lower (func $latest)))
    (core func $report (canon lower (func $report)))
    (core func $new (canon error-context.new (memory (core memory $libc "mem")) string-encoding=ENCODING))
    (core func $message (canon error-context.debug-message (memory (core memory $libc "mem"))
        (realloc (core func $libc "realloc")) string-encoding=ENCODING))
    (core func $drop (canon error-context.drop))
    (core module $m
        (import "" "mem" (memory 1))
        (import "" "latest" (func $latest (result i32)))
        (import "" "report" (func $report (param i32 i32 i32)))
        (import "" "new" (func $new (param i32 i32) (result i32)))
        (import "" "message" (func $message (param i32 i32)))
        (import "" "drop" (func $drop (param i32)))
        (func (export "relay") (result i32) (call $latest))
        (func (export "report") (param i32 i32) (local $e i32)
            (local.set $e (call $new (local.get 0) (local.get 1)))
            (call $report (local.get $e) (i32.const 1) (local.get $e))
            (call $drop (local.get $e)))
        (func (export "text") (param i32) (result i32)
            (call $message (local.get 0) (i32.const 16))
            (call $drop (local.get 0))
            (i32.const 16)))
    (core instance $i (instantiate $m (with "" (instance
        (export "mem" (memory $libc "mem")) (export "latest" (func $latest))
        (export "report" (func $report)) (export "new" (func $new))
        (export "message" (func $message)) (export "drop" (func $drop))))))
    (func (export "relay") (result error-context) (canon lift (core func $i "relay")))
    (func (export "report") (param "text" string) (canon lift (core func $i "report")
        (memory (core memory $libc "mem")) (realloc (core func $libc "realloc")) string-encoding=ENCODING))
    (func (export "text") (param "e" error-context) (result string) (canon lift (core func $i "text")
        (memory (core memory $libc "mem")) (realloc (core func $libc "realloc")) string-encoding=ENCODING)))"#;

#[test]
fn error_contexts_travel_to_hosts_and_back() -> Result<()> {
    let mut linker = Linker::<Vec<String>>::new();
    linker
        .root()
        .func_wrap::<(), ErrorContext, _>("latest", |caller, ()| {
            let latest = caller.data().last().cloned().unwrap_or_default();
            Ok(ErrorContext::new(latest))
        })?;
    type Reported = (ErrorContext, Option<ErrorContext>);
    linker
        .root()
        .func_wrap::<Reported, (), _>("report", |mut caller, (e, also)| {
            let also = also.map(|e| e.debug_message().to_string());
            assert_eq!(also.as_deref(), Some(e.debug_message()));
            caller.data_mut().push(e.debug_message().to_string());
            Ok(())
        })?;
    for encoding in ["utf8", "utf16", "latin1+utf16"] {
        let component = compile(&ERRORS.replace("ENCODING", encoding))?;
        let mut store = Store::new(Vec::new());
        let instance = linker.instantiate(&mut store, &component)?;
        let report = instance.get_typed_func::<(&str,), ()>(&mut store, "report")?;
        let relay = instance.get_typed_func::<(), ErrorContext>(&mut store, "relay")?;
        let text = instance.get_typed_func::<(ErrorContext,), String>(&mut store, "text")?;
        for message in ["disk full", "", "zu wenig Stück", "多"] {
            report.call(&mut store, (message,))?;
            assert_eq!(store.data().last().map(String::as_str), Some(message));
            assert_eq!(relay.call(&mut store, ())?.debug_message(), message);
            let e = ErrorContext::new(message);
            assert_eq!(text.call(&mut store, (e.clone(),))?, message);
            // Dynamic calls, too.
            let text = instance.get_func(&mut store, "text").unwrap();
            assert_eq!(
                text.call(&mut store, &[Val::ErrorContext(e.clone())])?,
                [Val::from(message)]
            );
            let relay = instance.get_func(&mut store, "relay").unwrap();
            assert_eq!(relay.call(&mut store, &[])?, [Val::ErrorContext(e)]);
        }
    }
    Ok(())
}

#[test]
fn messages_beyond_the_limit_are_discarded() -> Result<()> {
    let mut linker = Linker::<Rc<()>>::new();
    linker.root().func_new("latest", |_, _, results| {
        results[0] = Val::ErrorContext(ErrorContext::new("from the host"));
        Ok(())
    })?;
    linker.root().func_new("report", |_, args, _| {
        anyhow::ensure!(args[0] == Val::ErrorContext(ErrorContext::new("")));
        Ok(())
    })?;
    let component = compile(&ERRORS.replace("ENCODING", "utf8"))?;
    let mut store = Store::new(Rc::default());
    let mut limits = store.limits();
    limits.error_context_bytes = 100;
    store.set_limits(limits);
    let instance = linker.instantiate(&mut store, &component)?;
    let text = instance.get_typed_func::<(ErrorContext,), String>(&mut store, "text")?;
    let relay = instance.get_typed_func::<(), ErrorContext>(&mut store, "relay")?;
    // Dropped messages count no more.
    for _ in 0..5 {
        assert_eq!(
            text.call(&mut store, (ErrorContext::new("short"),))?,
            "short"
        );
    }
    assert_eq!(relay.call(&mut store, ())?.debug_message(), "from the host");
    // The guest still has a handle of it.
    assert_eq!(relay.call(&mut store, ())?.debug_message(), "");
    let report = instance.get_typed_func::<(&str,), ()>(&mut store, "report")?;
    report.call(&mut store, ("too much to keep",))?;
    Ok(())
}

/// A circle of two siblings: `a` calls `b`, which calls `a` back, which calls the host.
const CALLS_BACK: &str = r#"
(component
  (import "host" (func $host (result u32)))
  (core module $Switch
    (table (export "table") 1 funcref)
    (func (export "back") (result i32) (call_indirect (result i32) (i32.const 0))))
  (core instance $switch (instantiate $Switch))
  (func $back (result u32) (canon lift (core func $switch "back")))
  (component $B
    (import "back" (func $back (result u32)))
    (core func $back (canon lower (func $back)))
    (core module $m
      (import "" "back" (func $back (result i32)))
      (func (export "call") (result i32) (i32.add (call $back) (i32.const 1))))
    (core instance $m (instantiate $m (with "" (instance (export "back" (func $back))))))
    (func (export "call") (result u32) (canon lift (core func $m "call"))))
  (instance $b (instantiate $B (with "back" (func $back))))
  (component $A
    (import "b" (func $b (result u32)))
    (import "host" (func $host (result u32)))
    (core func $b (canon lower (func $b)))
    (core func $host (canon lower (func $host)))
    (core module $m
      (import "" "b" (func $b (result i32)))
      (import "" "host" (func $host (result i32)))
      (global $depth (mut i32) (i32.const 0))
      (func (export "call") (result i32) (local $result i32)
        (global.set $depth (i32.add (global.get $depth) (i32.const 1)))
        (if (i32.eq (global.get $depth) (i32.const 3))
          (then (local.set $result (call $host)))
          (else (local.set $result (call $b))))
        (global.set $depth (i32.sub (global.get $depth) (i32.const 1)))
        (local.get $result)))
    (core instance $m (instantiate $m (with "" (instance
      (export "b" (func $b)) (export "host" (func $host))))))
    (func (export "call") (result u32) (canon lift (core func $m "call"))))
  (instance $a (instantiate $A (with "b" (func $b "call")) (with "host" (func $host))))
  (core func $a-call (canon lower (func $a "call")))
  (core module $Fill
    (import "" "table" (table 1 funcref))
    (import "" "call" (func $call (result i32)))
    (elem (i32.const 0) func $call))
  (core instance (instantiate $Fill (with "" (instance
    (export "table" (table $switch "table")) (export "call" (func $a-call))))))
  (type $R' (resource (rep i32)))
  (export $R "r" (type $R'))
  (export "a" (func $a "call"))
  (export "b" (func $b "call")))
"#;

/// Instances may call each other back, the host may not: not the one that waits, nor any other of
/// the component. A host function that copes with the refusal changes nothing.
#[test]
fn the_host_cannot_call_a_component_that_waits_for_it() -> Result<()> {
    let component = compile(CALLS_BACK)?;
    type Exports = Vec<TypedFunc<(), u32>>;
    let mut linker = Linker::<Exports>::new();
    linker
        .root()
        .func_wrap::<(), u32, _>("host", |mut caller, ()| {
            for export in caller.data().clone() {
                let refused = trap_code(export.call(&mut caller, ()));
                assert_eq!(refused, Some(TrapCode::CannotEnter));
            }
            Ok(40)
        })?;
    let mut store = Store::new(Exports::new());
    let instance = linker.instantiate(&mut store, &component)?;
    for name in ["a", "b"] {
        let export = instance.get_typed_func(&mut store, name)?;
        store.data_mut().push(export);
    }
    let exports = store.data().clone();
    for _ in 0..2 {
        assert_eq!(exports[0].call(&mut store, ())?, 42);
        assert_eq!(exports[1].call(&mut store, ())?, 43);
    }
    Ok(())
}
