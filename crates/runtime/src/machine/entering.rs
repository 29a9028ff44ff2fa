//! Entering an instance: who may, what it takes, and what comes of it when guest code ends.

use crate::load::backtrace::{Trap, WasmBacktrace};
use crate::machine::activation::Activation;
use crate::machine::failure;
use crate::machine::instance::InstanceData;
use crate::machine::interrupt::{Interrupts, Running};
use crate::machine::ledger::Amount;
use crate::machine::stacks::NO_ENTRY;
use crate::machine::store::StoreInner;
use crate::machine::thread::Thread;
use crate::machine::wait;
use crate::messages::display_import;
use anyhow::{Error, Result};
use std::cell::UnsafeCell;
use trampette_artifact::ids::{ImportId, SlabId};
use trampette_artifact::layout::Status;
use trampette_artifact::trap::TrapCode;

impl InstanceData {
    /// Whether the component is running, a result of it is still being read, or it has trapped: it
    /// cannot be entered then.
    pub(crate) fn is_entered(&self) -> bool {
        let header = self.header(SlabId(0));
        // SAFETY: mapped and initialised.
        unsafe { (&raw const (*header.as_ptr()).entry_sp).read() != 0 }
    }

    /// Keeps everybody from entering the component, in which nothing runs now.
    pub(crate) fn lock(&self) {
        self.set_entry(NO_ENTRY);
    }

    /// Ends that.
    pub(crate) fn unlock(&self) {
        self.set_entry(0);
    }

    fn set_entry(&self, value: u64) {
        // SAFETY: the root is mapped; no entry has anything there while nothing runs.
        unsafe { (&raw mut (*self.header(SlabId(0)).as_ptr()).entry_sp).write(value) };
    }

    /// Runs `call`, which enters the guest with slab 0's context, and turns its status into a
    /// result.
    #[inline(always)]
    pub(crate) fn enter(&self, call: impl FnOnce(*mut u8) -> u32) -> Result<()> {
        Thread::with(|thread| {
            let activation = Activation::outermost(self);
            let here = (&raw const activation).addr();
            // Most calls begin where another one has begun before, and find everything prepared.
            let limit = thread.known_stack_limit(here, self.store().stack_bytes());
            if limit != Some(self.stack_limit.get())
                || !thread.activation.get().is_null()
                || self.store().interrupts().is_some()
            {
                return self.prepare_and_enter(thread, here, call);
            }
            let status = activation.run(thread, || call(self.context()));
            self.outcome(status, &activation)
        })
    }

    /// [`InstanceData::enter`] for a call inside another one, at another depth of the stack than
    /// the last one, or that can be interrupted.
    #[inline(never)]
    fn prepare_and_enter(
        &self,
        thread: &Thread,
        here: usize,
        call: impl FnOnce(*mut u8) -> u32,
    ) -> Result<()> {
        let activation = Activation::inside(self, thread.activation.get());
        self.enter_with(thread, here, &activation, call)
    }

    /// [`InstanceData::enter`] with an activation that is the same for several entries, as parts of
    /// one call.
    pub(crate) fn enter_as(
        &self,
        activation: &UnsafeCell<Activation>,
        call: impl FnOnce(*mut u8) -> u32,
    ) -> Result<()> {
        Thread::with(|thread| {
            let here = 0u8;
            let outer = thread.activation.get();
            // SAFETY: no entry has it now, so that nobody refers to it.
            let activation = unsafe {
                activation.get().write(Activation::inside(self, outer));
                &*activation.get()
            };
            self.enter_with(thread, (&raw const here).addr(), activation, call)
        })
    }

    #[inline(always)]
    fn enter_with(
        &self,
        thread: &Thread,
        here: usize,
        activation: &Activation,
        call: impl FnOnce(*mut u8) -> u32,
    ) -> Result<()> {
        let outer = thread.activation.get();
        // SAFETY: activations on this thread's chain are live.
        let limit = match unsafe { outer.as_ref() } {
            Some(outer) => outer.instance().stack_limit.get(),
            None => thread.find_stack_limit(here, self.store().stack_bytes())?,
        };
        // From here on it can be interrupted, and what was wanted before is seen here.
        let running = self.store().interrupts().map(Interrupts::begin);
        if let Some(code) = activation.stop_code() {
            return Err(Trap::new(code, 0, WasmBacktrace::default()).into());
        }
        self.set_stack_limit(limit);
        let status = activation.run(thread, || call(self.context()));
        activation.clear_flag();
        let interrupted = running.is_some_and(Running::end);
        self.outcome(status, activation)?;
        // An interruption that has been promised, and came when all was done.
        if interrupted {
            let backtrace = WasmBacktrace::default();
            return Err(Trap::new(TrapCode::Interrupt, 0, backtrace).into());
        }
        Ok(())
    }

    /// What a status means.
    #[inline(always)]
    fn outcome(&self, status: u32, activation: &Activation) -> Result<()> {
        if status == Status::Ok as u32 {
            return Ok(());
        }
        Err(self.failed(status, activation))
    }

    /// The error of a call that returned another status than [`Status::Ok`]; what the call left in
    /// the store is released.
    #[cold]
    fn failed(&self, status: u32, activation: &Activation) -> Error {
        const CANNOT_ENTER: u32 = Status::CannotEnter as u32;
        let store = self.store();
        if status == CANNOT_ENTER {
            return Trap::new(TrapCode::CannotEnter, 0, WasmBacktrace::default()).into();
        }
        store.release_host_results();
        store.release_lends_of(activation);
        self.end();
        // A panic goes on here.
        self.trap_error(store)
    }

    /// Whether a trap has ended the instance, or what counts as one.
    pub(crate) fn has_ended(&self) -> bool {
        self.ended.get()
    }

    /// Gives back what is left of an instance that a trap has ended, and of which nothing runs.
    pub(crate) fn end(&self) {
        self.ended.set(true);
        if let Some(part) = self.async_part.get() {
            part.end(self);
        }
        let store = self.store();
        if let Some(panic) = store.reactor.remove_of(self) {
            // It goes on with the trap.
            store.set_host_panic(panic);
        }
    }

    /// The error of a call that just returned [`Status::Trap`].
    fn trap_error(&self, store: &StoreInner) -> Error {
        let (code, payload, frames) = store.trap.take(&self.component);
        let error = failure::take(store);
        let backtrace = WasmBacktrace::new(self.component.clone(), frames);
        if let Some(code) = error.as_ref().and_then(wait::stop_code_of) {
            return Trap::new(code, 0, backtrace).into();
        }
        match (code, error) {
            (TrapCode::HostError, Some(error)) => {
                // The payload says which import failed, from 1; destructors name themselves.
                let imports = &self.component.metadata().imports;
                let id = payload.checked_sub(1).and_then(|id| u32::try_from(id).ok());
                let import = id.and_then(|id| imports.get(ImportId(id)));
                match import {
                    Some(import) => error.context(display_import(&import.path)),
                    None => error,
                }
                .context(backtrace)
            }
            _ => {
                let trap = Trap::new(code, payload, backtrace);
                let limits = store.limits.get();
                match Amount::limit_of(code, &limits) {
                    Some(limit) => trap.at(limit.to_string()).into(),
                    None => trap.into(),
                }
            }
        }
    }
}
