//! Services that an interrupt ends in the middle: those of which one call may take long, or that
//! guest code can call all the time, so that hardly a signal would meet its own instructions.
//!
//! Compiled code calls a stub, which goes on in the service at once if there is little to do.
//! Otherwise it goes to a function here, with a [frame](GuestFrame) from which the call can be
//! left: that looks for an interrupt, and does a long service in steps, looking again before each.
//! While some call of the process is being stopped, everything is much: a loop of services is
//! stopped by its second one, and not when a signal happens to meet the loop's own few
//! instructions. What is much is in memory for that, which costs no instruction.
//! What a step has written when the call is left is in the guest's own memory or in the arena,
//! which nothing reads then.
//!
//! Functions here are left without unwinding, so nothing in them has to be dropped.

use crate::machine::activation::Activation;
use crate::machine::interrupt::is_interrupted;
use crate::machine::services;
use crate::machine::transcode;
use crate::machine::traps::{GuestFrame, leave};
use std::mem::offset_of;
use std::sync::atomic::{AtomicU64, Ordering};
use trampette_artifact::builtin::LONG;
use trampette_artifact::layout::RootHeader;
use trampette_artifact::trap::TrapCode;

/// As many bytes, units or values are not done at once, without looking: what takes as long as
/// calling it. 0 while a call is being stopped.
static MUCH: AtomicU64 = AtomicU64::new(USUALLY_MUCH);
const USUALLY_MUCH: u64 = 1025;
/// The same of copies and fills, which are faster.
static MUCH_TO_MOVE: AtomicU64 = AtomicU64::new(USUALLY_MUCH_TO_MOVE);
const USUALLY_MUCH_TO_MOVE: u64 = 4097;
/// As much is done between two looks. Even, so that no step begins inside of a mask.
const STEP: u64 = LONG;

/// Which services look for an interrupt before they begin.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Looking {
    /// Those that have much to do.
    Usual,
    /// All: some call is being stopped.
    Always,
}

/// Sets which services look, in all calls of the process.
pub(crate) fn set_looking(looking: Looking) {
    let (much, much_to_move) = match looking {
        Looking::Usual => (USUALLY_MUCH, USUALLY_MUCH_TO_MOVE),
        Looking::Always => (0, 0),
    };
    MUCH.store(much, Ordering::Relaxed);
    MUCH_TO_MOVE.store(much_to_move, Ordering::Relaxed);
}

/// Leaves guest code if its call is to be stopped.
///
/// # Safety
/// As [`leave`].
#[inline]
pub(crate) unsafe fn look(frame: *const GuestFrame) {
    // SAFETY: activations of this thread are live.
    let activation = unsafe { Activation::current().as_ref() };
    if activation.is_some_and(|activation| is_interrupted(activation.instance())) {
        // SAFETY: the caller's promise.
        unsafe { leave(frame, TrapCode::Interrupt) }
    }
}

/// Defines stubs: of services that are called as they are if the count in a register is small, and
/// otherwise in another function, with a frame as sixth argument.
macro_rules! stubs {
    ($($name:ident: $service:path, or $long:ident if $register:literal >= $much:ident;)*) => {$(
        #[unsafe(naked)]
        pub(crate) unsafe extern "C" fn $name() {
            std::arch::naked_asm!(
                concat!("cmp ", $register, ", qword ptr [rip + {much}]"),
                "jae 2f",
                "jmp {service}",
                "2:",
                "push rbp",
                "mov rbp, rsp",
                "mov r9, rsp",
                "call {long}",
                "pop rbp",
                "ret",
                much = sym $much,
                service = sym $service,
                long = sym $long,
            )
        }
    )*};
}

stubs! {
    memory_move: services::memmove, or move_long if "rdx" >= MUCH_TO_MOVE;
    memory_set: services::memset, or set_long if "rdx" >= MUCH_TO_MOVE;
    table_fill: services::table_fill, or table_fill_long if "rdx" >= MUCH;
    utf8_validate: transcode::utf8_validate, or utf8_validate_long if "rsi" >= MUCH;
    utf8_copy: transcode::utf8_copy, or utf8_copy_long if "rsi" >= MUCH;
    ascii_validate: transcode::ascii_validate, or ascii_validate_long if "rsi" >= MUCH;
    ascii_copy: transcode::ascii_copy, or ascii_copy_long if "rsi" >= MUCH;
    utf16_validate: transcode::utf16_validate, or utf16_validate_long if "rsi" >= MUCH;
    utf16_to_utf8: transcode::utf16_to_utf8, or utf16_to_utf8_long if "rsi" >= MUCH;
    utf16_to_latin1: transcode::utf16_to_latin1, or utf16_to_latin1_long if "rsi" >= MUCH;
    utf16_to_ascii: transcode::utf16_to_ascii, or utf16_to_ascii_long if "rsi" >= MUCH;
    latin1_to_utf8: transcode::latin1_to_utf8, or latin1_to_utf8_long if "rsi" >= MUCH;
    latin1_to_utf16: transcode::latin1_to_utf16, or latin1_to_utf16_long if "rsi" >= MUCH;
    utf8_to_utf16: transcode::utf8_to_utf16, or utf8_to_utf16_long if "rsi" >= MUCH;
    utf8_to_latin1: transcode::utf8_to_latin1, or utf8_to_latin1_long if "rsi" >= MUCH;
    latin1_widen_in_place: transcode::latin1_widen_in_place, or widen_long if "rsi" >= MUCH;
    utf16_narrow_in_place: transcode::utf16_narrow_in_place, or narrow_long if "rsi" >= MUCH;
    chars_validate: transcode::chars_validate, or chars_validate_long if "rsi" >= MUCH;
    enums_validate: transcode::enums_validate, or enums_validate_long if "rsi" >= MUCH;
    bools_normalise: transcode::bools_normalise, or bools_normalise_long if "rsi" >= MUCH;
    bits_mask: transcode::bits_mask, or bits_mask_long if "rsi" >= MUCH;
}

/// Defines stubs of services that always get a [frame](GuestFrame) as sixth argument.
macro_rules! framed {
    ($($name:ident: $service:path;)*) => {$(
        #[unsafe(naked)]
        pub(crate) unsafe extern "C" fn $name() {
            std::arch::naked_asm!(
                "push rbp",
                "mov rbp, rsp",
                "mov r9, rsp",
                "call {service}",
                "pop rbp",
                "ret",
                service = sym $service,
            )
        }
    )*};
}
pub(crate) use framed;

framed! {
    atomic_wait32: services::atomic_wait32;
    atomic_wait64: services::atomic_wait64;
    table_grow: services::table_grow;
    lend_push: services::lend_push;
    handle_table_grow: services::handle_table_grow;
}

/// Defines stubs of services that take a root first: that is looked at.
macro_rules! rooted {
    ($($name:ident: $service:path;)*) => {$(
        #[unsafe(naked)]
        pub(crate) unsafe extern "C" fn $name() {
            std::arch::naked_asm!(
                "cmp dword ptr [rdi + {interrupt}], 0",
                "jne 2f",
                "jmp {service}",
                "2:",
                "push rbp",
                "mov rbp, rsp",
                "push rdi",
                "push rsi",
                "push rdx",
                "push rcx",
                "mov rdi, rbp",
                "call {look}",
                "pop rcx",
                "pop rdx",
                "pop rsi",
                "pop rdi",
                "pop rbp",
                "jmp {service}",
                interrupt = const offset_of!(RootHeader, interrupt),
                look = sym look_from_stub,
                service = sym $service,
            )
        }
    )*};
}

rooted! {
    memory_grow: services::memory_grow;
    arena_allocate: services::arena_allocate;
    error_context_new: services::error_context_new;
    error_context_share: services::error_context_share;
    error_context_drop: services::error_context_drop;
    error_context_message: services::error_context_message;
    atomic_notify: services::atomic_notify;
}

unsafe extern "C" fn look_from_stub(frame: Frame) {
    // SAFETY: called by a stub that guest code called.
    unsafe { look(frame) }
}

type Frame = *const GuestFrame;
/// An argument that the service does not have: the frame is always the sixth.
type Unused = u64;

/// Services that are called whole after a look: what is longer than a step is called in another
/// form by compiled code.
macro_rules! whole {
    ($($name:ident: $service:path, of $first:ty, $second:ty, $count:ty;)*) => {$(
        unsafe extern "C" fn $name(
            first: $first,
            second: $second,
            count: $count,
            _: Unused,
            _: Unused,
            frame: Frame,
        ) {
            // SAFETY: called by compiled code through its stub.
            unsafe {
                look(frame);
                $service(first, second, count);
            }
        }
    )*};
}

whole! {
    move_long: services::memmove, of *mut u8, *const u8, usize;
    set_long: services::memset, of *mut u8, i32, usize;
    table_fill_long: services::table_fill, of *mut u32, u32, u64;
}

/// Calls `step` with the start and length of every step of `0..count`, each time after a look,
/// until it gives something. `end` moves the end of a step that is not the last one.
///
/// # Safety
/// As [`look`].
#[inline(always)]
unsafe fn each_step<R>(
    frame: Frame,
    count: u64,
    end: impl Fn(u64) -> u64,
    mut step: impl FnMut(u64, u64) -> Option<R>,
) -> Option<R> {
    let mut at = 0;
    loop {
        // SAFETY: the caller's promise.
        unsafe { look(frame) };
        if at == count {
            return None;
        }
        let next = match count - at > STEP {
            true => end(at + STEP),
            false => count,
        };
        if let Some(result) = step(at, next - at) {
            return Some(result);
        }
        at = next;
    }
}

/// Calls `step` with the start and length of every step of `0..count`, each time after a look.
/// Steps may end anywhere.
///
/// # Safety
/// As [`look`].
#[inline(always)]
unsafe fn all_steps(frame: Frame, count: u64, mut step: impl FnMut(u64, u64)) {
    // SAFETY: the caller's promise.
    unsafe {
        each_step::<()>(
            frame,
            count,
            |at| at,
            |at, part| {
                step(at, part);
                None
            },
        )
    };
}

/// A place at or up to three bytes before one inside of a text, which is between characters if the
/// text is UTF-8.
unsafe fn between_utf8(text: *const u8, at: u64) -> u64 {
    let is_start = |at: &u64| {
        // SAFETY: inside of the text.
        let byte = unsafe { text.add(*at as usize).read() };
        byte & 0xc0 != 0x80
    };
    (at - 3..=at).rev().find(is_start).unwrap_or(at)
}

/// The same of UTF-16LE.
unsafe fn between_utf16(text: *const u8, at: u64) -> u64 {
    // SAFETY: inside of the text.
    let last_byte = unsafe { text.add(at as usize * 2 - 1).read() };
    // A high surrogate.
    at - u64::from(last_byte & 0xfc == 0xd8)
}

/// What a part of a text, before so many more bytes, says of all of it: one that ends inside of a
/// character is wrong there, unless it is the last.
fn fault_of(status: u32, left: u64) -> Option<u32> {
    match (status, left) {
        (0, _) => None,
        (_, 0) => Some(status),
        _ => Some(1),
    }
}

unsafe extern "C" fn utf8_validate_long(
    text: *const u8,
    length: u64,
    _: Unused,
    _: Unused,
    _: Unused,
    frame: Frame,
) -> u32 {
    // SAFETY: called by compiled code through its stub: `length` bytes are there.
    let fault = unsafe {
        each_step(
            frame,
            length,
            |at| between_utf8(text, at),
            |at, part| {
                let status = transcode::utf8_validate(text.add(at as usize), part);
                fault_of(status, length - at - part)
            },
        )
    };
    fault.unwrap_or(0)
}

unsafe extern "C" fn utf8_copy_long(
    text: *const u8,
    length: u64,
    target: *mut u8,
    _: Unused,
    _: Unused,
    frame: Frame,
) -> u32 {
    // SAFETY: as above, also of the target.
    let fault = unsafe {
        each_step(
            frame,
            length,
            |at| between_utf8(text, at),
            |at, part| {
                let target = target.add(at as usize);
                let status = transcode::utf8_copy(text.add(at as usize), part, target);
                fault_of(status, length - at - part)
            },
        )
    };
    fault.unwrap_or(0)
}

unsafe extern "C" fn ascii_validate_long(
    text: *const u8,
    length: u64,
    _: Unused,
    _: Unused,
    _: Unused,
    frame: Frame,
) -> u32 {
    // SAFETY: as above.
    let other = unsafe {
        each_step(
            frame,
            length,
            |at| at,
            |at, part| {
                let is_ascii = transcode::ascii_validate(text.add(at as usize), part) == 1;
                (!is_ascii).then_some(0)
            },
        )
    };
    other.unwrap_or(1)
}

/// Conversions that stop at the first unit that does not fit, and say how many were written.
macro_rules! until_misfit {
    ($($name:ident: $service:path, of $bytes:literal;)*) => {$(
        unsafe extern "C" fn $name(
            source: *const u8,
            count: u64,
            target: *mut u8,
            _: Unused,
            _: Unused,
            frame: Frame,
        ) -> u64 {
            // SAFETY: as above: `count` units of so many bytes, and room for as many bytes.
            let stopped = unsafe {
                each_step(frame, count, |at| at, |at, part| {
                    let source = source.add(at as usize * $bytes);
                    let written = $service(source, part, target.add(at as usize));
                    (written < part).then_some(at + written)
                })
            };
            stopped.unwrap_or(count)
        }
    )*};
}

until_misfit! {
    ascii_copy_long: transcode::ascii_copy, of 1;
    utf16_to_latin1_long: transcode::utf16_to_latin1, of 2;
    utf16_to_ascii_long: transcode::utf16_to_ascii, of 2;
}

unsafe extern "C" fn utf16_validate_long(
    text: *const u8,
    count: u64,
    _: Unused,
    _: Unused,
    _: Unused,
    frame: Frame,
) -> u32 {
    // SAFETY: as above: `count` units of two bytes.
    let fault = unsafe {
        each_step(
            frame,
            count,
            |at| between_utf16(text, at),
            |at, part| {
                let status = transcode::utf16_validate(text.add(at as usize * 2), part);
                fault_of(status, 0)
            },
        )
    };
    fault.unwrap_or(0)
}

unsafe extern "C" fn utf16_to_utf8_long(
    source: *const u8,
    count: u64,
    target: *mut u8,
    _: Unused,
    _: Unused,
    frame: Frame,
) -> u64 {
    let mut written = 0u64;
    // SAFETY: as above; the target has three bytes for each unit.
    let fault = unsafe {
        each_step(
            frame,
            count,
            |at| between_utf16(source, at),
            |at, part| {
                let source = source.add(at as usize * 2);
                let some = transcode::utf16_to_utf8(source, part, target.add(written as usize));
                written = written.wrapping_add(some);
                (some == u64::MAX).then_some(some)
            },
        )
    };
    fault.unwrap_or(written)
}

unsafe extern "C" fn latin1_to_utf8_long(
    source: *const u8,
    length: u64,
    target: *mut u8,
    _: Unused,
    _: Unused,
    frame: Frame,
) -> u64 {
    let mut written = 0u64;
    // SAFETY: as above; the target has two bytes for each byte.
    unsafe {
        all_steps(frame, length, |at, part| {
            let target = target.add(written as usize);
            written += transcode::latin1_to_utf8(source.add(at as usize), part, target);
        });
    }
    written
}

unsafe extern "C" fn latin1_to_utf16_long(
    source: *const u8,
    length: u64,
    target: *mut u8,
    _: Unused,
    _: Unused,
    frame: Frame,
) {
    // SAFETY: as above; the target has two bytes for each byte.
    unsafe {
        all_steps(frame, length, |at, part| {
            let target = target.add(at as usize * 2);
            transcode::latin1_to_utf16(source.add(at as usize), part, target);
        });
    }
}

unsafe extern "C" fn utf8_to_utf16_long(
    source: *const u8,
    length: u64,
    target: *mut u8,
    _: Unused,
    _: Unused,
    frame: Frame,
) -> u64 {
    let mut written = 0u64;
    // SAFETY: as above; the target has two bytes for each byte.
    let fault = unsafe {
        each_step(
            frame,
            length,
            |at| between_utf8(source, at),
            |at, part| {
                let target = target.add(written as usize * 2);
                let some = transcode::utf8_to_utf16(source.add(at as usize), part, target);
                let fault = fault_of(
                    some.cast_signed().min(0).unsigned_abs() as u32,
                    length - at - part,
                );
                written = written.wrapping_add(some);
                fault
            },
        )
    };
    fault.map_or(written, |fault| (-i64::from(fault)).cast_unsigned())
}

unsafe extern "C" fn utf8_to_latin1_long(
    source: *const u8,
    length: u64,
    target: *mut u8,
    _: Unused,
    _: Unused,
    frame: Frame,
) -> u64 {
    let mut written = 0u64;
    // Where the first character was that does not fit; what comes after it is only validated.
    let mut misfit = None;
    // SAFETY: as above; the target has a byte for each byte.
    let fault = unsafe {
        each_step(
            frame,
            length,
            |at| between_utf8(source, at),
            |at, part| {
                let left = length - at - part;
                let source = source.add(at as usize);
                if misfit.is_some() {
                    return fault_of(transcode::utf8_validate(source, part), left);
                }
                let both = transcode::utf8_to_latin1(source, part, target.add(written as usize));
                let status = both.cast_signed().min(0).unsigned_abs() as u32;
                if status == 0 {
                    written += both & u64::from(u32::MAX);
                    misfit = Some(at + (both >> 32)).filter(|read| *read < at + part);
                }
                fault_of(status, left)
            },
        )
    };
    match fault {
        Some(fault) => (-i64::from(fault)).cast_unsigned(),
        None => misfit.unwrap_or(length) << 32 | written,
    }
}

unsafe extern "C" fn widen_long(
    address: *mut u8,
    length: u64,
    _: Unused,
    _: Unused,
    _: Unused,
    frame: Frame,
) {
    let mut left = length;
    // SAFETY: as above; there are two bytes for each byte.
    unsafe {
        while left > STEP {
            // The second half goes behind all of them, where nothing is to be read any more.
            let half = left.div_ceil(2);
            let (source, target) = (address.add(half as usize), address.add(half as usize * 2));
            latin1_to_utf16_long(source, left - half, target, 0, 0, frame);
            left = half;
        }
        look(frame);
        transcode::latin1_widen_in_place(address, left);
    }
}

unsafe extern "C" fn narrow_long(
    address: *mut u8,
    count: u64,
    _: Unused,
    _: Unused,
    _: Unused,
    frame: Frame,
) -> u32 {
    // SAFETY: as above: `count` units of two bytes.
    unsafe {
        let misfit = each_step(
            frame,
            count,
            |at| at,
            |at, part| {
                let fits = transcode::fits_latin1(address.add(at as usize * 2), part);
                (!fits).then_some(())
            },
        );
        if misfit.is_some() {
            return 0;
        }
        all_steps(frame, count, |at, part| match at {
            0 => {
                transcode::utf16_narrow_in_place(address, part);
            }
            // What was read already is where the narrow units go: no step is longer than all
            // before it.
            _ => {
                let source = address.add(at as usize * 2);
                transcode::utf16_to_latin1(source, part, address.add(at as usize));
            }
        });
    }
    1
}

unsafe extern "C" fn chars_validate_long(
    values: *const u8,
    count: u64,
    _: Unused,
    _: Unused,
    _: Unused,
    frame: Frame,
) -> u32 {
    // SAFETY: as above: `count` values of four bytes.
    let fault = unsafe {
        each_step(
            frame,
            count,
            |at| at,
            |at, part| {
                let status = transcode::chars_validate(values.add(at as usize * 4), part);
                fault_of(status, 0)
            },
        )
    };
    fault.unwrap_or(0)
}

unsafe extern "C" fn enums_validate_long(
    values: *const u8,
    count: u64,
    size: u32,
    cases: u32,
    _: Unused,
    frame: Frame,
) -> u32 {
    // SAFETY: as above: `count` values of `size` bytes.
    let fault = unsafe {
        each_step(
            frame,
            count,
            |at| at,
            |at, part| {
                let values = values.add(at as usize * size as usize);
                fault_of(transcode::enums_validate(values, part, size, cases), 0)
            },
        )
    };
    fault.unwrap_or(0)
}

unsafe extern "C" fn bools_normalise_long(
    values: *mut u8,
    count: u64,
    _: Unused,
    _: Unused,
    _: Unused,
    frame: Frame,
) {
    // SAFETY: as above.
    unsafe {
        all_steps(frame, count, |at, part| {
            transcode::bools_normalise(values.add(at as usize), part);
        });
    }
}

unsafe extern "C" fn bits_mask_long(
    bytes: *mut u8,
    length: u64,
    mask: u64,
    _: Unused,
    _: Unused,
    frame: Frame,
) {
    const { assert!(STEP.is_multiple_of(8)) };
    // SAFETY: as above.
    unsafe {
        all_steps(frame, length, |at, part| {
            transcode::bits_mask(bytes.add(at as usize), part, mask);
        });
    }
}

#[cfg(test)]
mod tests;
