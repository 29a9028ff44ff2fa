//! What Trampette's compiler writes and its runtime reads.
//!
//! One definition per layout: the compiler bakes these offsets, keys and encodings into code and
//! sections, the runtime reads the same ones. Nothing here compiles or runs anything.
//!
//! | module | subject |
//! | --- | --- |
//! | [`ids`] | typed indices |
//! | [`key`] | [`key::FuncKey`]: the identity of everything that is compiled |
//! | [`builtin`] | services of the runtime that compiled code calls, and their signatures |
//! | [`trap`] | trap codes and their canonical texts |
//! | [`types`] | component-level types, interned |
//! | [`spelling`] | those types as WIT spells them |
//! | [`facts`] | what is known about each of them: sizes, flat types, what it holds |
//! | [`canonical`] | Canonical ABI sizes, alignments and flattening of those types |
//! | [`native`] | the C layout of those types on the host's side |
//! | [`cpu`] | features of processors that code may use |
//! | [`layout`] | slabs, the context, the root, handle tables |
//! | [`metadata`] | what an artifact says about itself: imports, exports, slabs, modules |
//! | [`world`] | what a component imports, with the names of types |
//! | [`names`] | function names, searched in place |
//! | [`sites`] | places in code that a trap or a backtrace can name |
//! | [`tables`] | raw sorted arrays read in place: functions, entries, inlined calls, handlers |
//! | [`tasks`] | tasks, streams and futures: records, entries, numbers |
//! | [`crc`] | the checksum of the file, for debuggers |
//! | [`demangle`] | names of functions, as they were written |
//! | [`dwarf`] | which of a guest's DWARF sections are kept |
//! | [`text`] | names of guests, as they may be shown |
//! | [`header`] | the identification section: versions, target, checksums |

#![cfg_attr(not(test), warn(unreachable_pub))]

pub mod builtin;
pub mod canonical;
pub mod cpu;
pub mod crc;
pub mod demangle;
pub mod dwarf;
pub mod facts;
pub mod header;
pub mod ids;
pub mod key;
pub mod layout;
pub mod metadata;
pub mod names;
pub mod native;
pub mod sites;
pub mod spelling;
pub mod tables;
pub mod tasks;
pub mod text;
pub mod trap;
pub mod types;
pub mod world;
