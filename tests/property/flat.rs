//! Core values that are results themselves: what lifting masks, normalises or refuses in them.

use super::hostile::call;
use super::{compile, same};
use trampette_runtime::{Linker, Store, Trap, TrapCode, Val};

const GUEST: &str = r#"
(component
  (type $e' (enum "e0" "e1" "e2"))
  (export $e "e" (type $e'))
  (type $f' (flags "g0" "g1" "g2"))
  (export $f "f" (type $f'))
  (core module $main
    (func (export "i32") (param i32) (result i32) (local.get 0))
    (func (export "i64") (param i64) (result i64) (local.get 0))
    (func (export "f32") (param i32) (result f32) (f32.reinterpret_i32 (local.get 0))))
  (core instance $main (instantiate $main))
  (alias core export $main "i32" (core func $i32))
  (alias core export $main "i64" (core func $i64))
  (alias core export $main "f32" (core func $f32))
  (func (export "bool") (param "x" u32) (result bool) (canon lift (core func $i32)))
  (func (export "u8") (param "x" u32) (result u8) (canon lift (core func $i32)))
  (func (export "s8") (param "x" u32) (result s8) (canon lift (core func $i32)))
  (func (export "u16") (param "x" u32) (result u16) (canon lift (core func $i32)))
  (func (export "s16") (param "x" u32) (result s16) (canon lift (core func $i32)))
  (func (export "s32") (param "x" u32) (result s32) (canon lift (core func $i32)))
  (func (export "char") (param "x" u32) (result char) (canon lift (core func $i32)))
  (func (export "enum") (param "x" u32) (result $e) (canon lift (core func $i32)))
  (func (export "flags") (param "x" u32) (result $f) (canon lift (core func $i32)))
  (func (export "result") (param "x" u32) (result (result)) (canon lift (core func $i32)))
  (func (export "f32") (param "x" u32) (result f32) (canon lift (core func $f32))))
"#;

#[test]
fn flat_results_are_masked_or_refused() {
    let component = compile(GUEST).unwrap();
    let flags = |names: &[&str]| Val::Flags(names.iter().map(|name| (*name).into()).collect());
    for (name, bits, expected) in [
        ("bool", 0, Ok(Val::Bool(false))),
        ("bool", 2, Ok(Val::Bool(true))),
        ("bool", 0x100, Ok(Val::Bool(true))),
        ("bool", u32::MAX, Ok(Val::Bool(true))),
        ("u8", 0xabcd_ef80, Ok(Val::U8(0x80))),
        ("s8", 0xabcd_ef80, Ok(Val::S8(-128))),
        ("u16", 0xabcd_8001, Ok(Val::U16(0x8001))),
        ("s16", 0xabcd_8001, Ok(Val::S16(-0x7fff))),
        ("s32", u32::MAX, Ok(Val::S32(-1))),
        ("char", 0xd7ff, Ok(Val::Char('\u{d7ff}'))),
        ("char", 0xd800, Err(TrapCode::InvalidChar)),
        ("char", 0xdfff, Err(TrapCode::InvalidChar)),
        ("char", 0xe000, Ok(Val::Char('\u{e000}'))),
        ("char", 0x10_ffff, Ok(Val::Char('\u{10ffff}'))),
        ("char", 0x11_0000, Err(TrapCode::InvalidChar)),
        ("char", 0x8000_0041, Err(TrapCode::InvalidChar)),
        ("enum", 2, Ok(Val::Enum("e2".into()))),
        ("enum", 3, Err(TrapCode::InvalidDiscriminant)),
        ("enum", 0x100, Err(TrapCode::InvalidDiscriminant)),
        ("flags", 0xffff_fffd, Ok(flags(&["g0", "g2"]))),
        ("result", 1, Ok(Val::Result(Err(None)))),
        ("result", 2, Err(TrapCode::InvalidDiscriminant)),
        ("result", 0x8000_0000, Err(TrapCode::InvalidDiscriminant)),
        ("f32", 0x7f80_0001, Ok(Val::Float32(f32::NAN))),
        ("f32", 0x8000_0000, Ok(Val::Float32(-0.0))),
    ] {
        let mut store = Store::new(());
        let instance = Linker::new().instantiate(&mut store, &component).unwrap();
        let result = call(&mut store, &instance, name, &[Val::U32(bits)]);
        match (result, expected) {
            (Ok(results), Ok(expected)) => {
                assert!(
                    same(&results[0], &expected),
                    "{name} {bits:#x}: {results:?}"
                );
            }
            (Err(error), Err(expected)) => {
                let kind = error.downcast_ref::<Trap>().map(Trap::kind);
                assert_eq!(kind, Some(expected), "{name} {bits:#x}: {error:?}");
            }
            (result, expected) => panic!("{name} {bits:#x}: {result:?}, expected {expected:?}"),
        }
    }
}
