//! Trampolines, run: what they do to handle tables, flags and the lock, and how traps come back.

use super::machine::{HANDLE_LIMIT, Machine};
use super::{CHILD, CHILDS, IMPORTED, PARENT, PLAIN, ROOTS, with_session};
use trampette_artifact::ids::{DefinedFunc, TrampolineId, UnitId};
use trampette_artifact::key::{Abi, FuncKey, Intrinsic};
use trampette_artifact::layout::{HandleEntry, InstanceState, Status, ValRaw};
use trampette_artifact::trap::TrapCode;

const fn trampoline(id: u32) -> FuncKey {
    FuncKey::ComponentTrampoline(Abi::Array, TrampolineId(id))
}

const NEW: FuncKey = trampoline(0);
const REP: FuncKey = trampoline(1);
const DROP: FuncKey = trampoline(2);
const DROP_CHILDS: FuncKey = trampoline(3);
const DROP_PLAIN: FuncKey = trampoline(4);
const DROP_IMPORTED: FuncKey = trampoline(5);

fn with_machine(entries: &[FuncKey], test: impl Fn(&mut Machine)) {
    with_session(|session| test(&mut Machine::new(session, entries)));
}

/// Makes the handle at `index`, which is in use, another.
fn forge(
    machine: &mut Machine,
    index: u32,
    kind: u32,
    resource: trampette_artifact::ids::ResourceId,
) {
    machine.handle(PARENT, index).tag = HandleEntry::tag(kind, resource);
}

#[test]
fn handles_live_and_die() {
    with_machine(&[NEW, REP, DROP], |machine| {
        for index in 1..=7 {
            assert_eq!(machine.call(NEW, 100 + index), Ok(index));
        }
        for index in 1..=7 {
            assert_eq!(machine.call(REP, index), Ok(100 + index));
        }
        assert!(machine.call(DROP, 2).is_ok());
        assert_eq!(machine.take_seen(), 102);
        assert!(machine.call(DROP, 5).is_ok());
        assert_eq!(machine.take_seen(), 105);
        for index in [0, 2, 5, 99, u32::MAX, 1 << 28] {
            let unknown = Err((TrapCode::UnknownHandle, u64::from(index)));
            assert_eq!(machine.call(REP, index), unknown);
            assert_eq!(machine.call(DROP, index), unknown);
        }
        // The most recently freed first.
        assert_eq!(machine.call(NEW, 205), Ok(5));
        assert_eq!(machine.call(NEW, 202), Ok(2));
        assert_eq!(machine.call(REP, 2), Ok(202));
        assert_eq!(machine.call(REP, 6), Ok(106));
    });
}

#[test]
fn handle_tables_have_a_limit() {
    with_machine(&[NEW, REP], |machine| {
        let full = (1..HANDLE_LIMIT).find_map(|rep| machine.call(NEW, rep).err());
        assert_eq!(full, Some((TrapCode::HandleTableFull, 0)));
        assert_eq!(machine.call(REP, 1), Ok(1));
    });
}

#[test]
fn wrong_handles_are_told_apart() {
    let entries = [NEW, REP, DROP, DROP_CHILDS, DROP_IMPORTED];
    with_machine(&entries, |machine| {
        assert_eq!(machine.call(NEW, 7), Ok(1));
        let guests = Err((TrapCode::HandleTypeMismatch, 1));
        let hosts = Err((TrapCode::HandleTypeMismatchHost, 1));
        assert_eq!(machine.call(DROP_CHILDS, 1), guests);
        assert_eq!(machine.call(DROP_IMPORTED, 1), hosts);
        forge(machine, 1, HandleEntry::OWN, IMPORTED);
        assert_eq!(machine.call(REP, 1), hosts);
        forge(machine, 1, HandleEntry::BORROW, ROOTS);
        assert_eq!(machine.call(REP, 1), Err((TrapCode::HandleNotOwned, 1)));
        machine.handle(PARENT, 1).tag = HandleEntry::ERROR_CONTEXT;
        assert_eq!(machine.call(DROP_CHILDS, 1), guests);
        forge(machine, 1, HandleEntry::OWN, ROOTS);
        machine.handle(PARENT, 1).lends = 2;
        assert_eq!(machine.call(DROP, 1), Err((TrapCode::HandleLent, 0)));
        machine.handle(PARENT, 1).lends = 0;
        assert!(machine.call(DROP, 1).is_ok());
    });
}

#[test]
fn drops_do_what_the_handle_says() {
    let entries = [NEW, DROP_CHILDS, DROP_PLAIN, DROP_IMPORTED];
    with_machine(&entries, |machine| {
        for rep in [11, 12, 13, 14, 15] {
            machine.call(NEW, rep).unwrap();
        }
        forge(machine, 1, HandleEntry::OWN, CHILDS);
        forge(machine, 2, HandleEntry::BORROW, CHILDS);
        forge(machine, 3, HandleEntry::OWN, IMPORTED);
        forge(machine, 4, HandleEntry::OWN, IMPORTED);
        forge(machine, 5, HandleEntry::OWN, PLAIN);

        assert!(machine.call(DROP_CHILDS, 1).is_ok());
        assert_eq!(machine.take_seen(), 11);
        machine.state(PARENT).borrows = 1;
        assert!(machine.call(DROP_CHILDS, 2).is_ok());
        assert_eq!((machine.take_seen(), machine.state(PARENT).borrows), (0, 0));
        assert!(machine.call(DROP_IMPORTED, 4).is_ok());
        // The machine's host fails for 13.
        let failed = Err((TrapCode::HostError, 0));
        assert_eq!(machine.call(DROP_IMPORTED, 3), failed);
        assert_eq!(machine.host_drops(), [(IMPORTED.0, 14), (IMPORTED.0, 13)]);
        assert!(machine.call(DROP_PLAIN, 5).is_ok());
        assert_eq!(machine.take_seen(), 0);
    });
}

#[test]
fn flags_are_tested_and_kept() {
    let entries = [NEW, REP, DROP, DROP_CHILDS, DROP_PLAIN];
    with_machine(&entries, |machine| {
        for rep in [1, 2, 3] {
            machine.call(NEW, rep).unwrap();
        }
        machine.state(PARENT).flags = 0;
        let cannot_leave = (TrapCode::CannotLeave, 0);
        assert_eq!(machine.call(NEW, 1), Err(cannot_leave));
        assert_eq!(machine.call(DROP, 1), Err(cannot_leave));
        // `resource.rep` has no such check.
        assert_eq!(machine.call(REP, 1), Ok(1));
        machine.state(PARENT).flags = InstanceState::MAY_LEAVE;

        forge(machine, 1, HandleEntry::OWN, CHILDS);
        forge(machine, 2, HandleEntry::OWN, CHILDS);
        forge(machine, 3, HandleEntry::OWN, PLAIN);
        assert!(machine.call(DROP_CHILDS, 1).is_ok());
        // Who is called may be running, and be unable to leave.
        machine.state(CHILD).flags = 0;
        assert!(machine.call(DROP_CHILDS, 2).is_ok());
        assert!(machine.call(DROP_PLAIN, 3).is_ok());
        assert_eq!(machine.state(CHILD).flags, 0);
    });
}

#[test]
fn the_lock_opens_and_closes() {
    let key = FuncKey::ResourceDrop(Abi::Native, ROOTS);
    with_machine(&[key], |machine| {
        assert_eq!(machine.call_native(key, 5), Status::Ok as u32);
        assert_eq!((machine.take_seen(), machine.header().entry_sp), (5, 0));
        machine.header().entry_sp = 1;
        assert_eq!(machine.call_native(key, 6), Status::CannotEnter as u32);
        assert_eq!((machine.take_seen(), machine.header().entry_sp), (0, 1));
        machine.header().entry_sp = 0;
        // The destructor raises; the component stays locked.
        assert_eq!(machine.call_native(key, 666), Status::Trap as u32);
        assert_ne!(machine.header().entry_sp, 0);
        assert_eq!(machine.call_native(key, 7), Status::CannotEnter as u32);
    });
}

#[test]
fn core_values_of_every_type_travel() {
    let keys = [0, 1].map(|unit| FuncKey::ArrayToWasm(UnitId(unit), DefinedFunc(1)));
    with_machine(&keys, |machine| {
        for (unit, key) in keys.into_iter().enumerate() {
            let values = |first: i32| {
                [
                    ValRaw { i32: first },
                    ValRaw { i64: 1 },
                    ValRaw {
                        f32: 1.25f32.to_bits(),
                    },
                    ValRaw {
                        f64: 2.5f64.to_bits(),
                    },
                    ValRaw { v128: [9; 16] },
                    ValRaw { funcref: 77 },
                    ValRaw { i64: i64::MIN },
                    ValRaw { i64: -8 },
                    ValRaw { i64: 9 },
                ]
            };
            // Beyond the registers too, and many times: the stack pointer stays where it is.
            for round in 0..100 {
                let mut all = values(round);
                machine.call_array(key, &mut all).unwrap();
                // SAFETY: these are the values' own fields.
                unsafe {
                    assert_eq!(all[0].i32, round);
                    let distance = unit as i64 * trampette_artifact::layout::SLAB_STRIDE as i64;
                    assert_eq!(all[1].i64, machine.context() as i64 + distance);
                    assert_eq!(all[2].f32, 1.25f32.to_bits());
                    assert_eq!(all[3].f64, 2.5f64.to_bits());
                    assert_eq!(all[4].v128, [9; 16]);
                    assert_eq!(all[5].funcref, 77);
                    let wide = [all[6].i64, all[7].i64, all[8].i64];
                    assert_eq!(wide, [i64::MIN, -8, 9]);
                }
                if unit == 0 {
                    let trap = machine.call_array(key, &mut values(666));
                    assert_eq!(trap, Err((TrapCode::Unreachable, 0)));
                }
            }
        }
    });
}

#[test]
fn host_core_functions_are_called() {
    let key = FuncKey::ArrayToWasm(UnitId(0), DefinedFunc(2));
    with_machine(&[key], |machine| {
        machine.call_array(key, &mut []).unwrap();
        // 42 and the import's data, and a lane of the vector.
        assert_eq!(machine.take_seen(), 42 + 100 + 7);
        machine.header().interrupt = 1;
        let interrupted = machine.call_array(key, &mut []);
        assert_eq!(interrupted, Err((TrapCode::Interrupt, 0)));
    });
}

#[test]
fn intrinsics_reach_native_memory_in_bounds() {
    let key = |intrinsic| FuncKey::UnsafeIntrinsic(Abi::Array, intrinsic);
    let data = key(Intrinsic::StoreDataAddress);
    let load = key(Intrinsic::U16NativeLoad);
    let checked_load = key(Intrinsic::U32CheckedNativeLoad);
    let checked_store = key(Intrinsic::U64CheckedNativeStore);
    with_machine(&[data, load, checked_load, checked_store], |machine| {
        let mut native = [0xffu8; 24];
        let base = native.as_mut_ptr() as i64;
        machine.header().store_data = base as u64;
        let mut call = |key, operands: &[i64]| {
            let mut values: Vec<_> = operands.iter().map(|v| ValRaw { i64: *v }).collect();
            values.resize(4, ValRaw { i64: 0 });
            let result = machine.call_array(key, &mut values);
            // SAFETY: every value was written as 64 bits.
            result.map(|()| unsafe { values[0].i64 })
        };
        let outside = Err((TrapCode::NativeOutOfBounds, 0));
        assert_eq!(call(data, &[]), Ok(base));
        let low = |value: i64| value as u32;
        assert_eq!(call(load, &[base + 1]).map(low), Ok(0xffff));
        assert_eq!(call(checked_load, &[base, 20, 24]).map(low), Ok(u32::MAX));
        assert_eq!(call(checked_load, &[base, 21, 24]), outside);
        assert_eq!(call(checked_load, &[base, 0, 3]), outside);
        assert_eq!(call(checked_load, &[base, -4, 24]), outside);
        assert_eq!(call(checked_load, &[base, i64::MAX, 24]), outside);
        assert!(call(checked_store, &[base, 16, 24, 5]).is_ok());
        assert_eq!(call(checked_store, &[base, 17, 24, 5]), outside);
        assert_eq!(native[16..], [5, 0, 0, 0, 0, 0, 0, 0]);
    });
}
