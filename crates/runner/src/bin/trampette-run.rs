//! The command `trampette-run`, which has no compiler.

fn main() -> std::process::ExitCode {
    trampette_runner::command::main()
}
