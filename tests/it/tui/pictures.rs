//! What the screen looks like, at the sizes where it changes and in the states that a run can be in.

use docmill::monitor::{EdgeSnapshot, Recording, RunState, Snapshot, StageSnapshot};
use docmill::tui::{
    Answer, ChangedLine, FileChange, GlyphSet, Link, Message, Model, Options, Replay, Seat, Seek, ThemeName, update,
};
use docmill::tune::Prediction;
use insta::assert_snapshot;

use super::fixture::{feed, fleet, model, paint, press, signs, snapshot, styled};

fn shown(model: &Model, width: u16, height: u16) -> String {
    signs(&paint(model, ThemeName::Dark, GlyphSet::Block, width, height))
}

fn normal(width: u16, height: u16) -> String {
    shown(&model(width, height, Options::default()), width, height)
}

/// The screen after some keys.
fn after(keys: &str, width: u16, height: u16) -> String {
    let mut model = model(width, height, Options::default());
    press(&mut model, keys);
    shown(&model, width, height)
}

#[test]
fn at_every_size_where_it_changes() {
    assert_snapshot!("size_120x40", normal(120, 40));
    assert_snapshot!("size_100x30", normal(100, 30));
    assert_snapshot!("size_80x24", normal(80, 24));
    assert_snapshot!("size_60x24", normal(60, 24));
    assert_snapshot!("size_40x10", normal(40, 10));
    assert_snapshot!("size_39x9", normal(39, 9));
}

#[test]
fn with_colours_and_without() {
    let selected = |width, height| {
        let mut model = model(width, height, Options::default());
        press(&mut model, "j j");
        model
    };
    for (width, height) in [(120, 40), (100, 30), (80, 24), (60, 24), (39, 9)] {
        let model = selected(width, height);
        for theme in [ThemeName::Dark, ThemeName::Mono] {
            let picture = styled(&paint(&model, theme, GlyphSet::Block, width, height));
            assert_snapshot!(format!("theme_{theme}_{width}x{height}"), picture);
        }
    }
    for theme in [ThemeName::Light, ThemeName::Ansi16] {
        let picture = styled(&paint(&selected(80, 24), theme, GlyphSet::Block, 80, 24));
        assert_snapshot!(format!("theme_{theme}_80x24"), picture);
    }
    let model = selected(120, 40);
    assert_snapshot!("glyphs_ascii", signs(&paint(&model, ThemeName::Mono, GlyphSet::Ascii, 120, 40)));
    assert_snapshot!("glyphs_braille", signs(&paint(&model, ThemeName::Mono, GlyphSet::Braille, 120, 40)));
}

#[test]
fn every_tab_of_a_stage() {
    for (key, name) in [("1", "latency"), ("2", "workers"), ("3", "queue"), ("4", "errors"), ("5", "settings")] {
        assert_snapshot!(format!("detail_{name}"), after(&format!("j j {key}"), 80, 24));
    }
    let mut shared = model(100, 24, Options::default());
    feed(&mut shared, Snapshot { fleet: fleet(), seconds: 253.0, ..snapshot() });
    press(&mut shared, "j j 2");
    assert_snapshot!("detail_fleet", shown(&shared, 100, 24));
    press(&mut shared, "f pond-91f2");
    assert_snapshot!("dialog_worker_width", shown(&shared, 100, 24));
    assert_snapshot!("detail_service", after("j j j j 5 enter", 100, 24));
    // Down to the document, whose text cannot colour the terminal.
    assert_snapshot!("detail_document", after("j j enter enter j enter", 80, 24));
}

#[test]
fn panels_with_the_whole_screen() {
    assert_snapshot!("whole_graph", after("V", 120, 20));
    assert_snapshot!("whole_log", after("l", 80, 20));
    assert_snapshot!("whole_chart", after("b tab tab e", 120, 40));
    assert_snapshot!("whole_advisor", after("tab e", 80, 24));
}

#[test]
fn what_is_asked() {
    assert_snapshot!("dialog_help", after("?", 120, 40));
    assert_snapshot!("dialog_help_search", after("? width", 80, 24));
    assert_snapshot!("dialog_palette", after(": pau", 80, 24));
    assert_snapshot!("dialog_sort", after("s j j", 80, 24));
    assert_snapshot!("dialog_number", after("j j = 24", 80, 24));
    assert_snapshot!("dialog_filter", after("/ !service", 80, 24));
    assert_snapshot!("dialog_pause", after("P", 80, 24));
    assert_snapshot!("dialog_retry", after("j j R", 80, 24));
    assert_snapshot!("dialog_quit", after("q", 80, 24));
}

#[test]
fn what_writing_changes_is_shown_before() {
    let mut model = model(100, 30, Options::default());
    let line = |number, before: &str, after: &str| ChangedLine {
        number,
        before: Some(before.into()),
        after: Some(after.into()),
    };
    let change = FileChange {
        path: "pipelines/handbooks/pipeline.toml".into(),
        lines: vec![
            line(42, "width = 12      # one per physical core", "width = 16      # one per physical core"),
            line(61, "width = 6", "width = 8"),
        ],
        widths: vec![("parse".into(), 16), ("embed".into(), 8)],
        token: String::new(),
    };
    update(&mut model, Message::Answer(Answer::Proposed(Ok(change))));
    assert_snapshot!("dialog_diff", shown(&model, 100, 30));
}

#[test]
fn what_other_widths_would_bring() {
    let mut model = model(100, 30, Options::default());
    press(&mut model, "j j x right right right");
    let prediction = Prediction { now: 73.1, then: 84.3, low: 78.0, high: 90.0, cpus: 15.0, ..Prediction::default() };
    update(&mut model, Message::Answer(Answer::Predicted(Some(Box::new(prediction)))));
    assert_snapshot!("dialog_what_if", shown(&model, 100, 30));
    press(&mut model, "esc a");
    let mut wide = super::fixture::model(120, 40, Options::default());
    press(&mut wide, "a");
    update(&mut wide, Message::Clock { now: 270.0, cpu: 0.002 });
    assert_snapshot!("chart_predicted", shown(&wide, 120, 40));
}

#[test]
fn before_anything_is_known() {
    let model =
        Model::new(ratatui::layout::Size { width: 100, height: 30 }, Options::default(), docmill::tui::Keys::default());
    assert_snapshot!("state_empty", shown(&model, 100, 30));
}

#[test]
fn while_documents_are_still_listed() {
    let mut model = model(100, 30, Options::default());
    feed(&mut model, Snapshot { listed: false, seconds: 253.0, ..snapshot() });
    let text = shown(&model, 100, 30);
    assert!(!text.contains("ETA"), "nobody knows how much is left:\n{text}");
    assert_snapshot!("state_listing", text);
}

#[test]
fn paused_frozen_over_and_unreachable() {
    let mut paused = model(80, 24, Options::default());
    feed(&mut paused, Snapshot { state: RunState::Paused, paused: true, seconds: 253.0, ..snapshot() });
    assert_snapshot!("state_paused", shown(&paused, 80, 24));
    let mut frozen = model(80, 24, Options { seat: Seat::Visitor, read_only: true, ..Options::default() });
    press(&mut frozen, "space");
    update(&mut frozen, Message::Clock { now: 272.0, cpu: 0.002 });
    assert_snapshot!("state_frozen_read_only", shown(&frozen, 80, 24));
    let mut over = model(80, 24, Options { stay: true, ..Options::default() });
    let mut end = Snapshot { state: RunState::Completed, seconds: 700.0, ..snapshot() };
    end.documents.done += end.documents.unfinished;
    end.documents.unfinished = 0;
    feed(&mut over, end);
    assert_snapshot!("state_over", shown(&over, 80, 24));
    let mut gone = model(80, 24, Options { seat: Seat::Visitor, ..Options::default() });
    update(&mut gone, Message::Source { live: false, playback: None });
    assert_snapshot!("state_gone", shown(&gone, 80, 24));
}

#[test]
fn a_recording() {
    let recording =
        Recording { snapshots: vec![Snapshot { seconds: 0.0, ..snapshot() }, snapshot()], ..Recording::default() };
    let mut replay = Replay::new(recording);
    replay.seek(Seek::Toggle);
    replay.seek(Seek::By(100.0));
    let mut model = model(80, 24, Options { seat: Seat::Visitor, ..Options::default() });
    update(&mut model, Message::Source { live: replay.is_live(), playback: Some(replay.playback()) });
    assert_snapshot!("state_replay", shown(&model, 80, 24));
}

/// Forty stages in a row, one behind the other.
pub(super) fn many() -> Snapshot {
    let all = snapshot();
    let stages: Vec<StageSnapshot> =
        (0..40).map(|at| StageSnapshot { id: format!("stage-{at:02}"), ..all.stages[at % 5 + 1].clone() }).collect();
    let edges = stages.windows(2).map(|pair| EdgeSnapshot {
        from: pair[0].id.clone(),
        to: pair[1].id.clone(),
        capacity: 64,
        length: 9,
        ..EdgeSnapshot::default()
    });
    Snapshot { edges: edges.collect(), stages, ..all }
}

/// Names that are long, wide, or out to harm.
pub(super) fn wide() -> Snapshot {
    let mut all = snapshot();
    let names = [
        "文書の一覧",
        "herunterladen-von-ueberall-her-und-noch-weiter",
        "解析と抽出のための段階",
        "chunk\u{1b}[2J",
        "e\u{301}tape",
        "👩‍👩‍👧 embed",
        "store",
    ];
    for (stage, name) in all.stages.iter_mut().zip(names) {
        for edge in &mut all.edges {
            for end in [&mut edge.from, &mut edge.to] {
                if *end == stage.id {
                    *end = name.into();
                }
            }
        }
        stage.id = name.into();
    }
    all.pipeline = "パイプライン・とても長い名前の".into();
    all
}

#[test]
fn many_stages_and_wide_names() {
    for (state, name) in [(many(), "many"), (wide(), "wide")] {
        for (width, height) in [(120, 40), (80, 24), (60, 24)] {
            let size = ratatui::layout::Size { width, height };
            let mut model = Model::new(size, Options::default(), docmill::tui::Keys::default());
            feed(&mut model, state.clone());
            press(&mut model, "j j j");
            assert_snapshot!(format!("{name}_{width}x{height}"), shown(&model, width, height));
        }
    }
}
