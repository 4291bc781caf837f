//! Parses every file below a directory, each in a child process of this program, and counts what became of them.
//!
//! ```text
//! cargo run -p docmill-parse --example parse_dir -- DIRECTORY [SECONDS] [pdf=unpdf] [html=whole] [-v] [--texts=FOLDER]
//! ```
//!
//! A child that hangs is killed after so many seconds (20), one that aborts is counted: what the engine's isolation does
//! in a run, without the engine. With `--texts` each text is written to a file of the folder, `NAME.txt`. Memory is not limited here; `ulimit -v` in the shell does.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use docmill_api::{Blob, CpuStage, Digest, Document, Outputs, Payload, Record, SourceItem, StepContext};
use docmill_parse::{Config, ParseStage};

/// The parsers recurse; the engine gives them as much.
const STACK: usize = 256 << 20;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match arguments.split_first() {
        Some((first, rest)) if first == "--child" => child(rest),
        Some((directory, rest)) => parent(Path::new(directory), rest),
        None => Err(io::Error::other("which directory?")),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn settings(arguments: &[String]) -> io::Result<Config> {
    let pairs = arguments.iter().filter(|each| !each.starts_with("--")).filter_map(|each| each.split_once('='));
    let table: serde_json::Map<_, _> = pairs.map(|(key, value)| (key.to_owned(), value.into())).collect();
    serde_json::from_value(table.into()).map_err(io::Error::other)
}

/// Parses one file and says in one line what came of it.
fn child(arguments: &[String]) -> io::Result<()> {
    let (path, options) = arguments.split_first().ok_or_else(|| io::Error::other("which file?"))?;
    let (config, path) = (settings(options)?, PathBuf::from(path));
    let texts = options.iter().find_map(|option| option.strip_prefix("--texts=")).map(PathBuf::from);
    let parse = move || parse(&config, &path, texts.as_deref());
    let work = std::thread::Builder::new().stack_size(STACK).spawn(parse)?;
    let line = work.join().map_err(|_| io::Error::other("panicked"))??;
    io::stdout().write_all(line.as_bytes())
}

fn parse(config: &Config, path: &Path, texts: Option<&Path>) -> io::Result<String> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let item = SourceItem { uri: format!("file://{}", path.display()), filename: name, ..SourceItem::default() };
    let document = Arc::new(Document::admit(item, Digest::of(&[])));
    let record = Record { document, payload: Payload::Blob(Blob { bytes: std::fs::read(path)?.into() }) };
    let stage = ParseStage::new(config).map_err(io::Error::other)?;
    let (cx, mut outputs) = (StepContext::detached(), Outputs::new());
    let begun = Instant::now();
    let outcome = stage.open(&cx, record).and_then(|mut work| work.step(&cx, &mut outputs));
    let spent = begun.elapsed().as_millis();
    if let Err(error) = outcome {
        let class = error.message.split(':').next().unwrap_or_default();
        return Ok(format!("failed ({class})\t{spent} ms\t{error}"));
    }
    let (records, skip) = outputs.into_parts();
    match (records.into_iter().next().map(|record| (record.document, record.payload)), skip) {
        (Some((document, Payload::Text(text))), _) => {
            if let Some(folder) = texts {
                std::fs::write(folder.join(format!("{}.txt", document.filename)), text.content.as_bytes())?;
            }
            let reader = document.metadata["reader"].as_str().unwrap_or_default();
            let (length, pages) = (text.content.len(), text.pages.len());
            let title = text.title.unwrap_or_default();
            let begins: String = text.content.chars().take(60).collect();
            Ok(format!("text ({reader})\t{spent} ms\t{length} bytes, {pages} pages, title `{title}`, {begins:?}"))
        }
        (_, Some(reason)) => {
            let class = reason.split(" (").next().unwrap_or_default();
            Ok(format!("skipped ({class})\t{spent} ms\t{reason}"))
        }
        _ => Err(io::Error::other("neither text nor a reason")),
    }
}

/// Starts a child for each file, one after another, and prints the counts.
fn parent(directory: &Path, arguments: &[String]) -> io::Result<()> {
    let seconds = arguments.iter().find_map(|argument| argument.parse().ok()).unwrap_or(20);
    let verbose = arguments.iter().any(|argument| argument == "-v");
    settings(arguments)?;
    let mut out = io::stdout().lock();
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for path in files(directory)? {
        let line = run(&path, arguments, Duration::from_secs(seconds))?;
        let class = line.split('\t').next().unwrap_or_default().to_owned();
        if verbose {
            writeln!(out, "{}\t{line}", path.display())?;
        }
        *counts.entry(class).or_default() += 1;
    }
    for (class, count) in counts {
        writeln!(out, "{count:6}  {class}")?;
    }
    Ok(())
}

fn files(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() { found.extend(files(&path)?) } else { found.push(path) }
    }
    found.sort();
    Ok(found)
}

fn run(path: &Path, arguments: &[String], limit: Duration) -> io::Result<String> {
    let options = arguments.iter().filter(|argument| argument.contains('='));
    let mut child = Command::new(std::env::current_exe()?)
        .arg("--child")
        .arg(path)
        .args(options)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let mut pipe = child.stdout.take().ok_or_else(|| io::Error::other("no pipe"))?;
    let (sender, receiver) = mpsc::channel();
    let reading = std::thread::spawn(move || {
        let mut line = String::new();
        let outcome = pipe.read_to_string(&mut line).map(|_| line);
        // The other side has gone where the limit was reached first.
        let _ = sender.send(outcome);
    });
    let said = receiver.recv_timeout(limit);
    if said.is_err() {
        child.kill()?;
    }
    let status = child.wait()?;
    reading.join().map_err(|_| io::Error::other("the reading thread panicked"))?;
    match said {
        Ok(line) if status.success() => line,
        Ok(_) => Ok(format!("crashed ({status})")),
        Err(_) => Ok("timed out".to_owned()),
    }
}
