//! Resources on the host's side: [`Resource`], [`ResourceAny`] and [`ResourceTable`].

use crate::containers::List;
use crate::func::InstanceId;
use crate::typed::{
    ComponentType, Lift, LiftContext, Lower, LowerContext, ResourceType, TypeContext,
};
use anyhow::{Result, bail};
use std::any::TypeId;
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use trampette_artifact::types::{DefinedType, Type};

/// A handle of a resource that the host defines: its representation, a number that means something
/// to the host, most often an index into a [`ResourceTable`].
///
/// Natively an owned and a borrowed handle are the same; who owns the resource is in the function's
/// type.
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
    type View<'a> = Resource<T>;
    type ListView<'a> = List<'a, Resource<T>>;

    #[inline]
    unsafe fn view<'a>(native: &'a u32, _cx: LiftContext<'a>) -> Resource<T> {
        Resource::new(*native)
    }

    unsafe fn lift(native: &u32, _cx: LiftContext<'_>) -> Resource<T> {
        Resource::new(*native)
    }

    unsafe fn view_list<'a>(natives: &'a [u32], cx: LiftContext<'a>) -> Self::ListView<'a> {
        // SAFETY: the caller's promise.
        unsafe { List::new(natives, cx) }
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
