//! Lists, options, results and tuples as component-level types.

use crate::native::{NativeOption, NativeResult, NativeSlice};
use crate::values::typed::{
    ComponentType, Lift, LiftContext, Lower, LowerContext, Params, TypeContext,
};
use anyhow::{Context, Result, bail, ensure};
use std::mem::MaybeUninit;
use trampette_artifact::types::{DefinedType, Field, Type};

/// The view of a list whose elements are not plain numbers: its elements are lifted as they are
/// asked for.
///
/// ```
/// # fn main() -> anyhow::Result<()> {
/// let mut linker = trampette_runtime::Linker::<usize>::new();
/// linker.root().func_wrap::<(Vec<String>,), (), _>("log-all", |mut caller, (lines,)| {
///     // `lines` is a `List`, and each of its elements a `&str` in the guest's memory.
///     *caller.data_mut() += lines.iter().map(str::len).sum::<usize>();
///     Ok(())
/// })?;
/// # Ok(()) }
/// ```
pub struct List<'a, T: Lift> {
    natives: &'a [T::Native],
    cx: LiftContext<'a>,
}

impl<T: Lift> Clone for List<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: Lift> Copy for List<'_, T> {}

impl<'a, T: Lift> List<'a, T> {
    /// A list of native values.
    ///
    /// # Safety
    /// See [`Lift::view`], for each element.
    pub unsafe fn new(natives: &'a [T::Native], cx: LiftContext<'a>) -> Self {
        List { natives, cx }
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        self.natives.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.natives.is_empty()
    }

    /// One element.
    pub fn get(&self, index: usize) -> Option<T::View<'a>> {
        let native = self.natives.get(index)?;
        // SAFETY: promised to `new`.
        Some(unsafe { T::view(native, self.cx) })
    }

    /// The elements in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = T::View<'a>> + use<'a, T> {
        let cx = self.cx;
        self.natives.iter().map(move |native| {
            // SAFETY: promised to `new`.
            unsafe { T::view(native, cx) }
        })
    }

    /// The elements, owned.
    pub fn to_vec(&self) -> Vec<T> {
        // SAFETY: promised to `new`.
        unsafe { T::lift_list(self.natives, self.cx) }
    }
}

impl<'a, T: Lift> std::fmt::Debug for List<'a, T>
where
    T::View<'a>: std::fmt::Debug,
{
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

fn check_list<T: ComponentType>(ty: Type, cx: &TypeContext<'_>) -> Result<()> {
    match cx.defined(ty) {
        Some(DefinedType::List(element)) => T::check(*element, cx).context("list element"),
        _ => Err(cx.mismatch(ty, describe_list::<T>())),
    }
}

fn describe_list<T: ComponentType>() -> String {
    format!("list<{}>", T::describe())
}

// SAFETY: a list is natively a slice of native elements.
unsafe impl<T: ComponentType> ComponentType for Vec<T> {
    type Native = NativeSlice;

    fn check(ty: Type, cx: &TypeContext<'_>) -> Result<()> {
        check_list::<T>(ty, cx)
    }

    fn describe() -> String {
        describe_list::<T>()
    }
}

// SAFETY: only the elements are read, and views of them are of the view's lifetime.
unsafe impl<T: Lift> Lift for Vec<T> {
    type View<'a> = T::ListView<'a>;
    type ListView<'a> = List<'a, Vec<T>>;

    #[inline]
    unsafe fn view<'a>(native: &'a NativeSlice, cx: LiftContext<'a>) -> T::ListView<'a> {
        // SAFETY: the caller's promise.
        unsafe { T::view_list(native.as_slice(), cx) }
    }

    unsafe fn lift(native: &NativeSlice, cx: LiftContext<'_>) -> Vec<T> {
        // SAFETY: the caller's promise.
        unsafe { T::lift_list(native.as_slice(), cx) }
    }

    unsafe fn view_list<'a>(natives: &'a [NativeSlice], cx: LiftContext<'a>) -> Self::ListView<'a> {
        // SAFETY: the caller's promise.
        unsafe { List::new(natives, cx) }
    }
}

// SAFETY: what is its own native form is kept or borrowed; all else is built in kept memory.
unsafe impl<T: Lower + 'static> Lower for Vec<T> {
    fn lower(
        self,
        cx: &mut LowerContext<'_>,
        destination: &mut MaybeUninit<NativeSlice>,
    ) -> Result<()> {
        let slice = if T::BITWISE {
            let mut vec = std::mem::ManuallyDrop::new(self);
            // SAFETY: `BITWISE` promises the same size, alignment and bytes.
            cx.keep_vec(unsafe {
                Vec::from_raw_parts(
                    vec.as_mut_ptr().cast::<T::Native>(),
                    vec.len(),
                    vec.capacity(),
                )
            })
        } else {
            cx.lower_list(self.into_iter(), T::lower)?
        };
        destination.write(slice);
        Ok(())
    }

    fn lower_ref(
        &self,
        cx: &mut LowerContext<'_>,
        destination: &mut MaybeUninit<NativeSlice>,
    ) -> Result<()> {
        self.as_slice().lower(cx, destination)
    }
}

// SAFETY: see `Vec`.
unsafe impl<T: ComponentType> ComponentType for &[T] {
    type Native = NativeSlice;

    fn check(ty: Type, cx: &TypeContext<'_>) -> Result<()> {
        check_list::<T>(ty, cx)
    }

    fn describe() -> String {
        describe_list::<T>()
    }
}

// SAFETY: see `Vec`.
unsafe impl<T: Lower> Lower for &[T] {
    fn lower(
        self,
        cx: &mut LowerContext<'_>,
        destination: &mut MaybeUninit<NativeSlice>,
    ) -> Result<()> {
        destination.write(if T::BITWISE {
            NativeSlice::of(self)
        } else {
            cx.lower_list(self.iter(), T::lower_ref)?
        });
        Ok(())
    }

    fn lower_ref(
        &self,
        cx: &mut LowerContext<'_>,
        destination: &mut MaybeUninit<NativeSlice>,
    ) -> Result<()> {
        (*self).lower(cx, destination)
    }
}

// SAFETY: the native form is the referent's.
unsafe impl<T: ComponentType> ComponentType for &T {
    type Native = T::Native;

    fn check(ty: Type, cx: &TypeContext<'_>) -> Result<()> {
        T::check(ty, cx)
    }

    fn check_optional(ty: Option<Type>, cx: &TypeContext<'_>) -> Result<()> {
        T::check_optional(ty, cx)
    }

    fn describe() -> String {
        T::describe()
    }
}

// SAFETY: whatever points into the referent lives as long as what `Self` borrows.
unsafe impl<T: Lower> Lower for &T {
    fn lower(
        self,
        cx: &mut LowerContext<'_>,
        destination: &mut MaybeUninit<T::Native>,
    ) -> Result<()> {
        T::lower_ref(self, cx, destination)
    }

    fn lower_ref(
        &self,
        cx: &mut LowerContext<'_>,
        destination: &mut MaybeUninit<T::Native>,
    ) -> Result<()> {
        T::lower_ref(self, cx, destination)
    }
}

// SAFETY: a list of fixed length is natively an array.
unsafe impl<T: ComponentType, const N: usize> ComponentType for [T; N] {
    type Native = [T::Native; N];
    const BITWISE: bool = T::BITWISE;

    fn check(ty: Type, cx: &TypeContext<'_>) -> Result<()> {
        match cx.defined(ty) {
            Some(DefinedType::FixedLengthList(element, length)) if *length as usize == N => {
                T::check(*element, cx).context("list element")
            }
            _ => Err(cx.mismatch(ty, Self::describe())),
        }
    }

    fn describe() -> String {
        format!("list<{}, {N}>", T::describe())
    }
}

// SAFETY: only the elements are read, and views of them are of the view's lifetime.
unsafe impl<T: Lift, const N: usize> Lift for [T; N] {
    type View<'a> = [T::View<'a>; N];
    type ListView<'a> = List<'a, [T; N]>;

    unsafe fn view<'a>(native: &'a [T::Native; N], cx: LiftContext<'a>) -> Self::View<'a> {
        // SAFETY: the caller's promise.
        std::array::from_fn(|i| unsafe { T::view(&native[i], cx) })
    }

    unsafe fn lift(native: &[T::Native; N], cx: LiftContext<'_>) -> [T; N] {
        // SAFETY: the caller's promise.
        std::array::from_fn(|i| unsafe { T::lift(&native[i], cx) })
    }

    unsafe fn view_list<'a>(
        natives: &'a [[T::Native; N]],
        cx: LiftContext<'a>,
    ) -> Self::ListView<'a> {
        // SAFETY: the caller's promise.
        unsafe { List::new(natives, cx) }
    }
}

/// The places of an array's elements.
fn places<E: Copy, const N: usize>(
    destination: &mut MaybeUninit<[E; N]>,
) -> &mut [MaybeUninit<E>; N] {
    // SAFETY: an array of places has the layout of a place of an array, and both may be
    // uninitialised.
    unsafe { &mut *destination.as_mut_ptr().cast() }
}

// SAFETY: every element is written.
unsafe impl<T: Lower, const N: usize> Lower for [T; N] {
    fn lower(
        self,
        cx: &mut LowerContext<'_>,
        destination: &mut MaybeUninit<[T::Native; N]>,
    ) -> Result<()> {
        for (element, place) in self.into_iter().zip(places(destination)) {
            element.lower(cx, place).context("list element")?;
        }
        Ok(())
    }

    fn lower_ref(
        &self,
        cx: &mut LowerContext<'_>,
        destination: &mut MaybeUninit<[T::Native; N]>,
    ) -> Result<()> {
        for (element, place) in self.iter().zip(places(destination)) {
            element.lower_ref(cx, place).context("list element")?;
        }
        Ok(())
    }
}

// SAFETY: tag and payload, as `repr(C)` lays them out.
unsafe impl<T: ComponentType> ComponentType for Option<T> {
    type Native = NativeOption<T::Native>;

    fn check(ty: Type, cx: &TypeContext<'_>) -> Result<()> {
        match cx.defined(ty) {
            Some(DefinedType::Option(some)) => T::check(*some, cx).context("option payload"),
            _ => Err(cx.mismatch(ty, Self::describe())),
        }
    }

    fn describe() -> String {
        format!("option<{}>", T::describe())
    }
}

// SAFETY: the payload is read only if the tag says that it is there.
unsafe impl<T: Lift> Lift for Option<T> {
    type View<'a> = Option<T::View<'a>>;
    type ListView<'a> = List<'a, Option<T>>;

    #[inline]
    unsafe fn view<'a>(native: &'a Self::Native, cx: LiftContext<'a>) -> Option<T::View<'a>> {
        // SAFETY: the caller's promise.
        (native.tag != 0).then(|| unsafe { T::view(native.value.assume_init_ref(), cx) })
    }

    unsafe fn lift(native: &Self::Native, cx: LiftContext<'_>) -> Option<T> {
        // SAFETY: the caller's promise.
        (native.tag != 0).then(|| unsafe { T::lift(native.value.assume_init_ref(), cx) })
    }

    unsafe fn view_list<'a>(
        natives: &'a [Self::Native],
        cx: LiftContext<'a>,
    ) -> Self::ListView<'a> {
        // SAFETY: the caller's promise.
        unsafe { List::new(natives, cx) }
    }
}

/// Writes the parts of a native struct or union through its address: `place!(destination.field)` is
/// `&mut MaybeUninit<_>` of the field, whatever the rest holds.
macro_rules! place {
    ($destination:ident $(. $field:tt)+) => {
        // SAFETY: in bounds of the destination, and a place may be uninitialised.
        unsafe { &mut *(&raw mut (*$destination.as_mut_ptr())$(.$field)+).cast() }
    };
}

// SAFETY: the tag, and the payload that it announces, are written.
unsafe impl<T: Lower> Lower for Option<T> {
    fn lower(
        self,
        cx: &mut LowerContext<'_>,
        destination: &mut MaybeUninit<Self::Native>,
    ) -> Result<()> {
        let tag: &mut MaybeUninit<u8> = place!(destination.tag);
        tag.write(u8::from(self.is_some()));
        match self {
            Some(value) => {
                let place = place!(destination.value);
                value.lower(cx, place).context("option payload")
            }
            None => Ok(()),
        }
    }

    fn lower_ref(
        &self,
        cx: &mut LowerContext<'_>,
        destination: &mut MaybeUninit<Self::Native>,
    ) -> Result<()> {
        self.as_ref().lower(cx, destination)
    }
}

// SAFETY: tag and payloads, as `repr(C)` lays them out.
unsafe impl<T: ComponentType, E: ComponentType> ComponentType for Result<T, E> {
    type Native = NativeResult<T::Native, E::Native>;

    fn check(ty: Type, cx: &TypeContext<'_>) -> Result<()> {
        match cx.defined(ty) {
            Some(DefinedType::Result { ok, err }) => {
                T::check_optional(*ok, cx).context("result ok payload")?;
                E::check_optional(*err, cx).context("result error payload")
            }
            _ => Err(cx.mismatch(ty, Self::describe())),
        }
    }

    fn describe() -> String {
        format!("result<{}, {}>", T::describe(), E::describe())
    }
}

// SAFETY: the payload is read that the tag says is there.
unsafe impl<T: Lift, E: Lift> Lift for Result<T, E> {
    type View<'a> = Result<T::View<'a>, E::View<'a>>;
    type ListView<'a> = List<'a, Result<T, E>>;

    #[inline]
    unsafe fn view<'a>(native: &'a Self::Native, cx: LiftContext<'a>) -> Self::View<'a> {
        // SAFETY: the caller's promise.
        unsafe {
            match native.tag {
                0 => Ok(T::view(native.payload.ok.assume_init_ref(), cx)),
                _ => Err(E::view(native.payload.err.assume_init_ref(), cx)),
            }
        }
    }

    unsafe fn lift(native: &Self::Native, cx: LiftContext<'_>) -> Result<T, E> {
        // SAFETY: the caller's promise.
        unsafe {
            match native.tag {
                0 => Ok(T::lift(native.payload.ok.assume_init_ref(), cx)),
                _ => Err(E::lift(native.payload.err.assume_init_ref(), cx)),
            }
        }
    }

    unsafe fn view_list<'a>(
        natives: &'a [Self::Native],
        cx: LiftContext<'a>,
    ) -> Self::ListView<'a> {
        // SAFETY: the caller's promise.
        unsafe { List::new(natives, cx) }
    }
}

// SAFETY: the tag, and the payload that it announces, are written.
unsafe impl<T: Lower, E: Lower> Lower for Result<T, E> {
    fn lower(
        self,
        cx: &mut LowerContext<'_>,
        destination: &mut MaybeUninit<Self::Native>,
    ) -> Result<()> {
        let tag: &mut MaybeUninit<u8> = place!(destination.tag);
        tag.write(u8::from(self.is_err()));
        match self {
            Ok(value) => {
                let place = place!(destination.payload.ok);
                value.lower(cx, place).context("result ok payload")
            }
            Err(error) => {
                let place = place!(destination.payload.err);
                error.lower(cx, place).context("result error payload")
            }
        }
    }

    fn lower_ref(
        &self,
        cx: &mut LowerContext<'_>,
        destination: &mut MaybeUninit<Self::Native>,
    ) -> Result<()> {
        self.as_ref().lower(cx, destination)
    }
}

// SAFETY: `()` stands for an absent payload, which has no bytes.
unsafe impl ComponentType for () {
    type Native = ();
    const BITWISE: bool = true;

    fn check(ty: Type, cx: &TypeContext<'_>) -> Result<()> {
        Err(cx.mismatch(ty, "nothing".to_string()))
    }

    fn check_optional(ty: Option<Type>, cx: &TypeContext<'_>) -> Result<()> {
        ty.map_or(Ok(()), |ty| Self::check(ty, cx))
    }

    fn describe() -> String {
        "_".to_string()
    }
}

// SAFETY: there is nothing to read.
unsafe impl Lift for () {
    type View<'a> = ();
    type ListView<'a> = &'a [()];

    unsafe fn view<'a>(_native: &'a (), _cx: LiftContext<'a>) {}

    unsafe fn lift(_native: &(), _cx: LiftContext<'_>) {}

    unsafe fn view_list<'a>(natives: &'a [()], _cx: LiftContext<'a>) -> &'a [()] {
        natives
    }
}

// SAFETY: there is nothing to write.
unsafe impl Lower for () {
    fn lower(self, _cx: &mut LowerContext<'_>, _destination: &mut MaybeUninit<()>) -> Result<()> {
        Ok(())
    }

    fn lower_ref(
        &self,
        _cx: &mut LowerContext<'_>,
        _destination: &mut MaybeUninit<()>,
    ) -> Result<()> {
        Ok(())
    }
}

// SAFETY: no parameters have no bytes.
unsafe impl Params for () {
    fn check_params(params: &[Field], _cx: &TypeContext<'_>) -> Result<()> {
        ensure!(
            params.is_empty(),
            "expected {} parameters, found none",
            params.len()
        );
        Ok(())
    }

    fn describe_params() -> String {
        String::new()
    }
}

/// Where in a tuple an error is. Of the tuple of a function's parameters, it is in a parameter.
#[derive(Debug)]
pub(crate) struct TupleField(pub usize);

impl std::fmt::Display for TupleField {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "tuple field {}", self.0)
    }
}

macro_rules! tuples {
    ($($native:ident($($ty:ident $index:tt),+);)*) => {$(
        #[doc(hidden)]
        #[repr(C)]
        #[derive(Clone, Copy)]
        pub struct $native<$($ty: Copy),+>($($ty),+);

        // SAFETY: a tuple is natively a struct of its fields.
        unsafe impl<$($ty: ComponentType),+> ComponentType for ($($ty,)+) {
            type Native = $native<$($ty::Native),+>;

            fn check(ty: Type, cx: &TypeContext<'_>) -> Result<()> {
                const LENGTH: usize = [$($index),+].len();
                let Some(DefinedType::Tuple(types)) = cx.defined(ty) else {
                    return Err(cx.mismatch(ty, Self::describe()));
                };
                if types.len() != LENGTH {
                    return Err(cx.mismatch(ty, Self::describe()));
                }
                $($ty::check(types[$index], cx).context(concat!("tuple field ", $index))?;)+
                Ok(())
            }

            fn describe() -> String {
                format!("tuple<{}>", Self::describe_params())
            }
        }

        // SAFETY: only the fields are read.
        unsafe impl<$($ty: Lift),+> Lift for ($($ty,)+) {
            type View<'a> = ($($ty::View<'a>,)+);
            type ListView<'a> = List<'a, Self>;

            #[inline]
            unsafe fn view<'a>(native: &'a Self::Native, cx: LiftContext<'a>) -> Self::View<'a> {
                // SAFETY: the caller's promise.
                unsafe { ($($ty::view(&native.$index, cx),)+) }
            }

            unsafe fn lift(native: &Self::Native, cx: LiftContext<'_>) -> Self {
                // SAFETY: the caller's promise.
                unsafe { ($($ty::lift(&native.$index, cx),)+) }
            }

            unsafe fn view_list<'a>(
                natives: &'a [Self::Native],
                cx: LiftContext<'a>,
            ) -> Self::ListView<'a> {
                // SAFETY: the caller's promise.
                unsafe { List::new(natives, cx) }
            }
        }

        // SAFETY: every field is written.
        unsafe impl<$($ty: Lower),+> Lower for ($($ty,)+) {
            #[inline]
            fn lower(
                self,
                cx: &mut LowerContext<'_>,
                destination: &mut MaybeUninit<Self::Native>,
            ) -> Result<()> {
                $(self.$index
                    .lower(cx, place!(destination.$index))
                    .map_err(|error| error.context(TupleField($index)))?;)+
                Ok(())
            }

            #[inline]
            fn lower_ref(
                &self,
                cx: &mut LowerContext<'_>,
                destination: &mut MaybeUninit<Self::Native>,
            ) -> Result<()> {
                $(self.$index
                    .lower_ref(cx, place!(destination.$index))
                    .map_err(|error| error.context(TupleField($index)))?;)+
                Ok(())
            }
        }

        // SAFETY: parameters are natively a struct, in order.
        unsafe impl<$($ty: ComponentType),+> Params for ($($ty,)+) {
            fn check_params(params: &[Field], cx: &TypeContext<'_>) -> Result<()> {
                const LENGTH: usize = [$($index),+].len();
                if params.len() != LENGTH {
                    bail!("expected {} parameters, found {LENGTH}", params.len());
                }
                $($ty::check(params[$index].ty, cx)
                    .with_context(|| format!("parameter `{}`", params[$index].name))?;)+
                Ok(())
            }

            fn describe_params() -> String {
                [$($ty::describe()),+].join(", ")
            }
        }
    )*};
}

tuples! {
    NativeTuple1(A 0);
    NativeTuple2(A 0, B 1);
    NativeTuple3(A 0, B 1, C 2);
    NativeTuple4(A 0, B 1, C 2, D 3);
    NativeTuple5(A 0, B 1, C 2, D 3, E 4);
    NativeTuple6(A 0, B 1, C 2, D 3, E 4, F 5);
    NativeTuple7(A 0, B 1, C 2, D 3, E 4, F 5, G 6);
    NativeTuple8(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7);
    NativeTuple9(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8);
    NativeTuple10(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9);
    NativeTuple11(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10);
    NativeTuple12(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10, L 11);
    NativeTuple13(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10, L 11, M 12);
    NativeTuple14(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10, L 11, M 12, N 13);
    NativeTuple15(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10, L 11, M 12, N 13, O 14);
    NativeTuple16(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10, L 11, M 12, N 13, O 14, P 15);
    NativeTuple17(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10, L 11, M 12, N 13, O 14, P 15, Q 16);
    NativeTuple18(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10, L 11, M 12, N 13, O 14, P 15, Q 16, R 17);
    NativeTuple19(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10, L 11, M 12, N 13, O 14, P 15, Q 16, R 17, S 18);
    NativeTuple20(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10, L 11, M 12, N 13, O 14, P 15, Q 16, R 17, S 18, T 19);
    NativeTuple21(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10, L 11, M 12, N 13, O 14, P 15, Q 16, R 17, S 18, T 19, U 20);
    NativeTuple22(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10, L 11, M 12, N 13, O 14, P 15, Q 16, R 17, S 18, T 19, U 20, V 21);
    NativeTuple23(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10, L 11, M 12, N 13, O 14, P 15, Q 16, R 17, S 18, T 19, U 20, V 21, W 22);
    NativeTuple24(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10, L 11, M 12, N 13, O 14, P 15, Q 16, R 17, S 18, T 19, U 20, V 21, W 22, X 23);
    NativeTuple25(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10, L 11, M 12, N 13, O 14, P 15, Q 16, R 17, S 18, T 19, U 20, V 21, W 22, X 23, Y 24);
    NativeTuple26(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10, L 11, M 12, N 13, O 14, P 15, Q 16, R 17, S 18, T 19, U 20, V 21, W 22, X 23, Y 24, Z 25);
    NativeTuple27(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10, L 11, M 12, N 13, O 14, P 15, Q 16, R 17, S 18, T 19, U 20, V 21, W 22, X 23, Y 24, Z 25, AA 26);
    NativeTuple28(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10, L 11, M 12, N 13, O 14, P 15, Q 16, R 17, S 18, T 19, U 20, V 21, W 22, X 23, Y 24, Z 25, AA 26, AB 27);
    NativeTuple29(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10, L 11, M 12, N 13, O 14, P 15, Q 16, R 17, S 18, T 19, U 20, V 21, W 22, X 23, Y 24, Z 25, AA 26, AB 27, AC 28);
    NativeTuple30(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10, L 11, M 12, N 13, O 14, P 15, Q 16, R 17, S 18, T 19, U 20, V 21, W 22, X 23, Y 24, Z 25, AA 26, AB 27, AC 28, AD 29);
    NativeTuple31(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10, L 11, M 12, N 13, O 14, P 15, Q 16, R 17, S 18, T 19, U 20, V 21, W 22, X 23, Y 24, Z 25, AA 26, AB 27, AC 28, AD 29, AE 30);
    NativeTuple32(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10, L 11, M 12, N 13, O 14, P 15, Q 16, R 17, S 18, T 19, U 20, V 21, W 22, X 23, Y 24, Z 25, AA 26, AB 27, AC 28, AD 29, AE 30, AF 31);
}
