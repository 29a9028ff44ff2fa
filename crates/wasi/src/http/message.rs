//! What a request says beside its fields and body: methods, schemes, authorities, paths; and the
//! times that it may take.

use crate::http::ErrorCode;
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{Method, StatusCode, Uri};
use std::time::Duration;

/// How long the parts of an outgoing request may take.
///
/// ```
/// use std::time::Duration;
/// use trampette_wasi::http::RequestOptions;
///
/// let options = RequestOptions::default();
/// assert_eq!(options.connect_timeout, None);
/// # let _ = Duration::from_secs(1);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct RequestOptions {
    /// Until there is a connection.
    pub connect_timeout: Option<Duration>,
    /// From then until the head of the response is there.
    pub first_byte_timeout: Option<Duration>,
    /// Between parts of the response's body.
    pub between_bytes_timeout: Option<Duration>,
}

/// Where a request goes, in the parts that guests see.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub method: Method,
    pub scheme: Option<Scheme>,
    pub authority: Option<Authority>,
    /// As it was written; a request that is sent has a slash before it.
    pub path: Option<String>,
}

impl Default for Target {
    fn default() -> Self {
        Target {
            method: Method::GET,
            scheme: None,
            authority: None,
            path: None,
        }
    }
}

/// An authority that a guest names; `None` if it is none.
pub(crate) fn parse_authority(text: &str) -> Option<Authority> {
    let authority: Authority = text.parse().ok()?;
    // A port is digits, which the type lets be anything.
    let behind_host = text.rfind(']').map_or(text, |bracket| &text[bracket..]);
    let host_and_port = behind_host.rsplit('@').next()?;
    let has_port = host_and_port.contains(':');
    (!has_port || authority.port_u16().is_some()).then_some(authority)
}

/// A path, with or without a query, that a guest names; `None` if it is none. It need not begin
/// with a slash, and an empty one is one.
pub(crate) fn parse_path(text: &str) -> Option<String> {
    // Of RFC 3986: `unreserved`, `sub-delims`, and what else may be in a path or a query; and text
    // that is not ASCII, which is out there though it should be encoded.
    let is_part = |byte: u8| {
        byte.is_ascii_alphanumeric() || !byte.is_ascii() || b"-._~!$&'()*+,;=:@/?%".contains(&byte)
    };
    let path = if text.is_empty() { "/" } else { text };
    text.bytes().all(is_part).then(|| path.to_string())
}

/// A status that a guest gives; `None` if it is none.
pub(crate) fn parse_status(code: u16) -> Option<StatusCode> {
    let status = StatusCode::from_u16(code).ok();
    status.filter(|_| (100..600).contains(&code))
}

/// A scheme that a guest names; `None` if it is none.
pub(crate) fn parse_scheme(text: &str) -> Option<Scheme> {
    text.parse().ok()
}

/// A method that a guest names; `None` if it is none.
pub(crate) fn parse_method(text: &str) -> Option<Method> {
    Method::from_bytes(text.as_bytes()).ok()
}

/// Sets a part of a message to what was read of the guest's text; if it was nothing, the guest has
/// an error.
pub(crate) fn set<V>(part: &mut V, value: Option<V>) -> Result<(), ()> {
    *part = value.ok_or(())?;
    Ok(())
}

/// As [`set`], for a part that may be left out.
pub(crate) fn set_optional<V>(part: &mut Option<V>, value: Option<Option<V>>) -> Result<(), ()> {
    *part = match value {
        None => None,
        Some(value) => Some(value.ok_or(())?),
    };
    Ok(())
}

impl Target {
    /// The authority as guests have it.
    pub(crate) fn authority_text(&self) -> Option<String> {
        self.authority.as_ref().map(ToString::to_string)
    }

    /// Sets the authority, or leaves it out.
    pub(crate) fn set_authority(&mut self, text: Option<&str>) -> Result<(), ()> {
        set_optional(&mut self.authority, text.map(parse_authority))
    }

    /// Sets the path, or leaves it out.
    pub(crate) fn set_path(&mut self, text: Option<&str>) -> Result<(), ()> {
        set_optional(&mut self.path, text.map(parse_path))
    }

    /// The address of a request that is to be sent.
    ///
    /// # Errors
    /// If it cannot be sent anywhere: only `http` and `https` can, to a host without a user's name.
    pub(crate) fn uri(&self) -> Result<Uri, ErrorCode> {
        let scheme = self.scheme.clone().unwrap_or(Scheme::HTTPS);
        if scheme != Scheme::HTTP && scheme != Scheme::HTTPS {
            return Err(ErrorCode::HttpProtocolError);
        }
        let authority = self.authority.clone();
        let authority = authority.ok_or(ErrorCode::HttpRequestUriInvalid)?;
        if authority.host().is_empty() || authority.as_str().contains('@') {
            return Err(ErrorCode::HttpRequestUriInvalid);
        }
        if self.method == Method::CONNECT {
            return Err(ErrorCode::HttpRequestMethodInvalid);
        }
        let path = self.path.as_deref().unwrap_or("/");
        let path = match path.starts_with('/') {
            true => PathAndQuery::try_from(path),
            false => PathAndQuery::try_from(format!("/{path}")),
        };
        let path = path.map_err(|_| ErrorCode::HttpRequestUriInvalid)?;
        let uri = Uri::builder()
            .scheme(scheme)
            .authority(authority)
            .path_and_query(path);
        uri.build().map_err(|_| ErrorCode::HttpRequestUriInvalid)
    }
}

/// Conversions between the host's types and those of one version of WIT, which look the same.
macro_rules! conversions {
    ($types:path) => {
        use $types as wit;

        pub(super) fn method(method: &http::Method) -> wit::Method {
            match method.as_str() {
                "GET" => wit::Method::Get,
                "HEAD" => wit::Method::Head,
                "POST" => wit::Method::Post,
                "PUT" => wit::Method::Put,
                "DELETE" => wit::Method::Delete,
                "CONNECT" => wit::Method::Connect,
                "OPTIONS" => wit::Method::Options,
                "TRACE" => wit::Method::Trace,
                "PATCH" => wit::Method::Patch,
                other => wit::Method::Other(other.to_string()),
            }
        }

        pub(super) fn from_method(method: wit::Method) -> Option<http::Method> {
            Some(match method {
                wit::Method::Get => http::Method::GET,
                wit::Method::Head => http::Method::HEAD,
                wit::Method::Post => http::Method::POST,
                wit::Method::Put => http::Method::PUT,
                wit::Method::Delete => http::Method::DELETE,
                wit::Method::Connect => http::Method::CONNECT,
                wit::Method::Options => http::Method::OPTIONS,
                wit::Method::Trace => http::Method::TRACE,
                wit::Method::Patch => http::Method::PATCH,
                wit::Method::Other(other) => crate::http::message::parse_method(&other)?,
            })
        }

        pub(super) fn scheme(scheme: &http::uri::Scheme) -> wit::Scheme {
            match scheme.as_str() {
                "http" => wit::Scheme::Http,
                "https" => wit::Scheme::Https,
                other => wit::Scheme::Other(other.to_string()),
            }
        }

        pub(super) fn from_scheme(scheme: wit::Scheme) -> Option<http::uri::Scheme> {
            Some(match scheme {
                wit::Scheme::Http => http::uri::Scheme::HTTP,
                wit::Scheme::Https => http::uri::Scheme::HTTPS,
                wit::Scheme::Other(other) => crate::http::message::parse_scheme(&other)?,
            })
        }
    };
}
pub(crate) use conversions;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn authorities_are_hosts_with_ports() {
        for good in [
            "example.com",
            "example.com:443",
            "127.0.0.1:80",
            "[::1]",
            "[2001:db8::1]:8080",
            "a-b.c:1",
        ] {
            assert!(parse_authority(good).is_some(), "{good}");
        }
        for bad in [
            "",
            "a b",
            "example.com:",
            "example.com:abc",
            "example.com:65536",
            "[::1]:x",
            "[::1",
            "a/b",
            "a?b",
            "a#b",
            "a\\b",
            "a\r\nb",
            "http://a",
            "a:80:90",
        ] {
            assert!(parse_authority(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn paths_are_sent_with_a_slash() {
        for (path, sent) in [
            ("", "/"),
            ("/", "/"),
            ("/a?b=c", "/a?b=c"),
            ("?q", "/?q"),
            ("/%20", "/%20"),
            ("*", "/*"),
            ("a/b", "/a/b"),
            ("/a//b/../c", "/a//b/../c"),
            ("/\u{e9}", "/\u{e9}"),
        ] {
            let target = Target {
                scheme: Some(Scheme::HTTP),
                authority: parse_authority("h"),
                path: parse_path(path),
                ..Target::default()
            };
            let shown = if path.is_empty() { "/" } else { path };
            assert_eq!(target.path.as_deref(), Some(shown));
            assert_eq!(target.uri().unwrap().path_and_query().unwrap(), sent);
        }
        for bad in [
            "/a b",
            "/a\r\nx: y",
            "/a#b",
            "/\0",
            "/\u{7f}",
            "/\"",
            "/a\\b",
            "/[",
            "/{",
        ] {
            assert!(parse_path(bad).is_none(), "{bad:?}");
        }
        for (code, is_one) in [
            (0, false),
            (99, false),
            (100, true),
            (599, true),
            (600, false),
        ] {
            assert_eq!(parse_status(code).is_some(), is_one, "{code}");
        }
    }

    #[test]
    fn requests_go_to_hosts_by_http() {
        let target = |scheme: &str, authority: &str, method: &str| Target {
            method: parse_method(method).unwrap(),
            scheme: parse_scheme(scheme),
            authority: parse_authority(authority),
            path: None,
        };
        let uri = target("http", "a:80", "GET").uri().unwrap();
        assert_eq!(uri.to_string(), "http://a:80/");
        for (scheme, authority, method, error) in [
            ("ftp", "a", "GET", ErrorCode::HttpProtocolError),
            ("http", "", "GET", ErrorCode::HttpRequestUriInvalid),
            ("http", "user@a", "GET", ErrorCode::HttpRequestUriInvalid),
            ("https", "u:p@a", "GET", ErrorCode::HttpRequestUriInvalid),
            ("http", "a", "CONNECT", ErrorCode::HttpRequestMethodInvalid),
        ] {
            let found = target(scheme, authority, method).uri().unwrap_err();
            assert_eq!(found, error, "{method} {scheme} {authority}");
        }
    }
}
