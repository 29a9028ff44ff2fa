//! Failures of the embedder's code: kept in the store while guest code is left, and taken out again
//! by the call that returns them.
//!
//! Neither an error nor a panic can pass through guest code as itself. What compiled code called
//! gives it [`HOST_ERROR`] instead, on which it traps.

use crate::machine::store::StoreInner;
use anyhow::{Error, Result};
use std::panic::{AssertUnwindSafe, catch_unwind};
use trampette_artifact::layout::{HOST_ERROR, HOST_OK};

/// Runs code of the embedder's that compiled code has called, and gives what compiled code
/// understands. An error is kept as `name` makes it.
#[inline]
pub(crate) fn contain(
    store: &StoreInner,
    name: impl FnOnce(Error) -> Error,
    call: impl FnOnce() -> Result<()>,
) -> u32 {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(Ok(())) => HOST_OK,
        Ok(Err(error)) => {
            store.set_host_error(name(error));
            HOST_ERROR
        }
        Err(payload) => {
            store.set_host_panic(payload);
            HOST_ERROR
        }
    }
}

/// Takes what a call that is over left in the store: a panic goes on here, an error is returned.
pub(crate) fn take(store: &StoreInner) -> Option<Error> {
    let error = store.take_host_error();
    if let Some(panic) = store.take_host_panic() {
        std::panic::resume_unwind(panic);
    }
    error
}
