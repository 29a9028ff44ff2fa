//! Requests and responses of 0.2, and the outgoing handler.

use crate::WasiCtx;
use crate::common::time::nanoseconds;
use crate::http::background::Task;
use crate::http::body::{Direction, PipeBody, empty, pipe};
use crate::http::context::Way;
use crate::http::fields::Fields;
use crate::http::message::{RequestOptions, Target, conversions, parse_status, set, set_optional};
use crate::http::p2::bindings::wasi::http::outgoing_handler;
use crate::http::p2::bindings::wasi::http::types::{
    self as types, Host, HostFutureIncomingResponse, HostIncomingRequest, HostIncomingResponse,
    HostOutgoingRequest, HostOutgoingResponse, HostRequestOptions, HostResponseOutparam, Method,
    Scheme,
};
use crate::http::p2::bodies::{IncomingBody, OutgoingBody, lock};
use crate::http::p2::{Failure, codes, too_many_fields};
use crate::http::{Body, ErrorCode};
use crate::p2::io::{IoError, PollReady, Pollable, Readiness};
use anyhow::Result;
use http::{Response, StatusCode};
use http_body_util::BodyExt;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::oneshot;
use trampette_runtime::Resource;

conversions!(crate::http::p2::bindings::wasi::http::types);

impl Host for WasiCtx {
    fn http_error_code(&mut self, error: Resource<IoError>) -> Result<Option<types::ErrorCode>> {
        let error = self.table.get(&error)?.0.get_ref();
        let code = error.and_then(|error| error.downcast_ref::<ErrorCode>());
        Ok(code.cloned().map(codes::code))
    }
}

/// `incoming-request`.
pub(crate) struct IncomingRequest {
    pub(crate) target: Target,
    pub(crate) headers: Fields,
    /// Until the guest takes it.
    pub(crate) body: Option<Body>,
}

impl HostIncomingRequest for WasiCtx {
    fn method(&mut self, this: Resource<IncomingRequest>) -> Result<Method> {
        Ok(method(&self.table.get(&this)?.target.method))
    }

    fn path_with_query(&mut self, this: Resource<IncomingRequest>) -> Result<Option<String>> {
        Ok(self.table.get(&this)?.target.path.clone())
    }

    fn scheme(&mut self, this: Resource<IncomingRequest>) -> Result<Option<Scheme>> {
        Ok(self.table.get(&this)?.target.scheme.as_ref().map(scheme))
    }

    fn authority(&mut self, this: Resource<IncomingRequest>) -> Result<Option<String>> {
        Ok(self.table.get(&this)?.target.authority_text())
    }

    fn headers(&mut self, this: Resource<IncomingRequest>) -> Result<Resource<Fields>> {
        let headers = self.table.get(&this)?.headers.immutable();
        Ok(self.table.push(headers)?)
    }

    fn consume(
        &mut self,
        this: Resource<IncomingRequest>,
    ) -> Result<Result<Resource<IncomingBody>, ()>> {
        match self.table.get_mut(&this)?.body.take() {
            Some(body) => Ok(Ok(self.table.push(IncomingBody::new(body))?)),
            None => Ok(Err(())),
        }
    }

    fn drop(&mut self, this: Resource<IncomingRequest>) -> Result<()> {
        self.give_up(this)
    }
}

/// The body of a message that a guest makes: not asked for yet, or with the guest.
enum Writable {
    Unused,
    Written(PipeBody),
    Gone,
}

impl Writable {
    /// The body to be sent.
    fn take(&mut self) -> Body {
        match std::mem::replace(self, Writable::Gone) {
            Writable::Written(body) => body.boxed_unsync(),
            Writable::Unused | Writable::Gone => empty(),
        }
    }
}

/// `outgoing-request`.
pub(crate) struct OutgoingRequest {
    target: Target,
    headers: Fields,
    body: Writable,
}

/// What a guest writes a body with, if it did not ask for it before.
fn body(
    wasi: &mut WasiCtx,
    direction: Direction,
    headers: &Fields,
) -> Result<Result<(Resource<OutgoingBody>, PipeBody), ()>> {
    // A length that is none shows when the message is sent.
    let length = headers.content_length().unwrap_or(None);
    let piped = pipe(direction, length, wasi.http().quota());
    let (writer, body, _) = piped.map_err(anyhow::Error::from)?;
    let writer = wasi.table.push(OutgoingBody::new(writer))?;
    Ok(Ok((writer, body)))
}

impl HostOutgoingRequest for WasiCtx {
    fn new(&mut self, headers: Resource<Fields>) -> Result<Resource<OutgoingRequest>> {
        let headers = self.table.delete(headers)?.immutable();
        Ok(self.table.push(OutgoingRequest {
            target: Target::default(),
            headers,
            body: Writable::Unused,
        })?)
    }

    fn body(
        &mut self,
        this: Resource<OutgoingRequest>,
    ) -> Result<Result<Resource<OutgoingBody>, ()>> {
        let request = self.table.get(&this)?;
        if !matches!(request.body, Writable::Unused) {
            return Ok(Err(()));
        }
        let headers = request.headers.immutable();
        let made = body(self, Direction::Request, &headers)?;
        let Ok((writer, body)) = made else {
            return Ok(Err(()));
        };
        self.table.get_mut(&this)?.body = Writable::Written(body);
        Ok(Ok(writer))
    }

    fn method(&mut self, this: Resource<OutgoingRequest>) -> Result<Method> {
        Ok(method(&self.table.get(&this)?.target.method))
    }

    fn set_method(
        &mut self,
        this: Resource<OutgoingRequest>,
        value: Method,
    ) -> Result<Result<(), ()>> {
        let target = &mut self.table.get_mut(&this)?.target;
        Ok(set(&mut target.method, from_method(value)))
    }

    fn path_with_query(&mut self, this: Resource<OutgoingRequest>) -> Result<Option<String>> {
        Ok(self.table.get(&this)?.target.path.clone())
    }

    fn set_path_with_query(
        &mut self,
        this: Resource<OutgoingRequest>,
        path: Option<&str>,
    ) -> Result<Result<(), ()>> {
        Ok(self.table.get_mut(&this)?.target.set_path(path))
    }

    fn scheme(&mut self, this: Resource<OutgoingRequest>) -> Result<Option<Scheme>> {
        Ok(self.table.get(&this)?.target.scheme.as_ref().map(scheme))
    }

    fn set_scheme(
        &mut self,
        this: Resource<OutgoingRequest>,
        value: Option<Scheme>,
    ) -> Result<Result<(), ()>> {
        let target = &mut self.table.get_mut(&this)?.target;
        Ok(set_optional(&mut target.scheme, value.map(from_scheme)))
    }

    fn authority(&mut self, this: Resource<OutgoingRequest>) -> Result<Option<String>> {
        Ok(self.table.get(&this)?.target.authority_text())
    }

    fn set_authority(
        &mut self,
        this: Resource<OutgoingRequest>,
        value: Option<&str>,
    ) -> Result<Result<(), ()>> {
        Ok(self.table.get_mut(&this)?.target.set_authority(value))
    }

    fn headers(&mut self, this: Resource<OutgoingRequest>) -> Result<Resource<Fields>> {
        let headers = self.table.get(&this)?.headers.immutable();
        Ok(self.table.push(headers)?)
    }

    fn drop(&mut self, this: Resource<OutgoingRequest>) -> Result<()> {
        self.give_up(this)
    }
}

impl HostRequestOptions for WasiCtx {
    fn new(&mut self) -> Result<Resource<RequestOptions>> {
        Ok(self.table.push(RequestOptions::default())?)
    }

    fn connect_timeout(&mut self, this: Resource<RequestOptions>) -> Result<Option<u64>> {
        Ok(self.table.get(&this)?.connect_timeout.map(nanoseconds))
    }

    fn set_connect_timeout(
        &mut self,
        this: Resource<RequestOptions>,
        time: Option<u64>,
    ) -> Result<Result<(), ()>> {
        self.table.get_mut(&this)?.connect_timeout = time.map(Duration::from_nanos);
        Ok(Ok(()))
    }

    fn first_byte_timeout(&mut self, this: Resource<RequestOptions>) -> Result<Option<u64>> {
        Ok(self.table.get(&this)?.first_byte_timeout.map(nanoseconds))
    }

    fn set_first_byte_timeout(
        &mut self,
        this: Resource<RequestOptions>,
        time: Option<u64>,
    ) -> Result<Result<(), ()>> {
        self.table.get_mut(&this)?.first_byte_timeout = time.map(Duration::from_nanos);
        Ok(Ok(()))
    }

    fn between_bytes_timeout(&mut self, this: Resource<RequestOptions>) -> Result<Option<u64>> {
        Ok(self
            .table
            .get(&this)?
            .between_bytes_timeout
            .map(nanoseconds))
    }

    fn set_between_bytes_timeout(
        &mut self,
        this: Resource<RequestOptions>,
        time: Option<u64>,
    ) -> Result<Result<(), ()>> {
        self.table.get_mut(&this)?.between_bytes_timeout = time.map(Duration::from_nanos);
        Ok(Ok(()))
    }

    fn drop(&mut self, this: Resource<RequestOptions>) -> Result<()> {
        self.give_up(this)
    }
}

/// `response-outparam`: whom the response of a guest is given to.
pub(crate) struct Outparam(pub(crate) oneshot::Sender<Result<Response<Body>, ErrorCode>>);

impl HostResponseOutparam for WasiCtx {
    fn set(
        &mut self,
        this: Resource<Outparam>,
        response: Result<Resource<OutgoingResponse>, types::ErrorCode>,
    ) -> Result<()> {
        let Outparam(sender) = self.table.delete(this)?;
        let response = match response {
            Ok(response) => {
                let mut response = self.table.delete(response)?;
                // Two lengths are none.
                let length = response.headers.content_length();
                let length = length.map_err(|_| ErrorCode::HttpResponseBodySize(None));
                let headers = response.headers.to_headers();
                let headers = headers.map_err(|_| too_many_fields())?;
                length.map(|_| {
                    let mut made = Response::new(response.body.take());
                    *made.status_mut() = response.status;
                    *made.headers_mut() = headers;
                    made
                })
            }
            Err(code) => Err(codes::from_code(code)),
        };
        // Whoever asked may have gone; the guest finds its body closed then.
        let _ = sender.send(response);
        Ok(())
    }

    fn drop(&mut self, this: Resource<Outparam>) -> Result<()> {
        self.give_up(this)
    }
}

/// `incoming-response`.
pub(crate) struct IncomingResponse {
    status: StatusCode,
    headers: Fields,
    body: Option<Body>,
}

impl HostIncomingResponse for WasiCtx {
    fn status(&mut self, this: Resource<IncomingResponse>) -> Result<u16> {
        Ok(self.table.get(&this)?.status.as_u16())
    }

    fn headers(&mut self, this: Resource<IncomingResponse>) -> Result<Resource<Fields>> {
        let headers = self.table.get(&this)?.headers.immutable();
        Ok(self.table.push(headers)?)
    }

    fn consume(
        &mut self,
        this: Resource<IncomingResponse>,
    ) -> Result<Result<Resource<IncomingBody>, ()>> {
        match self.table.get_mut(&this)?.body.take() {
            Some(body) => Ok(Ok(self.table.push(IncomingBody::new(body))?)),
            None => Ok(Err(())),
        }
    }

    fn drop(&mut self, this: Resource<IncomingResponse>) -> Result<()> {
        self.give_up(this)
    }
}

/// `outgoing-response`.
pub(crate) struct OutgoingResponse {
    status: StatusCode,
    headers: Fields,
    body: Writable,
}

impl HostOutgoingResponse for WasiCtx {
    fn new(&mut self, headers: Resource<Fields>) -> Result<Resource<OutgoingResponse>> {
        let headers = self.table.delete(headers)?.immutable();
        Ok(self.table.push(OutgoingResponse {
            status: StatusCode::OK,
            headers,
            body: Writable::Unused,
        })?)
    }

    fn status_code(&mut self, this: Resource<OutgoingResponse>) -> Result<u16> {
        Ok(self.table.get(&this)?.status.as_u16())
    }

    fn set_status_code(
        &mut self,
        this: Resource<OutgoingResponse>,
        code: u16,
    ) -> Result<Result<(), ()>> {
        let status = &mut self.table.get_mut(&this)?.status;
        Ok(set(status, parse_status(code)))
    }

    fn headers(&mut self, this: Resource<OutgoingResponse>) -> Result<Resource<Fields>> {
        let headers = self.table.get(&this)?.headers.immutable();
        Ok(self.table.push(headers)?)
    }

    fn body(
        &mut self,
        this: Resource<OutgoingResponse>,
    ) -> Result<Result<Resource<OutgoingBody>, ()>> {
        let response = self.table.get(&this)?;
        if !matches!(response.body, Writable::Unused) {
            return Ok(Err(()));
        }
        let headers = response.headers.immutable();
        let made = body(self, Direction::Response, &headers)?;
        let Ok((writer, body)) = made else {
            return Ok(Err(()));
        };
        self.table.get_mut(&this)?.body = Writable::Written(body);
        Ok(Ok(writer))
    }

    fn drop(&mut self, this: Resource<OutgoingResponse>) -> Result<()> {
        self.give_up(this)
    }
}

/// `future-incoming-response`.
pub(crate) struct FutureResponse(Arc<Mutex<Sent>>);

type Sending = Task<Result<Response<Body>, ErrorCode>>;

/// A request that was sent.
enum Sent {
    Waits(Sending),
    There(Result<Response<Body>, ErrorCode>),
    Given,
}

impl PollReady for Sent {
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Sent::Waits(task) = self {
            let response = std::task::ready!(Pin::new(task).poll(cx));
            let lost = || ErrorCode::InternalError(Some("the request was lost".to_string()));
            *self = Sent::There(response.unwrap_or_else(|| Err(lost())));
        }
        Poll::Ready(())
    }
}

impl HostFutureIncomingResponse for WasiCtx {
    fn subscribe(&mut self, this: Resource<FutureResponse>) -> Result<Resource<Pollable>> {
        let sent = self.table.get(&this)?.0.clone();
        let pollable = Pollable(Readiness::Polled(sent));
        Ok(self.table.push_child(pollable, &this)?)
    }

    fn get(&mut self, this: Resource<FutureResponse>) -> Result<Option<GivenResponse>> {
        let sent = self.table.get(&this)?.0.clone();
        let mut sent = lock(&sent);
        let mut cx = Context::from_waker(std::task::Waker::noop());
        if sent.poll_ready(&mut cx).is_pending() {
            return Ok(None);
        }
        let response = match std::mem::replace(&mut *sent, Sent::Given) {
            Sent::There(response) => response,
            _ => return Ok(Some(Err(()))),
        };
        let received = response.and_then(|response| {
            let (parts, body) = response.into_parts();
            let headers = Fields::received(parts.headers, self.http().quota());
            Ok(IncomingResponse {
                status: parts.status,
                headers: headers.map_err(|_| ErrorCode::HttpResponseHeaderSectionSize(None))?,
                body: Some(body),
            })
        });
        Ok(Some(Ok(match received {
            Ok(response) => Ok(self.table.push(response)?),
            Err(code) => Err(codes::code(code)),
        })))
    }

    fn drop(&mut self, this: Resource<FutureResponse>) -> Result<()> {
        self.give_up(this)
    }
}

/// What `future-incoming-response.get` gives once it is there.
type GivenResponse = Result<Result<Resource<IncomingResponse>, types::ErrorCode>, ()>;

impl outgoing_handler::Host for WasiCtx {
    fn handle(
        &mut self,
        request: Resource<OutgoingRequest>,
        options: Option<Resource<RequestOptions>>,
    ) -> Result<Resource<FutureResponse>, Failure> {
        let mut request = self.table.delete(request)?;
        let options = match options {
            Some(options) => self.table.delete(options)?,
            None => RequestOptions::default(),
        };
        let length = request.headers.content_length();
        length.map_err(|_| ErrorCode::HttpRequestBodySize(None))?;
        let headers = request.headers.to_headers();
        let too_large = |_| ErrorCode::HttpRequestHeaderSectionSize(None);
        let mut made = http::Request::new(request.body.take());
        *made.method_mut() = request.target.method.clone();
        *made.uri_mut() = request.target.uri()?;
        *made.headers_mut() = headers.map_err(too_large)?;
        let task = self.http().send(Way::Client, made, options)?;
        let sent = Arc::new(Mutex::new(Sent::Waits(task)));
        Ok(self.table.push(FutureResponse(sent))?)
    }
}
