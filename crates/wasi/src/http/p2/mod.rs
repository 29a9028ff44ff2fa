//! `wasi:http` 0.2: what its resources are, and the outgoing handler.
//!
//! | file | subject |
//! | --- | --- |
//! | `bindings` | what `bindgen!` makes |
//! | `codes` | error codes of 0.2 |
//! | `fields` | the resource `fields` |
//! | `messages` | requests, responses, their options; the outgoing handler |
//! | `bodies` | bodies as streams, and their trailers |

pub(crate) mod bindings;
mod bodies;
mod codes;
mod fields;
mod messages;

pub(crate) use bodies::{FutureTrailers, IncomingBody, OutgoingBody};
pub(crate) use messages::{
    FutureResponse, IncomingRequest, IncomingResponse, OutgoingRequest, OutgoingResponse, Outparam,
};

use crate::WasiCtx;
use crate::http::ErrorCode;
use crate::http::fields::FieldsError;
use anyhow::{Result, anyhow};
use bindings::wasi::http::types::{self as wit, ConvertErrorCode, ConvertHeaderError, HeaderError};
use trampette_runtime::ResourceTableError;

/// Why a function of a message fails.
pub(crate) enum Failure {
    /// With a code for the guest.
    Code(ErrorCode),
    /// With a trap.
    Trap(anyhow::Error),
}

/// Why fields are not changed.
pub(crate) enum HeaderFailure {
    /// With an error for the guest.
    Error(HeaderError),
    /// With a trap.
    Trap(anyhow::Error),
}

impl From<ErrorCode> for Failure {
    fn from(code: ErrorCode) -> Self {
        Failure::Code(code)
    }
}

impl From<ResourceTableError> for Failure {
    fn from(error: ResourceTableError) -> Self {
        Failure::Trap(error.into())
    }
}

impl From<ResourceTableError> for HeaderFailure {
    fn from(error: ResourceTableError) -> Self {
        HeaderFailure::Trap(error.into())
    }
}

impl From<FieldsError> for HeaderFailure {
    fn from(error: FieldsError) -> Self {
        HeaderFailure::Error(match error {
            FieldsError::InvalidSyntax => HeaderError::InvalidSyntax,
            FieldsError::Forbidden => HeaderError::Forbidden,
            FieldsError::Immutable => HeaderError::Immutable,
            // 0.2 has no error for it.
            FieldsError::SizeExceeded => return HeaderFailure::Trap(too_many_fields()),
        })
    }
}

fn too_many_fields() -> anyhow::Error {
    anyhow!("the guest has more or larger HTTP fields than it may")
}

impl ConvertErrorCode for WasiCtx {
    fn convert_error_code(&mut self, failure: Failure) -> Result<wit::ErrorCode> {
        match failure {
            Failure::Code(code) => Ok(codes::code(code)),
            Failure::Trap(error) => Err(error),
        }
    }
}

impl ConvertHeaderError for WasiCtx {
    fn convert_header_error(&mut self, failure: HeaderFailure) -> Result<HeaderError> {
        match failure {
            HeaderFailure::Error(error) => Ok(error),
            HeaderFailure::Trap(error) => Err(error),
        }
    }
}
