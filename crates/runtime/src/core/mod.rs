//! [`CoreInstance`]: core modules on their own, without a component around them.
//!
//! An artifact of core modules ([`Component::metadata`] has a `core` interface) is instantiated step
//! by step: each core instance in it comes to life by a step of its own, which writes its active
//! segments and runs its start function. A lone module is instantiated by [`CoreInstance::new`], which
//! runs all steps. Functions are called through array-call entries; memories, tables and globals are
//! read and written in place. Core instances do not lock: after a trap they can be called again.
//!
//! ```no_run
//! use trampette_runtime::{Component, CoreHost, CoreInstance, CoreVal, Store};
//! # fn main() -> anyhow::Result<()> {
//! let module = Component::from_file("fib.elf")?;
//! let mut store = Store::new(());
//! let mut host = CoreHost::new();
//! host.func("env", "seed", |_caller, _args| Ok(vec![CoreVal::I32(1)]));
//! let instance = CoreInstance::new(&mut store, &module, host)?;
//! let fib = instance.get_func(&store, "fib")?;
//! let results = fib.call(&mut store, &[CoreVal::I32(10)])?;
//! # Ok(()) }
//! ```

use crate::load::component::Component;
use crate::machine::instance::{HostImports, InstanceData, RawInstance};
use crate::machine::services;
use crate::machine::store::{AsContext, AsContextMut, Caller, Store, StoreInner};
use crate::memory::shared_memory::SharedMemory;
use anyhow::{Context, Result, bail, ensure};
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::NonNull;
use std::sync::Arc;
use trampette_artifact::ids::{
    CoreImportId, FunctionId, MemoryId, SharedMemoryId, SlabId, TableId, UnitId,
};
use trampette_artifact::key::FuncKey;
use trampette_artifact::layout::{HOST_ERROR, HOST_OK, ImportSlot, TableState, ValRaw};
use trampette_artifact::metadata::{
    CoreExportItem, CoreFuncType, CoreGlobalPlace, CoreInterface, CoreValueType, TableElement,
};

/// A core value. Floats are bits, so that NaNs stay what they are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CoreVal {
    /// `i32`.
    I32(i32),
    /// `i64`.
    I64(i64),
    /// `f32`, as bits.
    F32(u32),
    /// `f64`, as bits.
    F64(u64),
    /// `v128`, little-endian.
    V128([u8; 16]),
    /// A reference to a function, or null.
    FuncRef(Option<FunctionId>),
    /// A reference to something of the host's, by a number that it chose (below `u32::MAX`), or null.
    ExternRef(Option<u32>),
    /// A reference to an exception, or null; only guest code makes and uses them.
    ExnRef(Option<u32>),
}

impl CoreVal {
    fn read(raw: &ValRaw, ty: CoreValueType) -> CoreVal {
        // SAFETY: every bit pattern is valid for every field; what a narrow field leaves out is ignored.
        unsafe {
            match ty {
                CoreValueType::I32 => CoreVal::I32(raw.i32),
                CoreValueType::I64 => CoreVal::I64(raw.i64),
                CoreValueType::F32 => CoreVal::F32(raw.f32),
                CoreValueType::F64 => CoreVal::F64(raw.f64),
                CoreValueType::V128 => CoreVal::V128(raw.v128),
                CoreValueType::FuncRef | CoreValueType::TypedFuncRef => {
                    CoreVal::FuncRef((raw.funcref != 0).then_some(FunctionId(raw.funcref)))
                }
                CoreValueType::ExternRef => CoreVal::ExternRef(raw.externref.checked_sub(1)),
                CoreValueType::ExnRef => CoreVal::ExnRef(raw.externref.checked_sub(1)),
            }
        }
    }

    /// The raw value, if it has the type and names a function that exists.
    fn write(self, ty: CoreValueType, component: &Component) -> Result<ValRaw> {
        let mut raw = ValRaw { v128: [0; 16] };
        match (self, ty) {
            (CoreVal::I32(value), CoreValueType::I32) => raw.i32 = value,
            (CoreVal::I64(value), CoreValueType::I64) => raw.i64 = value,
            (CoreVal::F32(bits), CoreValueType::F32) => raw.f32 = bits,
            (CoreVal::F64(bits), CoreValueType::F64) => raw.f64 = bits,
            (CoreVal::V128(bytes), CoreValueType::V128) => raw.v128 = bytes,
            (CoreVal::FuncRef(None), CoreValueType::FuncRef | CoreValueType::TypedFuncRef)
            | (CoreVal::ExternRef(None), CoreValueType::ExternRef)
            | (CoreVal::ExnRef(None), CoreValueType::ExnRef) => {}
            (CoreVal::FuncRef(Some(id)), CoreValueType::FuncRef) => {
                ensure!(
                    id.0 < component.metadata().function_table_length,
                    "the artifact has no {id}"
                );
                raw.funcref = id.0;
            }
            (CoreVal::ExternRef(Some(number)), CoreValueType::ExternRef) => {
                raw.externref = number
                    .checked_add(1)
                    .context("the reference is too large")?;
            }
            _ => bail!("{self:?} is given where {ty:?} is expected"),
        }
        Ok(raw)
    }
}

/// What a host supplies to core modules, by two names: functions, values of globals, and memories that
/// are shared between threads.
///
/// Of a lone module's other imports, those that are not bound to modules when it is compiled are made
/// for the instance: tables and memories of their minimum sizes, mutable globals that are zero or null
/// unless the host gives them a value. An immutable global must be given one.
pub struct CoreHost<T: 'static> {
    functions: HashMap<(String, String), HostFunction<T>>,
    globals: HashMap<(String, String), CoreVal>,
    memories: HashMap<(String, String), SharedMemory>,
    /// All shared memories of the artifact, by number.
    all_memories: Vec<SharedMemory>,
}

type HostFunction<T> = Arc<dyn Fn(Caller<'_, T>, &[CoreVal]) -> Result<Vec<CoreVal>> + Send + Sync>;

impl<T: 'static> Default for CoreHost<T> {
    fn default() -> Self {
        CoreHost {
            functions: HashMap::new(),
            globals: HashMap::new(),
            memories: HashMap::new(),
            all_memories: Vec::new(),
        }
    }
}

impl<T: 'static> CoreHost<T> {
    /// Supplies nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Supplies a function. Its type is that of the import: it gets values of the parameters' types,
    /// and a call traps if what it returns does not have the results' types.
    pub fn func(
        &mut self,
        module: &str,
        name: &str,
        function: impl Fn(Caller<'_, T>, &[CoreVal]) -> Result<Vec<CoreVal>> + Send + Sync + 'static,
    ) {
        let key = (module.to_string(), name.to_string());
        self.functions.insert(key, Arc::new(function));
    }

    /// Supplies the value of an imported global, which it has before any code runs.
    pub fn global(&mut self, module: &str, name: &str, value: CoreVal) {
        let key = (module.to_string(), name.to_string());
        self.globals.insert(key, value);
    }

    /// Supplies a memory that is shared between threads. (Other memories belong to their instance.)
    pub fn memory(&mut self, module: &str, name: &str, memory: SharedMemory) {
        let key = (module.to_string(), name.to_string());
        self.memories.insert(key, memory);
    }

    /// Supplies all shared memories of an artifact, whether imported or not: those of another instance
    /// of it ([`CoreInstance::shared_memories`]). This is how a thread gets an instance of its own.
    pub fn share_memories(&mut self, memories: Vec<SharedMemory>) {
        self.all_memories = memories;
    }

    /// The memories that were supplied, if they fit the artifact's declarations.
    fn supplied_memories(
        &self,
        component: &Component,
        interface: &CoreInterface,
    ) -> Result<Vec<(SharedMemoryId, SharedMemory)>> {
        let declared = &component.metadata().memories;
        if !self.all_memories.is_empty() {
            let all = declared.iter().filter(|memory| memory.shared().is_some());
            let fit = all.clone().zip(&self.all_memories);
            ensure!(
                all.count() == self.all_memories.len() && fit.into_iter().all(|(m, s)| s.fits(m)),
                "the shared memories are not those of an instance of the same artifact"
            );
            let all = self.all_memories.iter().cloned().enumerate();
            return Ok(all
                .map(|(i, memory)| (SharedMemoryId::new(i), memory))
                .collect());
        }
        let mut supplied = Vec::new();
        for import in &interface.memories {
            let memory = &declared[import.memory.index()];
            let key = (import.module.clone(), import.name.clone());
            if let (Some(id), Some(found)) = (memory.shared(), self.memories.get(&key)) {
                ensure!(
                    found.fits(memory),
                    "incompatible import type of `{}` `{}`: the memory has other sizes",
                    import.module,
                    import.name
                );
                supplied.push((id, found.clone()));
            }
        }
        Ok(supplied)
    }

    /// Writes the values of imported globals.
    fn write_globals(&self, data: &InstanceData, interface: &CoreInterface) -> Result<()> {
        for import in &interface.globals {
            let names = format!("`{}` `{}`", import.module, import.name);
            let key = (import.module.clone(), import.name.clone());
            let Some(value) = self.globals.get(&key) else {
                ensure!(
                    import.mutable,
                    "unknown import: {names}; an immutable global needs a value"
                );
                continue;
            };
            let raw = value.write(import.ty, &data.component);
            let raw = raw.with_context(|| format!("incompatible import type of {names}"))?;
            let to = CoreGlobal::address(data, import.slab, import.offset).as_ptr();
            // SAFETY: the global's bytes are mapped, and no code runs yet.
            unsafe {
                to.copy_from_nonoverlapping((&raw const raw).cast(), size_of_value(import.ty))
            };
        }
        Ok(())
    }

    /// A bound function for each import.
    fn bind(&self, component: &Component, interface: &CoreInterface) -> Result<Vec<Bound<T>>> {
        let bind = |(index, import): (usize, &trampette_artifact::metadata::CoreImport)| {
            let key = (import.module.clone(), import.name.clone());
            let function = self.functions.get(&key).with_context(|| {
                format!("unknown import: `{}` `{}`", import.module, import.name)
            })?;
            Ok(Bound {
                function: function.clone(),
                component: component.clone(),
                import: CoreImportId::new(index),
            })
        };
        interface.imports.iter().enumerate().map(bind).collect()
    }
}

/// A host function bound to an import.
struct Bound<T: 'static> {
    function: HostFunction<T>,
    component: Component,
    import: CoreImportId,
}

impl<T: 'static> Bound<T> {
    fn ty(&self) -> Result<&CoreFuncType> {
        let import = interface(&self.component)?.imports.get(self.import.index());
        Ok(&import.context("the import is gone")?.ty)
    }

    fn call(&self, caller: Caller<'_, T>, values: &mut [ValRaw]) -> Result<()> {
        let ty = self.ty()?;
        let args = values.iter().zip(&ty.params);
        let args: Vec<CoreVal> = args.map(|(raw, ty)| CoreVal::read(raw, *ty)).collect();
        let results = (self.function)(caller, &args)?;
        ensure!(
            results.len() == ty.results.len(),
            "a host function returned {} results instead of {}",
            results.len(),
            ty.results.len()
        );
        for ((raw, value), ty) in values.iter_mut().zip(results).zip(&ty.results) {
            *raw = value.write(*ty, &self.component)?;
        }
        Ok(())
    }
}

/// What compiled code calls (see [`trampette_artifact::layout::RootLayout::core_import`]).
unsafe extern "C" fn call_host<T: 'static>(
    data: *const Bound<T>,
    store: *const StoreInner,
    values: *mut ValRaw,
    length: usize,
) -> u32 {
    // SAFETY: the slot was filled with this function and a bound function that lives as long as the
    // instance; compiled code passes its store, which is a `Store<T>`, and its values.
    let (bound, caller, inner, values) = unsafe {
        let values = std::slice::from_raw_parts_mut(values, length);
        (&*data, Caller::from_raw(store), &*store, values)
    };
    match catch_unwind(AssertUnwindSafe(|| bound.call(caller, values))) {
        Ok(Ok(())) => return HOST_OK,
        Ok(Err(error)) => inner.set_host_error(error),
        Err(panic) => inner.set_host_panic(panic),
    }
    HOST_ERROR
}

/// An instance of an artifact of core modules, by number: plain data.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CoreInstance {
    raw: RawInstance,
    store: u64,
}

fn interface(component: &Component) -> Result<&CoreInterface> {
    let core = component.metadata().core.as_ref();
    core.context("the artifact is a component, not a core module")
}

impl CoreInstance {
    /// Instantiates a module: all steps, one after the other.
    ///
    /// # Errors
    /// If the artifact is a component, an import is not supplied, a limit is exceeded, or a segment or
    /// start function traps.
    pub fn new<T: 'static>(
        store: &mut Store<T>,
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
    pub fn without_steps<T: 'static>(
        store: &mut Store<T>,
        component: &Component,
        host: CoreHost<T>,
    ) -> Result<CoreInstance> {
        let interface = interface(component)?;
        let bound = Arc::new(host.bind(component, interface)?);
        let memories = host.supplied_memories(component, interface)?;
        let imports = HostImports {
            functions: Vec::new(),
            destructors: Vec::new(),
            owner: bound.clone(),
        };
        let inner = store.inner();
        let raw = RawInstance::map(inner, component, imports, &memories)?;
        let data = raw.data(inner);
        host.write_globals(data, interface)?;
        for (index, bound) in bound.iter().enumerate() {
            let slot = component
                .metadata()
                .root
                .core_import(CoreImportId::new(index));
            let function = call_host::<T> as *const ();
            // SAFETY: a field of the mapped root, by the validated layout.
            unsafe {
                data.root_field(slot).write(ImportSlot {
                    function: function.expose_provenance() as u64,
                    data: (bound as *const Bound<T>).expose_provenance() as u64,
                });
            }
        }
        Ok(CoreInstance {
            raw,
            store: inner.id(),
        })
    }

    /// Runs a step: the active segments and the start function of the core instance of that number.
    ///
    /// # Errors
    /// If it traps. What it did before stays.
    pub fn run_step(&self, store: &mut impl AsContextMut, step: u32) -> Result<()> {
        self.check(store.store_inner())?;
        self.raw.run_step(store.store_inner(), step)
    }

    fn check(&self, store: &StoreInner) -> Result<()> {
        ensure!(
            self.store == store.id(),
            "the core instance is of another store"
        );
        Ok(())
    }

    fn data<'a>(&self, store: &'a StoreInner) -> Result<&'a InstanceData> {
        self.check(store)?;
        Ok(self.raw.data(store))
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
        let instance = *self;
        Ok(match &export.item {
            CoreExportItem::Func { unit, func, ty } => {
                let key = FuncKey::ArrayToWasm(*unit, *func);
                let code = component.function_address(key);
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
                ty: interface(component)?.imports[import.index()].ty.clone(),
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
        Ok(self.data(store.store_inner())?.shared_memories.clone())
    }

    /// The current length of any memory of the artifact, in pages.
    ///
    /// # Errors
    /// If there is none of that number, or the instance is of another store.
    pub fn memory_pages(&self, store: &impl AsContext, id: MemoryId) -> Result<u64> {
        let data = self.data(store.store_inner())?;
        let memory = data.component.metadata().memories.get(id.index());
        let memory = memory.with_context(|| format!("there is no {id}"))?;
        Ok(data.memory_length(id) >> memory.page_size_log2)
    }

    /// The current length of any table of the artifact, in entries.
    ///
    /// # Errors
    /// If there is none of that number, or the instance is of another store.
    pub fn table_entries(&self, store: &impl AsContext, id: TableId) -> Result<u64> {
        let data = self.data(store.store_inner())?;
        let metadata = data.component.metadata();
        ensure!(id.index() < metadata.tables.len(), "there is no {id}");
        let state = data.root_field::<TableState>(metadata.root.table(id));
        // SAFETY: mapped and initialised.
        Ok(unsafe { state.read() }.length)
    }
}

/// Something that a core module exports.
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

/// A core function of an instance.
#[derive(Clone, Debug)]
pub struct CoreFunc {
    instance: CoreInstance,
    code: Code,
    ty: CoreFuncType,
}

/// What a call of a core function runs.
#[derive(Clone, Copy, Debug)]
enum Code {
    /// The array-call entry at this address.
    Compiled(usize),
    /// A function of the host that the module imports and exports.
    Host(CoreImportId),
}

impl CoreFunc {
    /// Its type.
    pub fn ty(&self) -> &CoreFuncType {
        &self.ty
    }

    /// Calls the function.
    ///
    /// # Errors
    /// If the arguments do not have the parameters' types, or the call traps: then a
    /// [`crate::Trap`], or a host function's own error with a [`crate::WasmBacktrace`] as context.
    pub fn call(&self, store: &mut impl AsContextMut, args: &[CoreVal]) -> Result<Vec<CoreVal>> {
        let inner = store.store_inner();
        let component = &self.instance.data(inner)?.component;
        ensure!(
            args.len() == self.ty.params.len(),
            "{} arguments are given to a function with {} parameters",
            args.len(),
            self.ty.params.len()
        );
        let values = args.iter().zip(&self.ty.params);
        let values: Result<Vec<ValRaw>> = values.map(|(v, ty)| v.write(*ty, component)).collect();
        let mut values = values?;
        let length = args.len().max(self.ty.results.len());
        values.resize(length, ValRaw { v128: [0; 16] });
        // SAFETY: the values were just made from the parameters' types.
        unsafe { self.call_raw(store, &mut values) }?;
        let results = values.iter().zip(&self.ty.results);
        Ok(results.map(|(raw, ty)| CoreVal::read(raw, *ty)).collect())
    }

    /// Calls the function with raw values: the parameters, replaced by the results.
    ///
    /// # Safety
    /// The values are of the parameters' types, and references among them valid.
    ///
    /// # Errors
    /// If there are fewer values than parameters or results, or as [`CoreFunc::call`].
    pub unsafe fn call_raw(
        &self,
        store: &mut impl AsContextMut,
        values: &mut [ValRaw],
    ) -> Result<()> {
        let inner = store.store_inner();
        let needed = self.ty.params.len().max(self.ty.results.len());
        ensure!(values.len() >= needed, "room for {needed} values is needed");
        let data = self.instance.data(inner)?;
        match self.code {
            Code::Compiled(code) => data.enter(|context| {
                // SAFETY: the address of an array-call function.
                let code: extern "C" fn(*mut u8, *mut u8, *mut ValRaw, usize) -> bool =
                    unsafe { std::mem::transmute(code) };
                let success = code(context, context, values.as_mut_ptr(), values.len());
                u32::from(!success)
            }),
            Code::Host(import) => call_slot(inner, data, import, values),
        }
    }
}

/// Calls a function of the host through its slot, as compiled code would.
fn call_slot(
    store: &StoreInner,
    data: &InstanceData,
    import: CoreImportId,
    values: &mut [ValRaw],
) -> Result<()> {
    let slot = data.component.metadata().root.core_import(import);
    // SAFETY: the slot was filled when the instance was made; its function has this type.
    let status = unsafe {
        let slot = data.root_field::<ImportSlot>(slot).read();
        let function: unsafe extern "C" fn(u64, *const StoreInner, *mut ValRaw, usize) -> u32 =
            std::mem::transmute(slot.function as usize);
        function(slot.data, store, values.as_mut_ptr(), values.len())
    };
    if status == HOST_OK {
        return Ok(());
    }
    if let Some(panic) = store.take_host_panic() {
        std::panic::resume_unwind(panic);
    }
    Err(store
        .take_host_error()
        .unwrap_or_else(|| anyhow::anyhow!("a host function failed")))
}

/// A linear memory of an instance.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CoreMemory {
    instance: CoreInstance,
    id: MemoryId,
}

impl CoreMemory {
    /// Its length in bytes.
    ///
    /// # Errors
    /// If it is of another store; likewise below.
    pub fn len(&self, store: &impl AsContext) -> Result<u64> {
        let data = self.instance.data(store.store_inner())?;
        Ok(data.memory_length(self.id))
    }

    /// Whether it has no bytes.
    ///
    /// # Errors
    /// As [`CoreMemory::len`].
    pub fn is_empty(&self, store: &impl AsContext) -> Result<bool> {
        Ok(self.len(store)? == 0)
    }

    /// The address of `length` bytes from `offset`.
    fn range(&self, store: &StoreInner, offset: u64, length: usize) -> Result<NonNull<u8>> {
        let data = self.instance.data(store)?;
        let size = data.memory_length(self.id);
        let end = offset.checked_add(length as u64);
        ensure!(
            end.is_some_and(|end| end <= size),
            "{length} bytes from {offset:#x} are not in a memory of {size:#x} bytes"
        );
        // SAFETY: inside the memory, as was just checked.
        Ok(unsafe { data.memory_base(self.id).add(offset as usize) })
    }

    /// The memory as one that other stores can use; `None` if it was not declared as shared.
    ///
    /// # Errors
    /// If it is of another store.
    pub fn shared(&self, store: &impl AsContext) -> Result<Option<SharedMemory>> {
        let data = self.instance.data(store.store_inner())?;
        Ok(data.shared_memory(self.id).cloned())
    }

    /// Copies bytes out.
    ///
    /// # Errors
    /// If they are out of bounds.
    pub fn read(&self, store: &impl AsContext, offset: u64, bytes: &mut [u8]) -> Result<()> {
        if let Some(memory) = self.shared(store)? {
            return memory.read(offset, bytes);
        }
        let from = self.range(store.store_inner(), offset, bytes.len())?;
        // SAFETY: in bounds; no guest code runs meanwhile, since it would borrow the store.
        unsafe {
            from.as_ptr()
                .copy_to_nonoverlapping(bytes.as_mut_ptr(), bytes.len());
        }
        Ok(())
    }

    /// Copies bytes in.
    ///
    /// # Errors
    /// If the place is out of bounds.
    pub fn write(&self, store: &mut impl AsContextMut, offset: u64, bytes: &[u8]) -> Result<()> {
        let data = self.instance.data(store.store_inner())?;
        if let Some(memory) = data.shared_memory(self.id) {
            return memory.write(offset, bytes);
        }
        let to = self.range(store.store_inner(), offset, bytes.len())?;
        // SAFETY: in bounds, and the store is borrowed exclusively.
        unsafe {
            to.as_ptr()
                .copy_from_nonoverlapping(bytes.as_ptr(), bytes.len());
        }
        Ok(())
    }

    /// Makes it longer by `delta` pages; the length before, in pages.
    ///
    /// # Errors
    /// If it cannot grow that far.
    pub fn grow(&self, store: &mut impl AsContextMut, delta: u64) -> Result<u64> {
        let inner = store.store_inner();
        let data = self.instance.data(inner)?;
        services::grow_memory(inner, data, self.id, delta)
            .with_context(|| format!("the memory cannot grow by {delta} pages"))
    }
}

/// A table of an instance.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CoreTable {
    instance: CoreInstance,
    id: TableId,
}

impl CoreTable {
    /// Its length in entries.
    ///
    /// # Errors
    /// If it is of another store; likewise below.
    pub fn len(&self, store: &impl AsContext) -> Result<u64> {
        self.instance.table_entries(store, self.id)
    }

    /// Whether it has no entries.
    ///
    /// # Errors
    /// As [`CoreTable::len`].
    pub fn is_empty(&self, store: &impl AsContext) -> Result<bool> {
        Ok(self.len(store)? == 0)
    }

    fn element_type(&self, data: &InstanceData) -> CoreValueType {
        match data.component.metadata().tables[self.id.index()].element {
            TableElement::Function => CoreValueType::FuncRef,
            TableElement::TypedFunction => CoreValueType::TypedFuncRef,
            TableElement::External => CoreValueType::ExternRef,
            TableElement::Exception => CoreValueType::ExnRef,
        }
    }

    fn entry<'a>(
        &self,
        store: &'a impl AsContext,
        index: u64,
    ) -> Result<(&'a InstanceData, NonNull<u32>)> {
        let length = self.len(store)?;
        ensure!(
            index < length,
            "entry {index} is not in a table of {length} entries"
        );
        let data = self.instance.data(store.store_inner())?;
        let table = &data.component.metadata().tables[self.id.index()];
        // SAFETY: inside the table, which is inside its context.
        let entry = unsafe {
            let entries = data
                .slabs()
                .context(table.slab)
                .offset(table.offset as isize);
            entries.cast::<u32>().add(index as usize)
        };
        Ok((data, entry))
    }

    /// An entry.
    ///
    /// # Errors
    /// If it is out of bounds.
    pub fn get(&self, store: &impl AsContext, index: u64) -> Result<CoreVal> {
        let (data, entry) = self.entry(store, index)?;
        // SAFETY: mapped and aligned.
        let funcref = unsafe { entry.read() };
        let raw = ValRaw { funcref };
        Ok(CoreVal::read(&raw, self.element_type(data)))
    }

    /// Writes an entry. Functions cannot be written from outside unless the table holds functions of
    /// any type.
    ///
    /// # Errors
    /// If it is out of bounds, or the value has another type.
    pub fn set(&self, store: &mut impl AsContextMut, index: u64, value: CoreVal) -> Result<()> {
        let (data, entry) = self.entry(store, index)?;
        let raw = value.write(self.element_type(data), &data.component)?;
        // SAFETY: mapped and aligned; all references are 32 bits.
        unsafe { entry.write(raw.funcref) };
        Ok(())
    }

    /// Makes it longer by `delta` entries of `value`; the length before.
    ///
    /// # Errors
    /// If it cannot grow that far, or the value has another type.
    pub fn grow(&self, store: &mut impl AsContextMut, delta: u64, value: CoreVal) -> Result<u64> {
        let inner = store.store_inner();
        let data = self.instance.data(inner)?;
        let raw = value.write(self.element_type(data), &data.component)?;
        // SAFETY: the value was checked; all references are 32 bits.
        unsafe { services::grow_table(inner, data, self.id, raw.funcref, delta) }
            .with_context(|| format!("the table cannot grow by {delta} entries"))
    }
}

/// Bytes of a global's value in a context.
fn size_of_value(ty: CoreValueType) -> usize {
    match ty {
        CoreValueType::V128 => 16,
        CoreValueType::I64 | CoreValueType::F64 => 8,
        _ => 4,
    }
}

/// A global of an instance.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CoreGlobal {
    instance: CoreInstance,
    place: CoreGlobalPlace,
    ty: CoreValueType,
    mutable: bool,
}

impl CoreGlobal {
    /// Its type.
    pub fn ty(&self) -> CoreValueType {
        self.ty
    }

    fn address(data: &InstanceData, slab: SlabId, offset: i32) -> NonNull<u8> {
        // SAFETY: inside the context, by the validated metadata.
        unsafe { data.slabs().context(slab).offset(offset as isize) }
    }

    /// Its value.
    ///
    /// # Errors
    /// If it is of another store.
    pub fn get(&self, store: &impl AsContext) -> Result<CoreVal> {
        let data = self.instance.data(store.store_inner())?;
        let mut raw = ValRaw { v128: [0; 16] };
        match self.place {
            CoreGlobalPlace::Constant(bytes) => raw.v128 = bytes,
            // SAFETY: the global's bytes are mapped; every bit pattern is valid.
            CoreGlobalPlace::Context { slab, offset } => unsafe {
                let from = Self::address(data, slab, offset).as_ptr();
                from.copy_to_nonoverlapping((&raw mut raw).cast(), size_of_value(self.ty));
            },
        }
        Ok(CoreVal::read(&raw, self.ty))
    }

    /// Writes its value.
    ///
    /// # Errors
    /// If it is immutable, or the value has another type.
    pub fn set(&self, store: &mut impl AsContextMut, value: CoreVal) -> Result<()> {
        let data = self.instance.data(store.store_inner())?;
        ensure!(self.mutable, "the global is immutable");
        let CoreGlobalPlace::Context { slab, offset } = self.place else {
            bail!("the global is a constant");
        };
        let raw = value.write(self.ty, &data.component)?;
        // SAFETY: the global's bytes are mapped, and the store is borrowed exclusively.
        unsafe {
            let to = Self::address(data, slab, offset).as_ptr();
            to.copy_from_nonoverlapping((&raw const raw).cast(), size_of_value(self.ty));
        }
        Ok(())
    }
}
