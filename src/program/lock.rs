//! Locks between threads of the compiler.
//!
//! A panic while one thread compiles is caught and becomes that function's error; what lies behind
//! a lock is replaced as a whole, never left half done. So a lock that a panicking thread held is
//! as good as any other.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What was behind a lock that no thread needs any more.
pub(crate) fn into_inner<T>(mutex: Mutex<T>) -> T {
    mutex.into_inner().unwrap_or_else(PoisonError::into_inner)
}
