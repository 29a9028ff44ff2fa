//! Instances of 0.3 that serve several requests at once (`--concurrency`).

use super::{program, refused, served};
use crate::http::{Answer, Request, Served};
use anyhow::Result;
use std::io::{BufReader, Write};
use std::net::TcpStream;
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
    std::thread::scope(|scope| {
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
        asking
            .into_iter()
            .try_for_each(|one| one.join().expect("no panic"))
    })?;
    for mut stream in held {
        stream.write_all(b"def")?;
        let answer = Answer::read(&mut BufReader::new(stream), "POST")?;
        assert_eq!(answer.text(), "6 d80bda3fbe244a0a\n");
    }
    let (status, errors) = served.end()?;
    assert!(status.success() && errors.is_empty(), "{status}: {errors}");
    Ok(())
}

/// What ends an instance ends its other requests once, and is said once.
#[test]
fn requests_of_an_instance_share_its_end() -> Result<()> {
    let options = ["--reuse=1000", "--concurrency=64", "--timeout=700ms"];
    let Some(served) = served("p3http", &options)? else {
        return Ok(());
    };
    // Each instance has some; then one of them traps.
    let held = held(&served, 4 * processors())?;
    assert_eq!(served.get("/trap")?.status, 500);
    let until = Instant::now() + Duration::from_millis(400);
    let mut lost = 0;
    for stream in &held {
        let left = until.saturating_duration_since(Instant::now());
        stream.set_read_timeout(Some(left.max(Duration::from_millis(1))))?;
        if let Ok(answer) = Answer::read(&mut BufReader::new(stream), "POST") {
            assert_eq!(answer.status, 500);
            lost += 1;
        }
    }
    assert!(
        lost >= 1 && lost < held.len() || processors() == 1,
        "{lost}"
    );
    let errors = served.errors();
    let said = errors.lines().filter(|line| line.starts_with("error: "));
    assert_eq!(said.count(), 1, "{errors}");
    // The others have no time left, sooner or later, and are not told of one by one.
    served.prints("timed out after 700 ms")?;
    for stream in &held {
        stream.set_read_timeout(Some(crate::http::TIME))?;
        let _ = Answer::read(&mut BufReader::new(stream), "POST");
    }
    let errors = served.errors();
    let said = errors.lines().filter(|line| line.starts_with("error: "));
    assert!(said.count() <= 1 + processors(), "{errors}");
    // Time that nobody asks for does not count.
    assert_eq!(served.get("/")?.status, 200);
    std::thread::sleep(Duration::from_millis(900));
    let before = served.errors();
    for _ in 0..20 {
        assert_eq!(served.get("/")?.status, 200);
    }
    assert_eq!(served.errors(), before);
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
