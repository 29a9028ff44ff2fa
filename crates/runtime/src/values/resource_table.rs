//! [`ResourceTable`]: where a host keeps the values that its resources stand for.

use crate::values::resource::Resource;
use std::any::{Any, type_name};
use std::collections::BTreeSet;
use std::fmt;

/// Values of any type, found by the representation of their [`Resource`].
///
/// An entry may be the child of another: then the other cannot be deleted before it.
///
/// ```
/// use trampette_runtime::ResourceTable;
///
/// let mut table = ResourceTable::new();
/// let file = table.push("file".to_string())?;
/// let line = table.push_child(7_u32, &file)?;
/// assert!(table.delete(file).is_err(), "it has a child");
/// assert_eq!(table.delete(line)?, 7);
/// # anyhow::Ok(())
/// ```
#[derive(Default)]
pub struct ResourceTable {
    slots: Vec<Slot>,
    free: Option<u32>,
    live: usize,
    limit: Option<usize>,
}

enum Slot {
    /// With the next free slot.
    Free(Option<u32>),
    Occupied(Entry),
}

struct Entry {
    value: Box<dyn Any + Send>,
    parent: Option<u32>,
    children: BTreeSet<u32>,
}

/// Why a [`ResourceTable`] refused.
///
/// ```
/// use trampette_runtime::{Resource, ResourceTable, ResourceTableError};
///
/// let error = ResourceTable::new().get(&Resource::<u32>::new(5)).unwrap_err();
/// assert_eq!(error, ResourceTableError::NotPresent { rep: 5 });
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ResourceTableError {
    /// The table's limit is reached.
    Full {
        /// The entries that the table has.
        entries: usize,
    },
    /// There is no such entry.
    NotPresent {
        /// The representation that was asked for.
        rep: u32,
    },
    /// The entry is of another type.
    WrongType {
        /// The representation that was asked for.
        rep: u32,
        /// The type that was asked for.
        expected: &'static str,
    },
    /// The entry has children.
    HasChildren {
        /// The representation that was asked for.
        rep: u32,
        /// How many there are.
        children: usize,
    },
}

impl fmt::Display for ResourceTableError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ResourceTableError::Full { entries } => {
                write!(f, "resource table: all {entries} entries are in use")
            }
            ResourceTableError::NotPresent { rep } => {
                write!(f, "resource table: there is no entry {rep}")
            }
            ResourceTableError::WrongType { rep, expected } => {
                write!(f, "resource table: entry {rep} is no `{expected}`")
            }
            ResourceTableError::HasChildren { rep, children } => {
                write!(f, "resource table: entry {rep} has {children} children")
            }
        }
    }
}

impl std::error::Error for ResourceTableError {}

type TableResult<T> = Result<T, ResourceTableError>;

impl ResourceTable {
    /// An empty table.
    pub fn new() -> ResourceTable {
        ResourceTable::default()
    }

    /// Refuses more than `limit` entries from now on.
    pub fn set_limit(&mut self, limit: usize) {
        self.limit = Some(limit);
    }

    /// Number of entries.
    pub fn len(&self) -> usize {
        self.live
    }

    /// Whether there are no entries.
    pub fn is_empty(&self) -> bool {
        self.live == 0
    }

    fn insert(&mut self, entry: Entry) -> TableResult<u32> {
        if self.limit.is_some_and(|limit| self.live >= limit) {
            return Err(ResourceTableError::Full { entries: self.live });
        }
        let index = match self.free {
            Some(index) => {
                let slot = &mut self.slots[index as usize];
                if let Slot::Free(next) = slot {
                    self.free = *next;
                }
                *slot = Slot::Occupied(entry);
                index
            }
            None => {
                let index = u32::try_from(self.slots.len());
                let index = index.map_err(|_| ResourceTableError::Full { entries: self.live })?;
                self.slots.push(Slot::Occupied(entry));
                index
            }
        };
        self.live += 1;
        Ok(index)
    }

    fn entry(&self, rep: u32) -> TableResult<&Entry> {
        match self.slots.get(rep as usize) {
            Some(Slot::Occupied(entry)) => Ok(entry),
            _ => Err(ResourceTableError::NotPresent { rep }),
        }
    }

    fn entry_mut(&mut self, rep: u32) -> TableResult<&mut Entry> {
        match self.slots.get_mut(rep as usize) {
            Some(Slot::Occupied(entry)) => Ok(entry),
            _ => Err(ResourceTableError::NotPresent { rep }),
        }
    }

    /// Adds a value.
    ///
    /// # Errors
    /// If the table is full.
    pub fn push<T: Send + 'static>(&mut self, value: T) -> TableResult<Resource<T>> {
        let rep = self.insert(Entry {
            value: Box::new(value),
            parent: None,
            children: BTreeSet::new(),
        })?;
        Ok(Resource::new(rep))
    }

    /// Adds a value as a child of another.
    ///
    /// # Errors
    /// If the table is full, or the parent is not there.
    pub fn push_child<T: Send + 'static, P: 'static>(
        &mut self,
        value: T,
        parent: &Resource<P>,
    ) -> TableResult<Resource<T>> {
        self.entry(parent.rep())?;
        let rep = self.insert(Entry {
            value: Box::new(value),
            parent: Some(parent.rep()),
            children: BTreeSet::new(),
        })?;
        self.entry_mut(parent.rep())?.children.insert(rep);
        Ok(Resource::new(rep))
    }

    /// The value of a resource.
    ///
    /// # Errors
    /// If it is not there, or of another type.
    pub fn get<T: 'static>(&self, resource: &Resource<T>) -> TableResult<&T> {
        let entry = self.entry(resource.rep())?;
        entry
            .value
            .downcast_ref()
            .ok_or(wrong_type::<T>(resource.rep()))
    }

    /// The value of a resource.
    ///
    /// # Errors
    /// If it is not there, or of another type.
    pub fn get_mut<T: 'static>(&mut self, resource: &Resource<T>) -> TableResult<&mut T> {
        let entry = self.entry_mut(resource.rep())?;
        entry
            .value
            .downcast_mut()
            .ok_or(wrong_type::<T>(resource.rep()))
    }

    /// The value of a resource whose type is not known.
    ///
    /// # Errors
    /// If it is not there.
    pub fn get_any_mut(&mut self, rep: u32) -> TableResult<&mut (dyn Any + Send)> {
        Ok(&mut *self.entry_mut(rep)?.value)
    }

    /// Takes a value out.
    ///
    /// # Errors
    /// If it is not there, of another type, or has children.
    pub fn delete<T: 'static>(&mut self, resource: Resource<T>) -> TableResult<T> {
        let rep = resource.rep();
        let entry = self.entry(rep)?;
        if !entry.value.is::<T>() {
            return Err(wrong_type::<T>(rep));
        }
        if !entry.children.is_empty() {
            return Err(ResourceTableError::HasChildren {
                rep,
                children: entry.children.len(),
            });
        }
        let freed = Slot::Free(self.free);
        let slot = std::mem::replace(&mut self.slots[rep as usize], freed);
        let Slot::Occupied(entry) = slot else {
            return Err(ResourceTableError::NotPresent { rep });
        };
        self.free = Some(rep);
        self.live -= 1;
        if let Some(parent) = entry.parent {
            self.entry_mut(parent)?.children.remove(&rep);
        }
        let value = entry.value.downcast().map_err(|_| wrong_type::<T>(rep))?;
        Ok(*value)
    }

    /// The values whose parent is this resource, by representation.
    ///
    /// # Errors
    /// If the resource is not there.
    pub fn children<T: 'static>(
        &self,
        parent: &Resource<T>,
    ) -> TableResult<impl Iterator<Item = (u32, &(dyn Any + Send))>> {
        let children = self.entry(parent.rep())?.children.iter();
        Ok(children.filter_map(|rep| Some((*rep, &*self.entry(*rep).ok()?.value))))
    }
}

fn wrong_type<T>(rep: u32) -> ResourceTableError {
    ResourceTableError::WrongType {
        rep,
        expected: type_name::<T>(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_typed_and_slots_are_reused() {
        let mut table = ResourceTable::new();
        let a = table.push("a".to_string()).unwrap();
        let b = table.push(7u32).unwrap();
        assert_eq!((a.rep(), b.rep(), table.len()), (0, 1, 2));
        assert_eq!(table.get(&a).unwrap(), "a");
        *table.get_mut(&b).unwrap() += 1;
        let wrong = table.get(&Resource::<u32>::new(a.rep())).unwrap_err();
        assert_eq!(wrong.to_string(), "resource table: entry 0 is no `u32`");
        assert_eq!(table.delete(b).unwrap(), 8);
        let gone = table.get(&Resource::<u32>::new(1)).unwrap_err();
        assert_eq!(gone, ResourceTableError::NotPresent { rep: 1 });
        assert_eq!(gone.to_string(), "resource table: there is no entry 1");
        assert_eq!(table.push(()).unwrap().rep(), 1);
        table.set_limit(2);
        let full = table.push(()).unwrap_err();
        assert_eq!(full, ResourceTableError::Full { entries: 2 });
        assert_eq!(full.to_string(), "resource table: all 2 entries are in use");
    }

    #[test]
    fn parents_outlive_children() {
        let mut table = ResourceTable::new();
        let parent = table.push(1u8).unwrap();
        let child = table.push_child('c', &parent).unwrap();
        let rep = parent.rep();
        let refused = table.delete(parent).unwrap_err();
        assert_eq!(
            refused,
            ResourceTableError::HasChildren {
                rep: 0,
                children: 1
            }
        );
        assert_eq!(
            refused.to_string(),
            "resource table: entry 0 has 1 children"
        );
        let parent = Resource::<u8>::new(rep);
        assert_eq!(table.children(&parent).unwrap().count(), 1);
        table.delete(child).unwrap();
        assert_eq!(table.delete(parent).unwrap(), 1);
        assert!(table.is_empty());
    }
}
