//! What keys do: messages in, effects out, without a terminal.

use docmill::control::Command;
use docmill::monitor::{RunState, Snapshot};
use docmill::tui::{
    Answer, Effect, FileChange, GlyphSet, Message, Model, Options, Playback, Seat, Seek, ThemeName, Wish, update,
};

use super::fixture::{feed, fleet, model, paint, press, signs, snapshot};

fn dashboard() -> Model {
    model(120, 40, Options::default())
}

fn screen(model: &Model) -> String {
    signs(&paint(model, ThemeName::Mono, GlyphSet::Block, 120, 40))
}

/// The widths that are asked for.
fn widths(effects: &[Effect]) -> Vec<(&str, usize)> {
    let width = |effect| match effect {
        &Effect::Send(Command::SetWidth { ref stage, width, ref by, .. }, _) => {
            assert_eq!(by, "you");
            Some((stage.as_str(), width))
        }
        _ => None,
    };
    effects.iter().filter_map(width).collect()
}

#[test]
fn widths_follow_the_keys_before_the_run_does() {
    let mut model = dashboard();
    let effects = press(&mut model, "j j j j j + + + + + +");
    assert_eq!(widths(&effects), (9..=14).map(|width| ("embed", width)).collect::<Vec<_>>());
    assert_eq!(
        widths(&press(&mut model, "> < - =20 enter")),
        [("embed", 28), ("embed", 14), ("embed", 13), ("embed", 20)]
    );
    assert_eq!(widths(&press(&mut model, "u u ctrl-r")), [("embed", 13), ("embed", 14), ("embed", 13)]);
}

#[test]
fn a_width_stays_within_its_bounds() {
    let mut model = dashboard();
    assert_eq!(widths(&press(&mut model, "j j =1000 enter")), [("parse", 64)]);
    assert!(press(&mut model, "+").is_empty());
    assert!(screen(&model).contains("the most that it allows"));
    assert_eq!(widths(&press(&mut model, "=0 enter")), [("parse", 1)]);
    assert!(press(&mut model, "< -").is_empty());
    assert!(press(&mut model, "g +").is_empty());
    assert!(screen(&model).contains("is a source"));
    assert!(press(&mut model, "G +").is_empty());
    assert!(screen(&model).contains("is a sink"));
}

#[test]
fn workers_are_told_widths_all_or_one() {
    let mut model = dashboard();
    assert!(press(&mut model, "f").is_empty());
    assert!(screen(&model).contains("no worker on another machine is there"));
    feed(&mut model, Snapshot { fleet: fleet(), seconds: 253.0, ..snapshot() });
    let told = |effects: Vec<Effect>| match effects.as_slice() {
        [Effect::Send(Command::OrderWorkers { worker, stage, width, .. }, _)] => {
            Some((worker.clone(), stage.clone(), *width))
        }
        _ => None,
    };
    let all = press(&mut model, "f embed=4 enter");
    assert_eq!(told(all), Some((String::new(), "embed".to_owned(), 4)));
    let one = press(&mut model, "f pond-91f2 space embed=12 enter");
    assert_eq!(told(one), Some(("pond-91f2".to_owned(), "embed".to_owned(), 12)));
    for (typed, why) in [
        ("parse=4", "no stage `parse`"),
        ("embed", "write it as"),
        ("embed=0", "1 at least"),
        ("weir-7c10 space embed=2", "no worker `weir-7c10` is there"),
    ] {
        assert!(press(&mut model, &format!("f {typed} enter")).is_empty(), "{typed}");
        assert!(screen(&model).contains(why), "{typed}: {}", screen(&model));
    }
}

#[test]
fn what_was_refused_is_said_and_is_not_believed() {
    let mut model = dashboard();
    press(&mut model, "j j +");
    let refused = Answer::Sent { stage: "parse".into(), result: Err("the run is gone".into()) };
    update(&mut model, Message::Answer(refused));
    assert!(screen(&model).contains("the run is gone"));
    assert_eq!(widths(&press(&mut model, "+")), [("parse", 17)]);
}

#[test]
fn widths_are_written_after_they_were_shown() {
    let mut model = dashboard();
    assert!(screen(&model).contains("handbooks*2"), "two widths are not as they were at the start");
    let changed = vec![("parse".to_owned(), 16), ("embed".to_owned(), 8)];
    assert_eq!(press(&mut model, "W"), [Effect::Propose(changed.clone())]);
    let line = docmill::tui::ChangedLine { number: 4, before: None, after: Some("width = 16".into()) };
    let change = FileChange { lines: vec![line], widths: changed, token: "t".into(), ..FileChange::default() };
    update(&mut model, Message::Answer(Answer::Proposed(Ok(change.clone()))));
    assert!(press(&mut model, "z enter").is_empty(), "only `y` writes");
    assert_eq!(press(&mut model, "y"), [Effect::Write(change.clone())]);
    update(&mut model, Message::Answer(Answer::Written(Err("the file has changed".into()))));
    assert!(screen(&model).contains("handbooks*2"), "a file that was not written says nothing new");
    update(&mut model, Message::Answer(Answer::Written(Ok(change))));
    assert!(!screen(&model).contains("handbooks*"));
    assert!(press(&mut model, "W").is_empty());
}

#[test]
fn advice_is_applied_and_dismissed() {
    let mut model = dashboard();
    assert_eq!(widths(&press(&mut model, "a")), [("parse", 20)]);
    assert!(screen(&model).contains("92.0 predicted"));
    assert!(press(&mut model, "a").is_empty(), "once");
    assert_eq!(widths(&press(&mut model, "u")), [("parse", 12)]);
    let mut model = dashboard();
    press(&mut model, "d");
    assert!(!screen(&model).contains("1 parse 12"));
}

#[test]
fn what_if_changes_nothing_until_enter() {
    let mut model = dashboard();
    let effects = press(&mut model, "j j x right right");
    assert!(effects.iter().all(|effect| matches!(effect, Effect::Predict(_))) && effects.len() == 3, "{effects:?}");
    assert!(press(&mut model, "esc").is_empty());
    press(&mut model, "x right down >");
    assert_eq!(widths(&press(&mut model, "enter")), [("parse", 17), ("chunk", 8)]);
}

#[test]
fn the_run_is_asked_about_once() {
    let mut model = dashboard();
    assert!(press(&mut model, "P").is_empty());
    assert!(matches!(press(&mut model, "y")[..], [Effect::Send(Command::Pause, _)]));
    feed(&mut model, Snapshot { paused: true, state: RunState::Paused, seconds: 253.0, ..snapshot() });
    assert!(matches!(press(&mut model, "P")[..], [Effect::Send(Command::Resume, _)]));
    assert!(press(&mut model, "D n").is_empty());
    assert!(matches!(press(&mut model, "D enter")[..], [Effect::Send(Command::Drain, _)]));
    assert_eq!(press(&mut model, "j j R y"), [Effect::Retry("parse".into())]);
    assert!(press(&mut model, "j R").is_empty());
    assert!(!screen(&model).contains("Try again?"), "no document failed at `chunk`");
}

#[test]
fn leaving_asks_what_becomes_of_the_run() {
    let mut model = dashboard();
    assert!(press(&mut model, "q esc").is_empty());
    assert_eq!(press(&mut model, "q w"), [Effect::Leave(Wish::Plain, false)]);
    let mut model = dashboard();
    assert!(matches!(
        press(&mut model, "q a")[..],
        [Effect::Send(Command::Stop, _), Effect::Leave(Wish::Abort, false)]
    ));
    let mut model = dashboard();
    assert!(matches!(press(&mut model, "ctrl-c ctrl-c")[..], [Effect::Send(Command::Drain, _)]));
    let over = Snapshot { state: RunState::Drained, seconds: 253.0, ..snapshot() };
    assert_eq!(feed(&mut model, over), [Effect::Leave(Wish::Leave, false)], "it goes when the run has drained");
    let mut visitor = self::model(120, 40, Options { seat: Seat::Visitor, ..Options::default() });
    assert_eq!(press(&mut visitor, "Q"), [Effect::Leave(Wish::Leave, true)]);
}

#[test]
fn the_end_is_stayed_for_or_not() {
    let over = || Snapshot { state: RunState::Completed, seconds: 253.0, ..snapshot() };
    assert_eq!(feed(&mut dashboard(), over()), [Effect::Leave(Wish::Leave, false)]);
    let mut stays = model(120, 40, Options { stay: true, ..Options::default() });
    assert!(feed(&mut stays, over()).is_empty());
    assert!(press(&mut stays, "j j +").is_empty());
    assert!(screen(&stays).contains("the run is over"));
    assert_eq!(press(&mut stays, "q"), [Effect::Leave(Wish::Leave, false)]);
}

#[test]
fn read_only_and_recordings_refuse_what_changes_the_run() {
    let all = "j j + - > < = u W P R D a ctrl-r";
    let mut model = model(120, 40, Options { read_only: true, ..Options::default() });
    assert!(press(&mut model, all).is_empty());
    assert!(screen(&model).contains("--read-only"));
    press(&mut model, "?");
    assert!(!screen(&model).contains("Widens the stage"), "help does not list what is refused");
    let mut model = dashboard();
    let playback = Playback { at: 10.0, end: 252.0, speed: 1.0, playing: true };
    update(&mut model, Message::Source { live: false, playback: Some(playback) });
    assert!(press(&mut model, all).is_empty());
    let seeks = [
        Effect::Seek(Seek::By(-5.0)),
        Effect::Seek(Seek::Toggle),
        Effect::Seek(Seek::Faster(true)),
        Effect::Seek(Seek::Start),
    ];
    assert_eq!(press(&mut model, "left space ] g"), seeks);
}

#[test]
fn a_frozen_view_stands_while_the_run_goes_on() {
    let mut model = dashboard();
    press(&mut model, "space");
    let mut later = Snapshot { seconds: 260.0, ..snapshot() };
    later.documents.done += 1000;
    later.documents.unfinished -= 1000;
    feed(&mut model, later);
    assert!(screen(&model).contains("18,402/50,000") && screen(&model).contains("FROZEN"));
    press(&mut model, "left left");
    assert_eq!(model.moment(), 250.0);
    press(&mut model, "right");
    assert_eq!(model.moment(), 251.0);
    press(&mut model, "space");
    assert!(screen(&model).contains("19,402/50,000"));
}

#[test]
fn escape_goes_up_one_level_and_never_out() {
    let mut model = dashboard();
    press(&mut model, "/ parse enter enter enter enter");
    assert!(screen(&model).contains("ran out of time"));
    for _ in 0..10 {
        assert!(press(&mut model, "esc").is_empty());
    }
    assert!(screen(&model).contains("Stages (7)"));
}

#[test]
fn stages_are_filtered_sorted_and_kept_in_order() {
    let first = |model: &Model| {
        let text = screen(model);
        let at = text.lines().position(|line| line.contains("STAGE")).expect("a table");
        let line = text.lines().nth(at + 1).expect("a stage").replace(['│', '▶', '▲'], " ");
        line.split_whitespace().next().expect("a name").to_owned()
    };
    let mut model = dashboard();
    press(&mut model, "s 7");
    assert_eq!(first(&model), "parse");
    press(&mut model, "r");
    assert_eq!(first(&model), "chunk");
    press(&mut model, "o");
    let mut other = snapshot();
    other.seconds = 253.0;
    other.stages[3].now.busy = 1.0;
    feed(&mut model, other);
    assert_eq!(first(&model), "chunk", "the order is kept");
    press(&mut model, "o");
    assert_eq!(first(&model), "list");
    press(&mut model, "/ !io enter");
    assert!(!screen(&model).contains("download ") || screen(&model).contains("Stages (4 of 7)"));
    press(&mut model, "/ backspace backspace backspace zzz enter");
    assert!(screen(&model).contains("no stage passes the filter"));
}

#[test]
fn commands_are_found_by_name() {
    let mut model = dashboard();
    assert_eq!(press(&mut model, ": theme enter"), [Effect::NextTheme]);
    assert_eq!(press(&mut model, "ctrl-p suspend enter"), [Effect::Suspend]);
    assert!(press(&mut model, ": nothing-like-it enter").is_empty());
}
