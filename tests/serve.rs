//! `serve`, as clients and administrators meet it: how it begins and ends, clients that are slow,
//! go away or lie, guests that fail, and limits. The guests are programs of the corpus; where that
//! is not there, nothing is tested but what needs none.
//!
//! | file | subject |
//! | --- | --- |
//! | `clients` | clients that are slow, half-closed, or go away |
//! | `http2` | HTTP/2 |
//! | `keyvalue` | a store of keys and values that servers share |
//! | `limits` | what a server keeps |
//! | `reload` | another component takes the place of the one before |
//! | `sharing` | instances that serve several requests at once |
//! | `sockets` | Unix sockets, and sockets that the process was given |
//! | `tls` | TLS |

#[path = "serve/clients.rs"]
mod clients;
#[path = "support/guest.rs"]
mod guest;
#[path = "support/http.rs"]
mod http;
#[path = "serve/http2.rs"]
mod http2;
#[path = "serve/keyvalue.rs"]
mod keyvalue;
#[path = "serve/limits.rs"]
mod limits;
#[path = "serve/reload.rs"]
mod reload;
#[path = "serve/sharing.rs"]
mod sharing;
#[path = "serve/sockets.rs"]
mod sockets;
#[path = "support/suites.rs"]
mod suites;
#[path = "serve/tls.rs"]
mod tls;

use anyhow::{Context, Result, ensure};
use http::{Answer, Request, Served};
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener};
use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

/// A program of each version, with the same paths.
const BOTH: [&str; 2] = ["p2http", "p3http"];

/// A program of the corpus.
fn program(name: &str) -> Option<PathBuf> {
    let path = suites::folder("corpus")?.join(format!("{name}.wasm"));
    path.exists().then_some(path)
}

fn command(options: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_trampette"));
    command.arg("serve").args(options);
    command
}

/// Serves a program of the corpus.
fn served(name: &str, options: &[&str]) -> Result<Option<Served>> {
    let Some(program) = program(name) else {
        return Ok(None);
    };
    let mut command = command(options);
    command.arg("--addr=127.0.0.1:0").arg(program);
    Served::start(command).map(Some)
}

/// Serves a guest that answers as `serve/answers.wat` says, with more imports; its world has more
/// items.
fn answering(
    imports: &str,
    body: &str,
    world: &str,
    options: &[&str],
) -> Result<(Served, tempfile::TempDir)> {
    let source = include_str!("serve/answers.wat");
    let source = source
        .replace(";; IMPORTS", imports)
        .replace(";; BODY", body);
    let world = format!("include wasi:http/service@0.3.2; {world}");
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("guest.wasm");
    std::fs::write(&path, guest::component(&source, &world)?)?;
    let mut command = command(options);
    command.arg("--addr=127.0.0.1:0").arg(&path);
    Ok((Served::start(command)?, folder))
}

/// What a server says that does not begin.
fn refused(options: &[&str], program: &std::path::Path) -> Result<String> {
    let mut command = command(options);
    let Output { status, stderr, .. } = command.arg(program).output()?;
    ensure!(status.code() == Some(1), "it ended with {status}");
    Ok(String::from_utf8(stderr)?)
}

#[test]
fn what_cannot_be_served_is_named() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let write = |name: &str, text: &str| -> Result<PathBuf> {
        let path = folder.path().join(name);
        std::fs::write(&path, text)?;
        Ok(path)
    };
    let error = refused(&[], &write("empty.wat", "(component)")?)?;
    assert_eq!(
        error,
        "error: the component exports neither `wasi:http/handler@0.3.x` nor \
         `wasi:http/incoming-handler@0.2.x`: it serves no HTTP\n"
    );
    let handler = "(component
        (core module $m (func (export \"f\")))
        (core instance $m (instantiate $m))
        (func $f (canon lift (core func $m \"f\")))
        (instance (export \"wasi:http/incoming-handler@0.2.0\") (export \"handle\" (func $f))))";
    let error = refused(&[], &write("other.wat", handler)?)?;
    assert!(error.contains("handle"), "{error}");
    let error = refused(&["--env", "NOT_SET_HERE"], &write("variable.wat", handler)?)?;
    assert!(!error.is_empty(), "{error}");
    let error = refused(&["--dir", "a", "--dir", "a"], &write("twice.wat", handler)?)?;
    assert!(error.contains("two directories"), "{error}");
    if let Some(program) = program("p3http") {
        let taken = TcpListener::bind("127.0.0.1:0")?;
        let address = taken.local_addr()?.to_string();
        let error = refused(&["--addr", &address], &program)?;
        let expected = format!(
            "error: cannot listen at {address}: the address is in use by another process\n"
        );
        assert_eq!(error, expected);
        let error = refused(&["--addr", "nowhere"], &program)?;
        assert!(
            error.starts_with("error: cannot listen at nowhere: "),
            "{error}"
        );
    }
    Ok(())
}

#[test]
fn the_first_line_says_what_is_served_where() -> Result<()> {
    let (proxy, service) = ("wasi:http/proxy (0.2)", "wasi:http/service (0.3)");
    let cases: [(&str, &[&str], &str, &str); 5] = [
        ("p2http", &[], proxy, "outgoing requests: all"),
        ("p3http", &[], service, "outgoing requests: all"),
        (
            "p3http",
            &["--no-outgoing"],
            service,
            "outgoing requests: none",
        ),
        (
            "p2http",
            &["--allow-net", "a.b:1", "--allow-net", "10.0.0.0/8"],
            proxy,
            "outgoing requests and sockets: a.b:1, 10.0.0.0/8",
        ),
        (
            "p2http",
            &["--allow-net", "a.b:1", "--inherit-network"],
            proxy,
            "outgoing requests and sockets: all",
        ),
    ];
    for (name, options, kind, network) in cases {
        let Some(served) = served(name, options)? else {
            return Ok(());
        };
        let expected = format!(
            "serving {kind} on http://127.0.0.1:{}/; {network}\n",
            served.port
        );
        assert_eq!(served.first_line, expected);
        let (status, errors) = served.end()?;
        assert!(status.success() && errors.is_empty(), "{status}: {errors}");
    }
    Ok(())
}

/// A request that is under way when the server is told to end gets its answer.
#[test]
fn no_request_is_lost_at_the_end() -> Result<()> {
    for name in BOTH {
        for signal in [rustix::process::Signal::TERM, rustix::process::Signal::INT] {
            let Some(served) = served(name, &[])? else {
                return Ok(());
            };
            let mut idle = served.connect()?;
            let mut stream = served.connect()?;
            let head = "POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\n01234";
            stream.write_all(head.as_bytes())?;
            // This one has arrived, though the server may not have seen it yet.
            let mut fresh = served.connect()?;
            fresh.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")?;
            std::thread::sleep(Duration::from_millis(50));
            served.signal(signal)?;
            std::thread::sleep(Duration::from_millis(50));
            stream.write_all(b"56789")?;
            let answer = Answer::read(&mut BufReader::new(stream), "POST")?;
            assert!(
                answer.is_whole && answer.text() == "0123456789",
                "{answer:?}"
            );
            let answer = Answer::read(&mut BufReader::new(fresh), "GET")?;
            assert_eq!(answer.status, 200);
            // Who has asked for nothing keeps nobody.
            let mut rest = Vec::new();
            let _ = idle.read_to_end(&mut rest);
            assert!(rest.is_empty());
            let port = served.port;
            let (status, errors) = served.wait()?;
            assert!(status.success(), "{status}: {errors}");
            let late = std::net::TcpStream::connect(("127.0.0.1", port));
            assert!(late.is_err(), "it still listens");
        }
    }
    Ok(())
}

#[test]
fn it_ends_after_so_many_requests() -> Result<()> {
    let Some(served) = served("p3http", &["--max-requests=3"])? else {
        return Ok(());
    };
    for _ in 0..3 {
        assert_eq!(served.get("/")?.status, 200);
    }
    let (status, errors) = served.wait()?;
    assert!(status.success(), "{status}: {errors}");
    Ok(())
}

#[test]
fn connections_are_kept() -> Result<()> {
    for name in BOTH {
        let Some(served) = served(name, &[])? else {
            return Ok(());
        };
        let mut stream = served.connect()?;
        let mut back = BufReader::new(stream.try_clone()?);
        // Three at once, and one after the other.
        let one = "GET /lines?n=3 HTTP/1.1\r\nhost: a\r\n\r\n";
        stream.write_all(one.repeat(3).as_bytes())?;
        for _ in 0..3 {
            let answer = Answer::read(&mut back, "GET")?;
            assert_eq!(answer.text(), "line 0\nline 1\nline 2\n");
        }
        for _ in 0..3 {
            stream.write_all(one.as_bytes())?;
            assert!(Answer::read(&mut back, "GET")?.is_whole);
        }
        // One that says no more, and still hears the answer.
        stream.write_all(one.as_bytes())?;
        stream.shutdown(Shutdown::Write)?;
        assert!(Answer::read(&mut back, "GET")?.is_whole);
        assert_eq!(back.read(&mut [0])?, 0);
    }
    Ok(())
}

#[test]
fn clients_that_go_away_take_nothing_along() -> Result<()> {
    for name in BOTH {
        let Some(served) = served(name, &[])? else {
            return Ok(());
        };
        for _ in 0..4 {
            // In the middle of an answer, of a request, of a head.
            let mut stream = served.connect()?;
            stream.write_all(b"GET /big?n=6000000 HTTP/1.1\r\nhost: a\r\n\r\n")?;
            stream.read_exact(&mut [0; 1000])?;
            let mut stream = served.connect()?;
            let head = b"POST /hash HTTP/1.1\r\nhost: a\r\ncontent-length: 1000\r\n\r\nabc";
            stream.write_all(head)?;
            let mut stream = served.connect()?;
            stream.write_all(b"GET / HT")?;
        }
        assert_eq!(served.get("/")?.status, 200);
        let start = Instant::now();
        let (status, errors) = served.end()?;
        assert!(status.success(), "{status}: {errors}");
        assert!(
            start.elapsed() < Duration::from_secs(30),
            "guests waited for clients"
        );
    }
    Ok(())
}

#[test]
fn slow_clients_have_their_time() -> Result<()> {
    let options = ["--header-timeout=300ms", "--timeout=400ms"];
    for name in BOTH {
        let Some(served) = served(name, &options)? else {
            return Ok(());
        };
        // A head that never ends, a byte at a time.
        let mut stream = served.connect()?;
        let start = Instant::now();
        let ended = loop {
            if let Err(error) = stream.write_all(b"G") {
                break error.kind();
            }
            ensure!(
                start.elapsed() < Duration::from_secs(20),
                "it waits for ever"
            );
            std::thread::sleep(Duration::from_millis(20));
        };
        assert!(
            matches!(ended, ErrorKind::BrokenPipe | ErrorKind::ConnectionReset),
            "{ended}"
        );
        // A body that never comes: its guest's time is over.
        let mut stream = served.connect()?;
        let head = b"POST /hash HTTP/1.1\r\nhost: a\r\ncontent-length: 1000\r\n\r\nabc";
        stream.write_all(head)?;
        let answer = Answer::read(&mut BufReader::new(stream), "POST")?;
        assert_eq!(answer.status, 500);
        served.prints("timed out after 400 ms")?;
        assert_eq!(served.get("/")?.status, 200);
    }
    Ok(())
}

#[test]
fn guests_that_fail_are_told_of_on_one_line() -> Result<()> {
    for (name, path, text) in [
        (
            "p2http",
            "/trap",
            "wasm trap: wasm `unreachable` instruction executed",
        ),
        (
            "p3http",
            "/trap",
            "wasm trap: wasm `unreachable` instruction executed",
        ),
        ("p2http", "/silent", "the guest gave no answer"),
        (
            "p3http",
            "/err",
            "the guest failed: InternalError(Some(\"deliberate\"))",
        ),
        ("p2http", "/length", "the guest"),
    ] {
        let Some(served) = served(name, &[])? else {
            return Ok(());
        };
        let answer = served.get(path);
        if path == "/length" {
            // It has begun already.
            assert!(!answer.is_ok_and(|answer| answer.is_whole && answer.status < 500));
            continue;
        }
        assert_eq!(answer?.status, 500, "{name} {path}");
        assert_eq!(served.get("/")?.status, 200);
        let (status, errors) = served.end()?;
        assert!(status.success(), "{status}");
        let heads = errors.lines().filter(|line| line.starts_with("error: "));
        let expected = format!("error: a request failed: {text}");
        assert_eq!(heads.collect::<Vec<_>>(), [expected], "{errors}");
    }
    Ok(())
}

#[test]
fn memory_is_limited() -> Result<()> {
    // Larger than the program itself needs, and smaller than the body that it collects.
    let Some(served) = served("p3http", &["--max-memory=3M"])? else {
        return Ok(());
    };
    assert_eq!(served.get("/")?.status, 200);
    let request = Request::new("POST", "/hash").body(vec![b'x'; 8 << 20]);
    match served.ask(&request) {
        Ok(answer) => assert_eq!(answer.status, 500),
        // The server has answered, and closed, before all was sent.
        Err(error) => assert!(
            error.downcast_ref::<std::io::Error>().is_some(),
            "{error:#}"
        ),
    }
    assert_eq!(served.get("/")?.status, 200);
    Ok(())
}

#[test]
fn instances_can_serve_again() -> Result<()> {
    for name in BOTH {
        let Some(served) = served(name, &["--reuse=3"])? else {
            return Ok(());
        };
        for turn in 0..20 {
            let request = Request::new("POST", "/echo").body(format!("turn {turn}"));
            assert_eq!(served.ask(&request)?.text(), format!("turn {turn}"));
            if turn % 5 == 0 {
                assert_eq!(served.get("/trap")?.status, 500);
            }
        }
        let (status, _) = served.end()?;
        assert!(status.success(), "{status}");
    }
    Ok(())
}

#[test]
fn outgoing_requests_go_where_they_may() -> Result<()> {
    let upstream = http::upstream(|asked| http::answer(200, &[("x-case", "u")], &asked.body))?;
    let cases: [(&[&str], u16); 6] = [
        (&[], 200),
        (&["--inherit-network"], 200),
        (&["--no-outgoing"], 502),
        (&["--allow-net=*"], 502),
        (&["--allow-net=127.0.0.1"], 200),
        (&["--allow-net=127.0.0.1:1"], 502),
    ];
    for (options, status) in cases {
        let Some(served) = served("p2http", options)? else {
            return Ok(());
        };
        let request = Request::new("POST", "/proxy").header("x-upstream", &upstream.to_string());
        let answer = served.ask(&request)?;
        // This guest unwraps what may be refused at once.
        let refused = if answer.status == 500 {
            502
        } else {
            answer.status
        };
        assert_eq!(refused, status, "{options:?}: {answer:?}");
    }
    Ok(())
}

/// What guests print goes where the options say, that of all of them to one file.
#[test]
fn messages_of_guests_are_in_a_file() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("messages");
    std::fs::write(&path, "what was there before")?;
    let mut command = command(&["--addr=127.0.0.1:0"]);
    command.arg(format!("--stderr={}", path.display()));
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    command.arg(root.join("tests/components/prints-and-answers-nothing.wat"));
    let served = Served::start(command)?;
    for _ in 0..3 {
        assert_eq!(served.get("/")?.status, 500);
    }
    let (status, errors) = served.end()?;
    assert!(status.success(), "{status}");
    assert!(!errors.contains("served"), "{errors}");
    assert_eq!(std::fs::read_to_string(&path)?, "served\n".repeat(3));
    Ok(())
}

/// A guest that has returned answers no more, although it has kept what it could answer by.
#[test]
fn guests_that_return_without_an_answer_have_none() -> Result<()> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    for reuse in ["--reuse=1", "--reuse=2"] {
        let mut command = command(&["--addr=127.0.0.1:0", reuse]);
        command.arg(root.join("tests/components/keeps-its-answer.wat"));
        let served = Served::start(command)?;
        for _ in 0..3 {
            assert_eq!(served.get("/")?.status, 500, "{reuse}");
        }
        let (status, errors) = served.end()?;
        assert!(status.success(), "{status}");
        let said = errors.matches("the guest gave no answer").count();
        assert_eq!(said, 3, "{reuse}: {errors}");
    }
    Ok(())
}

/// Health and metrics are at an address of their own.
#[test]
fn metrics_are_apart() -> Result<()> {
    let Some(served) = served("p3http", &["--metrics-addr=127.0.0.1:0"])? else {
        return Ok(());
    };
    let address = served.first_line.rsplit_once("; metrics on http://");
    let address = address.and_then(|(_, rest)| rest.trim_end().strip_suffix("/metrics"));
    let address = address.context("an address")?.to_string();
    let ask = |path: &str| -> Result<Answer> {
        let mut stream = std::net::TcpStream::connect(&address)?;
        stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: a\r\n\r\n").as_bytes())?;
        Answer::read(&mut BufReader::new(stream), "GET")
    };
    assert_eq!(ask("/healthz")?.text(), "ok\n");
    assert_eq!(ask("/")?.status, 404);
    assert_eq!(served.get("/metrics")?.status, 404);
    assert_eq!(served.get("/trap")?.status, 500);
    let text = ask("/metrics")?.text();
    for line in [
        "trampette_requests_total{status=\"4xx\"} 1",
        "trampette_requests_total{status=\"5xx\"} 1",
        "trampette_requests_in_flight 0",
    ] {
        assert!(text.contains(line), "{text}");
    }
    Ok(())
}

#[test]
fn a_certificate_and_its_key_belong_together() -> Result<()> {
    let Some(program) = program("p3http") else {
        return Ok(());
    };
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("empty.pem");
    std::fs::write(&file, "")?;
    let file = file.to_str().context("text")?;
    let options = ["--addr=127.0.0.1:0", "--cert", file, "--key", file];
    let error = refused(&options, &program)?;
    let expected = format!("error: --cert {file}: there is no certificate in it\n");
    assert_eq!(error, expected);
    let output = command(&["--cert", file]).arg(&program).output()?;
    assert_eq!(output.status.code(), Some(2));
    Ok(())
}

#[test]
fn requests_are_logged() -> Result<()> {
    for (format, expected) in [
        ("text", "127.0.0.1 GET /nope?a HTTP/1.1 404 "),
        (
            "json",
            "\"method\":\"GET\",\"path\":\"/nope?a\",\"version\":\"HTTP/1.1\",\"status\":404,",
        ),
    ] {
        let Some(served) = served("p3http", &["--log", format])? else {
            return Ok(());
        };
        assert_eq!(served.get("/nope?a")?.status, 404);
        served.prints(expected)?;
    }
    Ok(())
}

/// Requests that two servers might read in two ways, or that lie: what becomes of them, and of what
/// stands behind them on the same connection.
#[test]
fn lies_are_refused() -> Result<()> {
    /// What must come back: statuses, in order; then the connection ends.
    type Case = (&'static str, &'static [u16]);
    let cases: [Case; 27] = [
        // Two lengths.
        (
            "POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\ncontent-length: 4\r\n\r\nabcd",
            &[400],
        ),
        (
            "POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 3, 4\r\n\r\nabcd",
            &[400],
        ),
        // No numbers.
        (
            "POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: +3\r\n\r\nabc",
            &[400],
        ),
        (
            "POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: -3\r\n\r\nabc",
            &[400],
        ),
        (
            "POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 0x3\r\n\r\nabc",
            &[400],
        ),
        (
            "POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 99999999999999999999\r\n\r\n",
            &[400],
        ),
        // Codings that are none, or not the last one.
        (
            "POST /echo HTTP/1.1\r\nhost: a\r\ntransfer-encoding: identity\r\n\r\n",
            &[400],
        ),
        (
            "POST /echo HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n",
            &[400],
        ),
        (
            "POST /echo HTTP/1.1\r\nhost: a\r\ntransfer-encoding: xchunked\r\n\r\n0\r\n\r\n",
            &[400],
        ),
        // Heads that are none.
        ("GET / HTTP/1.1\r\nhost : a\r\n\r\n", &[400]),
        ("GET / HTTP/1.1\r\nhost: a\r\n x: y\r\n\r\n", &[400]),
        ("GET / HTTP/1.1\r\nhost: a\r\nx\0y: z\r\n\r\n", &[400]),
        ("GET / HTTP/1.1\r\nhost: a\r\nx: a\0b\r\n\r\n", &[400]),
        ("GET  / HTTP/1.1\r\nhost: a\r\n\r\n", &[400]),
        ("GET / HTTP/3.7\r\nhost: a\r\n\r\n", &[400]),
        ("G@T / HTTP/1.1\r\nhost: a\r\n\r\n", &[400]),
        ("GET nowhere HTTP/1.1\r\nhost: a\r\n\r\n", &[400]),
        // Hosts.
        ("GET / HTTP/1.1\r\nconnection: close\r\n\r\n", &[400]),
        (
            "GET / HTTP/1.1\r\nhost: a\r\nhost: b\r\nconnection: close\r\n\r\n",
            &[400],
        ),
        (
            "GET / HTTP/1.1\r\nhost: a\r\nhost: a\r\nconnection: close\r\n\r\n",
            &[400],
        ),
        (
            "GET / HTTP/1.1\r\nhost: user@a\r\nconnection: close\r\n\r\n",
            &[400],
        ),
        (
            "GET / HTTP/1.1\r\nhost: a/b\r\nconnection: close\r\n\r\n",
            &[400],
        ),
        (
            "GET ftp://a/ HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n",
            &[400],
        ),
        // An absolute address counts, and what is said of the host beside it does not.
        (
            "GET http://b/ HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n",
            &[200],
        ),
        // Tunnels.
        (
            "CONNECT a:80 HTTP/1.1\r\nhost: a:80\r\nconnection: close\r\n\r\n",
            &[501],
        ),
        // A length is not the end of a request in chunks; what follows it is the next one.
        (
            "POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\ntransfer-encoding: chunked\r\n\
             \r\n3\r\nabc\r\n0\r\n\r\n",
            &[200],
        ),
        // Forbidden trailers are no headers.
        (
            "POST /echo HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\ntrailer: host\r\n\
             connection: close\r\n\r\n3\r\nabc\r\n0\r\nhost: b\r\ncontent-length: 7\r\n\r\n",
            &[200],
        ),
    ];
    for name in BOTH {
        let Some(served) = served(name, &[])? else {
            return Ok(());
        };
        for (request, expected) in cases {
            let mut stream = served.connect()?;
            stream.write_all(request.as_bytes())?;
            // It fails if the server has answered and closed already.
            let _ = stream.shutdown(Shutdown::Write);
            let mut back = BufReader::new(stream);
            let mut found = Vec::new();
            while !back.fill_buf().unwrap_or_default().is_empty() {
                let answer = Answer::read(&mut back, "GET").with_context(|| request.to_string())?;
                if answer.status == 200 && request.starts_with("POST") {
                    assert_eq!(answer.text(), "abc", "{request:?}");
                }
                found.push(answer.status);
            }
            assert_eq!(found, expected, "{name}: {request:?}");
        }
        // A chunk that is none ends the connection; the guest's body breaks off. One of 0.3 need
        // not look whether it did.
        let mut stream = served.connect()?;
        let request = "POST /hash HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n";
        stream.write_all(request.as_bytes())?;
        let answer = Answer::read(&mut BufReader::new(stream), "POST");
        assert!(name == "p3http" || !answer.is_ok_and(|answer| answer.status == 200));
        // A head without an end is too large, sooner or later.
        let mut stream = served.connect()?;
        let request = format!(
            "GET / HTTP/1.1\r\nhost: a\r\nx: {}\r\n\r\n",
            "x".repeat(300 << 10)
        );
        let _ = stream.write_all(request.as_bytes());
        if let Ok(answer) = Answer::read(&mut BufReader::new(stream), "GET") {
            assert_eq!(answer.status, 431);
        }
        assert_eq!(served.get("/")?.status, 200);
    }
    Ok(())
}
