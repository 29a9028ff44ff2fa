//! [`CoreInstance`](crate::CoreInstance): core modules on their own, without a component around
//! them.
//!
//! An artifact of core modules ([`Component::metadata`](crate::Component::metadata) has a `core`
//! interface) is instantiated step by step: each core instance in it comes to life by a step of its
//! own, which writes its active segments and runs its start function. A lone module is instantiated
//! by [`CoreInstance::new`](crate::CoreInstance::new), which runs all steps. Functions are called
//! through array-call entries; memories, tables and globals are read and written in place. Core
//! instances do not lock: after a trap they can be called again.
//!
//! | file | subject |
//! | --- | --- |
//! | `values` | `CoreVal`, and how values lie in arrays and contexts |
//! | `host` | `CoreHost`: what a host supplies |
//! | `instance` | `CoreInstance`, and what it exports |
//! | `func`, `memory`, `table`, `global` | using what is exported |
//! | `access` | the instance behind a number, the interface of an artifact |
//!
//! ```no_run
//! use trampette_runtime::{Component, CoreHost, CoreInstance, CoreVal, Store};
//! # fn main() -> anyhow::Result<()> {
//! // SAFETY: the compiler wrote it, and nobody else can write to its folder.
//! let module = unsafe { Component::from_file("fib.elf")? };
//! let mut store = Store::new(());
//! let mut host = CoreHost::new();
//! host.func("env", "seed", |_caller, _args| Ok(vec![CoreVal::I32(1)]));
//! let instance = CoreInstance::new(&mut store, &module, host)?;
//! let fib = instance.get_func(&store, "fib")?;
//! let results = fib.call(&mut store, &[CoreVal::I32(10)])?;
//! # Ok(()) }
//! ```

mod access;
pub(crate) mod func;
pub(crate) mod global;
pub(crate) mod host;
pub(crate) mod instance;
pub(crate) mod memory;
pub(crate) mod table;
pub(crate) mod values;
