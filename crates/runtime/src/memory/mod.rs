//! Address space: the artifact's file and the memory that instances are made of. Knows no instance.
//!
//! | file | subject |
//! | --- | --- |
//! | `mapping` | mapping the artifact's file, sealed copies, pages |
//! | `slab` | the slabs of an instance: reserve, map images, grow, pool |
//! | `pagemap` | which pages were written, so that slabs can be reset |
//! | `growth` | how far a memory may grow |
//! | `arena` | memory for values on their way between guest and host |
//! | `shared_memory` | `SharedMemory`: growing, waiting and notifying between threads |
//! | `stack_pool` | stacks that guest code can be suspended on; those that are idle |

pub(crate) mod arena;
pub(crate) mod growth;
pub(crate) mod mapping;
pub(crate) mod pagemap;
pub(crate) mod shared_memory;
pub(crate) mod slab;
pub(crate) mod stack_pool;
