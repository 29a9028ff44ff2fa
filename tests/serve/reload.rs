//! Another component takes the place of the one that is served, and no request is lost by it.

use super::limits::metrics;
use super::{command, program, served};
use crate::http::{Answer, Served, TIME};
use anyhow::{Context, Result, ensure};
use rustix::process::Signal;
use std::io::{BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// What each program says at `/`.
const TEXTS: [&str; 2] = ["hello from 0.2\n", "hello from 0.3\n"];

/// The programs, a folder, and the path of `app.wasm` in it, which is the first of them.
type Places = ([Vec<u8>; 2], tempfile::TempDir, PathBuf);

fn folder() -> Result<Option<Places>> {
    let (Some(first), Some(second)) = (program("p2http"), program("p3http")) else {
        return Ok(None);
    };
    let folder = tempfile::tempdir()?;
    let app = folder.path().join("app.wasm");
    let programs = [std::fs::read(first)?, std::fs::read(second)?];
    std::fs::write(&app, &programs[0])?;
    Ok(Some((programs, folder, app)))
}

/// Waits until requests are answered by another component.
fn answers(served: &Served, text: &str) -> Result<()> {
    let until = Instant::now() + TIME;
    while served.get("/")?.text() != text {
        ensure!(Instant::now() < until, "{}", served.errors());
    }
    Ok(())
}

/// A number of the server's metrics.
fn metric(served: &Served, name: &str) -> Result<String> {
    let text = metrics(served)?;
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    Ok(line.context("a number")?.trim().to_string())
}

/// Puts a file in another one's place, as `mv` and most editors do.
fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    let new = path.with_extension("new");
    std::fs::write(&new, bytes)?;
    Ok(std::fs::rename(&new, path)?)
}

#[test]
fn no_request_is_lost_while_the_component_changes() -> Result<()> {
    let Some((programs, _folder, app)) = folder()? else {
        return Ok(());
    };
    let mut command = command(&["--watch", "--reuse=3", "--metrics-addr=127.0.0.1:0"]);
    command.arg("--addr=127.0.0.1:0").arg(&app);
    let served = Served::start(command)?;
    // One that has begun with the first component, and ends with it.
    let mut old = served.connect()?;
    let head = "POST /splice HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\nab";
    old.write_all(head.as_bytes())?;
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| -> Result<()> {
        let ask = |is_kept: bool| {
            let (served, is_over) = (&served, &is_over);
            scope.spawn(move || -> Result<u64> {
                let mut count = 0;
                let mut kept = served.connect()?;
                let mut back = BufReader::new(kept.try_clone()?);
                while !is_over.load(Ordering::Relaxed) {
                    let answer = match is_kept {
                        false => served.get("/")?,
                        true => {
                            kept.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")?;
                            Answer::read(&mut back, "GET")?
                        }
                    };
                    let is_right = answer.is_whole && TEXTS.contains(&&answer.text()[..]);
                    ensure!(answer.status == 200 && is_right, "{answer:?}");
                    count += 1;
                }
                Ok(count)
            })
        };
        let asking = [ask(false), ask(true), ask(true)];
        let changed = (1..=5).try_for_each(|turn: usize| {
            let bytes = &programs[turn % 2];
            match turn {
                // Written in place, in pieces.
                2 | 3 => {
                    let mut file = std::fs::File::create(&app)?;
                    for part in bytes.chunks(bytes.len() / 3 + 1) {
                        file.write_all(part)?;
                        std::thread::sleep(std::time::Duration::from_millis(30));
                    }
                }
                _ => replace(&app, bytes)?,
            }
            answers(&served, TEXTS[turn % 2])
        });
        is_over.store(true, Ordering::Relaxed);
        for asking in asking {
            let count = asking.join().expect("no panic");
            let count = count.with_context(|| served.errors())?;
            assert!(count > 20, "{count} requests");
        }
        changed
    })?;
    assert_eq!(
        metric(&served, "trampette_reloads_total{result=\"done\"}")?,
        "5"
    );
    assert_eq!(
        metric(&served, "trampette_reloads_total{result=\"failed\"}")?,
        "0"
    );
    old.write_all(b"cd")?;
    let answer = Answer::read(&mut BufReader::new(old), "POST")?;
    assert_eq!((answer.status, answer.text()), (200, "abcd".to_string()));
    assert_eq!(served.get("/")?.text(), TEXTS[1]);
    let (status, errors) = served.end()?;
    let expected = format!("reloaded {}\n", app.display()).repeat(5);
    assert!(status.success() && errors == expected, "{status}: {errors}");
    Ok(())
}

#[test]
fn what_cannot_be_loaded_changes_nothing() -> Result<()> {
    let Some((programs, _folder, app)) = folder()? else {
        return Ok(());
    };
    let mut command = command(&["--watch", "--metrics-addr=127.0.0.1:0"]);
    command.arg("--addr=127.0.0.1:0").arg(&app);
    let served = Served::start(command)?;
    let kept = format!(
        "error: cannot reload {}, and goes on with what was there before: ",
        app.display()
    );
    let half = &programs[1][..programs[1].len() / 2];
    let cases: [(&[u8], &str); 4] = [
        (b"(component", "expected"),
        (half, "unexpected end"),
        (b"(component)", "it serves no HTTP"),
        (b"\x7fELF", "app.wasm"),
    ];
    for (turn, (bytes, text)) in cases.into_iter().enumerate() {
        replace(&app, bytes)?;
        let failed = |errors: &str| errors.lines().filter(|l| l.starts_with(&kept)).count();
        let until = Instant::now() + TIME;
        while failed(&served.errors()) == turn {
            ensure!(Instant::now() < until, "{}", served.errors());
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        let errors = served.errors();
        let last = errors.lines().rfind(|line| line.starts_with(&kept));
        assert!(
            last.is_some_and(|line| line.contains(text)),
            "{text}: {errors}"
        );
        assert_eq!(served.get("/")?.text(), TEXTS[0]);
    }
    assert_eq!(
        metric(&served, "trampette_reloads_total{result=\"failed\"}")?,
        "4"
    );
    // A file that is not there is waited for.
    std::fs::remove_file(&app)?;
    std::thread::sleep(std::time::Duration::from_millis(600));
    assert_eq!(served.get("/")?.text(), TEXTS[0]);
    replace(&app, &programs[1])?;
    answers(&served, TEXTS[1])?;
    assert_eq!(
        metric(&served, "trampette_reloads_total{result=\"failed\"}")?,
        "4"
    );
    let (status, _) = served.end()?;
    assert!(status.success(), "{status}");
    Ok(())
}

/// SIGHUP reloads without `--watch`; both binaries do, from artifacts that are written in place.
#[test]
fn artifacts_are_reloaded_too() -> Result<()> {
    let Some((programs, folder, app)) = folder()? else {
        return Ok(());
    };
    let artifacts = programs.iter().enumerate().map(|(index, bytes)| {
        std::fs::write(&app, bytes)?;
        let elf = folder.path().join(format!("{index}.elf"));
        let compile = [
            "compile".as_ref(),
            app.as_os_str(),
            "-o".as_ref(),
            elf.as_os_str(),
        ];
        let mut command = Command::new(env!("CARGO_BIN_EXE_trampette"));
        ensure!(
            command.args(compile).status()?.success(),
            "it does not compile"
        );
        Ok(std::fs::read(elf)?)
    });
    let artifacts: Vec<Vec<u8>> = artifacts.collect::<Result<_>>()?;
    let elf = folder.path().join("app.elf");
    let with = |binary: &str, options: &[&str]| {
        let mut command = Command::new(binary);
        command.arg("serve").args(options);
        command.arg("--addr=127.0.0.1:0").arg(&elf);
        Served::start(command)
    };
    std::fs::write(&elf, &artifacts[0])?;
    let served = with(env!("CARGO_BIN_EXE_trampette-run"), &["--watch"])?;
    answers(&served, TEXTS[0])?;
    std::fs::write(&elf, &artifacts[1])?;
    answers(&served, TEXTS[1])?;
    // One that ends too soon has a wrong checksum.
    std::fs::write(&elf, &artifacts[0][..artifacts[0].len() - 100])?;
    served.prints("goes on with what was there before")?;
    assert_eq!(served.get("/")?.text(), TEXTS[1]);
    drop(served);

    replace(&elf, &artifacts[0])?;
    let served = with(env!("CARGO_BIN_EXE_trampette"), &["--precompiled"])?;
    replace(&elf, &artifacts[1])?;
    std::thread::sleep(std::time::Duration::from_millis(600));
    assert_eq!(served.get("/")?.text(), TEXTS[0]);
    served.signal(Signal::HUP)?;
    answers(&served, TEXTS[1])?;
    let (status, errors) = served.end()?;
    assert!(status.success(), "{status}: {errors}");
    Ok(())
}

#[test]
fn standard_input_is_read_once() -> Result<()> {
    let output = command(&["--watch", "-"]).output()?;
    assert_eq!(output.status.code(), Some(1));
    let error = String::from_utf8(output.stderr)?;
    assert_eq!(
        error,
        "error: --watch needs a file: standard input is read once\n"
    );
    let Some(served) = served("p3http", &[])? else {
        return Ok(());
    };
    // Without a change the same is served again.
    served.signal(Signal::HUP)?;
    served.prints("reloaded ")?;
    assert_eq!(served.get("/")?.text(), TEXTS[1]);
    Ok(())
}
