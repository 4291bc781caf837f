//! The dashboard of a real run on a real terminal: keys that reach the model service, a file that keeps its comments, and
//! a terminal that a shell can go on with whatever ended the program.

mod terminal;

use std::fs;
use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use docmill::load::simulate::{Running, Server, Settings};
use rustix::process::Signal;

use self::terminal::Terminal;
use super::pipeline::mill::{DEFAULT, Mill, PROGRAM, block_on};
use super::serve::served::Served;

/// A service that answers after a fifth of a second, always: what is sent at once is how wide the stage is.
async fn service() -> Running {
    let settings = Settings { latency: Duration::from_millis(200), spread: 0.0, ..Settings::default() };
    Server::bind(SocketAddr::from(([127, 0, 0, 1], 0)), settings).await.expect("it listens").start()
}

/// A pipeline whose `embed` asks the service, one chunk a call, two at once; and documents for some minutes.
fn slow(address: &str) -> Mill {
    let mill = Mill::new()
        .set("providers.work.kind=\"openai\"")
        .set(&format!("providers.work.base_url={address:?}"))
        .set("providers.work.model=\"simulated\"")
        .set("providers.work.dimensions=256")
        .set("stages.embed.provider=\"work\"")
        .set("stages.embed.batch={items=1,tokens=100000,wait=\"1ms\"}")
        .set("stages.embed.queue=100");
    fs::write(mill.path().join("pipeline.toml"), file()).expect("written");
    for number in 0..4000 {
        mill.write(&format!("ledger-{number}.txt"), format!("Ledger {number}: grain came from {} mills.", number + 2));
    }
    mill
}

/// The pipeline's file, with a width that somebody explained.
fn file() -> String {
    let line = "[stages.embed]\nkind = \"embed\"\n";
    assert!(DEFAULT.contains(line));
    DEFAULT.replace(line, &format!("{line}width = 2   # calls at once: the service takes no more\n"))
}

fn with_dashboard(mill: &Mill) -> Command {
    let mut command = mill.command("run");
    command.args(["--ui", "tui"]);
    command
}

fn selected(screen: &str, stage: &str) -> bool {
    screen.lines().any(|line| line.contains('▶') && line.split_whitespace().any(|word| word.ends_with(stage)))
}

/// Goes down the list of stages to this one.
fn select(terminal: &mut Terminal, stage: &str) {
    for _ in 0..12 {
        if selected(&terminal.screen(), stage) {
            break;
        }
        terminal.press("j");
        std::thread::sleep(Duration::from_millis(200));
    }
    terminal.wait_until(&format!("`{stage}` selected"), |screen| selected(screen, stage));
}

#[test]
fn keys_change_what_the_service_sees_and_the_file_keeps_its_comments() {
    block_on(async || {
        let service = service().await;
        let mill = slow(&service.base_url());
        let mut terminal = Terminal::start(&with_dashboard(&mill), 120, 40, &[]);
        terminal.wait_for("embed");
        terminal.press("?");
        terminal.wait_for("Widens the stage by one");
        terminal.press("\x1b");
        terminal.wait_until("the help closed", |screen| !screen.contains("Widens the stage by one"));
        select(&mut terminal, "embed");
        let before = service.stats().in_flight.embeddings.max;
        assert!(before <= 2, "{before} calls at once with a width of 2");
        for width in 3..=8 {
            terminal.press("+");
            terminal.wait_until("the width", |screen| {
                screen.lines().any(|line| line.contains("embed") && line.contains(&width.to_string()))
            });
        }
        let since = std::time::Instant::now();
        while service.stats().in_flight.embeddings.max < 8 {
            assert!(since.elapsed() < Duration::from_secs(60), "{}", terminal.screen());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert_eq!(service.stats().in_flight.embeddings.max, 8);
        // Every size is drawn, and what is too small says so.
        for (columns, rows) in [(80, 24), (60, 24), (45, 20)] {
            terminal.resize(columns, rows);
            terminal.wait_until("another size", |screen| {
                screen.contains("embed") && screen.lines().all(|line| line.chars().count() <= usize::from(columns))
            });
        }
        terminal.resize(39, 9);
        terminal.wait_for("39x9");
        terminal.resize(120, 40);
        // The service may see a width before the next snapshot shows it, which is the one that is written.
        terminal.wait_for("embed×8");
        terminal.press("W");
        terminal.wait_for("width = 8");
        terminal.press("y");
        let path = mill.path().join("pipeline.toml");
        let since = std::time::Instant::now();
        while fs::read_to_string(&path).expect("there") == file() {
            assert!(since.elapsed() < Duration::from_secs(30), "{}", terminal.screen());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let written = fs::read_to_string(&path).expect("there");
        let expected = file().replace("width = 2   #", "width = 8   #");
        assert_eq!(written, expected);
        terminal.press("q");
        terminal.wait_for("abort");
        terminal.press("a");
        terminal.wait();
        terminal.assert_sane();
    });
}

#[test]
fn a_signal_leaves_a_terminal_that_a_shell_can_use() {
    block_on(async || {
        let service = service().await;
        let mill = slow(&service.base_url()).set("run.drain=\"1s\"");
        let mut terminal = Terminal::start(&with_dashboard(&mill), 100, 30, &[]);
        terminal.wait_for("embed");
        terminal.signal(Signal::TERM);
        assert_eq!(terminal.wait(), 130);
        terminal.assert_sane();
        assert!(terminal.screen().contains("unfinished"), "{}", terminal.screen());
    });
}

#[test]
fn a_dashboard_that_breaks_off_gives_the_terminal_back_and_the_run_goes_on() {
    block_on(async || {
        let service = service().await;
        let mill = slow(&service.base_url()).set("run.drain=\"1s\"");
        let mut terminal =
            Terminal::start(&with_dashboard(&mill), 100, 30, &[("DOCMILL_PANIC_AT", "dashboard.draw:10")]);
        terminal.wait_for("the dashboard broke off");
        terminal.assert_sane();
        terminal.wait_for("documents");
        terminal.signal(Signal::TERM);
        assert_eq!(terminal.wait(), 130);
        terminal.assert_sane();
    });
}

#[test]
fn without_a_terminal_it_is_refused_and_no_colour_is_no_colour() {
    let mill = Mill::new();
    mill.write("sluice.md", "# Sluice\n\nThe sluice is greased every fourteen days.");
    let refused = mill.command("run").args(["--ui", "tui"]).output().expect("it starts");
    assert_eq!(refused.status.code(), Some(2));
    let text = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(text.contains("needs a terminal") && text.contains("--ui plain"), "{text}");
    let mut terminal = Terminal::start(&with_dashboard(&mill), 100, 30, &[("NO_COLOR", "1")]);
    terminal.wait_for("embed");
    terminal.assert_no_colour();
    terminal.wait_for("DONE");
    terminal.press("q");
    assert_eq!(terminal.wait(), 0);
    terminal.assert_sane();
    assert!(terminal.screen().contains("1 done"), "{}", terminal.screen());
}

#[test]
fn the_dashboard_of_a_service_changes_its_widths_from_afar() {
    block_on(async || {
        let mill = Mill::new();
        let served = Served::start(&mill);
        let width = async || {
            let snapshot = served.get("/v1/snapshot").await.body;
            let stages = snapshot["stages"].as_array().cloned().unwrap_or_default();
            stages
                .iter()
                .find(|stage| stage["id"] == "embed")
                .and_then(|stage| stage["width"].as_u64())
                .expect("a width")
        };
        let before = width().await;
        // Nothing of the pipeline is there: the address is all that is known.
        let elsewhere = tempfile::tempdir().expect("a directory");
        let mut command = Command::new(PROGRAM);
        command.current_dir(elsewhere.path()).args(["top", &served.url]);
        let mut terminal = Terminal::start(&command, 120, 40, &[]);
        terminal.wait_for("embed");
        select(&mut terminal, "embed");
        terminal.press("+");
        let since = std::time::Instant::now();
        while width().await != before + 1 {
            assert!(since.elapsed() < Duration::from_secs(60), "{}", terminal.screen());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        terminal.press("q");
        assert_eq!(terminal.wait(), 0);
        terminal.assert_sane();
        assert_eq!(served.get("/health/ready").await.status, 200, "the service goes on");
    });
}
