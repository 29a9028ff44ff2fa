//! Numbers, `bool`, `char` and strings as component-level types.

use crate::native::NativeSlice;
use crate::values::typed::{ComponentType, Lift, LiftContext, Lower, LowerContext, TypeContext};
use anyhow::Result;
use std::mem::MaybeUninit;
use trampette_artifact::types::Type;

macro_rules! scalars {
    ($($rust:ty, $native:ty, $wit:ident, $name:literal, |$value:ident| $lift:expr, |$given:ident| $lower:expr;)*) => {$(
        // SAFETY: the native form is the table's of `artifact::native`, without padding; and
        // whatever Rust's type holds is a valid native value of the same bytes.
        unsafe impl ComponentType for $rust {
            type Native = $native;
            const BITWISE: bool = true;

            fn check(ty: Type, cx: &TypeContext<'_>) -> Result<()> {
                match ty {
                    Type::$wit => Ok(()),
                    other => Err(cx.mismatch(other, Self::describe())),
                }
            }

            fn describe() -> String {
                $name.to_string()
            }
        }

        // SAFETY: only the value itself is read; a slice is viewed in place for its own lifetime,
        // and compiled code has validated the elements.
        unsafe impl Lift for $rust {
            type View<'a> = $rust;
            type ListView<'a> = &'a [$rust];

            #[inline]
            unsafe fn view<'a>(native: &'a $native, cx: LiftContext<'a>) -> $rust {
                // SAFETY: the caller's promise.
                unsafe { Self::lift(native, cx) }
            }

            #[inline]
            unsafe fn lift(native: &$native, _cx: LiftContext<'_>) -> $rust {
                let $value = *native;
                $lift
            }

            #[inline]
            unsafe fn view_list<'a>(natives: &'a [$native], _cx: LiftContext<'a>) -> &'a [$rust] {
                // SAFETY: same size, alignment and bytes, and valid as the caller promises.
                unsafe { std::slice::from_raw_parts(natives.as_ptr().cast(), natives.len()) }
            }

            unsafe fn lift_list(natives: &[$native], cx: LiftContext<'_>) -> Vec<$rust> {
                if !cx.charge(size_of_val(natives)) {
                    return Vec::new();
                }
                // SAFETY: the caller's promise.
                unsafe { Self::view_list(natives, cx) }.to_vec()
            }
        }

        // SAFETY: the whole value is written, and it points to nothing.
        unsafe impl Lower for $rust {
            #[inline]
            fn lower(self, _cx: &mut LowerContext<'_>, destination: &mut MaybeUninit<$native>) -> Result<()> {
                let $given = self;
                destination.write($lower);
                Ok(())
            }

            #[inline]
            fn lower_ref(&self, cx: &mut LowerContext<'_>, destination: &mut MaybeUninit<$native>) -> Result<()> {
                (*self).lower(cx, destination)
            }
        }
    )*};
}

scalars! {
    i8, i8, S8, "s8", |v| v, |v| v;
    u8, u8, U8, "u8", |v| v, |v| v;
    i16, i16, S16, "s16", |v| v, |v| v;
    u16, u16, U16, "u16", |v| v, |v| v;
    i32, i32, S32, "s32", |v| v, |v| v;
    u32, u32, U32, "u32", |v| v, |v| v;
    i64, i64, S64, "s64", |v| v, |v| v;
    u64, u64, U64, "u64", |v| v, |v| v;
    f32, f32, F32, "f32", |v| v, |v| v;
    f64, f64, F64, "f64", |v| v, |v| v;
    bool, u8, Bool, "bool", |v| v != 0, |v| u8::from(v);
    char, u32, Char, "char", |v| char::from_u32(v).unwrap_or(char::REPLACEMENT_CHARACTER), |v| u32::from(v);
}

fn check_string(ty: Type, cx: &TypeContext<'_>) -> Result<()> {
    match ty {
        Type::String => Ok(()),
        other => Err(cx.mismatch(other, "string".to_string())),
    }
}

// SAFETY: a string is natively a slice of UTF-8 bytes.
unsafe impl ComponentType for String {
    type Native = NativeSlice;

    fn check(ty: Type, cx: &TypeContext<'_>) -> Result<()> {
        check_string(ty, cx)
    }

    fn describe() -> String {
        "string".to_string()
    }
}

// SAFETY: the bytes are borrowed for the view's lifetime, and valid UTF-8 as compiled code checked.
unsafe impl Lift for String {
    type View<'a> = &'a str;
    type ListView<'a> = crate::values::containers::List<'a, String>;

    #[inline]
    unsafe fn view<'a>(native: &'a NativeSlice, _cx: LiftContext<'a>) -> &'a str {
        // SAFETY: the caller's promise.
        unsafe { std::str::from_utf8_unchecked(native.as_slice()) }
    }

    unsafe fn lift(native: &NativeSlice, cx: LiftContext<'_>) -> String {
        // SAFETY: the caller's promise; the copy is made before this returns.
        let text = unsafe { Self::view(native, cx) };
        match cx.charge(text.len()) {
            true => text.to_string(),
            false => String::new(),
        }
    }

    unsafe fn view_list<'a>(natives: &'a [NativeSlice], cx: LiftContext<'a>) -> Self::ListView<'a> {
        // SAFETY: the caller's promise.
        unsafe { crate::values::containers::List::new(natives, cx) }
    }
}

// SAFETY: the bytes are kept by the context, or borrowed from `self`.
unsafe impl Lower for String {
    fn lower(
        self,
        cx: &mut LowerContext<'_>,
        destination: &mut MaybeUninit<NativeSlice>,
    ) -> Result<()> {
        destination.write(cx.keep_vec(self.into_bytes()));
        Ok(())
    }

    fn lower_ref(
        &self,
        cx: &mut LowerContext<'_>,
        destination: &mut MaybeUninit<NativeSlice>,
    ) -> Result<()> {
        self.as_str().lower(cx, destination)
    }
}

// SAFETY: see `String`.
unsafe impl ComponentType for &str {
    type Native = NativeSlice;

    fn check(ty: Type, cx: &TypeContext<'_>) -> Result<()> {
        check_string(ty, cx)
    }

    fn describe() -> String {
        "string".to_string()
    }
}

// SAFETY: the bytes are borrowed as `Self` borrows them.
unsafe impl Lower for &str {
    fn lower(
        self,
        cx: &mut LowerContext<'_>,
        destination: &mut MaybeUninit<NativeSlice>,
    ) -> Result<()> {
        self.lower_ref(cx, destination)
    }

    fn lower_ref(
        &self,
        _cx: &mut LowerContext<'_>,
        destination: &mut MaybeUninit<NativeSlice>,
    ) -> Result<()> {
        destination.write(NativeSlice::of(self.as_bytes()));
        Ok(())
    }
}
