//! Conversions between encodings of different lengths, as AVX2 code.
//!
//! No crate has these at a few bytes a cycle without a C++ compiler and library, so they are here.
//! All go by the same plan: a block of the source, always of one size, becomes vector lanes that
//! each hold all of what a unit of the source may give; then a shuffle, which a table chooses by
//! the lanes' lengths, moves what is wanted to the front. So neither reading nor computing waits
//! for what the block before held. Only how far to write does.
//!
//! A store writes a whole vector, whatever of it is wanted, but never leaves the destination: see
//! each function. The last block of a source, and one that would read before its start, goes
//! through a copy with zeros around it. Memory safety does not depend on the text's validity.
//!
//! Loops count instead of iterating, and closures are few: what of the standard library is not
//! inlined is not compiled for AVX2.
//!
//! Callers make sure of [`available`].

#![expect(
    clippy::needless_range_loop,
    reason = "iterators are not always inlined where AVX2 is enabled"
)]

use std::arch::x86_64::*;

/// Whether the processor has what these functions are compiled for.
#[inline]
pub(super) fn available() -> bool {
    #[cfg(test)]
    if super::tests::widest_vectors() < 256 {
        return false;
    }
    is_x86_feature_detected!("avx2") && is_x86_feature_detected!("popcnt")
}

/// Indices for shuffles of 16 bytes, by a mask of 8 bits.
#[repr(align(64))]
struct Shuffles([[u8; 16]; 256]);

/// In a shuffle, gives a zero byte.
const NOTHING: u8 = 0x80;

/// Moves the 16-bit lanes whose bit is set to the front.
static CHOSEN_UNITS: Shuffles = {
    let mut table = [[NOTHING; 16]; 256];
    let mut mask = 0;
    while mask < 256 {
        let (mut lane, mut to) = (0, 0);
        while lane < 8 {
            if mask >> lane & 1 == 1 {
                table[mask][to] = lane as u8 * 2;
                table[mask][to + 1] = lane as u8 * 2 + 1;
                to += 2;
            }
            lane += 1;
        }
        mask += 1;
    }
    Shuffles(table)
};

/// Moves the bytes whose bit is set to the front, of 8.
static CHOSEN_BYTES: [[u8; 8]; 256] = {
    let mut table = [[NOTHING; 8]; 256];
    let mut mask = 0;
    while mask < 256 {
        let (mut lane, mut to) = (0, 0);
        while lane < 8 {
            if mask >> lane & 1 == 1 {
                table[mask][to] = lane as u8;
                to += 1;
            }
            lane += 1;
        }
        mask += 1;
    }
    table
};

/// Joins 8 lanes of 2 bytes: both of those whose bit is set, the first of the others.
static ONE_OR_TWO: Shuffles = {
    let mut table = [[NOTHING; 16]; 256];
    let mut mask = 0;
    while mask < 256 {
        let (mut lane, mut to) = (0, 0);
        while lane < 8 {
            let mut byte = 0;
            while byte <= mask >> lane & 1 {
                table[mask][to] = (lane * 2 + byte) as u8;
                to += 1;
                byte += 1;
            }
            lane += 1;
        }
        mask += 1;
    }
    Shuffles(table)
};

/// Joins 4 lanes of 4 bytes: the first byte; the second of those with a bit in the mask's lower
/// half; the third of those with one in its upper half as well.
static ONE_TO_THREE: Shuffles = {
    let mut table = [[NOTHING; 16]; 256];
    let mut mask = 0;
    while mask < 256 {
        let (mut lane, mut to) = (0, 0);
        while lane < 4 {
            let length = 1 + (mask >> lane & 1) + (mask >> (lane + 4) & 1);
            let mut byte = 0;
            while byte < length {
                table[mask][to] = (lane * 4 + byte) as u8;
                to += 1;
                byte += 1;
            }
            lane += 1;
        }
        mask += 1;
    }
    Shuffles(table)
};

/// Bytes of the source in a block. Copying what is shorter around costs more than it saves.
pub(super) const BLOCK: usize = 32;
/// Bytes before a block that its first byte may need: a character has at most four.
const BEFORE: usize = 3;
/// A block of UTF-8 with what its characters need around it.
type Window = [u8; BEFORE + BLOCK + 1];

#[inline]
#[target_feature(enable = "avx2")]
fn load(from: &[u8; 32]) -> __m256i {
    // SAFETY: 32 bytes are there.
    unsafe { _mm256_loadu_si256(from.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx2")]
fn each_byte(byte: u8) -> __m256i {
    _mm256_set1_epi8(byte as i8)
}

#[inline]
#[target_feature(enable = "avx2")]
fn each_unit(unit: u16) -> __m256i {
    _mm256_set1_epi16(unit as i16)
}

#[inline]
#[target_feature(enable = "avx2")]
fn shuffle(lanes: __m128i, table: &Shuffles, mask: u32) -> __m128i {
    let indices = &table.0[mask as usize & 0xff];
    // SAFETY: 16 bytes are there.
    _mm_shuffle_epi8(lanes, unsafe { _mm_loadu_si128(indices.as_ptr().cast()) })
}

/// The four groups of 8 lanes that unpacking two vectors of 32 bytes gives, in their bytes' order.
#[inline]
#[target_feature(enable = "avx2")]
fn groups(low: __m256i, high: __m256i) -> [__m128i; 4] {
    [
        _mm256_castsi256_si128(low),
        _mm256_castsi256_si128(high),
        _mm256_extracti128_si256::<1>(low),
        _mm256_extracti128_si256::<1>(high),
    ]
}

/// Writes `first` and then `second`, each as 16 bytes, widened to 16 bits a byte.
///
/// # Safety
/// There are 64 bytes at `to`.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn store_widened(bytes: __m256i, to: *mut u8) {
    let first = _mm256_cvtepu8_epi16(_mm256_castsi256_si128(bytes));
    let second = _mm256_cvtepu8_epi16(_mm256_extracti128_si256::<1>(bytes));
    // SAFETY: as above.
    unsafe {
        _mm256_storeu_si256(to.cast(), first);
        _mm256_storeu_si256(to.add(32).cast(), second);
    }
}

/// A block of UTF-8 with the bytes around it: every byte is looked at as the last of a character.
struct Utf8Block {
    /// The bytes one before the block's.
    back1: __m256i,
    /// All bits of the bytes that are ASCII.
    ascii: __m256i,
    /// Of each byte: what it has of a character, in place.
    low: __m256i,
    /// A bit for each byte that ends a character.
    ends: u32,
}

impl Utf8Block {
    #[inline]
    #[target_feature(enable = "avx2")]
    fn new(window: &Window, current: __m256i) -> Utf8Block {
        let ascii = _mm256_cmpgt_epi8(current, each_byte(0xff));
        let next = load(part::<{ BEFORE + 1 }>(window));
        Utf8Block {
            back1: load(part::<{ BEFORE - 1 }>(window)),
            ascii,
            low: _mm256_and_si256(current, _mm256_or_si256(ascii, each_byte(0x3f))),
            // Continuation bytes are, as signed numbers, the least: up to 0xbf.
            ends: _mm256_movemask_epi8(_mm256_cmpgt_epi8(next, each_byte(0xbf))) as u32,
        }
    }
}

/// The 32 bytes of a window from `AT`.
#[inline]
fn part<const AT: usize>(window: &Window) -> &[u8; 32] {
    const { assert!(AT + 32 <= size_of::<Window>()) };
    // SAFETY: checked above.
    unsafe { &*window.as_ptr().add(AT).cast() }
}

/// A block of `source` with zeros around what is there.
#[inline]
fn padded(source: &[u8], at: usize) -> Window {
    let mut window = [0; size_of::<Window>()];
    let from = at.saturating_sub(BEFORE);
    let bytes = &source[from..source.len().min(at + BLOCK + 1)];
    window[from + BEFORE - at..][..bytes.len()].copy_from_slice(bytes);
    window
}

/// The window of a block in the middle of `source`; none if it is not all there.
#[inline]
fn window(source: &[u8], at: usize) -> Option<&Window> {
    source.get(at.checked_sub(BEFORE)?..)?.first_chunk()
}

/// Converts UTF-8 from the byte `start`, where a character starts; the bytes before are ASCII and
/// as many units are written. Returns how many are in the end. `target` has two bytes a byte.
#[target_feature(enable = "avx2,popcnt")]
pub(super) fn utf8_to_utf16(source: &[u8], start: usize, target: &mut [u8]) -> usize {
    assert!(target.len() / 2 >= source.len());
    let (mut read, mut written) = (start, start);
    if read < BEFORE.min(source.len()) {
        written += utf16_at_edge(source, read, &mut target[written * 2..]);
        read += BLOCK;
    }
    while let Some(window) = window(source, read) {
        // SAFETY: a byte gives at most a unit, so `written <= read`; and there are 32 bytes more,
        // so there is room for 32 units more.
        unsafe {
            let to = target.as_mut_ptr().add(written * 2);
            written += utf16_of_block(window, u32::MAX, to);
        }
        read += BLOCK;
    }
    while read < source.len() {
        written += utf16_at_edge(source, read, &mut target[written * 2..]);
        read += BLOCK;
    }
    written
}

/// [`utf16_of_block`] for one that has not all around it. Apart, so that the others keep to
/// registers.
#[inline(never)]
#[target_feature(enable = "avx2,popcnt")]
fn utf16_at_edge(source: &[u8], read: usize, target: &mut [u8]) -> usize {
    let window = padded(source, read);
    let valid = u32::MAX >> BLOCK.saturating_sub(source.len() - read);
    let mut units = [0; BLOCK * 2];
    // SAFETY: there is room for 32 units.
    let written = unsafe { utf16_of_block(&window, valid, units.as_mut_ptr()) };
    target[..written * 2].copy_from_slice(&units[..written * 2]);
    written
}

/// Converts the characters that end in a block, at those of its bytes that have a bit in `valid`.
///
/// # Safety
/// There are 64 bytes at `to`.
#[inline]
#[target_feature(enable = "avx2,popcnt")]
unsafe fn utf16_of_block(window: &Window, valid: u32, to: *mut u8) -> usize {
    let current = load(part::<BEFORE>(window));
    if _mm256_movemask_epi8(current) == 0 {
        // SAFETY: as above.
        unsafe { store_widened(current, to) };
        return valid.count_ones() as usize;
    }
    let block = Utf8Block::new(window, current);
    let back3 = load(part::<{ BEFORE - 3 }>(window));
    // All lead bytes of three and of four that matter are in one of these.
    let around = _mm256_max_epu8(current, back3);
    let at_least = |bytes, least| _mm256_cmpeq_epi8(_mm256_max_epu8(bytes, least), bytes);
    let any = |lanes| _mm256_movemask_epi8(lanes) != 0;
    let mut keep = block.ends;
    // A lead byte of two has bit 5 clear, so it gives as many bits as a continuation byte.
    let middle = _mm256_and_si256(block.back1, each_byte(0x3f));
    let mut middle = _mm256_andnot_si256(block.ascii, middle);
    // A unit is `low + 64 * middle`, and `top` in its upper byte.
    let sums = |middle| {
        let weights = each_unit(0x4001);
        (
            _mm256_maddubs_epi16(_mm256_unpacklo_epi8(block.low, middle), weights),
            _mm256_maddubs_epi16(_mm256_unpackhi_epi8(block.low, middle), weights),
        )
    };
    let with_top = |(low, high), top| {
        let zero = _mm256_setzero_si256();
        (
            _mm256_or_si256(low, _mm256_unpacklo_epi8(zero, top)),
            _mm256_or_si256(high, _mm256_unpackhi_epi8(zero, top)),
        )
    };
    let (low, high) = if !any(at_least(around, each_byte(0xe0))) {
        sums(middle)
    } else {
        let back2 = load(part::<{ BEFORE - 2 }>(window));
        // The third last byte counts only if the second last is no lead byte. Its bits are at the
        // top.
        let continuation = _mm256_cmpgt_epi8(each_byte(0xc0), block.back1);
        let continued = _mm256_andnot_si256(block.ascii, continuation);
        let top = _mm256_and_si256(_mm256_slli_epi16::<4>(back2), each_byte(0xf0));
        let top = _mm256_and_si256(continued, top);
        if !any(at_least(around, each_byte(0xf0))) {
            with_top(sums(middle), top)
        } else {
            // Four bytes give a high surrogate at the third and a low surrogate at the fourth.
            let third = at_least(back2, each_byte(0xf0));
            let fourth = at_least(back3, each_byte(0xf0));
            keep |= _mm256_movemask_epi8(third) as u32;
            middle = _mm256_andnot_si256(_mm256_and_si256(fourth, each_byte(0x30)), middle);
            let top = _mm256_blendv_epi8(top, each_byte(0xdc), fourth);
            let (low, high) = with_top(sums(middle), top);
            let lower = _mm256_or_si256(
                _mm256_and_si256(_mm256_slli_epi16::<2>(block.back1), each_byte(0xfc)),
                _mm256_and_si256(_mm256_srli_epi16::<4>(current), each_byte(0x03)),
            );
            let upper = _mm256_and_si256(back2, each_byte(0x07));
            // 0xd800, less what 0x10000 is in the bits that a high surrogate has.
            let base = each_unit(0xd7c0);
            (
                _mm256_blendv_epi8(
                    low,
                    _mm256_add_epi16(_mm256_unpacklo_epi8(lower, upper), base),
                    _mm256_unpacklo_epi8(third, third),
                ),
                _mm256_blendv_epi8(
                    high,
                    _mm256_add_epi16(_mm256_unpackhi_epi8(lower, upper), base),
                    _mm256_unpackhi_epi8(third, third),
                ),
            )
        }
    };
    keep &= valid;
    let mut written = 0;
    let groups = groups(low, high);
    for index in 0..groups.len() {
        let mask = keep >> (index * 8) & 0xff;
        let units = shuffle(groups[index], &CHOSEN_UNITS, mask);
        // SAFETY: as above; before this group, at most 8 units a group were written.
        unsafe { _mm_storeu_si128(to.add(written * 2).cast(), units) };
        written += mask.count_ones() as usize;
    }
    written
}

/// Converts valid UTF-8 from the byte `start`, as [`utf8_to_utf16`], to Latin-1 until near a
/// character over U+00FF. Returns how many bytes it took, which is where a character starts, and
/// how many it wrote. `target` is as long as the source.
#[target_feature(enable = "avx2,popcnt")]
pub(super) fn utf8_to_latin1(source: &[u8], start: usize, target: &mut [u8]) -> (usize, usize) {
    assert!(target.len() >= source.len());
    let (mut read, mut written) = (start, start);
    // A character that started in the block before is still to be written.
    let stop = |read: usize, written| {
        let unfinished = read > start && source[read - 1] >= 0xc0;
        (read - usize::from(unfinished), written)
    };
    if read < BEFORE.min(source.len()) {
        match latin1_at_edge(source, read, &mut target[written..]) {
            Some(more) => written += more,
            None => return stop(read, written),
        }
        read = source.len().min(read + BLOCK);
    }
    while let Some(window) = window(source, read) {
        // SAFETY: as for `utf8_to_utf16`, with bytes for units.
        match unsafe { latin1_of_block(window, u32::MAX, target.as_mut_ptr().add(written)) } {
            Some(more) => written += more,
            None => return stop(read, written),
        }
        read += BLOCK;
    }
    while read < source.len() {
        match latin1_at_edge(source, read, &mut target[written..]) {
            Some(more) => written += more,
            None => return stop(read, written),
        }
        read = source.len().min(read + BLOCK);
    }
    (read, written)
}

/// [`latin1_of_block`] for one that has not all around it.
#[inline(never)]
#[target_feature(enable = "avx2,popcnt")]
fn latin1_at_edge(source: &[u8], read: usize, target: &mut [u8]) -> Option<usize> {
    let window = padded(source, read);
    let valid = u32::MAX >> BLOCK.saturating_sub(source.len() - read);
    let mut bytes = [0; BLOCK];
    // SAFETY: there is room for 32 bytes.
    let written = unsafe { latin1_of_block(&window, valid, bytes.as_mut_ptr())? };
    target[..written].copy_from_slice(&bytes[..written]);
    Some(written)
}

/// Converts the characters that end in a block, unless one there is over U+00FF.
///
/// # Safety
/// There are 32 bytes at `to`.
#[inline]
#[target_feature(enable = "avx2,popcnt")]
unsafe fn latin1_of_block(window: &Window, valid: u32, to: *mut u8) -> Option<usize> {
    let current = load(part::<BEFORE>(window));
    if _mm256_movemask_epi8(current) == 0 {
        // SAFETY: as above.
        unsafe { _mm256_storeu_si256(to.cast(), current) };
        return Some(valid.count_ones() as usize);
    }
    let most = each_byte(0xc3);
    let fits = _mm256_cmpeq_epi8(_mm256_max_epu8(current, most), most);
    if _mm256_movemask_epi8(fits) != -1 {
        return None;
    }
    let block = Utf8Block::new(window, current);
    let upper = _mm256_and_si256(_mm256_slli_epi16::<6>(block.back1), each_byte(0xc0));
    let bytes = _mm256_or_si256(block.low, _mm256_andnot_si256(block.ascii, upper));
    let keep = block.ends & valid;
    let mut written = 0;
    let halves = [
        _mm256_castsi256_si128(bytes),
        _mm256_extracti128_si256::<1>(bytes),
    ];
    for index in 0..halves.len() {
        let bits = keep >> (index * 16);
        let masks = [bits & 0xff, bits >> 8 & 0xff];
        let first = u64::from_le_bytes(CHOSEN_BYTES[masks[0] as usize]);
        // The second group's are 8 bytes further; nothing stays nothing.
        let second = u64::from_le_bytes(CHOSEN_BYTES[masks[1] as usize]) | 0x0808_0808_0808_0808;
        let both = _mm_shuffle_epi8(halves[index], _mm_set_epi64x(second as i64, first as i64));
        // SAFETY: as above; before each group of 8, at most 8 bytes a group were written.
        unsafe {
            _mm_storel_epi64(to.add(written).cast(), both);
            written += masks[0].count_ones() as usize;
            _mm_storel_epi64(to.add(written).cast(), _mm_unpackhi_epi64(both, both));
            written += masks[1].count_ones() as usize;
        }
    }
    Some(written)
}

/// Converts Latin-1; returns how many bytes it wrote. `target` has two bytes a byte.
#[target_feature(enable = "avx2,popcnt")]
pub(super) fn latin1_to_utf8(source: &[u8], target: &mut [u8]) -> usize {
    assert!(target.len() / 2 >= source.len());
    let mut written = 0;
    let (blocks, rest) = source.as_chunks::<BLOCK>();
    for block in blocks {
        // SAFETY: a byte gives at most two bytes, so there is room for those of this block.
        written += unsafe { utf8_of_latin1(block, target.as_mut_ptr().add(written)) };
    }
    if !rest.is_empty() {
        let mut block = [0; BLOCK];
        block[..rest.len()].copy_from_slice(rest);
        let mut bytes = [0; BLOCK * 2];
        // SAFETY: there is room for 64 bytes.
        let more = unsafe { utf8_of_latin1(&block, bytes.as_mut_ptr()) };
        // Each zero gives a byte.
        let more = more - (BLOCK - rest.len());
        target[written..][..more].copy_from_slice(&bytes[..more]);
        written += more;
    }
    written
}

/// # Safety
/// There are 64 bytes at `to`.
#[inline]
#[target_feature(enable = "avx2,popcnt")]
unsafe fn utf8_of_latin1(block: &[u8; BLOCK], to: *mut u8) -> usize {
    let bytes = load(block);
    let long = _mm256_movemask_epi8(bytes) as u32;
    if long == 0 {
        // SAFETY: as above.
        unsafe { _mm256_storeu_si256(to.cast(), bytes) };
        return BLOCK;
    }
    let lead = _mm256_and_si256(_mm256_srli_epi16::<6>(bytes), each_byte(0x03));
    let lead = _mm256_or_si256(lead, each_byte(0xc0));
    // The highest bit of each byte chooses.
    let first = _mm256_blendv_epi8(bytes, lead, bytes);
    let second = _mm256_and_si256(bytes, each_byte(0x3f));
    let second = _mm256_or_si256(second, each_byte(0x80));
    let low = _mm256_unpacklo_epi8(first, second);
    let high = _mm256_unpackhi_epi8(first, second);
    let mut written = 0;
    let groups = groups(low, high);
    for index in 0..groups.len() {
        let mask = long >> (index * 8) & 0xff;
        // SAFETY: as above; before this group, at most 16 bytes a group were written.
        unsafe {
            let joined = shuffle(groups[index], &ONE_OR_TWO, mask);
            _mm_storeu_si128(to.add(written).cast(), joined);
        }
        written += 8 + mask.count_ones() as usize;
    }
    written
}

/// Converts UTF-16LE, whose length is even; returns how many bytes it wrote, or nothing if a
/// surrogate has no other half. `target` has three bytes a unit.
#[target_feature(enable = "avx2,popcnt")]
pub(super) fn utf16_to_utf8(source: &[u8], target: &mut [u8]) -> Option<usize> {
    assert!(target.len() / 3 >= source.len() / 2);
    let mut pairs = Pairs {
        before: _mm256_setzero_si256(),
        open: false,
    };
    let (mut blocks, mut rest) = source.as_chunks::<BLOCK>();
    // A unit gives at most three bytes, and the last store of a block ends at most 4 bytes after
    // what its units give at most: two more units must follow.
    if rest.len() < 4
        && let Some((_, others)) = blocks.split_last()
    {
        blocks = others;
        rest = &source[others.len() * BLOCK..];
    }
    // SAFETY: see above.
    let mut written = unsafe { utf8_of_utf16(blocks, &mut pairs, target.as_mut_ptr())? };
    for rest in rest.chunks(BLOCK) {
        let mut block = [0; BLOCK];
        block[..rest.len()].copy_from_slice(rest);
        let mut bytes = [0; BLOCK / 2 * 3 + 4];
        // SAFETY: there is room for three bytes a unit and 4 more.
        let more = unsafe { utf8_of_utf16(&[block], &mut pairs, bytes.as_mut_ptr())? };
        // Each zero gives a byte.
        let more = more - (BLOCK - rest.len()) / 2;
        target[written..][..more].copy_from_slice(&bytes[..more]);
        written += more;
    }
    (!pairs.open).then_some(written)
}

/// Writes the first three bytes of each lane of four; `low` has lanes 0 to 3 and 8 to 11.
///
/// # Safety
/// There are 52 bytes at `to`.
#[inline]
#[target_feature(enable = "avx2,popcnt")]
unsafe fn store_threes(low: __m256i, high: __m256i, to: *mut u8) -> usize {
    let mut written = 0;
    let groups = groups(low, high);
    for index in 0..groups.len() {
        let threes = shuffle(groups[index], &ONE_TO_THREE, 0xff);
        // SAFETY: as above.
        unsafe { _mm_storeu_si128(to.add(written).cast(), threes) };
        written += 12;
    }
    written
}

/// What the units of a block need of those before.
struct Pairs {
    /// The block before.
    before: __m256i,
    /// Whether it ends with a high surrogate.
    open: bool,
}

/// Converts blocks of 16 units.
///
/// # Safety
/// There are 48 bytes a block at `to`, and 4 more.
#[inline(never)]
#[target_feature(enable = "avx2,popcnt")]
unsafe fn utf8_of_utf16(blocks: &[[u8; BLOCK]], pairs: &mut Pairs, to: *mut u8) -> Option<usize> {
    // In registers, since the loop has the only call.
    let (mut before, mut open) = (pairs.before, pairs.open);
    let mut written = 0;
    for block in blocks {
        let mut here = Pairs { before, open };
        // SAFETY: as above.
        written += unsafe { utf8_of_utf16_block(block, &mut here, to.add(written))? };
        Pairs { before, open } = here;
    }
    *pairs = Pairs { before, open };
    Some(written)
}

/// Converts 16 units.
///
/// # Safety
/// There are 52 bytes at `to`.
#[inline]
#[target_feature(enable = "avx2,popcnt")]
unsafe fn utf8_of_utf16_block(
    block: &[u8; BLOCK],
    pairs: &mut Pairs,
    to: *mut u8,
) -> Option<usize> {
    let zero = _mm256_setzero_si256();
    let units = load(block);
    let before = std::mem::replace(&mut pairs.before, units);
    if _mm256_testz_si256(units, each_unit(0xff80)) == 1 {
        let packed = _mm256_permute4x64_epi64::<0b1000>(_mm256_packus_epi16(units, zero));
        // SAFETY: as above.
        unsafe { _mm_storeu_si128(to.cast(), _mm256_castsi256_si128(packed)) };
        return (!pairs.open).then_some(BLOCK / 2);
    }
    let ascii = _mm256_cmpeq_epi16(_mm256_and_si256(units, each_unit(0xff80)), zero);
    let last = _mm256_and_si256(units, each_unit(0x003f));
    let last = _mm256_or_si256(last, each_unit(0x0080));
    // The first two bytes of one and of two.
    let lead = _mm256_or_si256(_mm256_srli_epi16::<6>(units), each_unit(0x00c0));
    let two = _mm256_or_si256(lead, _mm256_slli_epi16::<8>(last));
    let first = _mm256_blendv_epi8(two, units, ascii);
    let mut written = 0;
    if _mm256_testz_si256(units, each_unit(0xf800)) == 1 {
        if pairs.open {
            return None;
        }
        let ascii = _mm256_movemask_epi8(_mm256_packs_epi16(ascii, zero)) as u32;
        let halves = [
            _mm256_castsi256_si128(first),
            _mm256_extracti128_si256::<1>(first),
        ];
        for index in 0..halves.len() {
            let mask = !(ascii >> (index * 16)) & 0xff;
            // SAFETY: as above; before the second, at most 16 bytes were written.
            unsafe {
                let joined = shuffle(halves[index], &ONE_OR_TWO, mask);
                _mm_storeu_si128(to.add(written).cast(), joined);
            }
            written += 8 + mask.count_ones() as usize;
        }
        return Some(written);
    }
    let at_most_two = _mm256_cmpeq_epi16(_mm256_and_si256(units, each_unit(0xf800)), zero);
    let lead = _mm256_or_si256(_mm256_srli_epi16::<12>(units), each_unit(0x00e0));
    let middle = _mm256_and_si256(_mm256_slli_epi16::<2>(units), each_unit(0x3f00));
    let middle = _mm256_or_si256(middle, each_unit(0x8000));
    let three = _mm256_or_si256(lead, middle);
    let mut first = _mm256_blendv_epi8(three, first, at_most_two);
    // All bits of the units that give three bytes.
    let mut long = _mm256_andnot_si256(at_most_two, each_unit(0xffff));

    let kind = _mm256_and_si256(units, each_unit(0xfc00));
    let high = _mm256_cmpeq_epi16(kind, each_unit(0xd800));
    let low = _mm256_cmpeq_epi16(kind, each_unit(0xdc00));
    let surrogate = _mm256_or_si256(high, low);
    if _mm256_testz_si256(surrogate, surrogate) == 0 {
        let bits = |lanes| {
            let packed = _mm256_permute4x64_epi64::<0b1000>(_mm256_packs_epi16(lanes, zero));
            _mm_movemask_epi8(_mm256_castsi256_si128(packed)) as u32
        };
        let (highs, lows) = (bits(high), bits(low));
        if (highs << 1 | u32::from(pairs.open)) & 0xffff != lows {
            return None;
        }
        pairs.open = highs >> 15 == 1;
        // Each half of a pair gives two bytes. The high one holds, after an addition, the first and
        // second of the four whole, and two bits of the third.
        let raised = _mm256_sub_epi16(units, each_unit(0xd800 - 0x40));
        let high_bytes = _mm256_or_si256(
            _mm256_or_si256(_mm256_srli_epi16::<8>(raised), each_unit(0x80f0)),
            _mm256_and_si256(_mm256_slli_epi16::<6>(raised), each_unit(0x3f00)),
        );
        let joint = _mm256_permute2x128_si256::<0x21>(before, units);
        let previous = _mm256_alignr_epi8::<14>(units, joint);
        let low_bytes = _mm256_or_si256(
            _mm256_or_si256(
                _mm256_and_si256(_mm256_slli_epi16::<4>(previous), each_unit(0x0030)),
                _mm256_and_si256(_mm256_srli_epi16::<6>(units), each_unit(0x000f)),
            ),
            _mm256_or_si256(_mm256_slli_epi16::<8>(last), each_unit(0x0080)),
        );
        first = _mm256_blendv_epi8(first, high_bytes, high);
        first = _mm256_blendv_epi8(first, low_bytes, low);
        long = _mm256_andnot_si256(surrogate, long);
    } else if pairs.open {
        return None;
    }

    // Of each half: 8 bits that say what is ASCII, then 8 that say what gives three bytes.
    let lengths = _mm256_movemask_epi8(_mm256_packs_epi16(ascii, long)) as u32 ^ 0x00ff_00ff;
    let unpacked = [
        _mm256_unpacklo_epi16(first, last),
        _mm256_unpackhi_epi16(first, last),
    ];
    if lengths == u32::MAX {
        // As most of Chinese, Japanese and Korean: nothing to look up.
        // SAFETY: as above.
        return Some(unsafe { store_threes(unpacked[0], unpacked[1], to) });
    }
    let groups = groups(unpacked[0], unpacked[1]);
    for index in 0..groups.len() {
        let lengths = lengths >> (index / 2 * 16 + index % 2 * 4);
        let mask = lengths & 0x0f | lengths >> 4 & 0xf0;
        // SAFETY: as above; before this group, at most 12 bytes a group were written.
        unsafe {
            let joined = shuffle(groups[index], &ONE_TO_THREE, mask);
            _mm_storeu_si128(to.add(written).cast(), joined);
        }
        written += 4 + mask.count_ones() as usize;
    }
    Some(written)
}
