//! The conversions of `avx2` for other processors, and what they are tested against.

/// See [`super::avx2::utf8_to_utf16`].
pub(super) fn utf8_to_utf16(source: &[u8], start: usize, target: &mut [u8]) -> usize {
    let (pairs, _) = target.as_chunks_mut::<2>();
    let mut written = start;
    for (pair, unit) in pairs[start..]
        .iter_mut()
        .zip(text(source, start).encode_utf16())
    {
        *pair = unit.to_le_bytes();
        written += 1;
    }
    written
}

/// Valid UTF-8 from the byte `start` as text.
fn text(source: &[u8], start: usize) -> &str {
    debug_assert!(std::str::from_utf8(&source[start..]).is_ok());
    // SAFETY: callers validated it, in memory that nobody else writes to meanwhile.
    unsafe { std::str::from_utf8_unchecked(&source[start..]) }
}

/// As [`super::avx2::utf8_to_latin1`], but up to the first character over U+00FF.
pub(super) fn utf8_to_latin1(source: &[u8], start: usize, target: &mut [u8]) -> (usize, usize) {
    latin1_from(source, start, start, target)
}

/// Converts valid UTF-8 to Latin-1 up to the first character over U+00FF, when `read` bytes have
/// given `written`. Returns both as they are in the end.
pub(super) fn latin1_from(
    source: &[u8],
    read: usize,
    mut written: usize,
    target: &mut [u8],
) -> (usize, usize) {
    for (index, character) in text(source, read).char_indices() {
        let Ok(byte) = u8::try_from(character) else {
            return (read + index, written);
        };
        target[written] = byte;
        written += 1;
    }
    (source.len(), written)
}

/// See [`super::avx2::latin1_to_utf8`].
pub(super) fn latin1_to_utf8(source: &[u8], target: &mut [u8]) -> usize {
    let mut written = 0;
    for byte in source {
        written += char::from(*byte).encode_utf8(&mut target[written..]).len();
    }
    written
}

/// See [`super::avx2::utf16_to_utf8`].
pub(super) fn utf16_to_utf8(source: &[u8], target: &mut [u8]) -> Option<usize> {
    let (units, _) = source.as_chunks::<2>();
    let units = units.iter().map(|unit| u16::from_le_bytes(*unit));
    let mut written = 0;
    for decoded in char::decode_utf16(units) {
        // Three bytes a unit always suffice: a surrogate pair takes four.
        written += decoded.ok()?.encode_utf8(&mut target[written..]).len();
    }
    Some(written)
}
