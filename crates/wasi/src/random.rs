//! `wasi:random`. The insecure interfaces are as good as the secure ones.

use crate::context::WasiView;
use crate::interface;
use anyhow::{Context, Result, ensure};
use rustix::io::Errno;
use rustix::rand::GetRandomFlags;
use trampette_runtime::Linker;

/// The most bytes that one call gives; a guest's length must not size the host's memory.
const LIMIT: u64 = 64 << 20;

fn bytes(length: u64) -> Result<Vec<u8>> {
    ensure!(
        length <= LIMIT,
        "a guest asked for {length} random bytes at once; the limit is {LIMIT}"
    );
    let mut bytes = vec![0; length as usize];
    fill(&mut bytes)?;
    Ok(bytes)
}

fn number() -> Result<u64> {
    let mut bytes = [0; 8];
    fill(&mut bytes)?;
    Ok(u64::from_le_bytes(bytes))
}

fn fill(mut rest: &mut [u8]) -> Result<()> {
    while !rest.is_empty() {
        match rustix::rand::getrandom(&mut *rest, GetRandomFlags::empty()) {
            Ok(count) => rest = &mut rest[count..],
            Err(Errno::INTR) => {}
            Err(error) => return Err(error).context("the system has no random bytes"),
        }
    }
    Ok(())
}

pub(crate) fn add_to_linker<T: WasiView>(linker: &mut Linker<T>) -> Result<()> {
    let mut random = linker.instance(&interface("random/random"))?;
    random.func_wrap::<(u64,), Vec<u8>, _>("get-random-bytes", |_, (length,)| bytes(length))?;
    random.func_wrap::<(), u64, _>("get-random-u64", |_, ()| number())?;
    let mut insecure = linker.instance(&interface("random/insecure"))?;
    insecure.func_wrap::<(u64,), Vec<u8>, _>("get-insecure-random-bytes", |_, (length,)| {
        bytes(length)
    })?;
    insecure.func_wrap::<(), u64, _>("get-insecure-random-u64", |_, ()| number())?;
    let mut seed = linker.instance(&interface("random/insecure-seed"))?;
    seed.func_wrap::<(), (u64, u64), _>("insecure-seed", |_, ()| Ok((number()?, number()?)))
}
