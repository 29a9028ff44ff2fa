//! Typed indices: an index of one space cannot be used in another.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::marker::PhantomData;
use std::ops::{Index, IndexMut};

/// An index of one space.
pub trait Id: Copy + Eq {
    /// The index of the `index`th entity.
    ///
    /// # Panics
    /// If `index` does not fit 32 bits; the validator's limits keep every space far below.
    fn new(index: usize) -> Self;

    /// This index as an offset into a slice.
    fn index(self) -> usize;
}

/// A vector with one element for each entity of a space, which only that space's indices can index.
/// Serialized as a plain vector.
#[derive(Serialize, Deserialize)]
#[serde(transparent)]
pub struct IdVec<I, T> {
    elements: Vec<T>,
    #[serde(skip)]
    space: PhantomData<fn(I)>,
}

impl<I: Id, T> IdVec<I, T> {
    /// One without elements.
    pub const fn new() -> Self {
        IdVec {
            elements: Vec::new(),
            space: PhantomData,
        }
    }

    /// Adds an element, and gives its index.
    pub fn push(&mut self, element: T) -> I {
        let id = self.next_id();
        self.elements.push(element);
        id
    }

    /// The index that the next element gets.
    pub fn next_id(&self) -> I {
        I::new(self.elements.len())
    }

    /// Makes room for more elements.
    pub fn reserve(&mut self, additional: usize) {
        self.elements.reserve(additional);
    }

    /// The number of elements.
    pub fn len(&self) -> usize {
        self.elements.len()
    }

    /// Whether there is no element.
    pub fn is_empty(&self) -> bool {
        self.elements.is_empty()
    }

    /// The element of an index, if there is one.
    #[inline]
    pub fn get(&self, id: I) -> Option<&T> {
        self.elements.get(id.index())
    }

    /// The element of an index, if there is one.
    pub fn get_mut(&mut self, id: I) -> Option<&mut T> {
        self.elements.get_mut(id.index())
    }

    /// The indices, in order.
    pub fn ids(&self) -> impl DoubleEndedIterator<Item = I> + ExactSizeIterator + use<I, T> {
        (0..self.elements.len()).map(I::new)
    }

    /// The elements with their indices, in order.
    pub fn iter_with_ids(&self) -> impl DoubleEndedIterator<Item = (I, &T)> + ExactSizeIterator {
        let elements = self.elements.iter().enumerate();
        elements.map(|(index, element)| (I::new(index), element))
    }

    /// The elements, in order.
    pub fn iter(&self) -> std::slice::Iter<'_, T> {
        self.elements.iter()
    }

    /// The elements, in order.
    pub fn iter_mut(&mut self) -> std::slice::IterMut<'_, T> {
        self.elements.iter_mut()
    }

    /// The elements as a slice, for what changes each on its own.
    pub fn as_mut_slice(&mut self) -> &mut [T] {
        &mut self.elements
    }

    /// The elements as a slice, for what needs no index.
    pub fn as_slice(&self) -> &[T] {
        &self.elements
    }
}

impl<I: Id, T> Index<I> for IdVec<I, T> {
    type Output = T;

    #[inline]
    fn index(&self, id: I) -> &T {
        &self.elements[id.index()]
    }
}

impl<I: Id, T> IndexMut<I> for IdVec<I, T> {
    #[inline]
    fn index_mut(&mut self, id: I) -> &mut T {
        &mut self.elements[id.index()]
    }
}

impl<I: Id, T> Default for IdVec<I, T> {
    fn default() -> Self {
        IdVec::new()
    }
}

impl<I, T: Clone> Clone for IdVec<I, T> {
    fn clone(&self) -> Self {
        IdVec {
            elements: self.elements.clone(),
            space: PhantomData,
        }
    }
}

impl<I, T: PartialEq> PartialEq for IdVec<I, T> {
    fn eq(&self, other: &Self) -> bool {
        self.elements == other.elements
    }
}

impl<I, T: Eq> Eq for IdVec<I, T> {}

impl<I, T: fmt::Debug> fmt::Debug for IdVec<I, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.elements.fmt(f)
    }
}

impl<I, T> From<Vec<T>> for IdVec<I, T> {
    fn from(elements: Vec<T>) -> Self {
        IdVec {
            elements,
            space: PhantomData,
        }
    }
}

impl<I, T, const N: usize> From<[T; N]> for IdVec<I, T> {
    fn from(elements: [T; N]) -> Self {
        Vec::from(elements).into()
    }
}

impl<I, T> FromIterator<T> for IdVec<I, T> {
    fn from_iter<E: IntoIterator<Item = T>>(elements: E) -> Self {
        Vec::from_iter(elements).into()
    }
}

impl<I, T> IntoIterator for IdVec<I, T> {
    type Item = T;
    type IntoIter = std::vec::IntoIter<T>;

    fn into_iter(self) -> Self::IntoIter {
        self.elements.into_iter()
    }
}

impl<'v, I, T> IntoIterator for &'v IdVec<I, T> {
    type Item = &'v T;
    type IntoIter = std::slice::Iter<'v, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.elements.iter()
    }
}

impl<'v, I, T> IntoIterator for &'v mut IdVec<I, T> {
    type Item = &'v mut T;
    type IntoIter = std::slice::IterMut<'v, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.elements.iter_mut()
    }
}

impl<I, T> Extend<T> for IdVec<I, T> {
    fn extend<E: IntoIterator<Item = T>>(&mut self, elements: E) {
        self.elements.extend(elements);
    }
}

macro_rules! index_types {
    ($($(#[$doc:meta])* $name:ident, $prefix:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub struct $name(pub u32);

        impl $name {
            /// The index of the `index`th entity.
            ///
            /// # Panics
            /// If `index` does not fit 32 bits; the validator's limits keep every space far below.
            #[inline]
            pub fn new(index: usize) -> Self {
                Self(u32::try_from(index).expect("index spaces are limited to 32 bits"))
            }

            /// This index as an offset into a slice.
            #[inline]
            pub fn index(self) -> usize {
                self.0 as usize
            }
        }

        impl Id for $name {
            #[inline]
            fn new(index: usize) -> Self {
                $name::new(index)
            }

            #[inline]
            fn index(self) -> usize {
                $name::index(self)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "{}"), self.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(self, f)
            }
        }
    )*};
}

index_types! {
    /// A static module: a core module nested anywhere in the component, in order of appearance.
    ModuleId, "module";
    /// A unit: a static module with its imports bound; what core functions are compiled for.
    UnitId, "unit";
    /// A function that a core module defines: its position among those, without the imported ones.
    DefinedFunc, "function";
    /// A core instance of the flattened component.
    CoreInstanceId, "core-instance";
    /// A component instance of the flattened component; 0 is the component itself.
    ComponentInstanceId, "instance";
    /// A slab; 0 is the one whose root holds the state of the whole component.
    SlabId, "slab";
    /// A memory defined by some core instance.
    MemoryId, "memory";
    /// A memory among those that are shared between threads.
    SharedMemoryId, "shared-memory";
    /// A table defined by some core instance.
    TableId, "table";
    /// A global defined by some core instance.
    GlobalId, "global";
    /// A tag defined by some core instance.
    TagId, "tag";
    /// A component trampoline.
    TrampolineId, "trampoline";
    /// A lifted function of an `async` type together with one of its callers.
    TaskId, "task";
    /// A function of an `async` type imported from the host, as one `canon lower` has it.
    HostCallId, "host-call";
    /// A read or a write of streams or futures, as a canonical built-in declares it.
    CopyId, "copy";
    /// A write and a read between which elements can move that hold pointers or handles.
    CopyPairId, "copy-pair";
    /// A pair of memories with encodings between which adapters carry strings.
    StringRouteId, "string-route";
    /// A part of a large type that trampolines carry from one place to another by code of its own.
    SharedTransferId, "shared-transfer";
    /// A function imported from the host at component level; also its slot in the root.
    ImportId, "import";
    /// A core function imported from the host (lone core modules and scripts only).
    CoreImportId, "core-import";
    /// A function exported by the component, at the root or inside an exported instance.
    ExportId, "export";
    /// A resource type of the flattened component: imported, or created by one component instance.
    ResourceId, "resource";
    /// A function as a value: an index into the function table; 0 is null.
    FunctionId, "function-id";
    /// A core function type, canonical within the artifact; 0 matches nothing.
    SignatureId, "signature";
    /// A component-level defined type in a [`crate::types::TypeTable`].
    TypeId, "type";
    /// A passive data segment kept for run time, component-wide.
    DataSegmentId, "data";
    /// A passive element segment kept for run time, component-wide.
    ElementSegmentId, "element";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_are_indexed_by_their_own_space() {
        let mut names: IdVec<ModuleId, &str> = IdVec::new();
        assert!(names.is_empty());
        let (one, two) = (names.push("one"), names.push("two"));
        assert_eq!(
            (one, two, names.next_id()),
            (ModuleId(0), ModuleId(1), ModuleId(2))
        );
        assert_eq!((names[two], names.get(ModuleId(2))), ("two", None));
        names[one] = "eins";
        let all: Vec<_> = names
            .iter_with_ids()
            .map(|(id, name)| (id, *name))
            .collect();
        assert_eq!(all, [(one, "eins"), (two, "two")]);
        assert_eq!(names.ids().rev().collect::<Vec<_>>(), [two, one]);
    }

    #[test]
    fn vectors_are_encoded_as_plain_ones() {
        let plain = vec![1u32, 300, 70_000];
        let typed: IdVec<SlabId, u32> = plain.clone().into();
        let bytes = postcard::to_stdvec(&typed).unwrap();
        assert_eq!(bytes, postcard::to_stdvec(&plain).unwrap());
        assert_eq!(
            postcard::from_bytes::<IdVec<SlabId, u32>>(&bytes).unwrap(),
            typed
        );
    }
}
