//! What `trampette-run` says of what is no artifact.

use std::process::{Command, Output};

fn run(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_trampette-run"));
    command.args(arguments).output().expect("it starts")
}

#[test]
fn the_next_step_is_named() {
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    let cases = [
        (
            source,
            format!(
                "error: {source}: not an artifact of Trampette; compile it first: trampette \
                 compile {source}\n"
            ),
        ),
        (
            "no-such-file",
            "error: cannot read no-such-file: No such file or directory (os error 2)\n".into(),
        ),
    ];
    for (path, expected) in cases {
        let output = run(&[path]);
        assert_eq!(String::from_utf8_lossy(&output.stderr), expected);
        assert_eq!(output.status.code(), Some(1));
    }
}

#[test]
fn exit_codes_tell_usage_from_errors() {
    assert_eq!(run(&[]).status.code(), Some(2));
    assert_eq!(run(&["--no-such-option"]).status.code(), Some(2));
    assert_eq!(run(&["--version"]).status.code(), Some(0));
    // What stands behind the input is not looked at.
    assert_eq!(run(&["no-such-file", "--version"]).status.code(), Some(1));
}
