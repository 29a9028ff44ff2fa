//! Validation and conversion of text and of other bulk values between linear memories and the host.
//!
//! Addresses come from compiled code, which checked bounds; UTF-16 addresses are even. Sources and
//! destinations of one conversion do not overlap. Nothing relies on a text's validity for memory
//! safety: invalid input gives an unspecified number of units within the destination's size.

use std::slice::{from_raw_parts, from_raw_parts_mut};

/// Guest or host memory as a slice; any address is fine for 0 bytes.
pub(crate) unsafe fn bytes<'a>(address: *const u8, length: u64) -> &'a [u8] {
    match length {
        0 => &[],
        // SAFETY: the caller's bounds check.
        _ => unsafe { from_raw_parts(address, length as usize) },
    }
}

unsafe fn bytes_mut<'a>(address: *mut u8, length: u64) -> &'a mut [u8] {
    match length {
        0 => &mut [],
        // SAFETY: the caller's bounds check.
        _ => unsafe { from_raw_parts_mut(address, length as usize) },
    }
}

/// Code units of UTF-16LE, read without assuming alignment.
unsafe fn units<'a>(address: *const u8, count: u64) -> impl Iterator<Item = u16> + Clone + 'a {
    // SAFETY: the caller's bounds check.
    let bytes = unsafe { bytes(address, count * 2) };
    let (pairs, _) = bytes.as_chunks::<2>();
    pairs.iter().map(|pair| u16::from_le_bytes(*pair))
}

/// Writes UTF-16LE code units until the destination is full; returns how many.
fn write_units(target: &mut [u8], units: impl Iterator<Item = u16>) -> u64 {
    let (pairs, _) = target.as_chunks_mut::<2>();
    let mut written = 0;
    for (pair, unit) in pairs.iter_mut().zip(units) {
        *pair = unit.to_le_bytes();
        written += 1;
    }
    written
}

/// Writes bytes until the destination is full; returns how many.
fn write_bytes(target: &mut [u8], source: impl Iterator<Item = u8>) -> u64 {
    let mut written = 0;
    for (byte, value) in target.iter_mut().zip(source) {
        *byte = value;
        written += 1;
    }
    written
}

pub(crate) unsafe extern "C" fn utf8_validate(address: *const u8, length: u64) -> u32 {
    // SAFETY: compiled code checked the bounds.
    let text = unsafe { bytes(address, length) };
    if simdutf8::basic::from_utf8(text).is_ok() {
        return 0;
    }
    match std::str::from_utf8(text) {
        Ok(_) => 0,
        Err(error) if error.error_len().is_some() => 1,
        Err(_) => 2,
    }
}

pub(crate) unsafe extern "C" fn ascii_validate(address: *const u8, length: u64) -> u32 {
    // SAFETY: compiled code checked the bounds.
    u32::from(unsafe { bytes(address, length) }.is_ascii())
}

pub(crate) unsafe extern "C" fn utf16_to_utf8(
    source: *const u8,
    count: u64,
    target: *mut u8,
) -> u64 {
    // SAFETY: compiled code checked the bounds.
    let (source, target) = unsafe { (units(source, count), bytes_mut(target, count * 3)) };
    let mut written = 0;
    for decoded in char::decode_utf16(source) {
        let Ok(character) = decoded else {
            return u64::MAX;
        };
        // Three bytes a unit always suffice: a surrogate pair takes four.
        written += character.encode_utf8(&mut target[written..]).len();
    }
    written as u64
}

pub(crate) unsafe extern "C" fn latin1_to_utf8(
    source: *const u8,
    length: u64,
    target: *mut u8,
) -> u64 {
    // SAFETY: compiled code checked the bounds.
    let (source, target) = unsafe { (bytes(source, length), bytes_mut(target, length * 2)) };
    let mut written = 0;
    for byte in source {
        written += char::from(*byte).encode_utf8(&mut target[written..]).len();
    }
    written as u64
}

pub(crate) unsafe extern "C" fn utf8_to_utf16(
    source: *const u8,
    length: u64,
    target: *mut u8,
) -> u64 {
    // SAFETY: compiled code checked the bounds.
    let (source, target) = unsafe { (bytes(source, length), bytes_mut(target, length * 2)) };
    if source.is_ascii() {
        return write_units(target, source.iter().map(|byte| u16::from(*byte)));
    }
    match simdutf8::basic::from_utf8(source) {
        Ok(text) => write_units(target, text.encode_utf16()),
        Err(_) => not_utf8(source),
    }
}

/// What transcoders of UTF-8 return for a source that is not: -1, or -2 if it ends inside a character.
fn not_utf8(source: &[u8]) -> u64 {
    let incomplete = std::str::from_utf8(source).is_err_and(|error| error.error_len().is_none());
    (if incomplete { -2_i64 } else { -1 }) as u64
}

pub(crate) unsafe extern "C" fn utf8_to_latin1(
    source: *const u8,
    length: u64,
    target: *mut u8,
) -> u64 {
    // SAFETY: compiled code checked the bounds.
    let (source, target) = unsafe { (bytes(source, length), bytes_mut(target, length)) };
    if source.is_ascii() {
        target.copy_from_slice(source);
        return length << 32 | length;
    }
    let Ok(text) = simdutf8::basic::from_utf8(source) else {
        return not_utf8(source);
    };
    let end = text
        .char_indices()
        .find(|(_, character)| u8::try_from(*character).is_err())
        .map_or(text.len(), |(index, _)| index);
    let characters = text[..end].chars();
    let written = write_bytes(target, characters.map(|character| character as u8));
    (end as u64) << 32 | written
}

pub(crate) unsafe extern "C" fn latin1_widen_in_place(address: *mut u8, length: u64) {
    // SAFETY: compiled code checked the bounds.
    let all = unsafe { bytes_mut(address, length * 2) };
    for index in (0..length as usize).rev() {
        let unit = u16::from(all[index]).to_le_bytes();
        all[index * 2..][..2].copy_from_slice(&unit);
    }
}

pub(crate) unsafe extern "C" fn utf16_narrow_in_place(address: *mut u8, count: u64) -> u32 {
    // SAFETY: compiled code checked the bounds.
    let all = unsafe { bytes_mut(address, count * 2) };
    if all.iter().skip(1).step_by(2).any(|high| *high != 0) {
        return 0;
    }
    for index in 0..count as usize {
        all[index] = all[index * 2];
    }
    1
}

pub(crate) unsafe extern "C" fn utf16_validate(address: *const u8, count: u64) -> u32 {
    // SAFETY: compiled code checked the bounds.
    let units = unsafe { units(address, count) };
    // Most strings have no surrogates; without an early exit the search becomes vector code.
    let surrogates = units
        .clone()
        .fold(false, |any, unit| any | (unit & 0xf800 == 0xd800));
    u32::from(surrogates && char::decode_utf16(units).any(|unit| unit.is_err()))
}

pub(crate) unsafe extern "C" fn utf16_to_latin1(
    source: *const u8,
    count: u64,
    target: *mut u8,
) -> u64 {
    // SAFETY: compiled code checked the bounds.
    let (source, target) = unsafe { (bytes(source, count * 2), bytes_mut(target, count)) };
    narrow_up_to(source, target, 0xff)
}

pub(crate) unsafe extern "C" fn utf16_to_ascii(
    source: *const u8,
    count: u64,
    target: *mut u8,
) -> u64 {
    // SAFETY: compiled code checked the bounds.
    let (source, target) = unsafe { (bytes(source, count * 2), bytes_mut(target, count)) };
    narrow_up_to(source, target, 0x7f)
}

/// Narrows UTF-16LE code units until one is greater than `most`; returns how many.
fn narrow_up_to(source: &[u8], target: &mut [u8], most: u16) -> u64 {
    let (units, _) = source.as_chunks::<2>();
    let (blocks, _) = units.as_chunks::<16>();
    let (targets, _) = target.as_chunks_mut::<16>();
    let mut written = 0;
    // A block at a time, without an early exit in it, so that it becomes vector code.
    for (block, target) in blocks.iter().zip(targets) {
        let all = block
            .iter()
            .fold(0, |all, unit| all | u16::from_le_bytes(*unit));
        if all > most {
            break;
        }
        for (byte, unit) in target.iter_mut().zip(block) {
            *byte = unit[0];
        }
        written += 16;
    }
    let fits = |unit: &[u8; 2]| (u16::from_le_bytes(*unit) <= most).then_some(unit[0]);
    let rest = units[written..].iter().map_while(fits);
    written as u64 + write_bytes(&mut target[written..], rest)
}

pub(crate) unsafe extern "C" fn ascii_copy(source: *const u8, length: u64, target: *mut u8) -> u64 {
    // SAFETY: compiled code checked the bounds.
    let (source, target) = unsafe { (bytes(source, length), bytes_mut(target, length)) };
    let ascii = match source.is_ascii() {
        true => source.len(),
        false => source.iter().take_while(|byte| byte.is_ascii()).count(),
    };
    target[..ascii].copy_from_slice(&source[..ascii]);
    ascii as u64
}

pub(crate) unsafe extern "C" fn latin1_to_utf16(source: *const u8, length: u64, target: *mut u8) {
    // SAFETY: compiled code checked the bounds.
    let (source, target) = unsafe { (bytes(source, length), bytes_mut(target, length * 2)) };
    write_units(target, source.iter().map(|byte| u16::from(*byte)));
}

pub(crate) unsafe extern "C" fn chars_validate(address: *const u8, count: u64) -> u32 {
    // SAFETY: compiled code checked the bounds.
    let (characters, _) = unsafe { bytes(address, count * 4) }.as_chunks::<4>();
    // Without an early exit, so that the loop becomes vector code.
    let mut invalid = false;
    for character in characters {
        let value = u32::from_le_bytes(*character);
        invalid |= value > 0x10_ffff || (value ^ 0xd800) < 0x800;
    }
    u32::from(invalid)
}

pub(crate) unsafe extern "C" fn bools_normalise(address: *mut u8, count: u64) {
    // SAFETY: compiled code checked the bounds.
    for byte in unsafe { bytes_mut(address, count) } {
        *byte = u8::from(*byte != 0);
    }
}

pub(crate) unsafe extern "C" fn bits_mask(address: *mut u8, length: u64, mask: u64) {
    // SAFETY: compiled code checked the bounds.
    let (words, rest) = unsafe { bytes_mut(address, length) }.as_chunks_mut::<8>();
    for word in words {
        *word = (u64::from_le_bytes(*word) & mask).to_le_bytes();
    }
    for (byte, mask) in rest.iter_mut().zip(mask.to_le_bytes()) {
        *byte &= mask;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn utf16(text: &str) -> Vec<u8> {
        text.encode_utf16().flat_map(u16::to_le_bytes).collect()
    }

    #[test]
    fn utf8_is_told_from_incomplete_and_invalid() {
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
            let written = unsafe { utf16_to_utf8(wide.as_ptr(), count, narrow.as_mut_ptr()) };
            assert_eq!(&narrow[..written as usize], text.as_bytes());
            let mut back = vec![0; text.len() * 2];
            let written =
                unsafe { utf8_to_utf16(text.as_ptr(), text.len() as u64, back.as_mut_ptr()) };
            assert_eq!(&back[..written as usize * 2], &wide[..]);
            assert_eq!(unsafe { utf16_validate(wide.as_ptr(), count) }, 0);
        }
        let unpaired = [0x00, 0xd8, 0x41, 0x00];
        let mut target = [0; 6];
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
        let result =
            unsafe { utf8_to_latin1(text.as_ptr(), text.len() as u64, target.as_mut_ptr()) };
        assert_eq!((result >> 32, result & 0xffff_ffff), (5, 3));
        assert_eq!(&target[..3], b"a\xe4\xff");
        let mut utf8 = [0; 6];
        let written = unsafe { latin1_to_utf8(target.as_ptr(), 3, utf8.as_mut_ptr()) };
        assert_eq!(&utf8[..written as usize], "aäÿ".as_bytes());
        let wide = utf16(text);
        let mut narrow = [0; 5];
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
                assert_eq!(unsafe { utf16_to_latin1(source, count, target) }, count);
                assert!(
                    narrow
                        .iter()
                        .zip(&text)
                        .all(|(byte, c)| *byte as char == *c)
                );
                assert_eq!(unsafe { utf16_to_ascii(source, count, target) }, at as u64);
            }
        }
        let mut target = *b"....";
        let copied = unsafe { ascii_copy(b"ab\xe9c".as_ptr(), 4, target.as_mut_ptr()) };
        assert_eq!((copied, &target), (2, b"ab.."));
    }

    #[test]
    fn bits_are_masked() {
        let mut flags = [0xff_u8; 11];
        unsafe { bits_mask(flags.as_mut_ptr(), 11, 0x0102_0304_0506_0708) };
        assert_eq!(flags, [8, 7, 6, 5, 4, 3, 2, 1, 8, 7, 6]);
    }

    #[test]
    fn in_place_conversions() {
        let mut buffer = *b"a\xe4z\0\0\0";
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
        let check =
            |values: &[u32]| unsafe { chars_validate(values.as_ptr().cast(), values.len() as u64) };
        assert_eq!(check(&[0, 0xd7ff, 0xe000, 0x10_ffff]), 0);
        for bad in [0xd800, 0xdbff, 0xdfff, 0x11_0000, u32::MAX] {
            assert_eq!(check(&[65, bad]), 1, "{bad:x}");
        }
    }
}
