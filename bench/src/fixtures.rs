//! The package's own fixtures: enough to run every section where the project's larger ones are not
//! at hand.
//!
//! The texts have three abbreviations, each a line of its own (closing parentheses may follow):
//!
//! | line | stands for |
//! | --- | --- |
//! | `@loop NAME BODY` | a core function: `BODY` `$n` times, with `$len`, `$ptr` and `$sum` |
//! | `@lift NAME` | an export that lifts it from the core instance `$main` |
//! | `@export NAME` | an export of what the instance `$b` exports |

use crate::session::Session;
use anyhow::{Result, bail};
use std::path::PathBuf;

/// The text of a fixture.
pub fn own(name: &str) -> Result<String> {
    let text = match name {
        "import.wat" => include_str!("../fixtures/import.wat"),
        "hostcall.wat" => include_str!("../fixtures/hostcall.wat"),
        "compose.wat" => include_str!("../fixtures/compose.wat"),
        "nested.wat" => include_str!("../fixtures/nested.wat"),
        "resource-local.wat" => include_str!("../fixtures/resource-local.wat"),
        "tiny.wat" => include_str!("../fixtures/tiny.wat"),
        "concurrent.wat" => include_str!("../fixtures/concurrent.wat"),
        "trap.wat" => include_str!("../fixtures/trap.wat"),
        _ => bail!("there is no fixture {name}"),
    };
    Ok(text.lines().map(expand).collect())
}

/// One line without abbreviations.
fn expand(line: &str) -> String {
    let (abbreviation, rest) = line.trim().split_once(' ').unwrap_or((line.trim(), ""));
    // Parentheses behind a name close what is around the line.
    let name_length = rest.find([' ', ')']).unwrap_or(rest.len());
    let (name, rest) = rest.split_at(name_length);
    match abbreviation {
        "@loop" => format!(
            r#"(func $loop-{name} (export "{name}")
                 (param $n i32) (param $len i32) (param $ptr i32) (result i32) (local $sum i32)
                 (loop $again (if (local.get $n) (then
                   (local.set $n (i32.sub (local.get $n) (i32.const 1)))
                   (block {rest})
                   (br $again))))
                 (local.get $sum))
               "#
        ),
        "@lift" => format!(
            r#"(func (export "{name}") (param "n" u32) (param "len" u32) (param "ptr" u32) (result u32)
                 (canon lift (core func $main "{name}"))){rest}
               "#
        ),
        "@export" => format!("(export \"{name}\" (func $b \"{name}\")){rest}\n"),
        _ => format!("{line}\n"),
    }
}

/// A larger program.
pub fn own_input(name: &str) -> Result<Vec<u8>> {
    match name {
        "hello" => {
            let module = wat::parse_str(include_str!("../fixtures/hello.wat"))?;
            trampette::input::component_from_module(&module)
        }
        _ => bail!("there is no {name}; give --inputs"),
    }
}

/// A folder of kernels.
pub fn own_kernels(session: &Session) -> Result<PathBuf> {
    let folder = session.scratch("kernels");
    std::fs::create_dir_all(&folder)?;
    std::fs::write(folder.join("sieve.c"), include_str!("../kernels/sieve.c"))?;
    Ok(folder)
}
