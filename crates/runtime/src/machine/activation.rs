//! [`Activation`]: one entry of the host into a guest.

use crate::machine::instance::InstanceData;
use crate::machine::store::StoreInner;
use crate::machine::thread::Thread;
use std::ptr::null;

/// One entry of the host into a guest, on the host's stack. Activations of a thread form a chain.
pub(crate) struct Activation {
    /// The instance that was entered. It outlives the activation.
    instance: *const InstanceData,
    previous: *const Activation,
}

impl Activation {
    /// The first activation of a chain.
    #[inline]
    pub(crate) fn outermost(instance: &InstanceData) -> Activation {
        Activation::inside(instance, null())
    }

    /// An activation inside of `previous`, which may be null.
    #[inline]
    pub(crate) fn inside(instance: &InstanceData, previous: *const Activation) -> Activation {
        Activation { instance, previous }
    }

    /// The innermost activation of this thread, or null. Safe to call in a signal handler.
    #[inline]
    pub(crate) fn current() -> *const Activation {
        Thread::with(|thread| thread.activation.get())
    }

    /// The instance that was entered.
    #[inline]
    pub(crate) fn instance(&self) -> &InstanceData {
        // SAFETY: instances live as long as their store, which the call borrows.
        unsafe { &*self.instance }
    }

    /// Its store.
    #[inline]
    pub(crate) fn store(&self) -> &StoreInner {
        self.instance().store()
    }

    /// The address of the outermost activation of this thread's chain: above all frames of guests.
    pub(crate) fn outermost_address(&self) -> usize {
        let mut outermost = self;
        // SAFETY: activations of a chain are live.
        while let Some(outer) = unsafe { outermost.previous.as_ref() } {
            outermost = outer;
        }
        std::ptr::from_ref(outermost).addr()
    }

    /// Runs `f`, which enters the guest, as the innermost activation of this thread.
    #[inline]
    pub(crate) fn run<R>(&self, thread: &Thread, f: impl FnOnce() -> R) -> R {
        struct Restore<'t>(&'t Thread, *const Activation);
        impl Drop for Restore<'_> {
            #[inline]
            fn drop(&mut self) {
                self.0.activation.set(self.1);
            }
        }
        let _restore = Restore(thread, self.previous);
        thread.activation.set(self);
        f()
    }
}
