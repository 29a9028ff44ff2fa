//! [`Activation`]: one entry of the host into a guest.

use crate::machine::instance::InstanceData;
use crate::machine::interrupt::{Moment, is_interrupted, set_flag};
use crate::machine::store::StoreInner;
use crate::machine::thread::Thread;
use std::ptr::null;
use trampette_artifact::trap::TrapCode;

/// One entry of the host into a guest, on the host's stack; or on no stack, if the guest's is a
/// pooled one that keeps the call while it waits. Activations of a thread form a chain.
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

    /// The activation around this one.
    #[inline]
    pub(crate) fn outer(&self) -> Option<&Activation> {
        // SAFETY: activations of a chain are live.
        unsafe { self.previous.as_ref() }
    }

    /// This activation and those around it, innermost first.
    pub(in crate::machine) fn chain(&self) -> impl Iterator<Item = &Activation> {
        std::iter::successors(Some(self), |activation| activation.outer())
    }

    /// The address of the outermost activation of this thread's chain: above all frames of guests,
    /// if it is on a stack.
    pub(crate) fn outermost_address(&self) -> usize {
        let outermost = self.chain().last().unwrap_or(self);
        std::ptr::from_ref(outermost).addr()
    }

    /// Why this call is to be stopped: since it, or one around it, was interrupted or has no time
    /// left. Safe in a signal handler.
    pub(crate) fn stop_code(&self) -> Option<TrapCode> {
        let stores = self.chain().filter_map(|call| call.store().interrupts());
        let codes = stores.filter_map(|store| store.stop_code());
        // The one that was asked for comes first.
        codes.min_by_key(|code| *code != TrapCode::Interrupt)
    }

    /// When this call ends at the latest; `None` if it cannot be stopped at all.
    pub(crate) fn deadline(&self) -> Option<Moment> {
        let stores = self.chain().filter_map(|call| call.store().interrupts());
        stores.map(|store| store.deadline()).min()
    }

    /// Sets the flags by which the guests that the thread has entered, and the runtime's loops over
    /// their data, know that they are to be stopped. Safe in a signal handler.
    pub(crate) fn set_flags(&self, value: u32) {
        for call in self.chain() {
            set_flag(call.instance(), value);
        }
    }

    /// Clears the flag of this call's instance, if it is not in another one that goes on. It was
    /// perhaps set by a signal that came too late.
    pub(crate) fn clear_flag(&self) {
        let is_same = |outer: &Activation| std::ptr::eq(outer.instance, self.instance);
        if is_interrupted(self.instance()) && !self.chain().skip(1).any(is_same) {
            set_flag(self.instance(), 0);
        }
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
