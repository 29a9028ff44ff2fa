//! Handles: `lift_own`, `lift_borrow`, `lower_own`, `lower_borrow` (CanonicalABI.md, *Loading*,
//! *Storing*).
//!
//! What travels is the representation. On the host's side a handle of a resource that the component
//! imports *is* the representation, which the host chose; a handle of a resource that the component
//! defines is an index into the host's handle table.

use super::scalars::Integer;
use super::{Destination, Side, Source, Transfer};
use crate::trampolines::handles::{self, Allowed};
use anyhow::{Context, Result, bail};
use cranelift_codegen::ir::Value;
use trampette_artifact::builtin::Builtin;
use trampette_artifact::ids::{ComponentInstanceId, ResourceId};
use trampette_artifact::layout::HandleEntry;
use trampette_artifact::metadata::Resource;
use trampette_artifact::types::Type;

impl Transfer<'_, '_, '_> {
    /// The component instance that defines a resource; `None` if the host does.
    fn definer(&self, resource: ResourceId) -> Option<ComponentInstanceId> {
        match self.e.session.program.resources[resource].info {
            Resource::Imported { .. } => None,
            Resource::Defined { instance, .. } => Some(instance),
        }
    }

    /// The table that a side keeps its handles of a resource in; `None` where handles are
    /// representations.
    fn table(&self, side: Side<'_>, resource: ResourceId) -> Option<ComponentInstanceId> {
        match side {
            Side::Guest(guest) => Some(guest.instance()),
            Side::Host => {
                let defined = self.definer(resource).is_some();
                defined.then(|| self.e.session.layout.root.host_instance())
            }
        }
    }

    /// An owned handle leaves the source's table and becomes a new one in the destination's.
    pub(super) fn own(
        &mut self,
        resource: ResourceId,
        from: &mut Source<'_>,
        to: &mut Destination<'_>,
    ) -> Result<()> {
        let handle = self.read_integer(Integer::Any32, from);
        let rep = match self.table(self.from, resource) {
            Some(table) => handles::table_remove_own(self.e, table, resource, handle),
            None => handle,
        };
        let handle = match self.table(self.to, resource) {
            Some(table) => {
                let tag = HandleEntry::tag(HandleEntry::OWN, resource);
                handles::table_new(self.e, table, tag, rep)
            }
            None => rep,
        };
        self.write_integer(Integer::Any32, handle, to);
        Ok(())
    }

    /// An error context: the source keeps its own (`lift_error_context`, `lower_error_context`).
    /// What travels is the representation, and where both sides are guests one more reference to
    /// it; what comes from the host brings its reference.
    pub(super) fn error_context(&mut self, from: &mut Source<'_>, to: &mut Destination<'_>) {
        let mut value = self.read_integer(Integer::Any32, from);
        if let Side::Guest(guest) = self.from {
            value = handles::error_context(self.e, guest.instance(), value).1;
        }
        if let Side::Guest(guest) = self.to {
            if let Side::Guest(_) = self.from {
                self.e.builtin(Builtin::ErrorContextShare, &[value]);
            }
            let tag = HandleEntry::ERROR_CONTEXT;
            value = handles::table_new(self.e, guest.instance(), tag, value);
        }
        self.write_integer(Integer::Any32, value, to);
    }

    /// The readable end of a stream or future: it leaves the source's table, and becomes a new
    /// handle in the destination's (`lift_async_value`, `lower_async_value`). What travels is the
    /// number of the end; what the host has is a place in the store.
    pub(super) fn end(
        &mut self,
        ty: Type,
        from: &mut Source<'_>,
        to: &mut Destination<'_>,
    ) -> Result<()> {
        let Type::Defined(id) = ty else {
            bail!("an end has a defined type");
        };
        let mut value = self.read_integer(Integer::Any32, from);
        let number = self.e.i32(id.0);
        let (take, give) = match self.between_guests() {
            true => (Builtin::EndTake, Builtin::EndGive),
            false => (Builtin::EndToHost, Builtin::EndFromHost),
        };
        if let Side::Guest(source) = self.from {
            let owner = self.e.i32(source.instance().0);
            value = self.e.value_of(take, &[owner, number, value]);
        }
        if let Side::Guest(destination) = self.to {
            let owner = self.e.i32(destination.instance().0);
            value = self.e.value_of(give, &[owner, number, value]);
        }
        self.write_integer(Integer::Any32, value, to);
        Ok(())
    }

    /// A borrowed handle: the source keeps its own.
    pub(super) fn borrow(
        &mut self,
        resource: ResourceId,
        from: &mut Source<'_>,
        to: &mut Destination<'_>,
    ) -> Result<()> {
        let handle = self.read_integer(Integer::Any32, from);
        let rep = match self.table(self.from, resource) {
            Some(table) => self.lift_borrow(table, resource, handle),
            None => handle,
        };
        let handle = match self.to {
            Side::Guest(guest) if self.definer(resource) == Some(guest.instance()) => rep,
            Side::Guest(guest) => {
                let tag = HandleEntry::tag(HandleEntry::BORROW, resource);
                let task = self
                    .borrows
                    .context("only parameters have borrowed handles")?;
                let (handle, entry) = handles::table_new_entry(self.e, guest.instance(), tag, rep);
                task.add(self.e, entry);
                handle
            }
            Side::Host if self.definer(resource).is_none() => rep,
            // Imports can name only imported resources, and results hold no borrowed handles.
            Side::Host => bail!(
                "a borrowed handle of {resource}, which the component defines, is passed to the host"
            ),
        };
        self.write_integer(Integer::Any32, handle, to);
        Ok(())
    }

    /// Looks the handle up, and records the lend if something could see it before it ends.
    fn lift_borrow(
        &mut self,
        table: ComponentInstanceId,
        resource: ResourceId,
        handle: Value,
    ) -> Value {
        let entry = handles::table_rep(self.e, table, resource, handle, Allowed::OwnOrBorrow);
        if self.observed_lends.contains(&resource) {
            handles::lend(self.e, &entry);
            let table = self.e.i32(table.0);
            self.e.builtin(Builtin::LendPush, &[table, handle]);
        }
        entry.rep
    }
}
