//! What a load test found, in words and as JSON.

use std::io::{self, Write};

use docmill_api::units::{Size, Span};
use serde_json::{Value, json};

use super::super::pipeline_args::columns;
use super::args::Args;
use super::docs::Documents;
use crate::load::measure::{Knee, Results, Stretch};
use crate::load::profile::Profile;
use crate::load::threshold::{Verdict, time};
use crate::report::{Report, count, printable, render};
use crate::tune::bottleneck;

/// Says what is going to happen: the documents as they are, the steps, and where rows go.
pub(super) fn before(documents: &Documents, told: &[String], profile: &Profile, to: &mut dyn Write) -> io::Result<()> {
    if let Some(made) = &documents.made {
        let head = ["FORMAT", "DOCUMENTS", "SIZE", "P50", "P95", "MAX"].map(str::to_owned).to_vec();
        let rows = made.iter().map(|(format, made)| {
            let sizes = [made.bytes, made.p50, made.p95, made.max].map(|bytes| Size(bytes).to_string());
            [vec![format.as_str().to_owned(), count(made.documents)], sizes.to_vec()].concat()
        });
        write!(to, "{}", columns(&std::iter::once(head).chain(rows).collect::<Vec<_>>()))?;
    }
    let mut all = format!("{} documents", count(documents.different));
    if let Some(bytes) = documents.bytes() {
        all.push_str(&format!(", {bytes}"));
    }
    if documents.reused {
        all.push_str(", kept from before");
    }
    match documents.total {
        Some(total) if total > documents.different => {
            all.push_str(&format!(
                ", again and again up to {}: what is kept of paid answers is not asked twice",
                count(total)
            ));
        }
        Some(total) if total < documents.different => all.push_str(&format!(", {} of them taken in", count(total))),
        None => all.push_str(", again and again for as long as the steps last"),
        Some(_) => {}
    }
    writeln!(to, "{all}")?;
    for sentence in told {
        writeln!(to, "{}", printable(sentence))?;
    }
    let steps: Vec<String> = profile
        .steps()
        .iter()
        .map(|step| {
            let lasts = step.lasts.map_or_else(String::new, |lasts| format!(" for {}", Span(lasts)));
            let warm = if step.warm_up { "warm-up: " } else { "" };
            format!("{warm}{step}{lasts}")
        })
        .collect();
    writeln!(to, "steps: {}", steps.join("; "))?;
    writeln!(to)
}

/// Tells people.
pub(super) fn text(
    report: &Report,
    results: &Results,
    (verdicts, knee): (&[Verdict], Option<Knee>),
    to: &mut dyn Write,
) -> io::Result<()> {
    write!(to, "{}", render(report))?;
    writeln!(to)?;
    write!(to, "{}", steps(&results.stretches))?;
    if let Some(knee) = knee {
        writeln!(to, "{}", told(knee, &results.stretches))?;
    }
    if !verdicts.is_empty() {
        writeln!(to)?;
        let head = ["THRESHOLD", "MEASURED", ""].map(str::to_owned).to_vec();
        let rows = verdicts.iter().map(|verdict| {
            let said = if verdict.ok { "ok" } else { "missed" };
            vec![verdict.threshold.clone(), verdict.measured.clone(), said.to_owned()]
        });
        write!(to, "{}", columns(&std::iter::once(head).chain(rows).collect::<Vec<_>>()))?;
    }
    Ok(())
}

fn steps(stretches: &[Stretch]) -> String {
    let head = ["STEP", "SECONDS", "TAKEN IN", "ENDED", "P50", "P95", "P99", "CPUS", "MEMORY", "FAILED", "BOTTLENECK"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    for stretch in stretches {
        let times = stretch.document_ms;
        let narrow = bottleneck(&stretch.seen);
        let some = |ms: f64| if stretch.documents == 0 { "-".to_owned() } else { time(ms) };
        rows.push(vec![
            name(stretch),
            format!("{:.1}", stretch.to - stretch.from),
            format!("{:.1}/s", stretch.taken_in),
            format!("{:.1}/s", stretch.achieved),
            some(times.p50),
            some(times.p95),
            some(times.p99),
            format!("{:.1}", stretch.cpus),
            if stretch.memory == 0 { "-".to_owned() } else { Size(stretch.memory).to_string() },
            count(stretch.failed),
            if narrow.stage.is_empty() { "-".to_owned() } else { format!("{} ({})", narrow.stage, narrow.resource) },
        ]);
    }
    columns(&rows)
}

fn name(stretch: &Stretch) -> String {
    match stretch {
        Stretch { finishing: true, .. } => "then".to_owned(),
        Stretch { step, .. } if step.warm_up => format!("warm-up, {step}"),
        Stretch { step, .. } => step.to_string(),
    }
}

/// Where the knee is, in a sentence.
pub(super) fn told(knee: Knee, stretches: &[Stretch]) -> String {
    let at = |index: Option<usize>| index.and_then(|index| stretches.get(index));
    let (kept, behind) = (at(knee.kept_up), at(knee.fell_behind));
    let Some(behind) = behind else {
        let last = kept.map_or_else(String::new, |kept| kept.step.to_string());
        return format!("no knee up to {last}: each step brought what was asked of it");
    };
    let narrow = bottleneck(&behind.seen);
    let why = if narrow.stage.is_empty() {
        String::new()
    } else {
        format!("; `{}` is the bottleneck ({}): {}", narrow.stage, narrow.resource, narrow.because)
    };
    let p95 = time(behind.document_ms.p95);
    match kept {
        Some(kept) => format!(
            "the knee is between {} and {}: at {} it is {:.1} documents/s that come to their end, and p95 is {p95} instead of \
             {}{why}",
            kept.step,
            behind.step,
            behind.step,
            behind.settled,
            time(kept.document_ms.p95)
        ),
        None => format!(
            "the knee is below {}: already there it is {:.1} documents/s that come to their end, and p95 is {p95}{why}",
            behind.step, behind.settled
        ),
    }
}

/// All of it, for programs.
pub(super) fn json(
    args: &Args,
    documents: &Documents,
    results: &Results,
    (verdicts, knee): (&[Verdict], Option<Knee>),
    (report, completed): (&Report, bool),
) -> Result<Value, serde_json::Error> {
    let mut steps = Vec::with_capacity(results.stretches.len());
    for stretch in &results.stretches {
        let mut step = serde_json::to_value(stretch)?;
        // As a person calls it: what was offered.
        step["offered"] = step["rate"].take();
        if let Some(step) = step.as_object_mut() {
            step.remove("rate");
        }
        step["bottleneck"] = serde_json::to_value(bottleneck(&stretch.seen))?;
        steps.push(step);
    }
    let made = documents.made.as_ref();
    let formats: serde_json::Map<String, Value> =
        made.into_iter().flatten().map(|(format, made)| (format.as_str().to_owned(), json!(made))).collect();
    let Args { into, made, .. } = args;
    let into = clap::ValueEnum::to_possible_value(into).map(|value| value.get_name().to_owned());
    Ok(json!({
        "version": 1,
        "load": {
            "documents": documents.total,
            "different_documents": documents.different,
            "made_up": documents.made.is_some(),
            "formats": formats,
            "seed": made.seed,
            "into": into,
            "warmup_seconds": args.warmup.0.as_secs_f64(),
            "knee": knee,
            "completed": completed,
        },
        "thresholds": verdicts,
        "steps": steps,
        "report": report,
    }))
}
