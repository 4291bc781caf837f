//! Digests of runs that are made up here, so that what they have to say is known.

use serde_json::{Value, json};

use super::*;
use crate::monitor::{
    DocumentCounts, Ended, Event, EventKind, HostSnapshot, QueueSnapshot, RunState, ServiceTimes, SlowDocument,
    Snapshot, StageNow, StageSnapshot,
};

const EVIL: &str = "https://h.example/<script>alert(1)</script>|`@x`\u{1b}[2J";

/// A run to make up: documents a second by phases of equal length, with the width of `parse` in each.
struct MadeUp {
    seconds: u32,
    every: f64,
    phases: Vec<(f64, usize)>,
    stages: usize,
    seed: u64,
}

impl Default for MadeUp {
    fn default() -> Self {
        Self { seconds: 120, every: 0.5, phases: vec![(40.0, 2), (70.0, 4)], stages: 4, seed: 1 }
    }
}

impl MadeUp {
    fn recording(&self) -> Recording {
        let mut random = fastrand::Rng::with_seed(self.seed);
        let steps = (f64::from(self.seconds) / self.every).round() as u32;
        let mut recording = Recording { events: self.events(), ..Recording::default() };
        let (mut ended, mut busy) = (0.0, 0.0);
        for step in 1..=steps {
            let at = f64::from(step) * self.every;
            let (rate, width) = self.phase(at);
            ended += rate * self.every * random.f64().mul_add(0.4, 0.8);
            busy += self.every * width as f64;
            let mut snapshot = self.snapshot(at, ended as u64, width, busy);
            if step == steps {
                snapshot.state = RunState::Completed;
            }
            recording.snapshots.push(snapshot);
        }
        recording.report = Some(json!({"version": 1, "failures": [
            {"document": EVIL, "stage": "parse", "class": "rejected", "error": "bad </script> | <b>", "attempts": 1},
            {"document": "file:///a%20b.pdf", "stage": "parse", "class": "rejected", "error": "encrypted", "attempts": 1},
            {"document": "file:///c.pdf", "stage": "parse", "class": "rejected", "error": "encrypted", "attempts": 1},
            {"document": "file:///d%20d.pdf", "stage": "embed", "class": "transient", "error": "503", "attempts": 3},
        ], "skips": [{"document": "file:///e.bin", "stage": "parse", "reason": "of no known type"}]}));
        recording
    }

    fn phase(&self, at: f64) -> (f64, usize) {
        let each = f64::from(self.seconds) / self.phases.len() as f64;
        self.phases[((at / each) as usize).min(self.phases.len() - 1)]
    }

    fn events(&self) -> Vec<Event> {
        let each = f64::from(self.seconds) / self.phases.len() as f64;
        let mut events = Vec::new();
        for (index, pair) in self.phases.windows(2).enumerate() {
            let number = 2 * index as u64 + 1;
            let at = each * (index + 1) as f64;
            let stage = "parse".to_owned();
            events.push(Event {
                number,
                at,
                kind: EventKind::Width,
                stage: stage.clone(),
                by: "tuner".into(),
                text: "parse is the bottleneck".into(),
                from: Some(pair[0].1),
                to: Some(pair[1].1),
            });
            let (kind, text) = (EventKind::Advice, "predicted +80 %, measured +75 %".to_owned());
            events.push(Event { number: number + 1, at: at + 20.0, kind, stage, text, ..Event::default() });
        }
        events
    }

    fn snapshot(&self, at: f64, ended: u64, width: usize, busy: f64) -> Snapshot {
        let names = ["source", "parse", "embed", "store", "s5", "s6", "s7", "s8"];
        let stages = names.iter().take(self.stages).enumerate().map(|(index, id)| {
            let mut stage = stage(id, index, at);
            if *id == "parse" {
                stage.width = width;
                stage.busy_seconds = busy * 0.97;
                stage.failed = 3;
            }
            stage
        });
        let documents = DocumentCounts { seen: ended + 4, done: ended, failed: 4, ..DocumentCounts::default() };
        Snapshot {
            run: "20260301T101500123-7".into(),
            pipeline: "pipeline".into(),
            started: "2026-03-01T10:15:00Z".into(),
            seconds: at,
            window: at.min(5.0),
            documents,
            bytes: ended * 50_000,
            chunks: ended * 9,
            tokens: ended * 2500,
            memory_used: 100 << 20,
            memory_peak: 130 << 20,
            memory_budget: 512 << 20,
            document_ms: ServiceTimes { p50: 900.0, p95: 2400.0, p99: 4000.0, max: 9000.0 },
            slowest: vec![SlowDocument { document: EVIL.into(), seconds: 9.0, bytes: 1 << 20, chunks: 12 }],
            stages: stages.collect(),
            host: HostSnapshot {
                cpus: 8.0,
                cpus_used: width as f64,
                cpu_seconds: busy,
                rss_bytes: 300 << 20,
                peak_rss_bytes: 320 << 20,
                memory_limit: 8 << 30,
                ..HostSnapshot::default()
            },
            failures: vec![Ended {
                document: EVIL.into(),
                stage: "parse".into(),
                class: "rejected".into(),
                reason: "bad </script>".into(),
                attempts: 1,
            }],
            ..Snapshot::default()
        }
    }
}

/// A stage before `parse` waits for room, one behind it for input.
fn stage(id: &str, index: usize, at: f64) -> StageSnapshot {
    let now = match index {
        0 => StageNow { busy: 0.1, blocked: 0.9, ..StageNow::default() },
        1 => StageNow { busy: 0.97, starved: 0.03, ..StageNow::default() },
        _ => StageNow { busy: 0.2, held: 0.1, starved: 0.7, held_by: "memory".into(), ..StageNow::default() },
    };
    let mut stage = StageSnapshot {
        id: id.into(),
        kind: id.into(),
        tier: if index == 1 { "cpu" } else { "io" }.into(),
        role: if index == 0 { "source" } else { "stage" }.into(),
        width: 1,
        max: 16,
        workers_alive: 1,
        input: (at * 40.0) as u64,
        busy_seconds: now.busy * at,
        held_seconds: now.held * at,
        blocked_seconds: now.blocked * at,
        starved_seconds: now.starved * at,
        service_ms: ServiceTimes { p50: 20.0, p95: 50.0, p99: 90.0, max: 300.0 },
        now,
        ..StageSnapshot::default()
    };
    if index > 0 {
        let length = if index == 1 { 46 + (at as u64) % 4 } else { 2 };
        stage.queue = QueueSnapshot { capacity: 50, length, mean: length as f64, max: 50, ..QueueSnapshot::default() };
    }
    stage
}

fn run(made_up: &MadeUp) -> RecordedRun {
    RecordedRun::new(&made_up.recording(), None)
}

#[test]
fn the_stage_that_is_busy_with_a_full_queue_bounds_the_run_and_is_to_be_widened() {
    let told = run(&MadeUp::default()).run.verdict;
    assert_eq!((told.bottleneck.stage.as_str(), told.bottleneck.resource.as_str()), ("parse", "width"));
    assert!(told.share > 0.95, "{told:?}");
    assert!(told.headline.starts_with("`parse` bounded throughput all the time"), "{}", told.headline);
    let findings = told.findings.join(" ");
    assert!(
        findings.contains("busy 97 %") && findings.contains("for room") && findings.contains("for input"),
        "{findings}"
    );
    let failed = findings.contains("most in `parse` (rejected)");
    assert!(
        failed && findings.contains("1 change of width: throughput rose by more than noise after 1, fell after 0"),
        "{findings}"
    );
    assert!(told.advice[0].starts_with("Widen `parse` beyond 4 (only 3.0 of 8.0 CPUs"), "{:?}", told.advice);
    assert!(told.advice[0].contains("--set stages.parse.width=N"), "{:?}", told.advice);
}

#[test]
fn what_bounds_a_run_changes_with_it() {
    let mut recording = MadeUp { phases: vec![(40.0, 2)], ..MadeUp::default() }.recording();
    for snapshot in recording.snapshots.iter_mut().filter(|snapshot| snapshot.seconds > 90.0) {
        let idle = StageNow { busy: 0.1, starved: 0.9, ..StageNow::default() };
        snapshot.stages[1].now = idle;
        snapshot.stages[1].queue.length = 0;
        snapshot.stages[2].now = StageNow { busy: 0.1, held: 0.9, held_by: "provider".into(), ..StageNow::default() };
        snapshot.stages[2].queue.length = 50;
    }
    let told = RecordedRun::new(&recording, None).run.verdict;
    assert_eq!(told.phases.len(), 2, "{:?}", told.phases);
    assert_eq!((told.phases[1].stage.as_str(), told.phases[1].resource.as_str()), ("embed", "provider"));
    assert!((told.phases[1].from - 90.0).abs() <= 5.0 && (told.share - 0.75).abs() < 0.05, "{told:?}");
    assert!(told.findings.iter().any(|one| one.starts_with("`embed` (model service) did over 25 %")), "{told:?}");
}

#[test]
fn a_change_of_width_is_told_with_what_it_brought() {
    let changes = run(&MadeUp::default()).run.changes;
    let [change] = changes.as_slice() else { panic!("{changes:?}") };
    assert_eq!((change.stage.as_str(), change.from, change.to, change.by.as_str()), ("parse", 2, 4, "tuner"));
    assert_eq!(change.advice, ["predicted +80 %, measured +75 %"]);
    assert_eq!(change.effect.beyond_noise, Some(true));
    let (low, high) = change.effect.within.expect("a minute on either side");
    assert!(low < 0.75 && 0.75 < high && low > 0.6, "{:?}", change.effect);
    let same = run(&MadeUp { phases: vec![(40.0, 2), (40.0, 3)], ..MadeUp::default() }).run;
    assert_eq!(same.changes[0].effect.beyond_noise, Some(false), "{:?}", same.changes);
    assert!(same.changes[0].outcome().contains("within the noise"));
}

#[test]
fn two_runs_are_compared_and_noise_is_no_difference() {
    let (slow, fast) = (MadeUp { phases: vec![(40.0, 2)], ..MadeUp::default() }, MadeUp::default());
    let again = MadeUp { seed: 9, phases: vec![(40.0, 2)], ..MadeUp::default() };
    let compared = |one: &MadeUp, other: &MadeUp| {
        RecordedRun::new(&one.recording(), Some(&other.recording())).comparison.expect("of two")
    };
    let faster = compared(&fast, &slow);
    assert!(faster.verdict.starts_with("faster by 3"), "{}", faster.verdict);
    assert!(faster.notes.iter().any(|note| note.contains("different numbers of documents")), "{:?}", faster.notes);
    let parse = faster.stages.iter().find(|row| row.id == "parse").expect("both have it");
    assert_eq!(parse.width, (Some(4), Some(2)));
    assert!(compared(&slow, &fast).verdict.starts_with("slower by 2"));
    assert!(compared(&again, &slow).verdict.starts_with("no difference beyond noise"));
}

#[test]
fn failures_are_grouped_with_different_examples_first() {
    let digest = run(&MadeUp::default()).run;
    let [parse, embed] = digest.failures.as_slice() else { panic!("{:?}", digest.failures) };
    assert_eq!((parse.stage.as_str(), parse.documents, parse.examples.len()), ("parse", 3, 3));
    assert_ne!(parse.examples[0].error, parse.examples[1].error);
    assert_eq!((embed.class.as_str(), embed.documents, embed.examples[0].attempts), ("transient", 1, 3));
    assert_eq!((digest.skips[0].documents, digest.skips[0].reason.as_str()), (1, "of no known type"));
}

#[test]
fn a_recording_that_was_cut_off_says_so_and_tells_what_it_has() {
    let mut recording = MadeUp::default().recording();
    recording.report = None;
    recording.snapshots.truncate(100);
    recording.cut_off = true;
    let told = RecordedRun::new(&recording, None);
    assert!(
        told.run.incomplete.contains("cut off") && told.run.incomplete.contains("50.0 s"),
        "{}",
        told.run.incomplete
    );
    assert_eq!((told.run.end(), told.run.failures.len()), ("not over", 1));
    assert!(told.html().contains("Incomplete.") && told.markdown().contains("cut off"));
    assert!(told.html().contains("1 of 4 failures are known one by one"));
    // The change of width is told of, though nothing came after it.
    assert!(told.run.changes[0].outcome().contains("nothing ended after it"));
}

#[test]
fn a_run_of_one_snapshot_and_an_empty_one_are_told_of() {
    let mut recording = MadeUp::default().recording();
    recording.snapshots.truncate(1);
    for snapshot in [recording.snapshots[0].clone(), Snapshot::default()] {
        let one = Recording { snapshots: vec![snapshot], ..Recording::default() };
        let told = RecordedRun::new(&one, Some(&one));
        for text in [told.html(), told.markdown(), serde_json::to_string(&told).expect("plain data")] {
            assert!(!text.contains("NaN") && !text.contains("inf "), "{text}");
        }
    }
}

#[test]
fn the_page_is_well_formed_and_nothing_of_a_document_is_markup() {
    let recording = MadeUp::default().recording();
    let html = RecordedRun::new(&recording, Some(&recording)).html();
    balanced(&html);
    assert!(!html.contains("<script>") && !html.contains("alert(1)</script>"), "a document's text is markup");
    assert!(html.contains("&lt;script&gt;alert(1)"), "the document is not told of");
    assert!(!html.contains('\u{1b}'));
    for reference in ["src=", "url(http", "@import", "href=\"http", "<link", "xlink"] {
        assert!(!html.contains(reference), "{reference}");
    }
    assert!(html.contains("default-src 'none'"));
}

#[test]
fn the_json_in_the_page_is_the_digest() {
    let recorded = run(&MadeUp::default());
    let html = recorded.html();
    let (_, data) = html.split_once(r#"id="digest">"#).expect("it is there");
    let (data, _) = data.split_once("</script>").expect("it ends");
    let data: Value = serde_json::from_str(data).expect("JSON");
    assert_eq!(data, serde_json::to_value(&recorded).expect("plain data"));
    assert_eq!((&data["version"], &data["run"]), (&json!(1), &json!("20260301T101500123-7")));
    assert!(data["failures"][0]["examples"][0]["document"].as_str().is_some_and(|uri| uri.contains("<script>")));
}

#[test]
fn an_hour_of_eight_stages_is_less_than_a_megabyte() {
    let made_up = MadeUp {
        seconds: 3600,
        every: 1.0,
        phases: (0..60).map(|index| (40.0 + f64::from(index % 7), 2 + index as usize % 5)).collect(),
        stages: 8,
        ..MadeUp::default()
    };
    let mut recording = made_up.recording();
    assert_eq!(recording.snapshots.len(), 3600);
    // Every share and every queue differs from point to point: nothing to be merged.
    let mut random = fastrand::Rng::with_seed(3);
    for stage in recording.snapshots.iter_mut().flat_map(|snapshot| &mut snapshot.stages) {
        stage.now =
            StageNow { busy: random.f64(), held: random.f64(), blocked: 0.2, starved: 0.3, ..StageNow::default() };
        stage.queue.length = random.u64(0..50);
    }
    let html = RecordedRun::new(&recording, Some(&recording)).html();
    assert!(html.len() < 1_000_000, "{} bytes", html.len());
    balanced(&html);
}

#[test]
fn markdown_has_whole_tables_and_the_verdict_first() {
    let recording = MadeUp::default().recording();
    for text in [RecordedRun::new(&recording, None), RecordedRun::new(&recording, Some(&recording))]
        .map(|recorded| recorded.markdown())
    {
        assert!(text.starts_with("### docmill: "), "{text}");
        let mut columns = 0;
        for line in text.lines() {
            let cells = line.replace("\\|", "").matches('|').count();
            assert!(columns == 0 || cells == 0 || cells == columns, "{cells} cells, not {columns}: {line}");
            columns = cells;
        }
        assert!(text.contains("\n| `parse` | 4 |") && text.contains("| `/d d.pdf`: `503` |"), "{text}");
    }
}

/// Every element that is opened is closed in its place.
fn balanced(html: &str) {
    let empty = ["meta", "br", "!doctype"];
    let mut open: Vec<&str> = Vec::new();
    let mut rest = html;
    while let Some(start) = rest.find('<') {
        let end = start + rest[start..].find('>').expect("a tag ends");
        let tag = &rest[start + 1..end];
        rest = &rest[end + 1..];
        let name = tag.trim_start_matches('/').split([' ', '/']).next().unwrap_or_default();
        if tag.starts_with('/') {
            assert_eq!(open.pop(), Some(name), "`{tag}` closes another: {open:?}");
        } else if !tag.ends_with('/') && !empty.contains(&name) {
            open.push(name);
            if name == "script" || name == "style" {
                let close = rest.find("</").expect("it is closed");
                rest = &rest[close..];
            }
        }
    }
    assert_eq!(open, [] as [&str; 0], "not closed");
}
