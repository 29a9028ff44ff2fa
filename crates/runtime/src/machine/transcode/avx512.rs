//! UTF-8, validated and widened by AVX-512: blocks of 64 bytes, whose properties are bits of a
//! mask.
//!
//! A load may be masked, so that the first and last blocks of a text need no copy: what is outside
//! is neither read nor faults, and gives zeros.
//!
//! Callers make sure of [`available`].

use std::arch::x86_64::*;

/// Whether the processor has what these functions are compiled for.
#[inline]
pub(super) fn available() -> bool {
    #[cfg(test)]
    if super::tests::widest_vectors() < 512 {
        return false;
    }
    is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512vbmi")
        && is_x86_feature_detected!("avx512vbmi2")
}

/// Bytes in a block.
pub(super) const BLOCK: usize = 64;

/// Why a byte cannot follow another, as bits in three tables: by the upper and the lower four bits
/// of the first, and the upper four of the second. What is wrong is set in all three. (J. Keiser,
/// D. Lemire: Validating UTF-8 in less than one instruction per byte.)
struct PairTables {
    first_upper: [u8; 16],
    first_lower: [u8; 16],
    second_upper: [u8; 16],
}

/// Two continuation bytes: not wrong after the first byte of a character of three or four, and that
/// alone.
const TWO_CONTINUATIONS: u8 = 0x80;

static PAIRS: PairTables = {
    /// Each range as the first and last of upper, lower and second upper bits.
    const CLASSES: [(u8, [(u8, u8); 3]); 10] = [
        // A lead byte without a continuation.
        (0x01, [(0xc, 0xf), (0x0, 0xf), (0x0, 0x7)]),
        (0x01, [(0xc, 0xf), (0x0, 0xf), (0xc, 0xf)]),
        // A continuation of ASCII.
        (0x02, [(0x0, 0x7), (0x0, 0xf), (0x8, 0xb)]),
        // Two, three or four bytes for what needs less.
        (0x04, [(0xc, 0xc), (0x0, 0x1), (0x8, 0xb)]),
        (0x08, [(0xe, 0xe), (0x0, 0x0), (0x8, 0x9)]),
        (0x10, [(0xf, 0xf), (0x0, 0x0), (0x8, 0x8)]),
        // Surrogates.
        (0x20, [(0xe, 0xe), (0xd, 0xd), (0xa, 0xb)]),
        // Beyond U+10FFFF.
        (0x40, [(0xf, 0xf), (0x4, 0xf), (0x9, 0xb)]),
        (0x10, [(0xf, 0xf), (0x5, 0xf), (0x8, 0x8)]),
        (TWO_CONTINUATIONS, [(0x8, 0xb), (0x0, 0xf), (0x8, 0xb)]),
    ];
    const fn table(part: usize) -> [u8; 16] {
        let mut table = [0; 16];
        let mut class = 0;
        while class < CLASSES.len() {
            let (bit, ranges) = CLASSES[class];
            let (mut value, last) = ranges[part];
            while value <= last {
                table[value as usize] |= bit;
                value += 1;
            }
            class += 1;
        }
        table
    }
    PairTables {
        first_upper: table(0),
        first_lower: table(1),
        second_upper: table(2),
    }
};

#[inline]
#[target_feature(enable = "avx512bw")]
fn each_byte(byte: u8) -> __m512i {
    _mm512_set1_epi8(byte as i8)
}

#[inline]
#[target_feature(enable = "avx512bw")]
fn table(bytes: &[u8; 16]) -> __m512i {
    // SAFETY: 16 bytes are there.
    _mm512_broadcast_i32x4(unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) })
}

/// The block that starts at `at`.
///
/// # Safety
/// It is there.
#[inline]
#[target_feature(enable = "avx512bw")]
unsafe fn load(source: &[u8], at: usize) -> __m512i {
    // SAFETY: as above.
    unsafe { _mm512_loadu_si512(source.as_ptr().add(at).cast()) }
}

/// What there is of a block, and zeros; and a bit for each byte that is there.
#[inline]
#[target_feature(enable = "avx512bw")]
fn load_rest(rest: &[u8]) -> (__m512i, u64) {
    let mask = match rest.len() {
        0 => 0,
        length => u64::MAX >> BLOCK.saturating_sub(length),
    };
    // SAFETY: what has a bit in the mask is there.
    let block = unsafe { _mm512_maskz_loadu_epi8(mask, rest.as_ptr().cast()) };
    (block, mask)
}

/// The bytes one, two and three before those of a block.
#[inline]
#[target_feature(enable = "avx512bw")]
fn before(previous: __m512i, current: __m512i) -> [__m512i; 3] {
    let lanes = _mm512_alignr_epi32::<12>(current, previous);
    [
        _mm512_alignr_epi8::<15>(current, lanes),
        _mm512_alignr_epi8::<14>(current, lanes),
        _mm512_alignr_epi8::<13>(current, lanes),
    ]
}

/// Writes a block at `at`, if there is to be a copy.
///
/// # Safety
/// There is room for it at `copy`, if `COPY`.
#[inline]
#[target_feature(enable = "avx512bw")]
unsafe fn store<const COPY: bool>(block: __m512i, copy: *mut u8, at: usize) {
    if COPY {
        // SAFETY: as above.
        unsafe { _mm512_storeu_si512(copy.add(at).cast(), block) };
    }
}

/// Where the ASCII that starts at `at` ends, in whole groups of four blocks, which are copied.
///
/// # Safety
/// There is room for the rest of `source` at `copy`, if `COPY`.
#[inline]
#[target_feature(enable = "avx512bw")]
unsafe fn end_of_ascii<const COPY: bool>(source: &[u8], mut at: usize, copy: *mut u8) -> usize {
    while at + GROUP <= source.len() {
        // SAFETY: the four blocks are there.
        unsafe {
            let (first, second) = (load(source, at), load(source, at + BLOCK));
            let third = load(source, at + 2 * BLOCK);
            let fourth = load(source, at + 3 * BLOCK);
            let all = _mm512_or_si512(
                _mm512_or_si512(first, second),
                _mm512_or_si512(third, fourth),
            );
            if _mm512_movepi8_mask(all) != 0 {
                break;
            }
            store::<COPY>(first, copy, at);
            store::<COPY>(second, copy, at + BLOCK);
            store::<COPY>(third, copy, at + 2 * BLOCK);
            store::<COPY>(fourth, copy, at + 3 * BLOCK);
        }
        at += GROUP;
    }
    at
}

/// Bytes that [`copy_groups_of_ascii`] takes at once.
pub(super) const GROUP: usize = 4 * BLOCK;

/// Copies bytes as long as whole groups are ASCII; returns how many.
#[target_feature(enable = "avx512bw")]
pub(super) fn copy_groups_of_ascii(source: &[u8], target: &mut [u8]) -> usize {
    assert!(source.len() <= target.len());
    // SAFETY: there is as much room.
    unsafe { end_of_ascii::<true>(source, 0, target.as_mut_ptr()) }
}

/// [`PAIRS`] in every lane.
struct Checker {
    first_upper: __m512i,
    first_lower: __m512i,
    second_upper: __m512i,
}

impl Checker {
    #[inline]
    #[target_feature(enable = "avx512bw")]
    fn new() -> Checker {
        Checker {
            first_upper: table(&PAIRS.first_upper),
            first_lower: table(&PAIRS.first_lower),
            second_upper: table(&PAIRS.second_upper),
        }
    }

    /// What is not zero at bytes of a block that cannot follow those before.
    #[inline]
    #[target_feature(enable = "avx512bw,avx512vbmi")]
    fn wrong(&self, previous: __m512i, current: __m512i) -> __m512i {
        let [back1, back2, back3] = before(previous, current);
        // Of an index, the lower six bits count; of those, the tables only look at four.
        let pairs = _mm512_and_si512(
            _mm512_and_si512(
                _mm512_permutexvar_epi8(_mm512_srli_epi16::<4>(back1), self.first_upper),
                _mm512_permutexvar_epi8(back1, self.first_lower),
            ),
            _mm512_permutexvar_epi8(_mm512_srli_epi16::<4>(current), self.second_upper),
        );
        // The highest bit is set where a third or fourth byte must be.
        let third = _mm512_subs_epu8(back2, each_byte(0xe0 - 0x80));
        let fourth = _mm512_subs_epu8(back3, each_byte(0xf0 - 0x80));
        let later = _mm512_and_si512(_mm512_or_si512(third, fourth), each_byte(TWO_CONTINUATIONS));
        _mm512_xor_si512(pairs, later)
    }
}

/// Whether bytes are UTF-8.
#[target_feature(enable = "avx512bw,avx512vbmi")]
pub(super) fn is_utf8(source: &[u8]) -> bool {
    // SAFETY: nothing is copied.
    unsafe { check::<false>(source, std::ptr::null_mut()) }
}

/// Copies bytes to a target of their length; whether they are UTF-8.
#[target_feature(enable = "avx512bw,avx512vbmi")]
pub(super) fn copy_utf8(source: &[u8], target: &mut [u8]) -> bool {
    assert_eq!(source.len(), target.len());
    // SAFETY: there is as much room.
    unsafe { check::<true>(source, target.as_mut_ptr()) }
}

/// # Safety
/// There is room for `source` at `copy`, if `COPY`.
#[inline]
#[target_feature(enable = "avx512bw,avx512vbmi")]
unsafe fn check<const COPY: bool>(source: &[u8], copy: *mut u8) -> bool {
    let checker = Checker::new();
    let mut wrong = _mm512_setzero_si512();
    let mut previous = _mm512_setzero_si512();
    // Whether the last byte before the block is not ASCII, as the lowest bit.
    let mut open = 0;
    let mut at = 0;
    while at + BLOCK <= source.len() {
        // SAFETY: the block is there, and there is room.
        let current = unsafe {
            let current = load(source, at);
            store::<COPY>(current, copy, at);
            current
        };
        at += BLOCK;
        let high = _mm512_movepi8_mask(current);
        if high | open == 0 {
            // Nothing is wrong in ASCII that comes after ASCII.
            // SAFETY: there is room.
            at = unsafe { end_of_ascii::<COPY>(source, at, copy) };
        } else {
            wrong = _mm512_or_si512(wrong, checker.wrong(previous, current));
        }
        previous = current;
        open = high >> (BLOCK - 1);
    }
    // There may be nothing left: it sees a character that ends too early.
    let (rest, mask) = load_rest(&source[at..]);
    wrong = _mm512_or_si512(wrong, checker.wrong(previous, rest));
    if COPY {
        // SAFETY: there is room for what has a bit in the mask.
        unsafe { _mm512_mask_storeu_epi8(copy.add(at).cast(), mask, rest) };
    }
    _mm512_test_epi8_mask(wrong, wrong) == 0
}

/// Converts characters of one and two bytes to UTF-16LE, in whole blocks, until another one or what
/// is not UTF-8 comes. Returns how many bytes it took, which is where a character starts, and how
/// many units it wrote. `target` has a unit for each byte.
#[target_feature(enable = "avx512bw,avx512vbmi2,popcnt")]
pub(super) fn short_utf8_to_utf16(source: &[u8], target: &mut [[u8; 2]]) -> (usize, usize) {
    assert!(target.len() >= source.len());
    let (mut read, mut written) = (0, 0);
    let mut previous = _mm512_setzero_si512();
    // Whether the last byte before the block starts a character, as the lowest bit.
    let mut open = 0;
    while read + BLOCK <= source.len() {
        // SAFETY: the block is there.
        let current = unsafe { load(source, read) };
        // A byte gives at most a unit, so `written <= read`: there is room for 64 units.
        let to = target.as_mut_ptr().wrapping_add(written).cast::<u8>();
        let high = _mm512_movepi8_mask(current);
        if high | open == 0 {
            // SAFETY: as above.
            unsafe { store_units(current, _mm512_setzero_si512(), BLOCK, to) };
            previous = current;
            (read, written) = (read + BLOCK, written + BLOCK);
            continue;
        }
        let continued = _mm512_cmplt_epi8_mask(current, each_byte(0xc0));
        let leads = high & !continued;
        // Lead bytes of two are 0xc2 to 0xdf.
        let others = _mm512_mask_cmpgt_epu8_mask(
            leads,
            _mm512_sub_epi8(current, each_byte(0xc2)),
            each_byte(0xdf - 0xc2),
        );
        if others != 0 || leads << 1 | open != continued {
            break;
        }
        // Each byte but the leads ends a character; a continuation takes five bits of the byte
        // before.
        let [back1, ..] = before(previous, current);
        let low = _mm512_mask_sub_epi8(current, continued, current, each_byte(0x80));
        let lead = _mm512_maskz_sub_epi8(continued, back1, each_byte(0xc0));
        let count = (!leads).count_ones() as usize;
        // SAFETY: as above.
        unsafe {
            store_units(
                _mm512_maskz_compress_epi8(!leads, low),
                _mm512_maskz_compress_epi8(!leads, lead),
                count,
                to,
            );
        }
        previous = current;
        open = leads >> (BLOCK - 1);
        (read, written) = (read + BLOCK, written + count);
    }
    (read - open as usize, written)
}

/// Writes `count` units, or more, each the sum of a byte of `low` and one of `upper` times 64.
///
/// # Safety
/// There is room for 64 units at `to`.
#[inline]
#[target_feature(enable = "avx512bw")]
unsafe fn store_units(low: __m512i, upper: __m512i, count: usize, to: *mut u8) {
    let unit = |low, upper| {
        let upper = _mm512_slli_epi16::<6>(_mm512_cvtepu8_epi16(upper));
        _mm512_or_si512(_mm512_cvtepu8_epi16(low), upper)
    };
    let first = unit(_mm512_castsi512_si256(low), _mm512_castsi512_si256(upper));
    // SAFETY: as above.
    unsafe { _mm512_storeu_si512(to.cast(), first) };
    if count > BLOCK / 2 {
        let second = unit(
            _mm512_extracti64x4_epi64::<1>(low),
            _mm512_extracti64x4_epi64::<1>(upper),
        );
        // SAFETY: as above.
        unsafe { _mm512_storeu_si512(to.add(BLOCK).cast(), second) };
    }
}
