//! Exported functions: [`Func`], called with [`Val`]s, and [`TypedFunc`], called with Rust types.

use crate::concurrent::event_loop;
use crate::host::shims::{check_func, describe_func};
use crate::load::backtrace::Trap;
use crate::load::component::Component;
use crate::machine::entry_code::EntryCode;
use crate::machine::instance::{InstanceData, InstanceId};
use crate::machine::store::{AsContext, AsContextMut, StoreInner};
use crate::messages::{about, display_export};
use crate::values::containers::TupleField;
use crate::values::keep::{Keep, KeepAlive, NativeBuffer};
use crate::values::typed::{
    AnyHandles, CallOrigin, ComponentType, Lift, LiftContext, Lower, LowerContext, Params,
    ResourceType, TypeContext,
};
use crate::values::val::{NativeReader, NativeWriter, Val};
use anyhow::{Context, Result, anyhow, bail, ensure};
use std::cell::Cell;
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::ptr::NonNull;
use std::sync::{Arc, OnceLock};
use trampette_artifact::ids::{ExportId, ImportId, TaskId};
use trampette_artifact::metadata::{Export, ExportItem};
use trampette_artifact::native;
use trampette_artifact::trap::TrapCode;
use trampette_artifact::types::{FuncType, Type};

/// A component with its imports matched: what all instances made from one [`crate::InstancePre`]
/// share.
pub(crate) struct Prepared {
    component: Component,
    resources: Arc<[ResourceType]>,
    /// By the position of the export, for those that were called dynamically.
    layouts: Box<[OnceLock<CallLayout>]>,
}

impl Prepared {
    pub(crate) fn new(component: &Component, resources: Arc<[ResourceType]>) -> Prepared {
        let exports = &component.metadata().exports;
        Prepared {
            component: component.clone(),
            resources,
            layouts: exports.iter().map(|_| OnceLock::new()).collect(),
        }
    }

    pub(crate) fn component(&self) -> &Component {
        &self.component
    }

    /// What calling the export at a position needs, which is a function of the type that `ty`
    /// gives.
    fn call_layout<'t>(&self, index: usize, ty: impl FnOnce() -> &'t FuncType) -> &CallLayout {
        self.layouts[index].get_or_init(|| {
            let types = &self.component.metadata().types;
            let ty = ty();
            let params = ty.params.iter().map(|param| param.ty);
            let (layout, offsets) = native::record_layout(types, params.clone());
            let result = ty.result.map(|ty| native::size_align(types, ty));
            CallLayout {
                params: params.zip(offsets).collect(),
                params_size: layout.size,
                result: ty.result,
                result_size: result.map_or(0, |result| result.size),
            }
        })
    }

    fn types(&self) -> TypeContext<'_> {
        TypeContext::new(self.component.metadata(), &self.resources)
    }

    /// Checks the Rust types of the function that is exported at a position. Gives what its
    /// [`ResourceAny`](crate::ResourceAny)s are, if they are of the host's.
    pub(crate) fn check<P, R>(&self, index: usize) -> Result<Option<ResourceType>>
    where
        P: Params + Lower,
        R: Lift,
    {
        let metadata = self.component.metadata();
        let export = &metadata.exports[index];
        let name = || display_export(&export.path);
        let Some(ty) = metadata.function_type(&export.item) else {
            let found = export.item.kind();
            bail!("{}: expected a function, found {found}", name());
        };
        let handles = Cell::new(None);
        let cx = self.types().with_any_handles(&handles);
        check_func::<P, R>(ty, &cx).map_err(|error| {
            let types = anyhow!(
                "the component exports `{}`, the host asks for `{}`",
                cx.display_func(ty),
                describe_func::<P, R>()
            );
            types.context(about(name(), &error))
        })?;
        Ok(match handles.get() {
            Some(AnyHandles::Host(ty)) => Some(ty),
            Some(AnyHandles::Guest) | None => None,
        })
    }
}

/// An exported function, called with [`Val`]s.
///
/// ```
/// # use trampette_runtime::{Instance, Store, Val};
/// # fn call(store: &mut Store<()>, instance: &Instance) -> anyhow::Result<()> {
/// // add: func(a: u32, b: u32) -> u32
/// let add = instance.get_func(&mut *store, "add").expect("it exports `add`");
/// println!("{add:?} with {} parameters", add.ty().params.len());
/// assert_eq!(add.call(&mut *store, &[Val::U32(1), Val::U32(2)])?, [Val::U32(3)]);
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Func {
    callee: Callee,
    shared: Arc<Prepared>,
    /// Among the component's exports.
    index: usize,
}

/// What a dynamic call needs of a function's type, in one place.
struct CallLayout {
    /// The types of the parameters, and where they are in the native struct, which has this size in
    /// bytes.
    params: Box<[(Type, u64)]>,
    params_size: u64,
    /// The type of the result, and its size in bytes.
    result: Option<Type>,
    result_size: u64,
}

/// What calling an export takes, looked up once.
#[derive(Clone, Copy)]
pub(crate) struct Callee {
    id: InstanceId,
    target: Target,
    /// Lives as long as the store that `id` names.
    instance: NonNull<InstanceData>,
}

/// What a call enters.
#[derive(Clone, Copy)]
enum Target {
    /// A function of the component, and its code.
    Lifted(ExportId, EntryCode),
    /// A function of an `async` type.
    Task(ExportId, TaskId),
    /// A function of a synchronous type that waits on a stack of its own.
    Stacked(ExportId, TaskId),
    /// A function of the host, imported and exported again.
    Host(ImportId),
}

impl Target {
    /// Whether calling an export enters this.
    fn is_of(self, item: &ExportItem) -> bool {
        match (self, item) {
            (
                Target::Lifted(export, _) | Target::Task(export, _) | Target::Stacked(export, _),
                ExportItem::Function { id, .. },
            ) => *id == export,
            (Target::Host(import), ExportItem::HostFunc(id)) => *id == import,
            _ => false,
        }
    }
}

// SAFETY: the instance is only reached through its store, which is used by one thread at a time.
unsafe impl Send for Callee {}
// SAFETY: as above.
unsafe impl Sync for Callee {}

impl Callee {
    /// What calling an export takes; `None` if it is no function.
    pub(crate) fn new(
        id: InstanceId,
        instance: &InstanceData,
        item: &ExportItem,
    ) -> Option<Callee> {
        let target = match item {
            ExportItem::HostFunc(import) => Target::Host(*import),
            ExportItem::Function { id, .. } => {
                let code = instance.component.export(*id)?;
                let tasks = &instance.component.metadata().concurrency.tasks;
                match code.task {
                    Some(task) if tasks[task].lift.is_none() => Target::Stacked(*id, task),
                    Some(task) => Target::Task(*id, task),
                    None => Target::Lifted(*id, EntryCode::new(code)?),
                }
            }
            _ => return None,
        };
        Some(Callee {
            id,
            target,
            instance: NonNull::from(instance),
        })
    }

    /// The task that a call of an `async` function of the component is.
    pub(super) fn task(&self) -> Option<TaskId> {
        match self.target {
            Target::Task(_, task) => Some(task),
            Target::Lifted(..) | Target::Stacked(..) | Target::Host(_) => None,
        }
    }

    /// The code of a function that is not `async`, if functions of the host's may have to wait in
    /// it, and no tasks are in its component.
    pub(super) fn waiting_code(&self, instance: &InstanceData) -> Option<EntryCode> {
        let has_tasks = instance.component.metadata().root.cells > 0;
        match self.target {
            Target::Lifted(_, code) => {
                Some(code).filter(|_| instance.imports.may_wait && !has_tasks)
            }
            Target::Task(..) | Target::Stacked(..) | Target::Host(_) => None,
        }
    }

    pub(super) fn id(&self) -> InstanceId {
        self.id
    }

    /// Where handles in parameters and results are of; `host` as in [`CallOrigin`].
    #[inline]
    pub(super) fn origin<'s>(
        &self,
        store: &'s StoreInner,
        host: Option<ResourceType>,
    ) -> CallOrigin<'s> {
        CallOrigin {
            id: self.id,
            store,
            host,
        }
    }

    /// The instance, if it is in this store. `what` says in the error what was used.
    #[inline]
    pub(super) fn instance<'s>(
        &self,
        store: &'s StoreInner,
        what: impl FnOnce() -> String,
    ) -> Result<&'s InstanceData> {
        self.id.raw(store, what)?;
        // SAFETY: instances live as long as their store, which this is: no two have the same
        // number.
        Ok(unsafe { self.instance.as_ref() })
    }

    /// The export's path and type.
    fn find<'s>(&self, store: &'s StoreInner) -> Option<(&'s [String], &'s FuncType)> {
        let metadata = self.id.raw_in(store)?.component(store).metadata();
        let is_this = |export: &&Export| self.target.is_of(&export.item);
        let export = metadata.exports.iter().find(is_this)?;
        Some((&export.path, metadata.function_type(&export.item)?))
    }

    /// An error about a parameter, the outermost of whose context is its place in the tuple of
    /// parameters.
    #[cold]
    pub(super) fn parameter_error(
        &self,
        store: &StoreInner,
        error: &anyhow::Error,
    ) -> anyhow::Error {
        let Some((path, ty)) = self.find(store) else {
            return anyhow!("{error:#}");
        };
        let item = display_export(path);
        let param = error.downcast_ref::<TupleField>();
        match param.and_then(|TupleField(index)| ty.params.get(*index)) {
            Some(param) => {
                let causes: Vec<_> = error.chain().skip(1).map(ToString::to_string).collect();
                let causes = causes.join(": ");
                anyhow!("{item}: parameter `{}`: {causes}", param.name)
            }
            None => about(item, error),
        }
    }

    /// The error of a call, which names the export if the instance could not be entered.
    #[cold]
    pub(super) fn call_error(&self, store: &StoreInner, error: anyhow::Error) -> anyhow::Error {
        match (error.downcast::<Trap>(), self.find(store)) {
            (Ok(trap), Some((path, _)))
                if trap.kind() == TrapCode::CannotEnter && trap.frames().is_empty() =>
            {
                trap.at(display_export(path)).into()
            }
            (Ok(trap), _) => trap.into(),
            (Err(error), _) => error,
        }
    }

    /// Calls the export of its `instance`, and then `read` while the results, which have the size
    /// of their native struct, are valid; ends the call in any case.
    ///
    /// # Safety
    /// See [`InstanceData::call`] and [`InstanceData::call_import`].
    #[inline]
    unsafe fn call<O>(
        &self,
        instance: &InstanceData,
        args: *const u8,
        results: *mut [u8],
        read: impl FnOnce() -> Result<O>,
    ) -> Result<O> {
        let code = match self.target {
            Target::Lifted(_, code) => code,
            // SAFETY: the caller's promise.
            Target::Task(_, task) | Target::Stacked(_, task) => unsafe {
                return self.call_task(instance, task, args, results, read);
            },
            // SAFETY: the caller's promise.
            Target::Host(import) => unsafe {
                let wait = |future| event_loop::wait_for_host(instance, future);
                return instance.call_import(import, args, results.cast(), wait, read);
            },
        };
        // SAFETY: the caller's promise.
        match unsafe { instance.call(code, args, results.cast()) } {
            Ok(arena_mark) => instance.read_results(code, arena_mark, read),
            Err(error) => Err(self.call_error(instance.store(), error)),
        }
    }
}

/// [`Callee::call`] of a function of an `async` type.
impl Callee {
    /// # Safety
    /// As of [`Callee::call`].
    #[inline(never)]
    unsafe fn call_task<O>(
        &self,
        instance: &InstanceData,
        task: TaskId,
        args: *const u8,
        results: *mut [u8],
        read: impl FnOnce() -> Result<O>,
    ) -> Result<O> {
        let mut read = Some(read);
        let mut value = None;
        let mut sink = |native: *const u8| -> Result<()> {
            // SAFETY: the result is a native struct of this size, and so is the caller's room.
            unsafe {
                results
                    .cast::<u8>()
                    .copy_from_nonoverlapping(native, results.len())
            };
            let read = read.take().context("the task has returned a second time")?;
            value = Some(read()?);
            Ok(())
        };
        // SAFETY: the host is the task's caller; the arguments live through the call.
        match unsafe { event_loop::call(instance, task, args, &mut sink) } {
            Ok(()) => value.context("the task has returned no result"),
            Err(error) => Err(self.call_error(instance.store(), error)),
        }
    }
}

/// Its name and type: ``export function `greet`: func(name: string) -> string``.
impl std::fmt::Debug for Func {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let ty = self.shared.component.metadata().display_func(self.ty());
        write!(f, "{}: {ty}", self.display())
    }
}

impl Func {
    /// The function that is the export at `index` of a component.
    pub(crate) fn new(callee: Callee, shared: Arc<Prepared>, index: usize) -> Func {
        Func {
            callee,
            shared,
            index,
        }
    }

    fn export(&self) -> &Export {
        &self.shared.component.metadata().exports[self.index]
    }

    fn item(&self) -> Option<&FuncType> {
        let item = &self.export().item;
        self.shared.component.metadata().function_type(item)
    }

    /// The function as messages name it.
    pub(super) fn display(&self) -> String {
        display_export(&self.export().path)
    }

    pub(super) fn callee(&self) -> &Callee {
        &self.callee
    }

    /// Bytes of the native struct of the result.
    pub(super) fn result_size(&self) -> u64 {
        self.layout().result_size
    }

    fn layout(&self) -> &CallLayout {
        self.shared.call_layout(self.index, || self.ty())
    }

    /// Bytes of the native struct of the parameters.
    pub(super) fn params_size(&self) -> u64 {
        self.layout().params_size
    }

    /// Writes that struct; `keep` owns what it points to.
    ///
    /// # Safety
    /// `to` has room for it.
    pub(super) unsafe fn write_params(
        &self,
        args: &[Val],
        origin: CallOrigin<'_>,
        keep: &mut KeepAlive,
        to: *mut u8,
    ) -> Result<()> {
        // SAFETY: promised.
        let written = unsafe { self.write_arguments(self.layout(), args, origin, keep, to) };
        written.map_err(|error| about(self.display(), &error))
    }

    /// Reads the native form of the result, if the function has one.
    ///
    /// # Safety
    /// It is a valid one.
    pub(super) unsafe fn read_result(
        &self,
        origin: CallOrigin<'_>,
        results: *const u8,
    ) -> Result<Option<Val>> {
        let reader = NativeReader::new(
            self.shared.component.metadata(),
            self.shared.component.names(),
            &self.shared.resources,
            Some(origin),
        );
        self.layout()
            .result
            // SAFETY: promised.
            .map(|ty| unsafe { reader.read(ty, results) })
            .transpose()
            .context("result")
            .map_err(|error| match error.is::<Trap>() {
                true => error.context(self.display()),
                false => about(self.display(), &error),
            })
    }

    /// Its type; types are those of [`Component::metadata`]. With their names they are in
    /// [`Component::world`]; a function's `Debug` spells them.
    pub fn ty(&self) -> &FuncType {
        self.item().expect("a `Func` is only made for functions")
    }

    /// The function with Rust types.
    ///
    /// # Errors
    /// If its type is another.
    pub fn typed<P, R>(&self, store: impl AsContext) -> Result<TypedFunc<P, R>>
    where
        P: Params + Lower,
        R: Lift,
    {
        let callee = self.callee;
        callee.instance(store.store_inner(), || self.display())?;
        let host_handles = self.shared.check::<P, R>(self.index)?;
        Ok(TypedFunc::new(callee, host_handles))
    }

    /// Calls the function. The vector holds its result, if it has one.
    ///
    /// # Errors
    /// As [`Func::call_value`].
    pub fn call(&self, store: impl AsContextMut, args: &[Val]) -> Result<Vec<Val>> {
        Ok(self.call_value(store, args)?.into_iter().collect())
    }

    /// Calls the function; its result, if it has one.
    ///
    /// ```
    /// # use trampette_runtime::{Func, Store, Val};
    /// # fn call(store: &mut Store<()>, greet: &Func) -> anyhow::Result<()> {
    /// if let Some(Val::String(greeting)) = greet.call_value(&mut *store, &[Val::from("Ada")])? {
    ///     println!("{greeting}");
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// If the arguments are not of the function's type, the instance cannot be entered, or the call
    /// traps.
    pub fn call_value(&self, mut store: impl AsContextMut, args: &[Val]) -> Result<Option<Val>> {
        let caller = store.caller();
        let store = caller.inner();
        let instance = self.callee.instance(store, || self.display())?;
        let layout = self.layout();
        let origin = self.callee.origin(store, None);
        let mut keep = KeepAlive::default();
        let mut arguments = NativeBuffer::zeroed(layout.params_size);
        let arguments = arguments.as_mut_ptr();
        // SAFETY: the buffer has room for the parameters.
        unsafe { self.write_params(args, origin, &mut keep, arguments) }?;
        let mut results = NativeBuffer::uninit(layout.result_size);
        let results = results.as_mut_ptr();
        let room = std::ptr::slice_from_raw_parts_mut(results, layout.result_size as usize);
        // SAFETY: both buffers have the function's native layout, and `keep` lives through the
        // call.
        let value = unsafe {
            self.callee.call(instance, arguments, room, || {
                self.read_result(origin, results)
            })
        };
        drop(keep);
        value
    }

    /// Writes the native struct of the arguments; `keep` owns what it points to.
    ///
    /// # Safety
    /// `to` has room for the function's parameters.
    unsafe fn write_arguments(
        &self,
        layout: &CallLayout,
        args: &[Val],
        origin: CallOrigin<'_>,
        keep: &mut KeepAlive,
        to: *mut u8,
    ) -> Result<()> {
        let metadata = self.shared.component.metadata();
        ensure!(
            args.len() == layout.params.len(),
            "expected {} arguments, found {}",
            layout.params.len(),
            args.len()
        );
        let keep = Keep::Arguments(keep);
        let mut writer = NativeWriter::new(metadata, &self.shared.resources, keep, Some(origin));
        for (index, ((ty, offset), value)) in layout.params.iter().zip(args).enumerate() {
            // SAFETY: the parameter is at its offset.
            unsafe { writer.write(*ty, value, to.add(*offset as usize)) }
                .with_context(|| format!("parameter `{}`", self.ty().params[index].name))?;
        }
        Ok(())
    }
}

/// An exported function with Rust types, checked once.
///
/// ```
/// # use trampette_runtime::{Instance, Store};
/// # fn call(store: &mut Store<()>, instance: &Instance) -> anyhow::Result<()> {
/// // find: func(in: list<string>, what: string) -> option<u32>
/// let find =
///     instance.get_typed_func::<(Vec<String>, String), Option<u32>>(&mut *store, "find")?;
/// let names = vec!["Ada".to_string(), "Alan".to_string()];
/// assert_eq!(find.call(&mut *store, (names, "Alan".to_string()))?, Some(1));
/// # Ok(()) }
/// ```
pub struct TypedFunc<P, R> {
    callee: Callee,
    /// What its [`ResourceAny`](crate::ResourceAny)s are, if they are of the host's.
    host_handles: Option<ResourceType>,
    marker: PhantomData<fn(P) -> R>,
}

impl<P, R> Clone for TypedFunc<P, R> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<P, R> Copy for TypedFunc<P, R> {}

impl<P, R> TypedFunc<P, R> {
    /// A function whose types were checked ([`Prepared::check`]).
    pub(crate) fn new(callee: Callee, host_handles: Option<ResourceType>) -> Self {
        TypedFunc {
            callee,
            host_handles,
            marker: PhantomData,
        }
    }

    pub(super) fn callee(&self) -> &Callee {
        &self.callee
    }

    pub(super) fn host_handles(&self) -> Option<ResourceType> {
        self.host_handles
    }
}

impl<P: Params, R: Lift> TypedFunc<P, R> {
    /// The same function with other parameter types, for generated code: owned types are checked,
    /// borrowed ones are called with.
    ///
    /// # Safety
    /// `Q` stands for the same component-level types as `P`.
    #[doc(hidden)]
    pub unsafe fn with_params<Q>(&self) -> TypedFunc<Q, R>
    where
        Q: Params + Lower + ComponentType<Native = P::Native>,
    {
        TypedFunc {
            callee: self.callee,
            host_handles: self.host_handles,
            marker: PhantomData,
        }
    }
}

impl<P: Params + Lower, R: Lift> TypedFunc<P, R> {
    /// Calls the function; the result is owned.
    ///
    /// # Errors
    /// If the instance cannot be entered, or the call traps.
    #[inline]
    pub fn call(&self, store: impl AsContextMut, params: P) -> Result<R> {
        self.call_native(store, params, |native, cx| {
            let cx = cx.begin_charge();
            // SAFETY: a valid result of the checked type, until the closure returns.
            let value = unsafe { R::lift(native, cx) };
            cx.end_charge()?;
            Ok(value)
        })
    }

    /// Calls the function and gives `read` a view of the result, which borrows the guest's memory.
    /// The guest's post-return runs after it.
    ///
    /// ```
    /// # use trampette_runtime::{Store, TypedFunc};
    /// # fn hash(store: &mut Store<()>, render: TypedFunc<(), Vec<u8>>) -> anyhow::Result<usize> {
    /// // The bytes are the guest's, not a copy.
    /// render.call_view(&mut *store, (), |bytes| Ok(bytes.len()))
    /// # }
    /// ```
    ///
    /// # Errors
    /// If the instance cannot be entered, the call traps, or `read` fails.
    #[inline]
    pub fn call_view<O>(
        &self,
        store: impl AsContextMut,
        params: P,
        read: impl for<'a> FnOnce(R::View<'a>) -> Result<O>,
    ) -> Result<O> {
        self.call_native(store, params, |native, cx| {
            // SAFETY: a valid result of the checked type, until the closure returns, which is
            // generic over the view's lifetime.
            read(unsafe { R::view(native, cx) })
        })
    }

    #[inline]
    fn call_native<O>(
        &self,
        mut store: impl AsContextMut,
        params: P,
        read: impl for<'a> FnOnce(&'a R::Native, LiftContext<'a>) -> Result<O>,
    ) -> Result<O> {
        let caller = store.caller();
        let store = caller.inner();
        let what = || format!("export `{}`", describe_func::<P, R>());
        let instance = self.callee.instance(store, what)?;
        let origin = self.callee.origin(store, self.host_handles);
        let mut keep = KeepAlive::default();
        let mut args = MaybeUninit::<P::Native>::zeroed();
        let mut cx = LowerContext::new(Keep::Arguments(&mut keep), Some(origin));
        params
            .lower_ref(&mut cx, &mut args)
            .map_err(|error| self.callee.parameter_error(store, &error))?;
        let mut results = MaybeUninit::<R::Native>::uninit();
        let results_address = results.as_mut_ptr().cast::<u8>();
        // The closure holds no reference to the results: a reference that is passed to a function
        // must not be written to while it runs, and the guest does.
        let read = move || {
            // SAFETY: after success the result is initialised; the struct outlives the call.
            let results = unsafe { &*results_address.cast::<R::Native>() };
            read(results, LiftContext::new(Some(origin)))
        };
        let room = std::ptr::slice_from_raw_parts_mut(results_address, size_of::<R::Native>());
        // SAFETY: both have the native layout of the checked types; `params` and `keep` live
        // through the call.
        unsafe { self.callee.call(instance, args.as_ptr().cast(), room, read) }
    }
}
