//! Builtins, against the standard library and, form by form, against the scalar conversions.

use super::*;

fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

#[test]
fn utf8_is_told_from_incomplete_and_invalid() {
    // SAFETY: the values are as many as it says.
    let check = |text: &[u8]| unsafe { utf8_validate(text.as_ptr(), text.len() as u64) };
    assert_eq!(check("häuser €😀".as_bytes()), 0);
    assert_eq!(check(b""), 0);
    assert_eq!(check(b"ab\xff"), 1);
    assert_eq!(check(b"ab\xe2\x82"), 2);
    assert_eq!(check(b"\xe2\x82ab"), 1);
}

#[test]
fn encodings_round_trip() {
    for text in ["", "plain", "häuser", "€ und 😀", "\u{ff}\u{100}\u{7f}"] {
        let wide = utf16(text);
        let count = wide.len() as u64 / 2;
        let mut narrow = vec![0; count as usize * 3];
        // SAFETY: the source is as long as it says, and the target has room for all of it.
        let written = unsafe { utf16_to_utf8(wide.as_ptr(), count, narrow.as_mut_ptr()) };
        assert_eq!(&narrow[..written as usize], text.as_bytes());
        let mut back = vec![0; text.len() * 2];
        // SAFETY: the source is as long as it says, and the target has room for all of it.
        let written = unsafe { utf8_to_utf16(text.as_ptr(), text.len() as u64, back.as_mut_ptr()) };
        assert_eq!(&back[..written as usize * 2], &wide[..]);
        // SAFETY: the values are as many as it says.
        assert_eq!(unsafe { utf16_validate(wide.as_ptr(), count) }, 0);
    }
    let unpaired = [0x00, 0xd8, 0x41, 0x00];
    let mut target = [0; 6];
    // SAFETY: the source is as long as it says, and the target has room for all of it.
    unsafe {
        assert_eq!(utf16_validate(unpaired.as_ptr(), 2), 1);
        assert_eq!(
            utf16_to_utf8(unpaired.as_ptr(), 2, target.as_mut_ptr()),
            u64::MAX
        );
    }
}

#[test]
fn latin1_is_written_as_far_as_it_goes() {
    let text = "aäÿ€x";
    let mut target = [0; 16];
    // SAFETY: the source is as long as it says, and the target has room for all of it.
    let result = unsafe { utf8_to_latin1(text.as_ptr(), text.len() as u64, target.as_mut_ptr()) };
    assert_eq!((result >> 32, result & 0xffff_ffff), (5, 3));
    assert_eq!(&target[..3], b"a\xe4\xff");
    let mut utf8 = [0; 6];
    // SAFETY: the source is as long as it says, and the target has room for all of it.
    let written = unsafe { latin1_to_utf8(target.as_ptr(), 3, utf8.as_mut_ptr()) };
    assert_eq!(&utf8[..written as usize], "aäÿ".as_bytes());
    let wide = utf16(text);
    let mut narrow = [0; 5];
    // SAFETY: the source is as long as it says, and the target has room for all of it.
    let written = unsafe { utf16_to_latin1(wide.as_ptr(), 5, narrow.as_mut_ptr()) };
    assert_eq!((written, &narrow[..3]), (3, &b"a\xe4\xff"[..]));
}

#[test]
fn narrowing_stops_where_it_must() {
    for length in [0, 1, 15, 16, 17, 40] {
        for at in 0..=length {
            let mut text = vec!['a'; length];
            if let Some(c) = text.get_mut(at) {
                *c = 'é';
            }
            let wide = utf16(&text.iter().collect::<String>());
            let mut narrow = vec![0; length];
            let count = length as u64;
            let (source, target) = (wide.as_ptr(), narrow.as_mut_ptr());
            // SAFETY: the source is as long as it says, and the target has room for all of it.
            assert_eq!(unsafe { utf16_to_latin1(source, count, target) }, count);
            assert!(
                narrow
                    .iter()
                    .zip(&text)
                    .all(|(byte, c)| *byte as char == *c)
            );
            // SAFETY: the source is as long as it says, and the target has room for all of it.
            assert_eq!(unsafe { utf16_to_ascii(source, count, target) }, at as u64);
        }
    }
    let mut target = *b"....";
    // SAFETY: the source is as long as it says, and the target has room for all of it.
    let copied = unsafe { ascii_copy(b"ab\xe9c".as_ptr(), 4, target.as_mut_ptr()) };
    assert_eq!((copied, &target), (2, b"ab.."));
}

#[test]
fn bits_are_masked() {
    let mut flags = [0xff_u8; 11];
    // SAFETY: the buffer is as long as the builtin may write.
    unsafe { bits_mask(flags.as_mut_ptr(), 11, 0x0102_0304_0506_0708) };
    assert_eq!(flags, [8, 7, 6, 5, 4, 3, 2, 1, 8, 7, 6]);
}

#[test]
fn in_place_conversions() {
    let mut buffer = *b"a\xe4z\0\0\0";
    // SAFETY: the buffer is as long as the builtin may write.
    unsafe {
        latin1_widen_in_place(buffer.as_mut_ptr(), 3);
        assert_eq!(buffer, *b"a\0\xe4\0z\0");
        assert_eq!(utf16_narrow_in_place(buffer.as_mut_ptr(), 3), 1);
        assert_eq!(&buffer[..3], b"a\xe4z");
        let mut wide = *b"a\0\x20\x20";
        assert_eq!(utf16_narrow_in_place(wide.as_mut_ptr(), 2), 0);
        assert_eq!(wide, *b"a\0\x20\x20");
        let mut bools = [0u8, 1, 2, 255];
        bools_normalise(bools.as_mut_ptr(), 4);
        assert_eq!(bools, [0, 1, 1, 1]);
    }
}

#[test]
fn chars_are_scalar_values() {
    // SAFETY: the values are as many as it says.
    let check =
        |values: &[u32]| unsafe { chars_validate(values.as_ptr().cast(), values.len() as u64) };
    assert_eq!(check(&[0, 0xd7ff, 0xe000, 0x10_ffff]), 0);
    for bad in [0xd800, 0xdbff, 0xdfff, 0x11_0000, u32::MAX] {
        assert_eq!(check(&[65, bad]), 1, "{bad:x}");
    }
}

/// Numbers that look random, the same each time.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % limit
    }
}

/// Characters at the limits of every length in every encoding.
const CHARACTERS: [char; 18] = [
    '\0',
    'a',
    '\u{7f}',
    '\u{80}',
    '\u{bf}',
    '\u{c0}',
    '\u{ff}',
    '\u{100}',
    '\u{7ff}',
    '\u{800}',
    '\u{fff}',
    '漢',
    '\u{d7ff}',
    '\u{e000}',
    '\u{ffff}',
    '\u{10000}',
    '😀',
    '\u{10ffff}',
];

/// Texts up to `longest` characters: of one kind, of each kind in turn, at random; each with every
/// remainder of a block's length before it.
fn texts(longest: usize, kinds: &[char]) -> Vec<String> {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut texts = vec![];
    for length in 0..longest {
        for kind in kinds {
            texts.push(kind.to_string().repeat(length));
            // One in ASCII, everywhere.
            let rest = "z".repeat(longest - length);
            texts.push(format!("{}{kind}{rest}", "a".repeat(length)));
        }
        for _ in 0..8 {
            let few = 1 + random.below(kinds.len());
            let from = random.below(kinds.len());
            let mut next = || kinds[(from + random.below(few)) % kinds.len()];
            texts.push((0..length).map(|_| next()).collect());
        }
    }
    texts
}

/// A builtin's result, and what it wrote into that many bytes. It must not write more.
fn convert(
    builtin: unsafe extern "C" fn(*const u8, u64, *mut u8) -> u64,
    source: &[u8],
    units: usize,
    room: usize,
) -> (u64, Vec<u8>) {
    const GUARD: [u8; 64] = [0xa5; 64];
    let mut target = vec![0xa5; room + GUARD.len()];
    // SAFETY: the target has the room that the builtin asks for, and a guard behind it.
    let result = unsafe { builtin(source.as_ptr(), units as u64, target.as_mut_ptr()) };
    assert_eq!(target[room..], GUARD, "{source:x?}");
    target.truncate(room);
    (result, target)
}

fn check_utf8_to_utf16(source: &[u8]) {
    let (result, target) = convert(utf8_to_utf16, source, source.len(), source.len() * 2);
    match std::str::from_utf8(source) {
        Ok(text) => {
            let expected = utf16(text);
            assert_eq!(result as usize * 2, expected.len(), "{text:?}");
            assert_eq!(target[..expected.len()], expected, "{text:?}");
        }
        Err(error) => {
            let expected = if error.error_len().is_some() { -1 } else { -2 };
            assert_eq!(result as i64, expected, "{source:x?}");
        }
    }
}

fn check_utf8_copy(source: &[u8]) {
    let mut target = vec![0xa5; source.len() + 1];
    let length = source.len() as u64;
    // SAFETY: the source is as long as it says, and the target has room for all of it.
    let found = unsafe { utf8_copy(source.as_ptr(), length, target.as_mut_ptr()) };
    // SAFETY: the values are as many as it says.
    assert_eq!(found, unsafe { utf8_validate(source.as_ptr(), length) });
    assert_eq!(target.pop(), Some(0xa5));
    assert_eq!(target, source);
}

fn check_utf8_to_latin1(source: &[u8]) {
    let (result, target) = convert(utf8_to_latin1, source, source.len(), source.len());
    match std::str::from_utf8(source) {
        Ok(text) => {
            let fits = text.chars().take_while(|c| *c <= '\u{ff}');
            let expected: Vec<u8> = fits.clone().map(|c| c as u8).collect();
            let read: usize = fits.map(char::len_utf8).sum();
            let result = (result >> 32, result & 0xffff_ffff);
            assert_eq!(result, (read as u64, expected.len() as u64), "{text:?}");
            assert_eq!(target[..expected.len()], expected, "{text:?}");
        }
        Err(error) => {
            let expected = if error.error_len().is_some() { -1 } else { -2 };
            assert_eq!(result as i64, expected, "{source:x?}");
        }
    }
}

fn check_utf16(source: &[u16]) {
    let bytes: Vec<u8> = source.iter().flat_map(|unit| unit.to_le_bytes()).collect();
    let expected = String::from_utf16(source);
    let (result, target) = convert(utf16_to_utf8, &bytes, source.len(), source.len() * 3);
    match &expected {
        Ok(text) => {
            assert_eq!(result as usize, text.len(), "{text:?}");
            assert_eq!(&target[..text.len()], text.as_bytes(), "{text:?}");
        }
        Err(_) => assert_eq!(result, u64::MAX, "{source:x?}"),
    }
    // SAFETY: the values are as many as it says.
    let invalid = unsafe { utf16_validate(bytes.as_ptr(), source.len() as u64) };
    assert_eq!(invalid, u32::from(expected.is_err()), "{source:x?}");
    for (builtin, most) in [
        (utf16_to_latin1 as unsafe extern "C" fn(_, _, _) -> _, 0xff),
        (utf16_to_ascii, 0x7f),
    ] {
        let fits = source.iter().take_while(|unit| **unit <= most);
        let narrow: Vec<u8> = fits.map(|unit| *unit as u8).collect();
        let (result, target) = convert(builtin, &bytes, source.len(), source.len());
        assert_eq!(result as usize, narrow.len(), "{source:x?}");
        assert_eq!(target[..narrow.len()], narrow, "{source:x?}");
    }
}

#[test]
fn utf8_of_every_mixture_is_converted() {
    for text in texts(140, &CHARACTERS) {
        check_utf8_to_utf16(text.as_bytes());
        check_utf8_to_latin1(text.as_bytes());
        check_utf8_copy(text.as_bytes());
        let units: Vec<u16> = text.encode_utf16().collect();
        check_utf16(&units);
    }
    for text in texts(140, &CHARACTERS[..7]) {
        check_utf8_to_latin1(text.as_bytes());
    }
}

#[test]
fn every_character_is_converted() {
    // Enough around it that blocks, not remainders, are converted.
    for character in '\0'..=char::MAX {
        let text = format!("é{character}{}", "é".repeat(20));
        let utf8 = text.as_bytes();
        let wide = utf16(&text);
        let mut units = [0; 128];
        let mut bytes = [0; 128];
        // SAFETY: the source is as long as it says, and the target has room for all of it.
        let (count, length) = unsafe {
            (
                utf8_to_utf16(utf8.as_ptr(), utf8.len() as u64, units.as_mut_ptr()),
                utf16_to_utf8(wide.as_ptr(), wide.len() as u64 / 2, bytes.as_mut_ptr()),
            )
        };
        assert_eq!(units[..count as usize * 2], wide, "{character:?}");
        assert_eq!(&bytes[..length as usize], utf8, "{character:?}");
    }
}

#[test]
fn invalid_utf8_is_told_everywhere() {
    let forms: [&[u8]; 22] = [
        b"\x80",
        b"\xbf",
        b"\xc0\x80",
        b"\xc1\xbf",
        b"\xc3",
        b"\xc3A",
        b"\xe0\x80\x80",
        b"\xe0\x9f\xbf",
        b"\xe2\x82",
        b"\xe2\x82A",
        b"\xe2A",
        b"\xed\xa0\x80",
        b"\xed\xbf\xbf",
        b"\xf0\x80\x80\x80",
        b"\xf0\x8f\xbf\xbf",
        b"\xf0\x9f\x98",
        b"\xf0\x9f\x98A",
        b"\xf0\x9f",
        b"\xf4\x90\x80\x80",
        b"\xf5\x80\x80\x80",
        b"\xf8\x88\x80\x80\x80",
        b"\xff",
    ];
    for form in forms {
        for before in 0..70 {
            for (filler, after) in [("a", 0), ("a", 1), ("é", 1), ("a", 70), ("é", 40)] {
                let mut text = filler.repeat(before).into_bytes();
                text.extend_from_slice(form);
                text.extend(filler.repeat(after).into_bytes());
                check_utf8_to_utf16(&text);
                check_utf8_to_latin1(&text);
                let expected = match std::str::from_utf8(&text) {
                    Ok(_) => 0,
                    Err(error) if error.error_len().is_some() => 1,
                    Err(_) => 2,
                };
                // SAFETY: the values are as many as it says.
                let found = unsafe { utf8_validate(text.as_ptr(), text.len() as u64) };
                assert_eq!(found, expected, "{text:x?}");
            }
        }
    }
    let mut random = Random(88_172_645_463_325_252);
    for _ in 0..20_000 {
        let mut text: String = (0..random.below(60))
            .map(|_| CHARACTERS[random.below(CHARACTERS.len())])
            .collect();
        text.push('x');
        let mut bytes = text.into_bytes();
        let at = random.below(bytes.len());
        bytes[at] = random.below(256) as u8;
        bytes.truncate(bytes.len() - random.below(2));
        check_utf8_to_utf16(&bytes);
        check_utf8_to_latin1(&bytes);
        check_utf8_copy(&bytes);
    }
}

#[test]
fn every_pair_of_bytes_is_told() {
    for first in 0x80..=0xff {
        for second in 0..=0xff {
            for rest in [&b""[..], b"A", b"\x80", b"\x80\x80"] {
                // Around the end of a block.
                for before in [61, 62, 63] {
                    let mut text = vec![b'a'; before];
                    text.extend([first, second]);
                    text.extend_from_slice(rest);
                    text.resize(before + 66, b'a');
                    // SAFETY: the values are as many as it says.
                    let found = unsafe { utf8_validate(text.as_ptr(), text.len() as u64) };
                    let expected = u32::from(std::str::from_utf8(&text).is_err());
                    assert_eq!(found, expected, "{first:x} {second:x} {rest:x?}");
                    check_utf8_copy(&text);
                }
            }
        }
    }
}

#[test]
fn long_texts_are_converted_in_pieces() {
    for character in CHARACTERS {
        for other in ["a", "é", "漢", "😀"] {
            for before in 0..4 {
                let many = character.to_string().repeat(2 * PIECE + 5);
                let text = format!("{}{other}{many}", "a".repeat(before));
                check_utf8_to_utf16(text.as_bytes());
                check_utf8_copy(text.as_bytes());
                let mut bytes = text.into_bytes();
                // Cut in the last character, or with something after it that is none.
                bytes.pop();
                check_utf8_to_utf16(&bytes);
                bytes.extend(b"\xff");
                check_utf8_to_utf16(&bytes);
            }
        }
    }
    // No character starts in a piece.
    check_utf8_to_utf16(&[0x80; 2 * PIECE]);
}

#[test]
fn ascii_is_widened_as_far_as_it_goes() {
    for length in 0..150 {
        for at in 0..=length {
            let mut source = vec![b'a'; length];
            if let Some(byte) = source.get_mut(at) {
                *byte = 0xc3;
            }
            let mut units = vec![[0xa5; 2]; length];
            assert_eq!(bulk::widen_ascii(&source, &mut units), at);
            assert!(units[..at].iter().all(|unit| *unit == [b'a', 0]));
        }
    }
}

#[test]
fn surrogates_are_paired_everywhere() {
    let forms: [&[u16]; 10] = [
        &[0xd800],
        &[0xdbff],
        &[0xdc00],
        &[0xdfff],
        &[0xdc00, 0xd800],
        &[0xd800, 0xd800],
        &[0xd800, 0xd800, 0xdc00],
        &[0xd800, 0xdc00, 0xdc00],
        &[0xd800, 0x41, 0xdc00],
        &[0xdbff, 0xdfff],
    ];
    for form in forms {
        for before in 0..50 {
            for after in [0, 1, 2, 15, 16, 17, 40] {
                for filler in [0x61, 0xe9, 0x6f22] {
                    let mut units = vec![filler; before];
                    units.extend(form);
                    units.extend(vec![filler; after]);
                    check_utf16(&units);
                }
            }
        }
    }
    let mut random = Random(2_463_534_242);
    let kinds = [0x61, 0xe9, 0x7ff, 0x6f22, 0xd800, 0xdbff, 0xdc00, 0xdfff];
    for _ in 0..20_000 {
        let mut units: Vec<u16> = vec![];
        for _ in 0..random.below(60) {
            match random.below(12) {
                0 => units.push(kinds[random.below(kinds.len())]),
                1..8 => units.extend([0xd83d, 0xde00 + random.below(80) as u16]),
                _ => units.push(random.below(0xd800) as u16),
            }
        }
        check_utf16(&units);
    }
}

#[test]
fn ascii_is_copied_up_to_the_first_other_byte() {
    for length in [
        255, 256, 257, 511, 512, 4095, 4096, 4097, 8192, 8500, 12_300,
    ] {
        let ascii: Vec<u8> = (0..length).map(|at| (at % 127) as u8).collect();
        let (result, target) = convert(ascii_copy, &ascii, length, length);
        assert_eq!((result as usize, target), (length, ascii.clone()));
        let near_edges = [
            0, 1, 31, 32, 63, 64, 255, 256, 300, 4095, 4096, 4097, 8191, 8192,
        ];
        for high in near_edges.into_iter().chain([length / 2, length - 1]) {
            if high >= length {
                continue;
            }
            let mut source = ascii.clone();
            source[high] = 0x80 | (high as u8);
            let (result, target) = convert(ascii_copy, &source, length, length);
            assert_eq!((result as usize, &target[..high]), (high, &source[..high]));
        }
    }
}

#[test]
fn latin1_of_every_length_is_converted() {
    let mut random = Random(362_436_069);
    for length in 0..200 {
        for highs in 0..5 {
            let source: Vec<u8> = (0..length)
                .map(|_| (random.below(128) + if random.below(4) < highs { 128 } else { 0 }) as u8)
                .collect();
            let text: String = source.iter().map(|byte| *byte as char).collect();
            let (result, target) = convert(latin1_to_utf8, &source, length, length * 2);
            assert_eq!(&target[..result as usize], text.as_bytes());
            let ascii = source.iter().take_while(|byte| byte.is_ascii()).count();
            let (result, target) = convert(ascii_copy, &source, length, length);
            assert_eq!(
                (result as usize, &target[..ascii]),
                (ascii, &source[..ascii])
            );
            let (address, count) = (source.as_ptr(), length as u64);
            // SAFETY: the values are as many as it says.
            let all = unsafe { ascii_validate(address, count) };
            assert_eq!(all, u32::from(ascii == length));
            let wide = utf16(&text);
            let mut target = vec![0; length * 2];
            // SAFETY: the source is as long as it says, and the target has room for all of it.
            unsafe { latin1_to_utf16(address, count, target.as_mut_ptr()) };
            assert_eq!(target, wide);
            target[..length].copy_from_slice(&source);
            // SAFETY: the buffer is as long as the builtin may write.
            unsafe { latin1_widen_in_place(target.as_mut_ptr(), count) };
            assert_eq!(target, wide);
            assert_eq!(
                // SAFETY: the buffer is as long as the builtin may write.
                unsafe { utf16_narrow_in_place(target.as_mut_ptr(), count) },
                1
            );
            assert_eq!(target[..length], source);
            if length > 0 {
                let mut over = wide;
                over[random.below(length) * 2 + 1] = 1;
                let before = over.clone();
                assert_eq!(
                    // SAFETY: the buffer is as long as the builtin may write.
                    unsafe { utf16_narrow_in_place(over.as_mut_ptr(), count) },
                    0
                );
                assert_eq!(over, before);
            }
        }
    }
}

#[test]
fn scalar_conversions_are_as_the_vector_ones() {
    for text in texts(40, &CHARACTERS) {
        let source = text.as_bytes();
        let wide = utf16(&text);
        let mut target = vec![0; source.len() * 2];
        let units = scalar::utf8_to_utf16(source, 0, &mut target);
        assert_eq!(target[..units * 2], wide);
        let mut bytes = vec![0; wide.len() / 2 * 3];
        let written = scalar::utf16_to_utf8(&wide, &mut bytes).unwrap();
        assert_eq!(&bytes[..written], source);
        let mut vector = vec![0; source.len() * 2];
        assert_eq!(
            convert!(latin1_to_utf8(&wide, &mut vec![0; wide.len() * 2]) of wide.len() + 32),
            scalar::latin1_to_utf8(&wide, &mut vec![0; wide.len() * 2])
        );
        assert_eq!(
            convert!(utf8_to_utf16(source, 0, &mut vector) of source.len() + 32),
            units
        );
        assert_eq!(vector[..units * 2], wide);
    }
}

#[test]
fn bad_discriminants_are_found_anywhere() {
    for (size, cases) in [(1, 3_u32), (1, 200), (2, 300), (4, 70_000)] {
        let check = |values: &[u32]| {
            let bytes = values
                .iter()
                .flat_map(|value| value.to_le_bytes().into_iter().take(size));
            let bytes: Vec<u8> = bytes.collect();
            // SAFETY: the values are as many as it says.
            unsafe { enums_validate(bytes.as_ptr(), values.len() as u64, size as u32, cases) }
        };
        for length in 0..140 {
            let mut values = vec![cases - 1; length];
            assert_eq!(check(&values), 0);
            for at in 0..length {
                for bad in [cases, u32::MAX >> (32 - 8 * size)] {
                    values[at] = bad;
                    assert_eq!(check(&values), 1);
                }
                values[at] = 0;
            }
        }
    }
}

#[test]
fn bad_chars_are_found_anywhere() {
    for length in 0..70_usize {
        let good = vec![0x10_ffff_u32; length];
        assert_eq!(
            // SAFETY: the values are as many as it says.
            unsafe { chars_validate(good.as_ptr().cast(), length as u64) },
            0
        );
        for at in 0..length {
            for bad in [0xd800, 0xdfff, 0x11_0000, u32::MAX] {
                let mut values = good.clone();
                values[at] = bad;
                assert_eq!(
                    // SAFETY: the values are as many as it says.
                    unsafe { chars_validate(values.as_ptr().cast(), length as u64) },
                    1
                );
            }
        }
        let mut bools: Vec<u8> = (0..length).map(|index| (index * 37) as u8).collect();
        let expected: Vec<u8> = bools.iter().map(|byte| u8::from(*byte != 0)).collect();
        // SAFETY: the buffer is as long as the builtin may write.
        unsafe { bools_normalise(bools.as_mut_ptr(), length as u64) };
        assert_eq!(bools, expected);
    }
}

#[test]
fn latin1_stops_at_every_place_of_a_block() {
    // The character before the one that does not fit may be in two blocks.
    for ascii in 0..70 {
        for highs in 0..70 {
            let text = format!("é{}{}€é", "a".repeat(ascii), "é".repeat(highs));
            check_utf8_to_latin1(text.as_bytes());
            check_utf8_to_latin1(format!("{text}{}", "é".repeat(40)).as_bytes());
        }
    }
}

thread_local! {
    static WIDEST_VECTORS: std::cell::Cell<u32> = const { std::cell::Cell::new(512) };
}

/// Bits of the widest vectors that a test lets this thread use.
pub(super) fn widest_vectors() -> u32 {
    WIDEST_VECTORS.get()
}

/// All of the above again, as on a processor with shorter vectors.
fn with_vectors_of_at_most(bits: u32) {
    WIDEST_VECTORS.set(bits);
    utf8_is_told_from_incomplete_and_invalid();
    encodings_round_trip();
    latin1_is_written_as_far_as_it_goes();
    narrowing_stops_where_it_must();
    bits_are_masked();
    in_place_conversions();
    chars_are_scalar_values();
    utf8_of_every_mixture_is_converted();
    every_character_is_converted();
    invalid_utf8_is_told_everywhere();
    every_pair_of_bytes_is_told();
    long_texts_are_converted_in_pieces();
    ascii_is_widened_as_far_as_it_goes();
    surrogates_are_paired_everywhere();
    ascii_is_copied_up_to_the_first_other_byte();
    latin1_of_every_length_is_converted();
    scalar_conversions_are_as_the_vector_ones();
    bad_discriminants_are_found_anywhere();
    bad_chars_are_found_anywhere();
    latin1_stops_at_every_place_of_a_block();
}

#[test]
fn without_avx512_it_is_the_same() {
    with_vectors_of_at_most(256);
}

#[test]
fn without_avx2_it_is_the_same() {
    with_vectors_of_at_most(128);
}
