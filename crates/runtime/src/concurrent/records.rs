//! The records of an instance's tasks, waitable sets and ends of streams and futures, and the pool
//! that they are in.
//!
//! A record stays at its address, where compiled code and suspended stacks find it, and is named by
//! its number: the index of its first granule in the pool. Numbers stand in handles and in other
//! records. They are never the guest's, so that looking a record up needs no check but that of the
//! handle's tag. All fields are cells: no borrow of a record excludes another.

use crate::concurrent::driven::DrivenId;
use crate::concurrent::queue::{Links, Queue};
use crate::machine::instance::InstanceData;
use crate::machine::reactor::FutureId;
use crate::memory::stack_pool::Stack;
use rustix::mm::{Advice, MapFlags, ProtFlags};
use std::cell::{Cell, UnsafeCell};
use std::mem::offset_of;
use std::num::NonZeroU32;
use std::ops::Index;
use std::ptr::{NonNull, null_mut};
use std::sync::{Mutex, PoisonError};
use trampette_artifact::canonical::{MAX_FLAT_ASYNC_PARAMS, PointerWidth};
use trampette_artifact::ids::{ComponentInstanceId, CopyId, HostCallId, TaskId, TypeId};
use trampette_artifact::tasks::{CallShape, EndKind, LiftKind, SubtaskState, TaskRecord};
use trampette_artifact::trap::TrapCode;

/// Bytes of a granule, in which records are measured and numbered.
const GRANULE: usize = 64;
/// Granules of a pool.
const GRANULES: u32 = 4 << 20;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
        pub(crate) struct $name(NonZeroU32);

        impl $name {
            /// The record of a number that an id gave; `None` for 0.
            pub(crate) fn from_number(number: u32) -> Option<$name> {
                NonZeroU32::new(number).map($name)
            }

            /// The number.
            pub(crate) fn number(self) -> u32 {
                self.0.get()
            }
        }
    )*};
}

ids! {
    /// Names a [`Call`].
    CallId;
    /// Names a [`Set`].
    SetId;
    /// Names an [`End`].
    EndId;
}

/// Names a [`Waitable`], by the record that it is in.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct WaitableId(NonZeroU32);

impl WaitableId {
    /// The record's number.
    pub(crate) fn number(self) -> u32 {
        self.0.get()
    }
}

impl From<CallId> for WaitableId {
    fn from(id: CallId) -> WaitableId {
        WaitableId(id.0)
    }
}

impl From<EndId> for WaitableId {
    fn from(id: EndId) -> WaitableId {
        WaitableId(id.0)
    }
}

/// What kind of waitable a record is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum WaitableKind {
    Subtask,
    End,
}

/// What a guest can wait for: a subtask, or the end of a stream or future.
#[repr(C)]
pub(crate) struct Waitable {
    pub kind: WaitableKind,
    /// Whether it has an event that nobody has taken. What the event says is found when it is
    /// taken.
    pub pending: Cell<bool>,
    /// Whether an operation waits for it alone, so that it may not join a set.
    pub sync_waiter: Cell<bool>,
    /// Its handle in its owner's table; 0 if it has none.
    pub handle: Cell<u32>,
    /// The set that it is in.
    pub set: Cell<Option<SetId>>,
    /// In the set's queue of those with an event.
    pub links: Links<WaitableId>,
    /// The task whose stack waits for it alone.
    pub waiter: Cell<Option<CallId>>,
}

impl Waitable {
    fn new(kind: WaitableKind) -> Waitable {
        Waitable {
            kind,
            pending: Cell::new(false),
            sync_waiter: Cell::new(false),
            handle: Cell::new(0),
            set: Cell::new(None),
            links: Links::default(),
            waiter: Cell::new(None),
        }
    }
}

/// The state of a task (CanonicalABI.md, *Task State*).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum TaskState {
    Initial,
    Started,
    PendingCancel,
    CancelDelivered,
    Resolved,
}

/// What a task's implicit thread waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Wait {
    /// Nothing: it runs, or is over.
    Nothing,
    /// To enter its instance.
    Entry,
    /// In its callback, for its turn.
    CallbackYield,
    /// In its callback, for an event in a set.
    CallbackSet(SetId),
    /// On its stack, for its turn.
    Yield,
    /// On its stack, for an event in a set.
    Set(SetId),
    /// On its stack, for an event of one waitable.
    Event(WaitableId),
    /// On its stack, until a call is resolved.
    Resolution(CallId),
    /// For somebody to resume it.
    Suspended,
    /// For nothing: somebody has resumed it.
    Resumed,
    /// For its turn to give its result to the guest that called it; of a host function.
    Delivery,
    /// With its whole stack, for what a synchronously typed call on it waits for.
    Inner(CallId),
}

/// What runs on behalf of a [`Call`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Thread {
    /// The implicit thread of a task.
    Implicit,
    /// A synchronously typed call, on its caller's stack.
    InPlace,
    /// A host function's future.
    Host {
        future: FutureId,
        host_call: HostCallId,
    },
    /// An explicit thread of another call's task, which is to be called with an argument.
    Explicit {
        task: CallId,
        function: u32,
        argument: u64,
        width: PointerWidth,
    },
}

/// Which of the scheduler's queues a task is in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Queued {
    Nowhere,
    Ready,
    Yielded,
    Held,
    Locked,
}

/// Who needs a call's record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Holder {
    /// The task, until it exits.
    Task = 1,
    /// Its caller, while it waits or has the subtask's handle.
    Caller = 2,
}

/// A call: the task, its implicit thread, and the subtask that its caller sees.
///
/// Synchronously typed calls have one if they lend or are given borrowed handles, or if threads of
/// their instance name each other. So do explicit threads, as far as it is that of a thread.
#[repr(C)]
pub(crate) struct Call {
    /// What compiled code reads and writes.
    head: UnsafeCell<TaskRecord>,
    pub waitable: Waitable,
    /// The instance that it is a part of.
    pub data: *const InstanceData,
    /// `None` for a synchronously typed call.
    pub entry: Option<TaskId>,
    /// How the task was lifted; `None` for a synchronously typed call.
    pub lift: Option<LiftKind>,
    /// How it is called.
    pub shape: CallShape,
    /// The component instance that it runs in.
    pub instance: ComponentInstanceId,
    /// What it is.
    pub thread: Thread,
    /// The number of the call whose stack it is on, if it is in place; 0 on the host's stack.
    pub base: Cell<u32>,
    /// Threads of the task that are not over.
    pub threads: Cell<u32>,
    /// The index of the thread in its instance's table; 0 if nobody has asked for it.
    pub index: Cell<u32>,
    /// Tells it from others that have had the same number.
    pub generation: u32,
    pub state: Cell<TaskState>,
    pub subtask: Cell<SubtaskState>,
    pub queued: Cell<Queued>,
    holders: Cell<u8>,
    /// Whether its caller knows how it ended.
    pub delivered: Cell<bool>,
    /// Whether its caller has asked for its cancellation.
    pub cancel_requested: Cell<bool>,
    /// In one of the scheduler's queues.
    pub links: Links<CallId>,
    /// In the queue of those that wait for a set.
    pub set_links: Links<CallId>,
    pub wait: Cell<Wait>,
    /// What it waited for when it went on last.
    pub went_on_from: Cell<Wait>,
    /// Its stack, while it has one.
    pub stack: Cell<Option<Stack>>,
    /// Its context slots, while it has no stack.
    pub slots: Cell<[u64; 2]>,
    /// Where it is among the host's calls that have no result, if it is one.
    pub driven: Cell<Option<DrivenId>>,
    /// Flat parameters of a caller that goes on.
    pub flat: Cell<[u64; MAX_FLAT_ASYNC_PARAMS]>,
}

impl Call {
    /// What compiled code reads and writes.
    pub(crate) fn head(&self) -> *mut TaskRecord {
        self.head.get()
    }

    /// The borrowed handles that it holds.
    pub(crate) fn borrows(&self) -> u32 {
        // SAFETY: compiled code, which writes it, waits in the call that got here.
        unsafe { (*self.head.get()).borrows }
    }

    /// Whether its caller's subtask has ended.
    pub(crate) fn is_resolved(&self) -> bool {
        self.subtask.get() >= SubtaskState::Returned
    }
}

/// A waitable set.
#[derive(Default)]
pub(crate) struct Set {
    /// Those in it that have an event, in the order of getting it.
    pub pending: Queue<WaitableId>,
    /// Tasks that wait for it on their stacks.
    pub waiters: Queue<CallId>,
    /// Callbacks that wait for it, which need the lock of their instance too.
    pub callbacks: Queue<CallId>,
    /// Waitables in it.
    pub members: Cell<u32>,
    /// Who waits for it, synchronously typed calls too.
    pub waiting: Cell<u32>,
}

impl Set {
    /// The queue of those that wait for it like this.
    pub(crate) fn queue_of(&self, wait: Wait) -> &Queue<CallId> {
        match wait {
            Wait::CallbackSet(_) => &self.callbacks,
            _ => &self.waiters,
        }
    }
}

/// The state of an end (CanonicalABI.md, *Stream and Future State*).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum EndState {
    Idle,
    Copying,
    Cancelling,
    Done,
}

/// Whether an end is a stream's or a future's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum EndType {
    Stream,
    Future,
}

/// A guest's buffer that is read or written, or what is left of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Buffer {
    /// The built-in that it was given to, which knows the memory.
    pub copy: CopyId,
    /// Where the next element is.
    pub address: u64,
    /// Elements that fit or are there altogether.
    pub length: u32,
    /// Elements that were copied.
    pub progress: u32,
}

impl Buffer {
    /// Elements that are left.
    pub(crate) fn remain(&self) -> u32 {
        self.length - self.progress
    }
}

/// The end of a stream or future.
#[repr(C)]
pub(crate) struct End {
    pub side: EndKind,
    pub of: EndType,
    pub state: Cell<EndState>,
    /// Its type in the instance that has it.
    pub ty: Cell<TypeId>,
    /// The other end; `None` if that was dropped.
    pub other: Cell<Option<EndId>>,
    /// The component instance that has it; `None` on its way between two.
    pub owner: Cell<Option<ComponentInstanceId>>,
    /// What its event will say of progress.
    pub told: Cell<u32>,
    _place: [u8; 8],
    pub waitable: Waitable,
    pub buffer: Cell<Option<Buffer>>,
    /// What reads or writes here for the host; `None` for the end of a guest, or one on its way.
    pub host: Cell<Option<FutureId>>,
}

impl End {
    pub(crate) fn new(side: EndKind, of: EndType, ty: TypeId, owner: ComponentInstanceId) -> End {
        End {
            side,
            of,
            state: Cell::new(EndState::Idle),
            ty: Cell::new(ty),
            other: Cell::new(None),
            owner: Cell::new(Some(owner)),
            told: Cell::new(0),
            _place: [0; 8],
            waitable: Waitable::new(WaitableKind::End),
            buffer: Cell::new(None),
            host: Cell::new(None),
        }
    }

    /// Whether a read or write is active, or its cancellation.
    pub(crate) fn is_busy(&self) -> bool {
        matches!(self.state.get(), EndState::Copying | EndState::Cancelling)
    }
}

/// Where a record has its [`Waitable`], if it has one.
const WAITABLE_OFFSET: usize = size_of::<TaskRecord>();
const _: () = {
    assert!(offset_of!(Call, waitable) == WAITABLE_OFFSET);
    assert!(offset_of!(End, waitable) == WAITABLE_OFFSET);
    assert!(size_of::<Call>() <= 4 * GRANULE);
    assert!(size_of::<End>() <= 2 * GRANULE);
    assert!(size_of::<Set>() <= GRANULE);
};

/// The kinds of records.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Call,
    End,
    Set,
}

impl Kind {
    pub(crate) const ALL: [Kind; 3] = [Kind::Call, Kind::End, Kind::Set];

    fn granules(self) -> u32 {
        match self {
            Kind::Call => 4,
            Kind::End => 2,
            Kind::Set => 1,
        }
    }
}

/// What a new call is.
pub(crate) struct NewCall {
    pub data: *const InstanceData,
    pub entry: Option<TaskId>,
    pub lift: Option<LiftKind>,
    pub shape: CallShape,
    pub instance: ComponentInstanceId,
    pub thread: Thread,
    pub params: u64,
    pub results: u64,
}

/// The records of one instance. Memory that was taken once is used again, but given back only with
/// the pool.
pub(crate) struct Pool {
    base: NonNull<u8>,
    /// Granules that have been used; the first one never is.
    carved: Cell<u32>,
    /// For each kind the number of the record that was freed last, or 0. Each free one begins with
    /// the number of the next.
    free: [Cell<u32>; Kind::ALL.len()],
    /// Records in use, of each kind.
    live: [Cell<u32>; Kind::ALL.len()],
    generation: Cell<u32>,
}

impl Pool {
    /// An empty pool: address space, but no memory.
    ///
    /// # Errors
    /// If the system refuses it.
    pub(crate) fn new() -> Result<Pool, TrapCode> {
        let idle = IDLE.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let base = match idle {
            Some(Idle(base)) => Some(base),
            None => Pool::map(),
        };
        Ok(Pool {
            base: base.ok_or(TrapCode::RecordsFull)?,
            carved: Cell::new(1),
            free: Default::default(),
            live: Default::default(),
            generation: Cell::new(0),
        })
    }

    fn bytes() -> usize {
        GRANULES as usize * GRANULE
    }

    fn map() -> Option<NonNull<u8>> {
        let protection = ProtFlags::READ | ProtFlags::WRITE;
        let flags = MapFlags::PRIVATE | MapFlags::NORESERVE;
        // SAFETY: a new mapping at an address of the kernel's choice.
        let base =
            unsafe { rustix::mm::mmap_anonymous(null_mut(), Pool::bytes(), protection, flags) };
        NonNull::new(base.ok()?.cast())
    }

    fn at<T>(&self, number: NonZeroU32) -> NonNull<T> {
        debug_assert!(number.get() < self.carved.get());
        // SAFETY: numbers are those of granules in the pool.
        unsafe { self.base.add(number.get() as usize * GRANULE).cast() }
    }

    /// A free record of a kind.
    fn take(&self, kind: Kind) -> Result<NonZeroU32, TrapCode> {
        let free = &self.free[kind as usize];
        let number = match NonZeroU32::new(free.get()) {
            Some(number) => {
                // SAFETY: a free record begins with a number.
                free.set(unsafe { self.at::<u32>(number).read() });
                number
            }
            None => {
                let number = self.carved.get();
                let end = number + kind.granules();
                if end > GRANULES {
                    return Err(TrapCode::RecordsFull);
                }
                self.carved.set(end);
                NonZeroU32::new(number).ok_or(TrapCode::RecordsFull)?
            }
        };
        let live = &self.live[kind as usize];
        live.set(live.get() + 1);
        Ok(number)
    }

    /// Frees a record. Whoever still has its number finds another one there some day.
    fn put(&self, kind: Kind, number: NonZeroU32) {
        let next = self.free[kind as usize].replace(number.get());
        // SAFETY: the record is not used any more.
        unsafe { self.at::<u32>(number).write(next) };
        let live = &self.live[kind as usize];
        live.set(live.get() - 1);
    }

    /// Records in use.
    pub(crate) fn live(&self, kind: Kind) -> u32 {
        self.live[kind as usize].get()
    }

    /// A call that has not started.
    #[inline]
    pub(crate) fn add_call(&self, new: NewCall) -> Result<CallId, TrapCode> {
        let number = self.take(Kind::Call)?;
        let generation = self.generation.get().wrapping_add(1);
        self.generation.set(generation);
        let call = Call {
            head: UnsafeCell::new(TaskRecord {
                params: new.params,
                results: new.results,
                number: number.get(),
                ..TaskRecord::default()
            }),
            waitable: Waitable::new(WaitableKind::Subtask),
            data: new.data,
            entry: new.entry,
            lift: new.lift,
            shape: new.shape,
            instance: new.instance,
            thread: new.thread,
            base: Cell::new(0),
            threads: Cell::new(1),
            index: Cell::new(0),
            generation,
            state: Cell::new(TaskState::Initial),
            subtask: Cell::new(SubtaskState::Starting),
            queued: Cell::new(Queued::Nowhere),
            holders: Cell::new(Holder::Task as u8 | Holder::Caller as u8),
            delivered: Cell::new(false),
            cancel_requested: Cell::new(false),
            links: Links::default(),
            set_links: Links::default(),
            wait: Cell::new(Wait::Nothing),
            went_on_from: Cell::new(Wait::Nothing),
            stack: Cell::new(None),
            slots: Cell::new([0; 2]),
            driven: Cell::new(None),
            flat: Cell::new([0; MAX_FLAT_ASYNC_PARAMS]),
        };
        // SAFETY: the record is free, large enough and aligned.
        unsafe { self.at(number).write(call) };
        Ok(CallId(number))
    }

    /// Somebody does not need a call's record any more; whether it was the last one.
    pub(crate) fn leave_call(&self, id: CallId, holder: Holder) -> bool {
        let holders = &self[id].holders;
        holders.set(holders.get() & !(holder as u8));
        let free = holders.get() == 0;
        if free {
            self.put(Kind::Call, id.0);
        }
        free
    }

    /// An empty set.
    pub(crate) fn add_set(&self) -> Result<SetId, TrapCode> {
        let number = self.take(Kind::Set)?;
        // SAFETY: the record is free, large enough and aligned.
        unsafe { self.at(number).write(Set::default()) };
        Ok(SetId(number))
    }

    /// Frees a set that nobody uses.
    pub(crate) fn free_set(&self, id: SetId) {
        self.put(Kind::Set, id.0);
    }

    /// An end.
    pub(crate) fn add_end(&self, end: End) -> Result<EndId, TrapCode> {
        let number = self.take(Kind::End)?;
        // SAFETY: the record is free, large enough and aligned.
        unsafe { self.at(number).write(end) };
        Ok(EndId(number))
    }

    /// Frees an end that nobody uses.
    pub(crate) fn free_end(&self, id: EndId) {
        self.put(Kind::End, id.0);
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        // Records own nothing, and are written whole before they are read: what is in them can stay
        // for the next instance. Much of it goes.
        let used = self.carved.get() as usize * GRANULE;
        if used > KEPT {
            // SAFETY: inside of the mapping, and not used any more. Failure would only keep it.
            let _ = unsafe {
                let rest = self.base.add(KEPT).as_ptr().cast();
                rustix::mm::madvise(rest, used - KEPT, Advice::LinuxDontNeed)
            };
        }
        let mut idle = IDLE.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < MOST_IDLE {
            return idle.push(Idle(self.base));
        }
        drop(idle);
        // SAFETY: mapped by `map`, and not used any more. Failure would only leak.
        let _ = unsafe { rustix::mm::munmap(self.base.as_ptr().cast(), Pool::bytes()) };
    }
}

/// Bytes of its memory that a pool leaves to the next one.
const KEPT: usize = 64 << 10;
/// Pools that are kept, at most.
const MOST_IDLE: usize = 64;

/// The memory of pools that nobody has. To map it, and to unmap it, stops every thread of the
/// process for a moment, which an instance for each request must not.
static IDLE: Mutex<Vec<Idle>> = Mutex::new(Vec::new());

/// The beginning of such memory.
struct Idle(NonNull<u8>);

// SAFETY: it is memory that nobody refers to.
unsafe impl Send for Idle {}

macro_rules! index {
    ($($id:ident -> $record:ident at $offset:expr;)*) => {$(
        impl Index<$id> for Pool {
            type Output = $record;

            fn index(&self, id: $id) -> &$record {
                // SAFETY: the record of the number is of this kind, as ids of records in use say,
                // and all that changes in it is in cells.
                unsafe { self.at::<u8>(id.0).add($offset).cast().as_ref() }
            }
        }
    )*};
}

index! {
    CallId -> Call at 0;
    SetId -> Set at 0;
    EndId -> End at 0;
    WaitableId -> Waitable at WAITABLE_OFFSET;
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ptr::null;

    fn call(pool: &Pool) -> CallId {
        pool.add_call(NewCall {
            data: null(),
            entry: None,
            lift: None,
            shape: CallShape::OnStack,
            instance: ComponentInstanceId(0),
            thread: Thread::Implicit,
            params: 1,
            results: 2,
        })
        .unwrap()
    }

    fn end(pool: &Pool) -> EndId {
        let instance = ComponentInstanceId(3);
        pool.add_end(End::new(
            EndKind::Reader,
            EndType::Stream,
            TypeId(0),
            instance,
        ))
        .unwrap()
    }

    #[test]
    fn records_keep_their_places_and_are_used_again() {
        let pool = Pool::new().unwrap();
        let (first, set, reader, second) = (
            call(&pool),
            pool.add_set().unwrap(),
            end(&pool),
            call(&pool),
        );
        let numbers = [
            first.number(),
            set.number(),
            reader.number(),
            second.number(),
        ];
        assert_eq!(numbers, [1, 5, 6, 8]);
        let head = pool[first].head();
        // SAFETY: the record is in use.
        assert_eq!(unsafe { ((*head).params, (*head).number) }, (1, 1));
        assert_eq!(pool.live(Kind::Call), 2);
        // Both the task and its caller have to leave it.
        let generation = pool[first].generation;
        assert!(!pool.leave_call(first, Holder::Caller));
        assert!(pool.leave_call(first, Holder::Task));
        assert!(!pool.leave_call(second, Holder::Task));
        assert!(pool.leave_call(second, Holder::Caller));
        assert_eq!(pool.live(Kind::Call), 0);
        // The one that was freed last comes first.
        assert_eq!([call(&pool), call(&pool)], [second, first]);
        assert_ne!(pool[first].generation, generation);
        assert_eq!(pool[first].state.get(), TaskState::Initial);
        // Kinds have lists of their own.
        pool.free_set(set);
        assert_eq!(end(&pool).number(), 12);
        assert_eq!(pool.add_set().unwrap(), set);
        pool.free_end(reader);
        assert_eq!(end(&pool), reader);
    }

    #[test]
    fn pools_are_used_again_as_if_they_were_new() {
        let mut used = Vec::new();
        for round in 0..3 {
            let pool = Pool::new().unwrap();
            assert_eq!(pool.live(Kind::Call), 0);
            let ids: Vec<CallId> = (0..2000).map(|_| call(&pool)).collect();
            assert_eq!(ids[0].number(), 1);
            for id in ids {
                assert_eq!(pool[id].waitable.handle.get(), 0, "in round {round}");
                pool[id].waitable.handle.set(7);
            }
            used.push(pool.base);
        }
        assert!(used.iter().any(|base| *base == used[0]));
        assert!(IDLE.lock().unwrap().len() <= MOST_IDLE);
    }

    #[test]
    fn waitables_are_found_without_their_kind() {
        let pool = Pool::new().unwrap();
        let (call, end) = (call(&pool), end(&pool));
        pool[call].waitable.handle.set(7);
        pool[end].waitable.handle.set(8);
        let [of_call, of_end] = [WaitableId::from(call), WaitableId::from(end)];
        assert_eq!(pool[of_call].handle.get(), 7);
        assert_eq!(pool[of_call].kind, WaitableKind::Subtask);
        assert_eq!(pool[of_end].handle.get(), 8);
        assert_eq!(pool[of_end].kind, WaitableKind::End);
        assert_eq!(pool[end].owner.get(), Some(ComponentInstanceId(3)));
    }

    #[test]
    fn a_pool_ends() {
        let pool = Pool::new().unwrap();
        pool.carved.set(GRANULES - 3);
        assert!(pool.add_set().is_ok());
        let refused = pool.take(Kind::Call);
        assert_eq!(refused, Err(TrapCode::RecordsFull));
        assert!(pool.take(Kind::End).is_ok());
        assert_eq!(pool.take(Kind::Set), Err(TrapCode::RecordsFull));
    }
}
