//! Runs what the engine emits, on a small slab made by hand: whatever the host passes to a guest that
//! returns it must come back, in every encoding and width, and whatever a guest passes wrongly must
//! raise the right trap.

mod machine;
mod values;

use super::tests::{ENCODINGS, Example, WIDTHS, all_types, case, list};
use crate::codegen::Session;
use crate::component::program::StringEncoding;
use crate::trampolines::{export_entry, lower_import};
use machine::{MEMORY, ONE_AT_A_TIME, bytes, state, with_machine};
use std::ptr;
use trampette_artifact::ids::*;
use trampette_artifact::native;
use trampette_artifact::trap::TrapCode;
use trampette_artifact::types::{DefinedType, Type, TypeTable};
use values::{TEXTS, Val, Values};

fn holds_handle(types: &TypeTable, ty: Type) -> bool {
    types.display(ty).contains("own<")
}

#[test]
fn lists_and_strings_come_back_from_a_guest() {
    let _one = ONE_AT_A_TIME.lock().unwrap_or_else(|e| e.into_inner());
    let mut types = TypeTable::default();
    let mut all = all_types(&mut types);
    all.retain(|ty| !holds_handle(&types, *ty));
    let mut lists: Vec<Type> = all.into_iter().map(|ty| list(&mut types, ty)).collect();
    lists.push(Type::String);
    for ty in lists {
        for encoding in ENCODINGS {
            for width in WIDTHS {
                let example = Example {
                    encoding,
                    width,
                    ..case(&types, &[ty], Some(ty))
                };
                let emit = |session: &Session<'_>| {
                    export_entry::export_body(session, ExportId(0)).unwrap()
                };
                with_machine(&example, emit, |machine| {
                    let mut values = Values {
                        types: &types,
                        seed: 0x9e37_79b9_7f4a_7c15,
                        memory: Vec::new(),
                    };
                    for _ in 0..8 {
                        let value = values.make(ty);
                        let args = values.block(16);
                        let results = values.block(16);
                        values.write(ty, &value, args);
                        state().next = 1024;
                        let name = types.display(ty);
                        machine
                            .run([args as u64, results as u64, 0, 0])
                            .unwrap_or_else(|trap| {
                                panic!("{name} {encoding:?} {width:?}: {trap:?}")
                            });
                        let back = values.read(ty, results);
                        assert_eq!(back, value, "{name} {encoding:?} {width:?}");
                    }
                });
            }
        }
    }
}

/// Calls a lowered import with core values, after `prepare` wrote into the memory; returns the native
/// arguments.
fn call_import(
    types: &TypeTable,
    ty: Type,
    encoding: StringEncoding,
    prepare: impl FnOnce(&mut [u8]),
    args: [u64; 4],
) -> Result<Val, TrapCode> {
    let example = Example {
        encoding,
        ..case(types, &[ty], None)
    };
    let emit =
        |session: &Session<'_>| lower_import::lower_import(session, TrampolineId(0)).unwrap();
    with_machine(&example, emit, |machine| {
        // SAFETY: nothing else uses the memory now.
        prepare(unsafe { bytes(machine.context() as u64, MEMORY as u64) });
        state().args_size = native::size_align(types, ty).size as usize;
        machine.run(args)?;
        let values = Values {
            types,
            seed: 1,
            memory: Vec::new(),
        };
        let copy = state().args.clone();
        let mut aligned = vec![0u128; copy.len().div_ceil(16).max(1)];
        unsafe { ptr::copy(copy.as_ptr(), aligned.as_mut_ptr().cast(), copy.len()) };
        // What was in the arena is still there for as long as the test does not allocate from it.
        match types.display(ty).contains("list") || ty == Type::String {
            true => Ok(Val::Bits(
                Values::get_bits(aligned.as_ptr().cast(), 8) - machine.context() as u64,
            )),
            false => Ok(values.read(ty, aligned.as_ptr().cast())),
        }
    })
}

#[test]
fn flat_values_are_wrapped_checked_and_reinterpreted() {
    let _one = ONE_AT_A_TIME.lock().unwrap_or_else(|e| e.into_inner());
    let mut types = TypeTable::default();
    let floats = types.intern(DefinedType::Result {
        ok: Some(Type::F64),
        err: Some(Type::F32),
    });
    let three = types.intern(DefinedType::Flags(vec!["a".into(), "b".into(), "c".into()]));
    let two = types.intern(DefinedType::Enum(vec!["a".into(), "b".into()]));
    let call =
        |ty, a: u64, b: u64| call_import(&types, ty, StringEncoding::Utf8, |_| (), [a, b, 0, 0]);
    let bits = |bits| Ok(Val::Bits(bits));
    let double = 1.5f64.to_bits();
    let single = u64::from(2.5f32.to_bits());
    let payload = |case, bits| Ok(Val::Case(case, Some(Box::new(Val::Bits(bits)))));
    assert_eq!(call(floats, 0, double), payload(0, double));
    assert_eq!(call(floats, 1, single), payload(1, single));
    assert_eq!(call(floats, 1, single | 7 << 32), payload(1, single));
    assert_eq!(call(floats, 2, 0), Err(TrapCode::InvalidDiscriminant));
    assert_eq!(call(Type::Bool, 0x100, 0), bits(1));
    assert_eq!(call(Type::Bool, 0, 0), bits(0));
    assert_eq!(call(Type::U8, 0x1ff, 0), bits(0xff));
    assert_eq!(call(three, 0xff, 0), bits(7));
    assert_eq!(call(two, 1, 0), Ok(Val::Case(1, None)));
    assert_eq!(call(two, 0x100, 0), Err(TrapCode::InvalidDiscriminant));
    assert_eq!(call(Type::Char, 0x10_ffff, 0), bits(0x10_ffff));
    for invalid in [0xd800, 0xdfff, 0x11_0000, 0xffff_ffff] {
        assert_eq!(call(Type::Char, invalid, 0), Err(TrapCode::InvalidChar));
    }
}

#[test]
fn bad_pointers_and_strings_are_refused() {
    let _one = ONE_AT_A_TIME.lock().unwrap_or_else(|e| e.into_inner());
    let mut types = TypeTable::default();
    let words = list(&mut types, Type::U32);
    let end = MEMORY as u64;
    let call = |ty, encoding, text: &[u8], pointer, length| {
        let prepare = |memory: &mut [u8]| memory[64..64 + text.len()].copy_from_slice(text);
        call_import(&types, ty, encoding, prepare, [pointer, length, 0, 0])
    };
    use StringEncoding::{Latin1OrUtf16, Utf8, Utf16};
    let lent = |at| Ok(Val::Bits(at));
    assert_eq!(call(words, Utf8, b"", 64, 3), lent(64));
    assert_eq!(call(words, Utf8, b"", end, 0), lent(end));
    assert_eq!(call(words, Utf8, b"", end - 8, 2), lent(end - 8));
    assert_eq!(
        call(words, Utf8, b"", end - 8, 3),
        Err(TrapCode::ListOutOfBounds)
    );
    assert_eq!(
        call(words, Utf8, b"", end + 4, 0),
        Err(TrapCode::ListOutOfBounds)
    );
    assert_eq!(
        call(words, Utf8, b"", 66, 0),
        Err(TrapCode::UnalignedPointer)
    );
    assert_eq!(
        call(words, Utf8, b"", 64, 1 << 26),
        Err(TrapCode::ListTooLong)
    );
    assert_eq!(
        call(words, Utf8, b"", 64, 0xffff_ffff),
        Err(TrapCode::ListTooLong)
    );
    // Registers carry garbage above 32-bit values.
    assert_eq!(call(words, Utf8, b"", 64 | 9 << 40, 3 | 9 << 40), lent(64));

    let text = Type::String;
    for good in TEXTS {
        let length = good.len() as u64;
        assert_eq!(call(text, Utf8, good.as_bytes(), 64, length), lent(64));
        // Every byte that is not ASCII is seen, wherever it is.
        for at in 0..good.len().min(33) {
            let mut bad = good.as_bytes().to_vec();
            bad[at] = 0xff;
            let refused = call(text, Utf8, &bad, 64, length);
            assert_eq!(refused, Err(TrapCode::InvalidUtf8), "{good} {at}");
        }
    }
    assert_eq!(
        call(text, Utf8, b"ab\xc3", 64, 3),
        Err(TrapCode::IncompleteUtf8)
    );
    assert_eq!(
        call(text, Utf8, b"", end - 2, 3),
        Err(TrapCode::StringOutOfBounds)
    );
    assert_eq!(
        call(text, Utf8, b"", 64, 1 << 28),
        Err(TrapCode::StringTooLong)
    );
    assert_eq!(
        call(text, Utf16, b"", 65, 0),
        Err(TrapCode::UnalignedPointer)
    );
    assert_eq!(
        call(text, Utf16, b"", 64, 1 << 27),
        Err(TrapCode::StringTooLong)
    );
    assert_eq!(
        call(text, Utf16, b"\0\xd8", 64, 1),
        Err(TrapCode::InvalidUtf16)
    );
    assert_eq!(
        call(text, Utf16, b"", end - 2, 2),
        Err(TrapCode::StringOutOfBounds)
    );
    assert_eq!(
        call(text, Latin1OrUtf16, b"", 65, 0),
        Err(TrapCode::UnalignedPointer)
    );
    assert_eq!(call(text, Latin1OrUtf16, b"abc", 64, 3), lent(64));
    let tag = 1u64 << 31;
    let utf16 = |length| call(text, Latin1OrUtf16, b"\0\xdc", 64, tag | length);
    assert_eq!(utf16(1), Err(TrapCode::InvalidUtf16));
    assert_eq!(utf16(1 << 27), Err(TrapCode::StringTooLong));
}
