//! The target: which CPU code is made for, and the Cranelift settings that the design rests on.
//!
//! Code is position independent because every reference is PC-relative and colocated, not because
//! Cranelift is told so: with `is_pic` it would load even colocated addresses from a table.

use crate::options::{CompileOptions, NanBits, Spectre};
use anyhow::{Context, Result};
use cranelift_codegen::isa::{self, OwnedTargetIsa, TargetIsa};
use cranelift_codegen::settings::{self, Configurable};

/// The target instruction set of the options, with every setting that the design rests on.
///
/// # Errors
/// If this build of Cranelift lacks the target or a setting.
pub(crate) fn isa(options: &CompileOptions) -> Result<OwnedTargetIsa> {
    let target = options.target_cpu;
    let mitigation = match options.spectre {
        Spectre::Ignored => "false",
        Spectre::Mitigated => "true",
    };
    let canonical_nans = match options.nan {
        NanBits::Any => "false",
        NanBits::Canonical => "true",
    };
    let verifier = if cfg!(debug_assertions) {
        "true"
    } else {
        "false"
    };
    let shared = [
        ("opt_level", options.opt_level.name()),
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
        // Where loops begin: interrupts name them.
        ("machine_code_cfg_info", "true"),
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

/// The same target and settings with the register allocator that needs linear time, and makes
/// slower code.
///
/// # Errors
/// As [`isa()`].
pub(crate) fn for_large_functions(isa: &dyn TargetIsa) -> Result<OwnedTargetIsa> {
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
    use crate::options::{OptLevel, TargetCpu};

    #[test]
    fn every_target_and_level_exists() {
        for cpu in TargetCpu::ALL {
            assert_eq!(cpu.name().parse::<TargetCpu>().unwrap(), *cpu);
            for level in [OptLevel::None, OptLevel::Speed, OptLevel::SpeedAndSize] {
                let isa = isa(&CompileOptions {
                    opt_level: level,
                    target_cpu: *cpu,
                    ..CompileOptions::default()
                });
                let isa = isa.unwrap();
                assert!(!isa.flags().is_pic());
                assert!(isa.flags().preserve_frame_pointers());
            }
        }
        let error = "pentium".parse::<TargetCpu>().unwrap_err().to_string();
        assert!(error.contains("x86-64-v3"), "{error}");
    }
}
