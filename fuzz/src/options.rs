//! The ways in which Trampette compiles a case. A new axis of `CompileOptions` is added here, and
//! nowhere else.

use crate::random::Random;
use trampette::CompileOptions;
use trampette::options::{Bounds, NanBits, OptLevel};

/// Two ways that differ in every axis.
pub fn variants(random: &mut Random) -> [CompileOptions; 2] {
    let optimised = random.percent(50);
    let explicit = random.percent(50);
    [(optimised, explicit), (!optimised, !explicit)].map(|(optimised, explicit)| CompileOptions {
        opt_level: match optimised {
            true => OptLevel::Speed,
            false => OptLevel::None,
        },
        bounds: match explicit {
            true => Bounds::Explicit,
            false => Bounds::Guard,
        },
        // As the peer is told to.
        nan: NanBits::Canonical,
        threads: Some(1),
        ..CompileOptions::default()
    })
}

/// The options in a few words.
pub fn describe(options: &CompileOptions) -> String {
    options.target().options
}
