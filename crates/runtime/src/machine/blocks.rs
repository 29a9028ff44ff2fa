//! Memory for futures of the host: [`Block`], a box whose memory a store keeps for the next one.
//!
//! Most futures are over when they have been polled once, in the middle of a guest's call. So their
//! memory comes in a few sizes, of which a store keeps some that are free.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::cell::RefCell;
use std::mem::ManuallyDrop;
use std::pin::Pin;
use std::ptr::NonNull;

/// Bytes of the blocks that are kept.
const SIZES: [usize; 5] = [64, 128, 256, 512, 1024];
const ALIGN: usize = 16;
/// Blocks of each size that are kept at most.
const KEPT: usize = 16;

/// Memory that is freed when this is dropped.
struct Memory {
    start: NonNull<u8>,
    layout: Layout,
}

impl Memory {
    fn new(layout: Layout) -> Memory {
        // SAFETY: no layout of a block is empty.
        let start = NonNull::new(unsafe { alloc(layout) });
        let start = start.unwrap_or_else(|| handle_alloc_error(layout));
        Memory { start, layout }
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: allocated with this layout, and nobody has it any more.
        unsafe { dealloc(self.start.as_ptr(), self.layout) }
    }
}

/// Which of [`SIZES`] a value goes into; `None` if it has a block made to measure.
fn size_class(value: Layout) -> Option<usize> {
    let fits = |size: &usize| value.size() <= *size && value.align() <= ALIGN;
    SIZES.iter().position(fits)
}

/// The layout of the block for a value, which is never empty.
fn block_layout(value: Layout) -> Layout {
    let size = size_class(value).map_or(value.size().max(1), |class| SIZES[class]);
    let align = value.align().max(ALIGN);
    // What is too large to be aligned could not have been made.
    Layout::from_size_align(size, align).unwrap_or(value)
}

/// An owned value that does not move.
pub(crate) struct Block<F: ?Sized> {
    value: NonNull<F>,
}

impl<F: ?Sized> Block<F> {
    /// The value.
    pub(crate) fn get(&mut self) -> Pin<&mut F> {
        // SAFETY: the block owns the value, which does not move before it is dropped.
        unsafe { Pin::new_unchecked(self.value.as_mut()) }
    }

    /// Bytes that it takes.
    pub(crate) fn bytes(&self) -> u64 {
        self.layout().size() as u64
    }

    fn layout(&self) -> Layout {
        // SAFETY: the block owns the value.
        block_layout(Layout::for_value(unsafe { self.value.as_ref() }))
    }

    /// The same under a type that leaves out what the value is, as `erase` makes it.
    pub(crate) fn erased<D: ?Sized>(
        self,
        erase: impl FnOnce(NonNull<F>) -> NonNull<D>,
    ) -> Block<D> {
        let this = ManuallyDrop::new(self);
        Block {
            value: erase(this.value),
        }
    }

    /// Drops the value; if that panics, the memory too.
    ///
    /// # Safety
    /// The block is not used again.
    unsafe fn end(&mut self) -> Memory {
        let memory = Memory {
            start: self.value.cast(),
            layout: self.layout(),
        };
        // SAFETY: the block owned the value, and is not used again.
        unsafe { self.value.drop_in_place() };
        memory
    }
}

impl<F: ?Sized> Drop for Block<F> {
    fn drop(&mut self) {
        // SAFETY: it is dropped.
        drop(unsafe { self.end() });
    }
}

/// The free blocks of a store.
#[derive(Default)]
pub(crate) struct Blocks {
    free: [RefCell<Vec<Memory>>; SIZES.len()],
}

impl Blocks {
    /// A block with a value.
    pub(crate) fn make<F>(&self, value: F) -> Block<F> {
        let layout = Layout::new::<F>();
        let kept = size_class(layout).and_then(|class| self.free[class].borrow_mut().pop());
        let memory = kept.unwrap_or_else(|| Memory::new(block_layout(layout)));
        let place = ManuallyDrop::new(memory).start.cast::<F>();
        // SAFETY: free memory of the value's size and alignment.
        unsafe { place.write(value) };
        Block { value: place }
    }

    /// Drops a value, and keeps its memory if there is little.
    pub(crate) fn recycle<F: ?Sized>(&self, block: Block<F>) {
        // SAFETY: the block is forgotten.
        let memory = unsafe { ManuallyDrop::new(block).end() };
        let Some(class) = SIZES.iter().position(|size| *size == memory.layout.size()) else {
            return;
        };
        let mut free = self.free[class].borrow_mut();
        if free.len() < KEPT && memory.layout.align() == ALIGN {
            free.push(memory);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::any::Any;
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::rc::Rc;

    #[test]
    fn memory_is_used_again() {
        let blocks = Blocks::default();
        let mut first = blocks.make([7u64; 3]);
        assert_eq!(*first.get(), [7; 3]);
        assert_eq!(first.bytes(), 64);
        let place = first.value.cast::<u8>();
        blocks.recycle(first);
        let second = blocks.make([1u8; 64]);
        assert_eq!(second.value.cast(), place);
        let third = blocks.make(());
        assert_ne!(third.value.cast(), place);
        for block in [blocks.make([0u8; 64]), second] {
            blocks.recycle(block);
        }
        blocks.recycle(third);
        assert_eq!(blocks.free[0].borrow().len(), 3);
    }

    #[test]
    fn large_and_aligned_values_are_made_to_measure() {
        #[repr(align(64))]
        struct Aligned(u8);
        #[repr(align(64))]
        struct Empty;

        let blocks = Blocks::default();
        let (mut aligned, empty) = (blocks.make(Aligned(3)), blocks.make(Empty));
        assert!(aligned.value.addr().get().is_multiple_of(64));
        assert_eq!(aligned.get().0, 3);
        let large = blocks.make([0u8; 5000]);
        assert_eq!(large.bytes(), 5000);
        blocks.recycle(aligned);
        blocks.recycle(empty);
        blocks.recycle(large);
        assert!(blocks.free.iter().all(|free| free.borrow().is_empty()));
    }

    #[test]
    fn values_are_dropped_once_also_if_that_panics() {
        struct Loud {
            _shared: Rc<()>,
        }
        impl Drop for Loud {
            fn drop(&mut self) {
                panic!("as asked");
            }
        }

        let blocks = Blocks::default();
        let shared = Rc::new(());
        blocks.recycle(blocks.make(shared.clone()));
        drop(
            blocks
                .make(shared.clone())
                .erased(|value| value as NonNull<dyn Any>),
        );
        assert_eq!(Rc::strong_count(&shared), 1);
        let hook = std::panic::take_hook();
        std::panic::set_hook(Box::new(|_| {}));
        let loud = blocks.make(Loud {
            _shared: shared.clone(),
        });
        let recycled = catch_unwind(AssertUnwindSafe(|| blocks.recycle(loud)));
        let loud = blocks.make(Loud {
            _shared: shared.clone(),
        });
        let dropped = catch_unwind(AssertUnwindSafe(|| drop(loud)));
        std::panic::set_hook(hook);
        assert!(recycled.is_err() && dropped.is_err());
        assert_eq!(Rc::strong_count(&shared), 1);
    }
}
