//! Features of processors that compiled code may use: one table, from which the compiler takes what
//! a level means and the loader whether this machine has what an artifact asks for.

/// A level of the x86-64 psABI; each contains those before it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum CpuLevel {
    /// x86-64-v2: SSE4.2 and POPCNT.
    V2,
    /// x86-64-v3: and AVX2, BMI, FMA.
    V3,
    /// x86-64-v4: and AVX-512 F, DQ, VL.
    V4,
}

/// A feature of processors that the code generator makes use of.
#[derive(Debug)]
pub struct CpuFeature {
    /// The standard library's name, which artifacts record.
    pub name: &'static str,
    /// Cranelift's flag.
    pub cranelift_flag: &'static str,
    /// The first level that has it; `None` if no level does.
    pub level: Option<CpuLevel>,
    detect: fn() -> bool,
}

impl CpuFeature {
    /// Whether this machine has it.
    pub fn is_present(&self) -> bool {
        (self.detect)()
    }
}

/// The feature of that name; `None` if no compiler of this version uses one so called.
pub fn feature(name: &str) -> Option<&'static CpuFeature> {
    FEATURES.iter().find(|feature| feature.name == name)
}

macro_rules! features {
    ($($name:tt, $flag:literal, $level:expr;)*) => {
        &[$(CpuFeature {
            name: $name,
            cranelift_flag: $flag,
            level: $level,
            #[cfg(target_arch = "x86_64")]
            detect: || std::arch::is_x86_feature_detected!($name),
            #[cfg(not(target_arch = "x86_64"))]
            detect: || false,
        },)*]
    };
}

/// Every feature, by level.
pub static FEATURES: &[CpuFeature] = features! {
    "sse3", "has_sse3", Some(CpuLevel::V2);
    "ssse3", "has_ssse3", Some(CpuLevel::V2);
    "sse4.1", "has_sse41", Some(CpuLevel::V2);
    "sse4.2", "has_sse42", Some(CpuLevel::V2);
    "cmpxchg16b", "has_cmpxchg16b", Some(CpuLevel::V2);
    "popcnt", "has_popcnt", Some(CpuLevel::V2);
    "avx", "has_avx", Some(CpuLevel::V3);
    "avx2", "has_avx2", Some(CpuLevel::V3);
    "bmi1", "has_bmi1", Some(CpuLevel::V3);
    "bmi2", "has_bmi2", Some(CpuLevel::V3);
    "fma", "has_fma", Some(CpuLevel::V3);
    "lzcnt", "has_lzcnt", Some(CpuLevel::V3);
    "avx512f", "has_avx512f", Some(CpuLevel::V4);
    "avx512dq", "has_avx512dq", Some(CpuLevel::V4);
    "avx512vl", "has_avx512vl", Some(CpuLevel::V4);
    "avx512bitalg", "has_avx512bitalg", None;
    "avx512vbmi", "has_avx512vbmi", None;
    "avx512vnni", "has_avx512vnni", None;
    "avxvnni", "has_avx_vnni", None;
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_feature_has_a_name_of_its_own_and_stands_by_level() {
        for (index, one) in FEATURES.iter().enumerate() {
            let others = &FEATURES[index + 1..];
            assert!(others.iter().all(|other| one.name != other.name));
            assert!(
                others
                    .iter()
                    .all(|other| one.cranelift_flag != other.cranelift_flag)
            );
            assert!(std::ptr::eq(feature(one.name).unwrap(), one));
        }
        assert!(feature("3dnow").is_none());
        let levels = FEATURES.iter().map_while(|feature| feature.level);
        assert!(levels.is_sorted());
    }
}
