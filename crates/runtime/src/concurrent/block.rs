//! Waiting in guest code: on a stack of its own, which is suspended; or in place, behind a barrier.
//!
//! A task that can wait is alone on its stack, but for synchronously typed calls that it has made.
//! The caller of such a call was not promised to wait. So while the call waits, tasks of its own
//! instance go on above the caller, as the specification has it; if there is none, it traps. The
//! call has a stack of its own where it may have to go on although others wait above it
//! (`src/layout/effects.rs`); it stays in place where there is no such thing, and so do start
//! functions and destructors.

use crate::concurrent::chain::{suspend, transfer};
use crate::concurrent::records::{CallId, Thread, Wait};
use crate::concurrent::scheduler::Resumer;
use crate::concurrent::state::{Fault, Tasks};
use crate::machine::interrupt::is_interrupted;
use trampette_artifact::ids::ComponentInstanceId;
use trampette_artifact::trap::TrapCode;

impl Tasks<'_> {
    /// Waits until something holds, or, to yield, until others had their turn. Nothing may be owned
    /// or borrowed by whoever calls this, up to guest code.
    ///
    /// # Errors
    /// If it is a synchronously typed call that waits for ever, or one of those that go on
    /// meanwhile traps.
    #[inline(never)]
    pub(crate) fn block(self, wait: Wait) -> Result<(), Fault> {
        if wait != Wait::Yield && self.holds(wait) {
            return Ok(());
        }
        match (self.barrier(), self.running()) {
            (Some(instance), _) => self.wait_in_place(wait, instance, None),
            (None, Some(call)) => {
                self.start_waiting(call, wait);
                // SAFETY: a pooled stack is active, the task's; nothing on it is borrowed. No
                // thread local is used here or in what calls this.
                unsafe { suspend(self.instance, 0) };
                Ok(())
            }
            // There is nobody to go back to.
            (None, None) => Err(TrapCode::CannotBlock.into()),
        }
    }

    /// Waits, and lets a certain other thread of the instance go on instead, which waits and could
    /// go on now.
    ///
    /// # Errors
    /// As [`Tasks::block`].
    #[inline(never)]
    pub(crate) fn switch_to(self, wait: Wait, other: CallId) -> Result<(), Fault> {
        let is_in_place = self.pool()[other].thread == Thread::InPlace;
        match (self.barrier(), self.running()) {
            // It goes on when control comes back to its stack.
            (None, _) if is_in_place => self.block(wait),
            (None, Some(call)) => {
                let stack = self.prepare(other)?;
                self.start_waiting(call, wait);
                // SAFETY: as in `block`; the other one waited, so its stack is suspended or begins.
                unsafe { transfer(self.instance, stack, 0) };
                Ok(())
            }
            (Some(instance), Some(call)) if is_in_place && self.is_below(other) => {
                // All that is on this stack waits.
                let me = self.current_thread(instance)?;
                self.pool()[me].wait.set(wait);
                self.pool()[call].wait.set(Wait::Inner(me));
                if wait == Wait::Yield {
                    self.let_others_go_first(call);
                }
                let barrier = self.swap_barrier(None);
                // SAFETY: as in `block`.
                unsafe { suspend(self.instance, 0) };
                self.swap_barrier(barrier);
                self.pool()[me].wait.set(Wait::Nothing);
                Ok(())
            }
            (Some(instance), _) => {
                let next = (!is_in_place).then_some(other);
                self.wait_in_place(wait, instance, next)
            }
            (None, None) => Err(TrapCode::CannotBlock.into()),
        }
    }

    /// Whether a thread that is in place is on the stack that gets control when this one is
    /// suspended.
    fn is_below(self, other: CallId) -> bool {
        let resumer = self.instance.chain().active().resumer.get();
        let task = resumer.map(|stack| stack.owner[0].get() as u32);
        task == Some(self.pool()[other].base.get())
    }

    /// Notes what a task waits for, so that what happens wakes it.
    pub(crate) fn start_waiting(self, call: CallId, wait: Wait) {
        self.pool()[call].wait.set(wait);
        match wait {
            Wait::Yield | Wait::CallbackYield => self.let_others_go_first(call),
            Wait::Set(set) | Wait::CallbackSet(set) => {
                self.start_waiting_for(set, call, wait);
                self.wake(call);
            }
            Wait::Event(waitable) => self.pool()[waitable].waiter.set(Some(call)),
            Wait::Resolution(other) => self.pool()[other].waitable.waiter.set(Some(call)),
            Wait::Resumed => self.wake(call),
            Wait::Delivery => self.wake(call),
            Wait::Nothing | Wait::Entry | Wait::Suspended | Wait::Inner(_) => {}
        }
    }

    /// Waits as a synchronously typed call of an instance, of which `next` goes on first.
    fn wait_in_place(
        self,
        wait: Wait,
        instance: ComponentInstanceId,
        next: Option<CallId>,
    ) -> Result<(), Fault> {
        // Whether others can name this thread, and resume it.
        let me = self.current_thread(instance).ok();
        if let Some(me) = me {
            self.pool()[me].wait.set(wait);
        }
        let waiting = match wait {
            Wait::Set(set) => Some(&self.pool()[set].waiting),
            _ => None,
        };
        if let Some(waiting) = waiting {
            waiting.set(waiting.get() + 1);
        }
        let mut looks = 0;
        if let Some(next) = next {
            self.run(next, Resumer::Guest)?;
            looks = 1;
        }
        loop {
            let goes_on = match me.map_or(wait, |me| self.pool()[me].wait.get()) {
                Wait::Yield => looks > 0,
                wait => self.holds(wait),
            };
            if goes_on {
                break;
            }
            match (self.let_one_go_on(instance, looks)?, wait) {
                (true, _) => {}
                (false, Wait::Yield) => break,
                (false, _) => return Err(TrapCode::CannotBlock.into()),
            }
            looks = looks.wrapping_add(1);
        }
        if let Some(waiting) = waiting {
            waiting.set(waiting.get() - 1);
        }
        if let Some(me) = me {
            self.pool()[me].wait.set(Wait::Nothing);
        }
        Ok(())
    }

    /// Lets threads of the callee's instance go on, in the place of the caller, until a call of a
    /// synchronous type has its result: the call itself too, which has begun on its own stack.
    ///
    /// # Errors
    /// If none can go on before, or one traps.
    pub(crate) fn let_others_complete(self, call: CallId) -> Result<(), Fault> {
        let instance = self.pool()[call].instance;
        let mut looks: u32 = 0;
        while !self.pool()[call].is_resolved() {
            if !self.let_one_go_on(instance, looks)? {
                return Err(TrapCode::CannotBlock.into());
            }
            looks = looks.wrapping_add(1);
        }
        Ok(())
    }

    /// Lets one thread of an instance go on, behind a barrier that has looked so many times.
    /// Whether there was one.
    fn let_one_go_on(self, instance: ComponentInstanceId, looks: u32) -> Result<bool, Fault> {
        if is_interrupted(self.instance) {
            return Err(TrapCode::Interrupt.into());
        }
        let Some(call) = self.next_in(instance, looks) else {
            return Ok(false);
        };
        self.run(call, Resumer::Guest)?;
        // What it does may be to wait for the host, which must get on, too.
        self.serve_host()?;
        Ok(true)
    }

    /// `thread.yield`.
    pub(crate) fn thread_yield(self, _instance: u32) -> Result<(), Fault> {
        self.block(Wait::Yield)
    }
}
