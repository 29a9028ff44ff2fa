//! The ways in which Trampette compiles a case. A new axis of `CompileOptions` is added here, and
//! nowhere else.

use crate::random::Random;
use trampette::CompileOptions;
use trampette::options::{Bounds, Inline, NanBits, OptLevel, Spectre};

/// Two ways, with and without inlining, that differ in every other axis too: but that without may
/// be optimised all the same, as inlining is only ever done together with optimisation.
pub fn variants(random: &mut Random) -> [CompileOptions; 2] {
    let optimised = random.percent(50);
    let explicit = random.percent(50);
    let mitigated = random.percent(50);
    [true, false].map(|inlined| CompileOptions {
        opt_level: match inlined || optimised {
            true => OptLevel::Speed,
            false => OptLevel::None,
        },
        inline: match inlined {
            true => Inline::Worthwhile,
            false => Inline::Never,
        },
        bounds: match explicit == inlined {
            true => Bounds::Explicit,
            false => Bounds::Guard,
        },
        spectre: match mitigated == inlined {
            true => Spectre::Mitigated,
            false => Spectre::Ignored,
        },
        // As the peer is told to.
        nan: NanBits::Canonical,
        threads: Some(1),
        ..CompileOptions::default()
    })
}

/// The options in a few words.
pub fn describe(options: &CompileOptions) -> String {
    options.describe()
}
