//! [`InstanceData`]: an instance whose exports are called with native-layout structs.
//!
//! What an instance is at run time is its slabs: roots that steer the host, contexts, memories.
//! Making one maps them, writes the few fields that are not in the image, and runs the start-up
//! code. It is named by [`RawInstance`] in its store, and by [`InstanceId`] where the store is not
//! known.

use crate::load::backtrace::{Trap, WasmBacktrace};
use crate::load::component::Component;
use crate::machine::entry_code::{DropEntry, EntryCode, HostEntry, StepEntry};
use crate::machine::failure;
use crate::machine::handles::HandleTables;
use crate::machine::instance_limits::{charge_memory, check_limits};
use crate::machine::reactor::{Failure, FutureId};
use crate::machine::stacks::Chain;
use crate::machine::store::StoreInner;
use crate::memory::shared_memory::SharedMemory;
use crate::memory::slab::{SlabSet, memory_bytes};
use anyhow::{Context, Result, anyhow, bail, ensure};
use std::any::Any;
use std::cell::{Cell, OnceCell};
use std::ptr::NonNull;
use std::sync::Arc;
use trampette_artifact::ids::*;
use trampette_artifact::layout::{
    CONTEXT_MEMORY_LENGTH, CONTEXT_STACK_LIMIT, HOST_OK, HOST_PENDING, HandleEntry, ImportSlot,
    InstanceCells, InstanceState, RootHeader, RootOffset, Status, TableState,
};
use trampette_artifact::metadata::MemoryPlace;
use trampette_artifact::trap::TrapCode;

/// The host's destructor of an imported resource: called with the store and the representation when
/// a guest drops its last owned handle.
pub(crate) type HostDestructor = Arc<dyn Fn(&StoreInner, u32) -> Result<()> + Send + Sync>;

/// What the host supplies to an instance.
pub(crate) struct HostImports {
    /// A function for every [`ImportId`]; zeros for imports that are not used.
    pub functions: IdVec<ImportId, ImportSlot>,
    /// Destructors of imported resources; `None` where there is none.
    pub destructors: IdVec<ResourceId, Option<HostDestructor>>,
    /// Whether a function that is not `async` for the component gives a future.
    pub(crate) may_wait: bool,
    /// Keeps alive what the slots point to.
    pub(crate) owner: Arc<dyn Any + Send + Sync>,
}

/// State of an instance that is in a store.
pub(crate) struct InstanceData {
    /// It owns the instance.
    store: NonNull<StoreInner>,
    /// Its number in the store.
    pub(in crate::machine) index: Cell<u32>,
    pub component: Component,
    /// Taken out only by `drop`.
    slabs: Option<SlabSet>,
    /// The context of slab 0, which all entries take.
    context: *mut u8,
    pub imports: HostImports,
    /// The memories that are shared between threads.
    pub shared_memories: IdVec<SharedMemoryId, SharedMemory>,
    pub handles: HandleTables,
    /// What the contexts hold as stack limit.
    pub(in crate::machine) stack_limit: Cell<usize>,
    /// What runs on other stacks than the host's; made when the first such stack is.
    pub(in crate::machine) chain: OnceCell<Box<Chain>>,
    /// Its tasks, streams and futures; made when the first is.
    pub(crate) async_part: OnceCell<Box<dyn AsyncPart>>,
    /// Whether a trap has ended it; see [`InstanceData::end`].
    pub(in crate::machine) ended: Cell<bool>,
}

/// What an instance has for tasks, streams and futures. The room above makes it and knows what it
/// is.
pub(crate) trait AsyncPart: Any {
    /// A trap has ended the instance, of which nothing runs any more: gives back what its tasks
    /// have.
    fn end(&self, instance: &InstanceData);
}

impl InstanceData {
    /// The store.
    #[inline]
    pub(crate) fn store(&self) -> &StoreInner {
        // SAFETY: instances live as long as their store, whose address is stable.
        unsafe { self.store.as_ref() }
    }

    /// The slabs.
    #[inline]
    pub(crate) fn slabs(&self) -> &SlabSet {
        self.slabs.as_ref().expect("only drop takes them")
    }

    /// A field of slab 0's root.
    #[inline]
    pub(crate) fn root_field<T>(&self, offset: RootOffset) -> NonNull<T> {
        // SAFETY: offsets come from the validated layout and are inside the root.
        unsafe { self.slabs().root(SlabId(0)).add(offset.0 as usize).cast() }
    }

    /// The header of a slab's root.
    #[inline]
    pub(crate) fn header(&self, slab: SlabId) -> NonNull<RootHeader> {
        self.slabs().root(slab).cast()
    }

    /// The current length of a memory in bytes.
    #[inline]
    pub(crate) fn memory_length(&self, id: MemoryId) -> u64 {
        if let Some(memory) = self.shared_memory(id) {
            return memory.byte_len();
        }
        let field = self.root_field::<u64>(self.component.metadata().root.memory(id));
        // SAFETY: mapped, aligned, written at instantiation.
        unsafe { field.read() }
    }

    /// A memory that is shared between threads; `None` if it is not.
    #[inline]
    pub(crate) fn shared_memory(&self, id: MemoryId) -> Option<&SharedMemory> {
        let memory = &self.component.metadata().memories[id];
        self.shared_memories.get(memory.shared()?)
    }

    /// The context that entries take.
    #[inline]
    pub(crate) fn context(&self) -> *mut u8 {
        self.context
    }

    /// The address of byte 0 of a memory.
    #[inline]
    pub(crate) fn memory_base(&self, id: MemoryId) -> NonNull<u8> {
        match self.component.metadata().memories[id].place {
            MemoryPlace::Slab(slab) => self.slabs().context(slab),
            MemoryPlace::Shared(id) => self.shared_memories[id].base(),
        }
    }

    /// Whether an address is in a memory of this instance or the guard behind it. Safe in a signal
    /// handler.
    pub(crate) fn in_memory_or_guard(&self, address: usize) -> bool {
        let plan = self.component.slab_plan();
        let mut shared = self.shared_memories.iter();
        self.slabs().in_memory_or_guard(plan, address)
            || shared.any(|memory| memory.in_memory_or_guard(address))
    }

    /// Writes the length of a slab's memory wherever code looks for it.
    pub(crate) fn set_memory_length(&self, slab: SlabId, id: MemoryId, bytes: u64) {
        let metadata = self.component.metadata();
        let field = self.root_field::<u64>(metadata.root.memory(id));
        // SAFETY: mapped, aligned fields of this instance.
        unsafe {
            field.write(bytes);
            (&raw mut (*self.header(slab).as_ptr()).memory_length).write(bytes);
            let context = self.slabs().context(slab);
            let hot = context.offset(CONTEXT_MEMORY_LENGTH.0 as isize);
            hot.cast::<u64>().write(bytes);
        }
    }

    /// Writes the contexts only when the limit is another than before: in the first call, and where
    /// the host's own depth or thread changes. Gives the limit before.
    pub(crate) fn set_stack_limit(&self, limit: usize) -> usize {
        let before = self.stack_limit.replace(limit);
        if before == limit {
            return before;
        }
        for slab in 0..self.component.slab_plan().len() {
            let context = self.slabs().context(SlabId::new(slab));
            // SAFETY: the hot part of every context is mapped.
            unsafe {
                let hot = context.offset(CONTEXT_STACK_LIMIT.0 as isize);
                hot.cast::<u64>().write(limit as u64);
            }
        }
        before
    }

    /// Writes the roots and the fields of the contexts that are not in the image.
    fn initialise(&self, store: &StoreInner) {
        let metadata = self.component.metadata();
        let layout = &metadata.root;
        for slab in 0..metadata.slabs.len() {
            let header = RootHeader {
                store: store as *const StoreInner as u64,
                reserved_words: [0; 2],
                entry_sp: 0,
                interrupt: 0,
                barrier: 0,
                memory_length: 0,
                store_data: store.data_address().as_ptr() as u64,
                post_return_value: 0,
                instance: self as *const InstanceData as u64,
                post_return_arena_mark: 0,
                yields: 0,
                reserved_half: 0,
                reserved: [0; 4],
            };
            // SAFETY: roots are mapped and large enough.
            unsafe { self.header(SlabId::new(slab)).write(header) };
        }
        for instance in 0..=layout.instances {
            let state = InstanceState {
                flags: InstanceState::MAY_LEAVE,
                borrows: 0,
                handles: HandleTables::EMPTY,
            };
            self.write_root(layout.instance(ComponentInstanceId(instance)), state);
        }
        for instance in 0..layout.cells {
            let offset = layout.cells(ComponentInstanceId(instance));
            self.write_root(offset, InstanceCells::default());
        }
        for (index, slot) in self.imports.functions.iter().enumerate() {
            self.write_root(layout.import(ImportId::new(index)), *slot);
        }
        for (index, table) in metadata.tables.iter().enumerate() {
            let length = table.minimum;
            self.write_root(layout.table(TableId::new(index)), TableState { length });
        }
        for (index, memory) in metadata.memories.iter().enumerate() {
            if let MemoryPlace::Slab(slab) = memory.place {
                let bytes = memory_bytes(memory).expect("validated");
                self.set_memory_length(slab, MemoryId::new(index), bytes);
            }
        }
        for (index, memory) in self.shared_memories.iter().enumerate() {
            let offset = layout.shared_memory(SharedMemoryId::new(index));
            self.write_root(offset, memory.state());
        }
        for (index, length) in metadata.data_segments.iter().enumerate() {
            self.write_root(layout.data_segment(DataSegmentId::new(index)), *length);
        }
        for (index, length) in metadata.element_segments.iter().enumerate() {
            let offset = layout.element_segment(ElementSegmentId::new(index));
            self.write_root(offset, *length);
        }
    }

    /// Writes a field of slab 0's root before any code runs. `offset` is that of a field of this
    /// type in the component's own layout.
    pub(crate) fn write_root<T>(&self, offset: RootOffset, value: T) {
        // SAFETY: the root is mapped, and has all fields of the validated layout, aligned.
        unsafe { self.root_field(offset).write(value) };
    }

    /// Calls an export. After success its results are valid and, if it has a post-return, the
    /// instance is locked until [`InstanceData::end_call`], which takes what this gives: where the
    /// arena was before the call.
    ///
    /// # Safety
    /// The code is that of an export of this instance's component. `args` and `results` point to
    /// the native structs of the export's parameters and result, and what the arguments point to is
    /// valid during the call.
    ///
    /// # Errors
    /// A [`crate::Trap`], or the host's own error with a [`crate::WasmBacktrace`] as context.
    #[inline(always)]
    pub(crate) unsafe fn call(
        &self,
        code: EntryCode,
        args: *const u8,
        results: *mut u8,
    ) -> Result<u64> {
        let store = self.store();
        let mark = store.arena_mark();
        store.calls.set(store.calls.get().wrapping_add(1));
        let result = self.enter(move |context| {
            // SAFETY: the code is the export's; the caller vouches for the pointers.
            unsafe { code.entry.call(context, args, results) }
        });
        match result {
            // The result may be there.
            Ok(()) => Ok(mark),
            Err(error) => {
                store.arena_reset(mark);
                Err(error)
            }
        }
    }

    /// Calls `read` while the results of a call are valid, and then [`InstanceData::end_call`] in
    /// any case.
    #[inline]
    pub(crate) fn read_results<O>(
        &self,
        code: EntryCode,
        arena_mark: u64,
        read: impl FnOnce() -> Result<O>,
    ) -> Result<O> {
        if code.post_return.is_none() && self.store().arena_mark() == arena_mark {
            // There is nothing to end, so large values can be made where they are wanted.
            return read();
        }
        self.read_and_end(code, arena_mark, read)
    }

    #[inline(never)]
    fn read_and_end<O>(
        &self,
        code: EntryCode,
        arena_mark: u64,
        read: impl FnOnce() -> Result<O>,
    ) -> Result<O> {
        /// Ends the call if `read` panics.
        struct Ending<'a>(&'a InstanceData, EntryCode, u64);

        impl Drop for Ending<'_> {
            fn drop(&mut self) {
                // Only reached by a panic, which matters more than what the guest does now.
                let _ = self.0.end_call(self.1, self.2);
            }
        }

        let ending = Ending(self, code, arena_mark);
        let outcome = read();
        std::mem::forget(ending);
        let end = self.end_call(code, arena_mark);
        let value = outcome?;
        end?;
        Ok(value)
    }

    /// Ends a call once its results were read: calls post-return, if the export has one, and gives
    /// back what the results took from the arena.
    ///
    /// # Errors
    /// As [`InstanceData::call`].
    #[inline]
    pub(crate) fn end_call(&self, code: EntryCode, arena_mark: u64) -> Result<()> {
        let result = match code.post_return {
            Some(post_return) => self.call_post_return(post_return),
            None => Ok(()),
        };
        self.store().arena_reset(arena_mark);
        result
    }

    fn call_post_return(&self, post_return: StepEntry) -> Result<()> {
        // SAFETY: the code is the export's post-return.
        self.enter(move |context| unsafe { post_return.call(context) })
    }

    /// Runs the code of a start-up step, if it has any.
    pub(crate) fn run_step(&self, step: u32) -> Result<()> {
        let Some(startup) = self.component.startup(step).and_then(StepEntry::at) else {
            return Ok(());
        };
        let store = self.store();
        let mark = store.arena_mark();
        // SAFETY: the code is that of a start-up step.
        let result = self.enter(move |context| unsafe { startup.call(context) });
        store.arena_reset(mark);
        result.context("instantiation failed")
    }

    /// Calls a function that the component imports, as compiled code would, and then `read` while
    /// its results are valid. Nothing of the component runs, so it need not be enterable. If the
    /// function is not done at once, `wait` waits for its future.
    ///
    /// # Safety
    /// `args` and `results` point to the native structs of the import's parameters and result, and
    /// what the arguments point to is valid during the call.
    ///
    /// # Errors
    /// The host's own error, or that of `read`.
    pub(crate) unsafe fn call_import<O>(
        &self,
        import: ImportId,
        args: *const u8,
        results: *mut u8,
        wait: impl FnOnce(FutureId) -> Result<()>,
        read: impl FnOnce() -> Result<O>,
    ) -> Result<O> {
        /// Drops what the function keeps for its results, also when a panic passes.
        struct ReleaseResults<'s>(&'s StoreInner);

        impl Drop for ReleaseResults<'_> {
            fn drop(&mut self) {
                self.0.release_host_results();
            }
        }

        let store = self.store();
        let slot = self.imports.functions.get(import);
        let supplied = slot.and_then(|slot| Some((slot, HostEntry::at(slot.function as usize)?)));
        let Some((slot, function)) = supplied else {
            bail!("the host supplies no {import}");
        };
        let _release = ReleaseResults(store);
        let mut status = HOST_OK;
        // It is a call of the guest's like any other, which can be interrupted.
        let entered = self.enter(|_| {
            // SAFETY: the slot's function is one that compiled code calls with this signature and
            // the slot's data; the caller vouches for the pointers.
            status =
                unsafe { function.call(slot.data as usize as *const u8, store, args, results) };
            Status::Ok as u32
        });
        if status == HOST_PENDING
            && let Some(future) = store.host_pending.take()
        {
            if let Err(error) = entered.and_then(|()| wait(future)) {
                // The error matters more.
                let _ = store.reactor.remove(future);
                return Err(error);
            }
            // SAFETY: there is room for the result.
            let taken = unsafe { store.reactor.take_result(store, future, results) };
            return taken.map_err(Failure::raise).and_then(|()| read());
        }
        if status == HOST_OK {
            return entered.and_then(|()| read());
        }
        let error = failure::take(store);
        Err(error.unwrap_or_else(|| anyhow!("the host's {import} failed and did not say why")))
    }
}

impl Drop for InstanceData {
    fn drop(&mut self) {
        let slabs = self.slabs.take().expect("only drop takes them");
        let component = &self.component;
        component
            .pool()
            .put(slabs, component.slab_plan(), component.file_start());
    }
}

/// An instance in its store, by number: plain data. Another store may have another of that number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct RawInstance {
    index: u32,
}

/// Names one instance of one store.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct InstanceId {
    store: u64,
    raw: RawInstance,
}

impl InstanceId {
    /// The instance's number in its store.
    pub(crate) fn number(&self) -> u32 {
        self.raw.index
    }

    /// The instance, if it is in this store. `what` says in the error what was used.
    #[inline]
    pub(crate) fn raw(
        &self,
        store: &StoreInner,
        what: impl FnOnce() -> String,
    ) -> Result<RawInstance> {
        match self.raw_in(store) {
            Some(raw) => Ok(raw),
            None => Err(foreign_store(what)),
        }
    }

    /// The instance, if it is in this store.
    #[inline]
    pub(crate) fn raw_in(&self, store: &StoreInner) -> Option<RawInstance> {
        (self.store == store.id()).then_some(self.raw)
    }
}

/// The error for something that was used with another store than its own.
#[cold]
pub(crate) fn foreign_store(what: impl FnOnce() -> String) -> anyhow::Error {
    anyhow!("{}: used with a store that it is not in", what())
}

/// An entry of the host's handle table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct HostHandle {
    /// The resource type.
    pub resource: ResourceId,
    /// Its representation in the guest.
    pub rep: u32,
    /// Whether the host owns it, or holds it for the length of a call.
    pub owned: bool,
}

impl RawInstance {
    /// Instantiates a component.
    ///
    /// # Safety
    /// The slots' functions have the native signatures of the component's imports, and take a store
    /// whose data has the type of this one's.
    ///
    /// # Errors
    /// If a limit is exceeded, the host has no memory, or start-up code traps.
    pub(crate) unsafe fn new(
        store: &StoreInner,
        component: &Component,
        imports: HostImports,
    ) -> Result<RawInstance> {
        let metadata = component.metadata();
        ensure!(
            imports.functions.len() == metadata.imports.len(),
            "the component imports {} functions, the host supplies {}",
            metadata.imports.len(),
            imports.functions.len()
        );
        ensure!(
            imports.destructors.len() == metadata.resources.len(),
            "the component has {} resource types, the host supplies {} destructors",
            metadata.resources.len(),
            imports.destructors.len()
        );
        ensure!(
            metadata.root.core_imports == 0 && metadata.core.is_none(),
            "the artifact holds core modules, not a component"
        );
        let this = Self::map(store, component, imports, &[])?;
        this.data(store).run_step(0)?;
        Ok(this)
    }

    /// Makes an instance of which no code has run yet. The imports are those of the component, as
    /// [`RawInstance::new`] checks. Shared memories that are not `supplied` are made.
    pub(crate) fn map(
        store: &StoreInner,
        component: &Component,
        imports: HostImports,
        supplied: &[(SharedMemoryId, SharedMemory)],
    ) -> Result<RawInstance> {
        let metadata = component.metadata();
        check_limits(store, component)?;
        let declared = metadata.memories.iter().filter_map(|memory| {
            let id = memory.shared()?;
            let found = supplied.iter().find(|(supplied, _)| *supplied == id);
            Some(match found {
                Some((_, memory)) => Ok(memory.clone()),
                None => SharedMemory::declared(memory),
            })
        });
        let shared_memories = declared.collect::<Result<_>>()?;
        let bytes = charge_memory(store, component, supplied)?;
        let slabs = component
            .pool()
            .take(component.slab_plan(), component.file())
            .inspect_err(|_| store.ledger.return_memory(bytes))?;
        let data = Box::new(InstanceData {
            store: NonNull::from(store),
            index: Cell::new(0),
            context: slabs.context(SlabId(0)).as_ptr(),
            component: component.clone(),
            slabs: Some(slabs),
            imports,
            shared_memories,
            handles: HandleTables::new(metadata.root.instances as usize + 1),
            stack_limit: Cell::new(0),
            chain: OnceCell::new(),
            async_part: OnceCell::new(),
            ended: Cell::new(false),
        });
        data.initialise(store);
        let index = store.add_instance(data);
        Ok(RawInstance { index })
    }

    /// The number of an instance.
    pub(crate) fn of(instance: &InstanceData) -> RawInstance {
        RawInstance {
            index: instance.index.get(),
        }
    }

    /// Its name, which no instance of another store has.
    pub(crate) fn id(self, store: &StoreInner) -> InstanceId {
        InstanceId {
            store: store.id(),
            raw: self,
        }
    }

    pub(crate) fn data<'a>(&self, store: &'a StoreInner) -> &'a InstanceData {
        store.instance(self.index)
    }

    /// The component it is an instance of.
    pub(crate) fn component<'a>(&self, store: &'a StoreInner) -> &'a Component {
        &self.data(store).component
    }

    /// Looks up a handle of the host's table.
    pub(crate) fn host_handle(&self, store: &StoreInner, handle: u32) -> Option<HostHandle> {
        let data = self.data(store);
        let table = data.component.metadata().root.host_instance();
        let entry = data.handles.get(table, handle)?;
        let resource = ResourceId(entry.tag >> HandleEntry::RESOURCE_SHIFT);
        let owned = match entry.tag & 0xff {
            HandleEntry::OWN => true,
            HandleEntry::BORROW => false,
            _ => return None,
        };
        Some(HostHandle {
            resource,
            rep: entry.rep,
            owned,
        })
    }

    /// Marks a handle of the host's table as given to the host by the latest call.
    pub(crate) fn mark_host_handle(&self, store: &StoreInner, handle: u32) -> u32 {
        let data = self.data(store);
        let table = data.component.metadata().root.host_instance();
        let generation = store.calls.get();
        data.handles.set_generation(table, handle, generation);
        generation
    }

    /// The mark of a handle of the host's table; `None` if there is no such handle.
    pub(crate) fn host_handle_mark(&self, store: &StoreInner, handle: u32) -> Option<u32> {
        let data = self.data(store);
        let table = data.component.metadata().root.host_instance();
        Some(data.handles.get(table, handle)?.extra)
    }

    /// Removes a handle from the host's table and, if it was owned and the resource has a
    /// destructor, runs that.
    ///
    /// # Errors
    /// If there is no such handle, it is lent, or the destructor traps. While the component runs,
    /// all that the host owns may be lent to it.
    pub(crate) fn drop_resource(&self, store: &StoreInner, handle: u32) -> Result<()> {
        let data = self.data(store);
        let trap = |code| Trap::new(code, u64::from(handle), WasmBacktrace::default());
        let Some(found) = self.host_handle(store, handle) else {
            return Err(trap(TrapCode::UnknownHostHandle).into());
        };
        let table = data.component.metadata().root.host_instance();
        if data.handles.get(table, handle).is_some_and(|e| e.lends > 0) {
            return Err(trap(TrapCode::HandleLent).into());
        }
        // While the component runs, its destructor may not; and without one, the handle may be lent
        // to the call that runs, which is written down only where compiled code could see it.
        if found.owned && data.is_entered() {
            return Err(trap(TrapCode::CannotEnter).into());
        }
        let destructor = data.component.destructor(found.resource);
        let destructor = destructor.and_then(DropEntry::at).filter(|_| found.owned);
        data.handles.free(data, table, handle);
        let Some(destructor) = destructor else {
            return Ok(());
        };
        let mark = store.arena_mark();
        // SAFETY: the code is the entry to that resource's destructor.
        let result = data.enter(move |context| unsafe { destructor.call(context, found.rep) });
        store.arena_reset(mark);
        result
    }
}
