//! What carrying a value costs, for listings: nothing beyond registers, copies, checks, or loops.

use std::collections::HashSet;
use trampette_artifact::types::{DefinedType, FuncType, Type, TypeTable};

/// What a transfer does with the contents of strings and lists. Ordered by cost.
///
/// ```
/// # fn show(statistics: &trampette::Statistics) {
/// for (kind, count) in &statistics.transfers {
///     println!("{count} transfers: {}", kind.name());
/// }
/// # }
/// ```
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
        func.values()
            .map(|ty| TransferKind::of(types, ty))
            .max()
            .unwrap_or_default()
    }

    /// What transferring a value of a type does. Visits each type once.
    pub fn of(types: &TypeTable, ty: Type) -> TransferKind {
        let mut most = TransferKind::None;
        let mut seen = HashSet::new();
        let mut open = vec![ty];
        while let Some(ty) = open.pop() {
            if !types.facts(ty).contents.pointers {
                continue;
            }
            let Type::Defined(id) = ty else {
                most = most.max(TransferKind::BulkAndCheck);
                continue;
            };
            match &types[id] {
                DefinedType::List(element) => {
                    most = most.max(TransferKind::of_elements(types, *element));
                }
                DefinedType::Map(..) => most = TransferKind::Loop,
                other if seen.insert(id) => other.for_each_part(|part| open.push(part)),
                _ => {}
            }
        }
        most
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
            () if types.facts(element).bitwise => TransferKind::Bulk,
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
        let bytes = types.intern(DefinedType::List(Type::U8)).unwrap();
        assert_eq!(kind(&types, bytes), TransferKind::Bulk);
        let chars = types.intern(DefinedType::List(Type::Char)).unwrap();
        assert_eq!(kind(&types, chars), TransferKind::BulkAndCheck);
        let strings = types.intern(DefinedType::List(Type::String)).unwrap();
        assert_eq!(kind(&types, strings), TransferKind::Loop);
        let pair = types
            .intern(DefinedType::Tuple(vec![Type::F32, bytes]))
            .unwrap();
        assert_eq!(kind(&types, pair), TransferKind::Bulk);
        let option = types.intern(DefinedType::Option(strings)).unwrap();
        assert_eq!(kind(&types, option), TransferKind::Loop);
    }
}
