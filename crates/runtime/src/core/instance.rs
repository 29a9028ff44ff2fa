//! [`CoreInstance`]: instances of artifacts of core modules, and what they export.

use crate::core::access::{instance_in, interface};
use crate::core::func::{Code, CoreFunc};
use crate::core::global::CoreGlobal;
use crate::core::host::{CoreHost, call_host};
use crate::core::memory::CoreMemory;
use crate::core::table::{self, CoreTable};
use crate::load::component::Component;
use crate::machine::entry_code::{ArrayEntry, CoreHostCode};
use crate::machine::instance::{HostImports, InstanceData, InstanceId, RawInstance};
use crate::machine::store::{AsContext, AsContextMut, StoreInner};
use crate::memory::shared_memory::SharedMemory;
use anyhow::{Context, Result, bail, ensure};
use std::sync::Arc;
use trampette_artifact::ids::{CoreImportId, IdVec, MemoryId, TableId, UnitId};
use trampette_artifact::key::FuncKey;
use trampette_artifact::layout::ImportSlot;
use trampette_artifact::metadata::CoreExportItem;

/// An instance of an artifact of core modules, by number: plain data.
///
/// ```no_run
/// use trampette_runtime::{Component, CoreHost, CoreInstance, CoreVal, Store};
///
/// # fn main() -> anyhow::Result<()> {
/// // Made by `trampette compile add.wasm -o add.elf` of a core module.
/// // SAFETY: the compiler wrote it, and nobody else can write to its folder.
/// let module = unsafe { Component::from_file("add.elf")? };
/// let mut store = Store::new(());
/// let instance = CoreInstance::new(&mut store, &module, CoreHost::new())?;
/// let add = instance.get_func(&store, "add")?;
/// let sum = add.call(&mut store, &[CoreVal::I32(1), CoreVal::I32(2)])?;
/// assert_eq!(sum, [CoreVal::I32(3)]);
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CoreInstance {
    id: InstanceId,
}

impl CoreInstance {
    /// Instantiates a module: all steps, one after the other.
    ///
    /// # Errors
    /// If the artifact is a component, an import is not supplied, a limit is exceeded, or a segment
    /// or start function traps.
    pub fn new<T: 'static>(
        store: &mut impl AsContextMut<Data = T>,
        component: &Component,
        host: CoreHost<T>,
    ) -> Result<CoreInstance> {
        let instance = Self::without_steps(store, component, host)?;
        for step in 0..component.metadata().startup_steps {
            instance.run_step(store, step)?;
        }
        Ok(instance)
    }

    /// Makes an instance of which no step has run: its memories and tables have their initial sizes
    /// and are empty, its globals have their initial values.
    ///
    /// # Errors
    /// As [`CoreInstance::new`], apart from traps.
    #[doc(hidden)]
    pub fn without_steps<T: 'static>(
        store: &mut impl AsContextMut<Data = T>,
        component: &Component,
        host: CoreHost<T>,
    ) -> Result<CoreInstance> {
        let interface = interface(component)?;
        let bound = Arc::new(host.bind(component, interface)?);
        let memories = host.supplied_memories(component, interface)?;
        let imports = HostImports {
            functions: IdVec::new(),
            destructors: IdVec::new(),
            may_wait: false,
            owner: bound.clone(),
        };
        let inner = store.store_inner();
        let raw = RawInstance::map(inner, component, imports, &memories)?;
        let data = raw.data(inner);
        host.write_globals(data, interface)?;
        let instance = raw.id(inner);
        for (index, bound) in bound.iter().enumerate() {
            bound.settle(instance)?;
            let id = CoreImportId::new(index);
            let function: CoreHostCode = call_host::<T>;
            let slot = ImportSlot {
                function: (function as *const ()).expose_provenance() as u64,
                data: std::ptr::from_ref(bound).expose_provenance() as u64,
            };
            data.write_root(component.metadata().root.core_import(id), slot);
        }
        Ok(CoreInstance { id: instance })
    }

    /// Runs a step: the active segments and the start function of the core instance of that number.
    ///
    /// # Errors
    /// If it traps. What it did before stays.
    #[doc(hidden)]
    pub fn run_step(&self, store: &mut impl AsContextMut, step: u32) -> Result<()> {
        let store = store.store_inner();
        self.data(store)?.run_step(step)
    }

    fn data<'a>(&self, store: &'a StoreInner) -> Result<&'a InstanceData> {
        instance_in(self.id, store)
    }

    /// What is exported under a name; of artifacts of several modules, by the first that has it.
    ///
    /// # Errors
    /// If nothing is, or the instance is of another store.
    pub fn export(&self, store: &impl AsContext, name: &str) -> Result<CoreExtern> {
        self.find(store.store_inner(), None, name)
    }

    /// What one of several core instances exports under a name.
    ///
    /// # Errors
    /// As [`CoreInstance::export`].
    #[doc(hidden)]
    pub fn export_of(
        &self,
        store: &impl AsContext,
        unit: UnitId,
        name: &str,
    ) -> Result<CoreExtern> {
        self.find(store.store_inner(), Some(unit), name)
    }

    fn find(&self, store: &StoreInner, unit: Option<UnitId>, name: &str) -> Result<CoreExtern> {
        let component = &self.data(store)?.component;
        let exports = &interface(component)?.exports;
        let export = exports
            .iter()
            .find(|export| export.name == name && unit.is_none_or(|unit| unit == export.unit))
            .with_context(|| format!("there is no export `{name}`"))?;
        let instance = self.id;
        Ok(match &export.item {
            CoreExportItem::Func { unit, func, ty } => {
                let key = FuncKey::ArrayToWasm(*unit, *func);
                let code = component.function_address(key).and_then(ArrayEntry::at);
                let code = code.with_context(|| format!("there is no code for `{name}`"))?;
                CoreExtern::Func(CoreFunc {
                    instance,
                    code: Code::Compiled(code),
                    ty: ty.clone(),
                })
            }
            CoreExportItem::HostFunc(import) => CoreExtern::Func(CoreFunc {
                instance,
                code: Code::Host(*import),
                ty: interface(component)?.imports[*import].ty.clone(),
            }),
            CoreExportItem::Memory(id) => CoreExtern::Memory(CoreMemory { instance, id: *id }),
            CoreExportItem::Table(id) => CoreExtern::Table(CoreTable { instance, id: *id }),
            CoreExportItem::Global { place, ty, mutable } => CoreExtern::Global(CoreGlobal {
                instance,
                place: *place,
                ty: *ty,
                mutable: *mutable,
            }),
            CoreExportItem::Tag(_) => bail!("the export `{name}` is a tag"),
        })
    }

    /// An exported function.
    ///
    /// # Errors
    /// If there is no such export; likewise below.
    pub fn get_func(&self, store: &impl AsContext, name: &str) -> Result<CoreFunc> {
        match self.export(store, name)? {
            CoreExtern::Func(func) => Ok(func),
            _ => bail!("the export `{name}` is not a function"),
        }
    }

    /// An exported memory.
    ///
    /// # Errors
    /// If there is none of that name.
    pub fn get_memory(&self, store: &impl AsContext, name: &str) -> Result<CoreMemory> {
        match self.export(store, name)? {
            CoreExtern::Memory(memory) => Ok(memory),
            _ => bail!("the export `{name}` is not a memory"),
        }
    }

    /// An exported table.
    ///
    /// # Errors
    /// If there is none of that name.
    pub fn get_table(&self, store: &impl AsContext, name: &str) -> Result<CoreTable> {
        match self.export(store, name)? {
            CoreExtern::Table(table) => Ok(table),
            _ => bail!("the export `{name}` is not a table"),
        }
    }

    /// An exported global.
    ///
    /// # Errors
    /// If there is none of that name.
    pub fn get_global(&self, store: &impl AsContext, name: &str) -> Result<CoreGlobal> {
        match self.export(store, name)? {
            CoreExtern::Global(global) => Ok(global),
            _ => bail!("the export `{name}` is not a global"),
        }
    }

    /// All its memories that are shared between threads, imported or not, by number.
    ///
    /// # Errors
    /// If the instance is of another store.
    pub fn shared_memories(&self, store: &impl AsContext) -> Result<Vec<SharedMemory>> {
        let memories = &self.data(store.store_inner())?.shared_memories;
        Ok(memories.iter().cloned().collect())
    }

    /// The current length of any memory of the artifact, in pages.
    ///
    /// # Errors
    /// If there is none of that number, or the instance is of another store.
    #[doc(hidden)]
    pub fn memory_pages(&self, store: &impl AsContext, id: MemoryId) -> Result<u64> {
        let data = self.data(store.store_inner())?;
        let memory = data.component.metadata().memories.get(id);
        let memory = memory.with_context(|| format!("there is no {id}"))?;
        Ok(data.memory_length(id) >> memory.page_size_log2)
    }

    /// The current length of any table of the artifact, in entries.
    ///
    /// # Errors
    /// If there is none of that number, or the instance is of another store.
    pub fn table_entries(&self, store: &impl AsContext, id: TableId) -> Result<u64> {
        let data = self.data(store.store_inner())?;
        let tables = data.component.metadata().tables.len();
        ensure!(id.index() < tables, "there is no {id}");
        Ok(table::length(data, id))
    }
}

/// Something that a core module exports.
///
/// ```
/// # use trampette_runtime::{CoreExtern, CoreInstance, Store};
/// # fn find(store: &Store<()>, instance: &CoreInstance) -> anyhow::Result<()> {
/// match instance.export(store, "it")? {
///     CoreExtern::Func(func) => println!("a function {}", func.ty()),
///     CoreExtern::Memory(memory) => println!("{} bytes", memory.len(store)?),
///     CoreExtern::Table(table) => println!("{} entries", table.len(store)?),
///     CoreExtern::Global(global) => println!("{:?}", global.get(store)?),
/// }
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub enum CoreExtern {
    /// A function.
    Func(CoreFunc),
    /// A memory.
    Memory(CoreMemory),
    /// A table.
    Table(CoreTable),
    /// A global.
    Global(CoreGlobal),
}
