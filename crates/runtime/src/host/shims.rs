//! Host functions as compiled code calls them: the shims between `extern "C"` with native-layout
//! structs and the embedder's closures.
//!
//! A typed closure gets a shim of its own, monomorphised for its parameter and result types, which
//! allocates nothing that the values do not own. A dynamic closure is called by one shim that
//! interprets the same layout with the component's types. Panics do not unwind into guest code:
//! they are kept in the store and resume when the guest's frames are gone.

use crate::host::async_shims::{self, AsyncFunc, bind_async};
use crate::load::component::Component;
use crate::machine::entry_code::HostCode;
use crate::machine::failure::contain;
use crate::machine::store::{Caller, StoreInner};
use crate::values::keep::Keep;
use crate::values::typed::{
    ComponentType, Lift, LiftContext, Lower, LowerContext, Params, ResourceType, TypeContext,
};
use crate::values::val::{NativeReader, NativeWriter, Val};
use anyhow::{Context, Error, Result};
use std::any::Any;
use std::convert::identity;
use std::mem::MaybeUninit;
use std::ptr::NonNull;
use std::sync::Arc;
use trampette_artifact::ids::ImportId;
use trampette_artifact::layout::ImportSlot;
use trampette_artifact::native;
use trampette_artifact::types::FuncType;

/// A host function that interprets its arguments.
pub(crate) type DynamicFunc =
    Arc<dyn Fn(&StoreInner, &[Val], &mut [Val]) -> Result<()> + Send + Sync>;

/// A host function in a linker.
#[derive(Clone)]
pub(crate) enum HostFunc {
    /// Of Rust types.
    Typed {
        /// The monomorphised shim.
        entry: HostCode,
        /// Whether it gives a future.
        may_wait: bool,
        /// The closure; `entry` takes its address.
        closure: Arc<dyn Any + Send + Sync>,
        /// Checks the function's type.
        check: fn(&FuncType, &TypeContext<'_>) -> Result<()>,
        /// The function's type, for messages.
        describe: fn() -> String,
    },
    /// Of any type.
    Dynamic(DynamicFunc),
    /// Of any type, and gives a future; see [`AsyncFunc`].
    DynamicAsync(AsyncFunc),
    /// Of any type; a call fails with this message.
    Trap(Arc<str>),
}

/// A host function bound to an import of a component.
pub(crate) struct BoundFunc {
    /// What goes into the import's slot.
    pub slot: ImportSlot,
    /// Keeps the slot's data alive.
    pub owner: Arc<dyn Any + Send + Sync>,
}

fn slot(entry: HostCode, owner: Arc<dyn Any + Send + Sync>) -> BoundFunc {
    BoundFunc {
        slot: ImportSlot {
            function: entry as usize as u64,
            data: Arc::as_ptr(&owner).cast::<u8>() as usize as u64,
        },
        owner,
    }
}

impl HostFunc {
    /// Wraps a typed closure.
    pub(crate) fn typed<T, P, R, F>(func: F) -> HostFunc
    where
        T: 'static,
        P: Params + Lift,
        R: Lower + 'static,
        F: for<'a> Fn(Caller<'a, T>, P::View<'a>) -> Result<R> + Send + Sync + 'static,
    {
        HostFunc::Typed {
            entry: typed_shim::<T, P, R, F>,
            may_wait: false,
            closure: Arc::new(func),
            check: check_func::<P, R>,
            describe: describe_func::<P, R>,
        }
    }

    /// Checks that the function can be an import of this type.
    pub(crate) fn check(&self, ty: &FuncType, cx: &TypeContext<'_>) -> Result<()> {
        match self {
            HostFunc::Typed { check, .. } => check(ty, cx),
            HostFunc::Dynamic(_) | HostFunc::DynamicAsync(_) | HostFunc::Trap(_) => Ok(()),
        }
    }

    /// Whether it gives a future.
    pub(crate) fn may_wait(&self) -> bool {
        match self {
            HostFunc::Typed { may_wait, .. } => *may_wait,
            HostFunc::DynamicAsync(_) => true,
            HostFunc::Dynamic(_) | HostFunc::Trap(_) => false,
        }
    }

    /// The function's type, for messages.
    pub(crate) fn describe(&self) -> String {
        match self {
            HostFunc::Typed { describe, .. } => describe(),
            HostFunc::DynamicAsync(_) => "async func of any type".to_string(),
            HostFunc::Dynamic(_) | HostFunc::Trap(_) => "func of any type".to_string(),
        }
    }

    /// Binds the function to an import.
    pub(crate) fn bind(
        &self,
        component: &Component,
        import: ImportId,
        resources: &Arc<[ResourceType]>,
    ) -> BoundFunc {
        let signature = || Signature::new(component, import, resources);
        let (entry, owner): (HostCode, Arc<dyn Any + Send + Sync>) = match self {
            HostFunc::Typed { entry, closure, .. } => (*entry, closure.clone()),
            HostFunc::Dynamic(func) => {
                let (func, signature) = (func.clone(), signature());
                (dynamic_shim, Arc::new(DynamicImport { func, signature }))
            }
            HostFunc::DynamicAsync(func) => bind_async(func.clone(), signature()),
            HostFunc::Trap(message) => (trap_shim, Arc::new(message.clone())),
        };
        let is_async = component.metadata().imports[import].ty.is_async;
        let (entry, owner) = match self.may_wait() && !is_async {
            true => async_shims::patient(entry, owner),
            false => (entry, owner),
        };
        slot(entry, owner)
    }
}

/// Checks a function type against Rust types.
pub(crate) fn check_func<P: Params, R: ComponentType>(
    ty: &FuncType,
    cx: &TypeContext<'_>,
) -> Result<()> {
    P::check_params(&ty.params, cx)?;
    R::check_optional(ty.result, cx).context("result")
}

/// A function type of Rust types, for messages.
pub(crate) fn describe_func<P: Params, R: ComponentType>() -> String {
    match R::describe().as_str() {
        "_" => format!("func({})", P::describe_params()),
        result => format!("func({}) -> {result}", P::describe_params()),
    }
}

/// A native struct by its address; that of an empty one need not be valid.
///
/// # Safety
/// `address` is that of a valid `N` that lives unchanged during `'a`, unless `N` has no bytes.
pub(crate) unsafe fn native_ref<'a, N>(address: *const u8) -> &'a N {
    let address = match size_of::<N>() {
        0 => NonNull::<N>::dangling().as_ptr().cast_const(),
        _ => address.cast::<N>(),
    };
    // SAFETY: the caller's promise.
    unsafe { &*address }
}

/// # Safety
/// Called by compiled code for an import that `check_func::<P, R>` accepted, with the address of an
/// `F`, and a store of `T`.
unsafe extern "C" fn typed_shim<T, P, R, F>(
    data: *const u8,
    store: *const StoreInner,
    args: *const u8,
    results: *mut u8,
) -> u32
where
    T: 'static,
    P: Params + Lift,
    R: Lower + 'static,
    F: for<'a> Fn(Caller<'a, T>, P::View<'a>) -> Result<R> + Send + Sync + 'static,
{
    // SAFETY: the closure and the store outlive the call; `args` and `results` are the native
    // structs of the checked types, alive during the call; `F` is generic over the lifetime of what
    // it is given, so nothing of that escapes.
    unsafe {
        let inner = &*store;
        contain(inner, identity, || {
            let func = native_ref::<F>(data);
            let view = P::view(native_ref(args), LiftContext::of_import(inner));
            let result = func(Caller::from_raw(store), view)?;
            write_result(inner, result, results)
        })
    }
}

/// Writes the native form of a host function's result.
///
/// # Safety
/// `results` has room for it.
#[inline]
pub(crate) unsafe fn write_result<R: Lower>(
    store: &StoreInner,
    result: R,
    results: *mut u8,
) -> Result<()> {
    let mut cx = LowerContext::new(Keep::HostResults(store), None);
    let mut nothing = MaybeUninit::uninit();
    let destination = match size_of::<R::Native>() {
        0 => &mut nothing,
        // SAFETY: there is room.
        _ => unsafe { &mut *results.cast::<MaybeUninit<R::Native>>() },
    };
    result.lower(&mut cx, destination).context("result")
}

/// The data of an import that a dynamic function satisfies.
struct DynamicImport {
    func: DynamicFunc,
    signature: Signature,
}

/// The type of an import as calls of it with values need it.
pub(crate) struct Signature {
    component: Component,
    import: ImportId,
    resources: Arc<[ResourceType]>,
    /// Where the parameters are.
    offsets: Vec<u64>,
}

/// # Safety
/// Called by compiled code with the address of a [`DynamicImport`] for that import, and a store of
/// the type that the function was defined for.
unsafe extern "C" fn dynamic_shim(
    data: *const u8,
    store: *const StoreInner,
    args: *const u8,
    results: *mut u8,
) -> u32 {
    // SAFETY: promised by the caller; both outlive the call.
    let (import, inner) = unsafe { (&*data.cast::<DynamicImport>(), &*store) };
    contain(inner, identity, || {
        let (func, signature) = (&import.func, &import.signature);
        // SAFETY: `args` and `results` are the native structs of the import's type.
        unsafe {
            let values = signature.read(inner, args)?;
            let mut outcome = [Val::Bool(false)];
            let outcome = &mut outcome[..usize::from(signature.ty().result.is_some())];
            func(inner, &values, outcome)?;
            signature.write(inner, outcome.first(), results)
        }
    })
}

impl Signature {
    fn new(component: &Component, import: ImportId, resources: &Arc<[ResourceType]>) -> Signature {
        let metadata = component.metadata();
        let params = metadata.imports[import].ty.params.iter();
        let (_, offsets) = native::record_layout(&metadata.types, params.map(|param| param.ty));
        Signature {
            component: component.clone(),
            import,
            resources: resources.clone(),
            offsets,
        }
    }

    pub(crate) fn ty(&self) -> &FuncType {
        &self.component.metadata().imports[self.import].ty
    }

    /// The arguments of a call.
    ///
    /// # Safety
    /// `args` is the native struct of the import's parameters.
    pub(crate) unsafe fn read(&self, store: &StoreInner, args: *const u8) -> Result<Vec<Val>> {
        let metadata = self.component.metadata();
        let ty = self.ty();
        let reader = NativeReader::new(metadata, self.component.names(), &self.resources, None)
            .in_store(store);
        let mut values = Vec::with_capacity(ty.params.len());
        for (param, offset) in ty.params.iter().zip(&self.offsets) {
            // SAFETY: the parameter is at its offset in `args`.
            let value = unsafe { reader.read(param.ty, args.add(*offset as usize)) };
            values.push(value.with_context(|| format!("parameter `{}`", param.name))?);
        }
        Ok(values)
    }

    /// Writes the result of a call.
    ///
    /// # Safety
    /// `results` has room for it.
    pub(crate) unsafe fn write(
        &self,
        store: &StoreInner,
        value: Option<&Val>,
        results: *mut u8,
    ) -> Result<()> {
        let metadata = self.component.metadata();
        if let Some(ty) = self.ty().result {
            let value = value.context("the function gave no result")?;
            let mut writer =
                NativeWriter::new(metadata, &self.resources, Keep::HostResults(store), None);
            // SAFETY: `results` has room for the result.
            unsafe { writer.write(ty, value, results) }.context("result")?;
        }
        Ok(())
    }
}

/// # Safety
/// Called by compiled code with the address of the message.
unsafe extern "C" fn trap_shim(
    data: *const u8,
    store: *const StoreInner,
    _args: *const u8,
    _results: *mut u8,
) -> u32 {
    // SAFETY: promised by the caller; both outlive the call.
    let (message, store) = unsafe { (&*data.cast::<Arc<str>>(), &*store) };
    contain(store, identity, || Err(Error::msg(message.clone())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::store::Store;
    use crate::native::{NativeResult, NativeSlice};
    use trampette_artifact::layout::{HOST_ERROR, HOST_OK};

    /// Calls a typed function as compiled code does.
    fn call<A, R>(store: &Store<Vec<String>>, func: &HostFunc, args: &A, results: &mut R) -> u32 {
        let HostFunc::Typed { entry, closure, .. } = func else {
            panic!("a typed function")
        };
        // SAFETY: the tests give the native structs of the function's types.
        unsafe {
            entry(
                Arc::as_ptr(closure).cast(),
                store.inner(),
                (args as *const A).cast(),
                (results as *mut R).cast(),
            )
        }
    }

    #[repr(C)]
    struct Args {
        name: NativeSlice,
        number: u64,
        bytes: NativeSlice,
    }

    #[test]
    fn typed_functions_read_and_write_native_structs_in_place() {
        type P = (String, u64, Vec<u8>);
        let func = HostFunc::typed::<Vec<String>, P, Result<String, u32>, _>(
            |mut caller, (name, number, bytes)| {
                if number == 0 {
                    return Ok(Err(7));
                }
                caller.data_mut().push(name.to_string());
                Ok(Ok(format!("{name} {number} {bytes:?}")))
            },
        );
        let mut store = Store::new(Vec::new());
        let mut args = Args {
            name: NativeSlice::of(b"n"),
            number: 3,
            bytes: NativeSlice::of(&[1u8, 2]),
        };
        let mut results = MaybeUninit::<NativeResult<NativeSlice, u32>>::zeroed();
        assert_eq!(call(&store, &func, &args, &mut results), HOST_OK);
        // SAFETY: the call succeeded; the store keeps the string.
        let text = unsafe {
            let result = results.assume_init();
            assert_eq!(result.tag, 0);
            result.payload.ok.assume_init().as_slice::<u8>()
        };
        assert_eq!(text, b"n 3 [1, 2]");
        store.inner().release_host_results();
        assert_eq!(store.inner().host_results_length(), 0);
        args.number = 0;
        assert_eq!(call(&store, &func, &args, &mut results), HOST_OK);
        // SAFETY: the call succeeded.
        unsafe {
            let result = results.assume_init();
            assert_eq!((result.tag, result.payload.err.assume_init()), (1, 7));
        }
        assert_eq!(store.inner().host_results_length(), 0);
        assert_eq!(store.data_mut().as_slice(), ["n"]);
    }

    #[test]
    fn errors_and_panics_stay_in_the_store() {
        let func = HostFunc::typed::<Vec<String>, (bool,), (), _>(|_, (panics,)| {
            if panics {
                panic!("as asked");
            }
            anyhow::bail!("an error")
        });
        let store = Store::new(Vec::new());
        let hook = std::panic::take_hook();
        std::panic::set_hook(Box::new(|_| {}));
        let statuses = [0u8, 1].map(|panics| call(&store, &func, &panics, &mut ()));
        std::panic::set_hook(hook);
        assert_eq!(statuses, [HOST_ERROR, HOST_ERROR]);
        let error = store.inner().take_host_error().unwrap();
        assert_eq!(error.to_string(), "an error");
        let panic = store.inner().take_host_panic().unwrap();
        assert_eq!(panic.downcast_ref::<&str>(), Some(&"as asked"));
    }
}
