//! The host's side of components: linking, instances, calling what they export.
//!
//! | file | subject |
//! | --- | --- |
//! | `loading` | [`Component::from_file`](crate::Component::from_file) and its siblings |
//! | `linker` | [`Linker`](crate::Linker): what a host offers to components, by name |
//! | `versions`, `matching` | matching a component's imports with that, and checking their types |
//! | `shims` | host functions as compiled code calls them |
//! | `func` | [`Instance`](crate::Instance), [`Func`](crate::Func), [`TypedFunc`](crate::TypedFunc): calling what a component exports |

pub(crate) mod func;
pub(crate) mod linker;
pub(crate) mod loading;
pub(crate) mod matching;
pub(crate) mod shims;
pub(crate) mod versions;
