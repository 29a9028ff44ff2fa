//! The interfaces of `wasi:keyvalue` over a [`KeyValue`].

use crate::WasiCtx;
use crate::common::blocking::blocking;
use crate::common::budget::Held;
use crate::common::failure::{self, GuestCode};
use crate::common::quota::Charge;
use crate::keyvalue::KeyValue;
use crate::keyvalue::bindings::wasi::keyvalue::atomics::{self, CasError, ConvertCasError};
use crate::keyvalue::bindings::wasi::keyvalue::batch;
use crate::keyvalue::bindings::wasi::keyvalue::store::{self, ConvertError, Error, KeyResponse};
use anyhow::{Context, Result, bail};
use trampette_runtime::{List, Resource};

/// Why a function fails.
pub(crate) type Failure = failure::Failure<Error>;
/// Why a value is not swapped.
pub(crate) type CasFailure = failure::Failure<CasError>;

type Fallible<R> = Result<R, Failure>;

impl GuestCode for Error {}
impl GuestCode for CasError {}

impl ConvertError for WasiCtx {
    fn convert_error(&mut self, failure: Failure) -> Result<Error> {
        failure.into_code()
    }
}

impl ConvertCasError for WasiCtx {
    fn convert_cas_error(&mut self, failure: CasFailure) -> Result<CasError> {
        failure.into_code()
    }
}

/// `bucket`.
pub(crate) struct Bucket {
    name: String,
    _held: Held,
}

/// `cas`: what a key had when this was made.
pub(crate) struct Cas {
    bucket: String,
    key: String,
    found: Option<(u64, Vec<u8>)>,
    _held: Held,
    _charge: Charge,
}

/// What the guest is told of something that went wrong in the store.
fn other(error: anyhow::Error) -> Error {
    Error::Other(format!("{error:#}"))
}

fn too_many() -> Error {
    Error::Other("too many buckets and swaps are open".to_string())
}

impl WasiCtx {
    fn keyvalue(&self) -> Fallible<KeyValue> {
        Ok(self.keyvalue.store.clone().ok_or(Error::NoSuchStore)?)
    }

    /// Does something in a bucket. The store may have to wait for a disk, or for other writers.
    fn in_bucket<R>(
        &self,
        bucket: &Resource<Bucket>,
        operation: impl FnOnce(&KeyValue, &str) -> Result<R>,
    ) -> Fallible<R> {
        let store = self.keyvalue()?;
        let name = &self.table.get(bucket)?.name;
        Ok(blocking(|| operation(&store, name)).map_err(other)?)
    }

    /// What a key has now, to compare with.
    fn snapshot(&self, bucket: String, key: String) -> Result<Cas, Error> {
        let store = self.keyvalue.store.clone().ok_or(Error::NoSuchStore)?;
        let held = self.keyvalue.handles.take().map_err(|_| too_many())?;
        let found = blocking(|| store.versioned(&bucket, &key)).map_err(other)?;
        let length = found.as_ref().map_or(0, |(_, value)| value.len());
        let charge = self.keyvalue.bytes.charge(length + key.len());
        let charge = charge.ok_or_else(|| {
            Error::Other(format!(
                "the value of `{key}` is too large beside those of the swaps that are open"
            ))
        })?;
        Ok(Cas {
            bucket,
            key,
            found,
            _held: held,
            _charge: charge,
        })
    }
}

impl store::Host for WasiCtx {
    fn open(&mut self, identifier: &str) -> Fallible<Resource<Bucket>> {
        if !self.keyvalue()?.has_bucket(identifier) {
            return Err(Error::NoSuchStore.into());
        }
        let bucket = Bucket {
            name: identifier.to_string(),
            _held: self.keyvalue.handles.take().map_err(|_| too_many())?,
        };
        Ok(self.table.push(bucket)?)
    }
}

impl store::HostBucket for WasiCtx {
    fn get(&mut self, this: Resource<Bucket>, key: &str) -> Fallible<Option<Vec<u8>>> {
        self.in_bucket(&this, |store, bucket| store.get(bucket, key))
    }

    fn set(&mut self, this: Resource<Bucket>, key: &str, value: &[u8]) -> Fallible<()> {
        self.in_bucket(&this, |store, bucket| store.set(bucket, key, value))
    }

    fn delete(&mut self, this: Resource<Bucket>, key: &str) -> Fallible<()> {
        self.in_bucket(&this, |store, bucket| store.delete(bucket, key))
    }

    fn exists(&mut self, this: Resource<Bucket>, key: &str) -> Fallible<bool> {
        self.in_bucket(&this, |store, bucket| store.exists(bucket, key))
    }

    fn list_keys(&mut self, this: Resource<Bucket>, cursor: Option<&str>) -> Fallible<KeyResponse> {
        let found = self.in_bucket(&this, |store, bucket| store.keys(bucket, cursor))?;
        Ok(KeyResponse {
            keys: found.keys,
            cursor: found.cursor,
        })
    }

    fn drop(&mut self, this: Resource<Bucket>) -> Result<()> {
        self.give_up(this)
    }
}

impl atomics::Host for WasiCtx {
    fn increment(&mut self, bucket: Resource<Bucket>, key: &str, delta: i64) -> Fallible<i64> {
        self.in_bucket(&bucket, |store, bucket| {
            store.change(|entries| {
                let number = match entries.get(bucket, key)? {
                    None => 0,
                    Some((_, value)) => std::str::from_utf8(&value)
                        .ok()
                        .and_then(|text| text.parse::<i64>().ok())
                        .with_context(|| format!("the value of `{key}` is no decimal number"))?,
                };
                let Some(sum) = number.checked_add(delta) else {
                    bail!("the value of `{key}` would have more than 64 bits");
                };
                entries.set(bucket, key, sum.to_string().as_bytes())?;
                Ok(sum)
            })
        })
    }

    fn swap(&mut self, cas: Resource<Cas>, value: &[u8]) -> Result<(), CasFailure> {
        let Cas {
            bucket, key, found, ..
        } = self.table.delete(cas)?;
        let failed = |error| CasFailure::Code(CasError::StoreError(error));
        let store = self.keyvalue.store.clone();
        let store = store.ok_or_else(|| failed(Error::NoSuchStore))?;
        let version = |found: Option<(u64, Vec<u8>)>| found.map(|(version, _)| version);
        let expected = version(found);
        let swapped = blocking(|| {
            store.change(|entries| {
                let is_current = version(entries.get(&bucket, &key)?) == expected;
                if is_current {
                    entries.set(&bucket, &key, value)?;
                }
                Ok(is_current)
            })
        });
        match swapped {
            Ok(true) => Ok(()),
            Ok(false) => {
                let newer = self.snapshot(bucket, key).map_err(failed)?;
                Err(CasError::CasFailed(self.table.push(newer)?).into())
            }
            Err(error) => Err(failed(other(error))),
        }
    }
}

impl atomics::HostCas for WasiCtx {
    fn new(&mut self, bucket: Resource<Bucket>, key: &str) -> Fallible<Resource<Cas>> {
        let bucket = self.table.get(&bucket)?.name.clone();
        let cas = self.snapshot(bucket, key.to_string())?;
        Ok(self.table.push(cas)?)
    }

    fn current(&mut self, this: Resource<Cas>) -> Fallible<Option<Vec<u8>>> {
        let found = &self.table.get(&this)?.found;
        Ok(found.as_ref().map(|(_, value)| value.clone()))
    }

    fn drop(&mut self, this: Resource<Cas>) -> Result<()> {
        self.give_up(this)
    }
}

impl batch::Host for WasiCtx {
    fn get_many(
        &mut self,
        bucket: Resource<Bucket>,
        keys: List<'_, String>,
    ) -> Fallible<Vec<Option<(String, Vec<u8>)>>> {
        self.in_bucket(&bucket, |store, bucket| store.get_many(bucket, keys.iter()))
    }

    fn set_many(
        &mut self,
        bucket: Resource<Bucket>,
        key_values: List<'_, (String, Vec<u8>)>,
    ) -> Fallible<()> {
        self.in_bucket(&bucket, |store, bucket| {
            store.set_many(bucket, key_values.iter())
        })
    }

    fn delete_many(&mut self, bucket: Resource<Bucket>, keys: List<'_, String>) -> Fallible<()> {
        self.in_bucket(&bucket, |store, bucket| {
            store.delete_many(bucket, keys.iter())
        })
    }
}
