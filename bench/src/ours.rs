//! Calls as Trampette's embedders make them fastest.

use crate::measure::Sample;
use crate::session::Session;
use anyhow::Result;
use std::time::Instant;
use trampette_runtime::{Lift, Linker, Lower, Params, Store, TypedFunc};

/// A sample of calls of an export of a fixture.
pub fn calls<P, R>(
    session: &Session,
    fixture: &str,
    export: &str,
    mut call: impl FnMut(&mut Store<()>, &TypedFunc<P, R>) -> Result<()> + 'static,
) -> Result<Sample>
where
    P: Params + Lower + 'static,
    R: Lift,
{
    let component = session.component(fixture)?;
    let mut store = Store::new(());
    let instance = Linker::new().instantiate(&mut store, &component)?;
    let func = instance.get_typed_func::<P, R>(&mut store, export)?;
    Ok(Box::new(move |iterations| {
        let start = Instant::now();
        for _ in 0..iterations {
            call(&mut store, &func)?;
        }
        Ok(start.elapsed())
    }))
}

/// A sample of a loop in a guest: the export takes a number of iterations and two more numbers.
pub fn guest_loop(
    session: &Session,
    linker: &Linker<()>,
    fixture: &str,
    export: &str,
    (len, ptr): (u32, u32),
) -> Result<Sample> {
    let component = session.component(fixture)?;
    let mut store = Store::new(());
    let instance = linker.instantiate(&mut store, &component)?;
    let func = instance.get_typed_func::<(u32, u32, u32), u32>(&mut store, export)?;
    Ok(Box::new(move |iterations| {
        let iterations = u32::try_from(iterations)?;
        let start = Instant::now();
        std::hint::black_box(func.call(&mut store, (iterations, len, ptr))?);
        Ok(start.elapsed())
    }))
}
