//! How much of the thread's stack guest code may use.

use crate::mapping::page_size;
use anyhow::{Result, ensure};
use std::cell::Cell;
use trampette_artifact::layout::STACK_RESERVE_FOR_HOST;

thread_local! {
    /// The lowest usable address of this thread's stack; 0 before it is known.
    static LOWEST: Cell<usize> = const { Cell::new(0) };
}

/// The lowest usable address of this thread's stack, without its guard. The first call in a thread
/// also prepares the thread for guest code's faults.
#[inline]
fn lowest() -> Result<usize> {
    match LOWEST.get() {
        0 => prepare_thread(),
        lowest => Ok(lowest),
    }
}

#[cold]
fn prepare_thread() -> Result<usize> {
    crate::signals::ensure_alternate_stack()?;
    // SAFETY: the attributes are initialised by the first call and destroyed once.
    let lowest = unsafe {
        let mut attributes: libc::pthread_attr_t = std::mem::zeroed();
        let result = libc::pthread_getattr_np(libc::pthread_self(), &mut attributes);
        ensure!(result == 0, "cannot find the thread's stack");
        let (mut start, mut size, mut guard) = (std::ptr::null_mut(), 0, 0);
        libc::pthread_attr_getstack(&attributes, &mut start, &mut size);
        libc::pthread_attr_getguardsize(&attributes, &mut guard);
        libc::pthread_attr_destroy(&mut attributes);
        start.addr() + guard.max(page_size())
    };
    LOWEST.set(lowest);
    Ok(lowest)
}

/// The stack limit for guest code that is entered now and may use `bytes`: always with room below for
/// the runtime and host functions.
#[inline]
pub(crate) fn limit(bytes: usize) -> Result<usize> {
    let here = std::hint::black_box(0u8);
    let here = (&raw const here).addr();
    let lowest = lowest()?;
    if here < lowest {
        // Not the thread's own stack (a fiber's): its end is its owner's business.
        return Ok(here.saturating_sub(bytes));
    }
    Ok(here
        .saturating_sub(bytes)
        .max(lowest + STACK_RESERVE_FOR_HOST as usize))
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_limit_is_below_and_inside_the_stack() {
        let here = 0u8;
        let here = (&raw const here).addr();
        let limit = super::limit(64 << 10).unwrap();
        assert!(limit < here && here - limit < 128 << 10);
        let limit = super::limit(1 << 40).unwrap();
        assert!(limit < here && here - limit < 16 << 20);
    }
}
