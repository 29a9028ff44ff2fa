//! Strings from guest to guest, every encoding to every other.
//!
//! Each pair of encodings follows its `store_string_*` function in the Canonical ABI, call by call,
//! since the destination's `realloc` can see them. Pointer and length are loaded once and the
//! source's bounds checked before the first `realloc`; what is copied as it is, is validated while
//! or after it is copied, and transcoders validate what they read, so nothing is trusted across a
//! call into a guest. (Within one memory, the source is copied before the first `realloc`.)
//!
//! | from \ to | `utf8` | `utf16` | `latin1+utf16` |
//! | --- | --- | --- | --- |
//! | UTF-8 | copy and validate | transcode, shrink | Latin-1 first, then UTF-16 |
//! | UTF-16 | ASCII first, then transcode | copy, validate | Latin-1 first, then UTF-16 |
//! | Latin-1 | ASCII first, then transcode | widen | copy |
//! | tagged UTF-16 | as UTF-16 | copy, validate | copy, validate, narrow if it all fits |
//!
//! ("First" is as far as it goes; tagged UTF-16 is what `latin1+utf16` may hold.)

use super::strings::utf16_tag;
use super::{Guest, Side, Transfer, checks};
use crate::codegen::declare_function;
use crate::program::StringEncoding;
use crate::trampolines::string_route;
use anyhow::Result;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{Block, BlockArg, InstBuilder, Value, types};
use trampette_artifact::builtin::Builtin;
use trampette_artifact::canonical::MAX_STRING_BYTE_LENGTH;
use trampette_artifact::key::FuncKey;
use trampette_artifact::trap::TrapCode;

/// A string's pointer and (tagged) length, as `i64`.
type Pair = (Value, Value);

/// Strings that a transfer passes on in line.
const IN_LINE: u32 = 2;

/// What a UTF-16 source is declared as: it decides how `latin1+utf16` is stored.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Utf16 {
    /// `utf16`.
    Always,
    /// `latin1+utf16`, so it probably does not fit Latin-1.
    Chosen,
}

impl Transfer<'_, '_, '_> {
    /// Passes a string on: by code that adapters share if it may not be there at all, or is not the
    /// first.
    pub(super) fn pass_string(
        &mut self,
        source: Guest<'_>,
        target: Guest<'_>,
        pointer: Value,
        tagged: Value,
    ) -> Result<Pair> {
        let routes = &self.e.session.layout.string_routes;
        let route = routes.find(source.options, target.options);
        let Some(route) = route.filter(|_| self.cases > 0 || self.passed_strings >= IN_LINE) else {
            self.passed_strings += 1;
            return self.string_between(source, target, pointer, tagged);
        };
        let key = FuncKey::StringRoute(route);
        let callee = declare_function(self.e.builder.func, key, string_route::signature());
        let arguments = [self.e.context, pointer, tagged];
        let call = self.e.builder.ins().call(callee, &arguments);
        let results = self.e.builder.inst_results(call);
        Ok((results[0], results[1]))
    }

    /// Stores the string at `pointer` with that (tagged) length in the memory of `target`.
    ///
    /// # Errors
    /// If the guests lack options that strings need.
    pub(crate) fn string_between(
        &mut self,
        source: Guest<'_>,
        target: Guest<'_>,
        pointer: Value,
        tagged: Value,
    ) -> Result<Pair> {
        match source.encoding() {
            StringEncoding::Utf8 => self.pass_utf8(source, target, pointer, tagged),
            StringEncoding::Utf16 => {
                self.pass_utf16(source, target, pointer, tagged, Utf16::Always)
            }
            StringEncoding::Latin1OrUtf16 => {
                let tag = self.e.i64(utf16_tag(source));
                let is_utf16 = self.e.builder.ins().band(tagged, tag);
                self.either(
                    is_utf16,
                    |t| {
                        let units = t.e.builder.ins().bxor(tagged, tag);
                        t.pass_utf16(source, target, pointer, units, Utf16::Chosen)
                    },
                    |t| t.pass_latin1(source, target, pointer, tagged),
                )
            }
        }
    }

    /// Goes one of two ways to a pair.
    fn either(
        &mut self,
        condition: Value,
        yes: impl FnOnce(&mut Self) -> Result<Pair>,
        no: impl FnOnce(&mut Self) -> Result<Pair>,
    ) -> Result<Pair> {
        let [if_yes, if_no, done] = std::array::from_fn(|_| self.e.builder.create_block());
        let results = [types::I64; 2].map(|ty| self.e.builder.append_block_param(done, ty));
        let ins = self.e.builder.ins();
        ins.brif(condition, if_yes, &[], if_no, &[]);
        self.e.start(if_yes);
        let pair = yes(self)?;
        self.finish_with(pair, done);
        self.e.start(if_no);
        let pair = no(self)?;
        self.finish_with(pair, done);
        self.e.start(done);
        Ok((results[0], results[1]))
    }

    fn finish_with(&mut self, pair: Pair, done: Block) {
        let arguments = [pair.0, pair.1].map(BlockArg::Value);
        self.e.builder.ins().jump(done, &arguments);
    }

    /// The address of the source while it is stored in the memory of `target`. If a component calls
    /// what it lifts itself, both may be in one memory: then `realloc` could change the source, or
    /// return memory that overlaps it, so the source is copied to the arena first.
    fn out_of_reach(&mut self, target: Guest<'_>, address: Value, bytes: Value) -> Value {
        let Side::Guest(source) = self.from else {
            return address;
        };
        if !source.shares_memory(target) {
            return address;
        }
        let copy = checks::arena_allocate(self.e, bytes, 1);
        self.e.builtin(Builtin::MemoryMove, &[copy, address, bytes]);
        copy
    }

    fn pass_utf8(
        &mut self,
        source: Guest<'_>,
        target: Guest<'_>,
        pointer: Value,
        bytes: Value,
    ) -> Result<Pair> {
        self.limit_units(bytes, MAX_STRING_BYTE_LENGTH);
        let address = self.string_range(source, pointer, bytes, 1)?;
        let address = self.out_of_reach(target, address, bytes);
        match target.encoding() {
            StringEncoding::Utf8 => {
                let block = self.string_allocate(target, 1, bytes)?;
                self.copy_utf8(source, address, bytes, block.address);
                Ok((block.pointer, bytes))
            }
            StringEncoding::Utf16 => self.store_utf16(target, address, bytes),
            StringEncoding::Latin1OrUtf16 => self.store_latin1_or_utf16(target, address, bytes),
        }
    }

    fn pass_utf16(
        &mut self,
        source: Guest<'_>,
        target: Guest<'_>,
        pointer: Value,
        units: Value,
        declared: Utf16,
    ) -> Result<Pair> {
        self.limit_units(units, MAX_STRING_BYTE_LENGTH / 2);
        let address = self.string_range(source, pointer, units, 2)?;
        let bytes = self.times(units, 2);
        let address = self.out_of_reach(target, address, bytes);
        match (target.encoding(), declared) {
            (StringEncoding::Utf8, _) => self.utf16_to_utf8(target, address, units),
            (StringEncoding::Utf16, _) => self.copy_utf16(target, address, units),
            (StringEncoding::Latin1OrUtf16, Utf16::Always) => {
                self.utf16_to_latin1_or_utf16(target, address, units)
            }
            (StringEncoding::Latin1OrUtf16, Utf16::Chosen) => {
                self.probably_utf16(target, address, units)
            }
        }
    }

    fn pass_latin1(
        &mut self,
        source: Guest<'_>,
        target: Guest<'_>,
        pointer: Value,
        bytes: Value,
    ) -> Result<Pair> {
        self.limit_units(bytes, MAX_STRING_BYTE_LENGTH);
        let address = self.string_range(source, pointer, bytes, 1)?;
        let address = self.out_of_reach(target, address, bytes);
        match target.encoding() {
            StringEncoding::Utf8 => self.latin1_to_utf8(target, address, bytes),
            StringEncoding::Utf16 => {
                let room = self.times(bytes, 2);
                let block = self.string_allocate(target, 2, room)?;
                let arguments = [address, bytes, block.address];
                self.e.builtin(Builtin::Latin1ToUtf16, &arguments);
                Ok((block.pointer, bytes))
            }
            StringEncoding::Latin1OrUtf16 => {
                let block = self.string_allocate(target, 2, bytes)?;
                let arguments = [block.address, address, bytes];
                self.e.builtin(Builtin::MemoryMove, &arguments);
                Ok((block.pointer, bytes))
            }
        }
    }

    /// `store_utf16_to_utf8`.
    fn utf16_to_utf8(&mut self, target: Guest<'_>, address: Value, units: Value) -> Result<Pair> {
        self.store_after_ascii(
            target,
            address,
            units,
            Builtin::Utf16ToAscii,
            |t, written| {
                let skipped = t.times(written, 2);
                let rest = t.e.builder.ins().iadd(address, skipped);
                (rest, 3, Builtin::Utf16ToUtf8)
            },
        )
    }

    /// `store_latin1_to_utf8`.
    fn latin1_to_utf8(&mut self, target: Guest<'_>, address: Value, bytes: Value) -> Result<Pair> {
        self.store_after_ascii(target, address, bytes, Builtin::AsciiCopy, |t, written| {
            let rest = t.e.builder.ins().iadd(address, written);
            (rest, 2, Builtin::Latin1ToUtf8)
        })
    }

    /// `store_string_to_utf8`: assumes ASCII first. `ascii` copies code units as long as they are;
    /// `rest` says where the others are, how many bytes each takes at worst, and what transcodes
    /// them.
    fn store_after_ascii(
        &mut self,
        target: Guest<'_>,
        address: Value,
        units: Value,
        ascii: Builtin,
        rest: impl FnOnce(&mut Self, Value) -> (Value, u32, Builtin),
    ) -> Result<Pair> {
        let block = self.string_allocate(target, 1, units)?;
        let written = self.e.value_of(ascii, &[address, units, block.address]);
        let all = self.e.builder.ins().icmp(IntCC::Equal, written, units);
        self.either(
            all,
            |_| Ok((block.pointer, units)),
            |t| {
                let (rest, growth, transcoder) = rest(t, written);
                let worst = t.times(units, growth.into());
                let block = t.string_reallocate(target, block, units, 1, worst)?;
                let count = t.e.builder.ins().isub(units, written);
                let to = t.e.builder.ins().iadd(block.address, written);
                let more = t.e.value_of(transcoder, &[rest, count, to]);
                if transcoder == Builtin::Utf16ToUtf8 {
                    let zero = t.e.i64(0);
                    let ins = t.e.builder.ins();
                    let invalid = ins.icmp(IntCC::SignedLessThan, more, zero);
                    t.e.trap_if(invalid, TrapCode::InvalidUtf16, None);
                }
                let bytes = t.e.builder.ins().iadd(written, more);
                let pointer = t.shrink(target, block, worst, 1, bytes)?;
                Ok((pointer, bytes))
            },
        )
    }

    /// `store_string_copy` of UTF-16.
    fn copy_utf16(&mut self, target: Guest<'_>, address: Value, units: Value) -> Result<Pair> {
        let bytes = self.times(units, 2);
        let block = self.string_allocate(target, 2, bytes)?;
        let arguments = [block.address, address, bytes];
        self.e.builtin(Builtin::MemoryMove, &arguments);
        self.validate_utf16(block.address, units);
        Ok((block.pointer, units))
    }

    fn validate_utf16(&mut self, address: Value, units: Value) {
        let invalid = self.e.value_of(Builtin::Utf16Validate, &[address, units]);
        self.e.trap_if(invalid, TrapCode::InvalidUtf16, None);
    }

    /// `store_string_to_latin1_or_utf16`, from `utf16`.
    fn utf16_to_latin1_or_utf16(
        &mut self,
        target: Guest<'_>,
        address: Value,
        units: Value,
    ) -> Result<Pair> {
        let block = self.string_allocate(target, 2, units)?;
        let arguments = [address, units, block.address];
        let written = self.e.value_of(Builtin::Utf16ToLatin1, &arguments);
        let all = self.e.builder.ins().icmp(IntCC::Equal, written, units);
        self.either(
            all,
            |_| Ok((block.pointer, units)),
            |t| {
                let bytes = t.times(units, 2);
                let block = t.string_reallocate(target, block, units, 2, bytes)?;
                let arguments = [block.address, written];
                t.e.builtin(Builtin::Latin1WidenInPlace, &arguments);
                let done = t.times(written, 2);
                let rest = t.e.builder.ins().iadd(address, done);
                let to = t.e.builder.ins().iadd(block.address, done);
                let more = t.e.builder.ins().isub(bytes, done);
                t.e.builtin(Builtin::MemoryMove, &[to, rest, more]);
                // What was Latin-1 has no surrogates.
                let count = t.e.builder.ins().isub(units, written);
                t.validate_utf16(to, count);
                let tag = t.e.i64(utf16_tag(target));
                let tagged = t.e.builder.ins().bor(units, tag);
                Ok((block.pointer, tagged))
            },
        )
    }

    /// `store_probably_utf16_to_latin1_or_utf16`.
    fn probably_utf16(&mut self, target: Guest<'_>, address: Value, units: Value) -> Result<Pair> {
        let bytes = self.times(units, 2);
        let block = self.string_allocate(target, 2, bytes)?;
        let arguments = [block.address, address, bytes];
        self.e.builtin(Builtin::MemoryMove, &arguments);
        self.validate_utf16(block.address, units);
        let narrowed = self
            .e
            .value_of(Builtin::Utf16NarrowInPlace, &[block.address, units]);
        self.either(
            narrowed,
            |t| {
                let block = t.string_reallocate(target, block, bytes, 1, units)?;
                Ok((block.pointer, units))
            },
            |t| {
                let tag = t.e.i64(utf16_tag(target));
                let tagged = t.e.builder.ins().bor(units, tag);
                Ok((block.pointer, tagged))
            },
        )
    }
}
