//! Loops over whole buffers that the compiler turns into vector code: conversions where every unit has
//! one length, and checks of plain values.
//!
//! Each is compiled twice, the second time for AVX2, which runs where the processor has it. For the
//! compiler to see vectors, what a loop does with a block has no early exit: functions that stop look
//! at a whole block first, and find the place in it afterwards.

/// Defines functions that are compiled for AVX2 as well.
macro_rules! vectorised {
    ($(
        $(#[$doc:meta])*
        fn $name:ident($first:ident: $first_type:ty $(, $argument:ident: $type:ty)*)
            $(-> $result:ty)? $body:block
    )*) => {$(
        $(#[$doc])*
        #[inline]
        pub(super) fn $name($first: $first_type $(, $argument: $type)*) $(-> $result)? {
            #[inline(always)]
            fn plain($first: $first_type $(, $argument: $type)*) $(-> $result)? $body

            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx2")]
                fn wide($first: $first_type $(, $argument: $type)*) $(-> $result)? {
                    plain($first $(, $argument)*)
                }
                // A call costs more than it saves for a few.
                if $first.len() > BLOCK && is_x86_feature_detected!("avx2") {
                    // SAFETY: the processor has AVX2.
                    return unsafe { wide($first $(, $argument)*) };
                }
            }
            plain($first $(, $argument)*)
        }
    )*};
}

/// Units that are looked at before they are written.
const BLOCK: usize = 32;
/// The same where nothing is written.
const LARGE: usize = 128;
/// The same for what is left.
const SMALL: usize = 8;

/// Whether there is a byte that is not ASCII.
#[inline(always)]
fn any_high(bytes: &[u8]) -> bool {
    bytes.iter().fold(0, |all, byte| all | byte) >= 0x80
}

/// Whether a UTF-16LE code unit is greater than `most`, a number of ones in binary.
#[inline(always)]
fn any_over(units: &[[u8; 2]], most: u16) -> bool {
    units
        .iter()
        .fold(0, |all, unit| all | u16::from_le_bytes(*unit))
        > most
}

/// The bits of a UTF-16LE code unit that tell high surrogates ([`HIGH`]) and low ones ([`LOW`]).
#[inline(always)]
fn kind(unit: &[u8; 2]) -> u16 {
    u16::from_le_bytes(*unit) & 0xfc00
}

const HIGH: u16 = 0xd800;
const LOW: u16 = 0xdc00;

/// Whether a UTF-16LE code unit is a surrogate.
#[inline(always)]
fn any_surrogate(units: &[[u8; 2]]) -> bool {
    let is_surrogate = |unit: &[u8; 2]| u16::from_le_bytes(*unit) & 0xf800 == HIGH;
    units
        .iter()
        .fold(false, |any, unit| any | is_surrogate(unit))
}

/// Writes units widened to UTF-16LE.
#[inline(always)]
fn widen_into(source: &[u8], target: &mut [u8]) {
    let (pairs, _) = target.as_chunks_mut::<2>();
    for (pair, byte) in pairs.iter_mut().zip(source) {
        *pair = u16::from(*byte).to_le_bytes();
    }
}

/// Writes the lower bytes of UTF-16LE code units.
#[inline(always)]
fn narrow_into(source: &[[u8; 2]], target: &mut [u8]) {
    for (byte, unit) in target.iter_mut().zip(source) {
        *byte = unit[0];
    }
}

vectorised! {
    /// How many bytes are ASCII before something else comes.
    fn ascii_prefix(bytes: &[u8]) -> usize {
        let mut rest = bytes;
        while let Some((block, others)) = rest.split_first_chunk::<LARGE>()
            && !any_high(block)
        {
            rest = others;
        }
        while let Some((block, others)) = rest.split_first_chunk::<SMALL>()
            && !any_high(block)
        {
            rest = others;
        }
        let more = rest.iter().take_while(|byte| byte.is_ascii()).count();
        bytes.len() - rest.len() + more
    }

    /// Widens ASCII to UTF-16LE until something else comes; returns how many units.
    fn widen_ascii(source: &[u8], target: &mut [u8]) -> usize {
        let mut done = 0;
        for (block, target) in source.chunks_exact(BLOCK).zip(target.chunks_exact_mut(BLOCK * 2)) {
            if any_high(block) {
                break;
            }
            widen_into(block, target);
            done += BLOCK;
        }
        while let Some(block) = source[done..].first_chunk::<SMALL>()
            && !any_high(block)
        {
            widen_into(block, &mut target[done * 2..][..SMALL * 2]);
            done += SMALL;
        }
        while done < source.len() && source[done].is_ascii() {
            widen_into(&source[done..=done], &mut target[done * 2..][..2]);
            done += 1;
        }
        done
    }

    /// Widens Latin-1 to UTF-16LE.
    fn widen(source: &[u8], target: &mut [u8]) {
        widen_into(source, target);
    }

    /// Widens Latin-1 to UTF-16LE in place: the first half of the buffer to all of it.
    fn widen_in_place(buffer: &mut [u8]) {
        let mut left = buffer.len() / 2;
        // From the end: what is written, at twice the place, is nowhere that is still to be read.
        while let Some(from) = left.checked_sub(BLOCK) {
            let mut block = [0; BLOCK];
            block.copy_from_slice(&buffer[from..left]);
            widen_into(&block, &mut buffer[from * 2..][..BLOCK * 2]);
            left = from;
        }
        for index in (0..left).rev() {
            let byte = buffer[index];
            widen_into(&[byte], &mut buffer[index * 2..][..2]);
        }
    }

    /// Narrows UTF-16LE until a unit is greater than `most`, a number of ones in binary, at most 0xff;
    /// returns how many.
    fn narrow(source: &[[u8; 2]], target: &mut [u8], most: u16) -> usize {
        let mut done = 0;
        for (block, target) in source.chunks_exact(BLOCK).zip(target.chunks_exact_mut(BLOCK)) {
            if any_over(block, most) {
                break;
            }
            narrow_into(block, target);
            done += BLOCK;
        }
        while let Some(block) = source[done..].first_chunk::<SMALL>()
            && !any_over(block, most)
        {
            narrow_into(block, &mut target[done..][..SMALL]);
            done += SMALL;
        }
        while done < source.len() && u16::from_le_bytes(source[done]) <= most {
            target[done] = source[done][0];
            done += 1;
        }
        done
    }

    /// Whether all units of UTF-16LE are Latin-1.
    fn is_latin1(units: &[[u8; 2]]) -> bool {
        let (blocks, rest) = units.as_chunks::<BLOCK>();
        blocks.iter().all(|block| !any_over(block, 0xff)) && !any_over(rest, 0xff)
    }

    /// Narrows UTF-16LE to its lower bytes, at the start of the buffer.
    fn narrow_in_place(buffer: &mut [u8]) {
        let count = buffer.len() / 2;
        let mut done = 0;
        // What is written, at half the place, is nowhere that is still to be read. Through a copy,
        // and not a small one, since the compiler sees no vectors in what may overlap.
        while done < count {
            let mut copy = [0; 256];
            let copy = &mut copy[..(count - done).min(256)];
            narrow_into(buffer[done * 2..][..copy.len() * 2].as_chunks().0, copy);
            buffer[done..][..copy.len()].copy_from_slice(copy);
            done += copy.len();
        }
    }

    /// Whether UTF-16LE is valid: low surrogates come after high ones, and nothing else does.
    fn is_utf16(units: &[[u8; 2]]) -> bool {
        // Few texts have any surrogates.
        let mut rest = units;
        while let Some((block, others)) = rest.split_first_chunk::<BLOCK>()
            && !any_surrogate(block)
        {
            rest = others;
        }
        while let Some((block, others)) = rest.split_first_chunk::<SMALL>()
            && !any_surrogate(block)
        {
            rest = others;
        }
        let (Some(first), Some(last)) = (rest.first(), rest.last()) else {
            return true;
        };
        let mut valid = kind(first) != LOW && kind(last) != HIGH;
        for (before, unit) in rest.iter().zip(&rest[1..]) {
            valid &= (kind(before) == HIGH) == (kind(unit) == LOW);
        }
        valid
    }

    /// Whether `u32`s are all Unicode scalar values.
    fn are_chars(values: &[[u8; 4]]) -> bool {
        let mut valid = true;
        for value in values {
            let value = u32::from_le_bytes(*value);
            // Surrogates become the least numbers, and then the greatest.
            valid &= (value ^ 0xd800).wrapping_sub(0x800) < 0x11_0000 - 0x800;
        }
        valid
    }

    /// Makes 1 of every byte that is not zero.
    fn normalise_bools(bytes: &mut [u8]) {
        for byte in bytes {
            *byte = u8::from(*byte != 0);
        }
    }
}
