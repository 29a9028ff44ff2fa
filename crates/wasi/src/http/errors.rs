//! What goes wrong on a connection, as the `error-code` of `wasi:http`.
//!
//! Both versions have the same codes; those of 0.3 are what the host uses, and 0.2 gets its own of
//! them at the boundary (`p2/codes.rs`).

use crate::http::ErrorCode;
use std::error::Error;
use std::io::{self, ErrorKind};

/// The first cause of a type.
fn cause<'e, E: Error + 'static>(error: &'e (dyn Error + 'static)) -> Option<&'e E> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        next = error.source();
    }
    None
}

/// Of an error of a connection.
pub(crate) fn of_hyper(error: &hyper::Error) -> ErrorCode {
    if let Some(code) = cause::<ErrorCode>(error) {
        return code.clone();
    }
    if error.is_timeout() {
        return ErrorCode::ConnectionReadTimeout;
    }
    if error.is_parse_too_large() {
        return ErrorCode::HttpResponseHeaderSectionSize(None);
    }
    if error.is_parse() {
        return ErrorCode::HttpProtocolError;
    }
    if error.is_incomplete_message() {
        return ErrorCode::HttpResponseIncomplete;
    }
    if error.is_canceled() || error.is_closed() {
        return ErrorCode::ConnectionTerminated;
    }
    match cause::<io::Error>(error) {
        Some(error) => of_io(error),
        None => ErrorCode::HttpProtocolError,
    }
}

impl From<hyper::Error> for ErrorCode {
    fn from(error: hyper::Error) -> ErrorCode {
        of_hyper(&error)
    }
}

impl From<std::convert::Infallible> for ErrorCode {
    fn from(never: std::convert::Infallible) -> ErrorCode {
        match never {}
    }
}

/// Of an error of a connection that there is, or was to be.
pub(crate) fn of_io(error: &io::Error) -> ErrorCode {
    if let Some(code) = error.get_ref().and_then(|error| cause::<ErrorCode>(error)) {
        return code.clone();
    }
    if let Some(error) = error
        .get_ref()
        .and_then(|error| cause::<rustls::Error>(error))
    {
        return of_tls(error);
    }
    match error.kind() {
        ErrorKind::ConnectionRefused => ErrorCode::ConnectionRefused,
        ErrorKind::TimedOut => ErrorCode::ConnectionTimeout,
        ErrorKind::HostUnreachable | ErrorKind::AddrNotAvailable => {
            ErrorCode::DestinationUnavailable
        }
        ErrorKind::NetworkUnreachable | ErrorKind::NetworkDown => {
            ErrorCode::DestinationIpUnroutable
        }
        ErrorKind::ConnectionReset
        | ErrorKind::ConnectionAborted
        | ErrorKind::BrokenPipe
        | ErrorKind::UnexpectedEof
        | ErrorKind::NotConnected => ErrorCode::ConnectionTerminated,
        _ => ErrorCode::InternalError(Some(error.to_string())),
    }
}

fn of_tls(error: &rustls::Error) -> ErrorCode {
    use crate::http::p3::bindings::wasi::http::types::TlsAlertReceivedPayload;

    match error {
        rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented => {
            ErrorCode::TlsCertificateError
        }
        rustls::Error::AlertReceived(alert) => {
            ErrorCode::TlsAlertReceived(TlsAlertReceivedPayload {
                alert_id: Some(u8::from(*alert)),
                alert_message: Some(format!("{alert:?}")),
            })
        }
        _ => ErrorCode::TlsProtocolError,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_the_system_have_codes() {
        for (kind, code) in [
            (ErrorKind::ConnectionRefused, ErrorCode::ConnectionRefused),
            (ErrorKind::BrokenPipe, ErrorCode::ConnectionTerminated),
            (ErrorKind::TimedOut, ErrorCode::ConnectionTimeout),
        ] {
            assert_eq!(of_io(&kind.into()), code);
        }
        let own = io::Error::other(ErrorCode::HttpUpgradeFailed);
        assert_eq!(of_io(&own), ErrorCode::HttpUpgradeFailed);
        let tls = rustls::Error::InvalidCertificate(rustls::CertificateError::Expired);
        assert_eq!(
            of_io(&io::Error::other(tls)),
            ErrorCode::TlsCertificateError
        );
    }
}
