//! `trampette inspect`: an artifact shows the same world as the component that it was compiled from.

use anyhow::{Context, Result, ensure};
use std::path::Path;
use std::process::Command;

const COMPONENT: &str = r#"(component
    (import "docs:kv/store@0.1.0" (instance $store
        (export "get" (func (param "key" string) (result (option string))))))
    (core module $m (func (export "run") (result i32) i32.const 7))
    (core instance $i (instantiate $m))
    (func (export "run") (result u32) (canon lift (core func $i "run"))))"#;

const WORLD: &str = "\
world root {
  import docs:kv/store@0.1.0;

  export run: func() -> u32;
}
";

/// A type without a name can be exported, and said only by the binary format.
const NO_WIT: &str = r#"(component
    (core module $m)
    (export "m" (core module $m)))"#;

fn trampette(arguments: &[&Path]) -> Result<String> {
    let output = Command::new(env!("CARGO_BIN_EXE_trampette"))
        .args(arguments)
        .output()?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{arguments:?}: {errors}");
    Ok(String::from_utf8(output.stdout)?)
}

/// What `inspect` prints for a component and for its artifact.
fn inspected(text: &str) -> Result<[String; 2]> {
    let folder = tempfile::tempdir()?;
    let [wat, elf] = ["app.wat", "app.elf"].map(|name| folder.path().join(name));
    std::fs::write(&wat, text)?;
    trampette(&["compile".as_ref(), &wat, "-o".as_ref(), &elf])?;
    let inspect = |path: &Path| trampette(&["inspect".as_ref(), path]);
    Ok([inspect(&wat)?, inspect(&elf)?])
}

#[test]
fn components_and_artifacts_show_the_world() -> Result<()> {
    let [component, artifact] = inspected(COMPONENT)?;
    let wit = |text: &str| Some(text.split_once("artifact: ")?.0.to_string());
    let of_artifact = wit(&artifact).context("no description")?;
    assert!(of_artifact.contains(WORLD), "{of_artifact}");
    assert!(of_artifact.contains("get: func(key: string) -> option<string>;"));
    // Trampolines follow the component's world; only its compiler knows them.
    let (of_component, trampolines) = component.split_once("trampolines (").context("none")?;
    assert_eq!(of_component, of_artifact);
    let (_, description) = trampolines.split_once("artifact: ").context("none")?;
    assert_eq!(
        artifact.split_once("artifact: ").map(|it| it.1),
        Some(description)
    );
    Ok(())
}

/// WIT cannot use a type of an interface that has no name.
const UNNAMED: &str = r#"(component
    (import "one" (instance $one (export "r" (type (sub resource)))))
    (alias export $one "r" (type $r))
    (import "two" (instance (export "again" (type (eq $r))))))"#;

#[test]
fn what_wit_cannot_say_is_left_out() -> Result<()> {
    for text in [NO_WIT, UNNAMED] {
        let [component, artifact] = inspected(text)?;
        assert!(component.starts_with("trampolines ("), "{component}");
        assert!(artifact.starts_with("artifact: "), "{artifact}");
        assert!(!artifact.contains(".trampette.wit"));
    }
    Ok(())
}
