//! A run in the middle of its work, as a snapshot tells it, and a dashboard that looks at it.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use docmill::monitor::{
    DocumentCounts, EdgeSnapshot, Ended, Event, EventKind, FleetSnapshot, Hand, HostSnapshot, QueueSnapshot, Rates,
    ServiceTimes, Snapshot, StageNow, StageSnapshot, WorkerSnapshot, WorkerStage,
};
use docmill::tui::{Effect, GlyphSet, Keys, Message, Model, Options, Theme, ThemeName, draw, update};
use docmill::tune::{Advice, Alert, Bottleneck, Change, Outcome, Prediction, Proposal};
use docmill_api::ServiceReport;
use ratatui::buffer::Buffer;
use ratatui::layout::{Rect, Size};
use ratatui::style::{Color, Modifier, Style};

const MIB: u64 = 1 << 20;

struct Row {
    id: &'static str,
    kind: &'static str,
    tier: &'static str,
    width: usize,
    rates: (f64, f64),
    times: (f64, f64),
    queue: (u64, u64),
    shares: [f64; 4],
    memory: u64,
    failed: u64,
}

const fn row(
    names: [&'static str; 3],
    width: usize,
    rates: (f64, f64),
    times: (f64, f64),
    queue: (u64, u64),
    shares: [f64; 4],
    memory: (u64, u64),
) -> Row {
    let [id, kind, tier] = names;
    Row { id, kind, tier, width, rates, times, queue, shares, memory: memory.0, failed: memory.1 }
}

const ROWS: [Row; 7] = [
    row(["list", "files", "io"], 1, (80.2, 80.1), (1.0, 3.0), (0, 0), [0.11, 0.0, 0.8, 0.09], (12, 0)),
    row(
        ["download", "download", "io"],
        64,
        (80.1, 76.0),
        (110.0, 640.0),
        (12, 1024),
        [0.2, 0.0, 0.71, 0.09],
        (310, 38),
    ),
    row(["parse", "parse", "cpu"], 16, (76.0, 73.1), (152.0, 480.0), (256, 256), [0.93, 0.03, 0.0, 0.04], (1126, 3)),
    row(["chunk", "chunk", "cpu"], 4, (73.1, 73.1), (2.0, 6.0), (3, 256), [0.08, 0.0, 0.0, 0.92], (90, 0)),
    row(
        ["summarize", "summarize", "service"],
        8,
        (73.0, 72.8),
        (61.0, 150.0),
        (101, 256),
        [0.6, 0.05, 0.0, 0.35],
        (240, 0),
    ),
    row(
        ["embed", "embed", "service"],
        8,
        (1920.0, 1917.0),
        (61.0, 140.0),
        (146, 256),
        [0.68, 0.12, 0.05, 0.15],
        (180, 0),
    ),
    row(["store", "lancedb", "io"], 1, (73.1, 73.1), (11.0, 40.0), (21, 256), [0.4, 0.0, 0.0, 0.6], (130, 0)),
];

fn stage(row: &Row) -> StageSnapshot {
    let role = match row.id {
        "list" => "source",
        "store" => "sink",
        _ => "stage",
    };
    let fixed = role != "stage";
    let (p50, p95) = row.times;
    let [busy, held, blocked, starved] = row.shares;
    StageSnapshot {
        id: row.id.into(),
        kind: row.kind.into(),
        tier: row.tier.into(),
        role: role.into(),
        service: if row.tier == "service" { "local".into() } else { String::new() },
        width: row.width,
        workers_alive: if row.id == "parse" { 12 } else { row.width },
        min: 1,
        max: if fixed { 1 } else { 64 },
        isolated: row.id == "parse",
        input: 18_500,
        output: 18_402,
        calls: 18_402,
        failed: row.failed,
        errors: if row.failed > 0 { BTreeMap::from([("rejected".into(), row.failed)]) } else { BTreeMap::new() },
        retries: row.failed * 2,
        busy_seconds: 252.0 * busy,
        held_bytes: row.memory * MIB / 2,
        service_ms: ServiceTimes { p50, p95, p99: p95 * 1.9, max: p95 * 5.0 },
        service_buckets: vec![
            0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3, 12, 90, 410, 1800, 3900, 6200, 4100, 1300, 420, 130, 31, 6,
        ],
        queue: QueueSnapshot {
            capacity: row.queue.1,
            length: row.queue.0,
            mean: 12.5,
            max: row.queue.1,
            bytes: row.memory * MIB / 2,
            oldest_seconds: 3.4,
        },
        now: StageNow {
            input: row.rates.0,
            output: row.rates.1,
            calls: row.rates.0,
            busy,
            held,
            blocked,
            starved,
            held_by: if held > 0.0 { "cpu".into() } else { String::new() },
            cpus: 11.6,
            service_ms: p50,
            ..StageNow::default()
        },
        in_hand: 12,
        hands: vec![
            Hand { document: "file:///data/handbooks/2024/turbine-maintenance.pdf".into(), seconds: 12.41 },
            Hand { document: "file:///data/letters/0815.pdf".into(), seconds: 0.38 },
        ],
        settings: BTreeMap::from([
            ("queue".into(), row.queue.1.to_string()),
            ("retry".into(), "3 attempts within 1m".into()),
            ("timeout".into(), "30s".into()),
        ]),
        ..StageSnapshot::default()
    }
}

fn edge(from: &str, to: &str, length: u64, capacity: u64) -> EdgeSnapshot {
    EdgeSnapshot {
        from: from.into(),
        to: to.into(),
        capacity,
        length,
        bytes: length * MIB,
        sent: 18_500,
        oldest_seconds: 3.4,
    }
}

fn event(number: u64, at: f64, kind: EventKind, stage: &str, by: &str, text: &str) -> Event {
    Event { number, at, kind, stage: stage.into(), by: by.into(), text: text.into(), from: None, to: None }
}

fn failures() -> Vec<Ended> {
    let failure = |document: &str, stage: &str, reason: &str| Ended {
        document: document.into(),
        stage: stage.into(),
        class: "rejected".into(),
        reason: reason.into(),
        attempts: 1,
    };
    vec![
        failure("https://example.org/a.pdf", "download", "503 service unavailable"),
        failure("file:///data/secret%20plan.pdf", "parse", "the PDF is encrypted\u{1b}[31m"),
        failure("file:///data/x.pdf", "parse", "ran out of time after 30s"),
    ]
}

fn events() -> Vec<Event> {
    vec![
        event(1, 0.0, EventKind::Run, "", "run", "began"),
        Event { from: Some(8), to: Some(12), ..event(2, 84.0, EventKind::Width, "parse", "you", "") },
        event(
            3,
            118.0,
            EventKind::Advice,
            "parse",
            "tuner",
            "8 to 12 brought +31% documents a second (predicted +35%)",
        ),
        event(7, 249.0, EventKind::Failure, "download", "run", "https://example.org/a.pdf: 503 service unavailable"),
        Event { from: Some(6), to: Some(8), ..event(8, 251.0, EventKind::Width, "embed", "you", "") },
        event(9, 252.0, EventKind::Alert, "parse", "tuner", "its queue has been full for 30s"),
    ]
}

/// Three workers on other machines, one of them gone, with `parse` in the place of what they do.
pub(super) fn fleet() -> FleetSnapshot {
    let worker = |id: &str, alive, failed| WorkerSnapshot {
        id: id.into(),
        alive,
        heard_seconds: if alive { 0.4 } else { 61.0 },
        at_once: 18,
        in_hand: 17,
        documents: 4120,
        failed,
        documents_per_second: 24.5,
        cpus_used: 7.6,
        cpus: 8.0,
        rss_bytes: 640 * MIB,
        stages: vec![WorkerStage { id: "embed".into(), width: 8, busy: 0.9 }],
        ..WorkerSnapshot::default()
    };
    FleetSnapshot {
        stage: "parse".into(),
        alive: 2,
        gone: 1,
        in_hand: 34,
        documents_per_second: 49.0,
        workers: vec![worker("mill-03aa", true, 0), worker("pond-91f2", true, 3), worker("weir-7c10", false, 0)],
    }
}

/// Seven stages, four minutes after the start, `parse` at its limit.
pub(super) fn snapshot() -> Snapshot {
    Snapshot {
        version: 1,
        run: "r1".into(),
        pipeline: "handbooks".into(),
        seconds: 252.0,
        listed: true,
        documents: DocumentCounts {
            seen: 50_000,
            done: 18_361,
            failed: 41,
            unfinished: 31_598,
            ..DocumentCounts::default()
        },
        document_ms: ServiceTimes { p50: 1200.0, p95: 4800.0, p99: 9000.0, max: 31_000.0 },
        window: 5.0,
        rates: Rates { documents: 73.1, bytes: 41e6, chunks: 1920.0, tokens: 1.02e6 },
        memory_used: 1331 * MIB,
        memory_peak: 2000 * MIB,
        memory_budget: 4096 * MIB,
        stages: ROWS.iter().map(stage).collect(),
        edges: vec![
            edge("list", "download", 12, 1024),
            edge("download", "parse", 256, 256),
            edge("parse", "chunk", 3, 128),
            edge("parse", "summarize", 101, 256),
            edge("chunk", "embed", 146, 256),
            edge("summarize", "store", 2, 128),
            edge("embed", "store", 19, 128),
        ],
        services: BTreeMap::from([(
            "local".into(),
            ServiceReport {
                calls: 4021,
                tokens: 1_204_000,
                cost: 0.41,
                breaker: "ok".into(),
                in_flight: 12,
                concurrency: 16,
                ..ServiceReport::default()
            },
        )]),
        host: HostSnapshot {
            cpus: 32.0,
            cpus_used: 13.8,
            rss_bytes: 2100 * MIB,
            children_rss_bytes: 1074 * MIB,
            memory_limit: 8192 * MIB,
            disk_written: 88e6,
            network_in: 41e6,
            network_out: 3e6,
            ..HostSnapshot::default()
        },
        failures: failures(),
        events: events(),
        ..Snapshot::default()
    }
}

pub(super) fn advice() -> Advice {
    let change = Change { stage: "parse".into(), from: 12, to: 20 };
    let limit = Bottleneck { stage: "embed".into(), resource: "provider".into(), because: String::new() };
    Advice {
        bottleneck: Bottleneck {
            stage: "parse".into(),
            resource: "cpu".into(),
            because: "its queue is full, download waits 71% of its time for room, chunk 92% for input".into(),
        },
        confidence: "high".into(),
        proposals: vec![Proposal {
            changes: vec![change],
            prediction: Prediction {
                now: 73.1,
                then: 92.0,
                low: 84.0,
                high: 97.0,
                cpus: 18.2,
                memory: 1.8e9,
                limit,
                extrapolated: false,
            },
            because: "11.6 of 32 CPUs are used by it".into(),
        }],
        notes: vec!["download has 64 workers, five times what parse can take".into()],
        outcomes: vec![Outcome {
            change: Change { stage: "parse".into(), from: 8, to: 12 },
            by: "you".into(),
            at: 84.0,
            predicted: Some(0.35),
            measured: 0.31,
            within: (0.28, 0.34),
            reverted: false,
        }],
    }
}

pub(super) fn alerts() -> Vec<Alert> {
    vec![Alert { rule: "queue_full".into(), stage: "parse".into(), text: "its queue is full".into(), since: 222.0 }]
}

/// A dashboard that has followed the run from its start.
pub(super) fn model(width: u16, height: u16, options: Options) -> Model {
    let mut model = Model::new(Size { width, height }, options, Keys::default());
    let end = snapshot();
    for second in 0..252_u32 {
        let seconds = f64::from(second);
        let grown = if second < 84 { 55.0 } else { 72.0 };
        let rates = Rates { documents: grown + f64::from(second * 7 % 5), ..end.rates };
        let mut earlier = Snapshot { seconds, rates, events: Vec::new(), failures: Vec::new(), ..end.clone() };
        for (at, stage) in (0..).zip(&mut earlier.stages) {
            stage.now.output *= 0.8 + 0.05 * f64::from((second / 8 + at) % 5);
            if stage.id == "embed" {
                stage.width = 6;
                stage.workers_alive = 6;
            }
            if stage.id == "parse" {
                stage.width = 12;
            }
        }
        feed(&mut model, earlier);
    }
    feed(&mut model, end);
    update(&mut model, Message::Advised(Box::new(advice()), alerts()));
    update(&mut model, Message::Clock { now: 260.0, cpu: 0.002 });
    model
}

/// A dashboard that has seen nothing yet.
pub(super) fn empty(width: u16, height: u16, options: Options) -> Model {
    Model::new(Size { width, height }, options, Keys::default())
}

pub(super) fn feed(model: &mut Model, snapshot: Snapshot) -> Vec<Effect> {
    update(model, Message::Snapshot(Arc::new(snapshot)))
}

/// Presses keys, written as in configuration and set apart by spaces; what is longer and no key is typed.
pub(super) fn press(model: &mut Model, keys: &str) -> Vec<Effect> {
    let mut effects = Vec::new();
    for key in keys.split_whitespace() {
        let (code, held) = match key {
            "esc" => (KeyCode::Esc, KeyModifiers::NONE),
            "enter" => (KeyCode::Enter, KeyModifiers::NONE),
            "tab" => (KeyCode::Tab, KeyModifiers::NONE),
            "space" => (KeyCode::Char(' '), KeyModifiers::NONE),
            "up" => (KeyCode::Up, KeyModifiers::NONE),
            "down" => (KeyCode::Down, KeyModifiers::NONE),
            "left" => (KeyCode::Left, KeyModifiers::NONE),
            "right" => (KeyCode::Right, KeyModifiers::NONE),
            "backspace" => (KeyCode::Backspace, KeyModifiers::NONE),
            typed => match typed.strip_prefix("ctrl-") {
                Some(letter) => (KeyCode::Char(letter.chars().next().expect("a letter")), KeyModifiers::CONTROL),
                None => {
                    for letter in typed.chars() {
                        let event = KeyEvent::new(KeyCode::Char(letter), KeyModifiers::NONE);
                        effects.extend(update(model, Message::Key(event)));
                    }
                    continue;
                }
            },
        };
        effects.extend(update(model, Message::Key(KeyEvent::new(code, held))));
    }
    effects
}

pub(super) fn paint(model: &Model, theme: ThemeName, glyphs: GlyphSet, width: u16, height: u16) -> Buffer {
    let area = Rect::new(0, 0, width, height);
    let mut buffer = Buffer::empty(area);
    draw(model, &Theme::new(theme, glyphs), area, &mut buffer);
    buffer
}

/// The signs, a line each, without what is blank at the end.
pub(super) fn signs(buffer: &Buffer) -> String {
    let area = *buffer.area();
    let mut text = String::new();
    for y in 0..area.height {
        let mut line = String::new();
        let mut x = 0;
        while x < area.width {
            let symbol = buffer[(x, y)].symbol();
            line.push_str(symbol);
            x += u16::try_from(ratatui::text::Span::raw(symbol).width()).expect("narrow").max(1);
        }
        let _ = writeln!(text, "{}", line.trim_end());
    }
    text
}

/// The signs, then a letter for each cell's style, then what the letters mean.
pub(super) fn styled(buffer: &Buffer) -> String {
    let area = *buffer.area();
    let mut styles: Vec<Style> = Vec::new();
    let mut text = signs(buffer);
    text.push('\n');
    for y in 0..area.height {
        let mut line = String::new();
        for x in 0..area.width {
            let style = buffer[(x, y)].style();
            let at = styles.iter().position(|other| *other == style).unwrap_or_else(|| {
                styles.push(style);
                styles.len() - 1
            });
            line.push(char::from(b'a' + u8::try_from(at).expect("some styles")));
        }
        let _ = writeln!(text, "{line}");
    }
    text.push('\n');
    for (letter, style) in ('a'..).zip(styles) {
        let colour = |colour: Option<Color>| colour.map_or("-".to_owned(), |colour| colour.to_string());
        let modifiers = match style.add_modifier {
            modifiers if modifiers == Modifier::empty() => String::new(),
            modifiers => format!(" {modifiers:?}"),
        };
        let _ = writeln!(text, "{letter} {} on {}{modifiers}", colour(style.fg), colour(style.bg));
    }
    text
}
