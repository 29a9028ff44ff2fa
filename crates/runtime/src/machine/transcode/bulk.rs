//! Loops over whole buffers that the compiler turns into vector code: conversions where every unit
//! has one length, and checks of plain values.
//!
//! Each is compiled twice, the second time for AVX2, which runs where the processor has it. For the
//! compiler to see vectors, what a loop does with a block has no early exit: functions that stop
//! look at a whole block first, and find the place in it afterwards. Blocks are arrays, and loops
//! over them count: whether the adapters of iterators and closures are inlined depends on how the
//! crate is built, and where they are not, they are not compiled for AVX2 either.

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
/// The same where what is written overlaps what is read.
const PIECE: usize = 256;
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

/// Writes bytes widened to UTF-16LE code units.
#[inline(always)]
fn widen_block<const N: usize>(source: &[u8; N], target: &mut [[u8; 2]; N]) {
    for index in 0..N {
        target[index] = u16::from(source[index]).to_le_bytes();
    }
}

/// Writes the lower bytes of UTF-16LE code units.
#[inline(always)]
fn narrow_block<const N: usize>(source: &[[u8; 2]; N], target: &mut [u8; N]) {
    for index in 0..N {
        target[index] = source[index][0];
    }
}

/// The blocks at `done` of what is read and what is written; none if either is shorter.
#[inline(always)]
fn blocks_at<'s, 't, S, T, const N: usize>(
    source: &'s [S],
    target: &'t mut [T],
    done: usize,
) -> Option<(&'s [S; N], &'t mut [T; N])> {
    let source = source.get(done..)?.first_chunk()?;
    let target = target.get_mut(done..)?.first_chunk_mut()?;
    Some((source, target))
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
    fn widen_ascii(source: &[u8], target: &mut [[u8; 2]]) -> usize {
        let mut done = 0;
        while let Some((block, target)) = blocks_at::<_, _, BLOCK>(source, target, done)
            && !any_high(block)
        {
            widen_block(block, target);
            done += BLOCK;
        }
        while let Some((block, target)) = blocks_at::<_, _, SMALL>(source, target, done)
            && !any_high(block)
        {
            widen_block(block, target);
            done += SMALL;
        }
        while let Some((byte, target)) = blocks_at::<_, _, 1>(source, target, done)
            && byte[0].is_ascii()
        {
            widen_block(byte, target);
            done += 1;
        }
        done
    }

    /// Widens Latin-1 to UTF-16LE.
    fn widen(source: &[u8], target: &mut [[u8; 2]]) {
        let count = source.len().min(target.len());
        let (source, target) = (&source[..count], &mut target[..count]);
        for index in 0..count {
            target[index] = u16::from(source[index]).to_le_bytes();
        }
    }

    /// Widens Latin-1 to UTF-16LE in place: the first half of the buffer to all of it.
    fn widen_in_place(buffer: &mut [u8]) {
        let mut left = buffer.len() / 2;
        // From the end: what is written, at twice the place, is nowhere that is still to be read.
        while let Some(from) = left.checked_sub(BLOCK) {
            let block: [u8; BLOCK] = *buffer[from..].first_chunk().expect("it is there");
            let (target, _) = buffer[from * 2..].as_chunks_mut();
            widen_block(&block, target.first_chunk_mut().expect("it is there"));
            left = from;
        }
        for index in (0..left).rev() {
            let unit = u16::from(buffer[index]).to_le_bytes();
            buffer[index * 2..][..2].copy_from_slice(&unit);
        }
    }

    /// Narrows UTF-16LE until a unit is greater than `most`, a number of ones in binary, at most
    /// 0xff; returns how many.
    fn narrow(source: &[[u8; 2]], target: &mut [u8], most: u16) -> usize {
        let mut done = 0;
        while let Some((block, target)) = blocks_at::<_, _, BLOCK>(source, target, done)
            && !any_over(block, most)
        {
            narrow_block(block, target);
            done += BLOCK;
        }
        while let Some((block, target)) = blocks_at::<_, _, SMALL>(source, target, done)
            && !any_over(block, most)
        {
            narrow_block(block, target);
            done += SMALL;
        }
        while let Some((unit, target)) = blocks_at::<_, _, 1>(source, target, done)
            && !any_over(unit, most)
        {
            narrow_block(unit, target);
            done += 1;
        }
        done
    }

    /// Whether all units of UTF-16LE are Latin-1.
    fn is_latin1(units: &[[u8; 2]]) -> bool {
        let mut rest = units;
        while let Some((block, others)) = rest.split_first_chunk::<BLOCK>() {
            if any_over(block, 0xff) {
                return false;
            }
            rest = others;
        }
        !any_over(rest, 0xff)
    }

    /// Narrows UTF-16LE to its lower bytes, at the start of the buffer.
    fn narrow_in_place(buffer: &mut [u8]) {
        let count = buffer.len() / 2;
        let mut done = 0;
        // What is written, at half the place, is nowhere that is still to be read. Through a copy,
        // and not a small one, since the compiler sees no vectors in what may overlap.
        while let Some(piece) = buffer[done * 2..].as_chunks().0.first_chunk::<PIECE>() {
            let mut narrowed = [0; PIECE];
            narrow_block(piece, &mut narrowed);
            buffer[done..][..PIECE].copy_from_slice(&narrowed);
            done += PIECE;
        }
        while done < count {
            buffer[done] = buffer[done * 2];
            done += 1;
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

    /// The greatest byte; 0 if there is none.
    fn greatest_u8(values: &[u8]) -> u8 {
        let mut greatest = 0;
        for value in values {
            greatest = greatest.max(*value);
        }
        greatest
    }

    /// The greatest `u16`; 0 if there is none.
    fn greatest_u16(values: &[[u8; 2]]) -> u16 {
        let mut greatest = 0;
        for value in values {
            greatest = greatest.max(u16::from_le_bytes(*value));
        }
        greatest
    }

    /// The greatest `u32`; 0 if there is none.
    fn greatest_u32(values: &[[u8; 4]]) -> u32 {
        let mut greatest = 0;
        for value in values {
            greatest = greatest.max(u32::from_le_bytes(*value));
        }
        greatest
    }

    /// Makes 1 of every byte that is not zero.
    fn normalise_bools(bytes: &mut [u8]) {
        for byte in bytes {
            *byte = u8::from(*byte != 0);
        }
    }
}
