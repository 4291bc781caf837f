//! The `docmill` program: the command line with the stages that ship with it.

use std::process::ExitCode;

fn main() -> ExitCode {
    docmill::cli::main_with(docmill::builtin::register)
}
