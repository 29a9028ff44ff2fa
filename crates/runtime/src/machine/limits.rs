//! [`StoreLimits`]: what a guest may make its host spend; and [`LimitReached`], what it met.

/// Limits of one store. Every allocation that a guest can cause counts against one of them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StoreLimits {
    /// Largest length in bytes of each linear memory. `memory.grow` beyond returns -1.
    pub memory_bytes: u64,
    /// Largest length in entries of each table. `table.grow` beyond returns -1.
    pub table_entries: u64,
    /// Largest number of handles in each handle table (one per component instance, and the host's).
    pub handles: u32,
    /// Bytes of the arena that holds values on their way from the guest to the host.
    pub arena_bytes: u64,
    /// Bytes of native stack that guest code may use, counted from where the host enters it. What
    /// is really available is less when the thread's own stack ends sooner, and 16 GiB at most.
    pub stack_bytes: usize,
    /// Bytes of exceptions that are referred to. Throwing beyond traps.
    pub exception_bytes: u64,
    /// Bytes of debug messages of error contexts that guests and the host refer to. Messages beyond
    /// are discarded, as the specification lets a host do.
    pub error_context_bytes: u64,
    /// Component instances that may live in the store.
    pub instances: u32,
}

/// A limit that kept a guest from growing something. The guest saw -1.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum LimitReached {
    /// [`StoreLimits::memory_bytes`].
    Memory {
        /// The limit.
        limit: u64,
    },
    /// [`StoreLimits::table_entries`].
    Table {
        /// The limit.
        limit: u64,
    },
}

impl Default for StoreLimits {
    fn default() -> Self {
        StoreLimits {
            memory_bytes: 4 << 30,
            table_entries: 10_000_000,
            handles: 1 << 20,
            arena_bytes: 1 << 30,
            stack_bytes: 1 << 20,
            exception_bytes: 64 << 20,
            error_context_bytes: 1 << 20,
            instances: 10_000,
        }
    }
}
