//! `wasi:random`. The insecure interfaces are as good as the secure ones.

use crate::common::context::WasiCtx;
use crate::p2::bindings::wasi::random::{insecure, insecure_seed, random};
use anyhow::{Context, Result, ensure};
use rustix::io::Errno;
use rustix::rand::GetRandomFlags;
use trampette_runtime::wait;

/// The most bytes that one call gives; a guest's length must not size the host's memory.
const LIMIT: u64 = 64 << 20;

/// Bytes that the system is asked for at once: a few milliseconds at the most.
const PIECE: usize = 256 << 10;

fn bytes(length: u64) -> Result<Vec<u8>> {
    ensure!(
        length <= LIMIT,
        "a guest asked for {length} random bytes at once; the limit is {LIMIT}"
    );
    let mut bytes = vec![0; length as usize];
    fill(&mut bytes)?;
    Ok(bytes)
}

pub(crate) fn number() -> Result<u64> {
    let mut bytes = [0; 8];
    fill(&mut bytes)?;
    Ok(u64::from_le_bytes(bytes))
}

pub(crate) fn fill(mut rest: &mut [u8]) -> Result<()> {
    while !rest.is_empty() {
        wait::check()?;
        let end = rest.len().min(PIECE);
        match rustix::rand::getrandom(&mut rest[..end], GetRandomFlags::empty()) {
            Ok(count) => rest = &mut rest[count..],
            Err(Errno::INTR) => {}
            Err(error) => return Err(error).context("the system has no random bytes"),
        }
    }
    Ok(())
}

impl random::Host for WasiCtx {
    fn get_random_bytes(&mut self, len: u64) -> Result<Vec<u8>> {
        bytes(len)
    }

    fn get_random_u64(&mut self) -> Result<u64> {
        number()
    }
}

impl insecure::Host for WasiCtx {
    fn get_insecure_random_bytes(&mut self, len: u64) -> Result<Vec<u8>> {
        bytes(len)
    }

    fn get_insecure_random_u64(&mut self) -> Result<u64> {
        number()
    }
}

impl insecure_seed::Host for WasiCtx {
    fn insecure_seed(&mut self) -> Result<(u64, u64)> {
        Ok((number()?, number()?))
    }
}
