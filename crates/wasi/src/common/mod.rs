//! What no version of WASI owns: what a guest sees, and what it has open.
//!
//! | file | subject |
//! | --- | --- |
//! | `context` | what a guest sees: `WasiCtx` and its builder |
//! | `stdio` | what a guest's standard streams are |
//! | `failure` | why a function of an interface fails |
//! | `budget` | how many file descriptors of the host's a guest holds |
//! | `quota` | how many bytes a guest makes its host keep |
//! | `reactor`, `outcome` | waiting without the thread; values that are known later |
//! | `clocks`, `time`, `random` | the clocks and random bytes that a guest has; its times |
//! | `bytes` | where bytes come from and go to, without waiting with the thread |
//! | `network` | what a guest may reach, sockets |
//! | `beneath` | lookups that do not leave a directory |
//! | `descriptor`, `paths`, `directory` | files and directories |
//! | `read_only_tests` | tests: directories that are given to read only |
//! | `determinism_tests` | tests: clocks and random bytes of the host's own |
//! | `file_reads_tests` | tests: who reads files for streams of 0.3 |
//! | `blocking`, `bell` | waits that let other tasks go on; what futures wake a thread by |
//!
//! A type that all versions have (`error-code`, `descriptor-flags`, …) is that of 0.2 here.

#[cfg(feature = "http")]
pub(crate) mod bell;
mod beneath;
pub(crate) mod blocking;
pub(crate) mod budget;
pub(crate) mod bytes;
pub(crate) mod clocks;
pub(crate) mod context;
pub(crate) mod descriptor;
#[cfg(test)]
mod determinism_tests;
pub(crate) mod directory;
pub(crate) mod failure;
#[cfg(test)]
mod file_reads_tests;
pub(crate) mod network;
pub(crate) mod outcome;
mod paths;
#[cfg(any(feature = "http", feature = "keyvalue"))]
pub(crate) mod quota;
pub(crate) mod random;
pub(crate) mod reactor;
#[cfg(test)]
mod read_only_tests;
pub(crate) mod stdio;
pub(crate) mod time;
