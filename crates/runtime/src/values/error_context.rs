//! [`ErrorContext`]: values of type `error-context`.
//!
//! Natively it is the id of a message in the store (`machine/error_contexts.rs`).

use crate::machine::store::StoreInner;
use crate::values::typed::{
    ComponentType, Lift, LiftContext, Lower, LowerContext, TypeContext, own_view,
};
use anyhow::Result;
use std::mem::MaybeUninit;
use std::sync::Arc;
use trampette_artifact::types::Type;

/// A value of type `error-context`: a debug message and nothing else. Whoever receives it must not
/// depend on the message, which may have been discarded on the way: it is empty then.
///
/// The host's value is no handle: it stays valid whatever the guest does with its own.
///
/// ```
/// use trampette_runtime::ErrorContext;
///
/// let error = ErrorContext::new("the disk is full");
/// assert_eq!(error.debug_message(), "the disk is full");
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ErrorContext {
    message: Arc<str>,
}

impl ErrorContext {
    /// An error context with this message.
    pub fn new(message: impl Into<Arc<str>>) -> ErrorContext {
        ErrorContext {
            message: message.into(),
        }
    }

    /// The debug message; empty if it was discarded.
    pub fn debug_message(&self) -> &str {
        &self.message
    }

    /// The one that a native value stands for.
    pub(crate) fn from_native(store: Option<&StoreInner>, id: u32) -> ErrorContext {
        let message = store.and_then(|store| store.error_contexts.message(id));
        ErrorContext::new(message.unwrap_or_default())
    }

    /// The native value, which owns a reference to the message.
    pub(crate) fn to_native(&self, store: Option<&StoreInner>) -> u32 {
        store.map_or(0, |store| {
            let limit = store.limits.get().error_context_bytes;
            store.error_contexts.add(&self.message, limit)
        })
    }
}

// SAFETY: natively an error context is the id of its message.
unsafe impl ComponentType for ErrorContext {
    type Native = u32;

    fn check(ty: Type, cx: &TypeContext<'_>) -> Result<()> {
        match ty {
            Type::ErrorContext => Ok(()),
            other => Err(cx.mismatch(other, Self::describe())),
        }
    }

    fn describe() -> String {
        "error-context".to_string()
    }
}

// SAFETY: only the id is read.
unsafe impl Lift for ErrorContext {
    own_view!();

    unsafe fn lift(native: &u32, cx: LiftContext<'_>) -> ErrorContext {
        ErrorContext::from_native(cx.store, *native)
    }
}

// SAFETY: the id is written.
unsafe impl Lower for ErrorContext {
    fn lower(self, cx: &mut LowerContext<'_>, destination: &mut MaybeUninit<u32>) -> Result<()> {
        self.lower_ref(cx, destination)
    }

    fn lower_ref(
        &self,
        cx: &mut LowerContext<'_>,
        destination: &mut MaybeUninit<u32>,
    ) -> Result<()> {
        destination.write(self.to_native(cx.store()));
        Ok(())
    }
}
