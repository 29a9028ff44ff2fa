//! Sizes in the report on a compilation, which depend on the compiler's version: no file says them.
//! The rest of the report is in `tests/cli/compile/stats.wat` and `time.wat`.

use anyhow::Result;
use trampette::{CompileOptions, compile_component};

#[test]
fn sections_have_sizes_that_fit_into_the_artifact() -> Result<()> {
    let examples = concat!(env!("CARGO_MANIFEST_DIR"), "/examples");
    let wasm = wat::parse_file(format!("{examples}/greeter.wat"))?;
    let artifact = compile_component(&wasm, &CompileOptions::default())?;
    let sections: u64 = artifact.report().statistics.sections.values().sum();
    assert!(sections > 0 && sections <= artifact.bytes().len() as u64);
    Ok(())
}
