//! `trampette serve`.

use super::run::Source;
use super::{EXIT_CODES, Verbosity};
use anyhow::Result;
use clap::Args;
use trampette_runner::serve::{self, ServeArguments};

/// Arguments of `trampette serve`.
#[derive(Args)]
#[command(
    after_help = EXAMPLES,
    after_long_help = format!("{EXAMPLES}\n\n{EXIT_CODES}")
)]
pub(super) struct Arguments {
    #[command(flatten)]
    serve: ServeArguments,
    #[command(flatten)]
    source: Source,
}

const EXAMPLES: &str = "\
Examples:
  trampette serve --addr 0.0.0.0:80 app.wasm
  trampette serve --timeout 5s --max-memory 128M --log text app.wasm
  trampette serve --allow-net api.example.com:443 app.wasm
  trampette serve --watch app.wasm               serves what is built anew
  trampette serve --precompiled app.elf         an artifact that you trust";

/// Serves; gives the process's exit code.
pub(super) fn serve(arguments: &Arguments, verbosity: Verbosity) -> Result<u8> {
    let (source, input) = (
        arguments.source.clone(),
        arguments.serve.input().to_path_buf(),
    );
    let load = move |loading| source.component("serve", &input, loading, verbosity);
    serve::serve(Box::new(load), &arguments.serve)
}
