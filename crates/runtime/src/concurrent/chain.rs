//! Resuming and suspending pooled stacks.
//!
//! Only one stack of an instance runs, the *active* one. [`resume`] leaves it for another, of which
//! it becomes the resumer; [`suspend`] goes back to the resumer; [`transfer`] gives the place in
//! the chain to another stack. A stack whose base function returns goes back to its resumer for
//! good, and that gives it back: no stack frees itself.
//!
//! What belongs to the active stack is swapped with it: the entry that a trap resumes at, the limit
//! for guest code, the instance's cells. So faults, traps and interrupts in guest code need not
//! know on which stack it runs. In the few instructions of a switch the program counter is the
//! runtime's: an interrupt sets the flag, for which guest code's callers look afterwards
//! ([`resume_from_guest`], [`suspend_from_guest`]).
//!
//! A trap ends at the entry at the base of its stack, whose status makes the base function return
//! [`Ending::Trapped`]. Its resumer's guest code then traps again, with what was recorded, and so
//! on down the chain: no frame of Rust code is jumped over but that of the service which guest code
//! called, and which has nothing to drop.
//!
//! # Thread locals
//!
//! A store may move to another thread while stacks in it are suspended. `resume` returns on the
//! thread where it was called, but `suspend` and `transfer` perhaps do not. The compiler takes the
//! address of a thread local for the same throughout a function. So whoever calls those two, and
//! functions in which that may be inlined, uses no thread local before *and* after:
//! [`look_again`] is how to look for interrupts.

use crate::concurrent::switch::{Base, Ending, prepare, switch};
use crate::machine::instance::InstanceData;
use crate::machine::steps::look;
use crate::machine::traps::GuestFrame;
use crate::memory::stack_pool::{Stack, StackState};

/// Why [`resume`] has returned.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Resumed {
    /// A stack was suspended, and gave this word. It is not always the one that was resumed: that
    /// may have given its place to another.
    Suspended(u64),
    /// The base function of a stack has returned. The stack was given back; its first owner word
    /// was this.
    Finished(u64),
    /// The same, because of a trap, which is in the store's record: whoever sees this must
    /// [trap again](raise_again), or be the bottom of the chain and take it from there. Until then
    /// no guest code of the store may run.
    Trapped(u64),
}

/// Makes a fresh stack ready to be resumed, or transferred to: it then runs `base(argument)`. The
/// word that the first resumption passes is lost.
///
/// # Safety
/// The stack is fresh. `base` can be called with that argument when the stack is resumed.
pub(crate) unsafe fn begin(stack: Stack, base: Base, argument: u64) {
    debug_assert_eq!(stack.state.get(), StackState::Fresh);
    // SAFETY: promised; stacks of instances have cells.
    unsafe { prepare(stack, base, argument, end) };
    stack.state.set(StackState::Suspended);
}

/// Makes a suspended stack the active one, until a stack gives control back. The `suspend` or
/// `transfer` that it was left by returns the word.
///
/// # Safety
/// The stack is suspended, or [began](begin), and of this instance, which is the innermost that
/// this thread has entered. What runs on it may do so now.
#[inline(never)]
pub(crate) unsafe fn resume(instance: &InstanceData, stack: Stack, word: u64) -> Resumed {
    let chain = instance.chain();
    let here = chain.active();
    debug_assert_eq!(stack.state.get(), StackState::Suspended);
    stack.resumer.set(Some(here));
    stack.state.set(StackState::Running);
    // SAFETY: promised, and `here` is what runs.
    let word = unsafe {
        chain.activate(instance, stack);
        switch(here, stack, word)
    };
    // Whoever came here has made this the active stack again.
    let Some(left) = chain.left.get() else {
        return Resumed::Suspended(word);
    };
    let ended: fn(u64) -> Resumed = match left.state.get() {
        StackState::Finished => Resumed::Finished,
        StackState::Trapped => Resumed::Trapped,
        _ => return Resumed::Suspended(word),
    };
    let owner = left.owner[0].get();
    // SAFETY: it has ended, and nothing refers to it any more.
    unsafe { instance.store().stacks.release(left) };
    ended(owner)
}

/// Suspends the active stack: its resumer's [`resume`] returns the word. Returns the word of who
/// resumes this one.
///
/// # Safety
/// A pooled stack of this instance is active, nothing on it is borrowed, and what it needs when it
/// goes on lives on. The caller heeds the rule on thread locals.
#[inline(never)]
pub(crate) unsafe fn suspend(instance: &InstanceData, word: u64) -> u64 {
    let chain = instance.chain();
    let here = chain.active();
    let to = here.resumer.take().expect("a pooled stack is active");
    here.state.set(StackState::Suspended);
    // SAFETY: promised; the resumer waits in `resume`.
    unsafe {
        chain.activate(instance, to);
        switch(here, to, word)
    }
}

/// Suspends the active stack and makes another one active in its place, with its resumer. The
/// `suspend` or `transfer` that the other was left by returns the word; this returns the word of
/// who resumes this one.
///
/// # Safety
/// As [`suspend`], and of the other stack as [`resume`].
#[inline(never)]
pub(crate) unsafe fn transfer(instance: &InstanceData, stack: Stack, word: u64) -> u64 {
    let chain = instance.chain();
    let here = chain.active();
    debug_assert_eq!(stack.state.get(), StackState::Suspended);
    let resumer = here.resumer.take().expect("a pooled stack is active");
    here.state.set(StackState::Suspended);
    stack.resumer.set(Some(resumer));
    stack.state.set(StackState::Running);
    // SAFETY: promised.
    unsafe {
        chain.activate(instance, stack);
        switch(here, stack, word)
    }
}

/// Ends the active stack, whose base function has returned.
unsafe extern "C" fn end(word: u64, ending: Ending) -> ! {
    // SAFETY: the word is the active stack's, which was taken for an instance that lives on.
    unsafe {
        if let Some(here) = Stack::from_word(word)
            && let Some(instance) = here.instance.get().cast::<InstanceData>().as_ref()
            && let Some(to) = here.resumer.take()
        {
            here.state.set(match ending {
                Ending::Finished => StackState::Finished,
                Ending::Trapped => StackState::Trapped,
            });
            instance.chain().activate(instance, to);
            switch(here, to, 0);
        }
    }
    // Nobody resumes a stack that has ended.
    std::process::abort()
}

/// Leaves guest code if its call is to be stopped; after a switch, which may have come from another
/// thread.
///
/// # Safety
/// As [`look`].
#[inline(never)]
pub(crate) unsafe fn look_again(frame: *const GuestFrame) {
    // SAFETY: promised.
    unsafe { look(frame) }
}
