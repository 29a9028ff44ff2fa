//! [`guest_resource!`](crate::guest_resource): types for handles of resources that components
//! define.

/// Defines a type for handles of a resource that a component defines: a [`ResourceAny`] of which
/// the resource's name is checked.
///
/// [`ResourceAny`]: crate::ResourceAny
///
/// ```
/// trampette_runtime::guest_resource! {
///     /// A counter.
///     pub struct Counter = "counter";
/// }
///
/// type Get = trampette_runtime::TypedFunc<(Counter,), i64>;
/// ```
#[macro_export]
macro_rules! guest_resource {
    ($(#[$meta:meta])* $visibility:vis struct $name:ident = $label:literal;) => {
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        $visibility struct $name($crate::ResourceAny);

        #[allow(dead_code)]
        impl $name {
            /// The handle as one of any resource; its resource is not checked.
            pub fn from_any(handle: $crate::ResourceAny) -> Self {
                Self(handle)
            }

            /// The handle as one of any resource.
            pub fn into_any(self) -> $crate::ResourceAny {
                self.0
            }

            /// Whether the host owns the resource.
            pub fn owned(&self, store: impl $crate::AsContext) -> bool {
                self.0.owned(store)
            }

            /// Gives the handle up and, if the host owned the resource, runs its destructor.
            ///
            /// # Errors
            /// If the handle is gone already, or the destructor traps.
            pub fn resource_drop(
                self,
                store: impl $crate::AsContextMut,
            ) -> $crate::__private::Result<()> {
                self.0.resource_drop(store)
            }
        }

        const _: () = {
            use $crate::__private as p;
            use $crate::{ComponentType as __ComponentType, Lift as __Lift, Lower as __Lower};

            // SAFETY: as for the handle inside, of fewer types.
            unsafe impl __ComponentType for $name {
                type Native = u32;

                fn check(ty: p::Type, cx: &$crate::TypeContext<'_>) -> p::Result<()> {
                    p::check_guest_resource(ty, cx, $label)
                }

                fn describe() -> p::String {
                    p::String::from($label)
                }
            }

            // SAFETY: as for the handle inside.
            unsafe impl __Lift for $name {
                $crate::__own_view!();

                unsafe fn lift(native: &u32, cx: $crate::LiftContext<'_>) -> $name {
                    // SAFETY: the caller's promise.
                    $name(unsafe { <$crate::ResourceAny as __Lift>::lift(native, cx) })
                }
            }

            // SAFETY: as for the handle inside.
            unsafe impl __Lower for $name {
                fn lower(
                    self,
                    cx: &mut $crate::LowerContext<'_>,
                    destination: &mut p::MaybeUninit<u32>,
                ) -> p::Result<()> {
                    self.0.lower_ref(cx, destination)
                }

                fn lower_ref(
                    &self,
                    cx: &mut $crate::LowerContext<'_>,
                    destination: &mut p::MaybeUninit<u32>,
                ) -> p::Result<()> {
                    self.0.lower_ref(cx, destination)
                }
            }
        };
    };
}
