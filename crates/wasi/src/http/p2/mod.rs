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
use crate::common::failure::{self, GuestCode};
use crate::http::ErrorCode;
use crate::http::fields::FieldsError;
use anyhow::{Result, anyhow};
use bindings::wasi::http::types::{self as wit, ConvertErrorCode, ConvertHeaderError, HeaderError};

/// Why a function of a message fails.
pub(crate) type Failure = failure::Failure<ErrorCode>;
/// Why fields are not changed.
pub(crate) type HeaderFailure = failure::Failure<HeaderError>;

impl GuestCode for HeaderError {}

impl From<FieldsError> for HeaderFailure {
    fn from(error: FieldsError) -> Self {
        HeaderFailure::Code(match error {
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
        failure.into_code().map(codes::code)
    }
}

impl ConvertHeaderError for WasiCtx {
    fn convert_header_error(&mut self, failure: HeaderFailure) -> Result<HeaderError> {
        failure.into_code()
    }
}
