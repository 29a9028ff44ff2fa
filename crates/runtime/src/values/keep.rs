//! Who owns what native values point to while they are on their way: [`Keep`], and room for native
//! structs whose size is only known at run time.

use crate::machine::store::StoreInner;
use crate::native::NativeSlice;
use anyhow::{Context, Result, ensure};
use std::any::Any;
use std::mem::{ManuallyDrop, MaybeUninit};
use std::ptr::NonNull;

/// Memory for a native struct that is only known at run time: on the stack, unless it is large.
pub(crate) enum NativeBuffer {
    Small([MaybeUninit<u64>; NativeBuffer::SMALL]),
    Large(Vec<u64>),
}

impl NativeBuffer {
    /// Words of a small one.
    const SMALL: usize = 16;

    /// Room for so many bytes, zero and aligned to 8.
    #[inline]
    pub(crate) fn zeroed(bytes: u64) -> NativeBuffer {
        const ZERO: MaybeUninit<u64> = MaybeUninit::new(0);
        match (bytes as usize).div_ceil(8) {
            0..=4 => {
                let mut words = [MaybeUninit::uninit(); Self::SMALL];
                words[..4].fill(ZERO);
                NativeBuffer::Small(words)
            }
            5..=Self::SMALL => NativeBuffer::Small([ZERO; Self::SMALL]),
            words => NativeBuffer::Large(vec![0; words]),
        }
    }

    /// The same for what is written before it is read: a small one is not initialised.
    #[inline]
    pub(crate) fn uninit(bytes: u64) -> NativeBuffer {
        match (bytes as usize).div_ceil(8) {
            0..=Self::SMALL => NativeBuffer::Small([MaybeUninit::uninit(); Self::SMALL]),
            _ => NativeBuffer::zeroed(bytes),
        }
    }

    #[inline]
    pub(crate) fn as_mut_ptr(&mut self) -> *mut u8 {
        match self {
            NativeBuffer::Small(words) => words.as_mut_ptr().cast(),
            NativeBuffer::Large(words) => words.as_mut_ptr().cast(),
        }
    }
}

/// Memory that the native form of an export's arguments points into, released after the call.
#[derive(Default)]
pub(crate) struct KeepAlive {
    buffers: ManuallyDrop<Vec<Box<dyn Any>>>,
}

impl KeepAlive {
    /// Takes over a value that goes with the arguments.
    pub(crate) fn own(&mut self, value: impl Any) {
        self.buffers.push(Box::new(value));
    }
}

impl Drop for KeepAlive {
    #[inline]
    fn drop(&mut self) {
        #[inline(never)]
        fn release(buffers: &mut ManuallyDrop<Vec<Box<dyn Any>>>) {
            // SAFETY: once, when nothing uses them any more.
            unsafe { ManuallyDrop::drop(buffers) }
        }
        // Most calls keep nothing. A vector that never had an element owns nothing.
        if self.buffers.capacity() != 0 {
            release(&mut self.buffers);
        }
    }
}

/// Where lowering puts what native values point to.
pub(crate) enum Keep<'k> {
    /// Until the results of the running host function were copied into the guest.
    HostResults(&'k StoreInner),
    /// Until the call is over.
    Arguments(&'k mut KeepAlive),
}

impl<'k> Keep<'k> {
    /// The store whose host function runs, if one does.
    pub(crate) fn store(&self) -> Option<&'k StoreInner> {
        match self {
            Keep::HostResults(store) => Some(store),
            Keep::Arguments(_) => None,
        }
    }

    /// Takes over a vector without copying it.
    pub(crate) fn vec<T: Copy + 'static>(&mut self, vec: Vec<T>) -> NativeSlice {
        let slice = NativeSlice::of(&vec);
        match self {
            Keep::HostResults(store) => {
                store.keep_vec(vec);
            }
            Keep::Arguments(keep) => keep.own(vec),
        }
        slice
    }

    /// Room for `len` native values of `size` bytes each, zeroed, so that padding that reaches a
    /// guest is never what was in the host's memory before. Aligned to 8, as far as any native type
    /// is.
    ///
    /// # Errors
    /// If the size overflows.
    pub(crate) fn zeroed(&mut self, size: usize, len: usize) -> Result<NonNull<u8>> {
        let bytes = size.checked_mul(len).context("a list is too large")?;
        ensure!(bytes <= isize::MAX as usize, "a list is too large");
        let words = vec![0u64; bytes.div_ceil(8)];
        let ptr = self.vec(words).ptr.cast_mut();
        Ok(NonNull::new(ptr).expect("the address of a vector is not null"))
    }
}
