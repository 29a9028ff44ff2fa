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

use anyhow::{Result, bail};
use std::fmt::Write;

/// Choices that an error lists at most.
const MOST_CHOICES: usize = 12;

/// An export that can be called.
pub(crate) struct Callable<'c> {
    /// The chain of instance names, and the function's.
    pub path: Vec<&'c str>,
    /// Its arguments as they could be typed, with their brackets.
    pub arguments: String,
}

impl Callable<'_> {
    /// A call that can be typed.
    pub(crate) fn example(&self) -> String {
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
pub(crate) fn find(exports: &[Callable<'_>], name: &str) -> Result<usize> {
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
    let mut text = format!("there is no exported function `{name}`");
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
    let distance = |export: &Callable<'_>| {
        let last = export.path.last().copied().unwrap_or_default();
        let whole = export.path.join("#");
        let to = |other: &str| strsim::damerau_levenshtein(name, other);
        to(last).min(to(&whole))
    };
    let near = exports.iter().map(|export| (distance(export), export));
    let (distance, export) = near.min_by_key(|(distance, _)| *distance)?;
    (distance <= (name.chars().count() / 3).max(1)).then_some(export)
}

/// A name as a call must spell it: in quotes if it holds what would end it.
fn quoted(name: &str) -> String {
    let plain = |c: char| !(c.is_whitespace() || c.is_control() || "()\"".contains(c));
    match !name.is_empty() && name.chars().all(plain) {
        true => name.to_string(),
        false => format!("{name:?}"),
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
}
