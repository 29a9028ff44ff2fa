//! Strings.
//!
//! Native strings are UTF-8. A guest's UTF-8 string is validated where it is and lent to the host
//! without a copy; short ones by a few loads in line when they are ASCII. Other encodings are
//! transcoded into the store's arena. Towards a guest, every encoding follows its
//! `store_string_*` function in the Canonical ABI, call by call, since `realloc` can see them.

use super::checks::{self, Block};
use super::{Destination, Guest, Side, Source, Transfer};
use crate::program::StringEncoding;
use anyhow::{Result, bail};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{BlockArg, InstBuilder, Value, types};
use trampette_artifact::builtin::Builtin;
use trampette_artifact::canonical::{MAX_STRING_BYTE_LENGTH, PointerWidth};
use trampette_artifact::trap::TrapCode;

/// In-line ASCII checks per function; more would grow code without making it faster.
const INLINE_STRINGS: u32 = 4;
/// Longest string that is checked in line.
const INLINE_BYTES: i64 = 32;
/// What a transcoder of UTF-8 returns for a source that ends inside a character.
const NOT_UTF8_INCOMPLETE: i64 = -2;
/// The highest bit of every byte: set in what is not ASCII.
const HIGH_BITS: i64 = 0x8080_8080_8080_8080_u64 as i64;

/// Encoding of a UTF-16 string's length in `latin1+utf16`.
pub(super) fn utf16_tag(guest: Guest<'_>) -> i64 {
    match guest.width() {
        PointerWidth::P32 => 1 << 31,
        PointerWidth::P64 => i64::MIN,
    }
}

impl Transfer<'_, '_, '_> {
    /// A string.
    pub(super) fn string(&mut self, from: &mut Source<'_>, to: &mut Destination<'_>) -> Result<()> {
        let (pointer, units) = self.read_pair(from);
        let pair = match (self.from, self.to) {
            (Side::Guest(guest), Side::Host) => match guest.encoding() {
                StringEncoding::Utf8 => self.borrow_utf8(guest, pointer, units)?,
                StringEncoding::Utf16 => {
                    let limit = MAX_STRING_BYTE_LENGTH / 2;
                    self.limit_units(units, limit);
                    let address = self.string_range(guest, pointer, units, 2)?;
                    self.utf16_in_arena(address, units)
                }
                StringEncoding::Latin1OrUtf16 => {
                    self.latin1_or_utf16_in_arena(guest, pointer, units)?
                }
            },
            (Side::Host, Side::Guest(guest)) => {
                self.limit_units(units, MAX_STRING_BYTE_LENGTH);
                match guest.encoding() {
                    StringEncoding::Utf8 => self.store_utf8(guest, pointer, units)?,
                    StringEncoding::Utf16 => self.store_utf16(guest, pointer, units)?,
                    StringEncoding::Latin1OrUtf16 => {
                        self.store_latin1_or_utf16(guest, pointer, units)?
                    }
                }
            }
            (Side::Guest(source), Side::Guest(target)) => {
                self.pass_string(source, target, pointer, units)?
            }
            (Side::Host, Side::Host) => bail!("no trampoline moves values from host to host"),
        };
        self.write_pair(pair, to);
        Ok(())
    }

    /// Raises `StringTooLong` if there are more code units than `limit`.
    pub(super) fn limit_units(&mut self, units: Value, limit: u32) {
        checks::limit_count(self.e, units, 1, limit, TrapCode::StringTooLong);
    }

    /// Checks a string of `units` code units of `unit` bytes; returns its native address.
    pub(super) fn string_range(
        &mut self,
        guest: Guest<'_>,
        pointer: Value,
        units: Value,
        unit: u32,
    ) -> Result<Value> {
        let bytes = self.times(units, unit.into());
        // In `latin1+utf16`, Latin-1 is aligned to 2 as well.
        let align = match guest.encoding() {
            StringEncoding::Utf8 => 1,
            StringEncoding::Utf16 | StringEncoding::Latin1OrUtf16 => 2,
        };
        let traps = match self.between_guests() {
            true => checks::PASSED_STRING,
            false => checks::STRING,
        };
        checks::checked_range(self.e, guest, pointer, bytes, align, traps)
    }

    /// New memory for a string.
    pub(super) fn string_allocate(
        &mut self,
        guest: Guest<'_>,
        align: u32,
        bytes: Value,
    ) -> Result<Block> {
        let traps = self.string_realloc_traps();
        checks::allocate_for(self.e, guest, align, bytes, traps)
    }

    /// More or less memory for a string.
    pub(super) fn string_reallocate(
        &mut self,
        guest: Guest<'_>,
        block: Block,
        old_bytes: Value,
        align: u32,
        new_bytes: Value,
    ) -> Result<Block> {
        let traps = self.string_realloc_traps();
        checks::reallocate(self.e, guest, block, old_bytes, align, new_bytes, traps)
    }

    fn string_realloc_traps(&self) -> checks::RangeTraps {
        match self.between_guests() {
            true => checks::PASSED_STRING,
            false => checks::REALLOC,
        }
    }

    /// Raises if a transcoder of UTF-8 has found that its source, a guest's, is none: its result is
    /// negative then. What the host supplies is known to be UTF-8.
    fn trap_if_not_utf8(&mut self, result: Value) {
        if !checks::must_be_checked(self.from) {
            return;
        }
        let zero = self.e.i64(0);
        let ins = self.e.builder.ins();
        let invalid = ins.icmp(IntCC::SignedLessThan, result, zero);
        let raise = self.e.builder.create_block();
        let valid = self.e.builder.create_block();
        self.e.builder.set_cold_block(raise);
        self.e.builder.ins().brif(invalid, raise, &[], valid, &[]);
        self.e.start(raise);
        let incomplete = self.e.i64(NOT_UTF8_INCOMPLETE);
        let incomplete = self.e.builder.ins().icmp(IntCC::Equal, result, incomplete);
        self.e.trap_if(incomplete, TrapCode::IncompleteUtf8, None);
        self.e.raise(TrapCode::InvalidUtf8, None);
        self.e.start(valid);
    }

    // Guest to host.

    fn borrow_utf8(
        &mut self,
        guest: Guest<'_>,
        pointer: Value,
        bytes: Value,
    ) -> Result<(Value, Value)> {
        self.limit_units(bytes, MAX_STRING_BYTE_LENGTH);
        let address = self.string_range(guest, pointer, bytes, 1)?;
        self.validate_utf8(guest, address, bytes);
        Ok((address, bytes))
    }

    /// Raises unless the bytes, in the memory of `guest`, are UTF-8.
    fn validate_utf8(&mut self, guest: Guest<'_>, address: Value, bytes: Value) {
        let done = self.e.builder.create_block();
        if self.checks_in_line() {
            let check = self.e.builder.create_block();
            self.branch_if_short_ascii(guest, address, bytes, done, check);
            self.e.start(check);
        }
        let result = self.e.value_of(Builtin::Utf8Validate, &[address, bytes]);
        self.finish_check_of_utf8(result, done);
    }

    /// Copies bytes, which are in the memory of `guest`, and raises unless they are UTF-8.
    pub(super) fn copy_utf8(&mut self, guest: Guest<'_>, address: Value, bytes: Value, to: Value) {
        let done = self.e.builder.create_block();
        if self.checks_in_line() {
            let [ascii, other] = std::array::from_fn(|_| self.e.builder.create_block());
            self.branch_if_short_ascii(guest, address, bytes, ascii, other);
            self.e.start(ascii);
            self.e.builtin(Builtin::MemoryMove, &[to, address, bytes]);
            self.e.builder.ins().jump(done, &[]);
            self.e.start(other);
        }
        let result = self.e.value_of(Builtin::Utf8Copy, &[address, bytes, to]);
        self.finish_check_of_utf8(result, done);
    }

    /// Whether to check one more string in line.
    fn checks_in_line(&mut self) -> bool {
        self.inline_strings += 1;
        self.inline_strings <= INLINE_STRINGS
    }

    /// Goes on at `done` if a check of UTF-8 found nothing, and raises what it did find.
    fn finish_check_of_utf8(&mut self, result: Value, done: cranelift_codegen::ir::Block) {
        let invalid = self.e.builder.create_block();
        self.e.builder.set_cold_block(invalid);
        self.e.builder.ins().brif(result, invalid, &[], done, &[]);
        self.e.start(invalid);
        let one = self.e.i32(1);
        let incomplete = self.e.builder.ins().icmp(IntCC::NotEqual, result, one);
        self.e.trap_if(incomplete, TrapCode::IncompleteUtf8, None);
        self.e.raise(TrapCode::InvalidUtf8, None);
        self.e.start(done);
    }

    /// Goes to `ascii` if there are at most 32 bytes, all ASCII, and to `other` if not. Loads
    /// overlap so that they cover every length of their class and never reach outside the string.
    fn branch_if_short_ascii(
        &mut self,
        guest: Guest<'_>,
        address: Value,
        bytes: Value,
        ascii: cranelift_codegen::ir::Block,
        other: cranelift_codegen::ir::Block,
    ) {
        let [
            short,
            at_least_8,
            below_8,
            at_least_4,
            below_4,
            some,
            verdict,
        ] = std::array::from_fn(|_| self.e.builder.create_block());
        let found = self.e.builder.append_block_param(verdict, types::I64);
        let last = |t: &mut Self, size: i64| {
            let size = t.e.i64(size);
            t.e.builder.ins().isub(bytes, size)
        };

        let most = self.e.i64(INLINE_BYTES);
        let is_short = self
            .e
            .builder
            .ins()
            .icmp(IntCC::UnsignedLessThanOrEqual, bytes, most);
        self.e.builder.ins().brif(is_short, short, &[], other, &[]);

        self.e.start(short);
        self.branch_if_at_least(bytes, 8, at_least_8, below_8);

        // 8 to 32 bytes: the first and last 8, and the second and second last, which overlap those
        // of a shorter string.
        self.e.start(at_least_8);
        let end = last(self, 8);
        let eight = self.e.i64(8);
        let second = self.e.builder.ins().umin(eight, end);
        let before = last(self, 16);
        let zero = self.e.i64(0);
        let before = self.e.builder.ins().smax(before, zero);
        let words =
            [zero, second, before, end].map(|at| self.load_at(guest, types::I64, address, at));
        let all = self.or(&words);
        self.e.builder.ins().jump(verdict, &[BlockArg::Value(all)]);

        self.e.start(below_8);
        self.branch_if_at_least(bytes, 4, at_least_4, below_4);

        self.e.start(at_least_4);
        let end = last(self, 4);
        let zero = self.e.i64(0);
        let words = [zero, end].map(|at| self.load_at(guest, types::I32, address, at));
        let all = self.or(&words);
        self.e.builder.ins().jump(verdict, &[BlockArg::Value(all)]);

        // 1 to 3 bytes: the first, the middle, the last.
        self.e.start(below_4);
        self.e.builder.ins().brif(bytes, some, &[], ascii, &[]);
        self.e.start(some);
        let end = last(self, 1);
        let zero = self.e.i64(0);
        let one = self.e.i64(1);
        let middle = self.e.builder.ins().ushr(bytes, one);
        let words = [zero, middle, end].map(|at| self.load_at(guest, types::I8, address, at));
        let all = self.or(&words);
        self.e.builder.ins().jump(verdict, &[BlockArg::Value(all)]);

        self.e.start(verdict);
        let mask = self.e.i64(HIGH_BITS);
        let high = self.e.builder.ins().band(found, mask);
        self.e.builder.ins().brif(high, other, &[], ascii, &[]);
    }

    fn branch_if_at_least(
        &mut self,
        bytes: Value,
        least: i64,
        yes: cranelift_codegen::ir::Block,
        no: cranelift_codegen::ir::Block,
    ) {
        let least = self.e.i64(least);
        let ins = self.e.builder.ins();
        let enough = ins.icmp(IntCC::UnsignedGreaterThanOrEqual, bytes, least);
        self.e.builder.ins().brif(enough, yes, &[], no, &[]);
    }

    /// Loads from inside a checked string, zero-extended to 64 bits.
    fn load_at(
        &mut self,
        guest: Guest<'_>,
        ty: cranelift_codegen::ir::Type,
        address: Value,
        at: Value,
    ) -> Value {
        let address = self.e.builder.ins().iadd(address, at);
        let (memory, _) = guest
            .options
            .memory
            .expect("the string's bounds were checked");
        let flags = self.e.memory_flags(memory);
        let ins = self.e.builder.ins();
        match ty {
            types::I8 => ins.uload8(types::I64, flags, address, 0),
            types::I32 => ins.uload32(flags, address, 0),
            _ => ins.load(types::I64, flags, address, 0),
        }
    }

    fn or(&mut self, words: &[Value]) -> Value {
        let mut all = words[0];
        for word in &words[1..] {
            all = self.e.builder.ins().bor(all, *word);
        }
        all
    }

    /// Transcodes UTF-16 at a checked address. An empty string borrows its own address.
    fn utf16_in_arena(&mut self, address: Value, units: Value) -> (Value, Value) {
        self.transcode_in_arena(address, units, 3, |t, to| {
            let bytes = t.e.value_of(Builtin::Utf16ToUtf8, &[address, units, to]);
            let zero = t.e.i64(0);
            let ins = t.e.builder.ins();
            let invalid = ins.icmp(IntCC::SignedLessThan, bytes, zero);
            t.e.trap_if(invalid, TrapCode::InvalidUtf16, None);
            bytes
        })
    }

    /// Transcodes Latin-1 at a checked address; borrows it if it is ASCII.
    fn latin1_in_arena(&mut self, address: Value, bytes: Value) -> (Value, Value) {
        let transcode = self.e.builder.create_block();
        let done = self.e.builder.create_block();
        let results = [types::I64; 2].map(|ty| self.e.builder.append_block_param(done, ty));
        let ascii = self.e.value_of(Builtin::AsciiValidate, &[address, bytes]);
        let borrowed = [address, bytes].map(BlockArg::Value);
        self.e
            .builder
            .ins()
            .brif(ascii, done, &borrowed, transcode, &[]);
        self.e.start(transcode);
        let (to, length) = self.transcode_in_arena(address, bytes, 2, |t, to| {
            t.e.value_of(Builtin::Latin1ToUtf8, &[address, bytes, to])
        });
        let transcoded = [to, length].map(BlockArg::Value);
        self.e.builder.ins().jump(done, &transcoded);
        self.e.start(done);
        (results[0], results[1])
    }

    /// Takes `growth` bytes a unit from the arena and fills them; an empty string takes nothing.
    fn transcode_in_arena(
        &mut self,
        address: Value,
        units: Value,
        growth: u32,
        transcode: impl FnOnce(&mut Self, Value) -> Value,
    ) -> (Value, Value) {
        let fill = self.e.builder.create_block();
        let done = self.e.builder.create_block();
        let results = [types::I64; 2].map(|ty| self.e.builder.append_block_param(done, ty));
        let empty = [address, units].map(BlockArg::Value);
        self.e.builder.ins().brif(units, fill, &[], done, &empty);
        self.e.start(fill);
        // At most 2^28 units: the product cannot overflow.
        let room = self.times(units, growth.into());
        let to = checks::arena_allocate(self.e, room, 1);
        let bytes = transcode(self, to);
        let full = [to, bytes].map(BlockArg::Value);
        self.e.builder.ins().jump(done, &full);
        self.e.start(done);
        (results[0], results[1])
    }

    fn latin1_or_utf16_in_arena(
        &mut self,
        guest: Guest<'_>,
        pointer: Value,
        tagged: Value,
    ) -> Result<(Value, Value)> {
        let utf16 = self.e.builder.create_block();
        let latin1 = self.e.builder.create_block();
        let done = self.e.builder.create_block();
        let results = [types::I64; 2].map(|ty| self.e.builder.append_block_param(done, ty));
        let tag = self.e.i64(utf16_tag(guest));
        let is_utf16 = self.e.builder.ins().band(tagged, tag);
        self.e.builder.ins().brif(is_utf16, utf16, &[], latin1, &[]);

        self.e.start(utf16);
        let units = self.e.builder.ins().bxor(tagged, tag);
        self.limit_units(units, MAX_STRING_BYTE_LENGTH / 2);
        let address = self.string_range(guest, pointer, units, 2)?;
        let (to, bytes) = self.utf16_in_arena(address, units);
        let pair = [to, bytes].map(BlockArg::Value);
        self.e.builder.ins().jump(done, &pair);

        self.e.start(latin1);
        self.limit_units(tagged, MAX_STRING_BYTE_LENGTH);
        let address = self.string_range(guest, pointer, tagged, 1)?;
        let (to, bytes) = self.latin1_in_arena(address, tagged);
        let pair = [to, bytes].map(BlockArg::Value);
        self.e.builder.ins().jump(done, &pair);

        self.e.start(done);
        Ok((results[0], results[1]))
    }

    // Host to guest; `strings_between` shares what starts from UTF-8. Sources have at most
    // `MAX_STRING_BYTE_LENGTH` bytes here, so twice their length is no overflow.

    /// `store_string_copy`.
    pub(super) fn store_utf8(
        &mut self,
        guest: Guest<'_>,
        source: Value,
        bytes: Value,
    ) -> Result<(Value, Value)> {
        let block = self.string_allocate(guest, 1, bytes)?;
        let args = [block.address, source, bytes];
        self.e.builtin(Builtin::MemoryMove, &args);
        Ok((block.pointer, bytes))
    }

    /// `store_utf8_to_utf16`.
    pub(super) fn store_utf16(
        &mut self,
        guest: Guest<'_>,
        source: Value,
        bytes: Value,
    ) -> Result<(Value, Value)> {
        let worst = self.times(bytes, 2);
        let block = self.string_allocate(guest, 2, worst)?;
        let units = self
            .e
            .value_of(Builtin::Utf8ToUtf16, &[source, bytes, block.address]);
        self.trap_if_not_utf8(units);
        let used = self.times(units, 2);
        let pointer = self.shrink(guest, block, worst, 2, used)?;
        Ok((pointer, units))
    }

    /// Gives back what was not used: a reallocation only if there is something. Returns the
    /// pointer.
    pub(super) fn shrink(
        &mut self,
        guest: Guest<'_>,
        block: Block,
        allocated: Value,
        align: u32,
        used: Value,
    ) -> Result<Value> {
        let shrink = self.e.builder.create_block();
        let done = self.e.builder.create_block();
        let result = self.e.builder.append_block_param(done, types::I64);
        let ins = self.e.builder.ins();
        let less = ins.icmp(IntCC::UnsignedLessThan, used, allocated);
        let same = [BlockArg::Value(block.pointer)];
        self.e.builder.ins().brif(less, shrink, &[], done, &same);
        self.e.start(shrink);
        let moved = self.string_reallocate(guest, block, allocated, align, used)?;
        let moved = [BlockArg::Value(moved.pointer)];
        self.e.builder.ins().jump(done, &moved);
        self.e.start(done);
        Ok(result)
    }

    /// `store_string_to_latin1_or_utf16`.
    pub(super) fn store_latin1_or_utf16(
        &mut self,
        guest: Guest<'_>,
        source: Value,
        bytes: Value,
    ) -> Result<(Value, Value)> {
        let latin1 = self.e.builder.create_block();
        let utf16 = self.e.builder.create_block();
        let done = self.e.builder.create_block();
        let results = [types::I64; 2].map(|ty| self.e.builder.append_block_param(done, ty));

        let block = self.string_allocate(guest, 2, bytes)?;
        let progress = self
            .e
            .value_of(Builtin::Utf8ToLatin1, &[source, bytes, block.address]);
        self.trap_if_not_utf8(progress);
        let half = self.e.i64(32);
        let consumed = self.e.builder.ins().ushr(progress, half);
        let low = self.e.i64(0xffff_ffff);
        let written = self.e.builder.ins().band(progress, low);
        let all = self.e.builder.ins().icmp(IntCC::Equal, consumed, bytes);
        self.e.builder.ins().brif(all, latin1, &[], utf16, &[]);

        self.e.start(latin1);
        let pointer = self.shrink(guest, block, bytes, 2, written)?;
        let pair = [pointer, written].map(BlockArg::Value);
        self.e.builder.ins().jump(done, &pair);

        self.e.start(utf16);
        let worst = self.times(bytes, 2);
        let block = self.string_reallocate(guest, block, bytes, 2, worst)?;
        self.e
            .builtin(Builtin::Latin1WidenInPlace, &[block.address, written]);
        let rest = self.e.builder.ins().iadd(source, consumed);
        let rest_bytes = self.e.builder.ins().isub(bytes, consumed);
        // Each character so far took at least a byte of the source, so the rest still has two bytes
        // a byte of it.
        let widened = self.times(written, 2);
        let to = self.e.builder.ins().iadd(block.address, widened);
        let more = self
            .e
            .value_of(Builtin::Utf8ToUtf16, &[rest, rest_bytes, to]);
        self.trap_if_not_utf8(more);
        let units = self.e.builder.ins().iadd(written, more);
        let used = self.times(units, 2);
        let pointer = self.shrink(guest, block, worst, 2, used)?;
        let tag = self.e.i64(utf16_tag(guest));
        let tagged = self.e.builder.ins().bor(units, tag);
        let pair = [pointer, tagged].map(BlockArg::Value);
        self.e.builder.ins().jump(done, &pair);

        self.e.start(done);
        Ok((results[0], results[1]))
    }
}
