//! [`Name`]: a name in a dynamic value, shared by all values that have it.
//!
//! A component's types hold their names as plain text. [`Names`] makes a [`Name`] of each when a
//! value of its type is first read, and from then on reading one allocates none.

use std::borrow::{Borrow, Cow};
use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, OnceLock};
use trampette_artifact::ids::{IdVec, TypeId};
use trampette_artifact::types::{DefinedType, TypeTable};

/// The name of a field, a case or a flag in a [`Val`](crate::Val): text that is cheap to clone.
///
/// It is used, compared and printed as a `str`, and made of one with `into`.
///
/// ```
/// use trampette_runtime::{Name, Val};
///
/// let color = Val::Enum("red".into());
/// let Val::Enum(name) = &color else { panic!() };
/// assert_eq!(*name, "red");
/// assert_eq!(name.len(), 3);
/// assert_eq!(String::from(Name::from("red")), "red");
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Arc<str>);

impl Name {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Deref for Name {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for Name {
    fn as_ref(&self) -> &str {
        self
    }
}

impl Borrow<str> for Name {
    fn borrow(&self) -> &str {
        self
    }
}

impl From<&str> for Name {
    fn from(name: &str) -> Name {
        Name(name.into())
    }
}

impl From<String> for Name {
    fn from(name: String) -> Name {
        Name(name.into())
    }
}

impl From<&String> for Name {
    fn from(name: &String) -> Name {
        name.as_str().into()
    }
}

impl From<Cow<'_, str>> for Name {
    fn from(name: Cow<'_, str>) -> Name {
        Name(name.into())
    }
}

impl From<Name> for String {
    fn from(name: Name) -> String {
        name.as_str().to_string()
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self.as_str(), f)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

/// Names compare with text of any kind, from either side.
macro_rules! compare {
    ($($text:ty),*) => {$(
        impl PartialEq<$text> for Name {
            fn eq(&self, text: &$text) -> bool {
                let text: &str = text.as_ref();
                self.as_str() == text
            }
        }

        impl PartialEq<Name> for $text {
            fn eq(&self, name: &Name) -> bool {
                name == self
            }
        }
    )*};
}

compare!(str, &str, String);

/// The names in a component's types.
pub(crate) struct Names(IdVec<TypeId, OnceLock<Box<[Name]>>>);

impl Names {
    /// Of so many types; none is made yet.
    pub(crate) fn new(types: &TypeTable) -> Names {
        let all = types.iter().map(|_| OnceLock::new());
        Names(all.collect::<Vec<_>>().into())
    }

    /// The names of a type's fields, cases or flags, in order.
    pub(crate) fn of(&self, id: TypeId, ty: &DefinedType) -> &[Name] {
        let make = || match ty {
            DefinedType::Record(fields) => fields.iter().map(|it| Name::from(&it.name)).collect(),
            DefinedType::Variant(cases) => cases.iter().map(|it| Name::from(&it.name)).collect(),
            DefinedType::Flags(names) | DefinedType::Enum(names) => {
                names.iter().map(Name::from).collect()
            }
            _ => Box::default(),
        };
        self.0.get(id).map_or(&[], |names| names.get_or_init(make))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_text() {
        let name = Name::from("a-b");
        assert_eq!(format!("{name} {name:?} {name:>5}"), "a-b \"a-b\"   a-b");
        let owned = String::from("a-b");
        assert_eq!(name, "a-b");
        assert_eq!("a-b", name);
        assert_eq!(owned, name);
        let later = Name::from("b");
        assert!(name != "a" && name < later);
        assert_eq!(
            std::collections::HashSet::from([name]).get("a-b").unwrap(),
            "a-b"
        );
    }
}
