//! From the model of a recorded run to that of the machine that is asked about, with widths for it. Several machines are
//! one model with as much of everything, but for what they share: model services, and the one committer of each store.

use super::profile::{Profile, threads};
use super::{ProjectError, Request, Target};
use crate::plan::nearest_or_list;
use crate::tune::Bottleneck;
use crate::tune::estimate::{Estimate, ServiceLimits, Stage, StageEstimate};
use crate::tune::planner::Ideal;
use crate::tune::simulate::{Model, Times};

/// Of what a limit is taken away, there is so many times as much then.
pub(super) const MORE: f64 = 8.0;

/// The machine that is asked about.
pub(super) fn target(profile: &Profile, request: &Request) -> Target {
    Target {
        cores: request.cores.unwrap_or(profile.model.cpus),
        memory: request.memory.unwrap_or(profile.memory_limit),
        machines: request.machines.unwrap_or(1),
        documents: request.documents,
    }
}

/// The memory budget of one machine: as large a share of its memory as it was.
pub(super) fn budget(profile: &Profile, target: &Target) -> u64 {
    let of = profile.model.memory as f64;
    if profile.memory_limit == 0 || of <= 0.0 {
        return profile.model.memory;
    }
    (of * target.memory as f64 / profile.memory_limit as f64).round() as u64
}

/// So many machines of the kind that is asked about, with the widths for them.
pub(super) fn machines(profile: &Profile, request: &Request, many: usize) -> Result<Model, ProjectError> {
    let target = target(profile, request);
    let mut model = profile.model.clone();
    model.cpus = target.cores * many as f64;
    model.cpu_threads = threads(target.cores) * many;
    model.memory = budget(profile, &target).saturating_mul(many as u64);
    model.in_flight *= many;
    limits(&mut model, profile, request)?;
    let last = sinks(&model);
    for (stage, sink) in model.stages.iter_mut().zip(last) {
        if stage.inputs.is_empty() {
            // Each machine lists its own part.
            stage.call = faster(&stage.call, many as f64);
        } else if !sink {
            stage.queue = stage.queue.saturating_mul(many);
            stage.max *= many;
            stage.width *= many;
            stage.min *= many;
        }
    }
    set_widths(&mut model, request, many)?;
    Ok(model)
}

/// Which stages nobody reads.
pub(super) fn sinks(model: &Model) -> Vec<bool> {
    let read = |id: &String| model.stages.iter().any(|stage| stage.inputs.contains(id));
    model.stages.iter().map(|stage| !read(&stage.id)).collect()
}

fn limits(model: &mut Model, profile: &Profile, request: &Request) -> Result<(), ProjectError> {
    let names: Vec<String> = model.services.keys().cloned().collect();
    let unknown = |key: String, name: &str| unknown(key, "model service", name, &names);
    for (name, rate) in &request.rates {
        let service = model.services.get_mut(name).ok_or_else(|| unknown(format!("rate.{name}"), name))?;
        service.per_minute = rate * profile.calls.get(name).copied().unwrap_or(1.0);
    }
    for (name, concurrency) in &request.concurrency {
        let service = model.services.get_mut(name).ok_or_else(|| unknown(format!("concurrency.{name}"), name))?;
        service.concurrency = *concurrency;
    }
    Ok(())
}

fn unknown(key: String, what: &'static str, name: &str, known: &[String]) -> ProjectError {
    let known: Vec<&str> = known.iter().map(String::as_str).collect();
    let known = nearest_or_list(name, &known).map(|known| format!("; {known}")).unwrap_or_default();
    ProjectError::Unknown { key, what, name: name.to_owned(), known }
}

/// Sets the widths that the planner's closed form needs, and those that were asked for.
fn set_widths(model: &mut Model, request: &Request, many: usize) -> Result<(), ProjectError> {
    let names: Vec<String> = model.stages.iter().map(|stage| stage.id.clone()).collect();
    for (id, width) in &request.widths {
        let key = || format!("width.{id}");
        let index = names.iter().position(|name| name == id);
        let stage = &mut model.stages[index.ok_or_else(|| unknown(key(), "stage", id, &names))?];
        let most = stage.max / many.max(1);
        if *width > most.max(1) {
            return Err(ProjectError::Width { key: key(), stage: id.clone(), most: most.max(1) });
        }
        if stage.max > 1 {
            stage.width = width * many;
        }
    }
    let widths = planned(model, request);
    for (stage, width) in model.stages.iter_mut().zip(widths) {
        // Every machine has the same.
        stage.width = if stage.max < many { width } else { width.div_ceil(many) * many };
    }
    Ok(())
}

fn planned(model: &Model, request: &Request) -> Vec<usize> {
    let estimate = estimate(model);
    let free = |stage: &Stage| stage.min < stage.max && !request.widths.contains_key(&stage.id);
    Ideal::of(&estimate, model.cpu_threads, f64::INFINITY, free).needed
}

/// Documents a second that a model's figures allow, by the closed form.
pub(super) fn closed_form(model: &Model) -> f64 {
    let estimate = estimate(model);
    estimate.limit(&estimate.widths()).0
}

/// Records of each stage for one document.
pub(super) fn visits(model: &Model) -> Vec<f64> {
    let sources = model.stages.iter().filter(|stage| stage.inputs.is_empty()).count().max(1) as f64;
    let mut visits: Vec<f64> = Vec::with_capacity(model.stages.len());
    for stage in &model.stages {
        let from = |input: &String| {
            let index = model.stages.iter().position(|other| other.id == *input).unwrap_or_default();
            let source = model.stages[index].inputs.is_empty();
            visits.get(index).map_or(0.0, |visits| {
                if source { *visits } else { visits * model.stages[index].yields * stage.accepts }
            })
        };
        let sum = if stage.inputs.is_empty() { 1.0 / sources } else { stage.inputs.iter().map(from).sum() };
        visits.push(sum);
    }
    visits
}

/// The closed form over a model instead of a run.
fn estimate(model: &Model) -> Estimate {
    let mut estimate = Estimate::default();
    let sinks = sinks(model);
    estimate.cpus = model.cpus;
    for ((stage, visits), sink) in model.stages.iter().zip(visits(model)).zip(sinks) {
        let items = stage.batch.map_or(1, |batch| batch.items) as f64;
        let seconds = (stage.call.mean() + stage.item * (items - 1.0)) / items;
        let cost = StageEstimate {
            calls: 1.0,
            items,
            seconds,
            cpu: seconds * stage.cpu,
            cpu_share: (stage.cpu > 0.0).then_some(stage.cpu),
            widest: stage.width,
            ..StageEstimate::default()
        };
        estimate.stages.push(Stage {
            id: stage.id.clone(),
            source: stage.inputs.is_empty(),
            sink,
            cpu: stage.tier == "cpu",
            isolated: stage.isolated,
            service: stage.service.clone(),
            width: stage.width,
            min: stage.min,
            max: stage.max,
            auto: stage.auto,
            visits,
            demand: visits * seconds,
            cpus: visits * cost.cpu,
            wait: 0.0,
            cost,
        });
    }
    for (name, service) in &model.services {
        let concurrency = (service.concurrency > 0).then_some(service.concurrency as f64);
        let rate = (service.per_minute > 0.0).then_some(service.per_minute / 60.0);
        estimate.services.insert(name.clone(), ServiceLimits { concurrency, rate, open: false });
    }
    estimate
}

fn faster(times: &Times, by: f64) -> Times {
    match times {
        Times::Fixed(mean) => Times::Fixed(mean / by),
        Times::Exponential(mean) => Times::Exponential(mean / by),
        Times::LogNormal { mean, spread } => Times::LogNormal { mean: mean / by, spread: *spread },
        Times::Counted(counts) => Times::Measured { counts: counts.clone(), mean: times.mean() / by },
        Times::Measured { counts, mean } => Times::Measured { counts: counts.clone(), mean: mean / by },
    }
}

/// The same with eight times as much of what bounds it; none where that is nothing that one can have more of.
pub(super) fn without(model: &Model, limit: &Bottleneck, request: &Request) -> Option<Model> {
    let mut more = model.clone();
    let index = model.stages.iter().position(|stage| stage.id == limit.stage);
    match limit.resource.as_str() {
        "cpu" => {
            more.cpus *= MORE;
            more.cpu_threads *= MORE as usize;
        }
        "memory" => more.memory = (more.memory as f64 * MORE) as u64,
        "source" | "sink" => {
            let stage = &mut more.stages[index?];
            stage.call = faster(&stage.call, MORE);
        }
        "width" => {
            let stage = &mut more.stages[index?];
            stage.max *= MORE as usize;
            stage.width *= MORE as usize;
        }
        "provider" => {
            let service = more.services.get_mut(&model.stages[index?].service)?;
            service.concurrency *= MORE as usize;
            service.per_minute *= MORE;
        }
        _ => return None,
    }
    let widths = planned(&more, request);
    for (stage, width) in more.stages.iter_mut().zip(widths) {
        stage.width = width.max(stage.width);
    }
    Some(more)
}
