//! The arguments of `docmill load`.

use std::path::PathBuf;
use std::time::Duration;

use docmill_api::units::{Size, Span, parse_size, parse_span};

use super::super::pipeline_args::{Format, PipelineArgs, input_parser};
use super::super::progress::Ui;
use crate::load::documents::Weights;
use crate::load::profile::{Profile, parse_at_once, parse_rate};
use crate::load::threshold::Threshold;

/// Loads a pipeline.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Examples:
  docmill load                                         1000 made-up documents, as fast as they go
  docmill load --rate 20/s --threshold 'p95<2s'        does it keep up with twenty a second?
  docmill load --profile '10/s for 1m, 20/s for 1m, 50/s for 1m'
                                                       where does it no longer keep up?
  docmill load --profile '4 at once for 30s, 16 at once for 30s'
                                                       how many at once are worth it?
  docmill load other.toml 'papers/*.pdf' --documents 5000
                                                       documents of yours, again and again up to 5000
  docmill load --threshold 'errors<1%' --threshold 'memory<1GiB' --format json
                                                       in a build: exit code 5 where one is missed

Thresholds, with <, <=, > or >=:
  p50 p95 p99 max       from a document's admission to its end: p95<800ms
  documents_per_second  over the steps: documents_per_second>50
  bytes_per_second      read: bytes_per_second>1MiB
  errors, failed        documents that failed, as a share or a count: errors<1%, failed<5
  memory                the most of the process and its children: memory<1GiB
  cpu                   CPUs in use, on average: cpu<3.5

Nothing of yours is touched: state and rows go to a directory that is deleted afterwards; the recording is kept with
those of your runs, for `docmill report` and `docmill top --replay last`. Model services that the
pipeline names are called and paid for; `docmill simulate` stands in for them.")]
pub struct Args {
    /// A pipeline file, where the first ends in `.toml`; all others are documents that are used instead of made-up ones
    #[arg(value_name = "PIPELINE | INPUT", value_parser = input_parser())]
    pub positionals: Vec<String>,
    #[command(flatten)]
    pub(super) pipeline: PipelineArgs,
    /// How many documents [default: 1000, or all that INPUT lists]; with --profile, how many different ones
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    pub(super) documents: Option<u64>,
    /// How many documents are under way at once at most
    #[arg(long, value_name = "N", value_parser = parse_at_once)]
    pub(super) concurrency: Option<usize>,
    /// How many documents are taken in: 5/s, 300/min [default: as many as the pipeline takes]
    #[arg(long, value_name = "RATE", value_parser = parse_rate, conflicts_with = "profile")]
    pub(super) rate: Option<f64>,
    /// Steps, one after another: '10/s for 30s, 20/s for 30s', or '4 at once for 30s, 8 at once for 30s'
    #[arg(long, value_name = "STEPS")]
    pub(super) profile: Option<Profile>,
    /// A time before the first step that loads as it does and is left out of thresholds
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = parse_span)]
    pub(super) warmup: Span,
    /// What is to be kept, as 'p95<800ms'; may be given several times
    #[arg(long = "threshold", value_name = "EXPRESSION")]
    pub(super) thresholds: Vec<Threshold>,
    /// Where rows go
    #[arg(long, value_enum, default_value_t)]
    pub(super) into: Rows,
    /// How progress is shown, on standard error
    #[arg(long, value_enum, default_value_t)]
    pub(super) ui: Ui,
    /// How the results are printed, on standard output
    #[arg(long, value_enum, default_value_t)]
    pub(super) format: Format,
    /// Writes the results as JSON to a file as well
    #[arg(long, value_name = "FILE")]
    pub(super) report: Option<PathBuf>,
    /// Records the run: what it looked like at every moment
    #[arg(long, value_name = "FILE")]
    pub(super) record: Option<PathBuf>,
    #[command(flatten)]
    pub(super) made: Made,
}

/// Where a test's rows go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(in crate::cli) enum Rows {
    /// To a store of the pipeline's kind in a directory that is deleted afterwards: costs what the real one costs
    #[default]
    Scratch,
    /// To the pipeline's own store, where they stay
    Store,
    /// Nowhere: what the stages before the store can do
    Null,
}

/// Which documents are made up.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Made-up documents")]
pub(super) struct Made {
    /// Half of them are smaller
    #[arg(long, value_name = "SIZE", default_value = "8KiB", value_parser = size)]
    pub(super) median_size: Size,
    /// None is larger
    #[arg(long, value_name = "SIZE", default_value = "1MiB", value_parser = size)]
    pub(super) largest: Size,
    /// How far sizes are spread: sigma of a log-normal distribution, 0 for none
    #[arg(long, value_name = "SIGMA", default_value_t = 1.0, value_parser = spread)]
    pub(super) spread: f64,
    /// Which share is of which format, by weight: text, md, html, csv, json, code, mail, pdf, docx
    #[arg(long, value_name = "FORMAT=WEIGHT,…", default_value_t)]
    pub(super) formats: Weights,
    /// What they are drawn from: the same seed makes the same documents
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(super) seed: u64,
    /// Keeps them in a directory, and uses them again where it holds just these
    #[arg(long, value_name = "DIR")]
    pub(super) keep: Option<PathBuf>,
}

/// The largest document that is made: each is in memory as a whole, and longer than what a download takes.
const LARGEST: u64 = 1 << 30;

fn size(text: &str) -> Result<Size, String> {
    let Size(bytes) = parse_size(text)?;
    if (256..=LARGEST).contains(&bytes) {
        Ok(Size(bytes))
    } else {
        Err(format!("`{text}` is out of bounds; documents are from 256B to {} large", Size(LARGEST)))
    }
}

fn spread(text: &str) -> Result<f64, String> {
    let spread = text.parse().ok().filter(|spread: &f64| (0.0..=5.0).contains(spread));
    spread.ok_or_else(|| format!("`{text}` is no spread; write a number from 0 to 5"))
}

impl Default for Made {
    fn default() -> Self {
        Self {
            median_size: Size(8 << 10),
            largest: Size(1 << 20),
            spread: 1.0,
            formats: Weights::default(),
            seed: 0,
            keep: None,
        }
    }
}

impl Default for Args {
    fn default() -> Self {
        Self {
            positionals: Vec::new(),
            pipeline: PipelineArgs::default(),
            documents: None,
            concurrency: None,
            rate: None,
            profile: None,
            warmup: Span(Duration::ZERO),
            thresholds: Vec::new(),
            into: Rows::default(),
            ui: Ui::default(),
            format: Format::default(),
            report: None,
            record: None,
            made: Made::default(),
        }
    }
}
