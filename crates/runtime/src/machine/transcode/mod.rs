//! Validation and conversion of text and of other bulk values between linear memories and the host.
//!
//! Addresses come from compiled code, which checked bounds; UTF-16 addresses are even. Sources and
//! destinations of one conversion do not overlap. Nothing relies on a text's validity for memory
//! safety: invalid input gives an unspecified number of units within the destination's size.
//!
//! | file | subject |
//! | --- | --- |
//! | `scalar`, `avx2`, `avx512` | the conversions, by what the processor has |
//! | `bulk` | loops over whole buffers: units of one length, checks of plain values |

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod bulk;
mod scalar;

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

/// Runs a conversion of `avx2`, or that of `scalar` if there is less than a block to convert or the
/// processor has not what it needs.
macro_rules! convert {
    ($name:ident($($argument:expr),*) of $bytes:expr) => {{
        #[cfg(target_arch = "x86_64")]
        let result = match $bytes >= avx2::BLOCK && avx2::available() {
            // SAFETY: the processor has what it needs.
            true => unsafe { avx2::$name($($argument),*) },
            false => scalar::$name($($argument),*),
        };
        #[cfg(not(target_arch = "x86_64"))]
        let result = scalar::$name($($argument),*);
        result
    }};
}

/// Code units of UTF-16LE, without assuming alignment.
unsafe fn units<'a>(address: *const u8, count: u64) -> &'a [[u8; 2]] {
    // SAFETY: the caller's bounds check.
    unsafe { bytes(address, count * 2) }.as_chunks::<2>().0
}

/// Up to this many bytes, looking for something that is not ASCII needs no loop.
const SHORT: usize = 32;

/// Whether there are at most [`SHORT`] bytes, all ASCII.
#[inline]
fn is_short_ascii(bytes: &[u8]) -> bool {
    let word =
        |at: usize| u64::from_le_bytes(*bytes[at..].first_chunk().expect("8 bytes are there"));
    let all = match bytes.len() {
        0..8 => bytes.iter().fold(0, |all, byte| all | u64::from(*byte)),
        // Words overlap so that they cover every length.
        length @ 8..=16 => word(0) | word(length - 8),
        length @ 17..=SHORT => word(0) | word(8) | word(length - 16) | word(length - 8),
        _ => return false,
    };
    all & 0x8080_8080_8080_8080 == 0
}

/// Bytes that are looked at and then copied: they are still in the nearest cache.
const ASCII_PIECE: usize = 4 << 10;

/// Copies bytes as long as they are ASCII; returns how many.
fn copy_ascii(source: &[u8], target: &mut [u8]) -> usize {
    if is_short_ascii(source) {
        target[..source.len()].copy_from_slice(source);
        return source.len();
    }
    let mut copied = 0;
    #[cfg(target_arch = "x86_64")]
    if source.len() >= avx512::GROUP && avx512::available() {
        // SAFETY: the processor has what it needs.
        copied = unsafe { avx512::copy_groups_of_ascii(source, target) };
    }
    let pieces = source[copied..].chunks(ASCII_PIECE);
    for (piece, target) in pieces.zip(target[copied..].chunks_mut(ASCII_PIECE)) {
        let ascii = bulk::ascii_prefix(piece);
        target[..ascii].copy_from_slice(&piece[..ascii]);
        copied += ascii;
        if ascii < piece.len() {
            break;
        }
    }
    copied
}

/// Whether bytes are UTF-8.
fn is_utf8(bytes: &[u8]) -> bool {
    #[cfg(target_arch = "x86_64")]
    if bytes.len() >= avx512::BLOCK && avx512::available() {
        // SAFETY: the processor has what it needs.
        return unsafe { avx512::is_utf8(bytes) };
    }
    simdutf8::basic::from_utf8(bytes).is_ok()
}

/// Copies bytes to a target of their length; whether they are UTF-8.
fn copy_utf8(source: &[u8], target: &mut [u8]) -> bool {
    #[cfg(target_arch = "x86_64")]
    if source.len() >= avx512::BLOCK && avx512::available() {
        // SAFETY: the processor has what it needs.
        return unsafe { avx512::copy_utf8(source, target) };
    }
    target.copy_from_slice(source);
    is_utf8(target)
}

/// What a check of UTF-8 returns for text that failed it.
fn fault_of_utf8(text: &[u8]) -> u32 {
    match std::str::from_utf8(text) {
        Ok(_) => 0,
        Err(error) if error.error_len().is_some() => 1,
        Err(_) => 2,
    }
}

pub(crate) unsafe extern "C" fn utf8_validate(address: *const u8, length: u64) -> u32 {
    // SAFETY: compiled code checked the bounds.
    let text = unsafe { bytes(address, length) };
    match is_short_ascii(text) || is_utf8(text) {
        true => 0,
        false => fault_of_utf8(text),
    }
}

pub(crate) unsafe extern "C" fn utf8_copy(source: *const u8, length: u64, target: *mut u8) -> u32 {
    // SAFETY: compiled code checked the bounds.
    let (source, target) = unsafe { (bytes(source, length), bytes_mut(target, length)) };
    match copy_utf8(source, target) {
        true => 0,
        false => fault_of_utf8(target),
    }
}

pub(crate) unsafe extern "C" fn ascii_validate(address: *const u8, length: u64) -> u32 {
    // SAFETY: compiled code checked the bounds.
    let bytes = unsafe { bytes(address, length) };
    u32::from(is_short_ascii(bytes) || bytes.is_ascii())
}

pub(crate) unsafe extern "C" fn utf16_to_utf8(
    source: *const u8,
    count: u64,
    target: *mut u8,
) -> u64 {
    // SAFETY: compiled code checked the bounds.
    let (source, target) = unsafe { (bytes(source, count * 2), bytes_mut(target, count * 3)) };
    convert!(utf16_to_utf8(source, target) of source.len())
        .map_or(u64::MAX, |written| written as u64)
}

pub(crate) unsafe extern "C" fn latin1_to_utf8(
    source: *const u8,
    length: u64,
    target: *mut u8,
) -> u64 {
    // SAFETY: compiled code checked the bounds.
    let (source, target) = unsafe { (bytes(source, length), bytes_mut(target, length * 2)) };
    convert!(latin1_to_utf8(source, target) of source.len()) as u64
}

pub(crate) unsafe extern "C" fn utf8_to_utf16(
    source: *const u8,
    length: u64,
    target: *mut u8,
) -> u64 {
    // SAFETY: compiled code checked the bounds.
    let (source, target) = unsafe { (bytes(source, length), bytes_mut(target, length * 2)) };
    if is_short_ascii(source) {
        bulk::widen(source, target.as_chunks_mut().0);
        return length;
    }
    let (mut read, mut written) = (0, 0);
    while read < source.len() {
        let (source, target) = (&source[read..], &mut target[written * 2..]);
        let (some_read, some_written) = short_utf8_to_utf16(source, target);
        let piece = piece_of_utf8(&source[some_read..]);
        if !is_utf8(piece) {
            return not_utf8(source);
        }
        let target = &mut target[some_written * 2..];
        read += some_read + piece.len();
        written += some_written + convert!(utf8_to_utf16(piece, 0, target) of piece.len());
    }
    written as u64
}

/// Converts the shortest characters of UTF-8 until another one comes. Returns how many bytes it
/// took and how many units it wrote.
fn short_utf8_to_utf16(source: &[u8], target: &mut [u8]) -> (usize, usize) {
    let (target, _) = target.as_chunks_mut();
    #[cfg(target_arch = "x86_64")]
    if source.len() >= avx512::BLOCK && avx512::available() {
        // SAFETY: the processor has what it needs.
        return unsafe { avx512::short_utf8_to_utf16(source, target) };
    }
    let ascii = bulk::widen_ascii(source, target);
    (ascii, ascii)
}

/// Bytes that are validated and converted before the ones after them, while they are in the cache.
const PIECE: usize = 4096;

/// The start of UTF-8 up to the last character that starts in its first [`PIECE`] bytes; never
/// nothing.
fn piece_of_utf8(text: &[u8]) -> &[u8] {
    if text.len() <= PIECE {
        return text;
    }
    let is_start = |at: &usize| text[*at] & 0xc0 != 0x80;
    let end = (PIECE - 3..=PIECE).rev().find(is_start);
    &text[..end.unwrap_or(PIECE)]
}

/// What transcoders of UTF-8 return for a source that is not: -1, or -2 if it ends inside a
/// character.
fn not_utf8(source: &[u8]) -> u64 {
    (-i64::from(fault_of_utf8(source))) as u64
}

pub(crate) unsafe extern "C" fn utf8_to_latin1(
    source: *const u8,
    length: u64,
    target: *mut u8,
) -> u64 {
    // SAFETY: compiled code checked the bounds.
    let (source, target) = unsafe { (bytes(source, length), bytes_mut(target, length)) };
    let ascii = copy_ascii(source, target);
    if ascii == source.len() {
        return length << 32 | length;
    }
    if !is_utf8(&source[ascii..]) {
        return not_utf8(source);
    }
    let (read, written) = convert!(utf8_to_latin1(source, ascii, target) of source.len() - ascii);
    // What is left starts at a character near the one that does not fit.
    let (read, written) = scalar::latin1_from(source, read, written, target);
    (read as u64) << 32 | written as u64
}

pub(crate) unsafe extern "C" fn latin1_widen_in_place(address: *mut u8, length: u64) {
    // SAFETY: compiled code checked the bounds.
    bulk::widen_in_place(unsafe { bytes_mut(address, length * 2) });
}

pub(crate) unsafe extern "C" fn utf16_narrow_in_place(address: *mut u8, count: u64) -> u32 {
    // SAFETY: compiled code checked the bounds.
    let all = unsafe { bytes_mut(address, count * 2) };
    let fits = bulk::is_latin1(all.as_chunks().0);
    if fits {
        bulk::narrow_in_place(all);
    }
    u32::from(fits)
}

/// Whether UTF-16LE code units all fit Latin-1.
pub(crate) unsafe fn fits_latin1(address: *const u8, count: u64) -> bool {
    // SAFETY: the caller's bounds check.
    bulk::is_latin1(unsafe { units(address, count) })
}

pub(crate) unsafe extern "C" fn utf16_validate(address: *const u8, count: u64) -> u32 {
    // SAFETY: compiled code checked the bounds.
    u32::from(!bulk::is_utf16(unsafe { units(address, count) }))
}

pub(crate) unsafe extern "C" fn utf16_to_latin1(
    source: *const u8,
    count: u64,
    target: *mut u8,
) -> u64 {
    // SAFETY: compiled code checked the bounds.
    let (source, target) = unsafe { (units(source, count), bytes_mut(target, count)) };
    bulk::narrow(source, target, 0xff) as u64
}

pub(crate) unsafe extern "C" fn utf16_to_ascii(
    source: *const u8,
    count: u64,
    target: *mut u8,
) -> u64 {
    // SAFETY: compiled code checked the bounds.
    let (source, target) = unsafe { (units(source, count), bytes_mut(target, count)) };
    bulk::narrow(source, target, 0x7f) as u64
}

pub(crate) unsafe extern "C" fn ascii_copy(source: *const u8, length: u64, target: *mut u8) -> u64 {
    // SAFETY: compiled code checked the bounds.
    let (source, target) = unsafe { (bytes(source, length), bytes_mut(target, length)) };
    copy_ascii(source, target) as u64
}

pub(crate) unsafe extern "C" fn latin1_to_utf16(source: *const u8, length: u64, target: *mut u8) {
    // SAFETY: compiled code checked the bounds.
    let (source, target) = unsafe { (bytes(source, length), bytes_mut(target, length * 2)) };
    bulk::widen(source, target.as_chunks_mut().0);
}

pub(crate) unsafe extern "C" fn chars_validate(address: *const u8, count: u64) -> u32 {
    // SAFETY: compiled code checked the bounds.
    let (values, _) = unsafe { bytes(address, count * 4) }.as_chunks();
    u32::from(!bulk::are_chars(values))
}

pub(crate) unsafe extern "C" fn enums_validate(
    address: *const u8,
    count: u64,
    size: u32,
    cases: u32,
) -> u32 {
    // SAFETY: compiled code checked the bounds.
    let all = unsafe { bytes(address, count * u64::from(size)) };
    let greatest = match size {
        1 => bulk::greatest_u8(all).into(),
        2 => bulk::greatest_u16(all.as_chunks().0).into(),
        _ => bulk::greatest_u32(all.as_chunks().0),
    };
    u32::from(greatest >= cases)
}

pub(crate) unsafe extern "C" fn bools_normalise(address: *mut u8, count: u64) {
    // SAFETY: compiled code checked the bounds.
    bulk::normalise_bools(unsafe { bytes_mut(address, count) });
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
mod tests;
