//! `wasi:random`. The insecure interfaces are as good as the secure ones.

use crate::common::context::WasiCtx;
use crate::p3::bindings::wasi::random::{insecure, insecure_seed, random};
use anyhow::Result;

/// The most bytes that one call gives, whatever the guest asks for.
const LIMIT: u64 = 1 << 20;

impl WasiCtx {
    /// At most as many random bytes as a guest of 0.3 asks for.
    fn some_random_bytes(&mut self, most: u64) -> Result<Vec<u8>> {
        let mut bytes = vec![0; most.min(LIMIT) as usize];
        self.random.fill(&mut bytes)?;
        Ok(bytes)
    }
}

impl random::Host for WasiCtx {
    fn get_random_bytes(&mut self, max_len: u64) -> Result<Vec<u8>> {
        self.some_random_bytes(max_len)
    }

    fn get_random_u64(&mut self) -> Result<u64> {
        self.random.number()
    }
}

impl insecure::Host for WasiCtx {
    fn get_insecure_random_bytes(&mut self, max_len: u64) -> Result<Vec<u8>> {
        self.some_random_bytes(max_len)
    }

    fn get_insecure_random_u64(&mut self) -> Result<u64> {
        self.random.number()
    }
}

impl insecure_seed::Host for WasiCtx {
    fn get_insecure_seed(&mut self) -> Result<(u64, u64)> {
        match self.insecure_seed {
            Some(seed) => Ok(seed),
            None => {
                let seed = (self.random.number()?, self.random.number()?);
                Ok(*self.insecure_seed.insert(seed))
            }
        }
    }
}
