//! [`KeyValue`]: buckets of keys and values, in a file or in memory. Each change is a transaction.

use anyhow::{Context, Result, anyhow, ensure};
use redb::backends::InMemoryBackend;
use redb::{
    Builder, ConcurrencyMode, Database, DatabaseError, ReadableDatabase, ReadableTable, Table,
    TableDefinition,
};
use std::collections::BTreeSet;
use std::fmt;
use std::ops::Bound;
use std::path::Path;
use std::sync::Arc;

/// The bytes of a key, or of a bucket's name, at most.
const MOST_KEY: usize = 4 << 10;
/// The bytes of a value at most.
const MOST_VALUE: usize = 16 << 20;
/// The bytes of all values that one call gives at most.
pub(super) const MOST_VALUES: usize = 64 << 20;
/// Keys that one call lists at most.
const MOST_KEYS: usize = 1000;
/// What an entry takes beside its key and its value, roughly.
const ENTRY: u64 = 64;
/// Bytes of the store's pages that are kept in memory.
const CACHE: usize = 32 << 20;

/// Values and their versions, by bucket and key.
const ENTRIES: TableDefinition<(&str, &str), (u64, &[u8])> = TableDefinition::new("entries");
/// [`VERSION`] and [`BYTES`].
const NUMBERS: TableDefinition<&str, u64> = TableDefinition::new("numbers");
/// The last version that a value got.
const VERSION: &str = "version";
/// What all entries take.
const BYTES: &str = "bytes";

/// A store of keys and values, in buckets. A clone is the same store; so is another one, of another
/// process too, that opens the same file.
///
/// ```
/// use trampette_wasi::keyvalue::KeyValue;
///
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("store");
/// let store = KeyValue::open(&path)?;
/// store.set("default", "greeting", b"Hello")?;
/// drop(store);
/// let again = KeyValue::open(&path)?;
/// assert_eq!(again.get("default", "greeting")?.as_deref(), Some(&b"Hello"[..]));
/// # anyhow::Ok(())
/// ```
#[derive(Clone)]
pub struct KeyValue {
    database: Arc<Database>,
    most_bytes: u64,
    buckets: Option<Arc<BTreeSet<String>>>,
}

/// A value, and the version that it got when it was set.
pub(super) type Versioned = (u64, Vec<u8>);

/// A key and its value.
pub(super) type Entry = (String, Vec<u8>);

/// Keys, and where to go on behind them if there are more.
pub(super) struct Keys {
    pub(super) keys: Vec<String>,
    pub(super) cursor: Option<String>,
}

impl KeyValue {
    /// The store in a file, which is made if there is none. Several processes may have it open at
    /// once, and see what the others set. The file is as large as its contents make it: see
    /// [`KeyValue::max_bytes`].
    ///
    /// # Errors
    /// If the file cannot be opened, or is no such store; the message names it.
    pub fn open(path: impl AsRef<Path>) -> Result<KeyValue> {
        let path = path.as_ref();
        let mut builder = Builder::new();
        builder.set_cache_size(CACHE);
        builder.set_concurrency_mode(ConcurrencyMode::MultiWriter);
        let opened = builder.create(path).map_err(|error| match error {
            DatabaseError::DatabaseAlreadyOpen | DatabaseError::LockProtocolMismatch => {
                anyhow!("another program has it open")
            }
            other => anyhow!("{other}"),
        });
        let opened = opened.and_then(|database| KeyValue::new(database, u64::MAX));
        opened.with_context(|| format!("the store of keys and values {}", path.display()))
    }

    /// A store in memory, with a limit as [`KeyValue::max_bytes`] sets it: it ends with its last
    /// clone.
    ///
    /// ```
    /// use trampette_wasi::keyvalue::KeyValue;
    ///
    /// let store = KeyValue::in_memory(1 << 20)?;
    /// store.set("", "a", b"1")?;
    /// assert!(store.set("", "b", &vec![0; 2 << 20]).is_err());
    /// # anyhow::Ok(())
    /// ```
    ///
    /// # Errors
    /// If there is no memory.
    pub fn in_memory(most_bytes: u64) -> Result<KeyValue> {
        let mut builder = Builder::new();
        builder.set_cache_size(0);
        KeyValue::new(
            builder.create_with_backend(InMemoryBackend::new())?,
            most_bytes,
        )
    }

    fn new(database: Database, most_bytes: u64) -> Result<KeyValue> {
        let reading = database.begin_read()?;
        let is_there = reading.open_table(ENTRIES).is_ok() && reading.open_table(NUMBERS).is_ok();
        drop(reading);
        if !is_there {
            let writing = database.begin_write()?;
            writing.open_table(ENTRIES)?;
            writing.open_table(NUMBERS)?;
            writing.commit()?;
        }
        Ok(KeyValue {
            database: Arc::new(database),
            most_bytes,
            buckets: None,
        })
    }

    /// Limits the bytes of all keys and values, with 64 more for each of them. What goes beyond it
    /// fails. A file has no limit by default. The limit is this clone's, and what counts is all
    /// that is in the store.
    ///
    /// ```
    /// # use trampette_wasi::keyvalue::KeyValue;
    /// let store = KeyValue::in_memory(1 << 30)?.max_bytes(100);
    /// assert!(store.set("", "key", &[0; 100]).is_err());
    /// # anyhow::Ok(())
    /// ```
    pub fn max_bytes(mut self, limit: u64) -> KeyValue {
        self.most_bytes = limit;
        self
    }

    /// Says which buckets guests may open; otherwise they may open any. Others are `no-such-store`.
    ///
    /// ```
    /// # use trampette_wasi::keyvalue::KeyValue;
    /// let store = KeyValue::in_memory(1 << 20)?.only_buckets(["default", "sessions"]);
    /// # let _ = store;
    /// # anyhow::Ok(())
    /// ```
    pub fn only_buckets<S: Into<String>>(mut self, names: impl IntoIterator<Item = S>) -> KeyValue {
        self.buckets = Some(Arc::new(names.into_iter().map(Into::into).collect()));
        self
    }

    /// The value of a key, if there is one.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn get(&self, bucket: &str, key: &str) -> Result<Option<Vec<u8>>> {
        Ok(self.versioned(bucket, key)?.map(|(_, value)| value))
    }

    /// Sets the value of a key.
    ///
    /// # Errors
    /// If the key, the value or the store would be too large, or the store cannot be written.
    pub fn set(&self, bucket: &str, key: &str, value: &[u8]) -> Result<()> {
        self.change(|entries| entries.set(bucket, key, value))
    }

    /// Deletes a key, if it is there.
    ///
    /// # Errors
    /// If the store cannot be written.
    pub fn delete(&self, bucket: &str, key: &str) -> Result<()> {
        self.change(|entries| entries.delete(bucket, key))
    }

    /// Whether guests may open a bucket.
    pub(super) fn has_bucket(&self, name: &str) -> bool {
        let buckets = self.buckets.as_ref();
        name.len() <= MOST_KEY && buckets.is_none_or(|buckets| buckets.contains(name))
    }

    pub(super) fn exists(&self, bucket: &str, key: &str) -> Result<bool> {
        check_key(key)?;
        let entries = self.database.begin_read()?.open_table(ENTRIES)?;
        Ok(entries.get((bucket, key))?.is_some())
    }

    pub(super) fn versioned(&self, bucket: &str, key: &str) -> Result<Option<Versioned>> {
        check_key(key)?;
        let entries = self.database.begin_read()?.open_table(ENTRIES)?;
        let found = entries.get((bucket, key))?;
        Ok(found.map(|entry| {
            let (version, value) = entry.value();
            (version, value.to_vec())
        }))
    }

    /// The values of several keys, with them, as they are at one moment.
    pub(super) fn get_many<'k>(
        &self,
        bucket: &str,
        keys: impl ExactSizeIterator<Item = &'k str>,
    ) -> Result<Vec<Option<Entry>>> {
        let entries = self.database.begin_read()?.open_table(ENTRIES)?;
        let mut total = Total(0);
        let mut values = Vec::new();
        for key in keys {
            check_key(key)?;
            let found = entries.get((bucket, key))?;
            let length = found.as_ref().map_or(0, |entry| entry.value().1.len());
            total.add(key, length)?;
            values.push(found.map(|entry| (key.to_string(), entry.value().1.to_vec())));
        }
        Ok(values)
    }

    /// Sets the values of several keys: all of them or none.
    pub(super) fn set_many<'k>(
        &self,
        bucket: &str,
        entries: impl Iterator<Item = (&'k str, &'k [u8])>,
    ) -> Result<()> {
        let mut total = Total(0);
        self.change(|changed| {
            for (key, value) in entries {
                total.add(key, value.len())?;
                changed.set(bucket, key, value)?;
            }
            Ok(())
        })
    }

    /// Deletes several keys, if they are there: all of them or none.
    pub(super) fn delete_many<'k>(
        &self,
        bucket: &str,
        keys: impl Iterator<Item = &'k str>,
    ) -> Result<()> {
        let mut total = Total(0);
        self.change(|changed| {
            for key in keys {
                total.add(key, 0)?;
                changed.delete(bucket, key)?;
            }
            Ok(())
        })
    }

    /// Keys behind one, in order; from the first on if there is none.
    pub(super) fn keys(&self, bucket: &str, behind: Option<&str>) -> Result<Keys> {
        behind.map_or(Ok(()), check_key)?;
        let entries = self.database.begin_read()?.open_table(ENTRIES)?;
        let start = match behind {
            Some(key) => Bound::Excluded((bucket, key)),
            None => Bound::Included((bucket, "")),
        };
        let range = entries.range::<(&str, &str)>((start, Bound::Unbounded))?;
        let mut keys: Vec<String> = Vec::new();
        for entry in range {
            let (place, _) = entry?;
            let (of, key) = place.value();
            if of != bucket {
                break;
            }
            if keys.len() == MOST_KEYS {
                let cursor = keys.last().cloned();
                return Ok(Keys { keys, cursor });
            }
            keys.push(key.to_string());
        }
        Ok(Keys { keys, cursor: None })
    }

    /// Changes something: all of it if the closure succeeds, and otherwise nothing.
    ///
    /// # Errors
    /// What the closure fails with, or if the store cannot be written.
    pub(super) fn change<R>(
        &self,
        change: impl FnOnce(&mut Entries<'_>) -> Result<R>,
    ) -> Result<R> {
        let writing = self.database.begin_write()?;
        let result = {
            let mut entries = Entries {
                entries: writing.open_table(ENTRIES)?,
                numbers: writing.open_table(NUMBERS)?,
                most_bytes: self.most_bytes,
            };
            change(&mut entries)
        };
        match result {
            Ok(result) => {
                writing.commit()?;
                Ok(result)
            }
            Err(error) => {
                writing.abort()?;
                Err(error)
            }
        }
    }
}

impl fmt::Debug for KeyValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyValue")
            .field("most_bytes", &self.most_bytes)
            .field("buckets", &self.buckets)
            .finish_non_exhaustive()
    }
}

/// The store while it is changed.
pub(super) struct Entries<'t> {
    entries: Table<'t, (&'static str, &'static str), (u64, &'static [u8])>,
    numbers: Table<'t, &'static str, u64>,
    most_bytes: u64,
}

/// # Errors
/// If a key is too long to be in a store: it is not even looked for.
fn check_key(key: &str) -> Result<()> {
    ensure!(
        key.len() <= MOST_KEY,
        "a key has {} bytes; it may have {MOST_KEY}",
        key.len()
    );
    Ok(())
}

/// What the entries of one call take.
struct Total(usize);

impl Total {
    fn add(&mut self, key: &str, value: usize) -> Result<()> {
        self.0 = self.0.saturating_add(taken("", key, value) as usize);
        ensure!(
            self.0 <= MOST_VALUES,
            "the keys and values of one call have more than {MOST_VALUES} bytes"
        );
        Ok(())
    }
}

/// What an entry takes.
fn taken(bucket: &str, key: &str, value: usize) -> u64 {
    (bucket.len() + key.len() + value) as u64 + ENTRY
}

impl Entries<'_> {
    pub(super) fn get(&self, bucket: &str, key: &str) -> Result<Option<Versioned>> {
        check_key(key)?;
        let found = self.entries.get((bucket, key))?;
        Ok(found.map(|entry| {
            let (version, value) = entry.value();
            (version, value.to_vec())
        }))
    }

    fn number(&self, name: &str) -> Result<u64> {
        Ok(self.numbers.get(name)?.map_or(0, |number| number.value()))
    }

    pub(super) fn set(&mut self, bucket: &str, key: &str, value: &[u8]) -> Result<()> {
        check_key(key)?;
        ensure!(
            value.len() <= MOST_VALUE,
            "the value of `{key}` has {} bytes; it may have {MOST_VALUE}",
            value.len()
        );
        let version = self.number(VERSION)? + 1;
        let old = self.entries.insert((bucket, key), (version, value))?;
        let old = old.map_or(0, |old| taken(bucket, key, old.value().1.len()));
        let bytes = self.number(BYTES)?.saturating_sub(old) + taken(bucket, key, value.len());
        ensure!(
            bytes <= self.most_bytes,
            "with `{key}` the store would have {bytes} bytes; it may have {}",
            self.most_bytes
        );
        self.numbers.insert(VERSION, version)?;
        self.numbers.insert(BYTES, bytes)?;
        Ok(())
    }

    pub(super) fn delete(&mut self, bucket: &str, key: &str) -> Result<()> {
        check_key(key)?;
        let old = self.entries.remove((bucket, key))?;
        let Some(old) = old.map(|old| taken(bucket, key, old.value().1.len())) else {
            return Ok(());
        };
        let bytes = self.number(BYTES)?.saturating_sub(old);
        self.numbers.insert(BYTES, bytes)?;
        Ok(())
    }
}
