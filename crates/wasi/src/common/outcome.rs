//! A value that is known later: one side settles it, the other one is a future of it.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

struct State<T> {
    value: Option<T>,
    waker: Option<Waker>,
}

/// Settles the value; dropped without that, it settles it as the type's default.
pub(crate) struct Settle<T: Default>(Option<Arc<Mutex<State<T>>>>);

/// Is done when the value is settled.
pub(crate) struct Settled<T>(Arc<Mutex<State<T>>>);

/// A value that is not settled.
pub(crate) fn outcome<T: Default>() -> (Settle<T>, Settled<T>) {
    let state = Arc::new(Mutex::new(State {
        value: None,
        waker: None,
    }));
    (Settle(Some(state.clone())), Settled(state))
}

impl<T: Default> Settle<T> {
    /// Settles the value, which is then what it is.
    pub(crate) fn settle(mut self, value: T) {
        self.put(value);
    }

    fn put(&mut self, value: T) {
        let Some(state) = self.0.take() else { return };
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        state.value = Some(value);
        let waker = state.waker.take();
        drop(state);
        waker.map(Waker::wake).unwrap_or_default();
    }
}

impl<T: Default> Drop for Settle<T> {
    fn drop(&mut self) {
        if self.0.is_some() {
            self.put(T::default());
        }
    }
}

impl<T> Future for Settled<T> {
    type Output = T;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(value) = state.value.take() {
            return Poll::Ready(value);
        }
        let before = state.waker.replace(cx.waker().clone());
        drop(state);
        drop(before);
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::pin::pin;

    #[test]
    fn a_value_is_there_when_it_is_settled_or_given_up() {
        let mut cx = Context::from_waker(Waker::noop());
        let (settle, settled) = outcome::<Option<u32>>();
        let mut settled = pin!(settled);
        assert_eq!(settled.as_mut().poll(&mut cx), Poll::Pending);
        settle.settle(Some(7));
        assert_eq!(settled.poll(&mut cx), Poll::Ready(Some(7)));
        let (settle, settled) = outcome::<Option<u32>>();
        drop(settle);
        assert_eq!(pin!(settled).poll(&mut cx), Poll::Ready(None));
    }
}
