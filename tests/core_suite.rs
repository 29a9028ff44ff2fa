//! The official core suite, file by file: WebAssembly 3.0 and the proposals that are supported.
//!
//! It lies beside the repository (`../shared/suites/core`); without it the harness says so and passes.

use libtest_mimic::{Arguments, Failed, Trial};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use trampette::CompileOptions;
use trampette::cli::wast::find_scripts;
use trampette::options::{Bounds, NanBits, OptLevel};
use trampette::wast::{ScriptOptions, run_file};

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

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let Some(suite) = suite_folder() else {
        eprintln!("notice: no suite at ../shared/suites/core; its scripts are skipped");
        return libtest_mimic::run(&arguments, Vec::new()).exit_code();
    };
    let mut scripts = Vec::new();
    if let Err(error) = find_scripts(&suite, &mut scripts) {
        eprintln!("error: cannot read the suite: {error:#}");
        return ExitCode::FAILURE;
    }
    let trials = scripts.into_iter().map(|path| {
        let name = path.strip_prefix(&suite).unwrap_or(&path);
        let name = name.with_extension("").display().to_string();
        let skipped = SKIPPED.iter().find(|(skipped, _)| {
            let rest = name.strip_prefix(skipped);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        });
        let trial = match skipped {
            Some((_, why)) => Trial::test(format!("{name} ({why})"), || Ok(())),
            None => Trial::test(name, move || run(&path)),
        };
        trial.with_ignored_flag(skipped.is_some())
    });
    libtest_mimic::run(&arguments, trials.collect()).exit_code()
}

/// `../shared/suites/core` of the repository, or of the checkout that a work tree belongs to.
fn suite_folder() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    ["../shared/suites", "../../shared/suites"]
        .map(|path| root.join(path).join("core"))
        .into_iter()
        .find(|path| path.is_dir())
}

/// Runs a script with every setting that must not make a difference.
fn run(path: &Path) -> Result<(), Failed> {
    run_with(path, "", CompileOptions::default())?;
    let unoptimised = CompileOptions {
        opt_level: OptLevel::None,
        ..CompileOptions::default()
    };
    run_with(path, "unoptimised: ", unoptimised)?;
    let explicit = CompileOptions {
        bounds: Bounds::Explicit,
        nan: NanBits::Canonical,
        ..CompileOptions::default()
    };
    run_with(path, "explicit bounds, canonical NaNs: ", explicit)
}

fn run_with(path: &Path, what: &str, compile: CompileOptions) -> Result<(), Failed> {
    // Files run in parallel already.
    let options = ScriptOptions {
        compile: CompileOptions {
            threads: Some(1),
            ..compile
        },
    };
    let report = run_file(path, &options).map_err(|error| format!("{error:#}"))?;
    let failures: Vec<String> = report
        .failures()
        .map(|(directive, message)| {
            format!("{what}{}:{}: {message}", path.display(), directive.line)
        })
        .collect();
    match failures.is_empty() {
        true => Ok(()),
        false => Err(failures.join("\n").into()),
    }
}
