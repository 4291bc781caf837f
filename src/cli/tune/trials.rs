//! `docmill tune`: trials on a sample, one after another, until none brings more; then what would change in the pipeline.

use std::io::{BufRead, BufReader, Write};

use anyhow::Context;
use docmill_api::Registry;

use super::super::ENVIRONMENT;
use super::super::load::Rows;
use super::super::load::docs::{self, Documents};
use super::super::load::redirect::{Scratch, redirect};
use super::super::pipeline_args::{CONFIGURATION, Format, refuse_usage};
use super::super::run::{FAILED, INTERRUPTED};
use super::super::width_file::{self, Proposed};
use super::search::{Bounds, Candidate, Search};
use super::trial::{self, Ended, Setting, Trial};
use super::{Args, table};
use crate::load::stages;
use crate::plan::Plan;
use crate::report::printable;
use crate::tune::Change;

/// Of so many documents at the beginning of a listing a sample is taken: listing millions would take longer than trying.
const LOOKED_AT: u64 = 20_000;

/// A trial that was made.
pub(super) struct Made {
    pub(super) candidate: Candidate,
    pub(super) trial: Trial,
}

/// What all trials brought.
pub(super) struct Found {
    pub(super) stages: Vec<Bounds>,
    pub(super) made: Vec<Made>,
    /// The best, by its number from 0 on.
    pub(super) best: usize,
    /// Why there were no more.
    pub(super) stop: String,
    pub(super) documents: u64,
}

impl Found {
    /// How the best trial's widths differ from the pipeline's.
    pub(super) fn changes(&self) -> Vec<Change> {
        self.made.get(self.best).map(|best| self.changes_of(best)).unwrap_or_default()
    }

    /// How a trial's widths differ from the pipeline's.
    pub(super) fn changes_of(&self, made: &Made) -> Vec<Change> {
        changes(&self.stages, &made.candidate.widths)
    }
}

pub(super) fn changes(stages: &[Bounds], widths: &[usize]) -> Vec<Change> {
    let differ = stages.iter().zip(widths).filter(|(stage, width)| stage.start != **width);
    differ.map(|(stage, width)| Change { stage: stage.id.clone(), from: stage.start, to: *width }).collect()
}

/// Makes trials and tells what they brought.
pub(super) fn run(args: &Args, registry: &Registry, out: &mut dyn Write, err: &mut dyn Write) -> anyhow::Result<u8> {
    let Some(loaded) = args.pipeline.load_or_complain(registry, err)? else { return Ok(CONFIGURATION) };
    let plan = loaded.plan;
    let scratch = Scratch::new().context("cannot make a directory for the sample")?;
    let documents = match sample(args, &plan, (registry, &scratch)) {
        Ok(documents) => documents,
        Err(problem) => {
            writeln!(err, "error: {problem:#}")?;
            return Ok(ENVIRONMENT);
        }
    };
    let told = match redirect(&plan, args.into, &scratch) {
        Ok(changed) => changed.told,
        Err(problem) => return refuse_usage(&problem, err),
    };
    let mut known = registry.clone();
    stages::stages(&mut known);
    let setting =
        Setting { plan: &plan, documents: &documents, into: args.into, seconds: args.seconds, registry: &known };
    let (found, ended) = {
        // Where standard output is for a program, people read standard error.
        let people: &mut dyn Write = if args.format == Format::Text { &mut *out } else { &mut *err };
        before(args, &documents, &told, people)?;
        let mut trouble = Vec::new();
        let made = all(args, &setting, people, &mut trouble)?;
        err.write_all(&trouble)?;
        made
    };
    if let Some(ended) = ended.as_ref().filter(|ended| !ended.message.is_empty()) {
        let known = if found.made.is_empty() { "" } else { "; what is known so far:" };
        let of = if ended.code == INTERRUPTED { "" } else { "error: " };
        writeln!(err, "{of}{}{known}", super::show::lines(&ended.message))?;
    }
    if found.made.is_empty() {
        return Ok(ended.map_or(ENVIRONMENT, |ended| ended.code));
    }
    // Who interrupts trials has not seen what would be written.
    let write = args.write && ended.is_none();
    let written = tell((args, write), &found, &plan, (out, err))?;
    let failed: u64 = found.made.iter().map(|made| made.trial.documents.failed).sum();
    if failed > 0 {
        writeln!(err, "{failed} documents failed in the trials; `docmill run` tells which, and why")?;
    }
    Ok(match ended {
        Some(ended) => ended.code,
        None if !written => ENVIRONMENT,
        None if failed > 0 => FAILED,
        None => 0,
    })
}

fn before(args: &Args, documents: &Documents, told: &[String], people: &mut dyn Write) -> anyhow::Result<()> {
    let documents = crate::report::count(documents.different);
    writeln!(people, "{documents} documents, again and again; trials of {}s", args.seconds)?;
    for (index, sentence) in told.iter().enumerate() {
        // Of where rows go; every trial has a directory of its own.
        let own = index == 0 && args.into == Rows::Scratch;
        let sentence = if own { "rows go to a store of each trial's own, deleted with it" } else { sentence.as_str() };
        writeln!(people, "{}", printable(sentence))?;
    }
    Ok(())
}

/// Makes one trial after another. What goes wrong on the way is written to `trouble`.
fn all(
    args: &Args,
    setting: &Setting<'_>,
    people: &mut dyn Write,
    trouble: &mut Vec<u8>,
) -> anyhow::Result<(Found, Option<Ended>)> {
    let of = |stage: &crate::plan::StagePlan| Bounds {
        id: stage.id.clone(),
        start: stage.width.start,
        min: stage.width.min,
        max: stage.width.max,
    };
    let stages: Vec<Bounds> = setting.plan.stages.iter().map(of).collect();
    let mut search = Search::new(stages.clone(), args.trials);
    let mut made: Vec<Made> = Vec::new();
    writeln!(people, "{}\n", search.rule())?;
    write!(people, "{}", table::head())?;
    people.flush()?;
    let (stop, ended) = loop {
        let candidate = match search.next() {
            Ok(candidate) => candidate,
            Err(why) => break (why, None),
        };
        let trial = match trial::carry(setting, &candidate.widths, trouble)? {
            Ok(trial) => trial,
            Err(ended) => break (ended.message.clone(), Some(ended)),
        };
        let differs = changes(&stages, &candidate.widths);
        write!(people, "{}", table::row(made.len() + 1, &trial, &differs))?;
        if made.is_empty() {
            calls(&trial, args.trials, people)?;
        }
        ran_out(&trial, setting.documents.different, people)?;
        people.flush()?;
        search.tried(candidate.widths.clone(), trial.measured.clone());
        made.push(Made { candidate, trial });
    };
    Ok((Found { stages, made, best: search.best(), stop, documents: setting.documents.different }, ended))
}

/// After the first trial it is known what the others ask of model services.
fn calls(trial: &Trial, most: usize, people: &mut dyn Write) -> anyhow::Result<()> {
    for (name, calls) in trial.calls.iter().filter(|(_, calls)| **calls > 0) {
        let all = crate::report::count(calls.saturating_mul(most as u64));
        writeln!(
            people,
            "      `{}` was called {} times; {most} trials like this one are some {all} calls (Ctrl-C ends it)",
            printable(name),
            crate::report::count(*calls)
        )?;
    }
    Ok(())
}

/// A document that is taken again asks a model service nothing: what it answered is kept.
fn ran_out(trial: &Trial, different: u64, people: &mut dyn Write) -> anyhow::Result<()> {
    if trial.documents.seen > different && trial.calls.values().any(|calls| *calls > 0) {
        writeln!(
            people,
            "      the sample ran out: documents that are taken again ask no service; `--documents` takes more"
        )?;
    }
    Ok(())
}

/// Tells what was found, and writes it where that is wanted. `false` where it was wanted and could not be written.
fn tell(
    (args, write): (&Args, bool),
    found: &Found,
    plan: &Plan,
    (out, err): (&mut dyn Write, &mut dyn Write),
) -> anyhow::Result<bool> {
    let path = plan.base.join(&plan.name);
    let widths: Vec<(String, usize)> = found.changes().into_iter().map(|change| (change.stage, change.to)).collect();
    let proposed = if widths.is_empty() { None } else { Some(width_file::propose(&path, &widths)) };
    let (proposed, mut problem) = match proposed {
        None => (None, None),
        Some(Ok(proposed)) => (Some(proposed), None),
        Some(Err(problem)) => (None, Some(problem)),
    };
    let mut written = false;
    if write && let Some(proposed) = &proposed {
        match width_file::write(proposed) {
            Ok(()) => written = true,
            Err(sentence) => problem = Some(sentence),
        }
    }
    match args.format {
        Format::Text => write!(out, "{}", table::text(found, proposed.as_ref()))?,
        Format::Json => {
            serde_json::to_writer(&mut *out, &table::json(found, proposed.as_ref(), written))?;
            writeln!(out)?;
        }
    }
    out.flush()?;
    if let Some(problem) = &problem {
        writeln!(err, "error: {}", super::show::lines(problem))?;
    }
    said(proposed.as_ref(), (write, written), err)?;
    Ok(!write || problem.is_none())
}

fn said(proposed: Option<&Proposed>, (write, written): (bool, bool), err: &mut dyn Write) -> anyhow::Result<()> {
    let Some(proposed) = proposed else { return Ok(()) };
    let path = proposed.path.display();
    if written {
        writeln!(err, "{path} is written")?;
    } else if !write {
        writeln!(err, "{path} is as it was; `--write` writes the change")?;
    }
    Ok(())
}

/// A sample of what the source, or the inputs that are named, lists: spread evenly over the beginning of the listing.
fn sample(args: &Args, plan: &Plan, (registry, scratch): (&Registry, &Scratch)) -> anyhow::Result<Documents> {
    let wanted = args.documents;
    let listed = docs::list(&args.positionals, Some(LOOKED_AT.max(wanted)), plan, (registry, scratch))?;
    let mut documents = Documents { endless: true, ..listed };
    if documents.different <= wanted {
        return Ok(documents);
    }
    let thinned = scratch.path("sample.jsonl");
    let mut lines = std::io::BufWriter::new(std::fs::File::create(&thinned)?);
    let mut taken = 0;
    for (index, line) in BufReader::new(std::fs::File::open(&documents.listing)?).lines().enumerate() {
        // The document at which another wanted one is due.
        if taken < wanted && index as u64 * wanted >= taken * documents.different {
            writeln!(lines, "{}", line?)?;
            taken += 1;
        }
    }
    lines.flush()?;
    (documents.listing, documents.different) = (thinned, taken);
    Ok(documents)
}
