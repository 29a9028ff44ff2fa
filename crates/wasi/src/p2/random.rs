//! `wasi:random`. The insecure interfaces are as good as the secure ones.

use crate::common::context::WasiCtx;
use crate::p2::bindings::wasi::random::{insecure, insecure_seed, random};
use anyhow::{Result, ensure};

/// The most bytes that one call gives; a guest's length must not size the host's memory.
const LIMIT: u64 = 64 << 20;

impl WasiCtx {
    /// As many random bytes as a guest of 0.2 asks for.
    fn random_bytes(&mut self, length: u64) -> Result<Vec<u8>> {
        ensure!(
            length <= LIMIT,
            "a guest asked for {length} random bytes at once; the limit is {LIMIT}"
        );
        let mut bytes = vec![0; length as usize];
        self.random.fill(&mut bytes)?;
        Ok(bytes)
    }
}

impl random::Host for WasiCtx {
    fn get_random_bytes(&mut self, len: u64) -> Result<Vec<u8>> {
        self.random_bytes(len)
    }

    fn get_random_u64(&mut self) -> Result<u64> {
        self.random.number()
    }
}

impl insecure::Host for WasiCtx {
    fn get_insecure_random_bytes(&mut self, len: u64) -> Result<Vec<u8>> {
        self.random_bytes(len)
    }

    fn get_insecure_random_u64(&mut self) -> Result<u64> {
        self.random.number()
    }
}

impl insecure_seed::Host for WasiCtx {
    fn insecure_seed(&mut self) -> Result<(u64, u64)> {
        Ok((self.random.number()?, self.random.number()?))
    }
}
