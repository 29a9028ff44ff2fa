//! A store of keys and values (`--keyvalue`), which guests of several servers share.

use super::answering;
use crate::http::Served;
use anyhow::Result;
use std::collections::BTreeSet;

/// Answers with how often a guest of any server was asked, as the status above 200.
fn counting(options: &[&str]) -> Result<(Served, tempfile::TempDir)> {
    let imports = r#"
        (import "wasi:keyvalue/store@0.2.0-draft2" "open" (func $open (param i32 i32 i32)))
        (import "wasi:keyvalue/atomics@0.2.0-draft2" "increment"
            (func $increment (param i32 i32 i32 i64 i32)))"#;
    let body = "
        (call $open (i32.const 0) (i32.const 0) (i32.const 48))
        (if (i32.load8_u (i32.const 48)) (then (unreachable)))
        (call $increment (i32.load (i32.const 52))
            (i32.const 16) (i32.const 6) (i64.const 1) (i32.const 48))
        (if (i32.load8_u (i32.const 48)) (then (unreachable)))
        (local.set $status
            (i32.add (i32.const 200) (i32.wrap_i64 (i64.load (i32.const 56)))))";
    let world = "
        import wasi:keyvalue/store@0.2.0-draft2;
        import wasi:keyvalue/atomics@0.2.0-draft2;";
    answering(imports, body, world, options)
}

/// What is counted in one file is counted once, whichever of two processes does it, and a process
/// that is killed takes nothing with it.
#[test]
fn servers_share_a_store() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("store");
    let options = ["--keyvalue", path.to_str().expect("a path")];
    let (first, _held) = counting(&options)?;
    let (second, _held) = counting(&options)?;
    let ask = |served: &Served| -> Result<Vec<u16>> {
        (0..10).map(|_| Ok(served.get("/")?.status)).collect()
    };
    let mut seen = std::thread::scope(|scope| -> Result<BTreeSet<u16>> {
        let asking: Vec<_> = (0..8)
            .map(|thread| [&first, &second][thread % 2])
            .map(|served| scope.spawn(move || ask(served)))
            .collect();
        let mut seen = BTreeSet::new();
        for thread in asking {
            seen.extend(thread.join().expect("no panic")?);
        }
        Ok(seen)
    })?;
    // Dropped, it is killed.
    drop(first);
    seen.insert(second.get("/")?.status);
    assert_eq!(seen, (201..=281).collect());
    let (status, errors) = second.end()?;
    assert!(status.success() && errors.is_empty(), "{status}: {errors}");
    // And it stays.
    let (third, _held) = counting(&options)?;
    assert_eq!(third.get("/")?.status, 282);
    Ok(())
}

#[test]
fn what_is_no_store_is_named() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let text = folder.path().join("text");
    std::fs::write(&text, "something else\n".repeat(1000))?;
    let options = ["--keyvalue", text.to_str().expect("a path")];
    let error = counting(&options)
        .err()
        .expect("it does not serve")
        .to_string();
    let expected = format!(
        "error: --keyvalue: the store of keys and values {}",
        text.display()
    );
    assert!(error.contains(&expected), "{error}");
    Ok(())
}
