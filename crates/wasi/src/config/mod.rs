//! `wasi:config`: names and values that a guest is configured with
//! ([`WasiCtxBuilder::config`](crate::WasiCtxBuilder::config)). The proposal's two versions that
//! guests are built with, `0.2.0-rc.1` and `0.2.0-draft`, are served alike: their texts are the
//! same.

// | file | subject |
// | --- | --- |
// | `bindings.rs` | what `bindgen!` makes |

mod bindings;

use crate::{WasiCtx, WasiView};
use anyhow::Result;
use trampette_runtime::Linker;

/// Registers `wasi:config/store` of both versions.
///
/// ```
/// use trampette_runtime::{Linker, Store};
/// use trampette_wasi::{WasiCtx, WasiCtxBuilder};
///
/// let mut linker = Linker::<WasiCtx>::new();
/// trampette_wasi::add_to_linker(&mut linker)?;
/// trampette_wasi::config::add_to_linker(&mut linker)?;
/// let wasi = WasiCtxBuilder::new().config("greeting", "Hello").build();
/// let store = Store::new(wasi);
/// # let _ = store;
/// # anyhow::Ok(())
/// ```
///
/// # Errors
/// If an interface is registered already.
pub fn add_to_linker<T: WasiView>(linker: &mut Linker<T>) -> Result<()> {
    bindings::rc::Imports::add_to_linker(linker, T::wasi)?;
    bindings::draft::Imports::add_to_linker(linker, T::wasi)
}

/// The interface of one version. Nothing fails: all is in memory.
macro_rules! serve {
    ($version:ident) => {
        impl bindings::$version::wasi::config::store::Host for WasiCtx {
            fn get(
                &mut self,
                key: &str,
            ) -> Result<Result<Option<String>, bindings::$version::wasi::config::store::Error>>
            {
                Ok(Ok(self.config.get(key).cloned()))
            }

            fn get_all(
                &mut self,
            ) -> Result<
                Result<Vec<(String, String)>, bindings::$version::wasi::config::store::Error>,
            > {
                let all = self.config.iter();
                Ok(Ok(all.map(|(name, value)| (name.clone(), value.clone())).collect()))
            }
        }
    };
}

serve!(rc);
serve!(draft);
