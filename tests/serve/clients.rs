//! Clients that are slow, that close one half of their connection, or that go away.

use super::limits::nothing_is_left;
use super::{BOTH, served};
use crate::http::{Answer, Served};
use anyhow::{Result, ensure};
use std::io::{BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

/// Many clients that say a byte now and then, of heads and of bodies, keep nobody waiting; each has
/// its time, and no more.
#[test]
fn slow_clients_are_many() -> Result<()> {
    let options = [
        "--header-timeout=800ms",
        "--timeout=1200ms",
        "--metrics-addr=127.0.0.1:0",
    ];
    for name in BOTH {
        let Some(served) = served(name, &options)? else {
            return Ok(());
        };
        let begin = |text: &'static str| {
            move |served: &Served| -> Result<TcpStream> {
                let mut stream = served.connect()?;
                stream.write_all(text.as_bytes())?;
                Ok(stream)
            }
        };
        let head = begin("GET / HTTP/1.1\r\nhost: a\r\n");
        let body = begin("POST /hash HTTP/1.1\r\nhost: a\r\ncontent-length: 900\r\n\r\n");
        let mut slow = Vec::new();
        for _ in 0..100 {
            slow.push((head(&served)?, "x: y\r\n"));
        }
        for _ in 0..40 {
            slow.push((body(&served)?, "z"));
        }
        let start = Instant::now();
        let mut slowest = Duration::ZERO;
        while start.elapsed() < Duration::from_millis(2500) {
            for (stream, text) in &mut slow {
                let _ = stream.write_all(text.as_bytes());
            }
            let asked = Instant::now();
            assert_eq!(served.get("/")?.status, 200);
            slowest = slowest.max(asked.elapsed());
            std::thread::sleep(Duration::from_millis(50));
        }
        assert!(
            slowest < Duration::from_secs(1),
            "{name}: a request took {slowest:?}"
        );
        for (index, (stream, _)) in slow.iter_mut().enumerate() {
            stream.set_read_timeout(Some(Duration::from_secs(10)))?;
            let mut answer = Vec::new();
            let ended = stream.read_to_end(&mut answer);
            let timed_out =
                ended.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock);
            ensure!(!timed_out, "{name}: {index} is still waited for");
            assert!(!answer.starts_with(b"HTTP/1.1 200"), "{name}: {index}");
        }
        nothing_is_left(&served)?;
        let (status, errors) = served.end()?;
        let late = errors.matches("timed out after 1.2 s").count();
        assert!(
            status.success() && late == 40,
            "{status}: {late} of 40: {errors}"
        );
    }
    Ok(())
}

/// One half of a connection is closed: after a request its answer comes; in the middle of a body
/// that body has broken off.
#[test]
fn half_closed_connections_are_served() -> Result<()> {
    for name in BOTH {
        let Some(served) = served(name, &["--metrics-addr=127.0.0.1:0"])? else {
            return Ok(());
        };
        for path in ["/big?n=3000000", "/lines?n=2000", "/trailers"] {
            let mut stream = served.connect()?;
            stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: a\r\n\r\n").as_bytes())?;
            stream.shutdown(Shutdown::Write)?;
            std::thread::sleep(Duration::from_millis(20));
            let answer = Answer::read(&mut BufReader::new(stream), "GET")?;
            assert!(
                answer.is_whole && answer.status == 200,
                "{name} {path}: {answer:?}"
            );
        }
        for request in [
            "POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nabc",
            "POST /echo HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n5\r\nab",
        ] {
            let mut stream = served.connect()?;
            stream.write_all(request.as_bytes())?;
            std::thread::sleep(Duration::from_millis(20));
            stream.shutdown(Shutdown::Write)?;
            // No answer, one that breaks off, or one of an error: none that is whole.
            if let Ok(answer) = Answer::read(&mut BufReader::new(stream), "POST") {
                let is_right = !answer.is_whole || answer.status >= 400;
                assert!(is_right, "{name}: {answer:?}");
            }
        }
        // Only the head's half, and nothing at all.
        for text in ["GET / HTTP/1.1\r\nhos", ""] {
            let mut stream = served.connect()?;
            stream.write_all(text.as_bytes())?;
            stream.shutdown(Shutdown::Write)?;
            let mut rest = String::new();
            let _ = stream.read_to_string(&mut rest);
            assert!(
                rest.is_empty() || rest.starts_with("HTTP/1.1 400"),
                "{rest}"
            );
        }
        nothing_is_left(&served)?;
        let (status, _) = served.end()?;
        assert!(status.success(), "{status}");
    }
    Ok(())
}

/// Clients that go away in the middle of bodies, of either direction, some without a word and some
/// with a reset: guests end, and nothing stays.
#[test]
fn clients_go_away_in_the_middle_of_bodies() -> Result<()> {
    for (name, options) in [
        ("p2http", &[][..]),
        ("p3http", &[]),
        ("p3http", &["--reuse=40", "--concurrency=8"]),
    ] {
        let options = [
            &["--metrics-addr=127.0.0.1:0", "--max-in-flight=24"],
            options,
        ]
        .concat();
        let Some(served) = served(name, &options)? else {
            return Ok(());
        };
        // More than there are places.
        for turn in 0..60 {
            let mut stream = served.connect()?;
            let request = match turn % 3 {
                0 => "GET /big?n=60000000 HTTP/1.1\r\nhost: a\r\n\r\n",
                1 => "POST /hash HTTP/1.1\r\nhost: a\r\ncontent-length: 100000\r\n\r\nabc",
                _ => {
                    "POST /echo HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n"
                }
            };
            stream.write_all(request.as_bytes())?;
            if turn % 3 != 1 {
                // The answer has begun. What of it is not read makes the end a reset.
                stream.read_exact(&mut [0; 12])?;
            }
        }
        assert_eq!(served.get("/")?.status, 200, "{name} {options:?}");
        nothing_is_left(&served)?;
        let start = Instant::now();
        let (status, errors) = served.end()?;
        assert!(status.success(), "{status}: {errors}");
        let took = start.elapsed();
        assert!(
            took < Duration::from_secs(4),
            "{name}: guests are waited for, {took:?}"
        );
    }
    Ok(())
}

/// Guests that wait for what their clients have not sent yet keep no thread.
#[test]
fn waiting_requests_keep_no_threads() -> Result<()> {
    const CLIENTS: usize = 100;
    for name in BOTH {
        let Some(served) = served(name, &["--metrics-addr=127.0.0.1:0"])? else {
            return Ok(());
        };
        let threads = || -> Result<usize> {
            Ok(std::fs::read_dir(format!("/proc/{}/task", served.pid()))?.count())
        };
        assert_eq!(served.get("/")?.status, 200);
        let before = threads()?;
        let mut waiting = Vec::new();
        for _ in 0..CLIENTS {
            let mut stream = served.connect()?;
            let head = "POST /hash HTTP/1.1\r\nhost: a\r\ncontent-length: 6\r\n\r\nabc";
            stream.write_all(head.as_bytes())?;
            waiting.push(stream);
        }
        super::limits::are_under_way(&served, CLIENTS)?;
        // Some for guests that have begun at the same time.
        let until = Instant::now() + Duration::from_secs(10);
        while threads()? > before + CLIENTS / 4 {
            ensure!(
                Instant::now() < until,
                "{name}: {before} threads, then {}",
                threads()?
            );
            std::thread::sleep(Duration::from_millis(5));
        }
        for mut stream in waiting {
            stream.write_all(b"def")?;
            let answer = Answer::read(&mut BufReader::new(stream), "POST")?;
            assert!(
                answer.is_whole && answer.status == 200,
                "{name}: {answer:?}"
            );
        }
        nothing_is_left(&served)?;
        let (status, errors) = served.end()?;
        assert!(status.success() && errors.is_empty(), "{status}: {errors}");
    }
    Ok(())
}
