//! The page of `trampette explore`: whole by itself, and in a browser without errors.

use anyhow::{Context, Result, ensure};
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;

/// Two components: strings and numbers from one to the other, a function that is inlined, and
/// names that could break out of a page.
const COMPOSED: &str = r#"(component
    (import "docs:host/log@1.0.0" (instance $log (export "write" (func (param "line" string)))))
    (component $inner
        (core module $m (func (export "double") (param i32) (result i32)
            (i32.mul (local.get 0) (i32.const 2))))
        (core instance $m (instantiate $m))
        (func (export "double") (param "x" u32) (result u32)
            (canon lift (core func $m "double"))))
    (instance $inner (instantiate $inner))
    (core module $libc (memory (export "memory") 1))
    (core instance $libc (instantiate $libc))
    (core func $write (canon lower (func $log "write") (memory (core memory $libc "memory"))))
    (core func $double (canon lower (func $inner "double")))
    (core module $main
        (import "" "write" (func $write (param i32 i32)))
        (import "" "double" (func $double (param i32) (result i32)))
        (func $f (@name "</script><b>") (export "run") (param i32) (result i32)
            (call $write (i32.const 0) (i32.const 4))
            (call $double (call $double (local.get 0)))))
    (core instance $main (instantiate $main (with "" (instance
        (export "write" (func $write)) (export "double" (func $double))))))
    (func (export "run") (param "x" u32) (result u32) (canon lift (core func $main "run"))))"#;

fn page(folder: &Path, options: &[&str]) -> Result<String> {
    std::fs::write(folder.join("app.wat"), COMPOSED)?;
    let mut command = Command::new(env!("CARGO_BIN_EXE_trampette"));
    command.arg("explore").args(options);
    command
        .args(["app.wat", "-o", "app.html"])
        .current_dir(folder);
    let output = command.output()?;
    ensure!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(std::fs::read_to_string(folder.join("app.html"))?)
}

fn data(page: &str) -> Result<serde_json::Value> {
    let (_, rest) = page
        .split_once("id=\"data\">")
        .context("the page has data")?;
    let (data, _) = rest.split_once("</script>").context("which end")?;
    Ok(serde_json::from_str(data)?)
}

#[test]
fn the_page_has_everything_in_it() -> Result<()> {
    let folder = TempDir::new()?;
    let page = page(folder.path(), &[])?;
    for outside in ["http://", "https://", "src=", "@import"] {
        let found = page.replace("http://www.w3.org/2000/svg", "");
        assert!(!found.contains(outside), "it needs {outside}");
    }
    let data = data(&page)?;
    let functions = data["functions"].as_array().context("functions")?;
    let named = |part: &str| {
        let mut all = functions.iter();
        all.find(|function| {
            function["symbol"]
                .as_str()
                .is_some_and(|name| name.contains(part))
        })
        .with_context(|| format!("no function {part}"))
    };
    let write = named("lower-import")?;
    assert_eq!(write["type"], "func(line: string)");
    // The adapter and what it calls are gone: they stand in the place of calls.
    let gone = data["gone"].as_array().context("gone")?;
    let adapter = gone.iter().find(|gone| {
        gone["symbol"]
            .as_str()
            .is_some_and(|name| name.contains("adapter"))
    });
    assert_eq!(
        adapter.context("no adapter")?["type"],
        "func(x: u32) -> u32"
    );
    let run = functions.iter().find(|function| {
        let inlined = function["inlined"].as_array();
        inlined.is_some_and(|inlined| !inlined.is_empty())
    });
    let run = run.context("nothing is inlined")?;
    // Some line of CLIF and some of machine code come from the same place.
    let sources = |form: &str| -> std::collections::BTreeSet<u64> {
        let lines = run[form].as_array().into_iter().flatten();
        lines.filter_map(|line| line[0].as_u64()).collect()
    };
    assert!(
        sources("clif").intersection(&sources("code")).count() > 1,
        "{run}"
    );
    Ok(())
}

#[test]
fn a_browser_shows_it_without_errors() -> Result<()> {
    let browsers = ["chromium", "chromium-browser", "google-chrome"];
    let there = |name: &&&str| Command::new(name).arg("--version").output().is_ok();
    let Some(browser) = browsers.iter().find(there) else {
        eprintln!("skipped: there is no Chromium to show the page");
        return Ok(());
    };
    let folder = TempDir::new()?;
    // With every call kept there is a trampoline to show.
    page(folder.path(), &["--no-inline"])?;
    let path = folder.path().join("app.html");
    // What goes wrong in the page would be its text.
    let page = std::fs::read_to_string(&path)?;
    let watched = page.replacen(
        "<script type",
        "<script>addEventListener(\"error\", e => document.title = \"FAILED \" + e.message);\
         </script><script type",
        1,
    );
    ensure!(watched != page, "the page has no script");
    std::fs::write(&path, watched)?;
    let dump = |hash: &str| -> Result<String> {
        let profile = TempDir::new()?;
        let mut command = Command::new(browser);
        command.args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
        ]);
        command.args(["--no-first-run", "--disable-background-networking"]);
        command.args(["--disable-component-update", "--disable-sync", "--dump-dom"]);
        command.arg(format!("--user-data-dir={}", profile.path().display()));
        command.arg(format!("file://{}#{hash}", path.display()));
        Ok(String::from_utf8_lossy(&command.output()?.stdout).into_owned())
    };
    let plan = dump("")?;
    assert!(!plan.contains("<title>FAILED"), "{plan}");
    let (_, shown) = plan.split_once("id=\"main\"").context("a page")?;
    assert!(
        shown.contains("the component calls the host"),
        "the plan is shown"
    );
    let shown = dump("adapter")?;
    assert!(!shown.contains("<title>FAILED"), "{shown}");
    let (_, shown) = shown.split_once("<h2>").context("a function is shown")?;
    assert!(
        shown.starts_with("component-trampolines["),
        "{}",
        &shown[..80.min(shown.len())]
    );
    assert!(
        shown.contains("func(x: u32) -&gt; u32"),
        "its type is shown"
    );
    assert!(shown.contains("class=\"row\""), "its code is shown");
    Ok(())
}
