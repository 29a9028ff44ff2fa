//! Instances of components: [`InstancePre`], [`Instance`], and finding what they export.

use crate::host::definitions::Namespace;
use crate::host::func::{Callee, Func, Prepared, TypedFunc};
use crate::host::matching::{Matched, match_imports};
use crate::host::versions::compatible;
use crate::load::component::Component;
use crate::machine::instance::{
    HostDestructor, HostImports, InstanceId, RawInstance, foreign_store,
};
use crate::machine::store::{AsContextMut, StoreInner};
use crate::messages::{display_export, display_path};
use crate::values::typed::{Fitting, InstanceOwner, Lift, Lower, Params};
use anyhow::{Result, anyhow};
use std::any::Any;
use std::marker::PhantomData;
use std::sync::Arc;
use trampette_artifact::ids::ImportId;
use trampette_artifact::layout::ImportSlot;
use trampette_artifact::metadata::{Export, ExportItem, Metadata};

/// A component whose imports are matched and checked: instantiating it is only that.
///
/// ```
/// # use trampette_runtime::{Component, Linker, Store};
/// # fn serve(linker: &Linker<u32>, component: &Component) -> anyhow::Result<()> {
/// let ready = linker.instantiate_pre(component)?;
/// std::thread::scope(|threads| {
///     for request in 0..4 {
///         let ready = &ready;
///         threads.spawn(move || ready.instantiate(&mut Store::new(request)).map(drop));
///     }
/// });
/// # Ok(()) }
/// ```
pub struct InstancePre<T: 'static> {
    shared: Arc<Prepared>,
    slots: Arc<[ImportSlot]>,
    destructors: Arc<[Option<HostDestructor>]>,
    may_wait: bool,
    owner: Arc<dyn Any + Send + Sync>,
    marker: PhantomData<fn(T)>,
}

impl<T: 'static> Clone for InstancePre<T> {
    fn clone(&self) -> Self {
        InstancePre {
            shared: self.shared.clone(),
            slots: self.slots.clone(),
            destructors: self.destructors.clone(),
            may_wait: self.may_wait,
            owner: self.owner.clone(),
            marker: PhantomData,
        }
    }
}

impl<T: 'static> InstancePre<T> {
    /// Matches and checks the imports of `component` against what a `Linker<T>` defines.
    ///
    /// # Errors
    /// If an import is missing or has another type.
    pub(crate) fn new(definitions: &Namespace, component: &Component) -> Result<InstancePre<T>> {
        let Matched {
            resources,
            destructors,
            functions,
        } = match_imports(definitions, component.metadata())?;
        let imports = component.metadata().imports.iter();
        let may_wait = functions
            .iter()
            .zip(imports)
            .any(|(func, import)| func.may_wait() && !import.ty.is_async);
        let (slots, owners): (Vec<_>, Vec<_>) = functions
            .into_iter()
            .enumerate()
            .map(|(index, func)| func.bind(component, ImportId::new(index), &resources))
            .map(|bound| (bound.slot, bound.owner))
            .unzip();
        Ok(InstancePre {
            shared: Arc::new(Prepared::new(component, resources.clone())),
            slots: slots.into(),
            destructors: destructors.into(),
            may_wait,
            owner: Arc::new(InstanceOwner {
                resources,
                fitting: Fitting::default(),
                _functions: Box::new(owners),
            }),
            marker: PhantomData,
        })
    }

    /// The component.
    pub fn component(&self) -> &Component {
        self.shared.component()
    }

    /// What its instances share.
    pub(crate) fn prepared(&self) -> &Arc<Prepared> {
        &self.shared
    }

    /// Instantiates the component.
    ///
    /// # Errors
    /// If a limit of the store is reached, or start-up code traps.
    pub fn instantiate(&self, mut store: impl AsContextMut<Data = T>) -> Result<Instance> {
        let caller = store.caller();
        let inner = caller.inner();
        let imports = HostImports {
            functions: self.slots.to_vec().into(),
            destructors: self.destructors.to_vec().into(),
            may_wait: self.may_wait,
            owner: self.owner.clone(),
        };
        // SAFETY: every function was checked against its import's type, and takes a store of `T`,
        // as this one is.
        let raw = unsafe { RawInstance::new(inner, self.shared.component(), imports) }?;
        Ok(Instance {
            id: raw.id(inner),
            shared: self.shared.clone(),
        })
    }
}

/// Where an export is: `"run"`, `"wasi:cli/run@0.2.0#run"`, or `["wasi:cli/run@0.2.0", "run"]`.
///
/// ```
/// use trampette_runtime::ExportPath;
///
/// assert_eq!("wasi:cli/run@0.2.0#run".names(), ["wasi:cli/run@0.2.0", "run"]);
/// assert_eq!(["wasi:cli/run@0.2.0", "run"].names(), ["wasi:cli/run@0.2.0", "run"]);
/// ```
pub trait ExportPath {
    /// The names, outermost first.
    fn names(&self) -> Vec<&str>;
}

impl ExportPath for str {
    fn names(&self) -> Vec<&str> {
        self.split('#').collect()
    }
}

impl ExportPath for String {
    fn names(&self) -> Vec<&str> {
        self.as_str().names()
    }
}

impl<S: AsRef<str>> ExportPath for [S] {
    fn names(&self) -> Vec<&str> {
        self.iter().map(AsRef::as_ref).collect()
    }
}

impl<S: AsRef<str>> ExportPath for Vec<S> {
    fn names(&self) -> Vec<&str> {
        self.as_slice().names()
    }
}

impl<S: AsRef<str>, const N: usize> ExportPath for [S; N] {
    fn names(&self) -> Vec<&str> {
        self.as_slice().names()
    }
}

impl<P: ExportPath + ?Sized> ExportPath for &P {
    fn names(&self) -> Vec<&str> {
        (**self).names()
    }
}

/// An instance of a component, in a store.
///
/// ```
/// # use trampette_runtime::{Component, Linker, Store};
/// # fn run(linker: &Linker<()>, component: &Component) -> anyhow::Result<()> {
/// let mut store = Store::new(());
/// let instance = linker.instantiate(&mut store, component)?;
/// for export in instance.exports() {
///     println!("{export:?}");
/// }
/// let run = instance.get_typed_func::<(), ()>(&mut store, "run")?;
/// run.call(&mut store, ())?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Instance {
    id: InstanceId,
    shared: Arc<Prepared>,
}

/// An exported item.
///
/// ```
/// # use trampette_runtime::{ExportItem, Instance};
/// # fn functions(instance: &Instance) {
/// for export in instance.exports() {
///     if let ExportItem::Function { .. } = export.item {
///         // `geometry / area: func(of: own<shape>) -> f64`
///         println!("{export:?}");
///     }
/// }
/// # }
/// ```
#[derive(Clone, Copy)]
pub struct ExportRef<'a> {
    /// The names of the instances it is in, and its own.
    pub path: &'a [String],
    /// What it is; types are those of [`Component::metadata`]. With their names they are in
    /// [`Component::world`].
    pub item: &'a ExportItem,
    metadata: &'a Metadata,
}

/// Types as WIT spells them.
impl std::fmt::Debug for ExportRef<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let path = display_path(self.path);
        let metadata = self.metadata;
        match (self.item, metadata.function_type(self.item)) {
            (_, Some(ty)) => write!(f, "{path}: {}", metadata.display_func(ty)),
            (ExportItem::Type(ty), None) => write!(f, "{path}: type {}", metadata.display(*ty)),
            (item, None) => write!(f, "{path}: {}", item.kind()),
        }
    }
}

impl Instance {
    /// The component.
    pub fn component(&self) -> &Component {
        self.shared.component()
    }

    /// What the component exports, in order.
    pub fn exports(&self) -> impl Iterator<Item = ExportRef<'_>> {
        let metadata = self.shared.component().metadata();
        metadata.exports.iter().map(move |export| ExportRef {
            path: &export.path,
            item: &export.item,
            metadata,
        })
    }

    pub(crate) fn id(&self) -> InstanceId {
        self.id
    }

    /// What all instances of its [`InstancePre`] share.
    pub(crate) fn prepared(&self) -> &Arc<Prepared> {
        &self.shared
    }

    /// An exported function. Interface names match in compatible versions.
    ///
    /// ```
    /// # use trampette_runtime::{Instance, Store};
    /// # fn find(store: &mut Store<()>, instance: &Instance) {
    /// if instance.get_func(store, "example:app/hooks@1.0.0#on-start").is_none() {
    ///     println!("it has no hook");
    /// }
    /// # }
    /// ```
    pub fn get_func(&self, store: impl AsContextMut, path: impl ExportPath) -> Option<Func> {
        let store = store.store_inner();
        let instance = self.id.raw_in(store)?.data(store);
        let exports = &self.component().metadata().exports;
        let index = find_export(exports, &path.names())?;
        let item = &exports[index].item;
        let callee = Callee::new(self.id, instance, item)?;
        Some(Func::new(callee, self.shared.clone(), index))
    }

    /// An exported function with Rust types: [`Instance::get_func`] and [`Func::typed`].
    ///
    /// ```
    /// # use trampette_runtime::{Instance, Store};
    /// # fn find(store: &mut Store<()>, instance: &Instance) -> anyhow::Result<()> {
    /// let path = ["wasi:cli/run@0.2.0", "run"];
    /// let run = instance.get_typed_func::<(), Result<(), ()>>(&mut *store, path)?;
    /// let succeeded = run.call(store, ())?.is_ok();
    /// # let _ = succeeded;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// If there is no such function, or its type is another.
    pub fn get_typed_func<P, R>(
        &self,
        mut store: impl AsContextMut,
        path: impl ExportPath,
    ) -> Result<TypedFunc<P, R>>
    where
        P: Params + Lower,
        R: Lift,
    {
        let func = self.get_func(&mut store, &path);
        let func = func.ok_or_else(|| self.missing(store.store_inner(), &path.names()))?;
        func.typed(store)
    }

    /// Why [`Instance::get_func`] found nothing.
    #[cold]
    fn missing(&self, store: &StoreInner, names: &[&str]) -> anyhow::Error {
        if self.id.raw_in(store).is_none() {
            let path: Vec<_> = names.iter().map(ToString::to_string).collect();
            return foreign_store(|| display_export(&path));
        }
        let exports = &self.shared.component().metadata().exports;
        not_a_function(exports, names)
    }
}

impl Prepared {
    /// The position of an exported function.
    pub(crate) fn find(&self, names: &[&str]) -> Result<usize> {
        let exports = &self.component().metadata().exports;
        let is_func = |item: &ExportItem| {
            matches!(item, ExportItem::Function { .. } | ExportItem::HostFunc(_))
        };
        find_export(exports, names)
            .filter(|index| is_func(&exports[*index].item))
            .ok_or_else(|| not_a_function(exports, names))
    }
}

/// Why there is no exported function of this path.
#[cold]
fn not_a_function(exports: &[Export], names: &[&str]) -> anyhow::Error {
    let path: Vec<_> = names.iter().map(ToString::to_string).collect();
    let item = display_export(&path);
    if let Some(found) = find_export(exports, names) {
        let found = exports[found].item.kind();
        return anyhow!("{item}: expected a function, found {found}");
    }
    let instances = &path[..path.len().saturating_sub(1)];
    match find_export(exports, &names[..instances.len()]) {
        None if !instances.is_empty() => {
            let instances = display_path(instances);
            anyhow!("{item}: the component exports no instance `{instances}`")
        }
        _ => anyhow!("{item}: the component exports no such function"),
    }
}

/// The position of an export. Its first name may be given in another compatible version.
fn find_export(exports: &[Export], names: &[&str]) -> Option<usize> {
    let position = |names: &[&str]| {
        let same = |export: &Export| export.path.iter().eq(names);
        exports.iter().position(same)
    };
    if let Some(found) = position(names) {
        return Some(found);
    }
    let (first, rest) = names.split_first()?;
    let instances = exports
        .iter()
        .filter(|export| matches!(export.item, ExportItem::Instance) && export.path.len() == 1)
        .map(|export| export.path[0].as_str());
    let first = compatible(first, instances)?;
    let names: Vec<_> = std::iter::once(first).chain(rest.iter().copied()).collect();
    position(&names)
}
