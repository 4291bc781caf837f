//! What the guide says to type works as it stands there: every `sh` block of every page is run, in the page's own
//! directory, by the real program.
//!
//! A block after `<!-- needs: PROGRAM -->` is run where that program is there (on `PATH` or in the directory that
//! `DOCMILL_TOOLS` names), one after `<!-- not run: REASON -->` never. A block after a line that ends in a file name and
//! a colon (`` `site.toml`: ``) is written to that file. Python blocks are files to be run like any other.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::waiting::within;

/// A fenced block, and what stands before it.
struct Block {
    language: String,
    text: String,
    /// The file that it is, where it is one.
    file: Option<String>,
    needs: Vec<String>,
    is_run: bool,
    line: usize,
}

fn blocks(page: &str) -> Vec<Block> {
    let mut found = Vec::new();
    let mut lines = page.lines().enumerate();
    let (mut file, mut needs, mut is_run) = (None, Vec::new(), true);
    while let Some((number, line)) = lines.next() {
        if let Some(language) = line.strip_prefix("```") {
            let text: Vec<&str> = lines.by_ref().map(|(_, line)| line).take_while(|line| *line != "```").collect();
            found.push(Block {
                language: language.trim().to_owned(),
                text: text.join("\n") + "\n",
                file: file.take(),
                needs: std::mem::take(&mut needs),
                is_run: std::mem::replace(&mut is_run, true),
                line: number + 1,
            });
        } else if let Some(what) = comment(line, "needs:") {
            needs.extend(what.split_whitespace().map(str::to_owned));
        } else if comment(line, "not run:").is_some() {
            is_run = false;
        } else if !line.trim().is_empty() {
            file = line.strip_suffix("`:").and_then(|line| line.rsplit_once('`')).map(|(_, name)| name.to_owned());
        }
    }
    found
}

fn comment<'a>(line: &'a str, word: &str) -> Option<&'a str> {
    line.strip_prefix("<!--")?.strip_suffix("-->")?.trim().strip_prefix(word).map(str::trim)
}

fn search_path() -> String {
    let program = PathBuf::from(env!("CARGO_BIN_EXE_docmill"));
    let mut path = program.parent().expect("a program is in a directory").display().to_string();
    for more in [std::env::var("DOCMILL_TOOLS").ok(), std::env::var("PATH").ok()].into_iter().flatten() {
        path = format!("{path}:{more}");
    }
    path
}

fn is_there(program: &str) -> bool {
    search_path().split(':').any(|directory| Path::new(directory).join(program).is_file())
}

/// Runs a page's blocks in order; gives how many were run.
fn run(page: &Path, directory: &Path) -> usize {
    let text = fs::read_to_string(page).expect("a page can be read");
    let mut count = 0;
    for block in blocks(&text) {
        let place = format!("{}:{}", page.display(), block.line);
        if let Some(file) = &block.file {
            let path = directory.join(file);
            fs::create_dir_all(path.parent().expect("below the directory")).expect("made");
            fs::write(path, &block.text).expect("written");
            continue;
        }
        if block.language != "sh" || !block.is_run {
            continue;
        }
        if let Some(missing) = block.needs.iter().find(|program| !is_there(program)) {
            #[expect(clippy::print_stderr, reason = "a test says what it skips")]
            {
                eprintln!("{place}: not run: no `{missing}` here");
            }
            continue;
        }
        let mut command = Command::new("bash");
        command.args(["-euo", "pipefail", "-c", &block.text]).current_dir(directory);
        command.env_clear().env("PATH", search_path()).env("HOME", directory).env("LANG", "C.UTF-8");
        let ended = within(Duration::from_secs(300), &mut command).unwrap_or_else(|| panic!("{place}: no end"));
        assert!(ended.status.success(), "{place}:\n{}\n{}", block.text, String::from_utf8_lossy(&ended.stderr));
        count += 1;
    }
    count
}

fn page(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

#[test]
fn every_command_of_the_guide_works() {
    let mut pages: Vec<PathBuf> = fs::read_dir(page("docs/guide"))
        .expect("the guide is there")
        .map(|entry| entry.expect("listed").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
        .collect();
    pages.sort();
    let count: usize = pages
        .iter()
        .map(|page| {
            let directory = tempfile::tempdir().expect("a directory");
            run(page, directory.path())
        })
        .sum();
    assert!(count >= 8, "{count} blocks were run: the guide has more");
}

#[test]
fn every_command_of_the_readmes_tour_works() {
    let directory = tempfile::tempdir().expect("a directory");
    let here = directory.path();
    let samples = page("examples/documents");
    for place in ["papers", "reports", "docs", "examples/documents"] {
        fs::create_dir_all(here.join(place)).expect("made");
        fs::copy(samples.join("safety-card.pdf"), here.join(place).join("card.pdf")).expect("copied");
        fs::copy(samples.join("sluice.md"), here.join(place).join("sluice.md")).expect("copied");
    }
    fs::copy(samples.join("recipes.md"), here.join("notes.md")).expect("copied");
    fs::copy(page("pipeline.toml"), here.join("pipeline.toml")).expect("copied");
    assert!(run(&page("README.md"), here) > 0, "the README has a tour");
}

#[test]
fn the_test_reads_pages_as_it_says() {
    let page = "`a.toml`:\n\n```toml\nx = 1\n```\n\n<!-- needs: no-such-program -->\n```sh\nfalse\n```\n\
                <!-- not run: takes long -->\n\n```sh\nfalse\n```\n```sh\ntrue\n```\n";
    let found = blocks(page);
    assert_eq!(found.iter().map(|block| block.is_run).collect::<Vec<_>>(), [true, true, false, true]);
    assert_eq!(found[0].file.as_deref(), Some("a.toml"));
    assert_eq!(found[1].needs, ["no-such-program"]);
    assert_eq!((found[3].text.as_str(), found[3].needs.len()), ("true\n", 0));
}
