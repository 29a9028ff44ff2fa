//! The resource `fields` of 0.2.

use crate::WasiCtx;
use crate::http::fields::{Fields, same_functions};
use crate::http::p2::bindings::wasi::http::types::HostFields;
use crate::http::p2::{HeaderFailure, too_many_fields};
use anyhow::Result;
use trampette_runtime::{List, Resource};

impl HostFields for WasiCtx {
    same_functions!();

    fn new(&mut self) -> Result<Resource<Fields>> {
        let fields = Fields::new(self.http().quota());
        let fields = fields.map_err(|_| too_many_fields())?;
        Ok(self.table.push(fields)?)
    }

    fn entries(&mut self, this: Resource<Fields>) -> Result<Vec<(String, Vec<u8>)>> {
        Ok(self.table.get(&this)?.entries())
    }
}
