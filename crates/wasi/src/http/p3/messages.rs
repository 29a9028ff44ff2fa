//! The resources `request`, `response` and `request-options` of 0.3.

use crate::WasiCtx;
use crate::common::time::nanoseconds;
use crate::http::fields::Fields;
use crate::http::message::{RequestOptions, Target, conversions, parse_status, set, set_optional};
use crate::http::p3::bindings::wasi::http::types::{
    Host, HostRequest, HostRequestOptions, HostResponse, Method, RequestOptionsError, Scheme,
};
use crate::http::p3::content::{Content, Outcome, Trailers};
use crate::http::p3::{Options, OptionsFailure, Request, Response};
use anyhow::Result;
use http::StatusCode;
use std::time::Duration;
use trampette_runtime::{AccessMut, FutureReader, Resource, StreamReader};

conversions!(crate::http::p3::bindings::wasi::http::types);

impl Host for WasiCtx {}

impl HostRequest for WasiCtx {
    fn new(
        cx: &mut impl AccessMut<Self>,
        headers: Resource<Fields>,
        contents: Option<StreamReader<u8>>,
        trailers: FutureReader<Trailers>,
        options: Option<Resource<Options>>,
    ) -> Result<(Resource<Request>, FutureReader<Outcome>)> {
        let (content, outcome) = Content::of_guest(cx, contents, trailers)?;
        let table = &mut cx.host().table;
        let options = options.map(|options| table.delete(options)).transpose()?;
        let request = Request {
            target: Target::default(),
            headers: table.delete(headers)?.immutable(),
            options: options.map(|options| options.options),
            content,
        };
        Ok((table.push(request)?, outcome))
    }

    fn get_method(&mut self, this: Resource<Request>) -> Result<Method> {
        Ok(method(&self.table.get(&this)?.target.method))
    }

    fn set_method(&mut self, this: Resource<Request>, value: Method) -> Result<Result<(), ()>> {
        let target = &mut self.table.get_mut(&this)?.target;
        Ok(set(&mut target.method, from_method(value)))
    }

    fn get_path_with_query(&mut self, this: Resource<Request>) -> Result<Option<String>> {
        Ok(self.table.get(&this)?.target.path.clone())
    }

    fn set_path_with_query(
        &mut self,
        this: Resource<Request>,
        path: Option<&str>,
    ) -> Result<Result<(), ()>> {
        Ok(self.table.get_mut(&this)?.target.set_path(path))
    }

    fn get_scheme(&mut self, this: Resource<Request>) -> Result<Option<Scheme>> {
        Ok(self.table.get(&this)?.target.scheme.as_ref().map(scheme))
    }

    fn set_scheme(
        &mut self,
        this: Resource<Request>,
        value: Option<Scheme>,
    ) -> Result<Result<(), ()>> {
        let target = &mut self.table.get_mut(&this)?.target;
        Ok(set_optional(&mut target.scheme, value.map(from_scheme)))
    }

    fn get_authority(&mut self, this: Resource<Request>) -> Result<Option<String>> {
        Ok(self.table.get(&this)?.target.authority_text())
    }

    fn set_authority(
        &mut self,
        this: Resource<Request>,
        value: Option<&str>,
    ) -> Result<Result<(), ()>> {
        Ok(self.table.get_mut(&this)?.target.set_authority(value))
    }

    fn get_options(&mut self, this: Resource<Request>) -> Result<Option<Resource<Options>>> {
        let Some(options) = self.table.get(&this)?.options else {
            return Ok(None);
        };
        let options = Options {
            options,
            is_mutable: false,
        };
        Ok(Some(self.table.push(options)?))
    }

    fn get_headers(&mut self, this: Resource<Request>) -> Result<Resource<Fields>> {
        let headers = self.table.get(&this)?.headers.immutable();
        Ok(self.table.push(headers)?)
    }

    fn consume_body(
        cx: &mut impl AccessMut<Self>,
        this: Resource<Request>,
        outcome: FutureReader<Outcome>,
    ) -> Result<(StreamReader<u8>, FutureReader<Trailers>)> {
        let request = cx.host().table.delete(this)?;
        request.content.consume(cx, outcome)
    }

    fn drop(&mut self, this: Resource<Request>) -> Result<()> {
        self.give_up(this)
    }
}

impl HostResponse for WasiCtx {
    fn new(
        cx: &mut impl AccessMut<Self>,
        headers: Resource<Fields>,
        contents: Option<StreamReader<u8>>,
        trailers: FutureReader<Trailers>,
    ) -> Result<(Resource<Response>, FutureReader<Outcome>)> {
        let (content, outcome) = Content::of_guest(cx, contents, trailers)?;
        let table = &mut cx.host().table;
        let response = Response {
            status: StatusCode::OK,
            headers: table.delete(headers)?.immutable(),
            content,
        };
        Ok((table.push(response)?, outcome))
    }

    fn get_status_code(&mut self, this: Resource<Response>) -> Result<u16> {
        Ok(self.table.get(&this)?.status.as_u16())
    }

    fn set_status_code(&mut self, this: Resource<Response>, code: u16) -> Result<Result<(), ()>> {
        let status = &mut self.table.get_mut(&this)?.status;
        Ok(set(status, parse_status(code)))
    }

    fn get_headers(&mut self, this: Resource<Response>) -> Result<Resource<Fields>> {
        let headers = self.table.get(&this)?.headers.immutable();
        Ok(self.table.push(headers)?)
    }

    fn consume_body(
        cx: &mut impl AccessMut<Self>,
        this: Resource<Response>,
        outcome: FutureReader<Outcome>,
    ) -> Result<(StreamReader<u8>, FutureReader<Trailers>)> {
        let response = cx.host().table.delete(this)?;
        response.content.consume(cx, outcome)
    }

    fn drop(&mut self, this: Resource<Response>) -> Result<()> {
        self.give_up(this)
    }
}

impl WasiCtx {
    fn options(&self, this: &Resource<Options>) -> Result<RequestOptions> {
        Ok(self.table.get(this)?.options)
    }

    fn options_mut(
        &mut self,
        this: &Resource<Options>,
    ) -> Result<&mut RequestOptions, OptionsFailure> {
        let options = self.table.get_mut(this)?;
        match options.is_mutable {
            true => Ok(&mut options.options),
            false => Err(RequestOptionsError::Immutable.into()),
        }
    }
}

impl HostRequestOptions for WasiCtx {
    fn new(&mut self) -> Result<Resource<Options>> {
        Ok(self.table.push(Options {
            options: RequestOptions::default(),
            is_mutable: true,
        })?)
    }

    fn get_connect_timeout(&mut self, this: Resource<Options>) -> Result<Option<u64>> {
        Ok(self.options(&this)?.connect_timeout.map(nanoseconds))
    }

    fn set_connect_timeout(
        &mut self,
        this: Resource<Options>,
        time: Option<u64>,
    ) -> Result<(), OptionsFailure> {
        self.options_mut(&this)?.connect_timeout = time.map(Duration::from_nanos);
        Ok(())
    }

    fn get_first_byte_timeout(&mut self, this: Resource<Options>) -> Result<Option<u64>> {
        Ok(self.options(&this)?.first_byte_timeout.map(nanoseconds))
    }

    fn set_first_byte_timeout(
        &mut self,
        this: Resource<Options>,
        time: Option<u64>,
    ) -> Result<(), OptionsFailure> {
        self.options_mut(&this)?.first_byte_timeout = time.map(Duration::from_nanos);
        Ok(())
    }

    fn get_between_bytes_timeout(&mut self, this: Resource<Options>) -> Result<Option<u64>> {
        Ok(self.options(&this)?.between_bytes_timeout.map(nanoseconds))
    }

    fn set_between_bytes_timeout(
        &mut self,
        this: Resource<Options>,
        time: Option<u64>,
    ) -> Result<(), OptionsFailure> {
        self.options_mut(&this)?.between_bytes_timeout = time.map(Duration::from_nanos);
        Ok(())
    }

    fn clone(&mut self, this: Resource<Options>) -> Result<Resource<Options>> {
        let options = self.options(&this)?;
        Ok(self.table.push(Options {
            options,
            is_mutable: true,
        })?)
    }

    fn drop(&mut self, this: Resource<Options>) -> Result<()> {
        self.give_up(this)
    }
}
