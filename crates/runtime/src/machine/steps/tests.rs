//! Services in steps do what they do at once: for texts whose characters and faults are at the
//! steps' edges, and for short ones.

use super::{Looking, set_looking, utf16_validate};
use super::{STEP, latin1_widen_in_place, utf8_copy, utf8_validate};
use super::{ascii_copy, ascii_validate, bits_mask, bools_normalise, chars_validate};
use super::{enums_validate, latin1_to_utf8, latin1_to_utf16, utf8_to_latin1, utf8_to_utf16};
use super::{utf16_narrow_in_place, utf16_to_ascii, utf16_to_latin1, utf16_to_utf8};
use crate::machine::transcode;

type Service = unsafe extern "C" fn();
type Four = unsafe extern "C" fn(u64, u64, u64, u64) -> u64;

/// Calls a service as compiled code does: with as many arguments as it takes, or more.
///
/// # Safety
/// The arguments are those that it takes first.
unsafe fn call(service: Service, arguments: [u64; 4]) -> u64 {
    let [a, b, c, d] = arguments;
    // SAFETY: arguments are in registers, which a function may leave alone.
    unsafe { std::mem::transmute::<Service, Four>(service)(a, b, c, d) }
}

/// What a service gives and what it leaves in its buffers.
type Outcome = (u64, Vec<u8>, Vec<u8>);

/// How the result of a service is read: its other bits mean nothing.
#[derive(Clone, Copy)]
enum Gives {
    Nothing,
    U32,
    U64,
}

fn outcome(service: Service, gives: Gives, source: &[u8], count: usize, more: [u64; 2]) -> Outcome {
    let mut source = source.to_vec();
    let mut target = vec![0xaa; source.len() * 3];
    let third = match more[0] {
        0 => target.as_mut_ptr().expose_provenance() as u64,
        more => more,
    };
    let first = source.as_mut_ptr().expose_provenance() as u64;
    // SAFETY: the buffers are as large as any service needs them to be.
    let result = unsafe { call(service, [first, count as u64, third, more[1]]) };
    let result = match gives {
        Gives::Nothing => 0,
        Gives::U32 => u64::from(result as u32),
        Gives::U64 => result,
    };
    (result, source, target)
}

/// Asserts that both do the same. What lies in a target behind what was written means nothing.
fn same(
    name: &str,
    services: [Service; 2],
    gives: Gives,
    written: impl Fn(u64) -> usize,
    source: &[u8],
    count: usize,
    more: [u64; 2],
) {
    let [stepped, plain] = services.map(|service| {
        let (result, source, mut target) = outcome(service, gives, source, count, more);
        target.truncate(written(result));
        (result, source, target)
    });
    assert_eq!(stepped.0, plain.0, "{name} of {count}");
    assert!(stepped == plain, "{name} of {count} leaves other bytes");
}

/// A service and its stub.
macro_rules! pair {
    ($name:ident) => {
        [$name as Service, {
            // SAFETY: called with the arguments that it takes.
            unsafe { std::mem::transmute::<*const (), Service>(transcode::$name as *const ()) }
        }]
    };
}

/// Where something special is put: around the edges of the first steps, and at the end.
fn places(count: usize) -> Vec<usize> {
    let step = STEP as usize;
    let edges = [0, step, 2 * step, count].into_iter();
    let around = edges.flat_map(|edge| edge.saturating_sub(4)..edge + 4);
    around.filter(|place| *place < count).collect()
}

/// Of more than two steps.
const LONG: usize = 2 * STEP as usize + 77;

#[test]
fn long_ones() {
    of_utf8(LONG);
    of_utf16_and_latin1(LONG);
    of_plain_values(LONG);
}

/// What has little to do looks too while a call is being stopped.
#[test]
fn short_ones() {
    set_looking(Looking::Always);
    for length in [10, 16, 77, 500] {
        of_utf8(length);
        of_utf16_and_latin1(length);
        of_plain_values(length);
    }
    set_looking(Looking::Usual);
}

fn of_utf8(length: usize) {
    let mut texts = vec![vec![b'a'; length], "é".repeat(length / 2).into_bytes()];
    texts.push("aé€😀".repeat(length / 10).into_bytes());
    for place in places(length) {
        for special in ["é", "€", "😀", "\u{7f}"] {
            let mut text = vec![b'a'; place];
            text.extend(special.bytes());
            text.resize(length.max(text.len()), b'b');
            texts.push(text);
        }
        for fault in [
            &b"\x80"[..],
            b"\xff",
            b"\xe2\x82",
            b"\xf0\x9f\x98",
            b"\x80\x80\x80\x80",
        ] {
            let mut text = vec![b'a'; length];
            let end = length.min(place + fault.len());
            text[place..end].copy_from_slice(&fault[..end - place]);
            texts.push(text.clone());
            // Behind something that Latin-1 has not.
            text[7..10].copy_from_slice("€".as_bytes());
            texts.push(text);
        }
    }
    for text in texts {
        let count = text.len();
        let nothing = |_| 0;
        same(
            "validate",
            pair!(utf8_validate),
            Gives::U32,
            nothing,
            &text,
            count,
            [0; 2],
        );
        let copied = |status| if status == 0 { count } else { 0 };
        same(
            "copy",
            pair!(utf8_copy),
            Gives::U32,
            copied,
            &text,
            count,
            [0; 2],
        );
        same(
            "ascii",
            pair!(ascii_validate),
            Gives::U32,
            nothing,
            &text,
            count,
            [0; 2],
        );
        let all = |written| written as usize;
        same(
            "ascii copy",
            pair!(ascii_copy),
            Gives::U64,
            all,
            &text,
            count,
            [0; 2],
        );
        let units = |written: u64| match written.cast_signed() < 0 {
            true => 0,
            false => written as usize * 2,
        };
        same(
            "to utf16",
            pair!(utf8_to_utf16),
            Gives::U64,
            units,
            &text,
            count,
            [0; 2],
        );
        let bytes = |both: u64| match both.cast_signed() < 0 {
            true => 0,
            false => both as u32 as usize,
        };
        same(
            "to latin1",
            pair!(utf8_to_latin1),
            Gives::U64,
            bytes,
            &text,
            count,
            [0; 2],
        );
    }
}

fn of_utf16_and_latin1(length: usize) {
    let bytes = |units: &[u16]| -> Vec<u8> { units.iter().flat_map(|u| u.to_le_bytes()).collect() };
    let mut texts = vec![vec![0x41; length], vec![0xe9; length]];
    for place in places(length) {
        for special in [
            &[0xe9][..],
            &[0x20ac],
            &[0xd83d, 0xde00],
            &[0xd83d],
            &[0xde00],
        ] {
            let mut text = vec![0x41u16; length];
            let end = length.min(place + special.len());
            text[place..end].copy_from_slice(&special[..end - place]);
            texts.push(text);
        }
    }
    for text in texts {
        let (source, count) = (bytes(&text), text.len());
        let (nothing, all) = (|_| 0, |written| written as usize);
        let valid = |written| {
            if written == u64::MAX {
                0
            } else {
                written as usize
            }
        };
        same(
            "validate",
            pair!(utf16_validate),
            Gives::U32,
            nothing,
            &source,
            count,
            [0; 2],
        );
        same(
            "to utf8",
            pair!(utf16_to_utf8),
            Gives::U64,
            valid,
            &source,
            count,
            [0; 2],
        );
        same(
            "to latin1",
            pair!(utf16_to_latin1),
            Gives::U64,
            all,
            &source,
            count,
            [0; 2],
        );
        same(
            "to ascii",
            pair!(utf16_to_ascii),
            Gives::U64,
            all,
            &source,
            count,
            [0; 2],
        );
        same(
            "narrow",
            pair!(utf16_narrow_in_place),
            Gives::U32,
            nothing,
            &source,
            count,
            [0; 2],
        );
        let twice = |_| count * 2;
        same(
            "widen",
            pair!(latin1_widen_in_place),
            Gives::Nothing,
            nothing,
            &source,
            count,
            [0; 2],
        );
        same(
            "to utf16",
            pair!(latin1_to_utf16),
            Gives::Nothing,
            twice,
            &source,
            count,
            [0; 2],
        );
        same(
            "to utf8",
            pair!(latin1_to_utf8),
            Gives::U64,
            all,
            &source,
            count,
            [0; 2],
        );
    }
}

fn of_plain_values(length: usize) {
    let nothing = |_: u64| 0;
    for place in places(length) {
        let mut bytes = vec![1; length * 4];
        same(
            "bools",
            pair!(bools_normalise),
            Gives::Nothing,
            nothing,
            &bytes,
            length,
            [0; 2],
        );
        bytes[place] = 200;
        same(
            "bools",
            pair!(bools_normalise),
            Gives::Nothing,
            nothing,
            &bytes,
            length,
            [0; 2],
        );
        let mask = [0x0102_0304_0506_0708, 0];
        same(
            "mask",
            pair!(bits_mask),
            Gives::Nothing,
            nothing,
            &bytes,
            length,
            mask,
        );
        for size in [1, 2, 4] {
            for cases in [2, 0x0101_0102] {
                let more = [size, cases];
                same(
                    "enums",
                    pair!(enums_validate),
                    Gives::U32,
                    nothing,
                    &bytes,
                    length,
                    more,
                );
            }
        }
        let mut chars: Vec<u8> = vec![0x41; length]
            .iter()
            .flat_map(|c: &u32| c.to_le_bytes())
            .collect();
        same(
            "chars",
            pair!(chars_validate),
            Gives::U32,
            nothing,
            &chars,
            length,
            [0; 2],
        );
        chars[place * 4 + 1] = 0xd8;
        same(
            "chars",
            pair!(chars_validate),
            Gives::U32,
            nothing,
            &chars,
            length,
            [0; 2],
        );
    }
}
