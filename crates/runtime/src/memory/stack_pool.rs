//! Pooled stacks: what guest code runs on that can be suspended.
//!
//! A stack is one mapping that takes no memory before it is used, with a guard below, and its
//! [record](StackRecord) at the top. Mapping one takes long, so the process keeps some that are
//! idle: a few for each thread, which it gets without a lock, and the others for all.
//!
//! Nothing here knows who runs on a stack: `machine/stacks.rs` counts those of a store, and
//! `concurrent/chain.rs` switches between them.

use crate::memory::mapping::{page_size, round_to_pages};
use rustix::mm::{Advice, MapFlags, MprotectFlags, ProtFlags};
use std::cell::{Cell, RefCell};
use std::ops::Range;
use std::ptr::{NonNull, null, null_mut};
use std::sync::{Mutex, PoisonError};
use trampette_artifact::layout::{GUEST_STACK_LIMIT, STACK_RESERVE_FOR_HOST};

/// Inaccessible bytes below a stack: code of the host need not probe page by page.
const GUARD: usize = 64 << 10;
/// A stack that is given back keeps this much of its memory.
const KEPT: usize = 64 << 10;
/// A stack is at least so large, whatever the limit says: room for the host, and for some frames.
const SMALLEST: usize = STACK_RESERVE_FOR_HOST as usize + KEPT;
/// A frame can step over the word that tells of depth; so every so many times a stack is trimmed in
/// any case.
const TRIM_EVERY: u32 = 1024;
/// Most idle stacks of the process.
pub(crate) const MOST_IDLE: usize = 256;
/// Most idle stacks that a thread has for itself, of the process's.
const MOST_OF_THREAD: usize = 8;

/// What a stack is doing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum StackState {
    /// Nothing has run on it.
    Fresh,
    /// It is in a chain: active, or below what it has resumed.
    Running,
    /// It waits to be resumed.
    Suspended,
    /// Its base function has returned.
    Finished,
    /// Its base function has returned because of a trap, which is in the store's record.
    Trapped,
}

/// What stands at the top of a stack: all that is known of it. The place where the host's own stack
/// was left for a pooled one has a record too, which is no stack's.
#[repr(C, align(64))]
pub(crate) struct StackRecord {
    /// The stack pointer, while something else runs.
    pub sp: Cell<usize>,
    /// `RootHeader::entry_sp`, while something else runs.
    pub entry_sp: Cell<u64>,
    /// The limit for guest code, while something else runs.
    pub limit: Cell<usize>,
    /// Where the instance's cells are kept while something else runs.
    pub cells: Cell<*const Cell<u64>>,
    /// What it is doing.
    pub state: Cell<StackState>,
    /// Who gets control when it is suspended or ends; `None` outside of a chain, and at its bottom.
    pub resumer: Cell<Option<Stack>>,
    /// The instance whose code runs here, as its user knows it.
    pub instance: Cell<*const ()>,
    /// What runs here, as its user knows it; zeros to begin with.
    pub owner: [Cell<u64>; 2],
    /// Links between the stacks of a store.
    pub next: Cell<Option<Stack>>,
    pub previous: Cell<Option<Stack>>,
    /// The lowest usable address; 0 if this is no stack's record.
    lowest: usize,
    /// The end of the mapping.
    end: usize,
    /// How often it was given back.
    uses: Cell<u32>,
}

impl StackRecord {
    /// The record of a place that has no stack of its own.
    pub(crate) fn without_stack() -> StackRecord {
        StackRecord {
            sp: Cell::new(0),
            entry_sp: Cell::new(0),
            limit: Cell::new(0),
            cells: Cell::new(null()),
            state: Cell::new(StackState::Running),
            resumer: Cell::new(None),
            instance: Cell::new(null()),
            owner: [const { Cell::new(0) }; 2],
            next: Cell::new(None),
            previous: Cell::new(None),
            lowest: 0,
            end: 0,
            uses: Cell::new(0),
        }
    }

    /// The addresses where frames are, whether or not they are used.
    pub(crate) fn range(&self) -> Range<usize> {
        self.lowest..match self.lowest {
            0 => 0,
            _ => std::ptr::from_ref(self).addr(),
        }
    }

    /// Where frames begin that have so many cells above them.
    fn base(&self, cells: usize) -> usize {
        (std::ptr::from_ref(self).addr() - cells * size_of::<u64>()) / 16 * 16
    }

    /// Writes words where the first frame begins, the last one highest, and makes the stack pointer
    /// that of the first.
    ///
    /// # Safety
    /// The stack is fresh, and has cells.
    pub(crate) unsafe fn push_first(&self, words: &[usize]) {
        let base = self.cells.get().addr() / 16 * 16;
        let sp = base - size_of_val(words);
        let first = std::ptr::with_exposed_provenance_mut::<usize>(sp);
        // SAFETY: below the cells, in the page of the record or the next one, which are mapped.
        unsafe { first.copy_from_nonoverlapping(words.as_ptr(), words.len()) };
        self.sp.set(sp);
    }

    /// Whether it was used deeper than what it may keep.
    fn is_deep(&self) -> bool {
        let word = std::ptr::with_exposed_provenance::<usize>(self.end - KEPT - size_of::<usize>());
        // SAFETY: in the mapping, and nothing runs there.
        unsafe { word.read() != 0 }
    }

    /// Gives memory back to the system that it does not need to keep.
    fn trim(&self) {
        let uses = self.uses.get().wrapping_add(1);
        self.uses.set(uses);
        if !uses.is_multiple_of(TRIM_EVERY) && !self.is_deep() {
            return;
        }
        let start = std::ptr::with_exposed_provenance_mut(self.lowest);
        let bytes = self.end - KEPT - self.lowest;
        // SAFETY: pages of the mapping on which nothing runs. If it fails, they are kept.
        let _ = unsafe { rustix::mm::madvise(start, bytes, Advice::LinuxDontNeed) };
    }
}

/// Names a stack, or a place that has the same record. Good until the stack is given back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Stack(NonNull<StackRecord>);

// SAFETY: stacks are of no thread; whoever has one says who uses it.
unsafe impl Send for Stack {}

impl std::ops::Deref for Stack {
    type Target = StackRecord;

    #[inline]
    fn deref(&self) -> &StackRecord {
        // SAFETY: a stack that was given back is not used, as [`put`] demands.
        unsafe { self.0.as_ref() }
    }
}

impl Stack {
    /// The stack, or place, that a record is of.
    #[inline]
    pub(crate) fn of(record: &StackRecord) -> Stack {
        Stack(NonNull::from(record))
    }

    /// The address of its record: never 0, and what [`Stack::from_word`] takes.
    #[inline]
    pub(crate) fn word(self) -> u64 {
        self.0.as_ptr().expose_provenance() as u64
    }

    /// The stack of a word that [`Stack::word`] gave; `None` for 0.
    ///
    /// # Safety
    /// The word is 0, or was given for a stack that is still in use.
    #[inline]
    pub(crate) unsafe fn from_word(word: u64) -> Option<Stack> {
        let record = std::ptr::with_exposed_provenance_mut(word as usize);
        NonNull::new(record).map(Stack)
    }

    /// The mapping, with its guard.
    fn mapping(self) -> Range<usize> {
        self.lowest - GUARD..self.end
    }

    fn size(self) -> usize {
        self.end - self.lowest
    }

    /// Maps a stack of so many bytes, a multiple of the page size.
    fn map(bytes: usize) -> Option<Stack> {
        let protection = ProtFlags::READ | ProtFlags::WRITE;
        let flags = MapFlags::PRIVATE | MapFlags::NORESERVE;
        // SAFETY: a new mapping, whose lowest part becomes the guard.
        let start = unsafe {
            let start =
                rustix::mm::mmap_anonymous(null_mut(), GUARD + bytes, protection, flags).ok()?;
            let guarded = rustix::mm::mprotect(start, GUARD, MprotectFlags::empty());
            if guarded.is_err() {
                let _ = rustix::mm::munmap(start, GUARD + bytes);
                return None;
            }
            // A suspended stack takes two pages, not a huge one. Systems without those refuse.
            let _ = rustix::mm::madvise(start.byte_add(GUARD), bytes, Advice::LinuxNoHugepage);
            start
        };
        let lowest = start.expose_provenance() + GUARD;
        let end = lowest + bytes;
        let record = StackRecord {
            lowest,
            end,
            ..StackRecord::without_stack()
        };
        let place = std::ptr::with_exposed_provenance_mut::<StackRecord>(end).wrapping_sub(1);
        // SAFETY: at the end of the mapping, which is aligned to pages.
        unsafe { place.write(record) };
        NonNull::new(place).map(Stack)
    }

    fn unmap(self) {
        let mapping = self.mapping();
        let start = std::ptr::with_exposed_provenance_mut(mapping.start);
        // SAFETY: made by `map`, idle, and not used any more. Failure would only leak.
        let _ = unsafe { rustix::mm::munmap(start, mapping.len()) };
    }

    /// Makes an idle stack fresh.
    fn begin(self, cells: usize) {
        let place = self.base(0) - cells * size_of::<u64>();
        let place = std::ptr::with_exposed_provenance_mut::<Cell<u64>>(place);
        for index in 0..cells {
            // SAFETY: below the record, in the mapping; nothing runs there.
            unsafe { place.add(index).write(Cell::new(0)) };
        }
        self.sp.set(self.base(cells));
        self.entry_sp.set(0);
        self.limit
            .set(self.lowest + STACK_RESERVE_FOR_HOST as usize);
        self.cells.set(place);
        self.state.set(StackState::Fresh);
        self.resumer.set(None);
        self.instance.set(null());
        self.owner.iter().for_each(|word| word.set(0));
    }
}

/// The idle stacks that all threads share.
struct Shared {
    idle: Vec<Stack>,
    /// How many idle ones threads may have for themselves.
    of_threads: usize,
}

static SHARED: Mutex<Shared> = Mutex::new(Shared {
    idle: Vec::new(),
    of_threads: 0,
});

fn shared<R>(f: impl FnOnce(&mut Shared) -> R) -> R {
    f(&mut SHARED.lock().unwrap_or_else(PoisonError::into_inner))
}

impl Shared {
    /// Keeps a stack, or gives one that must go instead.
    fn keep(&mut self, stack: Stack) -> Option<Stack> {
        if self.idle.len() + self.of_threads < MOST_IDLE {
            self.idle.push(stack);
            return None;
        }
        // One of another size, which is perhaps not asked for any more.
        let other = self.idle.iter_mut().find(|it| it.size() != stack.size());
        Some(match other {
            Some(other) => std::mem::replace(other, stack),
            None => stack,
        })
    }

    /// How many a thread may keep for itself from now on, and one that must go for each.
    fn share(&mut self) -> (usize, Vec<Stack>) {
        if self.of_threads + MOST_OF_THREAD > MOST_IDLE {
            return (0, Vec::new());
        }
        self.of_threads += MOST_OF_THREAD;
        let room = MOST_IDLE - self.of_threads;
        let surplus = self.idle.len().saturating_sub(room);
        (MOST_OF_THREAD, self.idle.drain(..surplus).collect())
    }
}

/// The idle stacks of a thread.
struct Local {
    idle: Vec<Stack>,
    /// How many it may have; `None` before it was asked.
    room: Option<usize>,
}

thread_local! {
    static LOCAL: RefCell<Local> = const {
        RefCell::new(Local { idle: Vec::new(), room: None })
    };
}

impl Drop for Local {
    fn drop(&mut self) {
        let surplus: Vec<Stack> = shared(|shared| {
            shared.of_threads -= self.room.unwrap_or(0);
            let kept = self.idle.drain(..).filter_map(|stack| shared.keep(stack));
            kept.collect()
        });
        surplus.into_iter().for_each(Stack::unmap);
    }
}

impl Local {
    fn room(&mut self) -> usize {
        match self.room {
            Some(room) => room,
            None => {
                let (room, surplus) = shared(Shared::share);
                surplus.into_iter().for_each(Stack::unmap);
                self.room = Some(room);
                room
            }
        }
    }
}

fn take_from(idle: &mut Vec<Stack>, bytes: usize) -> Option<Stack> {
    let index = idle.iter().rposition(|stack| stack.size() == bytes)?;
    Some(idle.swap_remove(index))
}

/// A stack of so many bytes, rounded to what is possible, with so many cells, all 0; `None` if the
/// system refuses. It is the caller's until it is [`put`] back.
#[inline(never)]
pub(crate) fn take(bytes: usize, cells: usize) -> Option<Stack> {
    let room = SMALLEST + (cells * size_of::<u64>()).next_multiple_of(page_size());
    let most = GUEST_STACK_LIMIT as usize;
    let bytes = round_to_pages(bytes.min(most).max(room));
    let local = LOCAL.try_with(|local| take_from(&mut local.borrow_mut().idle, bytes));
    let idle = local
        .ok()
        .flatten()
        .or_else(|| shared(|shared| take_from(&mut shared.idle, bytes)));
    let stack = idle.or_else(|| Stack::map(bytes))?;
    stack.begin(cells);
    Some(stack)
}

/// Gives a stack back. What is on it is forgotten, not dropped.
///
/// # Safety
/// It was [taken](take), nothing runs on it, and nobody uses it or a copy of its name any more.
#[inline(never)]
pub(crate) unsafe fn put(stack: Stack) {
    stack.trim();
    let kept = LOCAL.try_with(|local| {
        let mut local = local.borrow_mut();
        let kept = local.idle.len() < local.room();
        if kept {
            local.idle.push(stack);
        }
        kept
    });
    if kept != Ok(true)
        && let Some(surplus) = shared(|shared| shared.keep(stack))
    {
        surplus.unmap();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: usize = 1 << 20;

    /// Pages of a range of memory that are there.
    fn resident(range: Range<usize>) -> usize {
        let mut pages = vec![0u8; range.len() / page_size()];
        let start = std::ptr::with_exposed_provenance_mut(range.start);
        // SAFETY: the vector has a byte for each page.
        let result = unsafe { libc::mincore(start, range.len(), pages.as_mut_ptr()) };
        assert_eq!(result, 0);
        pages.iter().filter(|page| **page & 1 != 0).count()
    }

    #[test]
    fn sizes_are_what_is_asked_for_or_possible() {
        for (wanted, size) in [(0, SMALLEST), (SIZE, SIZE), (SIZE + 1, SIZE + page_size())] {
            let stack = take(wanted, 0).unwrap();
            assert_eq!(stack.size(), size);
            let range = stack.range();
            assert!(range.len() + 1024 > size && range.len() < size);
            let limit = stack.limit.get();
            assert_eq!(limit - range.start, STACK_RESERVE_FOR_HOST as usize);
            assert!(stack.sp.get() <= stack.cells.get().addr());
            // SAFETY: not used again.
            unsafe { put(stack) };
        }
    }

    #[test]
    fn a_taken_stack_is_fresh_and_takes_a_page() {
        let stack = take(SIZE + 3 * page_size(), 100).unwrap();
        assert_eq!(resident(stack.lowest..stack.end), 1);
        stack.owner[1].set(9);
        // SAFETY: there are 100 cells.
        let cells = unsafe { std::slice::from_raw_parts(stack.cells.get(), 100) };
        assert!(cells.iter().all(|cell| cell.replace(7) == 0));
        // SAFETY: not used again but by the name that `take` gives.
        unsafe { put(stack) };
        let again = take(SIZE + 3 * page_size(), 100).unwrap();
        assert_eq!(again, stack);
        assert!(cells.iter().all(|cell| cell.get() == 0));
        assert_eq!(
            (again.owner[1].get(), again.state.get()),
            (0, StackState::Fresh)
        );
        // SAFETY: not used again.
        unsafe { put(again) };
    }

    #[test]
    fn deep_stacks_are_trimmed() {
        let size = SIZE + 5 * page_size();
        let stack = take(size, 0).unwrap();
        let deep = std::ptr::with_exposed_provenance_mut::<u8>(stack.lowest);
        let kept = KEPT / page_size();
        for round in 0..3 {
            // SAFETY: nothing runs there.
            unsafe { deep.write_bytes(1, size - 4096) };
            assert_eq!(resident(stack.lowest..stack.end), size / page_size());
            // SAFETY: not used again but by the name that `take` gives.
            unsafe { put(stack) };
            assert_eq!(resident(stack.lowest..stack.end), kept, "{round}");
            assert_eq!(take(size, 0), Some(stack));
        }
        // A frame that stepped over the word.
        // SAFETY: as above.
        unsafe { deep.write(1) };
        for _ in 0..TRIM_EVERY {
            // SAFETY: as above.
            unsafe { put(stack) };
            assert_eq!(take(size, 0), Some(stack));
        }
        assert_eq!(resident(stack.lowest..stack.lowest + page_size()), 0);
        // SAFETY: not used again.
        unsafe { put(stack) };
    }

    #[test]
    fn few_idle_ones_are_kept() {
        let size = SIZE + 7 * page_size();
        let stacks: Vec<Stack> = (0..2 * MOST_IDLE).map(|_| take(size, 0).unwrap()).collect();
        for stack in stacks {
            // SAFETY: not used again.
            unsafe { put(stack) };
        }
        let of_size = |idle: &[Stack]| idle.iter().filter(|it| it.size() == size).count();
        let local = LOCAL.with(|local| of_size(&local.borrow().idle));
        assert!(local > 0 && local <= MOST_OF_THREAD);
        shared(|shared| {
            assert!(shared.idle.len() + shared.of_threads <= MOST_IDLE);
            assert!(of_size(&shared.idle) > 0);
        });
        // A thread's go to the others when it ends.
        let of_thread = std::thread::spawn(move || {
            let stack = take(size + page_size(), 0).unwrap();
            // SAFETY: not used again.
            unsafe { put(stack) };
            stack.word()
        });
        let of_thread = of_thread.join().unwrap();
        shared(|shared| {
            assert!(shared.idle.iter().any(|stack| stack.word() == of_thread));
        });
    }
}
