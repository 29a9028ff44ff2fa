//! What is not about files: arguments, environment, clocks, random bytes, exit.

use super::errno::Errno;
use super::guest::{CHUNK, Failure, Fallible, Guest, end_of};
use crate::common::context::{WasiCtx, WasiView};
use crate::common::time::nanoseconds;
use crate::p2::cli::Exit;
use crate::p2::clocks::RESOLUTION_NANOSECONDS;
use std::os::unix::ffi::OsStrExt;
use std::time::UNIX_EPOCH;
use trampette_runtime::wait;

impl WasiCtx {
    /// The arguments, each with the 0 that ends it.
    fn argument_strings(&self) -> Vec<Vec<u8>> {
        let arguments = self.arguments.iter();
        let bytes = arguments.map(|argument| [argument.as_bytes(), b"\0"].concat());
        bytes.collect()
    }

    /// The environment, likewise.
    fn environment_strings(&self) -> Vec<Vec<u8>> {
        let variables = self.environment.iter();
        let bytes = variables
            .map(|(name, value)| [name.as_bytes(), b"=", value.as_bytes(), b"\0"].concat());
        bytes.collect()
    }
}

impl<T: WasiView> Guest<'_, T> {
    pub(super) fn args_get(&mut self, pointers: u32, bytes: u32) -> Fallible<()> {
        let strings = self.wasi().argument_strings();
        self.strings(&strings, pointers, bytes)
    }

    pub(super) fn args_sizes_get(&mut self, count: u32, size: u32) -> Fallible<()> {
        let strings = self.wasi().argument_strings();
        self.sizes(&strings, count, size)
    }

    pub(super) fn environ_get(&mut self, pointers: u32, bytes: u32) -> Fallible<()> {
        let strings = self.wasi().environment_strings();
        self.strings(&strings, pointers, bytes)
    }

    pub(super) fn environ_sizes_get(&mut self, count: u32, size: u32) -> Fallible<()> {
        let strings = self.wasi().environment_strings();
        self.sizes(&strings, count, size)
    }

    fn strings(&mut self, strings: &[Vec<u8>], pointers: u32, bytes: u32) -> Fallible<()> {
        let mut addresses = Vec::with_capacity(strings.len() * 4);
        let mut end = bytes;
        for string in strings {
            addresses.extend(end.to_le_bytes());
            let length = u32::try_from(string.len()).map_err(|_| Errno::OVERFLOW)?;
            end = end_of(end, length)?;
        }
        self.write(pointers, &addresses)?;
        Ok(self.write(bytes, &strings.concat())?)
    }

    fn sizes(&mut self, strings: &[Vec<u8>], count: u32, size: u32) -> Fallible<()> {
        let number = |number: usize| u32::try_from(number).map_err(|_| Errno::OVERFLOW);
        self.write_word(count, number(strings.len())?)?;
        let bytes = strings.iter().map(Vec::len).sum();
        Ok(self.write_word(size, number(bytes)?)?)
    }

    pub(super) fn clock_res_get(&mut self, clock: u32, to: u32) -> Fallible<()> {
        self.now(clock)?;
        Ok(self.write_long(to, RESOLUTION_NANOSECONDS.into())?)
    }

    pub(super) fn clock_time_get(&mut self, clock: u32, _precision: u64, to: u32) -> Fallible<()> {
        let now = self.now(clock)?;
        Ok(self.write_long(to, now)?)
    }

    /// What a clock shows. How much processor time the host has used is not the guest's.
    fn now(&mut self, clock: u32) -> Fallible<u64> {
        match clock {
            0 => {
                let since = self.wasi().clocks.wall().duration_since(UNIX_EPOCH);
                Ok(nanoseconds(since.unwrap_or_default()))
            }
            1 => Ok(self.wasi().clocks.monotonic()),
            2 | 3 => Err(Errno::NOTSUP.into()),
            _ => Err(Errno::INVAL.into()),
        }
    }

    pub(super) fn random_get(&mut self, to: u32, length: u32) -> Fallible<()> {
        let mut done = 0;
        while done < length {
            let part = (length - done).min(CHUNK);
            let mut bytes = vec![0; part as usize];
            self.wasi().random.fill(&mut bytes)?;
            self.write(end_of(to, done)?, &bytes)?;
            done += part;
            if done < length {
                wait::check()?;
            }
        }
        Ok(())
    }

    /// As natively, a program's exit code is the low byte of what it says.
    pub(super) fn proc_exit(&mut self, code: u32) -> Fallible<()> {
        Err(Failure::Exit(Exit(code as u8)))
    }

    pub(super) fn proc_raise(&mut self, _signal: u32) -> Fallible<()> {
        Err(Errno::NOTSUP.into())
    }

    pub(super) fn sched_yield(&mut self) -> Fallible<()> {
        std::thread::yield_now();
        Ok(())
    }
}
