//! The `trampette` command.

fn main() -> std::process::ExitCode {
    trampette::cli::main()
}
