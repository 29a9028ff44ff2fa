//! Component-level types as Rust types: checking, lifting from and lowering to native layout.
//!
//! | trait | for |
//! | --- | --- |
//! | [`ComponentType`] | which WIT types a Rust type stands for, and its native form |
//! | [`Lift`] | values that come from a guest: parameters of host functions, results of exports |
//! | [`Lower`] | values that go to a guest: results of host functions, parameters of exports |
//! | [`Params`] | tuples of those, as the parameters of a function |
//!
//! Lifting has two forms: an owned value, and a [`Lift::View`] that borrows what it can. Strings
//! are viewed as `&str`, lists of numbers, `bool` and `char` as `&[T]`, other lists as
//! [`List`](crate::List). Native values that come from a guest were validated by compiled code
//! (UTF-8, characters, tags, bounds), so lifting cannot fail.
//!
//! The implementations for Rust's own types are in `scalars.rs`, `containers.rs` and `maps.rs`; for
//! handles of resources in `resource.rs`; for error contexts in `error_context.rs`.

use crate::machine::instance::InstanceId;
use crate::machine::store::StoreInner;
use crate::native::NativeSlice;
use crate::values::keep::Keep;
use anyhow::{Context, Result, bail};
use std::any::{Any, TypeId};
use std::cell::Cell;
use std::collections::HashSet;
use std::mem::MaybeUninit;
use std::ptr::NonNull;
use std::sync::{Arc, RwLock};
use trampette_artifact::ids::ResourceId;
use trampette_artifact::metadata::Metadata;
use trampette_artifact::types::{DefinedType, Field, FuncType, Type, TypeTable};

/// A Rust type that stands for component-level types.
///
/// ```
/// use trampette_runtime::ComponentType;
///
/// // Derived for records, variants and enums.
/// #[derive(ComponentType)]
/// #[component(record)]
/// struct Point {
///     x: u32,
///     y: u32,
/// }
///
/// assert_eq!(<Vec<(String, Option<u8>)>>::describe(), "list<tuple<string, option<u8>>>");
/// ```
///
/// # Safety
/// `Native` has the native layout (`artifact::native`) of every type that `check` accepts. If
/// `BITWISE`, every value of `Self` has the size, alignment and bytes of its `Native`, without
/// padding.
pub unsafe trait ComponentType {
    /// The native form, `repr(C)`.
    type Native: Copy + 'static;

    /// Whether a value in Rust's memory is its own native form.
    const BITWISE: bool = false;

    /// Checks that this type stands for `ty`.
    ///
    /// # Errors
    /// If it does not. The error says where in the type.
    fn check(ty: Type, cx: &TypeContext<'_>) -> Result<()>;

    /// Like [`ComponentType::check`] for a place that may be empty: the payload of a case, or a
    /// function's result. `()` stands for nothing.
    ///
    /// # Errors
    /// See [`ComponentType::check`].
    fn check_optional(ty: Option<Type>, cx: &TypeContext<'_>) -> Result<()> {
        match ty {
            Some(ty) => Self::check(ty, cx),
            None => bail!("expected nothing, found `{}`", Self::describe()),
        }
    }

    /// The type about as WIT spells it, for messages.
    fn describe() -> String;
}

/// A type whose values can be read from native layout.
///
/// ```
/// use trampette_runtime::{ComponentType, Lift};
///
/// /// What a guest gives to the host.
/// #[derive(ComponentType, Lift)]
/// #[component(variant)]
/// enum Shape {
///     #[component(name = "circle")]
///     Circle(f64),
///     #[component(name = "nothing")]
///     Nothing,
/// }
/// ```
///
/// # Safety
/// `view` and `lift` read nothing but the value and what it points to, and `View<'a>` gives no
/// access to any of it beyond `'a`.
pub unsafe trait Lift: ComponentType + Sized + 'static {
    /// A value that borrows from native or guest memory for `'a`.
    type View<'a>;

    /// The view of a list of this type: `&'a [Self]`, or [`List`](crate::List).
    type ListView<'a>;

    /// Views a value.
    ///
    /// # Safety
    /// `native` is a valid value of a type that [`ComponentType::check`] accepted; what it points
    /// to lives and does not change during `'a`.
    unsafe fn view<'a>(native: &'a Self::Native, cx: LiftContext<'a>) -> Self::View<'a>;

    /// Makes an owned value.
    ///
    /// # Safety
    /// See [`Lift::view`]; it need only live during the call.
    unsafe fn lift(native: &Self::Native, cx: LiftContext<'_>) -> Self;

    /// Views the elements of a list.
    ///
    /// # Safety
    /// See [`Lift::view`], for each element.
    unsafe fn view_list<'a>(natives: &'a [Self::Native], cx: LiftContext<'a>)
    -> Self::ListView<'a>;

    /// Makes an owned list.
    ///
    /// # Safety
    /// See [`Lift::lift`], for each element.
    unsafe fn lift_list(natives: &[Self::Native], cx: LiftContext<'_>) -> Vec<Self> {
        if !cx.charge(size_of_val(natives).max(natives.len() * size_of::<Self>())) {
            return Vec::new();
        }
        let lift = |native| {
            // SAFETY: the caller's promise.
            unsafe { Self::lift(native, cx) }
        };
        // What comes after the limit was reached is not made any more.
        let within = |_: &&Self::Native| !cx.is_over();
        let mut list = Vec::with_capacity(natives.len());
        list.extend(natives.iter().take_while(within).map(lift));
        list
    }
}

/// In an implementation of [`Lift`]: a value that borrows nothing is its own view.
#[doc(hidden)]
#[macro_export]
macro_rules! __own_view {
    () => {
        type View<'a> = Self;
        type ListView<'a> = $crate::List<'a, Self>;

        #[inline]
        unsafe fn view<'a>(
            native: &'a <Self as $crate::ComponentType>::Native,
            cx: $crate::LiftContext<'a>,
        ) -> Self {
            // SAFETY: the caller's promise.
            unsafe { <Self as $crate::Lift>::lift(native, cx) }
        }

        unsafe fn view_list<'a>(
            natives: &'a [<Self as $crate::ComponentType>::Native],
            cx: $crate::LiftContext<'a>,
        ) -> $crate::List<'a, Self> {
            // SAFETY: the caller's promise.
            unsafe { $crate::List::new(natives, cx) }
        }
    };
}
pub(crate) use __own_view as own_view;

/// A type whose values can be written in native layout.
///
/// ```
/// use trampette_runtime::{ComponentType, Lower};
///
/// /// What the host gives to a guest.
/// #[derive(Clone, Copy, ComponentType, Lower)]
/// #[component(enum)]
/// enum Colour {
///     #[component(name = "red")]
///     Red,
///     #[component(name = "green")]
///     Green,
/// }
/// ```
///
/// # Safety
/// On success `destination` is a valid native value. What it points to lives as long as what the
/// context keeps, or as long as whatever `Self` borrows ([`Lower::lower`]) or `self` lives
/// unchanged ([`Lower::lower_ref`]).
pub unsafe trait Lower: ComponentType {
    /// Writes a value, giving what it owns to the context.
    ///
    /// # Errors
    /// If the value cannot be represented, or memory runs out.
    fn lower(
        self,
        cx: &mut LowerContext<'_>,
        destination: &mut MaybeUninit<Self::Native>,
    ) -> Result<()>
    where
        Self: Sized;

    /// Writes a value that the caller keeps.
    ///
    /// # Errors
    /// See [`Lower::lower`].
    fn lower_ref(
        &self,
        cx: &mut LowerContext<'_>,
        destination: &mut MaybeUninit<Self::Native>,
    ) -> Result<()>;
}

/// A tuple that is the parameters of a function.
///
/// ```
/// use trampette_runtime::Params;
///
/// // Tuples of up to some length.
/// assert_eq!(<(u32, String)>::describe_params(), "u32, string");
/// ```
///
/// # Safety
/// Its `Native` is the native layout of every parameter list that `check_params` accepts.
pub unsafe trait Params: ComponentType {
    /// Checks number and types.
    ///
    /// # Errors
    /// If they differ. The error names the parameter.
    fn check_params(params: &[Field], cx: &TypeContext<'_>) -> Result<()>;

    /// The types about as WIT spells them, separated by commas.
    fn describe_params() -> String;
}

/// The instance that the handles of a call are of, in its store.
#[derive(Clone, Copy)]
pub(crate) struct CallOrigin<'s> {
    pub id: InstanceId,
    pub store: &'s StoreInner,
    /// What a [`ResourceAny`](crate::ResourceAny) of a call with Rust types is, if it is one of the
    /// host's.
    pub host: Option<ResourceType>,
}

/// What values are lifted with.
#[derive(Clone, Copy)]
pub struct LiftContext<'a> {
    /// The instance that the value comes from, if handles of resources that it defines can occur.
    pub(crate) origin: Option<CallOrigin<'a>>,
    /// The store that the value comes from, if error contexts can occur.
    pub(crate) store: Option<&'a StoreInner>,
    /// The store that owned values are charged to.
    charged: Option<&'a StoreInner>,
}

impl<'a> LiftContext<'a> {
    pub(crate) fn new(origin: Option<CallOrigin<'a>>) -> Self {
        let store = origin.map(|origin| origin.store);
        LiftContext {
            origin,
            store,
            charged: None,
        }
    }

    /// The same, for an owned value that is charged to the store. Lifting cannot fail, so values
    /// are empty from where a limit is reached on, until [`LiftContext::end_charge`] says so.
    pub(crate) fn begin_charge(self) -> Self {
        if let Some(store) = self.store {
            store.ledger.begin_values();
        }
        LiftContext {
            charged: self.store,
            ..self
        }
    }

    /// The value is complete.
    ///
    /// # Errors
    /// If it is not, since a limit was reached or the time is over.
    pub(crate) fn end_charge(self) -> Result<()> {
        match self.charged {
            Some(store) if store.ledger.values_are_over() => store.check_values(),
            _ => Ok(()),
        }
    }

    /// Charges for a part of an owned value; false if it is not to be made.
    pub(crate) fn charge(self, bytes: usize) -> bool {
        match self.charged {
            Some(store) => store.charge_values(bytes as u64).is_ok(),
            None => true,
        }
    }

    /// Whether a limit was reached.
    #[inline]
    fn is_over(self) -> bool {
        let over = |store: &StoreInner| store.ledger.values_are_over();
        self.charged.is_some_and(over)
    }

    /// The context of an import's parameters.
    pub(crate) fn of_import(store: &'a StoreInner) -> Self {
        LiftContext {
            origin: None,
            store: Some(store),
            charged: None,
        }
    }
}

/// What values are lowered with.
pub struct LowerContext<'k> {
    /// Owns what native values point to.
    keep: Keep<'k>,
    /// The instance that the value goes to, if handles of resources that it defines can occur.
    pub(crate) origin: Option<CallOrigin<'k>>,
}

impl<'k> LowerContext<'k> {
    pub(crate) fn new(keep: Keep<'k>, origin: Option<CallOrigin<'k>>) -> Self {
        LowerContext { keep, origin }
    }

    /// The store that the value goes to.
    pub(crate) fn store(&self) -> Option<&'k StoreInner> {
        self.keep.store().or(self.origin.map(|origin| origin.store))
    }

    /// Owns what native values point to.
    pub(crate) fn keep(&mut self) -> &mut Keep<'k> {
        &mut self.keep
    }

    /// Takes over a vector whose elements are their own native form; nothing is copied.
    pub fn keep_vec<T: Copy + 'static>(&mut self, vec: Vec<T>) -> NativeSlice {
        self.keep.vec(vec)
    }

    /// Room for `len` values of `size` bytes each, zeroed, aligned to 8.
    ///
    /// # Errors
    /// If the size overflows.
    pub fn zeroed(&mut self, size: usize, len: usize) -> Result<NonNull<u8>> {
        self.keep.zeroed(size, len)
    }

    /// Lowers a list whose elements are not their own native form: `lower` writes one element.
    ///
    /// # Errors
    /// If the list is too large, or those of `lower`.
    pub fn lower_list<N: Copy, I>(
        &mut self,
        items: I,
        mut lower: impl FnMut(I::Item, &mut Self, &mut MaybeUninit<N>) -> Result<()>,
    ) -> Result<NativeSlice>
    where
        I: ExactSizeIterator,
    {
        const { assert!(align_of::<N>() <= 8) };
        let room = items.len();
        let ptr = self.zeroed(size_of::<N>(), room)?;
        let mut len = 0;
        for item in items.take(room) {
            // SAFETY: there is room for `room` elements, and `take` gives no more.
            let place = unsafe { ptr.cast::<MaybeUninit<N>>().add(len).as_mut() };
            lower(item, self, place).with_context(|| format!("list element {len}"))?;
            len += 1;
        }
        Ok(NativeSlice {
            ptr: ptr.as_ptr(),
            len,
        })
    }
}

/// What a resource type of a component is to the host.
///
/// ```
/// use std::any::TypeId;
/// use trampette_runtime::ResourceType;
///
/// struct File;
/// assert_ne!(ResourceType::Host(TypeId::of::<File>()), ResourceType::Unmatched);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ResourceType {
    /// Imported, and not (yet) matched with one that the host defines.
    Unmatched,
    /// Imported; the host registered it with this Rust type.
    Host(TypeId),
    /// Imported; the host registered it without a Rust type.
    HostDynamic,
    /// Imported; the host registered it with a number instead of a Rust type.
    HostNumbered(u64),
    /// Defined by the component.
    Guest(ResourceId),
}

/// What lives as long as the instances of a component with its imports matched.
pub(crate) struct InstanceOwner {
    /// What every resource type is to the host.
    pub resources: Arc<[ResourceType]>,
    /// Which elements of streams and futures have been found to be of which Rust types.
    pub fitting: Fitting,
    /// What the slots of imported functions point to.
    pub _functions: Box<dyn Any + Send + Sync>,
}

/// Rust types and those of a component that they were found to stand for. To compare them again for
/// each stream and future of an instance would cost more than all else about these.
#[derive(Default)]
pub(crate) struct Fitting(RwLock<HashSet<(TypeId, Option<Type>)>>);

impl Fitting {
    /// Does `check`, unless it has succeeded for these types before.
    ///
    /// # Errors
    /// Those of `check`.
    pub(crate) fn check<T: 'static>(
        &self,
        ty: Option<Type>,
        check: impl FnOnce() -> Result<()>,
    ) -> Result<()> {
        let pair = (TypeId::of::<T>(), ty);
        if self.0.read().is_ok_and(|found| found.contains(&pair)) {
            return Ok(());
        }
        check()?;
        if let Ok(mut found) = self.0.write() {
            found.insert(pair);
        }
        Ok(())
    }
}

/// What types are checked against.
#[derive(Clone, Copy)]
pub struct TypeContext<'a> {
    metadata: &'a Metadata,
    resources: &'a [ResourceType],
    any_handles: Option<&'a Cell<Option<AnyHandles>>>,
}

/// Whose the resources are that a function passes as [`ResourceAny`](crate::ResourceAny)s, which
/// their Rust type does not say.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum AnyHandles {
    /// The component's; the handles are indices, and what they are of is found in a table.
    Guest,
    /// The host's, of this type; the handles are representations.
    Host(ResourceType),
}

impl<'a> TypeContext<'a> {
    pub(crate) fn new(metadata: &'a Metadata, resources: &'a [ResourceType]) -> Self {
        TypeContext {
            metadata,
            resources,
            any_handles: None,
        }
    }

    /// The same context for a function that the component exports; `found` gets whose its resources
    /// of any type are.
    pub(crate) fn with_any_handles(self, found: &'a Cell<Option<AnyHandles>>) -> Self {
        TypeContext {
            any_handles: Some(found),
            ..self
        }
    }

    /// Checks that a handle of this type can be a [`ResourceAny`](crate::ResourceAny).
    pub(crate) fn check_any_handle(&self, ty: Type, id: ResourceId) -> Result<()> {
        let handles = match self.resource(id) {
            ResourceType::Guest(_) => AnyHandles::Guest,
            host => AnyHandles::Host(host),
        };
        match (self.any_handles, handles) {
            (None, AnyHandles::Guest) => Ok(()),
            (None, AnyHandles::Host(_)) => bail!(
                "expected `{}`, a resource that the host defines, found a resource of a component",
                self.display(ty)
            ),
            (Some(found), handles) => match found.replace(Some(handles)) {
                Some(others) if others != handles => bail!(
                    "expected `{}`, found a resource of any type; those of one function are either \
                     all the component's or all of one type of the host's",
                    self.display(ty)
                ),
                _ => Ok(()),
            },
        }
    }

    /// The component's types.
    pub fn types(&self) -> &'a TypeTable {
        &self.metadata.types
    }

    /// The definition of a type; `None` for those that have a name of their own in WIT.
    pub fn defined(&self, ty: Type) -> Option<&'a DefinedType> {
        match ty {
            Type::Defined(id) => self.metadata.types.get(id),
            _ => None,
        }
    }

    /// What a resource is.
    pub fn resource(&self, id: ResourceId) -> ResourceType {
        let matched = self.resources.get(id.index());
        matched.copied().unwrap_or(ResourceType::Unmatched)
    }

    /// The name of a resource, without those of its interfaces.
    pub fn resource_name(&self, id: ResourceId) -> std::borrow::Cow<'a, str> {
        self.metadata.resource_name(id)
    }

    /// The error for a type that is not the expected one.
    pub fn mismatch(&self, expected: Type, found: String) -> anyhow::Error {
        anyhow::anyhow!("expected `{}`, found `{found}`", self.display(expected))
    }

    /// A type as WIT spells it, resources by their names.
    pub fn display(&self, ty: Type) -> String {
        self.metadata.display(ty)
    }

    /// A function type as WIT spells it: `func(x: u32) -> own<output-stream>`.
    pub fn display_func(&self, ty: &FuncType) -> String {
        self.metadata.display_func(ty)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::values::resource::ResourceAny;
    use trampette_artifact::metadata::Resource;

    /// A component's resource and two of the host's, each owned: `f: func(a, b)`.
    #[test]
    fn resources_of_any_type_are_all_of_one_side() {
        let mut metadata = Metadata::default();
        let name = |name: &str| Resource::Imported {
            path: vec![name.to_string()],
        };
        metadata.resources = ["mine", "file", "dir"].map(name).to_vec().into();
        let own = |index| DefinedType::Own(ResourceId(index));
        let [mine, file, dir] = [0, 1, 2].map(|index| metadata.types.intern(own(index)).unwrap());
        let resources = [
            ResourceType::Guest(ResourceId(0)),
            ResourceType::Host(TypeId::of::<u8>()),
            ResourceType::Host(TypeId::of::<u16>()),
        ];
        let cx = TypeContext::new(&metadata, &resources);
        let check = |types: &[Type]| {
            let found = Cell::new(None);
            let cx = cx.with_any_handles(&found);
            let mut all = types.iter();
            let checked = all.try_for_each(|ty| ResourceAny::check(*ty, &cx));
            checked.map(|()| found.get()).map_err(|e| e.to_string())
        };
        assert_eq!(check(&[mine, mine]), Ok(Some(AnyHandles::Guest)));
        assert_eq!(
            check(&[file, file]),
            Ok(Some(AnyHandles::Host(resources[1])))
        );
        let refused = |ty| {
            Err(format!(
                "expected `own<{ty}>`, found a resource of any type; those of one function are \
                 either all the component's or all of one type of the host's"
            ))
        };
        assert_eq!(check(&[mine, file]), refused("file"));
        assert_eq!(check(&[file, dir]), refused("dir"));

        // What the host offers does not take what only the component defines.
        assert!(ResourceAny::check(mine, &cx).is_ok());
        assert_eq!(
            ResourceAny::check(file, &cx).unwrap_err().to_string(),
            "expected `own<file>`, a resource that the host defines, found a resource of a component"
        );
    }
}
