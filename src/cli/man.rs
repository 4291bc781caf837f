//! `docmill man`: the manual, made from what `--help` says.

use std::fs;
use std::io::Write;
use std::path::PathBuf;

use anyhow::Context;

/// Prints the manual page, or writes one for each command.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(after_help = "\
Examples:
  docmill man | man -l -                                 the main page
  docmill man ~/.local/share/man/man1 && man docmill-run")]
pub struct Args {
    /// Where a page for each command is written; without it the main page goes to standard output
    #[arg(value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    pub directory: Option<PathBuf>,
}

/// Writes the main page to `out`, or all pages to a directory and their paths to `out`.
///
/// # Errors
/// `out` or the directory cannot be written.
pub fn run(args: &Args, out: &mut dyn Write) -> anyhow::Result<u8> {
    let mut command = super::plain_command().disable_help_subcommand(true);
    let Some(directory) = &args.directory else {
        clap_mangen::Man::new(command).render(out)?;
        return Ok(0);
    };
    fs::create_dir_all(directory).with_context(|| format!("cannot make `{}`", directory.display()))?;
    command.build();
    let mut pages = vec![clap_mangen::Man::new(command.clone())];
    let shown = command.get_subcommands().filter(|subcommand| !subcommand.is_hide_set());
    pages.extend(shown.cloned().map(clap_mangen::Man::new));
    for page in pages {
        let path = page
            .generate_to(directory)
            .with_context(|| format!("cannot write `{}` to `{}`", page.get_filename(), directory.display()))?;
        writeln!(out, "{}", path.display())?;
    }
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::pipeline_args::testing::run_with;

    #[test]
    fn there_is_a_page_for_every_command_and_none_for_a_hidden_one() {
        let directory = tempfile::tempdir().expect("a directory");
        let pages = directory.path().join("man1");
        let args = Args { directory: Some(pages.clone()) };
        let (code, out, _) = run_with(|out, _| run(&args, out));
        assert_eq!(code, 0);
        let mut command = crate::cli::plain_command();
        command.build();
        for subcommand in command.get_subcommands().filter(|subcommand| subcommand.get_name() != "help") {
            let page = pages.join(format!("docmill-{}.1", subcommand.get_name()));
            assert_eq!(page.exists(), !subcommand.is_hide_set(), "{}", page.display());
            assert_eq!(out.contains(&*page.to_string_lossy()), !subcommand.is_hide_set());
        }
        let run = fs::read_to_string(pages.join("docmill-run.1")).expect("written");
        assert!(run.contains("max\\-failed") && run.contains("docmill\\-run"), "{run}");
        let (_, main, _) = run_with(|out, _| super::run(&Args::default(), out));
        assert!(main.contains("Exit codes") && main.contains("130"), "{main}");
    }
}
