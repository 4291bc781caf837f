//! `docmill simulate`: a model service on this machine, for load tests and tuning without paying.

use std::io::Write;
use std::net::SocketAddr;

use docmill_api::units::{Span, parse_span};
use tokio::signal::unix::{SignalKind, signal};

use super::ENVIRONMENT;
use super::pipeline_args::refuse_usage;
use crate::load::simulate::{Server, Settings};

/// Simulates a model service.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Examples:
  docmill simulate                                  every call answered, after some 200 ms
  docmill simulate --latency 0ms --spread 0         as fast as it goes
  docmill simulate --requests-per-minute 600        a service with a cap, to tune a pipeline against
  docmill simulate --errors 0.05 --hangs 0.01       a bad day: what is retried, and that nothing is lost
  docmill simulate > asked                          the last line tells what was asked, after Ctrl-C

In the pipeline, with any model and key:
  base_url = \"http://127.0.0.1:8321/v1\"

While it runs:
  curl -s http://127.0.0.1:8321/stats | jq '.in_flight, .repeated'

It is no model. An embedding is a bag of the text's words, a chat is answered with an extract of the question.
A token is four characters. The same calls have the same answers and failures, in whatever order they come.")]
pub struct Args {
    /// The address to listen on; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8321")]
    listen: SocketAddr,
    /// How long a call takes: the median
    #[arg(long, value_name = "TIME", default_value = "200ms", value_parser = parse_span)]
    latency: Span,
    /// How far latencies are spread: sigma of a log-normal distribution, 0 for none
    #[arg(long, value_name = "SIGMA", default_value_t = 0.3, value_parser = amount)]
    spread: f64,
    /// How fast a chat's answer is written, on top of the latency; 0 for at once
    #[arg(long, value_name = "N", default_value_t = 0.0, value_parser = amount)]
    tokens_per_second: f64,
    /// How many numbers a vector has
    #[arg(long, value_name = "N", default_value_t = 256)]
    dimensions: usize,
    /// The variable that holds the key which calls must show; without it none is asked for
    #[arg(long, value_name = "VARIABLE")]
    key_env: Option<String>,
    /// A model that there is; may be given several times [default: any name]
    #[arg(long = "model", value_name = "NAME")]
    models: Vec<String>,
    /// What failures and latencies are drawn from
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    // Last: their headings hold for whatever follows.
    #[command(flatten)]
    failures: Failures,
    #[command(flatten)]
    limits: Limits,
}

/// How often calls fail, and how.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Failures, as shares of the calls from 0 to 1")]
struct Failures {
    /// Answered 500
    #[arg(long, value_name = "SHARE", default_value_t = 0.0, value_parser = share, hide_default_value = true)]
    errors: f64,
    /// Never answered; the connection stays open
    #[arg(long, value_name = "SHARE", default_value_t = 0.0, value_parser = share, hide_default_value = true)]
    hangs: f64,
    /// Answered 429
    #[arg(long, value_name = "SHARE", default_value_t = 0.0, value_parser = share, hide_default_value = true)]
    overloads: f64,
    /// Answered 503
    #[arg(long, value_name = "SHARE", default_value_t = 0.0, value_parser = share, hide_default_value = true)]
    unavailable: f64,
    /// Answered with what is no JSON
    #[arg(long, value_name = "SHARE", default_value_t = 0.0, value_parser = share, hide_default_value = true)]
    garbage: f64,
    /// Broken off in the middle of the answer
    #[arg(long, value_name = "SHARE", default_value_t = 0.0, value_parser = share, hide_default_value = true)]
    halves: f64,
    /// Embedded with one number too few
    #[arg(long, value_name = "SHARE", default_value_t = 0.0, value_parser = share, hide_default_value = true)]
    wrong_length: f64,
}

/// How much is granted.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Limits")]
struct Limits {
    /// Calls in any 60 seconds; further ones are answered 429
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    requests_per_minute: Option<u64>,
    /// Says neither when to come again nor how much is left
    #[arg(long)]
    no_retry_after: bool,
    /// Calls at once; further ones are answered 429
    #[arg(long, value_name = "N")]
    concurrency: Option<usize>,
    /// Tokens of a chat's prompt and answer, or of a text to embed
    #[arg(long, value_name = "N", default_value_t = 8192)]
    context: usize,
    /// Texts of an embedding call
    #[arg(long, value_name = "N", default_value_t = 2048)]
    batch_items: usize,
    /// Tokens of all texts of an embedding call
    #[arg(long, value_name = "N", default_value_t = 300_000)]
    batch_tokens: usize,
    /// Calls that are answered in all; after them the quota is used up
    #[arg(long, value_name = "N")]
    quota: Option<u64>,
}

fn share(text: &str) -> Result<f64, String> {
    let share = text.parse().ok().filter(|share| (0.0..=1.0).contains(share));
    share.ok_or_else(|| format!("`{text}` is no share; write a number from 0 to 1, as 0.05 for one call in twenty"))
}

fn amount(text: &str) -> Result<f64, String> {
    let amount = text.parse().ok().filter(|amount: &f64| amount.is_finite() && *amount >= 0.0);
    amount.ok_or_else(|| format!("`{text}` is no amount; write a number that is 0 or more"))
}

/// Answers calls until it is interrupted; then prints what was asked, as one line of JSON.
///
/// # Errors
/// The event loop cannot start, signals cannot be listened for, `out` or `err` cannot be written.
pub fn run(args: &Args, out: &mut dyn Write, err: &mut dyn Write) -> anyhow::Result<u8> {
    // An address of IPv4 can be written as one of IPv6, and is what it is.
    if !args.listen.ip().to_canonical().is_loopback() && args.key_env.is_none() {
        let address = args.listen;
        let message = format!("`{address}` can be reached from other machines; give calls a key with `--key-env`");
        return refuse_usage(&message, err);
    }
    let key = match args.key_env.as_deref().map(key).transpose() {
        Ok(key) => key,
        Err(problem) => {
            writeln!(err, "error: {problem}")?;
            return Ok(ENVIRONMENT);
        }
    };
    let settings = settings(args, key);
    if let Err(problem) = settings.check() {
        return refuse_usage(&problem, err);
    }
    super::event_loop()?.block_on(serve(args.listen, settings, out, err))
}

async fn serve(
    address: SocketAddr,
    settings: Settings,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> anyhow::Result<u8> {
    // Listened for before anybody is told that they could come.
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let server = match Server::bind(address, settings).await {
        Ok(server) => server.start(),
        Err(error) => {
            writeln!(err, "error: cannot listen on `{address}`: {error}\nhint: `--listen` takes another address")?;
            return Ok(ENVIRONMENT);
        }
    };
    let base_url = server.base_url();
    writeln!(err, "a simulated model service, until Ctrl-C; in the pipeline:\n  base_url = \"{base_url}\"")?;
    writeln!(out, "listening on {base_url}")?;
    out.flush()?;
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    let stats = server.stop().await;
    serde_json::to_writer(&mut *out, &stats)?;
    writeln!(out)?;
    Ok(0)
}

fn key(variable: &str) -> Result<String, String> {
    match std::env::var(variable) {
        Ok(key) if !key.is_empty() => Ok(key),
        Ok(_) => Err(format!("the variable `{variable}` is empty; calls are to show the key that it holds")),
        Err(error) => Err(format!("the variable `{variable}`: {error}")),
    }
}

fn settings(args: &Args, key: Option<String>) -> Settings {
    let Args { failures, limits, .. } = args;
    Settings {
        latency: args.latency.0,
        spread: args.spread,
        tokens_per_second: args.tokens_per_second,
        errors: failures.errors,
        hangs: failures.hangs,
        overloads: failures.overloads,
        unavailable: failures.unavailable,
        garbage: failures.garbage,
        halves: failures.halves,
        wrong_length: failures.wrong_length,
        requests_per_minute: limits.requests_per_minute,
        retry_after: !limits.no_retry_after,
        concurrency: limits.concurrency,
        dimensions: args.dimensions,
        context: limits.context,
        batch_items: limits.batch_items,
        batch_tokens: limits.batch_tokens,
        key,
        models: args.models.clone(),
        quota: limits.quota,
        seed: args.seed,
    }
}
