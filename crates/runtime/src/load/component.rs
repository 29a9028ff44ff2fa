//! [`Component`]: a mapped artifact and its look-up tables.
//!
//! The whole file is mapped at one place, read-only; `.text` is made executable, and the process's
//! page of builtins' addresses takes the place of `.got.trampette`. Tables are read in place; only
//! the metadata is decoded. Nothing read from the file is used as an offset or a count before it
//! was checked ([`crate::load::elf`] for sections, [`crate::load::validate`] for the metadata, the
//! look-ups here for tables).

use crate::load::debugger::Registration;
use crate::load::dwarf::UnitIndex;
use crate::load::elf;
use crate::load::error::LoadError;
use crate::load::names::Names;
use crate::load::validate;
use crate::memory::mapping::FileMapping;
use crate::memory::slab::{Pool, SlabPlan};
use crate::messages::display_export;
use std::collections::HashMap;
use std::ops::Range;
use std::os::fd::OwnedFd;
use std::sync::{Arc, OnceLock};
use trampette_artifact::builtin::Builtin;
use trampette_artifact::cpu;
use trampette_artifact::header::{Identification, checksum, section};
use trampette_artifact::ids::{ExportId, IdVec, ModuleId, ResourceId, TaskId};
use trampette_artifact::key::{Abi, FuncKey, SymbolKey};
use trampette_artifact::metadata::{ExportItem, Metadata, Resource};
use trampette_artifact::sites::{Site, Sites};
use trampette_artifact::tables::{self, Entry, FunctionRange, Handler, InlinedCall, Pod};
use trampette_artifact::tasks::CallShape;
use trampette_artifact::trap::TrapCode;

/// A compiled component, mapped and checked. Cheap to clone, shared by threads.
///
/// ```no_run
/// use trampette_runtime::{Component, Linker, Store};
///
/// # fn main() -> anyhow::Result<()> {
/// // SAFETY: the compiler wrote it, and nobody else can write to its folder.
/// let component = unsafe { Component::from_file("greeter.elf")? };
/// let other = component.clone();
/// std::thread::spawn(move || Linker::new().instantiate(&mut Store::new(()), &other));
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Component(Arc<Inner>);

struct Inner {
    /// First, so that debuggers forget the code before it is gone.
    _debuggers: Registration,
    mapping: FileMapping,
    text: Range<usize>,
    functions: Table<FunctionRange>,
    /// The packed sites in the file.
    sites: Range<usize>,
    inlined: Table<InlinedCall>,
    entries: Table<Entry>,
    handlers: Table<Handler>,
    /// Where core functions, which come first, end.
    core_end: u32,
    custom: Range<usize>,
    wit: Range<usize>,
    world: Range<usize>,
    identification: Identification,
    metadata: Metadata,
    names: Names,
    exports: IdVec<ExportId, ExportCode>,
    tasks: IdVec<TaskId, TaskAddresses>,
    startup: Vec<Option<usize>>,
    destructors: IdVec<ResourceId, Option<usize>>,
    /// By module; made when a backtrace first needs them.
    units: IdVec<ModuleId, OnceLock<UnitIndex>>,
    slabs: SlabPlan,
    pool: Pool,
}

/// A table in the mapped file.
struct Table<T: 'static>(*const [T]);

impl<T: Pod> Table<T> {
    fn get(&self) -> &[T] {
        // SAFETY: points into the mapping that lives as long as `Inner`, which owns the table.
        unsafe { &*self.0 }
    }
}

// SAFETY: the mapping is never written after loading (apart from the pool, which locks).
unsafe impl Send for Inner {}
// SAFETY: as above.
unsafe impl Sync for Inner {}

/// Code addresses of an export.
#[derive(Clone, Copy, Default)]
pub(crate) struct ExportCode {
    /// [`FuncKey::ExportEntry`], native-call.
    pub entry: Option<usize>,
    /// [`FuncKey::PostReturn`], native-call, if the export has one.
    pub post_return: Option<usize>,
    /// The task that the host calls, if the export's type is `async`: then it has no entry.
    pub task: Option<TaskId>,
}

/// Code addresses of a task's pieces. What is missing is never called.
#[derive(Clone, Copy, Default)]
pub(crate) struct TaskAddresses {
    /// [`FuncKey::TaskBody`], native-call.
    pub body: Option<usize>,
    /// [`FuncKey::TaskCallback`], native-call.
    pub callback: Option<usize>,
    /// [`FuncKey::TaskResult`], native-call.
    pub result: Option<usize>,
}

/// How a trusted artifact is loaded.
///
/// ```no_run
/// use trampette_runtime::{Component, LoadOptions, Verify};
///
/// # fn main() -> anyhow::Result<()> {
/// let options = LoadOptions::new().verify(Verify::Everything);
/// // SAFETY: the compiler wrote it, and nobody else can write to its folder.
/// let component = unsafe { Component::from_file_with("greeter.elf", &options)? };
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct LoadOptions {
    verify: Verify,
}

/// Whose checksums are verified when an artifact is loaded. They find damage, not malice: anyone
/// can compute them.
///
/// ```
/// use trampette_runtime::{LoadOptions, Verify};
///
/// // Loading then reads the whole file.
/// let options = LoadOptions::new().verify(Verify::Everything);
/// assert_ne!(Verify::default(), Verify::Everything);
/// # let _ = options;
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub enum Verify {
    /// Those of what loading reads anyway, so that the rest of the file stays on the disk until it
    /// is used: loading costs the same whatever the artifact's size.
    #[default]
    Metadata,
    /// All: every byte that will be used is read.
    Everything,
}

impl LoadOptions {
    /// The defaults.
    pub fn new() -> LoadOptions {
        LoadOptions::default()
    }

    /// Whose checksums are verified.
    pub fn verify(mut self, verify: Verify) -> LoadOptions {
        self.verify = verify;
        self
    }
}

impl Component {
    /// Maps an artifact's file and checks it. The page of the services' addresses takes the place
    /// of the artifact's table of builtins.
    ///
    /// # Errors
    /// If the artifact is damaged, or was compiled by another version or for another processor.
    pub(crate) fn map(
        file: OwnedFd,
        options: &LoadOptions,
        services: &OwnedFd,
    ) -> Result<Component, LoadError> {
        let mut mapping = FileMapping::new(file).map_err(|error| LoadError::system(&error))?;
        let image = elf::read(mapping.file_bytes())?;
        check_processor(&image.0)?;
        for (name, place, sum) in image.sections() {
            let skip = options.verify == Verify::Metadata && name != section::METADATA;
            if !skip && checksum(&mapping.file_bytes()[place]) != sum {
                let what = format_args!("checksum of section {name}");
                return Err(LoadError::damaged(what));
            }
        }

        let metadata = image.required(section::METADATA)?;
        let metadata = Metadata::decode(&mapping.file_bytes()[metadata])
            .map_err(|error| LoadError::damaged(format_args!("{error:#}")))?;
        validate::metadata(&metadata, mapping.file_bytes().len() as u64)
            .map_err(|error| LoadError::damaged(format_args!("its metadata: {error:#}")))?;

        let text = image.required(section::TEXT)?;
        if text.len() >= (u32::MAX / 2) as usize {
            return Err(LoadError::damaged("its code is larger than 2 GiB"));
        }
        let system = |error: anyhow::Error| LoadError::system(&error);
        mapping.make_executable(text.clone()).map_err(system)?;
        if let Some(got) = image.find(section::GOT) {
            if got.len() < size_of::<[u64; Builtin::ALL.len()]>()
                || !mapping.is_page_outside(got.start, &text)
            {
                return Err(LoadError::damaged("its table of builtins is misplaced"));
            }
            let replaced = mapping.replace_page(got.start, services);
            replaced.map_err(system)?;
        }

        let base = mapping.base();
        let bytes = mapping.file_bytes();
        let code = base + text.start..base + text.end;
        let mut inner = Inner {
            _debuggers: Registration::new(mapping.file(), base, &code),
            text: base + text.start..base + text.end,
            functions: table(bytes, image.find(section::FUNCTIONS))?,
            sites: image.find(section::SITES).unwrap_or_default(),
            inlined: table(bytes, image.find(section::INLINED))?,
            entries: table(bytes, image.find(section::ENTRIES))?,
            handlers: table(bytes, image.find(section::EXCEPTIONS))?,
            core_end: 0,
            custom: image.find(section::CUSTOM).unwrap_or_default(),
            wit: image.find(section::WIT).unwrap_or_default(),
            world: image.find(section::WORLD).unwrap_or_default(),
            units: metadata
                .modules
                .iter()
                .map(|_| OnceLock::new())
                .collect::<Vec<_>>()
                .into(),
            slabs: SlabPlan::new(&metadata),
            pool: Pool::default(),
            exports: IdVec::new(),
            startup: Vec::new(),
            tasks: IdVec::new(),
            destructors: IdVec::new(),
            identification: image.0,
            names: Names::new(&metadata.types),
            metadata,
            mapping,
        };
        inner.core_end = core_end(inner.functions.get());
        inner.find_code()?;
        Ok(Component(Arc::new(inner)))
    }

    /// The component's world in WIT, as it was when it was compiled: with the names of its types
    /// and its documentation. `None` for a core module, and for a component that WIT cannot
    /// express. As items, it is [`Component::world`].
    ///
    /// ```no_run
    /// # fn show(component: &trampette_runtime::Component) {
    /// assert!(component.wit().is_some_and(|wit| wit.contains("export greet: func")));
    /// # }
    /// ```
    pub fn wit(&self) -> Option<&str> {
        let bytes = self.0.mapping.file_bytes().get(self.0.wit.clone())?;
        std::str::from_utf8(bytes)
            .ok()
            .filter(|wit| !wit.is_empty())
    }

    /// The names of what it imports; empty if that is nothing.
    pub(crate) fn world_section(&self) -> &[u8] {
        let bytes = self.0.mapping.file_bytes();
        bytes.get(self.0.world.clone()).unwrap_or_default()
    }

    /// What the artifact says about itself: types by number, for tools that know the format.
    /// [`Component::world`] has them by name.
    ///
    /// ```
    /// # fn size(component: &trampette_runtime::Component) -> u64 {
    /// // Pages that all of its memories have at first.
    /// component.metadata().memories.iter().map(|memory| memory.minimum).sum()
    /// # }
    /// ```
    pub fn metadata(&self) -> &Metadata {
        &self.0.metadata
    }

    /// The names in its types, for dynamic values.
    pub(crate) fn names(&self) -> &Names {
        &self.0.names
    }

    /// What made the artifact, and for what.
    ///
    /// ```
    /// # fn needs(component: &trampette_runtime::Component) {
    /// let id = component.identification();
    /// println!("by {}, for {} with {:?}", id.compiler_version, id.target, id.cpu_features);
    /// # }
    /// ```
    pub fn identification(&self) -> &Identification {
        &self.0.identification
    }

    /// The addresses of the code.
    #[doc(hidden)]
    pub fn text_range(&self) -> Range<usize> {
        self.0.text.clone()
    }

    pub(crate) fn file(&self) -> &OwnedFd {
        self.0.mapping.file()
    }

    /// Where the file's first byte is mapped.
    pub(crate) fn file_start(&self) -> *const u8 {
        self.0.mapping.file_bytes().as_ptr()
    }

    pub(crate) fn slab_plan(&self) -> &SlabPlan {
        &self.0.slabs
    }

    pub(crate) fn pool(&self) -> &Pool {
        &self.0.pool
    }

    /// Code addresses of an export; `None` for an id that is not of this component.
    pub(crate) fn export(&self, id: ExportId) -> Option<ExportCode> {
        self.0.exports.get(id).copied()
    }

    /// The code addresses of a task's pieces.
    pub(crate) fn task(&self, id: TaskId) -> TaskAddresses {
        self.0.tasks.get(id).copied().unwrap_or_default()
    }

    /// The address of the code of a start-up step, if it does anything.
    pub(crate) fn startup(&self, step: u32) -> Option<usize> {
        *self.0.startup.get(step as usize)?
    }

    /// The address of the entry to a guest resource's destructor.
    pub(crate) fn destructor(&self, id: ResourceId) -> Option<usize> {
        *self.0.destructors.get(id)?
    }

    /// Offset of a code address from the start of the code; `None` outside.
    pub(crate) fn text_offset(&self, address: usize) -> Option<u32> {
        let range = &self.0.text;
        range
            .contains(&address)
            .then(|| (address - range.start) as u32)
    }

    /// The compiled function that `offset` lies in.
    pub(crate) fn function_at(&self, offset: u32) -> Option<(FuncKey, &FunctionRange)> {
        let functions = self.0.functions.get();
        let after = functions.partition_point(|f| f.start <= offset);
        let function = functions.get(after.checked_sub(1)?)?;
        if offset - function.start >= function.length {
            return None;
        }
        match SymbolKey::decode(function.namespace, function.index)? {
            SymbolKey::Func(key) => Some((key, function)),
            SymbolKey::Data(_) => None,
        }
    }

    /// The address of a function's code, if it was compiled.
    pub(crate) fn function_address(&self, key: FuncKey) -> Option<usize> {
        self.0.function_address(key)
    }

    /// The trap of the instruction at exactly this offset.
    pub(crate) fn trap_at(&self, offset: u32) -> Option<u32> {
        let trap = self.sites()?.at(offset)?.trap?;
        // A loop: no fault is expected there.
        let is_fault = trap != TrapCode::Interrupt;
        is_fault.then(|| u32::from(trap.number()))
    }

    fn sites(&self) -> Option<Sites<'_>> {
        Sites::parse(&self.0.mapping.file_bytes()[self.0.sites.clone()])
    }

    /// The entry whose call returns to this address.
    pub(crate) fn entry_at(&self, return_address: usize) -> Option<Entry> {
        let offset = self.text_offset(return_address)?;
        let entries = self.0.entries.get();
        let index = entries
            .binary_search_by_key(&offset, |e| e.return_address)
            .ok()?;
        let entry = entries[index];
        ((entry.handler as usize) < self.0.text.len()).then_some(entry)
    }

    /// The exception handlers of the call that returns to this offset, in the order in which they
    /// are tried.
    pub(crate) fn handlers_at(&self, return_address: u32) -> &[Handler] {
        let handlers = self.0.handlers.get();
        let start = handlers.partition_point(|h| h.return_address < return_address);
        let handlers = &handlers[start..];
        let count = handlers
            .iter()
            .take_while(|h| h.return_address == return_address)
            .count();
        &handlers[..count]
    }

    /// Whether code at this offset is a core function's.
    pub(crate) fn in_core_function(&self, offset: u32) -> bool {
        offset < self.0.core_end
    }

    /// Whether code at this offset may be left at any instruction: wasm-call code of core functions
    /// and trampolines, but not entries and the stubs of builtins. Safe to call in a signal
    /// handler.
    pub(crate) fn is_guest_code(&self, offset: u32) -> bool {
        let Some((key, _)) = self.function_at(offset) else {
            return false;
        };
        match key {
            FuncKey::ModuleFunction(..) | FuncKey::StringRoute(_) | FuncKey::SharedTransfer(_) => {
                true
            }
            FuncKey::ComponentTrampoline(abi, _)
            | FuncKey::UnsafeIntrinsic(abi, _)
            | FuncKey::ResourceDrop(abi, _)
            | FuncKey::ExportEntry(abi, _)
            | FuncKey::PostReturn(abi, _)
            | FuncKey::Startup(abi, _)
            | FuncKey::TaskBody(abi, _)
            | FuncKey::TaskCallback(abi, _)
            | FuncKey::TaskResult(abi, _)
            | FuncKey::ElementCopy(abi, _)
            | FuncKey::ImportResult(abi, _)
            | FuncKey::ThreadStart(abi, _) => abi == Abi::Wasm,
            FuncKey::ArrayToWasm(..) | FuncKey::WasmToArray(_) | FuncKey::Builtin(_) => false,
        }
    }

    /// What the code at `offset` was compiled from.
    pub(crate) fn site_at(&self, offset: u32) -> Option<Site> {
        let (_, function) = self.function_at(offset)?;
        let site = self.sites()?.at_or_before(offset)?;
        // One before the function's first is another function's.
        (site.offset >= function.start).then_some(site)
    }

    /// A call that was replaced by the callee's body.
    pub(crate) fn inlined_call(&self, index: u32) -> Option<&InlinedCall> {
        self.0.inlined.get().get(index as usize)
    }

    /// The index of a module's units of DWARF, which `make` makes the first time.
    pub(crate) fn unit_index(
        &self,
        module: ModuleId,
        make: impl FnOnce() -> UnitIndex,
    ) -> &UnitIndex {
        self.0.units[module].get_or_init(make)
    }

    /// Part of `.trampette.custom`.
    pub(crate) fn custom_section(&self, offset: u64, length: u64) -> Option<&[u8]> {
        let bytes = &self.0.mapping.file_bytes()[self.0.custom.clone()];
        let start = usize::try_from(offset).ok()?;
        bytes.get(start..start.checked_add(usize::try_from(length).ok()?)?)
    }
}

impl std::fmt::Debug for Component {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Component({:#x?})", self.0.text)
    }
}

impl Inner {
    fn function_address(&self, key: FuncKey) -> Option<usize> {
        let wanted = SymbolKey::from(key).encode();
        let functions = self.functions.get();
        let index = functions
            .binary_search_by_key(&wanted, |f| (f.namespace, f.index))
            .ok()?;
        let function = functions[index];
        let end = u64::from(function.start) + u64::from(function.length);
        (end <= self.text.len() as u64).then(|| self.text.start + function.start as usize)
    }

    /// Looks up once what calls need every time.
    fn find_code(&mut self) -> Result<(), LoadError> {
        let missing = |name: String, what: &str| {
            LoadError::damaged(format_args!("{name}: it has no code for {what}"))
        };
        let mut tasks = HashMap::new();
        for (id, task) in self.metadata.concurrency.tasks.iter_with_ids() {
            if task.shape != CallShape::Plain {
                tasks.extend(task.export.map(|export| (export, id)));
            }
            let address = |key| self.function_address(key);
            self.tasks.push(TaskAddresses {
                body: address(FuncKey::TaskBody(Abi::Native, id)),
                callback: address(FuncKey::TaskCallback(Abi::Native, id)),
                result: address(FuncKey::TaskResult(Abi::Native, id)),
            });
        }
        let mut exports = Vec::new();
        for export in &self.metadata.exports {
            let ExportItem::Function {
                id, post_return, ..
            } = &export.item
            else {
                continue;
            };
            let find = |key, what| {
                let code = self.function_address(key);
                code.ok_or_else(|| missing(display_export(&export.path), what))
            };
            if exports.len() <= id.index() {
                exports.resize(id.index() + 1, ExportCode::default());
            }
            let code = &mut exports[id.index()];
            if let Some(task) = tasks.get(id) {
                code.task = Some(*task);
                continue;
            }
            code.entry = Some(find(FuncKey::ExportEntry(Abi::Native, *id), "it")?);
            if *post_return {
                let key = FuncKey::PostReturn(Abi::Native, *id);
                code.post_return = Some(find(key, "its post-return")?);
            }
        }
        self.exports = exports.into();
        for step in 0..self.metadata.startup_steps {
            let code = self.function_address(FuncKey::Startup(Abi::Native, step));
            // Steps of core modules may have nothing to do.
            if code.is_none() && self.metadata.core.is_none() {
                return Err(LoadError::damaged("it has no code for instantiation"));
            }
            self.startup.push(code);
        }
        for (id, resource) in self.metadata.resources.iter_with_ids() {
            let mut code = None;
            if let Resource::Defined {
                has_destructor: true,
                name,
                ..
            } = resource
            {
                let key = FuncKey::ResourceDrop(Abi::Native, id);
                code = self.function_address(key);
                if code.is_none() {
                    return Err(missing(format!("resource `{name}`"), "its destructor"));
                }
            }
            self.destructors.push(code);
        }
        Ok(())
    }
}

/// The offset after the last core function: functions are sorted by key, core functions first.
fn core_end(functions: &[FunctionRange]) -> u32 {
    let is_core = |f: &FunctionRange| {
        matches!(
            SymbolKey::decode(f.namespace, f.index),
            Some(SymbolKey::Func(FuncKey::ModuleFunction(..)))
        )
    };
    let count = functions.partition_point(is_core);
    let last = count.checked_sub(1).map(|last| functions[last]);
    last.map_or(0, |last| last.start.saturating_add(last.length))
}

fn table<T: Pod>(bytes: &[u8], place: Option<Range<usize>>) -> Result<Table<T>, LoadError> {
    let bytes = place.map_or(&[][..], |place| &bytes[place]);
    let entries = if bytes.is_empty() {
        Some(&[][..])
    } else {
        tables::from_bytes::<T>(bytes)
    };
    let entries = entries
        .ok_or_else(|| LoadError::damaged("a table is misaligned or no whole number of entries"))?;
    Ok(Table(entries))
}

fn check_processor(id: &Identification) -> Result<(), LoadError> {
    let architecture = id.target.split('-').next().unwrap_or_default();
    if architecture != std::env::consts::ARCH {
        let message = format!(
            "the artifact was compiled for {}; this machine is {}",
            id.target,
            std::env::consts::ARCH
        );
        return Err(LoadError::other_machine(architecture, message));
    }
    for feature in &id.cpu_features {
        let why = match cpu::feature(feature) {
            Some(known) if known.is_present() => continue,
            Some(_) => "this machine does not have",
            None => "this runtime does not know",
        };
        let message = format!("the artifact needs the processor feature {feature}, which {why}");
        return Err(LoadError::other_machine(feature, message));
    }
    Ok(())
}
