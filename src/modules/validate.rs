//! Validating the function bodies that nothing translates.

use crate::program::Program;
use crate::program::lock::lock;
use anyhow::{Result, anyhow};
use rayon::prelude::*;

/// Validates the function bodies that pruning left out.
///
/// # Errors
/// If one is invalid, with its byte offset.
pub(crate) fn validate_unreachable(program: &Program<'_>) -> Result<()> {
    let bodies: Vec<_> = program
        .modules
        .iter()
        .flat_map(|module| &module.bodies)
        .collect();
    bodies.par_iter().try_for_each_init(
        wasmparser::FuncValidatorAllocations::default,
        |allocations, body| {
            let Some(to_validate) = lock(&body.validator).take() else {
                return Ok(());
            };
            let mut validator = to_validate.into_validator(std::mem::take(allocations));
            let result = validator.validate(&body.body);
            *allocations = validator.into_allocations();
            result.map_err(|error| {
                anyhow!(
                    "invalid function body at offset {:#x}: {}",
                    error.offset(),
                    error.message()
                )
            })
        },
    )
}
