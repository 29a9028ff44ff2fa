//! The host's side of components: linking, instances, calling what they export.
//!
//! | file | subject |
//! | --- | --- |
//! | `loading` | `Component::from_file` and its siblings |
//! | `linker` | `Linker`: what a host offers to components, by name |
//! | `owned` | … its functions with owned parameters; `Access` to a part of the data |
//! | `later` | … and those of bindings that may have to wait |
//! | `definitions` | the tree of those definitions |
//! | `versions`, `matching` | matching a component's imports with that, and checking their types |
//! | `shims`, `async_shims` | host functions as compiled code calls them |
//! | `instance` | `InstancePre`, `Instance` and its exports |
//! | `export` | `TypedExport`: an exported function before there is an instance |
//! | `func` | `Func`, `TypedFunc`: calling an export |
//! | `async_calls` | … from futures; `Store::run_concurrent` |
//! | `calls` | … and what else than wait such a future can do: `Call` |
//! | `testing` | what tests look at from outside |

mod async_calls;
pub(crate) mod async_shims;
pub(crate) mod calls;
pub(crate) mod definitions;
pub(crate) mod export;
pub(crate) mod func;
pub(crate) mod instance;
pub(crate) mod later;
pub(crate) mod linker;
pub(crate) mod loading;
pub(crate) mod matching;
pub(crate) mod owned;
pub(crate) mod shims;
pub mod testing;
pub(crate) mod versions;
