//! `docmill completions`: a script that completes commands and options in a shell.

use std::io::Write;

use clap::CommandFactory;

/// Prints a completion script.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "For bash: docmill completions bash > ~/.local/share/bash-completion/completions/docmill")]
pub struct Args {
    /// The shell
    pub shell: clap_complete::Shell,
}

/// Writes the script to `out`.
///
/// # Errors
/// `out` cannot be written.
pub fn run(args: &Args, out: &mut dyn Write) -> anyhow::Result<u8> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut super::Cli::command(), "docmill", &mut script);
    out.write_all(&script)?;
    Ok(0)
}
