//! Puts a projection together: the check on the recorded machine, the machine that is asked about, what comes after its
//! limit, how it scales, and what all of it takes for granted.

use super::machine::{budget, machines, sinks, target, without};
use super::outcome::{Check, Footprint, Interval, ProjectedStage, Projection, Scaled, Target, WithoutLimit};
use super::profile::Profile;
use super::steady::{Steady, steady, whole};
use super::{ProjectError, Request, sharing};
use crate::monitor::Recording;
use crate::tune::Change;
use crate::tune::simulate::Model;

/// Nine of ten of a normal distribution lie within so many standard errors.
const NINE_OF_TEN: f64 = 1.645;
/// A model of a run that is off by more is not to be believed.
const TRUSTED: f64 = 0.2;
/// What is added to the error where a width, or the CPUs, go beyond twice what was seen.
const EXTRAPOLATED: f64 = 0.15;

/// Projects a recorded run to another machine.
///
/// # Errors
/// The run is too short to be measured, or the request names what it does not have.
pub fn project(recording: &Recording, request: &Request) -> Result<Projection, ProjectError> {
    let profile = Profile::of(recording)?;
    let target = target(&profile, request);
    let (check, seen) = check(&profile)?;
    let error_of_check = check.difference.abs();
    let mut machines_told = Vec::new();
    let mut chosen = None;
    for many in doublings(target.machines) {
        let model = machines(&profile, request, many)?;
        let run = shared(steady(&model)?, many, &target);
        let spread = spread(&profile, &model, &run, (many, error_of_check));
        let rate = Interval::around(run.rate, spread);
        let one = machines_told.first().map_or(rate.mean, |one: &Scaled| one.documents_per_second.mean);
        let times = if one > 0.0 { rate.mean / one } else { 0.0 };
        machines_told.push(Scaled { machines: many, documents_per_second: rate, times, limit: run.limit.clone() });
        chosen = Some((model, run, rate));
    }
    let Some((model, run, rate)) = chosen else { return Ok(Projection::default()) };
    let widths_of_one = |index: usize| width_of_one(&model, index, target.machines);
    let stages: Vec<ProjectedStage> = (0..model.stages.len())
        .map(|index| ProjectedStage {
            stage: model.stages[index].id.clone(),
            from: profile.model.stages[index].width,
            to: widths_of_one(index),
            busy_run: profile.busy[index],
            busy_model: seen.busy[index],
            busy: run.busy[index],
        })
        .collect();
    let change = |stage: &ProjectedStage| Change { stage: stage.stage.clone(), from: stage.from, to: stage.to };
    let memory = footprint(&profile, &model, &run, &target);
    let last = recording.last();
    Ok(Projection {
        version: 1,
        run: last.map(|last| last.run.clone()).unwrap_or_default(),
        pipeline: last.map(|last| last.pipeline.clone()).unwrap_or_default(),
        target,
        documents_per_second: rate,
        hours: target.documents.map(|documents| rate.time_for(documents as f64 / 3600.0)),
        cpus_used: run.cpus / target.machines as f64,
        widths: stages.iter().filter(|stage| stage.from != stage.to).map(change).collect(),
        next: next(&model, &run, request)?,
        machines: if target.machines > 1 { machines_told } else { Vec::new() },
        assumptions: assumptions(&profile, request, &target),
        warnings: warnings(&profile, &check, &memory, &target),
        limit: run.limit,
        check,
        memory,
        stages,
    })
}

/// No more than sharing allows.
fn shared(mut run: Steady, many: usize, target: &Target) -> Steady {
    let (most, limit) = sharing::most(target);
    if many > 1 && run.rate > most {
        run.cpus *= most / run.rate;
        run.rate = most;
        run.limit = limit;
    }
    run
}

/// 1, 2, 4 and so on, and the number itself.
fn doublings(most: usize) -> Vec<usize> {
    let mut all: Vec<usize> =
        std::iter::successors(Some(1), |many| Some(many * 2)).take_while(|many| *many < most).collect();
    all.push(most);
    all
}

/// A source and a sink have one worker, however many machines there are; the others have as many on each.
fn width_of_one(model: &Model, index: usize, many: usize) -> usize {
    let stage = &model.stages[index];
    if stage.inputs.is_empty() || sinks(model)[index] { stage.width } else { stage.width.div_ceil(many) }
}

/// Simulates the recorded machine, and compares.
fn check(profile: &Profile) -> Result<(Check, Steady), ProjectError> {
    let model = &profile.model;
    let seen = if profile.steady { steady(model)? } else { whole(model, profile.documents)? };
    let run = profile.documents / profile.seconds.max(f64::MIN_POSITIVE);
    let check = Check {
        cores: model.cpus,
        memory: profile.memory_limit,
        documents: profile.documents as u64,
        seconds: profile.seconds,
        steady: profile.steady,
        run,
        model: seen.rate,
        difference: if run > 0.0 { seen.rate / run - 1.0 } else { 0.0 },
        run_cpus: profile.cpus_used,
        model_cpus: seen.cpus,
        limit: seen.limit.clone(),
    };
    Ok((check, seen))
}

/// The relative error on either side: of the simulation, of the model as the check shows it, and of going far beyond what
/// was seen.
fn spread(profile: &Profile, model: &Model, run: &Steady, (many, check): (usize, f64)) -> f64 {
    let of_one = |index: usize| width_of_one(model, index, many);
    let far = |index: usize| of_one(index) > 2 * profile.model.stages[index].width;
    let beyond = model.cpus / many as f64 > 2.0 * profile.model.cpus || (0..model.stages.len()).any(far);
    (NINE_OF_TEN * run.error).hypot(check) + if beyond { EXTRAPOLATED } else { 0.0 }
}

fn next(model: &Model, run: &Steady, request: &Request) -> Result<Option<WithoutLimit>, ProjectError> {
    let Some(more) = without(model, &run.limit, request) else { return Ok(None) };
    let then = steady(&more)?;
    Ok(Some(WithoutLimit { documents_per_second: then.rate, limit: then.limit }))
}

fn footprint(profile: &Profile, model: &Model, run: &Steady, target: &Target) -> Footprint {
    let many = target.machines;
    let isolated = (0..model.stages.len()).filter(|index| model.stages[*index].isolated);
    let children: usize = isolated.map(|index| width_of_one(model, index, many)).sum();
    let in_flight = run.in_flight / many as f64;
    Footprint {
        in_flight,
        budget: budget(profile, target),
        process: profile.process + in_flight,
        children: profile.child * children as f64,
    }
}

fn assumptions(profile: &Profile, request: &Request, target: &Target) -> Vec<String> {
    let mut all = vec![
        format!(
            "a call takes as long as it did on this machine: its CPUs ({:.1} of them), its disk and its network are as fast \
             there",
            profile.model.cpus
        ),
        "disk and network do not become the limit".to_owned(),
        "documents are as those of the run, in size, kind and in how many fail".to_owned(),
        "a store writes by one committer, for all machines together; its batches stay as large, and it becomes no slower \
         as it grows"
            .to_owned(),
        format!("the CPU pool has a thread for each CPU: {}", super::profile::threads(target.cores)),
        "widths are those that the planner reckons for that machine, within the bounds of the pipeline".to_owned(),
    ];
    if request.memory.is_some() && profile.memory_limit > 0 && profile.model.memory > 0 {
        all.push("`[run] memory` is as large a share of the machine's memory as it was".to_owned());
    }
    if target.machines > 1 {
        all.push(sharing::assumption());
    }
    let overridden = |note: &String| {
        let named = |name: &String| note.starts_with(&format!("`{name}` "));
        request.rates.keys().chain(request.concurrency.keys()).any(named)
    };
    all.extend(profile.notes.iter().filter(|note| !overridden(note)).cloned());
    all.extend(request.rates.iter().map(|(name, rate)| format!("`{name}` takes {rate:.0} calls a minute")));
    all.extend(request.concurrency.iter().map(|(name, most)| format!("`{name}` takes {most} calls at once")));
    all
}

fn warnings(profile: &Profile, check: &Check, memory: &Footprint, target: &Target) -> Vec<String> {
    let mut all = Vec::new();
    if check.difference.abs() > TRUSTED {
        let (more, percent) = (if check.difference > 0.0 { "more" } else { "fewer" }, 100.0 * check.difference.abs());
        all.push(format!(
            "the model gives {percent:.0}% {more} documents a second than the run did: something else bounded the run (a \
             pace, another program, a service that slowed down), and what is said here is doubtful"
        ));
    }
    if !check.steady {
        let why = if profile.changed { "its widths changed while it went on" } else { "it was short" };
        all.push(format!("the run never went steadily for three seconds, as {why}: a longer one tells more"));
    }
    let needed = memory.process + memory.children;
    if target.memory > 0 && needed > target.memory as f64 {
        all.push(format!(
            "process and children take {} of memory, and the machine has {}: fewer workers in child processes, or a smaller \
             `[run] memory`",
            docmill_api::units::Size(needed as u64),
            docmill_api::units::Size(target.memory)
        ));
    }
    all
}
