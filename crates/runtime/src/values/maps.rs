//! Maps as component-level types. On the wire a map is a list of pairs; a pair with the key of an
//! earlier one replaces it when the map is lifted.

use crate::native::NativeSlice;
use crate::values::containers::{List, NativeTuple2};
use crate::values::typed::{ComponentType, Lift, LiftContext, Lower, LowerContext, TypeContext};
use anyhow::{Context, Result};
use std::collections::BTreeMap;
use std::mem::MaybeUninit;
use trampette_artifact::types::{DefinedType, Type};

type Pair<K, V> = NativeTuple2<<K as ComponentType>::Native, <V as ComponentType>::Native>;

// SAFETY: a map is natively a slice of native pairs.
unsafe impl<K: ComponentType, V: ComponentType> ComponentType for BTreeMap<K, V> {
    type Native = NativeSlice;

    fn check(ty: Type, cx: &TypeContext<'_>) -> Result<()> {
        match cx.defined(ty) {
            Some(DefinedType::Map(key, value)) => {
                K::check(*key, cx).context("map key")?;
                V::check(*value, cx).context("map value")
            }
            _ => Err(cx.mismatch(ty, Self::describe())),
        }
    }

    fn describe() -> String {
        format!("map<{}, {}>", K::describe(), V::describe())
    }
}

// SAFETY: only the pairs are read, and views of them are of the view's lifetime.
unsafe impl<K: Lift + Ord, V: Lift> Lift for BTreeMap<K, V> {
    type View<'a> = List<'a, (K, V)>;
    type ListView<'a> = List<'a, BTreeMap<K, V>>;

    unsafe fn view<'a>(native: &'a NativeSlice, cx: LiftContext<'a>) -> Self::View<'a> {
        // SAFETY: the caller's promise.
        unsafe { List::new(native.as_slice::<Pair<K, V>>(), cx) }
    }

    unsafe fn lift(native: &NativeSlice, cx: LiftContext<'_>) -> BTreeMap<K, V> {
        // SAFETY: the caller's promise.
        let pairs = unsafe { native.as_slice::<Pair<K, V>>() };
        // Its nodes are half empty at worst.
        if !cx.charge(2 * pairs.len() * size_of::<(K, V)>()) {
            return BTreeMap::new();
        }
        let pair = |pair| {
            // SAFETY: the caller's promise, for each pair.
            unsafe { <(K, V)>::lift(pair, cx) }
        };
        pairs.iter().map(pair).collect()
    }

    unsafe fn view_list<'a>(natives: &'a [NativeSlice], cx: LiftContext<'a>) -> Self::ListView<'a> {
        // SAFETY: the caller's promise.
        unsafe { List::new(natives, cx) }
    }
}

// SAFETY: the pairs are written to kept memory.
unsafe impl<K: Lower, V: Lower> Lower for BTreeMap<K, V> {
    fn lower(
        self,
        cx: &mut LowerContext<'_>,
        destination: &mut MaybeUninit<NativeSlice>,
    ) -> Result<()> {
        destination.write(cx.lower_list(self.into_iter(), <(K, V)>::lower)?);
        Ok(())
    }

    fn lower_ref(
        &self,
        cx: &mut LowerContext<'_>,
        destination: &mut MaybeUninit<NativeSlice>,
    ) -> Result<()> {
        destination.write(cx.lower_list(self.iter(), <(&K, &V)>::lower)?);
        Ok(())
    }
}
