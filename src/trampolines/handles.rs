//! Handle tables, in line: a look-up is a bounds check, a load and one compare of the tag.
//!
//! The runtime is called only to make room. Every index is loaded once by the caller and checked in
//! registers here; whatever is wrong with it is told apart out of line, in one cold block per
//! look-up. Entry 0 of a table is never linked into the free list, so its tag stays
//! [`HandleEntry::FREE`] and index 0 needs no check of its own.
//!
//! Entries may move when a handle is added to their table: an [`Entry`]'s address is valid until
//! then. A lent handle cannot be freed, so its *index* stays valid: by that the runtime
//! ends lends when the call is over ([`Builtin::LendPush`]).
//!
//! Which handles travel, and when, is decided by the transfer engine and by `resources`.

use crate::codegen::emitter::Emitter;
use crate::codegen::{Region, clif_trap};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{BlockArg, InstBuilder, Value, types};
use std::mem::offset_of;
use trampette_artifact::builtin::Builtin;
use trampette_artifact::ids::{ComponentInstanceId, ResourceId};
use trampette_artifact::layout::{HandleEntry, HandleTable, InstanceState, RootOffset};
use trampette_artifact::metadata::Resource;
use trampette_artifact::trap::TrapCode;

/// Which handles a look-up accepts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Allowed {
    /// Owned ones only.
    Own,
    /// Owned and borrowed ones.
    OwnOrBorrow,
}

/// A handle that was found and has the right type.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    /// Address of its [`HandleEntry`] (`i64`); valid until a handle is added to the table.
    pub address: Value,
    /// The resource's representation (`i32`).
    pub rep: Value,
    /// The entry's tag (`i32`): [`HandleEntry::tag`] of [`HandleEntry::OWN`] or
    /// [`HandleEntry::BORROW`].
    pub tag: Value,
}

const TAG: i32 = offset_of!(HandleEntry, tag) as i32;
const LENDS: i32 = offset_of!(HandleEntry, lends) as i32;
const REP: i32 = offset_of!(HandleEntry, rep) as i32;

/// A field of a table's header in slab 0's root.
fn table_field(e: &Emitter<'_, '_>, table: ComponentInstanceId, field: usize) -> RootOffset {
    let state = e.session.layout.root.instance(table);
    let header = offset_of!(InstanceState, handles);
    RootOffset(state.0 + (header + field) as u32)
}

/// Address of the entry at an index that is in bounds.
fn entry_address(e: &mut Emitter<'_, '_>, table: ComponentInstanceId, index: Value) -> Value {
    let field = table_field(e, table, offset_of!(HandleTable, entries));
    let entries = e.load_root(types::I64, field);
    let index = e.builder.ins().uextend(types::I64, index);
    let shift = e.i32(HandleEntry::SIZE_LOG2);
    let offset = e.builder.ins().ishl(index, shift);
    e.builder.ins().iadd(entries, offset)
}

/// Adds an entry with that tag ([`HandleEntry::tag`]) and representation (`i32`) to the table of a
/// component instance, or to the host's
/// ([`trampette_artifact::layout::RootLayout::host_instance`]). Returns its index (`i32`). Raises
/// [`TrapCode::HandleTableFull`] when the limit is reached.
pub(crate) fn table_new(
    e: &mut Emitter<'_, '_>,
    table: ComponentInstanceId,
    tag: u32,
    rep: Value,
) -> Value {
    table_new_entry(e, table, tag, rep).0
}

/// The same; returns the address of the entry too.
pub(crate) fn table_new_entry(
    e: &mut Emitter<'_, '_>,
    table: ComponentInstanceId,
    tag: u32,
    rep: Value,
) -> (Value, Value) {
    let free_head = table_field(e, table, offset_of!(HandleTable, free_head));
    let grow = e.builder.create_block();
    let fill = e.builder.create_block();
    let index = e.builder.append_block_param(fill, types::I32);
    e.builder.set_cold_block(grow);

    let first = e.load_root(types::I32, free_head);
    e.builder
        .ins()
        .brif(first, fill, &[BlockArg::Value(first)], grow, &[]);

    e.start(grow);
    let number = e.i32(table.0);
    let full = e.value_of(Builtin::HandleTableGrow, &[number]);
    e.trap_if(full, TrapCode::HandleTableFull, None);
    let linked = e.load_root(types::I32, free_head);
    e.builder.ins().jump(fill, &[BlockArg::Value(linked)]);

    e.start(fill);
    let address = entry_address(e, table, index);
    let flags = Region::Root.trusted(e.builder.func);
    let next = e.builder.ins().load(types::I32, flags, address, REP);
    e.store_root(next, free_head);
    set_tag_and_lends(e, address, tag);
    e.builder.ins().store(flags, rep, address, REP);
    (index, address)
}

/// Writes an entry's tag and zeroes its lends, which are neighbours, with one store.
fn set_tag_and_lends(e: &mut Emitter<'_, '_>, address: Value, tag: u32) {
    const { assert!(LENDS == TAG + 4) };
    let both = e.i64(i64::from(tag));
    let flags = Region::Root.trusted(e.builder.func);
    e.builder.ins().store(flags, both, address, TAG);
}

/// Looks up the handle at `index` (`i32`), which must be one of `resource`.
///
/// Raises, with the index as payload: [`TrapCode::UnknownHandle`] (the host's table:
/// [`TrapCode::UnknownHostHandle`]) if there is none, [`TrapCode::HandleTypeMismatch`] or
/// [`TrapCode::HandleTypeMismatchHost`] if it is something else, [`TrapCode::HandleNotOwned`] for a
/// borrowed handle where only an owned one is allowed.
pub(crate) fn table_rep(
    e: &mut Emitter<'_, '_>,
    table: ComponentInstanceId,
    resource: ResourceId,
    index: Value,
    allowed: Allowed,
) -> Entry {
    let own = HandleEntry::tag(HandleEntry::OWN, resource);
    let borrow = HandleEntry::tag(HandleEntry::BORROW, resource);

    let wrong = e.builder.create_block();
    let found = e.builder.append_block_param(wrong, types::I32);
    let in_bounds = e.builder.create_block();
    let right = e.builder.create_block();
    e.builder.set_cold_block(wrong);

    let capacity = table_field(e, table, offset_of!(HandleTable, capacity));
    let capacity = e.load_root(types::I32, capacity);
    let inside = e
        .builder
        .ins()
        .icmp(IntCC::UnsignedLessThan, index, capacity);
    let free = e.i32(HandleEntry::FREE);
    e.builder
        .ins()
        .brif(inside, in_bounds, &[], wrong, &[BlockArg::Value(free)]);

    e.start(in_bounds);
    let address = entry_address(e, table, index);
    let flags = Region::Root.trusted(e.builder.func);
    let tag = e.builder.ins().load(types::I32, flags, address, TAG);
    let expected = e.i32(own);
    let matches = match allowed {
        Allowed::Own => e.builder.ins().icmp(IntCC::Equal, tag, expected),
        Allowed::OwnOrBorrow => {
            const { assert!(HandleEntry::BORROW == HandleEntry::OWN + 1) };
            let kind = e.builder.ins().isub(tag, expected);
            let kinds = e.i32(2);
            e.builder.ins().icmp(IntCC::UnsignedLessThan, kind, kinds)
        }
    };
    e.builder
        .ins()
        .brif(matches, right, &[], wrong, &[BlockArg::Value(tag)]);

    e.start(wrong);
    raise_wrong_handle(e, table, resource, borrow, found, index);

    e.start(right);
    let rep = e.builder.ins().load(types::I32, flags, address, REP);
    Entry { address, rep, tag }
}

/// Looks up the error context at `index` (`i32`); returns the address of its entry and its
/// representation (`i32`). Raises
/// [`TrapCode::UnknownHandle`] if there is no handle, [`TrapCode::HandleTypeMismatchHost`] if it is
/// something else.
pub(crate) fn error_context(
    e: &mut Emitter<'_, '_>,
    table: ComponentInstanceId,
    index: Value,
) -> (Value, Value) {
    let payload = e.builder.ins().uextend(types::I64, index);
    let capacity = table_field(e, table, offset_of!(HandleTable, capacity));
    let capacity = e.load_root(types::I32, capacity);
    let outside = e
        .builder
        .ins()
        .icmp(IntCC::UnsignedGreaterThanOrEqual, index, capacity);
    e.trap_if(outside, TrapCode::UnknownHandle, Some(payload));
    let address = entry_address(e, table, index);
    let flags = Region::Root.trusted(e.builder.func);
    let tag = e.builder.ins().load(types::I32, flags, address, TAG);
    let free = e.i32(HandleEntry::FREE);
    let is_free = e.builder.ins().icmp(IntCC::Equal, tag, free);
    e.trap_if(is_free, TrapCode::UnknownHandle, Some(payload));
    let expected = e.i32(HandleEntry::ERROR_CONTEXT);
    let other = e.builder.ins().icmp(IntCC::NotEqual, tag, expected);
    e.trap_if(other, TrapCode::HandleTypeMismatchHost, Some(payload));
    let rep = e.builder.ins().load(types::I32, flags, address, REP);
    (address, rep)
}

/// Ends a cold block: says what is wrong with a handle whose tag is `found`. One raise whose code
/// is selected, so that a look-up costs little code.
fn raise_wrong_handle(
    e: &mut Emitter<'_, '_>,
    table: ComponentInstanceId,
    resource: ResourceId,
    borrow: u32,
    found: Value,
    index: Value,
) {
    let code = |e: &mut Emitter<'_, '_>, code: TrapCode| e.i32(u32::from(code.number()));
    let unknown = if table == e.session.layout.root.host_instance() {
        TrapCode::UnknownHostHandle
    } else {
        TrapCode::UnknownHandle
    };

    let mut chosen = if is_imported(e, resource) {
        code(e, TrapCode::HandleTypeMismatchHost)
    } else {
        let guests = code(e, TrapCode::HandleTypeMismatch);
        match found_is_imported(e, found) {
            None => guests,
            Some(imported) => {
                let hosts = code(e, TrapCode::HandleTypeMismatchHost);
                e.builder.ins().select(imported, hosts, guests)
            }
        }
    };

    let borrow = e.i32(borrow);
    let is_borrow = e.builder.ins().icmp(IntCC::Equal, found, borrow);
    let not_owned = code(e, TrapCode::HandleNotOwned);
    chosen = e.builder.ins().select(is_borrow, not_owned, chosen);

    let unknown = code(e, unknown);
    // A free entry's whole tag is 0.
    const { assert!(HandleEntry::FREE == 0) };
    chosen = e.builder.ins().select(found, chosen, unknown);

    let index = e.builder.ins().uextend(types::I64, index);
    e.builtin(Builtin::Raise, &[chosen, index]);
    // Never reached: tells Cranelift that the block ends here.
    e.builder.ins().trap(clif_trap(TrapCode::UnknownHandle));
}

fn is_imported(e: &Emitter<'_, '_>, resource: ResourceId) -> bool {
    let definition = &e.session.program.resources[resource];
    matches!(definition.info, Resource::Imported { .. })
}

/// Whether the resource in a tag is an imported one; `None` if the component imports none. Imported
/// resources have few, long runs of ids: each is one compare.
fn found_is_imported(e: &mut Emitter<'_, '_>, tag: Value) -> Option<Value> {
    let mut runs: Vec<(u32, u32)> = Vec::new();
    for id in e.session.program.resources.ids() {
        if !is_imported(e, id) {
            continue;
        }
        match runs.last_mut() {
            Some((start, length)) if *start + *length == id.0 => *length += 1,
            _ => runs.push((id.0, 1)),
        }
    }
    let shift = e.i32(HandleEntry::RESOURCE_SHIFT);
    let found = e.builder.ins().ushr(tag, shift);
    let mut any = None;
    for (start, length) in runs {
        let start = e.i32(start);
        let position = e.builder.ins().isub(found, start);
        let length = e.i32(length);
        let inside = e
            .builder
            .ins()
            .icmp(IntCC::UnsignedLessThan, position, length);
        any = Some(match any {
            None => inside,
            Some(any) => e.builder.ins().bor(any, inside),
        });
    }
    // Other kinds of entries have no resource.
    let imported = any?;
    let mask = e.i32((1 << HandleEntry::RESOURCE_SHIFT) - 1);
    let kind = e.builder.ins().band(tag, mask);
    let last = e.i32(HandleEntry::BORROW);
    let is_resource = e
        .builder
        .ins()
        .icmp(IntCC::UnsignedLessThanOrEqual, kind, last);
    Some(e.builder.ins().band(imported, is_resource))
}

/// Takes the owned handle at `index` out of the table and returns its representation (`i32`):
/// `lift_own` of the Canonical ABI. Raises what [`table_rep`] does, and [`TrapCode::HandleLent`].
pub(crate) fn table_remove_own(
    e: &mut Emitter<'_, '_>,
    table: ComponentInstanceId,
    resource: ResourceId,
    index: Value,
) -> Value {
    let entry = table_rep(e, table, resource, index, Allowed::Own);
    trap_if_lent(e, &entry);
    table_free(e, table, index, entry.address);
    entry.rep
}

/// Raises [`TrapCode::HandleLent`] if the handle is lent.
pub(crate) fn trap_if_lent(e: &mut Emitter<'_, '_>, entry: &Entry) {
    let flags = Region::Root.trusted(e.builder.func);
    let lends = e
        .builder
        .ins()
        .load(types::I32, flags, entry.address, LENDS);
    e.trap_if(lends, TrapCode::HandleLent, None);
}

/// Frees the entry at `index`, which is in use and not lent.
pub(crate) fn table_free(
    e: &mut Emitter<'_, '_>,
    table: ComponentInstanceId,
    index: Value,
    entry_address: Value,
) {
    let free_head = table_field(e, table, offset_of!(HandleTable, free_head));
    set_tag_and_lends(e, entry_address, HandleEntry::FREE);
    let next = e.load_root(types::I32, free_head);
    let flags = Region::Root.trusted(e.builder.func);
    e.builder.ins().store(flags, next, entry_address, REP);
    e.store_root(index, free_head);
}

/// Lends the handle: until it is given back it can be neither passed on nor dropped.
pub(crate) fn lend(e: &mut Emitter<'_, '_>, entry: &Entry) {
    let flags = Region::Root.trusted(e.builder.func);
    let lends = e
        .builder
        .ins()
        .load(types::I32, flags, entry.address, LENDS);
    let one = e.builder.ins().iconst(types::I32, 1);
    let lends = e.builder.ins().iadd(lends, one);
    e.builder.ins().store(flags, lends, entry.address, LENDS);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codegen::{self, Session};
    use crate::program::module::CoreType;
    use crate::trampolines::testing::{self, CHILD, CHILDS, IMPORTED, compile, with_session};
    use cranelift_codegen::ir::Function;
    use trampette_artifact::ids::TrampolineId;
    use trampette_artifact::key::{Abi, FuncKey};

    fn emit(
        session: &Session<'_>,
        body: impl FnOnce(&mut Emitter<'_, '_>, Value) -> Value,
    ) -> Function {
        let signature = testing::signature(&[CoreType::I32], &[CoreType::I32]);
        let signature = codegen::wasm_call_signature(&signature);
        let key = FuncKey::ComponentTrampoline(Abi::Wasm, TrampolineId(0));
        let func = Emitter::build_unlimited(session, key, signature, |e, params| {
            let result = body(e, params[0]);
            e.builder.ins().return_(&[result]);
            Ok(())
        })
        .unwrap();
        compile(session, &func);
        func
    }

    /// Whether the function selects among codes that include this one.
    fn mentions(func: &Function, code: TrapCode) -> bool {
        let text = func.to_string();
        let number = format!("iconst.i32 {}\n", code.number());
        text.contains(&number)
    }

    #[test]
    fn every_operation_compiles() {
        with_session(|session| {
            emit(session, |e, rep| {
                table_new(e, CHILD, HandleEntry::tag(HandleEntry::OWN, CHILDS), rep)
            });
            emit(session, |e, index| {
                table_remove_own(e, CHILD, CHILDS, index)
            });
            emit(session, |e, index| {
                let entry = table_rep(e, CHILD, CHILDS, index, Allowed::OwnOrBorrow);
                lend(e, &entry);
                entry.rep
            });
        });
    }

    #[test]
    fn errors_are_told_apart() {
        with_session(|session| {
            let host = session.layout.root.host_instance();
            let guests = emit(session, |e, index| {
                table_rep(e, CHILD, CHILDS, index, Allowed::Own).rep
            });
            assert!(mentions(&guests, TrapCode::UnknownHandle));
            assert!(!mentions(&guests, TrapCode::UnknownHostHandle));
            assert!(mentions(&guests, TrapCode::HandleTypeMismatch));
            assert!(mentions(&guests, TrapCode::HandleTypeMismatchHost));
            assert!(mentions(&guests, TrapCode::HandleNotOwned));
            let hosts = emit(session, |e, index| {
                table_rep(e, host, IMPORTED, index, Allowed::Own).rep
            });
            assert!(mentions(&hosts, TrapCode::UnknownHostHandle));
            assert!(!mentions(&hosts, TrapCode::UnknownHandle));
            assert!(!mentions(&hosts, TrapCode::HandleTypeMismatch));
        });
    }
}
