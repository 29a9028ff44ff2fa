//! The machine that guest code runs on: stores, instances, entering and leaving, services.
//!
//! The files of this room refer to each other in a circle, since they are the parts of one
//! mechanism.
//!
//! | file | subject |
//! | --- | --- |
//! | `store` | `Store`: the embedder's data and what instances share |
//! | `limits`, `ledger` | what guests may make their host spend, and have made it spend |
//! | `instance` | an instance: roots filled, entries called with native-layout structs |
//! | `entering` | … and entered: by whom, and what comes of it |
//! | `instance_limits` | what a new one needs, against the limits of its store |
//! | `entry_code` | addresses of code, typed by what the code takes |
//! | `failure` | errors and panics of the embedder's code, on their way past guest code |
//! | `thread` | the call that a thread runs, and how much of its stack guest code may use |
//! | `stacks` | the stacks that a store's guests can be suspended on |
//! | `accessor` | how such futures get at their store |
//! | `settling` | how they wait until a store has nothing more to do |
//! | `entrances` | … or until a call could begin |
//! | `reactor`, `blocks` | futures of the host that go on while guests do; their memory |
//! | `activation`, `traps` | entering guest code, and leaving it by a trap |
//! | `signals`, `hook` | the fault handler, and whoever handled the signals before |
//! | `interrupt`, `timer` | `InterruptHandle`, deadlines: stopping calls from other threads |
//! | `wait` | waits that end with the call: of the runtime and of host functions |
//! | `parking` | … and of whoever drives a store with nothing to do |
//! | `exceptions` | objects that guest code throws, and finding who catches them |
//! | `error_contexts` | the messages of a store's error contexts |
//! | `handles` | handle tables as compiled code sees them |
//! | `services`, `transcode` | what compiled code calls |
//! | `steps` | … and how an interrupt ends it in the middle |

pub(crate) mod accessor;
pub(crate) mod activation;
pub(crate) mod blocks;
mod entering;
pub(crate) mod entrances;
pub(crate) mod entry_code;
pub(crate) mod error_contexts;
pub(crate) mod exceptions;
pub(crate) mod failure;
pub(crate) mod handles;
pub(crate) mod hook;
pub(crate) mod instance;
mod instance_limits;
pub(crate) mod interrupt;
pub(crate) mod ledger;
pub(crate) mod limits;
pub(crate) mod parking;
pub(crate) mod reactor;
pub(crate) mod services;
pub(crate) mod settling;
pub(crate) mod signals;
pub(crate) mod stacks;
pub(crate) mod steps;
pub(crate) mod store;
pub(crate) mod thread;
pub(crate) mod timer;
pub(crate) mod transcode;
pub(crate) mod traps;
pub mod wait;
