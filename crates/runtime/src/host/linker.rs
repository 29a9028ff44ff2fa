//! [`Linker`]: what a host offers to components, by name.
//!
//! Matching a component's imports with the definitions, and checking the types, is in
//! `matching.rs`; what compiled code then calls is in `shims.rs`.

use crate::host::async_shims::{self, AsyncFunc};
use crate::host::definitions::{Definition, HostResource, Namespace, Shadowing};
use crate::host::instance::{Instance, InstancePre};
use crate::host::shims::HostFunc;
use crate::load::component::Component;
use crate::machine::store::{AsContextMut, Caller};
use crate::messages::{ItemKind, about, display_item};
use crate::values::typed::{Lift, Lower, Params, ResourceType};
use crate::values::val::Val;
use anyhow::{Result, bail};
use std::any::TypeId;
use std::marker::PhantomData;
use std::sync::Arc;
use trampette_artifact::metadata::{Metadata, Resource};

/// The functions and resource types that a host offers to components whose stores hold a `T`.
///
/// ```no_run
/// use trampette_runtime::{Component, Linker, Store};
///
/// # fn run(component: &Component) -> anyhow::Result<()> {
/// let mut linker = Linker::<u32>::new();
/// linker.root().func_wrap::<(u32,), u32, _>("double", |_, (x,)| Ok(2 * x))?;
/// let mut clock = linker.instance("example:host/clock@1.2.0")?;
/// clock.func_wrap::<(), u32, _>("ticks", |caller, ()| Ok(*caller.data()))?;
///
/// assert_eq!(linker.missing_imports(component), Vec::<Vec<String>>::new());
/// let instance = linker.instantiate(&mut Store::new(7), component)?;
/// # Ok(()) }
/// ```
pub struct Linker<T: 'static> {
    root: Namespace,
    shadowing: Shadowing,
    marker: PhantomData<fn(T)>,
}

impl<T: 'static> Clone for Linker<T> {
    fn clone(&self) -> Self {
        Linker {
            root: self.root.clone(),
            shadowing: self.shadowing,
            marker: PhantomData,
        }
    }
}

impl<T: 'static> Default for Linker<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: 'static> Linker<T> {
    /// A linker without definitions.
    pub fn new() -> Linker<T> {
        Linker {
            root: Namespace::default(),
            shadowing: Shadowing::default(),
            marker: PhantomData,
        }
    }

    /// Whether a later definition may replace an earlier one of the same name; if not, which is how
    /// a linker starts, it is an error.
    ///
    /// ```
    /// # fn main() -> anyhow::Result<()> {
    /// let mut linker = trampette_runtime::Linker::<()>::new();
    /// linker.root().func_wrap::<(), u32, _>("version", |_, ()| Ok(1))?;
    /// assert!(linker.root().func_wrap::<(), u32, _>("version", |_, ()| Ok(2)).is_err());
    /// linker.allow_shadowing(true);
    /// linker.root().func_wrap::<(), u32, _>("version", |_, ()| Ok(2))?;
    /// # Ok(()) }
    /// ```
    pub fn allow_shadowing(&mut self, allow: bool) -> &mut Self {
        self.shadowing = match allow {
            true => Shadowing::Allowed,
            false => Shadowing::Refused,
        };
        self
    }

    /// Where items that components import directly are defined.
    pub fn root(&mut self) -> LinkerInstance<'_, T> {
        LinkerInstance {
            namespace: &mut self.root,
            path: Vec::new(),
            shadowing: self.shadowing,
            marker: PhantomData,
        }
    }

    /// The instance of that name, made if there is none: `wasi:io/streams@0.2.0`.
    ///
    /// A component that imports another version of the interface gets this one if the versions are
    /// compatible: the same major version, or for 0.x the same minor version.
    ///
    /// # Errors
    /// If something else has that name.
    pub fn instance(&mut self, name: &str) -> Result<LinkerInstance<'_, T>> {
        self.root().into_instance(name)
    }

    /// Defines every import of a component that has no definition yet as a function that fails when
    /// it is called, or as a resource type of which there are no values.
    ///
    /// ```
    /// # use trampette_runtime::{Component, Linker, Store};
    /// # fn try_it(component: &Component) -> anyhow::Result<()> {
    /// let mut linker = Linker::<()>::new();
    /// // What the host has comes first.
    /// linker.root().func_wrap::<(String,), (), _>("log", |_, (_,)| Ok(()))?;
    /// linker.define_unknown_imports_as_traps(component)?;
    /// linker.instantiate(&mut Store::new(()), component)?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// If a name of the import's path is defined as something that is no instance.
    pub fn define_unknown_imports_as_traps(&mut self, component: &Component) -> Result<()> {
        self.define_unknown(component.metadata(), "", undefined)
    }

    /// As [`Linker::define_unknown_imports_as_traps`], for imports from instances whose names start
    /// with `prefix`: `wasi:sockets/`.
    ///
    /// # Errors
    /// See [`Linker::define_unknown_imports_as_traps`].
    pub fn define_unknown_imports_as_traps_in(
        &mut self,
        component: &Component,
        prefix: &str,
    ) -> Result<()> {
        self.define_unknown(component.metadata(), prefix, undefined)
    }

    /// As [`Linker::define_unknown_imports_as_traps_in`]; `why` is what a call's error says.
    ///
    /// # Errors
    /// See [`Linker::define_unknown_imports_as_traps`].
    pub fn define_unknown_imports_as_traps_because(
        &mut self,
        component: &Component,
        prefix: &str,
        why: &str,
    ) -> Result<()> {
        self.define_unknown(component.metadata(), prefix, |_, _| why.to_string())
    }

    /// The functions and resource types that a component imports and that have no definition here,
    /// by their chains of names, in the component's order.
    ///
    /// ```
    /// # use trampette_runtime::{Component, Linker};
    /// # fn check(linker: &Linker<()>, component: &Component) {
    /// for path in linker.missing_imports(component) {
    ///     println!("the host does not offer {}", path.join(" / "));
    /// }
    /// # }
    /// ```
    pub fn missing_imports(&self, component: &Component) -> Vec<Vec<String>> {
        let metadata = component.metadata();
        let resources = metadata
            .resources
            .iter()
            .filter_map(|resource| match resource {
                Resource::Imported { path } => Some(path),
                Resource::Defined { .. } => None,
            });
        let functions = metadata.imports.iter().map(|import| &import.path);
        let missing = resources
            .chain(functions)
            .filter(|path| !self.root.has(path));
        missing.cloned().collect()
    }

    fn define_unknown(
        &mut self,
        metadata: &Metadata,
        prefix: &str,
        why: impl Fn(ItemKind, &[String]) -> String,
    ) -> Result<()> {
        let wanted = |path: &[String]| path.first().is_some_and(|first| first.starts_with(prefix));
        for resource in &metadata.resources {
            let Resource::Imported { path } = resource else {
                continue;
            };
            if !wanted(path) {
                continue;
            }
            let message = why(ItemKind::Resource, path);
            let resource = HostResource {
                ty: ResourceType::HostDynamic,
                destructor: Arc::new(move |_, _| bail!("{message}")),
            };
            self.define_missing(path, Definition::Resource(resource))?;
        }
        for import in metadata
            .imports
            .iter()
            .filter(|import| wanted(&import.path))
        {
            let trap = HostFunc::Trap(why(ItemKind::Function, &import.path).into());
            self.define_missing(&import.path, Definition::Func(trap))?;
        }
        Ok(())
    }

    fn define_missing(&mut self, path: &[String], definition: Definition) -> Result<()> {
        let Some((name, instances)) = path.split_last() else {
            bail!("an import has no name");
        };
        let mut namespace = &mut self.root;
        for (depth, instance) in instances.iter().enumerate() {
            let found = namespace.compatible_name(instance).unwrap_or(instance);
            let found = found.to_string();
            namespace = namespace
                .instance(&found, Shadowing::Refused)
                .map_err(|error| {
                    cannot_define(ItemKind::Instance, &path[..depth], &found, &error)
                })?;
        }
        if namespace.get(name).is_none() {
            // Nothing has the name, so that nothing can be wrong.
            namespace.insert(name, definition, Shadowing::Refused)?;
        }
        Ok(())
    }

    /// Looks up and checks all imports of a component, so that instantiating it needs neither.
    ///
    /// ```
    /// # use trampette_runtime::{Component, Linker, Store};
    /// # fn serve(linker: &Linker<u32>, component: &Component) -> anyhow::Result<()> {
    /// let ready = linker.instantiate_pre(component)?;
    /// for request in 0..1000 {
    ///     ready.instantiate(&mut Store::new(request))?;
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// If an import is missing or has another type.
    pub fn instantiate_pre(&self, component: &Component) -> Result<InstancePre<T>> {
        InstancePre::new(&self.root, component)
    }

    /// Instantiates a component.
    ///
    /// ```
    /// # use trampette_runtime::{Component, Linker, Store};
    /// # fn start(component: &Component) -> anyhow::Result<()> {
    /// let mut store = Store::new(());
    /// let instance = Linker::new().instantiate(&mut store, component)?;
    /// # let _ = instance;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// Those of [`Linker::instantiate_pre`] and [`InstancePre::instantiate`].
    pub fn instantiate(
        &self,
        store: impl AsContextMut<Data = T>,
        component: &Component,
    ) -> Result<Instance> {
        self.instantiate_pre(component)?.instantiate(store)
    }
}

/// Why a call of an import fails that an embedder left out.
fn undefined(kind: ItemKind, path: &[String]) -> String {
    let item = display_item("import", kind, path);
    format!("{item}: it is not defined in the linker")
}

/// The error for a definition that is refused.
fn cannot_define(
    kind: ItemKind,
    instances: &[String],
    name: &str,
    error: &anyhow::Error,
) -> anyhow::Error {
    let path: Vec<_> = instances
        .iter()
        .cloned()
        .chain([name.to_string()])
        .collect();
    about(display_item("linker", kind, &path), error)
}

/// A place in a [`Linker`] where items are defined: an instance, or the root.
///
/// ```
/// # fn main() -> anyhow::Result<()> {
/// let mut linker = trampette_runtime::Linker::<()>::new();
/// let mut store = linker.instance("example:kv/store@0.1.0")?;
/// store.func_wrap::<(String,), Option<String>, _>("get", |_, (key,)| {
///     Ok((key == "colour").then(|| "green".to_string()))
/// })?;
/// # Ok(()) }
/// ```
pub struct LinkerInstance<'a, T: 'static> {
    namespace: &'a mut Namespace,
    path: Vec<String>,
    shadowing: Shadowing,
    marker: PhantomData<fn(T)>,
}

impl<'a, T: 'static> LinkerInstance<'a, T> {
    /// An instance in this one, made if there is none.
    ///
    /// # Errors
    /// If something else has that name.
    pub fn instance(&mut self, name: &str) -> Result<LinkerInstance<'_, T>> {
        let path = self.path.iter().cloned().chain([name.to_string()]);
        Ok(LinkerInstance {
            path: path.collect(),
            namespace: self
                .namespace
                .instance(name, self.shadowing)
                .map_err(|error| cannot_define(ItemKind::Instance, &self.path, name, &error))?,
            shadowing: self.shadowing,
            marker: PhantomData,
        })
    }

    fn into_instance(mut self, name: &str) -> Result<LinkerInstance<'a, T>> {
        let namespace = self
            .namespace
            .instance(name, self.shadowing)
            .map_err(|error| cannot_define(ItemKind::Instance, &self.path, name, &error))?;
        self.path.push(name.to_string());
        Ok(LinkerInstance {
            namespace,
            path: self.path,
            shadowing: self.shadowing,
            marker: PhantomData,
        })
    }

    /// Defines a function of Rust types.
    ///
    /// `P` is the tuple of parameter types, `R` the result, `()` if there is none. The closure gets
    /// the *views* of its parameters: a `String` arrives as `&str` and a `Vec<u8>` as `&[u8]`, both
    /// borrowed from the guest's memory for the length of the call.
    ///
    /// ```
    /// # fn main() -> anyhow::Result<()> {
    /// # use trampette_runtime::Linker;
    /// let mut linker: Linker<Vec<String>> = Linker::new();
    /// linker.instance("example:log/log@0.1.0")?.func_wrap::<(String, Vec<u8>), u32, _>(
    ///     "write",
    ///     |mut caller, (name, bytes)| {
    ///         caller.data_mut().push(format!("{name}: {} bytes", bytes.len()));
    ///         Ok(bytes.len() as u32)
    ///     },
    /// )?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// If the name is taken.
    ///
    /// Views cannot escape:
    ///
    /// ```compile_fail
    /// # let mut linker: trampette_runtime::Linker<Vec<&'static str>> = Default::default();
    /// linker.root().func_wrap::<(String,), (), _>("keep", |mut caller, (text,)| {
    ///     caller.data_mut().push(text);
    ///     Ok(())
    /// });
    /// ```
    pub fn func_wrap<P, R, F>(&mut self, name: &str, func: F) -> Result<()>
    where
        P: Params + Lift,
        R: Lower + 'static,
        F: for<'b> Fn(Caller<'b, T>, P::View<'b>) -> Result<R> + Send + Sync + 'static,
    {
        self.insert(name, Definition::Func(HostFunc::typed::<T, P, R, F>(func)))
    }

    /// Defines a function that takes whatever types the component imports it with.
    ///
    /// The last argument has one element if the function has a result, and none otherwise; the
    /// closure must set it.
    ///
    /// ```
    /// use trampette_runtime::{Linker, Val};
    ///
    /// # fn main() -> anyhow::Result<()> {
    /// let mut linker = Linker::<()>::new();
    /// linker.root().func_new("describe", |_, args, results| {
    ///     // One result, or none.
    ///     if let [result] = results {
    ///         *result = Val::String(format!("{args:?}"));
    ///     }
    ///     Ok(())
    /// })?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// If the name is taken.
    pub fn func_new<F>(&mut self, name: &str, func: F) -> Result<()>
    where
        F: for<'b> Fn(Caller<'b, T>, &[Val], &mut [Val]) -> Result<()> + Send + Sync + 'static,
    {
        let func = HostFunc::Dynamic(Arc::new(move |store, args, results| {
            // SAFETY: only called by a host function's shim, on a store that an `InstancePre<T>`
            // made an instance in.
            let caller = unsafe { Caller::from_raw(store) };
            func(caller, args, results)
        }));
        self.insert(name, Definition::Func(func))
    }

    /// Defines a function that gives a future: one of an `async` type goes on while the guest does.
    /// If the component's import is not `async`, the guest's call waits for the future: without the
    /// thread if it is awaited ([`TypedFunc::call_async`](crate::TypedFunc::call_async)).
    ///
    /// The closure is called as that of [`LinkerInstance::func_wrap`]. It takes what it wants from
    /// the views, and returns a future without them. If that is ready when it is first polled, the
    /// guest sees a call that has returned; otherwise it gets a subtask, or waits. The future is
    /// polled by whoever drives the store, and dropped when the guest cancels the call, when its
    /// instance traps, and with the store. What it panics with, or its error, ends the instance
    /// that has called.
    ///
    /// ```
    /// # fn main() -> anyhow::Result<()> {
    /// # async fn get(url: String) -> anyhow::Result<Vec<u8>> { Ok(url.into_bytes()) }
    /// let mut linker = trampette_runtime::Linker::<u32>::new();
    /// linker.root().func_wrap_async::<(String,), Vec<u8>, _, _>("get", |mut caller, (url,)| {
    ///     *caller.data_mut() += 1;
    ///     let url = url.to_string();
    ///     async move { get(url).await }
    /// })?;
    /// # Ok(()) }
    /// ```
    ///
    /// Views cannot get into the future:
    ///
    /// ```compile_fail
    /// # let mut linker = trampette_runtime::Linker::<u32>::new();
    /// linker.root().func_wrap_async::<(String,), u32, _, _>("length", |_, (text,)| {
    ///     async move { Ok(text.len() as u32) }
    /// });
    /// ```
    ///
    /// Nor can what belongs to one thread:
    ///
    /// ```compile_fail
    /// # let mut linker = trampette_runtime::Linker::<u32>::new();
    /// linker.root().func_wrap_async::<(), u32, _, _>("count", |_, ()| {
    ///     let count = std::rc::Rc::new(1);
    ///     async move {
    ///         std::future::ready(()).await;
    ///         Ok(*count)
    ///     }
    /// });
    /// ```
    ///
    /// # Errors
    /// If the name is taken.
    pub fn func_wrap_async<P, R, F, A>(&mut self, name: &str, func: F) -> Result<()>
    where
        P: Params + Lift,
        R: Lower + Send + 'static,
        F: for<'b> Fn(Caller<'b, T>, P::View<'b>) -> A + Send + Sync + 'static,
        A: Future<Output = Result<R>> + Send + 'static,
    {
        let func = async_shims::typed::<T, P, R, F, A>(func);
        self.insert(name, Definition::Func(func))
    }

    /// As [`LinkerInstance::func_wrap_async`], for a function that takes whatever types the
    /// component imports it with. The future gives the result, if the function has one.
    ///
    /// ```
    /// use trampette_runtime::{Linker, Val};
    ///
    /// # fn main() -> anyhow::Result<()> {
    /// let mut linker = Linker::<()>::new();
    /// linker.root().func_new_async("describe", |_, args| {
    ///     let text = format!("{args:?}");
    ///     async move { Ok(Some(Val::String(text))) }
    /// })?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// If the name is taken.
    pub fn func_new_async<F, A>(&mut self, name: &str, func: F) -> Result<()>
    where
        F: for<'b> Fn(Caller<'b, T>, &[Val]) -> A + Send + Sync + 'static,
        A: Future<Output = Result<Option<Val>>> + Send + 'static,
    {
        let func: AsyncFunc = Arc::new(move |store, args| {
            // SAFETY: as in `func_new`.
            let caller = unsafe { Caller::from_raw(store) };
            Box::pin(func(caller, args))
        });
        self.insert(name, Definition::Func(HostFunc::DynamicAsync(func)))
    }

    /// Defines a resource type. `R` is what [`Resource<R>`](crate::Resource) in functions means;
    /// the closure is called with the representation when a guest drops its owned handle.
    ///
    /// ```
    /// use trampette_runtime::{Linker, Resource, ResourceTable};
    ///
    /// struct File(String);
    ///
    /// # fn main() -> anyhow::Result<()> {
    /// let mut linker = Linker::<ResourceTable>::new();
    /// let mut files = linker.instance("example:disk/files@1.0.0")?;
    /// files.resource::<File>("file", |mut caller, rep| {
    ///     caller.data_mut().delete(Resource::<File>::new(rep))?;
    ///     Ok(())
    /// })?;
    /// files.func_wrap::<(String,), Resource<File>, _>("open", |mut caller, (name,)| {
    ///     Ok(caller.data_mut().push(File(name.to_string()))?)
    /// })?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// If the name is taken.
    pub fn resource<R: 'static>(
        &mut self,
        name: &str,
        destructor: impl for<'b> Fn(Caller<'b, T>, u32) -> Result<()> + Send + Sync + 'static,
    ) -> Result<()> {
        self.define_resource(name, ResourceType::Host(TypeId::of::<R>()), destructor)
    }

    /// Defines a resource type that no Rust type stands for, as a runner of scripts needs it. Equal
    /// numbers are the same resource type.
    ///
    /// # Errors
    /// If the name is taken.
    pub fn resource_numbered(
        &mut self,
        name: &str,
        number: u64,
        destructor: impl for<'b> Fn(Caller<'b, T>, u32) -> Result<()> + Send + Sync + 'static,
    ) -> Result<()> {
        self.define_resource(name, ResourceType::HostNumbered(number), destructor)
    }

    fn define_resource(
        &mut self,
        name: &str,
        ty: ResourceType,
        destructor: impl for<'b> Fn(Caller<'b, T>, u32) -> Result<()> + Send + Sync + 'static,
    ) -> Result<()> {
        let destructor = move |store: &_, rep| {
            // SAFETY: only called by a builtin, on a store that an `InstancePre<T>` made an
            // instance in.
            let caller = unsafe { Caller::from_raw(store) };
            destructor(caller, rep)
        };
        self.insert(
            name,
            Definition::Resource(HostResource {
                ty,
                destructor: Arc::new(destructor),
            }),
        )
    }

    pub(super) fn insert(&mut self, name: &str, definition: Definition) -> Result<()> {
        let kind = definition.kind();
        self.namespace
            .insert(name, definition, self.shadowing)
            .map_err(|error| cannot_define(kind, &self.path, name, &error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::matching::match_imports;
    use crate::values::resource::Resource as Handle;
    use crate::values::resource_table::ResourceTable;
    use trampette_artifact::ids::ResourceId;
    use trampette_artifact::metadata::{Import, Metadata};
    use trampette_artifact::types::{DefinedType, Field, FuncType, Type};

    struct OutputStream;
    struct Other;

    fn path(names: &[&str]) -> Vec<String> {
        names.iter().map(ToString::to_string).collect()
    }

    fn import(names: &[&str], params: &[(&str, Type)], result: Option<Type>) -> Import {
        let param = |(name, ty): &(&str, Type)| Field {
            name: name.to_string(),
            ty: *ty,
        };
        Import {
            path: path(names),
            ty: FuncType {
                params: params.iter().map(param).collect(),
                result,
                is_async: false,
            },
            used: true,
        }
    }

    /// Imports `get-stdout` and a function over lists, and the resource of streams.
    fn metadata() -> Metadata {
        let mut metadata = Metadata {
            resources: vec![Resource::Imported {
                path: path(&["wasi:io/streams@0.2.6", "output-stream"]),
            }]
            .into(),
            ..Metadata::default()
        };
        let own = metadata
            .types
            .intern(DefinedType::Own(ResourceId(0)))
            .unwrap();
        let borrow = metadata
            .types
            .intern(DefinedType::Borrow(ResourceId(0)))
            .unwrap();
        let bytes = metadata.types.intern(DefinedType::List(Type::U8)).unwrap();
        metadata.imports = vec![
            import(&["wasi:cli/stdout@0.2.6", "get-stdout"], &[], Some(own)),
            import(
                &["wasi:io/streams@0.2.6", "write"],
                &[("self", borrow), ("contents", bytes)],
                None,
            ),
        ]
        .into();
        metadata
    }

    fn error(linker: &Linker<ResourceTable>) -> String {
        match match_imports(&linker.root, &metadata()) {
            Ok(_) => "matched".to_string(),
            Err(error) => format!("{error:#}"),
        }
    }

    #[test]
    fn imports_match_or_say_why_not() {
        let mut linker = Linker::<ResourceTable>::new();
        assert_eq!(
            error(&linker),
            "component imports instance `wasi:io/streams@0.2.6`, but a matching implementation was \
             not found in the linker"
        );
        let mut streams = linker.instance("wasi:io/streams@0.2.0").unwrap();
        streams
            .func_wrap::<(Handle<OutputStream>, String), (), _>("write", |_, _| Ok(()))
            .unwrap();
        assert_eq!(
            error(&linker),
            "component imports resource `output-stream` in `wasi:io/streams@0.2.6`, but a matching \
             implementation was not found in the linker"
        );
        let mut streams = linker.instance("wasi:io/streams@0.2.0").unwrap();
        streams
            .resource::<OutputStream>("output-stream", |_, _| Ok(()))
            .unwrap();
        linker.instance("wasi:cli/stdout@0.2.1").unwrap();
        assert_eq!(
            error(&linker),
            "component imports function `get-stdout` in `wasi:cli/stdout@0.2.6`, but a matching \
             implementation was not found in the linker"
        );
        let mut stdout = linker.instance("wasi:cli/stdout@0.2.1").unwrap();
        stdout
            .func_wrap::<(), Handle<Other>, _>("get-stdout", |_, ()| Ok(Handle::new(0)))
            .unwrap();
        let other = std::any::type_name::<Other>();
        assert_eq!(
            error(&linker),
            format!(
                "import `wasi:cli/stdout@0.2.6` function `get-stdout`: result: expected \
                 `own<output-stream>`, which the linker defines with another Rust type, found \
                 `resource {other}`: the component imports `func() -> own<output-stream>`, the \
                 linker has `func() -> resource {other}`"
            )
        );
        linker.allow_shadowing(true);
        let mut stdout = linker.instance("wasi:cli/stdout@0.2.1").unwrap();
        stdout
            .func_wrap::<(), Handle<OutputStream>, _>("get-stdout", |_, ()| Ok(Handle::new(0)))
            .unwrap();
        let stream = std::any::type_name::<OutputStream>();
        assert_eq!(
            error(&linker),
            format!(
                "import `wasi:io/streams@0.2.6` function `write`: parameter `contents`: expected \
                 `list<u8>`, found `string`: the component imports `func(self: \
                 borrow<output-stream>, contents: list<u8>)`, the linker has `func(resource \
                 {stream}, string)`"
            )
        );
        let mut streams = linker.instance("wasi:io/streams@0.2.0").unwrap();
        streams
            .func_wrap::<(Handle<OutputStream>, Vec<u8>), (), _>("write", |_, (stream, bytes)| {
                anyhow::ensure!(bytes.len() as u32 != stream.rep());
                Ok(())
            })
            .unwrap();
        assert_eq!(error(&linker), "matched");
    }

    #[test]
    fn names_are_defined_once_unless_shadowing_is_allowed() {
        let mut linker = Linker::<ResourceTable>::new();
        linker
            .root()
            .func_wrap::<(), (), _>("f", |_, ()| Ok(()))
            .unwrap();
        let again = linker.root().func_new("f", |_, _, _| Ok(())).unwrap_err();
        assert_eq!(
            format!("{again:#}"),
            "linker function `f`: the name is taken by a function"
        );
        let instance = linker.instance("f").err().unwrap();
        assert_eq!(
            instance.to_string(),
            "linker instance `f`: the name is taken by a function"
        );
        let mut nested = linker.instance("a").unwrap();
        let mut nested = nested.instance("b").unwrap();
        nested.resource::<u8>("r", |_, _| Ok(())).unwrap();
        let again = nested.func_wrap::<(), (), _>("r", |_, ()| Ok(()));
        assert_eq!(
            format!("{:#}", again.unwrap_err()),
            "linker `a / b` function `r`: the name is taken by a resource"
        );
        linker.allow_shadowing(true);
        linker.root().func_new("f", |_, _, _| Ok(())).unwrap();
    }

    #[test]
    fn unknown_imports_can_trap() {
        let mut linker = Linker::<ResourceTable>::new();
        linker
            .instance("wasi:cli/stdout@0.2.0")
            .unwrap()
            .func_new("unrelated", |_, _, _| Ok(()))
            .unwrap();
        let metadata = metadata();
        linker.define_unknown(&metadata, "", undefined).unwrap();
        assert_eq!(error(&linker), "matched");
        let Some(Definition::Instance(stdout)) = &linker.root.get("wasi:cli/stdout@0.2.0") else {
            panic!("an instance")
        };
        assert!(matches!(
            stdout.get("get-stdout"),
            Some(Definition::Func(HostFunc::Trap(message)))
                if &**message
                    == "import `wasi:cli/stdout@0.2.6` function `get-stdout`: it is not defined in \
                        the linker"
        ));
    }
}
