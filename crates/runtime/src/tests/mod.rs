//! Tests that need more than one room.
//!
//! | file | subject |
//! | --- | --- |
//! | `handmade` | an artifact whose code is written by hand, loaded and run |
//! | `api` | linking and calling with that artifact |
//! | `slab` | slabs with images that the loader accepts |
//! | `layout` | native layout of Rust types against the one definition in `trampette-artifact` |

mod api;
pub(crate) mod handmade;
mod layout;
mod slab;
