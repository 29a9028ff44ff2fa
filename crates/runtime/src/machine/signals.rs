//! Faults of guest code become traps.
//!
//! A fault is a trap only if the instruction is in the trap table of the component that runs
//! innermost on this thread, and, for a memory fault, if the address lies in the memory or guard of
//! one of the instance's slabs. Everything else goes to whoever handled the signal before: a fault
//! in the guard page of the stack, or in host code, ends the process as it would without us.
//!
//! `SIGBUS` is not handled on purpose: on this platform guards raise `SIGSEGV`, and a bus error
//! means that a mapped file was truncated.

use crate::machine::activation::Activation;
use crate::machine::hook::Hook;
use crate::machine::traps::leave_by_signal;
use anyhow::{Result, bail};
use rustix::mm::{MapFlags, MprotectFlags, ProtFlags};
use std::ptr::{null, null_mut};
use std::sync::OnceLock;

/// Bytes of a thread's alternate signal stack: register state alone can take 12 KiB.
const ALTERNATE_STACK: usize = 64 << 10;

static HOOKS: [Hook; 3] = [
    Hook::new(libc::SIGSEGV),
    Hook::new(libc::SIGILL),
    Hook::new(libc::SIGFPE),
];

/// Installs the handlers, once per process.
pub(crate) fn install() -> Result<()> {
    static DONE: OnceLock<std::result::Result<(), String>> = OnceLock::new();
    let done = DONE.get_or_init(|| {
        HOOKS.iter().try_for_each(|hook| {
            // SAFETY: the handler keeps to what is safe in one.
            unsafe { hook.install(handler, 0) }
        })
    });
    match done {
        Ok(()) => Ok(()),
        Err(error) => bail!("cannot install signal handlers: {error}"),
    }
}

unsafe extern "C" fn handler(
    signal: libc::c_int,
    info: *mut libc::siginfo_t,
    context: *mut libc::c_void,
) {
    // SAFETY: the kernel passes valid pointers.
    unsafe {
        let ucontext = &mut *context.cast::<libc::ucontext_t>();
        if !resume_at_entry(signal, &*info, ucontext) {
            chain(signal, info, context);
        }
    }
}

/// Makes the signal return into the handler of the innermost entry, if the fault is a trap.
unsafe fn resume_at_entry(
    signal: libc::c_int,
    info: &libc::siginfo_t,
    ucontext: &mut libc::ucontext_t,
) -> bool {
    // SAFETY: the chain of activations is on this thread's stack, and live.
    let Some(activation) = (unsafe { Activation::current().as_ref() }) else {
        return false;
    };
    let instance = activation.instance();
    let registers = &mut ucontext.uc_mcontext.gregs;
    let pc = registers[libc::REG_RIP as usize] as usize;
    let component = &instance.component;
    let Some(code) = component
        .text_offset(pc)
        .and_then(|offset| component.trap_at(offset))
    else {
        return false;
    };
    if signal == libc::SIGSEGV {
        // SAFETY: memory faults have an address.
        let address = unsafe { info.si_addr() } as usize;
        if !instance.in_memory_or_guard(address) {
            return false;
        }
    }
    // SAFETY: guest code was running, since the instruction that faulted is the guest's.
    unsafe { leave_by_signal(activation, registers, code) }
}

/// Hands the signal to whoever handled it before.
unsafe fn chain(signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    let hook = HOOKS.iter().find(|hook| hook.signal() == signal);
    // SAFETY: the arguments are those of the signal.
    let handled = hook.is_some_and(|hook| unsafe { hook.chain(info, context) });
    if !handled {
        // SAFETY: this is a signal handler, for this signal.
        unsafe { default_action(signal) };
    }
}

/// Restores the default action: the instruction faults again when the handler returns, and ends the
/// process.
unsafe fn default_action(signal: libc::c_int) {
    // SAFETY: plain data, and safe in a signal handler.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = libc::SIG_DFL;
        libc::sigemptyset(&mut action.sa_mask);
        libc::sigaction(signal, &action, null_mut());
    }
}

/// Makes sure that this thread has an alternate signal stack that is large enough, so that a fault
/// is handled even where its own stack has little left.
pub(crate) fn ensure_alternate_stack() -> Result<()> {
    thread_local! {
        static STACK: OnceLock<Option<AlternateStack>> = const { OnceLock::new() };
    }
    STACK.with(|stack| match stack.get() {
        Some(_) => Ok(()),
        None => {
            let _ = stack.set(AlternateStack::install()?);
            Ok(())
        }
    })
}

/// This thread's alternate stack, if it is ours.
struct AlternateStack {
    mapping: *mut libc::c_void,
    size: usize,
}

impl AlternateStack {
    /// `None` if the thread has one that is large enough.
    fn install() -> Result<Option<AlternateStack>> {
        // SAFETY: a new mapping with its lowest page as guard; `stack_t` is plain data.
        unsafe {
            let mut old: libc::stack_t = std::mem::zeroed();
            libc::sigaltstack(null(), &mut old);
            if old.ss_flags & libc::SS_DISABLE == 0 && old.ss_size >= ALTERNATE_STACK {
                return Ok(None);
            }
            let guard = crate::memory::mapping::page_size();
            let size = ALTERNATE_STACK + guard;
            let protection = ProtFlags::READ | ProtFlags::WRITE;
            let mapping =
                rustix::mm::mmap_anonymous(null_mut(), size, protection, MapFlags::PRIVATE)?;
            let stack = AlternateStack { mapping, size };
            rustix::mm::mprotect(mapping, guard, MprotectFlags::empty())?;
            let new = libc::stack_t {
                ss_sp: mapping.byte_add(guard),
                ss_flags: 0,
                ss_size: ALTERNATE_STACK,
            };
            if libc::sigaltstack(&new, null_mut()) != 0 {
                bail!(
                    "cannot set the alternate signal stack: {}",
                    std::io::Error::last_os_error()
                );
            }
            Ok(Some(stack))
        }
    }
}

impl Drop for AlternateStack {
    fn drop(&mut self) {
        // SAFETY: ours; disabled first if it is still the thread's.
        unsafe {
            let mut current: libc::stack_t = std::mem::zeroed();
            libc::sigaltstack(null(), &mut current);
            let start = self.mapping.addr();
            if (start..start + self.size).contains(&current.ss_sp.addr()) {
                current.ss_flags = libc::SS_DISABLE;
                libc::sigaltstack(&current, null_mut());
            }
            let _ = rustix::mm::munmap(self.mapping, self.size);
        }
    }
}
