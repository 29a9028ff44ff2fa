//! [`flags!`](crate::flags): types for WIT's flags.

/// Defines a type for flags: a set with a constant for each label.
///
/// ```
/// trampette_runtime::flags! {
///     /// What may be done with a file.
///     pub struct Access {
///         /// It may be read.
///         const READ = "read";
///         /// It may be written.
///         const WRITE = "write";
///     }
/// }
///
/// let both = Access::READ | Access::WRITE;
/// assert!(both.contains(Access::READ));
/// assert_eq!(both - Access::WRITE, Access::READ);
/// assert_eq!(format!("{both:?}"), "Access(READ | WRITE)");
/// ```
#[macro_export]
macro_rules! flags {
    (@constants $index:expr;) => {};
    (@constants $index:expr; $(#[$meta:meta])* const $flag:ident = $label:literal; $($rest:tt)*) => {
        $(#[$meta])*
        pub const $flag: Self = Self { bits: 1 << ($index) };
        $crate::flags! { @constants $index + 1; $($rest)* }
    };
    (
        $(#[$meta:meta])*
        $visibility:vis struct $name:ident {
            $($(#[$flag_meta:meta])* const $flag:ident = $label:literal;)+
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        $visibility struct $name {
            bits: u32,
        }

        #[allow(dead_code, unreachable_pub)]
        impl $name {
            $crate::flags! { @constants 0; $($(#[$flag_meta])* const $flag = $label;)+ }

            const LABELS: &'static [&'static str] = &[$($label),+];

            /// No flag.
            pub const fn empty() -> Self {
                Self { bits: 0 }
            }

            /// Every flag.
            pub const fn all() -> Self {
                Self { bits: u32::MAX >> (32 - Self::LABELS.len()) }
            }

            /// The set as bits, the first flag lowest.
            pub const fn bits(self) -> u32 {
                self.bits
            }

            /// The set of these bits; those of no flag are ignored.
            pub const fn from_bits_truncate(bits: u32) -> Self {
                Self { bits: bits & Self::all().bits }
            }

            /// Whether no flag is set.
            pub const fn is_empty(self) -> bool {
                self.bits == 0
            }

            /// Whether all of these are set.
            pub const fn contains(self, other: Self) -> bool {
                self.bits & other.bits == other.bits
            }

            /// Whether any of these is set.
            pub const fn intersects(self, other: Self) -> bool {
                self.bits & other.bits != 0
            }

            /// Sets these.
            pub fn insert(&mut self, other: Self) {
                self.bits |= other.bits;
            }

            /// Clears these.
            pub fn remove(&mut self, other: Self) {
                self.bits &= !other.bits;
            }
        }

        impl ::std::fmt::Debug for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                let all = [$((stringify!($flag), Self::$flag)),+];
                let set = all.iter().filter(|(_, flag)| self.contains(*flag));
                let names: ::std::vec::Vec<_> = set.map(|(name, _)| *name).collect();
                ::std::write!(f, "{}({})", stringify!($name), names.join(" | "))
            }
        }

        impl ::std::ops::BitOr for $name {
            type Output = Self;
            fn bitor(self, other: Self) -> Self {
                Self { bits: self.bits | other.bits }
            }
        }

        impl ::std::ops::BitOrAssign for $name {
            fn bitor_assign(&mut self, other: Self) {
                self.bits |= other.bits;
            }
        }

        impl ::std::ops::BitAnd for $name {
            type Output = Self;
            fn bitand(self, other: Self) -> Self {
                Self { bits: self.bits & other.bits }
            }
        }

        impl ::std::ops::BitXor for $name {
            type Output = Self;
            fn bitxor(self, other: Self) -> Self {
                Self { bits: self.bits ^ other.bits }
            }
        }

        impl ::std::ops::Sub for $name {
            type Output = Self;
            fn sub(self, other: Self) -> Self {
                Self { bits: self.bits & !other.bits }
            }
        }

        impl ::std::ops::Not for $name {
            type Output = Self;
            fn not(self) -> Self {
                Self::from_bits_truncate(!self.bits)
            }
        }

        const _: () = {
            use $crate::__private as p;
            use p::Bits as _;

            type __Native = <p::Bytes<{ p::flags_bytes($name::LABELS.len()) }> as p::Integer>::Type;

            // SAFETY: flags are natively the smallest integer with a bit for each label.
            unsafe impl $crate::ComponentType for $name {
                type Native = __Native;

                fn check(ty: p::Type, cx: &$crate::TypeContext<'_>) -> p::Result<()> {
                    p::check_flags(ty, cx, Self::describe, Self::LABELS)
                }

                fn describe() -> p::String {
                    p::describe_flags(Self::LABELS)
                }
            }

            // SAFETY: only the integer is read.
            unsafe impl $crate::Lift for $name {
                $crate::__own_view!();

                unsafe fn lift(native: &__Native, _cx: $crate::LiftContext<'_>) -> $name {
                    $name::from_bits_truncate(native.to_u32())
                }
            }

            // SAFETY: the integer is written.
            unsafe impl $crate::Lower for $name {
                fn lower(
                    self,
                    cx: &mut $crate::LowerContext<'_>,
                    destination: &mut p::MaybeUninit<__Native>,
                ) -> p::Result<()> {
                    self.lower_ref(cx, destination)
                }

                fn lower_ref(
                    &self,
                    _cx: &mut $crate::LowerContext<'_>,
                    destination: &mut p::MaybeUninit<__Native>,
                ) -> p::Result<()> {
                    destination.write(__Native::from_u32(self.bits));
                    Ok(())
                }
            }
        };
    };
}
