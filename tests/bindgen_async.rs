//! `async` functions in bindings: a host whose functions are ready, wait and fail, called by a
//! guest that is called in each way that bindings have.

#[path = "support/block_on.rs"]
mod block_on;
#[path = "support/turns.rs"]
mod turns;
#[path = "support/ways.rs"]
mod ways;

use anyhow::Result;
use block_on::block_on;
use std::future::poll_fn;
use std::task::{Context, Poll, Waker};
use trampette_runtime::{Access, Linker, Resource, Store, StoreLimits, Trap, TrapCode};
use turns::Turns;
use ways::{WAYS, Way};

mod bindings {
    trampette_bindgen::bindgen!({
        inline: "
            package test:later@1.2.0;
            interface files {
                enum code { missing, denied }
                resource file {
                    open: static async func(path: string) -> result<file, code>;
                    size: async func() -> result<u64, code>;
                }
            }
            world later {
                use files.{code};
                import files;
                export run: async func(path: string) -> result<u64, code>;
            }
        ",
        with: { "test:later/files/file": super::File },
        trappable: { "test:later/files/code": super::Failure },
    });
}

use bindings::Later;
use bindings::test::later::files::{self, Code};

/// A component of that world: `run` opens a file, asks for its size, and closes it.
const GUEST: &str = r#"
(component
  (import "test:later/files@1.2.0" (instance $files
    (type $enum (enum "missing" "denied"))
    (export "code" (type $code (eq $enum)))
    (export "file" (type $file (sub resource)))
    (export "[static]file.open"
      (func async (param "path" string) (result (result (own $file) (error $code)))))
    (export "[method]file.size"
      (func async (param "self" (borrow $file)) (result (result u64 (error $code)))))))
  (alias export $files "code" (type $code))
  (alias export $files "file" (type $file))
  (core module $libc
    (memory (export "memory") 2)
    (global $next (mut i32) (i32.const 1024))
    (func (export "realloc") (param i32 i32 i32 i32) (result i32)
      (global.get $next)
      (global.set $next (i32.add (global.get $next) (local.get 3)))))
  (core instance $libc (instantiate $libc))
  (alias core export $libc "memory" (core memory $memory))
  (core func $open (canon lower (func $files "[static]file.open") (memory $memory)))
  (core func $size (canon lower (func $files "[method]file.size") (memory $memory)))
  (core func $close (canon resource.drop $file))
  (core module $main
    (import "" "memory" (memory 1))
    (import "" "open" (func $open (param i32 i32 i32)))
    (import "" "size" (func $size (param i32 i32)))
    (import "" "close" (func $close (param i32)))
    (func (export "run") (param $path i32) (param $length i32) (result i32)
      (local $file i32)
      (call $open (local.get $path) (local.get $length) (i32.const 0))
      (if (i32.load8_u (i32.const 0)) (then
        (i32.store8 (i32.const 16) (i32.const 1))
        (i32.store8 (i32.const 24) (i32.load8_u (i32.const 4)))
        (return (i32.const 16))))
      (local.set $file (i32.load (i32.const 4)))
      (call $size (local.get $file) (i32.const 16))
      (call $close (local.get $file))
      (i32.const 16)))
  (core instance $main (instantiate $main (with "" (instance
    (export "memory" (memory $memory))
    (export "open" (func $open))
    (export "size" (func $size))
    (export "close" (func $close))))))
  (func (export "run") async (param "path" string) (result (result u64 (error $code)))
    (canon lift (core func $main "run") (memory $memory) (realloc (core func $libc "realloc")))))
"#;

struct File;

/// The host's own error.
enum Failure {
    Missing,
    Denied,
    Broken(anyhow::Error),
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Failure::Broken(error)
    }
}

/// A part of the store's data.
#[derive(Default)]
struct Disk {
    opened: u32,
    closed: u32,
    refused: u32,
    /// Whether what waits at the gate goes on, and who is to know.
    gate_is_open: bool,
    at_gate: Option<Waker>,
}

/// Ready when the gate is open.
async fn opened(cx: impl Access<Disk>) {
    poll_fn(|context| {
        let is_open = cx.with(|disk| {
            disk.at_gate = Some(context.waker().clone());
            disk.gate_is_open
        });
        match is_open {
            Ok(false) => Poll::Pending,
            _ => Poll::Ready(()),
        }
    })
    .await;
}

impl files::ConvertCode for Disk {
    fn convert_code(&mut self, failure: Failure) -> Result<Code> {
        self.refused += 1;
        match failure {
            Failure::Missing => Ok(Code::Missing),
            Failure::Denied => Ok(Code::Denied),
            Failure::Broken(error) => Err(error),
        }
    }
}

impl files::HostFile for Disk {
    async fn open(cx: impl Access<Self>, path: String) -> Result<Resource<File>, Failure> {
        let (when, what) = path.split_once(':').unwrap_or(("now", &path));
        match when {
            "later" => Turns(3).await,
            "gate" => opened(cx).await,
            _ => {}
        }
        match what {
            "missing" => Err(Failure::Missing),
            "denied" => Err(Failure::Denied),
            "broken" => Err(anyhow::anyhow!("the disk is broken").into()),
            _ => {
                cx.with(|disk| disk.opened += 1)?;
                Ok(Resource::new(what.len() as u32))
            }
        }
    }

    async fn size(cx: impl Access<Self>, file: Resource<File>) -> Result<u64, Failure> {
        Turns(1).await;
        // The whole data, too, can be had.
        let whole = cx
            .store()
            .with(|caller| std::any::type_name_of_val(caller.data()))?;
        assert_eq!(whole, std::any::type_name::<Data>());
        Ok(file.rep().into())
    }

    fn drop(&mut self, _: Resource<File>) -> Result<()> {
        self.closed += 1;
        Ok(())
    }
}

impl files::Host for Disk {}

/// The store's data: the implementation, behind something else.
type Data = (u8, Disk);

fn guest() -> Result<(Store<Data>, Later)> {
    let wasm = wat::parse_str(GUEST)?;
    let options = trampette::CompileOptions::default();
    let component = trampette::compile_component(&wasm, &options)?.load()?;
    let mut linker = Linker::new();
    Later::add_to_linker(&mut linker, |data: &mut Data| &mut data.1)?;
    let mut store = Store::new((7, Disk::default()));
    let world = Later::instantiate(&mut store, &component, &linker)?;
    Ok((store, world))
}

fn run(store: &mut Store<Data>, world: &Later, way: Way, path: &str) -> Result<Result<u64, Code>> {
    match way {
        Way::Blocking => world.call_run(store, path),
        Way::Async => block_on(world.call_run_async(store, path.to_string())),
        Way::Concurrent => block_on(
            store.run_concurrent(async |cx| world.call_run_concurrent(cx, path.to_string()).await),
        )?,
    }
}

#[test]
fn hosts_functions_are_ready_or_wait_or_fail() -> Result<()> {
    for way in WAYS {
        let (mut store, world) = guest()?;
        for (path, expected, counts) in [
            ("four", Ok(4), (1, 1, 0)),
            ("later:seven", Ok(5), (2, 2, 0)),
            ("missing", Err(Code::Missing), (2, 2, 1)),
            ("later:denied", Err(Code::Denied), (2, 2, 2)),
            ("", Ok(0), (3, 3, 2)),
        ] {
            let found = run(&mut store, &world, way, path)?;
            assert_eq!(found, expected, "{path}, {way:?}");
            let disk = &store.data().1;
            let found = (disk.opened, disk.closed, disk.refused);
            assert_eq!(found, counts, "{path}, {way:?}");
        }
    }
    Ok(())
}

#[test]
fn errors_of_the_hosts_own_can_be_traps() -> Result<()> {
    for way in WAYS {
        for path in ["broken", "later:broken"] {
            let (mut store, world) = guest()?;
            let error = run(&mut store, &world, way, path).unwrap_err();
            assert!(
                format!("{error:#}").ends_with("the disk is broken"),
                "{error:#}"
            );
            let again = run(&mut store, &world, way, "a").unwrap_err();
            let trap = again.downcast_ref::<Trap>().map(Trap::kind);
            assert_eq!(trap, Some(TrapCode::CannotEnter), "{path}, {way:?}");
        }
    }
    Ok(())
}

/// Owned parameters are charged to the store; views would not be.
#[test]
fn owned_parameters_count_as_values() -> Result<()> {
    let limits = StoreLimits::default().with_value_bytes(1000);
    for way in WAYS {
        let (mut store, world) = guest()?;
        store.set_limits(limits);
        // Each call has all of the limit.
        for _ in 0..3 {
            assert_eq!(run(&mut store, &world, way, &"a".repeat(900))?, Ok(900));
        }
        let error = run(&mut store, &world, way, &"a".repeat(1100)).unwrap_err();
        assert!(format!("{error:#}").contains("1000"), "{error:#}");
        assert_eq!(store.data().1.opened, 3);
    }
    Ok(())
}

/// Many at once: each waits its turn, since the guest's tasks hold its lock.
#[test]
fn many_calls_at_once() -> Result<()> {
    let (mut store, world) = guest()?;
    let lengths = block_on(store.run_concurrent(async |cx| {
        let paths = (0..100).map(|length| format!("later:{}", "a".repeat(length)));
        let calls = paths.map(|path| Box::pin(world.call_run_concurrent(cx, path)));
        let mut calls: Vec<_> = calls.collect();
        // Begun in the opposite order.
        poll_fn(|context| {
            for call in calls.iter_mut().rev() {
                assert!(call.as_mut().poll(context).is_pending());
            }
            Poll::Ready(())
        })
        .await;
        let mut lengths = Vec::new();
        for call in calls {
            lengths.push(call.await?);
        }
        anyhow::Ok(lengths)
    }))??;
    assert_eq!(lengths, (0..100).map(Ok).collect::<Vec<_>>());
    assert_eq!(store.data().1.closed, 100);
    Ok(())
}

/// A call that is dropped goes on to its end when the store is driven, and is in nobody's way.
#[test]
fn dropped_calls() -> Result<()> {
    let (mut store, world) = guest()?;
    let mut call = Box::pin(world.call_run_async(&mut store, "gate:abc".to_string()));
    let mut cx = Context::from_waker(Waker::noop());
    assert!(call.as_mut().poll(&mut cx).is_pending());
    drop(call);
    let disk = &mut store.data_mut().1;
    assert_eq!((disk.opened, disk.closed), (0, 0));
    disk.gate_is_open = true;
    disk.at_gate.take().unwrap().wake();
    assert_eq!(world.call_run(&mut store, "ab")?, Ok(2));
    let disk = &store.data().1;
    assert_eq!((disk.opened, disk.closed), (2, 2));
    Ok(())
}
