//! Tasks whose core functions are scripts in Rust.
//!
//! A script runs where compiled code would, on the task's stack, and calls the methods that the
//! builtins call. A trap is its error, since there is no entry that could be left to.

use crate::concurrent::event_loop;
use crate::concurrent::records::{Call, CallId, Kind};
use crate::concurrent::state::{COUNTED, Fault, TaskCode, Tasks};
use crate::concurrent::waitables::Event;
use crate::machine::entry_code::{BodyEntry, CallbackEntry, ResultEntry};
use crate::machine::instance::{InstanceData, RawInstance};
use crate::machine::store::Store;
use crate::tests::handmade::{instantiate_with, load_with};
use crate::{Trap, TrapCode};
use anyhow::Result;
use std::cell::{Cell, RefCell};
use trampette_artifact::ids::{ComponentInstanceId, CopyPairId, IdVec, MemoryId, TaskId, TypeId};
use trampette_artifact::layout::{HOST_OK, ImportSlot};
use trampette_artifact::tasks::{
    CallMode, CallShape, Concurrency, CopyEntry, CopyPair, ElementLayout, EndKind, LiftKind,
    TaskEntry, TaskRecord,
};
use trampette_artifact::types::{DefinedType, Type};

/// What a core function or callback does. It returns the code of a callback.
pub(super) type Script = fn(&Guest) -> Result<u32, Fault>;

/// A task, and who calls it: an instance, or the host.
#[derive(Clone, Copy)]
pub(super) struct Plan {
    pub(super) lift: LiftKind,
    pub(super) instance: u32,
    pub(super) caller: Option<u32>,
    pub(super) body: Script,
    pub(super) callback: Script,
}

/// What scripts share.
#[derive(Default)]
pub(super) struct World {
    pub(super) plans: Vec<Plan>,
    pub(super) log: RefCell<Vec<String>>,
    /// Numbers that one script leaves for another.
    pub(super) notes: [Cell<u32>; 4],
}

pub(super) struct Guest<'a> {
    pub(super) world: &'a World,
    pub(super) tasks: Tasks<'a>,
    pub(super) call: CallId,
    pub(super) event: Event,
}

pub(super) const EXIT: u32 = 0;
pub(super) const YIELD: u32 = 1;
pub(super) const CALLS: u32 = CallMode::Waits as u32;
pub(super) const GOES_ON: u32 = CallMode::GoesOn as u32;
pub(super) const STREAM: u32 = 0;
pub(super) const WRITE: u32 = 0;
pub(super) const READ: u32 = 1;
pub(super) const WRITE_SYNC: u32 = 2;

pub(super) fn wait(set: u32) -> u32 {
    2 | set << 4
}

impl Guest<'_> {
    pub(super) fn log(&self, text: impl Into<String>) {
        self.world.log.borrow_mut().push(text.into());
    }

    pub(super) fn note(&self, index: usize) -> u32 {
        self.world.notes[index].get()
    }

    pub(super) fn set_note(&self, index: usize, value: u32) {
        self.world.notes[index].set(value);
    }

    pub(super) fn record(&self) -> &Call {
        &self.tasks.pool()[self.call]
    }

    pub(super) fn instance(&self) -> u32 {
        self.record().instance.0
    }

    /// The first flat parameter.
    pub(super) fn param(&self) -> u64 {
        // SAFETY: all tests pass one.
        unsafe {
            let params = (*self.record().head()).params as usize;
            std::ptr::with_exposed_provenance::<u64>(params).read()
        }
    }

    pub(super) fn ret(&self, value: u64) -> Result<(), Fault> {
        let values = (&raw const value).expose_provenance() as u64;
        self.tasks.task_return(0, self.instance(), values)
    }

    /// Calls a task and waits; its result.
    pub(super) fn call(&self, task: u32, param: u64) -> Result<u64, Fault> {
        let result = Cell::new(0u64);
        let params = (&raw const param).expose_provenance() as u64;
        let results = result.as_ptr().expose_provenance() as u64;
        self.tasks.task_call(task, params, results, CALLS)?;
        Ok(result.get())
    }

    /// Calls a task and goes on; the state, and the subtask.
    pub(super) fn start(&self, task: u32, param: u64) -> Result<(u32, u32), Fault> {
        let params = (&raw const param).expose_provenance() as u64;
        let packed = self.tasks.task_call(task, params, 0, GOES_ON)? as u32;
        Ok((packed & 15, packed >> 4))
    }

    /// A new set with a waitable.
    pub(super) fn set_of(&self, waitable: u32) -> Result<u32, Fault> {
        let set = self.tasks.waitable_set_new(self.instance())?;
        self.tasks.waitable_join(self.instance(), waitable, set)?;
        Ok(set)
    }

    /// Waits for a set: the event.
    pub(super) fn wait_for(&self, set: u32) -> Result<[u32; 3], Fault> {
        let code = self.tasks.waitable_set_wait(self.instance(), set, 0, 64)?;
        let place = self.memory(64);
        // SAFETY: in the memory of one page.
        unsafe { Ok([code, place.read(), place.add(1).read()]) }
    }

    pub(super) fn memory(&self, address: usize) -> *mut u32 {
        let base = self.tasks.instance.memory_base(MemoryId(0)).as_ptr();
        base.wrapping_add(address).cast()
    }
}

/// Runs a script as compiled code would.
unsafe fn run(record: *mut TaskRecord, event: Option<Event>) -> u32 {
    // SAFETY: the head of a call's record; the store's data is the world.
    let (call, world) = unsafe {
        let call = &*record.cast::<Call>();
        let store = (*call.data).store();
        (call, store.data_address().cast::<World>().as_ref())
    };
    // SAFETY: as above.
    let (Some(entry), Ok(tasks)) = (call.entry, unsafe { Tasks::of(&*call.data) }) else {
        return 1;
    };
    let guest = Guest {
        world,
        tasks,
        // SAFETY: as above.
        call: CallId::from_number(unsafe { (*record).number }).unwrap(),
        event: event.unwrap_or_default(),
    };
    let plan = world.plans[entry.0 as usize];
    let script = match event {
        Some(_) => plan.callback,
        None => plan.body,
    };
    match script(&guest) {
        Ok(code) => {
            // SAFETY: as above.
            unsafe { (*record).code = code };
            0
        }
        Err(fault) => {
            if let Fault::Trap(code, payload) = fault {
                tasks.store().trap.record_here(code, payload);
            }
            1
        }
    }
}

unsafe extern "C" fn body(_: *mut u8, record: *mut TaskRecord) -> u32 {
    // SAFETY: called by the room with a task's record.
    unsafe { run(record, None) }
}

unsafe extern "C" fn callback(
    _: *mut u8,
    record: *mut TaskRecord,
    code: u32,
    first: u32,
    second: u32,
) -> u32 {
    let event = Event {
        code,
        first,
        second,
    };
    // SAFETY: as above.
    unsafe { run(record, Some(event)) }
}

/// Moves a result to the caller's slot, or to the host.
unsafe extern "C" fn result(_: *mut u8, record: *mut TaskRecord, values: *const u64) -> u32 {
    // SAFETY: as above.
    unsafe {
        let call = &*record.cast::<Call>();
        let tasks = Tasks::of(&*call.data).unwrap();
        let entry = &tasks.plan().tasks[call.entry.unwrap()];
        match (entry.caller, (*record).results) {
            (Some(_), 0) => 0,
            (Some(_), results) => {
                let place = std::ptr::with_exposed_provenance_mut::<u64>(results as usize);
                place.write(values.read());
                0
            }
            (None, _) => {
                let record = record.expose_provenance() as u64;
                let values = values.expose_provenance() as u64;
                u32::from(tasks.task_host_result(record, values).is_err())
            }
        }
    }
}

unsafe extern "C" fn no_import(_: u64, _: u64, _: u64, _: u64) -> u32 {
    HOST_OK
}

pub(super) fn nothing(_: &Guest) -> Result<u32, Fault> {
    Err(TrapCode::Unreachable.into())
}

/// A task of the instance 1 that the host calls.
pub(super) fn from_host(lift: LiftKind, body: Script) -> Plan {
    Plan {
        lift,
        instance: 1,
        caller: None,
        body,
        callback: nothing,
    }
}

/// A task of the instance 2 that the instance 1 calls.
pub(super) fn inner(lift: LiftKind, body: Script, callback: Script) -> Plan {
    Plan {
        lift,
        instance: 2,
        caller: Some(1),
        body,
        callback,
    }
}

pub(super) struct Running {
    pub(super) store: Store<World>,
    pub(super) instance: RawInstance,
}

impl Running {
    pub(super) fn new(plans: &[Plan]) -> Running {
        let tasks = plans.iter().map(|plan| TaskEntry {
            instance: ComponentInstanceId(plan.instance),
            caller: plan.caller.map(ComponentInstanceId),
            export: None,
            lift: Some(plan.lift),
            shape: CallShape::OnStack,
            async_params: 1,
            return_class: 0,
            name: String::new(),
        });
        let copy = |end, is_async| CopyEntry {
            instance: ComponentInstanceId(1),
            ty: TypeId(STREAM),
            end,
            is_async,
            memory: Some(MemoryId(0)),
            element: Some(ElementLayout {
                size: 4,
                align: 4,
                is_bitwise: true,
            }),
        };
        let concurrency = Concurrency {
            host_calls: IdVec::new(),
            tasks: tasks.collect(),
            copies: vec![
                copy(EndKind::Writer, true),
                copy(EndKind::Reader, true),
                copy(EndKind::Writer, false),
            ]
            .into(),
            pairs: IdVec::<CopyPairId, CopyPair>::new(),
        };
        let component = load_with(|metadata| {
            metadata.root.instances = 3;
            metadata.root.cells = 3;
            metadata.concurrency = concurrency;
            let stream = DefinedType::Stream(Some(Type::U32));
            metadata.types.intern(stream).unwrap();
        });
        let world = World {
            plans: plans.to_vec(),
            ..World::default()
        };
        let store = Store::new(world);
        let slot = ImportSlot {
            function: no_import as *const () as u64,
            data: 0,
        };
        // SAFETY: nothing calls it.
        let instance = unsafe { instantiate_with(store.inner(), &component, slot) }.unwrap();
        let running = Running { store, instance };
        let tasks = running.tasks();
        for (index, plan) in plans.iter().enumerate() {
            let at = |code: *const ()| code.expose_provenance();
            let code = TaskCode {
                body: BodyEntry::at(at(body as *const ())),
                callback: CallbackEntry::at(at(callback as *const ())),
                result: ResultEntry::at(at(result as *const ())),
            };
            tasks.set_code(TaskId::new(index), code);
            assert_ne!(plan.instance, 0);
        }
        running
    }

    pub(super) fn data(&self) -> &InstanceData {
        self.instance.data(self.store.inner())
    }

    pub(super) fn tasks(&self) -> Tasks<'_> {
        Tasks::of(self.data()).unwrap()
    }

    /// Calls a task of the host's; its result.
    pub(super) fn call(&self, task: u32, param: u64) -> Result<u64> {
        let mut result = None;
        let params = (&raw const param).cast();
        let mut sink = |native: *const u8| {
            // SAFETY: scripts return a number.
            result = Some(unsafe { native.cast::<u64>().read() });
            Ok(())
        };
        // SAFETY: the task takes a number.
        unsafe { event_loop::call(self.data(), TaskId(task), params, &mut sink)? };
        Ok(result.expect("a call that is over has a result"))
    }

    pub(super) fn trap(&self, task: u32) -> TrapCode {
        let error = self.call(task, 0).expect_err("it traps");
        error.downcast_ref::<Trap>().unwrap().kind()
    }

    pub(super) fn log(&self) -> Vec<String> {
        std::mem::take(&mut *self.store.data().log.borrow_mut())
    }

    /// Records of a kind, by the pool and by the ledger.
    pub(super) fn live(&self, kind: Kind) -> u32 {
        let live = self.tasks().pool().live(kind);
        let ledger = &self.store.inner().ledger;
        assert_eq!(ledger.counted(COUNTED[kind as usize]), live);
        live
    }

    /// Nothing is left of what was called.
    pub(super) fn expect_nothing_left(&self) {
        assert_eq!(self.live(Kind::Call), 0);
        assert_eq!(self.store.inner().stacks.count(), 0);
    }
}
