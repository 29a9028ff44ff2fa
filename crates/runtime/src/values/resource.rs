//! Handles of resources on the host's side: [`Resource`] and [`ResourceAny`].

use crate::load::backtrace::Trap;
use crate::machine::instance::InstanceId;
use crate::machine::store::{AsContext, AsContextMut, StoreInner};
use crate::values::typed::{
    CallOrigin, ComponentType, Lift, LiftContext, Lower, LowerContext, ResourceType, TypeContext,
    own_view,
};
use anyhow::{Result, bail, ensure};
use std::any::TypeId;
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use trampette_artifact::ids::ResourceId;
use trampette_artifact::types::{DefinedType, Type};

/// A handle of a resource that the host defines: its representation, a number that means something
/// to the host, most often an index into a
/// [`ResourceTable`](crate::ResourceTable).
///
/// Natively an owned and a borrowed handle are the same; who owns the resource is in the function's
/// type.
///
/// ```
/// use trampette_runtime::{Resource, ResourceTable};
///
/// struct Socket(u16);
///
/// let mut table = ResourceTable::new();
/// let socket: Resource<Socket> = table.push(Socket(80))?;
/// assert_eq!(table.get(&socket)?.0, 80);
/// assert_eq!(table.delete(socket)?.0, 80);
/// # anyhow::Ok(())
/// ```
pub struct Resource<T> {
    rep: u32,
    marker: PhantomData<fn() -> T>,
}

impl<T: 'static> Resource<T> {
    /// A handle with this representation.
    pub fn new(rep: u32) -> Resource<T> {
        Resource {
            rep,
            marker: PhantomData,
        }
    }

    /// The representation.
    pub fn rep(&self) -> u32 {
        self.rep
    }
}

impl<T> std::fmt::Debug for Resource<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Resource<{}>({})", std::any::type_name::<T>(), self.rep)
    }
}

// SAFETY: a handle of an imported resource is natively its representation.
unsafe impl<T: 'static> ComponentType for Resource<T> {
    type Native = u32;

    fn check(ty: Type, cx: &TypeContext<'_>) -> Result<()> {
        let Some(DefinedType::Own(id) | DefinedType::Borrow(id)) = cx.defined(ty) else {
            return Err(cx.mismatch(ty, Self::describe()));
        };
        match cx.resource(*id) {
            ResourceType::Host(host) if host == TypeId::of::<T>() => Ok(()),
            ResourceType::Guest(_) => bail!(
                "expected `{}`, a resource that the component defines, found `{}`",
                cx.display(ty),
                Self::describe()
            ),
            _ => bail!(
                "expected `{}`, which the linker defines with another Rust type, found `{}`",
                cx.display(ty),
                Self::describe()
            ),
        }
    }

    fn describe() -> String {
        format!("resource {}", std::any::type_name::<T>())
    }
}

// SAFETY: only the representation is read.
unsafe impl<T: 'static> Lift for Resource<T> {
    own_view!();

    #[inline]
    unsafe fn lift(native: &u32, _cx: LiftContext<'_>) -> Resource<T> {
        Resource::new(*native)
    }
}

// SAFETY: the representation is written.
unsafe impl<T: 'static> Lower for Resource<T> {
    fn lower(self, cx: &mut LowerContext<'_>, destination: &mut MaybeUninit<u32>) -> Result<()> {
        self.lower_ref(cx, destination)
    }

    fn lower_ref(
        &self,
        _cx: &mut LowerContext<'_>,
        destination: &mut MaybeUninit<u32>,
    ) -> Result<()> {
        destination.write(self.rep);
        Ok(())
    }
}

/// A handle of a resource of any type: of one that a component defines, which the host holds in its
/// table of handles, or of one that the host defines.
///
/// ```
/// # use trampette_runtime::{Instance, ResourceAny, Store};
/// # fn count(store: &mut Store<()>, instance: &Instance) -> anyhow::Result<u32> {
/// // resource counter { constructor(start: u32); get: func() -> u32; }
/// let new = instance.get_typed_func::<(u32,), ResourceAny>(&mut *store, "[constructor]counter")?;
/// let get = instance.get_typed_func::<(ResourceAny,), u32>(&mut *store, "[method]counter.get")?;
/// let counter = new.call(&mut *store, (3,))?;
/// let count = get.call(&mut *store, (counter,))?;
/// // Owned handles are dropped by hand: that runs the guest's destructor.
/// counter.resource_drop(store)?;
/// # Ok(count) }
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ResourceAny(Owner);

// Not larger than what else a `Val` can be, since a list has one for each element.
const _: () = assert!(size_of::<ResourceAny>() == 32);

/// Who defines a resource.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Owner {
    /// The component that this is an instance of; the handle is an index into the host's table.
    Guest {
        instance: InstanceId,
        handle: u32,
        /// Of which type; [`UNKNOWN`] if the instance has no such handle.
        resource: ResourceId,
        /// Which of the handles with that index, one after the other, this is.
        generation: u32,
    },
    /// The host.
    Host { rep: u32, ty: ResourceType },
}

/// The type of a handle that the instance does not have.
const UNKNOWN: ResourceId = ResourceId(u32::MAX);

impl ResourceAny {
    /// A handle that a call has just given to the host.
    pub(crate) fn guest(origin: CallOrigin<'_>, handle: u32) -> ResourceAny {
        let raw = origin.id.raw_in(origin.store);
        let generation = raw.map_or(0, |raw| raw.mark_host_handle(origin.store, handle));
        let found = raw.and_then(|raw| raw.host_handle(origin.store, handle));
        ResourceAny(Owner::Guest {
            instance: origin.id,
            handle,
            resource: found.map_or(UNKNOWN, |handle| handle.resource),
            generation,
        })
    }

    pub(crate) fn host(ty: ResourceType, rep: u32) -> ResourceAny {
        ResourceAny(Owner::Host { rep, ty })
    }

    /// The native form for a place of this type.
    pub(crate) fn lower_as(&self, ty: ResourceType, origin: Option<CallOrigin<'_>>) -> Result<u32> {
        match (self.0, ty) {
            (Owner::Guest { .. }, ResourceType::Guest(_)) => self.lower_guest(origin),
            (Owner::Host { rep, ty: host }, ty) if host == ty => Ok(rep),
            _ => bail!("found {}", self.display(origin)),
        }
    }

    /// The resource as messages name it.
    fn display(&self, origin: Option<CallOrigin<'_>>) -> String {
        match (self.0, origin) {
            (
                Owner::Guest {
                    instance, resource, ..
                },
                Some(origin),
            ) => display_guest(origin.store, instance, resource),
            (Owner::Guest { .. }, None) => "a resource that a component defines".to_string(),
            (Owner::Host { .. }, _) => "another resource that the host defines".to_string(),
        }
    }

    /// The native form for a place whose resource type the component defines; compiled code checks
    /// that type.
    fn lower_guest(&self, origin: Option<CallOrigin<'_>>) -> Result<u32> {
        match (self.0, origin) {
            (
                Owner::Guest {
                    instance,
                    handle,
                    resource,
                    generation,
                },
                Some(origin),
            ) if instance == origin.id => {
                ensure!(
                    is_current(origin.store, instance, handle, generation),
                    "{} was given away or dropped",
                    display_guest(origin.store, instance, resource)
                );
                Ok(handle)
            }
            _ => bail!("{} is of another instance", self.display(origin)),
        }
    }

    /// Whether the host owns the resource: otherwise it was only lent to it, or is gone, or is one
    /// that the host defines.
    pub fn owned(&self, store: impl AsContext) -> bool {
        let Owner::Guest {
            instance,
            handle,
            generation,
            ..
        } = self.0
        else {
            return false;
        };
        let store = store.store_inner();
        if !is_current(store, instance, handle, generation) {
            return false;
        }
        let raw = instance.raw_in(store);
        let found = raw.and_then(|raw| raw.host_handle(store, handle));
        found.is_some_and(|handle| handle.owned)
    }

    /// Gives up a resource that a component defines: takes the handle out of the host's table and,
    /// if the host owned the resource, runs the guest's destructor. For a resource that the host
    /// defines there is nothing to do.
    ///
    /// # Errors
    /// If the handle is gone already, the component that defines the resource is running (a host
    /// function that it called cannot drop what may be lent to it), or the destructor traps.
    pub fn resource_drop(self, mut store: impl AsContextMut) -> Result<()> {
        let Owner::Guest {
            instance,
            handle,
            resource,
            generation,
        } = self.0
        else {
            return Ok(());
        };
        let caller = store.caller();
        let store = caller.inner();
        let raw = instance.raw(store, || "a resource".to_string())?;
        let mark = raw.host_handle_mark(store, handle);
        let name = || display_guest(store, instance, resource);
        ensure!(
            mark.is_none() || mark == Some(generation),
            "{} was given away or dropped",
            name()
        );
        let dropped = raw.drop_resource(store, handle);
        dropped.map_err(|error| match error.downcast::<Trap>() {
            Ok(trap) if trap.frames().is_empty() => trap.at(name()).into(),
            Ok(trap) => trap.into(),
            Err(error) => error,
        })
    }

    /// The handle of a resource that the host defines with the Rust type `T`.
    ///
    /// # Errors
    /// If it is another resource.
    pub fn try_into_resource<T: 'static>(self) -> Result<Resource<T>> {
        match self.0 {
            Owner::Host { rep, ty } if ty == ResourceType::Host(TypeId::of::<T>()) => {
                Ok(Resource::new(rep))
            }
            _ => bail!(
                "expected `{}`, found {}",
                Resource::<T>::describe(),
                self.display(None)
            ),
        }
    }
}

/// A resource that a component defines, as messages name it.
fn display_guest(store: &StoreInner, instance: InstanceId, resource: ResourceId) -> String {
    match instance.raw_in(store) {
        None => "a resource of another store".to_string(),
        Some(_) if resource == UNKNOWN => "a resource".to_string(),
        Some(raw) => {
            let name = raw.component(store).metadata().resource_name(resource);
            format!("resource `{name}`")
        }
    }
}

/// Whether a handle of the host's table is still the one of that generation.
fn is_current(store: &StoreInner, instance: InstanceId, handle: u32, generation: u32) -> bool {
    let raw = instance.raw_in(store);
    raw.is_some_and(|raw| raw.host_handle_mark(store, handle) == Some(generation))
}

impl<T: 'static> From<Resource<T>> for ResourceAny {
    fn from(resource: Resource<T>) -> ResourceAny {
        ResourceAny::host(ResourceType::Host(TypeId::of::<T>()), resource.rep)
    }
}

// SAFETY: a handle of a resource that the component defines is natively an index, one of the host's
// its representation.
unsafe impl ComponentType for ResourceAny {
    type Native = u32;

    fn check(ty: Type, cx: &TypeContext<'_>) -> Result<()> {
        let Some(DefinedType::Own(id) | DefinedType::Borrow(id)) = cx.defined(ty) else {
            return Err(cx.mismatch(ty, Self::describe()));
        };
        cx.check_any_handle(ty, *id)
    }

    fn describe() -> String {
        "resource".to_string()
    }
}

// SAFETY: only the handle is read.
unsafe impl Lift for ResourceAny {
    own_view!();

    unsafe fn lift(native: &u32, cx: LiftContext<'_>) -> ResourceAny {
        match cx.origin {
            Some(CallOrigin { host: Some(ty), .. }) => ResourceAny::host(ty, *native),
            Some(origin) => ResourceAny::guest(origin, *native),
            // No import's type can name a resource of its own component.
            None => ResourceAny::host(ResourceType::Unmatched, *native),
        }
    }
}

// SAFETY: the handle is written.
unsafe impl Lower for ResourceAny {
    fn lower(self, cx: &mut LowerContext<'_>, destination: &mut MaybeUninit<u32>) -> Result<()> {
        self.lower_ref(cx, destination)
    }

    fn lower_ref(
        &self,
        cx: &mut LowerContext<'_>,
        destination: &mut MaybeUninit<u32>,
    ) -> Result<()> {
        let host = cx.origin.and_then(|origin| origin.host);
        destination.write(match host {
            Some(ty) => self.lower_as(ty, cx.origin)?,
            None => self.lower_guest(cx.origin)?,
        });
        Ok(())
    }
}
