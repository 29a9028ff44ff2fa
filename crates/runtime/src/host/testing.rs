//! What tests of the runtime look at from outside, and embedders do not.

use crate::host::instance::Instance;
use crate::machine::ledger::Counted;
use crate::machine::store::AsContext;
use trampette_artifact::ids::MemoryId;

/// What guests of a store use that is given back when tasks are over.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct InUse {
    /// Stacks of tasks.
    pub stacks: u32,
    /// Tasks, and what else has a record of a call.
    pub tasks: u32,
    /// Ends of streams and futures.
    pub ends: u32,
    /// Waitable sets.
    pub sets: u32,
}

/// What guests of a store use now.
pub fn in_use(store: impl AsContext) -> InUse {
    let store = store.store_inner();
    let counted = |what| store.ledger.counted(what);
    InUse {
        stacks: store.stacks.count(),
        tasks: counted(Counted::Tasks),
        ends: counted(Counted::Ends),
        sets: counted(Counted::Sets),
    }
}

/// Copies the first bytes of one of an instance's memories, in the order of their making; also
/// after a trap. Whether there is such a memory.
pub fn read_memory(
    store: impl AsContext,
    instance: &Instance,
    number: usize,
    to: &mut [u8],
) -> Option<()> {
    let raw = instance.id().raw_in(store.store_inner())?;
    let instance = raw.data(store.store_inner());
    if number >= instance.component.metadata().memories.len() {
        return None;
    }
    let id = MemoryId::new(number);
    let (base, length) = (instance.memory_base(id), instance.memory_length(id));
    // SAFETY: so many bytes are mapped, and no guest code of the store runs during this call.
    let bytes = unsafe { std::slice::from_raw_parts(base.as_ptr(), length as usize) };
    to.copy_from_slice(bytes.get(..to.len())?);
    Some(())
}
