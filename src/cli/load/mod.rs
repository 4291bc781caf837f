//! `docmill load`: a pipeline under load, step by step, with thresholds.
//!
//! A test is a run like any other. Its documents come from a listing of the test's own, its state is in a directory of its
//! own, and its rows go there as well, unless it is told otherwise: nothing of the user's is touched.

mod args;
mod conduct;
pub(super) mod docs;
pub(super) mod redirect;
mod show;

use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use docmill_api::Registry;
use docmill_api::units::Span;

pub use args::Args;
pub(super) use args::Rows;

use self::conduct::{Conductor, Paced};
use self::docs::Documents;
use self::redirect::Scratch;
use super::carry_out::{Ran, State, Work, carry_out};
use super::pipeline_args::{CONFIGURATION, Format, Loaded, refuse_usage};
use super::run::{INTERRUPTED, exit_code};
use super::{ENVIRONMENT, THRESHOLD};
use crate::load::measure::{Results, knee};
use crate::load::profile::{Clock, Profile};
use crate::load::stages;
use crate::load::threshold::Verdict;
use crate::plan::Plan;
use crate::runtime::RunEnd;

/// Loads the pipeline and tells what it did.
///
/// # Errors
/// The event loop cannot start, or what was found cannot be written.
pub fn run(mut args: Args, registry: &Registry, out: &mut dyn Write, err: &mut dyn Write) -> anyhow::Result<u8> {
    args.pipeline.take_from(&mut args.positionals);
    let profile = match args.steps() {
        Ok(profile) => profile,
        Err(problem) => return refuse_usage(&problem, err),
    };
    let Some(Loaded { plan, .. }) = args.pipeline.load_or_complain(registry, err)? else { return Ok(CONFIGURATION) };
    if let Some(path) = &args.report {
        // Before the work: a file that cannot be written is not to be found out after it.
        std::fs::File::create(path).with_context(|| format!("cannot write `{}`", path.display()))?;
    }
    let scratch = Scratch::new().context("cannot make a directory for the test's state")?;
    let mut changed = match redirect::redirect(&plan, args.into, &scratch) {
        Ok(changed) => changed,
        Err(problem) => return refuse_usage(&problem, err),
    };
    let documents = match docs::prepare(&args, &plan, registry, (&scratch, &profile), err) {
        Ok(documents) => documents,
        Err(problem) => {
            writeln!(err, "error: {problem:#}")?;
            return Ok(ENVIRONMENT);
        }
    };
    changed.give(&documents);
    let mut registry = registry.clone();
    stages::stages(&mut registry);
    // Where standard output is for a program, people read standard error.
    let people: &mut dyn Write = if args.format == Format::Text { &mut *out } else { &mut *err };
    show::before(&documents, &changed.told, &profile, people)?;
    people.flush()?;
    let (ran, results) = match load(&args, profile, (changed.plan, &plan.run.state), &registry, err)? {
        Ok(loaded) => loaded,
        Err(code) => return Ok(code),
    };
    tell(&args, &documents, &ran, &results, (out, err))
}

/// Runs the test, or says on `err` why it cannot be and gives the exit code. Its recording is kept with those of the
/// pipeline's own runs, whose state directory is `kept_in`.
fn load(
    args: &Args,
    profile: Profile,
    (plan, kept_in): (Plan, &Path),
    registry: &Registry,
    err: &mut dyn Write,
) -> anyhow::Result<Result<(Ran, Results), u8>> {
    let state = match State::open(&plan, true, err)? {
        Ok(state) => state,
        Err(code) => return Ok(Err(code)),
    };
    let clock = Arc::new(Clock::new(profile));
    let conductor = Conductor::new(Arc::clone(&clock));
    let work = Work {
        pace: Some(Arc::new(Paced(clock))),
        places: Some(conductor.places()),
        begun: Some(conductor.begin()),
        record: args.record.clone(),
        kept_in: Some(kept_in.to_owned()),
        ..Work::default()
    };
    // Other machines have no documents that were made up here.
    let plan = Plan { cluster: None, ..plan };
    let mut ran = match carry_out(plan, registry, &state, work, args.ui, err)? {
        Ok(ran) => ran,
        Err(code) => return Ok(Err(code)),
    };
    let (results, told_to_end) = conductor.finish(&ran.view);
    // The last step was over, and so the run was told to take nothing more in: that is its end.
    if told_to_end && matches!(ran.end, RunEnd::Drained) {
        ran.end = RunEnd::Completed;
    }
    Ok(Ok((ran, results)))
}

/// Writes what was found and gives the exit code.
fn tell(
    args: &Args,
    documents: &Documents,
    ran: &Ran,
    results: &Results,
    (out, err): (&mut dyn Write, &mut dyn Write),
) -> anyhow::Result<u8> {
    let report = ran.report(false);
    let verdicts: Vec<Verdict> = args.thresholds.iter().map(|threshold| threshold.verdict(&results.measured)).collect();
    let knee = knee(&results.stretches);
    let completed = matches!(ran.end, RunEnd::Completed);
    let json = show::json(args, documents, results, (&verdicts, knee), (&report, completed))?;
    match args.format {
        Format::Text => show::text(&report, results, (&verdicts, knee), out)?,
        Format::Json => {
            serde_json::to_writer(&mut *out, &json)?;
            writeln!(out)?;
        }
    }
    if let Some(path) = &args.report {
        write_report(path, &json)?;
    }
    let missed = verdicts.iter().filter(|verdict| !verdict.ok).count();
    // A threshold that speaks of failures decides about them.
    let allowed = if args.thresholds.iter().any(|threshold| threshold.is_of_failures()) { u64::MAX } else { 0 };
    if matches!(ran.end, RunEnd::Drained | RunEnd::Stopped) {
        writeln!(err, "interrupted: what is told is of the steps until then")?;
        return Ok(INTERRUPTED);
    }
    let code = exit_code(&ran.end, &report, allowed, err)?;
    if missed > 0 && completed {
        writeln!(err, "{missed} of {} thresholds missed", verdicts.len())?;
        return Ok(THRESHOLD);
    }
    Ok(code)
}

fn write_report(path: &Path, json: &serde_json::Value) -> anyhow::Result<()> {
    let text = serde_json::to_string_pretty(json)?;
    std::fs::write(path, text + "\n").with_context(|| format!("cannot write the report `{}`", path.display()))
}

impl Args {
    /// The steps that the options ask for, or what is wrong with them together.
    fn steps(&self) -> Result<Profile, String> {
        let profile = match &self.profile {
            None => Profile::steady(self.rate, self.concurrency),
            Some(profile) => match self.concurrency {
                Some(_) if profile.sets_at_once() => {
                    return Err("`--concurrency` is set by the profile's steps as well; leave it out".to_owned());
                }
                Some(most) => profile.clone().at_once(most),
                None => profile.clone(),
            },
        };
        let Span(warm_up) = self.warmup;
        Ok(profile.warmed_up(warm_up))
    }
}

#[cfg(test)]
mod tests;
