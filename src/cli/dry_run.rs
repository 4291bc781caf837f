//! `docmill run --dry-run`: what a run would do, before anything is done.

use std::collections::BTreeMap;
use std::io::Write;

use anyhow::Context;
use docmill_api::Registry;
use docmill_api::units::Size;
use serde::Serialize;
use serde_json::Value;

use super::ENVIRONMENT;
use super::pipeline_args::{Format, columns};
use crate::monitor::Tally;
use crate::plan::Plan;
use crate::rehearse::{CutOff, Listing, list, sample};
use crate::report;
use crate::runtime::{RuntimeOptions, View, WorkerProgram};

/// What a rehearsal found.
#[derive(Debug, Serialize)]
struct Rehearsal {
    version: u32,
    dry_run: bool,
    /// By extension.
    types: BTreeMap<String, Estimate>,
    total: Estimate,
    sample: Sample,
    /// What reading, parsing, chunking and whatever else costs nothing would take on this machine.
    seconds: Option<f64>,
    /// Stages that were left out: they store, or call a service.
    left_out: Vec<String>,
}

/// Documents of one type.
#[derive(Clone, Debug, Default, Serialize)]
struct Estimate {
    documents: u64,
    bytes: u64,
    /// Documents whose size the listing does not tell; they are not part of the other figures.
    unknown_size: u64,
    /// Estimated from the sample; missing where none of this type could be read.
    tokens: Option<u64>,
    chunks: Option<u64>,
}

/// What was read to estimate from.
#[derive(Debug, Default, Serialize)]
struct Sample {
    documents: u64,
    bytes: u64,
    seconds: f64,
    failed: u64,
    skipped: u64,
    problems: Vec<Problem>,
}

/// A document of the sample that gives nothing.
#[derive(Debug, Serialize)]
struct Problem {
    document: String,
    reason: String,
}

/// Rehearses the plan and prints what was found.
///
/// # Errors
/// The event loop cannot start, or nothing can be written.
pub(super) fn run(
    plan: &Plan,
    registry: &Registry,
    inputs: &[String],
    format: Format,
    (out, err): (&mut dyn Write, &mut dyn Write),
) -> anyhow::Result<u8> {
    let worker = WorkerProgram::current().context("cannot tell which program is running")?;
    let options = RuntimeOptions { alone: true, results: true, ..RuntimeOptions::new(worker) };
    let event_loop = super::event_loop().context("cannot start the event loop")?;
    let rehearsed = event_loop.block_on(async {
        let listing = list(plan, registry, inputs).await.map_err(|error| error.to_string())?;
        let (view, off) = sample(plan, registry, &options, &listing).await.map_err(|error| error.to_string())?;
        Ok::<_, String>((listing, view, off))
    });
    event_loop.shutdown_background();
    match rehearsed {
        Ok((listing, view, off)) => {
            let rehearsal = Rehearsal::of(&listing, &view, &off);
            match format {
                Format::Text => show(&rehearsal, out)?,
                Format::Json => {
                    serde_json::to_writer(&mut *out, &rehearsal)?;
                    writeln!(out)?;
                }
            }
            Ok(0)
        }
        Err(error) => {
            writeln!(err, "error: {error}")?;
            Ok(ENVIRONMENT)
        }
    }
}

/// What the sample of one type came to.
#[derive(Default)]
struct Measured {
    bytes: u64,
    tokens: u64,
    chunks: u64,
}

impl Rehearsal {
    fn of(listing: &Listing, view: &View, off: &[CutOff]) -> Self {
        let (snapshot, tally) = (view.snapshot(), view.tally());
        let mut measured: BTreeMap<&str, Measured> = BTreeMap::new();
        let mut sample = sampled(&tally, snapshot.seconds);
        let results: BTreeMap<&str, &Value> =
            tally.results.iter().filter_map(|result| Some((result["document"].as_str()?, result))).collect();
        for (extension, group) in &listing.groups {
            for (_, item) in group.sample.values() {
                let Some(result) = results.get(docmill_api::canonical_uri(&item.uri).as_str()) else { continue };
                let of = measured.entry(extension).or_default();
                of.bytes += item.size.unwrap_or_default();
                of.tokens += result["token_count"].as_u64().unwrap_or_default();
                of.chunks += result["total_chunks"].as_u64().unwrap_or_default();
                sample.bytes += item.size.unwrap_or_default();
            }
        }
        let types: BTreeMap<String, Estimate> = listing
            .groups
            .iter()
            .map(|(extension, group)| {
                let of = measured.get(extension.as_str()).filter(|of| of.bytes > 0);
                let estimate = Estimate {
                    documents: group.documents,
                    bytes: group.bytes,
                    unknown_size: group.unsized_documents,
                    tokens: of.map(|of| scale(of.tokens, group.bytes, of.bytes)),
                    chunks: of.map(|of| scale(of.chunks, group.bytes, of.bytes)),
                };
                (extension.clone(), estimate)
            })
            .collect();
        let seconds = (sample.bytes > 0).then(|| sample.seconds * ratio(listing.bytes(), sample.bytes));
        let total = total(types.values());
        let left_out = off.iter().map(|cut| cut.stage.clone()).collect();
        Self { version: 1, dry_run: true, types, total, sample, seconds, left_out }
    }
}

fn sampled(tally: &Tally, seconds: f64) -> Sample {
    let problems = tally.failures.iter().chain(&tally.skips);
    Sample {
        documents: tally.documents.seen,
        bytes: 0,
        seconds,
        failed: tally.documents.failed,
        skipped: tally.documents.skipped,
        problems: problems
            .map(|ended| Problem { document: report::place(&ended.document), reason: ended.reason.clone() })
            .collect(),
    }
}

fn total<'a>(types: impl Iterator<Item = &'a Estimate>) -> Estimate {
    types.fold(Estimate::default(), |sum, one| Estimate {
        documents: sum.documents + one.documents,
        bytes: sum.bytes + one.bytes,
        unknown_size: sum.unknown_size + one.unknown_size,
        tokens: add(sum.tokens, one.tokens),
        chunks: add(sum.chunks, one.chunks),
    })
}

fn add(sum: Option<u64>, one: Option<u64>) -> Option<u64> {
    sum.map_or(one, |sum| Some(sum + one.unwrap_or_default()))
}

#[expect(clippy::cast_precision_loss, reason = "an estimate")]
fn ratio(whole: u64, part: u64) -> f64 {
    whole as f64 / part.max(1) as f64
}

#[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an estimate")]
fn scale(count: u64, whole: u64, part: u64) -> u64 {
    (count as f64 * ratio(whole, part)).round() as u64
}

fn show(rehearsal: &Rehearsal, out: &mut dyn Write) -> anyhow::Result<()> {
    if rehearsal.total.documents == 0 {
        writeln!(out, "nothing to do: the source lists no document")?;
        return Ok(());
    }
    let head = ["TYPE", "DOCUMENTS", "SIZE", "CHUNKS", "TOKENS"].map(str::to_owned).to_vec();
    let types = rehearsal
        .types
        .iter()
        .map(|(extension, estimate)| row(if extension.is_empty() { "(none)" } else { extension }, estimate));
    let rows: Vec<Vec<String>> =
        std::iter::once(head).chain(types).chain(std::iter::once(row("total", &rehearsal.total))).collect();
    write!(out, "{}", columns(&rows))?;
    if rehearsal.total.unknown_size > 0 {
        writeln!(out, "{} documents of unknown size are not in the estimates", rehearsal.total.unknown_size)?;
    }
    let Sample { documents, seconds, failed, skipped, problems, .. } = &rehearsal.sample;
    writeln!(out, "estimated from {documents} documents, read in {seconds:.1} s: {failed} failed, {skipped} skipped")?;
    for problem in problems.iter().take(5) {
        writeln!(out, "  {}: {}", report::printable(&problem.document), report::printable(&problem.reason))?;
    }
    if let Some(seconds) = rehearsal.seconds {
        writeln!(out, "a run would take about {} on this machine, besides the stages left out", span(seconds))?;
    }
    writeln!(out, "left out, so that nothing was stored or paid for: {}", rehearsal.left_out.join(", "))?;
    Ok(())
}

fn row(name: &str, estimate: &Estimate) -> Vec<String> {
    let about = |count: Option<u64>| count.map_or_else(|| "?".to_owned(), |count| format!("~{count}"));
    vec![
        name.to_owned(),
        estimate.documents.to_string(),
        Size(estimate.bytes).to_string(),
        about(estimate.chunks),
        about(estimate.tokens),
    ]
}

fn span(seconds: f64) -> String {
    match seconds {
        seconds if seconds < 90.0 => format!("{seconds:.1} s"),
        seconds if seconds < 5400.0 => format!("{:.0} minutes", seconds / 60.0),
        seconds => format!("{:.1} hours", seconds / 3600.0),
    }
}
