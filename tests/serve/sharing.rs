//! Instances of 0.3 that serve several requests at once (`--concurrency`).

use super::{answering, program, refused, served};
use crate::http::{Answer, Request, Served};
use anyhow::Result;
use std::io::{BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// As many instances as the machine has processors come before two requests share one.
fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Requests whose bodies do not come to their end; the guest waits for them.
fn held(served: &Served, count: usize) -> Result<Vec<TcpStream>> {
    let begin = |_| {
        let mut stream = served.connect()?;
        stream.write_all(b"POST /hash HTTP/1.1\r\nhost: a\r\ncontent-length: 6\r\n\r\nabc")?;
        Ok(stream)
    };
    let held = (0..count).map(begin).collect();
    std::thread::sleep(Duration::from_millis(200));
    held
}

#[test]
fn an_instance_serves_several_at_once() -> Result<()> {
    let options = ["--reuse=1000", "--concurrency=16", "--timeout=30s"];
    let Some(served) = served("p3http", &options)? else {
        return Ok(());
    };
    let held = held(&served, 3 * processors())?;
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        // Guests that always have something to do keep the others' answers no longer than a turn.
        for _ in 0..2 * processors() {
            let mut busy = served.connect()?;
            busy.write_all(b"GET /lines?n=1000000000 HTTP/1.1\r\nhost: a\r\n\r\n")?;
            let is_over = &is_over;
            scope.spawn(move || {
                let mut buffer = [0; 4096];
                while !is_over.load(Ordering::Relaxed) && busy.read(&mut buffer).is_ok() {}
            });
        }
        let ask = |thread: usize| {
            let served = &served;
            scope.spawn(move || -> Result<()> {
                for turn in 0..40 {
                    let text = format!("thread {thread}, turn {turn}");
                    let path = ["/echo", "/upper"][turn % 2];
                    let request = Request::new("POST", path).body(text.clone());
                    let expected = [text.clone(), text.to_uppercase()];
                    assert_eq!(served.ask(&request)?.text(), expected[turn % 2]);
                    let trailers = served.get("/trailers")?;
                    assert_eq!(trailers.trailer("x-sum"), "42");
                }
                Ok(())
            })
        };
        let asking: Vec<_> = (0..6).map(ask).collect();
        let mut asking = asking.into_iter();
        let asked = asking.try_for_each(|one| one.join().expect("no panic"));
        let ended = asked.and_then(|()| {
            held.into_iter().try_for_each(|mut stream| {
                stream.write_all(b"def")?;
                let answer = Answer::read(&mut BufReader::new(stream), "POST")?;
                assert_eq!(answer.text(), "6 d80bda3fbe244a0a\n");
                Ok(())
            })
        });
        is_over.store(true, Ordering::Relaxed);
        ended
    })?;
    // These guests trap when their clients are gone: they write what they know nobody reads.
    let said = messages(&served);
    let trap = "cannot write to stream after being notified that the readable end dropped";
    assert!(said.iter().all(|line| line.contains(trap)), "{said:?}");
    let (status, _) = served.end()?;
    assert!(status.success(), "{status}");
    Ok(())
}

/// The messages of a server, without the lines that belong to them.
fn messages(served: &Served) -> Vec<String> {
    let errors = served.errors();
    let heads = errors.lines().filter(|line| line.starts_with("error: "));
    heads.map(str::to_string).collect()
}

/// A trap ends the instance: its other requests get 500 once, and it is said once. Requests of
/// other instances go on.
#[test]
fn requests_of_an_instance_share_its_end() -> Result<()> {
    let options = ["--reuse=1000", "--concurrency=64", "--timeout=30s"];
    let Some(served) = served("p3http", &options)? else {
        return Ok(());
    };
    let held = held(&served, 4 * processors())?;
    assert_eq!(served.get("/trap")?.status, 500);
    std::thread::sleep(Duration::from_millis(200));
    let mut lost = 0;
    for mut stream in held {
        let _ = stream.write_all(b"def");
        let answer = Answer::read(&mut BufReader::new(stream), "POST")?;
        match answer.status {
            500 => lost += 1,
            _ => assert_eq!(answer.text(), "6 d80bda3fbe244a0a\n"),
        }
    }
    assert_eq!(lost, 4, "those of one instance");
    let said = messages(&served);
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(
        said[0].contains("wasm `unreachable` instruction"),
        "{said:?}"
    );
    assert_eq!(served.get("/")?.status, 200);
    let (status, _) = served.end()?;
    assert!(status.success(), "{status}");
    Ok(())
}

/// A guest that never gives its instance back is ended when its request's time is over. Those that
/// wait for the same instance get an answer then, a failure; the next request has a new instance,
/// and other instances go on.
#[test]
fn an_instance_that_spins_ends_with_its_requests() -> Result<()> {
    if processors() < 2 {
        return Ok(());
    }
    let imports = r#"(import "wasi:clocks/monotonic-clock@0.3.2" "wait-for"
        (func $wait-for (param i64)))"#;
    let body = "
        (if (i32.eq (i32.load8_u (i32.const 1025)) (i32.const 0x73))
            (then (loop $spin (br $spin))))
        (if (i32.eq (i32.load8_u (i32.const 1025)) (i32.const 0x77))
            (then (call $wait-for (i64.const 2_500_000_000))))
        (local.set $status (i32.const 200))";
    let options = ["--reuse=1000", "--concurrency=64", "--timeout=3s"];
    let (served, _held) = answering(imports, body, "", &options)?;
    let begin = |path: &str| -> Result<TcpStream> {
        let mut stream = served.connect()?;
        stream.write_all(format!("GET /{path} HTTP/1.1\r\nhost: a\r\n\r\n").as_bytes())?;
        Ok(stream)
    };
    let start = Instant::now();
    let spinning = begin("spin")?;
    std::thread::sleep(Duration::from_millis(100));
    // Each of these has an instance of its own, which is taken for a while.
    let others: Vec<_> = (1..processors())
        .map(|_| begin("wait"))
        .collect::<Result<_>>()?;
    std::thread::sleep(Duration::from_millis(800));
    let queued: Vec<_> = (0..2 * processors())
        .map(|_| begin("next"))
        .collect::<Result<_>>()?;
    let answer = |stream: TcpStream| Answer::read(&mut BufReader::new(stream), "GET");
    let failed = answer(spinning)?;
    assert_eq!(
        (failed.status, &failed.text()[..]),
        (500, "Internal Server Error\n")
    );
    let time = start.elapsed();
    assert!(
        time > Duration::from_secs(3) && time < Duration::from_secs(8),
        "{time:?}"
    );
    let mut lost = 0;
    for stream in queued {
        let answer = answer(stream)?;
        match answer.status {
            500 => {
                assert_eq!(answer.text(), "Internal Server Error\n");
                lost += 1;
            }
            status => assert_eq!(status, 200),
        }
    }
    assert_eq!(lost, 2, "those of one instance: {:?}", messages(&served));
    for stream in others {
        assert_eq!(answer(stream)?.status, 200);
    }
    for _ in 0..20 {
        assert_eq!(served.get("/next")?.status, 200);
    }
    assert_eq!(
        messages(&served),
        ["error: a request failed: timed out after 3 s"]
    );
    let (status, _) = served.end()?;
    assert!(status.success(), "{status}");
    Ok(())
}

/// A request whose time is over while its guest waits for its client is given up alone, before its
/// answer and in the middle of it.
#[test]
fn late_requests_are_given_up_alone() -> Result<()> {
    let options = ["--reuse=1000", "--concurrency=64", "--timeout=900ms"];
    let Some(served) = served("p3http", &options)? else {
        return Ok(());
    };
    let late = held(&served, 2 * processors())?;
    let mut unread = Vec::new();
    for _ in 0..processors() {
        let mut stream = served.connect()?;
        stream.write_all(b"GET /big?n=60000000 HTTP/1.1\r\nhost: a\r\n\r\n")?;
        unread.push(stream);
    }
    std::thread::sleep(Duration::from_millis(300));
    let others = held(&served, 2 * processors())?;
    for stream in &late {
        let answer = Answer::read(&mut BufReader::new(stream), "POST")?;
        assert_eq!(answer.status, 500);
    }
    std::thread::sleep(Duration::from_millis(150));
    for mut stream in others {
        stream.write_all(b"def")?;
        let answer = Answer::read(&mut BufReader::new(stream), "POST")?;
        assert_eq!(answer.text(), "6 d80bda3fbe244a0a\n");
    }
    for stream in unread {
        let answer = Answer::read(&mut BufReader::new(stream), "GET")?;
        assert!(
            answer.status == 200 && !answer.is_whole,
            "{}",
            answer.body.len()
        );
    }
    // The message of the last one may come after its client was told.
    let until = Instant::now() + Duration::from_secs(10);
    while messages(&served).len() < 3 * processors() && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(5));
    }
    let said = messages(&served);
    let expected = "error: a request failed: timed out after 900 ms";
    assert!(said.iter().all(|line| line == expected), "{said:?}");
    assert_eq!(said.len(), 3 * processors());
    // Time that nobody asks for does not count.
    std::thread::sleep(Duration::from_millis(1300));
    for _ in 0..20 {
        assert_eq!(served.get("/")?.status, 200);
    }
    assert_eq!(messages(&served).len(), 3 * processors());
    let (status, _) = served.end()?;
    assert!(status.success(), "{status}");
    Ok(())
}

/// Whoever goes away takes nobody along; and an instance ends when it has served enough.
#[test]
fn clients_of_an_instance_go_away_alone() -> Result<()> {
    let options = ["--reuse=7", "--concurrency=4", "--log=text"];
    let Some(served) = served("p3http", &options)? else {
        return Ok(());
    };
    for turn in 0..30 {
        let gone = held_one(&served)?;
        let mut late = held_one(&served)?;
        drop(gone);
        assert_eq!(
            served.get("/lines?n=2")?.text(),
            "line 0\nline 1\n",
            "{turn}"
        );
        let mut unread = served.connect()?;
        unread.write_all(b"GET /big?n=6000000 HTTP/1.1\r\nhost: a\r\n\r\n")?;
        drop(unread);
        late.write_all(b"def")?;
        let answer = Answer::read(&mut BufReader::new(late), "POST")?;
        assert_eq!(answer.text(), "6 d80bda3fbe244a0a\n", "{turn}");
    }
    let (status, errors) = served.end()?;
    assert!(
        status.success() && !errors.contains("error"),
        "{status}: {errors}"
    );
    Ok(())
}

fn held_one(served: &Served) -> Result<TcpStream> {
    let mut stream = served.connect()?;
    stream.write_all(b"POST /hash HTTP/1.1\r\nhost: a\r\ncontent-length: 6\r\n\r\nabc")?;
    Ok(stream)
}

#[test]
fn instances_of_0_2_serve_one_at_a_time() -> Result<()> {
    let Some(program) = program("p2http") else {
        return Ok(());
    };
    let error = refused(
        &["--reuse=9", "--concurrency=2", "--addr=127.0.0.1:0"],
        &program,
    )?;
    assert_eq!(
        error,
        "error: --concurrency is for components of WASI 0.3: an instance of this one, of \
         wasi:http/proxy (0.2), serves one request at a time\n"
    );
    let output = super::command(&["--concurrency=2"])
        .arg(&program)
        .output()?;
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    Ok(())
}
