//! The target: which CPU code is made for, and the Cranelift settings that the design rests on.
//!
//! Code is position independent because every reference is PC-relative and colocated, not because
//! Cranelift is told so: with `is_pic` it would load even colocated addresses from a table.

use crate::options::{NanBits, Spectre};
use anyhow::{Context, Result, anyhow};
use cranelift_codegen::isa::{self, OwnedTargetIsa, TargetIsa};
use cranelift_codegen::settings::{self, Configurable};
use std::fmt;
use std::str::FromStr;
use trampette_artifact::cpu::{CpuFeature, CpuLevel, FEATURES};

/// How much Cranelift optimises.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum OptLevel {
    /// Compile quickly.
    None,
    /// Make code fast.
    #[default]
    Speed,
    /// Make code fast and small.
    SpeedAndSize,
}

impl OptLevel {
    /// The name, as Cranelift's setting and the command line spell it.
    pub fn name(self) -> &'static str {
        match self {
            OptLevel::None => "none",
            OptLevel::Speed => "speed",
            OptLevel::SpeedAndSize => "speed_and_size",
        }
    }
}

impl FromStr for OptLevel {
    type Err = anyhow::Error;

    /// The command line's levels: `0`, `1` (fast and small) and `2` (fast).
    fn from_str(level: &str) -> Result<Self> {
        match level {
            "0" => Ok(OptLevel::None),
            "1" => Ok(OptLevel::SpeedAndSize),
            "2" => Ok(OptLevel::Speed),
            _ => Err(anyhow!(
                "unknown optimisation level `{level}`; known are 0, 1 and 2"
            )),
        }
    }
}

/// The CPU that code is made for: a level of the x86-64 psABI, or the machine that compiles.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum TargetCpu {
    /// x86-64-v2: SSE4.2 and POPCNT.
    V2,
    /// x86-64-v3: and AVX2, BMI, FMA.
    #[default]
    V3,
    /// x86-64-v4: and AVX-512 F, DQ, VL.
    V4,
    /// Whatever the compiling machine has.
    Native,
}

impl TargetCpu {
    /// Every target, in order.
    pub const ALL: &[TargetCpu] = &[
        TargetCpu::V2,
        TargetCpu::V3,
        TargetCpu::V4,
        TargetCpu::Native,
    ];

    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            TargetCpu::V2 => "x86-64-v2",
            TargetCpu::V3 => "x86-64-v3",
            TargetCpu::V4 => "x86-64-v4",
            TargetCpu::Native => "native",
        }
    }

    /// The architecture, as the artifact's header records it.
    pub fn architecture(self) -> &'static str {
        "x86_64"
    }

    /// The level; `None` for the machine that compiles.
    fn level(self) -> Option<CpuLevel> {
        match self {
            TargetCpu::V2 => Some(CpuLevel::V2),
            TargetCpu::V3 => Some(CpuLevel::V3),
            TargetCpu::V4 => Some(CpuLevel::V4),
            TargetCpu::Native => None,
        }
    }

    fn features(self) -> impl Iterator<Item = &'static CpuFeature> {
        FEATURES.iter().filter(move |feature| match self.level() {
            Some(level) => feature.level.is_some_and(|since| since <= level),
            None => feature.is_present(),
        })
    }

    /// Names of the CPU features that code for this target may use, as the standard library's
    /// feature detection spells them; the artifact's header records them.
    pub fn cpu_feature_names(self) -> Vec<&'static str> {
        self.features().map(|feature| feature.name).collect()
    }
}

impl fmt::Display for TargetCpu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for TargetCpu {
    type Err = anyhow::Error;

    fn from_str(name: &str) -> Result<Self> {
        let found = Self::ALL.iter().find(|cpu| cpu.name() == name);
        found.copied().ok_or_else(|| {
            let names: Vec<_> = Self::ALL.iter().map(|cpu| cpu.name()).collect();
            anyhow!(
                "unknown target CPU `{name}`; known are {}",
                names.join(", ")
            )
        })
    }
}

/// The target instruction set, with every setting that the design rests on.
///
/// # Errors
/// If this build of Cranelift lacks the target or a setting.
pub fn isa(level: OptLevel, target: &TargetCpu) -> Result<OwnedTargetIsa> {
    isa_with(level, target, NanBits::Any, Spectre::Ignored)
}

/// The same, with a choice for NaNs and speculation.
///
/// # Errors
/// As [`isa()`].
pub fn isa_with(
    level: OptLevel,
    target: &TargetCpu,
    nan: NanBits,
    spectre: Spectre,
) -> Result<OwnedTargetIsa> {
    let mitigation = match spectre {
        Spectre::Ignored => "false",
        Spectre::Mitigated => "true",
    };
    let canonical_nans = match nan {
        NanBits::Any => "false",
        NanBits::Canonical => "true",
    };
    let verifier = if cfg!(debug_assertions) {
        "true"
    } else {
        "false"
    };
    let shared = [
        ("opt_level", level.name()),
        ("enable_verifier", verifier),
        ("enable_nan_canonicalization", canonical_nans),
        // What translators of bounds checks ask for, and Cranelift for its own jump tables.
        ("enable_heap_access_spectre_mitigation", mitigation),
        ("enable_table_access_spectre_mitigation", mitigation),
        // Only PC-relative references: see the module's comment.
        ("is_pic", "false"),
        ("use_colocated_libcalls", "true"),
        ("libcall_call_conv", "system_v"),
        // Guest code runs on stacks with one guard page, which no frame may step over.
        ("enable_probestack", "true"),
        ("probestack_strategy", "inline"),
        // Backtraces and the raise stub walk frame pointers; debuggers and profilers read the rest.
        ("preserve_frame_pointers", "true"),
        ("unwind_info", "true"),
        // Core functions have any number of results.
        ("enable_multi_ret_implicit_sret", "true"),
    ];
    let mut flags = settings::builder();
    for (name, value) in shared {
        flags
            .set(name, value)
            .with_context(|| format!("Cranelift refuses the setting {name} = {value}"))?;
    }
    let triple = format!("{}-unknown-linux-gnu", target.architecture());
    let mut builder = isa::lookup_by_name(&triple)
        .with_context(|| format!("Cranelift cannot compile for {triple}"))?;
    for feature in target.features() {
        builder.enable(feature.cranelift_flag).with_context(|| {
            format!(
                "Cranelift does not know the feature {}",
                feature.cranelift_flag
            )
        })?;
    }
    builder
        .finish(settings::Flags::new(flags))
        .with_context(|| format!("Cranelift's settings for {target} contradict each other"))
}

/// The same target and settings with the register allocator that needs linear time, and makes slower
/// code.
///
/// # Errors
/// As [`isa()`].
pub fn for_large_functions(isa: &dyn TargetIsa) -> Result<OwnedTargetIsa> {
    let mut flags = settings::builder();
    for flag in isa.flags().iter() {
        flags.set(flag.name, &flag.value_string())?;
    }
    flags.set("regalloc_algorithm", "single_pass")?;
    let mut builder = isa::lookup(isa.triple().clone())?;
    for flag in isa.isa_flags() {
        builder.set(flag.name, &flag.value_string())?;
    }
    Ok(builder.finish(settings::Flags::new(flags))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_target_and_level_exists() {
        for cpu in TargetCpu::ALL {
            assert_eq!(cpu.name().parse::<TargetCpu>().unwrap(), *cpu);
            for level in [OptLevel::None, OptLevel::Speed, OptLevel::SpeedAndSize] {
                let isa = isa(level, cpu).unwrap();
                assert!(!isa.flags().is_pic());
                assert!(isa.flags().preserve_frame_pointers());
            }
        }
        let error = "pentium".parse::<TargetCpu>().unwrap_err().to_string();
        assert!(error.contains("x86-64-v3"), "{error}");
    }

    #[test]
    fn levels_contain_each_other() {
        let names = TargetCpu::cpu_feature_names;
        assert_eq!(
            names(TargetCpu::V2),
            ["sse3", "ssse3", "sse4.1", "sse4.2", "cmpxchg16b", "popcnt"]
        );
        assert!(names(TargetCpu::V3).starts_with(&names(TargetCpu::V2)));
        assert!(names(TargetCpu::V4).starts_with(&names(TargetCpu::V3)));
        assert!(names(TargetCpu::V4).contains(&"avx512f"));
    }
}
