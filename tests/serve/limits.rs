//! What guests and clients make a server keep: its memory is measured.

use super::{BOTH, command, served};
use crate::http::{Answer, Request, Served, TIME};
use anyhow::{Context, Result, ensure};
use std::io::{BufReader, Read, Write};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// The most memory that a server has had resident, in bytes; the kernel counts it roughly.
pub fn peak(served: &Served) -> Result<usize> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", served.pid()))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let line = line.context("VmHWM")?.trim();
    let kilobytes: usize = line.strip_suffix(" kB").context("kB")?.parse()?;
    Ok(kilobytes << 10)
}

/// What the metrics of a server say.
pub fn metrics(served: &Served) -> Result<String> {
    let address = served.first_line.rsplit_once("; metrics on http://");
    let address = address.and_then(|(_, rest)| rest.trim_end().strip_suffix("/metrics"));
    let mut stream = std::net::TcpStream::connect(address.context("an address")?)?;
    stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: a\r\n\r\n")?;
    Ok(Answer::read(&mut BufReader::new(stream), "GET")?.text())
}

/// Waits until no request is under way.
pub fn nothing_is_left(served: &Served) -> Result<()> {
    let until = Instant::now() + TIME;
    while !metrics(served)?.contains("trampette_requests_in_flight 0\n") {
        ensure!(Instant::now() < until, "{}", metrics(served)?);
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}

/// Waits until so many requests are under way.
pub fn are_under_way(served: &Served, requests: usize) -> Result<()> {
    let until = Instant::now() + TIME;
    let line = format!("trampette_requests_in_flight {requests}\n");
    while !metrics(served)?.contains(&line) {
        ensure!(Instant::now() < until, "{}", metrics(served)?);
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}

/// A component that serves by 0.2. It has a memory, an allocator that always gives the same place,
/// and some of the host's functions.
const GUEST: &str = include_str!("limits.wat");

/// Serves such a guest, which does in `handle` what `body` says.
fn hostile(body: &str, options: &[&str]) -> Result<(Served, tempfile::TempDir)> {
    serve(&GUEST.replace(";; BODY", body), options)
}

fn serve(guest: &str, options: &[&str]) -> Result<(Served, tempfile::TempDir)> {
    let folder = tempfile::tempdir()?;
    let path: PathBuf = folder.path().join("hostile.wat");
    std::fs::write(&path, guest)?;
    let mut command = command(options);
    command.arg("--addr=127.0.0.1:0").arg(&path);
    Ok((Served::start(command)?, folder))
}

/// Guests that want more and more of one thing: they end, and what their server keeps is bounded.
#[test]
fn guests_that_want_everything_end() -> Result<()> {
    let cases: [(&str, &str, usize, &str); 4] = [
        (
            "fields without end",
            "(local.set $fields (call $new-fields))
             (loop $more
                (call $append (local.get $fields) (i32.const 0) (i32.const 1) (i32.const 0)
                    (i32.const 4096) (i32.const 8192))
                (br_if $more (i32.eqz (i32.load8_u (i32.const 8192)))))
             unreachable",
            96 << 20,
            "HTTP fields than it may",
        ),
        (
            "lists of fields without end",
            "(loop $again
                (local.set $fields (call $new-fields))
                (local.set $count (i32.const 0))
                (loop $more
                    (call $append (local.get $fields) (i32.const 0) (i32.const 1) (i32.const 0)
                        (i32.const 4096) (i32.const 8192))
                    (local.set $count (i32.add (local.get $count) (i32.const 1)))
                    (br_if $more (i32.lt_u (local.get $count) (i32.const 28))))
                (br $again))
             unreachable",
            160 << 20,
            "HTTP fields than it may",
        ),
        (
            "pollables",
            "(loop $more
                (drop (call $subscribe (i64.const 3600000000000)))
                (local.set $count (i32.add (local.get $count) (i32.const 1)))
                (br_if $more (i32.lt_u (local.get $count) (i32.const 3000000))))
             unreachable",
            256 << 20,
            "the limit of handles is reached",
        ),
        (
            "4 GiB at once",
            "(call $consume (local.get $request) (i32.const 8192))
             (call $stream (i32.load (i32.const 8196)) (i32.const 8192))
             (call $read (i32.load (i32.const 8196)) (i64.const 0x100000000) (i32.const 8192))
             ;; What came is less than there is room for.
             (if (i32.eqz (i32.load8_u (i32.const 8192)))
                (then (if (i32.gt_u (i32.load (i32.const 8200)) (i32.const 0x80000))
                    (then (loop $for-ever (br $for-ever))))))
             unreachable",
            64 << 20,
            "wasm `unreachable` instruction executed",
        ),
    ];
    for (name, body, most, text) in cases {
        let (served, _folder) = hostile(body, &["--timeout=20s"])?;
        let before = peak(&served)?;
        let start = Instant::now();
        let request = Request::new("POST", "/").body(vec![b'x'; 3 << 20]);
        match served.ask(&request) {
            Ok(answer) => assert_eq!(answer.status, 500, "{name}"),
            Err(error) => ensure!(error.is::<std::io::Error>(), "{name}: {error:#}"),
        }
        served.prints("error: a request failed: ")?;
        let errors = served.errors();
        assert!(errors.contains(text), "{name}: {errors}");
        assert!(!errors.contains("timed out"), "{name}: {errors}");
        let grown = peak(&served)?.saturating_sub(before);
        assert!(
            grown < most,
            "{name}: {grown} bytes in {:?}",
            start.elapsed()
        );
        let (status, _) = served.end()?;
        assert!(status.success(), "{name}: {status}");
    }
    Ok(())
}

/// A body that nobody reads, and one that never ends: neither stays in memory.
#[test]
fn bodies_without_end_are_not_kept() -> Result<()> {
    for name in BOTH {
        let Some(served) = served(name, &["--timeout=3s"])? else {
            return Ok(());
        };
        assert_eq!(served.get("/")?.status, 200);
        let before = peak(&served)?;
        // Whoever asks for all that and reads nothing.
        let mut unread = Vec::new();
        for _ in 0..8 {
            let mut stream = served.connect()?;
            stream.write_all(b"GET /big?n=4000000000 HTTP/1.1\r\nhost: a\r\n\r\n")?;
            unread.push(stream);
        }
        // Whoever sends without end, and gets back what it sends.
        let mut endless = served.connect()?;
        let head = b"POST /echo HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n";
        endless.write_all(head)?;
        let mut back = endless.try_clone()?;
        let reader = std::thread::spawn(move || {
            let mut count = 0;
            let mut buffer = vec![0; 1 << 16];
            while let Ok(read @ 1..) = back.read(&mut buffer) {
                count += read;
            }
            count
        });
        let chunk = [b"10000\r\n", &vec![b'x'; 1 << 16][..], b"\r\n"].concat();
        let mut sent = 0;
        while endless.write_all(&chunk).is_ok() && sent < 400 << 20 {
            sent += chunk.len();
        }
        drop(endless);
        drop(unread);
        let echoed = reader.join().expect("no panic");
        assert!(echoed > 8 << 20, "{echoed} of {sent} bytes");
        let grown = peak(&served)?.saturating_sub(before);
        assert!(
            grown < 48 << 20,
            "{name}: {grown} bytes, of {sent} that were sent"
        );
        let (status, _) = served.end()?;
        assert!(status.success(), "{status}");
    }
    Ok(())
}

/// Guests that wait in their start functions take a thread each, and none of the server's workers.
#[test]
fn start_functions_that_wait_hold_nobody_up() -> Result<()> {
    const CLIENTS: usize = 40;
    let wait = "(call $block (call $subscribe (i64.const 3600000000000)))";
    let guest = GUEST.replace(";; START", wait);
    let options = ["--timeout=10s", "--metrics-addr=127.0.0.1:0"];
    let (served, _folder) = serve(&guest, &options)?;
    let mut waiting = Vec::new();
    for _ in 0..CLIENTS {
        let mut stream = served.connect()?;
        stream.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")?;
        waiting.push(stream);
    }
    are_under_way(&served, CLIENTS)?;
    for stream in waiting {
        let answer = Answer::read(&mut BufReader::new(stream), "GET")?;
        assert_eq!(answer.status, 500);
    }
    nothing_is_left(&served)
}
