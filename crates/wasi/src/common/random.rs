//! Random bytes as a guest gets them: [`RandomSource`], [`SeededRandom`].

use anyhow::{Context, Result};
use rustix::io::Errno;
use rustix::rand::GetRandomFlags;
use trampette_runtime::wait;

/// Bytes that the system is asked for at once: a few milliseconds at the most.
const PIECE: usize = 256 << 10;

/// Where a guest's random bytes come from. A closure that fills bytes is one.
///
/// ```
/// use trampette_wasi::WasiCtxBuilder;
///
/// let wasi = WasiCtxBuilder::new().random(|bytes: &mut [u8]| bytes.fill(4)).build();
/// # let _ = wasi;
/// ```
pub trait RandomSource: Send + Sync + 'static {
    /// Fills bytes with the next ones. How many are asked for at once depends on the guest, and on
    /// its version of WASI.
    fn fill(&mut self, bytes: &mut [u8]);
}

impl<F: FnMut(&mut [u8]) + Send + Sync + 'static> RandomSource for F {
    fn fill(&mut self, bytes: &mut [u8]) {
        self(bytes);
    }
}

/// The same bytes from the same seed, however they are asked for: for guests that are to do the
/// same again. Whoever knows some of them knows the rest: not for keys.
///
/// ```
/// use trampette_wasi::{RandomSource, SeededRandom, WasiCtxBuilder};
///
/// let (mut whole, mut parts) = ([0; 20], [0; 20]);
/// SeededRandom::new(7).fill(&mut whole);
/// let mut source = SeededRandom::new(7);
/// parts.chunks_mut(3).for_each(|part| source.fill(part));
/// assert_eq!(whole, parts);
/// let wasi = WasiCtxBuilder::new().random(SeededRandom::new(7)).build();
/// # let _ = wasi;
/// ```
#[derive(Clone, Debug)]
pub struct SeededRandom {
    /// Of SplitMix64.
    state: u64,
    /// What is left of the last number.
    rest: u64,
    /// Its bytes.
    left: u32,
}

impl SeededRandom {
    /// The bytes of a seed.
    pub fn new(seed: u64) -> SeededRandom {
        SeededRandom {
            state: seed,
            rest: 0,
            left: 0,
        }
    }

    fn number(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

impl RandomSource for SeededRandom {
    fn fill(&mut self, bytes: &mut [u8]) {
        for byte in bytes {
            if self.left == 0 {
                (self.rest, self.left) = (self.number(), 8);
            }
            *byte = self.rest as u8;
            self.rest >>= 8;
            self.left -= 1;
        }
    }
}

/// The source of a context: the system's, unless the host has set another one.
#[derive(Default)]
pub(crate) struct Random(pub(crate) Option<Box<dyn RandomSource>>);

impl Random {
    /// # Errors
    /// If the system has none, or the call is interrupted.
    pub(crate) fn fill(&mut self, mut rest: &mut [u8]) -> Result<()> {
        while !rest.is_empty() {
            wait::check()?;
            let end = rest.len().min(PIECE);
            if let Some(source) = &mut self.0 {
                source.fill(&mut rest[..end]);
                rest = &mut rest[end..];
                continue;
            }
            match rustix::rand::getrandom(&mut rest[..end], GetRandomFlags::empty()) {
                Ok(count) => rest = &mut rest[count..],
                Err(Errno::INTR) => {}
                Err(error) => return Err(error).context("the system has no random bytes"),
            }
        }
        Ok(())
    }

    /// # Errors
    /// As [`Random::fill`].
    pub(crate) fn number(&mut self) -> Result<u64> {
        let mut bytes = [0; 8];
        self.fill(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }
}
