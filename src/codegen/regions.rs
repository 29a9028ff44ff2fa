//! Alias regions: one numbering for the whole component, so that inlined code agrees.

use cranelift_codegen::ir::{self, AliasRegionData};
use trampette_artifact::ids::{GlobalId, MemoryId, TableId};

/// What a load or store may touch. Two different regions never overlap.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Region {
    /// A linear memory.
    Memory(MemoryId),
    /// A global in a context.
    Global(GlobalId),
    /// The entries of a table.
    Table(TableId),
    /// Anything in a root.
    Root,
    /// Native memory of the host: argument and result structs, the arena.
    Native,
}

/// Functions use at most this many regions; more slow the compiler down out of proportion, so
/// entities beyond share one.
const ENTITIES: u32 = 8;

impl Region {
    fn number(self) -> (u32, &'static str) {
        let shared = |base: u32, index: u32| base + index.min(ENTITIES - 1);
        match self {
            Region::Root => (0, "root"),
            Region::Native => (1, "native"),
            Region::Memory(id) => (shared(8, id.0), "memory"),
            Region::Global(id) => (shared(16, id.0), "global"),
            Region::Table(id) => (shared(24, id.0), "table"),
        }
    }

    /// Adds the region to `flags`.
    pub(crate) fn flags(
        self,
        func: &mut ir::Function,
        flags: ir::MemFlagsData,
    ) -> ir::MemFlagsData {
        let (user_id, name) = self.number();
        let data = AliasRegionData {
            user_id,
            description: name.into(),
        };
        let region = func.dfg.alias_regions.insert(data);
        flags.with_alias_region(Some(region))
    }

    /// Flags of an access that cannot fault, in this region.
    pub(crate) fn trusted(self, func: &mut ir::Function) -> ir::MemFlagsData {
        self.flags(func, ir::MemFlagsData::trusted())
    }
}
