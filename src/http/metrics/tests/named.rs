//! The dashboard, the alert rules and the guide name what `/metrics` says, and nothing else.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use regex_lite::Regex;

use super::super::render;
use super::exposition::{Described, Sample};
use super::{figures, filled, samples, snapshot};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn page(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Every query of the dashboard, with its legend.
fn queries(value: &serde_json::Value, found: &mut Vec<String>) {
    match value {
        serde_json::Value::Object(fields) => {
            let text = |field: &str| fields.get(field).and_then(serde_json::Value::as_str).unwrap_or_default();
            let whole = format!("{} {} {}", text("expr"), text("definition"), text("legendFormat"));
            found.extend((!whole.trim().is_empty()).then_some(whole));
            fields.values().for_each(|inner| queries(inner, found));
        }
        serde_json::Value::Array(values) => values.iter().for_each(|inner| queries(inner, found)),
        _ => {}
    }
}

/// What of a query is not in what `/metrics` says: a series, one of its labels, a label's value where `values` are known.
fn unknown(query: &str, samples: &[Sample], values: bool) -> Vec<String> {
    let series = Regex::new(r"(docmill_[a-z_]+)(?:\{([^}]*)\})?").unwrap();
    let matcher = Regex::new(r#"([a-z_]+)\s*(=~|!=|!~|=)\s*"([^"]*)""#).unwrap();
    let grouped = Regex::new(r"(?:\b(?:by|on) \(([^)]*)\))|\{\{ ?([a-z_]+) ?\}\}").unwrap();
    let mut wrong = Vec::new();
    let mut labels = BTreeSet::from(["instance", "job"]);
    for found in series.captures_iter(query) {
        let named: Vec<&Sample> = samples.iter().filter(|sample| sample.name == found[1]).collect();
        if named.is_empty() {
            wrong.push(found[1].to_owned());
        }
        labels.extend(named.iter().flat_map(|sample| sample.labels.keys().map(String::as_str)));
        for asked in matcher.captures_iter(found.get(2).map_or("", |inside| inside.as_str())) {
            let (label, wanted) = (&asked[1], &asked[3]);
            if ["instance", "job"].contains(&label) || named.is_empty() {
                continue;
            }
            let has = |value: &str| {
                named.iter().any(|one| one.labels.get(label).is_some_and(|is| value.is_empty() || is == value))
            };
            let is_plain = values && wanted.chars().all(|one| one.is_ascii_lowercase() || one == '_' || one == '|');
            let asked_for = if is_plain { wanted.split('|').collect() } else { vec![""] };
            wrong.extend(
                asked_for
                    .iter()
                    .filter(|value| !has(value))
                    .map(|value| format!("{}{{{label}=\"{value}\"}}", &found[1])),
            );
        }
    }
    for found in grouped.captures_iter(query) {
        let list = found.get(1).or(found.get(2)).map_or("", |list| list.as_str());
        wrong.extend(
            list.split(',')
                .map(str::trim)
                .filter(|label| !labels.contains(label))
                .map(|label| format!("{label} of {query}")),
        );
    }
    wrong
}

#[test]
fn the_dashboard_asks_for_nothing_that_is_not_there() {
    let dashboard: serde_json::Value =
        serde_json::from_str(&page("dashboards/docmill.json")).expect("the dashboard is JSON");
    let mut found = Vec::new();
    queries(&dashboard, &mut found);
    assert!(found.len() > 50, "the queries were not found");
    let samples = samples();
    let wrong: Vec<String> = found.iter().flat_map(|query| unknown(query, &samples, true)).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_dashboards_panels_are_apart_and_ask_the_chosen_source() {
    let dashboard: serde_json::Value =
        serde_json::from_str(&page("dashboards/docmill.json")).expect("the dashboard is JSON");
    let panels = dashboard["panels"].as_array().expect("panels");
    let mut taken = BTreeSet::new();
    let mut ids = BTreeSet::new();
    for panel in panels {
        let at = |field: &str| panel["gridPos"][field].as_u64().expect("a place");
        assert!(ids.insert(panel["id"].as_u64().expect("an id")), "{}", panel["title"]);
        for (x, y) in (0..at("w")).flat_map(|x| (0..at("h")).map(move |y| (x, y))) {
            assert!(at("x") + x < 24 && taken.insert((at("x") + x, at("y") + y)), "{} lies on another", panel["title"]);
        }
        for target in panel["targets"].as_array().into_iter().flatten() {
            assert_eq!(target["datasource"]["uid"], "${datasource}", "{}", panel["title"]);
        }
    }
    let rows: Vec<&str> =
        panels.iter().filter(|panel| panel["type"] == "row").filter_map(|row| row["title"].as_str()).collect();
    assert_eq!(rows, ["Overview", "Stages", "Queues", "Memory", "HTTP", "Model services"]);
}

#[test]
fn the_rules_ask_for_nothing_that_is_not_there() {
    let rules = page("dashboards/alerts.yml");
    let samples = samples();
    // Rule by rule: labels that are grouped by are looked for among those of the rule's own series.
    let wrong: Vec<String> =
        rules.split("- alert:").flat_map(|rule| unknown(&rule.replace("$labels.", ""), &samples, true)).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    let tested = page("dashboards/alerts_test.yml");
    let wrong: Vec<String> = tested.lines().flat_map(|line| unknown(line, &samples, false)).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    for name in rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")) {
        assert!(tested.contains(&format!("alertname: {name}")), "when {name} fires is not tested");
    }
}

#[test]
fn what_is_not_there_is_found() {
    let samples = samples();
    let wrong = |query: &str| unknown(query, &samples, true);
    assert_eq!(wrong("rate(docmill_nothing_total[5m])"), ["docmill_nothing_total"]);
    assert_eq!(wrong("docmill_stage_width{color=\"red\"}"), ["docmill_stage_width{color=\"red\"}"]);
    assert_eq!(wrong("docmill_run_state{state=\"asleep\"}"), ["docmill_run_state{state=\"asleep\"}"]);
    assert_eq!(wrong("sum by (stage, color) (docmill_stage_width)").len(), 1);
    assert_eq!(wrong("docmill_stage_width {{color}}").len(), 1);
    assert!(wrong("sum by (stage) (docmill_stage_width{stage=~\"$stage\"}) {{stage}}").is_empty());
}

/// The guide's table: name, type, labels, meaning.
fn table(families: &[Described]) -> String {
    let mut rows = String::from("| name | type | labels | what it says |\n|---|---|---|---|\n");
    for family in families {
        let labels: BTreeSet<&str> = family
            .samples
            .iter()
            .flat_map(|one| one.labels.keys())
            .map(String::as_str)
            .filter(|label| *label != "le")
            .collect();
        let labels = labels.iter().map(|label| format!("`{label}`")).collect::<Vec<_>>().join(" ");
        writeln!(rows, "| `{}` | {} | {labels} | {} |", family.name, family.kind, family.help).expect("a string");
    }
    rows
}

#[test]
fn the_guides_table_is_what_is_told() {
    let guide = page("docs/guide/observe.md");
    let (_, rest) = guide.split_once("<!-- metrics -->\n\n").expect("the beginning of the table");
    let (told, _) = rest.split_once("\n<!-- metrics end -->").expect("the end of the table");
    let wanted = table(&filled());
    assert!(told == wanted, "write this to docs/guide/observe.md:\n{wanted}");
}

/// Where `promtool` is on the path: what Debian's package `prometheus` brings.
fn promtool() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|directory| directory.join("promtool")).find(|program| program.is_file())
}

fn run(program: &Path, arguments: &[&str], input: &str) {
    let mut child = Command::new(program)
        .args(arguments)
        .current_dir(root().join("dashboards"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool runs");
    child.stdin.take().expect("a pipe").write_all(input.as_bytes()).expect("promtool reads");
    let output = child.wait_with_output().expect("promtool ends");
    let told = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&told));
}

#[test]
fn prometheus_own_tool_finds_no_fault() {
    let Some(promtool) = promtool() else {
        #[expect(clippy::print_stderr, reason = "a test says what it skips")]
        {
            eprintln!("not run: no `promtool` here");
        }
        return;
    };
    run(&promtool, &["check", "metrics"], &render(&snapshot(), &figures()));
    run(&promtool, &["check", "rules", "alerts.yml"], "");
    run(&promtool, &["test", "rules", "alerts_test.yml"], "");
}
