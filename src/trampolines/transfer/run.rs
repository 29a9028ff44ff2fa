//! Runs what the engine emits, on a small slab made by hand: whatever the host passes to a guest that
//! returns it must come back, in every encoding and width, and whatever a guest passes wrongly must
//! raise the right trap.

mod machine;
mod values;

use super::tests::{DEFINED, ENCODINGS, Example, IMPORTED, WIDTHS, all_types, case, list};
use crate::codegen::Session;
use crate::program::StringEncoding;
use crate::trampolines::{export_entry, lower_import};
use machine::{MEMORY, Machine, ONE_AT_A_TIME, bytes, state, with_machine};
use std::ptr;
use trampette_artifact::ids::*;
use trampette_artifact::layout::{HandleEntry, InstanceState, RootOffset, root};
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

/// A machine with a lowered import of that type in it.
fn with_import<R>(example: &Example, test: impl FnOnce(&Machine) -> R) -> R {
    let emit =
        |session: &Session<'_>| lower_import::lower_import(session, TrampolineId(0)).unwrap();
    with_machine(example, emit, test)
}

/// A machine with a lifted export of that type in it.
fn with_export<R>(example: &Example, test: impl FnOnce(&Machine) -> R) -> R {
    let emit = |session: &Session<'_>| export_entry::export_body(session, ExportId(0)).unwrap();
    with_machine(example, emit, test)
}

const MAY_LEAVE: u32 = InstanceState::MAY_LEAVE;

#[test]
fn results_of_imports_go_through_realloc_and_the_pointer() {
    let _one = ONE_AT_A_TIME.lock().unwrap_or_else(|e| e.into_inner());
    let types = TypeTable::default();
    let text = "grüße";
    let mut results = (text.as_ptr() as u64).to_le_bytes().to_vec();
    results.extend((text.len() as u64).to_le_bytes());
    let example = case(&types, &[], Some(Type::String));
    with_import(&example, |machine| {
        state().results.clone_from(&results);
        assert_eq!(machine.run([64, 0, 0, 0]).map(|_| ()), Ok(()));
        assert_eq!(machine.instance(), (MAY_LEAVE, 0));
        // SAFETY: in the memory.
        let memory = unsafe { bytes(machine.context() as u64, MEMORY as u64) };
        assert_eq!(memory[64..72], [0, 4, 0, 0, 7, 0, 0, 0]);
        assert_eq!(&memory[1024..1031], text.as_bytes());

        let end = MEMORY as u64;
        assert_eq!(machine.run([66, 0, 0, 0]), Err(TrapCode::UnalignedPointer));
        assert_eq!(
            machine.run([end - 4, 0, 0, 0]),
            Err(TrapCode::PointerOutOfBounds)
        );
        state().realloc_result = Some(end - 6);
        assert_eq!(
            machine.run([64, 0, 0, 0]),
            Err(TrapCode::ReallocOutOfBounds)
        );
    });
    with_import(&example, |machine| {
        machine.set_root(instance(), 0);
        assert_eq!(machine.run([64, 0, 0, 0]), Err(TrapCode::CannotLeave));
    });
}

/// The host's stack has bytes between the fields of a native struct that are none of the guest's
/// business: fields are copied, never the gaps.
#[test]
fn padding_of_results_stays_on_the_host() {
    let _one = ONE_AT_A_TIME.lock().unwrap_or_else(|e| e.into_inner());
    let mut types = TypeTable::default();
    let inner = types.intern(DefinedType::Tuple(vec![Type::U8, Type::U32, Type::U8]));
    let option = types.intern(DefinedType::Option(Type::U64));
    let outer = types.intern(DefinedType::Tuple(vec![inner, option, Type::U16]));
    let fixed = types.intern(DefinedType::FixedLengthList(inner, 6));
    // What the host writes: every byte of its struct, gaps included.
    let written = 0x5a;
    let untouched = 0xaa;
    let part = [0, 4, 5, 6, 7, 8];
    let in_parts: Vec<usize> = (0..6).flat_map(|i| part.map(|at| 12 * i + at)).collect();
    // `some` of the option: the tag is one byte, then seven bytes of padding.
    let in_outer: Vec<usize> = part.into_iter().chain([16]).chain(24..34).collect();
    for (ty, size, values, tag) in [
        (inner, 12, part.to_vec(), None),
        (fixed, 72, in_parts, None),
        (outer, 40, in_outer, Some(16)),
    ] {
        with_import(&case(&types, &[], Some(ty)), |machine| {
            // SAFETY: nothing else uses the memory now.
            let memory = unsafe { bytes(machine.context() as u64, MEMORY as u64) };
            memory[64..256].fill(untouched);
            state().results = vec![written; size];
            if let Some(tag) = tag {
                state().results[tag] = 1;
            }
            assert_eq!(machine.run([64, 0, 0, 0]).map(|_| ()), Ok(()));
            for (at, byte) in memory[64..256].iter().enumerate() {
                let expected = match values.contains(&at) {
                    true if tag == Some(at) => 1,
                    true => written,
                    false => untouched,
                };
                assert_eq!(*byte, expected, "byte {at} of {}", types.display(ty));
            }
        });
    }
}

fn instance() -> RootOffset {
    case(&TypeTable::default(), &[], None)
        .layout()
        .root
        .instance(ComponentInstanceId(0))
}

#[test]
fn memory_from_realloc_is_checked_again() {
    let _one = ONE_AT_A_TIME.lock().unwrap_or_else(|e| e.into_inner());
    let types = TypeTable::default();
    let text = "abc";
    let args = [text.as_ptr() as u64, text.len() as u64];
    for (encoding, result, expected) in [
        (
            StringEncoding::Utf8,
            MEMORY - 2,
            TrapCode::ReallocOutOfBounds,
        ),
        (
            StringEncoding::Utf8,
            u32::MAX as usize,
            TrapCode::ReallocOutOfBounds,
        ),
        (StringEncoding::Utf16, 65, TrapCode::ReallocUnaligned),
        (
            StringEncoding::Utf16,
            MEMORY - 4,
            TrapCode::ReallocOutOfBounds,
        ),
        (
            StringEncoding::Latin1OrUtf16,
            65,
            TrapCode::ReallocUnaligned,
        ),
    ] {
        let example = Example {
            encoding,
            ..case(&types, &[Type::String], None)
        };
        with_export(&example, |machine| {
            state().realloc_result = Some(result as u64);
            let raised = machine.run([args.as_ptr() as u64, 0, 0, 0]);
            assert_eq!(raised, Err(expected), "{encoding:?}");
        });
    }
}

#[test]
fn post_return_gets_the_flat_result() {
    let _one = ONE_AT_A_TIME.lock().unwrap_or_else(|e| e.into_inner());
    let types = TypeTable::default();
    let example = case(&types, &[Type::U32], Some(Type::U32));
    with_export(&example, |machine| {
        let args = [7u32, 0];
        let mut result = 0u32;
        let results = &raw mut result as u64;
        machine.run([args.as_ptr() as u64, results, 0, 0]).unwrap();
        assert_eq!(result, 16);
        assert_eq!(machine.root(root::POST_RETURN_VALUE), 16);
    });
    let emit =
        |session: &Session<'_>| export_entry::post_return_body(session, ExportId(0)).unwrap();
    with_machine(&example, emit, |machine| {
        machine.set_root(root::POST_RETURN_VALUE, 1234);
        machine.run([0; 4]).unwrap();
        assert_eq!(state().core_args[0] as u32, 1234);
        assert_eq!(machine.instance(), (MAY_LEAVE, 0));
    });
}

fn entry(kind: u32, resource: ResourceId, rep: u32) -> HandleEntry {
    let tag = match kind {
        HandleEntry::FREE => HandleEntry::FREE,
        kind => HandleEntry::tag(kind, resource),
    };
    HandleEntry {
        tag,
        lends: 0,
        rep,
        extra: 0,
    }
}

#[test]
fn handles_of_imported_resources_are_representations_outside() {
    let _one = ONE_AT_A_TIME.lock().unwrap_or_else(|e| e.into_inner());
    let mut types = TypeTable::default();
    let own = types.intern(DefinedType::Own(IMPORTED));
    let borrow = types.intern(DefinedType::Borrow(IMPORTED));
    let owned = |rep| entry(HandleEntry::OWN, IMPORTED, rep);
    let call = |params: &[Type], args: [u64; 2]| {
        let example = case(&types, params, None);
        with_import(&example, |machine| {
            let entries = [
                owned(70),
                owned(80),
                entry(HandleEntry::BORROW, IMPORTED, 90),
            ];
            let entries = machine.set_handles(0, &entries);
            state().args_size = 4 * params.len();
            machine.run([args[0], args[1], 0, 0])?;
            assert!(entries.iter().all(|entry| entry.lends == 0));
            let args: Vec<u8> = state().args.clone();
            let seen: Vec<u32> = args
                .chunks(4)
                .map(|four| u32::from_le_bytes(four.try_into().unwrap()))
                .collect();
            let kinds: Vec<u32> = entries[1..].iter().map(|entry| entry.tag & 0xff).collect();
            Ok((seen, kinds))
        })
    };
    const OWN: u32 = HandleEntry::OWN;
    const BORROW: u32 = HandleEntry::BORROW;
    assert_eq!(call(&[own], [1, 0]), Ok((vec![70], vec![0, OWN, BORROW])));
    assert_eq!(
        call(&[borrow], [2, 0]),
        Ok((vec![80], vec![OWN, OWN, BORROW]))
    );
    assert_eq!(
        call(&[borrow], [3, 0]),
        Ok((vec![90], vec![OWN, OWN, BORROW]))
    );
    let both = call(&[borrow, own], [1, 2]);
    assert_eq!(both, Ok((vec![70, 80], vec![OWN, 0, BORROW])));
    assert_eq!(call(&[borrow, own], [1, 1]), Err(TrapCode::HandleLent));
    assert_eq!(call(&[own, own], [1, 1]), Err(TrapCode::UnknownHandle));
    assert_eq!(call(&[own], [0, 0]), Err(TrapCode::UnknownHandle));
    assert_eq!(call(&[own], [4, 0]), Err(TrapCode::UnknownHandle));
    assert_eq!(call(&[own], [3, 0]), Err(TrapCode::HandleNotOwned));
}

#[test]
fn handles_towards_a_guest() {
    let _one = ONE_AT_A_TIME.lock().unwrap_or_else(|e| e.into_inner());
    let mut types = TypeTable::default();
    let free = || entry(HandleEntry::FREE, IMPORTED, 0);
    let mut call = |ty: DefinedType, arg: u32| {
        let ty = types.intern(ty);
        let example = case(&types, &[ty], None);
        with_export(&example, |machine| {
            let guest = machine.set_handles(0, &[free()]);
            let host = machine.set_handles(1, &[entry(HandleEntry::OWN, DEFINED, 50)]);
            let args = [arg, 0];
            let done = machine.run([args.as_ptr() as u64, 0, 0, 0]).map(|_| ());
            let seen = state().core_args[0] as u32;
            let kept = (guest[1].tag & 0xff, guest[1].rep, host[1].tag & 0xff);
            (done, seen, kept, machine.instance().1)
        })
    };
    const OWN: u32 = HandleEntry::OWN;
    const BORROW: u32 = HandleEntry::BORROW;
    let own = DefinedType::Own;
    let borrow = DefinedType::Borrow;
    assert_eq!(call(own(IMPORTED), 33), (Ok(()), 1, (OWN, 33, OWN), 0));
    assert_eq!(call(own(DEFINED), 1), (Ok(()), 1, (OWN, 50, 0), 0));
    // The definer gets the representation itself.
    assert_eq!(call(borrow(DEFINED), 1), (Ok(()), 50, (0, 0, OWN), 0));
    // This guest does not drop what it borrows.
    let remains = Err(TrapCode::BorrowsRemain);
    assert_eq!(
        call(borrow(IMPORTED), 33),
        (remains, 1, (BORROW, 33, OWN), 1)
    );
    assert_eq!(call(own(DEFINED), 2).0, Err(TrapCode::UnknownHostHandle));
}
