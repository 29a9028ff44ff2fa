//! The Rust forms of native layout (`artifact::native`): what typed values look like while they are
//! between the host and compiled code.
//!
//! All are `repr(C)` and plain data. Whether their sizes, alignments and offsets are those that
//! compiled code uses is tested in `tests/layout.rs` for many types.

use std::mem::MaybeUninit;

/// A native string or list: the address of its first element, never null and aligned even if the
/// list is empty, and its number of elements.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct NativeSlice {
    /// Address of the first element.
    pub ptr: *const u8,
    /// Number of elements.
    pub len: usize,
}

impl NativeSlice {
    /// The native form of a borrowed slice.
    pub fn of<T>(slice: &[T]) -> NativeSlice {
        NativeSlice {
            ptr: slice.as_ptr().cast(),
            len: slice.len(),
        }
    }

    /// The elements.
    ///
    /// # Safety
    /// It is a list of `T`s that lives, unchanged, as long as `'a`.
    pub unsafe fn as_slice<'a, T>(self) -> &'a [T] {
        if self.len == 0 {
            return &[];
        }
        // SAFETY: the caller's promise.
        unsafe { std::slice::from_raw_parts(self.ptr.cast(), self.len) }
    }
}

/// `option<T>`: tag 0 is none, 1 is some.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct NativeOption<N: Copy> {
    /// Which case.
    pub tag: u8,
    /// Initialised if the tag is 1.
    pub value: MaybeUninit<N>,
}

/// `result<A, B>`: tag 0 is ok, 1 is error. An absent payload is `()`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct NativeResult<A: Copy, B: Copy> {
    /// Which case.
    pub tag: u8,
    /// The tag's case is initialised.
    pub payload: NativeResultPayload<A, B>,
}

/// The payloads of [`NativeResult`].
#[repr(C)]
#[derive(Clone, Copy)]
pub union NativeResultPayload<A: Copy, B: Copy> {
    /// Case 0.
    pub ok: MaybeUninit<A>,
    /// Case 1.
    pub err: MaybeUninit<B>,
}
