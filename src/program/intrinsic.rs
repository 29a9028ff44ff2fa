//! The types of unsafe intrinsics, at component level and in core code.

use super::module::{CoreSignature, CoreType};
use trampette_artifact::key::Intrinsic;
use trampette_artifact::types::Type;

/// The component-level type of an intrinsic.
pub(crate) fn intrinsic_type(intrinsic: Intrinsic) -> (Vec<Type>, Option<Type>) {
    use Intrinsic as I;
    let address = Type::U64;
    let value = match intrinsic {
        I::StoreDataAddress => return (Vec::new(), Some(address)),
        I::U8NativeLoad | I::U8NativeStore | I::U8CheckedNativeLoad | I::U8CheckedNativeStore => {
            Type::U8
        }
        I::U16NativeLoad
        | I::U16NativeStore
        | I::U16CheckedNativeLoad
        | I::U16CheckedNativeStore => Type::U16,
        I::U32NativeLoad
        | I::U32NativeStore
        | I::U32CheckedNativeLoad
        | I::U32CheckedNativeStore => Type::U32,
        I::U64NativeLoad
        | I::U64NativeStore
        | I::U64CheckedNativeLoad
        | I::U64CheckedNativeStore => Type::U64,
    };
    match intrinsic {
        I::StoreDataAddress
        | I::U8NativeLoad
        | I::U16NativeLoad
        | I::U32NativeLoad
        | I::U64NativeLoad => (vec![address], Some(value)),
        I::U8NativeStore | I::U16NativeStore | I::U32NativeStore | I::U64NativeStore => {
            (vec![address, value], None)
        }
        I::U8CheckedNativeLoad
        | I::U16CheckedNativeLoad
        | I::U32CheckedNativeLoad
        | I::U64CheckedNativeLoad => (vec![address; 3], Some(value)),
        I::U8CheckedNativeStore
        | I::U16CheckedNativeStore
        | I::U32CheckedNativeStore
        | I::U64CheckedNativeStore => (vec![address, address, address, value], None),
    }
}

/// The core type of an unsafe intrinsic.
pub(crate) fn intrinsic_signature(intrinsic: Intrinsic) -> CoreSignature {
    let (params, result) = intrinsic_type(intrinsic);
    let core = |ty: Type| match ty {
        Type::U64 => CoreType::I64,
        _ => CoreType::I32,
    };
    CoreSignature {
        params: params.into_iter().map(core).collect(),
        results: result.into_iter().map(core).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_follow_the_names() {
        use CoreType::{I32, I64};
        for (name, params, results) in [
            ("store-data-address", &[][..], &[I64][..]),
            ("u8-native-load", &[I64], &[I32]),
            ("u64-native-load", &[I64], &[I64]),
            ("u16-native-store", &[I64, I32], &[]),
            ("u32-checked-native-load", &[I64, I64, I64], &[I32]),
            ("u64-checked-native-store", &[I64, I64, I64, I64], &[]),
        ] {
            let (intrinsic, _) = Intrinsic::ALL.iter().find(|(_, n)| *n == name).unwrap();
            let signature = intrinsic_signature(*intrinsic);
            assert_eq!((&*signature.params, &*signature.results), (params, results));
        }
    }
}
