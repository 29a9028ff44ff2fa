//! Slabs, the context, the root and handle tables: every offset that compiled code and runtime
//! share.
//!
//! ```text
//! low   ┌──────────────────────────┐ ← root address = ctx - ROOT_DISTANCE
//!       │ root                      │   RootHeader, then what RootLayout places
//!       ├──────────────────────────┤
//!       │ inaccessible, over 4 GiB  │
//!       ├──────────────────────────┤ ← ctx - context size
//!       │ context, cold part        │   tables, cold globals
//!       │ context, hot header       │   last 128 bytes
//! ctx → ├──────────────────────────┤   aligned to CONTEXT_ALIGNMENT; address 0 of the memory
//!       │ linear memory             │   MEMORY_RESERVATION, then MEMORY_GUARD
//! high  └──────────────────────────┘
//! ```
//!
//! The context pointer is the memory base. No index a guest can form reaches the root, even through
//! a mis-extended (negative) address, which reaches at most 4 GiB below the context.

use crate::ids::{ComponentInstanceId, CoreImportId, ImportId, MemoryId, SharedMemoryId, TableId};
use serde::{Deserialize, Serialize};

/// Bytes between a slab's root and its context pointer: over 4 GiB plus the largest root and
/// context. The odd mebibyte keeps the join of context and memory inside one 2 MiB page-table
/// range.
pub const ROOT_DISTANCE: u64 = (5 << 30) + (1 << 20);
/// Largest size of a root plus a context, so that more than 4 GiB stay inaccessible between them.
pub const ROOT_AND_CONTEXT_LIMIT: u64 = 1 << 30;
/// Address space of a guard-page memory.
pub const MEMORY_RESERVATION: u64 = 4 << 30;
/// Most address space of a 64-bit memory that has the last slab, behind which there is room.
pub const LARGE_MEMORY_RESERVATION: u64 = 64 << 30;
/// No memory is longer than this many bytes unless its minimum or its declared maximum is. So an
/// index near one that was accessed does not wrap around.
pub const MEMORY_GROWTH_LIMIT: u64 = MEMORY_RESERVATION - (64 << 10);
/// Inaccessible bytes after it: accesses whose static offset plus width is at most this many bytes
/// need no check; the others are checked explicitly.
pub const MEMORY_GUARD: u64 = 2 << 30;
/// Distance between the contexts of neighbouring slabs of one component instance.
pub const SLAB_STRIDE: u64 = ROOT_DISTANCE + MEMORY_RESERVATION + MEMORY_GUARD + (1 << 20);
/// Most slabs of a component: they fit the address space with room for others.
pub const MAX_SLABS: usize = 1000;
/// Alignment of the context pointer: works with any page size up to this.
pub const CONTEXT_ALIGNMENT: u64 = 64 << 10;
/// Alignment of the artifact's segments and of image extents, in the file and in slabs: the page
/// size of x86-64, the only target so far. (A target with several page sizes takes its largest;
/// padding every segment to 64 KiB here would make small artifacts several times larger.)
pub const PAGE_ALIGNMENT: u64 = 4 << 10;
/// Bytes of a Wasm page.
pub const WASM_PAGE: u64 = 64 << 10;
/// Size of the context's hot part, reached with 8-bit displacements.
pub const HOT_CONTEXT_SIZE: i32 = 128;
/// Guard bytes a guest stack keeps below its limit for the runtime's builtins and host functions.
pub const STACK_RESERVE_FOR_HOST: u64 = 256 << 10;
/// Most bytes of a native stack that guest code uses, whatever the store's limit: distances on it
/// have names of 32 bits (see [`HandleEntry::extra`]).
pub const GUEST_STACK_LIMIT: u64 = 16 << 30;
/// log2 of the steps in which those distances are counted.
pub const BORROW_SCOPE_STEP_LOG2: u32 = 3;
const _: () = assert!(GUEST_STACK_LIMIT >> BORROW_SCOPE_STEP_LOG2 < u32::MAX as u64);

/// Offset of a field from the context pointer; always negative.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct ContextOffset(pub i32);

/// Offset of a field from a root's address; never negative.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct RootOffset(pub u32);

impl RootOffset {
    /// The same place as a displacement from the context pointer of the root's slab.
    pub fn from_context(self) -> i64 {
        i64::from(self.0) - ROOT_DISTANCE as i64
    }
}

/// The stack limit (`u64` address), which every prologue compares the stack pointer with.
pub const CONTEXT_STACK_LIMIT: ContextOffset = ContextOffset(-8);
/// The length of the slab's memory in bytes (`u64`); advisory for a guard-page memory.
pub const CONTEXT_MEMORY_LENGTH: ContextOffset = ContextOffset(-16);
/// Hot globals go below this offset.
pub const CONTEXT_HOT_GLOBALS_END: i32 = -16;

/// What a native-call entry returns.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum Status {
    /// It returned normally.
    Ok = 0,
    /// It trapped; the store holds the trap.
    Trap = 1,
    /// Not started: the component is running or has trapped (see [`RootHeader::entry_sp`]).
    CannotEnter = 2,
}

/// What a host function returns to a lowered import.
///
/// The function is `extern "C" fn(data, caller, args, results) -> u32`: `data` from the import's
/// slot, `caller` from [`RootHeader::store`] of slab 0, `args` and `results` pointers to the
/// native-layout structs of the function's parameters and result.
pub const HOST_OK: u32 = 0;
/// The host function failed and left its error in the store; the trampoline raises
/// [`crate::trap::TrapCode::HostError`].
pub const HOST_ERROR: u32 = 1;
/// The host function is not done; the store holds its future. Only of functions that are imported
/// with an `async` type.
pub const HOST_PENDING: u32 = 2;

/// The head of every slab's root.
///
/// Fields marked *slab 0* mean something only there. All fields are written by the runtime before
/// any code runs, except where said.
#[repr(C)]
#[derive(Debug)]
pub struct RootHeader {
    /// The runtime's store; passed to host functions as `caller`.
    pub store: u64,
    /// Zero.
    pub reserved_words: [u64; 2],
    /// *Slab 0.* The activation record: the stack pointer of the innermost entry at its `try_call`,
    /// or 0. It is a component's lock too. 0: it may be entered; otherwise it is running, a result
    /// view is live, or it has trapped. Set by [`crate::key::FuncKey::ExportEntry`]'s wrapper,
    /// cleared by it (exports without post-return) or by [`crate::key::FuncKey::PostReturn`]; a
    /// trap leaves it set. Entries of core instances, which do not lock, restore the previous value
    /// on every way out.
    pub entry_sp: u64,
    /// *Slab 0.* Non-zero: an interruption is pending; tested after unbounded builtins and host
    /// calls.
    pub interrupt: u32,
    /// *Slab 0.* 1 + the component instance of the innermost synchronously typed call that runs on
    /// the active stack, in a component with an asynchronous part; 0 if the stack's own task runs.
    pub barrier: u32,
    /// The true length in bytes of this slab's memory, written by the runtime.
    pub memory_length: u64,
    /// *Slab 0.* The address of the embedder's data (`T` of `Store<T>`).
    pub store_data: u64,
    /// *Slab 0.* The flat core result of the last export call that awaits its post-return.
    pub post_return_value: u64,
    /// The runtime's record of the component instance.
    pub instance: u64,
    /// *Slab 0.* The arena's mark from before the last export call whose result lies in the arena;
    /// given back when the result was read.
    pub post_return_arena_mark: u64,
    /// *Slab 0.* How often `thread.yield` still returns at once, since nobody else can go on; in a
    /// component with an asynchronous part. Counted down by compiled code.
    pub yields: u32,
    /// Zero.
    pub reserved_half: u32,
    /// Zero.
    pub reserved: [u64; 4],
}

/// Offsets of [`RootHeader`]'s fields for code generation.
pub mod root {
    use super::{RootHeader, RootOffset};
    use std::mem::offset_of;

    /// [`RootHeader::store`].
    pub const STORE: RootOffset = RootOffset(offset_of!(RootHeader, store) as u32);
    /// [`RootHeader::entry_sp`].
    pub const ENTRY_SP: RootOffset = RootOffset(offset_of!(RootHeader, entry_sp) as u32);
    /// [`RootHeader::interrupt`].
    pub const INTERRUPT: RootOffset = RootOffset(offset_of!(RootHeader, interrupt) as u32);
    /// [`RootHeader::barrier`].
    pub const BARRIER: RootOffset = RootOffset(offset_of!(RootHeader, barrier) as u32);
    /// [`RootHeader::yields`].
    pub const YIELDS: RootOffset = RootOffset(offset_of!(RootHeader, yields) as u32);
    /// [`RootHeader::memory_length`].
    pub const MEMORY_LENGTH: RootOffset = RootOffset(offset_of!(RootHeader, memory_length) as u32);
    /// [`RootHeader::store_data`].
    pub const STORE_DATA: RootOffset = RootOffset(offset_of!(RootHeader, store_data) as u32);
    /// [`RootHeader::post_return_value`].
    pub const POST_RETURN_VALUE: RootOffset =
        RootOffset(offset_of!(RootHeader, post_return_value) as u32);
    /// [`RootHeader::post_return_arena_mark`].
    pub const POST_RETURN_ARENA_MARK: RootOffset =
        RootOffset(offset_of!(RootHeader, post_return_arena_mark) as u32);
}

/// A host import's slot in slab 0's root.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct ImportSlot {
    /// Address of the host function (see [`HOST_OK`]).
    pub function: u64,
    /// Its `data` argument.
    pub data: u64,
}

/// Run-time state of one component instance, in slab 0's root.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct InstanceState {
    /// [`InstanceState::MAY_LEAVE`].
    pub flags: u32,
    /// Borrowed handles that the current task of this instance still holds; 0 in an instance that
    /// can be called back, where each task has a count of its own (see [`HandleEntry::extra`]).
    pub borrows: u32,
    /// The instance's handle table.
    pub handles: HandleTable,
}

impl InstanceState {
    /// Flag: canonical built-ins and lowered imports may be called.
    pub const MAY_LEAVE: u32 = 1;
}

/// What of a component instance belongs to the active stack, in a component with an asynchronous
/// part: a switch of stacks changes it. In slab 0's root.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct InstanceCells {
    /// The address of the [`crate::tasks::TaskRecord`] of the task that runs in the instance, or 0
    /// if that is a synchronously typed call.
    pub task: u64,
    /// `context.get` and `context.set` of the thread that runs in the instance.
    pub slots: [u64; 2],
}

/// Header of a handle table. Entries are [`HandleEntry`]s; index 0 is never handed out.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct HandleTable {
    /// Address of the entries; stable until a growth.
    pub entries: u64,
    /// Number of entries, entry 0 included.
    pub capacity: u32,
    /// The most recently freed entry's index, or 0 when a growth is needed
    /// ([`crate::builtin::Builtin::HandleTableGrow`], which links the new entries in ascending
    /// order).
    pub free_head: u32,
}

/// One entry of a handle table: a tagged union. 16 bytes.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct HandleEntry {
    /// What the entry is: kind in the low 8 bits, [`crate::ids::ResourceId`] above for resources.
    pub tag: u32,
    /// How often a resource's handle is lent now, where something can see it.
    pub lends: u32,
    /// Representation; in a free entry, the index of the next free entry or 0.
    pub rep: u32,
    /// In the host's table: which call gave the host this handle, so that a later handle of the
    /// same index is told from it. Of a borrowed handle in an instance that can be called back:
    /// where its task counts it, as the distance below [`RootHeader::entry_sp`] in steps of
    /// 2^[`BORROW_SCOPE_STEP_LOG2`] bytes.
    pub extra: u32,
}

impl HandleEntry {
    /// log2 of an entry's size.
    pub const SIZE_LOG2: u32 = 4;
    /// Kind: free.
    pub const FREE: u32 = 0;
    /// Kind: an owned resource.
    pub const OWN: u32 = 1;
    /// Kind: a borrowed resource.
    pub const BORROW: u32 = 2;
    /// Kind: an error context.
    pub const ERROR_CONTEXT: u32 = 3;
    /// Kind: a subtask.
    pub const SUBTASK: u32 = 4;
    /// Kind: the readable end of a stream; the [`crate::ids::TypeId`] of the stream is above it.
    pub const STREAM_READER: u32 = 5;
    /// Kind: the writable end of a stream, likewise.
    pub const STREAM_WRITER: u32 = 6;
    /// Kind: the readable end of a future, likewise.
    pub const FUTURE_READER: u32 = 7;
    /// Kind: the writable end of a future, likewise.
    pub const FUTURE_WRITER: u32 = 8;
    /// Kind: a waitable set.
    pub const WAITABLE_SET: u32 = 9;
    /// Where the resource's number starts in the tag.
    pub const RESOURCE_SHIFT: u32 = 8;

    /// The tag of an owned or borrowed handle.
    pub const fn tag(kind: u32, resource: crate::ids::ResourceId) -> u32 {
        kind | resource.0 << Self::RESOURCE_SHIFT
    }
}

/// A growable table's state in its slab's root.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct TableState {
    /// Current length in entries.
    pub length: u64,
}

/// How a store reaches a memory that is shared between threads.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct SharedMemoryState {
    /// The address of its byte 0. The reservation and the guard are those of any memory.
    pub base: u64,
    /// The address of its length in bytes, a `u64` that grows while other threads run.
    pub length: u64,
}

/// The value of one core parameter or result in the array-call convention; little-endian.
#[repr(C, align(16))]
#[derive(Clone, Copy)]
pub union ValRaw {
    /// `i32`.
    pub i32: i32,
    /// `i64`.
    pub i64: i64,
    /// `f32`, as bits.
    pub f32: u32,
    /// `f64`, as bits.
    pub f64: u64,
    /// `v128`, as bytes.
    pub v128: [u8; 16],
    /// A function id; 0 is null.
    pub funcref: u32,
    /// An external reference's id; 0 is null.
    pub externref: u32,
}

/// Where things are in slab 0's root after its header; a pure function of the counts.
///
/// All state of component instances, host imports, growable tables and run-time segments of a
/// component is in slab 0's root, whatever slab its users have: the distance is a constant.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct RootLayout {
    /// Component instances; one more [`InstanceState`] follows them: the host's handle table.
    pub instances: u32,
    /// Functions imported from the host.
    pub imports: u32,
    /// Core functions imported from the host (lone modules and scripts only).
    pub core_imports: u32,
    /// Tables of the component.
    pub tables: u32,
    /// Memories of the component.
    pub memories: u32,
    /// Run-time data segments.
    pub data_segments: u32,
    /// Run-time element segments.
    pub element_segments: u32,
    /// Memories that are shared between threads.
    pub shared_memories: u32,
    /// Component instances with [`InstanceCells`]: all of them in a component with an asynchronous
    /// part, none in others.
    pub cells: u32,
}

const fn size_u32<T>() -> u32 {
    size_of::<T>() as u32
}

impl RootLayout {
    fn instances_start(&self) -> u32 {
        size_u32::<RootHeader>()
    }
    fn imports_start(&self) -> u32 {
        self.instances_start() + (self.instances + 1) * size_u32::<InstanceState>()
    }
    fn core_imports_start(&self) -> u32 {
        self.imports_start() + self.imports * size_u32::<ImportSlot>()
    }
    fn tables_start(&self) -> u32 {
        self.core_imports_start() + self.core_imports * size_u32::<ImportSlot>()
    }
    fn memories_start(&self) -> u32 {
        self.tables_start() + self.tables * size_u32::<TableState>()
    }
    fn data_start(&self) -> u32 {
        self.memories_start() + self.memories * 8
    }
    fn elements_start(&self) -> u32 {
        self.data_start() + self.data_segments * 8
    }

    fn shared_memories_start(&self) -> u32 {
        self.elements_start() + self.element_segments * 8
    }

    fn cells_start(&self) -> u32 {
        self.shared_memories_start() + self.shared_memories * size_u32::<SharedMemoryState>()
    }

    /// Bytes of slab 0's root. (Other slabs' roots are just a [`RootHeader`].)
    pub fn size(&self) -> u32 {
        self.cells_start() + self.cells * size_u32::<InstanceCells>()
    }

    /// The [`InstanceCells`] of a component instance, where there are any.
    pub fn cells(&self, id: ComponentInstanceId) -> RootOffset {
        RootOffset(self.cells_start() + id.0 * size_u32::<InstanceCells>())
    }

    /// The [`InstanceState`] of a component instance.
    pub fn instance(&self, id: ComponentInstanceId) -> RootOffset {
        RootOffset(self.instances_start() + id.0 * size_u32::<InstanceState>())
    }

    /// The number that [`crate::builtin::Builtin::HandleTableGrow`] knows the host's handle table
    /// by: one past the last component instance.
    pub fn host_instance(&self) -> ComponentInstanceId {
        ComponentInstanceId(self.instances)
    }

    /// The [`ImportSlot`] of a host import.
    pub fn import(&self, id: ImportId) -> RootOffset {
        RootOffset(self.imports_start() + id.0 * size_u32::<ImportSlot>())
    }

    /// The [`ImportSlot`] of a core import. Its function is
    /// `extern "C" fn(data, caller, values: *mut ValRaw, len: usize) -> u32` and returns
    /// [`HOST_OK`] or [`HOST_ERROR`]; see `WasmToArray`.
    pub fn core_import(&self, id: CoreImportId) -> RootOffset {
        RootOffset(self.core_imports_start() + id.0 * size_u32::<ImportSlot>())
    }

    /// The [`TableState`] of a table.
    pub fn table(&self, id: TableId) -> RootOffset {
        RootOffset(self.tables_start() + id.0 * size_u32::<TableState>())
    }

    /// The [`SharedMemoryState`] of a memory that is shared between threads.
    pub fn shared_memory(&self, id: SharedMemoryId) -> RootOffset {
        RootOffset(self.shared_memories_start() + id.0 * size_u32::<SharedMemoryState>())
    }

    /// The current length in bytes (`u64`) of a memory; not used for a shared one.
    pub fn memory(&self, id: MemoryId) -> RootOffset {
        RootOffset(self.memories_start() + id.0 * 8)
    }

    /// The current length in bytes (`u64`) of a run-time data segment: 0 once dropped.
    pub fn data_segment(&self, id: crate::ids::DataSegmentId) -> RootOffset {
        RootOffset(self.data_start() + id.0 * 8)
    }

    /// The current length in entries (`u64`) of a run-time element segment: 0 once dropped.
    pub fn element_segment(&self, id: crate::ids::ElementSegmentId) -> RootOffset {
        RootOffset(self.elements_start() + id.0 * 8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layouts_are_pinned() {
        assert_eq!(size_of::<RootHeader>(), 120);
        assert_eq!(root::ENTRY_SP, RootOffset(24));
        assert_eq!(root::MEMORY_LENGTH, RootOffset(40));
        assert_eq!(size_of::<HandleEntry>(), 1 << HandleEntry::SIZE_LOG2);
        assert_eq!(size_of::<InstanceState>(), 24);
        assert_eq!(size_of::<ImportSlot>(), 16);
        assert_eq!(size_of::<ValRaw>(), 16);
        assert_eq!(ROOT_DISTANCE % CONTEXT_ALIGNMENT, 0);
        assert_eq!(SLAB_STRIDE % CONTEXT_ALIGNMENT, 0);
        // No 32-bit index, sign-extended by mistake, reaches a root.
        const { assert!(ROOT_DISTANCE - ROOT_AND_CONTEXT_LIMIT > 4 << 30) };
    }

    #[test]
    fn root_parts_do_not_overlap() {
        let layout = RootLayout {
            instances: 3,
            imports: 5,
            core_imports: 2,
            tables: 2,
            memories: 2,
            data_segments: 1,
            element_segments: 4,
            shared_memories: 1,
            cells: 3,
        };
        assert_eq!(layout.instance(ComponentInstanceId(0)).0, 120);
        assert_eq!(layout.import(ImportId(0)).0, 120 + 4 * 24);
        assert_eq!(
            layout.core_import(CoreImportId(0)).0,
            layout.import(ImportId(5)).0
        );
        assert_eq!(
            layout.table(TableId(0)).0,
            layout.core_import(CoreImportId(2)).0
        );
        assert_eq!(layout.memory(MemoryId(0)).0, layout.table(TableId(2)).0);
        assert_eq!(
            layout.size(),
            120 + 4 * 24 + 5 * 16 + 2 * 16 + 2 * 8 + 2 * 8 + 8 + 4 * 8 + 16 + 3 * 24
        );
    }
}
