//! Test scripts: `.wast` files of core modules and components, run directive by directive.
//!
//! | file | what |
//! | --- | --- |
//! | `script` | a script as plain data: every module and component encoded, every place known |
//! | `component` | directives about components, each instance in a store of its own |
//! | `core` | directives about core modules, compiled as one closed world; threads |
//! | `core_plan` | resolving them: which instance each directive is about |
//! | `core_values` | core values: arguments, and comparing results |
//! | `custom_sections` | custom sections that are specified: names, branch hints |
//! | `values` | component-level values: arguments, and comparing results |
//! | `host` | what a script's components can import |
//! | `texts` | when the text of an error is the one that a script expects |
//!
//! A directive that fails does not end its script: the next ones run, and all are reported.

mod component;
mod core;
mod core_plan;
mod core_values;
mod custom_sections;
mod host;
mod script;
mod texts;
mod values;

pub use script::{ConfusingUnicode, confusing_unicode};

use crate::CompileOptions;
use anyhow::{Context, Result};
use component::ComponentRunner;
use script::{Action, Directive, Execute, Invoke, Space};
use std::path::{Path, PathBuf};
use std::thread::Scope;
use trampette_runtime::{Store, StoreLimits};

/// A store for what scripts define: all modules of a script are in one, and may be as large as
/// the specification allows.
fn store() -> Store<()> {
    let mut store = Store::new(());
    store.set_limits(StoreLimits::default().with_total_memory_bytes(u64::MAX));
    store
}

/// How to run scripts.
#[derive(Clone, Debug, Default)]
pub struct ScriptOptions {
    /// How to compile what scripts define.
    pub compile: CompileOptions,
}

/// What became of one directive.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// It behaved as the script demands.
    Passed,
    /// It did not; why.
    Failed(String),
    /// It was not run; why.
    Skipped(String),
}

/// One directive with its place and its outcome.
#[derive(Clone, Debug)]
pub struct DirectiveReport {
    /// The line of its keyword, from 1.
    pub line: usize,
    /// Its keyword: `assert_return`. For a file that cannot be parsed, `script`.
    pub keyword: &'static str,
    /// What became of it.
    pub outcome: Outcome,
}

/// What happened in one script.
#[derive(Clone, Debug)]
pub struct ScriptReport {
    /// The file.
    pub path: PathBuf,
    /// Its directives, in order.
    pub directives: Vec<DirectiveReport>,
}

/// Numbers of directives by outcome.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[allow(missing_docs)]
pub struct Totals {
    pub passed: usize,
    pub failed: usize,
    pub skipped: usize,
}

impl ScriptReport {
    /// Directives by outcome.
    pub fn totals(&self) -> Totals {
        let mut totals = Totals::default();
        for directive in &self.directives {
            match directive.outcome {
                Outcome::Passed => totals.passed += 1,
                Outcome::Failed(_) => totals.failed += 1,
                Outcome::Skipped(_) => totals.skipped += 1,
            }
        }
        totals
    }

    /// The directives that failed, with the reasons.
    pub fn failures(&self) -> impl Iterator<Item = (&DirectiveReport, &str)> {
        self.directives
            .iter()
            .filter_map(|directive| match &directive.outcome {
                Outcome::Failed(message) => Some((directive, message.as_str())),
                _ => None,
            })
    }
}

impl std::ops::AddAssign for Totals {
    fn add_assign(&mut self, other: Totals) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

/// Runs the core directives of one script.
///
/// A directive is a core one if it defines or instantiates a core module, if it is about an
/// instance of one, or if it is one that only core scripts have (`register`, `get`, `thread`, …).
pub trait CoreRunner<'s> {
    /// Sees the whole script, before its first directive runs.
    ///
    /// # Errors
    /// If nothing of the script can run.
    fn prepare(&mut self, script: &'s [Directive<'s>]) -> Result<()>;

    /// Runs the directive at that index of the script.
    ///
    /// # Errors
    /// If it does not behave as the script demands. (An assertion that holds is no error.)
    fn run(&mut self, index: usize, directive: &'s Directive<'s>) -> Result<()>;
}

/// The runner of core directives.
fn core_runner<'scope, 's: 'scope>(
    options: &ScriptOptions,
    scope: &'scope Scope<'scope, 's>,
) -> Box<dyn CoreRunner<'s> + 'scope> {
    Box::new(core::ScriptRunner::new(options, scope))
}

/// Collects a script, or all scripts of a folder, in the order of their names.
///
/// # Errors
/// If the path does not exist or a folder cannot be read.
pub fn find_scripts(path: &Path, scripts: &mut Vec<PathBuf>) -> Result<()> {
    let unreadable = || format!("cannot read {}", path.display());
    if !std::fs::metadata(path).with_context(unreadable)?.is_dir() {
        scripts.push(path.to_path_buf());
        return Ok(());
    }
    let entries = std::fs::read_dir(path).with_context(unreadable)?;
    let mut entries: Vec<PathBuf> = entries
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<_>>()
        .with_context(unreadable)?;
    entries.sort();
    for entry in entries {
        if entry.is_dir()
            || entry
                .extension()
                .is_some_and(|extension| extension == "wast")
        {
            find_scripts(&entry, scripts)?;
        }
    }
    Ok(())
}

/// Runs a script file.
///
/// # Errors
/// If the file cannot be read. What is wrong in it is in the report.
pub fn run_file(path: &Path, options: &ScriptOptions) -> Result<ScriptReport> {
    let text =
        std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(ScriptReport {
        path: path.to_path_buf(),
        directives: run_script(&text, script::confusing_unicode(path), options),
    })
}

/// Runs a script.
pub fn run_script(
    text: &str,
    unicode: script::ConfusingUnicode,
    options: &ScriptOptions,
) -> Vec<DirectiveReport> {
    // Threads of the script that it never waits for are joined at its end.
    let result = script::parse(text, unicode, |script| {
        std::thread::scope(|scope| Runner::new(options, scope).run(script))
    });
    result.unwrap_or_else(|error| {
        vec![DirectiveReport {
            line: error.line,
            keyword: "script",
            outcome: Outcome::Failed(error.message),
        }]
    })
}

/// What an `invoke` without a name is about: the instance made last.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Current {
    None,
    Core,
    Component,
}

struct Runner<'scope, 's> {
    core: Box<dyn CoreRunner<'s> + 'scope>,
    component: ComponentRunner,
    current: Current,
    /// The definitions of both kinds, for `module instance` and `component instance`.
    definitions: std::collections::HashMap<Option<&'s str>, Space>,
}

impl<'scope, 's: 'scope> Runner<'scope, 's> {
    fn new(options: &ScriptOptions, scope: &'scope Scope<'scope, 's>) -> Self {
        Runner {
            core: core_runner(options, scope),
            component: ComponentRunner::new(options),
            current: Current::None,
            definitions: Default::default(),
        }
    }

    fn run(mut self, script: &'s [Directive<'s>]) -> Vec<DirectiveReport> {
        let prepared = self.core.prepare(script);
        let mut reports = Vec::with_capacity(script.len());
        for (index, directive) in script.iter().enumerate() {
            let result = match (&prepared, self.space(directive)) {
                (Err(error), Space::Core) => Err(anyhow::anyhow!("{error:#}")),
                (Ok(()), Space::Core) => self.core.run(index, directive),
                (_, Space::Component) => self.component.run(directive),
            };
            self.note(directive);
            reports.push(DirectiveReport {
                line: directive.line,
                keyword: directive.keyword,
                outcome: match result {
                    Ok(()) => Outcome::Passed,
                    Err(error) => Outcome::Failed(format!("{error:#}")),
                },
            });
        }
        reports
    }

    /// Who runs a directive.
    fn space(&self, directive: &Directive<'s>) -> Space {
        match &directive.action {
            Action::Define { source, .. }
            | Action::AssertRejected { source, .. }
            | Action::AssertUnlinkable { source, .. } => source.space,
            Action::Instance { definition, .. } => self.definition(*definition),
            Action::Invoke(invoke) => self.invoked(invoke),
            Action::AssertReturn { exec, .. }
            | Action::AssertTrap { exec, .. }
            | Action::AssertException { exec }
            | Action::AssertSuspension { exec, .. } => match exec {
                Execute::Invoke(invoke) => self.invoked(invoke),
                Execute::Source(source) => source.space,
                Execute::Get { .. } => Space::Core,
            },
            Action::AssertExhaustion { call, .. } => self.invoked(call),
            Action::Register { .. } | Action::Thread { .. } | Action::Wait { .. } => Space::Core,
        }
    }

    fn definition(&self, name: Option<&str>) -> Space {
        let known = self.definitions.get(&name).copied();
        known.unwrap_or(Space::Component)
    }

    fn invoked(&self, invoke: &Invoke<'s>) -> Space {
        match (invoke.module, self.current) {
            (None, Current::Component) => Space::Component,
            _ => Space::Core,
        }
    }

    /// Remembers what a directive leaves behind. After one that should have made an instance and
    /// failed, calls are still about the kind of instance that it should have made.
    fn note(&mut self, directive: &Directive<'s>) {
        let space = match &directive.action {
            Action::Define {
                name,
                source,
                instantiate: script::Instantiate::No,
            } => {
                self.definitions.insert(*name, source.space);
                return;
            }
            Action::Define { source, .. } => source.space,
            Action::Instance { definition, .. } => self.definition(*definition),
            _ => return,
        };
        self.current = match space {
            Space::Core => Current::Core,
            Space::Component => Current::Component,
        };
    }
}
