//! Leaving one stack for another, and the first frame of a stack.
//!
//! A switch is a jump, not a return: the processor predicts returns by the calls that it has seen,
//! and would always be wrong. Where a stack goes on lies on it: the address, and above it `rbx` and
//! `rbp`, which the compiler does not let an assembly block clobber. The compiler saves whatever
//! else it needs, so everything that a suspended stack refers to is on it.
//!
//! Floating-point control words are not switched: neither guest code nor the runtime changes them.

use crate::memory::stack_pool::Stack;
use std::arch::{asm, naked_asm};

/// How the base function of a stack ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub(crate) enum Ending {
    /// It has done what it was for.
    Finished = 0,
    /// Guest code that it called has trapped, or it traps itself: the trap is in the store's
    /// record.
    Trapped = 1,
}

/// The function at the base of a stack. It may not unwind, and what it holds while the stack is
/// suspended is not dropped if nobody resumes it.
pub(crate) type Base = unsafe extern "C" fn(argument: u64) -> Ending;

/// Keeps the place where this stack goes on and goes on at that of `to`. Returns when something
/// switches to `from`, with the word that it passes.
///
/// # Safety
/// `from` is the stack that runs, `to` another one that was left in the same way or
/// [prepared](prepare). The caller is not inlined, and its own caller uses no address of a thread
/// local from before: perhaps another thread goes on.
#[inline(always)]
pub(crate) unsafe fn switch(from: Stack, to: Stack, word: u64) -> u64 {
    let mut word = word;
    // SAFETY: all registers are clobbered or restored, and the stack pointer is the same again.
    unsafe {
        asm!(
            "push rbp",
            "push rbx",
            "lea rax, [rip + 2f]",
            "push rax",
            "mov [rdi], rsp",
            "mov rsp, rsi",
            "pop rax",
            "jmp rax",
            "2:",
            "pop rbx",
            "pop rbp",
            inout("rdx") word,
            inout("rdi") from.sp.as_ptr() => _,
            inout("rsi") to.sp.get() => _,
            out("r12") _,
            out("r13") _,
            out("r14") _,
            out("r15") _,
            clobber_abi("sysv64"),
        );
    }
    word
}

/// Makes a fresh stack one that can be switched to: `base` runs on it then, and after that `end`
/// with the stack's [word](Stack::word), which never returns.
///
/// # Safety
/// The stack is fresh and has cells.
pub(crate) unsafe fn prepare(
    stack: Stack,
    base: Base,
    argument: u64,
    end: unsafe extern "C" fn(u64, Ending) -> !,
) {
    let address = |code: *const ()| code.expose_provenance();
    // SAFETY: promised.
    unsafe {
        stack.push_first(&[
            address(first_frame as *const ()),
            address(base as *const ()),
            argument as usize,
            address(end as *const ()),
            stack.word() as usize,
            0,
        ]);
    }
}

/// Where a stack begins. Debuggers and unwinders stop here: the frame pointer is 0, and there is no
/// return address.
#[unsafe(naked)]
unsafe extern "C" fn first_frame() -> ! {
    naked_asm!(
        ".cfi_startproc",
        ".cfi_undefined rip",
        "xor ebp, ebp",
        "pop rax",
        "pop rdi",
        // The stack pointer is a multiple of 16 with the three words that are left and one above.
        "sub rsp, 8",
        "call rax",
        "mov rdi, [rsp + 16]",
        "mov esi, eax",
        "mov rax, [rsp + 8]",
        // `end` does not return. It is not called: the processor would expect that it does, and
        // foretell all returns of whoever gets control wrongly.
        "push 0",
        "jmp rax",
        ".cfi_endproc",
    )
}
