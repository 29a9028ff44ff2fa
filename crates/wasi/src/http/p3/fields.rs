//! The resource `fields` of 0.3.

use crate::WasiCtx;
use crate::http::fields::Fields;
use crate::http::p3::HeaderFailure;
use crate::http::p3::bindings::wasi::http::types::HostFields;
use anyhow::{Result, anyhow};
use trampette_runtime::{List, Resource};

impl HostFields for WasiCtx {
    fn new(&mut self) -> Result<Resource<Fields>> {
        let fields = Fields::new(self.http().quota());
        let fields = fields.map_err(|_| anyhow!("the guest has too many fields"))?;
        Ok(self.table.push(fields)?)
    }

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

    fn get_and_delete(
        &mut self,
        this: Resource<Fields>,
        name: &str,
    ) -> Result<Vec<Vec<u8>>, HeaderFailure> {
        Ok(self.table.get_mut(&this)?.delete(name)?)
    }

    fn append(
        &mut self,
        this: Resource<Fields>,
        name: &str,
        value: &[u8],
    ) -> Result<(), HeaderFailure> {
        Ok(self.table.get_mut(&this)?.append(name, value)?)
    }

    fn copy_all(&mut self, this: Resource<Fields>) -> Result<Vec<(String, Vec<u8>)>> {
        Ok(self.table.get(&this)?.entries())
    }

    fn clone(&mut self, this: Resource<Fields>) -> Result<Resource<Fields>> {
        let fields = self.table.get(&this)?.mutable();
        Ok(self.table.push(fields)?)
    }

    fn drop(&mut self, this: Resource<Fields>) -> Result<()> {
        self.give_up(this)
    }
}
