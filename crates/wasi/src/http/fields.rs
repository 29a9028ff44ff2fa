//! `fields`: the headers and trailers of messages.
//!
//! They keep their order, and the case in which a guest wrote a name first; names are compared
//! without case. Fields that say how a message is framed or whom a connection goes to are the
//! host's: a guest can neither set nor see them.

use crate::common::quota::{Charge, Quota};
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use std::sync::Arc;

/// The most bytes of one list of fields, with what the host needs to keep each.
const LIMIT: usize = 128 << 10;

/// Fields that guests cannot set.
const FORBIDDEN: [HeaderName; 9] = [
    header::CONNECTION,
    header::HOST,
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    HeaderName::from_static("http2-settings"),
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
];

/// Fields that mean something else, or nothing, behind a body.
const NOT_IN_TRAILERS: [HeaderName; 10] = [
    header::AUTHORIZATION,
    header::CONTENT_ENCODING,
    header::CONTENT_LENGTH,
    header::CONTENT_RANGE,
    header::CONTENT_TYPE,
    header::COOKIE,
    header::SET_COOKIE,
    header::TE,
    header::TRAILER,
    header::EXPECT,
];

/// Why fields are refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum FieldsError {
    /// A name or value is none.
    InvalidSyntax,
    /// The field is the host's.
    Forbidden,
    /// The fields belong to a message.
    Immutable,
    /// They are too many.
    SizeExceeded,
}

type Result<T> = std::result::Result<T, FieldsError>;

/// The headers or trailers of a message. A clone shares the list until one of both changes.
#[derive(Clone)]
pub(crate) struct Fields {
    list: Arc<List>,
    change: Change,
}

/// Whether fields can be changed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Change {
    Allowed,
    Refused,
}

struct List {
    entries: Vec<Entry>,
    charge: Charge,
    bytes: usize,
}

#[derive(Clone)]
struct Entry {
    name: HeaderName,
    /// The name as it was written, if that is not in lower case.
    written: Option<Box<str>>,
    value: HeaderValue,
}

impl Entry {
    fn new(name: &str, value: &[u8]) -> Result<Entry> {
        let written = name.bytes().any(|byte| byte.is_ascii_uppercase());
        let entry = Entry {
            name: parse_name(name)?,
            written: written.then(|| name.into()),
            value: HeaderValue::from_bytes(value).map_err(|_| FieldsError::InvalidSyntax)?,
        };
        if FORBIDDEN.contains(&entry.name) {
            return Err(FieldsError::Forbidden);
        }
        if entry.name == header::CONTENT_LENGTH && parse_length(&entry.value).is_none() {
            return Err(FieldsError::InvalidSyntax);
        }
        Ok(entry)
    }

    /// What it counts.
    fn bytes(&self) -> usize {
        let written = self.written.as_ref().map_or(0, |name| name.len());
        size_of::<Entry>() + self.name.as_str().len() + written + self.value.len()
    }

    fn written(&self) -> &str {
        self.written.as_deref().unwrap_or(self.name.as_str())
    }
}

fn parse_name(name: &str) -> Result<HeaderName> {
    HeaderName::from_bytes(name.as_bytes()).map_err(|_| FieldsError::InvalidSyntax)
}

/// The number of a `content-length`: nothing but digits.
fn parse_length(value: &HeaderValue) -> Option<u64> {
    let digits = value.to_str().ok()?;
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| digits.parse().ok())?
}

impl Fields {
    /// No fields, to which some can be added.
    ///
    /// # Errors
    /// If the quota is used up.
    pub(crate) fn new(quota: &Quota) -> Result<Fields> {
        let bytes = size_of::<List>();
        Ok(Fields {
            list: Arc::new(List {
                entries: Vec::new(),
                charge: quota.charge(bytes).ok_or(FieldsError::SizeExceeded)?,
                bytes: 0,
            }),
            change: Change::Allowed,
        })
    }

    /// Those of a message that was received, without what guests do not see; they cannot be
    /// changed.
    ///
    /// # Errors
    /// If the quota is used up.
    pub(crate) fn received(map: HeaderMap, quota: &Quota) -> Result<Fields> {
        let mut entries = Vec::with_capacity(map.len());
        let mut last = None;
        let mut bytes = 0;
        for (name, value) in map {
            // A name is given with its first value only.
            if name.is_some() {
                last = name;
            }
            let Some(name) = last.clone() else { continue };
            if FORBIDDEN.contains(&name) {
                continue;
            }
            let entry = Entry {
                name,
                written: None,
                value,
            };
            bytes += entry.bytes();
            entries.push(entry);
        }
        let charge = quota.charge(bytes + size_of::<List>());
        Ok(Fields {
            list: Arc::new(List {
                entries,
                charge: charge.ok_or(FieldsError::SizeExceeded)?,
                bytes,
            }),
            change: Change::Refused,
        })
    }

    /// The same fields, which cannot be changed.
    pub(crate) fn immutable(&self) -> Fields {
        Fields {
            list: self.list.clone(),
            change: Change::Refused,
        }
    }

    /// The same fields, which can be changed.
    pub(crate) fn mutable(&self) -> Fields {
        Fields {
            list: self.list.clone(),
            change: Change::Allowed,
        }
    }

    /// The list, for this value alone.
    fn list_mut(&mut self) -> Result<&mut List> {
        if self.change == Change::Refused {
            return Err(FieldsError::Immutable);
        }
        if Arc::get_mut(&mut self.list).is_none() {
            let bytes = self.list.bytes;
            let charge = self.list.charge.quota().charge(bytes + size_of::<List>());
            self.list = Arc::new(List {
                entries: self.list.entries.clone(),
                charge: charge.ok_or(FieldsError::SizeExceeded)?,
                bytes,
            });
        }
        Arc::get_mut(&mut self.list).ok_or(FieldsError::SizeExceeded)
    }

    /// The values of a name, in order.
    pub(crate) fn get(&self, name: &str) -> Vec<Vec<u8>> {
        let Ok(name) = parse_name(name) else {
            return Vec::new();
        };
        let entries = self.list.entries.iter();
        let named = entries.filter(|entry| entry.name == name);
        named.map(|entry| entry.value.as_bytes().to_vec()).collect()
    }

    /// Whether there is a field of a name.
    pub(crate) fn has(&self, name: &str) -> bool {
        let Ok(name) = parse_name(name) else {
            return false;
        };
        self.list.entries.iter().any(|entry| entry.name == name)
    }

    /// Appends a field.
    ///
    /// # Errors
    /// See [`FieldsError`].
    pub(crate) fn append(&mut self, name: &str, value: &[u8]) -> Result<()> {
        let list = self.list_mut()?;
        let mut entry = Entry::new(name, value)?;
        // All fields of a name are written as the first one is.
        if let Some(first) = list.entries.iter().find(|first| first.name == entry.name) {
            entry.written = first.written.clone();
        }
        list.push(entry)
    }

    /// Replaces the fields of a name.
    ///
    /// # Errors
    /// See [`FieldsError`]; nothing has changed then.
    pub(crate) fn set<'v>(
        &mut self,
        name: &str,
        values: impl Iterator<Item = &'v [u8]>,
    ) -> Result<()> {
        let list = self.list_mut()?;
        let key = parse_name(name)?;
        if FORBIDDEN.contains(&key) {
            return Err(FieldsError::Forbidden);
        }
        let mut added = Vec::new();
        let mut bytes = 0;
        for value in values {
            let entry = Entry::new(name, value)?;
            bytes += entry.bytes();
            if bytes > LIMIT {
                return Err(FieldsError::SizeExceeded);
            }
            added.push(entry);
        }
        let old = list.entries.iter().filter(|entry| entry.name == key);
        let removed = old.map(Entry::bytes).sum::<usize>();
        if list.bytes - removed + bytes > LIMIT || !list.charge.grow(bytes) {
            return Err(FieldsError::SizeExceeded);
        }
        list.bytes += bytes;
        list.remove(&key);
        list.entries.append(&mut added);
        Ok(())
    }

    /// Deletes the fields of a name, and gives their values.
    ///
    /// # Errors
    /// See [`FieldsError`].
    pub(crate) fn delete(&mut self, name: &str) -> Result<Vec<Vec<u8>>> {
        let list = self.list_mut()?;
        let key = parse_name(name)?;
        if FORBIDDEN.contains(&key) {
            return Err(FieldsError::Forbidden);
        }
        let removed = list.remove(&key).into_iter();
        Ok(removed
            .map(|entry| entry.value.as_bytes().to_vec())
            .collect())
    }

    /// All fields, with their names as they were written.
    pub(crate) fn entries(&self) -> Vec<(String, Vec<u8>)> {
        let copy = |entry: &Entry| (entry.written().to_string(), entry.value.as_bytes().to_vec());
        self.list.entries.iter().map(copy).collect()
    }

    /// As a message is sent with.
    ///
    /// # Errors
    /// If they are too many.
    pub(crate) fn to_headers(&self) -> Result<HeaderMap> {
        self.to_map(|_| true)
    }

    /// As a message is sent with, behind its body: without what would be read as something else.
    ///
    /// # Errors
    /// If they are too many.
    pub(crate) fn to_trailers(&self) -> Result<HeaderMap> {
        self.to_map(|name| !NOT_IN_TRAILERS.contains(name))
    }

    fn to_map(&self, is_sent: impl Fn(&HeaderName) -> bool) -> Result<HeaderMap> {
        let too_many = |_| FieldsError::SizeExceeded;
        let mut map = HeaderMap::try_with_capacity(self.list.entries.len()).map_err(too_many)?;
        for entry in &self.list.entries {
            if is_sent(&entry.name) {
                let appended = map.try_append(entry.name.clone(), entry.value.clone());
                appended.map_err(too_many)?;
            }
        }
        Ok(map)
    }

    /// What the fields say about the length of the body.
    ///
    /// # Errors
    /// If they say two lengths.
    pub(crate) fn content_length(&self) -> Result<Option<u64>> {
        let entries = self.list.entries.iter();
        let lengths = entries.filter(|entry| entry.name == header::CONTENT_LENGTH);
        let mut found = None;
        for entry in lengths {
            let length = parse_length(&entry.value).ok_or(FieldsError::InvalidSyntax)?;
            if found.is_some_and(|found| found != length) {
                return Err(FieldsError::InvalidSyntax);
            }
            found = Some(length);
        }
        Ok(found)
    }
}

impl List {
    fn push(&mut self, entry: Entry) -> Result<()> {
        let bytes = entry.bytes();
        if self.bytes + bytes > LIMIT || !self.charge.grow(bytes) {
            return Err(FieldsError::SizeExceeded);
        }
        self.bytes += bytes;
        self.entries.push(entry);
        Ok(())
    }

    fn remove(&mut self, name: &HeaderName) -> Vec<Entry> {
        let removed = self.entries.extract_if(.., |entry| entry.name == *name);
        let removed: Vec<Entry> = removed.collect();
        let bytes = removed.iter().map(Entry::bytes).sum();
        self.bytes -= bytes;
        self.charge.shrink(bytes);
        removed
    }
}

/// The functions of `fields` that both versions have, in an implementation of their `HostFields`.
macro_rules! same_functions {
    () => {
        fn from_list(
            &mut self,
            entries: List<'_, (String, Vec<u8>)>,
        ) -> Result<Resource<Fields>, HeaderFailure> {
            let mut fields = Fields::new(self.http().quota())?;
            for (name, value) in entries.iter() {
                fields.append(name, value)?;
            }
            Ok(self.table.push(fields)?)
        }

        fn get(&mut self, this: Resource<Fields>, name: &str) -> Result<Vec<Vec<u8>>> {
            Ok(self.table.get(&this)?.get(name))
        }

        fn has(&mut self, this: Resource<Fields>, name: &str) -> Result<bool> {
            Ok(self.table.get(&this)?.has(name))
        }

        fn set(
            &mut self,
            this: Resource<Fields>,
            name: &str,
            value: List<'_, Vec<u8>>,
        ) -> Result<(), HeaderFailure> {
            Ok(self.table.get_mut(&this)?.set(name, value.iter())?)
        }

        fn delete(&mut self, this: Resource<Fields>, name: &str) -> Result<(), HeaderFailure> {
            self.table.get_mut(&this)?.delete(name)?;
            Ok(())
        }

        fn append(
            &mut self,
            this: Resource<Fields>,
            name: &str,
            value: &[u8],
        ) -> Result<(), HeaderFailure> {
            Ok(self.table.get_mut(&this)?.append(name, value)?)
        }

        fn clone(&mut self, this: Resource<Fields>) -> Result<Resource<Fields>> {
            let fields = self.table.get(&this)?.mutable();
            Ok(self.table.push(fields)?)
        }

        fn drop(&mut self, this: Resource<Fields>) -> Result<()> {
            self.give_up(this)
        }
    };
}
pub(crate) use same_functions;

#[cfg(test)]
mod tests {
    use super::*;

    fn fields() -> Fields {
        Fields::new(&Quota::new(1 << 20)).unwrap()
    }

    #[test]
    fn names_and_values_that_are_none_are_refused() {
        let bad: [(&str, &[u8]); 12] = [
            ("", b"x"),
            ("a b", b"x"),
            ("a:", b"x"),
            ("a\r\nb", b"x"),
            ("ä", b"x"),
            ("a\0", b"x"),
            ("a", b"x\r\ny: z"),
            ("a", b"x\n"),
            ("a", b"\0"),
            ("content-length", b"+1"),
            ("content-length", b"1, 2"),
            ("Content-Length", b"18446744073709551616"),
        ];
        for (name, value) in bad {
            let refused = fields().append(name, value);
            assert_eq!(
                refused,
                Err(FieldsError::InvalidSyntax),
                "{name:?} {value:?}"
            );
            let refused = fields().set(name, [value].into_iter());
            assert_eq!(
                refused,
                Err(FieldsError::InvalidSyntax),
                "{name:?} {value:?}"
            );
        }
        for name in [
            "Connection",
            "HOST",
            "transfer-encoding",
            "keep-alive",
            "upgrade",
        ] {
            let refused = fields().append(name, b"x");
            assert_eq!(refused, Err(FieldsError::Forbidden), "{name}");
            assert_eq!(fields().delete(name), Err(FieldsError::Forbidden), "{name}");
        }
    }

    #[test]
    fn names_keep_their_case_and_are_found_without() {
        let mut fields = fields();
        fields.append("X-One", b"1").unwrap();
        fields.append("x-two", b"").unwrap();
        fields.append("x-ONE", b"3").unwrap();
        assert_eq!(fields.get("x-one"), [b"1", b"3"]);
        assert_eq!(fields.get("X-TWO"), [b""]);
        assert!(fields.has("X-oNe") && !fields.has("x-three") && !fields.has("x y"));
        let names: Vec<String> = fields.entries().into_iter().map(|entry| entry.0).collect();
        assert_eq!(names, ["X-One", "x-two", "X-One"]);
        let mut other = fields.immutable();
        assert_eq!(other.append("a", b"b"), Err(FieldsError::Immutable));
        let mut other = other.mutable();
        other.set("x-one", [&b"4"[..]].into_iter()).unwrap();
        assert_eq!(other.get("x-one"), [b"4"]);
        assert_eq!(fields.get("x-one"), [b"1", b"3"]);
        assert_eq!(other.delete("x-one").unwrap(), [b"4"]);
        assert_eq!(fields.to_headers().unwrap().len(), 3);
    }

    #[test]
    fn what_is_kept_is_limited_and_given_back() {
        let quota = Quota::new(1 << 20);
        let mut all = Vec::new();
        let full = loop {
            match Fields::new(&quota) {
                Ok(mut fields) => {
                    let filled = (0..1 << 20).find_map(|_| fields.append("a", &[b'x'; 100]).err());
                    assert_eq!(filled, Some(FieldsError::SizeExceeded));
                    all.push(fields);
                }
                Err(error) => break error,
            }
        };
        assert_eq!(full, FieldsError::SizeExceeded);
        assert!(all.len() > 8);
        drop(all);
        assert_eq!(quota.left(), 1 << 20);
    }

    #[test]
    fn two_lengths_are_none() {
        let mut fields = fields();
        assert_eq!(fields.content_length(), Ok(None));
        fields.append("content-length", b"7").unwrap();
        fields.append("Content-Length", b"07").unwrap();
        assert_eq!(fields.content_length(), Ok(Some(7)));
        fields.append("content-length", b"8").unwrap();
        assert_eq!(fields.content_length(), Err(FieldsError::InvalidSyntax));
    }
}
