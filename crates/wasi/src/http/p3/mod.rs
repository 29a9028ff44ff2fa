//! `wasi:http` 0.3: what its resources are, and the client.
//!
//! | file | subject |
//! | --- | --- |
//! | `bindings` | what `bindgen!` makes |
//! | `fields` | the resource `fields` |
//! | `messages` | the resources `request`, `response`, `request-options` |
//! | `content` | bodies as streams, and futures of trailers |

pub(crate) mod bindings;
pub(crate) mod content;
mod fields;
mod messages;

use crate::WasiCtx;
use crate::common::failure::{self, GuestCode};
use crate::http::body::Direction;
use crate::http::context::Way;
use crate::http::fields::{Fields, FieldsError};
use crate::http::message::{RequestOptions, Target};
use anyhow::Result;
use bindings::wasi::http::types::{
    ConvertErrorCode, ConvertHeaderError, ConvertRequestOptionsError, ErrorCode, HeaderError,
    RequestOptionsError,
};
use bindings::wasi::http::{client, handler};
use content::Content;
use http::StatusCode;
use trampette_runtime::{Access, Resource};

/// `request`.
pub(crate) struct Request {
    pub(crate) target: Target,
    pub(crate) headers: Fields,
    pub(crate) options: Option<RequestOptions>,
    pub(crate) content: Content,
}

/// `response`.
pub(crate) struct Response {
    pub(crate) status: StatusCode,
    pub(crate) headers: Fields,
    pub(crate) content: Content,
}

/// `request-options`.
pub(crate) struct Options {
    options: RequestOptions,
    /// Those of a request cannot be changed.
    is_mutable: bool,
}

/// Why a request fails.
pub(crate) type Failure = failure::Failure<ErrorCode>;
/// Why fields are not changed.
pub(crate) type HeaderFailure = failure::Failure<HeaderError>;
/// Why options are not changed.
pub(crate) type OptionsFailure = failure::Failure<RequestOptionsError>;

impl GuestCode for ErrorCode {}
impl GuestCode for HeaderError {}
impl GuestCode for RequestOptionsError {}

impl From<FieldsError> for HeaderFailure {
    fn from(error: FieldsError) -> Self {
        HeaderFailure::Code(match error {
            FieldsError::InvalidSyntax => HeaderError::InvalidSyntax,
            FieldsError::Forbidden => HeaderError::Forbidden,
            FieldsError::Immutable => HeaderError::Immutable,
            FieldsError::SizeExceeded => HeaderError::SizeExceeded,
        })
    }
}

impl ConvertErrorCode for WasiCtx {
    fn convert_error_code(&mut self, failure: Failure) -> Result<ErrorCode> {
        failure.into_code()
    }
}

impl ConvertHeaderError for WasiCtx {
    fn convert_header_error(&mut self, failure: HeaderFailure) -> Result<HeaderError> {
        failure.into_code()
    }
}

impl ConvertRequestOptionsError for WasiCtx {
    fn convert_request_options_error(
        &mut self,
        failure: OptionsFailure,
    ) -> Result<RequestOptionsError> {
        failure.into_code()
    }
}

impl client::Host for WasiCtx {
    async fn send(
        cx: impl Access<Self>,
        request: Resource<Request>,
    ) -> Result<Resource<Response>, Failure> {
        send(cx, Way::Client, request).await
    }
}

/// A middleware passes requests on to whoever comes next, which is the network if the host has not
/// named somebody else.
impl handler::Host for WasiCtx {
    async fn handle(
        cx: impl Access<Self>,
        request: Resource<Request>,
    ) -> Result<Resource<Response>, Failure> {
        send(cx, Way::Handler, request).await
    }
}

async fn send(
    cx: impl Access<WasiCtx>,
    by: Way,
    request: Resource<Request>,
) -> Result<Resource<Response>, Failure> {
    let request = cx.with(|wasi| wasi.table.delete(request))??;
    let options = request.options.unwrap_or_default();
    let prepared = prepare(&request);
    let (parts, length) = match prepared {
        Ok(prepared) => prepared,
        Err(code) => {
            request.content.tell(Err(code.clone()));
            return Err(code.into());
        }
    };
    let sending = content::into_body(cx, request.content, Direction::Request, length)??;
    let body = sending.body;
    let request = http::Request::from_parts(parts, body);
    let sent = cx.with(|wasi| wasi.http().send(by, request, options))??;
    let lost = || ErrorCode::InternalError(Some("the request was lost".to_string()));
    let (parts, body) = sent.await.ok_or_else(lost)??.into_parts();
    let response = cx.with(|wasi| {
        let quota = wasi.http().quota().clone();
        let headers = Fields::received(parts.headers, &quota);
        let headers = headers.map_err(|_| ErrorCode::HttpResponseHeaderSectionSize(None))?;
        let response = Response {
            status: parts.status,
            headers,
            content: Content::Host(body),
        };
        Ok::<_, Failure>(wasi.table.push(response)?)
    })??;
    Ok(response)
}

/// The head of a request that is to be sent, and what it says about the length of the body.
fn prepare(request: &Request) -> Result<(http::request::Parts, Option<u64>), ErrorCode> {
    let too_large = |_| ErrorCode::HttpRequestHeaderSectionSize(None);
    let length = request.headers.content_length();
    let length = length.map_err(|_| ErrorCode::HttpRequestBodySize(None))?;
    let mut head = http::Request::new(());
    *head.method_mut() = request.target.method.clone();
    *head.uri_mut() = request.target.uri()?;
    *head.headers_mut() = request.headers.to_headers().map_err(too_large)?;
    Ok((head.into_parts().0, length))
}
