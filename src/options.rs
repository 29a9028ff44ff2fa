//! [`CompileOptions`]: what a user of the compiler can choose.

pub use crate::codegen::isa::{OptLevel, TargetCpu};
use crate::component::ParseOptions;
pub use crate::component::wit::{Wit, World};
use crate::inline::heuristics::Tunables;
pub use crate::program::Bounds;
use anyhow::Result;
use cranelift_codegen::isa::OwnedTargetIsa;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// How to compile.
#[derive(Clone, Debug, Default)]
pub struct CompileOptions {
    /// How much to optimise.
    pub opt_level: OptLevel,
    /// Whether calls are replaced by the callee's body where that is worth it. Not at
    /// [`OptLevel::None`].
    pub inline: Inline,
    /// The processors that the code must run on. The default is a fixed level, not this machine's,
    /// so that the same input gives the same bytes anywhere.
    pub target_cpu: TargetCpu,
    /// How accesses to linear memories are checked.
    pub bounds: Bounds,
    /// Which bits a NaN has that an instruction makes.
    pub nan: NanBits,
    /// Whether accesses that are checked by code are guarded against speculation.
    pub spectre: Spectre,
    /// Worker threads; `None` for one a core. The bytes do not depend on it.
    pub threads: Option<usize>,
    /// The import that provides unsafe intrinsics; without it such an import is an ordinary one.
    pub unsafe_intrinsics_import: Option<String>,
    /// The core modules that the component imports, by name: the import's, or for a module in an
    /// imported instance the chain of names with `#` between them. They become part of the artifact.
    /// A core module on its own imports from them by the first of an import's two names.
    pub core_modules: BTreeMap<String, Vec<u8>>,
    /// A world that the component must fit; nothing is compiled if it does not.
    pub world: Option<World>,
}

/// Whether calls are inlined.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Inline {
    /// Where it is worth it.
    #[default]
    Worthwhile,
    /// Never.
    Never,
}

/// Which bits a NaN has that an instruction makes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum NanBits {
    /// What the processor gives, as the specification allows.
    #[default]
    Any,
    /// Always the canonical ones, so that results are the same on every processor.
    Canonical,
}

/// What an access may touch that a processor carries out speculatively, past a bounds check that it has
/// mispredicted (Spectre, variant 1). Accesses that guard pages check cannot go out of bounds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Spectre {
    /// Whatever its address is.
    #[default]
    Ignored,
    /// The start of the memory or table: behind each check by code, an address out of bounds is replaced
    /// without a branch.
    Mitigated,
}

impl CompileOptions {
    /// What code is generated for.
    ///
    /// # Errors
    /// If the code generator refuses the settings.
    pub fn isa(&self) -> Result<OwnedTargetIsa> {
        crate::codegen::isa::isa_with(self.opt_level, &self.target_cpu, self.nan, self.spectre)
    }

    /// How calls are inlined; `None` if none is.
    pub fn inlining(&self) -> Option<Tunables> {
        let wanted = self.inline == Inline::Worthwhile && self.opt_level != OptLevel::None;
        wanted.then(Tunables::default)
    }

    /// What parsing needs: the component with the core modules behind it, and where they are.
    pub fn input<'w>(&self, wasm: &'w [u8]) -> (Cow<'w, [u8]>, ParseOptions) {
        let mut bytes = Cow::Borrowed(wasm);
        let mut core_modules = BTreeMap::new();
        for (name, module) in &self.core_modules {
            let start = bytes.len();
            bytes.to_mut().extend_from_slice(module);
            core_modules.insert(name.clone(), start..bytes.len());
        }
        let options = ParseOptions {
            unsafe_intrinsics_import: self.unsafe_intrinsics_import.clone(),
            core_modules,
        };
        (bytes, options)
    }

    /// What the artifact says it is for.
    pub fn target(&self) -> crate::link::Target {
        crate::link::Target {
            name: self.target_cpu.architecture().to_string(),
            cpu_features: self
                .target_cpu
                .cpu_feature_names()
                .iter()
                .map(|name| name.to_string())
                .collect(),
            options: format!(
                "opt-level={} target-cpu={} bounds={}{}{}{}",
                self.opt_level.name(),
                self.target_cpu.name(),
                self.bounds.name(),
                match self.nan {
                    NanBits::Any => "",
                    NanBits::Canonical => " canonical-nans",
                },
                match self.inline {
                    Inline::Worthwhile => "",
                    Inline::Never => " no-inline",
                },
                match self.spectre {
                    Spectre::Ignored => "",
                    Spectre::Mitigated => " spectre-mitigations",
                }
            ),
        }
    }
}
