//! Tasks: guest code that waits while other guest code runs.
//!
//! | file | subject |
//! | --- | --- |
//! | `switch` | leaving one stack for another, in machine code |
//! | `chain` | resuming and suspending pooled stacks, and how a trap passes between them |
//! | `queue`, `records` | lists without memory of their own; the records of tasks, sets and ends |
//! | `state` | what an instance has for its tasks: the pool, the queues, the gates |
//! | `builtins`, `handles` | what compiled code calls; handles of subtasks, sets and ends |
//! | `calls`, `body` | a call as its caller sees it; what the task runs on its stack |
//! | `gate`, `scheduler` | who may enter an instance, who can go on, and in which order |
//! | `block` | waiting on a stack of its own, or in place behind a barrier |
//! | `host_calls` | host functions that are not done at once |
//! | `threads` | threads that name each other |
//! | `waitables` | events and waitable sets |
//! | `cancel` | cancelling subtasks |
//! | `ends`, `end_calls` | streams and futures: the state machine, and its built-ins |
//! | `elements` | … and how elements move |
//! | `host_ends`, `parties` | ends that the host has; what it reads and writes with |
//! | `event_loop` | calls of the host's that wait on their thread |
//! | `driven` | … and who takes their results |
//! | `driver` | … and those that futures wait for |
//! | `exits` | … of which they want to know when they are over altogether |
//! | `patient` | calls that are not `async`, and wait for the host with all of their stack |
//! | `turns` | what both do while there is something to do |
//! | `report` | who waits for what, when nothing can go on |
//!
//! The stacks themselves are in `memory/stack_pool.rs`; those of a store are counted, and searched
//! for references, in `machine/stacks.rs`.

mod block;
mod body;
pub(crate) mod builtins;
mod calls;
mod cancel;
pub(crate) mod chain;
mod driven;
pub(crate) mod driver;
mod elements;
mod end_calls;
mod ends;
pub(crate) mod event_loop;
pub(crate) mod exits;
mod gate;
mod handles;
mod host_calls;
pub(crate) mod host_ends;
pub(crate) mod parties;
pub(crate) mod patient;
mod queue;
pub(crate) mod records;
mod report;
mod scheduler;
pub(crate) mod state;
pub(crate) mod switch;
mod threads;
mod turns;
mod waitables;

#[cfg(test)]
mod tasks_tests;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
