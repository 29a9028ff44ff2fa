//! [`CoreHost`]: what a host supplies to core modules; its functions as compiled code calls them.

use crate::core::access::interface;
use crate::core::global::address;
use crate::core::memory::CoreMemory;
use crate::core::values::{CoreVal, size_of_value};
use crate::load::component::Component;
use crate::machine::failure::contain;
use crate::machine::instance::{InstanceData, InstanceId};
use crate::machine::store::{Caller, StoreInner};
use crate::memory::shared_memory::SharedMemory;
use anyhow::{Context, Result, bail, ensure};
use std::collections::{HashMap, HashSet};
use std::convert::identity;
use std::sync::{Arc, OnceLock};
use trampette_artifact::ids::{CoreImportId, SharedMemoryId};
use trampette_artifact::layout::ValRaw;
use trampette_artifact::metadata::{CoreFuncType, CoreImport, CoreInterface};

/// What a host supplies to core modules, by two names: functions, values of globals, and memories
/// that are shared between threads.
///
/// Of a lone module's other imports, those that are not bound to modules when it is compiled are
/// made for the instance: tables and memories of their minimum sizes, mutable globals that are zero
/// or null unless the host gives them a value. An immutable global must be given one.
///
/// ```
/// use trampette_runtime::{CoreHost, CoreVal};
///
/// let mut host = CoreHost::<u64>::new();
/// host.func("env", "count", |mut caller, args| {
///     let [CoreVal::I32(by)] = args else {
///         anyhow::bail!("`count` takes an i32");
///     };
///     *caller.data_mut() += u64::from(*by as u32);
///     Ok(Vec::new())
/// });
/// host.global("env", "base", CoreVal::I32(1024));
/// ```
pub struct CoreHost<T: 'static> {
    functions: HashMap<(String, String), Supplied<T>>,
    globals: HashMap<(String, String), CoreVal>,
    memories: HashMap<(String, String), SharedMemory>,
    /// All shared memories of the artifact, by number.
    all_memories: Vec<SharedMemory>,
}

type HostFunction<T> = Arc<
    dyn Fn(Caller<'_, T>, Option<CoreMemory>, &[CoreVal]) -> Result<Vec<CoreVal>> + Send + Sync,
>;

/// A function of the host.
struct Supplied<T: 'static> {
    /// The type that imports of it must have; `None` for any.
    ty: Option<CoreFuncType>,
    function: HostFunction<T>,
}

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

    /// Supplies a function. Its type is that of the import: it gets values of the parameters'
    /// types, and a call traps if what it returns does not have the results' types.
    pub fn func(
        &mut self,
        module: &str,
        name: &str,
        function: impl Fn(Caller<'_, T>, &[CoreVal]) -> Result<Vec<CoreVal>> + Send + Sync + 'static,
    ) {
        let supplied = Supplied {
            ty: None,
            function: Arc::new(move |caller, _, args| function(caller, args)),
        };
        let key = (module.to_string(), name.to_string());
        self.functions.insert(key, supplied);
    }

    /// Supplies a function of one type that works on the memory of the module that imports it: the
    /// one which that module exports as `memory`, otherwise its first one; `None` if it has none.
    /// An import of another type is refused when a module is instantiated.
    ///
    /// ```
    /// use trampette_runtime::{CoreFuncType, CoreHost, CoreVal, CoreValueType};
    ///
    /// let mut host = CoreHost::<()>::new();
    /// let ty = CoreFuncType { params: vec![CoreValueType::I32; 2], results: Vec::new() };
    /// host.func_with_memory("env", "print", ty, |caller, memory, args| {
    ///     let (Some(memory), [CoreVal::I32(at), CoreVal::I32(length)]) = (memory, args) else {
    ///         anyhow::bail!("`print` is of modules with a memory");
    ///     };
    ///     // Bounded by the memory's size: a guest chooses the length.
    ///     anyhow::ensure!(*length as u32 <= 1 << 16);
    ///     let mut text = vec![0; *length as u32 as usize];
    ///     memory.read(&caller, u64::from(*at as u32), &mut text)?;
    ///     println!("{}", String::from_utf8_lossy(&text));
    ///     Ok(Vec::new())
    /// });
    /// ```
    pub fn func_with_memory(
        &mut self,
        module: &str,
        name: &str,
        ty: CoreFuncType,
        function: impl Fn(Caller<'_, T>, Option<CoreMemory>, &[CoreVal]) -> Result<Vec<CoreVal>>
        + Send
        + Sync
        + 'static,
    ) {
        let supplied = Supplied {
            ty: Some(ty),
            function: Arc::new(function),
        };
        let key = (module.to_string(), name.to_string());
        self.functions.insert(key, supplied);
    }

    /// Both names of everything that a module imports and this host would have to supply, but does
    /// not: functions, and values of immutable globals.
    ///
    /// ```
    /// # fn check(host: &trampette_runtime::CoreHost<()>, module: &trampette_runtime::Component) {
    /// for (module, name) in host.missing(module).unwrap_or_default() {
    ///     println!("the host does not supply `{module}` `{name}`");
    /// }
    /// # }
    /// ```
    ///
    /// # Errors
    /// If the artifact is a component.
    pub fn missing(&self, module: &Component) -> Result<Vec<(String, String)>> {
        let interface = interface(module)?;
        let names = |module: &String, name: &String| (module.clone(), name.clone());
        let functions = interface.imports.iter();
        let functions = functions.map(|import| names(&import.module, &import.name));
        let globals = interface.globals.iter().filter(|global| !global.mutable);
        let globals = globals.map(|import| names(&import.module, &import.name));
        let functions = functions.filter(|key| !self.functions.contains_key(key));
        let globals = globals.filter(|key| !self.globals.contains_key(key));
        let mut missing: Vec<_> = functions.chain(globals).collect();
        let mut seen = HashSet::new();
        missing.retain(|key| seen.insert(key.clone()));
        Ok(missing)
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

    /// Supplies all shared memories of an artifact, whether imported or not: those of another
    /// instance of it ([`shared_memories`]). This is how a thread gets an instance of its own.
    ///
    /// [`shared_memories`]: crate::CoreInstance::shared_memories
    pub fn share_memories(&mut self, memories: Vec<SharedMemory>) {
        self.all_memories = memories;
    }

    /// The memories that were supplied, if they fit the artifact's declarations.
    pub(super) fn supplied_memories(
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
            let memory = &declared[import.memory];
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
    pub(super) fn write_globals(
        &self,
        data: &InstanceData,
        interface: &CoreInterface,
    ) -> Result<()> {
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
            let to = address(data, import.slab, import.offset).as_ptr();
            // SAFETY: the global's bytes are mapped, and no code runs yet.
            unsafe {
                to.copy_from_nonoverlapping((&raw const raw).cast(), size_of_value(import.ty))
            };
        }
        Ok(())
    }

    /// A bound function for each import.
    pub(super) fn bind(
        &self,
        component: &Component,
        interface: &CoreInterface,
    ) -> Result<Vec<Bound<T>>> {
        let bind = |(index, import): (usize, &CoreImport)| {
            let key = (import.module.clone(), import.name.clone());
            let Some(supplied) = self.functions.get(&key) else {
                let missing = self.missing(component)?;
                let names = missing.iter().map(|(m, n)| format!("`{m}` `{n}`"));
                let names: Vec<String> = names.collect();
                let s = if names.len() == 1 { "" } else { "s" };
                bail!("unknown import{s}: {}", names.join(", "));
            };
            if let Some(ty) = &supplied.ty {
                ensure!(
                    *ty == import.ty,
                    "incompatible import type of `{}` `{}`: the host's function is {ty}, the \
                     import {}",
                    import.module,
                    import.name,
                    import.ty
                );
            }
            Ok(Bound {
                function: supplied.function.clone(),
                component: component.clone(),
                import: CoreImportId::new(index),
                memory: OnceLock::new(),
            })
        };
        interface.imports.iter().enumerate().map(bind).collect()
    }
}

/// A host function bound to an import.
pub(super) struct Bound<T: 'static> {
    function: HostFunction<T>,
    component: Component,
    import: CoreImportId,
    /// The importer's memory, once its instance has a number.
    memory: OnceLock<CoreMemory>,
}

impl<T: 'static> Bound<T> {
    /// Says of which instance the import is.
    pub(super) fn settle(&self, instance: InstanceId) -> Result<()> {
        let import = interface(&self.component)?.imports.get(self.import);
        if let Some(id) = import.context("the import is gone")?.memory {
            self.memory.get_or_init(|| CoreMemory { instance, id });
        }
        Ok(())
    }

    fn ty(&self) -> Result<&CoreFuncType> {
        let import = interface(&self.component)?.imports.get(self.import);
        Ok(&import.context("the import is gone")?.ty)
    }

    fn call(&self, caller: Caller<'_, T>, values: &mut [ValRaw]) -> Result<()> {
        let ty = self.ty()?;
        let args = values.iter().zip(&ty.params);
        let args: Vec<CoreVal> = args.map(|(raw, ty)| CoreVal::read(raw, *ty)).collect();
        let results = (self.function)(caller, self.memory.get().copied(), &args)?;
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
pub(super) unsafe extern "C" fn call_host<T: 'static>(
    data: *const u8,
    store: *const StoreInner,
    values: *mut ValRaw,
    length: usize,
) -> u32 {
    // SAFETY: the slot was filled with this function and a bound function that lives as long as the
    // instance; compiled code passes its store, which is a `Store<T>`, and its values.
    let (bound, caller, inner, values) = unsafe {
        let values = std::slice::from_raw_parts_mut(values, length);
        (
            &*data.cast::<Bound<T>>(),
            Caller::from_raw(store),
            &*store,
            values,
        )
    };
    contain(inner, identity, || bound.call(caller, values))
}
