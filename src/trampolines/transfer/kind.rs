//! What carrying a value costs, for listings: nothing beyond registers, copies, checks, or loops.

use trampette_artifact::native::is_bitwise;
use trampette_artifact::types::{DefinedType, FuncType, Type, TypeTable};

/// What a transfer does with the contents of strings and lists. Ordered by cost.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub enum TransferKind {
    /// There are none: values travel in registers or field by field.
    #[default]
    None,
    /// They are borrowed, or copied in one piece.
    Bulk,
    /// They are borrowed or copied in one piece, and validated.
    BulkAndCheck,
    /// They are visited one by one, since they hold pointers or handles.
    Loop,
}

impl TransferKind {
    /// As listings show it.
    pub fn name(self) -> &'static str {
        match self {
            TransferKind::None => "none",
            TransferKind::Bulk => "bulk",
            TransferKind::BulkAndCheck => "bulk + check",
            TransferKind::Loop => "loop",
        }
    }

    /// The most that a call of a function does.
    pub fn of_call(types: &TypeTable, func: &FuncType) -> TransferKind {
        let all = func.params.iter().map(|param| param.ty).chain(func.result);
        all.map(|ty| TransferKind::of(types, ty))
            .max()
            .unwrap_or_default()
    }

    /// What transferring a value of a type does.
    pub fn of(types: &TypeTable, ty: Type) -> TransferKind {
        let all = |inner: &mut dyn Iterator<Item = Type>| {
            inner
                .map(|ty| TransferKind::of(types, ty))
                .max()
                .unwrap_or_default()
        };
        let id = match ty {
            Type::String => return TransferKind::BulkAndCheck,
            Type::Defined(id) => id,
            _ => return TransferKind::None,
        };
        match &types[id] {
            DefinedType::List(element) => TransferKind::of_elements(types, *element),
            DefinedType::Map(..) => TransferKind::Loop,
            DefinedType::FixedLengthList(element, _) => TransferKind::of(types, *element),
            DefinedType::Record(fields) => all(&mut fields.iter().map(|field| field.ty)),
            DefinedType::Tuple(elements) => all(&mut elements.iter().copied()),
            DefinedType::Variant(cases) => all(&mut cases.iter().filter_map(|case| case.ty)),
            DefinedType::Option(some) => TransferKind::of(types, *some),
            DefinedType::Result { ok, err } => all(&mut [*ok, *err].into_iter().flatten()),
            DefinedType::Flags(_)
            | DefinedType::Enum(_)
            | DefinedType::Own(_)
            | DefinedType::Borrow(_) => TransferKind::None,
        }
    }

    /// What transferring a list's elements does.
    fn of_elements(types: &TypeTable, element: Type) -> TransferKind {
        let checked_in_bulk = match element {
            Type::Bool | Type::Char => true,
            Type::Defined(id) => {
                matches!(types[id], DefinedType::Enum(_) | DefinedType::Flags(_))
            }
            _ => false,
        };
        match () {
            () if is_bitwise(types, element) => TransferKind::Bulk,
            () if checked_in_bulk => TransferKind::BulkAndCheck,
            () => TransferKind::Loop,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_follow_the_types() {
        let mut types = TypeTable::default();
        let kind = |types: &TypeTable, ty| TransferKind::of(types, ty);
        assert_eq!(kind(&types, Type::U64), TransferKind::None);
        assert_eq!(kind(&types, Type::String), TransferKind::BulkAndCheck);
        let bytes = types.intern(DefinedType::List(Type::U8));
        assert_eq!(kind(&types, bytes), TransferKind::Bulk);
        let chars = types.intern(DefinedType::List(Type::Char));
        assert_eq!(kind(&types, chars), TransferKind::BulkAndCheck);
        let strings = types.intern(DefinedType::List(Type::String));
        assert_eq!(kind(&types, strings), TransferKind::Loop);
        let pair = types.intern(DefinedType::Tuple(vec![Type::F32, bytes]));
        assert_eq!(kind(&types, pair), TransferKind::Bulk);
        let option = types.intern(DefinedType::Option(strings));
        assert_eq!(kind(&types, option), TransferKind::Loop);
    }
}
