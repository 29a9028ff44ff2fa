//! Who can go on, and in which order.
//!
//! A task that waits is *ready* if its condition holds now: [`Tasks::is_ready`] alone decides. The
//! queues say what to test: `ready` those that were ready when something happened, `yielded` those
//! that let all others go first, and at each gate `held` and `locked`. What is ready and has
//! entered is always in one of them, but for those that wait for a set behind others.

use crate::concurrent::body::task_base;
use crate::concurrent::chain::{Resumed, begin, resume};
use crate::concurrent::queue::{Links, Queue};
use crate::concurrent::records::{CallId, Queued, TaskState, Thread, Wait};
use crate::concurrent::state::{Fault, Tasks};
use crate::memory::stack_pool::Stack;
use trampette_artifact::ids::ComponentInstanceId;
use trampette_artifact::tasks::CallShape;

/// Which end of a queue.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Place {
    Front,
    Back,
}

/// Who lets a task go on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Resumer {
    /// The loop, as an item of its own.
    Loop,
    /// A guest's code: its caller, or a synchronously typed call that waits.
    Guest,
}

/// A task that is alone lets others go first so often before the loop looks for them.
const YIELDS: u32 = 128;

/// Every so many times a synchronously typed call that waits lets those go first that yielded.
const YIELDED_FIRST: u32 = 16;

impl<'a> Tasks<'a> {
    fn links(self) -> impl Fn(CallId) -> &'a Links<CallId> {
        move |call| &self.pool()[call].links
    }

    fn queue(self, call: CallId, queued: Queued) -> Option<&'a Queue<CallId>> {
        let gate = self.gate(self.pool()[call].instance);
        let part = self.part();
        match queued {
            Queued::Nowhere => None,
            Queued::Ready => Some(&part.ready),
            Queued::Yielded => Some(&part.yielded),
            Queued::Held => Some(&gate.held),
            Queued::Locked => Some(&gate.locked),
        }
    }

    fn enqueue(self, call: CallId, queued: Queued, place: Place) {
        debug_assert_eq!(self.pool()[call].queued.get(), Queued::Nowhere);
        if let Some(queue) = self.queue(call, queued) {
            match place {
                Place::Front => queue.push_front(call, self.links()),
                Place::Back => queue.push_back(call, self.links()),
            }
            self.pool()[call].queued.set(queued);
            if let Queued::Ready | Queued::Yielded = queued {
                self.part().note_work(self.instance);
                self.instance.set_yields(0);
            }
        }
    }

    /// Takes a task out of the queue that it is in.
    pub(crate) fn dequeue(self, call: CallId) {
        let queued = self.pool()[call].queued.replace(Queued::Nowhere);
        if let Some(queue) = self.queue(call, queued) {
            queue.remove(call, self.links());
        }
    }

    /// Whether what a stack waits for has happened.
    pub(crate) fn holds(self, wait: Wait) -> bool {
        match wait {
            Wait::Nothing | Wait::Entry | Wait::CallbackYield | Wait::CallbackSet(_) => false,
            Wait::Yield => true,
            Wait::Set(set) => self.has_event(set),
            Wait::Event(waitable) => self.pool()[waitable].pending.get(),
            Wait::Resolution(call) => self.pool()[call].is_resolved(),
            Wait::Suspended => false,
            Wait::Resumed | Wait::Delivery => true,
            Wait::Inner(call) => self.holds(self.pool()[call].wait.get()),
        }
    }

    /// Whether a task would be ready but for the lock of its instance, free or not.
    fn is_ready_with_lock(self, call: CallId) -> bool {
        let record = &self.pool()[call];
        match record.wait.get() {
            Wait::Entry => self.gate(record.instance).backpressure.get() == 0,
            Wait::CallbackYield => true,
            Wait::CallbackSet(set) => {
                self.has_event(set) || record.state.get() == TaskState::PendingCancel
            }
            wait => self.holds(wait),
        }
    }

    /// Whether a task can go on now.
    pub(crate) fn is_ready(self, call: CallId) -> bool {
        self.is_ready_with_lock(call) && !self.lacks_lock(call)
    }

    /// Whether a task needs the lock to go on, and somebody else has it.
    fn lacks_lock(self, call: CallId) -> bool {
        let record = &self.pool()[call];
        let needs = match record.wait.get() {
            Wait::Entry => self.needs_lock(call),
            Wait::CallbackYield | Wait::CallbackSet(_) => true,
            _ => false,
        };
        needs && !self.lock_is_free(record.instance)
    }

    /// Which queue a task belongs in.
    fn right_queue(self, call: CallId) -> Queued {
        match self.pool()[call].wait.get() {
            _ if self.is_ready(call) => Queued::Ready,
            _ if self.is_ready_with_lock(call) => Queued::Locked,
            Wait::Entry => Queued::Held,
            _ => Queued::Nowhere,
        }
    }

    /// Something happened that a task perhaps waits for. Nothing runs by this.
    pub(crate) fn wake(self, call: CallId) {
        let record = &self.pool()[call];
        if record.queued.get() == Queued::Nowhere && record.thread != Thread::InPlace {
            self.enqueue(call, self.right_queue(call), Place::Back);
        }
    }

    /// Lets a task wait until all others that are ready have gone on.
    pub(crate) fn let_others_go_first(self, call: CallId) {
        self.enqueue(call, Queued::Yielded, Place::Back);
    }

    /// Ends a turn: those that let others go first are ready from now on. Whether there are any.
    pub(crate) fn end_turn(self) -> bool {
        let any = self.yielded.first().is_some();
        while let Some(call) = self.yielded.first() {
            self.dequeue(call);
            self.wake(call);
        }
        any
    }

    /// The next task that can go on in this turn, not in any queue any more.
    pub(crate) fn next(self) -> Option<CallId> {
        loop {
            let call = self.ready.first()?;
            self.dequeue(call);
            if self.is_ready(call) {
                return Some(call);
            }
            // Its condition is gone. It was the first of those that wait.
            self.enqueue(call, self.right_queue(call), Place::Front);
            self.serve_lock(self.pool()[call].instance);
        }
    }

    /// The next task that has entered an instance and can go on there, for a synchronously typed
    /// call that has looked so many times.
    pub(crate) fn next_in(self, instance: ComponentInstanceId, looks: u32) -> Option<CallId> {
        let part = self.part();
        let (ready, locked, yielded) = (&part.ready, &self.gate(instance).locked, &part.yielded);
        let queues = match looks % YIELDED_FIRST {
            last if last == YIELDED_FIRST - 1 => [yielded, ready, locked],
            _ => [ready, locked, yielded],
        };
        let candidate = |call: &CallId| {
            !matches!(self.pool()[*call].thread, Thread::Host { .. })
                && self.instance_of_wait(*call) == instance
                && self.has_entered(*call)
                && self.is_ready(*call)
        };
        let found = queues
            .into_iter()
            .find_map(|queue| queue.iter(self.links()).find(candidate));
        found.inspect(|call| self.dequeue(*call))
    }

    /// The first of those that are ready that is of a kind.
    pub(crate) fn first_ready(self, is_of_kind: impl Fn(&CallId) -> bool) -> Option<CallId> {
        self.ready.iter(self.links()).find(is_of_kind)
    }

    /// The component instance whose thread goes on when a stack does.
    fn instance_of_wait(self, call: CallId) -> ComponentInstanceId {
        let record = &self.pool()[call];
        match record.wait.get() {
            Wait::Inner(inner) => self.pool()[inner].instance,
            _ => record.instance,
        }
    }

    /// Ends a task's wait, for whatever reason; what it was.
    pub(crate) fn stop_waiting(self, call: CallId) -> Wait {
        self.dequeue(call);
        let wait = self.pool()[call].wait.replace(Wait::Nothing);
        match wait {
            Wait::Entry => self.stop_entering(call),
            Wait::Set(set) | Wait::CallbackSet(set) => self.stop_waiting_for(set, call, wait),
            Wait::Event(waitable) => self.pool()[waitable].waiter.set(None),
            Wait::Resolution(other) => self.pool()[other].waitable.waiter.set(None),
            Wait::Nothing
            | Wait::CallbackYield
            | Wait::Yield
            | Wait::Suspended
            | Wait::Resumed
            | Wait::Delivery
            | Wait::Inner(_) => {}
        }
        wait
    }

    /// Ends a task's wait; the stack to go on on, its own or a new one.
    ///
    /// # Errors
    /// If it cannot have one.
    pub(crate) fn prepare(self, call: CallId) -> Result<Stack, Fault> {
        let record = &self.pool()[call];
        record.went_on_from.set(self.stop_waiting(call));
        if let Some(stack) = record.stack.get() {
            return Ok(stack);
        }
        let stack = self.store().stacks.take(self.instance)?;
        stack.owner[0].set(call.number().into());
        let argument = std::ptr::from_ref(record).expose_provenance() as u64;
        // SAFETY: the stack is fresh, and the record lives until the task exits.
        unsafe { begin(stack, task_base, argument) };
        record.stack.set(Some(stack));
        Ok(stack)
    }

    /// Whether nothing that a task calls can wait: it runs in the place of whoever lets it go on.
    pub(crate) fn runs_in_place(self, call: CallId) -> bool {
        self.pool()[call].shape != CallShape::OnStack
    }

    /// Says for a task that is about to go on how often it may do so at once although it lets
    /// others go first: if the loop resumes it, and nobody else of the store can go on, some times.
    /// Whoever else resumes it was promised to go on when it waits.
    #[inline]
    pub(crate) fn allow_yields(self, resumer: Resumer) {
        let goes_on = resumer == Resumer::Loop && self.is_alone();
        self.instance.set_yields(if goes_on { YIELDS } else { 0 });
    }

    /// Lets a task go on, on its own stack or on a new one, until it waits again or ends; or in
    /// place, if it cannot wait but as a callback. Only `Copy` values are kept meanwhile.
    ///
    /// # Errors
    /// If it traps, or cannot have a stack.
    pub(crate) fn run(self, call: CallId, resumer: Resumer) -> Result<(), Fault> {
        if let Thread::Host { future, host_call } = self.pool()[call].thread {
            return self.deliver_host_result(call, future, host_call);
        }
        self.allow_yields(resumer);
        if self.runs_in_place(call) {
            return self.run_in_place(call);
        }
        let stack = self.prepare(call)?;
        let barrier = self.swap_barrier(None);
        // SAFETY: the task waits, so its stack is suspended or begins.
        let resumed = unsafe { resume(self.instance, stack, 0) };
        self.swap_barrier(barrier);
        match resumed {
            Resumed::Suspended(_) | Resumed::Finished(_) => Ok(()),
            Resumed::Trapped(_) => Err(Fault::Again),
        }
    }

    /// [`Tasks::run`] without a stack of its own. The cells of its instance may be those of a task
    /// further down on this one.
    fn run_in_place(self, call: CallId) -> Result<(), Fault> {
        let went_on_from = self.stop_waiting(call);
        self.pool()[call].went_on_from.set(went_on_from);
        self.go_on_in_place(call)
    }

    /// The same of a task that waits for nothing.
    pub(crate) fn go_on_in_place(self, call: CallId) -> Result<(), Fault> {
        let record = &self.pool()[call];
        let cells = self.cells(record.instance);
        // SAFETY: the root is mapped.
        let before = unsafe { cells.read() };
        let barrier = self.swap_barrier(None);
        self.go_on(call)?;
        self.swap_barrier(barrier);
        // SAFETY: as above.
        unsafe { cells.write(before) };
        Ok(())
    }
}
