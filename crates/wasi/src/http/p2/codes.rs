//! The `error-code` of 0.2, which has the same cases as that of 0.3.

use crate::http::p2::bindings::wasi::http::types as wit;
use crate::http::p3::bindings::wasi::http::types as own;

fn size(size: own::FieldSizePayload) -> wit::FieldSizePayload {
    wit::FieldSizePayload {
        field_name: size.field_name,
        field_size: size.field_size,
    }
}

fn from_size(size: wit::FieldSizePayload) -> own::FieldSizePayload {
    own::FieldSizePayload {
        field_name: size.field_name,
        field_size: size.field_size,
    }
}

macro_rules! codes {
    (
        plain: $($plain:ident)*;
        numbers: $($number:ident)*;
        sizes: $($size:ident)*;
    ) => {
        /// The code for a guest of 0.2.
        pub(crate) fn code(code: own::ErrorCode) -> wit::ErrorCode {
            match code {
                $(own::ErrorCode::$plain => wit::ErrorCode::$plain,)*
                $(own::ErrorCode::$number(value) => wit::ErrorCode::$number(value),)*
                $(own::ErrorCode::$size(value) => wit::ErrorCode::$size(size(value)),)*
                own::ErrorCode::HttpRequestHeaderSize(value) => {
                    wit::ErrorCode::HttpRequestHeaderSize(value.map(size))
                }
                own::ErrorCode::DnsError(value) => wit::ErrorCode::DnsError(wit::DnsErrorPayload {
                    rcode: value.rcode,
                    info_code: value.info_code,
                }),
                own::ErrorCode::TlsAlertReceived(value) => {
                    wit::ErrorCode::TlsAlertReceived(wit::TlsAlertReceivedPayload {
                        alert_id: value.alert_id,
                        alert_message: value.alert_message,
                    })
                }
            }
        }

        /// The code that a guest of 0.2 gives.
        pub(crate) fn from_code(code: wit::ErrorCode) -> own::ErrorCode {
            match code {
                $(wit::ErrorCode::$plain => own::ErrorCode::$plain,)*
                $(wit::ErrorCode::$number(value) => own::ErrorCode::$number(value),)*
                $(wit::ErrorCode::$size(value) => own::ErrorCode::$size(from_size(value)),)*
                wit::ErrorCode::HttpRequestHeaderSize(value) => {
                    own::ErrorCode::HttpRequestHeaderSize(value.map(from_size))
                }
                wit::ErrorCode::DnsError(value) => own::ErrorCode::DnsError(own::DnsErrorPayload {
                    rcode: value.rcode,
                    info_code: value.info_code,
                }),
                wit::ErrorCode::TlsAlertReceived(value) => {
                    own::ErrorCode::TlsAlertReceived(own::TlsAlertReceivedPayload {
                        alert_id: value.alert_id,
                        alert_message: value.alert_message,
                    })
                }
            }
        }
    };
}

codes! {
    plain:
        DnsTimeout DestinationNotFound DestinationUnavailable DestinationIpProhibited
        DestinationIpUnroutable ConnectionRefused ConnectionTerminated ConnectionTimeout
        ConnectionReadTimeout ConnectionWriteTimeout ConnectionLimitReached TlsProtocolError
        TlsCertificateError HttpRequestDenied HttpRequestLengthRequired HttpRequestMethodInvalid
        HttpRequestUriInvalid HttpRequestUriTooLong HttpResponseIncomplete HttpResponseTimeout
        HttpUpgradeFailed HttpProtocolError LoopDetected ConfigurationError;
    numbers:
        HttpRequestBodySize HttpRequestHeaderSectionSize HttpRequestTrailerSectionSize
        HttpResponseHeaderSectionSize HttpResponseBodySize HttpResponseTrailerSectionSize
        HttpResponseTransferCoding HttpResponseContentCoding InternalError;
    sizes:
        HttpRequestTrailerSize HttpResponseHeaderSize HttpResponseTrailerSize;
}
