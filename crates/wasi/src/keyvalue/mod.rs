//! `wasi:keyvalue` (0.2.0-draft2: `store`, `atomics`, `batch`) over an embedded store.
//!
//! A [`KeyValue`] is a file or memory, and is given to guests by
//! [`WasiCtxBuilder::keyvalue`](crate::WasiCtxBuilder::keyvalue). Whatever name a guest opens is a
//! bucket of its own in it, unless [`KeyValue::only_buckets`] says which there are.
//!
//! A guest has a thousand buckets and swaps open at most
//! ([`WasiCtxBuilder::max_keyvalue_handles`](crate::WasiCtxBuilder::max_keyvalue_handles)), and
//! gets 64 MiB of values by one call at most. `increment` counts in decimal text, as others do.
//! What one call changes is changed as a whole or not at all, that of `set-many` and `delete-many`
//! too.

// | file | subject |
// | --- | --- |
// | `bindings.rs` | what `bindgen!` makes |
// | `store.rs` | the store: `KeyValue` |
// | `host.rs` | the interfaces over it |
// | `tests.rs` | tests |

mod bindings;
mod host;
mod store;
#[cfg(test)]
mod tests;

pub(crate) use host::{Bucket, Cas, CasFailure, Failure};
pub use store::KeyValue;

use crate::WasiView;
use crate::common::budget::Budget;
use crate::common::quota::Quota;
use anyhow::Result;
use trampette_runtime::Linker;

/// Registers `wasi:keyvalue`: `store`, `atomics` and `batch`.
///
/// ```
/// use trampette_runtime::{Linker, Store};
/// use trampette_wasi::keyvalue::{self, KeyValue};
/// use trampette_wasi::{WasiCtx, WasiCtxBuilder};
///
/// let mut linker = Linker::<WasiCtx>::new();
/// trampette_wasi::add_to_linker(&mut linker)?;
/// keyvalue::add_to_linker(&mut linker)?;
/// let wasi = WasiCtxBuilder::new().keyvalue(KeyValue::in_memory(1 << 20)?).build();
/// let store = Store::new(wasi);
/// # let _ = store;
/// # anyhow::Ok(())
/// ```
///
/// # Errors
/// If an interface is registered already.
pub fn add_to_linker<T: WasiView>(linker: &mut Linker<T>) -> Result<()> {
    bindings::Imports::add_to_linker(linker, T::wasi)
}

/// What a guest has of it.
pub(crate) struct KeyValueCtx {
    pub(crate) store: Option<KeyValue>,
    /// Buckets and swaps that are open.
    handles: Budget,
    /// Values that open swaps compare with.
    bytes: Quota,
}

impl KeyValueCtx {
    /// Buckets and swaps that a guest has open at most, if the host does not say.
    const HANDLES: usize = 1000;

    /// Sets how many there may be; for contexts whose guest has opened none yet.
    pub(crate) fn set_handles(&mut self, limit: usize) {
        self.handles = Budget::new(limit);
    }
}

impl Default for KeyValueCtx {
    fn default() -> Self {
        KeyValueCtx {
            store: None,
            handles: Budget::new(Self::HANDLES),
            bytes: Quota::new(store::MOST_VALUES),
        }
    }
}
