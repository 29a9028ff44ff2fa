//! What `serve` says of each request: one line.

use crate::output;
use crate::serve::arguments::LogFormat;
use crate::serve::listeners::Client;
use std::fmt::Write;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A request that was answered.
pub(super) struct Request {
    pub client: Client,
    pub method: http::Method,
    pub path: String,
    pub version: http::Version,
}

impl Request {
    /// Prints it, with its answer.
    pub(super) fn print(&self, format: LogFormat, status: http::StatusCode, took: Duration) {
        output::note(match format {
            LogFormat::Text => self.text(status, took),
            LogFormat::Json => self.json(status, took, SystemTime::now()),
        });
    }

    fn text(&self, status: http::StatusCode, took: Duration) -> String {
        let client = match self.client {
            Client::Tcp(address) => address.ip().to_string(),
            client => client.to_string(),
        };
        let (method, path) = (&self.method, &self.path);
        let (status, took) = (status.as_u16(), milliseconds(took));
        format!(
            "{client} {method} {path} {:?} {status} {took} ms",
            self.version
        )
    }

    fn json(&self, status: http::StatusCode, took: Duration, now: SystemTime) -> String {
        let time = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        format!(
            "{{\"time\":{:.3},\"client\":{},\"method\":{},\"path\":{},\"version\":\"{:?}\",\
             \"status\":{},\"ms\":{}}}",
            time.as_secs_f64(),
            quoted(&self.client.to_string()),
            quoted(self.method.as_str()),
            quoted(&self.path),
            self.version,
            status.as_u16(),
            milliseconds(took)
        )
    }
}

fn milliseconds(took: Duration) -> String {
    format!("{:.2}", took.as_secs_f64() * 1e3)
}

/// A string of JSON.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            // Writing to a string does not fail.
            c if u32::from(c) < 0x20 => drop(write!(quoted, "\\u{:04x}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_a_line() {
        let request = Request {
            client: Client::Tcp("127.0.0.1:5".parse().unwrap()),
            method: http::Method::GET,
            path: "/a?b=\"\\".to_string(),
            version: http::Version::HTTP_11,
        };
        let took = Duration::from_micros(1234);
        assert_eq!(
            request.text(http::StatusCode::OK, took),
            "127.0.0.1 GET /a?b=\"\\ HTTP/1.1 200 1.23 ms"
        );
        assert_eq!(
            request.json(http::StatusCode::OK, took, UNIX_EPOCH),
            r#"{"time":0.000,"client":"127.0.0.1:5","method":"GET","path":"/a?b=\"\\","version":"HTTP/1.1","status":200,"ms":1.23}"#
        );
        assert_eq!(quoted("a\n\u{7f}ü"), "\"a\\u000a\u{7f}ü\"");
    }
}
