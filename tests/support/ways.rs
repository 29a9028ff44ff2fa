//! The ways to call an `async` function, for tables of what each is to do.

/// How an `async` function is called.
#[derive(Clone, Copy, Debug)]
pub enum Way {
    /// By the thread, which waits.
    Blocking,
    /// By a future that drives the store.
    Async,
    /// By a future of several that the store drives.
    Concurrent,
}

/// All of them.
pub const WAYS: [Way; 3] = [Way::Blocking, Way::Async, Way::Concurrent];
