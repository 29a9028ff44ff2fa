//! [`Concurrent`], what an instance has for its tasks, streams and futures; and [`Tasks`], by which
//! the files of this room get at it.
//!
//! It is made when the first task, set or stream of the instance is. Numbers of component
//! instances, tasks and copies are those of the artifact; numbers of records those of the pool.

use crate::concurrent::driven::{Answer, Driven, DrivenCalls};
use crate::concurrent::exits::{Exit, ExitTeller};
use crate::concurrent::queue::Queue;
use crate::concurrent::records::{CallId, EndId, Kind, Pool};
use crate::concurrent::threads::ThreadTable;
use crate::machine::entry_code::{BodyEntry, CallbackEntry, ResultEntry};
use crate::machine::instance::{AsyncPart, InstanceData};
use crate::machine::ledger::Counted;
use crate::machine::stacks::NO_ENTRY;
use crate::machine::store::{Lend, StoreInner};
use crate::memory::stack_pool::StackState;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::ops::Deref;
use std::ptr::NonNull;
#[cfg(test)]
use trampette_artifact::ids::TaskId;
use trampette_artifact::ids::{ComponentInstanceId, IdVec, SlabId};
use trampette_artifact::layout::InstanceCells;
use trampette_artifact::tasks::Concurrency;
use trampette_artifact::trap::TrapCode;

/// Why a service cannot go on. Plain data: whoever has one leaves guest code without unwinding.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fault {
    /// It traps, with what the code's text has a place for.
    Trap(TrapCode, u64),
    /// What it called has trapped: that is in the store's record.
    Again,
}

impl From<TrapCode> for Fault {
    fn from(code: TrapCode) -> Fault {
        Fault::Trap(code, 0)
    }
}

/// What decides who may enter a component instance.
#[derive(Default)]
pub(crate) struct Gate {
    /// The task that has the exclusive lock.
    pub lock: Cell<Option<CallId>>,
    /// `backpressure.inc` more often than `backpressure.dec`.
    pub backpressure: Cell<u32>,
    /// Tasks that wait to enter.
    pub entering: Cell<u32>,
    /// Those of them that wait for the end of backpressure.
    pub held: Queue<CallId>,
    /// Tasks that lack nothing but the lock: entering ones, and callbacks.
    pub locked: Queue<CallId>,
    /// Its threads that have an index.
    pub threads: ThreadTable,
}

/// The code of a task. What is missing is never called.
#[derive(Clone, Copy, Default)]
pub(crate) struct TaskCode {
    pub body: Option<BodyEntry>,
    pub callback: Option<CallbackEntry>,
    pub result: Option<ResultEntry>,
}

/// What an instance has for its tasks, streams and futures.
pub(crate) struct Concurrent {
    pub pool: Pool,
    /// Those that can go on, in the order in which they could; to be tested again.
    pub ready: Queue<CallId>,
    /// Those that let others go first.
    pub yielded: Queue<CallId>,
    pub gates: IdVec<ComponentInstanceId, Gate>,
    /// What callers have lent for the length of calls.
    pub lends: RefCell<BTreeMap<CallId, Vec<Lend>>>,
    /// Ends of the host's that have been told something: that the other ones are gone.
    pub told: RefCell<Vec<EndId>>,
    pub driven: DrivenCalls,
    /// Calls of the host's that a trap has ended, and that were not told so.
    pub ended: RefCell<Vec<Driven>>,
    /// Calls of the host's that are watched until they are over altogether.
    pub exits: RefCell<BTreeMap<CallId, ExitTeller>>,
    ages: Cell<u64>,
    /// Whether the instance is among those of its store that have work.
    pub is_working: Cell<bool>,
    /// Code that a test has given to tasks.
    #[cfg(test)]
    replaced: RefCell<BTreeMap<TaskId, TaskCode>>,
    /// Whether a trap has ended the instance, so that its records count no more.
    is_over: Cell<bool>,
    /// The cells of component instance 0; those of the others follow.
    cells: NonNull<InstanceCells>,
    store: NonNull<StoreInner>,
}

impl Concurrent {
    fn new(instance: &InstanceData) -> Result<Concurrent, TrapCode> {
        let component = &instance.component;
        let root = &component.metadata().root;
        let instances = root.cells as usize;
        Ok(Concurrent {
            pool: Pool::new()?,
            ready: Queue::default(),
            yielded: Queue::default(),
            gates: std::iter::repeat_with(Gate::default)
                .take(instances)
                .collect(),
            lends: RefCell::default(),
            driven: DrivenCalls::default(),
            told: RefCell::default(),
            ended: RefCell::default(),
            exits: RefCell::default(),
            ages: Cell::new(0),
            is_working: Cell::new(false),
            #[cfg(test)]
            replaced: RefCell::default(),
            is_over: Cell::new(false),
            cells: instance.root_field(root.cells(ComponentInstanceId(0))),
            store: NonNull::from(instance.store()),
        })
    }

    /// Notes a call of the host's that has begun.
    pub(crate) fn drive(&self, call: CallId, answer: Answer) {
        let age = self.ages.get();
        self.ages.set(age + 1);
        self.drive_again(Driven { call, age, answer });
    }

    /// The same of one that was [taken](Concurrent::take_driven) out.
    #[inline]
    pub(crate) fn drive_again(&self, driven: Driven) {
        let place = &self.pool[driven.call].driven;
        place.set(Some(self.driven.add(driven)));
    }

    /// Takes a call of the host's out of those without a result.
    #[inline]
    pub(crate) fn take_driven(&self, call: CallId) -> Option<Driven> {
        let place = self.pool[call].driven.take()?;
        self.driven.take(place)
    }

    /// Forgets lends, and counts no record any more.
    fn release(&self) {
        if self.is_over.replace(true) {
            return;
        }
        // SAFETY: instances live as long as their store.
        let ledger = unsafe { &self.store.as_ref().ledger };
        let lends = std::mem::take(&mut *self.lends.borrow_mut());
        let lends: usize = lends.values().map(Vec::len).sum();
        ledger.return_bookkeeping((lends * size_of::<Lend>()) as u64);
        for (kind, counted) in Kind::ALL.into_iter().zip(COUNTED) {
            ledger.uncount(counted, self.pool.live(kind));
        }
    }
}

/// What records of each [`Kind`] count as.
pub(crate) const COUNTED: [Counted; Kind::ALL.len()] =
    [Counted::Tasks, Counted::Ends, Counted::Sets];

impl Concurrent {
    /// Puts the instance among those of its store that have work.
    pub(crate) fn note_work(&self, instance: &InstanceData) {
        if !self.is_working.replace(true) {
            let mut working = instance.store().working.borrow_mut();
            working.push_back(NonNull::from(instance));
        }
    }
}

impl AsyncPart for Concurrent {
    fn end(&self, instance: &InstanceData) {
        let header = instance.header(SlabId(0)).as_ptr();
        // SAFETY: the root is mapped.
        let entry_sp = unsafe { &raw mut (*header).entry_sp };
        // SAFETY: as above. An item of the loop has no entry that has done so.
        unsafe {
            if entry_sp.read() == 0 {
                entry_sp.write(NO_ENTRY);
            }
        }
        self.release();
        for teller in self.exits.take().into_values() {
            teller.tell(Exit::Trapped);
        }
        let ended = self.driven.take_futures();
        if !ended.is_empty() {
            self.ended.borrow_mut().extend(ended);
            self.note_work(instance);
        }
        let stacks = &instance.store().stacks;
        let of_instance = std::ptr::from_ref(instance).cast::<()>();
        let idle = stacks
            .iter()
            .filter(|stack| stack.instance.get() == of_instance)
            .filter(|stack| stack.state.get() != StackState::Running);
        let idle: Vec<_> = idle.collect();
        for stack in idle {
            // SAFETY: nothing of the instance runs again, and nothing on the stack is owned.
            unsafe { stacks.release(stack) };
        }
    }
}

impl Drop for Concurrent {
    fn drop(&mut self) {
        self.release();
    }
}

/// The asynchronous part of an instance. Both live as long as the store.
#[derive(Clone, Copy)]
pub(crate) struct Tasks<'a> {
    pub instance: &'a InstanceData,
    part: &'a Concurrent,
}

impl Deref for Tasks<'_> {
    type Target = Concurrent;

    fn deref(&self) -> &Concurrent {
        self.part
    }
}

impl<'a> Tasks<'a> {
    /// That of an instance, made if there is none.
    ///
    /// # Errors
    /// If the system has no memory for it.
    #[inline]
    pub(crate) fn of(instance: &'a InstanceData) -> Result<Tasks<'a>, TrapCode> {
        let part = match instance.async_part.get() {
            Some(part) => &**part,
            None => Tasks::make(instance)?,
        };
        // SAFETY: nobody else makes such a part, which lives as long as the instance.
        let part = unsafe { NonNull::from(part).cast().as_ref() };
        Ok(Tasks { instance, part })
    }

    #[cold]
    #[inline(never)]
    fn make(instance: &'a InstanceData) -> Result<&'a dyn AsyncPart, TrapCode> {
        let part = Concurrent::new(instance)?;
        // SAFETY: words of the root, which only compiled code and this room access.
        unsafe { instance.set_cells(&words(instance)) };
        Ok(&**instance.async_part.get_or_init(|| Box::new(part)))
    }

    #[inline]
    pub(crate) fn store(self) -> &'a StoreInner {
        self.instance.store()
    }

    /// What the artifact says of tasks.
    pub(crate) fn plan(self) -> &'a Concurrency {
        &self.instance.component.metadata().concurrency
    }

    /// The same, for as long as the store lives.
    pub(crate) fn part(self) -> &'a Concurrent {
        self.part
    }

    pub(crate) fn pool(self) -> &'a Pool {
        &self.part.pool
    }

    pub(crate) fn gate(self, instance: ComponentInstanceId) -> &'a Gate {
        &self.part.gates[instance]
    }

    /// The code of a call's task.
    pub(crate) fn code(self, call: CallId) -> TaskCode {
        let Some(task) = self.pool()[call].entry else {
            return TaskCode::default();
        };
        #[cfg(test)]
        if let Some(code) = self.part.replaced.borrow().get(&task) {
            return *code;
        }
        let code = self.instance.component.task(task);
        TaskCode {
            body: code.body.and_then(BodyEntry::at),
            callback: code.callback.and_then(CallbackEntry::at),
            result: code.result.and_then(ResultEntry::at),
        }
    }

    /// Gives a task other code.
    #[cfg(test)]
    pub(crate) fn set_code(self, task: TaskId, code: TaskCode) {
        self.part.replaced.borrow_mut().insert(task, code);
    }

    /// The cells of a component instance.
    pub(crate) fn cells(self, instance: ComponentInstanceId) -> NonNull<InstanceCells> {
        // SAFETY: the root has cells for each component instance, one behind the other.
        unsafe { self.cells.add(instance.index()) }
    }

    /// The component instance of the innermost synchronously typed call on the active stack.
    pub(crate) fn barrier(self) -> Option<ComponentInstanceId> {
        let header = self.instance.header(SlabId(0)).as_ptr();
        // SAFETY: the root is mapped.
        barrier_of(unsafe { (&raw const (*header).barrier).read() })
    }

    /// Sets it; gives what it was.
    pub(crate) fn swap_barrier(
        self,
        instance: Option<ComponentInstanceId>,
    ) -> Option<ComponentInstanceId> {
        let header = self.instance.header(SlabId(0)).as_ptr();
        let number = instance.map_or(0, |instance| instance.0 + 1);
        // SAFETY: the root is mapped.
        barrier_of(unsafe { (&raw mut (*header).barrier).replace(number) })
    }

    /// Whether nothing of the store but the task that runs can go on, or be woken by what that does
    /// or by the host: no task, no instance, no future and no end of the host's.
    #[inline]
    pub(crate) fn is_alone(self) -> bool {
        let store = self.store();
        let working = store.working.borrow();
        // The instance itself is there once at most.
        let others = match working.front() {
            Some(first) => working.len() > 1 || *first != NonNull::from(self.instance),
            None => false,
        };
        !others
            && self.ready.first().is_none()
            && self.yielded.first().is_none()
            && store.reactor.is_empty()
            && store.host_part.get().is_none()
    }

    /// Whether the task that runs may go on although it would let others go first: nobody else can.
    #[inline]
    pub(crate) fn takes_yield(self) -> bool {
        let header = self.instance.header(SlabId(0)).as_ptr();
        // SAFETY: the root is mapped.
        let left = unsafe { (&raw const (*header).yields).read() };
        self.instance.set_yields(left.saturating_sub(1));
        left > 0
    }

    /// The task whose stack is active; `None` on the host's.
    pub(crate) fn running(self) -> Option<CallId> {
        CallId::from_number(self.instance.chain().active().owner[0].get() as u32)
    }

    /// Whether a trap has ended the instance.
    pub(crate) fn is_over(self) -> bool {
        self.is_over.get()
    }

    /// The next end of the host's that has been told something.
    pub(crate) fn pop_told(self) -> Option<EndId> {
        self.told.borrow_mut().pop()
    }

    /// Counts a new record of a kind.
    ///
    /// # Errors
    /// The limit that is reached.
    pub(crate) fn count(self, kind: Kind) -> Result<(), TrapCode> {
        let store = self.store();
        // SAFETY: nothing sets them meanwhile.
        let limits = unsafe { &*store.limits.as_ptr() };
        store.ledger.count(COUNTED[kind as usize], limits)
    }

    /// Counts a record of a kind less.
    pub(crate) fn uncount(self, kind: Kind) {
        if !self.is_over.get() {
            self.store().ledger.uncount(COUNTED[kind as usize], 1);
        }
    }

    /// Gives back what the caller of a call has lent.
    #[inline]
    pub(crate) fn end_lends(self, call: CallId) {
        if !self.lends.borrow().is_empty() {
            self.end_lends_of(call);
        }
    }

    #[cold]
    #[inline(never)]
    fn end_lends_of(self, call: CallId) {
        let lends = self.lends.borrow_mut().remove(&call);
        for lend in lends.into_iter().flatten() {
            let bytes = size_of::<Lend>() as u64;
            self.store().ledger.return_bookkeeping(bytes);
            self.instance.handles.end_lend(lend.table, lend.handle);
        }
    }
}

/// What the word of a barrier stands for.
fn barrier_of(word: u32) -> Option<ComponentInstanceId> {
    word.checked_sub(1).map(ComponentInstanceId)
}

/// The words of an instance that belong to the active stack: the cells of its component instances.
/// The barrier is no word of its own, and 0 on every stack that is suspended.
fn words(instance: &InstanceData) -> Box<[NonNull<u64>]> {
    const WORDS: usize = size_of::<InstanceCells>() / size_of::<u64>();
    let root = &instance.component.metadata().root;
    let cells = (0..root.cells).map(|id| root.cells(ComponentInstanceId(id)));
    let cells = cells.map(|offset| instance.root_field::<u64>(offset));
    // SAFETY: inside the root.
    let words = cells.flat_map(|first| (0..WORDS).map(move |index| unsafe { first.add(index) }));
    words.collect()
}
