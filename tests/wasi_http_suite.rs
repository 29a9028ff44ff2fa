//! The official WASI suite: its tests of HTTP, one by one, through the command line.
//!
//! A test that is a service is served, and gets the `request`s of its `NAME.json`; the others are
//! run. `servers` are servers of ours, whose addresses are in variables of the guest's. The suite
//! lies beside the repository; without it the harness says so.

#[path = "support/http.rs"]
mod http;
#[path = "support/suites.rs"]
mod suites;
#[path = "support/trials.rs"]
mod trials;

use anyhow::{Context, Result, ensure};
use http::{Answer, Asked, Request, Served};
use libtest_mimic::{Failed, Trial};
use serde_json::Value;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, ExitCode};

fn main() -> ExitCode {
    trials::run("the suite", trials)
}

fn trials() -> Result<Vec<Trial>> {
    let Some(suite) = suites::folder("suites/wasi") else {
        return Ok(Vec::new());
    };
    let mut trials = Vec::new();
    for entry in std::fs::read_dir(suite.join("p3-rust"))? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let Some(stem) = name
            .strip_suffix(".wasm")
            .filter(|stem| stem.starts_with("http-"))
        else {
            continue;
        };
        trials.push(Trial::test(stem.to_string(), move || {
            check(&path).map_err(|error| Failed::from(format!("{error:#}")))
        }));
    }
    ensure!(trials.len() > 10, "the suite has no tests of HTTP");
    Ok(trials)
}

fn check(path: &Path) -> Result<()> {
    let spec: Value = serde_json::from_slice(&std::fs::read(path.with_extension("json"))?)?;
    let mut command = Command::new(env!("CARGO_BIN_EXE_trampette"));
    let is_service = spec["world"] == "wasi:http/service";
    command.arg(if is_service { "serve" } else { "run" });
    for server in spec["servers"].as_array().into_iter().flatten() {
        let name = server["name"].as_str().context("a server has a name")?;
        let address = match server["kind"].as_str() {
            // Nobody listens there any more.
            Some("closed") => TcpListener::bind("127.0.0.1:0")?.local_addr()?,
            _ => {
                let endpoints = server["endpoints"].clone();
                http::upstream(move |asked| answer(&endpoints, asked))?
            }
        };
        command.arg("--env");
        command.arg(format!("HTTP_SERVER_{}={address}", name.to_uppercase()));
    }
    if !is_service {
        let output = command.arg(path).output()?;
        ensure!(output.status.success(), "{output:?}");
        return Ok(());
    }
    command.arg("--addr=127.0.0.1:0").arg(path);
    let served = Served::start(command)?;
    for operation in spec["operations"].as_array().into_iter().flatten() {
        if operation["type"] == "request" {
            let request = request(operation)?;
            let answer = served.ask(&request)?;
            compare(&answer, &operation["response"])
                .with_context(|| format!("{}; stderr: {}", request.path, served.errors()))?;
        }
    }
    served.signal(rustix::process::Signal::INT)?;
    let (status, errors) = served.wait()?;
    ensure!(status.success(), "it ended with {status}: {errors}");
    Ok(())
}

fn request(operation: &Value) -> Result<Request> {
    let path = operation["path"].as_str().context("a request has a path")?;
    let mut request = Request::new(operation["method"].as_str().unwrap_or("GET"), path);
    for (name, value) in operation["headers"].as_object().into_iter().flatten() {
        request = request.header(name, value.as_str().unwrap_or_default());
    }
    if let Some(body) = operation["body"].as_str() {
        request = request.body(body);
    }
    Ok(request)
}

fn compare(answer: &Answer, expected: &Value) -> Result<()> {
    ensure!(answer.is_whole, "it breaks off: {answer:?}");
    let status = expected["status"].as_u64();
    ensure!(Some(u64::from(answer.status)) == status, "{answer:?}");
    for (name, value) in expected["headers"].as_object().into_iter().flatten() {
        let found = answer.header(&name.to_lowercase());
        ensure!(Some(&found[..]) == value.as_str(), "{name}: {found}");
    }
    if let Some(body) = expected["body"].as_str() {
        ensure!(answer.text() == body, "{answer:?}");
    }
    Ok(())
}

/// What a server of the suite answers.
fn answer(endpoints: &Value, asked: &Asked) -> Vec<u8> {
    let mut endpoints = endpoints.as_array().into_iter().flatten();
    let endpoint = endpoints
        .find(|endpoint| endpoint["method"] == asked.method[..] && endpoint["path"] == asked.path);
    let Some(endpoint) = endpoint else {
        return http::answer(404, &[], b"");
    };
    match endpoint["mode"].as_str() {
        Some("echo-body") => return http::answer(200, &[], &asked.body),
        Some("echo-headers") => {
            let mut headers = vec![
                ("x-request-method".to_string(), asked.method.clone()),
                ("x-request-path".to_string(), asked.path.clone()),
            ];
            let named = |start: &str, fields: &[(String, String)]| -> Vec<(String, String)> {
                let fields = fields.iter();
                fields
                    .map(|(name, value)| (format!("{start}{name}"), value.clone()))
                    .collect()
            };
            headers.extend(named("x-echo-", &asked.headers));
            headers.extend(named("x-trailer-", &asked.trailers));
            let headers: Vec<(&str, &str)> = headers
                .iter()
                .map(|(name, value)| (&name[..], &value[..]))
                .collect();
            return http::answer(200, &headers, b"");
        }
        _ => {}
    }
    let response = &endpoint["response"];
    let status = response["status"].as_u64().unwrap_or(200) as u16;
    if let Some(chunks) = response["chunks"].as_array() {
        let chunks: Vec<&str> = chunks.iter().filter_map(Value::as_str).collect();
        let trailers = response["trailers"].as_object().into_iter().flatten();
        let trailers =
            trailers.filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_string())));
        return http::chunked(status, &chunks, &trailers.collect());
    }
    let headers = response["headers"].as_object().into_iter().flatten();
    let headers = headers.filter_map(|(name, value)| Some((&name[..], value.as_str()?)));
    let body = match asked.method == "HEAD" {
        true => "",
        false => response["body"].as_str().unwrap_or_default(),
    };
    http::answer(status, &headers.collect::<Vec<_>>(), body.as_bytes())
}
