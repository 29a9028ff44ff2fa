//! The rules that the official suite's scripts are about, said again as scripts of the model.
//!
//! A file of `tests/suite` is a script, `---`, and what is expected: lines that `every` trace has
//! in this order (among others), that `some` trace has, or that no trace (`never`) has.

use std::path::Path;
use std::sync::Arc;
use trampette_model::explore;
use trampette_model::machine::Rules;
use trampette_model::script::Script;

/// Runs that a script may have.
const MOST: usize = 100_000;

fn contains(trace: &str, wanted: &[&str]) -> bool {
    let mut lines = trace.lines();
    wanted
        .iter()
        .all(|wanted| lines.any(|line| line == *wanted))
}

fn problems(name: &str, text: &str) -> Vec<String> {
    let Some((script, expected)) = text.split_once("---\n") else {
        return vec![format!("{name}: expects nothing")];
    };
    let script: Script = match script.parse() {
        Ok(script) => script,
        Err(error) => return vec![format!("{name}: {error}")],
    };
    let traces = explore::exhaustive(&Arc::new(script), Rules::RUNTIME, MOST);
    if !traces.complete {
        return vec![format!("{name}: more than {MOST} runs")];
    }
    let mut wrong = Vec::new();
    let mut parts: Vec<(&str, Vec<&str>)> = Vec::new();
    for line in expected.lines() {
        match (line.strip_prefix("  "), parts.last_mut()) {
            (None, _) => parts.push((line, Vec::new())),
            (Some(line), Some((_, lines))) => lines.push(line),
            (Some(line), None) => wrong.push(format!("{name}: `{line}` stands in no part")),
        }
    }
    for (part, lines) in parts {
        let having = traces
            .all
            .iter()
            .filter(|trace| contains(trace, &lines))
            .count();
        let fine = match part {
            "every" => having == traces.all.len(),
            "some" => having > 0,
            "never" => having == 0,
            _ => false,
        };
        if !fine || lines.is_empty() {
            let all = traces.all.iter();
            let shown = all
                .clone()
                .find(|trace| contains(trace, &lines) == (part == "never"));
            wrong.push(format!(
                "{name}: {part} {lines:?}: {having} of {} traces; look at\n{}",
                traces.all.len(),
                shown.or(all.clone().next()).cloned().unwrap_or_default()
            ));
        }
    }
    wrong
}

#[test]
fn the_suite_said_again() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/suite");
    let mut wrong = Vec::new();
    let mut count = 0;
    for entry in std::fs::read_dir(folder).expect("the folder is there") {
        let path = entry.expect("an entry").path();
        let text = std::fs::read_to_string(&path).expect("text");
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        wrong.extend(problems(&name, &text));
        count += 1;
    }
    assert!(count >= 40, "only {count} scripts");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
