//! Names of exported functions as people type them: which export is meant, and what to say if none
//! is or several are.
//!
//! A function of an exported instance can be called by its name alone if no other has it, or with
//! the instance's name before it, in any of these spellings (version and package may be left out
//! where nothing else is meant then):
//!
//! ```text
//! my:pkg/one@1.2.0#run   my:pkg/one@1.2.0.run   my:pkg/one.run@1.2.0   my:pkg/one#run   one.run
//! ```

use crate::output::shown;
use anyhow::{Result, bail};
use std::fmt::Write;
use trampette_artifact::text::escaped;

/// Choices that an error lists at most.
const MOST_CHOICES: usize = 12;

/// Characters of a name beyond which nothing near it is looked for: that takes time and memory in
/// proportion to the square.
const LONGEST_COMPARED: usize = 200;

/// An export that can be called.
pub struct Callable<'c> {
    /// The chain of instance names, and the function's.
    pub path: Vec<&'c str>,
    /// Its arguments as they could be typed, with their brackets.
    pub arguments: String,
}

impl Callable<'_> {
    /// A call that can be typed.
    pub fn example(&self) -> String {
        format!("{}{}", quoted(&self.path.join("#")), self.arguments)
    }

    /// Whether `name` is a spelling of its path.
    fn is_spelt(&self, name: &str) -> bool {
        let Some((last, instances)) = self.path.split_last() else {
            return false;
        };
        let [outer @ .., instance] = instances else {
            return *last == name;
        };
        if *last == name {
            return true;
        }
        let (unversioned, version) = match instance.split_once('@') {
            Some((start, version)) => (start, Some(version)),
            None => (*instance, None),
        };
        let short = unversioned.rsplit('/').next().unwrap_or(unversioned);
        let outer: String = outer.iter().map(|name| format!("{name}#")).collect();
        ['#', '.'].iter().any(|separator| {
            let joined = |instance: &str| format!("{outer}{instance}{separator}{last}");
            [*instance, unversioned, short]
                .iter()
                .any(|i| joined(i) == name)
                || version.is_some_and(|version| {
                    [unversioned, short]
                        .iter()
                        .any(|i| format!("{}@{version}", joined(i)) == name)
                })
        })
    }
}

/// The export that is meant by `name`, by its number.
///
/// # Errors
/// If there is none: the nearest is named; or if it could be several: all are, as they can be
/// typed.
pub fn find(exports: &[Callable<'_>], name: &str) -> Result<usize> {
    let exact = |export: &Callable<'_>| export.path.join("#") == name;
    if let Some(index) = exports.iter().position(exact) {
        return Ok(index);
    }
    let spelt = |(_, export): &(usize, &Callable<'_>)| export.is_spelt(name);
    let mut found: Vec<(usize, &Callable<'_>)> = exports.iter().enumerate().filter(spelt).collect();
    found.sort_by_key(|(_, export)| export.path.len());
    match &found[..] {
        [] => bail!(none(exports, name)),
        [(only, _)] => Ok(*only),
        [(first, a), (_, b), ..] if a.path.len() < b.path.len() => Ok(*first),
        several => {
            let name = shown(name);
            let mut text = format!("several exported functions are `{name}`; call one of them:");
            for (_, export) in several {
                write!(text, "\n  {}", export.example())?;
            }
            bail!(text)
        }
    }
}

/// What to say if no export has the name.
fn none(exports: &[Callable<'_>], name: &str) -> String {
    let mut text = format!("there is no exported function `{}`", shown(name));
    let Some(nearest) = nearest(exports, name) else {
        match exports.len() {
            0 => text.push_str(": nothing that could be called is exported"),
            _ => {
                text.push_str("; there are:");
                for export in exports.iter().take(MOST_CHOICES) {
                    text.push_str("\n  ");
                    text.push_str(&export.example());
                }
                if exports.len() > MOST_CHOICES {
                    text.push_str("\n  … (`trampette inspect` shows all)");
                }
            }
        }
        return text;
    };
    text.push_str("; did you mean `");
    text.push_str(&nearest.example());
    text.push_str("`?");
    text
}

/// The export whose name, alone or with its instance's, is nearest, if it is near.
fn nearest<'e, 'c>(exports: &'e [Callable<'c>], name: &str) -> Option<&'e Callable<'c>> {
    let length = name.chars().count();
    let allowed = (length / 3).max(1);
    let distance = |other: &str| {
        let near = other.chars().count().abs_diff(length) <= allowed;
        near.then(|| strsim::damerau_levenshtein(name, other))
    };
    let near = |export: &'e Callable<'c>| {
        let last = export.path.last().copied().unwrap_or_default();
        let whole = export.path.join("#");
        let distances = [distance(last), distance(&whole)];
        Some((distances.into_iter().flatten().min()?, export))
    };
    if length > LONGEST_COMPARED {
        return None;
    }
    let (distance, export) = exports.iter().filter_map(near).min_by_key(|(d, _)| *d)?;
    (distance <= allowed).then_some(export)
}

/// A name as a call must spell it: in quotes if it holds what would end it, or cannot be seen.
fn quoted(name: &str) -> String {
    let plain = |c: char| !(c.is_whitespace() || "()\"".contains(c));
    match !name.is_empty() && name.chars().all(plain) && escaped(name).to_string() == name {
        true => name.to_string(),
        false => {
            let name = name.replace('\\', r"\\").replace('"', "\\\"");
            format!("\"{}\"", escaped(&name))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exports<'c>(paths: &[&[&'c str]]) -> Vec<Callable<'c>> {
        let callable = |path: &&[&'c str]| Callable {
            path: path.to_vec(),
            arguments: "()".to_string(),
        };
        paths.iter().map(callable).collect()
    }

    #[test]
    fn every_spelling_leads_to_its_export() {
        let exports = exports(&[
            &["my:pkg/one@1.2.0", "run"],
            &["my:pkg/two@1.2.0", "run"],
            &["my:pkg/two@2.0.0", "run"],
            &["plain", "run"],
            &["my:pkg/one@1.2.0", "only"],
            &["a", "b:c/d@0.1.0", "deep"],
            &["syscall.seek"],
            &["$x(y)"],
            &["top"],
            &["plain", "top"],
        ]);
        let spellings: &[(&str, usize)] = &[
            ("my:pkg/one@1.2.0#run", 0),
            ("my:pkg/one@1.2.0.run", 0),
            ("my:pkg/one.run@1.2.0", 0),
            ("my:pkg/one#run@1.2.0", 0),
            ("my:pkg/one#run", 0),
            ("my:pkg/one.run", 0),
            ("one#run", 0),
            ("one.run@1.2.0", 0),
            ("my:pkg/two@2.0.0#run", 2),
            ("two.run@1.2.0", 1),
            ("plain#run", 3),
            ("plain.run", 3),
            ("only", 4),
            ("one.only", 4),
            ("deep", 5),
            ("a#b:c/d@0.1.0#deep", 5),
            ("a#d.deep", 5),
            ("syscall.seek", 6),
            ("$x(y)", 7),
            ("top", 8),
            ("plain.top", 9),
        ];
        for (name, index) in spellings {
            assert_eq!(find(&exports, name).unwrap(), *index, "{name}");
        }
        for export in &exports {
            let joined = export.path.join("#");
            let index = find(&exports, &joined).unwrap();
            assert_eq!(exports[index].path, export.path);
        }
        let message = |name: &str| find(&exports, name).unwrap_err().to_string();
        assert_eq!(
            message("my:pkg/two#run"),
            "several exported functions are `my:pkg/two#run`; call one of them:\
             \n  my:pkg/two@1.2.0#run()\n  my:pkg/two@2.0.0#run()"
        );
        assert!(
            message("run").ends_with("\n  plain#run()"),
            "{}",
            message("run")
        );
        assert_eq!(
            message("onyl"),
            "there is no exported function `onyl`; did you mean `my:pkg/one@1.2.0#only()`?"
        );
        assert!(message("nothing-near").contains("\n  \"$x(y)\"()\n"));
    }
    #[test]
    fn examples_are_calls_of_their_exports() {
        let exports = exports(&[
            &["x\ny"],
            &["tab\t", "\u{1b}[31m"],
            &["\u{202e}", "hidden\u{200b}"],
            &["\\n", "\\u{41}", "\""],
            &["'", "é🦀"],
            &[" "],
            &[" both ends "],
            &[""],
            &["", ""],
            &["a b(c)"],
        ]);
        for export in &exports {
            let example = export.example();
            assert_eq!(escaped(&example).to_string(), example);
            let call = crate::wave::Call::parse(&example).unwrap();
            let found = find(&exports, call.name()).unwrap();
            assert_eq!(exports[found].path, export.path, "{example}");
        }
    }

    #[test]
    fn what_was_typed_does_not_break_the_message() {
        let exports = exports(&[&["run"]]);
        for name in ["ru\nm", "\u{1b}[31m", "\u{2028}", "x\ty"] {
            let message = find(&exports, name).unwrap_err().to_string();
            let first = message.lines().next().unwrap();
            assert_eq!(escaped(first).to_string(), first);
            let rest: Vec<&str> = message.lines().skip(1).collect();
            assert!(rest.iter().all(|line| *line == "  run()"), "{message}");
        }
    }

    #[test]
    fn names_of_any_length_are_quickly_compared() {
        let long = "x".repeat(120 << 10);
        let almost = format!("{long}y");
        let exports = exports(&[&[&long], &["run", &long]]);
        // The processor time of this thread, whatever else the machine does.
        let seconds = || rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime).tv_sec;
        let start = seconds();
        let message = find(&exports, &almost).unwrap_err().to_string();
        assert!(seconds() - start < 2);
        assert!(message.starts_with("there is no exported function `xx"));
        assert!(find(&exports, "x").is_err());
    }
}
