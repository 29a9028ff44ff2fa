//! What an artifact says about itself: the decoded part, in `.trampette.meta` (postcard).
//!
//! Only this is decoded when an artifact is loaded; its size depends on the component's types and
//! instances, not on its code. Whatever the runtime looks up by address is in [`crate::tables`].

use crate::canonical::PointerWidth;
use crate::ids::*;
use crate::layout::{
    ContextOffset, LARGE_MEMORY_RESERVATION, MEMORY_GROWTH_LIMIT, MEMORY_RESERVATION, RootLayout,
};
use crate::spelling::{Names, Spelling};
use crate::tasks::Concurrency;
use crate::types::{FuncType, Type, TypeTable};
use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::fmt;

/// Everything the runtime decodes.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Metadata {
    /// Component-level types that imports and exports use.
    pub types: TypeTable,
    /// Resource types.
    pub resources: IdVec<ResourceId, Resource>,
    /// Imported types that must be a certain resource type: the chain of names, and which one.
    /// Hosts need not supply them; what they supply must be that resource type.
    pub resource_bounds: Vec<(Vec<String>, ResourceId)>,
    /// Functions imported from the host.
    pub imports: IdVec<ImportId, Import>,
    /// What the component exports, in order. Functions carry their [`ExportId`].
    pub exports: Vec<Export>,
    /// Slabs. At least one.
    pub slabs: IdVec<SlabId, Slab>,
    /// Where things are in slab 0's root.
    pub root: RootLayout,
    /// Memories.
    pub memories: IdVec<MemoryId, Memory>,
    /// Tables.
    pub tables: IdVec<TableId, Table>,
    /// Globals in contexts that hold references to exceptions: slab, offset from its context
    /// pointer.
    pub exception_globals: Vec<(SlabId, ContextOffset)>,
    /// Initial lengths in bytes of run-time data segments.
    pub data_segments: IdVec<DataSegmentId, u64>,
    /// Initial lengths in entries of run-time element segments.
    pub element_segments: IdVec<ElementSegmentId, u64>,
    /// Static modules.
    pub modules: IdVec<ModuleId, StaticModule>,
    /// Units.
    pub units: IdVec<UnitId, Unit>,
    /// Number of start-up steps ([`crate::key::FuncKey::Startup`]). A component has at most one,
    /// which has code; of core modules, those steps that do nothing have none.
    pub startup_steps: u32,
    /// Entries of the function table, a power of two; 0 if the component has no function values.
    pub function_table_length: u32,
    /// The asynchronous part.
    pub concurrency: Concurrency,
    /// What core modules on their own import and export; `None` for a component.
    pub core: Option<CoreInterface>,
}

/// The interface of core modules that are compiled without a component around them.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct CoreInterface {
    /// Functions imported from the host.
    pub imports: IdVec<CoreImportId, CoreImport>,
    /// Shared memories that the host may supply.
    pub memories: Vec<CoreMemoryImport>,
    /// Globals whose initial values the host supplies.
    pub globals: Vec<CoreGlobalImport>,
    /// What the host can reach.
    pub exports: Vec<CoreExport>,
}

/// A core function imported from the host.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct CoreImport {
    /// First name.
    pub module: String,
    /// Second name.
    pub name: String,
    /// Its type.
    pub ty: CoreFuncType,
    /// The memory that the importing module exports as `memory`, or its first one: what addresses
    /// among the arguments are of, by the convention of WASI.
    pub memory: Option<MemoryId>,
}

/// A shared memory that the host may supply.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct CoreMemoryImport {
    /// First name.
    pub module: String,
    /// Second name.
    pub name: String,
    /// The memory.
    pub memory: MemoryId,
}

/// A global whose initial value the host supplies.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct CoreGlobalImport {
    /// First name.
    pub module: String,
    /// Second name.
    pub name: String,
    /// The slab in whose context its value is.
    pub slab: SlabId,
    /// Offset from the context pointer (negative).
    pub offset: i32,
    /// Its type.
    pub ty: CoreValueType,
    /// Whether it may be written: then it is zero or null if the host supplies nothing.
    pub mutable: bool,
}

/// An export of a core instance.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CoreExport {
    /// The exporting instance.
    pub unit: UnitId,
    /// Its name.
    pub name: String,
    /// What it is.
    pub item: CoreExportItem,
}

/// What an export of a core instance is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum CoreExportItem {
    /// A function, callable by its [`crate::key::FuncKey::ArrayToWasm`].
    Func {
        /// The unit that defines it.
        unit: UnitId,
        /// Its number among the unit's defined functions.
        func: DefinedFunc,
        /// Its type.
        ty: CoreFuncType,
    },
    /// A function of the host, imported and exported again.
    HostFunc(CoreImportId),
    /// A memory.
    Memory(MemoryId),
    /// A table.
    Table(TableId),
    /// A global.
    Global {
        /// Where its value is.
        place: CoreGlobalPlace,
        /// Its type.
        ty: CoreValueType,
        /// Whether it may be written.
        mutable: bool,
    },
    /// A tag.
    Tag(TagId),
}

/// Where the value of an exported global is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum CoreGlobalPlace {
    /// It never changes; little-endian, zero-extended.
    Constant([u8; 16]),
    /// In the context of a slab.
    Context {
        /// The slab.
        slab: SlabId,
        /// Offset from its context pointer (negative).
        offset: i32,
    },
}

/// A core function type, as the host sees it.
///
/// ```
/// use trampette_artifact::metadata::{CoreFuncType, CoreValueType};
///
/// let params = vec![CoreValueType::I32; 2];
/// let ty = CoreFuncType { params, results: vec![CoreValueType::F64] };
/// assert_eq!(ty.to_string(), "(i32 i32) -> (f64)");
/// ```
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct CoreFuncType {
    /// Parameters.
    pub params: Vec<CoreValueType>,
    /// Results.
    pub results: Vec<CoreValueType>,
}

impl fmt::Display for CoreFuncType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |types: &[CoreValueType]| {
            let names: Vec<String> = types.iter().map(CoreValueType::to_string).collect();
            names.join(" ")
        };
        write!(f, "({}) -> ({})", list(&self.params), list(&self.results))
    }
}

/// A core value type, as the host sees it.
///
/// ```
/// use trampette_artifact::metadata::CoreValueType;
///
/// assert_eq!(CoreValueType::FuncRef.to_string(), "funcref");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum CoreValueType {
    /// `i32`.
    I32,
    /// `i64`.
    I64,
    /// `f32`.
    F32,
    /// `f64`.
    F64,
    /// `v128`.
    V128,
    /// `funcref`: any function or null.
    FuncRef,
    /// A reference to functions of one type, or that cannot be null.
    TypedFuncRef,
    /// A reference to something of the host's.
    ExternRef,
    /// A reference to an exception.
    ExnRef,
}

impl fmt::Display for CoreValueType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&format!("{self:?}").to_lowercase())
    }
}

/// A resource type of the flattened component.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Resource {
    /// Imported: the host defines it. The path is the chain of instance names and the resource's.
    Imported {
        /// For example `["wasi:io/streams@0.2.0", "input-stream"]`.
        path: Vec<String>,
    },
    /// Defined by a component instance.
    Defined {
        /// The defining instance: its handles' representations are the core values themselves.
        instance: ComponentInstanceId,
        /// Whether it has a destructor, so that
        /// [`crate::key::FuncKey::ResourceDrop`] exists.
        has_destructor: bool,
        /// A name for messages: the export's, or `resource`.
        name: String,
    },
}

/// A function imported from the host.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Import {
    /// The chain of instance names and the function's name.
    pub path: Vec<String>,
    /// Its type.
    pub ty: FuncType,
    /// Whether any compiled trampoline calls it, or an export is it. Others need not be supplied by
    /// a host for code to run, but are still checked by name and type.
    pub used: bool,
}

/// One exported item.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Export {
    /// The chain of instance names and the item's name.
    pub path: Vec<String>,
    /// What it is.
    pub item: ExportItem,
}

/// What an export is.
///
/// ```
/// use trampette_artifact::metadata::ExportItem;
///
/// assert_eq!(ExportItem::Instance.kind(), "an instance");
/// ```
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum ExportItem {
    /// A lifted function.
    Function {
        /// Its entry.
        id: ExportId,
        /// Its type.
        ty: FuncType,
        /// Whether [`crate::key::FuncKey::PostReturn`] must be called after the results were read.
        /// (If not, [`crate::key::FuncKey::ExportEntry`] ends the call itself; what its results
        /// point to in the guest or the arena is valid until the next call, or until the arena is
        /// reset.)
        post_return: bool,
    },
    /// A function of the host, imported and exported again: nothing of the component runs when it
    /// is called. Its type is the import's.
    HostFunc(ImportId),
    /// A resource type.
    Resource(ResourceId),
    /// Any other type.
    Type(Type),
    /// An exported instance; its items follow with longer paths.
    Instance,
    /// A core module, by its static module.
    CoreModule(ModuleId),
    /// Something the host cannot use: a component.
    Other(String),
}

impl ExportItem {
    /// The kind of item, for messages.
    pub fn kind(&self) -> &str {
        match self {
            ExportItem::Function { .. } | ExportItem::HostFunc(_) => "a function",
            ExportItem::Resource(_) => "a resource",
            ExportItem::Type(_) => "a type",
            ExportItem::Instance => "an instance",
            ExportItem::CoreModule(_) => "a core module",
            ExportItem::Other(what) => what,
        }
    }
}

/// A slab: a root, a context, and perhaps a memory.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Slab {
    /// Bytes of the context, a multiple of 16; at least [`crate::layout::HOT_CONTEXT_SIZE`].
    pub context_size: u32,
    /// The memory at the context pointer.
    pub memory: Option<MemoryId>,
    /// Initial contents, in order of `target`; everything else is zero.
    pub extents: Vec<Extent>,
    /// Whether the memory, or what code keeps in the context, may ever be other than at first.
    /// (What the runtime keeps in the context, it writes for every instance.)
    pub written: bool,
}

/// A piece of a slab's initial image: bytes of the artifact mapped privately.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Extent {
    /// Offset in the file, a multiple of [`crate::layout::PAGE_ALIGNMENT`].
    pub file_offset: u64,
    /// Offset from the context pointer, a multiple of the same.
    pub target: i64,
    /// Bytes, a multiple of the same.
    pub length: u64,
}

/// A linear memory.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Memory {
    /// Where it is.
    pub place: MemoryPlace,
    /// Initial length in pages.
    pub minimum: u64,
    /// Declared maximum in pages.
    pub maximum: Option<u64>,
    /// log2 of the page size: 16 unless custom page sizes are used.
    pub page_size_log2: u8,
    /// Address width.
    pub width: PointerWidth,
}

/// Where a memory is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum MemoryPlace {
    /// It is the memory of a slab.
    Slab(SlabId),
    /// It is shared between threads and belongs to no slab: each store reaches it through its
    /// [`crate::layout::SharedMemoryState`].
    Shared(SharedMemoryId),
}

impl Memory {
    /// The slab that it is the memory of, if it is not shared.
    pub fn slab(&self) -> Option<SlabId> {
        match self.place {
            MemoryPlace::Slab(slab) => Some(slab),
            MemoryPlace::Shared(_) => None,
        }
    }

    /// Whether it may become longer than [`MEMORY_RESERVATION`], if it is given the room.
    pub fn may_be_large(&self) -> bool {
        self.width == PointerWidth::P64
            && self.slab().is_some()
            && self.bytes(self.maximum.unwrap_or(u64::MAX)) > MEMORY_RESERVATION
    }

    /// Its address space in bytes, in a component of so many slabs.
    pub fn reservation(&self, slabs: usize) -> u64 {
        let is_last = self.slab().is_some_and(|slab| slab.index() + 1 == slabs);
        match is_last && self.may_be_large() {
            true => self
                .bytes(self.maximum.unwrap_or(u64::MAX))
                .min(LARGE_MEMORY_RESERVATION),
            false => MEMORY_RESERVATION,
        }
    }

    /// Its greatest length in bytes, in a component of so many slabs.
    pub fn longest(&self, slabs: usize) -> u64 {
        let reservation = self.reservation(slabs);
        let declared = self.bytes(self.minimum.max(self.maximum.unwrap_or(0)));
        match reservation > MEMORY_RESERVATION || declared > MEMORY_GROWTH_LIMIT {
            true => reservation,
            false => MEMORY_GROWTH_LIMIT,
        }
    }

    /// So many of its pages in bytes, or the largest number.
    fn bytes(&self, pages: u64) -> u64 {
        pages.saturating_mul(1 << self.page_size_log2)
    }

    /// Its number among the shared memories, if it is one.
    pub fn shared(&self) -> Option<SharedMemoryId> {
        match self.place {
            MemoryPlace::Slab(_) => None,
            MemoryPlace::Shared(id) => Some(id),
        }
    }
}

/// What a table holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum TableElement {
    /// Function ids, of functions of any type.
    Function,
    /// Function ids, of functions of one type.
    TypedFunction,
    /// Ids of external references.
    External,
    /// Ids of exceptions.
    Exception,
}

/// A table: 32-bit slots in the context of its slab.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Table {
    /// The slab whose context holds it.
    pub slab: SlabId,
    /// Offset of entry 0 from the context pointer (negative).
    pub offset: i32,
    /// Initial length in entries.
    pub minimum: u64,
    /// Entries there is room for; growth beyond returns -1. 0 for a table whose entries are
    /// constants of the code: it has no place at all.
    pub capacity: u64,
    /// What it holds.
    pub element: TableElement,
    /// Whether some instruction of the component may grow it; otherwise its length is a constant.
    pub growable: bool,
}

/// A core module nested in the component.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct StaticModule {
    /// From the name section, or empty.
    pub name: String,
    /// Byte range in the component.
    pub range: (u64, u64),
    /// Imported functions come before defined ones in the module's index space.
    pub imported_functions: u32,
    /// Defined functions.
    pub defined_functions: u32,
    /// Offset and length in `.trampette.custom` of the names of its functions ([`crate::names`]),
    /// by index in the module's function index space.
    pub function_names: (u64, u64),
    /// Names and sizes of memories, tables, globals and segments, for listings.
    pub counts: ModuleCounts,
    /// Kept custom sections (DWARF): name, and offset and length in `.trampette.custom`.
    pub custom_sections: Vec<(String, u64, u64)>,
    /// Byte offset of the code section's content in the component: DWARF addresses are relative to
    /// it.
    pub code_section_start: u64,
}

/// Sizes of a module's index spaces, imported entities included.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct ModuleCounts {
    pub types: u32,
    pub memories: u32,
    pub tables: u32,
    pub globals: u32,
    pub tags: u32,
    pub exports: u32,
    pub data_segments: u32,
    pub element_segments: u32,
}

/// A static module with its imports bound.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Unit {
    /// The module.
    pub module: ModuleId,
    /// The slab whose context its functions take.
    pub slab: SlabId,
}

/// Resources by name.
struct ByName<'a>(&'a Metadata);

impl Names for ByName<'_> {
    fn resource(&self, id: ResourceId) -> Cow<'_, str> {
        self.0.resource_name(id)
    }
}

impl Metadata {
    /// The type of something exported, if it is a function.
    pub fn function_type<'a>(&'a self, item: &'a ExportItem) -> Option<&'a FuncType> {
        match item {
            ExportItem::Function { ty, .. } => Some(ty),
            ExportItem::HostFunc(id) => self.imports.get(*id).map(|import| &import.ty),
            _ => None,
        }
    }

    /// The name of a resource for messages, without those of its interfaces; its number if there is
    /// no such resource.
    pub fn resource_name(&self, id: ResourceId) -> Cow<'_, str> {
        match self.resources.get(id) {
            Some(Resource::Imported { path }) => path.last().map_or("", String::as_str).into(),
            Some(Resource::Defined { name, .. }) => name.into(),
            None => id.to_string().into(),
        }
    }

    /// A type as WIT spells it, resources by their names: `list<own<output-stream>>`.
    pub fn display(&self, ty: Type) -> String {
        self.by_name().ty(ty)
    }

    /// A function type as WIT spells it: `func(x: u32) -> own<output-stream>`.
    pub fn display_func(&self, ty: &FuncType) -> String {
        self.by_name().func(ty)
    }

    fn by_name(&self) -> Spelling<'_, ByName<'_>> {
        Spelling {
            types: &self.types,
            names: ByName(self),
        }
    }

    /// The bytes of `.trampette.meta`.
    ///
    /// # Errors
    /// If serialisation fails, which only running out of memory causes.
    pub fn encode(&self) -> Result<Vec<u8>> {
        postcard::to_stdvec(self).context("cannot encode the artifact's metadata")
    }

    /// Decodes `.trampette.meta`.
    ///
    /// # Errors
    /// If the bytes are not what [`Metadata::encode`] makes.
    pub fn decode(bytes: &[u8]) -> Result<Metadata> {
        let (metadata, rest) =
            postcard::take_from_bytes(bytes).context("the artifact's metadata is damaged")?;
        anyhow::ensure!(
            rest.is_empty(),
            "the artifact's metadata has {} bytes too many",
            rest.len()
        );
        Ok(metadata)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{DefinedType, Field};

    #[test]
    fn resources_are_spelt_by_name() {
        let mut metadata = Metadata {
            resources: vec![
                Resource::Imported {
                    path: vec!["wasi:io/streams@0.2.6".into(), "output-stream".into()],
                },
                Resource::Defined {
                    instance: ComponentInstanceId(0),
                    has_destructor: false,
                    name: "resource0".into(),
                },
            ]
            .into(),
            ..Metadata::default()
        };
        let types = &mut metadata.types;
        let [stream, counter, missing] =
            [0, 1, 2].map(|id| types.intern(DefinedType::Borrow(ResourceId(id))).unwrap());
        let func = FuncType {
            params: vec![Field {
                name: "to".into(),
                ty: stream,
            }],
            result: Some(
                types
                    .intern(DefinedType::Result {
                        ok: None,
                        err: Some(counter),
                    })
                    .unwrap(),
            ),
            is_async: false,
        };
        assert_eq!(
            metadata.display_func(&func),
            "func(to: borrow<output-stream>) -> result<_, borrow<resource0>>"
        );
        assert_eq!(
            metadata.types.display_func(&func),
            "func(to: borrow<resource0>) -> result<_, borrow<resource1>>"
        );
        assert_eq!(metadata.display(missing), "borrow<resource2>");
        assert_eq!(metadata.display(Type::Defined(TypeId(9))), "type9");
    }
}
