//! What the dashboard costs.
//!
//! ```text
//! cargo build --release && cargo bench -p docmill --no-default-features --bench dashboard -- [frame|pairs] [N]
//! ```
//!
//! - `frame`: CPU time of one frame at several sizes, of a snapshot like one of a run at work.
//! - `pairs`: the released program under `docmill load`, with `--ui tui` on a pseudo-terminal and with `--ui none`, in turn,
//!   ten pairs: throughput of both, and the share of one CPU that the dashboard's thread used.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a bench")]

mod program;

use std::fs;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use docmill::monitor::{EdgeSnapshot, QueueSnapshot, Snapshot, StageNow, StageSnapshot};
use docmill::tui::{GlyphSet, Keys, Message, Model, Options, Theme, ThemeName, draw, update};
use portable_pty::{CommandBuilder, PtySize, native_pty_system};
use ratatui::buffer::Buffer;
use ratatui::layout::{Rect, Size};
use rustix::time::{ClockId, clock_gettime};
use serde_json::Value;

fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let runs =
        |name: &str| !wanted.iter().any(|word| word.parse::<usize>().is_err()) || wanted.iter().any(|w| w == name);
    let pairs = wanted.iter().find_map(|word| word.parse().ok()).unwrap_or(10);
    if runs("frame") {
        frame();
    }
    if runs("pairs") {
        in_pairs(pairs);
    }
}

fn thread_cpu() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap())
}

fn at_work() -> Snapshot {
    let stage = |index: usize, id: &str| StageSnapshot {
        id: id.to_owned(),
        kind: id.to_owned(),
        tier: "cpu".into(),
        role: "stage".into(),
        width: 4,
        max: 64,
        input: 12_345,
        output: 12_300,
        service_buckets: (0..24).map(|bucket| (bucket * 37 + index as u64) % 100).collect(),
        queue: QueueSnapshot { capacity: 50, length: 7 * index as u64, ..QueueSnapshot::default() },
        now: StageNow {
            input: 99.0,
            output: 98.0,
            busy: 0.6,
            held: 0.1,
            blocked: 0.2,
            starved: 0.1,
            ..StageNow::default()
        },
        ..StageSnapshot::default()
    };
    let ids = ["source", "download", "parse", "chunk", "summarize", "embed", "store"];
    let edges =
        ids.windows(2).map(|pair| EdgeSnapshot { from: pair[0].into(), to: pair[1].into(), ..EdgeSnapshot::default() });
    Snapshot {
        seconds: 60.0,
        window: 5.0,
        edges: edges.collect(),
        stages: ids.iter().enumerate().map(|(index, id)| stage(index, id)).collect(),
        ..Snapshot::default()
    }
}

fn frame() {
    for (width, height) in [(80, 24), (120, 40), (200, 60)] {
        let mut model = Model::new(Size { width, height }, Options::default(), Keys::default());
        for second in 0..300 {
            let snapshot = Snapshot { seconds: f64::from(second), ..at_work() };
            update(&mut model, Message::Snapshot(Arc::new(snapshot)));
        }
        let area = Rect::new(0, 0, width, height);
        let (theme, mut screen) = (Theme::new(ThemeName::Dark, GlyphSet::Block), Buffer::empty(area));
        let mut times: Vec<Duration> = (0..200)
            .map(|_| {
                let before = thread_cpu();
                draw(&model, &theme, area, &mut screen);
                thread_cpu() - before
            })
            .collect();
        times.sort_unstable();
        println!(
            "frame {width}x{height}: {:.0} µs of CPU in the median, {:.0} µs at p95",
            micros(times[100]),
            micros(times[190])
        );
    }
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

/// One load test; gives documents a second and the CPU seconds of the dashboard with those of the run.
fn loaded(base: &Path, ui: &str) -> (f64, f64, f64) {
    let report = base.join("load.json");
    let _ = fs::remove_file(&report);
    let of_program = program::command(base, &[]);
    let mut command = CommandBuilder::new(of_program.get_program());
    command.cwd(base);
    let options = ["--documents", "4000", "--median-size", "16KiB", "--formats", "text=60,md=40", "--keep", "made-up"];
    command.arg("load");
    command.args(options);
    command.args(["--ui", ui, "--format", "json", "--report", report.to_str().unwrap()]);
    command.env("TERM", "xterm-256color");
    command.env("LC_ALL", "C.UTF-8");
    let size = PtySize { rows: 40, cols: 120, pixel_width: 0, pixel_height: 0 };
    let pair = native_pty_system().openpty(size).unwrap();
    let mut child = pair.slave.spawn_command(command).unwrap();
    drop(pair.slave);
    let mut reader = pair.master.try_clone_reader().unwrap();
    let reading = thread::spawn(move || {
        let mut buffer = [0_u8; 1 << 16];
        while let Ok(1..) = reader.read(&mut buffer) {}
    });
    assert!(child.wait().unwrap().success());
    let _ = reading.join();
    let told: Value = serde_json::from_slice(&fs::read(&report).unwrap()).unwrap();
    let report = &told["report"];
    let figure = |name: &str| report[name].as_f64().unwrap_or(0.0);
    (figure("documents_per_second"), figure("ui_cpu_seconds"), figure("seconds"))
}

fn in_pairs(pairs: usize) {
    let base = tempfile::tempdir().unwrap();
    fs::copy("pipeline.toml", base.path().join("pipeline.toml")).unwrap();
    loaded(base.path(), "none");
    let mut ratios = Vec::new();
    let mut shares = Vec::new();
    for pair in 0..pairs {
        // Who is first changes, so that neither has the warmer machine.
        let (on, off) = if pair % 2 == 0 {
            let on = loaded(base.path(), "tui");
            (on, loaded(base.path(), "none"))
        } else {
            let off = loaded(base.path(), "none");
            (loaded(base.path(), "tui"), off)
        };
        println!(
            "pair {pair}: {:.1} documents/s with, {:.1} without; the dashboard used {:.2}% of a CPU",
            on.0,
            off.0,
            100.0 * on.1 / on.2
        );
        ratios.push(on.0 / off.0);
        shares.push(on.1 / on.2);
    }
    ratios.sort_by(f64::total_cmp);
    shares.sort_by(f64::total_cmp);
    let middle = pairs / 2;
    println!(
        "with against without: median {:.3}, {:.3} to {:.3}; the dashboard's share of a CPU: median {:.2}%, most {:.2}%",
        ratios[middle],
        ratios[0],
        ratios[pairs - 1],
        100.0 * shares[middle],
        100.0 * shares[pairs - 1]
    );
}
