//! [`Failure`]: why a function of an interface fails.

use anyhow::Result;
use trampette_runtime::ResourceTableError;

/// Why a function of an interface fails.
pub(crate) enum Failure<C> {
    /// With a code for the guest.
    Code(C),
    /// With a trap.
    Trap(anyhow::Error),
}

/// A code for guests, as opposed to an error that traps.
pub(crate) trait GuestCode {}

impl<C> Failure<C> {
    /// The code for the guest.
    ///
    /// # Errors
    /// The trap.
    pub(crate) fn into_code(self) -> Result<C> {
        match self {
            Failure::Code(code) => Ok(code),
            Failure::Trap(error) => Err(error),
        }
    }
}

impl<C: GuestCode> From<C> for Failure<C> {
    fn from(code: C) -> Self {
        Failure::Code(code)
    }
}

impl<C> From<anyhow::Error> for Failure<C> {
    fn from(error: anyhow::Error) -> Self {
        Failure::Trap(error)
    }
}

impl<C> From<ResourceTableError> for Failure<C> {
    fn from(error: ResourceTableError) -> Self {
        Failure::Trap(error.into())
    }
}
