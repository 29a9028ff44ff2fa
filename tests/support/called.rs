//! A call of a function in each of the ways, for tests that bring `block_on` and `ways`.

use crate::block_on;
use crate::ways::Way;
use trampette_runtime::{Lift, Lower, Params, Store, TypedFunc};

impl Way {
    /// Calls a function; who drives the store meanwhile is what the ways differ in.
    pub fn call<P, R>(
        self,
        store: &mut Store<()>,
        func: TypedFunc<P, R>,
        params: P,
    ) -> anyhow::Result<R>
    where
        P: Params + Lower + 'static,
        R: Lift + Send,
    {
        match self {
            Way::Blocking => func.call(store, params),
            Way::Async => block_on(func.call_async(store, params)),
            Way::Concurrent => {
                block_on(store.run_concurrent(async |cx| func.call_concurrent(cx, params).await))?
            }
        }
    }
}
