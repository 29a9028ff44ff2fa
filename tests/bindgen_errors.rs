//! Errors of the host's own in bindings (`trappable`): what the guest gets of them, and what traps.

use anyhow::Result;
use trampette_runtime::{Linker, Store, Trap, TrapCode};

mod bindings {
    trampette_bindgen::bindgen!({
        inline: "
            package test:fails@1.2.0;
            interface types {
                enum code { missing, busy }
                check: func(n: u32) -> result<u32, code>;
            }
            world fails {
                use types.{code};
                import types;
                export run: func(n: u32) -> result<u32, code>;
            }
        ",
        trappable: { "test:fails/types/code": super::Failure },
    });
}

use bindings::test::fails::types::{self, Code};

/// A component of that world, of another version: `run` is `check`.
const GUEST: &str = r#"
(component
  (import "test:fails/types@1.0.1" (instance $types
    (type $enum (enum "missing" "busy"))
    (export "code" (type $code (eq $enum)))
    (export "check" (func (param "n" u32) (result (result u32 (error $code)))))))
  (alias export $types "code" (type $code))
  (core module $libc (memory (export "memory") 1))
  (core instance $libc (instantiate $libc))
  (core func $check
    (canon lower (func $types "check") (memory (core memory $libc "memory"))))
  (core module $main
    (import "" "check" (func $check (param i32 i32)))
    (func (export "run") (param i32) (result i32)
      (call $check (local.get 0) (i32.const 8))
      (i32.const 8)))
  (core instance $main (instantiate $main
    (with "" (instance (export "check" (func $check))))))
  (func (export "run") (param "n" u32) (result (result u32 (error $code)))
    (canon lift (core func $main "run") (memory (core memory $libc "memory")))))
"#;

enum Failure {
    Busy { seconds: u32 },
    Broken,
}

/// How long the guest was told to wait.
#[derive(Default)]
struct Host {
    seconds: u32,
}

impl types::ConvertCode for Host {
    fn convert_code(&mut self, failure: Failure) -> Result<Code> {
        match failure {
            Failure::Busy { seconds } => {
                self.seconds += seconds;
                Ok(Code::Busy)
            }
            Failure::Broken => anyhow::bail!("the host is broken"),
        }
    }
}

impl types::Host for Host {
    fn check(&mut self, n: u32) -> Result<u32, Failure> {
        match n {
            0 => Ok(7),
            1 => Err(Failure::Busy { seconds: 3 }),
            _ => Err(Failure::Broken),
        }
    }
}

#[test]
fn errors_are_converted_with_the_host_at_hand_or_trap() -> Result<()> {
    let wasm = wat::parse_str(GUEST)?;
    let artifact = trampette::compile_component(&wasm, &trampette::CompileOptions::default())?;
    let component = artifact.load()?;
    let mut linker = Linker::new();
    bindings::Fails::add_to_linker(&mut linker, |host: &mut Host| host)?;
    let mut store = Store::new(Host::default());
    let world = bindings::Fails::instantiate(&mut store, &component, &linker)?;
    assert_eq!(world.call_run(&mut store, 0)?, Ok(7));
    assert_eq!(store.data().seconds, 0);
    assert_eq!(world.call_run(&mut store, 1)?, Err(Code::Busy));
    assert_eq!(world.call_run(&mut store, 1)?, Err(Code::Busy));
    assert_eq!(store.data().seconds, 6);
    let error = world.call_run(&mut store, 2).unwrap_err();
    assert_eq!(error.root_cause().to_string(), "the host is broken");
    // As after any trap.
    let error = world.call_run(&mut store, 0).unwrap_err();
    let trap = error.downcast_ref::<Trap>().map(Trap::kind);
    assert_eq!(trap, Some(TrapCode::CannotEnter));
    Ok(())
}
