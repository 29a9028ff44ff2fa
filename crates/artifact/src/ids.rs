//! Typed indices: an index of one space cannot be used in another.

use serde::{Deserialize, Serialize};
use std::fmt;

macro_rules! index_types {
    ($($(#[$doc:meta])* $name:ident, $prefix:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub struct $name(pub u32);

        impl $name {
            /// The index of the `index`th entity.
            ///
            /// # Panics
            /// If `index` does not fit 32 bits; the validator's limits keep every space far below.
            pub fn new(index: usize) -> Self {
                Self(u32::try_from(index).expect("index spaces are limited to 32 bits"))
            }

            /// This index as an offset into a slice.
            pub fn index(self) -> usize {
                self.0 as usize
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "{}"), self.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(self, f)
            }
        }
    )*};
}

index_types! {
    /// A static module: a core module nested anywhere in the component, in order of appearance.
    ModuleId, "module";
    /// A unit: a static module with its imports bound; what core functions are compiled for.
    UnitId, "unit";
    /// A core instance of the flattened component.
    CoreInstanceId, "core-instance";
    /// A component instance of the flattened component; 0 is the component itself.
    ComponentInstanceId, "instance";
    /// A slab; 0 is the one whose root holds the state of the whole component.
    SlabId, "slab";
    /// A memory defined by some core instance.
    MemoryId, "memory";
    /// A memory among those that are shared between threads.
    SharedMemoryId, "shared-memory";
    /// A table defined by some core instance.
    TableId, "table";
    /// A global defined by some core instance.
    GlobalId, "global";
    /// A tag defined by some core instance.
    TagId, "tag";
    /// A component trampoline.
    TrampolineId, "trampoline";
    /// A pair of memories with encodings between which adapters carry strings.
    StringRouteId, "string-route";
    /// A function imported from the host at component level; also its slot in the root.
    ImportId, "import";
    /// A core function imported from the host (lone core modules and scripts only).
    CoreImportId, "core-import";
    /// A function exported by the component, at the root or inside an exported instance.
    ExportId, "export";
    /// A resource type of the flattened component: imported, or created by one component instance.
    ResourceId, "resource";
    /// A function as a value: an index into the function table; 0 is null.
    FunctionId, "function-id";
    /// A core function type, canonical within the artifact; 0 matches nothing.
    SignatureId, "signature";
    /// A component-level defined type in a [`crate::types::TypeTable`].
    TypeId, "type";
    /// A passive data segment kept for run time, component-wide.
    DataSegmentId, "data";
    /// A passive element segment kept for run time, component-wide.
    ElementSegmentId, "element";
}
