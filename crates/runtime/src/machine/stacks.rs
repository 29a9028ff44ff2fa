//! The stacks that guest code of a store can be suspended on: how many it uses, which of them are
//! in the chain of an instance, and where on all of them guest code's values may be.
//!
//! A chain begins where the host entered the instance, on the host's own stack, and goes on with
//! the pooled stacks of which each was resumed by the one below it. What switches from one to
//! another is in the room above (`concurrent/chain.rs`); here is what the machine must know of it
//! when something ends: a call by a trap, an exception without references, the store.

use crate::machine::activation::Activation;
use crate::machine::instance::InstanceData;
use crate::machine::store::StoreInner;
use crate::memory::stack_pool::{self, Stack, StackRecord, StackState};
use std::cell::Cell;
use std::ops::{ControlFlow, Range};
use std::ptr::NonNull;
use trampette_artifact::ids::SlabId;
use trampette_artifact::layout::STACK_RESERVE_FOR_HOST;
use trampette_artifact::trap::TrapCode;

/// What `RootHeader::entry_sp` is while a stack runs that has no entry on it: it locks the
/// component, and is never taken for a stack pointer.
pub(crate) const NO_ENTRY: u64 = 1;

/// The pooled stacks that a store uses. When it is dropped, they go back as they are: what is on
/// them owns nothing.
#[derive(Default)]
pub(crate) struct Stacks {
    first: Cell<Option<Stack>>,
    count: Cell<u32>,
}

impl Stacks {
    /// A fresh stack for code of an instance of this store.
    ///
    /// # Errors
    /// If the store's limit is reached, or the system refuses.
    pub(crate) fn take(&self, instance: &InstanceData) -> Result<Stack, TrapCode> {
        let limits = instance.store().limits.get();
        self.take_of(instance, limits.task_stack_bytes)
    }

    /// The same with as much room for guest code as a call on a thread's stack has.
    ///
    /// # Errors
    /// As [`Stacks::take`].
    pub(crate) fn take_for_call(&self, instance: &InstanceData) -> Result<Stack, TrapCode> {
        let bytes = instance.store().stack_bytes();
        let bytes = bytes.saturating_add(STACK_RESERVE_FOR_HOST as usize);
        self.take_of(instance, bytes)
    }

    fn take_of(&self, instance: &InstanceData, bytes: usize) -> Result<Stack, TrapCode> {
        let limits = instance.store().limits.get();
        if self.count.get() >= limits.task_stacks {
            return Err(TrapCode::TaskStackLimit);
        }
        let cells = instance.chain().words.len();
        let stack = stack_pool::take(bytes, cells);
        let stack = stack.ok_or(TrapCode::TaskStackRefused)?;
        stack.entry_sp.set(NO_ENTRY);
        stack.instance.set(std::ptr::from_ref(instance).cast());
        let first = self.first.replace(Some(stack));
        stack.next.set(first);
        stack.previous.set(None);
        if let Some(first) = first {
            first.previous.set(Some(stack));
        }
        self.count.set(self.count.get() + 1);
        Ok(stack)
    }

    /// Gives a stack back: a fresh or suspended one, of which nothing will run again, or one that
    /// has ended.
    ///
    /// # Safety
    /// It is one of these, and nobody uses it any more.
    pub(crate) unsafe fn release(&self, stack: Stack) {
        debug_assert_ne!(stack.state.get(), StackState::Running);
        let (previous, next) = (stack.previous.get(), stack.next.get());
        match previous {
            Some(previous) => previous.next.set(next),
            None => self.first.set(next),
        }
        if let Some(next) = next {
            next.previous.set(previous);
        }
        self.count.set(self.count.get() - 1);
        // SAFETY: nobody uses it any more.
        unsafe { stack_pool::put(stack) };
    }

    /// How many are in use.
    pub(crate) fn count(&self) -> u32 {
        self.count.get()
    }

    /// Those in use.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Stack> {
        std::iter::successors(self.first.get(), |stack| stack.next.get())
    }
}

impl Drop for Stacks {
    fn drop(&mut self) {
        while let Some(stack) = self.first.get() {
            stack.state.set(StackState::Finished);
            // SAFETY: the store is dropped, so that no call is in it.
            unsafe { self.release(stack) };
        }
    }
}

/// Which stacks of an instance run, each resumed by the one below it.
pub(crate) struct Chain {
    /// The uppermost; `None` if it is the host's own.
    active: Cell<Option<Stack>>,
    /// The place on the host's stack where the lowest pooled stack was resumed.
    bottom: StackRecord,
    /// The stack that gave control away last.
    pub left: Cell<Option<Stack>>,
    /// The instance's *cells*: words of its roots and contexts that belong to whichever stack is
    /// active.
    words: Box<[NonNull<Cell<u64>>]>,
    /// Those of the bottom, while a pooled stack is active.
    _bottom_words: Box<[Cell<u64>]>,
}

impl Chain {
    fn new(words: Box<[NonNull<Cell<u64>>]>) -> Chain {
        let bottom_words: Box<[_]> = words.iter().map(|_| Cell::new(0)).collect();
        let bottom = StackRecord::without_stack();
        bottom.cells.set(bottom_words.as_ptr());
        Chain {
            active: Cell::new(None),
            bottom,
            left: Cell::new(None),
            words,
            _bottom_words: bottom_words,
        }
    }

    /// The stack that runs, or would run: the bottom if the instance is not running, or on the
    /// host's stack.
    #[inline]
    pub(crate) fn active(&self) -> Stack {
        self.active.get().unwrap_or_else(|| self.bottom())
    }

    /// The place on the host's stack.
    #[inline]
    pub(crate) fn bottom(&self) -> Stack {
        Stack::of(&self.bottom)
    }

    /// Makes another stack the active one, all but its stack pointer.
    ///
    /// # Safety
    /// The chain is that of `instance`. The active stack's frames are about to be left for those of
    /// `to`, which are this chain's bottom or made for this instance.
    #[inline]
    pub(crate) unsafe fn activate(&self, instance: &InstanceData, to: Stack) {
        let from = self.active();
        let header = instance.header(SlabId(0)).as_ptr();
        // SAFETY: the root is mapped; the instance's cells are words of it or of its contexts, and
        // both stacks have as many places.
        unsafe {
            let entry_sp = &raw mut (*header).entry_sp;
            from.entry_sp.set(entry_sp.read());
            entry_sp.write(to.entry_sp.get());
            for (index, word) in self.words.iter().enumerate() {
                let kept = word.as_ref().replace((*to.cells.get().add(index)).get());
                (*from.cells.get().add(index)).set(kept);
            }
        }
        from.limit.set(instance.set_stack_limit(to.limit.get()));
        self.active.set(Some(to).filter(|to| *to != self.bottom()));
        self.left.set(Some(from));
    }
}

impl InstanceData {
    /// Its chain, which has no cells if nobody has [said](InstanceData::set_cells) so before.
    #[inline]
    pub(crate) fn chain(&self) -> &Chain {
        self.chain
            .get_or_init(|| Box::new(Chain::new(Box::new([]))))
    }

    /// The same, if a stack was made before.
    pub(crate) fn chain_if_any(&self) -> Option<&Chain> {
        self.chain.get().map(|chain| &**chain)
    }

    /// Says how often tasks may go on where they would let others go first.
    #[inline]
    pub(crate) fn set_yields(&self, count: u32) {
        let header = self.header(SlabId(0)).as_ptr();
        // SAFETY: the root is mapped.
        unsafe { (&raw mut (*header).yields).write(count) }
    }

    /// Says which words belong to whichever of the instance's stacks is active. They are 0 when a
    /// stack begins.
    ///
    /// # Safety
    /// The words are in a root or context of this instance, aligned, and accessed by nobody while
    /// a stack is switched.
    ///
    /// # Panics
    /// If a stack of the instance was made before.
    pub(crate) unsafe fn set_cells(&self, words: &[NonNull<u64>]) {
        let words = words.iter().map(|word| word.cast::<Cell<u64>>()).collect();
        let set = self.chain.set(Box::new(Chain::new(words)));
        assert!(set.is_ok(), "cells are set before the first stack is made");
    }
}

/// The pooled stack of the call that this thread is in, if all of that call can be left as it is
/// and gone on with later: its guest code is awaited, and has called the host function that runs,
/// without code of the embedder's in between.
pub(crate) fn awaited() -> Option<Stack> {
    // SAFETY: activations of this thread are live.
    let activation = unsafe { Activation::current().as_ref() }?;
    let active = activation.instance().chain_if_any()?.active();
    let entry = std::ptr::from_ref(activation).addr();
    is_base_of(active, entry).then_some(active)
}

/// Whether the call that has its activation there is an awaited one that begins on this pooled
/// stack. Its activation is on no stack, and none of its guest code on that of whoever awaits it.
fn is_base_of(stack: Stack, activation: usize) -> bool {
    stack.owner[1].get() == activation as u64
}

/// Calls `visit` with every part of a stack where guest code of the store may keep something: of
/// the stacks of all calls that this thread is in, and of suspended ones.
///
/// The calls of a thread are one inside of the other, so their frames are in an order that leads
/// from `here`, an address below all that is kept on the active stack, to the outermost activation:
/// up to the base of a pooled stack, and on from the place where that was resumed.
pub(crate) fn each_part(
    here: usize,
    activation: &Activation,
    store: &StoreInner,
    mut visit: impl FnMut(Range<usize>) -> ControlFlow<()>,
) -> ControlFlow<()> {
    let mut start = here;
    let outermost = activation.outermost_address();
    // If the outermost call is an awaited one, nothing is where its stack was resumed.
    let mut is_over = false;
    for call in activation.chain() {
        let Some(chain) = call.instance().chain.get() else {
            continue;
        };
        let mut stack = chain.active();
        // An instance is here twice if the host has called one of its imports meanwhile; the chain
        // is walked once.
        while stack.range().contains(&start) {
            visit(start..stack.range().end)?;
            is_over |= is_base_of(stack, outermost);
            let Some(resumer) = stack.resumer.get() else {
                break;
            };
            start = resumer.sp.get();
            stack = resumer;
        }
    }
    if !is_over {
        visit(start..outermost)?;
    }
    let suspended = |stack: &Stack| stack.state.get() == StackState::Suspended;
    let mut all = store.stacks.iter().filter(suspended);
    all.try_for_each(|stack| visit(stack.sp.get()..stack.range().end))
}
