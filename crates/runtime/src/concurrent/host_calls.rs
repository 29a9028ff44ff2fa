//! Calls of the host by guests, as far as they are not done at once.
//!
//! The host's future is in the [reactor](crate::machine::reactor). It is polled between items of
//! the loop, with no guest's code on the stack; or, while a synchronously typed call waits, above
//! it. What it comes to is kept there until it is the call's turn: then it is lowered into the
//! instance that has called, or that goes on where it waits.

use crate::concurrent::driver::tell_entrances;
use crate::concurrent::records::{CallId, Holder, TaskState, Thread, Wait};
use crate::concurrent::scheduler::Resumer;
use crate::concurrent::state::{Fault, Tasks};
use crate::machine::entry_code::ImportResultEntry;
use crate::machine::reactor::{Done, Failure, FutureId, Payload, Polled};
use crate::machine::store::StoreInner;
use trampette_artifact::ids::HostCallId;
use trampette_artifact::key::{Abi, FuncKey};
use trampette_artifact::native;
use trampette_artifact::tasks::SubtaskState;
use trampette_artifact::trap::TrapCode;

/// Words of a native result that take no memory of their own.
const SMALL_RESULT: usize = 16;

/// Polls the next future of the store that was woken; false if there is none. Who waits for what it
/// has come to can go on then.
///
/// # Errors
/// What it panics with, if nobody waits for it.
pub(crate) fn poll_next(store: &StoreInner) -> Result<bool, Payload> {
    let Some(polled) = store.reactor.poll_next(store) else {
        return Ok(false);
    };
    let Polled {
        instance,
        owner,
        done,
        failure,
    } = polled;
    let is_over = done == Some(Done::Stays) || failure.is_some();
    let waits = instance.zip(CallId::from_number(owner));
    let waits = waits.and_then(|(instance, call)| Some((Tasks::of(instance).ok()?, call)));
    if let (Some((tasks, call)), true) = (waits, is_over) {
        tasks.host_is_done(call);
    }
    match (failure, waits) {
        (None, _) => Ok(true),
        (Some(panic), None) => Err(panic),
        (Some(panic), Some(_)) => {
            // Whoever waits finds no result, and traps; the panic goes on then.
            store.set_host_panic(panic);
            Ok(true)
        }
    }
}

impl Tasks<'_> {
    /// The record of a call whose host function has just said that it is not done.
    fn new_host_call(self, id: u32, mark: u64, results: u64) -> Result<CallId, Fault> {
        let store = self.store();
        let host_call = HostCallId(id);
        let future = store.host_pending.take().ok_or(TrapCode::RecordsFull)?;
        let instance = self.plan().host_calls[host_call].instance;
        let thread = Thread::Host { future, host_call };
        let call = match self.new_call(None, instance, thread, 0, results) {
            Ok(call) => call,
            Err(fault) => {
                self.drop_host_future(future)?;
                return Err(fault);
            }
        };
        let record = &self.pool()[call];
        record.state.set(TaskState::Started);
        record.subtask.set(SubtaskState::Started);
        store.reactor.set_owner(future, call.number());
        self.add_lends(call, mark);
        Ok(call)
    }

    /// The `host-call-go-on` builtin.
    pub(crate) fn host_call_go_on(self, id: u32, mark: u64, results: u64) -> Result<u32, Fault> {
        let call = self.new_host_call(id, mark, results)?;
        self.hand_out_subtask(call, self.pool()[call].instance)
    }

    /// The `host-call-wait` builtin.
    pub(crate) fn host_call_wait(self, id: u32, mark: u64, results: u64) -> Result<(), Fault> {
        let call = self.new_host_call(id, mark, results)?;
        self.block(Wait::Resolution(call))?;
        let Thread::Host { future, host_call } = self.pool()[call].thread else {
            return Err(TrapCode::RecordsFull.into());
        };
        let results = std::ptr::with_exposed_provenance_mut(results as usize);
        // SAFETY: compiled code passes room for the result.
        let taken = unsafe { self.take_host_result(future, host_call, results) };
        self.deliver_subtask(call);
        self.leave(call, Holder::Task);
        self.leave(call, Holder::Caller);
        taken
    }

    /// The future of a call has come to something.
    fn host_is_done(self, call: CallId) {
        let record = &self.pool()[call];
        match record.waitable.handle.get() {
            // Its caller waits for it, and takes the result itself.
            0 => {
                record.state.set(TaskState::Resolved);
                self.set_subtask(call, SubtaskState::Returned);
            }
            _ => self.start_waiting(call, Wait::Delivery),
        }
    }

    /// Takes the native form of what a future has come to.
    ///
    /// # Safety
    /// There is room for it.
    unsafe fn take_host_result(
        self,
        future: FutureId,
        host_call: HostCallId,
        to: *mut u8,
    ) -> Result<(), Fault> {
        let store = self.store();
        // SAFETY: promised.
        match unsafe { store.reactor.take_result(store, future, to) } {
            Ok(()) => return Ok(()),
            Err(Failure::Error(error)) => store.set_host_error(error),
            Err(Failure::Panic(panic)) => store.set_host_panic(panic),
        }
        // Which import failed, from 1.
        let import = self.plan().host_calls[host_call].import;
        Err(Fault::Trap(TrapCode::HostError, u64::from(import.0) + 1))
    }

    /// Lowers what a future has come to into the instance that called, which gets to know of it.
    pub(crate) fn deliver_host_result(
        self,
        call: CallId,
        future: FutureId,
        host_call: HostCallId,
    ) -> Result<(), Fault> {
        self.stop_waiting(call);
        let component = &self.instance.component;
        let metadata = component.metadata();
        let entry = &self.plan().host_calls[host_call];
        let result = metadata.imports[entry.import].ty.result;
        let size = result.map_or(0, |ty| native::size_align(&metadata.types, ty).size);
        let words = (size as usize).div_ceil(size_of::<u64>());
        let (mut small, mut large) = ([0u64; SMALL_RESULT], Vec::new());
        let native = match words {
            0..=SMALL_RESULT => &mut small[..],
            _ => {
                large.resize(words, 0);
                &mut large[..]
            }
        };
        let native = native.as_mut_ptr().cast::<u8>();
        // SAFETY: there is room for it.
        unsafe { self.take_host_result(future, host_call, native) }?;
        let record = &self.pool()[call];
        if entry.lowers_later {
            let key = FuncKey::ImportResult(Abi::Native, host_call);
            let code = component.function_address(key);
            let code = code.and_then(ImportResultEntry::at);
            let code = code.ok_or(TrapCode::RecordsFull)?;
            // SAFETY: the code of this call, with its record and a result of its type.
            let status = unsafe { code.call(self.instance.context(), record.head(), native) };
            if status != 0 {
                return Err(Fault::Again);
            }
        }
        record.state.set(TaskState::Resolved);
        self.set_subtask(call, SubtaskState::Returned);
        self.leave(call, Holder::Task);
        Ok(())
    }

    /// Drops a future whose call is over.
    pub(crate) fn drop_host_future(self, future: FutureId) -> Result<(), Fault> {
        let store = self.store();
        match store.reactor.remove(future) {
            None => Ok(()),
            Some(panic) => {
                store.set_host_panic(panic);
                Err(TrapCode::HostError.into())
            }
        }
    }

    /// Polls what of the host's was woken, and gives this instance's results to their callers,
    /// while a synchronously typed call waits.
    pub(crate) fn serve_host(self) -> Result<(), Fault> {
        let store = self.store();
        tell_entrances(store);
        for _ in 0..store.reactor.woken() {
            if let Err(panic) = poll_next(store) {
                store.set_host_panic(panic);
                return Err(TrapCode::HostError.into());
            }
        }
        let is_delivery = |call: &CallId| matches!(self.pool()[*call].thread, Thread::Host { .. });
        while let Some(call) = self.first_ready(is_delivery) {
            self.dequeue(call);
            self.run(call, Resumer::Guest)?;
        }
        Ok(())
    }
}
