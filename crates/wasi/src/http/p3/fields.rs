//! The resource `fields` of 0.3.

use crate::WasiCtx;
use crate::http::fields::{Fields, same_functions};
use crate::http::p3::HeaderFailure;
use crate::http::p3::bindings::wasi::http::types::HostFields;
use anyhow::{Result, anyhow};
use trampette_runtime::{List, Resource};

impl HostFields for WasiCtx {
    same_functions!();

    fn new(&mut self) -> Result<Resource<Fields>> {
        let fields = Fields::new(self.http().quota());
        let fields = fields.map_err(|_| anyhow!("the guest has too many fields"))?;
        Ok(self.table.push(fields)?)
    }

    fn get_and_delete(
        &mut self,
        this: Resource<Fields>,
        name: &str,
    ) -> Result<Vec<Vec<u8>>, HeaderFailure> {
        Ok(self.table.get_mut(&this)?.delete(name)?)
    }

    fn copy_all(&mut self, this: Resource<Fields>) -> Result<Vec<(String, Vec<u8>)>> {
        Ok(self.table.get(&this)?.entries())
    }
}
