//! Services that compiled code calls; [`Builtin`] has their contracts.
//!
//! They are called in the middle of guest code, so they never unwind: what can fail says so by its
//! result. Those that take a root trust it: it comes from compiled code, not from the guest.

use crate::machine::activation::Activation;
use crate::machine::exceptions::{throw, throw_ref};
use crate::machine::failure;
use crate::machine::instance::InstanceData;
use crate::machine::interrupt::is_interrupted;
use crate::machine::limits::LimitReached;
use crate::machine::steps::{self, look};
use crate::machine::store::{Lend, StoreInner};
use crate::machine::transcode;
use crate::machine::traps::{GuestFrame, leave, raise};
use crate::machine::wait::park;
use crate::memory::growth::grown;
use crate::memory::mapping::{round_to_pages, sealed_copy};
use crate::memory::shared_memory::SharedMemory;
use crate::messages::{ItemKind, display_item};
use crate::native::NativeSlice;
use anyhow::Result;
use std::convert::identity;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::ptr::NonNull;
use std::sync::OnceLock;
use trampette_artifact::builtin::{Builtin, LONG};
use trampette_artifact::ids::{ComponentInstanceId, MemoryId, ResourceId, TableId};
use trampette_artifact::layout::{HOST_OK, RootHeader, TableState};
use trampette_artifact::metadata::{MemoryPlace, Resource};
use trampette_artifact::trap::TrapCode;

/// A file of one page that begins with the addresses of all builtins in this process, in the order
/// of [`Builtin::ALL`]: what every artifact's `.got.trampette` holds here. `above` knows those of
/// rooms above this one, and is the same in all calls.
///
/// # Errors
/// If the file cannot be made.
pub(crate) fn page(above: fn(Builtin) -> Option<*const ()>) -> Result<&'static OwnedFd> {
    static PAGE: OnceLock<OwnedFd> = OnceLock::new();
    if let Some(page) = PAGE.get() {
        return Ok(page);
    }
    let addresses = Builtin::ALL.iter().flat_map(|builtin| {
        let address = address(*builtin).or_else(|| above(*builtin));
        let address = address.map_or(0, |address| address.expose_provenance() as u64);
        address.to_ne_bytes()
    });
    let mut contents: Vec<u8> = addresses.collect();
    contents.resize(round_to_pages(contents.len()), 0);
    let page = sealed_copy(|file| Ok(file.write_all(&contents)?))?;
    Ok(PAGE.get_or_init(|| page))
}

/// The address of a builtin of this room.
fn address(builtin: Builtin) -> Option<*const ()> {
    Some(match builtin {
        Builtin::Raise => raise as *const (),
        Builtin::MemoryGrow => steps::memory_grow as *const (),
        Builtin::TableGrow => steps::table_grow as *const (),
        Builtin::TableFill => steps::table_fill as *const (),
        Builtin::MemoryMove => steps::memory_move as *const (),
        Builtin::MemorySet => steps::memory_set as *const (),
        Builtin::HandleTableGrow => steps::handle_table_grow as *const (),
        Builtin::HostResourceDrop => host_resource_drop as *const (),
        Builtin::ArenaAllocate => steps::arena_allocate as *const (),
        Builtin::ArenaMark => arena_mark as *const (),
        Builtin::ArenaReset => arena_reset as *const (),
        Builtin::HostResultsRelease => host_results_release as *const (),
        Builtin::Utf8Validate => steps::utf8_validate as *const (),
        Builtin::AsciiValidate => steps::ascii_validate as *const (),
        Builtin::Utf16ToUtf8 => steps::utf16_to_utf8 as *const (),
        Builtin::Latin1ToUtf8 => steps::latin1_to_utf8 as *const (),
        Builtin::Utf8ToUtf16 => steps::utf8_to_utf16 as *const (),
        Builtin::Utf8ToLatin1 => steps::utf8_to_latin1 as *const (),
        Builtin::Latin1WidenInPlace => steps::latin1_widen_in_place as *const (),
        Builtin::Utf16NarrowInPlace => steps::utf16_narrow_in_place as *const (),
        Builtin::Utf16Validate => steps::utf16_validate as *const (),
        Builtin::Utf16ToLatin1 => steps::utf16_to_latin1 as *const (),
        Builtin::Latin1ToUtf16 => steps::latin1_to_utf16 as *const (),
        Builtin::CharsValidate => steps::chars_validate as *const (),
        Builtin::BoolsNormalise => steps::bools_normalise as *const (),
        Builtin::LendPush => steps::lend_push as *const (),
        Builtin::LendMark => lend_mark as *const (),
        Builtin::LendRelease => lend_release as *const (),
        Builtin::Utf16ToAscii => steps::utf16_to_ascii as *const (),
        Builtin::AsciiCopy => steps::ascii_copy as *const (),
        Builtin::Utf8Copy => steps::utf8_copy as *const (),
        Builtin::EnumsValidate => steps::enums_validate as *const (),
        Builtin::BitsMask => steps::bits_mask as *const (),
        Builtin::Throw => throw as *const (),
        Builtin::ThrowRef => throw_ref as *const (),
        Builtin::AtomicWait32 => steps::atomic_wait32 as *const (),
        Builtin::AtomicWait64 => steps::atomic_wait64 as *const (),
        Builtin::ErrorContextNew => steps::error_context_new as *const (),
        Builtin::ErrorContextShare => steps::error_context_share as *const (),
        Builtin::ErrorContextDrop => steps::error_context_drop as *const (),
        Builtin::ErrorContextMessage => steps::error_context_message as *const (),
        Builtin::AtomicNotify => steps::atomic_notify as *const (),
        Builtin::MemoryMoveLong => memory_move_long as *const (),
        Builtin::MemorySetLong => memory_set_long as *const (),
        Builtin::TableFillLong => table_fill_long as *const (),
        _ => return None,
    })
}

/// What a root leads to.
///
/// # Safety
/// `root` is the root of a live instance whose guest code is waiting in this call.
unsafe fn instance<'a>(root: *const RootHeader) -> (&'a StoreInner, &'a InstanceData) {
    // SAFETY: promised; the runtime wrote both fields, and both outlive the call.
    unsafe {
        let store = (*root).store as *const StoreInner;
        let instance = (*root).instance as *const InstanceData;
        (&*store, &*instance)
    }
}

const FAILED: u64 = u64::MAX;

pub(super) unsafe extern "C" fn memory_grow(
    root: *const RootHeader,
    memory: u32,
    delta: u64,
) -> u64 {
    // SAFETY: called by compiled code.
    let (store, instance) = unsafe { instance(root) };
    grow_memory(store, instance, MemoryId(memory), delta).unwrap_or(FAILED)
}

/// Keeps it if the store's limit is why a memory cannot grow: `unlimited` is its length without.
fn note_memory_limit(store: &StoreInner, unlimited: Option<u64>, limit: u64) {
    if unlimited.is_some_and(|new| new > limit) {
        store
            .limit_reached
            .set(Some(LimitReached::Memory { limit }));
    }
}

/// Makes a memory `delta` pages longer; its length before, in pages, or `None` if it cannot.
pub(crate) fn grow_memory(
    store: &StoreInner,
    instance: &InstanceData,
    id: MemoryId,
    delta: u64,
) -> Option<u64> {
    let metadata = instance.component.metadata();
    let declared = &metadata.memories[id];
    let limits = store.limits.get();
    let limit = limits.memory_bytes;
    let old = instance.memory_length(id);
    let grown = |limit| grown(declared, metadata.slabs.len(), old, delta, limit);
    let Some(new) = grown(limit) else {
        note_memory_limit(store, grown(u64::MAX), limit);
        return None;
    };
    if !store.ledger.charge_memory(new - old, &limits) {
        let limit = limits.total_memory_bytes;
        let reached = LimitReached::TotalMemory { limit };
        store.limit_reached.set(Some(reached));
        return None;
    }
    let before = match declared.place {
        MemoryPlace::Shared(id) => instance.shared_memories[id].grow_within(delta, limit),
        MemoryPlace::Slab(slab) => {
            let plan = instance.component.slab_plan();
            let grown = instance.slabs().grow_memory(plan, slab, old, new);
            grown.ok().map(|()| {
                instance.set_memory_length(slab, id, new);
                old >> declared.page_size_log2
            })
        }
    };
    if before.is_none() {
        store.ledger.return_memory(new - old);
    }
    before
}

pub(super) unsafe extern "C" fn table_grow(
    root: *const RootHeader,
    table: u32,
    value: u32,
    delta: u64,
    _: u64,
    frame: *const GuestFrame,
) -> u64 {
    // SAFETY: called by compiled code.
    let (store, instance) = unsafe { instance(root) };
    // SAFETY: compiled code grows with values of the table's type, through a stub. A table that is
    // left while it grows has its old length.
    unsafe {
        let looking = || look(frame);
        grow_table(store, instance, TableId(table), value, delta, looking).unwrap_or(FAILED)
    }
}

/// Makes a table `delta` entries longer; its length before, or `None` if it cannot. Calls `look`
/// first and now and then, which may leave.
///
/// # Safety
/// `value` is null or the id of something of the table's element type.
pub(crate) unsafe fn grow_table(
    store: &StoreInner,
    instance: &InstanceData,
    id: TableId,
    value: u32,
    delta: u64,
    look: impl Fn(),
) -> Option<u64> {
    // Also for a loop of calls that fail, or add nothing.
    look();
    let metadata = instance.component.metadata();
    let declared = &metadata.tables[id];
    let state = instance.root_field::<TableState>(metadata.root.table(id));
    // SAFETY: inside the root.
    let old = unsafe { state.read() }.length;
    let limits = store.limits.get();
    let limit = limits.table_entries;
    let maximum = declared.capacity.min(limit);
    let new = old
        .checked_add(delta)
        .filter(|new| *new == old || *new <= declared.capacity)?;
    if new != old && new > maximum {
        store.limit_reached.set(Some(LimitReached::Table { limit }));
        return None;
    }
    if !store
        .ledger
        .charge_memory(delta * size_of::<u32>() as u64, &limits)
    {
        let limit = limits.total_memory_bytes;
        let reached = LimitReached::TotalMemory { limit };
        store.limit_reached.set(Some(reached));
        return None;
    }
    let context = instance.slabs().context(declared.slab);
    // SAFETY: the table's capacity is inside its context, which was checked when loading.
    unsafe {
        let entries = context.offset(declared.offset as isize).cast::<u32>();
        let grown = entries.add(old as usize).as_ptr();
        let grown = std::slice::from_raw_parts_mut(grown, (new - old) as usize);
        for (index, part) in grown.chunks_mut(LONG as usize).enumerate() {
            if index > 0 {
                look();
            }
            part.fill(value);
        }
        state.write(TableState { length: new });
    }
    Some(old)
}

pub(super) unsafe extern "C" fn table_fill(first: *mut u32, value: u32, count: u64) {
    if count > 0 {
        // SAFETY: compiled code checked the bounds; table slots are aligned.
        unsafe { std::slice::from_raw_parts_mut(first, count as usize).fill(value) };
    }
}

unsafe extern "C" {
    // The platform's own: compiled code calls them without anything in between. The bounds were
    // checked, and what they return is ignored.
    pub(super) fn memmove(destination: *mut u8, source: *const u8, bytes: usize) -> *mut u8;
    pub(super) fn memset(destination: *mut u8, byte: i32, bytes: usize) -> *mut u8;
}

/// Which end a long operation begins at.
#[derive(Clone, Copy)]
enum Direction {
    Forwards,
    Backwards,
}

/// Does something in steps over `0..count` until there is an interrupt; 1 if there was.
///
/// # Safety
/// As of [`instance`].
unsafe fn in_steps(
    root: *const RootHeader,
    count: u64,
    direction: Direction,
    mut step: impl FnMut(usize, usize),
) -> u32 {
    // SAFETY: promised. The outermost call of the store is what is interrupted.
    let (_, instance) = unsafe { instance(root) };
    let mut done = 0;
    while done < count {
        if is_interrupted(instance) {
            return 1;
        }
        let length = LONG.min(count - done);
        let start = match direction {
            Direction::Forwards => done,
            Direction::Backwards => count - done - length,
        };
        step(start as usize, length as usize);
        done += length;
    }
    0
}

unsafe extern "C" fn memory_move_long(
    root: *const RootHeader,
    to: *mut u8,
    from: *const u8,
    bytes: u64,
) -> u32 {
    // Where they overlap, what is yet to be read must not be written.
    let direction = match to.addr() > from.addr() {
        true => Direction::Backwards,
        false => Direction::Forwards,
    };
    // SAFETY: called by compiled code, which checked the bounds.
    unsafe {
        in_steps(root, bytes, direction, |at, length| {
            memmove(to.add(at), from.add(at), length);
        })
    }
}

unsafe extern "C" fn memory_set_long(
    root: *const RootHeader,
    to: *mut u8,
    byte: i32,
    bytes: u64,
) -> u32 {
    // SAFETY: called by compiled code, which checked the bounds.
    unsafe {
        in_steps(root, bytes, Direction::Forwards, |at, length| {
            memset(to.add(at), byte, length);
        })
    }
}

unsafe extern "C" fn table_fill_long(
    root: *const RootHeader,
    first: *mut u32,
    value: u32,
    count: u64,
) -> u32 {
    // SAFETY: called by compiled code, which checked the bounds.
    unsafe {
        in_steps(root, count, Direction::Forwards, |at, length| {
            table_fill(first.add(at), value, length as u64);
        })
    }
}

pub(super) unsafe extern "C" fn handle_table_grow(
    root: *const RootHeader,
    table: u32,
    _: u64,
    _: u64,
    _: u64,
    frame: *const GuestFrame,
) -> u32 {
    // SAFETY: called by compiled code through a stub, with nothing here to drop.
    unsafe { look(frame) };
    // SAFETY: called by compiled code.
    let (store, instance) = unsafe { instance(root) };
    let grown = instance
        .handles
        .grow(instance, store, ComponentInstanceId(table));
    if let Err(code) = grown {
        // SAFETY: as above.
        unsafe { leave(frame, code) };
    }
    u32::from(grown.is_err())
}

unsafe extern "C" fn host_resource_drop(root: *const RootHeader, resource: u32, rep: u32) -> u32 {
    // SAFETY: called by compiled code.
    let (store, instance) = unsafe { instance(root) };
    let resource = ResourceId(resource);
    let destructor = instance.imports.destructors.get(resource);
    let Some(Some(destructor)) = destructor else {
        return HOST_OK;
    };
    let name = |error: anyhow::Error| {
        let metadata = instance.component.metadata();
        let item = match metadata.resources.get(resource) {
            Some(Resource::Imported { path }) => display_item("import", ItemKind::Resource, path),
            _ => resource.to_string(),
        };
        error.context(format!("{item}: destructor"))
    };
    failure::contain(store, name, || destructor(store, rep))
}

pub(super) unsafe extern "C" fn arena_allocate(
    root: *const RootHeader,
    size: u64,
    align: u64,
) -> u64 {
    // SAFETY: called by compiled code.
    let (store, _) = unsafe { instance(root) };
    store
        .arena_allocate(size, align)
        .map_or(0, |address| address.as_ptr().expose_provenance() as u64)
}

unsafe extern "C" fn arena_mark(root: *const RootHeader) -> u64 {
    // SAFETY: called by compiled code.
    unsafe { instance(root) }.0.arena_mark()
}

unsafe extern "C" fn arena_reset(root: *const RootHeader, mark: u64) {
    // SAFETY: called by compiled code.
    unsafe { instance(root) }.0.arena_reset(mark);
}

unsafe extern "C" fn host_results_release(root: *const RootHeader) {
    // SAFETY: called by compiled code.
    let (store, _) = unsafe { instance(root) };
    // Destructors of the embedder's values may panic, which must not unwind through the guest. The
    // payload goes to the next trap of this store, if there is one; the process's panic hook has
    // reported it in any case.
    failure::contain(store, identity, || {
        store.release_host_results();
        Ok(())
    });
}

pub(super) unsafe extern "C" fn lend_push(
    root: *const RootHeader,
    table: u32,
    handle: u32,
    _: u64,
    _: u64,
    frame: *const GuestFrame,
) {
    // SAFETY: called by compiled code through a stub, with nothing here to drop.
    unsafe { look(frame) };
    // SAFETY: called by compiled code.
    let (store, instance) = unsafe { instance(root) };
    let table = ComponentInstanceId(table);
    let added = store.add_lend(Lend {
        activation: Activation::current(),
        instance: instance.into(),
        table,
        handle,
    });
    if !added {
        instance.handles.end_lend(table, handle);
        // SAFETY: as above.
        unsafe { leave(frame, TrapCode::BookkeepingLimit) };
    }
}

unsafe extern "C" fn lend_mark(root: *const RootHeader) -> u64 {
    // SAFETY: called by compiled code.
    unsafe { instance(root) }.0.lends.borrow().len() as u64
}

unsafe extern "C" fn lend_release(root: *const RootHeader, mark: u64) {
    // SAFETY: called by compiled code.
    unsafe { instance(root) }.0.release_lends(mark as usize);
}

pub(super) unsafe extern "C" fn error_context_new(
    root: *const RootHeader,
    address: *const u8,
    bytes: u64,
) -> u32 {
    // SAFETY: called by compiled code.
    let (store, _) = unsafe { instance(root) };
    let limit = store.limits.get().error_context_bytes;
    // SAFETY: compiled code checked the bounds, and that it is UTF-8.
    let message = unsafe { std::str::from_utf8_unchecked(transcode::bytes(address, bytes)) };
    store.error_contexts.add(message, limit)
}

pub(super) unsafe extern "C" fn error_context_share(root: *const RootHeader, id: u32) {
    // SAFETY: called by compiled code.
    unsafe { instance(root) }.0.error_contexts.share(id);
}

pub(super) unsafe extern "C" fn error_context_drop(root: *const RootHeader, id: u32) {
    // SAFETY: called by compiled code.
    unsafe { instance(root) }.0.error_contexts.release(id);
}

pub(super) unsafe extern "C" fn error_context_message(
    root: *const RootHeader,
    id: u32,
    string: *mut NativeSlice,
) {
    // SAFETY: called by compiled code.
    let (store, _) = unsafe { instance(root) };
    // The store's own reference keeps the text.
    let message = store.error_contexts.message(id).unwrap_or_default();
    // SAFETY: compiled code gives room for a string.
    unsafe { string.write(NativeSlice::of(message.as_bytes())) };
}

/// The shared memory of a number.
///
/// # Safety
/// `root` is the root of a live instance whose guest code is waiting in this call.
unsafe fn shared_memory<'a>(root: *const RootHeader, memory: u32) -> &'a SharedMemory {
    // SAFETY: promised.
    let (_, instance) = unsafe { instance(root) };
    let memory = instance.shared_memory(MemoryId(memory));
    memory.expect("compiled code waits and notifies only at shared memories")
}

pub(super) unsafe extern "C" fn atomic_wait32(
    root: *const RootHeader,
    memory: u32,
    address: NonNull<u32>,
    expected: u32,
    timeout: i64,
    frame: *const GuestFrame,
) -> u32 {
    // SAFETY: called by compiled code, which checked bounds and alignment, through a stub.
    unsafe {
        waited(frame, || {
            shared_memory(root, memory).wait32(address, expected, timeout, park)
        })
    }
}

pub(super) unsafe extern "C" fn atomic_wait64(
    root: *const RootHeader,
    memory: u32,
    address: NonNull<u64>,
    expected: u64,
    timeout: i64,
    frame: *const GuestFrame,
) -> u32 {
    // SAFETY: called by compiled code, which checked bounds and alignment, through a stub.
    unsafe {
        waited(frame, || {
            shared_memory(root, memory).wait64(address, expected, timeout, park)
        })
    }
}

/// Waits until there is a result. If the wait was ended since the call is to be stopped, that is
/// left.
///
/// # Safety
/// As [`leave`].
unsafe fn waited(frame: *const GuestFrame, wait: impl Fn() -> Option<u32>) -> u32 {
    loop {
        if let Some(result) = wait() {
            return result;
        }
        // SAFETY: the caller's promise.
        unsafe { leave(frame, TrapCode::Interrupt) };
    }
}

pub(super) unsafe extern "C" fn atomic_notify(
    root: *const RootHeader,
    memory: u32,
    address: NonNull<u32>,
    count: u32,
) -> u32 {
    // SAFETY: called by compiled code, which checked bounds and alignment.
    unsafe { shared_memory(root, memory).notify(address, count) }
}
