//! [`StoreLimits`]: what a guest may make its host spend; and [`LimitReached`], what it met.

/// Defines the limits, each with a method that sets it.
macro_rules! limits {
    ($($(#[$doc:meta])* $name:ident: $type:ty = $default:expr, $with:ident;)*) => {
        /// Limits of one store. Every allocation that a guest can cause counts against one of them.
        /// The defaults are what a server can live with that runs guests that it does not know.
        ///
        /// ```
        /// use trampette_runtime::{Store, StoreLimits};
        ///
        /// let mut store = Store::new(());
        /// store.set_limits(
        ///     StoreLimits::default()
        ///         .with_memory_bytes(64 << 20)
        ///         .with_handles(10_000),
        /// );
        /// assert_eq!(store.limits().memory_bytes, 64 << 20);
        /// ```
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        #[non_exhaustive]
        pub struct StoreLimits {
            $($(#[$doc])* pub $name: $type,)*
        }

        impl Default for StoreLimits {
            fn default() -> Self {
                StoreLimits { $($name: $default,)* }
            }
        }

        impl StoreLimits {
            $(
                #[doc = concat!("The same limits with another [`StoreLimits::", stringify!($name), "`].")]
                #[must_use]
                pub fn $with(mut self, $name: $type) -> StoreLimits {
                    self.$name = $name;
                    self
                }
            )*
        }
    };
}

/// A limit that kept a guest from growing something. The guest saw -1.
///
/// ```
/// # fn explain(store: &trampette_runtime::Store<()>) {
/// use trampette_runtime::LimitReached;
///
/// match store.limit_reached() {
///     Some(LimitReached::Memory { limit }) => println!("a memory of more than {limit} bytes"),
///     Some(other) => println!("{other:?}"),
///     None => println!("the guest had all it wanted"),
/// }
/// # }
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum LimitReached {
    /// [`StoreLimits::memory_bytes`].
    Memory {
        /// The limit.
        limit: u64,
    },
    /// [`StoreLimits::total_memory_bytes`].
    TotalMemory {
        /// The limit.
        limit: u64,
    },
    /// [`StoreLimits::table_entries`].
    Table {
        /// The limit.
        limit: u64,
    },
}

limits! {
    /// Largest length in bytes of each linear memory. `memory.grow` beyond returns -1.
    memory_bytes: u64 = 4 << 30, with_memory_bytes;
    /// Bytes of all linear memories of the store's instances together, and of their tables, 4 for
    /// each entry. Memories that are shared with other stores count where they were made.
    /// `memory.grow` and `table.grow` beyond return -1.
    total_memory_bytes: u64 = 8 << 30, with_total_memory_bytes;
    /// Largest length in entries of each table. `table.grow` beyond returns -1.
    table_entries: u64 = 10_000_000, with_table_entries;
    /// Largest number of handles in each handle table (one per component instance, and the host's).
    handles: u32 = 1 << 20, with_handles;
    /// Bytes of all handle tables of the store, and of what the host remembers of handles that are
    /// lent for the length of a call.
    bookkeeping_bytes: u64 = 64 << 20, with_bookkeeping_bytes;
    /// Bytes of the arena that holds values on their way from the guest to the host.
    arena_bytes: u64 = 128 << 20, with_arena_bytes;
    /// Bytes of owned values that the host takes over from a guest in one call: the arguments of a
    /// host function or the result of an export, as [`Val`](crate::Val)s or owned Rust values.
    ///
    /// A [`Val`](crate::Val) counts 32 bytes whatever it is, since lists of numbers have no form of
    /// their own: whoever takes values apart would meet each list in two forms, and a host that
    /// expects long ones knows their type, and takes them as a `Vec<u8>` or a `Vec<f32>`, which
    /// counts what it holds. Names of fields, cases and flags are shared, and count nothing.
    value_bytes: u64 = 256 << 20, with_value_bytes;
    /// Bytes of native stack that guest code may use, counted from where the host enters it. What
    /// is really available is less when the thread's own stack ends sooner, and 16 GiB at most.
    stack_bytes: usize = 1 << 20, with_stack_bytes;
    /// Bytes of each stack of a task that can be suspended. A part of them, 256 KiB, is left to the
    /// runtime and to host functions; a stack has at least a little more than that.
    task_stack_bytes: usize = 1 << 20, with_task_stack_bytes;
    /// Stacks of tasks that may be in use at once. A task that needs one more traps.
    task_stacks: u32 = 10_000, with_task_stacks;
    /// Tasks that have begun to be called and are not over.
    tasks: u32 = 1 << 20, with_tasks;
    /// Ends of streams and futures. Each is a handle too.
    ends: u32 = 1 << 20, with_ends;
    /// Waitable sets. Each is a handle too.
    sets: u32 = 256 << 10, with_sets;
    /// Futures of host functions that were not done at once, and what else of the host's goes on
    /// while guests do. A call that needs one more fails.
    host_futures: u32 = 100_000, with_host_futures;
    /// Bytes of those futures.
    host_future_bytes: u64 = 64 << 20, with_host_future_bytes;
    /// Bytes of exceptions that are referred to. Throwing beyond traps.
    exception_bytes: u64 = 64 << 20, with_exception_bytes;
    /// Bytes of debug messages of error contexts that guests and the host refer to. Messages beyond
    /// are discarded, as the specification lets a host do.
    error_context_bytes: u64 = 1 << 20, with_error_context_bytes;
    /// Component instances that may live in the store.
    instances: u32 = 10_000, with_instances;
}
